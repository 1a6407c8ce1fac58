/*
 * rows.c
 *	  The rows of an interval, as they are stored: in order, one for each key.
 */
#include "rows.h"

#include <stdlib.h>

/* Interface and direction, and which rows are folded. */
static uint32_t
rows_place(const AggregateKey *key)
{
	return key->interface << 2 | (uint32_t) key->ingress << 1 | key->others;
}

static int
rows_compare(const void *a, const void *b)
{
	const AggregateKey *left = &((const AggregateEntry *) a)->key;
	const AggregateKey *right = &((const AggregateEntry *) b)->key;
	uint32_t	left_place = rows_place(left);
	uint32_t	right_place = rows_place(right);

	if (left_place != right_place)
		return left_place < right_place ? -1 : 1;
	if (left->remote_as != right->remote_as)
		return left->remote_as < right->remote_as ? -1 : 1;
	if (left->local_as != right->local_as)
		return left->local_as < right->local_as ? -1 : 1;
	return left->family - right->family;
}

static void
rows_add(AggregateSum *sum, const AggregateSum *other)
{
	sum->bytes = aggregate_sum(sum->bytes, other->bytes);
	sum->packets = aggregate_sum(sum->packets, other->packets);
	sum->flows = aggregate_sum(sum->flows, other->flows);
}

uint32_t
rows_merge(AggregateEntry *rows, uint32_t count)
{
	uint32_t	merged = 0;

	qsort(rows, count, sizeof(*rows), rows_compare);
	for (uint32_t i = 0; i < count; i++)
	{
		if (merged > 0 && rows_compare(&rows[merged - 1], &rows[i]) == 0)
			rows_add(&rows[merged - 1].sum, &rows[i].sum);
		else
			rows[merged++] = rows[i];
	}
	return merged;
}

uint32_t
rows_of_paths(const AggregateRow *paths, uint32_t count, AggregateEntry *rows)
{
	uint32_t	sides = 0;

	for (uint32_t i = 0; i < count; i++)
		sides += aggregate_sides(&paths[i], &rows[sides]);
	return rows_merge(rows, sides);
}
