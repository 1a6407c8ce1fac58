/*
 * test_netflow8.c
 *	  NetFlow version 8 and its schemes of aggregation.
 */
#include "build_packet.h"

#define DOMAIN(scheme)	((uint32_t) (scheme) << 16 | 0x0307)

/* uptime 600 s at 1,000,000.25 s; engine 3/7 */
static void
put_header(Buffer *buffer, uint8_t scheme, uint16_t count, uint32_t sequence)
{
	put_u16(buffer, 8);
	put_u16(buffer, count);
	put_u32(buffer, 600000);
	put_u32(buffer, 1000000);
	put_u32(buffer, 250000000);
	put_u32(buffer, sequence);
	put_u8(buffer, 3);
	put_u8(buffer, 7);
	put_u8(buffer, scheme);
	put_u8(buffer, 2);
	put_u32(buffer, 0xffffffff);	/* reserved */
}

/* What the tables of the fields are written with. */
typedef enum Part
{
	END,
	FLOWS,
	COUNTERS,					/* packets, octets, first, last */
	IN_IF,
	OUT_IF,
	SRC_AS,
	DST_AS,
	SRC,
	DST,
	PAD1,						/* octets of something else */
	PAD2,
	PAD4
} Part;

/* Field by field. */
static const Part schemes[][16] = {
	[1] = {FLOWS, COUNTERS, SRC_AS, DST_AS, IN_IF, OUT_IF},
	[2] = {FLOWS, COUNTERS, PAD4, PAD2, PAD2},
	[3] = {FLOWS, COUNTERS, SRC, PAD1, PAD1, SRC_AS, IN_IF, PAD2},
	[4] = {FLOWS, COUNTERS, DST, PAD1, PAD1, DST_AS, OUT_IF, PAD2},
	[5] = {FLOWS, COUNTERS, SRC, DST, PAD1, PAD1, PAD2, SRC_AS, DST_AS, IN_IF, OUT_IF},
	[6] = {DST, COUNTERS, OUT_IF, PAD1, PAD1, PAD4, PAD4},
	[7] = {DST, SRC, COUNTERS, OUT_IF, IN_IF, PAD1, PAD1, PAD2, PAD4, PAD4},
	[8] = {DST, SRC, PAD2, PAD2, COUNTERS, OUT_IF, IN_IF, PAD4, PAD4, PAD4},
	[9] = {FLOWS, COUNTERS, SRC_AS, DST_AS, IN_IF, OUT_IF, PAD1, PAD1, PAD2},
	[10] = {FLOWS, COUNTERS, PAD1, PAD1, PAD2, PAD2, PAD2, IN_IF, OUT_IF},
	[11] = {FLOWS, COUNTERS, SRC, PAD1, PAD1, SRC_AS, IN_IF, PAD2},
	[12] = {FLOWS, COUNTERS, DST, PAD1, PAD1, DST_AS, OUT_IF, PAD2},
	[13] = {FLOWS, COUNTERS, SRC, DST, PAD1, PAD1, PAD1, PAD1, SRC_AS, DST_AS, IN_IF, OUT_IF},
	[14] = {FLOWS, COUNTERS, SRC, DST, PAD1, PAD1, PAD1, PAD1, PAD2, PAD2, IN_IF, OUT_IF},
};

static void
put_counters(Buffer *buffer, uint32_t octets)
{
	put_u32(buffer, 17);
	put_u32(buffer, octets);
	put_u32(buffer, 540000);
	put_u32(buffer, 599999);
}

static void
put_part(Buffer *buffer, Part part, uint16_t number)
{
	switch (part)
	{
		case COUNTERS:
			put_counters(buffer, 4000000000 + number);
			break;
		case IN_IF:
			put_u16(buffer, 100 + number);
			break;
		case OUT_IF:
			put_u16(buffer, 65500 + number);
			break;
		case SRC_AS:
			put_u16(buffer, 64500 + number);
			break;
		case DST_AS:
			put_u16(buffer, 64600 + number);
			break;
		case SRC:
			put_u32(buffer, 0xc6336400);
			break;
		case DST:
			put_u32(buffer, 0xcb007100);
			break;
		case PAD1:
			put_fill(buffer, 0xee, 1);
			break;
		case PAD2:
			put_fill(buffer, 0xee, 2);
			break;
		case FLOWS:
		case PAD4:
			put_fill(buffer, 0xee, 4);
			break;
		case END:
			break;
	}
}

static void
put_record(Buffer *buffer, uint8_t scheme, uint16_t number)
{
	for (const Part *part = schemes[scheme]; *part != END; part++)
		put_part(buffer, *part, number);
}

static bool
has_part(uint8_t scheme, Part wanted)
{
	for (const Part *part = schemes[scheme]; *part != END; part++)
		if (*part == wanted)
			return true;
	return false;
}

