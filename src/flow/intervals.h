/*
 * intervals.h
 *	  The intervals that are open, and those that wait to be written: a buffer of
 *	  sums for each, in memory that the caller hands over.
 *
 * Buffers go FREE -> OPEN -> READY here, READY -> WRITING -> FREE by whoever
 * writes them.  Open intervals follow one another, without a gap unless buffers
 * were short, and get their sequence numbers in that order, so that they are
 * finished in that order too.
 */
#ifndef LASTFLUSS_INTERVALS_H
#define LASTFLUSS_INTERVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate.h"
#include "flow.h"
#include "health.h"
#include "spread.h"

/* So many intervals can be open at the most. */
#define INTERVALS_MAX_OPEN	(SPREAD_MAX_PARTS - 1)

typedef enum IntervalState
{
	INTERVAL_FREE,
	INTERVAL_OPEN,				/* records are added to it */
	INTERVAL_READY,				/* finished, waits to be written */
	INTERVAL_WRITING			/* somebody reads it */
} IntervalState;

typedef struct FlowInterval
{
	IntervalState state;
	int32_t		period;			/* seconds */
	int64_t		start;			/* microseconds since 1970 */
	uint64_t	sequence;		/* counts the intervals, from 1 on */
	uint64_t	generation;		/* configuration when it was opened */
	uint32_t	closings;		/* counts how often a buffer's interval was finished */
	Aggregate  *sums;
	HealthTable *health;
} FlowInterval;

/* How long intervals are, and how long they stay open after their end. */
typedef struct IntervalRule
{
	int32_t		period;			/* seconds */
	int32_t		window;			/* seconds */
	bool		by_arrival;		/* a record counts when it arrives, wherever it lay */
} IntervalRule;

typedef struct Intervals
{
	IntervalRule rule;
	uint32_t	count;			/* of all buffers */
	uint32_t	open_count;
	uint32_t	open[INTERVALS_MAX_OPEN + 1];	/* buffers, the oldest interval first */
	uint64_t	next_sequence;
	uint64_t	folded;			/* of buffers used again since; the rest is in the sums */
	uint64_t	saturated;
	FlowInterval	all[];
} Intervals;

/* Where a record goes. */
typedef struct IntervalParts
{
	uint32_t	count;
	bool		late;			/* the last part lies before the oldest open interval */
	bool		future;			/* it claims to end after it came */
	Aggregate  *sums[SPREAD_MAX_PARTS];
	uint64_t	weights[SPREAD_MAX_PARTS];
} IntervalParts;

/* Octets for so many buffers. */
extern size_t intervals_size(uint32_t buffers, uint32_t max_entries);

/* Makes them in "memory", aligned to 64; all are FREE. */
extern Intervals *intervals_init(void *memory, uint32_t buffers, uint32_t max_entries);

/* How many can be open at a time by that rule. */
extern uint32_t intervals_needed_open(const IntervalRule *rule);

/* How many buffers the rule needs: those, one to open the next, one being written. */
extern uint32_t intervals_needed(const IntervalRule *rule);

/* The largest window, in seconds, that so many buffers allow with that period. */
extern int32_t intervals_longest_window(uint32_t buffers, int32_t period);

/* The interval that began last of the open ones, NULL where none is open. */
extern FlowInterval *intervals_newest(const Intervals *intervals);

/* Has intervals_turn() something to do at "now"? */
extern bool intervals_due(const Intervals *intervals, int64_t now);

/*
 * Opens the intervals that have begun at "now" and closes those whose window is
 * over.  Where no buffer is FREE the newest one stays open, and takes in what
 * comes after its end; or is open again, where it was READY already.  Returns how
 * many were closed, so are READY now.  Then one is open, unless all are WRITING,
 * and no more than INTERVALS_MAX_OPEN are.
 */
extern uint32_t intervals_turn(Intervals *intervals, int64_t now, uint64_t generation);

/* Closes all that are open. */
extern uint32_t intervals_close_all(Intervals *intervals);

/* When intervals_turn() has something to do next, as far as it can know. */
extern int64_t intervals_next_turn(const Intervals *intervals);

