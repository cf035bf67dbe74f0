// SPDX-License-Identifier: BSD-2-Clause
// One table of keys per kind of section; a key's type parses its value, the rest is common.
//
// The UEFI path parses the configuration too, to learn which files to load, before the kernel has
// set up anything: hence no STATUS_FAIL and no C library beyond memory and string functions.
#include "boot/config.h"

#include <string.h>

#include "boot/ini.h"
#include "boot/path.h"
#include "boot/text.h"
#include "kernel/debug_exit.h"

enum {
	CONFIG_KEYS_MAX = 32, // per section: bits of config_parser.seen
};

// The last second of the year 9999, where the RTC's century ends.
#define CONFIG_RTC_MAX UINT64_C(253402300799)

// Writes the value to `field` of `capacity` bytes. Returns NULL, or what was expected instead.
typedef const char *config_parse_value(struct ini_slice value, void *field, size_t capacity);

struct config_key {
	const char *name;
	config_parse_value *parse;
	uint32_t offset;
	uint32_t bytes;
	bool is_required;
};

struct config_parser {
	const char *file_name;
	struct config *config;
	char *error;
	const struct config_key *keys; // of the present section
	size_t key_count;
	void *section; // what the keys' offsets refer to
	uint32_t seen; // keys of the present section, a bit each
	uint32_t line; // of the present section
	bool has_host;
};

// The number at the start of `value`, decimal or 0x...; *count receives its length, 0 where there
// is none or it does not fit.
static uint64_t config_number(struct ini_slice value, size_t *count)
{
	bool is_hex = value.count > 2 && value.bytes[0] == '0' && (value.bytes[1] | 0x20) == 'x';
	uint64_t base = is_hex ? 16 : 10, number = 0;
	size_t start = is_hex ? 2 : 0, i = start;

	for (; i < value.count; i++) {
		char c = value.bytes[i], lower = (char)(c | 0x20);
		uint64_t digit;

		if (c >= '0' && c <= '9')
			digit = (uint64_t)(c - '0');
		else if (is_hex && lower >= 'a' && lower <= 'f')
			digit = (uint64_t)(lower - 'a') + 10;
		else
			break;
		if (number > (UINT64_MAX - digit) / base) {
			*count = 0;
			return 0;
		}
		number = number * base + digit;
	}
	*count = i > start ? i : 0;
	return number;
}

static unsigned config_size_shift(char suffix)
{
	switch (suffix | 0x20) {
	case 'k':
		return 10;
	case 'm':
		return 20;
	case 'g':
		return 30;
	default:
		return 0;
	}
}

static const char *config_parse_memory(struct ini_slice value, void *field, size_t capacity)
{
	const char *expected = "a size such as 512M";
	uint64_t number;
	unsigned shift = 0;
	size_t digits;

	(void)capacity;
	number = config_number(value, &digits);
	if (digits > 0 && value.count == digits + 1) {
		shift = config_size_shift(value.bytes[digits]);
		digits += shift > 0;
	}
	if (digits == 0 || digits != value.count)
		return expected;
	if (number > UINT64_MAX >> shift)
		return "a size below 2^64 bytes";
	number <<= shift;
	if (number == 0 || number % LARGE_PAGE_BYTES != 0)
		return "a multiple of 2M, at least 2M";
	memcpy(field, &number, sizeof(number));
	return NULL;
}

static const char *config_parse_vcpus(struct ini_slice value, void *field, size_t capacity)
{
	size_t digits;
	uint64_t number = config_number(value, &digits);
	uint32_t vcpus = (uint32_t)number;

	(void)capacity;
	if (digits == 0 || digits != value.count || number == 0 || number > CONFIG_VCPUS_MAX)
		return "a number from 1 to 64";
	memcpy(field, &vcpus, sizeof(vcpus));
	return NULL;
}

static const char *config_parse_debug_exit(struct ini_slice value, void *field, size_t capacity)
{
	size_t digits;
	uint64_t number = config_number(value, &digits);
	uint32_t way = (uint32_t)number;

	(void)capacity;
	if (ini_slice_equals(value, "bochs"))
		way = DEBUG_EXIT_BOCHS;
	else if (digits == 0 || digits != value.count || number > DEBUG_EXIT_PORT_MAX)
		return "an I/O port from 0 to 0xffff, or bochs";
	memcpy(field, &way, sizeof(way));
	return NULL;
}

