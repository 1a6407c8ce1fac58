/*
 * account.c
 *	  What one flow record adds to an interval: matched to the interfaces on
 *	  both sides, multiplied by the sampling rate.
 */
#include "account.h"

#define ACCOUNT_AS_TRANS	23456

/* One side of a record, its input or its output. */
typedef struct AccountSide
{
	bool		ingress;
	bool		present;		/* does the record name an interface here? */
	uint32_t	id;
	const Interface *interface; /* NULL: not configured */
	AccountPort *port;			/* NULL: nothing is remembered */
	uint32_t	rate;			/* 1 in N, 0: nobody said */
} AccountSide;

/* What the parts of a record get. */
typedef struct AccountShares
{
	uint64_t	bytes[SPREAD_MAX_PARTS];
	uint64_t	packets[SPREAD_MAX_PARTS];
	uint64_t	flows[SPREAD_MAX_PARTS];
} AccountShares;

/* Where a record comes from and goes to. */
typedef struct AccountEnds
{
	uint32_t	src_as;
	uint32_t	dst_as;
} AccountEnds;

static uint32_t
account_rate(const Interface *interface, bool ingress, const Flow *flow)
{
	uint32_t	rate = 0;

	if (interface != NULL && !ingress)
		rate = interface->sample_out;
	if (interface != NULL && rate == 0)
		rate = interface->sample;
	if (rate == 0 && FLOW_HAS(flow, FLOW_SAMPLING))
		rate = flow->sampling;
	return rate;
}

void
account_begin(Account *account)
{
	if (account->ports != NULL)
		account->ports->datagram++;
}

/* What is known of an interface of the datagram at hand; NULL without a memory. */
static AccountPort *
account_port(const Account *account, const FlowAddress *host, uint32_t id)
{
	AccountPorts *ports = account->ports;
	AccountPort *port;

	if (ports == NULL)
		return NULL;
	port = &ports->ports[id % ACCOUNT_PORTS];
	if (port->datagram != ports->datagram || port->id != id)
		*port = (AccountPort) {
			.datagram = ports->datagram,
			.id = id,
			.interface = interfaces_find(account->interfaces, host, id, INTERFACE_ANY_VLAN)
		};
	return port;
}

static const Interface *
account_interface(const Account *account, const FlowAddress *host, const Flow *flow,
				  const AccountSide *side)
{
	bool		has_vlan = FLOW_HAS(flow, side->ingress ? FLOW_IN_VLAN : FLOW_OUT_VLAN);
	int32_t		vlan = INTERFACE_ANY_VLAN;

	if (has_vlan && interfaces_have_vlans(account->interfaces))
		vlan = side->ingress ? flow->in_vlan : flow->out_vlan;
	if (side->port != NULL && vlan == INTERFACE_ANY_VLAN)
		return side->port->interface;
	return interfaces_find(account->interfaces, host, side->id, vlan);
}

static void
account_side(const Account *account, const FlowAddress *host, const Flow *flow, bool ingress,
			 AccountSide *side)
{
	side->ingress = ingress;
	side->present = FLOW_HAS(flow, ingress ? FLOW_IN_IF : FLOW_OUT_IF);
	side->interface = NULL;
	if (!side->present)
		return;
	side->id = ingress ? flow->in_if : flow->out_if;
	side->port = account_port(account, host, side->id);
	side->interface = account_interface(account, host, flow, side);
	side->rate = account_rate(side->interface, ingress, flow);
}

/*
 * A router that watches its interfaces at ingress and at egress reports each
 * packet twice; "count" says which of the two reports is taken.
 */
static bool
account_counts(const Interface *interface, const Flow *flow)
{
	if (interface->count == INTERFACE_COUNT_BOTH || !FLOW_HAS(flow, FLOW_DIRECTION))
		return true;
	return (flow->direction == 0) == (interface->count == INTERFACE_COUNT_INGRESS);
}

/* An unknown rate counts as 1. */
static uint64_t
account_times(uint64_t value, uint32_t rate)
{
	uint64_t	product;

	if (__builtin_mul_overflow(value, (uint64_t) (rate == 0 ? 1 : rate), &product) ||
		product > AGGREGATE_MAX_SUM)
		return AGGREGATE_MAX_SUM;
	return product;
}

/*
 * Both sides of a record may share a port, which is then the second one's.  Where
 * an entry was pushed out, it may be another's by now.
 */
static SeenInterface *
account_seen_entry(Account *account, const FlowAddress *host, const AccountSide *side,
				   LruClass class, int64_t received)
{
	AccountPort *port = side->port;

	if (port == NULL || port->id != side->id)
		return seen_get(account->seen, host, side->id, class, received);
	if (port->seen == NULL || port->evictions != lru_evictions(account->seen))
	{
		port->seen = seen_get(account->seen, host, side->id, class, received);
		port->evictions = lru_evictions(account->seen);
	}
	return port->seen;
}

static void
account_seen(Account *account, const FlowAddress *host, const AccountSide *side,
			 LruClass class, const Flow *flow)
{
	SeenInterface *seen = account_seen_entry(account, host, side, class, flow->received);
	uint64_t	bytes = account_times(flow->bytes, side->rate);

	if (side->ingress)
	{
		seen->in_bytes = aggregate_sum(seen->in_bytes, bytes);
		seen->in_records++;
	}
	else
	{
		seen->out_bytes = aggregate_sum(seen->out_bytes, bytes);
		seen->out_records++;
	}
	if (FLOW_HAS(flow, FLOW_DIRECTION))
	{
		uint64_t   *observed = &seen->observed[side->ingress][flow->direction != 0];

		*observed = aggregate_sum(*observed, bytes);
	}
}

