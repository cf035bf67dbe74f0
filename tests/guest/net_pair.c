// SPDX-License-Identifier: BSD-2-Clause
// Two machines in one switch, for tests/net.py: the one whose address is even asks, the other
// answers each frame with its bytes turned round. Frames that are lost are asked for again. Command
// line: rounds=N, from 1 to 9: so many times 40 bursts.
#include "lib/dev.h"

#include "lib/net.h"

PAYLOAD("net_pair");

enum { ROUNDS = 40, BURST = 8, BYTES = 1000, AT = 18, PATIENCE_US = 20000 };

static struct net net;
static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static uint8_t peer[6];

static unsigned rounds(void)
{
	const char *at = (const char *)read64((uintptr_t)payload_start_info + 24); // cmdline

	while (at != NULL && *at != 0 && *at != '=')
		at++;
	return at != NULL && *at == '=' ? (unsigned)(at[1] - '0') * ROUNDS : ROUNDS;
}

static uint32_t number_of(const uint8_t *frame)
{
	return frame[14] | (uint32_t)frame[15] << 8;
}

static void send(uint16_t index, const uint8_t *to, uint32_t number, uint8_t mask)
{
	uint8_t *frame = net_frame_of(&net, index);

	net_header_clear(&net, index);
	net_addresses(&net, index, to);
	frame[14] = (uint8_t)number;
	frame[15] = (uint8_t)(number >> 8);
	frame[16] = mask;
	for (unsigned i = AT; i < BYTES; i++)
		frame[i] = (uint8_t)(number * 11 + i) ^ mask;
	net_send(&net, index, BYTES);
}

static bool is_good(const uint8_t *frame, uint32_t bytes, uint8_t mask)
{
	if (bytes != BYTES || frame[16] != mask)
		return false;
	for (unsigned i = AT; i < BYTES; i++)
		if (frame[i] != ((uint8_t)(number_of(frame) * 11 + i) ^ mask))
			return false;
	return true;
}

// Answers to the frames from `first` on; bits of those that came in time.
static uint32_t answers(uint32_t first, uint32_t wanted)
{
	uint32_t start = pm_now(), got = 0;

	while (got != wanted && pm_since(start) < PATIENCE_US * 36 / 10) {
		uint16_t index;
		uint32_t bytes;
		const uint8_t *frame = net_received(&net, &index, &bytes);

		if (frame == NULL) {
			idle();
			continue;
		}
		if (is_good(frame, bytes, 0xff) && number_of(frame) - first < BURST)
			got |= 1u << (number_of(frame) - first);
		for (unsigned i = 0; i < 6; i++)
			peer[i] = frame[6 + i];
		net_buffer_offer(&net, index);
	}
	return got;
}

// Bits: the frames from `first` on that are still to be answered.
static void ask(uint32_t first, uint32_t wanted, const uint8_t *to)
{
	while (wanted != 0) {
		for (uint16_t i = 0; i < BURST; i++)
			if ((wanted & 1u << i) != 0)
				send(i, to, first + i, 0);
		net_notify(&net, NET_SEND);
		wanted &= ~answers(first, wanted);
		net_sent(&net);
	}
}

static void ask_all(void)
{
	ask(0xff00, 1, all);
	for (unsigned round = 0; round < rounds(); round++)
		ask(round * BURST, (1u << BURST) - 1, peer);
	report("answered = %u", rounds() * BURST);
	for (uint16_t i = 0; i < BURST; i++) // that is all: one of them will arrive
		send(i, peer, 0xfff0, 0);
	net_notify(&net, NET_SEND);
	net_sent(&net);
}

static void answer_all(void)
{
	for (;;) {
		uint16_t index;
		uint32_t bytes, number;
		const uint8_t *frame = net_received(&net, &index, &bytes);

		if (frame == NULL) {
			idle();
			continue;
		}
		number = number_of(frame);
		if (is_good(frame, bytes, 0) && number == 0xfff0)
			return;
		if (is_good(frame, bytes, 0)) {
			for (unsigned i = 0; i < 6; i++)
				peer[i] = frame[6 + i];
			send(0, peer, number, 0xff);
			net_notify(&net, NET_SEND);
			net_sent(&net);
		}
		net_buffer_offer(&net, index);
	}
}

void payload_main(void)
{
	if (!net_find(&net, 0)) {
		report("found = none");
		return;
	}
	pic_init(0xff, 0xff);
	net_begin(&net, 0, NET_BUFFER);
	report("asks = %u", ~net.mac[5] & 1);
	if ((net.mac[5] & 1) == 0)
		ask_all();
	else
		answer_all();
}
