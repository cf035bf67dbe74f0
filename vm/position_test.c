// SPDX-License-Identifier: BSD-2-Clause
// A guest of one page runs sequences whose instructions are known, and a source's ticks are
// compared: what the world switch counts by itself, what each kind of exit counts of its
// instruction, what a REP counts, and that neither a host interrupt, nor single steps, nor an
// exception change the sum. Else the next of kernel/position.c's sources is tried.
//
// The guest is in real mode: the interrupt table is at 0, its stack above, and all vectors lead to
// HANDLER, a CPUID.
#include "vm/position_test.h"

#include <stdio.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/mem.h"
#include "kernel/position.h"
#include "kernel/timer.h"
#include "kernel/x86.h"
#include "vmx/counting.h"
#include "vmx/cpuid_frozen.h"

enum {
	STACK_TOP = 0x600,
	HANDLER = 0x600,
	CODE = 0x610,
	STRING_TO = 0xc00,
	NOPS_MAX = 200,
	ENTRIES_MAX = 20000, // of one sequence
	ROUNDS = 8,
	TIMER_AFTER = 200, // ticks, of the host interrupt in the middle
	TSC_AT_ENTRY = 1000000, // of the guest, where its RDTSC does not exit
	LOOPS = 300,
	LOOPS_COUNTER = 1000, // so that a counter's interrupt, which is late, is in the middle too
};

static struct {
	struct nested_map *map;
	struct vcpu *vcpu;
	uint8_t *page;
	struct timer timer;
	struct tick_source *source; // that is tested
	const char *problem; // NULL so far
} test;

// A sequence: bytes, how it is run, what came of it.
struct sequence {
	const uint8_t *code;
	size_t bytes;
	uint16_t cx;
	bool step;       // by single steps
	bool interrupt;  // with a host interrupt in the middle
	// Results, up to the first exit of the guest's own doing.
	uint64_t ticks, steps, interrupts;
	unsigned kind;
};

static void fail(const char *problem)
{
	if (test.problem == NULL)
		test.problem = problem;
}

static void registers_set(const struct sequence *sequence)
{
	struct vcpu_state state;
	enum status status;

	vcpu_get_state(test.vcpu, &state);
	state.rip = CODE;
	state.rflags = RFLAGS_FIXED | RFLAGS_IF;
	state.gpr[GPR_RAX] = 0;
	state.gpr[GPR_RCX] = sequence->cx;
	state.gpr[GPR_RSI] = 0;
	state.gpr[GPR_RDI] = STRING_TO;
	state.gpr[GPR_RSP] = STACK_TOP;
	state.interrupt_shadow = false;
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		state.segment[i].selector = 0, state.segment[i].base = 0;
	status = vcpu_set_state(test.vcpu, &state);
	ASSERT(status == STATUS_OK);
}

static void enter(struct vmexit *exit)
{
	cpu_self()->attention = false; // nobody else runs yet
	timer_program_exactly();
	vcpu_enter(test.vcpu, exit);
}

// An exception is given back to the guest, as the run loop does.
static bool goes_on(struct sequence *sequence, const struct vmexit *exit)
{
	switch (exit->kind) {
	case VMEXIT_INTERRUPT:
		sequence->interrupts++;
		return true;
	case VMEXIT_STEP_REPAIR: // PUSHF: TF is bit 8 of its image
		test.page[(vcpu_gpr(test.vcpu)[GPR_RSP] + 1) % PAGE_BYTES] &= (uint8_t)~1u;
		__attribute__((fallthrough));
	case VMEXIT_STEP:
		sequence->steps++;
		return true;
	case VMEXIT_EXCEPTION:
		vcpu_inject_exception(test.vcpu, exit->exception.vector,
			exit->exception.has_error_code, exit->exception.error_code);
		return true;
	default:
		return false;
	}
}

static const char *not_regular(void)
{
	return test.source->counts_instructions ? "it does not advance once per instruction"
						: "it does not advance once per conditional branch";
}

// What a sequence of instructions without branches counts.
static uint64_t plain_ticks(unsigned count)
{
	return test.source->counts_instructions ? count : 0;
}

