// SPDX-License-Identifier: BSD-2-Clause
// How interrupts reach the local APICs of a machine's vcpus: from their own core and from others,
// with the moments of both forced.
#include "tests/unit/fake_env.h"

#include <asm/prctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/cpu.h"
#include "vm/landing.h"
#include "vm/local_apic.h"

enum { VCPUS = 4, VECTOR = 0x61 };
#define NOW ((struct guest_time){1000})

static struct vm *vm;
static struct vm_vcpu slots[VCPUS], *vcpus[VCPUS];
static struct device *pic;
static struct vm_device pic_slot;
static struct wire pic_wire;
static struct cpu cores[VCPUS]; // a core for each vcpu
static unsigned kicks, ends;
static void (*meanwhile)(void); // once, when something is signalled

static void be(unsigned core)
{
	syscall(SYS_arch_prctl, ARCH_SET_GS, &cores[core]);
}

void cpu_kick(struct cpu *cpu)
{
	cpu->attention = true;
	kicks++;
}

void vm_vcpu_signal(struct vm_vcpu *vcpu, uint32_t signals)
{
	void (*then)(void) = meanwhile;

	vcpu->signals |= signals;
	meanwhile = NULL;
	if (then != NULL)
		then();
}

void landing_wake(const struct vm_vcpu *vcpu)
{
	(void)vcpu; // no position is kept
	fail();
}

void vm_vcpu_timer_update(struct vm_vcpu *vcpu)
{
	(void)vcpu;
}

void bus_enter_wait(struct bus *bus)
{
	(void)bus;
	fail_msg("the device lock is taken already");
}

void bus_leave(struct vm *of, struct guest_time now)
{
	(void)now;
	bus_unlock(&of->bus);
}

static void ioapic_message(struct device *device, struct guest_time now,
	const struct interrupt_message *message)
{
	(void)device;
	(void)now;
	assert_int_equal(message->delivery, INTERRUPT_EOI);
	assert_ptr_equal(vm->bus.owner, cpu_self());
	ends++;
}

static const struct device_model fake_ioapic_model = {.name = "ioapic", .message = ioapic_message};

static int setup(void **state)
{
	static struct device ioapic = {.model = &fake_ioapic_model};

	(void)state;
	vm = test_calloc(1, sizeof(*vm));
	pic = test_calloc(1, sizeof(*pic));
	pic_slot.wires = &pic_wire;
	pic->owner = &pic_slot;
	vm->pic = pic;
	vm->ioapic = &ioapic;
	vm->vcpu_count = VCPUS;
	kicks = ends = 0;
	for (unsigned i = 0; i < VCPUS; i++) {
		struct vm_vcpu *vcpu = &slots[i];

		memset(vcpu, 0, sizeof(*vcpu));
		cores[i] = (struct cpu){.self = &cores[i], .index = i};
		be(i);
		vcpus[i] = vm->vcpus[i] = vcpu;
		vcpu->vm = vm;
		vcpu->index = i;
		vcpu->core = &cores[i];
		vcpu->lapic = test_calloc(1, lapic_model.instance_bytes);
		*vcpu->lapic = (struct device){.model = &lapic_model, .env = &local_apic_env,
			.owner = vcpu};
		lapic_configure(vcpu->lapic, i, NS_PER_SECOND);
		lapic_model.reset(vcpu->lapic, NOW, DEVICE_RESET_POWER);
		local_apic_write(vcpu, (struct gpa){vcpu->lapic_page + 0xf0}, 4, 0x1ff, NOW);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VCPUS; i++)
		test_free(vcpus[i]->lapic);
	test_free(pic);
	test_free(vm);
	return 0;
}

static int pending(unsigned i)
{
	return lapic_pending_vector(vcpus[i]->lapic);
}

static uint32_t take(unsigned i)
{
	be(i);
	return local_apic_take_signals(vcpus[i], NOW);
}

static void deliver(unsigned from, unsigned to, struct interrupt_message message)
{
	be(from);
	message.assert = true;
	local_apic_deliver(vcpus[to], &message, NOW);
}

static void send(unsigned from, struct interrupt_message message)
{
	be(from);
	interrupt_route(vm, vcpus[from], &message, NOW);
}

