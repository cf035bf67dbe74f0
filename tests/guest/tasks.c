// SPDX-License-Identifier: BSD-2-Clause
// Task switches by CALL, JMP, IRET and task gates, 32-bit and 16-bit, with their marks: busy, NT,
// links, CR0.TS, error codes; with and without paging. SDM vol. 3, 8.3. Each way by itself, and
// those that fail: cpu_tasks.c.
#include "lib/payload.h"

PAYLOAD("tasks");

enum {
	// All in the page at LOW_DATA.
	GDT = LOW_DATA, IDT = LOW_DATA + 0x200, OLD_GDTR = LOW_DATA + 0x3e0,
	RECORD = LOW_DATA + 0x400,
	TSS_MAIN = LOW_DATA + 0x500, TSS_OTHER = LOW_DATA + 0x600, TSS_FAULT = LOW_DATA + 0x700,
	TSS_NARROW = LOW_DATA + 0x800, TSS_BYTES = 104, TSS_NARROW_BYTES = 44,
	STACK_OTHER = LOW_DATA + 0xb00, STACK_FAULT = LOW_DATA + 0xc00,
	STACK_NARROW = LOW_DATA + 0xd00,
	SEL_MAIN = 0x80, SEL_OTHER = 0x88, SEL_FAULT = 0x90, SEL_NARROW = 0x98,
	SEL_NOT_PRESENT = 0xa0,
	GDT_BYTES = 0xa8, GATE_VECTOR = 0x20,
};

// What the tasks write down.
struct tasks_record {
	uint32_t runs, flags, eax, cr0, link; // of the other task
	uint32_t error[4], faults;            // of the task for #GP, and how many
	uint32_t skip;                        // bytes of the instruction that will fault
	uint32_t narrow_runs, narrow_sp;
	uint32_t main_flags;
};

extern const char tasks_code[], tasks_code_end[], tasks_other[], tasks_fault[], tasks_narrow[];
__asm__(".text\n"
	".code32\n"
	"tasks_code:\n"
	"sgdt 0x93e0\n"
	"lgdt 0x93e8\n"
	"lidt 0x93f0\n"
	"movl %cr3, %eax\n"
	"movl %eax, 0x951c\n"
	"movl %eax, 0x961c\n"
	"movl %eax, 0x971c\n"
	"movl $0x80, %eax\n"
	"ltr %ax\n"
	"clts\n"
	"movl $0xcafe, %eax\n"
	"lcall $0x88, $0\n"           // CALL, and IRET back
	"int $0x20\n"                 // a task gate
	"ljmp $0x88, $0\n"            // JMP there and back
	"lcall $0x98, $0\n"           // a 16-bit task
	"movl $7, 0x9428\n"
	"lcall $0x80, $0\n"           // busy: #GP
	"lcall $0xa0, $0\n"           // not present: #NP
	"movl $2, 0x9428\n"
	"movl $0xfff8, %eax\n"
	"movl %eax, %es\n"            // beyond the limit: #GP
	"pushfl\n"
	"popl 0x9434\n"
	"clts\n"
	"lgdt 0x93e0\n"
	"ret\n"
	// Nested: IRET; else JMP back.
	"tasks_other:\n"
	"incl 0x9400\n"
	"movl %eax, 0x9408\n"
	"movl %cr0, %ebx\n"
	"movl %ebx, 0x940c\n"
	"pushfl\n"
	"popl %ebx\n"
	"movl %ebx, 0x9404\n"
	"movzwl 0x9600, %ecx\n"
	"movl %ecx, 0x9410\n"
	"testl $0x4000, %ebx\n"
	"jz 1f\n"
	"iretl\n"
	"jmp tasks_other\n"
	"1: ljmp $0x80, $0\n"
	"jmp tasks_other\n"
	// #GP and #NP: the error code is on the stack; the instruction is skipped.
	"tasks_fault:\n"
	"movl 0x9424, %ecx\n"
	"popl %ebx\n"
	"movl %ebx, 0x9414(,%ecx,4)\n"
	"incl 0x9424\n"
	"movl 0x9428, %ecx\n"
	"addl %ecx, 0x9520\n"         // EIP of the main task
	"iretl\n"
	"jmp tasks_fault\n"
	"tasks_narrow:\n"
	"incl 0x942c\n"
	"movl %esp, 0x9430\n"
	"iretl\n"
	"tasks_code_end:\n"
	".code64\n");

static uint32_t tasks_low(const char *label)
{
	return LOW_CODE + (uint32_t)(label - tasks_code);
}

static void tss_fill(uint32_t at, uint32_t eip, uint32_t esp)
{
	volatile uint32_t *tss = (volatile uint32_t *)(uintptr_t)at;

	for (unsigned i = 0; i < TSS_BYTES / 4; i++)
		tss[i] = 0;
	tss[8] = eip;
	tss[9] = 2;
	tss[10] = 0x12345678; // EAX
	tss[14] = esp;
	for (unsigned i = 18; i < 24; i++)
		tss[i] = i == 19 ? SEL_CODE32 : SEL_DATA;
}

