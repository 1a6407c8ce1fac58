/*
 * udp.c
 *	  Sending with sendmmsg, and what to do when the kernel says no.
 */
#define _GNU_SOURCE

#include "udp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SEND_BUFFER			(4 * 1024 * 1024)
#define REFUSED_MOST		8		/* in a row, for one datagram */
#define WAITS_WHEN_STOPPED	100		/* milliseconds */

bool
udp_resolve(const char *host, const char *port,
			struct sockaddr_storage *address, socklen_t *length)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
	struct addrinfo *list;
	int			error = getaddrinfo(host, port, &hints, &list);

	if (error != 0)
	{
		fprintf(stderr, "generator: address \"%s\": %s\n", host, gai_strerror(error));
		return false;
	}
	memcpy(address, list->ai_addr, list->ai_addrlen);
	*length = list->ai_addrlen;
	freeaddrinfo(list);
	return true;
}

static bool
bind_source(int fd, const char *source, int family)
{
	struct sockaddr_storage address;
	socklen_t	length;

	if (!udp_resolve(source, NULL, &address, &length))
		return false;
	if (address.ss_family != family)
	{
		fprintf(stderr, "generator: source %s and collector are not of one "
				"address family (give --source)\n", source);
		return false;
	}
	if (bind(fd, (struct sockaddr *) &address, length) != 0)
	{
		fprintf(stderr, "generator: cannot send from %s: %s\n", source, strerror(errno));
		return false;
	}
	return true;
}

static void
own_address(int fd, char host[UDP_HOST_SIZE])
{
	struct sockaddr_storage address;
	socklen_t	length = sizeof(address);

	if (getsockname(fd, (struct sockaddr *) &address, &length) == 0)
		getnameinfo((struct sockaddr *) &address, length, host, UDP_HOST_SIZE,
					NULL, 0, NI_NUMERICHOST);
}

bool
udp_open(Udp *udp, const struct sockaddr_storage *collector, socklen_t length,
		 const char *source, char host[UDP_HOST_SIZE])
{
	int			size = SEND_BUFFER;

	udp->socket = socket(collector->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (udp->socket < 0)
	{
		fprintf(stderr, "generator: socket: %s\n", strerror(errno));
		return false;
	}
	/* A smaller buffer only means that we wait more often. */
	setsockopt(udp->socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (source != NULL && !bind_source(udp->socket, source, collector->ss_family))
		return false;
	/* Connected, or the kernel would not tell that nobody listens. */
	if (connect(udp->socket, (const struct sockaddr *) collector, length) != 0)
	{
		fprintf(stderr, "generator: connect: %s\n", strerror(errno));
		return false;
	}
	if (host != NULL)
		own_address(udp->socket, host);
	return true;
}

static void
wait_millisecond(void)
{
	nanosleep(&(struct timespec) {0, 1000000}, NULL);
}

/* Marks what was taken whole; anything else would be a surprise for UDP. */
static void
mark_sent(Udp *udp, UdpMessage *messages, const struct mmsghdr *headers, int count)
{
	for (int i = 0; i < count; i++)
	{
		messages[i].sent = headers[i].msg_len == messages[i].length;
		if (!messages[i].sent)
			udp->counters->failed++;
	}
}

/* As an address to send from, a socket need not be bound to it. */
static void
set_source(struct msghdr *header, void *control, const uint8_t source[4])
{
	struct in_pktinfo info = {0};
	struct cmsghdr *message;

	memcpy(&info.ipi_spec_dst, source, 4);
	header->msg_control = control;
	header->msg_controllen = CMSG_SPACE(sizeof(info));
	message = CMSG_FIRSTHDR(header);
	message->cmsg_level = IPPROTO_IP;
	message->cmsg_type = IP_PKTINFO;
	message->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(message), &info, sizeof(info));
}

bool
udp_send(Udp *udp, UdpMessage *messages, uint32_t count)
{
	struct mmsghdr headers[UDP_BATCH];
	struct iovec parts[UDP_BATCH];
	union
	{
		char		octets[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr align;
	}			controls[UDP_BATCH];
	uint32_t	done = 0;
	int			refused = 0,
				waits = 0;

	memset(headers, 0, count * sizeof(headers[0]));
	for (uint32_t i = 0; i < count; i++)
	{
		parts[i] = (struct iovec) {(void *) messages[i].data, messages[i].length};
		headers[i].msg_hdr.msg_iov = &parts[i];
		headers[i].msg_hdr.msg_iovlen = 1;
		if (messages[i].source != NULL)
			set_source(&headers[i].msg_hdr, &controls[i], messages[i].source);
	}
	while (done < count)
	{
		int			sent = sendmmsg(udp->socket, headers + done, count - done, 0);

		if (sent > 0)
		{
			mark_sent(udp, messages + done, headers + done, sent);
			done += (uint32_t) sent;
			refused = waits = 0;
			continue;
		}
		switch (errno)
		{
			case EINTR:
				break;
			case ECONNREFUSED:

				/*
				 * This is the answer to an earlier datagram; the present one
				 * was not tried yet.
				 */
				udp->counters->refused++;
				if (++refused < REFUSED_MOST)
					break;
				udp->counters->failed++;
				done++;
				refused = 0;
				break;
			case EAGAIN:
			case ENOBUFS:
			case ENOMEM:
				if (*udp->stop && ++waits > WAITS_WHEN_STOPPED)
				{
					udp->counters->failed += count - done;
					return false;
				}
				udp->counters->retried++;
				wait_millisecond();
				break;
			default:
				fprintf(stderr, "generator: sending failed: %s\n", strerror(errno));
				udp->counters->failed += count - done;
				return false;
		}
	}
	return true;
}
