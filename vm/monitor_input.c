// SPDX-License-Identifier: BSD-2-Clause
// Keyboard and mouse of the machine: sendkey, mouse_move, mouse_button, info mice. Keys have QEMU's
// names.
#include "vm/monitor.h"

#include <stdlib.h>
#include <string.h>

#include "emul/ps2.h"
#include "kernel/clock.h"
#include "kernel/fiber.h"
#include "kernel/x86.h"
#include "vm/input.h"
#include "vm/machine.h"
#include "vm/vm.h"

enum {
	KEYS_MAX = OUTSIDE_INPUTS_MAX,
	HOLD_MS = 100,
	HOLD_MS_MAX = 60000,
	NAME_BYTES = 17,
	NS_PER_MS = 1000000,
};

// By usage. A key may have several names.
static const struct key_name {
	char name[NAME_BYTES];
	uint8_t usage;
} key_names[] = {
	{"ret", 0x28}, {"esc", 0x29}, {"backspace", 0x2a}, {"tab", 0x2b}, {"spc", 0x2c},
	{"minus", 0x2d}, {"equal", 0x2e}, {"bracket_left", 0x2f}, {"bracket_right", 0x30},
	{"backslash", 0x31}, {"semicolon", 0x33}, {"apostrophe", 0x34}, {"grave_accent", 0x35},
	{"comma", 0x36}, {"dot", 0x37}, {"slash", 0x38}, {"caps_lock", 0x39}, {"print", 0x46},
	{"sysrq", 0x46}, {"scroll_lock", 0x47}, {"pause", 0x48}, {"insert", 0x49}, {"home", 0x4a},
	{"pgup", 0x4b}, {"delete", 0x4c}, {"end", 0x4d}, {"pgdn", 0x4e}, {"right", 0x4f},
	{"left", 0x50}, {"down", 0x51}, {"up", 0x52}, {"num_lock", 0x53}, {"kp_divide", 0x54},
	{"kp_multiply", 0x55}, {"asterisk", 0x55}, {"kp_subtract", 0x56}, {"kp_add", 0x57},
	{"kp_enter", 0x58}, {"kp_decimal", 0x63}, {"less", 0x64}, {"compose", 0x65},
	{"menu", 0x65}, {"power", 0x66}, {"kp_equals", 0x67}, {"audiomute", 0x7f},
	{"volumeup", 0x80}, {"volumedown", 0x81}, {"kp_comma", 0x85}, {"ro", 0x87},
	{"katakanahiragana", 0x88}, {"yen", 0x89}, {"henkan", 0x8a}, {"muhenkan", 0x8b},
	{"ctrl", 0xe0}, {"shift", 0xe1}, {"alt", 0xe2}, {"meta_l", 0xe3}, {"ctrl_r", 0xe4},
	{"shift_r", 0xe5}, {"alt_r", 0xe6}, {"meta_r", 0xe7},
};

static unsigned decimal(const char *text)
{
	return (unsigned)(text[0] - '0');
}

// "1" to "9", "0", as the usages are in order.
static uint8_t digit_usage(char digit, uint8_t first)
{
	return (uint8_t)(first + (digit == '0' ? 9 : digit - '1'));
}

// Letters, digits, kp_0 to kp_9 and f1 to f24 have no line in the table. 0: no such name.
static uint8_t named_usage(const char *name)
{
	size_t length = strlen(name);
	char *end;

	if (length == 1 && name[0] >= 'a' && name[0] <= 'z')
		return (uint8_t)(0x04 + name[0] - 'a');
	if (length == 1 && decimal(name) < 10)
		return digit_usage(name[0], 0x1e);
	if (length == 4 && strncmp(name, "kp_", 3) == 0 && decimal(name + 3) < 10)
		return digit_usage(name[3], 0x59);
	if (name[0] == 'f' && name[1] >= '1' && name[1] <= '9') {
		unsigned long number = strtoul(name + 1, &end, 10);

		if (*end == '\0' && number <= 24)
			return (uint8_t)(number <= 12 ? 0x3a + number - 1 : 0x68 + number - 13);
	}
	for (unsigned i = 0; i < ARRAY_COUNT(key_names); i++)
		if (strcmp(key_names[i].name, name) == 0)
			return key_names[i].usage;
	return 0;
}