static const char *config_parse_rtc(struct ini_slice value, void *field, size_t capacity)
{
	size_t digits;
	uint64_t seconds = config_number(value, &digits);

	(void)capacity;
	if (ini_slice_equals(value, "host"))
		seconds = CONFIG_RTC_HOST;
	else if (digits == 0 || digits != value.count || seconds > CONFIG_RTC_MAX)
		return "seconds since 1970 (to the end of 9999), or host";
	memcpy(field, &seconds, sizeof(seconds));
	return NULL;
}

// The index of `value` in `words`; `count` where it is not among them.
static uint32_t config_word(struct ini_slice value, const char *const *words, uint32_t count)
{
	uint32_t i = 0;

	while (i < count && !ini_slice_equals(value, words[i]))
		i++;
	return i;
}

static const char *config_parse_bool(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {"off", "on"};
	uint32_t word = config_word(value, words, ARRAY_COUNT(words));

	(void)capacity;
	if (word == ARRAY_COUNT(words))
		return "on or off";
	*(bool *)field = word != 0;
	return NULL;
}

static const char *config_parse_console(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {"guest", "monitor"};
	uint32_t word = config_word(value, words, ARRAY_COUNT(words));

	(void)capacity;
	if (word == ARRAY_COUNT(words))
		return "guest or monitor";
	*(bool *)field = word != 0;
	return NULL;
}

static const char *config_parse_log(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {
		[CONFIG_LOG_ERROR] = "error",
		[CONFIG_LOG_WARN] = "warn",
		[CONFIG_LOG_INFO] = "info",
		[CONFIG_LOG_DEBUG] = "debug",
	};
	uint32_t word = config_word(value, words, ARRAY_COUNT(words));

	(void)capacity;
	if (word == ARRAY_COUNT(words))
		return "error, warn, info or debug";
	memcpy(field, &word, sizeof(word));
	return NULL;
}

static const char *config_parse_cpus(struct ini_slice value, void *field, size_t capacity)
{
	size_t digits;
	uint64_t number = config_number(value, &digits);
	uint32_t cpus = (uint32_t)number;

	(void)capacity;
	if (digits == 0 || digits != value.count || number == 0 || number > CONFIG_CPUS_MAX)
		return "a number of CPUs from 1 to 64";
	memcpy(field, &cpus, sizeof(cpus));
	return NULL;
}

static const char *config_parse_cpus_from(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {
		[CONFIG_CPUS_AUTO] = "auto",
		[CONFIG_CPUS_ACPI] = "acpi",
		[CONFIG_CPUS_MP] = "mp",
		[CONFIG_CPUS_PROBE] = "probe",
	};
	uint32_t word = config_word(value, words, ARRAY_COUNT(words));

	(void)capacity;
	if (word == ARRAY_COUNT(words))
		return "auto, acpi, mp or probe";
	memcpy(field, &word, sizeof(word));
	return NULL;
}

static const char *config_parse_text(struct ini_slice value, void *field, size_t capacity)
{
	if (value.count >= capacity)
		return "at most 2047 characters";
	memcpy(field, value.bytes, value.count);
	((char *)field)[value.count] = '\0';
	return NULL;
}

static const char *config_parse_path(struct ini_slice value, void *field, size_t capacity)
{
	char *path = field;

	for (size_t i = 0; i < value.count; i++)
		if ((unsigned char)value.bytes[i] >= 0x80)
			return "a file's path in ASCII";
	switch (path_normalize(value.bytes, value.count, path, capacity)) {
	case STATUS_OK:
		return path[0] != '\0' ? NULL : "a file's path on the ESP";
	case STATUS_RANGE:
		return "a path of at most 127 characters";
	default:
		return "a path without .. and control characters";
	}
}

#define CONFIG_KEY(type, member, name_, parse_, required_)                                         \
	{                                                                                          \
		.name = (name_), .parse = (parse_), .offset = (uint32_t)offsetof(type, member),    \
		.bytes = (uint32_t)sizeof(((type *)0)->member), .is_required = (required_)         \
	}
#define CONFIG_HOST_KEY(member, name, parse)                                                       \
	CONFIG_KEY(struct config_host, member, name, parse, false)
