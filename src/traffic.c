/*
 * traffic.c
 *	  The table traffic: found or made, and rows written into it.
 *
 * Everything here acts as the table's owner (or the database's, to make the
 * table) in a security-restricted operation with a fixed search path, as VACUUM
 * and REFRESH MATERIALIZED VIEW do: triggers and defaults that somebody has put
 * on the table must not run with the rights of the worker.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "lastfluss.h"
#include "traffic.h"

/* Acting as somebody else. */
typedef struct TrafficUser
{
	Oid			userid;
	int			sec_context;
	int			guc_level;
} TrafficUser;

/* A column of ours: its name, and the type in which we give it. */
typedef struct TrafficColumn
{
	const char *name;
	Oid			type;
	Oid			array_type;
	int16		length;
	bool		by_value;
	char		align;
} TrafficColumn;

/* Parameter 1 is the time; each column's array is parameter 2, 3, ... */
static const TrafficColumn traffic_columns[] = {
	{"bandwidth", FLOAT4OID, FLOAT4ARRAYOID, sizeof(float4), true, TYPALIGN_INT},
	{"iface", TEXTOID, TEXTARRAYOID, -1, false, TYPALIGN_INT},
	{"ingress", BOOLOID, BOOLARRAYOID, 1, true, TYPALIGN_CHAR},
	{"remote_asn", INT8OID, INT8ARRAYOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{"local_asn", INT8OID, INT8ARRAYOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{"family", INT2OID, INT2ARRAYOID, sizeof(int16), true, TYPALIGN_SHORT},
	{"bytes", INT8OID, INT8ARRAYOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{"packets", INT8OID, INT8ARRAYOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{"flows", INT8OID, INT8ARRAYOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE}
};

#define TRAFFIC_COLUMNS		((int) lengthof(traffic_columns))

/* Microseconds since 1970: 1990. */
#define TRAFFIC_EARLIEST	((int64) 631152000 * USECS_PER_SEC)

static void
traffic_become(Oid userid, TrafficUser *before)
{
	GetUserIdAndSecContext(&before->userid, &before->sec_context);
	SetUserIdAndSecContext(userid,
						   before->sec_context | SECURITY_RESTRICTED_OPERATION);
	before->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static void
traffic_become_again(const TrafficUser *before)
{
	AtEOXact_GUC(false, before->guc_level);
	SetUserIdAndSecContext(before->userid, before->sec_context);
}

void
traffic_run(const char *statement)
{
	int			result = SPI_execute(statement, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
}

static Oid
traffic_database_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
	ReleaseSysCache(tuple);
	return owner;
}

/* The schema and name in the setting "table". */
static void
traffic_split_name(const char *name, const char **schema, const char **relation)
{
	List	   *parts = textToQualifiedNameList(cstring_to_text(name));

	*relation = strVal(llast(parts));
	*schema = list_length(parts) > 1 ? strVal(linitial(parts)) : "public";
}

Oid
traffic_open(const char *name)
{
	const char *schema;
	const char *relation;
	Oid			namespace;
	Oid			table;
	TrafficUser before;

	traffic_split_name(name, &schema, &relation);
	namespace = get_namespace_oid(schema, true);
	if (!OidIsValid(namespace))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" for the table \"%s\" does not exist", schema, relation),
				 errhint("Create the schema, or name another table with SELECT lastfluss.set('table', ...).")));
	table = get_relname_relid(relation, namespace);
	if (OidIsValid(table))
		return table;

	traffic_become(traffic_database_owner(), &before);
	partition_create_table(schema, relation);
	traffic_become_again(&before);
	CommandCounterIncrement();
	return get_relname_relid(relation, namespace);
}

static bool
traffic_has_column(Oid table, const char *name)
{
	AttrNumber	number = get_attnum(table, name);

	return number > 0 && get_attgenerated(table, number) == '\0';
}

/* INSERT INTO table (time, ...) SELECT $1, c0, ... FROM unnest($2, ...) */
static char *
traffic_insert_statement(Oid table)
{
	StringInfoData columns;
	StringInfoData values;
	StringInfoData arrays;
	StringInfoData aliases;

	initStringInfo(&columns);
	initStringInfo(&values);
	initStringInfo(&arrays);
	initStringInfo(&aliases);
	for (int i = 0; i < TRAFFIC_COLUMNS; i++)
	{
		appendStringInfo(&arrays, "%s$%d", i ? ", " : "", i + 2);
		appendStringInfo(&aliases, "%sc%d", i ? ", " : "", i);
		if (!traffic_has_column(table, traffic_columns[i].name))
			continue;
		appendStringInfo(&columns, ", %s", quote_identifier(traffic_columns[i].name));
		appendStringInfo(&values, ", c%d", i);
	}
	return psprintf("INSERT INTO %s (\"time\"%s) SELECT $1%s FROM unnest(%s) AS u(%s)",
					quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
											   get_rel_name(table)),
					columns.data, values.data, arrays.data, aliases.data);
}

/* The rows, column by column. */
typedef struct TrafficArrays
{
	Datum	   *values[TRAFFIC_COLUMNS];
	bool	   *others;			/* rows whose AS numbers are null */
	bool	   *no_family;
	bool	   *none;			/* rows of a column that is never null */
	uint32		count;
} TrafficArrays;

static void
traffic_fill_row(TrafficArrays *arrays, uint32 row, const AggregateKey *key,
				 const AggregateSum *sum, int32 period, Datum name)
{
	Datum		values[] = {
		Float4GetDatum((float4) ((double) sum->bytes * 8 / period)),
		name,
		BoolGetDatum(key->ingress),
		Int64GetDatum((int64) key->remote_as),
		Int64GetDatum((int64) key->local_as),
		Int16GetDatum(key->family),
		Int64GetDatum((int64) sum->bytes),
		Int64GetDatum((int64) sum->packets),
		Int64GetDatum((int64) sum->flows)
	};

	StaticAssertStmt(lengthof(values) == lengthof(traffic_columns),
					 "a value for each column");
	for (int i = 0; i < TRAFFIC_COLUMNS; i++)
		arrays->values[i][row] = values[i];
	arrays->others[row] = key->others;
	arrays->no_family[row] = key->family == 0;
}

static void *
traffic_allocate(uint32 count, Size size)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, mul_size(count, size),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
traffic_fill(TrafficArrays *arrays, const Aggregate *sums, int32 period,
			 TrafficName name, void *context)
{
	Datum	   *names = palloc0(AGGREGATE_MAX_INTERFACES * sizeof(Datum));

	arrays->count = aggregate_count(sums);
	for (int i = 0; i < TRAFFIC_COLUMNS; i++)
		arrays->values[i] = traffic_allocate(arrays->count, sizeof(Datum));
	arrays->others = traffic_allocate(arrays->count, sizeof(bool));
	arrays->no_family = traffic_allocate(arrays->count, sizeof(bool));
	arrays->none = traffic_allocate(arrays->count, sizeof(bool));

	for (uint32 row = 0; row < arrays->count; row++)
	{
		AggregateKey key;
		AggregateSum sum;

		aggregate_row(sums, row, &key, &sum);
		if (names[key.interface] == (Datum) 0)
			names[key.interface] = CStringGetTextDatum(name(key.interface, context));
		traffic_fill_row(arrays, row, &key, &sum, period, names[key.interface]);
	}
}

static Datum
traffic_array(TrafficArrays *arrays, int column)
{
	const TrafficColumn *type = &traffic_columns[column];
	bool	   *nulls = arrays->none;
	int			dimension = (int) arrays->count;
	int			lower_bound = 1;

	if (strcmp(type->name, "remote_asn") == 0 || strcmp(type->name, "local_asn") == 0)
		nulls = arrays->others;
	else if (strcmp(type->name, "family") == 0)
		nulls = arrays->no_family;
	return PointerGetDatum(construct_md_array(arrays->values[column], nulls, 1,
											  &dimension, &lower_bound, type->type,
											  type->length, type->by_value, type->align));
}

static void
traffic_insert(Oid table, TrafficArrays *arrays, TimestampTz time)
{
	Oid			types[TRAFFIC_COLUMNS + 1] = {TIMESTAMPTZOID};
	Datum		values[TRAFFIC_COLUMNS + 1] = {TimestampTzGetDatum(time)};
	int			result;

	for (int i = 0; i < TRAFFIC_COLUMNS; i++)
	{
		types[i + 1] = traffic_columns[i].array_type;
		values[i + 1] = traffic_array(arrays, i);
	}
	result = SPI_execute_with_args(traffic_insert_statement(table), TRAFFIC_COLUMNS + 1,
								   types, values, NULL, false, 0);
	if (result != SPI_OK_INSERT)
		elog(ERROR, "could not insert into traffic: %s", SPI_result_code_string(result));
}

/* The owner of the table, with a lock on it that keeps it as it is. */
static Oid
traffic_lock(Oid table)
{
	Relation	relation = try_table_open(table, RowExclusiveLock);
	Oid			owner;

	if (relation == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table for traffic was dropped just now")));
	owner = relation->rd_rel->relowner;
	if (!traffic_has_column(table, "time"))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"%s\" has no column \"time\"", RelationGetRelationName(relation)),
				 errhint("Rename it, so that lastfluss makes its own, or name another with SELECT lastfluss.set('table', ...).")));
	table_close(relation, NoLock);
	return owner;
}

/*
 * Times before 1990, or more than a day ahead, would make partitions that nobody
 * wants.  What comes out is the start of an interval again.
 */
static TimestampTz
traffic_sane_time(int64 start, int32 period)
{
	int64		latest = lastfluss_unix_time(GetCurrentTimestamp()) + USECS_PER_DAY;
	int64		time = Max(Min(start, latest), TRAFFIC_EARLIEST);

	return lastfluss_timestamp(time - time % (period * USECS_PER_SEC));
}

uint64
traffic_write(Oid table, const Aggregate *sums, int64 start, int32 period,
			  TrafficName name, void *context)
{
	TimestampTz time = traffic_sane_time(start, period);
	TrafficArrays arrays;
	TrafficUser before;

	traffic_fill(&arrays, sums, period, name, context);
	traffic_become(traffic_lock(table), &before);
	if (partition_ensure(table, time))
		CommandCounterIncrement();
	traffic_insert(table, &arrays, time);
	traffic_become_again(&before);
	return SPI_processed;
}

void
traffic_prepare_ahead(Oid table)
{
	TrafficUser before;

	traffic_become(traffic_lock(table), &before);
	partition_ensure_ahead(table);
	traffic_become_again(&before);
}
