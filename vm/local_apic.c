// SPDX-License-Identifier: BSD-2-Clause
#include "vm/local_apic.h"

#include "kernel/base/assert.h"
#include "kernel/cpu.h"
#include "vm/landing.h"

static struct vm_vcpu *vcpu_of(const struct device *device)
{
	return device->owner;
}

// All outputs are pulses. No firmware has system management mode: SMIs lead nowhere.
static void env_set_line(struct device *device, unsigned output, bool level)
{
	struct vm_vcpu *vcpu = vcpu_of(device);

	if (!level)
		return;
	if (output == LAPIC_OUTPUT_NMI) {
		vm_vcpu_signal(vcpu, VM_SIGNAL_NMI);
	} else if (output == LAPIC_OUTPUT_INIT) {
		// What came before it is forgotten.
		__atomic_fetch_and(&vcpu->signals, ~LOCAL_APIC_SIGNALS, __ATOMIC_RELAXED);
		vm_vcpu_signal(vcpu, VM_SIGNAL_INIT);
	}
}

// INTR of the 8259 pair leads to the bootstrap processor alone: MP specification, 3.6.2.2.
static bool env_sample(struct device *device, unsigned input)
{
	const struct vm_vcpu *vcpu = vcpu_of(device);
	const struct device *pic = vcpu->vm->pic;

	return input == LAPIC_INPUT_LINT0 && vcpu->index == 0 &&
		((const struct vm_device *)pic->owner)->wires[0].level;
}

static void env_send_message(struct device *device, const struct interrupt_message *message)
{
	struct vm_vcpu *vcpu = vcpu_of(device);

	ASSERT(vcpu->message_count < LOCAL_APIC_MESSAGES_MAX);
	vcpu->messages[vcpu->message_count++] = *message;
}

static void env_arm_timer(struct device *device, unsigned timer, struct guest_time deadline)
{
	struct vm_vcpu *vcpu = vcpu_of(device);

	(void)timer;
	vcpu->lapic_deadline = deadline;
	if (!vcpu->resting)
		vm_vcpu_timer_update(vcpu);
}

static void env_map_region(struct device *device, unsigned region, enum device_space space,
	uint64_t base, uint64_t bytes)
{
	(void)region;
	ASSERT(space == DEVICE_SPACE_MMIO && bytes == PAGE_BYTES);
	vcpu_of(device)->lapic_page = base;
}

static void env_unmap_region(struct device *device, unsigned region)
{
	(void)region;
	vcpu_of(device)->lapic_page = LAPIC_PAGE_NONE;
}

const struct device_env local_apic_env = {
	.set_line = env_set_line,
	.sample = env_sample,
	.send_message = env_send_message,
	.arm_timer = env_arm_timer,
	.map_region = env_map_region,
	.unmap_region = env_unmap_region,
};

void local_apic_carry_out(struct vm_vcpu *vcpu, struct guest_time now)
{
	struct interrupt_message messages[LOCAL_APIC_MESSAGES_MAX];
	uint32_t count = vcpu->message_count;

	for (uint32_t i = 0; i < count; i++)
		messages[i] = vcpu->messages[i];
	vcpu->message_count = 0;
	for (uint32_t i = 0; i < count; i++)
		interrupt_route(vcpu->vm, vcpu, &messages[i], now);
}

static void take(struct vm_vcpu *vcpu, const struct interrupt_message *message,
	struct guest_time now)
{
	local_apic_enter(vcpu);
	vcpu->lapic->model->message(vcpu->lapic, now, message);
	local_apic_leave(vcpu, now);
	if (message->delivery == INTERRUPT_STARTUP)
		vm_vcpu_signal(vcpu, VM_SIGNAL_STARTUP);
}

static void post(struct vm_vcpu *vcpu, const struct interrupt_message *message)
{
	struct vm_mailbox *mailbox = &vcpu->mailbox;
	uint64_t bit = BIT(message->vector & 63);
	unsigned word = message->vector >> 6;

	switch (message->delivery) {
	case INTERRUPT_FIXED:
	case INTERRUPT_LOWEST_PRIORITY:
		__atomic_fetch_or(message->level ? &mailbox->level[word] : &mailbox->edge[word],
			bit, __ATOMIC_RELEASE);
		break;
	case INTERRUPT_INIT:
		if (!message->assert)
			return;
		__atomic_store_n(&mailbox->others, (uint32_t)BIT(INTERRUPT_INIT), __ATOMIC_RELEASE);
		break;
	case INTERRUPT_STARTUP:
		__atomic_store_n(&mailbox->startup, message->vector, __ATOMIC_RELAXED);
		__atomic_fetch_or(&mailbox->others, BIT(INTERRUPT_STARTUP), __ATOMIC_RELEASE);
		break;
	default:
		__atomic_fetch_or(&mailbox->others, (uint32_t)BIT(message->delivery),
			__ATOMIC_RELEASE);
		break;
	}
	vm_vcpu_signal(vcpu, VM_SIGNAL_MAIL);
}

void local_apic_deliver(struct vm_vcpu *vcpu, const struct interrupt_message *message,
	struct guest_time now)
{
	struct cpu *cpu = cpu_self();

