/*
 * test_conservation.c
 *	  Nothing is lost and nothing comes twice on the way from records to rows:
 *	  whatever the records, the clock, the settings, and however slow the writer.
 *
 * Every run is another one.  LASTFLUSS_SEED repeats one that failed.
 */
#include "build_packet.h"

#include <time.h>

#include "account.h"
#include "rows.h"
#include "top.h"

#define ROUNDS			2000
#define MAX_STEPS		300
#define MAX_BUFFERS		12
#define MAX_ENTRIES		400
#define NAMES			4		/* of interfaces; their numbers are smaller */

#define SECOND			INT64_C(1000000)
#define HOUR			(3600 * SECOND)
#define START			(INT64_C(1700000000) * SECOND)
#define FAR				(INT64_C(1) << 56)

#define ROUTER			((FlowAddress) {.octets = {0x20, 0x01, 0x0D, 0xB8, [15] = 1}})

/* ifIndex 1 to 5; 6 and further ones are not configured. */
static const Interface configured[] = {
	{ROUTER, 1, INTERFACE_ANY_VLAN, 0, 0, 0, INTERFACE_COUNT_BOTH},
	{ROUTER, 2, INTERFACE_ANY_VLAN, 1, 1000, 0, INTERFACE_COUNT_BOTH},
	{ROUTER, 3, INTERFACE_ANY_VLAN, 2, 8191, 7, INTERFACE_COUNT_BOTH},
	{ROUTER, 4, INTERFACE_ANY_VLAN, 2, 0, 0, INTERFACE_COUNT_BOTH},
	{ROUTER, 5, INTERFACE_ANY_VLAN, 3, 0, 0, INTERFACE_COUNT_INGRESS},
};

#define MAX_IF			7

typedef struct Round
{
	uint64_t	seed;
	uint64_t	random;
	Account		account;
	Intervals  *intervals;
	uint32_t	keep_top;
	uint32_t	keep_top_share;
	int64_t		now;
	int64_t		skew;			/* of the exporter's clock */
	uint32_t	asleep;			/* so many steps the writer does nothing */
	FlowInterval *writing;
	uint64_t	written;		/* sequence of the last interval */
	AggregateSum in[NAMES][2];	/* by name and ingress */
	AggregateSum out[NAMES][2];
	AccountWork work;
	AggregateEntry rows[2 * MAX_ENTRIES + 6 * NAMES];
} Round;

