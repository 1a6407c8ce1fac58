/*
 * lru.c
 *	  A bounded table that forgets the least recently used entry first.
 *
 * One block of memory: the Lru, the heads of the hash chains, the entries.
 * Entries are linked by their numbers, in a chain per bucket and in a list per
 * class, newest first.  Unused entries form a list through LruLink.chain.
 *
 * There is one entry more than the capacity.  It serves a stranger that comes
 * when known ones fill the table: it has to be put somewhere, and must not push
 * any of them out.
 */
#include "lru.h"

#include <string.h>

#define LRU_CLASSES		2
#define LRU_ALIGN		((size_t) 16)

struct Lru
{
	uint32_t	capacity;
	uint32_t	stride;			/* octets from entry to entry */
	uint32_t	mask;			/* number of buckets - 1 */
	uint32_t	max_strangers;
	uint32_t	free;			/* first unused entry */
	uint32_t	count[LRU_CLASSES];
	uint32_t	newest[LRU_CLASSES];
	uint32_t	oldest[LRU_CLASSES];
	uint64_t	evictions;
};

static size_t
lru_align(size_t size)
{
	return (size + LRU_ALIGN - 1) / LRU_ALIGN * LRU_ALIGN;
}

/* A power of two, at least one for each entry. */
static uint32_t
lru_buckets(uint32_t capacity)
{
	uint32_t	buckets = 1;

	while (buckets < capacity && buckets < UINT32_C(1) << 31)
		buckets <<= 1;
	return buckets;
}

static size_t
lru_entries_offset(uint32_t capacity)
{
	return lru_align(sizeof(Lru)) +
		lru_align(lru_buckets(capacity) * sizeof(uint32_t));
}

static uint32_t *
lru_bucket(Lru *lru, uint32_t hash)
{
	uint32_t   *buckets = (uint32_t *) ((char *) lru + lru_align(sizeof(Lru)));

	return &buckets[hash & lru->mask];
}

static LruLink *
lru_link(const Lru *lru, uint32_t number)
{
	return (LruLink *) ((char *) lru + lru_align(sizeof(Lru)) +
						lru_align(((size_t) lru->mask + 1) * sizeof(uint32_t)) +
						(size_t) number * lru->stride);
}

static uint32_t
lru_number(const Lru *lru, const LruLink *link)
{
	return (uint32_t) ((size_t) ((const char *) link - (const char *) lru_link(lru, 0)) /
					   lru->stride);
}

size_t
lru_size(uint32_t capacity, size_t entry_size)
{
	return lru_entries_offset(capacity) + ((size_t) capacity + 1) * lru_align(entry_size);
}

Lru *
lru_init(void *memory, uint32_t capacity, size_t entry_size)
{
	Lru		   *lru = memory;

	memset(lru, 0, sizeof(Lru));
	lru->capacity = capacity;
	lru->stride = (uint32_t) lru_align(entry_size);
	lru->mask = lru_buckets(capacity) - 1;
	lru->max_strangers = capacity / 4 > 0 ? capacity / 4 : 1;
	for (int class = 0; class < LRU_CLASSES; class++)
		lru->newest[class] = lru->oldest[class] = LRU_NONE;
	for (uint32_t i = 0; i <= lru->mask; i++)
		*lru_bucket(lru, i) = LRU_NONE;
	for (uint32_t i = 0; i <= capacity; i++)
	{
		lru_link(lru, i)->used = 0;
		lru_link(lru, i)->chain = i < capacity ? i + 1 : LRU_NONE;
	}
	return lru;
}

/* Into the list of its class, as the newest. */
static void
lru_list_add(Lru *lru, LruLink *link, LruClass class)
{
	uint32_t	number = lru_number(lru, link);

	link->class = (uint8_t) class;
	link->newer = LRU_NONE;
	link->older = lru->newest[class];
	if (link->older != LRU_NONE)
		lru_link(lru, link->older)->newer = number;
	else
		lru->oldest[class] = number;
	lru->newest[class] = number;
	lru->count[class]++;
}

