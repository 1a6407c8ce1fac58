/*
 * test_ipfix.c
 *	  Messages of NetFlow v9 and IPFIX: headers, sets, templates within them.
 */
#include "build_packet.h"

#define V9		FLOW_NETFLOW_V9
#define IPFIX	FLOW_IPFIX

/* Octets, packets, two interfaces: 12 octets. */
static const uint16_t simple_fields[][2] = {{1, 4}, {2, 4}, {10, 2}, {14, 2}};

static void
put_header(Buffer *buffer, uint8_t protocol, uint32_t sequence, uint32_t domain)
{
	buffer->length = 0;
	if (protocol == V9)
		put_v9_header(buffer, sequence, domain);
	else
		put_ipfix_header(buffer, sequence, domain);
}

static void
decode(Bench *bench, Buffer *buffer)
{
	if (buffer->data[1] == IPFIX)
		end_ipfix(buffer);
	bench_decode(bench, buffer);
}

static uint16_t
templates_id(uint8_t protocol, bool options)
{
	return (uint16_t) ((protocol == V9 ? 0 : 2) + options);
}

static void
put_simple_template(Buffer *buffer, uint8_t protocol, uint16_t id)
{
	size_t		set = begin_set(buffer, templates_id(protocol, false));

	put_template(buffer, id, COUNT(simple_fields), simple_fields);
	end_set(buffer, set);
}

static void
put_simple_record(Buffer *buffer, uint32_t octets)
{
	put_u32(buffer, octets);
	put_u32(buffer, 1);
	put_u16(buffer, 3);
	put_u16(buffer, 4);
}

static void
put_simple_data(Buffer *buffer, uint16_t id, uint32_t count, size_t padding)
{
	size_t		set = begin_set(buffer, id);

	for (uint32_t i = 1; i <= count; i++)
		put_simple_record(buffer, 100 * i);
	put_zeros(buffer, padding);
	end_set(buffer, set);
}

/* An options template of 4 octets of scope and 6 of options; id 512. */
static void
put_options_template(Buffer *buffer, uint8_t protocol)
{
	size_t		set = begin_set(buffer, templates_id(protocol, true));

	put_u16(buffer, 512);
	if (protocol == V9)
	{
		put_u16(buffer, 4);		/* octets of scope specifiers */
		put_u16(buffer, 8);		/* octets of option specifiers */
	}
	else
	{
		put_u16(buffer, 3);		/* fields */
		put_u16(buffer, 1);		/* of which scope */
	}
	put_fields(buffer, 3, (const uint16_t[][2]) {{1, 4}, {34, 4}, {10, 2}});
	put_zeros(buffer, 2);
	end_set(buffer, set);
}

static void
test_template_and_data(void **state)
{
	static const uint8_t protocols[] = {V9, IPFIX};

	(void) state;
	for (size_t i = 0; i < COUNT(protocols); i++)
	{
		uint8_t		protocol = protocols[i];
		Bench	   *bench = bench_make(8, 8);
		Buffer		buffer;
		const Flow *flow = &bench->caught.flows[2];
		Exporter   *exporter;
		Template   *template;
		uint32_t	position = 0;

		put_header(&buffer, protocol, 10, 4000000000);
		put_simple_template(&buffer, protocol, 300);
		put_simple_data(&buffer, 300, 3, 0);
		decode(bench, &buffer);

		assert_int_equal(bench->consumed, buffer.length);
		assert_int_equal(bench->caught.count, 3);
		assert_int_equal(bench->caught.bytes, 600);
		assert_int_equal(flow->protocol, protocol);
		assert_int_equal(flow->domain, 4000000000);
		assert_int_equal(flow->received, BENCH_RECEIVED);
		assert_int_equal(flow->exported, INT64_C(1000000000000));
		assert_int_equal(flow->bytes, 300);
		assert_int_equal(flow->packets, 1);
		assert_int_equal(flow->in_if, 3);
		assert_int_equal(flow->out_if, 4);
		assert_int_equal(flow->present, FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) |
						 FLOW_BIT(FLOW_IN_IF) | FLOW_BIT(FLOW_OUT_IF));

		exporter = bench_exporter(bench, protocol, 4000000000);
		assert_int_equal(exporter->datagrams, 1);
		assert_int_equal(exporter->records, 3);
		assert_int_equal(exporter->templates, 1);
		assert_int_equal(exporter->options, 0);
		assert_int_equal(exporter->next_sequence, protocol == V9 ? 11 : 13);
		assert_int_equal(exporter->skew, INT64_C(1000000000000) - BENCH_RECEIVED);
		assert_int_equal(exporter_errors(exporter), 0);
		template = lru_next(bench->decoder->templates->all, &position);
		assert_int_equal(template->id, 300);
		assert_int_equal(template->records, 3);
		assert_int_equal(template->field_count, 4);
		assert_int_equal(template->first_seen, BENCH_RECEIVED);
		assert_int_equal(bench->decoder->records, 3);

		/* and with the next datagram */
		put_header(&buffer, protocol, protocol == V9 ? 11 : 13, 4000000000);
		put_simple_data(&buffer, 300, 2, 0);
		decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 2);
		assert_int_equal(template->records, 5);
		assert_int_equal(exporter->lost, 0);
		bench_free(bench);
	}
}

