/*
 * decode.c
 *	  One datagram in, its flow records to the sink: looks at the version and
 *	  calls the format.
 */
#include "decode.h"

#include "ipfix.h"
#include "message.h"
#include "netflow5.h"
#include "netflow8.h"
#include "sampling.h"
#include "sflow.h"

/* FlowProtocols from here on are sFlow's, whose version 5 is FLOW_SFLOW_V5. */
#define DECODE_SFLOW	100
#define DECODE_SFLOW_V5 (FLOW_SFLOW_V5 - DECODE_SFLOW)

typedef struct DecodeFormat
{
	uint16_t	version;
	MessageDecoder decode;
} DecodeFormat;

static const DecodeFormat decode_formats[] = {
	{FLOW_IPFIX, ipfix_decode},
	{FLOW_NETFLOW_V9, ipfix_decode},
	{FLOW_SFLOW_V5, sflow_decode},
	{FLOW_NETFLOW_V5, netflow5_decode},
	{FLOW_NETFLOW_V1, netflow5_decode},
	{FLOW_NETFLOW_V7, netflow5_decode},
	{FLOW_NETFLOW_V8, netflow8_decode},
};

#define DECODE_FORMATS	(sizeof(decode_formats) / sizeof(decode_formats[0]))

static size_t
decoder_align(size_t size)
{
	return (size + 15) / 16 * 16;
}

size_t
decoder_size(const DecoderLimits *limits)
{
	return decoder_align(sizeof(Decoder)) +
		decoder_align(lru_size(limits->exporters, sizeof(Exporter))) +
		decoder_align(lru_size(limits->samplers, sizeof(Sampler))) +
		decoder_align(template_table_size(limits->templates)) +
		pending_size(limits->pending);
}

Decoder *
decoder_init(void *memory, const DecoderLimits *limits)
{
	Decoder    *decoder = memory;
	char	   *rest = (char *) memory + decoder_align(sizeof(Decoder));

	memset(decoder, 0, sizeof(*decoder));
	decoder->exporters = lru_init(rest, limits->exporters, sizeof(Exporter));
	rest += decoder_align(lru_size(limits->exporters, sizeof(Exporter)));
	decoder->samplers = lru_init(rest, limits->samplers, sizeof(Sampler));
	rest += decoder_align(lru_size(limits->samplers, sizeof(Sampler)));
	decoder->templates = template_table_init(rest, limits->templates);
	rest += decoder_align(template_table_size(limits->templates));
	decoder->pending = pending_init(rest, limits->pending);
	decoder->samplers_version = 1;
	return decoder;
}

/* NULL for a version that we do not know. */
static MessageDecoder
decode_find_format(uint16_t version)
{
	for (size_t i = 0; i < DECODE_FORMATS; i++)
		if (decode_formats[i].version == version)
			return decode_formats[i].decode;
	return NULL;
}

/* A message of which not even the format is known. */
static size_t
decode_fail(Message *message, DecodeError error)
{
	message_exporter(message, 0, 0)->errors[error]++;
	return 0;
}

/*
 * The FlowProtocol.  NetFlow's and IPFIX's version has 16 bits; sFlow's has 32,
 * so that it looks like a version 0.  Numbers of sFlow's in FlowProtocol are no
 * versions that a datagram can have.
 */
PACKET_MUST_CHECK static bool
decode_read_version(Packet packet, uint16_t *version)
{
	uint16_t	second;

	if (!packet_u16(&packet, version))
		return false;
	if (*version >= DECODE_SFLOW)
		*version = 0;
	else if (*version == 0)
	{
		if (!packet_u16(&packet, &second))
			return false;
		if (second == DECODE_SFLOW_V5)
			*version = FLOW_SFLOW_V5;
	}
	return true;
}

static size_t
decode_message(Message *message)
{
	uint16_t	version;
	MessageDecoder decode;

	if (!decode_read_version(message->packet, &version))
		return decode_fail(message, DECODE_SHORT);
	decode = decode_find_format(version);
	if (decode == NULL)
		return decode_fail(message, DECODE_UNKNOWN_VERSION);
	return decode(message);
}

size_t
decode_datagram(Decoder *decoder, const Datagram *datagram, bool may_continue,
				const FlowSinks *sinks)
{
	Message		message = {
		.packet = packet_init(datagram->data, datagram->length),
		.source = &datagram->source,
		.port = datagram->port,
		.known = datagram->known,
		.may_continue = may_continue,
		.received = datagram->received,
		.exporters = decoder->exporters,
		.samplers = decoder->samplers,
		.samplers_version = &decoder->samplers_version,
		.templates = decoder->templates,
		.pending = decoder->pending,
		.sinks = sinks,
		.batch = &decoder->batch,
	};
	PendingDrop drop = message_drop(&message);
	size_t		consumed;

	pending_expire(decoder->pending, datagram->received, &drop);
	consumed = decode_message(&message);
	message_flush(&message);
	decoder->datagrams++;
	decoder->records += message.records;
	decoder->sender = message.sender;
	return consumed;
}
