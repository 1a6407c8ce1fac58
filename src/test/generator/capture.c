/*
 * capture.c
 *	  The classic pcap file format, raw IPv4 packets.
 *
 * Headers are in the machine's own byte order, as the format has it.
 */
#include "capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PCAP_MICROSECONDS	0xa1b2c3d4U
#define LINKTYPE_RAW		101

#define IP_HEADER			20
#define UDP_HEADER			8
#define SOURCE_PORT			50101

static bool
write_failed(void)
{
	fprintf(stderr, "generator: cannot write the capture: %s\n", strerror(errno));
	return false;
}

static bool
find_collector(Capture *capture, const char *collector, const char *port)
{
	struct in_addr address;
	char	   *end;
	long		number = strtol(port, &end, 10);

	if (inet_pton(AF_INET, collector, &address) != 1)
	{
		fprintf(stderr, "generator: a capture needs an IPv4 address as --host\n");
		return false;
	}
	if (*end != '\0' || number < 1 || number > 65535)
	{
		fprintf(stderr, "generator: port \"%s\" is not a number from 1 to 65535\n", port);
		return false;
	}
	capture->collector = ntohl(address.s_addr);
	capture->port = (uint16_t) number;
	return true;
}

bool
capture_open(Capture *capture, const char *path, const char *collector,
			 const char *port)
{
	const struct
	{
		uint32_t	magic;
		uint16_t	major,
					minor;
		uint32_t	zone,
					accuracy,
					length,
					link;
	}			header = {PCAP_MICROSECONDS, 2, 4, 0, 0, 65535, LINKTYPE_RAW};

	if (!find_collector(capture, collector, port))
		return false;
	capture->file = fopen(path, "wb");
	if (capture->file == NULL || fwrite(&header, sizeof(header), 1, capture->file) != 1)
		return write_failed();
	return true;
}

static void
put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t) (value >> 8);
	to[1] = (uint8_t) value;
}

static void
put32(uint8_t *to, uint32_t value)
{
	put16(to, value >> 16);
	put16(to + 2, value);
}

/* The Internet checksum's sum, not yet folded (RFC 1071). */
static uint32_t
add_words(uint32_t sum, const uint8_t *octets, size_t length)
{
	for (size_t i = 0; i + 1 < length; i += 2)
		sum += (uint32_t) octets[i] << 8 | octets[i + 1];
	if (length % 2 != 0)
		sum += (uint32_t) octets[length - 1] << 8;
	return sum;
}

static uint16_t
fold(uint32_t sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~sum;
}

static void
fill_headers(Capture *capture, uint8_t *packet, uint32_t source, const Datagram *datagram)
{
	uint8_t    *udp = packet + IP_HEADER;
	uint32_t	length = (uint32_t) (UDP_HEADER + datagram->length);
	uint16_t	checksum;

	memset(packet, 0, IP_HEADER + UDP_HEADER);
	packet[0] = 0x45;
	put16(packet + 2, IP_HEADER + length);
	put16(packet + 4, capture->packet_id++);
	packet[8] = 64;
	packet[9] = 17;
	put32(packet + 12, source);
	put32(packet + 16, capture->collector);
	put16(packet + 10, fold(add_words(0, packet, IP_HEADER)));

	put16(udp, SOURCE_PORT);
	put16(udp + 2, capture->port);
	put16(udp + 4, length);
	/* Over a pseudo header: addresses, protocol, length (RFC 768). */
	checksum = fold(add_words(add_words(17 + length, packet + 12, 8), udp, UDP_HEADER) +
					add_words(0, datagram->data, datagram->length));
	put16(udp + 6, checksum == 0 ? 0xffff : checksum);
}

bool
capture_write(Capture *capture, const char *source, Datagram *datagram)
{
	uint8_t		headers[IP_HEADER + UDP_HEADER];
	uint32_t	length = (uint32_t) (sizeof(headers) + datagram->length);
	uint32_t	record[4] = {
		(uint32_t) (datagram->time / 1000000), (uint32_t) (datagram->time % 1000000),
		length, length
	};
	struct in_addr address;

	if (inet_pton(AF_INET, source, &address) != 1)
	{
		fprintf(stderr, "generator: a capture needs an IPv4 address as --source\n");
		return false;
	}
	fill_headers(capture, headers, ntohl(address.s_addr), datagram);
	if (fwrite(record, sizeof(record), 1, capture->file) != 1 ||
		fwrite(headers, sizeof(headers), 1, capture->file) != 1 ||
		fwrite(datagram->data, datagram->length, 1, capture->file) != 1)
		return write_failed();
	datagram->sent = true;
	return true;
}

bool
capture_close(Capture *capture)
{
	if (fclose(capture->file) != 0)
		return write_failed();
	return true;
}
