// SPDX-License-Identifier: BSD-2-Clause
// The console multiplexer: the monitor and the machines' serial ports share the host's one
// terminal. Ctrl-] switches between the monitor and the machine that was shown last.
//
// Exactly one of them has the terminal. What another one writes is kept, the latest bytes of it,
// and shown when it gets the terminal. Lines of the log go out at once: they begin in a row of
// their own, and a prompt that they push away is drawn again.
//
// Owner of all of it: the boot CPU's event loop and its fibers. A machine's output from another
// core comes through a ring of its own (vm/byte_ring.h), in order; while that is full the core
// waits a little, so that a guest that floods the line is slowed down rather than cut.
#ifndef VM_CONSOLE_H
#define VM_CONSOLE_H

#include "kernel/base/types.h"

struct vm;
struct console_guest;

enum {
	CONSOLE_SWITCH_KEY = 0x1d,       // Ctrl-]
	CONSOLE_GUEST_KEPT = 64 * 1024,  // bytes of output kept for a machine not shown
	CONSOLE_MONITOR_KEPT = 16 * 1024,
	CONSOLE_GUEST_INPUT = 4096,      // bytes typed that a machine has not taken yet
	CONSOLE_GUEST_INCOMING = 64 * 1024, // bytes of output on their way from another core
};

// What the monitor gives to the console.
struct console_monitor_ops {
	void (*input)(const uint8_t *bytes, size_t count);
	// Draws the prompt and what is being typed, where there is something to be drawn; erases
	// it. `hide` says whether anything was there.
	void (*show)(void);
	bool (*hide)(void);
};

// Starts it: adds its task to the event loop and hooks into the log. The monitor has the terminal.
void console_init(void);
void console_monitor_set(const struct console_monitor_ops *ops);

// A machine's place at the console. NULL: no memory. `name` is copied.
must_check struct console_guest *console_guest_add(const char *name);
// Where input goes; NULL: nowhere, it is dropped.
void console_guest_attach(struct console_guest *guest, struct vm *vm);
struct vm *console_guest_vm(const struct console_guest *guest);
// For vm_config.output: from any core, one at a time.
void console_guest_output(struct console_guest *guest, const uint8_t *bytes, size_t count);
// Whatever the guest has written is on its way to the terminal, or kept.
void console_guest_flush(struct console_guest *guest);
bool console_guest_is_shown(const struct console_guest *guest);

// Gives the terminal to a machine or to the monitor, and says so.
void console_show_guest(struct console_guest *guest);
void console_show_monitor(void);

// What the user typed.
void console_input(const uint8_t *bytes, size_t count);

// Between console and monitor.
void console_monitor_write(const char *text, size_t bytes);
bool console_monitor_is_shown(void);
// The prompt is to be drawn as soon as the monitor's earlier output is out.
void console_prompt_due(void);

#endif
