/*
 * test_save.c
 *	  Templates and samplers over a restart.
 */
#include "build_packet.h"

#include "elements.h"
#include "sampling.h"

typedef struct Image
{
	size_t		length;
	uint8_t    *octets;
} Image;

static Image
save(const Bench *bench)
{
	Image		image = {.length = decoder_save(bench->decoder, NULL, 0)};

	image.octets = malloc(image.length);
	assert_non_null(image.octets);
	assert_int_equal(decoder_save(bench->decoder, image.octets, image.length), image.length);
	return image;
}

/* From memory of just that size. */
static bool
load(Bench *bench, const uint8_t *octets, size_t length)
{
	uint8_t    *copy = malloc(length + 1);
	bool		good;

	memcpy(copy, octets, length);
	good = decoder_load(bench->decoder, copy, length);
	free(copy);
	return good;
}

/* Makes a changed image look whole again. */
static void
seal(Image *image)
{
	uint64_t	checksum = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < image->length - 8; i++)
		checksum = (checksum ^ image->octets[i]) * UINT64_C(1099511628211);
	for (size_t i = 0; i < 8; i++)
		image->octets[image->length - 8 + i] = (uint8_t) (checksum >> 8 * (7 - i));
}

static void
put_reverse(Buffer *buffer, uint16_t type, uint16_t length)
{
	put_u16(buffer, 0x8000 | type);
	put_u16(buffer, length);
	put_u32(buffer, 29305);
}

/* Data and options templates of all kinds, and a sampler. */
static void
put_templates(Buffer *buffer)
{
	size_t		set;

	buffer->length = 0;
	put_ipfix_header(buffer, 0, 1);
	set = begin_set(buffer, 2);
	put_template(buffer, 300, 8, (const uint16_t[][2]) {{4, 1}, {8, 4}, {12, 4}, {1, 8}, {2, 4},
				 {10, 2}, {152, 8}, {5, 7}});
	put_u16(buffer, 301);
	put_u16(buffer, 9);
	put_fields(buffer, 7, (const uint16_t[][2]) {{160, 8}, {22, 4}, {90, 65535}, {27, 16},
			   {8, 4}, {1, 65535}, {91, 65535}});
	put_reverse(buffer, 1, 4);
	put_reverse(buffer, 22, 4);
	put_template(buffer, 302, 3, (const uint16_t[][2]) {{48, 2}, {313, 20}, {6, 3}});
	put_template(buffer, 303, 1, (const uint16_t[][2]) {{1, 0}});
	end_set(buffer, set);
	set = begin_set(buffer, 3);
	put_u16(buffer, 400);
	put_u16(buffer, 4);
	put_u16(buffer, 1);
	put_fields(buffer, 4, (const uint16_t[][2]) {{302, 4}, {309, 4}, {310, 4}, {82, 5}});
	end_set(buffer, set);
	set = begin_set(buffer, 400);
	put_u32(buffer, 7);
	put_u32(buffer, 1);
	put_u32(buffer, 2000);
	put_bytes(buffer, "name", 5);
	end_set(buffer, set);
	end_ipfix(buffer);
}

/* Records of them all. */
static void
put_data(Buffer *buffer)
{
	size_t		set;

	buffer->length = 0;
	put_ipfix_header(buffer, 1, 1);
	set = begin_set(buffer, 300);
	put_fill(buffer, 1, 2 * 38);
	end_set(buffer, set);
	set = begin_set(buffer, 301);
	put_u64(buffer, 999900000);
	put_u32(buffer, 1000);
	put_u8(buffer, 2);
	put_fill(buffer, 2, 2 + 16 + 4);
	put_u8(buffer, 3);
	put_fill(buffer, 3, 3);
	put_u8(buffer, 0);
	put_u32(buffer, 4);
	put_u32(buffer, 2000);
	end_set(buffer, set);
	set = begin_set(buffer, 302);
	put_u16(buffer, 7);
	put_u16(buffer, 0x4500);
	put_u16(buffer, 1400);
	put_zeros(buffer, 16);
	put_zeros(buffer, 3);
	end_set(buffer, set);
	set = begin_set(buffer, 303);
	put_zeros(buffer, 4);
	end_set(buffer, set);
	end_ipfix(buffer);
}

