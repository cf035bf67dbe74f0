// SPDX-License-Identifier: BSD-2-Clause
// A frame of a UHCI function: the schedule in guest memory, from its frame list on. UHCI Design
// Guide 1.1, 3 (data structures) and 4 (interrupts).
//
// All of a frame takes place at its end. A circle of queues is gone round again as long as anything
// came of one of them: a packet that is answered with NAK then waits for the next frame. Whatever
// the guest has made of the schedule, a frame has so many elements and so much time, and no more.
//
// Left out on purpose: the order in time of what is done within a frame; packets that are larger
// than any that our devices take, whose contents are not read.
#include "emul/uhci_internal.h"

#include <string.h>

enum {
	LINK_END = 1,
	LINK_QUEUE = 2,
	LINK_DEPTH = 4,

	// 3.2.2, of a transfer descriptor
	TD_LENGTH = 0x7ff,
	TD_TIMEOUT = 1 << 18,
	TD_NAK = 1 << 19,
	TD_BABBLE = 1 << 20,
	TD_STALLED = 1 << 22,
	TD_ACTIVE = 1 << 23,
	TD_INTERRUPT = 1 << 24,
	TD_ISOCHRONOUS = 1 << 25,
	TD_LOW_SPEED = 1 << 26,
	TD_ERRORS_SHIFT = 27, // 2 bits
	TD_SHORT = 1 << 29,
	TD_RESULTS = 0x7e0000,
	TD_BYTES_MAX = 1280,

	FRAME_ELEMENTS = 256,
	FRAME_BYTES = 1500 - 6, // of 12 Mb/s in 1 ms, but for the start of the frame
	PACKET_BYTES = 13,      // around data: USB 2.0, 5.8.4
};
#define LINK_ADDRESS UINT32_C(0xfffffff0)

struct td {
	uint32_t link, control, token, buffer;
};

// Of a queue head.
struct queue {
	uint32_t next, element;
};

struct walk {
	struct uhci *uhci;
	struct guest_time now;
	uint32_t *seen;      // queues since something came of one
	uint32_t seen_count;
	uint32_t left;       // bytes of the frame
	uint32_t at;         // the queue that the present descriptor is of
	struct queue queue;
	bool in_queue, progress;
	uint8_t done;        // enum uhci_done
	uint8_t reserved;
};

enum verdict {
	VERDICT_ON,   // to what is beside it
	VERDICT_DONE, // to what is behind it
	VERDICT_END,  // of the frame
};

static bool fetch(struct walk *walk, uint32_t at, void *to, size_t bytes)
{
	struct uhci *uhci = walk->uhci;

	if (pcidev_is_master(&uhci->pci) &&
		device_dma_read(&uhci->pci.device, (struct gpa){at}, to, bytes) == STATUS_OK)
		return true;
	uhci_halt(uhci, UHCI_STATUS_SYSTEM_ERROR);
	return false;
}

static bool store(struct walk *walk, uint32_t at, const void *from, size_t bytes)
{
	struct uhci *uhci = walk->uhci;

	if (device_dma_write(&uhci->pci.device, (struct gpa){at}, from, bytes) == STATUS_OK)
		return true;
	uhci_halt(uhci, UHCI_STATUS_SYSTEM_ERROR);
	return false;
}

// Bytes that the descriptor has room for; -1: more than there can be.
static int td_bytes(const struct td *td)
{
	uint32_t bytes = (td->token >> 21) + 1;

	bytes &= TD_LENGTH;
	return bytes <= TD_BYTES_MAX ? (int)bytes : -1;
}

// It is over, with an error.
static void td_fail(struct walk *walk, struct td *td, uint32_t why)
{
	td->control = (td->control & ~(uint32_t)TD_ACTIVE) | why;
	walk->uhci->status |= UHCI_STATUS_ERROR;
	if ((td->control & TD_INTERRUPT) != 0)
		walk->done |= UHCI_DONE_COMPLETE;
}

// Nobody has answered: 3.2.2, C_ERR.
static void td_timeout(struct walk *walk, struct td *td)
{
	uint32_t errors = td->control >> TD_ERRORS_SHIFT & 3;

	td->control |= TD_TIMEOUT;
	if ((td->control & TD_ISOCHRONOUS) != 0) {
		td_fail(walk, td, 0);
		return;
	}
	if (errors == 0) // it is tried for ever
		return;
	td->control -= UINT32_C(1) << TD_ERRORS_SHIFT;
	if (errors == 1)
		td_fail(walk, td, TD_STALLED);
}

// A packet has been moved, of `bytes` of `room`. 3.4.1.1 and 3.4.2: a short one leaves the queue
// where it is, if that is wanted.
static enum verdict td_complete(struct walk *walk, struct td *td, unsigned bytes, unsigned room)
{
	bool is_short = (td->token & 0xff) == USB_PID_IN && bytes < room &&
		(td->control & TD_SHORT) != 0 && walk->in_queue;

	td->control = (td->control & ~(uint32_t)(TD_ACTIVE | TD_LENGTH)) |
		((bytes - 1) & TD_LENGTH);
	walk->progress = true;
	if ((td->control & TD_INTERRUPT) != 0)
		walk->done |= UHCI_DONE_COMPLETE;
	if (!is_short)
		return VERDICT_DONE;
	walk->done |= UHCI_DONE_SHORT;
	return VERDICT_ON;
}

// False: memory is not there.
static bool packet(struct walk *walk, const struct td *td, unsigned room, unsigned *bytes,
	enum usb_result *result)
{
	unsigned endpoint = td->token >> 15 & 15;
	uint8_t pid = (uint8_t)td->token, data[USB_PACKET_MAX];
	struct usb_device *usb = (td->control & TD_LOW_SPEED) != 0 ? NULL
		: uhci_device_find(walk->uhci, td->token >> 8 & USB_ADDRESS_MAX);

