// SPDX-License-Identifier: BSD-2-Clause
// Intel's virtual machine control structure: fields, controls, exit reasons. SDM vol. 3, chapters
// 25 to 29 (24 to 28 in older editions), appendices A to C.
#ifndef VMX_VMX_ABI_H
#define VMX_VMX_ABI_H

#include "kernel/base/types.h"

#define MSR_FEATURE_CONTROL    0x0000003au
#define MSR_ARCH_CAPABILITIES  0x0000010au // with CPUID 7 EDX bit 29
#define MSR_TSX_FORCE_ABORT    0x0000010fu // with CPUID 7 EDX bit 13
#define MSR_TSX_CTRL           0x00000122u // with ARCH_CAPABILITIES_TSX_CTRL
#define MSR_VMX_BASIC          0x00000480u
#define MSR_VMX_MISC           0x00000485u
#define MSR_VMX_CR0_FIXED0     0x00000486u
#define MSR_VMX_CR0_FIXED1     0x00000487u
#define MSR_VMX_CR4_FIXED0     0x00000488u
#define MSR_VMX_CR4_FIXED1     0x00000489u
#define MSR_VMX_PROC2          0x0000048bu
#define MSR_VMX_EPT_VPID_CAP   0x0000048cu
// The older ones at 0x481 to 0x484 know fewer controls that may be 0.
#define MSR_VMX_PIN            0x00000481u
#define MSR_VMX_TRUE_PIN       0x0000048du // then processor, exit, entry

#define FEATURE_CONTROL_LOCK   BIT(0)
#define FEATURE_CONTROL_VMXON  BIT(2) // outside of SMX
#define ARCH_CAPABILITIES_TSX_CTRL BIT(7)
#define TSX_FORCE_ABORT_RTM    BIT(0)
#define TSX_CTRL_RTM_DISABLE   BIT(0)
#define VMX_BASIC_TRUE_CTLS    BIT(55)
#define VMX_MISC_TIMER_SHIFT   0x1full

// IA32_VMX_EPT_VPID_CAP. Appendix A.10.
#define EPT_CAP_WALK_4         BIT(6)
#define EPT_CAP_WB             BIT(14)
#define EPT_CAP_2M             BIT(16)
#define EPT_CAP_INVEPT         BIT(20)
#define EPT_CAP_ACCESSED_DIRTY BIT(21)
#define EPT_CAP_INVEPT_CONTEXT BIT(25)
#define EPT_CAP_INVEPT_ALL     BIT(26)
#define EPT_CAP_INVVPID        BIT(32)
#define EPT_CAP_INVVPID_CONTEXT BIT(41)
#define EPT_CAP_INVVPID_ALL    BIT(42)

// EPT pointer. Table 25-9.
#define EPTP_WB                6ull
#define EPTP_WALK_4            (3ull << 3)
#define EPTP_ACCESSED_DIRTY    BIT(6)

// Types of INVEPT and INVVPID.
enum { VMX_INVALIDATE_CONTEXT = 1, VMX_INVALIDATE_ALL = 2 };

