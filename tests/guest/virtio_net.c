// SPDX-License-Identifier: BSD-2-Clause
// Two virtio network devices (emul/virtio_net.c) in one switch: frames of all lengths from each to
// the other, buffers that are merged, a checksum that is completed on the way, an interrupt,
// filters, and a driver that lies.
//
// VIRTIO 1.2, 5.1; IEEE 802.3, 3.2.
#include "lib/dev.h"

#include "lib/net.h"

PAYLOAD("virtio_net");

enum { ROUNDS = 30, BURST = 8, PIN = 11, VECTOR = 0x51 };

static struct net a, b;
static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static uint8_t byte_of(uint32_t number, unsigned at)
{
	return (uint8_t)(number * 7 + at * 3 + (at >> 8));
}

static uint32_t bytes_of(uint32_t number)
{
	return 14 + number * 97 % (NET_FRAME_MAX - 13);
}

static void send_numbered(struct net *net, uint16_t index, const uint8_t *to, uint32_t number)
{
	uint32_t bytes = bytes_of(number);

	net_header_clear(net, index);
	for (unsigned i = 14; i < bytes; i++)
		net_frame_of(net, index)[i] = byte_of(number, i);
	net_addresses(net, index, to);
	net_send(net, index, bytes);
}

static bool is_numbered(const uint8_t *frame, uint32_t bytes, const struct net *from,
	uint32_t number)
{
	if (bytes != bytes_of(number) || frame[12] != 0x88 || frame[13] != 0xb5)
		return false;
	for (unsigned i = 0; i < 6; i++)
		if (frame[6 + i] != from->mac[i])
			return false;
	for (unsigned i = 14; i < bytes; i++)
		if (frame[i] != byte_of(number, i))
			return false;
	return true;
}

static const uint8_t *wait_frame(struct net *net, uint16_t *index, uint32_t *bytes)
{
	const uint8_t *frame;

	while ((frame = net_received(net, index, bytes)) == NULL)
		pause();
	return frame;
}

static bool nothing_comes(struct net *net)
{
	wait_us(3000);
	return !net_answered(&net->queues[NET_RECEIVE]);
}

// Bursts, each of which is waited for: so no ring is ever full.
static unsigned exchange(struct net *from, struct net *to, uint32_t number)
{
	unsigned good = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (uint16_t i = 0; i < BURST; i++)
			send_numbered(from, i, to->mac, number + i);
		net_notify(from, NET_SEND);
		for (unsigned i = 0; i < BURST; i++) {
			uint16_t index;
			uint32_t bytes;
			const uint8_t *frame = wait_frame(to, &index, &bytes);

			good += is_numbered(frame, bytes, from, number++);
			net_buffer_offer(to, index);
		}
		net_sent(from);
	}
	return good;
}

static void by_polling(void)
{
	uint16_t index;
	uint32_t bytes;
	const uint8_t *frame;

	net_begin(&a, 0, NET_BUFFER);
	net_begin(&b, 0, NET_BUFFER);
	send_numbered(&a, 0, all, 600);
	net_notify(&a, NET_SEND);
	frame = wait_frame(&b, &index, &bytes);
	report("broadcast.arrived = %u", is_numbered(frame, bytes, &a, 600));
	report("broadcast.came_back = %u", !nothing_comes(&a));
	report("a_to_b = %u", exchange(&a, &b, 0));
	report("b_to_a = %u", exchange(&b, &a, 1000));
}

static void merged(void)
{
	uint32_t number = 0, bytes, sum = 0;
	bool same = true;
	unsigned buffers;

	while (bytes_of(number) != NET_FRAME_MAX)
		number++;
	net_begin(&b, NET_F_MERGE, 300);
	send_numbered(&a, 0, b.mac, number);
	net_notify(&a, NET_SEND);
	while (!net_answered(&b.queues[NET_RECEIVE]))
		pause();
	buffers = ((const struct net_header *)b.buffers[0])->buffers;
	report("merged.buffers = %u", buffers);
	for (unsigned i = 0; i < buffers; i++) {
		uint32_t id = net_used(&b.queues[NET_RECEIVE], &bytes);

		for (unsigned n = i == 0 ? NET_HEADER + 14 : 0; n < bytes; n++)
			same &= b.buffers[id][n] == byte_of(number, sum + n - NET_HEADER);
		sum += bytes;
	}
	report("merged.bytes = %u", sum);
	report("merged.same = %u", same);
	net_sent(&a);
}

