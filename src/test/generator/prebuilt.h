/*
 * prebuilt.h
 *	  Datagrams that are written once, and then made new again and again by
 *	  changing only what differs from one to the next: times, sequence numbers,
 *	  the remote ASes, the ids of templates.
 */
#ifndef GENERATOR_PREBUILT_H
#define GENERATOR_PREBUILT_H

#include <stdint.h>

#include "exporter.h"
#include "network.h"

#define PREBUILT_COUNT			512 /* datagrams with records */
#define PREBUILT_TEMPLATES_MOST	512 /* octets of the datagram with the templates */

/* Where in a datagram a record has what changes. */
typedef struct PrebuiltRecord
{
	uint16_t	times;			/* first and last, one behind the other */
	uint16_t	remote_as;
} PrebuiltRecord;

typedef struct PrebuiltDatagram
{
	uint8_t    *data;
	uint32_t	length;
	uint32_t	records;
	int64_t		time;			/* of export, milliseconds, as it stands there */
	Account    *accounts;		/* by record, in no order */
	PrebuiltRecord *places;		/* likewise */
	uint16_t	sets[2];		/* places of IPv4's and IPv6's set; 0: none */
} PrebuiltDatagram;

typedef struct Prebuilt
{
	Format		format;
	const Network *network;
	PrebuiltDatagram all[PREBUILT_COUNT];
	uint32_t	turn;
	uint8_t		templates[PREBUILT_TEMPLATES_MOST];
	uint32_t	templates_length;	/* 0: the format has none */
	int64_t		templates_time; /* milliseconds, as it stands there */
	uint16_t	template_places[2]; /* of their ids */
} Prebuilt;

/* What differs between the exporters. */
typedef struct PrebuiltSender
{
	uint8_t		address[4];
	uint32_t	sequence;		/* of the next datagram */
} PrebuiltSender;

/* Draws flows, and has the exporter write them. */
extern Prebuilt *prebuilt_create(const Network *network, Random *random, Exporter *exporter,
								 Format format);

/* The one whose turn is next. */
extern const PrebuiltDatagram *prebuilt_peek(const Prebuilt *prebuilt);

/*
 * Makes that one new for this sender, with its records in the pair of templates
 * of this number, at a time in microseconds; ASes are drawn.
 */
extern const PrebuiltDatagram *prebuilt_next(Prebuilt *prebuilt, PrebuiltSender *sender,
											 uint32_t pair, int64_t now, Random *random);

/* Writes that pair of templates to "to", and returns the octets. */
extern uint32_t prebuilt_templates(const Prebuilt *prebuilt, PrebuiltSender *sender,
								   uint32_t pair, int64_t now, uint8_t *to);

#endif							/* GENERATOR_PREBUILT_H */
