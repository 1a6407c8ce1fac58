/*
 * upgrade.c
 *	  A plain table into partitions or a hypertable.
 *
 * Rows are copied into a new table in the order of "id", some in each transaction,
 * together with the note how far we are.  Meanwhile everybody reads and writes the
 * old table.  Triggers on it note the ids of all rows that change, in the
 * transaction that changes them: what is noted at or below "copied" is copied
 * again.  (Also a row that was committed after we had passed its id.)
 *
 * When little is left we lock the old table, copy that, and put the new table in
 * its place.  We first delete the notes and read the rows after, with a later
 * snapshot, as rollup.c does.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "lastfluss.h"
#include "table.h"
#include "traffic.h"
#include "upgrade.h"

#define UPGRADE_STEP_MS		500 /* what a step should take */
#define UPGRADE_MIN_ROWS	1000
#define UPGRADE_MAX_ROWS	500000

typedef struct Upgrade
{
	Oid			traffic;
	Oid			target;			/* InvalidOid: not made yet */
	int64		copied;			/* id */
	bool		cancel;
	const char *from;			/* qualified names */
	const char *into;
	const char *columns;		/* all but generated ones */
} Upgrade;

/* How many rows the next step takes. */
static int	upgrade_rows = 10000;

static Datum
upgrade_value(int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, isnull);
}

/* Runs the statements that a query gives. */
static void
upgrade_run_all(const char *query)
{
	SPITupleTable *statements;
	uint64		count;

	table_run(query);
	statements = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
		table_run(SPI_getvalue(statements->vals[i], statements->tupdesc, 1));
}

/*
 * What is to be done.
 */

static const char *
upgrade_columns(Oid table)
{
	bool		isnull;

	table_run(psprintf("SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
					   " WHERE attrelid = %u AND attnum > 0 AND NOT attisdropped AND attgenerated = ''", table));
	return TextDatumGetCString(upgrade_value(1, &isnull));
}

/* False where nobody has asked for it. */
static bool
upgrade_read(Oid traffic, Upgrade *upgrade)
{
	bool		no_target;
	bool		not_copied;
	bool		isnull;

	table_run(psprintf("SELECT target, copied, cancel FROM lastfluss._upgrade"
					   " WHERE traffic = %u AND finished IS NULL", traffic));
	if (SPI_processed == 0)
		return false;
	*upgrade = (Upgrade) {.traffic = traffic};
	upgrade->target = DatumGetObjectId(upgrade_value(1, &no_target));
	upgrade->copied = DatumGetInt64(upgrade_value(2, &not_copied));
	upgrade->cancel = DatumGetBool(upgrade_value(3, &isnull));
	if (no_target)
		upgrade->target = InvalidOid;
	upgrade->from = table_sql_name(traffic);
	if (OidIsValid(upgrade->target))
	{
		if (!OidIsValid(get_rel_namespace(upgrade->target)))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("the new table for \"%s\" was dropped", get_rel_name(traffic)),
					 errhint("SELECT lastfluss.upgrade_cancel(), then begin again.")));
		upgrade->into = table_sql_name(upgrade->target);
		upgrade->columns = upgrade_columns(traffic);
	}
	return true;
}

/*
 * Begin and end.
 */

/* Ours, so that DROP EXTENSION takes them along. */
static void
upgrade_create_trigger(const Upgrade *upgrade, const char *name, const char *event,
					   const char *referencing)
{
	table_run(psprintf("CREATE TRIGGER %s AFTER %s ON %s %s FOR EACH STATEMENT"
					   " EXECUTE FUNCTION lastfluss._upgrade_noted()",
					   name, event, upgrade->from, referencing));
	table_run(psprintf("ALTER TRIGGER %s ON %s DEPENDS ON EXTENSION lastfluss", name, upgrade->from));
}

