/*
 * yaml.c
 *	  YAML documents as trees of nodes; the only user of libyaml.
 *
 * What libyaml allocates is malloc'd, so each parser and emitter lives within
 * one PG_TRY block that frees it.  Errors are raised only between calls of
 * libyaml, never from within one.
 */
#include "postgres.h"

#include <stdio.h>

#include <yaml.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "yaml_node.h"

#define YAML_MAX_OCTETS		(4 * 1024 * 1024)
#define YAML_MAX_DEPTH		16

/*
 * Nodes.
 */

YamlNode *
yaml_new(YamlKind kind)
{
	YamlNode   *node = palloc0(sizeof(YamlNode));

	node->kind = kind;
	return node;
}

static void
yaml_append(YamlNode *parent, YamlNode *node)
{
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
}

YamlNode *
yaml_add(YamlNode *parent, const char *key, YamlKind kind)
{
	YamlNode   *node = yaml_new(kind);

	node->key = key ? pstrdup(key) : NULL;
	yaml_append(parent, node);
	return node;
}

void
yaml_add_plain(YamlNode *parent, const char *key, const char *value)
{
	YamlNode   *node = yaml_add(parent, key, YAML_KIND_SCALAR);

	node->plain = true;
	node->value = pstrdup(value);
}

/* What YAML 1.1 or 1.2 reads as null or boolean. */
static bool
yaml_is_reserved_word(const char *value)
{
	static const char *const words[] = {
		"null", "true", "false", "yes", "no", "on", "off", "y", "n"
	};

	for (int i = 0; i < (int) lengthof(words); i++)
	{
		if (pg_strcasecmp(value, words[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Text that is text everywhere without quotes: printable ASCII that starts with
 * a letter.  Where the syntax demands quotes, libyaml sets them by itself.
 */
static bool
yaml_is_plain_text(const char *value)
{
	if (!((*value >= 'A' && *value <= 'Z') || (*value >= 'a' && *value <= 'z')))
		return false;
	for (const char *p = value; *p; p++)
	{
		if (*p < ' ' || *p > '~')
			return false;
	}
	return !yaml_is_reserved_word(value);
}

void
yaml_add_text(YamlNode *parent, const char *key, const char *value)
{
	YamlNode   *node = yaml_add(parent, key, YAML_KIND_SCALAR);

	node->plain = yaml_is_plain_text(value);
	node->value = pstrdup(value);
}

/*
 * Reading.
 */

typedef struct YamlReader
{
	const char *what;
	const char *utf8;
	size_t		length;
	yaml_parser_t parser;
	yaml_event_t event;
	YamlNode   *root;
} YamlReader;

static int
yaml_line(const yaml_mark_t *mark)
{
	return (int) mark->line + 1;
}

static int
yaml_column(const yaml_mark_t *mark)
{
	return (int) mark->column + 1;
}

/* An octet or character that YAML does not allow; libyaml knows its offset only. */
static void
yaml_raise_character(YamlReader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	int			line = 1;

	for (size_t i = 0; i < Min(parser->problem_offset, reader->length); i++)
		line += reader->utf8[i] == '\n';
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("%s, line %d: broken YAML: %s", reader->what, line, parser->problem),
			 parser->problem_value >= 0 ?
			 errdetail("The character is 0x%02X.", parser->problem_value) : 0));
}

static void
yaml_raise_syntax(YamlReader *reader)
{
	const yaml_parser_t *parser = &reader->parser;

	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("%s, line %d, column %d: broken YAML: %s", reader->what,
					yaml_line(&parser->problem_mark), yaml_column(&parser->problem_mark),
					parser->problem),
			 parser->context && parser->context_mark.index < parser->problem_mark.index ?
			 errdetail("It was found %s that starts on line %d, column %d.", parser->context,
					   yaml_line(&parser->context_mark), yaml_column(&parser->context_mark)) : 0,
			 errhint("Indent by spaces, never by tabs, and put quotes around text with \": \" or \" #\" in it.")));
}

static void
yaml_raise_parser_error(YamlReader *reader)
{
	switch (reader->parser.error)
	{
		case YAML_MEMORY_ERROR:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
			break;
		case YAML_READER_ERROR:
			yaml_raise_character(reader);
			break;
		default:
			yaml_raise_syntax(reader);
	}
}

static void
yaml_raise_unsupported(YamlReader *reader, const char *problem, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s, line %d: %s", reader->what, yaml_line(&reader->event.start_mark), problem),
			 hint ? errhint("%s", hint) : 0));
}

static void
yaml_next_event(YamlReader *reader)
{
	CHECK_FOR_INTERRUPTS();
	yaml_event_delete(&reader->event);	/* and set it to zeros */
	if (!yaml_parser_parse(&reader->parser, &reader->event))
		yaml_raise_parser_error(reader);
}

