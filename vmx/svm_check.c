// SPDX-License-Identifier: BSD-2-Clause
// What VMRUN demands of the control block, so that a failed entry can say which field was wrong.
// APM vol. 2, 15.5.1.
#include "vmx/svm.h"

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/x86.h"

#define UPPER_HALF 0xffffffff00000000ull

// Whether VMRUN would refuse what EVENTINJ holds: 15.20.
static bool event_is_illegal(uint64_t event)
{
	uint64_t type = event & SVM_EVENT_TYPE_MASK, vector = event & SVM_EVENT_VECTOR_MASK;

	if ((event & SVM_EVENT_VALID) == 0)
		return false;
	if (type == SVM_EVENT_TYPE_EXCEPTION)
		return vector > 31 || vector == VECTOR_NMI;
	return type != SVM_EVENT_TYPE_INTERRUPT && type != SVM_EVENT_TYPE_NMI &&
		type != SVM_EVENT_TYPE_SOFTWARE;
}

unsigned svm_guest_check(const struct svm_vmcb *vmcb, svm_violation *report)
{
	bool long_mode = (vmcb->efer & EFER_LME) != 0 && (vmcb->cr0 & CR0_PG) != 0;
	bool both = (vmcb->cs.attributes & SEGMENT_ATTRIBUTE_L) != 0 &&
		(vmcb->cs.attributes & SEGMENT_ATTRIBUTE_DB) != 0;
	const struct {
		bool violated;
		const char *what, *field;
		uint64_t value;
	} rules[] = {
		{(vmcb->efer & EFER_SVME) == 0, "EFER.SVME is clear", "EFER", vmcb->efer},
		{(vmcb->cr0 & (CR0_CD | CR0_NW)) == CR0_NW, "CR0.NW without CD", "CR0", vmcb->cr0},
		{(vmcb->cr0 & UPPER_HALF) != 0, "CR0: upper half is not zero", "CR0", vmcb->cr0},
		{vmcb->cr3 >> 52 != 0, "CR3: reserved bits", "CR3", vmcb->cr3},
		{(vmcb->cr4 & UPPER_HALF) != 0, "CR4: upper half is not zero", "CR4", vmcb->cr4},
		{(vmcb->dr6 & UPPER_HALF) != 0, "DR6: upper half is not zero", "DR6", vmcb->dr6},
		{(vmcb->dr7 & UPPER_HALF) != 0, "DR7: upper half is not zero", "DR7", vmcb->dr7},
		{long_mode && (vmcb->cr4 & CR4_PAE) == 0, "long mode without CR4.PAE", "CR4",
			vmcb->cr4},
		{long_mode && (vmcb->cr0 & CR0_PE) == 0, "long mode without CR0.PE", "CR0",
			vmcb->cr0},
		{long_mode && (vmcb->cr4 & CR4_PAE) != 0 && both, "CS: L and D together", "CS",
			vmcb->cs.attributes},
		{(vmcb->intercept4 & SVM_INTERCEPT_VMRUN) == 0, "VMRUN is not intercepted",
			"intercepts", vmcb->intercept4},
		{vmcb->asid == 0, "ASID 0 is the host's", "ASID", vmcb->asid},
		{event_is_illegal(vmcb->event_injection), "an event that does not exist",
			"EVENTINJ", vmcb->event_injection},
	};
	unsigned violations = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
		if (!rules[i].violated)
			continue;
		violations++;
		if (report != NULL)
			report(rules[i].what, rules[i].field, rules[i].value);
	}
	return violations;
}

static void violation_print(const char *what, const char *field, uint64_t value)
{
	log_error("  violated: %s: %s is %llx", what, field, (unsigned long long)value);
}

void svm_print_entry_failure(const struct vcpu *vcpu)
{
	const struct svm_vmcb *vmcb = svm_of(vcpu)->vmcb;

#define PRINT(name, value) log_error("  %-10s %016llx", name, (unsigned long long)(value))
	log_error("AMD-V exit code %llx, info %llx %llx",
		(unsigned long long)vmcb->exit_code, (unsigned long long)vmcb->exit_info1,
		(unsigned long long)vmcb->exit_info2);
	(void)svm_guest_check(vmcb, violation_print);
	PRINT("EFER", vmcb->efer);
	PRINT("CR0", vmcb->cr0);
	PRINT("CR3", vmcb->cr3);
	PRINT("CR4", vmcb->cr4);
	PRINT("DR6", vmcb->dr6);
	PRINT("DR7", vmcb->dr7);
	PRINT("CS", vmcb->cs.attributes);
	PRINT("ASID", vmcb->asid);
	PRINT("EVENTINJ", vmcb->event_injection);
	PRINT("RIP", vmcb->rip);
#undef PRINT
}

void svm_spoil(struct vcpu *vcpu)
{
	ASSERT(vcpu_is_loaded(vcpu));
	svm_of(vcpu)->vmcb->dr7 |= BIT(32);
	svm_dirty(vcpu, SVM_CLEAN_DRX);
}
