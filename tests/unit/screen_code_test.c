// SPDX-License-Identifier: BSD-2-Clause
// Pictures as text: what is written can be read again, and takes as little as the form promises.
#include "vm/screen_code.h"

#include "tests/unit/fake_env.h"
// Above is what cmocka needs.
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20, WIDTH = 300, HEIGHT = 40 };

static char text[TEXT_MAX];
static size_t length;
static unsigned lines;

static void line(void *owner, const char *of)
{
	size_t bytes = strlen(of);

	assert_ptr_equal(owner, text);
	assert_true(bytes >= 2 && bytes <= SCREEN_CODE_COLUMNS + 1 && of[bytes - 1] == '\n');
	assert_true(length + bytes < TEXT_MAX);
	memcpy(text + length, of, bytes - 1);
	length += bytes - 1;
	lines++;
}

static void encode(const uint32_t *pixels, uint32_t width, uint32_t height)
{
	struct screen_code code;

	length = lines = 0;
	screen_code_begin(&code, line, text);
	for (uint32_t y = 0; y < height; y++)
		screen_code_row(&code, pixels + y * width,
			y == 0 ? NULL : pixels + (y - 1) * width, width);
	screen_code_end(&code);
	text[length] = '\0';
}

static unsigned digit(char of)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = strchr(digits, of);

	assert_non_null(at);
	return (unsigned)(at - digits);
}

static size_t bytes_of(uint8_t *bytes)
{
	size_t count = 0;

	assert_int_equal(length % 4, 0);
	for (size_t i = 0; i < length; i += 4) {
		unsigned missing = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2, group = 0;

		assert_true(missing == 0 || i + 4 == length);
		for (unsigned n = 0; n < 4 - missing; n++)
			group |= digit(text[i + n]) << (18 - 6 * n);
		for (unsigned n = 0; n < 3 - missing; n++)
			bytes[count++] = (uint8_t)(group >> (16 - 8 * n));
	}
	return count;
}

static void expect_decoded(const uint32_t *pixels, uint32_t width, uint32_t height)
{
	static uint8_t bytes[TEXT_MAX];
	static uint32_t out[WIDTH * HEIGHT];
	size_t count = bytes_of(bytes), done = 0;

	for (size_t at = 0; at < count;) {
		uint32_t number = 0;
		unsigned shift = 0;

		do
			number |= (bytes[at] & 0x7fu) << shift, shift += 7;
		while (bytes[at++] & 0x80);
		if (number & 1) {
			for (number >>= 1; number > 0; number--, done += width)
				memcpy(out + done, out + done - width, width * 4);
			continue;
		}
		for (number >>= 1; number > 0; number--)
			out[done++] = (uint32_t)bytes[at] << 16 | (uint32_t)bytes[at + 1] << 8 |
				bytes[at + 2];
		at += 3;
	}
	assert_int_equal(done, width * height);
	assert_memory_equal(out, pixels, done * 4);
}

static void test_pictures(void **state)
{
	static uint32_t pixels[WIDTH * HEIGHT];
	uint32_t seed = 1;

	(void)state;
	encode(pixels, WIDTH, HEIGHT);
	assert_int_equal(length, 8); // a run, and 39 rows like it
	expect_decoded(pixels, WIDTH, HEIGHT);
	for (unsigned kind = 0; kind < 4; kind++) {
		for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
			seed = seed * 1664525 + 1013904223;
			pixels[i] = seed >> 8 & (kind == 0 ? 0xffffff : seed >> 30 ? 0 : 0xff);
			if (kind == 3 && i >= WIDTH && i / WIDTH % 3 != 0)
				pixels[i] = pixels[i - WIDTH];
		}
		encode(pixels, WIDTH, HEIGHT);
		expect_decoded(pixels, WIDTH, HEIGHT);
		encode(pixels, 1, HEIGHT);
		expect_decoded(pixels, 1, HEIGHT);
	}
	assert_true(lines >= 1);
}

static void test_form(void **state)
{
	static const uint32_t pixels[] = {0x010203, 0x010203, 0xffffff};

	(void)state;
	encode(pixels, 3, 1);
	assert_string_equal(text, "BAECAwL///8=");
	assert_int_equal(lines, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_pictures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
