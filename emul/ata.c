// SPDX-License-Identifier: BSD-2-Clause
// Commands of an ATA disk: which there are, and what each wants of the medium.
//
// Specifications: ACS-3 (T13/2161-D), 7; ATA/ATAPI-7 volume 1 (T13/1532D), 6, for READ MULTIPLE and
// for addresses by cylinder, head and sector.
//
// Left out on purpose: HPA, passwords, sanitize, streams, tagged commands of old (TCQ), power-up in
// standby, APM, SLEEP's need of a reset.
//
// Entered by the controller that a disk belongs to only.
#include "emul/ata.h"

#include <string.h>

enum {
	FLAG_EXT = 1,      // 48-bit addresses
	FLAG_MULTIPLE = 2, // blocks of as many sectors as were set
	FLAG_DMA = 4,
	FLAG_DURABLE = 8,
	CYLINDERS_MAX = 16383,
	POWER_STANDBY = 0x00,
	POWER_ACTIVE = 0xff,
	MODE_PIO = 0x08,
	MODE_MWDMA = 0x20,
	MODE_UDMA = 0x40,
};

// Reads and writes.
static const struct {
	uint8_t command, kind, flags;
} medium_commands[] = {
	{ATA_READ_SECTORS, ATA_WORK_READ, 0},
	{ATA_READ_SECTORS_ONCE, ATA_WORK_READ, 0},
	{ATA_READ_SECTORS_EXT, ATA_WORK_READ, FLAG_EXT},
	{ATA_READ_DMA_EXT, ATA_WORK_READ, FLAG_EXT | FLAG_DMA},
	{ATA_READ_MULTIPLE_EXT, ATA_WORK_READ, FLAG_EXT | FLAG_MULTIPLE},
	{ATA_WRITE_SECTORS, ATA_WORK_WRITE, 0},
	{ATA_WRITE_SECTORS_ONCE, ATA_WORK_WRITE, 0},
	{ATA_WRITE_SECTORS_EXT, ATA_WORK_WRITE, FLAG_EXT},
	{ATA_WRITE_DMA_EXT, ATA_WORK_WRITE, FLAG_EXT | FLAG_DMA},
	{ATA_WRITE_MULTIPLE_EXT, ATA_WORK_WRITE, FLAG_EXT | FLAG_MULTIPLE},
	{ATA_WRITE_DMA_FUA_EXT, ATA_WORK_WRITE, FLAG_EXT | FLAG_DMA | FLAG_DURABLE},
	{ATA_VERIFY, ATA_WORK_VERIFY, 0},
	{ATA_VERIFY_ONCE, ATA_WORK_VERIFY, 0},
	{ATA_VERIFY_EXT, ATA_WORK_VERIFY, FLAG_EXT},
	{ATA_READ_MULTIPLE, ATA_WORK_READ, FLAG_MULTIPLE},
	{ATA_WRITE_MULTIPLE, ATA_WORK_WRITE, FLAG_MULTIPLE},
	{ATA_READ_DMA, ATA_WORK_READ, FLAG_DMA},
	{ATA_READ_DMA_ONCE, ATA_WORK_READ, FLAG_DMA},
	{ATA_WRITE_DMA, ATA_WORK_WRITE, FLAG_DMA},
	{ATA_WRITE_DMA_ONCE, ATA_WORK_WRITE, FLAG_DMA},
	{ATA_WRITE_MULTIPLE_FUA_EXT, ATA_WORK_WRITE,
		FLAG_EXT | FLAG_MULTIPLE | FLAG_DURABLE},
};

void ata_disk_reset(struct ata_disk *disk, bool power)
{
	if (power)
		disk->self_tests = 0;
	disk->heads = ATA_HEADS_DEFAULT;
	disk->track = ATA_TRACK_DEFAULT;
	disk->multiple = ATA_MULTIPLE_MAX;
	disk->transfer_mode = 0;
	disk->write_cache = disk->look_ahead = disk->smart = true;
	disk->standby = false;
}

uint32_t ata_cylinders(const struct ata_disk *disk)
{
	uint64_t cylinders = disk->sectors / (disk->heads * (uint32_t)disk->track);

	return cylinders < CYLINDERS_MAX ? (uint32_t)cylinders : CYLINDERS_MAX;
}

static void refuse(struct ata_work *work, enum ata_error error)
{
	work->kind = ATA_WORK_REFUSED;
	work->error = (uint8_t)error;
}

