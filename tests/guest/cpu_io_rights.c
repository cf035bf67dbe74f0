// SPDX-License-Identifier: BSD-2-Clause
// Who may use ports and the interrupt flag: IOPL, the TSS's I/O permission bitmap with its limit,
// in 32-bit and 64-bit mode, and virtual-8086 mode: entry, ports, IOPL-sensitive instructions,
// faults. SDM vol. 1, 18.5; vol. 3, 21.2.
#include "lib/legacy.h"

PAYLOAD("cpu_io_rights");

enum { IOPL3 = 3 << 12, FLAG_IF = 1 << 9, BITMAP = 104 };

// COM1's scratch register is 0x3ff; 0x80 is a port that takes anything.
#define PORTS(X)                                                                                   \
	X(out_80, "", "outb %al, $0x80", "")                                                       \
	X(in_21, "", "inb $0x21, %al", "")                                                         \
	X(out_word_80, "", "outw %ax, $0x80", "")                                                  \
	X(out_dword_80, "", "outl %eax, $0x80", "")                                                \
	X(out_dx_87, "movl $0x87, %edx", "outb %al, %dx", "")                                      \
	X(in_word_1f7, "movl $0x1f7, %edx", "inw %dx, %ax", "")                                    \
	X(in_1f8, "movl $0x1f8, %edx", "inb %dx, %al", "")                                         \
	X(in_200, "movl $0x200, %edx", "inb %dx, %al", "")                                         \
	X(outs_80, "movl $0x80, %edx; movl $buffer, %esi", "outsb", "")                            \
	X(rep_outs_80, "movl $0x80, %edx; movl $buffer, %esi; movl $2, %ecx", "rep outsb", "")     \
	X(rep_outs_0, "movl $0x81, %edx; movl $buffer, %esi; xorl %ecx, %ecx", "rep outsb", "")    \
	X(ins_81, "movl $0x81, %edx; movl $buffer, %edi", "insb", "")

#define FLAGS32(X)                                                                                 \
	X(cli, "", "cli", "")                                                                      \
	X(sti, "", "sti", "")                                                                      \
	X(popf_if, "pushfl; orl $0x200, (%esp)", "popfl", "")                                      \
	X(popf_iopl, "pushfl; xorl $0x3000, (%esp)", "popfl", "")                                  \
	X(iret_if, "pushfl; xorl $0x3200, (%esp); pushl $0x3b; pushl $1f", "iretl", "1: nop")      \
	X(hlt, "", "hlt", "")

uint8_t buffer[64];
static uint8_t bitmap_tss[BITMAP + 128] __attribute__((aligned(256)));

LEGACY_SNIPPETS(ports, PORTS)
LEGACY_SNIPPETS(flags32, FLAGS32)

static struct {
	const char *name;
	unsigned limit, bitmap; // of the TSS
	uint8_t byte16, byte17; // of ports 0x80 to 0x8f
} const maps[] = {
	{"none", 103, 104, 0, 0},
	{"all", 104 + 64, 104, 0, 0},
	{"0x80 alone", 104 + 64, 104, 0xfe, 0xff},
	{"0x80 and 0x81", 104 + 64, 104, 0xfc, 0xff},
	{"0x87 denied", 104 + 64, 104, 0x80, 0},
	{"limit to 0x1ff", 104 + 63, 104, 0, 0},
	{"limit to 0x7f", 104 + 15, 104, 0, 0},
	{"limit to 0x87", 104 + 16, 104, 0, 0},
	{"limit to 0x8f", 104 + 17, 104, 0, 0},
	{"base beyond", 104 + 64, 0xffff, 0, 0},
	{"base at limit", 104 + 64, 104 + 64, 0, 0},
};

static void bitmap_fill(uint8_t *bits, unsigned map)
{
	for (unsigned i = 0; i < 66; i++)
		bits[i] = 0;
	bits[16] = maps[map].byte16;
	bits[17] = maps[map].byte17;
}

static void rights_bitmap32(void)
{
	for (unsigned m = 0; m < sizeof(maps) / sizeof(maps[0]); m++) {
		legacy_reset();
		bitmap_fill(bitmap_tss + BITMAP, m);
		for (unsigned i = 0; i < BITMAP; i++)
			bitmap_tss[i] = ((uint8_t *)&legacy_tss[0])[i];
		bitmap_tss[102] = (uint8_t)maps[m].bitmap;
		bitmap_tss[103] = (uint8_t)(maps[m].bitmap >> 8);
		legacy_gdt[LEGACY_TSS / 8] = legacy_descriptor((uint32_t)(uintptr_t)bitmap_tss,
			maps[m].limit, 0x89);
		LEGACY_REPORT(snippet_prefix("bitmap32", maps[m].name), MODE_PROT32, ports, true,
			0);
	}
	legacy_reset();
	LEGACY_REPORT("iopl3", MODE_PROT32, ports, true, IOPL3);
	LEGACY_REPORT("ring0", MODE_PROT32, ports, false, 0);
}

