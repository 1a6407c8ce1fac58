/*
 * pcap.c
 *	  UDP datagrams from a capture file in memory.
 *
 * The format is that of draft-ietf-opsawg-pcap, the link types those of
 * draft-ietf-opsawg-pcaplinktype.  What a capture holds came from the network:
 * every layer is read through a cursor that ends where the layer around it
 * ends, and whatever does not fit is skipped and counted.
 */
#include "pcap.h"

#include "address.h"

#define PCAP_MAGIC				0xA1B2C3D4
#define PCAP_MAGIC_NANOSECONDS	0xA1B23C4D
#define PCAP_MAGIC_PCAPNG		0x0A0D0D0A

#define PCAP_LINK_NULL			0	/* BSD loopback, host byte order */
#define PCAP_LINK_ETHERNET		1
#define PCAP_LINK_RAW_BSD		12	/* raw IP as some BSDs number it */
#define PCAP_LINK_RAW_OPENBSD	14
#define PCAP_LINK_RAW			101
#define PCAP_LINK_LOOP			108 /* BSD loopback, network byte order */
#define PCAP_LINK_SLL			113 /* Linux cooked */
#define PCAP_LINK_IPV4			228
#define PCAP_LINK_IPV6			229
#define PCAP_LINK_SLL2			276

#define PCAP_ETHERTYPE_IPV4		0x0800
#define PCAP_ETHERTYPE_IPV6		0x86DD
#define PCAP_ETHERTYPE_VLAN		0x8100	/* IEEE 802.1Q */
#define PCAP_ETHERTYPE_QINQ		0x88A8	/* IEEE 802.1ad */
#define PCAP_ETHERTYPE_QINQ_OLD	0x9100	/* the same before it was standardised */

#define PCAP_IP_HOP_BY_HOP		0
#define PCAP_IP_UDP				17
#define PCAP_IP_ROUTING			43
#define PCAP_IP_FRAGMENT		44
#define PCAP_IP_DESTINATION		60

#define PCAP_MAX_VLAN_TAGS		4
#define PCAP_MAX_IP_EXTENSIONS	8

PACKET_MUST_CHECK static bool
pcap_u32(const PcapReader *reader, Packet *packet, uint32_t *value)
{
	if (!packet_u32(packet, value))
		return false;
	if (reader->swapped)
		*value = __builtin_bswap32(*value);
	return true;
}

/* Ends the cursor after "length" octets, if it does not end before. */
static void
pcap_narrow(Packet *packet, size_t length)
{
	if (packet->left > length)
		packet->left = length;
}

/* RFC 768.  The checksum is not looked at: it may have been left to the card. */
static bool
pcap_udp(Packet *packet, PcapDatagram *datagram)
{
	uint16_t	length;

	if (!packet_u16(packet, &datagram->source_port) ||
		!packet_u16(packet, &datagram->destination_port) ||
		!packet_u16(packet, &length) ||
		!packet_skip(packet, 2) ||
		length < 8)
		return false;
	datagram->length = length - 8;
	return packet_bytes(packet, datagram->length, &datagram->data);
}

/* RFC 791, 3.1 */
static bool
pcap_ipv4(Packet *packet, PcapDatagram *datagram)
{
	uint8_t		version_length;
	uint16_t	total_length;
	uint16_t	fragment;
	uint8_t		protocol;
	const uint8_t *source;
	size_t		options;

	if (!packet_u8(packet, &version_length) || version_length >> 4 != 4 ||
		(version_length & 0x0F) < 5 ||
		!packet_skip(packet, 1) ||
		!packet_u16(packet, &total_length) || total_length < 4)
		return false;
	pcap_narrow(packet, total_length - 4);	/* behind it: Ethernet's padding */

	options = ((version_length & 0x0F) - 5) * 4;
	if (!packet_skip(packet, 2) ||
		!packet_u16(packet, &fragment) || (fragment & 0x3FFF) != 0 ||	/* MF, offset */
		!packet_skip(packet, 1) ||
		!packet_u8(packet, &protocol) || protocol != PCAP_IP_UDP ||
		!packet_skip(packet, 2) ||
		!packet_bytes(packet, 4, &source) ||
		!packet_skip(packet, 4 + options))
		return false;

	address_from_ipv4(&datagram->source, source);
	return pcap_udp(packet, datagram);
}

