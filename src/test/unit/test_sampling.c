/*
 * test_sampling.c
 *	  Sampling rates and names from options data, and the records that they are
 *	  for.
 */
#include "build_packet.h"

#include <math.h>

#include "sampling.h"

#define V9		FLOW_NETFLOW_V9
#define IPFIX	FLOW_IPFIX

/* Octets, input and output interface, sampler: 10 octets. */
static const uint16_t named_fields[][2] = {{1, 4}, {10, 2}, {14, 2}, {48, 2}};
static const uint16_t plain_fields[][2] = {{1, 4}, {10, 2}, {14, 2}};

static uint32_t
rate_of(SamplingFields fields)
{
	return sampling_rate(&fields);
}

static void
test_rates(void **state)
{
	(void) state;
	assert_int_equal(rate_of((SamplingFields) {0}), 0);
	assert_int_equal(rate_of((SamplingFields) {.interval = 1000}), 1000);
	assert_int_equal(rate_of((SamplingFields) {.interval = UINT64_C(1) << 32}), 0);

	/* RFC 5477, 8.2: 1 of 100, 10 of 100, 3 of 10 */
	assert_int_equal(rate_of((SamplingFields) {.packet_interval = 1,.packet_space = 99,
											   .has_space = true}), 100);
	assert_int_equal(rate_of((SamplingFields) {.packet_interval = 10,.packet_space = 90,
											   .has_space = true}), 10);
	assert_int_equal(rate_of((SamplingFields) {.packet_interval = 3,.packet_space = 7,
											   .has_space = true}), 3);
	assert_int_equal(rate_of((SamplingFields) {.packet_interval = 2,.packet_space = 3,
											   .has_space = true}), 3);	/* 2.5 */
	assert_int_equal(rate_of((SamplingFields) {.packet_interval = 1,.has_space = true}), 1);
	assert_int_equal(rate_of((SamplingFields) {.packet_space = 99,.has_space = true}), 0);
	assert_int_equal(rate_of((SamplingFields) {.packet_interval = 2,
											   .packet_space = UINT64_MAX,.has_space = true}), 0);
	assert_int_equal(rate_of((SamplingFields) {.packet_interval = 256}), 256);

	assert_int_equal(rate_of((SamplingFields) {.size = 1,.population = 500}), 500);
	assert_int_equal(rate_of((SamplingFields) {.size = 2,.population = 1001}), 501);
	assert_int_equal(rate_of((SamplingFields) {.size = 3,.population = 1000}), 333);
	assert_int_equal(rate_of((SamplingFields) {.size = 5,.population = 4}), 0);
	assert_int_equal(rate_of((SamplingFields) {.size = 0,.population = 4}), 0);
	assert_int_equal(rate_of((SamplingFields) {.size = UINT64_MAX,.population = UINT64_MAX}), 1);

	/* as Cisco IOS XR has it: 305 is 1, 309 and 310 tell the rate */
	assert_int_equal(rate_of((SamplingFields) {.packet_interval = 1,.size = 1,
											   .population = 4000}), 4000);

	assert_int_equal(rate_of((SamplingFields) {.probability = 0.001}), 1000);
	assert_int_equal(rate_of((SamplingFields) {.probability = 1}), 1);
	assert_int_equal(rate_of((SamplingFields) {.probability = 0.3}), 3);
	assert_int_equal(rate_of((SamplingFields) {.probability = 1.5}), 0);
	assert_int_equal(rate_of((SamplingFields) {.probability = -0.5}), 0);
	assert_int_equal(rate_of((SamplingFields) {.probability = 1e-300}), 0);
	assert_int_equal(rate_of((SamplingFields) {.probability = NAN}), 0);
	assert_int_equal(rate_of((SamplingFields) {.probability = INFINITY}), 0);
}

static SamplerKey
key_of(uint32_t domain, SamplerKind kind, uint64_t id)
{
	return (SamplerKey) {.domain = domain,.protocol = V9,.kind = (uint8_t) kind,.id = id};
}

