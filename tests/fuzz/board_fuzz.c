// SPDX-License-Identifier: BSD-2-Clause
// What firmware meets first: fw_cfg, the host bridge, the ISA bridge, power management and hot-plug
// of a PC, whose guest does anything, or whose state was loaded from anything. Input: which of them
// it is and how it begins (a byte), and steps, each of a byte that says what and the bytes it
// needs.
//
// After each step the state must be one that can be loaded, and no effect one that cannot be.
#include <stdlib.h>
#include <string.h>

#include "emul/acpi_pm.h"
#include "emul/fw_cfg.h"
#include "emul/pci_host.h"
#include "emul/pci_hotplug.h"
#include "emul/piix3.h"
#include "tests/fuzz/fuzz.h"

enum { BEGIN_LOADED = 0x80, RAM_BYTES = 65536, LINES_MAX = 64 };

static const struct {
	const struct device_model *model;
	struct {
		unsigned region;
		uint32_t bytes;
	} regions[4];
	unsigned region_count;
} boards[] = {
	{&fw_cfg_model, {{FW_CFG_REGION_SELECTOR, FW_CFG_PORT_BYTES},
		{FW_CFG_REGION_DMA, FW_CFG_DMA_PORT_BYTES}}, 2},
	{&pci_host_model, {{PCIDEV_REGION_CONFIG, PCIDEV_CONFIG_BYTES},
		{PCI_HOST_REGION_ADDRESS, PCI_HOST_PORT_BYTES}}, 2},
	{&piix3_model, {{PCIDEV_REGION_CONFIG, PCIDEV_CONFIG_BYTES}}, 1},
	{&acpi_pm_model, {{PCIDEV_REGION_CONFIG, PCIDEV_CONFIG_BYTES},
		{ACPI_PM_REGION_REGISTERS, ACPI_PM_BYTES}, {ACPI_PM_REGION_SMI, ACPI_PM_SMI_BYTES}},
		3},
	{&pci_hotplug_model, {{PCI_HOTPLUG_REGION_REGISTERS, PCI_HOTPLUG_PORT_BYTES}}, 1},
};

static struct {
	unsigned board;
	const struct device_model *model;
	struct device *device;
	uint8_t ram[RAM_BYTES];
	bool level[LINES_MAX], bottom_half;
	uint64_t now;
} env;

static const uint8_t file[20000];
static const struct fw_cfg_item items[] = {
	{.key = FW_CFG_SIGNATURE, .data = "QEMU", .bytes = 4},
	{.key = FW_CFG_FILE_FIRST, .data = file, .bytes = sizeof(file)},
};

struct input {
	const uint8_t *at;
	size_t left;
};

static void demand(bool what)
{
	if (!what)
		abort();
}

static uint64_t take(struct input *input, unsigned bytes)
{
	uint64_t value = 0;

	for (; bytes > 0 && input->left > 0; bytes--, input->left--)
		value = value << 8 | *input->at++;
	return value;
}

static void env_set_line(struct device *device, unsigned output, bool level)
{
	demand(output < device->model->outputs && output < LINES_MAX);
	env.level[output] = level;
}

static bool env_sample(struct device *device, unsigned input)
{
	(void)device;
	(void)input;
	return false;
}

static enum status env_dma_read(struct device *device, struct gpa from, void *to, size_t bytes)
{
	(void)device;
	if (bytes > RAM_BYTES || from.v > RAM_BYTES - bytes)
		return STATUS_RANGE;
	memcpy(to, env.ram + from.v, bytes);
	return STATUS_OK;
}

static enum status env_dma_write(struct device *device, struct gpa to, const void *from,
	size_t bytes)
{
	(void)device;
	if (bytes > RAM_BYTES || to.v > RAM_BYTES - bytes)
		return STATUS_RANGE;
	memcpy(env.ram + to.v, from, bytes);
	return STATUS_OK;
}

static void env_arm_timer(struct device *device, unsigned timer, struct guest_time deadline)
{
	(void)deadline;
	demand(timer < device->model->timers);
}

static void env_bottom_half(struct device *device, unsigned bottom_half)
{
	demand(bottom_half < device->model->bottom_halves);
	env.bottom_half = true;
}

static void env_map_region(struct device *device, unsigned region, enum device_space space,
	uint64_t base, uint64_t bytes)
{
	(void)device;
	(void)region;
	demand(bytes > 0 && base + bytes > base);
	demand(space != DEVICE_SPACE_PORT || base + bytes <= 0x10000);
}

static void env_unmap_region(struct device *device, unsigned region)
{
	(void)device;
	(void)region;
}

