// SPDX-License-Identifier: BSD-2-Clause
// Exceptions as instructions raise them in 64-bit mode: vector, error code, saved RIP, RFLAGS.RF in
// the image, in rings 0 and 3. SDM vol. 3, 6.12 to 6.15; 32-bit mode: cpu_exceptions32.c,
// breakpoints: cpu_debug.c, delivery that fails: cpu_delivery.c.
#include "lib/snippet.h"

PAYLOAD("cpu_exceptions");

#define NONCANONICAL "movabs $0x800000000100, %rax; "

// In both rings.
#define PLAIN(X)                                                                                   \
	X(de_div8, "xorl %eax, %eax; xorl %ecx, %ecx", "divb %cl", "")                             \
	X(de_div16, "xorl %eax, %eax; xorl %edx, %edx; xorl %ecx, %ecx", "divw %cx", "")           \
	X(de_div32, "xorl %eax, %eax; xorl %edx, %edx; xorl %ecx, %ecx", "divl %ecx", "")          \
	X(de_div64, "xorl %eax, %eax; xorl %edx, %edx; xorl %ecx, %ecx", "divq %rcx", "")          \
	X(de_idiv_overflow, "movl $0x80000000, %eax; cltd; movl $-1, %ecx", "idivl %ecx", "")      \
	X(de_memory, "xorl %eax, %eax; xorl %edx, %edx; pushq $0", "divl (%rsp)", "")              \
	X(db_step, "pushfq; orl $0x100, (%rsp); popfq", "nop", "nop")                              \
	X(db_icebp, "", ".byte 0xf1", "")                                                          \
	X(bp_int3, "", "int3", "")                                                                 \
	X(bp_int_3, "", ".byte 0xcd, 3", "")                                                       \
	X(int_80, "", "int $0x80", "")                                                             \
	X(ud_ud0, "", ".byte 0x0f, 0xff, 0xc0", "")                                                \
	X(ud_ud1, "", ".byte 0x0f, 0xb9, 0xc0", "")                                                \
	X(ud_ud2, "", "ud2", "")                                                                   \
	X(ud_lock_nop, "", ".byte 0xf0, 0x90", "")                                                 \
	X(ud_lock_load, "", ".byte 0xf0, 0x8b, 0x04, 0x24", "")                                    \
	X(ud_lock_register, "", ".byte 0xf0, 0x01, 0xc0", "")                                      \
	X(ud_push_es, "", ".byte 0x06", "")                                                        \
	X(ud_pop_ds, "", ".byte 0x1f", "")                                                         \
	X(ud_daa, "", ".byte 0x27", "")                                                            \
	X(ud_pusha, "", ".byte 0x60", "")                                                          \
	X(ud_into, "", ".byte 0xce", "")                                                           \
	X(ud_aam, "", ".byte 0xd4, 10", "")                                                        \
	X(ud_salc, "", ".byte 0xd6", "")                                                           \
	X(ud_far_call, "", ".byte 0x9a, 0, 0, 0, 0, 0, 0", "")                                     \
	X(ud_far_jump, "", ".byte 0xea, 0, 0, 0, 0, 0, 0", "")                                     \
	X(ud_mov_to_cs, "xorl %eax, %eax", ".byte 0x8e, 0xc8", "")                                 \
	X(ud_mov_segment_6, "xorl %eax, %eax", ".byte 0x8c, 0xf0", "")                             \
	X(ud_lea_register, "", ".byte 0x8d, 0xc0", "")                                             \
	X(ud_cmpxchg8b_register, "", ".byte 0x0f, 0xc7, 0xc8", "")                                 \
	X(ud_group4_7, "", ".byte 0xfe, 0xf8", "")                                                 \
	X(ud_group5_7, "", ".byte 0xff, 0xf8", "")                                                 \
	X(ud_vmmcall, "", "vmmcall", "")                                                           \
	X(ud_vmcall, "", "vmcall", "")                                                             \
	X(np_segment, "movl $0x50, %eax", "movl %eax, %ds", "")                                    \
	X(ss_segment, "movl $0x50, %eax", "movl %eax, %ss", "")                                    \
	X(gp_beyond_table, "movl $0x88, %eax", "movl %eax, %es", "")                               \
	X(gp_local_table, "movl $0x0c, %eax", "movl %eax, %fs", "")                                \
	X(gp_system_segment, "movl $0x58, %eax", "movl %eax, %gs", "")                             \
	X(gp_code_as_stack, "movl $0x08, %eax", "movl %eax, %ss", "")                              \
	X(gp_far_return_data, "pushq $0x10; pushq $0", "lretq", "")                                \
	X(gp_far_return_null, "pushq $0; pushq $0", "lretq", "")                                   \
	X(gp_far_return_beyond, "pushq $0x88; pushq $0", "lretq", "")                              \
	X(gp_read, NONCANONICAL, "movl (%rax), %ecx", "")                                          \
	X(gp_write, NONCANONICAL, "movl %ecx, (%rax)", "")                                         \
	X(gp_jump, NONCANONICAL, "jmp *%rax", "")                                                  \
	X(gp_call, NONCANONICAL, "call *%rax", "")                                                 \
	X(gp_return, NONCANONICAL "pushq %rax", "ret", "")                                         \
	X(ss_read, NONCANONICAL "movq %rax, %rbp", "movl (%rbp), %ecx", "")                        \
	X(ss_push, "movq %rsp, %rcx; " NONCANONICAL "movq %rax, %rsp", "pushq %rax", "")           \
	X(gp_movaps_unaligned, "", "movaps 1(%rsp), %xmm0", "")                                    \
	X(gp_cmpxchg16b_unaligned, "", "cmpxchg16b 1(%rsp)", "")

