/*
 * citus.c
 *	  What is different where Citus is installed in the database.
 *
 * Tables of traffic are distributed, so that their rows lie in shards on all nodes.
 * Every node may run a collector: its writer inserts through its own server, and
 * notes the interval as written in its own table _written.  Citus commits the shards'
 * transactions by two phases, the second of which follows the local commit, so that
 * rows and note are there together or not at all, whichever node fails when.
 *
 * One node, the coordinator, is the leader: it alone makes tables and partitions,
 * sums up and drops what is old.
 *
 * Citus has no snapshot of all nodes: when the note of a row (see rollup.c) is seen
 * on one, the row may not yet be seen on another, where its transaction is prepared
 * and not yet committed.  Who is to miss no row looks at the prepared transactions
 * after the note, and waits until these are gone.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "citus.h"
#include "table.h"
#include "traffic.h"

#define CITUS_SETTLE_MS		3000
#define CITUS_POLL_MS		20

bool
on_citus(void)
{
	return OidIsValid(get_extension_oid("citus", true));
}

/* The only value of a query, in the caller's memory; NULL for null, or no row. */
static char *
citus_select(const char *query)
{
	table_run(query);
	return SPI_processed == 0 ? NULL : SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

static bool
citus_is(const char *query)
{
	char	   *value = citus_select(query);

	return value != NULL && strcmp(value, "t") == 0;
}

bool
on_citus_leader(void)
{
	return !on_citus() || citus_is("SELECT groupid = 0 FROM pg_catalog.pg_dist_local_group");
}

void
on_citus_require_leader(const char *schema, const char *relation)
{
	if (!on_citus_leader())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no table \"%s.%s\" on this node", schema, relation),
				 errdetail("On Citus the collector of the coordinator makes it, and it is there on all nodes then."),
				 errhint("Look at lastfluss.status on the coordinator. For a table that is there already: SELECT lastfluss.distribute(); there.")));
}

void
on_citus_refuse_timescale(void)
{
	if (on_citus() && OidIsValid(get_extension_oid("timescaledb", true)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("lastfluss does not make tables in a database with both Citus and TimescaleDB"),
				 errdetail("A hypertable cannot be distributed by Citus."),
				 errhint("DROP EXTENSION timescaledb; or DROP EXTENSION citus; or use another database.")));
}

bool
on_citus_is_distributed(Oid table)
{
	return on_citus() &&
		citus_is(psprintf("SELECT true FROM pg_catalog.pg_dist_partition WHERE logicalrelid = %u", table));
}

void
on_citus_distribute(const char *table, const char *column)
{
	table_run(psprintf("SELECT pg_catalog.create_distributed_table(%s, %s)",
					   quote_literal_cstr(table), quote_literal_cstr(column)));
}

/* Who may change the configuration does not have to be able to do this. */
void
on_citus_share_tables(void)
{
	if (on_citus() && on_citus_leader())
		table_run("SELECT lastfluss._citus_share()");
}

/*
 * A node that does not answer has it done when we come again.
 */
void
on_citus_adopt_shards(void)
{
	TableUser	before;

	if (!on_citus() || !on_citus_leader())
		return;
	table_become(table_owner(table_find("lastfluss", "_written")), &before);
	table_run("SELECT pg_catalog.run_command_on_all_nodes('SELECT lastfluss._citus_adopt()',"
			  " give_warning_for_connection_errors => true)");
	table_become_again(&before);
}

/*
 * Runs a query on the leader, in a transaction of its own there, as the owner of our
 * functions: the owner of traffic, or who calls replay(), need not have a right on these.
 */
static char *
citus_ask_leader(const char *query)
{
	TableUser	before;
	char	   *answer;
	char	   *success;

	table_become(table_owner(table_find("lastfluss", "_written")), &before);
	table_run(psprintf("SELECT result, success FROM pg_catalog.run_command_on_coordinator(%s)",
					   quote_literal_cstr(query)));
	if (SPI_processed != 1)
		elog(ERROR, "the coordinator gives no answer");
	answer = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	success = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	table_become_again(&before);
	if (success == NULL || strcmp(success, "t") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the coordinator could not do its part: %s", answer ? answer : "no answer")));
	return answer;
}

static const char *
citus_name(Oid table)
{
	return quote_literal_cstr(table_sql_name(table));
}

PG_FUNCTION_INFO_V1(lastfluss_citus_make_partition);
Datum
lastfluss_citus_make_partition(PG_FUNCTION_ARGS)
{
	Oid			table = PG_GETARG_OID(0);
	TableUser	before;

	SPI_connect();
	table_become(table_lock_for_rows(table), &before);
	traffic_ensure_partition(table, get_rel_name(table), PG_GETARG_TIMESTAMPTZ(1));
	table_become_again(&before);
	SPI_finish();
	PG_RETURN_VOID();
}

void
on_citus_ask_for_partition(Oid table, TimestampTz time)
{
	(void) citus_ask_leader(psprintf("SELECT lastfluss._citus_make_partition(%s::pg_catalog.regclass, %s)",
									 citus_name(table), quote_literal_cstr(timestamptz_to_str(time))));
	/* What came from there is to be seen here. */
	AcceptInvalidationMessages();
}

Oid
on_citus_leader_oid(Oid table)
{
	static Oid	here = InvalidOid;
	static Oid	there = InvalidOid;

	if (!on_citus_is_distributed(table) || on_citus_leader())
		return table;
	if (here != table)
	{
		there = atooid(citus_ask_leader(psprintf("SELECT %s::pg_catalog.regclass::pg_catalog.oid", citus_name(table))));
		here = table;
	}
	return there;
}

/* Prepared transactions of Citus on all nodes, as an array; those that are in "among", unless NULL. */
static char *
citus_prepared(const char *among)
{
	return citus_select(psprintf("SELECT pg_catalog.array_agg(g) FROM pg_catalog.run_command_on_all_nodes("
								 "$$SELECT coalesce(pg_catalog.array_agg(gid), '{}') FROM pg_catalog.pg_prepared_xacts"
								 " WHERE database = pg_catalog.current_database() AND gid LIKE 'citus\\_%%'$$) r"
								 " CROSS JOIN LATERAL pg_catalog.unnest(CASE WHEN r.success THEN r.result::pg_catalog.text[]"
								 " ELSE ARRAY['node ' || r.nodeid] END) g%s",
								 among ? psprintf(" WHERE g = ANY (%s::pg_catalog.text[]) OR NOT r.success",
												  quote_literal_cstr(among)) : ""));
}

void
on_citus_settle(void)
{
	char	   *prepared;

	if (!on_citus())
		return;
	prepared = citus_prepared(NULL);
	for (int waited = 0; prepared != NULL; waited += CITUS_POLL_MS)
	{
		if (waited >= CITUS_SETTLE_MS)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("not all nodes have what was committed"),
					 errdetail("Waiting for %s.", prepared),
					 errhint("Citus finishes such transactions itself (citus.recover_2pc_interval) when all nodes can be reached.")));
		CHECK_FOR_INTERRUPTS();
		pg_usleep(CITUS_POLL_MS * 1000L);
		prepared = citus_prepared(prepared);
	}
}