// Every field that is used here: name and encoding. Appendix B.
#define VMCS_FIELDS(X)                                                                             \
	X(VPID, 0x0000)                                                                            \
	X(GUEST_ES_SELECTOR, 0x0800) X(GUEST_CS_SELECTOR, 0x0802)                                  \
	X(GUEST_SS_SELECTOR, 0x0804) X(GUEST_DS_SELECTOR, 0x0806)                                  \
	X(GUEST_FS_SELECTOR, 0x0808) X(GUEST_GS_SELECTOR, 0x080a)                                  \
	X(GUEST_LDTR_SELECTOR, 0x080c) X(GUEST_TR_SELECTOR, 0x080e)                                \
	X(HOST_ES_SELECTOR, 0x0c00) X(HOST_CS_SELECTOR, 0x0c02) X(HOST_SS_SELECTOR, 0x0c04)        \
	X(HOST_DS_SELECTOR, 0x0c06) X(HOST_FS_SELECTOR, 0x0c08) X(HOST_GS_SELECTOR, 0x0c0a)        \
	X(HOST_TR_SELECTOR, 0x0c0c)                                                                \
	X(MSR_BITMAP, 0x2004) X(TSC_OFFSET, 0x2010) X(VIRTUAL_APIC, 0x2012) X(EPT_POINTER, 0x201a) \
	X(ENCLS_BITMAP, 0x202e) X(TSC_MULTIPLIER, 0x2032)                                          \
	X(GUEST_PHYSICAL, 0x2400)                                                                  \
	X(GUEST_LINK, 0x2800) X(GUEST_DEBUGCTL, 0x2802) X(GUEST_PAT, 0x2804) X(GUEST_EFER, 0x2806) \
	X(GUEST_PDPTE0, 0x280a) X(GUEST_PDPTE1, 0x280c) X(GUEST_PDPTE2, 0x280e)                    \
	X(GUEST_PDPTE3, 0x2810)                                                                    \
	X(HOST_PAT, 0x2c00) X(HOST_EFER, 0x2c02)                                                   \
	X(PIN_CONTROLS, 0x4000) X(PROC_CONTROLS, 0x4002) X(EXCEPTION_BITMAP, 0x4004)               \
	X(PAGE_FAULT_MASK, 0x4006) X(PAGE_FAULT_MATCH, 0x4008) X(CR3_TARGETS, 0x400a)              \
	X(EXIT_CONTROLS, 0x400c) X(EXIT_MSR_STORES, 0x400e) X(EXIT_MSR_LOADS, 0x4010)              \
	X(ENTRY_CONTROLS, 0x4012) X(ENTRY_MSR_LOADS, 0x4014) X(ENTRY_EVENT, 0x4016)                \
	X(ENTRY_EVENT_ERROR, 0x4018) X(ENTRY_EVENT_LENGTH, 0x401a) X(TPR_THRESHOLD, 0x401c)        \
	X(PROC2_CONTROLS, 0x401e) X(PLE_GAP, 0x4020) X(PLE_WINDOW, 0x4022)                         \
	X(INSTRUCTION_ERROR, 0x4400) X(EXIT_REASON, 0x4402) X(EXIT_EVENT, 0x4404)                  \
	X(EXIT_EVENT_ERROR, 0x4406) X(VECTORING, 0x4408) X(VECTORING_ERROR, 0x440a)                \
	X(EXIT_LENGTH, 0x440c)                                                                     \
	X(GUEST_ES_LIMIT, 0x4800) X(GUEST_CS_LIMIT, 0x4802) X(GUEST_SS_LIMIT, 0x4804)              \
	X(GUEST_DS_LIMIT, 0x4806) X(GUEST_FS_LIMIT, 0x4808) X(GUEST_GS_LIMIT, 0x480a)              \
	X(GUEST_LDTR_LIMIT, 0x480c) X(GUEST_TR_LIMIT, 0x480e) X(GUEST_GDTR_LIMIT, 0x4810)          \
	X(GUEST_IDTR_LIMIT, 0x4812)                                                                \
	X(GUEST_ES_ACCESS, 0x4814) X(GUEST_CS_ACCESS, 0x4816) X(GUEST_SS_ACCESS, 0x4818)           \
	X(GUEST_DS_ACCESS, 0x481a) X(GUEST_FS_ACCESS, 0x481c) X(GUEST_GS_ACCESS, 0x481e)           \
	X(GUEST_LDTR_ACCESS, 0x4820) X(GUEST_TR_ACCESS, 0x4822)                                    \
	X(GUEST_INTERRUPTIBILITY, 0x4824) X(GUEST_ACTIVITY, 0x4826)                                \
	X(GUEST_SYSENTER_CS, 0x482a) X(PREEMPTION_TIMER, 0x482e)                                   \
	X(HOST_SYSENTER_CS, 0x4c00)                                                                \
	X(CR0_MASK, 0x6000) X(CR4_MASK, 0x6002) X(CR0_SHADOW, 0x6004) X(CR4_SHADOW, 0x6006)        \
	X(QUALIFICATION, 0x6400)                                                                   \
	X(GUEST_CR0, 0x6800) X(GUEST_CR3, 0x6802) X(GUEST_CR4, 0x6804)                             \
	X(GUEST_ES_BASE, 0x6806) X(GUEST_CS_BASE, 0x6808) X(GUEST_SS_BASE, 0x680a)                 \
	X(GUEST_DS_BASE, 0x680c) X(GUEST_FS_BASE, 0x680e) X(GUEST_GS_BASE, 0x6810)                 \
	X(GUEST_LDTR_BASE, 0x6812) X(GUEST_TR_BASE, 0x6814) X(GUEST_GDTR_BASE, 0x6816)             \
	X(GUEST_IDTR_BASE, 0x6818) X(GUEST_DR7, 0x681a) X(GUEST_RSP, 0x681c) X(GUEST_RIP, 0x681e)  \
	X(GUEST_RFLAGS, 0x6820) X(GUEST_PENDING_DEBUG, 0x6822) X(GUEST_SYSENTER_ESP, 0x6824)       \
	X(GUEST_SYSENTER_EIP, 0x6826)                                                              \
	X(HOST_CR0, 0x6c00) X(HOST_CR3, 0x6c02) X(HOST_CR4, 0x6c04) X(HOST_FS_BASE, 0x6c06)        \
	X(HOST_GS_BASE, 0x6c08) X(HOST_TR_BASE, 0x6c0a) X(HOST_GDTR_BASE, 0x6c0c)                  \
	X(HOST_IDTR_BASE, 0x6c0e) X(HOST_SYSENTER_ESP, 0x6c10) X(HOST_SYSENTER_EIP, 0x6c12)        \
	X(HOST_RSP, 0x6c14) X(HOST_RIP, 0x6c16)

