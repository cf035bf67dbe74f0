// SPDX-License-Identifier: BSD-2-Clause
// The whole board at once: PIT, RTC, keyboard controller, UART, LAPIC timer, self-IPI, PIC and NMI,
// whose interrupts come in the order of their vectors and not of their arrival; what TPR, IF and
// the shadow of STI hold back; what wakes HLT; storms. SDM vol. 3, 6.8, 11.8 and 11.9.
#include "lib/dev.h"

PAYLOAD("dev_priority");

enum { SOURCES = 6, NMI_SELF = 0x4400, STORM_MAX = 1000 };

static void board_hook(struct trap_frame *frame)
{
	irq_hook(frame);
}

static void pic_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	outb(PIC_MASTER, 0x20);
}

static void keyboard_raise(void)
{
	while (inb(0x64) & 1)
		inb(0x60);
	outb(0x64, 0xd2);
	wait_us(50);
	outb(0x60, 0x5a);
	wait_us(100);
}

static void keyboard_lower(void)
{
	inb(0x60);
	wait_us(100);
}

static void uart_raise(void)
{
	outb(0x3fc, 0x0b); // OUT2
	outb(0x3f9, 0x02); // THR empty
}

static void uart_lower(void)
{
	outb(0x3f9, 0);
	inb(0x3fa);
	outb(0x3fc, 3);
}

static void rtc_raise(void)
{
	cmos_read(0xc);
	cmos_write(0xa, 0x26);
	cmos_write(0xb, 0x42);
	wait_us(3000);
	cmos_write(0xa, 0x20);
}

static void rtc_lower(void)
{
	cmos_write(0xb, 2);
	cmos_read(0xc);
}

// Each source once, with interrupts off; vectors by source. Nothing may be printed before
// lower_all: the transcript goes to the UART, which would interrupt.
static void raise_all(const uint8_t vectors[SOURCES])
{
	ioapic_route(PIN_PIT, vectors[0], 0);
	ioapic_route(PIN_RTC, vectors[1], 0);
	ioapic_route(PIN_KEYBOARD, vectors[2], 0);
	ioapic_route(PIN_UART, vectors[3], 0);
	lapic_write(LAPIC_TIMER, vectors[4]);
	pit_rise();
	rtc_raise();
	keyboard_raise();
	uart_raise();
	lapic_write(LAPIC_TMICT, 1000);
	wait_us(1000);
	self_ipi(vectors[5]);
}

static void lower_all(void)
{
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	ioapic_route(PIN_RTC, RTE_MASKED, 0);
	ioapic_route(PIN_KEYBOARD, RTE_MASKED, 0);
	ioapic_route(PIN_UART, RTE_MASKED, 0);
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
	pit_stop();
	rtc_lower();
	keyboard_lower();
	uart_lower();
}

static const uint8_t orders[][SOURCES] = {
	{0x41, 0x51, 0x61, 0x71, 0x81, 0x91},
	{0x91, 0x81, 0x71, 0x61, 0x51, 0x41},
	{0x61, 0x41, 0x91, 0x51, 0x81, 0x71},
	{0x42, 0x43, 0x44, 0x45, 0x46, 0x47}, // one class: still by vector
};

static void board_order(void)
{
	for (unsigned i = 0; i < sizeof(orders) / SOURCES; i++) {
		raise_all(orders[i]);
		irq_window();
		lower_all();
		report_irqs("order");
	}
	// TPR lets them through class by class.
	for (unsigned tpr = 0x40; tpr <= 0x90; tpr += 0x10) {
		unsigned passed;

		lapic_write(LAPIC_TPR, tpr);
		raise_all(orders[2]);
		irq_window();
		passed = irq_count;
		lapic_write(LAPIC_TPR, 0);
		irq_window();
		lower_all();
		report("tpr 0x%x passed = %u", tpr, passed);
		report_irqs("tpr.order");
	}
	// Down in steps with interrupts on: each step releases one.
	write_cr8(15);
	raise_all(orders[0]);
	sti();
	for (unsigned cr8 = 14; cr8-- > 3;) {
		unsigned before = irq_count;

		write_cr8(cr8);
		__asm__ volatile("nop");
		if (irq_count != before)
			irq_log[IRQ_LOG_MAX / 2 + before] = (uint8_t)cr8;
	}
	cli();
	write_cr8(0);
	lower_all();
	report("cr8.released_at = %u %u %u %u %u %u", irq_log[32], irq_log[33], irq_log[34],
		irq_log[35], irq_log[36], irq_log[37]);
	report_irqs("cr8.order");
}

