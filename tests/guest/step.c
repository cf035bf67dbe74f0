// SPDX-License-Identifier: BSD-2-Clause
// Instructions that store TF, load it, lose it, or hold its trap back: what the guest sees of its
// flags must be its own, whoever steps it meanwhile. SDM vol. 3, 6.8.3, 17.2 and 17.3; APM vol. 2,
// 13.1; SYSCALL and SYSRET in APM vol. 3.
#include "lib/payload.h"

PAYLOAD("step");

#define TF 0x100u
#define SHOWN 0x47700u // AC, NT, IOPL, IF, TF and the reserved bits between

static uint64_t frame_flags;

static void note_frame(struct trap_frame *frame)
{
	frame_flags = frame->rflags;
}

static void step_images(void)
{
	uint64_t image, small, loaded;

	__asm__ volatile("pushfq; popq %0" : "=r"(image));
	__asm__ volatile("pushfw; movzwl (%%rsp), %%eax; addq $2, %%rsp; movq %%rax, %0"
			 : "=r"(small) : : "rax", "memory");
	report("pushf = 0x%lx 0x%lx", image & SHOWN, small & SHOWN & 0xffff);
	__asm__ volatile("pushq $0x202; popfq; pushfq; popq %0; cli" : "=r"(loaded) : : "cc");
	report("popf = 0x%lx", loaded & SHOWN);
	__asm__ volatile("movq %%rsp, %%rcx; movl %%ss, %%eax; pushq %%rax; pushq %%rcx;"
			 "pushq $0x40202; movl %%cs, %%eax; pushq %%rax; leaq 1f(%%rip), %%rax;"
			 "pushq %%rax; iretq; 1: pushfq; popq %0; pushq $2; popfq"
			 : "=r"(loaded) : : "rax", "rcx", "memory", "cc");
	report("iret = 0x%lx", loaded & SHOWN);
}

static void step_frames(void)
{
	for (unsigned vector = 3; vector <= 0x80; vector += 0x7d)
		trap_set_hook(vector, note_frame);
	frame_flags = TF;
	__asm__ volatile("int3" : : : "memory");
	report("int3 = 0x%lx", frame_flags & SHOWN);
	__asm__ volatile("int $0x80" : : : "memory");
	report("int80 = 0x%lx", frame_flags & SHOWN);
	__asm__ volatile("int $3" : : : "memory");
	report("int.3 = 0x%lx", frame_flags & SHOWN);
	__asm__ volatile(".byte 0x3e, 0xcd, 0x80" : : : "memory"); // with a prefix
	report("int80.prefix = 0x%lx", frame_flags & SHOWN);
	trap_set_hook(3, NULL);
	trap_set_hook(0x80, NULL);
}

static void raise_ud(void *argument)
{
	(void)argument;
	__asm__ volatile("ud2");
}

static void raise_pf(void *argument)
{
	(void)*(volatile uint8_t *)argument;
}

static void step_faults(void)
{
	report_trap("ud", raise_ud, NULL);
	report("ud.flags = 0x%lx", trap_last.rflags & SHOWN);
	report_trap("pf", raise_pf, paging_map(0, 0, 0));
	report("pf.flags = 0x%lx", trap_last.rflags & SHOWN);
}

extern const char step_syscall_entry[];
__asm__(".text\n"
	"step_syscall_entry:\n" // called by what follows: back with what was seen
	"pushfq\n"
	"popq %rax\n"
	"jmp *%rdx\n"
	"step_user:\n"
	"pushfq\n"
	"popq %rax\n"
	"int $0x80\n"
	"hlt\n");

static void syscall_here(const char *what, uint64_t mask)
{
	uint64_t seen, r11;

	wrmsr(MSR_SFMASK, mask);
	__asm__ volatile("leaq 1f(%%rip), %%rdx; pushq $0x202; popfq; syscall; 1: cli;"
			 "movq %%r11, %1"
			 : "=a"(seen), "=r"(r11) : : "rcx", "rdx", "r11", "memory", "cc");
	report("syscall.%s = r11 0x%lx flags 0x%lx", what, r11 & SHOWN, seen & SHOWN);
	report("syscall.%s.sfmask = 0x%lx", what, rdmsr(MSR_SFMASK));
}

static void sysret_to_user(void *argument)
{
	__asm__ volatile("movq %%rsp, %%rdi; movq %0, %%r11; leaq step_user(%%rip), %%rcx; sysretq"
			 : : "r"(argument) : "rcx", "rdi", "r11", "memory");
}

static void step_syscalls(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1);
	wrmsr(MSR_STAR, (uint64_t)(SEL_USERDATA - 8) << 48 | (uint64_t)SEL_CODE64 << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)step_syscall_entry);
	syscall_here("plain", 0);
	syscall_here("masked", TF | 0x200);
	trap_set_hook(0x80, NULL);
	(void)trap_catch(sysret_to_user, (void *)0x3202);
	report("sysret.frame = vector %lu flags 0x%lx", trap_last.vector,
		trap_last.rflags & SHOWN);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~1ull);
	report_trap("syscall.off", raise_ud, NULL);
}

// The guest steps itself: where it is trapped, and what its handler sees.
enum { TRAPS_MAX = 40 };
static uint8_t trap_offsets[TRAPS_MAX];
static unsigned trap_count;
static bool trap_bad;
extern const char step_self[], step_self_end[];

static void note_trap(struct trap_frame *frame)
{
	uint64_t offset = frame->rip - (uintptr_t)step_self, dr6;

	__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
	trap_bad = trap_bad || (dr6 & 0xf00f) != 0x4000;
	// The last is that of the POPF which ends it.
	trap_bad = trap_bad ||
		((frame->rflags & TF) == 0) != (frame->rip == (uintptr_t)step_self_end);
	__asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ull));
	__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
	trap_bad = trap_bad || (dr6 & 0xf00f) != 0;
	if (offset <= (uint64_t)(step_self_end - step_self) && trap_count < TRAPS_MAX)
		trap_offsets[trap_count++] = (uint8_t)offset;
}

static uint8_t string_from[8] = "1234567", string_to[8];

static void step_self_run(void)
{
	uintptr_t from = (uintptr_t)string_from, to = (uintptr_t)string_to;
	uint64_t count = 3;

	trap_set_hook(1, note_trap);
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq\n"
			 "step_self: nop\n"            // 0
			 "movl %%ss, %%eax\n"          // 1
			 "movl %%eax, %%ss\n"          // 3: holds the trap back
			 "nop\n"                       // 5
			 "pushfq\n"                    // 6
			 "popq %%rdx\n"                // 7
			 "rep movsb\n"                 // 8
			 "nop\n"                       // 10
			 "outb %%al, $0x80\n"          // 11
			 "pushfq\n"                    // 13
			 "andl $0xfffffeff, (%%rsp)\n" // 14
			 "popfq\n"                     // 21
			 "step_self_end: nop\n"        // 22
			 : "+S"(from), "+D"(to), "+c"(count) : : "rax", "rdx", "memory", "cc");
	trap_set_hook(1, NULL);
	print("step: self =");
	for (unsigned i = 0; i < trap_count; i++)
		print(" %u", (unsigned)trap_offsets[i]);
	print("\n");
	report_check("self.frames", !trap_bad);
	report("self.string = %s", (const char *)string_to);
}

void payload_main(void)
{
	step_images();
	step_frames();
	step_faults();
	step_syscalls();
	step_self_run();
}
