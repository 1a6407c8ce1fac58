/*
 * message.h
 *	  What decode.c hands to a format: the octets of a datagram, whom they came
 *	  from, and where the records go.
 */
#ifndef LASTFLUSS_MESSAGE_H
#define LASTFLUSS_MESSAGE_H

#include "exporter.h"
#include "flow.h"
#include "packet.h"
#include "pending.h"
#include "template.h"

typedef struct Message
{
	Packet		packet;			/* from the version number on */
	const FlowAddress *source;
	uint16_t	port;			/* source port */
	bool		known;			/* configuration names the host */
	bool		may_continue;	/* another message may follow in "packet" */
	int64_t		received;		/* microseconds since 1970, our clock */
	int64_t		exported;		/* likewise, the exporter's; 0 where its header tells no time */
	Lru		   *exporters;		/* of Exporter */
	Lru		   *samplers;		/* of Sampler */
	TemplateTable *templates;
	Pending    *pending;
	const FlowSinks *sinks;
	uint64_t	records;		/* handed to the sink */
	Exporter   *sender;			/* its entry, once the format has found it */
} Message;

/*
 * A format: decodes the message at the start of "packet" and returns its
 * length, or 0 where nothing could be made of it.
 */
typedef size_t (*MessageDecoder) (Message *message);

/* The entry of the exporter that sent the message, with the message counted. */
extern Exporter *message_exporter(Message *message, uint8_t protocol, uint32_t domain);

/* Hands a data record to the sink and counts it; fills in when it was sent and received. */
static inline void
message_emit(Message *message, Exporter *exporter, Flow *flow)
{
	flow->received = message->received;
	flow->exported = message->exported;
	message->records++;
	exporter->records++;
	if (!FLOW_HAS(flow, FLOW_BYTES))
		exporter->no_octets++;
	if (FLOW_HAS(flow, FLOW_SAMPLING))
	{
		exporter->sampling = flow->sampling;
		exporter->sampling_origin = flow->sampling_origin;
	}
	message->sinks->flow(message->sinks->context, flow);
}

/* Whom to tell of sets that are dropped: counts them, with their exporter. */
extern PendingDrop message_drop(Message *message);

/*
 * The length that the message took, where its header told "length": octets
 * behind it are counted, unless another message may follow.
 */
extern size_t message_end(const Message *message, Exporter *exporter, size_t length);

#endif							/* LASTFLUSS_MESSAGE_H */
