// SPDX-License-Identifier: BSD-2-Clause
// The IDE function of a PIIX3: two channels at the ports that PCs have them at, a bus master each.
//
// Specification: Intel 82371SB (PIIX3) data sheet, 2.3 (function 1's registers). Channels and
// commands: ide_channel.c, ide_work.c, ata.c; bus masters: ide_master.c.
//
// Left out on purpose: the effects of timings, which are stored; the ports of the floppy disk
// beside those of a channel; native mode, which a PIIX3 has not.
//
// Entered by the VM's bus only.
#include "emul/ide_internal.h"

#include <string.h>

enum {
	COMMAND_PORTS = 8,
	MASTER_BYTES = 8, // of a channel
	REGISTER_DATA = 0,
};

static const uint16_t command_ports[IDE_CHANNELS] = {0x1f0, 0x170};
static const uint16_t control_ports[IDE_CHANNELS] = {0x3f6, 0x376};

static const struct pcidev_register ide_registers[] = {
	{.offset = PCIDEV_COMMAND, .bytes = 2, .writable = 0x0005},
	{.offset = PCIDEV_STATUS, .bytes = 2, .reset = 0x0280, .clears = 0x3800},
	{.offset = PCIDEV_LATENCY, .bytes = 1, .writable = 0xf0},
	{.offset = IDE_TIMING, .bytes = 4, .writable = 0xffffffff},
	{.offset = 0x44, .bytes = 1, .writable = 0xff}, // timings of the second drives
};

static const struct pcidev_info ide_info = {
	.vendor = 0x8086,
	.device = 0x7010,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x010180,
	.command = PCIDEV_COMMAND_MASTER,
	.bars = {[IDE_REGION_BUS_MASTER] = {.kind = PCIDEV_BAR_PORTS,
		.bytes = IDE_CHANNELS * MASTER_BYTES}},
	.registers = ide_registers,
	.register_count = ARRAY_COUNT(ide_registers),
};

static struct ide *ide_of(struct device *device)
{
	return CONTAINER_OF(device, struct ide, pci.device);
}

void ide_irq_set(struct ide *ide, unsigned channel, bool level)
{
	struct ide_channel *of = &ide->channels[channel];
	bool line = level && (of->control & ATA_CONTROL_NIEN) == 0;

	if (line && !of->line)
		of->master.status |= IDE_MASTER_INTERRUPT;
	of->irq = level;
	of->line = line;
	device_set_line(&ide->pci.device, IDE_OUTPUT_IRQ + channel, line);
}

static void ports_map(struct ide *ide, unsigned channel)
{
	uint32_t timing = pcidev_get(&ide->pci, IDE_TIMING + 2 * channel, 2);
	bool answers = (timing & IDE_TIMING_DECODE) != 0 &&
		(pcidev_get(&ide->pci, PCIDEV_COMMAND, 2) & PCIDEV_COMMAND_PORT) != 0;

	if (!answers) {
		device_unmap_region(&ide->pci.device, IDE_REGION_COMMAND + channel);
		device_unmap_region(&ide->pci.device, IDE_REGION_CONTROL + channel);
		return;
	}
	device_map_region(&ide->pci.device, IDE_REGION_COMMAND + channel, DEVICE_SPACE_PORT,
		command_ports[channel], COMMAND_PORTS);
	device_map_region(&ide->pci.device, IDE_REGION_CONTROL + channel, DEVICE_SPACE_PORT,
		control_ports[channel], 1);
}

static void config_write(struct ide *ide, uint64_t offset, unsigned size, uint64_t value)
{
	pcidev_write(&ide->pci, offset, size, value);
	for (unsigned i = 0; i < IDE_CHANNELS; i++)
		ports_map(ide, i);
}

// Accesses that are wider than a register reach those behind it.
static uint64_t command_read(struct ide *ide, unsigned channel, struct guest_time now,
	uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	if (offset == REGISTER_DATA)
		return size <= 4 ? ide_data_read(ide, channel, now, size) : UINT64_MAX;
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)ide_register_read(ide, channel, (unsigned)offset + i) << 8 * i;
	return value;
}

static void command_write(struct ide *ide, unsigned channel, struct guest_time now,
	uint64_t offset, unsigned size, uint64_t value)
{
	if (offset == REGISTER_DATA) {
		if (size <= 4)
			ide_data_write(ide, channel, now, size, (uint32_t)value);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		ide_register_write(ide, channel, now, (unsigned)offset + i,
			(uint8_t)(value >> 8 * i));
}

static uint64_t ide_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct ide *ide = ide_of(device);

	switch (region) {
	case PCIDEV_REGION_CONFIG:
		return pcidev_read(&ide->pci, offset, size);
	case IDE_REGION_BUS_MASTER:
		return ide_master_read(ide, (unsigned)offset / MASTER_BYTES,
			offset % MASTER_BYTES, size);
	case IDE_REGION_COMMAND:
	case IDE_REGION_COMMAND + 1:
		return command_read(ide, region - IDE_REGION_COMMAND, now, offset, size);
	default:
		return ide_status(ide, region - IDE_REGION_CONTROL);
	}
}