// Privileged: #GP(0) in ring 3. SDM vol. 3, 5.9.
#define PRIVILEGED(X)                                                                              \
	X(hlt, "", "hlt", "")                                                                      \
	X(cli, "", "cli", "")                                                                      \
	X(sti, "", "sti", "")                                                                      \
	X(clts, "", "clts", "")                                                                    \
	X(invd, "", "invd", "")                                                                    \
	X(wbinvd, "", "wbinvd", "")                                                                \
	X(invlpg, "", "invlpg (%rsp)", "")                                                         \
	X(lgdt, "", "lgdt (%rsp)", "")                                                             \
	X(lidt, "", "lidt (%rsp)", "")                                                             \
	X(lldt, "xorl %eax, %eax", "lldt %ax", "")                                                 \
	X(ltr, "xorl %eax, %eax", "ltr %ax", "")                                                   \
	X(lmsw, "xorl %eax, %eax", "lmsw %ax", "")                                                 \
	X(mov_from_cr0, "", "movq %cr0, %rax", "")                                                 \
	X(mov_from_cr3, "", "movq %cr3, %rax", "")                                                 \
	X(mov_from_cr8, "", "movq %cr8, %rax", "")                                                 \
	X(mov_to_cr4, "", "movq %rax, %cr4", "")                                                   \
	X(mov_from_dr0, "", "movq %dr0, %rax", "")                                                 \
	X(mov_to_dr7, "", "movq %rax, %dr7", "")                                                   \
	X(rdmsr, "movl $0x10, %ecx", "rdmsr", "")                                                  \
	X(wrmsr, "movl $0x10, %ecx", "wrmsr", "")                                                  \
	X(swapgs, "", "swapgs", "")                                                                \
	X(sysret, "", "sysretq", "")                                                               \
	X(in, "", "inb $0x21, %al", "")                                                            \
	X(out, "", "outb %al, $0x80", "")                                                          \
	X(ins, "movl $0x21, %edx", "insb", "")                                                     \
	X(outs, "movl $0x80, %edx", "outsb", "")                                                   \
	X(int_40, "", "int $0x40", "")                                                             \
	X(far_return_to_ring0, "pushq $8; pushq $0", "lretq", "")                                  \
	X(load_ring0_data, "movl $0x10, %eax", "movl %eax, %ds", "")

// RDI: the address.
#define PAGES(X)                                                                                   \
	X(read, "", "movb (%rdi), %al", "")                                                        \
	X(write, "", "movb %al, (%rdi)", "")                                                       \
	X(add, "", "addb $1, (%rdi)", "")                                                          \
	X(fetch, "", "jmp *%rdi", "")

