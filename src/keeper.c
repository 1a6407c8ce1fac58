/*
 * keeper.c
 *	  Keeps on disk what memory alone would lose.
 *
 * Every few seconds it saves the intervals that are not written yet, each in a
 * file (spool.c), and what the receivers have learned (state.c): so much, and no
 * more, is missing after a crash of the server.  The next run of the server finds
 * the files, and its writer writes what _written does not have.
 *
 * When a receiver runs low of buffers, the oldest finished intervals are left to
 * their files alone, within a limit, and their buffers are FREE again.  The writer
 * reads such an interval from its file when its turn comes.
 *
 * A file is removed some time after its interval was written: a query whose
 * snapshot is older may still want to read it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "copy.h"
#include "file.h"
#include "lastfluss.h"
#include "shared.h"
#include "spool.h"

/* Milliseconds. */
#define KEEPER_TICK			1000	/* to sleep at the most */
#define KEEPER_SAVE			3000	/* intervals are saved after so many */
#define KEEPER_STATE		5000	/* what was learned, likewise */
#define KEEPER_GRACE		10000	/* a file stays so long, at least, when it is done */
#define KEEPER_DRAIN		20000	/* what a shutdown waits for the other workers */

#define KEEPER_FREE			2		/* buffers that a receiver should have */

/*
 * What the file of a buffer's interval has.  Sums only grow, so that equal totals
 * mean equal paths.
 */
typedef struct KeeperSaved
{
	uint64		sequence;		/* 0: there is none */
	uint32		closings;
	bool		finished;
	bool		noted;
	uint32		count;
	uint64		bytes;			/* of all paths, modulo 2^64 */
	uint64		packets;
	uint64		flows;
	int64		octets;			/* of the file */
} KeeperSaved;

/* A buffer, as it was at the last look. */
typedef struct KeeperBuffer
{
	IntervalState state;
	uint64		sequence;
	uint32		closings;		/* a finished interval can be opened again */
	KeeperSaved saved;
} KeeperBuffer;

typedef struct KeeperReceiver
{
	KeeperBuffer *buffers;
	uint64		written;		/* the last interval in the table, at the last look */
	uint64		written_before; /* the same, some time ago */
	uint64		removable;		/* the same, KEEPER_GRACE before that */
} KeeperReceiver;

typedef struct Keeper
{
	MemoryContext context;		/* reset after each piece of work */
	KeeperReceiver receivers[SHARED_MAX_RECEIVERS];
	bool		leftovers;		/* of earlier runs: written, at the last look */
	bool		leftovers_before;
	bool		leftovers_removable;
	int64		save_at;
	int64		state_at;
	int64		grace_at;
	int64		sweep_at;
	bool		stale;			/* the directory is to be looked at */
	int64		limit;			/* octets for intervals that are in files alone */
	int64		octets;			/* of these */
	uint32		files;
	int64		denied;			/* octets of one that the limit did not allow */
	bool		over_limit;
	bool		disk_failing;
	bool		directory_failing;
} Keeper;

static Keeper keeper;

