// SPDX-License-Identifier: BSD-2-Clause
// In what boards differ: their chipsets, and where those have what.
#ifndef VM_PC_BOARD_H
#define VM_PC_BOARD_H

#include "emul/device.h"

struct vm;

enum pc_slot {
	PC_PIC, PC_IOAPIC, PC_PIT, PC_PORT61, PC_RTC, PC_ACPI_PM, PC_HOTPLUG, PC_PCI_HOST, PC_ISA,
	PC_RESET, PC_I8042, PC_UART, PC_PVPANIC, PC_DEBUGCON, PC_DEBUG_EXIT, PC_FW_CFG,
	PC_TEST_DISK, PC_VGA, PC_IDE, PC_HPET, PC_AHCI, PC_USB,
	PC_SLOTS
};

// Where a region is. Wider accesses than `max_bytes` reach an ISA device byte by byte.
struct pc_place {
	uint8_t slot, region, space, max_bytes;
	uint64_t base, bytes;
};

// A function of bus 0.
struct pc_function {
	uint8_t slot, device, function;
};

// A line from device to device.
struct pc_wire {
	uint8_t from, output, to, input;
};

// What firmware leaves in a configuration register.
struct pc_setting {
	uint8_t slot, offset, bytes, reserved;
	uint32_t value;
};

enum { PC_BOARD_LPC_DEVICE = 31 }; // of a Q35: its AHCI function is in it, too

struct pc_board {
	const char *name;
	// NULL: the board does not have it. A device may be in two slots.
	const struct device_model *models[PC_SLOTS];
	const struct pc_place *places; // beside those that all boards have
	const struct pc_function *functions;
	const struct pc_wire *wires; // the same
	const struct pc_setting *settings;
	uint8_t place_count, function_count, wire_count, setting_count;
	uint8_t pam;   // of the host bridge: its first PAM register
	bool has_ahci; // among its functions; else it is a card
	uint8_t reserved[2];
	// Of INTA# of a slot of bus 0: the input of the ISA bridge, and the ISA interrupt by the
	// settings above.
	unsigned (*card_input)(unsigned number);
	uint8_t (*card_irq)(unsigned number, unsigned pin); // pin: 1, INTA#, to 4
	uint64_t low_max; // of RAM below the PCI hole
	uint64_t ecam_base;
	uint64_t ecam_bytes;
};

const struct pc_board *pc_board(const struct vm *vm);
// Whether any board has such a device.
bool pc_board_has_model(const struct device_model *model);

#endif
