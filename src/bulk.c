/*
 * bulk.c
 *	  Many rows into a table, the way COPY takes them.
 *
 * The rows go through the server's own COPY FROM, in its binary format, which
 * a callback makes piece by piece: partitions, defaults, constraints, indexes and
 * triggers are its business, and heap pages are filled many rows at a time.
 * INSERT ... SELECT FROM unnest() would put every column into a store of its own
 * first, and took half as long again.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/copy.h"
#include "commands/extension.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "bulk.h"
#include "citus.h"
#include "compat.h"

#define BULK_PIECE	65536		/* octets that are made at a time */

/* Signature, flags and the length of the header's extension, which are 0. */
static const char bulk_header[19] = "PGCOPY\n\377\r\n";

/* What the callback takes from; it gets no argument. */
typedef struct BulkSource
{
	const TableRows *rows;
	const int  *columns;		/* that the table has */
	int			column_count;
	uint32		next;			/* row */
	bool		ended;			/* the trailer is made */
	StringInfoData data;
} BulkSource;

static BulkSource *bulk_source = NULL;

/*
 * Whether it can be done.
 */

/* A column that takes what we have as it is. */
static bool
bulk_same_type(Oid table, const char *name, Oid type)
{
	return get_atttype(table, get_attnum(table, name)) == type;
}

static bool
bulk_same_types(Oid table, const TableRows *rows)
{
	if (!bulk_same_type(table, "time", TIMESTAMPTZOID))
		return false;
	for (int i = 0; i < rows->layout->column_count; i++)
	{
		const TableColumn *column = &rows->layout->columns[i];

		if (column->type == INETOID ||
			(table_has_column(table, column->name) &&
			 !bulk_same_type(table, column->name, column->type)))
			return false;
	}
	return true;
}

static bool
bulk_is_ordinary(Oid table)
{
	Relation	relation = table_open(table, NoLock);
	char		kind = relation->rd_rel->relkind;
	bool		ordinary = (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE) &&
		!relation->rd_rel->relhasrules;

	table_close(relation, NoLock);
	return ordinary;
}

bool
bulk_suits(Oid table, const TableRows *rows)
{
	return bulk_is_ordinary(table) && bulk_same_types(table, rows) &&
		!OidIsValid(get_extension_oid("timescaledb", true)) &&
		!on_citus() &&
		pg_class_aclcheck(table, GetUserId(), ACL_INSERT) == ACLCHECK_OK &&
		check_enable_rls(table, InvalidOid, true) != RLS_ENABLED &&
		pg_get_client_encoding() == GetDatabaseEncoding();
}

/*
 * The data.
 */

static void
bulk_put_value(StringInfo data, Oid type, Datum value)
{
	switch (type)
	{
		case INT8OID:
		case TIMESTAMPTZOID:
			pq_sendint32(data, sizeof(int64));
			pq_sendint64(data, (uint64) DatumGetInt64(value));
			break;
		case INT2OID:
			pq_sendint32(data, sizeof(int16));
			pq_sendint16(data, (uint16) DatumGetInt16(value));
			break;
		case FLOAT4OID:
			pq_sendint32(data, sizeof(float4));
			pq_sendfloat4(data, DatumGetFloat4(value));
			break;
		case BOOLOID:
			pq_sendint32(data, 1);
			pq_sendbyte(data, DatumGetBool(value));
			break;
		case TEXTOID:
			pq_sendint32(data, (uint32) VARSIZE_ANY_EXHDR(DatumGetPointer(value)));
			appendBinaryStringInfo(data, VARDATA_ANY(DatumGetPointer(value)),
								   VARSIZE_ANY_EXHDR(DatumGetPointer(value)));
			break;
		default:
			elog(ERROR, "no binary format for type %u", type);
	}
}

static void
bulk_put_row(BulkSource *source, uint32 row)
{
	const TableRows *rows = source->rows;

	pq_sendint16(&source->data, (uint16) (source->column_count + 1));
	bulk_put_value(&source->data, TIMESTAMPTZOID, TimestampTzGetDatum(rows->time));
	for (int i = 0; i < source->column_count; i++)
	{
		int			column = source->columns[i];

		if (rows->nulls[column][row])
			pq_sendint32(&source->data, (uint32) -1);
		else
			bulk_put_value(&source->data, rows->layout->columns[column].type,
						   rows->values[column][row]);
	}
}

/* The next piece, empty at the end. */
static void
bulk_refill(BulkSource *source)
{
	resetStringInfo(&source->data);
	while (source->next < source->rows->count && source->data.len < BULK_PIECE)
		bulk_put_row(source, source->next++);
	if (source->next == source->rows->count && !source->ended)
	{
		pq_sendint16(&source->data, (uint16) -1);
		source->ended = true;
	}
}

static int
bulk_read(void *to, int least, int most)
{
	StringInfo	data = &bulk_source->data;
	int			given = 0;

	while (given < least)
	{
		int			length;

		if (data->cursor == data->len)
			bulk_refill(bulk_source);
		length = Min(most - given, data->len - data->cursor);
		if (length == 0)
			break;
		memcpy((char *) to + given, data->data + data->cursor, length);
		data->cursor += length;
		given += length;
	}
	return given;
}

/*
 * COPY.
 */

/* The columns to fill, as positions in the layout and as names for COPY. */
static List *
bulk_columns(Oid table, const TableLayout *layout, int *columns, int *count)
{
	List	   *names = list_make1(makeString("time"));

	*count = 0;
	for (int i = 0; i < layout->column_count; i++)
	{
		if (!table_has_column(table, layout->columns[i].name))
			continue;
		columns[(*count)++] = i;
		names = lappend(names, makeString(pstrdup(layout->columns[i].name)));
	}
	return names;
}

/* As the initial copy of a subscription does it (replication/logical/tablesync.c). */
static uint64
bulk_copy(Relation relation, List *names)
{
	ParseState *state = make_parsestate(NULL);
	List	   *options = list_make1(makeDefElem("format", (Node *) makeString("binary"), -1));
	CopyFromState copy;
	uint64		count;

	(void) addRangeTableEntryForRelation(state, relation, RowExclusiveLock, NULL, false, false);
	copy = BeginCopyFrom(state, relation, NULL, NULL, false, bulk_read, names, options);
	count = CopyFrom(copy);
	EndCopyFrom(copy);
	free_parsestate(state);
	return count;
}

uint64
bulk_insert(Oid table, const TableRows *rows)
{
	Relation	relation = table_open(table, RowExclusiveLock);
	int		   *columns = palloc(rows->layout->column_count * sizeof(int));
	BulkSource	source = {.rows = rows,.columns = columns};
	BulkSource *before = bulk_source;	/* a trigger's replay() comes within another COPY */
	List	   *volatile names;
	volatile uint64 count = 0;

	PreventCommandIfReadOnly("COPY FROM");
	names = bulk_columns(table, rows->layout, columns, &source.column_count);
	initStringInfo(&source.data);
	appendBinaryStringInfo(&source.data, bulk_header, sizeof(bulk_header));
	bulk_source = &source;
	PG_TRY();
	{
		count = bulk_copy(relation, names);
	}
	PG_FINALLY();
	{
		bulk_source = before;
	}
	PG_END_TRY();
	table_close(relation, NoLock);
	CommandCounterIncrement();
	return count;
}
