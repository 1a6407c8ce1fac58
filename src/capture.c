/*
 * capture.c
 *	  Captured datagrams in SQL: read_pcap(), read_datagrams(), replay().
 *
 * They run the receiver's decoder with fresh state in the session's own memory,
 * and need no collector.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "lastfluss.h"
#include "pcap.h"
#include "prefixes.h"
#include "rollup.h"
#include "shared.h"
#include "top.h"
#include "traffic.h"

#define CAPTURE_ALIGN		64

static void *
capture_allocate(Size size)
{
	char	   *memory = MemoryContextAllocHuge(CurrentMemoryContext, size + CAPTURE_ALIGN);

	return (void *) TYPEALIGN(CAPTURE_ALIGN, memory);
}

static Decoder *
capture_decoder(void)
{
	return decoder_init(capture_allocate(decoder_size(SHARED_DECODER)), SHARED_DECODER);
}

/*
 * Capture files.
 */

static void
capture_open(PcapReader *reader, bytea *file)
{
	PcapResult	result = pcap_open(reader, (uint8_t *) VARDATA_ANY(file), VARSIZE_ANY_EXHDR(file));

	switch (result)
	{
		case PCAP_OK:
			return;
		case PCAP_IS_PCAPNG:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("capture file is in pcapng format, which is not supported"),
					 errhint("Convert it with \"editcap -F pcap in.pcapng out.pcap\".")));
			break;
		case PCAP_UNKNOWN_LINK:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("capture file has link type %u, which is not supported", reader->link_type),
					 errhint("Supported are Ethernet, Linux cooked, raw IP and loopback captures.")));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("value is no capture file"),
					 errdetail("It does not start with a pcap header."),
					 errhint("Give the content of a file that tcpdump -w has written; raw datagrams are for lastfluss.read_datagrams().")));
	}
}

/* The next datagram; false at the end, with a notice where the file is cut. */
static bool
capture_next(PcapReader *reader, PcapDatagram *datagram)
{
	PcapResult	result = pcap_next(reader, datagram);

	CHECK_FOR_INTERRUPTS();
	if (result == PCAP_TRUNCATED)
		ereport(NOTICE,
				(errmsg("capture file is truncated"),
				 errdetail("It ends within packet " UINT64_FORMAT "; what comes before was read.",
						   reader->packets + 1)));
	return result == PCAP_OK;
}

static void
capture_to_datagram(const PcapDatagram *captured, Datagram *datagram)
{
	datagram->data = captured->data;
	datagram->length = captured->length;
	datagram->source = captured->source;
	datagram->port = captured->source_port;
	datagram->known = true;
	datagram->received = captured->time;
}

/*
 * Records as rows.
 */

#define CAPTURE_COLUMNS		19

typedef struct CaptureRows
{
	ReturnSetInfo *result;
	const Datagram *datagram;
	bool		has_time;		/* when the datagram came is known */
} CaptureRows;

typedef struct CaptureRow
{
	int			count;
	Datum		values[CAPTURE_COLUMNS];
	bool		nulls[CAPTURE_COLUMNS];
} CaptureRow;

static void
capture_put(CaptureRow *row, bool present, Datum value)
{
	row->values[row->count] = present ? value : (Datum) 0;
	row->nulls[row->count++] = !present;
}

static void
capture_put_number(CaptureRow *row, const Flow *flow, FlowField field, uint64 value)
{
	capture_put(row, FLOW_HAS(flow, field), Int64GetDatum((int64) value));
}

static void
capture_put_address(CaptureRow *row, const Flow *flow, FlowField field, const FlowAddress *address)
{
	bool		present = FLOW_HAS(flow, field);

	capture_put(row, present, present ? status_inet(address) : (Datum) 0);
}

/* A clock of the exporter's may be anywhere; what no timestamp can hold is absent. */
static void
capture_put_time(CaptureRow *row, bool present, int64 unix_time)
{
	TimestampTz time = lastfluss_timestamp(unix_time);

	capture_put(row, present && IS_VALID_TIMESTAMP(time), TimestampTzGetDatum(time));
}

