// SPDX-License-Identifier: BSD-2-Clause
// The 16550A, register by register. Section numbers are those of the PC16550D data sheet.
#include "tests/unit/fake_env.h"

#include <string.h>

#include "emul/uart16550.h"

static struct fake_env env;

static void out_port(unsigned port, unsigned value)
{
	fake_write(&env, UART16550_REGION_PORTS, port, 1, value);
}

static unsigned in_port(unsigned port)
{
	return (unsigned)fake_read(&env, UART16550_REGION_PORTS, port, 1);
}

static bool irq(void)
{
	assert_int_equal(fake_level(&env, UART16550_OUTPUT_IRQ), env.line[UART16550_OUTPUT_IRQ]);
	return env.line[UART16550_OUTPUT_IRQ];
}

static void receive(const char *text)
{
	fake_receive(&env, UART16550_PORT_CHARACTERS, text, strlen(text));
}

static size_t room(void)
{
	return uart16550_model.receive_room(env.device, UART16550_PORT_CHARACTERS);
}

static int setup(void **state)
{
	(void)state;
	fake_create(&env, &uart16550_model);
	return 0;
}

// 115200 baud, 8N1, the gate open.
static int setup_open(void **state)
{
	setup(state);
	out_port(UART_LCR, UART_LCR_DLAB);
	out_port(UART_DATA, 1);
	out_port(UART_IER, 0);
	out_port(UART_LCR, 3);
	out_port(UART_MCR, UART_MCR_OUT2 | UART_MCR_RTS | UART_MCR_DTR);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

// 8.1, table I.
static void test_reset(void **state)
{
	(void)state;
	assert_int_equal(in_port(UART_IER), 0);
	assert_int_equal(in_port(UART_IIR), UART_IIR_NONE);
	assert_int_equal(in_port(UART_LCR), 0);
	assert_int_equal(in_port(UART_MCR), 0);
	assert_int_equal(in_port(UART_LSR), 0x60);
	assert_int_equal(in_port(UART_MSR), 0xb0);
	assert_false(irq());
	fake_save_and_load(&env);
	out_port(UART_MCR, 0xff);
	out_port(UART_IER, 0xff);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(in_port(UART_MCR), 0);
	assert_int_equal(in_port(UART_IER), 0);
	assert_false(irq());
}

static void test_registers(void **state)
{
	(void)state;
	out_port(UART_SCR, 0xa5);
	out_port(UART_IER, 0xff);
	out_port(UART_MCR, 0xef);
	assert_int_equal(in_port(UART_SCR), 0xa5);
	assert_int_equal(in_port(UART_IER), 0x0f);
	assert_int_equal(in_port(UART_MCR), 0x0f);
	out_port(UART_LCR, 0x9b);
	assert_int_equal(in_port(UART_LCR), 0x9b);
	out_port(UART_DATA, 0x34); // divisor latch
	out_port(UART_IER, 0x12);
	assert_int_equal(env.output_bytes, 0);
	fake_save_and_load(&env);
	assert_int_equal(in_port(UART_DATA), 0x34);
	assert_int_equal(in_port(UART_IER), 0x12);
	out_port(UART_LCR, 0x1b);
	assert_int_equal(in_port(UART_IER), 0x0f);
	out_port(UART_LSR, 0xff); // read-only
	out_port(UART_MSR, 0xff);
	assert_int_equal(in_port(UART_LSR), 0x60);
	assert_int_equal(in_port(UART_MSR), 0xb0);
}

static void test_transmit(void **state)
{
	(void)state;
	for (const char *c = "hello"; *c != '\0'; c++) {
		out_port(UART_DATA, (uint8_t)*c);
		assert_int_equal(in_port(UART_LSR), 0x60);
	}
	assert_int_equal(env.output_bytes, 5);
	assert_memory_equal(env.output, "hello", 5);
	assert_int_equal(env.line_calls, 0);
	out_port(UART_LCR, UART_LCR_BREAK | 3);
	out_port(UART_DATA, 'x'); // the wire is held at space (8.2)
	assert_int_equal(env.output_bytes, 5);
}

// 8.5: THRE is cleared by reading IIR if it is the source, or by writing THR.
static void test_thr_empty_interrupt(void **state)
{
	(void)state;
	fake_clear(&env);
	out_port(UART_IER, UART_IER_THR_EMPTY);
	assert_true(irq());
	fake_save_and_load(&env);
	assert_int_equal(in_port(UART_IIR), UART_IIR_THR_EMPTY);
	assert_false(irq());
	assert_int_equal(in_port(UART_IIR), UART_IIR_NONE);
	fake_save_and_load(&env);
	out_port(UART_DATA, 'a');
	assert_true(irq());
	assert_int_equal(env.line_rises[0], 2);
	out_port(UART_DATA, 'b'); // without reading IIR: a new edge nevertheless
	assert_true(irq());
	assert_int_equal(env.line_rises[0], 3);
	out_port(UART_IER, 0);
	assert_false(irq());
	out_port(UART_IER, UART_IER_THR_EMPTY);
	assert_true(irq());
	out_port(UART_MCR, 0); // the gate
	assert_false(irq());
	out_port(UART_MCR, UART_MCR_OUT2 | UART_MCR_LOOP);
	assert_false(irq());
	out_port(UART_MCR, UART_MCR_OUT2);
	assert_true(irq());
	assert_int_equal(env.output_bytes, 2);
}

static void test_receive_without_fifos(void **state)
{
	(void)state;
	out_port(UART_IER, UART_IER_RECEIVED | UART_IER_LINE_STATUS);
	assert_int_equal(room(), 1);
	receive("a");
	assert_int_equal(room(), 0);
	assert_true(irq());
	assert_int_equal(in_port(UART_IIR), UART_IIR_RECEIVED);
	assert_int_equal(in_port(UART_LSR), 0x61);
	fake_save_and_load(&env);
	receive("b"); // overrun: the old character is destroyed (8.4, bit 1)
	assert_int_equal(in_port(UART_IIR), UART_IIR_LINE_STATUS);
	fake_save_and_load(&env);
	assert_int_equal(in_port(UART_LSR), 0x63);
	assert_int_equal(in_port(UART_LSR), 0x61);
	assert_int_equal(in_port(UART_DATA), 'b');
	assert_int_equal(in_port(UART_LSR), 0x60);
	assert_false(irq());
	assert_int_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns);
}

