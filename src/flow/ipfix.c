/*
 * ipfix.c
 *	  NetFlow version 9 (RFC 3954) and IPFIX (RFC 7011): one format with two
 *	  headers.
 *
 * A message is a header and sets; a set holds templates, options templates, or
 * data records of one template.
 *
 * What differs: IPFIX tells the message's length and counts records in its
 * sequence number; v9 tells a number of records that is often wrong, and counts
 * datagrams.  Template sets have other ids.  Enterprise numbers exist in IPFIX
 * only.  Options templates tell their size in octets (v9) or fields (IPFIX).
 */
#include "ipfix.h"

#include "options.h"
#include "record.h"
#include "steps.h"
#include "times.h"

#define V9_HEADER				20
#define IPFIX_HEADER			16
#define IPFIX_SET_HEADER		4
#define IPFIX_TEMPLATE_HEADER	4

/* Ids of sets (RFC 3954, 5.2 and 6.1; RFC 7011, 3.3.2). */
#define V9_TEMPLATES			0
#define V9_OPTIONS_TEMPLATES	1
#define IPFIX_TEMPLATES			2
#define IPFIX_OPTIONS_TEMPLATES 3

/* Templates and their data sets have ids from here on. */
#define IPFIX_MIN_TEMPLATE		256

typedef struct IpfixHeader
{
	uint16_t	version;
	size_t		length;			/* of the message, this header included */
	uint32_t	export_seconds;
	uint32_t	uptime;			/* milliseconds; v9 only */
	uint32_t	sequence;
	uint32_t	domain;			/* observation domain or source id */
} IpfixHeader;

/* A message on its way through the sets. */
typedef struct IpfixState
{
	Message    *message;
	Exporter   *exporter;
	TemplateKey key;			/* of the message's templates, but for the id */
	StepsClock	clock;
	size_t		behind;			/* octets of the datagram behind the message */
	uint32_t	data_records;	/* options data included */
	bool		uncounted;		/* and more in sets that we could not read */
	RecordRates rates;
	StepsRecord record;
} IpfixState;

PACKET_MUST_CHECK static bool
ipfix_read_header(Packet *packet, IpfixHeader *header)
{
	const uint8_t *bytes;
	size_t		left = packet_left(packet);

	memset(header, 0, sizeof(*header));
	if (!packet_u16(packet, &header->version))
		return false;
	if (header->version == FLOW_NETFLOW_V9)
	{
		if (!packet_bytes(packet, V9_HEADER - 2, &bytes))
			return false;
		header->length = left;
		header->uptime = packet_be32(bytes + 2);
		header->export_seconds = packet_be32(bytes + 6);
		header->sequence = packet_be32(bytes + 10);
		header->domain = packet_be32(bytes + 14);
	}
	else
	{
		if (!packet_bytes(packet, IPFIX_HEADER - 2, &bytes))
			return false;
		header->length = packet_be16(bytes);
		header->export_seconds = packet_be32(bytes + 2);
		header->sequence = packet_be32(bytes + 6);
		header->domain = packet_be32(bytes + 10);
	}
	return true;
}

/*
 * Options templates say how much of them is scope.  Fields and scope fields in
 * IPFIX (RFC 7011, 3.4.2.2); octets of the specifiers of scope fields and of
 * option fields in v9 (RFC 3954, 6.1), of which "field_count" has the first.
 */
PACKET_MUST_CHECK static bool
ipfix_read_options_counts(const IpfixState *state, Packet *set, TemplateShape *shape)
{
	uint16_t	other;
	uint32_t	octets;

	if (!packet_u16(set, &other))
		return false;
	if (state->key.protocol == FLOW_IPFIX)
	{
		shape->scope_count = other;
		return true;
	}
	octets = (uint32_t) shape->field_count + other;
	if (octets % 4 != 0)
		return false;
	shape->scope_count = (uint16_t) (shape->field_count / 4);
	shape->field_count = (uint16_t) (octets / 4);
	return true;
}

/* Of one template, or of all of a kind; void over UDP (RFC 7011, 8.1 and 8.4). */
static bool
ipfix_is_withdrawal(const TemplateKey *key, uint16_t field_count)
{
	return key->protocol == FLOW_IPFIX && field_count == 0 &&
		(key->id >= IPFIX_MIN_TEMPLATE || key->id == IPFIX_TEMPLATES ||
		 key->id == IPFIX_OPTIONS_TEMPLATES);
}

/* The records of a data set, many at a time; how many there were. */
static uint32_t
ipfix_decode_columns(IpfixState *state, Packet set, const Template *template)
{
	uint32_t	count = 0;
	StepsColumns columns;

	columns.received = state->message->received;
	columns.no_addresses = state->message->sinks->no_addresses;
	while (packet_left(&set) >= template->record_length)
	{
		columns.count = message_room(state->message);
		columns.flows = message_place(state->message);
		steps_run_columns(template, &state->clock, &set, &columns);
		record_emit_columns(state->message, state->exporter, &state->rates, &columns);
		count += columns.count;
	}
	return count;
}

