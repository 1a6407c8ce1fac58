/*
 * status.c
 *	  What the collector is doing, from shared memory, for the status views.
 *
 * Entries are copied under the receiver's lock into memory allocated before,
 * and made into rows after.
 */
#include "postgres.h"

#include <arpa/inet.h>

#include "commands/dbcommands.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "lastfluss.h"
#include "row.h"
#include "shared.h"

static const uint8_t status_mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool
status_is_ipv4(const FlowAddress *address)
{
	return memcmp(address->octets, status_mapped_prefix, sizeof(status_mapped_prefix)) == 0;
}

/* An address as inet. */
Datum
status_inet(const FlowAddress *address)
{
	inet	   *value = palloc0(sizeof(inet));

	if (status_is_ipv4(address))
	{
		ip_family(value) = PGSQL_AF_INET;
		ip_bits(value) = 32;
		memcpy(ip_addr(value), address->octets + 12, 4);
	}
	else
	{
		ip_family(value) = PGSQL_AF_INET6;
		ip_bits(value) = 128;
		memcpy(ip_addr(value), address->octets, 16);
	}
	SET_INET_VARSIZE(value);
	return InetPGetDatum(value);
}

/* The address of an inet; its netmask is left out. */
void
status_flow_address(Datum inet_value, FlowAddress *address)
{
	inet	   *value = DatumGetInetPP(inet_value);

	if (ip_family(value) == PGSQL_AF_INET)
	{
		memcpy(address->octets, status_mapped_prefix, sizeof(status_mapped_prefix));
		memcpy(address->octets + 12, ip_addr(value), 4);
	}
	else
		memcpy(address->octets, ip_addr(value), 16);
}

/* NULL where the datagram was of no format that we know. */
const char *
status_protocol_name(uint8_t protocol)
{
	switch (protocol)
	{
		case FLOW_NETFLOW_V1:
			return "NetFlow v1";
		case FLOW_NETFLOW_V5:
			return "NetFlow v5";
		case FLOW_NETFLOW_V7:
			return "NetFlow v7";
		case FLOW_NETFLOW_V8:
			return "NetFlow v8";
		case FLOW_NETFLOW_V9:
			return "NetFlow v9";
		case FLOW_IPFIX:
			return "IPFIX";
		case FLOW_SFLOW_V5:
			return "sFlow v5";
		default:
			return NULL;
	}
}

const char *
status_sampling_origin(uint8_t origin)
{
	switch (origin)
	{
		case FLOW_SAMPLING_RECORD:
			return "record";
		case FLOW_SAMPLING_SAMPLER:
			return "sampler";
		case FLOW_SAMPLING_EXPORTER:
			return "exporter";
		case FLOW_SAMPLING_HEADER:
			return "header";
		default:
			return "unknown";
	}
}

