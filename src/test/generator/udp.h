/*
 * udp.h
 *	  Datagrams to a collector, and an account of what the kernel took.
 */
#ifndef GENERATOR_UDP_H
#define GENERATOR_UDP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "exporter.h"

typedef struct UdpCounters
{
	uint64_t	refused;		/* "nobody listens", told about an earlier datagram */
	uint64_t	retried;		/* full buffers, tried again */
	uint64_t	failed;			/* datagrams given up */
} UdpCounters;

typedef struct Udp
{
	int			socket;
	UdpCounters *counters;
	const volatile sig_atomic_t *stop;	/* set: do not wait any longer */
} Udp;

/* Numeric address or name and port; says on stderr why when it is false. */
extern bool udp_resolve(const char *host, const char *port,
						struct sockaddr_storage *address, socklen_t *length);

/*
 * Opens a socket to the collector.  "source" is the address to send from, or
 * NULL for the kernel's choice; "host" receives the address in use.
 */
extern bool udp_open(Udp *udp, const struct sockaddr_storage *collector,
					 socklen_t length, const char *source,
					 char host[NETWORK_HOST_SIZE]);

/* Sends, marks those that the kernel took; false when sending makes no sense. */
extern bool udp_send(Udp *udp, Datagram *datagrams, uint32_t count);

#endif							/* GENERATOR_UDP_H */