// False: no sector has this address.
static bool address_of(const struct ata_disk *disk, const struct ata_taskfile *file, bool ext,
	uint64_t *lba)
{
	uint32_t head = file->device & ATA_DEVICE_HEAD;
	uint32_t cylinder = (uint32_t)(file->lba >> 8) & 0xffff, sector = file->lba & 0xff;

	if (ext) {
		*lba = file->lba;
		return true;
	}
	*lba = (uint64_t)head << 24 | (file->lba & 0xffffff);
	if ((file->device & ATA_DEVICE_LBA) != 0)
		return true;
	*lba = ((uint64_t)cylinder * disk->heads + head) * disk->track + sector - 1;
	return head < disk->heads && sector != 0 && sector <= disk->track;
}

static uint32_t sectors_of(const struct ata_taskfile *file, bool ext)
{
	uint32_t most = ext ? 0x10000 : 0x100, count = file->count & (most - 1);

	return count != 0 ? count : most;
}

// Whether its address has 48 bits; queued ones, which are in no list, have.
static bool is_ext(uint8_t command)
{
	for (size_t i = 0; i < ARRAY_COUNT(medium_commands); i++)
		if (medium_commands[i].command == command)
			return (medium_commands[i].flags & FLAG_EXT) != 0;
	return true;
}

void ata_show_sector(const struct ata_disk *disk, struct ata_taskfile *file, uint64_t lba)
{
	uint64_t track = lba / disk->track;

	if (is_ext(file->command)) {
		file->lba = lba;
		return;
	}
	file->device &= (uint8_t)~ATA_DEVICE_HEAD;
	if ((file->device & ATA_DEVICE_LBA) != 0) {
		file->lba = lba & 0xffffff;
		file->device |= (uint8_t)(lba >> 24);
		return;
	}
	file->lba = (track / disk->heads & 0xffff) << 8 | (lba % disk->track + 1);
	file->device |= (uint8_t)(track % disk->heads);
}

static void medium_begin(struct ata_disk *disk, struct ata_taskfile *file, struct ata_work *work,
	enum ata_work_kind kind, unsigned flags)
{
	work->kind = (uint8_t)kind;
	work->sectors = sectors_of(file, (flags & FLAG_EXT) != 0);
	work->dma = (flags & FLAG_DMA) != 0;
	work->block = (flags & FLAG_MULTIPLE) != 0 ? disk->multiple : 1;
	work->durable = kind == ATA_WORK_WRITE &&
		((flags & FLAG_DURABLE) != 0 || !disk->write_cache);
	disk->standby = false;
	if (work->block == 0)
		refuse(work, ATA_ERROR_ABRT);
	else if (!address_of(disk, file, (flags & FLAG_EXT) != 0, &work->lba) ||
		work->lba >= disk->sectors || work->sectors > disk->sectors - work->lba)
		refuse(work, ATA_ERROR_IDNF);
}

static void page_begin(struct ata_work *work, enum ata_page page, uint32_t count)
{
	work->kind = ATA_WORK_PAGE;
	work->page = (uint8_t)page;
	work->sectors = count;
	work->block = 1;
}

// ACS-3 7.45: the modes that IDENTIFY DEVICE offers.
bool ata_mode_set(struct ata_disk *disk, uint8_t mode)
{
	if (mode <= 1)
		disk->transfer_mode = 0;
	else if ((mode >= MODE_PIO && mode <= MODE_PIO + 4) ||
		(mode >= MODE_MWDMA && mode <= MODE_MWDMA + 2) ||
		(mode >= MODE_UDMA && mode <= MODE_UDMA + 5))
		disk->transfer_mode = mode;
	else
		return false;
	return true;
}

static void features_set(struct ata_disk *disk, const struct ata_taskfile *file,
	struct ata_work *work)
{
	switch (file->features & 0xff) {
	case ATA_FEATURE_WRITE_CACHE_ON:
		disk->write_cache = true;
		return;
	case ATA_FEATURE_WRITE_CACHE_OFF: // what it has goes to the medium
		disk->write_cache = false;
		work->kind = ATA_WORK_FLUSH;
		return;
	case ATA_FEATURE_LOOK_AHEAD_ON:
	case ATA_FEATURE_LOOK_AHEAD_OFF:
		disk->look_ahead = (file->features & 0xff) == ATA_FEATURE_LOOK_AHEAD_ON;
		return;
	case ATA_FEATURE_KEEP_AT_RESET:
	case ATA_FEATURE_REVERT_AT_RESET:
		return;
	case ATA_FEATURE_TRANSFER_MODE:
		if (!ata_mode_set(disk, (uint8_t)file->count))
			refuse(work, ATA_ERROR_ABRT);
		return;
	default:
		refuse(work, ATA_ERROR_ABRT);
	}
}

