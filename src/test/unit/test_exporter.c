/*
 * test_exporter.c
 *	  Exporters' entries, sequence numbers, and the clocks of exporters.
 */
#include "build_packet.h"

#include "times.h"

static FlowAddress
address(uint8_t last)
{
	FlowAddress address = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last}};

	return address;
}

static void
test_get(void **state)
{
	void	   *memory = malloc(lru_size(8, sizeof(Exporter)));
	Lru		   *exporters = lru_init(memory, 8, sizeof(Exporter));
	FlowAddress one = address(1);
	FlowAddress two = address(2);
	Exporter   *exporter = exporter_get(exporters, &one, 7, 9, true);

	(void) state;
	assert_int_equal(exporter->domain, 7);
	assert_int_equal(exporter->protocol, 9);
	assert_true(exporter->known);
	assert_memory_equal(&exporter->address, &one, sizeof(one));
	assert_ptr_equal(exporter_get(exporters, &one, 7, 9, true), exporter);
	assert_ptr_not_equal(exporter_get(exporters, &one, 7, 10, true), exporter);
	assert_ptr_not_equal(exporter_get(exporters, &one, 8, 9, true), exporter);
	assert_ptr_not_equal(exporter_get(exporters, &two, 7, 9, true), exporter);
	assert_int_equal(lru_count(exporters), 4);

	/* no longer configured */
	assert_ptr_equal(exporter_get(exporters, &one, 7, 9, false), exporter);
	assert_false(exporter->known);
	assert_int_equal(exporter->link.class, LRU_STRANGER);
	free(memory);
}

static void
test_strangers_are_bounded(void **state)
{
	void	   *memory = malloc(lru_size(16, sizeof(Exporter)));
	Lru		   *exporters = lru_init(memory, 16, sizeof(Exporter));
	FlowAddress router = address(1);
	Exporter   *exporter = exporter_get(exporters, &router, 0, 5, true);

	(void) state;
	exporter->records = 42;
	for (uint32_t domain = 0; domain < 10000; domain++)
	{
		FlowAddress spoofed = address((uint8_t) domain);

		exporter_get(exporters, &spoofed, domain + 1, 9, false);
	}
	assert_int_equal(lru_count(exporters), 5);
	assert_int_equal(exporter_get(exporters, &router, 0, 5, true)->records, 42);
	free(memory);
}

static void
test_sequence_in_order(void **state)
{
	Exporter	exporter = {0};

	(void) state;
	exporter_sequence(&exporter, 1000, 30);
	assert_true(exporter.has_sequence);
	exporter_sequence(&exporter, 1030, 12);
	exporter_sequence(&exporter, 1042, 0);
	exporter_sequence(&exporter, 1042, 30);
	assert_int_equal(exporter.lost, 0);
	assert_int_equal(exporter.next_sequence, 1072);
}

static void
test_sequence_loss(void **state)
{
	Exporter	exporter = {0};

	(void) state;
	exporter_sequence(&exporter, 10, 10);
	exporter_sequence(&exporter, 50, 10);
	assert_int_equal(exporter.lost, 30);
	exporter_sequence(&exporter, 61, 10);
	assert_int_equal(exporter.lost, 31);
	assert_int_equal(exporter.next_sequence, 71);
}

static void
test_sequence_wraps(void **state)
{
	Exporter	exporter = {0};

	(void) state;
	exporter_sequence(&exporter, UINT32_MAX - 4, 5);
	assert_int_equal(exporter.next_sequence, 0);
	exporter_sequence(&exporter, 0, 5);
	assert_int_equal(exporter.lost, 0);

	exporter.next_sequence = UINT32_MAX - 1;
	exporter_sequence(&exporter, 8, 1);
	assert_int_equal(exporter.lost, 10);
	assert_int_equal(exporter.next_sequence, 9);
	exporter_sequence(&exporter, UINT32_MAX, 3);
	assert_int_equal(exporter.lost, 7);
}

