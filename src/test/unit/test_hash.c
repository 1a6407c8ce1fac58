/*
 * test_hash.c
 *	  Whose hashes are alike: by chance alone, whatever others choose.
 */
#include "build_packet.h"

#include "hash.h"

#define BUCKETS	16384

/* A server's own. */
static const HashKey secrets[] = {
	{{UINT64_C(0x7c1f2ab94e60d385), UINT64_C(0x1bd3e5f7806a492c)}},
	{{UINT64_C(0xfa38c17025d94b6e), UINT64_C(0x60e4b8d21f73a59c)}},
	{{UINT64_C(0x0f1e2d3c4b5a6978), UINT64_C(0x8796a5b4c3d2e1f0)}}
};

static const FlowAddress router =
{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}};

typedef uint64_t (*KeyHash) (uint32_t i);

static uint64_t
hash_of_interface(uint32_t i)
{
	return hash_mix(hash_address(&router), i);
}

static uint64_t
hash_of_remote_as(uint32_t i)
{
	return hash_mix((uint64_t) i << 32 | 64500, UINT64_C(1) << 40);
}

static uint64_t
hash_of_local_as(uint32_t i)
{
	return hash_mix(UINT64_C(64500) << 32 | i, UINT64_C(1) << 40);
}

static uint64_t
hash_of_ipv4(uint32_t i)
{
	FlowAddress address = router;

	memcpy(&address.octets[12], &i, sizeof(i));
	return hash_address(&address);
}

static uint64_t
hash_of_ipv6(uint32_t i)
{
	FlowAddress address = {{0x20, 0x01, 0x0d, 0xb8}};

	memcpy(&address.octets[4], &i, sizeof(i));
	return hash_address(&address);
}

/* The most of these that share a bucket, as tables choose it. */
static uint32_t
longest_chain(KeyHash hash, const uint32_t *chosen, uint32_t count)
{
	static uint32_t chains[BUCKETS];
	uint32_t	longest = 0;

	memset(chains, 0, sizeof(chains));
	for (uint32_t i = 0; i < count; i++)
	{
		uint32_t	bucket = hash(chosen != NULL ? chosen[i] : i) >> 32 & (BUCKETS - 1);

		if (++chains[bucket] > longest)
			longest = chains[bucket];
	}
	return longest;
}

/* As many as there are buckets: chance puts 12 into one less than once in 70,000 times. */
static void
test_spread(void **state)
{
	const KeyHash hashes[] = {
		hash_of_interface, hash_of_remote_as, hash_of_local_as, hash_of_ipv4, hash_of_ipv6
	};
	const HashKey usual = hash_key;

	(void) state;
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
	{
		assert_in_range(longest_chain(hashes[i], NULL, BUCKETS), 1, 11);
		for (size_t j = 0; j < sizeof(secrets) / sizeof(secrets[0]); j++)
		{
			hash_key = secrets[j];
			assert_in_range(longest_chain(hashes[i], NULL, BUCKETS), 1, 11);
		}
		hash_key = usual;
	}
}

/* Interfaces that share a bucket with one key do not with another. */
static void
test_secret(void **state)
{
	enum
	{
		COUNT = 1000
	};
	const HashKey usual = hash_key;
	uint32_t	chosen[COUNT];
	uint32_t	id = 0;

	(void) state;
	for (uint32_t i = 0; i < COUNT; i++)
	{
		do
			id++;
		while ((hash_of_interface(id) >> 32 & (BUCKETS - 1)) != 77);
		chosen[i] = id;
	}
	assert_int_equal(longest_chain(hash_of_interface, chosen, COUNT), COUNT);
	for (size_t j = 0; j < sizeof(secrets) / sizeof(secrets[0]); j++)
	{
		hash_key = secrets[j];
		assert_in_range(longest_chain(hash_of_interface, chosen, COUNT), 1, 5);
	}
	hash_key = usual;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
