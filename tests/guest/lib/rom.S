// SPDX-License-Identifier: BSD-2-Clause
// The firmware of a Bochs that boots a PVH image without any: tests/bochs.py puts image, start info
// and module into memory. From the reset vector to 32-bit protected mode, and to the entry point.
//
// Bochs gives out its memory in blocks in the order of their first use, and loads a file without
// regard to that: each block is touched, from the bottom up, before anything else is.

#define ENTRY      0xff8 // where tests/bochs.py leaves the entry point,
#define LOADED_END 0xffc // the end of what it loaded,
#define START_INFO 0x1000 // and the start info
#define BLOCK      0x10000 // no larger than Bochs' blocks
#define CR0_PE     0x00000001
#define CR0_CACHED 0x9fffffff // without CD and NW, which are set at reset
#define CODE       0x08
#define DATA       0x10

	.section .text
	.code16
	.global rom_start
rom_start:
rom_base:
	cli
	cld
	lgdtl %cs:(rom_gdtr - rom_base)
	movl %cr0, %eax
	andl $CR0_CACHED, %eax
	orl $CR0_PE, %eax
	movl %eax, %cr0
	ljmpl $CODE, $1f
	.code32
1:	movl $DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	xorl %ecx, %ecx
2:	movb (%ecx), %al
	addl $BLOCK, %ecx
	cmpl LOADED_END, %ecx
	jb 2b
	movl $START_INFO, %ebx
	jmp *ENTRY

	.balign 8
rom_gdt:
	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
rom_gdtr:
	.word rom_gdtr - rom_gdt - 1
	.long rom_gdt

	.org 0xfff0
	.code16
	jmp rom_start
	.org 0x10000

	.section .note.GNU-stack, "", @progbits
