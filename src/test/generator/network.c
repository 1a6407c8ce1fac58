/*
 * network.c
 *	  The made-up network and its traffic.
 *
 * The demo network has three routers.  Each observes packets where they enter
 * it, on every interface, and so reports each flow once.
 *
 *	  127.0.1.1  NetFlow v5  Transit Cogent
 *	  127.0.1.2  NetFlow v9  DE-CIX Frankfurt, PNI Google
 *	  127.0.1.3  IPFIX       Transit Arelion
 *
 * The interfaces towards the core and the customers are there to be found:
 * examples/demo/interfaces.yaml does not name them.
 *
 * A path is a way through one router, with a weight; a mix is the remote
 * networks' weights on a path.  A flow is a draw of both.  Addresses come from
 * the blocks for documentation and for carriers' inner use (RFC 5737, 3849,
 * 6598): each remote network has a /24 of 100.64.0.0/10 and a /48 of
 * 2001:db8::/32.  ASes beyond the well-known ones are private ones (RFC 6996).
 */
#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asns.h"

#define CUSTOMER_ONE	64501
#define CUSTOMER_TWO	64502
#define CUSTOMER_THREE	64503	/* connected over the exchange */

#define CORE			101		/* ifIndex towards the core on each router */
#define CUSTOMERS		102

#define UPTIME_DAY		UINT64_C(86400000)

typedef enum MixName
{
	MIX_COGENT,
	MIX_ARELION,
	MIX_EXCHANGE,
	MIX_PNI,
	MIX_FLAT,					/* bench: all networks on all interfaces */
	MIX_COUNT
} MixName;

typedef struct Path
{
	uint32_t	router;
	uint32_t	in;				/* index in the router's interfaces */
	uint32_t	out;
	MixName		mix;
	bool		inbound;		/* the remote network is the source */
	uint32_t	local_as;
} Path;

typedef struct Remote
{
	uint32_t	asn;
	AsnKind		kind;
	AsnReach	reach;
} Remote;

struct Network
{
	Router	   *routers;
	uint32_t	router_count;
	Path	   *paths;
	double	   *path_weights;
	uint32_t	path_count;
	Alias		path_alias;
	Remote	   *remotes;
	uint32_t	remote_count;
	bool		flat;
	Alias		mixes[MIX_COUNT][2];	/* [1]: inbound */
	uint32_t	ipv6_percent;
	double		scale;			/* flows are so many times their natural size */
};

/* The demo network as tables. */

static const struct
{
	const char *host;
	Format		format;
	uint32_t	domain;
	uint32_t	sample;
	uint64_t	uptime;
	uint32_t	interfaces[4];	/* ends with 0 */
}			demo_routers[] = {
	{"127.0.1.1", FORMAT_V5, 0, 1000, 12 * UPTIME_DAY + 4711000, {1, CORE, CUSTOMERS, 0}},
	{"127.0.1.2", FORMAT_V9, 256, 512, 31 * UPTIME_DAY + 815000, {23, 24, CORE, 0}},
	{"127.0.1.3", FORMAT_IPFIX, 524288, 2000, 97 * UPTIME_DAY, {526, CORE, CUSTOMERS, 0}},
};

