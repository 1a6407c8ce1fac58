/*
 * netflow8.c
 *	  NetFlow version 8: flows that the router has aggregated, by scheme.
 *
 * The header names the scheme, and the scheme the layout of all records in the
 * datagram.  A record stands for many flows and may tell how many; here it is
 * one record.
 */
#include "netflow8.h"

#include "address.h"
#include "times.h"

#define NETFLOW8_HEADER		28

/* agg_version: the only one whose layouts we know. */
#define NETFLOW8_VERSION	2

/* Offset of a field that the scheme leaves out. */
#define NONE				(-1)

/* Where in the record the fields are. */
typedef struct Netflow8Scheme
{
	uint8_t		length;			/* of a record; 0: no scheme that we know */
	uint8_t		packets;		/* 4 octets, and so have octets, first and last */
	int8_t		in_if;			/* 2 octets, and so have interfaces and AS numbers */
	int8_t		out_if;
	int8_t		src_as;
	int8_t		dst_as;
	int8_t		src_addr;		/* 4 octets: an address, or a prefix's first one */
	int8_t		dst_addr;
} Netflow8Scheme;

/* "octets", "first" and "last" follow "packets" in every scheme. */
#define NETFLOW8_OCTETS		4
#define NETFLOW8_FIRST		8
#define NETFLOW8_LAST		12

/*
 * By number.  Of scheme 9 there are two readings: the interfaces before the ToS
 * (flow-tools) or behind it (Wireshark).  The other schemes decide: each with a
 * ToS is the one without, the ToS in what was padding (11 is 3, 12 is 4, 13 is
 * 5) or more octets at the end (10 is 2), and what both have does not move.  So
 * 9 is 1 with the ToS in four more octets.
 */
static const Netflow8Scheme netflow8_schemes[] = {
	[1] = {28, 4, 24, 26, 20, 22, NONE, NONE},	/* AS */
	[2] = {28, 4, NONE, NONE, NONE, NONE, NONE, NONE},	/* protocol and port */
	[3] = {32, 4, 28, NONE, 26, NONE, 20, NONE},	/* source prefix */
	[4] = {32, 4, NONE, 28, NONE, 26, NONE, 20},	/* destination prefix */
	[5] = {40, 4, 36, 38, 32, 34, 20, 24},	/* prefix */
	[6] = {32, 4, NONE, 20, NONE, NONE, NONE, 0},	/* destination (Catalyst) */
	[7] = {40, 8, 26, 24, NONE, NONE, 4, 0},	/* source and destination (Catalyst) */
	[8] = {44, 12, 30, 28, NONE, NONE, 4, 0},	/* full flow (Catalyst) */
	[9] = {32, 4, 24, 26, 20, 22, NONE, NONE},	/* AS and ToS */
	[10] = {32, 4, 28, 30, NONE, NONE, NONE, NONE}, /* protocol, port and ToS */
	[11] = {32, 4, 28, NONE, 26, NONE, 20, NONE},	/* source prefix and ToS */
	[12] = {32, 4, NONE, 28, NONE, 26, NONE, 20},	/* destination prefix and ToS */
	[13] = {40, 4, 36, 38, 32, 34, 20, 24}, /* prefix and ToS */
	[14] = {40, 4, 36, 38, NONE, NONE, 20, 24}, /* prefix, port and ToS */
};

#define NETFLOW8_SCHEMES	(sizeof(netflow8_schemes) / sizeof(netflow8_schemes[0]))

typedef struct Netflow8Header
{
	uint16_t	count;
	uint32_t	uptime;			/* milliseconds */
	int64_t		export_time;	/* microseconds since 1970 */
	uint32_t	sequence;		/* records before this datagram */
	uint16_t	engine;
	uint8_t		scheme;
	uint8_t		version;		/* of the schemes */
} Netflow8Header;

PACKET_MUST_CHECK static bool
netflow8_read_header(Packet *packet, Netflow8Header *header)
{
	const uint8_t *bytes;

	if (!packet_bytes(packet, NETFLOW8_HEADER, &bytes))
		return false;
	header->count = packet_be16(bytes + 2);
	header->uptime = packet_be32(bytes + 4);
	header->export_time = times_from_seconds(packet_be32(bytes + 8)) +
		packet_be32(bytes + 12) / 1000;
	header->sequence = packet_be32(bytes + 16);
	header->engine = packet_be16(bytes + 20);
	header->scheme = bytes[22];
	header->version = bytes[23];
	return true;
}