#define PORTS64(X)                                                                                 \
	X(q_out_80, "", "outb %al, $0x80", "")                                                     \
	X(q_in_21, "", "inb $0x21, %al", "")                                                       \
	X(q_out_word_80, "", "outw %ax, $0x80", "")                                                \
	X(q_out_dword_80, "", "outl %eax, $0x80", "")                                              \
	X(q_in_1f8, "movl $0x1f8, %edx", "inb %dx, %al", "")                                       \
	X(q_rep_outs_80, "movl $0x80, %edx; movl $buffer, %esi; movl $2, %ecx", "rep outsb", "")

SNIPPETS(ports64, PORTS64)

static void rights_bitmap64(void)
{
	for (unsigned m = 0; m < sizeof(maps) / sizeof(maps[0]); m++) {
		bitmap_fill(trap_tss + BITMAP, m);
		trap_load_tss(maps[m].limit, maps[m].bitmap);
		SNIPPETS_REPORT(snippet_prefix("bitmap64", maps[m].name), ports64, true, 0, NULL);
	}
	trap_load_tss(TRAP_TSS_BYTES - 1, TRAP_TSS_BYTES);
	SNIPPETS_REPORT("iopl3_64", ports64, true, IOPL3, NULL);
}

static void rights_flags(void)
{
	static const struct {
		const char *name;
		bool user;
		uint32_t eflags;
	} t[] = {
		{"ring3 iopl 0", true, FLAG_IF}, {"ring3 iopl 3", true, FLAG_IF | IOPL3},
		{"ring3 iopl 3 if 0", true, IOPL3}, {"ring0", false, 0},
	};

	legacy_reset();
	for (unsigned k = 0; k < sizeof(t) / sizeof(t[0]); k++) {
		for (unsigned i = 0; i < SNIPPET_COUNT(flags32); i++) {
			bool traps;

			if (!t[k].user && i >= 4)
				continue;
			traps = legacy_traps(MODE_PROT32, &flags32[i], t[k].user, t[k].eflags);
			report("%s.%s = #%u flags 0x%x", t[k].name, flags32[i].name,
				traps ? legacy_record.vector : 0, legacy_record.eflags & 0x3200);
		}
	}
}

// Virtual-8086 mode. The code ends with HLT, which is #GP there. DS: base 0x9000 as CS.
#define V86(X)                                                                                     \
	X(v_nothing, "hlt")                                                                        \
	X(v_in_21, "inb $0x21, %al; hlt")                                                          \
	X(v_out_80, "outb %al, $0x80; hlt")                                                        \
	X(v_out_word_80, "outw %ax, $0x80; hlt")                                                   \
	X(v_outs, "movw $0x80, %dx; xorw %si, %si; outsb; hlt")                                    \
	X(v_cli, "cli; hlt")                                                                       \
	X(v_sti, "sti; cli; hlt")                                                                  \
	X(v_pushf, "pushfw; popw %ax; hlt")                                                        \
	X(v_pushfd, "pushfl; popl %eax; hlt")                                                      \
	X(v_popf, "pushw $0x3202; popfw; hlt")                                                     \
	X(v_iret, "pushw $0x3202; pushw $0x900; pushw $2f - code_v_iret; iretw; 2: hlt")           \
	X(v_int_80, "int $0x80; hlt")                                                              \
	X(v_int_40, "int $0x40; hlt")                                                              \
	X(v_int3, "int3; hlt")                                                                     \
	X(v_into, "movb $127, %al; addb $1, %al; into; hlt")                                       \
	X(v_ud2, "ud2")                                                                            \
	X(v_de, "xorw %cx, %cx; divw %cx")                                                         \
	X(v_mov_cr0, "movl %cr0, %eax; hlt")                                                       \
	X(v_mov_dr7, "movl %db7, %eax; hlt")                                                       \
	X(v_clts, "clts; hlt")                                                                     \
	X(v_lmsw, "lmsw %ax; hlt")                                                                 \
	X(v_smsw, "smsw %ax; hlt")                                                                 \
	X(v_lgdt, "lgdt 0; hlt")                                                                   \
	X(v_sldt, "sldt %ax; hlt")                                                                 \
	X(v_str, "str %ax; hlt")                                                                   \
	X(v_lldt, "lldt %ax; hlt")                                                                 \
	X(v_ltr, "ltr %ax; hlt")                                                                   \
	X(v_lar, "lar %ax, %ax; hlt")                                                              \
	X(v_verr, "verr %ax; hlt")                                                                 \
	X(v_arpl, "arpl %ax, %ax; hlt")                                                            \
	X(v_rdmsr, "rdmsr; hlt")                                                                   \
	X(v_wbinvd, "wbinvd; hlt")                                                                 \
	X(v_cpuid, "xorl %eax, %eax; cpuid; xorl %eax, %eax; hlt")                                 \
	X(v_segments, "movw $0x1234, %ax; movw %ax, %ds; movw %ax, %es; movw %ds, %bx; hlt")       \
	X(v_far_jump, "ljmp $0x8ff, $2f - code_v_far_jump + 16; 2: hlt")                           \
	X(v_limit_last, "movw $0xffff, %bx; movb (%bx), %al; hlt")                                 \
	X(v_limit, "movw $0xffff, %bx; movw (%bx), %ax; hlt")                                      \
	X(v_limit_32, "movl $0x10000, %ebx; movb (%ebx), %al; hlt")                                \
	X(v_stack_limit, "movw $0xffff, %bp; movw (%bp), %ax; hlt")                                \
	X(v_stack_wrap, "xorw %sp, %sp; pushw %ax; movw %sp, %ax; hlt")

