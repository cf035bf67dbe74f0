// SPDX-License-Identifier: BSD-2-Clause
// When a request may begin that is one of too many: leaky buckets, as QEMU's docs/throttle.txt has
// them.
//
// What has been done is in a bucket that leaks at the average rate. It is full with a tenth of a
// second of that; or, with a burst, with what the burst's rate makes in its length. A burst longer
// than a second is held to its own rate by a second bucket, of a tenth of a second of that. Nothing
// begins while one is full; then all of it goes in, so one request may do more.
//
// A bucket is kept as the time at which it will be empty: there are no levels to be brought up to
// date, and no fractions but the remainder of a division.
#ifndef VM_THROTTLE_H
#define VM_THROTTLE_H

#include "kernel/base/types.h"

#define THROTTLE_RATE_MAX (UINT64_C(10) << 30) // products with a second in ns stay below 2^64
enum { THROTTLE_SECONDS_MAX = 3600 };

struct throttle_limit {
	uint64_t average; // units a second, up to THROTTLE_RATE_MAX; 0: no limit
	uint64_t burst;   // the same, not below `average`; 0: no bursts
	uint32_t burst_seconds; // 1 to THROTTLE_SECONDS_MAX
};

struct throttle_config {
	struct throttle_limit bytes, requests;
};

struct throttle_bucket {
	uint64_t rate;  // 0: there is none
	uint64_t full_ns; // how long it leaks when it is full
	uint64_t empty_at; // ns
	uint64_t rest;  // of the division that gave it, below `rate`
};

struct throttle {
	struct throttle_bucket buckets[4];
	uint64_t last; // ns
};

void throttle_init(struct throttle *throttle, const struct throttle_config *config);
// One of so many units comes at `now`: when it begins, in the order of the calls. No earlier call
// had a later `now`. `bytes`: at most 2^33.
uint64_t throttle_pass(struct throttle *throttle, uint64_t now, uint64_t bytes, uint64_t requests);

static inline bool throttle_is_there(const struct throttle_config *config)
{
	return config->bytes.average != 0 || config->requests.average != 0;
}

#endif
