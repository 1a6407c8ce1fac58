/*
 * template.c
 *	  Templates of NetFlow v9 and IPFIX, compiled once into steps.
 *
 * A template is read twice: first to choose the best field for each goal, then
 * to write the steps.
 *
 * Records go one of two ways.  The plain one, which nearly all go: the record's
 * length is checked once, and each step, with an op that was chosen beforehand,
 * puts a field at an offset into its place in the Flow.  The other: records with
 * variable-length fields, with addresses of both families, or with times that
 * need another field to be understood.
 */
#include "template.h"

#include <stddef.h>

#include "address.h"
#include "elements.h"
#include "hash.h"
#include "times.h"

/* The length that announces a variable-length field (RFC 7011, 7). */
#define TEMPLATE_VARIABLE	UINT16_MAX

/* The bit of a type that announces an enterprise number (RFC 7011, 3.2). */
#define TEMPLATE_ENTERPRISE 0x8000

/* No record can be longer: the length of a set has 16 bits. */
#define TEMPLATE_MAX_LENGTH UINT16_MAX

/*
 * The same template is kept for so many ports of an exporter: its processes, or
 * the ports that it had.  They share a chain, which must not become long.
 */
#define TEMPLATE_MAX_PORTS	8

/* TemplateStep.op: field of that width into member of that width. */
typedef enum TemplateOp
{
	TEMPLATE_NUMBER,			/* any other: template_number() */
	TEMPLATE_U16,
	TEMPLATE_U32,
	TEMPLATE_U32_FROM_16,
	TEMPLATE_U64,
	TEMPLATE_U64_FROM_32,
	TEMPLATE_IPV4,
	TEMPLATE_IPV6,
	TEMPLATE_MILLISECONDS,
	TEMPLATE_UPTIME				/* v9: by the uptime in the header */
} TemplateOp;

/* Where in Flow something goes. */
typedef struct TemplateMember
{
	uint8_t		offset;
	uint8_t		width;			/* in octets; 0: not a plain number */
	uint8_t		field;			/* FlowField */
} TemplateMember;

_Static_assert(sizeof(Flow) <= UINT8_MAX, "offsets in Flow must fit TemplateStep.member");

#define TEMPLATE_MEMBER(name, width, field)	{offsetof(Flow, name), width, field}

/* By ElementUse. */
static const TemplateMember template_members[] = {
	[ELEMENT_SRC_IPV4] = TEMPLATE_MEMBER(src_addr, 0, FLOW_SRC_ADDR),
	[ELEMENT_DST_IPV4] = TEMPLATE_MEMBER(dst_addr, 0, FLOW_DST_ADDR),
	[ELEMENT_SRC_IPV6] = TEMPLATE_MEMBER(src_addr, 0, FLOW_SRC_ADDR),
	[ELEMENT_DST_IPV6] = TEMPLATE_MEMBER(dst_addr, 0, FLOW_DST_ADDR),
	[ELEMENT_BYTES] = TEMPLATE_MEMBER(bytes, 8, FLOW_BYTES),
	[ELEMENT_PACKETS] = TEMPLATE_MEMBER(packets, 8, FLOW_PACKETS),
	[ELEMENT_IN_IF] = TEMPLATE_MEMBER(in_if, 4, FLOW_IN_IF),
	[ELEMENT_OUT_IF] = TEMPLATE_MEMBER(out_if, 4, FLOW_OUT_IF),
	[ELEMENT_SRC_AS] = TEMPLATE_MEMBER(src_as, 4, FLOW_SRC_AS),
	[ELEMENT_DST_AS] = TEMPLATE_MEMBER(dst_as, 4, FLOW_DST_AS),
	[ELEMENT_IN_VLAN] = TEMPLATE_MEMBER(in_vlan, 2, FLOW_IN_VLAN),
	[ELEMENT_OUT_VLAN] = TEMPLATE_MEMBER(out_vlan, 2, FLOW_OUT_VLAN),
	[ELEMENT_FIRST_MILLISECONDS] = TEMPLATE_MEMBER(first, 0, FLOW_FIRST),
	[ELEMENT_LAST_MILLISECONDS] = TEMPLATE_MEMBER(last, 0, FLOW_LAST),
	[ELEMENT_FIRST_UPTIME] = TEMPLATE_MEMBER(first, 0, FLOW_FIRST),
	[ELEMENT_LAST_UPTIME] = TEMPLATE_MEMBER(last, 0, FLOW_LAST),
	[ELEMENT_BOOT] = {0},
};

