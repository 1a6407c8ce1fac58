/*
 * test_intervals.c
 *	  Intervals that open and close by the clock, and where records are laid.
 */
#include "build_packet.h"

#include "intervals.h"

#define MAX_ENTRIES		16
#define SECOND			INT64_C(1000000)

/* A full minute, and hour. */
#define NOW				(INT64_C(1699999200) * SECOND)

/* The limit of what decoders tell (times.h). */
#define FAR				(INT64_C(1) << 56)

static Intervals *
make(uint32_t buffers, int32_t period, int32_t window)
{
	size_t		size = intervals_size(buffers, MAX_ENTRIES);
	Intervals  *intervals = intervals_init(aligned_alloc(64, (size + 63) / 64 * 64),
										   buffers, MAX_ENTRIES);

	intervals->rule = (IntervalRule) {.period = period,.window = window};
	return intervals;
}

static const FlowInterval *
opened(const Intervals *intervals, uint32_t position)
{
	assert_true(position < intervals->open_count);
	return &intervals->all[intervals->open[position]];
}

/* The starts of the open ones, in seconds from NOW. */
static void
assert_open(const Intervals *intervals, uint32_t count, const int64_t *starts)
{
	assert_int_equal(intervals->open_count, count);
	for (uint32_t i = 0; i < count; i++)
	{
		assert_int_equal(opened(intervals, i)->start, NOW + starts[i] * SECOND);
		assert_int_equal(opened(intervals, i)->state, INTERVAL_OPEN);
		if (i > 0)
			assert_int_equal(opened(intervals, i)->sequence,
							 opened(intervals, i - 1)->sequence + 1);
	}
}

#define ASSERT_OPEN(intervals, ...) \
	assert_open(intervals, COUNT(((const int64_t[]) {__VA_ARGS__})), \
				(const int64_t[]) {__VA_ARGS__})

static uint32_t
turn(Intervals *intervals, int64_t seconds)
{
	return intervals_turn(intervals, NOW + seconds * SECOND, 7);
}

static uint32_t
count_state(const Intervals *intervals, IntervalState state)
{
	uint32_t	count = 0;

	for (uint32_t i = 0; i < intervals->count; i++)
		count += intervals->all[i].state == state;
	return count;
}

/* The next one to be written, or NULL. */
static FlowInterval *
next_ready(Intervals *intervals)
{
	FlowInterval *found = NULL;

	for (uint32_t i = 0; i < intervals->count; i++)
	{
		FlowInterval *interval = &intervals->all[i];

		if (interval->state == INTERVAL_READY &&
			(found == NULL || interval->sequence < found->sequence))
			found = interval;
	}
	return found;
}

static void
write_one(Intervals *intervals)
{
	FlowInterval *interval = next_ready(intervals);

	assert_non_null(interval);
	interval->state = INTERVAL_FREE;
}

static void
write_all(Intervals *intervals)
{
	while (next_ready(intervals) != NULL)
		write_one(intervals);
}

/*
 * Rules.
 */

static void
test_needed(void **state)
{
	IntervalRule rule = {.period = 60,.window = 0};

	(void) state;
	assert_int_equal(intervals_needed_open(&rule), 1);
	assert_int_equal(intervals_needed(&rule), 3);
	rule.window = 1;
	assert_int_equal(intervals_needed_open(&rule), 2);
	rule.window = 60;
	assert_int_equal(intervals_needed_open(&rule), 2);
	rule.window = 90;
	assert_int_equal(intervals_needed_open(&rule), 3);
	assert_int_equal(intervals_needed(&rule), 5);
	rule = (IntervalRule) {.period = INT32_MAX,.window = INT32_MAX};
	assert_int_equal(intervals_needed_open(&rule), 2);
}

