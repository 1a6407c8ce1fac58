/*
 * test_top.c
 *	  The largest remote ASNs of an interval; the others folded into one row.
 */
#include "build_packet.h"

#include "top.h"

#define INGRESS			true
#define EGRESS			false

#define RANDOM_ROUNDS	2000
#define RANDOM_ROWS		200
#define RANDOM_ASES		12
#define RANDOM_PLACES	4		/* two interfaces in two directions */

typedef struct Rows
{
	uint32_t	count;
	AggregateEntry all[64];
} Rows;

static AggregateEntry
entry(uint32_t interface, bool ingress, uint32_t remote_as, uint32_t local_as,
	  uint8_t family, uint64_t bytes)
{
	return (AggregateEntry) {
		.key = {
			.interface = interface,
			.remote_as = remote_as,
			.local_as = local_as,
			.family = family,
			.ingress = ingress
		},
		.sum = {bytes, bytes / 100, 1}
	};
}

static void
add(Rows *rows, AggregateEntry entry)
{
	assert_true(rows->count < COUNT(rows->all));
	rows->all[rows->count++] = entry;
}

static AggregateEntry
others(uint32_t interface, bool ingress, uint8_t family, uint64_t bytes)
{
	AggregateEntry row = entry(interface, ingress, 0, 0, family, bytes);

	row.key.others = true;
	return row;
}

static void
keep(Rows *rows, uint32_t keep)
{
	rows->count = top_keep(rows->all, rows->count, keep, 0);
}

static bool
same_key(const AggregateKey *a, const AggregateKey *b)
{
	return a->interface == b->interface && a->ingress == b->ingress &&
		a->remote_as == b->remote_as && a->local_as == b->local_as &&
		a->family == b->family && a->others == b->others;
}

/* There is just one row with that key, and its sums are these. */
static void
assert_row(const Rows *rows, AggregateEntry expected, uint64_t packets, uint64_t flows)
{
	int			found = 0;

	for (uint32_t i = 0; i < rows->count; i++)
	{
		if (!same_key(&rows->all[i].key, &expected.key))
			continue;
		assert_int_equal(rows->all[i].sum.bytes, expected.sum.bytes);
		assert_int_equal(rows->all[i].sum.packets, packets);
		assert_int_equal(rows->all[i].sum.flows, flows);
		found++;
	}
	assert_int_equal(found, 1);
}

static void
test_nothing_to_do(void **state)
{
	Rows		rows = {0};

	(void) state;
	assert_int_equal(top_keep(NULL, 0, 0, 0), 0);
	assert_int_equal(top_keep(NULL, 0, 10, 0), 0);

	/* no limit */
	add(&rows, entry(0, INGRESS, 64500, 0, 4, 100));
	add(&rows, entry(0, INGRESS, 64501, 0, 4, 200));
	keep(&rows, 0);
	assert_int_equal(rows.count, 2);

	/* no more than the limit */
	keep(&rows, 2);
	assert_int_equal(rows.count, 2);
	keep(&rows, UINT32_MAX);
	assert_int_equal(rows.count, 2);
	assert_row(&rows, entry(0, INGRESS, 64500, 0, 4, 100), 1, 1);
	assert_row(&rows, entry(0, INGRESS, 64501, 0, 4, 200), 2, 1);
}

static void
test_largest(void **state)
{
	Rows		rows = {0};

	(void) state;
	for (uint32_t i = 1; i <= 20; i++)
		add(&rows, entry(3, EGRESS, 64500 + i * 7 % 20, 64499, 4, 100 * (i * 7 % 20)));
	keep(&rows, 3);
	assert_int_equal(rows.count, 4);
	assert_row(&rows, entry(3, EGRESS, 64519, 64499, 4, 1900), 19, 1);
	assert_row(&rows, entry(3, EGRESS, 64518, 64499, 4, 1800), 18, 1);
	assert_row(&rows, entry(3, EGRESS, 64517, 64499, 4, 1700), 17, 1);
	assert_row(&rows, others(3, EGRESS, 4, 13600), 136, 17);
}

