// SPDX-License-Identifier: BSD-2-Clause
// What a native run cannot show: faults in the middle, bounded repeats, TF and RF, the order and
// kind of accesses, other modes, segment registers, branches, ports, locked writes.
#include "vm/insn.h"

#include <string.h>

#include "tests/unit/fake_env.h"
#include "vm/insn_alu.h"

enum { MEMORY_BYTES = 1 << 16, NO_FAULT = -1 };

struct access {
	uint64_t at;
	unsigned bytes;
	bool write, modify;
};

static uint8_t memory[MEMORY_BYTES];
static uint64_t gpr[16];
static struct access accesses[64];
static unsigned access_count;
static int64_t fault_at; // reads and writes of this byte fault
static bool fault_writes_only;
static unsigned raised, probes, port_in, port_out;
static uint64_t segment_base[6];
static uint16_t selectors[6];
static unsigned linear_segment;
static enum status replace_status;
static uint64_t replace_old;

static enum status touch(uint64_t at, unsigned bytes, bool write, bool modify)
{
	if (fault_at >= (int64_t)at && fault_at < (int64_t)(at + bytes) &&
		(write || modify || !fault_writes_only))
		return STATUS_FAULT;
	assert_true(at + bytes <= MEMORY_BYTES);
	if (access_count < ARRAY_COUNT(accesses))
		accesses[access_count] = (struct access){at, bytes, write, modify};
	access_count++;
	return STATUS_OK;
}

static enum status own_linear(void *owner, unsigned segment, uint64_t offset, unsigned bytes,
	bool write, struct gva *to)
{
	(void)owner;
	(void)write;
	linear_segment = segment;
	to->v = segment_base[segment] + offset;
	return offset + bytes > BIT(47) ? STATUS_FAULT : STATUS_OK;
}

static enum status own_read(void *owner, struct gva from, unsigned bytes, bool modify,
	uint64_t *value)
{
	enum status status = touch(from.v, bytes, false, modify);

	(void)owner;
	*value = 0;
	if (status == STATUS_OK)
		memcpy(value, memory + from.v, bytes);
	return status;
}

static enum status own_write(void *owner, struct gva to, unsigned bytes, uint64_t value)
{
	enum status status = touch(to.v, bytes, true, false);

	(void)owner;
	if (status == STATUS_OK)
		memcpy(memory + to.v, &value, bytes);
	return status;
}

static enum status own_replace(void *owner, struct gva to, unsigned bytes, uint64_t old,
	uint64_t value)
{
	replace_old = old;
	return replace_status == STATUS_OK ? own_write(owner, to, bytes, value) : replace_status;
}

static enum status own_probe(void *owner, struct gva to, unsigned bytes)
{
	(void)owner;
	probes++;
	return fault_at >= (int64_t)to.v && fault_at < (int64_t)(to.v + bytes) ? STATUS_FAULT :
		STATUS_OK;
}

static enum status own_raise(void *owner, unsigned vector, uint32_t error_code)
{
	(void)owner;
	assert_int_equal(error_code, 0);
	raised = vector;
	return STATUS_FAULT;
}

static uint16_t own_selector(void *owner, unsigned segment)
{
	(void)owner;
	return selectors[segment];
}

static enum status own_load_segment(void *owner, unsigned segment, uint16_t selector)
{
	(void)owner;
	selectors[segment] = selector;
	return STATUS_OK;
}

static enum status own_in(void *owner, uint16_t port, unsigned bytes, uint64_t *value)
{
	(void)owner;
	assert_int_equal(port, 0x1f0);
	*value = (0x11223344 + port_in++) & insn_mask(bytes);
	return STATUS_OK;
}

static enum status own_out(void *owner, uint16_t port, unsigned bytes, uint64_t value)
{
	(void)owner;
	(void)bytes;
	assert_int_equal(port, 0x1f0);
	port_out += (unsigned)value;
	return STATUS_OK;
}

