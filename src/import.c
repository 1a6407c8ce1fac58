/*
 * import.c
 *	  Fields of the original's files, and errors that name the line.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <sys/socket.h>

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/inet.h"

#include "import.h"

#define IMPORT_MAX_CLIPPED	64	/* octets */

/*
 * What is wrong with a file.
 */

void
import_begin(Import *import, const char *what)
{
	*import = (Import) {.what = what};
	initStringInfo(&import->list);
}

void
import_complain(Import *import, int line, const char *hint, const char *problem)
{
	if (import->errors++ >= IMPORT_MAX_LISTED)
		return;
	appendStringInfo(&import->list, "%sline %d: %s", import->errors > 1 ? "\n" : "", line, problem);
	if (!import->hint)
		import->hint = hint;
}

void
import_check(const Import *import)
{
	if (import->errors == 0)
		return;
	if (import->errors == 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s, %s", import->what, import->list.data),
				 import->hint ? errhint("%s", import->hint) : 0));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 import_is_hopeless(import) ?
			 errmsg("%s has more than %d errors", import->what, IMPORT_MAX_LISTED) :
			 errmsg("%s has %d errors", import->what, import->errors),
			 errdetail("%s", import->list.data),
			 import->hint ? errhint("%s", import->hint) : 0));
}

static void
import_place_context(void *argument)
{
	ImportPlace *place = argument;

	if (place->field)
		errcontext("%s, line %d, field \"%s\"", place->what, place->line, place->field);
	else
		errcontext("%s, line %d", place->what, place->line);
}

void
import_push_place(ImportPlace *place, const Import *import)
{
	place->what = import->what;
	place->line = 1;
	place->field = NULL;
	place->callback.callback = import_place_context;
	place->callback.arg = place;
	place->callback.previous = error_context_stack;
	error_context_stack = &place->callback;
}

void
import_pop_place(ImportPlace *place)
{
	error_context_stack = place->callback.previous;
}

char *
import_clip(const char *value)
{
	int			length = (int) strlen(value);

	if (length <= IMPORT_MAX_CLIPPED)
		return pstrdup(value);
	length = pg_mbcliplen(value, length, IMPORT_MAX_CLIPPED);
	return psprintf("%.*s...", length, value);
}

const char *
import_found(const YamlNode *node)
{
	switch (node->kind)
	{
		case YAML_KIND_NULL:
			return "null";
		case YAML_KIND_LIST:
			return "a list";
		case YAML_KIND_MAPPING:
			return "a mapping";
		default:
			return psprintf("\"%s\"", import_clip(node->value));
	}
}

/*
 * Fields.
 */

static char *
import_expected(const ImportField *field)
{
	switch (field->type)
	{
		case IMPORT_NUMBER:
			return psprintf("a whole number from " INT64_FORMAT " to " INT64_FORMAT,
							field->min, field->max);
		case IMPORT_ADDRESS:
			return pstrdup("an IP address without netmask");
		default:
			if (field->max == IMPORT_ANY_LENGTH)
				return pstrdup(field->min > 0 ? "text that is not empty" : "text");
			return psprintf("text of " INT64_FORMAT " to " INT64_FORMAT " octets",
							field->min, field->max);
	}
}

/* Decimal digits, as YAML writes them; "010" is 8 in YAML 1.1 and 10 in 1.2. */
bool
import_number(const char *value, int64 min, int64 max, int64 *number)
{
	char	   *end;

	if (*value < '0' || *value > '9' || (value[0] == '0' && value[1] != '\0'))
		return false;
	errno = 0;
	*number = strtoll(value, &end, 10);
	return errno == 0 && *end == '\0' && *number >= min && *number <= max;
}

bool
import_address(const char *value, Datum *address)
{
	unsigned char octets[16];

	if (inet_pton(AF_INET, value, octets) != 1 && inet_pton(AF_INET6, value, octets) != 1)
		return false;
	*address = DirectFunctionCall1(inet_in, CStringGetDatum(value));
	return true;
}

static bool
import_scalar(const ImportField *field, const YamlNode *node, Datum *datum)
{
	int64		number;

	if (node->kind != YAML_KIND_SCALAR)
		return false;
	switch (field->type)
	{
		case IMPORT_NUMBER:
			if (!node->plain || !import_number(node->value, field->min, field->max, &number))
				return false;
			*datum = Int64GetDatum(number);
			return true;
		case IMPORT_ADDRESS:
			return import_address(node->value, datum);
		default:
			number = (int64) strlen(node->value);
			*datum = CStringGetTextDatum(node->value);
			return number >= field->min && number <= field->max;
	}
}

