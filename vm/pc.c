// SPDX-License-Identifier: BSD-2-Clause
#include "vm/pc.h"

#include <stdlib.h>
#include <string.h>

#include "emul/acpi_pm.h"
#include "emul/debug_exit.h"
#include "emul/debugcon.h"
#include "emul/fw_cfg.h"
#include "emul/hpet.h"
#include "emul/i8042.h"
#include "emul/i8254.h"
#include "emul/i8259.h"
#include "emul/ide.h"
#include "emul/ioapic.h"
#include "emul/mc146818.h"
#include "emul/pci_host.h"
#include "emul/pci_hotplug.h"
#include "emul/pflash.h"
#include "emul/port61.h"
#include "emul/pvpanic.h"
#include "emul/reset_control.h"
#include "emul/test_disk.h"
#include "emul/uart16550.h"
#include "emul/vga.h"
#include "emul/virtio_blk.h"
#include "emul/virtio_net.h"
#include "vm/env.h"
#include "vm/firmware.h"
#include "vm/local_apic.h"
#include "vm/pc_board.h"
#include "vm/pc_internal.h"

#define IOAPIC_BASE 0xfec00000u

// Where regions of every board are.
static const struct pc_place places[] = {
	{PC_PIC, I8259_REGION_MASTER, DEVICE_SPACE_PORT, 1, 0x20, 2},
	{PC_PIC, I8259_REGION_SLAVE, DEVICE_SPACE_PORT, 1, 0xa0, 2},
	{PC_PIC, I8259_REGION_ELCR, DEVICE_SPACE_PORT, 1, 0x4d0, 2},
	{PC_PIT, I8254_REGION_PORTS, DEVICE_SPACE_PORT, 1, 0x40, 4},
	{PC_PORT61, PORT61_REGION_PORT, DEVICE_SPACE_PORT, 1, 0x61, 1},
	{PC_RTC, MC146818_REGION_PORTS, DEVICE_SPACE_PORT, 1, MC146818_PORT, MC146818_PORT_BYTES},
	{PC_ACPI_PM, ACPI_PM_REGION_SMI, DEVICE_SPACE_PORT, 1, ACPI_PM_SMI_PORT,
		ACPI_PM_SMI_BYTES},
	{PC_HOTPLUG, PCI_HOTPLUG_REGION_REGISTERS, DEVICE_SPACE_PORT, 4, PCI_HOTPLUG_PORT,
		PCI_HOTPLUG_PORT_BYTES},
	{PC_PCI_HOST, PCI_HOST_REGION_ADDRESS, DEVICE_SPACE_PORT, 4, PCI_HOST_ADDRESS_PORT,
		PCI_HOST_PORT_BYTES},
	{PC_PCI_HOST, PCI_HOST_REGION_DATA, DEVICE_SPACE_PORT, 0, PCI_HOST_DATA_PORT,
		PCI_HOST_PORT_BYTES},
	{PC_RESET, RESET_CONTROL_REGION_FAST, DEVICE_SPACE_PORT, 1, RESET_CONTROL_FAST_PORT, 1},
	{PC_RESET, RESET_CONTROL_REGION_RESET, DEVICE_SPACE_PORT, 1, RESET_CONTROL_RESET_PORT, 1},
	{PC_I8042, I8042_REGION_DATA, DEVICE_SPACE_PORT, 1, I8042_DATA_PORT, 1},
	{PC_I8042, I8042_REGION_COMMAND, DEVICE_SPACE_PORT, 1, I8042_COMMAND_PORT, 1},
	{PC_UART, UART16550_REGION_PORTS, DEVICE_SPACE_PORT, 1, 0x3f8, 8},
	{PC_PVPANIC, PVPANIC_REGION_PORT, DEVICE_SPACE_PORT, 1, 0x505, 1},
	{PC_DEBUG_EXIT, DEBUG_EXIT_REGION_PORTS, DEVICE_SPACE_PORT, 4, 0x501, 4},
	{PC_FW_CFG, FW_CFG_REGION_SELECTOR, DEVICE_SPACE_PORT, 2, FW_CFG_PORT, FW_CFG_PORT_BYTES},
	{PC_FW_CFG, FW_CFG_REGION_DMA, DEVICE_SPACE_PORT, 4, FW_CFG_DMA_PORT,
		FW_CFG_DMA_PORT_BYTES},
	{PC_VGA, VGA_REGION_PORTS, DEVICE_SPACE_PORT, 1, VGA_PORT, VGA_PORT_BYTES},
	{PC_VGA, VGA_REGION_DISPI, DEVICE_SPACE_PORT, 2, VGA_DISPI_PORT, VGA_DISPI_PORT_BYTES},
	{PC_VGA, VGA_REGION_WINDOW, DEVICE_SPACE_MMIO, 8, VGA_WINDOW, VGA_WINDOW_BYTES},
	{PC_IOAPIC, IOAPIC_REGION_PAGE, DEVICE_SPACE_MMIO, 8, IOAPIC_BASE, PAGE_BYTES},
	{PC_HPET, HPET_REGION_REGISTERS, DEVICE_SPACE_MMIO, 8, HPET_BASE, HPET_BYTES},
};

