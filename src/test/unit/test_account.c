/*
 * test_account.c
 *	  What a record adds to an interval and to the interfaces seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "account.h"
#include "rows.h"

#define ROUTER		((FlowAddress) {.octets = {0x20, 0x01, 0x0D, 0xB8, [15] = 1}})
#define STRANGER	((FlowAddress) {.octets = {0x20, 0x01, 0x0D, 0xB8, [15] = 9}})

#define TRANSIT		0			/* numbers of the names */
#define EXCHANGE	1
#define CUSTOMER	2

#define NOW			INT64_C(1700000000000000)

typedef struct Fixture
{
	Account		account;
	Interfaces *interfaces;
	Aggregate  *aggregate;
} Fixture;

/* ifIndex 1 and 2: a rate; 3: two rates; 4: none, a VLAN with one. */
static int
setup(void **state)
{
	const Interface list[] = {
		{ROUTER, 1, INTERFACE_ANY_VLAN, TRANSIT, 100, 0, INTERFACE_COUNT_BOTH},
		{ROUTER, 2, INTERFACE_ANY_VLAN, TRANSIT, 10, 0, INTERFACE_COUNT_BOTH},
		{ROUTER, 3, INTERFACE_ANY_VLAN, EXCHANGE, 100, 1000, INTERFACE_COUNT_BOTH},
		{ROUTER, 4, INTERFACE_ANY_VLAN, CUSTOMER, 0, 0, INTERFACE_COUNT_BOTH},
		{ROUTER, 4, 300, EXCHANGE, 0, 7, INTERFACE_COUNT_BOTH}
	};
	Fixture    *fixture = calloc(1, sizeof(Fixture));
	size_t		seen_size = lru_size(8, sizeof(SeenInterface));

	fixture->interfaces = interfaces_build(malloc(interfaces_size(5)), list, 5);
	fixture->aggregate = aggregate_init(malloc(aggregate_size(100)), 100);
	fixture->account.interfaces = fixture->interfaces;
	fixture->account.seen = lru_init(malloc(seen_size), 8, sizeof(SeenInterface));
	fixture->account.work = calloc(1, sizeof(AccountWork));
	*state = fixture;
	return 0;
}

static int
teardown(void **state)
{
	Fixture    *fixture = *state;

	free(fixture->account.work);
	free(fixture->account.seen);
	free(fixture->aggregate);
	free(fixture->interfaces);
	free(fixture);
	return 0;
}

static Flow
flow(uint32_t in_if, uint32_t out_if)
{
	return (Flow) {
		.present = FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) |
		FLOW_BIT(FLOW_IN_IF) | FLOW_BIT(FLOW_OUT_IF) |
		FLOW_BIT(FLOW_SRC_AS) | FLOW_BIT(FLOW_DST_AS),
		.family = 4,
		.bytes = 1500,
		.packets = 3,
		.in_if = in_if,
		.out_if = out_if,
		.src_as = 64500,
		.dst_as = 64999
	};
}

static Flow
sampled(Flow flow, uint32_t rate)
{
	flow.present |= FLOW_BIT(FLOW_SAMPLING);
	flow.sampling = rate;
	return flow;
}

/* A record by itself. */
static void
account_parts(Fixture *fixture, FlowAddress host, const Flow *flow, const IntervalParts *parts)
{
	account_begin(&fixture->account, &host);
	account_flow(&fixture->account, flow, parts);
	account_flush(&fixture->account);
}

/* All of it into one interval. */
static void
account_from(Fixture *fixture, FlowAddress host, Flow flow, int64_t received)
{
	IntervalParts parts = {.count = 1,.sums = {fixture->aggregate},.weights = {1}};

	flow.received = received;
	account_parts(fixture, host, &flow, &parts);
}

static void
account_one(Fixture *fixture, Flow flow)
{
	account_from(fixture, ROUTER, flow, NOW);
}

#define MAX_ROWS	200

/* As they are stored; how many there are. */
static uint32_t
read_rows(const Aggregate *aggregate, AggregateEntry rows[MAX_ROWS])
{
	uint32_t	count = 0;

	for (uint32_t i = 0; i < aggregate_count(aggregate); i++)
	{
		assert_true(count + 2 <= MAX_ROWS);
		count += aggregate_sides(&aggregate_rows(aggregate)[i], &rows[count]);
	}
	return rows_merge(rows, count);
}

static void
assert_rows(const Aggregate *aggregate, uint32_t expected)
{
	AggregateEntry rows[MAX_ROWS];

	assert_int_equal(read_rows(aggregate, rows), expected);
}

