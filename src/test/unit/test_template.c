/*
 * test_template.c
 *	  Templates: which field is used, how records are read, whose they are.
 */
#include "build_packet.h"

#include "steps.h"

#define EXPORT_TIME		INT64_C(1000000000000)

/* A table of templates and one record's way through it. */
typedef struct Table
{
	TemplateTable *templates;
	TemplateKey key;
	StepsClock	clock;
	StepsRecord record;
} Table;

static Table *
table_make(uint32_t capacity, uint8_t protocol)
{
	Table	   *table = calloc(1, sizeof(Table));

	assert_non_null(table);
	table->templates = template_table_init(malloc(template_table_size(capacity)), capacity);
	table->key.domain = 1;
	table->key.port = 1000;
	table->key.id = 256;
	table->key.protocol = protocol;
	table->key.known = true;
	table->clock.export_time = EXPORT_TIME;
	table->clock.uptime = 600000;
	return table;
}

static void
table_free(Table *table)
{
	free(table->templates);
	free(table);
}

static TemplateResult
learn_specifiers(Table *table, Packet *packet, uint16_t count, int64_t now)
{
	return template_learn(table->templates, &table->key,
						  &(TemplateShape) {.field_count = count}, packet, now);
}

static TemplateResult
learn(Table *table, size_t count, const uint16_t fields[][2], int64_t now)
{
	Buffer		buffer = {0};
	Packet		packet;
	TemplateResult result;

	put_fields(&buffer, count, fields);
	packet = packet_init(buffer.data, buffer.length);
	result = learn_specifiers(table, &packet, (uint16_t) count, now);
	if (result != TEMPLATE_MALFORMED)
		assert_int_equal(packet_left(&packet), 0);
	return result;
}

/* Runs the record in memory of just its size; nothing may be left of it. */
static TemplateResult
run(Table *table, const Buffer *record)
{
	Template   *template = template_find(table->templates, &table->key);
	uint8_t    *copy = malloc(record->length + 1);
	Packet		packet = packet_init(copy, record->length);
	TemplateResult result;

	assert_non_null(template);
	memcpy(copy, record->data, record->length);
	memset(&table->record, 0xee, sizeof(table->record));
	result = steps_run(template, &table->clock, &packet, &table->record);
	assert_int_equal(packet_left(&packet), result == TEMPLATE_OK ? 0 : record->length);
	free(copy);
	return result;
}

/* One template of "fields", one record. */
#define CHECK_RUN(table, fields, record) \
	do { \
		assert_int_equal(learn(table, COUNT(fields), fields, 1), TEMPLATE_OK); \
		assert_int_equal(run(table, record), TEMPLATE_OK); \
	} while (0)

static void
test_all_fields(void **state)
{
	static const uint16_t fields[][2] = {
		{8, 4}, {12, 4}, {15, 4}, {10, 4}, {14, 4}, {2, 8}, {1, 8}, {7, 2}, {11, 2},
		{16, 4}, {17, 4}, {58, 2}, {59, 2}, {61, 1}, {34, 4}, {60, 1}, {152, 8}, {153, 8}
	};
	const uint8_t source[16] = {[10] = 0xff, [11] = 0xff, 10, 1, 2, 3};
	const uint8_t destination[16] = {[10] = 0xff, [11] = 0xff, 10, 4, 5, 6};
	Table	   *table = table_make(4, FLOW_IPFIX);
	const Flow *flow = &table->record.flow;
	Buffer		record = {0};

	(void) state;
	put_u32(&record, 0x0a010203);
	put_u32(&record, 0x0a040506);
	put_u32(&record, 0xffffffff);
	put_u32(&record, 11);
	put_u32(&record, 4000000000);
	put_u64(&record, 5);
	put_u64(&record, UINT64_C(0x0102030405060708));
	put_u32(&record, 0xffffffff);
	put_u32(&record, 4200000000);
	put_u32(&record, 64500);
	put_u16(&record, 100);
	put_u16(&record, 4095);
	put_u8(&record, 1);
	put_u32(&record, 512);
	put_u8(&record, 4);
	put_u64(&record, 1700000000001);
	put_u64(&record, 1700000000002);
	CHECK_RUN(table, fields, &record);

	assert_int_equal(flow->present, FLOW_BIT(FLOW_DIRECTION + 1) - 1);
	assert_memory_equal(flow->src_addr.octets, source, 16);
	assert_memory_equal(flow->dst_addr.octets, destination, 16);
	assert_int_equal(flow->in_if, 11);
	assert_int_equal(flow->out_if, 4000000000);
	assert_int_equal(flow->packets, 5);
	assert_int_equal(flow->bytes, UINT64_C(0x0102030405060708));
	assert_int_equal(flow->src_as, 4200000000);
	assert_int_equal(flow->dst_as, 64500);
	assert_int_equal(flow->in_vlan, 100);
	assert_int_equal(flow->out_vlan, 4095);
	assert_int_equal(flow->direction, 1);
	assert_int_equal(flow->sampling, 512);
	assert_int_equal(flow->sampling_origin, FLOW_SAMPLING_RECORD);
	assert_int_equal(flow->family, 4);
	assert_int_equal(flow->first, INT64_C(1700000000001000));
	assert_int_equal(flow->last, INT64_C(1700000000002000));
	table_free(table);
}

