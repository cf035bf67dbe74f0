// SPDX-License-Identifier: BSD-2-Clause
// A UHCI host controller: the USB function of a PIIX3. Its root hub: uhci_ports.c; the schedule:
// uhci_schedule.c.
//
// Specification: Universal Host Controller Interface (UHCI) Design Guide 1.1, 2 (registers), 4
// (interrupts), 5.2 (legacy support); Intel 82371SB (PIIX3) data sheet, 2.4 (function 2).
//
// While it runs a timer tells the end of each frame, of 1 ms or what the SOF register makes of it.
// It has to: what the guest writes into its schedule is no stimulus. A controller that does not
// run, or that is suspended, needs no time at all.
//
// Left out on purpose: system management interrupts of legacy support, whose bits are kept.
//
// Entered by the VM's bus only.
#include "emul/uhci_internal.h"

#include <string.h>

enum {
	REGISTER_COMMAND = 0x00,
	REGISTER_STATUS = 0x02,
	REGISTER_ENABLES = 0x04,
	REGISTER_FRAME = 0x06,
	REGISTER_LIST = 0x08, // 4 bytes
	REGISTER_LIST_HIGH = 0x0a,
	REGISTER_SOF = 0x0c, // 1 byte
	REGISTER_PORTS = 0x10,
	REGISTER_BYTES = 0x20,
	NO_PORT = 0xff7f, // bit 7 says that there is none

	FRAME_BITS_BASE = 11936, // 2.1.6: of a frame, beside the SOF register
	FRAME_BITS_NS_12 = 1000, // a bit is 1000 / 12 ns
	BEHIND_MAX = 64,         // frames that are made good
	SOF_MAX = 0x7f,
};

static const struct pcidev_register uhci_registers[] = {
	{.offset = 0x60, .bytes = 1, .reset = 0x10}, // SBRNUM: USB 1.0
	{.offset = UHCI_LEGACY, .bytes = 2, .reset = UHCI_LEGACY_PIRQ, .writable = 0x20bf,
		.clears = 0x8f00},
};

static const struct pcidev_info uhci_info = {
	.vendor = 0x8086,
	.device = 0x7020,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x0c0300,
	.revision = 1,
	.pin = 4,
	.command = PCIDEV_COMMAND_MASTER,
	.bars = {[UHCI_REGION_REGISTERS] = {.kind = PCIDEV_BAR_PORTS, .bytes = REGISTER_BYTES}},
	.registers = uhci_registers,
	.register_count = ARRAY_COUNT(uhci_registers),
};

static struct uhci *uhci_of(struct device *device)
{
	return CONTAINER_OF(device, struct uhci, pci.device);
}

// 4.1, and 5.2.1 for whether it gets anywhere.
static bool interrupts(const struct uhci *uhci)
{
	enum { ALWAYS = UHCI_STATUS_SYSTEM_ERROR | UHCI_STATUS_PROCESS_ERROR };
	uint16_t status = uhci->status, enables = uhci->enables;
	bool done = ((uhci->done & UHCI_DONE_COMPLETE) != 0 &&
		(enables & UHCI_ENABLE_COMPLETE) != 0) ||
		((uhci->done & UHCI_DONE_SHORT) != 0 && (enables & UHCI_ENABLE_SHORT) != 0);

	if ((pcidev_get(&uhci->pci, UHCI_LEGACY, 2) & UHCI_LEGACY_PIRQ) == 0)
		return false;
	return done || (status & ALWAYS) != 0 ||
		((status & UHCI_STATUS_ERROR) != 0 && (enables & UHCI_ENABLE_ERROR) != 0) ||
		((status & UHCI_STATUS_RESUME) != 0 && (enables & UHCI_ENABLE_RESUME) != 0);
}

static bool is_requested(const struct uhci *uhci)
{
	return (pcidev_get(&uhci->pci, PCIDEV_STATUS, 2) & PCIDEV_STATUS_INTX) != 0;
}

void uhci_irq_update(struct uhci *uhci)
{
	bool wanted = interrupts(uhci);

	if (wanted != is_requested(uhci))
		pcidev_intx(&uhci->pci, wanted);
}

static bool is_running(const struct uhci *uhci)
{
	return (uhci->command & (UHCI_COMMAND_RUN | UHCI_COMMAND_SUSPEND)) == UHCI_COMMAND_RUN;
}

static uint64_t frame_ns(const struct uhci *uhci)
{
	return (uint64_t)(FRAME_BITS_BASE + uhci->sof) * FRAME_BITS_NS_12 / 12;
}