// An NMI waits for nothing: not for IF, not for TPR, not for an EOI.
static void nmi_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
}

static void in_service_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	lapic_send(0, NMI_SELF);
	spin(1000);
	lapic_write(LAPIC_EOI, 0);
}

static void board_nmi(void)
{
	trap_set_hook(2, nmi_hook);
	lapic_write(LAPIC_TPR, 0xff);
	self_ipi(0x81);
	lapic_send(0, NMI_SELF);
	spin(1000);
	report_irqs("nmi.before_pending");
	ioapic_route(PIN_PIT, 0x400, 0);
	pit_rise();
	report_irqs("nmi.pit");
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_stop();
	lapic_write(LAPIC_TPR, 0);
	irq_window();
	report_irqs("nmi.then_pending");
	trap_set_hook(0x81, in_service_hook);
	self_ipi(0x81);
	irq_window();
	report_irqs("nmi.in_handler");
	trap_set_hook(0x81, board_hook);
}

// ExtINT passes TPR by; it comes however high the priority in service is. SDM vol. 3, 11.8.
static void board_extint(void)
{
	trap_set_hook(PIC_VECTOR, pic_hook);
	lapic_write(LAPIC_LINT0, LVT_EXTINT);
	lapic_write(LAPIC_TPR, 0xff);
	pic_init(0xfe, 0xff);
	self_ipi(0xf1);
	pit_rise();
	irq_window();
	report_irqs("extint.tpr_0xff");
	lapic_write(LAPIC_TPR, 0);
	irq_window();
	report_irqs("extint.then_fixed");
	pit_stop();
	pic_init(0xff, 0xff);
	lapic_write(LAPIC_LINT0, LAPIC_MASKED);
}

// What is pending comes at STI, after the next instruction, and at POPF and IRET at once.
static void board_if(void)
{
	uint64_t first, second;

	self_ipi(0x41);
	self_ipi(0x51);
	__asm__ volatile("sti; mov %2, %0; mov %2, %1; cli"
			 : "=&r"(first), "=&r"(second) : "m"(irq_count) : "memory");
	report("sti.shadow = %lu then %lu", first & 0xffffffff, second & 0xffffffff);
	report_irqs("sti");
	self_ipi(0x41);
	__asm__ volatile("sti; cli" : : : "memory");
	report_irqs("sti_cli");
	__asm__ volatile("pushfq; orl $0x200, (%%rsp); popfq; mov %1, %0; cli"
			 : "=r"(first) : "m"(irq_count) : "memory");
	report("popf = %lu", first & 0xffffffff);
	irq_clear();
	self_ipi(0x41);
	__asm__ volatile("sti; movl %%ss, %%eax; movl %%eax, %%ss; nop; nop; cli"
			 : : : "rax", "memory");
	report_irqs("sti_mov_ss");
}

static void wake_by(const char *what)
{
	sti_hlt_cli();
	report_irqs(what);
}

