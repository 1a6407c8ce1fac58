/*
 * sent.h
 *	  The account of what was sent: in all, and by interface.
 */
#ifndef GENERATOR_SENT_H
#define GENERATOR_SENT_H

#include <stdint.h>

#include "exporter.h"
#include "network.h"

typedef struct Sent
{
	uint64_t	datagrams;		/* of any kind */
	uint64_t	template_datagrams;
	Tally		total;
} Sent;

/* A datagram that the kernel, or a file, took; without records: templates. */
extern void sent_add(Sent *sent, Router *router, const Account *accounts, uint32_t records);

#endif							/* GENERATOR_SENT_H */