static void
assert_row(const Fixture *fixture, bool ingress, uint32_t name, uint32_t remote_as,
		   uint32_t local_as, uint64_t bytes, uint64_t packets, uint64_t flows)
{
	AggregateEntry rows[MAX_ROWS];
	uint32_t	count = read_rows(fixture->aggregate, rows);

	for (uint32_t i = 0; i < count; i++)
	{
		const AggregateKey *key = &rows[i].key;

		if (key->ingress != ingress || key->interface != name || key->remote_as != remote_as ||
			key->local_as != local_as)
			continue;
		assert_int_equal(key->family, 4);
		assert_false(key->others);
		assert_int_equal(rows[i].sum.bytes, bytes);
		assert_int_equal(rows[i].sum.packets, packets);
		assert_int_equal(rows[i].sum.flows, flows);
		return;
	}
	fail_msg("no row of interface %u, %s", (unsigned) name, ingress ? "ingress" : "egress");
}

/* Without making an entry; NULL where there is none. */
static const SeenInterface *
seen(const Fixture *fixture, FlowAddress host, uint32_t id)
{
	uint32_t	position = 0;
	const SeenInterface *entry;

	while ((entry = lru_next(fixture->account.seen, &position)) != NULL)
		if (entry->id == id && memcmp(&entry->host, &host, sizeof(host)) == 0)
			return entry;
	return NULL;
}

static void
assert_seen(const Fixture *fixture, FlowAddress host, uint32_t id, uint64_t in_bytes,
			uint64_t in_records, uint64_t out_bytes, uint64_t out_records)
{
	const SeenInterface *entry = seen(fixture, host, id);

	assert_non_null(entry);
	assert_int_equal(entry->in_bytes, in_bytes);
	assert_int_equal(entry->in_records, in_records);
	assert_int_equal(entry->out_bytes, out_bytes);
	assert_int_equal(entry->out_records, out_records);
}

static void
assert_counters(const Fixture *fixture, uint64_t records, uint64_t matched,
				uint64_t unmatched, uint64_t no_octets, uint64_t unknown_sampling)
{
	assert_int_equal(fixture->account.records, records);
	assert_int_equal(fixture->account.matched, matched);
	assert_int_equal(fixture->account.unmatched, unmatched);
	assert_int_equal(fixture->account.no_octets, no_octets);
	assert_int_equal(fixture->account.unknown_sampling, unknown_sampling);
}

static void
test_both_sides(void **state)
{
	Fixture    *fixture = *state;

	account_one(fixture, flow(1, 2));
	account_one(fixture, flow(1, 2));

	assert_rows(fixture->aggregate, 2);
	assert_row(fixture, true, TRANSIT, 64500, 64999, 300000, 600, 2);
	assert_row(fixture, false, TRANSIT, 64999, 64500, 30000, 60, 2);
	assert_seen(fixture, ROUTER, 1, 300000, 2, 0, 0);
	assert_seen(fixture, ROUTER, 2, 0, 0, 30000, 2);
	assert_counters(fixture, 2, 2, 0, 0, 0);
}

static void
test_one_side(void **state)
{
	Fixture    *fixture = *state;

	account_one(fixture, flow(1, 77));
	account_one(fixture, flow(77, 2));

	assert_rows(fixture->aggregate, 2);
	assert_row(fixture, true, TRANSIT, 64500, 64999, 150000, 300, 1);
	assert_row(fixture, false, TRANSIT, 64999, 64500, 15000, 30, 1);
	assert_seen(fixture, ROUTER, 77, 1500, 1, 1500, 1);
	assert_counters(fixture, 2, 2, 0, 0, 0);
}

/* Traffic that leaves where it came in. */
static void
test_same_interface(void **state)
{
	Fixture    *fixture = *state;

	account_one(fixture, flow(3, 3));

	assert_rows(fixture->aggregate, 2);
	assert_row(fixture, true, EXCHANGE, 64500, 64999, 150000, 300, 1);
	assert_row(fixture, false, EXCHANGE, 64999, 64500, 1500000, 3000, 1);
	assert_seen(fixture, ROUTER, 3, 150000, 1, 1500000, 1);
	assert_counters(fixture, 1, 1, 0, 0, 0);
}

static void
test_unmatched(void **state)
{
	Fixture    *fixture = *state;

	account_one(fixture, sampled(flow(0, 78), 5));
	account_from(fixture, STRANGER, flow(1, 2), NOW);

	assert_rows(fixture->aggregate, 0);
	assert_seen(fixture, ROUTER, 0, 7500, 1, 0, 0);
	assert_seen(fixture, ROUTER, 78, 0, 0, 7500, 1);
	assert_seen(fixture, STRANGER, 1, 1500, 1, 0, 0);
	assert_seen(fixture, STRANGER, 2, 0, 0, 1500, 1);
	assert_int_equal(seen(fixture, ROUTER, 78)->link.class, LRU_KNOWN);
	assert_int_equal(seen(fixture, STRANGER, 2)->link.class, LRU_STRANGER);
	assert_counters(fixture, 2, 0, 2, 0, 0);
}