/* It is the longest: its own need fits, that of a second more does not. */
static void
test_longest_window(void **state)
{
	(void) state;
	assert_int_equal(intervals_longest_window(2, 60), 0);
	assert_int_equal(intervals_longest_window(3, 60), 0);
	assert_int_equal(intervals_longest_window(8, 60), 300);
	assert_int_equal(intervals_longest_window(1024, 60), 63 * 60);
	assert_int_equal(intervals_longest_window(1024, INT32_MAX), INT32_MAX);
	for (uint32_t buffers = 3; buffers <= 100; buffers++)
	{
		IntervalRule rule = {.period = 7};

		rule.window = intervals_longest_window(buffers, rule.period);
		assert_true(intervals_needed(&rule) <= buffers);
		assert_true(intervals_needed_open(&rule) <= INTERVALS_MAX_OPEN);
		rule.window++;
		assert_true(intervals_needed(&rule) > buffers ||
					intervals_needed_open(&rule) > INTERVALS_MAX_OPEN);
	}
}

/*
 * The clock.
 */

static void
test_init(void **state)
{
	Intervals  *intervals = make(4, 60, 0);

	(void) state;
	assert_int_equal(intervals->count, 4);
	assert_int_equal(count_state(intervals, INTERVAL_FREE), 4);
	assert_null(intervals_newest(intervals));
	assert_int_equal(intervals_next_turn(intervals), INT64_MAX);
	assert_false(intervals_stretched(intervals, NOW));
	assert_true(intervals_due(intervals, NOW));
	assert_int_equal(intervals_close_all(intervals), 0);
	for (uint32_t i = 0; i < 4; i++)
	{
		assert_int_equal((uintptr_t) intervals->all[i].sums % 64, 0);
		assert_int_equal((uintptr_t) intervals->all[i].health % 64, 0);
		assert_int_equal(aggregate_count(intervals->all[i].sums), 0);
	}
	free(intervals);
}

/* As far back as somebody may still report. */
static void
test_start(void **state)
{
	Intervals  *intervals = make(8, 60, 0);

	(void) state;
	assert_int_equal(turn(intervals, 30), 0);
	ASSERT_OPEN(intervals, 0);
	assert_int_equal(opened(intervals, 0)->sequence, 1);
	assert_int_equal(opened(intervals, 0)->generation, 7);
	assert_int_equal(opened(intervals, 0)->period, 60);
	assert_ptr_equal(intervals_newest(intervals), opened(intervals, 0));
	free(intervals);

	intervals = make(8, 60, 90);
	turn(intervals, 30);
	ASSERT_OPEN(intervals, -60, 0);
	free(intervals);

	intervals = make(8, 60, 90);
	turn(intervals, 29);
	ASSERT_OPEN(intervals, -120, -60, 0);
	free(intervals);

	/* no further than there are buffers */
	intervals = make(2, 60, 300);
	turn(intervals, 0);
	ASSERT_OPEN(intervals, -60, 0);
	free(intervals);
}

static void
test_by_the_clock(void **state)
{
	Intervals  *intervals = make(8, 60, 90);

	(void) state;
	turn(intervals, 30);
	ASSERT_OPEN(intervals, -60, 0);
	assert_int_equal(intervals_next_turn(intervals), NOW + 60 * SECOND);
	assert_false(intervals_due(intervals, NOW + 60 * SECOND - 1));
	assert_true(intervals_due(intervals, NOW + 60 * SECOND));

	assert_int_equal(intervals_turn(intervals, NOW + 60 * SECOND - 1, 7), 0);
	ASSERT_OPEN(intervals, -60, 0);
	assert_int_equal(turn(intervals, 60), 0);
	ASSERT_OPEN(intervals, -60, 0, 60);
	assert_int_equal(intervals_next_turn(intervals), NOW + 90 * SECOND);

	assert_int_equal(intervals_turn(intervals, NOW + 90 * SECOND - 1, 7), 0);
	assert_int_equal(turn(intervals, 90), 1);
	ASSERT_OPEN(intervals, 0, 60);
	assert_int_equal(next_ready(intervals)->start, NOW - 60 * SECOND);
	assert_int_equal(intervals_next_turn(intervals), NOW + 120 * SECOND);

	assert_int_equal(turn(intervals, 120), 0);
	assert_int_equal(turn(intervals, 150), 1);
	ASSERT_OPEN(intervals, 60, 120);
	assert_int_equal(count_state(intervals, INTERVAL_READY), 2);

	assert_int_equal(intervals_close_all(intervals), 2);
	assert_int_equal(count_state(intervals, INTERVAL_READY), 4);
	assert_null(intervals_newest(intervals));
	for (uint64_t sequence = 1; sequence <= 4; sequence++)
	{
		const FlowInterval *ready = next_ready(intervals);

		assert_int_equal(ready->sequence, sequence);
		assert_int_equal(ready->start, NOW + ((int64_t) sequence - 2) * 60 * SECOND);
		write_one(intervals);
	}
	free(intervals);
}

