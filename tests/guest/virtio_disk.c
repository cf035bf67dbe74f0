// SPDX-License-Identifier: BSD-2-Clause
// A virtio disk (emul/virtio_blk.c) as a driver finds it on the PCI bus: split and packed rings,
// many requests under way at once, interrupts by the pin and by messages, a reset in the middle,
// and a driver that lies. Requests end in whatever order: what depends on it is not printed.
//
// VIRTIO 1.2, 2.7, 2.8, 4.1, 5.2; PCI 3.0, 6.
#include "lib/dev.h"

#define VIRTIO_MANY 8
#include "lib/virtio.h"

PAYLOAD("virtio_disk");

enum {
	MANY = 8,     // requests under way at once, of three descriptors each
	PART = 2048,  // bytes of one
	PIN = 11, VECTOR_PIN = 0x51, VECTOR_MESSAGE = 0x62,
};

static uint8_t out[MANY * PART] __attribute__((aligned(4096)));
static uint8_t in[MANY * PART] __attribute__((aligned(4096)));

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
	begin(0, with_packed ? PACKED : 0, false);
	round_of(OUT, out);
	wait_all();
	report("%s.written = %u", kind, good());
	begin(0, with_packed ? 0 : PACKED, false);
	round_of(IN, in);
	wait_all();
	report("%s.read = %u", kind, good());
	report("%s.same = %u", kind, is_same());
}

// The ids that came back are those that went, in that order.
static void in_order(bool with_packed)
{
	unsigned same = 0;

	begin(0, IN_ORDER | (with_packed ? PACKED : 0), false);
	round_of(IN, in);
	wait_all();
	for (unsigned n = 0; n < MANY; n++)
		same += with_packed ? ring[3 * n].a == n : device[2 + 4 * n] == 3 * n;
	report("%s.in_order = %u of %u", with_packed ? "packed" : "split", same, good());
}

static void by_interrupts(void)
{
	trap_set_hook(VECTOR_PIN, irq_hook_without_eoi);
	trap_set_hook(VECTOR_MESSAGE, irq_hook);
	begin(0, 0, false);
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
	begin(0, 0, true);
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
	begin(0, 0, false);
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

// Who serves the queue may be another core, which needs a while.
static void report_lie(const char *what)
{
	write16(NOTIFY, 0);
	for (unsigned i = 0; i < 1000000 && !(read8(COMMON + STATUS) & NEEDS_RESET); i++)
		pause();
	report("%s = 0x%x", what, read8(COMMON + STATUS) & NEEDS_RESET);
}

static void lies(void)
{
	begin(0, 0, false);
	driver[1] = SIZE + 1;
	report_lie("lie.index");
	begin(0, 0, false);
	offer(0, 0, IN, 0, in, 512);
	driver[2] = SIZE;
	report_lie("lie.head");
	begin(0, 0, false);
	offer(0, 0, IN, 0, in, 512);
	ring[2] = (struct descriptor){(uintptr_t)status, 1, NEXT | WRITE, 2};
	report_lie("lie.loop");
	begin(0, PACKED, false);
	offer(SIZE % MANY, 0, IN, 0, in, 512);
	ring[2].a = SIZE;
	report_lie("lie.id");
	begin(0, 0, false); // to the local APIC: an error, and no more
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
	report("sectors = %u", read32(CONFIG));
	by_polling(false, 1);
	by_polling(true, 2);
	in_order(false);
	in_order(true);
	by_interrupts();
	reset_in_the_middle();
	lies();
}
