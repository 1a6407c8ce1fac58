/*
 * test_sflow.c
 *	  sFlow version 5.
 */
#include "build_packet.h"

#define SUB_AGENT	42

static void
patch_u32(Buffer *buffer, size_t offset, uint32_t value)
{
	patch_u16(buffer, offset, (uint16_t) (value >> 16));
	patch_u16(buffer, offset + 2, (uint16_t) value);
}

/* 28 octets, agent 192.0.2.7 */
static void
put_header(Buffer *buffer, uint32_t sequence, uint32_t samples)
{
	put_u32(buffer, 5);
	put_u32(buffer, 1);
	put_u32(buffer, 0xc0000207);
	put_u32(buffer, SUB_AGENT);
	put_u32(buffer, sequence);
	put_u32(buffer, 600000);
	put_u32(buffer, samples);
}

/* Starts a sample or a record; gives its place for end_part(). */
static size_t
begin_part(Buffer *buffer, uint32_t format)
{
	put_u32(buffer, format);
	put_u32(buffer, 0);
	return buffer->length;
}

static void
end_part(Buffer *buffer, size_t start)
{
	patch_u32(buffer, start - 4, (uint32_t) (buffer->length - start));
}

/* A flow sample, one in "rate", without its records. */
static size_t
begin_flows(Buffer *buffer, uint32_t rate, uint32_t in, uint32_t out, uint32_t records)
{
	size_t		start = begin_part(buffer, 1);

	put_u32(buffer, 4711);
	put_u32(buffer, 0x00000017);
	put_u32(buffer, rate);
	put_u32(buffer, 1000000);
	put_u32(buffer, 3);
	put_u32(buffer, in);
	put_u32(buffer, out);
	put_u32(buffer, records);
	return start;
}

static size_t
begin_expanded_flows(Buffer *buffer, uint32_t rate, uint64_t in, uint64_t out,
					 uint32_t records)
{
	size_t		start = begin_part(buffer, 3);

	put_u32(buffer, 4711);
	put_u32(buffer, 0);
	put_u32(buffer, 23);
	put_u32(buffer, rate);
	put_u32(buffer, 1000000);
	put_u32(buffer, 3);
	put_u64(buffer, in);
	put_u64(buffer, out);
	put_u32(buffer, records);
	return start;
}

/* 198.51.100.1 -> 203.0.113.2, with VLAN 7 and 42 octets of header (2 of padding) */
static void
put_raw_header(Buffer *buffer, uint32_t frame_length)
{
	size_t		start = begin_part(buffer, 1);

	put_u32(buffer, 1);
	put_u32(buffer, frame_length);
	put_u32(buffer, 4);
	put_u32(buffer, 42);
	put_fill(buffer, 0x66, 12);
	put_u32(buffer, 0x81000007);
	put_u16(buffer, 0x0800);
	put_u32(buffer, 0x450005dc);
	put_fill(buffer, 0xff, 8);
	put_u32(buffer, 0xc6336401);
	put_u32(buffer, 0xcb007102);
	put_u32(buffer, 0xffffffff);
	put_u16(buffer, 0);			/* padding */
	end_part(buffer, start);
}

static void
put_sampled_ethernet(Buffer *buffer, uint32_t length)
{
	size_t		start = begin_part(buffer, 2);

	put_u32(buffer, length);
	put_fill(buffer, 0x66, 16);
	put_u32(buffer, 0x0800);
	end_part(buffer, start);
}

/* 192.0.2.1 -> 192.0.2.2 */
static void
put_sampled_ipv4(Buffer *buffer, uint32_t length)
{
	size_t		start = begin_part(buffer, 3);

	put_u32(buffer, length);
	put_u32(buffer, 6);
	put_u32(buffer, 0xc0000201);
	put_u32(buffer, 0xc0000202);
	put_fill(buffer, 0xff, 16);
	end_part(buffer, start);
}

static void
put_sampled_ipv6(Buffer *buffer, uint32_t length)
{
	size_t		start = begin_part(buffer, 4);

	put_u32(buffer, length);
	put_u32(buffer, 6);
	put_fill(buffer, 0x11, 16);
	put_fill(buffer, 0x22, 16);
	put_fill(buffer, 0xff, 16);
	end_part(buffer, start);
}

static void
put_switch(Buffer *buffer, uint32_t in, uint32_t out)
{
	size_t		start = begin_part(buffer, 1001);

	put_u32(buffer, in);
	put_u32(buffer, 5);
	put_u32(buffer, out);
	put_u32(buffer, 5);
	end_part(buffer, start);
}

/* Router's AS 64496, source AS "source"; the path is for the caller. */
static size_t
begin_gateway(Buffer *buffer, uint32_t address_type, uint32_t source)
{
	size_t		start = begin_part(buffer, 1003);

	put_u32(buffer, address_type);
	put_fill(buffer, 0x33, address_type == 0 ? 0 : address_type == 1 ? 4 : 16);
	put_u32(buffer, 64496);
	put_u32(buffer, source);
	put_u32(buffer, 64999);
	return start;
}

