// SPDX-License-Identifier: BSD-2-Clause
// Snapshots of a whole machine: what is saved comes back; what is cut, altered or impossible is
// refused, and the machine that it was for is as before.
#include "tests/unit/snapshot_requests.h"

// Everything that a section has, in use.
static void make_lively(void)
{
	const struct event line = {.kind = EVENT_CHARACTERS, .device = vm->input->id,
		.index = UART16550_PORT_CHARACTERS, .payload_bytes = 2, .payload = "ab"};
	const struct event key = {.kind = EVENT_KEY, .payload_bytes = sizeof(struct device_input),
		.payload = {DEVICE_INPUT_KEY, 0x04, true}};
	struct guest_time now = vm_now(vm);

	vm->requests = BIT(DEVICE_REQUEST_PANICKED);
	vm->request_argument = 77;
	vm->resets = 3;
	vm->panics = 4;
	vm->receive_pending = true;
	assert_int_equal(event_post(&vm->queue, &line), STATUS_OK);
	assert_int_equal(event_post(&vm->queue, &key), STATUS_OK);
	bus_port_write(vm, 0x43, 1, 0x34, now); // PIT, channel 0, mode 2
	bus_port_write(vm, 0x40, 1, 0x55, now);
	bus_port_write(vm, 0x40, 1, 0x12, now);
	bus_port_write(vm, 0x3f9, 1, 2, now); // UART: transmitter empty
	bus_port_write(vm, 0x3fc, 1, 8, now);
	vm->vcpus[0]->nmi_pending = true;
	vm->vcpus[0]->tsc_shift = 99;
	lapic_set_tsc_offset(vm->vcpus[0]->lapic, now, 99);
	vm->vcpus[1]->halted = true;
	vm->vcpus[1]->signals = VM_SIGNAL_NMI;
	vm->vcpus[1]->mailbox.edge[2] = 0x40;
	vm->vcpus[1]->mailbox.others = (uint32_t)BIT(INTERRUPT_INIT);
	vm->vcpus[1]->mtrr.fixed[4] = 0;
	state_of(vm, 0)->event = (struct vcpu_event){VCPU_EVENT_EXCEPTION, 14, true, 0, 7};
	state_of(vm, 0)->offered = VCPU_OFFERED | 0x31;
	state_of(vm, 1)->interrupt_shadow = true;
	state_of(vm, 1)->stack_shadow = true;
	state_of(vm, 1)->pending_debug = 0x4001;
	state_of(vm, 1)->has_pdptes = true;
	state_of(vm, 1)->pdpte[1] = 0x5001;
	state_of(vm, 1)->nmi_blocked = true;
	memcpy(vm->ram.blocks[1] + 5 * PAGE_BYTES + 17, "memory", 6);
	vm->ram.blocks[0][0xf0000] = 9; // ROM to the guest
}

static void what_is_saved_comes_back(void **state)
{
	struct snapshot_stream again;
	struct vm_vcpu *before;

	(void)state;
	make_lively();
	bench_requests_make();
	before = vm->vcpus[1];
	assert_int_equal(save(&stream), STATUS_OK);
	assert_int_equal(load(), STATUS_OK);
	assert_ptr_not_equal(vm->vcpus[1], before);
	assert_int_equal(save(&again), STATUS_OK);
	assert_true(snapshot_stream_equals(&stream, &again));
	snapshot_stream_free(&again);
	assert_true(vm->vcpus[1]->halted && vm->vcpus[0]->nmi_pending && !vm->vcpus[0]->halted);
	assert_int_equal(vm->vcpus[0]->tsc_shift, 99);
	assert_int_equal(vm->vcpus[0]->tpr, 3);
	assert_int_equal(vm->vcpus[1]->mailbox.edge[2], 0x40);
	assert_int_equal(vm->vcpus[1]->mailbox.others, BIT(INTERRUPT_INIT));
	assert_int_equal(vm->vcpus[1]->mtrr.fixed[4], 0);
	assert_int_equal(state_of(vm, 0)->event.error_code, 7);
	assert_int_equal(state_of(vm, 0)->offered, VCPU_OFFERED | 0x31);
	assert_true(state_of(vm, 1)->interrupt_shadow && state_of(vm, 1)->nmi_blocked);
	assert_int_equal(vm->queue.fifo_count, 3);
	assert_ptr_equal(vm->queue.owner, vm);
	assert_int_equal(vm->resets, 3);
	assert_int_equal(vm->panics, 4);
	assert_int_equal(vm->requests, BIT(DEVICE_REQUEST_PANICKED));
	assert_true(vm->receive_pending);
	assert_true(vm->queue.next_deadline.ns != GUEST_TIME_NEVER.ns); // the PIT's
	assert_memory_equal(vm->ram.blocks[1] + 5 * PAGE_BYTES + 17, "memory", 6);
	assert_int_equal(vm->ram.blocks[0][0xf0000], 9);
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->paused_tsc, 5000000);
}

