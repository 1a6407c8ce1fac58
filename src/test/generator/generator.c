/*
 * generator.c
 *	  Sends the NetFlow of a made-up network, or writes it to a capture file,
 *	  and says exactly what it sent: for the demo, the tests and the benches.
 *
 * It shares no line with the decoder, so that neither hides the other's
 * mistakes.  Reading order: network.c (which flows), exporter.c (what they look
 * like on the wire), udp.c and capture.c (where they go), and this file: when.
 * Bench routers send by load.c.
 *
 * The records depend on the seed alone; the clock only says how many of them
 * are sent, and when.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "exporter.h"
#include "load.h"
#include "network.h"
#include "options.h"
#include "random.h"
#include "sent.h"
#include "udp.h"

#define SECOND			INT64_C(1000000)	/* times are in microseconds */
#define TICK			5000	/* between two looks at what is due */
#define TICK_FAST		1000	/* ... at rates where 5 ms would be a burst */
#define RATE_FAST		100000
#define BACKLOG_MOST	0.25	/* seconds to catch up after a stop */
#define BACKLOG_MOST_LOAD	0.02	/* ... where that would be a burst that no buffer holds */
#define ROUND			1024	/* records between two looks at the clock */

typedef struct Generator
{
	Options		options;
	Network    *network;
	Router	   *routers;
	uint32_t	router_count;
	Exporter   *exporters[3];
	Udp			udp[3];
	UdpCounters udp_counters;
	Load	   *load;			/* NULL: demo routers, or a capture */
	Capture		capture;
	Random		random;
	uint64_t	drawn;			/* records */
	Sent		sent;
	bool		failed;
} Generator;

static volatile sig_atomic_t stop_requested = 0;

static void
request_stop(int signal_number)
{
	(void) signal_number;
	stop_requested = 1;
}

