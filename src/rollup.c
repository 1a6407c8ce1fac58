/*
 * rollup.c
 *	  Sums of traffic by 5 minutes, hour and day, in tables beside it.
 *
 * Each level is made from the one below it, in the order of time: what lies before
 * its "complete_until" is done.  The rows and the new complete_until commit
 * together, so that whatever ends us, the next one goes on where we were.
 *
 * Rows may also be written for times that are done: intervals of an earlier run of
 * the server, a replay.  So whoever writes rows notes their time in _rollup_dirty,
 * in the same transaction, and never waits for us.  We first delete the notes of a
 * bucket, then read its rows with a later snapshot: a note that we have deleted
 * belongs to rows that we see, and of all others the note is still there.
 *
 * What retention has dropped cannot be read again.  "kept_from" of a table says
 * from when on it is whole, and a bucket is only done again from a table that has
 * all of it.  Late rows of traffic before its kept_from are alone there: they are
 * added to the buckets, and dropped (rollup_add_late()).
 *
 * Most graphs are of interfaces, which thousands of ASNs have rows for, or of an ASN
 * on one side, which has a row for each of those on the other side.  So beside each
 * rollup lie tables with its sums by interface, direction and family, and by these and
 * either ASN, filled in the same transaction as the buckets that they are made from.
 * A list over a day would still read each ASN's 24 hours, and one over a year its 365
 * days: so the sums of hours have sums by six, and those of days sums by week, and these
 * by eight weeks, without families.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "citus.h"
#include "lastfluss.h"
#include "rollup.h"
#include "shared.h"
#include "table.h"
#include "traffic.h"

#define ROLLUP_MAX_BUCKETS	48	/* in a step that has rows */
#define ROLLUP_MAX_EMPTY	10000	/* in one that has none */
#define ROLLUP_STEP_MS		500 /* what a step should take */

/* Buckets lie at multiples of their length since 1970, UTC, as traffic() has them. */
#define ROLLUP_ORIGIN		"'1970-01-01 00:00:00+00'"
#define ROLLUP_ORIGIN_TIME	(-(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

typedef struct RollupType
{
	const char *name;
	int			step;			/* seconds; 0: traffic */
	TableWidth	width;			/* of partitions */
	const char *comment;
	RollupLevel base;			/* of sums beside a level; else ROLLUP_RAW */
	const char *key;			/* their columns beside "time" */
	const char *indexed;		/* column, or NULL */
	RollupLevel source;			/* what sums are made from */
} RollupType;

#define ROLLUP_TOTAL_KEY	"iface, ingress, family"

static const RollupType rollup_types[] = {
	[ROLLUP_RAW] = {"raw", 0, TABLE_DAY},
	[ROLLUP_5M] = {"5m", 300, TABLE_WEEK, "sums of traffic by 5 minutes; made by lastfluss, see lastfluss.rollups",
	ROLLUP_RAW, NULL, "remote_asn"},
	[ROLLUP_1H] = {"1h", 3600, TABLE_MONTH, "sums of traffic by hour; made by lastfluss, see lastfluss.rollups",
	ROLLUP_RAW, NULL, "remote_asn"},
	[ROLLUP_1D] = {"1d", 86400, TABLE_YEAR, "sums of traffic by day (UTC); made by lastfluss, see lastfluss.rollups",
	ROLLUP_RAW, NULL, "remote_asn"},
	[ROLLUP_5M_TOTAL] = {"5m_total", 300, TABLE_MONTH, "sums of interfaces by 5 minutes, without ASNs; made by lastfluss, see lastfluss.rollups",
	ROLLUP_5M, ROLLUP_TOTAL_KEY, NULL, ROLLUP_5M},
	[ROLLUP_1H_TOTAL] = {"1h_total", 3600, TABLE_YEAR, "sums of interfaces by hour, without ASNs; made by lastfluss, see lastfluss.rollups",
	ROLLUP_1H, ROLLUP_TOTAL_KEY, NULL, ROLLUP_1H},
	[ROLLUP_1D_TOTAL] = {"1d_total", 86400, TABLE_YEAR, "sums of interfaces by day (UTC), without ASNs; made by lastfluss, see lastfluss.rollups",
	ROLLUP_1D, ROLLUP_TOTAL_KEY, NULL, ROLLUP_1D},
	[ROLLUP_5M_REMOTE] = {"5m_remote", 300, TABLE_WEEK, "sums of interfaces and remote ASNs by 5 minutes; made by lastfluss, see lastfluss.rollups",
	ROLLUP_5M, ROLLUP_TOTAL_KEY ", remote_asn", "remote_asn", ROLLUP_5M},
	[ROLLUP_1H_REMOTE] = {"1h_remote", 3600, TABLE_MONTH, "sums of interfaces and remote ASNs by hour; made by lastfluss, see lastfluss.rollups",
	ROLLUP_1H, ROLLUP_TOTAL_KEY ", remote_asn", "remote_asn", ROLLUP_1H},
	[ROLLUP_1D_REMOTE] = {"1d_remote", 86400, TABLE_YEAR, "sums of interfaces and remote ASNs by day (UTC); made by lastfluss, see lastfluss.rollups",
	ROLLUP_1D, ROLLUP_TOTAL_KEY ", remote_asn", "remote_asn", ROLLUP_1D},
	[ROLLUP_5M_LOCAL] = {"5m_local", 300, TABLE_WEEK, "sums of interfaces and local ASNs by 5 minutes; made by lastfluss, see lastfluss.rollups",
	ROLLUP_5M, ROLLUP_TOTAL_KEY ", local_asn", "local_asn", ROLLUP_5M},
	[ROLLUP_1H_LOCAL] = {"1h_local", 3600, TABLE_MONTH, "sums of interfaces and local ASNs by hour; made by lastfluss, see lastfluss.rollups",
	ROLLUP_1H, ROLLUP_TOTAL_KEY ", local_asn", "local_asn", ROLLUP_1H},
	[ROLLUP_1D_LOCAL] = {"1d_local", 86400, TABLE_YEAR, "sums of interfaces and local ASNs by day (UTC); made by lastfluss, see lastfluss.rollups",
	ROLLUP_1D, ROLLUP_TOTAL_KEY ", local_asn", "local_asn", ROLLUP_1D},
	[ROLLUP_6H_REMOTE] = {"6h_remote", 21600, TABLE_MONTH, "sums of interfaces and remote ASNs by six hours (UTC), without families; made by lastfluss, see lastfluss.rollups",
	ROLLUP_1H, "iface, ingress, remote_asn", "remote_asn", ROLLUP_1H_REMOTE},
	[ROLLUP_6H_LOCAL] = {"6h_local", 21600, TABLE_MONTH, "sums of interfaces and local ASNs by six hours (UTC), without families; made by lastfluss, see lastfluss.rollups",
	ROLLUP_1H, "iface, ingress, local_asn", "local_asn", ROLLUP_1H_LOCAL},
	[ROLLUP_1W_REMOTE] = {"1w_remote", 604800, TABLE_YEAR, "sums of interfaces and remote ASNs by week (from Thursday on, UTC), without families; made by lastfluss, see lastfluss.rollups",
	ROLLUP_1D, "iface, ingress, remote_asn", "remote_asn", ROLLUP_1D_REMOTE},
	[ROLLUP_1W_LOCAL] = {"1w_local", 604800, TABLE_YEAR, "sums of interfaces and local ASNs by week (from Thursday on, UTC), without families; made by lastfluss, see lastfluss.rollups",
	ROLLUP_1D, "iface, ingress, local_asn", "local_asn", ROLLUP_1D_LOCAL},
	[ROLLUP_8W_REMOTE] = {"8w_remote", 4838400, TABLE_YEAR, "sums of interfaces and remote ASNs by eight weeks (of 1970-01-01 and on, UTC), without families; made by lastfluss, see lastfluss.rollups",
	ROLLUP_1D, "iface, ingress, remote_asn", "remote_asn", ROLLUP_1W_REMOTE},
	[ROLLUP_8W_LOCAL] = {"8w_local", 4838400, TABLE_YEAR, "sums of interfaces and local ASNs by eight weeks (of 1970-01-01 and on, UTC), without families; made by lastfluss, see lastfluss.rollups",
	ROLLUP_1D, "iface, ingress, local_asn", "local_asn", ROLLUP_1W_LOCAL}
};

