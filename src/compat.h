/*
 * compat.h
 *	  Every difference between PostgreSQL versions.
 */
#ifndef LASTFLUSS_COMPAT_H
#define LASTFLUSS_COMPAT_H

#include "storage/latch.h"
/* 16: what reads varlena values has a header of its own. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
/* 18: the same for sets of events. */
#if PG_VERSION_NUM >= 180000
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

/* 16: one function for the rights on all kinds of objects. */
#if PG_VERSION_NUM >= 160000
#define compat_may_create_in(namespace, role) \
	(object_aclcheck(NamespaceRelationId, (namespace), (role), ACL_CREATE) == ACLCHECK_OK)
#else
#define compat_may_create_in(namespace, role) \
	(pg_namespace_aclcheck((namespace), (role), ACL_CREATE) == ACLCHECK_OK)
#endif

#endif							/* LASTFLUSS_COMPAT_H */