static void
put_segment(Buffer *buffer, uint32_t type, uint32_t length, uint32_t first)
{
	put_u32(buffer, type);
	put_u32(buffer, length);
	for (uint32_t i = 0; i < length; i++)
		put_u32(buffer, first + i);
}

static void
end_gateway(Buffer *buffer, size_t start)
{
	put_u32(buffer, 1);			/* a community */
	put_u32(buffer, 0xffffffff);
	put_u32(buffer, 100);		/* local preference */
	end_part(buffer, start);
}

static size_t
begin_counters(Buffer *buffer, uint32_t records)
{
	size_t		start = begin_part(buffer, 2);

	put_u32(buffer, 4711);
	put_u32(buffer, 23);
	put_u32(buffer, records);
	return start;
}

static void
put_interface_counters(Buffer *buffer, uint64_t octets, uint32_t broadcast)
{
	size_t		start = begin_part(buffer, 1);

	put_u32(buffer, 23);
	put_u32(buffer, 6);
	put_u64(buffer, UINT64_C(100000000000));
	put_u32(buffer, 1);
	put_u32(buffer, 3);
	put_u64(buffer, octets);
	put_u32(buffer, 4000000000);
	put_u32(buffer, 4000000001);
	put_u32(buffer, broadcast);
	put_fill(buffer, 0xff, 12);
	put_u64(buffer, octets + 1);
	put_u32(buffer, 10);
	put_u32(buffer, 20);
	put_u32(buffer, 30);
	put_fill(buffer, 0xff, 12);
	end_part(buffer, start);
}

/* A datagram of one flow sample with a raw header. */
static void
put_one_flow(Buffer *buffer, uint32_t sequence, uint32_t in, uint32_t out)
{
	size_t		sample;

	put_header(buffer, sequence, 1);
	sample = begin_flows(buffer, 512, in, out, 1);
	put_raw_header(buffer, 1518);
	end_part(buffer, sample);
}

static const uint8_t ipv4_source[16] = {[10] = 0xff, [11] = 0xff, 198, 51, 100, 1};
static const uint8_t ipv4_destination[16] = {[10] = 0xff, [11] = 0xff, 203, 0, 113, 2};

static void
test_flow_sample(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	const Flow *flow = &bench->caught.flows[0];
	Exporter   *exporter;

	(void) state;
	put_one_flow(&buffer, 77, 23, 0x3ffffffe);
	bench_decode(bench, &buffer);

	assert_int_equal(bench->consumed, buffer.length);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(flow->protocol, FLOW_SFLOW_V5);
	assert_int_equal(flow->domain, SUB_AGENT);
	assert_int_equal(flow->received, BENCH_RECEIVED);
	assert_int_equal(flow->exported, 0);
	assert_int_equal(flow->family, 4);
	assert_int_equal(flow->in_if, 23);
	assert_int_equal(flow->out_if, 0x3ffffffe);
	assert_int_equal(flow->bytes, 1518);
	assert_int_equal(flow->packets, 1);
	assert_int_equal(flow->sampling, 512);
	assert_int_equal(flow->sampling_origin, FLOW_SAMPLING_RECORD);
	assert_int_equal(flow->in_vlan, 7);
	assert_memory_equal(flow->src_addr.octets, ipv4_source, 16);
	assert_memory_equal(flow->dst_addr.octets, ipv4_destination, 16);
	assert_int_equal(flow->present,
					 FLOW_BIT(FLOW_BYTES) | FLOW_BIT(FLOW_PACKETS) | FLOW_BIT(FLOW_IN_IF) |
					 FLOW_BIT(FLOW_OUT_IF) | FLOW_BIT(FLOW_SRC_ADDR) |
					 FLOW_BIT(FLOW_DST_ADDR) | FLOW_BIT(FLOW_IN_VLAN) |
					 FLOW_BIT(FLOW_SAMPLING));

	exporter = bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT);
	assert_int_equal(exporter->datagrams, 1);
	assert_int_equal(exporter->records, 1);
	assert_int_equal(exporter->sampling, 512);
	assert_int_equal(exporter->sampling_origin, FLOW_SAMPLING_RECORD);
	assert_int_equal(exporter->next_sequence, 78);
	assert_int_equal(exporter->skew, 0);
	assert_int_equal(exporter->discarded, 0);
	assert_int_equal(exporter->multiple, 0);
	assert_int_equal(exporter_errors(exporter), 0);
	bench_free(bench);
}