/* How many buckets the next step of a level takes. */
static int	rollup_buckets[ROLLUP_LAST + 1] = {1, 1, 1, 1};

const char *
rollup_name(RollupLevel level)
{
	return rollup_types[level].name;
}

RollupLevel
rollup_base(RollupLevel level)
{
	return level < ROLLUP_FIRST_SUM ? level : rollup_types[level].base;
}

const char *
rollup_time(TimestampTz time)
{
	/* The worker's DateStyle and TimeZone are fixed. */
	return quote_literal_cstr(timestamptz_to_str(time));
}

/* The bucket's start that lies at "time" or before. */
static TimestampTz
rollup_floor(TimestampTz time, int seconds)
{
	int64		step = seconds * USECS_PER_SEC;
	int64		rest;

	if (TIMESTAMP_IS_NOBEGIN(time))
		return time;
	rest = (time - ROLLUP_ORIGIN_TIME) % step;
	return time - (rest < 0 ? rest + step : rest);
}

/* The first one that starts there or later. */
static TimestampTz
rollup_ceil(TimestampTz time, int seconds)
{
	return TIMESTAMP_IS_NOBEGIN(time) ? time :
		rollup_floor(time + seconds * USECS_PER_SEC - 1, seconds);
}

static void
rollup_execute(const char *statement, int count, Oid *types, Datum *values)
{
	int			result = SPI_execute_with_args(statement, count, types, values, NULL, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
}

/* The value of the only row and a column; DT_NOBEGIN for null. */
static TimestampTz
rollup_result_time(int column)
{
	bool		isnull;
	Datum		value;

	if (SPI_processed == 0)
		return DT_NOBEGIN;
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);
	return isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
}

static TimestampTz
rollup_select_time(const char *query)
{
	table_run(query);
	return rollup_result_time(1);
}

/*
 * Notes.
 */

