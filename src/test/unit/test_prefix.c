/*
 * test_prefix.c
 *	  Address -> AS number by the longest matching prefix.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "prefix.h"

#define NONE	(-1)			/* of find() */

static FlowAddress
address(const char *text)
{
	FlowAddress result = {.octets = {[10] = 0xFF, [11] = 0xFF}};

	if (strchr(text, ':') != NULL)
		assert_int_equal(inet_pton(AF_INET6, text, result.octets), 1);
	else
		assert_int_equal(inet_pton(AF_INET, text, result.octets + 12), 1);
	return result;
}

/* "192.0.2.0/24" */
static Prefix
prefix(const char *text, uint32_t as)
{
	char		copy[64];
	char	   *slash;
	int			length;

	snprintf(copy, sizeof(copy), "%s", text);
	slash = strchr(copy, '/');
	assert_non_null(slash);
	*slash = '\0';
	length = atoi(slash + 1);
	if (strchr(copy, ':') == NULL)
		length += 96;
	return (Prefix) {.address = address(copy), .length = (uint8_t) length, .as = as};
}

/* In exactly the octets that it asks for, so that ASan sees one too many. */
static PrefixTable *
build(Prefix *prefixes, uint32_t count)
{
	size_t		size = prefix_size(count);
	size_t		used = 0;
	PrefixTable *table;
	PrefixTable *moved;

	table = prefix_build(aligned_alloc(64, size), prefixes, count, &used);
	assert_true(used > 0 && used <= size);

	/* It has no pointers, and needs no more than it says. */
	moved = malloc(used);
	memcpy(moved, table, used);
	free(table);
	return moved;
}

static int64_t
find(const PrefixTable *table, const FlowAddress *wanted)
{
	uint32_t	as = 12345;

	if (prefix_find(table, wanted, &as))
		return as;
	assert_int_equal(as, 12345);
	return NONE;
}

static void
assert_as(const PrefixTable *table, const char *text, int64_t expected)
{
	FlowAddress wanted = address(text);

	assert_int_equal(find(table, &wanted), expected);
}

static void
test_empty(void **state)
{
	PrefixTable *table = build(NULL, 0);

	(void) state;
	assert_int_equal(prefix_count(table), 0);
	assert_as(table, "0.0.0.0", NONE);
	assert_as(table, "192.0.2.1", NONE);
	assert_as(table, "255.255.255.255", NONE);
	assert_as(table, "::", NONE);
	assert_as(table, "2001:db8::1", NONE);
	assert_as(table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NONE);
	free(table);
}

static void
test_one(void **state)
{
	Prefix		list[] = {prefix("192.0.2.0/24", 64500)};
	PrefixTable *table = build(list, 1);

	(void) state;
	assert_int_equal(prefix_count(table), 1);
	assert_as(table, "192.0.1.255", NONE);
	assert_as(table, "192.0.2.0", 64500);
	assert_as(table, "192.0.2.255", 64500);
	assert_as(table, "192.0.3.0", NONE);
	free(table);
}

static void
test_nested(void **state)
{
	Prefix		list[] = {
		prefix("10.1.2.3/32", 4),
		prefix("10.0.0.0/8", 1),
		prefix("10.1.2.0/24", 3),
		prefix("10.1.0.0/16", 2),
		prefix("10.1.2.254/31", 5)
	};
	PrefixTable *table = build(list, 5);

	(void) state;
	assert_as(table, "9.255.255.255", NONE);
	assert_as(table, "10.0.255.255", 1);
	assert_as(table, "10.1.0.0", 2);
	assert_as(table, "10.1.2.2", 3);
	assert_as(table, "10.1.2.3", 4);
	assert_as(table, "10.1.2.4", 3);
	assert_as(table, "10.1.2.253", 3);
	assert_as(table, "10.1.2.254", 5);
	assert_as(table, "10.1.2.255", 5);
	assert_as(table, "10.1.3.0", 2);
	assert_as(table, "10.2.0.0", 1);
	assert_as(table, "10.255.255.255", 1);
	assert_as(table, "11.0.0.0", NONE);
	free(table);
}

