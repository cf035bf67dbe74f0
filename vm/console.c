// SPDX-License-Identifier: BSD-2-Clause
// Kept output is written a piece a millisecond, so that a slow line does not hold up the event
// loop; what comes meanwhile queues behind it. Input that a machine does not take waits here and
// is offered again every millisecond while the machine runs.
#include "vm/console.h"

#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/loop.h"
#include "kernel/mem.h"
#include "kernel/timer.h"
#include "kernel/x86.h"
#include "vm/byte_ring.h"
#include "vm/vm.h"

enum {
	PIECE_BYTES = 512,
	POLL_NS = 1000000,
	OFFER_BYTES = 256,
	ROOM_WAIT_NS = 2000000, // for room in a full ring; a piece is taken every POLL_NS
	NOTE_MAX = 96,
};

// A ring of bytes. `put` and `taken` count for ever; the difference may exceed the capacity: then
// the oldest bytes have been overwritten.
struct ring {
	uint8_t *bytes;
	size_t capacity;
	uint64_t put, taken;
};

// Whoever can have the terminal.
struct port {
	struct ring kept;
};

struct console_guest {
	struct port port;
	struct console_guest *next;
	struct vm *vm;
	char name[VM_NAME_MAX];
	bool input_lost; // and said so
	bool output_lost; // (a) by another core: to be said
	bool output_lost_said;
	struct ring input;
	struct byte_ring incoming;
	uint8_t kept_bytes[CONSOLE_GUEST_KEPT];
	uint8_t input_bytes[CONSOLE_GUEST_INPUT];
	uint8_t incoming_bytes[CONSOLE_GUEST_INCOMING];
};

static uint8_t monitor_kept[CONSOLE_MONITOR_KEPT];
static struct port monitor = {.kept = {.bytes = monitor_kept, .capacity = sizeof(monitor_kept)}};
static const struct console_monitor_ops *monitor_ops;
static struct port *shown = &monitor; // (a) other CPUs look when they log
static struct console_guest *guests;
static struct console_guest *guest_last; // that Ctrl-] leads to
static struct timer timer;
static bool mid_line;   // the cursor is not at the start of a row; under the log's lock
static bool prompt_due; // (a) set by any CPU that logs
static bool asked;      // (a) for attention: stored before the kick

static void ring_put(struct ring *ring, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ring->bytes[ring->put++ % ring->capacity] = bytes[i];
}

static bool ring_is_empty(const struct ring *ring)
{
	return ring->put == ring->taken;
}

// Forgets what was overwritten; returns how much that is.
static uint64_t ring_skip_lost(struct ring *ring)
{
	uint64_t lost = ring->put - ring->taken;

	lost = lost > ring->capacity ? lost - ring->capacity : 0;
	ring->taken += lost;
	return lost;
}

// The oldest bytes, as far as they are contiguous.
static size_t ring_peek(const struct ring *ring, size_t most, const uint8_t **bytes)
{
	size_t at = (size_t)(ring->taken % ring->capacity);
	uint64_t count = ring->put - ring->taken;

	if (count > ring->capacity - at)
		count = ring->capacity - at;
	*bytes = ring->bytes + at;
	return count < most ? (size_t)count : most;
}

// The event loop comes round to console_run, wherever this is called from.
static void attention_ask(void)
{
	__atomic_store_n(&asked, true, __ATOMIC_RELAXED);
	cpu_kick(cpu_get(0)); // the log's hook may run elsewhere
}

static void write_out(const uint8_t *bytes, size_t count)
{
	if (count == 0)
		return;
	console_lock();
	console_write((const char *)bytes, count);
	mid_line = bytes[count - 1] != '\n';
	console_unlock();
}

static void row_begin(void)
{
	console_lock();
	if (mid_line)
		write_out((const uint8_t *)"\r\n", 2);
	console_unlock();
}

static void note_write(const char *note)
{
	row_begin();
	write_out((const uint8_t *)note, strlen(note));
}

static void prompt_hide(void)
{
	if (monitor_ops != NULL && monitor_ops->hide())
		mid_line = false;
}

// True if something is left.
static bool kept_write(struct port *port)
{
	uint64_t lost = ring_skip_lost(&port->kept);
	const uint8_t *bytes;
	size_t count;

	if (lost > 0) {
		char note[NOTE_MAX];

		snprintf(note, sizeof(note), "[%llu bytes of output before this were dropped]\r\n",
			(unsigned long long)lost);
		note_write(note);
	}
	count = ring_peek(&port->kept, PIECE_BYTES, &bytes);
	port->kept.taken += count;
	write_out(bytes, count);
	return !ring_is_empty(&port->kept);
}

