/*
 * socket.h
 *	  UDP sockets of the receivers: bind, steering, batches, kernel drops.
 */
#ifndef LASTFLUSS_SOCKET_H
#define LASTFLUSS_SOCKET_H

#include "shared.h"

/* Receive buffer that we ask for, in octets. */
#define SOCKET_BUFFER_WANTED	(32 * 1024 * 1024)

/*
 * Opens and binds a socket that does not block.  "only_ipv6" leaves IPv4 of the
 * same port to another listener.  With more than one receiver, "receivers"
 * sockets share the port, each exporter on one of them.  Returns the file
 * descriptor, or -1 with errno set; "*buffer" is what the kernel granted.
 */
extern int	socket_open(const ListenerConfig *listener, bool only_ipv6,
						int receivers, int *buffer);

typedef struct SocketBatch SocketBatch;

typedef struct SocketDatagram
{
	const uint8_t *data;
	size_t		length;
	bool		truncated;
	FlowAddress source;
	uint16_t	port;
} SocketDatagram;

/* Memory for one batch, for as long as the process lives. */
extern SocketBatch *socket_batch_create(void);

/* A full batch says that more may be waiting. */
extern int	socket_batch_capacity(void);

/*
 * How many datagrams the kernel has dropped since the socket was opened, modulo
 * 2^32; "before" where it does not tell (before 4.12).
 */
extern uint32 socket_drops(int fd, uint32 before);

/* Receives what is there, without waiting: the number of datagrams, 0 when there are none. */
extern int	socket_receive(SocketBatch *batch, int fd);

extern void socket_datagram(const SocketBatch *batch, int position,
							SocketDatagram *datagram);

#endif							/* LASTFLUSS_SOCKET_H */
