// SPDX-License-Identifier: BSD-2-Clause
// Headers and records as recordings have them, for tests, and for the programs that make logs for
// other tests. The same seed makes the same.
#ifndef TESTS_LOG_SAMPLE_H
#define TESTS_LOG_SAMPLE_H

#include "replay/log_header.h"
#include "replay/log_record.h"

enum { SAMPLE_LEAVES = 45, SAMPLE_PAYLOAD_MAX = 700 };

struct sample {
	uint64_t state; // of the random numbers
	struct log_record record;
	uint64_t sequences[8]; // of the devices
	uint64_t time;
	uint8_t payload[SAMPLE_PAYLOAD_MAX];
};

// A usual machine: some settings, three hashes, CPUID leaves with all registers in use.
void sample_header(struct log_header *header, uint64_t log_id);

void sample_begin(struct sample *sample, uint64_t seed);
uint64_t sample_random(struct sample *sample);
// Makes sample->record the next one: of any kind but LOG_STOP, behind the one before.
void sample_next(struct sample *sample);

#endif
