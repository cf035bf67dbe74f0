// SPDX-License-Identifier: BSD-2-Clause
// The event queue: order, numbers, bounds; and a random comparison with a sorted list.
#include "kernel/event.h"

#include <string.h>

#include "tests/unit/fake_env.h"

enum { TIMERS = 40, LOG_MAX = 4096, FIRST_DEVICE = 3, TIMERS_OF_DEVICE = 4 };

static struct event_queue queue;
static struct event_timer timers[TIMERS];
static struct event delivered[LOG_MAX];
static unsigned count;
static void (*handler)(const struct event *event, struct guest_time now);

static void deliver(void *owner, const struct event *event, struct guest_time now)
{
	assert_ptr_equal(owner, &queue);
	assert_true(count < LOG_MAX);
	delivered[count++] = *event;
	if (handler != NULL)
		handler(event, now);
}

static int setup(void **state)
{
	(void)state;
	memset(&queue, 0xa5, sizeof(queue));
	event_queue_init(&queue, &queue, deliver);
	for (unsigned i = 0; i < TIMERS; i++)
		event_timer_init(&timers[i], (uint16_t)(FIRST_DEVICE + i / TIMERS_OF_DEVICE),
			(uint16_t)(i % TIMERS_OF_DEVICE));
	count = 0;
	handler = NULL;
	return 0;
}

static void post(uint16_t device, uint64_t value)
{
	struct event event = {.kind = EVENT_COMPLETION, .device = device, .value = value};

	assert_int_equal(event_post(&queue, &event), STATUS_OK);
}

static void arm(unsigned timer, uint64_t ns)
{
	event_timer_arm(&queue, &timers[timer], (struct guest_time){ns});
}

static void run(uint64_t now)
{
	count = 0;
	event_queue_deliver(&queue, (struct guest_time){now});
}

static unsigned timer_of(const struct event *event)
{
	assert_int_equal(event->kind, EVENT_TIMER);
	return (unsigned)(event->device - FIRST_DEVICE) * TIMERS_OF_DEVICE + event->index;
}

static void expect_timers(const unsigned *want, unsigned wanted)
{
	assert_int_equal(count, wanted);
	for (unsigned i = 0; i < wanted; i++)
		assert_int_equal(timer_of(&delivered[i]), want[i]);
}
#define EXPECT_TIMERS(...)                                                                         \
	expect_timers((const unsigned[]){__VA_ARGS__},                                             \
		(unsigned)ARRAY_COUNT(((const unsigned[]){__VA_ARGS__})))

static void an_empty_queue_is_never_due(void **state)
{
	(void)state;
	assert_false(event_queue_is_due(&queue, (struct guest_time){UINT64_MAX - 1}));
	assert_int_equal(event_fifo_room(&queue), EVENT_FIFO_MAX);
	run(UINT64_MAX);
	assert_int_equal(count, 0);
}

static void events_come_in_order_with_numbers(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		post(1, 100 + i);
	assert_true(event_queue_is_due(&queue, (struct guest_time){0}));
	assert_int_equal(event_fifo_room(&queue), EVENT_FIFO_MAX - 5);
	run(0);
	assert_int_equal(count, 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(delivered[i].value, 100 + i);
		assert_int_equal(delivered[i].sequence, i);
	}
	assert_false(event_queue_is_due(&queue, (struct guest_time){0}));
}

static void the_whole_event_is_copied(void **state)
{
	struct event event = {.kind = EVENT_CHARACTERS, .payload_bytes = EVENT_PAYLOAD_MAX,
		.device = 0xfffe, .index = 0xabcd, .sequence = 12345, .value = BIT(63) | 1};

	(void)state;
	memset(event.payload, 'x', sizeof(event.payload));
	assert_int_equal(event_post(&queue, &event), STATUS_OK);
	event.payload[0] = 'y';
	run(0);
	event.payload[0] = 'x';
	event.sequence = 0;
	assert_memory_equal(&delivered[0], &event, sizeof(event));
}

