// SPDX-License-Identifier: BSD-2-Clause
// The PC's interval timer: an Intel 8254 (data sheet 231164: "Programming the 8254", "Mode
// Definitions", "Operation Common to All Modes") at 1,193,182 Hz. Channels 0 and 1 have their
// gates tied high; channel 2's gate is an input and its OUT is read through the level query.
//
// Nothing here counts. CLK ticks on a grid that is a pure function of guest time: tick n begins at
// n / 1,193,182 s, so neither reading nor re-arming drifts. A counting sequence is the tick at
// which its count entered the counting element, and element and OUT at any later tick follow by
// arithmetic. A load of the element falls on the tick after the write or the trigger that caused
// it, or at the end of the period: until then it is pending, and carried out when looked at.
//
// OUT 0 is a wire, so a timer follows its edges. Its low strobes of one tick (modes 2, 4 and 5)
// are driven low and high again at their end, and so is the wave of mode 3 with a count below 4:
// events are then never closer than two ticks (1.68 us). Periods that were missed because a timer
// came late make one rising edge together. Reads of the status see OUT exact to the tick.
//
// Left to choice by the data sheet, and here: before programming, a channel is in mode 0 and waits
// for a count; a count of 1 in modes 2 and 3 counts as 2; BCD digits above 9 carry; the element
// reads 0 between a control word and the first load.
//
// Called by the bus alone.
#include "emul/i8254.h"

#include "emul/i8254_channel.h"

enum {
	I8254_CHANNELS = 3,
	I8254_PORT_CONTROL = 3,

	// Read-back command: a clear bit asks.
	I8254_READ_BACK_NO_COUNT = 0x20,
	I8254_READ_BACK_NO_STATUS = 0x10,

	I8254_CONTROL_RESET = 0x30, // both bytes, mode 0, binary
};

// Times beyond this are refused in a load: arithmetic on ticks then cannot overflow.
#define I8254_NS_MAX ((uint64_t)INT64_MAX)

struct i8254 {
	struct device device;
	struct i8254_channel channel[I8254_CHANNELS];
	uint64_t seen_ns;     // OUT 0's edges have been driven up to here
	uint64_t deadline_ns; // as armed
	bool line;            // OUT 0 as driven
	uint8_t reserved[7];
};

static void i8254_drive(struct i8254 *pit, bool level)
{
	pit->line = level;
	device_set_line(&pit->device, I8254_OUTPUT_OUT0, level);
}

// Brings the channels and OUT 0 up to `now`, whether or not the timer has been delivered. Every
// stimulus begins with it and ends with i8254_commit().
static uint64_t i8254_catch_up(struct i8254 *pit, struct guest_time now)
{
	struct i8254_channel *channel = &pit->channel[0];
	uint64_t tick = ticks_at(now.ns), seen = ticks_at(pit->seen_ns);
	bool rose = false;

	if (channel_load_is_due(channel, tick)) { // first what the old sequence did up to there
		rose = channel_rose(channel, seen, ticks_at(channel->load_ns));
		channel_load(channel);
	}
	rose |= channel_rose(channel, seen, tick);
	pit->seen_ns = now.ns;
	if (rose && pit->line)
		i8254_drive(pit, false);
	if (rose)
		i8254_drive(pit, true);
	for (unsigned i = 1; i < I8254_CHANNELS; i++)
		channel_settle(&pit->channel[i], tick);
	return tick;
}

static void i8254_commit(struct i8254 *pit, uint64_t tick)
{
	bool level = channel_wire(&pit->channel[0], tick);
	uint64_t deadline = tick_ns(channel_next_event(&pit->channel[0], tick));

	if (level != pit->line)
		i8254_drive(pit, level);
	if (deadline == pit->deadline_ns)
		return;
	pit->deadline_ns = deadline;
	device_arm_timer(&pit->device, I8254_TIMER_OUT0, (struct guest_time){deadline});
}

static void i8254_write_control(struct i8254 *pit, uint64_t tick, uint8_t value)
{
	unsigned select = value >> 6;

	if (select < I8254_CHANNELS) {
		if ((value & 0x30) == 0)
			channel_latch_count(&pit->channel[select], tick);
		else
			channel_program(&pit->channel[select], value & 0x3f);
		return;
	}
	for (unsigned i = 0; i < I8254_CHANNELS; i++) {
		if ((value & 2u << i) == 0)
			continue;
		if ((value & I8254_READ_BACK_NO_COUNT) == 0)
			channel_latch_count(&pit->channel[i], tick);
		if ((value & I8254_READ_BACK_NO_STATUS) == 0)
			channel_latch_status(&pit->channel[i], tick);
	}
}

static void i8254_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct i8254 *pit = CONTAINER_OF(device, struct i8254, device);

	(void)kind;
	for (unsigned i = 0; i < I8254_CHANNELS; i++) {
		pit->channel[i].gate = i != 2;
		channel_program(&pit->channel[i], I8254_CONTROL_RESET);
	}
	pit->seen_ns = now.ns;
	pit->deadline_ns = GUEST_TIME_NEVER.ns;
	pit->line = false;
}

// The ports are one byte wide: the bus splits wider accesses.
static uint64_t i8254_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct i8254 *pit = CONTAINER_OF(device, struct i8254, device);
	uint64_t tick, value;

	(void)region;
	(void)size;
	if (offset >= I8254_CHANNELS) // the control word cannot be read
		return 0xff;
	tick = i8254_catch_up(pit, now);
	value = channel_read(&pit->channel[offset], tick);
	i8254_commit(pit, tick);
	return value;
}

