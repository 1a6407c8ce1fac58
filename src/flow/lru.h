/*
 * lru.h
 *	  A bounded table that forgets the least recently used entry first.
 *
 * Everything that we remember because of something that came over the network
 * (exporters, templates, interfaces) lives in one of these, so nobody can make
 * us remember without limit.  Entries belong to one of two classes: those of
 * hosts that the configuration names (LRU_KNOWN) and strangers.  Strangers
 * share at most a quarter of the table and push out only each other, so that a
 * flood from spoofed addresses cannot evict a configured router.
 *
 * The table lives in memory that the caller hands over and holds no pointers,
 * so that it may lie in shared memory.  Entries start with an LruLink.
 */
#ifndef LASTFLUSS_LRU_H
#define LASTFLUSS_LRU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LRU_NONE	UINT32_MAX

typedef enum LruClass
{
	LRU_KNOWN,
	LRU_STRANGER
} LruClass;

/* The first member of every entry; for lru.c alone. */
typedef struct LruLink
{
	uint32_t	hash;
	uint32_t	chain;			/* next entry with the same bucket */
	uint32_t	newer;			/* in the order of use, within its class */
	uint32_t	older;
	uint8_t		used;
	uint8_t		class;			/* LruClass */
} LruLink;

typedef struct Lru Lru;

/*
 * Octets that a table of "capacity" (1 or more) entries of "entry_size" octets
 * needs.  When known ones take all of it, one stranger has a place beyond.
 */
extern size_t lru_size(uint32_t capacity, size_t entry_size);

/* Makes an empty table in "memory" (lru_size() octets, aligned to 16). */
extern Lru *lru_init(void *memory, uint32_t capacity, size_t entry_size);

/*
 * Walks the entries whose hash is "hash": the first with previous == NULL,
 * NULL after the last.  The caller compares keys.
 */
extern void *lru_find(Lru *lru, uint32_t hash, const void *previous);

/*
 * Gives a zeroed entry with that hash, evicting the least recently used one of
 * the class (or, for a known one in a full table, of the strangers first).
 * Never fails.  An entry that has to go is handed to "on_evict" (may be NULL)
 * before it is overwritten.
 */
extern void *lru_insert(Lru *lru, uint32_t hash, LruClass class,
						void (*on_evict) (void *context, const void *entry),
						void *context);

/* Marks as used just now, and moves between the classes. */
extern void lru_touch(Lru *lru, void *entry, LruClass class);

extern void lru_remove(Lru *lru, void *entry);

/* Walks all entries in no particular order: start with *position = 0. */
extern void *lru_next(const Lru *lru, uint32_t *position);

extern uint32_t lru_count(const Lru *lru);
extern uint32_t lru_capacity(const Lru *lru);

/* How many entries were evicted since lru_init(). */
extern uint64_t lru_evictions(const Lru *lru);

#endif							/* LASTFLUSS_LRU_H */
