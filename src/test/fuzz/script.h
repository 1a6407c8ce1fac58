/*
 * script.h
 *	  What an input of harness_datagrams() says: datagrams, whom they come from,
 *	  and when.
 *
 * An octet of settings; then for each datagram an octet that tells how it
 * arrives, its length in two octets, and its content.  Any octets are a script:
 * the last datagram has what there is.
 */
#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H

#include "packet.h"

/* Settings. */
#define SCRIPT_AS_SOURCE	0x03	/* AccountAsSource; 3 is 0 */
#define SCRIPT_OWN_AS		0x04
#define SCRIPT_NO_PREFIXES	0x08
#define SCRIPT_SMALL		0x10	/* room for next to nothing */

/* How a datagram arrives. */
#define SCRIPT_EXPORTER		0x03	/* who sends it; 2 and 3 are strangers */
#define SCRIPT_PORT			0x0c	/* from which of its ports */
#define SCRIPT_PORT_SHIFT	2
#define SCRIPT_TIME			0x30	/* how long after the one before */
#define SCRIPT_TIME_SHIFT	4
#define SCRIPT_CONTINUE		0x40	/* messages may follow one another in it */
#define SCRIPT_RESTART		0x80	/* the server restarts before it */

/* Of SCRIPT_TIME; the third is more than data waits for its template. */
#define SCRIPT_SOON			0
#define SCRIPT_LATER		1
#define SCRIPT_MUCH_LATER	2
#define SCRIPT_BACK			3

/* More datagrams than this are not looked at. */
#define SCRIPT_MAX_DATAGRAMS	64

typedef struct ScriptDatagram
{
	uint8_t		how;
	Packet		content;
} ScriptDatagram;

/* The next datagram of what is left of the script; false at the end. */
static inline bool
script_next(Packet *script, ScriptDatagram *datagram)
{
	uint16_t	length;

	if (!packet_u8(script, &datagram->how) || !packet_u16(script, &length))
		return false;
	if (length > packet_left(script))
		length = (uint16_t) packet_left(script);
	return packet_part(script, length, &datagram->content);
}

#endif							/* FUZZ_SCRIPT_H */
