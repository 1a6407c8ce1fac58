/*
 * rollup.h
 *	  Sums of traffic by 5 minutes, hour and day, in tables beside it.
 *
 * All of it needs a transaction and SPI connected.
 */
#ifndef LASTFLUSS_ROLLUP_H
#define LASTFLUSS_ROLLUP_H

#include "datatype/timestamp.h"

/* Each is made from one of those before it. */
typedef enum RollupLevel
{
	ROLLUP_RAW,					/* traffic itself */
	ROLLUP_5M,
	ROLLUP_1H,
	ROLLUP_1D,
	/* Beside these, their sums by interface: without ASNs, by the remote, by the local one. */
	ROLLUP_5M_TOTAL,
	ROLLUP_1H_TOTAL,
	ROLLUP_1D_TOTAL,
	ROLLUP_5M_REMOTE,
	ROLLUP_1H_REMOTE,
	ROLLUP_1D_REMOTE,
	ROLLUP_5M_LOCAL,
	ROLLUP_1H_LOCAL,
	ROLLUP_1D_LOCAL,
	/* And of hours by six, for lists of a day; of days by week, and of these by eight, over a year. */
	ROLLUP_6H_REMOTE,
	ROLLUP_6H_LOCAL,
	ROLLUP_1W_REMOTE,
	ROLLUP_1W_LOCAL,
	ROLLUP_8W_REMOTE,
	ROLLUP_8W_LOCAL,
	ROLLUP_COUNT
} RollupLevel;

#define ROLLUP_FIRST	ROLLUP_5M
#define ROLLUP_LAST		ROLLUP_1D
#define ROLLUP_FIRST_SUM	ROLLUP_5M_TOTAL

/* What lastfluss._rollup has of a table; times that are not known are DT_NOBEGIN. */
typedef struct RollupState
{
	Oid			relation;		/* InvalidOid: it has no row */
	TimestampTz complete_from;
	TimestampTz complete_until;
	TimestampTz clean_from;		/* nothing was there from then on */
	TimestampTz kept_from;		/* retention has dropped what was before */
} RollupState;

/* A traffic table and its rollups, at one moment. */
typedef struct Rollups
{
	Oid			traffic;
	int			period;			/* seconds */
	uint32		keep_top;
	uint32		keep_top_share;
	RollupState states[ROLLUP_COUNT];
} Rollups;

typedef enum RollupResult
{
	ROLLUP_UP_TO_DATE,
	ROLLUP_MORE					/* something was done, and more may be left */
} RollupResult;

/* "5m", and "raw" for traffic itself. */
extern const char *rollup_name(RollupLevel level);

/* What the sums beside a level are made from; of all others, the level itself. */
extern RollupLevel rollup_base(RollupLevel level);

/*
 * Notes that rows of that time were written, in the transaction that writes them.
 */
extern void rollup_note(Oid traffic, TimestampTz time);

/* All intervals that began before are in traffic; DT_NOBEGIN where that is not known. */
extern TimestampTz rollup_written_until(void);

/* Reads what is known of them. */
extern void rollup_read(Rollups *rollups);

/* Finds or makes the table, and notes from when on it is to be filled. */
extern void rollup_prepare(Rollups *rollups, RollupLevel level);

/*
 * Does the next few buckets, up to "until", which only counts for the first level.
 */
extern RollupResult rollup_advance(Rollups *rollups, RollupLevel level, TimestampTz until);

/* Brings the indexes of a table up to date that the next level will read. */
extern void rollup_summarize(const Rollups *rollups, RollupLevel level);

/* Does some of those again that rows were written for when they were done. */
extern RollupResult rollup_redo(Rollups *rollups, RollupLevel level);

/*
 * Adds the rows of a partition or chunk to all levels.  It must lie before
 * kept_from, so that all its rows came late, and be dropped in the same transaction.
 */
extern void rollup_add_late(Rollups *rollups, const char *partition,
							TimestampTz starts, TimestampTz ends);

/* Forgets the notes of what is not done: it is done with all its rows some time. */
extern void rollup_forget_undone(const Rollups *rollups, RollupLevel level);

/* Notes that retention has dropped what was before that time. */
extern void rollup_note_dropped(Oid traffic, RollupLevel level, TimestampTz until);

/* A time as a literal. */
extern const char *rollup_time(TimestampTz time);

#endif							/* LASTFLUSS_ROLLUP_H */
