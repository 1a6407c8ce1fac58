/*
 * account.h
 *	  What one flow record adds to an interval: matched to the interfaces on
 *	  both sides, multiplied by the sampling rate.
 */
#ifndef LASTFLUSS_ACCOUNT_H
#define LASTFLUSS_ACCOUNT_H

#include "aggregate.h"
#include "flow.h"
#include "interfaces.h"
#include "seen.h"

typedef struct Account
{
	const Interfaces *interfaces;
	Lru		   *seen;			/* of SeenInterface */
	uint64_t	records;		/* with octets, looked at */
	uint64_t	matched;		/* at least one side configured */
	uint64_t	unmatched;		/* neither side */
	uint64_t	no_octets;		/* records without any octet counter */
	uint64_t	unknown_sampling;	/* counted with a rate that nobody gave */
} Account;

/*
 * Adds the record to "aggregate" once for its input interface and once for its
 * output interface, where each is configured: ingress has the source AS as
 * remote, egress the destination AS.  Bytes and packets are multiplied by the
 * interface's own rate, else by the record's.  Notes both interfaces as seen,
 * configured or not.
 */
extern void account_flow(Account *account, const FlowAddress *host, const Flow *flow,
						 int64_t received, Aggregate *aggregate);

#endif							/* LASTFLUSS_ACCOUNT_H */
