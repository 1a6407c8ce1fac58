/*
 * aggregate.c
 *	  Sums of bytes, packets and flows per key, for one interval.
 *
 * In the memory given, one behind the other: this struct; for each interface,
 * direction and family the position of its folded row; a hash index with open
 * addressing; the rows, in the order in which their keys came first.
 *
 * A slot of the index holds a row's position plus one, 0 if it is free, in its
 * lower bits ("position_mask").  The upper bits hold bits of the key's hash, so
 * that a row is hardly ever fetched in vain.  The index is at most half full.
 * It starts small and doubles within the room that it has: an index that is
 * much larger than its rows need would cost a cache miss for every addition.
 *
 * We look at AGGREGATE_MAX_PROBES slots at most, far more than chance ever needs
 * in a half full index, and fold what does not find its place there: should
 * somebody find AS numbers that collide (hash.h), that costs ASNs, not time.
 */
#include "aggregate.h"

#include <assert.h>
#include <string.h>

#include "hash.h"

#define AGGREGATE_MAX_PROBES	256
#define AGGREGATE_FIRST_SLOTS	1024
#define AGGREGATE_LOOK			8	/* slots to look at for the row to fetch */

/* Per interface: ingress or egress, and what AGGREGATE_FAMILY can say. */
#define AGGREGATE_FOLDS			(8 * AGGREGATE_MAX_INTERFACES)

_Static_assert(AGGREGATE_NO_INTERFACE <= AGGREGATE_INTERFACE,
			   "every interface fits, and none");
_Static_assert(AGGREGATE_INGRESS + 14 + AGGREGATE_PLACE == 64, "the place fits");
_Static_assert(AGGREGATE_MAX_FLOWS == (UINT64_C(1) << AGGREGATE_PLACE) - 1,
			   "flows have the rest of the word");

struct Aggregate
{
	uint32_t	max_entries;
	uint32_t	entries;		/* rows that are not folded ones */
	uint32_t	count;			/* all rows */
	uint32_t	index_mask;		/* slots of the index in use - 1 */
	uint32_t	max_slots;		/* room for the index */
	uint32_t	position_mask;
	uint64_t	folded;
	uint64_t	saturated;
	uint64_t	rows_offset;	/* octets from the start of this struct */
	uint32_t	folds[AGGREGATE_FOLDS]; /* positions + 1 of the folded rows */
	uint32_t	index[];
};

/* The least power of two that is not smaller. */
static uint32_t
aggregate_power(uint32_t least)
{
	uint32_t	power = 1;

	while (power < least)
		power *= 2;
	return power;
}

static uint32_t
aggregate_bound(uint32_t max_entries)
{
	return max_entries < AGGREGATE_MAX_ENTRIES ? max_entries : AGGREGATE_MAX_ENTRIES;
}

static uint32_t
aggregate_max_slots(uint32_t max_entries)
{
	return aggregate_power(2 * aggregate_bound(max_entries) + 2);
}

static size_t
aggregate_rows_offset(uint32_t max_entries)
{
	size_t		offset = sizeof(Aggregate) +
		(size_t) aggregate_max_slots(max_entries) * sizeof(uint32_t);

	return (offset + 31) & ~(size_t) 31;
}

size_t
aggregate_size(uint32_t max_entries)
{
	size_t		rows = (size_t) aggregate_bound(max_entries) + AGGREGATE_FOLDS;

	return aggregate_rows_offset(max_entries) + rows * sizeof(AggregateRow);
}

static AggregateRow *
aggregate_row(const Aggregate *aggregate, uint32_t position)
{
	return (AggregateRow *) ((char *) aggregate + aggregate->rows_offset) + position;
}

/* An empty index of so many slots, a power of two. */
static void
aggregate_clear_index(Aggregate *aggregate, uint32_t slots)
{
	memset(aggregate->index, 0, slots * sizeof(uint32_t));
	aggregate->index_mask = slots - 1;
}

