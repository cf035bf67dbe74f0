// SPDX-License-Identifier: BSD-2-Clause
// Pages that a disk makes up: what it is, how well it is, its logs.
//
// Specifications: ACS-3 (T13/2161-D), 7.12 (IDENTIFY DEVICE), A (logs); ATA8-ACS (T13/1699-D), 7.52
// (SMART), with the attributes that all vendors have.
#include "emul/ata.h"

#include <string.h>

// Words of IDENTIFY DEVICE: ACS-3 7.12.7.
enum {
	ID_CONFIGURATION = 0,
	ID_CYLINDERS = 1,
	ID_HEADS = 3,
	ID_TRACK = 6,
	ID_SERIAL = 10,
	ID_FIRMWARE = 23,
	ID_MODEL = 27,
	ID_MULTIPLE_MAX = 47,
	ID_CAPABILITIES = 49,
	ID_CAPABILITIES_2 = 50,
	ID_PIO_TIMING = 51,
	ID_VALID = 53,
	ID_NOW_CYLINDERS = 54,
	ID_NOW_HEADS = 55,
	ID_NOW_TRACK = 56,
	ID_NOW_SECTORS = 57,
	ID_MULTIPLE = 59,
	ID_SECTORS = 60,
	ID_MWDMA = 63,
	ID_PIO = 64,
	ID_CYCLES = 65, // four of them
	ID_QUEUE_DEPTH = 75, // less 1
	ID_SERIAL_ATA = 76,
	ID_MAJOR = 80,
	ID_COMMANDS = 82,
	ID_COMMANDS_2 = 83,
	ID_COMMANDS_3 = 84,
	ID_ENABLED = 85,
	ID_ENABLED_2 = 86,
	ID_ENABLED_3 = 87,
	ID_UDMA = 88,
	ID_RESET_RESULT = 93,
	ID_SECTORS_48 = 100,
	ID_TRIM_BLOCKS = 105,
	ID_SECTOR_SIZE = 106,
	ID_TRIM = 169,
	ID_ROTATION = 217,
	ID_TRANSPORT = 222,
	ID_INTEGRITY = 255,

	EXTENDED_SELF_TESTS_MAX = 19,
	SMART_ATTRIBUTE_BYTES = 12,
	SMART_FIRST_ATTRIBUTE = 2,
};
#define MODEL    "REPRISE HARDDISK"
#define CD_MODEL "REPRISE CD-ROM"
#define FIRMWARE "0.1"

static void word(uint8_t *page, unsigned index, uint32_t value)
{
	page[2 * index] = (uint8_t)value;
	page[2 * index + 1] = (uint8_t)(value >> 8);
}

static void words(uint8_t *page, unsigned index, unsigned count, uint64_t value)
{
	for (unsigned i = 0; i < count; i++)
		word(page, index + i, (uint32_t)(value >> 16 * i));
}

// ACS-3 3.3.10: two characters a word, the first in its upper half; spaces behind. `from` ends with
// a zero, or is full.
static void text(uint8_t *page, unsigned index, unsigned count, const char *from, size_t bytes)
{
	for (unsigned i = 0; i < 2 * count; i++) {
		if (i < bytes && from[i] == '\0')
			bytes = i;
		page[(2 * index + i) ^ 1] = i < bytes ? (uint8_t)from[i] : ' ';
	}
}

// The last byte makes their sum 0.
static void checksum_set(uint8_t page[ATA_SECTOR_BYTES])
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < ATA_SECTOR_BYTES - 1; i++)
		sum = (uint8_t)(sum + page[i]);
	page[ATA_SECTOR_BYTES - 1] = (uint8_t)-sum;
}

// 8 bits above its number for the mode that was set.
static uint32_t modes(const struct ata_disk *disk, uint8_t first, uint32_t offered)
{
	unsigned mode = disk->transfer_mode;

	return offered | (mode >= first && mode < first + 8u ? 0x100u << (mode - first) : 0);
}

static void geometry_tell(const struct ata_disk *disk, uint8_t *page)
{
	struct ata_disk as_made = *disk;
	uint64_t now = (uint64_t)ata_cylinders(disk) * disk->heads * disk->track;

	as_made.heads = ATA_HEADS_DEFAULT;
	as_made.track = ATA_TRACK_DEFAULT;
	word(page, ID_CYLINDERS, ata_cylinders(&as_made));
	word(page, ID_HEADS, as_made.heads);
	word(page, ID_TRACK, as_made.track);
	word(page, ID_NOW_CYLINDERS, ata_cylinders(disk));
	word(page, ID_NOW_HEADS, disk->heads);
	word(page, ID_NOW_TRACK, disk->track);
	words(page, ID_NOW_SECTORS, 2, now);
	words(page, ID_SECTORS, 2, disk->sectors < 0x0fffffff ? disk->sectors : 0x0fffffff);
	words(page, ID_SECTORS_48, 4, disk->sectors);
}

