/*
 * sflow.c
 *	  sFlow version 5: sampled packets and counters of interfaces.
 *
 * A datagram holds samples, a sample holds records; each says how long it is,
 * so what we do not know is skipped.  A flow sample is one packet out of
 * "sampling": it makes one flow, to which each of its records adds what it
 * knows.  Nothing in sFlow tells a time of day.
 *
 * The format is "sFlow Version 5" (sflow.org, July 2004); names such as
 * if_counters are those of the structures there.
 */
#include "sflow.h"

#include "address.h"
#include "frame.h"

/* Which decode.c has read. */
#define SFLOW_VERSION_SIZE		4

/* address_type of the agent and of a next hop. */
#define SFLOW_ADDRESS_UNKNOWN	0
#define SFLOW_ADDRESS_IPV4		1
#define SFLOW_ADDRESS_IPV6		2

/* Formats of samples; the upper 20 bits, here 0, are an enterprise. */
#define SFLOW_FLOWS				1
#define SFLOW_COUNTERS			2
#define SFLOW_EXPANDED_FLOWS	3
#define SFLOW_EXPANDED_COUNTERS 4

/* What stands in a sample before the number of its records. */
#define SFLOW_FLOWS_HEADER				28
#define SFLOW_EXPANDED_FLOWS_HEADER		40
#define SFLOW_COUNTERS_HEADER			8
#define SFLOW_EXPANDED_COUNTERS_HEADER	12

/* Formats of an interface. */
#define SFLOW_SINGLE			0
#define SFLOW_DISCARDED			1
#define SFLOW_MULTIPLE			2

/* Neither came in nor went out, but starts or ends in the device itself. */
#define SFLOW_INTERNAL			0x3fffffff
#define SFLOW_EXPANDED_INTERNAL 0xffffffff

/* Formats of flow records. */
#define SFLOW_RAW_HEADER		1	/* sampled_header */
#define SFLOW_ETHERNET			2	/* sampled_ethernet */
#define SFLOW_IPV4				3	/* sampled_ipv4 */
#define SFLOW_IPV6				4	/* sampled_ipv6 */
#define SFLOW_SWITCH			1001	/* extended_switch */
#define SFLOW_GATEWAY			1003	/* extended_gateway */

/* "header_protocol" of a raw header. */
#define SFLOW_HEADER_ETHERNET	1
#define SFLOW_HEADER_IPV4		11
#define SFLOW_HEADER_IPV6		12

/* Formats of counter records. */
#define SFLOW_INTERFACE_COUNTERS		1	/* if_counters */

/* As far as we read it: up to ifOutBroadcastPkts. */
#define SFLOW_INTERFACE_COUNTERS_SIZE	76

#define SFLOW_MAX_VLAN			4094

/* How well a record knows something; a better one replaces it. */
typedef enum SflowRank
{
	SFLOW_NOBODY,
	SFLOW_BY_IP,				/* sampled IPv4 or IPv6: without the lower layers */
	SFLOW_BY_ETHERNET,
	SFLOW_BY_HEADER,			/* the raw header */
	SFLOW_BY_SWITCH				/* extended switch data, for VLANs */
} SflowRank;

typedef struct SflowHeader
{
	uint32_t	domain;			/* sub-agent */
	uint32_t	sequence;		/* datagrams of the sub-agent */
	uint32_t	samples;
} SflowHeader;

typedef struct SflowInterface
{
	uint32_t	format;
	uint32_t	value;
} SflowInterface;

/* A flow sample on its way through the records. */
typedef struct SflowSample
{
	SflowRank	bytes_rank;
	SflowRank	address_rank;
	SflowRank	in_vlan_rank;
	Flow		flow;
} SflowSample;

/* Reads one kind of flow record; false where it is shorter than it must be. */
typedef bool (*SflowReader) (Packet record, SflowSample *sample);

typedef struct SflowState
{
	Message    *message;
	Exporter   *exporter;
} SflowState;

static void
sflow_bad_length(const SflowState *state)
{
	state->exporter->errors[DECODE_BAD_LENGTH]++;
}