/* One field specifier. */
typedef struct TemplateField
{
	uint16_t	type;
	uint16_t	length;
	bool		enterprise;		/* somebody's own: we read none of these */
} TemplateField;

/* The field that serves a goal best so far. */
typedef struct TemplateChoice
{
	uint16_t	field;			/* its position */
	uint8_t		rank;			/* 0: none yet */
	uint8_t		use;
} TemplateChoice;

/* The parts of a record that are put together at its end. */
typedef struct TemplateRecord
{
	const uint8_t *ipv4[2];		/* source and destination, NULL if absent */
	const uint8_t *ipv6[2];
	int64_t		boot;			/* when the exporter started */
	uint32_t	uptime[2];		/* first and last */
	bool		has_boot;
	bool		has_uptime[2];
} TemplateRecord;

PACKET_MUST_CHECK static bool
template_read_field(Packet *fields, uint8_t protocol, TemplateField *field)
{
	uint32_t	enterprise;

	if (!packet_u16(fields, &field->type) || !packet_u16(fields, &field->length))
		return false;

	/* In v9 such a type is just a type that we do not know. */
	field->enterprise = protocol == FLOW_IPFIX && (field->type & TEMPLATE_ENTERPRISE) != 0;
	return !field->enterprise || packet_u32(fields, &enterprise);
}

/* The element that we would read the field as, or NULL. */
static const Element *
template_element(const TemplateField *field)
{
	const Element *element = field->enterprise ? NULL : element_find(field->type);

	if (element == NULL || (field->length != TEMPLATE_VARIABLE &&
							!element_fits(element->use, field->length)))
		return NULL;
	return element;
}

/*
 * The uptime in a record means something only together with the uptime in the
 * header (v9) or the time of the start in the record (IPFIX).
 */
static void
template_choose_clock(TemplateChoice *choices, uint8_t protocol)
{
	TemplateChoice *first = &choices[ELEMENT_GOAL_FIRST];
	TemplateChoice *last = &choices[ELEMENT_GOAL_LAST];
	TemplateChoice *boot = &choices[ELEMENT_GOAL_BOOT];

	if (protocol != FLOW_IPFIX)
		boot->rank = 0;
	else if (boot->rank == 0)
	{
		if (first->use == ELEMENT_FIRST_UPTIME)
			first->rank = 0;
		if (last->use == ELEMENT_LAST_UPTIME)
			last->rank = 0;
	}
}

/* Chooses the field for each goal; false if there are fewer than "count". */
PACKET_MUST_CHECK static bool
template_choose(Packet *fields, uint8_t protocol, uint16_t count, TemplateChoice *choices)
{
	for (uint16_t i = 0; i < count; i++)
	{
		TemplateField field;
		const Element *element;
		TemplateChoice *choice;

		if (!template_read_field(fields, protocol, &field))
			return false;
		element = template_element(&field);
		if (element == NULL)
			continue;
		choice = &choices[element->goal];
		if (choice->rank == 0 || element->rank < choice->rank)
			*choice = (TemplateChoice) {i, element->rank, element->use};
	}
	template_choose_clock(choices, protocol);
	return true;
}

/* How to read the field at "position": ELEMENT_NONE if it was not chosen. */
static ElementUse
template_use(const TemplateField *field, uint16_t position, const TemplateChoice *choices)
{
	const Element *element = template_element(field);

	if (element == NULL || choices[element->goal].rank == 0 ||
		choices[element->goal].field != position)
		return ELEMENT_NONE;
	return (ElementUse) element->use;
}

