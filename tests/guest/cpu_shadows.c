// SPDX-License-Identifier: BSD-2-Clause
// When interrupts and NMIs come: shadows of STI, HLT in a shadow, windows that POPF, IRET and CR8
// open, instructions that a hypervisor carries out in a shadow, and the order of what waits. SDM
// vol. 3, 6.8.1, 6.7.1 and 6.9; vol. 2, STI.
//
// "NAME = 0x61 at +2": the interrupt that waited, and its return address relative to the first
// instruction.
#include "lib/snippet.h"

PAYLOAD("cpu_shadows");

enum { LOW = 0x61, HIGH = 0x71, NMI_TO_SELF = 0x4400, LOG_MAX = 8 };

static const struct snippet *current;
static struct {
	unsigned count, vector[LOG_MAX];
	uint64_t rip[LOG_MAX];
} taken;

static uint8_t buffer[64];
static volatile unsigned nmi_resend, nmi_with_interrupt;

static void note(struct trap_frame *frame)
{
	if (taken.count < LOG_MAX) {
		taken.vector[taken.count] = (unsigned)frame->vector;
		taken.rip[taken.count] = frame->rip;
	}
	taken.count++;
}

static void interrupt_hook(struct trap_frame *frame)
{
	note(frame);
	lapic_write(LAPIC_EOI, 0);
}

static void nmi_hook(struct trap_frame *frame)
{
	note(frame);
	if (nmi_resend == 0)
		return;
	nmi_resend--;
	lapic_send(0, NMI_TO_SELF);
	if (nmi_with_interrupt != 0)
		lapic_send(0, 0x4000 | LOW);
	spin(5000);
}

// A trap that returns: the instruction is done, and stepping ends.
static void step_hook(struct trap_frame *frame)
{
	note(frame);
	frame->rflags &= ~(uint64_t)RFLAGS_TF;
	write_dr6(0xffff0ff0);
}

static void ignore(struct trap_frame *frame)
{
	(void)frame;
}

#define SS_NOW "movl %ss, %eax; movl %eax, %ss"

// One interrupt waits; IF is clear. RDI: a few bytes; RSI: LAPIC's TPR. What comes "next" is CLI.
#define WINDOWS(X)                                                                                 \
	X(sti_nop, "", "sti; nop; nop", "cli")                                                     \
	X(sti_cli, "", "sti; cli; nop", "cli")                                                     \
	X(sti_sti, "", "sti; sti; nop", "cli")                                                     \
	X(sti_hlt, "", "sti; hlt; nop", "cli")                                                     \
	X(sti_cpuid, "pushq %rbx", "sti; cpuid; nop", "cli; popq %rbx")                            \
	X(sti_in, "", "sti; inb $0x21, %al; nop", "cli")                                           \
	X(sti_out, "", "sti; outb %al, $0x80; nop", "cli")                                         \
	X(sti_mmio_read, "", "sti; movl (%rsi), %eax; nop", "cli")                                 \
	X(sti_mmio_write, "xorl %eax, %eax", "sti; movl %eax, (%rsi); nop", "cli")                 \
	X(sti_rdmsr, "movl $0x1b, %ecx", "sti; rdmsr; nop", "cli")                                 \
	X(sti_rdtsc, "", "sti; rdtsc; nop", "cli")                                                 \
	X(sti_mov_cr0, "movq %cr0, %rax", "sti; movq %rax, %cr0; nop", "cli")                      \
	X(sti_mov_cr3, "movq %cr3, %rax", "sti; movq %rax, %cr3; nop", "cli")                      \
	X(sti_insb, "movl $0x21, %edx", "sti; insb; nop", "cli")                                   \
	X(sti_wbinvd, "", "sti; wbinvd; nop", "cli")                                               \
	X(sti_int_n, "", "sti; int $0x80; nop", "cli")                                             \
	X(sti_popf_off, "pushfq", "sti; popfq; nop", "cli")                                        \
	X(sti_ret, "leaq 1f(%rip), %rax; pushq %rax", "sti; ret; ud2; 1: nop", "cli")              \
	X(sti_pushf, "", "sti; pushfq; nop", "cli; popq %rax")                                     \
	X(popf_on, "pushfq; orl $0x200, (%rsp)", "popfq; nop", "cli")                              \
	X(iretq_on, "movq %rsp, %rcx; pushq $0x10; pushq %rcx; pushfq; orl $0x200, (%rsp); "       \
		"pushq $8; leaq 1f(%rip), %rax; pushq %rax", "iretq; ud2; 1: nop", "cli")          \
	X(mov_ss_popf, "pushfq; orl $0x200, (%rsp)", SS_NOW "; popfq; nop", "cli")                 \
	X(cli_only, "", "cli; nop", "cli")                                                         \
	X(nop_only, "", "nop", "cli")

