/*
 * harness_capture.c
 *	  A capture file, to its end.
 */
#include "harness.h"

#include <string.h>

#include "check.h"
#include "pcap.h"

/* All of it lies within the file. */
static void
harness_check_datagram(const PcapDatagram *datagram, const uint8_t *data, size_t length)
{
	volatile uint8_t sum = 0;

	CHECK(datagram->data >= data && datagram->data <= data + length);
	CHECK(datagram->length <= (size_t) (data + length - datagram->data));
	CHECK(datagram->length <= UINT16_MAX);
	CHECK(datagram->time >= 0);
	for (size_t i = 0; i < datagram->length; i++)
		sum = (uint8_t) (sum + datagram->data[i]);
}

static void
harness_read(PcapReader *reader, const uint8_t *data, size_t length)
{
	PcapDatagram datagram;
	PcapResult	result;
	uint64_t	datagrams = 0;

	while ((result = pcap_next(reader, &datagram)) == PCAP_OK)
	{
		harness_check_datagram(&datagram, data, length);
		datagrams++;
		CHECK(reader->packets == datagrams + reader->skipped);
	}
	CHECK(result == PCAP_END || result == PCAP_TRUNCATED);
	CHECK(reader->packets == datagrams + reader->skipped);
	CHECK((result == PCAP_END) == (packet_left(&reader->rest) == 0));
}

void
harness_capture(const uint8_t *data, size_t length)
{
	uint8_t    *copy = malloc(length > 0 ? length : 1);
	PcapReader	reader;

	CHECK(copy != NULL);
	if (length > 0)
		memcpy(copy, data, length);
	if (pcap_open(&reader, copy, length) == PCAP_OK)
		harness_read(&reader, copy, length);
	free(copy);
}
