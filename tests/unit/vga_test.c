// SPDX-License-Identifier: BSD-2-Clause
// The VGA's registers, its window and its state: IBM's Video Subsystem, QEMU's standard-vga.rst.
#include "tests/unit/fake_env.h"
#include "tests/unit/vga_bench.h"

static void test_registers(void **state)
{
	(void)state;
	port_write(0x3c2, 0xff);
	assert_int_equal(port_read(0x3cc), 0xef);
	for (unsigned i = 0; i < 5; i++) {
		static const uint8_t bits[] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};

		indexed_write(0x3c4, i, 0xff);
		assert_int_equal(indexed_read(0x3c4, i), bits[i]);
	}
	for (unsigned i = 0; i < 9; i++) {
		static const uint8_t bits[] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f,
			0xff};

		indexed_write(0x3ce, i, 0xff);
		assert_int_equal(indexed_read(0x3ce, i), bits[i]);
	}
	for (unsigned i = 0; i < 25; i++) {
		indexed_write(0x3d4, i, 0x5a);
		assert_int_equal(indexed_read(0x3d4, i), 0x5a);
	}
	assert_int_equal(indexed_read(0x3d4, 0x40), 0);
	assert_int_equal(indexed_read(0x3c4, 7), 0);
	port_write(0x3da, 0xff);
	assert_int_equal(port_read(0x3ca), 0x10);
}

static void test_protected_crtc(void **state)
{
	(void)state;
	port_write(0x3c2, 1);
	indexed_write(0x3d4, 0x11, 0x80);
	indexed_write(0x3d4, 0, 0x5f);
	indexed_write(0x3d4, 7, 0xff);
	indexed_write(0x3d4, 8, 0x12);
	assert_int_equal(indexed_read(0x3d4, 0), 0);
	assert_int_equal(indexed_read(0x3d4, 7), 0x10);
	assert_int_equal(indexed_read(0x3d4, 8), 0x12);
}

// The CRTC's ports are those of a monochrome display until the guest says otherwise.
static void test_monochrome(void **state)
{
	(void)state;
	indexed_write(0x3b4, 0x0e, 0x77);
	assert_int_equal(indexed_read(0x3b4, 0x0e), 0x77);
	assert_int_equal(port_read(0x3d4), 0xff);
	port_write(0x3d5, 1);
	port_write(0x3c2, 1);
	assert_int_equal(indexed_read(0x3d4, 0x0e), 0x77);
	assert_int_equal(port_read(0x3b4), 0xff);
}

static void test_attributes(void **state)
{
	(void)state;
	port_write(0x3c2, 1);
	port_read(0x3da);
	port_write(0x3c0, 0x31);
	assert_int_equal(port_read(0x3c0), 0);
	port_write(0x3c0, 0xab);
	assert_int_equal(port_read(0x3c0), 0x31);
	assert_int_equal(port_read(0x3c1), 0xab);
	port_write(0x3c0, 2);
	port_read(0x3da); // an index comes next, again
	port_write(0x3c0, 3);
	port_write(0x3c0, 0xff);
	assert_int_equal(port_read(0x3c1), 0x3f);
	port_write(0x3c0, 0x1f);
	port_write(0x3c0, 0xff);
	assert_int_equal(port_read(0x3c1), 0);
}

static void test_palette(void **state)
{
	(void)state;
	port_write(0x3c8, 0xff);
	assert_int_equal(port_read(0x3c7), 0);
	for (unsigned i = 0; i < 6; i++)
		port_write(0x3c9, (uint8_t)(10 + i));
	assert_int_equal(port_read(0x3c8), 1); // it wraps
	port_write(0x3c7, 0xff);
	assert_int_equal(port_read(0x3c7), 3);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(port_read(0x3c9), 10 + i);
	port_write(0x3c8, 5);
	port_write(0x3c9, 1);
	port_write(0x3c9, 2); // nothing yet: an entry changes at once
	port_write(0x3c7, 5);
	assert_int_equal(port_read(0x3c9), 0);
	port_write(0x3c6, 0x0f);
	assert_int_equal(port_read(0x3c6), 0x0f);
}

