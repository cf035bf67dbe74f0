// SPDX-License-Identifier: BSD-2-Clause
// States of virtio devices that contradict themselves are refused; what contradicts guest memory
// breaks the device for its guest. What random changes leave acceptable does no harm.
#include "tests/unit/virtio_bench.h"

#include <stdlib.h>

#include "emul/virtio_balloon.h"
#include "emul/virtio_console.h"
#include "emul/virtio_rng.h"

#define SPLIT   (MODERN | BIT(VIRTIO_F_EVENT_IDX))
#define PACKED  (SPLIT | BIT(VIRTIO_F_RING_PACKED))
#define ORDERED BIT(VIRTIO_F_IN_ORDER)

static const char distance[] =
	"a queue's indexes are further apart than its size, or beyond it";
static const char contradiction[] = "a queue's indexes contradict what is in flight";
static const char unused[] = "indexes of a queue that is not enabled";
static const char told[] =
	"a queue's used index is not the one that its driver was told of";

// What is said of the state when it is loaded; NULL: it is accepted.
static const char *load_problem(const void *instance)
{
	const struct state_table *table = env.device->model->state;
	size_t bytes = state_saved_bytes(table, table->version);
	uint8_t *saved = malloc(bytes);
	void *fresh = calloc(1, table->struct_bytes);
	struct state_error error = {0};
	enum status status;

	assert_non_null(saved);
	assert_non_null(fresh);
	assert_int_equal(state_save(table, instance, saved, bytes), STATUS_OK);
	status = state_load(table, table->version, saved, bytes, fresh, &error);
	free(saved);
	free(fresh);
	return status == STATUS_OK ? NULL : error.reason;
}

// A copy of the disk, for `change` to be made in.
static struct virtio_blk *copy_of_disk(void)
{
	static struct virtio_blk copy;

	copy = *virtio_blk_of(env.device);
	assert_null(load_problem(&copy));
	return &copy;
}

static void expect_refused(const void *instance, const char *reason, int line)
{
	const char *said = load_problem(instance);

	if (said == NULL || strcmp(said, reason) != 0)
		fail_msg("line %d: \"%s\", not \"%s\"", line, said != NULL ? said : "", reason);
}

#define REFUSED(change, reason)                                                                    \
	do {                                                                                       \
		struct virtio_blk *disk = copy_of_disk();                                          \
		struct virtio_queue *queue = &disk->virtio.queues[0];                              \
		struct virtio_blk_request *first = &disk->requests[0];                             \
		(void)queue;                                                                       \
		(void)first;                                                                       \
		change;                                                                            \
		expect_refused(disk, reason, __LINE__);                                            \
	} while (0)

// A chain that has come back, and two reads in flight, of heads or ids 2 and 5.
static void begin_in_flight(uint64_t features)
{
	begin(features);
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	request(packed ? 2 : 3, VIRTIO_BLK_T_IN, 0, DATA, 512);
	if (packed)
		assert_int_equal(env.submits, 1);
	else
		request(5, VIRTIO_BLK_T_IN, 8, DATA, 1024);
}

static void indexes_of_split_rings(void **state)
{
	(void)state;
	begin_in_flight(SPLIT);
	REFUSED(queue->next++, contradiction);
	REFUSED(queue->next--, contradiction);
	REFUSED(queue->used++, contradiction);
	REFUSED(queue->used = (uint16_t)(queue->next + 1), distance); // ahead of what there was
	REFUSED(queue->next = (uint16_t)(queue->used + QUEUE_SIZE + 1), distance);
	REFUSED(queue->used = (uint16_t)(queue->used - QUEUE_SIZE), distance);
	REFUSED(queue->signalled--, told);
	REFUSED(queue->was_signalled = 0, told);
	REFUSED(queue->flying[0] |= BIT(1), contradiction);
	REFUSED(queue->flying[0] &= ~BIT(5), contradiction);
	REFUSED(queue->flying[0] |= BIT(QUEUE_SIZE), "a chain beyond its ring");
	REFUSED(queue->flying[1] |= BIT(63), "a chain beyond its ring");
	REFUSED(queue->size = 6, "a queue's size is no power of two");
	REFUSED(queue->size = 0, "a queue has no size, or one that is too large");
	REFUSED(queue->driver++, "a ring is misaligned");
	REFUSED(queue->enabled = false, "chains of a queue that is not enabled");
	REFUSED(queue[1].flying[0] = 1, "chains of a queue that is not enabled");
	REFUSED(queue[1].next = 1, unused);
	REFUSED(queue[1].used = 1, unused);
	REFUSED(queue[1].signalled = 1, unused);
	REFUSED(queue[1].next_wrap = false, unused);
	REFUSED(queue[1].used_wrap = false, unused);
	REFUSED(queue[1].was_signalled = 1, unused);
}