	*result = USB_SILENT;
	*bytes = room;
	if (usb == NULL || (pid != USB_PID_IN && room > USB_PACKET_MAX))
		return true;
	if (pid != USB_PID_IN && room != 0 && !fetch(walk, td->buffer, data, room))
		return false;
	*result = usb_packet(usb, walk->now, pid, endpoint, data, bytes);
	if (pid != USB_PID_IN || *result != USB_ACK || *bytes > room || *bytes == 0)
		return true;
	return store(walk, td->buffer, data, *bytes);
}

static enum verdict td_answered(struct walk *walk, struct td *td, enum usb_result result,
	unsigned bytes, unsigned room)
{
	bool tried_again = (td->control & TD_ISOCHRONOUS) == 0;

	td->control &= ~(uint32_t)TD_RESULTS;
	switch (result) {
	case USB_ACK:
		if (bytes <= room)
			return td_complete(walk, td, bytes, room);
		td_fail(walk, td, TD_BABBLE | TD_STALLED);
		return VERDICT_ON;
	case USB_STALL:
		td_fail(walk, td, TD_STALLED);
		return VERDICT_ON;
	case USB_NAK:
		td->control |= TD_NAK;
		if (!tried_again)
			td->control &= ~(uint32_t)TD_ACTIVE;
		return VERDICT_ON;
	default:
		td_timeout(walk, td);
		return VERDICT_ON;
	}
}

static enum verdict td_execute(struct walk *walk, uint32_t at, struct td *td)
{
	struct uhci *uhci = walk->uhci;
	uint8_t pid = (uint8_t)td->token;
	int room = td_bytes(td);
	enum usb_result result;
	uint32_t before = td->control;
	enum verdict verdict;
	unsigned bytes;

	if ((before & TD_ACTIVE) == 0) { // 3.2.2, IOC: that is told all the same
		if ((before & TD_INTERRUPT) != 0)
			walk->done |= UHCI_DONE_COMPLETE;
		return VERDICT_ON;
	}
	if (room < 0 || (pid != USB_PID_IN && pid != USB_PID_OUT && pid != USB_PID_SETUP)) {
		uhci_halt(uhci, UHCI_STATUS_PROCESS_ERROR);
		return VERDICT_END;
	}
	if (walk->left < (unsigned)room + PACKET_BYTES)
		return VERDICT_END;
	if (!packet(walk, td, (unsigned)room, &bytes, &result))
		return VERDICT_END;
	walk->left -= PACKET_BYTES + (pid != USB_PID_IN || result == USB_ACK
		? bytes < (unsigned)room ? bytes : (unsigned)room : 0);
	verdict = td_answered(walk, td, result, bytes, (unsigned)room);
	if (td->control != before && !store(walk, at + 4, &td->control, sizeof(td->control)))
		return VERDICT_END;
	if ((uhci->command & UHCI_COMMAND_DEBUG) != 0)
		uhci_halt(uhci, 0); // 2.1.1: after each packet
	return verdict;
}

// Whether nothing has come of any queue since this one was seen last.
static bool is_circle(struct walk *walk, uint32_t at)
{
	for (unsigned i = 0; i < walk->seen_count; i++) {
		if (walk->seen[i] != at)
			continue;
		if (!walk->progress)
			return true;
		walk->seen_count = 0;
		walk->progress = false;
	}
	walk->seen[walk->seen_count++] = at; // each is an element of the frame
	return false;
}

// 3.4.2: down first, and then on. LINK_END: the frame is over.
static uint32_t queue_enter(struct walk *walk, uint32_t link)
{
	walk->at = link & LINK_ADDRESS;
	if (is_circle(walk, walk->at) ||
		!fetch(walk, walk->at, &walk->queue, sizeof(walk->queue)))
		return LINK_END;
	walk->in_queue = (walk->queue.element & LINK_END) == 0;
	return walk->in_queue ? walk->queue.element : walk->queue.next;
}

static uint32_t td_visit(struct walk *walk, uint32_t link)
{
	uint32_t at = link & LINK_ADDRESS;
	enum verdict verdict;
	struct td td;

	if (!fetch(walk, at, &td, sizeof(td)))
		return LINK_END;
	verdict = td_execute(walk, at, &td);
	if (verdict == VERDICT_END)
		return LINK_END;
	if (!walk->in_queue)
		return td.link;
	if (verdict == VERDICT_DONE) {
		if (!store(walk, walk->at + 4, &td.link, sizeof(td.link)))
			return LINK_END;
		if ((td.link & (LINK_DEPTH | LINK_END)) == LINK_DEPTH)
			return td.link;
	}
	walk->in_queue = false;
	return walk->queue.next;
}

void uhci_frame(struct uhci *uhci, struct guest_time now)
{
	uint32_t seen[FRAME_ELEMENTS];
	struct walk walk = {.uhci = uhci, .now = now, .left = FRAME_BYTES, .seen = seen};
	uint32_t index = uhci->frame % UHCI_FRAME_ENTRIES, link = LINK_END;

	if (!fetch(&walk, uhci->frame_list + 4 * index, &link, sizeof(link)))
		link = LINK_END;
	for (unsigned i = 0; i < FRAME_ELEMENTS && (link & LINK_END) == 0; i++) {
		if ((uhci->command & UHCI_COMMAND_RUN) == 0)
			break;
		link = (link & LINK_QUEUE) != 0 ? queue_enter(&walk, link) : td_visit(&walk, link);
	}
	uhci->done |= walk.done;
	if (walk.done != 0)
		uhci->status |= UHCI_STATUS_INTERRUPT;
	uhci_irq_update(uhci);
}
