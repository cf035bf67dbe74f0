// SPDX-License-Identifier: BSD-2-Clause
// ACPI's fixed registers and the ports around them: PM timer, PM1 events and control, the SMI
// command port, PCI configuration mechanism 1 with the host bridge, the reset control register
// short of a reset, port 0x61. ACPI 6.5, 4.8.2 and 4.8.3; PCI 3.0, 3.2.2.3.2 and 6.1; 82441FX data
// sheet, 3.2; ICH9 data sheet, 13.7.
#include "lib/dev.h"

PAYLOAD("dev_pm");

enum {
	PM1_STATUS = 0x600,
	PM1_ENABLE = 0x602,
	PM1_CONTROL = 0x604,
	SMI_COMMAND = 0xb2,
	EVENTS = 0x0721, // those that ACPI names: timer, global, power and sleep button, RTC
	ADDRESS = 0xcf8,
	CONFIG = 0xcfc,
	CONFIG_ENABLE = (int)0x80000000,
	RESET_CONTROL = 0xcf9,
};

static void pm_timer(void)
{
	uint32_t start, last, now;
	bool backwards = false;

	// Three ticks for each of the PIT's: 3.579545 and 1.193182 MHz.
	outb(0x61, 1);
	pit_program(2, 0, 0xe000);
	start = pm_now();
	while ((inb(0x61) & 0x20) == 0 && pm_since(start) < 1000 * PM_TICKS_PER_MS)
		;
	report("timer.three_per_pit_tick = %u", near_by(pm_since(start), 3 * 0xe000, 2));
	last = inl(PM_TIMER_PORT);
	for (unsigned i = 0; i < 1000; i++) {
		now = inl(PM_TIMER_PORT);
		backwards |= ((now - last) & 0xffffff) > 0x7fffff;
		last = now;
	}
	report("timer.backwards = %u", backwards);
	outl(PM_TIMER_PORT, 0);
	now = inl(PM_TIMER_PORT);
	report("timer.read_only = %u", ((now - last) & 0xffffff) < 0x100000);
	now = inl(PM_TIMER_PORT);
	report("timer.word = %u", (uint16_t)(inw(PM_TIMER_PORT) - now) < 0x8000);
	// 4.7 s on, 24 bits have wrapped.
	sleep_ms(2500);
	sleep_ms(2500);
	report("timer.upper_bits = %u", inl(PM_TIMER_PORT) >> 24 != 0);
}

static void pm_events(void)
{
	outw(PM1_ENABLE, 0);
	outw(PM1_STATUS, 0xffff);
	report("status = 0x%x", inw(PM1_STATUS) & EVENTS);
	for (unsigned bit = 0; bit < 16; bit++) {
		if ((EVENTS >> bit & 1) == 0)
			continue;
		outw(PM1_ENABLE, (uint16_t)(1u << bit));
		report("enable.bit %u = 0x%x", bit, inw(PM1_ENABLE) & EVENTS);
	}
	// Halves by bytes.
	outw(PM1_ENABLE, 0);
	outb(PM1_ENABLE + 1, 0x01);
	report("enable.high_byte = 0x%x", inw(PM1_ENABLE) & EVENTS);
	outb(PM1_ENABLE, 0x20);
	report("enable.low_byte = 0x%x 0x%x", inb(PM1_ENABLE), inb(PM1_ENABLE + 1));
	outl(PM1_STATUS, 0x0100ffff);
	report("enable.by_long = 0x%x", inl(PM1_STATUS) >> 16 & EVENTS);
	outw(PM1_ENABLE, 0);
	// Writing ones clears, it does not set.
	outw(PM1_STATUS, 0xffff);
	report("status.after_ones = 0x%x", inw(PM1_STATUS) & 0x0720);
}

// 4.8.3.2.1: SLP_EN reads as zero, SLP_TYP alone does nothing. No SLP_EN is written here.
static void pm_control(void)
{
	outb(SMI_COMMAND, 0xf1);
	report("acpi_enable.sci_en = %u", inw(PM1_CONTROL) & 1);
	outw(PM1_CONTROL, 0x1401);
	report("control.slp_typ = 0x%x", inw(PM1_CONTROL) & 0x3c01);
	outw(PM1_CONTROL, 0x0001);
	report("control = 0x%x", inw(PM1_CONTROL) & 0x3c01);
	outb(SMI_COMMAND, 0xf0);
	report("acpi_disable.sci_en = %u", inw(PM1_CONTROL) & 1);
	outb(SMI_COMMAND + 1, 0x5c);
	report("smi_status = 0x%x", inb(SMI_COMMAND + 1));
	outb(SMI_COMMAND, 0xf1);
}

