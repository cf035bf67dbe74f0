// SPDX-License-Identifier: BSD-2-Clause
// x87, SSE and AVX state: it stays over everything that may leave the CPU for a hypervisor, and
// XSAVE, XSAVEOPT, XRSTOR, FXSAVE and LDMXCSR keep their rules. SDM vol. 1, 13.4 to 13.11; vol. 2.
#include "lib/snippet.h"

PAYLOAD("cpu_xsave");

enum { CR0_TS = 8, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, CR4_OSXSAVE = 1 << 18 };
enum { VECTOR = 0x61, AREA = 2048, LEGACY = 416, HEADER = 512, YMM = 576, YMM_END = 832 };

// What is loaded, and what is found afterwards.
static struct {
	uint8_t start[AREA], end[AREA];
	uint8_t memory[64];
} state __attribute__((aligned(64)));

static bool has_avx;

// A state that differs in every register. Tag word: all valid; MXCSR: masked, rounding up.
static void pattern(unsigned seed)
{
	for (unsigned i = 0; i < AREA; i++)
		state.start[i] = i < LEGACY || (i >= YMM && i < YMM_END) ?
			(uint8_t)(i * 7 + seed * 13 + (i >> 4) * 29) : 0;
	for (unsigned i = 0; i < 32; i++)
		state.start[i] = 0;
	state.start[0] = 0x7f; // FCW 0x37f
	state.start[1] = 0x03;
	state.start[4] = 0xff;
	state.start[24] = 0x80; // MXCSR 0x5f80
	state.start[25] = 0x5f;
	for (unsigned r = 0; r < 8; r++) { // numbers: the integer bit set, a moderate exponent
		uint8_t *st = &state.start[32 + 16 * r];

		st[7] |= 0x80;
		st[8] = (uint8_t)(0x10 + r);
		st[9] = 0x40;
		for (unsigned i = 10; i < 16; i++)
			st[i] = 0;
	}
	if (!has_avx)
		for (unsigned i = YMM; i < YMM_END; i++)
			state.start[i] = 0;
	state.start[HEADER] = has_avx ? 7 : 3;
}

// MXCSR_MASK (28 to 31) is the CPU's; the last bytes of the legacy area are the software's.
static unsigned differences(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < YMM_END; i++)
		if ((i < 28 || i > 31) && (i < LEGACY || i >= YMM) &&
			state.start[i] != state.end[i])
			n++;
	return n;
}

#define LOAD "movl $7, %eax; xorl %edx, %edx; xrstor (%rdi)"
#define KEEP "movl $7, %eax; xorl %edx, %edx; xsave 2048(%rdi)"

// RSI: the LAPIC's TPR; RDI: `state`.
#define EXITS(X)                                                                                   \
	X(nothing, LOAD, "nop", KEEP)                                                              \
	X(cpuid, LOAD "; pushq %rbx", "cpuid", "popq %rbx; " KEEP)                                 \
	X(in, LOAD, "inb $0x21, %al", KEEP)                                                        \
	X(out, LOAD, "outb %al, $0x80", KEEP)                                                      \
	X(ins, LOAD "; pushq %rdi; addq $4096, %rdi; movb $0x21, %dl", "insb", "popq %rdi; " KEEP) \
	X(mmio_read, LOAD, "movl (%rsi), %eax", KEEP)                                              \
	X(mmio_write, LOAD "; xorl %eax, %eax", "movl %eax, (%rsi)", KEEP)                         \
	X(mmio_add, LOAD, "addl $0, (%rsi)", KEEP)                                                 \
	X(rdmsr, LOAD "; movl $0x1b, %ecx", "rdmsr", KEEP)                                         \
	X(wrmsr, LOAD "; movl $0xc0000080, %ecx; rdmsr", "wrmsr", KEEP)                            \
	X(mov_cr0, LOAD "; movq %cr0, %rax", "movq %rax, %cr0", KEEP)                              \
	X(mov_cr4, LOAD "; movq %cr4, %rax", "movq %rax, %cr4", KEEP)                              \
	X(clts, LOAD, "clts", KEEP)                                                                \
	X(xsetbv, LOAD "; xorl %ecx, %ecx; xgetbv", "xsetbv", KEEP)                                \
	X(wbinvd, LOAD, "wbinvd", KEEP)                                                            \
	X(int_n, LOAD, "int $0x80", KEEP)                                                          \
	X(interrupt, LOAD, "sti; nop; nop; cli", KEEP)                                             \
	X(halt, LOAD, "sti; hlt; cli", KEEP)                                                       \
	X(step, LOAD "; pushfq; orl $0x100, (%rsp); popfq", "nop", KEEP)                           \
	X(new_page, LOAD, "movb $1, 0x2000000", KEEP)                                              \
	X(long_loop, LOAD "; movl $3000000, %ecx; sti", "1: decl %ecx; jnz 1b", "cli; " KEEP)

SNIPPETS(exits, EXITS)

static void ignore(struct trap_frame *frame)
{
	(void)frame;
}

static void step_hook(struct trap_frame *frame)
{
	frame->rflags &= ~(uint64_t)RFLAGS_TF;
}