/* A counter that may not fit into bigint. */
Datum
status_numeric(uint64 value)
{
	if (value <= PG_INT64_MAX)
		return NumericGetDatum(int64_to_numeric((int64) value));
	return DirectFunctionCall3(numeric_in, CStringGetDatum(psprintf(UINT64_FORMAT, value)),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/*
 * lastfluss._status(): one row.
 */

typedef struct StatusTotals
{
	uint64		datagrams;
	uint64		records;
	uint64		unmatched;
	uint64		lost;
	uint64		kernel_drops;
	uint64		waiting;
	uint64		stretched;
	uint64		folded;
	uint64		unknown_sampling;
	uint64		other_direction;
	uint64		counters_dropped;
	uint64		templates_evicted;
	uint64		late_bytes;
	uint64		future_bytes;
	int			running;
	int			open_listeners;
	int			failed_listeners;
} StatusTotals;

static void
status_sum_buffers(const Intervals *intervals, StatusTotals *totals)
{
	totals->folded += intervals->folded;
	for (uint32 i = 0; i < intervals->count; i++)
	{
		IntervalState state = intervals->all[i].state;

		totals->waiting += state == INTERVAL_READY || state == INTERVAL_WRITING;
		totals->folded += aggregate_folded(intervals->all[i].sums);
	}
}

static void
status_sum_receiver(int number, StatusTotals *totals)
{
	const ReceiverShared *receiver = &shared->receivers[number];
	uint32		position = 0;
	const Exporter *exporter;

	LWLockAcquire(shared->receiver_locks[number], LW_SHARED);
	totals->running += receiver->pid != 0;
	totals->datagrams += receiver->decoder->datagrams;
	totals->records += receiver->decoder->records;
	totals->unmatched += receiver->account.unmatched;
	totals->unknown_sampling += receiver->account.unknown_sampling;
	totals->other_direction += receiver->account.other_direction;
	totals->late_bytes += receiver->account.late_bytes;
	totals->future_bytes += receiver->account.future_bytes;
	totals->counters_dropped += receiver->counters_dropped;
	totals->templates_evicted += receiver->decoder->templates->pushed_out +
		lru_evictions(receiver->decoder->templates->all);
	totals->kernel_drops += receiver->kernel_drops;
	totals->stretched += receiver->stretched;
	while ((exporter = lru_next(receiver->decoder->exporters, &position)) != NULL)
		totals->lost += exporter->lost;
	for (uint32 i = 0; i < receiver->listener_count; i++)
	{
		totals->open_listeners += receiver->listeners[i].state == LISTENER_OPEN;
		totals->failed_listeners += receiver->listeners[i].state == LISTENER_FAILED;
	}
	status_sum_buffers(receiver->intervals, totals);
	LWLockRelease(shared->receiver_locks[number]);
}

static char *
status_listener_text(const ListenerStatus *listener)
{
	char		address[INET6_ADDRSTRLEN];
	StringInfoData text;

	if (listener->config.ipv4)
		inet_ntop(AF_INET, listener->config.address.octets + 12, address, sizeof(address));
	else
		inet_ntop(AF_INET6, listener->config.address.octets, address, sizeof(address));
	initStringInfo(&text);
	appendStringInfo(&text, listener->config.ipv4 ? "%s:%u" : "[%s]:%u",
					 address, listener->config.port);
	if (listener->state == LISTENER_FAILED)
		appendStringInfo(&text, " (could not listen: %s)",
						 listener->error ? strerror(listener->error) : "not tried yet");
	return text.data;
}

/* What the first receiver listens to: all of them listen to the same. */
static Datum
status_listeners(void)
{
	ListenerStatus *listeners = palloc(SHARED_MAX_LISTENERS * sizeof(ListenerStatus));
	Datum		values[SHARED_MAX_LISTENERS];
	uint32		count;

	LWLockAcquire(shared->receiver_locks[0], LW_SHARED);
	count = shared->receivers[0].listener_count;
	memcpy(listeners, shared->receivers[0].listeners, count * sizeof(ListenerStatus));
	LWLockRelease(shared->receiver_locks[0]);
	for (uint32 i = 0; i < count; i++)
		values[i] = CStringGetTextDatum(status_listener_text(&listeners[i]));
	return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

static const char *
status_state(const Shared *head, const StatusTotals *totals)
{
	char	   *database = get_database_name(MyDatabaseId);

	if (database && strcmp(database, lastfluss_database) != 0)
		return "other database";
	if (!head->collecting || totals->running < lastfluss_receivers)
		return "starting";
	if (head->error[0] != '\0')
		return "cannot write";
	if (totals->failed_listeners > 0)
		return "cannot listen";
	if (totals->open_listeners == 0)
		return "no listener";
	return "collecting";
}

/* What happens when intervals cannot be written, and what will; NULL: nothing. */
static const char *
status_spool(const Shared *head, int64 limit)
{
	if (head->spool_full)
		return psprintf("full with %u intervals in %.1f MB: what comes now is counted in the newest interval, so nothing is lost but its time",
						head->spool_files, head->spool_octets / 1048576.0);
	if (head->spool_files == 0)
		return NULL;
	return psprintf("%u intervals wait in %.1f of %.0f MB; when these are full, what comes is counted in the newest interval, so that nothing is lost but its time",
					head->spool_files, head->spool_octets / 1048576.0, limit / 1048576.0);
}

PG_FUNCTION_INFO_V1(lastfluss_status);
Datum
lastfluss_status(PG_FUNCTION_ARGS)
{
	Shared	   *head;
	StatusTotals totals = {0};
	Row			row = {0};
	int64		spool_limit;

	InitMaterializedSRF(fcinfo, 0);
	if (shared == NULL)
	{
		row_add_text(&row, "not preloaded");
		while (row.count < ((ReturnSetInfo *) fcinfo->resultinfo)->setDesc->natts)
			row_add_null(&row);
		row_put(&row, fcinfo);
		return (Datum) 0;
	}

	head = palloc(offsetof(Shared, config));
	LWLockAcquire(shared->lock, LW_SHARED);
	memcpy(head, shared, offsetof(Shared, config));
	spool_limit = shared->config.spool_limit;
	LWLockRelease(shared->lock);
	for (int i = 0; i < lastfluss_receivers; i++)
		status_sum_receiver(i, &totals);

	row_add_text(&row, status_state(head, &totals));
	row_add(&row, TimestampTzGetDatum(head->since));
	row_add(&row, status_listeners());
	row_add(&row, Int32GetDatum(totals.running));
	row_add_number(&row, totals.datagrams);
	row_add_number(&row, totals.records);
	row_add_number(&row, totals.unmatched);
	row_add_number(&row, totals.unknown_sampling);
	row_add_number(&row, totals.other_direction);
	row_add_number(&row, totals.lost);
	row_add_number(&row, totals.kernel_drops);
	row_add_number(&row, totals.folded);
	row_add_number(&row, totals.late_bytes);
	row_add_number(&row, totals.future_bytes);
	row_add_number(&row, totals.stretched);
	row_add_number(&row, totals.counters_dropped);
	row_add_number(&row, totals.templates_evicted);
	row_add(&row, Int32GetDatum((int32) (totals.waiting + head->spool_files)));
	row_add(&row, Int32GetDatum((int32) head->spool_files));
	row_add_number(&row, head->spool_octets);
	row_add_number(&row, spool_limit);
	row_add_text(&row, status_spool(head, spool_limit));
	if (head->intervals_written > 0)
		row_add(&row, TimestampTzGetDatum(head->last_interval));
	else
		row_add_null(&row);
	row_add_number(&row, head->intervals_written);
	row_add_number(&row, head->rows_written);
	row_add(&row, Float8GetDatum(head->write_microseconds / 1000.0));
	row_add_number(&row, shared_size());
	row_add_text(&row, head->error[0] ? head->error : NULL);
	if (head->error[0])
		row_add(&row, TimestampTzGetDatum(head->error_time));
	else
		row_add_null(&row);
	row_put(&row, fcinfo);
	return (Datum) 0;
}

/*
 * Tables of what was learned.
 */

/* Copies the entries of a receiver's table; "*count" becomes their number. */
static char *
status_copy(int number, const Lru *table, Size entry_size, uint32 *count)
{
	uint32		room = lru_capacity(table) + 1; /* a table may hold one more */
	char	   *copy = MemoryContextAllocHuge(CurrentMemoryContext,
											  mul_size(room, entry_size));
	uint32		position = 0;
	const void *entry;

	*count = 0;
	LWLockAcquire(shared->receiver_locks[number], LW_SHARED);
	while (*count < room && (entry = lru_next(table, &position)) != NULL)
		memcpy(copy + (*count)++ * entry_size, entry, entry_size);
	LWLockRelease(shared->receiver_locks[number]);
	return copy;
}

/* The errors that happened, by cause, as a JSON object. */
static Datum
status_errors(const Exporter *exporter)
{
	StringInfoData json;

	initStringInfo(&json);
	for (int i = 0; i < DECODE_ERRORS; i++)
	{
		if (exporter->errors[i] > 0)
			appendStringInfo(&json, "%s\"%s\": " UINT64_FORMAT, json.len ? ", " : "{",
							 decode_error_name(i), exporter->errors[i]);
	}
	appendStringInfoString(&json, json.len ? "}" : "{}");
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

static Datum
status_interval(int64 microseconds)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = microseconds;
	return IntervalPGetDatum(interval);
}

static void
status_put_exporter(const Exporter *exporter, FunctionCallInfo fcinfo)
{
	Row			row = {0};

	row_add(&row, status_inet(&exporter->address));
	row_add_number(&row, exporter->domain);
	row_add_text(&row, status_protocol_name(exporter->protocol));
	row_add(&row, Int32GetDatum(exporter->port));
	row_add(&row, BoolGetDatum(exporter->known));
	row_add_number(&row, exporter->datagrams);
	row_add_number(&row, exporter->records);
	row_add_number(&row, exporter->no_octets);
	row_add_number(&row, exporter->unmatched);
	row_add_number(&row, exporter->unknown_sampling);
	row_add_number(&row, exporter->late_bytes);
	row_add_number(&row, exporter->future_bytes);
	row_add_number(&row, exporter->options);
	row_add_number(&row, exporter->lost);
	row_add_number(&row, exporter->waiting_sets);
	row_add_number(&row, exporter->late_sets);
	row_add_number(&row, exporter->templates_pushed_out);
	row_add_number(&row, exporter->discarded);
	row_add_number(&row, exporter->multiple);
	if (exporter->sampling != 0)
		row_add_number(&row, exporter->sampling);
	else
		row_add_null(&row);
	row_add_text(&row, status_sampling_origin(exporter->sampling_origin));
	if (exporter->protocol != 0)
		row_add(&row, status_interval(exporter->skew));
	else
		row_add_null(&row);
	row_add_time(&row, exporter->first_seen);
	row_add_time(&row, exporter->last_seen);
	row_add(&row, status_errors(exporter));
	row_put(&row, fcinfo);
}

PG_FUNCTION_INFO_V1(lastfluss_exporters);
Datum
lastfluss_exporters(PG_FUNCTION_ARGS)
{
	lastfluss_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lastfluss_receivers; i++)
	{
		uint32		count;
		const Exporter *exporters = (Exporter *) status_copy(i, shared->receivers[i].decoder->exporters,
															 sizeof(Exporter), &count);

		for (uint32 j = 0; j < count; j++)
			status_put_exporter(&exporters[j], fcinfo);
	}
	return (Datum) 0;
}

static void
status_put_template(const Template *template, FunctionCallInfo fcinfo)
{
	Row			row = {0};

	row_add(&row, status_inet(&template->address));
	row_add(&row, Int32GetDatum(template->port));
	row_add_number(&row, template->domain);
	row_add(&row, Int32GetDatum(template->id));
	row_add_text(&row, status_protocol_name(template->protocol));
	row_add_text(&row, template->options ? "options" : "data");
	row_add(&row, Int32GetDatum(template->field_count));
	row_add_number(&row, template->record_length);
	row_add(&row, BoolGetDatum(template->has_variable));
	row_add_number(&row, template->records);
	row_add_time(&row, template->first_seen);
	row_add_time(&row, template->last_seen);
	row_put(&row, fcinfo);
}

PG_FUNCTION_INFO_V1(lastfluss_templates);
Datum
lastfluss_templates(PG_FUNCTION_ARGS)
{
	lastfluss_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lastfluss_receivers; i++)
	{
		uint32		count;
		const Template *templates = (Template *) status_copy(i, shared->receivers[i].decoder->templates->all,
															 sizeof(Template), &count);

		for (uint32 j = 0; j < count; j++)
			status_put_template(&templates[j], fcinfo);
	}
	return (Datum) 0;
}

/* Text from the network (UTF-8) in the database's encoding. */
static const char *
status_text(const char *text)
{
	return pg_any_to_server(text, strlen(text), PG_UTF8);
}

/*
 * lastfluss._waiting(): a row for each data set that waits for its template.
 */

typedef struct StatusWaiting
{
	uint32		count;
	uint32		room;
	PendingSet *sets;
} StatusWaiting;

static void
status_take_waiting(void *context, const PendingSet *set)
{
	StatusWaiting *waiting = context;

	if (waiting->count < waiting->room)
		waiting->sets[waiting->count++] = *set;
}

/* Some may come between the look at their number and the copy: these are left out. */
static void
status_copy_waiting(int number, StatusWaiting *waiting)
{
	const Pending *pending = shared->receivers[number].decoder->pending;

	waiting->room = pending_count(pending);
	waiting->sets = palloc((waiting->room + 1) * sizeof(PendingSet));
	waiting->count = 0;
	LWLockAcquire(shared->receiver_locks[number], LW_SHARED);
	pending_each(pending, status_take_waiting, waiting);
	LWLockRelease(shared->receiver_locks[number]);
}

static void
status_put_waiting(const PendingSet *set, FunctionCallInfo fcinfo)
{
	Row			row = {0};

	row_add(&row, status_inet(&set->key.address));
	row_add(&row, Int32GetDatum(set->key.port));
	row_add_number(&row, set->key.domain);
	row_add(&row, Int32GetDatum(set->key.id));
	row_add_text(&row, status_protocol_name(set->key.protocol));
	row_add(&row, Int32GetDatum((int32) set->length));
	row_add_time(&row, set->received);
	row_put(&row, fcinfo);
}

PG_FUNCTION_INFO_V1(lastfluss_waiting);
Datum
lastfluss_waiting(PG_FUNCTION_ARGS)
{
	lastfluss_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lastfluss_receivers; i++)
	{
		StatusWaiting waiting;

		status_copy_waiting(i, &waiting);
		for (uint32 j = 0; j < waiting.count; j++)
			status_put_waiting(&waiting.sets[j], fcinfo);
	}
	return (Datum) 0;
}

