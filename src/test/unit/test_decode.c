/*
 * test_decode.c
 *	  The door: versions, several messages in a row, and whatever a stranger may
 *	  send.
 */
#include "build_packet.h"

#include <time.h>

/* So long at most for each of the random tests. */
#define RANDOM_SECONDS	20

static void
put_netflow5(Buffer *buffer, uint16_t count)
{
	put_u16(buffer, 5);
	put_u16(buffer, count);
	put_u32(buffer, 1000);
	put_u32(buffer, 1000000);
	put_u32(buffer, 0);
	put_u32(buffer, 0);
	put_u32(buffer, 100);
	for (uint16_t i = 0; i < count; i++)
	{
		put_fill(buffer, 1, 20);
		put_u32(buffer, 1000);
		put_zeros(buffer, 24);
	}
}

/* One of every kind of set, with variable-length and enterprise fields. */
static void
put_ipfix(Buffer *buffer)
{
	size_t		start = buffer->length;
	size_t		set;

	put_ipfix_header(buffer, 0, 1);
	set = begin_set(buffer, 2);
	put_template(buffer, 300, 10, (const uint16_t[][2]) {{8, 4}, {12, 4}, {1, 8}, {2, 4},
				 {10, 4}, {14, 2}, {16, 4}, {17, 3}, {152, 8}, {153, 8}});
	put_u16(buffer, 301);
	put_u16(buffer, 6);
	put_fields(buffer, 3, (const uint16_t[][2]) {{27, 16}, {28, 16}, {82, 65535}});
	put_u16(buffer, 0x8001);
	put_u16(buffer, 65535);
	put_u32(buffer, 29305);
	put_fields(buffer, 2, (const uint16_t[][2]) {{85, 4}, {160, 8}});
	end_set(buffer, set);
	set = begin_set(buffer, 3);
	put_u16(buffer, 302);
	put_u16(buffer, 2);
	put_u16(buffer, 1);
	put_fields(buffer, 2, (const uint16_t[][2]) {{10, 4}, {82, 65535}});
	put_u16(buffer, 0);
	end_set(buffer, set);
	set = begin_set(buffer, 300);
	put_fill(buffer, 2, 49 * 3);
	put_zeros(buffer, 1);
	end_set(buffer, set);
	set = begin_set(buffer, 301);
	for (int i = 0; i < 3; i++)
	{
		put_fill(buffer, 0x20, 32);
		put_u8(buffer, 4);
		put_fill(buffer, 'a', 4);
		put_u8(buffer, 255);
		put_u16(buffer, 5);
		put_fill(buffer, 'b', 5);
		put_u32(buffer, 1000);
		put_u64(buffer, 1000000000);
	}
	end_set(buffer, set);
	set = begin_set(buffer, 302);
	put_u32(buffer, 7);
	put_u8(buffer, 3);
	put_fill(buffer, 'c', 3);
	end_set(buffer, set);
	patch_u16(buffer, start + 2, (uint16_t) (buffer->length - start));
}

static void
put_v9(Buffer *buffer)
{
	size_t		set;

	put_v9_header(buffer, 0, 1);
	set = begin_set(buffer, 0);
	put_template(buffer, 300, 12, (const uint16_t[][2]) {{8, 4}, {12, 4}, {1, 4}, {2, 4},
				 {10, 2}, {14, 2}, {22, 4}, {21, 4}, {16, 2}, {17, 2}, {58, 2}, {34, 4}});
	put_template(buffer, 301, 5, (const uint16_t[][2]) {{60, 1}, {8, 4}, {27, 16}, {23, 8},
				 {0x8001, 3}});
	end_set(buffer, set);
	set = begin_set(buffer, 1);
	put_u16(buffer, 302);
	put_u16(buffer, 4);
	put_u16(buffer, 8);
	put_fields(buffer, 3, (const uint16_t[][2]) {{1, 4}, {34, 4}, {35, 1}});
	put_u16(buffer, 0);
	end_set(buffer, set);
	set = begin_set(buffer, 300);
	put_fill(buffer, 3, 38 * 4);
	end_set(buffer, set);
	set = begin_set(buffer, 301);
	put_fill(buffer, 4, 32 * 2);
	end_set(buffer, set);
	set = begin_set(buffer, 302);
	put_fill(buffer, 5, 9 * 2);
	put_zeros(buffer, 2);
	end_set(buffer, set);
}

