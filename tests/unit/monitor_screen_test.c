// SPDX-License-Identifier: BSD-2-Clause
// The monitor's commands about a display: its text, and its picture.
#include "tests/unit/monitor_fake.h"

#include "emul/vga.h"
#include "tests/unit/fake_env.h"

static struct fake_env env;

static void set(unsigned port, unsigned index, uint8_t value)
{
	fake_write(&env, VGA_REGION_PORTS, port - VGA_PORT, 1, index);
	fake_write(&env, VGA_REGION_PORTS, port - VGA_PORT + 1, 1, value);
}

// Two rows of three characters, two lines high.
static int display_setup(void **state)
{
	setup(state);
	fake_create(&env, &vga_model);
	fake_write(&env, VGA_REGION_PORTS, 0x3c2 - VGA_PORT, 1, 1);
	set(0x3c4, 1, 1);
	set(0x3d4, 0x01, 2);
	set(0x3d4, 0x09, 1);
	set(0x3d4, 0x0a, 0x20);
	set(0x3d4, 0x12, 3);
	set(0x3d4, 0x13, 2);
	fake_write(&env, VGA_REGION_PORTS, 0x3c0 - VGA_PORT, 1, 0x20);
	return 0;
}

static int display_teardown(void **state)
{
	(void)state;
	machine.display = NULL;
	fake_destroy(&env);
	return 0;
}

static void character(unsigned at, uint8_t code)
{
	env.memory[at * 4] = code;
}

static void test_no_display(void **state)
{
	(void)state;
	check("info screen", "the machine has no display\r\n");
	check("screendump", "the machine has no display\r\n");
}

static void test_text(void **state)
{
	(void)state;
	machine.display = env.device;
	character(0, 'a');
	character(1, 0xb0);
	character(2, ' ');
	character(5, 'z');
	check("info screen", "text, 3x2\r\na?\r\n z\r\n");
	assert_null(machine.bus.owner);
	fake_write(&env, VGA_REGION_PORTS, 0x3c0 - VGA_PORT, 1, 0x00);
	fake_read(&env, VGA_REGION_PORTS, 0x3da - VGA_PORT, 1);
	fake_write(&env, VGA_REGION_PORTS, 0x3c0 - VGA_PORT, 1, 0x00);
	check_contains("info screen", "text, 3x2, blank\r\n");
	set(0x3ce, 6, 1);
	check("info screen", "graphics, 24x4, blank\r\n");
}

static void test_picture(void **state)
{
	(void)state;
	machine.display = env.device;
	check("screendump", "screendump begin 24 4\r\nMAAAAAc=\r\nscreendump end\r\n");
	env.memory[1] = 0x10; // paper, of palette entry 1: that of the DAC's entry 0
	check("screendump", "screendump begin 24 4\r\nMAAAAAc=\r\nscreendump end\r\n");
}

static int setup_machines(void **state)
{
	(void)state;
	machines_add();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_display, display_setup, display_teardown),
		cmocka_unit_test_setup_teardown(test_text, display_setup, display_teardown),
		cmocka_unit_test_setup_teardown(test_picture, display_setup, display_teardown),
	};

	return cmocka_run_group_tests_name("monitor_screen", tests, setup_machines, NULL);
}
