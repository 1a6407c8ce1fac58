/*
 * packet.h
 *	  The cursor over bytes from the network; nothing else reads them.
 *
 * A Packet knows where it is and how much is left.  Each getter returns false
 * when too little is left and then leaves the cursor where it was.  A part
 * (packet_part) is a cursor of its own that cannot read past its end.
 * Numbers are assembled from octets: nothing on the wire is aligned.
 */
#ifndef LASTFLUSS_PACKET_H
#define LASTFLUSS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PACKET_MUST_CHECK	__attribute__((warn_unused_result))

typedef struct Packet
{
	const uint8_t *current;
	size_t		left;
} Packet;

static inline Packet
packet_init(const uint8_t *data, size_t length)
{
	return (Packet) {data, length};
}

static inline size_t
packet_left(const Packet *packet)
{
	return packet->left;
}

PACKET_MUST_CHECK static inline bool
packet_skip(Packet *packet, size_t length)
{
	if (packet->left < length)
		return false;
	packet->current += length;
	packet->left -= length;
	return true;
}

/* The next "length" octets as a cursor of their own. */
PACKET_MUST_CHECK static inline bool
packet_part(Packet *packet, size_t length, Packet *part)
{
	const uint8_t *start = packet->current;

	if (!packet_skip(packet, length))
		return false;
	*part = packet_init(start, length);
	return true;
}

/* The next "length" octets, to look at where they are. */
PACKET_MUST_CHECK static inline bool
packet_bytes(Packet *packet, size_t length, const uint8_t **bytes)
{
	*bytes = packet->current;
	return packet_skip(packet, length);
}

/* Big-endian numbers at "bytes", which the caller got from packet_bytes(). */
static inline uint16_t
packet_be16(const uint8_t *bytes)
{
	return (uint16_t) (bytes[0] << 8 | bytes[1]);
}

static inline uint32_t
packet_be32(const uint8_t *bytes)
{
	return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 |
		(uint32_t) bytes[2] << 8 | (uint32_t) bytes[3];
}

static inline uint64_t
packet_be64(const uint8_t *bytes)
{
	return (uint64_t) packet_be32(bytes) << 32 | packet_be32(bytes + 4);
}

/*
 * Big-endian number of 1 to 8 octets at "bytes", which the caller got from
 * packet_bytes() (RFC 7011, 6.2: reduced-size encoding).
 */
static inline uint64_t
packet_number(const uint8_t *bytes, size_t length)
{
	uint64_t	value = 0;

	/* The usual widths in one load each; this runs for every field. */
	switch (length)
	{
		case 1:
			return bytes[0];
		case 2:
			return packet_be16(bytes);
		case 4:
			return packet_be32(bytes);
		case 8:
			return packet_be64(bytes);
		default:
			for (size_t i = 0; i < length; i++)
				value = value << 8 | bytes[i];
			return value;
	}
}

/* Is all that is left zero, as padding is?  True where nothing is left. */
static inline bool
packet_all_zero(const Packet *packet)
{
	for (size_t i = 0; i < packet->left; i++)
		if (packet->current[i] != 0)
			return false;
	return true;
}

PACKET_MUST_CHECK static inline bool
packet_u8(Packet *packet, uint8_t *value)
{
	const uint8_t *bytes;

	if (!packet_bytes(packet, 1, &bytes))
		return false;
	*value = bytes[0];
	return true;
}

PACKET_MUST_CHECK static inline bool
packet_u16(Packet *packet, uint16_t *value)
{
	const uint8_t *bytes;

	if (!packet_bytes(packet, 2, &bytes))
		return false;
	*value = packet_be16(bytes);
	return true;
}

PACKET_MUST_CHECK static inline bool
packet_u32(Packet *packet, uint32_t *value)
{
	const uint8_t *bytes;

	if (!packet_bytes(packet, 4, &bytes))
		return false;
	*value = packet_be32(bytes);
	return true;
}

#endif							/* LASTFLUSS_PACKET_H */
