/*
 * account.c
 *	  What one flow record adds to an interval: matched to the interfaces on
 *	  both sides, multiplied by the sampling rate.
 *
 * Whatever follows from a record's two interfaces is looked up once, and kept in
 * an AccountPair: a router has few pairs.  Nearly all records then count on each
 * configured side, at one rate, and are added once, as a path (aggregate.h).  The
 * others are added side by side: two rates, a direction that one side leaves out,
 * an AS number that is our own on one side only.
 *
 * account_flow() can do all of that.  account_flows() does the same for most records
 * in a third of the instructions: those of a plain pair, with small numbers, that
 * lie in the two newest intervals.
 */
#include "account.h"

#include "hash.h"

#define ACCOUNT_AS_TRANS	23456

/* Microseconds after which an interface is marked as used anew. */
#define ACCOUNT_TOUCH		INT64_C(1000000)

/* Where a record comes from and goes to. */
typedef struct AccountEnds
{
	uint32_t	src_as;
	uint32_t	dst_as;
} AccountEnds;

/* What the parts of a record get. */
typedef struct AccountShares
{
	uint64_t	bytes[SPREAD_MAX_PARTS];
	uint64_t	packets[SPREAD_MAX_PARTS];
	uint64_t	flows[SPREAD_MAX_PARTS];
} AccountShares;

void
account_configure(Account *account)
{
	AccountWork *work = account->work;

	work->configuration++;
	work->fields = FLOW_BIT(FLOW_IN_IF) | FLOW_BIT(FLOW_OUT_IF);
	if (interfaces_have_vlans(account->interfaces))
		work->fields |= FLOW_BIT(FLOW_IN_VLAN) | FLOW_BIT(FLOW_OUT_VLAN);
	/* no pair has this number: all are looked at again */
	work->host_number++;
}

void
account_begin(Account *account, const FlowAddress *host)
{
	AccountWork *work = account->work;

	if (work->configuration == 0)
		account_configure(account);
	if (memcmp(&work->host, host, sizeof(*host)) == 0)
		return;
	work->host = *host;
	work->host_hash = hash_address(host);
	work->host_number++;
}

/*
 * Interfaces that were seen.
 */

static uint32_t
account_id(const AccountPair *pair, bool ingress)
{
	return ingress ? pair->interfaces >> 32 : (uint32_t) pair->interfaces;
}

static bool
account_has(const AccountPair *pair, FlowField field)
{
	return (pair->fields >> 32 & FLOW_BIT(field)) != 0;
}

/* Of one side; "again": it is to be looked up, and so marked as used. */
static void
account_see(Account *account, AccountPair *pair, bool ingress, bool again)
{
	bool		known = pair->sides[0] != NULL || pair->sides[1] != NULL ||
		interfaces_know_host(account->interfaces, &pair->host);
	SeenInterface *seen;
	uint64_t	bytes = 0;

	if (again)
		pair->seen[ingress] = seen_get(account->seen, &pair->host,
									   account_id(pair, ingress),
									   known ? LRU_KNOWN : LRU_STRANGER, pair->received);
	seen = pair->seen[ingress];
	seen->last_seen = pair->received;
	for (int direction = 0; direction < ACCOUNT_NO_DIRECTION; direction++)
		seen->observed[ingress][direction] = aggregate_sum(seen->observed[ingress][direction],
														   pair->bytes[direction][ingress]);
	for (int direction = 0; direction <= ACCOUNT_NO_DIRECTION; direction++)
		bytes = aggregate_sum(bytes, pair->bytes[direction][ingress]);
	if (ingress)
	{
		seen->in_bytes = aggregate_sum(seen->in_bytes, bytes);
		seen->in_records += pair->records;
	}
	else
	{
		seen->out_bytes = aggregate_sum(seen->out_bytes, bytes);
		seen->out_records += pair->records;
	}
}

/*
 * What has gathered in the pair goes to where others see it.  An entry that was
 * looked up stays where it is until one is pushed out, maybe by that of the
 * other side.
 */