static void
rollup_insert_note(Oid traffic, RollupLevel level, TimestampTz time)
{
	Oid			types[] = {OIDOID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {
		ObjectIdGetDatum(traffic),
		CStringGetTextDatum(rollup_name(level)),
		TimestampTzGetDatum(time)
	};

	rollup_execute("INSERT INTO lastfluss._rollup_dirty (traffic, name, \"time\") VALUES ($1, $2, $3)",
				   lengthof(types), types, values);
}

/* replay() runs as somebody who has no right on our tables. */
void
rollup_note(Oid traffic, TimestampTz time)
{
	TableUser	before;

	/* On Citus the notes are on the coordinator, which knows its own OIDs. */
	traffic = on_citus_leader_oid(traffic);
	table_become(table_owner(table_find("lastfluss", "_rollup_dirty")), &before);
	rollup_insert_note(traffic, ROLLUP_FIRST, time);
	table_become_again(&before);
}

static void
rollup_delete_notes(Oid traffic, RollupLevel level, TimestampTz from, TimestampTz until)
{
	Oid			types[] = {OIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {
		ObjectIdGetDatum(traffic),
		CStringGetTextDatum(rollup_name(level)),
		TimestampTzGetDatum(from),
		TimestampTzGetDatum(until)
	};

	rollup_execute("DELETE FROM lastfluss._rollup_dirty"
				   " WHERE traffic = $1 AND name = $2 AND \"time\" >= $3 AND \"time\" < $4",
				   lengthof(types), types, values);
}

void
rollup_forget_undone(const Rollups *rollups, RollupLevel level)
{
	rollup_delete_notes(rollups->traffic, level, rollups->states[level].complete_until, DT_NOEND);
}

/*
 * What is written.
 */

/* An interval that is finished, but in no buffer, waits in a file. */
static bool
rollup_waits_in_file(const ReceiverShared *source)
{
	const Intervals *intervals = source->intervals;

	for (uint32 i = 0; i < intervals->count; i++)
	{
		if (intervals->all[i].state != INTERVAL_FREE &&
			intervals->all[i].sequence == source->last_written + 1)
			return false;
	}
	return source->last_written + 1 < intervals->next_sequence;
}

/* The start of the oldest interval of a receiver that is not written. */
static int64
rollup_receiver_until(int receiver, int64 until, int64 earliest)
{
	const ReceiverShared *source = &shared->receivers[receiver];
	const Intervals *intervals = source->intervals;

	LWLockAcquire(shared->receiver_locks[receiver], LW_SHARED);
	for (uint32 i = 0; i < intervals->count; i++)
	{
		if (intervals->all[i].state != INTERVAL_FREE)
			until = Min(until, intervals->all[i].start);
	}
	/* They follow one another, so that one in a file begins where the last one ended. */
	if (rollup_waits_in_file(source))
		until = Min(until, Max(source->written_end, earliest));
	LWLockRelease(shared->receiver_locks[receiver]);
	return until;
}

/*
 * An interval may still be opened whose window is not over.  One that is opened
 * earlier all the same, because a clock was set back, has its note.
 */
TimestampTz
rollup_written_until(void)
{
	IntervalRule rule;
	bool		leftovers;
	int64		until = lastfluss_unix_time(GetCurrentTimestamp());
	int64		period;
	int64		earliest;

	LWLockAcquire(shared->lock, LW_SHARED);
	rule = shared->config.rule;
	leftovers = !shared->leftovers_written;
	LWLockRelease(shared->lock);
	if (leftovers || rule.period <= 0)
		return DT_NOBEGIN;
	period = rule.period * USECS_PER_SEC;
	until -= rule.window * USECS_PER_SEC;
	until -= until % period;
	earliest = shared->run - rule.window * USECS_PER_SEC - period;
	for (int i = 0; i < lastfluss_receivers; i++)
		until = rollup_receiver_until(i, until, earliest);
	return lastfluss_timestamp(until);
}

/*
 * lastfluss._written_until()
 */
PG_FUNCTION_INFO_V1(lastfluss_written_until);
Datum
lastfluss_written_until(PG_FUNCTION_ARGS)
{
	TimestampTz until = shared ? rollup_written_until() : DT_NOBEGIN;

	if (TIMESTAMP_IS_NOBEGIN(until))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(until);
}

/*
 * State.
 */

static void
rollup_read_state(Rollups *rollups, RollupLevel level)
{
	RollupState *state = &rollups->states[level];
	Oid			types[] = {OIDOID, TEXTOID};
	Datum		values[] = {
		ObjectIdGetDatum(rollups->traffic),
		CStringGetTextDatum(rollup_name(level))
	};
	bool		isnull;

	rollup_execute("SELECT relation, complete_from, complete_until, clean_from, kept_from"
				   " FROM lastfluss._rollup WHERE traffic = $1 AND name = $2",
				   lengthof(types), types, values);
	*state = (RollupState) {
		.relation = InvalidOid,
		.complete_from = rollup_result_time(2),
		.complete_until = rollup_result_time(3),
		.clean_from = rollup_result_time(4),
		.kept_from = rollup_result_time(5)
	};
	if (SPI_processed > 0)
		state->relation = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
														 1, &isnull));
}

void
rollup_read(Rollups *rollups)
{
	for (RollupLevel level = ROLLUP_RAW; level < ROLLUP_COUNT; level++)
		rollup_read_state(rollups, level);
}

static void
rollup_save_state(Rollups *rollups, RollupLevel level)
{
	const RollupState *state = &rollups->states[level];
	Oid			types[] = {OIDOID, TEXTOID, OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {
		ObjectIdGetDatum(rollups->traffic),
		CStringGetTextDatum(rollup_name(level)),
		ObjectIdGetDatum(state->relation),
		TimestampTzGetDatum(state->complete_from),
		TimestampTzGetDatum(state->complete_until),
		TimestampTzGetDatum(state->clean_from),
		TimestampTzGetDatum(state->kept_from)
	};

	rollup_execute("INSERT INTO lastfluss._rollup AS r (traffic, name, relation, complete_from, complete_until, clean_from, kept_from)"
				   " VALUES ($1, $2, $3, nullif($4, '-infinity'), nullif($5, '-infinity'), $6, $7)"
				   " ON CONFLICT (traffic, name) DO UPDATE SET relation = excluded.relation,"
				   " complete_from = excluded.complete_from, complete_until = excluded.complete_until,"
				   " clean_from = excluded.clean_from, kept_from = excluded.kept_from",
				   lengthof(types), types, values);
}

void
rollup_note_dropped(Oid traffic, RollupLevel level, TimestampTz until)
{
	Rollups		rollups = {.traffic = traffic};
	RollupState *state = &rollups.states[level];

	rollup_read_state(&rollups, level);
	if (!OidIsValid(state->relation))
		return;
	state->kept_from = Max(state->kept_from, until);
	if (!TIMESTAMP_IS_NOBEGIN(state->complete_from))
		state->complete_from = Max(state->complete_from, until);
	rollup_save_state(&rollups, level);
	/* What comes later for that time is added without notes: rollup_add_late(). */
	if (level == ROLLUP_RAW)
		rollup_delete_notes(traffic, ROLLUP_FIRST, DT_NOBEGIN, state->kept_from);
}

/*
 * Tables.
 */

static TableLayout
rollup_layout(RollupLevel level)
{
	TableLayout layout = level < ROLLUP_FIRST_SUM ? *traffic_rollup_layout() :
		*traffic_sum_layout(rollup_types[level].indexed);

	layout.comment = rollup_types[level].comment;
	layout.width = rollup_types[level].width;
	return layout;
}

/* Triggers of somebody else's table must not run with the rights of traffic's owner. */
static void
rollup_check_owner(Oid relation, Oid owner)
{
	if (table_owner(relation) != owner)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("table \"%s\" does not belong to the owner of the traffic table", get_rel_name(relation)),
				 errhint("Rename it, or ALTER TABLE %s OWNER TO %s;", table_sql_name(relation),
						 quote_identifier(GetUserNameFromId(owner, false)))));
}

/*
 * For an AS over months.  Equal values share a list, so that it takes some percent of
 * the table; with "time" in it, it would take three times that.  But graphs of a day
 * would read all that an AS has in the week of a partition of five minutes.
 */
static void
rollup_create_index(Oid table, RollupLevel level, Oid owner)
{
	const RollupType *type = &rollup_types[level];
	TableUser	before;

	if (type->indexed == NULL)
		return;
	table_become(owner, &before);
	table_run(psprintf("CREATE INDEX ON %s (%s%s)", table_sql_name(table), type->indexed,
					   type->base == ROLLUP_5M ? ", \"time\"" : ""));
	table_become_again(&before);
}

