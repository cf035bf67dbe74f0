// SPDX-License-Identifier: BSD-2-Clause
// What keys a kind of section has is a table (boot/config_keys.c); a key's type parses its value
// (boot/config_values.c), the rest is common.
//
// The UEFI path parses the configuration too, to learn which files to load, before the kernel has
// set up anything: hence no STATUS_FAIL and no C library beyond memory and string functions.
#include "boot/config.h"

#include <string.h>

#include "boot/config_keys.h"
#include "boot/ini.h"
#include "boot/text.h"

struct config boot_config;

struct config_parser {
	const char *file_name;
	struct config *config;
	char *error;
	const struct config_keys *keys; // of the present section
	void *section; // what the keys' offsets refer to
	uint32_t line; // of the present section
	uint32_t lines[CONFIG_KEYS_MAX]; // of its keys; 0: not seen
	struct ini_slice pin; // value of the present section's key
	bool has_host;
};

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

// A list that is shorter or longer than the VM has vcpus is more likely a mistake than a wish.
static bool config_check_pin(struct config_parser *parser, const struct config_vm *vm)
{
	char expected[64];
	struct text text;

	if (vm->pin.count == 0 || vm->pin.count == vm->vcpus)
		return true;
	text_init(&text, expected, sizeof(expected));
	text_add_number(&text, vm->vcpus);
	text_add(&text, vm->vcpus == 1 ? " host CPU, for the one vcpu"
				       : " host CPUs, one for each vcpu");
	return config_fail(parser, vm->pin.line, config_slice("pin"), expected, parser->pin);
}

// The line of a key in the section that ends, 0 where it has none.
static uint32_t config_line_of(const struct config_parser *parser, const char *name)
{
	for (size_t i = 0; i < parser->keys->count; i++)
		if (strcmp(parser->keys->first[i].name, name) == 0)
			return parser->lines[i];
	return 0;
}

// The vcpus of a recordable machine take turns on one CPU.
static bool config_check_one_cpu(struct config_parser *parser, const struct config_vm *vm)
{
	for (uint32_t i = 1; vm->recordable && i < vm->pin.count; i++)
		if (vm->pin.cpus[i] != vm->pin.cpus[0])
			return config_fail(parser, vm->pin.line, config_slice("pin"),
				"the same host CPU for each vcpu of a recordable machine",
				parser->pin);
	return true;
}

// What rr, rrfile and recordable say about each other.
static bool config_check_rr(struct config_parser *parser, struct config_vm *vm)
{
	uint32_t recordable = config_line_of(parser, "recordable");
	uint32_t file = config_line_of(parser, "rrfile");

	if (vm->rr != CONFIG_RR_NONE && recordable != 0 && !vm->recordable)
		return config_fail(parser, recordable, config_slice("recordable"),
			"on, which rr needs, or no such key", config_slice("off"));
	vm->recordable |= vm->rr != CONFIG_RR_NONE;
	if (vm->rr != CONFIG_RR_NONE && file == 0)
		return config_fail(parser, config_line_of(parser, "rr"), config_slice("rr"),
			"rrfile in the section too, got none", config_nothing);
	if (vm->rr == CONFIG_RR_REPLAY && vm->rrfile.sink == CONFIG_RR_SINK_RAM)
		return config_fail(parser, file, config_slice("rrfile"),
			"a disk, partition or file to replay, got ram", config_nothing);
	if (file != 0 && !vm->recordable)
		return config_fail(parser, file, config_slice("rrfile"),
			"recordable = on or rr in the section too, got neither", config_nothing);
	return true;
}

// A kernel, or firmware that looks for one.
static bool config_check_firmware(struct config_parser *parser, const struct config_vm *vm)
{
	static const char *const keys[] = {"kernel", "initrd", "cmdline"};

	if (vm->firmware == CONFIG_FIRMWARE_NONE && config_line_of(parser, "kernel") == 0)
		return config_fail(parser, parser->line, config_slice("kernel"),
			"this key in the section, or firmware, got neither", config_nothing);
	if (vm->firmware != CONFIG_FIRMWARE_OVMF && vm->pflash[0] != '\0')
		return config_fail(parser, config_line_of(parser, "pflash"), config_slice("pflash"),
			"firmware = ovmf in the section too, got another", config_nothing);
	for (size_t i = 0; vm->firmware != CONFIG_FIRMWARE_NONE && i < ARRAY_COUNT(keys); i++)
		if (config_line_of(parser, keys[i]) != 0)
			return config_fail(parser, config_line_of(parser, keys[i]),
				config_slice(keys[i]), "no such key beside firmware, which boots "
				"from disks", config_nothing);
	return true;
}