static void
lru_list_remove(Lru *lru, LruLink *link)
{
	if (link->newer != LRU_NONE)
		lru_link(lru, link->newer)->older = link->older;
	else
		lru->newest[link->class] = link->older;
	if (link->older != LRU_NONE)
		lru_link(lru, link->older)->newer = link->newer;
	else
		lru->oldest[link->class] = link->newer;
	lru->count[link->class]--;
}

static void
lru_chain_remove(Lru *lru, LruLink *link)
{
	uint32_t	number = lru_number(lru, link);
	uint32_t   *next = lru_bucket(lru, link->hash);

	while (*next != number)
		next = &lru_link(lru, *next)->chain;
	*next = link->chain;
}

void *
lru_find(Lru *lru, uint32_t hash, const void *previous)
{
	uint32_t	number = previous != NULL ? ((const LruLink *) previous)->chain :
		*lru_bucket(lru, hash);

	while (number != LRU_NONE)
	{
		LruLink    *link = lru_link(lru, number);

		if (link->hash == hash)
			return link;
		number = link->chain;
	}
	return NULL;
}

void
lru_remove(Lru *lru, void *entry)
{
	LruLink    *link = entry;

	lru_chain_remove(lru, link);
	lru_list_remove(lru, link);
	link->used = 0;
	link->chain = lru->free;
	lru->free = lru_number(lru, link);
}

static void
lru_evict(Lru *lru, LruClass class,
		  void (*on_evict) (void *context, const void *entry), void *context)
{
	LruLink    *oldest = lru_link(lru, lru->oldest[class]);

	if (on_evict != NULL)
		on_evict(context, oldest);
	lru_remove(lru, oldest);
	lru->evictions++;
}

void *
lru_insert(Lru *lru, uint32_t hash, LruClass class,
		   void (*on_evict) (void *context, const void *entry), void *context)
{
	LruLink    *link;
	uint32_t   *bucket = lru_bucket(lru, hash);

	/* Strangers can be too many where known ones have become strangers. */
	if (class == LRU_STRANGER)
		while (lru->count[LRU_STRANGER] >= lru->max_strangers)
			lru_evict(lru, LRU_STRANGER, on_evict, context);
	if (lru_count(lru) >= lru->capacity)
	{
		if (class == LRU_KNOWN && lru->count[LRU_KNOWN] >= lru->capacity)
			lru_evict(lru, LRU_KNOWN, on_evict, context);
		else if (lru->count[LRU_STRANGER] > 0)
			lru_evict(lru, LRU_STRANGER, on_evict, context);
	}

	link = lru_link(lru, lru->free);
	lru->free = link->chain;
	memset(link, 0, lru->stride);
	link->hash = hash;
	link->used = 1;
	link->chain = *bucket;
	*bucket = lru_number(lru, link);
	lru_list_add(lru, link, class);
	return link;
}

void
lru_touch(Lru *lru, void *entry, LruClass class)
{
	LruLink    *link = entry;

	/* Known ones fill the table: a stranger has to wait for its promotion. */
	if (class == LRU_KNOWN && lru->count[LRU_KNOWN] >= lru->capacity)
		class = (LruClass) link->class;
	if (link->class == class && link->newer == LRU_NONE)
		return;
	lru_list_remove(lru, link);
	lru_list_add(lru, link, class);
}

void *
lru_next(const Lru *lru, uint32_t *position)
{
	while (*position <= lru->capacity)
	{
		LruLink    *link = lru_link(lru, (*position)++);

		if (link->used)
			return link;
	}
	return NULL;
}

uint32_t
lru_count(const Lru *lru)
{
	return lru->count[LRU_KNOWN] + lru->count[LRU_STRANGER];
}

uint32_t
lru_capacity(const Lru *lru)
{
	return lru->capacity;
}

uint64_t
lru_evictions(const Lru *lru)
{
	return lru->evictions;
}
