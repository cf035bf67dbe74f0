// SPDX-License-Identifier: BSD-2-Clause
// Exceptions of 32-bit protected mode: what cpu_exceptions.c cannot raise in 64-bit mode (#OF, #BR,
// segment limits and types, #TS), in rings 0 and 3, and bad IDT entries. SDM vol. 3, 6.12 to 6.15.
#include "lib/legacy.h"

PAYLOAD("cpu_exceptions32");

enum {
	SEL_SMALL = LEGACY_SPARE,     // data, limit 0xfff, base: `page`
	SEL_DOWN = LEGACY_SPARE + 8,  // expand-down, limit 0xfff
	SEL_READ_ONLY = LEGACY_SPARE + 16,
	SEL_EXECUTE = LEGACY_SPARE + 24, // code that cannot be read
	SEL_SMALL_STACK = LEGACY_SPARE + 32,
	SEL_ABSENT_CODE = LEGACY_SPARE + 40,
	SEL_CONFORMING = LEGACY_SPARE + 48,
};

static uint8_t page[8192] __attribute__((aligned(4096)));

#define PLAIN(X)                                                                                   \
	X(de, "xorl %eax, %eax; cltd; xorl %ecx, %ecx", "divl %ecx", "")                           \
	X(de_aam, "", ".byte 0xd4, 0", "")                                                         \
	X(db_step, "pushfl; orl $0x100, (%esp); popfl", "nop", "")                                 \
	X(bp, "", "int3", "")                                                                      \
	X(of, "movb $127, %al; addb $1, %al", "into", "")                                          \
	X(of_clear, "xorl %eax, %eax", "into", "")                                                 \
	X(of_int_4, "", "int $4", "")                                                              \
	X(br_above, "pushl $9; pushl $2; movl $10, %eax", "boundl %eax, (%esp)", "")               \
	X(br_below, "pushl $9; pushl $2; movl $1, %eax", "boundl %eax, (%esp)", "")                \
	X(br_within, "pushl $9; pushl $2; movl $9, %eax", "boundl %eax, (%esp)", "addl $8, %esp")  \
	X(br_signed, "pushl $5; pushl $-5; movl $-5, %eax", "boundl %eax, (%esp)",                 \
		"addl $8, %esp")                                                                   \
	X(ud2, "", "ud2", "")                                                                      \
	X(ud_syscall, "", ".byte 0x0f, 0x05", "")                                                  \
	X(ud_bound_register, "", ".byte 0x62, 0xc0", "")                                           \
	X(ud_lds_register, "", ".byte 0xc5, 0xc0", "")                                             \
	X(ud_swapgs, "", ".byte 0x0f, 0x01, 0xf8", "")                                             \
	X(gp_limit_read, "movl $0x78, %eax; movl %eax, %fs", "movb %fs:0x1000, %al", "")           \
	X(gp_limit_last, "movl $0x78, %eax; movl %eax, %fs", "movb %fs:0xfff, %al", "")            \
	X(gp_limit_dword, "movl $0x78, %eax; movl %eax, %fs", "movl %fs:0xffd, %eax", "")          \
	X(gp_down_below, "movl $0x80, %eax; movl %eax, %fs", "movb %fs:0xfff, %al", "")            \
	X(gp_down_above, "movl $0x80, %eax; movl %eax, %fs", "movb %fs:0x1000, %al", "")           \
	X(gp_read_only, "movl $0x88, %eax; movl %eax, %fs", "movb %al, %fs:0", "")                 \
	X(gp_code_write, "", "movb %al, %cs:0x9000", "")                                           \
	X(gp_load_execute_only, "movl $0x90, %eax", "movl %eax, %fs", "")                          \
	X(gp_null_use, "xorl %eax, %eax; movl %eax, %fs", "movb %fs:0, %al", "")                   \
	X(gp_null_ss, "xorl %eax, %eax", "movl %eax, %ss", "")                                     \
	X(gp_ss_read_only, "movl $0x88, %eax", "movl %eax, %ss", "")                               \
	X(np_ds, "movl $0x50, %eax", "movl %eax, %ds", "")                                         \
	X(ss_absent, "movl $0x50, %eax", "movl %eax, %ss", "")                                     \
	X(gp_beyond, "movl $0x1f8, %eax", "movl %eax, %es", "")                                    \
	X(gp_jump_data, "", "ljmp $0x10, $0", "")                                                  \
	X(gp_jump_null, "", "ljmp $0, $0", "")                                                     \
	X(np_jump, "", "ljmp $0xa0, $0", "")                                                       \
	X(gp_jump_user, "", "ljmp $0x3b, $legacy_end", "")                                         \
	X(gp_jump_ldt, "", "ljmp $0x0c, $0", "")                                                   \
	X(gp_ltr_busy, "movl $0x58, %eax", "ltr %ax", "")                                          \
	X(gp_ltr_data, "movl $0x10, %eax", "ltr %ax", "")                                          \
	X(gp_lldt_data, "movl $0x10, %eax", "lldt %ax", "")                                        \
	X(gp_int_40, "", "int $0x40", "")

