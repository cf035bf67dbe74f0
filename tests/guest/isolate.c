// SPDX-License-Identifier: BSD-2-Clause
// What one vcpu holds does not reach another, whatever core they share: FPU, SSE and AVX registers,
// debug registers, XCR0, system MSRs, CR2, CR8, memory. Each vcpu fills all of it with a pattern of
// its own and looks whether it is still there, over a thousand halts, exits and time slices.
//
// Words of the command line: seed=N (patterns; others have other seeds), vcpus=N (to take part).
#include "lib/payload.h"

PAYLOAD("isolate");

enum {
	VCPUS_MAX = 4,
	ROUNDS = 1000,
	VECTOR_TIMER = 0x50,
	HALT_TICKS = 20000,
	SLICE_LOOPS = 1300000, // more than any vcpu has time for while another wants its core
	MEMORY_START = 4 << 20, MEMORY_END = 12 << 20, // where nothing else is
	AREA_BYTES = 1024, // XSAVE, standard format: SDM vol. 1, 13.4
	AREA_X87 = 32, AREA_XMM = 160, AREA_XMM_END = 416, AREA_BV = 512, AREA_YMM = 576,
	AREA_YMM_END = 832,
	AP_CODE = 0x6000, AP_STACK_BYTES = 4096,
};

// What was found changed.
enum {
	WRONG_XCR0 = 1 << 0, WRONG_X87 = 1 << 1, WRONG_SSE = 1 << 2, WRONG_AVX = 1 << 3,
	WRONG_DR = 1 << 4, WRONG_CR2 = 1 << 5, WRONG_CR8 = 1 << 6, WRONG_TSC_AUX = 1 << 7,
	WRONG_MSR = 1 << 8, // shifted by the index in `msrs`
};

struct vcpu {
	uint8_t wanted[AREA_BYTES] __attribute__((aligned(64)));
	uint8_t seen[AREA_BYTES] __attribute__((aligned(64)));
	uint64_t seed;
	volatile unsigned wrong; // WRONG_...
	volatile bool done;
};

static struct vcpu vcpus[VCPUS_MAX];
static uint8_t ap_stacks[VCPUS_MAX][AP_STACK_BYTES] __attribute__((aligned(16)));
static volatile unsigned ap_number;

// MSRs that a guest can fill with what it likes; addresses among them are canonical.
static const struct {
	uint32_t msr;
	uint64_t mask;
} msrs[] = {
	{MSR_FS_BASE, 0x7ffffffff000}, {MSR_GS_BASE, 0x7ffffffff000},
	{MSR_KERNEL_GS_BASE, 0x7ffffffff000}, {MSR_STAR, UINT64_MAX}, {MSR_LSTAR, 0x7ffffffff000},
	{MSR_CSTAR, 0x7ffffffff000}, {MSR_SFMASK, 0xffffffff}, {0x174, 0xffff},
	{0x175, 0x7ffffffff000}, {0x176, 0x7ffffffff000}, {MSR_PAT, 0x0404040404040404},
};

// splitmix64: every bit depends on all bits of seed and index.
static uint64_t pattern(uint64_t seed, uint64_t index)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15 + index * 0xbf58476d1ce4e5b9 + 1;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t word_option(const char *name, uint64_t otherwise)
{
	const char *at = (const char *)read64((uintptr_t)payload_start_info + 24); // cmdline

	for (; at != NULL && *at != 0; at++) {
		size_t i = 0;

		while (name[i] != 0 && at[i] == name[i])
			i++;
		if (name[i] == 0 && at[i] == '=' && at[i + 1] >= '0' && at[i + 1] <= '9')
			return (uint64_t)(at[i + 1] - '0');
	}
	return otherwise;
}

// Every third has no AVX, so that XCR0 differs too.
static uint64_t wanted_xcr0(const struct vcpu *vcpu)
{
	return (cpuid(1, 0).ecx >> 28 & 1) == 0 || vcpu->seed % 3 == 0 ? 3 : 7;
}