/* By a clock that nobody sets. */
static int64
keeper_now(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

static bool
keeper_is_time(int64 *at, int64 now, int64 every)
{
	if (now < *at)
		return false;
	*at = now + every;
	return true;
}

/*
 * Looks at what others do.
 */

static void
keeper_look_at_receiver(int receiver)
{
	KeeperReceiver *mine = &keeper.receivers[receiver];
	const ReceiverShared *source = &shared->receivers[receiver];

	LWLockAcquire(shared->receiver_locks[receiver], LW_SHARED);
	for (int i = 0; i < lastfluss_buffers; i++)
	{
		mine->buffers[i].state = source->intervals->all[i].state;
		mine->buffers[i].sequence = source->intervals->all[i].sequence;
		mine->buffers[i].closings = source->intervals->all[i].closings;
	}
	if (mine->written != source->last_written)
		keeper.stale = true;
	mine->written = source->last_written;
	LWLockRelease(shared->receiver_locks[receiver]);
}

static void
keeper_look(void)
{
	bool		leftovers;

	LWLockAcquire(shared->lock, LW_SHARED);
	leftovers = shared->leftovers_written;
	keeper.limit = shared->config.spool_limit;
	LWLockRelease(shared->lock);
	if (leftovers != keeper.leftovers)
		keeper.stale = true;
	keeper.leftovers = leftovers;
	for (int i = 0; i < lastfluss_receivers; i++)
		keeper_look_at_receiver(i);
}

/*
 * Saving.
 */

static KeeperSaved
keeper_summary(const IntervalCopy *copy)
{
	KeeperSaved saved = {
		.sequence = copy->sequence,
		.finished = copy->finished,
		.noted = copy->noted,
		.count = copy->path_count
	};

	for (uint32 i = 0; i < copy->path_count; i++)
	{
		const AggregateRow *path = &copy->paths[i];

		saved.bytes += path->bytes;
		saved.packets += path->packets;
		saved.flows += path->place_flows & AGGREGATE_MAX_FLOWS;
	}
	return saved;
}

static bool
keeper_equal(const KeeperSaved *a, const KeeperSaved *b)
{
	return a->sequence == b->sequence && a->finished == b->finished &&
		a->noted == b->noted && a->count == b->count && a->bytes == b->bytes &&
		a->packets == b->packets && a->flows == b->flows;
}

static bool
keeper_has_finished(const KeeperBuffer *buffer)
{
	return buffer->saved.finished && buffer->saved.sequence == buffer->sequence &&
		buffer->saved.closings == buffer->closings;
}

static void
keeper_report_disk(void)
{
	if (!keeper.disk_failing)
		ereport(lastfluss_elevel(LOG_RANK_ERROR),
				(errcode_for_file_access(),
				 errmsg("lastfluss: could not save an interval to a file: %m"),
				 errdetail("Intervals stay in memory, which a crash of the server would lose.  When its buffers are used up, all traffic is counted in the newest interval: nothing is lost, but its time is coarser."),
				 errhint("Make room for the directory \"%s\" in the data directory.", FILE_DIRECTORY)));
	keeper.disk_failing = true;
}

/* Brings the file up to date; false where the disk does not take it. */
static bool
keeper_save_copy(KeeperBuffer *buffer, const IntervalCopy *copy)
{
	KeeperSaved now = keeper_summary(copy);

	now.octets = buffer->saved.octets;
	now.closings = buffer->closings;
	if (!keeper_equal(&now, &buffer->saved) && !spool_save(copy, &now.octets))
	{
		keeper_report_disk();
		return false;
	}
	buffer->saved = now;
	return true;
}

static bool
keeper_save_buffer(int receiver, int number)
{
	KeeperBuffer *buffer = &keeper.receivers[receiver].buffers[number];
	MemoryContext old = MemoryContextSwitchTo(keeper.context);
	IntervalCopy copy;
	bool		good = true;

	if (!keeper_has_finished(buffer) &&
		copy_interval(receiver, number, buffer->sequence, &copy))
		good = keeper_save_copy(buffer, &copy);
	MemoryContextSwitchTo(old);
	MemoryContextReset(keeper.context);
	return good;
}

/* All that is in memory; what has not changed is not written again. */
static void
keeper_save_intervals(void)
{
	bool		good = true;

	for (int i = 0; i < lastfluss_receivers; i++)
	{
		/* The receivers before this one have taken their time. */
		keeper_look_at_receiver(i);
		for (int j = 0; j < lastfluss_buffers; j++)
		{
			if (keeper.receivers[i].buffers[j].state != INTERVAL_FREE)
				good = keeper_save_buffer(i, j) && good;
		}
	}
	if (good && keeper.disk_failing)
	{
		keeper.disk_failing = false;
		ereport(lastfluss_elevel(LOG_RANK_INFO),
				(errmsg("lastfluss: intervals can be saved to files again")));
	}
}

static void
keeper_save_state(void)
{
	MemoryContext old = MemoryContextSwitchTo(keeper.context);

	for (int i = 0; i < lastfluss_receivers; i++)
	{
		state_save(i);
		MemoryContextReset(keeper.context);
	}
	MemoryContextSwitchTo(old);
}

/*
 * Giving buffers back.
 */

static int
keeper_count_free(const KeeperReceiver *mine)
{
	int			count = 0;

	for (int i = 0; i < lastfluss_buffers; i++)
		count += mine->buffers[i].state == INTERVAL_FREE;
	return count;
}

/* The finished interval that the writer will come to first; -1: none. */
static int
keeper_oldest_ready(const KeeperReceiver *mine)
{
	int			oldest = -1;

	for (int i = 0; i < lastfluss_buffers; i++)
	{
		const KeeperBuffer *buffer = &mine->buffers[i];

		if (buffer->state == INTERVAL_READY &&
			(oldest < 0 || buffer->sequence < mine->buffers[oldest].sequence))
			oldest = i;
	}
	return oldest;
}

/* Is there room within the limit for one more that is in its file alone? */
static bool
keeper_is_allowed(int64 octets)
{
	if (keeper.octets + octets <= keeper.limit)
		return true;
	keeper.denied = octets;
	return false;
}

/* Only if the writer has not taken it by now. */
static void
keeper_free_buffer(int receiver, int number)
{
	KeeperBuffer *buffer = &keeper.receivers[receiver].buffers[number];
	FlowInterval *interval = &shared->receivers[receiver].intervals->all[number];
	bool		given;

	LWLockAcquire(shared->receiver_locks[receiver], LW_EXCLUSIVE);
	given = interval->state == INTERVAL_READY && interval->sequence == buffer->sequence &&
		interval->closings == buffer->closings;
	if (given)
		interval->state = INTERVAL_FREE;
	LWLockRelease(shared->receiver_locks[receiver]);
	if (!given)
		return;
	keeper.octets += buffer->saved.octets;
	keeper.files++;
	ereport(lastfluss_elevel(LOG_RANK_DEBUG),
			(errmsg("lastfluss: interval " UINT64_FORMAT " of receiver %d waits in a file",
					buffer->sequence, receiver)));
}

/*
 * One step; true when it has given a buffer back, or somebody else did.  With one
 * FREE buffer left there is time: the writer may be just about to come.
 */
static bool
keeper_relieve_once(int receiver)
{
	KeeperReceiver *mine = &keeper.receivers[receiver];
	int			count = keeper_count_free(mine);
	int			oldest = keeper_oldest_ready(mine);
	KeeperBuffer *buffer;

	if (count >= KEEPER_FREE || oldest < 0)
		return false;
	buffer = &mine->buffers[oldest];
	if (!keeper_has_finished(buffer) && (count > 0 || !keeper_save_buffer(receiver, oldest)))
		return false;
	if (keeper_has_finished(buffer))
	{
		if (!keeper_is_allowed(buffer->saved.octets))
			return false;
		keeper_free_buffer(receiver, oldest);
	}
	keeper_look_at_receiver(receiver);
	return true;
}

/* Receivers that run low get buffers back. */
static void
keeper_relieve(void)
{
	bool		given = false;

	for (int i = 0; i < lastfluss_receivers; i++)
	{
		while (keeper_relieve_once(i))
			given = true;
	}
	if (given)
		shared_wake_receivers();
}

/*
 * The directory.
 */

static bool
keeper_is_in_buffer(const KeeperReceiver *mine, uint64 sequence)
{
	for (int i = 0; i < lastfluss_buffers; i++)
	{
		if (mine->buffers[i].sequence == sequence && mine->buffers[i].state != INTERVAL_FREE)
			return true;
	}
	return false;
}

static bool
keeper_is_removable(const SpoolName *name)
{
	if (name->run != shared->run)
		return keeper.leftovers_removable;
	return name->sequence <= keeper.receivers[name->receiver].removable;
}

/* Is the interval in this file alone, and not in the table? */
static bool
keeper_is_waiting(const SpoolName *name)
{
	const KeeperReceiver *mine;

	if (name->run != shared->run)
		return !keeper.leftovers;
	mine = &keeper.receivers[name->receiver];
	return name->sequence > mine->written && !keeper_is_in_buffer(mine, name->sequence);
}

static void
keeper_report_directory(bool failing)
{
	if (failing && !keeper.directory_failing)
		ereport(lastfluss_elevel(LOG_RANK_ERROR),
				(errcode_for_file_access(),
				 errmsg("lastfluss: could not read directory \"%s\": %m", FILE_DIRECTORY)));
	keeper.directory_failing = failing;
}

/* Removes what is done and counts what waits. */
static void
keeper_sweep(void)
{
	MemoryContext old = MemoryContextSwitchTo(keeper.context);
	uint32		count;
	SpoolFile  *files = spool_try_list(&count);

	keeper_report_directory(files == NULL);
	if (files == NULL)
	{
		/* What was counted before stands, and is looked at again. */
		MemoryContextSwitchTo(old);
		return;
	}
	keeper.octets = 0;
	keeper.files = 0;
	for (uint32 i = 0; i < count; i++)
	{
		const SpoolName *name = &files[i].name;

		/* No file of this run can have such a number. */
		if (name->run == shared->run && name->receiver >= lastfluss_receivers)
			continue;
		if (keeper_is_removable(name))
			spool_remove(name);
		else if (keeper_is_waiting(name))
		{
			keeper.octets += files[i].octets;
			keeper.files++;
		}
	}
	keeper.stale = false;
	MemoryContextSwitchTo(old);
	MemoryContextReset(keeper.context);
}

/* What was done at the last call has been so for KEEPER_GRACE by now. */
static void
keeper_advance(void)
{
	for (int i = 0; i < lastfluss_receivers; i++)
	{
		KeeperReceiver *mine = &keeper.receivers[i];

		if (mine->removable != mine->written_before)
			keeper.stale = true;
		mine->removable = mine->written_before;
		mine->written_before = mine->written;
	}
	if (keeper.leftovers_removable != (keeper.leftovers_before && keeper.leftovers))
		keeper.stale = true;
	keeper.leftovers_removable = keeper.leftovers_before && keeper.leftovers;
	keeper.leftovers_before = keeper.leftovers;
}

static void
keeper_report_limit(bool over)
{
	if (over == keeper.over_limit)
		return;
	keeper.over_limit = over;
	if (over)
		ereport(lastfluss_elevel(LOG_RANK_ERROR),
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("lastfluss: the files of intervals that wait to be written have reached the limit"),
				 errdetail("Intervals stay in memory now.  When its buffers are used up, all traffic is counted in the newest interval: nothing is lost, but its time is coarser."),
				 errhint("Mend what keeps the writer from writing (lastfluss.status tells it), or raise the setting \"spool_limit\".")));
	else
		ereport(lastfluss_elevel(LOG_RANK_INFO),
				(errmsg("lastfluss: the files of intervals that wait to be written are below the limit again")));
}