// The machine goes on as it ran before, not as it ran when it was saved.
static void running_is_kept_and_ends_come_back(void **state)
{
	(void)state;
	assert_int_equal(save(&stream), STATUS_OK);
	vm->state = VM_PAUSED;
	assert_int_equal(load(), STATUS_OK);
	assert_int_equal(vm->state, VM_PAUSED);
	vm->state = VM_ENDED;
	vm->end = VM_END_POWER_OFF;
	assert_int_equal(load(), STATUS_OK);
	assert_int_equal(vm->state, VM_PAUSED);
	assert_int_equal(vm->end, VM_END_NONE);
}

static void expect_refused(const char *what)
{
	struct vm_vcpu *before = vm->vcpus[0];

	assert_int_not_equal(load(), STATUS_OK);
	if (strstr(stream.error, what) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", what, stream.error);
	assert_ptr_equal(vm->vcpus[0], before);
	assert_int_equal(vm->holds, 0);
}

static void copy(struct snapshot_stream *to, const uint8_t *bytes, size_t count)
{
	snapshot_stream_init(to);
	assert_int_equal(snapshot_stream_append(to, bytes, count), STATUS_OK);
}

static void a_cut_at_any_byte_is_found(void **state)
{
	struct snapshot_stream part;

	(void)state;
	make_lively();
	assert_int_equal(save(&stream), STATUS_OK);
	for (size_t i = 0; i < stream.bytes; i++) {
		copy(&part, bytes_of(&stream), i);
		assert_int_equal(snapshot_stream_verify(&part), STATUS_TRUNCATED);
		assert_non_null(strstr(part.error, "cut off"));
		snapshot_stream_free(&part);
	}
	assert_int_equal(snapshot_stream_append(&stream, "x", 1), STATUS_OK);
	expect_refused("behind the end");
}

static void a_change_of_any_byte_is_found(void **state)
{
	(void)state;
	make_lively();
	assert_int_equal(save(&stream), STATUS_OK);
	for (size_t i = 0; i < stream.bytes; i++) {
		uint8_t *byte = bytes_of(&stream) + i, was = *byte;

		for (unsigned n = 0; n < 3; n++) {
			*byte = (uint8_t)(n == 0 ? was ^ 1 : n == 1 ? was ^ 0x80 : ~was);
			assert_int_not_equal(snapshot_stream_verify(&stream), STATUS_OK);
			assert_true(stream.error[0] != '\0');
		}
		*byte = was;
	}
	assert_int_equal(snapshot_stream_verify(&stream), STATUS_OK);
}

// A change to the state of vcpu 0 that another program might save.
#define REFUSE(change, what)                                                                       \
	do {                                                                                       \
		struct vcpu_state good = *state_of(vm, 0), *bad = state_of(vm, 0);                 \
		change;                                                                            \
		assert_int_equal(save(&stream), STATUS_OK);                                        \
		*bad = good;                                                                       \
		expect_refused(what);                                                              \
		snapshot_stream_free(&stream);                                                     \
	} while (0)

static void impossible_registers_are_refused_by_name(void **state)
{
	(void)state;
	REFUSE(bad->cr4 |= CR4_VMXE,
		"vcpu 0: cr4[0]: 0x2020 is not allowed (0x0 to 0x602b0): reserved bit set");
	REFUSE(bad->cr0 |= BIT(32), "cr0[0]: 0x180000011 is not allowed (0x0 to 0xffffffff)");
	REFUSE(bad->cr0 |= BIT(7), "cr0");
	REFUSE(bad->cr0 |= CR0_NW, "cr0: NW without CD");
	REFUSE(bad->cr0 &= ~CR0_PE, "cr0: PG without PE");
	REFUSE(bad->cr3 = BIT(40), "cr3");
	REFUSE(bad->cr4 = 0, "cr4: long mode without PAE");
	REFUSE(bad->cr8 = 16, "cr8");
	REFUSE(bad->efer |= EFER_SVME, "efer");
	REFUSE(bad->efer &= ~EFER_LMA, "efer: LMA");
	REFUSE(bad->rflags |= BIT(15), "rflags");
	REFUSE(bad->rflags = 4, "rflags: bit 1");
	REFUSE(bad->rflags |= RFLAGS_VM, "rflags: VM");
	REFUSE(bad->rip = BIT(50), "rip: not canonical");
	REFUSE(bad->segment[SEGMENT_CS].attributes = 0xc9b, "rip: above 4 GiB");
	REFUSE(bad->segment[SEGMENT_CS].attributes = 0xe9b, "64-bit code with D");
	REFUSE((bad->segment[SEGMENT_CS].attributes = 0, bad->rip = 0), "CS is not a segment");
	REFUSE(bad->segment[SEGMENT_TR].attributes = 0x82, "TR is not a task");
	REFUSE(bad->segment[SEGMENT_FS].base = BIT(47), "segment.base[4]");
	REFUSE(bad->segment[SEGMENT_DS].base = BIT(32), "segment.base[3]");
	REFUSE(bad->segment[SEGMENT_DS].attributes = 0x1000, "segment.attributes[3]");
	REFUSE(bad->gdtr_base = BIT(63), "gdtr_base");
	REFUSE(bad->idtr_limit = 0x10000, "idtr_limit");
	REFUSE(bad->lstar = BIT(62), "lstar");
	REFUSE(bad->kernel_gs_base = BIT(62), "kernel_gs_base");
	REFUSE(bad->sysenter_eip = BIT(62), "sysenter_eip");
	REFUSE(bad->dr7 = BIT(32), "dr7");
	REFUSE(bad->pat = 2, "pat");
	REFUSE(bad->tsc_aux = BIT(32), "tsc_aux");
	REFUSE(bad->xcr0 = 9, "xcr0");
	REFUSE(bad->xcr0 = 5, "xcr0");
	REFUSE(bad->xcr0 = 0, "xcr0");
}

// SDM vol. 1, 3.3.7.1.
static void addresses_have_the_width_that_cr4_may_give(void **state)
{
	struct vcpu_state wide = *state_of(vm, 0);
	struct vcpu_limits limits = {.cr4 = vm->vcpus[0]->cr4_allowed & ~(uint64_t)CR4_LA57,
		.efer = UINT64_MAX, .xcr0 = 7, .physical_bits = 52};
	struct state_error error;

	(void)state;
	wide.kernel_gs_base = BIT(50);
	assert_int_equal(vcpu_state_check(&wide, &limits, &error), STATUS_INVALID);
	assert_string_equal(error.field, "kernel_gs_base");
	limits.cr4 |= CR4_LA57;
	assert_int_equal(vcpu_state_check(&wide, &limits, &error), STATUS_OK);
	wide.kernel_gs_base = BIT(56);
	assert_int_equal(vcpu_state_check(&wide, &limits, &error), STATUS_INVALID);
}

static void impossible_events_are_refused(void **state)
{
	(void)state;
#define EVENT(...) (bad->event = (struct vcpu_event){__VA_ARGS__})
	REFUSE(EVENT(VCPU_EVENT_ICEBP + 1, 0, false, 0, 0), "event.kind");
	REFUSE(EVENT(VCPU_EVENT_NONE, 3, false, 0, 0), "a vector without an event");
	REFUSE(EVENT(VCPU_EVENT_NMI, 3, false, 0, 0), "vector 2");
	REFUSE(EVENT(VCPU_EVENT_NMI, 2, false, 0, 0), "blocks no other");
	REFUSE(EVENT(VCPU_EVENT_EXCEPTION, 32, false, 0, 0), "not an exception");
	REFUSE(EVENT(VCPU_EVENT_EXCEPTION, 2, false, 0, 0), "not an exception");
	REFUSE(EVENT(VCPU_EVENT_EXCEPTION, 6, true, 0, 0), "without an error code");
	REFUSE(EVENT(VCPU_EVENT_EXCEPTION, 13, false, 0, 1), "not delivered");
	REFUSE(EVENT(VCPU_EVENT_EXCEPTION, 5, false, 0, 0), "64-bit code does not have");
	REFUSE(EVENT(VCPU_EVENT_INTERRUPT, 50, true, 0, 0), "without an exception");
	REFUSE((EVENT(VCPU_EVENT_INTERRUPT, 50, false, 0, 0), bad->rflags = 2),
		"interrupts are off");
	REFUSE(EVENT(VCPU_EVENT_SOFTWARE, 0x80, false, 0, 0), "length");
	REFUSE(EVENT(VCPU_EVENT_SOFTWARE, 0x80, false, 16, 0), "event.length");
	REFUSE(EVENT(VCPU_EVENT_INTERRUPT, 50, false, 2, 0), "length");
	REFUSE(EVENT(VCPU_EVENT_ICEBP, 3, false, 1, 0), "INT1 has vector 1");
	REFUSE(bad->offered = 5, "offered: not an interrupt");
	REFUSE((EVENT(VCPU_EVENT_EXCEPTION, 6, false, 0, 0), bad->triple_fault = true), "triple");
#undef EVENT
}

static void impossible_shadows_and_tables_are_refused(void **state)
{
	(void)state;
	REFUSE(bad->pending_debug = 0x8000, "pending_debug");
	REFUSE(bad->pending_debug = 0x10, "pending_debug");
	REFUSE(bad->stack_shadow = true, "stack_shadow");
	REFUSE(bad->pdpte[2] = 0x1001, "pdpte: not said to be loaded");
	REFUSE((bad->has_pdptes = true, bad->pdpte[3] = 3), "pdpte[3]");
	REFUSE((bad->has_pdptes = true, bad->pdpte[0] = BIT(40) | 1), "pdpte[0]");
}

// SDM vol. 1, 13.8.1: XRSTOR would take #GP.
static void impossible_fpu_areas_are_refused(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
		const char *what;
	} bad[] = {
		{26, 1, "mxcsr[0]: 0x11f80 is not allowed (0x0 to 0xffff)"},
		{512, 8, "xstate_bv"}, {519, 0x80, "xstate_bv"},
		{527, 0x80, "xcomp_bv"}, {528, 1, "xsave_header"}, {575, 1, "xsave_header"},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		uint8_t *byte = &fake_of(vm->vcpus[1]->vcpu)->fpu[bad[i].at], was = *byte;

		*byte = bad[i].value;
		assert_int_equal(save(&stream), STATUS_OK);
		*byte = was;
		expect_refused(bad[i].what);
		snapshot_stream_free(&stream);
	}
}