static void ide_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct ide *ide = ide_of(device);

	switch (region) {
	case PCIDEV_REGION_CONFIG:
		config_write(ide, offset, size, value);
		break;
	case IDE_REGION_BUS_MASTER:
		ide_master_write(ide, (unsigned)offset / MASTER_BYTES, now, offset % MASTER_BYTES,
			size, value);
		break;
	case IDE_REGION_COMMAND:
	case IDE_REGION_COMMAND + 1:
		command_write(ide, region - IDE_REGION_COMMAND, now, offset, size, value);
		break;
	default:
		ide_control_write(ide, region - IDE_REGION_CONTROL, (uint8_t)value);
		break;
	}
}

static void ide_timer(struct device *device, struct guest_time now, unsigned timer)
{
	ide_retry(ide_of(device), timer, now);
}

static bool is_asked(const struct ide *ide, unsigned channel, unsigned port)
{
	return ide->channels[channel].state == IDE_ASKED && ide_port(ide, channel) == port;
}

static void ide_complete(struct device *device, struct guest_time now, unsigned port,
	uint64_t request, enum status status)
{
	struct ide *ide = ide_of(device);

	for (unsigned i = 0; i < IDE_CHANNELS; i++) // none in a state that contradicts itself
		if (is_asked(ide, i, port) && request == ide->channels[i].name) {
			ide_completed(ide, i, now, status);
			return;
		}
}

static void ide_set(struct device *device, struct guest_time now, enum device_setting setting,
	uint64_t value)
{
	(void)now;
	ide_tray_set(ide_of(device), setting, value);
}

static bool ide_accepts(const struct device *device, enum device_setting setting, uint64_t value)
{
	const struct ide *ide = CONTAINER_OF(device, struct ide, pci.device);

	return (setting == DEVICE_SETTING_EJECT || setting == DEVICE_SETTING_INSERT) &&
		ide_tray_accepts(ide, setting, value);
}

const struct scsi_unit *ide_cd(const struct device *device, unsigned drive)
{
	const struct ide *ide = CONTAINER_OF(device, struct ide, pci.device);

	return ide->drives[drive].unit.is_cd ? &ide->drives[drive].unit : NULL;
}

void ide_configure(struct device *device, const struct ide_drive_config drives[IDE_DRIVES],
	const struct scsi_disc discs[IDE_PORTS])
{
	struct ide *ide = ide_of(device);

	memcpy(ide->discs, discs, sizeof(ide->discs));
	for (unsigned i = 0; i < IDE_DRIVES; i++) {
		struct ata_disk *disk = &ide->drives[i].disk;
		struct scsi_unit *unit = &ide->drives[i].unit;

		memset(disk, 0, sizeof(*disk));
		memset(unit, 0, sizeof(*unit));
		disk->sectors = drives[i].sectors;
		memcpy(disk->serial, drives[i].serial, sizeof(disk->serial));
		unit->is_cd = drives[i].is_cd;
		unit->disc = SCSI_NO_DISC;
		memcpy(unit->serial, drives[i].serial, sizeof(unit->serial));
		if (unit->is_cd && discs[i].blocks != 0) {
			unit->disc = (uint8_t)i;
			unit->blocks = discs[i].blocks;
		}
	}
}

static void ide_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct ide *ide = ide_of(device);

	(void)now;
	memset(ide->channels, 0, sizeof(ide->channels));
	pcidev_reset(&ide->pci);
	for (unsigned i = 0; i < IDE_DRIVES; i++) {
		ata_disk_reset(&ide->drives[i].disk, kind != DEVICE_RESET_LINE);
		if (ide->drives[i].unit.is_cd)
			scsi_reset(&ide->drives[i].unit);
	}
	for (unsigned i = 0; i < IDE_CHANNELS; i++)
		ide_channel_reset(ide, i);
}

static bool ide_level(const struct device *device, struct guest_time now, unsigned output)
{
	const struct ide *ide = CONTAINER_OF(device, struct ide, pci.device);

	(void)now;
	return ide->channels[output - IDE_OUTPUT_IRQ].line;
}

static unsigned ide_awaited(const struct device *device, unsigned port,
	uint64_t names[DEVICE_IO_MAX])
{
	const struct ide *ide = CONTAINER_OF(device, struct ide, pci.device);
	unsigned count = 0;

	for (unsigned i = 0; i < IDE_CHANNELS; i++)
		if (is_asked(ide, i, port))
			names[count++] = ide->channels[i].name;
	return count;
}

