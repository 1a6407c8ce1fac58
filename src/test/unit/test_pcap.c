/*
 * test_pcap.c
 *	  UDP datagrams from capture files, whole and broken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pcap.h"

#define MAGIC				0xA1B2C3D4
#define MAGIC_NANOSECONDS	0xA1B23C4D

#define LINK_NULL			0
#define LINK_ETHERNET		1
#define LINK_RAW			101
#define LINK_LOOP			108
#define LINK_SLL			113
#define LINK_IPV4			228
#define LINK_IPV6			229
#define LINK_SLL2			276

#define SECONDS				1700000000u
#define FRACTION			123456u

#define PAYLOAD				"netflow"
#define PAYLOAD_LENGTH		7

/* Octets under construction: a packet or a file. */
typedef struct Bytes
{
	uint8_t		data[2048];
	size_t		length;
} Bytes;

static void
put(Bytes *bytes, const void *data, size_t length)
{
	assert_true(bytes->length + length <= sizeof(bytes->data));
	memcpy(bytes->data + bytes->length, data, length);
	bytes->length += length;
}

static void
put_u8(Bytes *bytes, uint8_t value)
{
	put(bytes, &value, 1);
}

static void
put_u16(Bytes *bytes, uint16_t value)
{
	put_u8(bytes, value >> 8);
	put_u8(bytes, (uint8_t) value);
}

static void
put_u32(Bytes *bytes, uint32_t value)
{
	put_u16(bytes, value >> 16);
	put_u16(bytes, (uint16_t) value);
}

static void
put_zeros(Bytes *bytes, size_t count)
{
	while (count-- > 0)
		put_u8(bytes, 0);
}

static void
put_file_u32(Bytes *file, bool little_endian, uint32_t value)
{
	put_u32(file, little_endian ? __builtin_bswap32(value) : value);
}

static Bytes
file_header(bool little_endian, uint32_t magic, uint32_t link_type)
{
	Bytes		file = {.length = 0};

	put_file_u32(&file, little_endian, magic);
	put_file_u32(&file, little_endian, little_endian ? 0x00040002 : 0x00020004);
	put_zeros(&file, 8);
	put_file_u32(&file, little_endian, 65535);
	put_file_u32(&file, little_endian, link_type);
	return file;
}

static void
put_packet_as(Bytes *file, bool little_endian, uint32_t fraction, const Bytes *packet)
{
	put_file_u32(file, little_endian, SECONDS);
	put_file_u32(file, little_endian, fraction);
	put_file_u32(file, little_endian, (uint32_t) packet->length);
	put_file_u32(file, little_endian, (uint32_t) packet->length);
	put(file, packet->data, packet->length);
}

static void
put_packet(Bytes *file, const Bytes *packet)
{
	put_packet_as(file, true, FRACTION, packet);
}

/* A UDP datagram from port 50000 to 2055 whose header says "length". */
static void
put_udp_saying(Bytes *packet, uint16_t length)
{
	put_u16(packet, 50000);
	put_u16(packet, 2055);
	put_u16(packet, length);
	put_u16(packet, 0);
	put(packet, PAYLOAD, PAYLOAD_LENGTH);
}

static void
put_udp(Bytes *packet)
{
	put_udp_saying(packet, 8 + PAYLOAD_LENGTH);
}

/* From 192.0.2.1. */
static void
put_ipv4_header(Bytes *packet, uint16_t total_length, uint16_t fragment, uint8_t protocol,
				uint8_t option_words)
{
	put_u8(packet, 0x45 + option_words);
	put_u8(packet, 0);
	put_u16(packet, total_length);
	put_u16(packet, 4711);
	put_u16(packet, fragment);
	put_u8(packet, 64);
	put_u8(packet, protocol);
	put_u16(packet, 0);
	put_u32(packet, 0xC0000201);
	put_u32(packet, 0xC0000202);
	put_zeros(packet, 4 * (size_t) option_words);
}