// A field of 0010h at 40, and a sum from 34 on: as in tests/unit/virtio_net_test.c.
static void checksum(const char *what, uint32_t features)
{
	uint16_t index;
	uint32_t bytes;
	const uint8_t *frame;

	net_begin(&a, NET_F_CSUM, NET_BUFFER);
	net_begin(&b, features, NET_BUFFER);
	*net_header_of(&a, 0) = (struct net_header){.flags = 1, .start = 34, .offset = 6};
	for (unsigned i = 14; i < 64; i++)
		net_frame_of(&a, 0)[i] = 0;
	net_frame_of(&a, 0)[34] = 0x12;
	net_frame_of(&a, 0)[35] = 0x34;
	net_frame_of(&a, 0)[41] = 0x10;
	net_addresses(&a, 0, b.mac);
	net_send(&a, 0, 64);
	net_notify(&a, NET_SEND);
	frame = wait_frame(&b, &index, &bytes);
	report("checksum.%s = 0x%x, flags 0x%x", what, frame[40] << 8 | frame[41],
		((const struct net_header *)(frame - NET_HEADER))->flags);
	net_sent(&a);
}

static void by_interrupt(void)
{
	trap_set_hook(VECTOR, irq_hook_without_eoi);
	net_begin(&a, 0, NET_BUFFER);
	net_begin(&b, 0, NET_BUFFER);
	a.queues[NET_SEND].driver[0] = 1; // none for what it has sent
	ioapic_route(PIN, VECTOR | 0x8000, 0); // level
	send_numbered(&a, 0, b.mac, 5);
	net_notify(&a, NET_SEND);
	halt_until(1);
	report("interrupt.isr = %u, %u", read8(a.at + NET_ISR), read8(b.at + NET_ISR));
	lapic_write(LAPIC_EOI, 0);
	irq_window();
	report_irqs("interrupts");
	ioapic_route(PIN, LAPIC_MASKED, 0);
}

static uint8_t command(struct net *net, uint8_t class, uint8_t code, uint8_t value)
{
	static uint8_t bytes[3];
	static volatile uint8_t answer;
	struct net_queue *queue = &net->queues[NET_CONTROL];
	uint32_t count;

	bytes[0] = class;
	bytes[1] = code;
	bytes[2] = value;
	answer = 0xee;
	queue->ring[0] = (struct net_descriptor){(uintptr_t)bytes, 3, NET_NEXT, 1};
	queue->ring[1] = (struct net_descriptor){(uintptr_t)&answer, 1, NET_WRITE, 0};
	net_offer(queue, 0);
	net_notify(net, NET_CONTROL);
	while (!net_answered(queue))
		pause();
	(void)net_used(queue, &count);
	return answer;
}

static void filters(void)
{
	static const uint8_t nobody[6] = {2, 0, 0, 0, 0, 0x77};
	const uint8_t *frame;
	uint16_t index;
	uint32_t bytes;

	net_begin(&a, 0, NET_BUFFER);
	net_begin(&b, NET_F_CONTROL | NET_F_CTRL_RX, NET_BUFFER);
	send_numbered(&a, 0, nobody, 1);
	net_notify(&a, NET_SEND);
	(void)wait_frame(&b, &index, &bytes);
	report("filter.at_first = 1");
	report("filter.answer = %u", command(&b, 0, 0, 0));
	send_numbered(&a, 1, nobody, 2);
	net_notify(&a, NET_SEND);
	report("filter.others = %u", !nothing_comes(&b));
	send_numbered(&a, 2, b.mac, 3);
	net_notify(&a, NET_SEND);
	frame = wait_frame(&b, &index, &bytes);
	report("filter.own = %u", is_numbered(frame, bytes, &a, 3));
	report("filter.wrong = %u", command(&b, 9, 0, 0));
}

static void lies(void)
{
	net_begin(&a, 0, NET_BUFFER);
	net_send(&a, 0, 0); // no frame: dropped
	net_notify(&a, NET_SEND);
	net_sent(&a);
	report("lie.empty = 0x%x", read8(a.at + NET_STATUS) & NET_NEEDS_RESET);
	a.queues[NET_SEND].ring[1] = (struct net_descriptor){(uintptr_t)a.out[1], 5, 0, 0};
	net_offer(&a.queues[NET_SEND], 1);
	net_notify(&a, NET_SEND);
	report("lie.header = 0x%x", read8(a.at + NET_STATUS) & NET_NEEDS_RESET);
	net_begin(&b, 0, 8); // no room for a header
	net_begin(&a, 0, NET_BUFFER);
	send_numbered(&a, 0, b.mac, 1);
	net_notify(&a, NET_SEND);
	while (!(read8(b.at + NET_STATUS) & NET_NEEDS_RESET))
		pause();
	report("lie.buffer = 0x40");
	net_begin(&b, 0, NET_BUFFER);
	report("again = %u", exchange(&a, &b, 0));
}

void payload_main(void)
{
	if (!net_find(&a, 0) || !net_find(&b, 1)) {
		report("found = none");
		return;
	}
	pic_init(0xff, 0xff);
	lapic_prepare();
	report("functions = 0x%x, 0x%x", a.function >> 11 & 31, b.function >> 11 & 31);
	report("local = %u, %u", a.mac[0] & 3, b.mac[0] & 3);
	report("mtu = %u", read16(a.at + NET_CONFIG + 10));
	by_polling();
	merged();
	checksum("completed", 0);
	checksum("open", NET_F_GUEST_CSUM);
	by_interrupt();
	filters();
	lies();
}