LEGACY_SNIPPETS(plain, PLAIN)

#define STACK(X)                                                                                   \
	X(ss_push, "movl $0x98, %eax; movl $0, %esp; movl %eax, %ss", "pushl %eax", "")            \
	X(ss_read, "movl $0x98, %eax; movl $0x800, %esp; movl %eax, %ss; movl $0x1000, %ebp",      \
		"movb (%ebp), %al", "")                                                            \
	X(ss_pop, "movl $0x98, %eax; movl $0xffe, %esp; movl %eax, %ss", "popl %eax", "")          \
	X(ss_call, "movl $0x98, %eax; movl $2, %esp; movl %eax, %ss", "call 1f; 1:", "")           \
	X(ss_enter, "movl $0x98, %eax; movl $2, %esp; movl %eax, %ss", "enter $16, $0", "")

// A ring-0 stack segment is loaded; the trap gets there by a task of its own.
LEGACY_SNIPPETS(stack, STACK)

static void tables_prepare(void)
{
	uint32_t base = (uint32_t)(uintptr_t)page;

	legacy_reset();
	legacy_gdt[SEL_SMALL / 8] = legacy_descriptor(base, 0xfff, 0x4f3);
	legacy_gdt[SEL_DOWN / 8] = legacy_descriptor(base, 0xfff, 0x4f7);
	legacy_gdt[SEL_READ_ONLY / 8] = legacy_descriptor(base, 0xfff, 0x4f1);
	legacy_gdt[SEL_EXECUTE / 8] = legacy_descriptor(base, 0xfff, 0x4f9);
	legacy_gdt[SEL_SMALL_STACK / 8] = legacy_descriptor(base, 0xfff, 0x493);
	legacy_gdt[SEL_ABSENT_CODE / 8] = legacy_descriptor(0, 0xfffff, 0xc1b);
	legacy_gdt[SEL_CONFORMING / 8] = legacy_descriptor(0, 0xfffff, 0xc9f);
}

// A stack fault in ring 0 has no stack for its handler: a task gate, vector 12 and, for what that
// task finds, LEGACY_END.
static void exceptions_stack(void)
{
	bool checked;

	tables_prepare();
	checked = legacy_traps(MODE_PROT32, &plain[16], false, 0);
	for (unsigned i = 0; i < SNIPPET_COUNT(stack); i++) {
		if (!checked) { // it would write anywhere
			report("stack.%s = skipped, no limits", stack[i].name);
			continue;
		}
		tables_prepare();
		legacy_idt[12] = legacy_gate(0, LEGACY_TSS2, 0x85);
		legacy_traps(MODE_PROT32, &stack[i], false, 0);
		// The error code is on the new task's stack, below it the frame of its INT.
		report("stack.%s = #%u tr 0x%x error 0x%x %s esp 0x%x", stack[i].name,
			legacy_record.vector, legacy_record.tr,
			*(uint32_t *)(void *)&legacy_stacks[2][4092],
			snippet_place(&stack[i], legacy_tss[0].eip), legacy_tss[0].esp);
	}
}

