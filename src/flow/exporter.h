/*
 * exporter.h
 *	  What is remembered of each exporter and observation domain: counters,
 *	  sequence numbers, errors by cause.
 */
#ifndef LASTFLUSS_EXPORTER_H
#define LASTFLUSS_EXPORTER_H

#include "flow.h"
#include "health.h"
#include "lru.h"
#include "sampling.h"

/* Why something could not be decoded. */
typedef enum DecodeError
{
	DECODE_SHORT,				/* datagram shorter than its header */
	DECODE_BAD_LENGTH,			/* a length that contradicts another */
	DECODE_UNKNOWN_VERSION,		/* no flow format that we know */
	DECODE_NO_TEMPLATE,			/* data set whose template did not come in time */
	DECODE_BAD_TEMPLATE,		/* template that makes no sense */
	DECODE_ZERO_LENGTH,			/* data set whose records have no length */
	DECODE_TRAILING,			/* octets behind the end of the message */
	DECODE_UNSUPPORTED,			/* a scheme of v8 without what we count */
	DECODE_UNKNOWN_SAMPLER,		/* record of a sampler whose rate nobody told */
	DECODE_ERRORS				/* how many there are */
} DecodeError;

/* Gaps in the sequence that late datagrams can still fill. */
#define EXPORTER_GAPS	4

/* Sequence numbers from "start" on that have not come. */
typedef struct ExporterGap
{
	uint32_t	start;
	uint32_t	length;			/* 0: no gap */
} ExporterGap;

typedef struct Exporter
{
	LruLink		link;
	FlowAddress address;
	uint32_t	domain;
	uint16_t	port;			/* the last source port */
	uint8_t		protocol;		/* version number in the datagram */
	bool		known;			/* configuration names the host */
	bool		has_sequence;
	uint8_t		sampling_origin;	/* of "sampling", FlowSamplingOrigin */
	uint32_t	sampling;		/* the last rate that it announced, or 0 */
	uint32_t	next_sequence;	/* what the next datagram should carry */
	uint32_t	next_gap;		/* the place in "gaps" to use next */
	ExporterGap gaps[EXPORTER_GAPS];
	uint64_t	datagrams;
	uint64_t	records;		/* data records */
	uint64_t	no_octets;		/* of these, without any octet counter */
	uint64_t	unmatched;		/* of these, neither interface configured */
	uint64_t	unknown_sampling;	/* of these, counted with a rate that nobody told */
	uint64_t	late_bytes;		/* counted in a later interval than theirs */
	uint64_t	future_bytes;	/* that claimed to come from the future */
	uint64_t	options;		/* options records */
	uint64_t	lost;			/* by sequence numbers; unit: the format's */
	uint64_t	templates;		/* template records received */
	uint64_t	templates_pushed_out;	/* because it sent too many */
	uint64_t	late_sets;		/* data sets decoded when their template had come */
	uint32_t	waiting_sets;	/* that still wait for it */
	uint64_t	discarded;		/* sFlow: samples of packets that were dropped */
	uint64_t	multiple;		/* sFlow: samples of packets to several interfaces */
	uint64_t	errors[DECODE_ERRORS];
	int64_t		first_seen;		/* microseconds since 1970, our clock */
	int64_t		last_seen;
	int64_t		skew;			/* its export time - our receive time, us */
	SamplingOfExporter told;	/* what sampling_of_exporter() has found ... */
	uint64_t	told_version;	/* ... when the samplers were these; 0: nothing yet */
	HealthCounts noted;			/* at the last health_note() */
} Exporter;

/* Finds or makes the exporter's entry, and marks it as used. */
extern Exporter *exporter_get(Lru *exporters, const FlowAddress *address,
							  uint32_t domain, uint8_t protocol, bool known);

/* Finds it, or NULL. */
extern Exporter *exporter_find(Lru *exporters, const FlowAddress *address,
							   uint32_t domain, uint8_t protocol);

/*
 * Notes that a message with this sequence number carried "count" units, and
 * counts what is missing since the one before.  A number that lies a little
 * behind is a reordered datagram and takes back what was counted as lost (or a
 * duplicate, which takes back nothing); one far away is an exporter that has
 * restarted.
 */
extern void exporter_sequence(Exporter *exporter, uint32_t sequence, uint32_t count);

/*
 * The same for a message of which nobody knows how many units it carried: the
 * next one is not compared with it.
 */
extern void exporter_sequence_unknown(Exporter *exporter, uint32_t sequence);

/* The cause as a word for SQL: "no_template". */
extern const char *decode_error_name(DecodeError error);

#endif							/* LASTFLUSS_EXPORTER_H */