/* RFC 7011, 3.3.1: what is shorter than a record is padding. */
static void
test_padding(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;

	(void) state;
	for (size_t padding = 0; padding < 12; padding++)
	{
		put_header(&buffer, V9, (uint32_t) padding, 1);
		put_simple_template(&buffer, V9, 300);
		put_simple_data(&buffer, 300, 2, padding);
		put_simple_data(&buffer, 300, 1, padding);
		decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 3);
		assert_int_equal(bench->caught.bytes, 400);
	}
	assert_int_equal(exporter_errors(bench_exporter(bench, V9, 1)), 0);
	bench_free(bench);
}

static void
test_padding_behind_templates(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;

	(void) state;
	put_header(&buffer, V9, 0, 1);
	set = begin_set(&buffer, 0);
	put_template(&buffer, 300, COUNT(simple_fields), simple_fields);
	put_template(&buffer, 301, COUNT(simple_fields), simple_fields);
	put_zeros(&buffer, 6);
	end_set(&buffer, set);

	/* what is too short for a template is padding, whatever it holds */
	set = begin_set(&buffer, 0);
	put_template(&buffer, 302, COUNT(simple_fields), simple_fields);
	put_fill(&buffer, 0x5a, 3);
	end_set(&buffer, set);
	decode(bench, &buffer);
	assert_int_equal(lru_count(bench->decoder->templates->all), 3);
	assert_int_equal(exporter_errors(bench_exporter(bench, V9, 1)), 0);
	bench_free(bench);
}

static void
test_zero_filled(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	Exporter   *exporter;

	(void) state;
	for (size_t zeros = 1; zeros < 40; zeros++)
	{
		put_header(&buffer, V9, (uint32_t) zeros, 1);
		put_simple_template(&buffer, V9, 300);
		put_simple_data(&buffer, 300, 1, 0);
		put_zeros(&buffer, zeros);
		decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 1);
	}
	exporter = bench_exporter(bench, V9, 1);
	assert_int_equal(exporter_errors(exporter), 0);

	put_u8(&buffer, 1);
	decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(exporter->errors[DECODE_BAD_LENGTH], 1);
	bench_free(bench);
}

/* v9: a header's count of 0, 1 or 65535 changes nothing. */
static void
test_v9_count_is_not_trusted(void **state)
{
	static const uint16_t counts[] = {0, 1, 5, 65535};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;

	(void) state;
	for (size_t i = 0; i < COUNT(counts); i++)
	{
		put_header(&buffer, V9, (uint32_t) i, 1);
		patch_u16(&buffer, 2, counts[i]);
		put_simple_template(&buffer, V9, 300);
		put_simple_data(&buffer, 300, 3, 0);
		decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 3);
	}
	assert_int_equal(exporter_errors(bench_exporter(bench, V9, 1)), 0);
	bench_free(bench);
}

/* Every length that a set can claim. */
static void
test_set_length(void **state)
{
	static const uint8_t protocols[] = {V9, IPFIX};

	(void) state;
	for (size_t i = 0; i < COUNT(protocols); i++)
		for (uint32_t length = 0; length <= 200; length++)
		{
			Bench	   *bench = bench_make(8, 8);
			Buffer		buffer;
			size_t		set;
			Exporter   *exporter;

			put_header(&buffer, protocols[i], 0, 1);
			put_simple_template(&buffer, protocols[i], 300);
			put_simple_data(&buffer, 300, 1, 0);
			set = buffer.length;
			put_simple_data(&buffer, 300, 5, 0);
			patch_u16(&buffer, set + 2, (uint16_t) length);
			decode(bench, &buffer);

			exporter = bench_exporter(bench, protocols[i], 1);
			if (length < 4 || length > 64)
			{
				assert_int_equal(bench->caught.count, 1);
				assert_int_equal(exporter->errors[DECODE_BAD_LENGTH], 1);
			}
			else
			{
				assert_true(bench->caught.count >= 1 + (length - 4) / 12);
				if (length == 64)
					assert_int_equal(exporter_errors(exporter), 0);
			}
			bench_free(bench);
		}
}

