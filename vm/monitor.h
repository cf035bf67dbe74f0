// SPDX-License-Identifier: BSD-2-Clause
// The monitor: commands about the machine, typed at the console, named after QEMU's.
//
// Commands run one after another in a fiber of the monitor's, so they may wait. A command that
// prints much calls monitor_pause between lines. Ctrl-C ends a wait early: one that may be long
// looks at monitor_interrupted(). Lines end with '\n'; the terminal's '\r' is added here.
#ifndef VM_MONITOR_H
#define VM_MONITOR_H

#include "kernel/base/status.h"
#include "vm/monitor_format.h"

struct machine;
struct vm;
struct vm_vcpu;

struct monitor_call {
	const struct monitor_command *command;
	unsigned count; // of arguments, the command's name not counted
	char **arguments;
	const char *rest; // all that follows the command's name, as typed
	const char *format; // what stands after the name's '/'; NULL: no slash
};

struct monitor_command {
	const char *name;
	const char *alias;     // a shorter name; NULL: none
	const char *arguments; // for help: "[command]"; "" where there are none
	const char *description;
	uint8_t arguments_min, arguments_max;
	bool takes_format; // name/FMT
	bool takes_rest;   // `rest` is the one argument, spaces and quotes included
	void (*handler)(const struct monitor_call *call);
	struct monitor_command *next; // the registry's, by name
};

struct monitor_config {
	const char *version;   // "0.1"
	const char *boot_path; // "UEFI"
	uint64_t image_bytes;
	void (*quit)(void); // leaves; NULL: `quit` is refused
};

// After console_init. STATUS_NO_MEMORY: there is no monitor. *config is copied.
must_check enum status monitor_init(const struct monitor_config *config);

// Adds a command, or a word after `info`. The struct stays the registry's. A name that is there
// already is a bug.
void monitor_command_add(struct monitor_command *command);
void monitor_info_add(struct monitor_command *command);

// For handlers, and for whoever has something to tell at the monitor.
void monitor_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void monitor_puts(const char *text);
// What commands act on: `vm select` and `cpu` say which. NULL: there is none, and the user has been
// told.
must_check struct machine *monitor_machine_need(void);
must_check struct vm *monitor_vm_need(void);
must_check struct vm_vcpu *monitor_vcpu_need(void);
// The machine that is selected, created or not; NULL: none is configured. Selecting one selects its
// first vcpu.
struct machine *monitor_machine(void);
void monitor_machine_select(struct machine *machine);
const struct monitor_config *monitor_config(void);
// Lets everything else go on for a moment.
void monitor_pause(void);
// Ctrl-C was typed since the command began.
bool monitor_interrupted(void);

// One line, as if typed. It is changed. Also for configuration and tests.
void monitor_execute(char *line);

// Between the files of the monitor.
void monitor_cpus_register(void);
void monitor_vms_register(void);
void monitor_vm_continue(struct vm *vm); // as `cont`: starts one that has not been
void monitor_info_register(void);
void monitor_input_register(void);
void monitor_memory_register(void);
void monitor_network_register(void);
void monitor_machine_register(void);
void monitor_screen_register(void);
void monitor_snapshot_register(void);
void monitor_host_register(void);
void monitor_devices_register(void);
void monitor_hotplug_register(void);
void monitor_usb_register(void);
// Whether a USB device, or a disk that is one, has that name; it is plugged in, or unplugged.
bool monitor_usb_has(const struct vm *vm, const char *name);
void monitor_usb_set(struct vm *vm, const char *name, bool plug);
// Why a setting was not taken, where it was not: monitor_devices.c.
void monitor_refusal_print(const struct vm *vm, enum status status);
void monitor_disks_register(void);
void monitor_disks_print(void); // for info block
void monitor_cd_register(void);
void monitor_cd_print(struct vm *vm, uint32_t index); // of a disk that may be a CD drive

#endif
