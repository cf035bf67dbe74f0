// SPDX-License-Identifier: BSD-2-Clause
// One channel of the 8254: its registers, and what the data sheet's six modes make of them at any
// tick. Pure functions of a channel and a tick; a part of i8254.c, which explains the method.
#ifndef EMUL_I8254_CHANNEL_H
#define EMUL_I8254_CHANNEL_H

#include <string.h>

#include "emul/i8254.h"

enum i8254_channel_constant {
	// Access field of the control word.
	I8254_ACCESS_LOW = 1,
	I8254_ACCESS_HIGH = 2,
	I8254_ACCESS_BOTH = 3,

	I8254_STATUS_OUT = 0x80,
	I8254_STATUS_NULL_COUNT = 0x40,

	I8254_SHORTEST_WAVE = 4, // below, mode 3 is driven as strobes
};

#define I8254_NO_TICK UINT64_MAX

struct i8254_channel {
	uint64_t start_ns; // tick at which `count` was in the element; while `counting`
	uint64_t load_ns;  // tick at which the element takes the count register; while pending
	uint32_t count;    // start of the sequence; the frozen element while not `counting`
	uint16_t count_register;
	uint16_t count_latch;
	uint8_t control; // access, mode and BCD bits of the control word
	uint8_t status_latch;
	uint8_t write_low; // first byte of a two-byte count
	bool written;      // the count register was written since the control word
	bool loaded;       // and went to the element
	bool counting;
	bool expired;   // modes 0, 1, 4, 5: terminal count came before `start_ns`
	bool low_first; // mode 3: the sequence began with its low half
	bool load_pending;
	bool null_count;
	bool count_latched;
	bool status_latched;
	bool read_high;  // next byte of a two-byte access
	bool write_high;
	bool gate;
	uint8_t reserved;
};

static inline uint64_t ticks_at(uint64_t ns)
{
	return mul_div_u64(ns, I8254_HZ, NS_PER_SECOND);
}

// The first nanosecond of a tick, such that ticks_at() gives the tick back.
static inline uint64_t tick_ns(uint64_t tick)
{
	uint64_t ns;

	if (tick >= ticks_at(UINT64_MAX))
		return GUEST_TIME_NEVER.ns;
	ns = mul_div_u64(tick, NS_PER_SECOND, I8254_HZ);
	return ticks_at(ns) < tick ? ns + 1 : ns;
}

// Modes 6 and 7 are 2 and 3: their upper bit is a "don't care".
static inline unsigned channel_mode(const struct i8254_channel *channel)
{
	unsigned mode = (channel->control >> 1) & 7;

	return mode > 5 ? mode & 3 : mode;
}

static inline unsigned channel_access(const struct i8254_channel *channel)
{
	return channel->control >> 4;
}

static inline bool channel_is_periodic(const struct i8254_channel *channel)
{
	return channel_mode(channel) == 2 || channel_mode(channel) == 3;
}

static inline bool channel_is_triggered(const struct i8254_channel *channel)
{
	return channel_mode(channel) == 1 || channel_mode(channel) == 5;
}

static inline uint32_t channel_modulus(const struct i8254_channel *channel)
{
	return (channel->control & 1) != 0 ? 10000 : 65536;
}

static inline uint32_t bcd_to_binary(uint16_t bcd)
{
	return (bcd & 0xfu) + (bcd >> 4 & 0xfu) * 10 + (bcd >> 8 & 0xfu) * 100 +
		(bcd >> 12 & 0xfu) * 1000;
}

static inline uint16_t binary_to_bcd(uint32_t value)
{
	return (uint16_t)(value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
		value / 1000 % 10 << 12);
}

// What the count register stands for: 0 is the largest count.
static inline uint32_t channel_register_count(const struct i8254_channel *channel)
{
	uint32_t count = channel->count_register;

	if ((channel->control & 1) != 0)
		count = bcd_to_binary(channel->count_register) % 10000;
	if (count == 0)
		return channel_modulus(channel);
	return count == 1 && channel_is_periodic(channel) ? 2 : count;
}

// Ticks since the sequence began.
static inline uint64_t channel_elapsed(const struct i8254_channel *channel, uint64_t tick)
{
	uint64_t start = ticks_at(channel->start_ns);

	return channel->counting && tick > start ? tick - start : 0;
}

// Mode 3: ticks of the high half; the longer one of an odd count.
static inline uint32_t channel_high_ticks(const struct i8254_channel *channel)
{
	return (channel->count + 1) / 2;
}

// Position in the period, from the start of mode 3's high half.
static inline uint32_t channel_position(const struct i8254_channel *channel, uint64_t tick)
{
	uint64_t elapsed = channel_elapsed(channel, tick);

	if (channel->low_first)
		elapsed += channel_high_ticks(channel);
	return (uint32_t)(elapsed % channel->count);
}

