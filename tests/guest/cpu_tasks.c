// SPDX-License-Identifier: BSD-2-Clause
// Hardware task switches: JMP, CALL, IRET, INT and exceptions through task gates; busy bits, NT,
// the link, saved and loaded registers, CR0.TS, and switches that fail. SDM vol. 3, 7.2 to 7.4.
// 16-bit tasks, and tasks with paging: tasks.c. Ports and virtual-8086 mode: cpu_io_rights.c.
#include "lib/legacy.h"

PAYLOAD("cpu_tasks");

enum { SEL_GATE = LEGACY_SPARE, SEL_GATE3 = LEGACY_SPARE + 8, VECTOR = 0x90 };

// Task 2 begins at its TSS's EIP: task2_iret returns, and goes on behind that the next time.
#define SWITCHES(X)                                                                                \
	X(jump_tss, "", "ljmp $0x60, $0", "")                                                      \
	X(call_tss, "", "lcall $0x60, $0", "")                                                     \
	X(jump_gate, "", "ljmp $0x78, $0", "")                                                     \
	X(call_gate, "", "lcall $0x78, $0", "")                                                    \
	X(int_gate, "", "int $0x90", "")                                                           \
	X(ud_gate, "", "ud2", "")                                                                  \
	X(gp_gate, "", "ljmp $0x1f8, $0", "")                                                      \
	X(np_gate, "movl $0x50, %eax", "movl %eax, %es", "")

LEGACY_SNIPPETS(switches, SWITCHES)

#define REGISTERS(X)                                                                               \
	X(registers, "movl $0x11, %eax; movl $0x22, %ecx; movl $0x33, %edx; movl $0x44, %ebx; "    \
		"movl $0x55, %ebp; movl $0x66, %esi; movl $0x77, %edi; stc; std",                  \
		"ljmp $0x60, $0", "")                                                              \
	X(there_and_back, "movl $0x99, %eax", "lcall $0x60, $0", "lcall $0x60, $0; nop")

LEGACY_SNIPPETS(registers, REGISTERS)

#define RETURNS(X)                                                                                 \
	X(nt_link, "pushfl; orl $0x4000, (%esp); popfl", "iretl", "")                              \
	X(step_into, "pushfl; orl $0x100, (%esp); popfl", "ljmp $0x60, $0", "")

LEGACY_SNIPPETS(returns, RETURNS)

extern const char task2_iret[];
__asm__(".text\n.code32\n"
	"task2_iret: incl %eax; iretl\n"
	"incl %eax; jmp task2_iret\n"
	".code64\n");

static unsigned type_of(unsigned selector)
{
	return legacy_gdt[selector / 8] >> 40 & 0x9f;
}

static void prepare(void)
{
	legacy_reset();
	legacy_gdt[SEL_GATE / 8] = legacy_gate(0, LEGACY_TSS2, 0x85);
	legacy_gdt[SEL_GATE3 / 8] = legacy_gate(0, LEGACY_TSS2, 0xe5);
	legacy_idt[VECTOR] = legacy_gate(0, LEGACY_TSS2, 0xe5);
	legacy_tss[1].eflags = 0x802; // OF: the task's own flags
	legacy_tss[1].link = 0x1234;
}

static void report_state(const char *what, const struct snippet *snippet)
{
	const struct legacy_tss *t = legacy_tss;

	report("%s = #%u error 0x%x tr 0x%x flags 0x%x ts %u", what, legacy_record.vector,
		legacy_record.error, legacy_record.tr, legacy_record.eflags & 0xcfd7,
		legacy_record.cr0 >> 3 & 1);
	report("%s: types 0x%x 0x%x 0x%x link 0x%x, saved %s flags 0x%x", what,
		type_of(LEGACY_TSS), type_of(LEGACY_TSS2), type_of(LEGACY_TSS3), t[1].link,
		snippet_place(snippet, t[0].eip), t[0].eflags & 0xcfd7);
}