/* An AS is as large as its rows are together, and keeps all of them. */
static void
test_rows_of_one_as(void **state)
{
	Rows		rows = {0};

	(void) state;
	add(&rows, entry(0, INGRESS, 64500, 1, 4, 300));
	add(&rows, entry(0, INGRESS, 64501, 1, 4, 200));
	add(&rows, entry(0, INGRESS, 64501, 2, 4, 100));
	add(&rows, entry(0, INGRESS, 64501, 1, 6, 100));
	add(&rows, entry(0, INGRESS, 64502, 1, 6, 399));
	keep(&rows, 1);
	assert_int_equal(rows.count, 5);
	assert_row(&rows, entry(0, INGRESS, 64501, 1, 4, 200), 2, 1);
	assert_row(&rows, entry(0, INGRESS, 64501, 2, 4, 100), 1, 1);
	assert_row(&rows, entry(0, INGRESS, 64501, 1, 6, 100), 1, 1);
	assert_row(&rows, others(0, INGRESS, 4, 300), 3, 1);
	assert_row(&rows, others(0, INGRESS, 6, 399), 3, 1);
}

static void
test_ties(void **state)
{
	Rows		rows = {0};

	(void) state;
	add(&rows, entry(0, INGRESS, 9, 0, 4, 100));
	add(&rows, entry(0, INGRESS, 7, 0, 4, 100));
	add(&rows, entry(0, INGRESS, 8, 0, 4, 100));
	add(&rows, entry(0, INGRESS, 4200000000, 0, 4, 101));
	keep(&rows, 3);
	assert_int_equal(rows.count, 4);
	assert_row(&rows, entry(0, INGRESS, 4200000000, 0, 4, 101), 1, 1);
	assert_row(&rows, entry(0, INGRESS, 7, 0, 4, 100), 1, 1);
	assert_row(&rows, entry(0, INGRESS, 8, 0, 4, 100), 1, 1);
	assert_row(&rows, others(0, INGRESS, 4, 100), 1, 1);

	/* nothing but ties, of nothing */
	rows.count = 0;
	for (uint32_t as = 1; as <= 5; as++)
		add(&rows, entry(0, INGRESS, 6 - as, 0, 0, 0));
	keep(&rows, 2);
	assert_int_equal(rows.count, 3);
	assert_row(&rows, entry(0, INGRESS, 1, 0, 0, 0), 0, 1);
	assert_row(&rows, entry(0, INGRESS, 2, 0, 0, 0), 0, 1);
	assert_row(&rows, others(0, INGRESS, 0, 0), 0, 3);
}

/* Each interface and direction has its own list. */
static void
test_places(void **state)
{
	Rows		rows = {0};

	(void) state;
	for (uint32_t as = 1; as <= 3; as++)
	{
		add(&rows, entry(0, INGRESS, as, 0, 4, 100 * as));
		add(&rows, entry(0, EGRESS, as, 0, 4, 1000 / as));
		add(&rows, entry(8191, INGRESS, as, 0, 6, as == 2 ? 900 : 100));
	}
	keep(&rows, 1);
	assert_int_equal(rows.count, 6);
	assert_row(&rows, entry(0, INGRESS, 3, 0, 4, 300), 3, 1);
	assert_row(&rows, others(0, INGRESS, 4, 300), 3, 2);
	assert_row(&rows, entry(0, EGRESS, 1, 0, 4, 1000), 10, 1);
	assert_row(&rows, others(0, EGRESS, 4, 833), 8, 2);
	assert_row(&rows, entry(8191, INGRESS, 2, 0, 6, 900), 9, 1);
	assert_row(&rows, others(8191, INGRESS, 6, 200), 2, 2);
}

/* AS 0 is an AS, and not the folded row. */
static void
test_as_zero(void **state)
{
	Rows		rows = {0};

	(void) state;
	add(&rows, entry(0, INGRESS, 0, 0, 4, 200));
	add(&rows, entry(0, INGRESS, 64500, 0, 4, 100));
	add(&rows, others(0, INGRESS, 4, 1000));
	keep(&rows, 1);
	assert_int_equal(rows.count, 2);
	assert_row(&rows, entry(0, INGRESS, 0, 0, 4, 200), 2, 1);
	assert_row(&rows, others(0, INGRESS, 4, 1100), 11, 2);

	rows.count = 0;
	add(&rows, entry(0, INGRESS, 64500, 0, 4, 300));
	add(&rows, entry(0, INGRESS, 0, 0, 4, 200));
	keep(&rows, 1);
	assert_int_equal(rows.count, 2);
	assert_row(&rows, entry(0, INGRESS, 64500, 0, 4, 300), 3, 1);
	assert_row(&rows, others(0, INGRESS, 4, 200), 2, 1);
}