static void indexes_of_packed_rings(void **state)
{
	(void)state;
	begin_in_flight(PACKED); // descriptors 3, 4 and 5
	REFUSED(queue->next_wrap = !queue->next_wrap, distance);
	REFUSED(queue->used_wrap = !queue->used_wrap, distance);
	REFUSED(queue->next = 2, distance);
	REFUSED(queue->next = queue->used, contradiction);
	REFUSED(queue->next = QUEUE_SIZE, distance);
	REFUSED(queue->used = QUEUE_SIZE, distance);
	REFUSED(queue->signalled ^= 0x8000, told);
	REFUSED(queue->signalled++, told);
	REFUSED(queue->flying[0] = 0, contradiction);
	REFUSED(queue->flying[0] = 0xff, contradiction);
	REFUSED(queue->flying[0] = BIT(3), "a chain that is not in flight");
}

static void requests_in_flight(void **state)
{
	(void)state;
	begin_in_flight(SPLIT);
	REFUSED(first->id = 5, "a chain in flight twice");
	REFUSED(first->id = 1, "a chain that is not in flight");
	REFUSED(first->id = QUEUE_SIZE, "a chain that is not in flight");
	REFUSED(first->id = 0xffff, "a chain that is not in flight");
	REFUSED(first->slots = 2, "a chain of an impossible length");
	REFUSED(first->slots = 0, "a chain of an impossible length");
	REFUSED(first->queue = 1, "a request of a queue that is not enabled");
	REFUSED(first->name ^= 1, "a request whose name is another's");
	REFUSED(first->name = (disk->sequence + 1) << 8, "a request whose name is another's");
	REFUSED(first->name = 0, "a request whose name is another's");
	REFUSED(first->order = disk->sequence + 1, "a request that has yet to come");
	REFUSED(first->kind = DEVICE_IO_KINDS, "a request that no back end knows");
	REFUSED(first->kind = DEVICE_IO_FLUSH, "a request with data that it cannot have");
	REFUSED(first->bytes = 4096, "a request with less data than it has bytes");
	REFUSED(first->piece_count = 0, "a request with less data than it has bytes");
	REFUSED(first->pieces[0].bytes = UINT64_MAX, "a request with more data than it has bytes");
	REFUSED((first->done = 512, first->part = 0),
		"a request with less data than it has bytes");
	REFUSED(first->done = 1024, "more of a request is done than it has");
	REFUSED(first->state = VIRTIO_BLK_DONE,
		"a request that waits for others, which it need not");
	REFUSED(first->state = VIRTIO_BLK_WAITS, "a request that waits, and for nothing");
	begin_in_flight(PACKED);
	REFUSED(first->id = 3, "a chain that is not in flight");
	REFUSED(first->slots = 0, "a chain of an impossible length");
	REFUSED(first->slots = 2, "chains whose lengths are not what their queue has in flight");
	REFUSED(first->slots = 4, "chains whose lengths are not what their queue has in flight");
	REFUSED(queue->next++, "chains whose lengths are not what their queue has in flight");
}

// A broken queue stopped somewhere; its indexes lie in the ring all the same. A chain whose request
// ended while the driver had taken mastership of the bus away is lost.
static void what_a_guest_can_do_is_accepted(void **state)
{
	static const uint64_t kinds[] = {SPLIT, PACKED, SPLIT | ORDERED, PACKED | ORDERED};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin(kinds[i]);
		request(2, VIRTIO_BLK_T_IN, 0, DATA, 512);
		bus_master(false);
		fake_complete(&env, 0, env.io.request, STATUS_OK);
		bus_master(true);
		fake_save_and_load(&env);
		request(6, VIRTIO_BLK_T_IN, 0, DATA, 512);
		assert_int_equal(env.submits, packed ? 2 : 1); // 8 is beyond a split table
		fake_save_and_load(&env);
	}
	begin(PACKED | ORDERED); // the second read is done, and waits for the first
	request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
	request(1, VIRTIO_BLK_T_IN, 0, DATA, 512);
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	fake_save_and_load(&env);
	begin(SPLIT);
	request(2, VIRTIO_BLK_T_IN, 0, DATA, 512);
	request(0xff, VIRTIO_BLK_T_IN, 0, DATA, 512);
	assert_true(needs_reset());
	fake_save_and_load(&env);
	REFUSED(queue->next += QUEUE_SIZE, distance);
	// Features that make another ring of it come too late.
	negotiate(SPLIT);
	status_set(0);
	features_set(PACKED);
	queue_place(0, 6, RING, DRIVER, DEVICE);
	features_set(SPLIT);
	assert_null(load_problem(env.device));
}

static void expect_broken(const char *reason)
{
	env.report = NULL;
	fake_verify(&env);
	assert_non_null(env.report);
	assert_string_equal(env.report, reason);
	assert_true(needs_reset());
	assert_int_equal(common_get(VIRTIO_ISR_AT, 1) & VIRTIO_ISR_CONFIGURATION,
		VIRTIO_ISR_CONFIGURATION);
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	notify(0);
	assert_int_equal(env.reports, 1);
	fake_save_and_load(&env);
	begin(SPLIT);
	request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
	assert_int_equal(used_count(), 1);
}