/* The agent's address changes nothing but where the rest lies. */
static void
test_agent_addresses(void **state)
{
	static const size_t lengths[] = {0, 4, 16};
	Bench	   *bench = bench_make(8, 8);

	(void) state;
	for (uint32_t type = 0; type < COUNT(lengths); type++)
	{
		Buffer		buffer = {0};
		size_t		sample;

		put_u32(&buffer, 5);
		put_u32(&buffer, type);
		put_fill(&buffer, 0xaa, lengths[type]);
		put_u32(&buffer, SUB_AGENT);
		put_u32(&buffer, type);
		put_u32(&buffer, 600000);
		put_u32(&buffer, 1);
		sample = begin_flows(&buffer, 1, 1, 2, 1);
		put_raw_header(&buffer, 64);
		end_part(&buffer, sample);
		bench_decode(bench, &buffer);
		assert_int_equal(bench->caught.count, 1);
		assert_int_equal(bench->caught.flows[0].bytes, 64);
	}
	assert_int_equal(exporter_errors(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)), 0);
	assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)->lost, 0);
	bench_free(bench);
}

static void
test_unknown_header(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};

	(void) state;
	put_one_flow(&buffer, 0, 1, 2);
	patch_u32(&buffer, 4, 3);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->consumed, 0);
	assert_int_equal(bench->caught.count, 0);
	assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, 0)->errors[DECODE_UNSUPPORTED], 1);

	/* sFlow 2 and 4 */
	patch_u32(&buffer, 0, 2);
	bench_decode(bench, &buffer);
	patch_u32(&buffer, 0, 4);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->consumed, 0);
	assert_int_equal(bench_exporter(bench, 0, 0)->errors[DECODE_UNKNOWN_VERSION], 2);
	bench_free(bench);
}

/* What an interface's number means besides a number, in the compact form. */
static void
test_interfaces(void **state)
{
	static const struct
	{
		uint32_t	in;
		uint32_t	out;
		bool		has_in;
		bool		has_out;
		uint64_t	discarded;
		uint64_t	multiple;
	}			cases[] = {
		{0, 0, true, true, 0, 0},
		{0x3fffffff, 0x3fffffff, false, false, 0, 0},
		{5, 0x40000000, true, false, 1, 0},
		{5, 0x40000101, true, false, 1, 0},
		{5, 0x80000000, true, false, 0, 1},
		{5, 0x8000000a, true, false, 0, 1},
		{5, 0xc0000001, true, false, 0, 0},
		{0x40000005, 5, false, true, 0, 0},
		{0x80000005, 5, false, true, 0, 0},
	};

	(void) state;
	for (size_t i = 0; i < COUNT(cases); i++)
	{
		Bench	   *bench = bench_make(8, 8);
		Buffer		buffer = {0};
		Exporter   *exporter;

		put_one_flow(&buffer, 0, cases[i].in, cases[i].out);
		bench_decode(bench, &buffer);
		exporter = bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT);
		assert_int_equal(bench->caught.count, 1);
		assert_int_equal(FLOW_HAS(&bench->caught.flows[0], FLOW_IN_IF), cases[i].has_in);
		assert_int_equal(FLOW_HAS(&bench->caught.flows[0], FLOW_OUT_IF), cases[i].has_out);
		assert_int_equal(exporter->discarded, cases[i].discarded);
		assert_int_equal(exporter->multiple, cases[i].multiple);
		assert_int_equal(exporter_errors(exporter), 0);
		bench_free(bench);
	}
}

static void
test_expanded_interfaces(void **state)
{
	static const struct
	{
		uint64_t	in;
		uint64_t	out;
		bool		has_in;
		bool		has_out;
		uint64_t	discarded;
		uint64_t	multiple;
	}			cases[] = {
		{0x7fffffff, 0xfffffffe, true, true, 0, 0},
		{0x3fffffff, 0x3fffffff, false, false, 0, 0},
		{0xffffffff, 0xffffffff, false, false, 0, 0},
		{5, 0x0000000100000101, true, false, 1, 0},
		{5, 0x000000020000000a, true, false, 0, 1},
		{5, 0x0000000300000001, true, false, 0, 0},
		{0x0000000100000005, 0x40000005, false, true, 0, 0},
	};

	(void) state;
	for (size_t i = 0; i < COUNT(cases); i++)
	{
		Bench	   *bench = bench_make(8, 8);
		Buffer		buffer = {0};
		const Flow *flow = &bench->caught.flows[0];
		Exporter   *exporter;
		size_t		sample;

		put_header(&buffer, 0, 1);
		sample = begin_expanded_flows(&buffer, 16384, cases[i].in, cases[i].out, 1);
		put_raw_header(&buffer, 1522);
		end_part(&buffer, sample);
		bench_decode(bench, &buffer);
		exporter = bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT);
		assert_int_equal(bench->caught.count, 1);
		assert_int_equal(flow->bytes, 1522);
		assert_int_equal(flow->sampling, 16384);
		assert_int_equal(FLOW_HAS(flow, FLOW_IN_IF), cases[i].has_in);
		assert_int_equal(FLOW_HAS(flow, FLOW_OUT_IF), cases[i].has_out);
		assert_int_equal(flow->in_if, cases[i].has_in ? cases[i].in : 0);
		assert_int_equal(flow->out_if, cases[i].has_out ? cases[i].out : 0);
		assert_int_equal(exporter->discarded, cases[i].discarded);
		assert_int_equal(exporter->multiple, cases[i].multiple);
		assert_int_equal(exporter_errors(exporter), 0);
		bench_free(bench);
	}
}

