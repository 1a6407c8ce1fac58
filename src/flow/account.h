/*
 * account.h
 *	  What one flow record adds to an interval: matched to the interfaces on
 *	  both sides, multiplied by the sampling rate.
 */
#ifndef LASTFLUSS_ACCOUNT_H
#define LASTFLUSS_ACCOUNT_H

#include "flow.h"
#include "interfaces.h"
#include "intervals.h"
#include "prefix.h"
#include "seen.h"

/* Whose AS numbers count. */
typedef enum AccountAsSource
{
	ACCOUNT_AS_EXPORTER_THEN_PREFIX,	/* prefixes where it has none, 0 or AS_TRANS */
	ACCOUNT_AS_EXPORTER,
	ACCOUNT_AS_PREFIX			/* the exporter's only without an address or prefixes */
} AccountAsSource;

/*
 * The interfaces of the datagram at hand: a router has few, so that most records
 * find theirs here.
 */
#define ACCOUNT_PORTS	64

typedef struct AccountPort
{
	uint64_t	datagram;		/* the one for which it was looked up */
	uint32_t	id;				/* SNMP ifIndex */
	const Interface *interface; /* of no VLAN; NULL: not configured */
	SeenInterface *seen;		/* NULL: not looked up yet */
	uint64_t	evictions;		/* of "seen", when that was looked up */
} AccountPort;

typedef struct AccountPorts
{
	uint64_t	datagram;		/* counts them */
	AccountPort ports[ACCOUNT_PORTS];
} AccountPorts;

typedef struct Account
{
	const Interfaces *interfaces;
	const PrefixTable *prefixes;	/* NULL: none, so that AS numbers are the exporter's */
	AccountAsSource as_source;
	uint32_t	own_as;			/* of a local side that is still 0; 0: not set */
	Lru		   *seen;			/* of SeenInterface */
	AccountPorts *ports;		/* NULL: interfaces are looked up for each record */
	AggregateQueue *queue;		/* NULL: everything is added at once */
	uint64_t	records;		/* with octets, looked at */
	uint64_t	matched;		/* at least one side configured */
	uint64_t	unmatched;		/* neither side */
	uint64_t	no_octets;		/* records without any octet counter */
	uint64_t	unknown_sampling;	/* counted with a rate that nobody gave */
	uint64_t	other_direction;	/* left out by an interface's "count" */
	uint64_t	late_bytes;		/* counted in a later interval than theirs */
	uint64_t	future_bytes;	/* that claimed to come from the future */
} Account;

/* A datagram begins: the records to come are of one host, maybe another one. */
extern void account_begin(Account *account);

/*
 * Adds the record to its parts, once for its input interface and once for its
 * output interface, where each is configured: ingress has the source AS as
 * remote, egress the destination AS.  Bytes and packets are multiplied by the
 * interface's own rate, else by the record's, and then shared out.  AS numbers
 * come from the record, the prefixes, and for the local side from own_as.  Notes
 * both interfaces as seen, configured or not.
 */
extern void account_flow(Account *account, const FlowAddress *host, const Flow *flow,
						 const IntervalParts *parts);

#endif							/* LASTFLUSS_ACCOUNT_H */
