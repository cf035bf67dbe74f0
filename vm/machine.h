// SPDX-License-Identifier: BSD-2-Clause
// The machines that the configuration describes. Each can be created from its section, and be
// destroyed, any number of times; its console stays.
//
// Owner of all of it: the boot CPU's event loop and its fibers.
#ifndef VM_MACHINE_H
#define VM_MACHINE_H

#include "kernel/message.h"
#include "vm/vm.h"

struct console_guest;

struct machine {
	struct machine *next;    // in the order of the configuration
	struct vm_config config; // (c) what it is created from
	bool rtc_from_host;      // (c) its clock starts with the host's
	struct console_guest *console; // (c)
	struct vm *vm;           // NULL: not created
	struct cpu_message ended; // from the machine's home to the boot CPU
	bool ended_posted;       // (a) it is under way
	uint32_t ends_told;      // of the machine's
};

// Of the configuration: output, ended and owner are filled in here. What it points to must stay.
// NULL: no memory.
must_check struct machine *machine_add(const struct vm_config *config, bool rtc_from_host);
struct machine *machine_first(void); // NULL: none
struct machine *machine_find(const char *name); // NULL: there is none of that name

// Not created yet. On failure `error` (never empty) says why.
must_check enum status machine_create(struct machine *machine, char error[VM_ERROR_MAX]);
// Created. In a fiber if it may run.
void machine_destroy(struct machine *machine);

// What recording has to do with a machine's life. Each on the boot CPU; may be called in no fiber
// before the event loop runs. On failure `error` says why, and the machine is not created.
struct machine_hooks {
	// Before it is created, from *config, which may be changed.
	enum status (*prepare)(struct machine *machine, struct vm_config *config,
		char error[VM_ERROR_MAX]);
	enum status (*created)(struct machine *machine, char error[VM_ERROR_MAX]);
	void (*gone)(struct machine *machine); // machine->vm is about to be
};
void machine_hooks_set(const struct machine_hooks *hooks);

// Called when no machine is left that has not ended, with the status of the last: of
// isa-debug-exit, or 0.
void machine_all_ended_set(void (*all_ended)(uint32_t status));

// Registers the section of the crash report that lists machines and their last exits.
void machine_crash_section_init(void);

#endif
