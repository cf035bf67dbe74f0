// SPDX-License-Identifier: BSD-2-Clause
// The console multiplexer: who has the terminal, what is kept meanwhile, and input that a machine
// takes slowly.
// clang-format off: cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include <asm/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/mem.h"
#include "vm/console.h"
#include "vm/vm.h"

static struct cpu cpu = {.self = &cpu};
static struct vm machine = {.state = VM_RUNNING};
static struct console_guest *guest;
static struct loop_task *task;
static struct timer *timer;
static void (*log_hook)(void);
static char screen[300000];
static size_t screen_bytes;
static char received[20000];
static size_t received_bytes, receive_room;
static unsigned warnings;
static char monitor_typed[256];
static bool prompt_drawn;

void console_write(const char *text, size_t bytes)
{
	assert_true(screen_bytes + bytes < sizeof(screen));
	memcpy(screen + screen_bytes, text, bytes);
	screen_bytes += bytes;
	screen[screen_bytes] = '\0';
}

void log_hook_set(void (*before_line)(void))
{
	log_hook = before_line;
}

void log_write(enum log_level level, const char *format, ...)
{
	(void)format;
	assert_int_equal(level, LOG_WARN);
	warnings++;
	log_hook();
	console_write("LOG\r\n", 5);
}

void loop_task_add(struct loop_task *added)
{
	task = added;
}

void timer_add(struct timer *added)
{
	timer = added;
	timer->deadline = TIMER_NEVER;
}

void timer_set(struct timer *set, uint64_t deadline)
{
	set->deadline = deadline;
}

static unsigned locks;

void console_lock(void)
{
	locks++;
}

void console_unlock(void)
{
	assert_true(locks-- > 0);
}

void *mem_pages_alloc(unsigned count)
{
	return calloc(count, PAGE_BYTES);
}

uint64_t clock_ns_to_tsc(uint64_t ns)
{
	return ns;
}

struct cpu *cpu_get(uint32_t index)
{
	assert_int_equal(index, 0); // the console's
	return &cpu;
}

void cpu_kick(struct cpu *of)
{
	of->attention = true;
}

size_t vm_receive(struct vm *vm, const uint8_t *bytes, size_t count)
{
	assert_ptr_equal(vm, &machine);
	if (vm->state != VM_RUNNING)
		return 0;
	if (count > receive_room)
		count = receive_room;
	assert_true(received_bytes + count < sizeof(received));
	memcpy(received + received_bytes, bytes, count);
	received_bytes += count;
	receive_room -= count;
	return count;
}

static void fake_input(const uint8_t *bytes, size_t count)
{
	strncat(monitor_typed, (const char *)bytes, count);
}

static void fake_show(void)
{
	prompt_drawn = true;
	console_monitor_write("> ", 2);
}

static bool fake_hide(void)
{
	bool was = prompt_drawn;

	prompt_drawn = false;
	if (was)
		console_monitor_write("<", 1);
	return was;
}

static void screen_clear(void)
{
	screen_bytes = 0;
	screen[0] = '\0';
}

// A call by the event loop, when the timer has expired if it is armed.
static void tick(void)
{
	if (timer->deadline != TIMER_NEVER)
		timer->deadline = 0;
	assert_false(task->run(task));
}

// The event loop, as long as something asks for it.
static void loop(void)
{
	for (unsigned i = 0; i < 10000; i++) {
		cpu.attention = false;
		tick();
		if (!cpu.attention && timer->deadline == TIMER_NEVER)
			return;
	}
	fail_msg("the console never comes to rest");
}

static void input(const char *text)
{
	console_input((const uint8_t *)text, strlen(text));
	assert_true(cpu.attention);
}

static void output(const char *text)
{
	console_guest_output(guest, (const uint8_t *)text, strlen(text));
}

static int setup(void **state)
{
	static const struct console_monitor_ops ops = {fake_input, fake_show, fake_hide};

	(void)state;
	if (guest == NULL) { // the console starts once
		syscall(SYS_arch_prctl, ARCH_SET_GS, &cpu);
		console_init();
		console_monitor_set(&ops);
		guest = console_guest_add("linux");
		assert_non_null(guest);
	}
	machine.state = VM_RUNNING;
	console_guest_attach(guest, &machine);
	console_show_guest(guest);
	receive_room = sizeof(received);
	loop();
	screen_clear();
	received_bytes = 0;
	warnings = 0;
	memset(monitor_typed, 0, sizeof(monitor_typed));
	memset(received, 0, sizeof(received));
	return 0;
}

