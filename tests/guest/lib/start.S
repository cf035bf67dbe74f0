// SPDX-License-Identifier: BSD-2-Clause
// PVH entry (32-bit protected mode, no paging, EBX: start info) to long mode with 4 GiB mapped
// one to one in 2 MiB pages. Everything above is left unmapped for the payloads.
#include "layout.h"

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, 18 // name bytes, descriptor bytes, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad payload_start32

	.section .text.start, "ax"
	.code32
	.global payload_start32
payload_start32:
	cli
	cld
	movl $payload_bss_start, %edi
	movl $payload_bss_end, %ecx
	subl %edi, %ecx
	shrl $2, %ecx
	xorl %eax, %eax
	rep stosl
	movl %ebx, payload_start_info

	// Page tables: present, writable, user; the last GiB (devices) uncached.
	movl $(paging_pdpt + 7), paging_pml4
	movl $paging_pd, %edi
	movl $0xe7, %eax // 2 MiB, dirty, accessed
	movl $2048, %ecx
1:	movl %eax, (%edi)
	cmpl $0xc0000000, %eax
	jb 2f
	orl $0x18, (%edi)
2:	addl $0x200000, %eax
	addl $8, %edi
	loop 1b
	movl $(paging_pd + 0x0007), paging_pdpt
	movl $(paging_pd + 0x1007), paging_pdpt + 8
	movl $(paging_pd + 0x2007), paging_pdpt + 16
	movl $(paging_pd + 0x3007), paging_pdpt + 24
	// The same directories for PAE paging, whose pointers have present as their only flag,
	// and a directory of 4 MiB pages for 32-bit paging.
	movl $(paging_pd + 0x0001), paging_pae
	movl $(paging_pd + 0x1001), paging_pae + 8
	movl $(paging_pd + 0x2001), paging_pae + 16
	movl $(paging_pd + 0x3001), paging_pae + 24
	movl $paging_pse, %edi
	movl $0xe7, %eax
	movl $1024, %ecx
3:	movl %eax, (%edi)
	addl $0x400000, %eax
	addl $4, %edi
	loop 3b

	lgdt payload_gdtr
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
	ljmp $SEL_CODE64, $payload_start64

	.code64
payload_start64:
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl $payload_stack_top, %esp
	xorl %ebp, %ebp
	call payload_boot
0:	cli
	hlt
	jmp 0b

	.section .data
	.balign 16
	.global payload_gdt, payload_gdtr
payload_gdt:
	.quad 0
	.quad 0x00af9b000000ffff // 08: code64
	.quad 0x00cf93000000ffff // 10: data
	.quad 0x00cf9b000000ffff // 18: code32
	.quad 0x00009b000000ffff // 20: code16
	.quad 0x000093000000ffff // 28: data16
	.quad 0x00009b008000ffff // 30: code16 at LOW_CODE
	.quad 0x00cffb000000ffff // 38: user code32
	.quad 0x00cff3000000ffff // 40: user data
	.quad 0x00affb000000ffff // 48: user code64
	.quad 0x00cf13000000ffff // 50: data, absent
	.quad 0, 0               // 58: TSS
	.quad 0, 0, 0, 0
payload_gdt_end:
payload_gdtr:
	.word payload_gdt_end - payload_gdt - 1
	.quad payload_gdt

	.section .bss
	.balign 4096
	.global paging_pml4, paging_pdpt, paging_pd, paging_pae, paging_pse, payload_start_info
paging_pml4:
	.skip 0x1000
paging_pdpt:
	.skip 0x1000
paging_pd:
	.skip 0x4000
paging_pse:
	.skip 0x1000
paging_pae:
	.skip 0x20
	.balign 16
payload_start_info:
	.skip 16
	.skip 0x8000
payload_stack_top:

	.section .note.GNU-stack, "", @progbits
