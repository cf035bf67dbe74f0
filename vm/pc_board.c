// SPDX-License-Identifier: BSD-2-Clause
// The two boards: a PC with a 440FX and a PIIX3, and a Q35 with an ICH9. Functions are where QEMU's
// machines of these names have them; displays and cards are in the same slots on both.
#include "vm/pc_board.h"

#include "emul/acpi_pm.h"
#include "emul/ahci.h"
#include "emul/debug_exit.h"
#include "emul/debugcon.h"
#include "emul/fw_cfg.h"
#include "emul/hpet.h"
#include "emul/i8042.h"
#include "emul/i8254.h"
#include "emul/i8259.h"
#include "emul/ich9_lpc.h"
#include "emul/ide.h"
#include "emul/ioapic.h"
#include "emul/mc146818.h"
#include "emul/pci_host.h"
#include "emul/pci_hotplug.h"
#include "emul/piix3.h"
#include "emul/port61.h"
#include "emul/pvpanic.h"
#include "emul/reset_control.h"
#include "emul/test_disk.h"
#include "emul/uart16550.h"
#include "emul/uhci.h"
#include "emul/vga.h"
#include "vm/pc.h"
#include "vm/vm.h"

enum {
	PCI_DISPLAY = 2, // device of bus 0
	USB_DEVICE = 29,
	AHCI_FUNCTION = 2,
	PCI_FIRST_IRQ = 10, // of PIRQA# and PIRQB#, and of PIRQE# and PIRQF#
	PCI_SECOND_IRQ = 11,
	SCI_IRQ = 9,
};
#define PIRQ_ROUTES 0x0b0b0a0a
#define RCBA        0xfed1c000

#define COMMON_MODELS                                                                              \
	[PC_PIC] = &i8259_model, [PC_IOAPIC] = &ioapic_model, [PC_PIT] = &i8254_model,             \
	[PC_PORT61] = &port61_model, [PC_RTC] = &mc146818_model,                                   \
	[PC_HOTPLUG] = &pci_hotplug_model, [PC_RESET] = &reset_control_model,                      \
	[PC_I8042] = &i8042_model, [PC_UART] = &uart16550_model, [PC_PVPANIC] = &pvpanic_model,    \
	[PC_DEBUGCON] = &debugcon_model, [PC_DEBUG_EXIT] = &debug_exit_model,                      \
	[PC_FW_CFG] = &fw_cfg_model, [PC_TEST_DISK] = &test_disk_model, [PC_VGA] = &vga_model,     \
	[PC_HPET] = &hpet_model, [PC_AHCI] = &ahci_model, [PC_USB] = &uhci_model

static uint8_t irq_of_pirq(unsigned pirq)
{
	return pirq % 4 < 2 ? PCI_FIRST_IRQ : PCI_SECOND_IRQ;
}

// ---- pc

static const struct pc_place i440fx_places[] = {
	{PC_PCI_HOST, PCI_HOST_REGION_ECAM, DEVICE_SPACE_MMIO, 0, PC_ECAM_BASE,
		PCI_HOST_ECAM_BYTES},
};

static const struct pc_function i440fx_functions[] = {
	{PC_PCI_HOST, 0, 0},
	{PC_ISA, 1, 0},
	{PC_IDE, 1, 1},
	{PC_USB, 1, 2},
	{PC_ACPI_PM, 1, 3},
	{PC_VGA, PCI_DISPLAY, 0},
};

static const struct pc_wire i440fx_wires[] = {
	{PC_USB, PCIDEV_OUTPUT_INTX, PC_ISA, 3 * PIIX3_PIRQ_INPUTS + 1}, // INTD of device 1
};

static const struct pc_setting i440fx_settings[] = {
	{.slot = PC_ISA, .offset = PIIX3_PIRQ_ROUTE, .bytes = 4, .value = PIRQ_ROUTES},
	{.slot = PC_IDE, .offset = IDE_TIMING, .bytes = 4,
		.value = IDE_TIMING_DECODE | (uint32_t)IDE_TIMING_DECODE << 16},
	{.slot = PC_ACPI_PM, .offset = PCIDEV_INTERRUPT_LINE, .bytes = 1, .value = SCI_IRQ},
	{.slot = PC_ACPI_PM, .offset = ACPI_PM_PMBASE, .bytes = 4, .value = ACPI_PM_BASE},
	{.slot = PC_ACPI_PM, .offset = ACPI_PM_PMREGMISC, .bytes = 1,
		.value = ACPI_PM_PMREGMISC_ENABLE},
};

// Pins are swizzled over the PIRQs.
static unsigned piix3_pirq(unsigned number)
{
	return (number - 1) % PIIX3_PIRQS;
}

static unsigned piix3_input(unsigned number)
{
	return piix3_pirq(number) * PIIX3_PIRQ_INPUTS + number;
}

