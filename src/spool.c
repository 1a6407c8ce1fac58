/*
 * spool.c
 *	  Intervals in files of the data directory, one each.
 *
 * The content: a head; the paths, as aggregate.h has them; the health rows; the
 * numbers that paths have for interfaces, ascending; and their names in that order,
 * one behind the other and each with its closing zero.  All members have a fixed
 * size, and no padding, in the byte order of the machine.  Whoever changes one of
 * these structs, AggregateRow or HealthCounts increments the version.
 */
#include "postgres.h"

#include <sys/stat.h>

#include "mb/pg_wchar.h"
#include "storage/fd.h"

#include "file.h"
#include "lastfluss.h"
#include "shared.h"
#include "spool.h"

#define SPOOL_MAGIC			0x4c464902	/* "LFI", version 2 */
#define SPOOL_MAX_OCTETS	((Size) 1 << 30)
#define SPOOL_MAX_PERIOD	3600	/* seconds */
#define SPOOL_NAME_SIZE		80
#define SPOOL_NAME_FORMAT	"interval." INT64_FORMAT ".%d." UINT64_FORMAT

typedef struct SpoolHead
{
	int64		run;
	int64		start;
	uint64		sequence;
	uint64		folded;
	int32		receiver;
	int32		period;
	uint32		path_count;
	uint32		health_count;
	uint32		name_count;
	uint8		finished;
	uint8		noted;
	uint8		zero[2];
} SpoolHead;

typedef struct SpoolHealth
{
	HealthCounts counts;
	uint8		host[16];
	uint32		domain;
	uint32		protocol;
} SpoolHealth;

StaticAssertDecl(sizeof(SpoolHead) == 56, "no padding");
StaticAssertDecl(sizeof(AggregateRow) == 32, "no padding");
StaticAssertDecl(sizeof(SpoolHealth) == sizeof(HealthCounts) + 24, "no padding");

/* A content's parts, where they lie in it. */
typedef struct SpoolParts
{
	SpoolHead  *head;
	AggregateRow *paths;
	SpoolHealth *health;
	uint32	   *numbers;
	char	   *names;
	Size		names_length;
} SpoolParts;

static void
spool_file_name(char *file, const SpoolName *name)
{
	snprintf(file, SPOOL_NAME_SIZE, SPOOL_NAME_FORMAT, name->run, name->receiver, name->sequence);
}

/* The parts by the numbers in the head; false where the content is too short. */
static bool
spool_find_parts(void *content, Size length, SpoolParts *parts)
{
	Size		fixed;

	if (length < sizeof(SpoolHead))
		return false;
	length -= sizeof(SpoolHead);
	parts->head = content;
	fixed = (Size) parts->head->path_count * sizeof(AggregateRow) +
		(Size) parts->head->health_count * sizeof(SpoolHealth) +
		(Size) parts->head->name_count * sizeof(uint32);
	if (fixed > length)
		return false;
	parts->paths = (AggregateRow *) (parts->head + 1);
	parts->health = (SpoolHealth *) (parts->paths + parts->head->path_count);
	parts->numbers = (uint32 *) (parts->health + parts->head->health_count);
	parts->names = (char *) (parts->numbers + parts->head->name_count);
	parts->names_length = length - fixed;
	return true;
}

/*
 * Writing.
 */

/* How many names there are, and the octets that they take. */
static uint32
spool_count_names(const IntervalCopy *copy, Size *length)
{
	uint32		count = 0;

	*length = 0;
	for (uint32 i = 0; i < copy->name_count; i++)
	{
		if (copy->names[i] == NULL)
			continue;
		count++;
		*length += strlen(copy->names[i]) + 1;
	}
	return count;
}

static void
spool_put_health(const IntervalCopy *copy, SpoolHealth *health)
{
	for (uint32 i = 0; i < copy->health_count; i++)
	{
		const HealthRow *row = &copy->health[i];

		health[i] = (SpoolHealth) {
			.counts = row->counts,
			.domain = row->domain,
			.protocol = row->protocol
		};
		memcpy(health[i].host, row->host.octets, sizeof(health[i].host));
	}
}