// Lines from device to device. ISA interrupts lead to the 8259 pair and to the I/O APIC; IRQ 0 is
// pin 2 there, as the MADT says.
static const struct pc_wire wires[] = {
	{PC_PIT, I8254_OUTPUT_OUT2, PC_PORT61, PORT61_INPUT_OUT2},
	{PC_PORT61, PORT61_OUTPUT_GATE2, PC_PIT, I8254_INPUT_GATE2},
	{PC_UART, UART16550_OUTPUT_IRQ, PC_PIC, 4},
	{PC_UART, UART16550_OUTPUT_IRQ, PC_IOAPIC, 4},
	{PC_ACPI_PM, ACPI_PM_OUTPUT_SCI, PC_PIC, 9},
	{PC_ACPI_PM, ACPI_PM_OUTPUT_SCI, PC_IOAPIC, 9},
	{PC_HOTPLUG, PCI_HOTPLUG_OUTPUT_EVENT, PC_ACPI_PM, ACPI_PM_INPUT_PCI_HOTPLUG},
	{PC_I8042, I8042_OUTPUT_KEYBOARD, PC_PIC, 1},
	{PC_I8042, I8042_OUTPUT_KEYBOARD, PC_IOAPIC, 1},
	{PC_I8042, I8042_OUTPUT_AUXILIARY, PC_PIC, 12},
	{PC_I8042, I8042_OUTPUT_AUXILIARY, PC_IOAPIC, 12},
	{PC_IDE, IDE_OUTPUT_IRQ, PC_PIC, 14},
	{PC_IDE, IDE_OUTPUT_IRQ, PC_IOAPIC, 14},
	{PC_IDE, IDE_OUTPUT_IRQ + 1, PC_PIC, 15},
	{PC_IDE, IDE_OUTPUT_IRQ + 1, PC_IOAPIC, 15},
};

// The PIT's and the RTC's interrupts, straight.
static const struct pc_wire clock_wires[] = {
	{PC_PIT, I8254_OUTPUT_OUT0, PC_PIC, 0},
	{PC_PIT, I8254_OUTPUT_OUT0, PC_IOAPIC, 2},
	{PC_RTC, MC146818_OUTPUT_IRQ, PC_PIC, 8},
	{PC_RTC, MC146818_OUTPUT_IRQ, PC_IOAPIC, 8},
};

