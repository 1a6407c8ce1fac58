/*
 * import_asn.c
 *	  Lists of prefixes and of AS names, as people have them: import_prefixes()
 *	  and import_asns().
 *
 * A list can have a million lines.  It is read and checked as a whole, sorted,
 * of equal entries the last one kept, and written in chunks.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <sys/socket.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/memutils.h"

#include "import.h"
#include "lastfluss.h"

#define IMPORT_CHUNK	10000	/* rows written by one statement */

/* "64500" or "AS64500", whatever follows; NULL where it is none. */
static char *
import_as(char *value, int64 *as)
{
	char	   *digits = pg_strncasecmp(value, "as", 2) == 0 ? value + 2 : value;
	char	   *end = digits;

	*as = 0;
	while (*end >= '0' && *end <= '9' && *as <= PG_UINT32_MAX)
		*as = *as * 10 + *end++ - '0';
	return end > digits && *as <= PG_UINT32_MAX ? end : NULL;
}

/*
 * Rows.
 */

typedef struct ImportRows
{
	Size		size;			/* of a row */
	uint64		count;
	uint64		room;
	char	   *rows;
} ImportRows;

static void
import_rows_begin(ImportRows *rows, Size size)
{
	rows->size = size;
	rows->count = 0;
	rows->room = IMPORT_CHUNK;
	rows->rows = palloc(rows->room * size);
}

static void *
import_add_row(ImportRows *rows)
{
	if (rows->count == rows->room)
	{
		rows->room *= 2;
		rows->rows = repalloc_huge(rows->rows, rows->room * rows->size);
	}
	return rows->rows + rows->count++ * rows->size;
}

static void *
import_row(const ImportRows *rows, uint64 position)
{
	return rows->rows + position * rows->size;
}

/* Sorts, and keeps of each run of equals the last; "compare" must give their order, too. */
static void
import_sort(ImportRows *rows, int (*compare) (const void *, const void *),
			bool (*equal) (const void *, const void *))
{
	uint64		kept = 0;

	qsort(rows->rows, rows->count, rows->size, compare);
	for (uint64 i = 0; i < rows->count; i++)
	{
		if (i + 1 < rows->count && equal(import_row(rows, i), import_row(rows, i + 1)))
			continue;
		memmove(import_row(rows, kept++), import_row(rows, i), rows->size);
	}
	rows->count = kept;
}

/* A column of an array's elements. */
typedef struct ImportColumn
{
	Oid			type;
	Oid			array_type;
	int			length;
	bool		by_value;
	char		align;
} ImportColumn;

#define IMPORT_CIDR		{CIDROID, CIDRARRAYOID, -1, false, TYPALIGN_INT}
#define IMPORT_STRING	{TEXTOID, TEXTARRAYOID, -1, false, TYPALIGN_INT}
#define IMPORT_BIGINT	{INT8OID, INT8ARRAYOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE}
#define IMPORT_COLUMNS	3		/* of a list, at the most */

/* What a column has in a row; "*isnull" is false before. */
typedef Datum (*ImportGet) (const void *row, int column, bool *isnull);

