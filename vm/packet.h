// SPDX-License-Identifier: BSD-2-Clause
// Frames between a machine's devices and its networks, the machine's side of it.
//
//   device --packet_send--> nic->from_guest --nic.c: the network's core--> others' nic->to_guest
//   nic->to_guest --packet_take, with an event--> vm->packets --packet_deliver--> device
//
// A frame that has arrived waits in to_guest, as on a wire, until the machine takes it as an event
// from outside (vm/outside.h): EVENT_PACKET goes to the event queue and the frame to vm->packets,
// where frames stand in the order of their events. From there on it is part of the machine's state.
// Each of these rings is bounded: what there is no room for is lost and counted.
//
// Owners: vm->packets, the taking end of to_guest and the putting end of from_guest are whoever's
// has the device lock; the other ends are the network's core's.
#ifndef VM_PACKET_H
#define VM_PACKET_H

#include "kernel/event.h"
#include "kernel/message.h"
#include "vm/frame_ring.h"
#include "vm/snapshot_stream.h"
#include "vm/switch.h"

struct vm;
struct vm_device;

// Between a device and the network that it is in.
struct nic {
	struct vm *vm;              // (c)
	struct net_switch *network; // (c)
	uint16_t device;            // (c) its id, from the board's creation on
	bool posted;                // (a) `message` is under way
	bool held;       // the network's core's: it must not look at the machine's vcpus
	bool signal_due; // the same: frames have come that the machine was not told of
	struct cpu_message message; // to the network's core: from_guest has something
	void (*wake)(struct nic *nic); // (c) sends it
	struct switch_port port;    // the network's core's
	uint64_t lost;              // (a) frames that from_guest had no room for
	struct frame_ring from_guest, to_guest;
};

// Of a device with a `nic`; saved with the machine, and so in every beacon: a replay that sends
// something else does not pass.
struct packet_sent {
	uint64_t frames;
	uint32_t hash; // CRC-32C of all, of a machine whose position is kept
	uint32_t reserved;
};

// Whether frames wait that the machine may take. Any context.
bool packet_any(const struct vm *vm);

// All else is under the device lock.

// To the network; of a machine that is replayed to nowhere.
void packet_send(struct vm_device *device, const struct device_frame *frame);
// The next frame that the machine may take, as an event. False: there is none, or vm->packets is
// full. It may be asked for again until it is taken or refused.
must_check bool packet_next(const struct vm *vm, struct event *event);
// The frame of that event, until it is taken or refused.
struct device_frame packet_of(const struct vm *vm, const struct event *event);
void packet_take(struct vm *vm, const struct event *event);
void packet_refuse(struct vm *vm, const struct event *event);
void packet_refuse_all(struct vm *vm);
// For who replays, with an event of a log, which may say anything: NULL, or why this frame cannot
// be given to the machine; and gives it.
const char *packet_problem(const struct vm *vm, const struct event *event,
	const struct device_frame *frame);
void packet_give(struct vm *vm, const struct device_frame *frame);
// The frame that an event's payload is, with what the event says of it.
struct device_frame packet_frame(const struct event *event, const uint8_t *bytes, uint32_t count);
// The device hears of the oldest of vm->packets.
void packet_deliver(struct vm_device *device, const struct event *event, struct guest_time now);
void packet_reset(struct vm *vm);

// snapshot_packet.c, of a machine that rests: what a device has sent, and the frame of an event of
// the queue. `place`: the how manieth frame it is.
void packet_sent_write(const struct vm_device *device, struct snapshot_stream *stream);
must_check enum status packet_sent_read(struct vm_device *device, struct snapshot_stream *stream);
void packet_write(const struct vm *vm, uint32_t place, struct snapshot_stream *stream);
must_check enum status packet_read(struct vm *vm, const struct event *event, uint32_t place,
	struct snapshot_stream *stream);

#endif
