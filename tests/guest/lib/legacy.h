// SPDX-License-Identifier: BSD-2-Clause
// 32-bit protected mode with tables of its own: a GDT, an IDT, task-state segments. legacy_run
// enters it, runs code in ring 0, ring 3 or virtual-8086 mode until the first trap of any kind, and
// comes back with legacy_record. Include it in one file of a payload; all of it lies below 4 GiB.
#ifndef TESTS_GUEST_LEGACY_H
#define TESTS_GUEST_LEGACY_H

#include "snippet.h"

enum {
	LEGACY_END = 0x81, // INT of ring 3: the end of a snippet
	LEGACY_TSS = 0x58, LEGACY_TSS2 = 0x60, LEGACY_TSS3 = 0x68, LEGACY_LDT = 0x70,
	LEGACY_SPARE = 0x78, // to 0xf8: the payload's own
	LEGACY_GDT_ENTRIES = 32,
	LEGACY_FLAGS_NT = 1 << 14, LEGACY_FLAGS_VM = 1 << 17,
	LEGACY_V86_CODE = 0x900, // real-mode segment of LOW_DATA
};

// SDM vol. 3, 7.2.1.
struct legacy_tss {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, io_bitmap;
	uint8_t bitmap[64]; // ports 0 to 0x1ff
};

struct legacy_start {
	uint32_t eax, ebx, ecx, edx, esi, edi;
	uint32_t ds, es;
	uint32_t frame[9]; // as IRET pops it: EIP, CS, EFLAGS, ESP, SS, ES, DS, FS, GS
	uint32_t frame_words;
};

struct legacy_record {
	uint32_t ds, es;                                 // pushed by the entry, the last first
	uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax; // PUSHAD
	uint32_t vector, error, eip, cs, eflags, old_esp, old_ss, v86_es, v86_ds, v86_fs, v86_gs;
	uint32_t cr2, tr, entry_esp, cr0;
};

struct legacy_start legacy_start;
struct legacy_record legacy_record;
struct legacy_tss legacy_tss[3] __attribute__((aligned(128)));
uint64_t legacy_gdt[LEGACY_GDT_ENTRIES] __attribute__((aligned(16)));
uint64_t legacy_idt[256] __attribute__((aligned(16)));
uint16_t legacy_gdtr[4], legacy_idtr[4];
uint32_t legacy_saved_esp;
uint8_t legacy_stacks[4][4096] __attribute__((aligned(16))); // ring 0, ring 3, tasks 2 and 3
extern const char legacy_stub[], legacy_stub_end[], legacy_entries[], legacy_end[];
extern uint64_t payload_gdt[];

__asm__(".text\n.code32\n"
	"legacy_stub: movl $legacy_main, %eax; jmp *%eax\n"
	"legacy_stub_end:\n"
	"legacy_end: int $0x81; hlt\n"
	"legacy_main:\n"
	"pushl %ebx; pushl %ebp; pushl %esi; pushl %edi\n"
	"movl %esp, legacy_saved_esp\n"
	"lgdt legacy_gdtr; lidt legacy_idtr\n"
	"movl $0x58, %eax; ltr %ax\n"
	"xorl %eax, %eax; lldt %ax\n"
	"movl $legacy_stacks + 4096, %esp\n"
	"movl legacy_start + 68, %ecx\n" // frame_words
	"1: pushl legacy_start + 32 - 4(, %ecx, 4); decl %ecx; jnz 1b\n"
	"movl legacy_start, %eax; movl legacy_start + 4, %ebx; movl legacy_start + 8, %ecx\n"
	"movl legacy_start + 12, %edx; movl legacy_start + 16, %esi; movl legacy_start + 20, %edi\n"
	"pushl legacy_start + 24; pushl legacy_start + 28; popl %es; popl %ds\n"
	"iretl\n"
	".balign 16\n"
	"legacy_entries:\n"
	".set vector, 0\n"
	".rept 256\n"
	".balign 16\n"
	".if !((vector >= 10 && vector <= 14) || vector == 8 || vector == 17 || vector == 21)\n"
	"pushl $0\n"
	".endif\n"
	"pushl $vector\n"
	"jmp legacy_common\n"
	".set vector, vector + 1\n"
	".endr\n"
	".balign 16\n"
	"legacy_common: pushal; pushl %es; pushl %ds\n"
	"movl $0x10, %eax; movl %eax, %ds; movl %eax, %es\n"
	"movl %esp, %esi; movl $legacy_record, %edi; movl $21, %ecx; cld; rep movsl\n"
	"movl %cr2, %eax; stosl; xorl %eax, %eax; str %ax; stosl; leal 40(%esp), %eax; stosl\n"
	"movl %cr0, %eax; stosl\n"
	"clts; pushl $2; popfl\n"
	"movl $0x10, %eax; movl %eax, %ss; movl legacy_saved_esp, %esp\n"
	"movl %eax, %fs; movl %eax, %gs\n"
	"popl %edi; popl %esi; popl %ebp; popl %ebx; ret\n"
	".code64\n");

