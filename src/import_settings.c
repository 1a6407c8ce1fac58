/*
 * import_settings.c
 *	  settings.yaml, both ways: import_settings() and export_settings().
 *
 * A file is a mapping of sections, of which the first four are the original's:
 *
 *	  aggregation: {period: 60}
 *	  database: {host: ..., port: ..., name: ..., user: ..., pass: ...}
 *	  netflow: {address: ":2055", threads: 8}
 *	  logging: {file: ..., level: ...}
 *	  settings: {any name in lastfluss.settings: its value}
 *	  listeners: [{address: 192.0.2.1, port: 2055}]
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"

#include "import.h"
#include "lastfluss.h"

/* What a file says. */

typedef struct ImportSetting
{
	int			line;
	const char *name;
	const char *value;
} ImportSetting;

typedef struct ImportListener
{
	int			line;
	Datum		address;
	int64		port;
} ImportListener;

typedef struct ImportSettings
{
	List	   *settings;		/* of ImportSetting */
	List	   *listeners;		/* of ImportListener */
	int			ignored;
	StringInfoData ignored_keys;	/* the first IMPORT_MAX_LISTED */
} ImportSettings;

typedef void (*ImportTake) (Import *import, ImportSettings *file, const char *section,
							const YamlNode *node);

static void
import_add_listener(ImportSettings *file, int line, Datum address, int64 port)
{
	ImportListener *listener = palloc(sizeof(ImportListener));

	*listener = (ImportListener) {.line = line,.address = address,.port = port};
	file->listeners = lappend(file->listeners, listener);
}

/*
 * Keys.
 */

static void
import_take_setting(Import *import, ImportSettings *file, const char *section, const YamlNode *node)
{
	ImportSetting *setting;

	if (node->kind == YAML_KIND_NULL)
		return;
	if (node->kind != YAML_KIND_SCALAR)
	{
		import_complain(import, node->line, NULL,
						psprintf("field \"%s.%s\": must be a single value, not %s", section,
								 import_clip(node->key), import_found(node)));
		return;
	}
	setting = palloc(sizeof(ImportSetting));
	*setting = (ImportSetting) {.line = node->line,.name = node->key,.value = node->value};
	file->settings = lappend(file->settings, setting);
}

/*
 * "address:port" as Go's net package reads it, but for names: "192.0.2.1:2055",
 * "[2001:db8::1]:2055"; ":2055" is all addresses.
 */
static bool
import_address_and_port(const char *value, Datum *address, int64 *port)
{
	const char *colon = strrchr(value, ':');
	char	   *host;
	size_t		length;

	if (!colon || !import_number(colon + 1, 1, 65535, port))
		return false;
	host = pnstrdup(value, colon - value);
	length = strlen(host);
	if (length == 0)
		return import_address("::", address);
	if (host[0] == '[' && host[length - 1] == ']')
	{
		host[length - 1] = '\0';
		return import_address(host + 1, address);
	}
	return strchr(host, ':') == NULL && import_address(host, address);
}

static void
import_take_address(Import *import, ImportSettings *file, const char *section, const YamlNode *node)
{
	Datum		address;
	int64		port;

	if (node->kind == YAML_KIND_NULL)
		return;
	if (node->kind == YAML_KIND_SCALAR && import_address_and_port(node->value, &address, &port))
		import_add_listener(file, node->line, address, port);
	else
		import_complain(import, node->line,
						"Write \":2055\" for all addresses, \"192.0.2.1:2055\" or \"[2001:db8::1]:2055\"; ports are 1 to 65535.",
						psprintf("field \"%s.%s\": must be an IP address and a port, not %s",
								 section, node->key, import_found(node)));
}

/* No value is named: one of them is the database's password. */
static void
import_ignore(Import *import, ImportSettings *file, const char *section, const YamlNode *node)
{
	if (file->ignored++ < IMPORT_MAX_LISTED)
		appendStringInfo(&file->ignored_keys, "%s%s.%s", file->ignored > 1 ? ", " : "",
						 section, import_clip(node->key));
}

typedef struct ImportKey
{
	const char *section;
	const char *key;			/* NULL: any */
	ImportTake	take;
} ImportKey;

