/*
 * pcap.h
 *	  UDP datagrams from a capture file in memory.
 *
 * Classic pcap in both byte orders, microseconds and nanoseconds; Ethernet with
 * VLAN tags, Linux cooked v1 and v2, raw IP, BSD loopback.
 */
#ifndef LASTFLUSS_PCAP_H
#define LASTFLUSS_PCAP_H

#include "flow.h"
#include "packet.h"

typedef enum PcapResult
{
	PCAP_OK,
	PCAP_END,					/* no packet is left */
	PCAP_TRUNCATED,				/* the file ends within a packet */
	PCAP_NOT_A_CAPTURE,			/* unknown magic number */
	PCAP_IS_PCAPNG,				/* the newer format, which we do not read */
	PCAP_UNKNOWN_LINK			/* link type that we do not read */
} PcapResult;

typedef struct PcapReader
{
	Packet		rest;			/* what is left of the file */
	bool		swapped;		/* little-endian file */
	bool		nanoseconds;
	uint32_t	link_type;
	uint64_t	packets;		/* seen so far */
	uint64_t	skipped;		/* no UDP, a fragment, or cut off by the snap length */
} PcapReader;

typedef struct PcapDatagram
{
	int64_t		time;			/* microseconds since 1970 */
	FlowAddress source;
	uint16_t	source_port;
	uint16_t	destination_port;
	const uint8_t *data;		/* the UDP payload, within the file's memory */
	size_t		length;
} PcapDatagram;

/* Reads the file's header: PCAP_OK or why not. */
extern PcapResult pcap_open(PcapReader *reader, const uint8_t *data, size_t length);

/* The next UDP datagram: PCAP_OK, PCAP_END or PCAP_TRUNCATED. */
extern PcapResult pcap_next(PcapReader *reader, PcapDatagram *datagram);

#endif							/* LASTFLUSS_PCAP_H */
