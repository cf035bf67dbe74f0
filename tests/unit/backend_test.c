// SPDX-License-Identifier: BSD-2-Clause
// Requests at a back end: what is refused, what moves where and when, completions as events, and a
// log that says anything.
#include "vm/backend.h"

#include "tests/unit/bus_bench.h"

static struct backend_request *asked[2 * DEVICE_IO_MAX];
static unsigned asked_count;

static void asked_for(void *owner, struct backend_request *request)
{
	assert_ptr_equal(owner, asked);
	asked[asked_count++] = request;
}

static int setup(void **state)
{
	asked_count = kicks = 0;
	assert_int_equal(bench_setup(state), 0);
	return (int)backend_create(&vm->devices[C], 0, asked_for, asked);
}

static int teardown(void **state)
{
	backend_destroy(&vm->devices[C]);
	backend_destroy(&vm->devices[C]); // there is none any more
	return bench_teardown(state);
}

static enum status submit(uint64_t name, enum device_io_kind kind, uint64_t at, uint64_t bytes)
{
	const struct device_io_piece pieces[] = {{{at}, bytes / 2}, {{at + 0x1000},
		bytes - bytes / 2}};
	const struct device_io io = {.request = name, .offset = name << 12, .kind = (uint8_t)kind,
		.piece_count = 2, .pieces = pieces};

	return device_submit(probe(C), 0, &io);
}

static struct event completion(uint64_t name, enum status status)
{
	return (struct event){.kind = EVENT_COMPLETION, .device = C, .value = name,
		.payload_bytes = 1, .payload = {(uint8_t)status}};
}

static void what_was_read_comes_with_the_completion(void **state)
{
	struct event event;

	(void)state;
	assert_int_equal(submit(7, DEVICE_IO_READ, 0x2ff0, 64), STATUS_OK);
	assert_int_equal(vm->requests_out.sent, 1);
	assert_false(backend_all_done(&vm->requests_out));
	assert_int_equal(asked[0]->bytes, 64);
	assert_true(asked[0]->offset == 7 << 12);
	assert_int_equal(asked[0]->kind, DEVICE_IO_READ);
	assert_false(backend_completion(vm, &event));
	memset(asked[0]->data, 0x11, 32);
	memset(asked[0]->data + 32, 0x22, 32);
	backend_done(asked[0], STATUS_OK);
	assert_int_equal(changes, 1);
	assert_int_equal(kicks, 1); // for who waits that all are done
	assert_true(backend_all_done(&vm->requests_out));
	assert_true(backend_any_done(&vm->requests_out));
	assert_true(backend_completion(vm, &event) && backend_completion(vm, &event));
	assert_int_equal(event.kind, EVENT_COMPLETION);
	assert_int_equal(event.device, C);
	assert_int_equal(event.value, 7);
	backend_take(vm, &event);
	assert_false(backend_any_done(&vm->requests_out));
	assert_false(backend_completion(vm, &event));
	assert_int_equal(block[0x2ff0], 0);
	assert_int_equal(event_post(&vm->queue, &event), STATUS_OK);
	deliver();
	expect(0, C, COMPLETE, 0, STATUS_OK, 7);
	assert_int_equal(block[0x2ff0], 0x11);
	assert_int_equal(block[0x300f], 0x11);
	assert_int_equal(block[0x3010], 0);
	assert_int_equal(block[0x3ff0], 0x22);
	assert_int_equal(block[0x400f], 0x22);
	assert_int_equal(block[0x4010], 0);
	assert_int_equal(written[0], 1);
	assert_int_equal(submit(7, DEVICE_IO_READ, 0x2ff0, 64), STATUS_OK); // its name is free
}

static void what_is_written_is_taken_at_once(void **state)
{
	(void)state;
	memset(block + 0x5000, 0x33, 16);
	memset(block + 0x6000, 0x44, 16);
	assert_int_equal(submit(1, DEVICE_IO_WRITE, 0x5000, 32), STATUS_OK);
	memset(block + 0x5000, 0, 0x2000);
	assert_int_equal(asked[0]->data[15], 0x33);
	assert_int_equal(asked[0]->data[16], 0x44);
}

