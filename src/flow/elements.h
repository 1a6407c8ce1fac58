/*
 * elements.h
 *	  Which information elements we read, and what for.
 *
 * Numbers are IANA's ("IPFIX Information Elements"); NetFlow v9 has the same.
 * Several elements can serve the same goal: the one of the best rank that the
 * template has is used, and no other.
 */
#ifndef LASTFLUSS_ELEMENTS_H
#define LASTFLUSS_ELEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the field is to be read; TemplateStep.element. */
typedef enum ElementUse
{
	ELEMENT_NONE,				/* not read at all */
	ELEMENT_SRC_IPV4,
	ELEMENT_DST_IPV4,
	ELEMENT_SRC_IPV6,
	ELEMENT_DST_IPV6,
	ELEMENT_BYTES,				/* from here on: numbers of 1 to 8 octets */
	ELEMENT_PACKETS,
	ELEMENT_IN_IF,
	ELEMENT_OUT_IF,
	ELEMENT_SRC_AS,
	ELEMENT_DST_AS,
	ELEMENT_IN_VLAN,
	ELEMENT_OUT_VLAN,
	ELEMENT_SAMPLING,
	ELEMENT_DIRECTION,
	ELEMENT_IP_VERSION,
	ELEMENT_FIRST_SECONDS,
	ELEMENT_LAST_SECONDS,
	ELEMENT_FIRST_MILLISECONDS,
	ELEMENT_LAST_MILLISECONDS,
	ELEMENT_FIRST_NTP,
	ELEMENT_LAST_NTP,
	ELEMENT_FIRST_DELTA,		/* microseconds before the export time */
	ELEMENT_LAST_DELTA,
	ELEMENT_FIRST_UPTIME,		/* milliseconds since the exporter's start */
	ELEMENT_LAST_UPTIME,
	ELEMENT_BOOT,				/* when that was */
	ELEMENT_SAMPLER,			/* from here on: no part of Flow; numbers */
	ELEMENT_RANDOM_INTERVAL,
	ELEMENT_PACKET_INTERVAL,
	ELEMENT_PACKET_SPACE,
	ELEMENT_SAMPLING_SIZE,
	ELEMENT_SAMPLING_POPULATION,
	ELEMENT_SAMPLING_PROBABILITY,	/* the bits of a double */
	ELEMENT_FRAME_SIZE,
	ELEMENT_SECTION_OFFSET,
	ELEMENT_SECTION_SIZE,
	ELEMENT_IP_SECTION,			/* from here on: octets of any length */
	ELEMENT_FRAME_SECTION,
	ELEMENT_NAME,
	ELEMENT_DESCRIPTION,
	ELEMENT_USES				/* how many there are */
} ElementUse;

#define ELEMENT_FIRST_NUMBER	ELEMENT_SAMPLER
#define ELEMENT_FIRST_OCTETS	ELEMENT_IP_SECTION
#define ELEMENT_NUMBERS			(ELEMENT_FIRST_OCTETS - ELEMENT_FIRST_NUMBER)
#define ELEMENT_OCTETS			(ELEMENT_USES - ELEMENT_FIRST_OCTETS)

/* What it is read for; one field of a template for each. */
typedef enum ElementGoal
{
	ELEMENT_GOAL_BYTES,
	ELEMENT_GOAL_PACKETS,
	ELEMENT_GOAL_IN_IF,
	ELEMENT_GOAL_OUT_IF,
	ELEMENT_GOAL_SRC_AS,
	ELEMENT_GOAL_DST_AS,
	ELEMENT_GOAL_SRC_IPV4,
	ELEMENT_GOAL_DST_IPV4,
	ELEMENT_GOAL_SRC_IPV6,
	ELEMENT_GOAL_DST_IPV6,
	ELEMENT_GOAL_IN_VLAN,
	ELEMENT_GOAL_OUT_VLAN,
	ELEMENT_GOAL_SAMPLING,
	ELEMENT_GOAL_DIRECTION,
	ELEMENT_GOAL_IP_VERSION,
	ELEMENT_GOAL_FIRST,
	ELEMENT_GOAL_LAST,
	ELEMENT_GOAL_BOOT,
	ELEMENT_GOAL_SAMPLER,
	ELEMENT_GOAL_RANDOM_INTERVAL,
	ELEMENT_GOAL_PACKET_INTERVAL,
	ELEMENT_GOAL_PACKET_SPACE,
	ELEMENT_GOAL_SAMPLING_SIZE,
	ELEMENT_GOAL_SAMPLING_POPULATION,
	ELEMENT_GOAL_SAMPLING_PROBABILITY,
	ELEMENT_GOAL_FRAME_SIZE,
	ELEMENT_GOAL_SECTION_OFFSET,
	ELEMENT_GOAL_SECTION_SIZE,
	ELEMENT_GOAL_SECTION,
	ELEMENT_GOAL_NAME,
	ELEMENT_GOAL_DESCRIPTION,
	ELEMENT_GOALS				/* how many there are */
} ElementGoal;

/* Elements that tell of both directions together, without RFC 5103. */
typedef enum ElementPair
{
	ELEMENT_UNPAIRED,
	ELEMENT_INITIATOR,
	ELEMENT_RESPONDER			/* of the other direction */
} ElementPair;

typedef struct Element
{
	uint8_t		use;			/* ElementUse */
	uint8_t		goal;			/* ElementGoal */
	uint8_t		rank;			/* 1 is the best */
} Element;

/* NULL for an element that we do not read. */
extern const Element *element_find(uint16_t number);

/* Which of a pair it is. */
extern ElementPair element_pair(uint16_t number);

/* Is the goal one of options data, or else of data? */
extern bool element_serves(ElementGoal goal, bool options);

/* Do we read it for the other direction (RFC 5103, 6.1) as well? */
extern bool element_is_reversible(ElementUse use);

/* Can a field of so many octets be read that way? */
extern bool element_fits(ElementUse use, size_t length);

#endif							/* LASTFLUSS_ELEMENTS_H */
