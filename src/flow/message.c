/*
 * message.c
 *	  What every format does with a message.
 */
#include "message.h"

Exporter *
message_exporter(const Message *message, uint8_t protocol, uint32_t domain)
{
	Exporter   *exporter = exporter_get(message->exporters, message->source, domain,
										protocol, message->known);

	if (exporter->datagrams == 0)
		exporter->first_seen = message->received;
	exporter->last_seen = message->received;
	exporter->port = message->port;
	exporter->datagrams++;
	return exporter;
}

size_t
message_end(const Message *message, Exporter *exporter, size_t length)
{
	if (packet_left(&message->packet) > length && !message->may_continue)
		exporter->errors[DECODE_TRAILING]++;
	return length;
}
