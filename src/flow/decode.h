/*
 * decode.h
 *	  One datagram in, what it holds to the sinks.
 */
#ifndef LASTFLUSS_DECODE_H
#define LASTFLUSS_DECODE_H

#include "exporter.h"
#include "flow.h"
#include "pending.h"
#include "template.h"

/* How much a decoder remembers; nothing may be 0. */
typedef struct DecoderLimits
{
	uint32_t	exporters;
	uint32_t	templates;
	uint32_t	samplers;
	uint32_t	pending;		/* octets of data that wait for templates */
} DecoderLimits;

/* Data that waits for its template: so many octets are plenty. */
#define DECODER_PENDING	(1024 * 1024)

/* What is known of all exporters: sequence numbers, errors, templates, samplers. */
typedef struct Decoder
{
	Lru		   *exporters;		/* of Exporter */
	Lru		   *samplers;		/* of Sampler */
	uint64_t	samplers_version;	/* counts what was learned */
	TemplateTable *templates;
	Pending    *pending;
	uint64_t	datagrams;		/* all that came, good or bad */
	uint64_t	records;		/* data records handed to the sink */
	Exporter   *sender;			/* of the last datagram, until the next one */
	FlowBatch	batch;			/* empty between datagrams */
} Decoder;

typedef struct Datagram
{
	const uint8_t *data;
	size_t		length;
	FlowAddress source;
	uint16_t	port;			/* source port, host byte order */
	bool		known;			/* does the configuration name this host? */
	int64_t		received;		/* microseconds since 1970, our clock */
} Datagram;

/* Octets of memory for a decoder that remembers so much. */
extern size_t decoder_size(const DecoderLimits *limits);

/* Makes a decoder with fresh state in "memory", aligned to 16. */
extern Decoder *decoder_init(void *memory, const DecoderLimits *limits);

/*
 * Decodes one datagram.  Every data record goes to the sink, also one without
 * octets (the caller looks at "present"), and so does data that has waited for
 * a template in this one; options data does not.  Whatever is wrong is counted
 * with the exporter.
 *
 * Returns how many octets the message took.  That can be fewer than the
 * datagram has where its header tells its length (v5, IPFIX): the rest is
 * counted as trailing, unless "may_continue" says that messages may follow one
 * another; then the rest is left to the next call.  Returns 0 where nothing
 * could be made of it.
 */
extern size_t decode_datagram(Decoder *decoder, const Datagram *datagram,
							  bool may_continue, const FlowSinks *sinks);

/*
 * Writes what should survive a restart, templates and samplers, and returns how
 * many octets that takes.  Where that is more than "size", what was written is
 * of no use; with a size of 0 "image" may be NULL.
 */
extern size_t decoder_save(const Decoder *decoder, uint8_t *image, size_t size);

/*
 * Learns what decoder_save() wrote.  False for an image that is damaged, or was
 * written by another version: then little or nothing was learned.
 */
extern bool decoder_load(Decoder *decoder, const uint8_t *image, size_t size);

#endif							/* LASTFLUSS_DECODE_H */
