/*
 * maintenance.c
 *	  What the tables need beside their rows: partitions ahead, rollups, retention,
 *	  and upgrade_table().
 *
 * All of it is done in short transactions, one after the other, each of which
 * leaves the tables right.  Locks that others would wait for are not waited for
 * long: what does not get one is tried again in the next round.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "citus.h"
#include "compat.h"
#include "lastfluss.h"
#include "parcel.h"
#include "retention.h"
#include "rollup.h"
#include "session.h"
#include "shared.h"
#include "table.h"
#include "traffic.h"
#include "upgrade.h"

#define MAINTENANCE_TICKS			5	/* rests between two rounds, at the most */
#define MAINTENANCE_REST			1000	/* milliseconds; DROP DATABASE gives up after 5000 */
#define MAINTENANCE_AHEAD_SECONDS	600 /* partitions are made ahead after so many */
#define MAINTENANCE_SUMMARIZE_SECONDS 5	/* indexes are brought up to date after so many */
#define MAINTENANCE_COUNTER_SECONDS	600 /* counters are looked at after so many */

/* A piece of work; its name is that in lastfluss._maintenance. */
typedef struct MaintenanceTask
{
	const char *name;
	const char *what;			/* "could not ..." */
	bool		(*work) (void); /* in a transaction; true: there is more */
	bool		failing;
	char		logged[SHARED_ERROR_SIZE];	/* the error that the log has */
	TimestampTz noted_at;		/* when its last run was noted */
} MaintenanceTask;

typedef struct Maintenance
{
	Settings	settings;		/* as of this transaction */
	Oid			traffic;		/* InvalidOid: it is not there */
	TimestampTz ahead_at;		/* when partitions are to be made ahead */
	Oid			ahead_for;		/* the table that this was done for */
	TimestampTz summarize_at;	/* when indexes are to be brought up to date */
	TimestampTz counters_at;	/* when old counters are to be deleted */
} Maintenance;

static Maintenance maintenance;

static void
maintenance_leave_when_ended(void)
{
	session_check_interrupts();
	if (ShutdownRequestPending)
		proc_exit(1);
}

/*
 * What is noted of a task.
 */

static void
maintenance_note(const MaintenanceTask *task, const char *error)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {
		CStringGetTextDatum(task->name),
		error ? CStringGetTextDatum(error) : (Datum) 0
	};
	char		nulls[] = {' ', error ? ' ' : 'n'};

	if (SPI_execute_with_args("INSERT INTO lastfluss._maintenance AS m (task, last_run, last_error, error_at)"
							  " VALUES ($1, pg_catalog.now(), $2, CASE WHEN $2 IS NOT NULL THEN pg_catalog.now() END)"
							  " ON CONFLICT (task) DO UPDATE SET last_error = excluded.last_error,"
							  " error_at = CASE WHEN excluded.last_error = m.last_error THEN m.error_at ELSE excluded.error_at END,"
							  " last_run = CASE WHEN excluded.last_error IS NULL THEN excluded.last_run ELSE m.last_run END",
							  lengthof(types), types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not note the result of a task");
}

typedef struct MaintenanceError
{
	const MaintenanceTask *task;
	const char *text;
} MaintenanceError;

static void
maintenance_note_error(void *argument)
{
	const MaintenanceError *error = argument;

	if (launcher_hold_extension())
		maintenance_note(error->task, error->text);
}

static void
maintenance_report(MaintenanceTask *task, const ErrorData *error)
{
	char		text[SHARED_ERROR_SIZE];
	MaintenanceError note = {.task = task,.text = text};

	session_error_text(task->what, error, text);
	/* The table it is noted in may be gone, or locked: then the log has to do. */
	(void) session_try("note an error", maintenance_note_error, NULL, &note);
	/* A lock is gone by the next round; where it is not, the doctor tells. */
	if (session_is_lock_error(error) || strcmp(text, task->logged) == 0)
		return;
	strlcpy(task->logged, text, sizeof(task->logged));
	session_log_error(LOG_RANK_WARNING, task->what, error);
}

/* An error is over when what failed has worked. */
static void
maintenance_report_success(MaintenanceTask *task)
{
	if (task->logged[0] != '\0')
		ereport(lastfluss_elevel(LOG_RANK_INFO),
				(errmsg("lastfluss: could %s again", task->what)));
	task->logged[0] = '\0';
	task->failing = false;
}

/* The settings and the table as they are now; false where there is nothing to do. */
static bool
maintenance_look(void)
{
	const char *schema;
	const char *relation;

	maintenance.traffic = InvalidOid;
	if (!launcher_hold_extension())
		return false;
	version_log();
	if (!on_citus_leader())
		return false;
	config_read_settings(&maintenance.settings);
	table_split_name(maintenance.settings.table, &schema, &relation);
	maintenance.traffic = get_relname_relid(relation, get_namespace_oid(schema, true));
	return OidIsValid(maintenance.traffic);
}

/* That it works is noted when it had failed, and once a minute. */
static void
maintenance_note_success(MaintenanceTask *task)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	if (!task->failing && now < TimestampTzPlusMilliseconds(task->noted_at, 60000))
		return;
	maintenance_note(task, NULL);
	task->noted_at = now;
}

