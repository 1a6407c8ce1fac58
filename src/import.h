/*
 * import.h
 *	  What the files that can be imported have in common: fields, lines, and
 *	  errors that name the line.
 *
 * A file is read and checked as a whole before anything is written; one error
 * names all that is wrong with it.  What only the tables' triggers and the
 * catalogue of settings can tell comes after, with the line as context.
 * Include postgres.h first.
 */
#ifndef LASTFLUSS_IMPORT_H
#define LASTFLUSS_IMPORT_H

#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/elog.h"

#include "yaml_node.h"

#define IMPORT_MAX_LISTED	20	/* errors or keys in one message */

/* What is wrong with a file. */
typedef struct Import
{
	const char *what;			/* such as "interfaces file", for messages */
	int			errors;
	StringInfoData list;		/* the first IMPORT_MAX_LISTED, a line each */
	const char *hint;			/* of the first that has one */
} Import;

extern void import_begin(Import *import, const char *what);

/* Notes an error; "hint" may be NULL. */
extern void import_complain(Import *import, int line, const char *hint, const char *problem);

/* No more errors will be listed: there is no use in reading on. */
static inline bool
import_is_hopeless(const Import *import)
{
	return import->errors > IMPORT_MAX_LISTED;
}

/* Raises the error with all that was noted, if anything was. */
extern void import_check(const Import *import);

/* Text of the file for messages, cut where it is long. */
extern char *import_clip(const char *value);

/* What a node is, for messages: "must be ..., not %s". */
extern const char *import_found(const YamlNode *node);

/* The scalars that a mapping has by name. */
typedef enum ImportType
{
	IMPORT_TEXT,				/* min to max octets */
	IMPORT_NUMBER,				/* min to max */
	IMPORT_ADDRESS
} ImportType;

typedef struct ImportField
{
	const char *name;
	ImportType	type;
	int64		min;
	int64		max;
	bool		required;
} ImportField;

#define IMPORT_ANY_LENGTH	PG_INT32_MAX

typedef struct ImportValue
{
	int			line;			/* 0: the field is not there */
	bool		present;		/* there, good, and not null */
	Datum		datum;			/* text, int8 or inet */
} ImportValue;

/* Takes the fields of a mapping into "values"; false when they cannot be used. */
extern bool import_fields(Import *import, const YamlNode *mapping,
						  const ImportField *fields, int count, ImportValue *values);

/* A file as lines. */
typedef struct ImportLines
{
	char	   *next;			/* NULL: there is none */
	int			number;			/* of the line given last */
} ImportLines;

extern void import_lines_begin(ImportLines *lines, const text *file);

/* The next line that is not empty and no comment, without blanks around; NULL at the end. */
extern char *import_next_line(ImportLines *lines);

/* Cuts off the blanks around. */
extern char *import_trim(char *value);

/* Single values; false when they are none. */
extern bool import_number(const char *value, int64 min, int64 max, int64 *number);
extern bool import_address(const char *value, Datum *address);

/*
 * What is being worked on, as context of errors that others raise: set line and
 * field between push and pop.
 */
typedef struct ImportPlace
{
	int			line;
	const char *field;			/* NULL: all of what is there */
	const char *what;
	ErrorContextCallback callback;
} ImportPlace;

extern void import_push_place(ImportPlace *place, const Import *import);
extern void import_pop_place(ImportPlace *place);

/* Statements that write, and queries that read; SPI must be connected. */
extern SPIPlanPtr import_prepare(const char *query, int count, Oid *types);
extern void import_execute(SPIPlanPtr plan, Datum *values, const char *nulls);
extern void import_select(const char *query);

/* A value of that query's result in its text form; NULL for null. */
extern char *import_result(uint64 row, int column);

/* A field to be exported. */
extern void import_export_field(YamlNode *mapping, const char *name, ImportType type,
								const char *value);

/* The document in the memory of "caller"; closes SPI. */
extern text *import_export_finish(const YamlNode *root, MemoryContext caller);

#endif							/* LASTFLUSS_IMPORT_H */
