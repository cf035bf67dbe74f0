// SPDX-License-Identifier: BSD-2-Clause
// The machine's buses: which device answers a port or an address, how a stimulus is wrapped, and
// how lines lead from device to device.
//
// Every stimulus stands between bus_enter and bus_leave, which hold the device lock. Effects that
// concern other devices (lines, messages, regions, requests) are queued while a handler runs and
// carried out by bus_leave, in order; those of the handlers that they call come behind them.
//
// Which region answers where several lie over each other (bus_regions.c): the board's before those
// that devices placed themselves; of the board's the later; of devices' the one of the first device
// and the lowest number. So it does not depend on the order in which they were placed.
#ifndef VM_BUS_H
#define VM_BUS_H

#include "emul/device.h"
#include "kernel/base/assert.h"
#include "kernel/cpu.h"
#include "kernel/event.h"

enum {
	BUS_REGIONS_MAX = 192,
	BUS_PORTS = 65536,
	BUS_EFFECTS_MAX = 128,
	BUS_SINKS_MAX = 3,
};

// Where a line ends.
enum wire_sink_kind {
	WIRE_NOWHERE,
	WIRE_DEVICE,
	WIRE_LOCAL_APIC, // LINT0 of the bootstrap processor
	WIRE_MAP,        // what addresses lead to, as memory_map_update finds it
	WIRE_SLOT,       // the power of `device`: slot.h
};

struct wire_sink {
	struct device *device;
	uint8_t kind; // enum wire_sink_kind
	uint8_t input;
	bool shared; // another output leads to that input: it is high while any of them is
};

struct wire {
	bool level;
	struct wire_sink sinks[BUS_SINKS_MAX];
};

struct bus_region {
	struct device *device; // NULL: free
	uint64_t base, bytes;
	uint8_t region;    // number in its device
	uint8_t max_bytes; // wider accesses are split; 0: a window of the PCI host's, or `memory`
	uint8_t space;     // enum device_space
	bool placed;       // by the board
	bool memory;       // shows the device's own memory
};

// Indexes of a space's regions: the first that has an address answers.
struct bus_list {
	uint8_t count;
	uint8_t regions[BUS_REGIONS_MAX];
};

enum bus_effect_kind {
	BUS_EFFECT_LINE,
	BUS_EFFECT_MESSAGE,
	BUS_EFFECT_MAP,
	BUS_EFFECT_UNMAP,
	BUS_EFFECT_COMPLETION, // of a request that was done at once
};

struct bus_effect {
	struct device *device; // whose effect it is
	uint8_t kind;          // enum bus_effect_kind
	uint8_t number;        // output or region
	bool level;
	uint8_t space;
	union {
		struct interrupt_message message;
		struct {
			uint64_t base, bytes;
		} map;
		struct {
			struct backend_slot *slot;
			uint64_t name; // the device's for the request
		} completion;
	};
};

struct bus {
	// The device lock (a): the one core that runs handlers of the machine's devices, or NULL.
	struct cpu *owner;
	bool completes; // a device hears of a completion that is an effect
	bool resets;    // all devices are being reset: no output has any level yet but its wire's
	uint8_t reserved[6];
	uint32_t effect_first, effect_count;
	struct bus_effect effects[BUS_EFFECTS_MAX];
	struct bus_region regions[BUS_REGIONS_MAX]; // index 0 stays free
	struct bus_list lists[DEVICE_SPACES];
	uint8_t ports[BUS_PORTS];                   // index of a port's region; 0: none
};

struct vm;

void bus_effects_carry_out(struct vm *vm, struct guest_time now);
// Carries out nothing but regions that appear and go. NULL, or the device that had another effect;
// the effects from there on are dropped.
const struct device *bus_effects_map(struct vm *vm);
// One more effect, for the caller to fill.
static inline struct bus_effect *bus_effect_new(struct bus *bus)
{
	// Handlers have bounded numbers of effects; no guest can reach this.
	ASSERT(bus->owner != NULL && bus->effect_count < BUS_EFFECTS_MAX);
	return &bus->effects[(bus->effect_first + bus->effect_count++) % BUS_EFFECTS_MAX];
}

void bus_enter_wait(struct bus *bus);
static always_inline void bus_enter(struct bus *bus)
{
	struct cpu *nobody = NULL;

	if (unlikely(!__atomic_compare_exchange_n(&bus->owner, &nobody, cpu_self(), false,
		    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		bus_enter_wait(bus);
}

// False: another core has it.
must_check static always_inline bool bus_try_enter(struct bus *bus)
{
	struct cpu *nobody = NULL;

	return __atomic_compare_exchange_n(&bus->owner, &nobody, cpu_self(), false,
		__ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static always_inline void bus_unlock(struct bus *bus)
{
	__atomic_store_n(&bus->owner, NULL, __ATOMIC_RELEASE);
}

void bus_leave(struct vm *vm, struct guest_time now);

// bus_regions.c. The board places a region.
void bus_map(struct bus *bus, struct device *device, unsigned region, enum device_space space,
	uint64_t base, uint64_t bytes, unsigned max_bytes);
void bus_unmap(struct bus *bus, const struct device *device, unsigned region);
// A device moves one of its own, or one that the board has placed.
void bus_move(struct bus *bus, const struct bus_effect *effect);
// All that the device has placed itself go.
void bus_unmap_own(struct bus *bus, const struct device *device);
// NULL: nobody is there.
const struct bus_region *bus_region_find(const struct bus *bus, enum device_space space,
	uint64_t at);

// Guest accesses of 1, 2, 4 or 8 bytes; split where they leave a region or are wider than it
// takes. Nobody there: reads answer all ones, writes are dropped.
uint64_t bus_port_read(struct vm *vm, uint16_t port, unsigned bytes, struct guest_time now);
void bus_port_write(struct vm *vm, uint16_t port, unsigned bytes, uint64_t value,
	struct guest_time now);
uint64_t bus_mmio_read(struct vm *vm, struct gpa at, unsigned bytes, struct guest_time now);
void bus_mmio_write(struct vm *vm, struct gpa at, unsigned bytes, uint64_t value,
	struct guest_time now);

// Whether anything that leads to the input is high: the devices answer as of `now`.
bool bus_sample(const struct vm *vm, const struct device *device, unsigned input,
	struct guest_time now);
// What stands for firmware writes a register of a function that is there. Under the device lock.
void bus_pci_write(struct vm *vm, uint64_t at, unsigned bytes, uint32_t value,
	struct guest_time now);

// Delivery of events: the event queue's callback, under the device lock; owner is the machine.
void bus_deliver(void *owner, const struct event *event, struct guest_time now);

#endif
