/*
 * flow.h
 *	  One normalised flow record, whatever format it came in.
 *
 * Fields that the exporter did not send are absent, not zero: their bit in
 * "present" is clear and their member holds nothing worth reading.
 */
#ifndef LASTFLUSS_FLOW_H
#define LASTFLUSS_FLOW_H

#include <stdbool.h>
#include <stdint.h>

/* An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
typedef struct FlowAddress
{
	uint8_t		octets[16];
} FlowAddress;

/* The values are the version numbers in the datagram, sFlow's plus 100. */
typedef enum FlowProtocol
{
	FLOW_NETFLOW_V1 = 1,
	FLOW_NETFLOW_V5 = 5,
	FLOW_NETFLOW_V7 = 7,
	FLOW_NETFLOW_V8 = 8,
	FLOW_NETFLOW_V9 = 9,
	FLOW_IPFIX = 10,
	FLOW_SFLOW_V5 = 105
} FlowProtocol;

/* Numbers of the bits in Flow.present. */
typedef enum FlowField
{
	FLOW_BYTES,
	FLOW_PACKETS,
	FLOW_IN_IF,
	FLOW_OUT_IF,
	FLOW_SRC_AS,
	FLOW_DST_AS,
	FLOW_SRC_ADDR,
	FLOW_DST_ADDR,
	FLOW_IN_VLAN,
	FLOW_OUT_VLAN,
	FLOW_SAMPLING,
	FLOW_FIRST,
	FLOW_LAST,
	FLOW_DIRECTION
} FlowField;

#define FLOW_BIT(field)			(UINT32_C(1) << (field))
#define FLOW_HAS(flow, field)	(((flow)->present & FLOW_BIT(field)) != 0)

/* Where Flow.sampling comes from. */
typedef enum FlowSamplingOrigin
{
	FLOW_SAMPLING_UNKNOWN,		/* nobody said: counted as 1 */
	FLOW_SAMPLING_RECORD,		/* a field of the record itself; sFlow: the sample's rate */
	FLOW_SAMPLING_SAMPLER,		/* options data of the sampler that the record names */
	FLOW_SAMPLING_EXPORTER,		/* options data of the exporter's only sampler */
	FLOW_SAMPLING_HEADER		/* the NetFlow v5 header */
} FlowSamplingOrigin;

/* Members before "bytes" are the same, or begin the same, in all flows of a set. */
typedef struct Flow
{
	uint32_t	present;		/* FLOW_BIT()s of the members that are valid */
	uint8_t		protocol;		/* FlowProtocol; always valid */
	uint8_t		family;			/* 4, 6, or 0 where the record does not tell */
	uint8_t		direction;		/* 0 ingress, 1 egress (element 61) */
	uint8_t		sampling_origin;	/* FlowSamplingOrigin; always valid */
	bool		reverse;		/* made of reverse counters (RFC 5103); always valid */
	uint32_t	domain;			/* observation domain, source id, engine or sub-agent */
	int64_t		received;		/* us since 1970, our clock; always valid */
	int64_t		exported;		/* the same by the exporter's clock; valid with first or last */
	uint64_t	bytes;			/* as exported, not multiplied by sampling */
	uint64_t	packets;
	uint32_t	in_if;			/* SNMP ifIndex */
	uint32_t	out_if;
	uint32_t	src_as;
	uint32_t	dst_as;
	uint16_t	in_vlan;
	uint16_t	out_vlan;
	uint32_t	sampling;		/* 1 in N */
	int64_t		first;			/* microseconds since 1970, exporter's clock */
	int64_t		last;
	FlowAddress src_addr;
	FlowAddress dst_addr;
} Flow;

/* An interface's own counters, from an sFlow counter sample. */
typedef struct FlowCounters
{
	uint32_t	id;				/* SNMP ifIndex */
	bool		has_packets;
	uint64_t	in_octets;
	uint64_t	out_octets;
	uint64_t	in_packets;
	uint64_t	out_packets;
	uint64_t	speed;			/* bit/s, 0: not told */
} FlowCounters;

#define FLOW_NAME_SIZE	64		/* with the closing zero */

/* What options data tells of an interface; empty strings: not told. */
typedef struct FlowInterface
{
	uint32_t	id;				/* SNMP ifIndex */
	char		name[FLOW_NAME_SIZE];	/* element 82 */
	char		description[FLOW_NAME_SIZE];	/* element 83 */
} FlowInterface;

/* So many flows are handed over at a time, at the most: those of a usual datagram. */
#define FLOW_BATCH		32

typedef struct FlowBatch
{
	uint32_t	count;
	Flow		flows[FLOW_BATCH];
} FlowBatch;

/*
 * Where the content of datagrams goes, flows in their order.  NULL: not wanted,
 * but for "flows".  A batch has at least one flow, and all are of one exporter.
 */
typedef struct FlowSinks
{
	void	   *context;
	bool		no_addresses;	/* those of flows are not looked at, and may be absent */
	void		(*flows) (void *context, const Flow *flows, uint32_t count);
	void		(*counters) (void *context, const FlowCounters *counters);
	void		(*interface) (void *context, const FlowInterface *interface);
} FlowSinks;

#endif							/* LASTFLUSS_FLOW_H */
