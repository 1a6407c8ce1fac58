/*
 * bulk.h
 *	  Many rows into a table, the way COPY takes them.
 *
 * Include postgres.h first.
 */
#ifndef LASTFLUSS_BULK_H
#define LASTFLUSS_BULK_H

#include "table.h"

/*
 * Would COPY into the table do what INSERT does?  Not for tables of extensions
 * that have an INSERT of their own, for views, rules, policies, columns of other
 * types than ours, or where the user that is in force lacks the right.
 */
extern bool bulk_suits(Oid table, const TableRows *rows);

/* Inserts them, with a lock that allows it; returns how many there were. */
extern uint64 bulk_insert(Oid table, const TableRows *rows);

#endif							/* LASTFLUSS_BULK_H */
