/*
 * traffic.c
 *	  The table traffic: its columns, and the rows of an interval.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "citus.h"
#include "lastfluss.h"
#include "parcel.h"
#include "table.h"
#include "traffic.h"

#define TRAFFIC_COLUMN_BANDWIDTH \
	{"bandwidth", "real NOT NULL", \
	"mean bandwidth of the interval in bit/s: bytes * 8 / period", TABLE_FLOAT4}
#define TRAFFIC_COLUMN_IFACE \
	{"iface", "text", "name of the interface", TABLE_TEXT}
#define TRAFFIC_COLUMN_INGRESS \
	{"ingress", "boolean NOT NULL", \
	"true: entered through the interface, remote AS is the source; false: left through it, remote AS is the destination", TABLE_BOOL}
#define TRAFFIC_COLUMN_REMOTE_ASN \
	{"remote_asn", "bigint", "AS on the far side; 0: unknown; null: all the others", TABLE_INT8}
#define TRAFFIC_COLUMN_LOCAL_ASN \
	{"local_asn", "bigint", "AS on our side; 0: unknown; null: all the others", TABLE_INT8}
#define TRAFFIC_COLUMN_FAMILY \
	{"family", "smallint", "4 or 6: version of IP; null: unknown", TABLE_INT2}
#define TRAFFIC_COLUMNS_COUNTED \
	{"bytes", "bigint", "octets, multiplied by the sampling rate", TABLE_INT8}, \
	{"packets", "bigint", "packets, multiplied by the sampling rate", TABLE_INT8}, \
	{"flows", "bigint", \
	"flow records, not multiplied; one that lasted over several intervals counts in that of its largest part", TABLE_INT8}

/* The original's columns first; the last one is filled where somebody has added it: subscribe() does. */
static const TableColumn traffic_columns[] = {
	TRAFFIC_COLUMN_BANDWIDTH,
	TRAFFIC_COLUMN_IFACE,
	TRAFFIC_COLUMN_INGRESS,
	TRAFFIC_COLUMN_REMOTE_ASN,
	TRAFFIC_COLUMN_LOCAL_ASN,
	TRAFFIC_COLUMN_FAMILY,
	TRAFFIC_COLUMNS_COUNTED,
	{"collector", "text", NULL, TABLE_TEXT}
};

/*
 * Millions of these are read for a list, most of them for ASN and bytes: the wide ones
 * first, without gaps between them, and behind them the text, up to whose end a row has
 * to be walked through.
 */
static const TableColumn traffic_rollup_columns[] = {
	TRAFFIC_COLUMN_REMOTE_ASN,
	TRAFFIC_COLUMN_LOCAL_ASN,
	TRAFFIC_COLUMNS_COUNTED,
	TRAFFIC_COLUMN_BANDWIDTH,
	{"peak", "real", "largest bandwidth of an interval inside, in bit/s", TABLE_FLOAT4},
	TRAFFIC_COLUMN_FAMILY,
	TRAFFIC_COLUMN_INGRESS,
	TRAFFIC_COLUMN_IFACE
};

#define TRAFFIC_SUM_COLUMNS \
	TRAFFIC_COLUMNS_COUNTED, \
	TRAFFIC_COLUMN_FAMILY, \
	TRAFFIC_COLUMN_INGRESS, \
	TRAFFIC_COLUMN_IFACE

static const TableColumn traffic_total_columns[] = {TRAFFIC_SUM_COLUMNS};
static const TableColumn traffic_remote_columns[] = {TRAFFIC_COLUMN_REMOTE_ASN, TRAFFIC_SUM_COLUMNS};
static const TableColumn traffic_local_columns[] = {TRAFFIC_COLUMN_LOCAL_ASN, TRAFFIC_SUM_COLUMNS};

#define TRAFFIC_LAYOUT(count) { \
	.width = TABLE_DAY, \
	.segments = "iface, ingress", \
	.comment = "traffic by interface and AS, a set of rows for each interval; written by lastfluss", \
	.first = "id bigserial, ", \
	.constraint = ", PRIMARY KEY (id, \"time\")", \
	.distribution = "id", \
	.columns = traffic_columns, \
	.column_count = count \
}

static const TableLayout traffic_layout = TRAFFIC_LAYOUT(TRAFFIC_COLLECTOR);
static const TableLayout traffic_full = TRAFFIC_LAYOUT(TRAFFIC_COLUMNS);

/* Nobody asks for a sum by its id, so that an index of these would be for nothing. */
static const TableLayout traffic_rollup = {
	.segments = "iface, ingress",
	.first = "id bigserial, ",
	.constraint = "",
	.distribution = "id",
	.columns = traffic_rollup_columns,
	.column_count = lengthof(traffic_rollup_columns)
};

#define TRAFFIC_SUM(sum_columns) { \
	.segments = "iface, ingress", \
	.first = "", \
	.constraint = "", \
	.distribution = "time", \
	.exact_index = true, \
	.columns = sum_columns, \
	.column_count = lengthof(sum_columns) \
}

