// SPDX-License-Identifier: BSD-2-Clause
// The interrupt message bus: from I/O APICs, MSIs and local APICs to the local APICs that a message
// names. SDM vol. 3, 11.6.2.
#include "emul/ioapic.h"
#include "emul/lapic.h"
#include "vm/vm.h"

static void deliver(struct vm_vcpu *vcpu, const struct interrupt_message *message,
	struct guest_time now)
{
	uint8_t vector;

	vcpu->lapic->model->message(vcpu->lapic, now, message);
	// The boot CPU is never waiting for a STARTUP, and there is no other: it is taken and lost.
	(void)lapic_take_startup(vcpu->lapic, &vector);
}

// With one vcpu, arbitration for the lowest priority has one candidate.
void interrupt_route(struct vm *vm, const struct device *sender,
	const struct interrupt_message *message, struct guest_time now)
{
	struct vm_vcpu *vcpu = vm->vcpu;

	if (message->delivery == INTERRUPT_EOI) {
		vm->ioapic->model->message(vm->ioapic, now, message);
		return;
	}
	switch (message->shorthand) {
	case INTERRUPT_TO_SELF:
		if (sender == vcpu->lapic)
			deliver(vcpu, message, now);
		return;
	case INTERRUPT_TO_ALL:
		deliver(vcpu, message, now);
		return;
	case INTERRUPT_TO_OTHERS:
		if (sender != vcpu->lapic)
			deliver(vcpu, message, now);
		return;
	default:
		if (lapic_matches(vcpu->lapic, message))
			deliver(vcpu, message, now);
	}
}
