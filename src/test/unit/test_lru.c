/*
 * test_lru.c
 *	  The bounded table: order of use, the two classes, chains.
 */
#include "build_packet.h"

#include "lru.h"

typedef struct Entry
{
	LruLink		link;
	uint32_t	key;
	uint64_t	value;
} Entry;

static Lru *
make(uint32_t capacity)
{
	void	   *memory = malloc(lru_size(capacity, sizeof(Entry)));

	assert_non_null(memory);
	memset(memory, 0xaa, lru_size(capacity, sizeof(Entry)));
	return lru_init(memory, capacity, sizeof(Entry));
}

static Entry *
find(Lru *lru, uint32_t key, uint32_t hash)
{
	Entry	   *entry = NULL;

	while ((entry = lru_find(lru, hash, entry)) != NULL)
		if (entry->key == key)
			return entry;
	return NULL;
}

static void
note_evicted(void *context, const void *entry)
{
	*(uint32_t *) context = ((const Entry *) entry)->key;
}

/* Inserts; gives the key that had to go, or 0. */
static uint32_t
insert(Lru *lru, uint32_t key, uint32_t hash, LruClass class)
{
	uint32_t	evicted = 0;
	Entry	   *entry = lru_insert(lru, hash, class, note_evicted, &evicted);

	assert_int_equal(entry->key, 0);
	assert_int_equal(entry->value, 0);
	entry->key = key;
	entry->value = UINT64_MAX;
	return evicted;
}

static void
test_empty(void **state)
{
	Lru		   *lru = make(8);
	uint32_t	position = 0;

	(void) state;
	assert_int_equal(lru_count(lru), 0);
	assert_int_equal(lru_capacity(lru), 8);
	assert_int_equal(lru_evictions(lru), 0);
	assert_null(lru_find(lru, 1, NULL));
	assert_null(lru_next(lru, &position));
	free(lru);
}

static void
test_oldest_goes_first(void **state)
{
	Lru		   *lru = make(4);

	(void) state;
	for (uint32_t key = 1; key <= 4; key++)
		assert_int_equal(insert(lru, key, key, LRU_KNOWN), 0);
	assert_int_equal(lru_count(lru), 4);
	lru_touch(lru, find(lru, 1, 1), LRU_KNOWN);
	lru_touch(lru, find(lru, 3, 3), LRU_KNOWN);
	assert_int_equal(insert(lru, 5, 5, LRU_KNOWN), 2);
	assert_int_equal(insert(lru, 6, 6, LRU_KNOWN), 4);
	assert_int_equal(insert(lru, 7, 7, LRU_KNOWN), 1);
	assert_int_equal(insert(lru, 8, 8, LRU_KNOWN), 3);
	assert_int_equal(insert(lru, 9, 9, LRU_KNOWN), 5);
	assert_int_equal(lru_count(lru), 4);
	assert_int_equal(lru_evictions(lru), 5);
	assert_null(find(lru, 2, 2));
	assert_non_null(find(lru, 9, 9));
	free(lru);
}

static void
test_chain(void **state)
{
	Lru		   *lru = make(8);

	(void) state;
	/* one hash for all, and a hash of the same bucket */
	for (uint32_t key = 1; key <= 5; key++)
		insert(lru, key, 3, LRU_KNOWN);
	insert(lru, 6, 3 + 64, LRU_KNOWN);
	for (uint32_t key = 1; key <= 5; key++)
		assert_non_null(find(lru, key, 3));
	assert_null(find(lru, 6, 3));
	assert_non_null(find(lru, 6, 3 + 64));

	/* out of the middle, the head and the tail of the chain */
	lru_remove(lru, find(lru, 3, 3));
	lru_remove(lru, find(lru, 5, 3));
	lru_remove(lru, find(lru, 1, 3));
	assert_null(find(lru, 3, 3));
	assert_null(find(lru, 5, 3));
	assert_null(find(lru, 1, 3));
	assert_non_null(find(lru, 2, 3));
	assert_non_null(find(lru, 4, 3));
	assert_int_equal(lru_count(lru), 3);
	assert_int_equal(lru_evictions(lru), 0);
	free(lru);
}

static void
test_strangers_push_out_strangers(void **state)
{
	Lru		   *lru = make(8);

	(void) state;
	assert_int_equal(insert(lru, 1, 1, LRU_KNOWN), 0);
	assert_int_equal(insert(lru, 101, 101, LRU_STRANGER), 0);
	assert_int_equal(insert(lru, 102, 102, LRU_STRANGER), 0);

	/* a quarter is two, however empty the rest is */
	for (uint32_t key = 103; key < 200; key++)
		assert_int_equal(insert(lru, key, key, LRU_STRANGER), key - 2);
	assert_int_equal(lru_count(lru), 3);
	assert_non_null(find(lru, 1, 1));
	free(lru);
}

