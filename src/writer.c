/*
 * writer.c
 *	  Finished intervals into traffic, configuration to the receivers.
 *
 * One interval is one transaction, in which the table _written notes its
 * sequence number: what is noted there is never inserted again (see shared.c).
 * _rollup_dirty gets its time, for the maintenance worker (see rollup.c).
 * Whatever goes wrong, the interval stays where it is, in its buffer or in a
 * file, and is tried again; status tells the error all the while, the log once.
 * What the keeper has saved of earlier runs of the server is written first.
 */
#include "postgres.h"

#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "citus.h"
#include "copy.h"
#include "lastfluss.h"
#include "prefixes.h"
#include "rollup.h"
#include "session.h"
#include "shared.h"
#include "spool.h"
#include "table.h"
#include "top.h"
#include "traffic.h"

#define WRITER_TICK				1000	/* milliseconds to sleep at the most */
#define WRITER_CONFIG_SECONDS	10	/* the configuration is read again after so many */
#define WRITER_OPEN_SECONDS		600 /* tables that were dropped are made again after so many */
#define WRITER_PREFIX_SECONDS	10	/* prefixes that could not be loaded are tried again after so many */
#define WRITER_LOAD_PREFIXES	"load the prefixes"
#define WRITER_DRAIN_SECONDS	10	/* what a shutdown waits for the last intervals */

typedef struct Writer
{
	bool		configured;		/* the extension is there, its settings are known */
	char	   *table;			/* setting "table" */
	MemoryContext interval_context; /* reset after each interval */
	const char *failing;		/* what did not work the last time, or NULL */
	char		logged[SHARED_ERROR_SIZE];	/* the error that the log has */
	TimestampTz config_at;		/* when it is to be read again */
	TimestampTz open_at;		/* when the tables are to be looked for */
	Oid			extension;		/* whose tables these are */
	uint32		keep_top;		/* setting; 0: all */
	uint32		keep_top_share; /* setting; millionths */
	bool		prefixes_wanted;	/* by setting "asn_source" */
	bool		prefixes_loaded;	/* as they are in the table */
	TimestampTz prefixes_at;	/* when they are to be loaded, if they are not */
} Writer;

static Writer writer;

/*
 * Transactions that may fail.
 */

/* Is it the same but for numbers?  Citus tells which shard it was, another one each time. */
static bool
writer_is_logged(const char *text)
{
	const char *logged = writer.logged;

	for (;;)
	{
		text += strspn(text, "0123456789");
		logged += strspn(logged, "0123456789");
		if (*text != *logged)
			return false;
		if (*text == '\0')
			return true;
		text++;
		logged++;
	}
}

