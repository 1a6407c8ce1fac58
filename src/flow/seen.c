/*
 * seen.c
 *	  Interfaces that records have named, configured or not.
 */
#include "seen.h"

#include "hash.h"

static SeenInterface *
seen_find(Lru *seen, uint32_t hash, const FlowAddress *host, uint32_t id)
{
	SeenInterface *entry = lru_find(seen, hash, NULL);

	while (entry != NULL &&
		   (entry->id != id || memcmp(&entry->host, host, sizeof(*host)) != 0))
		entry = lru_find(seen, hash, entry);
	return entry;
}

SeenInterface *
seen_get(Lru *seen, const FlowAddress *host, uint32_t id, LruClass class, int64_t now)
{
	uint32_t	hash = hash_mix(hash_address(host), id) >> 32;
	SeenInterface *entry = seen_find(seen, hash, host, id);

	if (entry != NULL)
		lru_touch(seen, entry, class);
	else
	{
		entry = lru_insert(seen, hash, class, NULL, NULL);
		entry->host = *host;
		entry->id = id;
		entry->first_seen = now;
	}
	entry->last_seen = now;
	return entry;
}