// The section that ends here has all it must have.
static bool config_end_section(struct config_parser *parser)
{
	const struct config_keys *keys = parser->keys;

	for (size_t i = 0; i < keys->count; i++)
		if (keys->first[i].is_required && parser->lines[i] == 0)
			return config_fail(parser, parser->line, config_slice(keys->first[i].name),
				"this key in the section, got none", config_nothing);
	return keys != &config_vm_keys || (config_check_pin(parser, parser->section) &&
		config_check_firmware(parser, parser->section) &&
		config_check_rr(parser, parser->section) &&
		config_check_one_cpu(parser, parser->section));
}

static void config_start_section(struct config_parser *parser, const struct config_keys *keys,
	void *section)
{
	parser->keys = keys;
	parser->section = section;
	memset(parser->lines, 0, sizeof(parser->lines));
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
	config_start_section(parser, &config_host_keys, &parser->config->host);
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
			"at most 16 VMs", name);
	vm = &config->vms[config->vm_count++];
	*vm = (struct config_vm){.line = parser->line, .vcpus = 1, .x2apic = true, .hpet = true,
		.rtc_base = CONFIG_RTC_HOST, .autostart = true, .save_load_memory = 1};
	memcpy(vm->name, name.bytes, name.count);
	config_start_section(parser, &config_vm_keys, vm);
	return true;
}

static bool config_start_disk(struct config_parser *parser, struct ini_slice name)
{
	struct config *config = parser->config;
	struct ini_slice what = config_slice("[disk]");
	struct config_disk *disk;

	if (name.count == 0)
		return config_fail(parser, parser->line, what, "[disk NAME], got no name",
			config_nothing);
	if (name.count >= CONFIG_NAME_MAX)
		return config_fail(parser, parser->line, what,
			"a name of at most 31 characters", name);
	for (uint32_t i = 0; i < config->disk_count; i++)
		if (ini_slice_equals(name, config->disks[i].name))
			return config_fail(parser, parser->line, what,
				"a name that no other disk has", name);
	if (config->disk_count == CONFIG_DISKS_MAX)
		return config_fail(parser, parser->line, what, "at most 32 disks", name);
	disk = &config->disks[config->disk_count++];
	*disk = (struct config_disk){.line = parser->line, .plugged = true};
	memcpy(disk->name, name.bytes, name.count);
	config_start_section(parser, &config_disk_keys, disk);
	return true;
}

// Disks may stand before their VMs.
static bool config_check_disks(struct config_parser *parser)
{
	const struct config *config = parser->config;
	uint32_t counts[CONFIG_VMS_MAX] = {0};

	for (uint32_t i = 0; i < config->disk_count; i++) {
		const struct config_disk *disk = &config->disks[i];
		uint32_t vm = config_vm_index(config, disk->vm);
		const char *key, *expected = config_disk_problem(config, i, &key);

		if (expected != NULL)
			return config_fail(parser, disk->line, config_slice(key), expected,
				config_nothing);
		if (vm == config->vm_count)
			return config_fail(parser, disk->line, config_slice("vm"),
				"the name of a [vm NAME] section", config_slice(disk->vm));
		if (counts[vm]++ + (config->vms[vm].test_disk != 0) == CONFIG_VM_DISKS_MAX)
			return config_fail(parser, disk->line, config_slice("[disk]"),
				"at most 8 disks of a VM", config_slice(disk->name));
	}
	return true;
}

