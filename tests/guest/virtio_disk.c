// SPDX-License-Identifier: BSD-2-Clause
// A virtio disk (emul/virtio_blk.c) as a driver finds it on the PCI bus: split and packed rings,
// many requests under way at once, interrupts by the pin and by messages, a reset in the middle,
// and a driver that lies. Requests end in whatever order: what depends on it is not printed.
//
// VIRTIO 1.2, 2.7, 2.8, 4.1, 5.2; PCI 3.0, 6.
#include "lib/dev.h"

PAYLOAD("virtio_disk");

enum {
	SIZE = 32,    // of the ring
	MANY = 8,     // requests under way at once, of three descriptors each
	PART = 2048,  // bytes of one
	COMMON = 0xfd000000, NOTIFY = COMMON + 0x3000, ISR = COMMON + 0x1000,
	CONFIG = COMMON + 0x2000, MSIX = 0xfd100000,
	PIN = 11, VECTOR_PIN = 0x51, VECTOR_MESSAGE = 0x62,
	STATUS = 0x14, FEATURES_OK = 0x0b, DRIVER_OK = 0x0f, NEEDS_RESET = 0x40,
	WRITE = 2, NEXT = 1,
	IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8,
	PACKED = 1 << 2,  // of the features' second word
	VERSION_1 = 1,
	AVAILABLE = 1 << 7, USED = 1 << 15,
};

struct descriptor {
	volatile uint64_t address;
	volatile uint32_t bytes;
	volatile uint16_t a, b; // split: flags, next; packed: id, flags
};

static struct descriptor ring[SIZE] __attribute__((aligned(4096)));
static volatile uint16_t driver[4 + SIZE] __attribute__((aligned(4096)));
static volatile uint16_t device[4 + 4 * SIZE] __attribute__((aligned(4096)));
static struct {
	uint32_t type, reserved;
	uint64_t sector;
} headers[MANY];
static volatile uint8_t status[MANY];
static uint8_t out[MANY * PART] __attribute__((aligned(4096)));
static uint8_t in[MANY * PART] __attribute__((aligned(4096)));
static uint32_t function; // of CONFIG_ADDRESS
static bool packed, wrap;
static uint16_t offered, seen; // chains
static unsigned packed_at;     // the descriptor that is looked at for an answer

static uint32_t config_read(unsigned offset)
{
	outl(0xcf8, function | (offset & 0xfc));
	return inl(0xcfc);
}

static void config_write(unsigned offset, uint32_t value)
{
	outl(0xcf8, function | (offset & 0xfc));
	outl(0xcfc, value);
}

static bool find(void)
{
	for (unsigned slot = 0; slot < 32; slot++) {
		function = 0x80000000 | slot << 11;
		if (config_read(0) == 0x10011af4)
			return true;
	}
	return false;
}

static void begin(bool with_packed, bool messages)
{
	packed = with_packed;
	wrap = true;
	offered = seen = 0;
	packed_at = 0;
	for (unsigned i = 0; i < SIZE; i++)
		ring[i] = (struct descriptor){0, 0, 0, 0};
	for (unsigned i = 0; i < sizeof(driver) / 2; i++)
		driver[i] = 0;
	for (unsigned i = 0; i < sizeof(device) / 2; i++)
		device[i] = 0;
	write8(COMMON + STATUS, 0);
	write8(COMMON + STATUS, 3);
	write32(COMMON + 8, 1);
	write32(COMMON + 0xc, VERSION_1 | (packed ? PACKED : 0));
	write8(COMMON + STATUS, FEATURES_OK);
	write16(COMMON + 0x16, 0);
	write16(COMMON + 0x18, SIZE);
	write64(COMMON + 0x20, (uintptr_t)ring);
	write64(COMMON + 0x28, (uintptr_t)driver);
	write64(COMMON + 0x30, (uintptr_t)device);
	if (messages)
		write16(COMMON + 0x1a, 1);
	write16(COMMON + 0x1c, 1);
	write8(COMMON + STATUS, DRIVER_OK);
}

static void descriptor_set(unsigned at, uint64_t address, uint32_t bytes, uint16_t flags,
	uint16_t id)
{
	ring[at].address = address;
	ring[at].bytes = bytes;
	if (packed) {
		ring[at].a = id;
		ring[at].b = flags | (wrap ? AVAILABLE : USED);
	} else {
		ring[at].a = flags;
		ring[at].b = (uint16_t)(at + 1);
	}
}

// Request `n` of this round, the descriptors from `at` on.
static void offer(unsigned n, unsigned at, uint32_t type, uint64_t sector, uint8_t *data,
	uint32_t bytes)
{
	headers[n].type = type;
	headers[n].sector = sector;
	status[n] = 0xee;
	descriptor_set(at + 1, (uintptr_t)data, bytes, NEXT | (type == OUT ? 0 : WRITE),
		(uint16_t)n);
	descriptor_set(at + 2, (uintptr_t)&status[n], 1, WRITE, (uint16_t)n);
	descriptor_set(at, (uintptr_t)&headers[n], sizeof(headers[n]), NEXT, (uint16_t)n);
	if (!packed) {
		driver[2 + offered % SIZE] = (uint16_t)at;
		driver[1] = (uint16_t)(offered + 1);
	}
	offered++;
}

