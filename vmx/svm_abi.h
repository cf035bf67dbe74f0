// SPDX-License-Identifier: BSD-2-Clause
// AMD's virtual machine control block. APM vol. 2 (rev. 3.40), appendix B; exit codes: appendix C.
#ifndef VMX_SVM_ABI_H
#define VMX_SVM_ABI_H

#include "kernel/base/types.h"

// Intercept vector 3, offset 0xc.
#define SVM_INTERCEPT_INTR        BIT(0)
#define SVM_INTERCEPT_NMI         BIT(1)
#define SVM_INTERCEPT_SMI         BIT(2)
#define SVM_INTERCEPT_INIT        BIT(3)
#define SVM_INTERCEPT_VINTR       BIT(4)
#define SVM_INTERCEPT_RDTSC       BIT(14)
#define SVM_INTERCEPT_RDPMC       BIT(15)
#define SVM_INTERCEPT_PUSHF       BIT(16)
#define SVM_INTERCEPT_POPF        BIT(17)
#define SVM_INTERCEPT_CPUID       BIT(18)
#define SVM_INTERCEPT_IRET        BIT(20)
#define SVM_INTERCEPT_INTN        BIT(21)
#define SVM_INTERCEPT_INVD        BIT(22)
#define SVM_INTERCEPT_PAUSE       BIT(23)
#define SVM_INTERCEPT_HLT         BIT(24)
#define SVM_INTERCEPT_INVLPGA     BIT(26)
#define SVM_INTERCEPT_IOIO        BIT(27)
#define SVM_INTERCEPT_MSR         BIT(28)
#define SVM_INTERCEPT_FERR_FREEZE BIT(30)
#define SVM_INTERCEPT_SHUTDOWN    BIT(31)
// Intercept vector 4, offset 0x10.
#define SVM_INTERCEPT_VMRUN   BIT(0)
#define SVM_INTERCEPT_VMMCALL BIT(1)
#define SVM_INTERCEPT_VMLOAD  BIT(2)
#define SVM_INTERCEPT_VMSAVE  BIT(3)
#define SVM_INTERCEPT_STGI    BIT(4)
#define SVM_INTERCEPT_CLGI    BIT(5)
#define SVM_INTERCEPT_SKINIT  BIT(6)
#define SVM_INTERCEPT_RDTSCP  BIT(7)
#define SVM_INTERCEPT_WBINVD  BIT(9)
#define SVM_INTERCEPT_MONITOR BIT(10)
#define SVM_INTERCEPT_MWAIT   BIT(11)
#define SVM_INTERCEPT_XSETBV  BIT(13)
#define SVM_INTERCEPT_RDPRU   BIT(14)
// Intercept vector 5, offset 0x14.
#define SVM_INTERCEPT_INVPCID BIT(2)

// Of the CR vector, offset 0.
#define SVM_INTERCEPT_CR0_WRITE BIT(16)
#define SVM_INTERCEPT_CR4_WRITE BIT(20)
#define SVM_INTERCEPT_CR8_WRITE BIT(24)

// Of the DR vector, offset 4.
#define SVM_INTERCEPT_DR4_WRITE BIT(20)
#define SVM_INTERCEPT_DR5_WRITE BIT(21) // DR7, where CR4.DE is clear
#define SVM_INTERCEPT_DR6_WRITE BIT(22)
#define SVM_INTERCEPT_DR7_WRITE BIT(23)

// Virtual interrupt control, offset 0x60.
#define SVM_V_TPR_MASK     0x0full
#define SVM_V_IRQ          BIT(8)
#define SVM_V_PRIO_SHIFT   16
#define SVM_V_IGN_TPR      BIT(20)
#define SVM_V_INTR_MASKING BIT(24)
#define SVM_V_VECTOR_SHIFT 32

