// SPDX-License-Identifier: BSD-2-Clause
// Where a replay that has diverged begins to be another: the log is replayed twice up to a place,
// on this host as it is and as if runs ended as on other hardware (hardware_shaped), and the two
// machines are compared; again half way, until the position is known to the tick.
//
// What differs between two replays is not deterministic. Where they do not differ, the recording
// itself was made under circumstances that this host does not have.
#include <stdio.h>

#include "kernel/mem.h"
#include "replay/session.h"
#include "vm/monitor.h"

typedef unsigned long long ull;

enum { BEACON_PAGES = (int)((sizeof(struct beacon) + PAGE_BYTES - 1) / PAGE_BYTES) };

struct bisect {
	struct session *session;
	struct machine *machine;
	struct beacon *plain, *other;
	bool both;   // came to the last position that was asked for
	bool failed; // and the user has been told why
};

enum where { THERE, ENDED_BEFORE, NOT_YET };

static enum where where_is(const struct session *session, uint64_t ticks)
{
	struct vm *vm = session->vm;
	enum where where = NOT_YET;

	vm_hold(vm);
	if (session->mode != REPLAY_REPLAYING)
		where = ENDED_BEFORE;
	else if (vm->state == VM_PAUSED && landing_time(vm).ticks >= ticks)
		where = THERE;
	vm_release(vm);
	return where;
}

// False: it ended, or was not as recorded, before that; or bisect->failed.
static bool run_to(struct bisect *bisect, uint64_t ticks, bool other)
{
	struct session *session = bisect->session;
	char error[VM_ERROR_MAX] = "interrupted";
	enum where where = NOT_YET;
	enum status status;

	machine_destroy(bisect->machine);
	session->replay_next = true;
	session->replay_otherwise = other;
	session->break_next = ticks;
	status = machine_create(bisect->machine, error);
	session->replay_next = session->replay_otherwise = false;
	if (status == STATUS_OK)
		status = vm_start(bisect->machine->vm, error);
	while (status == STATUS_OK && (where = where_is(session, ticks)) == NOT_YET &&
		!monitor_interrupted())
		monitor_pause();
	if (status != STATUS_OK || where == NOT_YET) {
		monitor_printf("Error: %s\n", error);
		bisect->failed = true;
	}
	return where == THERE;
}

static void take(struct bisect *bisect, struct beacon *beacon)
{
	struct vm *vm = bisect->session->vm;
	enum status status;

	vm_hold(vm);
	status = beacon_take(vm, true, NULL, beacon);
	vm_release(vm);
	if (status != STATUS_OK) {
		monitor_printf("Error: no beacon: %s\n", status_name(status));
		bisect->failed = true;
	}
}

// Whether the two are the same at the first boundary at or after `ticks`.
static bool is_same(struct bisect *bisect, uint64_t ticks)
{
	bisect->both = false;
	if (!run_to(bisect, ticks, false))
		return false;
	take(bisect, bisect->plain);
	if (bisect->failed || !run_to(bisect, ticks, true))
		return false;
	take(bisect, bisect->other);
	bisect->both = !bisect->failed;
	return bisect->both && beacon_equals(bisect->plain, bisect->other);
}

// The machine is where the two differ first.
static void tell(struct bisect *bisect)
{
	struct session *session = bisect->session;
	const struct position here = session_place(session);
	char text[BEACON_TEXT_MAX];

	vm_hold(session->vm);
	beacon_difference(session->vm, bisect->other, bisect->plain, text);
	vm_release(session->vm);
	monitor_printf("two replays differ first at ticks %llu rip %llx rcx %llx: %s\n",
		(ull)here.ticks, (ull)here.rip, (ull)here.rcx, text);
}

static void narrow(struct bisect *bisect, uint64_t good, uint64_t bad)
{
	monitor_printf("the last beacon that matched: ticks %llu; diverged: ticks %llu\n",
		(ull)good, (ull)bad);
	if (is_same(bisect, bad)) {
		monitor_printf("two replays are the same up to there: the recording is not\n");
		return;
	}
	while (!bisect->failed && bad - good > 1) {
		uint64_t middle = good + (bad - good) / 2;

		if (is_same(bisect, middle))
			good = middle;
		else
			bad = middle;
		if (!bisect->failed)
			monitor_printf("between ticks %llu and %llu\n", (ull)good, (ull)bad);
	}
	if (bisect->failed || is_same(bisect, bad) || bisect->failed)
		return;
	if (bisect->both)
		tell(bisect);
	else
		monitor_printf("one of two replays does not come to ticks %llu\n", (ull)bad);
}

void bisect_run(struct session *session)
{
	struct bisect bisect = {.session = session, .machine = monitor_machine(),
		.plain = mem_pages_alloc(BEACON_PAGES), .other = mem_pages_alloc(BEACON_PAGES)};

	if (bisect.plain == NULL || bisect.other == NULL)
		monitor_puts("Error: no memory\n");
	else
		narrow(&bisect, session->last_match.ticks, session->place.ticks);
	if (bisect.plain != NULL)
		mem_pages_free(bisect.plain, BEACON_PAGES);
	if (bisect.other != NULL)
		mem_pages_free(bisect.other, BEACON_PAGES);
}