static Lru *
samplers_make(uint32_t capacity)
{
	return lru_init(aligned_alloc(16, lru_size(capacity, sizeof(Sampler)) / 16 * 16 + 16),
					capacity, sizeof(Sampler));
}

static void
learn(Lru *samplers, SamplerKey key, uint32_t rate, int64_t now)
{
	sampling_learn(samplers, &key, true, rate, now);
}

static uint32_t
of_exporter(Lru *samplers, uint32_t domain)
{
	SamplerKey	key = key_of(domain, SAMPLER_OF_EXPORTER, 0);

	return sampling_of_exporter(samplers, &key).rate;
}

static void
test_only_sampler(void **state)
{
	Lru		   *samplers = samplers_make(64);
	SamplerKey	key;
	const int64_t day = INT64_C(86400000000);

	(void) state;
	assert_int_equal(of_exporter(samplers, 1), 0);
	learn(samplers, key_of(1, SAMPLER_OF_ID, 7), 100, 1);
	assert_int_equal(of_exporter(samplers, 1), 100);
	assert_int_equal(of_exporter(samplers, 2), 100);	/* the address has no other */
	key = key_of(1, SAMPLER_OF_ID, 7);
	key.protocol = IPFIX;
	assert_int_equal(sampling_of_exporter(samplers, &key).rate, 0); /* another exporter */
	learn(samplers, key_of(1, SAMPLER_OF_ID, 8), 100, 2);
	assert_int_equal(of_exporter(samplers, 1), 100);

	/* two rates: none of them is the only one; in each domain it may be */
	learn(samplers, key_of(2, SAMPLER_OF_ID, 7), 200, 3);
	assert_int_equal(of_exporter(samplers, 1), 100);
	assert_int_equal(of_exporter(samplers, 2), 200);
	assert_int_equal(of_exporter(samplers, 3), 0);
	learn(samplers, key_of(1, SAMPLER_OF_ID, 9), 300, 4);
	assert_int_equal(of_exporter(samplers, 1), 0);

	/* told for all records; told anew */
	learn(samplers, key_of(1, SAMPLER_OF_EXPORTER, 0), 400, 5);
	assert_int_equal(of_exporter(samplers, 1), 400);
	learn(samplers, key_of(1, SAMPLER_OF_EXPORTER, 0), 500, 6);
	assert_int_equal(of_exporter(samplers, 1), 500);
	assert_int_equal(lru_count(samplers), 5);

	key = key_of(1, SAMPLER_OF_ID, 9);
	assert_int_equal(sampling_find(samplers, &key), 300);
	key.domain = 2;
	assert_int_equal(sampling_find(samplers, &key), 0);
	key.domain = 1;
	key.protocol = IPFIX;
	assert_int_equal(sampling_find(samplers, &key), 0);
	key.protocol = V9;
	key.address.octets[3] = 1;
	assert_int_equal(sampling_find(samplers, &key), 0);
	assert_int_equal(sampling_of_exporter(samplers, &key).rate, 0);

	/* those that were not told again for a day are no rivals any more */
	learn(samplers, key_of(3, SAMPLER_OF_ID, 1), 10, 10);
	learn(samplers, key_of(3, SAMPLER_OF_ID, 2), 20, 10);
	assert_int_equal(of_exporter(samplers, 3), 0);
	learn(samplers, key_of(3, SAMPLER_OF_ID, 2), 20, 10 + day);
	assert_int_equal(of_exporter(samplers, 3), 0);
	learn(samplers, key_of(3, SAMPLER_OF_ID, 2), 20, 11 + day);
	assert_int_equal(of_exporter(samplers, 3), 20);
	free(samplers);
}

