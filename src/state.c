/*
 * state.c
 *	  What the receivers have learned, kept over a restart of the server.
 *
 * Exporters send their templates and sampling rates every few minutes; without
 * them the data in between cannot be read.  So the writer saves them, every few
 * seconds where something has changed and at the end, into a file for each
 * receiver in the data directory (pg_lastfluss/); a receiver that starts with
 * empty memory takes them up.
 *
 * A file carries a magic number with the version, its length and a checksum.
 * One that is damaged is set aside and said in the log, and no more: what it
 * held comes again from the network.
 */
#include "postgres.h"

#include <unistd.h>

#include "common/file_perm.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"

#include "lastfluss.h"
#include "shared.h"

#define STATE_DIRECTORY		"pg_lastfluss"
#define STATE_MAGIC			0x4c464401	/* "LFD", version 1 */
#define STATE_MAX_OCTETS	(64 * 1024 * 1024)

typedef struct StateHeader
{
	uint32		magic;
	uint32		length;			/* of what follows */
	pg_crc32c	checksum;		/* of what follows */
} StateHeader;

static void
state_path(char *path, int receiver, const char *suffix)
{
	snprintf(path, MAXPGPATH, STATE_DIRECTORY "/decoder.%d%s", receiver, suffix);
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

static bool
state_write_file(const char *path, const StateHeader *header, const uint8 *image)
{
	FILE	   *file = AllocateFile(path, PG_BINARY_W);
	bool		good;

	if (file == NULL)
		return false;
	good = fwrite(header, sizeof(*header), 1, file) == 1 &&
		(header->length == 0 || fwrite(image, header->length, 1, file) == 1);
	return FreeFile(file) == 0 && good;
}

/*
 * Saves what a receiver has learned, if that has changed since the last time.
 * Runs in the writer, in a context that is reset.
 */
void
state_save(int receiver)
{
	static pg_crc32c saved[SHARED_MAX_RECEIVERS];
	static bool said = false;
	StateHeader header = {.magic = STATE_MAGIC};
	char		path[MAXPGPATH];
	char		new_path[MAXPGPATH];
	Size		length;
	uint8	   *image;

	/* A receiver that has not read the file yet must still find it. */
	if (!shared->receivers[receiver].state_loaded)
		return;
	image = state_take(receiver, &length);
	header.length = (uint32) length;
	header.checksum = state_checksum(image, length);
	if (header.checksum == saved[receiver])
		return;

	state_path(path, receiver, "");
	state_path(new_path, receiver, ".new");
	(void) MakePGDirectory(STATE_DIRECTORY);
	if (!state_write_file(new_path, &header, image) ||
		durable_rename(new_path, path, DEBUG1) != 0)
	{
		if (!said)
			ereport(lastfluss_elevel(LOG_RANK_WARNING),
					(errcode_for_file_access(),
					 errmsg("lastfluss: could not save templates to file \"%s\": %m", path),
					 errdetail("After a restart of the server, data waits until the exporters send their templates.")));
		said = true;
		return;
	}
	said = false;
	saved[receiver] = header.checksum;
}

/* The content behind the header, or NULL where the file is not whole. */
static uint8 *
state_read_file(FILE *file, uint32 *length)
{
	StateHeader header;
	uint8	   *image;

	if (fread(&header, sizeof(header), 1, file) != 1 || header.magic != STATE_MAGIC ||
		header.length > STATE_MAX_OCTETS)
		return NULL;
	image = palloc(header.length + 1);
	*length = header.length;
	/* One octet more than there should be must not be there. */
	if (fread(image, 1, header.length + 1, file) != header.length ||
		state_checksum(image, header.length) != header.checksum)
		return NULL;
	return image;
}

static void
state_set_aside(const char *path)
{
	char		aside[MAXPGPATH];

	snprintf(aside, sizeof(aside), "%.*s.damaged", MAXPGPATH - 10, path);
	ereport(lastfluss_elevel(LOG_RANK_WARNING),
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("lastfluss: file \"%s\" is damaged or of another version, and is set aside", path),
			 errdetail("It held templates and sampling rates, which the exporters send again.")));
	(void) rename(path, aside);
}

static bool
state_load_image(int receiver, const uint8 *image, uint32 length)
{
	bool		good;

	LWLockAcquire(shared->receiver_locks[receiver], LW_EXCLUSIVE);
	good = decoder_load(shared->receivers[receiver].decoder, image, length);
	LWLockRelease(shared->receiver_locks[receiver]);
	return good;
}

static void
state_load_file(int receiver, const char *path)
{
	FILE	   *file = AllocateFile(path, PG_BINARY_R);
	uint32		length = 0;
	uint8	   *image;

	if (file == NULL)
		return;
	image = state_read_file(file, &length);
	FreeFile(file);
	if (image == NULL || !state_load_image(receiver, image, length))
		state_set_aside(path);
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
	char		path[MAXPGPATH];

	if (shared->receivers[receiver].state_loaded)
		return;
	for (int i = 0; i < SHARED_MAX_RECEIVERS; i++)
	{
		state_path(path, i, "");
		state_load_file(receiver, path);
	}
	shared->receivers[receiver].state_loaded = true;
}