static void
upgrade_create_triggers(const Upgrade *upgrade)
{
	upgrade_create_trigger(upgrade, "lastfluss_insert", "INSERT", "REFERENCING NEW TABLE AS new_rows");
	upgrade_create_trigger(upgrade, "lastfluss_update", "UPDATE",
						   "REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows");
	upgrade_create_trigger(upgrade, "lastfluss_delete", "DELETE", "REFERENCING OLD TABLE AS old_rows");
	upgrade_create_trigger(upgrade, "lastfluss_truncate", "TRUNCATE", "");
}

static void
upgrade_drop_triggers(const Upgrade *upgrade)
{
	table_run(psprintf("DROP TRIGGER IF EXISTS lastfluss_insert ON %s", upgrade->from));
	table_run(psprintf("DROP TRIGGER IF EXISTS lastfluss_update ON %s", upgrade->from));
	table_run(psprintf("DROP TRIGGER IF EXISTS lastfluss_delete ON %s", upgrade->from));
	table_run(psprintf("DROP TRIGGER IF EXISTS lastfluss_truncate ON %s", upgrade->from));
}

static void
upgrade_check_name(const Upgrade *upgrade, const char *name)
{
	if (OidIsValid(get_relname_relid(name, get_rel_namespace(upgrade->traffic))))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("there is a table \"%s\" already", name),
				 errhint("If it is left over from an upgrade, drop it; else rename it.")));
}

/* The first and last id, as the owner: an index may have functions of his. */
static void
upgrade_find_ids(const Upgrade *upgrade, int64 *first, int64 *last)
{
	TableUser	before;
	bool		isnull;

	table_become(table_lock_for_rows(upgrade->traffic), &before);
	table_run(psprintf("SELECT coalesce(min(id), 1)::bigint, coalesce(max(id), 1)::bigint FROM %s",
					   upgrade->from));
	table_become_again(&before);
	*first = DatumGetInt64(upgrade_value(1, &isnull));
	*last = DatumGetInt64(upgrade_value(2, &isnull));
}

/* From here on the triggers see everything, so that copying may begin. */
static void
upgrade_begin(Upgrade *upgrade)
{
	TableUser	before;
	const char *name = table_name_beside(get_rel_name(upgrade->traffic), "upgrade");
	int64		first;
	int64		last;

	upgrade_check_name(upgrade, name);
	table_become(table_lock_for_rows(upgrade->traffic), &before);
	upgrade->target = traffic_create_like(upgrade->traffic, name);
	table_become_again(&before);
	upgrade_create_triggers(upgrade);
	upgrade_find_ids(upgrade, &first, &last);
	table_run(psprintf("UPDATE lastfluss._upgrade SET target = %u, first_id = " INT64_FORMAT
					   ", last_id = " INT64_FORMAT ", copied = " INT64_FORMAT " WHERE traffic = %u",
					   upgrade->target, first, last, first - 1, upgrade->traffic));
}

static void
upgrade_give_up(Upgrade *upgrade)
{
	TableUser	before;

	upgrade_drop_triggers(upgrade);
	if (OidIsValid(upgrade->target))
	{
		table_become(table_lock_for_rows(upgrade->target), &before);
		table_run(psprintf("DROP TABLE %s", upgrade->into));
		table_become_again(&before);
	}
	table_run(psprintf("DELETE FROM lastfluss._upgrade_note WHERE traffic = %u", upgrade->traffic));
	table_run(psprintf("DELETE FROM lastfluss._upgrade WHERE traffic = %u", upgrade->traffic));
}

/*
 * Copying.
 */

/* The id of the last of so many rows; "*count" of them there are. */
static int64
upgrade_find_end(const Upgrade *upgrade, int64 after, int limit, int64 *count)
{
	TableUser	before;
	int64		last;
	bool		isnull;

	table_become(table_lock_for_rows(upgrade->traffic), &before);
	table_run(psprintf("SELECT max(id)::bigint, count(*) FROM"
					   " (SELECT id FROM %s WHERE id > " INT64_FORMAT " ORDER BY id LIMIT %d) r",
					   upgrade->from, after, limit));
	table_become_again(&before);
	last = DatumGetInt64(upgrade_value(1, &isnull));
	if (isnull)
		last = after;
	*count = DatumGetInt64(upgrade_value(2, &isnull));
	return last;
}

