// SPDX-License-Identifier: BSD-2-Clause
// The vendor-neutral half of a vcpu: the choice of the engine, and what the CPU's own registers
// hold of a vcpu as long as it is loaded on a core: FPU and vectors, debug registers, XCR0,
// TSC_AUX. The kernel uses none of them, so they are exchanged only when another vcpu comes.
//
// When a vcpu of another machine comes, what the CPU could tell it about the one before is
// cleared: branch predictions (IBPB: CPUID 7 EDX bit 26, or 80000008 EBX bit 12) and buffers
// (MD_CLEAR: CPUID 7 EDX bit 10).
#include "vmx/vcpu.h"

#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/cpu.h"
#include "kernel/mem.h"
#include "kernel/x86.h"
#include "vmx/counting.h"
#include "vmx/cpuid.h"
#include "vmx/engine.h"

#define MSR_PRED_CMD  0x49u
#define PRED_CMD_IBPB 1u

enum {
	FPU_PAGES = 2, // x87, SSE, AVX and what else cpuid_host_xcr0() lets through
	FPU_FCW = 0, FPU_FTW = 4, FPU_MXCSR = 24, FPU_MXCSR_MASK = 28, // SDM vol. 1, 10.5.1
	FPU_XSTATE_BV = 512, // SDM vol. 1, 13.4
	FPU_LEGACY_BYTES = 512, FPU_HEADER_END = 576,
};

struct vcpu_engine vcpu_engine;
uint64_t vcpu_counting_overhead, vcpu_tsc_lead;
uint64_t vcpu_limit_lag = VCPU_LIMIT_NONE;

static const char *const kind_names[VMEXIT_KIND_COUNT] = {
	[VMEXIT_INTERRUPT] = "interrupt", [VMEXIT_IO] = "io", [VMEXIT_MEMORY] = "memory",
	[VMEXIT_CPUID] = "cpuid", [VMEXIT_MSR_READ] = "rdmsr", [VMEXIT_MSR_WRITE] = "wrmsr",
	[VMEXIT_HLT] = "hlt", [VMEXIT_PAUSE] = "pause",
	[VMEXIT_INTERRUPT_WINDOW] = "interrupt-window",
	[VMEXIT_EXCEPTION] = "exception",
	[VMEXIT_CR_WRITE] = "cr-write", [VMEXIT_CR8_WRITE] = "cr8-write",
	[VMEXIT_XSETBV] = "xsetbv", [VMEXIT_CACHE] = "cache",
	[VMEXIT_MONITOR] = "monitor",
	[VMEXIT_UNDEFINED] = "undefined", [VMEXIT_RDPMC] = "rdpmc", [VMEXIT_STEP] = "step",
	[VMEXIT_STEP_REPAIR] = "step-repair",
	[VMEXIT_SOFTWARE_INTERRUPT] = "software-interrupt", [VMEXIT_DR_WRITE] = "dr-write",
	[VMEXIT_RDTSC] = "rdtsc", [VMEXIT_TASK_SWITCH] = "task-switch",
	[VMEXIT_SHUTDOWN] = "shutdown", [VMEXIT_INVALID] = "invalid",
};

const char *vmexit_kind_name(enum vmexit_kind kind)
{
	return kind < VMEXIT_KIND_COUNT ? kind_names[kind] : "unknown";
}

// (a) Whose machine was loaded last on each core, stored by it; NULL: none ever. One that is
// destroyed is replaced by `gone`, since another may come to lie in its place.
static const struct nested_map *last_map[VCPU_CORES_MAX];
static const uint8_t gone;

enum status vcpu_engine_init(const char **reason)
{
	bool svm = (cpuid(0x80000001, 0).ecx & BIT(2)) != 0, vmx = (cpuid(1, 0).ecx & BIT(5)) != 0;
	enum status status;

