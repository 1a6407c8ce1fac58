/*
 * options.c
 *	  The command line: defaults, limits, help.
 */
#define _GNU_SOURCE

#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "asns.h"
#include "exporter.h"

#define RATE_LIVE		1000
#define RATE_HISTORY	10

enum
{
	OPT_HOST = 256,
	OPT_PORT, OPT_SOURCE, OPT_FORMAT,
	OPT_RATE, OPT_RECORDS, OPT_DURATION, OPT_BANDWIDTH, OPT_RHYTHM,
	OPT_PER_DATAGRAM, OPT_TEMPLATE_EVERY, OPT_TEMPLATES, OPT_MTU,
	OPT_ASNS, OPT_FLAT, OPT_IPV6, OPT_INTERFACES, OPT_EXPORTERS, OPT_SAMPLE, OPT_SEED,
	OPT_PCAP, OPT_FROM, OPT_TO, OPT_STEP,
	OPT_TRUTH, OPT_LIST_ASNS, OPT_QUIET, OPT_HELP
};

static const struct option long_options[] = {
	{"host", required_argument, NULL, OPT_HOST},
	{"port", required_argument, NULL, OPT_PORT},
	{"source", required_argument, NULL, OPT_SOURCE},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"rate", required_argument, NULL, OPT_RATE},
	{"records", required_argument, NULL, OPT_RECORDS},
	{"duration", required_argument, NULL, OPT_DURATION},
	{"bandwidth", required_argument, NULL, OPT_BANDWIDTH},
	{"rhythm", no_argument, NULL, OPT_RHYTHM},
	{"per-datagram", required_argument, NULL, OPT_PER_DATAGRAM},
	{"template-every", required_argument, NULL, OPT_TEMPLATE_EVERY},
	{"templates", required_argument, NULL, OPT_TEMPLATES},
	{"mtu", required_argument, NULL, OPT_MTU},
	{"asns", required_argument, NULL, OPT_ASNS},
	{"flat", no_argument, NULL, OPT_FLAT},
	{"ipv6", required_argument, NULL, OPT_IPV6},
	{"interfaces", required_argument, NULL, OPT_INTERFACES},
	{"exporters", required_argument, NULL, OPT_EXPORTERS},
	{"sample", required_argument, NULL, OPT_SAMPLE},
	{"seed", required_argument, NULL, OPT_SEED},
	{"pcap", required_argument, NULL, OPT_PCAP},
	{"from", required_argument, NULL, OPT_FROM},
	{"to", required_argument, NULL, OPT_TO},
	{"step", required_argument, NULL, OPT_STEP},
	{"truth", required_argument, NULL, OPT_TRUTH},
	{"list-asns", no_argument, NULL, OPT_LIST_ASNS},
	{"quiet", no_argument, NULL, OPT_QUIET},
	{"help", no_argument, NULL, OPT_HELP},
	{0}
};

static void
print_help(void)
{
	puts("generator sends NetFlow v5, v9, IPFIX and sFlow of a made-up network to a collector,\n"
		 "or writes it to a capture file, and says exactly what it sent.\n"
		 "\n"
		 "Where to:\n"
		 "  --host ADDRESS        collector, IPv4 or IPv6 (127.0.0.1)\n"
		 "  --port PORT           its UDP port (2055)\n"
		 "  --source A[,B,C]      addresses to send from, one per router\n"
		 "                        (demo 127.0.1.1,127.0.1.2,127.0.1.3; bench: the kernel's choice)\n"
		 "What:\n"
		 "  --format FORMAT       v5, v9, ipfix: that router; mixed: all three (mixed);\n"
		 "                        sflow: bench only\n"
		 "  --asns N              remote ASes, whose traffic falls with their rank (1000)\n"
		 "  --flat                the same traffic for all of them\n"
		 "  --ipv6 PERCENT        records with IPv6 addresses, not in v5 (20)\n"
		 "  --bandwidth BIT/S     size flows for this traffic at --rate, sampling included;\n"
		 "                        suffixes k, M, G, T (no: a flow has 6 packets in the mean)\n"
		 "  --seed N              another seed, other records (1)\n"
		 "  --interfaces N        bench: one router with interfaces 1..N, equally loaded,\n"
		 "                        and N + 1 towards the core; needs one --format; datagrams\n"
		 "                        are written once and sent again and again, with other times\n"
		 "                        and remote ASes\n"
		 "  --exporters N         bench: so many such routers, which send by turns from\n"
		 "                        127.1.0.0, 127.1.0.1 and so on (1)\n"
		 "  --sample N            bench: the routers' sampling rate, packets (1)\n"
		 "  --templates N         bench: so many pairs of templates, used by turns; 0: none\n"
		 "                        is sent (1)\n"
		 "  --per-datagram N      records in a datagram at most (24; v5 never over 30)\n"
		 "  --template-every N    datagrams between templates, also sent every 10 s (20);\n"
		 "                        bench: of one exporter, between two pairs\n"
		 "  --mtu OCTETS          of the link, bounds a datagram of v9 and IPFIX (1500)\n"
		 "How fast, how long:\n"
		 "  --rate N              records per second, 0: as fast as possible (1000; --pcap: 10)\n"
		 "  --rhythm              the rate is the daily mean and follows the time of day\n"
		 "  --records N           stop after so many records; bench: when they are reached (no)\n"
		 "  --duration SECONDS    stop after this time (no)\n"
		 "History:\n"
		 "  --pcap FILE           write a capture (raw IPv4) instead of sending\n"
		 "  --from EPOCH          first second, Unix time (a day before --to)\n"
		 "  --to EPOCH            end, Unix time (now)\n"
		 "  --step SECONDS        the rate follows the daily rhythm in such steps (60);\n"
		 "                        bench: it is steady, and flows may be older than --from\n"
		 "Report:\n"
		 "  --truth FILE          at the end, a line per interface and direction, tabs between:\n"
		 "                        host, interface id, in|out, records, octets, packets,\n"
		 "                        octets x sampling rate\n"
		 "  --list-asns           print the known ASes as \"AS123 NAME, CC\" and end\n"
		 "  --quiet               no totals on stdout\n"
		 "  --help                this text\n"
		 "\n"
		 "SIGTERM and SIGINT end it in order: what is begun is sent, then comes the report.\n"
		 "Exit status: 0, 1 on a mistake, 2 when sending or writing failed.");
}