static void a_full_fifo_is_busy(void **state)
{
	struct event event = {.kind = EVENT_COMPLETION, .value = 999};

	(void)state;
	post(1, 0); // so that the ring wraps around
	run(0);
	for (unsigned i = 0; i < EVENT_FIFO_MAX; i++)
		post(1, i);
	assert_int_equal(event_fifo_room(&queue), 0);
	assert_int_equal(event_post(&queue, &event), STATUS_BUSY);
	run(0);
	assert_int_equal(count, EVENT_FIFO_MAX);
	for (unsigned i = 0; i < EVENT_FIFO_MAX; i++) {
		assert_int_equal(delivered[i].value, i);
		assert_int_equal(delivered[i].sequence, i + 1);
	}
	post(1, 7); // a refused event takes no number
	run(0);
	assert_int_equal(delivered[0].sequence, EVENT_FIFO_MAX + 1);
}

static void events_of_one_device_are_dropped(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) // moves the start, so that the kept ones wrap
		post(9, i);
	run(0);
	for (unsigned i = 0; i < 120; i++)
		post((uint16_t)(i % 3), i);
	event_drop(&queue, 1);
	assert_int_equal(event_fifo_room(&queue), EVENT_FIFO_MAX - 80);
	event_drop(&queue, 77);
	run(0);
	assert_int_equal(count, 80);
	for (unsigned i = 0; i < 80; i++) {
		assert_int_equal(delivered[i].value, i / 2 * 3 + (i % 2 != 0 ? 2 : 0));
		assert_int_equal(delivered[i].sequence, 200 + delivered[i].value);
	}
}

static void timers_go_by_deadline_device_and_index(void **state)
{
	(void)state;
	arm(7, 50);
	arm(6, 50);
	arm(1, 50);
	arm(5, 49);
	arm(9, 51);
	arm(0, 50);
	assert_int_equal(queue.next_deadline.ns, 49);
	assert_false(event_queue_is_due(&queue, (struct guest_time){48}));
	assert_true(event_queue_is_due(&queue, (struct guest_time){49}));
	run(50);
	EXPECT_TIMERS(5, 0, 1, 6, 7);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(delivered[i].sequence, i);
		assert_int_equal(delivered[i].value, i == 0 ? 49 : 50);
		assert_int_equal(timers[timer_of(&delivered[i])].heap_index, EVENT_TIMER_IDLE);
	}
	assert_int_equal(queue.next_deadline.ns, 51);
	run(50);
	assert_int_equal(count, 0);
	run(1000);
	EXPECT_TIMERS(9);
	assert_int_equal(queue.next_deadline.ns, GUEST_TIME_NEVER.ns);
}

static void timers_go_before_the_fifo(void **state)
{
	(void)state;
	post(1, 1);
	arm(3, 10);
	run(10);
	assert_int_equal(count, 2);
	assert_int_equal(delivered[0].kind, EVENT_TIMER);
	assert_int_equal(delivered[1].kind, EVENT_COMPLETION);
	assert_int_equal(delivered[1].sequence, 0); // the number is that of the post
	assert_int_equal(delivered[0].sequence, 1);
}

static void a_timer_armed_again_moves(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		arm(i, 100 + i);
	arm(9, 5);
	assert_int_equal(queue.next_deadline.ns, 5);
	arm(0, 200);
	arm(4, 104); // as it was
	assert_int_equal(queue.heap_count, 10);
	run(150);
	EXPECT_TIMERS(9, 1, 2, 3, 4, 5, 6, 7, 8);
	assert_int_equal(queue.next_deadline.ns, 200);
}

static void a_cancelled_timer_is_silent(void **state)
{
	(void)state;
	event_timer_arm(&queue, &timers[0], GUEST_TIME_NEVER); // not armed: nothing
	for (unsigned i = 0; i < 10; i++)
		arm(i, 10 + i);
	event_timer_arm(&queue, &timers[0], GUEST_TIME_NEVER);
	assert_int_equal(queue.next_deadline.ns, 11);
	event_timer_arm(&queue, &timers[5], GUEST_TIME_NEVER);
	event_timer_arm(&queue, &timers[9], GUEST_TIME_NEVER);
	event_timer_arm(&queue, &timers[9], GUEST_TIME_NEVER);
	run(1000);
	EXPECT_TIMERS(1, 2, 3, 4, 6, 7, 8);
	assert_int_equal(queue.next_deadline.ns, GUEST_TIME_NEVER.ns);
}