typedef struct MaintenanceRun
{
	MaintenanceTask *task;
	bool		more;			/* to do at once */
} MaintenanceRun;

static void
maintenance_work(void *argument)
{
	MaintenanceRun *run = argument;

	if (maintenance_look())
	{
		run->more = run->task->work();
		maintenance_note_success(run->task);
	}
	else
		run->task->noted_at = 0;
}

static void
maintenance_failed(const ErrorData *error, void *argument)
{
	MaintenanceRun *run = argument;

	run->task->failing = true;
	maintenance_report(run->task, error);
}

/* Runs a task once; true when there is more of it to do at once. */
static bool
maintenance_run(MaintenanceTask *task)
{
	MaintenanceRun run = {.task = task};

	maintenance_leave_when_ended();
	if (!session_try(task->what, maintenance_work, maintenance_failed, &run))
		return false;
	maintenance_report_success(task);
	return run.more;
}

/*
 * Tasks.
 */

static bool
maintenance_make_ahead(void)
{
	Oid			health;

	if (maintenance.traffic == maintenance.ahead_for &&
		GetCurrentTransactionStartTimestamp() < maintenance.ahead_at)
		return false;
	traffic_prepare_ahead(maintenance.traffic);
	health = traffic_health_find(maintenance.traffic);
	if (OidIsValid(health))
		traffic_health_prepare_ahead(health);
	maintenance.ahead_for = maintenance.traffic;
	maintenance.ahead_at = TimestampTzPlusMilliseconds(GetCurrentTransactionStartTimestamp(),
													   MAINTENANCE_AHEAD_SECONDS * 1000);
	return false;
}

static Rollups
maintenance_rollups(void)
{
	Rollups		rollups = {
		.traffic = maintenance.traffic,
		.period = maintenance.settings.period,
		.keep_top = maintenance.settings.rollup_keep_top,
		.keep_top_share = maintenance.settings.keep_top_share
	};

	rollup_read(&rollups);
	return rollups;
}

/*
 * Late rows first: the next level is made from what they change.  Where rollups
 * are off, notes are kept for what was done.
 */
static bool
maintenance_roll_up(RollupLevel level)
{
	/* before the snapshots of what follows */
	TimestampTz until = Min(rollup_written_until(), parcel_arrived_until());
	Rollups		rollups = maintenance_rollups();

	if (!maintenance.settings.rollups)
	{
		rollup_forget_undone(&rollups, level);
		return false;
	}
	rollup_prepare(&rollups, level);
	if (rollup_redo(&rollups, level) == ROLLUP_MORE)
		return true;
	return rollup_advance(&rollups, level, until) == ROLLUP_MORE;
}

