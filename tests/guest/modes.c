// SPDX-License-Identifier: BSD-2-Clause
// The CPU's modes, back and forth: the same computation in each, and what is special to each.
#include "lib/payload.h"

PAYLOAD("modes");

// Sum of squares of 1..ECX in EAX, through the stack and memory at LOW_DATA; EBX: CR0's low bits.
#define MODES_CODE(ret, prefix)                                                                    \
	"xorl %eax, %eax\n"                                                                        \
	"1: movl %ecx, %edx\n"                                                                     \
	"imull %ecx, %edx\n"                                                                       \
	"pushl %edx\n"                                                                             \
	"popl %esi\n"                                                                              \
	prefix "movl %esi, 0x9000\n"                                                               \
	prefix "addl 0x9000, %eax\n"                                                               \
	"decl %ecx\n"                                                                              \
	"jnz 1b\n"                                                                                 \
	"movw %cs, %dx\n"                                                                          \
	"movzwl %dx, %edx\n"                                                                       \
	"smsw %bx\n"                                                                               \
	"andl $1, %ebx\n" ret "\n"

extern const char modes_code32[], modes_code32_end[], modes_code16[], modes_code16_end[];
extern const char modes_real[], modes_real_end[], modes_cs32[], modes_cs32_end[];
__asm__(".text\n"
	".code32\n"
	"modes_code32:\n" MODES_CODE("ret", "") "modes_code32_end:\n"
	// Instructions that exist outside of 64-bit mode only.
	"modes_cs32:\n"
	"cmpl %eax, %eax\n"    // AF and CF clear
	"movl $0x00090807, %eax\n"
	"aaa\n"
	"movl %eax, %ebx\n"
	"movb $0x9c, %al\n"
	"daa\n"
	"movzbl %al, %ecx\n"
	"pushal\n"
	"movl 16(%esp), %edx\n"
	"movl %edx, 0x9000\n"
	"popal\n"
	"movl 0x9000, %edx\n"
	"pushl %es\n"
	"popl %esi\n"
	"movw $1, %di\n"
	"arpl %di, %si\n"
	"ret\n"
	"modes_cs32_end:\n"
	".code16\n"
	"modes_code16:\n" MODES_CODE("lret", "") "modes_code16_end:\n"
	// Real mode: segments, an interrupt through the vector table, BCD, strings.
	"modes_real:\n"
	"pushw %ds\n"
	"pushw %es\n"
	"movw $0x0900, %ax\n"
	"movw %ax, %ds\n"
	"movw $0x0910, %ax\n"
	"movw %ax, %es\n"
	"movw $0x1234, 0\n"   // 0900:0000
	"movw 0, %bx\n"
	"xorw %si, %si\n"
	"xorw %di, %di\n"
	"movw $8, %cx\n"
	"cld\n"
	"rep movsb\n"         // to 0910:0000
	"movw %es:0, %si\n"
	"xorw %ax, %ax\n"
	"movw %ax, %ds\n"
	"movw $(2f - modes_real), 4 * 0x60\n"
	"movw %cs, 4 * 0x60 + 2\n"
	"movl $0x1111, %ecx\n"
	"int $0x60\n"
	"movw $0x9f00, %ax\n"
	"movb $0x25, %al\n"
	"aam\n"
	"movzwl %ax, %edx\n"
	"movw $0xffff, %ax\n" // 64 KiB above: ffff:0010 is 1 MiB
	"movl %fs:0x9000, %edi\n"
	"movzwl %bx, %eax\n"
	"movzwl %si, %ebx\n"
	"popw %es\n"
	"popw %ds\n"
	"lret\n"
	"2: movl $0x2222, %ecx\n"
	"iretw\n"
	"modes_real_end:\n"
	".code64\n");

static void modes_compute(unsigned mode)
{
	bool small = mode == MODE_REAL16 || mode == MODE_PROT16;
	const char *code = small ? modes_code16 : modes_code32;
	const char *end = small ? modes_code16_end : modes_code32_end;
	struct low_regs r = {.ecx = 100};

	mode_run(mode, code, (size_t)(end - code), &r);
	report("%s = %u pe %u cs 0x%x", mode_names[mode], r.eax, r.ebx, r.edx);
}

void payload_main(void)
{
	struct low_regs r = {0};
	uint64_t sum = 0;
	volatile bool again = true;

	for (unsigned mode = 0; mode < MODE_COUNT; mode++)
		modes_compute(mode);
	mode_run(MODE_REAL16, modes_real, (size_t)(modes_real_end - modes_real), &r);
	report("real = 0x%x 0x%x 0x%x 0x%x 0x%x", r.eax, r.ebx, r.ecx, r.edx, r.edi);
	for (unsigned mode = MODE_PROT32; mode < MODE_COUNT; mode++) {
		r = (struct low_regs){0};
		mode_run(mode, modes_cs32, (size_t)(modes_cs32_end - modes_cs32), &r);
		report("%s.legacy = 0x%x 0x%x 0x%x 0x%x", mode_names[mode], r.ebx, r.ecx, r.edx,
			r.esi & 0xffff);
	}
	for (unsigned round = 0; round < 50; round++) {
		r = (struct low_regs){.ecx = round + 1};
		mode_run(round % 2 == 0 ? MODE_REAL16 : MODE_PAE32,
			round % 2 == 0 ? modes_code16 : modes_code32,
			(size_t)(round % 2 == 0 ? modes_code16_end - modes_code16 :
						  modes_code32_end - modes_code32),
			&r);
		sum += r.eax;
	}
	report("back_and_forth = %lu", sum);
	report("long_mode_still = %u", again && (rdmsr(MSR_EFER) & 0x400) != 0);
}