static const struct insn_port_ops ports = {own_in, own_out};
static struct insn_cpu_ops ops;
static struct insn_cpu cpu;

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MEMORY_BYTES; i++)
		memory[i] = (uint8_t)(i * 7 + (i >> 8));
	memset(gpr, 0, sizeof(gpr));
	memset(segment_base, 0, sizeof(segment_base));
	ops = (struct insn_cpu_ops){own_linear, own_read, own_write, NULL, own_probe, own_raise,
		own_selector, own_load_segment};
	cpu = (struct insn_cpu){.gpr = gpr, .rip = 0x1000, .rflags = 2, .ops = &ops,
		.mode = DECODE_MODE_64, .stack_bytes = 8};
	access_count = probes = port_in = port_out = 0;
	raised = 99;
	fault_at = NO_FAULT;
	fault_writes_only = false;
	replace_status = STATUS_OK;
	return 0;
}

static enum status run(const char *bytes, size_t length)
{
	uint8_t code[16] = {0};
	struct insn insn;

	memcpy(code, bytes, length);
	assert_int_equal(decode_insn(cpu.mode, code, 16, &insn), STATUS_OK);
	assert_int_equal(insn.length, length);
	if (insn.op == INSN_INS || insn.op == INSN_OUTS)
		return insn_execute_port_string(&cpu, &insn, &ports);
	return insn_execute(&cpu, &insn);
}

#define RUN(bytes) run(bytes, sizeof(bytes) - 1)

static uint64_t peek(uint64_t at, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, memory + at, bytes);
	return value;
}

// A fault leaves registers, flags and memory alone.
static void test_fault(void **state)
{
	static const struct { const char *bytes; size_t length; } all[] = {
		{"\x8b\x07", 2}, {"\x89\x07", 2}, {"\x01\x07", 2}, {"\x03\x07", 2}, {"\x87\x07", 2},
		{"\x0f\xc1\x07", 3}, {"\x0f\xb1\x07", 3}, {"\xf7\x27", 2}, {"\x0f\xab\x07", 3},
		{"\xd1\x27", 2}, {"\xff\x37", 2}, {"\x8f\x07", 2}, {"\xff\x17", 2}, {"\xa5", 1},
		{"\x0f\x94\x07", 3}, {"\x0f\xc7\x0f", 3}, {"\x48\x0f\xc7\x0f", 4},
	};
	static uint8_t before[MEMORY_BYTES];

	for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
		uint64_t saved[16];

		setup(state);
		for (unsigned r = 0; r < 16; r++)
			gpr[r] = 0x4000 + 0x100 * r;
		gpr[INSN_RAX] = 3; // a bit number too
		gpr[INSN_RCX] = 3;
		fault_at = (int64_t)gpr[INSN_RDI];
		memcpy(saved, gpr, sizeof(saved));
		memcpy(before, memory, sizeof(before));
		assert_int_equal(run(all[i].bytes, all[i].length), STATUS_FAULT);
		assert_memory_equal(saved, gpr, sizeof(saved));
		assert_memory_equal(before, memory, sizeof(before));
		assert_true(cpu.rflags == 2 && cpu.rip == 0x1000);
	}
}

// A read-modify-write tells the read that a write follows, so that a read-only page faults as a
// write and the device is not asked.
static void test_modify(void **state)
{
	(void)state;
	gpr[INSN_RDI] = 0x2000;
	assert_int_equal(RUN("\x01\x07"), STATUS_OK);
	assert_int_equal(access_count, 2);
	assert_true(accesses[0].modify && !accesses[0].write);
	assert_true(accesses[1].write && accesses[1].bytes == 4);
	access_count = 0;
	assert_int_equal(RUN("\x39\x07"), STATUS_OK); // CMP only reads
	assert_int_equal(access_count, 1);
	assert_false(accesses[0].modify);
	access_count = 0;
	assert_int_equal(RUN("\x0f\x18\x07"), STATUS_OK); // PREFETCH does not even do that
	assert_int_equal(access_count, 0);
	fault_at = 0x2000;
	fault_writes_only = true;
	assert_int_equal(RUN("\x0f\xab\x07"), STATUS_FAULT);
	assert_int_equal(access_count, 0);
}

