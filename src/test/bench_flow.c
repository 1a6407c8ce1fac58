/*
 * bench_flow.c
 *	  What a record costs a receiver, from datagram to sums, without sockets and
 *	  without a server: prints figures, asserts nothing.
 *
 *	  make bench-flow && src/test/bench_flow [OPTION...] CAPTURE...
 *
 * make bench PARTS=records makes captures for it, and shows how.
 *
 * Each capture file is read as if it came again and again within one interval of
 * 60 s, at equal distances, so that its flows lie over the intervals as traffic
 * does.  Every interface that it names is configured, on both sides.  Datagrams
 * are copied to where a socket would put them, 64 at a time, which is not
 * measured; then goes what receiver.c does with a batch, which is.
 *
 * Three runs tell where the time goes: "decode" throws records away, "lay" also
 * finds the intervals in which they lasted, "sums" is all of it.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "account.h"
#include "decode.h"
#include "pcap.h"

/* As in the server: shared.h, socket.c, the defaults of settings. */
#define EXPORTERS		4096
#define TEMPLATES		4096
#define SAMPLERS		4096
#define SEEN			16384
#define INTERFACES_MOST	4096
#define BATCH			64
#define SLOT			65536
#define BUFFERS			8
#define PERIOD			60
#define WINDOW			90
#define MAX_ENTRIES		131072

#define MICROSECONDS	INT64_C(1000000)
#define PASSES			20
#define REPEATS			3

typedef enum Stage
{
	STAGE_DECODE,
	STAGE_LAY,
	STAGE_SUMS,
	STAGES
} Stage;

/* The datagrams of a capture file. */
typedef struct Capture
{
	uint8_t    *file;
	PcapDatagram *datagrams;
	uint32_t	count;
} Capture;

typedef struct Bench
{
	Stage		stage;
	Decoder    *decoder;
	Intervals  *intervals;
	Interfaces *interfaces;
	Account		account;
	AccountWork work;			/* flushed between batches */
	uint64_t	laid;			/* records */
	uint64_t	parts;			/* of these, in intervals */
	uint64_t	rows;			/* of the largest interval so far */
	uint8_t    *slots;			/* BATCH of SLOT octets */
} Bench;

typedef struct Result
{
	double		nanoseconds;	/* for a record */
	uint64_t	records;
} Result;

static uint32_t max_entries = MAX_ENTRIES;
static int	passes = PASSES;
static int	repeats = REPEATS;
static int	only = -1;			/* this Stage */

static void
die(const char *what, const char *about)
{
	fprintf(stderr, "bench_flow: %s: %s\n", about, what);
	exit(1);
}

static void *
allocate(size_t size)
{
	void	   *memory = aligned_alloc(64, (size + 63) / 64 * 64);

	if (memory == NULL)
		die("out of memory", "allocate");
	/* Pages that are there: nobody is to pay for their first use. */
	memset(memory, 0, (size + 63) / 64 * 64);
	return memory;
}

/* Of this thread's CPU: others on the machine do not count. */
static int64_t
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/*
 * Captures.
 */

static size_t
capture_read_file(Capture *capture, const char *path)
{
	FILE	   *file = fopen(path, "rb");
	long		size = -1;

	if (file != NULL && fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size < 0)
		die("cannot be read", path);
	rewind(file);
	capture->file = allocate((size_t) size);
	if (fread(capture->file, 1, (size_t) size, file) != (size_t) size)
		die("cannot be read", path);
	fclose(file);
	return (size_t) size;
}

static void
capture_open(Capture *capture, const char *path)
{
	size_t		size = capture_read_file(capture, path);
	PcapReader	reader;
	uint32_t	room = 1024;

	if (pcap_open(&reader, capture->file, size) != PCAP_OK)
		die("is no capture file", path);
	capture->count = 0;
	capture->datagrams = malloc(room * sizeof(PcapDatagram));
	while (capture->datagrams != NULL &&
		   pcap_next(&reader, &capture->datagrams[capture->count]) == PCAP_OK)
	{
		if (++capture->count == room)
			capture->datagrams = realloc(capture->datagrams, (room *= 2) * sizeof(PcapDatagram));
	}
	if (capture->datagrams == NULL || capture->count == 0)
		die("holds no datagram", path);
}

static void
capture_close(Capture *capture)
{
	free(capture->file);
	free(capture->datagrams);
}

/*
 * The receiver: take_flows(), take_datagram() and turn() are receiver.c's.
 */

static void
lay(Bench *bench, const Flow *flows, uint32_t count)
{
	const IntervalsRecent recent = intervals_recent(bench->intervals);

	bench->laid += count;
	for (uint32_t i = 0; i < count; i++)
	{
		IntervalsShares shares = intervals_lay_recent(&recent, &flows[i]);
		IntervalParts parts;

		bench->parts += (shares.newest != 0) + (shares.before != 0);
		if ((shares.newest | shares.before) != 0)
			continue;
		intervals_lay(bench->intervals, &flows[i], &parts);
		bench->parts += parts.count;
	}
}

