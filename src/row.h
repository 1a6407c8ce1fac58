/*
 * row.h
 *	  Rows of a set-returning function, value by value.
 */
#ifndef LASTFLUSS_ROW_H
#define LASTFLUSS_ROW_H

#include "fmgr.h"

#define ROW_MAX_COLUMNS	40

typedef struct Row
{
	int			count;
	Datum		values[ROW_MAX_COLUMNS];
	bool		nulls[ROW_MAX_COLUMNS];
} Row;

extern void row_add(Row *row, Datum value);
extern void row_add_null(Row *row);
extern void row_add_number(Row *row, uint64 value);

/* NULL is null. */
extern void row_add_text(Row *row, const char *text);

/* Microseconds since 1970; 0 is null. */
extern void row_add_time(Row *row, int64 unix_time);

/* Hands the row to the function's result, and starts anew. */
extern void row_put(Row *row, FunctionCallInfo fcinfo);

#endif							/* LASTFLUSS_ROW_H */