/* Is no interval finished and not written? */
static bool
keeper_nothing_waits(void)
{
	for (int i = 0; i < lastfluss_receivers; i++)
	{
		for (int j = 0; j < lastfluss_buffers; j++)
		{
			IntervalState state = keeper.receivers[i].buffers[j].state;

			if (state == INTERVAL_READY || state == INTERVAL_WRITING)
				return false;
		}
	}
	return keeper.files == 0;
}

static void
keeper_publish(void)
{
	if (keeper.octets + keeper.denied <= keeper.limit || keeper_nothing_waits())
		keeper.denied = 0;
	keeper_report_limit(keeper.denied > 0);

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->spool_octets = keeper.octets;
	shared->spool_files = keeper.files;
	shared->spool_full = keeper.over_limit || keeper.disk_failing;
	LWLockRelease(shared->lock);
}

/*
 * The loop.
 */

static void
keeper_round(void)
{
	int64		now = keeper_now();

	keeper_look();
	if (keeper_is_time(&keeper.grace_at, now, KEEPER_GRACE))
		keeper_advance();
	/* Not for each interval, while the writer works off many. */
	if (keeper.stale && keeper_is_time(&keeper.sweep_at, now, KEEPER_TICK))
		keeper_sweep();
	keeper_relieve();
	if (keeper_is_time(&keeper.save_at, now, KEEPER_SAVE))
		keeper_save_intervals();
	if (keeper_is_time(&keeper.state_at, now, KEEPER_STATE))
		keeper_save_state();
	keeper_publish();
}

