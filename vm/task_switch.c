// SPDX-License-Identifier: BSD-2-Clause
// Task switches, 16-bit and 32-bit: SDM vol. 3, 8.3, and table 8-1 for the checks, their order and
// their error codes. Pages are checked where the CPU would touch them, before anything is written.
//
// Left out: what the debug registers' local enables did in the old task is dropped (8.3, step 11),
// and the shadow stack is not offered to guests.
#include "vm/task_switch.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/x86.h"

#define RFLAGS_NT BIT(14)
#define DR7_LOCAL 0x155ull // L0 to L3, LE
#define TSS_TRAP  1u       // flag T

enum {
	TYPE_TSS16 = 1, TYPE_LDT = 2, TYPE_BUSY = 2, TYPE_TSS32 = 9, // system descriptors
	TYPE_ACCESSED = 1, TYPE_WRITABLE_READABLE = 2, TYPE_CONFORMING = 4, TYPE_CODE = 8,
	SELECTOR_RPL = 3, SELECTOR_TI = 4,
	DESCRIPTOR_BYTES = 8,
	TSS32_GPRS = 8,
};

// 8.2.1 and 8.6.
struct tss32 {
	uint16_t link, reserved0;
	uint32_t stacks[6];
	uint32_t cr3, eip, eflags;
	uint32_t gpr[TSS32_GPRS];
	struct {
		uint16_t selector, reserved;
	} segment[6];
	uint16_t ldt, reserved1;
	uint16_t trap, io_map;
};
_Static_assert(sizeof(struct tss32) == 104 && offsetof(struct tss32, cr3) == 0x1c &&
		offsetof(struct tss32, segment) == 0x48 && offsetof(struct tss32, trap) == 0x64,
	"TSS layout");

struct tss16 {
	uint16_t link;
	uint16_t stacks[6];
	uint16_t ip, flags;
	uint16_t gpr[TSS32_GPRS];
	uint16_t segment[4];
	uint16_t ldt;
};
_Static_assert(sizeof(struct tss16) == 44 && offsetof(struct tss16, segment) == 0x22,
	"TSS layout");

struct descriptor {
	uint64_t raw;
	struct gva at;
	struct vcpu_segment_state segment; // selector and all
	uint8_t type, dpl;
	bool system, present;
};

static enum status fail(struct task_switch *task, unsigned vector, uint16_t selector)
{
	task->vector = (uint8_t)vector;
	task->has_error_code = true;
	task->error_code = (selector & ~(uint32_t)SELECTOR_RPL) |
		(task->exit->task.event != VCPU_EVENT_NONE); // EXT
	return STATUS_FAULT;
}

static enum status range_translate(struct task_switch *task, uint64_t at, size_t bytes, bool write,
	struct paging_range *range)
{
	struct paging_fault fault;
	enum status status;

	status = paging_translate_range(task->paging, task->ram, (struct gva){(uint32_t)at}, bytes,
		PAGING_IMPLICIT | (write ? (unsigned)PAGING_WRITE : 0u), range, &fault);
	if (status != STATUS_FAULT)
		return status;
	task->vector = VECTOR_PF;
	task->has_error_code = true;
	task->error_code = fault.error_code;
	task->cr2 = fault.cr2;
	return STATUS_FAULT;
}

static enum status linear_read(struct task_switch *task, uint64_t at, void *to, size_t bytes)
{
	struct paging_range range;
	enum status status = range_translate(task, at, bytes, false, &range);
	uint8_t *out = to;

	for (unsigned i = 0; status == STATUS_OK && i < range.parts; i++) {
		status = guest_ram_read(task->ram, range.at[i], out, range.bytes[i]);
		out += range.bytes[i];
	}
	return status;
}

static enum status linear_write(struct task_switch *task, uint64_t at, const void *from,
	size_t bytes)
{
	struct paging_range range;
	enum status status = range_translate(task, at, bytes, true, &range);
	const uint8_t *in = from;

	for (unsigned i = 0; status == STATUS_OK && i < range.parts; i++) {
		status = guest_ram_write(task->ram, range.at[i], in, range.bytes[i]);
		in += range.bytes[i];
	}
	return status;
}