/*
 * Sums tell what the rows tell, so that whoever may read the one may read the other.
 * Who reads traffic through policies would see all of it in the sums: these are closed
 * until somebody writes policies for them.
 */
static void
rollup_copy_rights(Oid table, Oid traffic, Oid owner)
{
	const char *name = table_sql_name(table);
	TableUser	before;
	char	   *readers;

	table_become(owner, &before);
	table_run(psprintf("SELECT c.relrowsecurity,"
					   " (SELECT string_agg(CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, ', ')"
					   " FROM aclexplode(c.relacl) a WHERE a.privilege_type = 'SELECT' AND a.grantee <> c.relowner)"
					   " FROM pg_class c WHERE c.oid = %u", traffic));
	readers = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	if (strcmp(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1), "t") == 0)
		table_run(psprintf("ALTER TABLE %s ENABLE ROW LEVEL SECURITY", name));
	else if (readers)
		table_run(psprintf("GRANT SELECT ON %s TO %s", name, readers));
	table_become_again(&before);
}

static Oid
rollup_open(Oid traffic, RollupLevel level)
{
	const char *relation = table_name_beside(table_name(traffic), rollup_name(level));
	const char *schema = get_namespace_name(get_rel_namespace(traffic));
	TableLayout layout = rollup_layout(level);
	Oid			owner = table_owner(traffic);
	Oid			table = table_find(schema, relation);

	if (!OidIsValid(table) && !table_may_create(schema, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("there is no table \"%s.%s\", and role \"%s\" may not make it",
						schema, relation, GetUserNameFromId(owner, false)),
				 errhint("GRANT CREATE ON SCHEMA %s TO %s; or SELECT lastfluss.set('rollups', 'off');",
						 quote_identifier(schema), quote_identifier(GetUserNameFromId(owner, false)))));
	if (!OidIsValid(table))
	{
		table = table_create(schema, relation, &layout, owner);
		rollup_create_index(table, level, owner);
		rollup_copy_rights(table, traffic, owner);
	}
	rollup_check_owner(table, owner);
	return table;
}

/* The first or last time in a table. */
static TimestampTz
rollup_limit(Oid table, const char *which)
{
	TableUser	before;
	TimestampTz limit;

	table_become(table_owner(table), &before);
	limit = rollup_select_time(psprintf("SELECT %s(\"time\") FROM %s WHERE isfinite(\"time\")",
										which, table_sql_name(table)));
	table_become_again(&before);
	return limit;
}

/* From when on there is something to sum up. */
static TimestampTz
rollup_source_from(const Rollups *rollups, RollupLevel level)
{
	if (level > ROLLUP_FIRST)
		return rollups->states[level - 1].complete_from;
	return rollup_limit(rollups->traffic, "min");
}

/*
 * A rollup that is new to us: the extension, or the table, may be the older one.
 * Where the rollup begins earlier than what it is made from, that was dropped.
 */
static void
rollup_begin(Rollups *rollups, RollupLevel level)
{
	RollupState *state = &rollups->states[level];
	RollupState *source = &rollups->states[level - 1];
	TimestampTz from = rollup_source_from(rollups, level);
	TimestampTz first = rollup_limit(state->relation, "min");
	TimestampTz last = rollup_limit(state->relation, "max");
	int			step = rollup_types[level].step;

	if (TIMESTAMP_IS_NOBEGIN(from))
		return;
	state->complete_until = rollup_floor(from, step);
	state->complete_from = state->complete_until;
	state->clean_from = TIMESTAMP_IS_NOBEGIN(last) ? DT_NOBEGIN : last + step * USECS_PER_SEC;
	if (!TIMESTAMP_IS_NOBEGIN(first) && first < state->complete_from)
	{
		state->complete_from = first;
		source->kept_from = Max(source->kept_from, rollup_floor(from, SECS_PER_DAY));
		rollup_save_state(rollups, level - 1);
	}
}

/* Its state says from when on it has all buckets: not those of before it was made. */
static void
rollup_sum_open(Rollups *rollups, RollupLevel sum, TimestampTz since)
{
	rollups->states[sum] = (RollupState) {
		.relation = rollup_open(rollups->traffic, sum),
		.clean_from = DT_NOBEGIN,
		.kept_from = DT_NOBEGIN,
		.complete_from = since,
		.complete_until = since
	};
}

void
rollup_prepare(Rollups *rollups, RollupLevel level)
{
	RollupState *raw = &rollups->states[ROLLUP_RAW];
	RollupState *state = &rollups->states[level];
	bool		known;

	if (!OidIsValid(raw->relation))
	{
		raw->relation = rollups->traffic;
		rollup_save_state(rollups, ROLLUP_RAW);
	}
	known = OidIsValid(state->relation) && OidIsValid(get_rel_namespace(state->relation));
	if (known && !TIMESTAMP_IS_NOBEGIN(state->complete_until))
		return;
	*state = (RollupState) {
		.relation = rollup_open(rollups->traffic, level),
		.complete_from = DT_NOBEGIN,
		.complete_until = DT_NOBEGIN,
		.clean_from = DT_NOBEGIN,
		.kept_from = DT_NOBEGIN
	};
	rollup_begin(rollups, level);
	if (!known || !TIMESTAMP_IS_NOBEGIN(state->complete_until))
		rollup_save_state(rollups, level);
	/* Whoever is to read them is granted that once, and not again when they get rows. */
	for (RollupLevel sum = ROLLUP_FIRST_SUM; !known && sum < ROLLUP_COUNT; sum++)
	{
		if (rollup_base(sum) != level)
			continue;
		rollup_sum_open(rollups, sum, DT_NOBEGIN);
		rollup_save_state(rollups, sum);
	}
}

/*
 * Sums.
 */

/* What a bucket's bytes stand for: an interval counts where it begins, as a whole. */
static int
rollup_seconds(const Rollups *rollups, RollupLevel level)
{
	return Max(rollup_types[level].step, rollups->period);
}

/* Bytes of a row of traffic, which may lack our columns or be older than these. */
static const char *
rollup_bytes(Oid source, int period)
{
	const char *bytes = table_has_column(source, "bytes") ? "bytes, " : "";
	const char *bandwidth = table_has_column(source, "bandwidth")
		? psprintf("CASE WHEN bandwidth::float8 * %d / 8 >= 9.2e18 THEN 9223372036854775807"
				   " ELSE round(bandwidth::float8 * %d / 8)::bigint END, ", period, period) : "";

	return psprintf("coalesce(%s%s0)", bytes, bandwidth);
}

