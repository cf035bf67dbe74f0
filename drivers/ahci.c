// SPDX-License-Identifier: BSD-2-Clause
// Disks behind an AHCI controller: AHCI 1.3.1, initialization in 10.1 and 10.4.3, the BIOS'
// hand-off in 10.6; commands of ATA/ATAPI-6, with 48 bits of address. Data goes straight from and
// to the caller's buffer, but for one at an odd address, or out of a 32-bit controller's reach.
// Left out: ATAPI devices, port multipliers, native command queuing, disks that come and go,
// controllers in RAID mode.
//
// A command that fails is told in the log. A port that does not answer, or whose disk was pulled,
// is stopped before anyone else uses the memory that it knows about, and its disk is not used any
// more; where it does not stop, the whole controller is cut off.
#include "drivers/ahci.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/ahci_port.h"
#include "drivers/ata.h"
#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/mem.h"
#include "kernel/mmio.h"

enum {
	HANDOFF_MS = 25, // 10.6.3: and more if the BIOS is busy
	HANDOFF_BUSY_MS = 2000,
	RESET_MS = 1000,
	LINE_RESET_MS = 2, // at least 1
	DETECTION_MS = 20, // all ports at once; a device has 10: Serial ATA 2.6, 8.4
	IDENTIFY_MS = 10000,
	TRANSFER_BYTES_MAX = 128 << 10,
	BUFFER_ALIGN = 2,
};

struct ahci_disk {
	struct disk disk;
	struct ahci_port port;
	uint8_t flush_command; // 0: there is none
};

static struct ahci_disk *own_of(struct disk *disk)
{
	return CONTAINER_OF(disk, struct ahci_disk, disk);
}

static enum status command_run(struct ahci_disk *own, const struct ahci_command *command,
	const char *what)
{
	struct ahci_failure failure = {.causes = 0};
	const char *problem;

	ASSERT(disk_lock_is_held(&own->port.lock) && !own->disk.failed);
	problem = ahci_port_run(&own->port, command, DISK_TIMEOUT_MS, &failure);
	if (problem != NULL) {
		own->disk.failed = true;
		log_error("disk: %s: %s at sector %llu: %s; it is not used any more",
			own->disk.name, what, (unsigned long long)command->sector, problem);
		return STATUS_FAIL(STATUS_IO);
	}
	if (failure.causes == 0 && failure.status == 0 && !failure.is_short)
		return STATUS_OK;
	log_error("disk: %s: %s at sector %llu: status 0x%02x, error 0x%02x, causes 0x%08x%s",
		own->disk.name, what, (unsigned long long)command->sector, failure.status,
		failure.error, failure.causes, failure.is_short ? ", of a wrong length" : "");
	return STATUS_FAIL(STATUS_IO);
}

static enum status ahci_transfer(struct disk *disk, enum disk_direction direction, uint64_t sector,
	uint32_t count, void *buffer)
{
	bool is_write = direction == DISK_WRITE;
	struct ahci_command command = {
		.command = is_write ? ATA_WRITE_DMA_EXT : ATA_READ_DMA_EXT,
		.is_write = is_write,
		.count = count,
		.sector = sector,
		.buffer = buffer,
		.bytes = count * disk->sector_bytes,
	};

	ASSERT(count > 0 && count <= disk->transfer_max);
	ASSERT(sector < disk->sectors && count <= disk->sectors - sector);
	return command_run(own_of(disk), &command, is_write ? "write" : "read");
}

static enum status ahci_flush(struct disk *disk)
{
	struct ahci_command command = {.command = own_of(disk)->flush_command, .is_write = true};

	return command.command != 0 ? command_run(own_of(disk), &command, "flush") : STATUS_OK;
}

// Returns why the disk cannot be used, or NULL.
static const char *disk_identify(struct ahci_disk *own)
{
	uint16_t *words = own->port.memory->identity;
	struct ahci_command command = {
		.command = ATA_IDENTIFY,
		.buffer = words,
		.bytes = sizeof(own->port.memory->identity),
	};
	struct ahci_failure failure = {.causes = 0};
	struct ata_identity identity;
	const char *problem = ahci_port_run(&own->port, &command, IDENTIFY_MS, &failure);

	if (problem != NULL)
		return problem;
	if (failure.causes != 0 || failure.status != 0 || failure.is_short)
		return "it does not tell what it is";
	problem = ata_identity_parse(words, &identity, &own->disk);
	if (problem != NULL)
		return problem;
	if (!identity.has_lba48)
		return "it has no commands with 48 bits";
	own->disk.sectors = identity.sectors;
	own->disk.sector_bytes = identity.sector_bytes;
	own->disk.transfer_max = TRANSFER_BYTES_MAX / identity.sector_bytes;
	own->flush_command = identity.flush_command;
	return NULL;
}