// Of a frame of 449 lines of 900 dots: where the beam is depends on time alone.
static void test_retrace(void **state)
{
	unsigned retraces = 0, hidden = 0;
	uint8_t before = 0;

	(void)state;
	mode_text();
	for (unsigned line = 0; line < 449 * 10; line++) {
		uint8_t status;

		env.now.ns = (uint64_t)line * 900 * 1000000000 / 28322000 + 1000;
		status = port_read(0x3da);
		assert_int_equal(status & ~9, 0);
		assert_true((status & 8) == 0 || (status & 1) != 0);
		retraces += (status & 8) != 0 && (before & 8) == 0;
		hidden += status & 1;
		before = status;
		assert_int_equal(port_read(0x3da), status);
	}
	assert_int_equal(retraces, 10);
	assert_int_equal(hidden, 490);
}

static void test_retrace_without_a_mode(void **state)
{
	bool seen[2] = {false, false};

	(void)state;
	port_write(0x3c2, 1);
	for (unsigned i = 0; i < 1000; i++) {
		env.now.ns += 777;
		seen[port_read(0x3da) >> 3 & 1] = true;
	}
	assert_true(seen[0] && seen[1]);
}

static void test_write_modes(void **state)
{
	(void)state;
	mode_planar();
	window_write(0, 0xa5);
	assert_int_equal(planes(0), 0xa5a5a5a5);
	indexed_write(0x3c4, 2, 0x05); // two planes
	window_write(0, 0xff);
	assert_int_equal(planes(0), 0xa5ffa5ff);
	indexed_write(0x3c4, 2, 0x0f);
	indexed_write(0x3ce, 0, 0x09); // set and reset
	indexed_write(0x3ce, 1, 0x0b);
	window_write(1, 0x3c);
	assert_int_equal(planes(1), 0xff3c00ff);
	indexed_write(0x3ce, 1, 0);
	indexed_write(0x3ce, 3, 0x03); // rotated by three
	window_write(2, 0x0f);
	assert_int_equal(planes(2), 0xe1e1e1e1);
	indexed_write(0x3ce, 3, 0x18); // XOR with the latches
	assert_int_equal(window_read(1), 0xff);
	window_write(3, 0xf0);
	assert_int_equal(planes(3), 0x0fccf00f);
	indexed_write(0x3ce, 3, 0x08);
	window_write(3, 0xf0);
	assert_int_equal(planes(3), 0xf03000f0);
	indexed_write(0x3ce, 3, 0x10);
	window_write(3, 0xf0);
	assert_int_equal(planes(3), 0xfffcf0ff);
	indexed_write(0x3ce, 3, 0);
	indexed_write(0x3ce, 5, 1); // the latches as they are
	window_write(4, 0x12);
	assert_int_equal(planes(4), 0xff3c00ff);
	indexed_write(0x3ce, 5, 2); // a colour, where the mask has ones
	indexed_write(0x3ce, 8, 0x0f);
	window_write(5, 0x06);
	assert_int_equal(planes(5), 0xf03f0ff0);
	indexed_write(0x3ce, 5, 3); // the data are a mask too
	indexed_write(0x3ce, 0, 0x02);
	window_write(6, 0x3c);
	assert_int_equal(planes(6), 0xf3300cf3);
}

static void test_read_modes(void **state)
{
	(void)state;
	mode_planar();
	planes_set(7, 0x44332211);
	for (unsigned plane = 0; plane < 4; plane++) {
		indexed_write(0x3ce, 4, (uint8_t)plane);
		assert_int_equal(window_read(7), 0x11 * (plane + 1));
	}
	planes_set(8, 0x00f00ff0); // colours 5, 2
	indexed_write(0x3ce, 5, 8);
	indexed_write(0x3ce, 2, 5);
	indexed_write(0x3ce, 7, 0x0f);
	assert_int_equal(window_read(8), 0xf0);
	indexed_write(0x3ce, 2, 2);
	assert_int_equal(window_read(8), 0x0f);
	indexed_write(0x3ce, 7, 0); // nobody cares
	assert_int_equal(window_read(8), 0xff);
}