/* The largest bandwidth so far. */
static const char *
rollup_peak(Oid source, RollupLevel level, int period)
{
	if (level != ROLLUP_RAW)
		return "peak::float8";
	if (table_has_column(source, "bandwidth"))
		return "bandwidth::float8";
	return psprintf("(bytes::float8 * 8 / %d)", period);
}

static void
rollup_append_column(StringInfo query, Oid source, const char *name, const char *type)
{
	if (table_has_column(source, name))
		appendStringInfo(query, ", %s", name);
	else
		appendStringInfo(query, ", NULL::%s AS %s", type, name);
}

#define ROLLUP_KEY	"iface, ingress, remote_asn, local_asn, family"
/* Stops at the largest number, as aggregate_sum() does: an error would stop all rollups. */
#define ROLLUP_SUM(column) \
	"CASE WHEN sum(" column ") > 9223372036854775807 THEN 9223372036854775807" \
	" ELSE sum(" column ")::bigint END AS " column
#define ROLLUP_SUMS	ROLLUP_SUM("bytes") ", " ROLLUP_SUM("packets") ", " ROLLUP_SUM("flows")

/*
 * The rows to be summed up: one for each time and key, because "peak" is that of
 * a key.  (Several receivers may have written an interval.)
 */
static void
rollup_append_rows(StringInfo query, const Rollups *rollups, RollupLevel level, const char *from,
				   TimestampTz since, TimestampTz until)
{
	Oid			source = rollups->states[level].relation;

	appendStringInfo(query, "SELECT \"time\", " ROLLUP_KEY ", " ROLLUP_SUMS ", sum(peak) AS peak"
					 " FROM (SELECT \"time\", %s AS bytes, %s AS peak",
					 rollup_bytes(source, rollups->period),
					 rollup_peak(source, level, rollups->period));
	rollup_append_column(query, source, "iface", "text");
	rollup_append_column(query, source, "ingress", "boolean");
	rollup_append_column(query, source, "remote_asn", "bigint");
	rollup_append_column(query, source, "local_asn", "bigint");
	rollup_append_column(query, source, "family", "smallint");
	rollup_append_column(query, source, "packets", "bigint");
	rollup_append_column(query, source, "flows", "bigint");
	appendStringInfo(query, " FROM %s WHERE \"time\" >= %s AND \"time\" < %s) r"
					 " GROUP BY \"time\", " ROLLUP_KEY,
					 from, rollup_time(since), rollup_time(until));
}

/*
 * The same with the small ASNs folded, by the bucket: as top.c does it.
 */
static void
rollup_append_folded(StringInfo query, const Rollups *rollups, const char *rows, const char *bucket)
{
	appendStringInfo(query,
					 "SELECT \"time\", iface, ingress, CASE WHEN keep THEN remote_asn END AS remote_asn,"
					 " CASE WHEN keep THEN local_asn END AS local_asn, family, " ROLLUP_SUMS ", sum(peak) AS peak"
					 " FROM (SELECT *, remote_asn IS NOT NULL AND (n <= %u OR (%u > 0 AND asn_bytes * 1000000 > all_bytes * %u)) AS keep"
					 " FROM (SELECT *, dense_rank() OVER (PARTITION BY bucket, iface, ingress"
					 " ORDER BY remote_asn IS NULL, asn_bytes DESC, remote_asn) AS n"
					 " FROM (SELECT *, sum(bytes) OVER (PARTITION BY bucket, iface, ingress) AS all_bytes,"
					 " sum(bytes) OVER (PARTITION BY bucket, iface, ingress, remote_asn) AS asn_bytes"
					 " FROM (SELECT *, %s AS bucket FROM (%s) a) b) c) d) e"
					 " GROUP BY 1, 2, 3, 4, 5, 6",
					 rollups->keep_top, rollups->keep_top_share, rollups->keep_top_share,
					 bucket, rows);
}

#define ROLLUP_COLUMNS	"(\"time\", bandwidth, " ROLLUP_KEY ", bytes, packets, flows, peak)"

static const char *
rollup_bucket(RollupLevel level)
{
	return psprintf("date_bin('%d s', \"time\", " ROLLUP_ORIGIN ")", rollup_types[level].step);
}

/* By AS, so that what an AS has in a bucket lies in a page or two. */
static char *
rollup_insert_statement(const Rollups *rollups, RollupLevel level, RollupLevel source,
						TimestampTz since, TimestampTz until)
{
	const char *bucket = rollup_bucket(level);
	StringInfoData rows;
	StringInfoData folded;

	initStringInfo(&rows);
	initStringInfo(&folded);
	rollup_append_rows(&rows, rollups, source, table_sql_name(rollups->states[source].relation),
					   since, until);
	if (rollups->keep_top > 0)
		rollup_append_folded(&folded, rollups, rows.data, bucket);
	return psprintf("INSERT INTO %s " ROLLUP_COLUMNS
					" SELECT %s, (sum(bytes)::float8 * 8 / %d)::real, " ROLLUP_KEY ", " ROLLUP_SUMS ", max(peak)::real"
					" FROM (%s) f GROUP BY 1, 3, 4, 5, 6, 7 ORDER BY 1, 5, 3, 4",
					table_sql_name(rollups->states[level].relation), bucket,
					rollup_seconds(rollups, level), rollups->keep_top > 0 ? folded.data : rows.data);
}

static bool
rollup_has_rows(Oid table, TimestampTz since, TimestampTz until)
{
	table_run(psprintf("SELECT 1 FROM %s WHERE \"time\" >= %s AND \"time\" < %s LIMIT 1",
					   table_sql_name(table), rollup_time(since), rollup_time(until)));
	return SPI_processed > 0;
}

static void
rollup_ensure_partitions(Oid table, RollupLevel level, TimestampTz since, TimestampTz until)
{
	TableLayout layout = rollup_layout(level);

	/* No partition is shorter than a week. */
	for (TimestampTz time = since; time < until; time += 7 * USECS_PER_DAY)
	{
		if (partition_ensure(table, &layout, time))
			CommandCounterIncrement();
	}
	if (partition_ensure(table, &layout, until - 1))
		CommandCounterIncrement();
}