/* Sets without content, and ids that no template can have. */
static void
test_odd_sets(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	Exporter   *exporter;

	(void) state;
	put_header(&buffer, IPFIX, 0, 1);
	end_set(&buffer, begin_set(&buffer, 2));
	end_set(&buffer, begin_set(&buffer, 3));
	put_simple_template(&buffer, IPFIX, 300);
	end_set(&buffer, begin_set(&buffer, 300));
	put_simple_data(&buffer, 255, 1, 0);
	put_simple_data(&buffer, 0, 1, 0);
	put_simple_data(&buffer, 300, 1, 0);
	decode(bench, &buffer);
	exporter = bench_exporter(bench, IPFIX, 1);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(exporter->errors[DECODE_NO_TEMPLATE], 2);
	assert_int_equal(exporter_errors(exporter), 2);
	bench_free(bench);
}

static void
test_no_template(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	Exporter   *exporter;

	(void) state;
	/* data of a template that does not come, template, data */
	put_header(&buffer, IPFIX, 100, 1);
	put_simple_data(&buffer, 301, 3, 0);
	put_simple_template(&buffer, IPFIX, 300);
	put_simple_data(&buffer, 300, 2, 0);
	decode(bench, &buffer);
	exporter = bench_exporter(bench, IPFIX, 1);
	assert_int_equal(bench->caught.count, 2);
	assert_int_equal(exporter->waiting_sets, 1);
	assert_int_equal(exporter->errors[DECODE_NO_TEMPLATE], 0);

	/* nobody knows how many records the first set had: no loss from that */
	put_header(&buffer, IPFIX, 105, 1);
	put_simple_data(&buffer, 300, 2, 0);
	decode(bench, &buffer);
	assert_int_equal(exporter->lost, 0);
	put_header(&buffer, IPFIX, 110, 1);
	put_simple_data(&buffer, 300, 2, 0);
	decode(bench, &buffer);
	assert_int_equal(exporter->lost, 3);

	/* another domain has its own templates */
	put_header(&buffer, IPFIX, 0, 2);
	put_simple_data(&buffer, 300, 2, 0);
	decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 0);
	assert_int_equal(bench_exporter(bench, IPFIX, 2)->waiting_sets, 1);
	bench_free(bench);
}

static void
test_options(void **state)
{
	static const uint8_t protocols[] = {V9, IPFIX};

	(void) state;
	for (size_t i = 0; i < COUNT(protocols); i++)
	{
		uint8_t		protocol = protocols[i];
		Bench	   *bench = bench_make(8, 8);
		Buffer		buffer;
		Exporter   *exporter;
		size_t		set;

		put_header(&buffer, protocol, 0, 1);
		put_options_template(&buffer, protocol);
		put_simple_template(&buffer, protocol, 300);
		set = begin_set(&buffer, 512);
		put_fill(&buffer, 0x77, 3 * 10);
		put_zeros(&buffer, 2);
		end_set(&buffer, set);
		put_simple_data(&buffer, 300, 2, 0);
		decode(bench, &buffer);

		exporter = bench_exporter(bench, protocol, 1);
		assert_int_equal(bench->caught.count, 2);
		assert_int_equal(exporter->records, 2);
		assert_int_equal(exporter->options, 3);
		assert_int_equal(exporter->templates, 2);
		assert_int_equal(exporter->sampling, 0x77777777);
		assert_int_equal(exporter->sampling_origin, FLOW_SAMPLING_EXPORTER);
		assert_int_equal(exporter_errors(exporter), 0);
		/* RFC 7011, 3.1: options data counts */
		assert_int_equal(exporter->next_sequence, protocol == V9 ? 1 : 5);
		bench_free(bench);
	}
}