static void
aggregate_first_index(Aggregate *aggregate)
{
	aggregate_clear_index(aggregate,
						  aggregate->max_slots < AGGREGATE_FIRST_SLOTS ?
						  aggregate->max_slots : AGGREGATE_FIRST_SLOTS);
}

Aggregate *
aggregate_init(void *memory, uint32_t max_entries)
{
	Aggregate  *aggregate = memory;

	memset(aggregate, 0, sizeof(Aggregate));
	aggregate->max_entries = aggregate_bound(max_entries);
	aggregate->max_slots = aggregate_max_slots(max_entries);
	aggregate->position_mask =
		aggregate_power(aggregate->max_entries + AGGREGATE_FOLDS + 1) - 1;
	aggregate->rows_offset = aggregate_rows_offset(max_entries);
	aggregate_first_index(aggregate);
	return aggregate;
}

void
aggregate_reset(Aggregate *aggregate)
{
	if (aggregate->count > aggregate->entries)
		memset(aggregate->folds, 0, sizeof(aggregate->folds));
	if (aggregate->entries > 0)
		aggregate_first_index(aggregate);
	aggregate->entries = 0;
	aggregate->count = 0;
	aggregate->folded = 0;
	aggregate->saturated = 0;
}

static uint32_t
aggregate_slot(const Aggregate *aggregate, uint64_t hash, uint32_t position)
{
	return ((uint32_t) hash & ~aggregate->position_mask) | (position + 1);
}

/*
 * Doubles the index.  Rows come back in the order in which they came first, and
 * so none is further from where its search starts than it was: all that were
 * within AGGREGATE_MAX_PROBES still are.
 */
static void
aggregate_grow_index(Aggregate *aggregate)
{
	const AggregateRow *rows = aggregate_row(aggregate, 0);

	aggregate_clear_index(aggregate, 2 * (aggregate->index_mask + 1));
	for (uint32_t position = 0; position < aggregate->count; position++)
	{
		uint64_t	place = aggregate_row_place(&rows[position]);
		uint64_t	hash = hash_mix(rows[position].asns, place);
		uint32_t	i = hash >> 32 & aggregate->index_mask;

		if ((place & AGGREGATE_OTHERS) != 0)
			continue;
		while (aggregate->index[i] != 0)
			i = (i + 1) & aggregate->index_mask;
		aggregate->index[i] = aggregate_slot(aggregate, hash, position);
	}
}

/* There is room for another row: max_entries and the folds bound the count. */
static AggregateRow *
aggregate_append(Aggregate *aggregate, uint64_t asns, uint64_t place)
{
	AggregateRow *row = aggregate_row(aggregate, aggregate->count);

	*row = (AggregateRow) {.asns = asns,.place_flows = place << AGGREGATE_PLACE};
	aggregate->count++;
	return row;
}

/* A new row for a path that the index lacks, whose search ended at slot "i". */
static AggregateRow *
aggregate_new_row(Aggregate *aggregate, uint32_t i, const AggregateHashed *key)
{
	AggregateRow *row;

	if (aggregate->entries == aggregate->max_entries)
		return NULL;
	aggregate->index[i] = aggregate_slot(aggregate, key->hash, aggregate->count);
	row = aggregate_append(aggregate, key->asns, key->place);
	aggregate->entries++;
	if (aggregate->entries > aggregate->index_mask / 2 &&
		aggregate->index_mask + 1 < aggregate->max_slots)
		aggregate_grow_index(aggregate);
	return row;
}

/* The path's own row, new where necessary; NULL where there is no room for it. */
static AggregateRow *
aggregate_own_row(Aggregate *aggregate, const AggregateHashed *key)
{
	const uint64_t hash = key->hash;
	uint32_t	tag = (uint32_t) hash & ~aggregate->position_mask;
	uint32_t	i = hash >> 32 & aggregate->index_mask;

	for (int probe = 0; probe < AGGREGATE_MAX_PROBES; probe++)
	{
		uint32_t	slot = aggregate->index[i];

		if (slot == 0)
			return aggregate_new_row(aggregate, i, key);
		if ((slot & ~aggregate->position_mask) == tag)
		{
			AggregateRow *row =
				aggregate_row(aggregate, (slot & aggregate->position_mask) - 1);

			if (row->asns == key->asns && aggregate_row_place(row) == key->place)
				return row;
		}
		i = (i + 1) & aggregate->index_mask;
	}
	return NULL;
}