/* The coarsest table below a level that has all of a range; the level itself: none has. */
static RollupLevel
rollup_source(const Rollups *rollups, RollupLevel level, TimestampTz since, TimestampTz until)
{
	for (int source = (int) level - 1; source > ROLLUP_RAW; source--)
	{
		const RollupState *state = &rollups->states[source];

		if (state->kept_from <= since && state->complete_from <= since && state->complete_until >= until)
			return (RollupLevel) source;
	}
	return rollups->states[ROLLUP_RAW].kept_from <= since ? ROLLUP_RAW : level;
}

/*
 * Sums beside a level.
 */

static void
rollup_sum_prepare(Rollups *rollups, RollupLevel sum, TimestampTz since)
{
	RollupState *state = &rollups->states[sum];

	if (!OidIsValid(state->relation) || !OidIsValid(get_rel_namespace(state->relation)))
		rollup_sum_open(rollups, sum, since);
	else if (state->complete_until < since)
		state->complete_from = state->complete_until = since;
}

/* By AS where it has one, as the rollup itself. */
static void
rollup_sum_replace(Oid table, RollupLevel sum, const char *source, TimestampTz since, TimestampTz until)
{
	const RollupType *type = &rollup_types[sum];
	const char *name = table_sql_name(table);

	table_run(psprintf("DELETE FROM %s WHERE \"time\" >= %s AND \"time\" < %s",
					   name, rollup_time(since), rollup_time(until)));
	table_run(psprintf("INSERT INTO %s (\"time\", %s, bytes, packets, flows)"
					   " SELECT %s, %s, " ROLLUP_SUMS
					   " FROM %s WHERE \"time\" >= %s AND \"time\" < %s GROUP BY 1, %s ORDER BY 1, %s%s",
					   name, type->key, rollup_bucket(sum), type->key, source,
					   rollup_time(since), rollup_time(until), type->key,
					   type->indexed ? psprintf("%s, ", type->indexed) : "", type->key));
}

/*
 * Of buckets that are longer than those of what they are made from: those that these
 * are in, as far as they are over.  Of others it has no more than what that has.
 */
static void
rollup_sum_whole(Rollups *rollups, RollupLevel sum, TimestampTz *since, TimestampTz *until)
{
	int			step = rollup_types[sum].step;
	const RollupState *source = &rollups->states[rollup_types[sum].source];
	RollupState *state = &rollups->states[sum];
	TimestampTz first = rollup_ceil(Max(source->complete_from, source->kept_from), step);

	if (state->complete_from < first && OidIsValid(state->relation))
	{
		state->complete_from = first;
		state->complete_until = Max(state->complete_until, first);
		rollup_save_state(rollups, sum);
	}
	*since = Max(rollup_floor(*since, step), first);
	*until = Min(rollup_ceil(*until, step), rollup_floor(source->complete_until, step));
}

/* Whole buckets, of which its source has just got the rows. */
static void
rollup_sum_fill(Rollups *rollups, RollupLevel sum, TimestampTz since, TimestampTz until)
{
	const RollupType *type = &rollup_types[sum];
	Oid			source = rollups->states[type->source].relation;
	RollupState *state = &rollups->states[sum];
	TableUser	before;

	if (type->step != rollup_types[type->source].step)
		rollup_sum_whole(rollups, sum, &since, &until);
	rollup_sum_prepare(rollups, sum, since);
	since = Max(since, rollup_ceil(Max(state->complete_from, state->kept_from), type->step));
	if (since >= until)
		return;
	rollup_check_owner(state->relation, table_owner(rollups->traffic));
	table_become(table_lock_for_rows(state->relation), &before);
	if (rollup_has_rows(source, since, until))
		rollup_ensure_partitions(state->relation, sum, since, until);
	rollup_sum_replace(state->relation, sum, table_sql_name(source), since, until);
	table_become_again(&before);
	state->complete_until = Max(state->complete_until, until);
	rollup_save_state(rollups, sum);
}

static void
rollup_sums_fill(Rollups *rollups, RollupLevel level, TimestampTz since, TimestampTz until)
{
	for (RollupLevel sum = ROLLUP_FIRST_SUM; sum < ROLLUP_COUNT; sum++)
	{
		if (rollup_types[sum].base == level)
			rollup_sum_fill(rollups, sum, since, until);
	}
}

/* Fills a range of buckets, which is empty unless "replace". */
static void
rollup_fill(Rollups *rollups, RollupLevel level, RollupLevel source,
			TimestampTz since, TimestampTz until, bool replace)
{
	Oid			table = rollups->states[level].relation;
	TableUser	before;

	rollup_check_owner(table, table_owner(rollups->traffic));
	table_become(table_lock_for_rows(table), &before);
	if (replace)
		table_run(psprintf("DELETE FROM %s WHERE \"time\" >= %s AND \"time\" < %s",
						   table_sql_name(table), rollup_time(since), rollup_time(until)));
	if (rollup_has_rows(rollups->states[source].relation, since, until))
	{
		rollup_ensure_partitions(table, level, since, until);
		table_run(rollup_insert_statement(rollups, level, source, since, until));
	}
	table_become_again(&before);
	rollup_sums_fill(rollups, level, since, until);
}

/*
 * Where rows were added, the index does not say which; until the next VACUUM, each
 * step would read all of them.
 */
void
rollup_summarize(const Rollups *rollups, RollupLevel level)
{
	TimestampTz from = rollups->states[level + 1].complete_until;

	if (TIMESTAMP_IS_NOBEGIN(from) || !OidIsValid(get_rel_namespace(rollups->states[level].relation)) ||
		table_kind(rollups->states[level].relation) != TABLE_PARTITIONED ||
		on_citus_is_distributed(rollups->states[level].relation))
		return;
	table_run(psprintf("SELECT brin_summarize_new_values(i.indexrelid) FROM lastfluss._partitions(%u::oid::regclass) p"
					   " JOIN pg_index i ON i.indrelid = p.partition JOIN pg_class c ON c.oid = i.indexrelid"
					   " JOIN pg_am m ON m.oid = c.relam WHERE m.amname = 'brin'"
					   " AND p.ends > %s::timestamptz AND p.starts < %s::timestamptz + interval '1 day'",
					   rollups->states[level].relation, rollup_time(from), rollup_time(from)));
}

/*
 * Going on.
 */

static int64
rollup_milliseconds(instr_time since)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, since);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

