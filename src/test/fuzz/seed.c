/*
 * seed.c
 *	  Makes scripts of capture files, and of files with the content of datagrams.
 *
 *   seed PREFIX FILE...		into PREFIX-1, PREFIX-2, ...
 */
#include <stdlib.h>

#include "pcap.h"
#include "write_script.h"

#define SEED_MAX_FILE	(16 * 1024 * 1024)

static size_t
seed_read(const char *name, uint8_t *data)
{
	FILE	   *file = fopen(name, "rb");
	size_t		length;

	if (file == NULL)
	{
		perror(name);
		exit(1);
	}
	length = fread(data, 1, SEED_MAX_FILE, file);
	fclose(file);
	return length;
}

static void
seed_capture(WriteScript *script, PcapReader *reader)
{
	PcapDatagram captured;

	while (pcap_next(reader, &captured) == PCAP_OK)
	{
		Datagram	datagram = {
			.data = captured.data,
			.length = captured.length,
			.source = captured.source,
			.port = captured.source_port,
			.known = true,
			.received = captured.time
		};

		write_script_add(script, &datagram, false);
	}
}

int
main(int argc, char **argv)
{
	uint8_t    *data = malloc(SEED_MAX_FILE);
	WriteScript script = {.prefix = argc > 1 ? argv[1] : NULL};

	if (argc < 3 || data == NULL)
	{
		fputs("usage: seed PREFIX FILE...\n", stderr);
		return 1;
	}
	for (int i = 2; i < argc; i++)
	{
		size_t		length = seed_read(argv[i], data);
		PcapReader	reader;

		if (pcap_open(&reader, data, length) == PCAP_OK)
			seed_capture(&script, &reader);
		else
			write_script_add(&script, &(Datagram) {.data = data,.length = length,.known = true},
							 true);
	}
	write_script_end(&script);
	free(data);
	return 0;
}
