// SPDX-License-Identifier: BSD-2-Clause
// A port: AHCI 1.3.1, system software in 10: start and stop in 10.3, COMRESET in 10.4.2, commands
// in 5.5, errors in 6.2.2. One command at a time, in the first slot. No interrupts: its end is
// looked for.
#include "drivers/ahci_port.h"

#include "kernel/base/assert.h"
#include "kernel/mem.h"
#include "kernel/mmio.h"

enum {
	STOP_MS = 500,
	LINK_MS = 1000, // of one whose device has been seen
	READY_MS = 10000, // a disk that begins to turn
	RESET_MS = 2,     // of the line, at least 1
	CAUSES_FAILED = AHCI_IS_OVERFLOW | AHCI_IS_INTERFACE | AHCI_IS_BUS_DATA | AHCI_IS_BUS |
		AHCI_IS_TASK,
	CAUSES_LINK = AHCI_IS_CONNECTED | AHCI_IS_PHY,
	TASK_BUSY = ATA_STATUS_BUSY | ATA_STATUS_DATA,
	TASK_BAD = TASK_BUSY | ATA_STATUS_FAULT | ATA_STATUS_ERROR,
};

static uint32_t register_read(const struct ahci_port *port, uint32_t offset)
{
	return mmio_read32(port->registers + offset);
}

static void register_write(const struct ahci_port *port, uint32_t offset, uint32_t value)
{
	mmio_write32(port->registers + offset, value);
}

static void address_write(const struct ahci_port *port, uint32_t offset, const void *address)
{
	register_write(port, offset, (uint32_t)hpa_of(address).v);
	register_write(port, offset + 4, (uint32_t)(hpa_of(address).v >> 32));
}

// False: the bits are not as wanted in time.
static bool register_wait(struct ahci_port *port, uint32_t offset, uint32_t bits, uint32_t wanted,
	uint32_t ms)
{
	struct disk_wait wait;
	bool done;

	disk_wait_begin(&wait, &port->lock, ms);
	do
		done = (register_read(port, offset) & bits) == wanted;
	while (!done && disk_wait(&wait));
	disk_wait_end(&wait);
	return done;
}

static void command_bits_clear(const struct ahci_port *port, uint32_t bits)
{
	register_write(port, AHCI_CMD, register_read(port, AHCI_CMD) & ~bits);
}

static void command_bits_set(const struct ahci_port *port, uint32_t bits)
{
	register_write(port, AHCI_CMD, register_read(port, AHCI_CMD) | bits);
}

// What has come is over: it is written back.
static void causes_clear(const struct ahci_port *port)
{
	register_write(port, AHCI_SERR, register_read(port, AHCI_SERR));
	register_write(port, AHCI_IS, register_read(port, AHCI_IS));
}

static bool commands_stop(struct ahci_port *port)
{
	command_bits_clear(port, AHCI_CMD_START);
	return register_wait(port, AHCI_CMD, AHCI_CMD_RUNS, 0, STOP_MS);
}

void ahci_port_stop(struct ahci_port *port)
{
	bool stopped = commands_stop(port);

	// 10.3.2: not while commands run.
	if (stopped) {
		command_bits_clear(port, AHCI_CMD_RECEIVE);
		stopped = register_wait(port, AHCI_CMD, AHCI_CMD_RECEIVES, 0, STOP_MS);
	}
	if (stopped)
		return;
	__atomic_store_n(&port->hba->is_cut, true, __ATOMIC_RELAXED);
	pci_disable(port->hba->function, PCI_COMMAND_MASTER);
}

// 10.1.2: frames may come from here on.
void ahci_port_wake(struct ahci_port *port)
{
	register_write(port, AHCI_IE, 0);
	address_write(port, AHCI_CLB, port->memory->headers);
	address_write(port, AHCI_FB, port->memory->received);
	command_bits_set(port, AHCI_CMD_RECEIVE);
	command_bits_set(port, AHCI_CMD_SPIN_UP | AHCI_CMD_POWER | AHCI_CMD_ACTIVE);
}

void ahci_port_reset_begin(struct ahci_port *port)
{
	register_write(port, AHCI_SCTL, AHCI_SCTL_NO_SLEEP | AHCI_SCTL_RESET);
}

void ahci_port_reset_end(struct ahci_port *port)
{
	register_write(port, AHCI_SCTL, AHCI_SCTL_NO_SLEEP);
}

// Behind a reset, when the link is there.
static const char *commands_start(struct ahci_port *port)
{
	register_write(port, AHCI_SERR, UINT32_MAX);
	if (!register_wait(port, AHCI_TFD, TASK_BUSY, 0, READY_MS))
		return "the device does not become ready";
	causes_clear(port);
	command_bits_set(port, AHCI_CMD_START);
	return NULL;
}

const char *ahci_port_start(struct ahci_port *port, struct disk_wait *wait, uint32_t *signature)
{
	const char *problem;

	*signature = 0;
	while ((register_read(port, AHCI_SSTS) & AHCI_SSTS_DETECTION) == 0)
		if (!disk_wait(wait))
			return NULL;
	if (!register_wait(port, AHCI_SSTS, AHCI_SSTS_DETECTION, AHCI_SSTS_DEVICE, LINK_MS))
		return "there is a device, and no link";
	problem = commands_start(port);
	*signature = register_read(port, AHCI_SIG);
	return problem;
}

