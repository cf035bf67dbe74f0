// SPDX-License-Identifier: BSD-2-Clause
// The kernel's start: brings up the parts in order, reads the configuration, creates the machines,
// wires console and monitor, and hands over to the event loop.
#include "boot/enter.h"

#include "boot/config.h"
#include "boot/machines.h"
#include "drivers/region.h"
#include "drivers/uart.h"
#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/crash.h"
#include "kernel/debug_exit.h"
#include "kernel/fiber.h"
#include "kernel/libc.h"
#include "kernel/loop.h"
#include "kernel/mem.h"
#include "kernel/pagetable.h"
#include "kernel/pci.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "replay/session.h"
#include "vm/console.h"
#include "vm/core.h"
#include "vm/host_screen.h"
#include "vm/machine.h"
#include "vm/monitor.h"
#include "vm/position_test.h"

#define VERSION "0.1"

static uint64_t entry_tsc; // when boot_main began

// Up to here only the CPU and its memory; from here on the kernel's own services.
static void kernel_init(const struct boot_info *info)
{
	desc_init(&cpu_self()->desc);
	mem_init(info);
	pagetable_init(info);
	libc_init();
	acpi_init(info->rsdp);
	apic_init();
	clock_init();
	timer_init();
	uart_interrupt_enable();
	pci_init(info);
}

static _Noreturn void leave(uint32_t status)
{
	debug_exit_leave(status);
	console_flush();
	acpi_power_off();
	log_error("this machine cannot be powered off by ACPI: halted");
	for (;;)
		__asm__ volatile("cli; hlt");
}

// The first of these machines whose flash may have something left to be kept, or NULL.
static struct machine *with_flash(struct machine *machine)
{
	while (machine != NULL && (machine->vm == NULL || machine->vm->flash == NULL))
		machine = machine->next;
	return machine;
}

// In a fiber.
static void machines_settle(void)
{
	for (struct machine *machine = with_flash(machine_first()); machine != NULL;
		machine = with_flash(machine->next))
		vm_settle(machine->vm);
}

// The monitor's quit.
static void quit(void)
{
	machines_settle();
	leave(0);
}

static void leave_settled(void *argument)
{
	machines_settle();
	leave((uint32_t)(uintptr_t)argument);
}

// Status of isa-debug-exit, which shifts it and sets bit 0: the one here does so again.
static void all_ended(uint32_t status)
{
	void *argument = (void *)(uintptr_t)(status >> 1);

	if (!boot_config.host.quit_on_exit)
		return;
	if (with_flash(machine_first()) == NULL ||
		fiber_create("leave", leave_settled, argument) == NULL)
		leave(status >> 1);
}

static bool configure(const struct boot_info *info)
{
	const struct boot_file *file = boot_file_find(info, CONFIG_FILE_NAME);
	char error[CONFIG_ERROR_MAX];

	if (info->problem[0] != '\0')
		log_error("boot: %s", info->problem);
	if (file == NULL) {
		log_error("there is no %s", CONFIG_FILE_NAME);
		return false;
	}
	if (config_parse(CONFIG_FILE_NAME, file->data, file->bytes, &boot_config, error) !=
		STATUS_OK) {
		log_error("%s", error);
		return false;
	}
	log_level_set((enum log_level)boot_config.host.log_level);
	debug_exit_set(boot_config.host.debug_exit);
	return true;
}

// After the configuration, which may say how.
static void cpus_start(const struct boot_info *info, bool configured)
{
	struct smp_config smp = {.source = SMP_SOURCE_AUTO, .limit = CPU_MAX};

	_Static_assert((int)SMP_SOURCE_PROBE == (int)CONFIG_CPUS_PROBE &&
			(int)CPU_MAX == (int)CONFIG_CPUS_MAX, "one and the same");
	if (configured)
		smp = (struct smp_config){
			.source = (enum smp_source)boot_config.host.cpus_from,
			.limit = boot_config.host.cpus,
		};
	smp_start(info, &smp);
}

static bool input_run(struct loop_task *task)
{
	uint8_t bytes[16];
	size_t count = uart_read(bytes, sizeof(bytes));

	(void)task;
	if (count > 0)
		console_input(bytes, count);
	return count == sizeof(bytes);
}

void boot_main(struct boot_info *info)
{
	static struct loop_task input = {.run = input_run};
	struct monitor_config monitor = {
		.version = VERSION,
		.boot_path = info->path == BOOT_PATH_UEFI ? "UEFI" : "PVH",
		.image_bytes = info->image_bytes,
		.quit = quit,
	};
	const char *reason;
	bool configured, started = false;

	entry_tsc = rdtsc();
	cpu_init_boot();
	(void)uart_init();
	log_info("Reprise %s", VERSION);
	kernel_init(info);
	console_init();
	machine_crash_section_init();
	machine_all_ended_set(all_ended);
	session_init(info);
	configured = configure(info);
	cpus_start(info, configured);
	disk_init();
	region_init(info);
	if (configured) {
		if (cores_init(&reason) != STATUS_OK)
			log_error("%s", reason);
		else {
			position_self_test();
			started = machines_start(info, entry_tsc);
			host_screen_start(&info->screen);
		}
	}
	if (monitor_init(&monitor) != STATUS_OK)
		log_error("no memory for the monitor");
	else
		monitor_replay_register();
	if (!started)
		console_show_monitor();
	loop_task_add(&input);
	loop_run();
}
