// SPDX-License-Identifier: BSD-2-Clause
// The board at a reset, and as firmware would leave it for a kernel that is booted directly.
#include "emul/i8042.h"
#include "emul/i8259.h"
#include "emul/pci_host.h"
#include "vm/local_apic.h"
#include "vm/pc.h"
#include "vm/pc_board.h"
#include "vm/slot.h"
#include "vm/vm.h"

static void lapic_page_write(struct vm_vcpu *vcpu, unsigned reg, uint32_t value,
	struct guest_time now)
{
	local_apic_write(vcpu, (struct gpa){LAPIC_BASE_DEFAULT + reg * 16}, 4, value, now);
}

static void lapic_reset(struct vm_vcpu *vcpu, struct guest_time now, enum device_reset kind)
{
	vcpu->lapic_deadline = GUEST_TIME_NEVER;
	local_apic_enter(vcpu);
	vcpu->lapic->model->reset(vcpu->lapic, now, kind);
	local_apic_leave(vcpu, now);
}

// As firmware leaves the bootstrap processor's, in virtual wire mode: SDM vol. 3, 11.6.2.2 and the
// MP specification, 3.6.2.2.
static void lapic_set_up(struct vm_vcpu *vcpu, struct guest_time now)
{
	lapic_page_write(vcpu, LAPIC_SVR, 0x1ff, now);
	lapic_page_write(vcpu, LAPIC_LVT_LINT0, 0x700, now);
	lapic_page_write(vcpu, LAPIC_LVT_LINT1, 0x400, now);
}

static void pci_write(struct vm *vm, const struct device *device, unsigned offset, unsigned bytes,
	uint32_t value, struct guest_time now)
{
	uint64_t function = ((const struct vm_device *)device->owner)->function;

	bus_pci_write(vm, function << 12 | offset, bytes, value, now);
}

// The keyboard's interface is enabled, with its interrupt and translation to set 1; the system flag
// says that the self-test has been passed.
static void keyboard_set_up(struct device *controller, struct guest_time now)
{
	controller->model->write(controller, now, I8042_REGION_COMMAND, 0, 1, 0x60);
	controller->model->write(controller, now, I8042_REGION_DATA, 0, 1, 0x65);
}

// As SeaBIOS leaves the board: PCI interrupts at 10 and 11, by level, the ACPI registers where the
// tables say, the keyboard, and RAM that cannot be written from 0xc0000 to 0xfffff. Addresses of
// devices are left to the kernel.
static void board_set_up(struct vm *vm, struct guest_time now)
{
	enum { LAST = PCI_HOST_PAM_READ << 4, PAIR = PCI_HOST_PAM_READ << 4 | PCI_HOST_PAM_READ };
	const struct pc_board *board = pc_board(vm);
	struct device *const devices[PC_SLOTS] = {[PC_PCI_HOST] = vm->pci_host,
		[PC_ISA] = vm->isa, [PC_ACPI_PM] = vm->acpi_pm, [PC_IDE] = vm->ide};

	for (unsigned i = 0; i < PCI_HOST_PAM_COUNT; i++)
		pci_write(vm, vm->pci_host, board->pam + i, 1, i == 0 ? LAST : PAIR, now);
	for (unsigned i = 0; i < board->setting_count; i++) {
		const struct pc_setting *setting = &board->settings[i];

		if (devices[setting->slot] != NULL)
			pci_write(vm, devices[setting->slot], setting->offset, setting->bytes,
				setting->value, now);
	}
	vm->pic->model->write(vm->pic, now, I8259_REGION_ELCR, 1, 1, BIT(10 - 8) | BIT(11 - 8));
	for (uint32_t i = 0; i < vm->device_count; i++) {
		struct device *device = vm->devices[i].device;

		if (device->model == &i8042_model)
			keyboard_set_up(device, now);
		if (device->model->pci != NULL && device->model->pci->pin != 0 &&
			slot_is_on(&vm->devices[i]))
			pci_write(vm, device, PCIDEV_INTERRUPT_LINE, 1,
				board->card_irq(vm->devices[i].function >> 3u,
					device->model->pci->pin), now);
	}
	bus_effects_carry_out(vm, now);
}

static void slot_reset(struct vm *vm, struct vm_device *slot)
{
	const struct device *device = slot->device;

	for (unsigned n = 0; n < device->model->timers; n++)
		event_timer_arm(&vm->queue, &slot->timers[n], GUEST_TIME_NEVER);
	event_drop(&vm->queue, device->id);
	backend_reset(slot);
	slot->bottom_halves = 0;
	bus_unmap_own(&vm->bus, device);
	for (unsigned n = 0; n < device->model->outputs; n++)
		slot->wires[n].level = false;
	slot_clear(slot);
}

void pc_reset(struct vm *vm, enum device_reset kind)
{
	struct guest_time now = vm_now(vm);

	vm->receive_pending = false;
	bus_enter(&vm->bus);
	for (uint32_t i = 0; i < vm->device_count; i++)
		slot_reset(vm, &vm->devices[i]);
	packet_reset(vm); // their events are gone
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		lapic_reset(vm->vcpus[i], now, kind);
	// One stimulus for all: what one device drives reaches another when both are reset.
	vm->bus.resets = true;
	for (uint32_t i = 0; i < vm->device_count; i++)
		vm->devices[i].device->model->reset(vm->devices[i].device, now, kind);
	vm->bus.resets = false;
	bus_effects_carry_out(vm, now);
	if (vm->config.firmware == NULL)
		board_set_up(vm, now);
	bus_leave(vm, now);
	if (vm->config.firmware == NULL)
		lapic_set_up(vm->vcpus[0], now);
}
