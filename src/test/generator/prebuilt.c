/*
 * prebuilt.c
 *	  Datagrams that are written once and made new.
 *
 * The exporter writes them; where in them is what, their headers and templates
 * tell, as they would a collector.  Octets and packets stay as they are, so that
 * the account of a datagram does too.
 */
#include "prebuilt.h"

#include <stdio.h>
#include <stdlib.h>

#include "put.h"

#define V5_HEADER			24
#define V5_RECORD			48
#define V5_TIMES			24
#define V5_SOURCE_AS		40
#define V9_HEADER			20
#define IPFIX_HEADER		16
#define SFLOW_HEADER		28
#define SET_HEADER			4

#define SFLOW_GATEWAY		56		/* octets at the end of a sample */
#define SFLOW_SOURCE_AS		20		/* in these; the source's peer follows */
#define SFLOW_DESTINATION_AS	44

#define FIRST_TEMPLATE		256
#define AS_TRANS			23456	/* RFC 6793 */

/* Elements */
#define SOURCE_AS			16
#define DESTINATION_AS		17
#define FIRST_UPTIME		22
#define FIRST_MILLISECONDS	152

typedef struct Layout
{
	uint16_t	record;			/* octets of a record */
	uint16_t	times;
	uint16_t	source_as;
	uint16_t	destination_as;
} Layout;

static uint32_t
get16(const uint8_t *from)
{
	return (uint32_t) from[0] << 8 | from[1];
}

static uint32_t
get32(const uint8_t *from)
{
	return get16(from) << 16 | get16(from + 2);
}

static uint64_t
get64(const uint8_t *from)
{
	return (uint64_t) get32(from) << 32 | get32(from + 4);
}

/*
 * Where things are.
 */

static uint32_t
header_length(Format format)
{
	return format == FORMAT_V9 ? V9_HEADER : IPFIX_HEADER;
}

/* Reads one template; returns its octets. */
static uint32_t
read_template(const uint8_t *template, Layout *layout)
{
	uint32_t	count = get16(template + 2);
	uint16_t	offset = 0;

	for (uint32_t i = 0; i < count; i++)
	{
		const uint8_t *field = template + 4 + 4 * i;

		switch (get16(field))
		{
			case FIRST_UPTIME:
			case FIRST_MILLISECONDS:
				layout->times = offset;
				break;
			case SOURCE_AS:
				layout->source_as = offset;
				break;
			case DESTINATION_AS:
				layout->destination_as = offset;
				break;
		}
		offset += (uint16_t) get16(field + 2);
	}
	layout->record = offset;
	return 4 + 4 * count;
}

static void
take_templates(Prebuilt *prebuilt, const Datagram *datagram, Layout layouts[2])
{
	uint32_t	place = header_length(prebuilt->format) + SET_HEADER;

	if (datagram->length > PREBUILT_TEMPLATES_MOST)
	{
		fprintf(stderr, "generator: the templates are too long\n");
		exit(1);
	}
	memcpy(prebuilt->templates, datagram->data, datagram->length);
	prebuilt->templates_length = (uint32_t) datagram->length;
	prebuilt->templates_time = datagram->time / 1000;
	for (int i = 0; i < 2; i++)
	{
		prebuilt->template_places[i] = (uint16_t) place;
		place += read_template(prebuilt->templates + place, &layouts[i]);
	}
}

/* On one side of every record is our own AS; the other one is to change. */
static uint16_t
remote_place(const uint8_t *data, uint32_t source, uint32_t destination, uint32_t octets)
{
	uint32_t	as = octets == 2 ? get16(data + source) : get32(data + source);

	return (uint16_t) (as == NETWORK_OWN_ASN ? destination : source);
}

static void
find_v5(PrebuiltDatagram *datagram)
{
	for (uint32_t i = 0; i < datagram->records; i++)
	{
		uint32_t	record = V5_HEADER + i * V5_RECORD;

		datagram->places[i] = (PrebuiltRecord) {
			(uint16_t) (record + V5_TIMES),
			remote_place(datagram->data, record + V5_SOURCE_AS, record + V5_SOURCE_AS + 2, 2)
		};
	}
}