static const ImportKey import_keys[] = {
	{"aggregation", "period", import_take_setting},
	{"database", NULL, import_ignore},
	{"netflow", "address", import_take_address},
	{"netflow", "threads", import_ignore},
	{"logging", NULL, import_ignore},
	{"settings", NULL, import_take_setting}
};

#define IMPORT_KEYS		((int) lengthof(import_keys))

/* The number of the key's row, or -1. */
static int
import_find_key(const char *section, const char *key)
{
	for (int i = 0; i < IMPORT_KEYS; i++)
	{
		if (strcmp(import_keys[i].section, section) == 0 &&
			(!import_keys[i].key || strcmp(import_keys[i].key, key) == 0))
			return i;
	}
	return -1;
}

static const char *
import_known_keys(const char *section)
{
	StringInfoData known;

	initStringInfo(&known);
	for (int i = 0; i < IMPORT_KEYS; i++)
	{
		if (strcmp(import_keys[i].section, section) == 0)
			appendStringInfo(&known, "%s%s", known.len > 0 ? ", " : "", import_keys[i].key);
	}
	return psprintf("Known in section \"%s\": %s.", section, known.data);
}

/* "lines" has the line of each row of import_keys that was there. */
static void
import_take_key(Import *import, ImportSettings *file, const char *section, const YamlNode *node,
				int *lines)
{
	int			i = import_find_key(section, node->key);

	if (i < 0)
		import_complain(import, node->line, import_known_keys(section),
						psprintf("unknown field \"%s.%s\"", section, import_clip(node->key)));
	else if (import_keys[i].key && lines[i] != 0)
		import_complain(import, node->line, NULL,
						psprintf("field \"%s.%s\" is there twice, first on line %d",
								 section, node->key, lines[i]));
	else
	{
		lines[i] = node->line;
		import_keys[i].take(import, file, section, node);
	}
}

/*
 * Sections.
 */

static void
import_take_keys(Import *import, ImportSettings *file, const char *section, const YamlNode *node)
{
	int			lines[IMPORT_KEYS] = {0};

	if (node->kind == YAML_KIND_NULL)
		return;
	if (node->kind != YAML_KIND_MAPPING)
	{
		import_complain(import, node->line, NULL,
						psprintf("section \"%s\": must be a mapping, not %s",
								 section, import_found(node)));
		return;
	}
	for (const YamlNode *key = node->first; key && !import_is_hopeless(import); key = key->next)
	{
		CHECK_FOR_INTERRUPTS();
		import_take_key(import, file, section, key, lines);
	}
}

static const ImportField import_listener_fields[] = {
	{"address", IMPORT_ADDRESS, 0, 0, true},
	{"port", IMPORT_NUMBER, 1, 65535, true}
};

static void
import_take_listener(Import *import, ImportSettings *file, const YamlNode *node)
{
	ImportValue values[lengthof(import_listener_fields)] = {0};

	if (node->kind != YAML_KIND_MAPPING)
		import_complain(import, node->line, NULL,
						psprintf("a listener must be a mapping of address and port, not %s",
								 import_found(node)));
	else if (import_fields(import, node, import_listener_fields,
						   lengthof(import_listener_fields), values))
		import_add_listener(file, node->line, values[0].datum, DatumGetInt64(values[1].datum));
}

static void
import_take_listeners(Import *import, ImportSettings *file, const char *section, const YamlNode *node)
{
	if (node->kind == YAML_KIND_NULL)
		return;
	if (node->kind != YAML_KIND_LIST)
	{
		import_complain(import, node->line, NULL,
						psprintf("section \"%s\": must be a list of listeners, not %s",
								 section, import_found(node)));
		return;
	}
	for (const YamlNode *listener = node->first; listener && !import_is_hopeless(import);
		 listener = listener->next)
	{
		CHECK_FOR_INTERRUPTS();
		import_take_listener(import, file, listener);
	}
}

typedef struct ImportSection
{
	const char *name;
	ImportTake	take;
} ImportSection;

static const ImportSection import_sections[] = {
	{"aggregation", import_take_keys},
	{"database", import_take_keys},
	{"netflow", import_take_keys},
	{"logging", import_take_keys},
	{"settings", import_take_keys},
	{"listeners", import_take_listeners}
};

#define IMPORT_SECTIONS		((int) lengthof(import_sections))