/* RFC 8200, 4.5: a fragment that is the whole packet is none. */
static bool
pcap_ipv6_unfragmented(Packet *packet, uint8_t *next)
{
	uint16_t	offset;

	return packet_u8(packet, next) &&
		packet_skip(packet, 1) &&
		packet_u16(packet, &offset) && (offset & 0xFFF9) == 0 &&
		packet_skip(packet, 4);
}

/* RFC 8200, 4.3, 4.4 and 4.6: these have the same shape. */
static bool
pcap_ipv6_skip_extension(Packet *packet, uint8_t *next)
{
	uint8_t		length;

	return packet_u8(packet, next) &&
		packet_u8(packet, &length) &&
		packet_skip(packet, 6 + 8 * (size_t) length);
}

/* RFC 8200, 3 */
static bool
pcap_ipv6(Packet *packet, PcapDatagram *datagram)
{
	uint32_t	version_flow;
	uint16_t	payload_length;
	uint8_t		next;
	const uint8_t *source;

	if (!packet_u32(packet, &version_flow) || version_flow >> 28 != 6 ||
		!packet_u16(packet, &payload_length) ||
		!packet_u8(packet, &next) ||
		!packet_skip(packet, 1) ||
		!packet_bytes(packet, 16, &source) ||
		!packet_skip(packet, 16))
		return false;
	pcap_narrow(packet, payload_length);
	address_from_ipv6(&datagram->source, source);

	for (int i = 0; i <= PCAP_MAX_IP_EXTENSIONS; i++)
	{
		bool		good;

		switch (next)
		{
			case PCAP_IP_UDP:
				return pcap_udp(packet, datagram);
			case PCAP_IP_HOP_BY_HOP:
			case PCAP_IP_ROUTING:
			case PCAP_IP_DESTINATION:
				good = pcap_ipv6_skip_extension(packet, &next);
				break;
			case PCAP_IP_FRAGMENT:
				good = pcap_ipv6_unfragmented(packet, &next);
				break;
			default:
				good = false;
				break;
		}
		if (!good)
			return false;
	}
	return false;
}

/* Whichever IP the version in the first octet says. */
static bool
pcap_ip(Packet *packet, PcapDatagram *datagram)
{
	Packet		ahead = *packet;
	uint8_t		version_length;

	if (!packet_u8(&ahead, &version_length))
		return false;
	if (version_length >> 4 == 4)
		return pcap_ipv4(packet, datagram);
	return pcap_ipv6(packet, datagram);
}

/* What an Ethernet type announces. */
static bool
pcap_network(Packet *packet, uint16_t type, PcapDatagram *datagram)
{
	for (int tags = 0; tags <= PCAP_MAX_VLAN_TAGS; tags++)
	{
		switch (type)
		{
			case PCAP_ETHERTYPE_IPV4:
				return pcap_ipv4(packet, datagram);
			case PCAP_ETHERTYPE_IPV6:
				return pcap_ipv6(packet, datagram);
			case PCAP_ETHERTYPE_VLAN:
			case PCAP_ETHERTYPE_QINQ:
			case PCAP_ETHERTYPE_QINQ_OLD:
				if (!packet_skip(packet, 2) ||	/* priority and VLAN */
					!packet_u16(packet, &type))
					return false;
				break;
			default:
				return false;
		}
	}
	return false;
}

/*
 * BSD loopback: an address family, the capturing machine's number for it.  In
 * the older format also in that machine's byte order; families are small.
 */
static bool
pcap_loopback(Packet *packet, bool either_order, PcapDatagram *datagram)
{
	uint32_t	family;

	if (!packet_u32(packet, &family))
		return false;
	if (either_order && family > UINT16_MAX)
		family = __builtin_bswap32(family);
	switch (family)
	{
		case 2:
			return pcap_ipv4(packet, datagram);
		case 10:				/* Linux */
		case 24:				/* NetBSD, OpenBSD */
		case 28:				/* FreeBSD */
		case 30:				/* macOS */
			return pcap_ipv6(packet, datagram);
		default:
			return false;
	}
}

