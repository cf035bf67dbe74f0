// SPDX-License-Identifier: BSD-2-Clause
// For who calls these, and when, see boot/config.c: no STATUS_FAIL and no C library beyond memory
// and string functions.
#include "boot/config_values.h"

#include <string.h>

#include "boot/config.h"
#include "boot/path.h"
#include "kernel/debug_exit.h"

// The last second of the year 9999, where the RTC's century ends.
#define CONFIG_RTC_MAX UINT64_C(253402300799)
#define CONFIG_COUNT_MAX 1000000000
#define CONFIG_TSC_KHZ_MIN 1000
#define CONFIG_TSC_KHZ_MAX 10000000
#define CONFIG_TEST_DISK_STEP 4096u

uint64_t config_number(struct ini_slice value, size_t *count)
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

bool config_number_between(struct ini_slice value, uint64_t min, uint64_t max, uint64_t *number)
{
	size_t digits;

	*number = config_number(value, &digits);
	return digits > 0 && digits == value.count && *number >= min && *number <= max;
}

// The same, to a field of 32 bits, written where the number is good.
static bool config_u32_between(struct ini_slice value, uint32_t min, uint32_t max, void *field)
{
	uint64_t number;
	uint32_t small;

	if (!config_number_between(value, min, max, &number))
		return false;
	small = (uint32_t)number;
	memcpy(field, &small, sizeof(small));
	return true;
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

const char *config_size(struct ini_slice value, uint64_t *bytes)
{
	const char *expected = "a size such as 512M";
	uint64_t number;
	unsigned shift = 0;
	size_t digits;

	number = config_number(value, &digits);
	if (digits > 0 && value.count == digits + 1) {
		shift = config_size_shift(value.bytes[digits]);
		digits += shift > 0;
	}
	if (digits == 0 || digits != value.count)
		return expected;
	if (number > UINT64_MAX >> shift)
		return "a size below 2^64 bytes";
	*bytes = number << shift;
	return NULL;
}

const char *config_parse_memory(struct ini_slice value, void *field, size_t capacity)
{
	uint64_t number;
	const char *expected = config_size(value, &number);

	(void)capacity;
	if (expected != NULL)
		return expected;
	if (number == 0 || number % LARGE_PAGE_BYTES != 0)
		return "a multiple of 2M, at least 2M";
	memcpy(field, &number, sizeof(number));
	return NULL;
}

const char *config_parse_test_disk(struct ini_slice value, void *field, size_t capacity)
{
	uint64_t bytes;

	(void)capacity;
	if (config_size(value, &bytes) != NULL || bytes == 0 ||
		bytes % CONFIG_TEST_DISK_STEP != 0 || bytes > CONFIG_TEST_DISK_MAX)
		return "a multiple of 4K, up to 1M";
	memcpy(field, &bytes, sizeof(bytes));
	return NULL;
}

const char *config_parse_vcpus(struct ini_slice value, void *field, size_t capacity)
{
	(void)capacity;
	return config_u32_between(value, 1, CONFIG_VCPUS_MAX, field) ?
		NULL : "a number from 1 to 64";
}

const char *config_parse_tsc_khz(struct ini_slice value, void *field, size_t capacity)
{
	uint32_t host = 0;

	(void)capacity;
	if (config_u32_between(value, CONFIG_TSC_KHZ_MIN, CONFIG_TSC_KHZ_MAX, field))
		return NULL;
	if (!ini_slice_equals(value, "host"))
		return "a number of kHz from 1000 to 10000000, or host";
	memcpy(field, &host, sizeof(host));
	return NULL;
}

// FIRST or FIRST-LAST at the start of `value`, appended to the list. Returns how many characters it
// has; 0: it is none, or the list is full.
static size_t config_cpu_range(struct ini_slice value, struct config_pin *pin)
{
	struct ini_slice rest;
	size_t digits, used;
	uint64_t first = config_number(value, &used), last = first;

	if (used == 0)
		return 0;
	if (used < value.count && value.bytes[used] == '-') {
		rest = (struct ini_slice){value.bytes + used + 1, value.count - used - 1};
		last = config_number(rest, &digits);
		if (digits == 0)
			return 0;
		used += 1 + digits;
	}
	if (last < first || last >= CONFIG_CPUS_MAX ||
		last - first >= CONFIG_VCPUS_MAX - pin->count)
		return 0;
	while (first <= last)
		pin->cpus[pin->count++] = (uint8_t)first++;
	return used;
}

const char *config_parse_pin(struct ini_slice value, void *field, size_t capacity)
{
	const char *expected = "at most 64 host CPUs from 0 to 63, as in 0,2-3";
	struct config_pin *pin = field;

	(void)capacity;
	for (;;) {
		size_t used = config_cpu_range(value, pin);

		value.bytes += used;
		value.count -= used;
		if (used == 0 || (value.count > 0 && value.bytes[0] != ','))
			return expected;
		if (value.count == 0)
			return NULL;
		value.bytes++;
		value.count--;
	}
}

const char *config_parse_debug_exit(struct ini_slice value, void *field, size_t capacity)
{
	uint32_t way = DEBUG_EXIT_BOCHS;

	(void)capacity;
	if (config_u32_between(value, 0, DEBUG_EXIT_PORT_MAX, field))
		return NULL;
	if (!ini_slice_equals(value, "bochs"))
		return "an I/O port from 0 to 0xffff, or bochs";
	memcpy(field, &way, sizeof(way));
	return NULL;
}

const char *config_parse_count(struct ini_slice value, void *field, size_t capacity)
{
	(void)capacity;
	return config_u32_between(value, 0, CONFIG_COUNT_MAX, field) ?
		NULL : "a number from 0 to 1000000000";
}

const char *config_parse_rtc(struct ini_slice value, void *field, size_t capacity)
{
	uint64_t seconds = CONFIG_RTC_HOST;

	(void)capacity;
	if (!ini_slice_equals(value, "host") &&
		!config_number_between(value, 0, CONFIG_RTC_MAX, &seconds))
		return "seconds since 1970 (to the end of 9999), or host";
	memcpy(field, &seconds, sizeof(seconds));
	return NULL;
}

bool config_word(struct ini_slice value, const char *const *words, uint32_t count, void *field)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!ini_slice_equals(value, words[i]))
			continue;
		memcpy(field, &i, sizeof(i));
		return true;
	}
	return false;
}

