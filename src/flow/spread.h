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

#endif							/* LASTFLUSS_SPREAD_H */