/* Without a window the next one opens as the one before closes. */
static void
test_no_window(void **state)
{
	Intervals  *intervals = make(3, 60, 0);

	(void) state;
	turn(intervals, 0);
	for (int64_t minute = 1; minute < 10; minute++)
	{
		assert_int_equal(turn(intervals, minute * 60), 1);
		ASSERT_OPEN(intervals, minute * 60);
		assert_int_equal(next_ready(intervals)->start, NOW + (minute - 1) * 60 * SECOND);
		assert_int_equal(intervals_next_turn(intervals), NOW + (minute + 1) * 60 * SECOND);
		write_all(intervals);
	}
	free(intervals);
}

/* A buffer is empty when it is used again, and what was folded is not forgotten. */
static void
test_buffers_used_again(void **state)
{
	Intervals  *intervals = make(2, 60, 0);
	AggregateSum sum = {AGGREGATE_MAX_SUM, 1, 1};

	(void) state;
	turn(intervals, 0);
	for (uint32_t as = 0; as < MAX_ENTRIES + 5; as++)
		aggregate_add(intervals_newest(intervals)->sums, &(AggregatePath) {.egress = AGGREGATE_NO_INTERFACE,.src_as = as}, &sum);
	intervals_newest(intervals)->health->noted = true;
	for (int64_t minute = 1; minute <= 2; minute++)
	{
		turn(intervals, minute * 60);
		write_all(intervals);
	}
	assert_int_equal(aggregate_count(intervals_newest(intervals)->sums), 0);
	assert_false(intervals_newest(intervals)->health->noted);
	assert_int_equal(intervals->folded, 5);
	assert_int_equal(intervals->saturated, MAX_ENTRIES + 5);
	free(intervals);
}

/*
 * Buffers run out.
 */

static void
test_stretched(void **state)
{
	Intervals  *intervals = make(3, 60, 0);

	(void) state;
	turn(intervals, 0);
	turn(intervals, 60);
	turn(intervals, 120);
	ASSERT_OPEN(intervals, 120);
	assert_int_equal(count_state(intervals, INTERVAL_FREE), 0);
	assert_false(intervals_stretched(intervals, NOW + 180 * SECOND - 1));
	assert_true(intervals_stretched(intervals, NOW + 180 * SECOND));

	/* nothing is closed that nothing follows */
	assert_int_equal(turn(intervals, 180), 0);
	assert_int_equal(turn(intervals, 3000), 0);
	ASSERT_OPEN(intervals, 120);

	/* one is written: the next one is today's */
	write_one(intervals);
	assert_int_equal(turn(intervals, 3030), 1);
	ASSERT_OPEN(intervals, 3000);
	assert_false(intervals_stretched(intervals, NOW + 3030 * SECOND));
	assert_int_equal(opened(intervals, 0)->sequence, 4);
	free(intervals);
}

/* With a window, too, what comes now goes before what comes late. */
static void
test_stretched_window(void **state)
{
	Intervals  *intervals = make(5, 60, 120);

	(void) state;
	turn(intervals, 0);
	ASSERT_OPEN(intervals, -120, -60, 0);
	turn(intervals, 60);
	turn(intervals, 120);
	ASSERT_OPEN(intervals, 0, 60, 120);

	/* two are READY, and nobody writes them */
	assert_int_equal(turn(intervals, 190), 1);
	ASSERT_OPEN(intervals, 60, 120);
	assert_true(intervals_stretched(intervals, NOW + 190 * SECOND));
	assert_int_equal(turn(intervals, 250), 1);
	ASSERT_OPEN(intervals, 120);

	write_one(intervals);
	assert_int_equal(turn(intervals, 270), 0);
	ASSERT_OPEN(intervals, 120, 240);
	assert_false(intervals_stretched(intervals, NOW + 270 * SECOND));
	write_all(intervals);
	assert_int_equal(turn(intervals, 300), 1);
	ASSERT_OPEN(intervals, 240, 300);
	free(intervals);
}

