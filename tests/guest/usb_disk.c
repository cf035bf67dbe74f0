// SPDX-License-Identifier: BSD-2-Clause
// Disks at USB (emul/usb_storage.c): one at the first port, a read-only one behind the hub at the
// second. Data, errors, disagreements and resets in mid-transfer. What depends on how long a
// request takes is not printed.
#include "lib/uhci.h"

PAYLOAD("usb_disk");

enum {
	FIRST = 1, HUB, SECOND, // addresses
	BULK_IN = 1, BULK_OUT = 2,
	PACKET = 64, SECTOR = 512,
	DISK_SECTORS = 128, // of 64 KiB
	READ_10 = 0x28, WRITE_10 = 0x2a, SYNCHRONIZE = 0x35, READ_CAPACITY = 0x25,
	STORAGE_RESET = 0xff,
	TRIES = 2000,
};

static uint8_t block[31] = {'U', 'S', 'B', 'C'}, status[16];
static uint8_t wire[32 * PACKET] __attribute__((aligned(4096)));

// Up to 32 packets; those that are answered with NAK are tried again in each frame.
static int bulk(unsigned address, bool in, void *buffer, unsigned bytes)
{
	unsigned count = 0;

	for (unsigned from = 0; from < bytes; from += PACKET, count++)
		td_make(count, in ? USB_PID_IN : USB_PID_OUT, address, in ? BULK_IN : BULK_OUT,
			(uint8_t *)buffer + from, bytes - from < PACKET ? bytes - from : PACKET);
	for (unsigned i = 0; i < TRIES; i++) {
		int result = await(count);

		if (result != IS_NAKED)
			return moved(result, 0, count);
		tds[(queue.element & ~15u) / sizeof(tds[0]) - address_of(tds) / sizeof(tds[0])]
			.control &= ~(uint32_t)NAK;
		wait_us(500);
	}
	return IS_LATE;
}

static void halt_clear(unsigned address, unsigned endpoint)
{
	(void)control(address, USB_TO_ENDPOINT, USB_CLEAR_FEATURE, 0, endpoint, 0);
}

static int command(unsigned address, unsigned code, unsigned lba, unsigned sectors, bool in,
	unsigned length)
{
	for (unsigned i = 4; i < sizeof(block); i++)
		block[i] = 0;
	block[4] = (uint8_t)code; // the tag
	block[8] = (uint8_t)length;
	block[9] = (uint8_t)(length >> 8);
	block[12] = in ? 0x80 : 0;
	block[14] = 10;
	block[15] = (uint8_t)code;
	block[20] = (uint8_t)lba;
	block[23] = (uint8_t)sectors;
	return bulk(address, false, block, sizeof(block));
}

// 0 passed, 1 failed, 2 phase error; with its residue above.
static int status_take(unsigned address)
{
	int bytes = bulk(address, true, status, 13);

	if (bytes == IS_STALLED) {
		halt_clear(address, USB_ENDPOINT_IN | BULK_IN);
		bytes = bulk(address, true, status, 13);
	}
	if (bytes != 13 || status[3] != 'S' || status[4] != block[4])
		return -1;
	return status[12] | (status[8] | status[9] << 8) << 8;
}

static uint8_t pattern(unsigned seed, unsigned at)
{
	return (uint8_t)(seed * 37 + at * 11 + (at >> 8) + 1);
}

static bool holds(unsigned bytes, unsigned seed)
{
	for (unsigned i = 0; i < bytes; i++)
		if (wire[i] != pattern(seed, i))
			return false;
	return true;
}

static void capacity(const char *what, unsigned address)
{
	int bytes;

	(void)command(address, 0, 0, 0, false, 0); // it tells of its power-on
	report("%s attention = %d", what, status_take(address));
	(void)command(address, READ_CAPACITY, 0, 0, true, 8);
	bytes = bulk(address, true, wire, 8);
	report("%s capacity = %d bytes, last %u of %u; %d", what, bytes, wire[3],
		(unsigned)(wire[6] << 8), status_take(address));
}

static void written_and_read(unsigned lba, unsigned sectors, unsigned seed)
{
	unsigned bytes = sectors * SECTOR;
	int sent, ended, got;

	for (unsigned i = 0; i < bytes; i++)
		wire[i] = pattern(seed, i);
	(void)command(FIRST, WRITE_10, lba, sectors, false, bytes);
	sent = bulk(FIRST, false, wire, bytes);
	ended = status_take(FIRST);
	for (unsigned i = 0; i < bytes; i++)
		wire[i] = 0;
	(void)command(FIRST, READ_10, lba, sectors, true, bytes);
	got = bulk(FIRST, true, wire, bytes);
	report("wrote %d, %d; read %d, %s", sent, ended, got,
		status_take(FIRST) == 0 && holds(bytes, seed) ? "ok" : "WRONG");
}

static void wrong(void)
{
	int result;

	(void)command(FIRST, READ_10, DISK_SECTORS - 1, 2, true, 2 * SECTOR);
	result = bulk(FIRST, true, wire, 2 * SECTOR);
	halt_clear(FIRST, USB_ENDPOINT_IN | BULK_IN);
	report("beyond = %d, 0x%x", result, (unsigned)status_take(FIRST));
	(void)command(FIRST, READ_10, 0, 1, false, SECTOR);
	result = bulk(FIRST, false, wire, PACKET);
	halt_clear(FIRST, BULK_OUT);
	report("other way = %d, 0x%x", result, (unsigned)status_take(FIRST));
	(void)command(SECOND, WRITE_10, 0, 1, false, SECTOR);
	result = bulk(SECOND, false, wire, PACKET);
	halt_clear(SECOND, BULK_OUT);
	report("read-only = %d, 0x%x", result, (unsigned)status_take(SECOND));
	result = bulk(FIRST, false, wire, 30);
	report("no block = %d, then %d", result, bulk(FIRST, true, status, 13));
}

static void recovered(void)
{
	int result = control(FIRST, USB_TYPE_CLASS | USB_TO_INTERFACE, STORAGE_RESET, 0, 0, 0);

	halt_clear(FIRST, USB_ENDPOINT_IN | BULK_IN);
	halt_clear(FIRST, BULK_OUT);
	report("reset = %d", result);
	(void)command(FIRST, READ_10, 0, 4, true, 4 * SECTOR);
	(void)control(FIRST, USB_TYPE_CLASS | USB_TO_INTERFACE, STORAGE_RESET, 0, 0, 0);
	written_and_read(9, 3, 4);
	(void)command(FIRST, READ_10, 0, 4, true, 4 * SECTOR);
	begin(); // in mid-transfer
	port_enable(0);
	device_begin("first", FIRST);
	capacity("first", FIRST);
	written_and_read(100, 4, 5);
}

void payload_main(void)
{
	pic_init(0xff, 0xff);
	lapic_prepare();
	controller_place();
	begin();
	port_enable(0);
	device_begin("first", FIRST);
	port_enable(1);
	device_begin("hub", HUB);
	(void)control(HUB, HUB_TYPE, USB_SET_FEATURE, HUB_PORT_RESET, 1, 0);
	device_begin("second", SECOND);
	capacity("first", FIRST);
	capacity("second", SECOND);
	written_and_read(0, 1, 1);
	written_and_read(5, 4, 2);
	written_and_read(DISK_SECTORS - 3, 3, 3);
	(void)command(FIRST, SYNCHRONIZE, 0, 0, false, 0);
	report("flushed = %d", status_take(FIRST));
	wrong();
	recovered();
}
