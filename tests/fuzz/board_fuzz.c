// SPDX-License-Identifier: BSD-2-Clause
// What firmware meets first: fw_cfg, the host bridge, the ISA bridge, power management, hot-plug,
// the flash and the HPET of a PC, and a Q35's bridges, whose guest does anything, or whose state
// was loaded from anything. Input: which of them it is and how it begins (a byte), and steps, each
// of a byte that says what and the bytes it needs.
//
// After each step the state must be one that can be loaded, and no effect one that cannot be.
#include "emul/acpi_pm.h"
#include "emul/fw_cfg.h"
#include "emul/hpet.h"
#include "emul/ich9_lpc.h"
#include "emul/pci_host.h"
#include "emul/pci_hotplug.h"
#include "emul/pflash.h"
#include "emul/piix3.h"
#include "tests/fuzz/device_env.h"

enum {
	BEGIN_LOADED = 0x80,
	FLASH_BYTES = 3 * PFLASH_BLOCK_BYTES,
	FLASH_STRIDE = 67, // from one offset that a byte names to the next
	RCRB_STRIDE = 64,  // the same
	HPET_STRIDE = 4,   // what the specification has accesses of
	HPET_USED_BYTES = HPET_TIMER + 4 * HPET_TIMER_BYTES, // no timer is the last
};

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
	{&pflash_model, {{PFLASH_REGION_CHIP, FLASH_BYTES}}, 1},
	{&hpet_model, {{HPET_REGION_REGISTERS, HPET_USED_BYTES}}, 1},
	{&mch_model, {{PCIDEV_REGION_CONFIG, PCIDEV_CONFIG_BYTES},
		{PCI_HOST_REGION_ADDRESS, PCI_HOST_PORT_BYTES}}, 2},
	{&ich9_lpc_model, {{PCIDEV_REGION_CONFIG, PCIDEV_CONFIG_BYTES},
		{ACPI_PM_REGION_REGISTERS, ICH9_LPC_PM_BYTES}, {ACPI_PM_REGION_SMI,
		ACPI_PM_SMI_BYTES}, {ICH9_LPC_REGION_RCRB, ICH9_LPC_RCRB_BYTES}}, 4},
};

static unsigned board;
static unsigned under_way; // requests of a flash
static const uint8_t file[20000];
static const struct fw_cfg_item items[] = {
	{.key = FW_CFG_SIGNATURE, .data = "QEMU", .bytes = 4},
	{.key = FW_CFG_FILE_FIRST, .data = file, .bytes = sizeof(file)},
};

static bool env_sample(struct device *device, unsigned input)
{
	(void)device;
	(void)input;
	return false;
}

static void env_request(struct device *device, enum device_request request, uint32_t argument)
{
	(void)device;
	(void)argument;
	demand(request <= DEVICE_REQUEST_SETTLE);
}

// A flash's memory is the guest's here.
static void env_memory_read(const struct device *device, uint64_t offset, void *to, size_t bytes)
{
	(void)device;
	demand(env_dma_read(NULL, (struct gpa){offset}, to, bytes) == STATUS_OK);
}

static void env_memory_write(struct device *device, uint64_t offset, const void *from,
	size_t bytes)
{
	demand(offset + bytes <= FLASH_BYTES);
	demand(env_dma_write(device, (struct gpa){offset}, from, bytes) == STATUS_OK);
}

static enum status env_submit(struct device *device, unsigned port, const struct device_io *io)
{
	(void)device;
	demand(port == PFLASH_PORT_STORE && io->kind == DEVICE_IO_FLUSH && io->piece_count == 0);
	demand(io->bytes == PFLASH_BLOCK_BYTES && io->offset <= FLASH_BYTES - io->bytes);
	if (under_way == DEVICE_IO_MAX || (env.now.ns & 7) == 1)
		return STATUS_BUSY;
	under_way++;
	return STATUS_OK;
}

