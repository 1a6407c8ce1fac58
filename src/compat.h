/*
 * compat.h
 *	  Every difference between PostgreSQL versions.
 */
#ifndef LASTFLUSS_COMPAT_H
#define LASTFLUSS_COMPAT_H

#include "storage/latch.h"
#if PG_VERSION_NUM >= 170000
#include "storage/waiteventset.h"
#endif

#if PG_VERSION_NUM < 150000
#error "lastfluss needs PostgreSQL 15 or later"
#endif

/* 17: the set belongs to a resource owner, not to a memory context. */
#if PG_VERSION_NUM >= 170000
#define compat_create_wait_event_set(nevents) \
	CreateWaitEventSet(NULL, (nevents))
#else
#define compat_create_wait_event_set(nevents) \
	CreateWaitEventSet(TopMemoryContext, (nevents))
#endif

#endif							/* LASTFLUSS_COMPAT_H */