static void fpu_fill(struct vcpu *vcpu)
{
	uint8_t *area = vcpu->wanted;

	for (unsigned i = AREA_X87; i < AREA_YMM_END; i++)
		if (i < AREA_XMM_END || i >= AREA_YMM)
			area[i] = (uint8_t)pattern(vcpu->seed, i);
	for (unsigned i = AREA_X87; i < AREA_XMM; i++)
		if (i % 16 >= 10) // ten bytes a register
			area[i] = 0;
	area[0] = 0x7f; // FCW: all masked, a rounding mode of its own
	area[1] = (uint8_t)(3 | (vcpu->seed & 3) << 2);
	area[3] = (uint8_t)((vcpu->seed & 7) << 3); // FSW: the top of the stack
	area[4] = 0xff; // FTW: all valid
	area[24] = 0x80; // MXCSR: all masked, a rounding mode of its own
	area[25] = (uint8_t)(0x1f | (vcpu->seed & 3) << 5);
	area[AREA_BV] = (uint8_t)wanted_xcr0(vcpu);
	xsetbv(0, wanted_xcr0(vcpu));
	__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(7), "d"(0) : "memory");
}

static bool bytes_equal(const struct vcpu *vcpu, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		if (vcpu->seen[i] != vcpu->wanted[i])
			return false;
	return true;
}

// The addresses of the last x87 instruction and operand are not compared: CPUs differ in keeping
// them.
static unsigned fpu_wrong(struct vcpu *vcpu)
{
	unsigned wrong = xgetbv(0) == wanted_xcr0(vcpu) ? 0 : WRONG_XCR0;

	__asm__ volatile("xsave64 (%0)" : : "r"(vcpu->seen), "a"(7), "d"(0) : "memory");
	if (!bytes_equal(vcpu, 0, 5) || !bytes_equal(vcpu, AREA_X87, AREA_XMM))
		wrong |= WRONG_X87;
	if (!bytes_equal(vcpu, 24, 28) || !bytes_equal(vcpu, AREA_XMM, AREA_XMM_END))
		wrong |= WRONG_SSE;
	if (wanted_xcr0(vcpu) == 7 && !bytes_equal(vcpu, AREA_YMM, AREA_YMM_END))
		wrong |= WRONG_AVX;
	return wrong;
}

static bool has_tsc_aux(void)
{
	return (cpuid(0x80000001, 0).edx >> 27 & 1) != 0;
}

static uint64_t msr_value(const struct vcpu *vcpu, unsigned index)
{
	return pattern(vcpu->seed, 10000 + index) & msrs[index].mask;
}

static uint64_t address_value(const struct vcpu *vcpu, unsigned index)
{
	return pattern(vcpu->seed, 20000 + index) & 0x7fffffffffff;
}

static void system_fill(const struct vcpu *vcpu)
{
	for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		wrmsr(msrs[i].msr, msr_value(vcpu, i));
	if (has_tsc_aux())
		wrmsr(MSR_TSC_AUX, (uint32_t)address_value(vcpu, 9));
	__asm__ volatile("mov %0, %%dr0" : : "r"(address_value(vcpu, 0)));
	__asm__ volatile("mov %0, %%dr1" : : "r"(address_value(vcpu, 1)));
	__asm__ volatile("mov %0, %%dr2" : : "r"(address_value(vcpu, 2)));
	__asm__ volatile("mov %0, %%dr3" : : "r"(address_value(vcpu, 3)));
	write_cr2(address_value(vcpu, 4));
	write_cr8(vcpu->seed & 3);
}

static unsigned system_wrong(const struct vcpu *vcpu)
{
	unsigned wrong = read_cr2() == address_value(vcpu, 4) ? 0 : WRONG_CR2;
	uint64_t dr[4];

	if (read_cr8() != (vcpu->seed & 3))
		wrong |= WRONG_CR8;
	for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		if (rdmsr(msrs[i].msr) != msr_value(vcpu, i))
			wrong |= WRONG_MSR << i;
	if (has_tsc_aux() && rdmsr(MSR_TSC_AUX) != (uint32_t)address_value(vcpu, 9))
		wrong |= WRONG_TSC_AUX;
	__asm__ volatile("mov %%dr0, %0" : "=r"(dr[0]));
	__asm__ volatile("mov %%dr1, %0" : "=r"(dr[1]));
	__asm__ volatile("mov %%dr2, %0" : "=r"(dr[2]));
	__asm__ volatile("mov %%dr3, %0" : "=r"(dr[3]));
	for (unsigned i = 0; i < 4; i++)
		if (dr[i] != address_value(vcpu, i))
			wrong |= WRONG_DR;
	return wrong;
}

static void timer_hook(struct trap_frame *frame)
{
	(void)frame;
	lapic_write(LAPIC_EOI, 0);
}

