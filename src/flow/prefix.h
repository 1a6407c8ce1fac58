/*
 * prefix.h
 *	  Address -> AS number by the longest matching prefix.
 *
 * Built once from all prefixes, then only read; holds no pointers, so that it
 * may lie in shared memory.  A full table (1.2 million prefixes) takes less
 * than 100 MiB.
 */
#ifndef LASTFLUSS_PREFIX_H
#define LASTFLUSS_PREFIX_H

#include <stddef.h>

#include "flow.h"

typedef struct Prefix
{
	FlowAddress address;		/* IPv4 as ::ffff:a.b.c.d */
	uint8_t		length;			/* 0 to 128; of an IPv4 prefix 96 and more */
	uint32_t	as;
} Prefix;

typedef struct PrefixTable PrefixTable;

/* Octets that a table of so many prefixes needs at the most. */
extern size_t prefix_size(uint32_t count);

/*
 * Makes the table in "memory" (prefix_size() octets, aligned to 64).  Sorts
 * "prefixes"; of two that are equal the last one counts.  "*used" (may be NULL)
 * becomes the octets that it took, of which the rest may be given back.
 */
extern PrefixTable *prefix_build(void *memory, Prefix *prefixes, uint32_t count, size_t *used);

/* The AS of the longest prefix that covers the address; false: there is none. */
extern bool prefix_find(const PrefixTable *table, const FlowAddress *address, uint32_t *as);

extern uint32_t prefix_count(const PrefixTable *table);

#endif							/* LASTFLUSS_PREFIX_H */
