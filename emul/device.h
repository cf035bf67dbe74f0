// SPDX-License-Identifier: BSD-2-Clause
// The device contract.
//
// A device model is a deterministic state machine. Its whole state is one struct, described by one
// state table. It moves only when it receives a STIMULUS, and acts only through its environment:
// the EFFECTS. It never reads a host clock, draws a random number, allocates while running, keeps
// a global, or calls another device. `make check` lists the undefined symbols of every object of
// emul/ and fails on any that is not in tests/emul_symbols.txt.
//
// Stimuli, each with the guest time `now`:
//   reset, read, write, line, message      direct calls
//   timer, bottom_half, receive, complete, packet, input, set
//                                          events: through the VM's event queue, in every mode
// Where nothing keeps positions, a completion that is there at once comes right behind the stimulus
// that submitted it; what is submitted in that one comes as an event.
//
// Who may enter a device: the VM's bus (vm/bus.c), which holds the VM's device lock around every
// stimulus and every query. An instance is never entered twice at once, and an effect never enters
// a device: a change of a wire or a message reaches its receiver after the handler that made it
// has returned. Work per stimulus is bounded; long work goes on in a bottom half.
//
// DATA PLANE. Queues of a device may be served by another core, which owns them meanwhile, with all
// that is needed for it: the device gives them (device_give_queues) and takes them back
// (device_take_queues) before it does what concerns them, and kicks who serves them when the driver
// notifies. On that core `serve` and `complete` run without the device lock, beside stimuli, and
// touch nothing else of the device; of the effects they have the dma_*() and submit. What else is
// to happen (interrupts, an error) they note, and `served` does it as a stimulus. No such core is
// there for a recorded machine.
//
// Guest memory is reached by device_dma_*() alone. Data is copied once to a local, validated, and
// only the copy is used.
//
// A model may have memory of its own (a frame buffer) that is too large for its struct. The machine
// has it: zeros at power-on, untouched by resets, saved, loaded, hashed and exchanged with guest
// memory, and not in the state table. The device reaches it by device_memory_*() alone. One of its
// regions may show it: there guests read and write it without a stimulus, so a device sees no more
// than what it finds; elsewhere (a window, a port) it answers for it as for anything. A flash chip
// has it shown by the board, to be read (emul/pflash.h).
#ifndef EMUL_DEVICE_H
#define EMUL_DEVICE_H

#include "emul/device_input.h"
#include "emul/device_io.h"
#include "kernel/base/state.h"
#include "kernel/base/status.h"
#include "kernel/base/types.h"

struct device;

enum device_reset {
	DEVICE_RESET_POWER, // power-on: everything, battery-backed state excepted
	DEVICE_RESET_LINE,  // the platform's reset line (port 0xCF9, keyboard controller, ...)
	// The device alone loses its power: the guest has ejected it. All requests that it has
	// under way are dropped then, but their names stay taken until they are done.
	DEVICE_RESET_SLOT,
};

// Where a region of a device can be mapped.
enum device_space {
	DEVICE_SPACE_PORT, // 64 KiB of I/O ports
	DEVICE_SPACE_MMIO, // guest-physical addresses
	// Configuration space of PCI bus 0: function << 12 | register, as in ECAM (PCI Express 5.0,
	// 7.2.2), where the function is device << 3 | function.
	DEVICE_SPACE_PCI,
	DEVICE_SPACES
};

// What a device can ask of the machine. Carried out after the stimulus that asked.
enum device_request {
	DEVICE_REQUEST_RESET,     // platform reset
	DEVICE_REQUEST_POWER_OFF, // ACPI S5
	DEVICE_REQUEST_EXIT,      // isa-debug-exit: argument is the exit status
	DEVICE_REQUEST_PANICKED,  // pvpanic: argument is the event bits
	DEVICE_REQUEST_INIT,      // INIT to all CPUs (port 0x92, keyboard controller on a PC)
	DEVICE_REQUEST_SETTLE,    // no guest goes on before all back ends have answered
};

