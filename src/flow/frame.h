/*
 * frame.h
 *	  Addresses, family, length and VLAN from the start of a sampled packet:
 *	  an Ethernet frame or an IP packet.
 */
#ifndef LASTFLUSS_FRAME_H
#define LASTFLUSS_FRAME_H

#include "flow.h"
#include "packet.h"

typedef struct Frame
{
	uint8_t		family;			/* 4, 6, or 0: no IP, or cut before the addresses' end */
	bool		has_vlan;
	uint16_t	vlan;			/* of the outermost tag with an ID */
	uint32_t	ip_length;		/* as the IP header tells; 0: no IP, or not told */
	FlowAddress source;			/* valid where family is not 0 */
	FlowAddress destination;
} Frame;

/* Both take what there is: a cut header gives a frame without what was cut. */
extern void frame_read_ethernet(Packet packet, Frame *frame);
extern void frame_read_ip(Packet packet, Frame *frame);

#endif							/* LASTFLUSS_FRAME_H */
