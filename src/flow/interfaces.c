/*
 * interfaces.c
 *	  (exporter, ifIndex, VLAN) -> configured interface.
 *
 * The list as it was given, and behind it two hash indexes into it with open
 * addressing: one by host, ifIndex and VLAN, one by host alone.  Positions are
 * stored plus one, 0 is a free slot.  Both are at most half full.
 */
#include "interfaces.h"

#include "hash.h"

struct Interfaces
{
	uint32_t	count;
	uint32_t	mask;			/* slots of each index - 1 */
	bool		has_vlans;		/* is any entry for one VLAN only? */
	Interface	list[];
};

static uint32_t
interfaces_slots(uint32_t count)
{
	uint32_t	slots = 2;

	while (slots / 2 < count)
		slots *= 2;
	return slots;
}

size_t
interfaces_size(uint32_t count)
{
	return sizeof(Interfaces) + count * sizeof(Interface) +
		2 * interfaces_slots(count) * sizeof(uint32_t);
}

/* The index by host, ifIndex and VLAN. */
static uint32_t *
interfaces_index(const Interfaces *interfaces)
{
	return (uint32_t *) &interfaces->list[interfaces->count];
}

/* The index by host, which holds the first entry of each. */
static uint32_t *
interfaces_hosts(const Interfaces *interfaces)
{
	return interfaces_index(interfaces) + interfaces->mask + 1;
}

static bool
interfaces_same_host(const FlowAddress *a, const FlowAddress *b)
{
	return memcmp(a->octets, b->octets, sizeof(a->octets)) == 0;
}

/* The slot where this interface is, or else the free one where it belongs. */
static uint32_t *
interfaces_slot(const Interfaces *interfaces, const FlowAddress *host, uint32_t id,
				int32_t vlan)
{
	uint64_t	hash = hash_mix(hash_address(host), (uint64_t) (uint32_t) vlan << 32 | id);
	uint32_t   *index = interfaces_index(interfaces);
	uint32_t	i = hash >> 32 & interfaces->mask;

	while (index[i] != 0)
	{
		const Interface *interface = &interfaces->list[index[i] - 1];

		if (interface->id == id && interface->vlan == vlan &&
			interfaces_same_host(&interface->host, host))
			break;
		i = (i + 1) & interfaces->mask;
	}
	return &index[i];
}

/* Likewise for the host. */
static uint32_t *
interfaces_host_slot(const Interfaces *interfaces, const FlowAddress *host)
{
	uint32_t   *hosts = interfaces_hosts(interfaces);
	uint32_t	i = hash_address(host) >> 32 & interfaces->mask;

	while (hosts[i] != 0 &&
		   !interfaces_same_host(&interfaces->list[hosts[i] - 1].host, host))
		i = (i + 1) & interfaces->mask;
	return &hosts[i];
}

Interfaces *
interfaces_build(void *memory, const Interface *list, uint32_t count)
{
	Interfaces *interfaces = memory;

	memset(interfaces, 0, interfaces_size(count));
	interfaces->count = count;
	interfaces->mask = interfaces_slots(count) - 1;

	for (uint32_t i = 0; i < count; i++)
	{
		const Interface *interface = &list[i];
		uint32_t   *host_slot = interfaces_host_slot(interfaces, &interface->host);

		interfaces->list[i] = *interface;
		*interfaces_slot(interfaces, &interface->host, interface->id, interface->vlan) = i + 1;
		if (*host_slot == 0)
			*host_slot = i + 1;
		if (interface->vlan != INTERFACE_ANY_VLAN)
			interfaces->has_vlans = true;
	}
	return interfaces;
}

bool
interfaces_know_host(const Interfaces *interfaces, const FlowAddress *host)
{
	return *interfaces_host_slot(interfaces, host) != 0;
}

bool
interfaces_have_vlans(const Interfaces *interfaces)
{
	return interfaces->has_vlans;
}

static const Interface *
interfaces_find_exactly(const Interfaces *interfaces, const FlowAddress *host, uint32_t id,
						int32_t vlan)
{
	uint32_t	position = *interfaces_slot(interfaces, host, id, vlan);

	return position == 0 ? NULL : &interfaces->list[position - 1];
}

const Interface *
interfaces_find(const Interfaces *interfaces, const FlowAddress *host, uint32_t id,
				int32_t vlan)
{
	if (vlan != INTERFACE_ANY_VLAN && interfaces->has_vlans)
	{
		const Interface *interface = interfaces_find_exactly(interfaces, host, id, vlan);

		if (interface != NULL)
			return interface;
	}
	return interfaces_find_exactly(interfaces, host, id, INTERFACE_ANY_VLAN);
}