static const struct
{
	Format		format;			/* says the router */
	uint32_t	in;				/* ifIndex */
	uint32_t	out;
	MixName		mix;
	bool		inbound;
	uint32_t	local_as;
	double		weight;			/* in records */
}			demo_paths[] = {
	{FORMAT_V5, 1, CORE, MIX_COGENT, true, NETWORK_OWN_ASN, 5},
	{FORMAT_V5, CORE, 1, MIX_COGENT, false, NETWORK_OWN_ASN, 4},
	{FORMAT_V5, 1, CUSTOMERS, MIX_COGENT, true, CUSTOMER_ONE, 2},
	{FORMAT_V5, CUSTOMERS, 1, MIX_COGENT, false, CUSTOMER_ONE, 3},
	{FORMAT_V9, 23, CORE, MIX_EXCHANGE, true, NETWORK_OWN_ASN, 27},
	{FORMAT_V9, CORE, 23, MIX_EXCHANGE, false, NETWORK_OWN_ASN, 16},
	{FORMAT_V9, 24, CORE, MIX_PNI, true, NETWORK_OWN_ASN, 15},
	{FORMAT_V9, CORE, 24, MIX_PNI, false, NETWORK_OWN_ASN, 8},
	/* A customer behind the exchange: in and out on configured interfaces. */
	{FORMAT_V9, 24, 23, MIX_PNI, true, CUSTOMER_THREE, 1},
	{FORMAT_V9, 23, 24, MIX_PNI, false, CUSTOMER_THREE, 0.5},
	{FORMAT_IPFIX, 526, CORE, MIX_ARELION, true, NETWORK_OWN_ASN, 3},
	{FORMAT_IPFIX, CORE, 526, MIX_ARELION, false, NETWORK_OWN_ASN, 2},
	{FORMAT_IPFIX, 526, CUSTOMERS, MIX_ARELION, true, CUSTOMER_TWO, 1},
	{FORMAT_IPFIX, CUSTOMERS, 526, MIX_ARELION, false, CUSTOMER_TWO, 1.5},
};

#define DEMO_ROUTERS	(sizeof(demo_routers) / sizeof(demo_routers[0]))
#define DEMO_PATHS		(sizeof(demo_paths) / sizeof(demo_paths[0]))

static void
add_path(Network *network, const Path *path, double weight)
{
	network->paths[network->path_count] = *path;
	network->path_weights[network->path_count] = weight;
	network->path_count++;
}

static void
make_path_room(Network *network, uint32_t count)
{
	network->paths = allocate(count, sizeof(Path));
	network->path_weights = allocate(count, sizeof(double));
}

static void
add_demo_router(Network *network, uint32_t row)
{
	Router	   *router = &network->routers[network->router_count++];

	strcpy(router->host, demo_routers[row].host);
	router->format = demo_routers[row].format;
	router->domain = demo_routers[row].domain;
	router->sample = demo_routers[row].sample;
	router->uptime = demo_routers[row].uptime;
	while (demo_routers[row].interfaces[router->interface_count] != 0)
		router->interface_count++;
	router->interfaces = allocate(router->interface_count, sizeof(Interface));
	for (uint32_t i = 0; i < router->interface_count; i++)
		router->interfaces[i].id = demo_routers[row].interfaces[i];
}

/* Index of an interface that the tables above promise to be there. */
static uint32_t
interface_index(const Router *router, uint32_t id)
{
	uint32_t	i = 0;

	while (router->interfaces[i].id != id)
		i++;
	return i;
}

static void
add_demo_paths(Network *network, uint32_t router_index)
{
	const Router *router = &network->routers[router_index];

	for (uint32_t i = 0; i < DEMO_PATHS; i++)
	{
		if (demo_paths[i].format != router->format)
			continue;
		add_path(network, &(Path) {
			.router = router_index,
			.in = interface_index(router, demo_paths[i].in),
			.out = interface_index(router, demo_paths[i].out),
			.mix = demo_paths[i].mix,
			.inbound = demo_paths[i].inbound,
			.local_as = demo_paths[i].local_as
		}, demo_paths[i].weight);
	}
}

static void
make_demo(Network *network, const NetworkOptions *options)
{
	network->routers = allocate(DEMO_ROUTERS, sizeof(Router));
	make_path_room(network, DEMO_PATHS);
	for (uint32_t i = 0; i < DEMO_ROUTERS; i++)
	{
		if (!options->formats[demo_routers[i].format])
			continue;
		add_demo_router(network, i);
		add_demo_paths(network, network->router_count - 1);
	}
}

/* All of 127.0.0.0/8 is this machine. */
static void
bench_host(char host[NETWORK_HOST_SIZE], uint32_t number, uint32_t count)
{
	if (count == 1)
		strcpy(host, "127.0.0.1");
	else
		snprintf(host, NETWORK_HOST_SIZE, "127.%u.%u.%u", 1 + (number >> 16),
				 number >> 8 & 255, number & 255);
}

