/*
 * pending.h
 *	  Data sets that came before their template: kept until it arrives.
 *
 * Bounded in octets, in all and for each address, and in time.  As everywhere
 * (lru.h), strangers share a quarter and push out only each other.
 */
#ifndef LASTFLUSS_PENDING_H
#define LASTFLUSS_PENDING_H

#include "packet.h"
#include "steps.h"
#include "template.h"

/* So many octets and sets of one address at most, and no longer than this. */
#define PENDING_OF_ADDRESS		(64 * 1024)
#define PENDING_SETS_OF_ADDRESS 512
#define PENDING_MICROSECONDS	(INT64_C(300) * 1000000)

/* What is remembered of a set beside its octets. */
typedef struct PendingSet
{
	TemplateKey key;			/* of the template that it waits for */
	StepsClock	clock;			/* of its own message */
	int64_t		received;		/* microseconds since 1970, our clock */
	uint32_t	length;
} PendingSet;

typedef struct Pending Pending;

/* Who wants to know of sets that are dropped. */
typedef struct PendingDrop
{
	void		(*dropped) (void *context, const PendingSet *set);
	void	   *context;
} PendingDrop;

/* Octets of memory for a store of that many octets of sets. */
extern size_t pending_size(uint32_t octets);

/* Makes an empty store in "memory", aligned to 16. */
extern Pending *pending_init(void *memory, uint32_t octets);

/*
 * Keeps a set; the oldest ones go where there is no room.  False if it cannot
 * be kept at all: then it was not, and "drop" was not called for it.
 */
extern bool pending_add(Pending *pending, const PendingSet *set, const uint8_t *octets,
						const PendingDrop *drop);

/*
 * Takes the oldest set of that key out, in "data" until the next call of any
 * function; false if there is none.  Whatever the port: template_find() does not
 * insist on it either.
 */
extern bool pending_take(Pending *pending, const TemplateKey *key, PendingSet *set,
						 Packet *data);

/* Drops what has waited too long. */
extern void pending_expire(Pending *pending, int64_t now, const PendingDrop *drop);

/* How many sets wait. */
extern uint32_t pending_count(const Pending *pending);

/* Shows them all. */
extern void pending_each(const Pending *pending,
						 void (*see) (void *context, const PendingSet *set), void *context);

#endif							/* LASTFLUSS_PENDING_H */