static void
put_ipv4(Bytes *packet)
{
	put_ipv4_header(packet, 28 + PAYLOAD_LENGTH, 0, 17, 0);
	put_udp(packet);
}

/* From 2001:db8::1. */
static void
put_ipv6_header(Bytes *packet, uint16_t payload_length, uint8_t next)
{
	put_u32(packet, 0x60000000);
	put_u16(packet, payload_length);
	put_u8(packet, next);
	put_u8(packet, 64);
	put_u32(packet, 0x20010DB8);
	put_zeros(packet, 11);
	put_u8(packet, 1);
	put_u32(packet, 0x20010DB8);
	put_zeros(packet, 11);
	put_u8(packet, 2);
}

static void
put_ipv6(Bytes *packet)
{
	put_ipv6_header(packet, 8 + PAYLOAD_LENGTH, 17);
	put_udp(packet);
}

static void
put_ethernet(Bytes *packet, uint16_t type)
{
	put_zeros(packet, 12);
	put_u16(packet, type);
}

static const FlowAddress source_v4 = {
	.octets = {[10] = 0xFF, [11] = 0xFF, [12] = 192, [13] = 0, [14] = 2, [15] = 1}
};
static const FlowAddress source_v6 = {
	.octets = {[0] = 0x20, [1] = 0x01, [2] = 0x0D, [3] = 0xB8, [15] = 1}
};

/* The file in memory of exactly its length, so that ASan sees one octet more. */
static uint8_t *
exact_copy(const uint8_t *data, size_t length)
{
	uint8_t    *copy = malloc(length > 0 ? length : 1);

	memcpy(copy, data, length);
	return copy;
}

static void
assert_datagram(const PcapDatagram *datagram, const FlowAddress *source)
{
	assert_int_equal(datagram->time, SECONDS * INT64_C(1000000) + FRACTION);
	assert_memory_equal(&datagram->source, source, sizeof(*source));
	assert_int_equal(datagram->source_port, 50000);
	assert_int_equal(datagram->destination_port, 2055);
	assert_int_equal(datagram->length, PAYLOAD_LENGTH);
	assert_memory_equal(datagram->data, PAYLOAD, PAYLOAD_LENGTH);
}

/* The file holds "count" such datagrams, and "skipped" other packets. */
static void
assert_file(const Bytes *file, const FlowAddress *source, unsigned count, unsigned skipped)
{
	uint8_t    *data = exact_copy(file->data, file->length);
	PcapReader	reader;
	PcapDatagram datagram;

	assert_int_equal(pcap_open(&reader, data, file->length), PCAP_OK);
	for (unsigned i = 0; i < count; i++)
	{
		assert_int_equal(pcap_next(&reader, &datagram), PCAP_OK);
		assert_datagram(&datagram, source);
	}
	assert_int_equal(pcap_next(&reader, &datagram), PCAP_END);
	assert_int_equal(pcap_next(&reader, &datagram), PCAP_END);
	assert_int_equal(reader.packets, count + skipped);
	assert_int_equal(reader.skipped, skipped);
	free(data);
}

/* A capture of this one packet. */
static void
assert_read(uint32_t link_type, const Bytes *packet, const FlowAddress *source)
{
	Bytes		file = file_header(true, MAGIC, link_type);

	put_packet(&file, packet);
	assert_file(&file, source, 1, 0);
}

static void
assert_skipped(uint32_t link_type, const Bytes *packet)
{
	Bytes		file = file_header(true, MAGIC, link_type);

	put_packet(&file, packet);
	assert_file(&file, NULL, 0, 1);
}

