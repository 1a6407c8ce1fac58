/*
 * prefix.c
 *	  Address -> AS number by the longest matching prefix.
 *
 * Nested prefixes are flattened into ranges that do not overlap: each begins
 * where the AS changes and reaches to where the next begins, so that the longest
 * match is the last range that begins at or before the address.  An index over
 * the leading bits leaves a few ranges for a binary search.  IPv4 and IPv6 have
 * a table each; a mapped address is never looked up in that of IPv6.
 *
 * Layout: PrefixTable, index of IPv4, index of IPv6, ranges of IPv4, ranges of
 * IPv6, each aligned to PREFIX_ALIGN.
 */
#include "prefix.h"

#include <string.h>

#define PREFIX_ALIGN		64
#define PREFIX_OCTETS(size)	(((size) + PREFIX_ALIGN - 1) / PREFIX_ALIGN * PREFIX_ALIGN)
#define PREFIX_LENGTHS		129 /* of IPv6, so also how deep prefixes can nest */

#define PREFIX_BITS4		20	/* leading bits of IPv4 in the index */
#define PREFIX_SHIFT4		(32 - PREFIX_BITS4)
#define PREFIX_BUCKETS4		(UINT32_C(1) << PREFIX_BITS4)

/*
 * What is routed of IPv6 is 2000::/3 (IANA's registry of the address space), so
 * that the index has the bits after these three.  Below and above it there is
 * one bucket each, the first and the last.
 */
#define PREFIX_GLOBAL6		(UINT64_C(1) << 61)
#define PREFIX_BITS6		20
#define PREFIX_SHIFT6		(61 - PREFIX_BITS6)
#define PREFIX_BUCKETS6		((UINT32_C(1) << PREFIX_BITS6) + 2)

#define PREFIX_INDEX4		PREFIX_OCTETS(sizeof(PrefixTable))
#define PREFIX_INDEX6		(PREFIX_INDEX4 + PREFIX_OCTETS((PREFIX_BUCKETS4 + 1) * sizeof(uint32_t)))
#define PREFIX_RANGES4		(PREFIX_INDEX6 + PREFIX_OCTETS((PREFIX_BUCKETS6 + 1) * sizeof(uint32_t)))

struct PrefixTable
{
	uint32_t	count;			/* prefixes, equal ones once */
	uint32_t	count4;			/* ranges */
	uint32_t	count6;
	uint64_t	ranges6;		/* where those of IPv6 begin, in octets from here */
};

typedef struct PrefixRange4
{
	uint16_t	start;			/* the bits that are not in the index */
	uint16_t	covered;		/* 0: no prefix, and no AS */
	uint32_t	as;
} PrefixRange4;

typedef struct PrefixAddress
{
	uint64_t	high;
	uint64_t	low;
} PrefixAddress;

typedef struct PrefixRange6
{
	PrefixAddress start;
	uint32_t	covered;
	uint32_t	as;
} PrefixRange6;

_Static_assert(PREFIX_SHIFT4 <= 16, "start of a PrefixRange4 has 16 bits");
_Static_assert(2 * sizeof(PrefixRange6) >= sizeof(Prefix), "ranges hold what is being sorted");

/*
 * Parts of a table.
 */

static uint32_t *
prefix_index4(const PrefixTable *table)
{
	return (uint32_t *) ((char *) table + PREFIX_INDEX4);
}

static uint32_t *
prefix_index6(const PrefixTable *table)
{
	return (uint32_t *) ((char *) table + PREFIX_INDEX6);
}

static PrefixRange4 *
prefix_ranges4(const PrefixTable *table)
{
	return (PrefixRange4 *) ((char *) table + PREFIX_RANGES4);
}

static PrefixRange6 *
prefix_ranges6(const PrefixTable *table)
{
	return (PrefixRange6 *) ((char *) table + table->ranges6);
}

static uint32_t
prefix_bucket4(uint32_t address)
{
	return address >> PREFIX_SHIFT4;
}