#define CROSSING(X)                                                                                \
	X(read8, "", "movq (%rdi), %rax", "")                                                      \
	X(write8, "xorl %eax, %eax", "movq %rax, (%rdi)", "")                                      \
	X(add8, "", "addq $1, (%rdi)", "")                                                         \
	X(locked8, "xorl %eax, %eax", "lock xaddq %rax, (%rdi)", "")                               \
	X(push8, "", "pushq (%rdi)", "popq %rax")

#define STATE(X)                                                                                   \
	X(fninit, "", "fninit", "")                                                                \
	X(fwait, "", "fwait", "")                                                                  \
	X(emms, "", "emms", "")                                                                    \
	X(movaps, "", "movaps %xmm0, %xmm0", "")                                                   \
	X(fault_x87, "fninit; pushq $0x33b; fldcw (%rsp); popq %rax; fld1; fldz; fdivrp",          \
		"fwait", "fninit")                                                                 \
	X(fault_sse, "pushq $0x1f00; ldmxcsr (%rsp); popq %rax; xorps %xmm0, %xmm0",               \
		"divps %xmm0, %xmm0", "")

#define ALIGNMENT(X)                                                                               \
	X(word, "", "movw 1(%rsp), %ax", "")                                                       \
	X(word_inside, "", "movw 2(%rsp), %ax", "")                                                \
	X(dword, "", "movl 2(%rsp), %eax", "")                                                     \
	X(qword_write, "", "movq %rax, -12(%rsp)", "")                                             \
	X(qword_aligned, "", "movq %rax, -16(%rsp)", "")                                           \
	X(push, "subq $1, %rsp", "pushq %rax", "popq %rax; addq $1, %rsp")                         \
	X(lock_add, "", "lock addl $0, 1(%rsp)", "")                                               \
	X(byte, "", "movb 1(%rsp), %al", "")

SNIPPETS(plain, PLAIN)
SNIPPETS(privileged, PRIVILEGED)
SNIPPETS(pages, PAGES)
SNIPPETS(crossing, CROSSING)
SNIPPETS(state, STATE)
SNIPPETS(alignment, ALIGNMENT)

enum { CR0_EM = 4, CR0_TS = 8, CR0_AM = 1 << 18, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10 };

static uint8_t page[4096] __attribute__((aligned(4096)));

#define RUN SNIPPETS_REPORT

static void exceptions_plain(void)
{
	uint64_t cr4 = read_cr4();

	__asm__ volatile("lldt %w0" : : "r"(0)); // a CPU's reset leaves one of 64 KiB
	write_cr4(cr4 | CR4_OSFXSR);
	RUN("ring0", plain, false, 0, NULL);
	RUN("ring3", plain, true, 0, NULL);
	write_cr4(cr4);
}

// One access; a fetch that faults leaves the target in RIP.
static void page_fault(const char *prefix, const struct snippet *snippet, bool user,
	uint64_t flags)
{
	char *at = paging_map(0, (uintptr_t)page, flags);
	bool fetch = snippet == &pages[SNIPPET_COUNT(pages) - 1];

	page[0] = 0xc3; // what is fetched: RET
	if (!snippet_traps(snippet, user, 0, at)) {
		report("%s.%s = none", prefix, snippet->name);
		return;
	}
	report("%s.%s = #%lu error 0x%lx%s%s", prefix, snippet->name, trap_last.vector,
		trap_last.error, trap_last.cr2 == (uintptr_t)at ? "" : " cr2 WRONG",
		trap_last.rip == (fetch ? (uintptr_t)at : (uintptr_t)snippet->at) ?
			"" : " rip WRONG");
	snippet_count_rf(true);
}

// Every combination of what the access is and what the page table says. SDM vol. 3, 4.6 and 4.7.
static void exceptions_page_faults(void)
{
	static const struct {
		const char *name;
		uint64_t flags;
	} kinds[] = {
		{"absent", 0}, {"supervisor_ro", 1}, {"supervisor_rw", 3}, {"user_ro", 5},
		{"user_rw", 7}, {"user_rw_nx", 7 | 1ull << 63}, {"reserved_51", 7 | 1ull << 51},
	};

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 0x800);
	for (unsigned ring = 0; ring < 2; ring++)
		for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			for (unsigned k = 0; k < SNIPPET_COUNT(pages); k++)
				page_fault(snippet_prefix(ring == 0 ? "pf0" : "pf3", kinds[i].name),
					&pages[k], ring == 1, kinds[i].flags);
	snippet_report_rf("pf");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~0x800ull);
}

