/*
 * import_interfaces.c
 *	  interfaces.yaml, both ways: import_interfaces() and export_interfaces().
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "import_interfaces.h"
#include "lastfluss.h"

/* The ranges are those of lastfluss._check_interface(). */
static const ImportField interface_fields[INTERFACE_FIELDS] = {
	{"name", IMPORT_TEXT, 1, 255, true},
	{"host", IMPORT_ADDRESS, 0, 0, true},
	{"id", IMPORT_NUMBER, 0, PG_UINT32_MAX, true},
	{"sample", IMPORT_NUMBER, 0, PG_UINT32_MAX, false},
	{"sample_out", IMPORT_NUMBER, 0, PG_UINT32_MAX, false},
	{"vlan", IMPORT_NUMBER, 0, 4095, false},
	{"role", IMPORT_TEXT, 1, IMPORT_ANY_LENGTH, false},
	{"speed", IMPORT_NUMBER, 1, PG_INT64_MAX, false},
	{"count", IMPORT_TEXT, 1, IMPORT_ANY_LENGTH, false},
	{"description", IMPORT_TEXT, 0, IMPORT_ANY_LENGTH, false},
	{"color", IMPORT_TEXT, 1, IMPORT_ANY_LENGTH, false}
};

#define INTERFACE_COLUMNS	"name, host, id, sample, sample_out, vlan, role, speed, count, description, color"

/*
 * A sampling rate of 0 is none: as the exporter says.  The original multiplied
 * by it, so that an interface without "sample" showed no traffic at all.
 */
static void
import_no_rate(ImportValue *value)
{
	if (value->present && DatumGetInt64(value->datum) == 0)
		value->present = false;
}

/* What an interface is known by. */
typedef struct ImportKey
{
	FlowAddress host;
	int64		id;
	int64		vlan;			/* -1: none */
} ImportKey;

typedef struct ImportSeen
{
	ImportKey	key;
	int			line;
} ImportSeen;

