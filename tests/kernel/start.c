// SPDX-License-Identifier: BSD-2-Clause
#include "tests/kernel/start.h"

#include "drivers/uart.h"
#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/debug_exit.h"
#include "kernel/libc.h"
#include "kernel/mem.h"
#include "kernel/pagetable.h"
#include "kernel/timer.h"

enum { EXIT_PORT = 0xf4 };

void test_kernel_start(const struct boot_info *info, struct config *config)
{
	char error[CONFIG_ERROR_MAX];

	cpu_init_boot();
	(void)uart_init();
	desc_init(&cpu_self()->desc);
	mem_init(info);
	pagetable_init(info);
	libc_init();
	acpi_init(info->rsdp);
	apic_init();
	clock_init();
	timer_init();
	debug_exit_set(EXIT_PORT);
	log_level_set(LOG_DEBUG);
	if (info->file_count == 0 || config_parse(CONFIG_FILE_NAME, info->files[0].data,
			info->files[0].bytes, config, error) != STATUS_OK)
		ASSERT_UNREACHABLE("no configuration");
	if (config->host.debug_exit != 0) // not QEMU
		debug_exit_set(config->host.debug_exit);
}
