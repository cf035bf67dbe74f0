// SPDX-License-Identifier: BSD-2-Clause
// Which components of the FPU's state are in use, as XSAVE tells after known instructions, at once
// and a long while later: what the host does between must not show. SDM vol. 1, 13.6 and 13.7.
//
// XSAVE is offered to a recordable machine; its other forms and XGETBV with ECX = 1 are not, and
// no CPU can be told to refuse them all. What they do is printed all the same: it is what a guest
// finds that does not ask CPUID.
#include "lib/det.h"
#include "lib/snippet.h"

PAYLOAD("det_xsave");

enum { CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, CR4_OSXSAVE = 1 << 18 };
enum { AREA = 1088, HEADER = 512 };

static uint8_t area[2048] __attribute__((aligned(64)));
static uint8_t zeros[2048] __attribute__((aligned(64)));
static uint32_t components;

// RDI: an area of zeros.
#define INIT "fninit; movl $7, %eax; xorl %edx, %edx; xrstor (%rdi); "
#define STATES(X)                                                                                  \
	X(init, INIT, "nop", "")                                                                   \
	X(x87, INIT, "fld1", "")                                                                   \
	X(x87_empty, INIT "fld1", "fstp %st", "")                                                  \
	X(x87_control, INIT "movw $0x27f, 1024(%rdi)", "fldcw 1024(%rdi)", "")                     \
	X(sse, INIT "movl $5, %eax", "movd %eax, %xmm3", "")                                       \
	X(sse_zero, INIT, "pxor %xmm3, %xmm3", "")                                                 \
	X(sse_mxcsr, INIT "movl $0x5f80, 1024(%rdi)", "ldmxcsr 1024(%rdi)", "")                    \
	X(restored, INIT "movb $7, 512(%rdi)", "xrstor (%rdi)", "movb $0, 512(%rdi)")

#define AVX_STATES(X)                                                                              \
	X(avx, INIT, "vcmpps $15, %ymm1, %ymm1, %ymm1", "")                                        \
	X(avx_zero, INIT, "vxorps %ymm1, %ymm1, %ymm1", "")                                        \
	X(avx_low, INIT "movl $5, %eax", "vmovd %eax, %xmm2", "")                                  \
	X(vzeroupper, INIT "vcmpps $15, %ymm1, %ymm1, %ymm1", "vzeroupper", "")                    \
	X(vzeroall, INIT "vcmpps $15, %ymm1, %ymm1, %ymm1", "vzeroall", "")

// RDI: where to.
#define SAVES(X)                                                                                   \
	X(xsave, "movl $7, %eax; xorl %edx, %edx", "xsave (%rdi)", "")                             \
	X(xsave_sse, "movl $2, %eax; xorl %edx, %edx", "xsave (%rdi)", "")                         \
	X(fxsave, "", "fxsave (%rdi)", "")                                                         \
	X(xsaveopt, "movl $7, %eax; xorl %edx, %edx", "xsaveopt (%rdi)", "")                       \
	X(xsavec, "movl $7, %eax; xorl %edx, %edx", "xsavec (%rdi)", "")                           \
	X(xsaves, "movl $7, %eax; xorl %edx, %edx", "xsaves (%rdi)", "")                           \
	X(xgetbv_1, "movl $1, %ecx", "xgetbv; movl %eax, 512(%rdi)", "")

SNIPPETS(states, STATES)
SNIPPETS(avx_states, AVX_STATES)
SNIPPETS(saves, SAVES)

static void state_report(const struct snippet *state, const struct snippet *save, bool later)
{
	uint64_t hash = DET_HASH_START;
	const uint64_t *words = (const uint64_t *)(const void *)area;

	for (unsigned i = 0; i < AREA; i++)
		area[i] = i < HEADER || i >= HEADER + 64 ? 0xcc : 0;
	if (snippet_traps(state, false, 0, zeros)) {
		report("%s = #%lu", state->name, trap_last.vector);
		zeros[HEADER] = 0;
		return;
	}
	if (later) {
		det_long_while();
		(void)inb(0x21);
	}
	if (snippet_traps(save, false, 0, area)) {
		report("%s.%s%s = #%lu", state->name, save->name, later ? ".later" : "",
			trap_last.vector);
		return;
	}
	for (unsigned i = 0; i < AREA / 8; i++)
		hash = det_hash(hash, words[i]);
	report("%s.%s%s = in use %lx format %lx hash 0x%lx", state->name, save->name,
		later ? ".later" : "", words[HEADER / 8], words[HEADER / 8 + 1], hash);
}

static void states_report(const struct snippet *table, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < SNIPPET_COUNT(saves); k++)
			for (unsigned later = 0; later < 2; later++)
				state_report(&table[i], &saves[k], later != 0);
}

// The modified optimization: whether a component is left out that has not changed since it was
// loaded from the same place. SDM vol. 1, 13.9.
static void modified_report(bool later)
{
	for (unsigned i = 0; i < AREA; i++)
		area[i] = 0;
	area[HEADER] = (uint8_t)components;
	area[0] = 0x7f;
	area[1] = 3;
	area[24] = 0x80;
	area[25] = 0x1f;
	area[160] = 0x11;
	__asm__ volatile("xrstor (%0)" : : "r"(area), "a"(components), "d"(0) : "memory");
	area[160] = 0x22; // behind the CPU's back
	if (later)
		det_long_while();
	__asm__ volatile("xsaveopt (%0)" : : "r"(area), "a"(components), "d"(0) : "memory");
	report("modified%s = 0x%x", later ? ".later" : "", area[160]);
}

void payload_main(void)
{
	if ((cpuid(1, 0).ecx >> 26 & 1) == 0) {
		report("no XSAVE");
		return;
	}
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
	components = cpuid(0xd, 0).eax;
	xsetbv(0, components);
	zeros[24] = 0x80; // MXCSR is loaded in any case: SDM vol. 1, 13.8.1
	zeros[25] = 0x1f;
	report("offered = 0x%x 0x%x", components, cpuid(0xd, 1).eax);
	states_report(states, SNIPPET_COUNT(states));
	if ((components & 4) != 0)
		states_report(avx_states, SNIPPET_COUNT(avx_states));
	if (!trap_catch((void (*)(void *))(uintptr_t)saves[3].code, area)) {
		modified_report(false);
		modified_report(true);
	}
	xsetbv(0, 3);
	states_report(states, SNIPPET_COUNT(states));
	report("tsc = %lu", rdtsc());
}