/* The row for all the other ASNs of that interface, direction and family. */
static AggregateRow *
aggregate_others_row(Aggregate *aggregate, uint32_t interface, bool ingress, uint64_t family)
{
	uint32_t   *position = &aggregate->folds[8 * interface + 4 * ingress + family];

	if (*position == 0)
	{
		*position = aggregate->count + 1;
		return aggregate_append(aggregate, 0, AGGREGATE_OTHERS | family |
								(ingress ? aggregate_place(interface, AGGREGATE_NO_INTERFACE, 0) :
								 aggregate_place(AGGREGATE_NO_INTERFACE, interface, 0)));
	}
	return aggregate_row(aggregate, *position - 1);
}

/* Sums that come near their ends. */
static __attribute__((noinline)) void
aggregate_add_carefully(Aggregate *aggregate, AggregateRow *row, const AggregateSum *sum)
{
	uint64_t	flows = row->place_flows & AGGREGATE_MAX_FLOWS;
	uint64_t	more = sum->flows < AGGREGATE_MAX_FLOWS - flows ?
		sum->flows : AGGREGATE_MAX_FLOWS - flows;

	row->bytes = aggregate_sum(row->bytes, sum->bytes);
	row->packets = aggregate_sum(row->packets, sum->packets);
	row->place_flows += more;
	if (row->bytes == AGGREGATE_MAX_SUM || row->packets == AGGREGATE_MAX_SUM ||
		flows + more == AGGREGATE_MAX_FLOWS)
		aggregate->saturated++;
}

static inline void
aggregate_add_to(Aggregate *aggregate, AggregateRow *row, const AggregateSum *sum)
{
	uint64_t	bytes = row->bytes + sum->bytes;
	uint64_t	packets = row->packets + sum->packets;
	uint64_t	flows = (row->place_flows & AGGREGATE_MAX_FLOWS) + sum->flows;

	/* the topmost bit of any of these is set where a sum has reached its end */
	if ((sum->bytes | sum->packets | sum->flows | (bytes + 1) | (packets + 1)) >> 63 != 0 ||
		flows >= AGGREGATE_MAX_FLOWS)
	{
		aggregate_add_carefully(aggregate, row, sum);
		return;
	}
	row->bytes = bytes;
	row->packets = packets;
	row->place_flows += sum->flows;
}

/* There is no row for the path, so each side goes to that of all the others. */
static void
aggregate_fold(Aggregate *aggregate, uint64_t place, const AggregateSum *sum)
{
	uint32_t	interfaces[2] = {aggregate_egress(place), aggregate_ingress(place)};

	for (int ingress = 0; ingress < 2; ingress++)
	{
		if (interfaces[ingress] == AGGREGATE_NO_INTERFACE)
			continue;
		aggregate->folded++;
		aggregate_add_to(aggregate,
						 aggregate_others_row(aggregate, interfaces[ingress], ingress != 0,
											  place & AGGREGATE_FAMILY), sum);
	}
}

static void
aggregate_add_hashed(Aggregate *aggregate, const AggregateHashed *key, const AggregateSum *sum)
{
	AggregateRow *row = aggregate_own_row(aggregate, key);

	if (row == NULL)
		aggregate_fold(aggregate, key->place, sum);
	else
		aggregate_add_to(aggregate, row, sum);
}

void
aggregate_add(Aggregate *aggregate, const AggregatePath *path, const AggregateSum *sum)
{
	AggregateHashed hashed = aggregate_hash(path);

	assert(path->ingress <= AGGREGATE_NO_INTERFACE && path->egress <= AGGREGATE_NO_INTERFACE);

	aggregate_add_hashed(aggregate, &hashed, sum);
}

