/*
 * template.c
 *	  Templates of NetFlow v9 and IPFIX: which are known, and whose they are.
 *
 * Beside the table of templates there is one of their owners: for each address a
 * list of its templates in the order in which they were learned, so that an
 * exporter that sends too many loses its own oldest one, and nobody else's.
 * Templates are linked by their distance from the table's start, in units of
 * TEMPLATE_UNIT; there the table has its own head, so 0 is no template.
 */
#include "template.h"

#include "hash.h"
#include "steps.h"

/*
 * The same template is kept for so many ports of an exporter: its processes, or
 * the ports that it had.  They share a chain, which must not become long.
 */
#define TEMPLATE_MAX_PORTS	8

#define TEMPLATE_UNIT		((size_t) 16)
#define TEMPLATE_NONE		0

/* Whoever has templates. */
typedef struct TemplateOwner
{
	LruLink		link;
	FlowAddress address;
	uint32_t	count;
	uint32_t	newest;
	uint32_t	oldest;
} TemplateOwner;

static size_t
template_align(size_t size)
{
	return (size + TEMPLATE_UNIT - 1) / TEMPLATE_UNIT * TEMPLATE_UNIT;
}

/* One owner for each template at the most, the one beyond the table included. */
static uint32_t
template_owner_capacity(uint32_t capacity)
{
	return capacity + 1;
}

size_t
template_table_size(uint32_t capacity)
{
	return template_align(sizeof(TemplateTable)) +
		template_align(lru_size(capacity, sizeof(Template))) +
		lru_size(template_owner_capacity(capacity), sizeof(TemplateOwner));
}

TemplateTable *
template_table_init(void *memory, uint32_t capacity)
{
	TemplateTable *table = memory;
	char	   *rest = (char *) memory + template_align(sizeof(TemplateTable));

	table->all = lru_init(rest, capacity, sizeof(Template));
	rest += template_align(lru_size(capacity, sizeof(Template)));
	table->owners = lru_init(rest, template_owner_capacity(capacity), sizeof(TemplateOwner));
	table->pushed_out = 0;
	return table;
}

static Template *
template_at(const TemplateTable *table, uint32_t place)
{
	return (Template *) ((char *) table->all + place * TEMPLATE_UNIT);
}

static uint32_t
template_place(const TemplateTable *table, const Template *template)
{
	return (uint32_t) ((size_t) ((const char *) template - (const char *) table->all) /
					   TEMPLATE_UNIT);
}

static TemplateOwner *
template_owner(const TemplateTable *table, const FlowAddress *address)
{
	uint32_t	hash = hash_address(address) >> 32;
	TemplateOwner *owner = NULL;

	while ((owner = lru_find(table->owners, hash, owner)) != NULL)
		if (memcmp(&owner->address, address, sizeof(*address)) == 0)
			break;
	return owner;
}

/* As the newest of its owner, who may be new. */
static void
template_link(TemplateTable *table, Template *template)
{
	TemplateOwner *owner = template_owner(table, &template->address);

	if (owner == NULL)
	{
		/* There is room for all, so the class does not matter. */
		owner = lru_insert(table->owners, hash_address(&template->address) >> 32, LRU_KNOWN,
						   NULL, NULL);
		owner->address = template->address;
	}
	template->newer = TEMPLATE_NONE;
	template->older = owner->newest;
	if (owner->newest != TEMPLATE_NONE)
		template_at(table, owner->newest)->newer = template_place(table, template);
	else
		owner->oldest = template_place(table, template);
	owner->newest = template_place(table, template);
	owner->count++;
}

static void
template_unlink(TemplateTable *table, const Template *template)
{
	TemplateOwner *owner = template_owner(table, &template->address);

	if (template->newer != TEMPLATE_NONE)
		template_at(table, template->newer)->older = template->older;
	else
		owner->newest = template->older;
	if (template->older != TEMPLATE_NONE)
		template_at(table, template->older)->newer = template->newer;
	else
		owner->oldest = template->newer;
	if (--owner->count == 0)
		lru_remove(table->owners, owner);
}

static void
template_remove(TemplateTable *table, Template *template)
{
	template_unlink(table, template);
	lru_remove(table->all, template);
}

static void
template_on_evict(void *context, const void *entry)
{
	template_unlink(context, entry);
}

/* A zeroed place in the table for a template of that address. */
static Template *
template_insert(TemplateTable *table, uint32_t hash, const FlowAddress *address, LruClass class)
{
	TemplateOwner *owner = template_owner(table, address);

	if (owner != NULL && owner->count >= TEMPLATE_MAX_OF_ADDRESS)
	{
		template_remove(table, template_at(table, owner->oldest));
		table->pushed_out++;
	}
	return lru_insert(table->all, hash, class, template_on_evict, table);
}

/* Without the port: templates of all ports are in one chain. */
static uint32_t
template_hash(const TemplateKey *key)
{
	uint64_t	rest = (uint64_t) key->protocol << 48 | (uint64_t) key->id << 32 | key->domain;

	return hash_mix(hash_address(&key->address), rest) >> 32;
}

static bool
template_matches(const Template *template, const TemplateKey *key)
{
	return template->id == key->id && template->domain == key->domain &&
		template->protocol == key->protocol &&
		memcmp(&template->address, &key->address, sizeof(key->address)) == 0;
}

/* The one from the key's own port, else the latest of another port, or NULL. */
static Template *
template_lookup(Lru *templates, const TemplateKey *key)
{
	uint32_t	hash = template_hash(key);
	Template   *template = NULL;
	Template   *latest = NULL;

	while ((template = lru_find(templates, hash, template)) != NULL)
	{
		if (!template_matches(template, key))
			continue;
		if (template->port == key->port)
			return template;
		if (latest == NULL || template->last_seen > latest->last_seen)
			latest = template;
	}
	return latest;
}

