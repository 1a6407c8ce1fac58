/*
 * test_pending.c
 *	  Data that comes before its template.
 */
#include "build_packet.h"

#include "pending.h"

#define V9		FLOW_NETFLOW_V9
#define IPFIX	FLOW_IPFIX

#define SECOND	INT64_C(1000000)

/* A store, and what was dropped from it. */
typedef struct Store
{
	Pending    *pending;
	PendingDrop drop;
	uint32_t	dropped;
	PendingSet	last_dropped;
} Store;

static void
store_dropped(void *context, const PendingSet *set)
{
	Store	   *store = context;

	store->dropped++;
	store->last_dropped = *set;
}

static Store *
store_make(uint32_t octets)
{
	Store	   *store = calloc(1, sizeof(Store));

	assert_non_null(store);
	store->pending = pending_init(aligned_alloc(16, (pending_size(octets) + 15) / 16 * 16), octets);
	store->drop.dropped = store_dropped;
	store->drop.context = store;
	return store;
}

static void
store_free(Store *store)
{
	free(store->pending);
	free(store);
}

/* A set whose octets all are "octet". */
static bool
add(Store *store, uint8_t host, uint16_t id, bool known, uint32_t length, uint8_t octet,
	int64_t received)
{
	PendingSet	set = {
		.key = {.id = id,.protocol = V9,.known = known},
		.clock = {.export_time = received + 1,.uptime = octet},
		.received = received,
		.length = length,
	};
	uint8_t    *octets = malloc(length + 1);
	bool		added;

	set.key.address.octets[15] = host;
	memset(octets, octet, length);
	added = pending_add(store->pending, &set, octets, &store->drop);
	free(octets);
	return added;
}

/* Takes one, and looks whether it is what add() made. */
static bool
take(Store *store, uint8_t host, uint16_t id, uint32_t length, uint8_t octet)
{
	TemplateKey key = {.id = id,.protocol = V9,.port = 99};
	PendingSet	set;
	Packet		data;

	key.address.octets[15] = host;
	if (!pending_take(store->pending, &key, &set, &data))
		return false;
	assert_int_equal(set.length, length);
	assert_int_equal(packet_left(&data), length);
	assert_int_equal(set.clock.uptime, octet);
	assert_int_equal(set.clock.export_time, set.received + 1);
	for (uint32_t i = 0; i < length; i++)
		assert_int_equal(data.current[i], octet);
	return true;
}

static void
sum_lengths(void *context, const PendingSet *set)
{
	*(uint32_t *) context += set->length;
}

/* The octets of all the sets that are shown. */
static uint32_t
shown(const Store *store)
{
	uint32_t	octets = 0;

	pending_each(store->pending, sum_lengths, &octets);
	return octets;
}

static void
test_in_order(void **state)
{
	Store	   *store = store_make(64 * 1024);

	(void) state;
	assert_int_equal(shown(store), 0);
	assert_true(add(store, 1, 300, true, 1, 1, 10));
	assert_true(add(store, 1, 301, true, 256, 2, 11));
	assert_true(add(store, 2, 300, false, 257, 3, 12));
	assert_true(add(store, 1, 300, true, 1000, 4, 13));
	assert_true(add(store, 1, 300, false, 512, 5, 14));
	assert_int_equal(pending_count(store->pending), 5);
	assert_int_equal(shown(store), 1 + 256 + 257 + 1000 + 512);

	assert_false(take(store, 3, 300, 0, 0));
	assert_false(take(store, 2, 301, 0, 0));
	assert_true(take(store, 1, 300, 1, 1));
	assert_true(take(store, 1, 300, 1000, 4));
	assert_true(take(store, 1, 300, 512, 5));
	assert_false(take(store, 1, 300, 0, 0));
	assert_int_equal(shown(store), 256 + 257);
	assert_true(take(store, 2, 300, 257, 3));
	assert_true(take(store, 1, 301, 256, 2));
	assert_int_equal(pending_count(store->pending), 0);
	assert_int_equal(store->dropped, 0);
	store_free(store);
}

static void
test_too_large(void **state)
{
	Store	   *store = store_make(128 * 1024);
	Store	   *none = store_make(0);

	(void) state;
	assert_false(add(store, 1, 300, true, 0, 1, 1));
	assert_true(add(store, 1, 300, true, UINT16_MAX, 2, 1));
	assert_true(take(store, 1, 300, UINT16_MAX, 2));
	assert_false(add(store, 1, 300, true, UINT16_MAX + 1, 2, 1));
	assert_false(add(store, 1, 300, false, UINT16_MAX, 3, 1));	/* a quarter of it */
	assert_true(add(store, 1, 300, false, 32 * 1024, 3, 1));
	assert_false(add(store, 2, 300, false, 32 * 1024 + 1, 3, 1));
	assert_int_equal(pending_count(store->pending), 1);
	assert_false(add(none, 1, 300, true, 1, 1, 1));
	assert_int_equal(store->dropped, 0);
	store_free(store);
	store_free(none);
}

