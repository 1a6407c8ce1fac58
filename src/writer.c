/*
 * writer.c
 *	  Finished intervals into traffic, configuration to the receivers.
 *
 * One interval is one transaction, in which the table _written notes its
 * sequence number: what is noted there is never inserted again (see shared.c).
 * Whatever goes wrong, the interval stays READY and is tried again; status
 * tells the error all the while, the log once.
 *
 * The worker waits without a connection until the launcher has found the
 * database, and leaves it when somebody wants to drop it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/pidfile.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "lastfluss.h"
#include "prefixes.h"
#include "shared.h"
#include "traffic.h"

#define WRITER_TICK				1000	/* milliseconds to sleep at the most */
#define WRITER_CONFIG_SECONDS	10	/* the configuration is read again after so many */
#define WRITER_AHEAD_SECONDS	600 /* partitions are made ahead after so many */
#define WRITER_PREFIX_SECONDS	10	/* prefixes that could not be loaded are tried again after so many */
#define WRITER_LOAD_PREFIXES	"load the prefixes"
#define WRITER_SAVE_SECONDS		5	/* learned state is saved after so many */
#define WRITER_DRAIN_SECONDS	10	/* what a shutdown waits for the last intervals */

typedef struct Writer
{
	bool		configured;		/* the extension is there, its settings are known */
	char	   *table;			/* setting "table" */
	MemoryContext context;		/* reset after each transaction */
	const char *failing;		/* what did not work the last time, or NULL */
	char		logged[SHARED_ERROR_SIZE];	/* the error that the log has */
	TimestampTz config_at;		/* when it is to be read again */
	TimestampTz ahead_at;		/* when partitions are to be made ahead */
	TimestampTz save_at;		/* when learned state is to be saved */
	bool		prefixes_wanted;	/* by setting "asn_source" */
	bool		prefixes_loaded;	/* as they are in the table */
	TimestampTz prefixes_at;	/* when they are to be loaded, if they are not */
} Writer;

static Writer writer;

/*
 * Transactions that may fail.
 */

static void
writer_begin(const char *activity)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, activity);
}

