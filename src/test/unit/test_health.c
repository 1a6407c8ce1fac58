/*
 * test_health.c
 *	  What is noted of each exporter in the time of an interval.
 */
#include "build_packet.h"

#include "exporter.h"
#include "health.h"

#define NETFLOW			9

typedef struct Fixture
{
	Lru		   *exporters;
	HealthTable *table;
	HealthCounts total;			/* since the last note() */
	int64_t		now;
} Fixture;

static Fixture *
make(uint32_t capacity)
{
	Fixture    *fixture = calloc(1, sizeof(Fixture));

	fixture->exporters = lru_init(malloc(lru_size(capacity, sizeof(Exporter))), capacity,
								  sizeof(Exporter));
	fixture->table = calloc(1, sizeof(HealthTable));
	health_reset(fixture->table);
	return fixture;
}

static void
discard(Fixture *fixture)
{
	free(fixture->exporters);
	free(fixture->table);
	free(fixture);
}

static FlowAddress
address(uint32_t number)
{
	return (FlowAddress) {
		.octets = {0x20, 0x01, 0x0d, 0xb8, [14] = (uint8_t) (number >> 8), [15] = (uint8_t) number}
	};
}

/* A configured one of protocol 9 and domain 7. */
static Exporter *
router(Fixture *fixture, uint32_t number)
{
	FlowAddress host = address(number);

	return exporter_get(fixture->exporters, &host, 7, NETFLOW, true);
}

static Exporter *
stranger(Fixture *fixture, uint32_t number)
{
	FlowAddress host = address(number);

	return exporter_get(fixture->exporters, &host, 7, NETFLOW, false);
}

/* "count" datagrams with ten records each. */
static void
send(Fixture *fixture, Exporter *exporter, uint32_t count)
{
	exporter->datagrams += count;
	exporter->records += 10 * count;
	fixture->total.datagrams += count;
	fixture->total.records += 10 * count;
}

static void
note(Fixture *fixture)
{
	health_note(fixture->table, fixture->exporters, &fixture->total, fixture->now);
	memset(&fixture->total, 0, sizeof(fixture->total));
}

/* The counts of a router's row; the test fails where it is missing. */
static const HealthCounts *
counts_of(const Fixture *fixture, uint32_t number)
{
	FlowAddress host = address(number);

	for (uint32_t i = 1; i < fixture->table->count; i++)
	{
		const HealthRow *row = &fixture->table->rows[i];

		if (memcmp(&row->host, &host, sizeof(host)) != 0)
			continue;
		assert_int_equal(row->domain, 7);
		assert_int_equal(row->protocol, NETFLOW);
		return &row->counts;
	}
	fail_msg("no row of router %u", (unsigned) number);
	return NULL;
}

static const HealthCounts *
counts_of_others(const Fixture *fixture)
{
	assert_true(fixture->table->count > 0);
	assert_int_equal(fixture->table->rows[0].protocol, 0);
	return &fixture->table->rows[0].counts;
}

static void
assert_counts(const HealthCounts *counts, HealthCounts expected)
{
	assert_memory_equal(counts, &expected, sizeof(expected));
}

static void
test_reset(void **state)
{
	Fixture    *fixture = make(8);

	(void) state;
	assert_false(fixture->table->noted);
	assert_int_equal(fixture->table->count, 0);
	note(fixture);
	assert_true(fixture->table->noted);
	assert_int_equal(fixture->table->count, 1);
	assert_counts(counts_of_others(fixture), (HealthCounts) {0});
	health_reset(fixture->table);
	assert_false(fixture->table->noted);
	assert_int_equal(fixture->table->count, 0);
	discard(fixture);
}

static void
test_difference(void **state)
{
	const HealthCounts a = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	const HealthCounts b = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
	const HealthCounts least = {.lost = INT64_MIN};
	const HealthCounts one = {.lost = 1};
	HealthCounts difference = health_difference(&a, &b);

	(void) state;
	assert_counts(&difference, (HealthCounts) {-9, -7, -5, -3, -1, 1, 3, 5, 7, 9});

	/* wraps, as it does not for 292,000 years */
	difference = health_difference(&least, &one);
	assert_int_equal(difference.lost, INT64_MAX);
}

