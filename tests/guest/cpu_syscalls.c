// SPDX-License-Identifier: BSD-2-Clause
// Ways between the rings in 64-bit mode: SYSCALL and SYSRET, SYSENTER, IRET with every kind of bad
// frame, call gates and far returns, interrupt and trap gates, LAR, LSL, VERR, VERW. SDM vol. 2 and
// vol. 3, 5.8; APM vol. 2, 6.1. Lines that depend on the vendor begin with "vendor: ".
#include "lib/snippet.h"

PAYLOAD("cpu_syscalls");

enum { EFER_SCE = 1, FLAGS_DF = 1 << 10, FLAGS_NT = 1 << 14, FLAGS_AC = 1 << 18,
	SEL_GATE = 0x68, SEL_CONFORMING = 0x78, SEL_NULL3 = 3 };

extern uint64_t payload_gdt[];
extern const char entry64[], entry_gate[], landing[], user_syscall[], user_syscall_next[];
extern const char user_sysenter[], kernel_sysret64[], kernel_sysret32[], kernel_iret[];

// What an entry point finds.
struct entry_record {
	uint64_t rcx, r11, rflags, cs, ss, rsp;
	uint64_t stack[4];
};
struct entry_record entry_record;
uint64_t gate_pointer[2];

__asm__(".text\n"
	"entry64: movq %rcx, entry_record\n"
	"movq %r11, entry_record + 8\n"
	"pushfq; popq entry_record + 16\n"
	"movl %cs, %eax; movq %rax, entry_record + 24\n"
	"movl %ss, %eax; movq %rax, entry_record + 32\n"
	"movq %rsp, entry_record + 40\n"
	"int $0x81\n"
	// The gate's: notes its frame and returns to whoever called.
	"entry_gate: movl %cs, %eax; movq %rax, entry_record + 24\n"
	"movl %ss, %eax; movq %rax, entry_record + 32\n"
	"movq %rsp, entry_record + 40\n"
	"movq (%rsp), %rax; movq %rax, entry_record + 48\n"
	"movq 8(%rsp), %rax; movq %rax, entry_record + 56\n"
	"movq 16(%rsp), %rax; movq %rax, entry_record + 64\n"
	"movq 24(%rsp), %rax; movq %rax, entry_record + 72\n"
	"lretq\n"
	"landing: nop; int $0x81\n"
	"user_syscall: syscall\n"
	"user_syscall_next: int $0x81\n"
	"user_sysenter: sysenter; int $0x81\n"
	// RDI: flags for R11.
	"kernel_sysret64: movq %rdi, %r11; movq $landing, %rcx; sysretq\n"
	"kernel_sysret32: movq %rdi, %r11; movq $landing, %rcx; sysretl\n"
	// RDI: RIP, CS, RFLAGS, RSP, SS.
	"kernel_iret: pushq 32(%rdi); pushq 24(%rdi); pushq 16(%rdi); pushq 8(%rdi); pushq (%rdi)\n"
	"iretq\n");

static uint8_t user_stack[4096] __attribute__((aligned(4096)));

static void report_landing(const char *what, bool traps)
{
	if (!traps)
		report("%s = returned", what);
	else if (trap_last.vector != TRAP_USER_END)
		report("%s = #%lu error 0x%lx", what, trap_last.vector, trap_last.error);
	else
		report("%s = cs 0x%lx ss 0x%lx flags 0x%lx", what, trap_last.cs, trap_last.ss,
			trap_last.rflags);
}

struct user_run {
	const char *code;
	uint64_t rflags;
};

static void user_enter(void *argument)
{
	const struct user_run *run = (const struct user_run *)argument;

	trap_call_user((uintptr_t)run->code, run->rflags, 0);
}

static bool user_run(const char *code, uint64_t rflags)
{
	struct user_run run = {code, rflags | 2};

	return trap_catch(user_enter, &run);
}

static void step_once(struct trap_frame *frame)
{
	report("syscall.step = at the entry %u, flags 0x%lx",
		frame->rip == (uintptr_t)entry64, frame->rflags);
	frame->rflags &= ~(uint64_t)RFLAGS_TF;
	write_dr6(0xffff0ff0);
}

