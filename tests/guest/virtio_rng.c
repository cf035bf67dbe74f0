// SPDX-License-Identifier: BSD-2-Clause
// A virtio entropy device (emul/virtio_rng.c) as a driver finds it on the PCI bus.
//
// VIRTIO 1.2, 5.4.
#include "lib/dev.h"

#include "lib/virtq.h"

PAYLOAD("virtio_rng");

enum { BYTES = 64, VECTOR_PIN = 0x51 };

static struct virtq queue;
static uint8_t numbers[VIRTQ_SIZE][BYTES], large[4096];

static void begin(void)
{
	negotiate(0, 0);
	virtq_begin(&queue, 0);
	write8(COMMON + STATUS, DRIVER_OK);
}

static unsigned bits(uint8_t byte)
{
	unsigned count = 0;

	for (; byte != 0; byte >>= 1)
		count += byte & 1;
	return count;
}

// A byte of random numbers has one bit in two.
static void by_polling(void)
{
	unsigned bytes = 0, ones = 0, same = 0;

	begin();
	for (unsigned i = 0; i < VIRTQ_SIZE; i++)
		virtq_offer(&queue, numbers[i], BYTES, WRITE);
	virtq_notify(&queue);
	for (unsigned i = 0; i < VIRTQ_SIZE; i++)
		bytes += virtq_wait(&queue);
	for (unsigned i = 0; i < VIRTQ_SIZE; i++)
		for (unsigned n = 0; n < BYTES; n++) {
			ones += bits(numbers[i][n]);
			same += i > 0 && numbers[i][n] == numbers[i - 1][n];
		}
	report("bytes = %u", bytes);
	report("ones.plausible = %u", near_by(ones, VIRTQ_SIZE * BYTES * 4, 10));
	report("same.plausible = %u", same < BYTES);
	virtq_offer(&queue, large, sizeof(large), WRITE);
	virtq_notify(&queue);
	report("large = %u", virtq_wait(&queue));
}

static void by_interrupt(void)
{
	unsigned pin = config_read(0x3c) & 0xff;

	trap_set_hook(VECTOR_PIN, irq_hook_without_eoi);
	begin();
	ioapic_route(pin, VECTOR_PIN | 0x8000, 0); // level
	virtq_offer(&queue, numbers[0], 1, WRITE);
	virtq_notify(&queue);
	halt_until(1);
	report("pin.isr = %u", read8(ISR));
	lapic_write(LAPIC_EOI, 0);
	irq_window();
	report_irqs("pin.irqs");
	ioapic_route(pin, LAPIC_MASKED, 0);
}

static void lie(const char *what, const volatile void *at, uint16_t flags)
{
	begin();
	virtq_offer(&queue, at, BYTES, flags);
	virtq_notify(&queue);
	report("%s = 0x%x", what, read8(COMMON + STATUS) & NEEDS_RESET);
}

void payload_main(void)
{
	if (!find_device(0x1005)) {
		report("found = none");
		return;
	}
	pic_init(0xff, 0xff);
	lapic_prepare();
	report("subsystem = 0x%x", config_read(0x2c));
	by_polling();
	by_interrupt();
	lie("lie.read", numbers, 0);
	lie("lie.mmio", (const void *)(uintptr_t)LAPIC_BASE, WRITE);
	by_polling();
}
