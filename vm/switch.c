// SPDX-License-Identifier: BSD-2-Clause
#include "vm/switch.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"

enum { SOURCE_AT = SWITCH_MAC_BYTES };

#define GROUP   (UINT64_C(1) << 40) // of an address as a number
#define NEARBY  UINT64_C(0x0180c2000000) // to ...0f: 802.1Q, table 8-1
#define MIX     UINT64_C(0x9e3779b97f4a7c15)

static struct net_switch *switches;

struct net_switch *switch_get(const char *name)
{
	struct net_switch *network = switches;

	while (network != NULL && strcmp(network->name, name) != 0)
		network = network->next;
	if (network == NULL) {
		network = calloc(1, sizeof(*network));
		if (network == NULL)
			return NULL;
		ASSERT(strlen(name) < SWITCH_NAME_MAX);
		memcpy(network->name, name, strlen(name));
		network->next = switches;
		switches = network;
	}
	network->users++;
	return network;
}

void switch_put(struct net_switch *network)
{
	struct net_switch **at = &switches;

	ASSERT(network->users > 0);
	if (--network->users > 0)
		return;
	ASSERT(network->ports == NULL);
	while (*at != network)
		at = &(*at)->next;
	*at = network->next;
	free(network);
}

void switch_attach(struct net_switch *network, struct switch_port *port)
{
	port->next = network->ports;
	network->ports = port;
}

void switch_detach(struct net_switch *network, struct switch_port *port)
{
	struct switch_port **at = &network->ports;

	while (*at != port)
		at = &(*at)->next;
	*at = port->next;
	for (unsigned i = 0; i < SWITCH_SETS * SWITCH_WAYS; i++) {
		struct switch_entry *entry = &network->entries[i / SWITCH_WAYS][i % SWITCH_WAYS];

		if (entry->port == port)
			entry->port = NULL;
	}
}

static uint64_t address_at(const struct device_frame *frame, unsigned at)
{
	uint64_t address = 0;

	for (unsigned i = 0; i < SWITCH_MAC_BYTES; i++)
		address = address << 8 | frame->bytes[at + i];
	return address;
}

static struct switch_entry *set_of(struct net_switch *network, uint64_t address)
{
	return network->entries[(address * MIX >> 32) % SWITCH_SETS];
}

// The entry of the address; else the one that may best be overwritten.
static struct switch_entry *entry_choose(struct net_switch *network, uint64_t address)
{
	struct switch_entry *set = set_of(network, address), *chosen = &set[0];

	for (unsigned i = 0; i < SWITCH_WAYS; i++) {
		if (set[i].port != NULL && set[i].address == address)
			return &set[i];
		if (chosen->port != NULL &&
			(set[i].port == NULL || set[i].seen_ns < chosen->seen_ns))
			chosen = &set[i];
	}
	return chosen;
}

static void learn(struct net_switch *network, uint64_t address, struct switch_port *port,
	uint64_t now_ns)
{
	if ((address & GROUP) == 0)
		*entry_choose(network, address) = (struct switch_entry){port, now_ns, address};
}

// NULL: nobody knows, or not any more.
static struct switch_port *find(struct net_switch *network, uint64_t address, uint64_t now_ns)
{
	const struct switch_entry *entry = entry_choose(network, address);

	if ((address & GROUP) != 0 || entry->port == NULL || entry->address != address ||
		now_ns - entry->seen_ns > SWITCH_AGE_NS)
		return NULL;
	return entry->port;
}

static void count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static void hand_out(struct switch_port *port, const struct device_frame *frame)
{
	count(port->deliver(port, frame) ? &port->received : &port->lost);
}

void switch_forward(struct net_switch *network, struct switch_port *from,
	const struct device_frame *frame, uint64_t now_ns)
{
	uint64_t to = address_at(frame, 0);
	struct switch_port *port;

	count(&from->sent);
	learn(network, address_at(frame, SOURCE_AT), from, now_ns);
	if ((to & ~UINT64_C(0xf)) == NEARBY)
		return;
	port = find(network, to, now_ns);
	if (port != NULL) {
		if (port != from)
			hand_out(port, frame);
		return;
	}
	for (port = network->ports; port != NULL; port = port->next)
		if (port != from)
			hand_out(port, frame);
}
