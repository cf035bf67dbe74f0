// SPDX-License-Identifier: BSD-2-Clause
// CPUID: what it says agrees with itself and with what the CPU does, whatever CPU it is. SDM vol.
// 2, CPUID; vol. 1, 13.2; APM vol. 3, appendix E.
#include "lib/snippet.h"

PAYLOAD("cpu_cpuid");

enum { CR4_OSFXSR = 1 << 9, CR4_FSGSBASE = 1 << 16, CR4_OSXSAVE = 1 << 18 };

static bool is_zero(struct cpuid r)
{
	return (r.eax | r.ebx | r.ecx | r.edx) == 0;
}

static bool is_equal(struct cpuid a, struct cpuid b)
{
	return a.eax == b.eax && a.ebx == b.ebx && a.ecx == b.ecx && a.edx == b.edx;
}

// The registers of 64 bits: inputs' upper halves do not count, outputs' are cleared.
static void cpuid_registers(void)
{
	uint64_t a = 0xffffffff00000000, b = ~0ull, c = 0x1234567800000000, d = ~0ull;
	struct cpuid r = cpuid(0, 0);

	__asm__ volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
	report_check("upper halves", a == r.eax && b == r.ebx && c == r.ecx && d == r.edx);
}

static void cpuid_limits(void)
{
	uint32_t last = cpuid(0, 0).eax, extended = cpuid(0x80000000, 0).eax;
	bool same = true, agree;
	struct cpuid f = cpuid(1, 0), x = cpuid(0x80000001, 0), v = cpuid(0, 0);

	report_check("last basic leaf", last >= 0xd && last < 0x40);
	report_check("last extended leaf", extended >= 0x80000008 && extended < 0x80000040);
	report_check("vendor repeated", v.ebx != 0x68747541 ||
		(cpuid(0x80000000, 0).ebx == v.ebx && cpuid(0x80000000, 0).edx == v.edx));
	// Beyond the limits Intel's answer is that of the last basic leaf, AMD's is zeros.
	for (uint32_t i = 1; i < 4; i++) {
		struct cpuid r = cpuid(last + i, 0), e = cpuid(extended + i, 0);

		same = same && (is_zero(r) || is_equal(r, cpuid(last, 0))) &&
			(is_zero(e) || is_equal(e, cpuid(last, 0)));
	}
	report_check("beyond the limits", same);
	// Leaves that do not look at ECX.
	same = true;
	for (uint32_t sub = 1; sub < 6; sub++) {
		struct cpuid g = cpuid(1, sub);

		g.ebx &= 0x00ffffff;
		f.ebx &= 0x00ffffff;
		same = same && is_equal(g, f) && is_equal(cpuid(0, sub), v) &&
			is_equal(cpuid(0x80000001, sub), x) &&
			is_equal(cpuid(0x80000008, sub), cpuid(0x80000008, 0));
	}
	report_check("ecx does not count", same);
	agree = v.ebx != 0x68747541 || ((f.edx ^ x.edx) & 0x0183f3ff) == 0;
	report_check("copies of leaf 1 in 80000001", agree);
}

// Subleaves past the last are zero (7), or name the level asked for and nothing else (0xb).
static void cpuid_subleaves(void)
{
	uint32_t last7 = cpuid(7, 0).eax;
	bool zero = true;
	struct cpuid r;

	for (uint32_t sub = last7 + 1; sub < last7 + 5; sub++)
		zero = zero && is_zero(cpuid(7, sub));
	report_check("leaf 7 beyond", zero);
	if (cpuid(0, 0).eax < 0xb || cpuid(0xb, 0).ebx == 0) {
		report("leaf b = not present");
		return;
	}
	r = cpuid(0xb, 0);
	report_check("leaf b.0 is threads", (r.ecx & 0xffff) == 0x100 && (r.ebx & 0xffff) != 0);
	r = cpuid(0xb, 1);
	report_check("leaf b.1 is cores", (r.ecx & 0xffff) == 0x201 && (r.ebx & 0xffff) != 0);
	r = cpuid(0xb, 5);
	report_check("leaf b.5 is nothing", r.eax == 0 && r.ebx == 0 && r.ecx == 5);
	report_check("leaf b's id is the APIC's", cpuid(0xb, 0).edx == cpuid(1, 0).ebx >> 24 &&
		cpuid(0xb, 1).edx == lapic_read(LAPIC_ID) >> 24);
}