/* A rate of 0 tells nothing; multiplying by it would be worse. */
static void
test_no_rate(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	size_t		sample;

	(void) state;
	put_header(&buffer, 0, 1);
	sample = begin_flows(&buffer, 0, 1, 2, 1);
	put_raw_header(&buffer, 64);
	end_part(&buffer, sample);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 1);
	assert_false(FLOW_HAS(&bench->caught.flows[0], FLOW_SAMPLING));
	assert_int_equal(bench->caught.flows[0].sampling_origin, FLOW_SAMPLING_UNKNOWN);
	bench_free(bench);
}

/* Raw headers that start with IP, or with what we cannot read. */
static void
test_header_protocols(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	const Flow *flow = &bench->caught.flows[0];
	size_t		sample;
	size_t		record;

	(void) state;
	put_header(&buffer, 0, 3);
	for (uint32_t protocol = 11; protocol <= 13; protocol++)
	{
		sample = begin_flows(&buffer, 1, 1, 2, 1);
		record = begin_part(&buffer, 1);
		put_u32(&buffer, protocol);
		put_u32(&buffer, 100 + protocol);
		put_u32(&buffer, 0);
		put_u32(&buffer, 40);
		put_u8(&buffer, protocol == 12 ? 0x60 : 0x45);
		put_fill(&buffer, 0x11, 7);
		put_fill(&buffer, 0x22, 16);
		put_fill(&buffer, 0x33, 16);
		end_part(&buffer, record);
		end_part(&buffer, sample);
	}
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 3);
	assert_int_equal(flow[0].bytes, 111);
	assert_int_equal(flow[0].family, 4);
	assert_memory_equal(flow[0].src_addr.octets, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x22\x22\x22\x22", 16);
	assert_false(FLOW_HAS(&flow[0], FLOW_IN_VLAN));
	assert_int_equal(flow[1].bytes, 112);
	assert_int_equal(flow[1].family, 6);
	assert_int_equal(flow[1].src_addr.octets[0], 0x22);
	assert_int_equal(flow[1].dst_addr.octets[15], 0x33);
	assert_int_equal(flow[2].bytes, 113);
	assert_int_equal(flow[2].family, 0);
	assert_false(FLOW_HAS(&flow[2], FLOW_SRC_ADDR));
	assert_false(FLOW_HAS(&flow[2], FLOW_DST_ADDR));
	bench_free(bench);
}

/* The raw header first, then Ethernet, then IP, wherever they stand. */
static void
test_length_order(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	const Flow *flow = &bench->caught.flows[0];
	size_t		sample;

	(void) state;
	put_header(&buffer, 0, 5);
	sample = begin_flows(&buffer, 1, 1, 2, 3);
	put_raw_header(&buffer, 1518);
	put_sampled_ethernet(&buffer, 1514);
	put_sampled_ipv4(&buffer, 1500);
	end_part(&buffer, sample);
	sample = begin_flows(&buffer, 1, 1, 2, 3);
	put_sampled_ipv6(&buffer, 1500);
	put_sampled_ethernet(&buffer, 1514);
	put_raw_header(&buffer, 1518);
	end_part(&buffer, sample);
	sample = begin_flows(&buffer, 1, 1, 2, 2);
	put_sampled_ethernet(&buffer, 1514);
	put_sampled_ipv4(&buffer, 1500);
	end_part(&buffer, sample);
	sample = begin_flows(&buffer, 1, 1, 2, 1);
	put_sampled_ipv6(&buffer, 1500);
	end_part(&buffer, sample);
	sample = begin_flows(&buffer, 1, 1, 2, 0);
	end_part(&buffer, sample);
	bench_decode(bench, &buffer);

	assert_int_equal(bench->caught.count, 5);
	for (int i = 0; i < 2; i++)
	{
		assert_int_equal(flow[i].bytes, 1518);
		assert_int_equal(flow[i].family, 4);
		assert_memory_equal(flow[i].src_addr.octets, ipv4_source, 16);
		assert_memory_equal(flow[i].dst_addr.octets, ipv4_destination, 16);
	}
	assert_int_equal(flow[2].bytes, 1514);
	assert_int_equal(flow[2].family, 4);
	assert_int_equal(flow[2].src_addr.octets[15], 1);
	assert_int_equal(flow[2].dst_addr.octets[15], 2);
	assert_int_equal(flow[3].bytes, 1500);
	assert_int_equal(flow[3].family, 6);
	assert_int_equal(flow[3].src_addr.octets[0], 0x11);
	assert_int_equal(flow[3].dst_addr.octets[0], 0x22);
	assert_false(FLOW_HAS(&flow[4], FLOW_BYTES));
	assert_true(FLOW_HAS(&flow[4], FLOW_PACKETS));
	assert_int_equal(flow[4].family, 0);
	assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)->no_octets, 1);
	bench_free(bench);
}