static Datum
import_array(const ImportRows *rows, uint64 first, uint64 count, const ImportColumn *type,
			 int column, ImportGet get)
{
	Datum	   *values = MemoryContextAllocHuge(CurrentMemoryContext, count * sizeof(Datum) + 1);
	bool	   *nulls = MemoryContextAllocExtended(CurrentMemoryContext, count + 1,
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int			dimension = (int) count;
	int			lower_bound = 1;

	for (uint64 i = 0; i < count; i++)
		values[i] = get(import_row(rows, first + i), column, &nulls[i]);
	return PointerGetDatum(construct_md_array(values, nulls, 1, &dimension, &lower_bound,
											  type->type, type->length, type->by_value,
											  type->align));
}

/* A statement whose parameters are columns of so many rows from "first" on. */
static void
import_execute_with(SPIPlanPtr plan, const ImportRows *rows, uint64 first, uint64 count,
					int columns, const ImportColumn *types, ImportGet get)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "lastfluss import",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Datum		values[IMPORT_COLUMNS];

	for (int i = 0; i < columns; i++)
		values[i] = import_array(rows, first, count, &types[i], i, get);
	import_execute(plan, values, NULL);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

static SPIPlanPtr
import_prepare_with(const char *statement, int columns, const ImportColumn *types)
{
	Oid			oids[IMPORT_COLUMNS];

	Assert(columns <= IMPORT_COLUMNS);
	for (int i = 0; i < columns; i++)
		oids[i] = types[i].array_type;
	return import_prepare(statement, columns, oids);
}

/* Removes what the list does not have; the statement takes the first column, of all rows. */
static void
import_delete_others(const ImportRows *rows, const char *statement, const ImportColumn *types,
					 ImportGet get)
{
	import_execute_with(import_prepare_with(statement, 1, types), rows, 0, rows->count, 1,
						types, get);
}

/* Writes the list in chunks; the statement takes all columns. */
static void
import_insert(const ImportRows *rows, const char *statement, int columns,
			  const ImportColumn *types, ImportGet get)
{
	SPIPlanPtr	plan = import_prepare_with(statement, columns, types);

	for (uint64 first = 0; first < rows->count; first += IMPORT_CHUNK)
	{
		CHECK_FOR_INTERRUPTS();
		import_execute_with(plan, rows, first, Min(IMPORT_CHUNK, rows->count - first),
							columns, types, get);
	}
}

/*
 * Prefixes.
 */

typedef struct ImportPrefix
{
	uint8		family;			/* 4 or 6 */
	uint8		length;
	uint8		octets[16];		/* 4 of IPv4 */
	uint32		as;
	int			line;
} ImportPrefix;

static int
import_compare_prefix(const void *a, const void *b)
{
	const ImportPrefix *left = a;
	const ImportPrefix *right = b;
	int			difference = (int) left->family - right->family;

	if (difference == 0)
		difference = memcmp(left->octets, right->octets, sizeof(left->octets));
	if (difference == 0)
		difference = (int) left->length - right->length;
	return difference != 0 ? difference : (left->line > right->line) - (left->line < right->line);
}

static bool
import_equal_prefix(const void *a, const void *b)
{
	const ImportPrefix *left = a;
	const ImportPrefix *right = b;

	return left->family == right->family && left->length == right->length &&
		memcmp(left->octets, right->octets, sizeof(left->octets)) == 0;
}

static Datum
import_get_prefix(const void *row, int column, bool *isnull)
{
	const ImportPrefix *prefix = row;
	inet	   *value;

	if (column == 1)
		return Int64GetDatum((int64) prefix->as);
	value = palloc0(sizeof(inet));
	ip_family(value) = prefix->family == 4 ? PGSQL_AF_INET : PGSQL_AF_INET6;
	ip_bits(value) = prefix->length;
	memcpy(ip_addr(value), prefix->octets, prefix->family == 4 ? 4 : 16);
	SET_INET_VARSIZE(value);
	return InetPGetDatum(value);
}

/* Ends the word at "value", and gives what comes after the separator. */
static char *
import_cut(char *value)
{
	value += strcspn(value, " \t,");
	if (*value != '\0')
		*value++ = '\0';
	return value + strspn(value, " \t");
}

static bool
import_has_host_bits(const ImportPrefix *prefix)
{
	for (int bit = prefix->length; bit < (prefix->family == 4 ? 32 : 128); bit++)
	{
		if (prefix->octets[bit / 8] & 0x80 >> bit % 8)
			return true;
	}
	return false;
}

/* Address and length; NULL, or what is wrong with them. */
static const char *
import_prefix_value(const char *address, const char *length, ImportPrefix *prefix)
{
	int64		bits;

	memset(prefix->octets, 0, sizeof(prefix->octets));
	if (inet_pton(AF_INET, address, prefix->octets) == 1)
		prefix->family = 4;
	else if (inet_pton(AF_INET6, address, prefix->octets) == 1)
		prefix->family = 6;
	else
		return psprintf("\"%s\" is no IP address", import_clip(address));
	if (!import_number(length, 0, prefix->family == 4 ? 32 : 128, &bits))
		return psprintf("\"%s\" is no prefix length of IPv%d", import_clip(length), prefix->family);
	prefix->length = (uint8) bits;
	return NULL;
}

/* An AS number, or an AS set: several with commas between, in braces or not. */
static char *
import_as_set(char *value, int64 *first, bool *several)
{
	bool		braces = *value == '{';
	char	   *next = import_as(value + braces, first);
	int64		other;

	while (next && *next == ',')
	{
		next = import_as(next + 1, &other);
		*several = true;
	}
	if (!next || !braces)
		return next;
	return *next == '}' ? next + 1 : NULL;
}

/*
 * The origin.  In pfx2as there can be several, with "_" between.  The first one
 * counts.
 */
static const char *
import_origin(char *value, ImportPrefix *prefix, bool *several)
{
	int64		first;
	int64		other;
	char	   *next = import_as_set(value, &first, several);

	while (next && *next == '_')
	{
		next = import_as_set(next + 1, &other, several);
		*several = true;
	}
	if (!next || *next != '\0')
		return psprintf("\"%s\" is no AS number", import_clip(value));
	prefix->as = (uint32) first;
	return NULL;
}

static void
import_prefix_line(Import *import, int line, char *address, ImportPrefix *prefix, uint64 *several)
{
	char	   *rest = import_cut(address);
	char	   *length = strchr(address, '/');
	const char *problem;
	const char *hint = "A line is written as in \"192.0.2.0/24 64500\", or \"192.0.2.0 24 64500\" with tabs between.";
	bool		more = false;

	if (length)
		*length++ = '\0';
	else
	{
		length = rest;
		rest = import_cut(rest);
	}
	if (*length == '\0' || *rest == '\0')
		problem = "a prefix and an AS number are needed";
	else
		problem = import_prefix_value(address, length, prefix);
	if (!problem)
		problem = import_origin(rest, prefix, &more);
	if (!problem && import_has_host_bits(prefix))
	{
		problem = psprintf("%s/%s has bits set to the right of its length", address, length);
		hint = "Give the first address of the prefix, or another length.";
	}
	if (problem)
		import_complain(import, line, hint, problem);
	*several += more;
	prefix->line = line;
}

static void
import_read_prefixes(Import *import, const text *file, ImportRows *rows)
{
	ImportLines lines;
	uint64		several = 0;
	char	   *line;

	import_rows_begin(rows, sizeof(ImportPrefix));
	import_lines_begin(&lines, file);
	while (!import_is_hopeless(import) && (line = import_next_line(&lines)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		import_prefix_line(import, lines.number, line, import_add_row(rows), &several);
	}
	import_check(import);
	import_sort(rows, import_compare_prefix, import_equal_prefix);
	if (several > 0)
		ereport(NOTICE,
				(errmsg("prefixes with more than one origin: " UINT64_FORMAT, several),
				 errdetail("The first origin of each was taken.")));
}

/*
 * lastfluss.import_prefixes(file, replace)
 */
PG_FUNCTION_INFO_V1(lastfluss_import_prefixes);
Datum
lastfluss_import_prefixes(PG_FUNCTION_ARGS)
{
	static const ImportColumn columns[] = {IMPORT_CIDR, IMPORT_BIGINT};
	Import		import;
	ImportRows	rows;

	lastfluss_require_preload();
	import_begin(&import, "prefixes file");
	import_read_prefixes(&import, PG_GETARG_TEXT_PP(0), &rows);
	SPI_connect();
	if (PG_GETARG_BOOL(1))
		import_delete_others(&rows, "DELETE FROM lastfluss.prefix p WHERE NOT EXISTS ("
							 "SELECT FROM pg_catalog.unnest($1) AS f (prefix)"
							 " WHERE f.prefix OPERATOR(pg_catalog.=) p.prefix)",
							 columns, import_get_prefix);
	import_insert(&rows, "INSERT INTO lastfluss.prefix AS p (prefix, asn)"
				  " SELECT * FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS f"
				  " ON CONFLICT ON CONSTRAINT prefix_pkey DO UPDATE SET asn = excluded.asn"
				  " WHERE p.asn OPERATOR(pg_catalog.<>) excluded.asn",
				  lengthof(columns), columns, import_get_prefix);
	SPI_finish();
	PG_RETURN_INT64((int64) rows.count);
}

/*
 * AS names.
 */

typedef struct ImportAsn
{
	int64		as;
	int			line;
	const char *name;			/* NULL: not told */
	const char *country;
} ImportAsn;

static int
import_compare_asn(const void *a, const void *b)
{
	const ImportAsn *left = a;
	const ImportAsn *right = b;

	if (left->as != right->as)
		return left->as < right->as ? -1 : 1;
	return (left->line > right->line) - (left->line < right->line);
}

static bool
import_equal_asn(const void *a, const void *b)
{
	return ((const ImportAsn *) a)->as == ((const ImportAsn *) b)->as;
}

static Datum
import_get_asn(const void *row, int column, bool *isnull)
{
	const ImportAsn *asn = row;
	const char *value = column == 1 ? asn->name : asn->country;

	if (column == 0)
		return Int64GetDatum(asn->as);
	*isnull = value == NULL;
	return value ? CStringGetTextDatum(value) : (Datum) 0;
}

/* Without blanks around; NULL where nothing is left. */
static const char *
import_or_null(char *value)
{
	value = import_trim(value);
	return *value != '\0' ? value : NULL;
}

static bool
import_is_country(const char *value)
{
	return isupper((unsigned char) value[0]) && isupper((unsigned char) value[1]) && value[2] == '\0';
}

/* "NAME, CC", as RIPE writes it; a name may have commas, too. */
static void
import_name_and_country(char *value, ImportAsn *asn)
{
	char	   *comma = strrchr(value, ',');

	if (comma && import_is_country(import_trim(comma + 1)))
	{
		asn->country = import_trim(comma + 1);
		*comma = '\0';
	}
	asn->name = import_or_null(value);
}

/*
 * Takes a field off the line at "*rest", which becomes NULL behind the last one.
 * In quotes a field may have separators, and "" for a quote.  False where the
 * quotes do not match.
 */
static bool
import_csv_field(char **rest, char separator, char **field)
{
	char	   *from = *rest;
	char	   *to;

	if (separator != ',' || *from != '"')
	{
		*field = from;
		to = strchr(from, separator);
		*rest = to ? to + 1 : NULL;
		if (to)
			*to = '\0';
		return true;
	}
	*field = to = ++from;
	while (*from != '\0' && (*from != '"' || from[1] == '"'))
	{
		from += *from == '"';
		*to++ = *from++;
	}
	if (*from != '"' || (from[1] != '\0' && from[1] != separator))
		return false;
	*rest = from[1] == separator ? from + 2 : NULL;
	*to = '\0';
	return true;
}

/* Number, name and country, between separators; NULL, or what is wrong. */
static const char *
import_asn_fields(char *line, char separator, ImportAsn *asn)
{
	char	   *fields[3] = {NULL};
	char	   *rest = line;
	char	   *end;

	for (int i = 0; rest && i < (int) lengthof(fields); i++)
	{
		if (!import_csv_field(&rest, separator, &fields[i]))
			return "quotes that do not match";
	}
	if (rest)
		return "more than three fields";
	end = import_as(import_trim(fields[0]), &asn->as);
	if (!end || *end != '\0')
		return psprintf("\"%s\" is no AS number", import_clip(fields[0]));
	asn->name = fields[1] ? import_or_null(fields[1]) : NULL;
	asn->country = fields[2] ? import_or_null(fields[2]) : NULL;
	return NULL;
}

/* The separator tells the format: a tab, a comma, or a blank as in RIPE's asn.txt. */
static const char *
import_asn_value(char *line, ImportAsn *asn)
{
	char	   *end = import_as(line, &asn->as);

	asn->name = asn->country = NULL;
	if (*line == '"' || (end && *end == ','))
		return import_asn_fields(line, ',', asn);
	if (end && *end == '\t')
		return import_asn_fields(line, '\t', asn);
	if (!end || (*end != '\0' && *end != ' '))
	{
		line[strcspn(line, " \t,")] = '\0';
		return psprintf("\"%s\" is no AS number", import_clip(line));
	}
	import_name_and_country(end, asn);
	return NULL;
}

static void
import_read_asns(Import *import, const text *file, ImportRows *rows)
{
	ImportLines lines;
	char	   *line;

	import_rows_begin(rows, sizeof(ImportAsn));
	import_lines_begin(&lines, file);
	while (!import_is_hopeless(import) && (line = import_next_line(&lines)) != NULL)
	{
		ImportAsn  *asn = import_add_row(rows);
		const char *problem = import_asn_value(line, asn);

		CHECK_FOR_INTERRUPTS();
		asn->line = lines.number;
		if (problem)
			import_complain(import, lines.number,
							"A line is written as in \"64500 NAME, CC\", \"64500,\"Name\",CC\", or with tabs between.",
							problem);
	}
	import_check(import);
	import_sort(rows, import_compare_asn, import_equal_asn);
}

/*
 * lastfluss.import_asns(file, replace)
 */
PG_FUNCTION_INFO_V1(lastfluss_import_asns);
Datum
lastfluss_import_asns(PG_FUNCTION_ARGS)
{
	static const ImportColumn columns[] = {IMPORT_BIGINT, IMPORT_STRING, IMPORT_STRING};
	Import		import;
	ImportRows	rows;

	lastfluss_require_preload();
	import_begin(&import, "AS names file");
	import_read_asns(&import, PG_GETARG_TEXT_PP(0), &rows);
	SPI_connect();
	if (PG_GETARG_BOOL(1))
		import_delete_others(&rows, "DELETE FROM lastfluss.asn a WHERE NOT EXISTS ("
							 "SELECT FROM pg_catalog.unnest($1) AS f (asn)"
							 " WHERE f.asn OPERATOR(pg_catalog.=) a.asn)",
							 columns, import_get_asn);
	import_insert(&rows, "INSERT INTO lastfluss.asn (asn, name, country)"
				  " SELECT * FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2),"
				  " pg_catalog.unnest($3)) AS f"
				  " ON CONFLICT ON CONSTRAINT asn_pkey DO UPDATE SET"
				  " name = excluded.name, country = excluded.country",
				  lengthof(columns), columns, import_get_asn);
	SPI_finish();
	PG_RETURN_INT64((int64) rows.count);
}
