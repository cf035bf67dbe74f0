// SPDX-License-Identifier: BSD-2-Clause
// Debug exceptions: single steps over instructions that a hypervisor carries out and over those
// that it does not, data, instruction and I/O breakpoints, general detect. SDM vol. 3, 17.2, 17.3.
//
// A line "step.NAME = +0 +0 +2" lists the return addresses of the #DBs, relative to the
// instruction; stepping ends with the first one behind it.
#include "lib/snippet.h"

PAYLOAD("cpu_debug");

enum { LOG_MAX = 12, CR4_DE = 8, DR7_RESET = 0x400, DR6_BITS = 0xe00f };

static struct {
	const struct snippet *snippet;
	unsigned count;
	uint64_t rip[LOG_MAX], dr6[LOG_MAX], dr7[LOG_MAX];
} steps;

static uint8_t buffer[4096] __attribute__((aligned(4096)));
static volatile uint64_t watched[4] __attribute__((aligned(32)));

// Clears DR6, as software must. A fault of an instruction breakpoint returns with RF set.
static void step_hook(struct trap_frame *frame)
{
	unsigned n = steps.count++;

	if (n < LOG_MAX) {
		steps.rip[n] = frame->rip;
		steps.dr6[n] = read_dr6() & DR6_BITS;
		steps.dr7[n] = read_dr7();
	}
	write_dr6(0xffff0ff0);
	if (frame->rip < (uintptr_t)steps.snippet->at ||
		frame->rip >= (uintptr_t)steps.snippet->next || n > 100)
		frame->rflags &= ~(uint64_t)RFLAGS_TF;
	if ((steps.dr6[n % LOG_MAX] & 0xf) != 0)
		frame->rflags |= RFLAGS_RF;
}

#define TF "pushfq; orl $0x100, (%rsp); popfq"

// RDI: 4 KiB of memory; RSI: the local APIC's TPR.
#define STEPS(X)                                                                                   \
	X(nop, TF, "nop", "nop; nop")                                                              \
	X(add_memory, TF, "addl $1, (%rdi)", "nop; nop")                                           \
	X(jump, TF, "jmp 1f; ud2; 1: nop", "nop; nop")                                             \
	X(call, TF, "call 1f; jmp 2f; 1: ret; 2:", "nop; nop")                                     \
	X(cpuid, "pushq %rbx; " TF, "cpuid", "nop; nop; popq %rbx")                                \
	X(rdtsc, TF, "rdtsc", "nop; nop")                                                          \
	X(in, TF, "inb $0x21, %al", "nop; nop")                                                    \
	X(out, TF, "outb %al, $0x80", "nop; nop")                                                  \
	X(mmio_read, TF, "movl (%rsi), %eax", "nop; nop")                                          \
	X(mmio_write, "xorl %eax, %eax; " TF, "movl %eax, (%rsi)", "nop; nop")                     \
	X(mmio_or, TF, "orl $0x10, (%rsi)", "nop; nop; movl $0, (%rsi)")                           \
	X(rdmsr_apic_base, "movl $0x1b, %ecx; " TF, "rdmsr", "nop; nop")                           \
	X(rdmsr_star, "movl $0xc0000081, %ecx; " TF, "rdmsr", "nop; nop")                          \
	X(wrmsr_efer, "movl $0xc0000080, %ecx; rdmsr; " TF, "wrmsr", "nop; nop")                   \
	X(mov_cr0, "movq %cr0, %rax; " TF, "movq %rax, %cr0", "nop; nop")                          \
	X(mov_cr3, "movq %cr3, %rax; " TF, "movq %rax, %cr3", "nop; nop")                          \
	X(mov_cr4, "movq %cr4, %rax; " TF, "movq %rax, %cr4", "nop; nop")                          \
	X(mov_cr8, "movq %cr8, %rax; " TF, "movq %rax, %cr8", "nop; nop")                          \
	X(clts, TF, "clts", "nop; nop")                                                            \
	X(lmsw, "smsw %eax; " TF, "lmsw %ax", "nop; nop")                                          \
	X(wbinvd, TF, "wbinvd", "nop; nop")                                                        \
	X(invlpg, TF, "invlpg (%rdi)", "nop; nop")                                                 \
	X(lidt, "subq $16, %rsp; sidt (%rsp); " TF, "lidt (%rsp)", "nop; nop; addq $16, %rsp")     \
	X(ltr_like_str, TF, "str %ax", "nop; nop")                                                 \
	X(popf, "pushfq; " TF, "popfq", "nop; nop")                                                \
	X(pushf, TF, "pushfq", "nop; nop; popq %rax")                                              \
	X(mov_ss, "movl %ss, %eax; " TF, "movl %eax, %ss; nop", "nop; nop")                        \
	X(mov_ss_cpuid, "pushq %rbx; movl %ss, %eax; " TF, "movl %eax, %ss; cpuid",                \
		"nop; nop; popq %rbx")                                                             \
	X(mov_ss_in, "movl %ss, %eax; " TF, "movl %eax, %ss; inb $0x21, %al", "nop; nop")          \
	X(int_n, TF, "int $0x80", "nop; nop")                                                      \
	X(iretq, "movq %rsp, %rcx; pushq $0x10; pushq %rcx; pushfq; orl $0x100, (%rsp); "          \
		"pushq $8; leaq code_iretq_at(%rip), %rax; pushq %rax; iretq", "nop; nop", "nop")  \
	X(rep_movs, "leaq 64(%rdi), %rsi; movl $3, %ecx; " TF, "rep movsb", "nop; nop")            \
	X(rep_movs_0, "xorl %ecx, %ecx; " TF, "rep movsb", "nop; nop")                             \
	X(repne_scas, "movl $5, %ecx; movb $0x33, %al; movb %al, 2(%rdi); " TF, "repne scasb",     \
		"nop; nop")                                                                        \
	X(rep_movs_mmio, "movl $0xd0000000, %esi; movl $3, %ecx; " TF, "rep movsl", "nop; nop")    \
	X(rep_outs, "movq %rdi, %rsi; movl $0x80, %edx; movl $3, %ecx; " TF, "rep outsb",          \
		"nop; nop")                                                                        \
	X(rep_ins, "movl $0x21, %edx; movl $3, %ecx; " TF, "rep insb", "nop; nop")                 \
	X(outs, "movq %rdi, %rsi; movl $0x80, %edx; " TF, "outsb", "nop; nop")                     \
	X(ins, "movl $0x21, %edx; " TF, "insb", "nop; nop")

