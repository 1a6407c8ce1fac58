/*
 * record.c
 *	  From what a data record says to the flows that it stands for.
 */
#include "record.h"

#include "frame.h"

/* Elements that tell the record's own sampling rate, 34 aside. */
#define RECORD_RATES \
	(STEPS_BIT(ELEMENT_RANDOM_INTERVAL) | STEPS_BIT(ELEMENT_PACKET_INTERVAL) | \
	 STEPS_BIT(ELEMENT_SAMPLING_SIZE) | STEPS_BIT(ELEMENT_SAMPLING_PROBABILITY))

/* Elements that tell of one sampled packet. */
#define RECORD_PACKET \
	(STEPS_BIT(ELEMENT_IP_SECTION) | STEPS_BIT(ELEMENT_FRAME_SECTION) | \
	 STEPS_BIT(ELEMENT_FRAME_SIZE))

void
record_rates_init(RecordRates *rates, const TemplateKey *key)
{
	memset(rates, 0, sizeof(*rates));
	rates->key.address = key->address;
	rates->key.domain = key->domain;
	rates->key.protocol = key->protocol;
}

static double
record_double(uint64_t bits)
{
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

SamplingFields
record_sampling_fields(const StepsRecord *record)
{
	return (SamplingFields) {
		.interval = steps_number(record, ELEMENT_RANDOM_INTERVAL),
		.packet_interval = steps_number(record, ELEMENT_PACKET_INTERVAL),
		.packet_space = steps_number(record, ELEMENT_PACKET_SPACE),
		.has_space = STEPS_HAS(record, ELEMENT_PACKET_SPACE),
		.size = steps_number(record, ELEMENT_SAMPLING_SIZE),
		.population = steps_number(record, ELEMENT_SAMPLING_POPULATION),
		.probability = record_double(steps_number(record, ELEMENT_SAMPLING_PROBABILITY)),
	};
}

/* The rate told for a sampler or an interface, 0 if none was. */
static uint32_t
record_named_rate(Lru *samplers, RecordRates *rates, SamplerKind kind, uint64_t id)
{
	if (!rates->has_named || rates->key.kind != kind || rates->key.id != id)
	{
		rates->key.kind = (uint8_t) kind;
		rates->key.id = id;
		rates->named = sampling_find(samplers, &rates->key);
		rates->has_named = true;
	}
	return rates->named;
}

/*
 * Will nobody tell the rate of a record that says nothing of sampling?  To find out
 * takes a walk over all samplers of the address, so the exporter remembers it.
 */
static inline bool
record_nobody_tells(const Message *message, Exporter *exporter, const RecordRates *rates)
{
	if (exporter->told_version != *message->samplers_version)
	{
		exporter->told = sampling_of_exporter(message->samplers, &rates->key);
		exporter->told_version = *message->samplers_version;
	}
	return exporter->told.rate == 0 && !exporter->told.by_interface;
}

/* The rate told for the exporter, or for the record's interfaces; or 0. */
static uint32_t
record_unnamed_rate(Lru *samplers, const Exporter *exporter, RecordRates *rates, const Flow *flow)
{
	uint32_t	rate = 0;

	if (exporter->told.rate != 0 || !exporter->told.by_interface)
		return exporter->told.rate;
	if (FLOW_HAS(flow, FLOW_IN_IF))
		rate = record_named_rate(samplers, rates, SAMPLER_OF_INTERFACE, flow->in_if);
	if (rate == 0 && FLOW_HAS(flow, FLOW_OUT_IF))
		rate = record_named_rate(samplers, rates, SAMPLER_OF_INTERFACE, flow->out_if);
	return rate;
}

static void
record_set_rate(Flow *flow, uint32_t rate, FlowSamplingOrigin origin)
{
	if (rate == 0)
		return;
	flow->sampling = rate;
	flow->sampling_origin = (uint8_t) origin;
	flow->present |= FLOW_BIT(FLOW_SAMPLING);
}


/* The rate of a flow whose record does not tell it; 0 for a sampler that is not named. */
static void
record_find_told_rate(const Message *message, Exporter *exporter, RecordRates *rates,
					  bool has_sampler, uint64_t sampler, Flow *flow)
{
	if (has_sampler)
		record_set_rate(flow, record_named_rate(message->samplers, rates, SAMPLER_OF_ID, sampler),
						FLOW_SAMPLING_SAMPLER);
	if (!FLOW_HAS(flow, FLOW_SAMPLING) && !record_nobody_tells(message, exporter, rates))
		record_set_rate(flow, record_unnamed_rate(message->samplers, exporter, rates, flow),
						FLOW_SAMPLING_EXPORTER);
	if (!FLOW_HAS(flow, FLOW_SAMPLING) && sampler != 0)
		exporter->errors[DECODE_UNKNOWN_SAMPLER]++;
}

/* A record without element 34: from the first source that knows. */
static void
record_find_rate(const Message *message, Exporter *exporter, RecordRates *rates,
				 StepsRecord *record)
{
	Flow	   *flow = &record->flow;

	if ((record->has & RECORD_RATES) != 0)
	{
		SamplingFields fields = record_sampling_fields(record);

		record_set_rate(flow, sampling_rate(&fields), FLOW_SAMPLING_RECORD);
	}
	if (!FLOW_HAS(flow, FLOW_SAMPLING))
		record_find_told_rate(message, exporter, rates, STEPS_HAS(record, ELEMENT_SAMPLER),
							  steps_number(record, ELEMENT_SAMPLER), flow);
}

/* The start of the sampled packet; empty where it is not the start. */
static Packet
record_section(const StepsRecord *record, ElementUse use)
{
	Packet		section = steps_octets(record, use);
	Packet		part;

	if (steps_number(record, ELEMENT_SECTION_OFFSET) != 0)
		return packet_init(NULL, 0);

	/* A field of fixed length is filled up behind what was exported. */
	if (STEPS_HAS(record, ELEMENT_SECTION_SIZE) &&
		steps_number(record, ELEMENT_SECTION_SIZE) < packet_left(&section) &&
		packet_part(&section, (size_t) steps_number(record, ELEMENT_SECTION_SIZE), &part))
		return part;
	return section;
}

static void
record_read_frame(const StepsRecord *record, Frame *frame)
{
	if (STEPS_HAS(record, ELEMENT_IP_SECTION))
		frame_read_ip(record_section(record, ELEMENT_IP_SECTION), frame);
	else
		frame_read_ethernet(record_section(record, ELEMENT_FRAME_SECTION), frame);
}

/*
 * One packet: its octets are those of the IP packet, as in all other records
 * (RFC 7012, octetDeltaCount), and those of the frame only where there is no IP
 * in it, because then nothing else tells its size.
 */
static void
record_set_length(const StepsRecord *record, const Frame *frame, Flow *flow)
{
	uint64_t	octets = frame->ip_length != 0 ? frame->ip_length :
		steps_number(record, ELEMENT_FRAME_SIZE);

	if (FLOW_HAS(flow, FLOW_BYTES) || octets == 0)
		return;
	flow->bytes = octets;
	flow->present |= FLOW_BIT(FLOW_BYTES);
	if (!FLOW_HAS(flow, FLOW_PACKETS))
	{
		flow->packets = 1;
		flow->present |= FLOW_BIT(FLOW_PACKETS);
	}
}

static void
record_set_addresses(const Frame *frame, Flow *flow)
{
	if (frame->family == 0 || (flow->family != 0 && flow->family != frame->family))
		return;
	flow->family = frame->family;
	if (!FLOW_HAS(flow, FLOW_SRC_ADDR))
		flow->src_addr = frame->source;
	if (!FLOW_HAS(flow, FLOW_DST_ADDR))
		flow->dst_addr = frame->destination;
	flow->present |= FLOW_BIT(FLOW_SRC_ADDR) | FLOW_BIT(FLOW_DST_ADDR);
}

/* What the record lacks, from the start of the packet that it was made of. */
static void
record_read_packet(StepsRecord *record)
{
	Frame		frame;

	record_read_frame(record, &frame);
	record_set_length(record, &frame, &record->flow);
	record_set_addresses(&frame, &record->flow);
}

/* "present" with two fields changed over. */
static uint32_t
record_swap(uint32_t present, FlowField a, FlowField b)
{
	uint32_t	both = FLOW_BIT(a) | FLOW_BIT(b);
	uint32_t	swapped = ((present & FLOW_BIT(a)) != 0 ? FLOW_BIT(b) : 0) |
		((present & FLOW_BIT(b)) != 0 ? FLOW_BIT(a) : 0);

	return (present & ~both) | swapped;
}

/* Everything that has a side, changed over. */
static void
record_turn_round(const Flow *flow, Flow *turned)
{
	turned->present = record_swap(flow->present, FLOW_IN_IF, FLOW_OUT_IF);
	turned->present = record_swap(turned->present, FLOW_SRC_AS, FLOW_DST_AS);
	turned->present = record_swap(turned->present, FLOW_SRC_ADDR, FLOW_DST_ADDR);
	turned->present = record_swap(turned->present, FLOW_IN_VLAN, FLOW_OUT_VLAN);
	turned->in_if = flow->out_if;
	turned->out_if = flow->in_if;
	turned->src_as = flow->dst_as;
	turned->dst_as = flow->src_as;
	turned->src_addr = flow->dst_addr;
	turned->dst_addr = flow->src_addr;
	turned->in_vlan = flow->out_vlan;
	turned->out_vlan = flow->in_vlan;
}

/*
 * The other direction of a biflow (RFC 5103): the record with its sides changed
 * over, and its own counters.  Times that the exporter does not tell apart are
 * those of both.
 *
 * Field 61 is not turned: it tells where the packets of the forward direction
 * were observed, and RFC 5103 (section 3) has both directions observed at one
 * point without saying whether the other one left or entered there.  So it is
 * there only when the exporter sent it for the other direction.
 */
static void
record_make_reverse(const StepsRecord *record, Flow *flow)
{
	const Flow *counters = &record->reverse;
	uint32_t	own = FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) | FLOW_BIT(FLOW_DIRECTION);

	*flow = record->flow;
	record_turn_round(&record->flow, flow);
	flow->reverse = true;
	flow->bytes = counters->bytes;
	flow->packets = counters->packets;
	flow->direction = counters->direction;
	flow->present = (flow->present & ~own) | (counters->present & own);
	if (FLOW_HAS(counters, FLOW_FIRST))
		flow->first = counters->first;
	if (FLOW_HAS(counters, FLOW_LAST))
		flow->last = counters->last;
	flow->present |= counters->present & (FLOW_BIT(FLOW_FIRST) | FLOW_BIT(FLOW_LAST));
}