static void
status_put_seen(const SeenInterface *seen, FunctionCallInfo fcinfo)
{
	Row			row = {0};

	row_add(&row, status_inet(&seen->host));
	row_add_number(&row, seen->id);
	row_add_number(&row, seen->in_bytes);
	row_add_number(&row, seen->out_bytes);
	row_add_number(&row, seen->in_records);
	row_add_number(&row, seen->out_records);
	for (int ingress = 1; ingress >= 0; ingress--)
	{
		row_add_number(&row, seen->observed[ingress][0]);
		row_add_number(&row, seen->observed[ingress][1]);
	}
	if (seen->speed != 0)
		row_add_number(&row, Min(seen->speed, (uint64) PG_INT64_MAX));
	else
		row_add_null(&row);
	row_add_text(&row, seen->name[0] ? status_text(seen->name) : NULL);
	row_add_text(&row, seen->description[0] ? status_text(seen->description) : NULL);
	row_add_time(&row, seen->first_seen);
	row_add_time(&row, seen->last_seen);
	row_put(&row, fcinfo);
}

PG_FUNCTION_INFO_V1(lastfluss_seen_interfaces);
Datum
lastfluss_seen_interfaces(PG_FUNCTION_ARGS)
{
	lastfluss_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lastfluss_receivers; i++)
	{
		uint32		count;
		const SeenInterface *seen = (SeenInterface *) status_copy(i, shared->receivers[i].seen,
																  sizeof(SeenInterface), &count);

		for (uint32 j = 0; j < count; j++)
			status_put_seen(&seen[j], fcinfo);
	}
	return (Datum) 0;
}