/* The next sample of a datagram, or the next record of a sample. */
PACKET_MUST_CHECK static bool
sflow_next(Packet *packet, uint32_t *format, Packet *content)
{
	uint32_t	length;

	return packet_u32(packet, format) && packet_u32(packet, &length) &&
		packet_part(packet, length, content);
}

/* Octets of an address of that type; false for a type that we do not know. */
PACKET_MUST_CHECK static bool
sflow_address_length(uint32_t type, size_t *length)
{
	static const uint8_t lengths[] = {
		[SFLOW_ADDRESS_UNKNOWN] = 0,
		[SFLOW_ADDRESS_IPV4] = 4,
		[SFLOW_ADDRESS_IPV6] = 16,
	};

	if (type >= sizeof(lengths))
		return false;
	*length = lengths[type];
	return true;
}

static void
sflow_set_bytes(SflowSample *sample, SflowRank rank, uint32_t bytes)
{
	if (rank < sample->bytes_rank)
		return;
	sample->bytes_rank = rank;
	sample->flow.present |= FLOW_BIT(FLOW_BYTES);
	sample->flow.bytes = bytes;
}

static void
sflow_set_addresses(SflowSample *sample, SflowRank rank, uint8_t family,
					const FlowAddress *source, const FlowAddress *destination)
{
	if (rank < sample->address_rank)
		return;
	sample->address_rank = rank;
	sample->flow.present |= FLOW_BIT(FLOW_SRC_ADDR) | FLOW_BIT(FLOW_DST_ADDR);
	sample->flow.family = family;
	sample->flow.src_addr = *source;
	sample->flow.dst_addr = *destination;
}

/* 0 is a frame without a tag; more than an ID can be is "unknown". */
static bool
sflow_is_vlan(uint32_t vlan)
{
	return vlan > 0 && vlan <= SFLOW_MAX_VLAN;
}

static void
sflow_set_in_vlan(SflowSample *sample, SflowRank rank, uint32_t vlan)
{
	if (!sflow_is_vlan(vlan) || rank < sample->in_vlan_rank)
		return;
	sample->in_vlan_rank = rank;
	sample->flow.present |= FLOW_BIT(FLOW_IN_VLAN);
	sample->flow.in_vlan = (uint16_t) vlan;
}

/*
 * Protocol, length of the whole frame, octets stripped, and the header as an
 * opaque: its own length, the octets, and padding that we need not look at.
 */
static bool
sflow_read_raw_header(Packet record, SflowSample *sample)
{
	const uint8_t *bytes;
	Packet		header;
	uint32_t	protocol;
	Frame		frame;

	if (!packet_bytes(&record, 16, &bytes) ||
		!packet_part(&record, packet_be32(bytes + 12), &header))
		return false;
	sflow_set_bytes(sample, SFLOW_BY_HEADER, packet_be32(bytes + 4));

	protocol = packet_be32(bytes);
	if (protocol == SFLOW_HEADER_ETHERNET)
		frame_read_ethernet(header, &frame);
	else if (protocol == SFLOW_HEADER_IPV4 || protocol == SFLOW_HEADER_IPV6)
		frame_read_ip(header, &frame);
	else
		return true;
	if (frame.family != 0)
		sflow_set_addresses(sample, SFLOW_BY_HEADER, frame.family, &frame.source,
							&frame.destination);
	if (frame.has_vlan)
		sflow_set_in_vlan(sample, SFLOW_BY_HEADER, frame.vlan);
	return true;
}

/* Length, MAC addresses, type. */
static bool
sflow_read_ethernet(Packet record, SflowSample *sample)
{
	uint32_t	length;

	if (!packet_u32(&record, &length))
		return false;
	sflow_set_bytes(sample, SFLOW_BY_ETHERNET, length);
	return true;
}

/* Length, protocol, addresses, ports. */
static bool
sflow_read_ipv4(Packet record, SflowSample *sample)
{
	const uint8_t *bytes;
	FlowAddress source;
	FlowAddress destination;

	if (!packet_bytes(&record, 16, &bytes))
		return false;
	address_from_ipv4(&source, bytes + 8);
	address_from_ipv4(&destination, bytes + 12);
	sflow_set_bytes(sample, SFLOW_BY_IP, packet_be32(bytes));
	sflow_set_addresses(sample, SFLOW_BY_IP, 4, &source, &destination);
	return true;
}

