/*
 * parcel.c
 *	  Intervals on their way from a site to a hub.
 *
 * A site does not publish traffic itself: TimescaleDB's chunks cannot be published
 * together, the apply worker of a hub would write into a hypertable past TimescaleDB,
 * it would find no partition for what comes after days, ids would collide, and retention
 * would be repeated.  So what is published is lastfluss._parcel: an interval is one row
 * there, with its columns as arrays, written and deleted in the transaction that writes
 * traffic.  What is left of it is the WAL, which is all that logical decoding reads.
 *
 * At the hub a trigger takes the row instead of the table (see _parcel_arrives() in the
 * extension's script), and unpacks it here: as the writer's own intervals, into whatever
 * kind of table traffic is, with partitions made and the rollups' notes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"
#include "lastfluss.h"
#include "parcel.h"
#include "rollup.h"
#include "table.h"
#include "traffic.h"

#define PARCEL_PUBLICATION	"lastfluss"
#define PARCEL_SUMMARIZE_CALLS	100

/* The arrays of lastfluss._parcel, as its INSERT has them. */
static const TableColumn parcel_columns[] = {
	{"iface", NULL, NULL, TABLE_INT2},
	{"ingress", NULL, NULL, TABLE_BOOL},
	{"remote_asn", NULL, NULL, TABLE_INT8},
	{"local_asn", NULL, NULL, TABLE_INT8},
	{"family", NULL, NULL, TABLE_INT2},
	{"bytes", NULL, NULL, TABLE_INT8},
	{"packets", NULL, NULL, TABLE_INT8},
	{"flows", NULL, NULL, TABLE_INT8}
};

enum ParcelColumn
{
	PARCEL_IFACE,				/* place in "names", from 1 on */
	PARCEL_INGRESS,
	PARCEL_REMOTE_ASN,
	PARCEL_LOCAL_ASN,
	PARCEL_FAMILY,
	PARCEL_BYTES,
	PARCEL_PACKETS,
	PARCEL_FLOWS,
	PARCEL_COLUMNS
};

static const TableLayout parcel_layout = {
	.columns = parcel_columns,
	.column_count = lengthof(parcel_columns)
};

/*
 * Sending.
 */

