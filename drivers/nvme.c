// SPDX-License-Identifier: BSD-2-Clause
// Disks behind an NVMe controller: NVM Express 1.4, Identify in 5.15, the NVM command set in 6. A
// disk is a namespace, with blocks of 512 to 4096 bytes and no metadata. Data goes straight from
// and to the caller's buffer (physical region pages: 4.3), but for one that does not begin at a
// multiple of 4 bytes. Left out: more than one pair of queues, controller memory, several paths to
// one namespace, namespaces that come and go.
//
// A command that fails is told in the log. A controller that does not answer, or not as it should,
// is reset before anyone else uses the memory that it knows about, and none of its disks is used
// any more.
#include "drivers/nvme.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/disk.h"
#include "drivers/nvme_controller.h"
#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/mem.h"
#include "kernel/mmio.h"

enum {
	NAMESPACES_MAX = 64, // of a controller, that are used
	CONTROLLERS_MAX = 100,
	TRANSFER_BYTES_MAX = 128 << 10,
	BUFFER_ALIGN = 4,
};

struct nvme_disk {
	struct disk disk;
	struct nvme *nvme;
	uint32_t id;
	bool has_cache; // that a loss of power empties
	struct nvme_disk *next; // of the controller
};

// A controller while it is looked at, and its disks.
struct nvme_group {
	struct nvme nvme;
	struct nvme_disk *disks;
	uint8_t nth;
	uint32_t transfer_bytes;
	uint32_t namespaces; // the highest id
	bool has_cache;
	char model[NVME_CONTROLLER_MODEL_BYTES];
};

static struct nvme_group *group_of(struct nvme *nvme)
{
	return CONTAINER_OF(nvme, struct nvme_group, nvme);
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void disks_fail(struct nvme *nvme)
{
	for (struct nvme_disk *at = group_of(nvme)->disks; at != NULL; at = at->next)
		at->disk.failed = true;
	nvme_stop(nvme);
}

static enum status command_run(struct nvme_disk *own, struct nvme_command *command,
	const char *what, uint64_t sector)
{
	struct nvme *nvme = own->nvme;
	uint32_t failed = 0;
	const char *problem;

	ASSERT(disk_lock_is_held(&nvme->lock) && !own->disk.failed);
	command->namespace_id = own->id;
	problem = nvme_run(nvme, &nvme->io, command, DISK_TIMEOUT_MS, &failed);
	if (problem != NULL) {
		disks_fail(nvme);
		log_error("disk: %s: %s at sector %llu: %s; nvme%u is not used any more",
			own->disk.name, what, (unsigned long long)sector, problem,
			group_of(nvme)->nth);
		return STATUS_FAIL(STATUS_IO);
	}
	if (failed == 0)
		return STATUS_OK;
	log_error("disk: %s: %s at sector %llu: status type %u, code 0x%02x", own->disk.name, what,
		(unsigned long long)sector, nvme_failed_type(failed), nvme_failed_code(failed));
	return STATUS_FAIL(STATUS_IO);
}

// 4.3: the first page from where the buffer begins; the second, or a list of all the others.
static void pages_set(struct nvme *nvme, struct nvme_command *command, const void *buffer,
	uint32_t bytes)
{
	uint64_t start = hpa_of(buffer).v, next = ALIGN_DOWN(start, PAGE_BYTES) + PAGE_BYTES;
	uint64_t *list = nvme->memory->list;
	uint32_t count = 0;

	command->prp1 = start;
	command->prp2 = next < start + bytes ? next : 0;
	if (next + PAGE_BYTES >= start + bytes)
		return;
	for (; next < start + bytes; next += PAGE_BYTES) {
		ASSERT(count < ARRAY_COUNT(nvme->memory->list));
		list[count++] = next;
	}
	command->prp2 = hpa_of(list).v;
}

static enum status nvme_transfer(struct disk *disk, enum disk_direction direction, uint64_t sector,
	uint32_t count, void *buffer)
{
	struct nvme_disk *own = CONTAINER_OF(disk, struct nvme_disk, disk);
	struct nvme_command command = {.opcode = direction == DISK_READ ? NVME_READ : NVME_WRITE,
		.cdw10 = (uint32_t)sector, .cdw11 = (uint32_t)(sector >> 32), .cdw12 = count - 1};

	ASSERT(count > 0 && count <= disk->transfer_max);
	ASSERT(sector < disk->sectors && count <= disk->sectors - sector);
	pages_set(own->nvme, &command, buffer, count * disk->sector_bytes);
	return command_run(own, &command, direction == DISK_READ ? "read" : "write", sector);
}

static enum status nvme_flush(struct disk *disk)
{
	struct nvme_disk *own = CONTAINER_OF(disk, struct nvme_disk, disk);
	struct nvme_command command = {.opcode = NVME_FLUSH};