static void
test_restart(void **state)
{
	Bench	   *before = bench_make(8, 8);
	Bench	   *after = bench_make(8, 8);
	Buffer		buffer;
	Image		image;
	uint32_t	position = 0;
	const Template *template;
	const Sampler *sampler;

	(void) state;
	put_templates(&buffer);
	bench_decode(before, &buffer);
	assert_int_equal(exporter_errors(bench_exporter(before, FLOW_IPFIX, 1)), 0);
	image = save(before);
	assert_true(load(after, image.octets, image.length));
	assert_int_equal(lru_count(after->decoder->templates->all), 5);
	assert_int_equal(lru_count(after->decoder->samplers), 1);
	assert_int_equal(lru_count(after->decoder->exporters), 0);
	sampler = lru_next(after->decoder->samplers, &position);
	assert_int_equal(sampler->rate, 2000);
	assert_int_equal(sampler->key.id, 7);
	assert_int_equal(sampler->last_seen, BENCH_RECEIVED);
	position = 0;
	while ((template = lru_next(after->decoder->templates->all, &position)) != NULL)
	{
		assert_int_equal(template->first_seen, BENCH_RECEIVED);
		assert_int_equal(template->link.class, LRU_KNOWN);
		assert_int_equal(template->port, 4711);
		assert_int_equal(template->options, template->id == 400);
		assert_int_equal(template->plain, template->id == 300 || template->id == 303);
		if (template->id == 300)
		{
			assert_int_equal(template->field_count, 8);
			assert_int_equal(template->record_length, 38);
			assert_int_equal(template->family, 4);
		}
	}

	put_data(&buffer);
	bench_decode(before, &buffer);
	bench_decode(after, &buffer);
	assert_int_equal(before->caught.count, 5);
	assert_int_equal(after->caught.count, 5);
	for (int i = 0; i < 5; i++)
	{
		const Flow *a = &before->caught.flows[i];
		const Flow *b = &after->caught.flows[i];

		assert_int_equal(a->present, b->present);
		assert_int_equal(a->bytes, b->bytes);
		assert_int_equal(a->family, b->family);
		assert_int_equal(a->reverse, b->reverse);
		assert_int_equal(a->sampling_origin, b->sampling_origin);
		if (FLOW_HAS(a, FLOW_FIRST))
			assert_int_equal(a->first, b->first);
		if (FLOW_HAS(a, FLOW_SRC_ADDR))
			assert_memory_equal(&a->src_addr, &b->src_addr, 16);
	}
	assert_int_equal(after->caught.flows[4].bytes, 1400);
	assert_int_equal(after->caught.flows[4].sampling, 2000);
	assert_int_equal(after->caught.flows[4].sampling_origin, FLOW_SAMPLING_SAMPLER);
	assert_int_equal(bench_exporter(after, FLOW_IPFIX, 1)->errors[DECODE_ZERO_LENGTH], 1);

	/* and sent again, they are the same templates */
	put_templates(&buffer);
	bench_decode(after, &buffer);
	position = 0;
	while ((template = lru_next(after->decoder->templates->all, &position)) != NULL)
		assert_int_equal(template->records, template->id == 303 ? 0 :
						 template->id == 300 || template->id == 400 ? 2 : 1);
	assert_int_equal(lru_count(after->decoder->templates->all), 5);
	free(image.octets);
	bench_free(before);
	bench_free(after);
}

static void
test_too_small(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Bench	   *other = bench_make(8, 8);
	Buffer		buffer;
	Image		image;

	(void) state;
	put_templates(&buffer);
	bench_decode(bench, &buffer);
	image = save(bench);
	for (size_t size = 0; size < image.length; size++)
	{
		uint8_t    *octets = malloc(size + 1);

		assert_int_equal(decoder_save(bench->decoder, octets, size), image.length);
		assert_memory_equal(octets, image.octets, size);
		assert_false(load(other, octets, size));
		free(octets);
	}
	assert_int_equal(lru_count(other->decoder->templates->all), 0);
	free(image.octets);
	bench_free(bench);
	bench_free(other);
}

static void
test_nothing_known(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Image		image = save(bench);

	(void) state;
	assert_true(load(bench, image.octets, image.length));
	assert_int_equal(lru_count(bench->decoder->templates->all), 0);
	assert_false(load(bench, (const uint8_t *) "", 0));
	free(image.octets);
	bench_free(bench);
}

/* Each octet changed: noticed. */
static void
test_damage(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Bench	   *other = bench_make(8, 8);
	Buffer		buffer;
	Image		image;

	(void) state;
	put_templates(&buffer);
	bench_decode(bench, &buffer);
	image = save(bench);
	for (size_t i = 0; i < image.length; i++)
	{
		image.octets[i] ^= 1;
		assert_false(load(other, image.octets, image.length));
		image.octets[i] ^= 1;
	}
	assert_int_equal(lru_count(other->decoder->templates->all), 0);

	/* of another version, of something else, with more behind it */
	for (size_t i = 0; i < 8; i++)
	{
		image.octets[i] ^= 0x80;
		seal(&image);
		assert_false(load(other, image.octets, image.length));
		image.octets[i] ^= 0x80;
	}
	image.octets = realloc(image.octets, ++image.length);
	image.octets[image.length - 1] = 0;
	seal(&image);
	assert_false(load(other, image.octets, image.length));
	free(image.octets);
	bench_free(bench);
	bench_free(other);
}

