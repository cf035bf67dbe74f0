// SPDX-License-Identifier: BSD-2-Clause
// Port I/O: unclaimed ports, access sizes, strings, PCI configuration mechanism 1.
#include "lib/payload.h"

PAYLOAD("ports");

static void ports_unclaimed(void)
{
	report("unclaimed.byte = 0x%x", inb(0x2e8 + 0x1000));
	report("unclaimed.word = 0x%x", inw(0x2e8 + 0x1000));
	report("unclaimed.long = 0x%x", inl(0x2e8 + 0x1000));
	outb(0x12e8, 0x55);
	outw(0x12e8, 0x5555);
	outl(0x12e8, 0x55555555);
	report("unclaimed.after_write = 0x%x", inl(0x12e8));
	report("last_byte = 0x%x", inb(0xffff));
}

// The mask register of an 8259A reads back; byte access alone. 8259A data sheet, OCW1.
static void ports_pic(void)
{
	for (unsigned value = 0; value < 256; value += 0x55) {
		outb(PIC_MASTER + 1, (uint8_t)value);
		outb(PIC_SLAVE + 1, (uint8_t)~value);
		report("pic.mask 0x%x = 0x%x 0x%x", value, inb(PIC_MASTER + 1),
			inb(PIC_SLAVE + 1));
	}
	// A word splits into two bytes, low port first: 0x20 takes OCW2 (no-op), 0x21 the mask.
	outw(PIC_MASTER, 0x5a40);
	report("pic.word_write = 0x%x", inb(PIC_MASTER + 1));
	report("pic.word_read.high = 0x%x", inw(PIC_MASTER) >> 8);
	outb(PIC_MASTER + 1, 0xff);
	outb(PIC_SLAVE + 1, 0xff);
	// IN leaves the register's other bytes alone.
	uint64_t rax = 0x1122334455667788;
	__asm__ volatile("inb $0x21, %%al" : "+a"(rax));
	report("in.byte.rax = 0x%lx", rax);
	rax = 0x1122334455667788;
	__asm__ volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(0x12e8));
	report("in.long.rax = 0x%lx", rax);
}

static void ports_split(void)
{
	// CMOS: the index in the low byte, the data in the high one.
	outb(0x70, 0x45);
	outw(0x70, 0x3c46);
	report("cmos.word_write = 0x%x", cmos_read(0x46));
	outb(0x80, 0x12);
	outw(0x80, 0x3456);
	outl(0x80, 0x789abcde);
	report_check("port80.accepted", true);
}

static void ports_strings(void)
{
	static uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	static uint16_t words[4];
	static uint32_t longs[3];
	const void *from = bytes;
	void *to = bytes;
	uint64_t count = 5;

	outb(0x70, 0x45);
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(0x71) : "memory");
	report("outsb.count = %lu advance = %lu", count, (uintptr_t)from - (uintptr_t)bytes);
	report("outsb.last = %u", cmos_read(0x45));
	count = 3;
	outb(0x70, 0x45);
	__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(0x71) : "memory");
	report("insb = %u %u %u %u", bytes[0], bytes[1], bytes[2], bytes[3]);
	report("insb.count = %lu advance = %lu", count, (uintptr_t)to - (uintptr_t)bytes);
	to = &bytes[7];
	count = 2;
	outb(0x70, 0x45);
	__asm__ volatile("std; rep insb; cld" : "+D"(to), "+c"(count) : "d"(0x71) : "memory");
	report("insb.backwards = %u %u %u, %ld", bytes[5], bytes[6], bytes[7],
		(intptr_t)to - (intptr_t)bytes);
	to = words;
	count = 2;
	__asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(0x12e8) : "memory");
	report("insw = 0x%x 0x%x 0x%x", words[0], words[1], words[2]);
	to = longs;
	count = 2;
	__asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(0x12e8) : "memory");
	report("insl = 0x%x 0x%x 0x%x", longs[0], longs[1], longs[2]);
	to = words;
	count = 0;
	words[0] = 7;
	__asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(0x12e8) : "memory");
	report("insw.zero = %u", words[0]);
}

static void ins_to(void *to)
{
	uint64_t count = 4;

	__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(0x71) : "memory");
}

static void outs_from(void *from)
{
	uint64_t count = 4;

	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(0x71) : "memory");
}

// The memory operand faults as with any other instruction; what was done before stays done.
static void ports_string_faults(void)
{
	static uint8_t page[4096] __attribute__((aligned(4096)));
	uint8_t *window = paging_map(0, (uintptr_t)page, 7);

	paging_map(1, 0, 0);
	cmos_write(0x45, 9);
	report_trap("insb.fault", ins_to, window + 4094);
	report("insb.fault.cr2 = +0x%lx", trap_last.cr2 - (uintptr_t)window);
	report("insb.fault.done = %u %u", page[4094], page[4095]);
	report_trap("outsb.fault", outs_from, window + 4096);
	report("outsb.fault.cr2 = +0x%lx", trap_last.cr2 - (uintptr_t)window);
	paging_map(0, (uintptr_t)page, 5);
	report_trap("insb.read_only", ins_to, window);
}

static uint32_t pci_read(uint32_t address)
{
	outl(0xcf8, address);
	return inl(0xcfc);
}

// PCI 3.0, 3.2.2.3.2.
static void ports_pci(void)
{
	report("pci.host_bridge = 0x%x", pci_read(0x80000000));
	report("pci.address = 0x%x", inl(0xcf8));
	report("pci.device_word = 0x%x", inw(0xcfe));
	report("pci.vendor_byte1 = 0x%x", inb(0xcfd));
	report("pci.absent = 0x%x", pci_read(0x8000f800));
	report("pci.absent_bus = 0x%x", pci_read(0x80ff0000));
	report("pci.disabled = 0x%x", pci_read(0));
	// Byte writes to 0xcf8 are not the configuration address.
	outl(0xcf8, 0x80000000);
	outb(0xcf8, 0x10);
	report("pci.address.after_byte = 0x%x", inl(0xcf8));
}

// Port 0x61: bit 4 toggles with the refresh, bits 0 and 1 read back.
static void ports_61(void)
{
	uint8_t first = inb(0x61) & 0x10;
	bool toggles = false;

	for (unsigned i = 0; i < 1000 && !toggles; i++) {
		toggles = (inb(0x61) & 0x10) != first;
		spin(3000);
	}
	report_check("port61.refresh_toggles", toggles);
	for (unsigned value = 0; value < 4; value++) {
		outb(0x61, (uint8_t)value);
		report("port61 %u = %u", value, inb(0x61) & 3);
	}
	outb(0x61, 0);
}

void payload_main(void)
{
	ports_unclaimed();
	ports_pic();
	ports_split();
	ports_strings();
	ports_string_faults();
	ports_pci();
	ports_61();
}