	return own->has_cache ? command_run(own, &command, "flush", 0) : STATUS_OK;
}

// The answer is in memory->data; zeros if it is *refused. Returns what is wrong with the
// controller, or NULL.
static const char *identify(struct nvme *nvme, uint32_t kind, uint32_t id, uint32_t *refused)
{
	struct nvme_command command = {.opcode = NVME_ADMIN_IDENTIFY, .namespace_id = id,
		.prp1 = hpa_of(nvme->memory->data).v, .cdw10 = kind};
	const char *problem;

	memset(nvme->memory->data, 0, sizeof(nvme->memory->data));
	problem = nvme_run(nvme, &nvme->admin, &command, NVME_ADMIN_TIMEOUT_MS, refused);
	if (problem == NULL && *refused != 0)
		memset(nvme->memory->data, 0, sizeof(nvme->memory->data));
	return problem;
}

static const char *controller_read(struct nvme_group *group)
{
	const uint8_t *data = group->nvme.memory->data;
	uint32_t refused = 0;
	const char *problem = identify(&group->nvme, NVME_IDENTIFY_CONTROLLER, 0, &refused);
	unsigned shift = data[NVME_CONTROLLER_TRANSFER];

	if (problem != NULL || refused != 0)
		return problem != NULL ? problem : "it does not tell what it is";
	if (data[NVME_CONTROLLER_TYPE] != NVME_CONTROLLER_TYPE_OLD &&
		data[NVME_CONTROLLER_TYPE] != NVME_CONTROLLER_TYPE_IO)
		return "it is no controller of disks";
	memcpy(group->model, data + NVME_CONTROLLER_MODEL, sizeof(group->model));
	group->transfer_bytes = TRANSFER_BYTES_MAX;
	if (shift > 0 && shift < 32 && PAGE_BYTES << shift < TRANSFER_BYTES_MAX)
		group->transfer_bytes = (uint32_t)(PAGE_BYTES << shift);
	group->namespaces = get32(data + NVME_CONTROLLER_NAMESPACES);
	group->has_cache =
		(data[NVME_CONTROLLER_CACHE] & NVME_CONTROLLER_CACHE_VOLATILE) != 0;
	return NULL;
}

// What Identify said about a namespace. Returns why it cannot be used, or NULL.
static const char *namespace_read(struct disk *disk, const uint8_t *data)
{
	uint32_t index = data[NVME_NAMESPACE_FORMAT] & NVME_NAMESPACE_FORMAT_LOW, format, shift;

	if (index > data[NVME_NAMESPACE_FORMATS])
		return "its format is none that it has";
	format = get32(data + NVME_NAMESPACE_FORMAT_0 + 4 * index);
	if ((format & NVME_FORMAT_METADATA) != 0 ||
		(data[NVME_NAMESPACE_PROTECTION] & NVME_NAMESPACE_PROTECTION_TYPE) != 0)
		return "its blocks have metadata";
	shift = format >> NVME_FORMAT_SHIFT & 0xff;
	if (shift > 31 || 1u << shift < DISK_SECTOR_BYTES_MIN ||
		1u << shift > DISK_SECTOR_BYTES_MAX)
		return "its blocks have a size that is not supported";
	disk->sector_bytes = 1u << shift;
	memcpy(&disk->sectors, data + NVME_NAMESPACE_BLOCKS, sizeof(disk->sectors));
	if (disk->sectors >= BIT(63) >> shift)
		return "it claims to be larger than disks can be";
	disk->read_only = (data[NVME_NAMESPACE_ATTRIBUTES] & NVME_NAMESPACE_WRITE_PROTECTED) != 0;
	return disk->sectors > 0 ? NULL : "it is empty";
}

// Adds it to the controller's disks if it can be used. Returns what is wrong with the controller,
// or NULL.
static const char *namespace_probe(struct nvme_group *group, uint32_t id)
{
	static const struct disk_ops ops = {nvme_transfer, nvme_flush};
	struct nvme_disk *own = calloc(1, sizeof(*own)), **last = &group->disks;
	const char *problem, *reason;
	uint32_t refused = 0;

	if (own == NULL)
		return "no memory";
	own->nvme = &group->nvme;
	own->id = id;
	own->has_cache = group->has_cache;
	own->disk.ops = &ops;
	own->disk.at = group->nvme.function->at;
	own->disk.lock = &group->nvme.lock;
	own->disk.dma.align = BUFFER_ALIGN;
	own->disk.dma.bounce = group->nvme.memory->bounce[0];
	snprintf(own->disk.name, sizeof(own->disk.name), "nvme%un%u", group->nth, id);
	disk_model_set(&own->disk, group->model, sizeof(group->model));
	problem = identify(&group->nvme, NVME_IDENTIFY_NAMESPACE, id, &refused);
	reason = refused != 0 ? "the controller does not tell what it is"
			      : namespace_read(&own->disk, group->nvme.memory->data);
	if (problem == NULL && reason == NULL) {
		own->disk.transfer_max = group->transfer_bytes / own->disk.sector_bytes;
		while (*last != NULL)
			last = &(*last)->next;
		*last = own;
		return NULL;
	}
	if (problem == NULL)
		log_warn("disk: %s: %s", own->disk.name, reason);
	free(own);
	return problem;
}

// Fills ids[] of NAMESPACES_MAX and says how many they are. Before 1.1 every number up to the
// highest one is a namespace's.
static const char *namespaces_find(struct nvme_group *group, uint32_t *ids, uint32_t *count)
{
	struct nvme *nvme = &group->nvme;
	bool has_list = mmio_read32(nvme->registers + NVME_VS) >= NVME_VERSION_11;
	uint32_t found = 0, last = 0, refused = 0;
	const char *problem =
		has_list ? identify(nvme, NVME_IDENTIFY_ACTIVE, 0, &refused) : NULL;

	has_list = has_list && refused == 0;
	for (; problem == NULL && found < NVME_IDENTIFY_ACTIVE_IDS; found++) {
		uint32_t id = has_list ? get32(nvme->memory->data + 4 * found)
			: found < group->namespaces ? found + 1 : 0;

		if (id == 0)
			break;
		if (id <= last || id == UINT32_MAX)
			return "its list of namespaces is in no order";
		last = id;
		if (found < NAMESPACES_MAX)
			ids[found] = id;
	}
	*count = found < NAMESPACES_MAX ? found : NAMESPACES_MAX;
	if (found > NAMESPACES_MAX)
		log_warn("disk: nvme%u: only %u of its namespaces are used", group->nth, *count);
	return problem;
}

static const char *group_start(struct nvme_group *group)
{
	uint32_t ids[NAMESPACES_MAX], count = 0;
	const char *problem = nvme_start(&group->nvme);

	if (problem != NULL)
		return problem;
	problem = controller_read(group);
	if (problem == NULL)
		problem = namespaces_find(group, ids, &count);
	for (uint32_t i = 0; problem == NULL && i < count; i++)
		problem = namespace_probe(group, ids[i]);
	if (problem == NULL && group->disks == NULL)
		problem = "it has no namespace that can be used";
	if (problem == NULL)
		return NULL;
	nvme_stop(&group->nvme);
	while (group->disks != NULL) {
		struct nvme_disk *own = group->disks;

		group->disks = own->next;
		free(own);
	}
	mem_pages_free(group->nvme.memory, PAGES_OF(*group->nvme.memory));
	return problem;
}

bool nvme_probe(const struct pci_function *function, unsigned nth)
{
	struct nvme_group *group;
	const char *problem;

	if (function->class != PCI_CLASS_NVM || function->interface != NVME_INTERFACE)
		return false;
	group = calloc(1, sizeof(*group));
	if (group == NULL) {
		log_warn("disk: no memory for an NVMe controller");
		return true;
	}
	group->nvme.function = function;
	group->nth = (uint8_t)nth;
	problem = nth < CONTROLLERS_MAX ? group_start(group) : "one controller too many";
	for (struct nvme_disk *own = group->disks; own != NULL; own = own->next)
		disk_add(&own->disk);
	if (problem != NULL) {
		log_warn("disk: NVMe at %02x:%02x.%u: %s", function->at.bus, function->at.slot,
			function->at.function, problem);
		free(group);
	}
	return true;
}
