/*
 * address.h
 *	  FlowAddresses from octets.
 */
#ifndef LASTFLUSS_ADDRESS_H
#define LASTFLUSS_ADDRESS_H

#include <string.h>

#include "flow.h"

/* ::ffff:a.b.c.d from the four octets of an IPv4 address. */
static inline void
address_from_ipv4(FlowAddress *address, const uint8_t *octets)
{
	memset(address->octets, 0, 10);
	memset(address->octets + 10, 0xff, 2);
	memcpy(address->octets + 12, octets, 4);
}

static inline void
address_from_ipv6(FlowAddress *address, const uint8_t *octets)
{
	memcpy(address->octets, octets, 16);
}

#endif							/* LASTFLUSS_ADDRESS_H */