/* A scalar's text in the encoding of the database. */
static char *
yaml_scalar_text(YamlReader *reader)
{
	const char *value = (const char *) reader->event.data.scalar.value;
	size_t		length = reader->event.data.scalar.length;

	if (strlen(value) != length)
		yaml_raise_unsupported(reader, "text must not contain the character U+0000", NULL);
	return pstrdup(pg_any_to_server(value, (int) length, PG_UTF8));
}

static bool
yaml_is_null(const char *value)
{
	return *value == '\0' || strcmp(value, "~") == 0 || strcmp(value, "null") == 0 ||
		strcmp(value, "Null") == 0 || strcmp(value, "NULL") == 0;
}

static void
yaml_compose_scalar(YamlReader *reader, YamlNode *node)
{
	node->plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->value = yaml_scalar_text(reader);
	if (node->plain && yaml_is_null(node->value))
		node->kind = YAML_KIND_NULL;
}

static void
yaml_check_tag(YamlReader *reader, const yaml_char_t *tag)
{
	if (tag)
		yaml_raise_unsupported(reader, "tags (\"!...\") are not supported",
							   "Put quotes around text that starts with an exclamation mark.");
}

static void yaml_compose_list(YamlReader *reader, YamlNode *list, int depth);
static void yaml_compose_mapping(YamlReader *reader, YamlNode *mapping, int depth);

/*
 * The node that the current event starts, with all that is in it.  Aliases are
 * refused, so a tree is never larger than its text.
 */
static YamlNode *
yaml_compose(YamlReader *reader, int depth)
{
	YamlNode   *node = yaml_new(YAML_KIND_SCALAR);

	node->line = yaml_line(&reader->event.start_mark);
	if (depth > YAML_MAX_DEPTH)
		yaml_raise_unsupported(reader, "nested too deeply", NULL);
	switch (reader->event.type)
	{
		case YAML_SCALAR_EVENT:
			yaml_check_tag(reader, reader->event.data.scalar.tag);
			yaml_compose_scalar(reader, node);
			break;
		case YAML_SEQUENCE_START_EVENT:
			yaml_check_tag(reader, reader->event.data.sequence_start.tag);
			yaml_compose_list(reader, node, depth);
			break;
		case YAML_MAPPING_START_EVENT:
			yaml_check_tag(reader, reader->event.data.mapping_start.tag);
			yaml_compose_mapping(reader, node, depth);
			break;
		case YAML_ALIAS_EVENT:
			yaml_raise_unsupported(reader, "aliases (\"*...\") are not supported",
								   "Write the value out, or put quotes around text that starts with an asterisk.");
			break;
		default:
			elog(ERROR, "unexpected YAML event %d", (int) reader->event.type);
	}
	return node;
}

static void
yaml_compose_list(YamlReader *reader, YamlNode *list, int depth)
{
	list->kind = YAML_KIND_LIST;
	for (;;)
	{
		yaml_next_event(reader);
		if (reader->event.type == YAML_SEQUENCE_END_EVENT)
			return;
		yaml_append(list, yaml_compose(reader, depth + 1));
	}
}

static void
yaml_compose_mapping(YamlReader *reader, YamlNode *mapping, int depth)
{
	mapping->kind = YAML_KIND_MAPPING;
	for (;;)
	{
		YamlNode   *key;
		YamlNode   *node;

		yaml_next_event(reader);
		if (reader->event.type == YAML_MAPPING_END_EVENT)
			return;
		if (reader->event.type == YAML_SEQUENCE_START_EVENT ||
			reader->event.type == YAML_MAPPING_START_EVENT)
			yaml_raise_unsupported(reader, "a key must be a single word, not a list or mapping", NULL);
		key = yaml_compose(reader, depth + 1);
		yaml_next_event(reader);
		node = yaml_compose(reader, depth + 1);
		node->key = key->value;
		node->line = key->line;
		yaml_append(mapping, node);
	}
}

static void
yaml_raise_empty(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s is empty", what)));
}

static void
yaml_read_document(YamlReader *reader)
{
	yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader->parser, (const unsigned char *) reader->utf8,
								 reader->length);
	yaml_next_event(reader);	/* start of the stream */
	yaml_next_event(reader);
	if (reader->event.type == YAML_STREAM_END_EVENT)
		yaml_raise_empty(reader->what);
	yaml_next_event(reader);	/* after the start of the document */
	reader->root = yaml_compose(reader, 1);
	yaml_next_event(reader);	/* end of the document */
	yaml_next_event(reader);
	if (reader->event.type != YAML_STREAM_END_EVENT)
		yaml_raise_unsupported(reader, "a second document starts here",
							   "Only one is expected; remove the line \"---\" and what follows it.");
	if (reader->root->kind == YAML_KIND_NULL)
		yaml_raise_empty(reader->what);
}

/*
 * A byte order mark, as some editors write it.  libyaml would take it for a
 * column of the first line.
 */
static const char *
yaml_skip_mark(const char *utf8)
{
	return strncmp(utf8, "\xEF\xBB\xBF", 3) == 0 ? utf8 + 3 : utf8;
}

