// SPDX-License-Identifier: BSD-2-Clause
// The PVH entry (Xen's "x86/HVM direct boot ABI"): 32-bit protected mode, paging off, flat
// segments, interrupts off, EBX holds the address of struct hvm_start_info, and there is no stack.
// The image runs at another address than its link address, and no relocation has been done:
// everything here is addressed relative to the instruction pointer or to EBP.

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define CR0_PG        0x80000000
#ifndef CR4_ENTRY // tests/kernel/la57.S has another
#define CR4_ENTRY     0x20 // PAE
#endif
#define MSR_EFER      0xc0000080
#define EFER_LME      0x100
#define GDT_LIMIT     23 // of boot/enter.S
#define PAGE_TABLE    0x03 // present, writable
#define PAGE_2M       0x83

	.section .text.pvh, "ax"
	.code32
	.global pvh_start
	.type pvh_start, @function
pvh_start:
	cli
	cld
	// CALL needs a stack: the start info's magic lends its place and is put back.
	movl (%ebx), %eax
	leal 4(%ebx), %esp
	call pvh_here
pvh_here:
	popl %ebp
	movl %eax, (%ebx)
	leal (boot_stack_top - pvh_here)(%ebp), %esp

	// Identity map of the first 4 GiB: one table of each upper level, four directories.
	leal (boot_level4 - pvh_here)(%ebp), %edi
	leal (boot_pointers - pvh_here)(%ebp), %esi
	leal (boot_directories - pvh_here)(%ebp), %edx
	leal PAGE_TABLE(%esi), %eax
	movl %eax, (%edi)
	leal PAGE_TABLE(%edx), %eax
	xorl %ecx, %ecx
1:	movl %eax, (%esi, %ecx, 8)
	addl $4096, %eax
	incl %ecx
	cmpl $4, %ecx
	jb 1b
	movl $PAGE_2M, %eax
	xorl %ecx, %ecx
2:	movl %eax, (%edx, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $(4 * 512), %ecx
	jb 2b

	movl %cr4, %eax
	orl $CR4_ENTRY, %eax
	movl %eax, %cr4
	movl %edi, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl %cr0, %eax
	orl $CR0_PG, %eax
	movl %eax, %cr0

	// Into 64-bit code, through a far return: its address is not a link-time constant.
	leal (boot_gdt - pvh_here)(%ebp), %eax
	pushl %eax
	pushw $GDT_LIMIT
	lgdt (%esp)
	addl $6, %esp
	pushl $SELECTOR_CODE
	leal (pvh_long_mode - pvh_here)(%ebp), %eax
	pushl %eax
	lret

	.code64
pvh_long_mode:
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %ebx, %ebx // the upper half is undefined after the switch
	leaq boot_stack_top(%rip), %rsp
	xorl %ebp, %ebp

	// ImageBase has link address 0: where it is now is the difference that relocation adds.
	leaq ImageBase(%rip), %rdi
	call _relocate
	movq %rbx, %rdi
	call pvh_main
3:	hlt
	jmp 3b
	.size pvh_start, . - pvh_start

	.section .note.GNU-stack, "", @progbits
