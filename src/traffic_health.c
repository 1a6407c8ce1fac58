/*
 * traffic_health.c
 *	  The table traffic_health: how complete the rows of an interval are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "citus.h"
#include "lastfluss.h"
#include "table.h"
#include "traffic.h"

static const TableColumn health_columns[] = {
	{"host", "inet",
		"address of the exporter; null: the collector itself, and all exporters of which no interface is configured",
	TABLE_INET},
	{"domain", "bigint",
	"observation domain, as in lastfluss.exporters", TABLE_INT8},
	{"protocol", "text",
	"as in lastfluss.exporters", TABLE_TEXT},
	{"datagrams", "bigint NOT NULL",
	"datagrams that arrived while the interval was the current one", TABLE_INT8},
	{"records", "bigint NOT NULL",
	"data records in them", TABLE_INT8},
	{"lost", "bigint NOT NULL",
		"missing by sequence numbers: records (v5, v7, v8, IPFIX) or datagrams (v9, sFlow); below 0: some that were missing came late",
	TABLE_INT8},
	{"dropped", "bigint NOT NULL",
	"datagrams that the kernel dropped, which nobody knows whose they were", TABLE_INT8},
	{"undecoded", "bigint NOT NULL",
	"errors of decoding, by cause in lastfluss.exporters", TABLE_INT8},
	{"unmatched", "bigint NOT NULL",
	"records of which neither interface is configured", TABLE_INT8},
	{"unknown_sampling", "bigint NOT NULL",
	"records counted with rate 1, because nobody told the sampling rate", TABLE_INT8},
	{"late_bytes", "bigint NOT NULL",
		"bytes that came when their interval was closed, and were counted in the oldest open one",
	TABLE_INT8},
	{"future_bytes", "bigint NOT NULL",
	"bytes of flows that end after their export, and were counted as they came", TABLE_INT8},
	{"folded", "bigint NOT NULL",
		"additions to rows whose remote_asn is null, because the interval had lastfluss.max_entries paths",
	TABLE_INT8}
};

enum HealthColumn
{
	HEALTH_HOST,
	HEALTH_DOMAIN,
	HEALTH_PROTOCOL,
	HEALTH_FIRST_COUNT
};

static const TableLayout health_layout = {
	.width = TABLE_DAY,
	.comment = "how complete the intervals of traffic are: a row for each interval and exporter (for ten minutes also when it is silent), and one with host null that is always there while the collector runs",
	.first = "",
	.constraint = "",
	.distribution = "time",
	.exact_index = true,
	.columns = health_columns,
	.column_count = lengthof(health_columns)
};

/* Traffic matters more: it is not to wait for a right that its owner lacks. */
static void
health_report_missing(const char *schema, const char *relation, Oid owner)
{
	static bool said = false;

	if (!said)
		ereport(lastfluss_elevel(LOG_RANK_WARNING),
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("lastfluss: there is no table \"%s.%s\", and role \"%s\" may not make it",
						schema, relation, GetUserNameFromId(owner, false)),
				 errdetail("Traffic is written, but not how complete it is."),
				 errhint("GRANT CREATE ON SCHEMA %s TO %s;", quote_identifier(schema),
						 quote_identifier(GetUserNameFromId(owner, false)))));
	said = true;
}

Oid
traffic_health_open(const char *name, Oid traffic)
{
	const char *schema;
	const char *relation;
	Oid			table;
	Oid			owner = table_owner(traffic);

	table_split_name(name, &schema, &relation);
	relation = table_name_beside(relation, "health");
	table = table_find(schema, relation);
	if (OidIsValid(table))
		return table;
	on_citus_require_leader(schema, relation);
	if (table_may_create(schema, owner))
		return table_create(schema, relation, &health_layout, owner);
	health_report_missing(schema, relation, owner);
	return InvalidOid;
}

void
traffic_health_prepare_ahead(Oid table)
{
	table_prepare_ahead(table, &health_layout);
}

Oid
traffic_health_find(Oid traffic)
{
	return get_relname_relid(table_name_beside(table_name(traffic), "health"),
							 get_rel_namespace(traffic));
}

static void
health_fill_row(TableRows *rows, uint32 row, const HealthRow *health)
{
	/* in the order of the columns */
	const int64 counts[] = {
		health->counts.datagrams,
		health->counts.records,
		health->counts.lost,
		health->counts.dropped,
		health->counts.undecoded,
		health->counts.unmatched,
		health->counts.unknown_sampling,
		health->counts.late_bytes,
		health->counts.future_bytes,
		health->counts.folded
	};

	StaticAssertStmt(lengthof(counts) + HEALTH_FIRST_COUNT == lengthof(health_columns),
					 "a value for each column");
	if (health->protocol == 0)
	{
		for (int i = HEALTH_HOST; i < HEALTH_FIRST_COUNT; i++)
			rows->nulls[i][row] = true;
	}
	else
	{
		rows->values[HEALTH_HOST][row] = status_inet(&health->host);
		rows->values[HEALTH_DOMAIN][row] = Int64GetDatum((int64) health->domain);
		rows->values[HEALTH_PROTOCOL][row] =
			CStringGetTextDatum(status_protocol_name(health->protocol));
	}
	for (int i = 0; i < (int) lengthof(counts); i++)
		rows->values[HEALTH_FIRST_COUNT + i][row] = Int64GetDatum(counts[i]);
}

void
traffic_health_write(Oid table, const IntervalCopy *interval)
{
	TableRows	rows;

	if (interval->health_count == 0 || !OidIsValid(table))
		return;
	table_rows_init(&rows, &health_layout, interval->health_count);
	rows.time = traffic_sane_time(interval->start, interval->period);
	for (uint32 row = 0; row < interval->health_count; row++)
	{
		HealthRow	health = interval->health[row];

		/* What was folded is known of the interval alone. */
		if (row == 0)
			health.counts.folded = (int64) interval->folded;
		health_fill_row(&rows, row, &health);
	}
	(void) table_insert(table, &rows);
}