static void
account_flush_pair(Account *account, AccountPair *pair)
{
	bool		again = pair->evictions != lru_evictions(account->seen) ||
		pair->received - pair->touched > ACCOUNT_TOUCH || pair->received < pair->touched;
	uint64_t	evictions;

	if (pair->records == 0)
		return;
	for (int direction = 0; direction <= ACCOUNT_NO_DIRECTION; direction++)
	{
		for (int side = 0; side < 2; side++)
			pair->bytes[direction][side] = aggregate_sum(pair->bytes[direction][side],
														 pair->both[direction]);
	}
	if (account_has(pair, FLOW_IN_IF))
		account_see(account, pair, true, again);
	evictions = lru_evictions(account->seen);
	if (account_has(pair, FLOW_OUT_IF))
		account_see(account, pair, false, again);
	pair->evictions = evictions;
	if (again)
		pair->touched = pair->received;

	account->records += pair->records;
	if (pair->sides[0] != NULL || pair->sides[1] != NULL)
		account->matched += pair->records;
	pair->records = 0;
	memset(pair->bytes, 0, sizeof(pair->bytes));
	memset(pair->both, 0, sizeof(pair->both));
}

void
account_flush(Account *account)
{
	AccountWork *work = account->work;

	for (uint32_t i = 0; i < work->listed_count; i++)
	{
		AccountPair *pair = &work->pairs[work->listed[i]];

		account_flush_pair(account, pair);
		pair->listed = false;
		pair->host_number = 0;
	}
	work->listed_count = 0;
	aggregate_flush(&work->queue);
}

/*
 * Pairs.
 */

static const Interface *
account_interface(const Account *account, const AccountPair *pair, bool ingress)
{
	uint16_t	vlan = (uint16_t) (ingress ? pair->fields >> 16 : pair->fields);

	if (!account_has(pair, ingress ? FLOW_IN_IF : FLOW_OUT_IF))
		return NULL;
	return interfaces_find(account->interfaces, &pair->host, account_id(pair, ingress),
						   account_has(pair, ingress ? FLOW_IN_VLAN : FLOW_OUT_VLAN) ?
						   vlan : INTERFACE_ANY_VLAN);
}

/* The rate that is set for it; 0: none, so that the record's counts. */
static uint32_t
account_set_rate(const Interface *interface, bool ingress)
{
	if (interface == NULL)
		return 0;
	return !ingress && interface->sample_out != 0 ? interface->sample_out : interface->sample;
}

static bool
account_counts_all(const Interface *interface)
{
	return interface == NULL || interface->count == INTERFACE_COUNT_BOTH;
}

static uint32_t
account_name(const Interface *interface)
{
	return interface != NULL ? interface->name : AGGREGATE_NO_INTERFACE;
}

/* What follows from the configuration. */
static void
account_resolve(const Account *account, AccountPair *pair)
{
	const Interface *in = account_interface(account, pair, true);
	const Interface *out = account_interface(account, pair, false);

	pair->configuration = account->work->configuration;
	pair->sides[true] = in;
	pair->sides[false] = out;
	pair->rates[true] = account_set_rate(in, true);
	pair->rates[false] = account_set_rate(out, false);
	pair->configured = in != NULL || out != NULL;
	pair->one_rate = in == NULL || out == NULL || pair->rates[true] == pair->rates[false];
	pair->counts_all = account_counts_all(in) && account_counts_all(out);
	pair->ingress = account_name(in);
	pair->egress = account_name(out);
	pair->place = aggregate_place(pair->ingress, pair->egress, 0);
	pair->plain = pair->configured && pair->one_rate && pair->counts_all;
	pair->same_rate = pair->rates[true] == pair->rates[false];
	pair->rate = pair->rates[in != NULL];
}

