/*
 * test_aggregate.c
 *	  Sums per key; totals stay exact whatever happens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregate.h"

/* In exactly the octets that it asks for, so that ASan sees one too many. */
static Aggregate *
make(uint32_t max_entries)
{
	size_t		size = aggregate_size(max_entries);
	void	   *memory = malloc(size);

	memset(memory, 0xA5, size);
	return aggregate_init(memory, max_entries);
}

static AggregateKey
key(uint32_t interface, uint32_t remote_as, uint32_t local_as, uint8_t family, bool ingress)
{
	return (AggregateKey) {interface, remote_as, local_as, family, ingress, false};
}

/* Of which only the side of the key counts. */
static AggregatePath
path(AggregateKey key)
{
	return (AggregatePath) {
		.ingress = key.ingress ? key.interface : AGGREGATE_NO_INTERFACE,
		.egress = key.ingress ? AGGREGATE_NO_INTERFACE : key.interface,
		.src_as = key.ingress ? key.remote_as : key.local_as,
		.dst_as = key.ingress ? key.local_as : key.remote_as,
		.family = key.family
	};
}

static void
add(Aggregate *aggregate, AggregateKey key, uint64_t bytes, uint64_t packets, uint64_t flows)
{
	AggregateSum sum = {bytes, packets, flows};
	AggregatePath one_side = path(key);

	aggregate_add(aggregate, &one_side, &sum);
}

static void
assert_sum(const AggregateSum *sum, uint64_t bytes, uint64_t packets, uint64_t flows)
{
	assert_int_equal(sum->bytes, bytes);
	assert_int_equal(sum->packets, packets);
	assert_int_equal(sum->flows, flows);
}

static bool
same_key(const AggregateKey *a, const AggregateKey *b)
{
	return a->interface == b->interface && a->remote_as == b->remote_as &&
		a->local_as == b->local_as && a->family == b->family &&
		a->ingress == b->ingress && a->others == b->others;
}

static void
assert_row(const Aggregate *aggregate, uint32_t position, AggregateKey expected,
		   uint64_t bytes, uint64_t packets, uint64_t flows)
{
	AggregateEntry sides[2];

	assert_true(position < aggregate_count(aggregate));
	assert_int_equal(aggregate_sides(&aggregate_rows(aggregate)[position], sides), 1);
	assert_true(same_key(&sides[0].key, &expected));
	assert_sum(&sides[0].sum, bytes, packets, flows);
}

static void
test_empty(void **state)
{
	Aggregate  *aggregate = make(10);

	(void) state;
	assert_int_equal(aggregate_count(aggregate), 0);
	assert_int_equal(aggregate_folded(aggregate), 0);
	assert_int_equal(aggregate_saturated(aggregate), 0);
	free(aggregate);
}

static void
test_sums(void **state)
{
	Aggregate  *aggregate = make(10);

	(void) state;
	add(aggregate, key(3, 64500, 64501, 4, true), 1000, 10, 1);
	add(aggregate, key(3, 64502, 64501, 4, true), 7, 1, 1);
	add(aggregate, key(3, 64500, 64501, 4, true), 500, 5, 1);

	assert_int_equal(aggregate_count(aggregate), 2);
	assert_row(aggregate, 0, key(3, 64500, 64501, 4, true), 1500, 15, 2);
	assert_row(aggregate, 1, key(3, 64502, 64501, 4, true), 7, 1, 1);
	assert_int_equal(aggregate_folded(aggregate), 0);
	free(aggregate);
}

/* A difference in any member is another key, at the ends of its range too. */
static void
test_keys(void **state)
{
	const AggregateKey keys[] = {
		key(0, 0, 0, 0, false),
		key(1, 0, 0, 0, false),
		key(AGGREGATE_MAX_INTERFACES - 1, 0, 0, 0, false),
		key(0, 1, 0, 0, false),
		key(0, UINT32_MAX, 0, 0, false),
		key(0, 0, 1, 0, false),
		key(0, 0, UINT32_MAX, 0, false),
		key(0, UINT32_MAX, UINT32_MAX, 0, false),
		key(0, 0, 0, 4, false),
		key(0, 0, 0, 6, false),
		key(0, 0, 0, 0, true),
		key(AGGREGATE_MAX_INTERFACES - 1, UINT32_MAX, UINT32_MAX, 6, true)
	};
	const uint32_t count = sizeof(keys) / sizeof(keys[0]);
	Aggregate  *aggregate = make(count);

	(void) state;
	for (int round = 0; round < 2; round++)
		for (uint32_t i = 0; i < count; i++)
			add(aggregate, keys[i], i + 1, i, 1);

	assert_int_equal(aggregate_count(aggregate), count);
	for (uint32_t i = 0; i < count; i++)
		assert_row(aggregate, i, keys[i], 2 * (i + 1), 2 * i, 2);
	free(aggregate);
}