// The interrupt message bus: MSIs and the APIC bus. SDM vol. 3, 11.6.1 (ICR) and 11.11 (MSI).
enum interrupt_delivery {
	INTERRUPT_FIXED = 0,
	INTERRUPT_LOWEST_PRIORITY = 1,
	INTERRUPT_SMI = 2,
	INTERRUPT_NMI = 4,
	INTERRUPT_INIT = 5,
	INTERRUPT_STARTUP = 6,
	INTERRUPT_EXTINT = 7,
	INTERRUPT_EOI = 8, // broadcast from a local APIC to the I/O APICs: vector alone matters
};

enum interrupt_shorthand {
	INTERRUPT_TO_DESTINATION = 0,
	INTERRUPT_TO_SELF = 1,
	INTERRUPT_TO_ALL = 2,
	INTERRUPT_TO_OTHERS = 3,
};

struct interrupt_message {
	uint32_t destination; // APIC id, or logical destination; xAPIC's are 8 bits, broadcast 0xff
	uint8_t vector;
	uint8_t delivery;  // enum interrupt_delivery
	uint8_t shorthand; // enum interrupt_shorthand
	bool logical;      // destination mode
	bool level;        // trigger mode: level (true) or edge
	bool assert;       // false: INIT level de-assert
	bool x2apic;       // destination is 32 bits wide, broadcast 0xffffffff
	uint8_t reserved;
};

// A zero-copy mapping of guest memory. `address` is valid until device_dma_unmap.
struct device_dma_map {
	void *address;
	struct gpa gpa;
	uint64_t bytes;
	bool writable; // the device writes, the guest reads
	uint8_t reserved[7];
};

// EFFECTS: filled by vm/, by a domain's runtime, or by a test. All may be called inside a stimulus
// only, except that `sample` may not be called from within `sample`.
struct device_env {
	// Drives an output. Levels are sticky; an edge is two calls.
	void (*set_line)(struct device *device, unsigned output, bool level);
	// The present level of whatever is wired to an input; low where nothing is.
	bool (*sample)(struct device *device, unsigned input);
	void (*send_message)(struct device *device, const struct interrupt_message *message);
	// Copies to or from guest memory. STATUS_RANGE where any byte is not RAM (device MMIO is
	// refused); nothing is copied then.
	enum status (*dma_read)(struct device *device, struct gpa from, void *to, size_t bytes);
	enum status (*dma_write)(struct device *device, struct gpa to, const void *from,
		size_t bytes);
	// Maps RAM for zero-copy. Fewer bytes than asked may be mapped (map->bytes says).
	// STATUS_RANGE: not RAM, or not for ever. STATUS_AGAIN: no mapping is available now.
	enum status (*dma_map)(struct device *device, struct gpa at, size_t bytes, bool writable,
		struct device_dma_map *map);
	// `written`: bytes from the start that the device changed, 0 for a read-only mapping.
	void (*dma_unmap)(struct device *device, struct device_dma_map *map, size_t written);
	// The device has changed these bytes of a writable mapping, which stays.
	void (*dma_written)(struct device *device, const struct device_dma_map *map,
		uint64_t offset, size_t bytes);
	// (Re)arms a timer of the model's; a deadline in the past expires at the next delivery.
	// GUEST_TIME_NEVER cancels.
	void (*arm_timer)(struct device *device, unsigned timer, struct guest_time deadline);
	// Queues a bottom half, once until it has run.
	void (*schedule_bottom_half)(struct device *device, unsigned bottom_half);
	// Hands a request to the back end of `port`. Its completion comes as a stimulus, unless the
	// device is reset before. What is to be written is taken from guest memory now. What was
	// read is there when the stimulus comes with STATUS_OK; until then nothing of it is.
	// STATUS_UNSUPPORTED: no such back end. STATUS_BUSY: DEVICE_IO_MAX are under way.
	// STATUS_EXISTS: one of this name is. STATUS_RANGE: memory that is not RAM, or too much.
	enum status (*submit)(struct device *device, unsigned port, const struct device_io *io);
	// What a READ without pieces has read, from its start on. Within `complete` with STATUS_OK,
	// before the device submits anything. Zeros where there is less of it.
	void (*take_data)(struct device *device, unsigned port, void *to, size_t bytes);
	// The device does not want to hear of that request any more, and its memory stays as it
	// is. What it does to the medium may still happen, and its name and place are taken until
	// it has. A request that is not under way: nothing.
	void (*drop)(struct device *device, unsigned port, uint64_t request);
	// Bytes to the character back end of `port`. Never blocks.
	void (*output)(struct device *device, unsigned port, const uint8_t *bytes, size_t count);
	// A valid frame to the network of `port`. Never blocks, and as on a wire nobody says
	// whether it arrives.
	void (*send)(struct device *device, unsigned port, const struct device_frame *frame);
	// Moves or removes a region of the device's own. Takes effect after the handler. It never
	// covers one that the board has placed; of two devices' the first device's is seen. A reset
	// removes all that the board has not placed.
	void (*map_region)(struct device *device, unsigned region, enum device_space space,
		uint64_t base, uint64_t bytes);
	void (*unmap_region)(struct device *device, unsigned region);
	// Copies to or from the device's own memory; all bytes are in it. A query may read.
	void (*memory_read)(const struct device *device, uint64_t offset, void *to, size_t bytes);
	void (*memory_write)(struct device *device, uint64_t offset, const void *from,
		size_t bytes);
	void (*request)(struct device *device, enum device_request request, uint32_t argument);
	// From now on another core serves the queues. STATUS_BUSY: not before what has been dropped
	// is done. STATUS_UNSUPPORTED: there is none.
	enum status (*give_queues)(struct device *device);
	// They are the device's again: it waits until that core has left them, and nothing of them
	// is at a back end. Nothing where they have not been given.
	void (*take_queues)(struct device *device);
	// There is something in them.
	void (*kick_queues)(struct device *device);
	// Tells the operator what is wrong with the guest's use of the device: a line, constant
	// text without its end. A guest can make no more than a few of them appear.
	void (*report)(struct device *device, const char *what);
};