/* The entry is another pair's, or was used with another host or configuration. */
static __attribute__((noinline)) void
account_take_pair(Account *account, AccountPair *pair, uint64_t interfaces, uint64_t fields)
{
	AccountWork *work = account->work;

	if (pair->configuration != work->configuration || pair->interfaces != interfaces ||
		pair->fields != fields || memcmp(&pair->host, &work->host, sizeof(pair->host)) != 0)
	{
		account_flush_pair(account, pair);
		*pair = (AccountPair) {
			.host = work->host,
			.interfaces = interfaces,
			.fields = fields,
			.listed = pair->listed,
			.evictions = UINT64_MAX
		};
		account_resolve(account, pair);
	}
	pair->host_number = work->host_number;
	if (!pair->listed)
		work->listed[work->listed_count++] = (uint16_t) (pair - work->pairs);
	pair->listed = true;
}

static inline __attribute__((always_inline)) AccountPair *
account_pair_of(Account *account, uint64_t interfaces, uint64_t fields)
{
	AccountWork *work = account->work;
	uint64_t	hash = (interfaces ^ work->host_hash ^ fields) * UINT64_C(0x9E3779B97F4A7C15);
	AccountPair *pair = &work->pairs[hash >> (64 - ACCOUNT_PAIRS_BITS)];

	if (pair->host_number != work->host_number || pair->interfaces != interfaces ||
		pair->fields != fields)
		account_take_pair(account, pair, interfaces, fields);
	return pair;
}

static AccountPair *
account_pair(Account *account, const Flow *flow)
{
	uint64_t	present = flow->present & account->work->fields;
	uint64_t	in_if = (present & FLOW_BIT(FLOW_IN_IF)) != 0 ? flow->in_if : 0;
	uint64_t	out_if = (present & FLOW_BIT(FLOW_OUT_IF)) != 0 ? flow->out_if : 0;
	uint64_t	in_vlan = (present & FLOW_BIT(FLOW_IN_VLAN)) != 0 ? flow->in_vlan : 0;
	uint64_t	out_vlan = (present & FLOW_BIT(FLOW_OUT_VLAN)) != 0 ? flow->out_vlan : 0;

	return account_pair_of(account, in_if << 32 | out_if, present << 32 | in_vlan << 16 | out_vlan);
}

/*
 * What a record counts.
 */

/* An unknown rate counts as 1. */
static inline uint64_t
account_times(uint64_t value, uint32_t rate)
{
	uint64_t	product;

	if (__builtin_mul_overflow(value, (uint64_t) (rate == 0 ? 1 : rate), &product) ||
		product > AGGREGATE_MAX_SUM)
		return AGGREGATE_MAX_SUM;
	return product;
}

/* The rate that the record tells; 0: none. */
static inline uint32_t
account_told(const Flow *flow)
{
	return FLOW_HAS(flow, FLOW_SAMPLING) ? flow->sampling : 0;
}

/* Where it was observed: ingress, egress, or nobody knows. */
static inline uint32_t
account_direction(const Flow *flow)
{
	return FLOW_HAS(flow, FLOW_DIRECTION) ? flow->direction != 0 : ACCOUNT_NO_DIRECTION;
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

	if (!has_address || account->as_source == ACCOUNT_AS_EXPORTER)
		return exported;
	if (account->as_source == ACCOUNT_AS_EXPORTER_THEN_PREFIX && account_is_as(exported))
		return exported;
	if (!prefix_find(account->prefixes, address, &found) || found == 0)
		return account->as_source == ACCOUNT_AS_PREFIX ? 0 : exported;
	return found;
}

static inline AccountEnds
account_ends(const Account *account, const Flow *flow)
{
	AccountEnds ends = {
		.src_as = FLOW_HAS(flow, FLOW_SRC_AS) ? flow->src_as : 0,
		.dst_as = FLOW_HAS(flow, FLOW_DST_AS) ? flow->dst_as : 0
	};

	if (account->prefixes != NULL)
	{
		ends.src_as = account_as(account, ends.src_as, FLOW_HAS(flow, FLOW_SRC_ADDR),
								 &flow->src_addr);
		ends.dst_as = account_as(account, ends.dst_as, FLOW_HAS(flow, FLOW_DST_ADDR),
								 &flow->dst_addr);
	}
	return ends;
}