static void test_locked(void **state)
{
	(void)state;
	ops.replace = own_replace;
	gpr[INSN_RDI] = 0x2000;
	gpr[INSN_RAX] = 5;
	memcpy(memory + 0x2000, "\x07\0\0\0", 4);
	assert_int_equal(RUN("\xf0\x01\x07"), STATUS_OK);
	assert_true(replace_old == 7 && peek(0x2000, 4) == 12);
	replace_status = STATUS_AGAIN; // another vcpu was faster
	assert_int_equal(RUN("\xf0\x0f\xc1\x07"), STATUS_AGAIN);
	assert_true(gpr[INSN_RAX] == 5 && cpu.rip == 0x1003);
	assert_int_equal(RUN("\x87\x07"), STATUS_AGAIN); // XCHG locks by itself
	assert_true(gpr[INSN_RAX] == 5);
	assert_int_equal(RUN("\x01\x07"), STATUS_OK); // not locked
	assert_true(peek(0x2000, 4) == 17);
}

// REP stops after a while with rip in place, and goes on.
static void test_repeat_bound(void **state)
{
	unsigned calls = 0;

	(void)state;
	gpr[INSN_RDI] = 0x1000;
	gpr[INSN_RCX] = 3000;
	gpr[INSN_RAX] = 0x55667788;
	while (cpu.rip == 0x1000) {
		assert_int_equal(RUN("\xf3\xab"), STATUS_OK);
		calls++;
		assert_int_equal((cpu.rflags & RFLAGS_RF) != 0, cpu.rip == 0x1000);
		assert_false(cpu.single_step);
	}
	assert_int_equal(calls, 3); // 12,000 bytes
	assert_true(gpr[INSN_RCX] == 0 && gpr[INSN_RDI] == 0x1000 + 12000);
	assert_true(peek(0x1000 + 11996, 4) == 0x55667788);
	assert_true(cpu.rip == 0x1002);
}

// A fault in the middle of REP keeps what is done (SDM 2B REP), but not the flags.
static void test_repeat_fault(void **state)
{
	(void)state;
	gpr[INSN_RSI] = 0x2000;
	gpr[INSN_RDI] = 0x3000;
	gpr[INSN_RCX] = 10;
	fault_at = 0x3006;
	assert_int_equal(RUN("\xf3\x66\xa5"), STATUS_FAULT);
	assert_true(gpr[INSN_RCX] == 7 && gpr[INSN_RSI] == 0x2006 && gpr[INSN_RDI] == 0x3006);
	assert_memory_equal(memory + 0x2000, memory + 0x3000, 6);
	assert_true(cpu.rip == 0x1000);
	setup(state);
	memset(memory + 0x3000, 0x11, 16);
	gpr[INSN_RDI] = 0x3000;
	gpr[INSN_RCX] = 10;
	fault_at = 0x3002;
	assert_int_equal(RUN("\xf2\xae"), STATUS_FAULT);
	assert_true(gpr[INSN_RCX] == 8 && cpu.rflags == 2);
}

static void test_trap_flag(void **state)
{
	(void)state;
	cpu.rflags |= RFLAGS_TF | RFLAGS_RF;
	gpr[INSN_RDI] = 0x3000;
	gpr[INSN_RCX] = 2;
	assert_int_equal(RUN("\xf3\xaa"), STATUS_OK);
	assert_true(cpu.single_step && cpu.rip == 0x1000 && gpr[INSN_RCX] == 1);
	assert_int_equal(RUN("\xf3\xaa"), STATUS_OK);
	assert_true(cpu.single_step && cpu.rip == 0x1002);
	assert_false(cpu.rflags & RFLAGS_RF);
	cpu.rflags |= RFLAGS_RF;
	assert_int_equal(RUN("\x8b\x07"), STATUS_OK);
	assert_true(cpu.single_step && !(cpu.rflags & RFLAGS_RF));
}

