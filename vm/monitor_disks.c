// SPDX-License-Identifier: BSD-2-Clause
// Machines' disks: what info block says of them.
#include "vm/monitor.h"

#include "vm/machine.h"

typedef unsigned long long ull;

static const char *source_of(const struct vm_disk_config *disk)
{
	if (disk->region != NULL)
		return disk->region->source;
	return disk->image != NULL ? "an image in RAM" : "RAM";
}

static void disk_print(const struct machine *machine, uint32_t index)
{
	const struct vm_disk_config *disk = &machine->config.disks[index];
	uint64_t bytes = machine->vm != NULL ? machine->vm->media[index].bytes : disk->bytes;

	monitor_printf("%s: %s, %s, %llu MiB%s\n", disk->name, machine->config.name,
		source_of(disk), (ull)(bytes / MIB), disk->readonly ? ", read-only" : "");
}

void monitor_disks_print(void)
{
	for (const struct machine *machine = machine_first(); machine != NULL;
		machine = machine->next)
		for (uint32_t i = 0; i < machine->config.disk_count; i++)
			disk_print(machine, i);
}