static const struct device_env ops = {ENV_COMMON, .sample = env_sample, .request = env_request,
	.memory_read = env_memory_read, .memory_write = env_memory_write, .submit = env_submit};

static void configure(struct device *device)
{
	if (env.model == &fw_cfg_model)
		fw_cfg_configure(device, items, ARRAY_COUNT(items));
	if (env.model == &pci_hotplug_model)
		pci_hotplug_configure(device, 0xf0, 0x30);
	if (env.model == &pflash_model)
		pflash_configure(device, FLASH_BYTES, false);
}

static unsigned stride(unsigned region)
{
	if (env.model == &hpet_model)
		return HPET_STRIDE;
	if (env.model == &ich9_lpc_model && region == ICH9_LPC_REGION_RCRB)
		return RCRB_STRIDE;
	return env.model == &pflash_model ? FLASH_STRIDE : 1;
}

static void access(struct input *input, uint8_t step)
{
	unsigned which = step % boards[board].region_count, size = 1u << (step >> 3 & 3);
	unsigned region = boards[board].regions[which].region;
	uint32_t bytes = boards[board].regions[which].bytes;
	uint64_t offset;

	while (size > bytes || (region == PCIDEV_REGION_CONFIG && size > 4))
		size /= 2;
	offset = take(input, 1) * stride(region) % (bytes - size + 1);
	if (step & 0x40)
		env_write(region, offset, size, take(input, size));
	else
		(void)env_read(region, offset, size);
}

// Where the data port leads: to a register of bus 0, or nowhere.
static void decode(uint64_t offset)
{
	uint64_t at = pci_host_decode(env.device, PCI_HOST_REGION_DATA, offset);

	demand(at == PCI_HOST_ECAM_NOWHERE || at < PCI_HOST_ECAM_BYTES);
	demand(pci_host_decode(env.device, PCI_HOST_REGION_ECAM, offset) == offset);
}

static void operate(enum device_setting setting, uint64_t value)
{
	if (env.model->accepts(env.device, setting, value))
		env.model->set(env.device, env.now, setting, value);
}

static void step(struct input *input)
{
	uint8_t what = (uint8_t)take(input, 1);

	if (what < 0xc0) {
		access(input, what & 0x7f);
		if (env.model == &pci_host_model || env.model == &mch_model)
			decode(what & 3);
	} else if (what < 0xd0 && env.model->line != NULL) {
		env.model->line(env.device, env.now, (unsigned)take(input, 1) % env.model->inputs,
			what & 1);
	} else if (what < 0xd0 && under_way > 0) {
		under_way--;
		env.model->complete(env.device, env.now, PFLASH_PORT_STORE, what & 1,
			what & 2 ? STATUS_IO : STATUS_OK);
	} else if (what < 0xd8 && env.model->set != NULL) {
		enum device_setting setting = what & 1 ? DEVICE_SETTING_PLUG
						       : DEVICE_SETTING_UNPLUG;
		uint64_t value = take(input, 1);

		if (env.model->accepts(env.device, setting, value))
			env.model->set(env.device, env.now, setting, value);
	} else if (what >= 0xd8 && what < 0xe0 && env.model->accepts != NULL) {
		operate(what & 1 ? DEVICE_SETTING_PLUG : DEVICE_SETTING_UNPLUG, take(input, 1));
	} else if (what < 0xe0) {
		env_time_pass(what & 0xf);
	} else if (what < 0xf0) { // memory, in which a description may lie
		env_ram_write(input);
	} else if (what < 0xf8) {
		env_time_pass(take(input, 4));
	} else if (what < 0xfc) {
		env_save_and_load();
	} else {
		env_load_altered(input);
	}
	env_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint8_t begin = (uint8_t)take(&input, 1);

	board = begin % ARRAY_COUNT(boards);
	under_way = 0;
	env_start(boards[board].model, &ops, configure);
	if (begin & BEGIN_LOADED)
		env_load_any(&input, 16);
	while (input.left > 0)
		step(&input);
	env_end();
	return 0;
}
