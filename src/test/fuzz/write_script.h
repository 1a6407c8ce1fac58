/*
 * write_script.h
 *	  Writes datagrams as scripts (script.h), into files.
 */
#ifndef FUZZ_WRITE_SCRIPT_H
#define FUZZ_WRITE_SCRIPT_H

#include <stdio.h>

#include "decode.h"

/* No longer, and no more of them: inputs that are large are slow. */
#define WRITE_SCRIPT_LENGTH		6000
#define WRITE_SCRIPT_DATAGRAMS	24

typedef struct WriteScript
{
	const char *prefix;			/* of the files' names, to which numbers come */
	int			files;
	FILE	   *file;			/* NULL: none is open */
	size_t		length;			/* of it */
	int			datagrams;		/* in it */
	FlowAddress first;			/* whom the first datagram came from */
	int64_t		received;		/* when the last one came */
} WriteScript;

/* Adds a datagram to the file, or to a new one where that is full. */
extern void write_script_add(WriteScript *script, const Datagram *datagram, bool may_continue);

/* What comes now, comes into another file. */
extern void write_script_end(WriteScript *script);

#endif							/* FUZZ_WRITE_SCRIPT_H */