static void tss_narrow_fill(void)
{
	volatile uint16_t *tss = (volatile uint16_t *)(uintptr_t)TSS_NARROW;

	for (unsigned i = 0; i < TSS_NARROW_BYTES / 2; i++)
		tss[i] = 0;
	tss[7] = (uint16_t)tasks_low(tasks_narrow);
	tss[8] = 2;
	tss[13] = STACK_NARROW;
	for (unsigned i = 17; i < 21; i++)
		tss[i] = i == 18 ? SEL_CODE32 : SEL_DATA;
}

static volatile uint64_t *descriptor(unsigned selector)
{
	return (volatile uint64_t *)(uintptr_t)(GDT + selector);
}

static uint64_t system_descriptor(uint32_t base, uint32_t bytes, unsigned access)
{
	return (bytes - 1) | (uint64_t)base << 16 | (uint64_t)access << 40;
}

static void pointer_fill(uint32_t at, uint32_t bytes, uint32_t base)
{
	*(volatile uint16_t *)(uintptr_t)at = (uint16_t)(bytes - 1);
	*(volatile uint16_t *)(uintptr_t)(at + 2) = (uint16_t)base;
	*(volatile uint16_t *)(uintptr_t)(at + 4) = (uint16_t)(base >> 16);
}

static void gate_fill(unsigned vector, uint16_t tss)
{
	*(volatile uint64_t *)(uintptr_t)(IDT + 8 * vector) =
		(uint64_t)tss << 16 | (uint64_t)0x85 << 40;
}

static volatile uint64_t *own_descriptor(unsigned selector)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr;

	__asm__ volatile("sgdt %0" : "=m"(gdtr));
	return (volatile uint64_t *)(gdtr.base + selector);
}

// Long mode's own task again.
static void task_restore(void)
{
	*own_descriptor(SEL_TSS) &= ~((uint64_t)2 << 40);
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS) : "memory");
}

static void tables_fill(void)
{
	for (unsigned i = 0; i < SEL_MAIN; i += 8)
		*descriptor(i) = *own_descriptor(i);
	*descriptor(SEL_MAIN) = system_descriptor(TSS_MAIN, TSS_BYTES, 0x89);
	*descriptor(SEL_OTHER) = system_descriptor(TSS_OTHER, TSS_BYTES, 0x89);
	*descriptor(SEL_FAULT) = system_descriptor(TSS_FAULT, TSS_BYTES, 0x89);
	*descriptor(SEL_NARROW) = system_descriptor(TSS_NARROW, TSS_NARROW_BYTES, 0x81);
	*descriptor(SEL_NOT_PRESENT) = system_descriptor(TSS_OTHER, TSS_BYTES, 0x09);
	for (unsigned i = 0; i < 0x28; i++)
		*(volatile uint64_t *)(uintptr_t)(IDT + 8 * i) = 0;
	gate_fill(GATE_VECTOR, SEL_OTHER);
	gate_fill(11, SEL_FAULT);
	gate_fill(13, SEL_FAULT);
	pointer_fill(OLD_GDTR + 8, GDT_BYTES, GDT);
	pointer_fill(OLD_GDTR + 16, 0x28 * 8, IDT);
	tss_fill(TSS_MAIN, 0, 0);
	tss_fill(TSS_OTHER, tasks_low(tasks_other), STACK_OTHER);
	tss_fill(TSS_FAULT, tasks_low(tasks_fault), STACK_FAULT);
	tss_narrow_fill();
}

static void tasks_run(unsigned mode)
{
	volatile struct tasks_record *r = (volatile struct tasks_record *)(uintptr_t)RECORD;
	volatile uint32_t *words = (volatile uint32_t *)(uintptr_t)RECORD;
	const char *name = mode_names[mode];
	struct low_regs regs = {0};

	for (unsigned i = 0; i < sizeof(*r) / 4; i++)
		words[i] = 0;
	tables_fill();
	mode_run(mode, tasks_code, (size_t)(tasks_code_end - tasks_code), &regs);
	task_restore();
	report("%s.runs = %u", name, r->runs);
	report("%s.flags = 0x%x", name, r->flags); // the last was by JMP
	report("%s.eax = 0x%x", name, r->eax);
	report("%s.ts = %u", name, r->cr0 >> 3 & 1);
	report("%s.link = 0x%x", name, r->link);
	report("%s.narrow = %u sp 0x%x", name, r->narrow_runs,
		r->narrow_sp & 0xffff); // the upper half is not defined
	report("%s.faults = %u", name, r->faults);
	report("%s.errors = 0x%x 0x%x 0x%x", name, r->error[0], r->error[1], r->error[2]);
	report("%s.nt = %u", name, r->main_flags >> 14 & 1);
	report("%s.main.eax = 0x%x", name, regs.eax);
	report("%s.types = %x %x %x %x", name, (unsigned)(*descriptor(SEL_MAIN) >> 40 & 15),
		(unsigned)(*descriptor(SEL_OTHER) >> 40 & 15),
		(unsigned)(*descriptor(SEL_FAULT) >> 40 & 15),
		(unsigned)(*descriptor(SEL_NARROW) >> 40 & 15));
}

void payload_main(void)
{
	tasks_run(MODE_PROT32);
	tasks_run(MODE_PSE32);
	tasks_run(MODE_PAE32);
}