static void
test_options_malformed(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;
	Exporter   *exporter;

	(void) state;
	/* v9: octets that are no number of specifiers; more than there are */
	for (uint16_t octets = 1; octets < 20; octets++)
	{
		if (octets == 4 || octets == 8)
			continue;
		put_header(&buffer, V9, octets, 1);
		set = begin_set(&buffer, 1);
		put_u16(&buffer, 512);
		put_u16(&buffer, 4);
		put_u16(&buffer, octets);
		put_fields(&buffer, 3, (const uint16_t[][2]) {{1, 4}, {34, 4}, {10, 2}});
		end_set(&buffer, set);
		decode(bench, &buffer);
	}
	exporter = bench_exporter(bench, V9, 1);
	assert_int_equal(exporter->errors[DECODE_BAD_TEMPLATE], 17);
	assert_int_equal(lru_count(bench->decoder->templates->all), 0);
	bench_free(bench);
}

/* Before the bad one: kept.  The rest of the set: dropped.  Other sets: read. */
static void
test_malformed_template(void **state)
{
	static const struct
	{
		uint16_t	id;
		uint16_t	count;
	}			bad[] = {{255, 1}, {0, 1}, {302, 100}, {302, 65535}, {3, 4}};

	(void) state;
	for (size_t i = 0; i < COUNT(bad); i++)
	{
		Bench	   *bench = bench_make(8, 8);
		Buffer		buffer;
		size_t		set;
		Exporter   *exporter;

		put_header(&buffer, V9, 0, 1);
		set = begin_set(&buffer, 0);
		put_template(&buffer, 300, COUNT(simple_fields), simple_fields);
		put_u16(&buffer, bad[i].id);
		put_u16(&buffer, bad[i].count);
		put_fields(&buffer, COUNT(simple_fields), simple_fields);
		put_template(&buffer, 301, COUNT(simple_fields), simple_fields);
		end_set(&buffer, set);
		put_simple_data(&buffer, 300, 1, 0);
		put_simple_data(&buffer, 301, 1, 0);
		decode(bench, &buffer);
		exporter = bench_exporter(bench, V9, 1);
		assert_int_equal(bench->caught.count, 1);
		assert_int_equal(exporter->errors[DECODE_BAD_TEMPLATE], 1);
		assert_int_equal(exporter->waiting_sets, 1);
		assert_int_equal(exporter_errors(exporter), 1);
		bench_free(bench);
	}
}

/* One that we cannot use does not take the others of its set along. */
static void
test_unusable_template(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;
	Exporter   *exporter;

	(void) state;
	put_header(&buffer, IPFIX, 0, 1);
	set = begin_set(&buffer, 2);
	put_template(&buffer, 301, 2, (const uint16_t[][2]) {{1, 65000}, {2, 65000}});
	put_template(&buffer, 300, COUNT(simple_fields), simple_fields);
	end_set(&buffer, set);
	put_simple_data(&buffer, 300, 1, 0);
	decode(bench, &buffer);
	exporter = bench_exporter(bench, IPFIX, 1);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(exporter->errors[DECODE_BAD_TEMPLATE], 1);
	bench_free(bench);
}

static void
test_withdrawal(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;
	Exporter   *exporter;

	(void) state;
	put_header(&buffer, IPFIX, 0, 1);
	put_simple_template(&buffer, IPFIX, 300);
	set = begin_set(&buffer, 2);
	put_u32(&buffer, 300 << 16);
	put_u32(&buffer, 2 << 16);
	put_template(&buffer, 301, COUNT(simple_fields), simple_fields);
	end_set(&buffer, set);
	set = begin_set(&buffer, 3);
	put_u32(&buffer, 3 << 16);
	put_u32(&buffer, 300 << 16);
	end_set(&buffer, set);
	put_simple_data(&buffer, 300, 2, 0);
	put_simple_data(&buffer, 301, 1, 0);
	decode(bench, &buffer);
	exporter = bench_exporter(bench, IPFIX, 1);
	assert_int_equal(bench->caught.count, 3);
	assert_int_equal(exporter->templates, 2);
	assert_int_equal(exporter_errors(exporter), 0);
	bench_free(bench);
}

static void
test_zero_length_records(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;
	Exporter   *exporter;

	(void) state;
	put_header(&buffer, V9, 0, 1);
	set = begin_set(&buffer, 0);
	put_template(&buffer, 300, 2, (const uint16_t[][2]) {{1, 0}, {2, 0}});
	put_template(&buffer, 301, 0, NULL);
	end_set(&buffer, set);
	put_simple_data(&buffer, 300, 100, 0);
	put_simple_data(&buffer, 301, 100, 0);
	decode(bench, &buffer);
	exporter = bench_exporter(bench, V9, 1);
	assert_int_equal(bench->caught.count, 0);
	assert_int_equal(exporter->errors[DECODE_ZERO_LENGTH], 2);
	assert_int_equal(exporter_errors(exporter), 2);
	assert_int_equal(lru_count(bench->decoder->templates->all), 2);
	bench_free(bench);
}

