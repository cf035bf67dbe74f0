// SPDX-License-Identifier: BSD-2-Clause
// Where a machine's log is: `rrfile` of the configuration.
#ifndef REPLAY_SINK_H
#define REPLAY_SINK_H

#include "drivers/region.h"
#include "kernel/boot_info.h"
#include "replay/log_ram.h"
#include "vm/vm.h"

struct sink {
	struct vm_rr where; // what it was opened as
	struct log_store *store; // NULL: not open
	// In RAM: a ring of two halves, each for a log of its own. Or `ram[0]`: a loaded file.
	struct log_ram ram[2];
	uint8_t **blocks; // of 2 MiB each
	uint64_t block_count;
	struct log_store on_disk;
	struct region *region; // of on_disk, or NULL
};

// Which files have been loaded: `file:` may name one of them, to read. *info is kept.
void sink_init(const struct boot_info *info);

enum sink_use { SINK_READ, SINK_WRITE };

// In a fiber, or before the event loop runs. `where`: sink, disk, bytes and name matter. One that
// is open as the same already stays so, with what is in it. On failure `error` says why.
// STATUS_REFUSED: it is to be written, and a region of a disk has something else than a log there.
// STATUS_BUSY: somebody else has that region. `owner`: the machine's name.
must_check enum status sink_open(struct sink *sink, const struct vm_rr *where, enum sink_use use,
	const char *owner, char error[VM_ERROR_MAX]);
void sink_close(struct sink *sink);
// The ring's other half; NULL: it is no ring.
struct log_store *sink_other(struct sink *sink);

#endif
