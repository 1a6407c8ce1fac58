/*
 * subject.c
 *	  A decoder, of which every promise is checked with every datagram.
 */
#include "subject.h"

#include "check.h"
#include "sampling.h"
#include "times.h"

/* Whatever was in the memory before must not matter. */
#define SUBJECT_JUNK	0xa5

void
subject_init(Subject *subject, const DecoderLimits *limits)
{
	size_t		size = decoder_size(limits);

	if (subject->memory == NULL || memcmp(&subject->limits, limits, sizeof(*limits)) != 0)
	{
		/* Of just that size, so that ASan sees every step beyond. */
		free(subject->memory);
		subject->memory = malloc(size);
		CHECK(subject->memory != NULL);
		subject->limits = *limits;
	}
	memset(subject->memory, SUBJECT_JUNK, size);
	subject->decoder = decoder_init(subject->memory, limits);
}

static void
subject_digest(Subject *subject, const void *octets, size_t length)
{
	const uint8_t *octet = octets;

	for (size_t i = 0; i < length; i++)
		subject->digest = (subject->digest ^ octet[i]) * UINT64_C(1099511628211);
}

#define DIGEST(subject, value)	subject_digest(subject, &(value), sizeof(value))

#define DIGEST_FIELD(subject, flow, field, member) \
	do { \
		if (FLOW_HAS(flow, field)) \
			DIGEST(subject, (flow)->member); \
	} while (0)

static void
subject_digest_flow(Subject *subject, const Flow *flow)
{
	DIGEST(subject, flow->present);
	DIGEST(subject, flow->protocol);
	DIGEST(subject, flow->family);
	DIGEST(subject, flow->sampling_origin);
	DIGEST(subject, flow->reverse);
	DIGEST(subject, flow->domain);
	DIGEST(subject, flow->received);
	DIGEST(subject, flow->exported);
	DIGEST_FIELD(subject, flow, FLOW_BYTES, bytes);
	DIGEST_FIELD(subject, flow, FLOW_PACKETS, packets);
	DIGEST_FIELD(subject, flow, FLOW_IN_IF, in_if);
	DIGEST_FIELD(subject, flow, FLOW_OUT_IF, out_if);
	DIGEST_FIELD(subject, flow, FLOW_SRC_AS, src_as);
	DIGEST_FIELD(subject, flow, FLOW_DST_AS, dst_as);
	DIGEST_FIELD(subject, flow, FLOW_SRC_ADDR, src_addr);
	DIGEST_FIELD(subject, flow, FLOW_DST_ADDR, dst_addr);
	DIGEST_FIELD(subject, flow, FLOW_IN_VLAN, in_vlan);
	DIGEST_FIELD(subject, flow, FLOW_OUT_VLAN, out_vlan);
	DIGEST_FIELD(subject, flow, FLOW_SAMPLING, sampling);
	DIGEST_FIELD(subject, flow, FLOW_FIRST, first);
	DIGEST_FIELD(subject, flow, FLOW_LAST, last);
	DIGEST_FIELD(subject, flow, FLOW_DIRECTION, direction);
}

static bool
subject_is_protocol(uint8_t protocol)
{
	return protocol == FLOW_NETFLOW_V1 || protocol == FLOW_NETFLOW_V5 ||
		(protocol >= FLOW_NETFLOW_V7 && protocol <= FLOW_IPFIX) || protocol == FLOW_SFLOW_V5;
}

static bool
subject_has_templates(uint8_t protocol)
{
	return protocol == FLOW_NETFLOW_V9 || protocol == FLOW_IPFIX;
}

static bool
subject_is_time(int64_t time)
{
	return time >= -TIMES_LIMIT && time <= TIMES_LIMIT;
}

