/*
 * load.h
 *	  Bench routers: as many records a second as can be sent.
 */
#ifndef GENERATOR_LOAD_H
#define GENERATOR_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "exporter.h"
#include "network.h"
#include "random.h"
#include "sent.h"
#include "udp.h"

typedef struct LoadOptions
{
	const Network *network;
	Router	   *routers;		/* all alike */
	uint32_t	router_count;
	Exporter   *exporter;		/* writes the datagrams of all of them */
	uint32_t	templates;		/* pairs of each router; 0: none is sent */
	uint32_t	template_every; /* datagrams of a router between two of them */
	Udp		   *udp;
	Random	   *random;
	Sent	   *sent;
} LoadOptions;

typedef struct Load Load;

extern Load *load_create(const LoadOptions *options);

/*
 * Sends datagrams until "due" records are reached, or a batch is full; tells how
 * many records they had, which may be fewer than one datagram's: then none.
 * False when sending makes no sense.
 */
extern bool load_send(Load *load, uint64_t due, int64_t now, uint64_t *records);

#endif							/* GENERATOR_LOAD_H */