static void
upgrade_ensure_partitions(const Upgrade *upgrade, int64 after, int64 last)
{
	SPITupleTable *days;
	uint64		count;
	bool		isnull;

	if (table_kind(upgrade->target) != TABLE_PARTITIONED)
		return;
	table_run(psprintf("SELECT DISTINCT date_bin('1 day', \"time\", '2000-01-01 00:00:00+00') FROM %s"
					   " WHERE id > " INT64_FORMAT " AND id <= " INT64_FORMAT,
					   upgrade->from, after, last));
	days = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
		traffic_ensure_partition(upgrade->target, get_rel_name(upgrade->traffic),
								 DatumGetTimestampTz(SPI_getbinval(days->vals[i], days->tupdesc, 1, &isnull)));
}

/* The rows behind "after" up to "last"; how many these were. */
static uint64
upgrade_copy_range(const Upgrade *upgrade, int64 after, int64 last)
{
	upgrade_ensure_partitions(upgrade, after, last);
	table_run(psprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s"
					   " WHERE id > " INT64_FORMAT " AND id <= " INT64_FORMAT " ORDER BY id",
					   upgrade->into, upgrade->columns, upgrade->columns, upgrade->from, after, last));
	return SPI_processed;
}

static void
upgrade_note_progress(Upgrade *upgrade, int64 copied, int64 rows)
{
	upgrade->copied = copied;
	table_run(psprintf("UPDATE lastfluss._upgrade SET copied = " INT64_FORMAT ", rows = rows + " INT64_FORMAT
					   " WHERE traffic = %u", copied, rows, upgrade->traffic));
}

/* As the owner, whose triggers and defaults may be on the new table. */
static int64
upgrade_copy_as_owner(const Upgrade *upgrade, int64 after, int64 last, bool again)
{
	TableUser	before;
	int64		rows = 0;

	table_become(table_lock_for_rows(upgrade->target), &before);
	if (again)
	{
		table_run(psprintf("DELETE FROM %s WHERE id > " INT64_FORMAT " AND id <= " INT64_FORMAT,
						   upgrade->into, after, last));
		rows = -(int64) SPI_processed;
	}
	rows += (int64) upgrade_copy_range(upgrade, after, last);
	table_become_again(&before);
	return rows;
}

/*
 * The first note of rows that were copied; false where there is none.  Notes of
 * rows that are not copied yet are void.
 */
static bool
upgrade_take_note(const Upgrade *upgrade, int64 *first, int64 *last)
{
	bool		isnull;

	table_run(psprintf("DELETE FROM lastfluss._upgrade_note WHERE traffic = %u AND first_id > " INT64_FORMAT,
					   upgrade->traffic, upgrade->copied));
	table_run(psprintf("DELETE FROM lastfluss._upgrade_note WHERE ctid = (SELECT ctid FROM lastfluss._upgrade_note"
					   " WHERE traffic = %u LIMIT 1) RETURNING first_id, last_id", upgrade->traffic));
	if (SPI_processed == 0)
		return false;
	*first = DatumGetInt64(upgrade_value(1, &isnull));
	*last = Min(DatumGetInt64(upgrade_value(2, &isnull)), upgrade->copied);
	return true;
}

/* A long range is done in pieces: the rest is noted again. */
static void
upgrade_copy_again(Upgrade *upgrade, int64 first, int64 last)
{
	int64		count;
	int64		end = upgrade_find_end(upgrade, first - 1, upgrade_rows, &count);

	/* Where rows were deleted, the last of them is behind all that are left. */
	if (count < upgrade_rows || end >= last)
		end = last;
	else
		table_run(psprintf("INSERT INTO lastfluss._upgrade_note VALUES (%u, " INT64_FORMAT ", " INT64_FORMAT ")",
						   upgrade->traffic, end + 1, last));
	upgrade_note_progress(upgrade, upgrade->copied,
						  upgrade_copy_as_owner(upgrade, first - 1, end, true));
}