// What serving queues came to.
enum device_served {
	DEVICE_SERVED_WORK = 1, // there was something to do, and may be more
	DEVICE_SERVED_NOTE = 2, // `served` is wanted
};

// What the operator can set of a device that runs.
enum device_setting {
	DEVICE_SETTING_MEDIUM_BYTES, // the medium of port 0 has that many bytes from here on
	DEVICE_SETTING_BALLOON_PAGES, // so many pages of 4 KiB are asked for
	DEVICE_SETTING_PLUG,          // the device of that slot is put in
	DEVICE_SETTING_UNPLUG,        // the guest is asked to give up the device of that slot
	// Of the CD drive device_disc_drive(value): it is emptied, or gets another disc. Where the
	// driver has locked it, it is told that somebody wants that, and nothing else happens.
	DEVICE_SETTING_EJECT,
	DEVICE_SETTING_INSERT,
};

// Values of EJECT and INSERT: a drive of the device, the port of a disc that belongs to it, and
// whether locks are of no avail.
static inline uint64_t device_disc(unsigned drive, unsigned disc, bool force)
{
	return (uint64_t)force << 16 | disc << 8 | drive;
}

static inline unsigned device_disc_drive(uint64_t value)
{
	return value & 0xff;
}

static inline unsigned device_disc_port(uint64_t value)
{
	return value >> 8 & 0xff;
}

static inline bool device_disc_is_forced(uint64_t value)
{
	return (value >> 16 & 1) != 0;
}

struct pcidev_info;

struct device_model {
	const char *name; // QEMU's where it has one
	const char *description;
	uint32_t instance_bytes;
	uint8_t timers;
	uint8_t bottom_halves;
	uint8_t inputs;  // lines into the device
	uint8_t outputs; // lines out of it
	uint32_t memory_bytes;  // of its own: whole blocks of 2 MiB; 0: none
	uint32_t memory_region; // what shows it, or none; no `read` and `write` come for that
	const struct state_table *state;
	const struct pcidev_info *pci; // of a PCI function: emul/pcidev.h; NULL: it is none