/* Finds the UDP datagram in what was captured of one packet. */
static bool
pcap_packet(uint32_t link_type, Packet *packet, PcapDatagram *datagram)
{
	uint16_t	type;

	switch (link_type)
	{
		case PCAP_LINK_ETHERNET:
			return packet_skip(packet, 12) && packet_u16(packet, &type) &&
				pcap_network(packet, type, datagram);
		case PCAP_LINK_SLL:
			return packet_skip(packet, 14) && packet_u16(packet, &type) &&
				pcap_network(packet, type, datagram);
		case PCAP_LINK_SLL2:
			return packet_u16(packet, &type) && packet_skip(packet, 18) &&
				pcap_network(packet, type, datagram);
		case PCAP_LINK_NULL:
			return pcap_loopback(packet, true, datagram);
		case PCAP_LINK_LOOP:
			return pcap_loopback(packet, false, datagram);
		case PCAP_LINK_IPV4:
			return pcap_ipv4(packet, datagram);
		case PCAP_LINK_IPV6:
			return pcap_ipv6(packet, datagram);
		default:
			return pcap_ip(packet, datagram);
	}
}

static bool
pcap_knows_link(uint32_t link_type)
{
	switch (link_type)
	{
		case PCAP_LINK_NULL:
		case PCAP_LINK_ETHERNET:
		case PCAP_LINK_RAW_BSD:
		case PCAP_LINK_RAW_OPENBSD:
		case PCAP_LINK_RAW:
		case PCAP_LINK_LOOP:
		case PCAP_LINK_SLL:
		case PCAP_LINK_IPV4:
		case PCAP_LINK_IPV6:
		case PCAP_LINK_SLL2:
			return true;
		default:
			return false;
	}
}

PcapResult
pcap_open(PcapReader *reader, const uint8_t *data, size_t length)
{
	uint32_t	magic;

	*reader = (PcapReader) {.rest = packet_init(data, length)};
	if (!packet_u32(&reader->rest, &magic))
		return PCAP_NOT_A_CAPTURE;
	if (magic == PCAP_MAGIC_PCAPNG)		/* the same in both byte orders */
		return PCAP_IS_PCAPNG;

	if (magic == __builtin_bswap32(PCAP_MAGIC) ||
		magic == __builtin_bswap32(PCAP_MAGIC_NANOSECONDS))
	{
		reader->swapped = true;
		magic = __builtin_bswap32(magic);
	}
	if (magic != PCAP_MAGIC && magic != PCAP_MAGIC_NANOSECONDS)
		return PCAP_NOT_A_CAPTURE;
	reader->nanoseconds = magic == PCAP_MAGIC_NANOSECONDS;

	/* Version, two fields that nobody uses, snap length. */
	if (!packet_skip(&reader->rest, 16) ||
		!pcap_u32(reader, &reader->rest, &reader->link_type))
		return PCAP_TRUNCATED;

	/* The upper half tells about frame check sequences. */
	reader->link_type &= 0xFFFF;
	return pcap_knows_link(reader->link_type) ? PCAP_OK : PCAP_UNKNOWN_LINK;
}

/* The next packet of whatever kind, and when it was captured. */
static PcapResult
pcap_next_packet(PcapReader *reader, Packet *packet, int64_t *time)
{
	Packet		rest = reader->rest;
	uint32_t	seconds;
	uint32_t	fraction;
	uint32_t	captured;

	if (packet_left(&rest) == 0)
		return PCAP_END;
	if (!pcap_u32(reader, &rest, &seconds) ||
		!pcap_u32(reader, &rest, &fraction) ||
		!pcap_u32(reader, &rest, &captured) ||
		!packet_skip(&rest, 4) ||		/* length on the wire */
		!packet_part(&rest, captured, packet))
		return PCAP_TRUNCATED;

	*time = (int64_t) seconds * 1000000 +
		(reader->nanoseconds ? fraction / 1000 : fraction);
	reader->rest = rest;
	return PCAP_OK;
}

PcapResult
pcap_next(PcapReader *reader, PcapDatagram *datagram)
{
	Packet		packet;
	PcapResult	result;

	while ((result = pcap_next_packet(reader, &packet, &datagram->time)) == PCAP_OK)
	{
		reader->packets++;
		if (pcap_packet(reader->link_type, &packet, datagram))
			break;
		reader->skipped++;
	}
	return result;
}