/* Interfaces 1..N with equal traffic, N + 1 towards the core. */
static void
make_bench_router(Router *router, const NetworkOptions *options)
{
	while (!options->formats[router->format])
		router->format++;
	router->sample = options->sample;
	router->uptime = UPTIME_DAY;
	router->interface_count = options->interfaces + 1;
	router->interfaces = allocate(router->interface_count, sizeof(Interface));
	for (uint32_t i = 0; i < router->interface_count; i++)
		router->interfaces[i].id = i + 1;
}

static void
make_bench(Network *network, const NetworkOptions *options)
{
	uint32_t	core = options->interfaces;

	network->router_count = options->routers;
	network->routers = allocate(options->routers, sizeof(Router));
	for (uint32_t i = 0; i < options->routers; i++)
	{
		bench_host(network->routers[i].host, i, options->routers);
		make_bench_router(&network->routers[i], options);
	}

	make_path_room(network, 2 * options->interfaces);
	for (uint32_t i = 0; i < options->interfaces; i++)
	{
		add_path(network, &(Path) {0, i, core, MIX_FLAT, true, NETWORK_OWN_ASN}, 1);
		add_path(network, &(Path) {0, core, i, MIX_FLAT, false, NETWORK_OWN_ASN}, 1);
	}
}

/*
 * The networks behind the well-known ones: private ASes, so that nobody's
 * name gets traffic that it never had; every third has two octets.
 */
static Remote
tail_remote(uint32_t rank)
{
	uint64_t	hash = random_mix(rank);
	uint32_t	two_octets = 64512 + rank / 3;
	Remote		remote;

	remote.asn = rank % 3 == 0 && two_octets <= 65534 ? two_octets :
		4200000000U + rank;
	remote.kind = hash % 2 ? ASN_EYEBALL : ASN_HOSTING;
	remote.reach = hash / 2 % 5 < 2 ? REACH_EXCHANGE : REACH_TRANSIT;
	return remote;
}

/* For benches the numbers are plain: v5 has room for 64,000 different ones. */
static Remote
bench_remote(uint32_t rank)
{
	return (Remote) {rank < 63000 ? 1000 + rank : 4200000000U + rank,
		rank % 2 ? ASN_EYEBALL : ASN_CONTENT, REACH_TRANSIT};
}

static void
make_remotes(Network *network, const NetworkOptions *options)
{
	network->remote_count = options->asns;
	network->remotes = allocate(options->asns, sizeof(Remote));
	for (uint32_t i = 0; i < options->asns; i++)
	{
		if (options->interfaces > 0)
			network->remotes[i] = bench_remote(i);
		else if (i < asns_known_count)
			network->remotes[i] = (Remote) {asns_known[i].asn,
				asns_known[i].kind, asns_known[i].reach};
		else
			network->remotes[i] = tail_remote(i - asns_known_count);
	}
}

/* How much of a network's traffic comes by this way. */
static double
reach_share(const Remote *remote, MixName mix)
{
	static const double share[3][3] = {
		/* transit, exchange, PNI */
		[REACH_TRANSIT] = {1, 0, 0},
		[REACH_EXCHANGE] = {0.04, 1, 0},
		[REACH_PNI] = {0.005, 0.02, 1},
	};
	/* Each network is best reached over one of the transits. */
	double		cogent = random_mix(remote->asn) % 5 < 2 ? 0.85 : 0.15;

	/* v5 shows those with 4-octet numbers as AS_TRANS: little of that. */
	if (remote->asn > 65535)
		cogent = 0.03;

	switch (mix)
	{
		case MIX_COGENT:
			return share[remote->reach][0] * cogent;
		case MIX_ARELION:
			return share[remote->reach][0] * (1 - cogent);
		case MIX_EXCHANGE:
			return share[remote->reach][1];
		case MIX_PNI:
			return share[remote->reach][2];
		default:
			return 1;
	}
}

/* Records that a network takes part in, by what it does: asymmetric. */
static double
kind_share(const Remote *remote, MixName mix, bool inbound)
{
	static const double share[4][2] = {
		/* to it, from it */
		[ASN_CONTENT] = {0.5, 1},
		[ASN_HOSTING] = {0.4, 0.5},
		[ASN_EYEBALL] = {1, 0.4},
		[ASN_TRANSIT] = {0.3, 0.3},
	};

	return mix == MIX_FLAT ? 1 : share[remote->kind][inbound];
}