static void timer_update(struct uhci *uhci)
{
	device_arm_timer(&uhci->pci.device, 0,
		is_running(uhci) ? uhci->frame_end : GUEST_TIME_NEVER);
}

void uhci_halt(struct uhci *uhci, uint16_t error)
{
	uhci->command &= (uint16_t)~UHCI_COMMAND_RUN;
	uhci->status |= UHCI_STATUS_HALTED | error;
}

static void registers_reset(struct uhci *uhci)
{
	uhci->frame_end = (struct guest_time){0};
	uhci->frame_list = 0;
	uhci->command = uhci->enables = uhci->frame = 0;
	uhci->status = UHCI_STATUS_HALTED;
	uhci->sof = UHCI_SOF_DEFAULT;
	uhci->done = 0;
}

// 2.1.1, HCRESET: all are as if they had been unplugged and plugged in again.
static void controller_reset(struct uhci *uhci)
{
	uint16_t enabled[UHCI_PORTS];

	memcpy(enabled, uhci->ports, sizeof(enabled));
	registers_reset(uhci);
	uhci_ports_reset(uhci);
	for (unsigned i = 0; i < UHCI_PORTS; i++)
		if ((enabled[i] & UHCI_PORT_ENABLED) != 0)
			uhci->ports[i] |= UHCI_PORT_ENABLE_CHANGE;
}

// 2.1.1, GRESET: the bus as well, until the bit is cleared.
static void global_reset(struct uhci *uhci)
{
	uhci_devices_reset(uhci);
	registers_reset(uhci);
	uhci_ports_reset(uhci);
	uhci->command = UHCI_COMMAND_GLOBAL_RESET;
}

static void command_write(struct uhci *uhci, struct guest_time now, uint16_t value)
{
	bool ran = is_running(uhci);

	if ((value & UHCI_COMMAND_GLOBAL_RESET) != 0) {
		global_reset(uhci);
	} else if ((value & UHCI_COMMAND_RESET) != 0) {
		controller_reset(uhci);
	} else {
		uhci->command = value & UHCI_COMMAND_BITS;
		if ((value & UHCI_COMMAND_RUN) != 0)
			uhci->status &= (uint16_t)~UHCI_STATUS_HALTED;
		else
			uhci->status |= UHCI_STATUS_HALTED;
	}
	if (is_running(uhci) && !ran)
		uhci->frame_end.ns = now.ns + frame_ns(uhci);
	timer_update(uhci);
	uhci_irq_update(uhci);
}

static void status_write(struct uhci *uhci, uint16_t value)
{
	uhci->status &= (uint16_t)~value;
	if ((value & UHCI_STATUS_INTERRUPT) != 0)
		uhci->done = 0;
	uhci_irq_update(uhci);
}

static uint16_t register_read(const struct uhci *uhci, unsigned offset)
{
	switch (offset) {
	case REGISTER_COMMAND:
		return uhci->command;
	case REGISTER_STATUS:
		return uhci->status;
	case REGISTER_ENABLES:
		return uhci->enables;
	case REGISTER_FRAME:
		return uhci->frame;
	case REGISTER_LIST:
		return (uint16_t)uhci->frame_list;
	case REGISTER_LIST_HIGH:
		return (uint16_t)(uhci->frame_list >> 16);
	case REGISTER_SOF:
		return uhci->sof;
	case REGISTER_PORTS:
	case REGISTER_PORTS + 2:
		return uhci_port_read(uhci, (offset - REGISTER_PORTS) / 2);
	default:
		return offset < REGISTER_PORTS ? 0 : NO_PORT;
	}
}

static void register_write(struct uhci *uhci, struct guest_time now, unsigned offset,
	uint16_t value)
{
	switch (offset) {
	case REGISTER_COMMAND:
		command_write(uhci, now, value);
		break;
	case REGISTER_STATUS:
		status_write(uhci, value);
		break;
	case REGISTER_ENABLES:
		uhci->enables = value & UHCI_ENABLE_BITS;
		uhci_irq_update(uhci);
		break;
	case REGISTER_FRAME: // 2.1.4: only while it does not run
		if ((uhci->command & UHCI_COMMAND_RUN) == 0)
			uhci->frame = value & UHCI_FRAME_BITS;
		break;
	case REGISTER_LIST:
		uhci->frame_list = (uhci->frame_list & 0xffff0000) | (value & 0xf000u);
		break;
	case REGISTER_LIST_HIGH:
		uhci->frame_list = (uhci->frame_list & 0xf000) | (uint32_t)value << 16;
		break;
	case REGISTER_SOF:
		uhci->sof = value & SOF_MAX;
		break;
	case REGISTER_PORTS:
	case REGISTER_PORTS + 2:
		uhci_port_write(uhci, (offset - REGISTER_PORTS) / 2, value);
		break;
	default:
		break;
	}
}

