/*
 * receiver.c
 *	  The loop that receives datagrams and adds them to the open interval.
 *
 * Runs no SQL and waits for nobody: what a datagram needs is in this process
 * or in shared memory (see shared.c for the locks).  An interval is closed by
 * the clock, whether or not a datagram comes.  When the writer has given no
 * buffer back, the open interval takes in what belongs to the next: late on the
 * graph, but not lost.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "lastfluss.h"
#include "listener.h"
#include "prefixes.h"
#include "shared.h"
#include "socket.h"

#define RECEIVER_IDLE			10000	/* milliseconds to sleep at the most */
#define RECEIVER_BATCHES		16	/* of one socket before the others have a turn */
#define RECEIVER_NO_BUFFER		(-1)

typedef struct Receiver
{
	int			number;
	ReceiverShared *mine;
	LWLock	   *lock;
	uint64		generation;
	ConfigSnapshot *config;		/* copy of the shared one */
	Interfaces *interfaces;
	PrefixesMapping prefixes;
	SocketBatch *batch;
	WaitEventSet *events;
	int			open;			/* buffer that is OPEN, or RECEIVER_NO_BUFFER */
	Listeners	listeners;
} Receiver;

static Receiver *receiver = NULL;

static int64
receiver_now(void)
{
	return lastfluss_unix_time(GetCurrentTimestamp());
}

static IntervalBuffer *
receiver_buffer(void)
{
	return &receiver->mine->buffers[receiver->open];
}

/*
 * Intervals.  All of these run under the receiver's lock.
 */

/* The buffer of that state whose interval is the newest. */
static int
receiver_find_buffer(BufferState state)
{
	int			found = RECEIVER_NO_BUFFER;

	for (int i = 0; i < lastfluss_buffers; i++)
	{
		const IntervalBuffer *interval = &receiver->mine->buffers[i];

		if (interval->state == state &&
			(found == RECEIVER_NO_BUFFER ||
			 interval->sequence > receiver->mine->buffers[found].sequence))
			found = i;
	}
	return found;
}

static void
receiver_open_interval(int buffer, int64 now)
{
	IntervalBuffer *interval = &receiver->mine->buffers[buffer];
	Aggregate  *sums = shared_aggregate(receiver->number, buffer);
	int64		period = (int64) receiver->config->period * USECS_PER_SEC;

	receiver->mine->folded += aggregate_folded(sums);
	receiver->mine->saturated += aggregate_saturated(sums);
	aggregate_reset(sums);
	interval->state = BUFFER_OPEN;
	interval->period = receiver->config->period;
	interval->start = now - now % period;
	interval->sequence = receiver->mine->next_sequence++;
	interval->generation = receiver->generation;
	receiver->open = buffer;
}

/* Hands the open interval to the writer; one without rows is just given up. */
static void
receiver_close_interval(void)
{
	Aggregate  *sums;

	if (receiver->open == RECEIVER_NO_BUFFER)
		return;
	sums = shared_aggregate(receiver->number, receiver->open);
	receiver_buffer()->state = aggregate_count(sums) > 0 ? BUFFER_READY : BUFFER_FREE;
	receiver->open = RECEIVER_NO_BUFFER;
}

static bool
receiver_interval_is_over(int64 now)
{
	const IntervalBuffer *interval;
	int64		length;

	if (receiver->open == RECEIVER_NO_BUFFER)
		return false;
	interval = receiver_buffer();
	length = (int64) interval->period * USECS_PER_SEC;
	return now < interval->start || now >= interval->start + length ||
		interval->period != receiver->config->period;
}

/*
 * Without a free buffer the newest finished interval is taken back from the
 * writer, who has not come to it yet.  There is one: the writer holds at most
 * one buffer, and there are at least two.
 */
static void
receiver_stretch_interval(void)
{
	if (receiver->open == RECEIVER_NO_BUFFER)
	{
		receiver->open = receiver_find_buffer(BUFFER_READY);
		receiver_buffer()->state = BUFFER_OPEN;
	}
}

/*
 * Makes sure that an interval is open: the one of "now", if there is a buffer
 * for it.  True when one was closed, so that the writer is to be woken.
 */
static bool
receiver_turn_interval(int64 now)
{
	bool		over = receiver_interval_is_over(now);
	int			buffer;

	if (receiver->open != RECEIVER_NO_BUFFER && !over)
		return false;
	buffer = receiver_find_buffer(BUFFER_FREE);
	if (buffer == RECEIVER_NO_BUFFER)
	{
		receiver_stretch_interval();
		return false;
	}
	receiver_close_interval();
	receiver_open_interval(buffer, now);
	return over;
}

/*
 * Listeners.
 */