/* The order of the columns is that of lastfluss.read_pcap(). */
static void
capture_take_flow(CaptureRows *rows, const Flow *flow)
{
	CaptureRow	row = {0};

	capture_put_time(&row, rows->has_time, flow->received);
	capture_put(&row, true, status_inet(&rows->datagram->source));
	capture_put(&row, true, CStringGetTextDatum(status_protocol_name(flow->protocol)));
	capture_put(&row, true, Int64GetDatum((int64) flow->domain));
	capture_put_number(&row, flow, FLOW_IN_IF, flow->in_if);
	capture_put_number(&row, flow, FLOW_OUT_IF, flow->out_if);
	capture_put_number(&row, flow, FLOW_SRC_AS, flow->src_as);
	capture_put_number(&row, flow, FLOW_DST_AS, flow->dst_as);
	capture_put_address(&row, flow, FLOW_SRC_ADDR, &flow->src_addr);
	capture_put_address(&row, flow, FLOW_DST_ADDR, &flow->dst_addr);
	capture_put(&row, flow->family != 0, Int16GetDatum(flow->family));
	capture_put_number(&row, flow, FLOW_BYTES, flow->bytes);
	capture_put_number(&row, flow, FLOW_PACKETS, flow->packets);
	capture_put_number(&row, flow, FLOW_SAMPLING, flow->sampling);
	capture_put(&row, true, CStringGetTextDatum(status_sampling_origin(flow->sampling_origin)));
	capture_put_time(&row, FLOW_HAS(flow, FLOW_FIRST), flow->first);
	capture_put_time(&row, FLOW_HAS(flow, FLOW_LAST), flow->last);
	capture_put(&row, FLOW_HAS(flow, FLOW_DIRECTION),
				CStringGetTextDatum(flow->direction == 0 ? "ingress" : "egress"));
	capture_put(&row, true, BoolGetDatum(flow->reverse));
	tuplestore_putvalues(rows->result->setResult, rows->result->setDesc, row.values, row.nulls);
}

static void
capture_take_flows(void *context, const Flow *flows, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		capture_take_flow(context, &flows[i]);
}

/*
 * lastfluss.read_pcap(bytea)
 */
PG_FUNCTION_INFO_V1(lastfluss_read_pcap);
Datum
lastfluss_read_pcap(PG_FUNCTION_ARGS)
{
	PcapReader	reader;
	PcapDatagram captured;
	Datagram	datagram;
	Decoder    *decoder = capture_decoder();
	CaptureRows rows = {.datagram = &datagram,.has_time = true};
	FlowSinks	sinks = {.context = &rows,.flows = capture_take_flows};

	capture_open(&reader, PG_GETARG_BYTEA_PP(0));
	InitMaterializedSRF(fcinfo, 0);
	rows.result = (ReturnSetInfo *) fcinfo->resultinfo;
	while (capture_next(&reader, &captured))
	{
		capture_to_datagram(&captured, &datagram);
		(void) decode_datagram(decoder, &datagram, false, &sinks);
	}
	return (Datum) 0;
}

/* One value, which may hold several messages one after the other. */
static void
capture_read_messages(Decoder *decoder, bytea *value, CaptureRows *rows, Datagram *datagram)
{
	FlowSinks	sinks = {.context = rows,.flows = capture_take_flows};
	size_t		taken;

	datagram->data = (uint8_t *) VARDATA_ANY(value);
	datagram->length = VARSIZE_ANY_EXHDR(value);
	do
	{
		CHECK_FOR_INTERRUPTS();
		taken = decode_datagram(decoder, datagram, true, &sinks);
		datagram->data += taken;
		datagram->length -= taken;
	} while (taken > 0 && datagram->length > 0);
}

/*
 * lastfluss.read_datagrams(bytea[], inet)
 */
PG_FUNCTION_INFO_V1(lastfluss_read_datagrams);
Datum
lastfluss_read_datagrams(PG_FUNCTION_ARGS)
{
	ArrayType  *values = PG_GETARG_ARRAYTYPE_P(0);
	Decoder    *decoder = capture_decoder();
	Datagram	datagram = {.known = true,.received = lastfluss_unix_time(GetCurrentTimestamp())};
	CaptureRows rows = {.datagram = &datagram,.has_time = false};
	Datum	   *messages;
	bool	   *nulls;
	int			count;

	status_flow_address(PG_GETARG_DATUM(1), &datagram.source);
	InitMaterializedSRF(fcinfo, 0);
	rows.result = (ReturnSetInfo *) fcinfo->resultinfo;
	deconstruct_array(values, BYTEAOID, -1, false, TYPALIGN_INT, &messages, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			capture_read_messages(decoder, DatumGetByteaPP(messages[i]), &rows, &datagram);
	}
	return (Datum) 0;
}

/*
 * lastfluss.replay(bytea): into traffic, as if it had arrived at the times that
 * the capture holds.  Intervals are written as they are closed; a capture whose
 * times go back opens an interval again, and its sums are right all the same.
 */

typedef struct Replay
{
	Oid			table;
	uint32		keep_top;
	uint32		keep_top_share;
	char	  **names;
	uint32		name_count;
	Account		account;
	Intervals  *intervals;
	uint64		datagrams;
	uint64		rows;
	MemoryContext context;		/* reset after each interval */
} Replay;