/* RFC 7011, 6.2: every width, between neighbours that must not leak in. */
static void
test_every_width(void **state)
{
	Table	   *table = table_make(4, FLOW_IPFIX);

	(void) state;
	for (uint16_t width = 1; width <= 8; width++)
	{
		const uint16_t fields[][2] = {{7, 2}, {1, width}, {10, width}, {58, width}, {11, 2}};
		Buffer		record = {0};
		uint64_t	octets = UINT64_C(0xf1f2f3f4f5f6f7f8) >> 8 * (8 - width);

		put_u16(&record, 0xffff);
		put_number(&record, octets, width);
		put_number(&record, 200 + width, width);
		put_number(&record, 100 + width, width);
		put_u16(&record, 0xffff);
		CHECK_RUN(table, fields, &record);
		assert_int_equal(table->record.flow.bytes, octets);
		assert_int_equal(table->record.flow.in_if, 200 + width);
		assert_int_equal(table->record.flow.in_vlan, 100 + width);
		assert_int_equal(table->record.flow.present, FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_IN_IF) |
						 FLOW_BIT(FLOW_IN_VLAN));
		assert_int_equal(table->record.flow.family, 0);
	}
	table_free(table);
}

/* What does not fit is absent, not cut. */
static void
test_too_wide(void **state)
{
	static const uint16_t wide[][2] = {{1, 9}, {2, 291}, {10, 16}, {8, 8}, {27, 4}, {16, 4}};
	static const uint16_t large[][2] = {{10, 8}, {16, 5}, {58, 4}, {34, 8}, {61, 2}, {14, 8}};
	Table	   *table = table_make(4, FLOW_IPFIX);
	Buffer		record = {0};

	(void) state;
	put_fill(&record, 0x11, 9 + 291 + 16 + 8 + 4);
	put_u32(&record, 7);
	CHECK_RUN(table, wide, &record);
	assert_int_equal(table->record.flow.present, FLOW_BIT(FLOW_SRC_AS));
	assert_int_equal(table->record.flow.src_as, 7);
	assert_int_equal(table->record.flow.family, 0);

	record.length = 0;
	put_u64(&record, UINT64_C(1) << 32);
	put_number(&record, UINT64_C(1) << 32, 5);
	put_u32(&record, 65536);
	put_u64(&record, UINT64_C(1) << 32);
	put_u16(&record, 2);
	put_u64(&record, UINT32_MAX);
	CHECK_RUN(table, large, &record);
	assert_int_equal(table->record.flow.present, FLOW_BIT(FLOW_OUT_IF));
	assert_int_equal(table->record.flow.out_if, UINT32_MAX);
	assert_int_equal(table->record.flow.sampling_origin, FLOW_SAMPLING_UNKNOWN);
	table_free(table);
}

/* Takes away the best of the rest, one after the other. */
static void
check_priority(const uint16_t *order, size_t count, FlowField field, const uint64_t *member,
			   Table *table)
{
	for (size_t best = 0; best < count; best++)
	{
		uint16_t	fields[8][2];
		Buffer		record = {0};
		size_t		i;

		/* the best one is last in the template */
		for (i = 0; i < count - best; i++)
		{
			fields[i][0] = order[count - 1 - i];
			fields[i][1] = 4;
			put_u32(&record, order[count - 1 - i]);
		}
		assert_int_equal(learn(table, i, fields, 1), TEMPLATE_OK);
		assert_int_equal(run(table, &record), TEMPLATE_OK);
		assert_int_equal(table->record.flow.present, FLOW_BIT(field));
		assert_int_equal(*member, order[best]);
	}
}

static void
test_priority(void **state)
{
	static const uint16_t octets[] = {1, 85, 352, 23, 231};
	static const uint16_t packets[] = {2, 86, 24, 298};
	static const uint16_t others[][2] = {
		{252, 4}, {10, 4}, {14, 4}, {253, 4}, {243, 2}, {58, 2}, {59, 2}, {254, 2},
		{34, 4}
	};
	static const uint16_t second[][2] = {{252, 4}, {253, 4}, {243, 2}, {254, 2}, {305, 4}};
	Table	   *table = table_make(4, FLOW_IPFIX);
	const Flow *flow = &table->record.flow;
	Buffer		record = {0};

	(void) state;
	/* reverse order within, so that a second look at it would be seen */
	check_priority(octets, COUNT(octets), FLOW_BYTES, &flow->bytes, table);
	check_priority(packets, COUNT(packets), FLOW_PACKETS, &flow->packets, table);

	for (size_t i = 0; i < COUNT(others); i++)
		put_number(&record, others[i][0], others[i][1]);
	CHECK_RUN(table, others, &record);
	assert_int_equal(flow->in_if, 10);
	assert_int_equal(flow->out_if, 14);
	assert_int_equal(flow->in_vlan, 58);
	assert_int_equal(flow->out_vlan, 59);
	assert_int_equal(flow->sampling, 34);

	record.length = 0;
	for (size_t i = 0; i < COUNT(second); i++)
		put_number(&record, second[i][0], second[i][1]);
	CHECK_RUN(table, second, &record);
	assert_int_equal(flow->in_if, 252);
	assert_int_equal(flow->out_if, 253);
	assert_int_equal(flow->in_vlan, 243);
	assert_int_equal(flow->out_vlan, 254);
	assert_false(FLOW_HAS(flow, FLOW_SAMPLING));
	assert_int_equal(steps_number(&table->record, ELEMENT_PACKET_INTERVAL), 305);
	table_free(table);
}

static void
test_first_occurrence_counts(void **state)
{
	static const uint16_t fields[][2] = {{1, 0}, {1, 4}, {1, 8}, {10, 2}, {10, 2}, {23, 4}};
	Table	   *table = table_make(4, FLOW_NETFLOW_V9);
	Buffer		record = {0};

	(void) state;
	put_u32(&record, 100);
	put_u64(&record, 200);
	put_u16(&record, 1);
	put_u16(&record, 2);
	put_u32(&record, 300);
	CHECK_RUN(table, fields, &record);
	assert_int_equal(table->record.flow.bytes, 100);
	assert_int_equal(table->record.flow.in_if, 1);
	table_free(table);
}

