/*
 * hash.h
 *	  Hashing of the short keys of our tables.
 *
 * Interfaces, observation domains, template ids, AS numbers and addresses are
 * chosen by whoever sends datagrams.  Who could tell their hashes could choose
 * thousands that share one place of a table, all of which each lookup then walks
 * through.  So the hash depends on a key that nobody outside the server knows.
 */
#ifndef LASTFLUSS_HASH_H
#define LASTFLUSS_HASH_H

#include <string.h>

#include "flow.h"

typedef struct HashKey
{
	uint64_t	words[2];
} HashKey;

/* The same in all processes that share a table, and for as long as one lives. */
extern HashKey hash_key;

/*
 * Mixes two words: both halves of the product of 128 bits, so that each bit of the
 * hash depends on every bit of both.
 */
static inline uint64_t
hash_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128) (a ^ hash_key.words[0]) *
		(b ^ hash_key.words[1]);

	return (uint64_t) product ^ (uint64_t) (product >> 64);
}

static inline uint64_t
hash_address(const FlowAddress *address)
{
	uint64_t	words[2];

	memcpy(words, address->octets, sizeof(words));
	return hash_mix(words[0], words[1]);
}

#endif							/* LASTFLUSS_HASH_H */
