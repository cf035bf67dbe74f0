// SPDX-License-Identifier: BSD-2-Clause
// A disk at USB: command blocks, data and status by bulk packets. Its commands: scsi.c.
//
// Specification: USB Mass Storage Class, Bulk-Only Transport 1.0, 3 (requests), 5 (command and
// status blocks), 6 (states, and what becomes of a host and a device that expect other data).
//
//   COMMAND --a block--> TO_HOST, FROM_HOST, or STATUS where no data are
//   TO_HOST --all have been read--> STATUS
//   FROM_HOST --all have been written to the medium--> STATUS
//   STATUS --read--> COMMAND
//   COMMAND --none that can be understood--> BROKEN
//   any --a reset of it or of its bus, another configuration--> COMMAND: a request is dropped
//
// While the back end has a request, packets are answered with NAK. Where host and device do not
// agree about data, none are moved, and the status is a phase error.
//
// Left out on purpose: more logical units than one.
#include "emul/usb_storage.h"

#include <string.h>

enum {
	STORAGE_READ = USB_TYPE_READ | USB_TYPE_CLASS | USB_TO_INTERFACE,
	STORAGE_WRITE = USB_TYPE_CLASS | USB_TO_INTERFACE,
	STORAGE_RESET = 0xff, // 3.1
	STORAGE_MAX_LUN = 0xfe,
	STORAGE_IN = 1, // endpoints
	STORAGE_OUT = 2,

	// 5.1
	COMMAND_BYTES = 31,
	COMMAND_FLAGS = 12, // offsets; bit 7: to the host
	COMMAND_LUN = 13,
	COMMAND_LENGTH = 14,
	COMMAND_BLOCK = 15,

	// 5.2
	STATUS_BYTES = 13,
	STATUS_PASSED = 0,
	STATUS_FAILED = 1,
	STATUS_PHASE_ERROR = 2,
};
#define COMMAND_SIGNATURE UINT32_C(0x43425355)
#define STATUS_SIGNATURE  UINT32_C(0x53425355)

static const uint8_t storage_device[USB_DEVICE_BYTES] = {USB_DEVICE_BYTES, USB_DESCRIPTOR_DEVICE,
	0x00, 0x01, 0, 0, 0, USB_CONTROL_BYTES, 0xf4, 0x46, 0x01, 0x00, 0x00, 0x00, 1, 2,
	USB_STRING_SERIAL, 1};

// 4.3: SCSI, by bulk packets of 64 bytes.
static const uint8_t storage_configuration[] = {9, USB_DESCRIPTOR_CONFIGURATION, 32, 0, 1, 1, 0,
	0x80 | USB_ATTRIBUTE_SELF_POWERED, 0,
	9, USB_DESCRIPTOR_INTERFACE, 0, 0, 2, 8, 6, 0x50, 0,
	7, USB_DESCRIPTOR_ENDPOINT, USB_ENDPOINT_IN | STORAGE_IN, 2, USB_PACKET_MAX, 0, 0,
	7, USB_DESCRIPTOR_ENDPOINT, STORAGE_OUT, 2, USB_PACKET_MAX, 0, 0};

static struct usb_storage *storage_of(struct usb_device *usb)
{
	return CONTAINER_OF(usb, struct usb_storage, usb);
}

static uint32_t little32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static uint64_t medium_bytes(const struct usb_storage *storage)
{
	return (uint64_t)storage->work.blocks * SCSI_DISK_BLOCK_BYTES;
}

// Nothing is under way any more.
static void command_drop(struct usb_storage *storage)
{
	if (storage->asked == USB_STORAGE_ASKED)
		device_drop(storage->usb.controller, storage->port, storage->name);
	storage->asked = USB_STORAGE_NOTHING;
	storage->phase = USB_STORAGE_COMMAND;
	storage->work = (struct scsi_work){0};
	storage->length = storage->total = storage->moved = storage->done = storage->part = 0;
	storage->at = storage->bytes = 0;
	storage->kind = storage->status = 0;
}

static void storage_configured(struct usb_device *usb)
{
	command_drop(storage_of(usb));
}

static void storage_reset(struct usb_device *usb)
{
	command_drop(storage_of(usb));
	scsi_reset(&storage_of(usb)->unit);
}

// 6.7.2, 6.7.3: of what the host expects and does not get, the end is told by a short packet, or
// by a halt.
static void command_end(struct usb_storage *storage, uint8_t status)
{
	if (storage->phase == USB_STORAGE_TO_HOST && storage->moved < storage->length &&
		storage->moved % USB_PACKET_MAX == 0)
		usb_halt(&storage->usb, STORAGE_IN);
	storage->phase = USB_STORAGE_STATUS;
	storage->status = status;
}

