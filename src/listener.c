/*
 * listener.c
 *	  The sockets of a receiver: which are wanted, which are open.
 *
 * A port that is taken is said once in the log, shown by status, and tried again.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <unistd.h>

#include "utils/elog.h"

#include "lastfluss.h"
#include "listener.h"
#include "socket.h"

#define LISTENER_RETRY		5000000 /* microseconds until a port is tried again */

static const char *
listener_name(const ListenerConfig *config)
{
	static char name[80];
	char		address[INET6_ADDRSTRLEN];

	if (config->ipv4)
		inet_ntop(AF_INET, config->address.octets + 12, address, sizeof(address));
	else
		inet_ntop(AF_INET6, config->address.octets, address, sizeof(address));
	snprintf(name, sizeof(name), config->ipv4 ? "%s:%u" : "[%s]:%u", address, config->port);
	return name;
}

static bool
listener_is_any(const ListenerConfig *config)
{
	static const uint8_t zeros[16] = {0};

	return memcmp(config->address.octets + (config->ipv4 ? 12 : 0), zeros,
				  config->ipv4 ? 4 : 16) == 0;
}

/* Is there a listener on all addresses of that port, IPv4's or "::"? */
static bool
listener_has_any(const ConfigSnapshot *config, bool ipv4, uint16 port)
{
	for (uint32 i = 0; i < config->listener_count; i++)
	{
		const ListenerConfig *other = &config->listeners[i];

		if (other->ipv4 == ipv4 && other->port == port && listener_is_any(other))
			return true;
	}
	return false;
}

/* Does another listener want IPv4 of the port that "::" would take as well? */
static bool
listener_shares_port(const ConfigSnapshot *wanted, const ListenerConfig *config)
{
	return !config->ipv4 && listener_is_any(config) &&
		listener_has_any(wanted, true, config->port);
}

/*
 * Does a listener on all addresses receive what this one would?  Then it needs
 * no socket, and could not bind one.
 */
static bool
listener_is_covered(const ConfigSnapshot *wanted, const ListenerConfig *config)
{
	if (listener_is_any(config))
		return false;
	return listener_has_any(wanted, false, config->port) ||
		(config->ipv4 && listener_has_any(wanted, true, config->port));
}

/* "::" stands for everything; where the kernel has no IPv6, that is IPv4. */
static int
listener_open_socket(Listener *listener, const ConfigSnapshot *config)
{
	int			fd;

	listener->only_ipv6 = listener_shares_port(config, &listener->config);
	fd = socket_open(&listener->config, listener->only_ipv6, lastfluss_receivers,
					 &listener->buffer);
	if (fd < 0 && errno == EAFNOSUPPORT && listener_is_any(&listener->config))
	{
		ListenerConfig ipv4 = {.ipv4 = true,.port = listener->config.port};

		fd = socket_open(&ipv4, false, lastfluss_receivers, &listener->buffer);
	}
	return fd;
}

static void
listener_log_small_buffer(Listeners *listeners, const Listener *listener)
{
	if (listener->buffer >= SOCKET_BUFFER_WANTED || listeners->small_buffer_logged)
		return;
	listeners->small_buffer_logged = true;
	ereport(lastfluss_elevel(LOG_RANK_WARNING),
			(errmsg("lastfluss: receive buffer is %d kB, %d kB were wanted",
					listener->buffer / 1024, SOCKET_BUFFER_WANTED / 1024),
			 errdetail("Bursts of datagrams that do not fit are dropped by the kernel."),
			 errhint("Allow more with \"sysctl -w net.core.rmem_max=%d\", then restart the server.",
					 SOCKET_BUFFER_WANTED)));
}

