/*
 * sflow.h
 *	  sFlow version 5: sampled packets and counters of interfaces.
 */
#ifndef LASTFLUSS_SFLOW_H
#define LASTFLUSS_SFLOW_H

#include "message.h"

extern size_t sflow_decode(Message *message);

#endif							/* LASTFLUSS_SFLOW_H */
