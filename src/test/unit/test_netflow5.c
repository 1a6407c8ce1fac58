/*
 * test_netflow5.c
 *	  NetFlow version 5.
 */
#include "build_packet.h"

/* uptime 600 s at 1,000,000.25 s; engine 3/7 */
static void
put_header(Buffer *buffer, uint16_t count, uint32_t sequence, uint16_t sampling)
{
	put_u16(buffer, 5);
	put_u16(buffer, count);
	put_u32(buffer, 600000);
	put_u32(buffer, 1000000);
	put_u32(buffer, 250000000);
	put_u32(buffer, sequence);
	put_u8(buffer, 3);
	put_u8(buffer, 7);
	put_u16(buffer, sampling);
}

static void
put_record(Buffer *buffer, uint16_t number, uint32_t octets, uint32_t first, uint32_t last)
{
	put_u32(buffer, 0xc6336401);
	put_u32(buffer, 0xcb007102);
	put_u32(buffer, 0xffffffff);
	put_u16(buffer, number);
	put_u16(buffer, 65535);
	put_u32(buffer, 17);
	put_u32(buffer, octets);
	put_u32(buffer, first);
	put_u32(buffer, last);
	put_u32(buffer, 0xffffffff);	/* ports */
	put_u32(buffer, 0xffffffff);	/* pad, flags, protocol, TOS */
	put_u16(buffer, 64500);
	put_u16(buffer, 64501);
	put_u32(buffer, 0xffffffff);	/* masks, pad */
}

static void
test_fields(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	const Flow *flow = &bench->caught.flows[0];
	const uint8_t source[16] = {[10] = 0xff, [11] = 0xff, 0xc6, 0x33, 0x64, 0x01};
	const uint8_t destination[16] = {[10] = 0xff, [11] = 0xff, 0xcb, 0x00, 0x71, 0x02};
	Exporter   *exporter;

	(void) state;
	put_header(&buffer, 2, 77, 0);
	put_record(&buffer, 1, 4000000000, 540000, 599999);
	put_record(&buffer, 2, 41, 600000, 600001);
	bench_decode(bench, &buffer);

	assert_int_equal(bench->consumed, 24 + 2 * 48);
	assert_int_equal(bench->caught.count, 2);
	assert_int_equal(flow->protocol, FLOW_NETFLOW_V5);
	assert_int_equal(flow->domain, 3 << 8 | 7);
	assert_int_equal(flow->family, 4);
	assert_int_equal(flow->in_if, 1);
	assert_int_equal(flow->out_if, 65535);
	assert_int_equal(flow->bytes, 4000000000);
	assert_int_equal(flow->packets, 17);
	assert_int_equal(flow->src_as, 64500);
	assert_int_equal(flow->dst_as, 64501);
	assert_memory_equal(flow->src_addr.octets, source, 16);
	assert_memory_equal(flow->dst_addr.octets, destination, 16);
	assert_int_equal(flow->first, INT64_C(999940250000));
	assert_int_equal(flow->last, INT64_C(1000000249000));
	assert_int_equal(flow->exported, INT64_C(1000000250000));
	assert_int_equal(flow->sampling_origin, FLOW_SAMPLING_UNKNOWN);
	assert_int_equal(flow->present,
					 FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) | FLOW_BIT(FLOW_IN_IF) |
					 FLOW_BIT(FLOW_OUT_IF) | FLOW_BIT(FLOW_SRC_AS) | FLOW_BIT(FLOW_DST_AS) |
					 FLOW_BIT(FLOW_SRC_ADDR) | FLOW_BIT(FLOW_DST_ADDR) |
					 FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST));
	assert_int_equal(flow[1].bytes, 41);
	assert_int_equal(flow[1].in_if, 2);
	assert_int_equal(flow[1].last, INT64_C(1000000251000));

	exporter = bench_exporter(bench, 5, 3 << 8 | 7);
	assert_int_equal(exporter->datagrams, 1);
	assert_int_equal(exporter->records, 2);
	assert_int_equal(exporter->no_octets, 0);
	assert_int_equal(exporter->next_sequence, 79);
	assert_int_equal(exporter->port, 4711);
	assert_int_equal(exporter->first_seen, BENCH_RECEIVED);
	assert_int_equal(exporter->last_seen, BENCH_RECEIVED);
	assert_int_equal(exporter->skew, INT64_C(1000000250000) - BENCH_RECEIVED);
	assert_int_equal(exporter_errors(exporter), 0);
	assert_int_equal(bench->decoder->records, 2);
	assert_int_equal(bench->decoder->datagrams, 1);
	bench_free(bench);
}

static void
test_uptime_wraps(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};

	(void) state;
	put_header(&buffer, 1, 0, 0);
	put_record(&buffer, 1, 1, UINT32_MAX - 999, 5);
	bench_decode(bench, &buffer);
	/* 600 s + 1 s before the header's clock */
	assert_int_equal(bench->caught.flows[0].first, INT64_C(999399250000));
	assert_int_equal(bench->caught.flows[0].last, INT64_C(999400255000));
	bench_free(bench);
}