const char *config_parse_bool(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {"off", "on"};
	uint32_t word;

	(void)capacity;
	if (!config_word(value, words, ARRAY_COUNT(words), &word))
		return "on or off";
	*(bool *)field = word != 0;
	return NULL;
}

const char *config_parse_console_device(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {
		[CONFIG_CONSOLE_UART] = "uart", [CONFIG_CONSOLE_VIRTIO] = "virtio"};

	(void)capacity;
	return config_word(value, words, ARRAY_COUNT(words), field) ? NULL : "uart or virtio";
}

const char *config_parse_console(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {"guest", "monitor"};
	uint32_t word;

	(void)capacity;
	if (!config_word(value, words, ARRAY_COUNT(words), &word))
		return "guest or monitor";
	*(bool *)field = word != 0;
	return NULL;
}

const char *config_parse_debugcon(struct ini_slice value, void *field, size_t capacity)
{
	uint32_t *port = field;
	uint64_t number;
	bool on;

	(void)capacity;
	if (config_number_between(value, 1, UINT16_MAX, &number)) {
		*port = (uint32_t)number;
		return NULL;
	}
	if (config_parse_bool(value, &on, sizeof(on)) != NULL)
		return "on, off or a port";
	*port = on ? CONFIG_DEBUGCON_PORT : 0;
	return NULL;
}

const char *config_parse_firmware(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {
		[CONFIG_FIRMWARE_NONE] = "none",
		[CONFIG_FIRMWARE_SEABIOS] = "seabios",
		[CONFIG_FIRMWARE_OVMF] = "ovmf",
	};

	(void)capacity;
	return config_word(value, words, ARRAY_COUNT(words), field) ?
		NULL : "none, seabios or ovmf";
}

const char *config_firmware_path(const struct config_vm *vm)
{
	switch (vm->firmware) {
	case CONFIG_FIRMWARE_SEABIOS:
		return "firmware/bios-256k.bin";
	case CONFIG_FIRMWARE_OVMF:
		return vm->pflash[0] != '\0' ? "firmware/OVMF_CODE_4M.fd" : "firmware/OVMF.fd";
	default:
		return NULL;
	}
}

const char *config_flash_path(const struct config_vm *vm)
{
	return vm->pflash[0] != '\0' ? "firmware/OVMF_VARS_4M.fd" : NULL;
}

const char *config_parse_machine(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {
		[CONFIG_MACHINE_PC] = "pc",
		[CONFIG_MACHINE_Q35] = "q35",
	};

	(void)capacity;
	return config_word(value, words, ARRAY_COUNT(words), field) ? NULL : "pc or q35";
}

const char *config_parse_display(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {
		[CONFIG_DISPLAY_NONE] = "none",
		[CONFIG_DISPLAY_VGA] = "vga",
	};

	(void)capacity;
	return config_word(value, words, ARRAY_COUNT(words), field) ? NULL : "none or vga";
}

const char *config_display_path(uint32_t display, uint32_t firmware)
{
	return display == CONFIG_DISPLAY_VGA && firmware == CONFIG_FIRMWARE_SEABIOS
		? "firmware/vgabios-stdvga.bin" : NULL;
}

uint16_t config_firmware_pm_base(const struct config_vm *vm)
{
	if (vm->machine == CONFIG_MACHINE_Q35)
		return 0;
	switch (vm->firmware) {
	case CONFIG_FIRMWARE_SEABIOS:
		return 0x600;
	case CONFIG_FIRMWARE_OVMF:
		return 0xb000;
	default:
		return 0;
	}
}

const char *config_parse_log(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {
		[CONFIG_LOG_ERROR] = "error",
		[CONFIG_LOG_WARN] = "warn",
		[CONFIG_LOG_INFO] = "info",
		[CONFIG_LOG_DEBUG] = "debug",
	};

	(void)capacity;
	return config_word(value, words, ARRAY_COUNT(words), field) ?
		NULL : "error, warn, info or debug";
}

const char *config_parse_cpus(struct ini_slice value, void *field, size_t capacity)
{
	(void)capacity;
	return config_u32_between(value, 1, CONFIG_CPUS_MAX, field) ?
		NULL : "a number of CPUs from 1 to 64";
}

const char *config_parse_cpus_from(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {
		[CONFIG_CPUS_AUTO] = "auto",
		[CONFIG_CPUS_ACPI] = "acpi",
		[CONFIG_CPUS_MP] = "mp",
		[CONFIG_CPUS_PROBE] = "probe",
	};

	(void)capacity;
	return config_word(value, words, ARRAY_COUNT(words), field) ?
		NULL : "auto, acpi, mp or probe";
}

const char *config_parse_text(struct ini_slice value, void *field, size_t capacity)
{
	if (value.count >= capacity)
		return "at most 2047 characters";
	memcpy(field, value.bytes, value.count);
	((char *)field)[value.count] = '\0';
	return NULL;
}

const char *config_parse_path(struct ini_slice value, void *field, size_t capacity)
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