/* A field of length 0 is not there: the next best one serves. */
static void
test_zero_length_fields(void **state)
{
	static const uint16_t fields[][2] = {{1, 0}, {23, 4}, {10, 0}, {8, 0}, {16, 0}};
	static const uint16_t nothing[][2] = {{1, 0}, {10, 0}};
	Table	   *table = table_make(4, FLOW_NETFLOW_V9);
	Buffer		record = {0};

	(void) state;
	put_u32(&record, 77);
	CHECK_RUN(table, fields, &record);
	assert_int_equal(table->record.flow.present, FLOW_BIT(FLOW_BYTES));
	assert_int_equal(table->record.flow.bytes, 77);

	assert_int_equal(learn(table, COUNT(nothing), nothing, 2), TEMPLATE_OK);
	assert_int_equal(template_find(table->templates, &table->key)->record_length, 0);
	assert_int_equal(run(table, &record), TEMPLATE_END);
	table_free(table);
}

static void
test_sampling_zero_is_absent(void **state)
{
	static const uint16_t fields[][2] = {{34, 4}, {1, 4}};
	Table	   *table = table_make(4, FLOW_NETFLOW_V9);
	Buffer		record = {0};

	(void) state;
	put_u32(&record, 0);
	put_u32(&record, 1);
	CHECK_RUN(table, fields, &record);
	assert_false(FLOW_HAS(&table->record.flow, FLOW_SAMPLING));
	assert_int_equal(table->record.flow.sampling_origin, FLOW_SAMPLING_UNKNOWN);
	table_free(table);
}

/* Runs a record with both kinds of addresses; "version" 0: without element 60. */
static void
run_both_families(Table *table, bool sources, uint8_t version, uint32_t ipv4, uint8_t ipv6)
{
	static const uint16_t with[][2] = {{8, 4}, {27, 16}, {12, 4}, {28, 16}, {60, 1}};
	Buffer		record = {0};

	/* "sources" or only destinations */
	put_u32(&record, sources ? ipv4 : 0);
	put_fill(&record, sources ? ipv6 : 0, 16);
	put_u32(&record, sources ? 0 : ipv4);
	put_fill(&record, sources ? 0 : ipv6, 16);
	if (version != 0)
		put_u8(&record, version);
	assert_int_equal(learn(table, version != 0 ? 5 : 4, with, 1), TEMPLATE_OK);
	assert_int_equal(run(table, &record), TEMPLATE_OK);
}

static void
test_family(void **state)
{
	static const uint16_t ipv6[][2] = {{28, 16}, {27, 16}};
	static const uint16_t ipv4[][2] = {{12, 4}};
	static const uint16_t version[][2] = {{60, 1}};
	Table	   *table = table_make(4, FLOW_IPFIX);
	const Flow *flow = &table->record.flow;
	Buffer		record = {0};

	(void) state;
	put_fill(&record, 0x20, 16);
	put_fill(&record, 0x30, 16);
	CHECK_RUN(table, ipv6, &record);
	assert_int_equal(flow->family, 6);
	assert_memory_equal(flow->dst_addr.octets, record.data, 16);
	assert_memory_equal(flow->src_addr.octets, record.data + 16, 16);

	record.length = 0;
	put_u32(&record, 1);
	CHECK_RUN(table, ipv4, &record);
	assert_int_equal(flow->family, 4);
	assert_int_equal(flow->present, FLOW_BIT(FLOW_DST_ADDR));

	record.length = 0;
	put_u8(&record, 6);
	CHECK_RUN(table, version, &record);
	assert_int_equal(flow->family, 6);
	record.data[0] = 5;
	CHECK_RUN(table, version, &record);
	assert_int_equal(flow->family, 0);

	run_both_families(table, true, 0, 0x01020304, 0);
	assert_int_equal(flow->family, 4);
	assert_int_equal(flow->src_addr.octets[15], 4);
	run_both_families(table, true, 0, 0, 0x26);
	assert_int_equal(flow->family, 6);
	assert_int_equal(flow->src_addr.octets[0], 0x26);
	run_both_families(table, false, 0, 1, 0);
	assert_int_equal(flow->family, 4);
	run_both_families(table, false, 0, 1, 1);
	assert_int_equal(flow->family, 4);
	run_both_families(table, false, 0, 0, 1);
	assert_int_equal(flow->family, 6);
	run_both_families(table, true, 0, 0, 0);
	assert_int_equal(flow->family, 4);
	run_both_families(table, true, 0, 1, 1);
	assert_int_equal(flow->family, 4);
	run_both_families(table, true, 6, 1, 0x26);
	assert_int_equal(flow->family, 6);
	assert_int_equal(flow->src_addr.octets[0], 0x26);
	run_both_families(table, true, 4, 1, 0x26);
	assert_int_equal(flow->family, 4);
	assert_int_equal(flow->src_addr.octets[15], 1);
	table_free(table);
}

/* Runs one pair of time fields of 8 octets (or 4) each. */
static void
run_times(Table *table, uint16_t element, uint16_t width, uint64_t first, uint64_t last)
{
	const uint16_t fields[][2] = {{element, width}, {(uint16_t) (element + 1), width}};
	Buffer		record = {0};

	put_number(&record, first, width);
	put_number(&record, last, width);
	CHECK_RUN(table, fields, &record);
	assert_int_equal(table->record.flow.present, FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST));
}