/* Those that rows have; "places" says where each of the interval's numbers is. */
static Datum
parcel_names(const IntervalCopy *interval, int16 *places)
{
	Datum	   *names = palloc((interval->name_count + 1) * sizeof(Datum));
	int			count = 0;

	for (uint32 row = 0; row < interval->count; row++)
	{
		uint32		number = interval->rows[row].key.interface;

		if (places[number] != 0)
			continue;
		names[count] = CStringGetTextDatum(interval->names[number]);
		places[number] = (int16) ++count;
	}
	return PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
parcel_fill_row(TableRows *rows, uint32 row, const AggregateEntry *entry, int16 place)
{
	const AggregateKey *key = &entry->key;
	const AggregateSum *sum = &entry->sum;

	rows->values[PARCEL_IFACE][row] = Int16GetDatum(place);
	rows->values[PARCEL_INGRESS][row] = BoolGetDatum(key->ingress);
	rows->values[PARCEL_REMOTE_ASN][row] = Int64GetDatum((int64) key->remote_as);
	rows->values[PARCEL_LOCAL_ASN][row] = Int64GetDatum((int64) key->local_as);
	rows->values[PARCEL_FAMILY][row] = Int16GetDatum(key->family);
	rows->values[PARCEL_BYTES][row] = Int64GetDatum((int64) sum->bytes);
	rows->values[PARCEL_PACKETS][row] = Int64GetDatum((int64) sum->packets);
	rows->values[PARCEL_FLOWS][row] = Int64GetDatum((int64) sum->flows);
	rows->nulls[PARCEL_REMOTE_ASN][row] = key->others;
	rows->nulls[PARCEL_LOCAL_ASN][row] = key->others;
	rows->nulls[PARCEL_FAMILY][row] = key->family == 0;
}

static void
parcel_insert(TimestampTz time, int32 period, Datum names, const TableRows *rows)
{
	Oid			types[3 + PARCEL_COLUMNS] = {TIMESTAMPTZOID, INT4OID, TEXTARRAYOID};
	Datum		values[3 + PARCEL_COLUMNS] = {TimestampTzGetDatum(time), Int32GetDatum(period), names};

	for (int i = 0; i < PARCEL_COLUMNS; i++)
	{
		types[3 + i] = parcel_columns[i].array_type;
		values[3 + i] = table_array(rows, i);
	}
	if (SPI_execute_with_args("INSERT INTO lastfluss._parcel (collector, \"time\", period, names, interfaces,"
							  " iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)"
							  " SELECT s.value, $1, $2, $3, lastfluss._parcel_interfaces($3), $4, $5, $6, $7, $8, $9, $10, $11"
							  " FROM lastfluss.settings s WHERE s.name = 'collector'",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_INSERT ||
		SPI_processed != 1)
		elog(ERROR, "could not insert into lastfluss._parcel");
	table_run("DELETE FROM lastfluss._parcel");
}

void
parcel_send(const IntervalCopy *interval, TimestampTz time)
{
	int16	   *places;
	Datum		names;
	TableRows	rows;
	TableUser	before;

	if (interval->count == 0 || !OidIsValid(get_publication_oid(PARCEL_PUBLICATION, true)))
		return;
	places = palloc0((interval->name_count + 1) * sizeof(int16));
	/* replay() runs as somebody who has no right on our tables. */
	table_become(table_owner(table_find("lastfluss", "_parcel")), &before);
	table_rows_init(&rows, &parcel_layout, interval->count);
	names = parcel_names(interval, places);
	for (uint32 row = 0; row < interval->count; row++)
		parcel_fill_row(&rows, row, &interval->rows[row], places[interval->rows[row].key.interface]);
	parcel_insert(time, interval->period, names, &rows);
	table_become_again(&before);
}

/*
 * Arriving.
 */

/* A parcel as a function gets it. */
typedef struct Parcel
{
	Datum		collector;
	TimestampTz time;
	int32		period;
	uint32		count;
	Datum	   *names;			/* with the site in front */
	int			name_count;
	Datum	   *values[PARCEL_COLUMNS];
	bool	   *nulls[PARCEL_COLUMNS];
} Parcel;

static Datum
parcel_field(HeapTupleHeader tuple, const char *name)
{
	bool		isnull;
	Datum		value = GetAttributeByName(tuple, name, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a parcel has no value in column \"%s\"", name)));
	return value;
}

static void
parcel_read_names(HeapTupleHeader tuple, const char *site, Parcel *parcel)
{
	bool	   *nulls;

	deconstruct_array(DatumGetArrayTypeP(parcel_field(tuple, "names")), TEXTOID, -1, false,
					  TYPALIGN_INT, &parcel->names, &nulls, &parcel->name_count);
	for (int i = 0; i < parcel->name_count; i++)
		parcel->names[i] = CStringGetTextDatum(psprintf("%s/%s", site,
														nulls[i] ? "" : TextDatumGetCString(parcel->names[i])));
}

static void
parcel_read_column(HeapTupleHeader tuple, int column, Parcel *parcel)
{
	const TableColumn *type = &parcel_columns[column];
	int			count;

	deconstruct_array(DatumGetArrayTypeP(parcel_field(tuple, type->name)), type->type, type->length,
					  type->by_value, type->align, &parcel->values[column], &parcel->nulls[column], &count);
	if (column == 0)
		parcel->count = (uint32) count;
	if (parcel->count != (uint32) count)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("the arrays of a parcel are not of the same length")));
}