// The host interrupt in the middle: of the counter, or by the host's timer.
static void interrupt_arm(bool on)
{
	if (test.source->arm == NULL)
		timer_set(&test.timer, on ? rdtsc() + TIMER_AFTER : TIMER_NEVER);
	else
		test.source->arm(cpu_self()->index, on ? TIMER_AFTER : 0);
}

static void lateness_check(const struct sequence *sequence, const struct vmexit *exit)
{
	if (test.source->arm != NULL && sequence->interrupt && exit->kind == VMEXIT_INTERRUPT &&
		sequence->ticks > TIMER_AFTER + test.source->lead_max)
		fail("its interrupt comes too late");
}

static void run(struct sequence *sequence)
{
	struct vmexit exit;

	memcpy(test.page + CODE, sequence->code, sequence->bytes);
	registers_set(sequence);
	sequence->ticks = sequence->steps = sequence->interrupts = 0;
	if (sequence->interrupt)
		interrupt_arm(true);
	for (unsigned i = 0; i < ENTRIES_MAX; i++) {
		if (sequence->step)
			vcpu_request_step(test.vcpu);
		vcpu_set_tsc_at_entry(test.vcpu, TSC_AT_ENTRY + sequence->ticks);
		enter(&exit);
		interrupt_arm(false);
		sequence->ticks += exit.ticks;
		sequence->kind = exit.kind;
		lateness_check(sequence, &exit);
		if (!goes_on(sequence, &exit))
			return;
	}
	fail("the test's guest does not end");
}

static const char cpuid_code[] = "\x0f\xa2";
static uint64_t run_text(const char *code, size_t bytes, uint16_t cx, unsigned kind)
{
	struct sequence sequence = {.code = (const uint8_t *)code, .bytes = bytes, .cx = cx};

	run(&sequence);
	if (sequence.kind != kind)
		fail("an instruction did not exit as expected");
	return sequence.ticks;
}

// An interrupt is delivered and the entry ends: no instruction has run, so all that was counted is
// the world switch's own.
static void overhead_measure(void)
{
	struct vmexit exit;

	vcpu_counting_overhead = 0;
	for (unsigned i = 0; i < ROUNDS && test.problem == NULL; i++) {
		registers_set(&(struct sequence){.cx = 0});
		vcpu_inject_interrupt(test.vcpu, 0x20);
		vcpu_request_step(test.vcpu);
		enter(&exit);
		if (exit.kind != VMEXIT_INTERRUPT || vcpu_event_pending(test.vcpu) ||
			vcpu_rip(test.vcpu) != HANDLER) {
			fail("an entry that only delivers did not end as expected");
			return;
		}
		if (i == 0)
			vcpu_counting_overhead = exit.ticks;
		else if (exit.ticks != 0)
			fail(not_regular());
	}
}

static void nops_measure(void)
{
	static const uint8_t counts[] = {0, 1, 7, 64, NOPS_MAX};
	char code[NOPS_MAX + 2];
	uint64_t ticks;

	for (unsigned i = 0; i < ARRAY_COUNT(counts); i++) {
		memset(code, 0x90, sizeof(code));
		code[counts[i]] = cpuid_code[0];
		code[counts[i] + 1] = cpuid_code[1];
		ticks = run_text(code, counts[i] + 2u, 0, VMEXIT_CPUID) - plain_ticks(counts[i]);
		if (i == 0 && ticks <= 1)
			test.source->correction[VMEXIT_CPUID] = (int8_t)ticks;
		else if (ticks != (uint64_t)(int64_t)test.source->correction[VMEXIT_CPUID])
			fail(not_regular());
	}
}

// Three instructions, and one that exits.
static void kind_measure(const char *code, size_t bytes, unsigned kind, unsigned as)
{
	uint64_t ticks = run_text(code, bytes, 0, kind) - plain_ticks(3);

	if (ticks > 1)
		fail("it counts an exit as more than an instruction");
	else
		test.source->correction[as] = (int8_t)ticks;
}

#define NOPS3 "\x90\x90\x90"
#define KIND_AS(bytes, kind, as) kind_measure(NOPS3 bytes, sizeof(NOPS3 bytes) - 1, kind, as)
#define KIND(bytes, kind)        KIND_AS(bytes, kind, kind)

