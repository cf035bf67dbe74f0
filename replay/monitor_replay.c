// SPDX-License-Identifier: BSD-2-Clause
// record, replay, info replay and the replay_* commands of the monitor, after QEMU's.
#include <stdlib.h>
#include <string.h>

#include "kernel/smp.h"
#include "replay/session.h"
#include "vm/monitor.h"

typedef unsigned long long ull;

// The session of the machine that commands act on; NULL: the user has been told why not.
static struct session *session_need(void)
{
	struct vm *vm = monitor_vm_need();
	struct session *session;

	if (vm == NULL)
		return NULL;
	session = session_of(vm);
	if (session == NULL)
		monitor_puts("Error: the machine is not recordable: see `recordable` in its "
			"configuration\n");
	return session;
}

struct call {
	struct session *session;
	uint64_t ticks;
	char *error;
	enum status status;
};

static void stop_recording(void *argument)
{
	const struct call *call = argument;

	record_stop(call->session);
}

static void stop_replaying(void *argument)
{
	const struct call *call = argument;

	play_stop(call->session);
}

static void record_begin(struct session *session)
{
	char error[VM_ERROR_MAX];

	if (session->mode != REPLAY_NONE) {
		monitor_puts("Error: the machine is being recorded or replayed\n");
		return;
	}
	if (disks_identify(&session->vm->config, error) != STATUS_OK) {
		monitor_printf("Error: %s\n", error);
		return;
	}
	session->start_wanted = true;
	fiber_wake(session->fiber);
	while (session->start_wanted && !monitor_interrupted())
		monitor_pause();
	if (session->error[0] != '\0')
		monitor_printf("Error: %s\n", session->error);
}

static void command_record(const struct monitor_call *call)
{
	struct session *session = session_need();
	struct call stop = {.session = session};

	if (session == NULL)
		return;
	if (strcmp(call->arguments[0], "start") == 0) {
		record_begin(session);
	} else if (strcmp(call->arguments[0], "stop") != 0) {
		monitor_puts("Error: 'record start' or 'record stop'\n");
	} else if (session->mode != REPLAY_RECORDING) {
		monitor_puts("Error: the machine is not being recorded\n");
	} else {
		smp_call(vm_home(session->vm), stop_recording, &stop);
		while (session->mode == REPLAY_RECORDING && !monitor_interrupted())
			monitor_pause();
		monitor_printf("%s\n", session->text);
	}
}

// The machine begins anew, as the log has it.
static void replay_start(struct session *session, uint64_t break_ticks)
{
	struct machine *machine = monitor_machine();
	char error[VM_ERROR_MAX];
	enum status status;

	if (session->mode == REPLAY_RECORDING) {
		monitor_puts("Error: the machine is being recorded: 'record stop' first\n");
		return;
	}
	machine_destroy(machine);
	session->replay_next = true;
	session->break_next = break_ticks;
	status = machine_create(machine, error);
	session->replay_next = false;
	if (status == STATUS_OK)
		status = vm_start(machine->vm, error);
	if (status != STATUS_OK)
		monitor_printf("Error: %s\n", error);
}

static void replay_bisect(struct session *session)
{
	if (session->mode != REPLAY_ENDED || !session->diverged)
		monitor_puts("Error: no replay has diverged\n");
	else
		bisect_run(session);
}

static void command_replay(const struct monitor_call *call)
{
	struct session *session = session_need();
	struct call stop = {.session = session};

	if (session == NULL)
		return;
	if (strcmp(call->arguments[0], "start") == 0)
		replay_start(session, UINT64_MAX);
	else if (strcmp(call->arguments[0], "bisect") == 0)
		replay_bisect(session);
	else if (strcmp(call->arguments[0], "stop") != 0)
		monitor_puts("Error: 'replay start', 'replay stop' or 'replay bisect'\n");
	else if (session->mode != REPLAY_REPLAYING && session->mode != REPLAY_ENDED)
		monitor_puts("Error: nothing is being replayed\n");
	else
		smp_call(vm_home(session->vm), stop_replaying, &stop);
}

static void set_break(void *argument)
{
	const struct call *call = argument;

	play_break(call->session, call->ticks);
}

