// SPDX-License-Identifier: BSD-2-Clause
#include "vm/throttle.h"

#include "kernel/base/assert.h"

#define SECOND_NS UINT64_C(1000000000)

enum { BYTES, BYTES_BURST, REQUESTS, REQUESTS_BURST };

static void limit_set(const struct throttle_limit *limit, struct throttle_bucket *average,
	struct throttle_bucket *burst)
{
	uint64_t full;

	ASSERT(limit->average <= THROTTLE_RATE_MAX && limit->burst <= THROTTLE_RATE_MAX);
	ASSERT(limit->burst_seconds <= THROTTLE_SECONDS_MAX);
	if (limit->average == 0)
		return;
	average->rate = limit->average;
	average->full_ns = SECOND_NS / 10;
	if (limit->burst == 0)
		return;
	full = limit->burst * limit->burst_seconds;
	average->full_ns = full / limit->average * SECOND_NS +
		full % limit->average * SECOND_NS / limit->average;
	if (limit->burst_seconds <= 1)
		return;
	burst->rate = limit->burst;
	burst->full_ns = SECOND_NS / 10;
}

void throttle_init(struct throttle *throttle, const struct throttle_config *config)
{
	*throttle = (struct throttle){.last = 0};
	limit_set(&config->bytes, &throttle->buckets[BYTES], &throttle->buckets[BYTES_BURST]);
	limit_set(&config->requests, &throttle->buckets[REQUESTS],
		&throttle->buckets[REQUESTS_BURST]);
}

static void bucket_fill(struct throttle_bucket *bucket, uint64_t now, uint64_t units)
{
	uint64_t sum;

	if (bucket->rate == 0)
		return;
	if (bucket->empty_at <= now) {
		bucket->empty_at = now;
		bucket->rest = 0;
	}
	sum = units % bucket->rate * SECOND_NS + bucket->rest;
	bucket->empty_at += units / bucket->rate * SECOND_NS + sum / bucket->rate;
	bucket->rest = sum % bucket->rate;
}

uint64_t throttle_pass(struct throttle *throttle, uint64_t now, uint64_t bytes, uint64_t requests)
{
	uint64_t begin = now > throttle->last ? now : throttle->last;

	for (unsigned i = 0; i < ARRAY_COUNT(throttle->buckets); i++) {
		const struct throttle_bucket *bucket = &throttle->buckets[i];
		// A part of a nanosecond that it takes to leak is one.
		uint64_t until = bucket->empty_at + (bucket->rest != 0);

		if (bucket->rate != 0 && until > begin + bucket->full_ns)
			begin = until - bucket->full_ns;
	}
	for (unsigned i = 0; i < ARRAY_COUNT(throttle->buckets); i++)
		bucket_fill(&throttle->buckets[i], begin, i < REQUESTS ? bytes : requests);
	throttle->last = begin;
	return begin;
}
