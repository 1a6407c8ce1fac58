/*
 * intervals.c
 *	  The intervals that are open, and those that wait to be written.
 */
#include "intervals.h"

#include <string.h>

#define INTERVALS_SECOND	INT64_C(1000000)
#define INTERVALS_NONE		UINT32_MAX

/*
 * Memory.
 */

static size_t
intervals_align(size_t size)
{
	return (size + 63) & ~(size_t) 63;
}

static size_t
intervals_head_size(uint32_t buffers)
{
	return intervals_align(sizeof(Intervals) + buffers * sizeof(FlowInterval));
}

size_t
intervals_size(uint32_t buffers, uint32_t max_entries)
{
	return intervals_head_size(buffers) +
		buffers * (intervals_align(sizeof(HealthTable)) +
				   intervals_align(aggregate_size(max_entries)));
}

Intervals *
intervals_init(void *memory, uint32_t buffers, uint32_t max_entries)
{
	Intervals  *intervals = memory;
	char	   *next = (char *) memory + intervals_head_size(buffers);

	memset(intervals, 0, intervals_head_size(buffers));
	intervals->count = buffers;
	intervals->next_sequence = 1;
	intervals->rule = (IntervalRule) {.period = 60};
	for (uint32_t i = 0; i < buffers; i++)
	{
		intervals->all[i].health = (HealthTable *) next;
		health_reset(intervals->all[i].health);
		next += intervals_align(sizeof(HealthTable));
		intervals->all[i].sums = aggregate_init(next, max_entries);
		next += intervals_align(aggregate_size(max_entries));
	}
	return intervals;
}

/*
 * Rules.
 */

uint32_t
intervals_needed_open(const IntervalRule *rule)
{
	return (uint32_t) (((int64_t) rule->window + rule->period - 1) / rule->period) + 1;
}

uint32_t
intervals_needed(const IntervalRule *rule)
{
	return intervals_needed_open(rule) + 2;
}

int32_t
intervals_longest_window(uint32_t buffers, int32_t period)
{
	int64_t		open = buffers <= 3 ? 1 : (int64_t) buffers - 2;

	if (open > INTERVALS_MAX_OPEN)
		open = INTERVALS_MAX_OPEN;
	open = (open - 1) * period;
	return open > INT32_MAX ? INT32_MAX : (int32_t) open;
}

static int64_t
intervals_period(const Intervals *intervals)
{
	return intervals->rule.period * INTERVALS_SECOND;
}

static int64_t
intervals_window(const Intervals *intervals)
{
	return intervals->rule.window * INTERVALS_SECOND;
}

/*
 * Opening and closing.
 */

static const FlowInterval *
intervals_oldest(const Intervals *intervals)
{
	return &intervals->all[intervals->open[0]];
}

FlowInterval *
intervals_newest(const Intervals *intervals)
{
	if (intervals->open_count == 0)
		return NULL;
	return (FlowInterval *) &intervals->all[intervals->open[intervals->open_count - 1]];
}

/* The one that was used first: the others' sums are still wanted, for queries. */
static uint32_t
intervals_find_free(const Intervals *intervals)
{
	uint32_t	found = INTERVALS_NONE;

	for (uint32_t i = 0; i < intervals->count; i++)
	{
		const FlowInterval *interval = &intervals->all[i];

		if (interval->state == INTERVAL_FREE &&
			(found == INTERVALS_NONE || interval->sequence < intervals->all[found].sequence))
			found = i;
	}
	return found;
}

static uint32_t
intervals_count_free(const Intervals *intervals)
{
	uint32_t	count = 0;

	for (uint32_t i = 0; i < intervals->count; i++)
		count += intervals->all[i].state == INTERVAL_FREE;
	return count;
}

/* False for want of a free buffer. */
static bool
intervals_open(Intervals *intervals, int64_t start, uint64_t generation)
{
	uint32_t	buffer = intervals_find_free(intervals);
	FlowInterval *interval;

	if (buffer == INTERVALS_NONE || intervals->open_count > INTERVALS_MAX_OPEN)
		return false;
	interval = &intervals->all[buffer];
	intervals->folded += aggregate_folded(interval->sums);
	intervals->saturated += aggregate_saturated(interval->sums);
	aggregate_reset(interval->sums);
	health_reset(interval->health);
	interval->state = INTERVAL_OPEN;
	interval->period = intervals->rule.period;
	interval->start = start;
	interval->sequence = intervals->next_sequence++;
	interval->generation = generation;
	intervals->open[intervals->open_count++] = buffer;
	return true;
}

static void
intervals_close_oldest(Intervals *intervals)
{
	intervals->all[intervals->open[0]].state = INTERVAL_READY;
	intervals->all[intervals->open[0]].closings++;
	intervals->open_count--;
	memmove(&intervals->open[0], &intervals->open[1],
			intervals->open_count * sizeof(intervals->open[0]));
}

uint32_t
intervals_close_all(Intervals *intervals)
{
	uint32_t	closed = intervals->open_count;

	while (intervals->open_count > 0)
		intervals_close_oldest(intervals);
	return closed;
}

/* The start of the oldest interval whose window is not over at "now". */
static int64_t
intervals_first_start(const Intervals *intervals, int64_t now)
{
	int64_t		time = now - intervals_window(intervals);

	return time - time % intervals_period(intervals);
}