static bool answered(void)
{
	if (!packed)
		return device[1] != seen;
	return (ring[packed_at].b & (AVAILABLE | USED)) == (wrap ? AVAILABLE | USED : 0);
}

static void wait_all(void)
{
	while (seen != offered) {
		while (!answered())
			pause();
		seen++;
		packed_at += 3;
	}
}

static void round_of(uint32_t type, uint8_t *data)
{
	for (unsigned n = 0; n < MANY; n++)
		offer(n, 3 * n, type, n * (PART / 512), data + n * PART, PART);
	write16(NOTIFY, 0);
}

static unsigned good(void)
{
	unsigned count = 0;

	for (unsigned n = 0; n < MANY; n++)
		count += status[n] == 0;
	return count;
}

static bool is_same(void)
{
	for (unsigned i = 0; i < sizeof(in); i++)
		if (in[i] != out[i])
			return false;
	return true;
}

// Both kinds of rings: what is written, packed or not, is read the other way.
static void by_polling(bool with_packed, unsigned seed)
{
	const char *kind = with_packed ? "packed" : "split";

	for (unsigned i = 0; i < sizeof(out); i++) {
		out[i] = (uint8_t)(i * 7 + (i >> 8) + seed);
		in[i] = 0;
	}
	begin(with_packed, false);
	round_of(OUT, out);
	wait_all();
	report("%s.written = %u", kind, good());
	begin(!with_packed, false);
	round_of(IN, in);
	wait_all();
	report("%s.read = %u", kind, good());
	report("%s.same = %u", kind, is_same());
}

static void by_interrupts(void)
{
	trap_set_hook(VECTOR_PIN, irq_hook_without_eoi);
	trap_set_hook(VECTOR_MESSAGE, irq_hook);
	begin(false, false);
	ioapic_route(PIN, VECTOR_PIN | 0x8000, 0); // level
	offer(0, 0, GET_ID, 0, in, 20);
	write16(NOTIFY, 0);
	halt_until(1);
	report("pin.isr = %u", read8(ISR));
	lapic_write(LAPIC_EOI, 0);
	irq_window();
	report_irqs("pin.irqs");
	report("pin.serial = %c%c%c", in[0], in[1], in[2]);
	write32(MSIX + 16, LAPIC_BASE);
	write32(MSIX + 20, 0);
	write32(MSIX + 24, VECTOR_MESSAGE);
	write32(MSIX + 28, 0);
	config_write(0x40, config_read(0x40) | 0x80000000);
	begin(false, true);
	offer(0, 0, FLUSH, 0, in, 1);
	write16(NOTIFY, 0);
	halt_until(1);
	report_irqs("message.irqs");
	report("message.isr = %u", read8(ISR));
	config_write(0x40, config_read(0x40) & ~0x80000000u);
	ioapic_route(PIN, LAPIC_MASKED, 0);
}

// Nothing of what was under way arrives afterwards.
static void reset_in_the_middle(void)
{
	begin(false, false);
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = 0x5a;
	round_of(IN, in);
	write8(COMMON + STATUS, 0);
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = 0x5a;
	wait_us(5000);
	for (unsigned i = 0; i < sizeof(in); i++)
		if (in[i] != 0x5a) {
			report("reset.memory = WRONG at %u", i);
			return;
		}
	report("reset.memory = ok");
}

static void report_lie(const char *what)
{
	write16(NOTIFY, 0);
	report("%s = 0x%x", what, read8(COMMON + STATUS) & NEEDS_RESET);
}

static void lies(void)
{
	begin(false, false);
	driver[1] = SIZE + 1;
	report_lie("lie.index");
	begin(false, false);
	offer(0, 0, IN, 0, in, 512);
	driver[2] = SIZE;
	report_lie("lie.head");
	begin(false, false);
	offer(0, 0, IN, 0, in, 512);
	ring[2] = (struct descriptor){(uintptr_t)status, 1, NEXT | WRITE, 2};
	report_lie("lie.loop");
	begin(true, false);
	offer(SIZE % MANY, 0, IN, 0, in, 512);
	ring[2].a = SIZE;
	report_lie("lie.id");
	begin(false, false); // to the local APIC: an error, and no more
	offer(0, 0, IN, 0, (uint8_t *)(uintptr_t)LAPIC_BASE, 512);
	write16(NOTIFY, 0);
	wait_all();
	report("mmio.status = %u", status[0]);
	report("mmio.needs_reset = 0x%x", read8(COMMON + STATUS) & NEEDS_RESET);
}

void payload_main(void)
{
	if (!find()) {
		report("found = none");
		return;
	}
	pic_init(0xff, 0xff);
	lapic_prepare();
	report("function = 0x%x", function >> 11 & 31);
	report("interrupt = %u, %u", config_read(0x3c) >> 8 & 0xff, config_read(0x3c) & 0xff);
	config_write(0x14, MSIX);
	config_write(0x20, COMMON);
	config_write(0x24, 0);
	config_write(4, 6);
	report("sectors = %u", read32(CONFIG));
	by_polling(false, 1);
	by_polling(true, 2);
	by_interrupts();
	reset_in_the_middle();
	lies();
}
