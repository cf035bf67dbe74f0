// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/svm_test.h"

#include <string.h>

#include "kernel/console.h"
#include "kernel/mem.h"

static _Alignas(64) uint8_t fpu_area[2 * PAGE_BYTES];

struct svm_vcpu svm_test_vcpu;
struct svm_vmcb svm_test_vmcb;
struct fake_x86 fake_x86;
struct svm_features svm_features;

// What vmx/cpuid.c would answer of a CPU with NX, fast FXSAVE, XSAVE, AVX and INVPCID.
const struct cpuid *fake_leaf(uint32_t leaf, uint32_t subleaf)
{
	static const struct cpuid basic = {0x00a20f10, 0, (uint32_t)(BIT(26) | BIT(28)), 0};
	static const struct cpuid xsave = {7, 832, 832, 0};
	static const struct cpuid extended = {0, 0, 0,
		(uint32_t)(BIT(11) | BIT(20) | BIT(25) | BIT(27) | BIT(29))};

	static const struct cpuid more = {0, (uint32_t)BIT(10), 0, 0};

	(void)subleaf;
	return leaf == 1 ? &basic : leaf == 7 ? &more : leaf == 0x0d ? &xsave
		: leaf == 0x80000001 ? &extended : NULL;
}

void log_write(enum log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
}

// Without what needs a CPU of its own: detection, loading, entry.
const struct vcpu_engine svm_engine = {
	.name = "svm",
	.reset = svm_reset,
	.rip = svm_rip,
	.rflags = svm_rflags,
	.set_rip = svm_set_rip,
	.set_rflags = svm_set_rflags,
	.advance = svm_advance,
	.finish = svm_finish,
	.dr7 = svm_dr7,
	.watch_dr7 = svm_watch_dr7,
	.paging = svm_paging,
	.get_code = svm_get_code,
	.segment = svm_segment,
	.cpl = svm_cpl,
	.code_bits = svm_code_bits,
	.get_state = svm_get_state,
	.set_state = svm_set_state,
	.read_msr = svm_read_msr,
	.write_msr = svm_write_msr,
	.write_cr0 = svm_write_cr0,
	.write_cr4 = svm_write_cr4,
	.set_tpr = svm_set_tpr,
	.intercept_tpr = svm_intercept_tpr,
	.intercept_pause = svm_intercept_pause,
	.set_tsc_offset = svm_set_tsc_offset,
	.tsc_offset = svm_tsc_offset,
	.tsc_ratio = svm_tsc_ratio,
	.set_tsc_ratio = svm_set_tsc_ratio,
	.can_inject = svm_can_inject,
	.event_pending = svm_event_pending,
	.inject_interrupt = svm_inject_interrupt,
	.inject_nmi = svm_inject_nmi,
	.inject_exception = svm_inject_exception,
	.set_cr2 = svm_set_cr2,
	.request_interrupt_window = svm_request_interrupt_window,
	.request_nmi_window = svm_request_nmi_window,
	.request_step = svm_request_step,
	.inject_software_interrupt = svm_inject_software_interrupt,
	.spoil = svm_spoil,
	.print_entry_failure = svm_print_entry_failure,
};

// The other engine is not under test.
const struct vcpu_engine vmx_engine;

enum status vmx_detect(const char **reason)
{
	*reason = "none here";
	return STATUS_UNSUPPORTED;
}

enum status svm_detect(const char **reason)
{
	*reason = "none here";
	return STATUS_UNSUPPORTED;
}

void *mem_pages_alloc(unsigned count)
{
	(void)count;
	return NULL;
}

void mem_pages_free(void *pages, unsigned count)
{
	(void)pages;
	(void)count;
}

int svm_test_setup(void **state)
{
	struct vcpu_state start;

	(void)state;
	memset(&svm_test_vcpu, 0, sizeof(svm_test_vcpu));
	memset(&svm_test_vmcb, 0, sizeof(svm_test_vmcb));
	svm_features = (struct svm_features){.next_rip = true, .flush_by_asid = true};
	fake_x86 = (struct fake_x86){.cr4 = CR4_OSXSAVE, .xcr0 = 1};
	vcpu_engine = svm_engine;
	svm_test_vcpu.vmcb = &svm_test_vmcb;
	svm_test_vcpu.vcpu.fpu = fpu_area; // loaded on core 0
	svm_test_vcpu.vcpu.offer = (struct cpuid_offer){.xcr0 = 7, .rdtscp = true, // fake_leaf's
		.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR,
		.signature = 0x00a20f10};
	svm_test_vmcb.virtual_interrupt = SVM_V_INTR_MASKING;
	vcpu_reset(&svm_test_vcpu.vcpu, VCPU_RESET_POWER);
	vcpu_get_state(&svm_test_vcpu.vcpu, &start);
	start.cr0 = CR0_PE | CR0_PG | CR0_ET;
	start.cr4 = CR4_PAE;
	start.efer = EFER_LME | EFER_LMA;
	start.rip = 0xffffffff81000000;
	start.rflags = RFLAGS_FIXED | RFLAGS_IF;
	start.segment[SEGMENT_CS].attributes = 0xa9b;
	assert_int_equal(vcpu_set_state(&svm_test_vcpu.vcpu, &start), STATUS_OK);
	svm_test_clean();
	return 0;
}

void svm_test_clean(void)
{
	svm_test_vmcb.clean = SVM_CLEAN_ALL;
	svm_test_vmcb.tlb_control = SVM_TLB_KEEP;
}

uint64_t svm_test_dirtied(void)
{
	uint64_t dirtied = SVM_CLEAN_ALL & ~svm_test_vmcb.clean;

	svm_test_vmcb.clean = SVM_CLEAN_ALL;
	return dirtied;
}
