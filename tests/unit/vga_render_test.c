// SPDX-License-Identifier: BSD-2-Clause
// What the VGA shows: text, and each kind of graphics; and modes by the Bochs interface.
#include "tests/unit/fake_env.h"
#include "tests/unit/vga_bench.h"

static struct vga_screen screen;
static uint32_t row[VGA_WIDTH_MAX];

static void look(uint32_t width, uint32_t height)
{
	vga_screen(env.device, &screen);
	assert_int_equal(screen.width, width);
	assert_int_equal(screen.height, height);
	assert_false(screen.blank);
}

static void line(uint32_t y)
{
	vga_pixels(env.device, &screen, y, 0, screen.width, row);
}

static uint32_t pixel(uint32_t x, uint32_t y)
{
	uint32_t value;

	vga_pixels(env.device, &screen, y, x, 1, &value);
	return value;
}

static uint8_t six(unsigned value)
{
	value &= 0x3f;
	return (uint8_t)(value << 2 | value >> 4);
}

// What mode_set has put into the DAC.
static uint32_t dac(unsigned n)
{
	return (uint32_t)six(n) << 16 | (uint32_t)six(2 * n) << 8 | six(3 * n);
}

static void cell(unsigned column, unsigned line_, uint8_t code, uint8_t attribute)
{
	window_write(0x18000 + (line_ * 80 + column) * 2, code);
	window_write(0x18000 + (line_ * 80 + column) * 2 + 1, attribute);
}

static void glyph(unsigned font, uint8_t code, unsigned scan, uint8_t bits)
{
	env.memory[(font * 0x2000 + code * 32u + scan) * 4 + 2] = bits;
}

static void test_text(void **state)
{
	(void)state;
	mode_text();
	look(720, 400);
	assert_int_equal(screen.columns, 80);
	assert_int_equal(screen.rows, 25);
	indexed_write(0x3d4, 0x0a, 0x20); // no cursor
	glyph(0, 'A', 3, 0x81);
	glyph(0, 0xc4, 3, 0xff);
	glyph(0, 0xe0, 3, 0xff);
	cell(1, 2, 'A', 0x1e);
	cell(2, 2, 0xc4, 0x87); // bright paper would blink
	cell(3, 2, 0xe0, 0x07);
	assert_int_equal(vga_character(env.device, 1, 2), 0x1e41);
	line(2 * 16 + 3);
	assert_int_equal(row[8], 0);
	assert_int_equal(row[9], dac(14));
	assert_int_equal(row[10], dac(1));
	assert_int_equal(row[16], dac(14));
	assert_int_equal(row[17], dac(1)); // the ninth dot
	for (unsigned i = 18; i < 35; i++)
		assert_int_equal(row[i], dac(7));
	assert_int_equal(row[35], 0); // that of what is no line
	line(2 * 16 + 4);
	assert_int_equal(row[9], dac(1));
	assert_int_equal(row[18], 0);
	attribute_write(0x30, 0x04);
	line(2 * 16 + 4);
	assert_int_equal(row[18], dac(8));
}

static void test_text_cursor_and_start(void **state)
{
	(void)state;
	mode_text();
	look(720, 400);
	cell(0, 1, ' ', 0x07);
	indexed_write(0x3d4, 0x0f, 80); // row 1, lines 13 and 14
	assert_int_equal(pixel(0, 16 + 12), 0);
	assert_int_equal(pixel(0, 16 + 13), dac(7));
	assert_int_equal(pixel(8, 16 + 14), dac(7));
	assert_int_equal(pixel(9, 16 + 14), 0);
	indexed_write(0x3d4, 0x0d, 80);
	assert_int_equal(pixel(0, 13), dac(7));
	assert_int_equal(vga_character(env.device, 0, 0), 0x0720);
}

static void test_text_fonts(void **state)
{
	(void)state;
	mode_text();
	look(720, 400);
	indexed_write(0x3d4, 0x0a, 0x20);
	indexed_write(0x3c4, 1, 1); // eight dots
	indexed_write(0x3c4, 3, 0x3f); // bits 5, 3, 2: font 7; bits 4, 1, 0: font 7
	look(640, 400);
	glyph(7, 'x', 0, 0x80);
	cell(0, 0, 'x', 0x0f);
	assert_int_equal(pixel(0, 0), dac(15));
	indexed_write(0x3c4, 3, 0x04); // characters with bit 3: font 2, others: font 0
	assert_int_equal(pixel(0, 0), 0);
	glyph(2, 'x', 0, 0x80);
	assert_int_equal(pixel(0, 0), dac(15));
	cell(0, 0, 'x', 0x07);
	assert_int_equal(pixel(0, 0), 0);
	indexed_write(0x3c4, 1, 9); // forty columns' dots
	look(1280, 400);
	attribute_write(0x10, 0);
	vga_screen(env.device, &screen);
	assert_true(screen.blank); // the palette is the CPU's
	assert_int_equal(pixel(0, 0), 0);
}

