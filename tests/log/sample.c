// SPDX-License-Identifier: BSD-2-Clause
#include "tests/log/sample.h"

#include <string.h>

#include "kernel/event.h"
#include "replay/log_abi.h"

void sample_begin(struct sample *sample, uint64_t seed)
{
	memset(sample, 0, sizeof(*sample));
	sample->state = seed;
	sample->record.position =
		(struct position){.ticks = 1000, .rip = 0xffffffff81000000, .rcx = 1};
}

// SplitMix64: a counter, well mixed.
uint64_t sample_random(struct sample *sample)
{
	uint64_t value = sample->state += 0x9e3779b97f4a7c15;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

void sample_header(struct log_header *header, uint64_t log_id)
{
	static const uint32_t firsts[] = {0, 0x40000000, 0x80000000};
	struct sample random;

	sample_begin(&random, 42);
	log_header_init(header, log_id, "tsc");
	header->scale = 1;
	header->tsc_hz = 1000000000;
	header->start_position = (struct position){.ticks = 0, .rip = 0xfff0, .rcx = 0};
	log_header_add_number(header, "vcpus", LOG_VCPUS_MAX);
	log_header_add_number(header, "memory", 128 * MIB);
	log_header_add_number(header, "rtc_base", 1704067200);
	log_header_add_number(header, "tsc_khz", 1000000);
	log_header_add_number(header, "x2apic", 1);
	log_header_add_number(header, "debugcon", 1);
	log_header_add_number(header, "isa_debug_exit", 0);
	log_header_add_text(header, "cmdline", "console=ttyS0 quiet panic=-1 root=/dev/sda1");
	log_header_add_hash(header, "kernel", sample_random(&random));
	log_header_add_hash(header, "initrd", sample_random(&random));
	log_header_add_hash(header, "disk0", sample_random(&random));
	for (uint32_t i = 0; i < SAMPLE_LEAVES; i++) {
		struct log_leaf leaf = {.leaf = firsts[i / 15] + i % 15};

		for (unsigned j = 0; j < ARRAY_COUNT(leaf.registers); j++)
			leaf.registers[j] = (uint32_t)sample_random(&random);
		log_header_add_leaf(header, &leaf);
	}
}

// Small numbers more often than large ones.
static uint64_t random_number(struct sample *sample)
{
	uint64_t number = sample_random(sample);

	return number >> sample_random(sample) % 64;
}

static void payload_make(struct sample *sample, uint32_t max)
{
	struct log_record *record = &sample->record;

	record->payload_bytes = (uint32_t)(sample_random(sample) % (max + 1));
	record->payload = sample->payload;
	for (uint32_t i = 0; i < record->payload_bytes; i++)
		sample->payload[i] = (uint8_t)sample_random(sample);
}

static void event_make(struct sample *sample)
{
	struct log_record *record = &sample->record;
	uint64_t random = sample_random(sample);
	uint64_t *sequence;

	record->device = (uint16_t)(random % 4 == 0 ? 40000 + random % 5 : random % 8);
	sequence = &sample->sequences[record->device % ARRAY_COUNT(sample->sequences)];
	*sequence += sample_random(sample) % 8 == 0 ? random_number(sample) : 1;
	record->sequence = *sequence;
	record->index = (uint16_t)(random >> 8 & (random % 5 == 0 ? 0xffff : 1));
	if (record->kind == EVENT_LINE)
		record->value = random >> 40 & 1;
	else if (record->kind != EVENT_CHARACTERS)
		record->value = random_number(sample);
	if (record->kind == EVENT_PACKET)
		payload_make(sample, SAMPLE_PAYLOAD_MAX);
	else if (record->kind == EVENT_CHARACTERS || record->kind == EVENT_COMPLETION ||
		record->kind == EVENT_KEY)
		payload_make(sample, EVENT_PAYLOAD_MAX);
}

void sample_next(struct sample *sample)
{
	static const uint8_t kinds[] = {EVENT_CHARACTERS, EVENT_COMPLETION, EVENT_COMPLETION,
		EVENT_LINE, EVENT_MACHINE, EVENT_PACKET, EVENT_KEY, EVENT_USB, EVENT_AUDIO,
		LOG_RATE, LOG_BEACON, LOG_CONTENTS};
	struct log_record *record = &sample->record;
	struct position position = record->position;
	uint8_t vcpu = record->vcpu;
	uint64_t random = sample_random(sample);

	position.ticks += random % 3 == 0 ? 0 : random_number(sample) >> 24;
	if ((random >> 8) % 2 == 0)
		position.rip = sample_random(sample) >> (random >> 16) % 64;
	if ((random >> 24) % 2 == 0)
		position.rcx = random_number(sample);
	if ((random >> 48) % 4 == 0)
		vcpu = (uint8_t)(random >> 56) % LOG_VCPUS_MAX;
	*record = (struct log_record){.kind = kinds[(random >> 32) % ARRAY_COUNT(kinds)],
		.halted = (random >> 40) % 4 == 0, .vcpu = vcpu, .position = position};
	if (record->halted)
		record->time = sample->time += random_number(sample) >> 24;
	if (record->kind <= LOG_EVENT_LAST)
		event_make(sample);
	else if (record->kind == LOG_RATE)
		record->value = random_number(sample) | 1;
	else
		payload_make(sample, 64);
	if (record->kind == LOG_CONTENTS && record->payload_bytes == 0)
		record->kind = LOG_BEACON;
}
