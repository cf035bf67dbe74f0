// SPDX-License-Identifier: BSD-2-Clause
// The devices' environment: when and in what order effects take place, and DMA.
#include "vm/env.h"

#include "tests/unit/bus_bench.h"

static bool upside_down(const struct device *device, struct guest_time now, unsigned output)
{
	assert_int_equal(now.ns, NOW + 1);
	return !wires[device->id][output].level;
}
static const struct device_model computed = {.name = "computed", .outputs = PINS,
	.level = upside_down};

static void pulse(struct device *device, const struct note *note)
{
	(void)note;
	device_set_line(device, 1, true);
	device_set_line(device, 1, false);
	device_set_line(device, 1, false); // no change
	assert_int_equal(count, 1);        // nobody was entered as yet
	assert_int_equal(vm->bus.effect_count, 2);
}

static void both_edges_of_a_pulse_arrive_after_the_handler(void **state)
{
	(void)state;
	connect(A, 1, 0, B, 3);
	connect(A, 1, 1, C, 2);
	poke(pulse);
	assert_int_equal(count, 5);
	expect(1, B, LINE, 3, 0, true);
	expect(2, C, LINE, 2, 0, true);
	expect(3, B, LINE, 3, 0, false);
	expect(4, C, LINE, 2, 0, false);
}

static void raise_and_send(struct device *device, const struct note *note)
{
	const struct interrupt_message message = {.vector = 0x51, .destination = 9};

	(void)note;
	device_set_line(device, 0, true);
	device_send_message(device, &message);
	device_set_line(device, 2, true);
	device_set_line(device, 3, true); // wired to nobody
}

static void pass_on(struct device *device, const struct note *note)
{
	if (note->kind == LINE)
		device_set_line(device, 0, note->value != 0);
}

// First in, first out; those of the handlers that they call come behind.
static void effects_keep_their_order(void **state)
{
	(void)state;
	connect(A, 0, 0, B, 1);
	connect(A, 2, 0, C, 2);
	connect(B, 0, 0, C, 0);
	probes[B].act = pass_on;
	poke(raise_and_send);
	assert_int_equal(count, 5);
	expect(1, B, LINE, 1, 0, true);
	expect(2, A, MESSAGE, 0x51, 9, 0);
	expect(3, C, LINE, 2, 0, true);
	expect(4, C, LINE, 0, 0, true);
	assert_true(wires[A][3].level);
}

static void raise_intr(struct device *device, const struct note *note)
{
	(void)note;
	device_set_line(device, 0, true);
	assert_false(lint0); // not before the handler has returned
}

static void lines_lead_to_the_local_apic(void **state)
{
	(void)state;
	wires[A][0].sinks[0].kind = WIRE_LOCAL_APIC;
	poke(raise_intr);
	assert_true(lint0);
}

static bool sampled;

static void sample(struct device *device, const struct note *note)
{
	(void)note;
	sampled = device_sample(device, 3);
}

static void inputs_are_sampled_at_their_source(void **state)
{
	(void)state;
	sampled = true;
	poke(sample);
	assert_false(sampled); // nothing is wired to it
	connect(B, 1, 0, C, 3);
	connect(B, 1, 1, A, 3);
	connect(C, 2, 0, A, 2);
	wires[B][1].level = true;
	wires[C][2].level = false;
	poke(sample);
	assert_true(sampled);
	probes[B].device.model = &computed; // an output that only a question computes
	poke(sample);
	assert_false(sampled);
}

static void schedule(struct device *device, const struct note *note)
{
	if (note->kind != WRITE)
		return;
	device_schedule_bottom_half(device, 1);
	device_schedule_bottom_half(device, 1);
	device_schedule_bottom_half(device, 0);
	assert_int_equal(count, 1);
}

static void schedule_again(struct device *device, const struct note *note)
{
	if (note->kind == BOTTOM_HALF && note->number == 1)
		device_schedule_bottom_half(device, 1);
}

