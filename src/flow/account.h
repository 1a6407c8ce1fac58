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

/* A record that does not tell where it was observed, besides the values of Flow.direction. */
#define ACCOUNT_NO_DIRECTION	2

/*
 * What is known of an input and an output interface together, so that a record
 * has one thing to look up.  What records have told of the two gathers here.
 */
typedef struct AccountPair
{
	/* whose they are, and which */
	FlowAddress host;
	uint64_t	interfaces;		/* input << 32 | output, 0 where absent, as all of these */
	uint64_t	fields;			/* AccountWork.fields that are present << 32 | VLANs, as here */

	/* what follows from that */
	uint64_t	host_number;	/* AccountWork's, since the last account_flush(); 0: not used */
	uint64_t	configuration;	/* likewise */
	const Interface *sides[2];	/* by ingress; NULL: not configured */
	uint32_t	rates[2];		/* that are set for them; 0: as the record says */
	uint32_t	rate;			/* of those that are configured, where it is one rate */
	uint32_t	ingress;		/* numbers of their names, for AggregatePath */
	uint32_t	egress;
	bool		configured;		/* one of them, at least */
	bool		one_rate;		/* those that are configured have the same */
	bool		counts_all;		/* neither leaves out a direction */
	bool		plain;			/* all of these */
	bool		same_rate;		/* of both sides, configured or not */
	uint64_t	place;			/* aggregate_place() without a family */

	/* what records have told since the last account_flush() */
	uint64_t	records;
	uint64_t	bytes[ACCOUNT_NO_DIRECTION + 1][2]; /* by direction and by ingress */
	uint64_t	both[ACCOUNT_NO_DIRECTION + 1]; /* by direction, beside these, on both sides */
	int64_t		received;		/* the last one */
	bool		listed;			/* in AccountWork.listed */

	SeenInterface *seen[2];		/* by ingress; NULL: to be looked up */
	uint64_t	evictions;		/* valid while nothing else was pushed out */
	int64_t		touched;		/* when they were looked up */
} AccountPair;

#define ACCOUNT_PAIRS_BITS	8
#define ACCOUNT_PAIRS		(1 << ACCOUNT_PAIRS_BITS)

/* What account_flow() needs besides, of the process that calls it. */
typedef struct AccountWork
{
	FlowAddress host;			/* of the records to come */
	uint64_t	host_hash;
	uint64_t	host_number;	/* counts how often it has changed */
	uint64_t	configuration;	/* counts account_configure() */
	uint32_t	fields;			/* FLOW_BIT()s of those that lead to interfaces */
	uint32_t	listed_count;
	uint16_t	listed[ACCOUNT_PAIRS];	/* pairs that are to be flushed */
	AccountPair pairs[ACCOUNT_PAIRS];
	AggregateQueue queue;
} AccountWork;

typedef struct Account
{
	const Interfaces *interfaces;
	const PrefixTable *prefixes;	/* NULL: none, so that AS numbers are the exporter's */
	AccountAsSource as_source;
	uint32_t	own_as;			/* of a local side that is still 0; 0: not set */
	Lru		   *seen;			/* of SeenInterface */
	AccountWork *work;			/* the caller's own, zeroed at first */
	uint64_t	records;		/* with octets, looked at */
	uint64_t	matched;		/* at least one side configured */
	uint64_t	unmatched;		/* neither side */
	uint64_t	no_octets;		/* records without any octet counter */
	uint64_t	unknown_sampling;	/* counted with a rate that nobody gave */
	uint64_t	other_direction;	/* left out by an interface's "count" */
	uint64_t	late_bytes;		/* counted in a later interval than theirs */
	uint64_t	future_bytes;	/* that claimed to come from the future */
} Account;

/* Interfaces have changed: after they were built, and before account_begin(). */
extern void account_configure(Account *account);

/* The records to come are of that host. */
extern void account_begin(Account *account, const FlowAddress *host);

/*
 * Adds the record to its parts, once for its input interface and once for its
 * output interface, where each is configured: ingress has the source AS as
 * remote, egress the destination AS.  Bytes and packets are multiplied by the
 * interface's own rate, else by the record's, and then shared out.  AS numbers
 * come from the record, the prefixes, and for the local side from own_as.  Notes
 * both interfaces as seen, configured or not.
 */
extern void account_flow(Account *account, const Flow *flow, const IntervalParts *parts);

/*
 * account_flow() of many, laid over the intervals by intervals_lay(): faster, as
 * nearly all of them need less.
 */
extern void account_flows(Account *account, const Intervals *intervals, const Flow *flows,
						  uint32_t count);

/* Before anybody else looks at sums, at interfaces seen, at records or matched. */
extern void account_flush(Account *account);

#endif							/* LASTFLUSS_ACCOUNT_H */
