// SPDX-License-Identifier: BSD-2-Clause
// info block and info pci, of a host that is not there.
#include "tests/unit/fake_env.h"

#include <stdio.h>
#include <string.h>

#include "drivers/gpt.h"
#include "drivers/region.h"
#include "vm/monitor.h"

static struct monitor_command *commands[4];
static unsigned command_count, pauses, interrupted_at;
static char screen[4096];
static struct disk disks[2];
static unsigned disk_count;
static enum status partitions;
static struct pci_function functions[3];

void monitor_info_add(struct monitor_command *command)
{
	assert_true(command_count < ARRAY_COUNT(commands));
	commands[command_count++] = command;
}

void monitor_printf(const char *format, ...)
{
	size_t used = strlen(screen);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(screen + used, sizeof(screen) - used, format, arguments);
	va_end(arguments);
}

void monitor_puts(const char *text)
{
	monitor_printf("%s", text);
}

void monitor_pause(void)
{
	pauses++;
}

bool monitor_interrupted(void)
{
	return interrupted_at != 0 && pauses + 1 == interrupted_at;
}

void monitor_disks_print(void)
{
	monitor_puts("machines' disks\n");
}

struct disk *disk_first(void)
{
	return disk_count > 0 ? disks : NULL;
}

const struct pci_function *pci_first(void)
{
	return functions;
}

struct pci_bar pci_bar_get(const struct pci_function *function, unsigned index)
{
	static const struct pci_bar bars[PCI_BARS_MAX] = {
		{PCI_BAR_PORTS, false, false, 0xc040},
		{PCI_BAR_MEMORY, true, true, 0x4000000000},
		{PCI_BAR_PORTS, false, false, 1}, // not looked at: the upper half
		{PCI_BAR_NONE, false, false, 0},
		{PCI_BAR_MEMORY, false, false, 0xfe000000},
	};

	return function == &functions[1] ? bars[index] : (struct pci_bar){.kind = PCI_BAR_NONE};
}

enum status region_visit_partitions(struct disk *disk,
	void (*visit)(void *context, const struct gpt_partition *partition), void *context)
{
	static const struct gpt_partition partition = {
		.guid = {0xef}, .first = 2048, .last = 2048 * 3 - 1, .name = "a log"};

	if (disk == disks && partitions == STATUS_OK)
		visit(context, &partition);
	return disk == disks ? partitions : STATUS_NOT_FOUND;
}

static void check(const char *name, const char *expected)
{
	screen[0] = '\0';
	pauses = 0;
	for (unsigned i = 0; i < command_count; i++)
		if (strcmp(commands[i]->name, name) == 0)
			commands[i]->handler(&(struct monitor_call){.command = commands[i]});
	assert_string_equal(screen, expected);
}

static void test_block(void **state)
{
	(void)state;
	check("block", "no disk\nmachines' disks\n");
	disk_count = 2;
	disks[0] = (struct disk){.name = "hda", .model = "A disk", .sector_bytes = 512,
		.sectors = 8192, .at = {0, 1, 1}, .next = &disks[1]};
	disks[1] = (struct disk){.name = "vda", .model = "virtio", .sector_bytes = 4096,
		.sectors = 512, .at = {0, 31, 7}, .read_only = true, .failed = true};
	check("block", "hda: A disk at 00:01.1, 8192 sectors of 512 bytes (4 MiB)\n"
		"    000000ef-0000-0000-0000-000000000000 \"a log\", 2 MiB\n"
		"vda: virtio at 00:1f.7, 512 sectors of 4096 bytes (2 MiB), read-only, failed\n"
		"machines' disks\n");
	partitions = STATUS_BAD_FORMAT;
	check("block", "hda: A disk at 00:01.1, 8192 sectors of 512 bytes (4 MiB)\n"
		"    partitions: bad format\n"
		"vda: virtio at 00:1f.7, 512 sectors of 4096 bytes (2 MiB), read-only, failed\n"
		"machines' disks\n");
}

static void test_pci(void **state)
{
	(void)state;
	functions[0] = (struct pci_function){.at = {0, 0, 0}, .vendor = 0x8086, .device = 0x1237,
		.class = 0x0600, .next = &functions[1]};
	functions[1] = (struct pci_function){.at = {2, 31, 7}, .vendor = 0x1af4, .device = 0x1042,
		.class = 0x0180, .next = &functions[2]};
	functions[2] = (struct pci_function){.at = {255, 1, 0}, .vendor = 1, .device = 2};
	check("pci", "  Bus  0, device   0, function 0:\n"
		"    Host bridge: PCI device 8086:1237\n"
		"  Bus  2, device  31, function 7:\n"
		"    Class 0180: PCI device 1af4:1042\n"
		"      BAR0: I/O at 0xc040\n"
		"      BAR1: 64 bit prefetchable memory at 0x4000000000\n"
		"      BAR4: 32 bit memory at 0xfe000000\n"
		"  Bus 255, device   1, function 0:\n"
		"    Class 0000: PCI device 0001:0002\n");
	interrupted_at = 1;
	check("pci", "  Bus  0, device   0, function 0:\n"
		"    Host bridge: PCI device 8086:1237\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block),
		cmocka_unit_test(test_pci),
	};

	monitor_host_register();
	return cmocka_run_group_tests_name("monitor_host", tests, NULL, NULL);
}