// Components lie one behind the other within the size, and EBX follows XCR0.
static void cpuid_xsave(void)
{
	struct cpuid d;
	uint64_t has;
	bool inside = true, follows = true, zero = true;

	report("osxsave.off = %u", cpuid(1, 0).ecx >> 27 & 1);
	write_cr4(read_cr4() | CR4_OSXSAVE);
	report("osxsave.on = %u", cpuid(1, 0).ecx >> 27 & 1);
	d = cpuid(0xd, 0);
	has = (uint64_t)d.edx << 32 | d.eax;
	for (unsigned i = 2; i < 63; i++) {
		struct cpuid c = cpuid(0xd, i);
		uint64_t with = 3 | 1ull << i;
		bool user = (has >> i & 1) != 0;

		if (!user) { // neither this nor a supervisor component
			zero = zero && ((c.ecx & 1) != 0 || is_zero(c));
			continue;
		}
		inside = inside && c.ebx >= 576 && c.eax != 0 && c.ebx + c.eax <= d.ecx;
		if (i != 2)
			continue;
		xsetbv(0, with);
		follows = follows && cpuid(0xd, 0).ebx == c.ebx + c.eax;
		xsetbv(0, 1);
		follows = follows && cpuid(0xd, 0).ebx == 576;
	}
	report_check("xsave.components lie inside", inside);
	report_check("xsave.size follows XCR0", follows);
	report_check("xsave.absent components are zero", zero);
	report_check("xsave.legacy listed", (has & 3) == 3 && cpuid(0xd, 0).ecx >= 576);
	write_cr4(read_cr4() & ~(uint64_t)CR4_OSXSAVE);
	report("osxsave.off again = %u", cpuid(1, 0).ecx >> 27 & 1);
}

// Instructions that are #UD exactly when their bit is clear, and two that are while VMXON has not
// run and EFER.SVME is clear. RDI: 64 aligned bytes.
#define FEATURES(X)                                                                                \
	X(cx16, "", "cmpxchg16b (%rdi)", "")                                                       \
	X(popcnt, "", "popcnt %eax, %eax", "")                                                     \
	X(movbe, "", "movbe (%rdi), %eax", "")                                                     \
	X(rdrand, "", "rdrand %eax", "")                                                           \
	X(rdseed, "", "rdseed %eax", "")                                                           \
	X(monitor, "movq %rdi, %rax; xorl %ecx, %ecx; xorl %edx, %edx", "monitor", "")             \
	X(rdtscp, "", "rdtscp", "")                                                                \
	X(rdpid, "", "rdpid %rax", "")                                                             \
	X(clflush, "", "clflush (%rdi)", "")                                                       \
	X(clflushopt, "", "clflushopt (%rdi)", "")                                                 \
	X(invpcid, "movl $3, %eax", "invpcid (%rdi), %rax", "")                                    \
	X(rdfsbase, "", "rdfsbase %rax", "")                                                       \
	X(fxsave, "", "fxsave (%rdi)", "")                                                         \
	X(xgetbv, "xorl %ecx, %ecx", "xgetbv", "")                                                 \
	X(xsavec, "xorl %edx, %edx; movl $1, %eax", "xsavec (%rdi)", "")                           \
	X(xsaves, "xorl %edx, %edx; movl $1, %eax", "xsaves (%rdi)", "")                           \
	X(vmxoff, "", "vmxoff", "")                                                                \
	X(stgi, "", "stgi", "")                                                                    \
	X(stac, "", "stac", "clac")                                                                \
	X(rdpkru, "xorl %ecx, %ecx", "rdpkru", "")                                                 \
	X(xbegin, "", "xbegin 1f; xend; 1:", "")

SNIPPETS(features, FEATURES)

static void cpuid_instructions(void)
{
	static uint8_t area[4096] __attribute__((aligned(64)));
	struct cpuid f = cpuid(1, 0), s = cpuid(7, 0), x = cpuid(0x80000001, 0), d = cpuid(0xd, 1);
	const uint32_t present[] = {
		f.ecx >> 13, f.ecx >> 23, f.ecx >> 22, f.ecx >> 30, s.ebx >> 18, f.ecx >> 3,
		x.edx >> 27, s.ecx >> 22, f.edx >> 19, s.ebx >> 23, s.ebx >> 10, s.ebx, f.edx >> 24,
		f.ecx >> 26, d.eax >> 1, d.eax >> 3, 0, 0, s.ebx >> 20, 0, s.ebx >> 11,
	};

	write_cr4(read_cr4() | CR4_OSFXSR | ((f.ecx >> 26 & 1) != 0 ? CR4_OSXSAVE : 0) |
		((s.ebx & 1) != 0 ? CR4_FSGSBASE : 0));
	for (unsigned i = 0; i < SNIPPET_COUNT(features); i++) {
		bool traps = snippet_traps(&features[i], false, 0, area);
		bool undefined = traps && trap_last.vector == 6;

		report("feature.%s = %s", features[i].name,
			undefined == ((present[i] & 1) == 0) ? "as CPUID says" : "WRONG");
	}
	write_cr4(read_cr4() & ~(uint64_t)(CR4_OSFXSR | CR4_OSXSAVE | CR4_FSGSBASE));
}

static void cpuid_addresses(void)
{
	uint32_t a = cpuid(0x80000008, 0).eax;

	report_check("physical bits", (a & 0xff) >= 36 && (a & 0xff) <= 52);
	report_check("linear bits", (a >> 8 & 0xff) == 48 ||
		((a >> 8 & 0xff) == 57 && (cpuid(7, 0).ecx >> 16 & 1) != 0));
	report("clflush line = %u", cpuid(1, 0).ebx >> 8 & 0xff);
}

void payload_main(void)
{
	cpuid_registers();
	cpuid_limits();
	cpuid_subleaves();
	cpuid_xsave();
	cpuid_instructions();
	cpuid_addresses();
}