static void
test_absent_interfaces(void **state)
{
	Fixture    *fixture = *state;
	Flow		record = flow(1, 2);

	record.present &= ~FLOW_BIT(FLOW_OUT_IF);
	account_one(fixture, record);
	record.present &= ~FLOW_BIT(FLOW_IN_IF);
	account_one(fixture, record);

	assert_rows(fixture->aggregate, 1);
	assert_row(fixture, true, TRANSIT, 64500, 64999, 150000, 300, 1);
	assert_int_equal(lru_count(fixture->account.seen), 1);
	assert_counters(fixture, 2, 1, 1, 0, 0);
}

static void
test_absent_members(void **state)
{
	Fixture    *fixture = *state;
	Flow		record = flow(1, 77);

	record.present &= ~(FLOW_BIT(FLOW_PACKETS) | FLOW_BIT(FLOW_SRC_AS));
	account_one(fixture, record);
	record = flow(1, 77);
	record.present &= ~FLOW_BIT(FLOW_DST_AS);
	account_one(fixture, record);

	assert_rows(fixture->aggregate, 2);
	assert_row(fixture, true, TRANSIT, 0, 64999, 150000, 0, 1);
	assert_row(fixture, true, TRANSIT, 64500, 0, 150000, 300, 1);
}

static void
test_no_octets(void **state)
{
	Fixture    *fixture = *state;
	Flow		record = flow(1, 2);

	record.present &= ~FLOW_BIT(FLOW_BYTES);
	account_one(fixture, record);

	assert_rows(fixture->aggregate, 0);
	assert_int_equal(lru_count(fixture->account.seen), 0);
	assert_counters(fixture, 0, 0, 0, 1, 0);
}

static void
test_sampling(void **state)
{
	Fixture    *fixture = *state;

	/* The interface's own rate is stronger than the record's, ... */
	account_one(fixture, sampled(flow(1, 77), 5));
	assert_row(fixture, true, TRANSIT, 64500, 64999, 150000, 300, 1);
	assert_seen(fixture, ROUTER, 77, 0, 0, 7500, 1);

	/* ... which counts where it has none, ... */
	account_one(fixture, sampled(flow(4, 77), 5));
	assert_row(fixture, true, CUSTOMER, 64500, 64999, 7500, 15, 1);
	assert_counters(fixture, 2, 2, 0, 0, 0);

	/* ... else 1, and once for a record: absent or 0. */
	account_one(fixture, flow(4, 4));
	assert_row(fixture, true, CUSTOMER, 64500, 64999, 9000, 18, 2);
	assert_row(fixture, false, CUSTOMER, 64999, 64500, 1500, 3, 1);
	assert_counters(fixture, 3, 3, 0, 0, 1);
	account_one(fixture, sampled(flow(1, 4), 0));
	assert_row(fixture, false, CUSTOMER, 64999, 64500, 3000, 6, 2);
	assert_counters(fixture, 4, 4, 0, 0, 2);

	account_one(fixture, flow(4, 1));
	assert_counters(fixture, 5, 5, 0, 0, 3);

	/* An unconfigured side's unknown rate is not counted. */
	account_one(fixture, flow(1, 77));
	assert_counters(fixture, 6, 6, 0, 0, 3);
}

static void
test_vlans(void **state)
{
	Fixture    *fixture = *state;
	Flow		record = sampled(flow(4, 4), 2);

	record.present |= FLOW_BIT(FLOW_IN_VLAN) | FLOW_BIT(FLOW_OUT_VLAN);
	record.in_vlan = 300;
	record.out_vlan = 301;
	account_one(fixture, record);
	assert_row(fixture, true, EXCHANGE, 64500, 64999, 3000, 6, 1);
	assert_row(fixture, false, CUSTOMER, 64999, 64500, 3000, 6, 1);

	record.in_vlan = 301;
	record.out_vlan = 300;
	account_one(fixture, record);
	assert_row(fixture, true, CUSTOMER, 64500, 64999, 3000, 6, 1);
	assert_row(fixture, false, EXCHANGE, 64999, 64500, 10500, 21, 1);

	/* An absent one holds nothing worth reading. */
	record.present &= ~FLOW_BIT(FLOW_OUT_VLAN);
	account_one(fixture, record);
	assert_rows(fixture->aggregate, 4);
	assert_row(fixture, false, CUSTOMER, 64999, 64500, 6000, 12, 2);
	assert_row(fixture, true, CUSTOMER, 64500, 64999, 6000, 12, 2);
	record.in_vlan = 300;
	record.present &= ~FLOW_BIT(FLOW_IN_VLAN);
	account_one(fixture, record);
	assert_rows(fixture->aggregate, 4);
	assert_row(fixture, false, CUSTOMER, 64999, 64500, 9000, 18, 3);
	assert_row(fixture, true, CUSTOMER, 64500, 64999, 9000, 18, 3);
}