static void syscalls_syscall(void)
{
	static const struct {
		uint64_t flags, mask;
	} t[] = {
		{0, 0}, {0xcd5, 0}, {0xcd5, 0xffffffff}, {FLAGS_AC | FLAGS_DF, FLAGS_DF},
		{FLAGS_NT, FLAGS_NT}, {FLAGS_NT, 0}, {0x200, 0x200},
	};

	report("syscall.sce_off = %s", user_run(user_syscall, 0) && trap_last.vector == 6 ?
		"#6" : "WRONG");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	wrmsr(MSR_STAR, (uint64_t)(SEL_USER32 | 3) << 48 | (uint64_t)SEL_CODE64 << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)entry64);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		bool traps;

		wrmsr(MSR_SFMASK, t[i].mask);
		traps = user_run(user_syscall, t[i].flags);
		report("syscall.0x%lx mask 0x%lx = %u cs 0x%lx ss 0x%lx flags 0x%lx r11 0x%lx %s",
			t[i].flags, t[i].mask, traps, entry_record.cs, entry_record.ss,
			entry_record.rflags, entry_record.r11,
			entry_record.rcx == (uintptr_t)user_syscall_next ? "rcx ok" : "rcx WRONG");
	}
	trap_set_hook(1, step_once);
	wrmsr(MSR_SFMASK, 0);
	user_run(user_syscall, RFLAGS_TF);
	wrmsr(MSR_SFMASK, RFLAGS_TF);
	user_run(user_syscall, RFLAGS_TF);
	report("syscall.step_masked = flags 0x%lx", entry_record.rflags);
	trap_set_hook(1, NULL);
	wrmsr(MSR_SFMASK, 0);
}

static void call_sysret64(void *flags)
{
	((void (*)(void *))(uintptr_t)kernel_sysret64)(flags);
}

static void call_sysret32(void *flags)
{
	((void (*)(void *))(uintptr_t)kernel_sysret32)(flags);
}

static void syscalls_sysret(void)
{
	static const uint64_t flags[] = {2, 0xcd7, 0x3202, 0x244202, 0x10002, 0x20002};

	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		char what[] = "sysret.64 0";

		what[10] = (char)('0' + i);
		report_landing(what, trap_catch(call_sysret64, (void *)(uintptr_t)flags[i]));
		what[7] = '3';
		what[8] = '2';
		report_landing(what, trap_catch(call_sysret32, (void *)(uintptr_t)flags[i]));
	}
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~(uint64_t)EFER_SCE);
	report_landing("sysret.sce_off", trap_catch(call_sysret64, (void *)2));
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
}

// Intel: a way into ring 0. AMD: not in long mode.
static void syscalls_sysenter(void)
{
	bool traps;

	wrmsr(0x174, 0);
	traps = user_run(user_sysenter, 0);
	report("vendor: sysenter.cs_0 = #%lu", traps ? trap_last.vector : 0);
	wrmsr(0x174, SEL_CODE64);
	wrmsr(0x175, (uintptr_t)user_stack + 4096);
	wrmsr(0x176, (uintptr_t)entry64);
	entry_record.cs = 0;
	traps = user_run(user_sysenter, 0x202);
	report("vendor: sysenter = #%lu cs 0x%lx flags 0x%lx", traps ? trap_last.vector : 0,
		entry_record.cs, entry_record.cs != 0 ? entry_record.rflags & 0x20202 : 0);
}

static void call_iret(void *frame)
{
	((void (*)(void *))(uintptr_t)kernel_iret)(frame);
}

