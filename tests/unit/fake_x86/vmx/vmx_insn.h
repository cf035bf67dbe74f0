// SPDX-License-Identifier: BSD-2-Clause
// Found before the real header by -Itests/unit/fake_x86: VMX's instructions act on control
// structures of the test's own, and entering the guest is a function of the test.
#ifndef FAKE_X86_VMX_VMX_INSN_H
#define FAKE_X86_VMX_VMX_INSN_H

#include "kernel/base/types.h"

enum { FAKE_VMCS = 4, FAKE_FIELDS = 0x7000, FAKE_INVALIDATIONS = 32 };

struct fake_vmcs {
	uint64_t physical; // 0: free
	uint64_t field[FAKE_FIELDS];
	bool launched;
};

struct fake_vmx {
	struct fake_vmcs vmcs[FAKE_VMCS];
	struct fake_vmcs *current; // NULL: none is loaded
	uint64_t region;           // VMXON's; 0: it was not done
	unsigned writes;           // of fields
	unsigned count;            // of invalidations
	struct {
		bool ept; // INVEPT, else INVVPID
		uint64_t type, context;
	} invalidations[FAKE_INVALIDATIONS];
	unsigned nmis, machine_checks, entries;
	// What the guest does: fills the fields of the exit. False: the instruction failed.
	bool (*guest)(void *vcpu);
};
extern struct fake_vmx fake_vmx; // the test's

static inline bool vmread(uint64_t field, uint64_t *value)
{
	if (fake_vmx.current == NULL || field >= FAKE_FIELDS)
		return false;
	*value = fake_vmx.current->field[field];
	return true;
}

// Bits 11:10 of an encoding are 1 for fields that tell of an exit: SDM vol. 3, 25.11.2.
static inline bool vmwrite(uint64_t field, uint64_t value)
{
	static const uint64_t widths[] = {UINT16_MAX, UINT64_MAX, UINT32_MAX, UINT64_MAX};

	if (fake_vmx.current == NULL || field >= FAKE_FIELDS || (field >> 10 & 3) == 1)
		return false;
	fake_vmx.current->field[field] = value & widths[field >> 13 & 3];
	fake_vmx.writes++;
	return true;
}

static inline struct fake_vmcs *fake_vmcs_find(uint64_t physical)
{
	for (unsigned i = 0; i < FAKE_VMCS; i++)
		if (fake_vmx.vmcs[i].physical == physical || fake_vmx.vmcs[i].physical == 0) {
			fake_vmx.vmcs[i].physical = physical;
			return &fake_vmx.vmcs[i];
		}
	return NULL;
}

static inline bool vmxon(uint64_t physical)
{
	bool was_on = fake_vmx.region != 0;

	fake_vmx.region = was_on ? fake_vmx.region : physical;
	return !was_on;
}

static inline bool vmclear(uint64_t physical)
{
	struct fake_vmcs *vmcs = fake_vmcs_find(physical);

	if (vmcs == NULL)
		return false;
	vmcs->launched = false;
	if (fake_vmx.current == vmcs)
		fake_vmx.current = NULL;
	return true;
}

static inline bool vmptrld(uint64_t physical)
{
	fake_vmx.current = fake_vmcs_find(physical);
	return fake_vmx.current != NULL;
}

static inline bool fake_invalidate(bool ept, uint64_t type, uint64_t context)
{
	unsigned i = fake_vmx.count++ % FAKE_INVALIDATIONS;

	fake_vmx.invalidations[i].ept = ept;
	fake_vmx.invalidations[i].type = type;
	fake_vmx.invalidations[i].context = context;
	return true;
}

static inline bool invept(uint64_t type, uint64_t ept_pointer)
{
	return fake_invalidate(true, type, ept_pointer);
}

static inline bool invvpid(uint64_t type, uint16_t vpid)
{
	return fake_invalidate(false, type, vpid);
}

static inline uint64_t host_idt_base(void)
{
	return 0x1d7000;
}

static inline void host_nmi(void)
{
	fake_vmx.nmis++;
}

static inline void host_machine_check(void)
{
	fake_vmx.machine_checks++;
}

// VMLAUNCH of a structure that was launched fails, and the other way round: 27.1.
static inline bool vmx_run_guest(void *vcpu, bool launched)
{
	fake_vmx.entries++;
	if (fake_vmx.current == NULL || fake_vmx.current->launched != launched)
		return false;
	fake_vmx.current->launched = true;
	return fake_vmx.guest(vcpu);
}

#endif