static void
subject_flow(Subject *subject, const Flow *flow)
{
	CHECK(flow->present < FLOW_BIT(FLOW_DIRECTION + 1));
	CHECK(subject_is_protocol(flow->protocol));
	CHECK(flow->family == 0 || flow->family == 4 || flow->family == 6);
	CHECK(FLOW_HAS(flow, FLOW_SAMPLING) == (flow->sampling_origin != FLOW_SAMPLING_UNKNOWN));
	CHECK(flow->sampling_origin <= FLOW_SAMPLING_HEADER);
	CHECK(!FLOW_HAS(flow, FLOW_SAMPLING) || flow->sampling > 0);
	CHECK(!FLOW_HAS(flow, FLOW_DIRECTION) || flow->direction <= 1);
	CHECK(!FLOW_HAS(flow, FLOW_FIRST) || subject_is_time(flow->first));
	CHECK(!FLOW_HAS(flow, FLOW_LAST) || subject_is_time(flow->last));
	CHECK(subject_is_time(flow->exported));
	/* only data that has waited is older than its datagram */
	CHECK(flow->received == subject->datagram->received ||
		  subject_has_templates(flow->protocol));
	CHECK(!flow->reverse || (subject_has_templates(flow->protocol) &&
							 FLOW_HAS(flow, FLOW_BYTES) && flow->bytes > 0));

	subject->flows++;
	subject_digest_flow(subject, flow);
	if (subject->flow != NULL)
		subject->flow(subject->context, subject->datagram, flow);
}

static void
subject_flows(void *context, const Flow *flows, uint32_t count)
{
	CHECK(count >= 1 && count <= FLOW_BATCH);
	for (uint32_t i = 0; i < count; i++)
		subject_flow(context, &flows[i]);
}

static void
subject_counters(void *context, const FlowCounters *counters)
{
	Subject    *subject = context;

	DIGEST(subject, counters->id);
	DIGEST(subject, counters->has_packets);
	DIGEST(subject, counters->in_octets);
	DIGEST(subject, counters->out_octets);
	DIGEST(subject, counters->speed);
	if (!counters->has_packets)
		return;
	DIGEST(subject, counters->in_packets);
	DIGEST(subject, counters->out_packets);
}

/* Terminated, and without control characters. */
static void
subject_check_name(const char *name)
{
	const char *end = memchr(name, '\0', FLOW_NAME_SIZE);

	CHECK(end != NULL);
	for (const char *c = name; c < end; c++)
		CHECK((unsigned char) *c >= 0x20 && *c != 0x7f);
	CHECK(end == name || end[-1] != ' ');
}

static void
subject_interface(void *context, const FlowInterface *interface)
{
	Subject    *subject = context;

	subject_check_name(interface->name);
	subject_check_name(interface->description);
	CHECK(interface->name[0] != '\0' || interface->description[0] != '\0');
	DIGEST(subject, interface->id);
	subject_digest(subject, interface->name, strlen(interface->name));
	subject_digest(subject, interface->description, strlen(interface->description));
}

/* One more than its capacity when a stranger came to a full table (lru.h). */
static bool
subject_has_bounds(const Lru *lru)
{
	return lru_count(lru) <= lru_capacity(lru) + 1;
}

static void
subject_check_exporters(const Decoder *decoder)
{
	uint32_t	position = 0;
	const Exporter *exporter;
	uint64_t	waiting = 0;
	uint64_t	records = 0;

	while ((exporter = lru_next(decoder->exporters, &position)) != NULL)
	{
		CHECK(exporter->datagrams > 0);
		CHECK(exporter->no_octets <= exporter->records);
		CHECK(exporter->sampling_origin <= FLOW_SAMPLING_HEADER);
		CHECK((exporter->sampling == 0) == (exporter->sampling_origin == FLOW_SAMPLING_UNKNOWN));
		CHECK(exporter->waiting_sets == 0 || subject_has_templates(exporter->protocol));
		waiting += exporter->waiting_sets;
		records += exporter->records;
	}
	CHECK(records <= decoder->records);
	CHECK(waiting <= pending_count(decoder->pending));
	if (lru_evictions(decoder->exporters) == 0)
	{
		CHECK(records == decoder->records);
		CHECK(waiting == pending_count(decoder->pending));
	}
}

static void
subject_check_tables(const Decoder *decoder)
{
	CHECK(subject_has_bounds(decoder->exporters));
	CHECK(subject_has_bounds(decoder->samplers));
	CHECK(subject_has_bounds(decoder->templates->all));
	CHECK(subject_has_bounds(decoder->templates->owners));
	CHECK(lru_count(decoder->templates->owners) <= lru_count(decoder->templates->all));
	subject_check_exporters(decoder);
}

/* Memory of just that many octets; of none, there is none to read. */
static uint8_t *
subject_copy(const uint8_t *data, size_t length)
{
	uint8_t    *copy = malloc(length > 0 ? length : 1);

	CHECK(copy != NULL);
	if (length > 0)
		memcpy(copy, data, length);
	return copy;
}

