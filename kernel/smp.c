// SPDX-License-Identifier: BSD-2-Clause
// Starting the other CPUs (SDM vol. 3, 9.4), and messages between CPUs.
//
// First a list of APIC ids is made: from the MADT, from UEFI's MP Services, or by a probe, in which
// all other CPUs get a start-up message at once, note their APIC ids and halt. Then each CPU of the
// list is started by itself: INIT, start-up message, and it takes the area that is on offer. One
// that does not come is put back into the state after INIT, where it can do no harm.
//
// Emulators whose CPUs take turns give the others theirs when a timer's deadline comes or this CPU
// pauses: turn_give. No wait here is longer than it must be with a CPU that answers.
#include "kernel/smp.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/cpu_state.h"
#include "kernel/fiber.h"
#include "kernel/libc.h"
#include "kernel/loop.h"
#include "kernel/mem.h"
#include "kernel/pagetable.h"
#include "kernel/smp_abi.h"
#include "kernel/x86.h"

enum {
	STACK_BYTES = 0x10000,
	TURN_US = 20,
	// Between INIT and start-up message. CPUs of this century need next to nothing; the SDM's
	// number is for the second attempt.
	INIT_SHORT_US = 200,
	INIT_LONG_US = 10000,
	STARTUP_REPEAT_US = 200,
	ARRIVE_SHORT_US = 100000,
	ARRIVE_LONG_US = 1000000,
	ONLINE_US = 2000000, // from its first instruction in the image to its event loop
	PROBE_QUIET_US = 1000,
	PROBE_QUIET_LONG_US = 200000, // while fewer have come than CPUID makes expect
};

// An area for a CPU's own things. Guard pages are unmapped.
struct smp_area {
	uint8_t stack_guard[PAGE_BYTES];
	uint8_t stack[STACK_BYTES];
	struct desc_stack exception_stacks[DESC_STACK_COUNT];
	struct cpu cpu;
};

struct smp_list {
	const char *found_by;
	uint32_t count;
	uint32_t apic_ids[CPU_MAX];
};

_Static_assert((int)ACPI_CPUS_MAX <= (int)CPU_MAX && (int)BOOT_CPUS_MAX <= (int)CPU_MAX,
	"the list holds what any source has");

struct cpu *smp_offer;
static struct cpu_state boot_state; // (c) before the first CPU is started
static struct smp_page *page;

static void turn_give(void)
{
	apic_timer_start((uint32_t)(clock_calibration()->apic_hz / (1000000 / TURN_US)));
	for (unsigned i = 0; i < 16; i++)
		cpu_relax();
}

static void wait_us(uint32_t us)
{
	uint64_t end = rdtsc() + clock_ns_to_tsc((uint64_t)us * 1000);

	while (rdtsc() < end)
		turn_give();
}

// Waits until the offer is taken; false: it was not, and is withdrawn.
static bool wait_taken(uint32_t us)
{
	uint64_t end = rdtsc() + clock_ns_to_tsc((uint64_t)us * 1000);

	while (rdtsc() < end) {
		if (__atomic_load_n(&smp_offer, __ATOMIC_ACQUIRE) == NULL)
			return true;
		turn_give();
	}
	return __atomic_exchange_n(&smp_offer, NULL, __ATOMIC_ACQ_REL) == NULL;
}

static bool wait_online(const struct cpu *cpu)
{
	uint64_t end = rdtsc() + clock_ns_to_tsc((uint64_t)ONLINE_US * 1000);

	while (rdtsc() < end) {
		if (__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE))
			return true;
		turn_give();
	}
	return false;
}

// A page of free memory for the first instructions, kept for ever: a CPU may come late.
static bool page_place(const struct boot_info *info)
{
	uint64_t found = 0;

	for (uint32_t i = 0; i < info->range_count; i++) {
		const struct boot_range *range = &info->ranges[i];
		uint64_t end = range->start.v + range->bytes;

		if (end > SMP_PAGE_LIMIT)
			end = SMP_PAGE_LIMIT;
		if (range->kind == BOOT_RANGE_FREE && range->start.v < SMP_PAGE_LIMIT &&
			end >= range->start.v + PAGE_BYTES)
			found = end - PAGE_BYTES;
	}
	page = hpa_pointer((struct hpa){found});
	return found != 0; // page 0 will not do: it is where null pointers point
}