// The registers of the whole controller; waits belong to the lock of a port that nobody uses yet.
static bool hba_wait(const struct ahci *hba, uint32_t offset, uint32_t bits, uint32_t ms)
{
	struct disk_lock lock = {.tickets = 0};
	struct disk_wait wait;
	bool done;

	disk_wait_begin(&wait, &lock, ms);
	do
		done = (mmio_read32(hba->registers + offset) & bits) == 0;
	while (!done && disk_wait(&wait));
	disk_wait_end(&wait);
	return done;
}

// 10.6.3. A BIOS that does not let go has had its time.
static void hba_take_over(const struct ahci *hba)
{
	uint32_t control;

	if ((mmio_read32(hba->registers + AHCI_CAP2) & AHCI_CAP2_HANDOFF) == 0)
		return;
	control = mmio_read32(hba->registers + AHCI_BOHC);
	mmio_write32(hba->registers + AHCI_BOHC, control | AHCI_BOHC_OS);
	if (hba_wait(hba, AHCI_BOHC, AHCI_BOHC_BIOS, HANDOFF_MS))
		return;
	if ((mmio_read32(hba->registers + AHCI_BOHC) & AHCI_BOHC_BUSY) == 0 ||
		!hba_wait(hba, AHCI_BOHC, AHCI_BOHC_BIOS, HANDOFF_BUSY_MS))
		log_warn("disk: AHCI at %02x:%02x.%u: the firmware does not let go of it",
			hba->function->at.bus, hba->function->at.slot, hba->function->at.function);
}

static bool hba_reset(const struct ahci *hba)
{
	mmio_write32(hba->registers + AHCI_GHC, AHCI_GHC_ENABLE | AHCI_GHC_RESET);
	if (!hba_wait(hba, AHCI_GHC, AHCI_GHC_RESET, RESET_MS))
		return false;
	mmio_write32(hba->registers + AHCI_GHC, AHCI_GHC_ENABLE);
	return true;
}

// Returns what is wrong with the controller, or NULL.
static const char *hba_start(struct ahci *hba)
{
	uint32_t end = AHCI_PORT_0;

	// Whatever firmware had set it to must not reach memory.
	pci_disable(hba->function, PCI_COMMAND_MASTER);
	hba->registers = pci_bar_map(hba->function, AHCI_BAR, 0, AHCI_GENERIC_BYTES);
	if (hba->registers == NULL)
		return "firmware gave it no addresses";
	pci_enable(hba->function, PCI_COMMAND_MEMORY | PCI_COMMAND_NO_INTX);
	if (mmio_read32(hba->registers + AHCI_GHC) == AHCI_GONE)
		return "it does not answer";
	mmio_write32(hba->registers + AHCI_GHC, AHCI_GHC_ENABLE); // 3.1.2: before all others
	if ((mmio_read32(hba->registers + AHCI_CAP) & AHCI_CAP_64BIT) == 0)
		hba->end = 4 * GIB;
	hba->ports = mmio_read32(hba->registers + AHCI_PI);
	for (uint32_t left = hba->ports; left != 0; left >>= 1)
		end += AHCI_PORT_BYTES;
	hba->registers = pci_bar_map(hba->function, AHCI_BAR, 0, end);
	if (hba->registers == NULL)
		return "its ports are not in its registers";
	hba_take_over(hba);
	if (!hba_reset(hba))
		return "it does not reset";
	// It has forgotten: from now on it may.
	pci_enable(hba->function, PCI_COMMAND_MASTER);
	return NULL;
}

static void port_log(const struct ahci_port *port, enum log_level level, const char *text)
{
	const struct pci_address *at = &port->hba->function->at;

	log_write(level, "disk: AHCI at %02x:%02x.%u, port %u: %s", at->bus, at->slot, at->function,
		port->number, text);
}

// Whether there is an ATA disk.
static bool port_has_disk(struct ahci_port *port, struct disk_wait *wait)
{
	uint32_t signature;
	const char *problem = ahci_port_start(port, wait, &signature);

	if (problem != NULL)
		port_log(port, LOG_WARN, problem);
	else if (signature == AHCI_SIG_ATAPI)
		port_log(port, LOG_INFO, "an ATAPI device, left alone");
	else if (signature == AHCI_SIG_MULTIPLIER)
		port_log(port, LOG_INFO, "a port multiplier, left alone");
	else if (signature != 0 && signature != AHCI_SIG_ATA)
		port_log(port, LOG_INFO, "neither a disk nor known, left alone");
	return problem == NULL && signature == AHCI_SIG_ATA;
}

