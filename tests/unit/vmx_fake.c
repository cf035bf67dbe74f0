// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/vmx_test.h"

#include <asm/prctl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/mem.h"
#include "kernel/position.h"

struct cpu vmx_test_cpu;
struct vcpu *vmx_test_vcpu;
struct nested_map *vmx_test_map;
struct cpuid vmx_test_leaf7;
// As of fake_leaf's CPU.
const struct cpuid_offer vmx_test_offer = {.cr4 = UINT64_MAX, .xcr0 = 7, .rdtscp = true,
	.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE, .signature = 0x000506e3};
struct vmx_test_entry vmx_test_entered;
struct fake_x86 fake_x86;
struct fake_vmx fake_vmx;
char vmx_test_log[4096];
const uint8_t vmx_exit_entry[1];
const struct tick_source *position_source; // none: the TSC

static uint32_t exit_reason;
static uint64_t exit_qualification;

// What vmx/cpuid.c would answer of a CPU with NX, XSAVE, AVX and RDTSCP.
const struct cpuid *fake_leaf(uint32_t leaf, uint32_t subleaf)
{
	static const struct cpuid basic = {0x000506e3, 0,
		(uint32_t)(BIT(5) | BIT(26) | BIT(28)), 0};
	static const struct cpuid xsave = {7, 832, 832, 0};
	static const struct cpuid extended = {0, 0, 0,
		(uint32_t)(BIT(11) | BIT(20) | BIT(27) | BIT(29))};
	static const struct cpuid last = {0x80000008, 0, 0, 0}, sizes = {0x3027, 0, 0, 0};
	static const struct cpuid seven = {7, 0, 0, 0};

	(void)subleaf;
	if (vmx_test_leaf7.edx != 0 && (leaf == 0 || leaf == 7))
		return leaf == 7 ? &vmx_test_leaf7 : &seven;
	return leaf == 1 ? &basic : leaf == 0x0d ? &xsave : leaf == 0x80000001 ? &extended
		: leaf == 0x80000000 ? &last : leaf == 0x80000008 ? &sizes : NULL;
}

// The other engine is not under test.
const struct vcpu_engine svm_engine;

enum status svm_detect(const char **reason)
{
	*reason = "none here";
	return STATUS_UNSUPPORTED;
}

uint64_t clock_ns_to_tsc(uint64_t ns)
{
	return 3 * ns;
}

void log_write(enum log_level level, const char *format, ...)
{
	size_t used = strlen(vmx_test_log);
	va_list arguments;

	(void)level;
	va_start(arguments, format);
	vsnprintf(vmx_test_log + used, sizeof(vmx_test_log) - used, format, arguments);
	va_end(arguments);
}

void *mem_pages_alloc(unsigned count)
{
	void *pages = aligned_alloc(PAGE_BYTES, count * PAGE_BYTES);

	memset(pages, 0, count * PAGE_BYTES);
	return pages;
}

void mem_pages_free(void *pages, unsigned count)
{
	(void)count;
	free(pages);
}

// A CPU that has everything, and demands no more than real ones do: SDM vol. 3, appendix A.
void vmx_test_capabilities(void)
{
	memset(fake_x86.msrs, 0, sizeof(fake_x86.msrs));
	fake_msr_set(MSR_VMX_BASIC, VMX_BASIC_TRUE_CTLS | 0x11);
	fake_msr_set(MSR_VMX_TRUE_PIN, 0x7full << 32 | 0x16);
	fake_msr_set(MSR_VMX_TRUE_PIN + 1, 0xfff9fffeull << 32 | 0x04006172);
	fake_msr_set(MSR_VMX_TRUE_PIN + 2, 0x7fffffull << 32 | 0x36dfb);
	fake_msr_set(MSR_VMX_TRUE_PIN + 3, 0xffffull << 32 | 0x11fb);
	fake_msr_set(MSR_VMX_MISC, 0x5); // the preemption timer counts every 32 ticks
	fake_msr_set(MSR_VMX_PROC2, 0x3fffffull << 32);
	fake_msr_set(MSR_VMX_EPT_VPID_CAP, 0xf0106334141);
	fake_msr_set(MSR_VMX_CR0_FIXED0, 0x80000021);
	fake_msr_set(MSR_VMX_CR0_FIXED1, UINT32_MAX);
	fake_msr_set(MSR_VMX_CR4_FIXED0, 0x2000);
	fake_msr_set(MSR_VMX_CR4_FIXED1, 0x3727ff);
}