static void test_switching(void **state)
{
	(void)state;
	output("login: ");
	input("a\x1d" "b\x1d" "c");
	loop();
	assert_string_equal(screen, "login: \r\n"
		"[monitor: Ctrl-] for the guest, 'help' lists commands]\r\n"
		"[guest linux: Ctrl-] for the monitor]\r\n");
	assert_string_equal(received, "ac");
	assert_string_equal(monitor_typed, "b");
}

static void test_prompt(void **state)
{
	(void)state;
	input("\x1d");
	loop();
	assert_string_equal(screen,
		"[monitor: Ctrl-] for the guest, 'help' lists commands]\r\n> ");
	screen_clear();
	input("\x1d");
	loop();
	assert_string_equal(screen, "<[guest linux: Ctrl-] for the monitor]\r\n");
}

static void test_guest_output_is_kept(void **state)
{
	(void)state;
	output("shown\r\n");
	input("\x1d");
	loop();
	output("kept 1\r\n");
	output("kept 2\r\n");
	screen_clear();
	input("\x1d");
	output("kept 3\r\n"); // comes behind what was kept
	loop();
	assert_string_equal(screen, "<[guest linux: Ctrl-] for the monitor]\r\n"
		"kept 1\r\nkept 2\r\nkept 3\r\n");
	screen_clear();
	output("at once");
	assert_string_equal(screen, "at once");
}

static void test_last_bytes_win(void **state)
{
	const size_t extra = 1000;
	static char note[] = "[1000 bytes of output before this were dropped]\r\n";
	const char *at;

	(void)state;
	input("\x1d");
	loop();
	for (size_t i = 0; i < CONSOLE_GUEST_KEPT + extra; i++) {
		char byte[2] = {(char)('a' + i % 23), '\0'};

		output(byte);
	}
	screen_clear();
	input("\x1d");
	loop();
	at = strstr(screen, note);
	assert_non_null(at);
	at += strlen(note);
	assert_int_equal(strlen(at), CONSOLE_GUEST_KEPT);
	for (size_t i = 0; i < CONSOLE_GUEST_KEPT; i++)
		assert_int_equal(at[i], 'a' + (i + extra) % 23);
}

// Shown, but with kept output still to be written: a flood must not push that out.
static void test_nothing_is_lost_while_shown(void **state)
{
	const size_t total = 3 * CONSOLE_GUEST_KEPT;

	(void)state;
	input("\x1d");
	loop();
	for (size_t i = 0; i < CONSOLE_GUEST_KEPT; i++)
		output("x");
	input("\x1d");
	screen_clear();
	for (size_t i = CONSOLE_GUEST_KEPT; i < total; i++)
		output("x");
	loop();
	assert_int_equal(screen_bytes, total);
	assert_null(strstr(screen, "dropped"));
}

static void test_log_lines(void **state)
{
	(void)state;
	output("half a li");
	log_warn("x");
	output("ne\r\n");
	log_warn("x");
	assert_string_equal(screen, "half a li\r\nLOG\r\nne\r\nLOG\r\n");
	input("\x1d");
	loop();
	screen_clear();
	log_warn("x");
	log_warn("x");
	assert_true(cpu.attention); // the prompt comes back without waiting for anything else
	loop();
	assert_string_equal(screen, "<LOG\r\nLOG\r\n> ");
	screen_clear();
	fake_hide(); // a command runs, and has written half a line
	console_monitor_write("text", 4);
	log_warn("x");
	assert_string_equal(screen, "<text\r\nLOG\r\n");
}

static void test_monitor_output_is_kept(void **state)
{
	(void)state;
	console_monitor_write("done\r\n", 6); // a command that ends while the guest is shown
	loop();
	assert_string_equal(screen, "");
	input("\x1d");
	loop();
	assert_string_equal(screen,
		"[monitor: Ctrl-] for the guest, 'help' lists commands]\r\ndone\r\n> ");
}

static void test_slow_guest(void **state)
{
	char pasted[CONSOLE_GUEST_INPUT + 1];

	(void)state;
	for (size_t i = 0; i < CONSOLE_GUEST_INPUT; i++)
		pasted[i] = (char)('a' + i % 25);
	pasted[CONSOLE_GUEST_INPUT] = '\0';
	receive_room = 0;
	input(pasted);
	cpu.attention = false;
	tick();
	assert_true(timer->deadline != TIMER_NEVER); // looks again, and does not spin
	assert_false(cpu.attention);
	for (unsigned i = 0; i < CONSOLE_GUEST_INPUT; i++) {
		receive_room = 1;
		tick();
	}
	assert_string_equal(received, pasted);
	assert_int_equal(warnings, 0);
	assert_true(timer->deadline == TIMER_NEVER);
}