// The same through the HPET, which can take their places.
static const struct pc_wire hpet_wires[] = {
	{PC_PIT, I8254_OUTPUT_OUT0, PC_HPET, HPET_INPUT_PIT},
	{PC_RTC, MC146818_OUTPUT_IRQ, PC_HPET, HPET_INPUT_RTC},
	{PC_HPET, HPET_OUTPUT_IRQ0, PC_PIC, 0},
	{PC_HPET, HPET_OUTPUT_PIN2, PC_IOAPIC, 2},
	{PC_HPET, HPET_OUTPUT_IRQ8, PC_PIC, 8},
	{PC_HPET, HPET_OUTPUT_IRQ8, PC_IOAPIC, 8},
};

extern const struct device_model *const device_models_start[];
extern const struct device_model *const device_models_end[];

// Devices are created, reset and numbered in this order, whatever order they were linked in.
static const struct device_model *pc_model(unsigned index)
{
	const struct device_model *const *at = device_models_start + index;

	return at < device_models_end ? *at : NULL;
}

// PC_SLOTS: the board does not have it.
static unsigned slot_find(const struct pc_board *board, const struct device_model *model)
{
	unsigned slot = 0;

	while (slot < PC_SLOTS && board->models[slot] != model)
		slot++;
	ASSERT(slot < PC_SLOTS || pc_board_has_model(model)); // registered, and without a place
	return slot;
}

static bool slot_wanted(const struct vm *vm, unsigned slot)
{
	return (slot != PC_DEBUGCON || vm->config.debugcon != 0) &&
		(slot != PC_DEBUG_EXIT || vm->config.debug_exit) &&
		(slot != PC_FW_CFG || vm->firmware != NULL) &&
		(slot != PC_HPET || vm->config.hpet) &&
		(slot != PC_VGA || vm->config.display == VM_DISPLAY_VGA) &&
		(slot != PC_USB || pc_usb_wanted(vm)) &&
		(slot != PC_TEST_DISK || pc_disk_of_kind(vm, VM_DISK_TEST, 0) != VM_DISKS_MAX) &&
		(slot != PC_IDE || pc_disk_of_kind(vm, VM_DISK_IDE, 0) != VM_DISKS_MAX) &&
		(slot != PC_AHCI || pc_disk_of_kind(vm, VM_DISK_AHCI, 0) != VM_DISKS_MAX);
}

struct device *pc_device_create(struct vm *vm, const struct device_model *model)
{
	struct vm_device *slot = &vm->devices[vm->device_count];
	struct device *device = calloc(1, model->instance_bytes);
	struct wire *outputs = calloc(model->outputs + 1u, sizeof(*outputs));

	if (device == NULL || outputs == NULL) {
		free(device);
		free(outputs);
		return NULL;
	}
	ASSERT(model->timers <= VM_DEVICE_TIMERS_MAX && vm->device_count < VM_DEVICES_MAX);
	*device = (struct device){.model = model, .env = &vm_env, .owner = slot,
		.id = (uint16_t)vm->device_count};
	*slot = (struct vm_device){.vm = vm, .device = device, .wires = outputs};
	for (unsigned i = 0; i < model->timers; i++)
		event_timer_init(&slot->timers[i], device->id, (uint16_t)i);
	vm->device_count++;
	return device;
}

void pc_wire_add(struct device *from, unsigned output, const struct wire_sink *sink)
{
	struct wire *wire = &((struct vm_device *)from->owner)->wires[output];

	for (unsigned i = 0; i < BUS_SINKS_MAX; i++)
		if (wire->sinks[i].kind == WIRE_NOWHERE) {
			wire->sinks[i] = *sink;
			return;
		}
	ASSERT_UNREACHABLE("a line with more ends than a wire can have");
}