static void
make_mix(Network *network, MixName mix, bool inbound, bool flat)
{
	double	   *weights = allocate(network->remote_count, sizeof(double));

	for (uint32_t i = 0; i < network->remote_count; i++)
		weights[i] = reach_share(&network->remotes[i], mix) *
			kind_share(&network->remotes[i], mix, inbound) / (flat ? 1 : i + 3);
	alias_init(&network->mixes[mix][inbound], weights, network->remote_count);
	free(weights);
}

Network *
network_create(const NetworkOptions *options)
{
	Network    *network = allocate(1, sizeof(Network));

	network->ipv6_percent = options->ipv6_percent;
	network->scale = 1;
	network->flat = options->flat;
	if (options->interfaces > 0)
		make_bench(network, options);
	else
		make_demo(network, options);
	make_remotes(network, options);
	alias_init(&network->path_alias, network->path_weights, network->path_count);
	for (MixName mix = 0; mix < MIX_COUNT; mix++)
	{
		make_mix(network, mix, false, options->flat);
		make_mix(network, mix, true, options->flat);
	}
	return network;
}

Router *
network_routers(Network *network, uint32_t *count)
{
	*count = network->router_count;
	return network->routers;
}

/* Mean size of a packet in octets, from 32 random bits. */
static uint32_t
packet_size(AsnKind kind, bool inbound, uint32_t bits)
{
	static const struct
	{
		uint16_t	least;
		uint16_t	range;
	}			size[4][2] = {
		/* to it, from it */
		[ASN_CONTENT] = {{56, 120}, {1180, 300}},
		[ASN_HOSTING] = {{300, 900}, {400, 1000}},
		[ASN_EYEBALL] = {{800, 650}, {60, 500}},
		[ASN_TRANSIT] = {{200, 900}, {200, 900}},
	};

	return size[kind][inbound].least + random_below(bits, size[kind][inbound].range);
}

/* Most flows have a packet or two, few have hundreds: the mean is six. */
static void
draw_size(const Network *network, Flow *flow, const Remote *remote,
		  bool inbound, uint64_t bits)
{
	uint32_t	size = packet_size(remote->kind, inbound, (uint32_t) (bits >> 32));
	double		packets = 256.0 / (256 - (uint8_t) bits) * network->scale + 0.5;
	double		most = UINT32_MAX / 1500;

	if (packets > most)
		packets = most;			/* octets are 32 bits wide in v5 */
	/* An sFlow sample is one packet. */
	if (packets < 1 || network->routers[flow->router].format == FORMAT_SFLOW)
		packets = 1;
	flow->packets = (uint32_t) packets;
	flow->octets = flow->packets * size;
	if (flow->packets > 1)
		flow->octets += (bits >> 8) & 15;
}

/* Active timeout 60 s, inactive timeout 15 s. */
static void
draw_times(Flow *flow, uint64_t bits)
{
	flow->age = random_below((uint32_t) bits, 15000);
	flow->duration = flow->packets == 1 ? 0 :
		1 + random_below((uint32_t) (bits >> 32), 59999);
}

static void
remote_address(uint8_t *address, bool ipv6, uint32_t index, uint32_t bits)
{
	uint32_t	block = index & 16383;

	if (ipv6)
	{
		memcpy(address, "\x20\x01\x0d\xb8", 4);
		address[4] = (uint8_t) (index >> 8);
		address[5] = (uint8_t) index;
		address[7] = (uint8_t) (bits >> 8);
		address[15] = (uint8_t) bits;
		return;
	}
	address[0] = 100;
	address[1] = (uint8_t) (64 + (block >> 8));
	address[2] = (uint8_t) block;
	address[3] = (uint8_t) bits;
}

static void
local_address(uint8_t *address, bool ipv6, uint32_t asn, uint32_t bits)
{
	if (ipv6)
	{
		memcpy(address, "\x20\x01\x0d\xb8\xff\xf0", 6);
		address[5] |= (uint8_t) (asn - NETWORK_OWN_ASN);
		address[14] = (uint8_t) (bits >> 8);
		address[15] = (uint8_t) bits;
		return;
	}
	memcpy(address, asn == NETWORK_OWN_ASN ? "\xc6\x33\x64" : "\xcb\x00\x71", 3);
	address[3] = (uint8_t) bits;
}

