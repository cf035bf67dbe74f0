// SPDX-License-Identifier: BSD-2-Clause
// Input waits in a ring until the fiber takes it: while a command runs, that is typing ahead.
#include "vm/monitor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/fiber.h"
#include "kernel/x86.h"
#include "vm/console.h"
#include "vm/line_editor.h"

enum {
	INPUT_BYTES = 4096,
	PRINT_MAX = 512,
	PAUSE_NS = 100000,
	CONTROL_C = 3,
};

static struct monitor_config config;
static struct monitor_command *commands, *infos; // by name
static struct line_editor editor;
static struct fiber *fiber;
static uint8_t input[INPUT_BYTES];
static uint32_t input_put, input_taken; // count for ever
static bool running;     // a command is
static bool interrupted;
static bool prompt_drawn;

static void registry_add(struct monitor_command **at, struct monitor_command *command)
{
	while (*at != NULL && strcmp((*at)->name, command->name) < 0)
		at = &(*at)->next;
	ASSERT(*at == NULL || strcmp((*at)->name, command->name) != 0);
	command->next = *at;
	*at = command;
}

void monitor_command_add(struct monitor_command *command)
{
	registry_add(&commands, command);
}

void monitor_info_add(struct monitor_command *command)
{
	registry_add(&infos, command);
}

static struct monitor_command *registry_find(struct monitor_command *first, const char *name)
{
	while (first != NULL && strcmp(first->name, name) != 0 &&
		(first->alias == NULL || strcmp(first->alias, name) != 0))
		first = first->next;
	return first;
}

static bool prompt_hide(void)
{
	if (!prompt_drawn)
		return false;
	prompt_drawn = false;
	line_editor_hide(&editor);
	return true;
}

static void prompt_show(void)
{
	if (running)
		return;
	prompt_drawn = true;
	line_editor_show(&editor);
}

static void editor_write(void *owner, const char *text, size_t bytes)
{
	(void)owner;
	console_monitor_write(text, bytes);
}

void monitor_puts(const char *text)
{
	// A word from elsewhere than a command pushes the prompt down.
	if (prompt_hide())
		console_prompt_due();
	while (*text != '\0') {
		size_t line = strcspn(text, "\n");

		console_monitor_write(text, line);
		text += line;
		if (*text == '\n') {
			console_monitor_write("\r\n", 2);
			text++;
		}
	}
}

