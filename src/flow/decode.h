/*
 * decode.h
 *	  One datagram in, its flow records to the sink.
 */
#ifndef LASTFLUSS_DECODE_H
#define LASTFLUSS_DECODE_H

#include "exporter.h"
#include "flow.h"
#include "template.h"

/* What is known of all exporters: sequence numbers, errors, templates. */
typedef struct Decoder
{
	Lru		   *exporters;		/* of Exporter */
	Lru		   *templates;		/* of Template */
	uint64_t	datagrams;		/* all that came, good or bad */
	uint64_t	records;		/* data records handed to the sink */
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

/* Octets of memory for a decoder that remembers so many of each. */
extern size_t decoder_size(uint32_t exporters, uint32_t templates);

/* Makes a decoder with fresh state in "memory", aligned to 16. */
extern Decoder *decoder_init(void *memory, uint32_t exporters, uint32_t templates);

/*
 * Decodes one datagram.  Every data record goes to the sink, also one without
 * octets (the caller looks at "present"); options data does not.  Whatever is
 * wrong is counted with the exporter.
 *
 * Returns how many octets the message took.  That can be fewer than the
 * datagram has where its header tells its length (v5, IPFIX): the rest is
 * counted as trailing, unless "may_continue" says that messages may follow one
 * another; then the rest is left to the next call.  Returns 0 where nothing
 * could be made of it.
 */
extern size_t decode_datagram(Decoder *decoder, const Datagram *datagram,
							  bool may_continue, FlowSink sink, void *context);

#endif							/* LASTFLUSS_DECODE_H */