#define CONFIG_VM_KEY(member, name, parse)                                                         \
	CONFIG_KEY(struct config_vm, member, name, parse, false)
#define CONFIG_VM_MUST(member, name, parse)                                                        \
	CONFIG_KEY(struct config_vm, member, name, parse, true)

static const struct config_key config_host_keys[] = {
	CONFIG_HOST_KEY(log_level, "log", config_parse_log),
	CONFIG_HOST_KEY(debug_exit, "debug_exit", config_parse_debug_exit),
	CONFIG_HOST_KEY(cpus, "cpus", config_parse_cpus),
	CONFIG_HOST_KEY(cpus_from, "cpus_from", config_parse_cpus_from),
	CONFIG_HOST_KEY(quit_on_exit, "quit_on_exit", config_parse_bool),
	CONFIG_HOST_KEY(start_in_monitor, "console", config_parse_console),
};

static const struct config_key config_vm_keys[] = {
	CONFIG_VM_MUST(memory_bytes, "memory", config_parse_memory),
	CONFIG_VM_KEY(vcpus, "vcpus", config_parse_vcpus),
	CONFIG_VM_MUST(kernel, "kernel", config_parse_path),
	CONFIG_VM_KEY(initrd, "initrd", config_parse_path),
	CONFIG_VM_KEY(cmdline, "cmdline", config_parse_text),
	CONFIG_VM_KEY(x2apic, "x2apic", config_parse_bool),
	CONFIG_VM_KEY(debugcon, "debugcon", config_parse_bool),
	CONFIG_VM_KEY(debug_exit, "isa_debug_exit", config_parse_bool),
	CONFIG_VM_KEY(rtc_base, "rtc_base", config_parse_rtc),
	CONFIG_VM_KEY(autostart, "autostart", config_parse_bool),
};

_Static_assert(ARRAY_COUNT(config_host_keys) <= CONFIG_KEYS_MAX, "bits of seen");
_Static_assert(ARRAY_COUNT(config_vm_keys) <= CONFIG_KEYS_MAX, "bits of seen");

static const struct ini_slice config_nothing = {NULL, 0};

// FILE:LINE: WHAT: expected EXPECTED, got "GOT". `got.bytes` NULL leaves the last part out, `what`
// empty the second.
static bool config_fail(struct config_parser *parser, uint32_t line, struct ini_slice what,
	const char *expected, struct ini_slice got)
{
	struct text text;

	text_init(&text, parser->error, CONFIG_ERROR_MAX);
	text_add(&text, parser->file_name);
	text_add(&text, ":");
	text_add_number(&text, line);
	text_add(&text, ": ");
	if (what.count > 0) {
		text_add_part(&text, what.bytes, what.count);
		text_add(&text, ": ");
	}
	text_add(&text, "expected ");
	text_add(&text, expected);
	if (got.bytes != NULL) {
		text_add(&text, ", got ");
		text_add_quoted(&text, got.bytes, got.count);
	}
	return false;
}

static struct ini_slice config_slice(const char *string)
{
	return (struct ini_slice){string, strlen(string)};
}

// The section that ends here has all it must have.
static bool config_end_section(struct config_parser *parser)
{
	for (size_t i = 0; i < parser->key_count; i++)
		if (parser->keys[i].is_required && (parser->seen & 1u << i) == 0)
			return config_fail(parser, parser->line, config_slice(parser->keys[i].name),
				"this key in the section, got none", config_nothing);
	return true;
}

static void config_start_section(struct config_parser *parser, const struct config_key *keys,
	size_t key_count, void *section)
{
	parser->keys = keys;
	parser->key_count = key_count;
	parser->section = section;
	parser->seen = 0;
}

static bool config_start_host(struct config_parser *parser, struct ini_slice name)
{
	if (name.count > 0)
		return config_fail(parser, parser->line, config_slice("[reprise]"),
			"no name", name);
	if (parser->has_host)
		return config_fail(parser, parser->line, config_slice("[reprise]"),
			"this section once, got it again", config_nothing);
	parser->has_host = true;
	config_start_section(parser, config_host_keys, ARRAY_COUNT(config_host_keys),
		&parser->config->host);
	return true;
}