/* The end of the next step, which is short where there are rows. */
static TimestampTz
rollup_step_end(const Rollups *rollups, RollupLevel level, RollupLevel source, TimestampTz limit)
{
	TimestampTz since = rollups->states[level].complete_until;
	int64		step = rollup_types[level].step * USECS_PER_SEC;
	TimestampTz until = Min(since + rollup_buckets[level] * step, limit);
	TableUser	before;
	bool		has_rows;

	if (rollup_buckets[level] <= ROLLUP_MAX_BUCKETS)
		return until;
	table_become(table_owner(rollups->traffic), &before);
	has_rows = rollup_has_rows(rollups->states[source].relation, since, until);
	table_become_again(&before);
	if (has_rows)
		rollup_buckets[level] = ROLLUP_MAX_BUCKETS / 4;
	return Min(since + rollup_buckets[level] * step, limit);
}

static void
rollup_adapt(RollupLevel level, int64 milliseconds, bool full)
{
	int			buckets = rollup_buckets[level];

	if (milliseconds > ROLLUP_STEP_MS)
		rollup_buckets[level] = Max(buckets / 2, 1);
	else if (full && milliseconds < ROLLUP_STEP_MS / 2)
		rollup_buckets[level] = Min(buckets * 2, milliseconds > 20 ? ROLLUP_MAX_BUCKETS : ROLLUP_MAX_EMPTY);
}

RollupResult
rollup_advance(Rollups *rollups, RollupLevel level, TimestampTz until)
{
	RollupState *state = &rollups->states[level];
	TimestampTz since = state->complete_until;
	TimestampTz limit;
	RollupLevel source;
	instr_time	started;

	if (level > ROLLUP_FIRST)
		until = rollups->states[level - 1].complete_until;
	if (TIMESTAMP_IS_NOBEGIN(since) || TIMESTAMP_IS_NOBEGIN(until))
		return ROLLUP_UP_TO_DATE;
	limit = rollup_floor(until, rollup_types[level].step);
	if (since >= limit)
		return ROLLUP_UP_TO_DATE;

	INSTR_TIME_SET_CURRENT(started);
	source = rollup_source(rollups, level, since, since + rollup_types[level].step * USECS_PER_SEC);
	if (source == level)
		source = level - 1;		/* what is left of it */
	/* Of the first hour, 5 minutes may be missing that were before the first row. */
	if (source == ROLLUP_RAW && level > ROLLUP_FIRST)
		rollup_buckets[level] = 1;
	until = rollup_step_end(rollups, level, source, limit);
	if (source != ROLLUP_RAW)
		until = Min(until, rollup_floor(rollups->states[source].complete_until, rollup_types[level].step));
	rollup_delete_notes(rollups->traffic, level, since, until);
	on_citus_settle();
	rollup_fill(rollups, level, source, since, until, since < state->clean_from);
	state->complete_until = until;
	rollup_save_state(rollups, level);
	rollup_adapt(level, rollup_milliseconds(started), until < limit);
	return until < limit ? ROLLUP_MORE : ROLLUP_UP_TO_DATE;
}

/*
 * Doing it again.
 */

/*
 * The first buckets that are to be done again, as far as they follow one another;
 * false where there are none.
 */
static bool
rollup_next_dirty(const Rollups *rollups, RollupLevel level, TimestampTz *since, TimestampTz *until)
{
	const RollupState *state = &rollups->states[level];
	TimestampTz kept_from = level == ROLLUP_FIRST ? rollups->states[ROLLUP_RAW].kept_from : DT_NOBEGIN;
	Oid			types[] = {OIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {
		ObjectIdGetDatum(rollups->traffic),
		CStringGetTextDatum(rollup_name(level)),
		TimestampTzGetDatum(kept_from),
		TimestampTzGetDatum(state->complete_until)
	};
	bool		isnull;

	rollup_execute(psprintf("SELECT DISTINCT %s FROM lastfluss._rollup_dirty"
							" WHERE traffic = $1 AND name = $2 AND \"time\" >= $3 AND \"time\" < $4"
							" ORDER BY 1 LIMIT %d", rollup_bucket(level), ROLLUP_MAX_BUCKETS),
				   lengthof(types), types, values);
	if (SPI_processed == 0)
		return false;
	*since = rollup_result_time(1);
	*until = *since;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		if (DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)) != *until)
			break;
		*until += rollup_types[level].step * USECS_PER_SEC;
	}
	return true;
}

/* The buckets of the next level that have these. */
static void
rollup_note_above(const Rollups *rollups, RollupLevel level, TimestampTz since, TimestampTz until)
{
	int			step;

	if (level == ROLLUP_LAST)
		return;
	step = rollup_types[level + 1].step;
	for (TimestampTz bucket = rollup_floor(since, step); bucket < until; bucket += step * USECS_PER_SEC)
		rollup_insert_note(rollups->traffic, level + 1, bucket);
}

/* The same for a sum that had all of it so far; a bucket of its may have begun before. */
static void
rollup_sum_begin_earlier(Rollups *rollups, RollupLevel sum, TimestampTz since, TimestampTz before)
{
	int			step = rollup_types[sum].step;
	RollupState *state = &rollups->states[sum];
	RollupLevel source = rollup_types[sum].source;

	if (state->complete_from != rollup_ceil(before, step))
		return;
	state->complete_from = rollup_ceil(since, step);
	if (step == rollup_types[source].step)
		return;
	state->complete_until = Min(state->complete_until, rollup_floor(rollups->states[source].complete_until, step));
	state->complete_until = Max(state->complete_until, state->complete_from);
	/* That may have nothing to fill. */
	rollup_save_state(rollups, sum);
	rollup_sum_fill(rollups, sum, before, before + 1);
}

/* Rows before the first ones (an old capture, say): there is nothing between. */
static void
rollup_begin_earlier(Rollups *rollups, RollupLevel level, TimestampTz since)
{
	RollupState *state = &rollups->states[level];
	TimestampTz before = state->complete_from;

	if (since >= before)
		return;
	for (RollupLevel sum = ROLLUP_FIRST_SUM; sum < ROLLUP_COUNT; sum++)
	{
		if (rollup_types[sum].base == level)
			rollup_sum_begin_earlier(rollups, sum, since, before);
	}
	state->complete_from = since;
	rollup_save_state(rollups, level);
}