static void
find_sets(PrebuiltDatagram *datagram, uint32_t header, const Layout layouts[2])
{
	uint32_t	found = 0;

	for (uint32_t set = header; set < datagram->length;)
	{
		uint32_t	version = get16(datagram->data + set) - FIRST_TEMPLATE;
		uint32_t	end = set + get16(datagram->data + set + 2);
		const Layout *layout = &layouts[version];

		datagram->sets[version] = (uint16_t) set;
		for (uint32_t record = set + SET_HEADER; record + layout->record <= end;
			 record += layout->record)
			datagram->places[found++] = (PrebuiltRecord) {
				(uint16_t) (record + layout->times),
				remote_place(datagram->data, record + layout->source_as,
							 record + layout->destination_as, 4)
			};
		set = end;
	}
}

static void
find_sflow(PrebuiltDatagram *datagram)
{
	uint32_t	end = SFLOW_HEADER;

	for (uint32_t i = 0; i < datagram->records; i++)
	{
		uint32_t	gateway;

		end += 8 + get32(datagram->data + end + 4);
		gateway = end - SFLOW_GATEWAY;
		datagram->places[i].remote_as =
			remote_place(datagram->data, gateway + SFLOW_SOURCE_AS,
						 gateway + SFLOW_DESTINATION_AS, 4);
	}
}

static void
find_places(Prebuilt *prebuilt, PrebuiltDatagram *datagram, const Layout layouts[2])
{
	switch (prebuilt->format)
	{
		case FORMAT_V5:
			find_v5(datagram);
			break;
		case FORMAT_SFLOW:
			find_sflow(datagram);
			break;
		default:
			find_sets(datagram, header_length(prebuilt->format), layouts);
			break;
	}
}

/*
 * Building.
 */

static void
take_datagram(Prebuilt *prebuilt, PrebuiltDatagram *to, const Datagram *from,
			  const Layout layouts[2])
{
	to->data = allocate(from->length, 1);
	memcpy(to->data, from->data, from->length);
	to->length = (uint32_t) from->length;
	to->records = from->records;
	to->time = from->time / 1000;
	to->accounts = allocate(from->records, sizeof(Account));
	memcpy(to->accounts, from->accounts, from->records * sizeof(Account));
	to->places = allocate(from->records, sizeof(PrebuiltRecord));
	find_places(prebuilt, to, layouts);
}

Prebuilt *
prebuilt_create(const Network *network, Random *random, Exporter *exporter, Format format)
{
	Prebuilt   *prebuilt = allocate(1, sizeof(Prebuilt));
	Layout		layouts[2];
	uint32_t	count = 0;
	int64_t		now = exporter->options.begin;
	Flow		flow;

	prebuilt->network = network;
	prebuilt->format = format;
	while (count < PREBUILT_COUNT)
	{
		network_draw(network, random, &flow);
		exporter_add(exporter, &flow, now);
		for (uint32_t i = 0; i < exporter->queued && count < PREBUILT_COUNT; i++)
		{
			if (exporter->queue[i].records > 0)
				take_datagram(prebuilt, &prebuilt->all[count++], &exporter->queue[i], layouts);
			else if (prebuilt->templates_length == 0)
				take_templates(prebuilt, &exporter->queue[i], layouts);
		}
		exporter_clear(exporter);
	}
	return prebuilt;
}

/*
 * Making new.
 */

static void
add32(uint8_t *at, int64_t milliseconds)
{
	put32(at, get32(at) + (uint32_t) milliseconds);
}

static void
add64(uint8_t *at, int64_t milliseconds)
{
	put64(at, get64(at) + (uint64_t) milliseconds);
}

