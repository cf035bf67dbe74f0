// SPDX-License-Identifier: BSD-2-Clause
// Intel's engine on control structures in host memory: what its tests share.
#ifndef TESTS_UNIT_VMX_TEST_H
#define TESTS_UNIT_VMX_TEST_H

#include "kernel/cpu.h"
#include "kernel/x86.h"
#include "tests/unit/fake_env.h"
#include "vmx/vmx.h"

extern struct cpu vmx_test_cpu;       // the CPU that runs the test
extern struct vcpu *vmx_test_vcpu;
extern struct nested_map *vmx_test_map;
extern struct cpuid vmx_test_leaf7; // CPUID 7, where its EDX is not 0
extern const struct cpuid_offer vmx_test_offer; // of vmx_test_vcpu
extern char vmx_test_log[4096];       // what was logged

// A field of the control structure that is loaded.
#define FIELD(name) (fake_vmx.current->field[VMCS_##name])

// cmocka's setup and teardown: engine and CPU as after vcpu_engine_init; a vcpu, loaded, at an exit
// from 64-bit code at CPL 0, interrupts on.
int vmx_test_setup(void **state);
int vmx_test_teardown(void **state);
// The CPU's capabilities as a CPU with everything has them; before detection.
void vmx_test_capabilities(void);

// One entry, which ends with this exit. RIP and RSP stay what they are.
struct vmexit vmx_test_exit(uint32_t reason, uint64_t qualification);
// What the control structure had when the guest was entered the last time.
extern struct vmx_test_entry {
	uint64_t event, error, length, rip, rsp, rflags, interruptibility, proc, pin, threshold;
	uint64_t timer;
} vmx_test_entered;

#endif