/* An address has its share, and strangers theirs. */
static void
test_bounds(void **state)
{
	Lru		   *samplers = samplers_make(1024);
	SamplerKey	key = key_of(1, SAMPLER_OF_ID, 0);

	(void) state;
	for (uint64_t id = 0; id < 5000; id++)
		learn(samplers, key_of(1, SAMPLER_OF_ID, id), 100, (int64_t) id);
	assert_int_equal(lru_count(samplers), SAMPLING_MAX_OF_ADDRESS);
	key.id = 5000 - SAMPLING_MAX_OF_ADDRESS;
	assert_int_equal(sampling_find(samplers, &key), 100);
	key.id--;
	assert_int_equal(sampling_find(samplers, &key), 0);

	key.id = 4999;
	for (uint32_t i = 1; i < 5000; i++)
	{
		SamplerKey	stranger = key_of(1, SAMPLER_OF_ID, 0);

		memcpy(stranger.address.octets, &i, sizeof(i));
		sampling_learn(samplers, &stranger, false, 7, i);
	}
	assert_int_equal(lru_count(samplers), SAMPLING_MAX_OF_ADDRESS + 1024 / 4);
	assert_int_equal(sampling_find(samplers, &key), 100);
	free(samplers);

	/* a stranger has fewer, because each costs time to look through */
	samplers = samplers_make(1024);
	for (uint64_t id = 0; id < 5000; id++)
	{
		key = key_of(1, SAMPLER_OF_ID, id);
		sampling_learn(samplers, &key, false, 7, (int64_t) id);
	}
	assert_int_equal(lru_count(samplers), SAMPLING_MAX_OF_STRANGER);
	free(samplers);
}

/* A v9 datagram under way. */
static void
begin_v9(Buffer *buffer)
{
	buffer->length = 0;
	put_v9_header(buffer, 0, 1);
}

static void
put_v9_template(Buffer *buffer, uint16_t id, size_t count, const uint16_t fields[][2])
{
	size_t		set = begin_set(buffer, 0);

	put_template(buffer, id, count, fields);
	end_set(buffer, set);
}

static void
put_v9_options(Buffer *buffer, uint16_t id, uint16_t scopes, uint16_t options,
			   const uint16_t fields[][2])
{
	size_t		set = begin_set(buffer, 1);

	put_u16(buffer, id);
	put_u16(buffer, scopes * 4);
	put_u16(buffer, options * 4);
	put_fields(buffer, (size_t) scopes + options, fields);
	end_set(buffer, set);
}

/* An options record with a sampler's id and its rate, as Cisco IOS sends it. */
static void
put_sampler(Buffer *buffer, uint16_t id, uint32_t rate)
{
	static const uint16_t fields[][2] = {{1, 4}, {48, 2}, {49, 1}, {50, 4}};
	size_t		set;

	put_v9_options(buffer, 400, 1, 3, fields);
	set = begin_set(buffer, 400);
	put_u32(buffer, 0xc0000201);
	put_u16(buffer, id);
	put_u8(buffer, 2);
	put_u32(buffer, rate);
	end_set(buffer, set);
}

static void
put_named(Buffer *buffer, uint16_t sampler)
{
	size_t		set;

	put_v9_template(buffer, 300, COUNT(named_fields), named_fields);
	set = begin_set(buffer, 300);
	put_u32(buffer, 1000);
	put_u16(buffer, 3);
	put_u16(buffer, 4);
	put_u16(buffer, sampler);
	end_set(buffer, set);
}

static void
put_plain(Buffer *buffer, uint16_t in_if, uint16_t out_if)
{
	size_t		set;

	put_v9_template(buffer, 301, COUNT(plain_fields), plain_fields);
	set = begin_set(buffer, 301);
	put_u32(buffer, 1000);
	put_u16(buffer, in_if);
	put_u16(buffer, out_if);
	end_set(buffer, set);
}

/* The rate of the only record caught, 0 if it has none. */
static void
check_rate(const Bench *bench, uint32_t rate, FlowSamplingOrigin origin)
{
	const Flow *flow = &bench->caught.flows[0];

	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(flow->sampling_origin, origin);
	assert_int_equal(FLOW_HAS(flow, FLOW_SAMPLING), rate != 0);
	if (rate != 0)
		assert_int_equal(flow->sampling, rate);
}