static void syscalls_iret(void)
{
	const uint64_t at = (uintptr_t)landing, stack = (uintptr_t)user_stack + 4096;
	const uint64_t wrong = 0x800000001000;
	const struct {
		const char *name;
		uint64_t frame[5];
	} t[] = {
		{"ring0", {at, SEL_CODE64, 2, stack, SEL_DATA}},
		{"ring0_null_ss", {at, SEL_CODE64, 2, stack, 0}},
		{"ring0_32", {at, SEL_CODE32, 2, stack, SEL_DATA}},
		{"ring3", {at, SEL_USER64, 2, stack, SEL_USERDATA}},
		{"ring3_32", {at, SEL_USER32, 2, stack, SEL_USERDATA}},
		{"ring3_flags", {at, SEL_USER64, 0x247ed7, stack, SEL_USERDATA}},
		{"ring3_fixed_flags", {at, SEL_USER64, 0xffc0802a, stack, SEL_USERDATA}},
		{"ring3_null_ss", {at, SEL_USER64, 2, stack, 0}},
		{"ring3_null3_ss", {at, SEL_USER64, 2, stack, SEL_NULL3}},
		{"ring3_32_null_ss", {at, SEL_USER32, 2, stack, SEL_NULL3}},
		{"ring3_ss_of_ring0", {at, SEL_USER64, 2, stack, SEL_DATA}},
		{"ring3_ss_code", {at, SEL_USER64, 2, stack, SEL_USER64}},
		{"ring3_ss_absent", {at, SEL_USER64, 2, stack, SEL_ABSENT | 3}},
		{"ring3_ss_beyond", {at, SEL_USER64, 2, stack, SEL_BEYOND | 3}},
		{"ring0_ss_of_ring3", {at, SEL_CODE64, 2, stack, SEL_USERDATA}},
		{"cs_null", {at, 0, 2, stack, SEL_DATA}},
		{"cs_data", {at, SEL_DATA, 2, stack, SEL_DATA}},
		{"cs_beyond", {at, SEL_BEYOND, 2, stack, SEL_DATA}},
		{"cs_system", {at, SEL_TSS, 2, stack, SEL_DATA}},
		{"cs_rpl_3_of_ring0", {at, SEL_CODE64 | 3, 2, stack, SEL_USERDATA}},
		{"cs_rpl_0_of_ring3", {at, SEL_USER64 & ~3u, 2, stack, SEL_DATA}},
		{"rip_noncanonical", {wrong, SEL_CODE64, 2, stack, SEL_DATA}},
		{"rip_noncanonical_3", {wrong, SEL_USER64, 2, stack, SEL_USERDATA}},
		{"nt_in_image", {at, SEL_USER64, 2 | FLAGS_NT, stack, SEL_USERDATA}},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		report_landing(snippet_prefix("iret", t[i].name),
			trap_catch(call_iret, (void *)(uintptr_t)t[i].frame));
	}
}

#define GATES(X) X(gate, "", "lcall *gate_pointer", "")

SNIPPETS(gate_calls, GATES)

static void gate_set(unsigned selector, unsigned type, unsigned dpl, unsigned count)
{
	uint64_t at = (uintptr_t)entry_gate;

	payload_gdt[SEL_GATE / 8] = (at & 0xffff) | (uint64_t)selector << 16 |
		(uint64_t)count << 32 | (uint64_t)type << 40 | (uint64_t)dpl << 45 |
		(at >> 16 & 0xffff) << 48;
	payload_gdt[SEL_GATE / 8 + 1] = at >> 32;
}

static void gate_report(const char *what, bool user)
{
	uint64_t *s = entry_record.stack;
	bool traps;

	entry_record.cs = 0;
	traps = snippet_traps(&gate_calls[0], user, 0, NULL);
	if (traps) {
		report("gate.%s = #%lu error 0x%lx %s", what, trap_last.vector, trap_last.error,
			snippet_place(&gate_calls[0], trap_last.rip));
		return;
	}
	report("gate.%s = cs 0x%lx ss 0x%lx, from cs 0x%lx ss 0x%lx %s %s", what, entry_record.cs,
		entry_record.ss, s[1], user ? s[3] : 0,
		s[0] == (uintptr_t)gate_calls[0].next ? "rip ok" : "rip WRONG",
		!user || s[2] < (uintptr_t)payload_gdt + 0x1000000 ? "rsp ok" : "rsp WRONG");
}

