/*
 * network.h
 *	  The made-up network: its routers and interfaces, and flows through it.
 */
#ifndef GENERATOR_NETWORK_H
#define GENERATOR_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"

#define NETWORK_HOST_SIZE	46		/* the longest textual IPv6 address */
#define NETWORK_OWN_ASN		64500	/* RFC 5398: for documentation */

typedef enum Format
{
	FORMAT_V5,
	FORMAT_V9,
	FORMAT_IPFIX,
	FORMAT_SFLOW				/* of bench routers only */
} Format;

#define FORMATS		(FORMAT_SFLOW + 1)

/* Sums of what was exported, not yet multiplied by the sampling rate. */
typedef struct Tally
{
	uint64_t	records;
	uint64_t	octets;
	uint64_t	packets;
} Tally;

typedef struct Interface
{
	uint32_t	id;				/* SNMP ifIndex */
	Tally		in;
	Tally		out;
} Interface;

typedef struct Router
{
	char		host[NETWORK_HOST_SIZE];
	Format		format;
	uint32_t	domain;			/* engine, source id, observation domain */
	uint32_t	sample;			/* one packet of so many is looked at */
	uint64_t	uptime;			/* milliseconds that it runs when we begin */
	Interface  *interfaces;
	uint32_t	interface_count;
} Router;

/* One flow as its router accounts it. */
typedef struct Flow
{
	uint32_t	router;			/* index in the network */
	uint32_t	in;				/* indexes in the router's interfaces */
	uint32_t	out;
	uint32_t	source_as;
	uint32_t	destination_as;
	uint32_t	octets;
	uint32_t	packets;
	uint32_t	age;			/* milliseconds from its last packet to export */
	uint32_t	duration;		/* milliseconds from first to last packet */
	uint16_t	source_port;
	uint16_t	destination_port;
	uint8_t		protocol;
	uint8_t		tcp_flags;
	uint8_t		tos;
	bool		ipv6;
	uint8_t		source[16];		/* IPv4 in the first four octets */
	uint8_t		destination[16];
} Flow;

typedef struct NetworkOptions
{
	bool		formats[FORMATS];	/* by Format: this router of the demo takes part */
	uint32_t	interfaces;		/* not 0: bench routers with so many instead */
	uint32_t	routers;		/* of these, all alike; flows are the first one's */
	uint32_t	asns;			/* remote networks */
	bool		flat;			/* all get the same traffic */
	uint32_t	sample;			/* of bench routers */
	uint32_t	ipv6_percent;
} NetworkOptions;

typedef struct Network Network;

extern Network *network_create(const NetworkOptions *options);
extern Router *network_routers(Network *network, uint32_t *count);

/*
 * Makes flows larger or smaller, so that "rate" of them a second are "bits"
 * bit/s through the routers, sampling rate included.
 */
extern void network_scale(Network *network, double rate, double bits);

/* The next flow; depends on the state of "random" alone. */
extern void network_draw(const Network *network, Random *random, Flow *flow);

/* A remote AS of a bench network, drawn as that of a flow. */
extern uint32_t network_draw_asn(const Network *network, Random *random);

/* The daily rhythm at a time of the Unix epoch: 1 in the mean. */
extern double network_rhythm(double time);

#endif							/* GENERATOR_NETWORK_H */
