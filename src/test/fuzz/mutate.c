/*
 * mutate.c
 *	  Mutations that know what a script is made of: datagrams, sets, templates.
 *
 * libFuzzer's own mutations work on octets and break lengths; a broken length
 * ends a datagram there.  So these change the content of one datagram, or move
 * datagrams and sets about, and mostly set lengths and counts right afterwards.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "packet.h"
#include "script.h"

#define MUTATE_DATAGRAMS	32
#define MUTATE_LENGTH		2048	/* of a datagram */
#define MUTATE_SETS			64		/* that are looked at in a datagram */
#define MUTATE_COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct MutateDatagram
{
	uint8_t		how;
	size_t		length;
	uint8_t		data[MUTATE_LENGTH];
} MutateDatagram;

typedef struct MutateScript
{
	uint8_t		settings;
	size_t		count;
	MutateDatagram datagrams[MUTATE_DATAGRAMS];
} MutateScript;

/* A set of v9 or IPFIX, or a sample of sFlow. */
typedef struct MutateSet
{
	size_t		start;
	size_t		length;			/* with its header */
} MutateSet;

extern size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
extern size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
									  unsigned int seed);
extern size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1,
										const uint8_t *data2, size_t size2,
										uint8_t *out, size_t max_size, unsigned int seed);

static uint64_t mutate_state;

static void
mutate_seed(unsigned int seed)
{
	mutate_state = seed * UINT64_C(2685821657736338717) + 1;
}

/* 0 .. below - 1 (xorshift64*). */
static uint32_t
mutate_random(size_t below)
{
	mutate_state ^= mutate_state >> 12;
	mutate_state ^= mutate_state << 25;
	mutate_state ^= mutate_state >> 27;
	return (uint32_t) ((mutate_state * UINT64_C(2685821657736338717) >> 33) % below);
}

static uint16_t
mutate_get16(const uint8_t *octets)
{
	return (uint16_t) (octets[0] << 8 | octets[1]);
}

static uint32_t
mutate_get32(const uint8_t *octets)
{
	return (uint32_t) mutate_get16(octets) << 16 | mutate_get16(octets + 2);
}

static void
mutate_put16(uint8_t *octets, size_t value)
{
	octets[0] = (uint8_t) (value >> 8);
	octets[1] = (uint8_t) value;
}

static void
mutate_put32(uint8_t *octets, size_t value)
{
	mutate_put16(octets, value >> 16);
	mutate_put16(octets + 2, value);
}

/*
 * Scripts to and from octets.
 */

/* False where it is too large for us. */
static bool
mutate_read(MutateScript *script, const uint8_t *data, size_t size)
{
	Packet		packet = packet_init(data, size);
	ScriptDatagram next;

	script->count = 0;
	if (!packet_u8(&packet, &script->settings))
		return false;
	while (script_next(&packet, &next))
	{
		MutateDatagram *datagram = &script->datagrams[script->count];

		if (script->count == MUTATE_DATAGRAMS || packet_left(&next.content) > MUTATE_LENGTH)
			return false;
		datagram->how = next.how;
		datagram->length = packet_left(&next.content);
		memcpy(datagram->data, next.content.current, datagram->length);
		script->count++;
	}
	return script->count > 0;
}

/* What there is room for. */
static size_t
mutate_write(const MutateScript *script, uint8_t *data, size_t max_size)
{
	size_t		size = 1;

	data[0] = script->settings;
	for (size_t i = 0; i < script->count; i++)
	{
		const MutateDatagram *datagram = &script->datagrams[i];

		if (size + 3 + datagram->length > max_size)
			break;
		data[size] = datagram->how;
		mutate_put16(data + size + 1, datagram->length);
		memcpy(data + size + 3, datagram->data, datagram->length);
		size += 3 + datagram->length;
	}
	return size;
}

/*
 * Lengths and counts.
 */

static bool
mutate_is_sflow(const MutateDatagram *datagram)
{
	return datagram->length >= 28 && mutate_get32(datagram->data) == 5;
}

/* 9, 10, ..., 0: too short. */
static uint16_t
mutate_version(const MutateDatagram *datagram)
{
	return datagram->length < 20 ? 0 : mutate_get16(datagram->data);
}

