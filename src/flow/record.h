/*
 * record.h
 *	  From what a data record says to the flows that it stands for.
 */
#ifndef LASTFLUSS_RECORD_H
#define LASTFLUSS_RECORD_H

#include "message.h"
#include "sampling.h"
#include "steps.h"

/* Rates that records of the same message have asked for: most ask for the same. */
typedef struct RecordRates
{
	SamplerKey	key;			/* of the exporter; kind and id are those of "named" */
	bool		has_named;
	uint32_t	named;
} RecordRates;

/* For records of that exporter, domain and protocol; also to forget all rates. */
extern void record_rates_init(RecordRates *rates, const TemplateKey *key);

/* What the record itself says of sampling, element 34 aside. */
extern SamplingFields record_sampling_fields(const StepsRecord *record);

/*
 * Hands the record to the sink, with the sampling rate that is known for it, and
 * with what the start of a sampled packet tells; then its other direction, where
 * it has one with octets.
 */
extern void record_emit(Message *message, Exporter *exporter, RecordRates *rates,
						StepsRecord *record);

/* The same for records that were read into message_place(). */
extern void record_emit_columns(Message *message, Exporter *exporter, RecordRates *rates,
								const StepsColumns *columns);

#endif							/* LASTFLUSS_RECORD_H */