/* The field is there where the scheme has it, and nowhere else. */
static void
assert_part(const Flow *flow, uint8_t scheme, Part part, FlowField field, uint32_t value,
			uint32_t expected)
{
	assert_int_equal(FLOW_HAS(flow, field), has_part(scheme, part));
	if (has_part(scheme, part))
		assert_int_equal(value, expected);
}

static void
assert_address(const Flow *flow, uint8_t scheme, Part part, FlowField field,
			   const FlowAddress *address, const uint8_t *expected)
{
	assert_int_equal(FLOW_HAS(flow, field), has_part(scheme, part));
	if (has_part(scheme, part))
		assert_memory_equal(address->octets, expected, 16);
}

static void
assert_record(const Flow *flow, uint8_t scheme, uint16_t number)
{
	static const uint8_t source[16] = {[10] = 0xff, [11] = 0xff, 198, 51, 100, 0};
	static const uint8_t destination[16] = {[10] = 0xff, [11] = 0xff, 203, 0, 113, 0};

	assert_int_equal(flow->protocol, FLOW_NETFLOW_V8);
	assert_int_equal(flow->domain, DOMAIN(scheme));
	assert_int_equal(flow->family, 4);
	assert_int_equal(flow->received, BENCH_RECEIVED);
	assert_int_equal(flow->exported, INT64_C(1000000250000));
	assert_true(FLOW_HAS(flow, FLOW_BYTES) && FLOW_HAS(flow, FLOW_PACKETS));
	assert_int_equal(flow->bytes, 4000000000 + number);
	assert_int_equal(flow->packets, 17);
	assert_true(FLOW_HAS(flow, FLOW_FIRST) && FLOW_HAS(flow, FLOW_LAST));
	assert_int_equal(flow->first, INT64_C(999940250000));
	assert_int_equal(flow->last, INT64_C(1000000249000));
	assert_false(FLOW_HAS(flow, FLOW_SAMPLING));
	assert_part(flow, scheme, IN_IF, FLOW_IN_IF, flow->in_if, 100 + number);
	assert_part(flow, scheme, OUT_IF, FLOW_OUT_IF, flow->out_if, 65500 + number);
	assert_part(flow, scheme, SRC_AS, FLOW_SRC_AS, flow->src_as, 64500 + number);
	assert_part(flow, scheme, DST_AS, FLOW_DST_AS, flow->dst_as, 64600 + number);
	assert_address(flow, scheme, SRC, FLOW_SRC_ADDR, &flow->src_addr, source);
	assert_address(flow, scheme, DST, FLOW_DST_ADDR, &flow->dst_addr, destination);
}

static void
test_every_scheme(void **state)
{
	Bench	   *bench = bench_make(32, 8);

	(void) state;
	for (uint8_t scheme = 1; scheme < COUNT(schemes); scheme++)
	{
		Buffer		buffer = {0};
		Exporter   *exporter;

		put_header(&buffer, scheme, 3, 77);
		for (uint16_t i = 0; i < 3; i++)
			put_record(&buffer, scheme, i);
		bench_decode(bench, &buffer);
		assert_int_equal(bench->consumed, buffer.length);
		assert_int_equal(bench->caught.count, 3);
		for (uint16_t i = 0; i < 3; i++)
			assert_record(&bench->caught.flows[i], scheme, i);

		exporter = bench_exporter(bench, 8, DOMAIN(scheme));
		assert_int_equal(exporter->records, 3);
		assert_int_equal(exporter->next_sequence, 80);
		assert_int_equal(exporter->skew, INT64_C(1000000250000) - BENCH_RECEIVED);
		assert_int_equal(exporter_errors(exporter), 0);
	}
	bench_free(bench);
}

/* Each cache of the router has a sequence of its own. */
static void
test_two_schemes(void **state)
{
	Bench	   *bench = bench_make(8, 8);

	(void) state;
	for (uint32_t i = 0; i < 10; i++)
	{
		Buffer		buffer = {0};

		put_header(&buffer, 1, 1, 1000 + i);
		put_record(&buffer, 1, 0);
		bench_decode(bench, &buffer);
		buffer.length = 0;
		put_header(&buffer, 5, 1, 50 + 3 * i);
		put_record(&buffer, 5, 0);
		bench_decode(bench, &buffer);
	}
	assert_int_equal(bench_exporter(bench, 8, DOMAIN(1))->lost, 0);
	assert_int_equal(bench_exporter(bench, 8, DOMAIN(5))->lost, 18);
	bench_free(bench);
}

/* 0.0.0.0 is no address; one record's lack is not the next one's. */
static void
test_no_address(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};

	(void) state;
	put_header(&buffer, 7, 2, 0);
	put_record(&buffer, 7, 0);
	put_record(&buffer, 7, 1);
	memset(buffer.data + 28 + 4, 0, 4);
	bench_decode(bench, &buffer);
	assert_false(FLOW_HAS(&bench->caught.flows[0], FLOW_SRC_ADDR));
	assert_true(FLOW_HAS(&bench->caught.flows[0], FLOW_DST_ADDR));
	assert_record(&bench->caught.flows[1], 7, 1);
	bench_free(bench);
}