/* Says the error in status, and in the log if it was not the last one there. */
static void
writer_report(const char *what, const ErrorData *error)
{
	char		text[SHARED_ERROR_SIZE];

	session_error_text(what, error, text);
	shared_set_error(text);
	writer.failing = what;
	if (writer_is_logged(text))
		return;
	strlcpy(writer.logged, text, sizeof(writer.logged));
	session_log_error(LOG_RANK_ERROR, what, error);
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

typedef struct WriterWork
{
	const char *what;			/* "could not ..." */
	SessionWork work;
	void	   *argument;
} WriterWork;

static void
writer_work(void *argument)
{
	const WriterWork *job = argument;

	job->work(job->argument);
}

static void
writer_failed(const ErrorData *error, void *argument)
{
	const WriterWork *job = argument;

	writer_report(job->what, error);
}

/* Runs "work" in a transaction; false where it failed, and nothing happened. */
static bool
writer_try(const char *what, SessionWork work, void *argument)
{
	WriterWork	job = {.what = what,.work = work,.argument = argument};

	if (!session_try(what, writer_work, writer_failed, &job))
		return false;
	writer_report_success(what);
	return true;
}

/*
 * Intervals.
 */

typedef struct WriterJob
{
	const IntervalCopy *copy;
	uint64		rows;
	bool		extension_missing;	/* dropped: nothing was written */
} WriterJob;

/*
 * Notes the interval as written; false when it was noted before.  The note
 * comes first, so that an interval cannot be inserted twice however its first
 * transaction ended.
 */
static bool
writer_note(const IntervalCopy *copy)
{
	Oid			types[] = {TIMESTAMPTZOID, INT4OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {
		TimestampTzGetDatum(lastfluss_timestamp(copy->run)),
		Int32GetDatum(copy->receiver),
		Int64GetDatum((int64) copy->sequence),
		TimestampTzGetDatum(lastfluss_timestamp(copy->start))
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
writer_insert_interval(void *argument)
{
	WriterJob  *job = argument;
	IntervalCopy copy = *job->copy;
	Oid			table;

	job->extension_missing = !launcher_hold_extension();
	if (job->extension_missing || !writer_note(&copy))
		return;
	copy_read_rows(&copy);
	copy.count = top_keep(copy.rows, copy.count, writer.keep_top, writer.keep_top_share);
	table = traffic_open(writer.table);
	job->rows = traffic_write(table, &copy);
	if (job->rows > 0)
		rollup_note(table, traffic_sane_time(copy.start, copy.period));
	traffic_health_write(traffic_health_open(writer.table, table), &copy);
}

/* Where the next one begins, if it waits in a file. */
static void
writer_note_end(const IntervalCopy *copy)
{
	if (copy->run != shared->run || copy->receiver >= lastfluss_receivers)
		return;
	LWLockAcquire(shared->receiver_locks[copy->receiver], LW_EXCLUSIVE);
	shared->receivers[copy->receiver].written_end = copy->start + copy->period * USECS_PER_SEC;
	LWLockRelease(shared->receiver_locks[copy->receiver]);
}

static void
writer_count(const WriterJob *job, TimestampTz started)
{
	TimestampTz took = GetCurrentTimestamp() - started;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->intervals_written++;
	shared->rows_written += job->rows;
	shared->write_microseconds += (uint64) Max(took, 0);
	shared->last_interval = lastfluss_timestamp(job->copy->start);
	LWLockRelease(shared->lock);
	ereport(lastfluss_elevel(LOG_RANK_DEBUG),
			(errmsg("lastfluss: wrote interval " UINT64_FORMAT " of receiver %d: " UINT64_FORMAT " rows in %.3f ms",
					job->copy->sequence, job->copy->receiver, job->rows, took / 1000.0)));
}

/* False when it could not be written. */
static bool
writer_write_interval(const IntervalCopy *copy)
{
	WriterJob	job = {.copy = copy};
	TimestampTz started = GetCurrentTimestamp();

	if (!writer_try("write an interval", writer_insert_interval, &job) || job.extension_missing)
	{
		writer.config_at = 0;
		return false;
	}
	writer_count(&job, started);
	writer_note_end(copy);
	return true;
}

/*
 * The buffer with that interval, if it is finished, for the writer alone from
 * now on; "*in_memory" tells whether there is one at all.
 */
static int
writer_take_buffer(int receiver, uint64 sequence, bool *in_memory)
{
	Intervals  *intervals = shared->receivers[receiver].intervals;
	int			taken = -1;

	*in_memory = false;
	LWLockAcquire(shared->receiver_locks[receiver], LW_EXCLUSIVE);
	for (uint32 i = 0; i < intervals->count; i++)
	{
		FlowInterval *interval = &intervals->all[i];

		if (interval->sequence != sequence || interval->state == INTERVAL_FREE)
			continue;
		*in_memory = true;
		if (interval->state == INTERVAL_OPEN)
			continue;
		interval->state = INTERVAL_WRITING;
		taken = (int) i;
	}
	/* It may not have been opened yet. */
	if (sequence >= intervals->next_sequence)
		*in_memory = true;
	LWLockRelease(shared->receiver_locks[receiver]);
	return taken;
}

static void
writer_give_buffer(int receiver, int buffer, bool written)
{
	FlowInterval *interval = &shared->receivers[receiver].intervals->all[buffer];

	LWLockAcquire(shared->receiver_locks[receiver], LW_EXCLUSIVE);
	if (written)
		shared->receivers[receiver].last_written = interval->sequence;
	interval->state = written ? INTERVAL_FREE : INTERVAL_READY;
	LWLockRelease(shared->receiver_locks[receiver]);
}

static bool
writer_write_buffer(int receiver, int buffer)
{
	MemoryContext old = MemoryContextSwitchTo(writer.interval_context);
	IntervalCopy copy;
	bool		written = copy_interval(receiver, buffer, 0, &copy) &&
		writer_write_interval(&copy);

	writer_give_buffer(receiver, buffer, written);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer.interval_context);
	return written;
}

typedef struct WriterFile
{
	const SpoolName *name;
	bool		loaded;
	IntervalCopy copy;
} WriterFile;

static void
writer_load_file(void *argument)
{
	WriterFile *file = argument;
	MemoryContext old = MemoryContextSwitchTo(writer.interval_context);

	file->loaded = spool_load(file->name, &file->copy);
	MemoryContextSwitchTo(old);
}

/* One without a file was lost; the next ones are not to wait for it for ever. */
static bool
writer_write_file(const SpoolName *name)
{
	MemoryContext old = MemoryContextSwitchTo(writer.interval_context);
	WriterFile	file = {.name = name};
	bool		written = false;

	if (!writer_try("read an interval from its file", writer_load_file, &file))
		written = false;
	else if (file.loaded)
		written = writer_write_interval(&file.copy);
	else
	{
		ereport(lastfluss_elevel(LOG_RANK_ERROR),
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("lastfluss: interval " UINT64_FORMAT " of receiver %d is lost", name->sequence, name->receiver),
				 errdetail("Its file in the data directory is missing or damaged.")));
		written = true;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer.interval_context);
	return written;
}

typedef enum WriterResult
{
	WRITER_NOTHING,				/* the next interval is not finished */
	WRITER_DONE,
	WRITER_FAILED
} WriterResult;

/* The next interval of a receiver: they are written in the order of their numbers. */
static WriterResult
writer_write_next(int receiver)
{
	ReceiverShared *source = &shared->receivers[receiver];
	uint64		sequence = source->last_written + 1;
	SpoolName	name = {shared->run, receiver, sequence};
	bool		in_memory;
	int			buffer = writer_take_buffer(receiver, sequence, &in_memory);

	if (buffer >= 0)
		return writer_write_buffer(receiver, buffer) ? WRITER_DONE : WRITER_FAILED;
	if (in_memory)
		return WRITER_NOTHING;
	if (!writer_write_file(&name))
		return WRITER_FAILED;
	LWLockAcquire(shared->receiver_locks[receiver], LW_EXCLUSIVE);
	source->last_written = sequence;
	LWLockRelease(shared->receiver_locks[receiver]);
	shared_wake_keeper();
	return WRITER_DONE;
}

typedef struct WriterList
{
	SpoolFile  *files;
	uint32		count;
} WriterList;

static void
writer_list_files(void *argument)
{
	WriterList *list = argument;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	list->files = spool_list(&list->count);
	MemoryContextSwitchTo(old);
}

/*
 * Notes of what was written a year ago, while no file of an earlier run is here; a
 * standby may still have some that it got with its base backup.  A run may have begun
 * long before its last note.
 */
static void
writer_forget_runs(void *argument)
{
	Oid			types[] = {TIMESTAMPTZOID};
	Datum		values[] = {TimestampTzGetDatum(lastfluss_timestamp(shared->run))};

	if (!OidIsValid(get_extension_oid("lastfluss", true)))
		return;
	if (SPI_execute_with_args("DELETE FROM lastfluss._written"
							  " WHERE run < $1 AND coalesce(\"time\", run) < pg_catalog.now() - interval '1 year'",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete notes of earlier runs");
}

/* What is in files of earlier runs; true when all of it is in the table. */
static bool
writer_write_leftovers(void)
{
	WriterList	list = {0};
	bool		found = false;
	bool		written = true;

	if (shared->leftovers_written)
		return true;
	if (!writer_try("list the files of intervals", writer_list_files, &list))
		return false;
	for (uint32 i = 0; i < list.count && written; i++)
	{
		if (list.files[i].name.run != shared->run)
		{
			found = true;
			written = writer_write_file(&list.files[i].name);
		}
		session_check_interrupts();
	}
	if (list.files)
		pfree(list.files);
	if (!written || (!found && !writer_try("forget earlier runs", writer_forget_runs, NULL)))
		return false;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->leftovers_written = true;
	LWLockRelease(shared->lock);
	shared_wake_keeper();
	return true;
}

/* Writes what is finished; false when something could not be written. */
static bool
writer_write_finished(void)
{
	if (!writer_write_leftovers())
		return false;
	for (int receiver = 0; receiver < lastfluss_receivers; receiver++)
	{
		WriterResult result;

		while ((result = writer_write_next(receiver)) == WRITER_DONE)
			session_check_interrupts();
		if (result == WRITER_FAILED)
			return false;
	}
	return true;
}

/* What a writer before us left half done: _written knows whether it is done. */
static void
writer_recover(void)
{
	for (int receiver = 0; receiver < lastfluss_receivers; receiver++)
	{
		Intervals  *intervals = shared->receivers[receiver].intervals;

		LWLockAcquire(shared->receiver_locks[receiver], LW_EXCLUSIVE);
		for (uint32 i = 0; i < intervals->count; i++)
		{
			if (intervals->all[i].state == INTERVAL_WRITING)
				intervals->all[i].state = INTERVAL_READY;
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

/*
 * An error on the way leaves everything as it was.  So does a DROP EXTENSION that is
 * under way: it holds the extension, and waits for whoever reads its tables.
 */
static void
writer_read_config(void *argument)
{
	bool	   *busy = argument;
	Settings	settings;

	*busy = OidIsValid(get_extension_oid("lastfluss", true)) && !launcher_hold_extension();
	if (*busy)
		return;
	if (!config_publish(&settings))
	{
		writer_forget_prefixes();
		writer_set_configured(false);
		return;
	}
	writer_note_begin();
	writer.keep_top = settings.keep_top;
	writer.keep_top_share = settings.keep_top_share;
	writer.prefixes_wanted = settings.as_source != ACCOUNT_AS_EXPORTER;
	if (writer.table == NULL || strcmp(writer.table, settings.table) != 0)
	{
		char	   *table = MemoryContextStrdup(TopMemoryContext, settings.table);

		if (writer.table)
			pfree(writer.table);
		writer.table = table;
		writer.open_at = 0;
	}
	if (writer.extension != get_extension_oid("lastfluss", true))
		writer.open_at = 0;
	writer.extension = get_extension_oid("lastfluss", true);
	writer_set_configured(true);
}

static void
writer_follow_config(void)
{
	bool		changed = pg_atomic_exchange_u32(&shared->config_changed, 0) != 0;
	TimestampTz now = GetCurrentTimestamp();
	bool		busy = false;

	if (!changed && writer.configured && now < writer.config_at)
		return;
	writer.config_at = TimestampTzPlusMilliseconds(now, WRITER_CONFIG_SECONDS * 1000);
	if (!writer_try("read the configuration", writer_read_config, &busy) || busy)
		writer.config_at = 0;
}

static void
writer_make_tables(void *argument)
{
	on_citus_share_tables();
	(void) traffic_health_open(writer.table, traffic_open(writer.table));
}

static void
writer_adopt_shards(void *argument)
{
	on_citus_adopt_shards();
}

/* Before there are rows, so that dashboards find them. */
static void
writer_open_tables(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now < writer.open_at)
		return;
	if (writer_try("make the tables", writer_make_tables, NULL))
	{
		writer.open_at = TimestampTzPlusMilliseconds(now, WRITER_OPEN_SECONDS * 1000);
		shared_wake_maintenance();
		writer_try("have shards belong to the extension", writer_adopt_shards, NULL);
	}
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

static void
writer_round(void)
{
	session_leave_when_asked();
	writer_follow_config();
	if (writer.configured && writer_write_finished())
		writer_open_tables();
	if (writer.configured)
		writer_write_counters();
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
 * A shutdown stops the receivers at the same time; what they hand over last is
 * written too, within limits: what takes too long is cancelled, and the keeper
 * saves it.
 */
static void
writer_drain(void)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													WRITER_DRAIN_SECONDS * 1000);

	session_drain_until(until);
	/* The server sends a standby all there is before it is down. */
	session_set("synchronous_commit", "local");
	enable_timeout_at(STATEMENT_TIMEOUT, until);

	while (writer_receivers_run() && !session_must_stop())
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 50, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	while (writer.configured && !writer_write_finished() && !session_must_stop())
		pg_usleep(100000);
}

static void
writer_stop(int code, Datum arg)
{
	LWLockReleaseAll();
	writer_set_collecting(false);
}

void
lastfluss_writer_main(Datum arg)
{
	before_shmem_exit(writer_stop, (Datum) 0);
	lastfluss_keep_memory();
	session_start(&shared->writer);
	/* A table that is locked must not keep us from following the configuration. */
	session_set("lock_timeout", "1000");
	writer.interval_context = AllocSetContextCreate(TopMemoryContext, "lastfluss interval",
													ALLOCSET_DEFAULT_SIZES);
	writer_recover();
	/* What a writer before us could not do, we have not tried yet. */
	shared_set_error(NULL);

	while (!ShutdownRequestPending)
	{
		writer_round();
		(void) session_sleep(WRITER_TICK);
	}
	if (lastfluss_server_is_stopping())
		writer_drain();
	proc_exit(1);
}
