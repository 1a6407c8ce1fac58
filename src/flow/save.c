/*
 * save.c
 *	  What should survive a restart, as octets: templates and samplers.
 *
 * All numbers are big-endian, so that packet.h can read them:
 *
 *   u32 magic, u16 version, u16 0, u32 templates, u32 samplers,
 *   the templates, the samplers, u64 checksum of all before it
 *
 * Of a template that is the steps, as places and elements; what is derived from
 * them is derived anew, so that nothing in an image can make a template that
 * could not have come over the network.
 */
#include "decode.h"
#include "elements.h"
#include "sampling.h"
#include "times.h"

#define SAVE_MAGIC		UINT32_C(0x4c466473)
#define SAVE_VERSION	1

/* TemplateStep.element is saved: where the enum changes, so does the version. */
_Static_assert(ELEMENT_USES == 41 && SAVE_VERSION == 1, "raise SAVE_VERSION");

#define SAVE_OPTIONS	1
#define SAVE_KNOWN		2
#define SAVE_VARIABLE	1
#define SAVE_REVERSE	2

/* FNV-1a, 64 bit. */
#define SAVE_CHECKSUM	UINT64_C(14695981039346656037)
#define SAVE_PRIME		UINT64_C(1099511628211)

typedef struct SaveWriter
{
	uint8_t    *image;
	size_t		size;
	size_t		length;			/* also of what did not fit */
	uint64_t	checksum;
} SaveWriter;

static void
save_octet(SaveWriter *writer, uint8_t octet)
{
	if (writer->length < writer->size)
		writer->image[writer->length] = octet;
	writer->length++;
	writer->checksum = (writer->checksum ^ octet) * SAVE_PRIME;
}

static void
save_number(SaveWriter *writer, uint64_t value, int width)
{
	while (width-- > 0)
		save_octet(writer, (uint8_t) (value >> 8 * width));
}

static void
save_address(SaveWriter *writer, const FlowAddress *address)
{
	for (size_t i = 0; i < sizeof(address->octets); i++)
		save_octet(writer, address->octets[i]);
}

static void
save_template(SaveWriter *writer, const Template *template)
{
	save_address(writer, &template->address);
	save_number(writer, template->domain, 4);
	save_number(writer, template->port, 2);
	save_number(writer, template->id, 2);
	save_number(writer, template->protocol, 1);
	save_number(writer, (template->options ? SAVE_OPTIONS : 0) |
				(template->link.class == LRU_KNOWN ? SAVE_KNOWN : 0), 1);
	save_number(writer, template->field_count, 2);
	save_number(writer, template->step_count, 2);
	save_number(writer, template->tail_length, 2);
	save_number(writer, (uint64_t) template->first_seen, 8);
	save_number(writer, (uint64_t) template->last_seen, 8);
	save_number(writer, template->records, 8);
	for (int i = 0; i < template->step_count; i++)
	{
		const TemplateStep *step = &template->steps[i];

		save_number(writer, step->offset, 2);
		save_number(writer, step->length, 2);
		save_number(writer, step->element, 1);
		save_number(writer, (step->variable ? SAVE_VARIABLE : 0) |
					(step->reverse ? SAVE_REVERSE : 0), 1);
	}
}

static void
save_sampler(SaveWriter *writer, const Sampler *sampler)
{
	save_address(writer, &sampler->key.address);
	save_number(writer, sampler->key.domain, 4);
	save_number(writer, sampler->key.protocol, 1);
	save_number(writer, sampler->key.kind, 1);
	save_number(writer, sampler->key.id, 8);
	save_number(writer, sampler->rate, 4);
	save_number(writer, sampler->link.class == LRU_KNOWN, 1);
	save_number(writer, (uint64_t) sampler->last_seen, 8);
}

size_t
decoder_save(const Decoder *decoder, uint8_t *image, size_t size)
{
	SaveWriter	writer = {.image = image,.size = size,.checksum = SAVE_CHECKSUM};
	uint32_t	position = 0;
	const Template *template;
	const Sampler *sampler;

	save_number(&writer, SAVE_MAGIC, 4);
	save_number(&writer, SAVE_VERSION, 2);
	save_number(&writer, 0, 2);
	save_number(&writer, lru_count(decoder->templates->all), 4);
	save_number(&writer, lru_count(decoder->samplers), 4);
	while ((template = lru_next(decoder->templates->all, &position)) != NULL)
		save_template(&writer, template);
	position = 0;
	while ((sampler = lru_next(decoder->samplers, &position)) != NULL)
		save_sampler(&writer, sampler);
	save_number(&writer, writer.checksum, 8);
	return writer.length;
}

