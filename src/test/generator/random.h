/*
 * random.h
 *	  Numbers that look like chance and are the same for the same seed, and
 *	  draws from a list of weights.
 */
#ifndef GENERATOR_RANDOM_H
#define GENERATOR_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* splitmix64: one addition and a mix, good enough for traffic. */
typedef struct Random
{
	uint64_t	state;
} Random;

static inline uint64_t
random_mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

static inline uint64_t
random_next(Random *random)
{
	random->state += UINT64_C(0x9e3779b97f4a7c15);
	return random_mix(random->state);
}

/* A number below "limit" from 32 random bits. */
static inline uint32_t
random_below(uint32_t bits, uint32_t limit)
{
	return (uint32_t) (((uint64_t) bits * limit) >> 32);
}

/* Walker's alias table: a weighted draw in constant time. */
typedef struct AliasSlot
{
	uint32_t	keep;			/* the slot is kept when 32 random bits are below */
	uint32_t	alias;			/* ... and else this one is taken */
} AliasSlot;

typedef struct Alias
{
	AliasSlot  *slots;
	uint32_t	count;
} Alias;

/*
 * Builds the table; an index with weight 0 is never drawn, unless all are 0,
 * when it is always the first.  Ends the program when memory is out.
 */
extern void alias_init(Alias *alias, const double *weights, uint32_t count);

static inline uint32_t
alias_draw(const Alias *alias, uint64_t bits)
{
	uint32_t	slot = random_below((uint32_t) (bits >> 32), alias->count);

	return (uint32_t) bits < alias->slots[slot].keep ? slot : alias->slots[slot].alias;
}

/* calloc that ends the program when memory is out. */
extern void *allocate(size_t count, size_t size);

#endif							/* GENERATOR_RANDOM_H */