#define REFUSE_VM(change, undo, what)                                                              \
	do {                                                                                       \
		change;                                                                            \
		assert_int_equal(save(&stream), STATUS_OK);                                        \
		undo;                                                                              \
		expect_refused(what);                                                              \
		snapshot_stream_free(&stream);                                                     \
	} while (0)

static void other_machines_are_refused_by_field(void **state)
{
	struct vm_vcpu *vcpu = vm->vcpus[1];

	(void)state;
	REFUSE_VM(vm->name[0] = 'X', vm->name[0] = 'b',
		"name: it is of \"Xench\", not of \"bench\"");
	REFUSE_VM(vm->config.memory_bytes *= 2, vm->config.memory_bytes /= 2, "memory_bytes");
	REFUSE_VM(vm->config.x2apic = false, vm->config.x2apic = true, "x2apic");
	REFUSE_VM(vm->config.kernel_bytes = 5, vm->config.kernel_bytes = 0,
		"machine 0: kernel_bytes[0]: 0x5 is not allowed (0x0 to 0x0)");
	REFUSE_VM(vm->vcpu_count = 1, vm->vcpu_count = 2, "vcpus");
	REFUSE_VM(vm->device_count--, vm->device_count++, "devices");
	REFUSE_VM(vm->requests = 1u << 29, vm->requests = 0, "requests");
	REFUSE_VM(vm->end = VM_END_FAILED, vm->end = 0, "end");
	REFUSE_VM(vm->paused_tsc = BIT(61), vm->paused_tsc = 5000000, "time_ticks");
	REFUSE_VM(vcpu->mtrr.default_type = 7, mtrr_reset(&vcpu->mtrr, 40), "mtrr");
	REFUSE_VM(vcpu->mailbox.lint0 = 1, vcpu->mailbox.lint0 = 0, "mailbox");
	REFUSE_VM(vcpu->mailbox.others = 1, vcpu->mailbox.others = 0, "mailbox");
	REFUSE_VM(vcpu->waits_for_startup = true, vcpu->waits_for_startup = false,
		"waits_for_startup");
	REFUSE_VM(vcpu->tsc_shift = 1, vcpu->tsc_shift = 0, "lapic 1: tsc_offset");
	REFUSE_VM(vm->devices[0].bottom_halves = 1, vm->devices[0].bottom_halves = 0, "wires 0");
	REFUSE_VM(vm->devices[0].wires[0].level = true, vm->devices[0].wires[0].level = false,
		"levels");
}

