/*
 * exporter.c
 *	  NetFlow v5, NetFlow v9 (RFC 3954), IPFIX (RFC 7011) and sFlow as a router
 *	  writes them.
 *
 * v9 and IPFIX have a template for IPv4 and one for IPv6; they go in a datagram
 * of their own, at the start, after so many datagrams and after so many
 * seconds.  The IPv4 records of a datagram are one set, the IPv6 records
 * another one behind it.
 */
#include "exporter.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "put.h"
#include "sflow.h"

#define TEMPLATE_IPV4		256
#define TEMPLATE_IPV6		257
#define TEMPLATE_SECONDS	10

#define V5_HEADER			24
#define V5_RECORD			48
#define V9_HEADER			20
#define IPFIX_HEADER		16
#define SET_HEADER			4

#define AS_TRANS			23456	/* RFC 6793 */

typedef struct Field
{
	uint16_t	element;
	uint16_t	length;
} Field;

typedef struct Template
{
	uint16_t	id;
	uint16_t	record;			/* octets of a record */
	uint16_t	count;
	Field		fields[24];
} Template;

/* IANA's elements, in the order in which put_v9() writes them. */
static const Template v9_templates[2] = {
	{TEMPLATE_IPV4, 54, 19, {
		{8, 4},					/* sourceIPv4Address */
		{12, 4},				/* destinationIPv4Address */
		{15, 4},				/* ipNextHopIPv4Address */
		{10, 4}, {14, 4},		/* ingressInterface, egressInterface */
		{1, 4}, {2, 4},			/* octetDeltaCount, packetDeltaCount */
		{22, 4}, {21, 4},		/* flowStartSysUpTime, flowEndSysUpTime */
		{7, 2}, {11, 2},		/* ports */
		{4, 1}, {5, 1}, {6, 1}, /* protocol, class of service, TCP flags */
		{9, 1}, {13, 1},		/* prefix lengths */
		{61, 1},				/* flowDirection */
		{16, 4}, {17, 4}		/* bgpSourceAsNumber, bgpDestinationAsNumber */
	}},
	{TEMPLATE_IPV6, 93, 20, {
		{27, 16},				/* sourceIPv6Address */
		{28, 16},				/* destinationIPv6Address */
		{62, 16},				/* ipNextHopIPv6Address */
		{10, 4}, {14, 4},
		{1, 4}, {2, 4},
		{22, 4}, {21, 4},
		{7, 2}, {11, 2},
		{4, 1}, {5, 1}, {6, 1},
		{29, 1}, {30, 1},		/* prefix lengths */
		{61, 1},
		{31, 3},				/* flowLabelIPv6 */
		{16, 4}, {17, 4}
	}},
};

/*
 * The same for put_ipfix().  The counters of the IPv4 template are reduced to
 * four octets (RFC 7011, section 6.2), those of the IPv6 template are not.
 */
static const Template ipfix_templates[2] = {
	{TEMPLATE_IPV4, 60, 17, {
		{8, 4}, {12, 4},
		{10, 4}, {14, 4},
		{1, 4}, {2, 4},
		{152, 8}, {153, 8},		/* flowStartMilliseconds, flowEndMilliseconds */
		{7, 2}, {11, 2},
		{4, 1}, {5, 1}, {6, 1},
		{61, 1},
		{16, 4}, {17, 4},
		{34, 4}					/* samplingInterval */
	}},
	{TEMPLATE_IPV6, 92, 17, {
		{27, 16}, {28, 16},
		{10, 4}, {14, 4},
		{1, 8}, {2, 8},
		{152, 8}, {153, 8},
		{7, 2}, {11, 2},
		{4, 1}, {5, 1}, {6, 1},
		{61, 1},
		{16, 4}, {17, 4},
		{34, 4}
	}},
};

static Datagram *
current(Exporter *exporter)
{
	return &exporter->queue[exporter->queued];
}