static struct descriptor descriptor_decode(uint64_t raw, uint64_t at, uint16_t selector)
{
	uint32_t limit = (uint32_t)((raw & 0xffff) | (raw >> 32 & 0xf0000));
	uint16_t attributes = (uint16_t)((raw >> 40 & 0xff) | (raw >> 44 & 0xf00));

	if ((attributes & SEGMENT_ATTRIBUTE_G) != 0)
		limit = limit << 12 | 0xfff;
	return (struct descriptor){
		.raw = raw,
		.at = {at},
		.segment = {selector, attributes, limit,
			(raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000)},
		.type = attributes & 15,
		.dpl = attributes >> 5 & 3,
		.system = (attributes & SEGMENT_ATTRIBUTE_S) == 0,
		.present = (attributes & SEGMENT_ATTRIBUTE_P) != 0,
	};
}

// STATUS_FAULT with `vector` where the selector is null or outside of its table.
static enum status descriptor_read(struct task_switch *task, uint16_t selector, unsigned vector,
	struct descriptor *descriptor)
{
	const struct vcpu_segment_state *ldt = &task->state.segment[SEGMENT_LDTR];
	uint64_t base = task->state.gdtr_base, raw = 0;
	uint32_t limit = task->state.gdtr_limit, offset = selector & 0xfff8u;
	enum status status;

	if ((selector & ~SELECTOR_RPL) == 0)
		return fail(task, vector, selector);
	if ((selector & SELECTOR_TI) != 0) {
		if ((ldt->attributes & SEGMENT_ATTRIBUTE_P) == 0)
			return fail(task, vector, selector);
		base = ldt->base;
		limit = ldt->limit;
	}
	if (offset + DESCRIPTOR_BYTES - 1 > limit)
		return fail(task, vector, selector);
	status = linear_read(task, base + offset, &raw, sizeof(raw));
	if (status == STATUS_OK)
		*descriptor = descriptor_decode(raw, base + offset, selector);
	return status;
}

static bool is_tss32(unsigned type)
{
	return (type & ~(unsigned)TYPE_BUSY) == TYPE_TSS32;
}

static uint32_t tss_bytes(bool wide)
{
	return wide ? sizeof(struct tss32) : sizeof(struct tss16);
}

// The new task's TSS descriptor. IRET returns to a busy task, all else begins one that is not.
static enum status tss_find(struct task_switch *task, struct descriptor *tss)
{
	bool back = task->exit->task.source == VMEXIT_TASK_IRET;
	uint16_t selector = task->exit->task.selector;
	unsigned vector = back ? VECTOR_TS : VECTOR_GP;
	enum status status;

	if ((selector & SELECTOR_TI) != 0)
		return fail(task, vector, selector);
	status = descriptor_read(task, selector, vector, tss);
	if (status != STATUS_OK)
		return status;
	if (!tss->system || ((tss->type & ~(unsigned)TYPE_BUSY) != TYPE_TSS16 &&
		!is_tss32(tss->type)) || ((tss->type & TYPE_BUSY) != 0) != back)
		return fail(task, vector, selector);
	if (!tss->present)
		return fail(task, VECTOR_NP, selector);
	if (tss->segment.limit < tss_bytes(is_tss32(tss->type)) - 1)
		return fail(task, VECTOR_TS, selector);
	return STATUS_OK;
}

static enum status busy_set(struct task_switch *task, const struct descriptor *tss, bool busy)
{
	uint64_t bit = (uint64_t)TYPE_BUSY << 40;
	uint64_t raw = busy ? tss->raw | bit : tss->raw & ~bit;

	return linear_write(task, tss->at.v, &raw, sizeof(raw));
}

// The dynamic part of the old TSS: from EIP to the last selector.
static enum status old_save(struct task_switch *task)
{
	const struct vcpu_state *state = &task->state;
	const struct vcpu_segment_state *tr = &state->segment[SEGMENT_TR];
	uint64_t rflags = state->rflags;
	uint32_t eip = (uint32_t)state->rip + task->exit->length;
	struct tss32 wide;
	struct tss16 narrow;

