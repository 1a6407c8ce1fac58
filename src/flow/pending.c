/*
 * pending.c
 *	  Data sets that came before their template: kept until it arrives.
 *
 * One block of memory: the Pending, the owners, the entries, the pool.  The pool
 * is cut into chunks of one size; a set lies in a chain of them, so that any one
 * can go without leaving a hole.  Entries are in two lists, each in the order of
 * arrival: that of their class, which tells who goes first, and that of their
 * address, which is looked through when a template arrives.
 */
#include "pending.h"

#include "hash.h"

#define PENDING_CHUNK		256
#define PENDING_NONE		UINT32_MAX
#define PENDING_CLASSES		2
#define PENDING_MAX_LENGTH	UINT16_MAX	/* the length of a set has 16 bits */

/* One entry for so many chunks. */
#define PENDING_CHUNKS_PER_ENTRY	2

/* The lists that an entry is in. */
typedef enum PendingOrder
{
	PENDING_BY_CLASS,
	PENDING_BY_ADDRESS,
	PENDING_ORDERS
} PendingOrder;

typedef struct PendingEntry
{
	PendingSet	set;
	uint32_t	first_chunk;
	uint32_t	newer[PENDING_ORDERS];	/* the first one: or the next free one */
	uint32_t	older[PENDING_ORDERS];
} PendingEntry;

typedef struct PendingChunk
{
	uint32_t	next;
	uint8_t		octets[PENDING_CHUNK];
} PendingChunk;

typedef struct PendingList
{
	uint32_t	oldest;
	uint32_t	newest;
	uint32_t	count;
	uint32_t	chunks;
	uint32_t	octets;
} PendingList;

/* Whoever has sets that wait. */
typedef struct PendingOwner
{
	LruLink		link;
	FlowAddress address;
	PendingList list;
} PendingOwner;

struct Pending
{
	uint32_t	entry_count;
	uint32_t	chunk_count;
	uint32_t	free_entry;
	uint32_t	free_chunk;
	Lru		   *owners;
	PendingList classes[PENDING_CLASSES];	/* by LruClass */
	uint8_t		taken[PENDING_MAX_LENGTH];	/* the set that was taken last */
};

static size_t
pending_align(size_t size)
{
	return (size + 15) / 16 * 16;
}

static uint32_t
pending_chunks(uint32_t octets)
{
	return octets / PENDING_CHUNK + (octets % PENDING_CHUNK != 0);
}

static uint32_t
pending_entries(uint32_t chunks)
{
	return chunks / PENDING_CHUNKS_PER_ENTRY + 1;
}

static size_t
pending_owners_size(uint32_t entries)
{
	return pending_align(lru_size(entries, sizeof(PendingOwner)));
}

static PendingEntry *
pending_entry(const Pending *pending, uint32_t number)
{
	return (PendingEntry *) ((char *) pending + pending_align(sizeof(Pending)) +
							 pending_owners_size(pending->entry_count)) + number;
}

static PendingChunk *
pending_chunk(const Pending *pending, uint32_t number)
{
	return (PendingChunk *) ((char *) pending_entry(pending, 0) +
							 pending_align(pending->entry_count * sizeof(PendingEntry))) + number;
}

size_t
pending_size(uint32_t octets)
{
	uint32_t	chunks = pending_chunks(octets);
	uint32_t	entries = pending_entries(chunks);

	return pending_align(sizeof(Pending)) + pending_owners_size(entries) +
		pending_align(entries * sizeof(PendingEntry)) + (size_t) chunks * sizeof(PendingChunk);
}

static void
pending_list_init(PendingList *list)
{
	memset(list, 0, sizeof(*list));
	list->oldest = list->newest = PENDING_NONE;
}

Pending *
pending_init(void *memory, uint32_t octets)
{
	Pending    *pending = memory;
	uint32_t	chunks = pending_chunks(octets);
	uint32_t	entries = pending_entries(chunks);

	pending->chunk_count = chunks;
	pending->entry_count = entries;
	pending->free_entry = 0;
	pending->free_chunk = chunks > 0 ? 0 : PENDING_NONE;
	pending->owners = lru_init((char *) memory + pending_align(sizeof(Pending)), entries,
							   sizeof(PendingOwner));
	for (uint32_t i = 0; i < entries; i++)
		pending_entry(pending, i)->newer[0] = i + 1 < entries ? i + 1 : PENDING_NONE;
	for (uint32_t i = 0; i < chunks; i++)
		pending_chunk(pending, i)->next = i + 1 < chunks ? i + 1 : PENDING_NONE;
	for (int class = 0; class < PENDING_CLASSES; class++)
		pending_list_init(&pending->classes[class]);
	return pending;
}