static void test_input_overflow_warns_once(void **state)
{
	(void)state;
	receive_room = 0;
	for (unsigned i = 0; i < CONSOLE_GUEST_INPUT; i++)
		input("x");
	assert_int_equal(warnings, 0);
	input("yz");
	assert_int_equal(warnings, 1);
	receive_room = sizeof(received);
	loop();
	assert_int_equal(received_bytes, CONSOLE_GUEST_INPUT);
	receive_room = 0;
	for (unsigned i = 0; i < CONSOLE_GUEST_INPUT + 1; i++)
		input("x");
	assert_int_equal(warnings, 2); // it had recovered in between
}

static void test_paused_and_ended(void **state)
{
	(void)state;
	machine.state = VM_PAUSED;
	input("abc");
	loop(); // comes to rest: no polling of a machine that does not run
	assert_int_equal(received_bytes, 0);
	machine.state = VM_RUNNING;
	console_prompt_due(); // of the monitor, where `cont` was typed
	loop();
	assert_string_equal(received, "abc");
	machine.state = VM_ENDED;
	input("lost");
	loop();
	machine.state = VM_RUNNING;
	loop();
	assert_string_equal(received, "abc");
	console_guest_attach(guest, NULL);
	input("nobody");
	loop();
}

static void on_cpu(struct cpu *which)
{
	syscall(SYS_arch_prctl, ARCH_SET_GS, which);
}

static struct cpu other = {.self = &other, .index = 1};

static void output_elsewhere(const char *text)
{
	on_cpu(&other);
	cpu.attention = false;
	output(text);
	on_cpu(&cpu);
}

static void test_other_core(void **state)
{
	(void)state;
	output_elsewhere("one ");
	assert_string_equal(screen, ""); // the terminal is the boot CPU's
	assert_true(cpu.attention);
	output_elsewhere("two ");
	assert_false(cpu.attention); // one kick is enough
	output("three "); // here, and behind the others
	assert_string_equal(screen, "one two three ");
	output_elsewhere("four");
	loop();
	assert_string_equal(screen, "one two three four");
	assert_true(console_guest_is_shown(guest));
	output_elsewhere("!");
	console_guest_flush(guest);
	assert_string_equal(screen, "one two three four!");
	assert_int_equal(locks, 0);
}

static void test_other_core_floods(void **state)
{
	static char text[CONSOLE_GUEST_INCOMING + 1];

	(void)state;
	memset(text, 'x', CONSOLE_GUEST_INCOMING);
	output_elsewhere(text);
	assert_int_equal(warnings, 0);
	loop(); // in pieces
	assert_string_equal(screen, text);
	// Nobody takes it: some is lost, which is said once.
	output_elsewhere(text);
	output_elsewhere("y");
	screen_clear();
	loop();
	assert_int_equal(warnings, 1);
	assert_int_equal(screen_bytes, strlen("\r\nLOG\r\n") + CONSOLE_GUEST_INCOMING);
	output_elsewhere(text);
	output_elsewhere("y");
	loop();
	assert_int_equal(warnings, 1);
}

// The prompt is the boot CPU's: another one leaves it where it is and has it drawn again.
static void test_other_core_logs(void **state)
{
	(void)state;
	input("\x1d");
	loop();
	screen_clear();
	on_cpu(&other);
	log_write(LOG_WARN, "from elsewhere");
	on_cpu(&cpu);
	assert_string_equal(screen, "\r\nLOG\r\n");
	assert_true(prompt_drawn);
	loop();
	assert_string_equal(screen, "\r\nLOG\r\n> ");
	assert_false(console_guest_is_shown(guest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_switching, setup),
		cmocka_unit_test_setup(test_prompt, setup),
		cmocka_unit_test_setup(test_guest_output_is_kept, setup),
		cmocka_unit_test_setup(test_last_bytes_win, setup),
		cmocka_unit_test_setup(test_nothing_is_lost_while_shown, setup),
		cmocka_unit_test_setup(test_log_lines, setup),
		cmocka_unit_test_setup(test_monitor_output_is_kept, setup),
		cmocka_unit_test_setup(test_slow_guest, setup),
		cmocka_unit_test_setup(test_input_overflow_warns_once, setup),
		cmocka_unit_test_setup(test_paused_and_ended, setup),
		cmocka_unit_test_setup(test_other_core, setup),
		cmocka_unit_test_setup(test_other_core_floods, setup),
		cmocka_unit_test_setup(test_other_core_logs, setup),
	};

	return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