/* The set of events follows the sockets; it cannot be changed, so is made anew. */
static void
receiver_build_events(void)
{
	if (receiver->events)
		FreeWaitEventSet(receiver->events);
	receiver->events = compat_create_wait_event_set(receiver->listeners.count + 2);
	AddWaitEventToSet(receiver->events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(receiver->events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < receiver->listeners.count; i++)
	{
		Listener   *listener = &receiver->listeners.all[i];

		if (listener->fd >= 0)
			AddWaitEventToSet(receiver->events, WL_SOCKET_READABLE, listener->fd,
							  NULL, listener);
	}
}

static void
receiver_publish_listeners(void)
{
	LWLockAcquire(receiver->lock, LW_EXCLUSIVE);
	listeners_publish(&receiver->listeners, receiver->mine);
	LWLockRelease(receiver->lock);
}

static void
receiver_open_listeners(int64 now)
{
	if (!listeners_open(&receiver->listeners, receiver->config, now))
		return;
	receiver_build_events();
	receiver_publish_listeners();
}

/* Follows the configuration; sockets that stay wanted stay open. */
static void
receiver_configure(void)
{
	uint64		generation;

	LWLockAcquire(shared->lock, LW_SHARED);
	memcpy(receiver->config, &shared->config, sizeof(ConfigSnapshot));
	generation = pg_atomic_read_u64(&shared->generation);
	LWLockRelease(shared->lock);

	interfaces_build(receiver->interfaces, receiver->config->interfaces,
					 receiver->config->interface_count);
	listeners_follow(&receiver->listeners, receiver->config);

	LWLockAcquire(receiver->lock, LW_EXCLUSIVE);
	receiver->generation = generation;
	receiver->mine->generation = generation;
	receiver->mine->account.as_source = receiver->config->as_source;
	receiver->mine->account.own_as = receiver->config->own_as;
	LWLockRelease(receiver->lock);

	receiver_build_events();
	receiver_publish_listeners();
}

/*
 * Datagrams.
 */

typedef struct ReceiverSink
{
	FlowAddress host;
	bool		known;			/* configuration names the host */
	int64		now;
	Aggregate  *sums;
} ReceiverSink;

static void
receiver_take_flow(void *context, const Flow *flow)
{
	ReceiverSink *sink = context;

	account_flow(&receiver->mine->account, &sink->host, flow, flow->received, sink->sums);
}

static SeenInterface *
receiver_seen(const ReceiverSink *sink, uint32 id)
{
	return seen_get(receiver->mine->seen, &sink->host, id,
					sink->known ? LRU_KNOWN : LRU_STRANGER, sink->now);
}

/* Counters of configured hosts wait in a ring for the writer. */
static void
receiver_take_counters(void *context, const FlowCounters *counters)
{
	ReceiverSink *sink = context;
	ReceiverShared *mine = receiver->mine;
	CounterSample *sample;

	receiver_seen(sink, counters->id)->speed = counters->speed;
	if (!sink->known)
		return;
	if (mine->counters_taken - mine->counters_written >= SHARED_COUNTERS)
	{
		mine->counters_dropped++;
		return;
	}
	sample = &mine->counters[mine->counters_taken++ % SHARED_COUNTERS];
	sample->host = sink->host;
	sample->time = sink->now;
	sample->counters = *counters;
}

static void
receiver_take_interface(void *context, const FlowInterface *interface)
{
	SeenInterface *seen = receiver_seen(context, interface->id);

	if (interface->name[0] != '\0')
		memcpy(seen->name, interface->name, FLOW_NAME_SIZE);
	if (interface->description[0] != '\0')
		memcpy(seen->description, interface->description, FLOW_NAME_SIZE);
}

static void
receiver_take_datagram(int position, ReceiverSink *sink)
{
	FlowSinks	sinks = {
		.context = sink,
		.flow = receiver_take_flow,
		.counters = receiver_take_counters,
		.interface = receiver_take_interface
	};
	const Account *account = &receiver->mine->account;
	Exporter   *sender;
	uint64		unmatched = account->unmatched;
	uint64		unknown_sampling = account->unknown_sampling;
	SocketDatagram arrived;
	Datagram	datagram;

	socket_datagram(receiver->batch, position, &arrived);
	datagram.data = arrived.data;
	datagram.length = arrived.length;
	datagram.source = arrived.source;
	datagram.port = arrived.port;
	datagram.known = interfaces_know_host(receiver->interfaces, &arrived.source);
	datagram.received = sink->now;
	sink->host = arrived.source;
	sink->known = datagram.known;
	(void) decode_datagram(receiver->mine->decoder, &datagram, false, &sinks);

	/* All records of a datagram are its sender's. */
	sender = receiver->mine->decoder->sender;
	if (sender == NULL)
		return;
	sender->unmatched += account->unmatched - unmatched;
	sender->unknown_sampling += account->unknown_sampling - unknown_sampling;
}

/* One batch into the open interval.  True when an interval was closed. */
static bool
receiver_take_batch(Listener *listener, int count, uint32 overflows)
{
	ReceiverSink sink;
	bool		closed;

	sink.now = receiver_now();
	LWLockAcquire(receiver->lock, LW_EXCLUSIVE);
	closed = receiver_turn_interval(sink.now);
	if (receiver_interval_is_over(sink.now))
		receiver->mine->stretched += count;
	sink.sums = shared_aggregate(receiver->number, receiver->open);
	for (int i = 0; i < count; i++)
		receiver_take_datagram(i, &sink);
	/* The socket's counter wraps around. */
	receiver->mine->kernel_drops += (uint32) (overflows - listener->overflows);
	listener->kernel_drops += (uint32) (overflows - listener->overflows);
	listener->overflows = overflows;
	LWLockRelease(receiver->lock);
	return closed;
}

static void
receiver_read_socket(Listener *listener)
{
	for (int i = 0; i < RECEIVER_BATCHES; i++)
	{
		uint32		overflows = listener->overflows;
		uint64		drops = listener->kernel_drops;
		int			count = socket_receive(receiver->batch, listener->fd, &overflows);

		if (count == 0)
			break;
		if (receiver_take_batch(listener, count, overflows))
			shared_wake_writer();
		if (listener->kernel_drops != drops)
			receiver_publish_listeners();
		if (count < socket_batch_capacity())
			break;
	}
}

/*
 * The loop.
 */

static void
receiver_tick(int64 now)
{
	bool		closed = false;

	LWLockAcquire(receiver->lock, LW_EXCLUSIVE);
	if (receiver_interval_is_over(now))
	{
		closed = true;
		receiver_close_interval();
	}
	LWLockRelease(receiver->lock);
	if (closed)
		shared_wake_writer();
}

static long
receiver_timeout(int64 now)
{
	int64		until = now + RECEIVER_IDLE * INT64CONST(1000);

	if (receiver->open != RECEIVER_NO_BUFFER)
	{
		const IntervalBuffer *interval = receiver_buffer();

		until = Min(until, interval->start + (int64) interval->period * USECS_PER_SEC);
	}
	until = Min(until, listeners_retry_at(&receiver->listeners));
	return Max(0, (long) ((until - now + 999) / 1000));
}

static void
receiver_wait(void)
{
	WaitEvent	events[SHARED_MAX_LISTENERS + 2];
	int			count;

	count = WaitEventSetWait(receiver->events, receiver_timeout(receiver_now()),
							 events, lengthof(events), PG_WAIT_EXTENSION);
	for (int i = 0; i < count; i++)
	{
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		if (events[i].events & WL_SOCKET_READABLE)
			receiver_read_socket(events[i].user_data);
	}
}

static void
receiver_stop(int code, Datum arg)
{
	LWLockReleaseAll();
	LWLockAcquire(receiver->lock, LW_EXCLUSIVE);
	receiver_close_interval();
	receiver->mine->pid = 0;
	receiver->mine->latch = NULL;
	receiver->mine->listener_count = 0;
	LWLockRelease(receiver->lock);
	shared_wake_writer();
}

static void
receiver_start(int number)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	receiver = palloc0(sizeof(Receiver));
	receiver->number = number;
	receiver->mine = &shared->receivers[number];
	receiver->lock = shared->receiver_locks[number];
	receiver->open = RECEIVER_NO_BUFFER;
	receiver->config = palloc0(sizeof(ConfigSnapshot));
	receiver->interfaces = interfaces_build(palloc(interfaces_size(SHARED_MAX_INTERFACES)),
											receiver->config->interfaces, 0);
	receiver->batch = socket_batch_create();
	MemoryContextSwitchTo(old);

	state_load(number);

	before_shmem_exit(receiver_stop, (Datum) 0);
	LWLockAcquire(receiver->lock, LW_EXCLUSIVE);
	receiver->mine->pid = MyProcPid;
	receiver->mine->latch = MyLatch;
	receiver->mine->generation = 0;
	receiver->mine->account.interfaces = receiver->interfaces;
	receiver->mine->account.prefixes = NULL;
	receiver->mine->account.seen = receiver->mine->seen;
	LWLockRelease(receiver->lock);
	receiver_build_events();
}

void
lastfluss_receiver_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	receiver_start(DatumGetInt32(arg));

	while (!ShutdownRequestPending)
	{
		int64		now;

		receiver_wait();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (pg_atomic_read_u64(&shared->generation) != receiver->generation)
			receiver_configure();
		now = receiver_now();
		prefixes_follow(&receiver->prefixes, &receiver->mine->account.prefixes, now);
		receiver_tick(now);
		receiver_open_listeners(now);
	}
	proc_exit(1);
}