static enum status submit_own(unsigned port, enum device_io_kind kind, uint64_t bytes)
{
	uint8_t own[64];
	const struct device_io io = {.request = 7, .kind = (uint8_t)kind, .bytes = bytes,
		.data = own};

	memset(own, 0x55, sizeof(own));
	return device_submit(probe(C), port, &io);
}

static uint8_t taken[72];

static void take_data(struct device *device, const struct note *note)
{
	memset(taken, 0x99, sizeof(taken));
	if (note->kind == COMPLETE)
		device_take_data(device, (unsigned)note->number, taken, sizeof(taken));
}

static void answer_and_deliver(unsigned request, enum status status)
{
	struct event event;

	backend_done(asked[request], status);
	assert_true(backend_completion(vm, &event));
	backend_take(vm, &event);
	assert_int_equal(event_post(&vm->queue, &event), STATUS_OK);
	deliver();
}

// Without pieces, data are the device's own.
static void devices_have_data_of_their_own(void **state)
{
	(void)state;
	probes[C].act = take_data;
	assert_int_equal(submit_own(0, DEVICE_IO_WRITE, 64), STATUS_OK);
	assert_int_equal(asked[0]->bytes, 64);
	assert_int_equal(asked[0]->data[63], 0x55);
	answer_and_deliver(0, STATUS_OK);
	assert_int_equal(taken[0], 0); // nothing was read
	assert_int_equal(submit_own(0, DEVICE_IO_READ, DEVICE_IO_BYTES_MAX + 1), STATUS_RANGE);
	assert_int_equal(submit_own(0, DEVICE_IO_READ, 64), STATUS_OK);
	memset(asked[1]->data, 0x66, 72);
	answer_and_deliver(1, STATUS_OK);
	assert_int_equal(taken[63], 0x66);
	assert_int_equal(taken[64], 0);
	assert_int_equal(submit_own(0, DEVICE_IO_READ, 64), STATUS_OK);
	memset(asked[2]->data, 0x66, 72);
	answer_and_deliver(2, STATUS_IO);
	assert_int_equal(taken[0], 0);
	assert_int_equal(submit(7, DEVICE_IO_READ, 0x5000, 64), STATUS_OK); // guest memory's
	memset(asked[3]->data, 0x66, 64);
	answer_and_deliver(3, STATUS_OK);
	assert_int_equal(taken[0], 0);
}

