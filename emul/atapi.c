// SPDX-License-Identifier: BSD-2-Clause
// The ATA commands of a drive that takes its others as packets. ATA/ATAPI-7 volume 1 (T13/1532D),
// 6; what is in the packets: scsi.c.
//
// Left out on purpose: overlapped commands, release interrupts, media status notification.
//
// Entered by the controller that a drive belongs to only.
#include "emul/ata.h"

#include <string.h>

enum { POWER_ACTIVE = 0xff };

static void refuse(struct ata_work *work)
{
	work->kind = ATA_WORK_REFUSED;
	work->error = ATA_ERROR_ABRT;
}

void atapi_command_begin(struct ata_disk *disk, struct ata_taskfile *file, struct ata_work *work)
{
	memset(work, 0, sizeof(*work));
	switch (file->command) {
	case ATA_PACKET:
		work->kind = ATA_WORK_PACKET;
		work->is_packet = true;
		work->dma = (file->features & ATAPI_DMA) != 0;
		break;
	case ATA_IDENTIFY_PACKET_DEVICE:
		work->kind = ATA_WORK_PAGE;
		work->page = ATA_PAGE_IDENTIFY_PACKET;
		work->sectors = work->block = 1;
		break;
	case ATA_SET_FEATURES:
		if ((file->features & 0xff) != ATA_FEATURE_TRANSFER_MODE ||
			!ata_mode_set(disk, (uint8_t)file->count))
			refuse(work);
		break;
	case ATA_CHECK_POWER_MODE:
		file->count = POWER_ACTIVE;
		break;
	case ATA_IDLE_IMMEDIATE:
	case ATA_STANDBY_IMMEDIATE:
	case ATA_SLEEP:
		break;
	case ATA_IDENTIFY_DEVICE: // whoever asks learns that it takes packets: 6.16
	case ATA_READ_SECTORS:
		file->lba = ATAPI_SIGNATURE;
		file->count = 1;
		refuse(work);
		break;
	default:
		refuse(work);
	}
}
