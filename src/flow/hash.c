/*
 * hash.c
 *	  The key of the hashes.
 */
#include "hash.h"

/* Until there is a secret one, and where nobody is to be kept from knowing it. */
HashKey		hash_key = {{UINT64_C(0x9E3779B97F4A7C15), UINT64_C(0xD6E8FEB86659FD93)}};
