// SPDX-License-Identifier: BSD-2-Clause
// A switch for Ethernet frames: it learns behind which of its ports an address is, from the frames
// that come from there, and forgets it when none has come for a while (IEEE 802.1Q, 8.7 and 8.8).
// What it does not know, and what is for many, goes to all other ports.
//
// Machines do not lead from one port to another, unless a guest bridges two of its own: there is no
// spanning tree, and such a loop is that guest's. Frames that stay between two neighbours by the
// standard are dropped (8.6.3).
//
// A switch is one core's: vm/nic.c. Only its name and its users are the boot CPU's.
#ifndef VM_SWITCH_H
#define VM_SWITCH_H

#include "emul/device.h"

enum {
	SWITCH_NAME_MAX = 32, // with the terminating zero
	SWITCH_SETS = 64, SWITCH_WAYS = 4, // of the table of addresses
	SWITCH_MAC_BYTES = 6,
};

#define SWITCH_AGE_NS (UINT64_C(300) * 1000 * 1000 * 1000)

struct switch_port {
	struct switch_port *next; // of its switch
	// A frame leaves the switch here. False: there was no room.
	bool (*deliver)(struct switch_port *port, const struct device_frame *frame);
	// (a) Written by the switch's core.
	uint64_t sent;      // frames that came from here
	uint64_t received;  // that went out here
	uint64_t lost;      // that were to go out here
};

struct switch_entry {
	struct switch_port *port; // NULL: free
	uint64_t seen_ns;
	uint64_t address;
};

struct net_switch {
	char name[SWITCH_NAME_MAX]; // (c)
	uint32_t users;             // the boot CPU's
	struct net_switch *next;    // the boot CPU's
	struct switch_port *ports;
	struct switch_entry entries[SWITCH_SETS][SWITCH_WAYS];
};

// By the boot CPU. The switch of that name, which is made where there is none. NULL: no memory.
must_check struct net_switch *switch_get(const char *name);
void switch_put(struct net_switch *network); // the last one who has it frees it

// By its core.
void switch_attach(struct net_switch *network, struct switch_port *port);
void switch_detach(struct net_switch *network, struct switch_port *port);
// A frame that came from a port.
void switch_forward(struct net_switch *network, struct switch_port *from,
	const struct device_frame *frame, uint64_t now_ns);

#endif