static uint32_t
prefix_bucket6(const PrefixAddress *address)
{
	if (address->high < PREFIX_GLOBAL6)
		return 0;
	if (address->high >= 2 * PREFIX_GLOBAL6)
		return PREFIX_BUCKETS6 - 1;
	return (uint32_t) ((address->high - PREFIX_GLOBAL6) >> PREFIX_SHIFT6) + 1;
}

/*
 * Addresses.
 */

/* Written out, because compilers make one instruction of that, but not of a loop. */
static uint64_t
prefix_word(const uint8_t *octets)
{
	return (uint64_t) octets[0] << 56 | (uint64_t) octets[1] << 48 |
		(uint64_t) octets[2] << 40 | (uint64_t) octets[3] << 32 |
		(uint64_t) octets[4] << 24 | (uint64_t) octets[5] << 16 |
		(uint64_t) octets[6] << 8 | (uint64_t) octets[7];
}

static PrefixAddress
prefix_address(const FlowAddress *address)
{
	return (PrefixAddress) {prefix_word(address->octets), prefix_word(address->octets + 8)};
}

static bool
prefix_is_ipv4(const PrefixAddress *address)
{
	return address->high == 0 && address->low >> 32 == 0xFFFF;
}

static bool
prefix_equal(PrefixAddress a, PrefixAddress b)
{
	return a.high == b.high && a.low == b.low;
}

static bool
prefix_less(PrefixAddress a, PrefixAddress b)
{
	return a.high < b.high || (a.high == b.high && a.low < b.low);
}

static PrefixAddress
prefix_last_address(PrefixAddress first, uint8_t length)
{
	if (length < 64)
		return (PrefixAddress) {first.high | UINT64_MAX >> length, UINT64_MAX};
	if (length < 128)
		first.low |= UINT64_MAX >> (length - 64);
	return first;
}

/* Clears what the length does not cover. */
static void
prefix_mask(Prefix *prefix)
{
	if (prefix->length > 128)
		prefix->length = 128;
	for (int i = prefix->length / 8; i < 16; i++)
	{
		int			kept = i == prefix->length / 8 ? prefix->length % 8 : 0;

		prefix->address.octets[i] &= (uint8_t) (0xFF00 >> kept);
	}
}

/*
 * Sorting: by address, then length.  Octet by octet from the last, which keeps
 * the order of equal ones and needs no more than memory for another copy.
 */

static uint8_t
prefix_key(const Prefix *prefix, int octet)
{
	return octet == 16 ? prefix->length : prefix->address.octets[octet];
}

/* False where nothing is to be moved, because all have the same octet there. */
static bool
prefix_sort_octet(const Prefix *from, Prefix *to, uint32_t count, int octet)
{
	uint32_t	places[256] = {0};
	uint32_t	place = 0;

	for (uint32_t i = 0; i < count; i++)
		places[prefix_key(&from[i], octet)]++;
	if (places[prefix_key(&from[0], octet)] == count)
		return false;
	for (int i = 0; i < 256; i++)
	{
		uint32_t	here = places[i];

		places[i] = place;
		place += here;
	}
	for (uint32_t i = 0; i < count; i++)
		to[places[prefix_key(&from[i], octet)]++] = from[i];
	return true;
}

static void
prefix_sort(Prefix *prefixes, Prefix *scratch, uint32_t count)
{
	Prefix	   *from = prefixes;
	Prefix	   *to = scratch;

	for (int octet = 16; octet >= 0 && count > 0; octet--)
	{
		if (prefix_sort_octet(from, to, count, octet))
		{
			Prefix	   *sorted = to;

			to = from;
			from = sorted;
		}
	}
	if (from != prefixes)
		memcpy(prefixes, from, count * sizeof(Prefix));
}

/*
 * Building: a sweep over the sorted prefixes of one family, with a stack of
 * those that are not over.
 */

