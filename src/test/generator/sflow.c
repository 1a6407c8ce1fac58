/*
 * sflow.c
 *	  sFlow version 5 as a switch writes it.
 *
 * A sample has two records: the packet's first 128 octets, and what the switch
 * knows from BGP about its source and destination.
 */
#include "sflow.h"

#include "put.h"

#define VERSION				5
#define FLOW_SAMPLE			1
#define RAW_HEADER			1
#define EXTENDED_GATEWAY	1003
#define ADDRESS_IPV4		1
#define PROTOCOL_ETHERNET	1
#define AS_SEQUENCE			2

#define SAMPLE_HEADER		40			/* with format and length */
#define RAW_HEADER_FIELDS	24			/* likewise, before the packet's octets */
#define GATEWAY_RECORD		56			/* likewise, with a path of two */
#define SAMPLED_MOST		128

#define ETHERNET_HEADER		14
#define CHECKSUM_REMOVED	4			/* of each frame, before it was sampled */

#define UPSTREAM_AS			64511		/* the path's first AS */

void
sflow_put_header(uint8_t *to, const uint8_t agent[4], uint32_t sub_agent,
				 uint32_t sequence, uint32_t uptime, uint32_t samples)
{
	to = put32(to, VERSION);
	to = put32(to, ADDRESS_IPV4);
	to = put_octets(to, agent, 4);
	to = put32(to, sub_agent);
	to = put32(to, sequence);
	to = put32(to, uptime);
	put32(to, samples);
}

static uint32_t
sampled_length(const Flow *flow)
{
	return flow->octets < SAMPLED_MOST ? flow->octets : SAMPLED_MOST;
}

/* XDR pads to multiples of four. */
static uint32_t
padded(uint32_t length)
{
	return (length + 3) & ~3U;
}

size_t
sflow_sample_length(const Flow *flow)
{
	return SAMPLE_HEADER + RAW_HEADER_FIELDS + padded(sampled_length(flow)) + GATEWAY_RECORD;
}

static uint8_t *
put_ip(uint8_t *to, const Flow *flow)
{
	uint16_t	length = (uint16_t) (flow->octets - ETHERNET_HEADER);

	if (flow->ipv6)
	{
		to = put32(to, UINT32_C(6) << 28 | (uint32_t) flow->tos << 20);
		to = put16(to, (uint16_t) (length - 40));
		to = put8(to, flow->protocol);
		to = put8(to, 60);		/* hop limit */
		to = put_octets(to, flow->source, 16);
		return put_octets(to, flow->destination, 16);
	}
	to = put8(to, 0x45);
	to = put8(to, flow->tos);
	to = put16(to, length);
	to = put32(to, 0x4000);		/* do not fragment */
	to = put8(to, 60);			/* time to live */
	to = put8(to, flow->protocol);
	to = put16(to, 0);
	to = put_octets(to, flow->source, 4);
	return put_octets(to, flow->destination, 4);
}

/* Cut after as many octets as were sampled, or filled with zeros as far. */
static uint8_t *
put_frame(uint8_t *to, const Flow *flow)
{
	uint8_t    *end = to + padded(sampled_length(flow));

	memset(to, 0, (size_t) (end - to));
	to = put_octets(to, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02", 12);
	to = put16(to, flow->ipv6 ? 0x86dd : 0x0800);
	to = put_ip(to, flow);
	if (end - to >= 4)
		put16(put16(to, flow->source_port), flow->destination_port);
	return end;
}

static uint8_t *
put_gateway(uint8_t *to, const Flow *flow)
{
	to = put32(to, EXTENDED_GATEWAY);
	to = put32(to, GATEWAY_RECORD - 8);
	to = put32(to, ADDRESS_IPV4);
	to = put32(to, 0xc0000201);	/* next hop 192.0.2.1 */
	to = put32(to, NETWORK_OWN_ASN);
	to = put32(to, flow->source_as);
	to = put32(to, flow->source_as);	/* the source's peer */
	to = put32(to, 1);			/* segments of the path */
	to = put32(to, AS_SEQUENCE);
	to = put32(to, 2);
	to = put32(to, UPSTREAM_AS);
	to = put32(to, flow->destination_as);
	to = put32(to, 0);			/* communities */
	return put32(to, 100);		/* local preference */
}

uint8_t *
sflow_put_sample(uint8_t *to, const Flow *flow, const Router *router, uint32_t sequence)
{
	uint32_t	sampled = sampled_length(flow);

	to = put32(to, FLOW_SAMPLE);
	to = put32(to, (uint32_t) sflow_sample_length(flow) - 8);
	to = put32(to, sequence);
	to = put32(to, router->interfaces[flow->in].id);	/* which data source */
	to = put32(to, router->sample);
	to = put32(to, (sequence + 1) * router->sample);	/* packets that could have been sampled */
	to = put32(to, 0);			/* samples dropped */
	to = put32(to, router->interfaces[flow->in].id);
	to = put32(to, router->interfaces[flow->out].id);
	to = put32(to, 2);			/* records */

	to = put32(to, RAW_HEADER);
	to = put32(to, 16 + padded(sampled));
	to = put32(to, PROTOCOL_ETHERNET);
	to = put32(to, flow->octets);
	to = put32(to, CHECKSUM_REMOVED);
	to = put32(to, sampled);
	to = put_frame(to, flow);
	return put_gateway(to, flow);
}