// Ticks to the end of the period (mode 2) or of the half period (mode 3): from 1 up.
static inline uint32_t channel_ticks_to_reload(const struct i8254_channel *channel, uint64_t tick)
{
	uint32_t position = channel_position(channel, tick);
	uint32_t high = channel_high_ticks(channel);

	if (channel_mode(channel) == 3 && position < high)
		return high - position;
	return channel->count - position;
}

static inline bool channel_out(const struct i8254_channel *channel, uint64_t tick)
{
	unsigned mode = channel_mode(channel);

	if (!channel->loaded)
		return mode != 0;
	switch (mode) {
	case 0:
	case 1:
		return channel->expired || channel_elapsed(channel, tick) >= channel->count;
	case 2:
		return !channel->counting ||
			channel_position(channel, tick) != channel->count - 1;
	case 3:
		return !channel->counting ||
			channel_position(channel, tick) < channel_high_ticks(channel);
	default:
		return channel->expired || channel_elapsed(channel, tick) != channel->count;
	}
}

// The counting element in binary, 0 to modulus - 1.
static inline uint32_t channel_element(const struct i8254_channel *channel, uint64_t tick)
{
	uint32_t modulus = channel_modulus(channel), half, position;

	if (!channel->counting)
		return channel->count % modulus;
	switch (channel_mode(channel)) {
	case 2:
		return (channel->count - channel_position(channel, tick)) % modulus;
	case 3: // counts by two from an even number, in each half anew
		half = channel_high_ticks(channel);
		position = channel_position(channel, tick);
		if (position >= half)
			position -= half;
		return ((channel->count & ~(uint32_t)1) - 2 * position) % modulus;
	default:
		return (channel->count + modulus -
			(uint32_t)(channel_elapsed(channel, tick) % modulus)) % modulus;
	}
}

static inline uint16_t channel_visible_count(const struct i8254_channel *channel, uint64_t tick)
{
	uint32_t element = channel_element(channel, tick);

	return (channel->control & 1) != 0 ? binary_to_bcd(element) : (uint16_t)element;
}

static inline uint8_t channel_status(const struct i8254_channel *channel, uint64_t tick)
{
	uint8_t status = channel->control;

	if (channel_out(channel, tick))
		status |= I8254_STATUS_OUT;
	if (channel->null_count)
		status |= I8254_STATUS_NULL_COUNT;
	return status;
}

static inline void channel_schedule_load(struct i8254_channel *channel, uint64_t tick)
{
	channel->load_ns = tick_ns(tick);
	channel->load_pending = true;
}

static inline void channel_cancel_load(struct i8254_channel *channel)
{
	channel->load_ns = 0;
	channel->load_pending = false;
}

static inline bool channel_load_is_due(const struct i8254_channel *channel, uint64_t tick)
{
	return channel->load_pending && ticks_at(channel->load_ns) <= tick;
}

static inline void channel_load(struct i8254_channel *channel)
{
	// A new count in mode 3 enters between two halves; the wave goes on.
	channel->low_first = channel_mode(channel) == 3 && channel->counting &&
		!channel_out(channel, ticks_at(channel->load_ns));
	channel->count = channel_register_count(channel);
	channel->start_ns = channel->load_ns;
	channel->loaded = true;
	channel->expired = false;
	channel->null_count = false;
	channel->counting = channel->gate || channel_is_triggered(channel);
	if (!channel->counting && channel_mode(channel) == 3)
		channel->count &= ~(uint32_t)1; // what the element holds: mode 3 counts by two
	channel_cancel_load(channel);
}

static inline void channel_settle(struct i8254_channel *channel, uint64_t tick)
{
	if (channel_load_is_due(channel, tick))
		channel_load(channel);
}

// Freezes the element at its present value.
static inline void channel_hold(struct i8254_channel *channel, uint64_t tick)
{
	uint32_t element = channel_element(channel, tick);

	if (!channel->counting)
		return;
	if (!channel_is_periodic(channel) && channel_elapsed(channel, tick) >= channel->count)
		channel->expired = true;
	channel->count = element != 0 ? element : channel_modulus(channel);
	channel->counting = false;
}

// "Mode Definitions": what a new count does to a sequence under way.
static inline void channel_write_count(struct i8254_channel *channel, uint64_t tick, uint16_t value)
{
	channel->count_register = value;
	channel->written = true;
	channel->null_count = true;
	switch (channel_mode(channel)) {
	case 0:
		channel_hold(channel, tick);
		channel->expired = false;
		channel_schedule_load(channel, tick + 1);
		break;
	case 4:
		channel_schedule_load(channel, tick + 1);
		break;
	case 2:
	case 3:
		if (!channel->loaded)
			channel_schedule_load(channel, tick + 1);
		else if (channel->counting && !channel->load_pending)
			channel_schedule_load(channel,
				tick + channel_ticks_to_reload(channel, tick));
		break;
	default: // modes 1 and 5 wait for their trigger
		break;
	}
}