void monitor_printf(const char *format, ...)
{
	char text[PRINT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	monitor_puts(text);
}

const struct monitor_config *monitor_config(void)
{
	return &config;
}

// A deadline, not a mere yield: a machine runs until something asks for attention.
void monitor_pause(void)
{
	if (fiber_self() != NULL)
		(void)fiber_wait(rdtsc() + clock_ns_to_tsc(PAUSE_NS));
}

bool monitor_interrupted(void)
{
	return interrupted;
}

static void help_print(const char *prefix, const struct monitor_command *command)
{
	monitor_printf("%s%s%s%s%s%s%s -- %s\n", prefix, command->name,
		command->alias != NULL ? "|" : "", command->alias != NULL ? command->alias : "",
		command->takes_format ? "/fmt" : "", command->arguments[0] != '\0' ? " " : "",
		command->arguments, command->description);
}

static void help_print_all(const char *prefix, const struct monitor_command *first)
{
	for (; first != NULL; first = first->next)
		help_print(prefix, first);
}

static void command_help(const struct monitor_call *call)
{
	const struct monitor_command *command;

	if (call->count == 0) {
		help_print_all("", commands);
		return;
	}
	command = registry_find(commands, call->arguments[0]);
	if (command == NULL)
		monitor_printf("unknown command: '%s'\n", call->arguments[0]);
	else if (strcmp(command->name, "info") == 0)
		help_print_all("info ", infos);
	else
		help_print("", command);
}

// Whether the arguments are as many as the command takes; tells the user if not.
static bool arguments_check(const char *prefix, const struct monitor_call *call)
{
	const struct monitor_command *command = call->command;

	if (call->count >= command->arguments_min && call->count <= command->arguments_max)
		return true;
	if (call->count < command->arguments_min)
		monitor_printf("%s%s: argument expected: %s\n", prefix, command->name,
			command->arguments);
	else
		monitor_printf("%s%s: extraneous characters at the end of line\n", prefix,
			command->name);
	monitor_printf("Try \"help %s\" for more information\n",
		prefix[0] != '\0' ? "info" : command->name);
	return false;
}

static void command_info(const struct monitor_call *call)
{
	struct monitor_call inner;

	if (call->count == 0) {
		help_print_all("info ", infos);
		return;
	}
	inner = (struct monitor_call){.command = registry_find(infos, call->arguments[0]),
		.count = call->count - 1, .arguments = call->arguments + 1, .rest = ""};
	if (inner.command == NULL)
		monitor_printf("unknown command: 'info %s'\n", call->arguments[0]);
	else if (arguments_check("info ", &inner))
		inner.command->handler(&inner);
}

static void command_quit(const struct monitor_call *call)
{
	(void)call;
	if (config.quit == NULL)
		monitor_puts("quit: this machine cannot be left\n");
	else
		config.quit();
}

static void call_run(struct monitor_call *call, char *rest)
{
	char *words[MONITOR_ARGUMENTS_MAX];
	const char *problem;
	int count;

	call->rest = rest;
	call->arguments = words;
	if (call->command->takes_rest) {
		size_t length = strlen(rest);

		while (length > 0 && rest[length - 1] == ' ')
			rest[--length] = '\0';
		words[0] = rest;
		call->count = rest[0] != '\0';
	} else {
		count = monitor_words_split(rest, words, &problem);
		if (count < 0) {
			monitor_printf("%s: %s\n", call->command->name, problem);
			call->arguments = NULL;
			return;
		}
		call->count = (unsigned)count;
	}
	if (arguments_check("", call))
		call->command->handler(call);
	call->arguments = NULL; // they are this function's
}

void monitor_execute(char *line)
{
	struct monitor_call call = {.count = 0};
	char *name = line + strspn(line, " \t"), *slash;
	size_t length = strcspn(name, " \t");
	char *rest = name + length;

	if (length == 0)
		return;
	if (*rest != '\0')
		*rest++ = '\0';
	rest += strspn(rest, " \t");
	slash = strchr(name, '/');
	if (slash != NULL) {
		*slash = '\0';
		call.format = slash + 1;
	}
	call.command = registry_find(commands, name);
	if (call.command == NULL || (slash != NULL && !call.command->takes_format)) {
		if (slash != NULL)
			*slash = '/';
		monitor_printf("unknown command: '%s'\n", name);
		return;
	}
	if (call.command->takes_format && call.format == NULL && *rest == '/') {
		call.format = rest + 1;
		rest += strcspn(rest, " \t");
		if (*rest != '\0')
			*rest++ = '\0';
		rest += strspn(rest, " \t");
	}
	call_run(&call, rest);
}

// Words for Tab: commands, or what may follow `info` and `help`.
static const char *candidate(void *owner, const char *line, size_t word_start, unsigned index)
{
	const struct monitor_command *at = commands;
	size_t first = strspn(line, " ");

	(void)owner;
	if (first < word_start) {
		size_t length = strcspn(line + first, " ");
		size_t second = first + length + strspn(line + first + length, " ");

		if (length != 4 || second < word_start)
			return NULL;
		if (memcmp(line + first, "info", 4) == 0)
			at = infos;
		else if (memcmp(line + first, "help", 4) != 0)
			return NULL;
	}
	while (at != NULL && index-- > 0)
		at = at->next;
	return at != NULL ? at->name : NULL;
}

static void line_run(void)
{
	char line[LINE_EDITOR_MAX];

	memcpy(line, editor.text, sizeof(line));
	prompt_drawn = false;
	interrupted = false;
	running = true;
	monitor_execute(line);
	running = false;
	line_editor_begin(&editor);
	console_prompt_due();
}

// What is typed for the monitor waits while it is not shown.
static void monitor_main(void *argument)
{
	(void)argument;
	for (;;) {
		if (input_taken == input_put || !console_monitor_is_shown()) {
			(void)fiber_wait(TIMER_NEVER);
			continue;
		}
		if (!prompt_drawn)
			prompt_show();
		if (line_editor_byte(&editor, input[input_taken++ % INPUT_BYTES]) ==
			LINE_EDITOR_LINE)
			line_run();
	}
}

// The event loop runs fibers before machines, but comes round to them by attention alone.
static void fiber_run_soon(void)
{
	fiber_wake(fiber);
	cpu_self()->attention = true;
}

static void input_take(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (running && bytes[i] == CONTROL_C) {
			interrupted = true;
			input_taken = input_put; // what was typed ahead is void as well
		} else if (input_put - input_taken < INPUT_BYTES) {
			input[input_put++ % INPUT_BYTES] = bytes[i];
		}
	}
	fiber_run_soon();
}

// Shown again: typing that waited is taken up.
static void console_show(void)
{
	prompt_show();
	if (!running && input_taken != input_put)
		fiber_run_soon();
}

enum status monitor_init(const struct monitor_config *wanted)
{
	static const struct line_editor_ops editor_ops = {editor_write, candidate};
	static const struct console_monitor_ops console_ops = {
		input_take, console_show, prompt_hide};
	static struct monitor_command own[] = {
		{.name = "help", .alias = "?", .arguments = "[command]", .arguments_max = 1,
			.description = "list commands, or explain one", .handler = command_help},
		{.name = "info", .arguments = "[subcommand]",
			.arguments_max = MONITOR_ARGUMENTS_MAX,
			.description = "show various information", .handler = command_info},
		{.name = "quit", .alias = "q", .arguments = "",
			.description = "end everything and leave", .handler = command_quit},
	};

	config = *wanted;
	line_editor_init(&editor, &editor_ops, NULL, "(reprise) ");
	fiber = fiber_create("monitor", monitor_main, NULL);
	if (fiber == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
		monitor_command_add(&own[i]);
	monitor_machine_register();
	monitor_info_register();
	monitor_input_register();
	monitor_memory_register();
	monitor_network_register();
	monitor_cpus_register();
	monitor_vms_register();
	monitor_screen_register();
	monitor_snapshot_register();
	monitor_host_register();
	monitor_devices_register();
	monitor_hotplug_register();
	monitor_usb_register();
	monitor_disks_register();
	monitor_cd_register();
	console_monitor_set(&console_ops);
	console_prompt_due();
	return STATUS_OK;
}