static void
account_late(Account *account, uint64_t bytes, uint32_t sides)
{
	for (uint32_t i = 0; i < sides; i++)
		account->late_bytes = aggregate_sum(account->late_bytes, bytes);
}

/* To each part what it has of the record; packets and flows may be too few for all. */
static void
account_add_parts(Account *account, const AggregateHashed *key, const IntervalParts *parts,
				  uint64_t bytes, uint64_t packets, uint32_t sides)
{
	AccountShares shares;

	spread_share(parts->weights, parts->count, bytes, shares.bytes);
	spread_share(parts->weights, parts->count, packets, shares.packets);
	spread_share(parts->weights, parts->count, 1, shares.flows);
	for (uint32_t i = 0; i < parts->count; i++)
	{
		if (shares.bytes[i] != 0 || shares.packets[i] != 0 || shares.flows[i] != 0)
			aggregate_add_later(&account->work->queue, parts->sums[i], key, shares.bytes[i],
								shares.packets[i], shares.flows[i]);
	}
	if (parts->late)
		account_late(account, shares.bytes[parts->count - 1], sides);
}

/* The same for two, where each gets something. */
static inline bool
account_add_two(Account *account, const AggregateHashed *key, const IntervalParts *parts,
				uint64_t bytes, uint64_t packets)
{
	AggregateQueue *queue = &account->work->queue;
	uint64_t	first = spread_first_of_two(parts->weights, bytes);
	uint64_t	first_packets = spread_first_of_two(parts->weights, packets);
	bool		is_second = parts->weights[1] > parts->weights[0];

	if (first == 0 || first == bytes)
		return false;
	aggregate_add_later(queue, parts->sums[0], key, first, first_packets, !is_second);
	aggregate_add_later(queue, parts->sums[1], key, bytes - first, packets - first_packets,
						is_second);
	return true;
}

/* "sides": how many of the path are counted. */
static inline void
account_add(Account *account, const AggregatePath *path, const Flow *flow,
			const IntervalParts *parts, uint64_t bytes, uint32_t rate, uint32_t sides)
{
	AggregateHashed key = aggregate_hash(path);
	uint64_t	packets = FLOW_HAS(flow, FLOW_PACKETS) ? account_times(flow->packets, rate) : 0;

	if (parts->count == 1 && !parts->late)
		aggregate_add_later(&account->work->queue, parts->sums[0], &key, bytes, packets, 1);
	else if (parts->count != 2 || parts->late ||
			 !account_add_two(account, &key, parts, bytes, packets))
		account_add_parts(account, &key, parts, bytes, packets, sides);
	for (uint32_t i = 0; i < sides && parts->future; i++)
		account->future_bytes = aggregate_sum(account->future_bytes, bytes);
}

/*
 * A router that watches its interfaces at ingress and at egress reports each
 * packet twice; "count" says which of the two reports is taken.
 */
static bool
account_counts(const Interface *interface, const Flow *flow)
{
	if (account_counts_all(interface) || !FLOW_HAS(flow, FLOW_DIRECTION))
		return true;
	return (flow->direction == 0) == (interface->count == INTERFACE_COUNT_INGRESS);
}

/* The local side's AS is ours, where it would be 0. */
static AggregatePath
account_side_path(const Account *account, const AccountPair *pair, const AccountEnds *ends,
				  const Flow *flow, bool ingress)
{
	AggregatePath path = {
		.ingress = ingress ? pair->ingress : AGGREGATE_NO_INTERFACE,
		.egress = ingress ? AGGREGATE_NO_INTERFACE : pair->egress,
		.src_as = ends->src_as,
		.dst_as = ends->dst_as,
		.family = flow->family
	};
	uint32_t   *local_as = ingress ? &path.dst_as : &path.src_as;

	if (*local_as == 0)
		*local_as = account->own_as;
	return path;
}