static void
test_times(void **state)
{
	Table	   *table = table_make(4, FLOW_IPFIX);
	const Flow *flow = &table->record.flow;
	const uint64_t ntp = UINT64_C(2208989800) << 32;

	(void) state;
	run_times(table, 150, 4, 1000, 1001);
	assert_int_equal(flow->first, 1000000000);
	assert_int_equal(flow->last, 1001000000);
	run_times(table, 152, 8, 1000, 1001);
	assert_int_equal(flow->first, 1000000);
	assert_int_equal(flow->last, 1001000);
	run_times(table, 154, 8, ntp, ntp | 0x40000000);
	assert_int_equal(flow->first, 1000000000);
	assert_int_equal(flow->last, 1000250000);
	run_times(table, 156, 8, ntp | 0x80000000, 0);
	assert_int_equal(flow->first, 1000500000);
	assert_int_equal(flow->last, INT64_C(2085978496000000));
	run_times(table, 158, 4, 5000000, 0);
	assert_int_equal(flow->first, EXPORT_TIME - 5000000);
	assert_int_equal(flow->last, EXPORT_TIME);

	/* nonsense stays where differences can be taken */
	run_times(table, 150, 8, UINT64_MAX, 0);
	assert_true(flow->first > flow->last && flow->last - flow->first < 0);
	run_times(table, 152, 8, UINT64_MAX, UINT64_MAX - 1);
	run_times(table, 158, 8, UINT64_MAX, UINT64_C(1) << 63);
	assert_true(flow->first < 0);
	run_times(table, 154, 8, UINT64_MAX, UINT64_C(1) << 63);
	table_free(table);
}

static void
test_times_priority(void **state)
{
	static const uint16_t all[][2] = {
		{22, 4}, {158, 4}, {150, 4}, {154, 8}, {156, 8}, {152, 8}, {21, 4}, {151, 4}, {159, 4}
	};
	Table	   *table = table_make(4, FLOW_NETFLOW_V9);
	Buffer		record = {0};

	(void) state;
	for (size_t i = 0; i < COUNT(all); i++)
		put_number(&record, all[i][0], all[i][1]);
	CHECK_RUN(table, all, &record);
	assert_int_equal(table->record.flow.first, 152000);	/* milliseconds */
	assert_int_equal(table->record.flow.last, 151000000);	/* seconds */
	table_free(table);
}

static void
test_uptime(void **state)
{
	static const uint16_t fields[][2] = {{22, 4}, {21, 4}, {160, 8}};
	Table	   *v9 = table_make(4, FLOW_NETFLOW_V9);
	Table	   *ipfix = table_make(4, FLOW_IPFIX);
	Buffer		record = {0};

	(void) state;
	put_u32(&record, 599000);
	put_u32(&record, UINT32_MAX);
	assert_int_equal(learn(v9, 2, fields, 1), TEMPLATE_OK);
	assert_int_equal(run(v9, &record), TEMPLATE_OK);
	assert_int_equal(v9->record.flow.first, EXPORT_TIME - 1000000);
	assert_int_equal(v9->record.flow.last, EXPORT_TIME - 600001000);

	/* IPFIX: not without the time of the start */
	assert_int_equal(learn(ipfix, 2, fields, 1), TEMPLATE_OK);
	assert_int_equal(run(ipfix, &record), TEMPLATE_OK);
	assert_int_equal(ipfix->record.flow.present, 0);
	put_u64(&record, EXPORT_TIME / 1000 - 700000);
	assert_int_equal(learn(ipfix, 3, fields, 1), TEMPLATE_OK);
	assert_int_equal(run(ipfix, &record), TEMPLATE_OK);
	assert_int_equal(ipfix->record.flow.first, EXPORT_TIME - 101000000);
	assert_int_equal(ipfix->record.flow.last, EXPORT_TIME - 700001000);

	/* started 100 days ago: the uptime has wrapped twice */
	record.length = 0;
	put_u32(&record, (uint32_t) (UINT64_C(8640000000) - 5000));
	put_u32(&record, (uint32_t) UINT64_C(8640000000));
	put_u64(&record, (uint64_t) (INT64_C(10000000000) - 8640000000));
	ipfix->clock.export_time = INT64_C(10000000000000);
	assert_int_equal(run(ipfix, &record), TEMPLATE_OK);
	assert_int_equal(ipfix->record.flow.first, ipfix->clock.export_time - 5000000);
	assert_int_equal(ipfix->record.flow.last, ipfix->clock.export_time);

	/* nonsense */
	memset(record.data + 8, 0xff, 8);
	assert_int_equal(run(ipfix, &record), TEMPLATE_OK);
	table_free(v9);
	table_free(ipfix);
}

/* Octets, a string, an interface, a string, an AS number. */
static const uint16_t variable_fields[][2] = {
	{1, 4}, {82, 65535}, {10, 2}, {83, 65535}, {16, 4}, {7, 2}
};

static void
put_string(Buffer *buffer, size_t length, bool long_form)
{
	if (long_form)
	{
		put_u8(buffer, 255);
		put_u16(buffer, (uint16_t) length);
	}
	else
		put_u8(buffer, (uint8_t) length);
	put_fill(buffer, 'x', length);
}

static void
put_variable_record(Buffer *buffer, size_t first, size_t second, bool long_form)
{
	put_u32(buffer, 1500);
	put_string(buffer, first, long_form);
	put_u16(buffer, 23);
	put_string(buffer, second, long_form);
	put_u32(buffer, 64500);
	put_u16(buffer, 0xffff);
}

static void
test_variable_length(void **state)
{
	Table	   *table = table_make(4, FLOW_IPFIX);
	static const size_t lengths[] = {0, 1, 7, 254, 255, 300, 20000};

	(void) state;
	assert_int_equal(learn(table, COUNT(variable_fields), variable_fields, 1), TEMPLATE_OK);
	for (size_t i = 0; i < COUNT(lengths); i++)
		for (int form = 0; form <= 1; form++)
		{
			Buffer		record = {0};

			if (form == 0 && lengths[i] > 254)
				continue;
			put_variable_record(&record, lengths[i], lengths[COUNT(lengths) - 1 - i] % 255,
								form == 1);
			assert_int_equal(run(table, &record), TEMPLATE_OK);
			assert_int_equal(table->record.flow.bytes, 1500);
			assert_int_equal(table->record.flow.in_if, 23);
			assert_int_equal(table->record.flow.src_as, 64500);
		}
	table_free(table);
}