/* Where all was closed and nothing is FREE, the last one is open again. */
static void
test_open_again(void **state)
{
	Intervals  *intervals = make(3, 60, 60);

	(void) state;
	turn(intervals, 0);
	turn(intervals, 60);
	assert_int_equal(intervals_close_all(intervals), 2);
	assert_int_equal(count_state(intervals, INTERVAL_READY), 3);
	next_ready(intervals)->state = INTERVAL_WRITING;

	assert_int_equal(turn(intervals, 90), 0);
	ASSERT_OPEN(intervals, 60);
	assert_int_equal(opened(intervals, 0)->sequence, 3);
	assert_int_equal(intervals_close_all(intervals), 1);

	/* somebody reads it: then it cannot be helped */
	while (next_ready(intervals) != NULL)
		next_ready(intervals)->state = INTERVAL_WRITING;
	assert_int_equal(turn(intervals, 120), 0);
	assert_int_equal(intervals->open_count, 0);

	intervals->all[0].state = INTERVAL_FREE;
	assert_int_equal(turn(intervals, 121), 0);
	ASSERT_OPEN(intervals, 120);
	assert_int_equal(opened(intervals, 0)->sequence, 4);
	free(intervals);
}

/* However many buffers there are, and whatever the window. */
static void
test_most(void **state)
{
	Intervals  *intervals = make(100, 1, 63);
	Flow		flow = {.received = NOW,.exported = NOW,.first = 0,.last = NOW,
	.present = FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST)};
	IntervalParts parts;

	(void) state;
	for (int64_t second = 0; second < 200; second++)
	{
		turn(intervals, second);
		assert_int_equal(intervals->open_count, INTERVALS_MAX_OPEN);
		write_all(intervals);
		flow.received = flow.exported = flow.last = NOW + second * SECOND + SECOND / 2;
		intervals_lay(intervals, &flow, &parts);
		assert_int_equal(parts.count, SPREAD_MAX_PARTS);
	}

	/* a rule that nobody should make */
	intervals->rule.window = 1000;
	for (int64_t second = 200; second < 600; second += second % 2 == 0 ? 1 : 49)
	{
		turn(intervals, second);
		assert_true(intervals->open_count <= INTERVALS_MAX_OPEN);
		flow.received = flow.exported = flow.last = NOW + second * SECOND + SECOND / 2;
		intervals_lay(intervals, &flow, &parts);
		assert_true(parts.count <= SPREAD_MAX_PARTS);
		write_all(intervals);
	}
	free(intervals);
}

/*
 * The clock jumps, rules change.
 */

static void
test_jump_forward(void **state)
{
	Intervals  *intervals = make(8, 60, 90);

	(void) state;
	turn(intervals, 0);
	ASSERT_OPEN(intervals, -120, -60, 0);

	/* all at once: what has an open window is opened, what has none is not */
	assert_int_equal(turn(intervals, 36000), 3);
	ASSERT_OPEN(intervals, 36000 - 120, 36000 - 60, 36000);
	assert_int_equal(opened(intervals, 0)->sequence, 4);
	assert_int_equal(count_state(intervals, INTERVAL_READY), 3);

	/* only two are FREE now */
	assert_int_equal(turn(intervals, 72000), 3);
	ASSERT_OPEN(intervals, 72000 - 60, 72000);
	assert_int_equal(count_state(intervals, INTERVAL_READY), 6);

	/* and now none */
	assert_int_equal(turn(intervals, 108000), 1);
	ASSERT_OPEN(intervals, 72000);

	/* by ten thousand years */
	write_all(intervals);
	assert_int_equal(intervals_turn(intervals, 5 * FAR, 7), 1);
	assert_int_equal(intervals->open_count, 3);
	assert_false(intervals_stretched(intervals, 5 * FAR));
	free(intervals);
}