static void
catch_signals(void)
{
	struct sigaction action = {.sa_handler = request_stop};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

static int64_t
clock_at(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * SECOND + now.tv_nsec / 1000;
}

static bool
stopping(const Generator *generator)
{
	return stop_requested || generator->failed ||
		(generator->options.records > 0 &&
		 generator->drawn >= generator->options.records);
}

static bool
send_queue(Generator *generator, uint32_t index)
{
	Exporter   *exporter = generator->exporters[index];
	UdpMessage	messages[EXPORTER_QUEUE];
	bool		good;

	for (uint32_t i = 0; i < exporter->queued; i++)
		messages[i] = (UdpMessage) {exporter->queue[i].data, exporter->queue[i].length, NULL, false};
	good = udp_send(&generator->udp[index], messages, exporter->queued);
	for (uint32_t i = 0; i < exporter->queued; i++)
		exporter->queue[i].sent = messages[i].sent;
	return good;
}

static bool
write_queue(Generator *generator, uint32_t index)
{
	Exporter   *exporter = generator->exporters[index];
	bool		good = true;

	for (uint32_t i = 0; i < exporter->queued && good; i++)
		good = capture_write(&generator->capture, generator->routers[index].host,
							 &exporter->queue[i]);
	return good;
}

/* Sends or writes what a router has completed, and counts what got through. */
static void
flush_router(Generator *generator, uint32_t index)
{
	Exporter   *exporter = generator->exporters[index];

	if (exporter->queued == 0)
		return;
	if (!(generator->options.pcap == NULL ? send_queue : write_queue) (generator, index))
		generator->failed = true;
	for (uint32_t i = 0; i < exporter->queued; i++)
	{
		const Datagram *datagram = &exporter->queue[i];

		if (datagram->sent)
			sent_add(&generator->sent, &generator->routers[index], datagram->accounts,
					 datagram->records);
	}
	exporter_clear(exporter);
}

static void
flush_old(Generator *generator, int64_t now)
{
	for (uint32_t i = 0; i < generator->router_count; i++)
	{
		exporter_finish_old(generator->exporters[i], now);
		flush_router(generator, i);
	}
}

static void
flush_all(Generator *generator, int64_t now)
{
	for (uint32_t i = 0; i < generator->router_count; i++)
	{
		exporter_finish(generator->exporters[i], now);
		flush_router(generator, i);
	}
}

/* One more flow of the demo routers; returns the router whose it is. */
static uint32_t
draw_flow(Generator *generator, int64_t now)
{
	Flow		flow;

	network_draw(generator->network, &generator->random, &flow);
	generator->drawn++;
	exporter_add(generator->exporters[flow.router], &flow, now);
	if (exporter_full(generator->exporters[flow.router]))
		flush_router(generator, flow.router);
	return flow.router;
}

/* So many records, as far as nobody wants to stop; returns how many they were. */
static uint64_t
send_due(Generator *generator, uint64_t due, int64_t now)
{
	uint64_t	done = 0;

	if (generator->load == NULL)
	{
		for (; done < due && !stopping(generator); done++)
			draw_flow(generator, now);
		flush_old(generator, now);
		return done;
	}
	while (done < due && !stopping(generator))
	{
		uint64_t	records;

		if (!load_send(generator->load, due - done, now, &records))
			generator->failed = true;
		if (records == 0)
			break;
		generator->drawn += records;
		done += records;
	}
	return done;
}

static bool
duration_over(const Generator *generator, int64_t begin)
{
	return generator->options.duration > 0 &&
		clock_at(CLOCK_MONOTONIC) - begin >=
		(int64_t) (generator->options.duration * SECOND);
}

static void
run_fast(Generator *generator)
{
	int64_t		begin = clock_at(CLOCK_MONOTONIC);

	while (!stopping(generator) && !duration_over(generator, begin))
	{
		int64_t		now = clock_at(CLOCK_REALTIME);

		send_due(generator, ROUND, now);
	}
}

/* Sleeps up to a moment of the monotonic clock, less when a signal comes. */
static void
sleep_until(int64_t moment)
{
	struct timespec until = {moment / SECOND, moment % SECOND * 1000};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static double
rate_at(const Generator *generator, int64_t now)
{
	return generator->options.rate *
		(generator->options.rhythm ? network_rhythm((double) now / SECOND) : 1);
}

/*
 * Draws what became due since the last tick.  The end of --duration counts as
 * the last tick, so that the number of records is rate times duration.
 */
static void
run_paced(Generator *generator)
{
	int64_t		begin = clock_at(CLOCK_MONOTONIC);
	int64_t		end = generator->options.duration > 0 ?
		begin + (int64_t) (generator->options.duration * SECOND) : INT64_MAX;
	int64_t		tick = generator->options.rate > RATE_FAST ? TICK_FAST : TICK;
	int64_t		before = begin;
	double		backlog = generator->load != NULL ? BACKLOG_MOST_LOAD : BACKLOG_MOST;
	double		due = 1e-6;		/* what adding up many small parts may lack */

	while (!stopping(generator) && before < end)
	{
		int64_t		now = clock_at(CLOCK_REALTIME);
		int64_t		moment = clock_at(CLOCK_MONOTONIC);
		double		rate = rate_at(generator, now);

		if (moment > end)
			moment = end;
		due += rate * (double) (moment - before) / SECOND;
		before = moment;
		if (due > rate * backlog + 1)
			due = rate * backlog + 1;
		due -= (double) send_due(generator, (uint64_t) due, now);
		if (moment < end && !stopping(generator))
			sleep_until(moment + tick < end ? moment + tick : end);
	}
}

/* A step of the history: its flows lie evenly in it, give or take. */
static void
run_step(Generator *generator, int64_t from, int64_t to, uint32_t count)
{
	Random		chance = {random_mix((uint64_t) from ^ generator->options.seed)};
	double		gap = (double) (to - from) / count;

	for (uint32_t i = 0; i < count && !stopping(generator); i++)
	{
		double		part = (double) (random_next(&chance) >> 11) / 9007199254740992.0;
		int64_t		now = from + (int64_t) ((i + part) * gap);

		flush_router(generator, draw_flow(generator, now));
	}
	flush_all(generator, to - 1);
}

static void
run_history(Generator *generator)
{
	const Options *options = &generator->options;
	double		due = 0;

	for (int64_t from = options->from; from < options->to; from += options->step)
	{
		int64_t		to = from + options->step < options->to ? from + options->step :
			options->to;
		uint64_t	noise = random_mix((uint64_t) from + options->seed * 2654435761U);

		/* Two of a hundred up and down, so that it does not look drawn. */
		due += options->rate * (double) (to - from) * (options->network.interfaces > 0 ? 1 :
			network_rhythm((double) (from + to) / 2) *
			(0.98 + 0.04 * (double) (noise >> 32) / 4294967296.0));
		if (stopping(generator))
			return;
		run_step(generator, from * SECOND, to * SECOND, (uint32_t) due);
		due -= (uint32_t) due;
	}
}

/* Bench routers share the first one's socket and exporter. */
static uint32_t
socket_count(const Generator *generator)
{
	return generator->options.network.interfaces > 0 ? 1 : generator->router_count;
}

static bool
open_sockets(Generator *generator)
{
	struct sockaddr_storage collector;
	socklen_t	length;

	if (!udp_resolve(generator->options.host, generator->options.port,
					 &collector, &length))
		return false;
	for (uint32_t i = 0; i < socket_count(generator); i++)
	{
		Router	   *router = &generator->routers[i];
		const char *source = generator->options.source_count > 0 ?
			generator->options.sources[i] :
			generator->options.network.interfaces > 0 ? NULL : router->host;
		bool		lone = generator->options.network.routers == 1;

		generator->udp[i].counters = &generator->udp_counters;
		generator->udp[i].stop = &stop_requested;
		if (!udp_open(&generator->udp[i], &collector, length, source, lone ? router->host : NULL))
			return false;
	}
	return true;
}

static bool
open_capture(Generator *generator)
{
	const Options *options = &generator->options;

	for (uint32_t i = 0; i < options->source_count; i++)
		snprintf(generator->routers[i].host, NETWORK_HOST_SIZE, "%s",
				 options->sources[i]);
	return capture_open(&generator->capture, options->pcap, options->host,
						options->port);
}

static void
create_exporters(Generator *generator)
{
	const Options *options = &generator->options;
	bool		history = options->pcap != NULL;
	bool		ipv6 = strchr(options->host, ':') != NULL;

	for (uint32_t i = 0; i < socket_count(generator); i++)
		generator->exporters[i] = exporter_create(&generator->routers[i], &(ExporterOptions) {
			.per_datagram = options->per_datagram,
			.template_every = options->template_every,
			.payload = options->mtu - (ipv6 ? 48 : 28),	/* IP and UDP headers */
			.begin = history ? options->from * SECOND : clock_at(CLOCK_REALTIME),
			.flows_before = !history || options->network.interfaces > 0
		});
}

static void
write_truth_line(FILE *file, const Router *router, const Interface *interface,
				 const char *direction, const Tally *tally)
{
	fprintf(file, "%s\t%" PRIu32 "\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n",
			router->host, interface->id, direction, tally->records, tally->octets,
			tally->packets, tally->octets * router->sample);
}

/* Written aside and renamed, so that nobody reads half of it. */
static bool
write_truth(const Generator *generator)
{
	char		path[4096];
	FILE	   *file;
	bool		good;

	if (generator->options.truth == NULL)
		return true;
	snprintf(path, sizeof(path), "%s.new", generator->options.truth);
	file = fopen(path, "w");
	good = file != NULL;
	for (uint32_t r = 0; good && r < generator->router_count; r++)
	{
		const Router *router = &generator->routers[r];

		for (uint32_t i = 0; i < router->interface_count; i++)
		{
			const Interface *interface = &router->interfaces[i];

			write_truth_line(file, router, interface, "in", &interface->in);
			write_truth_line(file, router, interface, "out", &interface->out);
		}
	}
	if (file != NULL && fclose(file) != 0)
		good = false;
	if (!good || rename(path, generator->options.truth) != 0)
	{
		fprintf(stderr, "generator: cannot write %s: %s\n",
				generator->options.truth, strerror(errno));
		return false;
	}
	return true;
}

static void
print_totals(const Generator *generator, int64_t elapsed)
{
	double		seconds = (double) elapsed / SECOND;

	if (generator->options.quiet)
		return;
	printf("datagrams %" PRIu64 "\n", generator->sent.datagrams);
	printf("template_datagrams %" PRIu64 "\n", generator->sent.template_datagrams);
	printf("records %" PRIu64 "\n", generator->sent.total.records);
	printf("octets %" PRIu64 "\n", generator->sent.total.octets);
	printf("packets %" PRIu64 "\n", generator->sent.total.packets);
	printf("seconds %.3f\n", seconds);
	printf("rate %.0f\n", seconds > 0 ? (double) generator->sent.total.records / seconds : 0);
	printf("refused %" PRIu64 "\n", generator->udp_counters.refused);
	printf("retried %" PRIu64 "\n", generator->udp_counters.retried);
	printf("failed %" PRIu64 "\n", generator->udp_counters.failed);
}

static void
run(Generator *generator)
{
	if (generator->options.pcap != NULL)
	{
		run_history(generator);
		if (!capture_close(&generator->capture))
			generator->failed = true;
		return;
	}
	if (generator->options.rate == 0)
		run_fast(generator);
	else
		run_paced(generator);
	if (!generator->failed && generator->load == NULL)
		flush_all(generator, clock_at(CLOCK_REALTIME));
}

int
main(int argc, char **argv)
{
	static Generator generator;
	Options    *options = &generator.options;
	int64_t		begin;

	options_parse(options, argc, argv);
	catch_signals();
	generator.random.state = random_mix(options->seed);
	generator.network = network_create(&options->network);
	generator.routers = network_routers(generator.network, &generator.router_count);
	if (options->bandwidth > 0)
		network_scale(generator.network, options->rate, options->bandwidth);
	if (!(options->pcap != NULL ? open_capture(&generator) : open_sockets(&generator)))
		return 2;
	create_exporters(&generator);
	if (options->network.interfaces > 0 && options->pcap == NULL)
		generator.load = load_create(&(LoadOptions) {
			.network = generator.network,
			.routers = generator.routers,
			.router_count = generator.router_count,
			.exporter = generator.exporters[0],
			.templates = options->templates,
			.template_every = options->template_every,
			.udp = &generator.udp[0],
			.random = &generator.random,
			.sent = &generator.sent
		});

	begin = clock_at(CLOCK_MONOTONIC);
	run(&generator);
	if (generator.udp_counters.refused > 0)
		fprintf(stderr, "generator: %" PRIu64 " datagrams were refused, nobody "
				"listens at %s port %s\n", generator.udp_counters.refused,
				options->host, options->port);
	print_totals(&generator, clock_at(CLOCK_MONOTONIC) - begin);
	if (!write_truth(&generator))
		return 2;
	return generator.failed ? 2 : 0;
}
