/*
 * steps.h
 *	  Field specifiers to steps, and records that run them.
 */
#ifndef LASTFLUSS_STEPS_H
#define LASTFLUSS_STEPS_H

#include "elements.h"
#include "template.h"

/* What the message's header says about time. */
typedef struct StepsClock
{
	int64_t		export_time;	/* microseconds since 1970 */
	uint32_t	uptime;			/* milliseconds at that time; v9 only */
} StepsClock;

/* Records of a template that lie one behind the other, and their flows. */
typedef struct StepsColumns
{
	Flow	   *flows;			/* room for "count" of them */
	uint32_t	count;
	int64_t		received;		/* of all of them */
	bool		no_addresses;	/* they are not wanted */
	bool		has_samplers;
	uint64_t	samplers[FLOW_BATCH];	/* element 48 or 302 of each */
} StepsColumns;

/* What a record says, before it is known what follows from it. */
typedef struct StepsRecord
{
	Flow		flow;
	Flow		reverse;		/* what it has of the other direction (RFC 5103) */
	uint32_t	has;			/* STEPS_BIT()s of what follows */
	uint64_t	numbers[ELEMENT_NUMBERS];	/* by ElementUse - ELEMENT_FIRST_NUMBER */
	Packet		octets[ELEMENT_OCTETS]; /* by ElementUse - ELEMENT_FIRST_OCTETS */
} StepsRecord;

#define STEPS_BIT(use)			(UINT32_C(1) << ((use) - ELEMENT_FIRST_NUMBER))
#define STEPS_HAS(record, use)	(((record)->has & STEPS_BIT(use)) != 0)

/* 0 where the record does not have it. */
static inline uint64_t
steps_number(const StepsRecord *record, ElementUse use)
{
	return STEPS_HAS(record, use) ? record->numbers[use - ELEMENT_FIRST_NUMBER] : 0;
}

/* Empty where the record does not have it. */
static inline Packet
steps_octets(const StepsRecord *record, ElementUse use)
{
	return STEPS_HAS(record, use) ? record->octets[use - ELEMENT_FIRST_OCTETS] :
		packet_init(NULL, 0);
}

/* Reads the field specifiers into a template of which the key is filled in. */
extern TemplateResult steps_compile(Template *template, const TemplateShape *shape,
									Packet *fields);

/* template_restore() without the remembering: into a template with a key. */
extern bool steps_rebuild(Template *template, const Template *saved);

/*
 * Takes one record from the set and fills in what "record" has of it: of its
 * flow all but protocol, domain and received.  TEMPLATE_OK, TEMPLATE_END or
 * TEMPLATE_MALFORMED.  Octets stay where they are, in the set.
 */
extern TemplateResult steps_run(const Template *template, const StepsClock *clock,
								Packet *set, StepsRecord *record);

/*
 * Takes as many records from the set as are there and as "columns" has flows,
 * of a template of which "columns" is set; then its count says how many.  Fills
 * in all of a flow; domain and protocol are the template's.
 */
extern void steps_run_columns(const Template *template, const StepsClock *clock, Packet *set,
							  StepsColumns *columns);

#endif							/* LASTFLUSS_STEPS_H */
