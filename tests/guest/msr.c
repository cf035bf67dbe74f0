// SPDX-License-Identifier: BSD-2-Clause
// Model-specific and control registers: values that stick, and what must fault.
#include "lib/payload.h"

PAYLOAD("msr");

struct msr_write {
	uint32_t msr;
	uint64_t value;
};

static void msr_do_write(void *argument)
{
	const struct msr_write *w = argument;

	wrmsr(w->msr, w->value);
}

static void msr_do_read(void *argument)
{
	rdmsr((uint32_t)(uintptr_t)argument);
}

static void msr_write(const char *what, uint32_t msr, uint64_t value)
{
	struct msr_write w = {msr, value};

	report_trap(what, msr_do_write, &w);
}

static void msr_keeps(const char *what, uint32_t msr, uint64_t value)
{
	uint64_t before = rdmsr(msr);

	wrmsr(msr, value);
	report("%s = 0x%lx", what, rdmsr(msr));
	wrmsr(msr, before);
}

static void msr_efer(void)
{
	uint64_t efer = rdmsr(MSR_EFER);

	report("efer = 0x%lx", efer & ~UINT64_C(0x1000));
	report("efer.svme = %lu", efer >> 12 & 1);
	msr_keeps("efer.sce+nxe", MSR_EFER, efer | 0x801);
	msr_write("efer.reserved_bit_1", MSR_EFER, efer | 2);
	msr_write("efer.reserved_bit_63", MSR_EFER, efer | 1ull << 63);
	msr_write("efer.lme_off_while_paging", MSR_EFER, efer & ~0x100ull);
	// LMA cannot be cleared by software. APM vol. 2, 3.1.7.
	msr_write("efer.svme", MSR_EFER, efer | 0x1000);
	trap_catch(msr_do_write, &(struct msr_write){MSR_EFER, efer});
	report("efer.unchanged = %u", rdmsr(MSR_EFER) == efer);
}

static void msr_syscall(void)
{
	msr_keeps("star", MSR_STAR, 0x0023001000000000);
	msr_keeps("lstar", MSR_LSTAR, 0xffffffff80001234);
	msr_keeps("cstar", MSR_CSTAR, 0x00007fffffffffff);
	msr_keeps("sfmask", MSR_SFMASK, 0x47700);
	msr_write("lstar.noncanonical", MSR_LSTAR, 0x0000800000000000);
	msr_write("cstar.noncanonical", MSR_CSTAR, 0x1234567800000000);
	msr_keeps("sysenter_cs", 0x174, 0x10);
	msr_keeps("sysenter_esp", 0x175, 0xffffffff80005678);
	msr_keeps("sysenter_eip", 0x176, 0x12345678);
}

static void msr_bases(void)
{
	static uint64_t data[2] = {0x1111, 0x2222};
	uint64_t value;

	msr_keeps("fs_base", MSR_FS_BASE, 0xffff800000001000);
	msr_keeps("gs_base", MSR_GS_BASE, 0x0000700000001000);
	msr_keeps("kernel_gs_base", MSR_KERNEL_GS_BASE, 0xffffffffffff0000);
	msr_write("fs_base.noncanonical", MSR_FS_BASE, 0x0001000000000000);
	msr_write("kernel_gs_base.noncanonical", MSR_KERNEL_GS_BASE, 1ull << 62);
	wrmsr(MSR_GS_BASE, (uintptr_t)&data[0]);
	wrmsr(MSR_KERNEL_GS_BASE, (uintptr_t)&data[1]);
	__asm__ volatile("mov %%gs:0, %0" : "=r"(value));
	report("gs.load = 0x%lx", value);
	__asm__ volatile("swapgs; mov %%gs:0, %0" : "=r"(value));
	report("gs.load_after_swapgs = 0x%lx", value);
	report_check("gs.swapped", rdmsr(MSR_KERNEL_GS_BASE) == (uintptr_t)&data[0]);
	wrmsr(MSR_FS_BASE, (uintptr_t)&data[1]);
	__asm__ volatile("mov %%fs:0, %0" : "=r"(value));
	report("fs.load = 0x%lx", value);
}

static void msr_memory_types(void)
{
	report("pat = 0x%lx", rdmsr(MSR_PAT));
	msr_keeps("pat.write", MSR_PAT, 0x0007010600070106);
	msr_write("pat.reserved_type", MSR_PAT, 0x0007040600070402);
	report("mtrrcap.count = %lu", rdmsr(MSR_MTRRCAP) & 0xff);
	report("mtrrcap.fixed wc = %lu %lu", rdmsr(MSR_MTRRCAP) >> 8 & 1,
		rdmsr(MSR_MTRRCAP) >> 10 & 1);
	msr_write("mtrrcap.write", MSR_MTRRCAP, 0x508);
	msr_keeps("mtrr.def_type", 0x2ff, 0xc06);
	msr_keeps("mtrr.base0", 0x200, 0x10000006);
	msr_keeps("mtrr.mask0", 0x201, 0xff0000800);
	msr_keeps("mtrr.fixed_64k", 0x250, 0x0606060606060606);
}