static bool
import_is_quoted(const YamlNode *node)
{
	return node->kind == YAML_KIND_SCALAR && !node->plain;
}

static void
import_field(Import *import, const ImportField *field, const YamlNode *node, ImportValue *value)
{
	if (value->line != 0)
	{
		import_complain(import, node->line, NULL,
						psprintf("field \"%s\" is there twice, first on line %d",
								 field->name, value->line));
		return;
	}
	value->line = node->line;
	if (node->kind == YAML_KIND_NULL && !field->required)
		return;
	value->present = import_scalar(field, node, &value->datum);
	if (!value->present)
		import_complain(import, node->line, NULL,
						psprintf("field \"%s\": must be %s, not %s%s", field->name,
								 import_expected(field), import_found(node),
								 field->type == IMPORT_NUMBER && import_is_quoted(node) ?
								 " in quotes" : ""));
}

static const char *
import_known_fields(const ImportField *fields, int count)
{
	StringInfoData known;

	initStringInfo(&known);
	appendStringInfoString(&known, "Known fields are ");
	for (int i = 0; i < count; i++)
		appendStringInfo(&known, "%s%s", i ? ", " : "", fields[i].name);
	appendStringInfoChar(&known, '.');
	return known.data;
}

bool
import_fields(Import *import, const YamlNode *mapping, const ImportField *fields, int count,
			  ImportValue *values)
{
	int			errors = import->errors;

	for (const YamlNode *node = mapping->first; node && !import_is_hopeless(import); node = node->next)
	{
		int			i = 0;

		while (i < count && strcmp(fields[i].name, node->key) != 0)
			i++;
		if (i < count)
			import_field(import, &fields[i], node, &values[i]);
		else
			import_complain(import, node->line, import_known_fields(fields, count),
							psprintf("unknown field \"%s\"", import_clip(node->key)));
	}
	for (int i = 0; i < count; i++)
	{
		if (fields[i].required && values[i].line == 0)
			import_complain(import, mapping->line, NULL,
							psprintf("field \"%s\" is missing", fields[i].name));
	}
	return import->errors == errors;
}

/*
 * Lines.
 */

void
import_lines_begin(ImportLines *lines, const text *file)
{
	lines->next = text_to_cstring(file);
	lines->number = 0;
	if (strncmp(lines->next, "\xEF\xBB\xBF", 3) == 0)	/* byte order mark */
		lines->next += 3;
}

char *
import_trim(char *value)
{
	char	   *end;

	while (isspace((unsigned char) *value))
		value++;
	end = value + strlen(value);
	while (end > value && isspace((unsigned char) end[-1]))
		end--;
	*end = '\0';
	return value;
}

char *
import_next_line(ImportLines *lines)
{
	while (lines->next)
	{
		char	   *line = lines->next;
		char	   *end = strchr(line, '\n');

		if (end)
			*end = '\0';
		lines->next = end ? end + 1 : NULL;
		lines->number++;
		line = import_trim(line);
		if (*line != '\0' && *line != '#' && *line != ';')
			return line;
	}
	return NULL;
}

/*
 * Statements.
 */

SPIPlanPtr
import_prepare(const char *query, int count, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare(query, count, types);

	if (!plan)
		elog(ERROR, "could not prepare \"%s\": %s", query, SPI_result_code_string(SPI_result));
	return plan;
}

void
import_execute(SPIPlanPtr plan, Datum *values, const char *nulls)
{
	int			result = SPI_execute_plan(plan, values, nulls, false, 0);

	if (result < 0)
		elog(ERROR, "could not import: %s", SPI_result_code_string(result));
}

void
import_select(const char *query)
{
	int			result = SPI_execute(query, true, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read the configuration: %s", SPI_result_code_string(result));
}

char *
import_result(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

/*
 * Export.
 */

/* An IPv6 address of decimal digits would be a number to base 60 in YAML 1.1. */
void
import_export_field(YamlNode *mapping, const char *name, ImportType type, const char *value)
{
	if (type == IMPORT_NUMBER || (type == IMPORT_ADDRESS && strchr(value, ':') == NULL))
		yaml_add_plain(mapping, name, value);
	else
		yaml_add_text(mapping, name, value);
}

text *
import_export_finish(const YamlNode *root, MemoryContext caller)
{
	MemoryContext old = MemoryContextSwitchTo(caller);
	text	   *result = yaml_write(root);

	MemoryContextSwitchTo(old);
	SPI_finish();
	return result;
}
