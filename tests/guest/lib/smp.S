// SPDX-License-Identifier: BSD-2-Clause
// Where other CPUs start: from a page below 1 MiB in real mode to smp_main in 64-bit mode. What is
// between smp_low_begin and smp_low_end is copied to LOW_SMP, and runs at any page.
#include "layout.h"

#define OFFSET(label) (label - smp_low_begin)

	.section .rodata
	.balign 16
	.code16
	.global smp_low_begin, smp_low_end
smp_low_begin:
	cli
	movl %eax, %cs:OFFSET(smp_low_eax)
	movl %ebx, %cs:OFFSET(smp_low_ebx)
	movl %ecx, %cs:OFFSET(smp_low_ecx)
	movl %edx, %cs:OFFSET(smp_low_edx)
	movl %esi, %cs:OFFSET(smp_low_esi)
	movl %edi, %cs:OFFSET(smp_low_edi)
	movl %ebp, %cs:OFFSET(smp_low_ebp)
	movl %esp, %cs:OFFSET(smp_low_esp)
	movw %cs, %cs:OFFSET(smp_low_cs)
	movw %ds, %cs:OFFSET(smp_low_ds)
	movw %es, %cs:OFFSET(smp_low_es)
	movw %ss, %cs:OFFSET(smp_low_ss)
	movw %fs, %cs:OFFSET(smp_low_fs)
	movw %gs, %cs:OFFSET(smp_low_gs)
	sgdtl %cs:OFFSET(smp_low_gdt)
	sidtl %cs:OFFSET(smp_low_idt)
	movl %cr0, %eax
	movl %eax, %cs:OFFSET(smp_low_cr0)
	movl %cr2, %eax
	movl %eax, %cs:OFFSET(smp_low_cr2)
	movl %cr3, %eax
	movl %eax, %cs:OFFSET(smp_low_cr3)
	movl %cr4, %eax
	movl %eax, %cs:OFFSET(smp_low_cr4)
	movl %dr6, %eax
	movl %eax, %cs:OFFSET(smp_low_dr6)
	movl %dr7, %eax
	movl %eax, %cs:OFFSET(smp_low_dr7)
	movl $0xc0000080, %ecx
	rdmsr
	movl %eax, %cs:OFFSET(smp_low_efer)
	movw $LOW_STACK, %sp
	pushfl
	popl %eax
	movl %eax, %cs:OFFSET(smp_low_flags)

	lgdtl %cs:OFFSET(smp_low_gdtr)
	movl $0x11, %eax // ET, PE
	movl %eax, %cr0
	ljmpl $SEL_CODE32, $smp_start32

	.balign 4
smp_low_registers: // struct smp_registers
smp_low_eax:	.long -1
smp_low_ebx:	.long -1
smp_low_ecx:	.long -1
smp_low_edx:	.long -1
smp_low_esi:	.long -1
smp_low_edi:	.long -1
smp_low_ebp:	.long -1
smp_low_esp:	.long -1
smp_low_cr0:	.long -1
smp_low_cr2:	.long -1
smp_low_cr3:	.long -1
smp_low_cr4:	.long -1
smp_low_dr6:	.long -1
smp_low_dr7:	.long -1
smp_low_efer:	.long -1
smp_low_flags:	.long -1
smp_low_cs:	.word -1
smp_low_ds:	.word -1
smp_low_es:	.word -1
smp_low_ss:	.word -1
smp_low_fs:	.word -1
smp_low_gs:	.word -1
smp_low_gdt:	.word -1, -1, -1
smp_low_idt:	.word -1, -1, -1
smp_low_gdtr:
	.word 0x87
	.long payload_gdt
smp_low_end:
	.global smp_low_registers

	.text
	.code32
smp_start32:
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $0x20, %eax // PAE
	movl %eax, %cr4
	movl $paging_pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax // LME
	wrmsr
	movl $0x80010033, %eax // PG, WP, NE, ET, MP, PE
	movl %eax, %cr0
	ljmp $SEL_CODE64, $smp_start64

	.code64
smp_start64:
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl $1, %eax
	cpuid
	shrl $24, %ebx // APIC id
	movl %ebx, %edi
	incl %ebx
	shll $12, %ebx // SMP_STACK_BYTES
	leal smp_stacks(%rbx), %esp
	xorl %ebp, %ebp
	call smp_main
0:	cli
	hlt
	jmp 0b

	.section .note.GNU-stack, "", @progbits
