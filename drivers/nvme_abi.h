// SPDX-License-Identifier: BSD-2-Clause
// NVM Express 1.4: registers (3.1), queue entries (4.2, 4.6), admin commands (5) and NVM commands
// (6). All fields are little-endian.
#ifndef DRIVERS_NVME_ABI_H
#define DRIVERS_NVME_ABI_H

#include "kernel/base/types.h"

enum { NVME_INTERFACE = 0x02, NVME_BAR = 0 };

// 3.1: offsets in the BAR. Wider registers may be accessed by halves.
enum {
	NVME_CAP = 0x00, // 64 bits
	NVME_VS = 0x08,
	NVME_INTMS = 0x0c,
	NVME_CC = 0x14,
	NVME_CSTS = 0x1c,
	NVME_AQA = 0x24,
	NVME_ASQ = 0x28, // 64 bits
	NVME_ACQ = 0x30, // 64 bits
	NVME_DOORBELLS = 0x1000, // of queue 0's tail, its head, queue 1's tail...
};

// 3.1.1: of CAP's lower half, then of its upper one.
enum {
	NVME_CAP_ENTRIES = 0xffff, // at most, less 1
	NVME_CAP_TIMEOUT_SHIFT = 24,
	NVME_CAP_TIMEOUT_MS = 500, // its unit

	NVME_CAP_STRIDE = 0xf, // of doorbells: 4 << this
	NVME_CAP_NVM = 1 << 5, // the NVM command set
	NVME_CAP_PAGE_MIN_SHIFT = 16,
	NVME_CAP_PAGE_MIN = 0xf, // 4096 << this
};

// 3.1.5, 3.1.6
enum {
	NVME_CC_ENABLE = 1 << 0,
	NVME_CC_SHUTDOWN = 3 << 14,
	NVME_CC_ENTRY_BYTES = 6 << 16 | 4 << 20, // of queues, as powers of 2

	NVME_CSTS_READY = 1 << 0,
	NVME_CSTS_FATAL = 1 << 1,
};

#define NVME_GONE       UINT32_MAX // what registers read that are not there any more
#define NVME_VERSION_11 UINT32_C(0x10100)

// 5 and 6: opcodes.
enum {
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_SET_FEATURES = 0x09,

	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
};

enum {
	NVME_QUEUE_CONTIGUOUS = 1 << 0, // of cdw11 of both that create a queue
	NVME_FEATURE_QUEUES = 0x07,

	NVME_IDENTIFY_NAMESPACE = 0, // of cdw10
	NVME_IDENTIFY_CONTROLLER = 1,
	NVME_IDENTIFY_ACTIVE = 2, // ids of namespaces, ascending, ended by 0
	NVME_IDENTIFY_ACTIVE_IDS = 1024,
};

// 5.15.2.2: Identify Controller.
enum {
	NVME_CONTROLLER_MODEL = 24,
	NVME_CONTROLLER_MODEL_BYTES = 40,
	NVME_CONTROLLER_TRANSFER = 77, // pages of one command, as a power of 2; 0: any number
	NVME_CONTROLLER_TYPE = 111,
	NVME_CONTROLLER_TYPE_OLD = 0, // says nothing
	NVME_CONTROLLER_TYPE_IO = 1,
	NVME_CONTROLLER_NAMESPACES = 516, // the highest id
	NVME_CONTROLLER_CACHE = 525,
	NVME_CONTROLLER_CACHE_VOLATILE = 1 << 0,
};

// 5.15.2.1: Identify Namespace.
enum {
	NVME_NAMESPACE_BLOCKS = 0, // 64 bits
	NVME_NAMESPACE_FORMATS = 25, // the highest
	NVME_NAMESPACE_FORMAT = 26,
	NVME_NAMESPACE_FORMAT_LOW = 0xf,
	NVME_NAMESPACE_PROTECTION = 29,
	NVME_NAMESPACE_PROTECTION_TYPE = 7,
	NVME_NAMESPACE_ATTRIBUTES = 99,
	NVME_NAMESPACE_WRITE_PROTECTED = 1 << 0,
	NVME_NAMESPACE_FORMAT_0 = 128, // of 32 bits each
	NVME_FORMAT_METADATA = 0xffff, // bytes
	NVME_FORMAT_SHIFT = 16, // of the exponent of a block's bytes
};

// 4.2
struct nvme_command {
	uint8_t opcode;
	uint8_t flags;
	uint16_t id;
	uint32_t namespace_id;
	uint32_t cdw2, cdw3;
	uint64_t metadata;
	uint64_t prp1, prp2; // 4.3
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

// 4.6
struct nvme_completion {
	uint32_t result;
	uint32_t reserved;
	uint16_t queue_head;
	uint16_t queue_id;
	uint32_t status; // the command's id, the phase, what became of it
};

enum {
	NVME_STATUS_PHASE_SHIFT = 16,
	NVME_STATUS_CODE_SHIFT = 17,
	NVME_STATUS_CODE = 0xff,
	NVME_STATUS_TYPE_SHIFT = 25,
	NVME_STATUS_TYPE = 7,
	NVME_STATUS_FAILED = 0x7ff, // type and code
};

_Static_assert(sizeof(struct nvme_command) == 64, "4.2");
_Static_assert(offsetof(struct nvme_command, prp1) == 24, "4.2");
_Static_assert(offsetof(struct nvme_command, cdw10) == 40, "4.2");
_Static_assert(sizeof(struct nvme_completion) == 16, "4.6");

#endif
