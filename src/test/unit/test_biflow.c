/*
 * test_biflow.c
 *	  Records of two directions (RFC 5103), and records made of the start of a
 *	  sampled packet.
 */
#include "build_packet.h"

#define REVERSE		29305

/* A field specifier of IPFIX; with an enterprise number if that is not 0. */
typedef struct Field
{
	uint16_t	type;
	uint16_t	length;
	uint32_t	enterprise;
} Field;

static void
put_ipfix_template(Buffer *buffer, uint16_t id, size_t count, const Field *fields)
{
	size_t		set = begin_set(buffer, 2);

	put_u16(buffer, id);
	put_u16(buffer, (uint16_t) count);
	for (size_t i = 0; i < count; i++)
	{
		put_u16(buffer, fields[i].type | (fields[i].enterprise != 0 ? 0x8000 : 0));
		put_u16(buffer, fields[i].length);
		if (fields[i].enterprise != 0)
			put_u32(buffer, fields[i].enterprise);
	}
	end_set(buffer, set);
}

/* One IPFIX message: the template and one record of it. */
static void
decode_record(Bench *bench, size_t count, const Field *fields, const Buffer *record)
{
	Buffer		buffer = {0};
	size_t		set;

	put_ipfix_header(&buffer, 0, 1);
	put_ipfix_template(&buffer, 300, count, fields);
	set = begin_set(&buffer, 300);
	put_bytes(&buffer, record->data, record->length);
	end_set(&buffer, set);
	end_ipfix(&buffer);
	bench_decode(bench, &buffer);
	assert_int_equal(exporter_errors(bench_exporter(bench, FLOW_IPFIX, 1)), 0);
}

static void
test_both_directions(void **state)
{
	static const Field fields[] = {
		{8, 4, 0}, {12, 4, 0}, {10, 4, 0}, {14, 2, 0}, {16, 4, 0}, {17, 4, 0},
		{58, 2, 0}, {59, 2, 0}, {1, 8, 0}, {1, 4, REVERSE}, {2, 4, 0}, {2, 8, REVERSE},
		{152, 8, 0}, {153, 8, 0}, {152, 8, REVERSE}, {61, 1, 0}, {34, 4, 0},
		{8, 4, REVERSE}, {10, 4, REVERSE}
	};
	Bench	   *bench = bench_make(8, 8);
	Buffer		record = {0};
	const Flow *forward = &bench->caught.flows[0];
	const Flow *reverse = &bench->caught.flows[1];

	(void) state;
	put_u32(&record, 0x0a000001);
	put_u32(&record, 0x0a000002);
	put_u32(&record, 11);
	put_u16(&record, 14);
	put_u32(&record, 64500);
	put_u32(&record, 64501);
	put_u16(&record, 58);
	put_u16(&record, 59);
	put_u64(&record, 1000);
	put_u32(&record, 70000);
	put_u32(&record, 10);
	put_u64(&record, 50);
	put_u64(&record, 999990000);
	put_u64(&record, 999999000);
	put_u64(&record, 999991000);
	put_u8(&record, 1);
	put_u32(&record, 512);
	put_zeros(&record, 8);		/* what has no other direction */
	decode_record(bench, COUNT(fields), fields, &record);

	assert_int_equal(bench->caught.count, 2);
	assert_false(forward->reverse);
	assert_int_equal(forward->bytes, 1000);
	assert_int_equal(forward->packets, 10);
	assert_int_equal(forward->in_if, 11);
	assert_int_equal(forward->src_addr.octets[15], 1);
	assert_int_equal(forward->first, INT64_C(999990000000));
	assert_int_equal(forward->received, BENCH_RECEIVED);
	assert_int_equal(forward->exported, INT64_C(1000000000000));

	assert_true(reverse->reverse);
	assert_int_equal(reverse->bytes, 70000);
	assert_int_equal(reverse->packets, 50);
	assert_int_equal(reverse->in_if, 14);
	assert_int_equal(reverse->out_if, 11);
	assert_int_equal(reverse->src_as, 64501);
	assert_int_equal(reverse->dst_as, 64500);
	assert_int_equal(reverse->in_vlan, 59);
	assert_int_equal(reverse->out_vlan, 58);
	assert_int_equal(reverse->src_addr.octets[15], 2);
	assert_int_equal(reverse->dst_addr.octets[15], 1);
	assert_int_equal(reverse->first, INT64_C(999991000000));
	assert_int_equal(reverse->last, INT64_C(999999000000));
	assert_int_equal(reverse->sampling, 512);
	assert_int_equal(reverse->sampling_origin, FLOW_SAMPLING_RECORD);
	assert_int_equal(reverse->family, 4);
	assert_int_equal(reverse->protocol, FLOW_IPFIX);
	assert_int_equal(reverse->domain, 1);
	assert_int_equal(reverse->received, BENCH_RECEIVED);
	assert_int_equal(reverse->exported, INT64_C(1000000000000));
	assert_int_equal(reverse->present, forward->present & ~FLOW_BIT(FLOW_DIRECTION));
	assert_true(FLOW_HAS(forward, FLOW_DIRECTION));

	/* one record on the wire, two that count */
	assert_int_equal(bench_exporter(bench, FLOW_IPFIX, 1)->next_sequence, 1);
	assert_int_equal(bench_exporter(bench, FLOW_IPFIX, 1)->records, 2);
	bench_free(bench);
}

