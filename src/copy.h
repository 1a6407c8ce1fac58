/*
 * copy.h
 *	  An interval of its own: copied out of shared memory, or read from a file.
 */
#ifndef LASTFLUSS_COPY_H
#define LASTFLUSS_COPY_H

#include "aggregate.h"
#include "health.h"

/*
 * Everything that is known of an interval.  Run, receiver and sequence number
 * name it for ever.  Paths and rows have numbers of names, which are those of "names".
 */
typedef struct IntervalCopy
{
	int64		run;			/* of the server, microseconds since 1970 */
	int32		receiver;
	uint64		sequence;
	int64		start;			/* microseconds since 1970 */
	int32		period;			/* seconds */
	bool		finished;		/* it was closed: nothing comes any more */
	bool		noted;			/* has health rows */
	uint64		folded;			/* additions to rows for all the other ASNs */
	uint32		path_count;
	const AggregateRow *paths;
	uint32		count;			/* of rows, once copy_read_rows() has made them */
	AggregateEntry *rows;
	uint32		name_count;
	char	  **names;			/* by number, NULL where no path has it */
	uint32		health_count;
	HealthRow  *health;
} IntervalCopy;

/*
 * Copies what a buffer holds, in the current memory context.  False where it
 * holds another interval than "sequence" now; 0 takes what is there.  A buffer
 * that is OPEN goes on changing, and is copied in pieces: each path is one that
 * it had, all of them together need not be.
 */
extern bool copy_interval(int receiver, int buffer, uint64 sequence, IntervalCopy *copy);

/* Makes the rows, in order (rows.h). */
extern void copy_read_rows(IntervalCopy *copy);

/* Gives back the memory of all that hangs on it. */
extern void copy_free(IntervalCopy *copy);

#endif							/* LASTFLUSS_COPY_H */
