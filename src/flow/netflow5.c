/*
 * netflow5.c
 *	  NetFlow versions 1, 5 and 7: a header and some records of fixed layout.
 *
 * They are one family: version 1 is the first of them, 5 adds AS numbers, a
 * sequence number, the engine and the sampling rate, and 7 is what Catalyst
 * 5000 switches make of 5.  What two of them have lies at the same offset.
 */
#include "netflow5.h"

#include "address.h"
#include "times.h"

/* sampling_interval: the upper two bits are a mode, which exporters misuse. */
#define NETFLOW5_SAMPLING	0x3fff

/* Every record has these. */
#define NETFLOW5_PRESENT \
	(FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) | \
	 FLOW_BIT(FLOW_IN_IF) | FLOW_BIT(FLOW_OUT_IF) | \
	 FLOW_BIT(FLOW_SRC_ADDR) | FLOW_BIT(FLOW_DST_ADDR) | \
	 FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST))

typedef struct Netflow5Layout
{
	uint8_t		version;		/* FlowProtocol */
	uint8_t		header;			/* octets */
	uint8_t		record;			/* octets of one */
	bool		has_sequence;
	bool		has_engine;		/* and the sampling rate behind it */
	bool		has_as;
} Netflow5Layout;

static const Netflow5Layout netflow5_layouts[] = {
	{FLOW_NETFLOW_V1, 16, 52, false, false, false},
	{FLOW_NETFLOW_V5, 24, 48, true, true, true},
	{FLOW_NETFLOW_V7, 24, 52, true, false, true},
};

#define NETFLOW5_LAYOUTS	(sizeof(netflow5_layouts) / sizeof(netflow5_layouts[0]))

typedef struct Netflow5Header
{
	uint16_t	count;
	uint32_t	uptime;			/* milliseconds */
	int64_t		export_time;	/* microseconds since 1970 */
	uint32_t	sequence;		/* records before this datagram */
	uint32_t	engine;			/* 0 where there is none */
	uint16_t	sampling;		/* 0: not told */
} Netflow5Header;

/* NULL for a version that is none of the family. */
static const Netflow5Layout *
netflow5_find_layout(Packet packet)
{
	uint16_t	version;

	if (!packet_u16(&packet, &version))
		return NULL;
	for (size_t i = 0; i < NETFLOW5_LAYOUTS; i++)
		if (netflow5_layouts[i].version == version)
			return &netflow5_layouts[i];
	return NULL;
}

PACKET_MUST_CHECK static bool
netflow5_read_header(Packet *packet, const Netflow5Layout *layout, Netflow5Header *header)
{
	const uint8_t *bytes;

	if (!packet_bytes(packet, layout->header, &bytes))
		return false;
	memset(header, 0, sizeof(*header));
	header->count = packet_be16(bytes + 2);
	header->uptime = packet_be32(bytes + 4);
	header->export_time = times_from_seconds(packet_be32(bytes + 8)) +
		packet_be32(bytes + 12) / 1000;
	if (layout->has_sequence)
		header->sequence = packet_be32(bytes + 16);
	if (layout->has_engine)
	{
		header->engine = packet_be16(bytes + 20);
		header->sampling = packet_be16(bytes + 22) & NETFLOW5_SAMPLING;
	}
	return true;
}

/* What all records of the datagram share. */
static void
netflow5_prepare(const Netflow5Layout *layout, const Netflow5Header *header, Flow *flow)
{
	memset(flow, 0, sizeof(*flow));
	flow->protocol = layout->version;
	flow->domain = header->engine;
	flow->family = 4;
	flow->present = NETFLOW5_PRESENT;
	if (layout->has_as)
		flow->present |= FLOW_BIT(FLOW_SRC_AS) | FLOW_BIT(FLOW_DST_AS);
	if (header->sampling != 0)
	{
		flow->present |= FLOW_BIT(FLOW_SAMPLING);
		flow->sampling = header->sampling;
		flow->sampling_origin = FLOW_SAMPLING_HEADER;
	}
}

/*
 * A Catalyst whose flow mask is destination-only knows no source address and
 * sends 0.0.0.0.  Two fields of flags say the same ("which fields are invalid"),
 * but in bits of which we know no description.
 */
static void
netflow5_note_absent_source(const uint8_t *bytes, Flow *flow)
{
	if (packet_be32(bytes) == 0)
		flow->present &= ~FLOW_BIT(FLOW_SRC_ADDR);
	else
		flow->present |= FLOW_BIT(FLOW_SRC_ADDR);
}

static void
netflow5_read_record(const uint8_t *bytes, const Netflow5Layout *layout,
					 const Netflow5Header *header, Flow *flow)
{
	address_from_ipv4(&flow->src_addr, bytes);
	address_from_ipv4(&flow->dst_addr, bytes + 4);
	flow->in_if = packet_be16(bytes + 12);
	flow->out_if = packet_be16(bytes + 14);
	flow->packets = packet_be32(bytes + 16);
	flow->bytes = packet_be32(bytes + 20);
	flow->first = times_from_uptime(packet_be32(bytes + 24), header->export_time,
									header->uptime);
	flow->last = times_from_uptime(packet_be32(bytes + 28), header->export_time,
								   header->uptime);
	if (layout->has_as)
	{
		flow->src_as = packet_be16(bytes + 40);
		flow->dst_as = packet_be16(bytes + 42);
	}
	if (layout->version == FLOW_NETFLOW_V7)
		netflow5_note_absent_source(bytes, flow);
}

static void
netflow5_read_records(Message *message, Exporter *exporter, const Netflow5Layout *layout,
					  const Netflow5Header *header, Packet records)
{
	const uint8_t *bytes;
	Flow		common;

	netflow5_prepare(layout, header, &common);
	while (packet_bytes(&records, layout->record, &bytes))
	{
		Flow	   *flow = message_place(message);

		*flow = common;
		netflow5_read_record(bytes, layout, header, flow);
		message_emit(message, exporter);
	}
}

size_t
netflow5_decode(Message *message)
{
	Packet		packet = message->packet;
	const Netflow5Layout *layout = netflow5_find_layout(packet);
	Packet		records;
	Netflow5Header header;
	Exporter   *exporter;
	size_t		length;

	if (layout == NULL)
	{
		message_exporter(message, 0, 0)->errors[DECODE_UNKNOWN_VERSION]++;
		return 0;
	}
	if (!netflow5_read_header(&packet, layout, &header))
	{
		message_exporter(message, layout->version, 0)->errors[DECODE_SHORT]++;
		return 0;
	}
	exporter = message_exporter(message, layout->version, header.engine);
	length = (size_t) header.count * layout->record;
	if (!packet_part(&packet, length, &records))
	{
		exporter->errors[DECODE_BAD_LENGTH]++;
		return 0;
	}

	exporter->skew = header.export_time - message->received;
	message->exported = header.export_time;
	if (layout->has_sequence)
		exporter_sequence(exporter, header.sequence, header.count);
	netflow5_read_records(message, exporter, layout, &header, records);
	return message_end(message, exporter, layout->header + length);
}