// IF is set; the LAPIC's TPR, 0x7f, holds both interrupts back.
#define PRIORITIES(X)                                                                              \
	X(cr8_down, "sti; xorl %eax, %eax", "movq %rax, %cr8; nop; nop", "cli")                    \
	X(cr8_half_down, "sti; movl $6, %eax", "movq %rax, %cr8; nop; nop", "cli")                 \
	X(cr8_not_down, "sti; movl $7, %eax", "movq %rax, %cr8; nop; nop", "cli")                  \
	X(tpr_down, "sti; nop", "movl $0, (%rsi); nop; nop", "cli")                                \
	X(tpr_half_down, "sti; nop", "movl $0x6f, (%rsi); nop; nop", "cli")

// RFLAGS.TF is set together with IF, or before it.
#define STEPS(X)                                                                                   \
	X(popf_tf_if, "pushfq; orl $0x300, (%rsp)", "popfq; nop; nop", "cli")                      \
	X(tf_then_sti, "pushfq; orl $0x100, (%rsp); popfq", "sti; nop; nop", "cli")

SNIPPETS(windows, WINDOWS)
SNIPPETS(priorities, PRIORITIES)
SNIPPETS(steps, STEPS)

static void snippet_run_now(const struct snippet *snippet)
{
	void (*code)(void *, void *) = (void (*)(void *, void *))(uintptr_t)snippet->code;

	current = snippet;
	taken.count = 0;
	code(buffer, (void *)(uintptr_t)(LAPIC_BASE + LAPIC_TPR));
	cli();
}

static void report_taken(const char *prefix)
{
	print("%s: %s%s =", payload_name, prefix, current->name);
	if (taken.count == 0)
		print(" none");
	for (unsigned i = 0; i < taken.count && i < LOG_MAX; i++)
		print(" 0x%x at +%lu", taken.vector[i], taken.rip[i] - (uintptr_t)current->at);
	print("\n");
}

static void request(unsigned vector)
{
	lapic_send(0, 0x4000 | vector);
	while (!lapic_irr(vector))
		pause();
}

// What was not taken is taken now.
static void drain(void)
{
	current = &windows[0];
	lapic_write(LAPIC_TPR, 0);
	irq_window();
}

static void shadows_windows(void)
{
	for (unsigned i = 0; i < SNIPPET_COUNT(windows); i++) {
		request(LOW);
		snippet_run_now(&windows[i]);
		report_taken("");
		drain();
	}
	for (unsigned i = 0; i < 5; i++) { // two wait
		request(LOW);
		request(HIGH);
		snippet_run_now(&windows[i]);
		report_taken("two.");
		drain();
	}
}

static void shadows_priorities(void)
{
	for (unsigned i = 0; i < SNIPPET_COUNT(priorities); i++) {
		lapic_write(LAPIC_TPR, 0x7f);
		request(LOW);
		request(HIGH);
		snippet_run_now(&priorities[i]);
		report_taken("");
		drain();
	}
}

static void shadows_steps(void)
{
	trap_set_hook(1, step_hook);
	for (unsigned i = 0; i < SNIPPET_COUNT(steps); i++) {
		request(LOW);
		snippet_run_now(&steps[i]);
		report_taken("");
		drain();
	}
	trap_set_hook(1, NULL);
}

// While a handler of an NMI runs, one more waits at most; it comes right after the IRET, and before
// an interrupt.
static void shadows_nmis(void)
{
	for (unsigned resend = 0; resend < 4; resend++) {
		taken.count = 0;
		nmi_resend = resend;
		lapic_send(0, NMI_TO_SELF);
		spin(20000);
		report("nmi.resent %u times = %u taken, one address %u", resend, taken.count,
			resend == 0 || taken.rip[0] == taken.rip[1]);
	}
	nmi_with_interrupt = 1;
	nmi_resend = 1;
	taken.count = 0;
	sti();
	lapic_send(0, NMI_TO_SELF);
	spin(20000);
	cli();
	print("%s: nmi.and_interrupt =", payload_name);
	for (unsigned i = 0; i < taken.count && i < LOG_MAX; i++)
		print(" 0x%x", taken.vector[i]);
	print("\n");
	nmi_with_interrupt = 0;
}

static void shadows_nmi_in_breakpoint(void)
{
	taken.count = 0;
	nmi_resend = 0;
	trap_set_hook(3, nmi_hook);
	nmi_resend = 1;
	__asm__ volatile("int3" : : : "memory"); // not an NMI: nothing is blocked in its handler
	spin(20000);
	report("nmi.from a breakpoint's handler = %u 0x%x 0x%x", taken.count, taken.vector[0],
		taken.vector[1]);
	trap_set_hook(3, NULL);
}

void payload_main(void)
{
	trap_set_hook(LOW, interrupt_hook);
	trap_set_hook(HIGH, interrupt_hook);
	trap_set_hook(2, nmi_hook);
	trap_set_hook(LAPIC_SPURIOUS_VECTOR, ignore);
	trap_set_hook(0x80, ignore);
	shadows_windows();
	shadows_priorities();
	shadows_steps();
	shadows_nmis();
	shadows_nmi_in_breakpoint();
}