// A name, or a scan code of set 1 as 0x1e, with bit 7 where 0xe0 comes before it.
static uint8_t key_parse(const char *name)
{
	unsigned long code;
	char *end;

	if (name[0] != '0' || name[1] != 'x')
		return named_usage(name);
	code = strtoul(name, &end, 16);
	return *end == '\0' && code <= UINT8_MAX ? ps2_usage((uint8_t)code) : 0;
}

// Of names joined by '-', whose text is changed. 0, and the user has been told: they are none.
static unsigned keys_parse(char *text, struct device_input keys[KEYS_MAX])
{
	unsigned count = 0;

	for (char *next = text; next != NULL; count++) {
		char *name = next;
		uint8_t usage;

		next = strchr(name, '-');
		if (next != NULL)
			*next++ = '\0';
		usage = key_parse(name);
		if (usage == 0 || count == KEYS_MAX) {
			monitor_printf(usage == 0 ? "Error: invalid parameter: %s\n"
						  : "Error: too many keys: %s\n", name);
			return 0;
		}
		keys[count] = (struct device_input){.kind = DEVICE_INPUT_KEY, .code = usage,
			.down = true};
	}
	return count;
}

static bool post(struct vm *vm, const struct device_input *inputs, unsigned count)
{
	enum status status = outside_input(vm, inputs, count);

	if (status == STATUS_REFUSED && vm->state == VM_RUNNING)
		monitor_puts("Error: the machine is being replayed\n");
	else if (status == STATUS_REFUSED)
		monitor_printf("Error: the machine is not running (%s)\n", vm_state_name(vm));
	else if (status == STATUS_BUSY)
		monitor_puts("Error: too much input waits for the machine\n");
	else if (status != STATUS_OK)
		monitor_printf("Error: %s\n", status_name(status));
	return status == STATUS_OK;
}

static bool all_wait(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		if (!vm->vcpus[i]->halted && !vm->vcpus[i]->waits_for_startup)
			return false;
	return true;
}

// Until so much of the guest's time has passed. That of a machine whose position is kept goes on
// when its wait ends: there the host's says how long that has been. It ends early where time stands
// still, by Ctrl-C, or where nobody can wait. False: the machine is not there any more.
static bool hold(const struct machine *machine, struct vm *vm, uint64_t hold_ms)
{
	uint64_t until = vm_now(vm).ns + hold_ms * NS_PER_MS;
	uint64_t host_until = rdtsc() + clock_ns_to_tsc(hold_ms * NS_PER_MS);

	while (fiber_self() != NULL && machine->vm == vm && vm->state == VM_RUNNING &&
		vm_now(vm).ns < until && !(rdtsc() >= host_until && all_wait(vm)) &&
		!monitor_interrupted())
		monitor_pause();
	return machine->vm == vm;
}

// The release is input of its own, and comes at whatever position the machine has come to.
static void command_sendkey(const struct monitor_call *call)
{
	struct device_input keys[KEYS_MAX], released[KEYS_MAX];
	unsigned long hold_ms = HOLD_MS;
	struct vm *vm = monitor_vm_need();
	unsigned count;
	char *end;

	if (vm == NULL)
		return;
	if (call->count > 1) {
		hold_ms = strtoul(call->arguments[1], &end, 10);
		if (*end != '\0' || decimal(call->arguments[1]) > 9 || hold_ms > HOLD_MS_MAX) {
			monitor_printf("Error: '%s' is not a time of 0 to %u ms\n",
				call->arguments[1], HOLD_MS_MAX);
			return;
		}
	}
	count = keys_parse(call->arguments[0], keys);
	for (unsigned i = 0; i < count; i++) {
		released[i] = keys[count - 1 - i];
		released[i].down = false;
	}
	if (count == 0 || !post(vm, keys, count) || !hold(monitor_machine(), vm, hold_ms))
		return;
	if (outside_input(vm, released, count) != STATUS_OK)
		monitor_puts("Error: the machine takes no input now: keys are down still\n");
}