static void impossible_queues_are_refused(void **state)
{
	static const struct {
		struct event event;
		const char *what;
	} bad[] = {
		{{.kind = EVENT_TIMER}, "event 0: kind"}, {{.kind = EVENT_USB}, "event 0: kind"},
		{{.kind = EVENT_KEY}, "no input"},
		{{.kind = EVENT_LINE, .device = 30}, "no such device"},
		{{.kind = EVENT_LINE, .index = 99}, "no such input"},
		{{.kind = EVENT_BOTTOM_HALF, .index = 31}, "no such bottom half"},
		{{.kind = EVENT_COMPLETION}, "no such request"},
		{{.kind = EVENT_CHARACTERS, .device = 1}, "nobody takes characters"},
		{{.kind = EVENT_MACHINE, .index = 40}, "no such request"},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		REFUSE_VM(assert_int_equal(event_post(&vm->queue, &bad[i].event), STATUS_OK),
			vm->queue.fifo_count = 0, bad[i].what);
	}
	REFUSE_VM((assert_int_equal(event_post(&vm->queue, &(struct event){.kind = EVENT_MACHINE,
			  .index = DEVICE_REQUEST_RESET}), STATUS_OK), vm->queue.sequence = 0),
		vm->queue.fifo_count = 0, "sequence");
}

