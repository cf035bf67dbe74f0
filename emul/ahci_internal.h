// SPDX-License-Identifier: BSD-2-Clause
// Between the sources of the AHCI function. Called by them alone.
#ifndef EMUL_AHCI_INTERNAL_H
#define EMUL_AHCI_INTERNAL_H

#include "emul/ahci.h"

enum { AHCI_TIMER_RETRY, AHCI_TIMERS };
enum { AHCI_STATUS_READY = ATA_STATUS_DRDY | ATA_STATUS_DSC };

enum ahci_slot_state {
	AHCI_SLOT_FREE,   // the device does not work on it
	AHCI_SLOT_SENT,   // the back end has a request
	AHCI_SLOT_WAITS,  // the back end takes no more requests: a timer
	AHCI_SLOT_STARVES, // its table has less than it writes
	AHCI_SLOT_STATES
};

// A command that the device works on, and how far. Its table stays in guest memory.
struct ahci_slot {
	uint64_t lba;
	uint64_t table;
	uint64_t name;      // of its request: sequence << 8 | slot
	uint32_t bytes;     // of data, or to be verified
	uint32_t done;      // of them
	uint32_t part;      // of the request
	uint32_t entry_done; // bytes of the table's present entry
	uint16_t entry, entries;
	uint8_t state;      // enum ahci_slot_state
	uint8_t kind;       // enum ata_work_kind
	uint8_t asked;      // enum device_io_kind of the request
	bool durable;       // flushed before it ends
	bool tells;         // an entry with the bit for it ends with the request
	uint8_t reserved[7];
};

struct ahci_port {
	struct ata_disk disk;
	struct ata_taskfile file; // of the device; status and error as PxTFD has them
	struct ata_work work;     // of the command that is not queued
	uint64_t list, frames;    // PxCLB, PxFB
	uint64_t sequence;        // of names
	uint64_t failed_lba;
	uint32_t interrupts, enabled; // PxIS but for what the errors have, PxIE
	uint32_t command;         // PxCMD, what is written
	uint32_t signature, control, errors; // PxSIG, PxSCTL, PxSERR
	uint32_t active, issued;  // PxSACT, PxCI
	uint32_t taken; // of those issued: the device has them
	uint32_t queued;          // commands that it works on at once, a bit a tag
	uint16_t failed_count;
	uint8_t slot, next;       // of the latest command; the next one is looked for from here on
	uint8_t failed_tag;       // as log 10h has it
	uint8_t failed_status, failed_error, failed_device;
	bool busy;                // it works on a command that is not queued
	bool halted;              // PxCMD.ST has to be cleared
	bool resets;              // software holds the device in reset
	bool queue_failed;        // until the log has been read
	uint8_t reserved[4];
};

struct ahci {
	struct pcidev pci;
	struct guest_time retry;  // when the timer expires
	uint32_t control;         // GHC
	uint32_t pending;         // IS
	uint32_t index;           // of the ports
	uint32_t reserved;
	struct ahci_port ports[AHCI_PORTS];
	struct ahci_slot slots[AHCI_PORTS * AHCI_SLOTS]; // ahci_slot_of
};

static inline struct ahci_slot *ahci_slot_of(struct ahci *ahci, unsigned port, unsigned index)
{
	return &ahci->slots[port * AHCI_SLOTS + index];
}

extern const struct state_table ahci_state; // ahci_state.c

// ahci.c: PxIS has those, too. What of it is enabled goes on to the interrupt.
void ahci_interrupt(struct ahci *ahci, unsigned port, uint32_t causes);

// ahci_port.c: registers of a port, and its link.
uint32_t ahci_register_read(const struct ahci *ahci, unsigned port, unsigned reg);
void ahci_register_write(struct ahci *ahci, unsigned port, struct guest_time now, unsigned reg,
	uint32_t value);
uint32_t ahci_interrupts(const struct ahci_port *of); // PxIS
bool ahci_link_is_up(const struct ahci_port *of);
// As GHC.HR does it. `power`: the registers that outlive that, too.
void ahci_link_reset(struct ahci *ahci, unsigned port, bool power);
// The registers have what a device without a command shows: Serial ATA 2.6, 11.5.
void ahci_signature_set(struct ahci_port *of);
// No request of the port is wanted any more.
void ahci_requests_drop(struct ahci *ahci, unsigned port);

// ahci_frame.c: what the device sends.
enum ahci_told { AHCI_SILENTLY, AHCI_WITH_INTERRUPT };
void ahci_frame_registers(struct ahci *ahci, unsigned port, uint8_t status, uint8_t error,
	enum ahci_told told);
// `then`: the status behind so many bytes.
void ahci_frame_pio(struct ahci *ahci, unsigned port, uint8_t then, uint32_t bytes, bool to_host);
void ahci_frame_dma(struct ahci *ahci, unsigned port, unsigned tag, uint32_t offset,
	uint32_t bytes, bool to_host);
void ahci_frame_bits(struct ahci *ahci, unsigned port, uint8_t status, uint8_t error,
	uint32_t tags);
// 6.1.4: memory is not there. Nothing goes on before PxCMD.ST is cleared.
void ahci_bus_fail(struct ahci *ahci, unsigned port);

// ahci_command.c: the list of commands. What has been issued goes to the device as it is ready.
void ahci_list_go_on(struct ahci *ahci, unsigned port, struct guest_time now);
// The command that is not queued has ended.
void ahci_command_end(struct ahci *ahci, unsigned port, uint8_t error);

// ahci_queue.c: queued commands. The one in the registers has come in that slot.
bool ahci_queue_has(uint8_t command);
void ahci_queue_begin(struct ahci *ahci, unsigned port, unsigned slot, struct guest_time now);
void ahci_queue_end(struct ahci *ahci, unsigned port, unsigned slot, uint8_t error);
// A command that is not queued, while others are; it has come.
void ahci_queue_refuse_other(struct ahci *ahci, unsigned port);
void ahci_queue_log(const struct ahci_port *of, uint8_t page[ATA_SECTOR_BYTES]);

// ahci_transfer.c: work of a slot. Its command has been taken apart.
void ahci_transfer_go_on(struct ahci *ahci, unsigned port, unsigned slot, struct guest_time now);
void ahci_flush_begin(struct ahci *ahci, unsigned port, unsigned slot, struct guest_time now);
void ahci_completed(struct ahci *ahci, unsigned port, unsigned slot, struct guest_time now,
	enum status status);
void ahci_retry(struct ahci *ahci, struct guest_time now);
// Moves bytes of the device's own by the table. False: it ends before, or memory is not there,
// which has been told.
must_check bool ahci_bytes_move(struct ahci *ahci, unsigned port, struct ahci_slot *slot,
	uint8_t *own, uint32_t bytes, bool to_memory);

#endif