static void
test_switch(void **state)
{
	static const uint32_t no_vlan[] = {0, 4095, 0xffffffff};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	const Flow *flow = &bench->caught.flows[0];
	size_t		sample;

	(void) state;
	put_header(&buffer, 0, 2 + COUNT(no_vlan));
	for (int i = 0; i < 2; i++)
	{
		sample = begin_flows(&buffer, 1, 1, 2, 2);
		if (i == 1)
			put_raw_header(&buffer, 64);
		put_switch(&buffer, 100, 4094);
		if (i == 0)
			put_raw_header(&buffer, 64);
		end_part(&buffer, sample);
	}
	for (size_t i = 0; i < COUNT(no_vlan); i++)
	{
		sample = begin_flows(&buffer, 1, 1, 2, 2);
		put_switch(&buffer, no_vlan[i], no_vlan[i]);
		put_raw_header(&buffer, 64);
		end_part(&buffer, sample);
	}
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 2 + COUNT(no_vlan));
	for (int i = 0; i < 2; i++)
	{
		assert_int_equal(flow[i].in_vlan, 100);
		assert_true(FLOW_HAS(&flow[i], FLOW_OUT_VLAN));
		assert_int_equal(flow[i].out_vlan, 4094);
	}
	for (size_t i = 2; i < 2 + COUNT(no_vlan); i++)
	{
		assert_int_equal(flow[i].in_vlan, 7);
		assert_false(FLOW_HAS(&flow[i], FLOW_OUT_VLAN));
	}
	bench_free(bench);
}

/* Decodes a sample whose only record is the gateway data that "put" writes. */
static const Flow *
decode_gateway(Bench *bench, void (*put) (Buffer *buffer))
{
	Buffer		buffer = {0};
	size_t		sample;

	put_header(&buffer, 0, 1);
	sample = begin_flows(&buffer, 1, 1, 2, 1);
	put(&buffer);
	end_part(&buffer, sample);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.count, 1);
	return &bench->caught.flows[0];
}

static void
put_gateway_sequence(Buffer *buffer)
{
	size_t		start = begin_gateway(buffer, 1, 4200000001);

	put_u32(buffer, 1);
	put_segment(buffer, 2, 3, 4200000100);
	end_gateway(buffer, start);
}

static void
put_gateway_segments(Buffer *buffer)
{
	size_t		start = begin_gateway(buffer, 2, 0);

	put_u32(buffer, 4);
	put_segment(buffer, 2, 2, 100);
	put_segment(buffer, 1, 0, 0);
	put_segment(buffer, 1, 3, 200);
	put_segment(buffer, 2, 0, 0);
	end_gateway(buffer, start);
}

static void
put_gateway_local(Buffer *buffer)
{
	size_t		start = begin_gateway(buffer, 0, 64500);

	put_u32(buffer, 0);
	end_gateway(buffer, start);
}

static void
test_gateway(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	const Flow *flow;

	(void) state;
	flow = decode_gateway(bench, put_gateway_sequence);
	assert_true(FLOW_HAS(flow, FLOW_SRC_AS) && FLOW_HAS(flow, FLOW_DST_AS));
	assert_int_equal(flow->src_as, 4200000001);
	assert_int_equal(flow->dst_as, 4200000102);

	/* the last AS of the last segment that has any */
	flow = decode_gateway(bench, put_gateway_segments);
	assert_int_equal(flow->src_as, 0);
	assert_int_equal(flow->dst_as, 202);

	/* an empty path leads to the router's own AS */
	flow = decode_gateway(bench, put_gateway_local);
	assert_int_equal(flow->src_as, 64500);
	assert_int_equal(flow->dst_as, 64496);
	assert_int_equal(exporter_errors(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)), 0);
	bench_free(bench);
}

static void
put_gateway_long_segment(Buffer *buffer)
{
	size_t		start = begin_gateway(buffer, 1, 64500);

	put_u32(buffer, 1);
	put_u32(buffer, 2);
	put_u32(buffer, 0x40000001);	/* times 4 is 4 in 32 bits */
	put_u32(buffer, 100);
	end_part(buffer, start);
}

static void
put_gateway_many_segments(Buffer *buffer)
{
	size_t		start = begin_gateway(buffer, 1, 64500);

	put_u32(buffer, 0xffffffff);
	put_segment(buffer, 2, 1, 100);
	end_part(buffer, start);
}

static void
put_gateway_unknown_address(Buffer *buffer)
{
	size_t		start = begin_gateway(buffer, 3, 64500);

	put_u32(buffer, 0);
	end_gateway(buffer, start);
}

