// SPDX-License-Identifier: BSD-2-Clause
// A keyboard controller with a keyboard and a mouse, between a guest and somebody who do anything,
// or loaded from anything. Input: whether it is loaded (a byte), and steps, each of a byte that
// says what and the bytes it needs.
//
// After each step the state must be one that can be loaded, and no effect one that cannot be. What
// the devices send comes to an end.
#include "emul/i8042.h"
#include "emul/ps2.h"
#include "tests/fuzz/device_env.h"

enum {
	BEGIN_LOADED = 0x80,
	STATUS_FULL = 1,
	BYTES_MAX = 2000, // that wait at most: movement of 32767 counts in packets of four
};

static void env_request(struct device *device, enum device_request request, uint32_t argument)
{
	(void)device;
	demand(request == DEVICE_REQUEST_RESET && argument == 0);
}

static const struct device_env ops = {ENV_COMMON, .request = env_request};

static void command(uint8_t value)
{
	env_write(I8042_REGION_COMMAND, 0, 1, value);
}

static void data(uint8_t value)
{
	env_write(I8042_REGION_DATA, 0, 1, value);
}

static void operate(const struct device_input *input)
{
	demand(env.model->takes_input(env.device, input->kind));
	env.model->input(env.device, env.now, input);
}

// `named`: by its code of set 1, as somebody may name it.
static void press(struct input *input, bool named, bool down)
{
	uint8_t key = (uint8_t)take(input, 1);

	if (named)
		key = ps2_usage(key);
	operate(&(struct device_input){.kind = DEVICE_INPUT_KEY, .code = key, .down = down});
}

static void point(struct input *input, uint8_t what)
{
	struct device_input moved = {.kind = DEVICE_INPUT_MOVE};

	if (what & 1) {
		operate(&(struct device_input){.kind = DEVICE_INPUT_BUTTON,
			.code = (what >> 1) % DEVICE_BUTTONS, .down = what >> 3 & 1});
		return;
	}
	moved.x = (int16_t)take(input, what & 2 ? 2 : 1);
	moved.y = (int16_t)-(int)take(input, what & 2 ? 2 : 1);
	moved.wheel = (int16_t)((int)take(input, 1) - 0x80);
	operate(&moved);
}

// The driver takes what there is. Nothing repeats meanwhile.
static void drain(void)
{
	unsigned count = 0;

	while (env_read(I8042_REGION_COMMAND, 0, 1) & STATUS_FULL) {
		(void)env_read(I8042_REGION_DATA, 0, 1);
		demand(++count < BYTES_MAX);
	}
}

static void step(struct input *input)
{
	uint8_t what = (uint8_t)take(input, 1);

	if (what < 0x30) {
		(void)env_read(what & 1, 0, 1);
	} else if (what < 0x50) {
		command((uint8_t)take(input, 1));
	} else if (what < 0x70) {
		data((uint8_t)take(input, 1));
	} else if (what < 0x90) {
		command(0xd4);
		data((uint8_t)take(input, 1));
	} else if (what < 0xb0) {
		press(input, what >= 0xa0, what & 1);
	} else if (what < 0xd0) {
		point(input, what);
	} else if (what < 0xd8) {
		drain();
	} else if (what < 0xf0) {
		env_time_pass(take(input, 4));
	} else if (what < 0xf8) {
		env_save_and_load();
	} else if (what < 0xfe) {
		env_load_altered(input);
	} else {
		env_reset(what & 1 ? DEVICE_RESET_POWER : DEVICE_RESET_LINE);
	}
	env_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = {bytes, size};
	uint8_t begin = (uint8_t)take(&input, 1);

	env_start(&i8042_model, &ops, NULL);
	if (begin & BEGIN_LOADED)
		env_load_any(&input, 64);
	while (input.left > 0)
		step(&input);
	env_end();
	return 0;
}
