/*
 * launcher.c
 *	  Looks for the database, and tells the writer and maintenance when it is there.
 *
 * A worker that connects to a database that does not exist leaves a FATAL line
 * in the log, again at each restart.  So these workers first wait without any
 * connection, and this worker, which is connected to no database but can read
 * the catalogs that all databases share, gives them the OID when there is one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/relcache.h"
#include "utils/wait_event.h"

#include "lastfluss.h"
#include "shared.h"

#define LAUNCHER_INTERVAL	1000	/* milliseconds */

/*
 * Does nobody hold or wait for a lock with which the database could be dropped,
 * moved or used as a template?  Whoever does also wants us to be gone.  Runs in
 * a transaction, which lets the lock go at its end.
 */
bool
launcher_lock_free(Oid database)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
	return LockAcquire(&tag, RowExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Is the extension there, and does nobody drop or alter it?  Until the end of the
 * transaction DROP EXTENSION waits for us then, with its first lock: if it took
 * that of its tables one by one while we take others, it would be a deadlock.
 */
bool
launcher_hold_extension(void)
{
	Oid			extension = get_extension_oid("lastfluss", true);
	LOCKTAG		tag;

	if (!OidIsValid(extension))
		return false;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, extension, 0);
	if (LockAcquire(&tag, AccessShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	AcceptInvalidationMessages();
	return get_extension_oid("lastfluss", true) == extension;
}

/* The database's OID, or InvalidOid where it is missing or takes no connections. */
static Oid
launcher_find_database(const char *name)
{
	Relation	relation = table_open(DatabaseRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			found = InvalidOid;

	ScanKeyInit(&key, Anum_pg_database_datname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	scan = systable_beginscan(relation, DatabaseNameIndexId, criticalSharedRelcachesBuilt,
							  NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (form->datallowconn)
			found = form->oid;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

static bool
launcher_is_without_writer(void)
{
	bool		without;

	LWLockAcquire(shared->lock, LW_SHARED);
	without = shared->writer.pid == 0;
	LWLockRelease(shared->lock);
	return without;
}

/* With the lock held; InvalidOid where there is none. */
static void
launcher_tell(WorkerSeat *seat, Oid database)
{
	seat->database = seat->pid == 0 ? database : InvalidOid;
	if (OidIsValid(seat->database) && seat->latch)
		SetLatch(seat->latch);
}

static void
launcher_look(void)
{
	Oid			database;
	NameData	name;

	StartTransactionCommand();
	namestrcpy(&name, lastfluss_database);
	database = launcher_find_database(NameStr(name));
	if (!OidIsValid(database))
	{
		if (launcher_is_without_writer())
			config_publish_nothing();
	}
	else if (!launcher_lock_free(database))
		database = InvalidOid;
	CommitTransactionCommand();

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	launcher_tell(&shared->writer, database);
	launcher_tell(&shared->maintenance, database);
	LWLockRelease(shared->lock);
}

static bool
launcher_is_needed(void)
{
	bool		needed;

	LWLockAcquire(shared->lock, LW_SHARED);
	needed = shared->writer.pid == 0 || shared->maintenance.pid == 0;
	LWLockRelease(shared->lock);
	return needed;
}

static void
launcher_stop(int code, Datum arg)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher_latch = NULL;
	LWLockRelease(shared->lock);
}

void
lastfluss_launcher_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	before_shmem_exit(launcher_stop, (Datum) 0);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher_latch = MyLatch;
	LWLockRelease(shared->lock);

	while (!ShutdownRequestPending)
	{
		if (launcher_is_needed())
			launcher_look();
		pgstat_report_activity(STATE_IDLE, NULL);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LAUNCHER_INTERVAL, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	proc_exit(1);
}