// Entries of the IDT that are wrong, for INT n and for an exception (EXT set).
#define EVENTS(X)                                                                                  \
	X(int_90, "", "int $0x90", "")                                                             \
	X(ud, "", "ud2", "")                                                                       \
	X(de_zero, "xorl %ecx, %ecx", "divl %ecx", "")

LEGACY_SNIPPETS(events, EVENTS)

static void exceptions_gates(void)
{
	static const struct {
		const char *name;
		unsigned selector, attributes;
	} t[] = {
		{"good", SEL_CODE32, 0xee}, {"absent", SEL_CODE32, 0x6e},
		{"type_0", SEL_CODE32, 0xe0},
		{"call_gate", SEL_CODE32, 0xec}, {"null", 0, 0xee}, {"data", SEL_DATA, 0xee},
		{"beyond", 0x1f8, 0xee}, {"code_absent", SEL_ABSENT_CODE, 0xee},
		{"ring3", SEL_USER32, 0xee}, {"ldt", SEL_CODE32 | 4, 0xee},
		{"task_null", 0, 0xe5}, {"task_ldt", LEGACY_TSS2 | 4, 0xe5},
		{"task_data", SEL_DATA, 0xe5}, {"task_busy", LEGACY_TSS, 0xe5},
	};
	static const uint8_t vectors[] = {0x90, 6, 0};

	for (unsigned g = 0; g < sizeof(t) / sizeof(t[0]); g++) {
		for (unsigned user = 0; user < 2; user++) {
			for (unsigned e = 0; e < SNIPPET_COUNT(events); e++) {
				if (user == 1 && t[g].selector == SEL_USER32)
					continue; // works, but the handler is ring 0's
				tables_prepare();
				legacy_idt[vectors[e]] = legacy_gate(
					(uint32_t)(uintptr_t)legacy_entries + 16u * vectors[e],
					t[g].selector, t[g].attributes);
				legacy_report(snippet_prefix(user != 0 ? "gate3" : "gate0",
					t[g].name), MODE_PROT32, &events[e], user == 1, 0);
			}
		}
	}
	snippet_report_rf("gate");
}

// Ring 3's way to ring 0 needs a stack that the TSS names. SDM vol. 3, 6.15, #TS.
static void exceptions_inner_stack(void)
{
	static const struct {
		const char *name;
		uint32_t ss0;
	} t[] = {
		{"good", SEL_DATA}, {"null", 0}, {"rpl_3", SEL_DATA | 3},
		{"of_ring3", SEL_USERDATA},
		{"code", SEL_CODE32}, {"read_only", SEL_READ_ONLY}, {"absent", SEL_ABSENT},
		{"beyond", 0x1f8}, {"ldt", SEL_DATA | 4},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		tables_prepare();
		legacy_tss[0].ss0 = t[i].ss0;
		for (unsigned v = 8; v < 14; v++) // each of them as a task
			legacy_idt[v] = legacy_gate(0, v == 8 ? LEGACY_TSS3 : LEGACY_TSS2, 0x85);
		legacy_traps(MODE_PROT32, &events[0], true, 0);
		report("ss0.%s = #%u tr 0x%x error 0x%x", t[i].name, legacy_record.vector,
			legacy_record.tr, legacy_record.tr == LEGACY_TSS ? 0 :
				*(uint32_t *)(void *)&legacy_stacks[2][4092]);
	}
}

void payload_main(void)
{
	for (unsigned user = 0; user < 2; user++) {
		tables_prepare();
		for (unsigned i = 0; i < SNIPPET_COUNT(plain); i++) {
			tables_prepare();
			legacy_report(user != 0 ? "ring3" : "ring0", MODE_PROT32, &plain[i],
				user == 1, 0);
		}
		snippet_report_rf(user != 0 ? "ring3" : "ring0");
	}
	exceptions_stack();
	exceptions_gates();
	exceptions_inner_stack();
}
