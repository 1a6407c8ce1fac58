/*
 * traffic.h
 *	  The tables traffic and traffic_health: found or made, and intervals written
 *	  into them.
 */
#ifndef LASTFLUSS_TRAFFIC_H
#define LASTFLUSS_TRAFFIC_H

#include "copy.h"

/*
 * The table of that name (qualified or not; "public" where not), created when
 * it is missing.  Needs a transaction with a snapshot, and SPI connected.
 */
extern Oid	traffic_open(const char *name);

/*
 * The table for its health, beside it: traffic_health for traffic.  It is made
 * when it is missing; InvalidOid where the owner of traffic may not make it.
 */
extern Oid	traffic_health_open(const char *name, Oid traffic);

/* The same, where it is there. */
extern Oid	traffic_health_find(Oid traffic);

/*
 * Inserts the rows of one interval into the columns that the table has.  Returns
 * their number.
 */
extern uint64 traffic_write(Oid table, const IntervalCopy *interval);

/* Makes the partitions of the next days, where there are such. */
extern void traffic_prepare_ahead(Oid table);
extern void traffic_health_prepare_ahead(Oid table);

/*
 * A table beside traffic with the same columns, made as we make traffic; and its
 * partition for that time, named after "name".  As the user that is in force.
 */
extern Oid	traffic_create_like(Oid traffic, const char *name);
extern void traffic_ensure_partition(Oid table, const char *name, TimestampTz time);

/* The columns of traffic beside id and time; the last one is not in each table. */
enum TrafficColumn
{
	TRAFFIC_BANDWIDTH,
	TRAFFIC_IFACE,
	TRAFFIC_INGRESS,
	TRAFFIC_REMOTE_ASN,
	TRAFFIC_LOCAL_ASN,
	TRAFFIC_FAMILY,
	TRAFFIC_BYTES,
	TRAFFIC_PACKETS,
	TRAFFIC_FLOWS,
	TRAFFIC_COLLECTOR,
	TRAFFIC_COLUMNS
};

/* To write all of them, with table_insert(). */
extern const struct TableLayout *traffic_full_layout(void);

/* A rollup's columns: those of traffic without the last one, and "peak". */
extern const struct TableLayout *traffic_rollup_layout(void);

/* Those of sums beside a rollup: of interfaces alone (NULL), or by this ASN too. */
extern const struct TableLayout *traffic_sum_layout(const char *asn);

/* Inserts what is known of an interval's completeness; nothing with InvalidOid. */
extern void traffic_health_write(Oid table, const IntervalCopy *interval);

/*
 * The time of an interval's rows, which may come from a broken clock: within what
 * partitions should be made for.
 */
extern TimestampTz traffic_sane_time(int64 start, int32 period);

#endif							/* LASTFLUSS_TRAFFIC_H */
