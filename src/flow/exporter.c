/*
 * exporter.c
 *	  The entry of an exporter and observation domain, and its sequence numbers.
 */
#include "exporter.h"

#include "hash.h"

/* So far ahead is a loss, further is a restart. */
#define EXPORTER_MAX_AHEAD	(1 << 20)

/* So far behind is a late datagram, further is a restart. */
#define EXPORTER_MAX_BEHIND 1024

static uint32_t
exporter_hash(const FlowAddress *address, uint32_t domain, uint8_t protocol)
{
	return hash_mix(hash_address(address), (uint64_t) protocol << 32 | domain) >> 32;
}

Exporter *
exporter_find(Lru *exporters, const FlowAddress *address, uint32_t domain, uint8_t protocol)
{
	uint32_t	hash = exporter_hash(address, domain, protocol);
	Exporter   *exporter = NULL;

	while ((exporter = lru_find(exporters, hash, exporter)) != NULL)
		if (exporter->domain == domain && exporter->protocol == protocol &&
			memcmp(&exporter->address, address, sizeof(*address)) == 0)
			break;
	return exporter;
}

Exporter *
exporter_get(Lru *exporters, const FlowAddress *address, uint32_t domain,
			 uint8_t protocol, bool known)
{
	LruClass	class = known ? LRU_KNOWN : LRU_STRANGER;
	Exporter   *exporter = exporter_find(exporters, address, domain, protocol);

	if (exporter != NULL)
		lru_touch(exporters, exporter, class);
	else
	{
		exporter = lru_insert(exporters, exporter_hash(address, domain, protocol), class,
							  NULL, NULL);
		exporter->address = *address;
		exporter->domain = domain;
		exporter->protocol = protocol;
	}
	exporter->known = known;
	return exporter;
}

static void
exporter_gap_add(Exporter *exporter, uint32_t start, uint32_t length)
{
	exporter->gaps[exporter->next_gap] = (ExporterGap) {start, length};
	exporter->next_gap = (exporter->next_gap + 1) % EXPORTER_GAPS;
}

static void
exporter_restart(Exporter *exporter)
{
	memset(exporter->gaps, 0, sizeof(exporter->gaps));
}

/* A late datagram: it fills the gap that it lies in, if it lies in one. */
static void
exporter_late(Exporter *exporter, uint32_t sequence, uint32_t count)
{
	for (int i = 0; i < EXPORTER_GAPS; i++)
	{
		ExporterGap *gap = &exporter->gaps[i];
		uint32_t	before = sequence - gap->start;
		uint32_t	behind;

		if (before >= gap->length)
			continue;
		if (count > gap->length - before)
			count = gap->length - before;
		behind = gap->length - before - count;
		exporter->lost -= count < exporter->lost ? count : exporter->lost;
		gap->length = before;
		if (behind > 0)
			exporter_gap_add(exporter, sequence + count, behind);
		return;
	}
}

void
exporter_sequence(Exporter *exporter, uint32_t sequence, uint32_t count)
{
	/* Numbers wrap around; so does the difference. */
	uint32_t	ahead = sequence - exporter->next_sequence;
	uint32_t	behind = exporter->next_sequence - sequence;

	if (exporter->has_sequence && behind > 0 && behind <= EXPORTER_MAX_BEHIND)
	{
		exporter_late(exporter, sequence, count);
		return;
	}
	if (!exporter->has_sequence || ahead > EXPORTER_MAX_AHEAD)
		exporter_restart(exporter);
	else if (ahead > 0)
	{
		exporter->lost += ahead;
		exporter_gap_add(exporter, exporter->next_sequence, ahead);
	}
	exporter->has_sequence = true;
	exporter->next_sequence = sequence + count;
}

void
exporter_sequence_unknown(Exporter *exporter, uint32_t sequence)
{
	exporter_sequence(exporter, sequence, 0);
	exporter->has_sequence = false;
}

const char *
decode_error_name(DecodeError error)
{
	static const char *const names[DECODE_ERRORS] = {
		[DECODE_SHORT] = "short",
		[DECODE_BAD_LENGTH] = "bad_length",
		[DECODE_UNKNOWN_VERSION] = "unknown_version",
		[DECODE_NO_TEMPLATE] = "no_template",
		[DECODE_BAD_TEMPLATE] = "bad_template",
		[DECODE_ZERO_LENGTH] = "zero_length",
		[DECODE_TRAILING] = "trailing",
		[DECODE_UNSUPPORTED] = "unsupported",
		[DECODE_UNKNOWN_SAMPLER] = "unknown_sampler",
	};

	return (unsigned) error < DECODE_ERRORS ? names[error] : "unknown";
}
