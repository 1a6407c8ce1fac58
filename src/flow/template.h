/*
 * template.h
 *	  Templates of NetFlow v9 and IPFIX, compiled once into steps.
 */
#ifndef LASTFLUSS_TEMPLATE_H
#define LASTFLUSS_TEMPLATE_H

#include "flow.h"
#include "lru.h"
#include "packet.h"

/* More steps than this make a template unusable (DECODE_BAD_TEMPLATE). */
#define TEMPLATE_MAX_STEPS	96

/*
 * One thing to do with a record.  Offsets count from the record's start, or in
 * a template with variable-length fields from the end of the variable-length
 * field before.  A step with "variable" set ends at the end of its own field.
 */
typedef struct TemplateStep
{
	uint16_t	offset;
	uint16_t	length;			/* of the field; unused where variable */
	uint8_t		element;		/* ElementUse of elements.h */
	uint8_t		op;				/* how to do it fast, for template.c alone */
	uint8_t		member;			/* its place in Flow, where it is only copied */
	bool		variable;		/* RFC 7011, 7 */
} TemplateStep;

typedef struct Template
{
	LruLink		link;
	FlowAddress address;
	uint32_t	domain;
	uint16_t	port;
	uint16_t	id;
	uint8_t		protocol;		/* 9 or 10 */
	bool		options;
	bool		has_variable;
	bool		plain;			/* every step can be done by itself */
	uint8_t		family;			/* of the addresses that it has, 0: look at them */
	uint32_t	present;		/* Flow.present that every plain record has */
	uint16_t	field_count;	/* as sent */
	uint16_t	step_count;
	uint32_t	record_length;	/* octets; the least, with variable fields */
	uint32_t	tail_length;	/* after the last variable field */
	int64_t		first_seen;		/* microseconds since 1970, our clock */
	int64_t		last_seen;		/* when it was sent last */
	uint64_t	records;		/* decoded with it */
	TemplateStep steps[TEMPLATE_MAX_STEPS];
} Template;

/* Whose template it is (RFC 7011, 8). */
typedef struct TemplateKey
{
	FlowAddress address;
	uint32_t	domain;
	uint16_t	port;
	uint16_t	id;
	uint8_t		protocol;
	bool		known;			/* configuration names the host */
} TemplateKey;

/* What the message's header says about time. */
typedef struct TemplateClock
{
	int64_t		export_time;	/* microseconds since 1970 */
	uint32_t	uptime;			/* milliseconds at that time; v9 only */
} TemplateClock;

typedef enum TemplateResult
{
	TEMPLATE_OK,
	TEMPLATE_END,				/* what is left is padding */
	TEMPLATE_UNUSABLE,			/* well-formed, but we cannot work with it */
	TEMPLATE_MALFORMED			/* runs over the end of its set */
} TemplateResult;

/*
 * Reads "field_count" field specifiers and remembers the template, in place of
 * the one that the same port sent before: TEMPLATE_OK, TEMPLATE_UNUSABLE (then
 * the one before is forgotten) or TEMPLATE_MALFORMED (then it is kept).
 */
extern TemplateResult template_learn(Lru *templates, const TemplateKey *key, bool options,
									 Packet *fields, uint16_t field_count, int64_t now);

/*
 * The template of that id, and marks it as used: the one that came from this
 * port, or else the one learned last from another.  NULL if there is none.
 */
extern Template *template_find(Lru *templates, const TemplateKey *key);

/*
 * Takes one record from the set and fills in what "flow" has of it: all but
 * protocol and domain.  TEMPLATE_OK, TEMPLATE_END or TEMPLATE_MALFORMED.  For
 * options templates it only steps over the record.
 */
extern TemplateResult template_run(const Template *template, const TemplateClock *clock,
								   Packet *set, Flow *flow);

#endif							/* LASTFLUSS_TEMPLATE_H */
