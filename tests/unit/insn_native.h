// SPDX-License-Identifier: BSD-2-Clause
// Runs one instruction twice from the same registers and memory: natively on the CPU of the test,
// and through decode_insn() and insn_execute(); then compares. For insn_test.c alone.
#ifndef TESTS_UNIT_INSN_NATIVE_H
#define TESTS_UNIT_INSN_NATIVE_H

#include "vm/insn.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/fake_env.h"
#include "vm/insn_alu.h"

enum { AREA_BYTES = 4096, SLOT_BYTES = 16 };

// Loads flags and registers from native_state, runs the 16 bytes at native_slot, stores them
// again. Position-independent within itself: copied to a page that may be written and executed.
__asm__(".pushsection .data\n"
	"native_begin:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; pushfq\n"
	"mov %rsp, native_state(%rip)\n"
	"push native_state+8(%rip); popfq\n"
	"mov native_state+16(%rip), %rax; mov native_state+24(%rip), %rcx\n"
	"mov native_state+32(%rip), %rdx; mov native_state+40(%rip), %rbx\n"
	"mov native_state+48(%rip), %rsp; mov native_state+56(%rip), %rbp\n"
	"mov native_state+64(%rip), %rsi; mov native_state+72(%rip), %rdi\n"
	"mov native_state+80(%rip), %r8; mov native_state+88(%rip), %r9\n"
	"mov native_state+96(%rip), %r10; mov native_state+104(%rip), %r11\n"
	"mov native_state+112(%rip), %r12; mov native_state+120(%rip), %r13\n"
	"mov native_state+128(%rip), %r14; mov native_state+136(%rip), %r15\n"
	"native_slot: .fill 16, 1, 0x90\n"
	"mov %rax, native_state+16(%rip); mov %rcx, native_state+24(%rip)\n"
	"mov %rdx, native_state+32(%rip); mov %rbx, native_state+40(%rip)\n"
	"mov %rsp, native_state+48(%rip); mov %rbp, native_state+56(%rip)\n"
	"mov %rsi, native_state+64(%rip); mov %rdi, native_state+72(%rip)\n"
	"mov %r8, native_state+80(%rip); mov %r9, native_state+88(%rip)\n"
	"mov %r10, native_state+96(%rip); mov %r11, native_state+104(%rip)\n"
	"mov %r12, native_state+112(%rip); mov %r13, native_state+120(%rip)\n"
	"mov %r14, native_state+128(%rip); mov %r15, native_state+136(%rip)\n"
	"mov native_state(%rip), %rsp\n"
	"pushfq; pop native_state+8(%rip)\n"
	"popfq; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"ret\n"
	".balign 64\n"
	"native_state: .fill 144\n"
	"native_end:\n"
	".popsection\n");

extern uint8_t native_begin[], native_slot[], native_state[], native_end[];

struct state {
	uint64_t saved, rflags, gpr[16];
};

static uint8_t *page; // the copy
static uint8_t *area; // operands and stack, below 4 GiB so that 32-bit addresses reach it
static uint64_t seed = 1;
static sigjmp_buf divide_error;

static uint64_t random_u64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d;
}

// Often at an edge: 0, 1, -1, a power of two or next to one.
static uint64_t random_value(void)
{
	uint64_t value = random_u64();

	switch (value % 8) {
	case 0:
		return (value >> 8 & 3) - 1;
	case 1:
	case 2:
		return BIT(value >> 8 & 63) + (value >> 16 & 3) - 1;
	default:
		return random_u64() >> (value >> 8 & 31);
	}
}

static void on_divide_error(int number)
{
	(void)number;
	siglongjmp(divide_error, 1);
}

static int setup(void **state)
{
	static uint8_t signal_stack[1 << 16];
	stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof(signal_stack)};

	(void)state;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		0);
	area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (page == MAP_FAILED || area == MAP_FAILED || sigaltstack(&stack, NULL) != 0)
		return -1;
	memcpy(page, native_begin, (size_t)(native_end - native_begin));
	return 0;
}

// False: #DE.
static bool run_native(const uint8_t *bytes, size_t length, struct state *state)
{
	struct state *live = (struct state *)(void *)(page + (native_state - native_begin));
	void (*code)(void) = (void (*)(void))(uintptr_t)page;
	uint8_t *slot = page + (native_slot - native_begin);

	memset(slot, 0x90, SLOT_BYTES);
	memcpy(slot, bytes, length);
	*live = *state;
	if (sigsetjmp(divide_error, 1) != 0)
		return false;
	code();
	*state = *live;
	return true;
}

// The owner: linear addresses are the test's own.
static uint8_t *pointer(struct gva at, unsigned bytes)
{
	assert_true(at.v >= (uintptr_t)area && at.v + bytes <= (uintptr_t)area + AREA_BYTES);
	return area + (at.v - (uintptr_t)area);
}