static inline void channel_write(struct i8254_channel *channel, uint64_t tick, uint8_t value)
{
	switch (channel_access(channel)) {
	case I8254_ACCESS_LOW:
		channel_write_count(channel, tick, value);
		return;
	case I8254_ACCESS_HIGH:
		channel_write_count(channel, tick, (uint16_t)(value << 8));
		return;
	default:
		break;
	}
	channel->write_high = !channel->write_high;
	if (!channel->write_high) {
		channel_write_count(channel, tick, (uint16_t)(value << 8 | channel->write_low));
		return;
	}
	channel->write_low = value;
	if (channel_mode(channel) == 0) { // the first byte stops the count, OUT goes low
		channel_hold(channel, tick);
		channel->expired = false;
		channel_cancel_load(channel);
	}
}

static inline uint8_t channel_read(struct i8254_channel *channel, uint64_t tick)
{
	bool high = channel_access(channel) == I8254_ACCESS_HIGH;
	uint16_t value;

	if (channel->status_latched) {
		channel->status_latched = false;
		return channel->status_latch;
	}
	value = channel->count_latched ? channel->count_latch
				       : channel_visible_count(channel, tick);
	if (channel_access(channel) == I8254_ACCESS_BOTH) {
		high = channel->read_high;
		channel->read_high = !high;
	}
	if (!channel->read_high)
		channel->count_latched = false;
	return (uint8_t)(high ? value >> 8 : value);
}

static inline void channel_latch_count(struct i8254_channel *channel, uint64_t tick)
{
	if (channel->count_latched)
		return;
	channel->count_latch = channel_visible_count(channel, tick);
	channel->count_latched = true;
}

static inline void channel_latch_status(struct i8254_channel *channel, uint64_t tick)
{
	if (channel->status_latched)
		return;
	channel->status_latch = channel_status(channel, tick);
	channel->status_latched = true;
}

static inline void channel_program(struct i8254_channel *channel, uint8_t control)
{
	bool gate = channel->gate;

	memset(channel, 0, sizeof(*channel));
	channel->control = control;
	channel->count = channel_modulus(channel);
	channel->null_count = true;
	channel->gate = gate;
}

// "Gate Pin Operations Summary".
static inline void channel_set_gate(struct i8254_channel *channel, uint64_t tick, bool level)
{
	if (level == channel->gate)
		return;
	channel->gate = level;
	if (!level) {
		// A new count that waited for the end of the period now waits for the trigger.
		if (channel_is_periodic(channel) && channel->counting)
			channel_cancel_load(channel);
		if (!channel_is_triggered(channel))
			channel_hold(channel, tick);
		return;
	}
	if (channel_is_periodic(channel) || channel_is_triggered(channel)) {
		if (channel->written)
			channel_schedule_load(channel, tick + 1);
	} else if (channel->loaded && !(channel_mode(channel) == 0 && channel->write_high)) {
		channel->start_ns = tick_ns(tick);
		channel->counting = true;
	}
}

// Whether the sequence under way made OUT rise after tick `from`, up to and including `to`.
static inline bool channel_rose(const struct i8254_channel *channel, uint64_t from, uint64_t to)
{
	uint64_t before = channel_elapsed(channel, from), after = channel_elapsed(channel, to);
	uint64_t end = channel->count;

	if (!channel->counting || after <= before)
		return false;
	if (channel_is_periodic(channel)) {
		uint64_t phase = channel->low_first ? channel_high_ticks(channel) : 0;

		return (before + phase) / end != (after + phase) / end;
	}
	if (channel_mode(channel) >= 4)
		end++;
	return !channel->expired && before < end && after >= end;
}

static inline bool channel_makes_strobes(const struct i8254_channel *channel)
{
	unsigned mode = channel_mode(channel);

	return mode == 2 || mode >= 4 ||
		(mode == 3 && channel->counting && channel->count < I8254_SHORTEST_WAVE);
}

// OUT as a wire shows it: without the strobes, which are driven at their end.
static inline bool channel_wire(const struct i8254_channel *channel, uint64_t tick)
{
	return channel_makes_strobes(channel) || channel_out(channel, tick);
}

// The next tick at which the wire has something to show.
static inline uint64_t channel_next_event(const struct i8254_channel *channel, uint64_t tick)
{
	uint64_t next = I8254_NO_TICK, load, end;

	if (channel->counting && channel_is_periodic(channel)) {
		next = tick + channel_ticks_to_reload(channel, tick);
		if (channel_makes_strobes(channel))
			next = tick + channel->count - channel_position(channel, tick);
	} else if (channel->counting && !channel->expired) {
		end = channel->count + (channel_mode(channel) >= 4 ? 1u : 0u);
		if (channel_elapsed(channel, tick) < end)
			next = ticks_at(channel->start_ns) + end;
	}
	load = channel->load_pending ? ticks_at(channel->load_ns) : I8254_NO_TICK;
	return load < next ? load : next;
}

#endif