static const Template *
templates_of(const Exporter *exporter)
{
	return exporter->router->format == FORMAT_V9 ? v9_templates : ipfix_templates;
}

/* v9 and IPFIX: records in sets, which templates describe. */
static bool
has_templates(const Exporter *exporter)
{
	return exporter->router->format == FORMAT_V9 || exporter->router->format == FORMAT_IPFIX;
}

static size_t
header_length(const Exporter *exporter)
{
	switch (exporter->router->format)
	{
		case FORMAT_V5:
			return V5_HEADER;
		case FORMAT_V9:
			return V9_HEADER;
		case FORMAT_IPFIX:
			return IPFIX_HEADER;
		default:
			return SFLOW_HEADER;
	}
}

/* Before anything is in it; IPv4 records go directly behind their set's header. */
static void
begin_datagram(Exporter *exporter)
{
	Datagram   *datagram = current(exporter);

	datagram->records = 0;
	datagram->sent = false;
	datagram->time = 0;
	datagram->length = header_length(exporter);
	if (has_templates(exporter))
		datagram->length += SET_HEADER;
	exporter->ipv6_length = 0;
}

static void
check_template(const Template *template)
{
	size_t		sum = 0;

	for (uint16_t i = 0; i < template->count; i++)
		sum += template->fields[i].length;
	if (sum != template->record)
	{
		fprintf(stderr, "generator: template %u does not fit its records\n",
				(unsigned) template->id);
		exit(1);
	}
}

Exporter *
exporter_create(const Router *router, const ExporterOptions *options)
{
	Exporter   *exporter = allocate(1, sizeof(Exporter));

	for (int i = 0; i < 2; i++)
	{
		check_template(&v9_templates[i]);
		check_template(&ipfix_templates[i]);
	}
	exporter->router = router;
	exporter->options = *options;
	if (router->format == FORMAT_V5 && exporter->options.per_datagram > 30)
		exporter->options.per_datagram = 30;
	if (inet_pton(AF_INET, router->host, exporter->agent) != 1)
		memcpy(exporter->agent, "\xc0\x00\x02\x01", 4);	/* 192.0.2.1 */
	exporter->boot = options->begin - (int64_t) router->uptime * 1000;
	exporter->since_templates = options->template_every;
	begin_datagram(exporter);
	return exporter;
}

/* sysUptime wraps after 49 days, as a router's does. */
static uint32_t
uptime_at(const Exporter *exporter, int64_t time)
{
	return (uint32_t) ((time - exporter->boot) / 1000);
}

static void
put_header(const Exporter *exporter, uint8_t *to, const Datagram *datagram,
		   uint32_t count)
{
	const Router *router = exporter->router;
	uint32_t	seconds = (uint32_t) (datagram->time / 1000000);
	uint32_t	uptime = uptime_at(exporter, datagram->time);

	switch (router->format)
	{
		case FORMAT_V5:
			to = put16(to, 5);
			to = put16(to, (uint16_t) count);
			to = put32(to, uptime);
			to = put32(to, seconds);
			to = put32(to, (uint32_t) (datagram->time % 1000000) * 1000);
			to = put32(to, exporter->sequence);
			to = put8(to, 0);	/* engine type and id */
			to = put8(to, (uint8_t) router->domain);
			/* Two bits of mode, here "packet interval", and the rate. */
			put16(to, router->sample > 1 ? (uint16_t) (0x4000 | router->sample) : 0);
			break;
		case FORMAT_V9:
			to = put16(to, 9);
			to = put16(to, (uint16_t) count);
			to = put32(to, uptime);
			to = put32(to, seconds);
			to = put32(to, exporter->sequence);
			put32(to, router->domain);
			break;
		case FORMAT_IPFIX:
			to = put16(to, 10);
			to = put16(to, (uint16_t) datagram->length);
			to = put32(to, seconds);
			to = put32(to, exporter->sequence);
			put32(to, router->domain);
			break;
		case FORMAT_SFLOW:
			sflow_put_header(to, exporter->agent, router->domain, exporter->sequence,
							 uptime, count);
			break;
	}
}