#define CHECK(round, condition) \
	do { \
		if (!(condition)) \
			fail_msg("LASTFLUSS_SEED=%llu: does not hold: %s", \
					 (unsigned long long) (round)->seed, #condition); \
	} while (0)

/*
 * Chance.
 */

static uint64_t
wide(Round *round)
{
	uint64_t	upper = random_next(&round->random);

	return upper << 32 | random_next(&round->random);
}

static uint64_t
below(Round *round, uint64_t limit)
{
	return wide(round) % limit;
}

static bool
one_in(Round *round, uint32_t n)
{
	return below(round, n) == 0;
}

/* Less than 2^bits, of any magnitude. */
static uint64_t
any_magnitude(Round *round, uint32_t bits)
{
	return wide(round) >> (64 - 1 - below(round, bits));
}

/*
 * Settings.
 */

static IntervalRule
random_rule(Round *round)
{
	static const int32_t usual[] = {1, 10, 60, 300, 3600};
	IntervalRule rule = {
		.period = one_in(round, 3) ? 1 + (int32_t) below(round, 7200) :
		usual[below(round, COUNT(usual))],
		.by_arrival = one_in(round, 4)
	};
	int64_t		longest = intervals_longest_window(round->intervals->count, rule.period);

	if (!one_in(round, 4))
		rule.window = (int32_t) below(round, (uint64_t) longest + 1);
	return rule;
}

static void
begin(Round *round, void *memory)
{
	uint32_t	buffers = 2 + (uint32_t) below(round, MAX_BUFFERS - 1);
	uint32_t	entries = 1 + (uint32_t) below(round, one_in(round, 2) ? 8 : MAX_ENTRIES);

	round->intervals = intervals_init(memory, buffers, entries);
	round->intervals->rule = random_rule(round);
	round->keep_top = (uint32_t) below(round, 8);
	round->keep_top_share = (uint32_t) below(round, 2) * 100000;
	round->now = START + (int64_t) below(round, 1000 * HOUR);
	if (one_in(round, 2))
		round->skew = (int64_t) below(round, 1000 * HOUR) - 500 * HOUR;
	intervals_turn(round->intervals, round->now, 1);
}

/*
 * Records.
 */

/* Mostly such as they are, sometimes nonsense. */
static void
random_times(Round *round, Flow *flow)
{
	uint64_t	span = (uint64_t) ((round->intervals->rule.window + 2 *
									(int64_t) round->intervals->rule.period) * SECOND);

	flow->exported = flow->received + round->skew;
	if (!one_in(round, 3))
		flow->exported -= flow->exported % SECOND;
	flow->last = flow->exported - (int64_t) below(round, one_in(round, 5) ? span : 1 + span / 5);
	if (one_in(round, 20))
		flow->last = flow->exported + (int64_t) any_magnitude(round, 45);
	flow->first = flow->last - (int64_t) below(round, one_in(round, 5) ? 2 * span : 1 + span / 5);
	if (one_in(round, 20))
		flow->first = flow->last;
	if (one_in(round, 50))
		flow->first = FAR - (int64_t) any_magnitude(round, 57);
	if (one_in(round, 50))
		flow->last = (int64_t) any_magnitude(round, 57) - FAR;
	if (one_in(round, 4))
	{
		/* so that the ends lie on boundaries, too */
		flow->last -= flow->last % SECOND;
		flow->first -= flow->first % SECOND;
	}
}

static uint32_t
random_present(Round *round)
{
	uint32_t	present = FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) | FLOW_BIT(FLOW_IN_IF) |
		FLOW_BIT(FLOW_OUT_IF) | FLOW_BIT(FLOW_SRC_AS) | FLOW_BIT(FLOW_DST_AS) |
		FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST);

	if (one_in(round, 2))
		present |= FLOW_BIT(FLOW_SAMPLING);
	if (one_in(round, 2))
		present |= FLOW_BIT(FLOW_DIRECTION);
	if (one_in(round, 5))
		present &= (uint32_t) wide(round);
	return present;
}

static Flow
random_flow(Round *round)
{
	static const uint8_t families[] = {4, 4, 6, 6, 0};
	uint64_t	ases = one_in(round, 2) ? 5 : 1000;
	Flow		flow = {
		.present = random_present(round),
		.family = families[below(round, COUNT(families))],
		.direction = (uint8_t) below(round, 2),
		.received = round->now,
		.bytes = any_magnitude(round, 36),
		.packets = any_magnitude(round, 20),
		.in_if = 1 + (uint32_t) below(round, MAX_IF),
		.out_if = 1 + (uint32_t) below(round, MAX_IF),
		.src_as = (uint32_t) below(round, ases),
		.dst_as = (uint32_t) below(round, ases),
		.sampling = 1 + (uint32_t) any_magnitude(round, 13),
	};

	/* it has waited for its template */
	if (one_in(round, 20))
		flow.received -= (int64_t) below(round, 300 * SECOND);
	random_times(round, &flow);
	return flow;
}

/* What one side of it must come to. */
static void
expect_side(Round *round, const Flow *flow, bool ingress)
{
	uint32_t	id = ingress ? flow->in_if : flow->out_if;
	const Interface *interface;
	AggregateSum *sum;
	uint64_t	rate;

	if (!FLOW_HAS(flow, ingress ? FLOW_IN_IF : FLOW_OUT_IF) || id > COUNT(configured))
		return;
	interface = &configured[id - 1];
	if (interface->count == INTERFACE_COUNT_INGRESS && FLOW_HAS(flow, FLOW_DIRECTION) &&
		flow->direction != 0)
		return;
	rate = !ingress && interface->sample_out != 0 ? interface->sample_out : interface->sample;
	if (rate == 0)
		rate = FLOW_HAS(flow, FLOW_SAMPLING) ? flow->sampling : 1;
	sum = &round->in[interface->name][ingress];
	sum->bytes += flow->bytes * rate;
	sum->packets += FLOW_HAS(flow, FLOW_PACKETS) ? flow->packets * rate : 0;
	sum->flows++;
}