static void
test_jump_back_small(void **state)
{
	Intervals  *intervals = make(8, 60, 90);

	(void) state;
	turn(intervals, 30);
	turn(intervals, 61);
	ASSERT_OPEN(intervals, -60, 0, 60);
	assert_int_equal(turn(intervals, 59), 0);
	assert_false(intervals_due(intervals, NOW + 59 * SECOND));
	assert_int_equal(turn(intervals, -60), 0);
	ASSERT_OPEN(intervals, -60, 0, 60);
	free(intervals);
}

static void
test_jump_back_large(void **state)
{
	Intervals  *intervals = make(8, 60, 90);

	(void) state;
	turn(intervals, 30);
	assert_true(intervals_due(intervals, NOW - 36000 * SECOND));
	assert_int_equal(turn(intervals, -36000), 2);
	ASSERT_OPEN(intervals, -36120, -36060, -36000);
	assert_int_equal(opened(intervals, 0)->sequence, 3);
	assert_int_equal(next_ready(intervals)->start, NOW - 60 * SECOND);
	free(intervals);

	/* what is open has to do as long as no buffer is FREE */
	intervals = make(2, 60, 0);
	turn(intervals, 0);
	turn(intervals, 60);
	assert_int_equal(turn(intervals, -3600), 0);
	ASSERT_OPEN(intervals, 60);
	assert_false(intervals_stretched(intervals, NOW - 3600 * SECOND));
	write_all(intervals);
	assert_int_equal(turn(intervals, -3599), 1);
	ASSERT_OPEN(intervals, -3600);
	free(intervals);
}

static void
test_period_changed(void **state)
{
	Intervals  *intervals = make(4, 60, 60);

	(void) state;
	turn(intervals, 30);
	ASSERT_OPEN(intervals, -60, 0);
	intervals->rule = (IntervalRule) {.period = 20,.window = 20};
	assert_true(intervals_due(intervals, NOW + 50 * SECOND));
	assert_int_equal(turn(intervals, 50), 2);
	ASSERT_OPEN(intervals, 20, 40);
	assert_int_equal(opened(intervals, 0)->period, 20);
	assert_int_equal(next_ready(intervals)->period, 60);

	/* one remains without a FREE buffer, until there is one */
	intervals->rule = (IntervalRule) {.period = 300,.window = 0};
	assert_int_equal(turn(intervals, 70), 1);
	ASSERT_OPEN(intervals, 40);
	assert_int_equal(opened(intervals, 0)->period, 20);
	assert_true(intervals_due(intervals, NOW + 70 * SECOND));
	write_one(intervals);
	assert_int_equal(turn(intervals, 71), 1);
	ASSERT_OPEN(intervals, 0);
	assert_int_equal(opened(intervals, 0)->period, 300);
	assert_int_equal(opened(intervals, 0)->sequence, 5);
	free(intervals);
}

static void
test_window_changed(void **state)
{
	Intervals  *intervals = make(8, 60, 0);

	(void) state;
	turn(intervals, 0);
	intervals->rule.window = 180;
	turn(intervals, 60);
	ASSERT_OPEN(intervals, 0, 60);
	turn(intervals, 180);
	ASSERT_OPEN(intervals, 0, 60, 120, 180);
	assert_int_equal(intervals_next_turn(intervals), NOW + 240 * SECOND);

	intervals->rule.window = 60;
	assert_true(intervals_due(intervals, NOW + 181 * SECOND));
	assert_int_equal(turn(intervals, 181), 2);
	ASSERT_OPEN(intervals, 120, 180);
	intervals->rule.window = 0;
	assert_int_equal(turn(intervals, 182), 1);
	ASSERT_OPEN(intervals, 180);
	free(intervals);
}

/*
 * Records.  Four intervals of a minute are open, from NOW - 180 to NOW + 60.
 */

#define ARRIVED		30			/* seconds from NOW */
#define SKEW		(INT64_C(1000000) * SECOND)	/* of the exporter's clock */

/* A part of a record. */
typedef struct Expected
{
	uint32_t	position;		/* in the order of open ones */
	int64_t		weight;			/* microseconds */
} Expected;