/*
 * The same, one by one.  The rates that are known for records change with what
 * options data tells.
 */
static uint32_t
ipfix_decode_records(IpfixState *state, Packet set, const Template *template)
{
	uint32_t	count = 0;
	TemplateResult result;

	while ((result = steps_run(template, &state->clock, &set, &state->record)) == TEMPLATE_OK)
	{
		count++;
		if (!template->options)
			record_emit(state->message, state->exporter, &state->rates, &state->record);
		else if (options_learn(state->message, &state->key, &state->record))
			record_rates_init(&state->rates, &state->key);
	}
	if (result == TEMPLATE_MALFORMED)
	{
		state->exporter->errors[DECODE_BAD_LENGTH]++;
		state->uncounted = true;
	}
	return count;
}

static void
ipfix_decode_data(IpfixState *state, Packet set, Template *template)
{
	uint32_t	count;

	if (template->record_length == 0)
	{
		state->exporter->errors[DECODE_ZERO_LENGTH]++;
		state->uncounted = true;
		return;
	}
	count = template->columns ? ipfix_decode_columns(state, set, template) :
		ipfix_decode_records(state, set, template);
	template->records += count;
	state->data_records += count;
	if (template->options)
		state->exporter->options += count;
}

/* A data set whose template is not known: it waits, or is lost. */
static void
ipfix_keep_data(IpfixState *state, Packet set, const TemplateKey *key)
{
	PendingDrop drop = message_drop(state->message);
	PendingSet	pending = {
		.key = *key,
		.clock = state->clock,
		.received = state->message->received,
		.length = (uint32_t) packet_left(&set),
	};

	state->uncounted = true;
	if (key->id >= IPFIX_MIN_TEMPLATE &&
		pending_add(state->message->pending, &pending, set.current, &drop))
		state->exporter->waiting_sets++;
	else
		state->exporter->errors[DECODE_NO_TEMPLATE]++;
}

/*
 * The sets that have waited for a template, in the order in which they came, as
 * if they came now but with the clocks of their own time.  They belong to the
 * counts of their own messages, not to this one's.
 */
static void
ipfix_decode_pending(IpfixState *state, const TemplateKey *key)
{
	Message    *message = state->message;
	IpfixState	late = *state;
	int64_t		received = message->received;
	int64_t		exported = message->exported;
	Template   *template = template_find(message->templates, key);
	PendingSet	set;
	Packet		data;

	while (template != NULL && pending_take(message->pending, key, &set, &data))
	{
		late.clock = set.clock;
		message->received = set.received;
		message->exported = set.clock.export_time;
		ipfix_decode_data(&late, data, template);
		late.exporter->late_sets++;
		if (late.exporter->waiting_sets > 0)
			late.exporter->waiting_sets--;
	}
	message->received = received;
	message->exported = exported;
	record_rates_init(&state->rates, &state->key);
}

/* The template may push out another one of the same exporter. */
static TemplateResult
ipfix_learn_template(IpfixState *state, const TemplateKey *key, const TemplateShape *shape,
					 Packet *fields)
{
	TemplateTable *templates = state->message->templates;
	uint64_t	pushed_out = templates->pushed_out;
	TemplateResult result;

	state->exporter->templates++;
	result = template_learn(templates, key, shape, fields, state->message->received);
	state->exporter->templates_pushed_out += templates->pushed_out - pushed_out;
	if (result == TEMPLATE_OK && pending_count(state->message->pending) > 0)
		ipfix_decode_pending(state, key);
	return result;
}

/* One template record; TEMPLATE_END where only padding is left. */
static TemplateResult
ipfix_read_template(IpfixState *state, Packet *set, bool options)
{
	TemplateKey key = state->key;
	TemplateShape shape = {.options = options};

	if (packet_left(set) < IPFIX_TEMPLATE_HEADER || packet_all_zero(set))
		return TEMPLATE_END;
	if (!packet_u16(set, &key.id) || !packet_u16(set, &shape.field_count))
		return TEMPLATE_MALFORMED;

	if (ipfix_is_withdrawal(&key, shape.field_count))
		return TEMPLATE_OK;
	if (key.id < IPFIX_MIN_TEMPLATE)
		return TEMPLATE_MALFORMED;
	if (options && !ipfix_read_options_counts(state, set, &shape))
		return TEMPLATE_MALFORMED;
	return ipfix_learn_template(state, &key, &shape, set);
}

