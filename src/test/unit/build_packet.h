/*
 * build_packet.h
 *	  Packets for tests, written octet by octet: a Buffer grows at its end, and
 *	  lengths are patched when they are known.
 */
#ifndef BUILD_PACKET_H
#define BUILD_PACKET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decode.h"

/* Room for the longest UDP payload. */
typedef struct Buffer
{
	size_t		length;
	uint8_t		data[65536];
} Buffer;

static inline void
put_number(Buffer *buffer, uint64_t value, size_t width)
{
	assert_true(buffer->length + width <= sizeof(buffer->data));
	for (size_t i = 0; i < width; i++)
		buffer->data[buffer->length++] = (uint8_t) (value >> 8 * (width - 1 - i));
}

static inline void
put_u8(Buffer *buffer, uint8_t value)
{
	put_number(buffer, value, 1);
}

static inline void
put_u16(Buffer *buffer, uint16_t value)
{
	put_number(buffer, value, 2);
}

static inline void
put_u32(Buffer *buffer, uint32_t value)
{
	put_number(buffer, value, 4);
}

static inline void
put_u64(Buffer *buffer, uint64_t value)
{
	put_number(buffer, value, 8);
}

static inline void
put_bytes(Buffer *buffer, const void *bytes, size_t length)
{
	assert_true(buffer->length + length <= sizeof(buffer->data));
	memcpy(buffer->data + buffer->length, bytes, length);
	buffer->length += length;
}

static inline void
put_zeros(Buffer *buffer, size_t length)
{
	for (size_t i = 0; i < length; i++)
		put_u8(buffer, 0);
}

/* The same octet "length" times: an address, a string. */
static inline void
put_fill(Buffer *buffer, uint8_t octet, size_t length)
{
	for (size_t i = 0; i < length; i++)
		put_u8(buffer, octet);
}

static inline void
patch_u16(Buffer *buffer, size_t offset, uint16_t value)
{
	buffer->data[offset] = (uint8_t) (value >> 8);
	buffer->data[offset + 1] = (uint8_t) value;
}

/* Header of a v9 datagram: seconds 1,000,000 and uptime 600,000 ms. */
static inline void
put_v9_header(Buffer *buffer, uint32_t sequence, uint32_t source_id)
{
	put_u16(buffer, 9);
	put_u16(buffer, 1);			/* the count is not trusted anyway */
	put_u32(buffer, 600000);
	put_u32(buffer, 1000000);
	put_u32(buffer, sequence);
	put_u32(buffer, source_id);
}

/* Header of an IPFIX message at the buffer's start: export time 1,000,000 s. */
static inline void
put_ipfix_header(Buffer *buffer, uint32_t sequence, uint32_t domain)
{
	put_u16(buffer, 10);
	put_u16(buffer, 0);			/* end_ipfix() */
	put_u32(buffer, 1000000);
	put_u32(buffer, sequence);
	put_u32(buffer, domain);
}

static inline void
end_ipfix(Buffer *buffer)
{
	patch_u16(buffer, 2, (uint16_t) buffer->length);
}

/* Starts a set; gives its place for end_set(). */
static inline size_t
begin_set(Buffer *buffer, uint16_t id)
{
	size_t		start = buffer->length;

	put_u16(buffer, id);
	put_u16(buffer, 0);
	return start;
}

static inline void
end_set(Buffer *buffer, size_t start)
{
	patch_u16(buffer, start + 2, (uint16_t) (buffer->length - start));
}

/* "count" pairs of type and length. */
static inline void
put_fields(Buffer *buffer, size_t count, const uint16_t fields[][2])
{
	for (size_t i = 0; i < count; i++)
	{
		put_u16(buffer, fields[i][0]);
		put_u16(buffer, fields[i][1]);
	}
}

/* A template record without enterprise fields. */
static inline void
put_template(Buffer *buffer, uint16_t id, size_t count, const uint16_t fields[][2])
{
	put_u16(buffer, id);
	put_u16(buffer, (uint16_t) count);
	put_fields(buffer, count, fields);
}

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* Takes what a datagram holds. */
typedef struct Catch
{
	uint64_t	count;
	uint64_t	bytes;
	Flow		flows[64];		/* the first ones */
	uint64_t	counters_count;
	FlowCounters counters[16];
	uint64_t	interface_count;
	FlowInterface interfaces[16];
} Catch;

