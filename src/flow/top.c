/*
 * top.c
 *	  The largest remote ASNs of an interval; the others folded into one row.
 *
 * In place and without any memory of its own: rows are sorted by interface,
 * direction and remote ASN, so that those of one ASN lie side by side, a "run".
 * For each interface and direction we then search the bytes that the smallest
 * ASN to keep has, and write what is kept and what is folded over what was read.
 */
#include "top.h"

#include <stddef.h>

/* The families' classes: unknown, 4, 6. */
#define TOP_CLASSES		3

#define TOP_MILLION		UINT64_C(1000000)

/* What it takes for the remote ASN of a run to keep its rows. */
typedef struct TopLimit
{
	uint64_t	bytes;			/* more than these, ... */
	uint32_t	ties;			/* or just these, and one of the first so many, ... */
	uint64_t	share;			/* or more than these */
} TopLimit;

/*
 * Sorting.
 */

static uint64_t
top_place(const AggregateKey *key)
{
	return (uint64_t) key->interface << 1 | key->ingress;
}

/* Rows that are folded already come behind the ASNs. */
static uint64_t
top_order(const AggregateKey *key)
{
	return top_place(key) << 33 | (uint64_t) key->others << 32 | key->remote_as;
}

/* Puts "row" at "hole" or below, so that all parents are behind their children. */
static void
top_sift(AggregateEntry *rows, uint32_t count, uint32_t hole, AggregateEntry row)
{
	uint64_t	order = top_order(&row.key);

	while (hole < count / 2)
	{
		uint32_t	child = 2 * hole + 1;

		if (child + 1 < count && top_order(&rows[child].key) < top_order(&rows[child + 1].key))
			child++;
		if (top_order(&rows[child].key) <= order)
			break;
		rows[hole] = rows[child];
		hole = child;
	}
	rows[hole] = row;
}

/* Heapsort: in place, and never worse than n log n. */
static void
top_sort(AggregateEntry *rows, uint32_t count)
{
	for (uint32_t i = count / 2; i-- > 0;)
		top_sift(rows, count, i, rows[i]);
	for (uint32_t left = count; left-- > 1;)
	{
		AggregateEntry row = rows[left];

		rows[left] = rows[0];
		top_sift(rows, left, 0, row);
	}
}

/*
 * Runs of one remote ASN among "count" rows of one interface and direction.
 */

/* The rows of the run at the start, and their bytes. */
static uint32_t
top_run(const AggregateEntry *rows, uint32_t count, uint64_t *bytes)
{
	uint32_t	length = 0;

	*bytes = 0;
	while (length < count && rows[length].key.remote_as == rows[0].key.remote_as)
		*bytes = aggregate_sum(*bytes, rows[length++].sum.bytes);
	return length;
}

/* How many runs have at least so many bytes. */
static uint32_t
top_count(const AggregateEntry *rows, uint32_t count, uint64_t least)
{
	uint32_t	runs = 0;
	uint64_t	bytes;

	for (uint32_t i = 0; i < count;)
	{
		i += top_run(rows + i, count - i, &bytes);
		runs += bytes >= least;
	}
	return runs;
}

/* The most bytes that are no more than "share" millionths of all rows'. */
static uint64_t
top_share(const AggregateEntry *rows, uint32_t count, uint32_t share)
{
	uint64_t	bytes = 0;

	if (share == 0)
		return UINT64_MAX;
	for (uint32_t i = 0; i < count; i++)
		bytes = aggregate_sum(bytes, rows[i].sum.bytes);
	return bytes / TOP_MILLION * share + bytes % TOP_MILLION * share / TOP_MILLION;
}

/* The bytes of the smallest run to keep: the most that "keep" runs have, by halving. */
static TopLimit
top_limit(const AggregateEntry *rows, uint32_t count, uint32_t keep)
{
	uint64_t	low = 0;
	uint64_t	high = AGGREGATE_MAX_SUM;

	if (top_count(rows, count, 0) <= keep)
		return (TopLimit) {.bytes = 0,.ties = keep,.share = UINT64_MAX};
	while (low < high)
	{
		uint64_t	middle = high - (high - low) / 2;

		if (top_count(rows, count, middle) >= keep)
			low = middle;
		else
			high = middle - 1;
	}
	return (TopLimit) {
		.bytes = low,
		.ties = keep - top_count(rows, count, low + 1),
		.share = UINT64_MAX
	};
}

/*
 * Folding.
 */

static void
top_fold(AggregateEntry folds[TOP_CLASSES], const AggregateEntry *row)
{
	uint8_t		family = row->key.family == 4 || row->key.family == 6 ? row->key.family : 0;
	AggregateEntry *fold = &folds[family / 3];

	fold->key = (AggregateKey) {
		.interface = row->key.interface,
		.family = family,
		.ingress = row->key.ingress,
		.others = true
	};
	fold->sum.bytes = aggregate_sum(fold->sum.bytes, row->sum.bytes);
	fold->sum.packets = aggregate_sum(fold->sum.packets, row->sum.packets);
	fold->sum.flows = aggregate_sum(fold->sum.flows, row->sum.flows);
}

/* The rows that stay go to "kept", which does not lie behind them; how many these are. */
static uint32_t
top_keep_runs(const AggregateEntry *rows, uint32_t count, TopLimit limit,
			  AggregateEntry *kept, AggregateEntry folds[TOP_CLASSES])
{
	uint32_t	stay = 0;
	uint32_t	length;
	uint64_t	bytes;

	for (uint32_t i = 0; i < count; i += length)
	{
		bool		keep;

		length = top_run(rows + i, count - i, &bytes);
		keep = bytes > limit.bytes || (bytes == limit.bytes && limit.ties > 0);
		limit.ties -= keep && bytes == limit.bytes;
		keep = keep || bytes > limit.share;
		for (uint32_t j = i; j < i + length; j++)
		{
			if (keep)
				kept[stay++] = rows[j];
			else
				top_fold(folds, &rows[j]);
		}
	}
	return stay;
}

/* One interface and direction, "asns" rows of which are not folded yet. */
static uint32_t
top_keep_place(const AggregateEntry *rows, uint32_t count, uint32_t asns, uint32_t keep,
			   uint32_t share, AggregateEntry *kept)
{
	AggregateEntry folds[TOP_CLASSES] = {0};
	TopLimit	limit = top_limit(rows, asns, keep);
	uint32_t	stay;

	limit.share = top_share(rows, count, share);
	stay = top_keep_runs(rows, asns, limit, kept, folds);
	for (uint32_t i = asns; i < count; i++)
		top_fold(folds, &rows[i]);
	for (int i = 0; i < TOP_CLASSES; i++)
	{
		if (folds[i].key.others)
			kept[stay++] = folds[i];
	}
	return stay;
}

uint32_t
top_keep(AggregateEntry *rows, uint32_t count, uint32_t keep, uint32_t share)
{
	uint32_t	stay = 0;
	uint32_t	next;

	if (keep == 0)
		return count;
	top_sort(rows, count);
	for (uint32_t start = 0; start < count; start = next)
	{
		uint64_t	place = top_place(&rows[start].key);
		uint32_t	asns = 0;

		for (next = start; next < count && top_place(&rows[next].key) == place; next++)
			asns += !rows[next].key.others;
		stay += top_keep_place(rows + start, next - start, asns, keep, share, rows + stay);
	}
	return stay;
}