static void
test_saturation(void **state)
{
	Fixture    *fixture = *state;
	Flow		record = flow(1, 77);

	record.bytes = AGGREGATE_MAX_SUM / 100;
	record.packets = UINT64_MAX;
	account_one(fixture, record);
	assert_row(fixture, true, TRANSIT, 64500, 64999, AGGREGATE_MAX_SUM / 100 * 100,
			   AGGREGATE_MAX_SUM, 1);
	assert_int_equal(aggregate_saturated(fixture->aggregate), 1);

	record.bytes = AGGREGATE_MAX_SUM / 100 + 1;
	account_one(fixture, record);
	assert_row(fixture, true, TRANSIT, 64500, 64999, AGGREGATE_MAX_SUM,
			   AGGREGATE_MAX_SUM, 2);
	assert_seen(fixture, ROUTER, 1, AGGREGATE_MAX_SUM, 2, 0, 0);

	record.bytes = UINT64_MAX;
	account_one(fixture, record);
	assert_seen(fixture, ROUTER, 1, AGGREGATE_MAX_SUM, 3, 0, 0);
	assert_seen(fixture, ROUTER, 77, 0, 0, AGGREGATE_MAX_SUM, 3);
}

/*
 * Several intervals.
 */

/* Another interval's sums, to be freed. */
static Aggregate *
another(void)
{
	return aggregate_init(malloc(aggregate_size(100)), 100);
}

static void
assert_only_row(const Aggregate *aggregate, uint64_t bytes, uint64_t packets, uint64_t flows)
{
	AggregateEntry rows[MAX_ROWS];

	assert_int_equal(read_rows(aggregate, rows), 1);
	assert_int_equal(rows[0].sum.bytes, bytes);
	assert_int_equal(rows[0].sum.packets, packets);
	assert_int_equal(rows[0].sum.flows, flows);
}

/* Multiplied first, then shared out: to the byte, by the largest remainder. */
static void
test_parts(void **state)
{
	Fixture    *fixture = *state;
	Aggregate  *older = another();
	IntervalParts parts = {.count = 2,.sums = {fixture->aggregate, older},.weights = {1, 6}};
	const Flow	record = flow(1, 77);

	account_parts(fixture, ROUTER, &record, &parts);

	/* 150,000 bytes and 300 packets in sevenths; a flow counts once */
	assert_only_row(fixture->aggregate, 21429, 43, 0);
	assert_only_row(older, 128571, 257, 1);
	assert_counters(fixture, 1, 1, 0, 0, 0);
	assert_int_equal(fixture->account.late_bytes, 0);
	assert_int_equal(fixture->account.future_bytes, 0);
	assert_seen(fixture, ROUTER, 1, 150000, 1, 0, 0);
	free(older);
}

/* A part that gets nothing makes no row. */
static void
test_empty_part(void **state)
{
	Fixture    *fixture = *state;
	Aggregate  *older = another();
	IntervalParts parts = {.count = 2,.sums = {fixture->aggregate, older},.weights = {1, 999}};
	Flow		record = flow(4, 77);

	record.bytes = 40;
	record.packets = 1;
	account_parts(fixture, ROUTER, &record, &parts);
	assert_rows(fixture->aggregate, 0);
	assert_only_row(older, 40, 1, 1);

	/* ... but a record without bytes is a flow */
	record.bytes = record.packets = 0;
	account_parts(fixture, ROUTER, &record, &parts);
	assert_rows(fixture->aggregate, 0);
	assert_only_row(older, 40, 1, 2);
	free(older);
}

