/*
 * elements.c
 *	  Which information elements we read, and what for.
 */
#include "elements.h"

/* By number. */
static const Element elements[] = {
	/* octets: the first of 1, 85, 352, 23, 231 */
	[1] = {ELEMENT_BYTES, ELEMENT_GOAL_BYTES, 1},	/* octetDeltaCount */
	[85] = {ELEMENT_BYTES, ELEMENT_GOAL_BYTES, 2},	/* octetTotalCount */
	[352] = {ELEMENT_BYTES, ELEMENT_GOAL_BYTES, 3}, /* layer2OctetDeltaCount */
	[23] = {ELEMENT_BYTES, ELEMENT_GOAL_BYTES, 4},	/* postOctetDeltaCount */
	[231] = {ELEMENT_BYTES, ELEMENT_GOAL_BYTES, 5},	/* initiatorOctets */
	[232] = {ELEMENT_BYTES, ELEMENT_GOAL_BYTES, 6},	/* responderOctets */

	/* packets: the first of 2, 86, 24, 298 */
	[2] = {ELEMENT_PACKETS, ELEMENT_GOAL_PACKETS, 1},	/* packetDeltaCount */
	[86] = {ELEMENT_PACKETS, ELEMENT_GOAL_PACKETS, 2},	/* packetTotalCount */
	[24] = {ELEMENT_PACKETS, ELEMENT_GOAL_PACKETS, 3},	/* postPacketDeltaCount */
	[298] = {ELEMENT_PACKETS, ELEMENT_GOAL_PACKETS, 4},	/* initiatorPackets */
	[299] = {ELEMENT_PACKETS, ELEMENT_GOAL_PACKETS, 5},	/* responderPackets */

	[10] = {ELEMENT_IN_IF, ELEMENT_GOAL_IN_IF, 1},	/* ingressInterface */
	[252] = {ELEMENT_IN_IF, ELEMENT_GOAL_IN_IF, 2}, /* ingressPhysicalInterface */
	[14] = {ELEMENT_OUT_IF, ELEMENT_GOAL_OUT_IF, 1},	/* egressInterface */
	[253] = {ELEMENT_OUT_IF, ELEMENT_GOAL_OUT_IF, 2},	/* egressPhysicalInterface */

	[16] = {ELEMENT_SRC_AS, ELEMENT_GOAL_SRC_AS, 1},	/* bgpSourceAsNumber */
	[17] = {ELEMENT_DST_AS, ELEMENT_GOAL_DST_AS, 1},	/* bgpDestinationAsNumber */

	[8] = {ELEMENT_SRC_IPV4, ELEMENT_GOAL_SRC_IPV4, 1}, /* sourceIPv4Address */
	[12] = {ELEMENT_DST_IPV4, ELEMENT_GOAL_DST_IPV4, 1},	/* destinationIPv4Address */
	[27] = {ELEMENT_SRC_IPV6, ELEMENT_GOAL_SRC_IPV6, 1},	/* sourceIPv6Address */
	[28] = {ELEMENT_DST_IPV6, ELEMENT_GOAL_DST_IPV6, 1},	/* destinationIPv6Address */
	[60] = {ELEMENT_IP_VERSION, ELEMENT_GOAL_IP_VERSION, 1},	/* ipVersion */

	[58] = {ELEMENT_IN_VLAN, ELEMENT_GOAL_IN_VLAN, 1},	/* vlanId */
	[243] = {ELEMENT_IN_VLAN, ELEMENT_GOAL_IN_VLAN, 2}, /* dot1qVlanId */
	[59] = {ELEMENT_OUT_VLAN, ELEMENT_GOAL_OUT_VLAN, 1},	/* postVlanId */
	[254] = {ELEMENT_OUT_VLAN, ELEMENT_GOAL_OUT_VLAN, 2},	/* postDot1qVlanId */

	[61] = {ELEMENT_DIRECTION, ELEMENT_GOAL_DIRECTION, 1},	/* flowDirection */

	/* times: 152, 156, 154, 150, 158, 22 and the same for the end */
	[152] = {ELEMENT_FIRST_MILLISECONDS, ELEMENT_GOAL_FIRST, 1},	/* flowStartMilliseconds */
	[153] = {ELEMENT_LAST_MILLISECONDS, ELEMENT_GOAL_LAST, 1},	/* flowEndMilliseconds */
	[156] = {ELEMENT_FIRST_NTP, ELEMENT_GOAL_FIRST, 2}, /* flowStartNanoseconds */
	[157] = {ELEMENT_LAST_NTP, ELEMENT_GOAL_LAST, 2},	/* flowEndNanoseconds */
	[154] = {ELEMENT_FIRST_NTP, ELEMENT_GOAL_FIRST, 3}, /* flowStartMicroseconds */
	[155] = {ELEMENT_LAST_NTP, ELEMENT_GOAL_LAST, 3},	/* flowEndMicroseconds */
	[150] = {ELEMENT_FIRST_SECONDS, ELEMENT_GOAL_FIRST, 4}, /* flowStartSeconds */
	[151] = {ELEMENT_LAST_SECONDS, ELEMENT_GOAL_LAST, 4},	/* flowEndSeconds */
	[158] = {ELEMENT_FIRST_DELTA, ELEMENT_GOAL_FIRST, 5},	/* flowStartDeltaMicroseconds */
	[159] = {ELEMENT_LAST_DELTA, ELEMENT_GOAL_LAST, 5}, /* flowEndDeltaMicroseconds */
	[22] = {ELEMENT_FIRST_UPTIME, ELEMENT_GOAL_FIRST, 6},	/* flowStartSysUpTime */
	[21] = {ELEMENT_LAST_UPTIME, ELEMENT_GOAL_LAST, 6}, /* flowEndSysUpTime */
	[160] = {ELEMENT_BOOT, ELEMENT_GOAL_BOOT, 1},	/* systemInitTimeMilliseconds */

	/* sampling: 34 tells the rate, 305 to 311 tell what it follows from */
	[34] = {ELEMENT_SAMPLING, ELEMENT_GOAL_SAMPLING, 1},	/* samplingInterval */
	[48] = {ELEMENT_SAMPLER, ELEMENT_GOAL_SAMPLER, 1},	/* samplerId */
	[302] = {ELEMENT_SAMPLER, ELEMENT_GOAL_SAMPLER, 2}, /* selectorId */
	[50] = {ELEMENT_RANDOM_INTERVAL, ELEMENT_GOAL_RANDOM_INTERVAL, 1},	/* samplerRandomInterval */
	[305] = {ELEMENT_PACKET_INTERVAL, ELEMENT_GOAL_PACKET_INTERVAL, 1}, /* samplingPacketInterval */
	[306] = {ELEMENT_PACKET_SPACE, ELEMENT_GOAL_PACKET_SPACE, 1},	/* samplingPacketSpace */
	[309] = {ELEMENT_SAMPLING_SIZE, ELEMENT_GOAL_SAMPLING_SIZE, 1}, /* samplingSize */
	[310] = {ELEMENT_SAMPLING_POPULATION, ELEMENT_GOAL_SAMPLING_POPULATION, 1}, /* samplingPopulation */
	[311] = {ELEMENT_SAMPLING_PROBABILITY, ELEMENT_GOAL_SAMPLING_PROBABILITY, 1},	/* samplingProbability */

	/* the start of a sampled packet, and which part of it that is */
	[313] = {ELEMENT_IP_SECTION, ELEMENT_GOAL_SECTION, 1},	/* ipHeaderPacketSection */
	[315] = {ELEMENT_FRAME_SECTION, ELEMENT_GOAL_SECTION, 2},	/* dataLinkFrameSection */
	[104] = {ELEMENT_FRAME_SECTION, ELEMENT_GOAL_SECTION, 3},	/* layer2packetSectionData */
	[409] = {ELEMENT_SECTION_OFFSET, ELEMENT_GOAL_SECTION_OFFSET, 1},	/* sectionOffset */
	[102] = {ELEMENT_SECTION_OFFSET, ELEMENT_GOAL_SECTION_OFFSET, 2},	/* layer2packetSectionOffset */
	[410] = {ELEMENT_SECTION_SIZE, ELEMENT_GOAL_SECTION_SIZE, 1},	/* sectionExportedOctets */
	[103] = {ELEMENT_SECTION_SIZE, ELEMENT_GOAL_SECTION_SIZE, 2},	/* layer2packetSectionSize */
	[312] = {ELEMENT_FRAME_SIZE, ELEMENT_GOAL_FRAME_SIZE, 1},	/* dataLinkFrameSize */

	[82] = {ELEMENT_NAME, ELEMENT_GOAL_NAME, 1},	/* interfaceName */
	[83] = {ELEMENT_DESCRIPTION, ELEMENT_GOAL_DESCRIPTION, 1},	/* interfaceDescription */
};