static const char *port_recover(struct ahci_port *port)
{
	struct disk_wait wait;

	if (!commands_stop(port))
		return "it does not stop";
	if ((register_read(port, AHCI_TFD) & TASK_BUSY) != 0) {
		ahci_port_reset_begin(port);
		disk_wait_begin(&wait, &port->lock, RESET_MS);
		while (disk_wait(&wait))
			continue;
		disk_wait_end(&wait);
		ahci_port_reset_end(port);
		if (!register_wait(port, AHCI_SSTS, AHCI_SSTS_DETECTION, AHCI_SSTS_DEVICE, LINK_MS))
			return "the link is gone";
	}
	return commands_start(port);
}

static void slot_fill(struct ahci_port *port, const struct ahci_command *command)
{
	struct ahci_memory *memory = port->memory;

	ASSERT(command->count <= UINT16_MAX && command->bytes % 2 == 0);
	ASSERT(hpa_of(command->buffer).v % 2 == 0);
	memory->table.frame = (struct ahci_frame){
		.kind = AHCI_FRAME_KIND,
		.flags = AHCI_FRAME_COMMAND,
		.command = command->command,
		.lba_low = (uint8_t)command->sector,
		.lba_mid = (uint8_t)(command->sector >> 8),
		.lba_high = (uint8_t)(command->sector >> 16),
		.device = AHCI_FRAME_DEVICE_LBA,
		.lba_3 = (uint8_t)(command->sector >> 24),
		.lba_4 = (uint8_t)(command->sector >> 32),
		.lba_5 = (uint8_t)(command->sector >> 40),
		.count = (uint8_t)command->count,
		.count_high = (uint8_t)(command->count >> 8),
	};
	memory->table.region = (struct ahci_region){
		.address = hpa_of(command->buffer).v, .bytes = command->bytes - 1};
	memory->headers[0] = (struct ahci_header){
		.flags = AHCI_HEADER_FRAME_WORDS | (command->is_write ? AHCI_HEADER_WRITE : 0),
		.region_count = command->bytes > 0,
		.table = hpa_of(&memory->table).v,
	};
}

// Waits until the command has ended, one way or the other; *causes says what happened. Returns what
// is wrong with the port, or NULL.
static const char *slot_wait(struct ahci_port *port, uint32_t timeout_ms, uint32_t *causes)
{
	const char *problem = NULL;
	struct disk_wait wait;

	disk_wait_begin(&wait, &port->lock, timeout_ms);
	for (;;) {
		bool is_running = (register_read(port, AHCI_CI) & 1) != 0;

		*causes = register_read(port, AHCI_IS);
		if (*causes == AHCI_GONE)
			problem = "the controller is gone";
		else if ((*causes & CAUSES_LINK) != 0)
			problem = "the link is gone";
		if (problem != NULL || !is_running || (*causes & CAUSES_FAILED) != 0)
			break;
		if (ahci_is_cut(port->hba))
			problem = "the controller had to be cut off";
		else if (!disk_wait(&wait))
			problem = "no answer";
		if (problem != NULL)
			break;
	}
	disk_wait_end(&wait);
	return problem;
}

// What became of a command that the port says has ended.
static void failure_read(struct ahci_port *port, const struct ahci_command *command,
	uint32_t causes, struct ahci_failure *failure)
{
	uint32_t task = register_read(port, AHCI_TFD);

	*failure = (struct ahci_failure){.causes = causes & CAUSES_FAILED};
	if (failure->causes != 0 || (task & TASK_BAD) != 0) {
		failure->status = (uint8_t)task;
		failure->error = (uint8_t)(task >> 8);
	} else if (!command->is_write) {
		// Pairs with the controller's write of the count before it clears AHCI_CI.
		failure->is_short = __atomic_load_n(&port->memory->headers[0].moved,
			__ATOMIC_ACQUIRE) != command->bytes;
	}
}

const char *ahci_port_run(struct ahci_port *port, const struct ahci_command *command,
	uint32_t timeout_ms, struct ahci_failure *failure)
{
	uint32_t causes = register_read(port, AHCI_IS);
	const char *problem = NULL;

	if (ahci_is_cut(port->hba))
		problem = "the controller had to be cut off";
	else if ((causes & CAUSES_LINK) != 0) // and there may be another disk
		problem = causes == AHCI_GONE ? "the controller is gone" : "the link was gone";
	else if ((causes & CAUSES_FAILED) != 0) // while nobody asked it for anything
		problem = port_recover(port);
	if (problem == NULL) {
		causes_clear(port);
		slot_fill(port, command);
		// Pairs with the controller's reads behind AHCI_CI: all that they lead to is there.
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		register_write(port, AHCI_CI, 1);
		problem = slot_wait(port, timeout_ms, &causes);
	}
	if (problem == NULL) {
		failure_read(port, command, causes, failure);
		if (failure->causes != 0 || (failure->status & TASK_BAD) != 0)
			problem = port_recover(port);
	}
	if (problem != NULL)
		ahci_port_stop(port);
	return problem;
}