/* The last part is what is late; each side that is counted counts. */
static void
test_late(void **state)
{
	Fixture    *fixture = *state;
	Aggregate  *older = another();
	IntervalParts parts = {
		.count = 3,
		.late = true,
		.sums = {fixture->aggregate, older, older},
		.weights = {1, 1, 2}
	};
	Flow		record = flow(4, 77);

	account_parts(fixture, ROUTER, &record, &parts);
	assert_only_row(fixture->aggregate, 375, 1, 0);
	assert_only_row(older, 1125, 2, 1);
	assert_int_equal(fixture->account.late_bytes, 750);

	record = flow(1, 2);
	account_parts(fixture, ROUTER, &record, &parts);
	assert_int_equal(fixture->account.late_bytes, 750 + 75000 + 7500);

	/* neither side is configured */
	record = flow(77, 78);
	account_parts(fixture, ROUTER, &record, &parts);
	assert_int_equal(fixture->account.late_bytes, 750 + 75000 + 7500);

	/* nothing but late */
	parts.count = 1;
	record = flow(4, 77);
	account_parts(fixture, ROUTER, &record, &parts);
	assert_int_equal(fixture->account.late_bytes, 750 + 75000 + 7500 + 1500);

	record.bytes = UINT64_MAX;
	account_parts(fixture, ROUTER, &record, &parts);
	account_parts(fixture, ROUTER, &record, &parts);
	assert_int_equal(fixture->account.late_bytes, AGGREGATE_MAX_SUM);
	assert_int_equal(fixture->account.future_bytes, 0);
	free(older);
}

static void
test_future(void **state)
{
	Fixture    *fixture = *state;
	Aggregate  *older = another();
	IntervalParts parts = {
		.count = 1,
		.future = true,
		.sums = {fixture->aggregate, older},
		.weights = {3, 1}
	};
	Flow		record = flow(4, 77);

	account_parts(fixture, ROUTER, &record, &parts);
	assert_int_equal(fixture->account.future_bytes, 1500);
	parts.count = 2;
	account_parts(fixture, ROUTER, &record, &parts);
	assert_int_equal(fixture->account.future_bytes, 3000);
	assert_int_equal(fixture->account.late_bytes, 0);
	assert_only_row(fixture->aggregate, 1500 + 1125, 3 + 2, 2);
	assert_only_row(older, 375, 1, 0);
	free(older);
}

static void
test_seen_times(void **state)
{
	Fixture    *fixture = *state;

	account_from(fixture, ROUTER, flow(1, 77), NOW);
	account_from(fixture, ROUTER, flow(1, 78), NOW + 5);

	assert_int_equal(seen(fixture, ROUTER, 1)->first_seen, NOW);
	assert_int_equal(seen(fixture, ROUTER, 1)->last_seen, NOW + 5);
	assert_int_equal(seen(fixture, ROUTER, 77)->last_seen, NOW);
	assert_int_equal(seen(fixture, ROUTER, 78)->first_seen, NOW + 5);
}

/*
 * AS numbers.
 */

static FlowAddress
ipv4(uint8_t network, uint8_t host)
{
	return (FlowAddress) {
		.octets = {[10] = 0xFF, [11] = 0xFF, 10, network, 0, host}
	};
}

/* 10.1.0.0/16 and 10.2.0.0/16 have an AS, 10.3.0.0/16 has AS 0. */
static PrefixTable *
prefixes(void)
{
	Prefix		list[] = {
		{ipv4(1, 0), 112, 65001},
		{ipv4(2, 0), 112, 65002},
		{ipv4(3, 0), 112, 0}
	};

	return prefix_build(malloc(prefix_size(3)), list, 3, NULL);
}

/* A record between these networks, with these AS numbers. */
static Flow
between(uint8_t src_network, uint32_t src_as, uint8_t dst_network, uint32_t dst_as)
{
	Flow		record = flow(1, 77);

	record.present |= FLOW_BIT(FLOW_SRC_ADDR) | FLOW_BIT(FLOW_DST_ADDR);
	record.src_addr = ipv4(src_network, 1);
	record.dst_addr = ipv4(dst_network, 1);
	record.src_as = src_as;
	record.dst_as = dst_as;
	return record;
}

static void
assert_ases(Fixture *fixture, Flow record, uint32_t remote_as, uint32_t local_as)
{
	AggregateEntry rows[MAX_ROWS];

	aggregate_reset(fixture->aggregate);
	account_one(fixture, record);
	assert_int_equal(read_rows(fixture->aggregate, rows), 1);
	assert_int_equal(rows[0].key.remote_as, remote_as);
	assert_int_equal(rows[0].key.local_as, local_as);
}

static Flow
without(Flow record, FlowField a, FlowField b)
{
	record.present &= ~(FLOW_BIT(a) | FLOW_BIT(b));
	return record;
}

static void
test_exporter_then_prefix(void **state)
{
	Fixture    *fixture = *state;
	PrefixTable *table = prefixes();

	assert_ases(fixture, between(1, 0, 2, 23456), 0, 23456);
	fixture->account.prefixes = table;
	assert_int_equal(fixture->account.as_source, ACCOUNT_AS_EXPORTER_THEN_PREFIX);
	assert_ases(fixture, between(1, 0, 2, 64999), 65001, 64999);
	assert_ases(fixture, between(1, 64500, 2, 0), 64500, 65002);
	assert_ases(fixture, between(1, 23456, 2, 23456), 65001, 65002);
	assert_ases(fixture, without(between(1, 7, 2, 7), FLOW_SRC_AS, FLOW_DST_AS), 65001, 65002);

	/* What no prefix covers, or one without an AS, stays as it was. */
	assert_ases(fixture, between(3, 23456, 4, 23456), 23456, 23456);
	assert_ases(fixture, between(3, 0, 4, 0), 0, 0);
	assert_ases(fixture, without(between(1, 0, 2, 0), FLOW_SRC_ADDR, FLOW_DST_ADDR), 0, 0);
	free(table);
}

