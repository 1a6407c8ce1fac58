/*
 * socket.c
 *	  UDP sockets of the receivers: bind, steering, batches, kernel drops.
 */
#include "postgres.h"

#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "utils/memutils.h"

#include "socket.h"

#define SOCKET_BATCH			64
#define SOCKET_DATAGRAM_SIZE	65536	/* no UDP payload is larger */

/*
 * From one datagram's place to the next: not a power of two, or all that are of usual
 * size would want the same few lines of the caches.
 */
#define SOCKET_STRIDE			(SOCKET_DATAGRAM_SIZE + 33 * 64)

struct SocketBatch
{
	struct mmsghdr messages[SOCKET_BATCH];
	struct iovec parts[SOCKET_BATCH];
	struct sockaddr_in6 sources[SOCKET_BATCH];
	uint8_t		data[SOCKET_BATCH][SOCKET_STRIDE];
};

static socklen_t
socket_address(const ListenerConfig *listener, struct sockaddr_storage *storage)
{
	memset(storage, 0, sizeof(*storage));
	if (listener->ipv4)
	{
		struct sockaddr_in *ipv4 = (struct sockaddr_in *) storage;

		ipv4->sin_family = AF_INET;
		ipv4->sin_port = htons(listener->port);
		memcpy(&ipv4->sin_addr, listener->address.octets + 12, 4);
		return sizeof(*ipv4);
	}
	else
	{
		struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *) storage;

		ipv6->sin6_family = AF_INET6;
		ipv6->sin6_port = htons(listener->port);
		memcpy(&ipv6->sin6_addr, listener->address.octets, 16);
		return sizeof(*ipv6);
	}
}

/*
 * Among the sockets that share a port, the kernel picks the one whose number
 * this program returns: the folded source address modulo the number of
 * receivers, so that templates and data of an exporter meet.
 */
static bool
socket_steer(int fd, int receivers)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, SKF_NET_OFF),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_NET_OFF + 12),	/* IPv4 source */
		BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_NET_OFF + 20),	/* end of IPv6 source */
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, receivers),
		BPF_STMT(BPF_RET | BPF_A, 0)
	};
	struct sock_fprog program = {lengthof(code), code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF,
					  &program, sizeof(program)) == 0;
}

static void
socket_grow_buffer(int fd, int *granted)
{
	int			wanted = SOCKET_BUFFER_WANTED;
	socklen_t	length = sizeof(*granted);

	/* FORCE goes beyond net.core.rmem_max, but needs CAP_NET_ADMIN. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof(wanted)) != 0)
		(void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted));
	*granted = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, granted, &length) == 0)
		*granted /= 2;			/* the kernel doubles it, for its own overhead */
}

static bool
socket_prepare(int fd, const ListenerConfig *listener, bool only_ipv6,
			   int receivers, int *buffer)
{
	int			on = 1;
	int			v6only = only_ipv6;

	if (!listener->ipv4 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) != 0)
		return false;
	/* A lone receiver does not share: a port that is taken must be noticed. */
	if (receivers > 1 &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
		return false;
	socket_grow_buffer(fd, buffer);
	return true;
}

int
socket_open(const ListenerConfig *listener, bool only_ipv6, int receivers, int *buffer)
{
	struct sockaddr_storage storage;
	socklen_t	length = socket_address(listener, &storage);
	int			fd;

	fd = socket(storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (!socket_prepare(fd, listener, only_ipv6, receivers, buffer) ||
		bind(fd, (struct sockaddr *) &storage, length) != 0 ||
		(receivers > 1 && !socket_steer(fd, receivers)))
	{
		int			save_errno = errno;

		close(fd);
		errno = save_errno;
		return -1;
	}
	return fd;
}

SocketBatch *
socket_batch_create(void)
{
	SocketBatch *batch = MemoryContextAllocHuge(TopMemoryContext, sizeof(SocketBatch));

	for (int i = 0; i < SOCKET_BATCH; i++)
	{
		struct msghdr *header = &batch->messages[i].msg_hdr;

		memset(header, 0, sizeof(*header));
		batch->parts[i].iov_base = batch->data[i];
		batch->parts[i].iov_len = SOCKET_DATAGRAM_SIZE;
		header->msg_iov = &batch->parts[i];
		header->msg_iovlen = 1;
		header->msg_name = &batch->sources[i];
	}
	return batch;
}

int
socket_batch_capacity(void)
{
	return SOCKET_BATCH;
}

/*
 * SO_MEMINFO, one call for many datagrams, rather than SO_RXQ_OVFL, whose control
 * message comes with each of them, and tells only what was dropped before one that came.
 */
uint32
socket_drops(int fd, uint32 before)
{
	uint32		meminfo[SK_MEMINFO_VARS];
	socklen_t	length = sizeof(meminfo);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, meminfo, &length) != 0 ||
		length < sizeof(meminfo))
		return before;
	return meminfo[SK_MEMINFO_DROPS];
}

int
socket_receive(SocketBatch *batch, int fd)
{
	int			count;

	for (int i = 0; i < SOCKET_BATCH; i++)
		batch->messages[i].msg_hdr.msg_namelen = sizeof(batch->sources[i]);
	count = recvmmsg(fd, batch->messages, SOCKET_BATCH, MSG_DONTWAIT, NULL);
	return Max(count, 0);
}

static void
socket_source(const struct sockaddr_in6 *source, SocketDatagram *datagram)
{
	if (source->sin6_family == AF_INET6)
	{
		memcpy(datagram->source.octets, &source->sin6_addr, 16);
		datagram->port = ntohs(source->sin6_port);
	}
	else
	{
		const struct sockaddr_in *ipv4 = (const struct sockaddr_in *) source;

		memset(datagram->source.octets, 0, 10);
		memset(datagram->source.octets + 10, 0xff, 2);
		memcpy(datagram->source.octets + 12, &ipv4->sin_addr, 4);
		datagram->port = ntohs(ipv4->sin_port);
	}
}

void
socket_datagram(const SocketBatch *batch, int position, SocketDatagram *datagram)
{
	const struct mmsghdr *message = &batch->messages[position];

	datagram->data = batch->data[position];
	datagram->length = message->msg_len;
	datagram->truncated = (message->msg_hdr.msg_flags & MSG_TRUNC) != 0;
	socket_source(&batch->sources[position], datagram);
}
