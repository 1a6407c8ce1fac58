/*
 * table.c
 *	  Tables that the collector writes into the user's schemas: found or made,
 *	  locked, and filled column by column.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "bulk.h"
#include "citus.h"
#include "compat.h"
#include "lastfluss.h"
#include "table.h"

/*
 * TimescaleDB takes no more than so many rows out of its columnstore for a statement.
 * A bucket that is done again may have more, and would never be done.
 */
static void
table_lift_limit(void)
{
	const char *limit = "timescaledb.max_tuples_decompressed_per_dml_transaction";

	if (GetConfigOption(limit, true, false) != NULL)
		(void) set_config_option(limit, "0", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

void
table_become(Oid userid, TableUser *before)
{
	GetUserIdAndSecContext(&before->userid, &before->sec_context);
	SetUserIdAndSecContext(userid,
						   before->sec_context | SECURITY_RESTRICTED_OPERATION);
	before->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	table_lift_limit();
}

void
table_become_again(const TableUser *before)
{
	AtEOXact_GUC(false, before->guc_level);
	SetUserIdAndSecContext(before->userid, before->sec_context);
}

void
table_run(const char *statement)
{
	int			result = SPI_execute(statement, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
}

Oid
table_database_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
	ReleaseSysCache(tuple);
	return owner;
}

void
table_split_name(const char *name, const char **schema, const char **relation)
{
	List	   *parts = textToQualifiedNameList(cstring_to_text(name));

	*relation = strVal(llast(parts));
	*schema = list_length(parts) > 1 ? strVal(linitial(parts)) : "public";
}

const char *
table_name_beside(const char *relation, const char *suffix)
{
	int			room = NAMEDATALEN - 2 - (int) strlen(suffix);

	return psprintf("%.*s_%s", pg_mbcliplen(relation, strlen(relation), room), relation, suffix);
}

Oid
table_find(const char *schema, const char *relation)
{
	Oid			namespace = get_namespace_oid(schema, true);

	if (!OidIsValid(namespace))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" for the table \"%s\" does not exist", schema, relation),
				 errhint("Create the schema, or name another table with SELECT lastfluss.set('table', ...).")));
	return get_relname_relid(relation, namespace);
}

bool
table_may_create(const char *schema, Oid role)
{
	return compat_may_create_in(get_namespace_oid(schema, false), role);
}

Oid
table_create(const char *schema, const char *relation, const TableLayout *layout, Oid owner)
{
	TableUser	before;

	table_become(owner, &before);
	partition_create_table(schema, relation, layout);
	table_become_again(&before);
	CommandCounterIncrement();
	return get_relname_relid(relation, get_namespace_oid(schema, false));
}

bool
table_has_column(Oid table, const char *name)
{
	AttrNumber	number = get_attnum(table, name);

	return number > 0 && get_attgenerated(table, number) == '\0';
}

Oid
table_owner(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", table);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

static void
table_report_dropped(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("a table for traffic was dropped just now")));
}

const char *
table_name(Oid table)
{
	const char *name = get_rel_name(table);

	if (name == NULL)
		table_report_dropped();
	return name;
}

const char *
table_sql_name(Oid table)
{
	const char *name = table_name(table);

	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), name);
}

Oid
table_lock_for_rows(Oid table)
{
	Relation	relation = try_table_open(table, RowExclusiveLock);
	Oid			owner;

	if (relation == NULL)
		table_report_dropped();
	owner = relation->rd_rel->relowner;
	if (!table_has_column(table, "time"))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"%s\" has no column \"time\"", RelationGetRelationName(relation)),
				 errhint("Rename it, so that lastfluss makes its own, or name another with SELECT lastfluss.set('table', ...).")));
	table_close(relation, NoLock);
	return owner;
}