/* The period has changed, or the clock was set back: what is open does not fit. */
static bool
intervals_misfit(const Intervals *intervals, int64_t now)
{
	return intervals->open_count > 0 &&
		(intervals_newest(intervals)->period != intervals->rule.period ||
		 now < intervals_oldest(intervals)->start);
}

/* Without a free buffer the newest one has to do. */
static uint32_t
intervals_give_up_misfits(Intervals *intervals, int64_t now)
{
	if (!intervals_misfit(intervals, now) || intervals_find_free(intervals) == INTERVALS_NONE)
		return 0;
	return intervals_close_all(intervals);
}

/*
 * Where nothing is open: as far back as the window, and the free buffers, go.
 * What comes now matters more than what comes late.
 */
static int64_t
intervals_start_of_all(const Intervals *intervals, int64_t now)
{
	int64_t		period = intervals_period(intervals);
	int64_t		least = now - now % period -
		((int64_t) intervals_count_free(intervals) - 1) * period;
	int64_t		start = intervals_first_start(intervals, now);

	return start > least ? start : least;
}

static int64_t
intervals_start_of_next(const Intervals *intervals, int64_t now)
{
	int64_t		next = intervals_newest(intervals)->start + intervals_period(intervals);
	int64_t		start = intervals_start_of_all(intervals, now);

	return start > next ? start : next;
}

/*
 * Nothing is open and no buffer FREE: the interval that was finished last, which
 * nobody writes yet, takes in what comes.
 */
static void
intervals_reopen(Intervals *intervals)
{
	for (uint32_t i = 0; i < intervals->count; i++)
	{
		FlowInterval *interval = &intervals->all[i];

		if (interval->state == INTERVAL_READY &&
			interval->sequence + 1 == intervals->next_sequence)
		{
			interval->state = INTERVAL_OPEN;
			intervals->open[intervals->open_count++] = i;
			return;
		}
	}
}

static void
intervals_open_begun(Intervals *intervals, int64_t now, uint64_t generation)
{
	int64_t		period = intervals_period(intervals);
	int64_t		start;

	if (intervals->open_count == 0)
		start = intervals_start_of_all(intervals, now);
	else if (intervals_misfit(intervals, now))
		return;
	else
		start = intervals_start_of_next(intervals, now);
	while (start <= now && intervals_open(intervals, start, generation))
		start += period;
	if (intervals->open_count == 0)
		intervals_reopen(intervals);
}

/* When the window of the oldest one is over. */
static int64_t
intervals_close_time(const Intervals *intervals)
{
	const FlowInterval *oldest = intervals_oldest(intervals);

	return oldest->start + oldest->period * INTERVALS_SECOND + intervals_window(intervals);
}

/* The end of the newest one. */
static int64_t
intervals_open_time(const Intervals *intervals)
{
	const FlowInterval *newest = intervals_newest(intervals);

	return newest->start + newest->period * INTERVALS_SECOND;
}

uint32_t
intervals_turn(Intervals *intervals, int64_t now, uint64_t generation)
{
	uint32_t	closed = intervals_give_up_misfits(intervals, now);

	intervals_open_begun(intervals, now, generation);
	while (intervals->open_count > INTERVALS_MAX_OPEN ||
		   (intervals->open_count > 1 && intervals_close_time(intervals) <= now))
	{
		intervals_close_oldest(intervals);
		closed++;
	}
	return closed;
}

int64_t
intervals_next_turn(const Intervals *intervals)
{
	int64_t		open;
	int64_t		close;

	if (intervals->open_count == 0)
		return INT64_MAX;
	open = intervals_open_time(intervals);
	if (intervals->open_count == 1)
		return open;
	close = intervals_close_time(intervals);
	return close < open ? close : open;
}

bool
intervals_due(const Intervals *intervals, int64_t now)
{
	return intervals->open_count == 0 || intervals_misfit(intervals, now) ||
		now >= intervals_next_turn(intervals);
}

bool
intervals_stretched(const Intervals *intervals, int64_t now)
{
	return intervals->open_count > 0 && now >= intervals_open_time(intervals);
}

/*
 * Records.
 */

/* Adds a part; returns how many there are now. */
static inline uint32_t
intervals_add_part(IntervalParts *parts, uint32_t count, Aggregate *sums, int64_t weight)
{
	parts->sums[count] = sums;
	parts->weights[count] = weight > 0 ? (uint64_t) weight : 1;
	return count + 1;
}

void
intervals_spread(const Intervals *intervals, int64_t first, int64_t last, IntervalParts *parts)
{
	uint32_t	count = 0;
	int64_t		end = last;

	for (uint32_t i = intervals->open_count; i-- > 0;)
	{
		const FlowInterval *interval = &intervals->all[intervals->open[i]];
		int64_t		start = interval->start;
		int64_t		from = first > start ? first : start;

		if (end > from || (first == last && first == from))
			count = intervals_add_part(parts, count, interval->sums, end - from);
		if (first >= start)
		{
			parts->count = count;
			return;
		}
		if (end > start)
			end = start;
	}
	parts->late = true;
	parts->count = intervals_add_part(parts, count, intervals_oldest(intervals)->sums,
									  end - first);
}
