/*
 * aggregate.h
 *	  Sums of bytes, packets and flows per key, for one interval.
 *
 * A record counts once where it comes in and once where it goes out.  To add it
 * once is enough: both sides are one row, of the record's path, until it is read.
 *
 * Bounded: when max_entries paths are taken, further ones are added to the rows
 * of their interfaces, direction and family that stand for all the other ASNs,
 * so that totals stay exact.  Room for these rows is set aside beforehand.
 * Lives in memory that the caller hands over and holds no pointers.
 */
#ifndef LASTFLUSS_AGGREGATE_H
#define LASTFLUSS_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash.h"

/* Interface numbers must be smaller. */
#define AGGREGATE_MAX_INTERFACES	8192

/* The side of a path that is not counted. */
#define AGGREGATE_NO_INTERFACE		AGGREGATE_MAX_INTERFACES

/* More entries than this are not kept, whatever is asked for. */
#define AGGREGATE_MAX_ENTRIES		(UINT32_C(1) << 24)

/* Sums stop here (the largest bigint), rather than wrap around; those of flows earlier. */
#define AGGREGATE_MAX_SUM			((uint64_t) INT64_MAX)
#define AGGREGATE_MAX_FLOWS			((UINT64_C(1) << 33) - 1)

/*
 * Where traffic came in and went out: what is added.  A side whose interface is
 * not configured has AGGREGATE_NO_INTERFACE.
 */
typedef struct AggregatePath
{
	uint32_t	ingress;		/* number of the input interface's name */
	uint32_t	egress;			/* of the output interface's */
	uint32_t	src_as;
	uint32_t	dst_as;
	uint8_t		family;			/* 4, 6 or 0: unknown */
} AggregatePath;

/* One side of it: what is read. */
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

/* A row, or one side of it, copied out. */
typedef struct AggregateEntry
{
	AggregateKey key;
	AggregateSum sum;
} AggregateEntry;

/* A path and its sums, packed; aggregate_sides() reads it.  Two of them in a cache line. */
typedef struct AggregateRow
{
	uint64_t	asns;			/* source << 32 | destination */
	uint64_t	place_flows;	/* place, and in the lower bits the sum of flows */
	uint64_t	bytes;
	uint64_t	packets;
} AggregateRow;

typedef struct Aggregate Aggregate;

/* Adds as far as AGGREGATE_MAX_SUM, which "a" must not exceed. */
static inline uint64_t
aggregate_sum(uint64_t a, uint64_t b)
{
	return b < AGGREGATE_MAX_SUM - a ? a + b : AGGREGATE_MAX_SUM;
}

/* Octets for a table of so many paths. */
extern size_t aggregate_size(uint32_t max_entries);

/* Makes an empty table in "memory", aligned to 16. */
extern Aggregate *aggregate_init(void *memory, uint32_t max_entries);

/* Empties it; costs no more than the slots that it may have used. */
extern void aggregate_reset(Aggregate *aggregate);

extern void aggregate_add(Aggregate *aggregate, const AggregatePath *path,
						  const AggregateSum *sum);

/*
 * Additions that wait a moment, so that the memory they need comes meanwhile:
 * what is added one by one spends most of its time waiting for it.
 */
#define AGGREGATE_QUEUE_SIZE	64

/* A path as the rows have it, so that several tables need not make it anew. */
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
	AggregateRow *row;			/* that seems to be its own, or NULL; for aggregate.c alone */
} AggregateWaiting;

typedef struct AggregateQueue
{
	uint32_t	count;
	AggregateWaiting waiting[AGGREGATE_QUEUE_SIZE];
} AggregateQueue;

/* Adds all that waits, in its order; before anybody else looks at the tables. */
extern void aggregate_flush(AggregateQueue *queue);

/* Place, a path but for its AS numbers: ingress << 17 | egress << 3 | a flag | family / 2. */
#define AGGREGATE_INGRESS		17
#define AGGREGATE_EGRESS		3
#define AGGREGATE_INTERFACE		0x3FFF	/* so many bits of either */
#define AGGREGATE_OTHERS		4
#define AGGREGATE_FAMILY		3

/* Shift of the place in a row; flows stop at the largest number below. */
#define AGGREGATE_PLACE			33

static inline uint64_t
aggregate_place(uint32_t ingress, uint32_t egress, uint8_t family)
{
	return (uint64_t) ingress << AGGREGATE_INGRESS | (uint64_t) egress << AGGREGATE_EGRESS |
		(family >> 1 & AGGREGATE_FAMILY);
}

static inline AggregateHashed
aggregate_hash(const AggregatePath *path)
{
	uint64_t	asns = (uint64_t) path->src_as << 32 | path->dst_as;
	uint64_t	place = aggregate_place(path->ingress, path->egress, path->family);

	return (AggregateHashed) {.asns = asns,.place = place,.hash = hash_mix(asns, place)};
}

/* aggregate_add(), now or at the latest in aggregate_flush(). */
static inline void
aggregate_add_later(AggregateQueue *queue, Aggregate *aggregate, const AggregateHashed *key,
					uint64_t bytes, uint64_t packets, uint64_t flows)
{
	AggregateWaiting *waiting;

	if (queue->count == AGGREGATE_QUEUE_SIZE)
		aggregate_flush(queue);
	waiting = &queue->waiting[queue->count++];
	waiting->aggregate = aggregate;
	waiting->key.asns = key->asns;
	waiting->key.place = key->place;
	waiting->key.hash = key->hash;
	waiting->sum.bytes = bytes;
	waiting->sum.packets = packets;
	waiting->sum.flows = flows;
}

/* Rows so far, folded ones included. */
extern uint32_t aggregate_count(const Aggregate *aggregate);

/* The rows, in the order in which paths came first; they stay where they are. */
extern const AggregateRow *aggregate_rows(const Aggregate *aggregate);

/* The sides of a row, ingress before egress.  Returns how many there are, 1 or 2. */
extern uint32_t aggregate_sides(const AggregateRow *row, AggregateEntry sides[2]);

static inline uint64_t
aggregate_row_place(const AggregateRow *row)
{
	return row->place_flows >> AGGREGATE_PLACE;
}

static inline uint32_t
aggregate_ingress(uint64_t place)
{
	return place >> AGGREGATE_INGRESS & AGGREGATE_INTERFACE;
}

static inline uint32_t
aggregate_egress(uint64_t place)
{
	return place >> AGGREGATE_EGRESS & AGGREGATE_INTERFACE;
}

/* How many additions were folded since the reset, each side by itself. */
extern uint64_t aggregate_folded(const Aggregate *aggregate);

/*
 * How many additions since the reset left a sum at AGGREGATE_MAX_SUM, so that
 * it lies?
 */
extern uint64_t aggregate_saturated(const Aggregate *aggregate);

#endif							/* LASTFLUSS_AGGREGATE_H */