static void test_fifo_triggers(void **state)
{
	static const unsigned levels[] = {1, 4, 8, 14};

	(void)state;
	out_port(UART_IER, UART_IER_RECEIVED);
	for (unsigned i = 0; i < 4; i++) {
		out_port(UART_IIR, i << 6 | UART_FCR_CLEAR_RECEIVER | UART_FCR_ENABLE);
		for (unsigned n = 1; n < levels[i]; n++) {
			receive("x");
			assert_int_equal(in_port(UART_IIR), 0xc0 | UART_IIR_NONE);
		}
		receive("x");
		assert_true(irq());
		assert_int_equal(in_port(UART_IIR), 0xc0 | UART_IIR_RECEIVED);
		assert_int_equal(room(), 16 - levels[i]);
		fake_save_and_load(&env);
		assert_int_equal(in_port(UART_DATA), 'x');
		assert_false(irq());
	}
}

// 8.8, "FIFO interrupt mode operation": four character times of 10 bits at 115200 baud.
static void test_character_timeout(void **state)
{
	const uint64_t timeout = 4 * (10 * NS_PER_SECOND / 115200);

	(void)state;
	out_port(UART_IIR, 0x81); // trigger at 8
	out_port(UART_IER, UART_IER_RECEIVED);
	receive("abc");
	fake_save_and_load(&env);
	fake_advance(&env, timeout - 1);
	assert_false(irq());
	receive("d"); // starts anew
	fake_advance(&env, timeout - 1);
	assert_false(irq());
	fake_save_and_load(&env);
	fake_advance(&env, 1);
	assert_true(irq());
	fake_save_and_load(&env);
	assert_int_equal(in_port(UART_IIR), 0xc0 | UART_IIR_TIMEOUT);
	assert_int_equal(in_port(UART_DATA), 'a');
	assert_false(irq());
	fake_advance(&env, timeout);
	assert_int_equal(in_port(UART_IIR), 0xc0 | UART_IIR_TIMEOUT);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(in_port(UART_DATA), 'b' + i);
	assert_false(irq());
	assert_int_equal(env.deadline[0].ns, GUEST_TIME_NEVER.ns);
	receive("e");
	out_port(UART_IIR, 0x83); // clearing stops it
	fake_advance(&env, NS_PER_SECOND);
	assert_false(irq());
	assert_int_equal(in_port(UART_LSR), 0x60);
}