static void
take_record(Round *round)
{
	const Flow	flow = random_flow(round);
	IntervalParts parts;

	if (FLOW_HAS(&flow, FLOW_BYTES))
	{
		expect_side(round, &flow, true);
		expect_side(round, &flow, false);
	}
	intervals_lay(round->intervals, &flow, &parts);
	CHECK(round, parts.count > 0);
	CHECK(round, parts.count <= round->intervals->open_count + parts.late);
	account_flows(&round->account, round->intervals, &flow, 1);
}

/*
 * The writer.
 */

static void
write_row(Round *round, const AggregateEntry *row)
{
	AggregateSum *sum = &round->out[row->key.interface][row->key.ingress];

	sum->bytes += row->sum.bytes;
	sum->packets += row->sum.packets;
	sum->flows += row->sum.flows;
}

static void
write_rows(Round *round, const Aggregate *sums)
{
	uint32_t	count = 0;

	CHECK(round, aggregate_saturated(sums) == 0);
	for (uint32_t i = 0; i < aggregate_count(sums); i++)
	{
		CHECK(round, count + 2 <= COUNT(round->rows));
		count += aggregate_sides(&aggregate_rows(sums)[i], &round->rows[count]);
	}
	count = rows_merge(round->rows, count);
	count = top_keep(round->rows, count, round->keep_top, round->keep_top_share);
	for (uint32_t i = 0; i < count; i++)
		write_row(round, &round->rows[i]);
}

/* The one that was finished first, which must be the next. */
static void
begin_writing(Round *round)
{
	for (uint32_t i = 0; i < round->intervals->count; i++)
	{
		FlowInterval *interval = &round->intervals->all[i];

		if (interval->state == INTERVAL_READY &&
			(round->writing == NULL || interval->sequence < round->writing->sequence))
			round->writing = interval;
	}
	if (round->writing == NULL)
		return;
	CHECK(round, round->writing->sequence == round->written + 1);
	CHECK(round, round->writing->start % (round->writing->period * SECOND) == 0);
	round->writing->state = INTERVAL_WRITING;
	round->written++;
	write_rows(round, round->writing->sums);
}

static void
end_writing(Round *round)
{
	round->writing->state = INTERVAL_FREE;
	round->writing = NULL;
}

/* Sometimes it is locked out for so long that buffers run out. */
static void
step_writer(Round *round)
{
	if (round->asleep > 0)
		round->asleep--;
	else if (round->writing != NULL)
		end_writing(round);
	else
		begin_writing(round);
	if (one_in(round, 50))
		round->asleep = (uint32_t) below(round, 60);
}

/*
 * The clock.
 */

static void
step_clock(Round *round)
{
	int64_t		period = round->intervals->rule.period * SECOND;

	if (one_in(round, 40))
		round->now += (int64_t) any_magnitude(round, 40);
	else if (one_in(round, 60))
		round->now -= (int64_t) any_magnitude(round, 40);
	else if (one_in(round, 20))
		round->now += period - round->now % period;
	else
		round->now += (int64_t) below(round, (uint64_t) period);
	if (round->now < START - 1000 * HOUR)
		round->now = START;
}