/* Where sets or samples begin; 0 where there are none. */
static size_t
mutate_header(const MutateDatagram *datagram)
{
	size_t		header = 0;

	if (mutate_version(datagram) == 9)
		header = 20;
	else if (mutate_version(datagram) == 10)
		header = 16;
	else if (mutate_is_sflow(datagram))
		header = mutate_get32(datagram->data + 4) == 2 ? 40 : 28;
	return header <= datagram->length ? header : 0;
}

/* Sets, or samples.  With "mend" the last one is made to end where the datagram does. */
static size_t
mutate_sets(MutateDatagram *datagram, MutateSet *sets, bool mend)
{
	size_t		start = mutate_header(datagram);
	bool		is_sflow = mutate_is_sflow(datagram);
	size_t		header = is_sflow ? 8 : 4;
	size_t		count = 0;

	while (start > 0 && count < MUTATE_SETS && datagram->length - start >= header)
	{
		uint8_t    *octets = datagram->data + start;
		size_t		left = datagram->length - start;
		size_t		length = is_sflow ? (size_t) mutate_get32(octets + 4) + header :
			mutate_get16(octets + 2);

		if (length < header || length > left)
		{
			length = left;
			if (mend && is_sflow)
				mutate_put32(octets + 4, length - header);
			else if (mend)
				mutate_put16(octets + 2, length);
		}
		sets[count++] = (MutateSet) {start, length};
		start += length;
	}
	return count;
}

/* The records of a v1, v5, v7 datagram. */
static void
mutate_mend_count(MutateDatagram *datagram, size_t header, size_t record)
{
	if (datagram->length >= header)
		mutate_put16(datagram->data + 2, (datagram->length - header) / record);
}

static void
mutate_mend(MutateDatagram *datagram)
{
	MutateSet	sets[MUTATE_SETS];
	size_t		count = mutate_sets(datagram, sets, true);

	if (mutate_is_sflow(datagram) && mutate_header(datagram) > 0)
		mutate_put32(datagram->data + mutate_header(datagram) - 4, count);
	switch (mutate_version(datagram))
	{
		case 1:
			mutate_mend_count(datagram, 16, 52);
			break;
		case 5:
			mutate_mend_count(datagram, 24, 48);
			break;
		case 7:
			mutate_mend_count(datagram, 24, 52);
			break;
		case 9:
			mutate_put16(datagram->data + 2, count);
			break;
		case 10:
			mutate_put16(datagram->data + 2, datagram->length);
			break;
		default:
			break;
	}
}

/*
 * Mutations.  Each changes one datagram of the script, if it can.
 */

static MutateDatagram *
mutate_any(MutateScript *script)
{
	return &script->datagrams[mutate_random(script->count)];
}

static void
mutate_content(MutateScript *script)
{
	MutateDatagram *datagram = mutate_any(script);

	/* libFuzzer wants something to work on */
	if (datagram->length == 0)
		datagram->data[datagram->length++] = 0;
	datagram->length = LLVMFuzzerMutate(datagram->data, datagram->length, MUTATE_LENGTH);
	if (mutate_random(4) != 0)
		mutate_mend(datagram);
}

static void
mutate_how(MutateScript *script)
{
	MutateDatagram *datagram = mutate_any(script);

	datagram->how ^= (uint8_t) (1 << mutate_random(8));
	if (mutate_random(8) == 0)
		script->settings = (uint8_t) mutate_random(256);
}

/* Makes room for a datagram at that place. */
static bool
mutate_open(MutateScript *script, size_t place)
{
	if (script->count == MUTATE_DATAGRAMS)
		return false;
	memmove(&script->datagrams[place + 1], &script->datagrams[place],
			(script->count - place) * sizeof(MutateDatagram));
	script->count++;
	return true;
}

static void
mutate_duplicate(MutateScript *script)
{
	MutateDatagram copy = *mutate_any(script);
	size_t		place = mutate_random(script->count + 1);

	if (mutate_open(script, place))
		script->datagrams[place] = copy;
}

static void
mutate_delete(MutateScript *script)
{
	size_t		place = mutate_random(script->count);

	if (script->count == 1)
		return;
	script->count--;
	memmove(&script->datagrams[place], &script->datagrams[place + 1],
			(script->count - place) * sizeof(MutateDatagram));
}