static void commands_tell(const struct ata_disk *disk, uint8_t *page)
{
	// SMART, power management, write cache, look-ahead.
	uint32_t commands = 0x0069;

	word(page, ID_COMMANDS, commands);
	word(page, ID_COMMANDS_2, 0x7400); // 48-bit, FLUSH CACHE and its EXT
	word(page, ID_COMMANDS_3, 0x4023); // SMART's error log and self-test, general logs
	word(page, ID_ENABLED, 0x0008u | (disk->smart ? 0x01 : 0) |
		(disk->write_cache ? 0x20 : 0) | (disk->look_ahead ? 0x40 : 0));
	word(page, ID_ENABLED_2, 0x3400);
	word(page, ID_ENABLED_3, 0x4023);
}

static void attachment_tell(const struct ata_disk *disk, uint8_t *page)
{
	if (!disk->is_serial) {
		word(page, ID_RESET_RESULT, 0x6001); // 80 wires
		return;
	}
	word(page, ID_QUEUE_DEPTH, ATA_QUEUE_DEPTH - 1);
	word(page, ID_SERIAL_ATA, 0x0106); // queues; both speeds
	word(page, ID_TRANSPORT, 0x103e); // Serial ATA up to 2.6
}

static void identify(const struct ata_disk *disk, uint8_t page[ATA_SECTOR_BYTES])
{
	word(page, ID_CONFIGURATION, 0x0040); // not removable
	text(page, ID_SERIAL, ATA_SERIAL_BYTES / 2, (const char *)disk->serial, ATA_SERIAL_BYTES);
	text(page, ID_FIRMWARE, 4, FIRMWARE, sizeof(FIRMWARE));
	text(page, ID_MODEL, 20, MODEL, sizeof(MODEL));
	geometry_tell(disk, page);
	word(page, ID_MULTIPLE_MAX, 0x8000 | ATA_MULTIPLE_MAX);
	word(page, ID_MULTIPLE, disk->multiple != 0 ? 0x100u | disk->multiple : 0);
	word(page, ID_CAPABILITIES, 0x0f00); // LBA, DMA, IORDY
	word(page, ID_CAPABILITIES_2, 0x4000);
	word(page, ID_PIO_TIMING, 0x0200);
	word(page, ID_VALID, 0x0007);
	word(page, ID_MWDMA, modes(disk, 0x20, 0x07));
	word(page, ID_PIO, 0x03);
	for (unsigned i = 0; i < 4; i++)
		word(page, ID_CYCLES + i, 120); // ns
	word(page, ID_MAJOR, 0x01f0); // ATA-4 to ATA8-ACS
	commands_tell(disk, page);
	word(page, ID_UDMA, modes(disk, 0x40, 0x3f));
	attachment_tell(disk, page);
	word(page, ID_TRIM_BLOCKS, ATA_TRIM_BLOCKS_MAX);
	word(page, ID_SECTOR_SIZE, 0x4000);
	word(page, ID_TRIM, 1);
	word(page, ID_ROTATION, 1); // it does not rotate
	page[2 * ID_INTEGRITY] = 0xa5;
	checksum_set(page);
}

// ATA/ATAPI-7 volume 1, 6.17.
static void identify_packet(const struct ata_disk *disk, uint8_t page[ATA_SECTOR_BYTES])
{
	// Packets of 12 bytes, asked for within 50 us; removable; a CD drive.
	word(page, ID_CONFIGURATION, 0x85c0);
	text(page, ID_SERIAL, ATA_SERIAL_BYTES / 2, (const char *)disk->serial, ATA_SERIAL_BYTES);
	text(page, ID_FIRMWARE, 4, FIRMWARE, sizeof(FIRMWARE));
	text(page, ID_MODEL, 20, CD_MODEL, sizeof(CD_MODEL));
	word(page, ID_CAPABILITIES, 0x0f00); // LBA, DMA, IORDY
	word(page, ID_CAPABILITIES_2, 0x4000);
	word(page, ID_PIO_TIMING, 0x0200);
	word(page, ID_VALID, 0x0006);
	word(page, ID_MWDMA, modes(disk, 0x20, 0x07));
	word(page, ID_PIO, 0x03);
	for (unsigned i = 0; i < 4; i++)
		word(page, ID_CYCLES + i, 120); // ns
	word(page, ID_MAJOR, 0x00f0); // ATA/ATAPI-4 to 7
	word(page, ID_COMMANDS, 0x0210); // PACKET, DEVICE RESET
	word(page, ID_COMMANDS_2, 0x4000);
	word(page, ID_COMMANDS_3, 0x4000);
	word(page, ID_ENABLED, 0x0210);
	word(page, ID_ENABLED_3, 0x4000);
	word(page, ID_UDMA, modes(disk, 0x40, 0x3f));
	word(page, ID_RESET_RESULT, 0x6001); // 80 wires
	page[2 * ID_INTEGRITY] = 0xa5;
	checksum_set(page);
}

