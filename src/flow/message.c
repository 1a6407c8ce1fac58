/*
 * message.c
 *	  What every format does with a message.
 */
#include "message.h"

Exporter *
message_exporter(Message *message, uint8_t protocol, uint32_t domain)
{
	Exporter   *exporter = exporter_get(message->exporters, message->source, domain,
										protocol, message->known);

	if (exporter->datagrams == 0)
		exporter->first_seen = message->received;
	exporter->last_seen = message->received;
	exporter->port = message->port;
	exporter->datagrams++;
	message->sender = exporter;
	return exporter;
}

void
message_flush(Message *message)
{
	if (message->batch->count > 0)
		message->sinks->flows(message->sinks->context, message->batch->flows,
							  message->batch->count);
	message->batch->count = 0;
}

/* A set whose template did not come. */
static void
message_dropped(void *context, const PendingSet *set)
{
	const Message *message = context;
	Exporter   *exporter = exporter_find(message->exporters, &set->key.address,
										 set->key.domain, set->key.protocol);

	/* The exporter may have been forgotten, and be a new one by now. */
	if (exporter == NULL)
		return;
	exporter->errors[DECODE_NO_TEMPLATE]++;
	if (exporter->waiting_sets > 0)
		exporter->waiting_sets--;
}

PendingDrop
message_drop(Message *message)
{
	return (PendingDrop) {.dropped = message_dropped,.context = message};
}

size_t
message_end(const Message *message, Exporter *exporter, size_t length)
{
	if (packet_left(&message->packet) > length && !message->may_continue)
		exporter->errors[DECODE_TRAILING]++;
	return length;
}