static void
test_other_as_sources(void **state)
{
	Fixture    *fixture = *state;
	PrefixTable *table = prefixes();

	fixture->account.prefixes = table;
	fixture->account.as_source = ACCOUNT_AS_EXPORTER;
	assert_ases(fixture, between(1, 0, 2, 23456), 0, 23456);
	assert_ases(fixture, without(between(1, 7, 2, 7), FLOW_SRC_AS, FLOW_DST_AS), 0, 0);

	fixture->account.as_source = ACCOUNT_AS_PREFIX;
	assert_ases(fixture, between(1, 64500, 2, 64999), 65001, 65002);
	assert_ases(fixture, between(3, 64500, 4, 64999), 0, 0);
	assert_ases(fixture, without(between(1, 64500, 2, 64999), FLOW_SRC_ADDR, FLOW_DST_ADDR),
				64500, 64999);
	fixture->account.prefixes = NULL;
	assert_ases(fixture, between(1, 64500, 2, 64999), 64500, 64999);
	free(table);
}

/* The local side is the destination of what comes in, and the source of what goes out. */
static void
test_own_as(void **state)
{
	Fixture    *fixture = *state;
	PrefixTable *table = prefixes();
	Flow		record = between(4, 0, 4, 0);

	fixture->account.own_as = 64496;
	assert_ases(fixture, record, 0, 64496);
	assert_ases(fixture, between(4, 0, 4, 64999), 0, 64999);
	assert_ases(fixture, between(4, 0, 4, 23456), 0, 23456);
	fixture->account.prefixes = table;
	assert_ases(fixture, between(1, 0, 2, 0), 65001, 65002);

	aggregate_reset(fixture->aggregate);
	record.out_if = 2;
	account_one(fixture, record);
	assert_row(fixture, true, TRANSIT, 0, 64496, 150000, 300, 1);
	assert_row(fixture, false, TRANSIT, 0, 64496, 15000, 30, 1);
	fixture->account.own_as = 0;
	assert_ases(fixture, between(4, 0, 4, 0), 0, 0);
	free(table);
}

/* However many they name: the table is bounded, the known ones stay. */
static void
test_strangers(void **state)
{
	Fixture    *fixture = *state;

	account_one(fixture, flow(1, 2));
	for (uint32_t id = 1; id <= 1000; id++)
		account_from(fixture, STRANGER, flow(id, id + 1), NOW);

	assert_true(lru_count(fixture->account.seen) <= 8);
	assert_non_null(seen(fixture, ROUTER, 1));
	assert_non_null(seen(fixture, ROUTER, 2));
	assert_non_null(seen(fixture, STRANGER, 1001));
	assert_counters(fixture, 1001, 1, 1000, 0, 0);
}

/* A host that has been configured in the meantime is a stranger no more. */
static void
test_seen_class(void **state)
{
	Fixture    *fixture = *state;
	const FlowAddress host = STRANGER;
	SeenInterface *entry = seen_get(fixture->account.seen, &host, 9, LRU_STRANGER, NOW);

	assert_int_equal(entry->link.class, LRU_STRANGER);
	assert_ptr_equal(seen_get(fixture->account.seen, &host, 9, LRU_KNOWN, NOW + 1), entry);
	assert_int_equal(entry->link.class, LRU_KNOWN);
	assert_int_equal(entry->first_seen, NOW);
	assert_int_equal(entry->last_seen, NOW + 1);
	assert_ptr_not_equal(seen_get(fixture->account.seen, &host, 10, LRU_KNOWN, NOW), entry);
}