static void
test_byte_orders(void **state)
{
	Bytes		packet = {.length = 0};

	(void) state;
	put_ipv4(&packet);
	for (int little_endian = 0; little_endian < 2; little_endian++)
	{
		Bytes		file = file_header(little_endian, MAGIC, LINK_RAW);

		put_packet_as(&file, little_endian, FRACTION, &packet);
		put_packet_as(&file, little_endian, FRACTION, &packet);
		assert_file(&file, &source_v4, 2, 0);

		file = file_header(little_endian, MAGIC_NANOSECONDS, LINK_RAW);
		put_packet_as(&file, little_endian, FRACTION * 1000, &packet);
		put_packet_as(&file, little_endian, FRACTION * 1000 + 999, &packet);
		assert_file(&file, &source_v4, 2, 0);
	}
}

/* Seconds are unsigned, and a fraction that lies does no harm. */
static void
test_late_time(void **state)
{
	Bytes		file = file_header(false, MAGIC, LINK_RAW);
	Bytes		packet = {.length = 0};
	PcapReader	reader;
	PcapDatagram datagram;

	(void) state;
	put_ipv4(&packet);
	put_packet_as(&file, false, UINT32_MAX, &packet);
	memset(file.data + 24, 0xFF, 4);
	assert_int_equal(pcap_open(&reader, file.data, file.length), PCAP_OK);
	assert_int_equal(pcap_next(&reader, &datagram), PCAP_OK);
	assert_int_equal(datagram.time, UINT32_MAX * INT64_C(1000000) + UINT32_MAX);
}

static void
test_file_headers(void **state)
{
	Bytes		file;
	PcapReader	reader;

	(void) state;
	assert_int_equal(pcap_open(&reader, NULL, 0), PCAP_NOT_A_CAPTURE);
	assert_int_equal(pcap_open(&reader, (const uint8_t *) "PGDMP and so on, 24 long", 24),
					 PCAP_NOT_A_CAPTURE);

	file = file_header(false, 0x0A0D0D0A, LINK_ETHERNET);
	assert_int_equal(pcap_open(&reader, file.data, file.length), PCAP_IS_PCAPNG);
	assert_int_equal(pcap_open(&reader, file.data, 4), PCAP_IS_PCAPNG);

	file = file_header(true, MAGIC, 105);	/* IEEE 802.11 */
	assert_int_equal(pcap_open(&reader, file.data, file.length), PCAP_UNKNOWN_LINK);

	/* The upper bits of the link type tell about a frame check sequence. */
	file = file_header(true, MAGIC, 0x24FF0000 | LINK_ETHERNET);
	assert_int_equal(pcap_open(&reader, file.data, file.length), PCAP_OK);
	assert_int_equal(reader.link_type, LINK_ETHERNET);

	for (size_t length = 0; length < file.length; length++)
	{
		uint8_t    *data = exact_copy(file.data, length);

		assert_int_equal(pcap_open(&reader, data, length),
						 length < 4 ? PCAP_NOT_A_CAPTURE : PCAP_TRUNCATED);
		free(data);
	}
	assert_file(&file, NULL, 0, 0);
}

static void
test_ethernet(void **state)
{
	const uint16_t tags[] = {0x8100, 0x88A8, 0x9100, 0x8100, 0x8100};
	Bytes		packet;

	(void) state;
	for (size_t count = 0; count <= 5; count++)
	{
		for (int family = 4; family <= 6; family += 2)
		{
			packet = (Bytes) {.length = 0};
			put_zeros(&packet, 12);
			for (size_t i = 0; i < count; i++)
			{
				put_u16(&packet, tags[i]);
				put_u16(&packet, 0x2064);
			}
			put_u16(&packet, family == 4 ? 0x0800 : 0x86DD);
			if (family == 4)
				put_ipv4(&packet);
			else
				put_ipv6(&packet);

			if (count <= 4)
				assert_read(LINK_ETHERNET, &packet, family == 4 ? &source_v4 : &source_v6);
			else
				assert_skipped(LINK_ETHERNET, &packet);
		}
	}
}

