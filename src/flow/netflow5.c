/*
 * netflow5.c
 *	  NetFlow version 5: a header and up to 30 records of fixed layout.
 */
#include "netflow5.h"

#include "address.h"
#include "times.h"

#define NETFLOW5_HEADER		24
#define NETFLOW5_RECORD		48

/* sampling_interval: the upper two bits are a mode, which exporters misuse. */
#define NETFLOW5_SAMPLING	0x3fff

/* Every record has these. */
#define NETFLOW5_PRESENT \
	(FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) | \
	 FLOW_BIT(FLOW_IN_IF) | FLOW_BIT(FLOW_OUT_IF) | \
	 FLOW_BIT(FLOW_SRC_AS) | FLOW_BIT(FLOW_DST_AS) | \
	 FLOW_BIT(FLOW_SRC_ADDR) | FLOW_BIT(FLOW_DST_ADDR) | \
	 FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST))

typedef struct Netflow5Header
{
	uint16_t	count;
	uint32_t	uptime;			/* milliseconds */
	int64_t		export_time;	/* microseconds since 1970 */
	uint32_t	sequence;		/* records before this datagram */
	uint32_t	engine;
	uint16_t	sampling;		/* 0: not told */
} Netflow5Header;

PACKET_MUST_CHECK static bool
netflow5_read_header(Packet *packet, Netflow5Header *header)
{
	const uint8_t *bytes;

	if (!packet_bytes(packet, NETFLOW5_HEADER, &bytes))
		return false;
	header->count = packet_be16(bytes + 2);
	header->uptime = packet_be32(bytes + 4);
	header->export_time = times_from_seconds(packet_be32(bytes + 8)) +
		packet_be32(bytes + 12) / 1000;
	header->sequence = packet_be32(bytes + 16);
	header->engine = packet_be16(bytes + 20);
	header->sampling = packet_be16(bytes + 22) & NETFLOW5_SAMPLING;
	return true;
}

/* What all records of the datagram share. */
static void
netflow5_prepare(const Netflow5Header *header, Flow *flow)
{
	memset(flow, 0, sizeof(*flow));
	flow->protocol = FLOW_NETFLOW_V5;
	flow->domain = header->engine;
	flow->family = 4;
	flow->present = NETFLOW5_PRESENT;
	if (header->sampling != 0)
	{
		flow->present |= FLOW_BIT(FLOW_SAMPLING);
		flow->sampling = header->sampling;
		flow->sampling_origin = FLOW_SAMPLING_HEADER;
	}
}

static void
netflow5_read_record(const uint8_t *bytes, const Netflow5Header *header, Flow *flow)
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
	flow->src_as = packet_be16(bytes + 40);
	flow->dst_as = packet_be16(bytes + 42);
}

size_t
netflow5_decode(Message *message)
{
	Packet		packet = message->packet;
	Packet		records;
	Netflow5Header header;
	Exporter   *exporter;
	const uint8_t *bytes;
	Flow		flow;

	if (!netflow5_read_header(&packet, &header))
	{
		message_exporter(message, FLOW_NETFLOW_V5, 0)->errors[DECODE_SHORT]++;
		return 0;
	}
	exporter = message_exporter(message, FLOW_NETFLOW_V5, header.engine);
	if (!packet_part(&packet, (size_t) header.count * NETFLOW5_RECORD, &records))
	{
		exporter->errors[DECODE_BAD_LENGTH]++;
		return 0;
	}

	exporter->skew = header.export_time - message->received;
	exporter_sequence(exporter, header.sequence, header.count);
	netflow5_prepare(&header, &flow);
	while (packet_bytes(&records, NETFLOW5_RECORD, &bytes))
	{
		netflow5_read_record(bytes, &header, &flow);
		message_emit(message, exporter, &flow);
	}
	return message_end(message, exporter,
					   NETFLOW5_HEADER + (size_t) header.count * NETFLOW5_RECORD);
}
