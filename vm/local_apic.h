// SPDX-License-Identifier: BSD-2-Clause
// A vcpu's local APIC: how stimuli reach it and what becomes of its effects.
//
// It belongs to its vcpu's core. Whoever is there calls its stimuli and operations directly,
// between local_apic_enter and local_apic_leave; from other cores interrupts go through the
// mailbox. It takes no lock: its own effects are flags of the vcpu and messages, which
// local_apic_leave carries out.
#ifndef VM_LOCAL_APIC_H
#define VM_LOCAL_APIC_H

#include "emul/lapic.h"
#include "vm/vm.h"

extern const struct device_env local_apic_env; // the device's owner is its struct vm_vcpu

// What the local APIC says to its vcpu when it gets a message.
#define LOCAL_APIC_SIGNALS ((uint32_t)(VM_SIGNAL_NMI | VM_SIGNAL_INIT | VM_SIGNAL_STARTUP))

static always_inline void local_apic_enter(const struct vm_vcpu *vcpu)
{
	ASSERT(vcpu->message_count == 0);
}

void local_apic_carry_out(struct vm_vcpu *vcpu, struct guest_time now);
static always_inline void local_apic_leave(struct vm_vcpu *vcpu, struct guest_time now)
{
	if (unlikely(vcpu->message_count != 0))
		local_apic_carry_out(vcpu, now);
}

// A message for this one, from anywhere.
void local_apic_deliver(struct vm_vcpu *vcpu, const struct interrupt_message *message,
	struct guest_time now);
// The wire from the 8259 pair has changed. From anywhere, under the device lock.
void local_apic_lint0(struct vm_vcpu *vcpu, bool level, struct guest_time now);
// Takes the vcpu's signals, and with VM_SIGNAL_MAIL empties the mailbox into the local APIC, which
// may add some of LOCAL_APIC_SIGNALS to them. The vcpu's core.
uint32_t local_apic_take_signals(struct vm_vcpu *vcpu, struct guest_time now);

// The page of the registers, as the vcpu itself reaches it.
uint64_t local_apic_read(struct vm_vcpu *vcpu, struct gpa at, unsigned bytes,
	struct guest_time now);
void local_apic_write(struct vm_vcpu *vcpu, struct gpa at, unsigned bytes, uint64_t value,
	struct guest_time now);
static always_inline bool local_apic_answers(const struct vm_vcpu *vcpu, struct gpa at)
{
	return at.v - vcpu->lapic_page < PAGE_BYTES;
}

#endif