/* Lies about the path: no AS numbers, but the sample counts. */
static void
test_gateway_lies(void **state)
{
	void		(*const lies[]) (Buffer *buffer) = {
		put_gateway_long_segment, put_gateway_many_segments, put_gateway_unknown_address
	};
	Bench	   *bench = bench_make(8, 8);

	(void) state;
	for (size_t i = 0; i < COUNT(lies); i++)
	{
		const Flow *flow = decode_gateway(bench, lies[i]);

		assert_false(FLOW_HAS(flow, FLOW_SRC_AS));
		assert_false(FLOW_HAS(flow, FLOW_DST_AS));
		assert_int_equal(flow->in_if, 1);
		assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)->errors[DECODE_BAD_LENGTH],
						 i + 1);
	}
	bench_free(bench);
}

/* Samples and records that we do not read cost nothing but their octets. */
static void
test_skipped(void **state)
{
	static const uint32_t formats[] = {0, 5, 4095, 0x00001001, 0xffffffff};
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	size_t		sample;
	size_t		record;

	(void) state;
	put_header(&buffer, 0, COUNT(formats) + 1);
	for (size_t i = 0; i < COUNT(formats); i++)
	{
		sample = begin_part(&buffer, formats[i]);
		put_fill(&buffer, 0xff, i);
		end_part(&buffer, sample);
	}
	sample = begin_flows(&buffer, 1, 1, 2, 4);
	record = begin_part(&buffer, 1002);
	put_fill(&buffer, 0xff, 16);
	end_part(&buffer, record);
	put_raw_header(&buffer, 64);
	record = begin_part(&buffer, 0x00001001);
	end_part(&buffer, record);
	record = begin_part(&buffer, 0);
	put_fill(&buffer, 0xff, 7);
	end_part(&buffer, record);
	end_part(&buffer, sample);
	bench_decode(bench, &buffer);
	assert_int_equal(bench->consumed, buffer.length);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(bench->caught.flows[0].bytes, 64);
	assert_int_equal(bench->caught.counters_count, 0);
	assert_int_equal(exporter_errors(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)), 0);
	bench_free(bench);
}

static void
test_counters(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	const FlowCounters *counters = &bench->caught.counters[0];
	size_t		sample;
	size_t		record;

	(void) state;
	put_header(&buffer, 0, 2);
	sample = begin_counters(&buffer, 2);
	record = begin_part(&buffer, 2);
	put_fill(&buffer, 0xff, 52);
	end_part(&buffer, record);
	put_interface_counters(&buffer, UINT64_C(0x123456789abcdef0), 4000000002);
	end_part(&buffer, sample);

	/* expanded, and with broadcasts that nobody counts */
	sample = begin_part(&buffer, 4);
	put_u32(&buffer, 4711);
	put_u32(&buffer, 0);
	put_u32(&buffer, 23);
	put_u32(&buffer, 1);
	put_interface_counters(&buffer, 1000, UINT32_MAX);
	end_part(&buffer, sample);
	bench_decode(bench, &buffer);

	assert_int_equal(bench->consumed, buffer.length);
	assert_int_equal(bench->caught.count, 0);
	assert_int_equal(bench->caught.counters_count, 2);
	assert_int_equal(counters[0].id, 23);
	assert_int_equal(counters[0].speed, UINT64_C(100000000000));
	assert_int_equal(counters[0].in_octets, UINT64_C(0x123456789abcdef0));
	assert_int_equal(counters[0].out_octets, UINT64_C(0x123456789abcdef1));
	assert_true(counters[0].has_packets);
	assert_int_equal(counters[0].in_packets, UINT64_C(12000000003));
	assert_int_equal(counters[0].out_packets, 60);
	assert_int_equal(counters[1].in_octets, 1000);
	assert_int_equal(counters[1].out_octets, 1001);
	assert_false(counters[1].has_packets);
	assert_int_equal(exporter_errors(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)), 0);

	/* nobody wants them */
	bench->sinks.counters = NULL;
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.counters_count, 0);
	assert_int_equal(bench->consumed, buffer.length);
	bench_free(bench);
}

/* Largest values: not counted, not known. */
static void
test_unknown_counters(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	size_t		sample;
	size_t		start;

	(void) state;
	put_header(&buffer, 0, 3);
	for (int i = 0; i < 3; i++)
	{
		sample = begin_counters(&buffer, 1);
		start = buffer.length + 8;
		put_interface_counters(&buffer, 1000, 0);
		if (i == 0)
			memset(buffer.data + start + 8, 0xff, 8);
		else
			memset(buffer.data + start + (i == 1 ? 24 : 56), 0xff, 8);
		end_part(&buffer, sample);
	}
	bench_decode(bench, &buffer);
	assert_int_equal(bench->caught.counters_count, 1);
	assert_int_equal(bench->caught.counters[0].speed, 0);
	assert_int_equal(bench->caught.counters[0].in_octets, 1000);
	assert_int_equal(exporter_errors(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)), 0);
	bench_free(bench);
}

