// SPDX-License-Identifier: BSD-2-Clause
// How a guest's picture lies on the host's screen.
#include "vm/host_screen.h"

#include "tests/unit/fake_env.h"
// Above is what cmocka needs.
#include <string.h>

static struct boot_screen screen = {.width = 20, .height = 10, .line_pixels = 32};

static void expect_fit(uint32_t width, uint32_t height, struct host_screen_fit expected)
{
	struct host_screen_fit fit = host_screen_fit(&screen, width, height);

	assert_memory_equal(&fit, &expected, sizeof(fit));
	assert_true(fit.left + fit.width * fit.scale <= screen.width);
	assert_true(fit.top + fit.height * fit.scale <= screen.height);
}

static void test_fit(void **state)
{
	(void)state;
	expect_fit(20, 10, (struct host_screen_fit){1, 0, 0, 20, 10});
	expect_fit(6, 4, (struct host_screen_fit){2, 4, 1, 6, 4});
	expect_fit(6, 3, (struct host_screen_fit){3, 1, 0, 6, 3});
	expect_fit(1, 1, (struct host_screen_fit){10, 5, 0, 1, 1});
	expect_fit(100, 4, (struct host_screen_fit){1, 0, 3, 20, 4}); // cut off
	expect_fit(7, 100, (struct host_screen_fit){1, 6, 0, 7, 10});
	expect_fit(16000, 12000, (struct host_screen_fit){1, 0, 0, 20, 10});
}

static void test_lines(void **state)
{
	static const uint32_t pixels[] = {0x112233, 0x445566};
	const struct host_screen_fit fit = host_screen_fit(&screen, 2, 3);
	uint32_t line[22];

	(void)state;
	assert_int_equal(fit.scale, 3);
	assert_int_equal(fit.left, 7);
	for (unsigned red_first = 0; red_first < 2; red_first++) {
		screen.red_first = red_first != 0;
		memset(line, 0xa5, sizeof(line));
		host_screen_line(&screen, &fit, pixels, line);
		for (unsigned i = 0; i < 20; i++) {
			uint32_t first = red_first ? 0x332211 : 0x112233;
			uint32_t second = red_first ? 0x665544 : 0x445566;

			assert_int_equal(line[i],
				i < 7 || i >= 13 ? 0 : i < 10 ? first : second);
		}
		assert_int_equal(line[20], 0xa5a5a5a5);
		host_screen_line(&screen, &fit, NULL, line);
		assert_int_equal(line[8], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
