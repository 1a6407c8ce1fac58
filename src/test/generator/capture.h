/*
 * capture.h
 *	  Datagrams into a pcap file, as if they had been seen on the wire.
 */
#ifndef GENERATOR_CAPTURE_H
#define GENERATOR_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "exporter.h"

typedef struct Capture
{
	FILE	   *file;
	uint32_t	collector;		/* IPv4 address, host byte order */
	uint16_t	port;
	uint16_t	packet_id;
} Capture;

/* Each says on stderr why when it is false. */
extern bool capture_open(Capture *capture, const char *path,
						 const char *collector, const char *port);
extern bool capture_write(Capture *capture, const char *source, Datagram *datagram);
extern bool capture_close(Capture *capture);

#endif							/* GENERATOR_CAPTURE_H */