	memset(&wide, 0, sizeof(wide)); // reserved halves of the selectors
	if (task->exit->task.source == VMEXIT_TASK_IRET)
		rflags &= ~RFLAGS_NT;
	if (is_tss32(tr->attributes & 15)) {
		wide.eip = eip;
		wide.eflags = (uint32_t)rflags;
		for (unsigned i = 0; i < TSS32_GPRS; i++)
			wide.gpr[i] = (uint32_t)state->gpr[i];
		for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++)
			wide.segment[i].selector = state->segment[i].selector;
		return linear_write(task, tr->base + offsetof(struct tss32, eip), &wide.eip,
			offsetof(struct tss32, ldt) - offsetof(struct tss32, eip));
	}
	narrow.ip = (uint16_t)eip;
	narrow.flags = (uint16_t)rflags;
	for (unsigned i = 0; i < TSS32_GPRS; i++)
		narrow.gpr[i] = (uint16_t)state->gpr[i];
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_DS; i++)
		narrow.segment[i] = state->segment[i].selector;
	return linear_write(task, tr->base + offsetof(struct tss16, ip), &narrow.ip,
		offsetof(struct tss16, ldt) - offsetof(struct tss16, ip));
}

// A 16-bit TSS in the form of a 32-bit one. FS and GS become null, upper halves of the general
// registers are not defined.
static struct tss32 widen(const struct tss16 *narrow)
{
	struct tss32 wide = {.eip = narrow->ip, .eflags = narrow->flags, .ldt = narrow->ldt};

	for (unsigned i = 0; i < TSS32_GPRS; i++)
		wide.gpr[i] = narrow->gpr[i];
	for (unsigned i = 0; i < ARRAY_COUNT(narrow->segment); i++)
		wide.segment[i].selector = narrow->segment[i];
	return wide;
}

// Everything is checked for writing before the first write: then nothing faults any more.
static enum status pages_check(struct task_switch *task, const struct descriptor *tss)
{
	const struct vcpu_segment_state *tr = &task->state.segment[SEGMENT_TR];
	uint32_t old_bytes = tss_bytes(is_tss32(tr->attributes & 15));
	struct paging_range range;
	enum status status;

	if (tr->limit < old_bytes - 1)
		return fail(task, VECTOR_TS, tr->selector);
	status = range_translate(task, tr->base, old_bytes, true, &range);
	if (status == STATUS_OK)
		status = range_translate(task, tss->segment.base, tss_bytes(is_tss32(tss->type)),
			true, &range);
	if (status == STATUS_OK)
		status = range_translate(task, tss->at.v, DESCRIPTOR_BYTES, true, &range);
	return status;
}

// Steps 4 to 9 of 8.3: marks, back link, the old task's state; TR.
static enum status tasks_exchange(struct task_switch *task, struct descriptor *tss)
{
	enum vmexit_task_source source = task->exit->task.source;
	uint16_t old_selector = task->state.segment[SEGMENT_TR].selector;
	bool nested = source == VMEXIT_TASK_CALL || source == VMEXIT_TASK_GATE;
	struct descriptor old;
	enum status status = descriptor_read(task, old_selector, VECTOR_TS, &old);

	if (status == STATUS_OK)
		status = old_save(task);
	if (status == STATUS_OK && !nested) // JMP and IRET leave the old task for good
		status = busy_set(task, &old, false);
	if (status == STATUS_OK && nested)
		status = linear_write(task, tss->segment.base, &old_selector, sizeof(old_selector));
	if (status == STATUS_OK && source != VMEXIT_TASK_IRET)
		status = busy_set(task, tss, true);
	if (status != STATUS_OK)
		return status;
	task->state.segment[SEGMENT_TR] = tss->segment;
	task->state.segment[SEGMENT_TR].attributes |= TYPE_BUSY;
	task->state.cr0 |= CR0_TS;
	task->state.dr7 &= ~DR7_LOCAL;
	return STATUS_OK;
}