// The debug exception comes before the halt: SDM vol. 2, HLT. A timer wakes a CPU that waits.
#define HALT(X) X(hlt, "sti; " TF, "hlt", "nop; nop; cli")

SNIPPETS(stepped, STEPS)
SNIPPETS(halt, HALT)

static void step_call(const struct snippet *snippet, void *argument)
{
	void (*code)(void *, void *) = (void (*)(void *, void *))(uintptr_t)snippet->code;

	steps.snippet = snippet;
	steps.count = 0;
	write_dr6(0xffff0ff0);
	code(argument, (void *)(uintptr_t)(LAPIC_BASE + LAPIC_TPR));
}

static void step_ignore(struct trap_frame *frame)
{
	(void)frame;
}

static uint64_t steps_report(const struct snippet *snippet)
{
	uint64_t dr6 = 0;

	step_call(snippet, buffer);
	print("%s: step.%s =", payload_name, snippet->name);
	for (unsigned k = 0; k < steps.count && k < LOG_MAX; k++) {
		uint64_t at = steps.rip[k] - (uintptr_t)snippet->at;

		if ((int64_t)at < 0)
			print(" before");
		else
			print(" +%lu", at);
		dr6 |= steps.dr6[k] ^ 0x4000;
	}
	print(steps.count == 0 ? " none\n" : "\n");
	return dr6;
}

static void debug_steps(void)
{
	uint64_t dr6 = 0;

	trap_set_hook(1, step_hook);
	trap_set_hook(0x80, step_ignore);
	trap_set_hook(0x60, irq_hook);
	for (unsigned i = 0; i < SNIPPET_COUNT(stepped); i++)
		dr6 |= steps_report(&stepped[i]);
	lapic_write(LAPIC_TIMER, 0x60);
	lapic_write(LAPIC_TMICT, 10000000); // far off
	dr6 |= steps_report(&halt[0]);
	lapic_write(LAPIC_TMICT, 0);
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
	report("step.halt ended by timer = %u", irq_count);
	report("step.other bits of DR6 = 0x%lx", dr6);
}