static void
test_unsupported(void **state)
{
	static const uint8_t numbers[] = {0, 15, 16, 255};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};

	(void) state;
	for (size_t i = 0; i < COUNT(numbers); i++)
	{
		buffer.length = 0;
		put_header(&buffer, numbers[i], 1, 0);
		put_zeros(&buffer, 44);
		bench_decode(bench, &buffer);
		assert_int_equal(bench->consumed, 0);
		assert_int_equal(bench->caught.count, 0);
		assert_int_equal(bench_exporter(bench, 8, DOMAIN(numbers[i]))->errors[DECODE_UNSUPPORTED],
						 1);
	}

	/* another version of the schemes */
	buffer.length = 0;
	put_header(&buffer, 1, 1, 0);
	buffer.data[23] = 3;
	put_record(&buffer, 1, 0);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 0);
	assert_int_equal(bench_exporter(bench, 8, DOMAIN(1))->errors[DECODE_UNSUPPORTED], 1);
	bench_free(bench);
}

static void
test_every_truncation(void **state)
{
	(void) state;
	for (uint8_t scheme = 1; scheme < COUNT(schemes); scheme++)
	{
		Bench	   *bench = bench_make(8, 8);
		Buffer		buffer = {0};
		Exporter   *exporter;

		put_header(&buffer, scheme, 2, 0);
		put_record(&buffer, scheme, 0);
		put_record(&buffer, scheme, 1);
		for (size_t length = 0; length < buffer.length; length++)
		{
			bench_decode_bytes(bench, buffer.data, length, false);
			assert_int_equal(bench->caught.count, 0);
			assert_int_equal(bench->consumed, 0);
		}
		assert_int_equal(bench_exporter(bench, 0, 0)->errors[DECODE_SHORT], 2);
		assert_int_equal(bench_exporter(bench, 8, 0)->errors[DECODE_SHORT], 26);
		exporter = bench_exporter(bench, 8, DOMAIN(scheme));
		assert_int_equal(exporter->errors[DECODE_BAD_LENGTH], buffer.length - 28);
		assert_int_equal(exporter_errors(exporter), buffer.length - 28);
		assert_false(exporter->has_sequence);
		bench_free(bench);
	}
}

static void
test_count_lies(void **state)
{
	static const uint16_t counts[] = {52, 256, 65535};
	Bench	   *bench = bench_make(8, 8);

	(void) state;
	for (size_t i = 0; i < COUNT(counts); i++)
	{
		Buffer		buffer = {0};

		put_header(&buffer, 1, counts[i], 0);
		for (uint16_t j = 0; j < 51; j++)
			put_record(&buffer, 1, j);
		bench_decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 0);
		assert_int_equal(bench_exporter(bench, 8, DOMAIN(1))->errors[DECODE_BAD_LENGTH], i + 1);
	}
	bench_free(bench);
}

static void
test_trailing(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};

	(void) state;
	put_header(&buffer, 1, 1, 0);
	put_record(&buffer, 1, 0);
	put_u8(&buffer, 1);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(bench->consumed, 56);
	assert_int_equal(bench_exporter(bench, 8, DOMAIN(1))->errors[DECODE_TRAILING], 1);

	bench_decode_bytes(bench, buffer.data, buffer.length, true);
	assert_int_equal(bench->consumed, 56);
	assert_int_equal(bench_exporter(bench, 8, DOMAIN(1))->errors[DECODE_TRAILING], 1);
	bench_free(bench);
}

/* Whatever the header says, no record is more than the datagram holds. */
static void
test_mutations(void **state)
{
	Bench	   *bench = bench_make(64, 8);
	uint64_t	random = 20260118;

	(void) state;
	for (int round = 0; round < 20000; round++)
	{
		uint8_t		scheme = (uint8_t) (1 + random_next(&random) % 14);
		Buffer		buffer;

		buffer.length = 0;
		put_header(&buffer, scheme, (uint16_t) (random_next(&random) % 4), 0);
		for (uint16_t i = 0; i < 3; i++)
			put_record(&buffer, scheme, i);
		for (int i = 0; i < 3; i++)
			buffer.data[2 + random_next(&random) % 26] = (uint8_t) random_next(&random);
		bench_decode(bench, &buffer);
		assert_true(bench->consumed <= buffer.length);
		assert_true(bench->caught.count <= (buffer.length - 28) / 28);
	}
	bench_free(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_scheme),
		cmocka_unit_test(test_two_schemes),
		cmocka_unit_test(test_no_address),
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_count_lies),
		cmocka_unit_test(test_trailing),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