// A halt lets others have the core, and so does the end of a time slice; other exits do not.
static void round_run(struct vcpu *vcpu, unsigned round)
{
	lapic_write(LAPIC_TMICT, HALT_TICKS);
	sti_hlt_cli();
	vcpu->wrong |= fpu_wrong(vcpu) | system_wrong(vcpu);
	outb(0x80, (uint8_t)round);
	(void)cpuid(0x40000000, 0);
	if (round % 16 == 0)
		__asm__ volatile("mov %0, %%ecx; 1: dec %%ecx; jnz 1b"
				 : : "i"(SLICE_LOOPS) : "ecx", "cc");
	vcpu->wrong |= fpu_wrong(vcpu) | system_wrong(vcpu);
}

static void vcpu_run(struct vcpu *vcpu)
{
	write_cr4(read_cr4() | 0x40600); // OSXSAVE, OSXMMEXCPT, OSFXSR
	lapic_write(LAPIC_SVR, 0x1ff);
	lapic_write(LAPIC_TDCR, 0xb); // divide by 1
	lapic_write(LAPIC_TIMER, VECTOR_TIMER);
	fpu_fill(vcpu);
	system_fill(vcpu);
	for (unsigned i = 0; i < ROUNDS; i++)
		round_run(vcpu, i);
	write_cr8(0);
	vcpu->done = true;
}

// Real mode at AP_CODE to long mode: SDM vol. 3, 10.8.5.
__asm__(".code16\n"
	"ap_begin: cli; xor %ax, %ax; mov %ax, %ds\n"
	"lgdtl payload_ap_gdtr - ap_begin + 0x6000\n"
	"mov $0x11, %eax; mov %eax, %cr0\n"
	"ljmpl $0x18, $(1f - ap_begin + 0x6000)\n"
	".code32\n"
	"1: mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	"mov $0x20, %eax; mov %eax, %cr4; mov ap_cr3, %eax; mov %eax, %cr3\n"
	"mov $0xc0000080, %ecx; mov $0x100, %eax; xor %edx, %edx; wrmsr\n"
	"mov $0x80010033, %eax; mov %eax, %cr0\n"
	"ljmp $0x08, $ap_long\n"
	".balign 4\n"
	"payload_ap_gdtr: .word 0x87; .long payload_gdt\n"
	"ap_end: .code64\n"
	"ap_long: mov ap_stack, %rsp; xor %ebp, %ebp; call ap_main\n");
extern const uint8_t ap_begin[], ap_end[];
extern void *volatile ap_stack;
extern volatile uint64_t ap_cr3;
void *volatile ap_stack;
volatile uint64_t ap_cr3;
void ap_main(void);

void ap_main(void)
{
	struct vcpu *vcpu = &vcpus[ap_number];

	__asm__ volatile("lidt (%0)" : : "r"(trap_idtr));
	ap_number++; // the next may come
	vcpu_run(vcpu);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void ap_start(unsigned number)
{
	for (size_t i = 0; i < (size_t)(ap_end - ap_begin); i++)
		write8(AP_CODE + i, ap_begin[i]);
	ap_number = number;
	ap_cr3 = read_cr3();
	ap_stack = ap_stacks[number] + AP_STACK_BYTES;
	lapic_send(number, 0x4500); // INIT
	spin(100000);
	lapic_send(number, 0x4600 | AP_CODE >> 12); // STARTUP
	while (ap_number == number)
		pause();
}

static bool memory_is(uint64_t seed)
{
	const uint64_t *memory = (const uint64_t *)MEMORY_START;

	for (size_t i = 0; i < (MEMORY_END - MEMORY_START) / 8; i++)
		if (memory[i] != (seed == 0 ? 0 : pattern(seed, i)))
			return false;
	return true;
}

static void memory_fill(uint64_t seed)
{
	uint64_t *memory = (uint64_t *)MEMORY_START;

	for (size_t i = 0; i < (MEMORY_END - MEMORY_START) / 8; i++)
		memory[i] = pattern(seed, i);
}

void payload_main(void)
{
	uint64_t seed = word_option("seed", 1), count = word_option("vcpus", 1);

	report_check("memory.fresh", memory_is(0));
	memory_fill(seed);
	trap_set_hook(VECTOR_TIMER, timer_hook);
	for (unsigned i = 0; i < count && i < VCPUS_MAX; i++)
		vcpus[i].seed = seed + 10 * i;
	for (unsigned i = 1; i < count && i < VCPUS_MAX; i++)
		ap_start(i);
	vcpu_run(&vcpus[0]);
	report("xcr0 = 0x%lx", xgetbv(0));
	for (unsigned i = 0; i < count && i < VCPUS_MAX; i++) {
		while (!vcpus[i].done)
			pause();
		report("vcpu%u.wrong = 0x%x", i, vcpus[i].wrong);
	}
	report_check("memory.kept", memory_is(seed));
}