/* Every length of a record: shorter than the least is padding, else an error. */
static void
test_variable_truncated(void **state)
{
	Table	   *table = table_make(4, FLOW_IPFIX);
	Buffer		record = {0};
	const size_t least = 4 + 1 + 2 + 1 + 4 + 2;

	(void) state;
	assert_int_equal(learn(table, COUNT(variable_fields), variable_fields, 1), TEMPLATE_OK);
	assert_int_equal(template_find(table->templates, &table->key)->record_length, least);
	put_variable_record(&record, 10, 5, true);
	for (size_t length = record.length; length-- > 0;)
	{
		record.length = length;
		assert_int_equal(run(table, &record),
						 length < least ? TEMPLATE_END : TEMPLATE_MALFORMED);
	}
	table_free(table);
}

/* Elements that we read, but sent with variable length. */
static void
test_variable_elements(void **state)
{
	static const uint16_t fields[][2] = {{1, 65535}, {8, 65535}, {27, 65535}, {10, 65535}};
	Table	   *table = table_make(4, FLOW_IPFIX);
	Buffer		record = {0};

	(void) state;
	put_u8(&record, 3);
	put_number(&record, 0x010203, 3);
	put_u8(&record, 5);			/* no IPv4 address has five octets */
	put_fill(&record, 1, 5);
	put_u8(&record, 16);
	put_fill(&record, 0x20, 16);
	put_u8(&record, 0);
	CHECK_RUN(table, fields, &record);
	assert_int_equal(table->record.flow.present, FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_SRC_ADDR));
	assert_int_equal(table->record.flow.bytes, 0x010203);
	assert_int_equal(table->record.flow.family, 6);
	table_free(table);
}

static void
test_enterprise(void **state)
{
	Table	   *table = table_make(4, FLOW_IPFIX);
	Buffer		specifiers = {0};
	Buffer		record = {0};
	Packet		packet;

	(void) state;
	/* somebody's own element 1, then the real one; own strings as well */
	put_u16(&specifiers, 0x8001);
	put_u16(&specifiers, 4);
	put_u32(&specifiers, 29305);
	put_u16(&specifiers, 0x8052);
	put_u16(&specifiers, 65535);
	put_u32(&specifiers, 9);
	put_u16(&specifiers, 1);
	put_u16(&specifiers, 4);
	packet = packet_init(specifiers.data, specifiers.length);
	assert_int_equal(learn_specifiers(table, &packet, 3, 1),
					 TEMPLATE_OK);
	put_u32(&record, 999);
	put_string(&record, 3, false);
	put_u32(&record, 55);
	assert_int_equal(run(table, &record), TEMPLATE_OK);
	assert_int_equal(table->record.flow.bytes, 55);

	/* every specifier cut short */
	for (size_t length = 0; length < specifiers.length; length++)
	{
		packet = packet_init(specifiers.data, length);
		assert_int_equal(learn_specifiers(table, &packet, 3, 1),
						 TEMPLATE_MALFORMED);
	}
	assert_int_equal(run(table, &record), TEMPLATE_OK);
	table_free(table);
}

/* In v9 the top bit of a type means nothing. */
static void
test_v9_has_no_enterprise(void **state)
{
	static const uint16_t fields[][2] = {{0x8001, 4}, {1, 4}, {57590, 2}};
	Table	   *table = table_make(4, FLOW_NETFLOW_V9);
	Buffer		record = {0};

	(void) state;
	put_u32(&record, 999);
	put_u32(&record, 55);
	put_u16(&record, 1);
	CHECK_RUN(table, fields, &record);
	assert_int_equal(table->record.flow.bytes, 55);
	table_free(table);
}

static void
test_changed_template(void **state)
{
	static const uint16_t before[][2] = {{1, 4}, {2, 4}};
	static const uint16_t after[][2] = {{2, 4}, {1, 4}};
	Table	   *table = table_make(4, FLOW_NETFLOW_V9);
	Template   *template;
	Buffer		record = {0};

	(void) state;
	put_u32(&record, 1000);
	put_u32(&record, 10);
	assert_int_equal(learn(table, 2, before, 100), TEMPLATE_OK);
	template = template_find(table->templates, &table->key);
	template->records = 5;
	assert_int_equal(run(table, &record), TEMPLATE_OK);
	assert_int_equal(table->record.flow.bytes, 1000);

	/* sent again: the same one */
	assert_int_equal(learn(table, 2, before, 200), TEMPLATE_OK);
	assert_int_equal(template->first_seen, 100);
	assert_int_equal(template->last_seen, 200);
	assert_int_equal(template->records, 5);

	assert_int_equal(learn(table, 2, after, 300), TEMPLATE_OK);
	assert_int_equal(lru_count(table->templates->all), 1);
	assert_ptr_equal(template_find(table->templates, &table->key), template);
	assert_int_equal(template->first_seen, 300);
	assert_int_equal(template->records, 0);
	assert_int_equal(run(table, &record), TEMPLATE_OK);
	assert_int_equal(table->record.flow.bytes, 10);
	table_free(table);
}

/* Learns from "buffer" and tells how many octets are left. */
static size_t
learn_buffer(Table *table, const TemplateShape *shape, const Buffer *buffer, size_t length,
			 int64_t now, TemplateResult expected)
{
	Packet		packet = packet_init(buffer->data, length);

	assert_int_equal(template_learn(table->templates, &table->key, shape, &packet, now), expected);
	return packet_left(&packet);
}

