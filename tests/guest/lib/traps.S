// SPDX-License-Identifier: BSD-2-Clause
// The 256 interrupt entries, and trap_catch: a call that ends at the first unexpected trap.
#include "layout.h"

	.text
	.code64
	.balign 16
	.global trap_entries
trap_entries: // 16 bytes each
	.set vector, 0
	.rept 256
	.balign 16
	.if !((vector >= 10 && vector <= 14) || vector == 8 || vector == 17 || vector == 21)
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

	.balign 16
trap_common:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	call trap_dispatch
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

	// bool trap_catch(void (*function)(void *), void *argument)
	.global trap_catch, trap_unwind
trap_catch:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushfq
	pushq trap_catch_rsp
	movq %rsp, trap_catch_rsp
	movq %rdi, %rax
	movq %rsi, %rdi
	subq $8, %rsp
	call *%rax
	addq $8, %rsp
	xorl %eax, %eax
1:	popq trap_catch_rsp
	popfq
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret
trap_unwind: // trap_dispatch returns here, RSP = trap_catch_rsp
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl $1, %eax
	jmp 1b

	// void trap_enter_user(uint64_t rip, uint64_t rflags, uint64_t argument)
	// Ring 3, 64-bit, the argument in RAX; never returns: the next trap ends the trap_catch.
	.global trap_enter_user
trap_enter_user:
	movq %rdx, %rax
	pushq $SEL_USERDATA
	pushq $trap_user_stack_top
	pushq %rsi
	pushq $SEL_USER64
	pushq %rdi
	iretq

	// void trap_call_user(uint64_t rip, uint64_t rflags, uint64_t argument)
	.global trap_call_user
trap_call_user:
	movq $trap_user_end, trap_user_stack_top - 8
	movq %rdi, %rax
	movq %rdx, %rdi
	movq %rsi, %r11
	pushq $SEL_USERDATA
	pushq $trap_user_stack_top - 8
	pushq %rsi
	pushq $SEL_USER64
	pushq %rax
	iretq
trap_user_end:
	int $0x81 // TRAP_USER_END
	hlt

	.section .bss
	.balign 16
	.global trap_catch_rsp
trap_catch_rsp:
	.skip 16
	.skip 4096
trap_user_stack_top:

	.section .note.GNU-stack, "", @progbits
