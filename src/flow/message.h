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
	uint64_t   *samplers_version;	/* grows when one was learned */
	TemplateTable *templates;
	Pending    *pending;
	const FlowSinks *sinks;
	FlowBatch  *batch;			/* flows on their way to the sink */
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

/* Hands to the sink what has gathered in the batch. */
extern void message_flush(Message *message);

/* How many flows have room behind message_place(), at least one. */
static inline uint32_t
message_room(Message *message)
{
	if (message->batch->count == FLOW_BATCH)
		message_flush(message);
	return FLOW_BATCH - message->batch->count;
}

/* Where the next flow goes; message_emit() takes it from there. */
static inline Flow *
message_place(Message *message)
{
	(void) message_room(message);
	return &message->batch->flows[message->batch->count];
}

/* What the exporter is known to say, from its records. */
static inline void
message_note(Exporter *exporter, const Flow *flows, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
	{
		exporter->no_octets += !FLOW_HAS(&flows[i], FLOW_BYTES);
		if (FLOW_HAS(&flows[i], FLOW_SAMPLING))
		{
			exporter->sampling = flows[i].sampling;
			exporter->sampling_origin = flows[i].sampling_origin;
		}
	}
}

/*
 * Takes the flows of so many data records, from message_place() on, into the
 * batch and counts them.
 */
static inline void
message_emit_whole(Message *message, Exporter *exporter, uint32_t count)
{
	const Flow *flows = &message->batch->flows[message->batch->count];
	uint32_t	all = UINT32_MAX;
	uint32_t	any = 0;

	message->batch->count += count;
	message->records += count;
	exporter->records += count;
	for (uint32_t i = 0; i < count; i++)
	{
		all &= flows[i].present;
		any |= flows[i].present;
	}
	if ((all & FLOW_BIT(FLOW_BYTES)) == 0 || (any & FLOW_BIT(FLOW_SAMPLING)) != 0)
		message_note(exporter, flows, count);
}

/* The same for one, and fills in when it was sent and received. */
static inline void
message_emit(Message *message, Exporter *exporter)
{
	Flow	   *flow = &message->batch->flows[message->batch->count];

	flow->received = message->received;
	flow->exported = message->exported;
	message_emit_whole(message, exporter, 1);
}

/* Whom to tell of sets that are dropped: counts them, with their exporter. */
extern PendingDrop message_drop(Message *message);

/*
 * The length that the message took, where its header told "length": octets
 * behind it are counted, unless another message may follow.
 */
extern size_t message_end(const Message *message, Exporter *exporter, size_t length);

#endif							/* LASTFLUSS_MESSAGE_H */
