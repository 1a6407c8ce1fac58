/*
 * test_spread.c
 *	  An amount laid over several intervals, in proportion and exactly.
 */
#include "build_packet.h"

#include "spread.h"

/* The largest bigint, as sums have it. */
#define MAX_SUM			((uint64_t) INT64_MAX)

#define RANDOM_ROUNDS	20000

static void
assert_shares(const uint64_t *weights, uint32_t count, uint64_t amount,
			  const uint64_t *expected)
{
	uint64_t	shares[SPREAD_MAX_PARTS];

	spread_share(weights, count, amount, shares);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(shares[i], expected[i]);
}

#define ASSERT_SHARES(amount, count, weights, expected) \
	assert_shares((const uint64_t[count]) weights, count, amount, \
				  (const uint64_t[count]) expected)
#define LIST(...)		{__VA_ARGS__}

static void
test_one_part(void **state)
{
	(void) state;
	ASSERT_SHARES(0, 1, LIST(1), LIST(0));
	ASSERT_SHARES(1500, 1, LIST(1), LIST(1500));
	ASSERT_SHARES(1500, 1, LIST(UINT64_C(1) << 62), LIST(1500));
	ASSERT_SHARES(MAX_SUM, 1, LIST(MAX_SUM), LIST(MAX_SUM));
	ASSERT_SHARES(UINT64_MAX, 1, LIST(3), LIST(UINT64_MAX));
}

static void
test_proportion(void **state)
{
	(void) state;
	ASSERT_SHARES(100, 2, LIST(1, 3), LIST(25, 75));
	ASSERT_SHARES(100, 4, LIST(10, 20, 30, 40), LIST(10, 20, 30, 40));
	ASSERT_SHARES(0, 3, LIST(1, 2, 3), LIST(0, 0, 0));
}

/* What the floors leave goes to the largest remainders. */
static void
test_largest_remainder(void **state)
{
	(void) state;
	/* 1.43 and 8.57; 2.86 and 7.14 */
	ASSERT_SHARES(10, 2, LIST(1, 6), LIST(1, 9));
	ASSERT_SHARES(10, 2, LIST(2, 5), LIST(3, 7));
	/* 0.2, 0.7, 1.1: one is left */
	ASSERT_SHARES(2, 3, LIST(10, 35, 55), LIST(0, 1, 1));
	/* 0.6, 0.6, 0.8: two are left */
	ASSERT_SHARES(2, 3, LIST(30, 30, 40), LIST(1, 0, 1));
}

/* Of equal remainders the first one. */
static void
test_ties(void **state)
{
	(void) state;
	ASSERT_SHARES(1, 2, LIST(1, 1), LIST(1, 0));
	ASSERT_SHARES(1, 2, LIST(7, 7), LIST(1, 0));
	ASSERT_SHARES(5, 3, LIST(1, 1, 1), LIST(2, 2, 1));
	ASSERT_SHARES(7, 4, LIST(5, 5, 5, 5), LIST(2, 2, 2, 1));
}

static void
test_zero_weights(void **state)
{
	(void) state;
	ASSERT_SHARES(1, 3, LIST(0, 1, 0), LIST(0, 1, 0));
	ASSERT_SHARES(3, 4, LIST(0, 1, 0, 1), LIST(0, 2, 0, 1));
	ASSERT_SHARES(MAX_SUM, 2, LIST(0, MAX_SUM), LIST(0, MAX_SUM));
}

/* Fewer than there are parts. */
static void
test_small_amounts(void **state)
{
	uint64_t	weights[SPREAD_MAX_PARTS];
	uint64_t	shares[SPREAD_MAX_PARTS];

	(void) state;
	for (uint32_t i = 0; i < SPREAD_MAX_PARTS; i++)
		weights[i] = 1;
	for (uint64_t amount = 0; amount < SPREAD_MAX_PARTS; amount++)
	{
		spread_share(weights, SPREAD_MAX_PARTS, amount, shares);
		for (uint32_t i = 0; i < SPREAD_MAX_PARTS; i++)
			assert_int_equal(shares[i], i < amount);
	}
}

/* Where the product needs more than 64 bits. */
static void
test_huge(void **state)
{
	const uint64_t half = UINT64_C(1) << 61;

	(void) state;
	ASSERT_SHARES(MAX_SUM, 2, LIST(half, half), LIST(half * 2, half * 2 - 1));
	ASSERT_SHARES(MAX_SUM, 2, LIST(1, MAX_SUM - 1), LIST(1, MAX_SUM - 1));
	ASSERT_SHARES(MAX_SUM - 1, 2, LIST(1, MAX_SUM - 1), LIST(1, MAX_SUM - 2));
	ASSERT_SHARES(1, 2, LIST(1, MAX_SUM - 1), LIST(0, 1));
	ASSERT_SHARES(MAX_SUM, 3, LIST(1, 1, 1), LIST(MAX_SUM / 3 + 1, MAX_SUM / 3, MAX_SUM / 3));
	ASSERT_SHARES(UINT64_MAX, 2, LIST(half, half), LIST(half * 4, half * 4 - 1));
}

static uint64_t
random_wide(uint64_t *random)
{
	uint64_t	upper = random_next(random);

	/* of any magnitude */
	return (upper << 32 | random_next(random)) >> 1 >> random_next(random) % 63;
}

/* Exact in all, and none further than 1 from its proportion. */
static void
test_random(void **state)
{
	uint64_t	random = 88172645463325252;

	(void) state;
	for (int round = 0; round < RANDOM_ROUNDS; round++)
	{
		uint32_t	count = 1 + random_next(&random) % SPREAD_MAX_PARTS;
		uint64_t	amount = random_wide(&random);
		uint64_t	weights[SPREAD_MAX_PARTS];
		uint64_t	shares[SPREAD_MAX_PARTS];
		uint64_t	total = 0;
		uint64_t	sum = 0;

		for (uint32_t i = 0; i < count; i++)
		{
			weights[i] = random_next(&random) % 4 == 0 ? 0 : random_wide(&random) / count;
			total += weights[i];
		}
		if (total == 0)
			total = weights[0] = 1;
		spread_share(weights, count, amount, shares);
		for (uint32_t i = 0; i < count; i++)
		{
			uint64_t	floor = (uint64_t) ((unsigned __int128) amount * weights[i] / total);

			assert_true(shares[i] == floor || shares[i] == floor + 1);
			assert_true(weights[i] != 0 || shares[i] == 0);
			sum += shares[i];
		}
		assert_int_equal(sum, amount);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_part),
		cmocka_unit_test(test_proportion),
		cmocka_unit_test(test_largest_remainder),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_zero_weights),
		cmocka_unit_test(test_small_amounts),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