/* What is sent again is known by its octets: as it was read, and only then. */
static void
test_sent_again(void **state)
{
	static const uint16_t fields[][2] = {{1, 4}, {2, 4}, {10, 4}, {34, 4}};
	Table	   *table = table_make(4, FLOW_NETFLOW_V9);
	TemplateShape shape = {.field_count = 3};
	Buffer		buffer = {0};

	(void) state;
	put_fields(&buffer, COUNT(fields), fields);
	for (int64_t now = 1; now <= 2; now++)
	{
		assert_int_equal(learn_buffer(table, &shape, &buffer, buffer.length, now, TEMPLATE_OK), 4);
		assert_int_equal(template_find(table->templates, &table->key)->last_seen, now);
		assert_int_equal(template_find(table->templates, &table->key)->first_seen, 1);
	}

	/* one field more, cut short, fewer */
	shape.field_count = 4;
	(void) learn_buffer(table, &shape, &buffer, buffer.length - 1, 3, TEMPLATE_MALFORMED);
	assert_int_equal(template_find(table->templates, &table->key)->record_length, 12);
	assert_int_equal(learn_buffer(table, &shape, &buffer, buffer.length, 3, TEMPLATE_OK), 0);
	assert_int_equal(template_find(table->templates, &table->key)->record_length, 16);
	(void) learn_buffer(table, &shape, &buffer, buffer.length - 1, 4, TEMPLATE_MALFORMED);
	shape.field_count = 2;
	assert_int_equal(learn_buffer(table, &shape, &buffer, buffer.length, 4, TEMPLATE_OK), 8);
	assert_int_equal(template_find(table->templates, &table->key)->first_seen, 4);

	/* the same octets for another thing */
	shape.options = true;
	assert_int_equal(learn_buffer(table, &shape, &buffer, buffer.length, 5, TEMPLATE_OK), 8);
	assert_true(template_find(table->templates, &table->key)->options);
	shape.scope_count = 2;
	assert_int_equal(learn_buffer(table, &shape, &buffer, buffer.length, 6, TEMPLATE_OK), 8);
	assert_int_equal(template_find(table->templates, &table->key)->scope_count, 2);

	/* by another port */
	table->key.port++;
	assert_int_equal(learn_buffer(table, &shape, &buffer, buffer.length, 7, TEMPLATE_OK), 8);
	assert_int_equal(lru_count(table->templates->all), 2);
	table_free(table);
}

/* Too long to be kept: the same by what it comes to. */
static void
test_long_sent_again(void **state)
{
	uint16_t	many[TEMPLATE_SENT / 4 + 1][2];
	Table	   *table = table_make(4, FLOW_NETFLOW_V9);

	(void) state;
	for (size_t i = 0; i < COUNT(many); i++)
	{
		many[i][0] = i == 0 ? 1 : 300;
		many[i][1] = 4;
	}
	for (int64_t now = 1; now <= 2; now++)
	{
		assert_int_equal(learn(table, COUNT(many), many, now), TEMPLATE_OK);
		assert_int_equal(template_find(table->templates, &table->key)->first_seen, 1);
		assert_int_equal(template_find(table->templates, &table->key)->last_seen, now);
		assert_int_equal(template_find(table->templates, &table->key)->record_length, 4 * COUNT(many));
	}
	many[COUNT(many) - 1][0] = 2;
	assert_int_equal(learn(table, COUNT(many), many, 3), TEMPLATE_OK);
	assert_int_equal(template_find(table->templates, &table->key)->first_seen, 3);
	table_free(table);
}

static void
test_whose_template(void **state)
{
	static const uint16_t fields[][2] = {{1, 4}};
	Table	   *table = table_make(16, FLOW_NETFLOW_V9);
	TemplateKey key;

	(void) state;
	assert_int_equal(learn(table, 1, fields, 1), TEMPLATE_OK);
	key = table->key;
	assert_non_null(template_find(table->templates, &key));
	key.domain++;
	assert_null(template_find(table->templates, &key));
	key = table->key;
	key.id++;
	assert_null(template_find(table->templates, &key));
	key = table->key;
	key.protocol = FLOW_IPFIX;
	assert_null(template_find(table->templates, &key));
	key = table->key;
	key.address.octets[15]++;
	assert_null(template_find(table->templates, &key));
	key = table->key;
	key.port++;
	assert_non_null(template_find(table->templates, &key));
	table_free(table);
}

/* Its own port's template, or else the latest of another. */
static void
test_ports(void **state)
{
	static const uint16_t fields[][2] = {{1, 4}, {2, 4}, {10, 4}, {14, 4}};
	Table	   *table = table_make(64, FLOW_NETFLOW_V9);

	(void) state;
	for (uint16_t i = 1; i <= 3; i++)
	{
		table->key.port = i;
		assert_int_equal(learn(table, i, fields, 100 * i), TEMPLATE_OK);
	}
	assert_int_equal(lru_count(table->templates->all), 3);
	for (uint16_t i = 1; i <= 3; i++)
	{
		table->key.port = i;
		assert_int_equal(template_find(table->templates, &table->key)->record_length, 4 * i);
	}
	table->key.port = 9;
	assert_int_equal(template_find(table->templates, &table->key)->port, 3);
	table->key.port = 1;
	assert_int_equal(learn(table, 1, fields, 400), TEMPLATE_OK);
	table->key.port = 9;
	assert_int_equal(template_find(table->templates, &table->key)->port, 1);

	/* ports without number do not fill the table */
	for (uint16_t i = 1000; i < 2000; i++)
	{
		table->key.port = i;
		assert_int_equal(learn(table, 1, fields, i), TEMPLATE_OK);
		assert_int_equal(template_find(table->templates, &table->key)->port, i);
	}
	assert_int_equal(lru_count(table->templates->all), 8);
	assert_int_equal(template_find(table->templates, &table->key)->first_seen, 1999);
	table_free(table);
}