static void
spool_put_names(const IntervalCopy *copy, uint32 *numbers, char *next)
{
	for (uint32 i = 0; i < copy->name_count; i++)
	{
		if (copy->names[i] == NULL)
			continue;
		*numbers++ = i;
		strcpy(next, copy->names[i]);
		next += strlen(next) + 1;
	}
}

static SpoolHead
spool_head(const IntervalCopy *copy, uint32 name_count)
{
	return (SpoolHead) {
		.run = copy->run,
		.start = copy->start,
		.sequence = copy->sequence,
		.folded = copy->folded,
		.receiver = copy->receiver,
		.period = copy->period,
		.path_count = copy->path_count,
		.health_count = copy->health_count,
		.name_count = name_count,
		.finished = copy->finished,
		.noted = copy->noted
	};
}

static void *
spool_content(const IntervalCopy *copy, Size *length)
{
	Size		names_length;
	uint32		name_count = spool_count_names(copy, &names_length);
	SpoolParts	parts = {0};
	void	   *content;

	*length = sizeof(SpoolHead) + copy->path_count * sizeof(AggregateRow) +
		copy->health_count * sizeof(SpoolHealth) + name_count * sizeof(uint32) + names_length;
	content = palloc_extended(*length, MCXT_ALLOC_HUGE);
	*(SpoolHead *) content = spool_head(copy, name_count);
	(void) spool_find_parts(content, *length, &parts);
	memcpy(parts.paths, copy->paths, copy->path_count * sizeof(AggregateRow));
	spool_put_health(copy, parts.health);
	spool_put_names(copy, parts.numbers, parts.names);
	return content;
}

bool
spool_save(const IntervalCopy *copy, int64 *octets)
{
	SpoolName	name = {copy->run, copy->receiver, copy->sequence};
	char		file[SPOOL_NAME_SIZE];
	Size		length;
	void	   *content = spool_content(copy, &length);
	int			error;

	spool_file_name(file, &name);
	*octets = file_write(file, SPOOL_MAGIC, content, length);
	error = errno;
	pfree(content);
	errno = error;
	return *octets >= 0;
}

/*
 * Reading.  The checksum is right by now, but nothing is believed for that.
 */

static bool
spool_check_head(const SpoolHead *head, const SpoolName *name)
{
	return head->run == name->run && head->receiver == name->receiver &&
		head->sequence == name->sequence &&
		head->start >= 0 && IS_VALID_TIMESTAMP(lastfluss_timestamp(head->start)) &&
		head->period >= 1 && head->period <= SPOOL_MAX_PERIOD &&
		head->folded <= AGGREGATE_MAX_SUM &&
		head->finished <= 1 && head->noted <= 1 &&
		head->name_count <= SHARED_MAX_NAMES &&
		head->health_count <= HEALTH_EXPORTERS + 1 &&
		(head->health_count > 0) == (head->noted == 1);
}

/* Ascending, so each has one name. */
static bool
spool_check_numbers(const SpoolParts *parts)
{
	for (uint32 i = 0; i < parts->head->name_count; i++)
	{
		if (parts->numbers[i] >= SHARED_MAX_NAMES ||
			(i > 0 && parts->numbers[i] <= parts->numbers[i - 1]))
			return false;
	}
	return true;
}

/* "named" tells which numbers have a name. */
static bool
spool_check_path(const AggregateRow *path, const bool *named)
{
	uint64		place = aggregate_row_place(path);
	uint32		ingress = aggregate_ingress(place);
	uint32		egress = aggregate_egress(place);

	return ingress <= AGGREGATE_NO_INTERFACE && egress <= AGGREGATE_NO_INTERFACE &&
		named[ingress] && named[egress] &&
		(place & AGGREGATE_FAMILY) != 1 &&
		path->bytes <= AGGREGATE_MAX_SUM && path->packets <= AGGREGATE_MAX_SUM;
}