YamlNode *
yaml_read(const char *what, const text *yaml)
{
	YamlReader *reader = palloc0(sizeof(YamlReader));
	int			length = (int) VARSIZE_ANY_EXHDR(yaml);

	if (length > YAML_MAX_OCTETS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s is too large", what),
				 errdetail("It has %d octets; at most %d are read.", length, YAML_MAX_OCTETS)));
	reader->what = what;
	reader->utf8 = yaml_skip_mark(pg_server_to_any(text_to_cstring(yaml), length, PG_UTF8));
	reader->length = strlen(reader->utf8);
	if (!yaml_parser_initialize(&reader->parser))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	PG_TRY();
	{
		yaml_read_document(reader);
	}
	PG_FINALLY();
	{
		yaml_event_delete(&reader->event);
		yaml_parser_delete(&reader->parser);
	}
	PG_END_TRY();
	return reader->root;
}

/*
 * Writing.  The text is collected by a stream of the C library, which reports
 * that memory is short instead of raising an error.
 */

typedef struct YamlWriter
{
	yaml_emitter_t emitter;
	yaml_event_t event;
	FILE	   *stream;
	char	   *utf8;
	size_t		length;
	text	   *result;
} YamlWriter;

/* Emits writer->event, if it was made; the emitter frees it in any case. */
static void
yaml_emit(YamlWriter *writer, int made)
{
	if (made && yaml_emitter_emit(&writer->emitter, &writer->event))
		return;
	if (!made || writer->emitter.error == YAML_MEMORY_ERROR)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	elog(ERROR, "could not write YAML: %s",
		 writer->emitter.problem ? writer->emitter.problem : "unknown problem");
}

static void
yaml_emit_scalar(YamlWriter *writer, const char *value, bool plain)
{
	char	   *utf8 = pg_server_to_any(value, (int) strlen(value), PG_UTF8);

	yaml_emit(writer, yaml_scalar_event_initialize(&writer->event, NULL, NULL,
												   (const yaml_char_t *) utf8,
												   (int) strlen(utf8), 1, 1,
												   plain ? YAML_PLAIN_SCALAR_STYLE :
												   YAML_DOUBLE_QUOTED_SCALAR_STYLE));
}

static void
yaml_emit_node(YamlWriter *writer, const YamlNode *node)
{
	bool		mapping = node->kind == YAML_KIND_MAPPING;

	if (node->kind == YAML_KIND_SCALAR)
	{
		yaml_emit_scalar(writer, node->value, node->plain);
		return;
	}
	yaml_emit(writer, mapping ?
			  yaml_mapping_start_event_initialize(&writer->event, NULL, NULL, 1,
												  YAML_BLOCK_MAPPING_STYLE) :
			  yaml_sequence_start_event_initialize(&writer->event, NULL, NULL, 1,
												   YAML_BLOCK_SEQUENCE_STYLE));
	for (const YamlNode *child = node->first; child; child = child->next)
	{
		if (mapping)
			yaml_emit_scalar(writer, child->key, true);
		yaml_emit_node(writer, child);
	}
	yaml_emit(writer, mapping ?
			  yaml_mapping_end_event_initialize(&writer->event) :
			  yaml_sequence_end_event_initialize(&writer->event));
}

static void
yaml_write_document(YamlWriter *writer, const YamlNode *root)
{
	writer->stream = open_memstream(&writer->utf8, &writer->length);
	if (!writer->stream)
		elog(ERROR, "could not open a stream in memory: %m");
	yaml_emitter_set_output_file(&writer->emitter, writer->stream);
	yaml_emitter_set_encoding(&writer->emitter, YAML_UTF8_ENCODING);
	yaml_emitter_set_unicode(&writer->emitter, 1);
	yaml_emitter_set_width(&writer->emitter, -1);	/* never break lines */
	yaml_emit(writer, yaml_stream_start_event_initialize(&writer->event, YAML_UTF8_ENCODING));
	yaml_emit(writer, yaml_document_start_event_initialize(&writer->event, NULL, NULL, NULL, 1));
	yaml_emit_node(writer, root);
	yaml_emit(writer, yaml_document_end_event_initialize(&writer->event, 1));
	yaml_emit(writer, yaml_stream_end_event_initialize(&writer->event));
	if (fflush(writer->stream) != 0)
		elog(ERROR, "could not write YAML: %m");
	writer->result = cstring_to_text(pg_any_to_server(writer->utf8, (int) writer->length, PG_UTF8));
}

text *
yaml_write(const YamlNode *root)
{
	YamlWriter *writer = palloc0(sizeof(YamlWriter));

	if (!yaml_emitter_initialize(&writer->emitter))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	PG_TRY();
	{
		yaml_write_document(writer, root);
	}
	PG_FINALLY();
	{
		yaml_emitter_delete(&writer->emitter);
		if (writer->stream)
			fclose(writer->stream);
		free(writer->utf8);
	}
	PG_END_TRY();
	return writer->result;
}