static void
test_samples_are_good(void **state)
{
	Bench	   *bench = bench_make(16, 16);
	Buffer		buffer = {0};

	(void) state;
	put_netflow5(&buffer, 3);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 3);
	assert_int_equal(exporter_errors(bench_exporter(bench, 5, 0)), 0);
	buffer.length = 0;
	put_ipfix(&buffer);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 9);	/* three of them biflows */
	assert_int_equal(bench->caught.interface_count, 1);
	assert_string_equal(bench->caught.interfaces[0].name, "ccc");
	assert_int_equal(bench_exporter(bench, 10, 1)->options, 1);
	assert_int_equal(exporter_errors(bench_exporter(bench, 10, 1)), 0);
	buffer.length = 0;
	put_v9(&buffer);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 6);
	assert_int_equal(bench_exporter(bench, 9, 1)->options, 2);
	assert_int_equal(exporter_errors(bench_exporter(bench, 9, 1)), 0);
	assert_int_equal(bench->decoder->records, 18);
	assert_int_equal(bench->decoder->datagrams, 3);
	bench_free(bench);
}

static void
test_unknown_versions(void **state)
{
	Bench	   *bench = bench_make(16, 16);
	Buffer		buffer = {0};
	uint64_t	unknown = 0;

	(void) state;
	put_zeros(&buffer, 100);
	for (uint32_t version = 0; version <= UINT16_MAX; version++)
	{
		if (version == 1 || (version >= 5 && version <= 10 && version != 6))
			continue;
		patch_u16(&buffer, 0, (uint16_t) version);
		bench_decode(bench, &buffer);
		assert_int_equal(bench->consumed, 0);
		assert_int_equal(bench->caught.count, 0);
		unknown++;
	}
	assert_int_equal(lru_count(bench->decoder->exporters), 1);
	assert_int_equal(bench_exporter(bench, 0, 0)->errors[DECODE_UNKNOWN_VERSION], unknown);
	assert_int_equal(bench_exporter(bench, 0, 0)->datagrams, unknown);
	assert_int_equal(bench->decoder->datagrams, unknown);
	bench_free(bench);
}

static void
test_empty(void **state)
{
	Bench	   *bench = bench_make(16, 16);

	(void) state;
	bench_decode_bytes(bench, (const uint8_t *) "", 0, false);
	bench_decode_bytes(bench, (const uint8_t *) "\0", 1, true);
	bench->datagram.data = NULL;
	bench->datagram.length = 0;
	assert_int_equal(decode_datagram(bench->decoder, &bench->datagram, false, &bench->sinks),
					 0);
	assert_int_equal(bench_exporter(bench, 0, 0)->errors[DECODE_SHORT], 3);
	assert_int_equal(bench->decoder->datagrams, 3);
	bench_free(bench);
}

/* Messages one after the other, as in a file. */
static void
test_several_messages(void **state)
{
	Bench	   *bench = bench_make(16, 16);
	Buffer		buffer = {0};
	size_t		offset = 0;
	uint64_t	records = 0;
	int			messages = 0;

	(void) state;
	put_netflow5(&buffer, 2);
	put_ipfix(&buffer);
	put_netflow5(&buffer, 1);
	put_v9(&buffer);			/* takes all the rest */
	while (offset < buffer.length)
	{
		bench_decode_bytes(bench, buffer.data + offset, buffer.length - offset, true);
		assert_true(bench->consumed > 0);
		offset += bench->consumed;
		records += bench->caught.count;
		messages++;
	}
	assert_int_equal(offset, buffer.length);
	assert_int_equal(messages, 4);
	assert_int_equal(records, 2 + 9 + 1 + 6);
	assert_int_equal(bench_exporter(bench, 5, 0)->errors[DECODE_TRAILING], 0);

	/* the same as one datagram: the first message counts */
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 2);
	assert_int_equal(bench_exporter(bench, 5, 0)->errors[DECODE_TRAILING], 1);
	bench_free(bench);
}