static bool
spool_check_paths(const SpoolParts *parts)
{
	bool	   *named = palloc0((AGGREGATE_NO_INTERFACE + 1) * sizeof(bool));
	bool		good = true;

	named[AGGREGATE_NO_INTERFACE] = true;
	for (uint32 i = 0; i < parts->head->name_count; i++)
		named[parts->numbers[i]] = true;
	for (uint32 i = 0; good && i < parts->head->path_count; i++)
		good = spool_check_path(&parts->paths[i], named);
	pfree(named);
	return good;
}

static bool
spool_check_health(const SpoolParts *parts)
{
	for (uint32 i = 0; i < parts->head->health_count; i++)
	{
		if (parts->health[i].protocol > PG_UINT8_MAX)
			return false;
	}
	return true;
}

/* Exactly so many names, and nothing behind them. */
static bool
spool_check_names(const SpoolParts *parts)
{
	const char *next = parts->names;
	const char *end = parts->names + parts->names_length;

	for (uint32 i = 0; i < parts->head->name_count; i++)
	{
		size_t		length = strnlen(next, end - next);

		if (length == (size_t) (end - next) || length >= SHARED_NAME_SIZE ||
			!pg_verifymbstr(next, (int) length, true))
			return false;
		next += length + 1;
	}
	return next == end;
}

static void
spool_get_paths(const SpoolParts *parts, IntervalCopy *copy)
{
	Size		length = copy->path_count * sizeof(AggregateRow);
	AggregateRow *paths = palloc_extended(Max(length, 1), MCXT_ALLOC_HUGE);

	memcpy(paths, parts->paths, length);
	copy->paths = paths;
}

static void
spool_get_health(const SpoolParts *parts, IntervalCopy *copy)
{
	copy->health = palloc(Max(copy->health_count, 1) * sizeof(HealthRow));
	for (uint32 i = 0; i < copy->health_count; i++)
	{
		const SpoolHealth *row = &parts->health[i];

		copy->health[i] = (HealthRow) {
			.domain = row->domain,
			.protocol = (uint8) row->protocol,
			.counts = row->counts
		};
		memcpy(copy->health[i].host.octets, row->host, sizeof(row->host));
	}
}

/* As copy.c has it: one piece of memory for the pointers and what they point to. */
static void
spool_get_names(const SpoolParts *parts, IntervalCopy *copy)
{
	uint32		count = parts->head->name_count;
	Size		pointers;
	char	   *next;

	copy->name_count = count > 0 ? parts->numbers[count - 1] + 1 : 0;
	pointers = copy->name_count * sizeof(char *);
	copy->names = palloc0(pointers + parts->names_length);
	next = (char *) copy->names + pointers;
	memcpy(next, parts->names, parts->names_length);
	for (uint32 i = 0; i < count; i++)
	{
		copy->names[parts->numbers[i]] = next;
		next += strlen(next) + 1;
	}
}

static void
spool_get(const SpoolParts *parts, IntervalCopy *copy)
{
	const SpoolHead *head = parts->head;

	*copy = (IntervalCopy) {
		.run = head->run,
		.receiver = head->receiver,
		.sequence = head->sequence,
		.start = head->start,
		.period = head->period,
		.finished = head->finished,
		.noted = head->noted,
		.folded = head->folded,
		.path_count = head->path_count,
		.health_count = head->health_count
	};
	spool_get_paths(parts, copy);
	spool_get_health(parts, copy);
	spool_get_names(parts, copy);
}

static bool
spool_check(const SpoolName *name, void *content, Size length, SpoolParts *parts)
{
	return spool_find_parts(content, length, parts) &&
		spool_check_head(parts->head, name) && spool_check_numbers(parts) &&
		spool_check_paths(parts) && spool_check_health(parts) && spool_check_names(parts);
}

