/*
 * prefixes.h
 *	  The rows of lastfluss.prefix as a PrefixTable: for the receivers in dynamic
 *	  shared memory, for a session in its own.
 *
 * Include postgres.h first.
 */
#ifndef LASTFLUSS_PREFIXES_H
#define LASTFLUSS_PREFIXES_H

#include "storage/dsm.h"

#include "prefix.h"

/*
 * The prefixes as the caller's snapshot sees them, in the current memory
 * context; NULL where there are none.  "*size" (may be NULL) becomes its octets.
 * SPI must be connected.
 */
extern PrefixTable *prefixes_build(Size *size);

/*
 * Writer: reads the prefixes and gives them to the receivers, in a transaction
 * with a snapshot and SPI connected.
 */
extern void prefixes_publish(void);

/* Takes away what the receivers have. */
extern void prefixes_withdraw(void);

/* Receiver: what it has attached. */
typedef struct PrefixesMapping
{
	uint64		generation;
	int64		retry_at;		/* microseconds since 1970 */
	dsm_segment *segment;		/* NULL: no prefixes */
} PrefixesMapping;

/*
 * Where the writer has published another table, attaches it, lets "*table" (NULL:
 * none) point to it, and detaches the one before.
 */
extern void prefixes_follow(PrefixesMapping *mapping, const PrefixTable **table, int64 now);

#endif							/* LASTFLUSS_PREFIXES_H */
