// SPDX-License-Identifier: BSD-2-Clause
// Of the device contract (emul/device.h): what devices and back ends hand to each other.
#ifndef EMUL_DEVICE_IO_H
#define EMUL_DEVICE_IO_H

#include "kernel/base/types.h"

// What is asked of a block back end. Its medium counts bytes from 0 on.
enum device_io_kind {
	DEVICE_IO_READ,
	DEVICE_IO_WRITE,
	// What has been written is durable when it completes. Where the medium is the device's own
	// memory, the bytes that it names, as they are now.
	DEVICE_IO_FLUSH,
	DEVICE_IO_DISCARD, // nobody needs it any more: it reads as anything
	DEVICE_IO_ZERO,    // it reads as zeros
	DEVICE_IO_KINDS
};

enum {
	DEVICE_IO_MAX = 64, // requests of a port that may be under way
	DEVICE_IO_PIECES_MAX = 16,
	DEVICE_IO_BYTES_MAX = 32768, // of all pieces
	DEVICE_PORTS_MAX = 8,        // that have back ends
};

struct device_io_piece {
	struct gpa at;
	uint64_t bytes;
};

struct device_io {
	uint64_t request; // the device's name for it: of no other that is under way
	uint64_t offset;  // of the medium
	uint8_t kind;     // enum device_io_kind
	uint8_t piece_count;
	uint8_t reserved[6];
	uint64_t bytes;                       // without pieces: of what; FLUSH may have none
	const struct device_io_piece *pieces; // of guest memory, one behind the other
	const void *data; // of a WRITE without pieces: the device's own bytes, which are taken now
};

enum {
	// A frame of Ethernet, from the destination's address on, without preamble and CRC. IEEE
	// 802.3, 3.2.7: 1500 bytes behind a header of 14, and a VLAN tag.
	DEVICE_FRAME_MIN = 14, // shorter ones than on a wire: nobody pads here
	DEVICE_FRAME_MAX = 1518,
};

// Valid as long as the call that it is handed to.
struct device_frame {
	const uint8_t *bytes;
	uint16_t count; // DEVICE_FRAME_MIN to DEVICE_FRAME_MAX
	// From this byte to the end is the sum of a checksum that has yet to be completed; 0: none
	// has. What its field has is in the sum already (the pseudo header).
	uint16_t checksum_start;
	uint16_t checksum_offset; // of the field, from there
	uint16_t reserved;
};

// Of one that is to be completed: it lies in the frame, behind the header.
static inline bool device_frame_is_valid(const struct device_frame *frame)
{
	if (frame->count < DEVICE_FRAME_MIN || frame->count > DEVICE_FRAME_MAX)
		return false;
	if (frame->checksum_start == 0)
		return frame->checksum_offset == 0;
	return frame->checksum_start >= DEVICE_FRAME_MIN &&
		(uint32_t)frame->checksum_start + frame->checksum_offset + 2 <= frame->count;
}

#endif