static void bottom_halves_are_queued_once(void **state)
{
	(void)state;
	poke(schedule);
	assert_int_equal(event_fifo_room(&vm->queue), EVENT_FIFO_MAX - 2);
	assert_int_equal(count, 1);
	probes[A].act = schedule_again;
	deliver();
	assert_int_equal(count, 3);
	expect(1, A, BOTTOM_HALF, 1, 0, 0);
	expect(2, A, BOTTOM_HALF, 0, 0, 0);
	probes[A].act = NULL;
	deliver(); // from within itself it may be queued again
	assert_int_equal(count, 4);
	expect(3, A, BOTTOM_HALF, 1, 0, 0);
	deliver();
	assert_int_equal(count, 4);
}

static void arm(struct device *device, const struct note *note)
{
	(void)note;
	device_arm_timer(device, 1, (struct guest_time){NOW});
	device_arm_timer(device, 0, (struct guest_time){NOW + 1});
}

static void cancel(struct device *device, const struct note *note)
{
	(void)note;
	device_cancel_timer(device, 1);
}

static void timers_expire_through_the_queue(void **state)
{
	(void)state;
	poke(arm);
	assert_int_equal(vm->queue.next_deadline.ns, NOW);
	deliver();
	assert_int_equal(count, 2);
	expect(1, A, TIMER, 1, 0, 0);
	poke(arm);
	poke(cancel);
	deliver();
	assert_int_equal(count, 4); // the two writes alone
}

static void effects_need_a_stimulus(void **state)
{
	const struct interrupt_message message = {0};

	(void)state;
	connect(A, 0, 0, B, 0);
	expect_assert_failure(device_set_line(probe(A), 0, true));
	expect_assert_failure(device_send_message(probe(A), &message));
	expect_assert_failure(device_set_line(probe(A), PINS, true));
	expect_assert_failure(device_arm_timer(probe(A), 2, GUEST_TIME_NEVER));
	expect_assert_failure(device_schedule_bottom_half(probe(A), 2));
}

static void dma_is_for_ram_alone(void **state)
{
	uint8_t data[16] = "0123456789abcde";
	struct device_dma_map dma;

	(void)state;
	map(B, 0, DEVICE_SPACE_MMIO, 0xfee00000, 0x1000, 8);
	assert_int_equal(device_dma_write(probe(A), (struct gpa){0xfee00000}, data, 4),
		STATUS_RANGE);
	assert_int_equal(device_dma_read(probe(A), (struct gpa){0xfee00000}, data, 4),
		STATUS_RANGE);
	assert_int_equal(device_dma_map(probe(A), (struct gpa){0xfee00000}, 4, true, &dma),
		STATUS_RANGE);
	assert_int_equal(device_dma_write(probe(A), (struct gpa){0xa0000}, data, 4), STATUS_RANGE);
	assert_int_equal(device_dma_write(probe(A), (struct gpa){0xc0000}, data, 4), STATUS_RANGE);
	assert_int_equal(device_dma_map(probe(A), (struct gpa){0xc0000}, 4, true, &dma),
		STATUS_RANGE);
	assert_int_equal(device_dma_write(probe(A), (struct gpa){2 * MIB - 8}, data, 16),
		STATUS_RANGE);
	assert_int_equal(block[2 * MIB - 8], 0);
	assert_int_equal(count, 0); // no device was asked
	assert_int_equal(device_dma_write(probe(A), (struct gpa){0x1ff8}, data, 16), STATUS_OK);
	assert_memory_equal(block + 0x1ff8, data, 16);
	memset(data, 0, sizeof(data));
	assert_int_equal(device_dma_read(probe(A), (struct gpa){0x1ff8}, data, 16), STATUS_OK);
	assert_memory_equal(block + 0x1ff8, data, 16);
}

