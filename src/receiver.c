/*
 * receiver.c
 *	  The loop that receives datagrams and adds them to the open intervals.
 *
 * Runs no SQL and waits for nobody: what a datagram needs is in this process
 * or in shared memory (see shared.c for the locks).  Intervals are closed by the
 * clock, whether or not a datagram comes.  When nobody has given a buffer back,
 * the newest interval takes in what belongs to the next: late on the graph, but
 * not lost.
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
#define RECEIVER_PAUSE			8	/* milliseconds, for more datagrams to come */
#define RECEIVER_FEW			32	/* datagrams that show that they are few */
#define RECEIVER_PAUSE_FEW		20	/* milliseconds then */
#define RECEIVER_PAUSE_BUFFER	(512 * 1024)	/* octets of buffer for each of them */
#define RECEIVER_STUCK			1000	/* milliseconds, with no buffer for the next interval */

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
	AccountWork work;			/* flushed whenever the lock is not held */
	WaitEventSet *events;
	Listeners	listeners;
	bool		stopping;		/* with the server */
} Receiver;

static Receiver *receiver = NULL;

static int64
receiver_now(void)
{
	return lastfluss_unix_time(GetCurrentTimestamp());
}

static Intervals *
receiver_intervals(void)
{
	return receiver->mine->intervals;
}

/*
 * Intervals.  All of these run under the receiver's lock.
 */

/* What this receiver has counted in all. */
static HealthCounts
receiver_health(void)
{
	const ReceiverShared *mine = receiver->mine;

	return (HealthCounts) {
		.datagrams = (int64) mine->decoder->datagrams,
		.records = (int64) mine->decoder->records,
		.dropped = (int64) mine->kernel_drops,
		.unmatched = (int64) mine->account.unmatched,
		.unknown_sampling = (int64) mine->account.unknown_sampling,
		.late_bytes = (int64) mine->account.late_bytes,
		.future_bytes = (int64) mine->account.future_bytes
	};
}

/* The time of the newest interval is over: what came in that time is its health. */
static void
receiver_note_health(void)
{
	FlowInterval *newest = intervals_newest(receiver_intervals());
	HealthCounts all;
	HealthCounts news;

	if (newest == NULL || newest->health->noted)
		return;
	all = receiver_health();
	news = health_difference(&all, &receiver->mine->noted);
	receiver->mine->noted = all;
	health_note(newest->health, receiver->mine->decoder->exporters, &news, receiver_now());
}

/*
 * Opens and closes intervals by the clock.  True when some were closed, so that
 * the writer is to be woken.
 */
static bool
receiver_turn_intervals(int64 now)
{
	Intervals  *intervals = receiver_intervals();

	if (!intervals_due(intervals, now))
		return false;
	if (intervals_stretched(intervals, now))
		receiver_note_health();
	return intervals_turn(intervals, now, receiver->generation) > 0;
}

static bool
receiver_close_intervals(void)
{
	receiver_note_health();
	return intervals_close_all(receiver_intervals()) > 0;
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
	receiver->mine->intervals->rule = receiver->config->rule;
	receiver->mine->account.as_source = receiver->config->as_source;
	receiver->mine->account.own_as = receiver->config->own_as;
	account_configure(&receiver->mine->account);
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
} ReceiverSink;

