/*
 * copy.c
 *	  An interval of its own, copied out of shared memory.
 *
 * The receiver waits while somebody holds its lock, so paths are copied in pieces.
 * They stay at their place and only grow, until the buffer gets another interval:
 * each piece begins with the question whether it still has this one.
 */
#include "postgres.h"

#include "storage/shmem.h"

#include "copy.h"
#include "rows.h"
#include "shared.h"

#define COPY_PIECE	8192		/* paths */

typedef struct CopySource
{
	LWLock	   *lock;
	const FlowInterval *interval;
} CopySource;

/* With the lock held; a buffer that was never used has the number 0. */
static bool
copy_is_there(const CopySource *source, uint64 sequence)
{
	return sequence != 0 && source->interval->sequence == sequence;
}

/* Everything but the content of paths, names and health rows. */
static bool
copy_head(const CopySource *source, uint64 sequence, IntervalCopy *copy)
{
	const FlowInterval *interval = source->interval;
	bool		there;

	LWLockAcquire(source->lock, LW_SHARED);
	there = copy_is_there(source, sequence ? sequence : interval->sequence);
	copy->sequence = interval->sequence;
	copy->start = interval->start;
	copy->period = interval->period;
	copy->finished = interval->state != INTERVAL_OPEN;
	copy->folded = aggregate_folded(interval->sums);
	copy->path_count = aggregate_count(interval->sums);
	copy->noted = interval->health->noted;
	copy->health_count = copy->noted ? interval->health->count : 0;
	LWLockRelease(source->lock);
	return there;
}

static bool
copy_piece(const CopySource *source, const IntervalCopy *copy, uint32 from, AggregateRow *paths)
{
	uint32		count = Min(copy->path_count - from, COPY_PIECE);
	bool		there;

	LWLockAcquire(source->lock, LW_SHARED);
	there = copy_is_there(source, copy->sequence);
	if (there)
		memcpy(paths + from, aggregate_rows(source->interval->sums) + from,
			   count * sizeof(AggregateRow));
	LWLockRelease(source->lock);
	return there;
}

static bool
copy_paths(const CopySource *source, IntervalCopy *copy)
{
	AggregateRow *paths = palloc_extended(mul_size(Max(copy->path_count, 1), sizeof(AggregateRow)),
										  MCXT_ALLOC_HUGE);

	copy->paths = paths;
	for (uint32 from = 0; from < copy->path_count; from += COPY_PIECE)
	{
		if (!copy_piece(source, copy, from, paths))
			return false;
	}
	return true;
}

static bool
copy_health(const CopySource *source, IntervalCopy *copy)
{
	bool		there;

	LWLockAcquire(source->lock, LW_SHARED);
	there = copy_is_there(source, copy->sequence);
	if (there && copy->health_count > 0)
		memcpy(copy->health, source->interval->health->rows,
			   copy->health_count * sizeof(HealthRow));
	LWLockRelease(source->lock);
	return there;
}

/* By a pointer that is not yet right; returns whether that is new. */
static bool
copy_mark_name(IntervalCopy *copy, char **names, uint32 number)
{
	if (number == AGGREGATE_NO_INTERFACE || names[number] != NULL)
		return false;
	names[number] = (char *) names;
	copy->name_count = Max(copy->name_count, number + 1);
	return true;
}

/* Marks the names that paths have. */
static uint32
copy_mark_names(IntervalCopy *copy, char **names)
{
	uint32		used = 0;

	for (uint32 i = 0; i < copy->path_count; i++)
	{
		uint64		place = aggregate_row_place(&copy->paths[i]);

		used += copy_mark_name(copy, names, aggregate_ingress(place));
		used += copy_mark_name(copy, names, aggregate_egress(place));
	}
	return used;
}

/* One piece of memory has the pointers, then what they point to. */
static void
copy_names(IntervalCopy *copy)
{
	char	  **marked = palloc0(SHARED_MAX_NAMES * sizeof(char *));
	uint32		used = copy_mark_names(copy, marked);
	Size		pointers = copy->name_count * sizeof(char *);
	char	   *next;

	copy->names = palloc(pointers + used * SHARED_NAME_SIZE);
	next = (char *) copy->names + pointers;
	LWLockAcquire(shared->lock, LW_SHARED);
	for (uint32 i = 0; i < copy->name_count; i++)
	{
		copy->names[i] = marked[i] ? next : NULL;
		if (marked[i] == NULL)
			continue;
		memcpy(next, shared->names[i].name, SHARED_NAME_SIZE);
		next += SHARED_NAME_SIZE;
	}
	LWLockRelease(shared->lock);
	pfree(marked);
}

/* All that hangs on it; health comes last, and tells that the names were right. */
static bool
copy_contents(const CopySource *source, IntervalCopy *copy)
{
	copy->health = palloc(Max(copy->health_count, 1) * sizeof(HealthRow));
	if (!copy_paths(source, copy))
		return false;
	copy_names(copy);
	return copy_health(source, copy);
}

bool
copy_interval(int receiver, int buffer, uint64 sequence, IntervalCopy *copy)
{
	CopySource	source = {
		.lock = shared->receiver_locks[receiver],
		.interval = &shared->receivers[receiver].intervals->all[buffer]
	};

	memset(copy, 0, sizeof(*copy));
	copy->run = shared->run;
	copy->receiver = receiver;
	if (!copy_head(&source, sequence, copy))
		return false;
	if (copy_contents(&source, copy))
		return true;
	copy_free(copy);
	return false;
}

void
copy_read_rows(IntervalCopy *copy)
{
	copy->rows = palloc_extended(mul_size(2 * (Size) copy->path_count + 1, sizeof(AggregateEntry)),
								 MCXT_ALLOC_HUGE);
	copy->count = rows_of_paths(copy->paths, copy->path_count, copy->rows);
}

void
copy_free(IntervalCopy *copy)
{
	if (copy->paths)
		pfree(unconstify(AggregateRow *, copy->paths));
	if (copy->rows)
		pfree(copy->rows);
	if (copy->names)
		pfree(copy->names);
	if (copy->health)
		pfree(copy->health);
	copy->paths = NULL;
	copy->rows = NULL;
	copy->names = NULL;
	copy->health = NULL;
}
