/*
 * steps.c
 *	  Field specifiers to steps, and records that run them.
 *
 * A template is read twice: first to choose the best field for each goal, then
 * to write the steps.
 *
 * Records go one of three ways.  By columns, as nearly all: the length of many
 * records is checked once, and each step, with an op that was chosen beforehand,
 * puts its field of all of them into its place in their flows, in a loop without a
 * decision.  Plain: the same for one record, where a step's place is not in the
 * flow.  Slowly: records with variable-length fields, with addresses of both
 * families, with octets of any length, or with times that need another field to be
 * understood.
 */
#include "steps.h"

#include <stddef.h>

#include "address.h"
#include "times.h"

/* The length that announces a variable-length field (RFC 7011, 7). */
#define STEPS_VARIABLE		UINT16_MAX

/* The bit of a type that announces an enterprise number (RFC 7011, 3.2). */
#define STEPS_ENTERPRISE	0x8000

/* Its elements have IANA's numbers, for the other direction (RFC 5103, 6.1). */
#define STEPS_REVERSE		29305

/* NetFlow v9 numbers scope fields apart (RFC 3954, 6.1). */
#define STEPS_SCOPE_INTERFACE	2
#define STEPS_INGRESS_INTERFACE	10

/* No record can be longer: the length of a set has 16 bits. */
#define STEPS_MAX_LENGTH UINT16_MAX

/* TemplateStep.op: field of that width into member of that width. */
typedef enum StepsOp
{
	STEPS_NUMBER,				/* any other: steps_take_number() */
	STEPS_U16,
	STEPS_U32,
	STEPS_U32_FROM_16,
	STEPS_U64,
	STEPS_U64_FROM_32,
	STEPS_IPV4,
	STEPS_IPV6,
	STEPS_MILLISECONDS,
	STEPS_UPTIME,				/* v9: by the uptime in the header */
	STEPS_UPTIME_NEAR,			/* the same where no limit is near; for columns alone */
	STEPS_DIRECTION,
	STEPS_SAMPLING
} StepsOp;

/* Where in Flow something goes. */
typedef struct StepsMember
{
	uint8_t		offset;
	uint8_t		width;			/* in octets; 0: not a plain number */
	uint8_t		field;			/* FlowField */
} StepsMember;

_Static_assert(2 * sizeof(Flow) <= UINT8_MAX + 1, "offsets in both must fit TemplateStep.member");
_Static_assert(sizeof(TemplateStep) == 8, "many of them are read for each record");

#define STEPS_MEMBER(name, width, field)	{offsetof(Flow, name), width, field}

/* By ElementUse. */
static const StepsMember steps_members[] = {
	[ELEMENT_SRC_IPV4] = STEPS_MEMBER(src_addr, 0, FLOW_SRC_ADDR),
	[ELEMENT_DST_IPV4] = STEPS_MEMBER(dst_addr, 0, FLOW_DST_ADDR),
	[ELEMENT_SRC_IPV6] = STEPS_MEMBER(src_addr, 0, FLOW_SRC_ADDR),
	[ELEMENT_DST_IPV6] = STEPS_MEMBER(dst_addr, 0, FLOW_DST_ADDR),
	[ELEMENT_BYTES] = STEPS_MEMBER(bytes, 8, FLOW_BYTES),
	[ELEMENT_PACKETS] = STEPS_MEMBER(packets, 8, FLOW_PACKETS),
	[ELEMENT_IN_IF] = STEPS_MEMBER(in_if, 4, FLOW_IN_IF),
	[ELEMENT_OUT_IF] = STEPS_MEMBER(out_if, 4, FLOW_OUT_IF),
	[ELEMENT_SRC_AS] = STEPS_MEMBER(src_as, 4, FLOW_SRC_AS),
	[ELEMENT_DST_AS] = STEPS_MEMBER(dst_as, 4, FLOW_DST_AS),
	[ELEMENT_IN_VLAN] = STEPS_MEMBER(in_vlan, 2, FLOW_IN_VLAN),
	[ELEMENT_OUT_VLAN] = STEPS_MEMBER(out_vlan, 2, FLOW_OUT_VLAN),
	[ELEMENT_FIRST_MILLISECONDS] = STEPS_MEMBER(first, 0, FLOW_FIRST),
	[ELEMENT_LAST_MILLISECONDS] = STEPS_MEMBER(last, 0, FLOW_LAST),
	[ELEMENT_FIRST_UPTIME] = STEPS_MEMBER(first, 0, FLOW_FIRST),
	[ELEMENT_LAST_UPTIME] = STEPS_MEMBER(last, 0, FLOW_LAST),
	[ELEMENT_USES - 1] = {0},
};