static void
test_named_sampler(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	Exporter   *exporter;

	(void) state;
	/* flows first, sampler later */
	begin_v9(&buffer);
	put_named(&buffer, 1);
	bench_decode(bench, &buffer);
	check_rate(bench, 0, FLOW_SAMPLING_UNKNOWN);
	exporter = bench_exporter(bench, V9, 1);
	assert_int_equal(exporter->errors[DECODE_UNKNOWN_SAMPLER], 1);
	assert_int_equal(exporter->sampling, 0);

	begin_v9(&buffer);
	put_sampler(&buffer, 1, 5000);
	put_named(&buffer, 1);
	bench_decode(bench, &buffer);
	check_rate(bench, 5000, FLOW_SAMPLING_SAMPLER);
	assert_int_equal(exporter->sampling, 5000);
	assert_int_equal(exporter->sampling_origin, FLOW_SAMPLING_SAMPLER);
	assert_int_equal(exporter->options, 1);

	/* another one is not known, but there is only this */
	begin_v9(&buffer);
	put_named(&buffer, 2);
	bench_decode(bench, &buffer);
	check_rate(bench, 5000, FLOW_SAMPLING_EXPORTER);
	assert_int_equal(exporter->errors[DECODE_UNKNOWN_SAMPLER], 1);

	begin_v9(&buffer);
	put_sampler(&buffer, 2, 100);
	put_named(&buffer, 2);
	bench_decode(bench, &buffer);
	check_rate(bench, 100, FLOW_SAMPLING_SAMPLER);
	begin_v9(&buffer);
	put_named(&buffer, 1);
	bench_decode(bench, &buffer);
	check_rate(bench, 5000, FLOW_SAMPLING_SAMPLER);
	begin_v9(&buffer);
	put_named(&buffer, 3);
	bench_decode(bench, &buffer);
	check_rate(bench, 0, FLOW_SAMPLING_UNKNOWN);
	assert_int_equal(exporter->errors[DECODE_UNKNOWN_SAMPLER], 2);

	/* 0 names none */
	begin_v9(&buffer);
	put_named(&buffer, 0);
	bench_decode(bench, &buffer);
	check_rate(bench, 0, FLOW_SAMPLING_UNKNOWN);
	assert_int_equal(exporter_errors(exporter), 2);

	/* a rate of 0 is none; a new one counts from the next record on */
	begin_v9(&buffer);
	put_sampler(&buffer, 1, 0);
	put_named(&buffer, 1);
	bench_decode(bench, &buffer);
	check_rate(bench, 5000, FLOW_SAMPLING_SAMPLER);
	begin_v9(&buffer);
	put_named(&buffer, 1);
	put_sampler(&buffer, 1, 6000);
	put_named(&buffer, 1);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 2);
	assert_int_equal(bench->caught.flows[0].sampling, 5000);
	assert_int_equal(bench->caught.flows[1].sampling, 6000);
	bench_free(bench);
}