// The first end that leads to the input, whether it is known to be shared or not, and whose output
// that is; NULL: none does.
static struct wire_sink *sink_find(struct vm *vm, const struct device *to, unsigned input,
	struct vm_device **owner)
{
	for (uint32_t i = 0; i < vm->device_count; i++) {
		struct vm_device *from = &vm->devices[i];

		for (unsigned output = 0; output < from->device->model->outputs; output++)
			for (unsigned n = 0; n < BUS_SINKS_MAX; n++) {
				struct wire_sink *sink = &from->wires[output].sinks[n];

				if (sink->kind == WIRE_DEVICE && sink->device == to &&
					sink->input == input) {
					*owner = from;
					return sink;
				}
			}
	}
	return NULL;
}

static void wire_to_device(struct vm *vm, struct device *from, unsigned output, struct device *to,
	unsigned input)
{
	struct wire_sink sink = {.kind = WIRE_DEVICE, .device = to, .input = (uint8_t)input};
	struct vm_device *owner = NULL;
	struct wire_sink *other = sink_find(vm, to, input, &owner);

	ASSERT(to != NULL);
	if (other != NULL) {
		other->shared = sink.shared = true;
		owner->shares_lines = ((struct vm_device *)from->owner)->shares_lines = true;
	}
	pc_wire_add(from, output, &sink);
}

static void wires_lead(struct vm *vm, struct device *const slots[PC_SLOTS],
	const struct pc_wire *wire, size_t count)
{
	for (; count > 0; wire++, count--)
		if (slots[wire->from] != NULL) // an optional one
			wire_to_device(vm, slots[wire->from], wire->output, slots[wire->to],
				wire->input);
}

static void clocks_wire(struct vm *vm, struct device *const slots[PC_SLOTS])
{
	if (slots[PC_HPET] == NULL) {
		wires_lead(vm, slots, clock_wires, ARRAY_COUNT(clock_wires));
		return;
	}
	wires_lead(vm, slots, hpet_wires, ARRAY_COUNT(hpet_wires));
	for (unsigned pin = 16; pin < HPET_OUTPUTS; pin++)
		wire_to_device(vm, slots[PC_HPET], pin, slots[PC_IOAPIC], pin);
}

// PCI functions share the PIRQs. The ISA bridge leads each to an ISA interrupt, which goes to both
// interrupt controllers as those of ISA devices do, or has inputs of the I/O APIC for them.
static void pci_interrupts_wire(struct vm *vm, struct device *const slots[PC_SLOTS])
{
	const unsigned outputs = slots[PC_ISA]->model->outputs;

	for (unsigned irq = 3; irq < I8259_INPUTS; irq++) {
		if (irq == 8 || irq == 13)
			continue;
		wire_to_device(vm, slots[PC_ISA], irq, slots[PC_PIC], irq);
		if (outputs == I8259_INPUTS)
			wire_to_device(vm, slots[PC_ISA], irq, slots[PC_IOAPIC], irq);
	}
	for (unsigned pin = I8259_INPUTS; pin < outputs; pin++)
		wire_to_device(vm, slots[PC_ISA], pin, slots[PC_IOAPIC], pin);
}

void pc_wire_map(struct device *from, unsigned output)
{
	pc_wire_add(from, output, &(struct wire_sink){.kind = WIRE_MAP});
}

static void shadow_wire(struct device *host)
{
	for (unsigned i = 0; i < PCI_HOST_OUTPUTS; i++)
		pc_wire_map(host, i);
}

static void function_place(struct vm *vm, struct device *device, unsigned number, unsigned function)
{
	unsigned at = number << 3 | function;

	ASSERT(device->model->pci != NULL);
	((struct vm_device *)device->owner)->function = (uint8_t)at;
	bus_map(&vm->bus, device, PCIDEV_REGION_CONFIG, DEVICE_SPACE_PCI, (uint64_t)at << 12,
		PCIDEV_CONFIG_BYTES, 4);
}