	if (!svm && !vmx) {
		*reason = "this CPU has neither AMD-V nor VT-x: CPUID 80000001 ECX bit 2 (SVM) and "
			  "CPUID 1 ECX bit 5 (VMX) are clear";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	status = svm ? svm_detect(reason) : vmx_detect(reason);
	if (status != STATUS_OK)
		return status;
	vcpu_engine = svm ? svm_engine : vmx_engine;
	return vcpu_engine.cpu_init(reason);
}

enum status vcpu_engine_cpu_init(const char **reason)
{
	return vcpu_engine.cpu_init(reason);
}

void vcpu_engine_describe(char *text, size_t bytes)
{
	if (vcpu_engine.describe == NULL) // not initialized, or there is none
		snprintf(text, bytes, "none");
	else
		vcpu_engine.describe(text, bytes);
}

void vcpu_destroy(struct vcpu *vcpu)
{
	vcpu_unload(vcpu);
	ASSERT(!vcpu_is_loaded(vcpu));
	for (unsigned i = 0; i < VCPU_CORES_MAX; i++) {
		const struct nested_map *map = vcpu->map;

		__atomic_compare_exchange_n(&last_map[i], &map, (const void *)&gone, false,
			__ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
	vcpu_engine.destroy(vcpu);
}

// RDTSCP or RDPID: CPUID 80000001 EDX bit 27, leaf 7 ECX bit 22.
static bool host_has_tsc_aux(void)
{
	return (cpuid(0x80000001, 0).edx & BIT(27)) != 0 || (cpuid(7, 0).ecx & BIT(22)) != 0;
}

static bool has_tsc_aux(const struct vcpu *vcpu)
{
	return vcpu->offer.rdtscp || vcpu->offer.rdpid;
}

static bool has_xsave(void)
{
	return (cr4_read() & CR4_OSXSAVE) != 0;
}

// All components, whether or not the guest's XCR0 has them at the moment, or its CPUID at all.
static void fpu_save(void *area)
{
	if (has_xsave()) {
		xsetbv(0, cpuid_host_xcr0());
		__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
	} else {
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
	}
}

static void fpu_restore(const void *area)
{
	if (has_xsave()) {
		xsetbv(0, cpuid_host_xcr0());
		__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
	} else {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
	}
}

// SDM vol. 3, table 9-1: after power-on FCW is 0x40 and every tag is "valid" (zero).
static void fpu_reset(uint8_t *area)
{
	memset(area, 0, FPU_PAGES * PAGE_BYTES);
	area[FPU_FCW] = 0x40;
	area[FPU_FTW] = 0xff;
	area[FPU_MXCSR] = 0x80;
	area[FPU_MXCSR + 1] = 0x1f;
	area[FPU_XSTATE_BV] = 1;
}

// FXSAVE would tell nothing of SSE: the kernel's CR4.OSFXSR is clear. Nor would XSAVE, if XCR0 is
// that of a guest that has no SSE in it.
uint32_t vcpu_mxcsr_mask(void)
{
	uint8_t room[FPU_HEADER_END + 64]; // stacks need not be aligned for XSAVE
	uint8_t *area = (uint8_t *)ALIGN_UP((uintptr_t)room, 64);
	uint32_t mask;

	memset(room, 0, sizeof(room));
	if (has_xsave()) {
		uint64_t xcr0 = xgetbv(0);

		xsetbv(0, cpuid_host_xcr0());
		__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(3), "d"(0) : "memory");
		xsetbv(0, xcr0);
	} else {
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
	}
	memcpy(&mask, area + FPU_MXCSR_MASK, sizeof(mask));
	return mask != 0 ? mask : 0xffbf;
}

// MXCSR as a CPU keeps it: emulators let guests set bits that are reserved.
void *vcpu_fpu(struct vcpu *vcpu, size_t *bytes)
{
	uint8_t *area = vcpu->fpu;
	uint32_t mxcsr;

	ASSERT(!vcpu_is_loaded(vcpu));
	*bytes = has_xsave() ? cpuid_xsave_bytes(vcpu->offer.xcr0) : FPU_LEGACY_BYTES;
	memcpy(&mxcsr, area + FPU_MXCSR, sizeof(mxcsr));
	mxcsr &= vcpu_mxcsr_mask();
	memcpy(area + FPU_MXCSR, &mxcsr, sizeof(mxcsr));
	return area;
}

enum status vcpu_common_create(struct vcpu *vcpu, struct nested_map *map,
	const struct cpuid_offer *offer)
{
	ASSERT(cpuid_xsave_bytes(cpuid_host_xcr0()) <= FPU_PAGES * PAGE_BYTES);
	ASSERT((offer->xcr0 & ~cpuid_host_xcr0()) == 0);
	vcpu->map = map;
	vcpu->offer = *offer;
	vcpu->core = VCPU_NOT_LOADED;
	vcpu->fpu = mem_pages_alloc(FPU_PAGES);
	if (vcpu->fpu == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	fpu_reset(vcpu->fpu);
	vcpu->xcr0 = 1;
	return STATUS_OK;
}

void vcpu_common_destroy(struct vcpu *vcpu)
{
	if (vcpu->fpu != NULL)
		mem_pages_free(vcpu->fpu, FPU_PAGES);
}

enum status vcpu_read_tsc_aux(const struct vcpu *vcpu, uint64_t *value)
{
	if (!has_tsc_aux(vcpu))
		return STATUS_FAIL(STATUS_FAULT);
	*value = vcpu->tsc_aux;
	return STATUS_OK;
}

enum status vcpu_write_tsc_aux(struct vcpu *vcpu, uint64_t value)
{
	if (value > UINT32_MAX || !has_tsc_aux(vcpu))
		return STATUS_FAIL(STATUS_FAULT);
	vcpu->tsc_aux = value;
	if (vcpu_is_loaded(vcpu))
		wrmsr(MSR_TSC_AUX, value);
	return STATUS_OK;
}

void vcpu_set_tsc_at_entry(struct vcpu *vcpu, uint64_t tsc)
{
	vcpu->tsc_at_entry = tsc;
}

void vcpu_common_get_state(const struct vcpu *vcpu, struct vcpu_state *state)
{
	memcpy(state->gpr, vcpu->gpr, sizeof(state->gpr));
	state->tsc_aux = vcpu->tsc_aux;
	state->xcr0 = vcpu_xcr0(vcpu);
	memcpy(state->dr, vcpu->dr, sizeof(state->dr));
	if (vcpu_is_loaded(vcpu)) {
		state->dr[0] = dr0_read();
		state->dr[1] = dr1_read();
		state->dr[2] = dr2_read();
		state->dr[3] = dr3_read();
	}
}

static void registers_to_cpu(const struct vcpu *vcpu)
{
	dr0_write(vcpu->dr[0]);
	dr1_write(vcpu->dr[1]);
	dr2_write(vcpu->dr[2]);
	dr3_write(vcpu->dr[3]);
	if (host_has_tsc_aux())
		wrmsr(MSR_TSC_AUX, vcpu->tsc_aux);
	if (has_xsave())
		xsetbv(0, vcpu->xcr0);
}

void vcpu_common_set_state(struct vcpu *vcpu, const struct vcpu_state *state)
{
	memcpy(vcpu->gpr, state->gpr, sizeof(state->gpr));
	memcpy(vcpu->dr, state->dr, sizeof(state->dr));
	vcpu->tsc_aux = state->tsc_aux;
	vcpu->xcr0 = state->xcr0;
	vcpu->breakpoint_hits = 0;
	if (vcpu_is_loaded(vcpu))
		registers_to_cpu(vcpu);
}

// The register itself is asked: not every implementation exits on XSETBV.
uint64_t vcpu_xcr0(const struct vcpu *vcpu)
{
	return vcpu_is_loaded(vcpu) && has_xsave() ? xgetbv(0) : vcpu->xcr0;
}

// SDM vol. 1, 13.3: x87 always, AVX not without SSE.
enum status vcpu_xsetbv(struct vcpu *vcpu)
{
	uint64_t value = (vcpu->gpr[GPR_RDX] << 32) | (uint32_t)vcpu->gpr[GPR_RAX];

	if ((uint32_t)vcpu->gpr[GPR_RCX] != 0 || vcpu_cpl(vcpu) != 0 || (value & 1) == 0 ||
		(value & ~vcpu->offer.xcr0) != 0 || ((value & 4) != 0 && (value & 2) == 0))
		return STATUS_FAIL(STATUS_FAULT);
	vcpu->xcr0 = value;
	if (has_xsave())
		xsetbv(0, value);
	return STATUS_OK;
}

// Nothing of another machine's may be told by what this CPU remembers.
static void speculation_barrier(void)
{
	uint16_t selector = 0;
	uint32_t leaf7 = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).edx : 0;
	uint32_t extended = cpuid(0x80000000, 0).eax >= 0x80000008 ? cpuid(0x80000008, 0).ebx : 0;

	if ((leaf7 & BIT(26)) != 0 || (extended & BIT(12)) != 0)
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
	if ((leaf7 & BIT(10)) != 0) // with any readable selector: SDM vol. 1, VERW with MD_CLEAR
		__asm__ volatile("mov %%ds, %0; verw %0" : "+m"(selector) : : "cc");
}

void vcpu_unload(struct vcpu *vcpu)
{
	struct cpu *cpu = cpu_self();

	if (cpu->guest != vcpu)
		return;
	ASSERT(vcpu->core == cpu->index);
	vcpu->dr[0] = dr0_read();
	vcpu->dr[1] = dr1_read();
	vcpu->dr[2] = dr2_read();
	vcpu->dr[3] = dr3_read();
	vcpu->xcr0 = vcpu_xcr0(vcpu);
	fpu_save(vcpu->fpu);
	vcpu_engine.unload(vcpu);
	vcpu->core = VCPU_NOT_LOADED;
	cpu->guest = NULL;
}

void vcpu_load_slow(struct vcpu *vcpu)
{
	struct cpu *cpu = cpu_self();
	const struct nested_map *before;

	ASSERT(cpu->index < VCPU_CORES_MAX && !vcpu_is_loaded(vcpu));
	if (cpu->guest != NULL)
		vcpu_unload(cpu->guest);
	before = __atomic_exchange_n(&last_map[cpu->index], vcpu->map, __ATOMIC_RELAXED);
	if (before != vcpu->map && before != NULL)
		speculation_barrier();
	cpu->guest = vcpu;
	vcpu->core = cpu->index;
	fpu_restore(vcpu->fpu);
	registers_to_cpu(vcpu);
	vcpu_engine.load(vcpu);
}

static struct vcpu_state reset_state(const struct vcpu *vcpu)
{
	struct vcpu_state state = {
		.rip = 0xfff0,
		.rflags = RFLAGS_FIXED,
		.cr0 = CR0_CD | CR0_NW | CR0_ET,
		.dr6 = 0xffff0ff0,
		.dr7 = 0x400,
		.gdtr_limit = 0xffff,
		.idtr_limit = 0xffff,
		.pat = 0x0007040600070406,
		.xcr0 = 1,
	};

	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		state.segment[i] = (struct vcpu_segment_state){.limit = 0xffff, .attributes = 0x93};
	state.segment[SEGMENT_CS] = (struct vcpu_segment_state){0xf000, 0x9b, 0xffff, 0xffff0000};
	state.segment[SEGMENT_LDTR].attributes = 0x82;
	state.segment[SEGMENT_TR].attributes = 0x8b;
	state.gpr[GPR_RDX] = vcpu->offer.signature;
	return state;
}

static void init_keep(struct vcpu_state *state, const struct vcpu_state *before)
{
	state->cr0 = (before->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
	state->star = before->star;
	state->lstar = before->lstar;
	state->cstar = before->cstar;
	state->sfmask = before->sfmask;
	state->kernel_gs_base = before->kernel_gs_base;
	state->sysenter_cs = before->sysenter_cs;
	state->sysenter_esp = before->sysenter_esp;
	state->sysenter_eip = before->sysenter_eip;
	state->pat = before->pat;
	state->tsc_aux = before->tsc_aux;
	state->xcr0 = before->xcr0;
}

void vcpu_reset(struct vcpu *vcpu, enum vcpu_reset_kind kind)
{
	struct vcpu_state state = reset_state(vcpu), before;
	enum status status;

	if (kind == VCPU_RESET_INIT) {
		vcpu_get_state(vcpu, &before);
		init_keep(&state, &before);
	} else {
		fpu_reset(vcpu->fpu);
		fpu_restore(vcpu->fpu);
	}
	vcpu_engine.reset(vcpu);
	status = vcpu_set_state(vcpu, &state);
	ASSERT(status == STATUS_OK);
}

enum status vcpu_create(struct nested_map *map, const struct cpuid_offer *offer,
	struct vcpu **vcpu)
{
	enum status status = vcpu_engine.create(map, offer, vcpu);

	if (status == STATUS_OK) {
		vcpu_load(*vcpu);
		vcpu_reset(*vcpu, VCPU_RESET_POWER);
		vcpu_unload(*vcpu);
	}
	return status;
}
