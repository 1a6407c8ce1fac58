/*
 * health.c
 *	  How complete an interval is: what arrived in its time and what is missing,
 *	  by exporter.
 */
#include "health.h"

#include <string.h>

#include "exporter.h"

#define HEALTH_MEMBERS	(sizeof(HealthCounts) / sizeof(int64_t))

_Static_assert(sizeof(HealthCounts) % sizeof(int64_t) == 0, "nothing but int64_t");

HealthCounts
health_difference(const HealthCounts *a, const HealthCounts *b)
{
	uint64_t	x[HEALTH_MEMBERS];
	uint64_t	y[HEALTH_MEMBERS];
	HealthCounts difference;

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	for (size_t i = 0; i < HEALTH_MEMBERS; i++)
		x[i] -= y[i];
	memcpy(&difference, x, sizeof(x));
	return difference;
}

void
health_reset(HealthTable *table)
{
	table->noted = false;
	table->count = 0;
}

/* All that it has counted. */
static HealthCounts
health_of(const Exporter *exporter)
{
	HealthCounts counts = {
		.datagrams = (int64_t) exporter->datagrams,
		.records = (int64_t) exporter->records,
		.lost = (int64_t) exporter->lost,
		.unmatched = (int64_t) exporter->unmatched,
		.unknown_sampling = (int64_t) exporter->unknown_sampling,
		.late_bytes = (int64_t) exporter->late_bytes,
		.future_bytes = (int64_t) exporter->future_bytes
	};

	for (int i = 0; i < DECODE_ERRORS; i++)
		counts.undecoded += (int64_t) exporter->errors[i];
	return counts;
}

/* What it has counted since the last time. */
static HealthCounts
health_news(Exporter *exporter)
{
	HealthCounts all = health_of(exporter);
	HealthCounts news = health_difference(&all, &exporter->noted);

	exporter->noted = all;
	return news;
}

/* Undecoded and lost are known by exporter only. */
static void
health_note_exporter(HealthTable *table, Exporter *exporter, int64_t now)
{
	static const HealthCounts nothing = {0};
	HealthCounts news = health_news(exporter);
	HealthRow  *row = &table->rows[0];

	if (exporter->last_seen < now - HEALTH_SILENCE &&
		memcmp(&news, &nothing, sizeof(news)) == 0)
		return;
	if (!exporter->known || exporter->protocol == 0 || table->count > HEALTH_EXPORTERS)
	{
		row->counts.undecoded += news.undecoded;
		row->counts.lost += news.lost;
		return;
	}
	row->counts = health_difference(&row->counts, &news);
	row->counts.undecoded += news.undecoded;
	row->counts.lost += news.lost;
	row = &table->rows[table->count++];
	*row = (HealthRow) {
		.host = exporter->address,
		.domain = exporter->domain,
		.protocol = exporter->protocol,
		.counts = news
	};
}

void
health_note(HealthTable *table, Lru *exporters, const HealthCounts *total, int64_t now)
{
	uint32_t	position = 0;
	Exporter   *exporter;

	table->noted = true;
	table->count = 1;
	table->rows[0] = (HealthRow) {.counts = *total};
	while ((exporter = lru_next(exporters, &position)) != NULL)
		health_note_exporter(table, exporter, now);
}