/* v5 counts flows, IPFIX data records, v9 and sFlow datagrams; each before this one. */
static void
advance_sequence(Exporter *exporter, const Datagram *datagram)
{
	bool		records = exporter->router->format == FORMAT_V5 ||
		exporter->router->format == FORMAT_IPFIX;

	exporter->sequence += records ? datagram->records : 1;
}

static void
complete(Exporter *exporter, uint32_t count)
{
	Datagram   *datagram = current(exporter);

	put_header(exporter, datagram->data, datagram, count);
	advance_sequence(exporter, datagram);
	exporter->queued++;
	if (exporter->queued < EXPORTER_QUEUE)
		begin_datagram(exporter);
}

static uint8_t *
put_template(uint8_t *to, const Template *template)
{
	to = put16(to, template->id);
	to = put16(to, template->count);
	for (uint16_t i = 0; i < template->count; i++)
	{
		to = put16(to, template->fields[i].element);
		to = put16(to, template->fields[i].length);
	}
	return to;
}

static void
queue_templates(Exporter *exporter, int64_t now)
{
	const Template *templates = templates_of(exporter);
	Datagram   *datagram = current(exporter);
	uint8_t    *set = datagram->data + header_length(exporter);
	uint8_t    *to = set + SET_HEADER;

	to = put_template(to, &templates[0]);
	to = put_template(to, &templates[1]);
	/* The set of templates is 0 in v9 and 2 in IPFIX. */
	put16(set, exporter->router->format == FORMAT_V9 ? 0 : 2);
	put16(set + 2, (uint16_t) (to - set));
	datagram->time = now;
	datagram->length = (size_t) (to - datagram->data);
	exporter->since_templates = 0;
	exporter->templates_time = now;
	complete(exporter, 2);
}

static bool
templates_due(const Exporter *exporter, int64_t now)
{
	return has_templates(exporter) &&
		(exporter->since_templates >= exporter->options.template_every ||
		 now - exporter->templates_time >= TEMPLATE_SECONDS * INT64_C(1000000));
}

static uint8_t *
put_v5(uint8_t *to, const Flow *flow, const Router *router,
	   uint32_t first, uint32_t last)
{
	uint32_t	source_as = flow->source_as > 65535 ? AS_TRANS : flow->source_as;
	uint32_t	destination_as = flow->destination_as > 65535 ? AS_TRANS :
		flow->destination_as;

	to = put_octets(to, flow->source, 4);
	to = put_octets(to, flow->destination, 4);
	to = put32(to, 0xc0000201);	/* next hop 192.0.2.1 */
	to = put16(to, (uint16_t) router->interfaces[flow->in].id);
	to = put16(to, (uint16_t) router->interfaces[flow->out].id);
	to = put32(to, flow->packets);
	to = put32(to, flow->octets);
	to = put32(to, first);
	to = put32(to, last);
	to = put16(to, flow->source_port);
	to = put16(to, flow->destination_port);
	to = put8(to, 0);
	to = put8(to, flow->tcp_flags);
	to = put8(to, flow->protocol);
	to = put8(to, flow->tos);
	to = put16(to, (uint16_t) source_as);
	to = put16(to, (uint16_t) destination_as);
	to = put8(to, 24);			/* prefix lengths */
	to = put8(to, 24);
	return put16(to, 0);
}