// All selectors are loaded, no descriptor is: what an exception finds that comes from here on. In
// virtual-8086 mode there are no descriptors.
static void registers_load(struct task_switch *task, const struct tss32 *tss, bool wide)
{
	struct vcpu_state *state = &task->state;
	enum vmexit_task_source source = task->exit->task.source;
	bool nested = source == VMEXIT_TASK_CALL || source == VMEXIT_TASK_GATE;
	uint64_t known = wide ? 0x3f7fd7ull : 0x7fd7ull;
	unsigned cpl = tss->segment[SEGMENT_CS].selector & SELECTOR_RPL;

	state->rip = tss->eip;
	state->rflags = (tss->eflags & known) | RFLAGS_FIXED | (nested ? RFLAGS_NT : 0);
	for (unsigned i = 0; i < TSS32_GPRS; i++)
		state->gpr[i] = tss->gpr[i];
	state->interrupt_shadow = false;
	if (source == VMEXIT_TASK_IRET)
		state->nmi_blocked = false;
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		uint16_t selector = tss->segment[i].selector;
		struct vcpu_segment_state *segment = &state->segment[i];

		*segment = (struct vcpu_segment_state){selector,
			(uint16_t)(cpl << 5 | SEGMENT_ATTRIBUTE_S | 3), 0xffff, 0};
		if ((state->rflags & RFLAGS_VM) != 0)
			*segment = (struct vcpu_segment_state){
				selector, 0xf3, 0xffff, (uint64_t)selector << 4};
		else if (i == SEGMENT_CS)
			segment->attributes |= SEGMENT_ATTRIBUTE_P | TYPE_CODE;
	}
	state->segment[SEGMENT_LDTR] = (struct vcpu_segment_state){tss->ldt, TYPE_LDT, 0, 0};
	task->committed = true;
}

static enum status ldt_load(struct task_switch *task)
{
	struct vcpu_segment_state *ldtr = &task->state.segment[SEGMENT_LDTR];
	uint16_t selector = ldtr->selector;
	struct descriptor ldt;
	enum status status;

	if ((selector & ~SELECTOR_RPL) == 0)
		return STATUS_OK;
	if ((selector & SELECTOR_TI) != 0)
		return fail(task, VECTOR_TS, selector);
	status = descriptor_read(task, selector, VECTOR_TS, &ldt);
	if (status != STATUS_OK)
		return status;
	if (!ldt.system || ldt.type != TYPE_LDT || !ldt.present)
		return fail(task, VECTOR_TS, selector);
	*ldtr = ldt.segment;
	return STATUS_OK;
}

static bool code_fits(const struct descriptor *d, unsigned cpl)
{
	if (d->system || (d->type & TYPE_CODE) == 0)
		return false;
	return (d->type & TYPE_CONFORMING) != 0 ? d->dpl <= cpl : d->dpl == cpl;
}

static bool stack_fits(const struct descriptor *d, unsigned cpl)
{
	return !d->system && (d->type & TYPE_CODE) == 0 &&
		(d->type & TYPE_WRITABLE_READABLE) != 0 && d->dpl == cpl &&
		(d->segment.selector & SELECTOR_RPL) == cpl;
}

static bool data_fits(const struct descriptor *d, unsigned cpl)
{
	unsigned rpl = d->segment.selector & SELECTOR_RPL;

	if (d->system || ((d->type & TYPE_CODE) != 0 && (d->type & TYPE_WRITABLE_READABLE) == 0))
		return false;
	if ((d->type & TYPE_CODE) != 0 && (d->type & TYPE_CONFORMING) != 0)
		return true;
	return d->dpl >= cpl && d->dpl >= rpl;
}

static enum status segment_load(struct task_switch *task, enum vcpu_segment number, unsigned cpl)
{
	struct vcpu_segment_state *segment = &task->state.segment[number];
	uint16_t selector = segment->selector;
	struct descriptor d;
	enum status status;
	bool fits;

	if (number != SEGMENT_CS && number != SEGMENT_SS && (selector & ~SELECTOR_RPL) == 0)
		return STATUS_OK;
	status = descriptor_read(task, selector, VECTOR_TS, &d);
	if (status != STATUS_OK)
		return status;
	fits = number == SEGMENT_CS ? code_fits(&d, cpl)
		: number == SEGMENT_SS ? stack_fits(&d, cpl) : data_fits(&d, cpl);
	if (!fits)
		return fail(task, VECTOR_TS, selector);
	if (!d.present)
		return fail(task, number == SEGMENT_SS ? VECTOR_SS : VECTOR_NP, selector);
	if ((d.type & TYPE_ACCESSED) == 0) {
		d.raw |= (uint64_t)TYPE_ACCESSED << 40;
		d.segment.attributes |= TYPE_ACCESSED;
		status = linear_write(task, d.at.v, &d.raw, sizeof(d.raw));
	}
	if (status == STATUS_OK)
		*segment = d.segment;
	return status;
}

