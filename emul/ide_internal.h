// SPDX-License-Identifier: BSD-2-Clause
// Between the sources of the IDE function. Called by them alone.
#ifndef EMUL_IDE_INTERNAL_H
#define EMUL_IDE_INTERNAL_H

#include "emul/ide.h"

enum { IDE_BUFFER_BYTES = ATA_MULTIPLE_MAX * ATA_SECTOR_BYTES };

// Of a channel. What moves it on: ide_channel.c.
enum ide_state {
	IDE_IDLE,         // no command
	IDE_IN,           // the guest reads the buffer
	IDE_OUT,          // the guest writes it
	IDE_AWAITS_MASTER, // the bus master has not been started, or has reached its table's end
	IDE_AWAITS_ROOM,  // the back end takes no more requests: a timer
	IDE_ASKED,        // the back end has a request
	IDE_STATES
};

struct ide_drive {
	struct ata_disk disk;
	struct scsi_unit unit; // of a CD drive, which uses some of `disk`, too: atapi.c
	struct ata_taskfile file;
};

// Bus Master IDE 1.0, 2: the registers, and where the transfer is in its table.
struct ide_master {
	uint32_t table;
	uint32_t entry;       // the next one's address
	uint32_t at, left;    // of what the present one names
	uint8_t command, status;
	bool last;            // no entry behind the present one
	uint8_t reserved[5];
};

struct ide_channel {
	struct ata_work work;
	struct ide_master master;
	uint64_t name;        // of the last request
	struct guest_time retry; // in AWAITS_ROOM
	uint32_t done;        // bytes of the work
	uint32_t part;        // of the request that is asked for
	uint32_t at, bytes;   // of the buffer, in IN and OUT
	uint32_t range;       // of TRIM: the next one's number
	uint32_t held;        // of the buffer that a packet's command has, which is read in parts
	uint8_t state;        // enum ide_state
	uint8_t asked;        // enum device_io_kind of the request: ASKED and AWAITS_ROOM
	uint8_t control;
	uint8_t selected;     // drive
	bool irq;             // it wants to interrupt
	bool line;            // and does, for nothing forbids it
	uint16_t limit;       // of these parts
	uint8_t buffer[IDE_BUFFER_BYTES];
};

struct ide {
	struct pcidev pci;
	struct ide_drive drives[IDE_DRIVES];
	struct scsi_disc discs[IDE_PORTS]; // (c)
	struct ide_channel channels[IDE_CHANNELS];
};

enum {
	IDE_MASTER_START = 0x01,
	IDE_MASTER_TO_MEMORY = 0x08,
	IDE_MASTER_ACTIVE = 0x01,
	IDE_MASTER_ERROR = 0x02,
	IDE_MASTER_INTERRUPT = 0x04,
	IDE_MASTER_CAPABLE = 0x60,
};

static inline unsigned ide_selected_index(const struct ide *ide, unsigned channel)
{
	return channel * IDE_CHANNEL_DRIVES + ide->channels[channel].selected;
}

static inline struct ide_drive *ide_selected(struct ide *ide, unsigned channel)
{
	return &ide->drives[ide_selected_index(ide, channel)];
}

// Of the medium in the selected drive; SCSI_NO_DISC: none is.
static inline unsigned ide_port(const struct ide *ide, unsigned channel)
{
	unsigned drive = ide_selected_index(ide, channel);
	const struct scsi_unit *unit = &ide->drives[drive].unit;

	return unit->is_cd ? unit->disc : drive;
}

enum { IDE_STATUS_READY = ATA_STATUS_DRDY | ATA_STATUS_DSC };

// ide.c
void ide_irq_set(struct ide *ide, unsigned channel, bool level);

// ide_channel.c: the registers of a channel. `reg` is 1 to 7.
void ide_channel_reset(struct ide *ide, unsigned channel);
bool ide_channel_is_empty(const struct ide *ide, unsigned channel);
uint8_t ide_register_read(struct ide *ide, unsigned channel, unsigned reg);
void ide_register_write(struct ide *ide, unsigned channel, struct guest_time now, unsigned reg,
	uint8_t value);
uint8_t ide_status(const struct ide *ide, unsigned channel);
void ide_control_write(struct ide *ide, unsigned channel, uint8_t value);
static inline bool ide_drive_is_there(const struct ide_drive *drive)
{
	return drive->disk.sectors != 0 || drive->unit.is_cd;
}

// ide_work.c: the commands of the selected drive. The one in `file` begins.
void ide_command_begin(struct ide *ide, unsigned channel, struct guest_time now);
// At most 4 bytes, which are at most what the buffer still has.
uint32_t ide_data_read(struct ide *ide, unsigned channel, struct guest_time now, unsigned size);
void ide_data_write(struct ide *ide, unsigned channel, struct guest_time now, unsigned size,
	uint32_t value);
void ide_completed(struct ide *ide, unsigned channel, struct guest_time now, enum status status);
// The bus master has been started; it is being stopped.
void ide_go_on(struct ide *ide, unsigned channel, struct guest_time now);
void ide_stop(struct ide *ide, unsigned channel);
// There may be room at the back end.
void ide_retry(struct ide *ide, unsigned channel, struct guest_time now);
// No command any more.
void ide_request_drop(struct ide *ide, unsigned channel);
// For ide_packet.c: the command has ended; its next part; the buffer's bytes, or the bus master,
// are waited for.
void ide_command_end(struct ide *ide, unsigned channel, uint8_t status, uint8_t error);
void ide_work_go_on(struct ide *ide, unsigned channel, struct guest_time now);
void ide_data_wait(struct ide *ide, unsigned channel, enum ide_state state, uint32_t bytes);
void ide_master_await(struct ide *ide, unsigned channel);

// ide_packet.c: commands that come as packets. One is awaited; it is in the buffer.
void ide_packet_await(struct ide *ide, unsigned channel);
void ide_packet_begin(struct ide *ide, unsigned channel, struct guest_time now);
// The buffer has got that many bytes of its data; the guest has read a part of them.
void ide_packet_filled(struct ide *ide, unsigned channel, uint32_t bytes);
void ide_packet_taken(struct ide *ide, unsigned channel, struct guest_time now);
// The bus master may move what is in the buffer.
void ide_packet_move(struct ide *ide, unsigned channel);
// It fails, for what its unit says.
void ide_packet_fail(struct ide *ide, unsigned channel);
// The tray of a CD drive: enum device_setting.
void ide_tray_set(struct ide *ide, enum device_setting setting, uint64_t value);
bool ide_tray_accepts(const struct ide *ide, enum device_setting setting, uint64_t value);
// NULL, or what a loaded state cannot be: of a drive, and of a packet's command.
const char *ide_unit_check(const struct ide *ide, unsigned drive);
const char *ide_packet_check(const struct ide *ide, unsigned channel);

// ide_master.c
uint64_t ide_master_read(const struct ide *ide, unsigned channel, uint64_t offset, unsigned size);
void ide_master_write(struct ide *ide, unsigned channel, struct guest_time now, uint64_t offset,
	unsigned size, uint64_t value);
// The next pieces of the table, as many as `bytes` and a request can have. Returns their bytes; 0:
// there are none.
uint32_t ide_master_pieces(struct ide *ide, unsigned channel, uint32_t bytes,
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX], uint8_t *count);
// Whether it is started, in the direction of the command.
bool ide_master_is_ready(const struct ide *ide, unsigned channel, bool to_memory);
// The transfer has ended well, or because memory is not there or the table cannot be read.
void ide_master_end(struct ide *ide, unsigned channel);
void ide_master_fail(struct ide *ide, unsigned channel);

#endif
