/*
 * ledger.c
 *	  Keeps the books of account.c, intervals.c and aggregate.c a second time, in a
 *	  simple way, and compares: nothing may be lost on the way to intervals' rows.
 */
#include "ledger.h"

#include <string.h>

#include "check.h"

#define LEDGER_ROWS		8		/* so few that ASNs are folded */
#define LEDGER_BUFFERS	6		/* so few that they run out */
#define LEDGER_SEEN		8
#define LEDGER_NAMES	8		/* numbers of interfaces' names are smaller */

/* As wide as no sum can be. */
typedef unsigned __int128 LedgerSum;

typedef struct LedgerSums
{
	LedgerSum	bytes;
	LedgerSum	packets;
	LedgerSum	flows;
} LedgerSums;

struct Ledger
{
	Account		account;
	Intervals  *intervals;
	uint64_t	flows;
	uint64_t	written;		/* sequence of the last interval */
	bool		saturated;
	LedgerSums	sums[LEDGER_NAMES][2];	/* by name and ingress */
};

#define V4(a, b, c, d)	{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}}
#define V6(a, b, z)		{{0x20, 0x01, 0x0d, 0xb8, a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, z}}

#define ROUTER_V4		V4(192, 0, 2, 1)
#define ROUTER_V6		V6(0, 0, 1)

const FlowAddress ledger_hosts[LEDGER_HOSTS] = {
	ROUTER_V4, ROUTER_V6, V4(198, 51, 100, 7), V6(0xff, 0xff, 2)
};

static const Interface ledger_list[] = {
	{.host = ROUTER_V4,.id = 0,.vlan = INTERFACE_ANY_VLAN,.name = 0},
	{.host = ROUTER_V4,.id = 1,.vlan = INTERFACE_ANY_VLAN,.name = 1,.sample = 100},
	{.host = ROUTER_V4,.id = 2,.vlan = INTERFACE_ANY_VLAN,.name = 1,.sample_out = 10},
	{.host = ROUTER_V4,.id = 3,.vlan = INTERFACE_ANY_VLAN,.name = 2,
	.count = INTERFACE_COUNT_INGRESS},
	{.host = ROUTER_V4,.id = 3,.vlan = 10,.name = 3},
	{.host = ROUTER_V4,.id = 4,.vlan = 1,.name = 4,.count = INTERFACE_COUNT_EGRESS},
	{.host = ROUTER_V6,.id = 0,.vlan = INTERFACE_ANY_VLAN,.name = 5,.sample = UINT32_MAX},
	{.host = ROUTER_V6,.id = 1,.vlan = INTERFACE_ANY_VLAN,.name = 6},
	{.host = ROUTER_V6,.id = 2,.vlan = INTERFACE_ANY_VLAN,.name = 7,
	.count = INTERFACE_COUNT_EGRESS},
	{.host = ROUTER_V6,.id = UINT32_MAX,.vlan = INTERFACE_ANY_VLAN,.name = 7},
};

