/*
 * import_knownlinks.c
 *	  The known links of AS-Stats: import_knownlinks().
 *
 * A line has fields with tabs between: the router's address, the ifIndex or
 * ifIndex/VLAN, a tag, a description, a colour of six hexadecimal digits, and
 * the sampling rate, one for both directions or in/out.  AS-Stats splits at runs
 * of tabs, and ignores what comes after the sixth field.
 *
 * Links with the same tag are one link there, as interfaces with the same name
 * are here, and RRD files have the tags: so the tag becomes the name.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/formatting.h"

#include "import_interfaces.h"
#include "lastfluss.h"

enum
{
	LINK_ROUTER,
	LINK_IFINDEX,
	LINK_TAG,
	LINK_DESCRIPTION,
	LINK_COLOR,
	LINK_SAMPLING,
	LINK_FIELDS
};

static const char *const link_names[LINK_FIELDS] = {
	"router IP", "ifindex", "tag", "description", "color", "samplingrate"
};

#define LINK_NEEDED		(LINK_TAG + 1)	/* old files have no more, or no sampling rate */
#define LINK_MAX_TAG	255		/* octets, of a name */

#define LINK_FORMAT	"A line is written as in \"192.0.2.1<tab>23<tab>decix<tab>DE-CIX<tab>1F78B4<tab>512\", with tabs between the fields."

typedef struct ImportLink
{
	Import	   *import;
	ImportInterface *row;
	char	   *fields[LINK_FIELDS];	/* NULL: not there */
} ImportLink;

static void
import_complain_link(ImportLink *link, int field, const char *hint, const char *expected)
{
	import_complain(link->import, link->row->line, hint,
					psprintf("field \"%s\": must be %s, not \"%s\"", link_names[field], expected,
							 import_clip(link->fields[field])));
}

static void
import_set(ImportLink *link, int column, Datum datum)
{
	ImportValue *value = &link->row->values[column];

	value->line = link->row->line;
	value->present = true;
	value->datum = datum;
}

/* Returns how many there are. */
static int
import_split_link(char *line, char **fields)
{
	int			count = 0;

	while (line && count < LINK_FIELDS)
	{
		char	   *end = strchr(line, '\t');

		if (end)
			*end++ = '\0';
		if (*(line = import_trim(line)) != '\0')
			fields[count++] = line;
		line = end;
	}
	return count;
}

/* Behind an IPv6 socket AS-Stats calls 192.0.2.1 ::ffff:192.0.2.1. */
static void
import_router(ImportLink *link)
{
	const char *address = link->fields[LINK_ROUTER];
	Datum		host;

	if (pg_strncasecmp(address, "::ffff:", 7) == 0 && strchr(address, '.') != NULL)
		address += 7;
	if (import_address(address, &host))
		import_set(link, INTERFACE_HOST, host);
	else
		import_complain_link(link, LINK_ROUTER, NULL, "an IP address");
}

/* Two numbers, the second after a slash or not there (-1). */
static bool
import_pair(const char *value, int64 min, int64 first_max, int64 second_max, int64 *first, int64 *second)
{
	char	   *copy = pstrdup(value);
	char	   *slash = strchr(copy, '/');

	*second = -1;
	if (slash)
		*slash++ = '\0';
	return import_number(copy, min, first_max, first) &&
		(!slash || import_number(slash, min, second_max, second));
}

static void
import_ifindex(ImportLink *link)
{
	int64		id;
	int64		vlan;

	if (!import_pair(link->fields[LINK_IFINDEX], 0, PG_UINT32_MAX, 4095, &id, &vlan))
	{
		import_complain_link(link, LINK_IFINDEX, NULL,
							 "an SNMP ifIndex, or one with a VLAN as in \"6/42\"");
		return;
	}
	import_set(link, INTERFACE_ID, Int64GetDatum(id));
	if (vlan >= 0)
		import_set(link, INTERFACE_VLAN, Int64GetDatum(vlan));
}

