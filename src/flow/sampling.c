/*
 * sampling.c
 *	  Sampling rates that exporters tell in options data: by sampler, by
 *	  interface, or for all that they export.
 *
 * All rates of an address are in one chain of the table, because "the only one"
 * is asked for as often as a certain one; the chain is bounded.
 */
#include "sampling.h"

#include "hash.h"

/*
 * A sampler that was not told again for a day after another one was, has been
 * configured away, and does not keep that other one from being the only one.
 */
#define SAMPLING_STALE	(INT64_C(86400) * 1000000)

/* population : size, to the nearest; 0 where that is no rate. */
static uint32_t
sampling_ratio(uint64_t population, uint64_t size)
{
	uint64_t	rate;

	if (size == 0 || population < size)
		return 0;
	rate = population / size;
	if (population % size >= size - population % size)
		rate++;
	return rate <= UINT32_MAX ? (uint32_t) rate : 0;
}

/* 1 / probability, to the nearest; written so that no NaN passes. */
static uint32_t
sampling_inverse(double probability)
{
	if (!(probability > 1.0 / UINT32_MAX && probability <= 1.0))
		return 0;
	return (uint32_t) (1.0 / probability + 0.5);
}

/*
 * Exporters that follow RFC 5477 send 305 with 306, or 309 with 310.  305 alone
 * is "1 in N" as 34 was, which it replaces in IANA's registry; but Cisco IOS XR
 * sends a 305 of 1 beside 309 and 310, so these come before it.
 */
uint32_t
sampling_rate(const SamplingFields *fields)
{
	uint32_t	rate = sampling_ratio(fields->interval, 1);

	if (rate == 0 && fields->has_space &&
		fields->packet_space <= UINT64_MAX - fields->packet_interval)
		rate = sampling_ratio(fields->packet_interval + fields->packet_space,
							  fields->packet_interval);
	if (rate == 0)
		rate = sampling_ratio(fields->population, fields->size);
	if (rate == 0)
		rate = sampling_inverse(fields->probability);
	if (rate == 0 && !fields->has_space)
		rate = sampling_ratio(fields->packet_interval, 1);
	return rate;
}

static uint32_t
sampling_hash(const SamplerKey *key)
{
	return hash_address(&key->address) >> 32;
}

static bool
sampling_same_address(const Sampler *sampler, const SamplerKey *key)
{
	return memcmp(&sampler->key.address, &key->address, sizeof(key->address)) == 0;
}

static bool
sampling_same_exporter(const Sampler *sampler, const SamplerKey *key)
{
	return sampling_same_address(sampler, key) && sampler->key.domain == key->domain &&
		sampler->key.protocol == key->protocol;
}

static bool
sampling_matches(const Sampler *sampler, const SamplerKey *key)
{
	return sampling_same_exporter(sampler, key) && sampler->key.kind == key->kind &&
		sampler->key.id == key->id;
}

/*
 * The sampler of that key; or the oldest of the address, where it has too many
 * to take another; or NULL.
 */
static Sampler *
sampling_replaced(Lru *samplers, const SamplerKey *key, int most)
{
	uint32_t	hash = sampling_hash(key);
	Sampler    *sampler = NULL;
	Sampler    *oldest = NULL;
	int			count = 0;

	while ((sampler = lru_find(samplers, hash, sampler)) != NULL)
	{
		if (sampling_matches(sampler, key))
			return sampler;
		if (!sampling_same_address(sampler, key))
			continue;
		if (oldest == NULL || sampler->last_seen <= oldest->last_seen)
			oldest = sampler;
		count++;
	}
	return count >= most ? oldest : NULL;
}

void
sampling_learn(Lru *samplers, const SamplerKey *key, bool known, uint32_t rate, int64_t now)
{
	LruClass	class = known ? LRU_KNOWN : LRU_STRANGER;
	Sampler    *sampler = sampling_replaced(samplers, key, known ? SAMPLING_MAX_OF_ADDRESS :
											SAMPLING_MAX_OF_STRANGER);

	if (sampler == NULL)
		sampler = lru_insert(samplers, sampling_hash(key), class, NULL, NULL);
	else
		lru_touch(samplers, sampler, class);
	sampler->key = *key;
	sampler->rate = rate;
	sampler->last_seen = now;
}

uint32_t
sampling_find(Lru *samplers, const SamplerKey *key)
{
	Sampler    *sampler = NULL;

	while ((sampler = lru_find(samplers, sampling_hash(key), sampler)) != NULL)
		if (sampling_matches(sampler, key))
			return sampler->rate;
	return 0;
}

/* When the address has told a rate last. */
static int64_t
sampling_newest(Lru *samplers, const SamplerKey *key)
{
	Sampler    *sampler = NULL;
	int64_t		newest = INT64_MIN;

	while ((sampler = lru_find(samplers, sampling_hash(key), sampler)) != NULL)
		if (sampling_same_address(sampler, key) && sampler->last_seen > newest)
			newest = sampler->last_seen;
	return newest;
}

/* What is known of a rate that all should share. */
typedef struct SamplingOnly
{
	uint32_t	rate;			/* 0: none yet */
	bool		differ;
} SamplingOnly;

static void
sampling_add(SamplingOnly *only, uint32_t rate)
{
	if (only->rate == 0)
		only->rate = rate;
	else if (only->rate != rate)
		only->differ = true;
}

SamplingOfExporter
sampling_of_exporter(Lru *samplers, const SamplerKey *key)
{
	SamplingOfExporter of_exporter = {0};
	SamplingOnly domain = {0};
	SamplingOnly address = {0};
	int64_t		newest = sampling_newest(samplers, key);
	Sampler    *sampler = NULL;

	while ((sampler = lru_find(samplers, sampling_hash(key), sampler)) != NULL)
	{
		/* An address that speaks two protocols is two exporters, behind a NAT say. */
		if (!sampling_same_address(sampler, key) ||
			sampler->key.protocol != key->protocol ||
			sampler->last_seen < newest - SAMPLING_STALE)
			continue;
		sampling_add(&address, sampler->rate);
		if (!sampling_same_exporter(sampler, key))
			continue;
		sampling_add(&domain, sampler->rate);
		if (sampler->key.kind == SAMPLER_OF_EXPORTER)
			of_exporter.rate = sampler->rate;
		of_exporter.by_interface |= sampler->key.kind == SAMPLER_OF_INTERFACE;
	}
	if (of_exporter.rate == 0 && domain.rate != 0)
		of_exporter.rate = domain.differ ? 0 : domain.rate;
	else if (of_exporter.rate == 0)
		of_exporter.rate = address.differ ? 0 : address.rate;
	return of_exporter;
}