static void tasks_switches(void)
{
	for (unsigned user = 0; user < 2; user++) {
		for (unsigned i = 0; i < SNIPPET_COUNT(switches); i++) {
			const char *what = snippet_prefix(user != 0 ? "ring3" : "ring0",
				switches[i].name);

			prepare();
			legacy_idt[6] = legacy_idt[13] = legacy_idt[11] =
				legacy_gate(0, LEGACY_TSS2, 0x85);
			legacy_traps(MODE_PROT32, &switches[i], user == 1, 0);
			report_state(what, &switches[i]);
			if (legacy_record.tr == LEGACY_TSS2) // an error code, or nothing
				report("%s: pushed 0x%x", what,
					*(uint32_t *)(void *)&legacy_stacks[2][4092] & 0xffff);
			legacy_stacks[2][4092] = legacy_stacks[2][4093] = 0;
		}
	}
}

// Gates of DPL 3 let ring 3 in; the TSS's own DPL does not count then.
static void tasks_ring3_gate(void)
{
	prepare();
	legacy_gdt[SEL_GATE / 8] = legacy_gdt[SEL_GATE3 / 8];
	legacy_traps(MODE_PROT32, &switches[2], true, 0);
	report_state("ring3.jump_gate_dpl3", &switches[2]);
	prepare();
	legacy_gdt[LEGACY_TSS2 / 8] |= 3ull << 45;
	legacy_traps(MODE_PROT32, &switches[0], true, 0);
	report_state("ring3.jump_tss_dpl3", &switches[0]);
}

static void tasks_registers(void)
{
	struct legacy_tss *t = legacy_tss;

	prepare();
	t[1].eax = 0xa1;
	t[1].ecx = 0xa2;
	t[1].edx = 0xa3;
	t[1].ebx = 0xa4;
	t[1].ebp = 0xa5;
	t[1].esi = 0xa6;
	t[1].edi = 0xa7;
	legacy_traps(MODE_PROT32, &registers[0], false, 0);
	report("saved = 0x%x 0x%x 0x%x 0x%x 0x%x 0x%x 0x%x flags 0x%x", t[0].eax, t[0].ecx,
		t[0].edx, t[0].ebx, t[0].ebp, t[0].esi, t[0].edi, t[0].eflags & 0xcfd7);
	report("saved segments = 0x%x 0x%x 0x%x 0x%x", t[0].cs, t[0].ss, t[0].ds, t[0].es);
	report("loaded = 0x%x 0x%x 0x%x 0x%x 0x%x 0x%x 0x%x flags 0x%x", legacy_record.eax,
		legacy_record.ecx, legacy_record.edx, legacy_record.ebx, legacy_record.ebp,
		legacy_record.esi, legacy_record.edi, legacy_record.eflags & 0x4cfd7);
	prepare();
	t[1].eip = (uint32_t)(uintptr_t)task2_iret;
	t[1].eax = 0;
	legacy_traps(MODE_PROT32, &registers[1], false, 0);
	report_state("there_and_back", &registers[1]);
	report("there_and_back: eax 0x%x, task 2's 0x%x flags 0x%x, behind its iret %u",
		legacy_record.eax, t[1].eax, t[1].eflags & 0xcfd7,
		t[1].eip == (uint32_t)(uintptr_t)task2_iret + 2);
}

// IRET with NT goes where the link says.
static void tasks_returns(void)
{
	static const struct {
		const char *name;
		uint32_t link;
		bool busy;
	} t[] = {
		{"to a busy task", LEGACY_TSS2, true},
		{"to one that is not busy", LEGACY_TSS2, false},
		{"to null", 0, false}, {"to data", SEL_DATA, false},
		{"to an ldt", LEGACY_TSS2 | 4, true}, {"beyond", 0x1f8, false},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		prepare();
		legacy_tss[0].link = t[i].link;
		if (t[i].busy)
			legacy_gdt[LEGACY_TSS2 / 8] |= 2ull << 40;
		legacy_traps(MODE_PROT32, &returns[0], false, 0);
		report_state(snippet_prefix("iret", t[i].name), &returns[0]);
	}
}

