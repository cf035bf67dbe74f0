// SPDX-License-Identifier: BSD-2-Clause
// Machines and the core of their switch, by real threads under the thread sanitizer: each sends to
// the next, frames arrive in order and whole or are counted as lost, a machine that was signalled
// finds what came, and one that goes is not looked at any more.
#include "tests/unit/threads.h"

#include "vm/nic.c"
#include "vm/packet.c"
#include "vm/switch.c"

enum { MACHINES = 3, ROUNDS = 6, FRAMES = 200 };

static struct cpu cores[MACHINES + 1]; // the last is the switch's
static struct message_queue inbox;
static bool over; // (a) for the switch's core
static uint64_t lost; // (a)

static struct machine {
	struct vm vm;
	struct vm_device devices[1];
	struct device device;
	bool signalled; // (a)
	uint32_t number, sent;
	uint32_t got, next; // frames, and the number that the next one has at least
} machines[MACHINES];

void *mem_pages_alloc(unsigned count)
{
	return calloc(count, PAGE_BYTES);
}

void mem_pages_free(void *pages, unsigned count)
{
	(void)count;
	free(pages);
}

uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t count)
{
	(void)bytes;
	return crc + (uint32_t)count;
}

uint32_t cpu_count(void)
{
	return MACHINES + 1;
}

struct cpu *cpu_get(uint32_t index)
{
	return &cores[index];
}

void vm_wait_a_moment(void)
{
	sched_yield();
}

void vm_events_changed(struct vm *vm)
{
	wait_somewhat();
	__atomic_store_n(&CONTAINER_OF(vm, struct machine, vm)->signalled, true, __ATOMIC_SEQ_CST);
}

void smp_post(struct cpu *cpu, struct cpu_message *message)
{
	assert_ptr_equal(cpu, &cores[MACHINES]);
	wait_somewhat();
	message_put(&inbox, message);
	wait_somewhat();
}

struct call {
	struct cpu_message message;
	void (*run)(void *argument);
	void *argument;
	bool done; // (a)
};

static void call_run(struct cpu_message *message)
{
	struct call *call = CONTAINER_OF(message, struct call, message);

	call->run(call->argument);
	__atomic_store_n(&call->done, true, __ATOMIC_RELEASE);
}