static void
parcel_read(HeapTupleHeader tuple, const char *site, Parcel *parcel)
{
	parcel->collector = parcel_field(tuple, "collector");
	parcel->time = DatumGetTimestampTz(parcel_field(tuple, "time"));
	parcel->period = DatumGetInt32(parcel_field(tuple, "period"));
	if (TIMESTAMP_NOT_FINITE(parcel->time) || parcel->period < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a parcel has no valid time")));
	parcel_read_names(tuple, site, parcel);
	for (int i = 0; i < PARCEL_COLUMNS; i++)
		parcel_read_column(tuple, i, parcel);
}

static void
parcel_copy_column(const Parcel *parcel, int column, TableRows *rows, int to)
{
	rows->values[to] = parcel->values[column];
	rows->nulls[to] = parcel->nulls[column];
}

/* Its rows as those of traffic. */
static void
parcel_rows(const Parcel *parcel, TableRows *rows)
{
	table_rows_init(rows, traffic_full_layout(), parcel->count);
	rows->time = parcel->time;
	parcel_copy_column(parcel, PARCEL_INGRESS, rows, TRAFFIC_INGRESS);
	parcel_copy_column(parcel, PARCEL_REMOTE_ASN, rows, TRAFFIC_REMOTE_ASN);
	parcel_copy_column(parcel, PARCEL_LOCAL_ASN, rows, TRAFFIC_LOCAL_ASN);
	parcel_copy_column(parcel, PARCEL_FAMILY, rows, TRAFFIC_FAMILY);
	parcel_copy_column(parcel, PARCEL_BYTES, rows, TRAFFIC_BYTES);
	parcel_copy_column(parcel, PARCEL_PACKETS, rows, TRAFFIC_PACKETS);
	parcel_copy_column(parcel, PARCEL_FLOWS, rows, TRAFFIC_FLOWS);
	for (uint32 row = 0; row < parcel->count; row++)
	{
		int16		place = DatumGetInt16(parcel->values[PARCEL_IFACE][row]);

		if (place < 1 || place > parcel->name_count)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("a parcel names no interface number %d", place)));
		rows->values[TRAFFIC_IFACE][row] = parcel->names[place - 1];
		rows->values[TRAFFIC_BANDWIDTH][row] =
			Float4GetDatum((float4) ((double) DatumGetInt64(parcel->values[PARCEL_BYTES][row]) * 8 / parcel->period));
		rows->values[TRAFFIC_COLLECTOR][row] = parcel->collector;
	}
}

/*
 * What follows acts as the owner of traffic, whoever calls it: that is the trigger
 * alone, even where somebody was granted all functions.
 */
static Oid
parcel_open_traffic(void)
{
	Settings	settings;

	if (!has_privs_of_role(GetUserId(), table_owner(table_find("lastfluss", "_parcel"))))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to write as a hub does")));
	config_read_settings(&settings);
	return traffic_open(settings.table);
}

/*
 * lastfluss._unpack(parcel lastfluss._parcel, site text): its rows into traffic; their
 * number.
 */
PG_FUNCTION_INFO_V1(lastfluss_unpack);
Datum
lastfluss_unpack(PG_FUNCTION_ARGS)
{
	Parcel		parcel;
	TableRows	rows;
	Oid			table;

	SPI_connect();
	parcel_read(PG_GETARG_HEAPTUPLEHEADER(0), text_to_cstring(PG_GETARG_TEXT_PP(1)), &parcel);
	if (parcel.count > 0)
	{
		table = parcel_open_traffic();
		parcel_rows(&parcel, &rows);
		(void) table_insert(table, &rows);
		rollup_note(table, parcel.time);
	}
	SPI_finish();
	PG_RETURN_INT64((int64) parcel.count);
}

/*
 * Where many times are sent again, each is looked for in pages that the index on "time"
 * does not describe yet, and which become more and more.
 */
