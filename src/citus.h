/*
 * citus.h
 *	  What is different where Citus is installed in the database.
 *
 * All of it needs a transaction with a snapshot, and SPI connected.
 */
#ifndef LASTFLUSS_CITUS_H
#define LASTFLUSS_CITUS_H

#include "datatype/timestamp.h"

/* Is the extension there? */
extern bool on_citus(void);

/*
 * Is this the node that makes tables, partitions and rollups, and drops what is old?
 * True on every server without Citus.
 */
extern bool on_citus_leader(void);

/* An error on every other node: the leader makes that table. */
extern void on_citus_require_leader(const char *schema, const char *relation);

/* An error where Citus and TimescaleDB are both there. */
extern void on_citus_refuse_timescale(void);

/* Are its rows in shards? */
extern bool on_citus_is_distributed(Oid table);

/* As the table's owner: puts its rows into shards, by the hash of a column. */
extern void on_citus_distribute(const char *table, const char *column);

/* On the leader: makes tables of the extension the same on all nodes. */
extern void on_citus_share_tables(void);

/*
 * On the leader, when that is committed: their shards belong to the extension on all
 * nodes, so that DROP EXTENSION drops them.
 */
extern void on_citus_adopt_shards(void);

/* Has the leader make the partition for that time. */
extern void on_citus_ask_for_partition(Oid table, TimestampTz time);

/* The OID that the table has on the leader. */
extern Oid	on_citus_leader_oid(Oid table);

/*
 * Waits until all nodes show what was committed before: commits reach one node after
 * the other.  An error where that takes long.
 */
extern void on_citus_settle(void);

#endif							/* LASTFLUSS_CITUS_H */