	// STIMULI. An absent handler means that the stimulus is not accepted (a read answers all
	// ones, a write is dropped).
	// Sets the reset state. Timers and bottom halves have been cancelled, outputs are low, and
	// nothing is mapped.
	void (*reset)(struct device *device, struct guest_time now, enum device_reset kind);
	// `size` is 1, 2, 4 or 8 and the access lies within the region. The answer's upper bytes
	// are ignored.
	uint64_t (*read)(struct device *device, struct guest_time now, unsigned region,
		uint64_t offset, unsigned size);
	void (*write)(struct device *device, struct guest_time now, unsigned region,
		uint64_t offset, unsigned size, uint64_t value);
	void (*line)(struct device *device, struct guest_time now, unsigned input, bool level);
	void (*message)(struct device *device, struct guest_time now,
		const struct interrupt_message *message);
	// A timer expired: now.ns >= its deadline, and it is disarmed.
	void (*timer)(struct device *device, struct guest_time now, unsigned timer);
	void (*bottom_half)(struct device *device, struct guest_time now, unsigned bottom_half);
	// Characters arrived at `port`: at most as many as receive_room answered when they were
	// queued. What no longer fits is an overrun, as on hardware.
	void (*receive)(struct device *device, struct guest_time now, unsigned port,
		const uint8_t *bytes, size_t count);
	// STATUS_RANGE: not all of it is on the medium. STATUS_IO: the medium failed.
	void (*complete)(struct device *device, struct guest_time now, unsigned port,
		uint64_t request, enum status status);
	// `accepts` has said that it takes this.
	void (*set)(struct device *device, struct guest_time now, enum device_setting setting,
		uint64_t value);
	// A valid frame arrived at `port`. What there is no room for is lost, as on hardware.
	void (*packet)(struct device *device, struct guest_time now, unsigned port,
		const struct device_frame *frame);
	// Somebody did that, where `takes_input` has said that it goes to this device. What there
	// is no room for is lost, as on hardware.
	void (*input)(struct device *device, struct guest_time now,
		const struct device_input *input);

	// QUERIES: change nothing.
	bool (*level)(const struct device *device, struct guest_time now, unsigned output);
	size_t (*receive_room)(const struct device *device, unsigned port);
	// Whether it has such a setting, and that is a value of it. Absent: it has none.
	bool (*accepts)(const struct device *device, enum device_setting setting, uint64_t value);
	// Whether it has, at present, what such input comes from. Absent: it has not.
	bool (*takes_input)(const struct device *device, enum device_input_kind kind);
	// The requests of a port whose completion it waits for, which are that many. Absent: it
	// does not say.
	unsigned (*awaited)(const struct device *device, unsigned port,
		uint64_t names[DEVICE_IO_MAX]);

	// DATA PLANE, see above. Does a bounded part of what there is in the queues. `last`: nobody
	// looks again before the driver notifies, which it shall be asked for, and before a look
	// that comes behind that. Answers DEVICE_SERVED_*.
	unsigned (*serve)(struct device *device, bool last);
	// Does what serving noted. The caller owns the queues.
	void (*served)(struct device *device, struct guest_time now);
	// The queues have been taken back, for the machine is to be saved: goes on as without them.
	void (*recall)(struct device *device, struct guest_time now);

	// After a load into this (fresh) instance: recompute derived members, arm the timers and
	// drive the outputs again. The state has been checked. Guest memory is not there yet.
	void (*loaded)(struct device *device, struct guest_time now);
	// After that, with guest memory, and where nothing has to be as it was on another run: what
	// a guest must have spoiled there is its error, found now.
	void (*verify)(struct device *device, struct guest_time now);
};

// First member of every device struct. Host-only: STATE_DERIVED in its table.
struct device {
	const struct device_model *model;
	const struct device_env *env;
	void *owner;   // of the environment's
	uint16_t id;   // index in its VM: deterministic
	uint8_t reserved[6];
};