static void other_cores_use_the_mailbox(void **state)
{
	(void)state;
	deliver(0, 1, (struct interrupt_message){.vector = VECTOR});
	deliver(2, 1, (struct interrupt_message){.vector = VECTOR + 64, .level = true});
	assert_int_equal(pending(1), -1); // its core alone touches it
	assert_int_equal(take(1), VM_SIGNAL_MAIL);
	assert_int_equal(pending(1), VECTOR + 64);
	assert_true(lapic_of(vcpus[1]->lapic)->tmr[(VECTOR + 64) / 64] != 0);
	assert_true(lapic_of(vcpus[1]->lapic)->tmr[VECTOR / 64] == 0);
	assert_int_equal(lapic_acknowledge(vcpus[1]->lapic), VECTOR + 64);
	assert_int_equal(vcpus[1]->signals, 0);
	assert_int_equal(take(1), 0);
}

static void its_own_core_reaches_it_at_once(void **state)
{
	(void)state;
	cores[1].guest = vcpus[0]; // another vcpu runs here: it gives way
	deliver(1, 1, (struct interrupt_message){.vector = VECTOR});
	assert_int_equal(pending(1), VECTOR);
	assert_int_equal(kicks, 1);
	cores[1].guest = NULL;
}

static void post_meanwhile(void)
{
	deliver(3, 1, (struct interrupt_message){.vector = VECTOR + 1});
	be(1);
}

// The mailbox is being emptied when the next letter comes.
static void mail_that_comes_meanwhile_is_not_lost(void **state)
{
	(void)state;
	deliver(0, 1, (struct interrupt_message){.delivery = INTERRUPT_NMI});
	meanwhile = post_meanwhile;
	assert_int_equal(take(1), VM_SIGNAL_MAIL | VM_SIGNAL_NMI);
	if (pending(1) < 0) {
		assert_int_equal(vcpus[1]->signals, VM_SIGNAL_MAIL);
		(void)take(1);
	}
	assert_int_equal(pending(1), VECTOR + 1);
}

static void rest_meanwhile(void)
{
	vcpus[1]->signals |= VM_SIGNAL_REST | VM_SIGNAL_EVENTS | VM_SIGNAL_MAIL;
}

static void signals_that_come_meanwhile_stay(void **state)
{
	(void)state;
	deliver(0, 1, (struct interrupt_message){.delivery = INTERRUPT_NMI});
	meanwhile = rest_meanwhile;
	assert_int_equal(take(1), VM_SIGNAL_MAIL | VM_SIGNAL_NMI);
	assert_int_equal(vcpus[1]->signals,
		VM_SIGNAL_REST | VM_SIGNAL_EVENTS | VM_SIGNAL_MAIL);
}

// SDM vol. 3, 11.4.7.3.
static void init_forgets_what_came_before(void **state)
{
	uint8_t vector;

	(void)state;
	for (unsigned core = 0; core < 2; core++) { // by mail, and from its own core
		deliver(core, 1, (struct interrupt_message){.delivery = INTERRUPT_NMI});
		deliver(core, 1,
			(struct interrupt_message){.delivery = INTERRUPT_STARTUP, .vector = 7});
		deliver(core, 1, (struct interrupt_message){.delivery = INTERRUPT_INIT});
		assert_int_equal(take(1) & LOCAL_APIC_SIGNALS, VM_SIGNAL_INIT);
		assert_false(lapic_take_startup(vcpus[1]->lapic, &vector));
	}
}

static void startup_follows_init(void **state)
{
	uint8_t vector;

	(void)state;
	for (unsigned core = 0; core < 2; core++) {
		deliver(core, 1, (struct interrupt_message){.delivery = INTERRUPT_INIT});
		deliver(core, 1,
			(struct interrupt_message){.delivery = INTERRUPT_STARTUP, .vector = 0x9f});
		assert_int_equal(take(1) & LOCAL_APIC_SIGNALS,
			VM_SIGNAL_INIT | VM_SIGNAL_STARTUP);
		assert_true(lapic_take_startup(vcpus[1]->lapic, &vector));
		assert_int_equal(vector, 0x9f);
	}
}

// Level-triggered and deasserted it is for arbitration ids alone: 11.6.1.
static void init_deassert_does_nothing(void **state)
{
	const struct interrupt_message message = {.delivery = INTERRUPT_INIT, .level = true};

	(void)state;
	be(0);
	local_apic_deliver(vcpus[1], &message, NOW);
	assert_int_equal(take(1) & LOCAL_APIC_SIGNALS, 0);
	be(1);
	local_apic_deliver(vcpus[1], &message, NOW);
	assert_int_equal(take(1) & LOCAL_APIC_SIGNALS, 0);
}