struct v86_code {
	const char *name, *code, *end;
};

#define V86_TEXT(name, text)    "code_" #name ": " text "\ncode_" #name "_end:\n"
#define V86_DECLARE(name, text) extern const char code_##name[], code_##name##_end[];
#define V86_ENTRY(name, text)   {#name, code_##name, code_##name##_end},

__asm__(".text\n.code16\n" V86(V86_TEXT) ".code64\n");
V86(V86_DECLARE)
static const struct v86_code v86[] = {V86(V86_ENTRY)};

static void rights_v86(const char *prefix, uint32_t eflags)
{
	for (unsigned i = 0; i < sizeof(v86) / sizeof(v86[0]); i++) {
		const struct legacy_record *r = &legacy_record;

		legacy_start.eax = legacy_start.ebx = 0;
		legacy_run_v86(v86[i].code, (size_t)(v86[i].end - v86[i].code), eflags,
			LEGACY_V86_CODE);
		report("%s.%s = #%u error 0x%x at 0x%x:0x%x of 0x%lx flags 0x%x eax 0x%x", prefix,
			v86[i].name, r->vector, r->error, r->cs, r->eip,
			(uint64_t)(v86[i].end - v86[i].code), r->eflags & 0x23200, r->eax);
		if (i == 0 || v86[i].code == code_v_segments)
			report("%s.%s: segments 0x%x 0x%x 0x%x 0x%x, stack 0x%x:0x%x, ds now 0x%x",
				prefix, v86[i].name, r->v86_ds, r->v86_es, r->v86_fs, r->v86_gs,
				r->old_ss, r->old_esp, r->ds);
	}
}

// A handler in ring 3, or one that is conforming, cannot take a trap from it: #GP with its segment.
static void rights_v86_gates(void)
{
	static const char code[] = {(char)0xcd, (char)0x80, (char)0xf4};

	legacy_idt[0x80] = legacy_gate((uint32_t)(uintptr_t)legacy_end, SEL_USER32, 0xee);
	legacy_run_v86(code, sizeof(code), IOPL3, LEGACY_V86_CODE);
	report("v86.handler of ring 3 = #%u error 0x%x", legacy_record.vector, legacy_record.error);
	legacy_set_vector(0x80);
	// The bitmap counts whatever IOPL is.
	for (unsigned iopl = 0; iopl < 2; iopl++) {
		for (unsigned i = 0; i < sizeof(legacy_tss[0].bitmap); i++)
			legacy_tss[0].bitmap[i] = i == 16 ? 0xfe : 0xff;
		legacy_tss[0].io_bitmap = BITMAP;
		legacy_run_v86(code_v_out_80, 3, iopl != 0 ? IOPL3 : 0, LEGACY_V86_CODE);
		report("v86.out_80 allowed, iopl %u = #%u at 0x%x", iopl * 3, legacy_record.vector,
			legacy_record.eip);
		legacy_run_v86(code_v_out_word_80, 3, iopl != 0 ? IOPL3 : 0, LEGACY_V86_CODE);
		report("v86.out_word_80 denied, iopl %u = #%u at 0x%x", iopl * 3,
			legacy_record.vector, legacy_record.eip);
	}
}

void payload_main(void)
{
	rights_bitmap32();
	rights_bitmap64();
	rights_flags();
	legacy_reset();
	rights_v86("v86", 0);
	rights_v86("v86_iopl3", IOPL3);
	rights_v86_gates();
}