static void
test_no_octets(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;

	(void) state;
	put_header(&buffer, V9, 0, 1);
	set = begin_set(&buffer, 0);
	put_template(&buffer, 300, 2, (const uint16_t[][2]) {{10, 2}, {2, 2}});
	end_set(&buffer, set);
	put_simple_data(&buffer, 300, 1, 0);
	decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 3);
	assert_false(FLOW_HAS(&bench->caught.flows[0], FLOW_BYTES));
	assert_int_equal(bench_exporter(bench, V9, 1)->no_octets, 3);
	assert_int_equal(bench_exporter(bench, V9, 1)->records, 3);
	bench_free(bench);
}

/* What a record says must not show in the next one. */
static void
test_nothing_stays(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;
	const Flow *flows = bench->caught.flows;

	(void) state;
	put_header(&buffer, IPFIX, 0, 1);
	set = begin_set(&buffer, 2);
	put_template(&buffer, 300, 4, (const uint16_t[][2]) {{34, 4}, {60, 1}, {61, 1}, {8, 4}});
	put_template(&buffer, 301, 1, (const uint16_t[][2]) {{1, 4}});
	end_set(&buffer, set);
	set = begin_set(&buffer, 300);
	put_u32(&buffer, 64);
	put_u8(&buffer, 6);
	put_u8(&buffer, 1);
	put_u32(&buffer, 1);
	put_zeros(&buffer, 10);
	end_set(&buffer, set);
	set = begin_set(&buffer, 301);
	put_u32(&buffer, 5);
	end_set(&buffer, set);
	decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 3);
	assert_int_equal(flows[0].present, FLOW_BIT(FLOW_SAMPLING) | FLOW_BIT(FLOW_DIRECTION) |
					 FLOW_BIT(FLOW_SRC_ADDR));
	assert_int_equal(flows[0].family, 6);
	assert_int_equal(flows[0].sampling_origin, FLOW_SAMPLING_RECORD);
	assert_int_equal(flows[1].present, FLOW_BIT(FLOW_DIRECTION) | FLOW_BIT(FLOW_SRC_ADDR));
	assert_int_equal(flows[1].family, 4);
	assert_int_equal(flows[1].sampling_origin, FLOW_SAMPLING_UNKNOWN);
	assert_int_equal(flows[2].present, FLOW_BIT(FLOW_BYTES));
	assert_int_equal(flows[2].family, 0);
	assert_int_equal(bench_exporter(bench, IPFIX, 1)->sampling, 64);
	assert_int_equal(bench_exporter(bench, IPFIX, 1)->sampling_origin, FLOW_SAMPLING_RECORD);
	bench_free(bench);
}

static void
test_variable_runs_over(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;
	Exporter   *exporter;

	(void) state;
	put_header(&buffer, IPFIX, 0, 1);
	set = begin_set(&buffer, 2);
	put_template(&buffer, 300, 2, (const uint16_t[][2]) {{1, 4}, {82, 65535}});
	end_set(&buffer, set);
	set = begin_set(&buffer, 300);
	put_u32(&buffer, 10);
	put_u8(&buffer, 2);
	put_u16(&buffer, 0x6161);
	put_u32(&buffer, 20);
	put_u8(&buffer, 5);			/* but four are left */
	put_u32(&buffer, 0x61616161);
	end_set(&buffer, set);

	/* the next set has the octets, and is none of the string */
	set = begin_set(&buffer, 300);
	put_u32(&buffer, 30);
	put_u8(&buffer, 0);
	end_set(&buffer, set);
	decode(bench, &buffer);
	exporter = bench_exporter(bench, IPFIX, 1);
	assert_int_equal(bench->caught.count, 2);
	assert_int_equal(bench->caught.bytes, 40);
	assert_int_equal(exporter->errors[DECODE_BAD_LENGTH], 1);
	assert_int_equal(exporter_errors(exporter), 1);
	assert_false(exporter->has_sequence);
	bench_free(bench);
}

