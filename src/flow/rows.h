/*
 * rows.h
 *	  The rows of an interval, as they are stored: in order, one for each key.
 */
#ifndef LASTFLUSS_ROWS_H
#define LASTFLUSS_ROWS_H

#include "aggregate.h"

/*
 * Sorts by interface, direction, remote AS, local AS and family, folded rows
 * last, and adds up what has the same key: paths that share a side leave several.
 * Returns how many rows are left.
 */
extern uint32_t rows_merge(AggregateEntry *rows, uint32_t count);

#endif							/* LASTFLUSS_ROWS_H */