static void
test_sampling(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};

	(void) state;
	/* mode 1 in the upper bits */
	put_header(&buffer, 1, 0, 0x4000 | 1000);
	put_record(&buffer, 1, 1, 0, 0);
	bench_decode(bench, &buffer);
	assert_true(FLOW_HAS(&bench->caught.flows[0], FLOW_SAMPLING));
	assert_int_equal(bench->caught.flows[0].sampling, 1000);
	assert_int_equal(bench->caught.flows[0].sampling_origin, FLOW_SAMPLING_HEADER);
	assert_int_equal(bench_exporter(bench, 5, 0x307)->sampling, 1000);
	assert_int_equal(bench_exporter(bench, 5, 0x307)->sampling_origin, FLOW_SAMPLING_HEADER);

	/* a mode without a rate says nothing */
	buffer.length = 0;
	put_header(&buffer, 1, 1, 0xc000);
	put_record(&buffer, 1, 1, 0, 0);
	bench_decode(bench, &buffer);
	assert_false(FLOW_HAS(&bench->caught.flows[0], FLOW_SAMPLING));
	assert_int_equal(bench->caught.flows[0].sampling_origin, FLOW_SAMPLING_UNKNOWN);
	bench_free(bench);
}

/* Not the whole number of records: none of them is believed. */
static void
test_every_truncation(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	Exporter   *exporter;

	(void) state;
	put_header(&buffer, 3, 0, 0);
	for (uint16_t i = 0; i < 3; i++)
		put_record(&buffer, i, 100, 0, 0);
	for (size_t length = 0; length < buffer.length; length++)
	{
		bench_decode_bytes(bench, buffer.data, length, false);
		assert_int_equal(bench->caught.count, 0);
		assert_int_equal(bench->consumed, 0);
	}
	assert_int_equal(bench_exporter(bench, 0, 0)->errors[DECODE_SHORT], 2);
	assert_int_equal(bench_exporter(bench, 5, 0)->errors[DECODE_SHORT], 22);
	exporter = bench_exporter(bench, 5, 0x307);
	assert_int_equal(exporter->errors[DECODE_BAD_LENGTH], 3 * 48);
	assert_int_equal(exporter_errors(exporter), 3 * 48);
	assert_int_equal(exporter->lost, 0);
	assert_false(exporter->has_sequence);
	bench_free(bench);
}

static void
test_count_lies(void **state)
{
	static const uint16_t counts[] = {31, 163, 55582, 65535};
	Bench	   *bench = bench_make(8, 8);

	(void) state;
	for (size_t i = 0; i < COUNT(counts); i++)
	{
		Buffer		buffer = {0};

		put_header(&buffer, counts[i], 0, 0);
		for (uint16_t j = 0; j < 30; j++)
			put_record(&buffer, j, 100, 0, 0);
		assert_int_equal(buffer.length, 1464);
		bench_decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 0);
		assert_int_equal(bench_exporter(bench, 5, 0x307)->errors[DECODE_BAD_LENGTH], i + 1);
	}
	bench_free(bench);
}

static void
test_trailing(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	Exporter   *exporter;

	(void) state;
	put_header(&buffer, 1, 0, 0);
	put_record(&buffer, 1, 100, 0, 0);
	put_u8(&buffer, 1);
	bench_decode(bench, &buffer);
	exporter = bench_exporter(bench, 5, 0x307);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(bench->consumed, 72);
	assert_int_equal(exporter->errors[DECODE_TRAILING], 1);

	bench_decode_bytes(bench, buffer.data, buffer.length, true);
	assert_int_equal(bench->consumed, 72);
	assert_int_equal(exporter->errors[DECODE_TRAILING], 1);
	bench_free(bench);
}

static void
test_no_records(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};

	(void) state;
	put_header(&buffer, 0, 5, 0);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 0);
	assert_int_equal(bench->consumed, 24);
	assert_int_equal(exporter_errors(bench_exporter(bench, 5, 0x307)), 0);
	bench_free(bench);
}

static void
test_lost(void **state)
{
	Bench	   *bench = bench_make(8, 8);

	(void) state;
	for (uint32_t sequence = 0; sequence < 50; sequence += 10)
	{
		Buffer		buffer = {0};

		put_header(&buffer, 1, sequence, 0);
		put_record(&buffer, 1, 100, 0, 0);
		bench_decode(bench, &buffer);
	}
	assert_int_equal(bench_exporter(bench, 5, 0x307)->lost, 36);
	bench_free(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_uptime_wraps),
		cmocka_unit_test(test_sampling),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_count_lies),
		cmocka_unit_test(test_trailing),
		cmocka_unit_test(test_no_records),
		cmocka_unit_test(test_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