static void port_write(struct port *port, const uint8_t *bytes, size_t count)
{
	if (port == shown) {
		// No output is lost while its owner is shown, however fast it comes.
		while (port->kept.put - port->kept.taken + count > port->kept.capacity &&
			!ring_is_empty(&port->kept))
			(void)kept_write(port);
		if (ring_is_empty(&port->kept)) {
			write_out(bytes, count);
			return;
		}
	}
	ring_put(&port->kept, bytes, count);
}

// Takes what came from another core: all of it, or where the guest is shown and it may be much, a
// piece. True if something is left.
static bool incoming_take(struct console_guest *guest, bool all)
{
	const uint8_t *bytes;
	size_t count;

	if (__atomic_exchange_n(&guest->output_lost, false, __ATOMIC_RELAXED) &&
		!guest->output_lost_said) {
		guest->output_lost_said = true;
		log_warn("%s: output is being lost: it comes faster than it can be shown",
			guest->name);
	}
	while ((count = byte_ring_peek(&guest->incoming, &bytes)) > 0) {
		if (&guest->port == shown && count > PIECE_BYTES)
			count = PIECE_BYTES;
		port_write(&guest->port, bytes, count);
		byte_ring_take(&guest->incoming, count);
		if (&guest->port == shown && !all)
			return byte_ring_peek(&guest->incoming, &bytes) > 0;
	}
	return false;
}

// Offers what waits. True if it is worth trying again soon: a machine that does not run takes
// nothing, and what makes it run comes with attention.
static bool guest_feed(struct console_guest *guest)
{
	if (guest->vm->state == VM_ENDED)
		guest->input.taken = guest->input.put;
	for (unsigned i = 0; i < 2 && !ring_is_empty(&guest->input); i++) {
		const uint8_t *bytes;
		size_t count = ring_peek(&guest->input, OFFER_BYTES, &bytes);

		count = vm_receive(guest->vm, bytes, count);
		guest->input.taken += count;
		if (count == 0)
			break;
	}
	if (!ring_is_empty(&guest->input))
		return guest->vm->state == VM_RUNNING;
	guest->input_lost = false;
	return false;
}

static void guest_input(struct console_guest *guest, uint8_t byte)
{
	if (guest->vm == NULL || guest->vm->state == VM_ENDED)
		return; // nobody is there to read it
	if (guest->input.put - guest->input.taken < guest->input.capacity) {
		ring_put(&guest->input, &byte, 1);
	} else if (!guest->input_lost) {
		guest->input_lost = true;
		log_warn("%s: input is being lost: the guest does not read its serial port",
			guest->name);
	}
}

static struct console_guest *guest_shown(void)
{
	return shown == &monitor ? NULL : CONTAINER_OF(shown, struct console_guest, port);
}

static bool console_run(struct loop_task *task)
{
	bool again = false;
	uint64_t deadline;

	(void)task;
	// It is called whatever attention was for, and a vcpu that was woken waits meanwhile.
	if (likely(!__atomic_load_n(&asked, __ATOMIC_RELAXED) && rdtsc() < timer.deadline))
		return false;
	__atomic_store_n(&asked, false, __ATOMIC_RELAXED);
	if (!ring_is_empty(&shown->kept))
		again = kept_write(shown);
	if (__atomic_load_n(&prompt_due, __ATOMIC_RELAXED) && console_monitor_is_shown() &&
		ring_is_empty(&monitor.kept)) {
		__atomic_store_n(&prompt_due, false, __ATOMIC_RELAXED);
		if (monitor_ops != NULL)
			monitor_ops->show();
	}
	for (struct console_guest *guest = guests; guest != NULL; guest = guest->next) {
		again |= incoming_take(guest, false);
		if (guest->vm != NULL)
			again |= guest_feed(guest);
	}
	deadline = again ? rdtsc() + clock_ns_to_tsc(POLL_NS) : TIMER_NEVER;
	if (deadline != timer.deadline)
		timer_set(&timer, deadline);
	return false;
}

// Any context may log: no more than bytes to the terminal and flags. On another CPU than the boot
// CPU the prompt stays where it is, and another one is drawn below.
static void before_log_line(void)
{
	if (__atomic_load_n(&shown, __ATOMIC_RELAXED) == &monitor) {
		if (cpu_self()->index == 0)
			prompt_hide();
		console_prompt_due();
	}
	row_begin();
}

