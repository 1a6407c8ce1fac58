/*
 * live.c
 *	  lastfluss._live(): the rows of intervals that are in memory or in files.
 *
 * What of it is in traffic already is for the view lastfluss.live to leave out,
 * by the snapshot of the query.  So intervals are shown a while longer than they
 * wait: a FREE buffer keeps its sums until it is used again, and a file stays for
 * some seconds.  Buffers come first: an interval that goes from a buffer to a
 * file meanwhile is seen once or twice, and the second time left out.
 *
 * Most buffers are FREE, so that most rows would be made in vain.  By the same
 * snapshot and the same rule we leave out whole intervals before their rows are made.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "lastfluss.h"
#include "row.h"
#include "shared.h"
#include "spool.h"
#include "table.h"

/* The intervals that were in buffers. */
typedef struct LiveSeen
{
	int			count;
	SpoolName  *names;
} LiveSeen;

/* What lastfluss._written says. */
typedef struct LiveNote
{
	int64		run;			/* microseconds since 1970 */
	int			receiver;
	int64		sequence;
} LiveNote;

typedef struct LiveNotes
{
	int			count;
	LiveNote   *notes;
} LiveNotes;

static LiveNote
live_note(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;

	return (LiveNote) {
		.run = lastfluss_unix_time(DatumGetTimestampTz(SPI_getbinval(tuple, desc, 1, &isnull))),
		.receiver = DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull)),
		.sequence = DatumGetInt64(SPI_getbinval(tuple, desc, 3, &isnull))
	};
}

/* By the query's snapshot.  Whoever may call us need not be able to read the table. */
static void
live_read_notes(LiveNotes *notes)
{
	MemoryContext context = CurrentMemoryContext;
	TableUser	before;

	SPI_connect();
	table_become(table_owner(table_find("lastfluss", "_written")), &before);
	if (SPI_execute("SELECT run, receiver, sequence FROM lastfluss._written", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what is written");
	notes->count = (int) SPI_processed;
	notes->notes = MemoryContextAlloc(context, mul_size(notes->count + 1, sizeof(LiveNote)));
	for (int i = 0; i < notes->count; i++)
		notes->notes[i] = live_note(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	table_become_again(&before);
	SPI_finish();
}

/* The rule of the view lastfluss.live. */
static bool
live_is_left_out(const LiveNotes *notes, const IntervalCopy *copy, bool written)
{
	for (int i = 0; i < notes->count; i++)
	{
		const LiveNote *note = &notes->notes[i];

		if (note->run == copy->run && note->receiver == copy->receiver)
			return note->sequence >= (int64) copy->sequence;
	}
	return written;
}

static void
live_put(const IntervalCopy *copy, const AggregateEntry *entry, bool written,
		 FunctionCallInfo fcinfo)
{
	const AggregateKey *key = &entry->key;
	Row			row = {0};

	row_add_time(&row, copy->run);
	row_add(&row, Int32GetDatum(copy->receiver));
	row_add_number(&row, copy->sequence);
	row_add(&row, BoolGetDatum(written));
	row_add_time(&row, copy->start);
	row_add(&row, Float4GetDatum((float4) ((double) entry->sum.bytes * 8 / copy->period)));
	row_add_text(&row, copy->names[key->interface]);
	row_add(&row, BoolGetDatum(key->ingress));
	if (key->others)
	{
		row_add_null(&row);
		row_add_null(&row);
	}
	else
	{
		row_add_number(&row, key->remote_as);
		row_add_number(&row, key->local_as);
	}
	if (key->family != 0)
		row_add(&row, Int16GetDatum(key->family));
	else
		row_add_null(&row);
	row_add_number(&row, entry->sum.bytes);
	row_add_number(&row, entry->sum.packets);
	row_add_number(&row, entry->sum.flows);
	row_put(&row, fcinfo);
}

static void
live_put_all(IntervalCopy *copy, bool written, const LiveNotes *notes, FunctionCallInfo fcinfo)
{
	bool		left_out = live_is_left_out(notes, copy, written);

	if (!left_out)
		copy_read_rows(copy);
	for (uint32 i = 0; i < copy->count && !left_out; i++)
		live_put(copy, &copy->rows[i], written, fcinfo);
	copy_free(copy);
	CHECK_FOR_INTERRUPTS();
}

static bool
live_is_free(int receiver, int buffer)
{
	bool		is_free;

	LWLockAcquire(shared->receiver_locks[receiver], LW_SHARED);
	is_free = shared->receivers[receiver].intervals->all[buffer].state == INTERVAL_FREE;
	LWLockRelease(shared->receiver_locks[receiver]);
	return is_free;
}

static void
live_put_buffers(LiveSeen *seen, const LiveNotes *notes, FunctionCallInfo fcinfo)
{
	for (int receiver = 0; receiver < lastfluss_receivers; receiver++)
	{
		for (int buffer = 0; buffer < lastfluss_buffers; buffer++)
		{
			bool		written = live_is_free(receiver, buffer);
			IntervalCopy copy;

			if (!copy_interval(receiver, buffer, 0, &copy))
				continue;
			seen->names[seen->count++] = (SpoolName) {copy.run, copy.receiver, copy.sequence};
			live_put_all(&copy, written, notes, fcinfo);
		}
	}
}

static bool
live_was_seen(const LiveSeen *seen, const SpoolName *name)
{
	for (int i = 0; i < seen->count; i++)
	{
		const SpoolName *other = &seen->names[i];

		if (other->run == name->run && other->receiver == name->receiver &&
			other->sequence == name->sequence)
			return true;
	}
	return false;
}

static void
live_put_files(const LiveSeen *seen, const LiveNotes *notes, FunctionCallInfo fcinfo)
{
	uint32		count;
	SpoolFile  *files = spool_list(&count);

	for (uint32 i = 0; i < count; i++)
	{
		IntervalCopy copy;

		if (!live_was_seen(seen, &files[i].name) && spool_load(&files[i].name, &copy))
			live_put_all(&copy, false, notes, fcinfo);
	}
}

PG_FUNCTION_INFO_V1(lastfluss_live);
Datum
lastfluss_live(PG_FUNCTION_ARGS)
{
	LiveSeen	seen = {0};
	LiveNotes	notes;

	lastfluss_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	seen.names = palloc(mul_size(lastfluss_receivers * lastfluss_buffers, sizeof(SpoolName)));
	live_read_notes(&notes);
	live_put_buffers(&seen, &notes, fcinfo);
	live_put_files(&seen, &notes, fcinfo);
	return (Datum) 0;
}