static void board_hlt(void)
{
	lapic_write(LAPIC_TIMER, 0x81);
	lapic_write(LAPIC_TMICT, 5000000);
	wake_by("hlt.lapic_timer");
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
	ioapic_route(PIN_PIT, 0x41, 0);
	pit_program(0, 0, 6000);
	wake_by("hlt.pit");
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_stop();
	ioapic_route(PIN_RTC, 0x51, 0);
	cmos_read(0xc);
	cmos_write(0xa, 0x2a);
	cmos_write(0xb, 0x42);
	wake_by("hlt.rtc");
	rtc_lower();
	ioapic_route(PIN_RTC, RTE_MASKED, 0);
	trap_set_hook(PIC_VECTOR, pic_hook);
	lapic_write(LAPIC_LINT0, LVT_EXTINT);
	pic_init(0xfe, 0xff);
	pit_program(0, 0, 6000);
	wake_by("hlt.pic");
	pit_stop();
	pic_init(0xff, 0xff);
	lapic_write(LAPIC_LINT0, LAPIC_MASKED);
	ioapic_route(PIN_PIT, 0x400, 0);
	pit_program(0, 0, 6000);
	__asm__ volatile("cli; hlt" : : : "memory");
	report_irqs("hlt.nmi_with_cli");
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_stop();
	// One that TPR holds back does not wake.
	lapic_write(LAPIC_TPR, 0x50);
	ioapic_route(PIN_PIT, 0x41, 0);
	pit_program(0, 0, 6000); // 5 ms
	lapic_write(LAPIC_TIMER, 0x81);
	lapic_write(LAPIC_TMICT, 50000000);
	wake_by("hlt.tpr_holds_back");
	lapic_write(LAPIC_TPR, 0);
	wake_by("hlt.tpr_released");
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_stop();
	self_ipi(0x91);
	wake_by("hlt.already_pending");
}

// A level that nobody lowers: its handler comes again after each EOI, until its entry is masked.
static void storm_hook(struct trap_frame *frame)
{
	(void)frame;
	if (++irq_count == STORM_MAX)
		rte_set(PIN_PIT, RTE_MASKED | RTE_LEVEL | 0x41);
	lapic_write(LAPIC_EOI, 0);
}

static volatile unsigned storm_at_timer;

static void storm_timer_hook(struct trap_frame *frame)
{
	(void)frame;
	storm_at_timer = irq_count;
	rte_set(PIN_PIT, RTE_MASKED | RTE_LEVEL | 0x41);
	lapic_write(LAPIC_EOI, 0);
}

static void endless_hook(struct trap_frame *frame)
{
	(void)frame;
	irq_count++;
	lapic_write(LAPIC_EOI, 0);
}

static void board_storm(void)
{
	trap_set_hook(0x41, storm_hook);
	ioapic_route(PIN_PIT, RTE_MASKED | RTE_LEVEL | 0x41, 0);
	pit_rise();
	rte_set(PIN_PIT, RTE_LEVEL | 0x41);
	irq_wait(STORM_MAX);
	irq_window();
	report("storm.bounded = %u", irq_count);
	irq_clear();
	// A timer of a higher class gets through an endless one.
	trap_set_hook(0x41, endless_hook);
	trap_set_hook(0x81, storm_timer_hook);
	lapic_write(LAPIC_TIMER, 0x81);
	lapic_write(LAPIC_TMICT, 50000000);
	rte_set(PIN_PIT, RTE_LEVEL | 0x41);
	sti();
	while (storm_at_timer == 0)
		pause();
	irq_window();
	cli();
	report("storm.timer_came = %u stopped = %u", storm_at_timer > 10,
		irq_count <= storm_at_timer + 1);
	irq_clear();
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
	ioapic_route(PIN_PIT, RTE_MASKED, 0);
	pit_stop();
}

void payload_main(void)
{
	for (unsigned vector = 0x30; vector < 0x100; vector++)
		trap_set_hook(vector, board_hook);
	outb(0x64, 0x60);
	wait_us(50);
	outb(0x60, 0x21); // IRQ 1 enabled
	wait_us(50);
	lapic_write(LAPIC_TDCR, 0xb);
	board_order();
	board_nmi();
	board_extint();
	board_if();
	board_hlt();
	board_storm();
}
