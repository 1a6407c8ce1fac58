/*
 * table.h
 *	  Tables that the collector writes into the user's schemas: found or made,
 *	  locked, and filled column by column.
 */
#ifndef LASTFLUSS_TABLE_H
#define LASTFLUSS_TABLE_H

#include "datatype/timestamp.h"

/* A column that we fill: its name, and the type in which we give it. */
typedef struct TableColumn
{
	const char *name;
	const char *definition;		/* as CREATE TABLE has it */
	const char *comment;
	Oid			type;
	Oid			array_type;
	int16		length;
	bool		by_value;
	char		align;
} TableColumn;

/* How much time a partition or chunk has. */
typedef enum TableWidth
{
	TABLE_DAY,
	TABLE_WEEK,					/* from Monday on */
	TABLE_MONTH,
	TABLE_YEAR
} TableWidth;

/* A table of ours; every one has a column "time" besides. */
typedef struct TableLayout
{
	TableWidth	width;
	const char *comment;
	const char *first;			/* columns before "time", as CREATE TABLE has them */
	const char *constraint;		/* behind the last column */
	const char *distribution;	/* column by whose hash Citus distributes the rows */
	const char *segments;		/* columns by which a columnstore is split, or NULL */
	bool		exact_index;	/* of "time": that finds rows, not pages that may have some */
	const TableColumn *columns;
	int			column_count;
} TableLayout;

/* Rows of one time. */
typedef struct TableRows
{
	const TableLayout *layout;
	TimestampTz time;
	uint32		count;
	Datum	  **values;			/* by column and row */
	bool	  **nulls;
} TableRows;

/* How a table is made. */
typedef enum TableKind
{
	TABLE_PLAIN,				/* or in a way that is none of ours */
	TABLE_PARTITIONED,			/* by ranges of "time" */
	TABLE_HYPERTABLE
} TableKind;

/* A partition or a chunk. */
typedef struct TablePiece
{
	const char *name;			/* qualified and quoted */
	TimestampTz starts;
	TimestampTz ends;
} TablePiece;

/* Acting as somebody else. */
typedef struct TableUser
{
	Oid			userid;
	int			sec_context;
	int			guc_level;
} TableUser;

#define TABLE_FIXED(type, array_type, ctype, by_value, align) \
	type, array_type, sizeof(ctype), by_value, align
#define TABLE_INT8		TABLE_FIXED(INT8OID, INT8ARRAYOID, int64, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)
#define TABLE_INT2		TABLE_FIXED(INT2OID, INT2ARRAYOID, int16, true, TYPALIGN_SHORT)
#define TABLE_FLOAT4	TABLE_FIXED(FLOAT4OID, FLOAT4ARRAYOID, float4, true, TYPALIGN_INT)
#define TABLE_BOOL		TABLE_FIXED(BOOLOID, BOOLARRAYOID, bool, true, TYPALIGN_CHAR)
#define TABLE_TEXT		TEXTOID, TEXTARRAYOID, -1, false, TYPALIGN_INT
#define TABLE_INET		INETOID, INETARRAYOID, -1, false, TYPALIGN_INT

/* The schema (public where there is none) and the name in the setting "table". */
extern void table_split_name(const char *name, const char **schema, const char **relation);

/*
 * The table of that name; InvalidOid where there is none.  Needs a transaction
 * with a snapshot; an error where the schema does not exist.
 */
extern Oid	table_find(const char *schema, const char *relation);

/*
 * The name for a table beside another: "traffic_5m".  What is too long is cut off
 * before the suffix.
 */
extern const char *table_name_beside(const char *relation, const char *suffix);

/* Makes it, with SPI connected, as "owner". */
extern Oid	table_create(const char *schema, const char *relation,
						 const TableLayout *layout, Oid owner);
extern Oid	table_database_owner(void);

/* May that role make tables in the schema? */
extern bool table_may_create(const char *schema, Oid role);

/* Is there such a column, that takes values? */
extern bool table_has_column(Oid table, const char *name);

extern Oid	table_owner(Oid table);

/* An error where it is gone, as one may be that nobody has locked. */
extern const char *table_name(Oid table);

/* The same, with its schema and quoted, as statements have it. */
extern const char *table_sql_name(Oid table);

/* The owner of the table, with a lock on it that keeps it as it is. */
extern Oid	table_lock_for_rows(Oid table);

/*
 * Become the owner of a table, in a security-restricted operation with a fixed
 * search path, as VACUUM and REFRESH MATERIALIZED VIEW do: triggers and defaults
 * that somebody has put on the table must not run with the rights of the worker.
 */
extern void table_become(Oid userid, TableUser *before);
extern void table_become_again(const TableUser *before);

/* Room for rows, none of them null. */
extern void table_rows_init(TableRows *rows, const TableLayout *layout, uint32 count);

/* A column of them as an array. */
extern Datum table_array(const TableRows *rows, int column);

/*
 * Inserts the rows as the table's owner, into those of the columns that the
 * table has, making a partition where one is missing.
 */
extern uint64 table_insert(Oid table, const TableRows *rows);

/* Makes the partitions of the time to come, where the table has such. */
extern void table_prepare_ahead(Oid table, const TableLayout *layout);

/* How it is made, and the piece of it that ends first; false where it has none. */
extern TableKind table_kind(Oid table);
extern bool table_oldest_piece(Oid table, TablePiece *piece);

/* As the table's owner: keeps others from writing into it, and drops it. */
extern void table_lock_piece(Oid table, const TablePiece *piece);
extern void table_drop_piece(Oid table, const TablePiece *piece);

/* Runs a statement by SPI, as the user that is in force. */
extern void table_run(const char *statement);

/* partition.c */
extern void partition_create_table(const char *schema, const char *name,
								   const TableLayout *layout);
extern void partition_create_like(Oid table, const char *name, const TableLayout *layout);
extern bool partition_ensure(Oid table, const TableLayout *layout, TimestampTz time);
extern bool partition_ensure_named(Oid table, const char *name, const TableLayout *layout,
								   TimestampTz time);
extern void partition_ensure_ahead(Oid table, const TableLayout *layout);
extern TableKind partition_kind(Oid table);
extern bool partition_oldest(Oid table, TablePiece *piece);
extern void partition_drop(Oid table, const TablePiece *piece);

#endif							/* LASTFLUSS_TABLE_H */