/* Short frames are filled up; the filling is none of the payload. */
static void
test_ethernet_padding(void **state)
{
	Bytes		packet = {.length = 0};

	(void) state;
	put_ethernet(&packet, 0x0800);
	put_ipv4(&packet);
	put_zeros(&packet, 60 - packet.length);
	assert_read(LINK_ETHERNET, &packet, &source_v4);

	packet = (Bytes) {.length = 0};
	put_ethernet(&packet, 0x86DD);
	put_ipv6(&packet);
	put_zeros(&packet, 20);
	assert_read(LINK_ETHERNET, &packet, &source_v6);
}

static void
test_link_types(void **state)
{
	const uint32_t raw[] = {12, 14, LINK_RAW};
	Bytes		packet;

	(void) state;
	for (size_t i = 0; i < 3; i++)
	{
		packet = (Bytes) {.length = 0};
		put_ipv4(&packet);
		assert_read(raw[i], &packet, &source_v4);
		packet = (Bytes) {.length = 0};
		put_ipv6(&packet);
		assert_read(raw[i], &packet, &source_v6);
	}

	packet = (Bytes) {.length = 0};
	put_ipv4(&packet);
	assert_read(LINK_IPV4, &packet, &source_v4);
	assert_skipped(LINK_IPV6, &packet);
	packet = (Bytes) {.length = 0};
	put_ipv6(&packet);
	assert_read(LINK_IPV6, &packet, &source_v6);
	assert_skipped(LINK_IPV4, &packet);
}

static void
test_linux_cooked(void **state)
{
	Bytes		packet = {.length = 0};

	(void) state;
	put_u16(&packet, 0);		/* sent to us */
	put_u16(&packet, 1);		/* ARPHRD_ETHER */
	put_u16(&packet, 6);
	put_zeros(&packet, 8);
	put_u16(&packet, 0x0800);
	put_ipv4(&packet);
	assert_read(LINK_SLL, &packet, &source_v4);

	packet = (Bytes) {.length = 0};
	put_zeros(&packet, 14);
	put_u16(&packet, 0x8100);
	put_u16(&packet, 100);
	put_u16(&packet, 0x86DD);
	put_ipv6(&packet);
	assert_read(LINK_SLL, &packet, &source_v6);

	packet = (Bytes) {.length = 0};
	put_u16(&packet, 0x86DD);
	put_u16(&packet, 0);
	put_u32(&packet, 2);		/* number of the interface */
	put_u16(&packet, 1);
	put_u8(&packet, 0);
	put_u8(&packet, 6);
	put_zeros(&packet, 8);
	put_ipv6(&packet);
	assert_read(LINK_SLL2, &packet, &source_v6);

	packet.data[0] = 0x08;		/* ARP */
	packet.data[1] = 0x06;
	assert_skipped(LINK_SLL2, &packet);
}

static void
test_bsd_loopback(void **state)
{
	const uint32_t ipv6_families[] = {10, 24, 28, 30};
	Bytes		packet;

	(void) state;
	for (int little_endian = 0; little_endian < 2; little_endian++)
	{
		packet = (Bytes) {.length = 0};
		put_file_u32(&packet, little_endian, 2);
		put_ipv4(&packet);
		assert_read(LINK_NULL, &packet, &source_v4);
		if (little_endian)
			assert_skipped(LINK_LOOP, &packet);
		else
			assert_read(LINK_LOOP, &packet, &source_v4);

		for (size_t i = 0; i < 4; i++)
		{
			packet = (Bytes) {.length = 0};
			put_file_u32(&packet, little_endian, ipv6_families[i]);
			put_ipv6(&packet);
			assert_read(LINK_NULL, &packet, &source_v6);
		}
	}

	packet.data[3] = 7;
	assert_skipped(LINK_NULL, &packet);
}