static void
mutate_swap(MutateScript *script)
{
	MutateDatagram *a = mutate_any(script);
	MutateDatagram *b = mutate_any(script);
	MutateDatagram copy = *a;

	*a = *b;
	*b = copy;
}

static bool
mutate_insert(MutateDatagram *datagram, size_t place, const uint8_t *octets, size_t length)
{
	if (datagram->length + length > MUTATE_LENGTH)
		return false;
	memmove(datagram->data + place + length, datagram->data + place, datagram->length - place);
	memcpy(datagram->data + place, octets, length);
	datagram->length += length;
	return true;
}

static void
mutate_remove(MutateDatagram *datagram, size_t place, size_t length)
{
	datagram->length -= length;
	memmove(datagram->data + place, datagram->data + place + length, datagram->length - place);
}

/* A set of one datagram also in another one, of any kind. */
static void
mutate_copy_set(MutateScript *script)
{
	MutateDatagram *from = mutate_any(script);
	MutateDatagram *to = mutate_any(script);
	MutateSet	sets[MUTATE_SETS];
	MutateSet	places[MUTATE_SETS];
	uint8_t		copy[MUTATE_LENGTH];
	size_t		count = mutate_sets(from, sets, false);
	size_t		place_count = mutate_sets(to, places, true);
	MutateSet	set;
	size_t		place;

	if (count == 0 || mutate_header(to) == 0)
		return;
	set = sets[mutate_random(count)];
	memcpy(copy, from->data + set.start, set.length);
	place = mutate_random(place_count + 1);
	mutate_insert(to, place < place_count ? places[place].start : to->length, copy, set.length);
	mutate_mend(to);
}

static void
mutate_delete_set(MutateScript *script)
{
	MutateDatagram *datagram = mutate_any(script);
	MutateSet	sets[MUTATE_SETS];
	size_t		count = mutate_sets(datagram, sets, false);
	MutateSet	set;

	if (count == 0)
		return;
	set = sets[mutate_random(count)];
	mutate_remove(datagram, set.start, set.length);
	mutate_mend(datagram);
}

/* Elements that mean something to us (elements.c), and some that do not. */
static const uint16_t mutate_elements[] = {
	1, 2, 4, 7, 8, 10, 12, 14, 16, 17, 21, 22, 23, 24, 27, 28, 34, 35, 48, 50, 58, 59, 60, 61,
	82, 83, 85, 86, 102, 103, 104, 130, 150, 151, 152, 153, 154, 155, 156, 157, 158, 159, 160,
	210, 231, 232, 243, 252, 253, 254, 298, 299, 302, 305, 306, 309, 310, 311, 312, 313, 315,
	352, 409, 410
};

static const uint16_t mutate_lengths[] = {0, 1, 2, 3, 4, 4, 4, 5, 8, 8, 16, 16, 64, 65535};

/* Field specifiers: an element and its length, now and then of an enterprise. */
static size_t
mutate_specifier(uint8_t *octets)
{
	uint16_t	element = mutate_elements[mutate_random(MUTATE_COUNT(mutate_elements))];
	bool		enterprise = mutate_random(4) == 0;

	mutate_put16(octets, element | (enterprise ? 0x8000 : 0));
	mutate_put16(octets + 2, mutate_lengths[mutate_random(MUTATE_COUNT(mutate_lengths))]);
	if (enterprise)
		mutate_put32(octets + 4, 29305);	/* RFC 5103: reverse */
	return enterprise ? 8 : 4;
}

static bool
mutate_is_template(const MutateDatagram *datagram, const MutateSet *set)
{
	return !mutate_is_sflow(datagram) && set->length >= 12 &&
		mutate_get16(datagram->data + set->start) < 4;
}

/* A field of a set's first template: replaced, inserted or removed. */
static void
mutate_field(MutateDatagram *datagram, const MutateSet *set)
{
	bool		options = mutate_get16(datagram->data + set->start) % 2 != 0;
	size_t		fields = set->start + (options ? 10 : 8);
	size_t		place = fields + 4 * mutate_random((set->length - (fields - set->start)) / 4 + 1);
	uint8_t    *length = datagram->data + set->start + 2;
	uint8_t    *count = datagram->data + set->start + 6;
	uint8_t		specifier[8];
	size_t		size = mutate_specifier(specifier);
	int			action = (int) mutate_random(3);

	if (action == 0 && place + size <= set->start + set->length)
		memcpy(datagram->data + place, specifier, size);
	else if (action == 1 && mutate_insert(datagram, place, specifier, size))
	{
		mutate_put16(length, mutate_get16(length) + size);
		mutate_put16(count, mutate_get16(count) + 1);
	}
	else if (action == 2 && place + 4 <= set->start + set->length)
	{
		mutate_remove(datagram, place, 4);
		mutate_put16(length, mutate_get16(length) - 4);
		mutate_put16(count, mutate_get16(count) - 1);
	}
	mutate_mend(datagram);
}