/* AS_TRANS (RFC 6793, 9) stands for any AS whose number has more than 16 bits. */
static bool
account_is_as(uint32_t as)
{
	return as != 0 && as != ACCOUNT_AS_TRANS;
}

/* The AS of one end, "exported" as the record has it, 0 where it does not. */
static uint32_t
account_as(const Account *account, uint32_t exported, bool has_address, const FlowAddress *address)
{
	uint32_t	found = 0;

	if (account->prefixes == NULL || !has_address || account->as_source == ACCOUNT_AS_EXPORTER)
		return exported;
	if (account->as_source == ACCOUNT_AS_EXPORTER_THEN_PREFIX && account_is_as(exported))
		return exported;
	if (!prefix_find(account->prefixes, address, &found) || found == 0)
		return account->as_source == ACCOUNT_AS_PREFIX ? 0 : exported;
	return found;
}

static AccountEnds
account_ends(const Account *account, const Flow *flow)
{
	return (AccountEnds) {
		.src_as = account_as(account, FLOW_HAS(flow, FLOW_SRC_AS) ? flow->src_as : 0,
							 FLOW_HAS(flow, FLOW_SRC_ADDR), &flow->src_addr),
		.dst_as = account_as(account, FLOW_HAS(flow, FLOW_DST_AS) ? flow->dst_as : 0,
							 FLOW_HAS(flow, FLOW_DST_ADDR), &flow->dst_addr)
	};
}

/* What a side of this rate has of the record, and what each part has of that. */
static AggregateSum
account_share(const Flow *flow, uint32_t rate, const IntervalParts *parts,
			  AccountShares *shares)
{
	uint64_t	packets = FLOW_HAS(flow, FLOW_PACKETS) ? flow->packets : 0;
	AggregateSum sum = {
		.bytes = account_times(flow->bytes, rate),
		.packets = account_times(packets, rate),
		.flows = 1
	};

	if (parts->count == 1)
	{
		shares->bytes[0] = sum.bytes;
		shares->packets[0] = sum.packets;
		shares->flows[0] = sum.flows;
		return sum;
	}
	spread_share(parts->weights, parts->count, sum.bytes, shares->bytes);
	spread_share(parts->weights, parts->count, sum.packets, shares->packets);
	spread_share(parts->weights, parts->count, sum.flows, shares->flows);
	return sum;
}

static AggregateKey
account_key(const Account *account, const AccountSide *side, const AccountEnds *ends,
			const Flow *flow)
{
	uint32_t	local_as = side->ingress ? ends->dst_as : ends->src_as;

	return (AggregateKey) {
		.interface = side->interface->name,
		.remote_as = side->ingress ? ends->src_as : ends->dst_as,
		.local_as = local_as != 0 ? local_as : account->own_as,
		.family = flow->family,
		.ingress = side->ingress
	};
}

/* Packets and flows may be too few for each part to get some. */
static void
account_add(Account *account, const AggregateKey *key, const IntervalParts *parts,
			const AccountShares *shares)
{
	AggregateHashed hashed = aggregate_hash(key);

	for (uint32_t i = 0; i < parts->count; i++)
	{
		if (shares->bytes[i] != 0 || shares->packets[i] != 0 || shares->flows[i] != 0)
			aggregate_add_later(account->queue, parts->sums[i], &hashed, shares->bytes[i],
								shares->packets[i], shares->flows[i]);
	}
	if (parts->late)
		account->late_bytes = aggregate_sum(account->late_bytes,
											shares->bytes[parts->count - 1]);
}

void
account_flow(Account *account, const FlowAddress *host, const Flow *flow,
			 const IntervalParts *parts)
{
	AccountSide sides[2];
	AccountEnds ends = {0};
	AccountShares shares;
	AggregateSum sum = {0};
	AggregateKey key;
	bool		matched = false;
	bool		counted = false;
	bool		unknown = false;
	bool		skipped = false;
	LruClass	class;

	if (!FLOW_HAS(flow, FLOW_BYTES))
	{
		account->no_octets++;
		return;
	}
	account->records++;

	account_side(account, host, flow, true, &sides[0]);
	account_side(account, host, flow, false, &sides[1]);
	for (int i = 0; i < 2; i++)
	{
		if (sides[i].interface == NULL)
			continue;
		matched = true;
		if (!account_counts(sides[i].interface, flow))
		{
			skipped = true;
			continue;
		}
		if (!counted)
			ends = account_ends(account, flow);
		if (!counted || sides[i].rate != sides[0].rate)
			sum = account_share(flow, sides[i].rate, parts, &shares);
		counted = true;
		key = account_key(account, &sides[i], &ends, flow);
		account_add(account, &key, parts, &shares);
		if (parts->future)
			account->future_bytes = aggregate_sum(account->future_bytes, sum.bytes);
		unknown |= sides[i].rate == 0;
	}
	if (matched)
		account->matched++;
	else
		account->unmatched++;
	if (unknown)
		account->unknown_sampling++;
	if (skipped)
		account->other_direction++;

	class = matched || interfaces_know_host(account->interfaces, host) ?
		LRU_KNOWN : LRU_STRANGER;
	for (int i = 0; i < 2; i++)
	{
		if (sides[i].present)
			account_seen(account, host, &sides[i], class, flow);
	}
}