// Names are a port's own.
static void a_device_has_several_ports(void **state)
{
	(void)state;
	assert_int_equal(submit_own(3, DEVICE_IO_READ, 64), STATUS_UNSUPPORTED);
	assert_int_equal((int)backend_create(&vm->devices[C], 3, asked_for, asked), STATUS_OK);
	assert_int_equal(submit_own(3, DEVICE_IO_READ, 64), STATUS_OK);
	assert_int_equal(submit_own(3, DEVICE_IO_READ, 64), STATUS_EXISTS);
	assert_int_equal(submit(7, DEVICE_IO_READ, 0x2ff0, 64), STATUS_OK);
	probes[C].act = take_data;
	memset(asked[0]->data, 0x66, 64);
	answer_and_deliver(0, STATUS_OK);
	expect(0, C, COMPLETE, 3, STATUS_OK, 7);
	assert_int_equal(taken[0], 0x66);
	assert_int_equal(submit(7, DEVICE_IO_READ, 0x2ff0, 64), STATUS_EXISTS);
	device_drop(probe(C), 0, 7);
	answer_and_deliver(1, STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(submit_own(3, DEVICE_IO_FLUSH, 0), STATUS_OK);
	backend_drop_all(&vm->devices[C]);
	answer_and_deliver(2, STATUS_OK);
	assert_int_equal(count, 1);
}

// One that failed leaves memory alone.
static void a_failure_is_told(void **state)
{
	struct event event;

	(void)state;
	assert_int_equal(submit(1, DEVICE_IO_READ, 0x5000, 32), STATUS_OK);
	memset(asked[0]->data, 0x33, 32);
	backend_done(asked[0], STATUS_IO);
	assert_true(backend_completion(vm, &event));
	backend_take(vm, &event);
	assert_int_equal(event_post(&vm->queue, &event), STATUS_OK);
	deliver();
	expect(0, C, COMPLETE, 0, STATUS_IO, 1);
	assert_int_equal(block[0x5000], 0);
}

static void what_cannot_be_is_refused(void **state)
{
	struct device_io_piece many[DEVICE_IO_PIECES_MAX + 1];
	struct device_io io = {.piece_count = DEVICE_IO_PIECES_MAX + 1, .pieces = many};

	(void)state;
	assert_int_equal(device_submit(probe(A), 0, &io), STATUS_UNSUPPORTED);
	assert_int_equal(device_submit(probe(C), 1, &io), STATUS_UNSUPPORTED);
	for (unsigned i = 0; i <= DEVICE_IO_PIECES_MAX; i++)
		many[i] = (struct device_io_piece){{0x1000}, 1};
	assert_int_equal(device_submit(probe(C), 0, &io), STATUS_RANGE);
	io.piece_count--;
	io.kind = DEVICE_IO_KINDS;
	assert_int_equal(device_submit(probe(C), 0, &io), STATUS_UNSUPPORTED);
	assert_int_equal(submit(1, DEVICE_IO_READ, 0x9fff0, 64), STATUS_RANGE); // the VGA window
	assert_int_equal(submit(1, DEVICE_IO_READ, 0xc0000, 64), STATUS_RANGE); // ROM
	assert_int_equal(submit(1, DEVICE_IO_WRITE, 2 * MIB - 0x1010, 64), STATUS_RANGE);
	assert_int_equal(submit(1, DEVICE_IO_READ, UINT64_MAX - 8, 64), STATUS_RANGE);
	assert_int_equal(submit(1, DEVICE_IO_READ, 0x1000, UINT64_MAX), STATUS_RANGE);
	assert_int_equal(submit(1, DEVICE_IO_READ, 0x10000, DEVICE_IO_BYTES_MAX + 1),
		STATUS_RANGE);
	assert_int_equal(asked_count, 0);
	assert_int_equal(submit(0, DEVICE_IO_READ, 0x10000, DEVICE_IO_BYTES_MAX), STATUS_OK);
	assert_int_equal(submit(0, DEVICE_IO_FLUSH, 0x10000, 0), STATUS_EXISTS);
	for (uint64_t i = 1; i < DEVICE_IO_MAX; i++)
		assert_int_equal(submit(i, DEVICE_IO_FLUSH, 0x10000, 0), STATUS_OK);
	assert_int_equal(submit(99, DEVICE_IO_FLUSH, 0x10000, 0), STATUS_BUSY);
	assert_int_equal(vm->requests_out.sent, DEVICE_IO_MAX);
}

// It is done to the medium, and the device hears nothing of it.
static void what_is_dropped_leaves_memory_alone(void **state)
{
	struct event event;

	(void)state;
	assert_int_equal(submit(1, DEVICE_IO_READ, 0x5000, 32), STATUS_OK);
	memset(asked[0]->data, 0x33, 32);
	device_drop(probe(C), 0, 2); // not under way
	device_drop(probe(C), 0, 1);
	assert_int_equal(submit(1, DEVICE_IO_READ, 0x5000, 32), STATUS_EXISTS);
	backend_done(asked[0], STATUS_OK);
	assert_true(backend_completion(vm, &event)); // it has a position all the same
	backend_take(vm, &event);
	assert_int_equal(event_post(&vm->queue, &event), STATUS_OK);
	deliver();
	assert_int_equal(count, 0);
	assert_int_equal(block[0x5000], 0);
	assert_int_equal(submit(1, DEVICE_IO_READ, 0x5000, 32), STATUS_OK); // free, and wanted
	backend_done(asked[1], STATUS_OK);
	assert_true(backend_completion(vm, &event));
	backend_take(vm, &event);
	assert_int_equal(event_post(&vm->queue, &event), STATUS_OK);
	deliver();
	expect(0, C, COMPLETE, 0, STATUS_OK, 1);
}

static void ranges_without_data_can_be_large(void **state)
{
	const struct device_io io = {.request = 1, .offset = 512, .kind = DEVICE_IO_ZERO,
		.bytes = 1 << 30};

	(void)state;
	assert_int_equal(device_submit(probe(C), 0, &io), STATUS_OK);
	assert_int_equal(asked[0]->kind, DEVICE_IO_ZERO);
	assert_int_equal(asked[0]->bytes, 1 << 30);
}

// As a log says it, which may be anything.
static void a_log_may_lie(void **state)
{
	struct event good = completion(1, STATUS_OK), event = good;

	(void)state;
	assert_string_equal(backend_problem(vm, &good), "a completion of what was not asked for");
	assert_false(backend_is_awaited(vm, &good));
	assert_int_equal(submit(1, DEVICE_IO_READ, 0x1000, 8), STATUS_OK);
	assert_true(backend_is_awaited(vm, &good));
	assert_string_equal(backend_problem(vm, &good), "a completion that has yet to come");
	backend_done(asked[0], STATUS_OK);
	assert_false(backend_is_awaited(vm, &good));
	assert_null(backend_problem(vm, &good));
	event.payload[0] = STATUS_IO; // as it was then
	assert_null(backend_problem(vm, &event));
	event.payload[0] = STATUS_COUNT;
	assert_non_null(backend_problem(vm, &event));
	event = good;
	event.payload_bytes = 0;
	assert_non_null(backend_problem(vm, &event));
	event = good;
	event.index = 1;
	assert_non_null(backend_problem(vm, &event));
	event = good;
	event.device = B;
	assert_non_null(backend_problem(vm, &event));
	event.device = UINT16_MAX;
	assert_non_null(backend_problem(vm, &event));
	backend_take(vm, &good);
	assert_non_null(backend_problem(vm, &good)); // twice
	expect_assert_failure(backend_take(vm, &good));
	assert_int_equal(submit(2, DEVICE_IO_READ, 0x1000, 8), STATUS_OK);
	backend_done(asked[1], STATUS_IO);
	good.value = 2;
	assert_string_equal(backend_problem(vm, &good), "the back end failed, and did not then");
}

static void a_reset_frees_all(void **state)
{
	struct event event;

	(void)state;
	assert_int_equal(submit(1, DEVICE_IO_READ, 0x1000, 8), STATUS_OK);
	assert_int_equal(submit(2, DEVICE_IO_READ, 0x1000, 8), STATUS_OK);
	assert_int_equal(submit(3, DEVICE_IO_READ, 0x1000, 8), STATUS_OK);
	backend_done(asked[0], STATUS_OK);
	backend_done(asked[1], STATUS_OK);
	assert_true(backend_completion(vm, &event));
	backend_take(vm, &event);
	expect_assert_failure(backend_reset(&vm->devices[C])); // one is not done
	backend_done(asked[2], STATUS_OK);
	backend_reset(&vm->devices[C]);
	backend_reset(&vm->devices[A]);
	assert_int_equal(vm->requests_out.sent, 0);
	assert_false(backend_any_done(&vm->requests_out));
	assert_false(backend_completion(vm, &event));
	for (uint64_t i = 0; i < DEVICE_IO_MAX; i++)
		assert_int_equal(submit(i, DEVICE_IO_FLUSH, 0x1000, 0), STATUS_OK);
}

static unsigned copies, asks;
static bool answers_later;

static enum status copied(void *owner, const struct backend_slot *slot, struct guest_ram *ram)
{
	const uint8_t value = 0x77;

	assert_ptr_equal(owner, asked);
	copies++;
	if (answers_later)
		return STATUS_AGAIN;
	return slot->request.offset == 0 ? STATUS_RANGE
		: guest_ram_write(ram, slot->pieces[0].at, &value, 1);
}

// At the access, and at completions, as often as `asks` says.
static void ask(struct device *device, const struct note *note)
{
	(void)note;
	assert_ptr_equal(device, probe(C));
	if (asks == 0)
		return;
	asks--;
	assert_int_equal(submit(asks + 1, DEVICE_IO_READ, 0x5000 + asks, 2), STATUS_OK);
}

static void access_that(void (*act)(struct device *device, const struct note *note))
{
	vm->devices[C].backend->copy = copied;
	copies = 0;
	probes[C].act = act;
	map(C, 7, DEVICE_SPACE_PORT, 0xff00, 1, 1);
	port_write(0xff00, 1, 0);
	assert_int_equal(vm->bus.effect_count, 0);
}

// The access is over for the device when it hears of it, and not for the guest.
static void what_is_copied_at_once_is_told_at_once(void **state)
{
	(void)state;
	asks = 1;
	access_that(ask);
	assert_int_equal(count, 2);
	expect(1, C, COMPLETE, 0, STATUS_OK, 1);
	assert_int_equal(block[0x5000], 0x77);
	assert_int_equal(asked_count, 0);
	assert_int_equal(changes, 0);
	assert_int_equal(vm->devices[C].backend->used, 0);
}

// What a completion asks for waits for the next delivery, and what that asks for is told there.
static void no_stimulus_goes_on_for_ever(void **state)
{
	(void)state;
	asks = 5;
	access_that(ask);
	assert_int_equal(copies, 2);
	assert_int_equal(count, 2);
	expect(1, C, COMPLETE, 0, STATUS_OK, 5);
	assert_int_equal(changes, 1);
	deliver();
	assert_int_equal(copies, 4);
	assert_int_equal(count, 4);
	expect(2, C, COMPLETE, 0, STATUS_OK, 4);
	expect(3, C, COMPLETE, 0, STATUS_OK, 3);
	deliver();
	assert_int_equal(copies, 5);
	assert_int_equal(count, 6);
	deliver();
	assert_int_equal(count, 6);
	assert_int_equal(vm->devices[C].backend->used, 0);
}

static void ask_and_drop(struct device *device, const struct note *note)
{
	ask(device, note);
	if (count == 1)
		device_drop(device, 0, 1);
}

static void ask_and_lose_power(struct device *device, const struct note *note)
{
	ask(device, note);
	backend_drop_all(&vm->devices[C]);
}

static void what_is_copied_can_be_dropped(void **state)
{
	(void)state;
	asks = 1;
	access_that(ask_and_drop);
	assert_int_equal(count, 1);
	assert_int_equal(vm->devices[C].backend->used, 0);
	asks = 1;
	access_that(ask_and_lose_power);
	assert_int_equal(count, 2);
	assert_int_equal(vm->devices[C].backend->used, 0);
}

static void ask_for_what_is_not_there(struct device *device, const struct note *note)
{
	if (note->kind != COMPLETE)
		assert_int_equal(submit(0, DEVICE_IO_READ, 0x5000, 2), STATUS_OK);
	(void)device;
}

static void a_copy_that_fails_is_told(void **state)
{
	(void)state;
	access_that(ask_for_what_is_not_there);
	expect(1, C, COMPLETE, 0, STATUS_RANGE, 0);
}

// Where positions are kept, and where the back end would have to wait, it is asked.
static void not_all_is_copied_at_once(void **state)
{
	(void)state;
	asks = 1;
	answers_later = true;
	access_that(ask);
	answers_later = false;
	assert_int_equal(copies, 1);
	assert_int_equal(count, 1);
	assert_int_equal(asked_count, 1);
	asks = 2;
	vm->landing = (struct landing *)(void *)asked;
	access_that(ask);
	vm->landing = NULL;
	assert_int_equal(copies, 0);
	assert_int_equal(asked_count, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_was_read_comes_with_the_completion),
		TEST(what_is_written_is_taken_at_once),
		TEST(devices_have_data_of_their_own),
		TEST(a_device_has_several_ports),
		TEST(a_failure_is_told),
		TEST(what_cannot_be_is_refused),
		TEST(what_is_dropped_leaves_memory_alone),
		TEST(ranges_without_data_can_be_large),
		TEST(a_log_may_lie),
		TEST(a_reset_frees_all),
		TEST(what_is_copied_at_once_is_told_at_once),
		TEST(no_stimulus_goes_on_for_ever),
		TEST(what_is_copied_can_be_dropped),
		TEST(a_copy_that_fails_is_told),
		TEST(not_all_is_copied_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