static void
test_unusable(void **state)
{
	uint16_t	many[TEMPLATE_MAX_STEPS + 1][2];
	static const uint16_t fields[][2] = {{1, 4}};
	static const uint16_t huge[][2] = {{1, 4}, {300, 65000}, {301, 65000}};
	static const uint16_t longest[][2] = {{1, 4}, {300, 65531}};
	Table	   *table = table_make(4, FLOW_IPFIX);

	(void) state;
	for (size_t i = 0; i < COUNT(many); i++)
	{
		many[i][0] = 82;
		many[i][1] = 65535;
	}
	assert_int_equal(learn(table, TEMPLATE_MAX_STEPS, many, 1), TEMPLATE_OK);
	assert_int_equal(template_find(table->templates, &table->key)->step_count,
					 TEMPLATE_MAX_STEPS);

	/* the one before is void, for records follow the new one */
	assert_int_equal(learn(table, COUNT(many), many, 1), TEMPLATE_UNUSABLE);
	assert_null(template_find(table->templates, &table->key));
	assert_int_equal(learn(table, 1, fields, 1), TEMPLATE_OK);
	assert_int_equal(learn(table, COUNT(huge), huge, 1), TEMPLATE_UNUSABLE);
	assert_int_equal(lru_count(table->templates->all), 0);
	assert_int_equal(learn(table, COUNT(longest), longest, 1), TEMPLATE_OK);
	assert_int_equal(template_find(table->templates, &table->key)->record_length, 65535);
	table_free(table);
}

static void
test_malformed_keeps_the_old(void **state)
{
	static const uint16_t fields[][2] = {{1, 4}};
	Table	   *table = table_make(4, FLOW_NETFLOW_V9);
	Packet		packet = packet_init((const uint8_t *) "\0\2\0\4\0\1\0", 7);

	(void) state;
	assert_int_equal(learn(table, 1, fields, 1), TEMPLATE_OK);
	assert_int_equal(learn_specifiers(table, &packet, 2, 2),
					 TEMPLATE_MALFORMED);
	assert_int_equal(template_find(table->templates, &table->key)->record_length, 4);
	assert_int_equal(template_find(table->templates, &table->key)->last_seen, 1);
	table_free(table);
}

/* Members that "present" does not name are unified, so that memory compares. */
static void
clear_absent(Flow *flow)
{
	Flow		clear = {0};

	clear.present = flow->present;
	clear.family = flow->family;
	clear.sampling_origin = flow->sampling_origin;
#define COPY(field, member) \
	if (FLOW_HAS(flow, field)) \
		clear.member = flow->member
	COPY(FLOW_BYTES, bytes);
	COPY(FLOW_PACKETS, packets);
	COPY(FLOW_IN_IF, in_if);
	COPY(FLOW_OUT_IF, out_if);
	COPY(FLOW_SRC_AS, src_as);
	COPY(FLOW_DST_AS, dst_as);
	COPY(FLOW_SRC_ADDR, src_addr);
	COPY(FLOW_DST_ADDR, dst_addr);
	COPY(FLOW_IN_VLAN, in_vlan);
	COPY(FLOW_OUT_VLAN, out_vlan);
	COPY(FLOW_SAMPLING, sampling);
	COPY(FLOW_FIRST, first);
	COPY(FLOW_LAST, last);
	COPY(FLOW_DIRECTION, direction);
#undef COPY
	memcpy(flow, &clear, sizeof(clear));
}

/*
 * Both ways through a record give the same: an empty string at the end of it
 * forces the slow one.
 */
static void
test_plain_equals_slow(void **state)
{
	static const uint16_t lengths[] = {1, 2, 2, 3, 4, 4, 4, 5, 8, 8, 8, 9, 16, 16};
	Table	   *table = table_make(4, FLOW_NETFLOW_V9);
	uint64_t	seed = 5;
	uint32_t	fields_seen = 0;

	(void) state;
	for (int i = 0; i < 30000; i++)
	{
		uint16_t	fields[13][2];
		uint16_t	count = (uint16_t) (random_next(&seed) % 12 + 1);
		Buffer		record;
		Flow		plain;

		record.length = 0;
		table->key.protocol = random_next(&seed) % 2 == 0 ? FLOW_IPFIX : FLOW_NETFLOW_V9;
		for (uint16_t j = 0; j < count; j++)
		{
			fields[j][0] = (uint16_t) (random_next(&seed) % 360);
			fields[j][1] = lengths[random_next(&seed) % COUNT(lengths)];
			while (element_find(fields[j][0]) == NULL)
				fields[j][0] = (uint16_t) (random_next(&seed) % 360);
			for (uint16_t k = 0; k < fields[j][1]; k++)
				put_u8(&record, (uint8_t) (random_next(&seed) % 3 == 0 ? 0 : random_next(&seed)));
		}
		assert_int_equal(learn(table, count, fields, i), TEMPLATE_OK);
		assert_int_equal(run(table, &record), TEMPLATE_OK);
		memcpy(&plain, &table->record.flow, sizeof(plain));
		clear_absent(&plain);
		fields_seen |= plain.present;

		fields[count][0] = 82;
		fields[count][1] = 65535;
		put_u8(&record, 0);
		assert_int_equal(learn(table, count + 1, fields, i), TEMPLATE_OK);
		assert_int_equal(run(table, &record), TEMPLATE_OK);
		clear_absent(&table->record.flow);
		assert_memory_equal(&table->record.flow, &plain, sizeof(plain));
	}
	assert_int_equal(fields_seen, FLOW_BIT(FLOW_DIRECTION + 1) - 1);
	table_free(table);
}