static uint32_t pci_read(unsigned bus, unsigned device, unsigned function, unsigned offset)
{
	outl(ADDRESS, (uint32_t)CONFIG_ENABLE | bus << 16 | device << 11 | function << 8 | offset);
	return inl(CONFIG);
}

static void pm_pci_address(void)
{
	outl(ADDRESS, 0xffffffff);
	report("pci.address.ones = 0x%x", inl(ADDRESS));
	outl(ADDRESS, 0x80000004);
	outb(ADDRESS, 0x40);
	outw(ADDRESS + 2, 0x1234);
	report("pci.address.bytes_pass_by = 0x%x", inl(ADDRESS));
	report("pci.disabled = 0x%x", (outl(ADDRESS, 0), inl(CONFIG)));
	report("pci.other_bus = 0x%x", pci_read(1, 0, 0, 0));
	report("pci.other_device = 0x%x", pci_read(0, 7, 0, 0));
	report("pci.other_function = 0x%x", pci_read(0, 0, 1, 0));
}

static void pm_pci_bridge(void)
{
	report("pci.id = 0x%x", pci_read(0, 0, 0, 0));
	report("pci.id.bytes = 0x%x 0x%x 0x%x 0x%x", inb(CONFIG), inb(CONFIG + 1),
		inb(CONFIG + 2), inb(CONFIG + 3));
	report("pci.id.words = 0x%x 0x%x", inw(CONFIG), inw(CONFIG + 2));
	outl(CONFIG, 0);
	report("pci.id.after_write = 0x%x", inl(CONFIG));
	report("pci.class = 0x%x", pci_read(0, 0, 0, 8));
	report("pci.header_type = 0x%x", pci_read(0, 0, 0, 0xc) >> 16 & 0xff);
	for (unsigned bar = 0; bar < 6; bar++) {
		pci_read(0, 0, 0, 0x10 + 4 * bar);
		outl(CONFIG, 0xffffffff);
		if (inl(CONFIG) != 0)
			report("pci.bar %u", bar);
	}
	report("pci.pin = 0x%x", pci_read(0, 0, 0, 0x3c) >> 8 & 0xff);
	// 82441FX, 3.2.3 and 3.2.17: PAM0 to PAM6 take all bytes, in all sizes.
	pci_read(0, 0, 0, 0x5c);
	uint32_t pam = inl(CONFIG);
	outb(CONFIG + 1, 0x10);
	report("pci.pam.byte = 0x%x", inl(CONFIG) >> 8 & 0xff);
	outl(CONFIG, pam);
	pci_read(0, 0, 0, 0);
	// With the enable bit off, data writes go nowhere.
	outl(ADDRESS, 0x5c);
	outl(CONFIG, 0x11111111);
	report("pci.disabled_write_is_lost = %u", pci_read(0, 0, 0, 0x5c) == pam);
	report("pci.bus_master = %u", pci_read(0, 0, 0, 4) >> 2 & 1);
}

// The register keeps what kind of reset was chosen; RST_CPU's rising edge, not written here, fires.
static void pm_reset_control(void)
{
	outl(ADDRESS, 0x80000000);
	outb(RESET_CONTROL, 0x02);
	report("reset.system = 0x%x", inb(RESET_CONTROL));
	report("reset.is_no_address = 0x%x", inl(ADDRESS));
	outb(RESET_CONTROL, 0x0a);
	report("reset.full = 0x%x", inb(RESET_CONTROL));
	outb(RESET_CONTROL, 0);
	report("reset.cleared = 0x%x", inb(RESET_CONTROL));
}

static void pm_port_61(void)
{
	for (unsigned value = 0; value < 16; value += 5) {
		outb(0x61, (uint8_t)(0xf0 | value));
		report("port_61.kept 0x%x = 0x%x", value, inb(0x61) & 0xcf);
	}
	outb(0x61, 0);
	report("port_61.gate_and_speaker = %u", inb(0x61) & 3);
}

void payload_main(void)
{
	pm_timer();
	pm_events();
	pm_control();
	pm_pci_address();
	pm_pci_bridge();
	pm_reset_control();
	pm_port_61();
}
