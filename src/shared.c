/*
 * shared.c
 *	  The layout of shared memory, and its locking rules.
 *
 * One block, made when the server starts: the struct Shared, then for each
 * receiver its decoder state, the interfaces it has seen, and its intervals with
 * their sums.
 *
 * Locks.  There is one for the struct Shared itself (configuration snapshot,
 * names, what the writer and the keeper report) and one for each receiver.
 * Nobody holds two.  Under a lock memory is copied, nothing else: no SQL, no
 * ereport(), no system call, so that a receiver never waits for the database.
 *
 * - The snapshot is written by the writer, who increments "generation" after.
 *   A receiver looks at "generation" without the lock once per batch, and takes
 *   the lock to copy the snapshot when it has changed.
 *
 * - A receiver holds its lock exclusively while it works on a batch of
 *   datagrams: that covers its counters, its decoder and its intervals.  Others
 *   hold it shared while they copy.
 *
 * - A buffer goes FREE -> OPEN -> READY by its receiver (intervals.c), READY ->
 *   WRITING -> FREE by the writer, and READY -> FREE by the keeper when the
 *   interval is safe in a file, each step under the receiver's lock held
 *   exclusively.  The sums of a buffer that is READY or WRITING change no more.
 *   OPEN buffers stay so when a receiver ends and the next one begins.
 *
 * - FREE buffers keep their sums until they are used again, for lastfluss.live.
 *
 * - Intervals are written in the order of their sequence numbers, none is left
 *   out: number last_written + 1 is in a buffer, or else in a file.
 *
 * - WRITING survives the death of the writer, for the memory does.  The next
 *   writer asks the table _written whether the interval's transaction was
 *   committed: a sequence number is never used again within a "run".
 *
 * - The prefixes are in a segment of dynamic shared memory, whose handle the
 *   writer publishes in the same way, with a generation of its own: prefixes.c.
 *
 * - Names have numbers, so that sums need no strings.  The writer gives a number
 *   to each name that the configuration has, and takes it back when it is gone
 *   from the configuration and no buffer is left that was open in its time.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "lastfluss.h"
#include "shared.h"

#define SHARED_ALIGN(size)	TYPEALIGN(64, (size))

Shared	   *shared = NULL;

static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

static Size
shared_receiver_size(void)
{
	Size		size;

	size = SHARED_ALIGN(decoder_size(SHARED_DECODER));
	size = add_size(size, SHARED_ALIGN(lru_size(SHARED_SEEN, sizeof(SeenInterface))));
	return add_size(size, SHARED_ALIGN(intervals_size(lastfluss_buffers, lastfluss_max_entries)));
}

static Size
shared_head_size(void)
{
	return SHARED_ALIGN(add_size(offsetof(Shared, receivers),
								 mul_size(lastfluss_receivers, sizeof(ReceiverShared))));
}

Size
shared_size(void)
{
	return add_size(shared_head_size(),
					mul_size(lastfluss_receivers, shared_receiver_size()));
}

static void
shared_init_receiver(ReceiverShared *mine, char *memory)
{
	mine->decoder = decoder_init(memory, SHARED_DECODER);
	memory += SHARED_ALIGN(decoder_size(SHARED_DECODER));
	mine->seen = lru_init(memory, SHARED_SEEN, sizeof(SeenInterface));
	memory += SHARED_ALIGN(lru_size(SHARED_SEEN, sizeof(SeenInterface)));
	mine->intervals = intervals_init(memory, lastfluss_buffers, lastfluss_max_entries);
}

/* Before anything is hashed.  Where the system has no random numbers, nobody can log in either. */
static void
shared_choose_hash_key(void)
{
	if (!pg_strong_random(&shared->hash_key, sizeof(shared->hash_key)))
		shared->hash_key = hash_key;
}

static void
shared_init(void)
{
	LWLockPadded *locks = GetNamedLWLockTranche("lastfluss");
	char	   *memory = (char *) shared + shared_head_size();

	memset(shared, 0, shared_head_size());
	shared_choose_hash_key();
	shared->run = lastfluss_unix_time(GetCurrentTimestamp());
	shared->since = GetCurrentTimestamp();
	shared->lock = &locks[0].lock;
	pg_atomic_init_u64(&shared->generation, 0);
	pg_atomic_init_u32(&shared->config_changed, 0);
	pg_atomic_init_u64(&shared->prefix_generation, 0);
	pg_atomic_init_u32(&shared->prefixes_changed, 0);
	shared->prefix_segment = DSM_HANDLE_INVALID;
	for (int i = 0; i < lastfluss_receivers; i++)
	{
		shared->receiver_locks[i] = &locks[i + 1].lock;
		shared_init_receiver(&shared->receivers[i], memory);
		memory += shared_receiver_size();
	}
}

static void
shared_startup(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("lastfluss", shared_size(), &found);
	if (!found)
		shared_init();
	hash_key = shared->hash_key;
	LWLockRelease(AddinShmemInitLock);
}

static void
shared_request(void)
{
	if (previous_request_hook)
		previous_request_hook();

	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche("lastfluss", 1 + lastfluss_receivers);
}

void
shared_register(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = shared_request;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = shared_startup;
}

void
shared_wake_writer(void)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	if (shared->writer.latch)
		SetLatch(shared->writer.latch);
	LWLockRelease(shared->lock);
}

void
shared_wake_keeper(void)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	if (shared->keeper_latch)
		SetLatch(shared->keeper_latch);
	LWLockRelease(shared->lock);
}

void
shared_wake_maintenance(void)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	if (shared->maintenance.latch)
		SetLatch(shared->maintenance.latch);
	LWLockRelease(shared->lock);
}

void
shared_wake_receivers(void)
{
	for (int i = 0; i < lastfluss_receivers; i++)
	{
		LWLockAcquire(shared->receiver_locks[i], LW_SHARED);
		if (shared->receivers[i].latch)
			SetLatch(shared->receivers[i].latch);
		LWLockRelease(shared->receiver_locks[i]);
	}
}

void
shared_set_error(const char *message)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (message)
	{
		strlcpy(shared->error, message, SHARED_ERROR_SIZE);
		shared->error_time = GetCurrentTimestamp();
	}
	else
		shared->error[0] = '\0';
	LWLockRelease(shared->lock);
}
