// SPDX-License-Identifier: BSD-2-Clause
// Leaves firmware's descriptor tables, page tables and stack for the image's own. See enter.h.

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_CODE32 0x18
#define CR4_LA57      12
#define CR4_PCIDE     17
#define CR0_PG        31
#define GDT_LIMIT     31
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
	movq %cr4, %rcx
	btl $CR4_LA57, %ecx
	jnc 5f

	// Five-level paging can be left with paging off alone, and that from 32-bit code: SDM
	// vol. 3, 4.1.2. All of this lies below 4 GiB: efi_main has looked.
	btrl $CR4_PCIDE, %ecx
	movq %rcx, %cr4
	leaq boot_level4(%rip), %rsi
	leaq 4f(%rip), %rbx
	pushq $SELECTOR_CODE32
	leaq 3f(%rip), %rax
	pushq %rax
	lretq
	.code32
3:	movl %cr0, %eax
	btrl $CR0_PG, %eax
	movl %eax, %cr0
	movl %cr4, %ecx
	btrl $CR4_LA57, %ecx
	movl %ecx, %cr4
	movl %esi, %cr3
	btsl $CR0_PG, %eax
	movl %eax, %cr0
	pushl $SELECTOR_CODE
	pushl %ebx
	lret
	.code64
	// Upper halves of registers are undefined behind 32-bit code.
4:	movl %edi, %edi
	leaq boot_stack_top(%rip), %rsp
5:	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	lldt %ax
	xorl %ebp, %ebp
	call boot_main
6:	hlt
	jmp 6b
	.size boot_enter_switch, . - boot_enter_switch

	.section .data
	.balign 16
	.global boot_gdt
	// Writable: the processor sets accessed bits.
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff // 64-bit code
	.quad 0x00cf93000000ffff // data
	.quad 0x00cf9b000000ffff // 32-bit code

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
