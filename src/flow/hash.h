/*
 * hash.h
 *	  Hashing of the short keys of our tables.
 *
 * Not a secret: whoever can send us datagrams can make keys collide.  A table
 * whose keys come from the network must therefore bound how far it looks.
 */
#ifndef LASTFLUSS_HASH_H
#define LASTFLUSS_HASH_H

#include <string.h>

#include "flow.h"

/* Mixes two words so that the upper bits depend on every bit of both. */
static inline uint64_t
hash_mix(uint64_t a, uint64_t b)
{
	uint64_t	hash = a * UINT64_C(0x9E3779B97F4A7C15) + b * UINT64_C(0xD6E8FEB86659FD93);

	hash ^= hash >> 32;
	hash *= UINT64_C(0xA24BAED4963EE407);
	return hash ^ hash >> 29;
}

static inline uint64_t
hash_address(const FlowAddress *address)
{
	uint64_t	words[2];

	memcpy(words, address->octets, sizeof(words));
	return hash_mix(words[0], words[1]);
}

#endif							/* LASTFLUSS_HASH_H */
