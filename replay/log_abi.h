// SPDX-License-Identifier: BSD-2-Clause
// A log in its store: chunks, and what starts each. Everything is little-endian. The whole form is
// in docs/replay.md, "The log, byte by byte"; a change of it changes LOG_VERSION.
#ifndef REPLAY_LOG_ABI_H
#define REPLAY_LOG_ABI_H

#include "kernel/base/types.h"

#define LOG_MAGIC 0x676f4c52u // "RLog"

enum {
	LOG_VERSION = 4,       // of what this code writes, and the latest that it understands
	LOG_CHUNK_MAX = 65536, // bytes with header and padding
	LOG_PAYLOAD_MAX = 32768, // bytes of a record's payload
	LOG_VCPUS_MAX = 64, // of a machine
	LOG_ALIGNMENT_MIN = 8,
	LOG_ALIGNMENT_MAX = 4096,
};

enum log_chunk_type {
	LOG_CHUNK_HEADER = 1, // the first chunk, and no other
	LOG_CHUNK_SNAPSHOT,   // a piece of the machine's state at the start
	LOG_CHUNK_RECORDS,
	LOG_CHUNK_INDEX,   // the last chunk of a log that was closed
	LOG_CHUNK_POINTER, // in no sequence: behind the header, says where the index is
};

struct log_chunk_header {
	uint32_t magic;
	uint16_t type;          // enum log_chunk_type
	uint16_t reserved;      // 0
	uint32_t sequence;      // of the chunk in its log, from 0
	uint32_t payload_bytes; // behind the header
	uint64_t log_id;        // the same in all chunks of a log, and in no other log
	uint64_t first_ticks;   // of the first position in it
	uint32_t records;       // in it; of other types than LOG_CHUNK_RECORDS 0
	uint32_t crc;           // CRC-32C of header, with 0 here, and payload; not of the padding
};
_Static_assert(sizeof(struct log_chunk_header) == 40, "the log's form");
_Static_assert(offsetof(struct log_chunk_header, log_id) == 16, "the log's form");
_Static_assert(offsetof(struct log_chunk_header, crc) == 36, "the log's form");

enum {
	LOG_CHUNK_HEADER_BYTES = sizeof(struct log_chunk_header),
	LOG_CHUNK_PAYLOAD_MAX = LOG_CHUNK_MAX - LOG_CHUNK_HEADER_BYTES,
	LOG_POINTER_BYTES = LOG_CHUNK_HEADER_BYTES + 8, // with its payload: the index's offset
};

// A record's first byte: its kind, and which parts of its position follow.
enum {
	LOG_TAG_KIND = 0x1f,
	LOG_TAG_RIP = 0x20,
	LOG_TAG_RCX = 0x40,
	LOG_TAG_HALTED = 0x80,
};

// The byte behind a record's position: what follows, and how long the payload is.
enum {
	LOG_FORM_DEVICE = 0x01,
	LOG_FORM_INDEX = 0x02,
	LOG_FORM_SEQUENCE = 0x04,
	LOG_FORM_VALUE = 0x08,
	LOG_FORM_VCPU = 0x10,
	LOG_FORM_PAYLOAD_SHIFT = 5,
	LOG_FORM_PAYLOAD_LONG = 7, // the length follows
};

#endif