static void
test_exporters_and_times(void **state)
{
	Bench	   *bench = bench_make(16, 16);
	Buffer		buffer = {0};
	Exporter   *exporter;

	(void) state;
	put_v9(&buffer);
	bench_decode(bench, &buffer);
	bench->datagram.received += 60000000;
	bench->datagram.port = 4712;
	bench_decode(bench, &buffer);
	exporter = bench_exporter(bench, 9, 1);
	assert_int_equal(exporter->first_seen, BENCH_RECEIVED);
	assert_int_equal(exporter->last_seen, BENCH_RECEIVED + 60000000);
	assert_int_equal(exporter->skew, -62500000);
	assert_int_equal(exporter->port, 4712);
	assert_int_equal(exporter->datagrams, 2);
	assert_true(exporter->known);
	assert_int_equal(exporter->link.class, LRU_KNOWN);

	bench->datagram.known = false;
	bench->datagram.source.octets[15]++;
	bench_decode(bench, &buffer);
	assert_int_equal(lru_count(bench->decoder->exporters), 2);
	bench_free(bench);
}

/* Spoofed addresses and domains without number: every table keeps its bounds. */
static void
test_flood(void **state)
{
	Bench	   *bench = bench_make(64, 64);
	Buffer		buffer = {0};
	uint64_t	seed = 7;

	(void) state;
	put_v9(&buffer);
	bench_decode(bench, &buffer);
	bench->datagram.known = false;
	for (int i = 0; i < 20000; i++)
	{
		uint32_t	random = random_next(&seed);

		memcpy(bench->datagram.source.octets + 4, &random, 4);
		patch_u16(&buffer, 18, (uint16_t) random_next(&seed));
		bench->datagram.port = (uint16_t) random_next(&seed);
		bench_decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 6);
	}
	assert_int_equal(lru_count(bench->decoder->exporters), 17);
	assert_int_equal(lru_count(bench->decoder->templates->all), 3 + 16);

	/* the router's templates are still there */
	memset(bench->datagram.source.octets + 4, 0, 4);
	bench->datagram.known = true;
	bench->datagram.port = 4711;
	buffer.length = 0;
	put_v9_header(&buffer, 1, 1);
	end_set(&buffer, begin_set(&buffer, 300));
	end_set(&buffer, begin_set(&buffer, 301));
	end_set(&buffer, begin_set(&buffer, 302));
	bench_decode(bench, &buffer);
	assert_int_equal(exporter_errors(bench_exporter(bench, 9, 1)), 0);
	bench_free(bench);
}

/* What must hold whatever came: a record looks like one, tables have bounds. */
static void
check_flow(const Flow *flow)
{
	assert_true(flow->present < FLOW_BIT(FLOW_DIRECTION + 1));
	assert_true(flow->family == 0 || flow->family == 4 || flow->family == 6);
	assert_true(flow->protocol <= FLOW_IPFIX || flow->protocol == FLOW_SFLOW_V5);
	assert_true(!FLOW_HAS(flow, FLOW_SAMPLING) || flow->sampling > 0);
	assert_true(!FLOW_HAS(flow, FLOW_DIRECTION) || flow->direction <= 1);
	if (FLOW_HAS(flow, FLOW_FIRST) && FLOW_HAS(flow, FLOW_LAST))
		assert_true(flow->last - flow->first < INT64_MAX);
}

static void
check_flows(void *context, const Flow *flows, uint32_t count)
{
	uint64_t   *all = context;

	assert_true(count >= 1 && count <= FLOW_BATCH);
	*all += count;
	for (uint32_t i = 0; i < count; i++)
		check_flow(&flows[i]);
}

