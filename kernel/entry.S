// SPDX-License-Identifier: BSD-2-Clause
// Interrupt and exception entry, MSR access that may fault, and the switch between fibers.

	.section .text.entry, "ax"

// 256 stubs of 16 bytes: push an error code where the CPU does not, push the vector.
	.balign 16
	.globl interrupt_stubs
interrupt_stubs:
	vector = 0
	.rept 256
	.balign 16
	// 8, 10 to 14, 17, 21, 29 and 30: SDM vol. 3, table 6-1, and APM vol. 2, 8.2.
	.if vector > 31
	pushq	$0
	.elseif !(1 << vector & 0x60227d00)
	pushq	$0
	.endif
	pushq	$vector
	jmp	interrupt_common
	vector = vector + 1
	.endr

	.balign 16
interrupt_common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	call	interrupt_dispatch
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp
	iretq

// bool rdmsr_safe(uint32_t msr, uint64_t *value)
	.globl rdmsr_safe, msr_read_instruction
rdmsr_safe:
	movl	%edi, %ecx
msr_read_instruction:
	rdmsr
	shlq	$32, %rdx
	orq	%rdx, %rax
	movq	%rax, (%rsi)
	movl	$1, %eax
	ret

// bool wrmsr_safe(uint32_t msr, uint64_t value)
	.globl wrmsr_safe, msr_write_instruction, msr_fault
wrmsr_safe:
	movl	%edi, %ecx
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
msr_write_instruction:
	wrmsr
	movl	$1, %eax
	ret
msr_fault:
	xorl	%eax, %eax
	ret

// void fiber_switch(void **save_stack, void *to_stack): callee-saved registers alone.
	.globl fiber_switch
fiber_switch:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret

// A new fiber's first instruction: entry in r12, argument in r13 (see fiber_create).
	.globl fiber_start
fiber_start:
	movq	%r13, %rdi
	xorl	%ebp, %ebp
	call	*%r12
	ud2

	.section .note.GNU-stack, "", @progbits