/* Records of one datagram, of more interfaces than are remembered. */
static void
test_datagram(void **state)
{
	Fixture    *fixture = *state;
	FlowAddress host = ROUTER;
	IntervalParts parts = {.count = 1,.sums = {fixture->aggregate},.weights = {1}};
	AggregateEntry rows[MAX_ROWS];
	uint32_t	count;
	AggregateSum sum = {0};

	account_begin(&fixture->account, &host);
	for (int round = 0; round < 3; round++)
	{
		for (uint32_t id = 1; id <= 3 * ACCOUNT_PAIRS; id++)
		{
			Flow		record = flow(id, id + 64);

			account_flow(&fixture->account, &record, &parts);
		}
	}
	account_flush(&fixture->account);
	count = read_rows(fixture->aggregate, rows);
	for (uint32_t i = 0; i < count; i++)
		sum.bytes += rows[i].sum.bytes;
	/* 1500 octets of each record: the rates of interfaces 1 to 4, and no interface beyond 64 is configured. */
	assert_int_equal(sum.bytes, 3 * 1500 * (100 + 10 + 100 + 1));
	assert_int_equal(fixture->account.matched, 3 * 4);
	assert_int_equal(fixture->account.records, 3 * 3 * ACCOUNT_PAIRS);

	/* Another host has none of them, whoever is in the same batch. */
	for (uint32_t id = 1; id <= 4; id++)
	{
		Flow		record = flow(id, id + 64);

		host = STRANGER;
		account_begin(&fixture->account, &host);
		account_flow(&fixture->account, &record, &parts);
		host = ROUTER;
		account_begin(&fixture->account, &host);
		account_flow(&fixture->account, &record, &parts);
	}
	account_flush(&fixture->account);
	assert_int_equal(fixture->account.matched, 3 * 4 + 4);
	assert_int_equal(fixture->account.unmatched, 3 * 3 * ACCOUNT_PAIRS - 3 * 4 + 4);
}

/* One path, two sides of it, where nothing tells them apart; and where something does. */
static void
test_paths(void **state)
{
	Fixture    *fixture = *state;
	Flow		record = sampled(flow(4, 4), 5);

	account_one(fixture, record);
	assert_int_equal(aggregate_count(fixture->aggregate), 1);
	assert_rows(fixture->aggregate, 2);
	assert_row(fixture, true, CUSTOMER, 64500, 64999, 7500, 15, 1);
	assert_row(fixture, false, CUSTOMER, 64999, 64500, 7500, 15, 1);

	/* Both have AS numbers, so that ours is on neither side. */
	fixture->account.own_as = 64496;
	account_one(fixture, record);
	assert_int_equal(aggregate_count(fixture->aggregate), 1);
	record.dst_as = 0;
	account_one(fixture, record);
	assert_int_equal(aggregate_count(fixture->aggregate), 3);
	assert_rows(fixture->aggregate, 4);
	assert_row(fixture, true, CUSTOMER, 64500, 64496, 7500, 15, 1);
	assert_row(fixture, false, CUSTOMER, 0, 64500, 7500, 15, 1);
}

/* What was looked up for records goes with the configuration. */
static void
test_configure(void **state)
{
	Fixture    *fixture = *state;
	const Interface list[] = {{ROUTER, 2, INTERFACE_ANY_VLAN, EXCHANGE, 3, 0, INTERFACE_COUNT_BOTH}};

	account_one(fixture, flow(1, 77));
	interfaces_build(fixture->interfaces, list, 1);
	account_configure(&fixture->account);
	account_one(fixture, flow(1, 77));
	account_one(fixture, flow(2, 77));
	assert_rows(fixture->aggregate, 2);
	assert_row(fixture, true, TRANSIT, 64500, 64999, 150000, 300, 1);
	assert_row(fixture, true, EXCHANGE, 64500, 64999, 4500, 9, 1);
	assert_counters(fixture, 3, 2, 1, 0, 0);
}

/*
 * account_flows() takes a short way where it can: of the same records account_flow()
 * makes the same.
 */

#define TWIN_BUFFERS	6
#define TWIN_ENTRIES	50
#define TWIN_RECORDS	20000
#define SECOND			INT64_C(1000000)

static uint64_t random_state;

static uint64_t
below(uint64_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 20) % limit;
}

/* Few sums reach their ends, unless some numbers are of any magnitude. */
static uint64_t
random_number(bool extreme)
{
	return !extreme || below(4) != 0 ? below(2000) : (below(UINT64_C(1) << 40) << 24) >> below(64);
}