/* Rows folded before stay folded, however large, one for each class of families. */
static void
test_others(void **state)
{
	Rows		rows = {0};

	(void) state;
	add(&rows, others(0, INGRESS, 6, 100000));
	add(&rows, others(0, INGRESS, 4, 100000));
	add(&rows, entry(0, INGRESS, 1, 0, 4, 300));
	add(&rows, entry(0, INGRESS, 2, 0, 6, 200));
	add(&rows, entry(0, INGRESS, 3, 0, 17, 100));
	add(&rows, entry(0, INGRESS, 4, 0, 0, 100));
	keep(&rows, 1);
	assert_int_equal(rows.count, 4);
	assert_row(&rows, entry(0, INGRESS, 1, 0, 4, 300), 3, 1);
	assert_row(&rows, others(0, INGRESS, 4, 100000), 1000, 1);
	assert_row(&rows, others(0, INGRESS, 6, 100200), 1002, 2);
	assert_row(&rows, others(0, INGRESS, 0, 200), 2, 2);

	/* where there is nothing else */
	rows.count = 0;
	add(&rows, others(0, INGRESS, 6, 100));
	add(&rows, others(1, INGRESS, 6, 100));
	keep(&rows, 1);
	assert_int_equal(rows.count, 2);
}

static void
test_saturation(void **state)
{
	Rows		rows = {0};

	(void) state;
	/* as large as can be told, so of equal size */
	for (uint32_t as = 1; as <= 3; as++)
	{
		add(&rows, entry(0, INGRESS, as, 0, 4, AGGREGATE_MAX_SUM - as));
		add(&rows, entry(0, INGRESS, as, 1, 4, 4 * as));
	}
	keep(&rows, 1);
	assert_int_equal(rows.count, 3);
	assert_row(&rows, entry(0, INGRESS, 1, 0, 4, AGGREGATE_MAX_SUM - 1),
			   (AGGREGATE_MAX_SUM - 1) / 100, 1);
	assert_row(&rows, entry(0, INGRESS, 1, 1, 4, 4), 0, 1);
	assert_row(&rows, others(0, INGRESS, 4, AGGREGATE_MAX_SUM),
			   2 * (AGGREGATE_MAX_SUM / 100), 4);
}

static void
test_share(void **state)
{
	Rows		rows = {0};

	(void) state;
	/* 50 %, 30 %, 15 % and 5 %, the last of them folded already */
	add(&rows, entry(0, INGRESS, 1, 0, 4, 500));
	add(&rows, entry(0, INGRESS, 2, 0, 4, 100));
	add(&rows, entry(0, INGRESS, 2, 1, 6, 200));
	add(&rows, entry(0, INGRESS, 3, 0, 4, 150));
	add(&rows, others(0, INGRESS, 4, 50));
	/* another direction has its own shares */
	add(&rows, entry(0, EGRESS, 4, 0, 4, 20));
	add(&rows, entry(0, EGRESS, 5, 0, 4, 19));

	/* just 15 % is not above it */
	rows.count = top_keep(rows.all, rows.count, 1, 150000);
	assert_int_equal(rows.count, 6);
	assert_row(&rows, entry(0, INGRESS, 1, 0, 4, 500), 5, 1);
	assert_row(&rows, entry(0, INGRESS, 2, 0, 4, 100), 1, 1);
	assert_row(&rows, entry(0, INGRESS, 2, 1, 6, 200), 2, 1);
	assert_row(&rows, others(0, INGRESS, 4, 200), 1, 2);
	assert_row(&rows, entry(0, EGRESS, 4, 0, 4, 20), 0, 1);
	assert_row(&rows, entry(0, EGRESS, 5, 0, 4, 19), 0, 1);

	/* the largest ones stay without any share, and nothing is above all */
	rows.count = top_keep(rows.all, rows.count, 1, 1000000);
	assert_int_equal(rows.count, 5);
	assert_row(&rows, others(0, INGRESS, 6, 200), 2, 1);

	/* as large as can be told */
	rows.count = 0;
	add(&rows, entry(0, INGRESS, 1, 0, 4, AGGREGATE_MAX_SUM / 4 * 3));
	add(&rows, entry(0, INGRESS, 2, 0, 4, AGGREGATE_MAX_SUM / 4));
	rows.count = top_keep(rows.all, rows.count, 1, 250001);
	assert_row(&rows, others(0, INGRESS, 4, AGGREGATE_MAX_SUM / 4), AGGREGATE_MAX_SUM / 4 / 100, 1);
}

/*
 * Random rows, against a simple way to tell who is large.
 */

static uint32_t
place_of(const AggregateKey *key)
{
	return key->interface * 2 + key->ingress;
}