/*
 * A router has a cache for each scheme, and each cache counts what it has
 * exported: two schemes of one engine are two sequences, so two domains.
 */
static uint32_t
netflow8_domain(const Netflow8Header *header)
{
	return (uint32_t) header->scheme << 16 | header->engine;
}

/* NULL for one that we do not know. */
static const Netflow8Scheme *
netflow8_find_scheme(const Netflow8Header *header)
{
	if (header->version != NETFLOW8_VERSION || header->scheme >= NETFLOW8_SCHEMES ||
		netflow8_schemes[header->scheme].length == 0)
		return NULL;
	return &netflow8_schemes[header->scheme];
}

/* A field of 2 octets, where the scheme has it. */
static void
netflow8_read_number(const uint8_t *bytes, int offset, FlowField field, Flow *flow,
					 uint32_t *value)
{
	if (offset == NONE)
		return;
	*value = packet_be16(bytes + offset);
	flow->present |= FLOW_BIT(field);
}

/*
 * A prefix is given by its first address: that is what leads to its AS.  0.0.0.0
 * is no address but a flow whose route or flow mask told none.
 */
static void
netflow8_read_address(const uint8_t *bytes, int offset, FlowField field, Flow *flow,
					  FlowAddress *address)
{
	if (offset == NONE || packet_be32(bytes + offset) == 0)
		return;
	address_from_ipv4(address, bytes + offset);
	flow->present |= FLOW_BIT(field);
}

static void
netflow8_read_record(const uint8_t *bytes, const Netflow8Scheme *scheme,
					 const Netflow8Header *header, Flow *flow)
{
	const uint8_t *counters = bytes + scheme->packets;

	flow->present = FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) |
		FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST);
	flow->packets = packet_be32(counters);
	flow->bytes = packet_be32(counters + NETFLOW8_OCTETS);
	flow->first = times_from_uptime(packet_be32(counters + NETFLOW8_FIRST),
									header->export_time, header->uptime);
	flow->last = times_from_uptime(packet_be32(counters + NETFLOW8_LAST),
								   header->export_time, header->uptime);
	netflow8_read_number(bytes, scheme->in_if, FLOW_IN_IF, flow, &flow->in_if);
	netflow8_read_number(bytes, scheme->out_if, FLOW_OUT_IF, flow, &flow->out_if);
	netflow8_read_number(bytes, scheme->src_as, FLOW_SRC_AS, flow, &flow->src_as);
	netflow8_read_number(bytes, scheme->dst_as, FLOW_DST_AS, flow, &flow->dst_as);
	netflow8_read_address(bytes, scheme->src_addr, FLOW_SRC_ADDR, flow, &flow->src_addr);
	netflow8_read_address(bytes, scheme->dst_addr, FLOW_DST_ADDR, flow, &flow->dst_addr);
}

static void
netflow8_read_records(Message *message, Exporter *exporter, const Netflow8Scheme *scheme,
					  const Netflow8Header *header, Packet records)
{
	const Flow	common = {
		.protocol = FLOW_NETFLOW_V8,
		.domain = exporter->domain,
		.family = 4
	};
	const uint8_t *bytes;

	while (packet_bytes(&records, scheme->length, &bytes))
	{
		Flow	   *flow = message_place(message);

		*flow = common;
		netflow8_read_record(bytes, scheme, header, flow);
		message_emit(message, exporter);
	}
}

size_t
netflow8_decode(Message *message)
{
	Packet		packet = message->packet;
	Packet		records;
	Netflow8Header header;
	const Netflow8Scheme *scheme;
	Exporter   *exporter;
	size_t		length;

	if (!netflow8_read_header(&packet, &header))
	{
		message_exporter(message, FLOW_NETFLOW_V8, 0)->errors[DECODE_SHORT]++;
		return 0;
	}
	exporter = message_exporter(message, FLOW_NETFLOW_V8, netflow8_domain(&header));
	scheme = netflow8_find_scheme(&header);
	if (scheme == NULL)
	{
		exporter->errors[DECODE_UNSUPPORTED]++;
		return 0;
	}
	length = (size_t) header.count * scheme->length;
	if (!packet_part(&packet, length, &records))
	{
		exporter->errors[DECODE_BAD_LENGTH]++;
		return 0;
	}

	exporter->skew = header.export_time - message->received;
	message->exported = header.export_time;
	exporter_sequence(exporter, header.sequence, header.count);
	netflow8_read_records(message, exporter, scheme, &header, records);
	return message_end(message, exporter, NETFLOW8_HEADER + length);
}