static void
listener_try(Listeners *listeners, Listener *listener, const ConfigSnapshot *config,
			 int64 now)
{
	int			fd = listener_open_socket(listener, config);

	if (fd >= 0)
	{
		listener->fd = fd;
		listener->error = 0;
		listener->drops = 0;
		ereport(lastfluss_elevel(LOG_RANK_INFO),
				(errmsg("lastfluss: listening on %s",
						listener_name(&listener->config))));
		listener_log_small_buffer(listeners, listener);
		return;
	}

	listener->retry_at = now + LISTENER_RETRY;
	if (listener->error == errno)
		return;					/* was said before */
	listener->error = errno;
	ereport(lastfluss_elevel(LOG_RANK_ERROR),
			(errcode_for_socket_access(),
			 errmsg("lastfluss: could not listen on %s: %m",
					listener_name(&listener->config)),
			 errhint("It is tried again every %d seconds.  See which program has the port with \"ss -ulpn\", or choose another with lastfluss.add_listener().",
					 LISTENER_RETRY / 1000000)));
}

static void
listener_close(Listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

static bool
listener_same(const ListenerConfig *a, const ListenerConfig *b)
{
	return a->port == b->port && a->ipv4 == b->ipv4 &&
		memcmp(&a->address, &b->address, sizeof(FlowAddress)) == 0;
}

static bool
listener_is_wanted(const ConfigSnapshot *wanted, const ListenerConfig *config)
{
	for (uint32 i = 0; i < wanted->listener_count; i++)
	{
		if (listener_same(config, &wanted->listeners[i]))
			return true;
	}
	return false;
}

/* One whose share of the port has changed is closed too, to be opened anew. */
static void
listeners_keep_wanted(Listeners *listeners, const ConfigSnapshot *config)
{
	int			kept = 0;

	for (int i = 0; i < listeners->count; i++)
	{
		Listener   *listener = &listeners->all[i];
		bool		wanted = listener_is_wanted(config, &listener->config);

		listener->covered = listener_is_covered(config, &listener->config);
		if (!wanted || listener->covered ||
			listener->only_ipv6 != listener_shares_port(config, &listener->config))
			listener_close(listener);
		if (wanted)
			listeners->all[kept++] = *listener;
	}
	listeners->count = kept;
}

static void
listeners_add_new(Listeners *listeners, const ConfigSnapshot *config)
{
	for (uint32 i = 0; i < config->listener_count; i++)
	{
		const ListenerConfig *wanted = &config->listeners[i];
		bool		there = false;

		for (int j = 0; j < listeners->count && !there; j++)
			there = listener_same(wanted, &listeners->all[j].config);
		if (!there && listeners->count < SHARED_MAX_LISTENERS)
		{
			Listener   *listener = &listeners->all[listeners->count++];

			memset(listener, 0, sizeof(*listener));
			listener->config = *wanted;
			listener->covered = listener_is_covered(config, wanted);
			listener->fd = -1;
		}
	}
}

void
listeners_follow(Listeners *listeners, const ConfigSnapshot *config)
{
	listeners_keep_wanted(listeners, config);
	listeners_add_new(listeners, config);
	for (int i = 0; i < listeners->count; i++)
		listeners->all[i].retry_at = 0;
}

static bool
listener_is_waiting(const Listener *listener)
{
	return listener->fd < 0 && !listener->covered;
}

bool
listeners_open(Listeners *listeners, const ConfigSnapshot *config, int64 now)
{
	bool		tried = false;

	for (int i = 0; i < listeners->count; i++)
	{
		Listener   *listener = &listeners->all[i];

		if (!listener_is_waiting(listener) || now < listener->retry_at)
			continue;
		listener_try(listeners, listener, config, now);
		tried = true;
	}
	return tried;
}

int64
listeners_retry_at(const Listeners *listeners)
{
	int64		first = PG_INT64_MAX;

	for (int i = 0; i < listeners->count; i++)
	{
		if (listener_is_waiting(&listeners->all[i]))
			first = Min(first, listeners->all[i].retry_at);
	}
	return first;
}

void
listeners_publish(const Listeners *listeners, ReceiverShared *mine)
{
	mine->listener_count = listeners->count;
	for (int i = 0; i < listeners->count; i++)
	{
		const Listener *listener = &listeners->all[i];
		ListenerStatus *status = &mine->listeners[i];

		status->config = listener->config;
		status->state = listener_is_waiting(listener) ? LISTENER_FAILED : LISTENER_OPEN;
		status->error = listener->error;
		status->buffer = listener->buffer;
		status->kernel_drops = listener->kernel_drops;
	}
}