static uint8_t *
put_v9(uint8_t *to, const Flow *flow, const Router *router,
	   uint32_t first, uint32_t last)
{
	static const uint8_t next_hop[16] = {0x20, 1, 0x0d, 0xb8, 0xff, 0xff, [15] = 1};
	size_t		address = flow->ipv6 ? 16 : 4;

	to = put_octets(to, flow->source, address);
	to = put_octets(to, flow->destination, address);
	to = flow->ipv6 ? put_octets(to, next_hop, 16) : put32(to, 0xc0000201);
	to = put32(to, router->interfaces[flow->in].id);
	to = put32(to, router->interfaces[flow->out].id);
	to = put32(to, flow->octets);
	to = put32(to, flow->packets);
	to = put32(to, first);
	to = put32(to, last);
	to = put16(to, flow->source_port);
	to = put16(to, flow->destination_port);
	to = put8(to, flow->protocol);
	to = put8(to, flow->tos);
	to = put8(to, flow->tcp_flags);
	to = put8(to, flow->ipv6 ? 48 : 24);
	to = put8(to, flow->ipv6 ? 48 : 24);
	to = put8(to, 0);			/* observed where it entered */
	if (flow->ipv6)
	{
		to = put8(to, 0);
		to = put16(to, flow->source_port);
	}
	to = put32(to, flow->source_as);
	return put32(to, flow->destination_as);
}

static uint8_t *
put_ipfix(uint8_t *to, const Flow *flow, const Router *router,
		  int64_t first, int64_t last)
{
	size_t		address = flow->ipv6 ? 16 : 4;

	to = put_octets(to, flow->source, address);
	to = put_octets(to, flow->destination, address);
	to = put32(to, router->interfaces[flow->in].id);
	to = put32(to, router->interfaces[flow->out].id);
	to = flow->ipv6 ? put64(to, flow->octets) : put32(to, flow->octets);
	to = flow->ipv6 ? put64(to, flow->packets) : put32(to, flow->packets);
	to = put64(to, (uint64_t) (first / 1000));
	to = put64(to, (uint64_t) (last / 1000));
	to = put16(to, flow->source_port);
	to = put16(to, flow->destination_port);
	to = put8(to, flow->protocol);
	to = put8(to, flow->tos);
	to = put8(to, flow->tcp_flags);
	to = put8(to, 0);
	to = put32(to, flow->source_as);
	to = put32(to, flow->destination_as);
	return put32(to, router->sample);
}

static uint8_t *
put_record(Exporter *exporter, uint8_t *to, const Flow *flow, int64_t now)
{
	const Router *router = exporter->router;
	int64_t		last = now - flow->age * INT64_C(1000);
	int64_t		first = last - flow->duration * INT64_C(1000);

	if (router->format == FORMAT_SFLOW)
		return sflow_put_sample(to, flow, router, exporter->samples++);
	if (router->format == FORMAT_IPFIX)
		return put_ipfix(to, flow, router, first, last);
	if (router->format == FORMAT_V9)
		return put_v9(to, flow, router, uptime_at(exporter, first),
					  uptime_at(exporter, last));
	return put_v5(to, flow, router, uptime_at(exporter, first),
				  uptime_at(exporter, last));
}

static size_t
record_length(const Exporter *exporter, const Flow *flow)
{
	if (exporter->router->format == FORMAT_V5)
		return V5_RECORD;
	if (exporter->router->format == FORMAT_SFLOW)
		return sflow_sample_length(flow);
	return templates_of(exporter)[flow->ipv6].record;
}

/* Room for the record, the second set's header and padding of both sets. */
static bool
has_room(const Exporter *exporter, const Datagram *datagram, size_t length)
{
	return datagram->records < exporter->options.per_datagram &&
		datagram->records < EXPORTER_RECORDS &&
		datagram->length + exporter->ipv6_length + length + SET_HEADER + 6 <=
		exporter->options.payload;
}

/*
 * What of the flow lies behind the begin: less of it in as much less time, so that the
 * first seconds carry what all others do.  False where nothing does.
 */
static bool
cut_flow(Flow *flow, int64_t begin, int64_t now)
{
	int64_t		lasted = now - begin - flow->age * INT64_C(1000);
	double		part;

	if (lasted < 0)
		return false;
	if (lasted >= flow->duration * INT64_C(1000))
		return true;
	part = (double) lasted / ((double) flow->duration * 1000);
	flow->duration = (uint32_t) (lasted / 1000);
	flow->octets = (uint32_t) (flow->octets * part) + 1;
	flow->packets = (uint32_t) (flow->packets * part) + 1;
	return true;
}