static uint8_t piix3_irq(unsigned number, unsigned pin)
{
	return irq_of_pirq((piix3_pirq(number) + pin - 1) % 4);
}

// ---- q35

static const struct pc_function q35_functions[] = {
	{PC_PCI_HOST, 0, 0},
	{PC_VGA, PCI_DISPLAY, 0},
	{PC_USB, USB_DEVICE, 0},
	{PC_ISA, PC_BOARD_LPC_DEVICE, 0},
	{PC_AHCI, PC_BOARD_LPC_DEVICE, AHCI_FUNCTION},
};

static const struct pc_wire q35_wires[] = {
	{PC_USB, PCIDEV_OUTPUT_INTX, PC_ISA, ICH9_LPC_INPUT_OWN + 2}, // INTD
	{PC_AHCI, PCIDEV_OUTPUT_INTX, PC_ISA, ICH9_LPC_INPUT_SLOT + PC_BOARD_LPC_DEVICE},
};

static const struct pc_setting q35_settings[] = {
	{.slot = PC_PCI_HOST, .offset = MCH_PCIEXBAR, .bytes = 4,
		.value = MCH_ECAM_BASE | MCH_PCIEXBAR_ENABLE},
	{.slot = PC_ISA, .offset = ICH9_LPC_PIRQ_ROUTE, .bytes = 4, .value = PIRQ_ROUTES},
	{.slot = PC_ISA, .offset = ICH9_LPC_PIRQ_ROUTE_E, .bytes = 4, .value = PIRQ_ROUTES},
	{.slot = PC_ISA, .offset = ACPI_PM_PMBASE, .bytes = 4, .value = ACPI_PM_BASE},
	{.slot = PC_ISA, .offset = ICH9_LPC_ACPI_CNTL, .bytes = 1, .value = ICH9_LPC_ACPI_ENABLE},
	{.slot = PC_ISA, .offset = ICH9_LPC_RCBA, .bytes = 4,
		.value = RCBA | ICH9_LPC_RCBA_ENABLE},
};

static unsigned lpc_input(unsigned number)
{
	return ICH9_LPC_INPUT_SLOT + number;
}

// Pins are swizzled over PIRQA# to PIRQD#, or over the other four.
static uint8_t lpc_irq(unsigned number, unsigned pin)
{
	unsigned pirq = ich9_lpc_pirq(number);

	return irq_of_pirq((pirq & 4) | ((pirq + pin - 1) & 3));
}

static const struct pc_board boards[] = {
	[VM_MACHINE_PC] = {
		.name = "pc",
		.models = {COMMON_MODELS, [PC_PCI_HOST] = &pci_host_model, [PC_ISA] = &piix3_model,
			[PC_ACPI_PM] = &acpi_pm_model, [PC_IDE] = &ide_model},
		.places = i440fx_places,
		.place_count = ARRAY_COUNT(i440fx_places),
		.functions = i440fx_functions,
		.function_count = ARRAY_COUNT(i440fx_functions),
		.wires = i440fx_wires,
		.wire_count = ARRAY_COUNT(i440fx_wires),
		.settings = i440fx_settings,
		.setting_count = ARRAY_COUNT(i440fx_settings),
		.pam = PCI_HOST_PAM,
		.card_input = piix3_input,
		.card_irq = piix3_irq,
		.low_max = GUEST_RAM_LOW_MAX,
		.ecam_base = PC_ECAM_BASE,
		.ecam_bytes = PCI_HOST_ECAM_BYTES,
	},
	[VM_MACHINE_Q35] = {
		.name = "q35",
		.models = {COMMON_MODELS, [PC_PCI_HOST] = &mch_model, [PC_ISA] = &ich9_lpc_model,
			[PC_ACPI_PM] = &ich9_lpc_model},
		.functions = q35_functions,
		.function_count = ARRAY_COUNT(q35_functions),
		.wires = q35_wires,
		.wire_count = ARRAY_COUNT(q35_wires),
		.settings = q35_settings,
		.setting_count = ARRAY_COUNT(q35_settings),
		.pam = MCH_PAM,
		.has_ahci = true,
		.card_input = lpc_input,
		.card_irq = lpc_irq,
		.low_max = 2 * GIB, // ECAM is above
		.ecam_base = MCH_ECAM_BASE,
		.ecam_bytes = MCH_ECAM_BYTES,
	},
};

const struct pc_board *pc_board(const struct vm *vm)
{
	ASSERT(vm->config.machine < ARRAY_COUNT(boards));
	return &boards[vm->config.machine];
}

bool pc_board_has_model(const struct device_model *model)
{
	for (unsigned i = 0; i < ARRAY_COUNT(boards); i++)
		for (unsigned slot = 0; slot < PC_SLOTS; slot++)
			if (boards[i].models[slot] == model)
				return true;
	return false;
}
