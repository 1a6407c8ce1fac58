/*
 * partition.c
 *	  How our tables are made: range partitions, or a hypertable where
 *	  TimescaleDB is installed; and the partitions as time goes on.
 *
 * All of it runs as the table's owner (see table.h).
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "citus.h"
#include "lastfluss.h"
#include "table.h"

#define PARTITION_DAYS_AHEAD	3
#define PARTITION_COLUMN_DAYS	7	/* chunks go to the columnstore when they are so old */

/* The length of chunks, which begin at multiples of it. */
static const int partition_days[] = {
	[TABLE_DAY] = 1,
	[TABLE_WEEK] = 7,
	[TABLE_MONTH] = 30,
	[TABLE_YEAR] = 360
};

/* The schema of TimescaleDB's functions, or NULL where it is not installed. */
static char *
partition_timescale_schema(void)
{
	bool		isnull;
	Datum		name;

	if (!OidIsValid(get_extension_oid("timescaledb", true)))
		return NULL;
	if (SPI_execute("SELECT n.nspname::text FROM pg_extension e"
					" JOIN pg_namespace n ON n.oid = e.extnamespace"
					" WHERE e.extname = 'timescaledb'", true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not look up the extension timescaledb");
	name = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return TextDatumGetCString(name);
}

static void
partition_comment(const char *table, const TableLayout *layout)
{
	table_run(psprintf("COMMENT ON TABLE %s IS %s", table, quote_literal_cstr(layout->comment)));
	table_run(psprintf("COMMENT ON COLUMN %s.\"time\" IS 'start of the interval'", table));
	for (int i = 0; i < layout->column_count; i++)
		table_run(psprintf("COMMENT ON COLUMN %s.%s IS %s", table,
						   quote_identifier(layout->columns[i].name),
						   quote_literal_cstr(layout->columns[i].comment)));
}

static char *
partition_columns(const TableLayout *layout)
{
	StringInfoData columns;

	initStringInfo(&columns);
	appendStringInfo(&columns, "%s\"time\" timestamptz NOT NULL", layout->first);
	for (int i = 0; i < layout->column_count; i++)
		appendStringInfo(&columns, ", %s %s", quote_identifier(layout->columns[i].name),
						 layout->columns[i].definition);
	appendStringInfoString(&columns, layout->constraint);
	return columns.data;
}

/*
 * Old chunks by columns, where TimescaleDB's licence edition has that; rows that
 * come late, and buckets that are done again, are written there all the same.
 */
static void
partition_use_columnstore(const char *table, const TableLayout *layout, const char *timescale)
{
	table_run(psprintf("ALTER TABLE %s SET (timescaledb.compress,"
					   " timescaledb.compress_segmentby = %s, timescaledb.compress_orderby = 'time')",
					   table, quote_literal_cstr(layout->segments)));
	table_run(psprintf("SELECT %s.add_compression_policy(%s, compress_after => interval '%d days')",
					   quote_identifier(timescale), quote_literal_cstr(table),
					   Max(PARTITION_COLUMN_DAYS, 2 * partition_days[layout->width])));
}

/* Rows are kept without it, too. */
static void
partition_try_columnstore(const char *table, const TableLayout *layout, const char *timescale)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	const char *license = GetConfigOption("timescaledb.license", true, false);

	if (layout->segments == NULL || license == NULL || strcmp(license, "timescale") != 0)
		return;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		partition_use_columnstore(table, layout, timescale);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		ereport(lastfluss_elevel(LOG_RANK_WARNING),
				(errcode(error->sqlerrcode),
				 errmsg("lastfluss: table %s has no columnstore: %s", table, error->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/*
 * Without a key, a publication FOR ALL TABLES would keep us from doing buckets again,
 * and Citus from moving shards while rows come.
 */
static void
partition_identify(const char *table, const TableLayout *layout)
{
	if (layout->constraint[0] == '\0')
		table_run(psprintf("ALTER TABLE %s REPLICA IDENTITY FULL", table));
}

static void
partition_create_parent(const char *table, const char *columns, const TableLayout *layout)
{
	char	   *timescale = partition_timescale_schema();
	bool		citus = on_citus();

	on_citus_refuse_timescale();
	table_run(psprintf("CREATE TABLE %s (%s)%s", table, columns,
					   timescale ? "" : " PARTITION BY RANGE (\"time\")"));
	if (timescale)
	{
		table_run(psprintf("SELECT %s.create_hypertable(%s, 'time', chunk_time_interval => interval '%d days')",
						   quote_identifier(timescale), quote_literal_cstr(table),
						   partition_days[layout->width]));
		partition_try_columnstore(table, layout, timescale);
	}
	else
		/*
		 * Rows come in the order of time, so that a BRIN index stays tiny.  That of a
		 * shard is on another node, where autovacuum brings it up to date.
		 */
		table_run(psprintf("CREATE INDEX ON %s USING %s (\"time\")%s", table,
						   layout->exact_index ? "btree" : "brin",
						   citus && !layout->exact_index ? " WITH (autosummarize = on)" : ""));
	partition_identify(table, layout);
	if (citus)
		on_citus_distribute(table, layout->distribution);
}

void
partition_create_table(const char *schema, const char *name, const TableLayout *layout)
{
	const char *table = quote_qualified_identifier(schema, name);

	partition_create_parent(table, partition_columns(layout), layout);
	partition_comment(table, layout);
}

/* With the columns, indexes and comments of an existing table, beside it. */
void
partition_create_like(Oid table, const char *name, const TableLayout *layout)
{
	const char *schema = get_namespace_name(get_rel_namespace(table));
	const char *like = quote_qualified_identifier(schema, get_rel_name(table));
	const char *created = quote_qualified_identifier(schema, name);
	bool		isnull;

	partition_create_parent(created, psprintf("LIKE %s INCLUDING ALL", like), layout);
	table_run(psprintf("SELECT obj_description(%u, 'pg_class')", table));
	(void) SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
		table_run(psprintf("COMMENT ON TABLE %s IS %s", created,
						   quote_literal_cstr(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1))));
}

/* Is the table partitioned by ranges of "time", as we do it? */
static bool
partition_by_time(Relation relation)
{
	PartitionKey key;

	if (relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	key = RelationGetPartitionKey(relation);
	return get_partition_strategy(key) == PARTITION_STRATEGY_RANGE &&
		get_partition_natts(key) == 1 &&
		get_partition_col_typid(key, 0) == TIMESTAMPTZOID &&
		get_partition_col_attnum(key, 0) == get_attnum(RelationGetRelid(relation), "time");
}

/* Is there a partition for this time?  (As the executor finds it for a row.) */
static bool
partition_exists(Relation relation, TimestampTz time)
{
	PartitionKey key = RelationGetPartitionKey(relation);
	PartitionDesc partitions = RelationGetPartitionDesc(relation, true);
	PartitionBoundInfo bounds = partitions->boundinfo;
	Datum		value = TimestampTzGetDatum(time);
	bool		equal;
	int			offset;

	if (partitions->nparts == 0)
		return false;
	if (partition_bound_has_default(bounds))
		return true;
	offset = partition_range_datum_bsearch(key->partsupfunc, key->partcollation,
										   bounds, 1, &value, &equal);
	return bounds->indexes[offset + 1] >= 0;
}

static const char *
partition_day_text(TimestampTz day)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(day, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	return psprintf("%04d-%02d-%02d", tm.tm_year, tm.tm_mon, tm.tm_mday);
}

/* traffic -> traffic_20261123 */
static char *
partition_name(const char *table, const char *day)
{
	return psprintf("%.*s_%.4s%.2s%.2s", NAMEDATALEN - 10, table, day, day + 5, day + 8);
}

static TimestampTz
partition_day(TimestampTz time)
{
	TimestampTz rest = time % USECS_PER_DAY;

	return time - (rest < 0 ? rest + USECS_PER_DAY : rest);
}

/* The start of the calendar's month or year, and so many of them later. */
static TimestampTz
partition_month(TimestampTz time, bool year, int later)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			months;
	TimestampTz month;

	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	months = tm.tm_year * 12 + (year ? 12 * later : tm.tm_mon - 1 + later);
	tm = (struct pg_tm) {.tm_year = months / 12,.tm_mon = months % 12 + 1,.tm_mday = 1};
	if (tm2timestamp(&tm, 0, NULL, &month) != 0)
		elog(ERROR, "timestamp out of range");
	return month;
}

/* The start of the partition that has "time"; 2000-01-03 was a Monday. */
static TimestampTz
partition_start(TableWidth width, TimestampTz time)
{
	TimestampTz day = partition_day(time);
	int64		weekday = (day / USECS_PER_DAY - 2) % 7;

	switch (width)
	{
		case TABLE_DAY:
			return day;
		case TABLE_WEEK:
			return day - (weekday < 0 ? weekday + 7 : weekday) * USECS_PER_DAY;
		case TABLE_MONTH:
			return partition_month(time, false, 0);
		case TABLE_YEAR:
			return partition_month(time, true, 0);
	}
	return day;
}

/* Where the one that starts there ends. */
static TimestampTz
partition_end(TableWidth width, TimestampTz start)
{
	switch (width)
	{
		case TABLE_DAY:
			return start + USECS_PER_DAY;
		case TABLE_WEEK:
			return start + 7 * USECS_PER_DAY;
		case TABLE_MONTH:
			return partition_month(start, false, 1);
		case TABLE_YEAR:
			return partition_month(start, true, 1);
	}
	return start;
}

/*
 * Makes the partition that starts there.  ATTACH takes a weaker lock on the parent
 * than CREATE ... PARTITION OF, which would wait for every query on traffic, and
 * make all others wait.
 */
static void
partition_create(Oid table, const char *base, const TableLayout *layout, TimestampTz start)
{
	const char *schema = get_namespace_name(get_rel_namespace(table));
	const char *parent = quote_qualified_identifier(schema, get_rel_name(table));
	const char *from = partition_day_text(start);
	const char *to = partition_day_text(partition_end(layout->width, start));
	const char *name = quote_qualified_identifier(schema, partition_name(base, from));

	/* Since 17 ATTACH gives it the parent's identity, and refuses one of its own. */
	table_run(psprintf("CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING COMMENTS EXCLUDING IDENTITY)", name, parent));
	partition_identify(name, layout);
	table_run(psprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s 00:00:00+00') TO ('%s 00:00:00+00')",
					   parent, name, from, to));
}

/* Has the table a partition with the name that we give to that of this time? */
static bool
partition_is_ours(Oid table, TableWidth width, TimestampTz time)
{
	const char *name = partition_name(get_rel_name(table),
									  partition_day_text(partition_start(width, time)));
	Oid			partition = get_relname_relid(name, get_rel_namespace(table));

	return OidIsValid(partition) && get_rel_relispartition(partition);
}

static bool
partition_is_missing(Oid table, TimestampTz time, LOCKMODE lockmode)
{
	Relation	relation = table_open(table, lockmode);
	bool		missing = partition_by_time(relation) && !partition_exists(relation, time);

	table_close(relation, NoLock);
	return missing;
}

/*
 * True when a partition was made.  The stronger lock, which is also that of
 * ATTACH, lets one session at a time look and make.
 */
bool
partition_ensure_named(Oid table, const char *name, const TableLayout *layout, TimestampTz time)
{
	if (!partition_is_missing(table, time, RowExclusiveLock))
		return false;
	if (on_citus_is_distributed(table) && !on_citus_leader())
	{
		on_citus_ask_for_partition(table, time);
		return true;
	}
	if (!partition_is_missing(table, time, ShareUpdateExclusiveLock))
		return false;
	partition_create(table, name, layout, partition_start(layout->width, time));
	return true;
}

/* Its name begins with that of the table. */
bool
partition_ensure(Oid table, const TableLayout *layout, TimestampTz time)
{
	return partition_ensure_named(table, get_rel_name(table), layout, time);
}

/* Those of some days ahead, and where they are longer, the next one. */
void
partition_ensure_ahead(Oid table, const TableLayout *layout)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i <= PARTITION_DAYS_AHEAD; i++)
	{
		if (partition_ensure(table, layout, now + i * USECS_PER_DAY))
			CommandCounterIncrement();
		/* Who has made today's partition otherwise makes the next himself. */
		if (!partition_is_ours(table, layout->width, now))
			return;
	}
}

/*
 * What there is.
 */

static bool
partition_is_hypertable(Oid table)
{
	if (!OidIsValid(get_extension_oid("timescaledb", true)))
		return false;
	table_run(psprintf("SELECT FROM timescaledb_information.hypertables"
					   " WHERE hypertable_schema = %s AND hypertable_name = %s",
					   quote_literal_cstr(get_namespace_name(get_rel_namespace(table))),
					   quote_literal_cstr(get_rel_name(table))));
	return SPI_processed > 0;
}

TableKind
partition_kind(Oid table)
{
	Relation	relation = table_open(table, AccessShareLock);
	bool		by_time = partition_by_time(relation);

	table_close(relation, NoLock);
	if (by_time)
		return TABLE_PARTITIONED;
	return partition_is_hypertable(table) ? TABLE_HYPERTABLE : TABLE_PLAIN;
}

/* A query for name, start and end of each, without those that have no bounds. */
static const char *
partition_list_query(Oid table, TableKind kind)
{
	if (kind == TABLE_PARTITIONED)
		return psprintf("SELECT partition::text, starts, ends FROM lastfluss._partitions(%u::oid::regclass)"
						" WHERE isfinite(ends)", table);
	return psprintf("SELECT format('%%I.%%I', chunk_schema, chunk_name), range_start, range_end"
					" FROM timescaledb_information.chunks"
					" WHERE hypertable_schema = %s AND hypertable_name = %s",
					quote_literal_cstr(get_namespace_name(get_rel_namespace(table))),
					quote_literal_cstr(get_rel_name(table)));
}

bool
partition_oldest(Oid table, TablePiece *piece)
{
	TableKind	kind = partition_kind(table);
	HeapTuple	row;
	TupleDesc	type;
	bool		isnull;

	if (kind == TABLE_PLAIN)
		return false;
	table_run(psprintf("SELECT * FROM (%s) p(name, starts, ends) ORDER BY ends, starts LIMIT 1",
					   partition_list_query(table, kind)));
	if (SPI_processed == 0)
		return false;
	row = SPI_tuptable->vals[0];
	type = SPI_tuptable->tupdesc;
	piece->name = SPI_getvalue(row, type, 1);
	piece->starts = DatumGetTimestampTz(SPI_getbinval(row, type, 2, &isnull));
	piece->ends = DatumGetTimestampTz(SPI_getbinval(row, type, 3, &isnull));
	return true;
}

void
partition_drop(Oid table, const TablePiece *piece)
{
	const char *name = table_sql_name(table);

	if (partition_kind(table) == TABLE_PARTITIONED)
		table_run(psprintf("DROP TABLE %s", piece->name));
	else
		table_run(psprintf("SELECT %s.drop_chunks(%s, older_than => %s::timestamptz)",
						   quote_identifier(partition_timescale_schema()),
						   quote_literal_cstr(name),
						   quote_literal_cstr(timestamptz_to_str(piece->ends))));
}
