// SPDX-License-Identifier: BSD-2-Clause
// Disks of a parallel-ATA controller (PIIX3 and what looks like it): ATA/ATAPI-6, protocols in
// chapter 9. Programmed I/O alone, without interrupts: it needs nothing that firmware would have to
// assign, and a log is not much data. ATAPI drives are left alone.
//
// A command that fails is told in the log. After one that does not end the channel is reset, and
// the disk is not used any more.
#include "drivers/ide.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/ata.h"
#include "drivers/ata_abi.h"
#include "drivers/disk.h"
#include "drivers/ide_abi.h"
#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/x86.h"

enum {
	PROBE_TIMEOUT_MS = 1000,
	RESET_TIMEOUT_MS = 2000,
	SETTLE_READS = 15, // of the status, 30 ns at the least: 400 ns from a command to its status
	TRANSFER_MAX = 128, // sectors; the command takes 256 at the most
};

struct ide_channel {
	struct disk_lock lock;
	uint16_t ports, control;
};

struct ide {
	struct disk disk;
	struct ide_channel *channel;
	uint8_t drive; // of its channel
	uint8_t flush_command; // 0: there is none
};

static uint8_t status_read(const struct ide_channel *channel)
{
	return inb((uint16_t)(channel->ports + IDE_STATUS));
}

static void register_write(const struct ide_channel *channel, unsigned offset, uint64_t value)
{
	outb((uint16_t)(channel->ports + offset), (uint8_t)value);
}

static void settle(const struct ide_channel *channel)
{
	for (unsigned i = 0; i < SETTLE_READS; i++)
		(void)inb(channel->control);
}

// The status when `bits` of it are `wanted`; IDE_STATUS_NOBODY: that takes too long.
static uint8_t status_wait(const struct ide_channel *channel, uint8_t bits, uint8_t wanted,
	struct disk_wait *wait)
{
	uint8_t status;

	while (((status = status_read(channel)) & bits) != wanted)
		if (!disk_wait(wait))
			return IDE_STATUS_NOBODY;
	return status;
}

// 9.2: both drives of the channel.
static void channel_reset(struct ide_channel *channel)
{
	struct disk_wait wait;

	outb(channel->control, IDE_CONTROL_RESET | IDE_CONTROL_NO_INTERRUPT);
	settle(channel); // and 5 us: ports of the ISA bus take a microsecond each
	outb(channel->control, IDE_CONTROL_NO_INTERRUPT);
	settle(channel);
	disk_wait_begin(&wait, &channel->lock, RESET_TIMEOUT_MS);
	(void)status_wait(channel, ATA_STATUS_BUSY, 0, &wait);
	disk_wait_end(&wait);
}

// Sends a command of `count` sectors (0: of none) when the drive is ready for one.
static bool command_send(const struct ide *ide, uint8_t command, bool is_ext, uint64_t sector,
	uint32_t count, struct disk_wait *wait)
{
	const struct ide_channel *channel = ide->channel;
	uint64_t device = IDE_DEVICE_LBA | (uint64_t)ide->drive << IDE_DEVICE_DRIVE_SHIFT;

	ASSERT(is_ext ? sector < ATA_LBA48_SECTORS : sector < ATA_LBA28_SECTORS);
	ASSERT(count <= TRANSFER_MAX && ide->drive < IDE_DRIVES);
	// Of whichever drive is selected: 9.3. Then of this one.
	if (status_wait(channel, ATA_STATUS_BUSY | ATA_STATUS_DATA, 0, wait) == IDE_STATUS_NOBODY)
		return false;
	register_write(channel, IDE_DEVICE, is_ext ? device : device | (sector >> 24 & 0xf));
	settle(channel);
	if (status_wait(channel, ATA_STATUS_BUSY | ATA_STATUS_DATA, 0, wait) == IDE_STATUS_NOBODY)
		return false;
	if (is_ext) { // each register takes two bytes, the upper one first: 6.20
		register_write(channel, IDE_COUNT, count >> 8);
		register_write(channel, IDE_LBA_LOW, sector >> 24);
		register_write(channel, IDE_LBA_MID, sector >> 32);
		register_write(channel, IDE_LBA_HIGH, sector >> 40);
	}
	register_write(channel, IDE_COUNT, count);
	register_write(channel, IDE_LBA_LOW, sector);
	register_write(channel, IDE_LBA_MID, sector >> 8);
	register_write(channel, IDE_LBA_HIGH, sector >> 16);
	register_write(channel, IDE_COMMAND, command);
	settle(channel);
	return true;
}

static enum status command_failed(struct ide *ide, const char *what, uint64_t sector,
	uint8_t status)
{
	uint8_t error = inb((uint16_t)(ide->channel->ports + IDE_ERROR));

	log_error("disk: %s: %s at sector %llu: status 0x%02x, error 0x%02x", ide->disk.name, what,
		(unsigned long long)sector, status, error);
	if ((status & ATA_STATUS_DATA) != 0) // it wants to go on
		channel_reset(ide->channel);
	return STATUS_FAIL(STATUS_IO);
}