static void
decode_random(Bench *bench, const uint8_t *data, size_t length, bool may_continue)
{
	uint8_t    *copy = malloc(length + 1);
	uint64_t	before = bench->decoder->records;
	uint64_t	count = 0;
	size_t		consumed;

	memcpy(copy, data, length);
	bench->datagram.data = copy;
	bench->datagram.length = length;
	consumed = decode_datagram(bench->decoder, &bench->datagram, may_continue,
							   &(FlowSinks) {.context = &count,.flows = check_flows});
	free(copy);
	assert_true(consumed <= length);
	/* two directions of each octet, and of what has waited */
	assert_true(count <= 2 * (length + BENCH_PENDING));
	assert_true(pending_count(bench->decoder->pending) <= BENCH_PENDING / 128);
	assert_true(lru_count(bench->decoder->samplers) <= 17);
	assert_int_equal(bench->decoder->records - before, count);
	assert_true(lru_count(bench->decoder->exporters) <= 17);
	assert_true(lru_count(bench->decoder->templates->all) <= 17);
}

static void
test_random_bytes(void **state)
{
	Bench	   *bench = bench_make(16, 16);
	Buffer		buffer;
	uint64_t	seed = 11;
	time_t		end = time(NULL) + RANDOM_SECONDS;

	(void) state;
	for (int i = 0; i < 200000 && time(NULL) < end; i++)
	{
		size_t		length = random_next(&seed) % 200;

		buffer.length = 0;
		put_u16(&buffer, (const uint16_t[]) {1, 5, 7, 8, 9, 10, 0, 0}[random_next(&seed) % 8]);
		if (random_next(&seed) % 4 == 0)
			put_u16(&buffer, (uint16_t) (random_next(&seed) % 200));
		while (buffer.length < length)
		{
			uint32_t	random = random_next(&seed);

			/* small numbers are more likely to mean something */
			put_u8(&buffer, (uint8_t) (random % 4 == 0 ? random >> 8 : random >> 8 & 3));
		}
		bench->datagram.known = random_next(&seed) % 2 == 0;
		decode_random(bench, buffer.data, buffer.length, random_next(&seed) % 2 == 0);
	}
	bench_free(bench);
}

static void
mutate(Buffer *buffer, uint64_t *seed)
{
	for (uint32_t i = random_next(seed) % 6 + 1; i > 0; i--)
	{
		size_t		position = random_next(seed) % buffer->length;
		uint32_t	random = random_next(seed);

		switch (random_next(seed) % 5)
		{
			case 0:
				buffer->data[position] = (uint8_t) random;
				break;
			case 1:
				buffer->data[position] ^= (uint8_t) (1 << random % 8);
				break;
			case 2:
				buffer->data[position] = random % 2 == 0 ? 0 : 255;
				break;
			case 3:
				buffer->data[position] = (uint8_t) (buffer->data[position] + random % 9 - 4);
				break;
			default:
				/* a piece moves to another place */
				memmove(buffer->data + position, buffer->data + random % buffer->length,
						(buffer->length - position) / 2 <
						buffer->length - random % buffer->length ?
						(buffer->length - position) / 2 :
						buffer->length - random % buffer->length);
		}
	}
	if (random_next(seed) % 4 == 0)
		buffer->length = random_next(seed) % buffer->length + 1;
}

static void
test_random_mutations(void **state)
{
	Bench	   *bench = bench_make(16, 16);
	Buffer		samples[3];
	Buffer		buffer;
	uint64_t	seed = 13;
	time_t		end = time(NULL) + RANDOM_SECONDS;
	uint64_t	i;

	(void) state;
	for (size_t sample = 0; sample < COUNT(samples); sample++)
		samples[sample].length = 0;
	put_netflow5(&samples[0], 3);
	put_ipfix(&samples[1]);
	put_v9(&samples[2]);
	for (i = 0; i < 300000 && time(NULL) < end; i++)
	{
		const Buffer *sample = &samples[random_next(&seed) % COUNT(samples)];

		memcpy(buffer.data, sample->data, sample->length);
		buffer.length = sample->length;
		mutate(&buffer, &seed);
		bench->datagram.known = random_next(&seed) % 2 == 0;
		decode_random(bench, buffer.data, buffer.length, random_next(&seed) % 2 == 0);
	}
	/* it went through to the records */
	assert_true(bench->decoder->records > i / 2);
	bench_free(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples_are_good),
		cmocka_unit_test(test_unknown_versions),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_several_messages),
		cmocka_unit_test(test_exporters_and_times),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_random_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