static enum status own_linear(void *owner, unsigned segment, uint64_t offset, unsigned bytes,
	bool write, struct gva *to)
{
	(void)owner;
	(void)segment;
	(void)bytes;
	(void)write;
	to->v = offset;
	return STATUS_OK;
}

static enum status own_read(void *owner, struct gva from, unsigned bytes, bool modify,
	uint64_t *value)
{
	(void)owner;
	(void)modify;
	*value = 0;
	memcpy(value, pointer(from, bytes), bytes);
	return STATUS_OK;
}

static enum status own_write(void *owner, struct gva to, unsigned bytes, uint64_t value)
{
	(void)owner;
	assert_true((value & ~insn_mask(bytes)) == 0);
	memcpy(pointer(to, bytes), &value, bytes);
	return STATUS_OK;
}

static enum status own_raise(void *owner, unsigned vector, uint32_t error_code)
{
	(void)error_code;
	*(unsigned *)owner = vector;
	return STATUS_FAULT;
}

static const struct insn_cpu_ops own_ops = {
	.linear = own_linear,
	.read = own_read,
	.write = own_write,
	.raise = own_raise,
};

static _Noreturn void differ(const uint8_t *bytes, size_t length, const char *what,
	uint64_t before, uint64_t native, uint64_t ours)
{
	char text[64] = "";

	for (size_t i = 0; i < length; i++)
		snprintf(text + 3 * i, 4, "%02x ", bytes[i]);
	fail_msg("%s: %s was %#llx, is %#llx natively and %#llx here", text, what,
		(unsigned long long)before, (unsigned long long)native, (unsigned long long)ours);
	abort();
}

// Runs the bytes both ways from the same state; `flags` are compared.
static void check(const uint8_t *bytes, size_t length, const struct state *start, uint64_t flags)
{
	static uint8_t before[AREA_BYTES], after[AREA_BYTES];
	struct state native = *start, ours = *start;
	unsigned vector = 99;
	struct insn_cpu cpu = {.gpr = ours.gpr, .rip = 0x1000, .rflags = start->rflags,
		.mode = DECODE_MODE_64, .stack_bytes = 8, .ops = &own_ops, .owner = &vector};
	struct insn insn;
	enum status status;
	bool done;

	memcpy(before, area, AREA_BYTES);
	done = run_native(bytes, length, &native);
	memcpy(after, area, AREA_BYTES);
	memcpy(area, before, AREA_BYTES);
	status = decode_insn(DECODE_MODE_64, bytes, length, &insn);
	if (status != STATUS_OK || insn.length != length)
		differ(bytes, length, "decoding", 0, length, insn.length);
	status = insn_execute(&cpu, &insn);
	if (!done) {
		if (status != STATUS_FAULT || vector != INSN_VECTOR_DIVIDE)
			differ(bytes, length, "fault", 0, STATUS_FAULT, status);
		assert_memory_equal(ours.gpr, start->gpr, sizeof(ours.gpr));
		assert_true(cpu.rip == 0x1000);
		return;
	}
	if (status != STATUS_OK)
		differ(bytes, length, "status", 0, 0, status);
	assert_true(cpu.rip == 0x1000 + length);
	for (unsigned i = 0; i < 16; i++)
		if (native.gpr[i] != ours.gpr[i])
			differ(bytes, length, "register", start->gpr[i], native.gpr[i],
				ours.gpr[i]);
	if ((native.rflags ^ cpu.rflags) & flags)
		differ(bytes, length, "rflags", start->rflags, native.rflags & flags,
			cpu.rflags & flags);
	if (memcmp(after, area, AREA_BYTES) != 0)
		differ(bytes, length, "memory", 0, *(uint64_t *)(void *)(after + AREA_BYTES / 2),
			*(uint64_t *)(void *)(area + AREA_BYTES / 2));
}

static void random_state(struct state *state)
{
	uint64_t middle = (uintptr_t)area + AREA_BYTES / 2;

	memset(state, 0, sizeof(*state));
	for (unsigned i = 0; i < 16; i++)
		state->gpr[i] = random_value();
	state->gpr[INSN_RDI] = middle + random_u64() % 16;
	state->gpr[INSN_RSP] = middle + 512;
	state->rflags = 0x202 | (random_u64() & RFLAGS_ARITHMETIC);
	for (unsigned i = 0; i < AREA_BYTES / 8; i += 8)
		((uint64_t *)(void *)area)[i] = random_u64();
	for (unsigned i = 0; i < 8; i++)
		((uint64_t *)(void *)(area + AREA_BYTES / 2))[i] = random_value();
	// Operands that are equal now and then, for CMPXCHG and comparisons.
	if (random_u64() % 2)
		memcpy(&state->gpr[INSN_RAX], (void *)(uintptr_t)state->gpr[INSN_RDI], 8);
	if (random_u64() % 2)
		memcpy(&state->gpr[INSN_RDX], (uint8_t *)(uintptr_t)state->gpr[INSN_RDI] + 8, 8);
}

#endif