static AggregateEntry
random_entry(uint64_t *random)
{
	static const uint8_t families[] = {4, 6, 0, 9};
	uint8_t		family = families[random_next(random) % 4];
	uint32_t	interface = random_next(random) % 2;
	bool		ingress = random_next(random) % 2;
	uint64_t	bytes = random_next(random) % (random_next(random) % 2 == 0 ? 5 : 1000000);

	if (random_next(random) % 20 == 0)
		return others(interface, ingress, family == 9 ? 0 : family, bytes);
	return entry(interface, ingress, random_next(random) % RANDOM_ASES,
				 random_next(random) % 3, family, bytes);
}

static void
sum_up(const AggregateEntry *rows, uint32_t count, AggregateSum sums[RANDOM_PLACES][3])
{
	memset(sums, 0, sizeof(AggregateSum) * RANDOM_PLACES * 3);
	for (uint32_t i = 0; i < count; i++)
	{
		uint8_t		family = rows[i].key.family == 9 ? 0 : rows[i].key.family;
		AggregateSum *sum = &sums[place_of(&rows[i].key)][family / 3];

		sum->bytes += rows[i].sum.bytes;
		sum->packets += rows[i].sum.packets;
		sum->flows += rows[i].sum.flows;
	}
}

/* How many ASNs are larger, or as large and lower. */
static uint32_t
rank_of(uint64_t bytes[RANDOM_ASES], const bool seen[RANDOM_ASES], uint32_t as)
{
	uint32_t	rank = 0;

	for (uint32_t i = 0; i < RANDOM_ASES; i++)
		rank += seen[i] && (bytes[i] > bytes[as] || (bytes[i] == bytes[as] && i < as));
	return rank;
}

static uint32_t
find_row(const AggregateEntry *rows, uint32_t count, const AggregateEntry *row)
{
	uint32_t	found = 0;

	for (uint32_t i = 0; i < count; i++)
		found += same_key(&rows[i].key, &row->key) &&
			memcmp(&rows[i].sum, &row->sum, sizeof(row->sum)) == 0;
	return found;
}

static void
check_random(uint64_t *random)
{
	AggregateEntry before[RANDOM_ROWS] = {0};
	AggregateEntry after[RANDOM_ROWS];
	AggregateSum sums[2][RANDOM_PLACES][3];
	uint64_t	bytes[RANDOM_PLACES][RANDOM_ASES] = {0};
	bool		seen[RANDOM_PLACES][RANDOM_ASES] = {0};
	uint32_t	count = random_next(random) % (RANDOM_ROWS + 1);
	uint32_t	limit = 1 + random_next(random) % (RANDOM_ASES + 2);
	uint32_t	share = random_next(random) % 3 * 70000;
	uint64_t	all[RANDOM_PLACES] = {0};
	uint32_t	left;

	for (uint32_t i = 0; i < count; i++)
	{
		const AggregateKey *key = &before[i].key;

		before[i] = random_entry(random);
		all[place_of(key)] += before[i].sum.bytes;
		if (key->others)
			continue;
		bytes[place_of(key)][key->remote_as] += before[i].sum.bytes;
		seen[place_of(key)][key->remote_as] = true;
	}
	memcpy(after, before, sizeof(after));
	left = top_keep(after, count, limit, share);

	assert_true(left <= count);
	sum_up(before, count, sums[0]);
	sum_up(after, left, sums[1]);
	assert_memory_equal(sums[0], sums[1], sizeof(sums[0]));
	for (uint32_t i = 0; i < left; i++)
	{
		const AggregateKey *key = &after[i].key;

		if (!key->others)
			continue;
		assert_int_equal(key->remote_as, 0);
		assert_int_equal(key->local_as, 0);
		for (uint32_t j = 0; j < i; j++)
			assert_false(same_key(&after[j].key, key));
	}
	for (uint32_t i = 0; i < count; i++)
	{
		const AggregateKey *key = &before[i].key;
		uint32_t	place = place_of(key);

		if (key->others)
			continue;
		if (rank_of(bytes[place], seen[place], key->remote_as) < limit ||
			(share > 0 && bytes[place][key->remote_as] * 1000000 > all[place] * share))
			assert_int_equal(find_row(after, left, &before[i]),
							 find_row(before, count, &before[i]));
		else
			assert_int_equal(find_row(after, left, &before[i]), 0);
	}
}

static void
test_random(void **state)
{
	uint64_t	random = 362436069;

	(void) state;
	for (int round = 0; round < RANDOM_ROUNDS; round++)
		check_random(&random);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_rows_of_one_as),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_as_zero),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_saturation),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