static void
test_ipv4_options(void **state)
{
	(void) state;
	for (uint8_t words = 1; words <= 10; words++)
	{
		Bytes		packet = {.length = 0};

		put_ipv4_header(&packet, 28 + 4 * words + PAYLOAD_LENGTH, 0, 17, words);
		put_udp(&packet);
		assert_read(LINK_RAW, &packet, &source_v4);
	}
}

static void
test_ipv4_skipped(void **state)
{
	const struct
	{
		uint16_t	total_length;
		uint16_t	fragment;
		uint8_t		protocol;
	}			cases[] = {
		{35, 0x2000, 17},		/* more fragments */
		{35, 0x0001, 17},		/* a later one */
		{35, 0x1FFF, 17},
		{35, 0, 6},				/* TCP */
		{35, 0, 1},
		{34, 0, 17},			/* one octet less than UDP says */
		{27, 0, 17},
		{20, 0, 17},
		{19, 0, 17},
		{3, 0, 17},
		{0, 0, 17}
	};
	Bytes		packet;

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		packet = (Bytes) {.length = 0};
		put_ipv4_header(&packet, cases[i].total_length, cases[i].fragment,
						cases[i].protocol, 0);
		put_udp(&packet);
		assert_skipped(LINK_RAW, &packet);
	}

	/* DF and the reserved bit make no fragment. */
	packet = (Bytes) {.length = 0};
	put_ipv4_header(&packet, 35, 0xC000, 17, 0);
	put_udp(&packet);
	assert_read(LINK_RAW, &packet, &source_v4);

	/* More than was captured, as long as all of UDP is there. */
	packet.data[2] = 0xFF;
	assert_read(LINK_RAW, &packet, &source_v4);

	/* A header of four words, a version that is not 4. */
	packet.data[0] = 0x44;
	assert_skipped(LINK_IPV4, &packet);
	packet.data[0] = 0x55;
	assert_skipped(LINK_IPV4, &packet);
	assert_skipped(LINK_RAW, &packet);
}

/* An extension header of 8 * (1 + more) octets. */
static void
put_extension(Bytes *packet, uint8_t next, uint8_t more)
{
	put_u8(packet, next);
	put_u8(packet, more);
	put_zeros(packet, 6 + 8 * (size_t) more);
}

static void
put_fragment_header(Bytes *packet, uint8_t next, uint16_t offset)
{
	put_u8(packet, next);
	put_u8(packet, 0);
	put_u16(packet, offset);
	put_u32(packet, 4711);
}

static void
test_ipv6_extensions(void **state)
{
	Bytes		packet = {.length = 0};

	(void) state;
	put_ipv6_header(&packet, 56 + 8 + PAYLOAD_LENGTH, 0);
	put_extension(&packet, 43, 1);	/* hop by hop, then routing */
	put_extension(&packet, 60, 2);	/* then destination options */
	put_extension(&packet, 44, 0);	/* then a fragment that is the whole */
	put_fragment_header(&packet, 17, 0x0006);
	put_udp(&packet);
	assert_read(LINK_RAW, &packet, &source_v6);

	for (unsigned count = 1; count < 20; count++)
	{
		packet = (Bytes) {.length = 0};
		put_ipv6_header(&packet, 8 * count + 8 + PAYLOAD_LENGTH, 60);
		for (unsigned i = 1; i <= count; i++)
			put_extension(&packet, i < count ? 60 : 17, 0);
		put_udp(&packet);
		if (count <= 8)
			assert_read(LINK_RAW, &packet, &source_v6);
		else
			assert_skipped(LINK_RAW, &packet);
	}
}

