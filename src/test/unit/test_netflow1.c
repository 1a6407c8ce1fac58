/*
 * test_netflow1.c
 *	  NetFlow versions 1 and 7, version 5's relatives.
 */
#include "build_packet.h"

static const uint8_t source_address[16] = {[10] = 0xff, [11] = 0xff, 198, 51, 100, 1};
static const uint8_t destination_address[16] = {[10] = 0xff, [11] = 0xff, 203, 0, 113, 2};

/* uptime 600 s at 1,000,000.25 s */
static void
put_v1_header(Buffer *buffer, uint16_t count)
{
	put_u16(buffer, 1);
	put_u16(buffer, count);
	put_u32(buffer, 600000);
	put_u32(buffer, 1000000);
	put_u32(buffer, 250000000);
}

static void
put_v7_header(Buffer *buffer, uint16_t count, uint32_t sequence)
{
	put_u16(buffer, 7);
	put_u16(buffer, count);
	put_u32(buffer, 600000);
	put_u32(buffer, 1000000);
	put_u32(buffer, 250000000);
	put_u32(buffer, sequence);
	put_u32(buffer, 0xffffffff);	/* reserved: neither engine nor sampling */
}

/* Both have 52 octets, alike up to the ports. */
static void
put_record_start(Buffer *buffer, uint16_t number, uint32_t octets)
{
	put_bytes(buffer, source_address + 12, 4);
	put_bytes(buffer, destination_address + 12, 4);
	put_u32(buffer, 0xffffffff);	/* next hop */
	put_u16(buffer, number);
	put_u16(buffer, 65535);
	put_u32(buffer, 17);
	put_u32(buffer, octets);
	put_u32(buffer, 540000);
	put_u32(buffer, 599999);
	put_u32(buffer, 0xffffffff);	/* ports */
}

static void
put_v1_record(Buffer *buffer, uint16_t number, uint32_t octets)
{
	put_record_start(buffer, number, octets);
	put_fill(buffer, 0xff, 16); /* protocol, TOS, flags, reserved */
}

static void
put_v7_record(Buffer *buffer, uint16_t number, uint32_t octets)
{
	put_record_start(buffer, number, octets);
	put_u32(buffer, 0xffffffff);	/* flags, TCP flags, protocol, TOS */
	put_u16(buffer, 64500);
	put_u16(buffer, 64501);
	put_fill(buffer, 0xff, 8);	/* masks, flags, router */
}

#define PRESENT_V1 \
	(FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) | FLOW_BIT(FLOW_IN_IF) | \
	 FLOW_BIT(FLOW_OUT_IF) | FLOW_BIT(FLOW_SRC_ADDR) | FLOW_BIT(FLOW_DST_ADDR) | \
	 FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST))

static void
assert_record(const Flow *flow, uint8_t protocol, uint16_t number, uint32_t octets)
{
	assert_int_equal(flow->protocol, protocol);
	assert_int_equal(flow->domain, 0);
	assert_int_equal(flow->family, 4);
	assert_int_equal(flow->received, BENCH_RECEIVED);
	assert_int_equal(flow->exported, INT64_C(1000000250000));
	assert_int_equal(flow->in_if, number);
	assert_int_equal(flow->out_if, 65535);
	assert_int_equal(flow->bytes, octets);
	assert_int_equal(flow->packets, 17);
	assert_memory_equal(flow->src_addr.octets, source_address, 16);
	assert_memory_equal(flow->dst_addr.octets, destination_address, 16);
	assert_int_equal(flow->first, INT64_C(999940250000));
	assert_int_equal(flow->last, INT64_C(1000000249000));
	assert_int_equal(flow->sampling_origin, FLOW_SAMPLING_UNKNOWN);
}

static void
test_v1_fields(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	Exporter   *exporter;

	(void) state;
	put_v1_header(&buffer, 2);
	put_v1_record(&buffer, 1, 4000000000);
	put_v1_record(&buffer, 2, 41);
	bench_decode(bench, &buffer);

	assert_int_equal(bench->consumed, 16 + 2 * 52);
	assert_int_equal(bench->caught.count, 2);
	assert_record(&bench->caught.flows[0], FLOW_NETFLOW_V1, 1, 4000000000);
	assert_record(&bench->caught.flows[1], FLOW_NETFLOW_V1, 2, 41);
	assert_int_equal(bench->caught.flows[0].present, PRESENT_V1);

	exporter = bench_exporter(bench, 1, 0);
	assert_int_equal(exporter->records, 2);
	assert_int_equal(exporter->skew, INT64_C(1000000250000) - BENCH_RECEIVED);
	assert_false(exporter->has_sequence);
	assert_int_equal(exporter->lost, 0);
	assert_int_equal(exporter_errors(exporter), 0);
	bench_free(bench);
}