static void kinds_measure(void)
{
	KIND("\xe6\x80", VMEXIT_IO);               // out %al, $0x80
	KIND("\x0f\x32", VMEXIT_MSR_READ);         // rdmsr, of 0
	KIND("\x0f\x30", VMEXIT_MSR_WRITE);
	KIND("\xf4", VMEXIT_HLT);
	KIND("\xa0\x00\x50", VMEXIT_MEMORY);       // mov 0x5000, %al
	KIND("\x0f\x22\xc0", VMEXIT_CR_WRITE);     // mov %eax, %cr0
	KIND("\x0f\x31", VMEXIT_RDTSC);
	if ((cpuid(0x80000001, 0).edx & BIT(27)) != 0)
		KIND_AS("\x0f\x01\xf9", VMEXIT_RDTSC, TICK_KIND_RDTSCP);
	KIND("\x0f\x09", VMEXIT_CACHE);            // wbinvd
	vcpu_intercept_pause(test.vcpu, VCPU_PAUSE_EACH);
	KIND("\xf3\x90", VMEXIT_PAUSE);
	vcpu_intercept_pause(test.vcpu, VCPU_PAUSE_NEVER);
	test.source->correction[VMEXIT_CR8_WRITE] = test.source->correction[VMEXIT_CR_WRITE];
	test.source->correction[VMEXIT_DR_WRITE] = test.source->correction[VMEXIT_CR_WRITE];
	test.source->correction[VMEXIT_XSETBV] = test.source->correction[VMEXIT_CACHE];
}

// What a step may leave to software: what its exit counts.
static void software_measure(const char *code, size_t bytes, unsigned kind)
{
	struct sequence sequence = {.code = (const uint8_t *)code, .bytes = bytes, .step = true};

	run(&sequence);
	if (sequence.kind == kind && sequence.ticks <= 1)
		test.source->correction[kind] = (int8_t)sequence.ticks;
	else if (sequence.kind != VMEXIT_CPUID) // an engine that steps over it
		fail("an instruction did not exit as expected");
}

// The same count whatever the host does meanwhile. Returns it.
static uint64_t sequence_check(const char *code, size_t bytes, uint16_t cx, bool retires)
{
	struct sequence plain = {.code = (const uint8_t *)code, .bytes = bytes, .cx = cx};
	struct sequence stepped = plain, interrupted = plain;

	stepped.step = interrupted.interrupt = true;
	run(&plain);
	run(&stepped);
	run(&interrupted);
	log_debug("position: %02x %02x: %llu ticks, %llu in %llu steps, %llu interruptions: %llu",
		(uint8_t)code[0], (uint8_t)code[1], (unsigned long long)plain.ticks,
		(unsigned long long)stepped.ticks, (unsigned long long)stepped.steps,
		(unsigned long long)interrupted.interrupts,
		(unsigned long long)interrupted.ticks);
	if (interrupted.ticks != plain.ticks)
		fail("a host interrupt changes its count");
	if (stepped.ticks != plain.ticks)
		fail("single steps change its count");
	if (retires && test.source->counts_instructions &&
		stepped.steps + (uint64_t)test.source->correction[VMEXIT_CPUID] != stepped.ticks)
		fail("a single step is not one tick");
	if (plain.ticks > TIMER_AFTER + (test.source->arm != NULL ? test.source->lead_max : 0) &&
		interrupted.interrupts <= plain.interrupts)
		fail("no host interrupt ended the guest's run");
	return plain.ticks;
}

#define CHECK(bytes, cx, retires) sequence_check(bytes, sizeof(bytes) - 1, cx, retires)

// What a REP of `n` iterations counts beyond n.
static int rep_measure(void)
{
	uint64_t none = CHECK("\xf3\xaa\x0f\xa2", 0, true);
	uint64_t one = CHECK("\xf3\xaa\x0f\xa2", 1, true);
	uint64_t many = CHECK("\xf3\xaa\x0f\xa2", 300, true); // rep stosb; cpuid
	uint64_t moved = CHECK("\xf3\xa4\x0f\xa2", 300, true); // rep movsb; cpuid
	uint64_t correction = (uint64_t)test.source->correction[VMEXIT_CPUID];

	if (!test.source->counts_instructions) {
		if (none != correction || one != none || many != none || moved != none)
			fail("it counts REP");
		return 0;
	}
	if (many - one != 299 || moved != many || none > 1 + correction)
		fail("it counts REP irregularly");
	return (int)(many - correction - 300);
}

