// SPDX-License-Identifier: BSD-2-Clause
// A configuration, parsed into `config`, and its errors.
#ifndef TESTS_UNIT_CONFIG_BENCH_H
#define TESTS_UNIT_CONFIG_BENCH_H

// clang-format off: cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "boot/config.h"

#define VM "[vm a]\nmemory = 64M\nkernel = vmlinuz\n" // lines 1 to 3

static struct config config;
static char error[CONFIG_ERROR_MAX];

static inline enum status parse(const char *text)
{
	memset(&config, 0xa5, sizeof(config));
	memset(error, 0xa5, sizeof(error));
	return config_parse("reprise.ini", text, strlen(text), &config, error);
}

static inline void expect_error(const char *text, const char *message)
{
	assert_int_not_equal(parse(text), STATUS_OK);
	assert_string_equal(error, message);
}

// One more line in the VM's section: line 4.
static inline void expect_vm_error(const char *line, const char *message)
{
	char text[8192];

	assert_true(snprintf(text, sizeof(text), VM "%s\n", line) < (int)sizeof(text));
	expect_error(text, message);
}

#endif