// Bits that a one clears: the half of a register that is not written has none.
static uint16_t cleared_by_ones(unsigned offset)
{
	if (offset == REGISTER_STATUS)
		return UHCI_STATUS_BITS;
	return offset >= REGISTER_PORTS ? UHCI_PORT_CHANGES : 0;
}

static uint64_t registers_read(const struct uhci *uhci, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++) {
		unsigned at = (unsigned)offset + i;

		value |= (uint64_t)(register_read(uhci, at & ~1u) >> 8 * (at & 1) & 0xff) << 8 * i;
	}
	return value;
}

// Registers of 16 bits; a byte is written with the other half as it is.
static void registers_write(struct uhci *uhci, struct guest_time now, uint64_t offset,
	unsigned size, uint64_t value)
{
	unsigned at = (unsigned)offset & ~1u, shift = 8 * ((unsigned)offset & 1);
	uint64_t mask = size >= 8 ? UINT64_MAX : BIT(8 * size) - 1;

	if (size > 4)
		return;
	value = (value & mask) << shift;
	mask <<= shift;
	for (; mask != 0; at += 2, mask >>= 16, value >>= 16) {
		uint16_t kept = register_read(uhci, at) & (uint16_t)~mask &
			(uint16_t)~cleared_by_ones(at);

		register_write(uhci, now, at, (uint16_t)(kept | (uint16_t)value));
	}
}

static uint64_t uhci_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct uhci *uhci = uhci_of(device);

	(void)now;
	return region == PCIDEV_REGION_CONFIG ? pcidev_read(&uhci->pci, offset, size)
		: registers_read(uhci, offset, size);
}

static void uhci_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct uhci *uhci = uhci_of(device);

	if (region != PCIDEV_REGION_CONFIG) {
		registers_write(uhci, now, offset, size, value);
		return;
	}
	pcidev_write(&uhci->pci, offset, size, value);
	uhci_irq_update(uhci);
}

// The frame ends. Of a machine that has not been let run for long, some are left out.
static void uhci_timer(struct device *device, struct guest_time now, unsigned timer)
{
	struct uhci *uhci = uhci_of(device);
	uint64_t length = frame_ns(uhci), behind;

	(void)timer;
	if (!is_running(uhci))
		return; // of a state that was loaded, and contradicts itself
	behind = now.ns > uhci->frame_end.ns ? (now.ns - uhci->frame_end.ns) / length : 0;
	if (behind > BEHIND_MAX) {
		uhci->frame = (uint16_t)(uhci->frame + behind) & UHCI_FRAME_BITS;
		uhci->frame_end.ns += behind * length;
	}
	uhci_frame(uhci, now);
	uhci->frame = (uhci->frame + 1) & UHCI_FRAME_BITS;
	uhci->frame_end.ns += length;
	timer_update(uhci);
}

static void uhci_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct uhci *uhci = uhci_of(device);

	(void)now;
	pcidev_reset(&uhci->pci);
	registers_reset(uhci);
	memset(uhci->reserved, 0, sizeof(uhci->reserved));
	if (kind != DEVICE_RESET_LINE)
		uhci_devices_power_on(uhci);
	uhci_devices_reset(uhci);
	uhci_ports_reset(uhci);
}

static bool uhci_level(const struct device *device, struct guest_time now, unsigned output)
{
	(void)now;
	(void)output;
	return pcidev_level(CONTAINER_OF(device, const struct pcidev, device));
}

static bool uhci_accepts(const struct device *device, enum device_setting setting, uint64_t value)
{
	const struct uhci *uhci = CONTAINER_OF(device, const struct uhci, pci.device);
	struct uhci_device_info info;

	if ((setting != DEVICE_SETTING_PLUG && setting != DEVICE_SETTING_UNPLUG) ||
		value >= UHCI_DEVICES || uhci->places[value] == UHCI_NOWHERE)
		return false;
	return uhci_device_describe(device, (unsigned)value, &info) ==
		(setting == DEVICE_SETTING_UNPLUG);
}

static void uhci_set(struct device *device, struct guest_time now, enum device_setting setting,
	uint64_t value)
{
	(void)now;
	uhci_device_plug(uhci_of(device), (unsigned)value, setting == DEVICE_SETTING_PLUG);
}

static bool uhci_takes_input(const struct device *device, enum device_input_kind kind)
{
	const struct uhci *uhci = CONTAINER_OF(device, const struct uhci, pci.device);

	for (unsigned i = 0; i < UHCI_HIDS; i++)
		if (uhci_takes(uhci, i, kind))
			return true;
	return false;
}

