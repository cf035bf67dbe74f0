// SPDX-License-Identifier: BSD-2-Clause
// VMX's instructions. Each tells whether it succeeded: CF and ZF clear (SDM vol. 3, 31.2). Unit
// tests have a control structure of their own instead.
#ifndef VMX_VMX_INSN_H
#define VMX_VMX_INSN_H

#include "kernel/base/types.h"

struct vmx_invalidation { // operand of INVEPT and INVVPID
	uint64_t context, address;
};

static always_inline bool vmread(uint64_t field, uint64_t *value)
{
	uint64_t read;

	__asm__ goto("vmread %1, %0\n\tjbe %l2"
		: "=r"(read) : "r"(field) : "cc", "memory" : failed);
	*value = read;
	return true;
failed:
	return false;
}

static always_inline bool vmwrite(uint64_t field, uint64_t value)
{
	__asm__ goto("vmwrite %0, %1\n\tjbe %l2"
		: : "rm"(value), "r"(field) : "cc", "memory" : failed);
	return true;
failed:
	return false;
}

#define VMX_MEMORY_INSTRUCTION(name)                                                               \
	static inline bool name(uint64_t physical)                                                 \
	{                                                                                          \
		__asm__ goto(#name " %0\n\tjbe %l1"                                                \
			: : "m"(physical) : "cc", "memory" : failed);                              \
		return true;                                                                       \
	failed:                                                                                    \
		return false;                                                                      \
	}

VMX_MEMORY_INSTRUCTION(vmxon)
VMX_MEMORY_INSTRUCTION(vmclear)
VMX_MEMORY_INSTRUCTION(vmptrld)

static inline bool invept(uint64_t type, uint64_t ept_pointer)
{
	struct vmx_invalidation operand = {ept_pointer, 0};

	__asm__ goto("invept %0, %1\n\tjbe %l2"
		: : "m"(operand), "r"(type) : "cc", "memory" : failed);
	return true;
failed:
	return false;
}

static inline bool invvpid(uint64_t type, uint16_t vpid)
{
	struct vmx_invalidation operand = {vpid, 0};

	__asm__ goto("invvpid %0, %1\n\tjbe %l2"
		: : "m"(operand), "r"(type) : "cc", "memory" : failed);
	return true;
failed:
	return false;
}

static inline uint64_t host_idt_base(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idt;

	__asm__ volatile("sidt %0" : "=m"(idt));
	return idt.base;
}

// The host's own handlers. A machine check does not come back.
static inline void host_nmi(void)
{
	__asm__ volatile("int $2");
}

static inline void host_machine_check(void)
{
	__asm__ volatile("int $18");
}

// Enters the guest with VMRESUME or VMLAUNCH. True: there was an exit, or an entry that failed
// late; false: the instruction itself failed. Interrupts are off before and after. vmx_run.S.
static always_inline bool vmx_run_guest(void *vcpu, bool launched)
{
	uint32_t entered;

	__asm__ volatile("call vmx_run"
		: "=a"(entered), "+D"(vcpu), "+S"(launched)
		:
		: "rcx", "rdx", "r8", "r9", "r10", "r11", "r13", "r14", "r15", "cc", "memory");
	return entered != 0;
}

#endif
