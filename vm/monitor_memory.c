// SPDX-License-Identifier: BSD-2-Clause
// x and xp: guest memory as a debugger sees it. Nothing in the guest changes: page tables are
// walked without setting flags or asking for rights, and what is not memory is not touched.
#include "vm/monitor.h"

#include "kernel/x86.h"
#include "vm/vm.h"

static struct monitor_format last = MONITOR_FORMAT_DEFAULT; // letter and size of the last dump

// As the supervisor reads, SMAP or not.
static void paging_prepare(struct paging *paging, struct vm_vcpu *vcpu)
{
	struct vcpu_state now;

	vm_vcpu_state(vcpu, &now);
	*paging = (struct paging){.cr0 = 0};
	paging_set(paging, now.cr0, now.cr3, now.cr4 & ~CR4_SMAP, now.efer, vcpu->physical_bits,
		vcpu->gigabyte_pages);
}

static bool read_physical(struct vm_vcpu *vcpu, uint64_t at, uint8_t *bytes, size_t count)
{
	return guest_ram_read(&vcpu->vm->ram, (struct gpa){at}, bytes, count) == STATUS_OK;
}

// A line of a dump, which may cross into another page.
static bool read_virtual(struct vm_vcpu *vcpu, uint64_t at, uint8_t *bytes, size_t count)
{
	struct paging paging;

	paging_prepare(&paging, vcpu);
	while (count > 0) {
		size_t part = (size_t)(PAGE_BYTES - at % PAGE_BYTES);
		struct paging_fault fault;
		struct gpa gpa;

		if (part > count)
			part = count;
		if (paging_translate(&paging, &vcpu->vm->ram, (struct gva){at}, PAGING_READ, false,
				&gpa, &fault) != STATUS_OK)
			return false;
		if (!read_physical(vcpu, gpa.v, bytes, part))
			return false;
		at += part;
		bytes += part;
		count -= part;
	}
	return true;
}

static void dump(struct vm_vcpu *vcpu, uint64_t address, const struct monitor_format *format,
	bool (*read)(struct vm_vcpu *vcpu, uint64_t at, uint8_t *bytes, size_t count))
{
	unsigned per_line = monitor_dump_elements(format);

	for (uint32_t left = format->count; left > 0 && !monitor_interrupted();) {
		unsigned count = left < per_line ? left : per_line;
		uint8_t bytes[MONITOR_DUMP_BYTES];
		char line[MONITOR_DUMP_LINE_MAX];

		if (!read(vcpu, address, bytes, count * format->size)) {
			monitor_printf("%016llx: Cannot access memory\n",
				(unsigned long long)address);
			return;
		}
		monitor_dump_line(line, address, bytes, count, format);
		monitor_printf("%s\n", line);
		address += count * format->size;
		left -= count;
		monitor_pause();
	}
}

static void command_dump(const struct monitor_call *call,
	bool (*read)(struct vm_vcpu *vcpu, uint64_t at, uint8_t *bytes, size_t count))
{
	struct vm_vcpu *vcpu = monitor_vcpu_need();
	struct monitor_format format = last;
	char problem[MONITOR_PROBLEM_MAX], bad;
	struct vcpu_state state;
	uint64_t address;

	if (vcpu == NULL)
		return;
	if (!monitor_format_parse(call->format != NULL ? call->format : "", &format, &bad)) {
		if (bad != '\0')
			monitor_printf("invalid char in format: '%c'\n", bad);
		else
			monitor_puts("the count is too large\n");
		return;
	}
	if (format.letter == 'i') {
		monitor_printf("%s/i: there is no disassembler in this monitor\n",
			call->command->name);
		return;
	}
	vm_vcpu_state(vcpu, &state);
	if (!monitor_evaluate(call->rest, &state, &address, problem)) {
		monitor_printf("%s: %s\n", call->command->name, problem);
		return;
	}
	last = format;
	if (format.letter == 'c')
		format.size = 1;
	dump(vcpu, address, &format, read);
}

static void command_x(const struct monitor_call *call)
{
	command_dump(call, read_virtual);
}

static void command_xp(const struct monitor_call *call)
{
	command_dump(call, read_physical);
}

void monitor_memory_register(void)
{
	static struct monitor_command own[] = {
		{.name = "x", .arguments = "addr", .arguments_min = 1, .arguments_max = 1,
			.takes_format = true, .takes_rest = true,
			.description = "virtual memory dump starting at 'addr'",
			.handler = command_x},
		{.name = "xp", .arguments = "addr", .arguments_min = 1, .arguments_max = 1,
			.takes_format = true, .takes_rest = true,
			.description = "physical memory dump starting at 'addr'",
			.handler = command_xp},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(own); i++)
		monitor_command_add(&own[i]);
}