static const TableLayout traffic_total = TRAFFIC_SUM(traffic_total_columns);
static const TableLayout traffic_remote = TRAFFIC_SUM(traffic_remote_columns);
static const TableLayout traffic_local = TRAFFIC_SUM(traffic_local_columns);

/* Microseconds since 1970: 1990. */
#define TRAFFIC_EARLIEST	((int64) 631152000 * USECS_PER_SEC)

Oid
traffic_open(const char *name)
{
	const char *schema;
	const char *relation;
	Oid			table;

	table_split_name(name, &schema, &relation);
	/* While we wait for the lock, upgrade_table() may put another in its place. */
	while (OidIsValid(table = table_find(schema, relation)))
	{
		LockRelationOid(table, RowExclusiveLock);
		if (table_find(schema, relation) == table)
			return table;
		UnlockRelationOid(table, RowExclusiveLock);
	}
	on_citus_require_leader(schema, relation);
	return table_create(schema, relation, &traffic_layout, table_database_owner());
}

const TableLayout *
traffic_full_layout(void)
{
	return &traffic_full;
}

const TableLayout *
traffic_rollup_layout(void)
{
	return &traffic_rollup;
}

const TableLayout *
traffic_sum_layout(const char *asn)
{
	if (asn == NULL)
		return &traffic_total;
	return strcmp(asn, "remote_asn") == 0 ? &traffic_remote : &traffic_local;
}

Oid
traffic_create_like(Oid traffic, const char *name)
{
	partition_create_like(traffic, name, &traffic_layout);
	CommandCounterIncrement();
	return get_relname_relid(name, get_rel_namespace(traffic));
}

void
traffic_ensure_partition(Oid table, const char *name, TimestampTz time)
{
	if (partition_ensure_named(table, name, &traffic_layout, time))
		CommandCounterIncrement();
}

void
traffic_prepare_ahead(Oid table)
{
	table_prepare_ahead(table, &traffic_layout);
}

/*
 * Times before 1990, or more than a day ahead, would make partitions that nobody
 * wants.  What comes out is the start of an interval again.
 */
TimestampTz
traffic_sane_time(int64 start, int32 period)
{
	int64		latest = lastfluss_unix_time(GetCurrentTimestamp()) + USECS_PER_DAY;
	int64		time = Max(Min(start, latest), TRAFFIC_EARLIEST);

	return lastfluss_timestamp(time - time % (period * USECS_PER_SEC));
}

static void
traffic_fill_row(TableRows *rows, uint32 row, const AggregateEntry *entry, int32 period,
				 Datum name, Datum collector)
{
	const AggregateKey *key = &entry->key;
	const AggregateSum *sum = &entry->sum;

	rows->values[TRAFFIC_BANDWIDTH][row] = Float4GetDatum((float4) ((double) sum->bytes * 8 / period));
	rows->values[TRAFFIC_IFACE][row] = name;
	rows->values[TRAFFIC_INGRESS][row] = BoolGetDatum(key->ingress);
	rows->values[TRAFFIC_REMOTE_ASN][row] = Int64GetDatum((int64) key->remote_as);
	rows->values[TRAFFIC_LOCAL_ASN][row] = Int64GetDatum((int64) key->local_as);
	rows->values[TRAFFIC_FAMILY][row] = Int16GetDatum(key->family);
	rows->values[TRAFFIC_BYTES][row] = Int64GetDatum((int64) sum->bytes);
	rows->values[TRAFFIC_PACKETS][row] = Int64GetDatum((int64) sum->packets);
	rows->values[TRAFFIC_FLOWS][row] = Int64GetDatum((int64) sum->flows);
	if (collector != (Datum) 0)
		rows->values[TRAFFIC_COLLECTOR][row] = collector;
	rows->nulls[TRAFFIC_REMOTE_ASN][row] = key->others;
	rows->nulls[TRAFFIC_LOCAL_ASN][row] = key->others;
	rows->nulls[TRAFFIC_FAMILY][row] = key->family == 0;
}

uint64
traffic_write(Oid table, const IntervalCopy *interval)
{
	Datum	   *names = palloc0((interval->name_count + 1) * sizeof(Datum));
	Datum		collector = (Datum) 0;
	TableRows	rows;
	uint64		written;

	if (interval->count == 0)
		return 0;
	if (table_has_column(table, traffic_columns[TRAFFIC_COLLECTOR].name))
		collector = CStringGetTextDatum(config_collector());
	table_rows_init(&rows, collector != (Datum) 0 ? &traffic_full : &traffic_layout, interval->count);
	rows.time = traffic_sane_time(interval->start, interval->period);
	for (uint32 row = 0; row < interval->count; row++)
	{
		const AggregateEntry *entry = &interval->rows[row];
		uint32		number = entry->key.interface;

		if (names[number] == (Datum) 0)
			names[number] = CStringGetTextDatum(interval->names[number]);
		traffic_fill_row(&rows, row, entry, interval->period, names[number],
						 collector);
	}
	written = table_insert(table, &rows);
	parcel_send(interval, rows.time);
	return written;
}