/* INSERT INTO table (time, ...) SELECT $1, c0, ... FROM unnest($2, ...) */
static char *
table_insert_statement(Oid table, const TableLayout *layout)
{
	StringInfoData columns;
	StringInfoData values;
	StringInfoData arrays;
	StringInfoData aliases;

	initStringInfo(&columns);
	initStringInfo(&values);
	initStringInfo(&arrays);
	initStringInfo(&aliases);
	for (int i = 0; i < layout->column_count; i++)
	{
		const char *name = layout->columns[i].name;

		appendStringInfo(&arrays, "%s$%d", i ? ", " : "", i + 2);
		appendStringInfo(&aliases, "%sc%d", i ? ", " : "", i);
		if (!table_has_column(table, name))
			continue;
		appendStringInfo(&columns, ", %s", quote_identifier(name));
		appendStringInfo(&values, ", c%d", i);
	}
	return psprintf("INSERT INTO %s (\"time\"%s) SELECT $1%s FROM unnest(%s) AS u(%s)",
					table_sql_name(table), columns.data, values.data, arrays.data, aliases.data);
}

static void *
table_allocate(uint32 count, Size size)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, mul_size(count, size),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

void
table_rows_init(TableRows *rows, const TableLayout *layout, uint32 count)
{
	rows->layout = layout;
	rows->count = count;
	rows->values = palloc(layout->column_count * sizeof(Datum *));
	rows->nulls = palloc(layout->column_count * sizeof(bool *));
	for (int i = 0; i < layout->column_count; i++)
	{
		rows->values[i] = table_allocate(count, sizeof(Datum));
		rows->nulls[i] = table_allocate(count, sizeof(bool));
	}
}

Datum
table_array(const TableRows *rows, int column)
{
	const TableColumn *type = &rows->layout->columns[column];
	int			dimension = (int) rows->count;
	int			lower_bound = 1;

	return PointerGetDatum(construct_md_array(rows->values[column], rows->nulls[column], 1,
											  &dimension, &lower_bound, type->type,
											  type->length, type->by_value, type->align));
}

static uint64
table_insert_rows(Oid table, const TableRows *rows)
{
	int			count = rows->layout->column_count;
	Oid		   *types = palloc((count + 1) * sizeof(Oid));
	Datum	   *values = palloc((count + 1) * sizeof(Datum));
	int			result;

	types[0] = TIMESTAMPTZOID;
	values[0] = TimestampTzGetDatum(rows->time);
	for (int i = 0; i < count; i++)
	{
		types[i + 1] = rows->layout->columns[i].array_type;
		values[i + 1] = table_array(rows, i);
	}
	result = SPI_execute_with_args(table_insert_statement(table, rows->layout), count + 1,
								   types, values, NULL, false, 0);
	if (result != SPI_OK_INSERT)
		elog(ERROR, "could not insert into \"%s\": %s", get_rel_name(table),
			 SPI_result_code_string(result));
	return SPI_processed;
}

uint64
table_insert(Oid table, const TableRows *rows)
{
	TableUser	before;
	uint64		inserted;

	table_become(table_lock_for_rows(table), &before);
	if (partition_ensure(table, rows->layout, rows->time))
		CommandCounterIncrement();
	inserted = bulk_suits(table, rows) ? bulk_insert(table, rows) :
		table_insert_rows(table, rows);
	table_become_again(&before);
	return inserted;
}

void
table_prepare_ahead(Oid table, const TableLayout *layout)
{
	TableUser	before;

	table_become(table_lock_for_rows(table), &before);
	partition_ensure_ahead(table, layout);
	table_become_again(&before);
}

TableKind
table_kind(Oid table)
{
	return partition_kind(table);
}

bool
table_oldest_piece(Oid table, TablePiece *piece)
{
	return partition_oldest(table, piece);
}

void
table_lock_piece(Oid table, const TablePiece *piece)
{
	TableUser	before;

	table_become(table_lock_for_rows(table), &before);
	/* On Citus, who inserts through a table has a lock on no partition of it. */
	table_run(psprintf("LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE",
					   on_citus_is_distributed(table) ? table_sql_name(table) : piece->name));
	table_become_again(&before);
}

void
table_drop_piece(Oid table, const TablePiece *piece)
{
	TableUser	before;

	table_become(table_lock_for_rows(table), &before);
	partition_drop(table, piece);
	table_become_again(&before);
}
