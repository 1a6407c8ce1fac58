/*
 * harness_datagrams.c
 *	  Datagrams of several exporters through the decoder and into an interval's
 *	  rows.
 */
#include "harness.h"

#include "check.h"
#include "ledger.h"
#include "script.h"
#include "subject.h"

#define HARNESS_START	INT64_C(1700000000000000)
#define HARNESS_PORT	4711
#define HARNESS_OWN_AS	64511

/* So many datagrams come once more at the end. */
#define HARNESS_AGAIN	4

/* Few enough that tables overflow now and then, or all the time. */
static const DecoderLimits harness_limits = {
	.exporters = 8,.templates = 16,.samplers = 8,.pending = 8192
};

static const DecoderLimits harness_small_limits = {
	.exporters = 2,.templates = 3,.samplers = 2,.pending = 600
};

/*
 * Microseconds.  Such that hardly any two datagrams come at the same time: which
 * of two templates is the later one would be left to chance.
 */
static const int64_t harness_steps[] = {
	[SCRIPT_SOON] = 1000,
	[SCRIPT_LATER] = 1000007,
	[SCRIPT_MUCH_LATER] = 400000011,
	[SCRIPT_BACK] = -3000001,
};

typedef struct Harness
{
	Subject    *subject;
	Subject    *other;			/* for the next restart */
	Ledger	   *ledger;
	int64_t		now;
	uint32_t	count;			/* datagrams so far */
	ScriptDatagram last[HARNESS_AGAIN];
} Harness;

static void
harness_flow(void *context, const Datagram *datagram, const Flow *flow)
{
	ledger_flow(context, &datagram->source, flow, datagram->received);
}

static Datagram
harness_datagram(const Harness *harness, const ScriptDatagram *script)
{
	const FlowAddress *source = &ledger_hosts[script->how & SCRIPT_EXPORTER];

	return (Datagram) {
		.data = script->content.current,
		.length = script->content.left,
		.source = *source,
		.port = HARNESS_PORT + ((script->how & SCRIPT_PORT) >> SCRIPT_PORT_SHIFT),
		.known = ledger_knows(harness->ledger, source),
		.received = harness->now
	};
}

static void
harness_restart(Harness *harness)
{
	Subject    *old = harness->subject;

	subject_restart(old, harness->other);
	harness->other->flow = old->flow;
	harness->other->context = old->context;
	harness->subject = harness->other;
	harness->other = old;
}

/* All messages of it, where they may follow one another. */
static void
harness_decode(Harness *harness, Datagram datagram, bool may_continue)
{
	size_t		consumed;

	do
	{
		consumed = subject_decode(harness->subject, &datagram, may_continue);
		datagram.data += consumed;
		datagram.length -= consumed;
	} while (may_continue && consumed > 0 && datagram.length > 0);
}

static void
harness_step(Harness *harness, const ScriptDatagram *script)
{
	if ((script->how & SCRIPT_RESTART) != 0)
		harness_restart(harness);
	harness->now += harness_steps[(script->how & SCRIPT_TIME) >> SCRIPT_TIME_SHIFT];
	harness_decode(harness, harness_datagram(harness, script),
				   (script->how & SCRIPT_CONTINUE) != 0);
	harness->last[harness->count % HARNESS_AGAIN] = *script;
	harness->count++;
}

static bool
harness_is_settled(const Subject *subject)
{
	return subject_is_complete(subject) && pending_count(subject->decoder->pending) == 0;
}

/*
 * After a restart, datagrams must say what they say without one.  That cannot be
 * told where data waits for a template, as that is not saved, or where one has
 * forgotten something that the other one may remember.
 */
static void
harness_compare(Harness *harness)
{
	Subject    *stayed = harness->subject;
	Subject    *restarted = harness->other;

	subject_restart(stayed, restarted);
	stayed->flow = restarted->flow = NULL;
	for (uint32_t i = 0; i < HARNESS_AGAIN && i < harness->count; i++)
	{
		Datagram	datagram;

		harness->now += harness_steps[SCRIPT_SOON];
		datagram = harness_datagram(harness, &harness->last[i]);
		if (!harness_is_settled(stayed))
			return;
		subject_decode(stayed, &datagram, false);
		subject_decode(restarted, &datagram, false);
		if (!subject_is_complete(stayed) || !subject_is_complete(restarted))
			return;
		CHECK(stayed->flows == restarted->flows);
		CHECK(stayed->digest == restarted->digest);
	}
}

void
harness_datagrams(const uint8_t *data, size_t length)
{
	static Subject subjects[2][2];	/* by size: memory is used again */
	Harness		harness = {.now = HARNESS_START};
	Packet		packet = packet_init(data, length);
	ScriptDatagram script;
	uint8_t		settings;
	bool		is_small;

	if (!packet_u8(&packet, &settings))
		return;
	is_small = (settings & SCRIPT_SMALL) != 0;
	harness.subject = &subjects[is_small][0];
	harness.other = &subjects[is_small][1];
	harness.ledger = ledger_open((settings & SCRIPT_AS_SOURCE) % 3,
								 (settings & SCRIPT_OWN_AS) != 0 ? HARNESS_OWN_AS : 0,
								 (settings & SCRIPT_NO_PREFIXES) == 0);
	subject_init(harness.subject, is_small ? &harness_small_limits : &harness_limits);
	harness.subject->flow = harness_flow;
	harness.subject->context = harness.ledger;

	while (harness.count < SCRIPT_MAX_DATAGRAMS && script_next(&packet, &script))
		harness_step(&harness, &script);
	ledger_check(harness.ledger);
	harness_compare(&harness);
}
