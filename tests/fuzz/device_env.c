// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/device_env.h"

#include <string.h>

#include "kernel/base/state.h"

struct env env;

uint64_t take(struct input *input, unsigned bytes)
{
	uint64_t value = 0;

	for (; bytes > 0 && input->left > 0; bytes--, input->left--)
		value = value << 8 | *input->at++;
	return value;
}

bool in_ram(struct gpa at, size_t bytes)
{
	return bytes <= RAM_BYTES && at.v <= RAM_BYTES - bytes;
}

void env_set_line(struct device *device, unsigned output, bool level)
{
	demand(!env.apart);
	demand(output < device->model->outputs && output < ENV_LINES);
	env.effects.line[output] = level;
}

void env_send_message(struct device *device, const struct interrupt_message *message)
{
	(void)device;
	demand(!env.apart);
	demand(message->assert);
}

enum status env_dma_read(struct device *device, struct gpa from, void *to, size_t bytes)
{
	(void)device;
	if (!in_ram(from, bytes))
		return STATUS_RANGE;
	memcpy(to, env.ram + from.v, bytes);
	return STATUS_OK;
}

enum status env_dma_write(struct device *device, struct gpa to, const void *from, size_t bytes)
{
	(void)device;
	if (!in_ram(to, bytes))
		return STATUS_RANGE;
	memcpy(env.ram + to.v, from, bytes);
	return STATUS_OK;
}

enum status env_dma_map(struct device *device, struct gpa at, size_t bytes, bool writable,
	struct device_dma_map *map)
{
	uint64_t left = RAM_BLOCK_BYTES - at.v % RAM_BLOCK_BYTES;

	(void)device;
	if (!in_ram(at, 1))
		return STATUS_RANGE;
	*map = (struct device_dma_map){.address = env.ram + at.v, .gpa = at,
		.bytes = bytes < left ? bytes : left, .writable = writable};
	return STATUS_OK;
}

void env_dma_unmap(struct device *device, struct device_dma_map *map, size_t written)
{
	(void)device;
	demand(map->address == env.ram + map->gpa.v && in_ram(map->gpa, map->bytes));
	demand(written <= map->bytes && (map->writable || written == 0));
	map->address = NULL;
}

void env_dma_written(struct device *device, const struct device_dma_map *map, uint64_t offset,
	size_t bytes)
{
	(void)device;
	demand(map->address == env.ram + map->gpa.v && map->writable);
	demand(bytes <= map->bytes && offset <= map->bytes - bytes);
}

void env_arm_timer(struct device *device, unsigned timer, struct guest_time deadline)
{
	demand(!env.apart);
	demand(timer < device->model->timers && timer < ENV_TIMERS);
	env.effects.deadline[timer] = deadline;
}

void env_schedule_bottom_half(struct device *device, unsigned bottom_half)
{
	demand(!env.apart);
	demand(bottom_half < device->model->bottom_halves);
	env.halves |= UINT64_C(1) << bottom_half;
}

void env_map_region(struct device *device, unsigned region, enum device_space space, uint64_t base,
	uint64_t bytes)
{
	(void)device;
	demand(!env.apart);
	demand(region < ENV_REGIONS && bytes != 0 && base + bytes - 1 >= base);
	demand(space != DEVICE_SPACE_PORT || base + bytes <= 0x10000);
	env.effects.region[region].base = base;
	env.effects.region[region].bytes = bytes;
	env.effects.region[region].space = space;
}

void env_unmap_region(struct device *device, unsigned region)
{
	(void)device;
	demand(!env.apart);
	demand(region < ENV_REGIONS);
	memset(&env.effects.region[region], 0, sizeof(env.effects.region[region]));
}

void env_report(struct device *device, const char *what)
{
	(void)device;
	demand(!env.apart);
	demand(what != NULL);
}

static void effects_clear(void)
{
	memset(&env.effects, 0, sizeof(env.effects));
	for (unsigned i = 0; i < ENV_TIMERS; i++)
		env.effects.deadline[i] = GUEST_TIME_NEVER;
}

// Poisoned: a reset leaves nothing of what was there.
static struct device *instance_create(void)
{
	struct device *device = malloc(env.model->instance_bytes);

	demand(device != NULL);
	memset(device, 0xa5, env.model->instance_bytes);
	*device = (struct device){.model = env.model, .env = env.ops};
	if (env.configure != NULL)
		env.configure(device);
	effects_clear();
	env.model->reset(device, env.now, DEVICE_RESET_POWER);
	return device;
}