static Intervals *
four(void)
{
	Intervals  *intervals = make(8, 60, 180);

	turn(intervals, 0);
	ASSERT_OPEN(intervals, -180, -120, -60, 0);
	return intervals;
}

/* Both in seconds from NOW, by our clock. */
static Flow
lasting(int64_t first, int64_t last)
{
	return (Flow) {
		.present = FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST),
		.received = NOW + ARRIVED * SECOND,
		.exported = NOW + ARRIVED * SECOND,
		.first = NOW + first * SECOND,
		.last = NOW + last * SECOND
	};
}

static Flow
with(Flow flow, uint32_t present)
{
	flow.present = present;
	return flow;
}

static void
assert_parts(const Intervals *intervals, Flow flow, bool late, bool future,
			 const Expected *expected, uint32_t count)
{
	IntervalParts parts;

	/* It must not matter what the exporter's clock shows. */
	for (int64_t skew = -SKEW; skew <= SKEW; skew += SKEW)
	{
		Flow		skewed = flow;

		skewed.exported += skew;
		skewed.first += skew;
		skewed.last += skew;
		memset(&parts, 0xA5, sizeof(parts));
		intervals_lay(intervals, &skewed, &parts);
		assert_int_equal(parts.count, count);
		assert_int_equal(parts.late, late);
		assert_int_equal(parts.future, future);
		for (uint32_t i = 0; i < count; i++)
		{
			assert_ptr_equal(parts.sums[i], opened(intervals, expected[i].position)->sums);
			assert_int_equal(parts.weights[i], expected[i].weight);
		}
	}
}

#define ASSERT_PARTS(intervals, flow, late, future, ...) \
	assert_parts(intervals, flow, late, future, (const Expected[]) {__VA_ARGS__}, \
				 COUNT(((const Expected[]) {__VA_ARGS__})))

static void
test_lay_inside(void **state)
{
	Intervals  *intervals = four();

	(void) state;
	ASSERT_PARTS(intervals, lasting(5, 20), false, false, {3, 15 * SECOND});
	ASSERT_PARTS(intervals, lasting(-50, -10), false, false, {2, 40 * SECOND});
	ASSERT_PARTS(intervals, lasting(-170, -130), false, false, {0, 40 * SECOND});
	free(intervals);
}

static void
test_lay_over_several(void **state)
{
	Intervals  *intervals = four();

	(void) state;
	ASSERT_PARTS(intervals, lasting(-40, 10), false, false, {3, 10 * SECOND}, {2, 40 * SECOND});
	ASSERT_PARTS(intervals, lasting(-150, 20), false, false,
				 {3, 20 * SECOND}, {2, 60 * SECOND}, {1, 60 * SECOND}, {0, 30 * SECOND});
	ASSERT_PARTS(intervals, lasting(-100, -70), false, false, {1, 30 * SECOND});
	free(intervals);
}

/* What ends on a boundary has nothing behind it, what begins there nothing before. */
static void
test_lay_boundaries(void **state)
{
	Intervals  *intervals = four();
	Flow		flow = lasting(-60, 0);

	(void) state;
	ASSERT_PARTS(intervals, lasting(-60, 0), false, false, {2, 60 * SECOND});
	ASSERT_PARTS(intervals, lasting(0, 30), false, false, {3, 30 * SECOND});
	ASSERT_PARTS(intervals, lasting(-180, -60), false, false, {1, 60 * SECOND}, {0, 60 * SECOND});
	flow.last++;
	ASSERT_PARTS(intervals, flow, false, false, {3, 1}, {2, 60 * SECOND});
	flow.first--;
	ASSERT_PARTS(intervals, flow, false, false, {3, 1}, {2, 60 * SECOND}, {1, 1});
	free(intervals);
}