static void
test_folding(void **state)
{
	Aggregate  *aggregate = make(2);
	AggregateKey others = key(5, 0, 0, 4, true);

	(void) state;
	others.others = true;

	add(aggregate, key(5, 0, 0, 4, true), 1, 1, 1);
	add(aggregate, key(5, 10, 20, 4, true), 2, 1, 1);
	add(aggregate, key(5, 11, 20, 4, true), 4, 1, 1);
	add(aggregate, key(5, 12, 20, 4, true), 8, 2, 3);
	add(aggregate, key(5, 10, 20, 4, true), 16, 1, 1);	/* has its row */

	/* AS 0 to AS 0 is a key like any other, and not the folded row. */
	add(aggregate, key(5, 0, 0, 4, true), 32, 1, 1);

	assert_int_equal(aggregate_count(aggregate), 3);
	assert_row(aggregate, 0, key(5, 0, 0, 4, true), 33, 2, 2);
	assert_row(aggregate, 1, key(5, 10, 20, 4, true), 18, 2, 2);
	assert_row(aggregate, 2, others, 12, 3, 4);
	assert_int_equal(aggregate_folded(aggregate), 2);
	free(aggregate);
}

/* A folded row for every interface, direction and family: there is room. */
static void
test_folding_never_fails(void **state)
{
	const uint8_t families[] = {0, 4, 6};
	Aggregate  *aggregate = make(0);
	uint32_t	position = 0;

	(void) state;
	for (int round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 6 * AGGREGATE_MAX_INTERFACES; i++)
			add(aggregate, key(i / 6, i, i, families[i % 3], i / 3 % 2 != 0), i, 1, 1);

	assert_int_equal(aggregate_count(aggregate), 6 * AGGREGATE_MAX_INTERFACES);
	assert_int_equal(aggregate_folded(aggregate), 2 * 6 * AGGREGATE_MAX_INTERFACES);
	for (uint32_t i = 0; i < 6 * AGGREGATE_MAX_INTERFACES; i++)
	{
		AggregateKey expected = key(i / 6, 0, 0, families[i % 3], i / 3 % 2 != 0);

		expected.others = true;
		assert_row(aggregate, position++, expected, 2 * (uint64_t) i, 2, 2);
	}
	free(aggregate);
}

/* Both sides of a path: one row, until it is read, or folded. */
static void
test_both_sides(void **state)
{
	const AggregatePath both = {.ingress = 3,.egress = 4,.src_as = 10,.dst_as = 20,.family = 6};
	const AggregatePath other = {.ingress = 3,.egress = 5,.src_as = 10,.dst_as = 20,.family = 6};
	AggregateKey others = key(3, 0, 0, 6, true);
	Aggregate  *aggregate = make(1);
	AggregateEntry sides[2];

	(void) state;
	for (uint64_t i = 1; i <= 3; i++)
		aggregate_add(aggregate, &both, &(AggregateSum) {100 * i, i, 1});
	assert_int_equal(aggregate_count(aggregate), 1);
	assert_int_equal(aggregate_sides(aggregate_rows(aggregate), sides), 2);
	assert_true(same_key(&sides[0].key, &(AggregateKey) {3, 10, 20, 6, true, false}));
	assert_true(same_key(&sides[1].key, &(AggregateKey) {4, 20, 10, 6, false, false}));
	assert_sum(&sides[0].sum, 600, 6, 3);
	assert_sum(&sides[1].sum, 600, 6, 3);

	aggregate_add(aggregate, &other, &(AggregateSum) {50, 5, 1});
	assert_int_equal(aggregate_count(aggregate), 3);
	assert_int_equal(aggregate_folded(aggregate), 2);
	others.others = true;
	others.ingress = false;
	others.interface = 5;
	assert_row(aggregate, 1, others, 50, 5, 1);
	others.ingress = true;
	others.interface = 3;
	assert_row(aggregate, 2, others, 50, 5, 1);
	free(aggregate);
}

