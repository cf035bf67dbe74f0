// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/svm_test.h"

#include <string.h>

#include "kernel/console.h"

struct vcpu svm_test_vcpu;
struct svm_vmcb svm_test_vmcb;
struct fake_x86 fake_x86;
struct svm_features svm_features;

// What vmx/cpuid.c would answer of a CPU with NX, fast FXSAVE, XSAVE and AVX.
const struct cpuid *fake_leaf(uint32_t leaf, uint32_t subleaf)
{
	static const struct cpuid basic = {0x00a20f10, 0, (uint32_t)(BIT(26) | BIT(28)), 0};
	static const struct cpuid xsave = {7, 832, 832, 0};
	static const struct cpuid extended = {0, 0, 0,
		(uint32_t)(BIT(11) | BIT(20) | BIT(25) | BIT(27) | BIT(29))};

	(void)subleaf;
	return leaf == 1 ? &basic : leaf == 0x0d ? &xsave : leaf == 0x80000001 ? &extended : NULL;
}

void log_write(enum log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
}

int svm_test_setup(void **state)
{
	struct vcpu_state start;

	(void)state;
	memset(&svm_test_vcpu, 0, sizeof(svm_test_vcpu));
	memset(&svm_test_vmcb, 0, sizeof(svm_test_vmcb));
	svm_features = (struct svm_features){.next_rip = true, .flush_by_asid = true};
	fake_x86 = (struct fake_x86){.cr4 = CR4_OSXSAVE, .xcr0 = 1};
	svm_test_vcpu.vmcb = &svm_test_vmcb;
	svm_test_vmcb.virtual_interrupt = SVM_V_INTR_MASKING;
	vcpu_reset(&svm_test_vcpu);
	vcpu_get_state(&svm_test_vcpu, &start);
	start.cr0 = CR0_PE | CR0_PG | CR0_ET;
	start.cr4 = CR4_PAE;
	start.efer = EFER_LME | EFER_LMA;
	start.rip = 0xffffffff81000000;
	start.rflags = RFLAGS_FIXED | RFLAGS_IF;
	start.segment[SEGMENT_CS].attributes = 0xa9b;
	assert_int_equal(vcpu_set_state(&svm_test_vcpu, &start), STATUS_OK);
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
