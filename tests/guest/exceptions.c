// SPDX-License-Identifier: BSD-2-Clause
// Each exception with its vector, error code and return address. SDM vol. 3, 6.15.
#include "lib/payload.h"

PAYLOAD("exceptions");

static uint8_t page[4096] __attribute__((aligned(4096)));

#define EXCEPTION(name, text)                                                                      \
	static void raise_##name(void *argument)                                                   \
	{                                                                                          \
		__asm__ volatile(text : "+D"(argument) : : "rax", "rcx", "rdx", "memory", "cc");   \
	}

EXCEPTION(de, "xor %%eax, %%eax; xor %%edx, %%edx; xor %%ecx, %%ecx; div %%ecx")
EXCEPTION(de_overflow, "mov $2, %%edx; xor %%eax, %%eax; mov $1, %%ecx; div %%ecx")
EXCEPTION(db_step, "pushfq; orl $0x100, (%%rsp); popfq; nop; nop")
EXCEPTION(db_icebp, ".byte 0xf1")
EXCEPTION(bp, "int3")
EXCEPTION(int_3, "int $3")
EXCEPTION(int_80, "int $0x80")
EXCEPTION(ud, "ud2")
EXCEPTION(ud_lock, ".byte 0xf0, 0x90")
EXCEPTION(ud_64, ".byte 0x06") // push es
EXCEPTION(nm, "mov %%cr0, %%rax; or $8, %%eax; mov %%rax, %%cr0; fninit")
EXCEPTION(em, "mov %%cr0, %%rax; or $4, %%eax; mov %%rax, %%cr0; fninit")
EXCEPTION(np, "mov $0x50, %%eax; mov %%eax, %%ds")
EXCEPTION(ss_absent, "mov $0x50, %%eax; mov %%eax, %%ss")
EXCEPTION(ss_noncanonical, "push %%rbp; movabs $0x800000000000, %%rbp; mov (%%rbp), %%al")
EXCEPTION(gp_selector, "mov $0x88, %%eax; mov %%eax, %%ds")
EXCEPTION(gp_noncanonical, "movabs $0x800000000000, %%rax; mov (%%rax), %%al")
EXCEPTION(gp_ltr, "mov $0x58, %%eax; ltr %%ax") // busy
EXCEPTION(gp_far_jump, "pushq $0x10; pushq $0; lretq")
EXCEPTION(ts, "pushfq; orl $0x4000, (%%rsp); popfq; iretq")
EXCEPTION(pf_read, "mov (%%rdi), %%al")
EXCEPTION(pf_write, "movb $1, (%%rdi)")
EXCEPTION(pf_fetch, "call *%%rdi")
EXCEPTION(gp_int_gate, "int $0x40")
EXCEPTION(np_gate, "int $0x41")

static void exceptions_simple(void)
{
	report_trap("de", raise_de, NULL);
	report_trap("de.overflow", raise_de_overflow, NULL);
	report_trap("db.single_step", raise_db_step, NULL);
	report("db.single_step.dr6 = 0x%lx", read_dr6() & 0xf00f);
	report_trap("db.icebp", raise_db_icebp, NULL);
	report_trap("bp", raise_bp, NULL);
	report("bp.rip = +%lu", trap_last.rip - (uintptr_t)raise_bp);
	report_trap("int3", raise_int_3, NULL);
	report_trap("int80", raise_int_80, NULL);
	report_trap("ud", raise_ud, NULL);
	report("ud.rip = +%lu", trap_last.rip - (uintptr_t)raise_ud);
	report_trap("ud.lock_nop", raise_ud_lock, NULL);
	report_trap("ud.push_es", raise_ud_64, NULL);
	report_trap("nm.ts", raise_nm, NULL);
	write_cr0(read_cr0() & ~8ull);
	report_trap("nm.em", raise_em, NULL);
	write_cr0(read_cr0() & ~4ull);
}

static void exceptions_segments(void)
{
	report_trap("np", raise_np, NULL);
	report_trap("ss.absent", raise_ss_absent, NULL);
	report_trap("ss.noncanonical", raise_ss_noncanonical, NULL);
	report_trap("gp.selector", raise_gp_selector, NULL);
	report_trap("gp.noncanonical", raise_gp_noncanonical, NULL);
	report_trap("gp.busy_tss", raise_gp_ltr, NULL);
	report_trap("gp.far_return_to_data", raise_gp_far_jump, NULL);
	report_trap("gp.iret_with_nt", raise_ts, NULL);
	trap_set_present(0x41, false);
	report_trap("np.gate", raise_np_gate, NULL);
}