static void
test_saturation(void **state)
{
	Aggregate  *aggregate = make(4);

	(void) state;
	add(aggregate, key(1, 1, 1, 4, true), AGGREGATE_MAX_SUM - 10, 1, 1);
	add(aggregate, key(1, 1, 1, 4, true), 9, 1, 1);
	assert_row(aggregate, 0, key(1, 1, 1, 4, true), AGGREGATE_MAX_SUM - 1, 2, 2);
	assert_int_equal(aggregate_saturated(aggregate), 0);

	add(aggregate, key(1, 1, 1, 4, true), 1, 1, 1);
	assert_row(aggregate, 0, key(1, 1, 1, 4, true), AGGREGATE_MAX_SUM, 3, 3);
	assert_int_equal(aggregate_saturated(aggregate), 1);

	add(aggregate, key(1, 1, 1, 4, true), UINT64_MAX, 1, 1);
	assert_row(aggregate, 0, key(1, 1, 1, 4, true), AGGREGATE_MAX_SUM, 4, 4);
	assert_int_equal(aggregate_saturated(aggregate), 2);

	add(aggregate, key(1, 2, 1, 4, true), 1, UINT64_MAX, 1);
	add(aggregate, key(1, 3, 1, 4, true), 1, 1, UINT64_MAX);
	assert_row(aggregate, 1, key(1, 2, 1, 4, true), 1, AGGREGATE_MAX_SUM, 1);
	assert_row(aggregate, 2, key(1, 3, 1, 4, true), 1, 1, AGGREGATE_MAX_FLOWS);
	assert_int_equal(aggregate_saturated(aggregate), 4);
	free(aggregate);
}

static void
test_reset(void **state)
{
	Aggregate  *aggregate = make(2);

	(void) state;
	aggregate_reset(aggregate);
	for (uint32_t i = 0; i < 5; i++)
		add(aggregate, key(0, i, 0, 4, true), AGGREGATE_MAX_SUM, 1, 1);
	assert_int_equal(aggregate_count(aggregate), 3);

	aggregate_reset(aggregate);
	assert_int_equal(aggregate_count(aggregate), 0);
	assert_int_equal(aggregate_folded(aggregate), 0);
	assert_int_equal(aggregate_saturated(aggregate), 0);

	for (uint32_t i = 4; i > 1; i--)
		add(aggregate, key(0, i, 0, 4, true), i, 1, 1);
	assert_int_equal(aggregate_count(aggregate), 3);
	assert_row(aggregate, 0, key(0, 4, 0, 4, true), 4, 1, 1);
	assert_row(aggregate, 1, key(0, 3, 0, 4, true), 3, 1, 1);
	assert_int_equal(aggregate_folded(aggregate), 1);
	free(aggregate);
}

/* More rows than the index starts with, folded ones among them; twice. */
static void
test_growth(void **state)
{
	Aggregate  *aggregate = make(2500);

	(void) state;
	for (int interval = 0; interval < 2; interval++)
	{
		for (int round = 0; round < 2; round++)
		{
			for (uint32_t i = 0; i < 3000; i++)
			{
				add(aggregate, key(i % 7, i, 64500, 4, i % 2 != 0), i, 1, 1);
			}
		}

		/* and a folded one for each interface and direction */
		assert_int_equal(aggregate_count(aggregate), 2500 + 14);
		for (uint32_t i = 0; i < 2500; i++)
			assert_row(aggregate, i, key(i % 7, i, 64500, 4, i % 2 != 0), 2 * (uint64_t) i, 2, 2);
		assert_int_equal(aggregate_folded(aggregate), 2 * (3000 - 2500));
		aggregate_reset(aggregate);
	}
	free(aggregate);
}

/*
 * Keys chosen so that all of them start at the same slot, and then more until
 * the index has grown: they cost rows, not time without limit, and no byte.
 */
static void
test_collisions(void **state)
{
	const uint32_t wanted = 400;
	const uint32_t mask = 1023; /* the index of 400 rows */
	Aggregate  *aggregate = make(1000);
	uint64_t	bytes = 0;
	uint32_t	remote_as = 0;
	uint32_t	count;

	(void) state;
	for (uint32_t i = 0; i < wanted; i++)
	{
		AggregatePath colliding = path(key(0, 0, 0, 0, false));

		do
			colliding.dst_as = ++remote_as;
		while ((aggregate_hash(&colliding).hash >> 32 & mask) != 77);
		add(aggregate, key(0, remote_as, 0, 0, false), remote_as, 1, 1);
		bytes += remote_as;
	}

	count = aggregate_count(aggregate);
	assert_true(count >= 200 && count <= wanted - 1);
	assert_int_equal(aggregate_folded(aggregate), wanted - (count - 1));

	for (uint32_t i = 0; i < 500; i++)
		add(aggregate, key(1, i, 0, 0, false), 1, 1, 1);
	bytes += 500;

	/* A few came upon those, and went to interface 1's own folded row. */
	assert_true(aggregate_count(aggregate) >= count + 400 && aggregate_count(aggregate) <= count + 500);
	count = aggregate_count(aggregate);
	assert_int_equal(aggregate_folded(aggregate), wanted + 500 - (count - 2));
	for (uint32_t i = 0; i < count; i++)
	{
		AggregateEntry sides[2];

		assert_int_equal(aggregate_sides(&aggregate_rows(aggregate)[i], sides), 1);
		bytes -= sides[0].sum.bytes;
	}
	assert_int_equal(bytes, 0);
	free(aggregate);
}

