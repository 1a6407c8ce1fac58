/*
 * frame.c
 *	  Addresses, family, length and VLAN from the start of a sampled packet.
 *
 * A frame whose headers say something that we do not know is a frame without
 * IP, never an error: any packet may have been sampled.
 */
#include "frame.h"

#include "address.h"

#define FRAME_MAC_ADDRESSES		12

/* EtherTypes, and what lies below them: a length (IEEE 802.3, 3.2.6). */
#define FRAME_MAX_LENGTH		1500
#define FRAME_IPV4				0x0800
#define FRAME_IPV6				0x86dd
#define FRAME_VLAN				0x8100	/* customer tag (802.1Q) */
#define FRAME_SERVICE_VLAN		0x88a8	/* service tag (802.1ad) */
#define FRAME_OLD_VLAN			0x9100	/* service tag before there was 802.1ad */
#define FRAME_MPLS				0x8847
#define FRAME_MPLS_UPSTREAM		0x8848
#define FRAME_PPPOE				0x8864	/* session stage */

#define FRAME_VLAN_ID			0x0fff	/* of a tag's second half */

/* Of a label stack entry: the last one (RFC 3032, 2.1). */
#define FRAME_MPLS_BOTTOM		0x00000100

/* PPPoE's header and PPP's protocol number (RFC 2516, 4). */
#define FRAME_PPPOE_HEADER		8
#define FRAME_PPPOE_SESSION		0x1100	/* version 1, type 1, code 0 */
#define FRAME_PPP_IPV4			0x0021
#define FRAME_PPP_IPV6			0x0057

#define FRAME_IPV4_HEADER		20
#define FRAME_IPV6_HEADER		40

/* As much of the header as holds the length. */
#define FRAME_IPV4_LENGTH		4
#define FRAME_IPV6_LENGTH		6

static void
frame_read_ipv4(Packet packet, Frame *frame)
{
	Packet		start = packet;
	const uint8_t *bytes;
	uint32_t	header;
	uint32_t	length;

	if (!packet_bytes(&start, FRAME_IPV4_LENGTH, &bytes))
		return;
	header = (uint32_t) (bytes[0] & 0x0f) * 4;
	length = packet_be16(bytes + 2);

	/* 0: left to the network card (segmentation offload), so not known */
	if (header < FRAME_IPV4_HEADER || (length != 0 && length < header))
		return;
	frame->ip_length = length;
	if (!packet_bytes(&packet, FRAME_IPV4_HEADER, &bytes))
		return;
	frame->family = 4;
	address_from_ipv4(&frame->source, bytes + 12);
	address_from_ipv4(&frame->destination, bytes + 16);
}

static void
frame_read_ipv6(Packet packet, Frame *frame)
{
	Packet		start = packet;
	const uint8_t *bytes;
	uint32_t	payload;

	if (!packet_bytes(&start, FRAME_IPV6_LENGTH, &bytes))
		return;

	/* 0: a jumbogram (RFC 2675, 3) or segmentation offload, so not known */
	payload = packet_be16(bytes + 4);
	if (payload != 0)
		frame->ip_length = FRAME_IPV6_HEADER + payload;
	if (!packet_bytes(&packet, FRAME_IPV6_HEADER, &bytes))
		return;
	frame->family = 6;
	address_from_ipv6(&frame->source, bytes + 8);
	address_from_ipv6(&frame->destination, bytes + 24);
}

/* Whichever the version in the first octet says, or neither. */
static void
frame_read_packet(Packet packet, Frame *frame)
{
	Packet		rest = packet;
	uint8_t		first;

	if (!packet_u8(&rest, &first))
		return;
	if (first >> 4 == 4)
		frame_read_ipv4(packet, frame);
	else if (first >> 4 == 6)
		frame_read_ipv6(packet, frame);
}

/*
 * Behind the label stack no header says what follows; IP is told by its version
 * (RFC 4928, 2).  A pseudowire's control word starts with a nibble of 0.
 */
static void
frame_read_mpls(Packet packet, Frame *frame)
{
	uint32_t	label;

	do
	{
		if (!packet_u32(&packet, &label))
			return;
	} while ((label & FRAME_MPLS_BOTTOM) == 0);
	frame_read_packet(packet, frame);
}

static void
frame_read_pppoe(Packet packet, Frame *frame)
{
	const uint8_t *bytes;
	uint16_t	protocol;

	if (!packet_bytes(&packet, FRAME_PPPOE_HEADER, &bytes) ||
		packet_be16(bytes) != FRAME_PPPOE_SESSION)
		return;
	protocol = packet_be16(bytes + 6);
	if (protocol == FRAME_PPP_IPV4 || protocol == FRAME_PPP_IPV6)
		frame_read_packet(packet, frame);
}

/* The EtherType behind the LLC and SNAP headers (RFC 1042). */
PACKET_MUST_CHECK static bool
frame_read_snap(Packet *packet, uint16_t *type)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};
	const uint8_t *bytes;

	return packet_bytes(packet, sizeof(snap), &bytes) &&
		memcmp(bytes, snap, sizeof(snap)) == 0 &&
		packet_u16(packet, type);
}

static bool
frame_is_tag(uint16_t type)
{
	return type == FRAME_VLAN || type == FRAME_SERVICE_VLAN || type == FRAME_OLD_VLAN;
}

/*
 * Any number of tags, and the type of what follows them.  The VLAN is that of
 * the outermost; ID 0 is a priority without a VLAN (802.1Q, 9.6).
 */
PACKET_MUST_CHECK static bool
frame_read_tags(Packet *packet, Frame *frame, uint16_t *type)
{
	uint16_t	tag;

	while (frame_is_tag(*type))
	{
		if (!packet_u16(packet, &tag))
			return false;
		if (!frame->has_vlan && (tag & FRAME_VLAN_ID) != 0)
		{
			frame->has_vlan = true;
			frame->vlan = tag & FRAME_VLAN_ID;
		}
		if (!packet_u16(packet, type))
			return false;
	}
	return true;
}

void
frame_read_ip(Packet packet, Frame *frame)
{
	memset(frame, 0, sizeof(*frame));
	frame_read_packet(packet, frame);
}

void
frame_read_ethernet(Packet packet, Frame *frame)
{
	uint16_t	type;

	memset(frame, 0, sizeof(*frame));
	if (!packet_skip(&packet, FRAME_MAC_ADDRESSES) || !packet_u16(&packet, &type) ||
		!frame_read_tags(&packet, frame, &type))
		return;
	if (type <= FRAME_MAX_LENGTH && !frame_read_snap(&packet, &type))
		return;

	if (type == FRAME_IPV4 || type == FRAME_IPV6)
		frame_read_packet(packet, frame);
	else if (type == FRAME_MPLS || type == FRAME_MPLS_UPSTREAM)
		frame_read_mpls(packet, frame);
	else if (type == FRAME_PPPOE)
		frame_read_pppoe(packet, frame);
}