static bool
sflow_read_ipv6(Packet record, SflowSample *sample)
{
	const uint8_t *bytes;
	FlowAddress source;
	FlowAddress destination;

	if (!packet_bytes(&record, 40, &bytes))
		return false;
	address_from_ipv6(&source, bytes + 8);
	address_from_ipv6(&destination, bytes + 24);
	sflow_set_bytes(sample, SFLOW_BY_IP, packet_be32(bytes));
	sflow_set_addresses(sample, SFLOW_BY_IP, 6, &source, &destination);
	return true;
}

/* Source VLAN and priority, destination VLAN and priority. */
static bool
sflow_read_switch(Packet record, SflowSample *sample)
{
	const uint8_t *bytes;
	uint32_t	vlan;

	if (!packet_bytes(&record, 16, &bytes))
		return false;
	sflow_set_in_vlan(sample, SFLOW_BY_SWITCH, packet_be32(bytes));
	vlan = packet_be32(bytes + 8);
	if (sflow_is_vlan(vlan))
	{
		sample->flow.present |= FLOW_BIT(FLOW_OUT_VLAN);
		sample->flow.out_vlan = (uint16_t) vlan;
	}
	return true;
}

/*
 * The last AS of a path, which is the one that announces the destination.  The
 * path of a route of the router's own AS is empty (RFC 4271, 5.1.2): "as" stays
 * as it is.
 */
PACKET_MUST_CHECK static bool
sflow_read_path_end(Packet *packet, uint32_t *as)
{
	uint32_t	segments;
	uint32_t	type;			/* a set or a sequence */
	uint32_t	length;
	Packet		segment;

	if (!packet_u32(packet, &segments))
		return false;
	for (; segments > 0; segments--)
	{
		if (!packet_u32(packet, &type) || !packet_u32(packet, &length) ||
			length > packet_left(packet) / 4 ||
			!packet_part(packet, (size_t) length * 4, &segment))
			return false;
		if (length > 0 && (!packet_skip(&segment, (size_t) (length - 1) * 4) ||
						   !packet_u32(&segment, as)))
			return false;
	}
	return true;
}

/*
 * Next hop; AS of the router, of the source, of the source's peer; path to the
 * destination.  A source AS of 0 stays one: agents send it for their own AS and
 * for a source without a route alike.
 */
static bool
sflow_read_gateway(Packet record, SflowSample *sample)
{
	const uint8_t *bytes;
	uint32_t	type;
	size_t		length;
	uint32_t	destination;

	if (!packet_u32(&record, &type) || !sflow_address_length(type, &length) ||
		!packet_skip(&record, length) || !packet_bytes(&record, 12, &bytes))
		return false;
	destination = packet_be32(bytes);
	if (!sflow_read_path_end(&record, &destination))
		return false;
	sample->flow.present |= FLOW_BIT(FLOW_SRC_AS) | FLOW_BIT(FLOW_DST_AS);
	sample->flow.src_as = packet_be32(bytes + 4);
	sample->flow.dst_as = destination;
	return true;
}

/* NULL for a record that we do not read. */
static SflowReader
sflow_find_reader(uint32_t format)
{
	switch (format)
	{
		case SFLOW_RAW_HEADER:
			return sflow_read_raw_header;
		case SFLOW_ETHERNET:
			return sflow_read_ethernet;
		case SFLOW_IPV4:
			return sflow_read_ipv4;
		case SFLOW_IPV6:
			return sflow_read_ipv6;
		case SFLOW_SWITCH:
			return sflow_read_switch;
		case SFLOW_GATEWAY:
			return sflow_read_gateway;
		default:
			return NULL;
	}
}

/* A record that is wrong costs itself, one that lies about its length the rest. */
static void
sflow_read_flow_records(const SflowState *state, Packet records, uint32_t count,
						SflowSample *sample)
{
	uint32_t	format;
	Packet		record;
	SflowReader reader;

	for (; count > 0; count--)
	{
		if (!sflow_next(&records, &format, &record))
		{
			sflow_bad_length(state);
			return;
		}
		reader = sflow_find_reader(format);
		if (reader != NULL && !reader(record, sample))
			sflow_bad_length(state);
	}
}

