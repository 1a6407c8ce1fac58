/*
 * retention.c
 *	  What is older than it is to be kept: dropped by partitions and chunks.
 *
 * One at a time and the oldest first, in a transaction of its own that also moves
 * "kept_from" of the table (see rollup.c), and no table before all that is made
 * from it is done.  Dropping takes a lock that every query on the table waits for:
 * where we do not get it at once, we try again in the next round.
 *
 * On TimescaleDB it is the same, by drop_chunks(): a policy of its own would not
 * wait for the rollups.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "citus.h"
#include "lastfluss.h"
#include "retention.h"
#include "table.h"

#define RETENTION_COUNTERS	10000	/* rows that are deleted at a time */

/* What is older is to be dropped. */
static TimestampTz
retention_cutoff(const char *retention)
{
	bool		isnull;

	table_run(psprintf("SELECT now() - interval %s", quote_literal_cstr(retention)));
	return DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

static bool
retention_is_old(const TablePiece *piece, const char *retention)
{
	return piece->ends <= retention_cutoff(retention);
}

/* Are there rows in it that the next level has not seen? */
static bool
retention_has_notes(const Rollups *rollups, RollupLevel level, const TablePiece *piece)
{
	Oid			types[] = {OIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {
		ObjectIdGetDatum(rollups->traffic),
		CStringGetTextDatum(rollup_name(level)),
		TimestampTzGetDatum(piece->starts),
		TimestampTzGetDatum(piece->ends)
	};

	if (SPI_execute_with_args("SELECT FROM lastfluss._rollup_dirty"
							  " WHERE traffic = $1 AND name = $2 AND \"time\" >= $3 AND \"time\" < $4 LIMIT 1",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for notes");
	return SPI_processed > 0;
}

/* Is all that is made from it done? */
static bool
retention_is_summed_up(const Rollups *rollups, RollupLevel level, const TablePiece *piece)
{
	for (RollupLevel above = level + 1; above <= ROLLUP_LAST; above++)
	{
		if (rollups->states[above].complete_until < piece->ends ||
			retention_has_notes(rollups, above, piece))
			return false;
	}
	return true;
}

static bool
retention_drop_level(Rollups *rollups, RollupLevel level, const char *retention, bool rollups_on)
{
	Oid			table = level == ROLLUP_RAW ? rollups->traffic : rollups->states[level].relation;
	TablePiece	piece;

	if (retention == NULL || !OidIsValid(table) || !OidIsValid(get_rel_namespace(table)) ||
		!table_oldest_piece(table, &piece) || !retention_is_old(&piece, retention))
		return false;
	if (rollups_on && !retention_is_summed_up(rollups, level, &piece))
		return false;
	/* Who has written into it by the time we have the lock has left his notes. */
	if (rollups_on && level == ROLLUP_RAW)
	{
		table_lock_piece(table, &piece);
		on_citus_settle();
		if (!retention_is_summed_up(rollups, level, &piece))
			return false;
	}
	table_drop_piece(table, &piece);
	rollup_note_dropped(rollups->traffic, level, piece.ends);
	ereport(lastfluss_elevel(LOG_RANK_INFO),
			(errmsg("lastfluss: dropped \"%s\", because it is older than %s", piece.name, retention)));
	return true;
}

bool
retention_drop(Rollups *rollups, char *const *retention, bool rollups_on)
{
	for (RollupLevel level = ROLLUP_RAW; level <= ROLLUP_LAST; level++)
	{
		if (retention_drop_level(rollups, level, retention[level], rollups_on))
			return true;
	}
	/* Nothing is made from the sums beside them. */
	for (RollupLevel sum = ROLLUP_FIRST_SUM; sum < ROLLUP_COUNT; sum++)
	{
		if (retention_drop_level(rollups, sum, retention[rollup_base(sum)], false))
			return true;
	}
	return false;
}

bool
retention_drop_health(Oid health, const char *retention)
{
	TablePiece	piece;

	if (retention == NULL || !OidIsValid(health) ||
		!table_oldest_piece(health, &piece) || !retention_is_old(&piece, retention))
		return false;
	table_drop_piece(health, &piece);
	return true;
}

/* They are few, and in a table of the extension: these go row by row. */
bool
retention_delete_counters(const char *retention)
{
	Oid			types[] = {TIMESTAMPTZOID};
	Datum		values[1];

	if (retention == NULL)
		return false;
	values[0] = TimestampTzGetDatum(retention_cutoff(retention));
	/* They may lie on all nodes, and a ctid tells nothing there. */
	if (on_citus())
	{
		if (SPI_execute_with_args("DELETE FROM lastfluss.counters WHERE \"time\" < $1",
								  lengthof(types), types, values, NULL, false, 0) != SPI_OK_DELETE)
			elog(ERROR, "could not delete counters");
		return false;
	}
	if (SPI_execute_with_args(psprintf("DELETE FROM lastfluss.counters WHERE ctid = ANY (ARRAY("
									   "SELECT ctid FROM lastfluss.counters WHERE \"time\" < $1 LIMIT %d))",
									   RETENTION_COUNTERS),
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete counters");
	return SPI_processed == RETENTION_COUNTERS;
}

bool
retention_add_late(Rollups *rollups)
{
	TimestampTz kept_from = rollups->states[ROLLUP_RAW].kept_from;
	TablePiece	piece;

	if (TIMESTAMP_IS_NOBEGIN(kept_from) || !table_oldest_piece(rollups->traffic, &piece) ||
		piece.ends > kept_from)
		return false;
	table_lock_piece(rollups->traffic, &piece);
	rollup_add_late(rollups, piece.name, piece.starts, piece.ends);
	table_drop_piece(rollups->traffic, &piece);
	return true;
}