// Returns whether it became the registry's.
static bool disk_probe(struct ahci_disk *own, unsigned nth)
{
	static const struct disk_ops ops = {ahci_transfer, ahci_flush};
	const char *problem;

	if (!disk_name(&own->disk, "sd", nth)) {
		port_log(&own->port, LOG_WARN, "one disk too many");
		return false;
	}
	own->disk.ops = &ops;
	own->disk.at = own->port.hba->function->at;
	own->disk.unit = own->port.number;
	own->disk.lock = &own->port.lock;
	own->disk.dma.align = BUFFER_ALIGN;
	own->disk.dma.end = own->port.hba->end;
	own->disk.dma.bounce = own->port.memory->bounce[0];
	problem = disk_identify(own);
	if (problem != NULL) {
		log_warn("disk: %s: %s", own->disk.name, problem);
		return false;
	}
	disk_add(&own->disk);
	return true;
}

// Not running yet. NULL: no memory, or not where the controller reaches it.
static struct ahci_disk *disk_create(struct ahci *hba, uint8_t number)
{
	struct ahci_memory *memory = mem_pages_alloc(PAGES_OF(*memory));
	struct ahci_disk *own = calloc(1, sizeof(*own));

	if (memory != NULL && own != NULL &&
		(hba->end == 0 || hpa_of(memory).v + sizeof(*memory) <= hba->end)) {
		own->port.hba = hba;
		own->port.number = number;
		own->port.registers =
			hba->registers + AHCI_PORT_0 + number * (uint32_t)AHCI_PORT_BYTES;
		own->port.memory = memory;
		return own;
	}
	log_warn("disk: AHCI at %02x:%02x.%u, port %u: no memory", hba->function->at.bus,
		hba->function->at.slot, hba->function->at.function, number);
	if (memory != NULL)
		mem_pages_free(memory, PAGES_OF(*memory));
	free(own);
	return NULL;
}

static void disk_destroy(struct ahci_disk *own)
{
	ahci_port_stop(&own->port);
	mem_pages_free(own->port.memory, PAGES_OF(*own->port.memory));
	free(own);
}

// All ports at once: an empty one is known by nothing coming. Returns how many names are taken.
static unsigned ports_probe(struct ahci *hba, unsigned first, bool *any)
{
	struct ahci_disk *disks[AHCI_PORTS] = {NULL};
	struct disk_lock lock = {.tickets = 0};
	struct disk_wait wait;
	unsigned names = 0;

	for (unsigned i = 0; i < AHCI_PORTS; i++)
		if ((hba->ports & BIT(i)) != 0 &&
			(disks[i] = disk_create(hba, (uint8_t)i)) != NULL) {
			ahci_port_wake(&disks[i]->port);
			ahci_port_reset_begin(&disks[i]->port);
		}
	disk_wait_begin(&wait, &lock, LINE_RESET_MS);
	while (disk_wait(&wait))
		continue;
	disk_wait_end(&wait);
	for (unsigned i = 0; i < AHCI_PORTS; i++)
		if (disks[i] != NULL)
			ahci_port_reset_end(&disks[i]->port);
	disk_wait_begin(&wait, &lock, DETECTION_MS);
	for (unsigned i = 0; i < AHCI_PORTS; i++) {
		if (disks[i] == NULL)
			continue;
		if (!ahci_is_cut(hba) && port_has_disk(&disks[i]->port, &wait) &&
			disk_probe(disks[i], first + names++))
			*any = true;
		else
			disk_destroy(disks[i]);
	}
	disk_wait_end(&wait);
	return names;
}

unsigned ahci_probe(const struct pci_function *function, unsigned first)
{
	struct ahci *hba;
	const char *problem;
	unsigned names = 0;
	bool any = false;

	if (function->class != PCI_CLASS_SATA || function->interface != AHCI_INTERFACE)
		return 0;
	hba = calloc(1, sizeof(*hba));
	if (hba == NULL) {
		log_warn("disk: no memory for an AHCI controller");
		return 0;
	}
	hba->function = function;
	problem = hba_start(hba);
	if (problem == NULL)
		names = ports_probe(hba, first, &any);
	else
		log_warn("disk: AHCI at %02x:%02x.%u: %s", function->at.bus, function->at.slot,
			function->at.function, problem);
	if (!any) {
		pci_disable(function, PCI_COMMAND_MASTER);
		free(hba);
	}
	return names;
}
