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

// A replay that was run up to a place, or to its end where that comes before.
struct run {
	struct position at;
	struct beacon *beacon;
};

struct bisect {
	struct session *session;
	struct machine *machine;
	struct run plain, other;
	bool failed; // and the user has been told why
};

// And not with its end before it, that it has asked for.
static bool rests(const struct session *session)
{
	struct vm *vm = session->vm;
	bool rests;

	vm_hold(vm);
	rests = __atomic_load_n(&vm->requests, __ATOMIC_ACQUIRE) == 0 &&
		!session->machine_ended &&
		(session->mode != REPLAY_REPLAYING || vm->state == VM_PAUSED);
	vm_release(vm);
	return rests;
}

static void fail(struct bisect *bisect, const char *why)
{
	monitor_printf("Error: %s\n", why);
	bisect->failed = true;
}

static void take(struct bisect *bisect, struct run *run)
{
	struct vm *vm = bisect->session->vm;
	enum status status;

	vm_hold(vm);
	run->at = session_place(bisect->session);
	status = beacon_take(vm, true, NULL, run->beacon);
	vm_release(vm);
	if (status != STATUS_OK)
		fail(bisect, status_name(status));
}

static void run_to(struct bisect *bisect, uint64_t ticks, bool otherwise, struct run *run)
{
	struct session *session = bisect->session;
	char error[VM_ERROR_MAX];
	enum status status;

	machine_destroy(bisect->machine);
	session->replay_next = true;
	session->replay_otherwise = otherwise;
	session->break_next = ticks;
	status = machine_create(bisect->machine, error);
	session->replay_next = session->replay_otherwise = false;
	if (status == STATUS_OK)
		status = vm_start(bisect->machine->vm, error);
	if (status != STATUS_OK) {
		fail(bisect, error);
		return;
	}
	while (!rests(session) && !monitor_interrupted())
		monitor_pause();
	if (monitor_interrupted())
		fail(bisect, "interrupted");
	else
		take(bisect, run);
}

// Whether the two are the same at the first boundary at or after `ticks`, or at their end.
static bool is_same(struct bisect *bisect, uint64_t ticks)
{
	run_to(bisect, ticks, false, &bisect->plain);
	if (!bisect->failed)
		run_to(bisect, ticks, true, &bisect->other);
	return !bisect->failed && position_equal(&bisect->plain.at, &bisect->other.at) &&
		beacon_equals(bisect->plain.beacon, bisect->other.beacon);
}

// The machine is where the two differ first.
static void tell(const struct bisect *bisect)
{
	const struct position *a = &bisect->plain.at, *b = &bisect->other.at;
	struct vm *vm = bisect->session->vm;
	char text[BEACON_TEXT_MAX];

	vm_hold(vm);
	beacon_difference(vm, bisect->other.beacon, bisect->plain.beacon, text);
	vm_release(vm);
	monitor_printf("two replays differ first at ticks %llu rip %llx rcx %llx: %s\n",
		(ull)b->ticks, (ull)b->rip, (ull)b->rcx, text);
	if (!position_equal(a, b))
		monitor_printf("where the other is at ticks %llu rip %llx rcx %llx\n",
			(ull)a->ticks, (ull)a->rip, (ull)a->rcx);
}

static void narrow(struct bisect *bisect, uint64_t good, uint64_t bad)
{
	monitor_printf("the last beacon that matched: ticks %llu; diverged: ticks %llu\n",
		(ull)good, (ull)bad);
	if (is_same(bisect, bad)) {
		monitor_puts("two replays are the same up to there: the recording is not\n");
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
	if (!bisect->failed && !is_same(bisect, bad) && !bisect->failed)
		tell(bisect);
}

void bisect_run(struct session *session)
{
	struct beacon *plain = mem_pages_alloc(BEACON_PAGES);
	struct beacon *other = mem_pages_alloc(BEACON_PAGES);
	struct bisect bisect = {.session = session, .machine = monitor_machine(),
		.plain = {.beacon = plain}, .other = {.beacon = other}};

	if (plain == NULL || other == NULL)
		fail(&bisect, "no memory");
	else
		narrow(&bisect, session->last_match.ticks, session->place.ticks);
	if (plain != NULL)
		mem_pages_free(plain, BEACON_PAGES);
	if (other != NULL)
		mem_pages_free(other, BEACON_PAGES);
}