static void test_addresses(void **state)
{
	(void)state;
	assert_int_equal(RUN("\x8b\x05\x10\0\0\0"), STATUS_OK); // mov eax, [rip+16]
	assert_true(accesses[0].at == 0x1016);
	segment_base[INSN_GS] = 0x100;
	gpr[INSN_RDI] = 0x2000;
	assert_int_equal(RUN("\x65\x8b\x07"), STATUS_OK);
	assert_true(linear_segment == INSN_GS && accesses[1].at == 0x2100);
	linear_segment = 99;
	assert_int_equal(RUN("\x3e\x8b\x07"), STATUS_OK); // flat in 64-bit mode
	assert_int_equal(linear_segment, 99);
	gpr[INSN_RDI] = BIT(47) - 2; // the end of the canonical half is the owner's business
	assert_int_equal(RUN("\x8b\x07"), STATUS_FAULT);
	assert_int_equal(linear_segment, INSN_DS);
	gpr[INSN_RBP] = BIT(47);
	assert_int_equal(RUN("\x8b\x45\x00"), STATUS_FAULT);
	assert_int_equal(linear_segment, INSN_SS);
}

// 16-bit mode: offsets wrap at 64 KiB, bases are added, rip and the stack are 16 bits wide.
static void test_16_bit(void **state)
{
	(void)state;
	cpu.mode = DECODE_MODE_16;
	cpu.stack_bytes = 2;
	segment_base[INSN_DS] = 0x100;
	gpr[INSN_RBX] = 0xffff0000fff0;
	gpr[INSN_RSI] = 0x20;
	assert_int_equal(RUN("\x8b\x00"), STATUS_OK); // mov ax, [bx+si]
	assert_true(accesses[0].at == 0x110 && accesses[0].bytes == 2);
	gpr[INSN_RSP] = 0x12340000;
	segment_base[INSN_SS] = 0;
	assert_int_equal(RUN("\xff\x30"), STATUS_OK); // push word [bx+si]
	assert_true(gpr[INSN_RSP] == 0x1234fffe && accesses[2].at == 0xfffe);
	gpr[INSN_RDI] = 0xabcd0001;
	gpr[INSN_RCX] = 0x99990002;
	cpu.rflags |= RFLAGS_DF;
	assert_int_equal(RUN("\xf3\xaa"), STATUS_OK); // di passes 0
	assert_true(gpr[INSN_RDI] == 0xabcdffff && gpr[INSN_RCX] == 0x99990000);
	cpu.mode = DECODE_MODE_32;
	cpu.rip = 0xfffffffe;
	gpr[INSN_RDI] = 0x40;
	assert_int_equal(RUN("\x8b\x07"), STATUS_OK);
	assert_true(cpu.rip == 0);
}

static void test_segments(void **state)
{
	(void)state;
	selectors[INSN_DS] = 0x2b;
	gpr[INSN_RDI] = 0x2000;
	assert_int_equal(RUN("\x8c\x1f"), STATUS_OK); // mov [rdi], ds: always 16 bits
	assert_true(peek(0x2000, 2) == 0x2b && accesses[0].bytes == 2);
	memcpy(memory + 0x2000, "\x33\x00", 2);
	assert_int_equal(RUN("\x8e\x17"), STATUS_OK); // mov ss, [rdi]
	assert_true(selectors[INSN_SS] == 0x33 && cpu.stack_shadow);
	assert_int_equal(RUN("\x8e\x07"), STATUS_OK); // mov es, [rdi]
	assert_false(cpu.stack_shadow);
	gpr[INSN_RSP] = 0x3000;
	selectors[INSN_FS] = 0x53;
	assert_int_equal(RUN("\x0f\xa0"), STATUS_OK); // push fs
	assert_true(gpr[INSN_RSP] == 0x2ff8 && peek(0x2ff8, 8) == 0x53);
	assert_int_equal(RUN("\x0f\xa9"), STATUS_OK); // pop gs
	assert_true(gpr[INSN_RSP] == 0x3000 && selectors[INSN_GS] == 0x53);
}