static void
complain(const char *option, const char *value, const char *wanted)
{
	fprintf(stderr, "generator: --%s %s: must be %s\n", option, value, wanted);
	exit(1);
}

static uint64_t
parse_integer(const char *option, const char *text, uint64_t least, uint64_t most)
{
	char	   *end;
	uint64_t	value;
	char		wanted[80];

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
		value < least || value > most)
	{
		snprintf(wanted, sizeof(wanted), "a number from %llu to %llu",
				 (unsigned long long) least, (unsigned long long) most);
		complain(option, text, wanted);
	}
	return value;
}

static double
parse_real(const char *option, const char *text, double most)
{
	static const char suffixes[] = "kMGT";
	char	   *end;
	double		value = strtod(text, &end);
	const char *suffix = *end != '\0' ? strchr(suffixes, *end) : NULL;

	if (suffix != NULL)
	{
		for (const char *s = suffixes; s <= suffix; s++)
			value *= 1000;
		end++;
	}
	if (end == text || *end != '\0' || !(value >= 0 && value <= most))
	{
		char		wanted[80];

		snprintf(wanted, sizeof(wanted), "a number from 0 to %g", most);
		complain(option, text, wanted);
	}
	return value;
}

static void
parse_format(Options *options, const char *text)
{
	static const char *const names[FORMATS] = {"v5", "v9", "ipfix", "sflow"};
	bool		mixed = strcmp(text, "mixed") == 0;
	bool		any = mixed;

	for (int i = 0; i < FORMATS; i++)
	{
		options->network.formats[i] = (mixed && i != FORMAT_SFLOW) ||
			strcmp(text, names[i]) == 0;
		any = any || options->network.formats[i];
	}
	if (!any)
		complain("format", text, "v5, v9, ipfix, sflow or mixed");
}

static void
parse_sources(Options *options, char *text)
{
	const char *all = text;

	options->source_count = 0;
	for (char *source = strtok(text, ","); source != NULL; source = strtok(NULL, ","))
	{
		if (options->source_count == 3)
			complain("source", all, "at most three addresses");
		options->sources[options->source_count++] = source;
	}
}

static void
parse_option(Options *options, int option, char *value)
{
	switch (option)
	{
		case OPT_HOST:
			options->host = value;
			break;
		case OPT_PORT:
			options->port = value;
			parse_integer("port", value, 1, 65535);
			break;
		case OPT_SOURCE:
			parse_sources(options, value);
			break;
		case OPT_FORMAT:
			parse_format(options, value);
			break;
		case OPT_RATE:
			options->rate = parse_real("rate", value, 1e9);
			break;
		case OPT_RECORDS:
			options->records = parse_integer("records", value, 1, UINT64_MAX);
			break;
		case OPT_DURATION:
			options->duration = parse_real("duration", value, 1e9);
			break;
		case OPT_BANDWIDTH:
			options->bandwidth = parse_real("bandwidth", value, 1e18);
			break;
		case OPT_RHYTHM:
			options->rhythm = true;
			break;
		case OPT_PER_DATAGRAM:
			options->per_datagram = (uint32_t)
				parse_integer("per-datagram", value, 1, EXPORTER_RECORDS);
			break;
		case OPT_TEMPLATE_EVERY:
			options->template_every = (uint32_t)
				parse_integer("template-every", value, 1, 1000000);
			break;
		case OPT_TEMPLATES:
			options->templates = (uint32_t) parse_integer("templates", value, 0, 1000);
			break;
		case OPT_MTU:
			options->mtu = (uint32_t) parse_integer("mtu", value, 576, EXPORTER_MTU_MOST);
			break;
		case OPT_ASNS:
			options->network.asns = (uint32_t) parse_integer("asns", value, 1, 1000000);
			break;
		case OPT_FLAT:
			options->network.flat = true;
			break;
		case OPT_IPV6:
			options->network.ipv6_percent = (uint32_t) parse_integer("ipv6", value, 0, 100);
			break;
		case OPT_INTERFACES:
			options->network.interfaces = (uint32_t)
				parse_integer("interfaces", value, 1, 1000000);
			break;
		case OPT_EXPORTERS:
			options->network.routers = (uint32_t) parse_integer("exporters", value, 1, 65536);
			break;
		case OPT_SAMPLE:
			options->network.sample = (uint32_t) parse_integer("sample", value, 1, 1000000);
			break;
		case OPT_SEED:
			options->seed = parse_integer("seed", value, 0, UINT64_MAX);
			break;
		case OPT_PCAP:
			options->pcap = value;
			break;
		case OPT_FROM:
			options->from = (int64_t) parse_integer("from", value, 0, UINT32_MAX);
			break;
		case OPT_TO:
			options->to = (int64_t) parse_integer("to", value, 1, UINT32_MAX);
			break;
		case OPT_STEP:
			options->step = (uint32_t) parse_integer("step", value, 1, 86400);
			break;
		case OPT_TRUTH:
			options->truth = value;
			break;
		case OPT_QUIET:
			options->quiet = true;
			break;
		case OPT_LIST_ASNS:
			asns_print();
			exit(0);
		case OPT_HELP:
			print_help();
			exit(0);
		default:
			fprintf(stderr, "generator: try --help\n");
			exit(1);
	}
}

