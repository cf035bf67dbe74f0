// SPDX-License-Identifier: BSD-2-Clause
// A virtio console (emul/virtio_console.c) as a driver finds it on the PCI bus. What it sends comes
// out where the serial port's characters do.
//
// VIRTIO 1.2, 5.3.
#include "lib/dev.h"

#include "lib/virtq.h"

PAYLOAD("virtio_console");

enum { RECEIVE, TRANSMIT, LARGE = 10000 };

static struct virtq queues[2];
static char text[] = "virtio_console: by the device\n", input[64], large[LARGE];

static void begin(void)
{
	negotiate(0, 0);
	virtq_begin(&queues[RECEIVE], RECEIVE);
	virtq_begin(&queues[TRANSMIT], TRANSMIT);
	write8(COMMON + STATUS, DRIVER_OK);
}

static void send(const volatile void *at, uint32_t bytes)
{
	virtq_offer(&queues[TRANSMIT], at, bytes, 0);
	virtq_notify(&queues[TRANSMIT]);
	(void)virtq_wait(&queues[TRANSMIT]);
}

static void emergency(const char *characters)
{
	for (; *characters != '\0'; characters++)
		write32(CONFIG + 8, (uint8_t)*characters);
}

static void lie(const char *what, unsigned queue, const volatile void *at, uint16_t flags)
{
	begin();
	virtq_offer(&queues[queue], at, 16, flags);
	virtq_notify(&queues[queue]);
	report("%s = 0x%x", what, read8(COMMON + STATUS) & NEEDS_RESET);
}

void payload_main(void)
{
	if (!find_device(0x1003)) {
		report("found = none");
		return;
	}
	pic_init(0xff, 0xff);
	report("subsystem = 0x%x", config_read(0x2c));
	report("features = 0x%x", features(0) & 7);
	report("size = %u, %u", read16(CONFIG), read16(CONFIG + 2));
	emergency("virtio_console: in an emergency\n");
	begin();
	send(text, sizeof(text) - 1);
	for (unsigned i = 0; i < LARGE - 1; i++)
		large[i] = '.';
	large[LARGE - 1] = '\n';
	send(large, LARGE);
	virtq_offer(&queues[RECEIVE], input, sizeof(input), WRITE);
	virtq_notify(&queues[RECEIVE]);
	report("received = %u", queues[RECEIVE].device[1]);
	lie("lie.write", TRANSMIT, text, WRITE);
	lie("lie.mmio", TRANSMIT, (const void *)(uintptr_t)LAPIC_BASE, 0);
	begin();
	send(text, sizeof(text) - 1);
}