/* An address has its share in octets, and in sets. */
static void
test_share_of_address(void **state)
{
	Store	   *store = store_make(1024 * 1024);

	(void) state;
	assert_true(add(store, 2, 300, true, 1000, 9, 1));
	for (uint8_t i = 0; i < 100; i++)
		assert_true(add(store, 1, 300, true, 1024, i, i));
	assert_int_equal(store->dropped, 100 - PENDING_OF_ADDRESS / 1024);
	assert_int_equal(store->last_dropped.clock.uptime, 35);
	assert_true(take(store, 1, 300, 1024, 36));
	assert_true(take(store, 2, 300, 1000, 9));

	for (int i = 0; i < 2000; i++)
		assert_true(add(store, 1, 300, true, 4, 7, 200));
	assert_int_equal(pending_count(store->pending), PENDING_SETS_OF_ADDRESS);
	assert_true(take(store, 1, 300, 4, 7));
	store_free(store);
}

/* Strangers share a quarter, and push out only one another. */
static void
test_strangers(void **state)
{
	Store	   *store = store_make(256 * 1024);
	uint32_t	left = 0;

	(void) state;
	for (uint8_t host = 1; host <= 4; host++)
		for (uint8_t i = 0; i < 40; i++)
			assert_true(add(store, host, 300, true, 1024, i, i));
	assert_int_equal(store->dropped, 0);
	for (int i = 0; i < 1000; i++)
		assert_true(add(store, (uint8_t) (100 + i % 100), 300, false, 1024, 1, 100));
	assert_int_equal(store->dropped, 1000 - 64);
	assert_int_equal(pending_count(store->pending), 160 + 64);

	/* known ones push out strangers first, then their own oldest */
	for (uint8_t i = 0; i < 64; i++)
		assert_true(add(store, 5, 300, true, 1024, i, 200));
	assert_int_equal(store->dropped, 1000 - 64 + 32);
	for (uint8_t i = 0; i < 64; i++)
		assert_true(add(store, 6, 300, true, 1024, i, 300));
	assert_int_equal(pending_count(store->pending), 256);
	assert_false(add(store, 200, 300, false, 1024, 1, 400));
	assert_int_equal(pending_count(store->pending), 256);
	for (uint8_t i = 0; i < 40; i++)
		left += take(store, 1, 300, 1024, (uint8_t) (32 + left));
	assert_int_equal(left, 8);	/* the first 32 had to go */
	store_free(store);
}

static void
test_too_old(void **state)
{
	Store	   *store = store_make(64 * 1024);

	(void) state;
	for (uint8_t i = 0; i < 10; i++)
		assert_true(add(store, i % 2, 300, i % 2 == 0, 100, i, i * SECOND));
	pending_expire(store->pending, PENDING_MICROSECONDS, &store->drop);
	assert_int_equal(store->dropped, 0);
	pending_expire(store->pending, PENDING_MICROSECONDS + 1, &store->drop);
	assert_int_equal(store->dropped, 1);
	pending_expire(store->pending, PENDING_MICROSECONDS + 5 * SECOND, &store->drop);
	assert_int_equal(store->dropped, 5);
	assert_true(take(store, 1, 300, 100, 5));
	pending_expire(store->pending, INT64_C(1) << 60, &store->drop);
	assert_int_equal(store->dropped, 9);
	assert_int_equal(pending_count(store->pending), 0);
	store_free(store);
}

/* Sets of all sizes come and go, and each comes out as it went in. */
static void
test_many(void **state)
{
	Store	   *store = store_make(32 * 1024);
	uint64_t	seed = 3;
	uint64_t	taken = 0;

	(void) state;
	for (int i = 0; i < 50000; i++)
	{
		uint8_t		host = (uint8_t) (random_next(&seed) % 4);
		uint16_t	id = (uint16_t) (300 + random_next(&seed) % 3);
		uint32_t	length = random_next(&seed) % 3000;
		TemplateKey key = {.id = id,.protocol = V9};
		PendingSet	set;
		Packet		data;

		(void) add(store, host, id, host % 2 == 0, length, (uint8_t) length, i);
		if (random_next(&seed) % 3 != 0)
			continue;
		key.address.octets[15] = host;
		while (pending_take(store->pending, &key, &set, &data))
		{
			for (uint32_t j = 0; j < set.length; j++)
				assert_int_equal(data.current[j], (uint8_t) set.length);
			taken++;
		}
	}
	assert_true(taken > 10000);
	store_free(store);
}

/* Octets, packets, two interfaces: 12 octets. */
static const uint16_t simple_fields[][2] = {{1, 4}, {2, 4}, {10, 2}, {14, 2}};

