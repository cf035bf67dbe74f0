// SPDX-License-Identifier: BSD-2-Clause
// A virtio memory balloon (emul/virtio_balloon.c) as a driver finds it on the PCI bus.
//
// VIRTIO 1.2, 5.5.
#include "lib/dev.h"

#include "lib/virtq.h"

PAYLOAD("virtio_balloon");

enum { INFLATE, DEFLATE, STATS, PAGES = 100 };

static struct virtq queues[3];
static uint32_t frames[PAGES];
static uint8_t memory[PAGES + 1][4096] __attribute__((aligned(4096)));
static struct {
	uint16_t tag;
	uint64_t value;
} __attribute__((packed)) stats[2] = {{4, 1 << 20}, {5, 16 << 20}};

static void begin(void)
{
	negotiate(6, 0); // statistics, deflate on OOM
	for (unsigned i = 0; i < 3; i++)
		virtq_begin(&queues[i], i);
	write8(COMMON + STATUS, DRIVER_OK);
}

static void give(unsigned queue, uint32_t bytes)
{
	virtq_offer(&queues[queue], frames, bytes, 0);
	virtq_notify(&queues[queue]);
}

static void memory_fill(void)
{
	for (unsigned i = 0; i <= PAGES; i++)
		for (unsigned n = 0; n < 4096; n++)
			memory[i][n] = (uint8_t)(i + 1);
}

static unsigned pages_of(uint8_t value)
{
	unsigned pages = 0;

	for (unsigned i = 0; i <= PAGES; i++) {
		unsigned same = 0;

		for (unsigned n = 0; n < 4096; n++)
			same += memory[i][n] == value;
		pages += same == 4096;
	}
	return pages;
}

static void lie(const char *what, unsigned queue, uint32_t bytes)
{
	begin();
	give(queue, bytes);
	report("%s = 0x%x", what, read8(COMMON + STATUS) & NEEDS_RESET);
}

void payload_main(void)
{
	if (!find_device(0x1002)) {
		report("found = none");
		return;
	}
	pic_init(0xff, 0xff);
	report("subsystem = 0x%x", config_read(0x2c));
	report("features = 0x%x", features(0) & 0x3f);
	report("wanted = %u", read32(CONFIG));
	memory_fill();
	for (unsigned i = 0; i < PAGES; i++)
		frames[i] = (uint32_t)((uintptr_t)memory[i] >> 12);
	begin();
	give(INFLATE, sizeof(frames));
	(void)virtq_wait(&queues[INFLATE]);
	report("empty = %u", pages_of(0));
	report("others = %u", pages_of(PAGES + 1));
	write32(CONFIG + 4, PAGES);
	report("actual = %u", read32(CONFIG + 4));
	memory_fill();
	give(DEFLATE, sizeof(frames));
	(void)virtq_wait(&queues[DEFLATE]);
	report("kept = %u", pages_of(1));
	virtq_offer(&queues[STATS], stats, sizeof(stats), 0);
	virtq_notify(&queues[STATS]);
	report("stats = %u", queues[STATS].device[1]); // kept until somebody asks
	lie("lie.length", INFLATE, 6);
	frames[0] = LAPIC_BASE >> 12;
	lie("lie.mmio", INFLATE, 4);
	lie("deflate.mmio", DEFLATE, 4);
}