/* Changed at random and made to look whole: what is learned from it does no harm. */
static void
test_malice(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		templates;
	Buffer		data;
	Image		image;
	Image		changed;
	uint64_t	seed = 17;
	uint32_t	learned = 0;

	(void) state;
	put_templates(&templates);
	put_data(&data);
	bench_decode(bench, &templates);
	image = save(bench);
	changed.length = image.length;
	changed.octets = malloc(image.length);
	for (int i = 0; i < 20000; i++)
	{
		Bench	   *other = bench_make(8, 8);
		uint32_t	position = 0;
		const Template *template;

		memcpy(changed.octets, image.octets, image.length);
		for (uint32_t j = random_next(&seed) % 4 + 1; j > 0; j--)
			changed.octets[random_next(&seed) % image.length] =
				(uint8_t) (random_next(&seed) % 3 == 0 ? 0xff : random_next(&seed));
		seal(&changed);
		learned += load(other, changed.octets, changed.length);
		while ((template = lru_next(other->decoder->templates->all, &position)) != NULL)
			assert_true(template->record_length <= UINT16_MAX &&
						template->step_count <= TEMPLATE_MAX_STEPS);
		bench_decode(other, &data);
		bench_decode(other, &templates);
		bench_decode(other, &data);
		bench_free(other);
	}
	assert_true(learned > 1000);
	free(changed.octets);
	free(image.octets);
	bench_free(bench);
}

/* Steps that no template could have. */
static void
test_impossible_steps(void **state)
{
	static const struct
	{
		TemplateStep steps[2];
		uint16_t	count;
		uint32_t	tail;
		bool		good;
	}			cases[] = {
		{{{.length = 4,.element = ELEMENT_BYTES}}, 1, 4, true},
		{{{.length = 4,.element = ELEMENT_BYTES}}, 1, 3, false},
		{{{.length = 4,.element = ELEMENT_BYTES}}, 1, 65535, true},
		{{{.length = 4,.element = ELEMENT_BYTES}}, 1, 65536, false},
		{{{.length = 9,.element = ELEMENT_BYTES}}, 1, 9, false},
		{{{.length = 0,.element = ELEMENT_BYTES}}, 1, 0, false},
		{{{.length = 4,.element = ELEMENT_USES}}, 1, 4, false},
		{{{.length = 4,.element = ELEMENT_NONE}}, 1, 4, false},
		{{{.length = 4,.element = ELEMENT_IN_IF,.reverse = true}}, 1, 4, false},
		{{{.length = 4,.element = ELEMENT_PACKETS,.reverse = true}}, 1, 4, true},
		{{{.offset = 65531,.length = 4,.element = ELEMENT_BYTES}}, 1, 65535, true},
		{{{.offset = 65535,.length = 4,.element = ELEMENT_BYTES}}, 1, 65535, false},
		{{{.offset = 65532,.length = 4,.element = ELEMENT_BYTES}}, 1, 65535, false},
		{{{.length = 65535,.element = ELEMENT_IP_SECTION}}, 1, 65535, false},
		{{{.length = 4,.element = ELEMENT_BYTES},
		  {.offset = 3,.length = 4,.element = ELEMENT_PACKETS}}, 2, 8, false},
		{{{.element = ELEMENT_NONE,.variable = true},
		  {.offset = 3,.length = 4,.element = ELEMENT_PACKETS}}, 2, 8, true},
		{{{0}}, TEMPLATE_MAX_STEPS + 1, 0, false},
	};

	(void) state;
	for (size_t i = 0; i < COUNT(cases); i++)
	{
		Bench	   *bench = bench_make(8, 8);
		Template	saved = {
			.protocol = FLOW_IPFIX,
			.id = 300,
			.step_count = cases[i].count,
			.tail_length = cases[i].tail,
		};

		memcpy(saved.steps, cases[i].steps, sizeof(cases[i].steps));
		assert_int_equal(template_restore(bench->decoder->templates, &saved, true),
						 cases[i].good);
		assert_int_equal(lru_count(bench->decoder->templates->all), cases[i].good);
		saved.protocol = FLOW_NETFLOW_V5;
		assert_false(template_restore(bench->decoder->templates, &saved, true));
		bench_free(bench);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_malice),
		cmocka_unit_test(test_impossible_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