/* One field specifier. */
typedef struct StepsField
{
	uint16_t	type;
	uint16_t	length;
	bool		unknown;		/* somebody's own: we read none of these */
	bool		reverse;		/* by its enterprise number */
} StepsField;

/* The field that serves a goal best so far. */
typedef struct StepsChoice
{
	uint16_t	field;			/* its position */
	uint8_t		rank;			/* 0: none yet */
	uint8_t		use;
	uint8_t		pair;			/* ElementPair */
} StepsChoice;

/* For both directions. */
typedef struct StepsChoices
{
	StepsChoice forward[ELEMENT_GOALS];
	StepsChoice reverse[ELEMENT_GOALS];
} StepsChoices;

/* The parts of a record that are put together at its end. */
typedef struct StepsParts
{
	const uint8_t *ipv4[2];		/* source and destination, NULL if absent */
	const uint8_t *ipv6[2];
	int64_t		boot;			/* when the exporter started */
	bool		has_boot;
	bool		has_uptime[2][2];	/* forward and reverse; first and last */
	uint32_t	uptime[2][2];
} StepsParts;

/* A scope field of v9 as the element that means the same, or 0. */
static uint16_t
steps_scope_type(uint16_t type)
{
	return type == STEPS_SCOPE_INTERFACE ? STEPS_INGRESS_INTERFACE : 0;
}

PACKET_MUST_CHECK static bool
steps_read_field(Packet *fields, uint8_t protocol, bool scope, StepsField *field)
{
	uint32_t	enterprise;

	field->unknown = field->reverse = false;
	if (!packet_u16(fields, &field->type) || !packet_u16(fields, &field->length))
		return false;
	if (protocol != FLOW_IPFIX)
	{
		/* the topmost bit means nothing in v9 */
		if (scope)
			field->type = steps_scope_type(field->type);
		return true;
	}
	if ((field->type & STEPS_ENTERPRISE) == 0)
		return true;
	if (!packet_u32(fields, &enterprise))
		return false;
	field->reverse = enterprise == STEPS_REVERSE;
	field->unknown = !field->reverse;
	field->type &= (uint16_t) ~STEPS_ENTERPRISE;
	return true;
}

/* The element that we would read the field as, or NULL. */
static const Element *
steps_element(const StepsField *field, bool options)
{
	const Element *element = field->unknown ? NULL : element_find(field->type);

	if (element == NULL || !element_serves((ElementGoal) element->goal, options) ||
		(field->length != STEPS_VARIABLE &&
		 !element_fits((ElementUse) element->use, field->length)))
		return NULL;
	if (field->reverse && (element_pair(field->type) == ELEMENT_RESPONDER ||
						   !element_is_reversible((ElementUse) element->use)))
		return NULL;
	return element;
}

static bool
steps_is_reverse(const StepsField *field)
{
	return field->reverse || element_pair(field->type) == ELEMENT_RESPONDER;
}

/* The choice that the element is a candidate for. */
static StepsChoice *
steps_choice(StepsChoices *choices, const StepsField *field, const Element *element)
{
	return steps_is_reverse(field) ? &choices->reverse[element->goal] :
		&choices->forward[element->goal];
}

/*
 * The uptime in a record means something only together with the uptime in the
 * header (v9) or the time of the start in the record (IPFIX).
 */
static void
steps_choose_clock(StepsChoices *choices, uint8_t protocol)
{
	StepsChoice *const times[] = {
		&choices->forward[ELEMENT_GOAL_FIRST], &choices->forward[ELEMENT_GOAL_LAST],
		&choices->reverse[ELEMENT_GOAL_FIRST], &choices->reverse[ELEMENT_GOAL_LAST],
	};
	StepsChoice *boot = &choices->forward[ELEMENT_GOAL_BOOT];

	if (protocol != FLOW_IPFIX)
		boot->rank = 0;
	else if (boot->rank == 0)
	{
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
			if (times[i]->use == ELEMENT_FIRST_UPTIME || times[i]->use == ELEMENT_LAST_UPTIME)
				times[i]->rank = 0;
	}
}

/*
 * What the responder sent counts only beside what the initiator sent: Huawei
 * NetStream sends responderOctets beside the octets of one direction.
 */