static void
test_ipv6_skipped(void **state)
{
	const uint16_t fragments[] = {0x0001, 0x0008, 0xFFF8, 0xFFFF};
	const uint8_t others[] = {6, 50, 51, 58, 59, 255};
	Bytes		packet;

	(void) state;
	for (size_t i = 0; i < 4; i++)
	{
		packet = (Bytes) {.length = 0};
		put_ipv6_header(&packet, 8 + 8 + PAYLOAD_LENGTH, 44);
		put_fragment_header(&packet, 17, fragments[i]);
		put_udp(&packet);
		assert_skipped(LINK_RAW, &packet);
	}
	for (size_t i = 0; i < sizeof(others); i++)
	{
		packet = (Bytes) {.length = 0};
		put_ipv6_header(&packet, 8 + PAYLOAD_LENGTH, others[i]);
		put_udp(&packet);
		assert_skipped(LINK_RAW, &packet);
	}
	for (uint16_t length = 0; length < 8 + PAYLOAD_LENGTH; length++)
	{
		packet = (Bytes) {.length = 0};
		put_ipv6_header(&packet, length, 17);
		put_udp(&packet);
		assert_skipped(LINK_RAW, &packet);
	}

	/* An extension header that is longer than the packet. */
	packet = (Bytes) {.length = 0};
	put_ipv6_header(&packet, 8 + 8 + PAYLOAD_LENGTH, 0);
	put_extension(&packet, 17, 0);
	packet.data[41] = 255;
	put_udp(&packet);
	assert_skipped(LINK_RAW, &packet);
}

/* UDP's own length decides what the payload is. */
static void
test_udp_lengths(void **state)
{
	(void) state;
	for (unsigned length = 0; length < 40; length++)
	{
		Bytes		file = file_header(true, MAGIC, LINK_RAW);
		Bytes		packet = {.length = 0};
		PcapReader	reader;
		PcapDatagram datagram;
		bool		good = length >= 8 && length <= 8 + PAYLOAD_LENGTH;

		put_ipv4_header(&packet, 28 + PAYLOAD_LENGTH, 0, 17, 0);
		put_udp_saying(&packet, length);
		put_zeros(&packet, 30);
		put_packet(&file, &packet);

		assert_int_equal(pcap_open(&reader, file.data, file.length), PCAP_OK);
		assert_int_equal(pcap_next(&reader, &datagram), good ? PCAP_OK : PCAP_END);
		assert_int_equal(reader.skipped, good ? 0 : 1);
		if (good)
			assert_int_equal(datagram.length, length - 8);
	}
}

/* Cut off by the snap length anywhere: skipped, and the next one is read. */
static void
test_snap_length(void **state)
{
	Bytes		packet = {.length = 0};
	size_t		whole;

	(void) state;
	put_ethernet(&packet, 0x0800);
	put_ipv4(&packet);
	whole = packet.length;
	for (packet.length = 0; packet.length < whole; packet.length++)
	{
		Bytes		file = file_header(true, MAGIC, LINK_ETHERNET);
		Bytes		next = packet;

		put_packet(&file, &packet);
		next.length = whole;
		put_packet(&file, &next);
		assert_file(&file, &source_v4, 1, 1);
	}
}

/* Two packets, one of each family. */
static Bytes
two_packets(void)
{
	Bytes		file = file_header(true, MAGIC, LINK_ETHERNET);
	Bytes		packet = {.length = 0};

	put_ethernet(&packet, 0x0800);
	put_ipv4(&packet);
	put_packet(&file, &packet);
	packet.length = 0;
	put_ethernet(&packet, 0x86DD);
	put_ipv6_header(&packet, 16 + 8 + PAYLOAD_LENGTH, 0);
	put_extension(&packet, 44, 0);
	put_fragment_header(&packet, 17, 0);
	put_udp(&packet);
	put_packet(&file, &packet);
	return file;
}