static void memory_that_contradicts(void **state)
{
	(void)state;
	begin_in_flight(SPLIT);
	fake_verify(&env);
	assert_false(needs_reset());
	put16(DEVICE + 2, 2); // ahead
	expect_broken("the used index in memory is not the device's");
	begin_in_flight(SPLIT);
	put16(DRIVER + 2, 2); // behind what was taken
	expect_broken("the available index jumps beyond its ring");
	begin_in_flight(SPLIT);
	virtio_blk_of(env.device)->virtio.queues[0].device = FAKE_RAM_BYTES;
	expect_broken("a ring is not in memory");
	begin_in_flight(PACKED);
	fake_verify(&env);
	assert_false(needs_reset());
	put16(RING + 3 * 16 + 14, VIRTIO_DESCRIPTOR_USED); // of the round before
	expect_broken("a descriptor in flight is not available in memory");
	begin(SPLIT); // which the device has not written to
	put16(DEVICE + 2, 77);
	fake_verify(&env);
	assert_false(needs_reset());
}

// Devices that keep no chains.
static void other_devices(void **state)
{
	static const struct device_model *const models[] = {&virtio_rng_model,
		&virtio_console_model, &virtio_balloon_model};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(models); i++) {
		struct virtio *virtio;

		fake_destroy(&env);
		fake_configure = NULL;
		virtio = virtio_of(fake_create(&env, models[i]));
		begin_queues(MODERN, virtio_class_of(virtio)->queue_count);
		assert_null(load_problem(env.device));
		virtio->queues[0].next = 1;
		expect_refused(env.device, contradiction, __LINE__);
		virtio->queues[0].flying[0] = 1;
		expect_refused(env.device, "a chain in flight that nobody has", __LINE__);
		virtio->status |= VIRTIO_STATUS_NEEDS_RESET;
		assert_null(load_problem(env.device));
	}
}

// Its buffer of statistics is the one chain that a balloon keeps.
static void statistics_of_a_balloon(void **state)
{
	const struct part part = {HEADER, 10, 0};
	struct virtio_queue *queue;

	(void)state;
	fake_destroy(&env);
	fake_configure = NULL;
	(void)fake_create(&env, &virtio_balloon_model);
	begin_queues(MODERN, 3);
	queue_use(2);
	chain(4, &part, 1);
	notify(2);
	queue = &virtio_of(env.device)->queues[2];
	assert_int_equal(queue->flying[0], BIT(4));
	assert_null(load_problem(env.device));
	queue->flying[0] = BIT(5);
	expect_refused(env.device, "a chain that is not in flight", __LINE__);
	queue->flying[0] = BIT(4) | BIT(5);
	queue->next++;
	expect_refused(env.device, "a chain in flight that nobody has", __LINE__);
	*queue = (struct virtio_queue){.size = queue->size, .vector = queue->vector,
		.next_wrap = true, .used_wrap = true};
	expect_refused(env.device, "a chain of a queue that is not enabled", __LINE__);
}

// Any field of the state is another. What is accepted may be used, and saved again, whatever the
// driver does then.
static void withstands_random_states(void **state)
{
	unsigned accepted = 0;
	uint64_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		static struct virtio_blk copy;
		const struct state_table *table = env.device->model->state;
		size_t bytes = state_saved_bytes(table, table->version);
		uint8_t *saved = malloc(bytes);

		begin_in_flight((round & 1 ? PACKED : SPLIT) | (round & 2 ? ORDERED : 0));
		assert_non_null(saved);
		assert_int_equal(state_save(table, env.device, saved, bytes), STATUS_OK);
		for (unsigned i = 0; i < 1 + round % 3; i++) {
			uint64_t mask;

			seed = seed * 6364136223846793005 + 1442695040888963407;
			mask = seed >> 16 & 1 ? 7 : 255;
			saved[(seed >> 33) % bytes] = (uint8_t)(seed >> 20 & mask);
		}
		copy = *virtio_blk_of(env.device);
		if (state_load(table, table->version, saved, bytes, &copy, NULL) == STATUS_OK) {
			accepted++;
			*virtio_blk_of(env.device) = copy;
			fake_clear(&env);
			fake_loaded(&env);
			if (round & 4)
				fake_verify(&env);
			for (unsigned i = 0; i < 4; i++) {
				request((uint16_t)i, VIRTIO_BLK_T_IN, i, DATA, 512);
				fake_complete(&env, 0, env.io.request, STATUS_OK);
				fake_advance(&env, 300000);
			}
			assert_null(load_problem(env.device));
		}
		free(saved);
		fake_reset(&env, DEVICE_RESET_LINE);
	}
	assert_in_range(accepted, 100, 1900);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(indexes_of_split_rings),
		TEST(indexes_of_packed_rings),
		TEST(requests_in_flight),
		TEST(what_a_guest_can_do_is_accepted),
		TEST(memory_that_contradicts),
		TEST(other_devices),
		TEST(statistics_of_a_balloon),
		TEST(withstands_random_states),
	};

	return cmocka_run_group_tests_name("virtio_load", tests, NULL, NULL);
}
