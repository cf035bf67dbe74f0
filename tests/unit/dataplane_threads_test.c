// SPDX-License-Identifier: BSD-2-Clause
// A vcpu's core and the core that serves its disk's queue, by real threads under the thread
// sanitizer: vm/dataplane.c, and the virtio disk on both sides. Where one could come between the
// other's steps, a seed says how long each waits. Every request is answered once, whatever comes in
// between (resets, registers, a machine that is held, or at rest), and no notification is lost.
#include "tests/unit/dataplane_bench.h"

static void out(unsigned offset, unsigned size, uint64_t value)
{
	struct device *device = slots[0].device;

	bus_enter(&machine.bus);
	device->model->write(device, vm_now(&machine), VIRTIO_BAR_MODERN, offset, size, value);
	bus_leave(&machine, vm_now(&machine));
}

static uint64_t in(unsigned offset, unsigned size)
{
	struct device *device = slots[0].device;
	uint64_t value;

	bus_enter(&machine.bus);
	value = device->model->read(device, vm_now(&machine), VIRTIO_BAR_MODERN, offset, size);
	bus_leave(&machine, vm_now(&machine));
	return value;
}

static void store16(uint64_t at, uint16_t value)
{
	__atomic_store_n((uint16_t *)(memory + at), value, __ATOMIC_SEQ_CST);
}

static uint16_t load16(uint64_t at)
{
	return __atomic_load_n((uint16_t *)(memory + at), __ATOMIC_SEQ_CST);
}

static void store(uint64_t at, const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		put8(at + i, ((const uint8_t *)from)[i]);
}

