// SPDX-License-Identifier: BSD-2-Clause
// AMD-V: detection, creation of vcpus, and the entry. APM vol. 2, chapter 15.
//
// The kernel runs with interrupts enabled. Around VMRUN the global interrupt flag is clear: an
// interrupt that comes between the check of `attention` and the guest's first instruction stays
// pending and ends the guest's run at once; one that ended it is taken by the kernel's own handler
// at STGI, before vcpu_enter returns.
#include "vmx/svm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/cpu.h"
#include "kernel/mem.h"
#include "kernel/x86.h"

enum { MSRPM_PAGES = 2, IOPM_PAGES = 3, HOST_PAGES = 2 };

struct svm_features svm_features;

// Per image while one CPU runs guests: the host's control block (what VMSAVE keeps), the area that
// VMRUN itself uses, and the two permission maps, which are the same for every vcpu.
struct svm_vmcb *svm_host_vmcb;
static uint8_t *msrpm, *iopm;

enum status vcpu_engine_init(const char **reason)
{
	struct cpuid features = cpuid(0x80000001, 0), svm;
	uint8_t *pages;

	if ((features.ecx & BIT(2)) == 0) {
		*reason = "this CPU has no AMD-V: CPUID 80000001 ECX bit 2 (SVM) is clear";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	if ((rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) != 0) {
		*reason = "firmware has locked AMD-V: VM_CR (MSR C0010114) bit 4 (SVMDIS) is set";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	svm = cpuid(0x8000000a, 0);
	if ((svm.edx & BIT(0)) == 0) {
		*reason = "AMD-V without nested paging: CPUID 8000000A EDX bit 0 (NP) is clear";
		return STATUS_FAIL(STATUS_UNSUPPORTED);
	}
	svm_features = (struct svm_features){.revision = svm.eax & 0xff, .asids = svm.ebx,
		.edx = svm.edx, .next_rip = (svm.edx & BIT(3)) != 0,
		.flush_by_asid = (svm.edx & BIT(6)) != 0};
	pages = mem_pages_alloc(HOST_PAGES + MSRPM_PAGES + IOPM_PAGES);
	if (pages == NULL) {
		*reason = "no memory for the engine's tables";
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	svm_host_vmcb = (struct svm_vmcb *)(void *)pages;
	msrpm = pages + HOST_PAGES * PAGE_BYTES;
	iopm = msrpm + MSRPM_PAGES * PAGE_BYTES;
	memset(iopm, 0xff, IOPM_PAGES * PAGE_BYTES); // every port exits
	svm_msrpm_init(msrpm);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, hpa_of(pages + PAGE_BYTES).v);
	__asm__ volatile("vmsave %0" : : "a"(svm_host_vmcb) : "memory");
	return STATUS_OK;
}

const char *vcpu_engine_name(void)
{
	return "svm";
}

void vcpu_engine_describe(char *text, size_t bytes)
{
	snprintf(text, bytes, "AMD-V (SVM) revision %u, %u ASIDs, nested paging%s%s",
		svm_features.revision, svm_features.asids,
		svm_features.next_rip ? ", next RIP" : "",
		svm_features.flush_by_asid ? ", flush by ASID" : "");
}

enum status vcpu_create(struct nested_map *map, struct vcpu **vcpu)
{
	struct vcpu *created = calloc(1, sizeof(*created));
	struct svm_vmcb *vmcb = mem_pages_alloc(1);

	if (created == NULL || vmcb == NULL) {
		free(created);
		if (vmcb != NULL)
			mem_pages_free(vmcb, 1);
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	created->vmcb = vmcb;
	vmcb->intercept_cr = SVM_INTERCEPT_CR0_WRITE | SVM_INTERCEPT_CR4_WRITE;
	vmcb->intercept_exceptions = SVM_EXCEPTIONS_INTERCEPTED;
	vmcb->intercept3 = SVM_INTERCEPT_INTR | SVM_INTERCEPT_NMI | SVM_INTERCEPT_SMI |
		SVM_INTERCEPT_INIT | SVM_INTERCEPT_RDPMC | SVM_INTERCEPT_CPUID |
		SVM_INTERCEPT_INVD | SVM_INTERCEPT_HLT | SVM_INTERCEPT_INVLPGA |
		SVM_INTERCEPT_IOIO | SVM_INTERCEPT_MSR | SVM_INTERCEPT_FERR_FREEZE |
		(uint32_t)SVM_INTERCEPT_SHUTDOWN;
	vmcb->intercept4 = SVM_INTERCEPT_VMRUN | SVM_INTERCEPT_VMMCALL | SVM_INTERCEPT_VMLOAD |
		SVM_INTERCEPT_VMSAVE | SVM_INTERCEPT_STGI | SVM_INTERCEPT_CLGI |
		SVM_INTERCEPT_SKINIT | SVM_INTERCEPT_WBINVD | SVM_INTERCEPT_MONITOR |
		SVM_INTERCEPT_MWAIT | SVM_INTERCEPT_XSETBV | SVM_INTERCEPT_RDPRU;
	vmcb->iopm = hpa_of(iopm).v;
	vmcb->msrpm = hpa_of(msrpm).v;
	vmcb->asid = 1;
	vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
	vmcb->virtual_interrupt = SVM_V_INTR_MASKING;
	vmcb->nested_control = 1;
	vmcb->nested_cr3 = nested_map_root(map);
	vcpu_reset(created);
	*vcpu = created;
	return STATUS_OK;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	mem_pages_free(vcpu->vmcb, 1);
	free(vcpu);
}

// What every exit tells, whatever its kind.
static always_inline void exit_describe(const struct svm_vmcb *vmcb, struct vmexit *exit)
{
	exit->rip = exit->linear_rip = vmcb->rip;
	exit->cr3 = vmcb->cr3;
	exit->tpr = vmcb->virtual_interrupt & SVM_V_TPR_MASK;
	if (unlikely((vmcb->efer & EFER_LMA) == 0 ||
		    (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_L) == 0))
		exit->linear_rip = (uint32_t)(vmcb->rip + vmcb->cs.base);
}

static void exit_without_entry(struct vcpu *vcpu, struct vmexit *exit, enum vmexit_kind kind)
{
	exit_describe(vcpu->vmcb, exit);
	exit->kind = (uint8_t)kind;
	exit->length = 0;
	if (vcpu->stepping) // not begun after all
		svm_step_cancel(vcpu);
}

static always_inline bool exit_is_plain(uint64_t code, uint8_t *kind)
{
	if (code - SVM_EXIT_INTR >= SVM_PLAIN_KINDS)
		return false;
	*kind = svm_plain_kinds[code - SVM_EXIT_INTR];
	return *kind != 0;
}

void vcpu_enter(struct vcpu *vcpu, struct vmexit *exit)
{
	struct svm_vmcb *vmcb = vcpu->vmcb;

	do {
		if (unlikely(vcpu->special != 0)) {
			if (vcpu->triple_fault) {
				exit_without_entry(vcpu, exit, VMEXIT_SHUTDOWN);
				return;
			}
			svm_event_prepare_slow(vcpu);
		}
		vmcb->rax = vcpu->gpr[GPR_RAX];
		vmcb->rsp = vcpu->gpr[GPR_RSP];
		__asm__ volatile("clgi" : : : "memory");
		if (unlikely(cpu_self()->attention)) {
			__asm__ volatile("stgi" : : : "memory");
			exit_without_entry(vcpu, exit, VMEXIT_INTERRUPT);
			return;
		}
		svm_enter(vcpu->gpr, vmcb);
		__asm__ volatile("stgi" : : : "memory");
		vcpu->gpr[GPR_RAX] = vmcb->rax;
		vcpu->gpr[GPR_RSP] = vmcb->rsp;
		vmcb->clean = SVM_CLEAN_ALL;
		vmcb->tlb_control = SVM_TLB_KEEP;
		svm_event_collect(vcpu);
		exit_describe(vmcb, exit);
		if (likely(vcpu->special == 0 && exit_is_plain(vmcb->exit_code, &exit->kind))) {
			exit->length = svm_next_rip_length(vmcb);
			return;
		}
	} while (svm_exit_decode(vcpu, exit));
}
