/*
 * file.c
 *	  A file of ours in the data directory: there whole, or not at all.
 *
 * It is written beside the older one and renamed when it is safe.  The older one
 * stays where that fails, and what was written of the new one is removed: where
 * the disk is full it would be in the way.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"

#include "file.h"
#include "lastfluss.h"

#define FILE_NEW		".new"
#define FILE_ASIDE		".damaged"

typedef struct FileHeader
{
	uint32		magic;
	uint32		length;			/* of what follows */
	pg_crc32c	checksum;		/* of what follows */
} FileHeader;

static void
file_path_with(char *path, const char *name, const char *suffix)
{
	snprintf(path, MAXPGPATH, FILE_DIRECTORY "/%s%s", name, suffix);
}

void
file_path(char *path, const char *name)
{
	file_path_with(path, name, "");
}

static pg_crc32c
file_checksum(const void *content, Size length)
{
	pg_crc32c	checksum;

	INIT_CRC32C(checksum);
	COMP_CRC32C(checksum, content, length);
	FIN_CRC32C(checksum);
	return checksum;
}

/*
 * Writing.
 */

static FILE *
file_create(const char *path)
{
	FILE	   *file = AllocateFile(path, PG_BINARY_W);

	if (file != NULL || errno != ENOENT || MakePGDirectory(FILE_DIRECTORY) != 0)
		return file;
	(void) fsync_fname_ext(".", true, true, DEBUG1);
	return AllocateFile(path, PG_BINARY_W);
}

static bool
file_write_all(const char *path, const FileHeader *header, const void *content)
{
	FILE	   *file = file_create(path);
	int			error = 0;

	if (file == NULL)
		return false;
	if (fwrite(header, sizeof(*header), 1, file) != 1 ||
		(header->length > 0 && fwrite(content, header->length, 1, file) != 1))
		error = errno;
	if (FreeFile(file) != 0 && error == 0)
		error = errno;
	errno = error;
	return error == 0;
}

int64
file_write(const char *name, uint32 magic, const void *content, Size length)
{
	FileHeader	header = {.magic = magic,.length = (uint32) length};
	char		path[MAXPGPATH];
	char		new_path[MAXPGPATH];

	if (length > PG_UINT32_MAX)
	{
		errno = EFBIG;
		return -1;
	}
	header.checksum = file_checksum(content, length);
	file_path_with(path, name, "");
	file_path_with(new_path, name, FILE_NEW);
	if (!file_write_all(new_path, &header, content) ||
		durable_rename(new_path, path, DEBUG1) != 0)
	{
		int			error = errno;

		(void) unlink(new_path);
		errno = error;
		return -1;
	}
	return (int64) (sizeof(header) + length);
}

/*
 * Reading.
 */

/* The header; false where it does not fit the file. */
static bool
file_read_header(FILE *file, uint32 magic, Size longest, FileHeader *header)
{
	struct stat status;

	return fread(header, sizeof(*header), 1, file) == 1 &&
		header->magic == magic && header->length <= longest &&
		fstat(fileno(file), &status) == 0 &&
		status.st_size == (off_t) (sizeof(*header) + header->length);
}

static FileResult
file_read_all(FILE *file, uint32 magic, Size longest, void **content, Size *length)
{
	FileHeader	header;

	if (!file_read_header(file, magic, longest, &header))
		return FILE_DAMAGED;
	*content = palloc_extended(Max(header.length, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (*content == NULL)
	{
		errno = ENOMEM;
		return FILE_UNREADABLE;
	}
	*length = header.length;
	if (fread(*content, 1, *length, file) == *length &&
		file_checksum(*content, *length) == header.checksum)
		return FILE_WHOLE;
	pfree(*content);
	*content = NULL;
	return FILE_DAMAGED;
}

FileResult
file_read(const char *name, uint32 magic, Size longest, void **content, Size *length)
{
	char		path[MAXPGPATH];
	FILE	   *file;
	FileResult	result;
	int			error;

	*content = NULL;
	*length = 0;
	file_path(path, name);
	file = AllocateFile(path, PG_BINARY_R);
	if (file == NULL)
		return errno == ENOENT ? FILE_MISSING : FILE_UNREADABLE;
	result = file_read_all(file, magic, longest, content, length);
	error = errno;
	FreeFile(file);
	errno = error;
	return result;
}

/*
 * Removing.
 */

void
file_set_aside(const char *name, const char *held)
{
	char		path[MAXPGPATH];
	char		aside[MAXPGPATH];

	file_path(path, name);
	file_path_with(aside, name, FILE_ASIDE);
	ereport(lastfluss_elevel(LOG_RANK_WARNING),
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("lastfluss: file \"%s\" is damaged or of another version, and is set aside", path),
			 errdetail("It held %s.", held)));
	(void) rename(path, aside);
}

void
file_remove(const char *name)
{
	char		path[MAXPGPATH];

	file_path(path, name);
	(void) unlink(path);
}

void
file_remove_unfinished(void)
{
	DIR		   *directory = AllocateDir(FILE_DIRECTORY);
	struct dirent *entry;

	if (directory == NULL)
		return;
	while ((entry = ReadDirExtended(directory, FILE_DIRECTORY, DEBUG1)) != NULL)
	{
		size_t		length = strlen(entry->d_name);

		if (length > strlen(FILE_NEW) &&
			strcmp(entry->d_name + length - strlen(FILE_NEW), FILE_NEW) == 0)
			file_remove(entry->d_name);
	}
	FreeDir(directory);
}
