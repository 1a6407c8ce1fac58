/*
 * load.c
 *	  Bench routers: prebuilt datagrams, from many addresses by turns.
 *
 * A router sends all of its templates before its first records, and then one
 * pair after so many datagrams.
 */
#include "load.h"

#include <arpa/inet.h>
#include <string.h>

#include "prebuilt.h"

typedef struct LoadRouter
{
	PrebuiltSender sender;
	uint32_t	templates_sent; /* pairs, up to all of them */
	uint32_t	pair;			/* whose turn is next, for templates */
	uint32_t	since_templates;	/* datagrams */
	uint32_t	datagrams;		/* its records take the pairs by turns */
} LoadRouter;

struct Load
{
	LoadOptions options;
	Prebuilt   *prebuilt;
	LoadRouter *routers;
	uint32_t	turn;
	UdpMessage	messages[UDP_BATCH];
	uint32_t	senders[UDP_BATCH];
	const PrebuiltDatagram *datagrams[UDP_BATCH];	/* NULL: templates */
	uint8_t		templates[UDP_BATCH][PREBUILT_TEMPLATES_MOST];
};

Load *
load_create(const LoadOptions *options)
{
	Load	   *load = allocate(1, sizeof(Load));

	load->options = *options;
	load->prebuilt = prebuilt_create(options->network, options->random, options->exporter,
									 options->routers[0].format);
	load->routers = allocate(options->router_count, sizeof(LoadRouter));
	for (uint32_t i = 0; i < options->router_count; i++)
	{
		if (inet_pton(AF_INET, options->routers[i].host, load->routers[i].sender.address) != 1)
			memcpy(load->routers[i].sender.address, "\xc0\x00\x02\x01", 4);	/* 192.0.2.1 */
	}
	return load;
}

static bool
templates_due(const Load *load, const LoadRouter *router)
{
	return load->prebuilt->templates_length > 0 && load->options.templates > 0 &&
		(router->templates_sent < load->options.templates ||
		 router->since_templates >= load->options.template_every);
}

static void
add_templates(Load *load, LoadRouter *router, uint32_t place, int64_t now)
{
	load->messages[place].data = load->templates[place];
	load->messages[place].length = prebuilt_templates(load->prebuilt, &router->sender,
													  router->pair, now, load->templates[place]);
	load->datagrams[place] = NULL;
	router->pair = (router->pair + 1) % load->options.templates;
	router->since_templates = 0;
	if (router->templates_sent < load->options.templates)
		router->templates_sent++;
}

static uint32_t
add_records(Load *load, LoadRouter *router, uint32_t place, int64_t now)
{
	const PrebuiltDatagram *datagram =
		prebuilt_next(load->prebuilt, &router->sender,
					  router->datagrams++ % (load->options.templates > 0 ? load->options.templates : 1), now, load->options.random);

	load->messages[place].data = datagram->data;
	load->messages[place].length = datagram->length;
	load->datagrams[place] = datagram;
	router->since_templates++;
	return datagram->records;
}

static void
count_sent(Load *load, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
	{
		const PrebuiltDatagram *datagram = load->datagrams[i];

		if (load->messages[i].sent)
			sent_add(load->options.sent, &load->options.routers[load->senders[i]],
					 datagram != NULL ? datagram->accounts : NULL,
					 datagram != NULL ? datagram->records : 0);
	}
}

bool
load_send(Load *load, uint64_t due, int64_t now, uint64_t *records)
{
	bool		many = load->options.router_count > 1;
	uint32_t	count = 0;
	bool		good;

	*records = 0;
	while (count < UDP_BATCH && *records + prebuilt_peek(load->prebuilt)->records <= due)
	{
		LoadRouter *router = &load->routers[load->turn];

		load->messages[count].sent = false;
		load->messages[count].source = many ? router->sender.address : NULL;
		load->senders[count] = load->turn;
		if (templates_due(load, router))
			add_templates(load, router, count, now);
		else
		{
			*records += add_records(load, router, count, now);
			load->turn = (load->turn + 1) % load->options.router_count;
		}
		count++;
	}
	good = udp_send(load->options.udp, load->messages, count);
	count_sent(load, count);
	return good;
}