/* A field that only one side has becomes one of the other side. */
static void
test_absent_changes_sides(void **state)
{
	static const Field fields[] = {
		{14, 4, 0}, {16, 4, 0}, {27, 16, 0}, {1, 4, 0}, {85, 4, REVERSE}, {61, 1, REVERSE}
	};
	Bench	   *bench = bench_make(8, 8);
	Buffer		record = {0};
	const Flow *reverse = &bench->caught.flows[1];

	(void) state;
	put_u32(&record, 14);
	put_u32(&record, 16);
	put_fill(&record, 0x20, 16);
	put_u32(&record, 1);
	put_u32(&record, 2);
	put_u8(&record, 1);
	decode_record(bench, COUNT(fields), fields, &record);
	assert_int_equal(bench->caught.count, 2);
	assert_int_equal(reverse->present, FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_IN_IF) |
					 FLOW_BIT(FLOW_DST_AS) | FLOW_BIT(FLOW_DST_ADDR) |
					 FLOW_BIT(FLOW_DIRECTION));
	assert_int_equal(reverse->bytes, 2);
	assert_int_equal(reverse->in_if, 14);
	assert_int_equal(reverse->dst_as, 16);
	assert_int_equal(reverse->direction, 1);
	assert_int_equal(reverse->family, 6);
	bench_free(bench);
}

/* No octets in the other direction: no record of it. */
static void
test_nothing_came_back(void **state)
{
	static const Field with_packets[] = {{1, 4, 0}, {2, 4, REVERSE}};
	static const Field with_octets[] = {{1, 4, 0}, {1, 4, REVERSE}};
	static const Field of_others[] = {{1, 4, 0}, {1, 4, 9}, {85, 4, 0xffffffff}};
	Bench	   *bench = bench_make(8, 8);
	Buffer		record = {0};

	(void) state;
	put_u32(&record, 5);
	put_u32(&record, 5);
	decode_record(bench, COUNT(with_packets), with_packets, &record);
	assert_int_equal(bench->caught.count, 1);
	decode_record(bench, COUNT(with_octets), with_octets, &record);
	assert_int_equal(bench->caught.count, 2);
	put_u32(&record, 5);
	decode_record(bench, COUNT(of_others), of_others, &record);
	assert_int_equal(bench->caught.count, 1);
	record.length = 4;
	put_u32(&record, 0);
	decode_record(bench, COUNT(with_octets), with_octets, &record);
	assert_int_equal(bench->caught.count, 1);
	bench_free(bench);
}

/* The first of 1, 85, 352, 23 for the other direction as well, never the sum. */
static void
test_reverse_priority(void **state)
{
	static const uint16_t order[] = {1, 85, 352, 23};
	Bench	   *bench = bench_make(8, 8);

	(void) state;
	for (size_t best = 0; best < COUNT(order); best++)
	{
		Field		fields[COUNT(order) + 1] = {{1, 4, 0}};
		Buffer		record = {0};
		size_t		count = 1;

		put_u32(&record, 999);
		for (size_t i = COUNT(order); i-- > best;)
		{
			fields[count++] = (Field) {order[i], 4, REVERSE};
			put_u32(&record, order[i]);
		}
		decode_record(bench, count, fields, &record);
		assert_int_equal(bench->caught.count, 2);
		assert_int_equal(bench->caught.flows[0].bytes, 999);
		assert_int_equal(bench->caught.flows[1].bytes, order[best]);
	}
	bench_free(bench);
}