// Event injection, offset 0xa8, and EXITINTINFO, offset 0x88.
#define SVM_EVENT_VECTOR_MASK     0xffull
#define SVM_EVENT_TYPE_SHIFT      8
#define SVM_EVENT_TYPE_MASK       (7ull << SVM_EVENT_TYPE_SHIFT)
#define SVM_EVENT_TYPE_INTERRUPT  (0ull << SVM_EVENT_TYPE_SHIFT)
#define SVM_EVENT_TYPE_NMI        (2ull << SVM_EVENT_TYPE_SHIFT)
#define SVM_EVENT_TYPE_EXCEPTION  (3ull << SVM_EVENT_TYPE_SHIFT)
#define SVM_EVENT_TYPE_SOFTWARE   (4ull << SVM_EVENT_TYPE_SHIFT)
#define SVM_EVENT_ERROR_VALID     BIT(11)
#define SVM_EVENT_VALID           BIT(31)
#define SVM_EVENT_ERROR_SHIFT     32

// Exit codes.
enum svm_exit_code {
	SVM_EXIT_CR0_WRITE = 0x10,
	SVM_EXIT_CR4_WRITE = 0x14,
	SVM_EXIT_CR8_WRITE = 0x18,
	SVM_EXIT_DR4_WRITE = 0x34,
	SVM_EXIT_DR5_WRITE = 0x35,
	SVM_EXIT_DR6_WRITE = 0x36,
	SVM_EXIT_DR7_WRITE = 0x37,
	SVM_EXIT_EXCEPTION_FIRST = 0x40,
	SVM_EXIT_EXCEPTION_LAST = 0x5f,
	SVM_EXIT_INTR = 0x60,
	SVM_EXIT_NMI = 0x61,
	SVM_EXIT_SMI = 0x62,
	SVM_EXIT_INIT = 0x63,
	SVM_EXIT_VINTR = 0x64,
	SVM_EXIT_RDTSC = 0x6e,
	SVM_EXIT_RDPMC = 0x6f,
	SVM_EXIT_PUSHF = 0x70,
	SVM_EXIT_POPF = 0x71,
	SVM_EXIT_CPUID = 0x72,
	SVM_EXIT_IRET = 0x74,
	SVM_EXIT_INTN = 0x75,
	SVM_EXIT_INVD = 0x76,
	SVM_EXIT_PAUSE = 0x77,
	SVM_EXIT_HLT = 0x78,
	SVM_EXIT_INVLPGA = 0x7a,
	SVM_EXIT_IOIO = 0x7b,
	SVM_EXIT_MSR = 0x7c,
	SVM_EXIT_FERR_FREEZE = 0x7e,
	SVM_EXIT_SHUTDOWN = 0x7f,
	SVM_EXIT_VMRUN = 0x80,
	SVM_EXIT_VMMCALL = 0x81,
	SVM_EXIT_SKINIT = 0x86,
	SVM_EXIT_RDTSCP = 0x87,
	SVM_EXIT_WBINVD = 0x89,
	SVM_EXIT_MONITOR = 0x8a,
	SVM_EXIT_MWAIT = 0x8b,
	SVM_EXIT_XSETBV = 0x8d,
	SVM_EXIT_RDPRU = 0x8e,
	SVM_EXIT_INVPCID = 0xa2,
	SVM_EXIT_NPF = 0x400,
};
// VMEXIT_INVALID is -1; some implementations write 32 bits of it.
#define SVM_EXIT_INVALID 0xffffffffu

// EXITINFO1 of IOIO. APM vol. 2, 15.10.2.
#define SVM_IO_IN         BIT(0)
#define SVM_IO_STRING     BIT(2)
#define SVM_IO_REP        BIT(3)
#define SVM_IO_SIZE_SHIFT 4 // one bit each for 1, 2, 4
#define SVM_IO_ADDRESS_SHIFT 7 // one bit each for 2, 4, 8
#define SVM_IO_SEGMENT_SHIFT 10
#define SVM_IO_PORT_SHIFT 16

// EXITINFO1 of a nested page fault: the page fault error code.
#define SVM_NPF_WRITE BIT(1)
#define SVM_NPF_FETCH BIT(4)
#define SVM_NPF_TABLE BIT(33) // met while walking the guest's own tables