static void
steps_choose_pairs(StepsChoices *choices)
{
	for (int goal = 0; goal < ELEMENT_GOALS; goal++)
		if (choices->reverse[goal].pair == ELEMENT_RESPONDER &&
			choices->forward[goal].pair != ELEMENT_INITIATOR)
			choices->reverse[goal].rank = 0;
}

/* Chooses the field for each goal; false if there are fewer than announced. */
PACKET_MUST_CHECK static bool
steps_choose(Packet *fields, uint8_t protocol, const TemplateShape *shape,
			 StepsChoices *choices)
{
	for (uint16_t i = 0; i < shape->field_count; i++)
	{
		StepsField field;
		const Element *element;
		StepsChoice *choice;

		if (!steps_read_field(fields, protocol, i < shape->scope_count, &field))
			return false;
		element = steps_element(&field, shape->options);
		if (element == NULL)
			continue;
		choice = steps_choice(choices, &field, element);
		if (choice->rank == 0 || element->rank < choice->rank)
			*choice = (StepsChoice) {i, element->rank, element->use,
				(uint8_t) element_pair(field.type)};
	}
	steps_choose_clock(choices, protocol);
	steps_choose_pairs(choices);
	return true;
}

static StepsOp
steps_number_op(size_t member, size_t field)
{
	if (member == 8)
		return field == 8 ? STEPS_U64 : field == 4 ? STEPS_U64_FROM_32 : STEPS_NUMBER;
	if (member == 4)
		return field == 4 ? STEPS_U32 : field == 2 ? STEPS_U32_FROM_16 : STEPS_NUMBER;
	return member == 2 && field == 2 ? STEPS_U16 : STEPS_NUMBER;
}

static StepsOp
steps_op(ElementUse use, size_t length)
{
	switch (use)
	{
		case ELEMENT_SRC_IPV4:
		case ELEMENT_DST_IPV4:
			return STEPS_IPV4;
		case ELEMENT_SRC_IPV6:
		case ELEMENT_DST_IPV6:
			return STEPS_IPV6;
		case ELEMENT_FIRST_MILLISECONDS:
		case ELEMENT_LAST_MILLISECONDS:
			return length == 8 ? STEPS_MILLISECONDS : STEPS_NUMBER;
		case ELEMENT_FIRST_UPTIME:
		case ELEMENT_LAST_UPTIME:
			return length == 4 ? STEPS_UPTIME : STEPS_NUMBER;
		case ELEMENT_DIRECTION:
			return length == 1 ? STEPS_DIRECTION : STEPS_NUMBER;
		case ELEMENT_SAMPLING:
			return length == 4 ? STEPS_SAMPLING : STEPS_NUMBER;
		default:
			/* width 0: whatever steps_take_number() makes of it */
			return steps_number_op(steps_members[use].width, length);
	}
}

/* Is what the field says there in every record, whatever its value? */
static bool
steps_always_tells(StepsOp op)
{
	return op != STEPS_NUMBER && op != STEPS_DIRECTION && op != STEPS_SAMPLING;
}

/* Behind the steps so far, a field of "length" octets, or STEPS_VARIABLE. */
PACKET_MUST_CHECK static bool
steps_add_length(Template *template, uint16_t length)
{
	bool		variable = length == STEPS_VARIABLE;

	/* A variable-length field has at least the octet that tells its length. */
	template->record_length += variable ? 1 : length;
	template->tail_length = variable ? 0 : template->tail_length + length;
	template->has_variable |= variable;
	return template->record_length <= STEPS_MAX_LENGTH;
}

/* Adds the field's step, if it needs one; false if no step is left. */
PACKET_MUST_CHECK static bool
steps_add(Template *template, ElementUse use, uint16_t length, bool reverse)
{
	bool		variable = length == STEPS_VARIABLE;

	if (use != ELEMENT_NONE || variable)
	{
		const StepsMember *member = &steps_members[use];
		uint32_t   *present = reverse ? &template->reverse_present : &template->present;
		TemplateStep *step;

		if (template->step_count >= TEMPLATE_MAX_STEPS)
			return false;
		step = &template->steps[template->step_count++];
		step->offset = (uint16_t) template->tail_length;
		step->length = variable ? 0 : length;
		step->element = (uint8_t) use;
		step->variable = variable;
		step->reverse = reverse;
		step->op = (uint8_t) steps_op(use, step->length);
		step->member = (uint8_t) (member->offset + (reverse ? offsetof(StepsRecord, reverse) :
													 offsetof(StepsRecord, flow)));
		if (steps_always_tells((StepsOp) step->op))
			*present |= FLOW_BIT(member->field);
	}
	return steps_add_length(template, length);
}