void smp_call(struct cpu *cpu, void (*run)(void *argument), void *argument)
{
	struct call call = {.message = {.run = call_run}, .run = run, .argument = argument};

	smp_post(cpu, &call.message);
	while (!__atomic_load_n(&call.done, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void *switch_thread(void *argument)
{
	wait_seed = (uintptr_t)argument;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		struct cpu_message *message = message_take_all(&inbox);

		while (message != NULL) {
			struct cpu_message *next = message->next;

			message->run(message);
			message = next;
		}
		sched_yield();
	}
	return NULL;
}

// A frame says who sent it, the how manieth it is, and is full of that.
static struct device_frame frame_make(const struct machine *machine, uint8_t *bytes)
{
	uint16_t count = (uint16_t)(20 + machine->sent % (DEVICE_FRAME_MAX - 20));

	memset(bytes, (int)(machine->sent & 0x7f), count);
	memset(bytes, 0, 12);
	bytes[0] = bytes[6] = 2;
	bytes[5] = (uint8_t)((machine->number + 1) % MACHINES);
	bytes[11] = (uint8_t)machine->number;
	memcpy(bytes + 14, &machine->sent, 4);
	return (struct device_frame){.bytes = bytes, .count = count};
}

static void frame_check(struct machine *machine, const struct device_frame *frame)
{
	uint32_t number;

	memcpy(&number, frame->bytes + 14, 4);
	if (frame->bytes[5] != machine->number) // flooded, before the switch knew
		return;
	assert_int_equal(frame->bytes[11], (machine->number + MACHINES - 1) % MACHINES);
	assert_true(number >= machine->next);
	assert_int_equal(frame->count, 20 + number % (DEVICE_FRAME_MAX - 20));
	for (unsigned i = 18; i < frame->count; i++)
		assert_int_equal(frame->bytes[i], number & 0x7f);
	machine->next = number + 1;
	machine->got++;
}

static void take(struct machine *machine)
{
	struct device_frame frame = {.bytes = NULL};
	struct event event;

	while (packet_next(&machine->vm, &event)) {
		packet_take(&machine->vm, &event);
		assert_true(frame_ring_peek(machine->vm.packets, 0, &frame));
		frame_check(machine, &frame);
		frame_ring_take(machine->vm.packets);
	}
}

static void *machine_thread(void *argument)
{
	struct machine *machine = argument;
	uint8_t bytes[DEVICE_FRAME_MAX];

	wait_seed = machine->number + 100;
	for (machine->sent = 0; machine->sent < FRAMES; machine->sent++) {
		const struct device_frame frame = frame_make(machine, bytes);

		packet_send(&machine->devices[0], &frame);
		wait_somewhat();
		if (splitmix_next(&wait_seed) % 64 == 0) { // as where vcpus are exchanged
			nics_hold(&machine->vm);
			assert_true(machine->vm.nics[0]->held);
			nics_release(&machine->vm);
		}
		if (__atomic_exchange_n(&machine->signalled, false, __ATOMIC_SEQ_CST))
			take(machine);
	}
	return NULL;
}

static void machine_make(uint32_t number)
{
	struct machine *machine = &machines[number];

	memset(machine, 0, sizeof(*machine));
	machine->number = number;
	machine->vm.config.nic_count = 1;
	machine->vm.config.nics[0].network = "lan";
	machine->vm.devices = machine->devices;
	machine->vm.device_count = 1;
	machine->vm.packets = calloc(1, sizeof(*machine->vm.packets));
	machine->devices[0] = (struct vm_device){.vm = &machine->vm, .device = &machine->device};
	assert_int_equal(nic_create(&machine->vm, 0, &machine->vm.nics[0]), STATUS_OK);
	machine->devices[0].nic = machine->vm.nics[0];
}

static void machine_end(struct machine *machine)
{
	struct nic *nic = machine->vm.nics[0];

	__atomic_fetch_add(&lost, nic->lost + __atomic_load_n(&nic->port.lost, __ATOMIC_RELAXED),
		__ATOMIC_RELAXED);
	assert_int_equal(machine->devices[0].sent.frames, FRAMES);
	nic_destroy(nic);
	free(machine->vm.packets);
}

// What is on its way arrives, and who gets something is told.
static void rest_arrives(void)
{
	for (uint32_t i = 0; i < MACHINES; i++)
		while (__atomic_load_n(&machines[i].vm.nics[0]->posted, __ATOMIC_SEQ_CST))
			sched_yield();
	smp_call(&cores[MACHINES], nothing, NULL);
	for (uint32_t i = 0; i < MACHINES; i++)
		if (__atomic_exchange_n(&machines[i].signalled, false, __ATOMIC_SEQ_CST))
			take(&machines[i]);
}

static void frames_pass(void **state)
{
	(void)state;
	for (uintptr_t round = 0; round < ROUNDS; round++) {
		pthread_t core, threads[MACHINES];
		uint32_t missing = 0;

		over = false;
		lost = 0;
		assert_int_equal(pthread_create(&core, NULL, switch_thread, (void *)round), 0);
		for (uint32_t i = 0; i < MACHINES; i++)
			machine_make(i);
		for (uint32_t i = 0; i < MACHINES; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, machine_thread,
				&machines[i]), 0);
		for (uint32_t i = 0; i < MACHINES; i++)
			assert_int_equal(pthread_join(threads[i], NULL), 0);
		rest_arrives();
		for (uint32_t i = 0; i < MACHINES; i++) {
			missing += FRAMES - machines[i].got;
			assert_false(packet_any(&machines[i].vm)); // each was told
			machine_end(&machines[i]);
		}
		assert_true(missing <= lost); // flooded ones count more than once
		__atomic_store_n(&over, true, __ATOMIC_RELEASE);
		assert_int_equal(pthread_join(core, NULL), 0);
		assert_null(switches);
	}
}

// Machines come and go while others send to everyone.
static void machines_go(void **state)
{
	pthread_t core, thread;

	(void)state;
	over = false;
	assert_int_equal(pthread_create(&core, NULL, switch_thread, NULL), 0);
	machine_make(0);
	assert_int_equal(pthread_create(&thread, NULL, machine_thread, &machines[0]), 0);
	for (unsigned i = 0; i < 30; i++) {
		uint8_t bytes[DEVICE_FRAME_MAX];

		machine_make(1);
		for (machines[1].sent = 0; machines[1].sent < i % 40; machines[1].sent++) {
			const struct device_frame frame = frame_make(&machines[1], bytes);

			packet_send(&machines[1].devices[0], &frame);
		}
		nic_destroy(machines[1].vm.nics[0]);
		free(machines[1].vm.packets);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	machine_end(&machines[0]);
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(core, NULL), 0);
	assert_null(switches);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_pass),
		cmocka_unit_test(machines_go),
	};

	return cmocka_run_group_tests_name("nic_threads", tests, NULL, NULL);
}