static void lack_of_memory_is_told(void **state)
{
	struct snapshot_cost cost;
	struct guest_time time;

	(void)state;
	large_blocks_max = 0;
	assert_int_equal(snapshot_save(vm, &stream, &cost, &time), STATUS_NO_MEMORY);
	assert_int_equal(stream.bytes, 0);
	large_blocks_max = UINT32_MAX;
	assert_int_equal(snapshot_save(vm, &stream, &cost, &time), STATUS_OK);
	vm->config.memory_bytes = (BENCH_FREE_BLOCKS + 1) * LARGE_PAGE_BYTES;
	expect_refused("memory: 204 MiB needed");
	vm->config.memory_bytes = 2 * LARGE_PAGE_BYTES;
	vm->state = VM_CREATED;
	assert_int_equal(snapshot_save(vm, &stream, &cost, &time), STATUS_REFUSED);
}

static uint64_t random_word(void)
{
	static uint64_t seed = 88172645463325252u;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

// What loads can be run: nothing that a snapshot says may reach an assertion.
static void run_on(void)
{
	struct guest_time now = vm_now(vm);

	for (unsigned step = 0; step < 8; step++) {
		now.ns += random_word() % 100000000;
		bus_enter(&vm->bus);
		event_queue_deliver(&vm->queue, now);
		bus_leave(vm, now);
		for (unsigned i = 0; i < BENCH_VCPUS; i++) {
			(void)local_apic_take_signals(vm->vcpus[i], now);
			vm->vcpus[i]->lapic->model->timer(vm->vcpus[i]->lapic, now, LAPIC_TIMER);
			vm->vcpus[i]->message_count = 0;
		}
		for (unsigned port = 0x20; port < 0x400; port++)
			(void)bus_port_read(vm, (uint16_t)port, 1, now);
	}
}

// Right checksums, wrong contents.
static void random_contents_do_no_harm(void **state)
{
	struct snapshot_stream good;
	unsigned accepted = 0;

	(void)state;
	make_lively();
	bench_requests_make();
	assert_int_equal(save(&good), STATUS_OK);
	for (unsigned round = 0; round < 4000; round++) {
		copy(&stream, bytes_of(&good), good.bytes);
		for (uint64_t n = random_word() % 3; n < 3; n++) {
			uint64_t at = random_word() % (good.bytes - PAGE_BYTES);

			bytes_of(&stream)[at] = (uint8_t)(random_word() >> 20 & random_word());
		}
		checksums_mend(&stream);
		if (load() == STATUS_OK) {
			accepted++;
			run_on();
		} else {
			assert_true(stream.error[0] != '\0');
		}
		snapshot_stream_free(&stream);
	}
	assert_true(accepted > 100);
	snapshot_stream_free(&good);
}

// RFC 3720, B.4.
static void checksums_are_those_of_the_specification(void **state)
{
	uint8_t bytes[32], ascending[32];

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	for (unsigned i = 0; i < sizeof(ascending); i++)
		ascending[i] = (uint8_t)i;
	assert_int_equal(crc32c_update(0, bytes, 32), 0x62a8ab43);
	assert_int_equal(crc32c_update(0, ascending, 32), 0x46dd794e);
	assert_int_equal(crc32c_update_by_table(0, ascending, 32), 0x46dd794e);
	assert_int_equal(crc32c_update(crc32c_update(0, ascending, 13), ascending + 13, 19),
		0x46dd794e);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_saved_comes_back),
		TEST(running_is_kept_and_ends_come_back),
		TEST(a_cut_at_any_byte_is_found),
		TEST(a_change_of_any_byte_is_found),
		TEST(impossible_registers_are_refused_by_name),
		TEST(addresses_have_the_width_that_cr4_may_give),
		TEST(impossible_events_are_refused),
		TEST(impossible_shadows_and_tables_are_refused),
		TEST(impossible_fpu_areas_are_refused),
		TEST(other_machines_are_refused_by_field),
		TEST(impossible_queues_are_refused),
		TEST(lack_of_memory_is_told),
		TEST(random_contents_do_no_harm),
		cmocka_unit_test(checksums_are_those_of_the_specification),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