static void
test_v7_fields(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	Exporter   *exporter;

	(void) state;
	put_v7_header(&buffer, 2, 77);
	put_v7_record(&buffer, 1, 4000000000);
	put_v7_record(&buffer, 2, 41);
	bench_decode(bench, &buffer);

	assert_int_equal(bench->consumed, 24 + 2 * 52);
	assert_int_equal(bench->caught.count, 2);
	assert_record(&bench->caught.flows[0], FLOW_NETFLOW_V7, 1, 4000000000);
	assert_record(&bench->caught.flows[1], FLOW_NETFLOW_V7, 2, 41);
	assert_int_equal(bench->caught.flows[0].present,
					 PRESENT_V1 | FLOW_BIT(FLOW_SRC_AS) | FLOW_BIT(FLOW_DST_AS));
	assert_int_equal(bench->caught.flows[0].src_as, 64500);
	assert_int_equal(bench->caught.flows[0].dst_as, 64501);

	exporter = bench_exporter(bench, 7, 0);
	assert_int_equal(exporter->next_sequence, 79);
	assert_int_equal(exporter->skew, INT64_C(1000000250000) - BENCH_RECEIVED);
	assert_int_equal(exporter_errors(exporter), 0);
	bench_free(bench);
}

/* A Catalyst with a destination-only flow mask; only that record lacks it. */
static void
test_v7_no_source(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};

	(void) state;
	put_v7_header(&buffer, 3, 0);
	for (uint16_t i = 0; i < 3; i++)
		put_v7_record(&buffer, i, 100);
	memset(buffer.data + 24 + 52, 0, 4);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 3);
	assert_true(FLOW_HAS(&bench->caught.flows[0], FLOW_SRC_ADDR));
	assert_false(FLOW_HAS(&bench->caught.flows[1], FLOW_SRC_ADDR));
	assert_true(FLOW_HAS(&bench->caught.flows[1], FLOW_DST_ADDR));
	assert_true(FLOW_HAS(&bench->caught.flows[2], FLOW_SRC_ADDR));
	bench_free(bench);
}

static void
test_v7_lost(void **state)
{
	Bench	   *bench = bench_make(8, 8);

	(void) state;
	for (uint32_t sequence = 0; sequence < 50; sequence += 10)
	{
		Buffer		buffer = {0};

		put_v7_header(&buffer, 1, sequence);
		put_v7_record(&buffer, 1, 100);
		bench_decode(bench, &buffer);
	}
	assert_int_equal(bench_exporter(bench, 7, 0)->lost, 36);
	bench_free(bench);
}

/* Not the whole number of records: none of them is believed. */
static void
assert_truncations(const Buffer *buffer, uint8_t protocol, size_t header)
{
	Bench	   *bench = bench_make(8, 8);
	Exporter   *exporter;

	for (size_t length = 0; length < buffer->length; length++)
	{
		bench_decode_bytes(bench, buffer->data, length, false);
		assert_int_equal(bench->caught.count, 0);
		assert_int_equal(bench->consumed, 0);
	}
	assert_int_equal(bench_exporter(bench, 0, 0)->errors[DECODE_SHORT], 2);
	exporter = bench_exporter(bench, protocol, 0);
	assert_int_equal(exporter->errors[DECODE_SHORT], header - 2);
	assert_int_equal(exporter->errors[DECODE_BAD_LENGTH], buffer->length - header);
	assert_int_equal(exporter_errors(exporter), buffer->length - 2);
	assert_false(exporter->has_sequence);
	bench_free(bench);
}

static void
test_every_truncation(void **state)
{
	Buffer		buffer = {0};

	(void) state;
	put_v1_header(&buffer, 3);
	for (uint16_t i = 0; i < 3; i++)
		put_v1_record(&buffer, i, 100);
	assert_truncations(&buffer, 1, 16);

	buffer.length = 0;
	put_v7_header(&buffer, 3, 0);
	for (uint16_t i = 0; i < 3; i++)
		put_v7_record(&buffer, i, 100);
	assert_truncations(&buffer, 7, 24);
}

static void
test_count_lies(void **state)
{
	static const uint16_t counts[] = {25, 256, 65535};
	Bench	   *bench = bench_make(8, 8);

	(void) state;
	for (size_t i = 0; i < COUNT(counts); i++)
	{
		Buffer		buffer = {0};

		put_v1_header(&buffer, counts[i]);
		for (uint16_t j = 0; j < 24; j++)
			put_v1_record(&buffer, j, 100);
		bench_decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 0);
		assert_int_equal(bench_exporter(bench, 1, 0)->errors[DECODE_BAD_LENGTH], i + 1);
	}
	bench_free(bench);
}

static void
test_trailing(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};

	(void) state;
	put_v7_header(&buffer, 1, 0);
	put_v7_record(&buffer, 1, 100);
	put_u8(&buffer, 1);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(bench->consumed, 76);
	assert_int_equal(bench_exporter(bench, 7, 0)->errors[DECODE_TRAILING], 1);

	bench_decode_bytes(bench, buffer.data, buffer.length, true);
	assert_int_equal(bench->consumed, 76);
	assert_int_equal(bench_exporter(bench, 7, 0)->errors[DECODE_TRAILING], 1);
	bench_free(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1_fields),
		cmocka_unit_test(test_v7_fields),
		cmocka_unit_test(test_v7_no_source),
		cmocka_unit_test(test_v7_lost),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_count_lies),
		cmocka_unit_test(test_trailing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
