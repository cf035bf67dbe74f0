// SPDX-License-Identifier: BSD-2-Clause
// `info registers`: QEMU's layout for 64-bit CPUs, for whatever mode the CPU is in.
#include "vm/monitor_format.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define EFER_LMA BIT(10)
#define CR0_PE   BIT(0)

enum { TYPE_ACCESSED = 1, TYPE_WRITE_READ = 2, TYPE_EXPAND_CONFORM = 4 };

struct out {
	char *text;
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void print(struct out *out, const char *format, ...)
{
	size_t room = MONITOR_REGISTERS_MAX - out->used;
	va_list arguments;
	int bytes;

	va_start(arguments, format);
	bytes = vsnprintf(out->text + out->used, room, format, arguments);
	va_end(arguments);
	out->used += (size_t)bytes < room ? (size_t)bytes : room - 1;
}

static void general_print(struct out *out, const struct vcpu_state *state)
{
	static const struct {
		char name[4];
		uint8_t number;
	} order[GPR_COUNT] = {
		{"RAX", GPR_RAX}, {"RBX", GPR_RBX}, {"RCX", GPR_RCX}, {"RDX", GPR_RDX},
		{"RSI", GPR_RSI}, {"RDI", GPR_RDI}, {"RBP", GPR_RBP}, {"RSP", GPR_RSP},
		{"R8 ", GPR_R8}, {"R9 ", GPR_R9}, {"R10", GPR_R10}, {"R11", GPR_R11},
		{"R12", GPR_R12}, {"R13", GPR_R13}, {"R14", GPR_R14}, {"R15", GPR_R15},
	};

	for (unsigned i = 0; i < GPR_COUNT; i++)
		print(out, "%s=%016llx%c", order[i].name,
			(unsigned long long)state->gpr[order[i].number], i % 4 == 3 ? '\n' : ' ');
}

static void flags_print(struct out *out, const struct vcpu_state *state, unsigned cpl, bool halted)
{
	static const struct {
		char letter;
		uint8_t bit;
	} flags[] = {{'D', 10}, {'O', 11}, {'S', 7}, {'Z', 6}, {'A', 4}, {'P', 2}, {'C', 0}};

	print(out, "RIP=%016llx RFL=%08llx [", (unsigned long long)state->rip,
		(unsigned long long)state->rflags);
	for (unsigned i = 0; i < ARRAY_COUNT(flags); i++)
		print(out, "%c", (state->rflags & BIT(flags[i].bit)) != 0 ? flags[i].letter : '-');
	// No system management mode, and the A20 gate is always open.
	print(out, "] CPL=%u II=%d A20=1 SMM=0 HLT=%d\n", cpl, state->interrupt_shadow, halted);
}

// SDM 3A 3.5, table 3-2.
static const char *system_type(unsigned type, bool long_mode)
{
	static const char *const legacy[16] = {[1] = "TSS16-avl", [2] = "LDT", [3] = "TSS16-busy",
		[4] = "CallGate16", [5] = "TaskGate", [6] = "IntGate16", [7] = "TrapGate16",
		[9] = "TSS32-avl", [11] = "TSS32-busy", [12] = "CallGate32", [14] = "IntGate32",
		[15] = "TrapGate32"};
	static const char *const wide[16] = {[2] = "LDT", [9] = "TSS64-avl", [11] = "TSS64-busy",
		[12] = "CallGate64", [14] = "IntGate64", [15] = "TrapGate64"};
	const char *name = long_mode ? wide[type] : legacy[type];

	return name != NULL ? name : "reserved";
}

static void segment_kind_print(struct out *out, const struct vcpu_segment_state *segment,
	bool long_mode)
{
	unsigned attributes = segment->attributes, type = attributes & 15;
	bool big = (attributes & SEGMENT_ATTRIBUTE_DB) != 0;

	print(out, " DPL=%u ", attributes >> 5 & 3);
	if ((attributes & SEGMENT_ATTRIBUTE_S) == 0) {
		print(out, "%s", system_type(type, long_mode));
		return;
	}
	if ((attributes & SEGMENT_ATTRIBUTE_CODE) != 0) {
		bool wide = long_mode && (attributes & SEGMENT_ATTRIBUTE_L) != 0;

		print(out, "%s [%c%c", wide ? "CS64" : big ? "CS32" : "CS16",
			(type & TYPE_EXPAND_CONFORM) != 0 ? 'C' : '-',
			(type & TYPE_WRITE_READ) != 0 ? 'R' : '-');
	} else {
		print(out, "%s [%c%c", big || long_mode ? "DS  " : "DS16",
			(type & TYPE_EXPAND_CONFORM) != 0 ? 'E' : '-',
			(type & TYPE_WRITE_READ) != 0 ? 'W' : '-');
	}
	print(out, "%c]", (type & TYPE_ACCESSED) != 0 ? 'A' : '-');
}

static void segments_print(struct out *out, const struct vcpu_state *state)
{
	static const char names[SEGMENT_COUNT][4] = {
		[SEGMENT_ES] = "ES ", [SEGMENT_CS] = "CS ", [SEGMENT_SS] = "SS ",
		[SEGMENT_DS] = "DS ", [SEGMENT_FS] = "FS ", [SEGMENT_GS] = "GS ",
		[SEGMENT_LDTR] = "LDT", [SEGMENT_TR] = "TR "};
	bool long_mode = (state->efer & EFER_LMA) != 0;

	for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
		const struct vcpu_segment_state *segment = &state->segment[i];
		unsigned attributes = segment->attributes;

		// The attributes where a descriptor's upper half has them.
		print(out, "%s=%04x %016llx %08x %08x", names[i], segment->selector,
			(unsigned long long)segment->base, segment->limit,
			(attributes & 0xff) << 8 | (attributes & 0xf00) << 12);
		if ((state->cr0 & CR0_PE) != 0 && (attributes & SEGMENT_ATTRIBUTE_P) != 0)
			segment_kind_print(out, segment, long_mode);
		print(out, "\n");
	}
}

void monitor_registers_print(char text[MONITOR_REGISTERS_MAX], const struct vcpu_state *state,
	unsigned cpl, bool halted)
{
	struct out out = {.text = text};

	general_print(&out, state);
	flags_print(&out, state, cpl, halted);
	segments_print(&out, state);
	print(&out, "GDT=     %016llx %08x\nIDT=     %016llx %08x\n",
		(unsigned long long)state->gdtr_base, state->gdtr_limit,
		(unsigned long long)state->idtr_base, state->idtr_limit);
	print(&out, "CR0=%08llx CR2=%016llx CR3=%016llx CR4=%08llx\n",
		(unsigned long long)state->cr0, (unsigned long long)state->cr2,
		(unsigned long long)state->cr3, (unsigned long long)state->cr4);
	for (unsigned i = 0; i < ARRAY_COUNT(state->dr); i++)
		print(&out, "DR%u=%016llx%c", i, (unsigned long long)state->dr[i],
			i == 3 ? '\n' : ' ');
	print(&out, "DR6=%016llx DR7=%016llx\nEFER=%016llx\n", (unsigned long long)state->dr6,
		(unsigned long long)state->dr7, (unsigned long long)state->efer);
}