static void
test_truncated(void **state)
{
	Bytes		file = two_packets();
	const size_t first_end = 24 + 16 + 14 + 28 + PAYLOAD_LENGTH;

	(void) state;
	for (size_t length = 24; length <= file.length; length++)
	{
		uint8_t    *data = exact_copy(file.data, length);
		unsigned	whole = (length >= first_end) + (length == file.length);
		bool		at_end = length == 24 || length == first_end || length == file.length;
		PcapReader	reader;
		PcapDatagram datagram;

		assert_int_equal(pcap_open(&reader, data, length), PCAP_OK);
		for (unsigned i = 0; i < whole; i++)
		{
			assert_int_equal(pcap_next(&reader, &datagram), PCAP_OK);
			assert_datagram(&datagram, i == 0 ? &source_v4 : &source_v6);
		}
		for (int i = 0; i < 2; i++)
			assert_int_equal(pcap_next(&reader, &datagram),
							 at_end ? PCAP_END : PCAP_TRUNCATED);
		assert_int_equal(reader.packets, whole);
		free(data);
	}
}

/* A packet that says it is longer than what is left of the file. */
static void
test_lying_packet_length(void **state)
{
	const uint32_t extra[] = {1, 2, 0x7FFFFF00, 0xFFFFFF00};

	(void) state;
	for (size_t i = 0; i < 4; i++)
	{
		Bytes		file = file_header(false, MAGIC, LINK_RAW);
		Bytes		packet = {.length = 0};
		Bytes		lie = {.length = 0};
		PcapReader	reader;
		PcapDatagram datagram;

		put_ipv4(&packet);
		put_packet_as(&file, false, FRACTION, &packet);
		put_u32(&lie, (uint32_t) packet.length + extra[i]);
		memcpy(file.data + 32, lie.data, 4);
		assert_int_equal(pcap_open(&reader, file.data, file.length), PCAP_OK);
		assert_int_equal(pcap_next(&reader, &datagram), PCAP_TRUNCATED);
		assert_int_equal(reader.packets, 0);
	}
}

/* Fixed seed: the same numbers on every machine (xorshift64). */
static uint32_t
random_below(uint32_t limit)
{
	static uint64_t x = UINT64_C(88172645463325252);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t) (x >> 32) % limit;
}

/* Whatever the octets are: an end, and payloads within the file. */
static void
read_all(const uint8_t *data, size_t length)
{
	PcapReader	reader;
	PcapDatagram datagram;
	uint64_t	datagrams = 0;

	if (pcap_open(&reader, data, length) != PCAP_OK)
		return;
	while (pcap_next(&reader, &datagram) == PCAP_OK)
	{
		assert_true(datagram.data >= data);
		assert_true(datagram.data + datagram.length <= data + length);
		datagrams++;
	}
	assert_int_equal(reader.packets, datagrams + reader.skipped);
	assert_true(reader.packets * 16 <= length);
}

static void
test_random_mutations(void **state)
{
	const uint8_t links[] = {0, 1, 12, 101, 108, 113, 228, 229};
	const Bytes original = two_packets();

	(void) state;
	for (int round = 0; round < 50000; round++)
	{
		size_t		length = random_below(8) > 0 ? original.length :
			random_below((uint32_t) original.length + 1);
		uint8_t    *data = exact_copy(original.data, length);

		for (uint32_t i = random_below(6); i > 0 && length > 0; i--)
			data[random_below(length)] = (uint8_t) random_below(256);
		if (length > 20 && random_below(3) == 0)
			data[20] = links[random_below(sizeof(links))];
		read_all(data, length);
		free(data);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_byte_orders),
		cmocka_unit_test(test_late_time),
		cmocka_unit_test(test_file_headers),
		cmocka_unit_test(test_ethernet),
		cmocka_unit_test(test_ethernet_padding),
		cmocka_unit_test(test_link_types),
		cmocka_unit_test(test_linux_cooked),
		cmocka_unit_test(test_bsd_loopback),
		cmocka_unit_test(test_ipv4_options),
		cmocka_unit_test(test_ipv4_skipped),
		cmocka_unit_test(test_ipv6_extensions),
		cmocka_unit_test(test_ipv6_skipped),
		cmocka_unit_test(test_udp_lengths),
		cmocka_unit_test(test_snap_length),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_lying_packet_length),
		cmocka_unit_test(test_random_mutations)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
