// SPDX-License-Identifier: BSD-2-Clause
// A port of an AHCI controller, which runs one command at a time.
#ifndef DRIVERS_AHCI_PORT_H
#define DRIVERS_AHCI_PORT_H

#include "drivers/ahci_abi.h"
#include "drivers/ata_abi.h"
#include "drivers/disk.h"

struct ahci {
	const struct pci_function *function;
	volatile uint8_t *registers;
	uint32_t ports; // a bit for each
	uint64_t end;   // of addresses that it can reach; 0: all
	bool is_cut;    // (a) off from memory: relaxed, whoever sees it late waits for nothing
};

static inline bool ahci_is_cut(const struct ahci *hba)
{
	return __atomic_load_n(&hba->is_cut, __ATOMIC_RELAXED);
}

// What the controller sees of a port, in pages.
struct ahci_memory {
	struct ahci_header headers[AHCI_HEADERS];
	uint8_t received[256]; // frames from the device
	struct ahci_table table;
	uint16_t identity[ATA_IDENTIFY_WORDS];
	uint8_t unused[4096 - 1024 - 256 - 144 - 512];
	uint8_t bounce[DISK_BOUNCE_PAGES][4096];
};
_Static_assert(sizeof(struct ahci_memory) == (1 + DISK_BOUNCE_PAGES) * 4096, "whole pages");
_Static_assert(offsetof(struct ahci_memory, received) % 256 == 0, "3.3.3");
_Static_assert(offsetof(struct ahci_memory, table) % 128 == 0, "4.2.2");

struct ahci_port {
	struct ahci *hba;
	volatile uint8_t *registers;
	struct ahci_memory *memory;
	struct disk_lock lock;
	uint8_t number;
};

struct ahci_command {
	uint8_t command;
	bool is_write;
	uint32_t count; // sectors
	uint64_t sector;
	const void *buffer;
	uint32_t bytes; // 0: no data
};

// Why a command failed; all 0: it has not.
struct ahci_failure {
	uint32_t causes; // of AHCI_IS
	uint8_t status, error;
	bool is_short; // it moved less than it should
};

// In this order, once: makes the port ready for frames, resets what is behind it (1 ms at least).
void ahci_port_wake(struct ahci_port *port);
void ahci_port_reset_begin(struct ahci_port *port);
void ahci_port_reset_end(struct ahci_port *port);
// Until the time of `wait`, which is all ports', is over, a device has to show; then it has its own
// time to become ready. *signature is 0 without one.
must_check const char *ahci_port_start(struct ahci_port *port, struct disk_wait *wait,
	uint32_t *signature);

// Runs a command. Returns what is wrong with the port, which has been stopped then, or NULL.
must_check const char *ahci_port_run(struct ahci_port *port, const struct ahci_command *command,
	uint32_t timeout_ms, struct ahci_failure *failure);

// The port does not reach memory any more, even if that takes the whole controller.
void ahci_port_stop(struct ahci_port *port);

#endif
