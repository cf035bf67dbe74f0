// SPDX-License-Identifier: BSD-2-Clause
// The IDE function of a PIIX3: two channels of two drives. See ide.c.
#ifndef EMUL_IDE_H
#define EMUL_IDE_H

#include "emul/ata.h"
#include "emul/pcidev.h"
#include "emul/scsi.h"

extern const struct device_model ide_model;

enum {
	IDE_CHANNELS = 2,
	IDE_CHANNEL_DRIVES = 2,
	IDE_DRIVES = IDE_CHANNELS * IDE_CHANNEL_DRIVES, // channel * 2 + drive
	// Media: of each drive its own, and discs that lie beside CD drives.
	IDE_PORTS = DEVICE_PORTS_MAX,
	IDE_TIMING = 0x40, // IDETIM of the first channel, 2 bytes; the second's is behind it
	IDE_TIMING_DECODE = 0x8000, // the channel answers at its ports
};

enum { IDE_OUTPUT_IRQ }; // of the first channel: ISA's 14; the second's is behind it
_Static_assert(PCIDEV_OUTPUT_INTX == 0, "it has no pin");

enum ide_region { IDE_REGION_BUS_MASTER = 4, // base address register 4
	IDE_REGION_COMMAND = PCIDEV_REGIONS, // of the first channel; the second's is behind it
	IDE_REGION_CONTROL = IDE_REGION_COMMAND + IDE_CHANNELS };

struct ide_drive_config {
	uint64_t sectors; // of a disk; 0: there is none
	uint8_t serial[ATA_SERIAL_BYTES]; // zeros behind it
	bool is_cd;       // a CD drive, which has the disc of its own port in it if there is one
	uint8_t reserved[3];
};

// Before the first reset. The same for an instance that a state is loaded into.
void ide_configure(struct device *device, const struct ide_drive_config drives[IDE_DRIVES],
	const struct scsi_disc discs[IDE_PORTS]);
// What the drive has as a CD drive; NULL: it is none.
const struct scsi_unit *ide_cd(const struct device *device, unsigned drive);

#endif
