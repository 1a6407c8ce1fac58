/*
 * options.h
 *	  The command line.
 */
#ifndef GENERATOR_OPTIONS_H
#define GENERATOR_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "network.h"

typedef struct Options
{
	const char *host;
	const char *port;
	const char *sources[3];
	uint32_t	source_count;
	NetworkOptions network;
	double		rate;			/* records per second; 0: as fast as possible */
	double		bandwidth;		/* bit/s; 0: flows of natural size */
	bool		rhythm;
	uint64_t	records;		/* 0: no end */
	double		duration;		/* seconds; 0: no end */
	uint32_t	per_datagram;
	uint32_t	template_every;
	uint32_t	templates;		/* pairs, of each bench router */
	uint32_t	mtu;
	uint64_t	seed;
	const char *pcap;
	int64_t		from;			/* seconds of the Unix epoch */
	int64_t		to;
	uint32_t	step;
	const char *truth;
	bool		quiet;
} Options;

/* Ends the program itself on --help and on mistakes. */
extern void options_parse(Options *options, int argc, char **argv);

#endif							/* GENERATOR_OPTIONS_H */