static void env_request(struct device *device, enum device_request request, uint32_t argument)
{
	(void)device;
	(void)argument;
	demand(request <= DEVICE_REQUEST_INIT);
}

static void env_report(struct device *device, const char *what)
{
	(void)device;
	demand(what != NULL);
}

static const struct device_env ops = {.set_line = env_set_line, .sample = env_sample,
	.dma_read = env_dma_read, .dma_write = env_dma_write, .arm_timer = env_arm_timer,
	.schedule_bottom_half = env_bottom_half, .map_region = env_map_region,
	.unmap_region = env_unmap_region, .request = env_request, .report = env_report};

static void reset(void)
{
	memset(env.device, 0xa5, env.model->instance_bytes);
	*env.device = (struct device){.model = env.model, .env = &ops};
	if (env.model == &fw_cfg_model)
		fw_cfg_configure(env.device, items, ARRAY_COUNT(items));
	if (env.model == &pci_hotplug_model)
		pci_hotplug_configure(env.device, 0xf0, 0x30);
	env.model->reset(env.device, (struct guest_time){env.now}, DEVICE_RESET_POWER);
}

// Saved fields with values out of the input: what cannot be is refused.
static void load(struct input *input)
{
	const struct state_table *table = env.model->state;

	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];

		if (field->kind != STATE_FIELD_SAVED || strncmp(field->name, "pci", 3) == 0)
			continue;
		for (uint32_t n = 0; n < field->count && n < 16; n++)
			state_field_set(field, env.device, n, take(input, field->width));
	}
	if (state_check(table, env.device, NULL) != STATUS_OK)
		reset();
	else if (env.model->loaded != NULL)
		env.model->loaded(env.device, (struct guest_time){env.now});
}

static void access(struct input *input, uint8_t step)
{
	unsigned which = step % boards[env.board].region_count, size = 1u << (step >> 3 & 3);
	unsigned region = boards[env.board].regions[which].region;
	uint32_t bytes = boards[env.board].regions[which].bytes;
	struct guest_time now = {env.now};
	uint64_t offset;

	while (size > bytes || (region == PCIDEV_REGION_CONFIG && size > 4))
		size /= 2;
	offset = take(input, 1) % (bytes - size + 1);
	if (step & 0x40)
		env.model->write(env.device, now, region, offset, size, take(input, size));
	else
		(void)env.model->read(env.device, now, region, offset, size);
}

// Where the data port leads: to a register of bus 0, or nowhere.
static void decode(uint64_t offset)
{
	uint64_t at = pci_host_decode(env.device, PCI_HOST_REGION_DATA, offset);

	demand(at == PCI_HOST_ECAM_NOWHERE || at < PCI_HOST_ECAM_BYTES);
	demand(pci_host_decode(env.device, PCI_HOST_REGION_ECAM, offset) == offset);
}

static void step(struct input *input)
{
	uint8_t what = (uint8_t)take(input, 1);
	struct guest_time now = {env.now};
	uint64_t at;

	if (what < 0xc0) {
		access(input, what & 0x7f);
		if (env.model == &pci_host_model)
			decode(what & 3);
	} else if (what < 0xd0 && env.model->line != NULL) {
		env.model->line(env.device, now, (unsigned)take(input, 1) % env.model->inputs,
			what & 1);
	} else if (what < 0xd8 && env.bottom_half) {
		env.bottom_half = false;
		env.model->bottom_half(env.device, now, 0);
	} else if (what < 0xe0 && env.model->timer != NULL) {
		env.model->timer(env.device, now, 0);
	} else if (what < 0xe0 && env.model->set != NULL) {
		enum device_setting setting = what & 1 ? DEVICE_SETTING_PLUG
						       : DEVICE_SETTING_UNPLUG;

		at = take(input, 1);
		if (env.model->accepts(env.device, setting, at))
			env.model->set(env.device, now, setting, at);
	} else if (what < 0xf0) { // memory, in which a description may lie
		at = take(input, 2);
		for (unsigned i = 0; i < 16 && at + i < RAM_BYTES; i++)
			env.ram[at + i] = (uint8_t)take(input, 1);
	} else {
		env.now += take(input, 4);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint8_t begin = (uint8_t)take(&input, 1);

	env.board = begin % ARRAY_COUNT(boards);
	env.model = boards[env.board].model;
	env.device = malloc(env.model->instance_bytes);
	demand(env.device != NULL);
	memset(env.ram, 0, sizeof(env.ram));
	env.now = 0;
	env.bottom_half = false;
	reset();
	if (begin & BEGIN_LOADED)
		load(&input);
	while (input.left > 0) {
		step(&input);
		demand(state_check(env.model->state, env.device, NULL) == STATUS_OK);
	}
	free(env.device);
	return 0;
}