static void ide_loaded(struct device *device, struct guest_time now)
{
	struct ide *ide = ide_of(device);

	(void)now;
	pcidev_loaded(&ide->pci);
	for (unsigned i = 0; i < IDE_CHANNELS; i++) {
		ports_map(ide, i);
		device_set_line(device, IDE_OUTPUT_IRQ + i, ide->channels[i].line);
		if (ide->channels[i].state == IDE_AWAITS_ROOM)
			device_arm_timer(device, i, ide->channels[i].retry);
	}
}

static const char *transfer_check(const struct ide_channel *of)
{
	bool has_buffer = of->state == IDE_IN || of->state == IDE_OUT;
	uint64_t bytes = of->work.kind == ATA_WORK_PACKET ? ATAPI_PACKET_BYTES
		: of->work.is_packet && of->work.kind == ATA_WORK_PAGE ? of->held
		: (uint64_t)of->work.sectors * ATA_SECTOR_BYTES;

	if (of->done > bytes || of->part > bytes - of->done || of->part > DEVICE_IO_BYTES_MAX)
		return "a transfer beyond its command";
	if (of->work.kind == ATA_WORK_PACKET && (!of->work.is_packet || of->done != 0))
		return "a packet that no command has asked for";
	if (of->work.kind == ATA_WORK_PAGE && !of->work.is_packet &&
		(of->done != 0 || of->bytes != ATA_SECTOR_BYTES))
		return "a part of a page";
	if (has_buffer && (of->at >= of->bytes || of->bytes > bytes - of->done))
		return "a block beyond its command, or at its end";
	if (!of->work.dma && of->work.kind != ATA_WORK_VERIFY && of->part > IDE_BUFFER_BYTES)
		return "a block beyond its buffer";
	if (of->work.kind == ATA_WORK_TRIM && of->state != IDE_AWAITS_MASTER &&
		of->range >= of->work.sectors * ATA_TRIM_RANGES)
		return "a range beyond its command";
	return NULL;
}

// Whether the command is one that comes to be in the state that the channel is in.
static bool kind_fits(const struct ide_channel *of)
{
	const struct ata_work *work = &of->work;

	switch (of->state) {
	case IDE_IN:
		return (work->kind == ATA_WORK_READ && !work->dma) || work->kind == ATA_WORK_PAGE;
	case IDE_OUT:
		return (work->kind == ATA_WORK_WRITE && !work->dma) ||
			work->kind == ATA_WORK_PACKET;
	case IDE_AWAITS_MASTER:
		return work->dma;
	default:
		break;
	}
	if (of->state == IDE_AWAITS_ROOM && of->retry.ns == GUEST_TIME_NEVER.ns)
		return false;
	switch (of->asked) {
	case DEVICE_IO_READ:
		return work->kind == ATA_WORK_READ || work->kind == ATA_WORK_VERIFY;
	case DEVICE_IO_WRITE:
		return work->kind == ATA_WORK_WRITE;
	case DEVICE_IO_FLUSH:
		return work->kind == ATA_WORK_FLUSH || work->durable;
	default:
		return work->kind == ATA_WORK_TRIM;
	}
}

static const char *channel_check(const struct ide *ide, unsigned channel)
{
	const struct ide_channel *of = &ide->channels[channel];
	const struct ide_drive *drive = &ide->drives[ide_selected_index(ide, channel)];
	const char *problem;

	if (of->line != (of->irq && (of->control & ATA_CONTROL_NIEN) == 0))
		return "an interrupt that contradicts itself";
	if (of->state == IDE_IDLE)
		return NULL;
	if (!ide_drive_is_there(drive))
		return "a command of a drive that is not there";
	if (!kind_fits(of))
		return "a command in a state that is not its own";
	if (of->work.is_packet && !drive->unit.is_cd)
		return "a packet of a disk";
	if (of->work.is_packet)
		problem = ide_packet_check(ide, channel);
	else if (drive->unit.is_cd && of->work.kind != ATA_WORK_PAGE)
		problem = "a command of a disk, of a CD drive";
	else
		problem = ata_work_check(&drive->disk, &of->work);
	return problem != NULL ? problem : transfer_check(of);
}

static const char *ide_check(const void *instance)
{
	const struct ide *ide = instance;
	const char *problem = pcidev_check(&ide->pci, &ide_info);

	for (unsigned i = 0; i < IDE_DRIVES && problem == NULL; i++)
		problem = ide_unit_check(ide, i);
	for (unsigned i = 0; i < IDE_CHANNELS && problem == NULL; i++)
		problem = channel_check(ide, i);
	return problem;
}

