// SPDX-License-Identifier: BSD-2-Clause
// Between the sources of SCSI units. Called by them alone.
#ifndef EMUL_SCSI_INTERNAL_H
#define EMUL_SCSI_INTERNAL_H

#include "emul/scsi.h"

// scsi.c
void scsi_refuse(struct scsi_unit *unit, struct scsi_work *work, enum scsi_sense_key key,
	enum scsi_sense_code code);
static inline void scsi_refuse_field(struct scsi_unit *unit, struct scsi_work *work)
{
	scsi_refuse(unit, work, SCSI_ILLEGAL_REQUEST, SCSI_SENSE_INVALID_FIELD);
}
// A page of `bytes`, of which the driver wants `wanted`.
void scsi_answer(struct scsi_work *work, uint32_t bytes, uint32_t wanted);
// Those blocks, if the medium has them.
void scsi_medium_begin(struct scsi_unit *unit, struct scsi_work *work, enum scsi_work_kind kind,
	uint64_t lba, uint32_t blocks);

// scsi_page.c: what it is.
void scsi_inquire(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page);
void scsi_mode_sense(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page);

// scsi_cd.c: the commands of CD drives alone. False: it is none.
bool scsi_cd_command(struct scsi_unit *unit, const uint8_t *cdb, struct scsi_work *work,
	uint8_t *page);
// START STOP UNIT with LoEj: MMC-5 6.42.
void scsi_cd_load(struct scsi_unit *unit, struct scsi_work *work, bool load);

#endif