static void
parcel_summarize(Oid table, TimestampTz time)
{
	static int	calls = 0;
	Oid			types[] = {REGCLASSOID, TIMESTAMPTZOID};
	Datum		values[] = {ObjectIdGetDatum(table), TimestampTzGetDatum(time)};

	if (++calls % PARCEL_SUMMARIZE_CALLS != 0 || table_kind(table) != TABLE_PARTITIONED)
		return;
	if (SPI_execute_with_args("SELECT brin_summarize_new_values(i.indexrelid) FROM lastfluss._partitions($1) p"
							  " JOIN pg_index i ON i.indrelid = p.partition JOIN pg_class c ON c.oid = i.indexrelid"
							  " JOIN pg_am m ON m.oid = c.relam WHERE m.amname = 'brin' AND p.starts <= $2 AND p.ends > $2",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not bring an index up to date");
}

/*
 * lastfluss._take_out(site text, of text, time timestamptz): deletes the rows of that
 * time whose interfaces begin with "site/of"; their number.
 */
PG_FUNCTION_INFO_V1(lastfluss_take_out);
Datum
lastfluss_take_out(PG_FUNCTION_ARGS)
{
	const char *prefix = psprintf("%s/%s", text_to_cstring(PG_GETARG_TEXT_PP(0)),
								  text_to_cstring(PG_GETARG_TEXT_PP(1)));
	TimestampTz time = PG_GETARG_TIMESTAMPTZ(2);
	Oid			types[] = {TIMESTAMPTZOID, TEXTOID};
	Datum		values[] = {TimestampTzGetDatum(time), CStringGetTextDatum(prefix)};
	TableUser	before;
	Oid			table;
	int64		count;

	SPI_connect();
	table = parcel_open_traffic();
	table_become(table_lock_for_rows(table), &before);
	if (SPI_execute_with_args(psprintf("DELETE FROM %s WHERE \"time\" = $1 AND starts_with(iface, $2)",
									   table_sql_name(table)),
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete from \"%s\"", get_rel_name(table));
	count = (int64) SPI_processed;
	table_become_again(&before);
	parcel_summarize(table, time);
	if (count > 0)
		rollup_note(table, time);
	SPI_finish();
	PG_RETURN_INT64(count);
}

/*
 * lastfluss._counted(site text, time timestamptz): the collector whose rows of that
 * site and time are in traffic; null: there are none.
 */
PG_FUNCTION_INFO_V1(lastfluss_counted);
Datum
lastfluss_counted(PG_FUNCTION_ARGS)
{
	Oid			types[] = {TIMESTAMPTZOID, TEXTOID};
	Datum		values[] = {
		PG_GETARG_DATUM(1),
		CStringGetTextDatum(psprintf("%s/", text_to_cstring(PG_GETARG_TEXT_PP(0))))
	};
	MemoryContext context = CurrentMemoryContext;
	TableUser	before;
	text	   *collector = NULL;
	Oid			table;

	SPI_connect();
	table = parcel_open_traffic();
	table_become(table_lock_for_rows(table), &before);
	if (SPI_execute_with_args(psprintf("SELECT collector FROM %s WHERE \"time\" = $1 AND starts_with(iface, $2) LIMIT 1",
									   table_sql_name(table)),
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read \"%s\"", get_rel_name(table));
	if (SPI_processed > 0)
	{
		char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		MemoryContext old = MemoryContextSwitchTo(context);

		collector = cstring_to_text(value ? value : "");
		MemoryContextSwitchTo(old);
	}
	table_become_again(&before);
	SPI_finish();
	if (collector == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(collector);
}

/*
 * lastfluss._add_collector(): gives traffic its last column.
 */
PG_FUNCTION_INFO_V1(lastfluss_add_collector);
Datum
lastfluss_add_collector(PG_FUNCTION_ARGS)
{
	TableUser	before;
	Oid			table;

	SPI_connect();
	table = parcel_open_traffic();
	if (!table_has_column(table, "collector"))
	{
		table_become(table_owner(table), &before);
		table_run(psprintf("ALTER TABLE %s ADD COLUMN collector text", table_sql_name(table)));
		table_run(psprintf("COMMENT ON COLUMN %s.collector IS 'the collector that has counted it: setting collector there'",
						   table_sql_name(table)));
		table_become_again(&before);
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * lastfluss._arrives_by(): the subscription that this process applies the changes of;
 * null: none.
 */
PG_FUNCTION_INFO_V1(lastfluss_arrives_by);
Datum
lastfluss_arrives_by(PG_FUNCTION_ARGS)
{
	char	   *origin;
	char	   *name;
	Oid			subscription;

	if (replorigin_session_origin == InvalidRepOriginId ||
		replorigin_session_origin == DoNotReplicateId ||
		!replorigin_by_oid(replorigin_session_origin, true, &origin) ||
		sscanf(origin, "pg_%u", &subscription) != 1)
		PG_RETURN_NULL();
	name = get_subscription_name(subscription, true);
	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

TimestampTz
parcel_arrived_until(void)
{
	bool		isnull;
	Datum		value;

	table_run("SELECT lastfluss._arrived_until()");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return isnull ? DT_NOEND : DatumGetTimestampTz(value);
}