static void test_branches(void **state)
{
	uint64_t target = 0x123456;

	(void)state;
	gpr[INSN_RDI] = 0x2000;
	gpr[INSN_RSP] = 0x3000;
	memcpy(memory + 0x2000, &target, 8);
	assert_int_equal(RUN("\xff\x27"), STATUS_OK);
	assert_true(cpu.rip == 0x123456 && gpr[INSN_RSP] == 0x3000);
	cpu.rip = 0x1000;
	assert_int_equal(RUN("\xff\x17"), STATUS_OK);
	assert_true(cpu.rip == 0x123456 && gpr[INSN_RSP] == 0x2ff8 && peek(0x2ff8, 8) == 0x1002);
	target = BIT(50); // not canonical: nothing is pushed
	memcpy(memory + 0x2000, &target, 8);
	assert_int_equal(RUN("\xff\x17"), STATUS_FAULT);
	assert_true(gpr[INSN_RSP] == 0x2ff8);
	assert_int_equal(linear_segment, INSN_CS);
}

static void test_raised(void **state)
{
	(void)state;
	gpr[INSN_RDI] = 0x2008;
	assert_int_equal(RUN("\x48\x0f\xc7\x0f"), STATUS_FAULT); // CMPXCHG16B, misaligned
	assert_int_equal(raised, INSN_VECTOR_GENERAL);
	memset(memory + 0x2000, 0, 16);
	assert_int_equal(RUN("\xf7\x37"), STATUS_FAULT); // DIV by zero
	assert_int_equal(raised, INSN_VECTOR_DIVIDE);
	assert_true(cpu.rip == 0x1000);
}

static void test_ports(void **state)
{
	(void)state;
	gpr[INSN_RDX] = 0xf00001f0;
	gpr[INSN_RDI] = 0x3000;
	gpr[INSN_RCX] = 3;
	assert_int_equal(RUN("\xf3\x66\x6d"), STATUS_OK);
	assert_true(peek(0x3000, 2) == 0x3344 && peek(0x3004, 2) == 0x3346);
	assert_true(gpr[INSN_RCX] == 0 && gpr[INSN_RDI] == 0x3006 && probes == 3);
	// A destination that faults leaves the data in the port.
	fault_at = 0x3006;
	assert_int_equal(RUN("\x66\x6d"), STATUS_FAULT);
	assert_int_equal(port_in, 3);
	gpr[INSN_RSI] = 0x2000;
	gpr[INSN_RCX] = 2;
	memcpy(memory + 0x2000, "\x05\x06", 2);
	assert_int_equal(RUN("\xf3\x6e"), STATUS_OK);
	assert_int_equal(port_out, 11);
	assert_true(gpr[INSN_RSI] == 0x2002);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fault, setup),
		cmocka_unit_test_setup(test_modify, setup),
		cmocka_unit_test_setup(test_locked, setup),
		cmocka_unit_test_setup(test_repeat_bound, setup),
		cmocka_unit_test_setup(test_repeat_fault, setup),
		cmocka_unit_test_setup(test_trap_flag, setup),
		cmocka_unit_test_setup(test_addresses, setup),
		cmocka_unit_test_setup(test_16_bit, setup),
		cmocka_unit_test_setup(test_segments, setup),
		cmocka_unit_test_setup(test_branches, setup),
		cmocka_unit_test_setup(test_raised, setup),
		cmocka_unit_test_setup(test_ports, setup),
	};

	return cmocka_run_group_tests_name("insn_model", tests, NULL, NULL);
}
