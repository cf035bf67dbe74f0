// SPDX-License-Identifier: BSD-2-Clause
// Beacons: what a machine is at a position, in few bytes. A recording has one now and then; who
// replays it makes his own at the same position and compares.
//
// One hash says whether two are the same; checks of 8 bits for every 8 bytes of the machine's saved
// state (a snapshot without memory: vm/snapshot.h) say where they are not. In a log a beacon has
// the checks that are not those of the beacon before. A full one has a hash of guest memory too.
#ifndef REPLAY_BEACON_H
#define REPLAY_BEACON_H

#include "replay/log_bytes.h"
#include "replay/memory_hash.h"

struct vm;

enum {
	BEACON_CHECKS_MAX = 24576, // 64 vcpus and all devices
	BEACON_TEXT_MAX = 160,
};

struct beacon {
	uint64_t state; // XXH64 of the saved state
	bool full;
	uint8_t reserved[3];
	uint32_t count; // of checks
	struct memory_hash memory; // where full
	uint8_t checks[BEACON_CHECKS_MAX];
};

// The machine is held. `cache`: as memory_hash_take has it. STATUS_NO_MEMORY. STATUS_RANGE: more
// state than a beacon can have.
must_check enum status beacon_take(struct vm *vm, bool full, struct memory_hash_cache *cache,
	struct beacon *beacon);

// As a record's payload. `before`: the last one of the log, NULL: this one is to stand for itself.
// out->overflow: it does not fit.
void beacon_encode(struct log_out *out, const struct beacon *beacon, const struct beacon *before);
// `before`: the last one of the log, NULL: not known. False: in->error says what is wrong.
must_check bool beacon_decode(struct log_in *in, struct beacon *beacon,
	const struct beacon *before);

// Whether all that both have is the same, but for accessed bits, and whether these are.
bool beacon_equals(const struct beacon *a, const struct beacon *b);
bool beacon_accessed_equals(const struct beacon *a, const struct beacon *b);
// Where they are not: the first field, by the names of the state tables, and what it is in this
// machine; or the page, last for its accessed bits. The machine is held, and as it was when `here`
// was taken.
void beacon_difference(struct vm *vm, const struct beacon *here, const struct beacon *recorded,
	char text[BEACON_TEXT_MAX]);

#endif