static void
record_emit_flow(Message *message, Exporter *exporter, const Flow *flow)
{
	*message_place(message) = *flow;
	message_emit(message, exporter);
}

void
record_emit(Message *message, Exporter *exporter, RecordRates *rates, StepsRecord *record)
{
	Flow		reverse;

	if ((record->has & RECORD_PACKET) != 0)
		record_read_packet(record);
	if (!FLOW_HAS(&record->flow, FLOW_SAMPLING) &&
		(record->has != 0 || !record_nobody_tells(message, exporter, rates)))
		record_find_rate(message, exporter, rates, record);
	record_emit_flow(message, exporter, &record->flow);
	if (FLOW_HAS(&record->reverse, FLOW_BYTES) && record->reverse.bytes != 0)
	{
		record_make_reverse(record, &reverse);
		record_emit_flow(message, exporter, &reverse);
	}
}

void
record_emit_columns(Message *message, Exporter *exporter, RecordRates *rates,
					const StepsColumns *columns)
{
	if (columns->has_samplers || !record_nobody_tells(message, exporter, rates))
	{
		for (uint32_t i = 0; i < columns->count; i++)
		{
			if (!FLOW_HAS(&columns->flows[i], FLOW_SAMPLING))
				record_find_told_rate(message, exporter, rates, columns->has_samplers,
									  columns->has_samplers ? columns->samplers[i] : 0,
									  &columns->flows[i]);
		}
	}
	message_emit_whole(message, exporter, columns->count);
}
