// SPDX-License-Identifier: BSD-2-Clause
// A guest that misbehaves. What hardware would do is all that may happen.
#include "lib/payload.h"

PAYLOAD("hostile");

enum { ROM = 0xf0000, STORM = 20000, LIMIT = 5 };

static volatile unsigned hostile_faults;

static void hostile_rom(void)
{
	bool same = true;

	for (uintptr_t at = ROM; at < ROM + 0x10000; at += 0x1000) {
		uint32_t before = read32(at);

		write32(at, ~before);
		same = same && read32(at) == before;
	}
	report_check("rom.unchanged", same);
}

static void hostile_call(void *target)
{
	((void (*)(void))target)();
}

// The handler itself jumps to nowhere, again and again.
static void hostile_fault_hook(struct trap_frame *frame)
{
	if (++hostile_faults == LIMIT)
		trap_set_hook(14, NULL);
	hostile_call((void *)(frame->rip + 0x1000));
}

static void hostile_nowhere(void)
{
	trap_set_hook(14, hostile_fault_hook);
	report_trap("nowhere", hostile_call, (void *)0x700000000000);
	report("nowhere.faults = %u", hostile_faults);
	// Physical addresses at which there is nothing: the fetch sees all ones, FF FF: #UD. The
	// bare emulator sees zeros, which are instructions.
	if (cpu_is_bare_emulator())
		report("nothing.fetch = skipped");
	else
		report_trap("nothing.fetch", hostile_call, (void *)0xd0000000);
	report_trap("noncanonical", hostile_call, (void *)(1ull << 62));
}

static void hostile_unmapped(void)
{
	uint64_t sum = 0;

	for (uint64_t at = 0xc0000000; at < 0xfec00000; at += 0x1000000) {
		write64(at + 0xff8, at);
		sum |= ~read64(at + 0xff8);
	}
	report("unmapped.sum = 0x%lx", sum);
	// Beyond what any physical address of this machine reaches.
	report("far.read = 0x%lx", read64((uintptr_t)paging_map(0, 0x7ffffff000, 0x1f)));
	paging_map(0, 0, 0);
}

static void storm_hook(struct trap_frame *frame)
{
	hostile_faults = hostile_faults + 1;
	if (hostile_faults < STORM)
		return;
	frame->rflags &= ~(uint64_t)0x100;
	frame->rip += 2; // past the loop
}

// Single-step traps without an end in sight.
static void hostile_storm(void)
{
	hostile_faults = 0;
	trap_set_hook(1, storm_hook);
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; 1: jmp 1b; nop; nop"
			 : : : "memory", "cc");
	trap_set_hook(1, NULL);
	report("storm.single_steps = %u", hostile_faults);
}

static void hostile_undefined(void *argument)
{
	(void)argument;
	__asm__ volatile("ud2");
}

static void hostile_ports(void)
{
	// Not the exit port (0x501) and not what resets the machine (0x64, 0x92, 0xcf8-0xcff).
	for (unsigned port = 0x1000; port < 0x10000; port += 3)
		outb((uint16_t)port, 0xff);
	report("ports.written = %u", (0x10000 - 0x1000 + 2) / 3);
}

static void hostile_instructions(void)
{
	unsigned vectors = 0;

	for (unsigned i = 0; i < 1000; i++)
		vectors += trap_catch(hostile_undefined, NULL);
	report("undefined.count = %u", vectors);
}

static void svm_vmrun(void *argument)
{
	__asm__ volatile("xor %%eax, %%eax; .byte 0x0f, 0x01, 0xd8" : "+D"(argument) : : "rax");
}

static void svm_vmmcall(void *argument)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xd9" : "+D"(argument));
}

static void svm_clgi(void *argument)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xdd" : "+D"(argument));
}

static void svm_stgi(void *argument)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xdc" : "+D"(argument));
}

static void svm_vmload(void *argument)
{
	__asm__ volatile("xor %%eax, %%eax; .byte 0x0f, 0x01, 0xda" : "+D"(argument) : : "rax");
}

static void vmx_vmxon(void *argument)
{
	__asm__ volatile("pushq $0; .byte 0xf3, 0x0f, 0xc7, 0x34, 0x24; popq %%rax"
			 : "+D"(argument) : : "rax");
}

static void vmx_vmcall(void *argument)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xc1" : "+D"(argument));
}

// Without EFER.SVME and CR4.VMXE all of these are #UD. APM vol. 2, 15.4; SDM vol. 3, 24.7.
static void hostile_virtualization(void)
{
	report_trap("vmrun", svm_vmrun, NULL);
	report_trap("vmload", svm_vmload, NULL);
	report_trap("stgi", svm_stgi, NULL);
	report_trap("clgi", svm_clgi, NULL);
	report_trap("vmmcall", svm_vmmcall, NULL);
	report_trap("vmxon", vmx_vmxon, NULL);
	report_trap("vmcall", vmx_vmcall, NULL);
}

void payload_main(void)
{
	hostile_rom();
	hostile_nowhere();
	hostile_unmapped();
	hostile_storm();
	hostile_instructions();
	hostile_ports();
	hostile_virtualization();
}
