// SPDX-License-Identifier: BSD-2-Clause
// The bench of i8254_test.c: the part and its ports, and a second channel to compare with.
#ifndef TESTS_UNIT_I8254_BENCH_H
#define TESTS_UNIT_I8254_BENCH_H

#include "tests/unit/fake_env.h"

#include <string.h>

#include "emul/i8254.h"

enum {
	CONTROL = 3,
	STATUS_OUT = 0x80,
	STATUS_NULL = 0x40,
};

static struct fake_env env;

static inline void out_port(unsigned port, unsigned value)
{
	fake_write(&env, I8254_REGION_PORTS, port, 1, value);
}

static inline unsigned in_port(unsigned port)
{
	return (unsigned)fake_read(&env, I8254_REGION_PORTS, port, 1);
}

static inline uint64_t tick_now(void)
{
	return mul_div_u64(env.now.ns, I8254_HZ, NS_PER_SECOND);
}

// Goes to the middle of the tick that is `ticks` later.
static inline void advance_ticks(uint64_t ticks)
{
	uint64_t to = mul_div_u64(tick_now() + ticks, NS_PER_SECOND, I8254_HZ) + 400;

	fake_advance(&env, to > env.now.ns ? to - env.now.ns : 0);
}

static inline void load_both(unsigned channel, unsigned control, unsigned count)
{
	out_port(CONTROL, channel << 6 | 0x30 | control);
	out_port(channel, count & 0xff);
	out_port(channel, count >> 8);
}

static inline unsigned status_of(unsigned channel)
{
	out_port(CONTROL, 0xe0 | 2u << channel);
	return in_port(channel);
}

static inline unsigned count_of(unsigned channel)
{
	unsigned low;

	out_port(CONTROL, channel << 6);
	low = in_port(channel);
	return low | in_port(channel) << 8;
}

static inline uint32_t random_bits(void)
{
	static uint64_t seed = 88172645463325252;

	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(seed >> 33);
}

static inline void set_field(const char *name, uint32_t index, uint64_t value)
{
	const struct state_table *table = i8254_model.state;

	for (uint32_t i = 0; i < table->field_count; i++)
		if (strcmp(table->fields[i].name, name) == 0) {
			state_field_set(&table->fields[i], env.device, index, value);
			return;
		}
	fail_msg("no field %s", name);
}

// A channel as the data sheet's text ("Mode Definitions") has it, taken literally and clocked one
// pulse at a time. Binary counts alone.
struct reference {
	unsigned mode, written, element;
	uint16_t reload;
	bool out, gate, loaded, load, held, armed, null_count, odd;
};

static inline void reference_program(struct reference *ref, unsigned mode)
{
	*ref = (struct reference){.mode = mode, .out = mode != 0, .gate = ref->gate,
		.null_count = true};
}

static inline void reference_write(struct reference *ref, unsigned count)
{
	ref->reload = (uint16_t)count;
	if (count == 1 && (ref->mode == 2 || ref->mode == 3))
		ref->reload = 2;
	ref->written = 1;
	ref->null_count = true;
	if (ref->mode == 0) {
		ref->out = false;
		ref->held = true;
	}
	if (ref->mode == 0 || ref->mode == 4)
		ref->load = true;
	if ((ref->mode == 2 || ref->mode == 3) && !ref->loaded)
		ref->load = true;
}

static inline void reference_gate(struct reference *ref, bool gate)
{
	if (gate && !ref->gate && ref->mode != 0 && ref->mode != 4 && ref->written != 0) {
		ref->load = true;
		ref->held = ref->mode == 2 || ref->mode == 3;
	}
	if (!gate && (ref->mode == 2 || ref->mode == 3 || ref->mode == 4) && ref->loaded)
		ref->out = true;
	ref->gate = gate;
}

static inline void reference_load(struct reference *ref)
{
	ref->element = ref->reload;
	ref->odd = ref->reload & 1;
	if (ref->mode == 3)
		ref->element &= 0xfffe;
	ref->loaded = true;
	ref->null_count = false;
}

static inline void reference_count_wave(struct reference *ref)
{
	bool end = ref->odd && ref->out && ref->element == 0;

	if (!end) {
		ref->element = (ref->element - 2) & 0xffff;
		end = ref->element == 0 && !(ref->odd && ref->out);
	}
	if (end) {
		ref->out = !ref->out;
		reference_load(ref);
	}
}

static inline void reference_clock(struct reference *ref)
{
	if (ref->load) {
		ref->load = ref->held = false;
		reference_load(ref);
		ref->armed = true;
		ref->out = ref->mode != 0 && ref->mode != 1;
		return;
	}
	if (!ref->loaded || ref->held || (!ref->gate && ref->mode != 1 && ref->mode != 5))
		return;
	if (ref->mode == 3) {
		reference_count_wave(ref);
		return;
	}
	ref->element = (ref->element - 1) & 0xffff;
	switch (ref->mode) {
	case 2:
		ref->out = ref->element != 1;
		if (ref->element == 0)
			reference_load(ref);
		break;
	case 0:
	case 1:
		ref->out |= ref->element == 0;
		break;
	default:
		ref->out = ref->element != 0 || !ref->armed;
		ref->armed &= ref->element != 0;
		break;
	}
}

static inline void compare_for(struct reference *ref, unsigned ticks)
{
	while (ticks-- > 0) {
		unsigned status = status_of(2);

		assert_int_equal((status & STATUS_OUT) != 0, ref->out);
		assert_int_equal((status & STATUS_NULL) != 0, ref->null_count);
		assert_int_equal(fake_level(&env, I8254_OUTPUT_OUT2), ref->out);
		if (ref->loaded)
			assert_int_equal(count_of(2), ref->element);
		advance_ticks(1);
		reference_clock(ref);
	}
}

#endif