static void
draw_addresses(Flow *flow, uint32_t remote, uint32_t local_as, bool inbound,
			   uint64_t bits)
{
	memset(flow->source, 0, sizeof(flow->source));
	memset(flow->destination, 0, sizeof(flow->destination));
	remote_address(inbound ? flow->source : flow->destination, flow->ipv6,
				   remote, (uint32_t) bits);
	local_address(inbound ? flow->destination : flow->source, flow->ipv6,
				  local_as, (uint32_t) (bits >> 16));
}

/* Web over TCP and QUIC, and some pings; the server is the content's side. */
static void
draw_transport(Flow *flow, bool server_is_source, uint64_t bits)
{
	uint32_t	chance = (uint32_t) bits % 100;
	uint16_t	server = (bits >> 8) % 10 == 0 ? 80 : 443;
	uint16_t	client = (uint16_t) (32768 + ((bits >> 16) & 32767));

	flow->protocol = chance < 66 ? 6 : chance < 98 ? 17 : flow->ipv6 ? 58 : 1;
	flow->tcp_flags = flow->protocol != 6 ? 0 : flow->packets == 1 ? 0x10 : 0x1b;
	flow->tos = (bits >> 40) % 20 == 0 ? 0x28 : 0;
	if (flow->protocol == 17)
		server = 443;
	if (chance >= 98)
		server = client = 0;
	flow->source_port = server_is_source ? server : client;
	flow->destination_port = server_is_source ? client : server;
}

void
network_draw(const Network *network, Random *random, Flow *flow)
{
	const Path *path = &network->paths[alias_draw(&network->path_alias,
												  random_next(random))];
	uint32_t	index = alias_draw(&network->mixes[path->mix][path->inbound],
								   random_next(random));
	const Remote *remote = &network->remotes[index];
	uint64_t	bits = random_next(random);

	flow->router = path->router;
	flow->in = path->in;
	flow->out = path->out;
	flow->source_as = path->inbound ? remote->asn : path->local_as;
	flow->destination_as = path->inbound ? path->local_as : remote->asn;
	flow->ipv6 = network->routers[path->router].format != FORMAT_V5 &&
		random_below((uint32_t) (bits >> 32), 100) < network->ipv6_percent;
	draw_addresses(flow, index, path->local_as, path->inbound, bits);
	draw_size(network, flow, remote, path->inbound, random_next(random));
	bits = random_next(random);
	draw_times(flow, bits);
	draw_transport(flow, path->inbound == (remote->kind != ASN_EYEBALL),
				   random_mix(bits));
}

uint32_t
network_draw_asn(const Network *network, Random *random)
{
	uint64_t	bits = random_next(random);

	/* Without the tables, which for a million are larger than a cache. */
	if (network->flat)
		return bench_remote(random_below((uint32_t) bits, network->remote_count)).asn;
	return network->remotes[alias_draw(&network->mixes[MIX_FLAT][true], bits)].asn;
}

void
network_scale(Network *network, double rate, double bits)
{
	Random		random = {1};
	Flow		flow;
	double		sum = 0;
	const int	draws = 100000;

	for (int i = 0; i < draws; i++)
	{
		network_draw(network, &random, &flow);
		sum += (double) flow.octets * network->routers[flow.router].sample;
	}
	network->scale = bits / (sum / draws * 8 * rate);
}

double
network_rhythm(double time)
{
	/* Hours of UTC for an evening peak in central Europe; their mean is 1. */
	static const double hours[24] = {
		0.75, 0.54, 0.41, 0.35, 0.34, 0.42, 0.60, 0.80, 0.92, 0.99, 1.03, 1.07,
		1.10, 1.10, 1.12, 1.18, 1.28, 1.42, 1.58, 1.70, 1.68, 1.45, 1.19, 0.98
	};
	double		days = time / 86400;
	double		hour = (days - (double) (int64_t) days) * 24;
	int			before = (int) hour % 24;
	double		part = hour - (int) hour;

	return hours[before] * (1 - part) + hours[(before + 1) % 24] * part;
}