/* Does "now" lie behind the newest interval, for want of a buffer? */
extern bool intervals_stretched(const Intervals *intervals, int64_t now);

/* Headers tell whole seconds, so a record may seem to end a second after its export. */
#define INTERVALS_TOLERANCE	INT64_C(2000000)

/* intervals_lay() of a record that lasted from "first" to "last", in our clock. */
extern void intervals_spread(const Intervals *intervals, int64_t first, int64_t last,
							 IntervalParts *parts);

/*
 * The parts of a record by its first and last, which are laid back from its
 * arrival by how long before its export it ended: the exporter's clock may be
 * wrong.  What lies before the oldest interval goes there, as late; what claims
 * to end after its arrival ends there.  At least one interval is open.
 */
static inline void
intervals_lay(const Intervals *intervals, const Flow *flow, IntervalParts *parts)
{
	const FlowInterval *newest = &intervals->all[intervals->open[intervals->open_count - 1]];
	int64_t		first = flow->received;
	int64_t		last = flow->received;

	parts->late = false;
	parts->future = false;
	if (!intervals->rule.by_arrival)
	{
		int64_t		ended = FLOW_HAS(flow, FLOW_LAST) ? flow->last : flow->exported;
		int64_t		began = FLOW_HAS(flow, FLOW_FIRST) ? flow->first : ended;
		int64_t		age = flow->exported - ended;

		parts->future = age < -INTERVALS_TOLERANCE;
		last -= age > 0 ? age : 0;
		first = last - (ended > began ? ended - began : 0);
	}
	if (first >= newest->start)
	{
		parts->count = 1;
		parts->sums[0] = newest->sums;
		parts->weights[0] = last > first ? (uint64_t) (last - first) : 1;
	}
	else
		intervals_spread(intervals, first, last, parts);
}

/* The two open intervals in which nearly all records lie. */
typedef struct IntervalsRecent
{
	uint32_t	times;			/* FLOW_BIT()s of those that matter */
	int64_t		start;			/* of the newest */
	int64_t		start_before;	/* of the one before it; INT64_MAX: there is none */
	Aggregate  *newest;
	Aggregate  *before;
} IntervalsRecent;

#define INTERVALS_TIMES		(FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST))

/* Until intervals are opened or closed; at least one is open. */
static inline IntervalsRecent
intervals_recent(const Intervals *intervals)
{
	const FlowInterval *newest = &intervals->all[intervals->open[intervals->open_count - 1]];
	IntervalsRecent recent = {
		.times = intervals->rule.by_arrival ? 0 : INTERVALS_TIMES,
		.start = newest->start,
		.start_before = INT64_MAX,
		.newest = newest->sums
	};

	if (intervals->open_count > 1)
	{
		const FlowInterval *before = &intervals->all[intervals->open[intervals->open_count - 2]];

		recent.start_before = before->start;
		recent.before = before->sums;
	}
	return recent;
}

/* How much of a record lies in either of them; neither: it is one for intervals_lay(). */
typedef struct IntervalsShares
{
	uint64_t	newest;
	uint64_t	before;
} IntervalsShares;

/*
 * intervals_lay() of a record that tells both times or none, ends in time and reaches
 * no further back than these two.
 */
static inline IntervalsShares
intervals_lay_recent(const IntervalsRecent *recent, const Flow *flow)
{
	const uint32_t told = flow->present & recent->times;
	IntervalsShares shares = {0, 0};
	int64_t		last = flow->received;
	int64_t		first = last;

	if (told == INTERVALS_TIMES)
	{
		int64_t		age = flow->exported - flow->last;

		if (age < -INTERVALS_TOLERANCE)
			return shares;
		last -= age > 0 ? age : 0;
		first = last - (flow->last > flow->first ? flow->last - flow->first : 0);
	}
	else if (told != 0)
		return shares;
	if (first >= recent->start)
		shares.newest = 1;
	else if (first >= recent->start_before)
	{
		shares.newest = last > recent->start ? (uint64_t) (last - recent->start) : 0;
		shares.before = last > first ? (uint64_t) (last - first) - shares.newest : 1;
	}
	return shares;
}

#endif							/* LASTFLUSS_INTERVALS_H */
