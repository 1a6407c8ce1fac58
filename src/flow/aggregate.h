/*
 * aggregate.h
 *	  Sums of bytes, packets and flows per key, for one interval.
 *
 * Bounded: when max_entries keys are taken, further ones are added to the row
 * of their interface, direction and family that stands for all the other ASNs,
 * so that totals stay exact.  Room for these rows is set aside beforehand.
 * Lives in memory that the caller hands over and holds no pointers.
 */
#ifndef LASTFLUSS_AGGREGATE_H
#define LASTFLUSS_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Interface numbers must be smaller. */
#define AGGREGATE_MAX_INTERFACES	8192

/* More entries than this are not kept, whatever is asked for. */
#define AGGREGATE_MAX_ENTRIES		(UINT32_C(1) << 24)

/* Sums stop here (the largest bigint), rather than wrap around; those of flows earlier. */
#define AGGREGATE_MAX_SUM			((uint64_t) INT64_MAX)
#define AGGREGATE_MAX_FLOWS			((UINT64_C(1) << 40) - 1)

typedef struct AggregateKey
{
	uint32_t	interface;		/* number of the interface's name */
	uint32_t	remote_as;
	uint32_t	local_as;
	uint8_t		family;			/* 4, 6 or 0: unknown */
	bool		ingress;
	bool		others;			/* the folded row: both AS numbers are 0 */
} AggregateKey;

typedef struct AggregateSum
{
	uint64_t	bytes;
	uint64_t	packets;
	uint64_t	flows;
} AggregateSum;

/* A row, copied out. */
typedef struct AggregateEntry
{
	AggregateKey key;
	AggregateSum sum;
} AggregateEntry;

typedef struct Aggregate Aggregate;

/* Adds as far as AGGREGATE_MAX_SUM, which "a" must not exceed. */
static inline uint64_t
aggregate_sum(uint64_t a, uint64_t b)
{
	return b < AGGREGATE_MAX_SUM - a ? a + b : AGGREGATE_MAX_SUM;
}

/* Octets for a table of so many keys. */
extern size_t aggregate_size(uint32_t max_entries);

/* Makes an empty table in "memory", aligned to 16. */
extern Aggregate *aggregate_init(void *memory, uint32_t max_entries);

/* Empties it; costs no more than the slots that it may have used. */
extern void aggregate_reset(Aggregate *aggregate);

extern void aggregate_add(Aggregate *aggregate, const AggregateKey *key,
						  const AggregateSum *sum);

/*
 * Additions that wait a moment, so that the memory they need comes meanwhile:
 * what is added one by one spends most of its time waiting for it.
 */
#define AGGREGATE_QUEUE_SIZE	64

/* A key as the rows have it, so that several tables need not make it anew. */
typedef struct AggregateHashed
{
	uint64_t	asns;
	uint64_t	place;
	uint64_t	hash;
} AggregateHashed;

typedef struct AggregateWaiting
{
	Aggregate  *aggregate;
	AggregateHashed key;
	AggregateSum sum;
} AggregateWaiting;

typedef struct AggregateQueue
{
	uint32_t	count;
	AggregateWaiting waiting[AGGREGATE_QUEUE_SIZE];
} AggregateQueue;

/* Not for a key of "others". */
extern AggregateHashed aggregate_hash(const AggregateKey *key);

/* aggregate_add(), now or at the latest in aggregate_flush(); now without a queue. */
extern void aggregate_add_later(AggregateQueue *queue, Aggregate *aggregate,
								const AggregateHashed *key, uint64_t bytes,
								uint64_t packets, uint64_t flows);

/* Adds all that waits, in its order; before anybody else looks at the tables. */
extern void aggregate_flush(AggregateQueue *queue);

/* Rows so far, folded ones included. */
extern uint32_t aggregate_count(const Aggregate *aggregate);

/* Row "position" (0 .. count - 1), in the order in which keys came first. */
extern void aggregate_row(const Aggregate *aggregate, uint32_t position,
						  AggregateKey *key, AggregateSum *sum);

/* How many additions were folded since the reset. */
extern uint64_t aggregate_folded(const Aggregate *aggregate);

/*
 * How many additions since the reset left a sum at AGGREGATE_MAX_SUM, so that
 * it lies?
 */
extern uint64_t aggregate_saturated(const Aggregate *aggregate);

#endif							/* LASTFLUSS_AGGREGATE_H */
