/*
 * record.c
 *	  Writes what a unit test decodes as inputs of the fuzzers: linked with it and
 *	  with --wrap=decode_datagram,--wrap=pcap_open, it gets the calls first.
 *
 * In the directory that FUZZ_RECORD names there must be one for each kind of
 * input.  Each decoder gets its files; of tests that decode without end, the
 * start.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <stdlib.h>

#include "pcap.h"
#include "write_script.h"

#define RECORD_MAX_FILES	60
#define RECORD_MAX_LENGTH	3000	/* of the datagrams in one */
#define RECORD_PROGRAM		"record_test_"
#define RECORD_CHECKSUM		8	/* octets at an image's end */

extern PcapResult __real_pcap_open(PcapReader *reader, const uint8_t *data, size_t length);
extern PcapResult __wrap_pcap_open(PcapReader *reader, const uint8_t *data, size_t length);
extern size_t __real_decode_datagram(Decoder *decoder, const Datagram *datagram,
									 bool may_continue, const FlowSinks *sinks);
extern size_t __wrap_decode_datagram(Decoder *decoder, const Datagram *datagram,
									 bool may_continue, const FlowSinks *sinks);

static WriteScript record_script;
static char record_prefix[4096];

/* "DIRECTORY/datagrams/ipfix" for record_test_ipfix. */
static const char *
record_name(const char *kind)
{
	static char name[4096];
	const char *directory = getenv("FUZZ_RECORD");
	const char *program = program_invocation_short_name;

	if (strncmp(program, RECORD_PROGRAM, strlen(RECORD_PROGRAM)) == 0)
		program += strlen(RECORD_PROGRAM);
	snprintf(name, sizeof(name), "%s/%s/%s", directory != NULL ? directory : ".", kind, program);
	return name;
}

static void
record_file(const char *kind, int number, const uint8_t *data, size_t length)
{
	char		name[4200];
	FILE	   *file;

	snprintf(name, sizeof(name), "%s-%d", record_name(kind), number);
	file = fopen(name, "wb");
	if (file == NULL || fwrite(data, 1, length, file) != length || fclose(file) != 0)
	{
		perror(name);
		exit(1);
	}
}

static void
record_image(const Decoder *decoder)
{
	size_t		size = decoder_save(decoder, NULL, 0);
	uint8_t    *image = malloc(size);

	if (image != NULL && size <= WRITE_SCRIPT_LENGTH)
	{
		decoder_save(decoder, image, size);
		record_file("image", record_script.files, image, size - RECORD_CHECKSUM);
	}
	free(image);
}

static void
record_end(void)
{
	write_script_end(&record_script);
}

static void
record_begin(void)
{
	snprintf(record_prefix, sizeof(record_prefix), "%s", record_name("datagrams"));
	record_script.prefix = record_prefix;
	atexit(record_end);
}

size_t
__wrap_decode_datagram(Decoder *decoder, const Datagram *datagram, bool may_continue,
					   const FlowSinks *sinks)
{
	static bool is_full;
	size_t		consumed;

	if (record_script.prefix == NULL)
		record_begin();
	/* a decoder that has seen nothing is another one */
	if (decoder->datagrams == 0)
	{
		record_end();
		is_full = record_script.files >= RECORD_MAX_FILES;
	}
	is_full |= record_script.file != NULL &&
		(record_script.datagrams == WRITE_SCRIPT_DATAGRAMS ||
		 record_script.length + datagram->length > RECORD_MAX_LENGTH);
	if (!is_full)
		write_script_add(&record_script, datagram, may_continue);
	consumed = __real_decode_datagram(decoder, datagram, may_continue, sinks);
	if (!is_full)
		record_image(decoder);
	return consumed;
}

PcapResult
__wrap_pcap_open(PcapReader *reader, const uint8_t *data, size_t length)
{
	static int	files;

	if (files < RECORD_MAX_FILES && length <= WRITE_SCRIPT_LENGTH)
		record_file("capture", ++files, data, length);
	return __real_pcap_open(reader, data, length);
}