static Flow
random_flow(bool extreme)
{
	Flow		record = flow(1 + (uint32_t) below(6), 1 + (uint32_t) below(6));

	record.present |= FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST);
	if (below(10) == 0)
		record.present &= (uint32_t) below(UINT64_C(1) << 32);
	if (below(4) == 0)
		record.present |= FLOW_BIT(FLOW_IN_VLAN);
	if (below(2) == 0)
		record.present |= FLOW_BIT(FLOW_DIRECTION);
	record.direction = (uint8_t) below(3);
	record.in_vlan = below(2) == 0 ? 300 : 301;
	record.family = (uint8_t) (2 * below(4));
	record.src_as = (uint32_t) below(12);
	record.dst_as = (uint32_t) below(12);
	if (below(2) == 0)
		record = sampled(record, (uint32_t) below(extreme ? UINT64_C(1) << 32 : 3));
	record.bytes = random_number(extreme);
	record.packets = random_number(extreme);
	record.received = NOW - (int64_t) below(5) * SECOND;
	record.exported = record.received + 3600 * SECOND;
	record.last = record.exported + 4 * SECOND - (int64_t) below(below(2) == 0 ? 8 * SECOND : 400 * SECOND);
	record.first = record.last + SECOND - (int64_t) below(below(2) == 0 ? 2 * SECOND : 400 * SECOND);
	if (below(2) == 0)
	{
		/* on the bounds of intervals, too */
		record.last -= record.last % SECOND;
		record.first -= record.first % SECOND;
	}
	return record;
}

static Intervals *
twin_intervals(const IntervalRule *rule)
{
	void	   *memory = aligned_alloc(64, (intervals_size(TWIN_BUFFERS, TWIN_ENTRIES) + 63) / 64 * 64);
	Intervals  *intervals = intervals_init(memory, TWIN_BUFFERS, TWIN_ENTRIES);

	intervals->rule = *rule;
	intervals_turn(intervals, NOW, 1);
	return intervals;
}

static void
assert_same_sums(const Intervals *a, const Intervals *b)
{
	assert_int_equal(a->open_count, b->open_count);
	for (uint32_t i = 0; i < a->count; i++)
	{
		const Aggregate *one = a->all[i].sums;
		const Aggregate *other = b->all[i].sums;

		assert_int_equal(aggregate_count(one), aggregate_count(other));
		assert_memory_equal(aggregate_rows(one), aggregate_rows(other),
							aggregate_count(one) * sizeof(AggregateRow));
		assert_int_equal(aggregate_folded(one), aggregate_folded(other));
		assert_int_equal(aggregate_saturated(one), aggregate_saturated(other));
	}
}

static void
assert_same_account(const Account *a, const Account *b)
{
	uint32_t	position = 0;
	uint32_t	other_position = 0;
	const SeenInterface *seen;

	assert_memory_equal(&a->records, &b->records, sizeof(*a) - offsetof(Account, records));
	while ((seen = lru_next(a->seen, &position)) != NULL)
		assert_memory_equal(seen, lru_next(b->seen, &other_position), sizeof(*seen));
	assert_null(lru_next(b->seen, &other_position));
}

static void
compare_twins(Fixture *one, Fixture *other, const IntervalRule *rule, bool extreme)
{
	Intervals  *intervals = twin_intervals(rule);
	Intervals  *other_intervals = twin_intervals(rule);

	for (int i = 0; i < TWIN_RECORDS; i++)
	{
		FlowAddress host = below(20) == 0 ? STRANGER : ROUTER;
		Flow		record = random_flow(extreme);
		IntervalParts parts;

		account_begin(&one->account, &host);
		intervals_lay(intervals, &record, &parts);
		account_flow(&one->account, &record, &parts);
		account_begin(&other->account, &host);
		account_flows(&other->account, other_intervals, &record, 1);
		if (below(50) == 0)
		{
			account_flush(&one->account);
			account_flush(&other->account);
		}
	}
	account_flush(&one->account);
	account_flush(&other->account);
	assert_same_sums(intervals, other_intervals);
	assert_same_account(&one->account, &other->account);
	free(intervals);
	free(other_intervals);
}

static void
test_flows(void **state)
{
	const IntervalRule rules[] = {
		{.period = 60,.window = 90}, {.period = 60}, {.period = 60,.window = 90,.by_arrival = true},
		{.period = 2,.window = 4}
	};

	(void) state;
	random_state = (uint64_t) time(NULL);
	print_message("seed %llu\n", (unsigned long long) random_state);
	for (size_t i = 0; i < 4 * sizeof(rules) / sizeof(rules[0]); i++)
	{
		void	   *one;
		void	   *other;

		setup(&one);
		setup(&other);
		/* with our own AS, and without */
		((Fixture *) one)->account.own_as = ((Fixture *) other)->account.own_as = i % 2 == 0 ? 0 : 64496;
		compare_twins(one, other, &rules[i / 4], i / 2 % 2 == 1);
		teardown(&one);
		teardown(&other);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_sides, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_side, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_interface, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unmatched, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent_interfaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent_members, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_octets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sampling, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vlans, setup, teardown),
		cmocka_unit_test_setup_teardown(test_saturation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty_part, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_future, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seen_times, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exporter_then_prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_as_sources, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_as, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seen_class, setup, teardown),
		cmocka_unit_test_setup_teardown(test_datagram, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configure, setup, teardown),
		cmocka_unit_test(test_flows)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