static enum status command_lost(struct ide *ide, const char *what, uint64_t sector)
{
	log_error("disk: %s: %s at sector %llu: no answer; it is not used any more",
		ide->disk.name, what, (unsigned long long)sector);
	ide->disk.failed = true;
	channel_reset(ide->channel);
	return STATUS_FAIL(STATUS_IO);
}

// 9.5, 9.6: data-in and data-out, a sector at a time.
static enum status data_move(struct ide *ide, enum disk_direction direction, uint64_t sector,
	uint32_t count, uint8_t *at, struct disk_wait *wait)
{
	const struct ide_channel *channel = ide->channel;
	const char *what = direction == DISK_READ ? "read" : "write";
	uint32_t bytes = ide->disk.sector_bytes;

	for (; count > 0; count--, sector++, at += bytes) {
		uint8_t status = status_wait(channel, ATA_STATUS_BUSY, 0, wait);

		if (status == IDE_STATUS_NOBODY)
			return command_lost(ide, what, sector);
		if ((status & (ATA_STATUS_ERROR | ATA_STATUS_FAULT | ATA_STATUS_DATA)) !=
			ATA_STATUS_DATA)
			return command_failed(ide, what, sector, status);
		if (direction == DISK_READ)
			inw_many(channel->ports, at, bytes / 2);
		else
			outw_many(channel->ports, at, bytes / 2);
		settle(channel);
		disk_wait_breathe(wait);
	}
	return STATUS_OK;
}

// The end of a command that moves no (more) data.
static enum status command_end(struct ide *ide, const char *what, uint64_t sector,
	struct disk_wait *wait)
{
	uint8_t status = status_wait(ide->channel, ATA_STATUS_BUSY, 0, wait);

	if (status == IDE_STATUS_NOBODY)
		return command_lost(ide, what, sector);
	if ((status & (ATA_STATUS_ERROR | ATA_STATUS_FAULT | ATA_STATUS_DATA)) != 0)
		return command_failed(ide, what, sector, status);
	return STATUS_OK;
}

static enum status ide_transfer(struct disk *disk, enum disk_direction direction, uint64_t sector,
	uint32_t count, void *buffer)
{
	struct ide *ide = CONTAINER_OF(disk, struct ide, disk);
	bool is_ext = sector + count > ATA_LBA28_SECTORS;
	uint8_t command = direction == DISK_READ ? (is_ext ? ATA_READ_EXT : ATA_READ)
						 : (is_ext ? ATA_WRITE_EXT : ATA_WRITE);
	struct disk_wait wait;
	enum status status;

	ASSERT(disk_lock_is_held(&ide->channel->lock) && !disk->failed && count > 0);
	ASSERT(sector < disk->sectors && count <= disk->sectors - sector);
	disk_wait_begin(&wait, &ide->channel->lock, DISK_TIMEOUT_MS);
	if (!command_send(ide, command, is_ext, sector, count, &wait))
		status = command_lost(ide, "command", sector);
	else
		status = data_move(ide, direction, sector, count, buffer, &wait);
	if (status == STATUS_OK)
		status = command_end(ide, direction == DISK_READ ? "read" : "write", sector, &wait);
	disk_wait_end(&wait);
	return status;
}

static enum status ide_flush(struct disk *disk)
{
	struct ide *ide = CONTAINER_OF(disk, struct ide, disk);
	struct disk_wait wait;
	enum status status;

	if (ide->flush_command == 0)
		return STATUS_OK;
	disk_wait_begin(&wait, &ide->channel->lock, DISK_TIMEOUT_MS);
	if (!command_send(ide, ide->flush_command, false, 0, 0, &wait))
		status = command_lost(ide, "flush", 0);
	else
		status = command_end(ide, "flush", 0, &wait);
	disk_wait_end(&wait);
	return status;
}

// Returns why the disk cannot be used, or NULL.
static const char *identity_use(struct ide *ide, const uint16_t *words)
{
	struct ata_identity identity;
	const char *problem = ata_identity_parse(words, &identity, &ide->disk);

	if (problem != NULL)
		return problem;
	if (identity.sector_bytes != DISK_SECTOR_BYTES_MIN)
		return "its sectors have another size than 512 bytes";
	ide->disk.sector_bytes = identity.sector_bytes;
	ide->disk.sectors = identity.sectors;
	ide->flush_command = identity.flush_command;
	return NULL;
}

