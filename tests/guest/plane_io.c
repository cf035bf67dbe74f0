// SPDX-License-Identifier: BSD-2-Clause
// Reads and writes of a virtio disk without an end, for tests/plane.py: as many as 32 at once,
// answered by interrupts or found in the used ring in turn. Each chain must come back once, with
// its length and status, and each block must hold what was written to it last. What has been done
// so far stands at LOW_DATA, in words: rounds, chains, and what was wrong first (0: nothing).
#include "lib/payload.h"

PAYLOAD("plane_io");

#define VIRTIO_MANY 32
#include "lib/virtio.h"

enum { BYTES = 4096, WORDS = BYTES / 8, BLOCKS = 256, VECTOR = 0x62 };
enum { NO_DISK = 1, BAD_START, BAD_BYTES, BAD_STATUS, BAD_ID, BAD_LENGTH, BROKEN };

static volatile uint32_t *const progress = (volatile uint32_t *)(uintptr_t)LOW_DATA;
static uint64_t data[VIRTIO_MANY][WORDS] __attribute__((aligned(4096)));
static uint64_t versions[BLOCKS]; // 0: never written
static uint32_t blocks[VIRTIO_MANY];
static bool writes[VIRTIO_MANY];
static volatile unsigned interrupts;
static uint64_t seed = 1;

static void hook(struct trap_frame *frame)
{
	(void)frame;
	interrupts = interrupts + 1;
	lapic_write(LAPIC_EOI, 0);
}

static uint32_t pick(uint32_t below)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(seed >> 33) % below;
}

static _Noreturn void wrong(uint32_t what)
{
	progress[2] = what;
	for (;;)
		__asm__ volatile("cli; hlt");
}

static uint64_t word_of(uint32_t block, uint64_t version, unsigned index)
{
	return version == 0 ? 0 : (version << 32 | block << 12 | index) * 0x9e3779b97f4a7c15;
}

static bool block_is(const uint64_t *words, uint32_t block, uint64_t version)
{
	for (unsigned i = 0; i < WORDS; i++)
		if (words[i] != word_of(block, version, i))
			return false;
	return true;
}

// Each chain of the batch is in the used ring once, behind `before`.
static void check_used(uint16_t before, unsigned depth)
{
	uint32_t back = 0;

	if (device[1] != offered)
		wrong(BAD_ID);
	for (unsigned i = 0; i < depth; i++) {
		unsigned at = 2 + 4 * ((before + i) % SIZE);
		unsigned n = device[at] / 3;

		if (device[at] % 3 != 0 || n >= depth || (back & 1u << n) != 0)
			wrong(BAD_ID);
		back |= 1u << n;
		if (device[at + 2] != (writes[n] ? 1 : BYTES + 1))
			wrong(BAD_LENGTH);
		if (status[n] != 0)
			wrong(BAD_STATUS);
	}
}

// What has been offered since `before` comes back.
static void finish(uint16_t before, unsigned depth, bool polls)
{
	driver[2 + SIZE] = (uint16_t)(polls ? before + 0x4000 : offered - 1);
	__asm__ volatile("mfence" : : : "memory");
	if ((uint16_t)(offered - device[2 + 4 * SIZE] - 1) < (uint16_t)(offered - before))
		write16(NOTIFY, 0);
	while (device[1] != offered) {
		if (polls) {
			pause();
			continue;
		}
		__asm__ volatile("cli");
		if (device[1] != offered)
			__asm__ volatile("sti; hlt");
		__asm__ volatile("sti");
	}
	check_used(before, depth);
	progress[1] = progress[1] + depth;
}

static void batch(unsigned depth, bool polls)
{
	uint16_t before = offered;
	uint32_t first = pick(BLOCKS);

	for (unsigned n = 0; n < depth; n++) {
		blocks[n] = (first + 11 * n) % BLOCKS; // none twice
		writes[n] = pick(2) != 0;
		if (writes[n])
			versions[blocks[n]]++;
		for (unsigned i = 0; i < WORDS; i++)
			data[n][i] = writes[n] ? word_of(blocks[n], versions[blocks[n]], i) : ~0ull;
		offer(n, 3 * n, writes[n] ? OUT : IN, (uint64_t)blocks[n] * (BYTES / 512),
			(uint8_t *)data[n], BYTES);
	}
	finish(before, depth, polls);
	for (unsigned n = 0; n < depth; n++)
		if (!writes[n] && !block_is(data[n], blocks[n], versions[blocks[n]]))
			wrong(BAD_BYTES);
}

// What a machine that was reset has left there: each block as it was written at some time.
static void disk_read(void)
{
	for (uint32_t block = 0; block < BLOCKS; block++) {
		uint16_t before = offered;

		writes[0] = false;
		offer(0, 0, IN, (uint64_t)block * (BYTES / 512), (uint8_t *)data[0], BYTES);
		finish(before, 1, true);
		// The inverse of the factor in word_of.
		versions[block] = data[0][0] * 0xf1de83e19937733d >> 32;
		if (!block_is(data[0], block, versions[block]))
			wrong(BAD_START);
	}
}

void payload_main(void)
{
	progress[0] = progress[1] = progress[2] = 0;
	if (!find())
		wrong(NO_DISK);
	pic_init(0xff, 0xff);
	lapic_prepare();
	trap_set_hook(VECTOR, hook);
	write32(MSIX + 16, LAPIC_BASE);
	write32(MSIX + 20, 0);
	write32(MSIX + 24, VECTOR);
	write32(MSIX + 28, 0);
	config_write(0x40, config_read(0x40) | 0x80000000);
	begin(EVENT_IDX, 0, true);
	disk_read();
	__asm__ volatile("sti");
	for (;;) {
		batch(1 + pick(VIRTIO_MANY), pick(2) != 0);
		if ((read8(COMMON + STATUS) & NEEDS_RESET) != 0)
			wrong(BROKEN);
		progress[0] = progress[0] + 1;
	}
}