static void test_chains(void **state)
{
	(void)state;
	mode_planar();
	indexed_write(0x3c4, 4, 0x0e);
	for (unsigned i = 0; i < 8; i++)
		window_write(0x100 + i, (uint8_t)i);
	assert_int_equal(planes(0x40), 0x03020100);
	assert_int_equal(window_read(0x105), 5);
	indexed_write(0x3c4, 2, 0x01);
	window_write(0x100, 0xee);
	window_write(0x101, 0xee);
	assert_int_equal(planes(0x40), 0x030201ee);
	indexed_write(0x3c4, 2, 0x0f);
	indexed_write(0x3c4, 4, 0x02);
	indexed_write(0x3ce, 5, 0x10); // pairs of planes
	window_write(0x200, 'A');
	window_write(0x201, 0x07);
	assert_int_equal(planes(0x100), 0x0741);
	assert_int_equal(window_read(0x200), 'A');
	indexed_write(0x3ce, 4, 2);
	window_write(0x200, 'B');
	assert_int_equal(planes(0x100), 0x00420741);
}

static void test_window_places(void **state)
{
	static const struct {
		uint8_t map;
		uint32_t first, bytes;
	} maps[] = {{0, 0, 0x20000}, {1, 0, 0x10000}, {2, 0x10000, 0x8000}, {3, 0x18000, 0x8000}};

	(void)state;
	mode_planar();
	indexed_write(0x3ce, 5, 0);
	for (unsigned i = 0; i < 4; i++) {
		indexed_write(0x3ce, 6, (uint8_t)(maps[i].map << 2 | 1));
		planes_set(0, 0x11111111u * (i + 1));
		planes_set(maps[i].bytes - 1, 0x22222222u * (i + 1));
		assert_int_equal(window_read(maps[i].first), 0x11 * (i + 1));
		assert_int_equal(window_read(maps[i].first + maps[i].bytes - 1), 0x22 * (i + 1));
		if (i != 0)
			assert_int_equal(window_read((maps[i].first + maps[i].bytes) % 0x20000),
				0xff);
	}
	assert_int_equal(fake_read(&env, VGA_REGION_WINDOW, 0x18000, 8),
		0x44 | UINT64_C(0) << 8);
}

static void test_mmio(void **state)
{
	uint8_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 128; i++)
		sum = (uint8_t)(sum + fake_read(&env, VGA_REGION_MMIO, i, 1));
	assert_int_equal(sum, 0);
	assert_int_equal(fake_read(&env, VGA_REGION_MMIO, 0, 8), 0x00ffffffffffff00);
	assert_int_equal(fake_read(&env, VGA_REGION_MMIO, 0x80, 4), 0);
	fake_write(&env, VGA_REGION_MMIO, 0x402, 1, 0x67); // port 0x3c2
	assert_int_equal(port_read(0x3cc), 0x67);
	fake_write(&env, VGA_REGION_MMIO, 0x404, 2, 0x0e04);
	assert_int_equal(indexed_read(0x3c4, 4), 0x0e);
	assert_int_equal(fake_read(&env, VGA_REGION_MMIO, 0x500, 2), 0xb0c5);
	assert_int_equal(fake_read(&env, VGA_REGION_MMIO, 0x514, 2), 256);
	assert_int_equal(fake_read(&env, VGA_REGION_MMIO, 0x600, 4), 8);
	assert_int_equal(fake_read(&env, VGA_REGION_MMIO, 0x604, 4), 0x1e1e1e1e);
	fake_write(&env, VGA_REGION_MMIO, 0x604, 4, 0xbebebebe);
	assert_int_equal(fake_read(&env, VGA_REGION_MMIO, 0x604, 4), 0xbebebebe);
	assert_int_equal(fake_read(&env, VGA_REGION_MMIO, 0x700, 4), 0xffffffff);
}