// The logs that there are, of a page each. False: not this one, or not so much of it.
static bool log_begin(const struct ata_disk *disk, struct ata_work *work, uint8_t log,
	uint32_t first, uint32_t count, bool smart)
{
	static const struct {
		uint8_t log;
		bool smart, general; // which of the two commands reads it
	} logs[] = {
		{ATA_LOG_DIRECTORY, true, true},
		{ATA_LOG_SUMMARY_ERRORS, true, false},
		{ATA_LOG_SELF_TESTS, true, false},
		{ATA_LOG_EXTENDED_SELF_TESTS, false, true},
		{ATA_LOG_QUEUE_ERROR, false, true}, // the adapter has its contents
	};

	if (log == ATA_LOG_QUEUE_ERROR && !disk->is_serial)
		return false;
	for (size_t i = 0; i < ARRAY_COUNT(logs); i++)
		if (logs[i].log == log && (smart ? logs[i].smart : logs[i].general)) {
			page_begin(work, ATA_PAGE_LOG, 1);
			work->log = log;
			work->is_smart = smart;
			return first == 0 && count == 1;
		}
	return false;
}

// ATA8-ACS 7.52. The self-tests find nothing, and take no time.
static void smart_begin(struct ata_disk *disk, struct ata_taskfile *file, struct ata_work *work)
{
	uint8_t feature = (uint8_t)file->features;

	if ((file->lba & 0xffff00) != ATA_SMART_SIGNATURE ||
		(!disk->smart && feature != ATA_SMART_ENABLE)) {
		refuse(work, ATA_ERROR_ABRT);
		return;
	}
	switch (feature) {
	case ATA_SMART_ENABLE:
	case ATA_SMART_DISABLE:
		disk->smart = feature == ATA_SMART_ENABLE;
		break;
	case ATA_SMART_AUTOSAVE:
	case ATA_SMART_RETURN_STATUS: // the signature stays: no threshold is exceeded
		break;
	case ATA_SMART_READ_DATA:
		page_begin(work, ATA_PAGE_SMART_DATA, 1);
		break;
	case ATA_SMART_READ_THRESHOLDS:
		page_begin(work, ATA_PAGE_SMART_THRESHOLDS, 1);
		break;
	case ATA_SMART_READ_LOG:
		if (!log_begin(disk, work, (uint8_t)file->lba, 0, file->count & 0xff, true))
			refuse(work, ATA_ERROR_ABRT);
		break;
	case ATA_SMART_EXECUTE: // short, extended; captive or not
		if ((file->lba & 0x7f) == 0) // off-line immediate, which no log has
			break;
		if ((file->lba & 0x7f) > 2)
			refuse(work, ATA_ERROR_ABRT);
		else if (disk->self_tests < ATA_SELF_TESTS_MAX)
			disk->self_tests++;
		break;
	default:
		refuse(work, ATA_ERROR_ABRT);
	}
}

static void log_read_begin(const struct ata_disk *disk, const struct ata_taskfile *file,
	struct ata_work *work)
{
	// LBA 7:0 is the log, 15:8 and 39:32 its first page: ACS-3 7.24.
	uint32_t first = (uint32_t)(file->lba >> 8 & 0xff) | (uint32_t)(file->lba >> 24 & 0xff00);

	if (!log_begin(disk, work, (uint8_t)file->lba, first, file->count, false))
		refuse(work, ATA_ERROR_ABRT);
}

static void trim_begin(struct ata_taskfile *file, struct ata_work *work)
{
	if (file->features != ATA_TRIM || file->count == 0 || file->count > ATA_TRIM_BLOCKS_MAX) {
		refuse(work, ATA_ERROR_ABRT);
		return;
	}
	work->kind = ATA_WORK_TRIM;
	work->sectors = file->count;
	work->dma = true;
}

static void multiple_set(struct ata_disk *disk, const struct ata_taskfile *file,
	struct ata_work *work)
{
	uint8_t count = (uint8_t)file->count;

	if (count > ATA_MULTIPLE_MAX || (count & (count - 1)) != 0)
		refuse(work, ATA_ERROR_ABRT);
	else
		disk->multiple = count;
}

static void translation_set(struct ata_disk *disk, const struct ata_taskfile *file,
	struct ata_work *work)
{
	uint8_t track = (uint8_t)file->count;