static void page_fill(uint32_t mode)
{
	uint64_t bytes = (uint64_t)(smp_page_end - smp_page_start), at = hpa_of(page).v;

	ASSERT(bytes <= PAGE_BYTES && at < SMP_PAGE_LIMIT);
	pagetable_set(hpa_of(page), PAGE_BYTES, PAGETABLE_DATA);
	memcpy(page, smp_page_start, bytes);
	page->mode = mode;
	page->cr3 = (uint32_t)pagetable_root().v;
	page->gdt_address = (uint32_t)(at + offsetof(struct smp_page, gdt));
	page->protected_mode.offset = (uint32_t)at +
		(uint32_t)(smp_page_protected_mode - smp_page_start);
	page->long_mode.offset = (uint32_t)at + (uint32_t)(smp_page_long_mode - smp_page_start);
	page->entry = (uint64_t)(uintptr_t)smp_entry;
	// Long mode begins in it.
	if (mode == SMP_MODE_START)
		pagetable_set(hpa_of(page), PAGE_BYTES, PAGETABLE_CODE);
}

static uint32_t startup_command(void)
{
	return APIC_COMMAND_STARTUP | (uint32_t)(hpa_of(page).v / PAGE_BYTES);
}

// How many logical CPUs this package has, at most: a hint at how long to wait, no more.
static uint32_t cpus_expected(void)
{
	struct cpuid features = cpuid(1, 0);

	return (features.edx & BIT(28)) != 0 ? features.ebx >> 16 & 0xff : 1;
}

static void probe_wait(void)
{
	uint32_t seen = 0, expected = cpus_expected();
	uint64_t last = rdtsc();

	for (;;) {
		uint32_t noted = __atomic_load_n(&page->noted, __ATOMIC_ACQUIRE);
		uint64_t quiet = seen + 1 < expected ? PROBE_QUIET_LONG_US : PROBE_QUIET_US;

		if (noted != seen) {
			seen = noted;
			last = rdtsc();
		} else if (rdtsc() - last >= clock_ns_to_tsc(quiet * 1000)) {
			return;
		}
		turn_give();
	}
}

static int apic_id_compare(const void *a, const void *b)
{
	uint32_t left, right;

	memcpy(&left, a, sizeof(left));
	memcpy(&right, b, sizeof(right));
	return left < right ? -1 : left > right;
}

static void list_probe(struct smp_list *list)
{
	uint32_t noted;

	page_fill(SMP_MODE_PROBE);
	apic_command(0, APIC_COMMAND_INIT | APIC_COMMAND_TO_OTHERS);
	wait_us(INIT_SHORT_US);
	apic_command(0, startup_command() | APIC_COMMAND_TO_OTHERS);
	wait_us(STARTUP_REPEAT_US);
	apic_command(0, startup_command() | APIC_COMMAND_TO_OTHERS);
	probe_wait();
	apic_command(0, APIC_COMMAND_INIT | APIC_COMMAND_TO_OTHERS); // where they wait from now on
	wait_us(INIT_SHORT_US);
	noted = __atomic_load_n(&page->noted, __ATOMIC_ACQUIRE);
	ASSERT(noted <= CPU_MAX);
	if (page->arrived > noted)
		log_warn("smp: %u CPUs more than can be used", page->arrived - noted);
	list->found_by = "probe";
	list->count = noted;
	memcpy(list->apic_ids, page->apic_ids, noted * sizeof(page->apic_ids[0]));
	// They came in any order; their indices are to be the same each time.
	qsort(list->apic_ids, noted, sizeof(list->apic_ids[0]), apic_id_compare);
}

static bool list_acpi(struct smp_list *list)
{
	const struct acpi_madt *madt = &acpi_host()->madt;

	if (madt->left_out > 0)
		log_warn("smp: %u CPUs more than can be used", madt->left_out);
	list->found_by = "ACPI";
	list->count = madt->cpu_count;
	memcpy(list->apic_ids, madt->apic_ids, madt->cpu_count * sizeof(madt->apic_ids[0]));
	return list->count > 0;
}