const Element *
element_find(uint16_t number)
{
	if (number >= sizeof(elements) / sizeof(elements[0]) ||
		elements[number].use == ELEMENT_NONE)
		return NULL;
	return &elements[number];
}

ElementPair
element_pair(uint16_t number)
{
	switch (number)
	{
		case 231:				/* initiatorOctets */
		case 298:				/* initiatorPackets */
			return ELEMENT_INITIATOR;
		case 232:				/* responderOctets */
		case 299:				/* responderPackets */
			return ELEMENT_RESPONDER;
		default:
			return ELEMENT_UNPAIRED;
	}
}

bool
element_serves(ElementGoal goal, bool options)
{
	switch (goal)
	{
		case ELEMENT_GOAL_IN_IF:
		case ELEMENT_GOAL_SAMPLING:
		case ELEMENT_GOAL_SAMPLER:
		case ELEMENT_GOAL_RANDOM_INTERVAL:
		case ELEMENT_GOAL_PACKET_INTERVAL:
		case ELEMENT_GOAL_PACKET_SPACE:
		case ELEMENT_GOAL_SAMPLING_SIZE:
		case ELEMENT_GOAL_SAMPLING_POPULATION:
		case ELEMENT_GOAL_SAMPLING_PROBABILITY:
			return true;
		case ELEMENT_GOAL_NAME:
		case ELEMENT_GOAL_DESCRIPTION:
			return options;
		default:
			return !options;
	}
}

bool
element_is_reversible(ElementUse use)
{
	return use == ELEMENT_BYTES || use == ELEMENT_PACKETS || use == ELEMENT_DIRECTION ||
		(use >= ELEMENT_FIRST_SECONDS && use <= ELEMENT_LAST_UPTIME);
}

bool
element_fits(ElementUse use, size_t length)
{
	switch (use)
	{
		case ELEMENT_NONE:
			return false;
		case ELEMENT_SRC_IPV4:
		case ELEMENT_DST_IPV4:
			return length == 4;
		case ELEMENT_SRC_IPV6:
		case ELEMENT_DST_IPV6:
			return length == 16;
		case ELEMENT_FIRST_NTP:
		case ELEMENT_LAST_NTP:
			return length == 8;
		case ELEMENT_SAMPLING_PROBABILITY:
			return length == 8 || length == 4;	/* RFC 7011, 6.2: a float */
		case ELEMENT_IP_SECTION:
		case ELEMENT_FRAME_SECTION:
		case ELEMENT_NAME:
		case ELEMENT_DESCRIPTION:
			return length >= 1;
		default:
			return length >= 1 && length <= 8;
	}
}