// A position's ticks, as somebody has typed them. False: he has been told what is wrong.
static bool ticks_parse(const char *text, uint64_t *ticks)
{
	char *end;

	*ticks = strtoull(text, &end, 0);
	if (*end == '\0' && end != text && text[0] != '-')
		return true;
	monitor_puts("Error: a number of ticks is needed, as `info replay` shows them\n");
	return false;
}

static void command_break(const struct monitor_call *call)
{
	struct session *session = session_need();
	struct call set = {.session = session};

	if (session == NULL || !ticks_parse(call->arguments[0], &set.ticks))
		return;
	if (session->mode != REPLAY_REPLAYING)
		monitor_puts("Error: nothing is being replayed\n");
	else if (set.ticks < landing_time(session->vm).ticks)
		monitor_puts("Error: it is past that: see replay_seek\n");
	else
		smp_call(vm_home(session->vm), set_break, &set);
}

static void command_delete_break(const struct monitor_call *call)
{
	struct session *session = session_need();
	struct call set = {.session = session, .ticks = UINT64_MAX};

	(void)call;
	if (session != NULL)
		smp_call(vm_home(session->vm), set_break, &set);
}

// Backwards leads over the log's start.
static void command_seek(const struct monitor_call *call)
{
	struct session *session = session_need();
	struct call set = {.session = session};

	if (session == NULL || !ticks_parse(call->arguments[0], &set.ticks))
		return;
	if (session->mode != REPLAY_REPLAYING && session->mode != REPLAY_ENDED) {
		monitor_puts("Error: nothing is being replayed\n");
	} else if (session->mode == REPLAY_ENDED ||
		set.ticks < landing_time(session->vm).ticks) {
		replay_start(session, set.ticks);
	} else {
		smp_call(vm_home(session->vm), set_break, &set);
		vm_continue(session->vm);
	}
}

static void info_replay(const struct monitor_call *call)
{
	static const char *const modes[] = {[REPLAY_NONE] = "none", [REPLAY_RECORDING] = "record",
		[REPLAY_REPLAYING] = "play", [REPLAY_ENDED] = "ended"};
	struct session *session = session_need();
	struct position here;

	(void)call;
	if (session == NULL)
		return;
	here = session_place(session);
	monitor_printf("mode: %s\n", modes[session->mode]);
	monitor_printf("position: ticks %llu rip %llx rcx %llx\n", (ull)here.ticks, (ull)here.rip,
		(ull)here.rcx);
	monitor_printf("rate: %u/%u\n", landing_time(session->vm).rate, landing_source_rate());
	monitor_printf("events: %llu, beacons: %llu (%llu full)\n", (ull)session->events,
		(ull)session->beacons, (ull)session->full_beacons);
	if (session->beacon_tsc[true] != 0)
		monitor_printf("a beacon: %llu TSC ticks, a full one %llu\n",
			(ull)session->beacon_tsc[false], (ull)session->beacon_tsc[true]);
	if (session->mode == REPLAY_RECORDING)
		monitor_printf("part: %u of the log, %llu bytes; those before: %llu\n",
			session->header->part, (ull)session->writer->next_offset,
			(ull)session->log_bytes);
	if (session->text[0] != '\0')
		monitor_printf("last: %s\n", session->text);
}

void monitor_replay_register(void)
{
	static struct monitor_command own[] = {
		{.name = "record", .arguments = "start|stop", .arguments_min = 1,
			.arguments_max = 1,
			.description = "record the VM from here on; or end that",
			.handler = command_record},
		{.name = "replay", .arguments = "start|stop|bisect", .arguments_min = 1,
			.arguments_max = 1, .description = "replay the VM's log from its start; "
			"leave the replay, and go on live; or find where it diverges",
			.handler = command_replay},
		{.name = "replay_break", .arguments = "ticks", .arguments_min = 1,
			.arguments_max = 1, .description = "pause the replay at a position",
			.handler = command_break},
		{.name = "replay_delete_break", .arguments = "",
			.description = "forget that position", .handler = command_delete_break},
		{.name = "replay_seek", .arguments = "ticks", .arguments_min = 1,
			.arguments_max = 1, .description = "go to a position of the replay, "
			"forwards or backwards, and pause there", .handler = command_seek},
	};
	static struct monitor_command info = {.name = "replay", .arguments = "",
		.description = "show what is recorded or replayed", .handler = info_replay};

	for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
		monitor_command_add(&own[i]);
	monitor_info_add(&info);
}