// Parity, a second stop bit and the divisor lengthen the character.
static void test_character_time(void **state)
{
	(void)state;
	out_port(UART_LCR, UART_LCR_DLAB | 0x0f);
	out_port(UART_DATA, 12);
	out_port(UART_LCR, 0x0f);
	out_port(UART_IIR, 0x81);
	receive("a");
	assert_int_equal(env.deadline[0].ns - env.now.ns, 4 * (12 * NS_PER_SECOND / 9600));
}

static void test_fifo_overrun(void **state)
{
	(void)state;
	out_port(UART_IIR, 0x01);
	receive("0123456789abcdef");
	assert_int_equal(room(), 0);
	assert_int_equal(in_port(UART_LSR), 0x61);
	receive("g"); // the newest is lost (8.4, bit 1)
	fake_save_and_load(&env);
	assert_int_equal(in_port(UART_LSR), 0x63);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(in_port(UART_DATA), "0123456789abcdef"[i]);
	assert_int_equal(in_port(UART_LSR), 0x60);
	assert_int_equal(in_port(UART_DATA), 0);
	receive("xy");
	out_port(UART_IIR, 0x00); // a change of bit 0 clears (8.3)
	assert_int_equal(in_port(UART_LSR), 0x60);
	out_port(UART_IIR, 0xc2); // bits count only with bit 0
	assert_int_equal(in_port(UART_IIR), UART_IIR_NONE);
	assert_int_equal(room(), 1);
}

// 8.4: conditions show when their character is at the top; bit 7 while any is in the FIFO.
static void test_break(void **state)
{
	const uint8_t conditions[] = {UART16550_BREAK};

	(void)state;
	out_port(UART_IIR, 0x01);
	out_port(UART_IER, UART_IER_LINE_STATUS);
	receive("a");
	fake_receive(&env, UART16550_PORT_CONDITIONS, conditions, 1);
	receive("b");
	assert_false(irq());
	assert_int_equal(in_port(UART_LSR), 0xe1);
	fake_save_and_load(&env);
	assert_int_equal(in_port(UART_DATA), 'a');
	assert_true(irq());
	fake_save_and_load(&env);
	assert_int_equal(in_port(UART_IIR), 0xc0 | UART_IIR_LINE_STATUS);
	assert_int_equal(in_port(UART_LSR), 0xf9);
	assert_false(irq());
	assert_int_equal(in_port(UART_LSR), 0x61);
	assert_int_equal(in_port(UART_DATA), 0);
	assert_int_equal(in_port(UART_DATA), 'b');
}

// Table IV.
static void test_priorities(void **state)
{
	(void)state;
	out_port(UART_MCR, UART_MCR_OUT2 | UART_MCR_LOOP); // moves CTS, DSR
	out_port(UART_MCR, UART_MCR_OUT2);
	out_port(UART_IER, 0x0f);
	receive("ab");
	assert_int_equal(in_port(UART_IIR), UART_IIR_LINE_STATUS);
	(void)in_port(UART_LSR);
	assert_int_equal(in_port(UART_IIR), UART_IIR_RECEIVED);
	(void)in_port(UART_DATA);
	fake_save_and_load(&env);
	assert_int_equal(in_port(UART_IIR), UART_IIR_THR_EMPTY);
	assert_true(irq());
	assert_int_equal(in_port(UART_IIR), UART_IIR_MODEM_STATUS);
	assert_int_equal(in_port(UART_IIR), UART_IIR_MODEM_STATUS);
	fake_save_and_load(&env);
	(void)in_port(UART_MSR);
	assert_int_equal(in_port(UART_IIR), UART_IIR_NONE);
	assert_false(irq());
}