static void test_configuration_space(void **state)
{
	(void)state;
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0, 4), 0x11111234);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 8, 4), 0x03000002);
	fake_write(&env, PCIDEV_REGION_CONFIG, 0x10, 4, 0xffffffff);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x10, 4), 0xff000008);
	fake_write(&env, PCIDEV_REGION_CONFIG, 0x10, 4, 0xfd000000);
	fake_write(&env, PCIDEV_REGION_CONFIG, 0x18, 4, 0xfebf0000);
	fake_write(&env, PCIDEV_REGION_CONFIG, 0x30, 4, 0xffffffff);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x30, 4), 0xffff0001);
	fake_write(&env, PCIDEV_REGION_CONFIG, 0x30, 4, 0xfebe0001);
	fake_write(&env, PCIDEV_REGION_CONFIG, 4, 2, 3);
	assert_int_equal(env.region[VGA_REGION_MEMORY].base, 0xfd000000);
	assert_int_equal(env.region[VGA_REGION_MEMORY].bytes, VGA_MEMORY_BYTES);
	assert_int_equal(env.region[VGA_REGION_MMIO].base, 0xfebf0000);
	assert_int_equal(env.region[PCIDEV_REGION_ROM].base, 0xfebe0000);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_ROM, 0, 4), 0x33221100);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_ROM, VGA_BENCH_ROM_BYTES - 1, 4), 0x99);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_ROM, VGA_ROM_BYTES - 8, 8), 0);
	fake_save_and_load(&env);
	assert_int_equal(env.region[VGA_REGION_MEMORY].base, 0xfd000000);
}

static uint32_t next(void)
{
	static uint32_t seed = 1;

	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

// A guest that does anything, with what it shows asked for now and then.
static void test_anything(void **state)
{
	static uint32_t pixels[VGA_WIDTH_MAX];

	(void)state;
	for (unsigned i = 0; i < 60000; i++) {
		unsigned size = 1u << next() % 4;
		struct vga_screen screen;

		env.now.ns += next();
		switch (next() % 6) {
		case 0:
			port_write(0x3b0 + next() % 0x30, (uint8_t)next());
			break;
		case 1:
			port_read(0x3b0 + next() % 0x30);
			break;
		case 2:
			dispi_write(next() % 12, (uint16_t)(next() % 3 ? next() % 2048 : next() |
				DISPI_KEEP));
			break;
		case 3:
			fake_write(&env, VGA_REGION_WINDOW, next() % (0x20000 - 8), size, next());
			break;
		case 4:
			fake_read(&env, VGA_REGION_WINDOW, next() % (0x20000 - 8), size);
			break;
		case 5:
			fake_write(&env, VGA_REGION_MMIO, (next() & 0xffc) % (0x1000 - 8), size,
				next());
			break;
		}
		if (i % 500 != 0)
			continue;
		vga_screen(env.device, &screen);
		assert_in_range(screen.width, 1, VGA_WIDTH_MAX);
		assert_in_range(screen.height, 1, VGA_HEIGHT_MAX);
		vga_pixels(env.device, &screen, next() % screen.height, 0, screen.width, pixels);
		fake_save_and_load(&env);
	}
}

static void test_state(void **state)
{
	(void)state;
	fake_check_coverage(&vga_model);
	fake_check_ranges(&env);
	mode_text();
	fake_save_and_load(&env);
	assert_int_equal(indexed_read(0x3d4, 0x12), 0x8f);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(port_read(0x3cc), 0);
}

static void expect_refused(const char *field, uint64_t value, uint32_t index)
{
	const struct state_table *table = vga_model.state;
	struct state_error error;

	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *at = &table->fields[i];
		uint64_t before;

		if (strcmp(at->name, field) != 0)
			continue;
		before = state_field_get(at, env.device, index);
		state_field_set(at, env.device, index, value);
		assert_int_equal(state_check(table, env.device, &error), STATUS_INVALID);
		state_field_set(at, env.device, index, before);
		return;
	}
	fail_msg("no field %s", field);
}

// What no write can have left there.
static void test_impossible_states(void **state)
{
	(void)state;
	expect_refused("graphics", 0x04, 4);
	expect_refused("sequencer", 0x10, 2);
	expect_refused("attribute", 0x40, 0);
	expect_refused("attribute", 0x10, 0x10);
	dispi_mode(640, 480, 32, 0);
	expect_refused("dispi", 7000, 2); // more lines than there is memory for
	expect_refused("dispi", 320, 6);
	expect_refused("dispi", 7, 3);
	assert_int_equal(state_check(vga_model.state, env.device, NULL), STATUS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_protected_crtc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_monochrome, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_palette, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retrace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retrace_without_a_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chains, setup, teardown),
		cmocka_unit_test_setup_teardown(test_window_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mmio, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configuration_space, setup, teardown),
		cmocka_unit_test_setup_teardown(test_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_impossible_states, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