static void
mutate_template(MutateScript *script)
{
	MutateDatagram *datagram = mutate_any(script);
	MutateSet	sets[MUTATE_SETS];
	size_t		count = mutate_sets(datagram, sets, false);

	for (size_t i = 0; i < count; i++)
		if (mutate_is_template(datagram, &sets[i]) && mutate_random(2) == 0)
		{
			mutate_field(datagram, &sets[i]);
			return;
		}
}

/* The id of some template of the script, 0 if it has none. */
static uint16_t
mutate_template_id(MutateScript *script)
{
	MutateSet	sets[MUTATE_SETS];
	uint16_t	id = 0;

	for (size_t i = 0; i < script->count; i++)
	{
		MutateDatagram *datagram = &script->datagrams[i];
		size_t		count = mutate_sets(datagram, sets, false);

		for (size_t set = 0; set < count; set++)
			if (mutate_is_template(datagram, &sets[set]) && (id == 0 || mutate_random(2) == 0))
				id = mutate_get16(datagram->data + sets[set].start + 4);
	}
	return id;
}

/* More data for some template, wherever that is. */
static void
mutate_data_set(MutateScript *script)
{
	MutateDatagram *datagram = mutate_any(script);
	uint16_t	id = mutate_template_id(script);
	uint8_t		set[4 + 160];
	size_t		length = 4 + mutate_random(sizeof(set) - 3);

	if (id == 0 || mutate_header(datagram) == 0)
		return;
	mutate_put16(set, id);
	mutate_put16(set + 2, length);
	for (size_t i = 4; i < length; i++)
		set[i] = (uint8_t) (mutate_random(4) == 0 ? mutate_random(256) : mutate_random(4));
	mutate_insert(datagram, datagram->length, set, length);
	mutate_mend(datagram);
}

/* The same datagram from the same exporter as another one: port, domain, id. */
static void
mutate_header_of(MutateScript *script)
{
	MutateDatagram *from = mutate_any(script);
	MutateDatagram *to = mutate_any(script);
	size_t		header = mutate_header(from);

	if (header == 0 || header != mutate_header(to))
		return;
	memcpy(to->data, from->data, header);
	to->how = from->how;
	mutate_mend(to);
}

static void (*const mutations[]) (MutateScript *) = {
	/* those that find new things the most are there several times */
	mutate_content, mutate_content, mutate_content, mutate_content, mutate_content,
	mutate_content, mutate_how, mutate_duplicate, mutate_delete, mutate_swap,
	mutate_copy_set, mutate_copy_set, mutate_delete_set, mutate_template, mutate_template,
	mutate_template, mutate_data_set, mutate_data_set, mutate_header_of
};

/*
 * What libFuzzer calls.
 */

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static MutateScript script;

	mutate_seed(seed);
	if (!mutate_read(&script, data, size) || mutate_random(32) == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	for (uint32_t i = mutate_random(3) + 1; i > 0; i--)
		mutations[mutate_random(MUTATE_COUNT(mutations))](&script);
	return mutate_write(&script, data, max_size);
}

/* The first datagrams of the one, then the last of the other. */
size_t
LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1,
						  const uint8_t *data2, size_t size2,
						  uint8_t *out, size_t max_size, unsigned int seed)
{
	static MutateScript script;
	static MutateScript other;

	mutate_seed(seed);
	if (!mutate_read(&script, data1, size1) || !mutate_read(&other, data2, size2))
		return 0;
	script.count = mutate_random(script.count) + 1;
	for (size_t i = mutate_random(other.count); i < other.count; i++)
		if (script.count < MUTATE_DATAGRAMS)
			script.datagrams[script.count++] = other.datagrams[i];
	return mutate_write(&script, out, max_size);
}
