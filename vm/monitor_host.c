// SPDX-License-Identifier: BSD-2-Clause
// info block, info pci: the devices of the host, as far as there are drivers for them or may be.
#include "vm/monitor.h"

#include "drivers/gpt.h"
#include "drivers/region.h"

typedef unsigned long long ull;

// Classes as far as they are likely here: PCI Code and ID Assignment Specification 1.11.
static const char *class_name(uint16_t class)
{
	static const struct {
		uint16_t class;
		const char *name;
	} names[] = {
		{0x0100, "SCSI controller"}, {0x0101, "IDE controller"},
		{0x0106, "SATA controller"}, {0x0108, "NVMe controller"},
		{0x0200, "Ethernet controller"}, {0x0300, "VGA controller"},
		{0x0403, "Audio controller"}, {0x0600, "Host bridge"}, {0x0601, "ISA bridge"},
		{0x0604, "PCI bridge"}, {0x0680, "Bridge"}, {0x0c03, "USB controller"},
		{0x0c05, "SMBus"},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
		if (names[i].class == class)
			return names[i].name;
	return NULL;
}

static void bars_print(const struct pci_function *function)
{
	unsigned width = 1;

	for (unsigned i = 0; i < PCI_BARS_MAX; i += width) {
		struct pci_bar bar = pci_bar_get(function, i);

		width = bar.is_64bit ? 2 : 1;
		if (bar.kind == PCI_BAR_PORTS)
			monitor_printf("      BAR%u: I/O at 0x%04llx\n", i, (ull)bar.start);
		else if (bar.kind == PCI_BAR_MEMORY)
			monitor_printf("      BAR%u: %s bit %smemory at 0x%08llx\n", i,
				bar.is_64bit ? "64" : "32",
				bar.is_prefetchable ? "prefetchable " : "", (ull)bar.start);
	}
}

static void info_pci(const struct monitor_call *call)
{
	(void)call;
	for (const struct pci_function *at = pci_first(); at != NULL; at = at->next) {
		const char *name = class_name(at->class);

		monitor_printf("  Bus %2u, device %3u, function %u:\n    ", at->at.bus, at->at.slot,
			at->at.function);
		if (name != NULL)
			monitor_puts(name);
		else
			monitor_printf("Class %04x", at->class);
		monitor_printf(": PCI device %04x:%04x\n", at->vendor, at->device);
		bars_print(at);
		if (monitor_interrupted())
			return;
		monitor_pause();
	}
}

static void partition_print(void *context, const struct gpt_partition *partition)
{
	const struct disk *disk = context;
	char guid[GPT_GUID_TEXT + 1];

	gpt_guid_print(partition->guid, guid);
	monitor_printf("    %s \"%s\", %llu MiB\n", guid, partition->name,
		(ull)((partition->last - partition->first + 1) * disk->sector_bytes / MIB));
}

static void disk_print(struct disk *disk)
{
	enum status status;

	monitor_printf("%s: %s at %02x:%02x.%u, %llu sectors of %u bytes (%llu MiB)%s%s\n",
		disk->name, disk->model, disk->at.bus, disk->at.slot, disk->at.function,
		(ull)disk->sectors, disk->sector_bytes, (ull)(disk_bytes(disk) / MIB),
		disk->read_only ? ", read-only" : "", disk->failed ? ", failed" : "");
	status = region_visit_partitions(disk, partition_print, disk);
	if (status != STATUS_OK && status != STATUS_NOT_FOUND)
		monitor_printf("    partitions: %s\n", status_name(status));
}

static void info_block(const struct monitor_call *call)
{
	(void)call;
	if (disk_first() == NULL)
		monitor_puts("no disk\n");
	for (struct disk *disk = disk_first(); disk != NULL; disk = disk->next)
		disk_print(disk);
	monitor_disks_print();
}

void monitor_host_register(void)
{
	static struct monitor_command own[] = {
		{.name = "block", .arguments = "", .handler = info_block,
			.description = "list the host's disks and their partitions, and those of "
			"machines"},
		{.name = "pci", .arguments = "", .handler = info_pci,
			.description = "list the host's PCI devices"},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
		monitor_info_add(&own[i]);
}