/* An interval must not be taken for lost because memory is short for a moment. */
static void
spool_report_unreadable(const char *file)
{
	int			error = errno;
	char		path[MAXPGPATH];

	file_path(path, file);
	errno = error;
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not read file \"%s\": %m", path)));
}

bool
spool_load(const SpoolName *name, IntervalCopy *copy)
{
	char		file[SPOOL_NAME_SIZE];
	void	   *content;
	Size		length;
	SpoolParts	parts;
	FileResult	result;
	bool		good;

	spool_file_name(file, name);
	result = file_read(file, SPOOL_MAGIC, SPOOL_MAX_OCTETS, &content, &length);
	if (result == FILE_UNREADABLE)
		spool_report_unreadable(file);
	good = result == FILE_WHOLE && spool_check(name, content, length, &parts);
	if (good)
		spool_get(&parts, copy);
	else if (result != FILE_MISSING)
		file_set_aside(file, "the traffic of an interval");
	if (content)
		pfree(content);
	return good;
}

/*
 * The directory.
 */

/* Is it one of ours?  The same name must come out of the numbers. */
static bool
spool_parse_name(const char *file, SpoolName *name)
{
	char		again[SPOOL_NAME_SIZE];

	if (sscanf(file, SPOOL_NAME_FORMAT, &name->run, &name->receiver, &name->sequence) != 3 ||
		name->receiver < 0)
		return false;
	spool_file_name(again, name);
	return strcmp(again, file) == 0;
}

/* 1: an interval's file; 0: none of ours, or removed by now; -1: see errno. */
static int
spool_look_at(const char *file, SpoolFile *found)
{
	char		path[MAXPGPATH];
	struct stat status;

	if (!spool_parse_name(file, &found->name))
		return 0;
	file_path(path, file);
	if (stat(path, &status) != 0)
		return errno == ENOENT ? 0 : -1;
	found->octets = status.st_size;
	return 1;
}

static int
spool_compare(const void *a, const void *b)
{
	const SpoolName *x = &((const SpoolFile *) a)->name;
	const SpoolName *y = &((const SpoolFile *) b)->name;

	if (x->run != y->run)
		return x->run < y->run ? -1 : 1;
	if (x->receiver != y->receiver)
		return x->receiver < y->receiver ? -1 : 1;
	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* What the directory has, in any order; false where it cannot be listed. */
static bool
spool_read_directory(DIR *directory, SpoolFile **files, uint32 *count)
{
	uint32		room = 64;
	struct dirent *entry;

	*files = palloc(room * sizeof(SpoolFile));
	while ((errno = 0, entry = readdir(directory)) != NULL)
	{
		int			found;

		if (*count == room)
		{
			room *= 2;
			*files = repalloc_huge(*files, room * sizeof(SpoolFile));
		}
		found = spool_look_at(entry->d_name, &(*files)[*count]);
		if (found < 0)
			return false;
		*count += found;
	}
	return errno == 0;
}

/* What cannot be listed must not be taken for empty. */
SpoolFile *
spool_try_list(uint32 *count)
{
	DIR		   *directory = AllocateDir(FILE_DIRECTORY);
	SpoolFile  *files;
	bool		whole;
	int			error;

	*count = 0;
	if (directory == NULL)
		return errno == ENOENT ? palloc(sizeof(SpoolFile)) : NULL;
	whole = spool_read_directory(directory, &files, count);
	error = errno;
	FreeDir(directory);
	errno = error;
	if (!whole)
	{
		pfree(files);
		return NULL;
	}
	qsort(files, *count, sizeof(SpoolFile), spool_compare);
	return files;
}

SpoolFile *
spool_list(uint32 *count)
{
	SpoolFile  *files = spool_try_list(count);

	if (files == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read directory \"%s\": %m", FILE_DIRECTORY)));
	return files;
}

void
spool_remove(const SpoolName *name)
{
	char		file[SPOOL_NAME_SIZE];

	spool_file_name(file, name);
	file_remove(file);
}