size_t
subject_decode(Subject *subject, const Datagram *datagram, bool may_continue)
{
	FlowSinks	sinks = {
		.context = subject,
		.flows = subject_flows,
		.counters = subject_counters,
		.interface = subject_interface,
	};
	Decoder    *decoder = subject->decoder;
	uint64_t	datagrams = decoder->datagrams;
	uint64_t	records = decoder->records;
	uint8_t    *copy = subject_copy(datagram->data, datagram->length);
	Datagram	copied = *datagram;
	size_t		consumed;

	copied.data = datagram->length > 0 ? copy : copy + 1;
	subject->datagram = &copied;
	subject->flows = 0;
	subject->digest = UINT64_C(14695981039346656037);
	consumed = decode_datagram(decoder, &copied, may_continue, &sinks);
	subject->datagram = NULL;
	free(copy);

	CHECK(consumed <= datagram->length);
	CHECK(decoder->datagrams == datagrams + 1);
	CHECK(decoder->records == records + subject->flows);
	subject_check_tables(decoder);
	return consumed;
}

static void
subject_check_template(TemplateTable *loaded, const Template *saved)
{
	TemplateKey key = {
		.address = saved->address,
		.domain = saved->domain,
		.port = saved->port,
		.id = saved->id,
		.protocol = saved->protocol,
		.known = saved->link.class == LRU_KNOWN,
	};
	const Template *template = template_find(loaded, &key);

	CHECK(template != NULL);
	CHECK(template->port == saved->port);
	CHECK(template->link.class == saved->link.class);
	CHECK(template->options == saved->options);
	CHECK(template->has_variable == saved->has_variable);
	CHECK(template->plain == saved->plain);
	CHECK(template->family == saved->family);
	CHECK(template->present == saved->present);
	CHECK(template->reverse_present == saved->reverse_present);
	CHECK(template->field_count == saved->field_count);
	CHECK(template->record_length == saved->record_length);
	CHECK(template->tail_length == saved->tail_length);
	CHECK(template->first_seen == saved->first_seen);
	CHECK(template->last_seen == saved->last_seen);
	CHECK(template->records == saved->records);
	CHECK(template->step_count == saved->step_count);
	CHECK(memcmp(template->steps, saved->steps,
				 saved->step_count * sizeof(saved->steps[0])) == 0);
}

static void
subject_check_loaded(const Decoder *saved, Decoder *loaded)
{
	uint32_t	position = 0;
	const Template *template;
	const Sampler *sampler;

	CHECK(lru_count(loaded->templates->all) == lru_count(saved->templates->all));
	CHECK(lru_count(loaded->samplers) == lru_count(saved->samplers));
	while ((template = lru_next(saved->templates->all, &position)) != NULL)
		subject_check_template(loaded->templates, template);
	position = 0;
	while ((sampler = lru_next(saved->samplers, &position)) != NULL)
		CHECK(sampling_find(loaded->samplers, &sampler->key) == sampler->rate);
}

/*
 * Can all of it be put into an empty table?  There is one entry more than there
 * should be when a stranger came to a table full of known ones, and there are too
 * many strangers when known ones have become strangers (lru.h).
 */
static bool
subject_fits(const Lru *lru)
{
	uint32_t	quarter = lru_capacity(lru) / 4;
	uint32_t	strangers = 0;
	uint32_t	position = 0;
	const LruLink *link;

	while ((link = lru_next(lru, &position)) != NULL)
		strangers += link->class == LRU_STRANGER;
	return lru_count(lru) <= lru_capacity(lru) && strangers <= (quarter > 0 ? quarter : 1);
}

void
subject_restart(const Subject *from, Subject *to)
{
	size_t		size = decoder_save(from->decoder, NULL, 0);
	uint8_t    *image = malloc(size);

	CHECK(image != NULL);
	CHECK(decoder_save(from->decoder, image, size) == size);
	subject_init(to, &from->limits);
	CHECK(decoder_load(to->decoder, image, size));
	free(image);
	if (subject_fits(from->decoder->templates->all) && subject_fits(from->decoder->samplers))
		subject_check_loaded(from->decoder, to->decoder);
	subject_check_tables(to->decoder);
}

bool
subject_is_complete(const Subject *subject)
{
	const Decoder *decoder = subject->decoder;

	return lru_evictions(decoder->templates->all) == 0 && decoder->templates->pushed_out == 0 &&
		lru_evictions(decoder->samplers) == 0;
}
