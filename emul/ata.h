// SPDX-License-Identifier: BSD-2-Clause
// An ATA disk's commands, however the disk is attached: what a command wants, and the data that the
// disk makes up itself. Transfers are its adapter's. See ata.c.
#ifndef EMUL_ATA_H
#define EMUL_ATA_H

#include "emul/ata_abi.h"
#include "emul/device.h"

enum {
	ATA_SERIAL_BYTES = 20,
	ATA_MULTIPLE_MAX = 8, // sectors in a block of READ MULTIPLE
	ATA_TRIM_BLOCKS_MAX = 8,
	ATA_QUEUE_DEPTH = 32,
	ATA_TRIM_RANGES = ATA_SECTOR_BYTES / 8, // of a block
	ATA_SELF_TESTS_MAX = 21, // that the log of them has: ACS-3 A.18
	ATA_HEADS_DEFAULT = 16,
	ATA_TRACK_DEFAULT = 63, // sectors
};

// Part of the state of a device.
struct ata_disk {
	uint64_t sectors;                // (c) 0: there is none
	uint8_t serial[ATA_SERIAL_BYTES]; // (c) zeros behind it
	uint8_t track;         // sectors of a track, for addresses by cylinder
	uint8_t heads;
	uint8_t multiple;      // sectors of a block; 0: READ MULTIPLE is off
	uint8_t transfer_mode; // as SET FEATURES has it
	bool write_cache, look_ahead, smart;
	bool standby;
	uint8_t self_tests; // that have been run, as far as a log has them
	bool is_serial; // (c) attached by Serial ATA, where commands are queued
	uint8_t reserved[2];
};

#define ATA_DISK_STATE(type, array, disk)                                                          \
	STATE_EACH_ANY(type, array, disk.sectors),                                                 \
		STATE_EACH(type, array, disk.track, 1, UINT8_MAX),                                 \
		STATE_EACH(type, array, disk.heads, 1, 16),                                        \
		STATE_EACH(type, array, disk.multiple, 0, ATA_MULTIPLE_MAX),                       \
		STATE_EACH_ANY(type, array, disk.transfer_mode),                                   \
		STATE_EACH(type, array, disk.write_cache, 0, 1),                                   \
		STATE_EACH(type, array, disk.look_ahead, 0, 1),                                    \
		STATE_EACH(type, array, disk.smart, 0, 1),                                         \
		STATE_EACH(type, array, disk.standby, 0, 1),                                       \
		STATE_EACH(type, array, disk.self_tests, 0, ATA_SELF_TESTS_MAX),                   \
		STATE_EACH_DERIVED(type, array, disk.serial),                                      \
		STATE_EACH_DERIVED(type, array, disk.is_serial),                                   \
		STATE_EACH_DERIVED(type, array, disk.reserved)

// The registers: those of 8 bits have their previous contents above their present ones.
struct ata_taskfile {
	uint64_t lba;             // low, middle, high; the previous ones from bit 24 on
	uint16_t features, count; // previous ones from bit 8 on
	uint8_t device, command, status, error;
};

// What a command wants.
enum ata_work_kind {
	ATA_WORK_NONE,    // nothing more: it has been done
	ATA_WORK_REFUSED, // nothing: it fails
	ATA_WORK_PAGE,    // a page that the disk makes up is read: ata_page_make
	ATA_WORK_READ,
	ATA_WORK_WRITE,
	ATA_WORK_VERIFY, // read, and nobody gets it
	ATA_WORK_FLUSH,
	ATA_WORK_TRIM, // blocks of ranges are written: ata_trim_range
	ATA_WORK_PACKET, // a command block is written, which says more: atapi.c
	ATA_WORK_KINDS
};

enum ata_page { ATA_PAGE_IDENTIFY, ATA_PAGE_SMART_DATA, ATA_PAGE_SMART_THRESHOLDS, ATA_PAGE_LOG,
	ATA_PAGE_IDENTIFY_PACKET, ATA_PAGES };

struct ata_work {
	uint64_t lba;      // of READ, WRITE and VERIFY: all of it is on the disk
	// Of data, or to be verified: 1 to 65536; of a packet's command to 4 * SCSI_BLOCKS_MAX.
	uint32_t sectors;
	uint8_t kind;      // enum ata_work_kind
	uint8_t page;      // enum ata_page
	uint8_t log;       // enum ata_log
	uint8_t block;     // sectors that PIO moves for one interrupt
	bool dma;
	bool durable;      // a write that is not done before it is safe
	bool is_smart;     // the log is SMART READ LOG's
	uint8_t error;     // of REFUSED: enum ata_error
	bool is_packet;    // the command came as a packet
	uint8_t reserved[3];
};

// What a hardware reset brings back; its log of self-tests goes with its power.
void ata_disk_reset(struct ata_disk *disk, bool power);
// Cylinders of its translation, as far as they are counted.
uint32_t ata_cylinders(const struct ata_disk *disk);
// Begins the command in `file`, whose registers become what it answers in them. Status, and error
// but for REFUSED, are the adapter's.
void ata_command_begin(struct ata_disk *disk, struct ata_taskfile *file, struct ata_work *work);
// The same of a drive of packets (ATAPI), which uses the disk's serial number and transfer mode.
// DEVICE RESET and EXECUTE DEVICE DIAGNOSTIC are the adapter's.
void atapi_command_begin(struct ata_disk *disk, struct ata_taskfile *file, struct ata_work *work);
// A transfer mode of SET FEATURES. False: there is no such mode.
must_check bool ata_mode_set(struct ata_disk *disk, uint8_t mode);
// The registers show where the command failed.
void ata_show_sector(const struct ata_disk *disk, struct ata_taskfile *file, uint64_t lba);
// The page that a work of kind PAGE reads: ata_page.c.
void ata_page_make(const struct ata_disk *disk, const struct ata_work *work,
	uint8_t page[ATA_SECTOR_BYTES]);
// A range of a block of TRIM: ACS-3 7.5.3. False: it is none, and to be passed over; *outside: it
// reaches beyond the disk.
must_check bool ata_trim_range(const struct ata_disk *disk, const uint8_t block[ATA_SECTOR_BYTES],
	unsigned index, uint64_t *lba, uint32_t *sectors, bool *outside);
// NULL, or what a loaded work cannot be.
const char *ata_work_check(const struct ata_disk *disk, const struct ata_work *work);

#endif
