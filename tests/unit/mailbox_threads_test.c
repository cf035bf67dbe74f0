// SPDX-License-Identifier: BSD-2-Clause
// The mailbox of a local APIC, by real threads under the thread sanitizer: what other cores send
// while its own core takes it out arrives, and an event is announced after what it speaks of.
#include "tests/unit/threads.h"

#include "vm/local_apic.c"

enum { SENDERS = 3, ROUNDS = 20000, VECTOR = 0x3f };

static struct cpu cores[SENDERS + 1];
static struct vm machine;
static struct vm_vcpu receiver;
static uint64_t sent[SENDERS]; // plain: the mailbox must order it
static uint64_t taken[SENDERS];

void cpu_kick(struct cpu *cpu)
{
	(void)cpu;
}

void vm_vcpu_signal(struct vm_vcpu *vcpu, uint32_t signals)
{
	__atomic_fetch_or(&vcpu->signals, signals, __ATOMIC_SEQ_CST);
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

void interrupt_route(struct vm *vm, const struct vm_vcpu *sender,
	const struct interrupt_message *message, struct guest_time now)
{
	(void)vm;
	(void)sender;
	(void)message;
	(void)now;
}

static void message_taken(struct device *device, struct guest_time now,
	const struct interrupt_message *message)
{
	unsigned sender = (unsigned)(message->vector - VECTOR) / 64;

	(void)device;
	(void)now;
	assert_in_range(sender, 0, SENDERS - 1);
	taken[sender] = sent[sender]; // of now, or of a later letter that is on its way
}

static const struct device_model model = {.name = "receiver", .message = message_taken};
static struct device lapic = {.model = &model, .owner = &receiver};

// Waits for each to be taken: merged letters would hide a lost one.
static void *send_thread(void *argument)
{
	unsigned sender = (unsigned)(uintptr_t)argument;
	const struct interrupt_message message = {.assert = true,
		.vector = (uint8_t)(VECTOR + 64 * sender)};

	thread_is(&cores[sender + 1]);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		const uint64_t *word = &receiver.mailbox.edge[message.vector >> 6];

		sent[sender] = i;
		local_apic_deliver(&receiver, &message, (struct guest_time){i});
		while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != 0)
			__builtin_ia32_pause();
		// Taken, but perhaps not looked at yet: the next value is for the next letter.
		while (__atomic_load_n(&cores[sender + 1].timer_nearest, __ATOMIC_ACQUIRE) < i)
			__builtin_ia32_pause();
	}
	return NULL;
}

static void letters_arrive(void **state)
{
	pthread_t threads[SENDERS];
	bool all = false;

	(void)state;
	receiver.vm = &machine;
	receiver.core = &cores[0];
	receiver.lapic = &lapic;
	for (unsigned i = 0; i <= SENDERS; i++)
		cores[i].self = &cores[i];
	thread_is(&cores[0]);
	for (unsigned i = 0; i < SENDERS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, send_thread, (void *)(uintptr_t)i), 0);
	while (!all) {
		all = true;
		if (__atomic_load_n(&receiver.signals, __ATOMIC_RELAXED) != 0)
			(void)local_apic_take_signals(&receiver, (struct guest_time){0});
		for (unsigned i = 0; i < SENDERS; i++) {
			// What was taken is told to its sender: the answer of a guest.
			__atomic_store_n(&cores[i + 1].timer_nearest, taken[i], __ATOMIC_RELEASE);
			all = all && taken[i] == ROUNDS;
		}
	}
	for (unsigned i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(receiver.signals & ~(uint32_t)VM_SIGNAL_MAIL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(letters_arrive)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