/* "lines" has the line of each section that was there. */
static void
import_take_section(Import *import, ImportSettings *file, const YamlNode *node, int *lines)
{
	int			i = 0;

	while (i < IMPORT_SECTIONS && strcmp(import_sections[i].name, node->key) != 0)
		i++;
	if (i == IMPORT_SECTIONS)
		import_complain(import, node->line,
						"Known sections are aggregation, database, netflow, logging, settings and listeners.",
						psprintf("unknown section \"%s\"", import_clip(node->key)));
	else if (lines[i] != 0)
		import_complain(import, node->line, NULL,
						psprintf("section \"%s\" is there twice, first on line %d",
								 node->key, lines[i]));
	else
	{
		lines[i] = node->line;
		import_sections[i].take(import, file, node->key, node);
	}
}

static void
import_read_settings(Import *import, const text *yaml, ImportSettings *file)
{
	YamlNode   *root = yaml_read(import->what, yaml);
	int			lines[IMPORT_SECTIONS] = {0};

	initStringInfo(&file->ignored_keys);
	if (root->kind != YAML_KIND_MAPPING)
		import_complain(import, root->line, NULL,
						psprintf("must be a mapping of sections, not %s", import_found(root)));
	else
	{
		for (const YamlNode *node = root->first; node && !import_is_hopeless(import); node = node->next)
			import_take_section(import, file, node, lines);
	}
	import_check(import);
}

/*
 * Values of settings, which the catalogue in config.c judges.
 */

/* The value in the form in which it is kept, or an error. */
extern Datum lastfluss_setting_value(PG_FUNCTION_ARGS);

/* One setting may be in two sections; each name that passed is in the catalogue. */
static void
import_check_setting(List *settings, ImportSetting *setting)
{
	setting->value = TextDatumGetCString(DirectFunctionCall2(lastfluss_setting_value,
															 CStringGetTextDatum(setting->name),
															 CStringGetTextDatum(setting->value)));
	for (int i = 0; list_nth(settings, i) != setting; i++)
	{
		const ImportSetting *other = list_nth(settings, i);

		if (strcmp(other->name, setting->name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("setting \"%s\" is there twice, first on line %d",
							setting->name, other->line)));
	}
}

static void
import_check_settings(Import *import, const ImportSettings *file)
{
	ImportPlace place;
	ListCell   *cell;

	import_push_place(&place, import);
	foreach(cell, file->settings)
	{
		ImportSetting *setting = lfirst(cell);

		place.line = setting->line;
		place.field = setting->name;
		import_check_setting(file->settings, setting);
	}
	import_pop_place(&place);
}

/*
 * Writing.
 */

/* A value that is in force already is not written: export and import change nothing. */
static void
import_write_settings(Import *import, const ImportSettings *file)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	SPIPlanPtr	plan;
	ImportPlace place;
	ListCell   *cell;

	plan = import_prepare("INSERT INTO lastfluss.setting (name, value) SELECT $1, $2"
						  " WHERE NOT EXISTS (SELECT FROM lastfluss.settings s"
						  " WHERE s.name OPERATOR(pg_catalog.=) $1 AND s.value OPERATOR(pg_catalog.=) $2)"
						  " ON CONFLICT ON CONSTRAINT setting_pkey DO UPDATE SET value = excluded.value",
						  lengthof(types), types);
	import_push_place(&place, import);
	foreach(cell, file->settings)
	{
		ImportSetting *setting = lfirst(cell);
		Datum		values[] = {CStringGetTextDatum(setting->name), CStringGetTextDatum(setting->value)};

		place.line = setting->line;
		place.field = setting->name;
		import_execute(plan, values, NULL);
	}
	import_pop_place(&place);
}

/* Listeners are added, and none is removed. */
static void
import_write_listeners(Import *import, const ImportSettings *file)
{
	Oid			types[] = {INETOID, INT8OID};
	SPIPlanPtr	plan;
	ImportPlace place;
	ListCell   *cell;

	plan = import_prepare("INSERT INTO lastfluss.listener (address, port) VALUES ($1, $2)"
						  " ON CONFLICT ON CONSTRAINT listener_pkey DO NOTHING",
						  lengthof(types), types);
	import_push_place(&place, import);
	foreach(cell, file->listeners)
	{
		ImportListener *listener = lfirst(cell);
		Datum		values[] = {listener->address, Int64GetDatum(listener->port)};

		CHECK_FOR_INTERRUPTS();
		place.line = listener->line;
		import_execute(plan, values, NULL);
	}
	import_pop_place(&place);
}

