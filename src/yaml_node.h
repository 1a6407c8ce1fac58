/*
 * yaml_node.h
 *	  YAML documents as trees of nodes.
 *
 * Not yaml.h: that is libyaml's own header, which only yaml.c includes.
 * Include postgres.h first.
 */
#ifndef LASTFLUSS_YAML_NODE_H
#define LASTFLUSS_YAML_NODE_H

typedef enum YamlKind
{
	YAML_KIND_NULL,				/* ~, null, or nothing, without quotes */
	YAML_KIND_SCALAR,
	YAML_KIND_LIST,
	YAML_KIND_MAPPING
} YamlKind;

typedef struct YamlNode
{
	YamlKind	kind;
	int			line;			/* where it starts, with its key; from 1 */
	bool		plain;			/* a scalar without quotes */
	char	   *value;			/* of a scalar, also of null */
	char	   *key;			/* within a mapping */
	struct YamlNode *first;		/* of a list or mapping, in order; */
	struct YamlNode *last;		/* keys of a mapping may be there twice */
	struct YamlNode *next;
} YamlNode;

/*
 * The only document in a text.  Raises an error where it is broken, empty, or
 * uses what a configuration has no need for: aliases, tags, several documents,
 * deep nesting.  "what" names the text in the message.
 */
extern YamlNode *yaml_read(const char *what, const text *yaml);

/* A document as text. */
extern text *yaml_write(const YamlNode *root);

/*
 * Nodes to be written.  "key" is NULL in a list.  yaml_add_text() quotes what
 * would be read as something else than text, or as something else elsewhere.
 */
extern YamlNode *yaml_new(YamlKind kind);
extern YamlNode *yaml_add(YamlNode *parent, const char *key, YamlKind kind);
extern void yaml_add_plain(YamlNode *parent, const char *key, const char *value);
extern void yaml_add_text(YamlNode *parent, const char *key, const char *value);

#endif							/* LASTFLUSS_YAML_NODE_H */