// What smartctl shows of every disk. `value` counts down from 100 to its threshold, where the disk
// is worn; this one never is.
static const struct {
	uint8_t id, flags, threshold, reserved;
} attributes[] = {
	{5, 0x33, 10, 0},   // reallocated sectors
	{9, 0x32, 0, 0},    // hours of power
	{12, 0x32, 0, 0},   // power cycles
	{197, 0x32, 0, 0},  // pending sectors
	{198, 0x30, 0, 0},  // uncorrectable ones
	{199, 0x32, 0, 0},  // errors on the way
};

static void smart_data(uint8_t page[ATA_SECTOR_BYTES])
{
	word(page, 0, 0x0010);
	for (size_t i = 0; i < ARRAY_COUNT(attributes); i++) {
		uint8_t *at = page + SMART_FIRST_ATTRIBUTE + i * SMART_ATTRIBUTE_BYTES;

		at[0] = attributes[i].id;
		at[1] = attributes[i].flags;
		at[3] = at[4] = 100; // as it is, and at its worst
	}
	// 362 and 363 are 0: no off-line collection was started, no self-test has found anything.
	page[367] = 0x11; // it does self-tests, and EXECUTE OFF-LINE IMMEDIATE
	word(page, 368 / 2, 0x0003); // saves attributes
	page[370] = 0x01; // has an error log
	page[372] = page[373] = 1; // minutes that self-tests take
	checksum_set(page);
}

static void smart_thresholds(uint8_t page[ATA_SECTOR_BYTES])
{
	word(page, 0, 0x0010);
	for (size_t i = 0; i < ARRAY_COUNT(attributes); i++) {
		uint8_t *at = page + SMART_FIRST_ATTRIBUTE + i * SMART_ATTRIBUTE_BYTES;

		at[0] = attributes[i].id;
		at[1] = attributes[i].threshold;
	}
	checksum_set(page);
}

// Descriptors of tests that have ended well. The latest is the one of that number.
static void self_tests_tell(const struct ata_disk *disk, uint8_t *page, unsigned first,
	unsigned bytes, unsigned most, unsigned latest)
{
	unsigned count = disk->self_tests < most ? disk->self_tests : most;

	for (unsigned i = 0; i < count; i++)
		page[first + i * bytes] = 0x01; // short, off-line
	page[latest] = (uint8_t)count;
}

static void log_make(const struct ata_disk *disk, const struct ata_work *work,
	uint8_t page[ATA_SECTOR_BYTES])
{
	word(page, 0, 0x0001); // all of them
	switch (work->log) {
	case ATA_LOG_DIRECTORY: // pages of each: A.2
		if (work->is_smart)
			page[2 * ATA_LOG_SUMMARY_ERRORS] = page[2 * ATA_LOG_SELF_TESTS] = 1;
		else
			page[2 * ATA_LOG_EXTENDED_SELF_TESTS] = 1;
		if (!work->is_smart && disk->is_serial)
			page[2 * ATA_LOG_QUEUE_ERROR] = 1;
		return; // it has no checksum
	case ATA_LOG_SELF_TESTS: // ATA8-ACS A.18
		self_tests_tell(disk, page, 2, 24, ATA_SELF_TESTS_MAX, 508);
		break;
	case ATA_LOG_EXTENDED_SELF_TESTS: // ACS-3 A.7
		self_tests_tell(disk, page, 4, 26, EXTENDED_SELF_TESTS_MAX, 2);
		break;
	default:
		break;
	}
	checksum_set(page);
}

void ata_page_make(const struct ata_disk *disk, const struct ata_work *work,
	uint8_t page[ATA_SECTOR_BYTES])
{
	memset(page, 0, ATA_SECTOR_BYTES);
	switch (work->page) {
	case ATA_PAGE_IDENTIFY:
		identify(disk, page);
		break;
	case ATA_PAGE_IDENTIFY_PACKET:
		identify_packet(disk, page);
		break;
	case ATA_PAGE_SMART_DATA:
		smart_data(page);
		break;
	case ATA_PAGE_SMART_THRESHOLDS:
		smart_thresholds(page);
		break;
	default:
		log_make(disk, work, page);
		break;
	}
}