/* Must a record with such a field be put together at its end? */
static bool
steps_is_plain(ElementUse use)
{
	return use != ELEMENT_BOOT && use != ELEMENT_SAMPLING_PROBABILITY &&
		use < ELEMENT_FIRST_OCTETS;
}

static inline bool
steps_is_address(StepsOp op)
{
	return op == STEPS_IPV4 || op == STEPS_IPV6;
}

/* Can the step be done for many records at a time? */
static bool
steps_is_column(const TemplateStep *step)
{
	return !step->reverse &&
		(step->element < ELEMENT_FIRST_NUMBER || step->element == ELEMENT_SAMPLER);
}

/* The way that the template's records go. */
static void
steps_classify(Template *template)
{
	bool		has_ipv4 = false;
	bool		has_ipv6 = false;

	template->plain = !template->has_variable;
	for (int i = 0; i < template->step_count; i++)
	{
		ElementUse	use = (ElementUse) template->steps[i].element;

		has_ipv4 |= use == ELEMENT_SRC_IPV4 || use == ELEMENT_DST_IPV4;
		has_ipv6 |= use == ELEMENT_SRC_IPV6 || use == ELEMENT_DST_IPV6;
		template->plain &= steps_is_plain(use);
	}
	if (has_ipv4 != has_ipv6)
		template->family = has_ipv4 ? 4 : 6;
	template->plain &= !(has_ipv4 && has_ipv6);
	template->columns = template->plain && !template->options;
	for (int i = 0; i < template->step_count; i++)
		template->columns &= steps_is_column(&template->steps[i]);
}

/* Adds the field at "position", to be read if it was chosen. */
PACKET_MUST_CHECK static bool
steps_add_field(Template *template, const StepsField *field, uint16_t position,
				StepsChoices *choices)
{
	const Element *element = steps_element(field, template->options);

	if (element != NULL)
	{
		const StepsChoice *choice = steps_choice(choices, field, element);

		if (choice->rank != 0 && choice->field == position)
			return steps_add(template, (ElementUse) choice->use, field->length,
							 steps_is_reverse(field));
	}
	return steps_add(template, ELEMENT_NONE, field->length, false);
}

TemplateResult
steps_compile(Template *template, const TemplateShape *shape, Packet *fields)
{
	StepsChoices choices = {0};
	Packet		again = *fields;

	if (!steps_choose(fields, template->protocol, shape, &choices))
		return TEMPLATE_MALFORMED;
	for (uint16_t i = 0; i < shape->field_count; i++)
	{
		StepsField	field;

		if (!steps_read_field(&again, template->protocol, i < shape->scope_count, &field))
			return TEMPLATE_MALFORMED;
		if (!steps_add_field(template, &field, i, &choices))
			return TEMPLATE_UNUSABLE;
	}
	steps_classify(template);
	return TEMPLATE_OK;
}

/* What lies before the step, and the step. */
PACKET_MUST_CHECK static bool
steps_rebuild_step(Template *template, const TemplateStep *step)
{
	ElementUse	use = (ElementUse) step->element;
	uint16_t	length = step->variable ? STEPS_VARIABLE : step->length;
	uint16_t	gap = (uint16_t) (step->offset - template->tail_length);

	if (step->element >= ELEMENT_USES || step->offset < template->tail_length ||
		gap == STEPS_VARIABLE)
		return false;
	if (!step->variable && (length == STEPS_VARIABLE || !element_fits(use, length)))
		return false;
	if (step->reverse && !element_is_reversible(use))
		return false;
	return steps_add_length(template, gap) && steps_add(template, use, length, step->reverse);
}

bool
steps_rebuild(Template *template, const Template *saved)
{
	if (saved->step_count > TEMPLATE_MAX_STEPS)
		return false;
	for (int i = 0; i < saved->step_count; i++)
		if (!steps_rebuild_step(template, &saved->steps[i]))
			return false;
	if (saved->tail_length < template->tail_length || saved->tail_length > STEPS_MAX_LENGTH)
		return false;
	template->record_length += saved->tail_length - template->tail_length;
	template->tail_length = saved->tail_length;
	steps_classify(template);
	return template->record_length <= STEPS_MAX_LENGTH;
}

/* A number into its member, if it is not too large for it. */
static void
steps_set_number(Flow *flow, const StepsMember *member, uint64_t value)
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
steps_set_time(Flow *flow, bool last, int64_t time)
{
	if (last)
		flow->last = time;
	else
		flow->first = time;
	flow->present |= FLOW_BIT(last ? FLOW_LAST : FLOW_FIRST);
}

