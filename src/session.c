/*
 * session.c
 *	  The life of a worker that is connected to the database.
 *
 * The worker waits without a connection until the launcher has found the
 * database (see launcher.c), and leaves it when somebody wants to drop it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "session.h"

typedef struct Session
{
	WorkerSeat *seat;
	MemoryContext context;		/* reset after each transaction */
	TimestampTz drain_until;	/* 0: not at all */
} Session;

static Session session;

/*
 * Being ended.  Whoever ends us does not have to wait for a trigger of the
 * user's, or for a synchronous standby: what is under way is cancelled.
 */

static volatile sig_atomic_t session_in_transaction = false;

static void
session_handle_sigterm(SIGNAL_ARGS)
{
	int			save_errno = errno;

	ShutdownRequestPending = true;
	if (session_in_transaction)
	{
		QueryCancelPending = true;
		InterruptPending = true;
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

bool
session_must_stop(void)
{
	return ShutdownRequestPending && GetCurrentTimestamp() >= session.drain_until;
}

void
session_drain_until(TimestampTz until)
{
	session.drain_until = until;
	QueryCancelPending = false;
}

void
session_check_interrupts(void)
{
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
}

bool
session_sleep(long milliseconds)
{
	int			events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
								   milliseconds, PG_WAIT_EXTENSION);

	ResetLatch(MyLatch);
	session_check_interrupts();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	return (events & WL_LATCH_SET) != 0;
}

/*
 * Errors.
 */

bool
session_is_lock_error(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
}

/* The lock_timeout is ours, so its message would puzzle. */
static const char *
session_error_message(const ErrorData *error)
{
	return session_is_lock_error(error) ? "a table is locked by another session" : error->message;
}

static const char *
session_error_hint(const ErrorData *error)
{
	return session_is_lock_error(error) ?
		"pg_locks shows who holds the lock; it is tried again every few seconds." : error->hint;
}

void
session_error_text(const char *what, const ErrorData *error, char *text)
{
	const char *hint = session_error_hint(error);

	snprintf(text, SHARED_ERROR_SIZE, "could not %s: %s%s%s", what, session_error_message(error),
			 hint ? " HINT: " : "", hint ? hint : "");
}

void
session_log_error(LogRank rank, const char *what, const ErrorData *error)
{
	const char *hint = session_error_hint(error);

	ereport(lastfluss_elevel(rank),
			(errcode(error->sqlerrcode),
			 errmsg("lastfluss: could not %s: %s", what, session_error_message(error)),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 hint ? errhint("%s", hint) : 0));
}

/* Being cancelled is no error when we are ended. */
static bool
session_is_end(const ErrorData *error)
{
	return ShutdownRequestPending && error->sqlerrcode == ERRCODE_QUERY_CANCELED;
}

/*
 * Transactions that may fail.
 */

static void
session_begin(const char *activity)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, activity);
}

static void
session_commit(void)
{
	PopActiveSnapshot();
	SPI_finish();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* Ends the transaction that raised the error, which is the caller's to free. */
static ErrorData *
session_catch(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortCurrentTransaction();
	pgstat_report_activity(STATE_IDLE, NULL);
	return error;
}

/* "failed" may run transactions of its own, which may fail as well. */
static void
session_tell(ErrorData *error, SessionFailed failed, void *argument)
{
	if (failed != NULL && !session_is_end(error))
		failed(error, argument);
	FreeErrorData(error);
}

bool
session_try(const char *activity, SessionWork work, SessionFailed failed, void *argument)
{
	MemoryContext old = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;
	volatile bool done = false;

	session_in_transaction = true;
	PG_TRY();
	{
		if (!session_must_stop())
		{
			MemoryContextSwitchTo(session.context);
			session_begin(activity);
			work(argument);
			session_commit();
			done = true;
		}
	}
	PG_CATCH();
	{
		error = session_catch(old);
	}
	PG_END_TRY();
	session_in_transaction = false;

	/* up to 17 the end of a transaction leaves us in a context that is never reset */
	MemoryContextSwitchTo(old);
	MemoryContextReset(session.context);
	if (error != NULL)
		session_tell(error, failed, argument);
	return done;
}

void
session_leave_when_asked(void)
{
	bool		wanted;

	StartTransactionCommand();
	wanted = launcher_lock_free(MyDatabaseId);
	CommitTransactionCommand();
	if (!wanted)
		proc_exit(1);
}

/*
 * The begin.
 */

static void
session_stop(int code, Datum arg)
{
	LWLockReleaseAll();
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	session.seat->pid = 0;
	session.seat->latch = NULL;
	if (shared->launcher_latch)
		SetLatch(shared->launcher_latch);
	LWLockRelease(shared->lock);
}

/* The database that the launcher has found; waits, without a connection. */
static Oid
session_wait_for_database(void)
{
	for (;;)
	{
		Oid			database;

		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		database = session.seat->database;
		session.seat->database = InvalidOid;
		if (OidIsValid(database))
			session.seat->pid = MyProcPid;
		LWLockRelease(shared->lock);
		if (OidIsValid(database))
			return database;

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, 0, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		if (ShutdownRequestPending)
			proc_exit(1);
	}
}

void
session_set(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_USERSET, PGC_S_OVERRIDE);
}

/* What a database's own settings could bring in. */
static void
session_settle(void)
{
	session_set("search_path", "pg_catalog, pg_temp");
	session_set("default_transaction_isolation", "read committed");
	session_set("default_transaction_read_only", "off");
	session_set("default_transaction_deferrable", "off");
	session_set("statement_timeout", "0");
	if (GetConfigOption("transaction_timeout", true, false))	/* since 17 */
		session_set("transaction_timeout", "0");
}

void
session_start(WorkerSeat *seat)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, session_handle_sigterm);
	BackgroundWorkerUnblockSignals();

	session.seat = seat;
	before_shmem_exit(session_stop, (Datum) 0);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	seat->latch = MyLatch;
	LWLockRelease(shared->lock);

	BackgroundWorkerInitializeConnectionByOid(session_wait_for_database(), InvalidOid, 0);
	session_settle();
	session.context = AllocSetContextCreate(TopMemoryContext, "lastfluss transaction",
											ALLOCSET_DEFAULT_SIZES);
}