	if (likely(vcpu->core == cpu)) {
		take(vcpu, message, now);
		if (vcpu->vm->landing != NULL)
			landing_wake(vcpu);
		else if (cpu->guest != vcpu->vcpu) // another runs here: let this one have a look
			cpu_kick(cpu);
	} else {
		post(vcpu, message);
	}
}

void local_apic_lint0(struct vm_vcpu *vcpu, bool level, struct guest_time now)
{
	if (likely(vm_vcpu_is_here(vcpu))) {
		// Under the device lock, as those who put something there.
		__atomic_store_n(&vcpu->mailbox.lint0, 0, __ATOMIC_RELAXED);
		local_apic_enter(vcpu);
		vcpu->lapic->model->line(vcpu->lapic, now, LAPIC_INPUT_LINT0, level);
		local_apic_leave(vcpu, now);
		if (unlikely(vcpu->vm->landing != NULL))
			landing_wake(vcpu);
		return;
	}
	__atomic_store_n(&vcpu->mailbox.lint0, VM_LINT0_CHANGED | (level ? VM_LINT0_HIGH : 0),
		__ATOMIC_RELEASE);
	vm_vcpu_signal(vcpu, VM_SIGNAL_MAIL);
}

static void take_vectors(struct vm_vcpu *vcpu, uint64_t *words, bool level, struct guest_time now)
{
	struct interrupt_message message = {
		.delivery = INTERRUPT_FIXED, .level = level, .assert = true};

	for (unsigned i = 0; i < 4; i++) {
		uint64_t bits = __atomic_load_n(&words[i], __ATOMIC_RELAXED);

		if (bits != 0)
			bits = __atomic_exchange_n(&words[i], 0, __ATOMIC_ACQUIRE);
		for (; bits != 0; bits &= bits - 1) {
			message.vector = (uint8_t)(64 * i + (unsigned)__builtin_ctzll(bits));
			take(vcpu, &message, now);
		}
	}
}

// INIT comes first of all: what an INIT came after is forgotten, a STARTUP too.
static void take_mail(struct vm_vcpu *vcpu, struct guest_time now)
{
	static const uint8_t order[] = {INTERRUPT_INIT, INTERRUPT_STARTUP, INTERRUPT_SMI,
		INTERRUPT_NMI, INTERRUPT_EXTINT};
	struct vm_mailbox *mailbox = &vcpu->mailbox;
	uint32_t others = __atomic_exchange_n(&mailbox->others, 0, __ATOMIC_ACQUIRE);
	uint32_t lint0 = __atomic_exchange_n(&mailbox->lint0, 0, __ATOMIC_ACQUIRE);
	uint8_t startup = (uint8_t)__atomic_load_n(&mailbox->startup, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < ARRAY_COUNT(order); i++)
		if ((others & BIT(order[i])) != 0)
			take(vcpu, &(struct interrupt_message){.delivery = order[i], .assert = true,
				.vector = startup}, now);
	if ((lint0 & VM_LINT0_CHANGED) != 0) {
		local_apic_enter(vcpu);
		vcpu->lapic->model->line(vcpu->lapic, now, LAPIC_INPUT_LINT0,
			(lint0 & VM_LINT0_HIGH) != 0);
		local_apic_leave(vcpu, now);
	}
	take_vectors(vcpu, mailbox->edge, false, now);
	take_vectors(vcpu, mailbox->level, true, now);
}

uint32_t local_apic_take_signals(struct vm_vcpu *vcpu, struct guest_time now)
{
	uint32_t signals = __atomic_exchange_n(&vcpu->signals, 0, __ATOMIC_ACQUIRE);

	if ((signals & VM_SIGNAL_MAIL) == 0)
		return signals;
	take_mail(vcpu, now);
	// The local APIC's own alone: others may have signalled meanwhile that there is more mail.
	return signals | (__atomic_fetch_and(&vcpu->signals, ~LOCAL_APIC_SIGNALS,
		__ATOMIC_ACQUIRE) & LOCAL_APIC_SIGNALS);
}

uint64_t local_apic_read(struct vm_vcpu *vcpu, struct gpa at, unsigned bytes, struct guest_time now)
{
	uint64_t offset = at.v - vcpu->lapic_page, value;

	if (unlikely(offset + bytes > PAGE_BYTES))
		return UINT64_MAX;
	local_apic_enter(vcpu);
	value = vcpu->lapic->model->read(vcpu->lapic, now, LAPIC_REGION_PAGE, offset, bytes);
	local_apic_leave(vcpu, now);
	return value;
}

void local_apic_write(struct vm_vcpu *vcpu, struct gpa at, unsigned bytes, uint64_t value,
	struct guest_time now)
{
	uint64_t offset = at.v - vcpu->lapic_page;

	if (unlikely(offset + bytes > PAGE_BYTES))
		return;
	local_apic_enter(vcpu);
	vcpu->lapic->model->write(vcpu->lapic, now, LAPIC_REGION_PAGE, offset, bytes, value);
	local_apic_leave(vcpu, now);
}
