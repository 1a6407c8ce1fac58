/*
 * exporter.h
 *	  A router's export process: flows in, datagrams of its format out.
 */
#ifndef GENERATOR_EXPORTER_H
#define GENERATOR_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "network.h"

#define EXPORTER_QUEUE		64		/* datagrams: one sendmmsg */
#define EXPORTER_MTU_MOST	9000
#define EXPORTER_RECORDS	192		/* more never fit the largest datagram */

/* What a datagram tells about a record, to be summed when it is sent. */
typedef struct Account
{
	uint32_t	in;
	uint32_t	out;
	uint32_t	octets;
	uint32_t	packets;
} Account;

typedef struct Datagram
{
	int64_t		time;			/* of export, microseconds of the Unix epoch */
	size_t		length;
	uint32_t	records;		/* 0: templates */
	bool		sent;			/* set by whoever sends it */
	uint8_t		data[EXPORTER_MTU_MOST];
	Account		accounts[EXPORTER_RECORDS];
} Datagram;

typedef struct ExporterOptions
{
	uint32_t	per_datagram;	/* records at most */
	uint32_t	template_every; /* datagrams */
	size_t		payload;		/* octets that fit the link */
	int64_t		begin;			/* microseconds of the Unix epoch; no flow is older */
	bool		flows_before;	/* ... unless this is set */
} ExporterOptions;

typedef struct Exporter
{
	const Router *router;
	ExporterOptions options;
	int64_t		boot;			/* microseconds of the Unix epoch */
	uint8_t		agent[4];		/* sFlow's name for itself */
	uint32_t	samples;		/* of sFlow */
	uint32_t	sequence;
	uint32_t	since_templates;	/* datagrams */
	int64_t		templates_time;
	size_t		ipv6_length;	/* octets collected in ipv6[] */
	uint8_t		ipv6[EXPORTER_MTU_MOST];
	uint32_t	queued;			/* datagrams that are complete */
	Datagram	queue[EXPORTER_QUEUE];
} Exporter;

extern Exporter *exporter_create(const Router *router, const ExporterOptions *options);

/*
 * Takes a flow at a time (microseconds).  Completes up to three datagrams, and
 * so is for a queue with room for them (exporter_full() is false).
 */
extern void exporter_add(Exporter *exporter, const Flow *flow, int64_t now);

/* Completes the datagram under way, when it has records. */
extern void exporter_finish(Exporter *exporter, int64_t now);

/* Completes it only when its first record is older than a second. */
extern void exporter_finish_old(Exporter *exporter, int64_t now);

extern bool exporter_full(const Exporter *exporter);

/* The queue was dealt with. */
extern void exporter_clear(Exporter *exporter);

#endif							/* GENERATOR_EXPORTER_H */