static void xsave_exits(void)
{
	for (unsigned i = 0; i < SNIPPET_COUNT(exits); i++) {
		void (*code)(void *, void *) = (void (*)(void *, void *))(uintptr_t)exits[i].code;
		unsigned bad;

		pattern(i);
		for (unsigned k = 0; k < AREA; k++)
			state.end[k] = 0;
		if (exits[i].name[0] == 'i' && exits[i].name[3] == 'e') // interrupt
			lapic_send(0, 0x4000 | VECTOR);
		if (exits[i].name[0] == 'h') {
			lapic_write(LAPIC_TIMER, VECTOR);
			lapic_write(LAPIC_TMICT, 100000);
		}
		code(&state, (void *)(uintptr_t)(LAPIC_BASE + LAPIC_TPR));
		bad = differences();
		report("keep.%s = %s%s", exits[i].name, bad == 0 ? "ok" : "WRONG",
			state.end[HEADER] == state.start[HEADER] ? "" : " header");
	}
	report("keep.interrupts = %u", irq_count);
}

// RDI: `state`, with a pattern.
#define MASK(n) "xorl %edx, %edx; movl $" #n ", %eax; "
#define RULES(X)                                                                                   \
	X(xsave_unaligned, MASK(7), "xsave 2049(%rdi)", "")                                        \
	X(xsave_16, MASK(7), "xsave 2064(%rdi)", "")                                               \
	X(xrstor_unaligned, MASK(7), "xrstor 1(%rdi)", "")                                         \
	X(xrstor_header_8, MASK(7) "movb $1, 520(%rdi)", "xrstor (%rdi)", "")                      \
	X(xrstor_header_16, MASK(7) "movb $1, 528(%rdi)", "xrstor (%rdi)", "")                     \
	X(xrstor_bv_unknown, MASK(7) "movb $0x80, 519(%rdi)", "xrstor (%rdi)", "")                 \
	X(xrstor_bv_not_in_xcr0, MASK(7) "orb $0x80, 513(%rdi)", "xrstor (%rdi)", "")              \
	X(xrstor_mxcsr, MASK(7) "movb $1, 26(%rdi)", "xrstor (%rdi)", "")                          \
	X(xrstor_mxcsr_not_asked, MASK(1) "movb $1, 26(%rdi)", "xrstor (%rdi)", "")                \
	X(xsave_lock, MASK(7), ".byte 0xf0, 0x0f, 0xae, 0x27", "")                                 \
	X(fxsave_unaligned, "", "fxsave 2049(%rdi)", "")                                           \
	X(fxrstor_unaligned, "", "fxrstor 1(%rdi)", "")                                            \
	X(fxrstor_mxcsr, "movb $1, 26(%rdi)", "fxrstor (%rdi)", "")                                \
	X(ldmxcsr_reserved, "movl $0x11f80, 4096(%rdi)", "ldmxcsr 4096(%rdi)", "")                 \
	X(ldmxcsr, "movl $0xffbf, 4096(%rdi)", "ldmxcsr 4096(%rdi)", "")                           \
	X(xsave, MASK(7), "xsave 2048(%rdi)", "")                                                  \
	X(fxsave, "", "fxsave 2048(%rdi)", "")                                                     \
	X(movups, "", "movups %xmm0, 4096(%rdi)", "")                                              \
	X(fld, "", "fld1; fstp %st", "")

#define AVX(X) X(vmovups, "", "vmovups %ymm0, %ymm0", "")

SNIPPETS(rules, RULES)
SNIPPETS(avx, AVX)

static void rules_run(const char *prefix)
{
	for (unsigned i = 0; i < SNIPPET_COUNT(rules); i++) {
		struct snippet s = rules[i];

		pattern(1);
		__asm__ volatile("clts; fninit");
		snippet_report(prefix, &s, false, 0, &state);
	}
	snippet_report_rf(prefix);
}

static void xsave_to(uint32_t mask, uint8_t *to)
{
	__asm__ volatile("xsave (%0)" : : "r"(to), "a"(mask), "d"(0) : "memory");
}

static void xrstor_from(uint32_t mask, const uint8_t *from)
{
	__asm__ volatile("xrstor (%0)" : : "r"(from), "a"(mask), "d"(0) : "memory");
}

static bool range_is(unsigned from, unsigned to, const uint8_t *like)
{
	for (unsigned i = from; i < to; i++)
		if (state.end[i] != (like != NULL ? like[i] : 0))
			return false;
	return true;
}