static void
turn(Round *round)
{
	Intervals  *intervals = round->intervals;
	bool		due = intervals_due(intervals, round->now);
	uint64_t	before = intervals->next_sequence;
	uint32_t	closed = intervals_turn(intervals, round->now, 1);
	uint32_t	open = 0;

	CHECK(round, due || (closed == 0 && intervals->next_sequence == before));
	CHECK(round, intervals_newest(intervals) != NULL);
	CHECK(round, intervals->open_count <= INTERVALS_MAX_OPEN);
	for (uint32_t i = 0; i < intervals->count; i++)
		open += intervals->all[i].state == INTERVAL_OPEN;
	CHECK(round, open == intervals->open_count);
	for (uint32_t i = 0; i < open; i++)
		CHECK(round, intervals->all[intervals->open[i]].state == INTERVAL_OPEN);
	for (uint32_t i = 1; i < open; i++)
	{
		const FlowInterval *older = &intervals->all[intervals->open[i - 1]];
		const FlowInterval *newer = &intervals->all[intervals->open[i]];

		CHECK(round, newer->sequence == older->sequence + 1);
		CHECK(round, newer->start >= older->start + older->period * SECOND);
	}
}

static void
step(Round *round)
{
	step_clock(round);
	if (one_in(round, 100))
		round->intervals->rule = random_rule(round);
	if (one_in(round, 100))
		intervals_close_all(round->intervals);
	turn(round);
	for (uint64_t records = below(round, 6); records > 0; records--)
		take_record(round);
	account_flush(&round->account);
	step_writer(round);
}

/* All is written, and it is what came in. */
static void
finish(Round *round)
{
	uint64_t	bytes = 0;

	intervals_close_all(round->intervals);
	do
	{
		if (round->writing != NULL)
			end_writing(round);
		begin_writing(round);
	} while (round->writing != NULL);

	CHECK(round, round->written + 1 == round->intervals->next_sequence);
	for (uint32_t i = 0; i < round->intervals->count; i++)
		CHECK(round, round->intervals->all[i].state == INTERVAL_FREE);
	for (int name = 0; name < NAMES; name++)
	{
		for (int ingress = 0; ingress < 2; ingress++)
		{
			CHECK(round, round->out[name][ingress].bytes == round->in[name][ingress].bytes);
			CHECK(round, round->out[name][ingress].packets == round->in[name][ingress].packets);
			CHECK(round, round->out[name][ingress].flows == round->in[name][ingress].flows);
			bytes += round->in[name][ingress].bytes;
		}
	}
	CHECK(round, round->account.late_bytes <= bytes);
	CHECK(round, round->account.future_bytes <= bytes);
}

/* A round has a seed of its own. */
static uint64_t
first_seed(void)
{
	const char *given = getenv("LASTFLUSS_SEED");

	if (given != NULL)
		return strtoull(given, NULL, 10);
	return (uint64_t) time(NULL) * ROUNDS;
}

/* One xorshift step from a small seed is not random enough. */
static uint64_t
scatter(uint64_t seed)
{
	seed = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
	seed = (seed ^ seed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	return seed | 1;
}

static void
test_conservation(void **state)
{
	const uint32_t count = COUNT(configured);
	size_t		size = intervals_size(MAX_BUFFERS, MAX_ENTRIES);
	void	   *memory = aligned_alloc(64, (size + 63) / 64 * 64);
	void	   *seen = malloc(lru_size(8, sizeof(SeenInterface)));
	Interfaces *interfaces = interfaces_build(malloc(interfaces_size(count)), configured, count);
	const FlowAddress router = ROUTER;
	Round	   *round = malloc(sizeof(Round));
	uint64_t	seed = first_seed();

	(void) state;
	print_message("LASTFLUSS_SEED=%llu\n", (unsigned long long) seed);
	for (uint64_t i = 0; i < ROUNDS; i++)
	{
		memset(round, 0, sizeof(*round));
		round->seed = seed + i;
		round->random = scatter(round->seed);
		round->account.interfaces = interfaces;
		round->account.work = &round->work;
		account_begin(&round->account, &router);
		round->account.seen = lru_init(seen, 8, sizeof(SeenInterface));
		begin(round, memory);
		for (uint64_t steps = below(round, MAX_STEPS); steps > 0; steps--)
			step(round);
		finish(round);
	}
	free(round);
	free(interfaces);
	free(seen);
	free(memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conservation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
