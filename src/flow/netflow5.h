/*
 * netflow5.h
 *	  NetFlow versions 1, 5 and 7: a header and some records of fixed layout.
 */
#ifndef LASTFLUSS_NETFLOW5_H
#define LASTFLUSS_NETFLOW5_H

#include "message.h"

extern size_t netflow5_decode(Message *message);

#endif							/* LASTFLUSS_NETFLOW5_H */
