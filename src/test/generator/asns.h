/*
 * asns.h
 *	  The remote networks of the made-up traffic.
 */
#ifndef GENERATOR_ASNS_H
#define GENERATOR_ASNS_H

#include <stdint.h>

/* What a network mostly does decides which way its octets flow. */
typedef enum AsnKind
{
	ASN_CONTENT,				/* sends much, receives acknowledgements */
	ASN_HOSTING,				/* both ways */
	ASN_EYEBALL,				/* receives much */
	ASN_TRANSIT					/* little of its own, both ways */
} AsnKind;

/* The nearest way to it. */
typedef enum AsnReach
{
	REACH_TRANSIT,				/* only over transit */
	REACH_EXCHANGE,				/* peers at the exchange */
	REACH_PNI					/* the private peering */
} AsnReach;

typedef struct Asn
{
	uint32_t	asn;
	AsnKind		kind;
	AsnReach	reach;
	const char *name;
	const char *country;
} Asn;

/* Well-known networks, roughly by importance for a central European network. */
extern const Asn asns_known[];
extern const uint32_t asns_known_count;

/* Prints the list of names, "AS123 NAME, CC" a line. */
extern void asns_print(void);

#endif							/* GENERATOR_ASNS_H */