static bool list_mp(const struct boot_info *info, struct smp_list *list)
{
	list->found_by = "MP Services";
	list->count = info->cpu_count;
	memcpy(list->apic_ids, info->cpu_apic_ids, info->cpu_count * sizeof(info->cpu_apic_ids[0]));
	return list->count > 0;
}

static void list_make(const struct boot_info *info, enum smp_source source, struct smp_list *list)
{
	switch (source) {
	case SMP_SOURCE_AUTO:
		if (!list_acpi(list) && !list_mp(info, list))
			list_probe(list);
		return;
	case SMP_SOURCE_ACPI:
		if (!list_acpi(list))
			log_warn("smp: ACPI names no CPU");
		return;
	case SMP_SOURCE_MP:
		if (!list_mp(info, list))
			log_warn("smp: MP Services named no CPU");
		return;
	case SMP_SOURCE_PROBE:
		list_probe(list);
		return;
	}
	ASSERT_UNREACHABLE("unknown source");
}

// Whether the list has anything to start.
static bool list_has_others(const struct smp_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->apic_ids[i] != cpu_self()->apic_id)
			return true;
	return false;
}

static uint32_t area_pages(void)
{
	return (uint32_t)((sizeof(struct smp_area) + libc_reent_bytes() + PAGE_BYTES - 1) /
		PAGE_BYTES);
}

static void area_guard(struct smp_area *area, enum pagetable_protection protection)
{
	pagetable_set(hpa_of(area->stack_guard), PAGE_BYTES, protection);
	for (unsigned i = 0; i < DESC_STACK_COUNT; i++)
		pagetable_set(hpa_of(area->exception_stacks[i].guard), PAGE_BYTES, protection);
}

static struct smp_area *area_create(uint32_t apic_id)
{
	struct smp_area *area = mem_pages_alloc(area_pages());
	struct cpu *cpu;

	if (area == NULL)
		return NULL;
	area_guard(area, PAGETABLE_NONE);
	cpu = &area->cpu;
	cpu_init(cpu, cpu_count(), apic_id);
	cpu->stack_top = area->stack + STACK_BYTES;
	libc_reent_init(cpu, area + 1);
	desc_prepare(&cpu->desc, area->exception_stacks);
	return area;
}

static void area_destroy(struct smp_area *area)
{
	area_guard(area, PAGETABLE_DATA);
	mem_pages_free(area, area_pages());
}

static bool attempt(struct cpu *cpu, uint32_t apic_id, uint32_t init_us, uint32_t arrive_us)
{
	apic_command(apic_id, APIC_COMMAND_INIT);
	wait_us(init_us);
	// Not before: a CPU from a former attempt does not run any more.
	__atomic_store_n(&smp_offer, cpu, __ATOMIC_RELEASE);
	apic_command(apic_id, startup_command());
	wait_us(STARTUP_REPEAT_US);
	if (__atomic_load_n(&smp_offer, __ATOMIC_ACQUIRE) != NULL)
		apic_command(apic_id, startup_command());
	return wait_taken(arrive_us) && wait_online(cpu);
}

// Guest time is made of the TSC: it must not jump when a machine's work moves to another CPU.
static void tsc_compare(const struct cpu *cpu, uint64_t begin)
{
	if (cpu->start_tsc < begin || cpu->start_tsc > rdtsc())
		log_warn("smp: the TSC of CPU %u is %lld ticks away from the boot CPU's",
			cpu->index, (long long)(cpu->start_tsc - begin));
}

static void start(uint32_t apic_id)
{
	uint64_t begin = rdtsc();
	struct smp_area *area;

	if (!apic_is_x2apic() && apic_id >= 255) {
		log_warn("smp: APIC id %u cannot be reached without x2APIC", apic_id);
		return;
	}
	area = area_create(apic_id);
	if (area == NULL) {
		log_warn("smp: no memory for the CPU with APIC id %u", apic_id);
		return;
	}
	if (attempt(&area->cpu, apic_id, INIT_SHORT_US, ARRIVE_SHORT_US) ||
		attempt(&area->cpu, apic_id, INIT_LONG_US, ARRIVE_LONG_US)) {
		cpu_add(&area->cpu);
		tsc_compare(&area->cpu, begin);
		log_debug("smp: CPU %u: APIC id %u%s", area->cpu.index, apic_id,
			area->cpu.memory_types_changed ? ", memory types set" : "");
		return;
	}
	apic_command(apic_id, APIC_COMMAND_INIT);
	wait_us(INIT_LONG_US);
	area_destroy(area);
	log_warn("smp: the CPU with APIC id %u does not start", apic_id);
}