void env_start(const struct device_model *model, const struct device_env *ops,
	void (*configure)(struct device *device))
{
	memset(&env, 0, sizeof(env));
	env.model = model;
	env.ops = ops;
	env.configure = configure;
	env.device = instance_create();
	env_check();
}

void env_reset(enum device_reset kind)
{
	effects_clear();
	env.halves = 0;
	env.model->reset(env.device, env.now, kind);
}

void env_end(void)
{
	env_reset(DEVICE_RESET_LINE);
	env_check();
	free(env.device);
	env.device = NULL;
}

uint64_t env_read(unsigned region, uint64_t offset, unsigned size)
{
	return env.model->read(env.device, env.now, region, offset, size);
}

void env_write(unsigned region, uint64_t offset, unsigned size, uint64_t value)
{
	env.model->write(env.device, env.now, region, offset, size, value);
}

void env_time_pass(uint64_t ns)
{
	uint64_t halves = env.halves;

	env.now.ns += ns;
	env.halves = 0;
	for (unsigned i = 0; i < env.model->bottom_halves; i++)
		if ((halves >> i & 1) != 0)
			env.model->bottom_half(env.device, env.now, i);
	for (unsigned i = 0; i < env.model->timers; i++) {
		if (env.effects.deadline[i].ns > env.now.ns ||
			env.effects.deadline[i].ns == GUEST_TIME_NEVER.ns)
			continue;
		env.effects.deadline[i] = GUEST_TIME_NEVER;
		env.model->timer(env.device, env.now, i);
	}
}

void env_ram_write(struct input *input)
{
	uint64_t at = take(input, 2), count = take(input, 1) % 32;

	for (uint64_t i = 0; i < count && input->left > 0; i++)
		env.ram[(at + i) % RAM_BYTES] = (uint8_t)take(input, 1);
}

void env_check(void)
{
	demand(state_check(env.model->state, env.device, NULL) == STATUS_OK);
	for (unsigned i = 0; env.model->level != NULL && i < env.model->outputs; i++)
		demand(env.model->level(env.device, env.now, i) == env.effects.line[i]);
}

static uint8_t *save(const struct device *device, size_t *bytes)
{
	const struct state_table *table = env.model->state;
	uint8_t *saved;

	*bytes = state_saved_bytes(table, table->version);
	saved = malloc(*bytes);
	demand(saved != NULL && state_save(table, device, saved, *bytes) == STATUS_OK);
	return saved;
}

static uint8_t *save_present(size_t *bytes)
{
	if (env.rest != NULL)
		env.rest();
	return save(env.device, bytes);
}

// Into a fresh instance, which then takes the place of the present one. What waits for the device
// waits for the new one.
static bool load(const uint8_t *saved, size_t bytes)
{
	const struct state_table *table = env.model->state;
	const struct env_effects before = env.effects;
	struct device *fresh = instance_create();

	if (state_load(table, table->version, saved, bytes, fresh, NULL) != STATUS_OK) {
		free(fresh);
		env.effects = before;
		return false;
	}
	if (env.model->loaded != NULL)
		env.model->loaded(fresh, env.now);
	free(env.device);
	env.device = fresh;
	return true;
}

void env_save_and_load(void)
{
	struct env_effects before;
	size_t bytes, again_bytes;
	uint8_t *saved = save_present(&bytes), *again;

	before = env.effects;
	demand(load(saved, bytes));
	again = save(env.device, &again_bytes);
	demand(bytes == again_bytes && memcmp(saved, again, bytes) == 0);
	demand(memcmp(&before, &env.effects, sizeof(before)) == 0);
	free(saved);
	free(again);
}

// What guest memory says may contradict a state that was altered.
static void verify(void)
{
	if (env.model->verify != NULL)
		env.model->verify(env.device, env.now);
}

void env_load_altered(struct input *input)
{
	size_t bytes;
	uint8_t *saved = save_present(&bytes);

	saved[take(input, 2) % bytes] ^= (uint8_t)take(input, 1);
	if (load(saved, bytes))
		verify();
	free(saved);
}

void env_load_any(struct input *input, uint32_t elements)
{
	const struct state_table *table = env.model->state;
	const struct env_effects before = env.effects;
	struct device *any = instance_create();
	size_t bytes;
	uint8_t *saved;

	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];

		if (field->kind != STATE_FIELD_SAVED || strncmp(field->name, "pci", 3) == 0)
			continue;
		for (uint32_t n = 0; n < field->count && n < elements; n++)
			state_field_set(field, any, n, take(input, field->width));
	}
	saved = save(any, &bytes); // whether it can be or not
	free(any);
	env.effects = before;
	(void)load(saved, bytes);
	free(saved);
}