/* What the record says itself comes before any sampler. */
static void
test_rate_in_record(void **state)
{
	static const struct
	{
		uint16_t	elements[3];
		uint32_t	values[3];
		uint32_t	rate;
		FlowSamplingOrigin origin;
	}			cases[] = {
		{{48, 34}, {1, 10}, 10, FLOW_SAMPLING_RECORD},
		{{48, 34}, {1, 0}, 5000, FLOW_SAMPLING_SAMPLER},
		{{48, 50}, {1, 20}, 20, FLOW_SAMPLING_RECORD},
		{{48, 305}, {1, 30}, 30, FLOW_SAMPLING_RECORD},
		{{48, 305, 306}, {1, 2, 98}, 50, FLOW_SAMPLING_RECORD},
		{{48, 309, 310}, {1, 1, 60}, 60, FLOW_SAMPLING_RECORD},
		{{48, 310}, {1, 60}, 5000, FLOW_SAMPLING_SAMPLER},
		{{302, 34}, {1, 0}, 5000, FLOW_SAMPLING_SAMPLER},
		{{302, 48}, {9, 1}, 5000, FLOW_SAMPLING_SAMPLER},
		{{48, 311}, {1, 0x3c800000}, 64, FLOW_SAMPLING_RECORD},	/* 1/64, a float */
		{{34}, {0}, 5000, FLOW_SAMPLING_EXPORTER},
	};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;

	(void) state;
	begin_v9(&buffer);
	put_sampler(&buffer, 1, 5000);
	bench_decode(bench, &buffer);
	for (size_t i = 0; i < COUNT(cases); i++)
	{
		uint16_t	fields[4][2] = {{1, 4}};
		uint16_t	count = 1;
		size_t		set;

		for (; count < 4 && cases[i].elements[count - 1] != 0; count++)
		{
			fields[count][0] = cases[i].elements[count - 1];
			fields[count][1] = 4;
		}
		begin_v9(&buffer);
		put_v9_template(&buffer, 300, count, (const uint16_t (*)[2]) fields);
		set = begin_set(&buffer, 300);
		put_u32(&buffer, 1000);
		for (uint16_t j = 0; j < count - 1; j++)
			put_u32(&buffer, cases[i].values[j]);
		end_set(&buffer, set);
		bench_decode(bench, &buffer);
		check_rate(bench, cases[i].rate, cases[i].origin);
	}
	assert_int_equal(exporter_errors(bench_exporter(bench, V9, 1)), 0);
	bench_free(bench);
}

/* A double as well as a float (RFC 7011, 6.2). */
static void
test_probability_double(void **state)
{
	static const uint16_t fields[][2] = {{1, 4}, {34, 1}, {311, 8}};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;

	(void) state;
	begin_v9(&buffer);
	put_v9_options(&buffer, 400, 1, 2, fields);
	set = begin_set(&buffer, 400);
	put_u32(&buffer, 1);
	put_u8(&buffer, 0);
	put_u64(&buffer, UINT64_C(0x3f50624dd2f1a9fc));	/* 0.001 */
	end_set(&buffer, set);
	put_plain(&buffer, 1, 2);
	bench_decode(bench, &buffer);
	check_rate(bench, 1000, FLOW_SAMPLING_EXPORTER);
	bench_free(bench);
}

/* v9 numbers scope fields apart: 2 is an interface, and 10 is not. */
static void
test_rate_by_interface(void **state)
{
	static const uint16_t fields[][2] = {{2, 2}, {34, 4}, {35, 1}};
	static const uint16_t system[][2] = {{1, 2}, {34, 4}, {35, 1}};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;

	(void) state;
	begin_v9(&buffer);
	put_v9_options(&buffer, 400, 1, 2, fields);
	set = begin_set(&buffer, 400);
	put_u16(&buffer, 3);
	put_u32(&buffer, 100);
	put_u8(&buffer, 1);
	end_set(&buffer, set);
	put_plain(&buffer, 8, 9);
	bench_decode(bench, &buffer);
	check_rate(bench, 100, FLOW_SAMPLING_EXPORTER);	/* all that was told */

	set = begin_set(&buffer, 400);
	put_u16(&buffer, 4);
	put_u32(&buffer, 200);
	put_u8(&buffer, 1);
	end_set(&buffer, set);
	put_plain(&buffer, 4, 3);
	put_plain(&buffer, 9, 3);
	put_plain(&buffer, 9, 8);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 4);
	assert_int_equal(bench->caught.flows[1].sampling, 200);
	assert_int_equal(bench->caught.flows[2].sampling, 100);
	assert_false(FLOW_HAS(&bench->caught.flows[3], FLOW_SAMPLING));
	assert_int_equal(exporter_errors(bench_exporter(bench, V9, 1)), 0);

	/* and one for all */
	put_v9_options(&buffer, 401, 1, 2, system);
	set = begin_set(&buffer, 401);
	put_u16(&buffer, 4);
	put_u32(&buffer, 300);
	put_u8(&buffer, 1);
	end_set(&buffer, set);
	put_plain(&buffer, 9, 8);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.flows[4].sampling, 300);
	bench_free(bench);
}