/* Looks up where the row seems to be, or the place of a new one, and has it fetched. */
static inline void
aggregate_prefetch_row(AggregateWaiting *waiting)
{
	const Aggregate *aggregate = waiting->aggregate;
	uint32_t	tag = (uint32_t) waiting->key.hash & ~aggregate->position_mask;
	uint32_t	i = waiting->key.hash >> 32 & aggregate->index_mask;

	waiting->row = NULL;
	for (int probe = 0; probe < AGGREGATE_LOOK && aggregate->index[i] != 0; probe++)
	{
		uint32_t	slot = aggregate->index[i];

		if ((slot & ~aggregate->position_mask) == tag)
		{
			waiting->row = aggregate_row(aggregate, (slot & aggregate->position_mask) - 1);
			__builtin_prefetch(waiting->row, 1);
			return;
		}
		i = (i + 1) & aggregate->index_mask;
	}
	__builtin_prefetch(aggregate_row(aggregate, aggregate->count), 1);
}

/* Rows stay where they are; one that was not there yet may be by now. */
static inline void
aggregate_add_waiting(const AggregateWaiting *waiting)
{
	AggregateRow *row = waiting->row;

	if (row != NULL && row->asns == waiting->key.asns &&
		aggregate_row_place(row) == waiting->key.place)
		aggregate_add_to(waiting->aggregate, row, &waiting->sum);
	else
		aggregate_add_hashed(waiting->aggregate, &waiting->key, &waiting->sum);
}

static inline void
aggregate_prefetch_slot(const AggregateWaiting *waiting)
{
	const Aggregate *aggregate = waiting->aggregate;

	__builtin_prefetch(&aggregate->index[waiting->key.hash >> 32 & aggregate->index_mask]);
}

/* Each step for all of them, so that what one of them waits for comes meanwhile. */
void
aggregate_flush(AggregateQueue *queue)
{
	for (uint32_t i = 0; i < queue->count; i++)
		aggregate_prefetch_slot(&queue->waiting[i]);
	for (uint32_t i = 0; i < queue->count; i++)
		aggregate_prefetch_row(&queue->waiting[i]);
	for (uint32_t i = 0; i < queue->count; i++)
		aggregate_add_waiting(&queue->waiting[i]);
	queue->count = 0;
}

uint32_t
aggregate_count(const Aggregate *aggregate)
{
	return aggregate->count;
}

static AggregateEntry
aggregate_side(const AggregateRow *row, bool ingress)
{
	uint64_t	place = aggregate_row_place(row);
	uint32_t	src_as = row->asns >> 32;
	uint32_t	dst_as = (uint32_t) row->asns;

	return (AggregateEntry) {
		.key = {
			.interface = ingress ? aggregate_ingress(place) : aggregate_egress(place),
			.remote_as = ingress ? src_as : dst_as,
			.local_as = ingress ? dst_as : src_as,
			.family = (uint8_t) ((place & AGGREGATE_FAMILY) * 2),
			.ingress = ingress,
			.others = (place & AGGREGATE_OTHERS) != 0
		},
		.sum = {
			.bytes = row->bytes,
			.packets = row->packets,
			.flows = row->place_flows & AGGREGATE_MAX_FLOWS
		}
	};
}

const AggregateRow *
aggregate_rows(const Aggregate *aggregate)
{
	return aggregate_row(aggregate, 0);
}

uint32_t
aggregate_sides(const AggregateRow *row, AggregateEntry sides[2])
{
	uint64_t	place = aggregate_row_place(row);
	uint32_t	count = 0;

	if (aggregate_ingress(place) != AGGREGATE_NO_INTERFACE)
		sides[count++] = aggregate_side(row, true);
	if (aggregate_egress(place) != AGGREGATE_NO_INTERFACE)
		sides[count++] = aggregate_side(row, false);
	return count;
}

uint64_t
aggregate_folded(const Aggregate *aggregate)
{
	return aggregate->folded;
}

uint64_t
aggregate_saturated(const Aggregate *aggregate)
{
	return aggregate->saturated;
}
