/*
 * file.h
 *	  A file of ours in the data directory: there whole, or not at all.
 *
 * The directory is pg_lastfluss/.  A file carries a magic number with the version,
 * its length and a checksum.
 */
#ifndef LASTFLUSS_FILE_H
#define LASTFLUSS_FILE_H

#define FILE_DIRECTORY	"pg_lastfluss"

typedef enum FileResult
{
	FILE_WHOLE,
	FILE_MISSING,
	FILE_DAMAGED,				/* or of another version */
	FILE_UNREADABLE				/* for now, see errno */
} FileResult;

/* From the data directory; "path" has room for MAXPGPATH. */
extern void file_path(char *path, const char *name);

/*
 * Writes the file, over an older one, safe from a crash of the machine.  Returns
 * its octets; or -1 with errno, and the older one is as it was.
 */
extern int64 file_write(const char *name, uint32 magic, const void *content, Size length);

/* Reads the content, of "longest" octets at the most, into palloc()ed memory. */
extern FileResult file_read(const char *name, uint32 magic, Size longest,
							void **content, Size *length);

/* Renames a damaged file to ".damaged" and says so in the log, with what it held. */
extern void file_set_aside(const char *name, const char *held);

/* Removes the file, if it is there. */
extern void file_remove(const char *name);

/* Removes what a crash has left half written; while nobody writes. */
extern void file_remove_unfinished(void);

#endif							/* LASTFLUSS_FILE_H */
