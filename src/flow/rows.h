/*
 * rows.h
 *	  The rows of an interval, as they are stored: in order, one for each key.
 */
#ifndef LASTFLUSS_ROWS_H
#define LASTFLUSS_ROWS_H

#include "aggregate.h"

/*
 * The rows that "count" paths make: takes them apart, and merges what they leave.
 * "rows" has room for two of each.  Returns how many there are.
 */
extern uint32_t rows_of_paths(const AggregateRow *paths, uint32_t count, AggregateEntry *rows);

/*
 * Sorts by interface, direction, remote AS, local AS and family, folded rows
 * last, and adds up what has the same key: paths that share a side leave several.
 * Returns how many rows are left.
 */
extern uint32_t rows_merge(AggregateEntry *rows, uint32_t count);

#endif							/* LASTFLUSS_ROWS_H */