uint32_t
pending_count(const Pending *pending)
{
	return pending->classes[LRU_KNOWN].count + pending->classes[LRU_STRANGER].count;
}

void
pending_each(const Pending *pending,
			 void (*see) (void *context, const PendingSet *set), void *context)
{
	for (int class = 0; class < PENDING_CLASSES; class++)
	{
		uint32_t	number = pending->classes[class].oldest;

		while (number != PENDING_NONE)
		{
			const PendingEntry *entry = pending_entry(pending, number);

			see(context, &entry->set);
			number = entry->newer[PENDING_BY_CLASS];
		}
	}
}

static LruClass
pending_class(const TemplateKey *key)
{
	return key->known ? LRU_KNOWN : LRU_STRANGER;
}

static PendingOwner *
pending_owner(const Pending *pending, const FlowAddress *address)
{
	uint32_t	hash = hash_address(address) >> 32;
	PendingOwner *owner = NULL;

	while ((owner = lru_find(pending->owners, hash, owner)) != NULL)
		if (memcmp(&owner->address, address, sizeof(*address)) == 0)
			break;
	return owner;
}

/* Finds or makes it; there are as many places as entries, so the class is no matter. */
static PendingOwner *
pending_owner_get(Pending *pending, const FlowAddress *address)
{
	PendingOwner *owner = pending_owner(pending, address);

	if (owner == NULL)
	{
		owner = lru_insert(pending->owners, hash_address(address) >> 32, LRU_KNOWN, NULL, NULL);
		owner->address = *address;
		pending_list_init(&owner->list);
	}
	return owner;
}

static void
pending_list_add(Pending *pending, PendingList *list, PendingOrder order, uint32_t number)
{
	PendingEntry *entry = pending_entry(pending, number);

	entry->newer[order] = PENDING_NONE;
	entry->older[order] = list->newest;
	if (list->newest != PENDING_NONE)
		pending_entry(pending, list->newest)->newer[order] = number;
	else
		list->oldest = number;
	list->newest = number;
	list->count++;
	list->octets += entry->set.length;
	list->chunks += pending_chunks(entry->set.length);
}

static void
pending_list_remove(Pending *pending, PendingList *list, PendingOrder order, uint32_t number)
{
	const PendingEntry *entry = pending_entry(pending, number);

	if (entry->older[order] != PENDING_NONE)
		pending_entry(pending, entry->older[order])->newer[order] = entry->newer[order];
	else
		list->oldest = entry->newer[order];
	if (entry->newer[order] != PENDING_NONE)
		pending_entry(pending, entry->newer[order])->older[order] = entry->older[order];
	else
		list->newest = entry->older[order];
	list->count--;
	list->octets -= entry->set.length;
	list->chunks -= pending_chunks(entry->set.length);
}

static void
pending_free_chunks(Pending *pending, uint32_t chunk)
{
	while (chunk != PENDING_NONE)
	{
		uint32_t	next = pending_chunk(pending, chunk)->next;

		pending_chunk(pending, chunk)->next = pending->free_chunk;
		pending->free_chunk = chunk;
		chunk = next;
	}
}

static void
pending_remove(Pending *pending, uint32_t number)
{
	PendingEntry *entry = pending_entry(pending, number);
	PendingOwner *owner = pending_owner(pending, &entry->set.key.address);

	pending_list_remove(pending, &pending->classes[pending_class(&entry->set.key)],
						PENDING_BY_CLASS, number);
	pending_list_remove(pending, &owner->list, PENDING_BY_ADDRESS, number);
	if (owner->list.count == 0)
		lru_remove(pending->owners, owner);
	pending_free_chunks(pending, entry->first_chunk);
	entry->newer[0] = pending->free_entry;
	pending->free_entry = number;
}

static void
pending_drop(Pending *pending, uint32_t number, const PendingDrop *drop)
{
	PendingSet	set = pending_entry(pending, number)->set;

	pending_remove(pending, number);
	drop->dropped(drop->context, &set);
}

/* The octets into free chunks, of which there are enough; the first of them. */
static uint32_t
pending_store(Pending *pending, const uint8_t *octets, uint32_t length)
{
	uint32_t	first = PENDING_NONE;
	uint32_t   *link = &first;

	for (uint32_t done = 0; done < length; done += PENDING_CHUNK)
	{
		uint32_t	number = pending->free_chunk;
		PendingChunk *chunk = pending_chunk(pending, number);
		uint32_t	part = length - done < PENDING_CHUNK ? length - done : PENDING_CHUNK;

		pending->free_chunk = chunk->next;
		memcpy(chunk->octets, octets + done, part);
		*link = number;
		link = &chunk->next;
	}
	*link = PENDING_NONE;
	return first;
}