static void
import_notice_ignored(const ImportSettings *file)
{
	int			more = file->ignored - IMPORT_MAX_LISTED;

	if (file->ignored == 0)
		return;
	ereport(NOTICE,
			(errmsg_plural("%d key of the settings file has no meaning here, and was ignored",
						   "%d keys of the settings file have no meaning here, and were ignored",
						   file->ignored, file->ignored),
			 more > 0 ?
			 errdetail("%s and %d more.", file->ignored_keys.data, more) :
			 errdetail("%s.", file->ignored_keys.data)));
}

/*
 * lastfluss.import_settings(yaml)
 */
PG_FUNCTION_INFO_V1(lastfluss_import_settings);
Datum
lastfluss_import_settings(PG_FUNCTION_ARGS)
{
	Import		import;
	ImportSettings file = {0};

	lastfluss_require_preload();
	import_begin(&import, "settings file");
	import_read_settings(&import, PG_GETARG_TEXT_PP(0), &file);
	import_check_settings(&import, &file);
	SPI_connect();
	import_write_settings(&import, &file);
	import_write_listeners(&import, &file);
	SPI_finish();
	import_notice_ignored(&file);
	PG_RETURN_VOID();
}

/*
 * lastfluss.export_settings()
 *
 * In the original's sections as far as they go, so that it can read the period
 * and a listener, "all addresses" before others; the rest follows in sections of
 * ours.
 */

static void
export_settings(YamlNode *root)
{
	YamlNode   *section = NULL;

	import_select("SELECT name, value FROM lastfluss.settings"
				  " WHERE name OPERATOR(pg_catalog.=) 'period'");
	if (SPI_processed > 0)
		yaml_add_plain(yaml_add(root, "aggregation", YAML_KIND_MAPPING), "period", import_result(0, 2));
	import_select("SELECT name, value FROM lastfluss.settings"
				  " WHERE name OPERATOR(pg_catalog.<>) 'period'"
				  " AND value OPERATOR(pg_catalog.<>) coalesce(default_value, '') ORDER BY name");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char	   *value = import_result(row, 2);
		int64		number;

		if (row == 0)
			section = yaml_add(root, "settings", YAML_KIND_MAPPING);
		import_export_field(section, import_result(row, 1),
							import_number(value, 0, PG_INT64_MAX, &number) ? IMPORT_NUMBER : IMPORT_TEXT,
							value);
	}
}

static void
export_first_listener(YamlNode *root, const char *address, const char *port)
{
	const char *format = strchr(address, ':') ? "[%s]:%s" : "%s:%s";

	yaml_add_text(yaml_add(root, "netflow", YAML_KIND_MAPPING), "address",
				  strcmp(address, "::") == 0 ? psprintf(":%s", port) : psprintf(format, address, port));
}

static void
export_listeners(YamlNode *root)
{
	YamlNode   *section = NULL;

	import_select("SELECT address, port FROM lastfluss.listener"
				  " ORDER BY address OPERATOR(pg_catalog.<>) '::', address, port");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char	   *address = import_result(row, 1);
		char	   *port = import_result(row, 2);
		YamlNode   *listener;

		if (row == 0)
		{
			export_first_listener(root, address, port);
			continue;
		}
		if (row == 1)
			section = yaml_add(root, "listeners", YAML_KIND_LIST);
		listener = yaml_add(section, NULL, YAML_KIND_MAPPING);
		import_export_field(listener, "address", IMPORT_ADDRESS, address);
		import_export_field(listener, "port", IMPORT_NUMBER, port);
	}
}

PG_FUNCTION_INFO_V1(lastfluss_export_settings);
Datum
lastfluss_export_settings(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	YamlNode   *root;

	SPI_connect();
	root = yaml_new(YAML_KIND_MAPPING);
	export_settings(root);
	export_listeners(root);
	PG_RETURN_TEXT_P(import_export_finish(root, caller));
}