static void syscalls_gates(void)
{
	static const struct {
		const char *name;
		unsigned selector, type, dpl, count;
		bool user;
	} t[] = {
		{"same ring", SEL_CODE64, 0x8c, 0, 0, false},
		{"from ring 3", SEL_CODE64, 0x8c, 3, 0, true},
		{"dpl 0 from ring 3", SEL_CODE64, 0x8c, 0, 0, true},
		{"absent", SEL_CODE64, 0x0c, 3, 0, true},
		{"null code", 0, 0x8c, 3, 0, true},
		{"code beyond", SEL_BEYOND, 0x8c, 3, 0, true},
		{"data segment", SEL_DATA, 0x8c, 3, 0, true},
		{"code of 32 bits", SEL_CODE32, 0x8c, 3, 0, true},
		{"code of ring 3", SEL_USER64, 0x8c, 3, 0, true},
		{"code of ring 3 from 0", SEL_USER64, 0x8c, 0, 0, false},
		{"16-bit gate", SEL_CODE64, 0x84, 3, 0, true},
		{"interrupt gate", SEL_CODE64, 0x8e, 3, 0, true},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		gate_pointer[0] = (uint64_t)(SEL_GATE | (t[i].user ? 3 : 0)) << 32;
		gate_set(t[i].selector, t[i].type, t[i].dpl, t[i].count);
		gate_report(t[i].name, t[i].user);
	}
	payload_gdt[SEL_GATE / 8] = payload_gdt[SEL_GATE / 8 + 1] = 0;
}

// IF, TF, NT and RF in the handler, by the gate's type.
static void gate_hook(struct trap_frame *frame)
{
	report("gate flags = image 0x%lx, handler 0x%lx", frame->rflags,
		read_flags() & 0x14300ul);
}

static void syscalls_gate_flags(void)
{
	trap_set_hook(0x80, gate_hook);
	for (unsigned trap = 0; trap < 2; trap++) {
		uint64_t low = trap_idt[2 * 0x80], high = trap_idt[2 * 0x80 + 1];

		trap_set_gate(0x80, low | (uint64_t)trap << 40, high);
		for (unsigned i = 0; i < 2; i++) {
			__asm__ volatile("pushfq; orq %0, (%%rsp); popfq; int $0x80; pushfq; "
					 "andq $~0x44300, (%%rsp); popfq"
					 : : "r"(i == 0 ? 0x200ull : 0x44200ull) : "cc", "memory");
		}
		trap_set_present(0x80, true);
	}
	trap_set_hook(0x80, NULL);
}

// RDI: the selector; the result in RAX, ZF kept. LAR leaves bits 19 to 16 undefined.
#define LOOKS(X)                                                                                   \
	X(lar, "xorl %eax, %eax", "larl %edi, %eax", "pushfq; popq look_flags; movq %rax, look")   \
	X(lsl, "xorl %eax, %eax", "lsll %edi, %eax", "pushfq; popq look_flags; movq %rax, look")   \
	X(verr, "xorl %eax, %eax", "verr %di", "pushfq; popq look_flags; movq %rax, look")         \
	X(verw, "xorl %eax, %eax", "verw %di", "pushfq; popq look_flags; movq %rax, look")

#define LAR_MASK 0xf0ff00ul

uint64_t look, look_flags;

SNIPPETS(looks, LOOKS)

static void syscalls_looks(void)
{
	payload_gdt[SEL_CONFORMING / 8] = 0x00af9f000000ffff;
	for (unsigned selector = 0; selector <= 0x88; selector += 8) {
		for (unsigned user = 0; user < 2; user++) {
			unsigned s = selector | (user != 0 ? 3 : 0);

			print("%s: look.0x%x ring %u =", payload_name, selector, user * 3);
			for (unsigned i = 0; i < SNIPPET_COUNT(looks); i++) {
				if (snippet_traps(&looks[i], user == 1, 0, (void *)(uintptr_t)s))
					print(" #%lu", trap_last.vector);
				else if ((look_flags & 0x40) == 0)
					print(" -");
				else
					print(" %lx", i == 0 ? look & LAR_MASK : look);
			}
			print("\n");
		}
	}
	payload_gdt[SEL_CONFORMING / 8] = 0;
}

void payload_main(void)
{
	__asm__ volatile("lldt %w0" : : "r"(0));
	syscalls_syscall();
	syscalls_sysret();
	syscalls_sysenter();
	syscalls_iret();
	syscalls_gates();
	syscalls_gate_flags();
	syscalls_looks();
}