static const Prefix ledger_prefixes[] = {
	{.address = V4(0, 0, 0, 0),.length = 96,.as = 64496},
	{.address = V4(10, 0, 0, 0),.length = 104,.as = 64497},
	{.address = V4(10, 1, 0, 0),.length = 112,.as = 64498},
	{.address = V4(10, 1, 2, 0),.length = 120,.as = 0},
	{.address = V4(10, 1, 2, 3),.length = 128,.as = 4200000000},
	{.address = V4(172, 16, 0, 0),.length = 108,.as = 64499},
	{.address = V4(128, 0, 0, 0),.length = 97,.as = 64500},
	{.address = V6(0, 0, 0),.length = 32,.as = 64501},
	{.address = V6(0, 1, 0),.length = 48,.as = 64502},
	{.address = V6(0, 1, 0),.length = 64,.as = 64503},
	{.address = V6(0, 1, 1),.length = 128,.as = 64504},
	{.address = {{0x20}},.length = 3,.as = 64505},
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* Never freed: an input must cost little. */
static void *
ledger_allocate(size_t size)
{
	void	   *memory = aligned_alloc(64, (size + 63) / 64 * 64);

	CHECK(memory != NULL);
	return memory;
}

static PrefixTable *
ledger_build_prefixes(void)
{
	Prefix		prefixes[COUNT(ledger_prefixes)];

	memcpy(prefixes, ledger_prefixes, sizeof(prefixes));
	return prefix_build(ledger_allocate(prefix_size(COUNT(prefixes))), prefixes,
						COUNT(prefixes), NULL);
}

static void
ledger_prepare(Ledger *ledger, const Interfaces **interfaces, const PrefixTable **prefixes)
{
	*interfaces = interfaces_build(ledger_allocate(interfaces_size(COUNT(ledger_list))),
								   ledger_list, COUNT(ledger_list));
	*prefixes = ledger_build_prefixes();
	ledger->account.seen = ledger_allocate(lru_size(LEDGER_SEEN, sizeof(SeenInterface)));
	ledger->intervals = intervals_init(ledger_allocate(intervals_size(LEDGER_BUFFERS, LEDGER_ROWS)),
									   LEDGER_BUFFERS, LEDGER_ROWS);
	ledger->intervals->rule = (IntervalRule) {.period = 60,.window = 150};
}

/* Forgets what is in them. */
static Intervals *
ledger_empty(Intervals *intervals)
{
	intervals_close_all(intervals);
	for (uint32_t i = 0; i < intervals->count; i++)
		intervals->all[i].state = INTERVAL_FREE;
	return intervals;
}

static AccountWork *
ledger_empty_work(void)
{
	static AccountWork work;

	memset(&work, 0, sizeof(work));
	return &work;
}

Ledger *
ledger_open(AccountAsSource as_source, uint32_t own_as, bool prefixes)
{
	static Ledger ledger;
	static const Interfaces *interfaces;
	static const PrefixTable *prefix_table;

	if (interfaces == NULL)
		ledger_prepare(&ledger, &interfaces, &prefix_table);
	ledger = (Ledger) {
		.account = {
			.interfaces = interfaces,
			.prefixes = prefixes ? prefix_table : NULL,
			.as_source = as_source,
			.own_as = own_as,
			.seen = lru_init(ledger.account.seen, LEDGER_SEEN, sizeof(SeenInterface)),
			.work = ledger_empty_work(),
		},
		.intervals = ledger_empty(ledger.intervals),
		.written = ledger.intervals->next_sequence - 1,
	};
	return &ledger;
}

bool
ledger_knows(const Ledger *ledger, const FlowAddress *host)
{
	bool		knows = false;

	for (size_t i = 0; i < COUNT(ledger_list); i++)
		knows |= memcmp(&ledger_list[i].host, host, sizeof(*host)) == 0;
	CHECK(interfaces_know_host(ledger->account.interfaces, host) == knows);
	return knows;
}

/* interfaces_find() without a table. */
static const Interface *
ledger_find(const FlowAddress *host, uint32_t id, int32_t vlan)
{
	const Interface *found = NULL;

	for (size_t i = 0; i < COUNT(ledger_list); i++)
	{
		const Interface *interface = &ledger_list[i];

		if (interface->id != id || memcmp(&interface->host, host, sizeof(*host)) != 0)
			continue;
		if (interface->vlan == vlan ||
			(interface->vlan == INTERFACE_ANY_VLAN && found == NULL))
			found = interface;
	}
	return found;
}

static bool
ledger_covers(const Prefix *prefix, const FlowAddress *address)
{
	int			octets = prefix->length / 8;
	int			bits = prefix->length % 8;

	return memcmp(&prefix->address, address, (size_t) octets) == 0 &&
		(bits == 0 ||
		 (prefix->address.octets[octets] ^ address->octets[octets]) >> (8 - bits) == 0);
}

/* prefix_find() gives what a look at each of the prefixes gives. */
static void
ledger_check_prefix(const PrefixTable *table, const FlowAddress *address)
{
	const Prefix *longest = NULL;
	uint32_t	as = 0;
	bool		found = prefix_find(table, address, &as);

	for (size_t i = 0; i < COUNT(ledger_prefixes); i++)
		if (ledger_covers(&ledger_prefixes[i], address) &&
			(longest == NULL || ledger_prefixes[i].length > longest->length))
			longest = &ledger_prefixes[i];
	CHECK(found == (longest != NULL));
	CHECK(!found || as == longest->as);
}

static uint32_t
ledger_rate(const Interface *interface, const Flow *flow, bool ingress)
{
	if (!ingress && interface->sample_out != 0)
		return interface->sample_out;
	if (interface->sample != 0)
		return interface->sample;
	return FLOW_HAS(flow, FLOW_SAMPLING) ? flow->sampling : 1;
}

static bool
ledger_counts(const Interface *interface, const Flow *flow)
{
	if (interface->count == INTERFACE_COUNT_BOTH || !FLOW_HAS(flow, FLOW_DIRECTION))
		return true;
	return interface->count ==
		(flow->direction == 0 ? INTERFACE_COUNT_INGRESS : INTERFACE_COUNT_EGRESS);
}

static LedgerSum
ledger_times(uint64_t value, uint32_t rate)
{
	LedgerSum	product = (LedgerSum) value * rate;

	return product < AGGREGATE_MAX_SUM ? product : AGGREGATE_MAX_SUM;
}

static void
ledger_side(Ledger *ledger, const FlowAddress *host, const Flow *flow, bool ingress)
{
	uint32_t	id = ingress ? flow->in_if : flow->out_if;
	int32_t		vlan = INTERFACE_ANY_VLAN;
	const Interface *interface;
	const Interface *found;
	LedgerSums *sums;
	uint32_t	rate;

	if (!FLOW_HAS(flow, ingress ? FLOW_IN_IF : FLOW_OUT_IF))
		return;
	if (FLOW_HAS(flow, ingress ? FLOW_IN_VLAN : FLOW_OUT_VLAN))
		vlan = ingress ? flow->in_vlan : flow->out_vlan;
	interface = ledger_find(host, id, vlan);
	found = interfaces_find(ledger->account.interfaces, host, id, vlan);
	CHECK((interface == NULL) == (found == NULL));
	if (interface == NULL)
		return;
	CHECK(memcmp(interface, found, sizeof(*interface)) == 0);
	if (!ledger_counts(interface, flow))
		return;

	rate = ledger_rate(interface, flow, ingress);
	sums = &ledger->sums[interface->name][ingress];
	sums->bytes += ledger_times(flow->bytes, rate);
	if (FLOW_HAS(flow, FLOW_PACKETS))
		sums->packets += ledger_times(flow->packets, rate);
	sums->flows++;
}

/*
 * Intervals.
 */

/* Takes one side of a row out of the sums. */
static void
ledger_subtract_row(Ledger *ledger, const AggregateEntry *row)
{
	const AggregateKey *key = &row->key;
	LedgerSums *sums;

	CHECK(key->interface < LEDGER_NAMES);
	CHECK(key->family == 0 || key->family == 4 || key->family == 6);
	CHECK(!key->others || (key->remote_as == 0 && key->local_as == 0));
	CHECK(row->sum.bytes > 0 || row->sum.packets > 0 || row->sum.flows > 0);
	sums = &ledger->sums[key->interface][key->ingress];
	sums->bytes -= row->sum.bytes;
	sums->packets -= row->sum.packets;
	sums->flows -= row->sum.flows;
}

/* Takes the rows out of the sums. */
static void
ledger_subtract_rows(Ledger *ledger, const Aggregate *aggregate)
{
	for (uint32_t i = 0; i < aggregate_count(aggregate); i++)
	{
		AggregateEntry sides[2];
		uint32_t	count = aggregate_sides(&aggregate_rows(aggregate)[i], sides);

		CHECK(count == 1 || count == 2);
		for (uint32_t side = 0; side < count; side++)
			ledger_subtract_row(ledger, &sides[side]);
	}
}

/* Writes the interval that was finished first; false where none is. */
static bool
ledger_write(Ledger *ledger)
{
	for (uint32_t i = 0; i < ledger->intervals->count; i++)
	{
		FlowInterval *interval = &ledger->intervals->all[i];

		if (interval->state != INTERVAL_READY || interval->sequence != ledger->written + 1)
			continue;
		CHECK(interval->start % (60 * INT64_C(1000000)) == 0);
		CHECK(aggregate_count(interval->sums) <= LEDGER_ROWS + 6 * LEDGER_NAMES);
		ledger_subtract_rows(ledger, interval->sums);
		ledger->saturated |= aggregate_saturated(interval->sums) > 0;
		interval->state = INTERVAL_FREE;
		ledger->written++;
		return true;
	}
	return false;
}

/* Now and then buffers run out. */
static void
ledger_turn(Ledger *ledger, int64_t now)
{
	intervals_turn(ledger->intervals, now, 1);
	if (ledger->flows % 4 == 0)
		(void) ledger_write(ledger);
	CHECK(intervals_newest(ledger->intervals) != NULL);
}

void
ledger_flow(Ledger *ledger, const FlowAddress *host, const Flow *flow, int64_t now)
{
	IntervalParts parts;

	ledger->flows++;
	/* as a receiver: whoever writes sees all that was added */
	account_flush(&ledger->account);
	ledger_turn(ledger, now);
	if (ledger->account.prefixes != NULL && FLOW_HAS(flow, FLOW_SRC_ADDR))
		ledger_check_prefix(ledger->account.prefixes, &flow->src_addr);
	if (ledger->account.prefixes != NULL && FLOW_HAS(flow, FLOW_DST_ADDR))
		ledger_check_prefix(ledger->account.prefixes, &flow->dst_addr);
	if (FLOW_HAS(flow, FLOW_BYTES))
	{
		ledger_side(ledger, host, flow, true);
		ledger_side(ledger, host, flow, false);
	}
	intervals_lay(ledger->intervals, flow, &parts);
	CHECK(parts.count > 0 && parts.count <= ledger->intervals->open_count + parts.late);
	account_begin(&ledger->account, host);
	account_flows(&ledger->account, ledger->intervals, flow, 1);
}

void
ledger_check(Ledger *ledger)
{
	Account    *account = &ledger->account;

	account_flush(account);
	CHECK(account->records + account->no_octets == ledger->flows);
	CHECK(account->matched + account->unmatched == account->records);
	CHECK(account->unknown_sampling <= account->matched);
	CHECK(account->other_direction <= account->matched);
	CHECK(lru_count(account->seen) <= LEDGER_SEEN + 1);

	intervals_close_all(ledger->intervals);
	while (ledger_write(ledger))
		continue;
	CHECK(ledger->written + 1 == ledger->intervals->next_sequence);
	if (ledger->saturated)
		return;
	for (int name = 0; name < LEDGER_NAMES; name++)
		for (int ingress = 0; ingress < 2; ingress++)
		{
			CHECK(ledger->sums[name][ingress].bytes == 0);
			CHECK(ledger->sums[name][ingress].packets == 0);
			CHECK(ledger->sums[name][ingress].flows == 0);
		}
}