static void rearm_in_the_past(const struct event *event, struct guest_time now)
{
	(void)now;
	arm(timer_of(event), 1);
}

// Others wait as well, some of them due: none is passed over, none comes twice.
static void a_timer_armed_in_the_past_waits_for_the_next(void **state)
{
	(void)state;
	arm(0, 10);
	arm(1, 11);
	arm(2, 5000);
	arm(3, 6000);
	handler = rearm_in_the_past;
	run(20);
	EXPECT_TIMERS(0, 1);
	assert_int_equal(queue.next_deadline.ns, 1);
	assert_true(event_queue_is_due(&queue, (struct guest_time){20}));
	run(20);
	EXPECT_TIMERS(0, 1);
	assert_int_equal(delivered[0].value, 1);
}

static void meddle(const struct event *event, struct guest_time now)
{
	(void)now;
	if (timer_of(event) != 0)
		return;
	event_timer_arm(&queue, &timers[1], GUEST_TIME_NEVER); // due, and not yet delivered
	arm(2, 5);                                            // the same, armed again
	arm(3, 900);                                          // the same, put off
	arm(4, 2);                                            // was idle
}

static void a_handler_decides_about_due_timers(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		arm(i, 10 + i);
	arm(5, 14);
	handler = meddle;
	run(20);
	EXPECT_TIMERS(0, 5);
	run(20);
	EXPECT_TIMERS(4, 2);
	run(899);
	assert_int_equal(count, 0);
	run(900);
	EXPECT_TIMERS(3);
}

static void post_more(const struct event *event, struct guest_time now)
{
	(void)now;
	post(event->device, event->value + 1000);
	post(event->device, event->value + 2000);
}

static void what_handlers_post_comes_next(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		post(1, i);
	handler = post_more;
	run(0);
	assert_int_equal(count, 3);
	handler = NULL;
	run(0);
	assert_int_equal(count, 6);
	assert_int_equal(delivered[0].value, 1000);
	assert_int_equal(delivered[1].value, 2000);
	assert_int_equal(delivered[5].value, 2002);
}

static void drop_and_post(const struct event *event, struct guest_time now)
{
	(void)now;
	if (event->value != 0)
		return;
	event_drop(&queue, 2);
	post(2, 100);
	post(1, 101);
}

// What was dropped makes no room in this delivery for what was posted.
static void a_drop_in_a_handler_lets_nothing_in(void **state)
{
	(void)state;
	post(1, 0);
	post(2, 1);
	post(2, 2);
	post(1, 3);
	handler = drop_and_post;
	run(0);
	assert_int_equal(count, 2);
	assert_int_equal(delivered[1].value, 3);
	run(0);
	assert_int_equal(count, 2);
	assert_int_equal(delivered[0].value, 100);
	assert_int_equal(delivered[1].value, 101);
}

static void the_heap_takes_its_maximum(void **state)
{
	static struct event_timer many[EVENT_TIMERS_MAX];

	(void)state;
	for (unsigned i = 0; i < EVENT_TIMERS_MAX; i++) {
		event_timer_init(&many[i], (uint16_t)(i / 4), (uint16_t)(i % 4));
		event_timer_arm(&queue, &many[i], (struct guest_time){7});
	}
	run(7);
	assert_int_equal(count, EVENT_TIMERS_MAX);
	for (unsigned i = 0; i < EVENT_TIMERS_MAX; i++)
		assert_int_equal(delivered[i].device * 4 + delivered[i].index, i);
}

// The model: what should be armed, and a list of what was posted.
static uint64_t model_deadline[TIMERS];
static uint64_t model_fifo[EVENT_FIFO_MAX][2]; // value, device
static unsigned model_count;
static uint64_t seed;

static uint32_t random_below(uint32_t limit)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % limit;
}

static int model_earliest(uint64_t now)
{
	int first = -1;

	for (int i = 0; i < TIMERS; i++) // in order of device and index
		if (model_deadline[i] <= now &&
			(first < 0 || model_deadline[i] < model_deadline[first]))
			first = i;
	return first;
}