/* Cisco ASA: 231 and 232, in v9. */
static void
test_initiator_and_responder(void **state)
{
	static const uint16_t fields[][2] = {
		{8, 4}, {12, 4}, {10, 2}, {14, 2}, {232, 4}, {231, 4}, {299, 4}, {298, 4}
	};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	size_t		set;

	(void) state;
	put_v9_header(&buffer, 0, 1);
	set = begin_set(&buffer, 0);
	put_template(&buffer, 300, COUNT(fields), fields);
	end_set(&buffer, set);
	set = begin_set(&buffer, 300);
	put_u32(&buffer, 0x0a000001);
	put_u32(&buffer, 0x0a000002);
	put_u16(&buffer, 3);
	put_u16(&buffer, 4);
	put_u32(&buffer, 2320);
	put_u32(&buffer, 2310);
	put_u32(&buffer, 299);
	put_u32(&buffer, 298);
	end_set(&buffer, set);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 2);
	assert_int_equal(bench->caught.flows[0].bytes, 2310);
	assert_int_equal(bench->caught.flows[0].packets, 298);
	assert_int_equal(bench->caught.flows[0].in_if, 3);
	assert_int_equal(bench->caught.flows[1].bytes, 2320);
	assert_int_equal(bench->caught.flows[1].packets, 299);
	assert_int_equal(bench->caught.flows[1].in_if, 4);
	assert_true(bench->caught.flows[1].reverse);
	bench_free(bench);
}

/* Huawei NetStream: 1 and 232 are not two directions. */
static void
test_responder_alone(void **state)
{
	static const Field beside_octets[] = {{1, 4, 0}, {232, 2, 0}, {231, 4, 0}};
	static const Field alone[] = {{232, 4, 0}, {10, 4, 0}, {299, 4, 0}};
	static const Field twice_reversed[] = {{231, 4, 0}, {232, 4, REVERSE}, {10, 2, 0}};
	Bench	   *bench = bench_make(8, 8);
	Buffer		record = {0};

	(void) state;
	put_u32(&record, 100);
	put_u16(&record, 200);
	put_u32(&record, 300);
	decode_record(bench, COUNT(beside_octets), beside_octets, &record);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(bench->caught.flows[0].bytes, 100);
	decode_record(bench, COUNT(twice_reversed), twice_reversed, &record);
	assert_int_equal(bench->caught.count, 1);
	put_u16(&record, 1);
	decode_record(bench, COUNT(alone), alone, &record);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(bench->caught.flows[0].present, FLOW_BIT(FLOW_IN_IF));
	bench_free(bench);
}

/* With variable-length fields, and with an uptime and the time of the start. */
static void
test_reverse_slowly(void **state)
{
	static const Field fields[] = {
		{160, 8, 0}, {22, 4, 0}, {21, 4, 0}, {22, 4, REVERSE}, {21, 4, REVERSE},
		{1, 65535, REVERSE}, {1, 65535, 0}
	};
	Bench	   *bench = bench_make(8, 8);
	Buffer		record = {0};

	(void) state;
	put_u64(&record, 999900000);	/* 100 s before the export */
	put_u32(&record, 1000);
	put_u32(&record, 2000);
	put_u32(&record, 3000);
	put_u32(&record, 4000);
	put_u8(&record, 3);
	put_number(&record, 777, 3);
	put_u8(&record, 255);
	put_u16(&record, 2);
	put_u16(&record, 333);
	decode_record(bench, COUNT(fields), fields, &record);
	assert_int_equal(bench->caught.count, 2);
	assert_int_equal(bench->caught.flows[0].bytes, 333);
	assert_int_equal(bench->caught.flows[0].first, INT64_C(999901000000));
	assert_int_equal(bench->caught.flows[0].last, INT64_C(999902000000));
	assert_int_equal(bench->caught.flows[1].bytes, 777);
	assert_int_equal(bench->caught.flows[1].first, INT64_C(999903000000));
	assert_int_equal(bench->caught.flows[1].last, INT64_C(999904000000));
	bench_free(bench);
}

/* An IPv4 header of 20 octets that tells a length of 1400. */
static void
put_ipv4(Buffer *buffer)
{
	put_u16(buffer, 0x4500);
	put_u16(buffer, 1400);
	put_u32(buffer, 0);
	put_u32(buffer, 0x40110000);
	put_u32(buffer, 0xc0000201);
	put_u32(buffer, 0xc0000202);
}

static void
put_ethernet(Buffer *buffer, uint16_t type)
{
	put_fill(buffer, 0x02, 12);
	put_u16(buffer, type);
}

