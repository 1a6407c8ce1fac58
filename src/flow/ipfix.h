/*
 * ipfix.h
 *	  NetFlow version 9 (RFC 3954) and IPFIX (RFC 7011): one format with two
 *	  headers.
 */
#ifndef LASTFLUSS_IPFIX_H
#define LASTFLUSS_IPFIX_H

#include "message.h"

/* Decodes both: the version is in the header. */
extern size_t ipfix_decode(Message *message);

#endif							/* LASTFLUSS_IPFIX_H */
