/*
 * import_interfaces.h
 *	  Interfaces out of a file, whatever its format.
 *
 * Include postgres.h first.
 */
#ifndef LASTFLUSS_IMPORT_INTERFACES_H
#define LASTFLUSS_IMPORT_INTERFACES_H

#include "utils/hsearch.h"

#include "import.h"

/* The columns of lastfluss.interface, in the order in which they are exported. */
enum
{
	INTERFACE_NAME,
	INTERFACE_HOST,
	INTERFACE_ID,
	INTERFACE_SAMPLE,
	INTERFACE_SAMPLE_OUT,
	INTERFACE_VLAN,
	INTERFACE_ROLE,
	INTERFACE_SPEED,
	INTERFACE_COUNT,
	INTERFACE_DESCRIPTION,
	INTERFACE_COLOR,
	INTERFACE_FIELDS
};

typedef struct ImportInterface
{
	int			line;
	ImportValue values[INTERFACE_FIELDS];
} ImportInterface;

typedef struct ImportInterfaces
{
	int			count;
	ImportInterface *rows;
} ImportInterfaces;

/* Complains about an interface that the table of those seen has already; adds it otherwise. */
extern HTAB *import_seen_interfaces(void);
extern void import_check_duplicate(Import *import, HTAB *seen, const ImportInterface *row);

/*
 * Adds them, or where they are there changes what "updates" sets, and with
 * "replace" removes all others.
 */
extern void import_write_interfaces(Import *import, const ImportInterfaces *interfaces, bool replace,
									const char *updates);

#endif							/* LASTFLUSS_IMPORT_INTERFACES_H */