typedef struct PrefixSweep
{
	PrefixTable *table;
	bool		ipv4;
	PrefixRange6 range;			/* begun last, not written yet */
	bool		written;		/* is there a range before? */
	uint32_t	last_covered;	/* of the one before */
	uint32_t	last_as;
	uint32_t	bucket;			/* the first that the index does not have yet */
	int			depth;
	struct
	{
		PrefixAddress last;
		uint32_t	as;
	}			open[PREFIX_LENGTHS];
} PrefixSweep;

/* The first range of "bucket", and of those before it that have none, is the next one. */
static void
prefix_index_to(PrefixSweep *sweep, uint32_t bucket)
{
	PrefixTable *table = sweep->table;
	uint32_t   *index = sweep->ipv4 ? prefix_index4(table) : prefix_index6(table);
	uint32_t	next = sweep->ipv4 ? table->count4 : table->count6;

	while (sweep->bucket <= bucket)
		index[sweep->bucket++] = next;
}

static void
prefix_write4(PrefixSweep *sweep)
{
	PrefixTable *table = sweep->table;
	uint32_t	start = (uint32_t) sweep->range.start.low;

	prefix_index_to(sweep, prefix_bucket4(start));
	prefix_ranges4(table)[table->count4++] = (PrefixRange4) {
		.start = (uint16_t) (start & ((1U << PREFIX_SHIFT4) - 1)),
		.covered = (uint16_t) sweep->range.covered,
		.as = sweep->range.as
	};
}

static void
prefix_write6(PrefixSweep *sweep)
{
	PrefixTable *table = sweep->table;

	prefix_index_to(sweep, prefix_bucket6(&sweep->range.start));
	prefix_ranges6(table)[table->count6++] = sweep->range;
}

/* A range that goes on as the one before ended is not a new one. */
static void
prefix_write(PrefixSweep *sweep)
{
	const PrefixRange6 *range = &sweep->range;

	if (sweep->written && sweep->last_covered == range->covered && sweep->last_as == range->as)
		return;
	sweep->written = true;
	sweep->last_covered = range->covered;
	sweep->last_as = range->as;
	if (sweep->ipv4)
		prefix_write4(sweep);
	else
		prefix_write6(sweep);
}

/* The AS of the innermost prefix that is open begins at "start". */
static void
prefix_begin_range(PrefixSweep *sweep, PrefixAddress start)
{
	if (!prefix_equal(start, sweep->range.start))
		prefix_write(sweep);
	sweep->range = (PrefixRange6) {
		.start = start,
		.covered = sweep->depth > 0,
		.as = sweep->depth > 0 ? sweep->open[sweep->depth - 1].as : 0
	};
}

/* Ends the innermost prefix; behind the last address nothing begins. */
static void
prefix_close(PrefixSweep *sweep)
{
	PrefixAddress next = sweep->open[--sweep->depth].last;

	next.low++;
	if (next.low == 0 && ++next.high == 0)
		return;
	if (sweep->ipv4 && !prefix_is_ipv4(&next))
		return;
	prefix_begin_range(sweep, next);
}

static void
prefix_sweep_one(PrefixSweep *sweep, const Prefix *prefix)
{
	PrefixAddress first = prefix_address(&prefix->address);

	if (prefix_is_ipv4(&first) != sweep->ipv4)
		return;
	while (sweep->depth > 0 && prefix_less(sweep->open[sweep->depth - 1].last, first))
		prefix_close(sweep);
	sweep->open[sweep->depth].last = prefix_last_address(first, prefix->length);
	sweep->open[sweep->depth].as = prefix->as;
	sweep->depth++;
	prefix_begin_range(sweep, first);
	sweep->table->count++;
}

static bool
prefix_same(const Prefix *a, const Prefix *b)
{
	return a->length == b->length && memcmp(&a->address, &b->address, sizeof(FlowAddress)) == 0;
}