static void
begin(Buffer *buffer, uint8_t protocol, uint32_t sequence)
{
	buffer->length = 0;
	if (protocol == V9)
		put_v9_header(buffer, sequence, 1);
	else
		put_ipfix_header(buffer, sequence, 1);
}

static void
decode(Bench *bench, Buffer *buffer)
{
	if (buffer->data[1] == IPFIX)
		end_ipfix(buffer);
	bench_decode(bench, buffer);
}

static void
put_simple_template(Buffer *buffer, uint8_t protocol, uint16_t id)
{
	size_t		set = begin_set(buffer, protocol == V9 ? 0 : 2);

	put_template(buffer, id, COUNT(simple_fields), simple_fields);
	end_set(buffer, set);
}

static void
put_simple_data(Buffer *buffer, uint16_t id, uint32_t octets, int count)
{
	size_t		set = begin_set(buffer, id);

	for (int i = 0; i < count; i++)
	{
		put_u32(buffer, octets);
		put_u32(buffer, 1);
		put_u16(buffer, 3);
		put_u16(buffer, 4);
	}
	end_set(buffer, set);
}

static void
test_data_first(void **state)
{
	static const uint8_t protocols[] = {V9, IPFIX};

	(void) state;
	for (size_t i = 0; i < COUNT(protocols); i++)
	{
		Bench	   *bench = bench_make(8, 8);
		Buffer		buffer;
		Exporter   *exporter;

		begin(&buffer, protocols[i], 0);
		put_simple_data(&buffer, 300, 100, 2);
		put_simple_data(&buffer, 301, 500, 1);
		decode(bench, &buffer);
		bench->datagram.received += SECOND;
		bench->datagram.port++;
		begin(&buffer, protocols[i], protocols[i] == V9 ? 1 : 3);
		put_simple_data(&buffer, 300, 200, 1);
		decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 0);
		exporter = bench_exporter(bench, protocols[i], 1);
		assert_int_equal(exporter->waiting_sets, 3);
		assert_int_equal(exporter_errors(exporter), 0);

		/* before the data behind it, and as of its own time */
		bench->datagram.received += SECOND;
		begin(&buffer, protocols[i], protocols[i] == V9 ? 2 : 4);
		put_simple_template(&buffer, protocols[i], 300);
		put_simple_data(&buffer, 300, 300, 1);
		decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 4);
		assert_int_equal(bench->caught.flows[0].bytes, 100);
		assert_int_equal(bench->caught.flows[0].received, BENCH_RECEIVED);
		assert_int_equal(bench->caught.flows[0].domain, 1);
		assert_int_equal(bench->caught.flows[0].protocol, protocols[i]);
		assert_int_equal(bench->caught.flows[1].bytes, 100);
		assert_int_equal(bench->caught.flows[2].bytes, 200);
		assert_int_equal(bench->caught.flows[2].received, BENCH_RECEIVED + SECOND);
		assert_int_equal(bench->caught.flows[3].bytes, 300);
		assert_int_equal(bench->caught.flows[3].received, BENCH_RECEIVED + 2 * SECOND);

		assert_int_equal(exporter->waiting_sets, 1);
		assert_int_equal(exporter->late_sets, 2);
		assert_int_equal(exporter->records, 4);
		assert_int_equal(exporter->lost, 0);
		assert_int_equal(exporter->next_sequence, protocols[i] == V9 ? 3 : 5);
		assert_int_equal(exporter_errors(exporter), 0);
		assert_int_equal(exporter->last_seen, BENCH_RECEIVED + 2 * SECOND);

		/* the other one has waited long enough */
		bench->datagram.received = BENCH_RECEIVED + PENDING_MICROSECONDS + 1;
		begin(&buffer, protocols[i], protocols[i] == V9 ? 3 : 5);
		put_simple_template(&buffer, protocols[i], 301);
		decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 0);
		assert_int_equal(exporter->waiting_sets, 0);
		assert_int_equal(exporter->late_sets, 2);
		assert_int_equal(exporter->errors[DECODE_NO_TEMPLATE], 1);
		bench_free(bench);
	}
}