static TemplateOp
template_number_op(size_t member, size_t field)
{
	if (member == 8)
		return field == 8 ? TEMPLATE_U64 : field == 4 ? TEMPLATE_U64_FROM_32 : TEMPLATE_NUMBER;
	if (member == 4)
		return field == 4 ? TEMPLATE_U32 : field == 2 ? TEMPLATE_U32_FROM_16 : TEMPLATE_NUMBER;
	return member == 2 && field == 2 ? TEMPLATE_U16 : TEMPLATE_NUMBER;
}

static TemplateOp
template_op(ElementUse use, size_t length)
{
	switch (use)
	{
		case ELEMENT_SRC_IPV4:
		case ELEMENT_DST_IPV4:
			return TEMPLATE_IPV4;
		case ELEMENT_SRC_IPV6:
		case ELEMENT_DST_IPV6:
			return TEMPLATE_IPV6;
		case ELEMENT_FIRST_MILLISECONDS:
		case ELEMENT_LAST_MILLISECONDS:
			return length == 8 ? TEMPLATE_MILLISECONDS : TEMPLATE_NUMBER;
		case ELEMENT_FIRST_UPTIME:
		case ELEMENT_LAST_UPTIME:
			return TEMPLATE_UPTIME;
		default:
			return template_number_op(template_members[use].width, length);
	}
}

/* Adds the field's step, if it needs one; false if no step is left. */
PACKET_MUST_CHECK static bool
template_add_step(Template *template, const TemplateField *field, ElementUse use)
{
	bool		variable = field->length == TEMPLATE_VARIABLE;

	if (use != ELEMENT_NONE || variable)
	{
		TemplateStep *step;

		if (template->step_count >= TEMPLATE_MAX_STEPS)
			return false;
		step = &template->steps[template->step_count++];
		step->offset = (uint16_t) template->tail_length;
		step->length = variable ? 0 : field->length;
		step->element = (uint8_t) use;
		step->variable = variable;
		step->op = (uint8_t) template_op(use, step->length);
		step->member = template_members[use].offset;
		if (step->op != TEMPLATE_NUMBER)
			template->present |= FLOW_BIT(template_members[use].field);
	}

	/* A variable-length field has at least the octet that tells its length. */
	template->record_length += variable ? 1 : field->length;
	template->tail_length = variable ? 0 : template->tail_length + field->length;
	template->has_variable |= variable;
	return template->record_length <= TEMPLATE_MAX_LENGTH;
}

/* The way that the template's records go. */
static void
template_classify(Template *template, const TemplateChoice *choices)
{
	bool		has_ipv4 = choices[ELEMENT_GOAL_SRC_IPV4].rank != 0 ||
		choices[ELEMENT_GOAL_DST_IPV4].rank != 0;
	bool		has_ipv6 = choices[ELEMENT_GOAL_SRC_IPV6].rank != 0 ||
		choices[ELEMENT_GOAL_DST_IPV6].rank != 0;

	if (has_ipv4 != has_ipv6)
		template->family = has_ipv4 ? 4 : 6;
	template->plain = !template->has_variable && !(has_ipv4 && has_ipv6) &&
		choices[ELEMENT_GOAL_BOOT].rank == 0;
}

