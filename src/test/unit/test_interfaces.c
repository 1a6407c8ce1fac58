/*
 * test_interfaces.c
 *	  The configured interface of (exporter, ifIndex, VLAN).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "interfaces.h"

static FlowAddress
host(uint32_t number)
{
	return (FlowAddress) {
		.octets = {0x20, 0x01, 0x0D, 0xB8, [14] = (uint8_t) (number >> 8), (uint8_t) number}
	};
}

static Interface
interface(uint32_t host_number, uint32_t id, int32_t vlan, uint32_t name)
{
	return (Interface) {.host = host(host_number), .id = id, .vlan = vlan, .name = name};
}

/* In exactly the octets that it asks for, so that ASan sees one too many. */
static Interfaces *
build(const Interface *list, uint32_t count)
{
	return interfaces_build(malloc(interfaces_size(count)), list, count);
}

/* The name's number, or -1. */
static int
find(const Interfaces *interfaces, uint32_t host_number, uint32_t id, int32_t vlan)
{
	FlowAddress address = host(host_number);
	const Interface *found = interfaces_find(interfaces, &address, id, vlan);

	return found == NULL ? -1 : (int) found->name;
}

static bool
knows(const Interfaces *interfaces, uint32_t host_number)
{
	FlowAddress address = host(host_number);

	return interfaces_know_host(interfaces, &address);
}

static void
test_none(void **state)
{
	Interfaces *interfaces = build(NULL, 0);

	(void) state;
	assert_int_equal(find(interfaces, 1, 1, INTERFACE_ANY_VLAN), -1);
	assert_int_equal(find(interfaces, 1, 1, 5), -1);
	assert_false(knows(interfaces, 1));
	free(interfaces);
}

static void
test_host_and_id(void **state)
{
	const Interface list[] = {
		interface(1, 23, INTERFACE_ANY_VLAN, 7),
		interface(1, 24, INTERFACE_ANY_VLAN, 8),
		interface(2, 23, INTERFACE_ANY_VLAN, 9),
		interface(2, 0, INTERFACE_ANY_VLAN, 10),
		interface(2, UINT32_MAX, INTERFACE_ANY_VLAN, 11)
	};
	Interfaces *interfaces = build(list, 5);

	(void) state;
	assert_int_equal(find(interfaces, 1, 23, INTERFACE_ANY_VLAN), 7);
	assert_int_equal(find(interfaces, 1, 24, INTERFACE_ANY_VLAN), 8);
	assert_int_equal(find(interfaces, 2, 23, INTERFACE_ANY_VLAN), 9);
	assert_int_equal(find(interfaces, 2, 0, INTERFACE_ANY_VLAN), 10);
	assert_int_equal(find(interfaces, 2, UINT32_MAX, INTERFACE_ANY_VLAN), 11);
	assert_int_equal(find(interfaces, 2, 24, INTERFACE_ANY_VLAN), -1);
	assert_int_equal(find(interfaces, 3, 23, INTERFACE_ANY_VLAN), -1);
	assert_int_equal(find(interfaces, 1, 23, 100), 7);
	assert_true(knows(interfaces, 1));
	assert_true(knows(interfaces, 2));
	assert_false(knows(interfaces, 3));
	free(interfaces);
}

static void
test_vlans(void **state)
{
	const Interface list[] = {
		interface(1, 23, 100, 1),
		interface(1, 23, INTERFACE_ANY_VLAN, 2),
		interface(1, 23, 200, 3),
		interface(1, 24, 100, 4),
		interface(1, 24, 0, 5)
	};
	Interfaces *interfaces = build(list, 5);

	(void) state;
	assert_int_equal(find(interfaces, 1, 23, 100), 1);
	assert_int_equal(find(interfaces, 1, 23, 200), 3);
	assert_int_equal(find(interfaces, 1, 23, 300), 2);
	assert_int_equal(find(interfaces, 1, 23, INTERFACE_ANY_VLAN), 2);
	assert_int_equal(find(interfaces, 1, 24, 100), 4);
	assert_int_equal(find(interfaces, 1, 24, 0), 5);

	/* Without one for all VLANs, the others stay unmatched. */
	assert_int_equal(find(interfaces, 1, 24, 200), -1);
	assert_int_equal(find(interfaces, 1, 24, INTERFACE_ANY_VLAN), -1);
	free(interfaces);
}

static void
test_list_is_copied(void **state)
{
	Interface	list[] = {interface(1, 23, INTERFACE_ANY_VLAN, 7)};
	FlowAddress address = host(1);
	Interfaces *interfaces;
	const Interface *found;

	(void) state;
	list[0].sample = 512;
	list[0].sample_out = 1024;
	interfaces = build(list, 1);
	list[0] = interface(2, 24, 0, 0);

	found = interfaces_find(interfaces, &address, 23, INTERFACE_ANY_VLAN);
	assert_non_null(found);
	assert_int_equal(found->name, 7);
	assert_int_equal(found->sample, 512);
	assert_int_equal(found->sample_out, 1024);
	free(interfaces);
}

/* Every size, so that the index is also as full as it gets. */
static void
test_many(void **state)
{
	Interface	list[300];

	(void) state;
	for (uint32_t i = 0; i < 300; i++)
		list[i] = interface(i / 20, i % 20 / 2,
							i % 2 == 0 ? INTERFACE_ANY_VLAN : (int32_t) i, i);

	for (uint32_t count = 1; count <= 300; count += count < 20 ? 1 : 7)
	{
		Interfaces *interfaces = build(list, count);

		for (uint32_t i = 0; i < 300; i++)
		{
			uint32_t	any = i / 2 * 2;
			int			fallback = any < count ? (int) any : -1;
			int			expected = i < count ? (int) i : fallback;

			assert_int_equal(find(interfaces, i / 20, i % 20 / 2, list[i].vlan), expected);
			assert_int_equal(knows(interfaces, i / 20), i / 20 * 20 < count);
		}
		free(interfaces);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_host_and_id),
		cmocka_unit_test(test_vlans),
		cmocka_unit_test(test_list_is_copied),
		cmocka_unit_test(test_many)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
