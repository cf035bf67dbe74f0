// SPDX-License-Identifier: BSD-2-Clause
// The world switch. Called with interrupts off; returns with interrupts off.

	.section .text.vmx_run, "ax"

	.set HOST_RSP, 0x6c14

// In: RDI struct vcpu, SIL whether to use VMRESUME. Out: EAX as vmx_run_guest (vmx_insn.h) has it.
// Keeps RBX, RBP, R12 and RSP alone: the caller knows what else it wants to keep. RSP of the guest
// lives in its control structure. vcpu->host is what HOST_RSP holds: the stack is mostly as deep as
// it was the last time.
	.globl vmx_run
vmx_run:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%rdi
	cmpq	%rsp, 16*8(%rdi)
	jne	4f
1:	testb	%sil, %sil
	movq	0*8(%rdi), %rax
	movq	1*8(%rdi), %rcx
	movq	2*8(%rdi), %rdx
	movq	3*8(%rdi), %rbx
	movq	5*8(%rdi), %rbp
	movq	6*8(%rdi), %rsi
	movq	8*8(%rdi), %r8
	movq	9*8(%rdi), %r9
	movq	10*8(%rdi), %r10
	movq	11*8(%rdi), %r11
	movq	12*8(%rdi), %r12
	movq	13*8(%rdi), %r13
	movq	14*8(%rdi), %r14
	movq	15*8(%rdi), %r15
	movq	7*8(%rdi), %rdi
	je	2f
	vmresume
	jmp	3f
2:	vmlaunch
3:	xorl	%eax, %eax // the instruction itself failed
	popq	%rdi
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
4:	movl	$HOST_RSP, %eax
	vmwrite	%rsp, %rax
	jbe	3b
	movq	%rsp, 16*8(%rdi)
	jmp	1b

// HOST_RIP: where every exit leads.
	.globl vmx_exit_entry
vmx_exit_entry:
	pushq	%rdi
	movq	8(%rsp), %rdi
	movq	%rax, 0*8(%rdi)
	movq	%rcx, 1*8(%rdi)
	movq	%rdx, 2*8(%rdi)
	movq	%rbx, 3*8(%rdi)
	movq	%rbp, 5*8(%rdi)
	movq	%rsi, 6*8(%rdi)
	movq	%r8, 8*8(%rdi)
	movq	%r9, 9*8(%rdi)
	movq	%r10, 10*8(%rdi)
	movq	%r11, 11*8(%rdi)
	movq	%r12, 12*8(%rdi)
	movq	%r13, 13*8(%rdi)
	movq	%r14, 14*8(%rdi)
	movq	%r15, 15*8(%rdi)
	popq	7*8(%rdi)
	movl	$1, %eax
	popq	%rdi
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret

	.section .note.GNU-stack, "", @progbits