/* Each side by itself; "rates" and "bytes" by ingress. */
static void
account_add_sides(Account *account, const AccountPair *pair, const AccountEnds *ends,
				  const Flow *flow, const IntervalParts *parts, const uint32_t rates[2],
				  const uint64_t bytes[2])
{
	bool		skipped = false;
	bool		unknown = false;

	for (int i = 0; i < 2; i++)
	{
		bool		ingress = i == 0;
		AggregatePath path;

		if (pair->sides[ingress] == NULL)
			continue;
		if (!account_counts(pair->sides[ingress], flow))
		{
			skipped = true;
			continue;
		}
		path = account_side_path(account, pair, ends, flow, ingress);
		account_add(account, &path, flow, parts, bytes[ingress], rates[ingress], 1);
		unknown |= rates[ingress] == 0;
	}
	account->unknown_sampling += unknown;
	account->other_direction += skipped;
}

/* Both sides at once, where nothing tells them apart. */
static inline void
account_add_path(Account *account, const AccountPair *pair, const AccountEnds *ends,
				 const Flow *flow, const IntervalParts *parts, uint32_t rate, uint64_t bytes)
{
	AggregatePath path = {
		.ingress = pair->ingress,
		.egress = pair->egress,
		.src_as = ends->src_as,
		.dst_as = ends->dst_as,
		.family = flow->family
	};

	account_add(account, &path, flow, parts, bytes, rate,
				(pair->sides[0] != NULL) + (pair->sides[1] != NULL));
	account->unknown_sampling += rate == 0;
}

/* What the record says of one side, in "pair"; returns its bytes there. */
static inline uint64_t
account_note(AccountPair *pair, const Flow *flow, bool ingress, uint32_t rate)
{
	uint64_t   *noted = &pair->bytes[account_direction(flow)][ingress];
	uint64_t	bytes = account_times(flow->bytes, rate);

	*noted = aggregate_sum(*noted, bytes);
	return bytes;
}

void
account_flow(Account *account, const Flow *flow, const IntervalParts *parts)
{
	uint32_t	told = account_told(flow);
	AccountPair *pair;
	AccountEnds ends;
	uint32_t	in_rate;
	uint32_t	out_rate;
	uint64_t	in_bytes;
	uint64_t	out_bytes;

	if (!FLOW_HAS(flow, FLOW_BYTES))
	{
		account->no_octets++;
		return;
	}
	pair = account_pair(account, flow);
	in_rate = pair->rates[true] != 0 ? pair->rates[true] : told;
	out_rate = pair->rates[false] != 0 ? pair->rates[false] : told;
	in_bytes = account_note(pair, flow, true, in_rate);
	out_bytes = account_note(pair, flow, false, out_rate);
	pair->records++;
	pair->received = flow->received;
	if (!pair->configured)
	{
		account->unmatched++;
		return;
	}
	ends = account_ends(account, flow);
	if (!pair->one_rate || !pair->counts_all ||
		(account->own_as != 0 && (ends.src_as == 0 || ends.dst_as == 0)))
		account_add_sides(account, pair, &ends, flow, parts,
						  (const uint32_t[2]) {out_rate, in_rate},
						  (const uint64_t[2]) {out_bytes, in_bytes});
	else if (pair->sides[true] != NULL)
		account_add_path(account, pair, &ends, flow, parts, in_rate, in_bytes);
	else
		account_add_path(account, pair, &ends, flow, parts, out_rate, out_bytes);
}

/*
 * The same for most records.
 */

#define ACCOUNT_INTERFACES	(FLOW_BIT(FLOW_IN_IF) | FLOW_BIT(FLOW_OUT_IF))
#define ACCOUNT_FIELDS \
	(ACCOUNT_INTERFACES | FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) | \
	 FLOW_BIT(FLOW_SRC_AS) | FLOW_BIT(FLOW_DST_AS))

/* Of a record with numbers below it, no product with a rate is as much as AGGREGATE_MAX_SUM. */
#define ACCOUNT_SMALL		(UINT64_C(1) << 31)

