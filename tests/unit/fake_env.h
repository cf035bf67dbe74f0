// SPDX-License-Identifier: BSD-2-Clause
// A device environment for unit tests: it records effects, keeps guest time, and carries stimuli
// to one device under test, as the VM's bus and event queue would.
#ifndef TESTS_UNIT_FAKE_ENV_H
#define TESTS_UNIT_FAKE_ENV_H

// cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "emul/device.h"

enum {
	FAKE_LINES = 128,
	FAKE_TIMERS = 16,
	FAKE_BOTTOM_HALVES = 16,
	FAKE_MESSAGES = 64,
	FAKE_REGIONS = 16,
	FAKE_OUTPUT_BYTES = 4096,
	FAKE_RAM_BYTES = 1 << 16,
};

// Of the device's own; those that the board would place are not here.
struct fake_region {
	uint64_t base, bytes; // 0 bytes: not mapped
	enum device_space space;
};

struct fake_env {
	struct device *device;
	struct guest_time now;
	bool line[FAKE_LINES];           // outputs of the device
	unsigned line_rises[FAKE_LINES]; // low-to-high changes since the last fake_clear
	unsigned line_calls;             // set_line calls since the last fake_clear
	bool input[FAKE_LINES];          // what sample() answers
	struct guest_time deadline[FAKE_TIMERS];
	bool bottom_half[FAKE_BOTTOM_HALVES];
	struct fake_region region[FAKE_REGIONS];
	unsigned region_calls; // map and unmap calls since the last fake_clear
	struct interrupt_message message[FAKE_MESSAGES];
	unsigned messages;
	uint8_t output[FAKE_OUTPUT_BYTES];
	size_t output_bytes;
	unsigned requests; // machine requests since the last fake_clear; the last one:
	enum device_request request;
	uint32_t request_argument;
	unsigned submits; // requests to a back end since the last fake_clear; the last one:
	struct device_io io;
	unsigned io_port;
	struct device_io_piece io_pieces[DEVICE_IO_PIECES_MAX];
	uint8_t data[DEVICE_IO_BYTES_MAX]; // the device's own: written, or to be read
	enum status submit_answer;
	unsigned drops; // since the last fake_clear; the last one:
	unsigned dropped_port;
	uint64_t dropped;
	enum status give_answer; // STATUS_UNSUPPORTED at first
	bool given;              // another core has the queues
	unsigned kicks;          // since the last fake_clear
	unsigned sends; // frames since the last fake_clear; the last one:
	struct device_frame frame;
	uint8_t frame_bytes[DEVICE_FRAME_MAX];
	unsigned reports; // since the last fake_clear; the last one:
	const char *report;
	unsigned maps;     // mappings of guest memory that there are, of this instance
	bool refuses_maps; // there are no more
	uint8_t ram[FAKE_RAM_BYTES]; // guest memory at address 0
	uint8_t *memory; // the device's own, where its model has any
	unsigned memory_writes; // since the last fake_clear
	bool in_stimulus;
};

// What a machine does to every new instance, before its first reset; NULL: nothing.
extern void (*fake_configure)(struct device *device);

// Allocates an instance filled with 0xa5 but for its header, wires it and gives a power-on reset.
struct device *fake_create(struct fake_env *env, const struct device_model *model);
void fake_destroy(struct fake_env *env);
// Forgets recorded messages, output, requests and counts; lines and timers stay.
void fake_clear(struct fake_env *env);
void fake_reset(struct fake_env *env, enum device_reset kind);

extern const struct device_env fake_effects;

uint64_t fake_read(struct fake_env *env, unsigned region, uint64_t offset, unsigned size);
void fake_write(struct fake_env *env, unsigned region, uint64_t offset, unsigned size,
	uint64_t value);
void fake_line(struct fake_env *env, unsigned input, bool level);
void fake_message(struct fake_env *env, const struct interrupt_message *message);
void fake_receive(struct fake_env *env, unsigned port, const void *bytes, size_t count);
void fake_input(struct fake_env *env, const struct device_input *input);
// As the core that has the queues does; `served` comes when the device has noted something. Whether
// there was anything to do.
bool fake_serve(struct fake_env *env, bool last);
void fake_recall(struct fake_env *env);
void fake_complete(struct fake_env *env, unsigned port, uint64_t request, enum status status);
void fake_set(struct fake_env *env, enum device_setting setting, uint64_t value);
void fake_packet(struct fake_env *env, unsigned port, const struct device_frame *frame);
bool fake_level(struct fake_env *env, unsigned output);
// Runs pending bottom halves, and timers up to `now + ns`, in deadline order; leaves time there.
void fake_advance(struct fake_env *env, uint64_t ns);
void fake_run_bottom_halves(struct fake_env *env);

// Saves the device, checks it, loads it into a fresh poisoned instance, compares all saved fields,
// compares the timers and lines that loaded() set again with the present ones, and goes on with
// the new instance: whatever the test does afterwards happens to the loaded one. Returns it.
struct device *fake_save_and_load(struct fake_env *env);

// For every saved field whose range is narrower than its width: a load with the value just
// outside is refused and names that field.
void fake_check_ranges(struct fake_env *env);

// Fails unless every byte of the struct is in the table: saved, derived or padding, each once.
void fake_check_coverage(const struct device_model *model);

// All of these for a device with one region of so many ports (a power of two), which it is asked
// and told anything at.
void fake_check_ports(struct fake_env *env, unsigned ports);

// As a load does, behind the state and behind guest memory.
static inline void fake_tell(struct fake_env *env,
	void (*handler)(struct device *device, struct guest_time now))
{
	assert_false(env->in_stimulus);
	env->in_stimulus = true;
	handler(env->device, env->now);
	env->in_stimulus = false;
}

static inline void fake_loaded(struct fake_env *env)
{
	fake_tell(env, env->device->model->loaded);
}

static inline void fake_verify(struct fake_env *env)
{
	fake_tell(env, env->device->model->verify);
}

#endif
