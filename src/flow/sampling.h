/*
 * sampling.h
 *	  Sampling rates that exporters tell in options data: by sampler, by
 *	  interface, or for all that they export.
 */
#ifndef LASTFLUSS_SAMPLING_H
#define LASTFLUSS_SAMPLING_H

#include "flow.h"
#include "lru.h"

/* So many of one address at most; its oldest goes first. */
#define SAMPLING_MAX_OF_ADDRESS	256
#define SAMPLING_MAX_OF_STRANGER	16

/* What a rate is for. */
typedef enum SamplerKind
{
	SAMPLER_OF_EXPORTER,		/* all of its records */
	SAMPLER_OF_ID,				/* records that name it (elements 48 and 302) */
	SAMPLER_OF_INTERFACE,		/* records with that interface */
	SAMPLER_KINDS				/* how many there are */
} SamplerKind;

typedef struct SamplerKey
{
	FlowAddress address;
	uint32_t	domain;
	uint8_t		protocol;		/* FlowProtocol */
	uint8_t		kind;			/* SamplerKind */
	uint64_t	id;				/* of the sampler or interface, else 0 */
} SamplerKey;

typedef struct Sampler
{
	LruLink		link;
	SamplerKey	key;
	uint32_t	rate;			/* 1 in N, never 0 */
	int64_t		last_seen;		/* when it was told last, us since 1970, our clock */
} Sampler;

/* The ways in which a rate is told; 0 where a field is absent. */
typedef struct SamplingFields
{
	uint64_t	interval;		/* 34 or 50: 1 in so many */
	uint64_t	packet_interval;	/* 305: so many in a row ... */
	uint64_t	packet_space;	/* 306: ... then so many not */
	bool		has_space;
	uint64_t	size;			/* 309: so many ... */
	uint64_t	population;		/* 310: ... of so many */
	double		probability;	/* 311 */
} SamplingFields;

/* The rate that follows, rounded to the nearest; 0 if none does. */
extern uint32_t sampling_rate(const SamplingFields *fields);

/* Remembers a rate (not 0) in place of the one that was told before. */
extern void sampling_learn(Lru *samplers, const SamplerKey *key, bool known, uint32_t rate,
						   int64_t now);

/* The rate told for just that key, 0 if none was. */
extern uint32_t sampling_find(Lru *samplers, const SamplerKey *key);

/* What is known for records that name no sampler. */
typedef struct SamplingOfExporter
{
	uint32_t	rate;			/* for all of them, 0: not told */
	bool		by_interface;	/* or else told for each interface */
} SamplingOfExporter;

/*
 * The rate that the exporter has told for all of its records, else the only one
 * that it has told for anything; in this domain, or else in all of its domains; by
 * the same protocol.  Looks at address, domain and protocol of the key.
 */
extern SamplingOfExporter sampling_of_exporter(Lru *samplers, const SamplerKey *key);

#endif							/* LASTFLUSS_SAMPLING_H */