static void uhci_device_input(struct device *device, struct guest_time now,
	const struct device_input *input)
{
	(void)now;
	uhci_input(uhci_of(device), input);
}

static void uhci_complete(struct device *device, struct guest_time now, unsigned port,
	uint64_t request, enum status status)
{
	(void)now;
	usb_storage_completed(&uhci_of(device)->disks[port % UHCI_DISKS], request, status);
}

static unsigned uhci_awaited(const struct device *device, unsigned port,
	uint64_t names[DEVICE_IO_MAX])
{
	const struct uhci *uhci = CONTAINER_OF(device, const struct uhci, pci.device);

	if (port >= UHCI_DISKS || uhci->disks[port].asked != USB_STORAGE_ASKED)
		return 0;
	names[0] = uhci->disks[port].name;
	return 1;
}

static void uhci_loaded(struct device *device, struct guest_time now)
{
	struct uhci *uhci = uhci_of(device);

	(void)now;
	pcidev_loaded(&uhci->pci);
	timer_update(uhci);
}

static const char *uhci_check(const void *instance)
{
	const struct uhci *uhci = instance;
	const char *problem = pcidev_check(&uhci->pci, &uhci_info);

	if (problem != NULL)
		return problem;
	if (is_requested(uhci) != interrupts(uhci))
		return "an interrupt that contradicts itself";
	if ((uhci->status & UHCI_STATUS_INTERRUPT) == 0 && uhci->done != 0)
		return "what is done, and is not told";
	if ((uhci->frame_list & (PAGE_BYTES - 1)) != 0)
		return "a frame list within a page";
	if (is_running(uhci) && uhci->frame_end.ns == GUEST_TIME_NEVER.ns)
		return "a frame without end";
	return uhci_ports_check(uhci);
}

static const struct state_field uhci_fields[] = {
	PCIDEV_STATE(struct uhci),
	STATE_DERIVED(struct uhci, attached),
	STATE_ANY(struct uhci, frame_end.ns),
	STATE_ANY(struct uhci, frame_list),
	STATE_VALUE(struct uhci, command, 0, UHCI_COMMAND_BITS),
	STATE_VALUE(struct uhci, status, 0, UHCI_STATUS_BITS),
	STATE_VALUE(struct uhci, enables, 0, UHCI_ENABLE_BITS),
	STATE_VALUE(struct uhci, frame, 0, UHCI_FRAME_BITS),
	STATE_ARRAY_ANY(struct uhci, ports),
	STATE_VALUE(struct uhci, sof, 0, SOF_MAX),
	STATE_VALUE(struct uhci, done, 0, UHCI_DONE_BITS),
	STATE_DERIVED(struct uhci, reserved),
	STATE_ARRAY(struct uhci, places, 0, UHCI_PLACE_MAX),
	USB_HID_STATE(struct uhci, hids),
	USB_HID_EVENTS_STATE(struct uhci, hids[0]),
	USB_HID_EVENTS_STATE(struct uhci, hids[1]),
	USB_HID_EVENTS_STATE(struct uhci, hids[2]),
	USB_HUB_STATE(struct uhci, hubs),
	USB_HUB_PORTS_STATE(struct uhci, hubs[0]),
	USB_STORAGE_STATE(struct uhci, disks),
	STATE_ARRAY_ANY(struct uhci, disks[0].buffer),
	STATE_ARRAY_ANY(struct uhci, disks[1].buffer),
	STATE_ARRAY_ANY(struct uhci, disks[2].buffer),
	STATE_ARRAY_ANY(struct uhci, disks[3].buffer),
};

static const struct state_table uhci_state =
	STATE_TABLE("piix3-usb-uhci", 1, struct uhci, uhci_fields, uhci_check);

const struct device_model uhci_model = {
	.name = "piix3-usb-uhci",
	.description = "USB: a UHCI controller and its devices",
	.instance_bytes = sizeof(struct uhci),
	.timers = 1,
	.outputs = 1,
	.state = &uhci_state,
	.pci = &uhci_info,
	.reset = uhci_reset,
	.read = uhci_read,
	.write = uhci_write,
	.timer = uhci_timer,
	.set = uhci_set,
	.input = uhci_device_input,
	.level = uhci_level,
	.accepts = uhci_accepts,
	.takes_input = uhci_takes_input,
	.complete = uhci_complete,
	.awaited = uhci_awaited,
	.loaded = uhci_loaded,
};

DEVICE_MODEL_REGISTER(198, uhci_model);
