/*
 * decode.c
 *	  One datagram in, its flow records to the sink: looks at the version and
 *	  calls the format.
 */
#include "decode.h"

#include "ipfix.h"
#include "message.h"
#include "netflow5.h"

typedef struct DecodeFormat
{
	uint16_t	version;
	MessageDecoder decode;
} DecodeFormat;

static const DecodeFormat decode_formats[] = {
	{FLOW_IPFIX, ipfix_decode},
	{FLOW_NETFLOW_V9, ipfix_decode},
	{FLOW_NETFLOW_V5, netflow5_decode},
};

#define DECODE_FORMATS	(sizeof(decode_formats) / sizeof(decode_formats[0]))

static size_t
decoder_align(size_t size)
{
	return (size + 15) / 16 * 16;
}

size_t
decoder_size(uint32_t exporters, uint32_t templates)
{
	return decoder_align(sizeof(Decoder)) +
		decoder_align(lru_size(exporters, sizeof(Exporter))) +
		decoder_align(lru_size(templates, sizeof(Template)));
}

Decoder *
decoder_init(void *memory, uint32_t exporters, uint32_t templates)
{
	Decoder    *decoder = memory;
	char	   *rest = (char *) memory + decoder_align(sizeof(Decoder));

	memset(decoder, 0, sizeof(*decoder));
	decoder->exporters = lru_init(rest, exporters, sizeof(Exporter));
	rest += decoder_align(lru_size(exporters, sizeof(Exporter)));
	decoder->templates = lru_init(rest, templates, sizeof(Template));
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
decode_fail(const Message *message, DecodeError error)
{
	message_exporter(message, 0, 0)->errors[error]++;
	return 0;
}

static size_t
decode_message(Message *message)
{
	Packet		packet = message->packet;
	uint16_t	version;
	MessageDecoder decode;

	if (!packet_u16(&packet, &version))
		return decode_fail(message, DECODE_SHORT);
	decode = decode_find_format(version);
	if (decode == NULL)
		return decode_fail(message, DECODE_UNKNOWN_VERSION);
	return decode(message);
}

size_t
decode_datagram(Decoder *decoder, const Datagram *datagram, bool may_continue,
				FlowSink sink, void *context)
{
	Message		message = {
		.packet = packet_init(datagram->data, datagram->length),
		.source = &datagram->source,
		.port = datagram->port,
		.known = datagram->known,
		.may_continue = may_continue,
		.received = datagram->received,
		.exporters = decoder->exporters,
		.templates = decoder->templates,
		.sink = sink,
		.context = context,
	};
	size_t		consumed = decode_message(&message);

	decoder->datagrams++;
	decoder->records += message.records;
	return consumed;
}