static TemplateResult
template_compile(Template *template, Packet *fields)
{
	TemplateChoice choices[ELEMENT_GOALS] = {0};
	Packet		again = *fields;

	if (!template_choose(fields, template->protocol, template->field_count, choices))
		return TEMPLATE_MALFORMED;
	if (template->options)
		memset(choices, 0, sizeof(choices));
	for (uint16_t i = 0; i < template->field_count; i++)
	{
		TemplateField field;

		if (!template_read_field(&again, template->protocol, &field))
			return TEMPLATE_MALFORMED;
		if (!template_add_step(template, &field, template_use(&field, i, choices)))
			return TEMPLATE_UNUSABLE;
	}
	template_classify(template, choices);
	return TEMPLATE_OK;
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
template_place(Lru *templates, const TemplateKey *key)
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

/* Puts "fresh" in the place of "old", or into a new one if that is NULL. */
static void
template_store(Lru *templates, const TemplateKey *key, Template *fresh, Template *old)
{
	LruClass	class = key->known ? LRU_KNOWN : LRU_STRANGER;

	if (old == NULL)
		old = lru_insert(templates, template_hash(key), class, NULL, NULL);
	else
	{
		lru_touch(templates, old, class);
		if (template_equal(old, fresh))
		{
			old->last_seen = fresh->last_seen;
			return;
		}
	}
	fresh->link = old->link;
	*old = *fresh;
}

TemplateResult
template_learn(Lru *templates, const TemplateKey *key, bool options, Packet *fields,
			   uint16_t field_count, int64_t now)
{
	Template	fresh = {
		.address = key->address,
		.domain = key->domain,
		.port = key->port,
		.id = key->id,
		.protocol = key->protocol,
		.options = options,
		.field_count = field_count,
		.first_seen = now,
		.last_seen = now,
	};
	TemplateResult result = template_compile(&fresh, fields);
	Template   *old = template_place(templates, key);

	if (result == TEMPLATE_OK)
		template_store(templates, key, &fresh, old);
	else if (result == TEMPLATE_UNUSABLE && old != NULL && old->port == key->port)
		lru_remove(templates, old);
	return result;
}

Template *
template_find(Lru *templates, const TemplateKey *key)
{
	Template   *template = template_lookup(templates, key);

	if (template != NULL)
		lru_touch(templates, template, key->known ? LRU_KNOWN : LRU_STRANGER);
	return template;
}

/* A number into its member, if it is not too large for it. */
static void
template_set_number(Flow *flow, const TemplateMember *member, uint64_t value)
{
	uint8_t    *place = (uint8_t *) flow + member->offset;
	uint32_t	value32 = (uint32_t) value;
	uint16_t	value16 = (uint16_t) value;

	if (member->width < 8 && value >> 8 * member->width != 0)
		return;
	if (member->width == 8)
		memcpy(place, &value, 8);
	else if (member->width == 4)
		memcpy(place, &value32, 4);
	else
		memcpy(place, &value16, 2);
	flow->present |= FLOW_BIT(member->field);
}

static void
template_set_time(Flow *flow, bool last, int64_t time)
{
	if (last)
		flow->last = time;
	else
		flow->first = time;
	flow->present |= FLOW_BIT(last ? FLOW_LAST : FLOW_FIRST);
}

/* A number of 1 to 8 octets, or a time, which is one as well. */
static void
template_number(ElementUse use, uint64_t value, const TemplateClock *clock, Flow *flow)
{
	switch (use)
	{
		case ELEMENT_SAMPLING:
			if (value == 0 || value > UINT32_MAX)
				break;
			flow->sampling = (uint32_t) value;
			flow->sampling_origin = FLOW_SAMPLING_RECORD;
			flow->present |= FLOW_BIT(FLOW_SAMPLING);
			break;
		case ELEMENT_DIRECTION:
			if (value > 1)
				break;
			flow->direction = (uint8_t) value;
			flow->present |= FLOW_BIT(FLOW_DIRECTION);
			break;
		case ELEMENT_IP_VERSION:
			if (value == 4 || value == 6)
				flow->family = (uint8_t) value;
			break;
		case ELEMENT_FIRST_SECONDS:
		case ELEMENT_LAST_SECONDS:
			template_set_time(flow, use == ELEMENT_LAST_SECONDS, times_from_seconds(value));
			break;
		case ELEMENT_FIRST_MILLISECONDS:
		case ELEMENT_LAST_MILLISECONDS:
			template_set_time(flow, use == ELEMENT_LAST_MILLISECONDS,
							  times_from_milliseconds(value));
			break;
		case ELEMENT_FIRST_NTP:
		case ELEMENT_LAST_NTP:
			template_set_time(flow, use == ELEMENT_LAST_NTP, times_from_ntp(value));
			break;
		case ELEMENT_FIRST_DELTA:
		case ELEMENT_LAST_DELTA:
			template_set_time(flow, use == ELEMENT_LAST_DELTA,
							  times_before(clock->export_time, value));
			break;
		default:
			if (template_members[use].width != 0)
				template_set_number(flow, &template_members[use], value);
	}
}

/* One step of a plain record: nothing but this decides about performance. */
static inline void
template_step(const TemplateStep *step, const uint8_t *field, const TemplateClock *clock,
			  Flow *flow)
{
	uint8_t    *member = (uint8_t *) flow + step->member;
	uint16_t	value16;
	uint32_t	value32;
	uint64_t	value64;
	int64_t		time;

	switch ((TemplateOp) step->op)
	{
		case TEMPLATE_NUMBER:
			template_number((ElementUse) step->element, packet_number(field, step->length),
							clock, flow);
			break;
		case TEMPLATE_U16:
			value16 = packet_be16(field);
			memcpy(member, &value16, sizeof(value16));
			break;
		case TEMPLATE_U32:
			value32 = packet_be32(field);
			memcpy(member, &value32, sizeof(value32));
			break;
		case TEMPLATE_U32_FROM_16:
			value32 = packet_be16(field);
			memcpy(member, &value32, sizeof(value32));
			break;
		case TEMPLATE_U64:
			value64 = packet_be64(field);
			memcpy(member, &value64, sizeof(value64));
			break;
		case TEMPLATE_U64_FROM_32:
			value64 = packet_be32(field);
			memcpy(member, &value64, sizeof(value64));
			break;
		case TEMPLATE_IPV4:
			address_from_ipv4((FlowAddress *) member, field);
			break;
		case TEMPLATE_IPV6:
			address_from_ipv6((FlowAddress *) member, field);
			break;
		case TEMPLATE_MILLISECONDS:
			time = times_from_milliseconds(packet_be64(field));
			memcpy(member, &time, sizeof(time));
			break;
		case TEMPLATE_UPTIME:
			time = times_from_uptime((uint32_t) packet_number(field, step->length),
									 clock->export_time, clock->uptime);
			memcpy(member, &time, sizeof(time));
			break;
	}
}

/* One field of any other record, whose length fits its element. */
static void
template_field(ElementUse use, const uint8_t *field, size_t length,
			   const TemplateClock *clock, TemplateRecord *record, Flow *flow)
{
	switch (use)
	{
		case ELEMENT_SRC_IPV4:
		case ELEMENT_DST_IPV4:
			record->ipv4[use == ELEMENT_DST_IPV4] = field;
			break;
		case ELEMENT_SRC_IPV6:
		case ELEMENT_DST_IPV6:
			record->ipv6[use == ELEMENT_DST_IPV6] = field;
			break;
		case ELEMENT_FIRST_UPTIME:
		case ELEMENT_LAST_UPTIME:
			record->uptime[use == ELEMENT_LAST_UPTIME] = (uint32_t) packet_number(field, length);
			record->has_uptime[use == ELEMENT_LAST_UPTIME] = true;
			break;
		case ELEMENT_BOOT:
			record->boot = times_from_milliseconds(packet_number(field, length));
			record->has_boot = true;
			break;
		default:
			template_number(use, packet_number(field, length), clock, flow);
	}
}

static bool
template_not_zero(const uint8_t *address, size_t length)
{
	Packet		packet = packet_init(address, address == NULL ? 0 : length);

	return !packet_all_zero(&packet);
}

/* The family that the addresses tell, 0 where there are none. */
static uint8_t
template_family(const TemplateRecord *record)
{
	bool		has_ipv4 = record->ipv4[0] != NULL || record->ipv4[1] != NULL;
	bool		has_ipv6 = record->ipv6[0] != NULL || record->ipv6[1] != NULL;

	if (!has_ipv6)
		return has_ipv4 ? 4 : 0;
	if (!has_ipv4)
		return 6;

	/* Room for both: the one that is not used is left zero. */
	if (template_not_zero(record->ipv4[0], 4) || template_not_zero(record->ipv4[1], 4))
		return 4;
	return template_not_zero(record->ipv6[0], 16) ||
		template_not_zero(record->ipv6[1], 16) ? 6 : 4;
}

/* Takes the address of the record's family, or the other one for want of it. */
static void
template_set_address(Flow *flow, FlowField field, FlowAddress *member,
					 const uint8_t *ipv4, const uint8_t *ipv6)
{
	if (ipv6 != NULL && (ipv4 == NULL || flow->family == 6))
		address_from_ipv6(member, ipv6);
	else if (ipv4 != NULL)
		address_from_ipv4(member, ipv4);
	else
		return;
	flow->present |= FLOW_BIT(field);
}

/*
 * Uptimes are placed from the export time backwards, also in IPFIX: so they may
 * have wrapped since the exporter's start.
 */
static void
template_place_uptimes(const Template *template, const TemplateClock *clock,
					   const TemplateRecord *record, Flow *flow)
{
	uint32_t	uptime_now = clock->uptime;

	if (template->protocol == FLOW_IPFIX)
	{
		if (!record->has_boot)
			return;
		uptime_now = (uint32_t) ((clock->export_time - record->boot) / 1000);
	}
	for (int last = 0; last <= 1; last++)
		if (record->has_uptime[last])
			template_set_time(flow, last, times_from_uptime(record->uptime[last],
															clock->export_time, uptime_now));
}

static void
template_finish(const Template *template, const TemplateClock *clock,
				const TemplateRecord *record, Flow *flow)
{
	if (flow->family == 0)
		flow->family = template_family(record);
	template_set_address(flow, FLOW_SRC_ADDR, &flow->src_addr, record->ipv4[0],
						 record->ipv6[0]);
	template_set_address(flow, FLOW_DST_ADDR, &flow->dst_addr, record->ipv4[1],
						 record->ipv6[1]);
	if (record->has_uptime[0] || record->has_uptime[1])
		template_place_uptimes(template, clock, record, flow);
}

/* A variable-length field at the cursor (RFC 7011, 7). */
PACKET_MUST_CHECK static bool
template_read_variable(Packet *packet, const uint8_t **field, size_t *length)
{
	uint8_t		short_length;
	uint16_t	long_length;

	if (!packet_u8(packet, &short_length))
		return false;
	*length = short_length;
	if (short_length == UINT8_MAX)
	{
		if (!packet_u16(packet, &long_length))
			return false;
		*length = long_length;
	}
	return packet_bytes(packet, *length, field);
}

/* The field of a step.  "rest" starts behind the variable-length field before. */
PACKET_MUST_CHECK static bool
template_step_field(const TemplateStep *step, Packet *rest, const uint8_t **field,
					size_t *length)
{
	Packet		at = *rest;

	if (!packet_skip(&at, step->offset))
		return false;
	if (!step->variable)
	{
		*length = step->length;
		return packet_bytes(&at, step->length, field);
	}
	if (!template_read_variable(&at, field, length))
		return false;
	*rest = at;
	return true;
}

/* The way for records that are not plain. */
PACKET_MUST_CHECK static bool
template_run_steps(const Template *template, const TemplateClock *clock, Packet *set,
				   Flow *flow)
{
	TemplateRecord record = {0};
	Packet		rest = *set;

	flow->present = 0;
	flow->family = 0;
	for (int i = 0; i < template->step_count; i++)
	{
		const TemplateStep *step = &template->steps[i];
		ElementUse	use = (ElementUse) step->element;
		const uint8_t *field;
		size_t		length;

		if (!template_step_field(step, &rest, &field, &length))
			return false;
		if (element_fits(use, length))
			template_field(use, field, length, clock, &record, flow);
	}
	if (!packet_skip(&rest, template->tail_length))
		return false;
	template_finish(template, clock, &record, flow);
	*set = rest;
	return true;
}

TemplateResult
template_run(const Template *template, const TemplateClock *clock, Packet *set, Flow *flow)
{
	const uint8_t *bytes;

	if (template->record_length == 0 || packet_left(set) < template->record_length)
		return TEMPLATE_END;
	flow->sampling_origin = FLOW_SAMPLING_UNKNOWN;
	if (!template->plain)
		return template_run_steps(template, clock, set, flow) ? TEMPLATE_OK : TEMPLATE_MALFORMED;

	if (!packet_bytes(set, template->record_length, &bytes))
		return TEMPLATE_END;
	flow->present = template->present;
	flow->family = template->family;
	for (int i = 0; i < template->step_count; i++)
		template_step(&template->steps[i], bytes + template->steps[i].offset, clock, flow);
	return TEMPLATE_OK;
}