// CR2 is the first byte that cannot be accessed: the second page's, of an access that crosses. A
// write that faults there leaves the first page as it was.
static void exceptions_page_crossing(void)
{
	char *at = paging_map(0, (uintptr_t)page, 7);

	paging_map(1, 0, 0);
	for (unsigned k = 0; k < SNIPPET_COUNT(crossing); k++) {
		bool cr2 = true, kept = true;

		for (unsigned back = 1; back < 8; back++) {
			for (unsigned i = 4088; i < 4096; i++)
				page[i] = 0x5a;
			cr2 = cr2 && snippet_traps(&crossing[k], false, 0, at + 4096 - back) &&
				trap_last.vector == 14 && trap_last.cr2 == (uintptr_t)at + 4096;
			for (unsigned i = 4088; i < 4096; i++)
				kept = kept && page[i] == 0x5a;
		}
		report("crossing.%s = cr2 %s, first page %s", crossing[k].name,
			cr2 ? "ok" : "WRONG", kept ? "kept" : "WRITTEN");
	}
}

static void exceptions_no_math(void)
{
	static const uint64_t bits[] = {CR0_TS, CR0_EM, CR0_EM | CR0_TS, 0};
	static const char *const names[] = {"ts", "em", "em_ts", "no_osfxsr"};
	uint64_t cr0 = read_cr0(), cr4 = read_cr4();

	for (unsigned i = 0; i < 4; i++) {
		write_cr4(cr4 | (i == 3 ? 0 : CR4_OSFXSR | CR4_OSXMMEXCPT));
		for (unsigned k = 0; k < 4; k++) {
			write_cr0(cr0 | bits[i]);
			snippet_report(names[i], &state[k], false, 0, NULL);
			write_cr0(cr0);
		}
	}
	snippet_report_rf("no_math");
	write_cr4(cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT);
	RUN("float0", state, false, 0, NULL);
	__asm__ volatile("fninit");
	RUN("float3", state, true, 0, NULL);
	write_cr4(cr4 | CR4_OSFXSR); // SDM vol. 3, 2.5: #UD instead of #XM
	snippet_report("no_osxmmexcpt", &state[5], false, 0, NULL);
	snippet_report_rf("float");
	__asm__ volatile("fninit; pushq $0x1f80; ldmxcsr (%%rsp); popq %%rax" : : : "rax");
	write_cr4(cr4);
}

// CR0.AM, RFLAGS.AC and ring 3 together. SDM vol. 3, 6.15 (#AC).
static void exceptions_alignment(void)
{
	uint64_t cr0 = read_cr0(), cr4 = read_cr4();

	write_cr4(cr4 | CR4_OSFXSR);
	RUN("align_am_off", alignment, true, 1 << 18, NULL);
	write_cr0(cr0 | CR0_AM);
	RUN("align_ac_off", alignment, true, 0, NULL);
	RUN("align", alignment, true, 1 << 18, NULL);
	write_cr0(cr0);
	write_cr4(cr4);
}

// The image of the other registers: ring 3's stack, selectors, flags, and RF as IRET loads it.
static void exceptions_image(void)
{
	static const uint64_t flags[] = {0x202, 0x8d7, 0x40202, 0x244ed5};

	for (unsigned i = 0; i < 4; i++) {
		bool traps = snippet_traps(&plain[13], true, flags[i], NULL);

		report("image.0x%lx = %u #%lu cs 0x%lx ss 0x%lx flags 0x%lx", flags[i], traps,
			trap_last.vector, trap_last.cs, trap_last.ss,
			trap_last.rflags & ~(uint64_t)RFLAGS_RF);
	}
}

void payload_main(void)
{
	exceptions_plain();
	RUN("privileged", privileged, true, 0, NULL);
	exceptions_page_faults();
	exceptions_page_crossing();
	exceptions_no_math();
	exceptions_alignment();
	exceptions_image();
}