static enum status segments_load(struct task_switch *task)
{
	static const uint8_t order[] = {
		SEGMENT_CS, SEGMENT_SS, SEGMENT_DS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS};
	const struct vcpu_segment_state *cs = &task->state.segment[SEGMENT_CS];
	unsigned cpl = cs->selector & SELECTOR_RPL;
	enum status status = ldt_load(task);

	for (unsigned i = 0; status == STATUS_OK && i < ARRAY_COUNT(order) &&
		(task->state.rflags & RFLAGS_VM) == 0; i++)
		status = segment_load(task, order[i], cpl);
	if (status == STATUS_OK && (uint32_t)task->state.rip > cs->limit)
		return fail(task, VECTOR_GP, 0);
	return status;
}

// The error code of the exception that came through the gate, on the new stack.
static enum status error_code_push(struct task_switch *task, bool wide)
{
	struct vcpu_segment_state *ss = &task->state.segment[SEGMENT_SS];
	bool big = (ss->attributes & SEGMENT_ATTRIBUTE_DB) != 0;
	uint32_t mask = big ? UINT32_MAX : 0xffff, bytes = wide ? 4 : 2;
	uint32_t at = ((uint32_t)task->state.gpr[GPR_RSP] - bytes) & mask;
	bool down = (ss->attributes & TYPE_CONFORMING) != 0; // of data: expands down
	uint64_t last = (uint64_t)at + bytes - 1;
	enum status status;

	if (last > mask || (down ? at <= ss->limit : last > ss->limit))
		return fail(task, VECTOR_SS, 0);
	status = linear_write(task, ss->base + at, &task->exit->task.error_code, bytes);
	if (status == STATUS_OK)
		task->state.gpr[GPR_RSP] = (task->state.gpr[GPR_RSP] & ~(uint64_t)mask) | at;
	return status;
}

static enum status new_read(struct task_switch *task, const struct descriptor *found, bool wide,
	struct tss32 *tss)
{
	struct tss16 narrow = {0};
	enum status status;

	if (wide)
		return linear_read(task, found->segment.base, tss, sizeof(*tss));
	status = linear_read(task, found->segment.base, &narrow, sizeof(narrow));
	if (status == STATUS_OK)
		*tss = widen(&narrow);
	return status;
}

static enum status switch_run(struct task_switch *task)
{
	struct vcpu_state *state = &task->state;
	struct descriptor found;
	struct tss32 tss;
	enum status status;
	bool wide;

	ASSERT((state->efer & EFER_LMA) == 0);
	status = tss_find(task, &found);
	if (status != STATUS_OK)
		return status;
	wide = is_tss32(found.type);
	status = pages_check(task, &found);
	if (status == STATUS_OK)
		status = new_read(task, &found, wide, &tss);
	if (status == STATUS_OK)
		status = tasks_exchange(task, &found);
	if (status != STATUS_OK)
		return status;
	if (wide && (state->cr0 & CR0_PG) != 0) {
		state->cr3 = tss.cr3;
		paging_set(task->paging, state->cr0, state->cr3, state->cr4, state->efer,
			task->physical_bits, task->gigabyte_pages);
	}
	registers_load(task, &tss, wide);
	task->trap = wide && (tss.trap & TSS_TRAP) != 0;
	status = segments_load(task);
	if (status == STATUS_OK && task->exit->task.has_error_code)
		status = error_code_push(task, wide);
	return status;
}

enum status task_switch_execute(struct task_switch *task)
{
	struct vcpu_state before = task->state;
	enum status status;

	task->committed = task->trap = task->has_error_code = false;
	status = switch_run(task);
	if (status == STATUS_FAULT && !task->committed)
		task->state = before;
	return status;
}