/* IPFIX: the selector is the scope; its rate is for another domain as well. */
static void
test_selector(void **state)
{
	static const uint16_t fields[][2] = {{302, 8}, {304, 2}, {305, 4}, {306, 4}};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	size_t		set;

	(void) state;
	put_ipfix_header(&buffer, 0, 1);
	set = begin_set(&buffer, 3);
	put_u16(&buffer, 400);
	put_u16(&buffer, 4);
	put_u16(&buffer, 1);
	put_fields(&buffer, COUNT(fields), fields);
	end_set(&buffer, set);
	set = begin_set(&buffer, 400);
	put_u64(&buffer, UINT64_C(0x100000002));
	put_u16(&buffer, 1);
	put_u32(&buffer, 1);
	put_u32(&buffer, 1023);
	end_set(&buffer, set);
	set = begin_set(&buffer, 2);
	put_template(&buffer, 300, 2, (const uint16_t[][2]) {{1, 4}, {302, 8}});
	end_set(&buffer, set);
	set = begin_set(&buffer, 300);
	put_u32(&buffer, 1);
	put_u64(&buffer, UINT64_C(0x100000002));
	end_set(&buffer, set);
	end_ipfix(&buffer);
	bench_decode(bench, &buffer);
	check_rate(bench, 1024, FLOW_SAMPLING_SAMPLER);
	assert_int_equal(bench_exporter(bench, IPFIX, 1)->next_sequence, 2);

	buffer.length = 0;
	put_ipfix_header(&buffer, 0, 2);
	set = begin_set(&buffer, 2);
	put_template(&buffer, 300, 1, (const uint16_t[][2]) {{1, 4}});
	end_set(&buffer, set);
	set = begin_set(&buffer, 300);
	put_u32(&buffer, 1);
	end_set(&buffer, set);
	end_ipfix(&buffer);
	bench_decode(bench, &buffer);
	check_rate(bench, 1024, FLOW_SAMPLING_EXPORTER);

	/* nobody else's */
	bench->datagram.source.octets[15]++;
	bench_decode(bench, &buffer);
	check_rate(bench, 0, FLOW_SAMPLING_UNKNOWN);
	bench_free(bench);
}

/* Names as they come, and what becomes of them. */
static void
check_name(Bench *bench, const void *octets, size_t length, const char *name)
{
	uint16_t	fields[][2] = {{2, 4}, {82, (uint16_t) length}, {83, 3}};
	Buffer		buffer;
	size_t		set;

	begin_v9(&buffer);
	put_v9_options(&buffer, 400, 1, 2, (const uint16_t (*)[2]) fields);
	set = begin_set(&buffer, 400);
	put_u32(&buffer, 4000000000);
	put_bytes(&buffer, octets, length);
	put_bytes(&buffer, "abc", 3);
	end_set(&buffer, set);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 0);
	assert_int_equal(bench->caught.interface_count, 1);
	assert_int_equal(bench->caught.interfaces[0].id, 4000000000);
	assert_string_equal(bench->caught.interfaces[0].name, name);
	assert_string_equal(bench->caught.interfaces[0].description, "abc");
	assert_int_equal(exporter_errors(bench_exporter(bench, V9, 1)), 0);
}