static int64
upgrade_milliseconds(instr_time since)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, since);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

/* False when less was left than a step may take. */
static bool
upgrade_copy_next(Upgrade *upgrade)
{
	instr_time	started;
	int64		count;
	int64		last;
	int64		took;

	INSTR_TIME_SET_CURRENT(started);
	last = upgrade_find_end(upgrade, upgrade->copied, upgrade_rows, &count);
	if (count < upgrade_rows)
		return false;
	upgrade_note_progress(upgrade, last, upgrade_copy_as_owner(upgrade, upgrade->copied, last, false));
	took = upgrade_milliseconds(started);
	if (took > UPGRADE_STEP_MS)
		upgrade_rows = Max(upgrade_rows / 2, UPGRADE_MIN_ROWS);
	else if (took < UPGRADE_STEP_MS / 2)
		upgrade_rows = Min(upgrade_rows * 2, UPGRADE_MAX_ROWS);
	return true;
}

/*
 * The new table in the old one's place.
 */

static void
upgrade_copy_grants(const Upgrade *upgrade)
{
	const char *grant = "SELECT format('GRANT %%s%s ON %s TO %%s%%s', a.privilege_type, %s"
		"CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,"
		" CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)";

	upgrade_run_all(psprintf("%s FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = %u AND a.grantee <> c.relowner",
							 psprintf(grant, "", upgrade->into, ""), upgrade->traffic));
	upgrade_run_all(psprintf("%s FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a"
							 " WHERE c.oid = %u AND NOT t.attisdropped AND a.grantee <> c.relowner",
							 psprintf(grant, " (%s)", upgrade->into, "quote_ident(t.attname), "), upgrade->traffic));
}

/* A sequence that serves a default goes along, one of an identity has its own twin. */
static void
upgrade_take_sequences(const Upgrade *upgrade)
{
	upgrade_run_all(psprintf("SELECT format('ALTER SEQUENCE %%s OWNED BY %s.%%I', d.objid::regclass, a.attname)"
							 " FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
							 " JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
							 " WHERE d.classid = 'pg_class'::regclass AND d.refobjid = %u AND d.deptype = 'a'",
							 upgrade->into, upgrade->traffic));
	upgrade_run_all(psprintf("SELECT format('SELECT setval(%%L, (SELECT last_value FROM %%s), (SELECT is_called FROM %%s))',"
							 " pg_get_serial_sequence(%s, a.attname), q.name, q.name)"
							 " FROM pg_attribute a, LATERAL (SELECT pg_get_serial_sequence(%s, a.attname)) q(name)"
							 " WHERE a.attrelid = %u AND a.attidentity <> ''",
							 quote_literal_cstr(upgrade->into), quote_literal_cstr(upgrade->from),
							 upgrade->traffic));
}

static void
upgrade_rename_indexes(const Upgrade *upgrade, const char *from, const char *to)
{
	upgrade_run_all(psprintf("SELECT format('ALTER INDEX %%s RENAME TO %%I', c.oid::regclass,"
							 " %s || substr(c.relname, %d)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
							 " WHERE i.indrelid = %u AND starts_with(c.relname, %s)",
							 quote_literal_cstr(to), (int) strlen(from) + 1, upgrade->target,
							 quote_literal_cstr(from)));
}

static void
upgrade_take_place(Upgrade *upgrade)
{
	const char *name = get_rel_name(upgrade->traffic);
	const char *before_name = get_rel_name(upgrade->target);

	upgrade_copy_grants(upgrade);
	upgrade_take_sequences(upgrade);
	table_run(psprintf("DROP TABLE %s", upgrade->from));
	table_run(psprintf("ALTER TABLE %s RENAME TO %s", upgrade->into, quote_identifier(name)));
	upgrade_rename_indexes(upgrade, before_name, name);
}