static void
receiver_take_flows(void *context, const Flow *flows, uint32_t count)
{
	account_flows(&receiver->mine->account, receiver_intervals(), flows, count);
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

/* All records of a datagram are its sender's. */
static void
receiver_charge(Exporter *sender, const Account *before, const Account *after)
{
	if (sender == NULL)
		return;
	sender->unmatched += after->unmatched - before->unmatched;
	sender->unknown_sampling += after->unknown_sampling - before->unknown_sampling;
	sender->late_bytes += after->late_bytes - before->late_bytes;
	sender->future_bytes += after->future_bytes - before->future_bytes;
}

static void
receiver_take_datagram(int position, ReceiverSink *sink)
{
	FlowSinks	sinks = {
		.context = sink,
		.no_addresses = receiver->mine->account.prefixes == NULL,
		.flows = receiver_take_flows,
		.counters = receiver_take_counters,
		.interface = receiver_take_interface
	};
	const Account before = receiver->mine->account;
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
	account_begin(&receiver->mine->account, &arrived.source);
	(void) decode_datagram(receiver->mine->decoder, &datagram, false, &sinks);

	receiver_charge(receiver->mine->decoder->sender, &before, &receiver->mine->account);
}

/* One batch into the open intervals.  True when an interval was closed. */
static bool
receiver_take_batch(int count)
{
	ReceiverSink sink;
	bool		closed;

	sink.now = receiver_now();
	LWLockAcquire(receiver->lock, LW_EXCLUSIVE);
	closed = receiver_turn_intervals(sink.now);
	if (intervals_stretched(receiver_intervals(), sink.now))
		receiver->mine->stretched += count;
	/* Two buffers at least, of which one at most is being written: one is open. */
	if (intervals_newest(receiver_intervals()) == NULL)
	{
		receiver->mine->kernel_drops += count;
		count = 0;
	}
	for (int i = 0; i < count; i++)
		receiver_take_datagram(i, &sink);
	account_flush(&receiver->mine->account);
	LWLockRelease(receiver->lock);
	return closed;
}

/* An interval is finished. */
static void
receiver_wake_others(void)
{
	shared_wake_writer();
	shared_wake_keeper();
}

/* What the kernel dropped meanwhile; its counter wraps around. */
static void
receiver_look(Listener *listener)
{
	uint32		drops = socket_drops(listener->fd, listener->drops);
	uint32		dropped = drops - listener->drops;

	if (dropped == 0)
		return;
	listener->drops = drops;
	listener->kernel_drops += dropped;
	LWLockAcquire(receiver->lock, LW_EXCLUSIVE);
	receiver->mine->kernel_drops += dropped;
	listeners_publish(&receiver->listeners, receiver->mine);
	LWLockRelease(receiver->lock);
}

/*
 * Reads what is there, up to a limit, and returns how many datagrams that were; with
 * "*drained" false where more may be waiting.
 */
static int
receiver_read_socket(Listener *listener, bool *drained)
{
	int			total = 0;
	int			count = socket_batch_capacity();

	for (int i = 0; i < RECEIVER_BATCHES && count == socket_batch_capacity(); i++)
	{
		count = socket_receive(receiver->batch, listener->fd);
		total += count;
		if (count > 0 && receiver_take_batch(count))
			receiver_wake_others();
	}
	receiver_look(listener);
	if (count == socket_batch_capacity())
		*drained = false;
	return total;
}

/*
 * The loop.
 */

static void
receiver_tick(int64 now)
{
	bool		closed;

	LWLockAcquire(receiver->lock, LW_EXCLUSIVE);
	closed = receiver->config->listener_count > 0 ?
		receiver_turn_intervals(now) : receiver_close_intervals();
	LWLockRelease(receiver->lock);
	if (closed)
		receiver_wake_others();
}

/* Only this process turns the intervals, so it may look at them without the lock. */
static long
receiver_timeout(int64 now)
{
	int64		until = now + RECEIVER_IDLE * INT64CONST(1000);

	if (intervals_stretched(receiver_intervals(), now))
		until = now + RECEIVER_STUCK * INT64CONST(1000);
	else
		until = Min(until, intervals_next_turn(receiver_intervals()));
	until = Min(until, listeners_retry_at(&receiver->listeners));
	return Max(0, (long) ((until - now + 999) / 1000));
}

/* Not so long that 100,000 datagrams a second fill half of the smallest buffer. */
static int
receiver_pause_length(int received)
{
	int			length = received < RECEIVER_FEW ? RECEIVER_PAUSE_FEW : RECEIVER_PAUSE;

	for (int i = 0; i < receiver->listeners.count; i++)
	{
		const Listener *listener = &receiver->listeners.all[i];

		if (listener->fd >= 0)
			length = Min(length, listener->buffer / RECEIVER_PAUSE_BUFFER);
	}
	return length;
}

/*
 * To be woken by every datagram costs more than to decode it; to let many more of
 * them gather than the caches hold costs as much.
 */
static void
receiver_pause(int received)
{
	int			length = receiver_pause_length(received);

	if (length > 0)
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 length, PG_WAIT_EXTENSION);
}

static void
receiver_wait(void)
{
	WaitEvent	events[SHARED_MAX_LISTENERS + 2];
	int			received = 0;
	bool		drained = true;
	int			count;

	count = WaitEventSetWait(receiver->events, receiver_timeout(receiver_now()),
							 events, lengthof(events), PG_WAIT_EXTENSION);
	for (int i = 0; i < count; i++)
	{
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		if (events[i].events & WL_SOCKET_READABLE)
			received += receiver_read_socket(events[i].user_data, &drained);
	}
	if (received > 0 && drained)
		receiver_pause(received);
}

/* What is open stays so for the next receiver, unless there will be none. */
static void
receiver_stop(int code, Datum arg)
{
	LWLockReleaseAll();
	LWLockAcquire(receiver->lock, LW_EXCLUSIVE);
	if (receiver->stopping)
		(void) receiver_close_intervals();
	receiver->mine->pid = 0;
	receiver->mine->latch = NULL;
	receiver->mine->listener_count = 0;
	LWLockRelease(receiver->lock);
	receiver_wake_others();
}

static void
receiver_start(int number)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	receiver = palloc0(sizeof(Receiver));
	receiver->number = number;
	receiver->mine = &shared->receivers[number];
	receiver->lock = shared->receiver_locks[number];
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
	receiver->mine->account.work = &receiver->work;
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
		receiver_open_listeners(now);
		receiver_tick(now);
	}
	receiver->stopping = lastfluss_server_is_stopping();
	proc_exit(1);
}
