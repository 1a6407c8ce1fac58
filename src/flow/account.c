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
	uint32_t	rate;			/* 1 in N, 0: nobody said */
} AccountSide;

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

static AccountSide
account_side(const Account *account, const FlowAddress *host, const Flow *flow, bool ingress)
{
	AccountSide side = {.ingress = ingress};
	int32_t		vlan = INTERFACE_ANY_VLAN;

	if (!FLOW_HAS(flow, ingress ? FLOW_IN_IF : FLOW_OUT_IF))
		return side;

	if (FLOW_HAS(flow, ingress ? FLOW_IN_VLAN : FLOW_OUT_VLAN))
		vlan = ingress ? flow->in_vlan : flow->out_vlan;
	side.present = true;
	side.id = ingress ? flow->in_if : flow->out_if;
	side.interface = interfaces_find(account->interfaces, host, side.id, vlan);
	side.rate = account_rate(side.interface, ingress, flow);
	return side;
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

static void
account_seen(Account *account, const FlowAddress *host, const AccountSide *side,
			 LruClass class, const Flow *flow)
{
	SeenInterface *seen = seen_get(account->seen, host, side->id, class, flow->received);
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

/* A share for each part: packets and flows may be too few for all of them. */
static void
account_spread(Account *account, const AggregateKey *key, const AggregateSum *sum,
			   const IntervalParts *parts)
{
	uint64_t	bytes[SPREAD_MAX_PARTS];
	uint64_t	packets[SPREAD_MAX_PARTS];
	uint64_t	flows[SPREAD_MAX_PARTS];

	spread_share(parts->weights, parts->count, sum->bytes, bytes);
	spread_share(parts->weights, parts->count, sum->packets, packets);
	spread_share(parts->weights, parts->count, sum->flows, flows);
	for (uint32_t i = 0; i < parts->count; i++)
	{
		AggregateSum share = {bytes[i], packets[i], flows[i]};

		if (share.bytes != 0 || share.packets != 0 || share.flows != 0)
			aggregate_add(parts->sums[i], key, &share);
	}
	if (parts->late)
		account->late_bytes = aggregate_sum(account->late_bytes, bytes[parts->count - 1]);
}

static void
account_add(Account *account, const AccountSide *side, const AccountEnds *ends,
			const Flow *flow, const IntervalParts *parts)
{
	uint64_t	packets = FLOW_HAS(flow, FLOW_PACKETS) ? flow->packets : 0;
	uint32_t	local_as = side->ingress ? ends->dst_as : ends->src_as;
	AggregateKey key = {
		.interface = side->interface->name,
		.remote_as = side->ingress ? ends->src_as : ends->dst_as,
		.local_as = local_as != 0 ? local_as : account->own_as,
		.family = flow->family,
		.ingress = side->ingress
	};
	AggregateSum sum = {
		.bytes = account_times(flow->bytes, side->rate),
		.packets = account_times(packets, side->rate),
		.flows = 1
	};

	if (parts->count == 1 && !parts->late)
		aggregate_add(parts->sums[0], &key, &sum);
	else
		account_spread(account, &key, &sum, parts);
	if (parts->future)
		account->future_bytes = aggregate_sum(account->future_bytes, sum.bytes);
}

void
account_flow(Account *account, const FlowAddress *host, const Flow *flow,
			 const IntervalParts *parts)
{
	AccountSide sides[2];
	AccountEnds ends = {0};
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

	sides[0] = account_side(account, host, flow, true);
	sides[1] = account_side(account, host, flow, false);
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
		counted = true;
		account_add(account, &sides[i], &ends, flow, parts);
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