static void
pending_load(Pending *pending, const PendingEntry *entry)
{
	uint32_t	number = entry->first_chunk;
	uint32_t	length = entry->set.length;

	for (uint32_t done = 0; done < length; done += PENDING_CHUNK)
	{
		const PendingChunk *chunk = pending_chunk(pending, number);
		uint32_t	part = length - done < PENDING_CHUNK ? length - done : PENDING_CHUNK;

		memcpy(pending->taken + done, chunk->octets, part);
		number = chunk->next;
	}
}

/* Chunks that the class may take at most. */
static uint32_t
pending_share(const Pending *pending, LruClass class)
{
	return class == LRU_STRANGER ? pending->chunk_count / 4 : pending->chunk_count;
}

/* Is there room for so many chunks of the class, and an entry? */
static bool
pending_has_room(const Pending *pending, LruClass class, uint32_t chunks)
{
	const PendingList *strangers = &pending->classes[LRU_STRANGER];
	uint32_t	used = pending->classes[LRU_KNOWN].chunks + strangers->chunks;

	if (class == LRU_STRANGER &&
		(strangers->chunks + chunks > pending_share(pending, class) ||
		 strangers->count >= pending->entry_count / 4))
		return false;
	return pending->free_entry != PENDING_NONE && used + chunks <= pending->chunk_count;
}

/* Does the address have room for another set, as far as it goes? */
static bool
pending_owner_has_room(const PendingOwner *owner, uint32_t length)
{
	return owner == NULL || (owner->list.octets + length <= PENDING_OF_ADDRESS &&
							 owner->list.count < PENDING_SETS_OF_ADDRESS);
}

/* Drops the oldest until there is room; false if nothing helps. */
static bool
pending_make_room(Pending *pending, const PendingSet *set, const PendingDrop *drop)
{
	LruClass	class = pending_class(&set->key);
	uint32_t	chunks = pending_chunks(set->length);
	PendingOwner *owner;

	while ((owner = pending_owner(pending, &set->key.address)) != NULL &&
		   !pending_owner_has_room(owner, set->length))
		pending_drop(pending, owner->list.oldest, drop);
	while (!pending_has_room(pending, class, chunks))
	{
		uint32_t	victim = pending->classes[LRU_STRANGER].oldest;

		if (victim == PENDING_NONE && class == LRU_KNOWN)
			victim = pending->classes[LRU_KNOWN].oldest;
		if (victim == PENDING_NONE)
			return false;
		pending_drop(pending, victim, drop);
	}
	return true;
}

bool
pending_add(Pending *pending, const PendingSet *set, const uint8_t *octets,
			const PendingDrop *drop)
{
	uint32_t	number;
	PendingEntry *entry;

	if (set->length == 0 || set->length > PENDING_OF_ADDRESS ||
		set->length > PENDING_MAX_LENGTH ||
		pending_chunks(set->length) > pending_share(pending, pending_class(&set->key)) ||
		!pending_make_room(pending, set, drop))
		return false;

	number = pending->free_entry;
	entry = pending_entry(pending, number);
	pending->free_entry = entry->newer[0];
	entry->set = *set;
	entry->first_chunk = pending_store(pending, octets, set->length);
	pending_list_add(pending, &pending->classes[pending_class(&set->key)], PENDING_BY_CLASS,
					 number);
	pending_list_add(pending, &pending_owner_get(pending, &set->key.address)->list,
					 PENDING_BY_ADDRESS, number);
	return true;
}

/* The address is the same already. */
static bool
pending_matches(const TemplateKey *a, const TemplateKey *b)
{
	return a->id == b->id && a->domain == b->domain && a->protocol == b->protocol;
}

bool
pending_take(Pending *pending, const TemplateKey *key, PendingSet *set, Packet *data)
{
	const PendingOwner *owner = pending_count(pending) == 0 ? NULL :
		pending_owner(pending, &key->address);
	uint32_t	number = owner == NULL ? PENDING_NONE : owner->list.oldest;

	while (number != PENDING_NONE &&
		   !pending_matches(&pending_entry(pending, number)->set.key, key))
		number = pending_entry(pending, number)->newer[PENDING_BY_ADDRESS];
	if (number == PENDING_NONE)
		return false;
	pending_load(pending, pending_entry(pending, number));
	*set = pending_entry(pending, number)->set;
	*data = packet_init(pending->taken, set->length);
	pending_remove(pending, number);
	return true;
}

void
pending_expire(Pending *pending, int64_t now, const PendingDrop *drop)
{
	for (int class = 0; class < PENDING_CLASSES; class++)
	{
		const PendingList *list = &pending->classes[class];

		while (list->oldest != PENDING_NONE &&
			   pending_entry(pending, list->oldest)->set.received < now - PENDING_MICROSECONDS)
			pending_drop(pending, list->oldest, drop);
	}
}