static bool
keeper_others_run(void)
{
	bool		run;

	LWLockAcquire(shared->lock, LW_SHARED);
	run = shared->writer.pid != 0;
	LWLockRelease(shared->lock);
	for (int i = 0; i < lastfluss_receivers && !run; i++)
	{
		LWLockAcquire(shared->receiver_locks[i], LW_SHARED);
		run = shared->receivers[i].pid != 0;
		LWLockRelease(shared->receiver_locks[i]);
	}
	return run;
}

static long
keeper_timeout(void)
{
	int64		left = keeper.save_at - keeper_now();

	return (long) Max(0, Min(left, KEEPER_TICK));
}

static void
keeper_sleep(long milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 milliseconds, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/*
 * The server stops: the receivers close their intervals, the writer writes what
 * it can, and what is left then is for the next run.  No query reads files now.
 */
static void
keeper_wait_for_others(void)
{
	int64		until = keeper_now() + KEEPER_DRAIN;

	while (keeper_others_run() && keeper_now() < until)
		keeper_sleep(50);
}

static void
keeper_finish(void)
{
	bool		stopping = lastfluss_server_is_stopping();

	if (stopping)
		keeper_wait_for_others();
	keeper_look();
	keeper_save_intervals();
	keeper_save_state();
	if (!stopping)
		return;
	for (int i = 0; i < lastfluss_receivers; i++)
		keeper.receivers[i].removable = keeper.receivers[i].written;
	keeper.leftovers_removable = keeper.leftovers;
	keeper_sweep();
}

static void
keeper_stop(int code, Datum arg)
{
	LWLockReleaseAll();
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->keeper_latch = NULL;
	LWLockRelease(shared->lock);
}

static void
keeper_start(void)
{
	before_shmem_exit(keeper_stop, (Datum) 0);
	lastfluss_keep_memory();
	keeper.context = AllocSetContextCreate(TopMemoryContext, "lastfluss keeper",
										   ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < lastfluss_receivers; i++)
		keeper.receivers[i].buffers =
			MemoryContextAllocZero(TopMemoryContext, lastfluss_buffers * sizeof(KeeperBuffer));
	keeper.stale = true;
	file_remove_unfinished();

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->keeper_latch = MyLatch;
	LWLockRelease(shared->lock);
}

void
lastfluss_keeper_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	keeper_start();

	while (!ShutdownRequestPending)
	{
		keeper_round();
		keeper_sleep(keeper_timeout());
	}
	keeper_finish();
	proc_exit(1);
}