/* A number that is no part of the flow. */
static void
steps_set_other(StepsRecord *record, ElementUse use, uint64_t value)
{
	record->numbers[use - ELEMENT_FIRST_NUMBER] = value;
	record->has |= STEPS_BIT(use);
}

static inline void
steps_set_sampling(Flow *flow, uint64_t value)
{
	if (value == 0 || value > UINT32_MAX)
		return;
	flow->sampling = (uint32_t) value;
	flow->sampling_origin = FLOW_SAMPLING_RECORD;
	flow->present |= FLOW_BIT(FLOW_SAMPLING);
}

static inline void
steps_set_direction(Flow *flow, uint64_t value)
{
	flow->direction = (uint8_t) value;
	flow->present |= value <= 1 ? FLOW_BIT(FLOW_DIRECTION) : 0;
}

/* A number of 1 to 8 octets for the flow, or a time, which is one as well. */
static void
steps_set_flow(ElementUse use, uint64_t value, const StepsClock *clock, Flow *flow)
{
	switch (use)
	{
		case ELEMENT_SAMPLING:
			steps_set_sampling(flow, value);
			break;
		case ELEMENT_DIRECTION:
			steps_set_direction(flow, value);
			break;
		case ELEMENT_IP_VERSION:
			if (value == 4 || value == 6)
				flow->family = (uint8_t) value;
			break;
		case ELEMENT_FIRST_SECONDS:
		case ELEMENT_LAST_SECONDS:
			steps_set_time(flow, use == ELEMENT_LAST_SECONDS, times_from_seconds(value));
			break;
		case ELEMENT_FIRST_MILLISECONDS:
		case ELEMENT_LAST_MILLISECONDS:
			steps_set_time(flow, use == ELEMENT_LAST_MILLISECONDS,
							  times_from_milliseconds(value));
			break;
		case ELEMENT_FIRST_NTP:
		case ELEMENT_LAST_NTP:
			steps_set_time(flow, use == ELEMENT_LAST_NTP, times_from_ntp(value));
			break;
		case ELEMENT_FIRST_DELTA:
		case ELEMENT_LAST_DELTA:
			steps_set_time(flow, use == ELEMENT_LAST_DELTA,
							  times_before(clock->export_time, value));
			break;
		case ELEMENT_FIRST_UPTIME:
		case ELEMENT_LAST_UPTIME:
			steps_set_time(flow, use == ELEMENT_LAST_UPTIME,
						   times_from_uptime((uint32_t) value, clock->export_time, clock->uptime));
			break;
		default:
			if (steps_members[use].width != 0)
				steps_set_number(flow, &steps_members[use], value);
	}
}

static void
steps_take_number(const TemplateStep *step, uint64_t value, const StepsClock *clock,
				  StepsRecord *record)
{
	ElementUse	use = (ElementUse) step->element;

	if (use >= ELEMENT_FIRST_NUMBER)
		steps_set_other(record, use, value);
	else
		steps_set_flow(use, value, clock, step->reverse ? &record->reverse : &record->flow);
}

/*
 * A step whose op says all: nothing but this decides about performance.  "member"
 * is its place in the flow.
 */
static inline __attribute__((always_inline)) void
steps_do(StepsOp op, const uint8_t *field, StepsClock clock, uint8_t *member, Flow *flow)
{
	uint16_t	value16;
	uint32_t	value32;
	uint64_t	value64;
	int64_t		time;

	switch (op)
	{
		case STEPS_NUMBER:
			break;
		case STEPS_U16:
			value16 = packet_be16(field);
			memcpy(member, &value16, sizeof(value16));
			break;
		case STEPS_U32:
			value32 = packet_be32(field);
			memcpy(member, &value32, sizeof(value32));
			break;
		case STEPS_U32_FROM_16:
			value32 = packet_be16(field);
			memcpy(member, &value32, sizeof(value32));
			break;
		case STEPS_U64:
			value64 = packet_be64(field);
			memcpy(member, &value64, sizeof(value64));
			break;
		case STEPS_U64_FROM_32:
			value64 = packet_be32(field);
			memcpy(member, &value64, sizeof(value64));
			break;
		case STEPS_IPV4:
			address_from_ipv4((FlowAddress *) member, field);
			break;
		case STEPS_IPV6:
			address_from_ipv6((FlowAddress *) member, field);
			break;
		case STEPS_MILLISECONDS:
			time = times_from_milliseconds(packet_be64(field));
			memcpy(member, &time, sizeof(time));
			break;
		case STEPS_UPTIME_NEAR:
			time = times_from_uptime_near(packet_be32(field), clock.export_time, clock.uptime);
			memcpy(member, &time, sizeof(time));
			break;
		case STEPS_UPTIME:
			time = times_from_uptime(packet_be32(field), clock.export_time, clock.uptime);
			memcpy(member, &time, sizeof(time));
			break;
		case STEPS_DIRECTION:
			steps_set_direction(flow, field[0]);
			break;
		case STEPS_SAMPLING:
			steps_set_sampling(flow, packet_be32(field));
			break;
	}
}