/* Uptimes are placed by the header of their own message; that is when they were sent. */
static void
test_own_clock(void **state)
{
	static const uint16_t fields[][2] = {{1, 4}, {21, 4}};
	const int64_t later = (200 << 16 | 1000000 % 65536) * SECOND;
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	size_t		set;

	(void) state;
	put_v9_header(&buffer, 0, 1);
	set = begin_set(&buffer, 300);
	put_u32(&buffer, 1);
	put_u32(&buffer, 599000);	/* a second before the header's uptime */
	end_set(&buffer, set);
	bench_decode(bench, &buffer);

	buffer.length = 0;
	put_v9_header(&buffer, 1, 1);
	patch_u16(&buffer, 4, 100); /* another uptime */
	patch_u16(&buffer, 8, 200); /* another time */
	set = begin_set(&buffer, 0);
	put_template(&buffer, 300, COUNT(fields), fields);
	end_set(&buffer, set);
	set = begin_set(&buffer, 300);
	put_u32(&buffer, 1);
	put_u32(&buffer, (100 << 16 | 600000 % 65536) - 2000);
	end_set(&buffer, set);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 2);
	assert_int_equal(bench->caught.flows[0].last, INT64_C(999999000000));
	assert_int_equal(bench->caught.flows[0].exported, INT64_C(1000000000000));
	assert_int_equal(bench->caught.flows[1].last, later - 2 * SECOND);
	assert_int_equal(bench->caught.flows[1].exported, later);
	bench_free(bench);
}

/* Options data waits as well; what it tells is known from then on. */
static void
test_options_first(void **state)
{
	static const uint16_t fields[][2] = {{1, 4}, {34, 4}};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	size_t		set;

	(void) state;
	begin(&buffer, V9, 0);
	set = begin_set(&buffer, 400);
	put_u32(&buffer, 0);
	put_u32(&buffer, 1000);
	end_set(&buffer, set);
	decode(bench, &buffer);
	begin(&buffer, V9, 1);
	put_simple_template(&buffer, V9, 300);
	put_simple_data(&buffer, 300, 1, 1);
	set = begin_set(&buffer, 1);
	put_u16(&buffer, 400);
	put_u16(&buffer, 4);
	put_u16(&buffer, 4);
	put_fields(&buffer, 2, fields);
	end_set(&buffer, set);
	put_simple_data(&buffer, 300, 1, 1);
	decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 2);
	assert_false(FLOW_HAS(&bench->caught.flows[0], FLOW_SAMPLING));
	assert_int_equal(bench->caught.flows[1].sampling, 1000);
	assert_int_equal(bench_exporter(bench, V9, 1)->options, 1);
	bench_free(bench);
}

/* What is wrong with the late data is counted as with any other. */
static void
test_late_and_bad(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer;
	Exporter   *exporter;
	size_t		set;

	(void) state;
	begin(&buffer, IPFIX, 0);
	put_simple_data(&buffer, 300, 1, 1);
	put_simple_data(&buffer, 301, 1, 1);
	put_simple_data(&buffer, 302, 1, 1);
	decode(bench, &buffer);
	begin(&buffer, IPFIX, 3);
	set = begin_set(&buffer, 2);
	put_template(&buffer, 300, 1, (const uint16_t[][2]) {{1, 0}});
	put_template(&buffer, 301, 2, (const uint16_t[][2]) {{82, 65535}, {83, 65535}});
	put_template(&buffer, 302, 2, (const uint16_t[][2]) {{1, 65000}, {2, 65000}});
	end_set(&buffer, set);
	decode(bench, &buffer);
	exporter = bench_exporter(bench, IPFIX, 1);
	assert_int_equal(exporter->errors[DECODE_ZERO_LENGTH], 1);
	assert_int_equal(exporter->errors[DECODE_BAD_TEMPLATE], 1);
	assert_int_equal(exporter->waiting_sets, 1);	/* for a template that we can use */
	assert_int_equal(exporter->late_sets, 2);
	bench_free(bench);
}

/* One that sends too much loses its own; what is dropped is counted with it. */
static void
test_flood(void **state)
{
	Bench	   *bench = bench_make(64, 64);
	Buffer		buffer;
	Exporter   *exporter;

	(void) state;
	begin(&buffer, V9, 0);
	put_simple_data(&buffer, 300, 100, 2);
	decode(bench, &buffer);
	exporter = bench_exporter(bench, V9, 1);
	bench->datagram.known = false;
	for (uint32_t i = 0; i < 5000; i++)
	{
		memcpy(bench->datagram.source.octets + 4, &i, sizeof(i));
		begin(&buffer, V9, 0);
		put_simple_data(&buffer, 300, 100, 50);
		if (i > 0)
			decode(bench, &buffer);
	}
	assert_int_equal(exporter->waiting_sets, 1);
	assert_int_equal(exporter_errors(exporter), 0);

	memset(bench->datagram.source.octets + 4, 0, 4);
	bench->datagram.known = true;
	for (int i = 0; i < 1000; i++)
	{
		begin(&buffer, V9, 0);
		put_simple_data(&buffer, 301, 100, 100);
		decode(bench, &buffer);
	}
	assert_true(exporter->waiting_sets >= 40);
	assert_int_equal(exporter->waiting_sets + exporter->errors[DECODE_NO_TEMPLATE], 1001);
	bench_free(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_share_of_address),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_too_old),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_data_first),
		cmocka_unit_test(test_own_clock),
		cmocka_unit_test(test_options_first),
		cmocka_unit_test(test_late_and_bad),
		cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