static inline uint64_t legacy_descriptor(uint32_t base, uint32_t limit, unsigned attributes)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
		(uint64_t)(attributes & 0xff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
		(uint64_t)(attributes >> 8 & 15) << 52 | (uint64_t)(base >> 24) << 56;
}

static inline uint64_t legacy_gate(uint32_t offset, unsigned selector, unsigned attributes)
{
	return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)attributes << 40 |
		(uint64_t)(offset >> 16) << 48;
}

static inline void legacy_set_table(uint16_t *to, const void *table, unsigned bytes)
{
	to[0] = (uint16_t)(bytes - 1);
	to[1] = (uint16_t)(uintptr_t)table;
	to[2] = (uint16_t)((uintptr_t)table >> 16);
}

static inline void legacy_set_vector(unsigned vector)
{
	legacy_idt[vector] = legacy_gate((uint32_t)(uintptr_t)legacy_entries + 16 * vector,
		SEL_CODE32, vector == 3 || vector == 4 || vector >= 0x80 ? 0xee : 0x8e);
}

// Everything as at first: the payload changes it between runs.
static inline void legacy_reset(void)
{
	for (unsigned i = 0; i < LEGACY_GDT_ENTRIES; i++)
		legacy_gdt[i] = i <= SEL_ABSENT / 8 ? payload_gdt[i] : 0;
	for (unsigned i = 0; i < 3; i++) {
		struct legacy_tss *tss = &legacy_tss[i];

		*tss = (struct legacy_tss){
			.esp0 = (uint32_t)(uintptr_t)legacy_stacks[i == 0 ? 0 : i + 1] + 4096,
			.ss0 = SEL_DATA,
			.eip = (uint32_t)(uintptr_t)legacy_end,
			.eflags = 2,
			.esp = (uint32_t)(uintptr_t)legacy_stacks[i + 1] + 4096,
			.es = SEL_DATA, .cs = SEL_CODE32, .ss = SEL_DATA, .ds = SEL_DATA,
			.fs = SEL_DATA, .gs = SEL_DATA,
			.io_bitmap = (uint16_t)sizeof(*tss),
		};
		legacy_gdt[LEGACY_TSS / 8 + i] =
			legacy_descriptor((uint32_t)(uintptr_t)tss, sizeof(*tss) - 1, 0x89);
	}
	for (unsigned v = 0; v < 256; v++)
		legacy_set_vector(v);
	legacy_set_table(legacy_gdtr, legacy_gdt, sizeof(legacy_gdt));
	legacy_set_table(legacy_idtr, legacy_idt, sizeof(legacy_idt));
	legacy_start = (struct legacy_start){.ds = SEL_DATA, .es = SEL_DATA};
}

