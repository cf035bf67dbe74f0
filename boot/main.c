// SPDX-License-Identifier: BSD-2-Clause
// The kernel's start: brings up the parts in order, reads the configuration, creates the machines,
// wires console and monitor, and hands over to the event loop.
#include "boot/enter.h"

#include <stdio.h>
#include <string.h>

#include "boot/config.h"
#include "drivers/uart.h"
#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/crash.h"
#include "kernel/debug_exit.h"
#include "kernel/libc.h"
#include "kernel/loop.h"
#include "kernel/mem.h"
#include "kernel/pagetable.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "vm/console.h"
#include "vm/core.h"
#include "vm/monitor.h"
#include "vm/vm.h"

#define VERSION "0.1"

static struct config config;
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

// The monitor's quit.
static void quit(void)
{
	leave(0);
}

static void machine_ended(void *owner)
{
	struct vm *machine = console_guest_vm(owner);

	log_info("%s: ended: %s", machine->name, vm_state_name(machine));
	if (config.host.quit_on_exit)
		leave(machine->end_status >> 1); // as isa-debug-exit had shifted it
	console_show_monitor();
}

static const struct boot_file *file_find(const struct boot_info *info, const char *name)
{
	for (uint32_t i = 0; i < info->file_count; i++)
		if (strcmp(info->files[i].name, name) == 0)
			return &info->files[i];
	return NULL;
}

static const struct boot_file *file_need(const struct boot_info *info,
	const struct config_vm *vm, const char *key, const char *name)
{
	const struct boot_file *file = file_find(info, name);

	if (file == NULL)
		log_error("%s: [vm %s] (line %u): %s: no such file: %s", CONFIG_FILE_NAME, vm->name,
			vm->line, key, name);
	return file;
}

// What it took to get here: for tests/bench.py, and for whoever wonders.
static void start_report(const struct boot_info *info, const struct config_vm *vm)
{
	uint64_t used = mem_used_bytes() - vm->memory_bytes;

	for (uint32_t i = 0; i < info->file_count; i++) // kernels and initrds are the user's
		used -= info->files[i].bytes < used ? info->files[i].bytes : used;
	log_info("%s: started %llu TSC ticks after the image; %llu KiB in use beside its memory",
		vm->name, (unsigned long long)(rdtsc() - entry_tsc),
		(unsigned long long)(used / KIB));
}

// NULL: the reason has been told.
static struct vm *machine_create(const struct boot_info *info, const struct config_vm *vm)
{
	const struct boot_file *kernel = file_need(info, vm, "kernel", vm->kernel), *initrd = NULL;
	struct console_guest *guest;
	struct vm_config machine_config;
	struct vm *machine;
	char error[VM_ERROR_MAX];

	if (kernel == NULL)
		return NULL;
	if (vm->initrd[0] != '\0') {
		initrd = file_need(info, vm, "initrd", vm->initrd);
		if (initrd == NULL)
			return NULL;
	}
	guest = console_guest_add(vm->name);
	if (guest == NULL) {
		log_error("%s: no memory for its console", vm->name);
		return NULL;
	}
	machine_config = (struct vm_config){
		.name = vm->name,
		.memory_bytes = vm->memory_bytes,
		.kernel = kernel->data,
		.kernel_bytes = kernel->bytes,
		.initrd = initrd != NULL ? initrd->data : NULL,
		.initrd_bytes = initrd != NULL ? initrd->bytes : 0,
		.cmdline = vm->cmdline,
		.vcpus = vm->vcpus,
		.x2apic = vm->x2apic,
		.debugcon = vm->debugcon,
		.debug_exit = vm->debug_exit,
		.rtc_epoch = vm->rtc_base == CONFIG_RTC_HOST ? clock_rtc_seconds() : vm->rtc_base,
		.output = console_guest_output,
		.ended = machine_ended,
		.owner = guest,
	};
	memset(machine_config.pin, VM_PIN_ANY, sizeof(machine_config.pin));
	if (vm_create(&machine_config, &machine, error) == STATUS_OK) {
		console_guest_attach(guest, machine);
		if (!vm->autostart || vm_start(machine, error) == STATUS_OK) {
			start_report(info, vm);
			if (!config.host.start_in_monitor)
				console_show_guest(guest);
			return machine;
		}
		console_guest_attach(guest, NULL);
		vm_destroy(machine);
	}
	log_error("%s: [vm %s] (line %u): %s", CONFIG_FILE_NAME, vm->name, vm->line, error);
	return NULL;
}

static bool configure(const struct boot_info *info)
{
	const struct boot_file *file = file_find(info, CONFIG_FILE_NAME);
	char error[CONFIG_ERROR_MAX];

	if (info->problem[0] != '\0')
		log_error("boot: %s", info->problem);
	if (file == NULL) {
		log_error("there is no %s", CONFIG_FILE_NAME);
		return false;
	}
	if (config_parse(CONFIG_FILE_NAME, file->data, file->bytes, &config, error) != STATUS_OK) {
		log_error("%s", error);
		return false;
	}
	log_level_set((enum log_level)config.host.log_level);
	debug_exit_set(config.host.debug_exit);
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
			.source = (enum smp_source)config.host.cpus_from,
			.limit = config.host.cpus,
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
	bool configured;

	entry_tsc = rdtsc();
	cpu_init_boot();
	(void)uart_init();
	log_info("Reprise %s", VERSION);
	kernel_init(info);
	console_init();
	vm_crash_section_init();
	configured = configure(info);
	cpus_start(info, configured);
	if (configured) {
		if (cores_init(&reason) != STATUS_OK)
			log_error("%s", reason);
		else
			monitor.vm = machine_create(info, &config.vms[0]);
	}
	if (monitor_init(&monitor) != STATUS_OK)
		log_error("no memory for the monitor");
	if (monitor.vm == NULL)
		console_show_monitor();
	loop_task_add(&input);
	loop_run();
}