static bool
sflow_has_index(SflowInterface interface)
{
	return interface.format == SFLOW_SINGLE && interface.value != SFLOW_INTERNAL &&
		interface.value != SFLOW_EXPANDED_INTERNAL;
}

/* Only an output can be something else than one interface. */
static void
sflow_set_interfaces(const SflowState *state, SflowInterface in, SflowInterface out,
					 Flow *flow)
{
	if (sflow_has_index(in))
	{
		flow->present |= FLOW_BIT(FLOW_IN_IF);
		flow->in_if = in.value;
	}
	if (sflow_has_index(out))
	{
		flow->present |= FLOW_BIT(FLOW_OUT_IF);
		flow->out_if = out.value;
	}
	else if (out.format == SFLOW_DISCARDED)
		state->exporter->discarded++;
	else if (out.format == SFLOW_MULTIPLE)
		state->exporter->multiple++;
}

/* "records" starts with their number. */
static void
sflow_decode_flow(const SflowState *state, uint32_t sampling, SflowInterface in,
				  SflowInterface out, Packet records)
{
	SflowSample sample;
	Flow	   *flow = &sample.flow;
	uint32_t	count;

	if (!packet_u32(&records, &count))
	{
		sflow_bad_length(state);
		return;
	}
	memset(&sample, 0, sizeof(sample));
	flow->protocol = FLOW_SFLOW_V5;
	flow->domain = state->exporter->domain;
	flow->present = FLOW_BIT(FLOW_PACKETS);
	flow->packets = 1;
	if (sampling != 0)
	{
		flow->present |= FLOW_BIT(FLOW_SAMPLING);
		flow->sampling = sampling;
		flow->sampling_origin = FLOW_SAMPLING_RECORD;
	}
	sflow_set_interfaces(state, in, out, flow);
	sflow_read_flow_records(state, records, count, &sample);
	*message_place(state->message) = *flow;
	message_emit(state->message, state->exporter);
}

/* Format in the upper two bits. */
static SflowInterface
sflow_interface(uint32_t compact)
{
	return (SflowInterface) {compact >> 30, compact & 0x3fffffff};
}

/* Sequence number, source, sampling rate, pool, drops, input, output. */
static void
sflow_decode_flows(const SflowState *state, Packet sample)
{
	const uint8_t *bytes;

	if (!packet_bytes(&sample, SFLOW_FLOWS_HEADER, &bytes))
	{
		sflow_bad_length(state);
		return;
	}
	sflow_decode_flow(state, packet_be32(bytes + 8), sflow_interface(packet_be32(bytes + 20)),
					  sflow_interface(packet_be32(bytes + 24)), sample);
}

/* The same, with two words for the source and for each interface. */
static void
sflow_decode_expanded_flows(const SflowState *state, Packet sample)
{
	const uint8_t *bytes;
	SflowInterface in;
	SflowInterface out;

	if (!packet_bytes(&sample, SFLOW_EXPANDED_FLOWS_HEADER, &bytes))
	{
		sflow_bad_length(state);
		return;
	}
	in = (SflowInterface) {packet_be32(bytes + 24), packet_be32(bytes + 28)};
	out = (SflowInterface) {packet_be32(bytes + 32), packet_be32(bytes + 36)};
	sflow_decode_flow(state, packet_be32(bytes + 12), in, out, sample);
}

/*
 * Unicast, multicast and broadcast packets together; false where one of them is
 * not counted, which its largest value says.
 */
static bool
sflow_sum_packets(const uint8_t *bytes, uint64_t *sum)
{
	*sum = 0;
	for (int i = 0; i < 3; i++)
	{
		uint32_t	packets = packet_be32(bytes + 4 * i);

		if (packets == UINT32_MAX)
			return false;
		*sum += packets;
	}
	return true;
}

