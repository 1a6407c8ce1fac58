/*
 * sflow.h
 *	  sFlow version 5 (sflow.org, July 2004) as a switch writes it: the header of
 *	  a datagram, and samples of single packets.
 */
#ifndef GENERATOR_SFLOW_H
#define GENERATOR_SFLOW_H

#include <stddef.h>
#include <stdint.h>

#include "network.h"

#define SFLOW_HEADER	28			/* octets, with an IPv4 agent */

extern void sflow_put_header(uint8_t *to, const uint8_t agent[4], uint32_t sub_agent,
							 uint32_t sequence, uint32_t uptime, uint32_t samples);

/* Octets of the flow's sample; the flow is one packet. */
extern size_t sflow_sample_length(const Flow *flow);

/* Returns the place behind it. */
extern uint8_t *sflow_put_sample(uint8_t *to, const Flow *flow, const Router *router,
								 uint32_t sequence);

#endif							/* GENERATOR_SFLOW_H */