/* account_note() of both sides; "bytes" multiplied by the pair's one rate. */
static inline void
account_note_usual(AccountPair *pair, const Flow *flow, uint64_t bytes)
{
	uint32_t	direction = account_direction(flow);
	uint64_t   *noted = pair->bytes[direction];

	pair->records++;
	pair->received = flow->received;
	if (pair->same_rate)
		pair->both[direction] = aggregate_sum(pair->both[direction], bytes);
	else
	{
		for (int side = 0; side < 2; side++)
			noted[side] = aggregate_sum(noted[side],
										account_times(flow->bytes, pair->rates[side] != 0 ?
													  pair->rates[side] : account_told(flow)));
	}
}

/* Adds both sides at once; false where a part of the record would get nothing. */
static inline bool
account_add_recent(Account *account, const IntervalsRecent *recent, IntervalsShares shares,
				   const AggregateHashed *key, uint64_t bytes, uint64_t packets)
{
	AggregateQueue *queue = &account->work->queue;
	const uint64_t weights[2] = {shares.newest, shares.before};
	bool		is_before = shares.before > shares.newest;
	uint64_t	first;
	uint64_t	first_packets;

	if (shares.before == 0)
	{
		aggregate_add_later(queue, recent->newest, key, bytes, packets, 1);
		return true;
	}
	if (shares.newest == 0)
	{
		aggregate_add_later(queue, recent->before, key, bytes, packets, 1);
		return true;
	}
	first = spread_first_of_two(weights, bytes);
	first_packets = spread_first_of_two(weights, packets);
	if (first == 0 || first == bytes)
		return false;
	aggregate_add_later(queue, recent->newest, key, first, first_packets, !is_before);
	aggregate_add_later(queue, recent->before, key, bytes - first, packets - first_packets,
						is_before);
	return true;
}

/* What all records of a call share. */
typedef struct AccountRun
{
	IntervalsRecent recent;
	uint32_t	fields;			/* of the usual ones, and those that would make them others */
	bool		has_prefixes;
	bool		has_own_as;
} AccountRun;

/* False, and nothing done, where it takes account_flow(). */
static inline bool
account_flow_usual(Account *account, const AccountRun *run, const Flow *flow)
{
	IntervalsShares shares = intervals_lay_recent(&run->recent, flow);
	AccountEnds ends = {flow->src_as, flow->dst_as};
	AccountPair *pair;
	AggregateHashed key;
	uint32_t	told = 0;
	uint64_t	rate;

	if ((flow->present & run->fields) != ACCOUNT_FIELDS ||
		(flow->bytes | flow->packets) >= ACCOUNT_SMALL || (shares.newest | shares.before) == 0)
		return false;
	if (run->has_prefixes)
		ends = account_ends(account, flow);
	pair = account_pair_of(account, (uint64_t) flow->in_if << 32 | flow->out_if,
						   (uint64_t) ACCOUNT_INTERFACES << 32);
	if (!pair->plain || (run->has_own_as && (ends.src_as == 0 || ends.dst_as == 0)))
		return false;

	rate = pair->rate;
	if (rate == 0)
	{
		told = account_told(flow);
		rate = told != 0 ? told : 1;
	}
	key.asns = (uint64_t) ends.src_as << 32 | ends.dst_as;
	key.place = pair->place | (flow->family >> 1 & AGGREGATE_FAMILY);
	key.hash = hash_mix(key.asns, key.place);
	if (!account_add_recent(account, &run->recent, shares, &key, flow->bytes * rate,
							flow->packets * rate))
		return false;
	account_note_usual(pair, flow, flow->bytes * rate);
	account->unknown_sampling += (pair->rate | told) == 0;
	return true;
}

void
account_flows(Account *account, const Intervals *intervals, const Flow *flows, uint32_t count)
{
	const AccountRun run = {
		.recent = intervals_recent(intervals),
		.fields = account->work->fields | ACCOUNT_FIELDS,
		.has_prefixes = account->prefixes != NULL,
		.has_own_as = account->own_as != 0
	};

	for (uint32_t i = 0; i < count; i++)
	{
		IntervalParts parts;

		if (account_flow_usual(account, &run, &flows[i]))
			continue;
		intervals_lay(intervals, &flows[i], &parts);
		account_flow(account, &flows[i], &parts);
	}
}