/* The ends of the space are ends of prefixes, too. */
static void
test_everything(void **state)
{
	Prefix		list[] = {
		prefix("0.0.0.0/0", 1),
		prefix("0.0.0.0/32", 2),
		prefix("255.255.255.255/32", 3),
		prefix("255.255.255.0/24", 4),
		prefix("::/0", 11),
		prefix("::/128", 12),
		prefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", 13),
		prefix("ffff::/16", 14)
	};
	PrefixTable *table = build(list, 8);

	(void) state;
	assert_int_equal(prefix_count(table), 8);
	assert_as(table, "0.0.0.0", 2);
	assert_as(table, "0.0.0.1", 1);
	assert_as(table, "255.255.254.255", 1);
	assert_as(table, "255.255.255.254", 4);
	assert_as(table, "255.255.255.255", 3);
	assert_as(table, "::", 12);
	assert_as(table, "::1", 11);
	assert_as(table, "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 11);
	assert_as(table, "2000::", 11);
	assert_as(table, "4000::", 11);
	assert_as(table, "fffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 11);
	assert_as(table, "ffff::", 14);
	assert_as(table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 14);
	assert_as(table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 13);
	free(table);
}

/* A prefix of IPv6 around the mapped addresses says nothing about IPv4. */
static void
test_families_are_apart(void **state)
{
	Prefix		list[] = {prefix("::/0", 6), prefix("::ffff:0:0/95", 7)};
	Prefix		ipv4[] = {prefix("0.0.0.0/0", 4)};
	PrefixTable *table = build(list, 2);

	(void) state;
	assert_as(table, "192.0.2.1", NONE);
	assert_as(table, "::fffe:192.0.2.1", 7);
	assert_as(table, "::1:0:0:0", 6);
	free(table);

	table = build(ipv4, 1);
	assert_as(table, "192.0.2.1", 4);
	assert_as(table, "::fffe:ffff:ffff", NONE);
	assert_as(table, "::1:0:0:0", NONE);
	free(table);
}

static void
test_ipv6(void **state)
{
	Prefix		list[] = {
		prefix("2001:db8::/32", 1),
		prefix("2001:db8:0:1::/64", 2),
		prefix("2001:db8:0:1:8000::/65", 3),
		prefix("2001:db8:0:1::1/128", 4),
		prefix("fc00::/7", 5),
		prefix("::1/128", 6),
		prefix("3fff:ffff:ffff:ffff::/64", 7)
	};
	PrefixTable *table = build(list, 7);

	(void) state;
	assert_as(table, "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", NONE);
	assert_as(table, "2001:db8::", 1);
	assert_as(table, "2001:db8:0:1::", 2);
	assert_as(table, "2001:db8:0:1::1", 4);
	assert_as(table, "2001:db8:0:1::2", 2);
	assert_as(table, "2001:db8:0:1:7fff:ffff:ffff:ffff", 2);
	assert_as(table, "2001:db8:0:1:8000::", 3);
	assert_as(table, "2001:db8:0:1:ffff:ffff:ffff:ffff", 3);
	assert_as(table, "2001:db8:0:2::", 1);
	assert_as(table, "2001:db9::", NONE);
	assert_as(table, "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 5);
	assert_as(table, "fe00::", NONE);
	assert_as(table, "::1", 6);
	assert_as(table, "::2", NONE);
	assert_as(table, "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 7);
	assert_as(table, "4000::", NONE);
	free(table);
}

static void
test_last_of_equals(void **state)
{
	Prefix		list[] = {
		prefix("192.0.2.0/24", 1),
		prefix("2001:db8::/32", 7),
		prefix("192.0.2.0/24", 3),
		prefix("192.0.2.0/25", 5),
		prefix("2001:db8::/32", 6),
		prefix("192.0.2.0/24", 2)
	};
	PrefixTable *table = build(list, 6);

	(void) state;
	assert_int_equal(prefix_count(table), 3);
	assert_as(table, "192.0.2.1", 5);
	assert_as(table, "192.0.2.129", 2);
	assert_as(table, "2001:db8::1", 6);
	free(table);
}

static void
test_adjacent(void **state)
{
	Prefix		list[] = {
		prefix("192.0.2.0/25", 1),
		prefix("192.0.2.128/25", 1),
		prefix("192.0.3.0/24", 2),
		prefix("192.0.5.0/24", 2)
	};
	PrefixTable *table = build(list, 4);

	(void) state;
	assert_as(table, "192.0.2.127", 1);
	assert_as(table, "192.0.2.128", 1);
	assert_as(table, "192.0.3.0", 2);
	assert_as(table, "192.0.3.255", 2);
	assert_as(table, "192.0.4.0", NONE);
	assert_as(table, "192.0.5.0", 2);
	free(table);
}

/* 0 and the largest number are AS numbers as any other here. */
static void
test_every_as(void **state)
{
	Prefix		list[] = {
		prefix("10.0.0.0/8", 64500),
		prefix("10.1.0.0/16", 0),
		prefix("10.2.0.0/16", UINT32_MAX),
		prefix("::/8", UINT32_MAX),
		prefix("::/9", 0)
	};
	PrefixTable *table = build(list, 5);

	(void) state;
	assert_as(table, "9.0.0.0", NONE);
	assert_as(table, "10.1.0.0", 0);
	assert_as(table, "10.2.0.0", UINT32_MAX);
	assert_as(table, "11.0.0.0", NONE);
	assert_as(table, "::1", 0);
	assert_as(table, "80::1", UINT32_MAX);
	assert_as(table, "100::", NONE);
	free(table);
}

static void
test_host_bits_do_not_count(void **state)
{
	Prefix		list[] = {
		prefix("192.0.2.77/24", 1),
		prefix("2001:db8::77/33", 2),
		{.address = address("2001:db8::99"), .length = 255, .as = 3}
	};
	PrefixTable *table = build(list, 3);

	(void) state;
	assert_as(table, "192.0.2.0", 1);
	assert_as(table, "192.0.2.255", 1);
	assert_as(table, "2001:db8::", 2);
	assert_as(table, "2001:db8::99", 3);
	assert_as(table, "2001:db8:8000::", NONE);
	free(table);
}

/* All lengths within one another, as deep as prefixes can nest. */
static void
test_deepest(void **state)
{
	Prefix		list[129];
	PrefixTable *table;

	(void) state;
	for (int i = 0; i < 129; i++)
	{
		list[i] = prefix("5555:5555:5555:5555:5555:5555:5555:5555/0", 1000 + i);
		list[i].length = (uint8_t) i;
	}
	table = build(list, 129);
	assert_int_equal(prefix_count(table), 129);
	assert_as(table, "5555:5555:5555:5555:5555:5555:5555:5555", 1128);
	for (int i = 0; i < 128; i++)
	{
		FlowAddress other = address("5555:5555:5555:5555:5555:5555:5555:5555");

		other.octets[i / 8] ^= (uint8_t) (0x80 >> i % 8);
		assert_int_equal(find(table, &other), 1000 + i);
	}
	free(table);
}

/*
 * Any prefixes: the same answers as by trying all of them.
 */

static uint64_t random_state;

static uint32_t
random_number(uint32_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t) ((random_state >> 33) % limit);
}

static bool
covers(const Prefix *prefix, const FlowAddress *wanted)
{
	bool		mapped = prefix->length >= 96 &&
		memcmp(prefix->address.octets, address("0.0.0.0").octets, 12) == 0;
	bool		ipv4 = memcmp(wanted->octets, address("0.0.0.0").octets, 12) == 0;

	if (mapped != ipv4)
		return false;
	for (int bit = 0; bit < prefix->length; bit++)
	{
		if (((prefix->address.octets[bit / 8] ^ wanted->octets[bit / 8]) & 0x80 >> bit % 8) != 0)
			return false;
	}
	return true;
}

static int64_t
find_naively(const Prefix *list, uint32_t count, const FlowAddress *wanted)
{
	const Prefix *best = NULL;

	for (uint32_t i = 0; i < count; i++)
	{
		if (covers(&list[i], wanted) && (best == NULL || list[i].length >= best->length))
			best = &list[i];
	}
	return best == NULL ? NONE : (int64_t) best->as;
}

/* Few bits vary, so that much nests, meets or is equal. */
static FlowAddress
random_address(void)
{
	static const char *const bases[] = {
		"192.0.2.0", "0.0.0.0", "255.255.255.255", "::", "2001:db8::", "2001:db8:0:1::",
		"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "::fffe:ffff:ffff",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	};
	FlowAddress result = address(bases[random_number(10)]);

	for (uint32_t i = random_number(5); i > 0; i--)
	{
		uint32_t	bit = random_number(3) == 0 ? random_number(128) : 124 + random_number(4);

		result.octets[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	return result;
}

static Prefix
random_prefix(void)
{
	Prefix		result = {.address = random_address(), .as = random_number(5)};
	uint32_t	length = random_number(4) == 0 ? random_number(129) : 96 + random_number(33);

	result.length = (uint8_t) length;
	for (uint32_t bit = length; bit < 128; bit++)
		result.address.octets[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return result;
}

/* Just before or behind, and at both ends. */
static FlowAddress
random_border(const Prefix *prefix)
{
	FlowAddress result = prefix->address;
	bool		end = random_number(2) == 0;
	uint32_t	step = random_number(3);	/* 0: none, 1: +1, 2: -1 */

	for (uint32_t bit = prefix->length; end && bit < 128; bit++)
		result.octets[bit / 8] |= (uint8_t) (0x80 >> bit % 8);
	for (int i = 15; i >= 0 && step == 1 && ++result.octets[i] == 0; i--)
		;
	for (int i = 15; i >= 0 && step == 2 && result.octets[i]-- == 0; i--)
		;
	return result;
}

static void
test_like_trying_all(void **state)
{
	Prefix		list[64];
	Prefix		sorted[64];

	(void) state;
	for (random_state = 1; random_state < 400000; random_state += 1000)
	{
		uint64_t	seed = random_state;
		uint32_t	count = random_number(65);
		PrefixTable *table;

		for (uint32_t i = 0; i < count; i++)
			list[i] = random_prefix();
		memcpy(sorted, list, sizeof(list));
		table = build(sorted, count);
		for (int i = 0; i < 300; i++)
		{
			FlowAddress wanted = i % 2 == 0 || count == 0 ? random_address() :
				random_border(&list[random_number(count)]);

			assert_int_equal(find(table, &wanted), find_naively(list, count, &wanted));
		}
		free(table);
		random_state = seed;
	}
}

/* A full table, and more: within 100 MiB. */
static void
test_size(void **state)
{
	(void) state;
	assert_true(prefix_size(1200000) <= 100 * 1024 * 1024);
	assert_true(prefix_size(0) > 0);
	assert_true(prefix_size(1) >= prefix_size(0));
	assert_int_equal(prefix_size(1000) % 64, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_families_are_apart),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_last_of_equals),
		cmocka_unit_test(test_adjacent),
		cmocka_unit_test(test_every_as),
		cmocka_unit_test(test_host_bits_do_not_count),
		cmocka_unit_test(test_deepest),
		cmocka_unit_test(test_like_trying_all),
		cmocka_unit_test(test_size)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
