/*
 * test_frame.c
 *	  Starts of sampled packets: Ethernet with what may lie between it and IP.
 */
#include "build_packet.h"

#include "frame.h"

typedef void (*FrameReader) (Packet packet, Frame *frame);

static const uint8_t ipv4_source[16] = {[10] = 0xff, [11] = 0xff, 198, 51, 100, 1};
static const uint8_t ipv4_destination[16] = {[10] = 0xff, [11] = 0xff, 203, 0, 113, 2};
static const uint8_t ipv6_source[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
static const uint8_t ipv6_destination[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 2};

/* Addresses that no test looks for; the type follows. */
static void
put_macs(Buffer *buffer)
{
	put_fill(buffer, 0x44, 6);
	put_fill(buffer, 0x66, 6);
}

static void
put_tag(Buffer *buffer, uint16_t type, uint16_t tag)
{
	put_u16(buffer, type);
	put_u16(buffer, tag);
}

/* A header of "words" words of 4 octets, with options if more than 5. */
static void
put_ipv4(Buffer *buffer, uint8_t words, uint16_t length)
{
	put_u8(buffer, 0x40 | words);
	put_u8(buffer, 0xff);
	put_u16(buffer, length);
	put_fill(buffer, 0xff, 8);
	put_bytes(buffer, ipv4_source + 12, 4);
	put_bytes(buffer, ipv4_destination + 12, 4);
	if (words > 5)
		put_fill(buffer, 1, (size_t) (words - 5) * 4);
}

static void
put_ipv6(Buffer *buffer, uint16_t payload)
{
	put_u32(buffer, 0x6fffffff);
	put_u16(buffer, payload);
	put_u16(buffer, 0xffff);
	put_bytes(buffer, ipv6_source, 16);
	put_bytes(buffer, ipv6_destination, 16);
}

/* Reads from memory of just that size, so that ASan sees every step beyond. */
static Frame
read_bytes(FrameReader reader, const uint8_t *data, size_t length)
{
	uint8_t    *copy = malloc(length > 0 ? length : 1);
	Frame		frame;

	assert_non_null(copy);
	memcpy(copy, data, length);
	memset(&frame, 0xee, sizeof(frame));
	reader(packet_init(copy, length), &frame);
	free(copy);
	return frame;
}

static Frame
read_ethernet(const Buffer *buffer)
{
	return read_bytes(frame_read_ethernet, buffer->data, buffer->length);
}

static void
assert_ipv4(const Frame *frame, uint32_t length)
{
	assert_int_equal(frame->family, 4);
	assert_int_equal(frame->ip_length, length);
	assert_memory_equal(frame->source.octets, ipv4_source, 16);
	assert_memory_equal(frame->destination.octets, ipv4_destination, 16);
}

static void
assert_ipv6(const Frame *frame, uint32_t length)
{
	assert_int_equal(frame->family, 6);
	assert_int_equal(frame->ip_length, length);
	assert_memory_equal(frame->source.octets, ipv6_source, 16);
	assert_memory_equal(frame->destination.octets, ipv6_destination, 16);
}

static void
assert_no_ip(const Frame *frame)
{
	assert_int_equal(frame->family, 0);
	assert_int_equal(frame->ip_length, 0);
}

static void
test_plain(void **state)
{
	Buffer		buffer = {0};
	Frame		frame;

	(void) state;
	put_macs(&buffer);
	put_u16(&buffer, 0x0800);
	put_ipv4(&buffer, 5, 1500);
	frame = read_ethernet(&buffer);
	assert_ipv4(&frame, 1500);
	assert_false(frame.has_vlan);

	buffer.length = 12;
	put_u16(&buffer, 0x86dd);
	put_ipv6(&buffer, 1460);
	frame = read_ethernet(&buffer);
	assert_ipv6(&frame, 1500);
	assert_false(frame.has_vlan);
}

static void
test_ip_without_ethernet(void **state)
{
	Buffer		buffer = {0};
	Frame		frame;

	(void) state;
	put_ipv4(&buffer, 15, 65535);
	frame = read_bytes(frame_read_ip, buffer.data, buffer.length);
	assert_ipv4(&frame, 65535);

	buffer.length = 0;
	put_ipv6(&buffer, 65535);
	frame = read_bytes(frame_read_ip, buffer.data, buffer.length);
	assert_ipv6(&frame, 65575);

	/* another version */
	buffer.data[0] = 0x50;
	frame = read_bytes(frame_read_ip, buffer.data, buffer.length);
	assert_no_ip(&frame);
}

static void
test_tags(void **state)
{
	static const uint16_t types[] = {0x8100, 0x88a8, 0x9100};
	Frame		frame;

	(void) state;
	for (size_t i = 0; i < COUNT(types); i++)
	{
		Buffer		buffer = {0};

		put_macs(&buffer);
		put_tag(&buffer, types[i], 0xf000 | 4094);
		put_u16(&buffer, 0x86dd);
		put_ipv6(&buffer, 1);
		frame = read_ethernet(&buffer);
		assert_ipv6(&frame, 41);
		assert_true(frame.has_vlan);
		assert_int_equal(frame.vlan, 4094);
	}
}

static void
test_stacked_tags(void **state)
{
	Buffer		buffer = {0};
	Frame		frame;

	(void) state;
	put_macs(&buffer);
	put_tag(&buffer, 0x88a8, 100);
	put_tag(&buffer, 0x8100, 200);
	put_tag(&buffer, 0x8100, 300);
	put_u16(&buffer, 0x0800);
	put_ipv4(&buffer, 6, 24);
	frame = read_ethernet(&buffer);
	assert_ipv4(&frame, 24);
	assert_true(frame.has_vlan);
	assert_int_equal(frame.vlan, 100);
}

/* A tag with ID 0 has only a priority; the VLAN may follow. */
static void
test_priority_tag(void **state)
{
	Buffer		buffer = {0};
	Frame		frame;

	(void) state;
	put_macs(&buffer);
	put_tag(&buffer, 0x8100, 0xe000);
	put_u16(&buffer, 0x0800);
	put_ipv4(&buffer, 5, 20);
	frame = read_ethernet(&buffer);
	assert_ipv4(&frame, 20);
	assert_false(frame.has_vlan);

	buffer.length = 16;
	put_tag(&buffer, 0x8100, 7);
	put_u16(&buffer, 0x0800);
	put_ipv4(&buffer, 5, 20);
	frame = read_ethernet(&buffer);
	assert_ipv4(&frame, 20);
	assert_true(frame.has_vlan);
	assert_int_equal(frame.vlan, 7);
}

static void
test_snap(void **state)
{
	Buffer		buffer = {0};
	Frame		frame;

	(void) state;
	put_macs(&buffer);
	put_tag(&buffer, 0x8100, 12);
	put_u16(&buffer, 1500);
	put_bytes(&buffer, "\xaa\xaa\x03\0\0\0", 6);
	put_u16(&buffer, 0x0800);
	put_ipv4(&buffer, 5, 1492);
	frame = read_ethernet(&buffer);
	assert_ipv4(&frame, 1492);
	assert_int_equal(frame.vlan, 12);

	/* one that is no length, and no type that we know */
	patch_u16(&buffer, 16, 1501);
	frame = read_ethernet(&buffer);
	assert_no_ip(&frame);
	assert_int_equal(frame.vlan, 12);

	/* spanning tree: LLC without SNAP */
	patch_u16(&buffer, 16, 38);
	buffer.data[18] = 0x42;
	frame = read_ethernet(&buffer);
	assert_no_ip(&frame);
}

static void
test_mpls(void **state)
{
	static const uint16_t types[] = {0x8847, 0x8848};
	Frame		frame;

	(void) state;
	for (size_t i = 0; i < COUNT(types); i++)
	{
		Buffer		buffer = {0};

		put_macs(&buffer);
		put_u16(&buffer, types[i]);
		put_u32(&buffer, 0xfffffeff);
		put_u32(&buffer, 0x000000ff);
		put_u32(&buffer, 0x00010140);
		put_ipv4(&buffer, 5, 100);
		frame = read_ethernet(&buffer);
		assert_ipv4(&frame, 100);

		buffer.length = 26;
		put_ipv6(&buffer, 100);
		frame = read_ethernet(&buffer);
		assert_ipv6(&frame, 140);

		/* a pseudowire with a control word */
		buffer.length = 26;
		put_u32(&buffer, 0);
		put_ipv4(&buffer, 5, 100);
		frame = read_ethernet(&buffer);
		assert_no_ip(&frame);
	}
}

/* Not one entry is the last: the stack ends with the packet. */
static void
test_mpls_without_bottom(void **state)
{
	Buffer		buffer = {0};
	Frame		frame;

	(void) state;
	put_macs(&buffer);
	put_u16(&buffer, 0x8847);
	for (int i = 0; i < 1000; i++)
		put_u32(&buffer, 0x454000ff);
	frame = read_ethernet(&buffer);
	assert_no_ip(&frame);
}

static void
test_pppoe(void **state)
{
	Buffer		buffer = {0};
	Frame		frame;

	(void) state;
	put_macs(&buffer);
	put_tag(&buffer, 0x8100, 7);
	put_u16(&buffer, 0x8864);
	put_u16(&buffer, 0x1100);
	put_u16(&buffer, 4711);
	put_u16(&buffer, 1494);
	put_u16(&buffer, 0x0021);
	put_ipv4(&buffer, 5, 1492);
	frame = read_ethernet(&buffer);
	assert_ipv4(&frame, 1492);
	assert_int_equal(frame.vlan, 7);

	/* LCP, whatever it holds */
	patch_u16(&buffer, 24, 0xc021);
	frame = read_ethernet(&buffer);
	assert_no_ip(&frame);

	patch_u16(&buffer, 24, 0x0057);
	buffer.length = 26;
	put_ipv6(&buffer, 1452);
	frame = read_ethernet(&buffer);
	assert_ipv6(&frame, 1492);

	/* a code that is none of a session */
	patch_u16(&buffer, 18, 0x1109);
	frame = read_ethernet(&buffer);
	assert_no_ip(&frame);
}

static void
test_other_types(void **state)
{
	static const uint16_t types[] = {0x0806, 0x88cc, 0x8863, 0xffff};
	Buffer		buffer = {0};

	(void) state;
	put_macs(&buffer);
	put_u16(&buffer, 0);
	put_ipv4(&buffer, 5, 100);
	for (size_t i = 0; i < COUNT(types); i++)
	{
		Frame		frame;

		patch_u16(&buffer, 12, types[i]);
		frame = read_ethernet(&buffer);
		assert_no_ip(&frame);
		assert_false(frame.has_vlan);
	}
}

/* Lengths that are not told leave the rest as it is. */
static void
test_unknown_lengths(void **state)
{
	Buffer		buffer = {0};
	Frame		frame;

	(void) state;
	put_ipv4(&buffer, 5, 0);
	frame = read_bytes(frame_read_ip, buffer.data, buffer.length);
	assert_ipv4(&frame, 0);

	buffer.length = 0;
	put_ipv6(&buffer, 0);
	frame = read_bytes(frame_read_ip, buffer.data, buffer.length);
	assert_ipv6(&frame, 0);
}

/* What cannot be an IPv4 header, though its version says so. */
static void
test_bad_ipv4(void **state)
{
	Buffer		buffer = {0};
	Frame		frame;

	(void) state;
	put_ipv4(&buffer, 4, 100);
	frame = read_bytes(frame_read_ip, buffer.data, buffer.length);
	assert_no_ip(&frame);

	buffer.length = 0;
	put_ipv4(&buffer, 6, 23);
	frame = read_bytes(frame_read_ip, buffer.data, buffer.length);
	assert_no_ip(&frame);
	patch_u16(&buffer, 2, 24);
	frame = read_bytes(frame_read_ip, buffer.data, buffer.length);
	assert_ipv4(&frame, 24);
}

/* Two tags at 12, the type at 20, the IP header at 22. */
static void
test_every_truncation(void **state)
{
	Buffer		buffer = {0};

	(void) state;
	put_macs(&buffer);
	put_tag(&buffer, 0x88a8, 100);
	put_tag(&buffer, 0x8100, 200);
	put_u16(&buffer, 0x0800);
	put_ipv4(&buffer, 7, 1000);
	for (size_t length = 0; length <= buffer.length; length++)
	{
		Frame		frame = read_bytes(frame_read_ethernet, buffer.data, length);

		assert_int_equal(frame.has_vlan, length >= 16);
		assert_int_equal(frame.ip_length, length >= 26 ? 1000 : 0);
		assert_int_equal(frame.family, length >= 42 ? 4 : 0);
	}
}

static void
test_every_truncation_ipv6(void **state)
{
	Buffer		buffer = {0};

	(void) state;
	put_ipv6(&buffer, 1000);
	for (size_t length = 0; length <= buffer.length; length++)
	{
		Frame		frame = read_bytes(frame_read_ip, buffer.data, length);

		assert_int_equal(frame.ip_length, length >= 6 ? 1040 : 0);
		assert_int_equal(frame.family, length >= 40 ? 6 : 0);
	}
}

/* Nothing in particular comes out, but nothing is read that is not there. */
static void
test_mutations(void **state)
{
	static const uint16_t types[] = {
		0x0800, 0x86dd, 0x8100, 0x88a8, 0x8847, 0x8864, 0x0100
	};
	uint64_t	random = 20260117;

	(void) state;
	for (int round = 0; round < 50000; round++)
	{
		Buffer		buffer;
		size_t		length = random_next(&random) % 80;
		Frame		frame;

		buffer.length = 0;
		put_macs(&buffer);
		for (int i = 0; i < 34; i++)
			put_u16(&buffer, random_next(&random) % 3 != 0 ?
					types[random_next(&random) % COUNT(types)] :
					(uint16_t) random_next(&random));
		frame = read_bytes(frame_read_ethernet, buffer.data, length);
		assert_true(frame.family == 0 || frame.family == 4 || frame.family == 6);
		assert_true(!frame.has_vlan || (frame.vlan > 0 && frame.vlan < 4096));
		frame = read_bytes(frame_read_ip, buffer.data + 12, length > 12 ? length - 12 : 0);
		assert_false(frame.has_vlan);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_ip_without_ethernet),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_stacked_tags),
		cmocka_unit_test(test_priority_tag),
		cmocka_unit_test(test_snap),
		cmocka_unit_test(test_mpls),
		cmocka_unit_test(test_mpls_without_bottom),
		cmocka_unit_test(test_pppoe),
		cmocka_unit_test(test_other_types),
		cmocka_unit_test(test_unknown_lengths),
		cmocka_unit_test(test_bad_ipv4),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_truncation_ipv6),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
