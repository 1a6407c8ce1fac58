/*
 * row.c
 *	  Rows of a set-returning function, value by value.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "lastfluss.h"
#include "row.h"

void
row_add(Row *row, Datum value)
{
	row->values[row->count] = value;
	row->nulls[row->count++] = false;
}

void
row_add_null(Row *row)
{
	row->values[row->count] = (Datum) 0;
	row->nulls[row->count++] = true;
}

void
row_add_number(Row *row, uint64 value)
{
	row_add(row, Int64GetDatum((int64) value));
}

void
row_add_text(Row *row, const char *text)
{
	if (text)
		row_add(row, CStringGetTextDatum(text));
	else
		row_add_null(row);
}

void
row_add_time(Row *row, int64 unix_time)
{
	if (unix_time != 0)
		row_add(row, TimestampTzGetDatum(lastfluss_timestamp(unix_time)));
	else
		row_add_null(row);
}

void
row_put(Row *row, FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	Assert(row->count == result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc, row->values, row->nulls);
	row->count = 0;
}