static void
ipfix_decode_templates(IpfixState *state, Packet set, bool options)
{
	for (;;)
	{
		TemplateResult result = ipfix_read_template(state, &set, options);

		if (result == TEMPLATE_END)
			return;
		if (result != TEMPLATE_OK)
			state->exporter->errors[DECODE_BAD_TEMPLATE]++;
		if (result == TEMPLATE_MALFORMED)
			return;
	}
}

static void
ipfix_decode_set(IpfixState *state, uint16_t id, Packet set)
{
	bool		is_ipfix = state->key.protocol == FLOW_IPFIX;
	TemplateKey key = state->key;
	Template   *template;

	key.id = id;
	if (id == (is_ipfix ? IPFIX_TEMPLATES : V9_TEMPLATES))
		ipfix_decode_templates(state, set, false);
	else if (id == (is_ipfix ? IPFIX_OPTIONS_TEMPLATES : V9_OPTIONS_TEMPLATES))
		ipfix_decode_templates(state, set, true);
	else if ((template = template_find(state->message->templates, &key)) != NULL)
		ipfix_decode_data(state, set, template);
	else
		ipfix_keep_data(state, set, &key);
}

/* The set does not fit where its header says that it does. */
static void
ipfix_bad_length(IpfixState *state)
{
	state->exporter->errors[DECODE_BAD_LENGTH]++;
	state->uncounted = true;
}

/*
 * The header of the next set and what is in it; false at the end.
 *
 * A set that runs over the end of the message, but not of the datagram, is cut
 * at the end of the message: there are exporters that tell a message length
 * without the padding at its end.
 */
PACKET_MUST_CHECK static bool
ipfix_next_set(IpfixState *state, Packet *sets, uint16_t *id, Packet *set)
{
	Packet		rest = *sets;
	uint16_t	length;
	size_t		content;

	/* Some exporters fill the datagram up with zeros (PAN-OS 8.1). */
	if (packet_all_zero(sets))
		return false;
	if (!packet_u16(&rest, id) || !packet_u16(&rest, &length) || length < IPFIX_SET_HEADER)
	{
		ipfix_bad_length(state);
		return false;
	}
	content = length - IPFIX_SET_HEADER;
	if (content > packet_left(&rest))
	{
		ipfix_bad_length(state);
		if (content - packet_left(&rest) > state->behind)
			return false;
		content = packet_left(&rest);
	}
	*sets = rest;
	return packet_part(sets, content, set);
}

static void
ipfix_decode_sets(IpfixState *state, Packet sets)
{
	uint16_t	id;
	Packet		set;

	while (ipfix_next_set(state, &sets, &id, &set))
		ipfix_decode_set(state, id, set);
}

static void
ipfix_note_sequence(const IpfixState *state, const IpfixHeader *header)
{
	if (header->version == FLOW_NETFLOW_V9)
		exporter_sequence(state->exporter, header->sequence, 1);
	else if (state->uncounted)
		exporter_sequence_unknown(state->exporter, header->sequence);
	else
		exporter_sequence(state->exporter, header->sequence, state->data_records);
}

/* What all sets of the message share. */
static void
ipfix_prepare(IpfixState *state, Message *message, Exporter *exporter,
			  const IpfixHeader *header)
{
	memset(state, 0, sizeof(*state));
	state->message = message;
	state->exporter = exporter;
	state->key.address = *message->source;
	state->key.domain = header->domain;
	state->key.port = message->port;
	state->key.protocol = (uint8_t) header->version;
	state->key.known = message->known;
	state->clock.export_time = times_from_seconds(header->export_seconds);
	state->clock.uptime = header->uptime;
	record_rates_init(&state->rates, &state->key);
	state->record.flow.protocol = (uint8_t) header->version;
	state->record.flow.domain = header->domain;
}

size_t
ipfix_decode(Message *message)
{
	Packet		packet = message->packet;
	size_t		left = packet_left(&packet);
	size_t		header_length;
	IpfixHeader header;
	IpfixState	state;
	Exporter   *exporter;
	Packet		sets;

	if (!ipfix_read_header(&packet, &header))
	{
		message_exporter(message, (uint8_t) header.version, 0)->errors[DECODE_SHORT]++;
		return 0;
	}
	exporter = message_exporter(message, (uint8_t) header.version, header.domain);
	header_length = left - packet_left(&packet);
	if (header.length < header_length ||
		!packet_part(&packet, header.length - header_length, &sets))
	{
		exporter->errors[DECODE_BAD_LENGTH]++;
		return 0;
	}

	ipfix_prepare(&state, message, exporter, &header);
	exporter->skew = state.clock.export_time - message->received;
	message->exported = state.clock.export_time;
	state.behind = packet_left(&packet);
	ipfix_decode_sets(&state, sets);
	ipfix_note_sequence(&state, &header);
	return message_end(message, exporter, header.length);
}
