/*
 * retention.h
 *	  What is older than it is to be kept: dropped by partitions and chunks.
 *
 * All of it needs a transaction and SPI connected.
 */
#ifndef LASTFLUSS_RETENTION_H
#define LASTFLUSS_RETENTION_H

#include "rollup.h"

/*
 * Drops the oldest partition or chunk of one of the tables, if it is old enough
 * and its rollups are done.  "retention" has an interval for each of them; NULL
 * keeps it.  True when it has dropped one, and there may be more.
 */
extern bool retention_drop(Rollups *rollups, char *const *retention, bool rollups_on);

/* The same for how complete intervals were. */
extern bool retention_drop_health(Oid health, const char *retention);

/* Deletes some of the interfaces' counters; true when there may be more. */
extern bool retention_delete_counters(const char *retention);

/*
 * Rows that came for what was dropped long ago: adds a partition or chunk of them
 * to the rollups, and drops it.  True when there may be more.
 */
extern bool retention_add_late(Rollups *rollups);

#endif							/* LASTFLUSS_RETENTION_H */