// What is wrong with the new task. #TS and its kin are tasks too (3), as the new one may have no
// stack; the link tells in whose context they came.
static void tasks_failures(void)
{
	static const struct {
		const char *name;
		unsigned offset; // in the TSS; 0: of the descriptor
		uint64_t value;  // or what is flipped in the descriptor
	} t[] = {
		{"busy", 0, 2ull << 40}, {"absent", 0, 0x80ull << 40}, {"limit 102", 0, 0},
		{"cs null", 76, 0}, {"cs data", 76, SEL_DATA}, {"cs beyond", 76, 0x1f8},
		{"cs of ring 3", 76, SEL_USER32 & ~3u}, {"cs absent", 76, LEGACY_SPARE + 16},
		{"ss null", 80, 0}, {"ss code", 80, SEL_CODE32}, {"ss of ring 3", 80, SEL_USERDATA},
		{"ss absent", 80, SEL_ABSENT}, {"ds code of ring 0", 84, SEL_CODE32},
		{"ds system", 84, LEGACY_TSS3}, {"ds absent", 84, SEL_ABSENT}, {"ds null", 84, 0},
		{"es beyond", 72, 0x1f8}, {"fs absent", 88, SEL_ABSENT}, {"ldt data", 96, SEL_DATA},
		{"ldt beyond", 96, 0x1f8}, {"ldt absent", 96, LEGACY_SPARE + 24},
		{"ldt good", 96, LEGACY_SPARE + 32},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint64_t *d = &legacy_gdt[LEGACY_TSS2 / 8];

		prepare();
		legacy_gdt[LEGACY_SPARE / 8 + 2] = legacy_descriptor(0, 0xfffff, 0xc1b);
		legacy_gdt[LEGACY_SPARE / 8 + 3] = legacy_descriptor(0, 0xff, 0x002);
		legacy_gdt[LEGACY_SPARE / 8 + 4] = legacy_descriptor(0, 0xff, 0x082);
		for (unsigned v = 10; v < 14; v++)
			legacy_idt[v] = legacy_gate(0, LEGACY_TSS3, 0x85);
		if (t[i].offset != 0)
			write32((uintptr_t)&legacy_tss[1] + t[i].offset, (uint32_t)t[i].value);
		else if (t[i].value != 0)
			*d ^= t[i].value;
		else
			*d = legacy_descriptor((uint32_t)(uintptr_t)&legacy_tss[1], 102, 0x89);
		legacy_traps(MODE_PROT32, &switches[0], false, 0);
		report("fail.%s = #%u tr 0x%x error 0x%x types 0x%x 0x%x from 0x%x", t[i].name,
			legacy_record.vector, legacy_record.tr, legacy_record.tr == LEGACY_TSS3 ?
				*(uint32_t *)(void *)&legacy_stacks[3][4092] & 0xffff : 0,
			type_of(LEGACY_TSS), type_of(LEGACY_TSS2),
			legacy_record.tr == LEGACY_TSS3 ? legacy_tss[2].link : 0);
	}
}

// T of the TSS: #DB with DR6.BT before the first instruction.
static void tasks_debug(void)
{
	prepare();
	legacy_tss[1].trap = 1;
	write_dr6(0xffff0ff0);
	legacy_traps(MODE_PROT32, &switches[0], false, 0);
	report_state("trap flag", &switches[0]);
	report("trap flag: dr6 0x%lx, before the first instruction %u", read_dr6() & 0xe00f,
		legacy_record.eip == (uint32_t)(uintptr_t)legacy_end);
	write_dr6(0xffff0ff0);
}

void payload_main(void)
{
	tasks_switches();
	tasks_ring3_gate();
	tasks_registers();
	tasks_returns();
	tasks_failures();
	tasks_debug();
}
