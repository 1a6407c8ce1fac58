/*
 * ledger.h
 *	  Keeps the books of account.c, intervals.c and aggregate.c a second time, in a
 *	  simple way, and compares: nothing may be lost on the way to intervals' rows.
 */
#ifndef FUZZ_LEDGER_H
#define FUZZ_LEDGER_H

#include "account.h"

typedef struct Ledger Ledger;

/* Empty books. */
extern Ledger *ledger_open(AccountAsSource as_source, uint32_t own_as, bool prefixes);

/* Is this the address of a configured router? */
extern bool ledger_knows(const Ledger *ledger, const FlowAddress *host);

/* "now" may jump. */
extern void ledger_flow(Ledger *ledger, const FlowAddress *host, const Flow *flow, int64_t now);

/* Do the books agree? */
extern void ledger_check(Ledger *ledger);

/* Addresses that exporters send from; the first two are configured. */
#define LEDGER_HOSTS	4
extern const FlowAddress ledger_hosts[LEDGER_HOSTS];

#endif							/* FUZZ_LEDGER_H */
