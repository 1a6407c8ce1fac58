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

/* A logical connection.  16: whether it needs a password; 17: other connections, too. */
#if PG_VERSION_NUM >= 170000
#define compat_walrcv_connect(conninfo, must_use_password, name, error) \
	walrcv_connect((conninfo), true, true, (must_use_password), (name), (error))
#elif PG_VERSION_NUM >= 160000
#define compat_walrcv_connect(conninfo, must_use_password, name, error) \
	walrcv_connect((conninfo), true, (must_use_password), (name), (error))
#else
#define compat_walrcv_connect(conninfo, must_use_password, name, error) \
	walrcv_connect((conninfo), true, (name), (error))
#endif

/* 16: a role of its own may make subscriptions. */
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_authid.h"
#define compat_may_subscribe(role) has_privs_of_role((role), ROLE_PG_CREATE_SUBSCRIPTION)
#else
#define compat_may_subscribe(role) superuser_arg(role)
#endif

#endif							/* LASTFLUSS_COMPAT_H */