/* One step of a plain record. */
static inline void
steps_do_plain(const TemplateStep *step, const uint8_t *field, const StepsClock *clock,
			   StepsRecord *record)
{
	if (step->op == STEPS_NUMBER || step->reverse)
		steps_take_number(step, packet_number(field, step->length), clock, record);
	else
		steps_do((StepsOp) step->op, field, *clock, (uint8_t *) record + step->member,
				 &record->flow);
}

/* The bits of a double, from those of a float or a double (RFC 7011, 6.1.3). */
static uint64_t
steps_float_bits(const uint8_t *field, size_t length)
{
	uint64_t	bits = packet_number(field, length);
	uint32_t	narrow = (uint32_t) bits;
	float		value;
	double		wide;

	if (length == sizeof(narrow))
	{
		memcpy(&value, &narrow, sizeof(value));
		wide = value;
		memcpy(&bits, &wide, sizeof(bits));
	}
	return bits;
}

/* One field of any other record, whose length fits its element. */
static void
steps_field(const TemplateStep *step, const uint8_t *field, size_t length,
			const StepsClock *clock, StepsParts *parts, StepsRecord *record)
{
	ElementUse	use = (ElementUse) step->element;

	switch (use)
	{
		case ELEMENT_SRC_IPV4:
		case ELEMENT_DST_IPV4:
			parts->ipv4[use == ELEMENT_DST_IPV4] = field;
			break;
		case ELEMENT_SRC_IPV6:
		case ELEMENT_DST_IPV6:
			parts->ipv6[use == ELEMENT_DST_IPV6] = field;
			break;
		case ELEMENT_FIRST_UPTIME:
		case ELEMENT_LAST_UPTIME:
			parts->uptime[step->reverse][use == ELEMENT_LAST_UPTIME] =
				(uint32_t) packet_number(field, length);
			parts->has_uptime[step->reverse][use == ELEMENT_LAST_UPTIME] = true;
			break;
		case ELEMENT_BOOT:
			parts->boot = times_from_milliseconds(packet_number(field, length));
			parts->has_boot = true;
			break;
		case ELEMENT_SAMPLING_PROBABILITY:
			steps_set_other(record, use, steps_float_bits(field, length));
			break;
		case ELEMENT_IP_SECTION:
		case ELEMENT_FRAME_SECTION:
		case ELEMENT_NAME:
		case ELEMENT_DESCRIPTION:
			record->octets[use - ELEMENT_FIRST_OCTETS] = packet_init(field, length);
			record->has |= STEPS_BIT(use);
			break;
		default:
			steps_take_number(step, packet_number(field, length), clock, record);
	}
}

static bool
steps_not_zero(const uint8_t *address, size_t length)
{
	Packet		packet = packet_init(address, address == NULL ? 0 : length);

	return !packet_all_zero(&packet);
}

/* The family that the addresses tell, 0 where there are none. */
static uint8_t
steps_family(const StepsParts *parts)
{
	bool		has_ipv4 = parts->ipv4[0] != NULL || parts->ipv4[1] != NULL;
	bool		has_ipv6 = parts->ipv6[0] != NULL || parts->ipv6[1] != NULL;

	if (!has_ipv6)
		return has_ipv4 ? 4 : 0;
	if (!has_ipv4)
		return 6;

	/* Room for both: the one that is not used is left zero. */
	if (steps_not_zero(parts->ipv4[0], 4) || steps_not_zero(parts->ipv4[1], 4))
		return 4;
	return steps_not_zero(parts->ipv6[0], 16) ||
		steps_not_zero(parts->ipv6[1], 16) ? 6 : 4;
}