static void
test_names(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	char		longest[80];
	char		cut[FLOW_NAME_SIZE];

	(void) state;
#define CHECK_NAME(text, name)	check_name(bench, text, sizeof(text) - 1, name)
	CHECK_NAME("Gi0/0/1", "Gi0/0/1");
	CHECK_NAME("Gi0/0/1\0\0\0junk", "Gi0/0/1");
	CHECK_NAME("Te 1   ", "Te 1");
	CHECK_NAME("   ", "");
	CHECK_NAME("\0", "");
	CHECK_NAME("a\tb\nc\x7f\x1b[0m", "abc[0m");
	CHECK_NAME("Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80", "Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80");
	CHECK_NAME("Z\xfcrich", "Zrich");	/* Latin 1 */
	CHECK_NAME("a\xc0\xaf" "b", "ab");	/* overlong */
	CHECK_NAME("a\xe0\x80\xaf" "b", "ab");
	CHECK_NAME("a\xed\xa0\x80" "b", "ab");	/* a surrogate */
	CHECK_NAME("a\xf4\x90\x80\x80" "b", "ab");	/* beyond Unicode */
	CHECK_NAME("a\xc2\x85" "b", "ab");	/* a control character */
	CHECK_NAME("a\xff\xfe\x80" "b", "ab");
	CHECK_NAME("ab\xe2\x82", "ab"); /* cut */
#undef CHECK_NAME

	memset(longest, 'x', sizeof(longest));
	memset(cut, 'x', sizeof(cut));
	cut[FLOW_NAME_SIZE - 1] = '\0';
	check_name(bench, longest, sizeof(longest), cut);
	/* not in the middle of a character */
	memcpy(longest + FLOW_NAME_SIZE - 2, "\xc3\xbc", 2);
	cut[FLOW_NAME_SIZE - 2] = '\0';
	check_name(bench, longest, sizeof(longest), cut);
	bench_free(bench);
}

/* Nothing to say, nobody to tell, and an interface that is not told. */
static void
test_no_names(void **state)
{
	static const uint16_t nameless[][2] = {{2, 4}, {82, 4}};
	static const uint16_t no_interface[][2] = {{1, 4}, {82, 4}};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;

	(void) state;
	for (int i = 0; i < 3; i++)
	{
		begin_v9(&buffer);
		put_v9_options(&buffer, 400, 1, 1, i == 1 ? no_interface : nameless);
		set = begin_set(&buffer, 400);
		put_u32(&buffer, 7);
		put_bytes(&buffer, i == 0 ? "\0\0\0\0" : "eth0", 4);
		end_set(&buffer, set);
		if (i == 2)
			bench->sinks.interface = NULL;
		bench_decode(bench, &buffer);
		assert_int_equal(bench->caught.interface_count, 0);
	}
	assert_int_equal(bench_exporter(bench, V9, 1)->options, 3);
	bench_free(bench);
}

/* Cisco's "option interface-table": the interface is no scope; IPFIX. */
static void
test_interface_table(void **state)
{
	static const uint16_t fields[][2] = {{10, 4}, {82, 65535}, {83, 65535}};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	size_t		set;

	(void) state;
	put_ipfix_header(&buffer, 0, 1);
	set = begin_set(&buffer, 3);
	put_u16(&buffer, 400);
	put_u16(&buffer, 3);
	put_u16(&buffer, 1);
	put_fields(&buffer, COUNT(fields), fields);
	end_set(&buffer, set);
	set = begin_set(&buffer, 400);
	for (uint32_t i = 0; i < 3; i++)
	{
		put_u32(&buffer, i);
		put_u8(&buffer, 4);
		put_bytes(&buffer, "eth", 3);
		put_u8(&buffer, (uint8_t) ('0' + i));
		put_u8(&buffer, (uint8_t) (i * 2));
		put_bytes(&buffer, "DE-CIX", i * 2);
	}
	end_set(&buffer, set);
	end_ipfix(&buffer);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.interface_count, 3);
	assert_int_equal(bench->caught.interfaces[2].id, 2);
	assert_string_equal(bench->caught.interfaces[2].name, "eth2");
	assert_string_equal(bench->caught.interfaces[0].description, "");
	assert_string_equal(bench->caught.interfaces[2].description, "DE-C");
	assert_int_equal(bench_exporter(bench, IPFIX, 1)->options, 3);
	bench_free(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_only_sampler),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_named_sampler),
		cmocka_unit_test(test_rate_in_record),
		cmocka_unit_test(test_probability_double),
		cmocka_unit_test(test_rate_by_interface),
		cmocka_unit_test(test_selector),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_names),
		cmocka_unit_test(test_interface_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
