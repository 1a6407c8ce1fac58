/*
 * netflow8.h
 *	  NetFlow version 8: flows that the router has aggregated, by scheme.
 */
#ifndef LASTFLUSS_NETFLOW8_H
#define LASTFLUSS_NETFLOW8_H

#include "message.h"

extern size_t netflow8_decode(Message *message);

#endif							/* LASTFLUSS_NETFLOW8_H */
