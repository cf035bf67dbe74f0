// SPDX-License-Identifier: BSD-2-Clause
// Leaves long mode for the mode asked, calls the code at LOW_CODE with the registers of LOW_REGS,
// and comes back. Everything between mode_low_begin and mode_low_end runs at LOW_TRAMPOLINE.
// The code called returns with a far return in 16-bit modes, with a near one in 32-bit modes.
#include "layout.h"

#define LOW(label) (LOW_TRAMPOLINE + label - mode_low_begin)

	.text
	.code64
	// void mode_switch(unsigned mode)
	.global mode_switch
mode_switch:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushfq
	cli
	movq %rsp, mode_saved_rsp
	movl $LOW_STACK, %esp
	pushq $SEL_CODE32
	pushq $LOW(mode_low_begin)
	lretq
mode_back64:
	movq mode_saved_rsp, %rsp
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	lidt trap_idtr
	popfq
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

	.code32
	.global mode_low_begin, mode_low_end
mode_low_begin: // compatibility mode; EDI: mode
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %eax, %fs
	movl %eax, %gs
	movl $LOW_STACK, %esp
	movl %edi, LOW(mode_number)
	movl %cr0, %eax
	movl %eax, LOW(mode_cr0)
	movl %cr4, %eax
	movl %eax, LOW(mode_cr4)
	cmpl $MODE_COMPAT, %edi
	je mode_call32
	movl %cr0, %eax
	andl $0x7fffffff, %eax
	movl %eax, %cr0
	movl $0xc0000080, %ecx
	rdmsr
	andl $~0x100, %eax
	wrmsr
	cmpl $MODE_PSE32, %edi
	je mode_enter_pse
	cmpl $MODE_PAE32, %edi
	je mode_enter_pae
	movl %cr4, %eax
	andl $~0x20, %eax // real hardware needs no PAE here; leave the plain state
	movl %eax, %cr4
	cmpl $MODE_PROT32, %edi
	je mode_call32
	ljmp $SEL_CODE16, $LOW(mode_enter16)

mode_enter_pse:
	movl %cr4, %eax
	andl $~0x20, %eax
	orl $0x10, %eax
	movl %eax, %cr4
	movl $paging_pse, %eax
	jmp mode_enter_paging
mode_enter_pae:
	movl $paging_pae, %eax
mode_enter_paging:
	movl %eax, %cr3
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	jmp mode_call32

mode_call32:
	movl LOW_REGS + 0, %eax
	movl LOW_REGS + 4, %ebx
	movl LOW_REGS + 8, %ecx
	movl LOW_REGS + 12, %edx
	movl LOW_REGS + 16, %esi
	movl LOW_REGS + 20, %edi
	pushl $LOW(mode_called32)
	pushl $LOW_CODE
	ret
mode_called32:
	movl %eax, LOW_REGS + 0
	movl %ebx, LOW_REGS + 4
	movl %ecx, LOW_REGS + 8
	movl %edx, LOW_REGS + 12
	movl %esi, LOW_REGS + 16
	movl %edi, LOW_REGS + 20
	cmpl $MODE_COMPAT, LOW(mode_number)
	je mode_back_compat
	movl %cr0, %eax
	andl $0x7fffffff, %eax
	movl %eax, %cr0
mode_back32: // CR4 as it was, but for LA57: that may be changed only here, without paging
	movl %cr4, %eax
	xorl LOW(mode_cr4), %eax
	andl $0x1000, %eax
	xorl LOW(mode_cr4), %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $paging_pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl LOW(mode_cr0), %eax
	movl %eax, %cr0
mode_back_compat:
	ljmp $SEL_CODE64, $mode_back64

	.code16
mode_enter16:
	cmpl $MODE_PROT16, %edi
	je mode_prot16
	movw $SEL_DATA16, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	lidtl LOW(mode_real_idtr)
	movl %cr0, %eax
	andl $~1, %eax
	movl %eax, %cr0
	ljmp $0, $LOW(mode_real)
mode_real:
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $LOW_STACK, %esp
	call mode_load16
	lcall $(LOW_CODE >> 4), $0
	call mode_store16
	lgdtl LOW(mode_gdtr)
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $SEL_CODE32, $LOW(mode_reload32)
mode_prot16:
	movw $SEL_DATA16, %ax
	movw %ax, %ss
	movl $LOW_STACK, %esp
	call mode_load16
	lcall $SEL_LOW16, $0
	call mode_store16
	ljmpl $SEL_CODE32, $LOW(mode_reload32)

mode_load16:
	movl LOW_REGS + 0, %eax
	movl LOW_REGS + 4, %ebx
	movl LOW_REGS + 8, %ecx
	movl LOW_REGS + 12, %edx
	movl LOW_REGS + 16, %esi
	movl LOW_REGS + 20, %edi
	ret
mode_store16:
	movl %eax, LOW_REGS + 0
	movl %ebx, LOW_REGS + 4
	movl %ecx, LOW_REGS + 8
	movl %edx, LOW_REGS + 12
	movl %esi, LOW_REGS + 16
	movl %edi, LOW_REGS + 20
	ret

	.code32
mode_reload32:
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	jmp mode_back32

	.balign 8
mode_number:
	.long 0
mode_cr0:
	.long 0
mode_cr4:
	.long 0
mode_real_idtr:
	.word 0x3ff
	.long 0
mode_gdtr:
	.word 0x87
	.long payload_gdt
mode_low_end:

	.section .bss
	.balign 8
mode_saved_rsp:
	.skip 8

	.section .note.GNU-stack, "", @progbits