static bool guest(void *vcpu)
{
	assert_ptr_equal(vcpu, vmx_test_vcpu);
	assert_true(fake_x86.interrupts_off);
	assert_int_equal(FIELD(PROC_CONTROLS) & VMX_PROC_SECONDARY, VMX_PROC_SECONDARY);
	vmx_test_entered = (struct vmx_test_entry){FIELD(ENTRY_EVENT), FIELD(ENTRY_EVENT_ERROR),
		FIELD(ENTRY_EVENT_LENGTH), FIELD(GUEST_RIP), FIELD(GUEST_RSP), FIELD(GUEST_RFLAGS),
		FIELD(GUEST_INTERRUPTIBILITY), FIELD(PROC_CONTROLS), FIELD(PIN_CONTROLS),
		FIELD(TPR_THRESHOLD), FIELD(PREEMPTION_TIMER)};
	assert_int_equal(vmx_guest_check(NULL), 0); // a real CPU would not enter
	FIELD(ENTRY_EVENT) &= ~(uint64_t)VMX_EVENT_VALID; // delivered
	FIELD(EXIT_REASON) = exit_reason;
	FIELD(QUALIFICATION) = exit_qualification;
	return true;
}

struct vmexit vmx_test_exit(uint32_t reason, uint64_t qualification)
{
	struct vmexit exit;

	memset(&exit, 0xa5, sizeof(exit));
	exit_reason = reason;
	exit_qualification = qualification;
	vcpu_enter(vmx_test_vcpu, &exit);
	assert_false(fake_x86.interrupts_off);
	return exit;
}

int vmx_test_setup(void **state)
{
	struct vcpu_state start;
	const char *reason = "";

	(void)state;
	memset(&fake_vmx, 0, sizeof(fake_vmx));
	fake_vmx.guest = guest;
	vmx_test_log[0] = '\0';
	vmx_test_leaf7 = (struct cpuid){0, 0, 0, 0};
	vmx_test_cpu = (struct cpu){.self = &vmx_test_cpu};
	syscall(SYS_arch_prctl, ARCH_SET_GS, &vmx_test_cpu);
	// Without XSAVE: FXSAVE is no instruction that a test could not execute.
	fake_x86 = (struct fake_x86){.cr0 = 0x80050033, .xcr0 = 1};
	vmx_test_capabilities();
	assert_int_equal(vcpu_engine_init(&reason), STATUS_OK);
	assert_string_equal(vcpu_engine.name, "vmx");
	assert_int_equal(nested_map_create(&vmx_test_map), STATUS_OK);
	assert_int_equal(vcpu_create(vmx_test_map, &vmx_test_offer, &vmx_test_vcpu), STATUS_OK);
	vcpu_load(vmx_test_vcpu);
	vcpu_get_state(vmx_test_vcpu, &start);
	start.cr0 = CR0_PE | CR0_PG | CR0_ET;
	start.cr4 = CR4_PAE;
	start.efer = EFER_LME | EFER_LMA;
	start.rip = 0xffffffff81000000;
	start.rflags = RFLAGS_FIXED | RFLAGS_IF;
	start.segment[SEGMENT_CS].attributes = 0xa9b;
	start.segment[SEGMENT_CS].limit = UINT32_MAX;
	assert_int_equal(vcpu_set_state(vmx_test_vcpu, &start), STATUS_OK);
	(void)vmx_test_exit(VMX_REASON_INTERRUPT, 0);
	fake_vmx.count = fake_vmx.writes = 0;
	return 0;
}

int vmx_test_teardown(void **state)
{
	(void)state;
	vcpu_destroy(vmx_test_vcpu);
	nested_map_destroy(vmx_test_map);
	mem_pages_free(hpa_pointer((struct hpa){fake_vmx.region}), 1);
	return 0;
}