static bool number_parse(const char *text, int16_t *number)
{
	bool negative = text[0] == '-';
	const char *digits = text + negative;
	char *end;
	unsigned long value = strtoul(digits, &end, 10);

	if (decimal(digits) > 9 || *end != '\0' || value > INT16_MAX) {
		monitor_printf("Error: '%s' is not a number of -%d to %d\n", text, INT16_MAX,
			INT16_MAX);
		return false;
	}
	*number = (int16_t)(negative ? -(int)value : (int)value);
	return true;
}

// QEMU's dz is positive where the wheel turns away from the user.
static void command_mouse_move(const struct monitor_call *call)
{
	struct device_input input = {.kind = DEVICE_INPUT_MOVE};
	struct vm *vm = monitor_vm_need();

	if (vm == NULL || !number_parse(call->arguments[0], &input.x) ||
		!number_parse(call->arguments[1], &input.y) ||
		(call->count > 2 && !number_parse(call->arguments[2], &input.wheel)))
		return;
	input.wheel = (int16_t)-input.wheel;
	(void)post(vm, &input, 1);
}

// What is as it was changes nothing.
static void command_mouse_button(const struct monitor_call *call)
{
	static const uint8_t buttons[] = {DEVICE_BUTTON_LEFT, DEVICE_BUTTON_MIDDLE,
		DEVICE_BUTTON_RIGHT};
	struct device_input inputs[DEVICE_BUTTONS];
	struct vm *vm = monitor_vm_need();
	int16_t state;

	if (vm == NULL || !number_parse(call->arguments[0], &state))
		return;
	if (state < 0 || state > 7) {
		monitor_puts("Error: buttons are 1 (left), 2 (middle) and 4 (right)\n");
		return;
	}
	for (unsigned i = 0; i < DEVICE_BUTTONS; i++)
		inputs[i] = (struct device_input){.kind = DEVICE_INPUT_BUTTON, .code = buttons[i],
			.down = state >> i & 1};
	(void)post(vm, inputs, DEVICE_BUTTONS);
}

static void mice_print(struct vm *vm, enum device_input_kind kind, const char *what)
{
	const struct device *device = NULL;
	char mark = '*';

	bus_enter(&vm->bus);
	while ((device = input_device(vm, kind, device)) != NULL) {
		monitor_printf("%c Mouse #%u: %s%s\n", mark, device->id, device->model->name, what);
		mark = ' ';
	}
	bus_unlock(&vm->bus);
}

static void command_info_mice(const struct monitor_call *call)
{
	struct vm *vm = monitor_vm_need();

	(void)call;
	if (vm == NULL)
		return;
	mice_print(vm, DEVICE_INPUT_MOVE, "");
	mice_print(vm, DEVICE_INPUT_PLACE, " (absolute)");
}

void monitor_input_register(void)
{
	static struct monitor_command mice = {.name = "mice", .arguments = "",
		.description = "show which mouse is receiving events",
		.handler = command_info_mice};
	static struct monitor_command own[] = {
		{.name = "sendkey", .arguments = "keys [hold_ms]",
			.description = "press keys joined by '-', as ctrl-alt-f1, for 100 ms",
			.arguments_min = 1, .arguments_max = 2, .handler = command_sendkey},
		{.name = "mouse_move", .arguments = "dx dy [dz]", .arguments_min = 2,
			.arguments_max = 3, .description = "move the mouse; dz turns its wheel",
			.handler = command_mouse_move},
		{.name = "mouse_button", .arguments = "state", .arguments_min = 1,
			.arguments_max = 1, .handler = command_mouse_button,
			.description = "set the mouse's buttons (1=L, 2=M, 4=R)"},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
		monitor_command_add(&own[i]);
	monitor_info_add(&mice);
}