static void
take_flows(void *context, const Flow *flows, uint32_t count)
{
	Bench	   *bench = context;

	if (bench->stage == STAGE_DECODE)
		return;
	if (bench->stage == STAGE_SUMS)
		account_flows(&bench->account, bench->intervals, flows, count);
	else
		lay(bench, flows, count);
}

static void
charge(Exporter *sender, const Account *before, const Account *after)
{
	if (sender == NULL)
		return;
	sender->unmatched += after->unmatched - before->unmatched;
	sender->unknown_sampling += after->unknown_sampling - before->unknown_sampling;
	sender->late_bytes += after->late_bytes - before->late_bytes;
	sender->future_bytes += after->future_bytes - before->future_bytes;
}

static void
take_datagram(Bench *bench, const PcapDatagram *captured, const uint8_t *data, int64_t received)
{
	FlowSinks	sinks = {.context = bench,.no_addresses = true,.flows = take_flows};
	const Account before = bench->account;
	Datagram	datagram = {
		.data = data,
		.length = captured->length,
		.source = captured->source,
		.port = captured->source_port,
		.known = interfaces_know_host(bench->interfaces, &captured->source),
		.received = received
	};

	account_begin(&bench->account, &captured->source);
	(void) decode_datagram(bench->decoder, &datagram, false, &sinks);
	charge(bench->decoder->sender, &before, &bench->account);
}

static void
turn(Bench *bench, int64_t time)
{
	while (intervals_due(bench->intervals, time))
	{
		(void) intervals_turn(bench->intervals, time, 0);
		for (uint32_t i = 0; i < bench->intervals->count; i++)
		{
			FlowInterval *interval = &bench->intervals->all[i];

			if (interval->state == INTERVAL_READY)
				interval->state = INTERVAL_FREE;
		}
	}
}

/* All datagrams of the capture, received "later" than they were: nanoseconds. */
static int64_t
pass(Bench *bench, const Capture *capture, int64_t later)
{
	int64_t		took = 0;

	for (uint32_t first = 0; first < capture->count; first += BATCH)
	{
		const PcapDatagram *batch = &capture->datagrams[first];
		uint32_t	count = capture->count - first < BATCH ? capture->count - first : BATCH;
		int64_t		received = batch->time + later;
		int64_t		began;

		for (uint32_t i = 0; i < count; i++)
			memcpy(bench->slots + i * SLOT, batch[i].data, batch[i].length);
		began = now();
		turn(bench, received);
		for (uint32_t i = 0; i < count; i++)
			take_datagram(bench, &batch[i], bench->slots + i * SLOT, received);
		account_flush(&bench->account);
		took += now() - began;
	}
	return took;
}

static void
bench_init(Bench *bench)
{
	const DecoderLimits limits = {EXPORTERS, TEMPLATES, SAMPLERS, DECODER_PENDING};

	memset(bench, 0, sizeof(*bench));
	bench->stage = STAGE_SUMS;
	bench->decoder = decoder_init(allocate(decoder_size(&limits)), &limits);
	bench->intervals = intervals_init(allocate(intervals_size(BUFFERS, max_entries)),
									  BUFFERS, max_entries);
	bench->intervals->rule = (IntervalRule) {.period = PERIOD,.window = WINDOW};
	bench->interfaces = interfaces_build(allocate(interfaces_size(INTERFACES_MOST)), NULL, 0);
	bench->account.interfaces = bench->interfaces;
	bench->account.work = &bench->work;
	bench->account.seen = lru_init(allocate(lru_size(SEEN, sizeof(SeenInterface))),
								   SEEN, sizeof(SeenInterface));
	bench->slots = allocate((size_t) BATCH * SLOT);
}

static void
bench_free(Bench *bench)
{
	free(bench->decoder);
	free(bench->intervals);
	free(bench->interfaces);
	free(bench->account.seen);
	free(bench->slots);
}

/* Every interface that was seen gets a name of its own. */
static uint32_t
configure(Bench *bench)
{
	Interface  *list = allocate(INTERFACES_MOST * sizeof(Interface));
	uint32_t	position = 0;
	uint32_t	count = 0;
	const SeenInterface *seen;

	while ((seen = lru_next(bench->account.seen, &position)) != NULL && count < INTERFACES_MOST)
	{
		list[count] = (Interface) {
			.host = seen->host,.id = seen->id,.vlan = INTERFACE_ANY_VLAN,.name = count
		};
		count++;
	}
	interfaces_build(bench->interfaces, list, count);
	account_configure(&bench->account);
	free(list);
	return count;
}

static void
look_at_rows(Bench *bench)
{
	for (uint32_t i = 0; i < bench->intervals->count; i++)
	{
		uint32_t	rows = aggregate_count(bench->intervals->all[i].sums);

		if (rows > bench->rows)
			bench->rows = rows;
	}
}