static bool config_start_nic(struct config_parser *parser, struct ini_slice name)
{
	struct config *config = parser->config;
	struct ini_slice what = config_slice("[nic]");
	struct config_nic *nic;

	if (name.count == 0)
		return config_fail(parser, parser->line, what, "[nic NAME], got no name",
			config_nothing);
	if (name.count >= CONFIG_NAME_MAX)
		return config_fail(parser, parser->line, what,
			"a name of at most 31 characters", name);
	for (uint32_t i = 0; i < config->nic_count; i++)
		if (ini_slice_equals(name, config->nics[i].name))
			return config_fail(parser, parser->line, what,
				"a name that no other NIC has", name);
	if (config->nic_count == CONFIG_NICS_MAX)
		return config_fail(parser, parser->line, what, "at most 32 NICs", name);
	nic = &config->nics[config->nic_count++];
	*nic = (struct config_nic){.line = parser->line, .network = "lan"};
	memcpy(nic->name, name.bytes, name.count);
	config_start_section(parser, &config_nic_keys, nic);
	return true;
}

// Those of one switch would not hear of each other.
static bool config_check_macs(struct config_parser *parser, const struct config_nic *nic)
{
	for (const struct config_nic *other = parser->config->nics; other < nic; other++)
		if (memcmp(other->mac, nic->mac, sizeof(nic->mac)) == 0 &&
			strcmp(other->network, nic->network) == 0)
			return config_fail(parser, nic->line, config_slice("mac"),
				"an address that no other NIC of the switch has",
				config_nothing);
	return true;
}

static bool config_check_nics(struct config_parser *parser)
{
	struct config *config = parser->config;
	uint32_t counts[CONFIG_VMS_MAX] = {0};

	for (uint32_t i = 0; i < config->nic_count; i++) {
		struct config_nic *nic = &config->nics[i];
		uint32_t vm = config_vm_index(config, nic->vm);

		if (vm == config->vm_count)
			return config_fail(parser, nic->line, config_slice("vm"),
				"the name of a [vm NAME] section", config_slice(nic->vm));
		if (counts[vm]++ == CONFIG_VM_NICS_MAX)
			return config_fail(parser, nic->line, config_slice("[nic]"),
				"at most 4 NICs of a VM", config_slice(nic->name));
		config_nic_address(nic);
		if (!config_check_macs(parser, nic))
			return false;
	}
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
	if (ini_slice_equals(kind, "disk"))
		return config_start_disk(parser, name);
	if (ini_slice_equals(kind, "nic"))
		return config_start_nic(parser, name);
	return config_fail(parser, line, config_slice("section"),
		"[reprise], [vm NAME], [disk NAME] or [nic NAME]", kind);
}

// Names the keys that the section knows.
static bool config_fail_key(struct config_parser *parser, uint32_t line, struct ini_slice key)
{
	char expected[CONFIG_ERROR_MAX];
	struct text text;

	text_init(&text, expected, sizeof(expected));
	text_add(&text, "one of ");
	for (size_t i = 0; i < parser->keys->count; i++) {
		text_add(&text, i > 0 ? ", " : "");
		text_add(&text, parser->keys->first[i].name);
	}
	return config_fail(parser, line, config_slice("key"), expected, key);
}

static bool config_key(void *context, uint32_t line, struct ini_slice key, struct ini_slice value)
{
	struct config_parser *parser = context;
	const struct config_key *found;
	const char *expected;
	size_t i = 0;

	while (i < parser->keys->count && !ini_slice_equals(key, parser->keys->first[i].name))
		i++;
	if (i == parser->keys->count)
		return config_fail_key(parser, line, key);
	found = &parser->keys->first[i];
	if (parser->lines[i] != 0)
		return config_fail(parser, line, key, "this key once in the section, got it again",
			config_nothing);
	parser->lines[i] = line;
	expected = found->parse(value, (char *)parser->section + found->offset, found->bytes);
	if (found->parse == config_parse_pin) {
		((struct config_vm *)parser->section)->pin.line = line;
		parser->pin = value;
	}
	return expected == NULL || config_fail(parser, line, key, expected, value);
}

enum status config_parse(const char *file_name, const char *text, size_t bytes,
	struct config *config, char error[CONFIG_ERROR_MAX])
{
	static const struct ini_handler handler = {.section = config_section, .key = config_key};
	static const struct config_keys none = {NULL, 0}; // before the first section
	struct config_parser parser = {.file_name = file_name, .config = config, .error = error,
		.keys = &none};
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
	if (!config_check_disks(&parser) || !config_check_nics(&parser))
		return STATUS_INVALID;
	return STATUS_OK;
}