/* sysUptime grows by so many milliseconds. */
static void
renew_header(Format format, uint8_t *data, const PrebuiltSender *sender, int64_t now,
			 int64_t later)
{
	uint32_t	seconds = (uint32_t) (now / 1000000);

	switch (format)
	{
		case FORMAT_V5:
			add32(data + 4, later);
			put32(data + 8, seconds);
			put32(data + 12, (uint32_t) (now % 1000000) * 1000);
			put32(data + 16, sender->sequence);
			break;
		case FORMAT_V9:
			add32(data + 4, later);
			put32(data + 8, seconds);
			put32(data + 12, sender->sequence);
			break;
		case FORMAT_IPFIX:
			put32(data + 4, seconds);
			put32(data + 8, sender->sequence);
			break;
		case FORMAT_SFLOW:
			put_octets(data + 8, sender->address, 4);
			put32(data + 16, sender->sequence);
			add32(data + 20, later);
			break;
	}
}

static void
renew_times(Format format, PrebuiltDatagram *datagram, int64_t later)
{
	for (uint32_t i = 0; i < datagram->records; i++)
	{
		uint8_t    *times = datagram->data + datagram->places[i].times;

		if (format == FORMAT_IPFIX)
		{
			add64(times, later);
			add64(times + 8, later);
		}
		else
		{
			add32(times, later);
			add32(times + 4, later);
		}
	}
}

static void
renew_ases(const Prebuilt *prebuilt, PrebuiltDatagram *datagram, Random *random)
{
	for (uint32_t i = 0; i < datagram->records; i++)
	{
		uint8_t    *at = datagram->data + datagram->places[i].remote_as;
		uint32_t	as = network_draw_asn(prebuilt->network, random);

		if (prebuilt->format == FORMAT_V5)
			put16(at, (uint16_t) (as > 65535 ? AS_TRANS : as));
		else
			put32(at, as);
	}
}

/* Pairs have the ids 256 and 257, 258 and 259, and so on. */
static void
renew_sets(PrebuiltDatagram *datagram, uint32_t pair)
{
	for (uint32_t i = 0; i < 2; i++)
	{
		if (datagram->sets[i] != 0)
			put16(datagram->data + datagram->sets[i],
				  (uint16_t) (FIRST_TEMPLATE + 2 * pair + i));
	}
}

const PrebuiltDatagram *
prebuilt_peek(const Prebuilt *prebuilt)
{
	return &prebuilt->all[prebuilt->turn];
}

const PrebuiltDatagram *
prebuilt_next(Prebuilt *prebuilt, PrebuiltSender *sender, uint32_t pair, int64_t now,
			  Random *random)
{
	Format		format = prebuilt->format;
	PrebuiltDatagram *datagram = &prebuilt->all[prebuilt->turn];
	int64_t		later = now / 1000 - datagram->time;

	prebuilt->turn = (prebuilt->turn + 1) % PREBUILT_COUNT;
	datagram->time += later;
	renew_header(format, datagram->data, sender, now, later);
	if (format != FORMAT_SFLOW)
		renew_times(format, datagram, later);
	renew_ases(prebuilt, datagram, random);
	renew_sets(datagram, pair);
	/* v5 and IPFIX count records, v9 and sFlow datagrams. */
	sender->sequence += format == FORMAT_V5 || format == FORMAT_IPFIX ? datagram->records : 1;
	return datagram;
}

uint32_t
prebuilt_templates(const Prebuilt *prebuilt, PrebuiltSender *sender, uint32_t pair,
				   int64_t now, uint8_t *to)
{
	memcpy(to, prebuilt->templates, prebuilt->templates_length);
	renew_header(prebuilt->format, to, sender, now, now / 1000 - prebuilt->templates_time);
	for (uint32_t i = 0; i < 2; i++)
		put16(to + prebuilt->template_places[i], (uint16_t) (FIRST_TEMPLATE + 2 * pair + i));
	if (prebuilt->format == FORMAT_V9)
		sender->sequence++;
	return prebuilt->templates_length;
}