static void
test_lay_moments(void **state)
{
	Intervals  *intervals = four();

	(void) state;
	ASSERT_PARTS(intervals, lasting(10, 10), false, false, {3, 1});
	ASSERT_PARTS(intervals, lasting(0, 0), false, false, {3, 1});
	ASSERT_PARTS(intervals, lasting(-60, -60), false, false, {2, 1});
	ASSERT_PARTS(intervals, lasting(-61, -61), false, false, {1, 1});
	ASSERT_PARTS(intervals, lasting(-180, -180), false, false, {0, 1});
	ASSERT_PARTS(intervals, lasting(ARRIVED, ARRIVED), false, false, {3, 1});

	/* the end counts where first and last are swapped */
	ASSERT_PARTS(intervals, lasting(-20, -70), false, false, {1, 1});
	ASSERT_PARTS(intervals, lasting(ARRIVED, 10), false, false, {3, 1});
	free(intervals);
}

/* "absent" must not be read. */
static void
test_lay_absent_times(void **state)
{
	Intervals  *intervals = four();

	(void) state;
	ASSERT_PARTS(intervals, with(lasting(-9999, -70), FLOW_BIT(FLOW_LAST)), false, false,
				 {1, 1});

	/* without an end it lasted until it was exported */
	ASSERT_PARTS(intervals, with(lasting(-20, -9999), FLOW_BIT(FLOW_FIRST)), false, false,
				 {3, 30 * SECOND}, {2, 20 * SECOND});
	ASSERT_PARTS(intervals, with(lasting(-20, 9999), FLOW_BIT(FLOW_FIRST)), false, false,
				 {3, 30 * SECOND}, {2, 20 * SECOND});
	ASSERT_PARTS(intervals, with(lasting(-9999, 9999), 0), false, false, {3, 1});
	ASSERT_PARTS(intervals, with(lasting(9999, -9999), 0), false, false, {3, 1});

	/* it begins after it was exported: a moment */
	ASSERT_PARTS(intervals, with(lasting(9999, 0), FLOW_BIT(FLOW_FIRST)), false, false,
				 {3, 1});
	free(intervals);
}

static void
test_lay_late(void **state)
{
	Intervals  *intervals = four();

	(void) state;
	ASSERT_PARTS(intervals, lasting(-200, 10), true, false,
				 {3, 10 * SECOND}, {2, 60 * SECOND}, {1, 60 * SECOND}, {0, 60 * SECOND},
				 {0, 20 * SECOND});
	ASSERT_PARTS(intervals, lasting(-190, -170), true, false,
				 {0, 10 * SECOND}, {0, 10 * SECOND});
	ASSERT_PARTS(intervals, lasting(-300, -240), true, false, {0, 60 * SECOND});
	ASSERT_PARTS(intervals, lasting(-300, -180), true, false, {0, 120 * SECOND});
	ASSERT_PARTS(intervals, lasting(-9999, -9999), true, false, {0, 1});
	ASSERT_PARTS(intervals, lasting(-180, -150), false, false, {0, 30 * SECOND});
	free(intervals);
}

/* It keeps its length, and ends when it came; a second or two are nothing. */
static void
test_lay_future(void **state)
{
	Intervals  *intervals = four();
	Flow		flow = lasting(ARRIVED - 10, ARRIVED + 2);

	(void) state;
	ASSERT_PARTS(intervals, flow, false, false, {3, 12 * SECOND});
	flow.last++;
	flow.first++;
	ASSERT_PARTS(intervals, flow, false, true, {3, 12 * SECOND});
	ASSERT_PARTS(intervals, lasting(0, 3600), true, true,
				 {3, 30 * SECOND}, {2, 60 * SECOND}, {1, 60 * SECOND}, {0, 60 * SECOND},
				 {0, 3390 * SECOND});
	ASSERT_PARTS(intervals, lasting(3600, 3660), false, true, {3, 30 * SECOND}, {2, 30 * SECOND});
	ASSERT_PARTS(intervals, lasting(3600, 3600), false, true, {3, 1});
	free(intervals);
}

/* Long on its way: its age counts from its export. */
static void
test_lay_received(void **state)
{
	Intervals  *intervals = four();
	Flow		flow = lasting(0, 20);

	(void) state;
	flow.received -= 100 * SECOND;
	ASSERT_PARTS(intervals, flow, false, false, {1, 20 * SECOND});
	flow.received -= 300 * SECOND;
	ASSERT_PARTS(intervals, flow, true, false, {0, 20 * SECOND});

	/* behind the newest one, which takes it for want of a better */
	flow.received = NOW + 5000 * SECOND;
	ASSERT_PARTS(intervals, flow, false, false, {3, 20 * SECOND});
	flow.first -= 4980 * SECOND;
	ASSERT_PARTS(intervals, flow, false, false, {3, 4990 * SECOND}, {2, 10 * SECOND});
	free(intervals);
}