static void
replay_write(Replay *replay, FlowInterval *interval)
{
	MemoryContext old = MemoryContextSwitchTo(replay->context);
	IntervalCopy copy = {
		.start = interval->start,
		.period = interval->period,
		.path_count = aggregate_count(interval->sums),
		.paths = aggregate_rows(interval->sums),
		.name_count = replay->name_count,
		.names = replay->names
	};

	copy_read_rows(&copy);
	copy.count = top_keep(copy.rows, copy.count, replay->keep_top, replay->keep_top_share);
	replay->rows += traffic_write(replay->table, &copy);
	if (copy.count > 0)
		rollup_note(replay->table, traffic_sane_time(copy.start, copy.period));
	interval->state = INTERVAL_FREE;
	MemoryContextSwitchTo(old);
	MemoryContextReset(replay->context);
}

static void
replay_write_finished(Replay *replay)
{
	for (uint32 i = 0; i < replay->intervals->count; i++)
	{
		if (replay->intervals->all[i].state == INTERVAL_READY)
			replay_write(replay, &replay->intervals->all[i]);
	}
}

static void
replay_take_flows(void *context, const Flow *flows, uint32_t count)
{
	Replay	   *replay = context;

	account_flows(&replay->account, replay->intervals, flows, count);
}

/*
 * A capture may begin anywhere, and go on after hours: what it opens may have to
 * be closed at once.
 */
static void
replay_turn_intervals(Replay *replay, int64 time)
{
	while (intervals_due(replay->intervals, time))
	{
		(void) intervals_turn(replay->intervals, time, 0);
		replay_write_finished(replay);
	}
}

/* As many as the rule needs, however many the collector has. */
static Intervals *
replay_intervals(const IntervalRule *rule)
{
	uint32		buffers = intervals_needed(rule);
	Intervals  *intervals = intervals_init(capture_allocate(intervals_size(buffers, lastfluss_max_entries)),
										   buffers, lastfluss_max_entries);

	intervals->rule = *rule;
	return intervals;
}

static void
replay_prepare(Replay *replay)
{
	ConfigSnapshot *config = palloc0(sizeof(ConfigSnapshot));
	Settings	settings;
	AclResult	allowed;

	config_read(&settings, config, &replay->names);
	replay->keep_top = settings.keep_top;
	replay->keep_top_share = settings.keep_top_share;
	replay->name_count = config->interface_count;
	replay->table = traffic_open(settings.table);
	allowed = pg_class_aclcheck(replay->table, GetUserId(), ACL_INSERT);
	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, OBJECT_TABLE, get_rel_name(replay->table));
	replay->account.interfaces =
		interfaces_build(capture_allocate(interfaces_size(config->interface_count)),
						 config->interfaces, config->interface_count);
	replay->account.as_source = config->as_source;
	replay->account.own_as = config->own_as;
	if (config->as_source != ACCOUNT_AS_EXPORTER)
		replay->account.prefixes = prefixes_build(NULL);
	replay->account.seen = lru_init(capture_allocate(lru_size(SHARED_SEEN, sizeof(SeenInterface))),
									SHARED_SEEN, sizeof(SeenInterface));
	replay->account.work = palloc0(sizeof(AccountWork));
	replay->intervals = replay_intervals(&config->rule);
	replay->context = AllocSetContextCreate(CurrentMemoryContext, "lastfluss replay",
											ALLOCSET_DEFAULT_SIZES);
}

static void
replay_run(Replay *replay, PcapReader *reader, Decoder *decoder)
{
	FlowSinks	sinks = {.context = replay,.flows = replay_take_flows};
	PcapDatagram captured;
	Datagram	datagram;

	while (capture_next(reader, &captured))
	{
		capture_to_datagram(&captured, &datagram);
		datagram.known = interfaces_know_host(replay->account.interfaces, &datagram.source);
		replay_turn_intervals(replay, datagram.received);
		account_begin(&replay->account, &datagram.source);
		(void) decode_datagram(decoder, &datagram, false, &sinks);
		account_flush(&replay->account);
		replay->datagrams++;
	}
	(void) intervals_close_all(replay->intervals);
	replay_write_finished(replay);
}

PG_FUNCTION_INFO_V1(lastfluss_replay);
Datum
lastfluss_replay(PG_FUNCTION_ARGS)
{
	PcapReader	reader;
	Decoder    *decoder = capture_decoder();
	Replay		replay = {0};
	TupleDesc	description;
	Datum		values[3];
	bool		nulls[3] = {false};

	if (get_call_result_type(fcinfo, NULL, &description) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	capture_open(&reader, PG_GETARG_BYTEA_PP(0));
	SPI_connect();
	replay_prepare(&replay);
	replay_run(&replay, &reader, decoder);
	SPI_finish();

	values[0] = Int64GetDatum((int64) replay.datagrams);
	values[1] = Int64GetDatum((int64) decoder->records);
	values[2] = Int64GetDatum((int64) replay.rows);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(description), values, nulls));
}