// Registered through a linker section with an explicit order, which is that of `info devices`.
#define DEVICE_MODEL_REGISTER(order, model_)                                                       \
	__attribute__((used, section("device_models." #order))) static const struct device_model   \
		*const model_##_registered = &(model_)

static inline void device_set_line(struct device *device, unsigned output, bool level)
{
	device->env->set_line(device, output, level);
}

static inline bool device_sample(struct device *device, unsigned input)
{
	return device->env->sample(device, input);
}

static inline void device_send_message(struct device *device,
	const struct interrupt_message *message)
{
	device->env->send_message(device, message);
}

// Bits 31:20 of the address of a message to local APICs. SDM vol. 3, 11.11.1.
enum { DEVICE_MSI_WINDOW = 0xfee };

// An MSI as a PCI function or an I/O APIC writes it. SDM vol. 3, 11.11.
static inline void device_send_msi(struct device *device, struct gpa address, uint32_t data)
{
	const struct interrupt_message message = {
		.destination = (uint32_t)(address.v >> 12) & 0xff,
		.logical = (address.v & 4) != 0,
		.vector = (uint8_t)data,
		.delivery = (data >> 8) & 7,
		.level = (data & 0x8000) != 0,
		.assert = true,
	};

	device->env->send_message(device, &message);
}

must_check static inline enum status device_dma_read(struct device *device, struct gpa from,
	void *to, size_t bytes)
{
	return device->env->dma_read(device, from, to, bytes);
}

must_check static inline enum status device_dma_write(struct device *device, struct gpa to,
	const void *from, size_t bytes)
{
	return device->env->dma_write(device, to, from, bytes);
}

must_check static inline enum status device_dma_map(struct device *device, struct gpa at,
	size_t bytes, bool writable, struct device_dma_map *map)
{
	return device->env->dma_map(device, at, bytes, writable, map);
}

static inline void device_dma_unmap(struct device *device, struct device_dma_map *map,
	size_t written)
{
	device->env->dma_unmap(device, map, written);
}

static inline void device_dma_written(struct device *device, const struct device_dma_map *map,
	uint64_t offset, size_t bytes)
{
	device->env->dma_written(device, map, offset, bytes);
}

static inline void device_arm_timer(struct device *device, unsigned timer,
	struct guest_time deadline)
{
	device->env->arm_timer(device, timer, deadline);
}

static inline void device_cancel_timer(struct device *device, unsigned timer)
{
	device->env->arm_timer(device, timer, GUEST_TIME_NEVER);
}

static inline void device_schedule_bottom_half(struct device *device, unsigned bottom_half)
{
	device->env->schedule_bottom_half(device, bottom_half);
}

must_check static inline enum status device_submit(struct device *device, unsigned port,
	const struct device_io *io)
{
	return device->env->submit(device, port, io);
}

static inline void device_take_data(struct device *device, unsigned port, void *to, size_t bytes)
{
	device->env->take_data(device, port, to, bytes);
}

static inline void device_drop(struct device *device, unsigned port, uint64_t request)
{
	device->env->drop(device, port, request);
}

must_check static inline enum status device_give_queues(struct device *device)
{
	return device->env->give_queues(device);
}

static inline void device_take_queues(struct device *device)
{
	device->env->take_queues(device);
}

static inline void device_kick_queues(struct device *device)
{
	device->env->kick_queues(device);
}

static inline void device_report(struct device *device, const char *what)
{
	device->env->report(device, what);
}

static inline void device_output(struct device *device, unsigned port, const uint8_t *bytes,
	size_t count)
{
	device->env->output(device, port, bytes, count);
}

static inline void device_send(struct device *device, unsigned port,
	const struct device_frame *frame)
{
	device->env->send(device, port, frame);
}

static inline void device_map_region(struct device *device, unsigned region,
	enum device_space space, uint64_t base, uint64_t bytes)
{
	device->env->map_region(device, region, space, base, bytes);
}

static inline void device_unmap_region(struct device *device, unsigned region)
{
	device->env->unmap_region(device, region);
}

static inline void device_memory_read(const struct device *device, uint64_t offset, void *to,
	size_t bytes)
{
	device->env->memory_read(device, offset, to, bytes);
}

static inline void device_memory_write(struct device *device, uint64_t offset, const void *from,
	size_t bytes)
{
	device->env->memory_write(device, offset, from, bytes);
}

static inline void device_request(struct device *device, enum device_request request,
	uint32_t argument)
{
	device->env->request(device, request, argument);
}

#endif