/* Every member of an exporter arrives. */
static void
test_members(void **state)
{
	Fixture    *fixture = make(8);
	Exporter   *exporter = router(fixture, 1);

	(void) state;
	send(fixture, exporter, 2);
	exporter->lost = 3;
	exporter->unmatched = fixture->total.unmatched = 4;
	exporter->unknown_sampling = fixture->total.unknown_sampling = 5;
	exporter->late_bytes = fixture->total.late_bytes = 6;
	exporter->future_bytes = fixture->total.future_bytes = 7;
	for (int i = 0; i < DECODE_ERRORS; i++)
		exporter->errors[i] = 1;
	fixture->total.dropped = 8;
	fixture->total.folded = 9;
	note(fixture);

	assert_int_equal(fixture->table->count, 2);
	assert_counts(counts_of(fixture, 1), (HealthCounts) {
		.datagrams = 2,.records = 20,.lost = 3,.unmatched = 4,.unknown_sampling = 5,
		.late_bytes = 6,.future_bytes = 7,.undecoded = DECODE_ERRORS
	});
	/* nobody knows whose the dropped ones were */
	assert_counts(counts_of_others(fixture), (HealthCounts) {.dropped = 8,.folded = 9});
	discard(fixture);
}

/* Each call has what came since the one before. */
static void
test_since_last_time(void **state)
{
	Fixture    *fixture = make(8);
	Exporter   *one = router(fixture, 1);
	Exporter   *two;

	(void) state;
	send(fixture, one, 5);
	note(fixture);
	assert_int_equal(counts_of(fixture, 1)->datagrams, 5);

	send(fixture, one, 2);
	one->errors[DECODE_SHORT] += 1;
	two = router(fixture, 2);
	send(fixture, two, 3);
	note(fixture);
	assert_int_equal(fixture->table->count, 3);
	assert_counts(counts_of(fixture, 1),
				  (HealthCounts) {.datagrams = 2,.records = 20,.undecoded = 1});
	assert_counts(counts_of(fixture, 2), (HealthCounts) {.datagrams = 3,.records = 30});
	assert_counts(counts_of_others(fixture), (HealthCounts) {0});

	/* one that is silent has a row nevertheless */
	send(fixture, two, 1);
	note(fixture);
	assert_int_equal(fixture->table->count, 3);
	assert_counts(counts_of(fixture, 1), (HealthCounts) {0});
	assert_counts(counts_of(fixture, 2), (HealthCounts) {.datagrams = 1,.records = 10});
	discard(fixture);
}

/* Strangers, and what is of no protocol, are counted together. */
static void
test_strangers(void **state)
{
	Fixture    *fixture = make(16);
	FlowAddress host = address(1);
	Exporter   *nonsense;

	(void) state;
	send(fixture, router(fixture, 1), 1);
	for (uint32_t number = 100; number < 103; number++)
	{
		Exporter   *exporter = stranger(fixture, number);

		send(fixture, exporter, 2);
		exporter->lost = 4;
		exporter->errors[DECODE_NO_TEMPLATE] = 1;
	}
	nonsense = exporter_get(fixture->exporters, &host, 0, 0, true);
	send(fixture, nonsense, 1);
	nonsense->errors[DECODE_UNKNOWN_VERSION] = 1;
	note(fixture);
	assert_int_equal(fixture->table->count, 2);
	assert_counts(counts_of(fixture, 1), (HealthCounts) {.datagrams = 1,.records = 10});
	assert_counts(counts_of_others(fixture),
				  (HealthCounts) {.datagrams = 7,.records = 70,.lost = 12,.undecoded = 4});

	/* configured in the meantime: from now on it has a row */
	send(fixture, router(fixture, 100), 5);
	send(fixture, stranger(fixture, 101), 1);
	note(fixture);
	assert_int_equal(fixture->table->count, 3);
	assert_counts(counts_of(fixture, 100), (HealthCounts) {.datagrams = 5,.records = 50});
	assert_counts(counts_of_others(fixture), (HealthCounts) {.datagrams = 1,.records = 10});
	discard(fixture);
}

