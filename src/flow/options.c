/*
 * options.c
 *	  What options data teaches: sampling rates and names of interfaces.
 */
#include "options.h"

#include "record.h"
#include "sampling.h"

static bool
options_learn_rate(const Message *message, const TemplateKey *key, const StepsRecord *record)
{
	SamplingFields fields = record_sampling_fields(record);
	SamplerKey	sampler = {
		.address = key->address,
		.domain = key->domain,
		.protocol = key->protocol,
		.kind = SAMPLER_OF_EXPORTER,
	};
	uint32_t	rate;

	if (FLOW_HAS(&record->flow, FLOW_SAMPLING))
		fields.interval = record->flow.sampling;
	rate = sampling_rate(&fields);
	if (rate == 0)
		return false;
	if (STEPS_HAS(record, ELEMENT_SAMPLER))
	{
		sampler.kind = SAMPLER_OF_ID;
		sampler.id = steps_number(record, ELEMENT_SAMPLER);
	}
	else if (FLOW_HAS(&record->flow, FLOW_IN_IF))
	{
		sampler.kind = SAMPLER_OF_INTERFACE;
		sampler.id = record->flow.in_if;
	}
	sampling_learn(message->samplers, &sampler, key->known, rate, message->received);
	(*message->samplers_version)++;
	return true;
}

/*
 * Octets of the character at the start of "text", 0 where that is none: UTF-8
 * without overlong forms, surrogates and control characters (RFC 3629, 4).
 */
static size_t
options_character(Packet text)
{
	static const uint32_t least[] = {0, 0x20, 0xa0, 0x800, 0x10000};
	const uint8_t *octets;
	size_t		length;
	uint32_t	code;

	if (!packet_bytes(&text, 1, &octets))
		return 0;
	length = octets[0] < 0x80 ? 1 : octets[0] < 0xc0 ? 0 : octets[0] < 0xe0 ? 2 :
		octets[0] < 0xf0 ? 3 : octets[0] < 0xf8 ? 4 : 0;
	if (length == 0 || packet_left(&text) < length - 1)
		return 0;
	code = length == 1 ? octets[0] : octets[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++)
	{
		if ((octets[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (octets[i] & 0x3f);
	}
	if (code < least[length] || code == 0x7f || code > 0x10ffff ||
		(code >= 0xd800 && code <= 0xdfff))
		return 0;
	return length;
}

/* Text up to a zero or the end, without what is no character, and trimmed. */
static void
options_text(Packet text, char *name)
{
	const uint8_t *octets;
	size_t		used = 0;

	for (;;)
	{
		size_t		length = options_character(text);

		if (!packet_bytes(&text, length > 0 ? length : 1, &octets) || octets[0] == 0 ||
			used + length >= FLOW_NAME_SIZE)
			break;
		memcpy(name + used, octets, length);
		used += length;
	}
	while (used > 0 && name[used - 1] == ' ')
		used--;
	name[used] = '\0';
}

static void
options_learn_names(const Message *message, const StepsRecord *record)
{
	FlowInterface interface = {.id = record->flow.in_if};

	if (!FLOW_HAS(&record->flow, FLOW_IN_IF) || message->sinks->interface == NULL)
		return;
	options_text(steps_octets(record, ELEMENT_NAME), interface.name);
	options_text(steps_octets(record, ELEMENT_DESCRIPTION), interface.description);
	if (interface.name[0] != '\0' || interface.description[0] != '\0')
		message->sinks->interface(message->sinks->context, &interface);
}

bool
options_learn(const Message *message, const TemplateKey *key, const StepsRecord *record)
{
	options_learn_names(message, record);
	return options_learn_rate(message, key, record);
}