static void test_planar(void **state)
{
	(void)state;
	mode_planar();
	look(640, 480);
	assert_int_equal(screen.columns, 0);
	planes_set(3 * 80 + 2, 0x80402010);
	for (unsigned x = 0; x < 8; x++)
		assert_int_equal(pixel(16 + x, 3), x < 4 ? dac(8u >> x) : 0);
	attribute_write(0x32, 0x07); // plane 3 is not shown
	assert_int_equal(pixel(16, 3), 0);
	attribute_write(0x32, 0x0f);
	attribute_write(0x34, 0x04); // colours from 0x40 on
	assert_int_equal(pixel(17, 3), dac(0x44));
	attribute_write(0x30, 0x81);
	attribute_write(0x34, 0x03);
	assert_int_equal(pixel(17, 3), dac(0x34));
	indexed_write(0x3d4, 0x0d, 80); // one line farther
	assert_int_equal(pixel(17, 2), dac(0x34));
	indexed_write(0x3d4, 0x18, 100); // the screen is split behind line 100
	indexed_write(0x3d4, 0x07, 0x2e);
	indexed_write(0x3d4, 0x09, 0x00);
	assert_int_equal(pixel(17, 101 + 3), dac(0x34));
}

static void test_256(void **state)
{
	(void)state;
	mode_256();
	look(640, 400);
	for (unsigned i = 0; i < 320; i++)
		window_write(5 * 320 + i, (uint8_t)i);
	for (unsigned y = 10; y < 12; y++) {
		line(y);
		for (unsigned x = 0; x < 640; x++)
			assert_int_equal(row[x], dac(x / 2 & 0xff));
	}
	port_write(0x3c6, 0x0f);
	assert_int_equal(pixel(2 * 0x1f, 10), dac(0x0f));
	indexed_write(0x3c4, 1, 0x21);
	vga_screen(env.device, &screen);
	assert_true(screen.blank);
}

// Four colours of a CGA: even and odd lines apart.
static void test_pairs(void **state)
{
	static const struct vga_bench_mode mode = {0x63, {3, 9, 3, 0, 2},
		{0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0, 0xc1, 0, 0, 0, 0, 0, 0, 0x9c,
			0x8e, 0x8f, 0x14, 0, 0x96, 0xb9, 0xa2, 0xff},
		{0, 0, 0, 0, 0, 0x30, 0x0f, 0, 0xff}, 0x01};

	(void)state;
	mode_set(&mode);
	look(640, 400);
	window_write(0x18000, 0x1b); // 0, 1, 2, 3
	window_write(0x18001, 0xc0);
	window_write(0x18000 + 0x2000, 0xff); // line 1
	window_write(0x18000 + 80, 0x40);     // line 2
	for (unsigned i = 0; i < 8; i++) {
		static const unsigned colours[] = {0, 1, 2, 3, 3, 0, 0, 0};

		assert_int_equal(pixel(2 * i + 1, 1), dac(colours[i]));
	}
	assert_int_equal(pixel(0, 2), dac(3));
	assert_int_equal(pixel(0, 4), dac(1));
}

static void expect_depth(uint16_t bits, uint32_t stored, uint32_t shown)
{
	unsigned bytes = (bits + 7u) / 8;

	dispi_mode(648, 10, bits, 0);
	look(648, 10);
	memcpy(env.memory + (3 * 648 + 5) * bytes, &stored, bytes);
	line(3);
	for (unsigned x = 0; x < 648; x++)
		assert_int_equal(row[x], x == 5 ? shown : 0);
}