static void msr_apic_base(void)
{
	report("apic_base = 0x%lx", rdmsr(MSR_APIC_BASE));
	msr_write("apic_base.reserved_bit_0", MSR_APIC_BASE, 0xfee00901);
	msr_write("apic_base.reserved_bit_63", MSR_APIC_BASE, 1ull << 63 | 0xfee00900);
	// x2APIC without the enable bit is an invalid state. SDM vol. 3, 11.12.5.
	msr_write("apic_base.x2apic_alone", MSR_APIC_BASE, 0xfee00500);
	report("apic_base.after = 0x%lx", rdmsr(MSR_APIC_BASE));
	report_trap("x2apic_msr_in_xapic_mode", msr_do_read, (void *)0x802);
}

static void msr_unknown(void)
{
	report_trap("unknown.0x12345678", msr_do_read, (void *)0x12345678);
	report_trap("unknown.0xc0001fff", msr_do_read, (void *)0xc0001fff);
	report_trap("unknown.0x4000", msr_do_read, (void *)0x4000);
	msr_write("unknown.write", 0x12345678, 0);
	report_trap("svm.vm_hsave_pa", msr_do_read, (void *)0xc0010117);
	report_trap("vmx.basic", msr_do_read, (void *)0x480);
}

static void msr_tsc(void)
{
	uint64_t last = rdtsc(), value, big = 1ull << 40;
	bool monotonic = true, advertised = (cpuid(7, 0).ebx >> 1 & 1) != 0;
	bool has_aux = (cpuid(0x80000001, 0).edx >> 27 & 1) != 0;
	uint32_t low, high, aux;

	for (unsigned i = 0; i < 1000; i++) {
		value = rdtsc();
		monotonic = monotonic && value > last;
		last = value;
	}
	report_check("tsc.monotonic", monotonic);
	value = rdmsr(MSR_TSC);
	report_check("tsc.msr", value > last && value - last < 10000000);
	wrmsr(MSR_TSC, big);
	value = rdtsc();
	report_check("tsc.write", value > big && value - big < 10000000);
	report_check("tsc.adjust", advertised ?
		rdmsr(MSR_TSC_ADJUST) != 0 :
		trap_catch(msr_do_read, (void *)MSR_TSC_ADJUST));
	if (!has_aux)
		return;
	wrmsr(MSR_TSC_AUX, 0x5a5a);
	__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
	report("tscp.aux = 0x%x", aux);
	value = (uint64_t)high << 32 | low;
	report_check("tscp.value", value > big && value - big < 100000000);
	wrmsr(MSR_TSC_AUX, 0);
}

static void cr0_write(void *value)
{
	write_cr0((uintptr_t)value);
}

static void cr4_write(void *value)
{
	write_cr4((uintptr_t)value);
}

static void *flipped(uint64_t value, uint64_t bits)
{
	return (void *)(uintptr_t)(value ^ bits);
}

static void msr_refused(const char *what, void (*write)(void *), void *value)
{
	if (cpu_is_bare_emulator())
		report("%s = skipped", what);
	else
		report_trap(what, write, value);
}

// SDM vol. 2, MOV to control registers: the #GP conditions.
static void msr_bad_control_registers(void)
{
	uint64_t cr0 = read_cr0(), cr4 = read_cr4();

	msr_refused("cr0.pg_without_pe", cr0_write, flipped(cr0, 1));
	msr_refused("cr0.nw_without_cd", cr0_write, flipped(cr0, 1 << 29));
	msr_refused("cr0.bit_32", cr0_write, flipped(cr0, 1ull << 32));
	msr_refused("cr0.pg_off_in_64_bit", cr0_write, flipped(cr0, 1u << 31));
	report_check("cr0.unchanged", read_cr0() == cr0);
	msr_refused("cr4.reserved_bit_15", cr4_write, flipped(cr4, 1 << 15));
	msr_refused("cr4.bit_32", cr4_write, flipped(cr4, 1ull << 32));
	msr_refused("cr4.pae_off_in_64_bit", cr4_write, flipped(cr4, 0x20));
	report_check("cr4.unchanged", read_cr4() == cr4);
}

// SDM vol. 3, 2.5; CR8 and the TPR are one: SDM vol. 3, 11.8.6.
static void msr_control_registers(void)
{
	uint64_t cr0 = read_cr0(), cr4 = read_cr4();

	report("cr0 = 0x%lx", cr0);
	write_cr0(cr0 & ~0x10ull);
	report("cr0.et_is_fixed = %lu", read_cr0() >> 4 & 1);
	write_cr0(cr0 | 1 << 30);
	report("cr0.cd = %lu", read_cr0() >> 30 & 1);
	write_cr0(cr0);
	__asm__ volatile("clts; smsw %%ax; lmsw %%ax" : : : "rax");
	report("cr0.ts_after_clts = %lu", read_cr0() >> 3 & 1);
	__asm__ volatile("lmsw %w0" : : "r"(0xe));
	report("cr0.lmsw = 0x%lx", read_cr0() & 0xf);
	write_cr0(cr0);
	report("cr4 = 0x%lx", cr4);
	write_cr8(5);
	report("cr8.sets_tpr = 0x%x", lapic_read(LAPIC_TPR));
	lapic_write(LAPIC_TPR, 0x9f);
	report("tpr.sets_cr8 = 0x%lx", read_cr8());
	write_cr8(0);
}

void payload_main(void)
{
	msr_efer();
	msr_syscall();
	msr_bases();
	msr_memory_types();
	msr_apic_base();
	msr_unknown();
	msr_tsc();
	msr_control_registers();
	msr_bad_control_registers();
}