/* Before a step, and not for each: new rows are few while the next minutes go by. */
static bool
maintenance_summarize(void)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Rollups		rollups;

	if (!maintenance.settings.rollups || now < maintenance.summarize_at)
		return false;
	rollups = maintenance_rollups();
	rollup_summarize(&rollups, ROLLUP_RAW);
	rollup_summarize(&rollups, ROLLUP_5M);
	rollup_summarize(&rollups, ROLLUP_1H);
	maintenance.summarize_at = TimestampTzPlusMilliseconds(now, MAINTENANCE_SUMMARIZE_SECONDS * 1000);
	return false;
}

static bool
maintenance_roll_up_5m(void)
{
	return maintenance_roll_up(ROLLUP_5M);
}

static bool
maintenance_roll_up_1h(void)
{
	return maintenance_roll_up(ROLLUP_1H);
}

static bool
maintenance_roll_up_1d(void)
{
	return maintenance_roll_up(ROLLUP_1D);
}

static bool
maintenance_delete_counters(void)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	if (now < maintenance.counters_at)
		return false;
	if (retention_delete_counters(maintenance.settings.retention[ROLLUP_RAW]))
		return true;
	maintenance.counters_at = TimestampTzPlusMilliseconds(now, MAINTENANCE_COUNTER_SECONDS * 1000);
	return false;
}

static bool
maintenance_drop_old(void)
{
	char	  **retention = maintenance.settings.retention;
	Rollups		rollups = maintenance_rollups();

	if (maintenance.settings.rollups && retention_add_late(&rollups))
		return true;
	return retention_drop(&rollups, retention, maintenance.settings.rollups) ||
		retention_drop_health(traffic_health_find(maintenance.traffic), retention[ROLLUP_RAW]) ||
		maintenance_delete_counters();
}

static bool
maintenance_upgrade(void)
{
	return upgrade_step(maintenance.traffic);
}

static MaintenanceTask maintenance_tasks[] = {
	{.name = "partitions",.what = "make partitions ahead",.work = maintenance_make_ahead},
	{.name = "indexes",.what = "bring indexes up to date",.work = maintenance_summarize},
	{.name = "rollup 5m",.what = "sum up 5 minutes",.work = maintenance_roll_up_5m},
	{.name = "rollup 1h",.what = "sum up hours",.work = maintenance_roll_up_1h},
	{.name = "rollup 1d",.what = "sum up days",.work = maintenance_roll_up_1d},
	{.name = "retention",.what = "drop what is old",.work = maintenance_drop_old},
	{.name = "upgrade",.what = "move a table",.work = maintenance_upgrade}
};

/*
 * The loop.
 */

/* True when there is more to do at once. */
static bool
maintenance_round(void)
{
	bool		more = false;

	for (int i = 0; i < (int) lengthof(maintenance_tasks); i++)
	{
		session_leave_when_asked();
		more = maintenance_run(&maintenance_tasks[i]) || more;
	}
	return more;
}

/* True when somebody woke us. */
static bool
maintenance_sleep(long milliseconds)
{
	bool		woken = session_sleep(milliseconds);

	maintenance_leave_when_ended();
	return woken;
}

/* Until there may be something to do again. */
static void
maintenance_rest(void)
{
	for (int i = 0; i < MAINTENANCE_TICKS && !maintenance_sleep(MAINTENANCE_REST); i++)
		session_leave_when_asked();
}

static void
maintenance_settle(void)
{
	session_set("timezone", "UTC");
	session_set("datestyle", "ISO");
	/* Rows that a policy hides would be missing: an error is better. */
	session_set("row_security", "off");
	/* Who waits for a strong lock makes all others wait behind. */
	session_set("lock_timeout", "200");
	/* Two cores are for the collector; a bucket's groups should stay in memory. */
	session_set("max_parallel_workers_per_gather", "0");
	session_set("work_mem", "65536");
	session_set("jit", "off");
	/* Times follow one another in our tables, which the planner learns from ANALYZE only. */
	session_set("enable_seqscan", "off");
}

void
lastfluss_maintenance_main(Datum arg)
{
	session_start(&shared->maintenance);
	maintenance_settle();
	for (;;)
	{
		if (maintenance_round())
			(void) maintenance_sleep(0);
		else
			maintenance_rest();
	}
}