	if (track == 0) {
		refuse(work, ATA_ERROR_ABRT);
		return;
	}
	disk->track = track;
	disk->heads = (uint8_t)((file->device & ATA_DEVICE_HEAD) + 1);
}

static bool seek(const struct ata_disk *disk, const struct ata_taskfile *file)
{
	uint64_t lba;

	return address_of(disk, file, false, &lba) && lba < disk->sectors;
}

// False: it is none of these.
static bool medium_command(struct ata_disk *disk, struct ata_taskfile *file,
	struct ata_work *work)
{
	for (size_t i = 0; i < ARRAY_COUNT(medium_commands); i++)
		if (medium_commands[i].command == file->command) {
			medium_begin(disk, file, work, medium_commands[i].kind,
				medium_commands[i].flags);
			return true;
		}
	return false;
}

static void other_command(struct ata_disk *disk, struct ata_taskfile *file,
	struct ata_work *work)
{
	switch (file->command) {
	case ATA_DATA_SET_MANAGEMENT:
		trim_begin(file, work);
		break;
	case ATA_READ_LOG_EXT:
		log_read_begin(disk, file, work);
		break;
	case ATA_SEEK:
		if (!seek(disk, file))
			refuse(work, ATA_ERROR_IDNF);
		break;
	case ATA_INITIALIZE_DEVICE_PARAMETERS:
		translation_set(disk, file, work);
		break;
	case ATA_SMART:
		smart_begin(disk, file, work);
		break;
	case ATA_SET_MULTIPLE_MODE:
		multiple_set(disk, file, work);
		break;
	case ATA_STANDBY_IMMEDIATE:
	case ATA_STANDBY:
	case ATA_SLEEP: // the cache is safe before the disk rests: ACS-3 7.53
		disk->standby = true;
		work->kind = ATA_WORK_FLUSH;
		break;
	case ATA_IDLE_IMMEDIATE:
	case ATA_IDLE:
	case ATA_RECALIBRATE:
		disk->standby = false;
		break;
	case ATA_CHECK_POWER_MODE:
		file->count = disk->standby ? POWER_STANDBY : POWER_ACTIVE;
		break;
	case ATA_FLUSH_CACHE:
	case ATA_FLUSH_CACHE_EXT:
		work->kind = ATA_WORK_FLUSH;
		break;
	case ATA_IDENTIFY_DEVICE:
		page_begin(work, ATA_PAGE_IDENTIFY, 1);
		break;
	case ATA_SET_FEATURES:
		features_set(disk, file, work);
		break;
	default:
		refuse(work, ATA_ERROR_ABRT);
	}
}

void ata_command_begin(struct ata_disk *disk, struct ata_taskfile *file, struct ata_work *work)
{
	memset(work, 0, sizeof(*work));
	if (!medium_command(disk, file, work))
		other_command(disk, file, work);
}

bool ata_trim_range(const struct ata_disk *disk, const uint8_t block[ATA_SECTOR_BYTES],
	unsigned index, uint64_t *lba, uint32_t *sectors, bool *outside)
{
	uint64_t entry;

	memcpy(&entry, block + index * sizeof(entry), sizeof(entry));
	*lba = entry & ((UINT64_C(1) << 48) - 1);
	*sectors = (uint32_t)(entry >> 48);
	*outside = *sectors != 0 &&
		(*lba >= disk->sectors || *sectors > disk->sectors - *lba);
	return *sectors != 0;
}

const char *ata_work_check(const struct ata_disk *disk, const struct ata_work *work)
{
	bool medium = work->kind >= ATA_WORK_READ && work->kind <= ATA_WORK_VERIFY;

	if (medium && (work->lba >= disk->sectors || work->sectors > disk->sectors - work->lba))
		return "a command beyond its disk";
	if (work->kind == ATA_WORK_PAGE && work->sectors != 1)
		return "a command of more pages than one";
	if ((medium || work->kind == ATA_WORK_PAGE) && (work->sectors == 0 || work->block == 0 ||
		work->block > ATA_MULTIPLE_MAX))
		return "a command without data";
	if (work->kind == ATA_WORK_TRIM &&
		(work->sectors == 0 || work->sectors > ATA_TRIM_BLOCKS_MAX || !work->dma))
		return "a command that trims nothing, or too much";
	if (work->dma && work->kind != ATA_WORK_TRIM && work->kind != ATA_WORK_READ &&
		work->kind != ATA_WORK_WRITE)
		return "a command without data, by DMA";
	if (work->durable && work->kind != ATA_WORK_WRITE)
		return "a command that is durable, and writes nothing";
	return NULL;
}
