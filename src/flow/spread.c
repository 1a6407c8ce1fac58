/*
 * spread.c
 *	  An amount laid over several intervals, in proportion and exactly.
 */
#include "spread.h"

/* The floor of amount * weight / total, and what the division leaves. */
static uint64_t
spread_floor(uint64_t amount, uint64_t weight, uint64_t total, uint64_t *remainder)
{
	uint64_t	product;
	unsigned __int128 wide;

	if (!__builtin_mul_overflow(amount, weight, &product))
	{
		*remainder = product % total;
		return product / total;
	}
	wide = (unsigned __int128) amount * weight;
	*remainder = (uint64_t) (wide % total);
	return (uint64_t) (wide / total);
}

/* What the floors have left, fewer than there are parts, to the largest remainders. */
static void
spread_rest(uint64_t *remainders, uint32_t count, uint64_t rest, uint64_t *shares)
{
	while (rest > 0)
	{
		uint32_t	largest = 0;

		for (uint32_t i = 1; i < count; i++)
		{
			if (remainders[i] > remainders[largest])
				largest = i;
		}
		shares[largest]++;
		remainders[largest] = 0;
		rest--;
	}
}

static void
spread_many(const uint64_t *weights, uint32_t count, uint64_t amount, uint64_t *shares)
{
	uint64_t	remainders[SPREAD_MAX_PARTS];
	uint64_t	total = 0;
	uint64_t	rest = amount;

	for (uint32_t i = 0; i < count; i++)
		total += weights[i];
	for (uint32_t i = 0; i < count; i++)
	{
		shares[i] = spread_floor(amount, weights[i], total, &remainders[i]);
		rest -= shares[i];
	}
	spread_rest(remainders, count, rest, shares);
}

/* One flow, or packet: its remainders are the weights. */
static void
spread_one(const uint64_t *weights, uint32_t count, uint64_t *shares)
{
	uint32_t	largest = 0;

	for (uint32_t i = 0; i < count; i++)
	{
		shares[i] = 0;
		if (weights[i] > weights[largest])
			largest = i;
	}
	shares[largest] = 1;
}

void
spread_share(const uint64_t *weights, uint32_t count, uint64_t amount, uint64_t *shares)
{
	if (amount == 1)
		spread_one(weights, count, shares);
	else if (count == 2)
	{
		shares[0] = spread_first_of_two(weights, amount);
		shares[1] = amount - shares[0];
	}
	else
		spread_many(weights, count, amount, shares);
}