static void
fail(const char *message)
{
	fprintf(stderr, "generator: %s\n", message);
	exit(1);
}

static uint32_t
count_formats(const Options *options)
{
	uint32_t	count = 0;

	for (int i = 0; i < FORMATS; i++)
		count += options->network.formats[i];
	return count;
}

static void
check_bench(const Options *options)
{
	if (options->network.interfaces == 0)
	{
		if (options->network.formats[FORMAT_SFLOW])
			fail("--format sflow needs --interfaces");
		if (options->network.routers > 1 || options->templates > 1)
			fail("--exporters and --templates need --interfaces");
		return;
	}
	if (options->pcap != NULL && (options->network.routers > 1 || options->templates > 1))
		fail("--exporters and --templates are not for --pcap");
	if (options->network.routers > 1 && options->source_count > 0)
		fail("--exporters brings addresses of its own, without --source");
	if (options->network.routers > 1 && strchr(options->host, ':') != NULL)
		fail("--exporters needs a collector with an IPv4 address");
	if (count_formats(options) != 1)
		fail("--interfaces needs --format v5, v9, ipfix or sflow");
	if (options->network.formats[FORMAT_V5] && options->network.interfaces > 65534)
		fail("interface ids of v5 end at 65535: --interfaces must be 65534 at most");
	if (options->network.formats[FORMAT_V5] && options->network.sample > 16383)
		fail("the sampling rate of v5 has 14 bits: --sample must be 16383 at most");
}

static void
check_rate(Options *options)
{
	if (options->rate < 0)
		options->rate = options->pcap != NULL ? RATE_HISTORY : RATE_LIVE;
	if (options->pcap != NULL && options->rate == 0)
		fail("--pcap needs a --rate over 0");
	if (options->pcap != NULL && options->network.interfaces == 0 && options->rate > 10000)
		fail("--pcap needs a --rate of at most 10000, or --interfaces");
	if (options->rate == 0 && options->bandwidth > 0)
		fail("--bandwidth needs a --rate over 0");
}

static void
check_history(Options *options)
{
	if (options->pcap == NULL)
	{
		if (options->from >= 0 || options->to >= 0)
			fail("--from and --to need --pcap");
		return;
	}
	if (options->to < 0)
		options->to = (int64_t) time(NULL);
	if (options->from < 0)
		options->from = options->to > 86400 ? options->to - 86400 : 0;
	if (options->from >= options->to)
		fail("--from must be before --to");
}

static void
check_sources(const Options *options)
{
	uint32_t	routers = options->network.interfaces > 0 ? 1 : count_formats(options);

	if (options->source_count > 0 && options->source_count != routers)
		fail("--source needs as many addresses as there are routers");
}

void
options_parse(Options *options, int argc, char **argv)
{
	int			option;

	*options = (Options) {
		.host = "127.0.0.1",
		.port = "2055",
		.network = {
			.formats = {true, true, true}, .routers = 1, .asns = 1000, .sample = 1,
			.ipv6_percent = 20
		},
		.rate = -1,
		.per_datagram = 24,
		.template_every = 20,
		.templates = 1,
		.mtu = 1500,
		.seed = 1,
		.from = -1,
		.to = -1,
		.step = 60
	};
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		parse_option(options, option, optarg);
	if (optind < argc)
	{
		fprintf(stderr, "generator: \"%s\" is no option; try --help\n", argv[optind]);
		exit(1);
	}
	check_bench(options);
	check_rate(options);
	check_history(options);
	check_sources(options);
}
