/*
 * prefixes.c
 *	  The rows of lastfluss.prefix as a PrefixTable: for the receivers in dynamic
 *	  shared memory, for a session in its own.
 *
 * A table is never changed.  When the rows have, the writer builds another one
 * in its own memory, copies it into a segment of exactly its size, and publishes
 * the segment's handle and a new generation under shared->lock.  The segment is
 * pinned, so that it needs no process to live; publishing the next one takes the
 * pin away.  A receiver looks at the generation between batches, attaches the
 * new segment and then detaches the old one, whose memory is given back when the
 * last receiver has done so.  Whoever looks up the handle just before the next
 * one is published finds no segment, and a newer generation the next time.
 */
#include "postgres.h"

#include <sys/socket.h>

#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "lastfluss.h"
#include "prefixes.h"
#include "shared.h"

#define PREFIXES_ALIGN		64
#define PREFIXES_MAX		10000000	/* rows; a full table has an eighth of it */
#define PREFIXES_CHUNK		10000	/* rows that are fetched at a time */
#define PREFIXES_RETRY		60000000	/* microseconds */

/*
 * Reading.
 */

typedef struct PrefixesList
{
	uint32		count;
	uint32		room;
	Prefix	   *prefixes;
} PrefixesList;

static void
prefixes_from_cidr(Datum cidr, Prefix *prefix)
{
	const inet *value = DatumGetInetPP(cidr);

	status_flow_address(cidr, &prefix->address);
	prefix->length = (uint8_t) (ip_bits(value) + (ip_family(value) == PGSQL_AF_INET ? 96 : 0));
}

static void
prefixes_add(PrefixesList *list, HeapTuple tuple, TupleDesc description)
{
	Prefix	   *prefix;
	bool		isnull;

	if (list->count == list->room)
	{
		list->room *= 2;
		list->prefixes = repalloc_huge(list->prefixes, list->room * sizeof(Prefix));
	}
	prefix = &list->prefixes[list->count++];
	prefixes_from_cidr(SPI_getbinval(tuple, description, 1, &isnull), prefix);
	prefix->as = (uint32) DatumGetInt64(SPI_getbinval(tuple, description, 2, &isnull));
}

static void
prefixes_read(PrefixesList *list)
{
	SPIPlanPtr	plan = SPI_prepare("SELECT prefix, asn FROM lastfluss.prefix", 0, NULL);
	Portal		portal;

	if (!plan)
		elog(ERROR, "could not read the prefixes: %s", SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	list->count = 0;
	list->room = PREFIXES_CHUNK;
	list->prefixes = palloc(list->room * sizeof(Prefix));
	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, PREFIXES_CHUNK);
		if (list->count + SPI_processed > PREFIXES_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many prefixes"),
					 errdetail("lastfluss.prefix can have %d rows at the most.", PREFIXES_MAX)));
		for (uint64 i = 0; i < SPI_processed; i++)
			prefixes_add(list, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	SPI_freeplan(plan);
}

PrefixTable *
prefixes_build(Size *size)
{
	PrefixesList list;
	PrefixTable *table = NULL;
	char	   *memory;

	prefixes_read(&list);
	if (list.count > 0)
	{
		memory = MemoryContextAllocHuge(CurrentMemoryContext,
										prefix_size(list.count) + PREFIXES_ALIGN);
		table = prefix_build((void *) TYPEALIGN(PREFIXES_ALIGN, memory), list.prefixes,
							 list.count, size);
	}
	pfree(list.prefixes);
	return table;
}

/*
 * Publishing.
 */

static dsm_handle
prefixes_share(const PrefixTable *table, Size size)
{
	dsm_segment *segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	dsm_handle	handle;

	if (segment == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("too many dynamic shared memory segments")));
	memcpy(dsm_segment_address(segment), table, size);
	handle = dsm_segment_handle(segment);
	dsm_pin_segment(segment);
	dsm_detach(segment);
	return handle;
}