static void cmos_fill(struct vm *vm)
{
	uint64_t low = vm->ram.low_bytes, high = vm->ram.high_bytes / (64 * KIB);
	uint64_t extended = (low - MIB) / KIB;
	uint64_t above16 = low > 16 * MIB ? (low - 16 * MIB) / (64 * KIB) : 0;

	if (extended > 0xffff)
		extended = 0xffff;
	if (above16 > 0xffff)
		above16 = 0xffff;
	// As a PC's firmware leaves them: sizes in KiB, then in 64 KiB above 16 MiB and 4 GiB.
	mc146818_set_cmos(vm->rtc, 0x15, 639 & 0xff);
	mc146818_set_cmos(vm->rtc, 0x16, 639 >> 8);
	mc146818_set_cmos(vm->rtc, 0x17, (uint8_t)extended);
	mc146818_set_cmos(vm->rtc, 0x18, (uint8_t)(extended >> 8));
	mc146818_set_cmos(vm->rtc, 0x30, (uint8_t)extended);
	mc146818_set_cmos(vm->rtc, 0x31, (uint8_t)(extended >> 8));
	mc146818_set_cmos(vm->rtc, 0x34, (uint8_t)above16);
	mc146818_set_cmos(vm->rtc, 0x35, (uint8_t)(above16 >> 8));
	mc146818_set_cmos(vm->rtc, 0x5b, (uint8_t)high);
	mc146818_set_cmos(vm->rtc, 0x5c, (uint8_t)(high >> 8));
	mc146818_set_cmos(vm->rtc, 0x5d, (uint8_t)(high >> 16));
	mc146818_set_cmos(vm->rtc, 0x5f, (uint8_t)(vm->config.vcpus - 1)); // as QEMU has it
}

void pc_card_place(struct vm *vm, struct device *device, unsigned number,
	struct device *isa)
{
	function_place(vm, device, number, 0);
	wire_to_device(vm, device, PCIDEV_OUTPUT_INTX, isa, pc_board(vm)->card_input(number));
}

void pc_pci_place_next(struct vm *vm, struct device *device, struct device *isa)
{
	unsigned number = PC_PCI_FIRST_FREE;

	for (uint32_t i = 0; i < vm->device_count; i++) {
		unsigned at = vm->devices[i].function >> 3;

		if (at >= number && at < PC_PCI_CARDS_END)
			number = at + 1;
	}
	pc_card_place(vm, device, number, isa);
}

// Each vcpu, disk, NIC and flash has its own.
static bool is_of_board(const struct device_model *model)
{
	return model != &lapic_model && model != &virtio_blk_model && model != &virtio_net_model &&
		model != &pflash_model;
}

// Devices are created in the order of their models.
static enum status slots_fill(struct vm *vm, const struct pc_board *board,
	struct device *slots[PC_SLOTS])
{
	const struct device_model *model;

	for (unsigned i = 0; (model = pc_model(i)) != NULL; i++) {
		struct device *device;
		unsigned slot;

		if (!is_of_board(model) || pc_virtio_has_model(model))
			continue;
		slot = slot_find(board, model);
		if (slot == PC_SLOTS || !slot_wanted(vm, slot))
			continue;
		device = pc_device_create(vm, model);
		if (device == NULL)
			return STATUS_FAIL(STATUS_NO_MEMORY);
		for (; slot < PC_SLOTS; slot++)
			if (board->models[slot] == model)
				slots[slot] = device;
	}
	return STATUS_OK;
}

static void places_map(struct vm *vm, struct device *const slots[PC_SLOTS],
	const struct pc_place *place, size_t count)
{
	for (; count > 0; place++, count--)
		if (slots[place->slot] != NULL)
			bus_map(&vm->bus, slots[place->slot], place->region, place->space,
				place->base, place->bytes, place->max_bytes);
}

