// SPDX-License-Identifier: BSD-2-Clause
// Instructions by which a CPU tells of itself, of time, or of what else it does: performance
// counters, waits, transactions, and those that recordable machines do not have. In ring 0 and 3.
#include "lib/det.h"
#include "lib/snippet.h"

PAYLOAD("det_instructions");

enum { CR4_PCE = 1 << 8, CR4_OSFXSR = 1 << 9, CR4_OSXSAVE = 1 << 18 };

// RDI: 4096 aligned bytes. Where the assembler may not know one: SDM vol. 2, APM vol. 3.
#define LEAKS(X)                                                                                   \
	X(rdpmc_0, "xorl %ecx, %ecx", "rdpmc", "")                                                 \
	X(rdpmc_1, "movl $1, %ecx", "rdpmc", "")                                                   \
	X(rdpmc_fixed, "movl $0x40000000, %ecx", "rdpmc", "")                                      \
	X(rdpmc_fixed_1, "movl $0x40000001, %ecx", "rdpmc", "")                                    \
	X(rdpmc_metrics, "movl $0x20000000, %ecx", "rdpmc", "")                                    \
	X(rdpru, "xorl %ecx, %ecx", ".byte 0x0f, 0x01, 0xfd", "")                                  \
	X(umonitor, "movq %rdi, %rax", ".byte 0xf3, 0x0f, 0xae, 0xf0", "")                         \
	X(umwait, "xorl %eax, %eax; xorl %edx, %edx; xorl %ecx, %ecx",                             \
		".byte 0xf2, 0x0f, 0xae, 0xf1", "")                                                \
	X(tpause, "xorl %eax, %eax; xorl %edx, %edx; xorl %ecx, %ecx",                             \
		".byte 0x66, 0x0f, 0xae, 0xf1", "")                                                \
	X(monitor, "movq %rdi, %rax; xorl %ecx, %ecx; xorl %edx, %edx", "monitor", "")             \
	X(mwait, "xorl %eax, %eax; xorl %ecx, %ecx", "mwait", "")                                  \
	X(monitorx, "movq %rdi, %rax; xorl %ecx, %ecx; xorl %edx, %edx",                           \
		".byte 0x0f, 0x01, 0xfa", "")                                                      \
	X(mwaitx, "xorl %eax, %eax; xorl %ecx, %ecx", ".byte 0x0f, 0x01, 0xfb", "")                \
	X(xbegin, "", ".byte 0xc7, 0xf8, 0, 0, 0, 0", "")                                          \
	X(xend, "", ".byte 0x0f, 0x01, 0xd5", "")                                                  \
	X(xtest, "", ".byte 0x0f, 0x01, 0xd6", "")                                                 \
	X(xabort, "", ".byte 0xc6, 0xf8, 0x55", "")                                                \
	X(xacquire, "", ".byte 0xf2, 0xf0, 0x83, 0x07, 0x01", "")                                  \
	X(xrelease, "", ".byte 0xf3, 0xf0, 0x83, 0x2f, 0x01", "")                                  \
	X(mcommit, "", ".byte 0xf3, 0x0f, 0x01, 0xfa", "")                                         \
	X(invlpgb, "xorl %eax, %eax; xorl %ecx, %ecx; xorl %edx, %edx",                            \
		".byte 0x0f, 0x01, 0xfe", "")                                                      \
	X(tlbsync, "", ".byte 0x0f, 0x01, 0xff", "")                                               \
	X(ptwrite, "", ".byte 0xf3, 0x0f, 0xae, 0xe0", "")                                         \
	X(pconfig, "movl $0x100, %eax", ".byte 0x0f, 0x01, 0xc5", "")                              \
	X(encls, "movl $0x100, %eax", ".byte 0x0f, 0x01, 0xcf", "")                                \
	X(enclu, "movl $0x100, %eax", ".byte 0x0f, 0x01, 0xd7", "")                                \
	X(rdpkru, "xorl %ecx, %ecx", ".byte 0x0f, 0x01, 0xee", "")                                 \
	X(rdsspq, "", ".byte 0xf3, 0x48, 0x0f, 0x1e, 0xc8", "")                                    \
	X(serialize, "", ".byte 0x0f, 0x01, 0xe8", "")                                             \
	X(wbnoinvd, "", ".byte 0xf3, 0x0f, 0x09", "")                                              \
	X(rdpid, "", ".byte 0xf3, 0x0f, 0xc7, 0xf8", "")                                           \
	X(vmfunc, "movl $0x100, %eax", ".byte 0x0f, 0x01, 0xd4", "")

SNIPPETS(leaks, LEAKS)

static uint8_t area[4096] __attribute__((aligned(4096)));

// All of CPUID that tells of these: they are as CPUID says, or hidden.
static void offered(void)
{
	struct cpuid f = cpuid(1, 0), s = cpuid(7, 0), x = cpuid(0x80000001, 0);
	struct cpuid e = cpuid(0x80000008, 0);

	report("monitor pdcm = %u%u", f.ecx >> 3 & 1, f.ecx >> 15 & 1);
	report("hle rtm rtm_always_abort force_abort = %u%u%u%u", s.ebx >> 4 & 1, s.ebx >> 11 & 1,
		s.edx >> 11 & 1, s.edx >> 13 & 1);
	report("pt ptwrite waitpkg pku cet = %u%u%u%u%u", s.ebx >> 25 & 1,
		cpuid(0x14, 0).ebx >> 4 & 1, s.ecx >> 5 & 1, s.ecx >> 3 & 1, s.ecx >> 7 & 1);
	report("amx sgx = %u%u", s.edx >> 24 & 1, s.ebx >> 2 & 1);
	report("perfctr_core lwp ibs monitorx = %u%u%u%u", x.ecx >> 23 & 1, x.ecx >> 15 & 1,
		x.ecx >> 10 & 1, x.ecx >> 29 & 1);
	report("clzero rdpru mcommit invlpgb = %u%u%u%u", e.ebx & 1, e.ebx >> 4 & 1, e.ebx >> 8 & 1,
		e.ebx >> 3 & 1);
	report("performance monitoring = %u", cpuid(0xa, 0).eax & 0xff);
}

// The state after an abort is that before XBEGIN, EAX tells why: SDM vol. 1, 16.3.
static uint64_t transaction_result;

static void transaction(void *argument)
{
	uint64_t result = 0x1234;

	(void)argument;
	__asm__ volatile(".byte 0xc7, 0xf8, 0x09, 0, 0, 0\n" // xbegin: behind the jump
			 "movl $0x5678, %%eax\n"
			 "jmp 1f\n nop; nop\n"
			 "nop; nop; nop\n"
			 "1:"
			 : "+a"(result) : : "memory");
	transaction_result = result;
}

void payload_main(void)
{
	offered();
	SNIPPETS_REPORT("kernel", leaks, false, 0, area);
	SNIPPETS_REPORT("user", leaks, true, 0, area);
	write_cr4(read_cr4() | CR4_PCE | CR4_OSFXSR | CR4_OSXSAVE);
	SNIPPETS_REPORT("all_on", leaks, false, 0, area);
	SNIPPETS_REPORT("all_on_user", leaks, true, 0, area);
	for (unsigned i = 0; i < 3; i++) {
		bool traps = trap_catch(transaction, NULL);

		report("transaction.%u = %s 0x%lx", i, traps ? "trap" : "result",
			traps ? trap_last.vector : transaction_result);
	}
	report("tsc = %lu", rdtsc());
}