void console_init(void)
{
	static struct loop_task task = {.run = console_run};

	timer_add(&timer);
	loop_task_add(&task);
	log_hook_set(before_log_line);
}

void console_monitor_set(const struct console_monitor_ops *ops)
{
	monitor_ops = ops;
}

struct console_guest *console_guest_add(const char *name)
{
	struct console_guest *guest = mem_pages_alloc(PAGES_OF(*guest));

	if (guest == NULL)
		return NULL;
	snprintf(guest->name, sizeof(guest->name), "%s", name);
	guest->port.kept =
		(struct ring){.bytes = guest->kept_bytes, .capacity = CONSOLE_GUEST_KEPT};
	guest->input = (struct ring){.bytes = guest->input_bytes, .capacity = CONSOLE_GUEST_INPUT};
	guest->incoming = (struct byte_ring){
		.bytes = guest->incoming_bytes, .capacity = CONSOLE_GUEST_INCOMING};
	guest->next = guests;
	guests = guest;
	if (guest_last == NULL)
		guest_last = guest;
	return guest;
}

void console_guest_attach(struct console_guest *guest, struct vm *vm)
{
	guest->vm = vm;
	guest->input.taken = guest->input.put;
	guest->output_lost_said = false;
}

struct vm *console_guest_vm(const struct console_guest *guest)
{
	return guest->vm;
}

// The boot CPU never waits for the caller's device lock for long, so that it comes to take a piece:
// see vm_receive.
static __attribute__((noinline)) void output_elsewhere(struct console_guest *guest,
	const uint8_t *bytes, size_t count)
{
	uint64_t deadline = 0;

	for (;;) {
		bool wake;
		size_t put = byte_ring_put(&guest->incoming, bytes, count, &wake);

		if (wake)
			attention_ask();
		bytes += put;
		count -= put;
		if (count == 0)
			return;
		if (deadline == 0)
			deadline = rdtsc() + clock_ns_to_tsc(ROOM_WAIT_NS);
		else if (rdtsc() >= deadline)
			break;
		cpu_relax();
	}
	__atomic_store_n(&guest->output_lost, true, __ATOMIC_RELAXED);
}

void console_guest_output(struct console_guest *guest, const uint8_t *bytes, size_t count)
{
	if (cpu_self()->index != 0) {
		output_elsewhere(guest, bytes, count);
		return;
	}
	(void)incoming_take(guest, true); // it was first
	port_write(&guest->port, bytes, count);
}

void console_guest_flush(struct console_guest *guest)
{
	(void)incoming_take(guest, true);
	while (&guest->port == shown && !ring_is_empty(&guest->port.kept))
		(void)kept_write(&guest->port);
}

bool console_guest_is_shown(const struct console_guest *guest)
{
	return shown == &guest->port;
}

static void show(struct port *port, const char *note)
{
	prompt_hide();
	note_write(note);
	__atomic_store_n(&shown, port, __ATOMIC_RELAXED);
	attention_ask();
}

void console_show_guest(struct console_guest *guest)
{
	char note[NOTE_MAX];

	snprintf(note, sizeof(note), "[guest %s: Ctrl-] for the monitor]\r\n", guest->name);
	guest_last = guest;
	show(&guest->port, note);
}

void console_show_monitor(void)
{
	show(&monitor, guest_last != NULL
		? "[monitor: Ctrl-] for the guest, 'help' lists commands]\r\n"
		: "[monitor: 'help' lists commands]\r\n");
	console_prompt_due();
}

static void console_switch(void)
{
	if (shown != &monitor) {
		console_show_monitor();
	} else if (guest_last != NULL) {
		console_show_guest(guest_last);
	} else {
		prompt_hide();
		note_write("[there is no guest]\r\n");
		console_prompt_due();
	}
}

void console_input(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == CONSOLE_SWITCH_KEY)
			console_switch();
		else if (shown != &monitor)
			guest_input(guest_shown(), bytes[i]);
		else if (monitor_ops != NULL)
			monitor_ops->input(&bytes[i], 1);
	}
	attention_ask();
}

void console_monitor_write(const char *text, size_t bytes)
{
	port_write(&monitor, (const uint8_t *)text, bytes);
}

bool console_monitor_is_shown(void)
{
	return shown == &monitor;
}

void console_prompt_due(void)
{
	__atomic_store_n(&prompt_due, true, __ATOMIC_RELAXED);
	attention_ask();
}