static void exceptions_page_faults(void)
{
	void *at = paging_map(0, (uintptr_t)page, 0);

	report_trap("pf.read", raise_pf_read, at);
	report_check("pf.read.cr2", trap_last.cr2 == (uintptr_t)at);
	report_trap("pf.write", raise_pf_write, (char *)at + 0x123);
	report_check("pf.write.cr2", trap_last.cr2 == (uintptr_t)at + 0x123);
	report_trap("pf.fetch_without_nx", raise_pf_fetch, at);
	paging_map(0, (uintptr_t)page, 5);
	report_trap("pf.read_only", raise_pf_write, at);
	write_cr0(read_cr0() & ~0x10000ull);
	report_trap("pf.read_only_wp_off", raise_pf_write, at);
	write_cr0(read_cr0() | 0x10000);
	report("pf.wrote = %u", page[0]);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 0x800);
	paging_map(0, (uintptr_t)page, 7 | 1ull << 63);
	report_trap("pf.nx", raise_pf_fetch, at);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~0x800ull);
	report_trap("pf.reserved_bit", raise_pf_read, at);
	// Accessed and dirty bits.
	paging_map(0, (uintptr_t)page, 7);
	raise_pf_read(at);
	report("pf.accessed = 0x%lx", paging_entry(0) & 0x60);
	raise_pf_write(at);
	report("pf.dirty = 0x%lx", paging_entry(0) & 0x60);
	paging_map(0, (uintptr_t)page, 7);
	__asm__ volatile("lock incl (%0)" : : "r"(at) : "memory");
	report("pf.rmw_dirty = 0x%lx", paging_entry(0) & 0x60);
}

// Ring 3.
extern const char user_ud[], user_read[], user_hlt[], user_int80[], user_ac[], user_int40[];
extern const char user_in[];
__asm__(".text\n"
	"user_ud: ud2\n"
	"user_read: mov (%rax), %al\n ud2\n"
	"user_hlt: hlt\n ud2\n"
	"user_int80: int $0x80\n ud2\n"
	"user_ac: mov 1(%rsp), %eax\n ud2\n"
	"user_int40: int $0x40\n ud2\n"
	"user_in: in $0x21, %al\n ud2\n");

struct user_run {
	const char *code;
	uint64_t rflags;
	void *argument;
};

static void user_enter(void *argument)
{
	const struct user_run *run = argument;

	trap_enter_user((uintptr_t)run->code, run->rflags, (uintptr_t)run->argument);
}

static void user(const char *what, const char *code, uint64_t rflags, void *argument)
{
	struct user_run run = {code, rflags, argument};

	report_trap(what, user_enter, &run);
}

static void exceptions_user(void)
{
	void *at = paging_map(0, (uintptr_t)page, 3);

	user("user.ud", user_ud, 2, NULL);
	report("user.cs = 0x%lx", trap_last.cs);
	user("user.pf_supervisor_page", user_read, 2, at);
	user("user.pf_absent", user_read, 2, (char *)at + 4096);
	user("user.gp_hlt", user_hlt, 2, NULL);
	user("user.int80", user_int80, 2, NULL);
	user("user.gp_int40", user_int40, 2, NULL);
	user("user.gp_in", user_in, 2, NULL);
	user("user.unaligned", user_ac, 1 << 18 | 2, NULL);
	write_cr0(read_cr0() | 1 << 18);
	user("user.ac", user_ac, 1 << 18 | 2, NULL);
	user("user.ac_flag_clear", user_ac, 2, NULL);
	write_cr0(read_cr0() & ~(1ull << 18));
}

// A page fault whose handler's gate is absent: #NP while delivering #PF is a double fault.
static void exceptions_double_fault(void)
{
	void *at = paging_map(0, 0, 0);

	trap_set_present(14, false);
	report_trap("df", raise_pf_read, at);
	trap_set_present(14, true);
	report_check("df.cr2", trap_last.cr2 == (uintptr_t)at);
}

static volatile unsigned db_count;
static volatile uint64_t db_dr6;

static void db_hook(struct trap_frame *frame)
{
	db_count = db_count + 1;
	db_dr6 |= read_dr6();
	frame->rflags |= 1 << 16; // RF: past an instruction breakpoint
	if (db_count >= 100)
		write_dr7(0x400);
}

// SDM vol. 3, 17.2: breakpoint registers.
static void exceptions_debug_registers(void)
{
	static volatile uint32_t watched;

	trap_set_hook(1, db_hook);
	write_dr6(0);
	write_dr0((uintptr_t)&watched);
	write_dr7(0x400 | 1 | 1 << 16 | 3 << 18); // four bytes, writes
	watched = 5;
	report("db.watch_write = %u dr6 0x%lx", db_count, db_dr6 & 0xf00f);
	(void)watched;
	report("db.watch_read = %u", db_count);
	write_dr7(0x400);
	db_count = 0;
	db_dr6 = 0;
	write_dr6(0);
	write_dr0((uintptr_t)raise_bp);
	write_dr7(0x400 | 1);
	trap_catch(raise_bp, NULL);
	report("db.breakpoint = %u dr6 0x%lx then #%lu", db_count, db_dr6 & 0xf00f,
		trap_last.vector);
	write_dr7(0x400);
	report("dr7 = 0x%lx", read_dr7());
	trap_set_hook(1, NULL);
}

void payload_main(void)
{
	exceptions_simple();
	exceptions_segments();
	exceptions_page_faults();
	exceptions_user();
	exceptions_double_fault();
	exceptions_debug_registers();
	report_trap("gp.int_from_ring0", raise_gp_int_gate, NULL);
}