/* What is known of the table is known of the new one now. */
static void
upgrade_note_end(const Upgrade *upgrade)
{
	table_run(psprintf("UPDATE lastfluss._rollup SET traffic = %u,"
					   " relation = CASE name WHEN 'raw' THEN %u ELSE relation END WHERE traffic = %u",
					   upgrade->target, upgrade->target, upgrade->traffic));
	table_run(psprintf("UPDATE lastfluss._rollup_dirty SET traffic = %u WHERE traffic = %u",
					   upgrade->target, upgrade->traffic));
	table_run(psprintf("UPDATE lastfluss._upgrade SET finished = now() WHERE traffic = %u", upgrade->traffic));
}

/* What was made since the upgrade began would be dropped with the old table. */
static void
upgrade_check_obstacle(const Upgrade *upgrade)
{
	bool		isnull;
	Datum		obstacle;

	table_run(psprintf("SELECT obstacle FROM lastfluss._upgrade_obstacle(%u::oid::regclass)",
					   upgrade->traffic));
	obstacle = upgrade_value(1, &isnull);
	if (!isnull)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", TextDatumGetCString(obstacle)),
				 errhint("Drop it, and make it again when the upgrade is done; or SELECT lastfluss.upgrade_cancel().")));
}

/*
 * Locks the old table and copies what is left, unless that has become too much
 * for the time in which nobody can read or write.
 */
static bool
upgrade_finish(Upgrade *upgrade)
{
	TableUser	before;
	int64		first;
	int64		last;
	int64		count;

	table_become(table_lock_for_rows(upgrade->traffic), &before);
	table_run(psprintf("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", upgrade->from));
	table_become_again(&before);

	/* A long range is done in pieces, while others can read and write. */
	table_run(psprintf("SELECT FROM lastfluss._upgrade_note WHERE traffic = %u AND first_id <= " INT64_FORMAT
					   " AND least(last_id, " INT64_FORMAT ") - %d > first_id LIMIT 1",
					   upgrade->traffic, upgrade->copied, upgrade->copied, 2 * upgrade_rows));
	if (SPI_processed > 0)
		return false;
	last = upgrade_find_end(upgrade, upgrade->copied, 2 * upgrade_rows, &count);
	upgrade_note_progress(upgrade, last, upgrade_copy_as_owner(upgrade, upgrade->copied, last, false));
	if (count == 2 * upgrade_rows)
		return false;
	while (upgrade_take_note(upgrade, &first, &last))
	{
		/* What we have copied just now is noted, too. */
		upgrade_note_progress(upgrade, upgrade->copied,
							  upgrade_copy_as_owner(upgrade, first - 1, last, true));
	}
	upgrade_drop_triggers(upgrade);
	upgrade_check_obstacle(upgrade);
	table_become(table_lock_for_rows(upgrade->traffic), &before);
	upgrade_take_place(upgrade);
	table_become_again(&before);
	upgrade_note_end(upgrade);
	ereport(lastfluss_elevel(LOG_RANK_INFO),
			(errmsg("lastfluss: all rows of \"%s\" have been moved", get_rel_name(upgrade->target))));
	return true;
}

bool
upgrade_step(Oid traffic)
{
	Upgrade		upgrade;
	int64		first;
	int64		last;

	if (!upgrade_read(traffic, &upgrade))
		return false;
	if (upgrade.cancel)
		upgrade_give_up(&upgrade);
	else if (!OidIsValid(upgrade.target))
		upgrade_begin(&upgrade);
	else if (upgrade_take_note(&upgrade, &first, &last))
		upgrade_copy_again(&upgrade, first, last);
	else if (!upgrade_copy_next(&upgrade))
		(void) upgrade_finish(&upgrade);
	return true;
}