static void test_depths(void **state)
{
	(void)state;
	mode_256();
	expect_depth(8, 0x15, dac(0x15));
	expect_depth(15, 0x7c00 | 0x10 << 5 | 1, 0xff8408);
	expect_depth(16, 0xf800 | 0x20 << 5 | 1, 0xff8208);
	expect_depth(24, 0x123456, 0x123456);
	expect_depth(32, 0xff123456, 0x123456);
	fake_write(&env, VGA_REGION_MMIO, 0x604, 4, 0xbebebebe);
	expect_depth(32, 0x563412ff, 0x123456);
	expect_depth(16, 0x00f8, 0xff0000);
	dispi_mode(640, 10, 8, DISPI_8BIT);
	dac_write(1, 0xfe, 0x80, 0x01);
	env.memory[0] = 1;
	look(640, 10);
	assert_int_equal(pixel(0, 0), 0xfe8001);
	dispi_mode(640, 480, 4, 0);
	look(640, 480);
	planes_set(80 + 1, 0x80800000);
	assert_int_equal(pixel(8, 1), dac(12));
	dac_write(12, 0x10, 0x20, 0x30);
	dispi_write(4, DISPI_ON | DISPI_8BIT);
	assert_int_equal(pixel(8, 1), 0x102030);
}

static void test_dispi(void **state)
{
	(void)state;
	mode_256();
	assert_int_equal(dispi_read(0), 0xb0c5);
	dispi_write(0, 0xb0c0);
	assert_int_equal(dispi_read(0), 0xb0c0);
	dispi_write(0, 0x1234);
	assert_int_equal(dispi_read(0), 0xb0c0);
	dispi_write(4, 2);
	assert_int_equal(dispi_read(1), VGA_WIDTH_MAX);
	assert_int_equal(dispi_read(2), VGA_HEIGHT_MAX);
	assert_int_equal(dispi_read(3), 32);
	assert_int_equal(dispi_read(10), 256);
	assert_int_equal(dispi_read(11), 0);
	env.memory[100] = 1;
	dispi_mode(800, 600, 32, DISPI_KEEP);
	assert_int_equal(env.memory[100], 1);
	dispi_mode(800, 600, 32, 0);
	assert_int_equal(env.memory[100], 0);
	assert_int_equal(dispi_read(6), 800);
	assert_int_equal(dispi_read(7), VGA_MEMORY_BYTES / 3200);
	look(800, 600);
	dispi_write(6, 1024);
	dispi_write(8, 8);
	dispi_write(9, 100);
	env.memory[100 * 4096 + 8 * 4] = 0x77;
	assert_int_equal(pixel(0, 0), 0x77);
	dispi_write(9, 4000); // would show what is not there
	assert_int_equal(dispi_read(9), 0);
	dispi_mode(0, 0, 5, 0);
	assert_int_equal(dispi_read(1), 8);
	assert_int_equal(dispi_read(2), 1);
	assert_int_equal(dispi_read(3), 8);
	dispi_mode(0xffff, 0xffff, 32, DISPI_KEEP);
	assert_int_equal(dispi_read(1), VGA_WIDTH_MAX);
	assert_int_equal(dispi_read(2), VGA_MEMORY_BYTES / (4 * VGA_WIDTH_MAX));
	assert_int_equal(fake_read(&env, VGA_REGION_DISPI, 1, 1), 0xff);
	dispi_write(4, 0);
	fake_write(&env, VGA_REGION_DISPI, 0, 1, 3);
	assert_int_equal(fake_read(&env, VGA_REGION_DISPI, 0, 2), 4);
}

// The window shows banks of 64 KiB then.
static void test_dispi_banks(void **state)
{
	(void)state;
	mode_planar();
	dispi_mode(1024, 768, 8, 0);
	dispi_write(5, 11);
	window_write(0x1234, 0x5a);
	assert_int_equal(env.memory[11 * 65536 + 0x1234], 0x5a);
	assert_int_equal(window_read(0x1234), 0x5a);
	assert_int_equal(window_read(0x10000), 0xff);
	dispi_write(5, 0x1ff);
	assert_int_equal(dispi_read(5), 0xff);
	window_write(0xffff, 1);
	assert_int_equal(env.memory[VGA_MEMORY_BYTES - 1], 1);
	assert_int_equal(indexed_read(0x3d4, 1), 127);
	assert_int_equal(indexed_read(0x3d4, 0x12), 0xff);
	assert_int_equal(indexed_read(0x3d4, 7) & 0x42, 0x40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_cursor_and_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_fonts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_planar, setup, teardown),
		cmocka_unit_test_setup_teardown(test_256, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pairs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_depths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dispi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dispi_banks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