static void
test_v9_sequence_counts_datagrams(void **state)
{
	static const uint32_t sequences[] = {5, 6, 9, 8, 10};
	static const uint64_t lost[] = {0, 0, 2, 1, 1};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;

	(void) state;
	for (size_t i = 0; i < COUNT(sequences); i++)
	{
		put_header(&buffer, V9, sequences[i], 1);
		put_simple_template(&buffer, V9, 300);
		put_simple_data(&buffer, 300, 20, 0);
		decode(bench, &buffer);
		assert_int_equal(bench_exporter(bench, V9, 1)->lost, lost[i]);
	}
	bench_free(bench);
}

/* The message's length in the header of IPFIX: every value of it. */
static void
test_ipfix_message_length(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	Exporter   *exporter;

	(void) state;
	put_header(&buffer, IPFIX, 0, 1);
	put_simple_template(&buffer, IPFIX, 300);
	decode(bench, &buffer);
	exporter = bench_exporter(bench, IPFIX, 1);

	put_header(&buffer, IPFIX, 0, 1);
	put_simple_data(&buffer, 300, 3, 0);
	for (uint32_t length = 0; length <= UINT16_MAX; length++)
	{
		uint64_t	bad = exporter->errors[DECODE_BAD_LENGTH];
		uint64_t	trailing = exporter->errors[DECODE_TRAILING];

		patch_u16(&buffer, 2, (uint16_t) length);
		bench_decode(bench, &buffer);
		if (length < 16 || length > buffer.length)
		{
			assert_int_equal(bench->caught.count, 0);
			assert_int_equal(bench->consumed, 0);
			assert_int_equal(exporter->errors[DECODE_BAD_LENGTH], bad + 1);
			continue;
		}

		/* the records that are within the message */
		assert_int_equal(bench->consumed, length);
		assert_int_equal(bench->caught.count, length < 20 ? 0 : (length - 20) / 12);
		assert_int_equal(exporter->errors[DECODE_TRAILING] - trailing, length < buffer.length);
		assert_int_equal(exporter->errors[DECODE_BAD_LENGTH] - bad,
						 length > 16 && length < buffer.length);
	}
	bench_free(bench);
}

/* A message of every kind of set, cut at every octet. */
static void
test_every_truncation(void **state)
{
	static const uint8_t protocols[] = {V9, IPFIX};

	(void) state;
	for (size_t i = 0; i < COUNT(protocols); i++)
	{
		uint8_t		protocol = protocols[i];
		Buffer		buffer;
		size_t		header = protocol == V9 ? 20 : 16;
		size_t		data;

		put_header(&buffer, protocol, 0, 1);
		put_simple_template(&buffer, protocol, 300);
		put_options_template(&buffer, protocol);
		data = buffer.length;
		put_simple_data(&buffer, 300, 3, 0);
		put_simple_data(&buffer, 512, 1, 0);
		if (protocol == IPFIX)
			end_ipfix(&buffer);
		for (size_t length = 0; length < buffer.length; length++)
		{
			Bench	   *bench = bench_make(8, 8);
			Exporter   *exporter;

			/* the message's length says the truth, as if it had been sent so */
			if (protocol == IPFIX && length >= header)
				patch_u16(&buffer, 2, (uint16_t) length);
			bench_decode_bytes(bench, buffer.data, length, false);
			exporter = bench_exporter(bench, length < 2 ? 0 : protocol, length < header ? 0 : 1);
			assert_int_equal(exporter->errors[DECODE_SHORT], length < header);
			assert_int_equal(bench->consumed, length < header ? 0 : length);
			assert_int_equal(bench->caught.count, length < data + 40 ? 0 : 3);
			if (length >= header)
				assert_true(exporter_errors(exporter) <= 1);
			bench_free(bench);
		}
	}
}

/* The same templates from two processes of a router, each with its own port. */
static void
test_ports(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;

	(void) state;
	put_header(&buffer, V9, 0, 1);
	put_simple_template(&buffer, V9, 300);
	decode(bench, &buffer);

	bench->datagram.port = 2;
	put_header(&buffer, V9, 1, 1);
	set = begin_set(&buffer, 0);
	put_template(&buffer, 300, 2, (const uint16_t[][2]) {{2, 4}, {1, 4}});
	end_set(&buffer, set);
	put_simple_data(&buffer, 300, 2, 0);
	decode(bench, &buffer);
	assert_int_equal(bench->caught.flows[0].bytes, 1);
	assert_int_equal(bench->caught.count, 3);

	bench->datagram.port = 4711;
	put_header(&buffer, V9, 2, 1);
	put_simple_data(&buffer, 300, 2, 0);
	decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 2);
	assert_int_equal(bench->caught.bytes, 300);
	assert_int_equal(bench_exporter(bench, V9, 1)->lost, 0);
	bench_free(bench);
}