static void list_start(const struct smp_list *list, uint32_t limit)
{
	page_fill(SMP_MODE_START);
	cpu_state_read(&boot_state);
	for (uint32_t i = 0; i < list->count && cpu_count() < limit; i++) {
		bool known = false;

		for (uint32_t n = 0; n < cpu_count(); n++)
			known |= cpu_get(n)->apic_id == list->apic_ids[i];
		if (!known)
			start(list->apic_ids[i]);
	}
}

void smp_start(const struct boot_info *info, const struct smp_config *config)
{
	struct smp_list list = {.found_by = "by configuration"};
	uint64_t begin = rdtsc();
	struct cpu *self = cpu_self();

	ASSERT(cpu_count() == 1 && self->index == 0 && !self->in_loop);
	ASSERT(config->limit >= 1 && config->limit <= CPU_MAX);
	ASSERT(self->timer_programmed == TIMER_NEVER); // turn_give uses the timer's hardware
	if (config->limit > 1) {
		if (!page_place(info) || pagetable_root().v > UINT32_MAX) {
			log_warn("smp: no memory below 1 MiB to start other CPUs in");
		} else {
			list_make(info, config->source, &list);
			if (list_has_others(&list))
				list_start(&list, config->limit);
			apic_timer_start(0);
		}
	}
	log_info("smp: %u CPU%s (%s), %llu TSC ticks", cpu_count(), cpu_count() > 1 ? "s" : "",
		list.found_by, (unsigned long long)(rdtsc() - begin));
}

// On its own stack, interrupts disabled, with the page's descriptor table.
void smp_cpu_main(struct cpu *cpu)
{
	desc_load(&cpu->desc);
	wrmsr(MSR_GS_BASE, (uint64_t)(uintptr_t)cpu);
	cpu->memory_types_changed = cpu_state_apply(&boot_state);
	apic_init_cpu();
	timer_init_cpu();
	cpu->start_tsc = rdtsc();
	__atomic_store_n(&cpu->online, true, __ATOMIC_RELEASE);
	loop_run();
}

void smp_post(struct cpu *cpu, struct cpu_message *message)
{
	message_put(&cpu->inbox, message);
	cpu_kick(cpu);
}

// Lives in the caller's frame. With a fiber that waits the way back is a message too, so that the
// other CPU is done with all of this before the fiber goes on.
struct smp_call {
	struct cpu_message request, reply;
	void (*run)(void *argument);
	void *argument;
	struct cpu *from;
	struct fiber *fiber; // NULL: the caller looks at `done`
	bool done;           // (a) stored with release by whoever touches this last
};

static void call_replied(struct cpu_message *message)
{
	struct smp_call *call = CONTAINER_OF(message, struct smp_call, reply);

	call->done = true;
	fiber_unblock(call->fiber);
}

static void call_arrived(struct cpu_message *message)
{
	struct smp_call *call = CONTAINER_OF(message, struct smp_call, request);

	call->run(call->argument);
	if (call->fiber != NULL)
		smp_post(call->from, &call->reply);
	else
		__atomic_store_n(&call->done, true, __ATOMIC_RELEASE);
}

void smp_call(struct cpu *cpu, void (*run)(void *argument), void *argument)
{
	struct smp_call call = {.request.run = call_arrived, .reply.run = call_replied, .run = run,
		.argument = argument, .from = cpu_self(), .fiber = fiber_self()};

	if (cpu == call.from) {
		run(argument);
		return;
	}
	// Anywhere else the loop that is to run messages would stand still.
	ASSERT(call.fiber != NULL || (call.from->index == 0 && !call.from->in_loop));
	smp_post(cpu, &call.request);
	if (call.fiber != NULL)
		fiber_block();
	while (!__atomic_load_n(&call.done, __ATOMIC_ACQUIRE))
		cpu_relax();
}
