/*
 * put.h
 *	  Octets in network order.  Each writer returns the place behind what it wrote.
 */
#ifndef GENERATOR_PUT_H
#define GENERATOR_PUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint8_t *
put8(uint8_t *to, uint8_t value)
{
	*to = value;
	return to + 1;
}

static inline uint8_t *
put16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t) (value >> 8);
	to[1] = (uint8_t) value;
	return to + 2;
}

static inline uint8_t *
put32(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t) (value >> 24);
	to[1] = (uint8_t) (value >> 16);
	to[2] = (uint8_t) (value >> 8);
	to[3] = (uint8_t) value;
	return to + 4;
}

static inline uint8_t *
put64(uint8_t *to, uint64_t value)
{
	to = put32(to, (uint32_t) (value >> 32));
	return put32(to, (uint32_t) value);
}

static inline uint8_t *
put_octets(uint8_t *to, const void *octets, size_t length)
{
	memcpy(to, octets, length);
	return to + length;
}

#endif							/* GENERATOR_PUT_H */
