/*
 * state.c
 *	  What the receivers have learned, kept over a restart of the server.
 *
 * Exporters send their templates and sampling rates every few minutes; without
 * them the data in between cannot be read.  So the keeper saves them, every few
 * seconds where something has changed and at the end, into a file for each
 * receiver in the data directory; a receiver that starts with empty memory takes
 * them up.
 *
 * A file that is damaged is set aside and said in the log, and no more: what it
 * held comes again from the network.
 */
#include "postgres.h"

#include "port/pg_crc32c.h"

#include "file.h"
#include "lastfluss.h"
#include "shared.h"

#define STATE_MAGIC			0x4c464401	/* "LFD", version 1 */
#define STATE_MAX_OCTETS	(64 * 1024 * 1024)

static void
state_name(char *name, int receiver)
{
	snprintf(name, MAXPGPATH, "decoder.%d", receiver);
}

/* The decoder's image, and how long it is. */
static uint8 *
state_take(int receiver, Size *length)
{
	const Decoder *decoder = shared->receivers[receiver].decoder;
	uint8	   *image = NULL;
	Size		room = 0;

	/* Something may be learned between the look at the size and the copy. */
	for (;;)
	{
		LWLockAcquire(shared->receiver_locks[receiver], LW_SHARED);
		*length = decoder_save(decoder, image, room);
		LWLockRelease(shared->receiver_locks[receiver]);
		if (*length <= room)
			return image;
		if (image)
			pfree(image);
		room = *length + 4096;
		image = palloc_extended(room, MCXT_ALLOC_HUGE);
	}
}

static pg_crc32c
state_checksum(const uint8 *data, Size length)
{
	pg_crc32c	checksum;

	INIT_CRC32C(checksum);
	COMP_CRC32C(checksum, data, length);
	FIN_CRC32C(checksum);
	return checksum;
}

static void
state_report_failure(const char *name)
{
	int			error = errno;
	char		path[MAXPGPATH];

	file_path(path, name);
	errno = error;
	ereport(lastfluss_elevel(LOG_RANK_WARNING),
			(errcode_for_file_access(),
			 errmsg("lastfluss: could not save templates to file \"%s\": %m", path),
			 errdetail("After a restart of the server, data waits until the exporters send their templates.")));
}

/*
 * Saves what a receiver has learned, if that has changed since the last time.
 * Runs in the keeper, in a context that is reset.
 */
void
state_save(int receiver)
{
	static pg_crc32c saved[SHARED_MAX_RECEIVERS];
	static bool said = false;
	char		name[MAXPGPATH];
	pg_crc32c	checksum;
	Size		length;
	uint8	   *image;

	/* A receiver that has not read the file yet must still find it. */
	if (!shared->receivers[receiver].state_loaded)
		return;
	image = state_take(receiver, &length);
	checksum = state_checksum(image, length);
	if (checksum == saved[receiver])
		return;

	state_name(name, receiver);
	if (file_write(name, STATE_MAGIC, image, length) < 0)
	{
		if (!said)
			state_report_failure(name);
		said = true;
		return;
	}
	said = false;
	saved[receiver] = checksum;
}

static bool
state_load_image(int receiver, const uint8 *image, Size length)
{
	bool		good;

	LWLockAcquire(shared->receiver_locks[receiver], LW_EXCLUSIVE);
	good = decoder_load(shared->receivers[receiver].decoder, image, length);
	LWLockRelease(shared->receiver_locks[receiver]);
	return good;
}

static void
state_load_file(int receiver, const char *name)
{
	void	   *image;
	Size		length;
	FileResult	result = file_read(name, STATE_MAGIC, STATE_MAX_OCTETS, &image, &length);

	if (result == FILE_DAMAGED ||
		(result == FILE_WHOLE && !state_load_image(receiver, image, length)))
		file_set_aside(name, "templates and sampling rates, which the exporters send again");
	if (image)
		pfree(image);
}

/*
 * Takes up what all receivers had learned: there may be more or fewer of them
 * now, and exporters may have moved between them.  Runs in a receiver that
 * starts; in one that starts again, the memory still knows.
 */
void
state_load(int receiver)
{
	char		name[MAXPGPATH];

	if (shared->receivers[receiver].state_loaded)
		return;
	for (int i = 0; i < SHARED_MAX_RECEIVERS; i++)
	{
		state_name(name, i);
		state_load_file(receiver, name);
	}
	shared->receivers[receiver].state_loaded = true;
}
