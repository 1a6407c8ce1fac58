/*
 * listener.h
 *	  The sockets of a receiver: which are wanted, which are open.
 *
 * Include postgres.h first.
 */
#ifndef LASTFLUSS_LISTENER_H
#define LASTFLUSS_LISTENER_H

#include "shared.h"

typedef struct Listener
{
	ListenerConfig config;
	int			fd;				/* -1: not open */
	bool		only_ipv6;		/* leaves IPv4 of the port to another one */
	bool		covered;		/* another one receives for it */
	int			error;			/* errno of the last try */
	int			buffer;
	uint32		drops;			/* as the socket counts them, at the last look */
	uint64		kernel_drops;
	int64		retry_at;		/* microseconds since 1970 */
} Listener;

typedef struct Listeners
{
	int			count;
	Listener	all[SHARED_MAX_LISTENERS];
	bool		small_buffer_logged;
} Listeners;

/*
 * Follows the configuration: closes what is not wanted, and takes up what is new,
 * to be opened by the next listeners_open().  Sockets that stay wanted stay open.
 */
extern void listeners_follow(Listeners *listeners, const ConfigSnapshot *config);

/* Tries what is not open and whose time has come; true if anything was tried. */
extern bool listeners_open(Listeners *listeners, const ConfigSnapshot *config, int64 now);

/* When the next one is to be tried; PG_INT64_MAX if none is. */
extern int64 listeners_retry_at(const Listeners *listeners);

/* Copies what status shows of them; under the receiver's lock. */
extern void listeners_publish(const Listeners *listeners, ReceiverShared *mine);

#endif							/* LASTFLUSS_LISTENER_H */
