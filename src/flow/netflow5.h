/*
 * netflow5.h
 *	  NetFlow version 5: a header and up to 30 records of fixed layout.
 */
#ifndef LASTFLUSS_NETFLOW5_H
#define LASTFLUSS_NETFLOW5_H

#include "message.h"

extern size_t netflow5_decode(Message *message);

#endif							/* LASTFLUSS_NETFLOW5_H */