// Clean bits, offset 0xc0. APM vol. 2, 15.15.3.
#define SVM_CLEAN_INTERCEPTS BIT(0)
#define SVM_CLEAN_IOPM       BIT(1)
#define SVM_CLEAN_ASID       BIT(2)
#define SVM_CLEAN_TPR        BIT(3)
#define SVM_CLEAN_NP         BIT(4)
#define SVM_CLEAN_CRX        BIT(5)
#define SVM_CLEAN_DRX        BIT(6)
#define SVM_CLEAN_DT         BIT(7)
#define SVM_CLEAN_SEG        BIT(8)
#define SVM_CLEAN_CR2        BIT(9)
#define SVM_CLEAN_ALL        0x3ffull

enum { SVM_TLB_KEEP = 0, SVM_TLB_FLUSH_ALL = 1, SVM_TLB_FLUSH_ASID = 3 };

#define MSR_TSC_RATIO  0xc0000104u
#define MSR_VM_CR      0xc0010114u
#define MSR_VM_HSAVE_PA 0xc0010117u
#define VM_CR_SVMDIS   BIT(4)

struct svm_segment {
	uint16_t selector;
	uint16_t attributes; // descriptor bits 40-47 and 52-55 side by side
	uint32_t limit;
	uint64_t base;
};

struct svm_vmcb {
	// Control area.
	uint32_t intercept_cr;
	uint32_t intercept_dr;
	uint32_t intercept_exceptions;
	uint32_t intercept3;
	uint32_t intercept4;
	uint32_t intercept5;
	uint8_t reserved0[0x3c - 0x18];
	uint16_t pause_threshold;
	uint16_t pause_count;
	uint64_t iopm;
	uint64_t msrpm;
	uint64_t tsc_offset;
	uint32_t asid;
	uint8_t tlb_control;
	uint8_t reserved1[3];
	uint64_t virtual_interrupt;
	uint64_t interrupt_shadow;
	uint64_t exit_code;
	uint64_t exit_info1;
	uint64_t exit_info2;
	uint64_t exit_interrupt_info;
	uint64_t nested_control;
	uint8_t reserved2[0xa8 - 0x98];
	uint64_t event_injection;
	uint64_t nested_cr3;
	uint64_t virtualization_extension;
	uint64_t clean;
	uint64_t next_rip;
	uint8_t fetched_bytes;
	uint8_t instruction_bytes[15];
	uint8_t reserved3[0x400 - 0xe0];
	// State save area.
	struct svm_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved4[0x4cb - 0x4a0];
	uint8_t cpl;
	uint32_t reserved5;
	uint64_t efer;
	uint8_t reserved6[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t reserved7[0x5d8 - 0x580];
	uint64_t rsp;
	uint64_t s_cet, ssp, isst;
	uint64_t rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t reserved8[0x668 - 0x648];
	uint64_t pat;
	uint64_t debugctl, br_from, br_to, last_exception_from, last_exception_to;
	uint8_t reserved9[0x1000 - 0x698];
} __attribute__((packed, aligned(4096)));
_Static_assert(offsetof(struct svm_vmcb, iopm) == 0x40, "VMCB layout");
_Static_assert(offsetof(struct svm_vmcb, virtual_interrupt) == 0x60, "VMCB layout");
_Static_assert(offsetof(struct svm_vmcb, event_injection) == 0xa8, "VMCB layout");
_Static_assert(offsetof(struct svm_vmcb, next_rip) == 0xc8, "VMCB layout");
_Static_assert(offsetof(struct svm_vmcb, es) == 0x400, "VMCB layout");
_Static_assert(offsetof(struct svm_vmcb, efer) == 0x4d0, "VMCB layout");
_Static_assert(offsetof(struct svm_vmcb, cr4) == 0x548, "VMCB layout");
_Static_assert(offsetof(struct svm_vmcb, rsp) == 0x5d8, "VMCB layout");
_Static_assert(offsetof(struct svm_vmcb, rax) == 0x5f8, "VMCB layout");
_Static_assert(offsetof(struct svm_vmcb, cr2) == 0x640, "VMCB layout");
_Static_assert(offsetof(struct svm_vmcb, pat) == 0x668, "VMCB layout");
_Static_assert(sizeof(struct svm_vmcb) == 0x1000, "VMCB layout");

#endif
