/*
 * health.h
 *	  How complete an interval is: what arrived in its time and what is missing,
 *	  by exporter.
 */
#ifndef LASTFLUSS_HEALTH_H
#define LASTFLUSS_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "lru.h"

/* Exporters with a row of their own; the others are counted together. */
#define HEALTH_EXPORTERS	1024

/* Microseconds for which one that sends nothing still has a row, to say so. */
#define HEALTH_SILENCE		(INT64_C(600) * 1000000)

typedef struct HealthCounts
{
	int64_t		datagrams;
	int64_t		records;
	int64_t		lost;			/* by sequence numbers; below 0: some came after all */
	int64_t		dropped;		/* by the kernel */
	int64_t		undecoded;		/* datagrams, sets or records with an error */
	int64_t		unmatched;		/* records of which neither interface is configured */
	int64_t		unknown_sampling;	/* records counted with a rate that nobody told */
	int64_t		late_bytes;		/* counted in a later interval than theirs */
	int64_t		future_bytes;	/* that claimed to come from the future */
	int64_t		folded;			/* additions to rows for all the other ASNs */
} HealthCounts;

typedef struct HealthRow
{
	FlowAddress host;
	uint32_t	domain;
	uint8_t		protocol;		/* FlowProtocol; 0: the row of all without one */
	HealthCounts counts;
} HealthRow;

/* Row 0 has what belongs to no exporter with a row of its own. */
typedef struct HealthTable
{
	bool		noted;			/* false: the interval was opened after its time */
	uint32_t	count;
	HealthRow	rows[HEALTH_EXPORTERS + 1];
} HealthTable;

extern void health_reset(HealthTable *table);

/* a - b, member by member. */
extern HealthCounts health_difference(const HealthCounts *a, const HealthCounts *b);

/*
 * Notes what the exporters (of Exporter) have counted since the last call, and
 * marks it as noted.  "total" is what was counted in all in that time: what is
 * not of a configured exporter goes to row 0.  "now" is by our clock.
 */
extern void health_note(HealthTable *table, Lru *exporters, const HealthCounts *total,
						int64_t now);

#endif							/* LASTFLUSS_HEALTH_H */
