// SPDX-License-Identifier: BSD-2-Clause
// The interrupt message bus: from I/O APICs, MSIs and local APICs to the local APICs that a message
// names. SDM vol. 3, 11.6.2.
//
// Destinations are compared with what the other local APICs hold at that moment: a message that
// meets a change of LDR or ID under way finds the one or the other, as on a bus.
#include "emul/ioapic.h"
#include "vm/local_apic.h"

// The I/O APIC is under the device lock, which the sender of an EOI does not hold.
static void end_of_interrupt(struct vm *vm, const struct interrupt_message *message,
	struct guest_time now)
{
	bus_enter(&vm->bus);
	vm->ioapic->model->message(vm->ioapic, now, message);
	bus_leave(vm, now);
}

// Arbitration: the lowest priority takes it, the first of equals. SDM vol. 3, 11.6.2.4.
static void route_lowest(struct vm *vm, const struct interrupt_message *message,
	struct guest_time now)
{
	struct vm_vcpu *lowest = NULL;
	unsigned least = 256;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct vm_vcpu *vcpu = vm->vcpus[i];
		unsigned priority;

		if (!lapic_matches(vcpu->lapic, message))
			continue;
		priority = lapic_priority(vcpu->lapic);
		if (priority < least) {
			least = priority;
			lowest = vcpu;
		}
	}
	if (lowest != NULL)
		local_apic_deliver(lowest, message, now);
}

static bool is_addressed(const struct vm_vcpu *vcpu, const struct vm_vcpu *sender,
	const struct interrupt_message *message)
{
	switch (message->shorthand) {
	case INTERRUPT_TO_ALL:
		return true;
	case INTERRUPT_TO_OTHERS:
		return vcpu != sender;
	default:
		return lapic_matches(vcpu->lapic, message);
	}
}

void interrupt_route(struct vm *vm, const struct vm_vcpu *sender,
	const struct interrupt_message *message, struct guest_time now)
{
	if (message->delivery == INTERRUPT_EOI) {
		end_of_interrupt(vm, message, now);
		return;
	}
	if (message->shorthand == INTERRUPT_TO_SELF) {
		if (sender != NULL)
			local_apic_deliver(vm->vcpus[sender->index], message, now);
		return;
	}
	if (message->delivery == INTERRUPT_LOWEST_PRIORITY &&
		message->shorthand == INTERRUPT_TO_DESTINATION) {
		route_lowest(vm, message, now);
		return;
	}
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		if (is_addressed(vm->vcpus[i], sender, message))
			local_apic_deliver(vm->vcpus[i], message, now);
}