static void
test_ip_section(void **state)
{
	static const Field fields[] = {{10, 4, 0}, {313, 24, 0}};
	static const Field variable[] = {{10, 4, 0}, {313, 65535, 0}};
	Bench	   *bench = bench_make(8, 8);
	Buffer		record = {0};
	const Flow *flow = &bench->caught.flows[0];

	(void) state;
	put_u32(&record, 10);
	put_ipv4(&record);
	put_zeros(&record, 4);
	decode_record(bench, COUNT(fields), fields, &record);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(flow->present, FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) |
					 FLOW_BIT(FLOW_IN_IF) | FLOW_BIT(FLOW_SRC_ADDR) | FLOW_BIT(FLOW_DST_ADDR));
	assert_int_equal(flow->bytes, 1400);
	assert_int_equal(flow->packets, 1);
	assert_int_equal(flow->family, 4);
	assert_int_equal(flow->src_addr.octets[15], 1);
	assert_int_equal(flow->dst_addr.octets[15], 2);

	/* every length that it can be cut to */
	for (uint8_t length = 0; length <= 20; length++)
	{
		record.length = 4;
		put_u8(&record, length);
		put_ipv4(&record);
		record.length = 5 + length;
		decode_record(bench, COUNT(variable), variable, &record);
		assert_int_equal(bench->caught.count, 1);
		assert_int_equal(FLOW_HAS(flow, FLOW_DST_ADDR), length == 20);
	}
	bench_free(bench);
}

/* Only what the record lacks. */
static void
test_section_beside_fields(void **state)
{
	static const Field fields[] = {{1, 4, 0}, {8, 4, 0}, {2, 2, 0}, {315, 34, 0}};
	static const Field other_family[] = {{2, 4, 0}, {27, 16, 0}, {315, 34, 0}};
	Bench	   *bench = bench_make(8, 8);
	Buffer		record = {0};
	const Flow *flow = &bench->caught.flows[0];

	(void) state;
	put_u32(&record, 77);
	put_u32(&record, 0x0a000009);
	put_u16(&record, 5);
	put_ethernet(&record, 0x0800);
	put_ipv4(&record);
	decode_record(bench, COUNT(fields), fields, &record);
	assert_int_equal(flow->bytes, 77);
	assert_int_equal(flow->packets, 5);
	assert_int_equal(flow->src_addr.octets[15], 9);
	assert_int_equal(flow->dst_addr.octets[15], 2);

	record.length = 0;
	put_u32(&record, 7);
	put_fill(&record, 0x20, 16);
	put_ethernet(&record, 0x0800);
	put_ipv4(&record);
	decode_record(bench, COUNT(other_family), other_family, &record);
	assert_int_equal(flow->bytes, 1400);
	assert_int_equal(flow->packets, 7);
	assert_int_equal(flow->family, 6);
	assert_false(FLOW_HAS(flow, FLOW_DST_ADDR));
	bench_free(bench);
}

static void
test_frame_sections(void **state)
{
	static const uint16_t elements[] = {315, 104};
	Bench	   *bench = bench_make(8, 8);
	const Flow *flow = &bench->caught.flows[0];

	(void) state;
	for (size_t i = 0; i < COUNT(elements); i++)
	{
		const Field fields[] = {{312, 2, 0}, {elements[i], 40, 0}};
		const Field cut[] = {{103, 2, 0}, {elements[i], 40, 0}};
		const Field moved[] = {{i == 0 ? 409 : 102, 2, 0}, {elements[i], 40, 0}};
		Buffer		record = {0};

		put_u16(&record, 1422);
		put_ethernet(&record, 0x0800);
		put_ipv4(&record);
		put_zeros(&record, 6);
		decode_record(bench, COUNT(fields), fields, &record);
		assert_int_equal(flow->bytes, 1400);	/* of the IP packet */
		assert_int_equal(flow->family, 4);

		/* the start of another part of the packet, or not all of the field */
		decode_record(bench, COUNT(moved), moved, &record);
		assert_int_equal(flow->present, 0);
		patch_u16(&record, 0, 0);
		decode_record(bench, COUNT(moved), moved, &record);
		assert_int_equal(flow->bytes, 1400);
		patch_u16(&record, 0, 13);
		decode_record(bench, COUNT(cut), cut, &record);
		assert_int_equal(flow->present, 0);
		patch_u16(&record, 0, 34);
		decode_record(bench, COUNT(cut), cut, &record);
		assert_int_equal(flow->bytes, 1400);

		/* ARP: the frame's size is the only one */
		record.length = 0;
		put_u16(&record, 64);
		put_ethernet(&record, 0x0806);
		put_zeros(&record, 26);
		decode_record(bench, COUNT(fields), fields, &record);
		assert_int_equal(flow->present, FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS));
		assert_int_equal(flow->bytes, 64);
		assert_int_equal(flow->packets, 1);
		assert_int_equal(flow->family, 0);
	}
	bench_free(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_directions),
		cmocka_unit_test(test_absent_changes_sides),
		cmocka_unit_test(test_nothing_came_back),
		cmocka_unit_test(test_reverse_priority),
		cmocka_unit_test(test_initiator_and_responder),
		cmocka_unit_test(test_responder_alone),
		cmocka_unit_test(test_reverse_slowly),
		cmocka_unit_test(test_ip_section),
		cmocka_unit_test(test_section_beside_fields),
		cmocka_unit_test(test_frame_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