static void driver_begin(bool packed_ring, bool event_index)
{
	out(VIRTIO_COMMON_STATUS, 1, 0);
	for (uint64_t at = RING; at < HEADERS; at++)
		put8(at, 0);
	is_packed = packed_ring;
	wrap = seen_wrap = true;
	offered = seen = 0;
	flying = 0;
	at_next = at_seen = 0;
	out(VIRTIO_COMMON_STATUS, 1, 3);
	out(VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 0);
	out(VIRTIO_COMMON_DRIVER_FEATURE, 4, event_index ? BIT(VIRTIO_F_EVENT_IDX) : 0);
	out(VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	out(VIRTIO_COMMON_DRIVER_FEATURE, 4,
		(BIT(VIRTIO_F_VERSION_1) | (packed_ring ? BIT(VIRTIO_F_RING_PACKED) : 0)) >> 32);
	out(VIRTIO_COMMON_STATUS, 1, 0xb);
	out(VIRTIO_COMMON_QUEUE_SELECT, 2, 0);
	out(VIRTIO_COMMON_QUEUE_SIZE, 2, SIZE);
	out(VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, RING);
	out(VIRTIO_COMMON_QUEUE_DRIVER, 8, DRIVER);
	out(VIRTIO_COMMON_QUEUE_DEVICE, 8, DEVICE);
	out(VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	out(VIRTIO_COMMON_STATUS, 1, 0xf);
}

static void split_put(unsigned index, uint64_t address, uint32_t bytes, uint16_t flags)
{
	const struct virtio_descriptor descriptor = {address, bytes, flags,
		(uint16_t)(index + 1)};

	store(RING + index * sizeof(descriptor), &descriptor, sizeof(descriptor));
}

// The flags last: they make it available.
static void packed_put(unsigned index, uint64_t address, uint32_t bytes, uint16_t flags,
	uint16_t id)
{
	const uint64_t at = RING + index * sizeof(struct virtio_packed_descriptor);
	const struct virtio_packed_descriptor descriptor = {address, bytes, id, 0};

	store(at, &descriptor, offsetof(struct virtio_packed_descriptor, flags));
	store16(at + offsetof(struct virtio_packed_descriptor, flags), (uint16_t)(flags |
		(wrap ? VIRTIO_DESCRIPTOR_AVAILABLE : VIRTIO_DESCRIPTOR_USED)));
}

static uint64_t room_of(unsigned n)
{
	return ROOMS + n * (uint64_t)ROOM_BYTES;
}

// A flush, or a read that goes to the back end in parts: a header, and room for data and a status.
static void offer(void)
{
	bool reads = splitmix_next(&wait_seed) % 4 == 0;
	uint32_t bytes = reads ? READ_BYTES : 0;
	const uint32_t header[4] = {reads ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_FLUSH, 0, 0, 0};
	unsigned n = (unsigned)__builtin_ctz(~flying);

	assert_true(n < CHAINS);
	flying |= 1u << n;
	status_at[n] = room_of(n) + bytes;
	store(HEADERS + n * 16, header, sizeof(header));
	put8(status_at[n], 0xee);
	if (is_packed) {
		packed_put(at_next + 1, room_of(n), bytes + 1, VIRTIO_DESCRIPTOR_WRITE,
			(uint16_t)n);
		packed_put(at_next, HEADERS + n * 16, 16, VIRTIO_DESCRIPTOR_NEXT, (uint16_t)n);
		at_next += 2;
		wrap ^= at_next == SIZE;
		at_next %= SIZE;
	} else {
		split_put(2 * n, HEADERS + n * 16, 16, VIRTIO_DESCRIPTOR_NEXT);
		split_put(2 * n + 1, room_of(n), bytes + 1, VIRTIO_DESCRIPTOR_WRITE);
		store16(DRIVER + 4 + 2u * (offered % SIZE), (uint16_t)(2 * n));
		store16(DRIVER + 2, (uint16_t)(offered + 1));
	}
	offered++;
}

// 2.7.10, 2.8.10: whether the device asks for it.
static void notify_if_wanted(uint16_t before)
{
	bool event_index = virtio_has(&blk->virtio, VIRTIO_F_EVENT_IDX), wanted = true;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (is_packed) // an index that is named is in the way of nobody: as if it were passed
		wanted = load16(DEVICE + 2) != VIRTIO_EVENTS_OFF;
	else if (event_index)
		wanted = (uint16_t)(offered - load16(DEVICE + 4 + 8 * SIZE) - 1) <
			(uint16_t)(offered - before);
	else
		wanted = (load16(DEVICE) & VIRTIO_USED_NO_NOTIFY) == 0;
	if (wanted)
		out(VIRTIO_NOTIFY_AT, 2, 0);
}

static bool answered(void)
{
	uint16_t flags, used = VIRTIO_DESCRIPTOR_AVAILABLE | VIRTIO_DESCRIPTOR_USED;

	if (!is_packed)
		return load16(DEVICE + 2) != seen;
	flags = load16(RING + at_seen * 16 + offsetof(struct virtio_packed_descriptor, flags));
	return (flags & used) == (seen_wrap ? used : 0);
}

// What runs on the vcpu's core between exits: events.
static void events_run(void)
{
	struct device *device = slots[0].device;
	struct event event;

	bus_enter(&machine.bus);
	if (bottom_half) {
		bottom_half = false;
		device->model->bottom_half(device, vm_now(&machine), 0);
	}
	while (backend_completion(&machine, &event)) {
		backend_take(&machine, &event);
		backend_deliver(&slots[0], &event, vm_now(&machine));
	}
	bus_leave(&machine, vm_now(&machine));
}

static void answers_take(void)
{
	while (answered()) {
		uint16_t id = load16(is_packed
			? RING + at_seen * 16 + offsetof(struct virtio_packed_descriptor, id)
			: DEVICE + 4 + 8u * (seen % SIZE));
		unsigned n = is_packed ? id : id / 2u;

		assert_true(n < CHAINS && (flying >> n & 1));
		assert_int_equal(get8(status_at[n]), VIRTIO_BLK_S_OK);
		flying &= ~(1u << n);
		seen++;
		at_seen += 2;
		seen_wrap ^= at_seen == SIZE;
		at_seen %= SIZE;
	}
}

static void all_answered(void)
{
	for (uint64_t polls = 0; seen != offered; polls++) {
		if (polls == ANSWER_POLLS_MAX)
			fail_msg("%u of %u requests are answered", seen, offered);
		answers_take();
		events_run();
		sched_yield();
	}
	assert_int_equal(flying, 0);
	assert_false(answered());
}

static void offer_some(void)
{
	unsigned count = 1 + splitmix_next(&wait_seed) % CHAINS;

	while (count-- > 0 && (uint16_t)(offered - seen) < CHAINS) {
		uint16_t before = offered;

		offer();
		wait_somewhat();
		notify_if_wanted(before);
	}
}

// As vm_run_update, vm_hold and vm_release have it.
static void rest(bool recall)
{
	__atomic_store_n(&machine.run, false, __ATOMIC_SEQ_CST);
	while (!dataplanes_rest(&machine))
		sched_yield();
	if (recall) {
		dataplanes_recall(&machine);
		while (!backend_all_done(&machine.requests_out))
			sched_yield();
		assert_false(blk->virtio.away);
	}
	wait_somewhat();
	__atomic_store_n(&machine.run, true, __ATOMIC_SEQ_CST);
	dataplanes_wake(&machine);
}

static void one_round(void)
{
	uint64_t what = splitmix_next(&wait_seed) % 16;

	offer_some();
	switch (what) {
	case 0:
		rest(false);
		break;
	case 1:
		rest(true);
		break;
	case 2: // a register that concerns the queues
		out(VIRTIO_COMMON_QUEUE_VECTOR, 2, VIRTIO_NO_VECTOR);
		break;
	case 3:
		(void)in(VIRTIO_ISR_AT, 1);
		break;
	case 4: // whatever is in flight is gone
		driver_begin(splitmix_next(&wait_seed) % 2 == 0,
			splitmix_next(&wait_seed) % 2 == 0);
		break;
	case 5 ... 9:
		answers_take();
		return;
	default:
		break;
	}
	if (what > 4 || what < 2)
		all_answered();
}

static void run_with_seed(uint64_t seed)
{
	pthread_t thread;

	wait_seed = seed + 1;
	ends = attention = bottom_half = false;
	waiting_count = 0;
	machine.run = true;
	assert_int_equal(backend_create(&slots[0], 0, submit, NULL), STATUS_OK);
	assert_int_equal(dataplane_create(&machine, 0, 1, &machine.planes[0]), STATUS_OK);
	bus_enter(&machine.bus);
	slots[0].device->model->reset(slots[0].device, vm_now(&machine), DEVICE_RESET_POWER);
	bus_leave(&machine, vm_now(&machine));
	pcidev_set(&blk->virtio.pci, PCIDEV_COMMAND, 2, PCIDEV_COMMAND_MASTER);
	assert_int_equal(pthread_create(&thread, NULL, serving_core,
		(void *)(uintptr_t)(wait_seed << 8)), 0);
	driver_begin(seed % 2 == 0, seed % 4 < 2);
	for (unsigned round = 0; round < ROUNDS; round++)
		one_round();
	all_answered();
	rest(true);
	__atomic_store_n(&ends, true, __ATOMIC_SEQ_CST);
	assert_int_equal(pthread_join(thread, NULL), 0);
	dataplanes_report(&machine);
	assert_true(served > ROUNDS / 4);
	dataplane_destroy(machine.planes[0]);
	backend_reset(&slots[0]);
	backend_destroy(&slots[0]);
}

static void a_queue_on_another_core(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		cores[i].self = &cores[i];
		cores[i].index = i;
	}
	syscall(SYS_arch_prctl, ARCH_SET_GS, &cores[0]);
	memory = aligned_alloc(PAGE_BYTES, LARGE_PAGE_BYTES);
	machine.ram = (struct guest_ram){.blocks = &memory, .written = &written, .block_count = 1,
		.low_bytes = LARGE_PAGE_BYTES};
	machine.vcpus[0] = calloc(1, sizeof(*machine.vcpus[0]));
	machine.vcpus[0]->core = &cores[0];
	blk = calloc(1, sizeof(*blk));
	blk->medium.sectors = READ_BYTES / VIRTIO_BLK_SECTOR_BYTES;
	blk->virtio.pci.device = (struct device){.model = &virtio_blk_model, .env = &env,
		.owner = &slots[0]};
	slots[0] = (struct vm_device){.vm = &machine, .device = &blk->virtio.pci.device, .disk = 1};
	machine.devices = slots;
	machine.device_count = 1;
	for (uint64_t i = 0; i < SEEDS; i++)
		run_with_seed(i);
	free(machine.vcpus[0]);
	free(blk);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_queue_on_another_core)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
