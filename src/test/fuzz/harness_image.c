/*
 * harness_image.c
 *	  What decoder_save() writes, as it may come back from a damaged disk: loaded,
 *	  and used.
 */
#include "harness.h"

#include "check.h"
#include "subject.h"

#define HARNESS_START		INT64_C(1700000000000000)
#define HARNESS_CHECKSUM	8
#define HARNESS_RECORDS		400		/* octets of data for each template */
#define HARNESS_TEMPLATES	16

static const DecoderLimits harness_limits = {
	.exporters = 8,.templates = HARNESS_TEMPLATES,.samplers = 8,.pending = 1024
};

/* The checksum of save.c, without which nothing would be looked at. */
static void
harness_checksum(uint8_t *image, size_t length)
{
	uint64_t	checksum = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < length; i++)
		checksum = (checksum ^ image[i]) * UINT64_C(1099511628211);
	for (int i = 0; i < HARNESS_CHECKSUM; i++)
		image[length + i] = (uint8_t) (checksum >> 8 * (HARNESS_CHECKSUM - 1 - i));
}

static size_t
harness_number(uint8_t *octets, uint64_t value, size_t width)
{
	for (size_t i = 0; i < width; i++)
		octets[i] = (uint8_t) (value >> 8 * (width - 1 - i));
	return width;
}

/* A message with one set, for that template, filled with octets of the image. */
static size_t
harness_message(const Template *template, const uint8_t *data, size_t length, uint8_t *message)
{
	size_t		content = length < HARNESS_RECORDS ? length : HARNESS_RECORDS;
	bool		is_ipfix = template->protocol == FLOW_IPFIX;
	size_t		used = 0;

	used += harness_number(message + used, template->protocol, 2);
	used += harness_number(message + used, is_ipfix ? 16 + 4 + content : 1, 2);
	used += harness_number(message + used, 1000000, is_ipfix ? 4 : 8);
	used += harness_number(message + used, 0, 4);
	used += harness_number(message + used, template->domain, 4);
	used += harness_number(message + used, template->id, 2);
	used += harness_number(message + used, 4 + content, 2);
	memcpy(message + used, data + length - content, content);
	return used + content;
}

/* Every template that was learned can be used. */
static void
harness_use(Subject *subject, const uint8_t *data, size_t length)
{
	uint8_t		message[32 + HARNESS_RECORDS];
	uint32_t	position = 0;
	const Template *template;

	while ((template = lru_next(subject->decoder->templates->all, &position)) != NULL)
	{
		Datagram	datagram = {
			.data = message,
			.length = harness_message(template, data, length, message),
			.source = template->address,
			.port = template->port,
			.known = template->link.class == LRU_KNOWN,
			.received = HARNESS_START
		};

		subject_decode(subject, &datagram, false);
	}
}

void
harness_image(const uint8_t *data, size_t length)
{
	static Subject subjects[2];
	uint8_t    *image = malloc(length + HARNESS_CHECKSUM);

	CHECK(image != NULL);
	if (length > 0)
		memcpy(image, data, length);
	harness_checksum(image, length);

	/* as it is, and then as if it were whole */
	subject_init(&subjects[0], &harness_limits);
	decoder_load(subjects[0].decoder, image, length);
	subject_init(&subjects[0], &harness_limits);
	decoder_load(subjects[0].decoder, image, length + HARNESS_CHECKSUM);
	free(image);

	harness_use(&subjects[0], data, length);
	subject_restart(&subjects[0], &subjects[1]);
}