static void command_fail(struct usb_storage *storage, enum status status)
{
	scsi_fail_by(&storage->unit, status, storage->kind != DEVICE_IO_READ);
	command_end(storage, STATUS_FAILED);
}

static void ask(struct usb_storage *storage, enum device_io_kind kind, uint32_t bytes)
{
	struct device_io io = {.request = ++storage->name, .kind = (uint8_t)kind, .bytes = bytes,
		.offset = storage->work.lba * SCSI_DISK_BLOCK_BYTES + storage->done,
		.data = storage->buffer};
	enum status status;

	storage->kind = (uint8_t)kind;
	storage->part = bytes;
	if (kind == DEVICE_IO_FLUSH)
		io.offset = 0;
	storage->asked = USB_STORAGE_ASKED;
	status = device_submit(storage->usb.controller, storage->port, &io);
	if (status == STATUS_OK)
		return;
	storage->asked = status == STATUS_BUSY ? USB_STORAGE_AWAITS_ROOM : USB_STORAGE_NOTHING;
	if (status != STATUS_BUSY)
		command_fail(storage, STATUS_IO);
}

static uint32_t least(uint64_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

// Of a write: what the buffer is full with.
static uint32_t write_bytes(const struct usb_storage *storage)
{
	return least(medium_bytes(storage) - storage->done, USB_STORAGE_BUFFER_BYTES);
}

// What the medium has yet to do.
static void work_go_on(struct usb_storage *storage)
{
	uint64_t left = medium_bytes(storage) - storage->done;

	switch (storage->work.kind) {
	case SCSI_WORK_READ:
		ask(storage, DEVICE_IO_READ, least(left, USB_STORAGE_BUFFER_BYTES));
		break;
	case SCSI_WORK_VERIFY:
		if (left != 0)
			ask(storage, DEVICE_IO_READ, least(left, DEVICE_IO_BYTES_MAX));
		else
			command_end(storage, STATUS_PASSED);
		break;
	case SCSI_WORK_FLUSH:
		ask(storage, DEVICE_IO_FLUSH, 0);
		break;
	default:
		break;
	}
}

// Bytes that the device wants to move.
static uint64_t wanted(const struct usb_storage *storage)
{
	switch (storage->work.kind) {
	case SCSI_WORK_PAGE:
		return storage->work.bytes;
	case SCSI_WORK_READ:
	case SCSI_WORK_WRITE:
		return medium_bytes(storage);
	default:
		return 0;
	}
}

// 6.7: whether what the device wants fits into what the host expects.
static bool is_agreed(const struct usb_storage *storage, bool to_host)
{
	bool writes = storage->work.kind == SCSI_WORK_WRITE;

	return wanted(storage) == 0 || (wanted(storage) <= storage->length && to_host != writes);
}

static void command_begin(struct usb_storage *storage, const uint8_t *block)
{
	uint8_t cdb[SCSI_CDB_BYTES] = {0};
	bool to_host = (block[COMMAND_FLAGS] & 0x80) != 0;

	memcpy(cdb, block + COMMAND_BLOCK, block[COMMAND_LENGTH]);
	storage->tag = little32(block + 4);
	storage->length = little32(block + 8);
	storage->total = storage->moved = storage->done = storage->part = 0;
	storage->at = storage->bytes = 0;
	storage->phase = to_host ? USB_STORAGE_TO_HOST : USB_STORAGE_FROM_HOST;
	scsi_command_begin(&storage->unit, cdb, &storage->work, storage->buffer);
	if (!is_agreed(storage, to_host)) {
		storage->work = (struct scsi_work){0};
		command_end(storage, STATUS_PHASE_ERROR);
		return;
	}
	storage->total = (uint32_t)wanted(storage);
	if (storage->work.kind == SCSI_WORK_FAILED || storage->work.kind == SCSI_WORK_NONE)
		command_end(storage, storage->work.kind == SCSI_WORK_FAILED ? STATUS_FAILED
			: STATUS_PASSED);
	else if (storage->work.kind == SCSI_WORK_PAGE)
		storage->bytes = (uint16_t)storage->total;
	else
		work_go_on(storage);
}

// 6.2: a block that is valid, and means something.
static bool is_command(const uint8_t *block, unsigned bytes)
{
	return bytes == COMMAND_BYTES && little32(block) == COMMAND_SIGNATURE &&
		block[COMMAND_LUN] == 0 && block[COMMAND_LENGTH] != 0 &&
		block[COMMAND_LENGTH] <= SCSI_CDB_BYTES;
}

static void written(struct usb_storage *storage)
{
	storage->done += storage->part;
	storage->at = 0;
	if (storage->done != medium_bytes(storage))
		return;
	if (storage->work.durable)
		ask(storage, DEVICE_IO_FLUSH, 0);
	else
		command_end(storage, STATUS_PASSED);
}

void usb_storage_completed(struct usb_storage *storage, uint64_t request, enum status status)
{
	if (storage->asked != USB_STORAGE_ASKED || request != storage->name)
		return; // of a state that contradicts itself
	storage->asked = USB_STORAGE_NOTHING;
	if (status != STATUS_OK) {
		command_fail(storage, status);
	} else if (storage->kind == DEVICE_IO_FLUSH) {
		command_end(storage, STATUS_PASSED);
	} else if (storage->kind == DEVICE_IO_WRITE) {
		written(storage);
	} else if (storage->work.kind == SCSI_WORK_VERIFY) {
		storage->done += storage->part;
		work_go_on(storage);
	} else {
		device_take_data(storage->usb.controller, storage->port, storage->buffer,
			storage->part);
		storage->done += storage->part;
		storage->at = 0;
		storage->bytes = (uint16_t)storage->part;
	}
}

// Whether there is an answer now: the back end may have room for what it had none for.
static bool is_waited_for(struct usb_storage *storage)
{
	if (storage->asked == USB_STORAGE_AWAITS_ROOM)
		ask(storage, storage->kind, storage->part);
	return storage->asked != USB_STORAGE_NOTHING;
}

static unsigned data_give(struct usb_storage *storage, uint8_t *data)
{
	unsigned bytes = storage->bytes - storage->at;

	if (bytes > USB_PACKET_MAX)
		bytes = USB_PACKET_MAX;
	memcpy(data, storage->buffer + storage->at, bytes);
	storage->at = (uint16_t)(storage->at + bytes);
	storage->moved += bytes;
	if (storage->moved == storage->total)
		command_end(storage, STATUS_PASSED);
	else if (storage->at == storage->bytes)
		work_go_on(storage);
	return bytes;
}

static unsigned status_give(struct usb_storage *storage, uint8_t *data)
{
	const uint32_t words[] = {STATUS_SIGNATURE, storage->tag, storage->length - storage->moved};

	memcpy(data, words, sizeof(words));
	data[sizeof(words)] = storage->status;
	storage->phase = USB_STORAGE_COMMAND;
	return STATUS_BYTES;
}

static enum usb_result storage_get(struct usb_device *usb, struct guest_time now,
	unsigned endpoint, uint8_t data[USB_PACKET_MAX], unsigned *bytes)
{
	struct usb_storage *storage = storage_of(usb);

	(void)now;
	(void)endpoint;
	if (is_waited_for(storage))
		return USB_NAK;
	switch (storage->phase) {
	case USB_STORAGE_TO_HOST:
		*bytes = data_give(storage, data);
		return USB_ACK;
	case USB_STORAGE_STATUS:
		if ((usb->halted >> endpoint & 1) != 0) // since it was asked just now
			return USB_STALL;
		*bytes = status_give(storage, data);
		return USB_ACK;
	case USB_STORAGE_BROKEN:
		return USB_STALL;
	default:
		return USB_NAK;
	}
}

static enum usb_result data_take(struct usb_storage *storage, const uint8_t *data, unsigned bytes)
{
	uint32_t room = write_bytes(storage);

	if (bytes > room - storage->at || storage->work.kind != SCSI_WORK_WRITE)
		return USB_STALL;
	memcpy(storage->buffer + storage->at, data, bytes);
	storage->at = (uint16_t)(storage->at + bytes);
	storage->moved += bytes;
	if (storage->at == room)
		ask(storage, DEVICE_IO_WRITE, room);
	return USB_ACK;
}

static enum usb_result storage_put(struct usb_device *usb, struct guest_time now,
	unsigned endpoint, const uint8_t *data, unsigned bytes)
{
	struct usb_storage *storage = storage_of(usb);

	(void)now;
	(void)endpoint;
	if (is_waited_for(storage))
		return USB_NAK;
	switch (storage->phase) {
	case USB_STORAGE_COMMAND:
		if (is_command(data, bytes)) {
			command_begin(storage, data);
			return USB_ACK;
		}
		storage->phase = USB_STORAGE_BROKEN; // 6.6.1
		usb_halt(usb, STORAGE_IN);
		return USB_STALL;
	case USB_STORAGE_FROM_HOST:
		return data_take(storage, data, bytes);
	default:
		return USB_STALL;
	}
}

static int storage_read(struct usb_device *usb, const struct usb_setup *setup,
	uint8_t answer[USB_ANSWER_MAX])
{
	const struct usb_storage *storage = storage_of(usb);
	char serial[SCSI_SERIAL_BYTES + 1] = {0};

	if (setup->type == USB_TYPE_READ && setup->request == USB_GET_DESCRIPTOR &&
		setup->value == (USB_DESCRIPTOR_STRING << 8 | USB_STRING_SERIAL)) {
		memcpy(serial, storage->unit.serial, SCSI_SERIAL_BYTES);
		return usb_string(serial, answer);
	}
	answer[0] = 0;
	return setup->type == STORAGE_READ && setup->request == STORAGE_MAX_LUN &&
		setup->index == 0 ? 1 : -1;
}

static bool storage_write(struct usb_device *usb, struct guest_time now,
	const struct usb_setup *setup, const uint8_t *data, unsigned bytes)
{
	(void)now;
	(void)data;
	if (setup->type != STORAGE_WRITE || setup->request != STORAGE_RESET || setup->index != 0 ||
		bytes != 0)
		return false;
	command_drop(storage_of(usb));
	return true;
}

static bool read_fits(const struct usb_storage *storage, bool asked)
{
	uint64_t left = medium_bytes(storage) - storage->done;

	if (storage->phase != USB_STORAGE_TO_HOST || storage->total != medium_bytes(storage))
		return false;
	if (asked)
		return storage->kind == DEVICE_IO_READ && storage->part != 0 &&
			storage->part == least(left, USB_STORAGE_BUFFER_BYTES) &&
			storage->moved == storage->done;
	return storage->at < storage->bytes &&
		storage->moved + (storage->bytes - storage->at) == storage->done;
}

static bool write_fits(const struct usb_storage *storage, bool asked)
{
	uint32_t room = write_bytes(storage);

	if (storage->phase != USB_STORAGE_FROM_HOST || storage->total != medium_bytes(storage) ||
		storage->moved != storage->done + storage->at)
		return false;
	if (!asked)
		return storage->at < room;
	if (storage->kind == DEVICE_IO_WRITE)
		return room != 0 && storage->part == room && storage->at == room;
	return storage->kind == DEVICE_IO_FLUSH && storage->work.durable && storage->part == 0 &&
		room == 0 && storage->at == 0;
}

// Whether the command is one that comes to be where this is.
static bool is_consistent(const struct usb_storage *storage)
{
	bool asked = storage->asked != USB_STORAGE_NOTHING;
	uint64_t left = medium_bytes(storage) - storage->done;

	if (storage->phase != USB_STORAGE_TO_HOST && storage->phase != USB_STORAGE_FROM_HOST)
		return !asked;
	switch (storage->work.kind) {
	case SCSI_WORK_PAGE:
		return storage->phase == USB_STORAGE_TO_HOST && !asked &&
			storage->total <= SCSI_PAGE_BYTES && storage->bytes == storage->total &&
			storage->at == storage->moved && storage->moved < storage->total;
	case SCSI_WORK_READ:
		return read_fits(storage, asked);
	case SCSI_WORK_WRITE:
		return write_fits(storage, asked);
	case SCSI_WORK_VERIFY:
		return asked && storage->kind == DEVICE_IO_READ && storage->part != 0 &&
			storage->part == least(left, DEVICE_IO_BYTES_MAX);
	default:
		return storage->work.kind == SCSI_WORK_FLUSH && asked &&
			storage->kind == DEVICE_IO_FLUSH && storage->part == 0;
	}
}

const char *usb_storage_check(const struct usb_storage *storage)
{
	const struct scsi_work *work = &storage->work;
	const char *problem = usb_check(&storage->usb);

	if (problem != NULL || storage->usb.model == NULL)
		return problem;
	if (work->blocks > SCSI_BLOCKS_MAX || work->blocks > storage->unit.blocks ||
		work->lba > storage->unit.blocks - work->blocks)
		return "a command beyond its USB disk";
	if (storage->moved > storage->length || storage->total > storage->length ||
		storage->moved > storage->total || storage->done > medium_bytes(storage))
		return "a transfer of a USB disk beyond its command";
	return is_consistent(storage) ? NULL : "a USB disk in a state that is not its command's";
}

const struct usb_model usb_storage_model = {
	.name = "usb-storage",
	.strings = {NULL, "Reprise", "USB Disk", NULL},
	.device = storage_device,
	.configuration = storage_configuration,
	.configuration_bytes = sizeof(storage_configuration),
	.in = BIT(STORAGE_IN),
	.out = BIT(STORAGE_OUT),
	.reset = storage_reset,
	.configured = storage_configured,
	.read = storage_read,
	.write = storage_write,
	.get = storage_get,
	.put = storage_put,
};