/* A first pass, that nobody measures, has filled the interval before this one. */
static Result
run(Bench *bench, const Capture *capture, int64_t start)
{
	uint64_t	before = bench->decoder->records;
	int64_t		took = 0;
	Result		result;

	for (int i = 0; i < passes; i++)
		took += pass(bench, capture, start - capture->datagrams[0].time +
					 PERIOD * MICROSECONDS * i / passes);
	result.records = bench->decoder->records - before;
	result.nanoseconds = (double) took / (double) result.records;
	look_at_rows(bench);
	return result;
}

/* The best of several runs, each in an interval of its own. */
static Result
measure(Bench *bench, const Capture *capture, Stage stage, int64_t *start)
{
	Result		best = {0};

	bench->stage = stage;
	for (int i = 0; i < repeats; i++)
	{
		Result		result = run(bench, capture, *start);

		*start += PERIOD * MICROSECONDS;
		if (i == 0 || result.nanoseconds < best.nanoseconds)
			best = result;
	}
	return best;
}

/* What is decoded in part, or counted nowhere, is no measure. */
static void
warn(const Bench *bench, const char *path)
{
	uint32_t	position = 0;
	const Exporter *exporter;
	uint64_t	errors = 0;

	while ((exporter = lru_next(bench->decoder->exporters, &position)) != NULL)
	{
		for (int i = 0; i < DECODE_ERRORS; i++)
			errors += exporter->errors[i];
	}
	if (errors > 0)
		fprintf(stderr, "bench_flow: %s: %lu errors\n", path, (unsigned long) errors);
	if (bench->account.unmatched > bench->account.records / 2)
		fprintf(stderr, "bench_flow: %s: most records name no interface\n", path);
}

static void
report(const char *path)
{
	Capture		capture;
	Bench		bench;
	Result		results[STAGES] = {{0}};
	int64_t		start;
	uint32_t	interfaces;

	capture_open(&capture, path);
	bench_init(&bench);
	start = (capture.datagrams[0].time / (PERIOD * MICROSECONDS)) * PERIOD * MICROSECONDS;
	pass(&bench, &capture, start - capture.datagrams[0].time);
	interfaces = configure(&bench);
	pass(&bench, &capture, start - capture.datagrams[0].time + MICROSECONDS);
	bench.laid = bench.parts = 0;
	start += PERIOD * MICROSECONDS;
	for (Stage stage = 0; stage < STAGES; stage++)
	{
		if (only < 0 || only == (int) stage)
			results[stage] = measure(&bench, &capture, stage, &start);
	}
	printf("| %s | %.1f | %u | %lu | %.2f | %.1f | %.1f | %.1f | %.2f M |\n", path,
		   (double) bench.decoder->records / (double) bench.decoder->datagrams, interfaces,
		   (unsigned long) bench.rows,
		   bench.laid > 0 ? (double) bench.parts / (double) bench.laid : 0,
		   results[STAGE_DECODE].nanoseconds, results[STAGE_LAY].nanoseconds,
		   results[STAGE_SUMS].nanoseconds,
		   results[STAGE_SUMS].records > 0 ? 1e3 / results[STAGE_SUMS].nanoseconds : 0);
	fflush(stdout);
	warn(&bench, path);
	bench_free(&bench);
	capture_close(&capture);
}

static void
help(void)
{
	puts("bench_flow [OPTION...] CAPTURE...\n"
		 "  --entries N    lastfluss.max_entries (131072)\n"
		 "  --passes N     a capture comes so often in an interval of 60 s (20)\n"
		 "  --repeat N     the best of so many intervals (3)\n"
		 "  --only STAGE   decode, lay or sums: this run alone, for a profiler");
}

static Stage
parse_stage(const char *name)
{
	static const char *const names[STAGES] = {"decode", "lay", "sums"};

	for (Stage stage = 0; stage < STAGES; stage++)
	{
		if (strcmp(name, names[stage]) == 0)
			return stage;
	}
	die("is no stage", name);
	return STAGES;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"entries", required_argument, NULL, 'e'},
		{"passes", required_argument, NULL, 'p'},
		{"repeat", required_argument, NULL, 'r'},
		{"only", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{0}
	};
	int			option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
	{
		switch (option)
		{
			case 'e':
				max_entries = (uint32_t) strtoul(optarg, NULL, 10);
				break;
			case 'p':
				passes = atoi(optarg);
				break;
			case 'r':
				repeats = atoi(optarg);
				break;
			case 'o':
				only = (int) parse_stage(optarg);
				break;
			case 'h':
				help();
				return 0;
			default:
				return 1;
		}
	}
	if (passes < 1 || repeats < 1 || max_entries < 1 || optind == argc)
	{
		help();
		return 1;
	}
	puts("| capture | records a datagram | interfaces | rows | intervals a record |"
		 " decode ns | + lay ns | + sums ns | records per CPU-second |");
	puts("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
	for (int i = optind; i < argc; i++)
		report(argv[i]);
	return 0;
}
