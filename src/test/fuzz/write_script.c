/*
 * write_script.c
 *	  Writes datagrams as scripts (script.h), into files.
 */
#include "write_script.h"

#include <stdlib.h>

#include "script.h"

#define WRITE_SCRIPT_MUCH_LATER	(INT64_C(300) * 1000000)
#define WRITE_SCRIPT_LATER		INT64_C(1000000)

static void
write_script_open(WriteScript *script, const Datagram *datagram)
{
	char		name[4096];

	snprintf(name, sizeof(name), "%s-%d", script->prefix, ++script->files);
	script->file = fopen(name, "wb");
	if (script->file == NULL)
	{
		perror(name);
		exit(1);
	}
	putc(0, script->file);
	script->length = 1;
	script->datagrams = 0;
	script->first = datagram->source;
	script->received = datagram->received;
}

void
write_script_end(WriteScript *script)
{
	if (script->file != NULL && fclose(script->file) != 0)
	{
		perror(script->prefix);
		exit(1);
	}
	script->file = NULL;
}

static uint8_t
write_script_how(const WriteScript *script, const Datagram *datagram, bool may_continue)
{
	int64_t		passed = datagram->received - script->received;
	uint8_t		time = SCRIPT_SOON;
	uint8_t		exporter = datagram->known ? 0 : 2;

	if (memcmp(&script->first, &datagram->source, sizeof(script->first)) != 0)
		exporter++;
	if (passed > WRITE_SCRIPT_MUCH_LATER)
		time = SCRIPT_MUCH_LATER;
	else if (passed >= WRITE_SCRIPT_LATER)
		time = SCRIPT_LATER;
	else if (passed < 0)
		time = SCRIPT_BACK;
	return (uint8_t) (exporter | ((datagram->port << SCRIPT_PORT_SHIFT) & SCRIPT_PORT) |
					  time << SCRIPT_TIME_SHIFT | (may_continue ? SCRIPT_CONTINUE : 0));
}

void
write_script_add(WriteScript *script, const Datagram *datagram, bool may_continue)
{
	if (datagram->length > UINT16_MAX)
		return;
	if (script->file != NULL && (script->datagrams == WRITE_SCRIPT_DATAGRAMS ||
								 script->length + datagram->length > WRITE_SCRIPT_LENGTH))
		write_script_end(script);
	if (script->file == NULL)
		write_script_open(script, datagram);
	putc(write_script_how(script, datagram, may_continue), script->file);
	putc((int) (datagram->length >> 8), script->file);
	putc((int) (datagram->length & 0xff), script->file);
	fwrite(datagram->data, 1, datagram->length, script->file);
	script->length += 3 + datagram->length;
	script->datagrams++;
	script->received = datagram->received;
}