static void
test_sequence_reordered(void **state)
{
	Exporter	exporter = {0};

	(void) state;
	exporter_sequence(&exporter, 0, 10);
	exporter_sequence(&exporter, 30, 10);
	assert_int_equal(exporter.lost, 20);
	exporter_sequence(&exporter, 20, 10);
	assert_int_equal(exporter.lost, 10);
	exporter_sequence(&exporter, 10, 10);
	assert_int_equal(exporter.lost, 0);
	assert_int_equal(exporter.next_sequence, 40);

	/* out of the middle of a gap, then both ends of it */
	exporter_sequence(&exporter, 70, 10);
	exporter_sequence(&exporter, 50, 10);
	assert_int_equal(exporter.lost, 20);
	exporter_sequence(&exporter, 60, 10);
	exporter_sequence(&exporter, 40, 10);
	assert_int_equal(exporter.lost, 0);
	exporter_sequence(&exporter, 80, 10);
	assert_int_equal(exporter.lost, 0);
}

static void
test_sequence_duplicates(void **state)
{
	Exporter	exporter = {0};

	(void) state;
	exporter_sequence(&exporter, 0, 10);
	exporter_sequence(&exporter, 20, 10);
	assert_int_equal(exporter.lost, 10);
	for (int i = 0; i < 5; i++)
	{
		exporter_sequence(&exporter, 20, 10);
		exporter_sequence(&exporter, 0, 10);
	}
	assert_int_equal(exporter.lost, 10);

	/* late, and then once more */
	exporter_sequence(&exporter, 50, 10);
	assert_int_equal(exporter.lost, 30);
	exporter_sequence(&exporter, 10, 10);
	exporter_sequence(&exporter, 10, 10);
	exporter_sequence(&exporter, 35, 10);
	exporter_sequence(&exporter, 35, 10);
	assert_int_equal(exporter.lost, 10);
	assert_int_equal(exporter.next_sequence, 60);
}

static void
test_sequence_restart(void **state)
{
	Exporter	exporter = {0};

	(void) state;
	exporter_sequence(&exporter, 5000000, 10);
	exporter_sequence(&exporter, 5000020, 10);
	assert_int_equal(exporter.lost, 10);
	exporter_sequence(&exporter, 0, 10);
	assert_int_equal(exporter.lost, 10);
	assert_int_equal(exporter.next_sequence, 10);

	/* what was lost before the restart cannot come any more */
	exporter_sequence(&exporter, 5000010, 10);
	assert_int_equal(exporter.lost, 10);
	assert_int_equal(exporter.next_sequence, 5000020);
	exporter_sequence(&exporter, 4000000000, 1);
	assert_int_equal(exporter.lost, 10);
}

static void
test_sequence_unknown(void **state)
{
	Exporter	exporter = {0};

	(void) state;
	exporter_sequence(&exporter, 100, 10);
	exporter_sequence_unknown(&exporter, 115);
	assert_int_equal(exporter.lost, 5);
	exporter_sequence(&exporter, 140, 10);
	assert_int_equal(exporter.lost, 5);
	exporter_sequence(&exporter, 151, 10);
	assert_int_equal(exporter.lost, 6);
}

/* No order of numbers takes "lost" below zero. */
static void
test_sequence_random(void **state)
{
	Exporter	exporter = {0};
	uint64_t	seed = 3;
	uint32_t	sequence = 0;

	(void) state;
	for (int i = 0; i < 300000; i++)
	{
		uint32_t	random = random_next(&seed);

		sequence += random % 16 == 0 ? random_next(&seed) : random % 64 - 20;
		exporter_sequence(&exporter, sequence, random_next(&seed) % 40);
		assert_true(exporter.lost < UINT64_C(1) << 62);
	}
	assert_true(exporter.lost > 0);
}

static void
test_error_names(void **state)
{
	(void) state;
	assert_string_equal(decode_error_name(DECODE_SHORT), "short");
	assert_string_equal(decode_error_name(DECODE_NO_TEMPLATE), "no_template");
	assert_string_equal(decode_error_name(DECODE_UNSUPPORTED), "unsupported");
	assert_string_equal(decode_error_name(DECODE_UNKNOWN_SAMPLER), "unknown_sampler");
	for (int i = 0; i < DECODE_ERRORS; i++)
		assert_non_null(decode_error_name((DecodeError) i));
	assert_string_equal(decode_error_name(DECODE_ERRORS), "unknown");
}