static void
prefix_sweep(PrefixTable *table, bool ipv4, const Prefix *prefixes, uint32_t count)
{
	PrefixSweep sweep;

	sweep.table = table;
	sweep.ipv4 = ipv4;
	sweep.range = (PrefixRange6) {.start.low = ipv4 ? UINT64_C(0xFFFF) << 32 : 0};
	sweep.written = false;
	sweep.last_covered = sweep.last_as = 0;
	sweep.bucket = 0;
	sweep.depth = 0;
	for (uint32_t i = 0; i < count; i++)
	{
		if (i + 1 == count || !prefix_same(&prefixes[i], &prefixes[i + 1]))
			prefix_sweep_one(&sweep, &prefixes[i]);
	}
	while (sweep.depth > 0)
		prefix_close(&sweep);
	prefix_write(&sweep);
	prefix_index_to(&sweep, ipv4 ? PREFIX_BUCKETS4 : PREFIX_BUCKETS6);
}

/* A prefix makes at most two ranges, its own and what goes on after it. */
size_t
prefix_size(uint32_t count)
{
	return PREFIX_RANGES4 + PREFIX_OCTETS(sizeof(PrefixRange4)) + PREFIX_OCTETS(sizeof(PrefixRange6)) +
		PREFIX_OCTETS((size_t) count * 2 * sizeof(PrefixRange6));
}

PrefixTable *
prefix_build(void *memory, Prefix *prefixes, uint32_t count, size_t *used)
{
	PrefixTable *table = memory;

	for (uint32_t i = 0; i < count; i++)
		prefix_mask(&prefixes[i]);
	prefix_sort(prefixes, memory, count);

	memset(table, 0, PREFIX_INDEX4);
	prefix_sweep(table, true, prefixes, count);
	table->ranges6 = PREFIX_OCTETS(PREFIX_RANGES4 + (size_t) table->count4 * sizeof(PrefixRange4));
	prefix_sweep(table, false, prefixes, count);
	if (used != NULL)
		*used = (size_t) table->ranges6 + (size_t) table->count6 * sizeof(PrefixRange6);
	return table;
}

/*
 * Looking up.  The first range of a table begins at the first address, so that
 * there is always one before the place that the search ends at.
 */

static bool
prefix_find4(const PrefixTable *table, uint32_t address, uint32_t *as)
{
	const uint32_t *index = prefix_index4(table) + prefix_bucket4(address);
	const PrefixRange4 *range = prefix_ranges4(table) + index[0];
	uint32_t	left = index[1] - index[0];
	uint32_t	start = address & ((1U << PREFIX_SHIFT4) - 1);

	while (left > 0)
	{
		uint32_t	half = left / 2;

		if (range[half].start <= start)
		{
			range += half + 1;
			left -= half + 1;
		}
		else
			left = half;
	}
	*as = range[-1].as;
	return range[-1].covered != 0;
}

static bool
prefix_find6(const PrefixTable *table, const PrefixAddress *address, uint32_t *as)
{
	const uint32_t *index = prefix_index6(table) + prefix_bucket6(address);
	const PrefixRange6 *range = prefix_ranges6(table) + index[0];
	uint32_t	left = index[1] - index[0];

	while (left > 0)
	{
		uint32_t	half = left / 2;

		if (!prefix_less(*address, range[half].start))
		{
			range += half + 1;
			left -= half + 1;
		}
		else
			left = half;
	}
	*as = range[-1].as;
	return range[-1].covered != 0;
}

bool
prefix_find(const PrefixTable *table, const FlowAddress *address, uint32_t *as)
{
	PrefixAddress wanted = prefix_address(address);
	uint32_t	found;
	bool		covered;

	if (prefix_is_ipv4(&wanted))
		covered = prefix_find4(table, (uint32_t) wanted.low, &found);
	else
		covered = prefix_find6(table, &wanted, &found);
	if (covered)
		*as = found;
	return covered;
}

uint32_t
prefix_count(const PrefixTable *table)
{
	return table->count;
}