// 9.12 and 8.15: false where there is no disk.
static bool identify(struct ide *ide, uint16_t *identity)
{
	const struct ide_channel *channel = ide->channel;
	struct disk_wait wait;
	uint8_t status;
	bool is_disk = false;

	disk_wait_begin(&wait, &ide->channel->lock, PROBE_TIMEOUT_MS);
	register_write(channel, IDE_DEVICE,
		IDE_DEVICE_LBA | (unsigned)ide->drive << IDE_DEVICE_DRIVE_SHIFT);
	settle(channel);
	status = status_read(channel);
	if (status != IDE_STATUS_NOBODY && status != (uint8_t)~ATA_STATUS_BUSY &&
		command_send(ide, ATA_IDENTIFY, false, 0, 0, &wait) && status_read(channel) != 0) {
		status = status_wait(channel, ATA_STATUS_BUSY, 0, &wait);
		is_disk = (status & (ATA_STATUS_ERROR | ATA_STATUS_FAULT | ATA_STATUS_DATA)) ==
			ATA_STATUS_DATA;
	}
	if (is_disk) {
		inw_many(channel->ports, identity, ATA_IDENTIFY_WORDS);
		settle(channel);
	}
	disk_wait_end(&wait);
	return is_disk && (identity[ATA_ID_GENERAL] & ATA_ID_GENERAL_ATAPI) == 0;
}

// True: it is a disk that can be used.
static bool drive_probe(const struct pci_function *function, struct ide_channel *channel,
	uint8_t unit, unsigned nth)
{
	static const struct disk_ops ops = {ide_transfer, ide_flush};
	struct ide *ide = calloc(1, sizeof(*ide));
	uint16_t *identity = calloc(ATA_IDENTIFY_WORDS, sizeof(*identity));
	const char *problem;

	if (ide == NULL || identity == NULL)
		goto unused;
	ide->channel = channel;
	ide->drive = unit % IDE_DRIVES;
	ide->disk.ops = &ops;
	ide->disk.at = function->at;
	ide->disk.unit = unit;
	ide->disk.lock = &channel->lock;
	ide->disk.transfer_max = TRANSFER_MAX;
	if (!disk_name(&ide->disk, "hd", nth) || !identify(ide, identity))
		goto unused;
	problem = identity_use(ide, identity);
	if (problem != NULL) {
		log_warn("disk: %s: %s", ide->disk.name, problem);
		goto unused;
	}
	disk_add(&ide->disk);
	free(identity);
	return true;
unused:
	free(identity);
	free(ide);
	return false;
}

// A channel without ports of its own has those of the PC, of which there is one set.
static bool channel_is_first(const struct pci_function *function, unsigned native)
{
	for (const struct pci_function *at = pci_first(); at != NULL && at != function;
		at = at->next)
		if (at->class == PCI_CLASS_IDE && (at->interface & native) == 0)
			return false;
	return true;
}

static bool channel_find(const struct pci_function *function, unsigned index,
	struct ide_channel *channel)
{
	unsigned native = index == 0 ? IDE_NATIVE_PRIMARY : IDE_NATIVE_SECONDARY;
	struct pci_bar ports, control;

	if ((function->interface & native) == 0) {
		if (!channel_is_first(function, native)) {
			log_warn("disk: IDE at %02x:%02x.%u: another controller has its ports",
				function->at.bus, function->at.slot, function->at.function);
			return false;
		}
		channel->ports = index == 0 ? IDE_PRIMARY : IDE_SECONDARY;
		channel->control = index == 0 ? IDE_PRIMARY_CONTROL : IDE_SECONDARY_CONTROL;
		return true;
	}
	ports = pci_bar_get(function, 2 * index);
	control = pci_bar_get(function, 2 * index + 1);
	if (ports.kind != PCI_BAR_PORTS || control.kind != PCI_BAR_PORTS || ports.start == 0 ||
		control.start == 0) {
		log_warn("disk: IDE at %02x:%02x.%u: firmware gave it no ports", function->at.bus,
			function->at.slot, function->at.function);
		return false;
	}
	channel->ports = (uint16_t)ports.start;
	channel->control = (uint16_t)(control.start + IDE_BAR_CONTROL);
	return true;
}

bool ide_probe(const struct pci_function *function, unsigned nth)
{
	unsigned first = nth * IDE_CHANNELS * IDE_DRIVES;
	struct ide_channel *channels;
	bool any = false;

	if (function->class != PCI_CLASS_IDE)
		return false;
	channels = calloc(IDE_CHANNELS, sizeof(*channels));
	if (channels == NULL)
		return true;
	pci_enable(function, PCI_COMMAND_PORTS);
	for (unsigned i = 0; i < IDE_CHANNELS; i++) {
		if (!channel_find(function, i, &channels[i]))
			continue;
		outb(channels[i].control, IDE_CONTROL_NO_INTERRUPT);
		for (unsigned drive = 0; drive < IDE_DRIVES; drive++) {
			unsigned unit = i * IDE_DRIVES + drive;

			any |= drive_probe(function, &channels[i], (uint8_t)unit, first + unit);
		}
	}
	if (!any)
		free(channels);
	return true;
}