static void
import_tag(ImportLink *link)
{
	const char *tag = link->fields[LINK_TAG];

	if (strlen(tag) <= LINK_MAX_TAG)
		import_set(link, INTERFACE_NAME, CStringGetTextDatum(tag));
	else
		import_complain_link(link, LINK_TAG, NULL,
							 psprintf("text of 1 to %d octets", LINK_MAX_TAG));
}

static bool
import_is_color(const char *value)
{
	return strlen(value) == 6 && strspn(value, "0123456789abcdefABCDEF") == 6;
}

static void
import_color(ImportLink *link)
{
	const char *color = link->fields[LINK_COLOR];

	color += *color == '#';
	if (import_is_color(color))
		import_set(link, INTERFACE_COLOR,
				   CStringGetTextDatum(psprintf("#%s", asc_tolower(color, strlen(color)))));
	else
		import_complain_link(link, LINK_COLOR, LINK_FORMAT, "six hexadecimal digits");
}

static void
import_sampling(ImportLink *link)
{
	int64		in;
	int64		out;

	if (!import_pair(link->fields[LINK_SAMPLING], 1, PG_UINT32_MAX, PG_UINT32_MAX, &in, &out))
	{
		import_complain_link(link, LINK_SAMPLING,
							 "Without sampling the rate is 1; without a rate, it is what the exporter says.",
							 "a sampling rate, or two as in \"512/1024\"");
		return;
	}
	import_set(link, INTERFACE_SAMPLE, Int64GetDatum(in));
	if (out >= 0 && out != in)
		import_set(link, INTERFACE_SAMPLE_OUT, Int64GetDatum(out));
}

static void
import_link(Import *import, HTAB *seen, char *line, ImportInterface *row)
{
	ImportLink	link = {.import = import,.row = row};
	int			errors = import->errors;
	int			count = import_split_link(line, link.fields);

	if (count < LINK_NEEDED)
	{
		import_complain(import, row->line, LINK_FORMAT,
						psprintf("field \"%s\" is missing", link_names[count]));
		return;
	}
	import_router(&link);
	import_ifindex(&link);
	import_tag(&link);
	if (link.fields[LINK_DESCRIPTION])
		import_set(&link, INTERFACE_DESCRIPTION,
				   CStringGetTextDatum(link.fields[LINK_DESCRIPTION]));
	if (link.fields[LINK_COLOR])
		import_color(&link);
	if (link.fields[LINK_SAMPLING])
		import_sampling(&link);
	if (import->errors == errors)
		import_check_duplicate(import, seen, row);
}

static int
import_count_lines(const text *file)
{
	ImportLines lines;
	int			count = 0;

	import_lines_begin(&lines, file);
	while (import_next_line(&lines))
		count++;
	return count;
}

static void
import_read_links(Import *import, const text *file, ImportInterfaces *links)
{
	HTAB	   *seen = import_seen_interfaces();
	ImportLines lines;
	char	   *line;
	int			i = 0;

	links->count = import_count_lines(file);
	links->rows = MemoryContextAllocExtended(CurrentMemoryContext,
											 links->count * sizeof(ImportInterface) + 1,
											 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	import_lines_begin(&lines, file);
	while (!import_is_hopeless(import) && (line = import_next_line(&lines)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		links->rows[i].line = lines.number;
		import_link(import, seen, line, &links->rows[i++]);
	}
	import_check(import);
}

/*
 * lastfluss.import_knownlinks(file, replace)
 */
PG_FUNCTION_INFO_V1(lastfluss_import_knownlinks);
Datum
lastfluss_import_knownlinks(PG_FUNCTION_ARGS)
{
	Import		import;
	ImportInterfaces links;

	lastfluss_require_preload();
	import_begin(&import, "knownlinks file");
	import_read_links(&import, PG_GETARG_TEXT_PP(0), &links);
	import_write_interfaces(&import, &links, PG_GETARG_BOOL(1),
							"name = excluded.name, sample = excluded.sample,"
							" sample_out = excluded.sample_out,"
							" description = excluded.description, color = excluded.color");
	PG_RETURN_INT32(links.count);
}