// With legacy_start's registers and frame. The library's own tables are back afterwards.
static inline void legacy_enter(unsigned mode)
{
	struct low_regs regs = {0};

	legacy_record = (struct legacy_record){.vector = ~0u};
	legacy_gdt[LEGACY_TSS / 8] &= ~(2ull << 40); // not busy
	mode_run(mode, legacy_stub, (size_t)(legacy_stub_end - legacy_stub), &regs);
	__asm__ volatile("lgdt payload_gdtr" : : : "memory");
	trap_load_tss(TRAP_TSS_BYTES - 1, TRAP_TSS_BYTES);
}

static inline void legacy_run(unsigned mode, const char *code, bool user, uint32_t eflags)
{
	struct legacy_start *s = &legacy_start;

	s->ds = s->es = user ? SEL_USERDATA : SEL_DATA;
	s->frame[0] = (uint32_t)(uintptr_t)code;
	s->frame[1] = user ? SEL_USER32 : SEL_CODE32;
	s->frame[2] = eflags | 2;
	s->frame[3] = (uint32_t)(uintptr_t)legacy_stacks[1] + 4096;
	s->frame[4] = SEL_USERDATA;
	s->frame_words = user ? 5 : 3;
	legacy_enter(mode);
}

// 16-bit code at LOW_DATA, in virtual-8086 mode; DS, ES, FS, GS: the given segment.
static inline void legacy_run_v86(const char *code, size_t bytes, uint32_t eflags, unsigned data)
{
	struct legacy_start *s = &legacy_start;

	for (size_t i = 0; i < bytes; i++)
		write8(LOW_DATA + i, (uint8_t)code[i]);
	s->ds = s->es = SEL_DATA;
	s->frame[0] = 0;
	s->frame[1] = LEGACY_V86_CODE;
	s->frame[2] = eflags | 2 | LEGACY_FLAGS_VM;
	s->frame[3] = 0x1000;
	s->frame[4] = 0xa00;
	for (unsigned i = 5; i < 9; i++)
		s->frame[i] = data;
	s->frame_words = 9;
	legacy_enter(MODE_PROT32);
}

#define LEGACY_TEXT(name, before, instruction, after)                                              \
	"code_" #name ": " before "\n"                                                             \
	"code_" #name "_at: " instruction "\n"                                                     \
	"code_" #name "_next: " after "\n int $0x81\n"
#define LEGACY_SNIPPETS(table, LIST)                                                               \
	__asm__(".text\n.code32\n" LIST(LEGACY_TEXT) ".code64\n");                                 \
	LIST(SNIPPET_DECLARE)                                                                      \
	static const struct snippet table[] = {LIST(SNIPPET_ENTRY)};

static inline bool legacy_traps(unsigned mode, const struct snippet *snippet, bool user,
	uint32_t eflags)
{
	legacy_run(mode, snippet->code, user, eflags);
	return legacy_record.vector != LEGACY_END;
}

static inline void legacy_report(const char *prefix, unsigned mode, const struct snippet *snippet,
	bool user, uint32_t eflags)
{
	if (!legacy_traps(mode, snippet, user, eflags)) {
		report("%s.%s = none", prefix, snippet->name);
		return;
	}
	report("%s.%s = #%u error 0x%x %s", prefix, snippet->name, legacy_record.vector,
		legacy_record.error, snippet_place(snippet, legacy_record.eip));
	trap_last.rflags = legacy_record.eflags;
	snippet_count_rf(legacy_record.eip != (uint32_t)(uintptr_t)snippet->next);
}

static inline void legacy_report_all(const char *prefix, unsigned mode,
	const struct snippet *table, size_t count, bool user, uint32_t eflags)
{
	for (size_t i = 0; i < count; i++)
		legacy_report(prefix, mode, &table[i], user, eflags);
	snippet_report_rf(prefix);
}

#define LEGACY_REPORT(prefix, mode, table, user, eflags)                                           \
	legacy_report_all(prefix, mode, table, SNIPPET_COUNT(table), user, eflags)

#endif