#define VMCS_FIELD_NUMBER(name, number) VMCS_##name = number,
enum vmcs_field { VMCS_FIELDS(VMCS_FIELD_NUMBER) };
#undef VMCS_FIELD_NUMBER

// Of the fields of one segment, those of the next follow at this distance, in the order of enum
// vcpu_segment.
enum { VMCS_SEGMENT_STEP = 2, VMCS_FIELD_LIMIT = 0x6c18 };

// Pin-based controls. 25.6.1.
#define VMX_PIN_INTERRUPT    BIT(0)
#define VMX_PIN_NMI          BIT(3)
#define VMX_PIN_VIRTUAL_NMI  BIT(5)
#define VMX_PIN_TIMER        BIT(6)
// Processor-based controls. 25.6.2.
#define VMX_PROC_INTERRUPT_WINDOW BIT(2)
#define VMX_PROC_TSC_OFFSET  BIT(3)
#define VMX_PROC_HLT         BIT(7)
#define VMX_PROC_INVLPG      BIT(9)
#define VMX_PROC_MWAIT       BIT(10)
#define VMX_PROC_RDPMC       BIT(11)
#define VMX_PROC_RDTSC       BIT(12)
#define VMX_PROC_CR3_LOAD    BIT(15)
#define VMX_PROC_CR3_STORE   BIT(16)
#define VMX_PROC_TPR_SHADOW  BIT(21)
#define VMX_PROC_NMI_WINDOW  BIT(22)
#define VMX_PROC_MOV_DR      BIT(23)
#define VMX_PROC_IO          BIT(24)
#define VMX_PROC_MTF         BIT(27)
#define VMX_PROC_MSR_BITMAP  BIT(28)
#define VMX_PROC_MONITOR     BIT(29)
#define VMX_PROC_PAUSE       BIT(30)
#define VMX_PROC_SECONDARY   BIT(31)
#define VMX_PROC2_EPT        BIT(1)
#define VMX_PROC2_RDTSCP     BIT(3)
#define VMX_PROC2_VPID       BIT(5)
#define VMX_PROC2_WBINVD     BIT(6)
#define VMX_PROC2_UNRESTRICTED BIT(7)
#define VMX_PROC2_PAUSE_LOOP BIT(10)
#define VMX_PROC2_RDRAND     BIT(11)
#define VMX_PROC2_INVPCID    BIT(12)
#define VMX_PROC2_ENCLS      BIT(15)
#define VMX_PROC2_TSC_SCALE  BIT(25)
#define VMX_PROC2_RDSEED     BIT(16)
// Exit and entry controls. 25.7.1, 25.8.1.
#define VMX_EXIT_SAVE_DEBUG  BIT(2)
#define VMX_EXIT_HOST_64     BIT(9)
#define VMX_EXIT_ACKNOWLEDGE BIT(15)
#define VMX_EXIT_SAVE_PAT    BIT(18)
#define VMX_EXIT_LOAD_PAT    BIT(19)
#define VMX_EXIT_LOAD_EFER   BIT(21)
#define VMX_ENTRY_LOAD_DEBUG BIT(2)
#define VMX_ENTRY_IA32E      BIT(9)
#define VMX_ENTRY_LOAD_PAT   BIT(14)
#define VMX_ENTRY_LOAD_EFER  BIT(15)

// Access rights of a segment: a descriptor's bytes 5 and 6 with a gap. Table 25-2.
#define VMX_ACCESS_UNUSABLE  BIT(16)
#define VMX_ACCESS_L         BIT(13)
#define VMX_ACCESS_DB        BIT(14)
#define VMX_ACCESS_G         BIT(15)