static void
test_known_pushes_out_strangers_first(void **state)
{
	Lru		   *lru = make(8);

	(void) state;
	for (uint32_t key = 1; key <= 6; key++)
		insert(lru, key, key, LRU_KNOWN);
	insert(lru, 101, 101, LRU_STRANGER);
	insert(lru, 102, 102, LRU_STRANGER);
	assert_int_equal(insert(lru, 7, 7, LRU_KNOWN), 101);
	assert_int_equal(insert(lru, 8, 8, LRU_KNOWN), 102);
	assert_int_equal(insert(lru, 9, 9, LRU_KNOWN), 1);

	/* the place beyond the capacity */
	assert_int_equal(insert(lru, 103, 103, LRU_STRANGER), 0);
	assert_int_equal(insert(lru, 104, 104, LRU_STRANGER), 103);
	assert_int_equal(insert(lru, 10, 10, LRU_KNOWN), 2);
	assert_non_null(find(lru, 104, 104));
	assert_int_equal(lru_count(lru), 9);

	/* no room to become known, until a known one goes */
	lru_touch(lru, find(lru, 104, 104), LRU_KNOWN);
	assert_int_equal(find(lru, 104, 104)->link.class, LRU_STRANGER);
	lru_remove(lru, find(lru, 10, 10));
	lru_touch(lru, find(lru, 104, 104), LRU_KNOWN);
	assert_int_equal(find(lru, 104, 104)->link.class, LRU_KNOWN);
	free(lru);
}

static void
test_change_of_class(void **state)
{
	Lru		   *lru = make(8);

	(void) state;
	for (uint32_t key = 1; key <= 8; key++)
		insert(lru, key, key, LRU_KNOWN);
	for (uint32_t key = 1; key <= 5; key++)
		lru_touch(lru, find(lru, key, key), LRU_STRANGER);

	/* five strangers are too many: back to a quarter, the new one included */
	assert_int_equal(insert(lru, 101, 101, LRU_STRANGER), 4);
	assert_int_equal(lru_count(lru), 5);
	assert_int_equal(lru_evictions(lru), 4);
	assert_non_null(find(lru, 5, 5));
	for (uint32_t key = 6; key <= 8; key++)
		assert_non_null(find(lru, key, key));
	free(lru);
}

static void
test_next_walks_all(void **state)
{
	Lru		   *lru = make(16);
	uint32_t	position = 0;
	uint32_t	sum = 0;
	Entry	   *entry;

	(void) state;
	for (uint32_t key = 1; key <= 16; key++)
		insert(lru, key, key * 7, LRU_KNOWN);
	lru_remove(lru, find(lru, 4, 28));
	while ((entry = lru_next(lru, &position)) != NULL)
		sum += entry->key;
	assert_int_equal(sum, 16 * 17 / 2 - 4);
	assert_null(lru_next(lru, &position));
	free(lru);
}

static void
test_capacity_one(void **state)
{
	Lru		   *lru = make(1);

	(void) state;
	assert_int_equal(insert(lru, 1, 1, LRU_KNOWN), 0);
	assert_int_equal(insert(lru, 2, 2, LRU_STRANGER), 0);
	assert_int_equal(insert(lru, 3, 3, LRU_KNOWN), 1);
	assert_int_equal(insert(lru, 4, 4, LRU_STRANGER), 2);
	assert_non_null(find(lru, 3, 3));
	assert_non_null(find(lru, 4, 4));
	free(lru);
}

/* Whatever happens, known and strangers stay within their bounds. */
static void
test_random(void **state)
{
	Lru		   *lru = make(32);
	uint64_t	seed = 1;

	(void) state;
	for (int i = 0; i < 100000; i++)
	{
		uint32_t	key = random_next(&seed) % 60 + 1;
		LruClass	class = random_next(&seed) % 3 == 0 ? LRU_KNOWN : LRU_STRANGER;
		Entry	   *entry = find(lru, key, key % 11);

		if (entry == NULL)
			insert(lru, key, key % 11, class);
		else if (random_next(&seed) % 4 == 0)
			lru_remove(lru, entry);
		else
			lru_touch(lru, entry, class);
		entry = find(lru, key, key % 11);
		assert_true(entry == NULL || entry->value == UINT64_MAX);
		assert_true(lru_count(lru) <= 33);
	}
	assert_true(lru_evictions(lru) > 1000);
	free(lru);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_oldest_goes_first),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_strangers_push_out_strangers),
		cmocka_unit_test(test_known_pushes_out_strangers_first),
		cmocka_unit_test(test_change_of_class),
		cmocka_unit_test(test_next_walks_all),
		cmocka_unit_test(test_capacity_one),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