static void
test_lay_arrival(void **state)
{
	Intervals  *intervals = four();

	(void) state;
	intervals->rule.by_arrival = true;
	ASSERT_PARTS(intervals, lasting(-200, 10), false, false, {3, 1});
	ASSERT_PARTS(intervals, lasting(9999, 9999), false, false, {3, 1});
	ASSERT_PARTS(intervals, with(lasting(9999, -9999), 0), false, false, {3, 1});
	free(intervals);
}

/* Where an interval is missing, the one before it takes what lies there. */
static void
test_lay_gap(void **state)
{
	Intervals  *intervals = make(5, 60, 120);
	Flow		flow = lasting(0, 0);

	(void) state;
	turn(intervals, 0);
	turn(intervals, 60);
	turn(intervals, 120);
	turn(intervals, 250);
	write_one(intervals);
	turn(intervals, 270);
	ASSERT_OPEN(intervals, 120, 240);
	flow.received = flow.exported = flow.last = NOW + 270 * SECOND;
	flow.first = NOW + 130 * SECOND;
	ASSERT_PARTS(intervals, flow, false, false, {1, 30 * SECOND}, {0, 110 * SECOND});
	flow.first = flow.last = NOW + 200 * SECOND;
	ASSERT_PARTS(intervals, flow, false, false, {0, 1});
	free(intervals);
}

/* Nonsense of any kind: nothing overflows, every record has somewhere to go. */
static void
test_lay_extremes(void **state)
{
	static const int64_t times[] = {-FAR, -FAR + 1, -1, 0, 1, NOW - 1, NOW, NOW + 1, FAR - 1, FAR};
	Intervals  *intervals = four();
	IntervalParts parts;

	(void) state;
	for (size_t i = 0; i < COUNT(times) * COUNT(times) * COUNT(times) * 4; i++)
	{
		Flow		flow = {
			.present = (i % 2) * FLOW_BIT(FLOW_FIRST) | (i / 2 % 2) * FLOW_BIT(FLOW_LAST),
			.received = NOW,
			.first = times[i / 4 % COUNT(times)],
			.last = times[i / 4 / COUNT(times) % COUNT(times)],
			.exported = times[i / 4 / COUNT(times) / COUNT(times)]
		};
		uint64_t	total = 0;

		intervals_lay(intervals, &flow, &parts);
		assert_true(parts.count > 0);
		assert_true(parts.count <= 5);
		for (uint32_t part = 0; part < parts.count; part++)
		{
			assert_true(parts.weights[part] > 0);
			total += parts.weights[part];
		}
		assert_true(total < (uint64_t) 4 * FAR);
	}
	free(intervals);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needed),
		cmocka_unit_test(test_longest_window),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_by_the_clock),
		cmocka_unit_test(test_no_window),
		cmocka_unit_test(test_buffers_used_again),
		cmocka_unit_test(test_stretched),
		cmocka_unit_test(test_stretched_window),
		cmocka_unit_test(test_open_again),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_jump_forward),
		cmocka_unit_test(test_jump_back_small),
		cmocka_unit_test(test_jump_back_large),
		cmocka_unit_test(test_period_changed),
		cmocka_unit_test(test_window_changed),
		cmocka_unit_test(test_lay_inside),
		cmocka_unit_test(test_lay_over_several),
		cmocka_unit_test(test_lay_boundaries),
		cmocka_unit_test(test_lay_moments),
		cmocka_unit_test(test_lay_absent_times),
		cmocka_unit_test(test_lay_late),
		cmocka_unit_test(test_lay_future),
		cmocka_unit_test(test_lay_received),
		cmocka_unit_test(test_lay_arrival),
		cmocka_unit_test(test_lay_gap),
		cmocka_unit_test(test_lay_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