static void
test_sequence(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};

	(void) state;
	put_one_flow(&buffer, UINT32_MAX, 1, 2);
	bench_decode(bench, &buffer);
	patch_u32(&buffer, 16, 0);
	bench_decode(bench, &buffer);
	assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)->lost, 0);
	patch_u32(&buffer, 16, 10);
	bench_decode(bench, &buffer);
	assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)->lost, 9);

	/* another sub-agent counts for itself */
	patch_u32(&buffer, 12, 43);
	patch_u32(&buffer, 16, 5000);
	bench_decode(bench, &buffer);
	assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, 43)->lost, 0);
	assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)->lost, 9);
	bench_free(bench);
}

/* The number of samples ends the datagram. */
static void
test_trailing(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	size_t		length;

	(void) state;
	put_one_flow(&buffer, 0, 1, 2);
	length = buffer.length;
	put_one_flow(&buffer, 1, 3, 4);
	bench_decode_bytes(bench, buffer.data, buffer.length, true);
	assert_int_equal(bench->consumed, length);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(exporter_errors(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)), 0);

	bench_decode(bench, &buffer);
	assert_int_equal(bench->consumed, length);
	assert_int_equal(bench->caught.count, 1);
	assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)->errors[DECODE_TRAILING], 1);
	bench_free(bench);
}

/* Two samples: what is whole counts, the cut one does not. */
static void
test_every_truncation(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		buffer = {0};
	size_t		sample;
	size_t		first;

	(void) state;
	put_header(&buffer, 0, 2);
	sample = begin_flows(&buffer, 512, 1, 2, 2);
	put_raw_header(&buffer, 1518);
	put_gateway_segments(&buffer);
	end_part(&buffer, sample);
	first = buffer.length;
	sample = begin_counters(&buffer, 1);
	put_interface_counters(&buffer, 1000, 0);
	end_part(&buffer, sample);
	for (size_t length = 0; length < buffer.length; length++)
	{
		bench_decode_bytes(bench, buffer.data, length, false);
		assert_int_equal(bench->consumed, length < 28 ? 0 : length);
		assert_int_equal(bench->caught.count, length >= first);
		assert_int_equal(bench->caught.counters_count, 0);
	}
	assert_int_equal(exporter_errors(bench_exporter(bench, 0, 0)), 4);	/* no whole version */
	assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, 0)->errors[DECODE_SHORT], 24);
	assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)->errors[DECODE_BAD_LENGTH],
					 buffer.length - 28);
	bench_free(bench);
}

/*
 * The sample tells a length that ends inside of it, and the datagram goes on: a
 * sample cut in its fixed part is none, one cut in its records is one.
 */
static void
test_every_sample_length(void **state)
{
	Bench	   *bench = bench_make(8, 8);
	Buffer		whole = {0};
	size_t		sample;
	size_t		length;

	(void) state;
	put_header(&whole, 0, 2);
	sample = begin_flows(&whole, 512, 1, 2, 2);
	put_raw_header(&whole, 1518);
	put_gateway_sequence(&whole);
	length = whole.length - sample;
	for (size_t cut = 0; cut < length; cut++)
	{
		Buffer		buffer = whole;

		buffer.length = sample + cut;
		end_part(&buffer, sample);
		end_part(&buffer, begin_flows(&buffer, 99, 3, 4, 0));
		bench_decode(bench, &buffer);
		assert_int_equal(bench->consumed, buffer.length);
		assert_int_equal(bench->caught.count, cut >= 32 ? 2 : 1);
		assert_int_equal(bench->caught.flows[cut >= 32].sampling, 99);
		assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)->errors[DECODE_BAD_LENGTH],
						 cut + 1);
		if (cut >= 32)
		{
			/* the raw header's record has 8 + 16 + 44 octets */
			assert_int_equal(FLOW_HAS(&bench->caught.flows[0], FLOW_BYTES), cut >= 100);
			assert_false(FLOW_HAS(&bench->caught.flows[0], FLOW_SRC_AS));
		}
	}
	bench_free(bench);
}

/* The same of a record: it is wrong alone, and what follows is read. */
static void
test_every_record_length(void **state)
{
	static const struct
	{
		void		(*put) (Buffer *buffer, uint32_t length);
		size_t		needed;		/* octets without which it is wrong */
	}			cases[] = {
		{put_raw_header, 16 + 42},
		{put_sampled_ethernet, 4},
		{put_sampled_ipv4, 16},
		{put_sampled_ipv6, 40},
	};
	Bench	   *bench = bench_make(8, 8);
	uint64_t	wrong = 0;

	(void) state;
	for (size_t i = 0; i < COUNT(cases); i++)
	{
		for (size_t cut = 0; cut <= 16 + 44; cut++)
		{
			Buffer		buffer = {0};
			size_t		sample;
			size_t		record;

			put_header(&buffer, 0, 1);
			sample = begin_flows(&buffer, 512, 1, 2, 2);
			record = buffer.length + 8;
			cases[i].put(&buffer, 1518);
			if (record + cut > buffer.length)
				break;
			buffer.length = record + cut;
			end_part(&buffer, record);
			put_switch(&buffer, 100, 200);
			end_part(&buffer, sample);
			bench_decode(bench, &buffer);
			assert_int_equal(bench->caught.count, 1);
			assert_int_equal(bench->caught.flows[0].out_vlan, 200);
			assert_int_equal(FLOW_HAS(&bench->caught.flows[0], FLOW_BYTES),
							 cut >= cases[i].needed);
			wrong += cut < cases[i].needed;
			assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5,
											SUB_AGENT)->errors[DECODE_BAD_LENGTH], wrong);
		}
	}
	bench_free(bench);
}