static const struct state_field ide_fields[] = {
	PCIDEV_STATE(struct ide),
	ATA_DISK_STATE(struct ide, drives, disk),
	SCSI_UNIT_STATE(2, struct ide, drives, unit),
	STATE_EACH(struct ide, drives, file.lba, 0, (UINT64_C(1) << 48) - 1),
	STATE_EACH_ANY(struct ide, drives, file.features),
	STATE_EACH_ANY(struct ide, drives, file.count),
	STATE_EACH_ANY(struct ide, drives, file.device),
	STATE_EACH_ANY(struct ide, drives, file.command),
	STATE_EACH_ANY(struct ide, drives, file.status),
	STATE_EACH_ANY(struct ide, drives, file.error),
	STATE_EACH_ANY(struct ide, channels, work.lba),
	STATE_EACH(struct ide, channels, work.sectors, 0,
		SCSI_BLOCKS_MAX * SCSI_CD_BLOCK_BYTES / ATA_SECTOR_BYTES),
	STATE_EACH(struct ide, channels, work.kind, 0, ATA_WORK_KINDS - 1),
	STATE_EACH(struct ide, channels, work.page, 0, ATA_PAGES - 1),
	STATE_EACH_ANY(struct ide, channels, work.log),
	STATE_EACH(struct ide, channels, work.block, 0, ATA_MULTIPLE_MAX),
	STATE_EACH(struct ide, channels, work.dma, 0, 1),
	STATE_EACH(struct ide, channels, work.durable, 0, 1),
	STATE_EACH(struct ide, channels, work.is_smart, 0, 1),
	STATE_EACH_ANY(struct ide, channels, work.error),
	STATE_EACH_SINCE(2, struct ide, channels, work.is_packet, 0, 1),
	STATE_EACH_DERIVED(struct ide, channels, work.reserved),
	STATE_EACH_ANY(struct ide, channels, master.table),
	STATE_EACH_ANY(struct ide, channels, master.entry),
	STATE_EACH_ANY(struct ide, channels, master.at),
	STATE_EACH(struct ide, channels, master.left, 0, 0x10000),
	STATE_EACH_ANY(struct ide, channels, master.command),
	STATE_EACH_ANY(struct ide, channels, master.status),
	STATE_EACH(struct ide, channels, master.last, 0, 1),
	STATE_EACH_DERIVED(struct ide, channels, master.reserved),
	STATE_EACH_ANY(struct ide, channels, name),
	STATE_EACH_ANY(struct ide, channels, retry.ns),
	STATE_EACH_ANY(struct ide, channels, done),
	STATE_EACH_ANY(struct ide, channels, part),
	STATE_EACH(struct ide, channels, at, 0, IDE_BUFFER_BYTES),
	STATE_EACH(struct ide, channels, bytes, 0, IDE_BUFFER_BYTES),
	STATE_EACH(struct ide, channels, range, 0, ATA_TRIM_BLOCKS_MAX * ATA_TRIM_RANGES),
	STATE_EACH(struct ide, channels, state, 0, IDE_STATES - 1),
	STATE_EACH(struct ide, channels, asked, 0, DEVICE_IO_KINDS - 1),
	STATE_EACH_ANY(struct ide, channels, control),
	STATE_EACH(struct ide, channels, selected, 0, IDE_CHANNEL_DRIVES - 1),
	STATE_EACH(struct ide, channels, irq, 0, 1),
	STATE_EACH(struct ide, channels, line, 0, 1),
	STATE_EACH_SINCE(2, struct ide, channels, held, 0, IDE_BUFFER_BYTES),
	STATE_EACH_SINCE(2, struct ide, channels, limit, 0, UINT16_MAX),
	STATE_ARRAY_ANY(struct ide, channels[0].buffer),
	STATE_ARRAY_ANY(struct ide, channels[1].buffer),
	STATE_DERIVED(struct ide, discs),
};

static const struct state_table ide_state =
	STATE_TABLE("piix3-ide", 2, struct ide, ide_fields, ide_check);

const struct device_model ide_model = {
	.name = "piix3-ide",
	.description = "IDE: two channels with bus masters",
	.instance_bytes = sizeof(struct ide),
	.timers = IDE_CHANNELS,
	.outputs = IDE_CHANNELS,
	.state = &ide_state,
	.pci = &ide_info,
	.reset = ide_reset,
	.read = ide_read,
	.write = ide_write,
	.timer = ide_timer,
	.complete = ide_complete,
	.set = ide_set,
	.level = ide_level,
	.accepts = ide_accepts,
	.awaited = ide_awaited,
	.loaded = ide_loaded,
};

DEVICE_MODEL_REGISTER(197, ide_model);
