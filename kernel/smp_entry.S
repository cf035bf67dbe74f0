// SPDX-License-Identifier: BSD-2-Clause
// The first instructions of every CPU but the boot CPU. A start-up message makes a CPU begin in
// real mode at the start of a page below 1 MiB, to which this code is copied; several CPUs may run
// it at once. See kernel/smp_abi.h and SDM vol. 3, 9.4.4.

#define CPU_MAX    64
#define MODE       0x08
#define ARRIVED    0x0c
#define NOTED      0x10
#define CR3        0x14
#define GDT        0x1a
#define PROTECTED  0x20
#define LONG       0x28
#define ENTRY      0x30
#define APIC_IDS   0x58

#define SELECTOR_DATA 0x10
#define CR4_PAE    0x20
#define CR0_PE     0x00000001
#define CR0_CD_NW  0x60000000
#define CR0_LONG   0x80010033 // PG, WP, NE, ET, MP, PE; CD and NW, which INIT sets, clear
#define MSR_EFER   0xc0000080
#define EFER_LME_NXE 0x900

	.section .rodata.smp_page, "a"
	.balign 16
	.globl smp_page_start, smp_page_end, smp_page_protected_mode, smp_page_long_mode
	.code16
smp_page_start:
	jmp	real_mode
	.org	smp_page_start + 0x1a
	.word	31
	.org	smp_page_start + 0x24
	.word	0x08
	.org	smp_page_start + 0x2c
	.word	0x18
	.org	smp_page_start + 0x38
	.quad	0
	.quad	0x00cf9b000000ffff // 32-bit code
	.quad	0x00cf93000000ffff // data
	.quad	0x00af9b000000ffff // 64-bit code
	.org	smp_page_start + 344
real_mode:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	// INIT may leave caching off, and with it what other CPUs see of our writes.
	movl	%cr0, %eax
	andl	$~CR0_CD_NW, %eax
	movl	%eax, %cr0
	cmpl	$0, MODE
	jne	start

	// A probe: notes its APIC id, from CPUID since the APIC is out of reach in real mode.
	// Leaf 0xB has all 32 bits, where it says anything: SDM vol. 2, CPUID.
	xorl	%eax, %eax
	cpuid
	cmpl	$0xb, %eax
	jb	1f
	movl	$0xb, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	%edx, %edi
	testl	%ebx, %ebx
	jnz	2f
1:	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
	movl	%ebx, %edi
2:	movl	$1, %eax
	lock
	xaddl	%eax, ARRIVED
	cmpl	$CPU_MAX, %eax
	jae	3f
	movl	%edi, APIC_IDS(, %eax, 4)
	lock
	incl	NOTED
3:	hlt
	jmp	3b

start:
	xorl	%ebp, %ebp
	movw	%cs, %bp
	shll	$4, %ebp // the page's address
	lgdtl	GDT
	movl	%cr0, %eax
	orl	$CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	*PROTECTED

	.code32
smp_page_protected_mode:
	movl	$SELECTOR_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	CR3(%ebp), %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	xorl	%edx, %edx
	movl	$EFER_LME_NXE, %eax
	wrmsr
	movl	$CR0_LONG, %eax
	movl	%eax, %cr0
	ljmpl	*LONG(%ebp)

	.code64
smp_page_long_mode:
	movl	%ebp, %ebp // the upper half is undefined after the switch
	jmp	*ENTRY(%rbp)
smp_page_end:

	// In the image, on the kernel's page tables: takes what is on offer and its stack.
	.section .text.smp_entry, "ax"
	.globl smp_entry
smp_entry:
	xorl	%edi, %edi
	xchgq	%rdi, smp_offer(%rip)
	testq	%rdi, %rdi
	jz	4f
	movq	8(%rdi), %rsp
	xorl	%ebp, %ebp
	call	smp_cpu_main
4:	cli
	hlt
	jmp	4b

	.section .note.GNU-stack, "", @progbits