/* A flood from strangers leaves the templates of known hosts alone. */
static void
test_flood(void **state)
{
	static const uint16_t fields[][2] = {{1, 4}};
	Table	   *table = table_make(32, FLOW_NETFLOW_V9);

	(void) state;
	assert_int_equal(learn(table, 1, fields, 1), TEMPLATE_OK);
	table->key.known = false;
	for (uint32_t i = 0; i < 20000; i++)
	{
		table->key.domain = 1000 + i;
		table->key.id = (uint16_t) (256 + i % 1000);
		assert_int_equal(learn(table, 1, fields, i), TEMPLATE_OK);
		assert_true(lru_count(table->templates->all) <= 9);
	}
	assert_int_equal(lru_count(table->templates->all), 9);
	assert_int_equal(lru_evictions(table->templates->all), 20000 - 8);
	table->key.domain = 1;
	table->key.id = 256;
	table->key.known = true;
	assert_non_null(template_find(table->templates, &table->key));

	/* and one of a known host stays within the table */
	for (uint16_t i = 0; i < 20000; i++)
	{
		table->key.id = 256 + i;
		assert_int_equal(learn(table, 1, fields, i), TEMPLATE_OK);
		assert_true(lru_count(table->templates->all) <= 33);
	}
	table_free(table);
}

/* One that sends too many templates loses its own oldest one, and nobody else's. */
static void
test_share_of_address(void **state)
{
	static const uint16_t fields[][2] = {{1, 4}};
	Table	   *table = table_make(1000, FLOW_NETFLOW_V9);

	(void) state;
	table->key.address.octets[0] = 1;
	assert_int_equal(learn(table, 1, fields, 0), TEMPLATE_OK);
	table->key.address.octets[0] = 2;
	for (uint16_t i = 0; i < TEMPLATE_MAX_OF_ADDRESS; i++)
	{
		table->key.id = 256 + i;
		assert_int_equal(learn(table, 1, fields, i), TEMPLATE_OK);
	}
	assert_int_equal(table->templates->pushed_out, 0);

	/* learned again: not the oldest any more */
	table->key.id = 256;
	assert_int_equal(learn(table, 1, fields, 600), TEMPLATE_OK);
	table->key.domain = 77;
	table->key.id = 5000;
	assert_int_equal(learn(table, 1, fields, 601), TEMPLATE_OK);
	assert_int_equal(table->templates->pushed_out, 1);
	table->key.domain = 1;
	table->key.id = 256;
	assert_non_null(template_find(table->templates, &table->key));
	table->key.id = 257;
	assert_null(template_find(table->templates, &table->key));

	for (uint16_t i = 0; i < 20000; i++)
	{
		table->key.id = 1000 + i;
		assert_int_equal(learn(table, 1, fields, 700 + i), TEMPLATE_OK);
	}
	assert_int_equal(lru_count(table->templates->all), TEMPLATE_MAX_OF_ADDRESS + 1);
	assert_int_equal(lru_evictions(table->templates->all), 0);
	assert_int_equal(lru_count(table->templates->owners), 2);
	table->key.address.octets[0] = 1;
	table->key.id = 256;
	assert_non_null(template_find(table->templates, &table->key));
	table_free(table);
}

/* Owners come and go with their templates, whatever makes these go. */
static void
test_owners(void **state)
{
	static const uint16_t fields[][2] = {{1, 4}};
	static const uint16_t huge[][2] = {{1, 65000}, {2, 65000}};
	Table	   *table = table_make(32, FLOW_NETFLOW_V9);
	uint64_t	seed = 9;

	(void) state;
	for (int i = 0; i < 50000; i++)
	{
		uint32_t	position = 0;
		uint32_t	owners = 0;
		bool		seen[64] = {false};
		const Template *template;

		table->key.address.octets[0] = (uint8_t) (random_next(&seed) % 64);
		table->key.known = random_next(&seed) % 3 != 0;
		table->key.id = (uint16_t) (256 + random_next(&seed) % 4);
		table->key.port = (uint16_t) (random_next(&seed) % 3);
		if (random_next(&seed) % 4 == 0)
			(void) learn(table, 2, huge, i);
		else
			assert_int_equal(learn(table, 1, fields, i), TEMPLATE_OK);
		if (i % 16 != 0)
			continue;
		while ((template = lru_next(table->templates->all, &position)) != NULL)
		{
			owners += !seen[template->address.octets[0]];
			seen[template->address.octets[0]] = true;
		}
		assert_int_equal(lru_count(table->templates->owners), owners);
		assert_int_equal(lru_evictions(table->templates->owners), 0);
	}
	table_free(table);
}

/* Each row of the table has a rank that no other row of its goal has. */
static void
test_elements(void **state)
{
	uint32_t	ranks[ELEMENT_GOALS] = {0};
	int			count = 0;

	(void) state;
	for (uint32_t number = 0; number <= UINT16_MAX; number++)
	{
		const Element *element = element_find((uint16_t) number);

		if (element == NULL)
			continue;
		count++;
		assert_true(element->goal < ELEMENT_GOALS);
		assert_true(element->rank >= 1 && element->rank <= 31);
		assert_int_equal(ranks[element->goal] & UINT32_C(1) << element->rank, 0);
		ranks[element->goal] |= UINT32_C(1) << element->rank;
	}
	assert_int_equal(count, 59);
	for (int goal = 0; goal < ELEMENT_GOALS; goal++)
		assert_true(ranks[goal] & 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_fields),
		cmocka_unit_test(test_every_width),
		cmocka_unit_test(test_too_wide),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_first_occurrence_counts),
		cmocka_unit_test(test_zero_length_fields),
		cmocka_unit_test(test_sampling_zero_is_absent),
		cmocka_unit_test(test_family),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_times_priority),
		cmocka_unit_test(test_uptime),
		cmocka_unit_test(test_variable_length),
		cmocka_unit_test(test_variable_truncated),
		cmocka_unit_test(test_variable_elements),
		cmocka_unit_test(test_enterprise),
		cmocka_unit_test(test_v9_has_no_enterprise),
		cmocka_unit_test(test_changed_template),
		cmocka_unit_test(test_sent_again),
		cmocka_unit_test(test_long_sent_again),
		cmocka_unit_test(test_whose_template),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_unusable),
		cmocka_unit_test(test_malformed_keeps_the_old),
		cmocka_unit_test(test_plain_equals_slow),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_share_of_address),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_elements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