// 8.6, bit 4, and 8.7.
static void test_loopback(void **state)
{
	(void)state;
	out_port(UART_MCR, UART_MCR_LOOP);
	assert_int_equal(in_port(UART_MSR), 0x0b); // CTS, DSR and DCD went low
	assert_int_equal(in_port(UART_MSR), 0x00);
	out_port(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	assert_int_equal(in_port(UART_MSR), 0x11);
	out_port(UART_MCR, UART_MCR_LOOP | UART_MCR_DTR);
	assert_int_equal(in_port(UART_MSR), 0x23);
	out_port(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
	assert_int_equal(in_port(UART_MSR), 0x42); // RI's rise is no event
	fake_save_and_load(&env);
	out_port(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2);
	assert_int_equal(in_port(UART_MSR), 0x8c);
	out_port(UART_DATA, 0x5a);
	assert_int_equal(env.output_bytes, 0);
	assert_int_equal(room(), 0);
	receive("z"); // disconnected
	assert_int_equal(in_port(UART_LSR), 0x61);
	assert_int_equal(in_port(UART_DATA), 0x5a);
	out_port(UART_LCR, 0); // five bits
	out_port(UART_DATA, 0xff);
	assert_int_equal(in_port(UART_DATA), 0x1f);
	out_port(UART_IIR, 0x01);
	for (unsigned i = 0; i < 17; i++)
		out_port(UART_DATA, i);
	assert_int_equal(in_port(UART_LSR), 0x63);
	fake_save_and_load(&env);
	out_port(UART_MCR, 0);
	assert_int_equal(in_port(UART_MSR), 0xb3);
	assert_int_equal(in_port(UART_DATA), 0);
	assert_int_equal(in_port(UART_DATA), 1);
}

static uint32_t random_bits(void)
{
	static uint64_t seed = 1;

	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(seed >> 33);
}

static void test_robustness(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		unsigned port = random_bits() % 8, size = 1u << random_bits() % 3;
		uint8_t bytes[32] = {(uint8_t)random_bits()};

		switch (random_bits() % 8) {
		case 0:
			fake_advance(&env, random_bits() % 2000000);
			break;
		case 1:
			fake_receive(&env, random_bits() % 2, bytes, random_bits() % 20);
			break;
		case 2:
		case 3:
			(void)fake_read(&env, 0, port, size);
			break;
		default:
			fake_write(&env, 0, port, size, random_bits());
			break;
		}
		if (i % 16 == 0) {
			fake_save_and_load(&env);
			fake_clear(&env);
		}
		assert_int_equal(state_check(uart16550_model.state, env.device, NULL), STATUS_OK);
		assert_true(room() <= 16);
		(void)irq();
	}
}

static void set_field(const char *name, uint64_t value)
{
	const struct state_table *table = uart16550_model.state;

	for (uint32_t i = 0; i < table->field_count; i++)
		if (strcmp(table->fields[i].name, name) == 0) {
			state_field_set(&table->fields[i], env.device, 0, value);
			return;
		}
	fail_msg("no field %s", name);
}

static void check_refused(const char *name, uint64_t bad, uint64_t good)
{
	struct state_error error;

	set_field(name, bad);
	assert_int_equal(state_check(uart16550_model.state, env.device, &error), STATUS_INVALID);
	assert_null(error.field);
	set_field(name, good);
	assert_int_equal(state_check(uart16550_model.state, env.device, NULL), STATUS_OK);
}

static void test_state(void **state)
{
	(void)state;
	fake_check_coverage(&uart16550_model);
	fake_check_ranges(&env);
	check_refused("count", 2, 1);
	check_refused("line_errors", 1, 0);
	check_refused("conditions", 2, 0);
	check_refused("fcr", 0x80, 0);
	check_refused("timeout_ns", 5, UINT64_MAX); // no FIFOs
	check_refused("timeout_pending", 1, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_OPEN(name) cmocka_unit_test_setup_teardown(name, setup_open, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reset),
		TEST(test_registers),
		TEST(test_transmit),
		TEST_OPEN(test_thr_empty_interrupt),
		TEST_OPEN(test_receive_without_fifos),
		TEST_OPEN(test_fifo_triggers),
		TEST_OPEN(test_character_timeout),
		TEST_OPEN(test_character_time),
		TEST_OPEN(test_fifo_overrun),
		TEST_OPEN(test_break),
		TEST_OPEN(test_priorities),
		TEST_OPEN(test_loopback),
		TEST(test_robustness),
		TEST(test_state),
	};

	return cmocka_run_group_tests_name("uart16550", tests, NULL, NULL);
}
