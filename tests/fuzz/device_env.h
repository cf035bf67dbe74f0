// SPDX-License-Identifier: BSD-2-Clause
// What fuzzers of devices share: an input, taken apart step by step, and the environment of one
// device, which aborts where an effect lies outside of what the contract allows. An input leads to
// the same states each time: nothing of the one before is left.
#ifndef TESTS_FUZZ_DEVICE_ENV_H
#define TESTS_FUZZ_DEVICE_ENV_H

#include <stdlib.h>

#include "emul/device.h"
#include "tests/fuzz/fuzz.h"

enum {
	RAM_BYTES = 1 << 16,
	RAM_BLOCK_BYTES = 1 << 14, // a mapping does not go beyond
	ENV_LINES = 64,
	ENV_TIMERS = 4,
	ENV_REGIONS = 32, // places; of these, a device uses some
};

// What the device has done to the machine, as far as it lasts.
struct env_effects {
	bool line[ENV_LINES];
	struct guest_time deadline[ENV_TIMERS];
	struct env_region {
		uint64_t base, bytes; // 0: not mapped
		enum device_space space;
		uint32_t reserved;
	} region[ENV_REGIONS];
};

extern struct env {
	const struct device_model *model;
	const struct device_env *ops;
	void (*configure)(struct device *device);
	struct device *device;
	uint8_t ram[RAM_BYTES];
	struct env_effects effects;
	uint64_t halves; // that are due, a bit each
	struct guest_time now;
	// Queues are served, by another core: guest memory and the back end are all that it may
	// reach. See emul/device.h, data plane.
	bool apart;
	void (*rest)(void); // or NULL: takes back what was given, before the device is saved
} env;

struct input {
	const uint8_t *at;
	size_t left;
};

static inline void demand(bool what)
{
	if (!what)
		abort();
}

// Of that many bytes, the highest first; zeros where the input ends.
uint64_t take(struct input *input, unsigned bytes);
bool in_ram(struct gpa at, size_t bytes);

// Effects.
void env_set_line(struct device *device, unsigned output, bool level);
void env_send_message(struct device *device, const struct interrupt_message *message);
enum status env_dma_read(struct device *device, struct gpa from, void *to, size_t bytes);
enum status env_dma_write(struct device *device, struct gpa to, const void *from, size_t bytes);
enum status env_dma_map(struct device *device, struct gpa at, size_t bytes, bool writable,
	struct device_dma_map *map);
void env_dma_unmap(struct device *device, struct device_dma_map *map, size_t written);
void env_dma_written(struct device *device, const struct device_dma_map *map, uint64_t offset,
	size_t bytes);
void env_arm_timer(struct device *device, unsigned timer, struct guest_time deadline);
void env_schedule_bottom_half(struct device *device, unsigned bottom_half);
void env_map_region(struct device *device, unsigned region, enum device_space space, uint64_t base,
	uint64_t bytes);
void env_unmap_region(struct device *device, unsigned region);
void env_report(struct device *device, const char *what);

#define ENV_COMMON                                                                                 \
	.set_line = env_set_line, .send_message = env_send_message, .dma_read = env_dma_read,      \
	.dma_write = env_dma_write, .dma_map = env_dma_map, .dma_unmap = env_dma_unmap,            \
	.dma_written = env_dma_written, .arm_timer = env_arm_timer,                                \
	.schedule_bottom_half = env_schedule_bottom_half, .map_region = env_map_region,            \
	.unmap_region = env_unmap_region, .report = env_report

// A machine that has just been switched on, with one device. `configure` may be NULL.
void env_start(const struct device_model *model, const struct device_env *ops,
	void (*configure)(struct device *device));
void env_end(void);
void env_reset(enum device_reset kind);

uint64_t env_read(unsigned region, uint64_t offset, unsigned size);
void env_write(unsigned region, uint64_t offset, unsigned size, uint64_t value);
// What is due by then: bottom halves, then timers.
void env_time_pass(uint64_t ns);
// Writes to memory: where (two bytes), how much (one; up to 31), and what.
void env_ram_write(struct input *input);
// The state is one that can be loaded, and lines have the levels that the device tells.
void env_check(void);

// What is saved and loaded into a fresh instance is the same, to the machine as well.
void env_save_and_load(void);
// A state in which a byte (two bytes say which, one how) is another is refused, or does no harm.
void env_load_altered(struct input *input);
// Saved fields, up to so many elements of each, with values out of the input, PCI's own excepted: a
// state that cannot be is refused.
void env_load_any(struct input *input, uint32_t elements);

#endif