static void guest_prepare(void)
{
	memset(test.page, 0, PAGE_BYTES);
	for (unsigned vector = 0; vector < 256; vector++)
		test.page[4 * vector] = HANDLER & 0xff, test.page[4 * vector + 1] = HANDLER >> 8;
	memcpy(test.page + HANDLER, cpuid_code, 2);
	vcpu_load(test.vcpu);
	vcpu_reset(test.vcpu, VCPU_RESET_POWER);
	timer_add(&test.timer);
}

// Every branch counts one, taken or not.
static void loops_measure(void)
{
	uint16_t loops = test.source->arm != NULL ? LOOPS_COUNTER : LOOPS;
	uint64_t ticks = CHECK("\xe2\xfe\x0f\xa2", loops, true); // loop .; cpuid

	if (ticks - (uint64_t)test.source->correction[VMEXIT_CPUID] != loops)
		fail(not_regular());
}

// What a guest's RDTSC behind `nops` instructions reads beyond what it should.
static uint64_t tsc_read(unsigned nops, bool step, bool interrupt)
{
	char code[NOPS_MAX * 2 + 4];
	struct sequence sequence = {.code = (const uint8_t *)code, .bytes = nops + 4u,
		.step = step, .interrupt = interrupt};
	const uint64_t *gpr = vcpu_gpr(test.vcpu);

	memset(code, 0x90, sizeof(code));
	memcpy(code + nops, (uint8_t[]){0x0f, 0x31, 0x0f, 0xa2}, 4); // rdtsc; cpuid
	run(&sequence);
	return (gpr[GPR_RDX] << 32 | (uint32_t)gpr[GPR_RAX]) - TSC_AT_ENTRY - nops;
}

// A guest reads the TSC that belongs to its position, whatever the host does meanwhile. If not, the
// source is none the worse: RDTSC exits then.
static bool tsc_measure(void)
{
	static const uint16_t nops[] = {0, 1, 50, NOPS_MAX * 2};
	bool same = true;

	vcpu_set_counting(test.vcpu, VCPU_COUNTING_TSC_PASSES);
	vcpu_tsc_lead = 0;
	vcpu_tsc_lead = tsc_read(0, false, false);
	for (unsigned i = 0; i < ARRAY_COUNT(nops); i++)
		same = same && tsc_read(nops[i], false, false) == 0 &&
			tsc_read(nops[i], true, false) == 0 && tsc_read(nops[i], false, true) == 0;
	vcpu_set_counting(test.vcpu, VCPU_COUNTING);
	return same && test.problem == NULL;
}

// What a run of at most `limit` ticks counts.
static uint64_t limited_ticks(const char *code, size_t bytes, uint16_t cx, unsigned limit)
{
	struct vmexit exit;

	memcpy(test.page + CODE, code, bytes);
	registers_set(&(struct sequence){.cx = cx});
	if (!vcpu_limit(test.vcpu, limit))
		return 0;
	enter(&exit);
	return exit.kind == VMEXIT_INTERRUPT ? exit.ticks : UINT64_MAX;
}

// Whether the host's timer ends a run at an exact tick. If not, steps make up for it.
static bool limit_measure(void)
{
	static const uint8_t limits[] = {2, 3, 10, 77, 150};
	static const char rep[] = "\xf3\xaa\x0f\xa2"; // rep stosb; cpuid
	char nops[NOPS_MAX];
	uint64_t ticks;
	bool exact;

	memset(nops, 0x90, sizeof(nops));
	vcpu_limit_lag = 0;
	ticks = limited_ticks(nops, sizeof(nops), 0, NOPS_MAX);
	vcpu_limit_lag = NOPS_MAX - ticks - 1;
	exact = ticks < NOPS_MAX;
	for (unsigned i = 0; i < ARRAY_COUNT(limits) && exact; i++)
		exact = limited_ticks(nops, sizeof(nops), 0, limits[i]) == limits[i] - 1u &&
			limited_ticks(rep, sizeof(rep) - 1, 300, limits[i]) == limits[i] - 1u;
	if (!exact)
		vcpu_limit_lag = VCPU_LIMIT_NONE;
	return exact;
}

