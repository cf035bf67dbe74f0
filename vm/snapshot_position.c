// SPDX-License-Identifier: BSD-2-Clause
// The position of a machine that keeps it, and whose turn it is.
#include <string.h>

#include "kernel/position.h"
#include "vm/landing.h"
#include "vm/snapshot.h"

static const struct state_field fields[] = {
	STATE_VALUE(struct landing_time, ticks, 0, BIT(60)),
	STATE_VALUE(struct landing_time, skipped, 0, BIT(60)),
	STATE_ANY(struct landing_time, turn_end),
	STATE_VALUE(struct landing_time, turn, 0, VM_VCPUS_MAX - 1),
	STATE_VALUE_SINCE(2, struct landing_time, rate, 1, UINT32_MAX),
	STATE_VALUE_SINCE(2, struct landing_time, rate_ticks, 0, BIT(60)),
};

const struct state_table snapshot_position_table =
	STATE_TABLE("position", 2, struct landing_time, fields, NULL);

void snapshot_position_write(const struct vm *vm, struct snapshot_stream *stream)
{
	struct landing_time time;

	if (vm->landing == NULL)
		return;
	time = landing_time(vm);
	snapshot_write_table(stream, "position", 0, &snapshot_position_table, &time);
}

static enum status refuse(struct snapshot_stream *stream, const char *field, uint64_t value,
	uint64_t max, const char *reason)
{
	const struct state_error error = {.field = field, .value = value, .max = max,
		.reason = reason};

	return snapshot_refuse(stream, "position", 0, &error);
}

// The machine's time, which has been read, follows from it.
enum status snapshot_position_read(struct vm *vm, struct snapshot_stream *stream)
{
	struct landing_time time;
	uint64_t wanted = vm->paused_tsc;
	const char *problem;
	enum status status;

	if (vm->landing == NULL)
		return STATUS_OK;
	memset(&time, 0, sizeof(time));
	time.rate = landing_source_rate(); // in version 1, from the first tick on
	status = snapshot_read_table(stream, "position", 0, &snapshot_position_table, &time);
	if (status != STATUS_OK)
		return status;
	if (time.turn >= vm->vcpu_count)
		return refuse(stream, "turn", time.turn, vm->vcpu_count - 1, "no such vcpu");
	problem = landing_rate_problem(vm, time.rate);
	if (problem != NULL)
		return refuse(stream, "rate", time.rate,
			(uint64_t)landing_source_rate() * LANDING_RATE_SPAN, problem);
	if (time.rate_ticks > time.ticks)
		return refuse(stream, "rate_ticks", time.rate_ticks, time.ticks,
			"beyond the position");
	landing_time_carry(&time);
	if (landing_time_value(&time) != wanted)
		return refuse(stream, "ticks", time.ticks, wanted / position_source->scale,
			"not those of the machine's time");
	landing_set_time(vm, &time);
	return STATUS_OK;
}