/* What was counted as lost before has come after all. */
static void
test_late_datagrams(void **state)
{
	Fixture    *fixture = make(8);
	Exporter   *exporter = router(fixture, 1);

	(void) state;
	exporter_sequence(exporter, 1000, 1);
	exporter_sequence(exporter, 1011, 1);
	note(fixture);
	assert_int_equal(counts_of(fixture, 1)->lost, 10);

	exporter_sequence(exporter, 1005, 4);
	note(fixture);
	assert_int_equal(counts_of(fixture, 1)->lost, -4);
	assert_int_equal(counts_of_others(fixture)->lost, 0);
	note(fixture);
	assert_int_equal(counts_of(fixture, 1)->lost, 0);

	/* a stranger's as well */
	exporter = stranger(fixture, 2);
	exporter_sequence(exporter, 1000, 1);
	exporter_sequence(exporter, 1003, 1);
	note(fixture);
	assert_int_equal(counts_of_others(fixture)->lost, 2);
	exporter_sequence(exporter, 1001, 2);
	note(fixture);
	assert_int_equal(counts_of_others(fixture)->lost, -2);
	discard(fixture);
}

/* More routers than rows: the others share theirs, and nothing is lost. */
static void
test_full(void **state)
{
	const uint32_t more = 10;
	Fixture    *fixture = make(HEALTH_EXPORTERS + more);
	int64_t		datagrams = 0;

	(void) state;
	for (uint32_t number = 0; number < HEALTH_EXPORTERS + more; number++)
	{
		Exporter   *exporter = router(fixture, number);

		send(fixture, exporter, 2);
		exporter->lost = exporter->errors[DECODE_SHORT] = 1;
	}
	note(fixture);
	assert_int_equal(fixture->table->count, HEALTH_EXPORTERS + 1);
	assert_counts(counts_of_others(fixture),
				  (HealthCounts) {.datagrams = 2 * more,.records = 20 * more,
				  .lost = more,.undecoded = more});
	for (uint32_t i = 0; i < fixture->table->count; i++)
		datagrams += fixture->table->rows[i].counts.datagrams;
	assert_int_equal(datagrams, 2 * (HEALTH_EXPORTERS + more));

	/* what was noted in the shared row is not noted again */
	note(fixture);
	for (uint32_t i = 0; i < fixture->table->count; i++)
		assert_counts(&fixture->table->rows[i].counts, (HealthCounts) {0});
	discard(fixture);
}

/* One that was pushed out before it was noted: its datagrams are not forgotten. */
static void
test_evicted(void **state)
{
	Fixture    *fixture = make(4);

	(void) state;
	for (uint32_t number = 0; number < 6; number++)
		send(fixture, router(fixture, number), 1 + number);
	note(fixture);
	assert_int_equal(fixture->table->count, 5);
	assert_counts(counts_of(fixture, 5), (HealthCounts) {.datagrams = 6,.records = 60});
	assert_counts(counts_of_others(fixture), (HealthCounts) {.datagrams = 3,.records = 30});

	/* it comes back as a new one, and counts from 0 */
	send(fixture, router(fixture, 0), 4);
	note(fixture);
	assert_counts(counts_of(fixture, 0), (HealthCounts) {.datagrams = 4,.records = 40});
	assert_counts(counts_of_others(fixture), (HealthCounts) {0});
	discard(fixture);
}

/* One that is silent has a row for a while, and again when it sends. */
static void
test_silence(void **state)
{
	Fixture    *fixture = make(4);
	Exporter   *exporter = router(fixture, 1);

	(void) state;
	send(fixture, exporter, 2);
	note(fixture);
	assert_int_equal(counts_of(fixture, 1)->datagrams, 2);
	fixture->now = HEALTH_SILENCE;
	note(fixture);
	assert_int_equal(counts_of(fixture, 1)->datagrams, 0);
	fixture->now = HEALTH_SILENCE + 1;
	note(fixture);
	assert_int_equal(fixture->table->count, 1);
	send(fixture, exporter, 1);
	note(fixture);
	assert_int_equal(counts_of(fixture, 1)->datagrams, 1);
	discard(fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_difference),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_since_last_time),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_late_datagrams),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_evicted),
		cmocka_unit_test(test_silence)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