// What the rest of vm/ knows by name.
static void slots_name(struct vm *vm, struct device *const slots[PC_SLOTS])
{
	vm->pic = slots[PC_PIC];
	vm->ioapic = slots[PC_IOAPIC];
	vm->rtc = slots[PC_RTC];
	vm->acpi_pm = slots[PC_ACPI_PM];
	vm->isa = slots[PC_ISA];
	vm->ide = slots[PC_IDE];
	vm->ahci = slots[PC_AHCI];
	vm->pci_host = slots[PC_PCI_HOST];
	vm->hotplug = slots[PC_HOTPLUG];
	if (vm->input == NULL)
		vm->input = slots[PC_UART];
	vm->display = slots[PC_VGA];
}

static enum status cards_create(struct vm *vm, struct device *const slots[PC_SLOTS])
{
	if (pc_disks_create(vm, &(struct pc_disk_controllers){.test_disk = slots[PC_TEST_DISK],
		.ide = slots[PC_IDE], .ahci = slots[PC_AHCI], .isa = slots[PC_ISA],
		.hotplug = slots[PC_HOTPLUG]}) !=
		STATUS_OK ||
		pc_virtio_create(vm, slots[PC_ISA]) != STATUS_OK ||
		pc_nics_create(vm, slots[PC_ISA]) != STATUS_OK ||
		pc_flash_create(vm) != STATUS_OK)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	if (slots[PC_AHCI] != NULL && !pc_board(vm)->has_ahci)
		pc_card_place(vm, slots[PC_AHCI], pc_ahci_device(vm), slots[PC_ISA]);
	if (slots[PC_TEST_DISK] != NULL)
		pc_pci_place_next(vm, slots[PC_TEST_DISK], slots[PC_ISA]);
	return STATUS_OK;
}

enum status pc_create(struct vm *vm)
{
	const struct pc_board *board = pc_board(vm);
	struct device *slots[PC_SLOTS] = {NULL};

	vm->devices = calloc(VM_DEVICES_MAX, sizeof(*vm->devices));
	if (vm->devices == NULL || slots_fill(vm, board, slots) != STATUS_OK)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	places_map(vm, slots, places, ARRAY_COUNT(places));
	places_map(vm, slots, board->places, board->place_count);
	if (slots[PC_DEBUGCON] != NULL)
		bus_map(&vm->bus, slots[PC_DEBUGCON], DEBUGCON_REGION_PORT, DEVICE_SPACE_PORT,
			vm->config.debugcon, 1, 1);
	for (unsigned i = 0; i < board->function_count; i++) {
		const struct pc_function *function = &board->functions[i];

		if (slots[function->slot] != NULL)
			function_place(vm, slots[function->slot], function->device,
				function->function);
	}
	wires_lead(vm, slots, wires, ARRAY_COUNT(wires));
	wires_lead(vm, slots, board->wires, board->wire_count);
	clocks_wire(vm, slots);
	pci_interrupts_wire(vm, slots);
	shadow_wire(slots[PC_PCI_HOST]);
	if (cards_create(vm, slots) != STATUS_OK)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	pc_wire_add(slots[PC_PIC], I8259_OUTPUT_INTR, &(struct wire_sink){.kind = WIRE_LOCAL_APIC});
	slots_name(vm, slots);
	if (vm->display != NULL)
		vga_configure(vm->display, vm->config.display_rom,
			(uint32_t)vm->config.display_rom_bytes);
	if (slots[PC_USB] != NULL && pc_usb_create(vm, slots[PC_USB]) != STATUS_OK)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	mc146818_configure(vm->rtc, vm->config.rtc_epoch);
	if (slots[PC_FW_CFG] != NULL)
		fw_cfg_configure(slots[PC_FW_CFG], vm->firmware->items, vm->firmware->item_count);
	cmos_fill(vm);
	return STATUS_OK;
}

void pc_destroy(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->device_count; i++) {
		backend_destroy(&vm->devices[i]);
		free(vm->devices[i].device);
		free(vm->devices[i].wires);
	}
	free(vm->packets);
	vm->packets = NULL;
	free(vm->devices);
	vm->devices = NULL;
	vm->device_count = 0;
}
