/*
 * top.h
 *	  The largest remote ASNs of an interval; the others folded into one row.
 */
#ifndef LASTFLUSS_TOP_H
#define LASTFLUSS_TOP_H

#include <stdint.h>

#include "aggregate.h"

/*
 * Folds "rows" in place: per interface and direction the "keep" remote ASNs with
 * the most bytes (of equal ones the lower number) keep their rows, and so does each
 * that has more than "share" millionths of all bytes there, if that is not 0.  All
 * other rows become one for each interface, direction and family whose ASNs are null.
 * Returns how many rows are left; their sums are exactly those of before.  With
 * a "keep" of 0 nothing is folded.  The order of the rows changes.
 */
extern uint32_t top_keep(AggregateEntry *rows, uint32_t count, uint32_t keep, uint32_t share);

#endif							/* LASTFLUSS_TOP_H */