static void
test_times(void **state)
{
	(void) state;
	assert_int_equal(times_from_seconds(1700000000), INT64_C(1700000000000000));
	assert_int_equal(times_from_milliseconds(1700000000123), INT64_C(1700000000123000));
	assert_int_equal(times_from_seconds(UINT64_MAX), TIMES_LIMIT);
	assert_int_equal(times_from_milliseconds(UINT64_MAX), TIMES_LIMIT);
	assert_int_equal(times_before(5000000, 1500000), 3500000);
	assert_int_equal(times_before(5000000, UINT64_MAX), 5000000 - TIMES_LIMIT);
	assert_int_equal(times_before(INT64_MIN, UINT64_MAX), -TIMES_LIMIT);
	assert_int_equal(times_before(INT64_MAX, 0), TIMES_LIMIT);
}

static void
test_times_ntp(void **state)
{
	(void) state;
	/* 1970, and half a second later */
	assert_int_equal(times_from_ntp(UINT64_C(2208988800) << 32), 0);
	assert_int_equal(times_from_ntp(UINT64_C(2208988800) << 32 | 0x80000000), 500000);
	/* one microsecond is 4294.97 units */
	assert_int_equal(times_from_ntp(UINT64_C(2208988800) << 32 | 4294), 1);
	assert_int_equal(times_from_ntp(UINT64_C(2208988801) << 32 | UINT32_MAX), 2000000);
	/* the last second of era 0 is in 2036, era 1 goes on from there */
	assert_int_equal(times_from_ntp(UINT64_C(0xffffffff) << 32), INT64_C(2085978495000000));
	assert_int_equal(times_from_ntp(0), INT64_C(2085978496000000));
}

static void
test_times_uptime(void **state)
{
	const int64_t now = INT64_C(1700000000000000);

	(void) state;
	assert_int_equal(times_from_uptime(1000, now, 5000), now - 4000000);
	assert_int_equal(times_from_uptime(5001, now, 5000), now + 1000);
	/* the header's uptime has wrapped, the flow's has not */
	assert_int_equal(times_from_uptime(UINT32_MAX, now, 999), now - 1000000);
	assert_int_equal(times_from_uptime(0x80000000, INT64_MAX, 0), TIMES_LIMIT -
					 INT64_C(0x80000000) * 1000);
}

/* Both ways are the same wherever the shorter one may be taken. */
static void
test_times_uptime_near(void **state)
{
	const int64_t most = TIMES_LIMIT - INT64_C(0x80000000) * 1000;
	const int64_t nows[] = {0, INT64_C(1700000000000000), UINT32_MAX * INT64_C(1000000), most, -most};
	const uint32_t uptimes[] = {0, 1, 0x7fffffff, 0x80000000, 0x80000001, UINT32_MAX};

	(void) state;
	for (size_t i = 0; i < sizeof(nows) / sizeof(nows[0]); i++)
	{
		assert_true(times_uptimes_are_near(nows[i]));
		for (size_t j = 0; j < sizeof(uptimes) / sizeof(uptimes[0]); j++)
		{
			for (size_t k = 0; k < sizeof(uptimes) / sizeof(uptimes[0]); k++)
				assert_int_equal(times_from_uptime_near(uptimes[j], nows[i], uptimes[k]),
								 times_from_uptime(uptimes[j], nows[i], uptimes[k]));
		}
	}
	assert_false(times_uptimes_are_near(most + 1));
	assert_false(times_uptimes_are_near(-most - 1));
	assert_false(times_uptimes_are_near(INT64_MAX));
	assert_false(times_uptimes_are_near(INT64_MIN));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_strangers_are_bounded),
		cmocka_unit_test(test_sequence_in_order),
		cmocka_unit_test(test_sequence_loss),
		cmocka_unit_test(test_sequence_wraps),
		cmocka_unit_test(test_sequence_reordered),
		cmocka_unit_test(test_sequence_duplicates),
		cmocka_unit_test(test_sequence_restart),
		cmocka_unit_test(test_sequence_unknown),
		cmocka_unit_test(test_sequence_random),
		cmocka_unit_test(test_error_names),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_times_ntp),
		cmocka_unit_test(test_times_uptime),
		cmocka_unit_test(test_times_uptime_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