void
exporter_add(Exporter *exporter, const Flow *flow, int64_t now)
{
	size_t		length = record_length(exporter, flow);
	Flow		cut;
	Datagram   *datagram;

	if (!exporter->options.flows_before)
	{
		cut = *flow;
		if (!cut_flow(&cut, exporter->options.begin, now))
			return;
		flow = &cut;
	}
	if (!has_room(exporter, current(exporter), length))
		exporter_finish(exporter, now);
	datagram = current(exporter);
	if (datagram->records == 0)
	{
		if (templates_due(exporter, now))
			queue_templates(exporter, now);
		datagram = current(exporter);
		datagram->time = now;
	}
	datagram->accounts[datagram->records++] = (Account) {
		flow->in, flow->out, flow->octets, flow->packets
	};
	if (flow->ipv6 && has_templates(exporter))
	{
		put_record(exporter, exporter->ipv6 + exporter->ipv6_length, flow, now);
		exporter->ipv6_length += length;
	}
	else
	{
		put_record(exporter, datagram->data + datagram->length, flow, now);
		datagram->length += length;
	}
	if (datagram->records == exporter->options.per_datagram)
		exporter_finish(exporter, now);
}

/* Fills in the set's header; v9 wants sets to end at multiples of four. */
static uint8_t *
close_set(const Exporter *exporter, uint8_t *set, uint8_t *end, uint16_t id)
{
	if (exporter->router->format == FORMAT_V9)
		while ((end - set) % 4 != 0)
			end = put8(end, 0);
	put16(set, id);
	put16(set + 2, (uint16_t) (end - set));
	return end;
}

static void
close_sets(Exporter *exporter, Datagram *datagram)
{
	uint8_t    *set = datagram->data + header_length(exporter);
	uint8_t    *end = datagram->data + datagram->length;

	if (end > set + SET_HEADER)
	{
		end = close_set(exporter, set, end, TEMPLATE_IPV4);
		set = end;
	}
	if (exporter->ipv6_length > 0)
	{
		end = put_octets(set + SET_HEADER, exporter->ipv6, exporter->ipv6_length);
		end = close_set(exporter, set, end, TEMPLATE_IPV6);
	}
	datagram->length = (size_t) (end - datagram->data);
}

void
exporter_finish(Exporter *exporter, int64_t now)
{
	Datagram   *datagram = current(exporter);

	if (exporter->queued == EXPORTER_QUEUE || datagram->records == 0)
		return;
	datagram->time = now;
	if (has_templates(exporter))
		close_sets(exporter, datagram);
	exporter->since_templates++;
	complete(exporter, datagram->records);
}

void
exporter_finish_old(Exporter *exporter, int64_t now)
{
	if (exporter->queued < EXPORTER_QUEUE && current(exporter)->records > 0 &&
		now - current(exporter)->time >= 1000000)
		exporter_finish(exporter, now);
}

/* One flow may complete a datagram, templates and, with one record, itself. */
bool
exporter_full(const Exporter *exporter)
{
	return exporter->queued + 3 > EXPORTER_QUEUE;
}

/* Only complete datagrams go; the one under way moves to the front. */
void
exporter_clear(Exporter *exporter)
{
	Datagram   *begun = current(exporter);

	if (exporter->queued == 0)
		return;
	if (exporter->queued < EXPORTER_QUEUE && begun->records > 0)
	{
		Datagram   *front = &exporter->queue[0];

		front->time = begun->time;
		front->length = begun->length;
		front->records = begun->records;
		front->sent = false;
		memcpy(front->data, begun->data, begun->length);
		memcpy(front->accounts, begun->accounts, begun->records * sizeof(Account));
		exporter->queued = 0;
		return;
	}
	exporter->queued = 0;
	begin_datagram(exporter);
}