static inline void
catch_flows(void *context, const Flow *flows, uint32_t count)
{
	Catch	   *caught = context;

	assert_true(count >= 1 && count <= FLOW_BATCH);
	for (uint32_t i = 0; i < count; i++)
	{
		if (caught->count < COUNT(caught->flows))
			caught->flows[caught->count] = flows[i];
		caught->count++;
		if (FLOW_HAS(&flows[i], FLOW_BYTES))
			caught->bytes += flows[i].bytes;
	}
}

static inline void
catch_counters(void *context, const FlowCounters *counters)
{
	Catch	   *caught = context;

	if (caught->counters_count < COUNT(caught->counters))
		caught->counters[caught->counters_count] = *counters;
	caught->counters_count++;
}

static inline void
catch_interface(void *context, const FlowInterface *interface)
{
	Catch	   *caught = context;

	if (caught->interface_count < COUNT(caught->interfaces))
		caught->interfaces[caught->interface_count] = *interface;
	caught->interface_count++;
}

#define BENCH_PENDING	(64 * 1024)
#define BENCH_RECEIVED	INT64_C(1000002500000)

/* A decoder, and a place for what comes out of it. */
typedef struct Bench
{
	Decoder    *decoder;
	Datagram	datagram;		/* data, length, and whatever the test changes */
	Catch		caught;
	FlowSinks	sinks;			/* into "caught" */
	size_t		consumed;
} Bench;

static inline Bench *
bench_make(uint32_t exporters, uint32_t templates)
{
	Bench	   *bench = calloc(1, sizeof(Bench));
	DecoderLimits limits = {
		.exporters = exporters,
		.templates = templates,
		.samplers = exporters,
		.pending = BENCH_PENDING,
	};
	void	   *memory = aligned_alloc(16, (decoder_size(&limits) + 15) / 16 * 16);

	assert_non_null(bench);
	assert_non_null(memory);
	bench->decoder = decoder_init(memory, &limits);
	memcpy(bench->datagram.source.octets,
		   "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01", 16);
	bench->datagram.port = 4711;
	bench->datagram.known = true;
	bench->datagram.received = BENCH_RECEIVED;
	bench->sinks = (FlowSinks) {
		.context = &bench->caught,
		.flows = catch_flows,
		.counters = catch_counters,
		.interface = catch_interface,
	};
	return bench;
}

static inline void
bench_free(Bench *bench)
{
	free(bench->decoder);
	free(bench);
}

/* Decodes from memory of just that size, so that ASan sees every step beyond. */
static inline void
bench_decode_bytes(Bench *bench, const uint8_t *data, size_t length, bool may_continue)
{
	uint8_t    *copy = malloc(length > 0 ? length : 1);

	assert_non_null(copy);
	memcpy(copy, data, length);
	memset(&bench->caught, 0, sizeof(bench->caught));
	bench->datagram.data = copy;
	bench->datagram.length = length;
	bench->consumed = decode_datagram(bench->decoder, &bench->datagram, may_continue,
									  &bench->sinks);
	free(copy);
}

static inline void
bench_decode(Bench *bench, const Buffer *buffer)
{
	bench_decode_bytes(bench, buffer->data, buffer->length, false);
}

/* The exporter of that protocol and domain; the test fails where it is missing. */
static inline Exporter *
bench_exporter(Bench *bench, uint8_t protocol, uint32_t domain)
{
	uint32_t	position = 0;
	Exporter   *exporter;

	while ((exporter = lru_next(bench->decoder->exporters, &position)) != NULL)
		if (exporter->protocol == protocol && exporter->domain == domain)
			return exporter;
	fail_msg("no exporter of protocol %d and domain %u", protocol, (unsigned) domain);
	return NULL;
}

/* All errors of an exporter together. */
static inline uint64_t
exporter_errors(const Exporter *exporter)
{
	uint64_t	sum = 0;

	for (int i = 0; i < DECODE_ERRORS; i++)
		sum += exporter->errors[i];
	return sum;
}

/* A generator of pseudo-random numbers (xorshift64*): the same on every run. */
static inline uint32_t
random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t) (*state * UINT64_C(2685821657736338717) >> 32);
}

#endif							/* BUILD_PACKET_H */
