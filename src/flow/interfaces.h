/*
 * interfaces.h
 *	  (exporter, ifIndex, VLAN) -> configured interface.
 *
 * Built once from a list, then only read.
 */
#ifndef LASTFLUSS_INTERFACES_H
#define LASTFLUSS_INTERFACES_H

#include <stddef.h>

#include "flow.h"

#define INTERFACE_ANY_VLAN	(-1)

/* Which records count, where they tell where they were observed (element 61). */
typedef enum InterfaceCount
{
	INTERFACE_COUNT_BOTH,
	INTERFACE_COUNT_INGRESS,	/* only those observed at ingress */
	INTERFACE_COUNT_EGRESS
} InterfaceCount;

typedef struct Interface
{
	FlowAddress host;
	uint32_t	id;				/* SNMP ifIndex */
	int32_t		vlan;			/* or INTERFACE_ANY_VLAN */
	uint32_t	name;			/* number of its name; several may share one */
	uint32_t	sample;			/* 1 in N for ingress, 0 where not set */
	uint32_t	sample_out;		/* for egress, 0: as "sample" */
	uint32_t	count;			/* InterfaceCount */
} Interface;

typedef struct Interfaces Interfaces;

extern size_t interfaces_size(uint32_t count);

/*
 * Makes the lookup table in "memory" (interfaces_size() octets, aligned to 16)
 * from a list without duplicates.  The list is copied.
 */
extern Interfaces *interfaces_build(void *memory, const Interface *list, uint32_t count);

/* Is any interface of this host configured? */
extern bool interfaces_know_host(const Interfaces *interfaces, const FlowAddress *host);

/* Is any VLAN configured by itself? */
extern bool interfaces_have_vlans(const Interfaces *interfaces);

/*
 * The interface of that VLAN, or else the one without VLAN, or NULL.  "vlan"
 * is INTERFACE_ANY_VLAN where the record does not tell.
 */
extern const Interface *interfaces_find(const Interfaces *interfaces,
										const FlowAddress *host, uint32_t id,
										int32_t vlan);

#endif							/* LASTFLUSS_INTERFACES_H */
