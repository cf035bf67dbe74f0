// SPDX-License-Identifier: BSD-2-Clause
#include "vm/nic.h"

#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/mem.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "vm/vm.h"

enum { FRAMES_AT_A_TIME = 16 }; // others of that core get on in between

static struct cpu *switch_core(void)
{
	return cpu_get(cpu_count() - 1);
}

static struct nic *nic_of_port(struct switch_port *port)
{
	return CONTAINER_OF(port, struct nic, port);
}

static bool deliver(struct switch_port *port, const struct device_frame *frame)
{
	struct nic *nic = nic_of_port(port);

	if (!frame_ring_put(&nic->to_guest, frame))
		return false;
	nic->signal_due = true;
	return true;
}

// Those that got something. A machine that is slow, or does not run, is told each time; what it
// does not take it has lost when the ring is full.
static void signal_all(struct net_switch *network)
{
	for (struct switch_port *port = network->ports; port != NULL; port = port->next) {
		struct nic *nic = nic_of_port(port);

		if (!nic->signal_due || nic->held)
			continue;
		nic->signal_due = false;
		vm_events_changed(nic->vm);
	}
}

// `posted` is cleared before the ring is looked at, and set behind what is put there: one of both
// sides sees the other.
static void frames_arrived(struct cpu_message *message)
{
	struct nic *nic = CONTAINER_OF(message, struct nic, message);
	uint64_t now_ns = clock_tsc_ns(rdtsc());
	struct device_frame frame;

	__atomic_store_n(&nic->posted, false, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < FRAMES_AT_A_TIME && frame_ring_peek(&nic->from_guest, 0, &frame);
		i++) {
		switch_forward(nic->network, &nic->port, &frame, now_ns);
		frame_ring_take(&nic->from_guest);
	}
	signal_all(nic->network);
	if (frame_ring_count(&nic->from_guest) != 0 &&
		!__atomic_exchange_n(&nic->posted, true, __ATOMIC_SEQ_CST))
		nic->wake(nic);
}

static void wake(struct nic *nic)
{
	smp_post(switch_core(), &nic->message);
}

static void attach(void *argument)
{
	struct nic *nic = argument;

	switch_attach(nic->network, &nic->port);
}

static void detach(void *argument)
{
	struct nic *nic = argument;

	switch_detach(nic->network, &nic->port);
	nic->from_guest.taken = nic->from_guest.put; // nobody sends any more
}

static void nothing(void *argument)
{
	(void)argument;
}

enum status nic_create(struct vm *vm, uint32_t index, struct nic **created)
{
	struct nic *nic = mem_pages_alloc(PAGES_OF(*nic));

	if (nic == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	nic->network = switch_get(vm->config.nics[index].network);
	if (nic->network == NULL) {
		mem_pages_free(nic, PAGES_OF(*nic));
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	nic->vm = vm;
	nic->wake = wake;
	nic->message.run = frames_arrived;
	nic->port.deliver = deliver;
	smp_call(switch_core(), attach, nic);
	*created = nic;
	return STATUS_OK;
}

// With an empty ring its message is not sent again; and when the last call has come, it has run.
void nic_destroy(struct nic *nic)
{
	if (nic == NULL)
		return;
	smp_call(switch_core(), detach, nic);
	while (__atomic_load_n(&nic->posted, __ATOMIC_ACQUIRE))
		vm_wait_a_moment();
	smp_call(switch_core(), nothing, NULL);
	switch_put(nic->network);
	mem_pages_free(nic, PAGES_OF(*nic));
}

static void hold(void *argument)
{
	struct nic *nic = argument;

	nic->held = true;
}

static void release(void *argument)
{
	struct nic *nic = argument;

	nic->held = nic->signal_due = false;
	if (frame_ring_count(&nic->to_guest) != 0)
		vm_events_changed(nic->vm);
}

void nics_hold(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->config.nic_count; i++)
		smp_call(switch_core(), hold, vm->nics[i]);
}

void nics_release(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->config.nic_count; i++)
		smp_call(switch_core(), release, vm->nics[i]);
}