static void model_deliver(uint64_t now)
{
	unsigned at = 0;

	run(now);
	for (int timer; (timer = model_earliest(now)) >= 0; at++) {
		assert_true(at < count);
		assert_int_equal(timer_of(&delivered[at]), timer);
		assert_int_equal(delivered[at].value, model_deadline[timer]);
		model_deadline[timer] = UINT64_MAX;
	}
	assert_int_equal(count, at + model_count);
	for (unsigned i = 0; i < model_count; i++) {
		assert_int_equal(delivered[at + i].value, model_fifo[i][0]);
		assert_int_equal(delivered[at + i].device, model_fifo[i][1]);
	}
	model_count = 0;
}

static void model_drop(uint16_t device)
{
	unsigned kept = 0;

	event_drop(&queue, device);
	for (unsigned i = 0; i < model_count; i++)
		if (model_fifo[i][1] != device) {
			model_fifo[kept][0] = model_fifo[i][0];
			model_fifo[kept++][1] = model_fifo[i][1];
		}
	model_count = kept;
}

static void model_step(uint64_t *now)
{
	unsigned timer = random_below(TIMERS);
	uint16_t device = (uint16_t)random_below(6);
	struct event event = {.kind = EVENT_LINE, .device = device, .value = seed};

	switch (random_below(8)) {
	case 0: // few different deadlines, so that ties are common
	case 1:
	case 2:
	case 3:
		model_deadline[timer] = *now + random_below(12);
		arm(timer, model_deadline[timer]);
		break;
	case 4:
		model_deadline[timer] = UINT64_MAX;
		event_timer_arm(&queue, &timers[timer], GUEST_TIME_NEVER);
		break;
	case 5:
		if (event_post(&queue, &event) == STATUS_OK) {
			model_fifo[model_count][0] = event.value;
			model_fifo[model_count++][1] = device;
		} else {
			assert_int_equal(model_count, EVENT_FIFO_MAX);
		}
		break;
	case 6:
		if (random_below(8) == 0)
			model_drop(device);
		break;
	case 7:
		*now += random_below(5);
		model_deliver(*now);
	}
}

static void random_steps_agree_with_a_sorted_list(void **state)
{
	uint64_t now = 1000;

	(void)state;
	seed = 42;
	model_count = 0;
	for (unsigned i = 0; i < TIMERS; i++)
		model_deadline[i] = UINT64_MAX;
	for (unsigned step = 0; step < 200000; step++) {
		uint64_t next = UINT64_MAX;

		model_step(&now);
		for (unsigned i = 0; i < TIMERS; i++)
			next = model_deadline[i] < next ? model_deadline[i] : next;
		assert_true(queue.next_deadline.ns == next);
		assert_int_equal(event_fifo_room(&queue), EVENT_FIFO_MAX - model_count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_empty_queue_is_never_due, setup),
		cmocka_unit_test_setup(events_come_in_order_with_numbers, setup),
		cmocka_unit_test_setup(the_whole_event_is_copied, setup),
		cmocka_unit_test_setup(a_full_fifo_is_busy, setup),
		cmocka_unit_test_setup(events_of_one_device_are_dropped, setup),
		cmocka_unit_test_setup(timers_go_by_deadline_device_and_index, setup),
		cmocka_unit_test_setup(timers_go_before_the_fifo, setup),
		cmocka_unit_test_setup(a_timer_armed_again_moves, setup),
		cmocka_unit_test_setup(a_cancelled_timer_is_silent, setup),
		cmocka_unit_test_setup(a_timer_armed_in_the_past_waits_for_the_next, setup),
		cmocka_unit_test_setup(a_handler_decides_about_due_timers, setup),
		cmocka_unit_test_setup(what_handlers_post_comes_next, setup),
		cmocka_unit_test_setup(a_drop_in_a_handler_lets_nothing_in, setup),
		cmocka_unit_test_setup(the_heap_takes_its_maximum, setup),
		cmocka_unit_test_setup(random_steps_agree_with_a_sorted_list, setup),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