// RDI: watched. Accesses of one to eight bytes around it.
#define ACCESSES(X)                                                                                \
	X(write1, "", "movb $1, 8(%rdi)", "nop")                                                   \
	X(write2, "", "movw $1, 8(%rdi)", "nop")                                                   \
	X(write4_across_begin, "", "movl $1, 6(%rdi)", "nop")                                      \
	X(write8, "", "movq $1, 8(%rdi)", "nop")                                                   \
	X(write8_below, "", "movq $1, (%rdi)", "nop")                                              \
	X(write1_behind_2, "", "movb $1, 10(%rdi)", "nop")                                         \
	X(write1_behind_4, "", "movb $1, 12(%rdi)", "nop")                                         \
	X(write1_behind_8, "", "movb $1, 16(%rdi)", "nop")                                         \
	X(read4, "", "movl 8(%rdi), %eax", "nop")                                                  \
	X(compare, "", "cmpb $0, 8(%rdi)", "nop")                                                  \
	X(increment, "", "incl 8(%rdi)", "nop")                                                    \
	X(exchange, "", "xchgl %eax, 8(%rdi)", "nop")                                              \
	X(push, "", "pushq 8(%rdi)", "popq %rax; nop")                                             \
	X(rep_stos, "movl $4, %ecx; xorl %eax, %eax", "rep stosq", "nop")

SNIPPETS(accesses, ACCESSES)

static void report_hits(const char *prefix, const struct snippet *snippet)
{
	print("%s: %s.%s =", payload_name, prefix, snippet->name);
	if (steps.count == 0)
		print(" none");
	for (unsigned k = 0; k < steps.count && k < LOG_MAX; k++)
		print(" %s dr6 0x%lx", snippet_place(snippet, steps.rip[k]), steps.dr6[k]);
	print("\n");
}

// Data breakpoints are traps: the return address is the next instruction's.
static void debug_data(void)
{
	static const struct {
		const char *name;
		uint64_t dr7;
	} kinds[] = {
		{"watch_w1", 1 << 16}, {"watch_w2", 5 << 16}, {"watch_w4", 13 << 16},
		{"watch_w8", 9 << 16}, {"watch_rw4", 15 << 16},
	};

	__asm__ volatile("mov %0, %%dr0" : : "r"((uintptr_t)&watched[1]));
	for (unsigned g = 0; g < sizeof(kinds) / sizeof(kinds[0]); g++) {
		for (unsigned i = 0; i < SNIPPET_COUNT(accesses); i++) {
			write_dr7(DR7_RESET | 2 | kinds[g].dr7);
			step_call(&accesses[i], (void *)(uintptr_t)watched);
			write_dr7(DR7_RESET);
			report_hits(kinds[g].name, &accesses[i]);
		}
	}
}

// RDI: watched.
#define EVENTS(X)                                                                                  \
	X(two_at_once, "", "movq $1, 8(%rdi)", "nop")                                              \
	X(step_too, TF, "movq $1, 8(%rdi)", "nop; nop")

#define FETCHES(X)                                                                                 \
	X(fetch_nop, "", "nop", "nop")                                                             \
	X(fetch_cpuid, "pushq %rbx", "cpuid", "popq %rbx")                                         \
	X(fetch_in, "", "inb $0x21, %al", "nop")                                                   \
	X(fetch_mmio, "movl $0xfee00080, %ecx", "movl (%rcx), %eax", "nop")                        \
	X(fetch_rep, "movl $3, %ecx; leaq 8(%rdi), %rsi", "rep movsb", "nop")                      \
	X(fetch_ud, "", "ud2", "nop")                                                              \
	X(fetch_hlt_step, TF, "nop", "nop; nop")

#define GD "movl $0x2400, %eax; movq %rax, %dr7"
#define DETECTS(X)                                                                                 \
	X(detect_read, GD, "movq %dr3, %rax", "nop")                                               \
	X(detect_write, GD, "movq %rax, %dr2", "nop")                                              \
	X(detect_dr6, GD, "movq %dr6, %rax", "nop")                                                \
	X(detect_dr7, GD, "movq %rax, %dr7", "nop")

