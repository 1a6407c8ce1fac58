/*
 * bench_prefix.c
 *	  What looking up a full table costs: prints figures, asserts nothing.
 *
 *	  cc -O2 -std=gnu11 -Isrc/flow -o /tmp/bench_prefix src/test/bench_prefix.c src/flow/prefix.c
 *	  /tmp/bench_prefix
 *
 * The prefixes are made up, with the lengths and the crowding of the Internet's:
 * most of IPv4 is /24, in blocks; IPv6 is /32, /48 and what is between, within
 * the few /12 that the registries hand out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "prefix.h"

#define IPV4_PREFIXES	1000000
#define IPV6_PREFIXES	250000
#define LOOKUPS			4000000

static uint64_t random_state = 1;

static uint64_t
random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static void
put(uint8_t *octets, uint64_t value, int count)
{
	while (count-- > 0)
	{
		octets[count] = (uint8_t) value;
		value >>= 8;
	}
}

static FlowAddress
ipv4(uint32_t value)
{
	FlowAddress result = {.octets = {[10] = 0xFF, [11] = 0xFF}};

	put(result.octets + 12, value, 4);
	return result;
}

static FlowAddress
ipv6(uint64_t high, uint64_t low)
{
	FlowAddress result;

	put(result.octets, high, 8);
	put(result.octets + 8, low, 8);
	return result;
}

/* Unicast, in half of its /16. */
static uint32_t
random_ipv4(void)
{
	uint32_t	value;

	do
		value = (uint32_t) random_word();
	while (value >> 24 == 0 || value >> 24 >= 224 || (value >> 16) * 2654435761U >> 31);
	return value;
}

static uint64_t
random_ipv6(void)
{
	static const uint16_t blocks[] = {
		0x2001, 0x2400, 0x2401, 0x2402, 0x2403, 0x2404, 0x2405, 0x2406, 0x2407, 0x2408, 0x2409,
		0x240E, 0x2600, 0x2601, 0x2602, 0x2603, 0x2604, 0x2605, 0x2606, 0x2607, 0x2620, 0x2800,
		0x2801, 0x2803, 0x2804, 0x2804, 0x2804, 0x2804, 0x2806, 0x2A00, 0x2A01, 0x2A02, 0x2A03,
		0x2A04, 0x2A05, 0x2A06, 0x2A07, 0x2A09, 0x2A0A, 0x2A0B, 0x2A0C, 0x2A0D, 0x2A0E, 0x2A0E,
		0x2A10, 0x2A12, 0x2C0F
	};
	uint64_t	block = blocks[random_word() % (sizeof(blocks) / sizeof(blocks[0]))];

	return block << 48 | random_word() % 4096 << 36 | (random_word() & 0xFFFFFFFFF);
}

static Prefix
random_prefix4(void)
{
	static const uint8_t lengths[] = {
		24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24,
		24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 23, 23, 23, 23, 23, 23, 23, 22,
		22, 22, 22, 22, 22, 22, 21, 21, 21, 20, 20, 20, 19, 19, 18, 16
	};
	uint8_t		length = lengths[random_word() % sizeof(lengths)];
	uint32_t	value = random_ipv4() & UINT32_MAX << (32 - length);

	return (Prefix) {ipv4(value), (uint8_t) (96 + length), (uint32_t) (random_word() % 80000)};
}

static Prefix
random_prefix6(void)
{
	static const uint8_t lengths[] = {48, 48, 48, 48, 48, 32, 32, 32, 40, 44, 36, 29, 64};
	uint8_t		length = lengths[random_word() % sizeof(lengths)];

	return (Prefix) {ipv6(random_ipv6() & UINT64_MAX << (64 - length), 0), length,
		(uint32_t) (random_word() % 80000)};
}

/* Nanoseconds per lookup. */
static void
measure(const char *what, const PrefixTable *table, const FlowAddress *wanted)
{
	uint32_t	covered = 0;
	uint32_t	sum = 0;
	double		started = now();
	double		took;

	for (uint32_t i = 0; i < LOOKUPS; i++)
	{
		uint32_t	as = 0;

		covered += prefix_find(table, &wanted[i], &as);
		sum += as;
	}
	took = now() - started;
	printf("%-36s %6.1f ns per lookup, %3.0f %% covered (%08x)\n", what, took * 1e9 / LOOKUPS,
		   covered * 100.0 / LOOKUPS, sum);
}

/* As traffic has it: a hundredth of the addresses get most of the lookups. */
static void
skew(FlowAddress *wanted)
{
	for (uint32_t i = 0; i < LOOKUPS; i++)
	{
		if (random_word() % 10 != 0)
			wanted[i] = wanted[random_word() % (random_word() % 10 == 0 ? LOOKUPS / 100 : LOOKUPS / 2000)];
	}
}

int
main(void)
{
	uint32_t	count = IPV4_PREFIXES + IPV6_PREFIXES;
	Prefix	   *prefixes = malloc(count * sizeof(Prefix));
	FlowAddress *wanted = malloc(LOOKUPS * sizeof(FlowAddress));
	void	   *memory = aligned_alloc(64, prefix_size(count));
	PrefixTable *table;
	size_t		used;
	double		started;

	for (uint32_t i = 0; i < count; i++)
		prefixes[i] = i < IPV4_PREFIXES ? random_prefix4() : random_prefix6();
	started = now();
	table = prefix_build(memory, prefixes, count, &used);
	printf("%u prefixes, %u different: built in %.0f ms, %.1f MiB; prefix_size() %.1f MiB\n",
		   count, prefix_count(table), (now() - started) * 1e3, used / 1048576.0,
		   prefix_size(count) / 1048576.0);

	for (uint32_t i = 0; i < LOOKUPS; i++)
		wanted[i] = ipv4(random_ipv4());
	measure("IPv4, any address", table, wanted);
	skew(wanted);
	measure("IPv4, skewed", table, wanted);
	for (uint32_t i = 0; i < LOOKUPS; i++)
	{
		Prefix	   *prefix = &prefixes[random_word() % count];
		uint64_t	low = random_word();

		wanted[i] = prefix->address;
		if (prefix->length < 96)
			put(wanted[i].octets + 8, low, 8);
		else
			wanted[i].octets[15] = (uint8_t) low;
	}
	measure("both, addresses within the prefixes", table, wanted);
	skew(wanted);
	measure("both, skewed", table, wanted);
	for (uint32_t i = 0; i < LOOKUPS; i++)
		wanted[i] = ipv6(random_ipv6(), random_word());
	measure("IPv6, any address", table, wanted);
	skew(wanted);
	measure("IPv6, skewed", table, wanted);
	free(memory);
	free(wanted);
	free(prefixes);
	return 0;
}
