/*
 * shared.h
 *	  What the workers and the backends share: configuration snapshot,
 *	  interval buffers, counters.  The rules are in shared.c.
 */
#ifndef LASTFLUSS_SHARED_H
#define LASTFLUSS_SHARED_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/dsm.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "account.h"
#include "decode.h"
#include "hash.h"
#include "interfaces.h"
#include "intervals.h"

#define SHARED_MAX_RECEIVERS	16
#define SHARED_MAX_LISTENERS	64
#define SHARED_MAX_INTERFACES	4096
#define SHARED_MAX_NAMES		AGGREGATE_MAX_INTERFACES
#define SHARED_NAME_SIZE		256 /* octets, with the closing zero */
#define SHARED_ERROR_SIZE		512
#define SHARED_EXPORTERS		4096
#define SHARED_TEMPLATES		4096
#define SHARED_SAMPLERS			4096

/* A decoder's share of the memory, for decoder_size() and decoder_init(). */
#define SHARED_DECODER \
	(&(const DecoderLimits) {SHARED_EXPORTERS, SHARED_TEMPLATES, SHARED_SAMPLERS, DECODER_PENDING})
#define SHARED_SEEN				16384
#define SHARED_COUNTERS			2048	/* samples that wait for the writer */

typedef struct ListenerConfig
{
	FlowAddress address;
	bool		ipv4;
	uint16		port;
} ListenerConfig;

/* What the receivers need of the configuration. */
typedef struct ConfigSnapshot
{
	IntervalRule rule;
	int64		spool_limit;	/* octets */
	AccountAsSource as_source;
	uint32		own_as;			/* 0: not set */
	uint32		listener_count;
	uint32		interface_count;
	ListenerConfig listeners[SHARED_MAX_LISTENERS];
	Interface	interfaces[SHARED_MAX_INTERFACES];
} ConfigSnapshot;

/* A name's number stays the same for as long as anything refers to it. */
typedef struct NameSlot
{
	uint64		generation;		/* the last one that had it; 0: free */
	char		name[SHARED_NAME_SIZE];
} NameSlot;

typedef enum ListenerState
{
	LISTENER_CLOSED,
	LISTENER_OPEN,
	LISTENER_FAILED
} ListenerState;

typedef struct ListenerStatus
{
	ListenerConfig config;
	ListenerState state;
	int			error;			/* errno, where failed */
	int			buffer;			/* octets of receive buffer */
	uint64		kernel_drops;
} ListenerStatus;

/* An interface's own counters, on their way into lastfluss.counters. */
typedef struct CounterSample
{
	FlowAddress host;
	int64		time;			/* microseconds since 1970, our clock */
	FlowCounters counters;
} CounterSample;

typedef struct ReceiverShared
{
	pid_t		pid;			/* 0 while it does not run */
	Latch	   *latch;
	uint64		generation;		/* configuration that it follows */
	uint64		last_written;	/* sequence; the writer's alone */
	int64		written_end;	/* the end of the interval written last; 0: none yet */
	bool		state_loaded;	/* what was learned before has been taken up */
	uint64		kernel_drops;	/* of sockets closed since, too */
	uint64		stretched;		/* datagrams counted in an interval before theirs */
	HealthCounts noted;			/* of all this, what intervals have as their health */
	uint32		listener_count;
	ListenerStatus listeners[SHARED_MAX_LISTENERS];
	uint64		counters_taken; /* numbers of samples, modulo the size of the ring */
	uint64		counters_written;
	uint64		counters_dropped;
	CounterSample counters[SHARED_COUNTERS];
	Account		account;		/* its counters; the pointers are the receiver's */
	Decoder	   *decoder;
	Lru		   *seen;
	Intervals  *intervals;		/* lastfluss_buffers of them */
} ReceiverShared;

/* Of a worker that is connected to the database, or waits for it (session.c). */
typedef struct WorkerSeat
{
	Oid			database;		/* from the launcher: connect there */
	pid_t		pid;			/* 0: in no database */
	Latch	   *latch;			/* NULL: there is no such worker */
} WorkerSeat;

typedef struct Shared
{
	/* set once at start */
	int64		run;			/* names this life of the memory, us since 1970 */
	HashKey		hash_key;
	LWLock	   *lock;			/* of this struct, snapshot and names */
	LWLock	   *receiver_locks[SHARED_MAX_RECEIVERS];

	pg_atomic_uint64 generation;	/* of the snapshot; 0: none yet */
	pg_atomic_uint32 config_changed;	/* a backend committed a change */
	pg_atomic_uint64 prefix_generation; /* of prefix_segment */
	pg_atomic_uint32 prefixes_changed;	/* a backend committed a change */

	/* under lock */
	bool		collecting;		/* writer is in the database, extension is there */
	Latch	   *launcher_latch;
	Latch	   *keeper_latch;
	WorkerSeat	writer;
	WorkerSeat	maintenance;
	bool		leftovers_written;	/* nothing of earlier runs is left in files */
	int64		spool_octets;	/* of intervals that wait in files */
	uint32		spool_files;
	bool		spool_full;		/* the limit, or the disk, takes no more */
	TimestampTz since;
	TimestampTz last_interval;	/* start of the interval written last */
	uint64		intervals_written;
	uint64		rows_written;
	uint64		write_microseconds;
	dsm_handle	prefix_segment; /* a PrefixTable; DSM_HANDLE_INVALID: none */
	TimestampTz error_time;
	char		error[SHARED_ERROR_SIZE];	/* empty when all is well */
	ConfigSnapshot config;
	NameSlot	names[SHARED_MAX_NAMES];
	ReceiverShared receivers[FLEXIBLE_ARRAY_MEMBER];
} Shared;

/* NULL where the library was not preloaded. */
extern Shared *shared;

/* Asks for the memory and makes it, from _PG_init(). */
extern void shared_register(void);

/* Octets of shared memory in all. */
extern Size shared_size(void);

/* Wake them, if they run. */
extern void shared_wake_writer(void);
extern void shared_wake_keeper(void);
extern void shared_wake_maintenance(void);
extern void shared_wake_receivers(void);

/* Sets or (NULL) clears what status.last_error tells. */
extern void shared_set_error(const char *message);

#endif							/* LASTFLUSS_SHARED_H */