#define PORTS(X)                                                                                   \
	X(io_in1, "movl $0x80, %edx", "inb %dx, %al", "nop")                                       \
	X(io_out1, "", "outb %al, $0x80", "nop")                                                   \
	X(io_out4, "movl $0x80, %edx", "outl %eax, %dx", "nop")                                    \
	X(io_out4_below, "movl $0x7e, %edx", "outl %eax, %dx", "nop")                              \
	X(io_out1_behind, "", "outb %al, $0x81", "nop")                                            \
	X(io_rep_outs, "movq %rdi, %rsi; movl $0x80, %edx; movl $2, %ecx", "rep outsb", "nop")

SNIPPETS(events, EVENTS)
SNIPPETS(fetches, FETCHES)
SNIPPETS(detects, DETECTS)
SNIPPETS(ports, PORTS)

static void debug_together(void)
{
	for (unsigned i = 0; i < 2; i++) {
		__asm__ volatile("mov %0, %%dr1; mov %0, %%dr3" : : "r"((uintptr_t)&watched[1]));
		write_dr7(DR7_RESET | 0x88 | 0xd << 20 | 0xdull << 28);
		step_call(&events[i], (void *)(uintptr_t)watched);
		write_dr7(DR7_RESET);
		report_hits("data", &events[i]);
	}
}

static void fetch_call(void *argument)
{
	step_call((const struct snippet *)argument, buffer);
}

// Faults before the instruction; RF, which the handler sets, lets it run once. Twice each: RF must
// be clear again after it.
static void debug_fetches(void)
{
	for (unsigned i = 0; i < SNIPPET_COUNT(fetches); i++) {
		for (unsigned round = 0; round < 2; round++) {
			bool traps;

			__asm__ volatile("mov %0, %%dr2" : : "r"(fetches[i].at));
			write_dr7(DR7_RESET | 0x20);
			traps = trap_catch(fetch_call,
				(void *)(uintptr_t)&fetches[i]);
			write_dr7(DR7_RESET);
			report_hits(round == 0 ? "fetch" : "fetch_again", &fetches[i]);
			if (traps)
				report("fetch.then = #%lu", trap_last.vector);
		}
	}
}

// The handler may use the registers: GD is clear in it. It returns to the instruction.
static void debug_detect(void)
{
	for (unsigned i = 0; i < SNIPPET_COUNT(detects); i++) {
		step_call(&detects[i], buffer);
		report_hits("gd", &detects[i]);
		report("gd.dr7 in handler = 0x%lx", steps.dr7[0]);
		report("gd.dr7 after = 0x%lx", read_dr7());
		write_dr7(DR7_RESET);
	}
}

// CR4.DE gives R/W = 2 its meaning.
static void debug_ports(void)
{
	write_cr4(read_cr4() | CR4_DE);
	__asm__ volatile("mov %0, %%dr0" : : "r"(0x80ull));
	for (unsigned i = 0; i < SNIPPET_COUNT(ports); i++) {
		write_dr7(DR7_RESET | 2 | 6 << 16); // two bytes
		step_call(&ports[i], buffer);
		write_dr7(DR7_RESET);
		report_hits("port", &ports[i]);
	}
	write_cr4(read_cr4() & ~(uint64_t)CR4_DE);
}

// Accesses to a device's registers that are watched.
static void debug_mmio(void)
{
	__asm__ volatile("mov %0, %%dr0" : : "r"((uintptr_t)LAPIC_BASE + LAPIC_TPR));
	for (unsigned i = 8; i < 11; i++) { // mmio_read, mmio_write, mmio_or
		for (unsigned kind = 0; kind < 2; kind++) {
			static const char *const names[] = {"watch_w", "watch_rw"};
			struct snippet s = stepped[i];

			// From the snippet's instruction on: without TF.
			s.code = s.at;
			write_dr7(DR7_RESET | 2 | (kind == 0 ? 13 << 16 : 15 << 16));
			step_call(&s, buffer);
			write_dr7(DR7_RESET);
			steps.count = steps.count > 1 ? 1 : steps.count;
			report_hits(names[kind], &s);
		}
	}
}

void payload_main(void)
{
	debug_steps();
	debug_data();
	debug_together();
	debug_fetches();
	debug_detect();
	debug_ports();
	debug_mmio();
	trap_set_hook(1, NULL);
}
