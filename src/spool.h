/*
 * spool.h
 *	  Intervals in files of the data directory, one each.
 *
 * The directory is pg_lastfluss/.  A file carries a magic number with the version,
 * its length and a checksum; it appears whole or not at all.  One that is damaged
 * is set aside (".damaged") and said in the log, and no more.
 */
#ifndef LASTFLUSS_SPOOL_H
#define LASTFLUSS_SPOOL_H

#include "copy.h"

/* Which interval a file has. */
typedef struct SpoolName
{
	int64		run;
	int32		receiver;
	uint64		sequence;
} SpoolName;

typedef struct SpoolFile
{
	SpoolName	name;
	int64		octets;
} SpoolFile;

/*
 * Writes the interval to its file, over an older one, safe from a crash of the
 * machine.  False, with errno, where that was not possible: then the older file
 * is as it was.  "*octets" becomes its size.
 */
extern bool spool_save(const IntervalCopy *copy, int64 *octets);

/*
 * Reads the interval into the current memory context.  False where there is no
 * such file, or it was damaged and has been set aside; no error is raised for that.
 * It is an error where a file cannot be read for now, for want of memory say.
 */
extern bool spool_load(const SpoolName *name, IntervalCopy *copy);

/*
 * All files, by run, receiver and sequence; their number in "*count".  An error
 * where the directory cannot be read.
 */
extern SpoolFile *spool_list(uint32 *count);

/* The same, but NULL with errno where the directory cannot be read. */
extern SpoolFile *spool_try_list(uint32 *count);

/* Removes the file, if it is there. */
extern void spool_remove(const SpoolName *name);

#endif							/* LASTFLUSS_SPOOL_H */
