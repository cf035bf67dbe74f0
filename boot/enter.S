// SPDX-License-Identifier: BSD-2-Clause
// Leaves firmware's descriptor tables, page tables and stack for the image's own. See enter.h.

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define CR4_LA57      12
#define GDT_LIMIT     23
#define STACK_BYTES   0x10000

	.text
	.code64
	.global boot_enter_switch
	.type boot_enter_switch, @function
// Argument: struct boot_info, in RDI, which stays there for boot_main.
boot_enter_switch:
	cli
	cld
	leaq boot_level4(%rip), %rax
	movq %cr4, %rcx
	btl $CR4_LA57, %ecx
	jnc 1f
	leaq boot_level5(%rip), %rax
1:	movq %rax, %cr3
	leaq boot_stack_top(%rip), %rsp

	// The descriptor table's address is not a link-time constant, so the operand is built here.
	leaq boot_gdt(%rip), %rax
	pushq %rax
	subq $8, %rsp
	movw $GDT_LIMIT, 6(%rsp)
	lgdt 6(%rsp)
	movw $0, 6(%rsp)
	lidt 6(%rsp)
	leaq boot_stack_top(%rip), %rsp

	pushq $SELECTOR_CODE
	leaq 2f(%rip), %rax
	pushq %rax
	lretq
2:	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	lldt %ax
	xorl %ebp, %ebp
	call boot_main
3:	hlt
	jmp 3b
	.size boot_enter_switch, . - boot_enter_switch

	.section .data
	.balign 16
	.global boot_gdt
	// Writable: the processor sets accessed bits.
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff // 64-bit code
	.quad 0x00cf93000000ffff // data

	.section .bss.page, "aw", @nobits
	.balign 4096
	.global boot_level5, boot_level4, boot_pointers, boot_directories, boot_stack_top
	.global main_stack_guard
boot_level5:
	.skip 4096
boot_level4:
	.skip 4096
boot_pointers:
	.skip 4096
boot_directories:
	.skip 4 * 4096
main_stack_guard: // the kernel unmaps it
	.skip 4096
	.skip STACK_BYTES
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
