/*
 * spread.h
 *	  An amount laid over several intervals, in proportion and exactly.
 */
#ifndef LASTFLUSS_SPREAD_H
#define LASTFLUSS_SPREAD_H

#include <stdint.h>

/* So many parts at the most. */
#define SPREAD_MAX_PARTS	65

/*
 * Writes to "shares" what each of "count" parts gets of "amount" by its weight:
 * the shares add up to the amount, and none is further than 1 from its exact
 * proportion (largest remainder; of equal remainders the first one).  At least
 * one weight must not be 0, and they must add up to less than 2^63.
 */
extern void spread_share(const uint64_t *weights, uint32_t count, uint64_t amount,
						 uint64_t *shares);

/*
 * spread_share() for two parts, as nearly all flows have that lie in more than one
 * interval: what the first one gets.  Where its remainder is r and not 0, the other
 * one's is the rest of the total; 0 is less than the total.
 */
static inline uint64_t
spread_first_of_two(const uint64_t weights[2], uint64_t amount)
{
	uint64_t	total = weights[0] + weights[1];
	uint64_t	product;
	uint64_t	share;
	uint64_t	remainder;

	if (!__builtin_mul_overflow(amount, weights[0], &product))
	{
		share = product / total;
		remainder = product % total;
	}
	else
	{
		unsigned __int128 wide = (unsigned __int128) amount * weights[0];

		share = (uint64_t) (wide / total);
		remainder = (uint64_t) (wide % total);
	}
	return share + (remainder >= total - remainder);
}

#endif							/* LASTFLUSS_SPREAD_H */