/* As many sets and templates as a datagram can hold. */
static void
test_full_datagrams(void **state)
{
	Bench	   *bench = bench_make(64, 64);
	Buffer		buffer;
	size_t		set;

	(void) state;
	put_header(&buffer, V9, 0, 1);
	set = begin_set(&buffer, 0);
	for (uint32_t id = 256; buffer.length + 8 < 65500; id++)
		put_template(&buffer, (uint16_t) id, 1, (const uint16_t[][2]) {{1, 1}});
	end_set(&buffer, set);
	decode(bench, &buffer);
	assert_int_equal(lru_count(bench->decoder->templates->all), 64);
	assert_int_equal(bench_exporter(bench, V9, 1)->templates, 8184);

	put_header(&buffer, V9, 1, 1);
	put_simple_template(&buffer, V9, 300);
	while (buffer.length + 4 < 65500)
		end_set(&buffer, begin_set(&buffer, 300));
	decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 0);
	assert_int_equal(exporter_errors(bench_exporter(bench, V9, 1)), 0);

	/* records of one octet */
	put_header(&buffer, V9, 2, 1);
	set = begin_set(&buffer, 0);
	put_template(&buffer, 300, 1, (const uint16_t[][2]) {{1, 1}});
	end_set(&buffer, set);
	set = begin_set(&buffer, 300);
	put_fill(&buffer, 1, 60000);
	end_set(&buffer, set);
	decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 60000);
	assert_int_equal(bench->caught.bytes, 60000);
	bench_free(bench);
}

/* More templates than an exporter may have: counted with it. */
/* Elements of all kinds, each with a length that it can have. */
static const uint16_t any_fields[][2] = {
	{1, 4}, {1, 8}, {1, 3}, {85, 8}, {2, 4}, {2, 8}, {10, 2}, {10, 4}, {14, 2}, {14, 4},
	{16, 2}, {16, 4}, {17, 4}, {17, 3}, {8, 4}, {12, 4}, {27, 16}, {28, 16}, {61, 1}, {61, 2},
	{34, 4}, {34, 2}, {48, 1}, {60, 1}, {58, 2}, {59, 2}, {21, 4}, {22, 4}, {152, 8}, {153, 8},
	{150, 4}, {151, 4}, {156, 8}, {158, 4}, {7, 2}, {4, 1}, {95, 5}
};

static Template *
only_template(Bench *bench)
{
	uint32_t	position = 0;

	return lru_next(bench->decoder->templates->all, &position);
}

static void
assert_same_flow(const Flow *a, const Flow *b, bool addresses)
{
	uint32_t	of_addresses = FLOW_BIT(FLOW_SRC_ADDR) | FLOW_BIT(FLOW_DST_ADDR);

#define ASSERT_SAME(field, member) \
	assert_true(!FLOW_HAS(a, field) || memcmp(&a->member, &b->member, sizeof(a->member)) == 0)

	assert_int_equal(a->present, addresses ? b->present : b->present & ~of_addresses);
	assert_int_equal(a->family, b->family);
	assert_int_equal(a->domain, b->domain);
	assert_int_equal(a->received, b->received);
	assert_int_equal(a->exported, b->exported);
	assert_int_equal(a->sampling_origin, b->sampling_origin);
	assert_int_equal(a->reverse, b->reverse);
	ASSERT_SAME(FLOW_BYTES, bytes);
	ASSERT_SAME(FLOW_PACKETS, packets);
	ASSERT_SAME(FLOW_IN_IF, in_if);
	ASSERT_SAME(FLOW_OUT_IF, out_if);
	ASSERT_SAME(FLOW_SRC_AS, src_as);
	ASSERT_SAME(FLOW_DST_AS, dst_as);
	ASSERT_SAME(FLOW_SRC_ADDR, src_addr);
	ASSERT_SAME(FLOW_DST_ADDR, dst_addr);
	ASSERT_SAME(FLOW_IN_VLAN, in_vlan);
	ASSERT_SAME(FLOW_OUT_VLAN, out_vlan);
	ASSERT_SAME(FLOW_SAMPLING, sampling);
	ASSERT_SAME(FLOW_FIRST, first);
	ASSERT_SAME(FLOW_LAST, last);
	ASSERT_SAME(FLOW_DIRECTION, direction);
#undef ASSERT_SAME
}