// Components that are not asked for stay; those with a clear bit in XSTATE_BV are initialized.
static void xsave_components(void)
{
	static uint8_t first[AREA] __attribute__((aligned(64)));
	uint32_t all = has_avx ? 7 : 3;

	pattern(3);
	for (unsigned i = 0; i < AREA; i++)
		first[i] = state.start[i];
	xrstor_from(all, first);
	pattern(4);
	xrstor_from(2, state.start); // SSE alone
	xsave_to(all, state.end);
	report_check("partial.x87 stays", range_is(32, 160, first));
	report_check("partial.sse comes", range_is(160, 416, state.start));
	report_check("partial.avx stays", !has_avx || range_is(YMM, YMM_END, first));
	xrstor_from(all, first);
	state.start[HEADER] = 0;
	xrstor_from(all, state.start);
	xsave_to(all, state.end);
	report_check("init.x87", range_is(32, 160, NULL) && state.end[0] == 0x7f &&
		state.end[1] == 3 && state.end[4] == 0);
	report_check("init.sse", range_is(160, 416, NULL));
	report_check("init.avx", !has_avx || (state.end[HEADER] & 4) == 0 ||
		range_is(YMM, YMM_END, NULL));
	report("init.mxcsr = 0x%x", *(uint32_t *)(void *)&state.end[24]);
	// SAVE of one component leaves the rest of the memory, and its other bits of XSTATE_BV.
	xrstor_from(all, first);
	for (unsigned i = 0; i < AREA; i++)
		state.end[i] = i < HEADER || i >= YMM ? 0xee : 0;
	state.end[HEADER] = 1;
	xsave_to(2, state.end);
	report("save_sse.header = %u", state.end[HEADER]);
	report("save_sse.st0 byte, xmm0 = 0x%x %s", state.end[32],
		range_is(160, 416, first) ? "ok" : "WRONG");
	report_check("save_sse.mxcsr", state.end[24] == 0x80 && state.end[25] == 0x5f);
}

static void xsave_optimized(void)
{
	if ((cpuid(0xd, 1).eax & 1) == 0) {
		report("xsaveopt = not present");
		return;
	}
	pattern(5);
	for (unsigned i = 0; i < AREA; i++)
		state.end[i] = 0;
	xrstor_from(has_avx ? 7 : 3, state.start);
	__asm__ volatile("xsaveopt (%0)" : : "r"(state.end), "a"(7), "d"(0) : "memory");
	report("xsaveopt = %u differences, header %u", differences(), state.end[HEADER]);
}

static void xsave_avx_off(void)
{
	xsetbv(0, 3);
	__asm__ volatile("" : : : "memory");
	snippet_report("avx_off", &avx[0], false, 0, NULL);
	pattern(6);
	for (unsigned i = 0; i < AREA; i++)
		state.end[i] = 0xee;
	for (unsigned i = HEADER; i < YMM; i++)
		state.end[i] = 0;
	state.start[HEADER] = 3;
	xrstor_from(7, state.start);
	xsave_to(7, state.end);
	report("avx_off.header = %u, upper half's place = 0x%x", state.end[HEADER], state.end[YMM]);
	xsetbv(0, has_avx ? 7 : 3);
}

extern const char xsave_code16[], xsave_code16_end[], xsave_code32[], xsave_code32_end[];
#define FLOATS(ret)                                                                                \
	"fninit; movl $1234, 0x9000; movl $-77, 0x9004\n"                                          \
	"fildl 0x9000; fimull 0x9004; fistpl 0x9008; movl 0x9008, %eax\n"                          \
	"fnstcw 0x900c; movzwl 0x900c, %ebx\n"                                                     \
	"movl $0x01020304, %ecx; movd %ecx, %xmm0; paddd %xmm0, %xmm0; inb $0x21, %al\n"           \
	"movd %xmm0, %ecx; movl 0x9008, %eax\n" ret "\n"
__asm__(".text\n.code16\n"
	"xsave_code16: " FLOATS("lret")
	"xsave_code16_end:\n.code32\n"
	"xsave_code32: " FLOATS("ret")
	"xsave_code32_end:\n.code64\n");

static void xsave_modes(void)
{
	for (unsigned mode = 0; mode < MODE_COUNT; mode++) {
		bool small = mode == MODE_REAL16;
		const char *code = small ? xsave_code16 : xsave_code32;
		const char *end = small ? xsave_code16_end : xsave_code32_end;
		struct low_regs r = {0};

		if (mode == MODE_PROT16)
			continue;
		mode_run(mode, code, (size_t)(end - code), &r);
		report("%s = %d control 0x%x sse 0x%x", mode_names[mode], (int)r.eax, r.ebx, r.ecx);
	}
}

void payload_main(void)
{
	uint64_t cr0;

	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
	has_avx = (cpuid(0xd, 0).eax & 4) != 0;
	xsetbv(0, has_avx ? 7 : 3);
	report("avx = %u", has_avx);
	trap_set_hook(0x80, ignore);
	trap_set_hook(1, step_hook);
	trap_set_hook(VECTOR, irq_hook);
	xsave_exits();
	trap_set_hook(1, NULL);
	rules_run("rule");
	cr0 = read_cr0();
	xsave_components();
	xsave_optimized();
	xsave_avx_off();
	xsave_modes();
	write_cr0(cr0 | CR0_TS); // SDM vol. 3, 2.5: each of them is #NM
	for (unsigned i = SNIPPET_COUNT(rules) - 5; i < SNIPPET_COUNT(rules); i++)
		snippet_report("ts", &rules[i], false, 0, &state);
	write_cr0(cr0);
}
