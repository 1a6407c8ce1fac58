/*
 * udp.h
 *	  Datagrams to a collector, and an account of what the kernel took.
 */
#ifndef GENERATOR_UDP_H
#define GENERATOR_UDP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define UDP_BATCH		64		/* messages: one sendmmsg */
#define UDP_HOST_SIZE	46		/* the longest textual IPv6 address */

typedef struct UdpCounters
{
	uint64_t	refused;		/* "nobody listens", told about an earlier datagram */
	uint64_t	retried;		/* full buffers, tried again */
	uint64_t	failed;			/* datagrams given up */
} UdpCounters;

typedef struct UdpMessage
{
	const void *data;
	size_t		length;
	const uint8_t *source;		/* IPv4 address to send from; NULL: the socket's */
	bool		sent;			/* the kernel took it */
} UdpMessage;

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
 * NULL for the kernel's choice; "host" (or NULL) receives the address in use.
 */
extern bool udp_open(Udp *udp, const struct sockaddr_storage *collector,
					 socklen_t length, const char *source,
					 char host[UDP_HOST_SIZE]);

/* Sends UDP_BATCH at most, and marks them; false when sending makes no sense. */
extern bool udp_send(Udp *udp, UdpMessage *messages, uint32_t count);

#endif							/* GENERATOR_UDP_H */
