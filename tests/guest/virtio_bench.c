// SPDX-License-Identifier: BSD-2-Clause
// Reads of 4 KiB from a virtio disk, for tests/bench.py: `depth` of them are made available at once
// (1: one, 2: 32), and answered by one interrupt, or found in the used ring (`poll` 1); `rounds`
// hundreds of that.
#include "lib/payload.h"

PAYLOAD("virtio_bench");

#define VIRTIO_MANY 32
#include "lib/virtio.h"

enum { BYTES = 4096, VECTOR = 0x62, ROUNDS = 100 };

static uint8_t data[VIRTIO_MANY * BYTES] __attribute__((aligned(4096)));
static volatile unsigned interrupts;

static void hook(struct trap_frame *frame)
{
	(void)frame;
	interrupts = interrupts + 1;
	lapic_write(LAPIC_EOI, 0);
}

static unsigned option(const char *name, unsigned otherwise)
{
	const char *at = (const char *)read64((uintptr_t)payload_start_info + 24); // cmdline

	for (; at != NULL && *at != 0; at++) {
		size_t i = 0;

		while (name[i] != 0 && at[i] == name[i])
			i++;
		if (name[i] == 0 && at[i] == '=')
			return (unsigned)(at[i + 1] - '0');
	}
	return otherwise;
}

static void batch(unsigned depth, bool polls)
{
	uint16_t before = offered;
	unsigned count = interrupts;

	for (unsigned n = 0; n < depth; n++)
		offer(n, 3 * n, IN, n * (BYTES / 512), data + n * BYTES, BYTES);
	// used_event: the last of them, or one that is far from all of them.
	driver[2 + SIZE] = (uint16_t)(polls ? before + 0x4000 : offered - 1);
	if ((uint16_t)(offered - device[2 + 4 * SIZE] - 1) < (uint16_t)(offered - before))
		outw(doorbell, 0);
	while ((interrupts == count && !polls) || device[1] != offered)
		pause();
}

void payload_main(void)
{
	unsigned depth = option("depth", 1) == 1 ? 1 : VIRTIO_MANY;
	unsigned rounds = ROUNDS * option("rounds", 1);
	bool polls = option("poll", 0) != 0;

	if (!find() || doorbell == 0) {
		report("found = none");
		return;
	}
	pic_init(0xff, 0xff);
	lapic_prepare();
	if (lapic_has_x2apic())
		lapic_enable_x2apic();
	trap_set_hook(VECTOR, hook);
	write32(MSIX + 16, LAPIC_BASE);
	write32(MSIX + 20, 0);
	write32(MSIX + 24, VECTOR);
	write32(MSIX + 28, 0);
	config_write(0x40, config_read(0x40) | 0x80000000);
	begin(EVENT_IDX, 0, true);
	__asm__ volatile("sti");
	for (unsigned i = 0; i < rounds; i++)
		batch(depth, polls);
	__asm__ volatile("cli");
	report("status = %u", status[depth - 1]);
}