/* A naive table that does the same, to compare with. */
typedef struct Reference
{
	AggregateKey keys[1000];
	AggregateSum sums[1000];
	uint32_t	count;
	uint32_t	entries;
	uint64_t	folded;
} Reference;

static uint32_t
reference_find(Reference *reference, AggregateKey key)
{
	for (uint32_t i = 0; i < reference->count; i++)
		if (same_key(&reference->keys[i], &key))
			return i;
	return UINT32_MAX;
}

static void
reference_add(Reference *reference, uint32_t max_entries, AggregateKey key,
			  const AggregateSum *sum)
{
	uint32_t	i = reference_find(reference, key);

	if (i == UINT32_MAX && reference->entries == max_entries)
	{
		key.remote_as = key.local_as = 0;
		key.others = true;
		reference->folded++;
		i = reference_find(reference, key);
	}
	if (i == UINT32_MAX)
	{
		i = reference->count++;
		reference->entries += !key.others;
		reference->keys[i] = key;
		reference->sums[i] = (AggregateSum) {0};
	}
	reference->sums[i].bytes += sum->bytes;
	reference->sums[i].packets += sum->packets;
	reference->sums[i].flows += sum->flows;
}

/* Fixed seed: the same numbers on every machine (xorshift64). */
static uint32_t
random_below(uint32_t limit)
{
	static uint64_t x = UINT64_C(88172645463325252);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t) (x >> 32) % limit;
}

static void
add_later(AggregateQueue *queue, Aggregate *aggregate, const AggregateKey *key,
		  const AggregateSum *sum)
{
	AggregatePath one_side = path(*key);
	AggregateHashed hashed = aggregate_hash(&one_side);

	aggregate_add_later(queue, aggregate, &hashed, sum->bytes, sum->packets, sum->flows);
}

static void
test_random(void **state)
{
	static Reference reference;
	static AggregateQueue queue;

	(void) state;
	for (int round = 0; round < 60; round++)
	{
		bool		later = round % 2 != 0;
		const uint8_t families[] = {0, 4, 6};
		uint32_t	max_entries = random_below(200);
		uint32_t	asns = 1 + random_below(30);
		Aggregate  *aggregate = make(max_entries);
		uint64_t	bytes = 0;

		memset(&reference, 0, sizeof(reference));
		for (int i = 0; i < 1000; i++)
		{
			AggregateKey k = key(random_below(4), random_below(asns), random_below(3),
								 families[random_below(3)], random_below(2) != 0);
			AggregateSum sum = {random_below(UINT32_MAX), random_below(1000), 1};

			if (later)
				add_later(&queue, aggregate, &k, &sum);
			else
				add(aggregate, k, sum.bytes, sum.packets, sum.flows);
			reference_add(&reference, max_entries, k, &sum);
			bytes += sum.bytes;
		}
		aggregate_flush(&queue);
		assert_int_equal(queue.count, 0);

		assert_int_equal(aggregate_count(aggregate), reference.count);
		assert_int_equal(aggregate_folded(aggregate), reference.folded);
		for (uint32_t i = 0; i < reference.count; i++)
		{
			const AggregateSum *sum = &reference.sums[i];

			assert_row(aggregate, i, reference.keys[i], sum->bytes, sum->packets, sum->flows);
			bytes -= sum->bytes;
		}
		assert_int_equal(bytes, 0);
		free(aggregate);
	}
}

static void
test_size(void **state)
{
	(void) state;
	assert_true(aggregate_size(131072) < 10 * 1024 * 1024);
	assert_true(aggregate_size(AGGREGATE_MAX_ENTRIES) == aggregate_size(UINT32_MAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_folding),
		cmocka_unit_test(test_folding_never_fails),
		cmocka_unit_test(test_both_sides),
		cmocka_unit_test(test_saturation),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_collisions),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_size)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