static void expect_mapped(uint64_t at, size_t bytes, uint64_t mapped)
{
	struct device_dma_map dma;

	assert_int_equal(device_dma_map(probe(A), (struct gpa){at}, bytes, true, &dma), STATUS_OK);
	assert_ptr_equal(dma.address, block + at);
	assert_int_equal(dma.gpa.v, at);
	assert_int_equal(dma.bytes, mapped);
	assert_true(dma.writable);
	device_dma_unmap(probe(A), &dma, mapped);
	assert_null(dma.address);
}

static void writes_to_a_mapping_are_told(void **state)
{
	struct device_dma_map dma;

	(void)state;
	assert_int_equal(device_dma_map(probe(A), (struct gpa){0x1000}, 64, true, &dma), STATUS_OK);
	written[0] = 0;
	device_dma_written(probe(A), &dma, 8, 8);
	assert_int_equal(written[0], 1);
	written[0] = 0;
	device_dma_unmap(probe(A), &dma, 0);
	assert_int_equal(written[0], 0);
}

static void mappings_end_where_ram_may(void **state)
{
	struct device_dma_map dma;

	(void)state;
	expect_mapped(0x1000, 100, 100);
	expect_mapped(0x9fff0, 0x100, 0x10);         // before the VGA window
	expect_mapped(MIB, 4 * MIB, MIB);            // to the block's end
	expect_mapped(2 * MIB - 1, 2, 1);
	// What may turn into something else is not mapped.
	vm->ram.shadow[0] = GUEST_SHADOW_READ | GUEST_SHADOW_WRITE;
	assert_int_equal(device_dma_write(probe(A), (struct gpa){GUEST_ROM_START}, "", 1),
		STATUS_OK);
	assert_int_equal(device_dma_map(probe(A), (struct gpa){GUEST_ROM_START}, 8, false, &dma),
		STATUS_RANGE);
	vm->ram.shadow[0] = 0;
	assert_int_equal(device_dma_map(probe(A), (struct gpa){0}, 8, false, &dma), STATUS_OK);
	expect_assert_failure(device_dma_unmap(probe(A), &dma, 1));
}

static void ask(struct device *device, const struct note *note)
{
	(void)note;
	device_request(device, DEVICE_REQUEST_POWER_OFF, 3);
	device_output(device, 0, (const uint8_t *)"hi", 2);
	assert_int_equal(device_submit(device, 0, &(struct device_io){.request = 1}),
		STATUS_UNSUPPORTED);
}

static char printed[8];

static void print(void *owner, const uint8_t *bytes, size_t bytes_count)
{
	assert_ptr_equal(owner, vm);
	memcpy(printed, bytes, bytes_count);
}

static void requests_and_output_reach_the_machine(void **state)
{
	(void)state;
	poke(ask); // without anybody who listens
	vm->config.output = print;
	vm->config.owner = vm;
	poke(ask);
	assert_int_equal(vm->requests, BIT(DEVICE_REQUEST_POWER_OFF));
	assert_int_equal(vm->request_argument, 3);
	assert_string_equal(printed, "hi");
}

static void tell(struct device *device, const struct note *note)
{
	(void)note;
	device_report(device, "its ring is broken");
}

static void a_guest_does_not_fill_the_log(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * VM_REPORTS_MAX; i++)
		poke(tell);
	assert_int_equal(warnings, VM_REPORTS_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(both_edges_of_a_pulse_arrive_after_the_handler),
		TEST(effects_keep_their_order),
		TEST(lines_lead_to_the_local_apic),
		TEST(inputs_are_sampled_at_their_source),
		TEST(bottom_halves_are_queued_once),
		TEST(timers_expire_through_the_queue),
		TEST(effects_need_a_stimulus),
		TEST(dma_is_for_ram_alone),
		TEST(writes_to_a_mapping_are_told),
		TEST(mappings_end_where_ram_may),
		TEST(requests_and_output_reach_the_machine),
		TEST(a_guest_does_not_fill_the_log),
	};

	return cmocka_run_group_tests_name("env", tests, NULL, NULL);
}