static bool config_start_vm(struct config_parser *parser, struct ini_slice name)
{
	struct config *config = parser->config;
	struct ini_slice what = config_slice("[vm]");
	struct config_vm *vm;

	if (name.count == 0)
		return config_fail(parser, parser->line, what, "[vm NAME], got no name",
			config_nothing);
	if (name.count >= CONFIG_NAME_MAX)
		return config_fail(parser, parser->line, what,
			"a name of at most 31 characters", name);
	for (uint32_t i = 0; i < config->vm_count; i++)
		if (ini_slice_equals(name, config->vms[i].name))
			return config_fail(parser, parser->line, what,
				"a name that no other VM has", name);
	if (config->vm_count == CONFIG_VMS_MAX)
		return config_fail(parser, parser->line, what,
			"one VM: this version runs no more", name);
	vm = &config->vms[config->vm_count++];
	*vm = (struct config_vm){.line = parser->line, .vcpus = 1, .x2apic = true,
		.rtc_base = CONFIG_RTC_HOST, .autostart = true};
	memcpy(vm->name, name.bytes, name.count);
	config_start_section(parser, config_vm_keys, ARRAY_COUNT(config_vm_keys), vm);
	return true;
}

static bool config_section(void *context, uint32_t line, struct ini_slice kind,
	struct ini_slice name)
{
	struct config_parser *parser = context;

	if (!config_end_section(parser))
		return false;
	parser->line = line;
	if (ini_slice_equals(kind, "reprise"))
		return config_start_host(parser, name);
	if (ini_slice_equals(kind, "vm"))
		return config_start_vm(parser, name);
	return config_fail(parser, line, config_slice("section"), "[reprise] or [vm NAME]", kind);
}

// Names the keys that the section knows.
static bool config_fail_key(struct config_parser *parser, uint32_t line, struct ini_slice key)
{
	char expected[CONFIG_ERROR_MAX];
	struct text text;

	text_init(&text, expected, sizeof(expected));
	text_add(&text, "one of ");
	for (size_t i = 0; i < parser->key_count; i++) {
		text_add(&text, i > 0 ? ", " : "");
		text_add(&text, parser->keys[i].name);
	}
	return config_fail(parser, line, config_slice("key"), expected, key);
}

static bool config_key(void *context, uint32_t line, struct ini_slice key, struct ini_slice value)
{
	struct config_parser *parser = context;
	const struct config_key *found;
	const char *expected;
	size_t i = 0;

	while (i < parser->key_count && !ini_slice_equals(key, parser->keys[i].name))
		i++;
	if (i == parser->key_count)
		return config_fail_key(parser, line, key);
	found = &parser->keys[i];
	if ((parser->seen & 1u << i) != 0)
		return config_fail(parser, line, key, "this key once in the section, got it again",
			config_nothing);
	parser->seen |= 1u << i;
	expected = found->parse(value, (char *)parser->section + found->offset, found->bytes);
	return expected == NULL || config_fail(parser, line, key, expected, value);
}

enum status config_parse(const char *file_name, const char *text, size_t bytes,
	struct config *config, char error[CONFIG_ERROR_MAX])
{
	static const struct ini_handler handler = {.section = config_section, .key = config_key};
	struct config_parser parser = {.file_name = file_name, .config = config, .error = error};
	struct ini_error ini_error;
	enum status status;

	memset(config, 0, sizeof(*config));
	config->host.log_level = CONFIG_LOG_INFO;
	config->host.cpus = CONFIG_CPUS_MAX;
	error[0] = '\0';
	status = ini_parse(text, bytes, &handler, &parser, &ini_error);
	if (status == STATUS_BAD_FORMAT)
		(void)config_fail(&parser, ini_error.line, config_nothing, ini_error.expected,
			ini_error.got);
	if (status != STATUS_OK)
		return status == STATUS_BAD_FORMAT ? status : STATUS_INVALID;
	if (!config_end_section(&parser))
		return STATUS_INVALID;
	if (config->vm_count == 0) {
		(void)config_fail(&parser, ini_error.line > 0 ? ini_error.line : 1,
			config_slice("[vm]"),
			"at least one [vm NAME] section, got none", config_nothing);
		return STATUS_INVALID;
	}
	return STATUS_OK;
}
