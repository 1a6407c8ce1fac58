/*
 * traffic.h
 *	  The table traffic: found or made, and rows written into it.
 */
#ifndef LASTFLUSS_TRAFFIC_H
#define LASTFLUSS_TRAFFIC_H

#include "aggregate.h"

/* The name behind an interface's number. */
typedef const char *(*TrafficName) (uint32 number, void *context);

/*
 * The table of that name (qualified or not; "public" where not), created when
 * it is missing.  Needs a transaction with a snapshot, and SPI connected.
 */
extern Oid	traffic_open(const char *name);

/*
 * Inserts the rows of one interval, as the table's owner, into the columns that
 * the table has, making a partition where one is missing.  "start" is in
 * microseconds since 1970, "period" in seconds.  Returns the number of rows.
 */
extern uint64 traffic_write(Oid table, const Aggregate *sums, int64 start,
							int32 period, TrafficName name, void *context);

/* Makes the partitions of the next days, where the table has such. */
extern void traffic_prepare_ahead(Oid table);

/* partition.c */
extern void partition_create_table(const char *schema, const char *name);
extern bool partition_ensure(Oid table, TimestampTz time);
extern void partition_ensure_ahead(Oid table);

/* Runs a statement by SPI, as the user that is in force. */
extern void traffic_run(const char *statement);

#endif							/* LASTFLUSS_TRAFFIC_H */