/* Counts and lengths that promise more than there is. */
static void
test_lies(void **state)
{
	static const size_t places[] = {
		24,						/* samples */
		28 + 4,					/* length of the sample */
		28 + 8 + 28,			/* its records */
		28 + 8 + 32 + 4,		/* length of the record */
		28 + 8 + 32 + 8 + 12	/* length of the header in it */
	};
	static const uint32_t values[] = {1000, 0x7fffffff, 0xfffffff8, 0xffffffff};

	(void) state;
	for (size_t i = 0; i < COUNT(places); i++)
		for (size_t j = 0; j < COUNT(values); j++)
		{
			Bench	   *bench = bench_make(8, 8);
			Buffer		buffer = {0};

			put_one_flow(&buffer, 0, 1, 2);
			patch_u32(&buffer, places[i], values[j]);
			bench_decode(bench, &buffer);
			assert_int_equal(bench->consumed, buffer.length);
			assert_int_equal(bench->caught.count, i == 1 ? 0 : 1);
			if (i != 1)
				assert_int_equal(FLOW_HAS(&bench->caught.flows[0], FLOW_BYTES), i == 0 || i == 2);
			assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5,
											SUB_AGENT)->errors[DECODE_BAD_LENGTH], 1);
			bench_free(bench);
		}
}

/* Counter samples that are cut, or whose only record is. */
static void
test_counter_lies(void **state)
{
	Bench	   *bench = bench_make(8, 8);

	(void) state;
	for (size_t cut = 0; cut < 12 + 8 + 76; cut++)
	{
		Buffer		buffer = {0};
		size_t		sample;
		size_t		record;

		put_header(&buffer, 0, 1);
		sample = begin_counters(&buffer, 1);
		record = buffer.length + 8;
		put_interface_counters(&buffer, 1000, 0);
		buffer.length = sample + cut;
		end_part(&buffer, sample);
		if (cut >= 12 + 8)
			end_part(&buffer, record);
		bench_decode(bench, &buffer);
		assert_int_equal(bench->caught.counters_count, 0);
		assert_int_equal(bench->consumed, buffer.length);
		assert_int_equal(bench_exporter(bench, FLOW_SFLOW_V5, SUB_AGENT)->errors[DECODE_BAD_LENGTH],
						 cut + 1);
	}
	bench_free(bench);
}

/* Whatever stands there, it takes no more than the datagram has. */
static void
test_mutations(void **state)
{
	Bench	   *bench = bench_make(64, 8);
	Buffer		whole = {0};
	uint64_t	random = 20260119;
	size_t		sample;

	(void) state;
	put_header(&whole, 0, 3);
	sample = begin_flows(&whole, 512, 1, 2, 4);
	put_raw_header(&whole, 1518);
	put_switch(&whole, 100, 200);
	put_gateway_segments(&whole);
	put_sampled_ipv6(&whole, 1500);
	end_part(&whole, sample);
	sample = begin_expanded_flows(&whole, 512, 1, 2, 2);
	put_sampled_ethernet(&whole, 1514);
	put_gateway_sequence(&whole);
	end_part(&whole, sample);
	sample = begin_counters(&whole, 1);
	put_interface_counters(&whole, 1000, 0);
	end_part(&whole, sample);
	for (int round = 0; round < 20000; round++)
	{
		Buffer		buffer;

		buffer.length = whole.length;
		memcpy(buffer.data, whole.data, whole.length);
		for (uint32_t i = random_next(&random) % 4; i < 4; i++)
			buffer.data[4 + random_next(&random) % (buffer.length - 4)] =
				(uint8_t) (random_next(&random) >> random_next(&random) % 8);
		buffer.length -= random_next(&random) % 4;
		bench_decode(bench, &buffer);
		assert_true(bench->consumed <= buffer.length);
		assert_true(bench->caught.count <= buffer.length / 40);
	}
	bench_free(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flow_sample),
		cmocka_unit_test(test_agent_addresses),
		cmocka_unit_test(test_unknown_header),
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_expanded_interfaces),
		cmocka_unit_test(test_no_rate),
		cmocka_unit_test(test_header_protocols),
		cmocka_unit_test(test_length_order),
		cmocka_unit_test(test_switch),
		cmocka_unit_test(test_gateway),
		cmocka_unit_test(test_gateway_lies),
		cmocka_unit_test(test_skipped),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_unknown_counters),
		cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_trailing),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_sample_length),
		cmocka_unit_test(test_every_record_length),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_counter_lies),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