/* A number of the image; 0, and "good" false, behind its end. */
static uint64_t
load_number(Packet *image, bool *good, size_t width)
{
	const uint8_t *bytes;

	if (!packet_bytes(image, width, &bytes))
	{
		*good = false;
		return 0;
	}
	return packet_number(bytes, width);
}

static void
load_address(Packet *image, bool *good, FlowAddress *address)
{
	const uint8_t *bytes;

	if (packet_bytes(image, sizeof(address->octets), &bytes))
		memcpy(address->octets, bytes, sizeof(address->octets));
	else
		*good = false;
}

static int64_t
load_time(Packet *image, bool *good)
{
	return times_clamp((int64_t) load_number(image, good, 8));
}

static void
load_step(Packet *image, bool *good, TemplateStep *step)
{
	uint8_t		flags;

	step->offset = (uint16_t) load_number(image, good, 2);
	step->length = (uint16_t) load_number(image, good, 2);
	step->element = (uint8_t) load_number(image, good, 1);
	flags = (uint8_t) load_number(image, good, 1);
	step->variable = (flags & SAVE_VARIABLE) != 0;
	step->reverse = (flags & SAVE_REVERSE) != 0;
}

PACKET_MUST_CHECK static bool
load_template(Decoder *decoder, Packet *image)
{
	Template	template = {0};
	bool		good = true;
	uint8_t		flags;

	load_address(image, &good, &template.address);
	template.domain = (uint32_t) load_number(image, &good, 4);
	template.port = (uint16_t) load_number(image, &good, 2);
	template.id = (uint16_t) load_number(image, &good, 2);
	template.protocol = (uint8_t) load_number(image, &good, 1);
	flags = (uint8_t) load_number(image, &good, 1);
	template.options = (flags & SAVE_OPTIONS) != 0;
	template.field_count = (uint16_t) load_number(image, &good, 2);
	template.step_count = (uint16_t) load_number(image, &good, 2);
	template.tail_length = (uint32_t) load_number(image, &good, 2);
	template.first_seen = load_time(image, &good);
	template.last_seen = load_time(image, &good);
	template.records = load_number(image, &good, 8);
	if (!good || template.step_count > TEMPLATE_MAX_STEPS)
		return false;
	for (int i = 0; i < template.step_count; i++)
		load_step(image, &good, &template.steps[i]);
	return good && template_restore(decoder->templates, &template, (flags & SAVE_KNOWN) != 0);
}

PACKET_MUST_CHECK static bool
load_sampler(Decoder *decoder, Packet *image)
{
	SamplerKey	key = {0};
	bool		good = true;
	uint32_t	rate;
	bool		known;
	int64_t		last_seen;

	load_address(image, &good, &key.address);
	key.domain = (uint32_t) load_number(image, &good, 4);
	key.protocol = (uint8_t) load_number(image, &good, 1);
	key.kind = (uint8_t) load_number(image, &good, 1);
	key.id = load_number(image, &good, 8);
	rate = (uint32_t) load_number(image, &good, 4);
	known = load_number(image, &good, 1) != 0;
	last_seen = load_time(image, &good);
	if (!good || rate == 0 || key.kind >= SAMPLER_KINDS)
		return false;
	sampling_learn(decoder->samplers, &key, known, rate, last_seen);
	decoder->samplers_version++;
	return true;
}

/* Is the image whole?  Takes the checksum off its end. */
PACKET_MUST_CHECK static bool
load_check(Packet *image)
{
	uint64_t	checksum = SAVE_CHECKSUM;
	Packet		end = *image;
	bool		good = true;

	if (packet_left(image) < 8 || !packet_part(&end, packet_left(image) - 8, image))
		return false;
	for (size_t i = 0; i < packet_left(image); i++)
		checksum = (checksum ^ image->current[i]) * SAVE_PRIME;
	return load_number(&end, &good, 8) == checksum;
}

bool
decoder_load(Decoder *decoder, const uint8_t *image, size_t size)
{
	Packet		packet = packet_init(image, size);
	bool		good = true;
	uint64_t	templates;
	uint64_t	samplers;

	if (!load_check(&packet) || load_number(&packet, &good, 4) != SAVE_MAGIC ||
		load_number(&packet, &good, 2) != SAVE_VERSION || load_number(&packet, &good, 2) != 0)
		return false;
	templates = load_number(&packet, &good, 4);
	samplers = load_number(&packet, &good, 4);
	while (good && templates-- > 0)
		good = load_template(decoder, &packet);
	while (good && samplers-- > 0)
		good = load_sampler(decoder, &packet);
	return good && packet_left(&packet) == 0;
}