/*
 * The one to overwrite by what the key's port has sent: its own, or when there
 * are too many, the one of another port that was learned longest ago; or NULL.
 */
static Template *
template_replaced(Lru *templates, const TemplateKey *key)
{
	uint32_t	hash = template_hash(key);
	Template   *template = NULL;
	Template   *oldest = NULL;
	int			count = 0;

	while ((template = lru_find(templates, hash, template)) != NULL)
	{
		if (!template_matches(template, key))
			continue;
		if (template->port == key->port)
			return template;
		if (oldest == NULL || template->last_seen <= oldest->last_seen)
			oldest = template;
		count++;
	}
	return count >= TEMPLATE_MAX_PORTS ? oldest : NULL;
}

static bool
template_equal(const Template *a, const Template *b)
{
	return a->port == b->port && a->options == b->options && a->field_count == b->field_count &&
		a->record_length == b->record_length && a->tail_length == b->tail_length &&
		a->step_count == b->step_count &&
		memcmp(a->steps, b->steps, a->step_count * sizeof(TemplateStep)) == 0;
}

/*
 * Is the template sent again, as exporters do all the time?  Then the fields are read.
 * Its octets tell; those of a long one are not kept, so that it is compiled again.
 */
static bool
template_is_repeated(const Template *template, const TemplateKey *key,
					 const TemplateShape *shape, Packet *fields)
{
	Packet		rest = *fields;
	const uint8_t *sent;

	if (template->sent_length == 0 || template->port != key->port ||
		template->options != shape->options || template->field_count != shape->field_count ||
		template->scope_count != shape->scope_count ||
		!packet_bytes(&rest, template->sent_length, &sent) ||
		memcmp(template->sent, sent, template->sent_length) != 0)
		return false;
	*fields = rest;
	return true;
}

/* Keeps the field specifiers from "start" on, of which "end" is what follows. */
static void
template_keep_sent(Template *template, Packet start, const Packet *end)
{
	size_t		length = packet_left(&start) - packet_left(end);
	const uint8_t *sent;

	if (length > TEMPLATE_SENT || !packet_bytes(&start, length, &sent))
		return;
	memcpy(template->sent, sent, length);
	template->sent_length = (uint16_t) length;
}

/* It was sent at "now", as it is. */
static void
template_renew(TemplateTable *table, const TemplateKey *key, Template *template, int64_t now)
{
	lru_touch(table->all, template, key->known ? LRU_KNOWN : LRU_STRANGER);
	template_unlink(table, template);
	template->last_seen = now;
	template_link(table, template);
}

/* Puts "fresh" in the place of "old", or into a new one if that is NULL. */
static void
template_store(TemplateTable *table, const TemplateKey *key, Template *fresh, Template *old)
{
	LruClass	class = key->known ? LRU_KNOWN : LRU_STRANGER;

	if (old != NULL && template_equal(old, fresh))
	{
		template_renew(table, key, old, fresh->last_seen);
		old->scope_count = fresh->scope_count;
		old->sent_length = fresh->sent_length;
		memcpy(old->sent, fresh->sent, fresh->sent_length);
		return;
	}
	if (old == NULL)
		old = template_insert(table, template_hash(key), &key->address, class);
	else
	{
		lru_touch(table->all, old, class);
		template_unlink(table, old);
	}
	fresh->link = old->link;
	*old = *fresh;
	template_link(table, old);
}

static void
template_set_key(Template *template, const TemplateKey *key)
{
	template->address = key->address;
	template->domain = key->domain;
	template->port = key->port;
	template->id = key->id;
	template->protocol = key->protocol;
}

TemplateResult
template_learn(TemplateTable *table, const TemplateKey *key, const TemplateShape *shape,
			   Packet *fields, int64_t now)
{
	Template   *old = template_replaced(table->all, key);
	Template	fresh;
	Packet		start = *fields;
	TemplateResult result;

	if (old != NULL && template_is_repeated(old, key, shape, fields))
	{
		template_renew(table, key, old, now);
		return TEMPLATE_OK;
	}
	fresh = (Template) {
		.options = shape->options,
		.field_count = shape->field_count,
		.scope_count = shape->scope_count,
		.first_seen = now,
		.last_seen = now,
	};
	template_set_key(&fresh, key);
	result = steps_compile(&fresh, shape, fields);
	if (result == TEMPLATE_OK)
	{
		template_keep_sent(&fresh, start, fields);
		template_store(table, key, &fresh, old);
	}
	else if (result == TEMPLATE_UNUSABLE && old != NULL && old->port == key->port)
		template_remove(table, old);
	return result;
}

bool
template_restore(TemplateTable *table, const Template *saved, bool known)
{
	TemplateKey key = {
		.address = saved->address,
		.domain = saved->domain,
		.port = saved->port,
		.id = saved->id,
		.protocol = saved->protocol,
		.known = known,
	};
	Template	fresh = {
		.options = saved->options,
		.field_count = saved->field_count,
		.first_seen = saved->first_seen,
		.last_seen = saved->last_seen,
		.records = saved->records,
	};

	template_set_key(&fresh, &key);
	if ((key.protocol != FLOW_NETFLOW_V9 && key.protocol != FLOW_IPFIX) ||
		!steps_rebuild(&fresh, saved))
		return false;
	template_store(table, &key, &fresh, template_replaced(table->all, &key));
	return true;
}

Template *
template_find(TemplateTable *table, const TemplateKey *key)
{
	Template   *template = template_lookup(table->all, key);

	if (template != NULL)
		lru_touch(table->all, template, key->known ? LRU_KNOWN : LRU_STRANGER);
	return template;
}