static void i8254_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct i8254 *pit = CONTAINER_OF(device, struct i8254, device);
	uint64_t tick;

	(void)region;
	(void)size;
	if (offset > I8254_PORT_CONTROL)
		return;
	tick = i8254_catch_up(pit, now);
	if (offset == I8254_PORT_CONTROL)
		i8254_write_control(pit, tick, (uint8_t)value);
	else
		channel_write(&pit->channel[offset], tick, (uint8_t)value);
	i8254_commit(pit, tick);
}

static void i8254_line(struct device *device, struct guest_time now, unsigned input, bool level)
{
	struct i8254 *pit = CONTAINER_OF(device, struct i8254, device);
	uint64_t tick;

	if (input != I8254_INPUT_GATE2)
		return;
	tick = i8254_catch_up(pit, now);
	channel_set_gate(&pit->channel[2], tick, level);
	i8254_commit(pit, tick);
}

static void i8254_timer(struct device *device, struct guest_time now, unsigned timer)
{
	struct i8254 *pit = CONTAINER_OF(device, struct i8254, device);

	(void)timer;
	pit->deadline_ns = GUEST_TIME_NEVER.ns;
	i8254_commit(pit, i8254_catch_up(pit, now));
}

static bool i8254_level(const struct device *device, struct guest_time now, unsigned output)
{
	const struct i8254 *pit = CONTAINER_OF(device, struct i8254, device);
	struct i8254_channel channel = pit->channel[2];
	uint64_t tick = ticks_at(now.ns);

	if (output == I8254_OUTPUT_OUT0)
		return pit->line;
	channel_settle(&channel, tick);
	return channel_out(&channel, tick);
}

// The wire and the deadline are those of the last stimulus, which `seen_ns` dates.
static void i8254_loaded(struct device *device, struct guest_time now)
{
	struct i8254 *pit = CONTAINER_OF(device, struct i8254, device);

	(void)now;
	pit->line = false;
	pit->deadline_ns = GUEST_TIME_NEVER.ns;
	i8254_commit(pit, ticks_at(pit->seen_ns));
}

static const char *i8254_check_channel(const struct i8254_channel *channel)
{
	if (channel->count > channel_modulus(channel))
		return "count beyond the modulus";
	if (channel->counting && channel_is_periodic(channel) && channel->count < 2)
		return "period of one tick";
	if ((channel->counting && !channel->loaded) || (channel->loaded && !channel->written) ||
		(channel->load_pending && !channel->written))
		return "a count that was never written";
	if (channel->counting && !channel->gate && !channel_is_triggered(channel))
		return "counting with a low gate";
	if (channel_access(channel) != I8254_ACCESS_BOTH &&
		(channel->read_high || channel->write_high))
		return "second byte of a one-byte access";
	return NULL;
}

static const char *i8254_check(const void *instance)
{
	const struct i8254 *pit = instance;

	for (unsigned i = 0; i < I8254_CHANNELS; i++) {
		const char *reason = i8254_check_channel(&pit->channel[i]);

		if (reason != NULL)
			return reason;
	}
	return pit->channel[0].gate && pit->channel[1].gate ? NULL : "tied gate is low";
}

#define I8254_CHANNEL_BOOL(member) STATE_EACH(struct i8254, channel, member, 0, 1)

static const struct state_field i8254_fields[] = {
	STATE_DERIVED(struct i8254, device),
	STATE_EACH(struct i8254, channel, start_ns, 0, I8254_NS_MAX),
	STATE_EACH(struct i8254, channel, load_ns, 0, I8254_NS_MAX),
	STATE_EACH(struct i8254, channel, count, 1, 65536),
	STATE_EACH_ANY(struct i8254, channel, count_register),
	STATE_EACH_ANY(struct i8254, channel, count_latch),
	STATE_EACH(struct i8254, channel, control, 0x10, 0x3f),
	STATE_EACH_ANY(struct i8254, channel, status_latch),
	STATE_EACH_ANY(struct i8254, channel, write_low),
	I8254_CHANNEL_BOOL(written),
	I8254_CHANNEL_BOOL(loaded),
	I8254_CHANNEL_BOOL(counting),
	I8254_CHANNEL_BOOL(expired),
	I8254_CHANNEL_BOOL(low_first),
	I8254_CHANNEL_BOOL(load_pending),
	I8254_CHANNEL_BOOL(null_count),
	I8254_CHANNEL_BOOL(count_latched),
	I8254_CHANNEL_BOOL(status_latched),
	I8254_CHANNEL_BOOL(read_high),
	I8254_CHANNEL_BOOL(write_high),
	I8254_CHANNEL_BOOL(gate),
	STATE_EACH_DERIVED(struct i8254, channel, reserved),
	STATE_VALUE(struct i8254, seen_ns, 0, I8254_NS_MAX),
	STATE_DERIVED(struct i8254, deadline_ns),
	STATE_DERIVED(struct i8254, line),
	STATE_PAD(struct i8254, reserved),
};

static const struct state_table i8254_state =
	STATE_TABLE("isa-pit", 1, struct i8254, i8254_fields, i8254_check);

const struct device_model i8254_model = {
	.name = "isa-pit",
	.description = "Intel 8254 interval timer",
	.instance_bytes = sizeof(struct i8254),
	.timers = I8254_TIMERS,
	.inputs = I8254_INPUTS,
	.outputs = I8254_OUTPUTS,
	.state = &i8254_state,
	.reset = i8254_reset,
	.read = i8254_read,
	.write = i8254_write,
	.line = i8254_line,
	.timer = i8254_timer,
	.level = i8254_level,
	.loaded = i8254_loaded,
};

DEVICE_MODEL_REGISTER(130, i8254_model);
