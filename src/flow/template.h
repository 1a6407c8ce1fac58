/*
 * template.h
 *	  Templates of NetFlow v9 and IPFIX: which are known, and whose they are.
 *
 * What a template says is compiled once into steps (steps.h), which its records
 * run.
 */
#ifndef LASTFLUSS_TEMPLATE_H
#define LASTFLUSS_TEMPLATE_H

#include "flow.h"
#include "lru.h"
#include "packet.h"

/* More steps than this make a template unusable (DECODE_BAD_TEMPLATE). */
#define TEMPLATE_MAX_STEPS	96

/* Octets of field specifiers that are kept, to know a template that is sent again. */
#define TEMPLATE_SENT		256

/* So many of one address at most; its oldest goes first. */
#define TEMPLATE_MAX_OF_ADDRESS	512

/*
 * One thing to do with a record.  Offsets count from the record's start, or in
 * a template with variable-length fields from the end of the variable-length
 * field before.  A step with "variable" set ends at the end of its own field.
 */
typedef struct TemplateStep
{
	uint16_t	offset;
	uint16_t	length;			/* of the field; 0 where variable */
	uint8_t		member;			/* its place in StepsRecord, where it is only copied */
	uint8_t		element;		/* ElementUse of elements.h */
	uint8_t		op;				/* how to do it fast, for steps.c alone */
	bool		variable:1;		/* RFC 7011, 7 */
	bool		reverse:1;		/* of the other direction (RFC 5103) */
} TemplateStep;

typedef struct Template
{
	LruLink		link;
	uint32_t	newer;			/* of the same address; for template.c alone */
	uint32_t	older;
	FlowAddress address;
	uint32_t	domain;
	uint16_t	port;
	uint16_t	id;
	uint8_t		protocol;		/* 9 or 10 */
	bool		options;
	bool		has_variable;
	bool		plain;			/* every step can be done by itself */
	bool		columns;		/* and for many records at a time */
	uint8_t		family;			/* of the addresses that it has, 0: look at them */
	uint32_t	present;		/* Flow.present that every plain record has */
	uint32_t	reverse_present;	/* and of the other direction */
	uint16_t	field_count;	/* as sent */
	uint16_t	scope_count;
	uint16_t	step_count;
	uint16_t	sent_length;	/* octets of "sent"; 0: not kept */
	uint32_t	record_length;	/* octets; the least, with variable fields */
	uint32_t	tail_length;	/* after the last variable field */
	int64_t		first_seen;		/* microseconds since 1970, our clock */
	int64_t		last_seen;		/* when it was sent last */
	uint64_t	records;		/* decoded with it */
	TemplateStep steps[TEMPLATE_MAX_STEPS];
	uint8_t		sent[TEMPLATE_SENT];	/* its field specifiers, for template.c alone */
} Template;

/* All that are known, in memory that the caller hands over. */
typedef struct TemplateTable
{
	Lru		   *all;			/* of Template */
	Lru		   *owners;			/* by address, for template.c alone */
	uint64_t	pushed_out;		/* by others of the same address */
} TemplateTable;

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

typedef enum TemplateResult
{
	TEMPLATE_OK,
	TEMPLATE_END,				/* what is left is padding */
	TEMPLATE_UNUSABLE,			/* well-formed, but we cannot work with it */
	TEMPLATE_MALFORMED			/* runs over the end of its set */
} TemplateResult;

/* What a template record says of its fields before it names them. */
typedef struct TemplateShape
{
	bool		options;
	uint16_t	scope_count;	/* the first so many fields are scope */
	uint16_t	field_count;	/* all of them */
} TemplateShape;

/* Octets of memory for so many templates. */
extern size_t template_table_size(uint32_t capacity);

/* Makes an empty table in "memory", aligned to 16. */
extern TemplateTable *template_table_init(void *memory, uint32_t capacity);

/*
 * Reads the field specifiers and remembers the template, in place of the one
 * that the same port sent before: TEMPLATE_OK, TEMPLATE_UNUSABLE (then the one
 * before is forgotten) or TEMPLATE_MALFORMED (then it is kept).
 */
extern TemplateResult template_learn(TemplateTable *table, const TemplateKey *key,
									 const TemplateShape *shape, Packet *fields, int64_t now);

/*
 * The template of that id, and marks it as used: the one that came from this
 * port, or else the one learned last from another.  NULL if there is none.
 */
extern Template *template_find(TemplateTable *table, const TemplateKey *key);

/*
 * Remembers a template that was saved: of "saved" its key, options, counters,
 * times, tail_length, and each step's offset, length, element, variable and
 * reverse count; all else is made anew.  False where they cannot be right.
 */
extern bool template_restore(TemplateTable *table, const Template *saved, bool known);

#endif							/* LASTFLUSS_TEMPLATE_H */