static void lint0_set(unsigned core, bool level)
{
	be(core);
	pic_wire.level = level;
	local_apic_lint0(vcpus[0], level, NOW);
}

static void the_newest_level_of_lint0_counts(void **state)
{
	(void)state;
	local_apic_write(vcpus[0], (struct gpa){vcpus[0]->lapic_page + 0x350}, 4, 0x700, NOW);
	lint0_set(1, true);
	assert_false(lapic_extint_pending(vcpus[0]->lapic));
	(void)take(0);
	assert_true(lapic_extint_pending(vcpus[0]->lapic));
	lint0_set(2, false);
	lint0_set(0, true); // its own core is faster than the mail
	(void)take(0);
	assert_true(lapic_extint_pending(vcpus[0]->lapic));
	lint0_set(3, true);
	lint0_set(0, false);
	(void)take(0);
	assert_false(lapic_extint_pending(vcpus[0]->lapic));
}

// A machine that starts has some vcpus that run and some that rest yet.
static void a_resting_vcpu_belongs_to_its_core_too(void **state)
{
	(void)state;
	local_apic_write(vcpus[0], (struct gpa){vcpus[0]->lapic_page + 0x350}, 4, 0x700, NOW);
	vcpus[0]->resting = true;
	lint0_set(1, true);
	assert_false(lapic_extint_pending(vcpus[0]->lapic));
	assert_int_equal(vcpus[0]->signals, VM_SIGNAL_MAIL);
}

static void expect_taken(unsigned mask)
{
	for (unsigned i = 0; i < VCPUS; i++) {
		(void)take(i);
		assert_int_equal(pending(i) == VECTOR, mask >> i & 1);
		if (pending(i) == VECTOR) {
			(void)lapic_acknowledge(vcpus[i]->lapic);
			local_apic_write(vcpus[i], (struct gpa){vcpus[i]->lapic_page + 0xb0}, 4,
				0, NOW);
		}
	}
}

// SDM vol. 3, 11.6.1 and 11.6.2.
static void messages_reach_those_they_name(void **state)
{
	struct interrupt_message message = {.vector = VECTOR, .assert = true, .destination = 2};

	(void)state;
	send(1, message);
	expect_taken(1 << 2);
	message.destination = 0xff;
	send(1, message);
	expect_taken(0xf);
	message.shorthand = INTERRUPT_TO_OTHERS;
	send(1, message);
	expect_taken(0xd);
	message.shorthand = INTERRUPT_TO_ALL;
	send(1, message);
	expect_taken(0xf);
	message.shorthand = INTERRUPT_TO_SELF;
	send(3, message);
	expect_taken(0x8);
	message.shorthand = INTERRUPT_TO_DESTINATION;
	message.destination = 0x40;
	send(3, message);
	expect_taken(0);
	message.delivery = INTERRUPT_LOWEST_PRIORITY;
	message.destination = 0xff;
	lapic_set_tpr(vcpus[0]->lapic, 0x20);
	lapic_set_tpr(vcpus[1]->lapic, 0x10);
	lapic_set_tpr(vcpus[2]->lapic, 0x30);
	lapic_set_tpr(vcpus[3]->lapic, 0x10);
	send(2, message);
	expect_taken(1 << 1);
}

// The end of a level-triggered interrupt goes to the I/O APIC, under the device lock.
static void ends_of_interrupts_take_the_device_lock(void **state)
{
	(void)state;
	deliver(0, 2, (struct interrupt_message){.vector = VECTOR, .level = true});
	(void)take(2);
	assert_int_equal(lapic_acknowledge(vcpus[2]->lapic), VECTOR);
	local_apic_write(vcpus[2], (struct gpa){vcpus[2]->lapic_page + 0xb0}, 4, 0, NOW);
	assert_int_equal(ends, 1);
	assert_null(vm->bus.owner);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(other_cores_use_the_mailbox),
		TEST(its_own_core_reaches_it_at_once),
		TEST(mail_that_comes_meanwhile_is_not_lost),
		TEST(signals_that_come_meanwhile_stay),
		TEST(init_forgets_what_came_before),
		TEST(startup_follows_init),
		TEST(init_deassert_does_nothing),
		TEST(the_newest_level_of_lint0_counts),
		TEST(a_resting_vcpu_belongs_to_its_core_too),
		TEST(messages_reach_those_they_name),
		TEST(ends_of_interrupts_take_the_device_lock),
	};

	return cmocka_run_group_tests_name("local_apic", tests, NULL, NULL);
}
