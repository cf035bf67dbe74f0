// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/crash.h"

#include "kernel/apic.h"
#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/debug_exit.h"
#include "kernel/symbols.h"
#include "kernel/x86.h"

enum {
	BACKTRACE_MAX = 32,
	CRASH_EXIT_STATUS = 0x7f,
	STOP_WAIT_MAX = 10000000, // polls for the other CPUs: a fraction of a second
};

static struct crash_section *sections;
// (a) The CPU that reports, as index + 1; 0: none crashed. Never changes back.
static uint32_t crashed;

extern const uint8_t image_start[], image_end[];

static const char *const exception_names[32] = {
	[VECTOR_DE] = "#DE divide error", [VECTOR_DB] = "#DB debug", [VECTOR_NMI] = "NMI",
	[VECTOR_BP] = "#BP breakpoint", [VECTOR_OF] = "#OF overflow", [VECTOR_BR] = "#BR bounds",
	[VECTOR_UD] = "#UD invalid opcode", [VECTOR_NM] = "#NM device not available",
	[VECTOR_DF] = "#DF double fault", [VECTOR_TS] = "#TS invalid TSS",
	[VECTOR_NP] = "#NP segment not present", [VECTOR_SS] = "#SS stack fault",
	[VECTOR_GP] = "#GP general protection", [VECTOR_PF] = "#PF page fault",
	[VECTOR_MF] = "#MF x87 error", [VECTOR_AC] = "#AC alignment check",
	[VECTOR_MC] = "#MC machine check", [VECTOR_XM] = "#XM SIMD error",
};

void crash_section_add(struct crash_section *section)
{
	struct crash_section **at = &sections;

	while (*at != NULL)
		at = &(*at)->next;
	section->next = NULL;
	*at = section;
}

static void print_address(uint64_t address)
{
	uint64_t offset;
	const char *name = symbol_find(address, &offset);

	if (name != NULL)
		log_error("  %016llx %s+0x%llx", (unsigned long long)address, name,
			(unsigned long long)offset);
	else
		log_error("  %016llx", (unsigned long long)address);
}

// A frame is believed when it lies above the last one, close to it, and is aligned: a fiber's
// stack, the main stack or an exception stack, without asking which.
void crash_backtrace(uint64_t rip, uint64_t rbp)
{
	log_error("backtrace:");
	print_address(rip);
	for (unsigned i = 0; i < BACKTRACE_MAX && rbp != 0 && rbp % 8 == 0; i++) {
		const uint64_t *frame = (const uint64_t *)(uintptr_t)rbp;
		uint64_t next = frame[0];

		if (frame[1] < (uint64_t)(uintptr_t)image_start ||
			frame[1] >= (uint64_t)(uintptr_t)image_end)
			break;
		print_address(frame[1]);
		if (next <= rbp || next - rbp > 65536)
			break;
		rbp = next;
	}
}

static void print_last_error(void)
{
	struct error_origin origin = error_last_origin();

	if (origin.file != NULL)
		log_error("last error: %s at %s:%d", status_name(origin.status), origin.file,
			origin.line);
}

static _Noreturn void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

static _Noreturn void crash_finish(void)
{
	print_last_error();
	for (struct crash_section *section = sections; section != NULL; section = section->next)
		section->print();
	debug_exit_leave(CRASH_EXIT_STATUS);
	log_error("halted");
	halt();
}

// Stops the other CPUs by NMI: crash_exception halts them there. Interrupts may be off for good on
// a CPU that is in trouble, hence a limit.
static void others_stop(const struct cpu *self)
{
	uint32_t running = 0;

	for (uint32_t i = 0; i < cpu_count(); i++)
		if (cpu_get(i) != self && !cpu_get(i)->stopped)
			apic_command(cpu_get(i)->apic_id, APIC_COMMAND_NMI);
	for (unsigned polls = 0; polls < STOP_WAIT_MAX; polls++) {
		running = 0;
		for (uint32_t i = 0; i < cpu_count(); i++)
			running += cpu_get(i) != self && !cpu_get(i)->stopped;
		if (running == 0)
			return;
		cpu_relax();
	}
}

// True: another CPU reports already.
static bool crash_is_others(const struct cpu *self)
{
	uint32_t reporter = __atomic_load_n(&crashed, __ATOMIC_ACQUIRE);

	return reporter != 0 && reporter != self->index + 1;
}

// The first CPU that comes here reports. Later ones are halted; so is the reporter, should the
// report itself fail.
static void crash_begin(void)
{
	struct cpu *cpu = cpu_self();
	uint32_t none = 0;

	interrupts_disable();
	if (cpu->in_crash)
		halt();
	cpu->in_crash = true;
	if (!__atomic_compare_exchange_n(&crashed, &none, cpu->index + 1, false, __ATOMIC_ACQ_REL,
		__ATOMIC_ACQUIRE)) {
		cpu->stopped = true;
		halt();
	}
	if (cpu_count() > 1)
		others_stop(cpu);
	log_hook_set(NULL);
	if (console_seize())
		console_write("\r\n", 2);
	for (uint32_t i = 0; i < cpu_count(); i++)
		if (cpu_get(i) != cpu && !cpu_get(i)->stopped)
			log_error("CPU %u cannot be stopped", i);
}

static void print_registers(const struct interrupt_frame *f)
{
#define REGISTERS3(n1, v1, n2, v2, n3, v3)                                                         \
	log_error(n1 " %016llx  " n2 " %016llx  " n3 " %016llx", (unsigned long long)(v1),         \
		(unsigned long long)(v2), (unsigned long long)(v3))
	REGISTERS3("rax", f->rax, "rbx", f->rbx, "rcx", f->rcx);
	REGISTERS3("rdx", f->rdx, "rsi", f->rsi, "rdi", f->rdi);
	REGISTERS3("rbp", f->rbp, "rsp", f->rsp, "r8 ", f->r8);
	REGISTERS3("r9 ", f->r9, "r10", f->r10, "r11", f->r11);
	REGISTERS3("r12", f->r12, "r13", f->r13, "r14", f->r14);
	REGISTERS3("r15", f->r15, "rip", f->rip, "rfl", f->rflags);
	REGISTERS3("cr0", cr0_read(), "cr2", cr2_read(), "cr3", cr3_read());
	REGISTERS3("cr4", cr4_read(), "cs ", f->cs, "ss ", f->ss);
#undef REGISTERS3
}

void crash_exception(const struct interrupt_frame *frame)
{
	const char *name = frame->vector < 32 ? exception_names[frame->vector] : NULL;
	struct cpu *cpu = cpu_self();

	if (frame->vector == VECTOR_NMI && crash_is_others(cpu)) {
		cpu->stopped = true;
		halt();
	}
	if (frame->vector == VECTOR_NMI && cpu->in_crash)
		return; // the button while the report is being written
	crash_begin();
	log_error("crash: %s (vector %llu, error code 0x%llx) on CPU %u",
		name != NULL ? name : "unexpected interrupt", (unsigned long long)frame->vector,
		(unsigned long long)frame->error_code, cpu->index);
	print_registers(frame);
	crash_backtrace(frame->rip, frame->rbp);
	crash_finish();
}

void assert_fail(const char *condition, const char *file, int line)
{
	crash_begin();
	log_error("crash: assertion failed at %s:%d: %s (CPU %u)", file, line, condition,
		cpu_self()->index);
	crash_backtrace((uint64_t)(uintptr_t)__builtin_return_address(0),
		*(const uint64_t *)__builtin_frame_address(0));
	crash_finish();
}