static void
prefixes_set_segment(dsm_handle handle)
{
	dsm_handle	old;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	old = shared->prefix_segment;
	shared->prefix_segment = handle;
	if (old != handle)
		pg_atomic_write_u64(&shared->prefix_generation,
							pg_atomic_read_u64(&shared->prefix_generation) + 1);
	LWLockRelease(shared->lock);
	if (old == handle)
		return;
	shared_wake_receivers();
	if (old != DSM_HANDLE_INVALID)
		dsm_unpin_segment(old);
}

void
prefixes_publish(void)
{
	TimestampTz started = GetCurrentTimestamp();
	Size		size = 0;
	PrefixTable *table = prefixes_build(&size);

	if (table == NULL)
	{
		prefixes_withdraw();
		return;
	}
	prefixes_set_segment(prefixes_share(table, size));
	ereport(lastfluss_elevel(LOG_RANK_INFO),
			(errmsg("lastfluss: loaded the prefixes: %u in %.3f ms, %zu kB",
					prefix_count(table), (GetCurrentTimestamp() - started) / 1000.0, size / 1024)));
}

void
prefixes_withdraw(void)
{
	prefixes_set_segment(DSM_HANDLE_INVALID);
}

/*
 * Following.
 */

/*
 * The segment, or NULL, with the reason in the log where it is one to be told.
 * An error must not end the receiver: without a transaction, nobody but us
 * clears up after it.
 */
static dsm_segment *
prefixes_attach(dsm_handle handle)
{
	ResourceOwner owner = CurrentResourceOwner;
	dsm_segment *volatile segment = NULL;

	CurrentResourceOwner = NULL;	/* attached for as long as the process lives */
	PG_TRY();
	{
		segment = dsm_attach(handle);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(TopMemoryContext);
		error = CopyErrorData();
		FlushErrorState();
		segment = dsm_find_mapping(handle);
		if (segment)
			dsm_detach(segment);
		segment = NULL;
		ereport(lastfluss_elevel(LOG_RANK_ERROR),
				(errcode(error->sqlerrcode),
				 errmsg("lastfluss: could not attach the prefixes: %s", error->message),
				 errdetail("Those of before stay in force.")));
		FreeErrorData(error);
	}
	PG_END_TRY();
	CurrentResourceOwner = owner;
	return segment;
}

void
prefixes_follow(PrefixesMapping *mapping, const PrefixTable **table, int64 now)
{
	dsm_segment *old = mapping->segment;
	dsm_segment *segment = NULL;
	dsm_handle	handle;
	uint64		generation;

	if (pg_atomic_read_u64(&shared->prefix_generation) == mapping->generation ||
		now < mapping->retry_at)
		return;
	LWLockAcquire(shared->lock, LW_SHARED);
	handle = shared->prefix_segment;
	generation = pg_atomic_read_u64(&shared->prefix_generation);
	LWLockRelease(shared->lock);

	mapping->retry_at = 0;
	if (handle != DSM_HANDLE_INVALID)
	{
		segment = prefixes_attach(handle);
		if (segment == NULL)
		{
			if (pg_atomic_read_u64(&shared->prefix_generation) == generation)
				mapping->retry_at = now + PREFIXES_RETRY;
			return;
		}
	}
	*table = segment ? dsm_segment_address(segment) : NULL;
	mapping->segment = segment;
	mapping->generation = generation;
	if (old)
		dsm_detach(old);
}

/*
 * Telling the writer, at COMMIT.
 */

static bool prefixes_change_pending = false;

static void
prefixes_at_commit(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && prefixes_change_pending)
	{
		pg_atomic_write_u32(&shared->prefixes_changed, 1);
		shared_wake_writer();
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		prefixes_change_pending = false;
}

/*
 * lastfluss._prefixes_changed(): trigger on lastfluss.prefix.
 */
PG_FUNCTION_INFO_V1(lastfluss_prefixes_changed);
Datum
lastfluss_prefixes_changed(PG_FUNCTION_ARGS)
{
	static bool registered = false;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a trigger", "lastfluss._prefixes_changed")));
	if (shared != NULL)
	{
		if (!registered)
			RegisterXactCallback(prefixes_at_commit, NULL);
		registered = true;
		prefixes_change_pending = true;
	}
	return PointerGetDatum(NULL);
}