static void
rollup_redo_range(Rollups *rollups, RollupLevel level, TimestampTz since, TimestampTz until)
{
	RollupState *state = &rollups->states[level];
	RollupLevel source;

	rollup_delete_notes(rollups->traffic, level, since, until);
	rollup_note_above(rollups, level, since, until);
	since = Max(since, state->kept_from);
	if (since >= until)
		return;
	rollup_begin_earlier(rollups, level, since);
	source = rollup_source(rollups, level, since, until);
	if (source == level)
		return;
	on_citus_settle();
	rollup_fill(rollups, level, source, since, until, true);
}

RollupResult
rollup_redo(Rollups *rollups, RollupLevel level)
{
	TimestampTz since;
	TimestampTz until;
	instr_time	started;

	if (TIMESTAMP_IS_NOBEGIN(rollups->states[level].complete_until))
		return ROLLUP_UP_TO_DATE;
	INSTR_TIME_SET_CURRENT(started);
	while (rollup_next_dirty(rollups, level, &since, &until))
	{
		rollup_redo_range(rollups, level, since, until);
		if (rollup_milliseconds(started) > ROLLUP_STEP_MS / 2)
			return ROLLUP_MORE;
	}
	return ROLLUP_UP_TO_DATE;
}

/*
 * Rows that came for what retention has dropped.
 */

/* Both are summed up: what the buckets have, and the rows. */
static char *
rollup_add_statement(const Rollups *rollups, RollupLevel level, const char *partition,
					 TimestampTz since, TimestampTz until)
{
	const char *table = table_sql_name(rollups->states[level].relation);
	const char *bucket = rollup_bucket(level);
	StringInfoData rows;

	initStringInfo(&rows);
	rollup_append_rows(&rows, rollups, ROLLUP_RAW, partition, since, until);
	return psprintf("WITH late AS (SELECT %s AS \"time\", " ROLLUP_KEY ", " ROLLUP_SUMS ", max(peak)::real AS peak"
					" FROM (%s) r GROUP BY 1, 2, 3, 4, 5, 6),"
					" before AS (DELETE FROM %s t USING (SELECT DISTINCT \"time\" FROM late) l"
					" WHERE t.\"time\" = l.\"time\" AND t.\"time\" >= %s AND t.\"time\" < %s"
					" RETURNING t.\"time\", t.iface, t.ingress, t.remote_asn, t.local_asn, t.family,"
					" t.bytes, t.packets, t.flows, t.peak)"
					" INSERT INTO %s " ROLLUP_COLUMNS
					" SELECT \"time\", (sum(bytes)::float8 * 8 / %d)::real, " ROLLUP_KEY ", " ROLLUP_SUMS ", max(peak)"
					" FROM (SELECT * FROM late UNION ALL SELECT * FROM before) b"
					" GROUP BY \"time\", " ROLLUP_KEY " ORDER BY 1, 5, 3, 4",
					bucket, rows.data, table, rollup_time(rollup_floor(since, rollup_types[level].step)),
					rollup_time(until), table, rollup_seconds(rollups, level));
}

/*
 * The same for Citus, which has no DELETE within another statement: what the buckets
 * have is known by its ids.
 */
static void
rollup_add_apart(const Rollups *rollups, RollupLevel level, const char *partition,
				 TimestampTz since, TimestampTz until)
{
	const char *table = table_sql_name(rollups->states[level].relation);
	const char *bucket = rollup_bucket(level);
	const char *range = psprintf("\"time\" >= %s AND \"time\" < %s",
								 rollup_time(rollup_floor(since, rollup_types[level].step)), rollup_time(until));
	StringInfoData rows;
	char	   *before;

	initStringInfo(&rows);
	rollup_append_rows(&rows, rollups, ROLLUP_RAW, partition, since, until);
	table_run(psprintf("SELECT coalesce(array_agg(id), '{}') FROM %s WHERE %s AND \"time\" IN (SELECT %s FROM (%s) r)",
					   table, range, bucket, rows.data));
	before = psprintf("%s AND id = ANY (%s::bigint[])", range,
					  quote_literal_cstr(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)));
	table_run(psprintf("INSERT INTO %s " ROLLUP_COLUMNS
					   " SELECT \"time\", (sum(bytes)::float8 * 8 / %d)::real, " ROLLUP_KEY ", " ROLLUP_SUMS ", max(peak)"
					   " FROM (SELECT %s AS \"time\", " ROLLUP_KEY ", " ROLLUP_SUMS ", max(peak)::real AS peak"
					   " FROM (%s) r GROUP BY 1, 2, 3, 4, 5, 6"
					   " UNION ALL SELECT \"time\", " ROLLUP_KEY ", bytes, packets, flows, peak FROM %s WHERE %s) b"
					   " GROUP BY \"time\", " ROLLUP_KEY " ORDER BY 1, 5, 3, 4",
					   table, rollup_seconds(rollups, level), bucket, rows.data, table, before));
	table_run(psprintf("DELETE FROM %s WHERE %s", table, before));
}

static void
rollup_add_to_level(Rollups *rollups, RollupLevel level, const char *partition,
					TimestampTz since, TimestampTz until)
{
	RollupState *state = &rollups->states[level];
	TableUser	before;

	since = Max(since, state->kept_from);
	if (since >= until || !OidIsValid(state->relation))
		return;
	rollup_begin_earlier(rollups, level, rollup_floor(since, rollup_types[level].step));
	table_become(table_lock_for_rows(state->relation), &before);
	rollup_ensure_partitions(state->relation, level, rollup_floor(since, rollup_types[level].step), until);
	if (on_citus_is_distributed(state->relation))
		rollup_add_apart(rollups, level, partition, since, until);
	else
		table_run(rollup_add_statement(rollups, level, partition, since, until));
	table_become_again(&before);
	rollup_sums_fill(rollups, level, rollup_floor(since, rollup_types[level].step),
					  rollup_floor(until + rollup_types[level].step * USECS_PER_SEC - 1, rollup_types[level].step));
}

void
rollup_add_late(Rollups *rollups, const char *partition, TimestampTz starts, TimestampTz ends)
{
	rollup_delete_notes(rollups->traffic, ROLLUP_FIRST, starts, ends);
	on_citus_settle();
	for (RollupLevel level = ROLLUP_FIRST; level <= ROLLUP_LAST; level++)
		rollup_add_to_level(rollups, level, partition, starts, ends);
}
