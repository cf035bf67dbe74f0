// SPDX-License-Identifier: BSD-2-Clause
// Random bytes, decoded and executed: a guest's code can be anything.
#include "vm/insn.h"

#include "tests/unit/fake_env.h"
#include "vm/insn_alu.h"

static enum status any_read(void *owner, struct gva from, unsigned bytes, bool modify,
	uint64_t *value)
{
	(void)owner;
	(void)modify;
	assert_true(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
	*value = from.v * 0x9e3779b97f4a7c15 & insn_mask(bytes);
	return from.v % 61 == 0 ? STATUS_FAULT : STATUS_OK;
}

static enum status any_write(void *owner, struct gva to, unsigned bytes, uint64_t value)
{
	(void)owner;
	assert_true(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
	assert_true((value & ~insn_mask(bytes)) == 0);
	return to.v % 61 == 0 ? STATUS_FAULT : STATUS_OK;
}

static enum status any_port(void *owner, uint16_t port, unsigned bytes, uint64_t *value)
{
	(void)owner;
	assert_true(bytes == 1 || bytes == 2 || bytes == 4);
	*value = port;
	return STATUS_OK;
}

static enum status any_out(void *owner, uint16_t port, unsigned bytes, uint64_t value)
{
	(void)owner;
	(void)port;
	assert_true((bytes == 1 || bytes == 2 || bytes == 4) && (value & ~insn_mask(bytes)) == 0);
	return STATUS_OK;
}

static enum status any_linear(void *owner, unsigned segment, uint64_t offset, unsigned bytes,
	bool write, struct gva *to)
{
	(void)owner;
	(void)bytes;
	(void)write;
	assert_true(segment <= INSN_GS);
	to->v = offset;
	return offset % 67 == 0 ? STATUS_FAULT : STATUS_OK;
}

static enum status any_probe(void *owner, struct gva to, unsigned bytes)
{
	(void)owner;
	(void)bytes;
	return to.v % 61 == 0 ? STATUS_FAULT : STATUS_OK;
}

static enum status any_raise(void *owner, unsigned vector, uint32_t error_code)
{
	(void)owner;
	assert_true((vector == INSN_VECTOR_DIVIDE || vector == INSN_VECTOR_GENERAL) &&
		error_code == 0);
	return STATUS_FAULT;
}

static uint16_t any_selector(void *owner, unsigned segment)
{
	(void)owner;
	return (uint16_t)segment;
}

static enum status any_load_segment(void *owner, unsigned segment, uint16_t selector)
{
	(void)owner;
	(void)segment;
	return selector % 2 == 0 ? STATUS_OK : STATUS_FAULT;
}

static const struct insn_cpu_ops any_ops = {
	.linear = any_linear,
	.read = any_read,
	.write = any_write,
	.probe = any_probe,
	.raise = any_raise,
	.selector = any_selector,
	.load_segment = any_load_segment,
};

// Whatever the guest's code is: no undefined behaviour, no access of a strange size, rip moves by
// the length or not at all, and a second decoding of fewer bytes never reads past them.
static void test_random_code(void **state)
{
	static const uint8_t modes[] = {DECODE_MODE_16, DECODE_MODE_32, DECODE_MODE_64};
	static const struct insn_port_ops any_ports = {any_port, any_out};
	uint64_t gpr[16] = {0}, seed = 7;
	struct insn_cpu cpu = {.gpr = gpr, .ops = &any_ops, .rflags = 2};
	unsigned executed = 0;

	(void)state;
	for (unsigned i = 0; i < 600000; i++) {
		uint8_t code[16];
		struct insn insn;
		enum status status;

		for (unsigned k = 0; k < 16; k++) {
			seed = seed * 6364136223846793005 + 1442695040888963407;
			code[k] = (uint8_t)(seed >> 56);
			gpr[k] ^= k % 3 == 0 ? seed : seed >> 40;
		}
		if (i % 4 == 0)
			code[0] = 0x0f;
		gpr[INSN_RCX] %= 100;
		cpu.mode = modes[i % 3];
		cpu.stack_bytes = (uint8_t)(cpu.mode / 8);
		cpu.rip = 0x1000;
		status = decode_insn(cpu.mode, code, 16, &insn);
		if (status != STATUS_OK)
			continue;
		status = insn.op == INSN_INS || insn.op == INSN_OUTS ?
			insn_execute_port_string(&cpu, &insn, &any_ports) :
			insn_execute(&cpu, &insn);
		executed += status == STATUS_OK;
		if (insn.op != INSN_CALL && insn.op != INSN_JMP)
			assert_true(cpu.rip == 0x1000 + (status == STATUS_OK ? insn.length : 0u));
		assert_int_equal(decode_insn(cpu.mode, code, insn.length - 1u, &insn),
			STATUS_TRUNCATED);
	}
	assert_true(executed > 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_code),
	};

	return cmocka_run_group_tests_name("insn_random", tests, NULL, NULL);
}