HTAB *
import_seen_interfaces(void)
{
	HASHCTL		control = {.keysize = sizeof(ImportKey),.entrysize = sizeof(ImportSeen),.hcxt = CurrentMemoryContext};

	return hash_create("lastfluss interfaces", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
import_check_duplicate(Import *import, HTAB *seen, const ImportInterface *row)
{
	const ImportValue *values = row->values;
	ImportKey	key;
	ImportSeen *entry;
	bool		found;

	memset(&key, 0, sizeof(key));
	status_flow_address(values[INTERFACE_HOST].datum, &key.host);
	key.id = DatumGetInt64(values[INTERFACE_ID].datum);
	key.vlan = values[INTERFACE_VLAN].present ? DatumGetInt64(values[INTERFACE_VLAN].datum) : -1;
	entry = hash_search(seen, &key, HASH_ENTER, &found);
	if (!found)
		entry->line = row->line;
	else
		import_complain(import, row->line, NULL,
						psprintf("interface " INT64_FORMAT "%s of this host is already on line %d",
								 key.id, key.vlan < 0 ? "" : psprintf(" vlan " INT64_FORMAT, key.vlan),
								 entry->line));
}

static void
import_interface(Import *import, HTAB *seen, const YamlNode *node, ImportInterface *row)
{
	row->line = node->line;
	if (node->kind != YAML_KIND_MAPPING)
	{
		import_complain(import, node->line, "Write \"name: value\", with a blank after the colon.",
						psprintf("an interface must be a mapping of fields, not %s",
								 import_found(node)));
		return;
	}
	if (!import_fields(import, node, interface_fields, INTERFACE_FIELDS, row->values))
		return;
	import_no_rate(&row->values[INTERFACE_SAMPLE]);
	import_no_rate(&row->values[INTERFACE_SAMPLE_OUT]);
	import_check_duplicate(import, seen, row);
}

static int
import_count(const YamlNode *list)
{
	int			count = 0;

	for (const YamlNode *node = list->first; node; node = node->next)
		count++;
	return count;
}

static void
import_read_interfaces(Import *import, const text *yaml, ImportInterfaces *interfaces)
{
	YamlNode   *root = yaml_read(import->what, yaml);
	HTAB	   *seen = import_seen_interfaces();
	int			i = 0;

	if (root->kind != YAML_KIND_LIST)
		import_complain(import, root->line,
						"Each interface starts with \"- name: \"; a file without any is written \"[]\".",
						psprintf("must be a list of interfaces, not %s", import_found(root)));
	else
	{
		interfaces->count = import_count(root);
		interfaces->rows = MemoryContextAllocExtended(CurrentMemoryContext,
													  interfaces->count * sizeof(ImportInterface),
													  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		for (const YamlNode *node = root->first; node && !import_is_hopeless(import); node = node->next)
		{
			CHECK_FOR_INTERRUPTS();
			import_interface(import, seen, node, &interfaces->rows[i++]);
		}
	}
	import_check(import);
}

static Oid
import_type_oid(ImportType type)
{
	switch (type)
	{
		case IMPORT_NUMBER:
			return INT8OID;
		case IMPORT_ADDRESS:
			return INETOID;
		default:
			return TEXTOID;
	}
}

/* A column of the file as an array; what is absent becomes -1. */
static Datum
import_column(const ImportInterfaces *interfaces, int field, Oid type, int size, bool by_value,
			  char align)
{
	Datum	   *values = palloc(interfaces->count * sizeof(Datum) + 1);

	for (int i = 0; i < interfaces->count; i++)
	{
		const ImportValue *value = &interfaces->rows[i].values[field];

		values[i] = value->present ? value->datum : Int64GetDatum(-1);
	}
	return PointerGetDatum(construct_array(values, interfaces->count, type, size, by_value, align));
}

/* Removes the interfaces that the file does not have. */
static void
import_delete_others(const ImportInterfaces *interfaces)
{
	Oid			types[] = {INETARRAYOID, INT8ARRAYOID, INT8ARRAYOID};
	Datum		values[] = {
		import_column(interfaces, INTERFACE_HOST, INETOID, -1, false, TYPALIGN_INT),
		import_column(interfaces, INTERFACE_ID, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE),
		import_column(interfaces, INTERFACE_VLAN, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)
	};

	import_execute(import_prepare("DELETE FROM lastfluss.interface i WHERE NOT EXISTS ("
								  "SELECT FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2),"
								  " pg_catalog.unnest($3)) AS f (host, id, vlan)"
								  " WHERE f.host OPERATOR(pg_catalog.=) i.host"
								  " AND f.id OPERATOR(pg_catalog.=) i.id"
								  " AND f.vlan OPERATOR(pg_catalog.=) coalesce(i.vlan, -1))",
								  lengthof(types), types),
				   values, NULL);
}

static void
import_upsert(SPIPlanPtr plan, const ImportInterface *row)
{
	Datum		values[INTERFACE_FIELDS];
	char		nulls[INTERFACE_FIELDS];

	for (int i = 0; i < INTERFACE_FIELDS; i++)
	{
		values[i] = row->values[i].datum;
		nulls[i] = row->values[i].present ? ' ' : 'n';
	}
	import_execute(plan, values, nulls);
}

/* A statement for each row, so that an error can name the line. */
static void
import_upsert_all(Import *import, const ImportInterfaces *interfaces, const char *updates)
{
	Oid			types[INTERFACE_FIELDS];
	SPIPlanPtr	plan;
	ImportPlace place;

	for (int i = 0; i < INTERFACE_FIELDS; i++)
		types[i] = import_type_oid(interface_fields[i].type);
	plan = import_prepare(psprintf("INSERT INTO lastfluss.interface (" INTERFACE_COLUMNS ")"
								   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, 'both'), $10, $11)"
								   " ON CONFLICT ON CONSTRAINT interface_host_id_vlan_key DO UPDATE SET %s",
								   updates),
						  INTERFACE_FIELDS, types);
	import_push_place(&place, import);
	for (int i = 0; i < interfaces->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		place.line = interfaces->rows[i].line;
		import_upsert(plan, &interfaces->rows[i]);
	}
	import_pop_place(&place);
}

void
import_write_interfaces(Import *import, const ImportInterfaces *interfaces, bool replace,
						const char *updates)
{
	SPI_connect();
	if (replace)
		import_delete_others(interfaces);
	import_upsert_all(import, interfaces, updates);
	SPI_finish();
}

/*
 * lastfluss.import_interfaces(yaml, replace)
 */
PG_FUNCTION_INFO_V1(lastfluss_import_interfaces);
Datum
lastfluss_import_interfaces(PG_FUNCTION_ARGS)
{
	Import		import;
	ImportInterfaces interfaces = {0};

	lastfluss_require_preload();
	import_begin(&import, "interfaces file");
	import_read_interfaces(&import, PG_GETARG_TEXT_PP(0), &interfaces);
	import_write_interfaces(&import, &interfaces, PG_GETARG_BOOL(1),
							"name = excluded.name, sample = excluded.sample,"
							" sample_out = excluded.sample_out, role = excluded.role,"
							" speed = excluded.speed, count = excluded.count,"
							" description = excluded.description, color = excluded.color");
	PG_RETURN_INT32(interfaces.count);
}

/*
 * lastfluss.export_interfaces()
 */
PG_FUNCTION_INFO_V1(lastfluss_export_interfaces);
Datum
lastfluss_export_interfaces(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	YamlNode   *root;

	SPI_connect();
	root = yaml_new(YAML_KIND_LIST);
	import_select("SELECT " INTERFACE_COLUMNS " FROM lastfluss.interface"
				  " ORDER BY host, id, vlan NULLS FIRST");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		YamlNode   *interface = yaml_add(root, NULL, YAML_KIND_MAPPING);

		for (int i = 0; i < INTERFACE_FIELDS; i++)
		{
			char	   *value = import_result(row, i + 1);

			/* What is as by default stays out, for the original's sake. */
			if (i == INTERFACE_COUNT && value && strcmp(value, "both") == 0)
				continue;
			if (value)
				import_export_field(interface, interface_fields[i].name, interface_fields[i].type, value);
		}
	}
	PG_RETURN_TEXT_P(import_export_finish(root, caller));
}