static void
writer_commit(void)
{
	PopActiveSnapshot();
	SPI_finish();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* The lock_timeout of writer_connect() is ours, so its message would puzzle. */
static void
writer_explain_lock(ErrorData *error)
{
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		return;
	error->message = pstrdup("a table is locked by another session");
	error->hint = pstrdup("pg_locks shows who holds the lock; it is tried again every second.");
}

/* Says the error in status, and in the log if it was not the last one there. */
static void
writer_report(const char *what, ErrorData *error)
{
	char		text[SHARED_ERROR_SIZE];

	writer_explain_lock(error);
	snprintf(text, sizeof(text), "could not %s: %s%s%s", what, error->message,
			 error->hint ? " HINT: " : "", error->hint ? error->hint : "");
	shared_set_error(text);
	writer.failing = what;
	if (strcmp(text, writer.logged) == 0)
		return;
	strlcpy(writer.logged, text, sizeof(writer.logged));
	ereport(lastfluss_elevel(LOG_RANK_ERROR),
			(errcode(error->sqlerrcode),
			 errmsg("lastfluss: could not %s: %s", what, error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0));
}

/* An error is over when what failed has worked. */
static void
writer_report_success(const char *what)
{
	if (writer.failing == NULL || strcmp(writer.failing, what) != 0)
		return;
	writer.failing = NULL;
	writer.logged[0] = '\0';
	shared_set_error(NULL);
	ereport(lastfluss_elevel(LOG_RANK_INFO),
			(errmsg("lastfluss: could %s again", what)));
}

/* Runs "work" in a transaction; false where it failed, and nothing happened. */
static bool
writer_try(const char *what, void (*work) (void *argument), void *argument)
{
	MemoryContext old = MemoryContextSwitchTo(writer.context);
	volatile bool done = false;

	PG_TRY();
	{
		writer_begin(what);
		work(argument);
		writer_commit();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(writer.context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		pgstat_report_activity(STATE_IDLE, NULL);
		writer_report(what, error);
	}
	PG_END_TRY();

	MemoryContextSwitchTo(old);
	MemoryContextReset(writer.context);
	if (done)
		writer_report_success(what);
	return done;
}

/* Nothing is under way: there is nothing that pg_cancel_backend() could cancel. */
static void
writer_check_interrupts(void)
{
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
}

/*
 * Intervals.
 */

typedef struct WriterJob
{
	int			receiver;
	int			buffer;
	IntervalBuffer *interval;
	uint64		rows;
	bool		extension_missing;	/* dropped: nothing was written */
} WriterJob;

static const char *
writer_name(uint32 number, void *context)
{
	/* Stays as it is while a buffer refers to it, so needs no lock. */
	return shared->names[number].name;
}

/*
 * Notes the interval as written; false when it was noted before.  The note
 * comes first, so that an interval cannot be inserted twice however its first
 * transaction ended.
 */
static bool
writer_note(const WriterJob *job)
{
	Oid			types[] = {TIMESTAMPTZOID, INT4OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {
		TimestampTzGetDatum(lastfluss_timestamp(shared->run)),
		Int32GetDatum(job->receiver),
		Int64GetDatum((int64) job->interval->sequence),
		TimestampTzGetDatum(lastfluss_timestamp(job->interval->start))
	};
	int			result;

	result = SPI_execute_with_args("INSERT INTO lastfluss._written AS w (run, receiver, sequence, \"time\")"
								   " VALUES ($1, $2, $3, $4)"
								   " ON CONFLICT (run, receiver) DO UPDATE"
								   " SET sequence = excluded.sequence, \"time\" = excluded.\"time\""
								   " WHERE w.sequence < excluded.sequence",
								   lengthof(types), types, values, NULL, false, 0);
	if (result != SPI_OK_INSERT)
		elog(ERROR, "could not note an interval as written: %s", SPI_result_code_string(result));
	return SPI_processed > 0;
}

static void
writer_write_interval(void *argument)
{
	WriterJob  *job = argument;
	Oid			table;

	job->extension_missing = !OidIsValid(get_extension_oid("lastfluss", true));
	if (job->extension_missing || !writer_note(job))
		return;
	table = traffic_open(writer.table);
	job->rows = traffic_write(table, shared_aggregate(job->receiver, job->buffer),
							  job->interval->start, job->interval->period,
							  writer_name, NULL);
}

static void
writer_set_state(const WriterJob *job, BufferState state)
{
	LWLockAcquire(shared->receiver_locks[job->receiver], LW_EXCLUSIVE);
	job->interval->state = state;
	LWLockRelease(shared->receiver_locks[job->receiver]);
}

/* Takes the oldest finished interval of a receiver, so that all come in order. */
static bool
writer_take(int receiver, WriterJob *job)
{
	IntervalBuffer *buffers = shared->receivers[receiver].buffers;
	int			oldest = -1;

	LWLockAcquire(shared->receiver_locks[receiver], LW_EXCLUSIVE);
	for (int i = 0; i < lastfluss_buffers; i++)
	{
		if (buffers[i].state == BUFFER_READY &&
			(oldest < 0 || buffers[i].sequence < buffers[oldest].sequence))
			oldest = i;
	}
	if (oldest >= 0)
		buffers[oldest].state = BUFFER_WRITING;
	LWLockRelease(shared->receiver_locks[receiver]);

	*job = (WriterJob) {.receiver = receiver,.buffer = oldest,
		.interval = oldest >= 0 ? &buffers[oldest] : NULL};
	return oldest >= 0;
}

static void
writer_count(const WriterJob *job, TimestampTz started)
{
	TimestampTz took = GetCurrentTimestamp() - started;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->intervals_written++;
	shared->rows_written += job->rows;
	shared->write_microseconds += (uint64) Max(took, 0);
	shared->last_interval = lastfluss_timestamp(job->interval->start);
	LWLockRelease(shared->lock);
	ereport(lastfluss_elevel(LOG_RANK_DEBUG),
			(errmsg("lastfluss: wrote interval " UINT64_FORMAT " of receiver %d: " UINT64_FORMAT " rows in %.3f ms",
					job->interval->sequence, job->receiver, job->rows, took / 1000.0)));
}

/* Writes what is finished; false when something could not be written. */
static bool
writer_write_finished(void)
{
	for (int receiver = 0; receiver < lastfluss_receivers; receiver++)
	{
		WriterJob	job;

		while (writer_take(receiver, &job))
		{
			TimestampTz started = GetCurrentTimestamp();

			if (!writer_try("write an interval", writer_write_interval, &job) ||
				job.extension_missing)
			{
				writer_set_state(&job, BUFFER_READY);
				writer.config_at = 0;
				return false;
			}
			writer_count(&job, started);
			shared->receivers[receiver].last_written = job.interval->sequence;
			writer_set_state(&job, BUFFER_FREE);
			writer_check_interrupts();
		}
	}
	return true;
}

/* What a writer before us left half done: _written knows whether it is done. */
static void
writer_recover(void)
{
	for (int receiver = 0; receiver < lastfluss_receivers; receiver++)
	{
		LWLockAcquire(shared->receiver_locks[receiver], LW_EXCLUSIVE);
		for (int i = 0; i < lastfluss_buffers; i++)
		{
			if (shared->receivers[receiver].buffers[i].state == BUFFER_WRITING)
				shared->receivers[receiver].buffers[i].state = BUFFER_READY;
		}
		LWLockRelease(shared->receiver_locks[receiver]);
	}
}

/*
 * Interfaces' own counters.
 */

typedef struct WriterCounters
{
	int			count;
	CounterSample samples[SHARED_COUNTERS];
} WriterCounters;

static void
writer_insert_counters(void *argument)
{
	static const Oid types[] = {INETOID, INT8OID, TIMESTAMPTZOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, INT8OID};
	WriterCounters *taken = argument;
	SPIPlanPtr	plan;

	if (!OidIsValid(get_extension_oid("lastfluss", true)))
		return;
	plan = SPI_prepare("INSERT INTO lastfluss.counters (host, id, \"time\", in_octets, out_octets, in_packets, out_packets, speed)"
					   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
					   lengthof(types), (Oid *) types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	for (int i = 0; i < taken->count; i++)
	{
		const CounterSample *sample = &taken->samples[i];
		const FlowCounters *counters = &sample->counters;
		char		packets = counters->has_packets ? ' ' : 'n';
		char		nulls[] = {' ', ' ', ' ', ' ', ' ', packets, packets, counters->speed ? ' ' : 'n'};
		Datum		values[] = {
			status_inet(&sample->host),
			Int64GetDatum((int64) counters->id),
			TimestampTzGetDatum(lastfluss_timestamp(sample->time)),
			status_numeric(counters->in_octets),
			status_numeric(counters->out_octets),
			status_numeric(counters->in_packets),
			status_numeric(counters->out_packets),
			Int64GetDatum((int64) Min(counters->speed, PG_INT64_MAX))
		};

		if (SPI_execute_plan(plan, values, nulls, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not insert counters");
	}
}

/* Copies what waits; it is given up only when it is committed. */
static void
writer_take_counters(int receiver, WriterCounters *taken)
{
	const ReceiverShared *source = &shared->receivers[receiver];

	LWLockAcquire(shared->receiver_locks[receiver], LW_SHARED);
	taken->count = (int) (source->counters_taken - source->counters_written);
	for (int i = 0; i < taken->count; i++)
		taken->samples[i] = source->counters[(source->counters_written + i) % SHARED_COUNTERS];
	LWLockRelease(shared->receiver_locks[receiver]);
}

static void
writer_write_counters(void)
{
	static WriterCounters taken;

	for (int receiver = 0; receiver < lastfluss_receivers; receiver++)
	{
		writer_take_counters(receiver, &taken);
		if (taken.count == 0 ||
			!writer_try("write interface counters", writer_insert_counters, &taken))
			continue;
		LWLockAcquire(shared->receiver_locks[receiver], LW_EXCLUSIVE);
		shared->receivers[receiver].counters_written += taken.count;
		LWLockRelease(shared->receiver_locks[receiver]);
	}
}

/*
 * Configuration.
 */

static void
writer_set_collecting(bool collecting)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->collecting = collecting;
	LWLockRelease(shared->lock);
}

static void
writer_forget_prefixes(void)
{
	prefixes_withdraw();
	writer.prefixes_loaded = false;
	writer.prefixes_at = 0;
	writer_report_success(WRITER_LOAD_PREFIXES);	/* no error without them */
}

/*
 * The first note of a run, or of an extension made anew, so that lastfluss.live
 * can tell what is written from what is not.
 */
static void
writer_note_begin(void)
{
	Oid			types[] = {TIMESTAMPTZOID, INT4OID, INT8OID};

	for (int receiver = 0; receiver < lastfluss_receivers; receiver++)
	{
		Datum		values[] = {
			TimestampTzGetDatum(lastfluss_timestamp(shared->run)),
			Int32GetDatum(receiver),
			Int64GetDatum((int64) shared->receivers[receiver].last_written)
		};

		if (SPI_execute_with_args("INSERT INTO lastfluss._written (run, receiver, sequence)"
								  " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
								  lengthof(types), types, values, NULL, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not note the begin of a run");
	}
}

static void
writer_set_configured(bool configured)
{
	writer.configured = configured;
	writer_set_collecting(configured);
}

/* An error on the way leaves everything as it was. */
static void
writer_read_config(void *argument)
{
	Settings	settings;

	if (!config_publish(&settings))
	{
		writer_forget_prefixes();
		writer_set_configured(false);
		return;
	}
	writer_note_begin();
	writer.prefixes_wanted = settings.as_source != ACCOUNT_AS_EXPORTER;
	if (writer.table == NULL || strcmp(writer.table, settings.table) != 0)
	{
		char	   *table = MemoryContextStrdup(TopMemoryContext, settings.table);

		if (writer.table)
			pfree(writer.table);
		writer.table = table;
		writer.ahead_at = 0;
	}
	writer_set_configured(true);
}

static void
writer_follow_config(void)
{
	bool		changed = pg_atomic_exchange_u32(&shared->config_changed, 0) != 0;
	TimestampTz now = GetCurrentTimestamp();

	if (!changed && writer.configured && now < writer.config_at)
		return;
	writer.config_at = TimestampTzPlusMilliseconds(now, WRITER_CONFIG_SECONDS * 1000);
	if (!writer_try("read the configuration", writer_read_config, NULL))
		writer.config_at = 0;
}

static void
writer_make_ahead(void *argument)
{
	traffic_prepare_ahead(traffic_open(writer.table));
}

static void
writer_prepare_ahead(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now < writer.ahead_at)
		return;
	if (writer_try("make partitions ahead", writer_make_ahead, NULL))
		writer.ahead_at = TimestampTzPlusMilliseconds(now, WRITER_AHEAD_SECONDS * 1000);
}

static void
writer_load_prefixes(void *argument)
{
	prefixes_publish();
}

/* After the intervals, because a full table takes a second. */
static void
writer_follow_prefixes(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!writer.prefixes_wanted)
	{
		writer_forget_prefixes();
		return;
	}
	if (pg_atomic_exchange_u32(&shared->prefixes_changed, 0) != 0)
	{
		writer.prefixes_loaded = false;
		writer.prefixes_at = 0;
	}
	if (writer.prefixes_loaded || now < writer.prefixes_at)
		return;
	writer.prefixes_loaded = writer_try(WRITER_LOAD_PREFIXES, writer_load_prefixes, NULL);
	writer.prefixes_at = TimestampTzPlusMilliseconds(now, WRITER_PREFIX_SECONDS * 1000);
}

/*
 * The loop.
 */

/*
 * Whoever wants to drop the database, or use it as a template, waits five
 * seconds for all others to be gone.
 */
static void
writer_leave_when_asked(void)
{
	bool		wanted;

	StartTransactionCommand();
	wanted = launcher_lock_free(MyDatabaseId);
	CommitTransactionCommand();
	if (!wanted)
		proc_exit(1);
}

/* What was learned from the network is kept for the next start of the server. */
static void
writer_save_state(void)
{
	MemoryContext old = MemoryContextSwitchTo(writer.context);

	for (int receiver = 0; receiver < lastfluss_receivers; receiver++)
		state_save(receiver);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer.context);
}

static void
writer_save_state_in_time(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now < writer.save_at)
		return;
	writer.save_at = TimestampTzPlusMilliseconds(now, WRITER_SAVE_SECONDS * 1000);
	writer_save_state();
}

static void
writer_round(void)
{
	writer_leave_when_asked();
	writer_follow_config();
	if (writer.configured && writer_write_finished())
		writer_prepare_ahead();
	if (writer.configured)
		writer_write_counters();
	writer_save_state_in_time();
	if (writer.configured)
		writer_follow_prefixes();
}

static bool
writer_receivers_run(void)
{
	bool		run = false;

	for (int i = 0; i < lastfluss_receivers && !run; i++)
	{
		LWLockAcquire(shared->receiver_locks[i], LW_SHARED);
		run = shared->receivers[i].pid != 0;
		LWLockRelease(shared->receiver_locks[i]);
	}
	return run;
}

/*
 * Is the server stopping, rather than this worker alone?  The postmaster says so
 * in its lock file, in our working directory, before it signals anybody.
 */
static bool
writer_server_is_stopping(void)
{
	FILE	   *file = AllocateFile("postmaster.pid", "r");
	char		line[MAXPGPATH];
	bool		stopping = false;

	for (int i = 1; file && fgets(line, sizeof(line), file); i++)
	{
		if (i == LOCK_FILE_LINE_PM_STATUS)
			stopping = strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
	}
	if (file)
		FreeFile(file);
	return stopping;
}

/*
 * A shutdown stops the receivers at the same time; what they hand over last is
 * written too, within limits.
 */
static void
writer_drain(void)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													WRITER_DRAIN_SECONDS * 1000);

	while (writer_receivers_run() && GetCurrentTimestamp() < until)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 50, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	while (writer.configured && !writer_write_finished() && GetCurrentTimestamp() < until)
		pg_usleep(100000);
	writer_save_state();
}

static void
writer_sleep(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 WRITER_TICK, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	writer_check_interrupts();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

static void
writer_stop(int code, Datum arg)
{
	LWLockReleaseAll();
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->writer_pid = 0;
	shared->writer_latch = NULL;
	shared->collecting = false;
	if (shared->launcher_latch)
		SetLatch(shared->launcher_latch);
	LWLockRelease(shared->lock);
}

/* The database that the launcher has found; waits, without a connection. */
static Oid
writer_wait_for_database(void)
{
	for (;;)
	{
		Oid			database;

		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		database = shared->database;
		shared->database = InvalidOid;
		if (OidIsValid(database))
			shared->writer_pid = MyProcPid;
		LWLockRelease(shared->lock);
		if (OidIsValid(database))
			return database;

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, 0, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		if (ShutdownRequestPending)
			proc_exit(1);
	}
}

static void
writer_set(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_USERSET, PGC_S_OVERRIDE);
}

static void
writer_connect(void)
{
	before_shmem_exit(writer_stop, (Datum) 0);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->writer_latch = MyLatch;
	LWLockRelease(shared->lock);

	BackgroundWorkerInitializeConnectionByOid(writer_wait_for_database(), InvalidOid, 0);

	/* What a database's own settings could bring in. */
	writer_set("search_path", "pg_catalog, pg_temp");
	writer_set("default_transaction_isolation", "read committed");
	writer_set("default_transaction_read_only", "off");
	writer_set("default_transaction_deferrable", "off");
	writer_set("statement_timeout", "0");
	/* A table that is locked must not keep us from following the configuration. */
	writer_set("lock_timeout", "1000");
}

void
lastfluss_writer_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	writer_connect();
	writer.context = AllocSetContextCreate(TopMemoryContext, "lastfluss writer",
										   ALLOCSET_DEFAULT_SIZES);
	writer_recover();
	/* What a writer before us could not do, we have not tried yet. */
	shared_set_error(NULL);

	while (!ShutdownRequestPending)
	{
		writer_round();
		writer_sleep();
	}
	if (writer_server_is_stopping())
		writer_drain();
	proc_exit(1);
}
