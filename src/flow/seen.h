/*
 * seen.h
 *	  Interfaces that records have named, configured or not.
 */
#ifndef LASTFLUSS_SEEN_H
#define LASTFLUSS_SEEN_H

#include "flow.h"
#include "lru.h"

typedef struct SeenInterface
{
	LruLink		link;
	FlowAddress host;
	uint32_t	id;				/* SNMP ifIndex */
	uint64_t	in_bytes;		/* records that entered there, times sampling */
	uint64_t	out_bytes;
	uint64_t	in_records;
	uint64_t	out_records;
	uint64_t	observed[2][2];	/* bytes [ingress side][at egress], by element 61 */
	uint64_t	speed;			/* bit/s, 0: not told */
	int64_t		first_seen;		/* microseconds since 1970, our clock */
	int64_t		last_seen;
	char		name[FLOW_NAME_SIZE];	/* from options data; empty: not told */
	char		description[FLOW_NAME_SIZE];
} SeenInterface;

/* Finds or makes the entry, and marks it as used. */
extern SeenInterface *seen_get(Lru *seen, const FlowAddress *host, uint32_t id,
							   LruClass class, int64_t now);

#endif							/* LASTFLUSS_SEEN_H */