// Interruptibility. Table 25-3.
#define VMX_BLOCKED_STI      1u
#define VMX_BLOCKED_MOV_SS   2u
#define VMX_BLOCKED_NMI      8u
#define VMX_BLOCKED_SHADOW   (VMX_BLOCKED_STI | VMX_BLOCKED_MOV_SS)

// Entry, exit and IDT-vectoring event. Tables 25-17, 25-19, 25-20.
#define VMX_EVENT_VECTOR     0xffu
#define VMX_EVENT_TYPE       0x700u
#define VMX_EVENT_INTERRUPT  0u
#define VMX_EVENT_NMI        0x200u
#define VMX_EVENT_EXCEPTION  0x300u
#define VMX_EVENT_SOFTWARE_INTERRUPT 0x400u
#define VMX_EVENT_PRIVILEGED 0x500u // INT1
#define VMX_EVENT_SOFTWARE   0x600u // INT3, INTO
#define VMX_EVENT_HAS_ERROR  0x800u
#define VMX_EVENT_NMI_UNBLOCKED 0x1000u // an IRET that faulted had ended the blocking
#define VMX_EVENT_VALID      0x80000000u

// Pending debug exceptions, and the exit qualification of #DB: DR6's bits. Tables 25-4, 28-1.
#define VMX_DEBUG_BREAKPOINTS 0xfull
#define VMX_DEBUG_ENABLED    BIT(12) // a breakpoint of those is enabled in DR7
#define VMX_DEBUG_BD         BIT(13)
#define VMX_DEBUG_BS         BIT(14)

// Exit qualification of I/O instructions. Table 28-5.
#define VMX_IO_SIZE          7u
#define VMX_IO_IN            BIT(3)
#define VMX_IO_STRING        BIT(4)
#define VMX_IO_PORT_SHIFT    16
// Of EPT violations. Table 28-7.
#define VMX_EPT_WRITE        BIT(1)
#define VMX_EPT_FETCH        BIT(2)
#define VMX_EPT_HAS_LINEAR   BIT(7)
#define VMX_EPT_FINAL        BIT(8) // the access itself, not a walk
#define VMX_EPT_NMI_UNBLOCKED BIT(12)
// Of task switches. Table 28-2.
#define VMX_TASK_SOURCE_SHIFT 30

#define VMX_REASON_ENTRY_FAILED BIT(31)

// Basic exit reasons. Appendix C.
enum vmx_reason {
	VMX_REASON_EXCEPTION = 0,
	VMX_REASON_INTERRUPT = 1,
	VMX_REASON_TRIPLE_FAULT = 2,
	VMX_REASON_INIT = 3,
	VMX_REASON_SIPI = 4,
	VMX_REASON_IO_SMI = 5,
	VMX_REASON_SMI = 6,
	VMX_REASON_INTERRUPT_WINDOW = 7,
	VMX_REASON_NMI_WINDOW = 8,
	VMX_REASON_TASK_SWITCH = 9,
	VMX_REASON_CPUID = 10,
	VMX_REASON_GETSEC = 11,
	VMX_REASON_HLT = 12,
	VMX_REASON_INVD = 13,
	VMX_REASON_RDPMC = 15,
	VMX_REASON_RDTSC = 16,
	VMX_REASON_VMCALL = 18, // to VMXON: 27
	VMX_REASON_VMXON = 27,
	VMX_REASON_CR_ACCESS = 28,
	VMX_REASON_DR_ACCESS = 29,
	VMX_REASON_IO = 30,
	VMX_REASON_RDMSR = 31,
	VMX_REASON_WRMSR = 32,
	VMX_REASON_GUEST_STATE = 33,
	VMX_REASON_MSR_LOAD = 34,
	VMX_REASON_MWAIT = 36,
	VMX_REASON_MTF = 37,
	VMX_REASON_MONITOR = 39,
	VMX_REASON_PAUSE = 40,
	VMX_REASON_MACHINE_CHECK = 41,
	VMX_REASON_TPR = 43,
	VMX_REASON_EPT_VIOLATION = 48,
	VMX_REASON_EPT_MISCONFIGURED = 49,
	VMX_REASON_INVEPT = 50,
	VMX_REASON_RDTSCP = 51,
	VMX_REASON_TIMER = 52,
	VMX_REASON_INVVPID = 53,
	VMX_REASON_WBINVD = 54,
	VMX_REASON_XSETBV = 55,
	VMX_REASON_RDRAND = 57,
	VMX_REASON_ENCLS = 60,
	VMX_REASON_RDSEED = 61,
	VMX_REASON_COUNT = 64,
};

#endif