/* The generic counters; without octets there is nothing to tell. */
static bool
sflow_read_interface_counters(const SflowState *state, Packet record)
{
	const FlowSinks *sinks = state->message->sinks;
	const uint8_t *bytes;
	FlowCounters counters;

	if (!packet_bytes(&record, SFLOW_INTERFACE_COUNTERS_SIZE, &bytes))
		return false;
	memset(&counters, 0, sizeof(counters));
	counters.id = packet_be32(bytes);
	counters.speed = packet_be64(bytes + 8);
	counters.in_octets = packet_be64(bytes + 24);
	counters.out_octets = packet_be64(bytes + 56);
	counters.has_packets = sflow_sum_packets(bytes + 32, &counters.in_packets) &&
		sflow_sum_packets(bytes + 64, &counters.out_packets);
	if (counters.speed == UINT64_MAX)
		counters.speed = 0;
	if (sinks->counters != NULL && counters.in_octets != UINT64_MAX &&
		counters.out_octets != UINT64_MAX)
		sinks->counters(sinks->context, &counters);
	return true;
}

/* "fixed" octets of sequence number and source, then the records. */
static void
sflow_decode_counters(const SflowState *state, Packet sample, size_t fixed)
{
	uint32_t	count;
	uint32_t	format;
	Packet		record;

	if (!packet_skip(&sample, fixed) || !packet_u32(&sample, &count))
	{
		sflow_bad_length(state);
		return;
	}
	for (; count > 0; count--)
	{
		if (!sflow_next(&sample, &format, &record))
		{
			sflow_bad_length(state);
			return;
		}
		if (format == SFLOW_INTERFACE_COUNTERS &&
			!sflow_read_interface_counters(state, record))
			sflow_bad_length(state);
	}
}

/* Samples of other formats (discarded packets, vendors' own) are not for us. */
static void
sflow_decode_sample(const SflowState *state, uint32_t format, Packet sample)
{
	if (format == SFLOW_FLOWS)
		sflow_decode_flows(state, sample);
	else if (format == SFLOW_EXPANDED_FLOWS)
		sflow_decode_expanded_flows(state, sample);
	else if (format == SFLOW_COUNTERS)
		sflow_decode_counters(state, sample, SFLOW_COUNTERS_HEADER);
	else if (format == SFLOW_EXPANDED_COUNTERS)
		sflow_decode_counters(state, sample, SFLOW_EXPANDED_COUNTERS_HEADER);
}

/*
 * As many samples as the header says, as long as there are octets: nothing else
 * tells where the datagram ends.  False where they end too early.
 */
PACKET_MUST_CHECK static bool
sflow_decode_samples(const SflowState *state, Packet *packet, uint32_t count)
{
	uint32_t	format;
	Packet		sample;

	for (; count > 0; count--)
	{
		if (!sflow_next(packet, &format, &sample))
			return false;
		sflow_decode_sample(state, format, sample);
	}
	return true;
}

/* False with the error to count. */
PACKET_MUST_CHECK static bool
sflow_read_header(Packet *packet, SflowHeader *header, DecodeError *error)
{
	const uint8_t *bytes;
	uint32_t	type;
	size_t		length;

	*error = DECODE_SHORT;
	if (!packet_skip(packet, SFLOW_VERSION_SIZE) || !packet_u32(packet, &type))
		return false;
	if (!sflow_address_length(type, &length))
	{
		*error = DECODE_UNSUPPORTED;
		return false;
	}
	if (!packet_skip(packet, length) || !packet_bytes(packet, 16, &bytes))
		return false;
	header->domain = packet_be32(bytes);
	header->sequence = packet_be32(bytes + 4);
	header->samples = packet_be32(bytes + 12);
	return true;
}

/*
 * The exporter is known by its source address, as all are; several agents
 * behind one are told apart by their sub-agents only.
 */
size_t
sflow_decode(Message *message)
{
	Packet		packet = message->packet;
	SflowHeader header;
	SflowState	state = {.message = message};
	DecodeError error;

	if (!sflow_read_header(&packet, &header, &error))
	{
		message_exporter(message, FLOW_SFLOW_V5, 0)->errors[error]++;
		return 0;
	}
	state.exporter = message_exporter(message, FLOW_SFLOW_V5, header.domain);
	exporter_sequence(state.exporter, header.sequence, 1);
	if (!sflow_decode_samples(&state, &packet, header.samples))
	{
		sflow_bad_length(&state);
		return packet_left(&message->packet);
	}
	return message_end(message, state.exporter,
					   packet_left(&message->packet) - packet_left(&packet));
}