// Returns what a REP counts beyond its iterations.
static int sequences_measure(void)
{
	vcpu_set_counting(test.vcpu, VCPU_COUNTING);
	overhead_measure();
	if (test.problem == NULL)
		nops_measure();
	if (test.problem == NULL)
		kinds_measure();
	if (test.problem == NULL)
		software_measure("\xcd\x80", 2, VMEXIT_SOFTWARE_INTERRUPT);
	if (test.problem == NULL)
		software_measure("\xf3\x90\x0f\xa2", 4, VMEXIT_PAUSE);
	if (test.problem == NULL)
		loops_measure();
	if (test.problem != NULL)
		return 0;
	(void)CHECK("\x90\x0f\x0b", 0, false);     // nop; ud2
	(void)CHECK("\x31\xc9\xf7\xf1", 0, false); // xor %cx, %cx; div %cx
	(void)CHECK("\x9c\x9d\x0f\xa2", 0, true);  // pushf; popf; cpuid
	return rep_measure();
}

// The log's line about it.
static void verdict_write(struct tick_source *source, int rep)
{
	const int8_t *correction = source->correction;

	if (test.problem != NULL)
		snprintf(source->verdict, sizeof(source->verdict), "no exact source: %s: %s",
			source->name, test.problem);
	else
		snprintf(source->verdict, sizeof(source->verdict), "%s counts %s exactly (entry "
			"%llu, cpuid %+d, out %+d, rdmsr %+d, hlt %+d, nested fault %+d, rdtscp "
			"%+d, rep %s%+d, rdtsc %s)", source->name, source->unit,
			(unsigned long long)vcpu_counting_overhead, correction[VMEXIT_CPUID],
			correction[VMEXIT_IO], correction[VMEXIT_MSR_READ], correction[VMEXIT_HLT],
			correction[VMEXIT_MEMORY], correction[TICK_KIND_RDTSCP],
			source->counts_instructions ? "n" : "", rep,
			source->tsc_passes ? "passes" : "exits");
}

static bool source_is_exact(struct tick_source *source)
{
	int rep = 0;

	test.source = source;
	test.problem = NULL;
	memset(source->correction, 0, sizeof(source->correction));
	position_source = source;
	if (source->find == NULL || source->find(&test.problem) == STATUS_OK)
		rep = sequences_measure();
	source->tsc_passes = test.problem == NULL && source->start == NULL && tsc_measure();
	if (test.problem == NULL && source->start == NULL && vcpu_engine.limit_is_measured)
		log_info("position: a run ends at %s tick",
			limit_measure() ? "an exact" : "no exact");
	position_source = NULL;
	source->is_exact = test.problem == NULL;
	verdict_write(source, rep);
	log_info("position: %s", source->verdict);
	return source->is_exact;
}

static bool guest_create(void)
{
	test.page = mem_pages_alloc(1);
	return test.page != NULL && nested_map_create(&test.map) == STATUS_OK &&
		nested_map_add(test.map, (struct gpa){0}, hpa_of(test.page), PAGE_BYTES,
			NESTED_READ_WRITE) == STATUS_OK &&
		vcpu_create(test.map, (struct cpuid_offer[]){cpuid_host_offer()},
			&test.vcpu) == STATUS_OK;
}

void position_self_test(void)
{
	unsigned i = 0;

	if (vcpu_engine.set_counting == NULL) {
		log_info("position: no exact source: the engine for this CPU does not count yet");
		return;
	}
	if (guest_create()) {
		guest_prepare();
		interrupts_enable(); // else they would not end the guest's run
		while (i < POSITION_SOURCES && !source_is_exact(&position_sources[i]))
			i++;
		interrupts_disable(); // as it was: the event loop does not run yet
		timer_remove(&test.timer);
		position_source = i < POSITION_SOURCES ? &position_sources[i] : NULL;
	} else {
		log_warn("position: no memory for the self-test");
	}
	if (test.vcpu != NULL)
		vcpu_destroy(test.vcpu);
	if (test.map != NULL)
		nested_map_destroy(test.map);
	if (test.page != NULL)
		mem_pages_free(test.page, 1);
}