/* Many records at a time say what they say one by one, whatever the template. */
static void
test_columns(void **state)
{
	uint64_t	random = 20261125;
	uint32_t	by_columns = 0;

	(void) state;
	for (int round = 0; round < 400; round++)
	{
		uint8_t		protocol = round % 2 == 0 ? V9 : IPFIX;
		uint16_t	fields[12][2];
		size_t		count = 1 + random_next(&random) % COUNT(fields);
		size_t		length = 0;
		uint32_t	records = random_next(&random) % 50;
		bool		addresses = round % 3 != 0;
		Bench	   *benches[2];
		Buffer		buffer;
		size_t		set;

		for (size_t i = 0; i < count; i++)
		{
			memcpy(fields[i], any_fields[random_next(&random) % COUNT(any_fields)], sizeof(fields[i]));
			length += fields[i][1];
		}
		put_header(&buffer, protocol, 1, 7);
		set = begin_set(&buffer, templates_id(protocol, false));
		put_template(&buffer, 300, count, (const uint16_t (*)[2]) fields);
		end_set(&buffer, set);
		for (int i = 0; i < 2; i++)
		{
			benches[i] = bench_make(8, 8);
			decode(benches[i], &buffer);
		}
		by_columns += only_template(benches[0])->columns;
		only_template(benches[1])->columns = false;
		benches[0]->sinks.no_addresses = !addresses && only_template(benches[0])->columns;

		put_header(&buffer, protocol, 2, 7);
		set = begin_set(&buffer, 300);
		/* small numbers too, which fit where others do not */
		for (size_t i = 0; i < records * length && buffer.length < sizeof(buffer.data) - 64; i++)
			put_u8(&buffer, random_next(&random) % 3 == 0 ? (uint8_t) random_next(&random) : 0);
		end_set(&buffer, set);
		for (int i = 0; i < 2; i++)
			decode(benches[i], &buffer);

		assert_int_equal(benches[0]->caught.count, benches[1]->caught.count);
		assert_int_equal(benches[0]->caught.bytes, benches[1]->caught.bytes);
		for (uint64_t i = 0; i < benches[0]->caught.count && i < COUNT(benches[0]->caught.flows); i++)
			assert_same_flow(&benches[0]->caught.flows[i], &benches[1]->caught.flows[i],
							 !benches[0]->sinks.no_addresses);
		assert_int_equal(exporter_errors(bench_exporter(benches[0], protocol, 7)),
						 exporter_errors(bench_exporter(benches[1], protocol, 7)));
		for (int i = 0; i < 2; i++)
			bench_free(benches[i]);
	}
	assert_true(by_columns >= 200 && by_columns <= 399);
}

static void
test_too_many_templates(void **state)
{
	Bench	   *bench = bench_make(8, 1024);
	Buffer		buffer;

	(void) state;
	for (uint16_t i = 0; i < TEMPLATE_MAX_OF_ADDRESS + 10; i++)
	{
		put_header(&buffer, V9, i, 1);
		put_simple_template(&buffer, V9, 300 + i);
		decode(bench, &buffer);
	}
	assert_int_equal(bench_exporter(bench, V9, 1)->templates, TEMPLATE_MAX_OF_ADDRESS + 10);
	assert_int_equal(bench_exporter(bench, V9, 1)->templates_pushed_out, 10);
	assert_int_equal(bench->decoder->templates->pushed_out, 10);
	assert_int_equal(lru_count(bench->decoder->templates->all), TEMPLATE_MAX_OF_ADDRESS);
	put_header(&buffer, V9, 0, 1);
	put_simple_data(&buffer, 300, 1, 0);
	put_simple_data(&buffer, 310, 1, 0);
	decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 1);
	bench_free(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_template_and_data),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_padding_behind_templates),
		cmocka_unit_test(test_zero_filled),
		cmocka_unit_test(test_v9_count_is_not_trusted),
		cmocka_unit_test(test_set_length),
		cmocka_unit_test(test_odd_sets),
		cmocka_unit_test(test_no_template),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_options_malformed),
		cmocka_unit_test(test_malformed_template),
		cmocka_unit_test(test_unusable_template),
		cmocka_unit_test(test_withdrawal),
		cmocka_unit_test(test_zero_length_records),
		cmocka_unit_test(test_no_octets),
		cmocka_unit_test(test_nothing_stays),
		cmocka_unit_test(test_variable_runs_over),
		cmocka_unit_test(test_v9_sequence_counts_datagrams),
		cmocka_unit_test(test_ipfix_message_length),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_full_datagrams),
		cmocka_unit_test(test_too_many_templates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