/* Takes the address of the record's family, or the other one for want of it. */
static void
steps_set_address(Flow *flow, FlowField field, FlowAddress *member,
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
steps_place_uptimes(const Template *template, const StepsClock *clock,
					const StepsParts *parts, StepsRecord *record)
{
	uint32_t	uptime_now = clock->uptime;

	if (template->protocol == FLOW_IPFIX)
	{
		if (!parts->has_boot)
			return;
		uptime_now = (uint32_t) ((clock->export_time - parts->boot) / 1000);
	}
	for (int reverse = 0; reverse <= 1; reverse++)
		for (int last = 0; last <= 1; last++)
			if (parts->has_uptime[reverse][last])
				steps_set_time(reverse ? &record->reverse : &record->flow, last,
							   times_from_uptime(parts->uptime[reverse][last],
												 clock->export_time, uptime_now));
}

static void
steps_finish(const Template *template, const StepsClock *clock, const StepsParts *parts,
			 StepsRecord *record)
{
	Flow	   *flow = &record->flow;

	if (flow->family == 0)
		flow->family = steps_family(parts);
	steps_set_address(flow, FLOW_SRC_ADDR, &flow->src_addr, parts->ipv4[0], parts->ipv6[0]);
	steps_set_address(flow, FLOW_DST_ADDR, &flow->dst_addr, parts->ipv4[1], parts->ipv6[1]);
	steps_place_uptimes(template, clock, parts, record);
}

/* A variable-length field at the cursor (RFC 7011, 7). */
PACKET_MUST_CHECK static bool
steps_read_variable(Packet *packet, const uint8_t **field, size_t *length)
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
steps_step_field(const TemplateStep *step, Packet *rest, const uint8_t **field,
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
	if (!steps_read_variable(&at, field, length))
		return false;
	*rest = at;
	return true;
}

/* The way for records that are not plain. */
PACKET_MUST_CHECK static bool
steps_run_slowly(const Template *template, const StepsClock *clock, Packet *set,
				 StepsRecord *record)
{
	StepsParts	parts = {0};
	Packet		rest = *set;

	record->flow.present = record->reverse.present = 0;
	record->flow.family = 0;
	for (int i = 0; i < template->step_count; i++)
	{
		const TemplateStep *step = &template->steps[i];
		const uint8_t *field;
		size_t		length;

		if (!steps_step_field(step, &rest, &field, &length))
			return false;
		if (element_fits((ElementUse) step->element, length))
			steps_field(step, field, length, clock, &parts, record);
	}
	if (!packet_skip(&rest, template->tail_length))
		return false;
	steps_finish(template, clock, &parts, record);
	*set = rest;
	return true;
}

TemplateResult
steps_run(const Template *template, const StepsClock *clock, Packet *set, StepsRecord *record)
{
	const uint8_t *bytes;

	if (template->record_length == 0 || packet_left(set) < template->record_length)
		return TEMPLATE_END;
	record->flow.sampling_origin = FLOW_SAMPLING_UNKNOWN;
	record->has = 0;
	if (!template->plain)
		return steps_run_slowly(template, clock, set, record) ? TEMPLATE_OK : TEMPLATE_MALFORMED;

	if (!packet_bytes(set, template->record_length, &bytes))
		return TEMPLATE_END;
	record->flow.present = template->present;
	record->flow.family = template->family;
	record->reverse.present = template->reverse_present;
	for (int i = 0; i < template->step_count; i++)
		steps_do_plain(&template->steps[i], bytes + template->steps[i].offset, clock, record);
	return TEMPLATE_OK;
}

/* Of one field, whose first is at "field" and the next ones "stride" octets apart. */
static void
steps_number_column(const TemplateStep *step, const uint8_t *field, size_t stride,
					const StepsClock *clock, StepsColumns *columns)
{
	ElementUse	use = (ElementUse) step->element;

	columns->has_samplers |= use == ELEMENT_SAMPLER;
	for (uint32_t i = 0; i < columns->count; i++)
	{
		uint64_t	value = packet_number(field + i * stride, step->length);

		if (use == ELEMENT_SAMPLER)
			columns->samplers[i] = value;
		else
			steps_set_flow(use, value, clock, &columns->flows[i]);
	}
}

/*
 * Fields for many records, whose first is at "field" and the next ones "stride"
 * octets apart.  With the op known, the loops have no decision in them, and with all
 * that they read in variables of their own, nothing to read again.
 */
#define STEPS_COLUMN(op) \
	case op: \
		for (uint32_t i = 0; i < count; i++, field += stride, place += sizeof(Flow), flow++) \
			steps_do(op, field, now, place, flow); \
		break

static void
steps_do_column(StepsOp op, const TemplateStep *step, const uint8_t *field, size_t stride,
				const StepsClock *clock, StepsColumns *columns)
{
	const uint32_t count = columns->count;
	const StepsClock now = *clock;
	Flow	   *flow = columns->flows;
	uint8_t    *place = (uint8_t *) flow + step->member;

	switch (op)
	{
			STEPS_COLUMN(STEPS_U16);
			STEPS_COLUMN(STEPS_U32);
			STEPS_COLUMN(STEPS_U32_FROM_16);
			STEPS_COLUMN(STEPS_U64);
			STEPS_COLUMN(STEPS_U64_FROM_32);
			STEPS_COLUMN(STEPS_IPV4);
			STEPS_COLUMN(STEPS_IPV6);
			STEPS_COLUMN(STEPS_MILLISECONDS);
			STEPS_COLUMN(STEPS_UPTIME);
			STEPS_COLUMN(STEPS_UPTIME_NEAR);
			STEPS_COLUMN(STEPS_DIRECTION);
			STEPS_COLUMN(STEPS_SAMPLING);
		case STEPS_NUMBER:
			steps_number_column(step, field, stride, clock, columns);
			break;
	}
}

/* Two fields of one op, as most fields come: the loop itself is half of what a field costs. */
#define STEPS_PAIR(op) \
	case op: \
		for (uint32_t i = 0; i < count; i++, field += stride, place += sizeof(Flow)) \
		{ \
			steps_do(op, field, now, place, NULL); \
			steps_do(op, field + apart, now, place + places_apart, NULL); \
		} \
		return true

/* False, and nothing done, where it takes steps_do_column() for each of them. */
static bool
steps_do_pair(StepsOp op, const TemplateStep *step, const TemplateStep *next,
			  const uint8_t *field, size_t stride, const StepsClock *clock, StepsColumns *columns)
{
	const uint32_t count = columns->count;
	const ptrdiff_t apart = (ptrdiff_t) next->offset - (ptrdiff_t) step->offset;
	const ptrdiff_t places_apart = (ptrdiff_t) next->member - (ptrdiff_t) step->member;
	uint8_t    *place = (uint8_t *) columns->flows + step->member;
	const StepsClock now = *clock;

	switch (op)
	{
			STEPS_PAIR(STEPS_U32);
			STEPS_PAIR(STEPS_U32_FROM_16);
			STEPS_PAIR(STEPS_U64);
			STEPS_PAIR(STEPS_U64_FROM_32);
			STEPS_PAIR(STEPS_MILLISECONDS);
			STEPS_PAIR(STEPS_UPTIME_NEAR);
		default:
			return false;
	}
}

static void
steps_do_columns(const Template *template, const uint8_t *bytes, const StepsClock *clock,
				 StepsColumns *columns)
{
	const size_t stride = template->record_length;
	const bool	near = times_uptimes_are_near(clock->export_time);
	const TemplateStep *const end = template->steps + template->step_count;

	for (const TemplateStep *step = template->steps; step < end; step++)
	{
		StepsOp		op = step->op == STEPS_UPTIME && near ? STEPS_UPTIME_NEAR : (StepsOp) step->op;
		const TemplateStep *next = step + 1;

		if (columns->no_addresses && steps_is_address(op))
			continue;
		if (next < end && next->op == step->op &&
			steps_do_pair(op, step, next, bytes + step->offset, stride, clock, columns))
			step++;
		else
			steps_do_column(op, step, bytes + step->offset, stride, clock, columns);
	}
}

void
steps_run_columns(const Template *template, const StepsClock *clock, Packet *set,
				  StepsColumns *columns)
{
	const size_t stride = template->record_length;
	const uint32_t unwanted = columns->no_addresses ?
		FLOW_BIT(FLOW_SRC_ADDR) | FLOW_BIT(FLOW_DST_ADDR) : 0;
	const Flow	common = {
		.present = template->present & ~unwanted,
		.protocol = template->protocol,
		.family = template->family,
		.domain = template->domain,
		.received = columns->received,
		.exported = clock->export_time
	};
	const uint8_t *bytes;
	const Flow *end;

	columns->has_samplers = false;
	if (stride == 0)
		columns->count = 0;
	else if (packet_left(set) / stride < columns->count)
		columns->count = (uint32_t) (packet_left(set) / stride);
	if (!packet_bytes(set, columns->count * stride, &bytes))
		columns->count = 0;
	end = columns->flows + columns->count;
	for (Flow *flow = columns->flows; flow < end; flow++)
		memcpy(flow, &common, offsetof(Flow, bytes));
	steps_do_columns(template, bytes, clock, columns);
}
