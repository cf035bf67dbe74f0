// SPDX-License-Identifier: BSD-2-Clause
// High precision event timers: IA-PC HPET Specification 1.0a, 2.2 to 2.4, with a clock of 100 MHz,
// three timers of 64 bits that can be periodic, and what else QEMU's block says of itself.
//
// Left out on purpose: delivery on the front side bus (FSB_INT_DEL_CAP reads 0), which QEMU's
// block has off by default as well.
//
// Nothing here counts. The clock's ticks are those of guest time, one in HPET_TICK_NS, so neither
// reading nor arming drifts: the counter is what it was when it was last looked at, and the ticks
// since. A comparator matches when the counter arrives at its value; what matched meanwhile is
// found by arithmetic, whether it was once or a million times, and is one edge.
//
// The PIT and the RTC lead through here: while LEG_RT_CNF is set, they are cut off from IRQ 0 and
// IRQ 8, and timers 0 and 1 are there instead (2.3.5, table 2). An enabled timer that is routed to
// one of these inputs of the I/O APIC has it for itself.
//
// Where the specification leaves room:
// - An edge is a line that rises, and stays high until the next one is due or the timer is
//   programmed: the 8259 forgets a request whose line falls too early.
// - A one-shot timer of 32 bits also matches where the counter's lower half wraps around
//   (2.3.9.2.1), and goes on matching each time around.
// - VAL_SET lets the next write of the comparator set the accumulator and the period; without it a
//   write of a periodic timer's sets the period alone. The bit is gone then, whichever half it was.
// - A route that is not among the timer's is none, and reads 0 (2.3.8, Tn_INT_ROUTE_CNF).
// - The counter takes writes while it is halted alone.
// - Writes are of 32 or 64 bits, aligned (2.3.2); others are dropped.
// - Interrupts of a period below 1 us come as fast as that, so that a guest cannot have its machine
//   do nothing else; the accumulator is exact all the same.
//
// Called by the bus alone.
#include "emul/hpet.h"

#define HPET_PERIOD_FS ((uint64_t)HPET_TICK_NS * 1000000)
#define HPET_NS_MAX    ((uint64_t)INT64_MAX)

enum {
	HPET_TICKS_MIN = 100, // from one interrupt of a periodic timer to the next
	HPET_TIMER_WRITABLE = HPET_TIMER_LEVEL | HPET_TIMER_INTERRUPT | HPET_TIMER_PERIODIC |
		HPET_TIMER_VALUE_SET | HPET_TIMER_32 | HPET_TIMER_ROUTE,
};

struct hpet_timer {
	uint64_t comparator;  // of a periodic timer, the accumulator
	uint64_t period;      // in ticks; 0: once around
	uint64_t deadline_ns; // as armed
	uint16_t config;      // HPET_TIMER_WRITABLE
	bool raised;          // edge-triggered: the line has risen, and is high
	uint8_t reserved[5];
};

struct hpet {
	struct device device;
	struct hpet_timer timers[HPET_TIMERS];
	uint64_t counter; // at `seen_ns`
	uint64_t seen_ns;
	uint32_t lines; // as driven
	uint8_t config; // HPET_ENABLE, HPET_LEGACY
	uint8_t status; // of level-triggered timers
	uint8_t inputs; // levels of the wires
	uint8_t reserved;
};

static struct hpet *hpet_of(struct device *device)
{
	return CONTAINER_OF(device, struct hpet, device);
}

static uint64_t ticks_at(uint64_t ns)
{
	return ns / HPET_TICK_NS;
}

// ---- Timers

static uint64_t timer_mask(const struct hpet_timer *timer)
{
	return timer->config & HPET_TIMER_32 ? UINT32_MAX : UINT64_MAX;
}

static bool timer_is_level(const struct hpet_timer *timer)
{
	return (timer->config & HPET_TIMER_LEVEL) != 0;
}

static bool timer_is_periodic(const struct hpet_timer *timer)
{
	return (timer->config & HPET_TIMER_PERIODIC) != 0;
}

static unsigned timer_route(const struct hpet_timer *timer)
{
	return timer->config >> HPET_TIMER_ROUTE_SHIFT & 0x1f;
}

static bool timer_has_route(const struct hpet_timer *timer)
{
	return (HPET_ROUTES >> timer_route(timer) & 1) != 0;
}

static bool timer_interrupts(const struct hpet *hpet, unsigned number)
{
	return (hpet->config & HPET_ENABLE) != 0 &&
		(hpet->timers[number].config & HPET_TIMER_INTERRUPT) != 0;
}

// Ticks before the one at which the counter arrives at `value`.
static uint64_t ticks_before(const struct hpet_timer *timer, uint64_t counter, uint64_t value)
{
	return (value - counter - 1) & timer_mask(timer);
}

// The same for the next match.
static uint64_t ticks_before_match(const struct hpet_timer *timer, uint64_t counter)
{
	uint64_t match = ticks_before(timer, counter, timer->comparator);
	uint64_t wrap = ticks_before(timer, counter, 0);

	if ((timer->config & HPET_TIMER_32) == 0 || timer_is_periodic(timer))
		return match;
	return match < wrap ? match : wrap;
}

// ---- Lines

static bool timer_line(const struct hpet *hpet, unsigned number)
{
	const struct hpet_timer *timer = &hpet->timers[number];

	return timer_interrupts(hpet, number) &&
		(timer_is_level(timer) ? (hpet->status & BIT(number)) != 0 : timer->raised);
}

static uint32_t line_if(bool level, unsigned output)
{
	return (uint32_t)level << output;
}

static uint32_t lines_of(const struct hpet *hpet)
{
	bool legacy = (hpet->config & HPET_LEGACY) != 0;
	bool irq0 = legacy ? timer_line(hpet, 0) : (hpet->inputs & BIT(HPET_INPUT_PIT)) != 0;
	bool irq8 = legacy ? timer_line(hpet, 1) : (hpet->inputs & BIT(HPET_INPUT_RTC)) != 0;
	uint32_t lines = line_if(irq0, HPET_OUTPUT_IRQ0) | line_if(irq0, HPET_OUTPUT_PIN2) |
		line_if(irq8, HPET_OUTPUT_IRQ8);
	uint32_t routed = 0, high = 0;

	for (unsigned i = legacy ? 2 : 0; i < HPET_TIMERS; i++) {
		unsigned route = timer_route(&hpet->timers[i]);

		if (route == 0 || !timer_interrupts(hpet, i))
			continue;
		routed |= (uint32_t)BIT(route);
		high |= line_if(timer_line(hpet, i), route);
	}
	return (lines & ~routed) | high;
}

static void hpet_drive(struct hpet *hpet)
{
	uint32_t lines = lines_of(hpet), changed = lines ^ hpet->lines;

	hpet->lines = lines;
	for (; changed != 0; changed &= changed - 1) {
		unsigned output = (unsigned)__builtin_ctz(changed);

		device_set_line(&hpet->device, output, (lines & BIT(output)) != 0);
	}
}

static unsigned timer_output(const struct hpet *hpet, unsigned number)
{
	if ((hpet->config & HPET_LEGACY) == 0 || number >= 2)
		return timer_route(&hpet->timers[number]);
	return number == 0 ? HPET_OUTPUT_IRQ0 : HPET_OUTPUT_IRQ8;
}

// An edge is one even where another timer has raised the line.
static void timer_interrupt(struct hpet *hpet, unsigned number)
{
	struct hpet_timer *timer = &hpet->timers[number];

	if (timer_is_level(timer)) {
		hpet->status |= (uint8_t)BIT(number);
		return;
	}
	if (!timer_interrupts(hpet, number))
		return;
	for (unsigned i = 0; i < HPET_TIMERS; i++)
		if (timer_output(hpet, i) == timer_output(hpet, number))
			hpet->timers[i].raised = false;
	hpet_drive(hpet);
	timer->raised = true;
}

// ---- Time

// The counter goes `ticks` on.
static void timer_pass(struct hpet *hpet, unsigned number, uint64_t ticks)
{
	struct hpet_timer *timer = &hpet->timers[number];
	uint64_t before = ticks_before(timer, hpet->counter, timer->comparator);

	if (ticks_before_match(timer, hpet->counter) >= ticks)
		return;
	if (timer_is_periodic(timer) && timer->period != 0)
		timer->comparator = (timer->comparator +
			((ticks - 1 - before) / timer->period + 1) * timer->period) &
			timer_mask(timer);
	timer_interrupt(hpet, number);
}

// Every stimulus that depends on time begins with it, and ends with hpet_commit().
static void hpet_catch_up(struct hpet *hpet, struct guest_time now)
{
	uint64_t ticks = ticks_at(now.ns) - ticks_at(hpet->seen_ns);

	hpet->seen_ns = now.ns;
	if ((hpet->config & HPET_ENABLE) == 0 || ticks == 0)
		return;
	for (unsigned i = 0; i < HPET_TIMERS; i++)
		timer_pass(hpet, i, ticks);
	hpet->counter += ticks;
}

static uint64_t timer_deadline(const struct hpet *hpet, unsigned number)
{
	const struct hpet_timer *timer = &hpet->timers[number];
	uint64_t before, now = ticks_at(hpet->seen_ns), period = timer->period;

	if (!timer_interrupts(hpet, number) || (hpet->status & BIT(number)) != 0)
		return GUEST_TIME_NEVER.ns;
	before = ticks_before_match(timer, hpet->counter);
	if (timer_is_periodic(timer) && period != 0 && period < HPET_TICKS_MIN &&
		before < HPET_TICKS_MIN - 1)
		before += (HPET_TICKS_MIN - 2 - before + period) / period * period;
	if (before >= HPET_NS_MAX / HPET_TICK_NS - now)
		return GUEST_TIME_NEVER.ns;
	return (now + before + 1) * HPET_TICK_NS;
}

static void hpet_commit(struct hpet *hpet)
{
	hpet_drive(hpet);
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		uint64_t deadline = timer_deadline(hpet, i);

		if (deadline == hpet->timers[i].deadline_ns)
			continue;
		hpet->timers[i].deadline_ns = deadline;
		device_arm_timer(&hpet->device, i, (struct guest_time){deadline});
	}
}

// ---- Registers

static uint64_t timer_read(const struct hpet_timer *timer, unsigned at)
{
	switch (at) {
	case HPET_TIMER_CONFIGURATION:
		return timer->config | HPET_TIMER_PERIODIC_CAP | HPET_TIMER_64_CAP |
			(uint64_t)HPET_ROUTES << 32;
	case HPET_TIMER_COMPARATOR:
		return timer->comparator;
	default:
		return 0;
	}
}

// The 64 bits at `at`, which is a multiple of 8.
static uint64_t register_read(const struct hpet *hpet, unsigned at)
{
	unsigned number = (at - HPET_TIMER) / HPET_TIMER_BYTES;

	switch (at) {
	case HPET_CAPABILITIES:
		return HPET_PERIOD_FS << 32 | HPET_BLOCK_ID;
	case HPET_CONFIGURATION:
		return hpet->config;
	case HPET_STATUS:
		return hpet->status;
	case HPET_COUNTER:
		return hpet->counter;
	default:
		return at >= HPET_TIMER && number < HPET_TIMERS ?
			timer_read(&hpet->timers[number], at % HPET_TIMER_BYTES) : 0;
	}
}

static void timer_configure(struct hpet *hpet, unsigned number, uint64_t value)
{
	struct hpet_timer *timer = &hpet->timers[number];

	timer->config = (uint16_t)(value & HPET_TIMER_WRITABLE);
	if (!timer_has_route(timer))
		timer->config &= (uint16_t)~HPET_TIMER_ROUTE;
	timer->comparator &= timer_mask(timer);
	timer->period &= timer_mask(timer);
	timer->raised = false;
	if (!timer_is_level(timer))
		hpet->status &= (uint8_t)~BIT(number);
}

// `kept`: what the write leaves as it is.
static void timer_write_comparator(struct hpet_timer *timer, uint64_t value, uint64_t kept)
{
	bool periodic = timer_is_periodic(timer);

	value &= timer_mask(timer);
	if (!periodic || (timer->config & HPET_TIMER_VALUE_SET) != 0)
		timer->comparator = (timer->comparator & kept) | value;
	if (periodic)
		timer->period = (timer->period & kept) | value;
	timer->config &= (uint16_t)~HPET_TIMER_VALUE_SET;
}

static void hpet_configure(struct hpet *hpet, uint8_t value)
{
	if (value == hpet->config)
		return;
	hpet->config = value;
	for (unsigned i = 0; i < HPET_TIMERS; i++)
		hpet->timers[i].raised = false;
}

// `value` has zeros where bits are `kept`.
static void register_write(struct hpet *hpet, unsigned at, uint64_t value, uint64_t kept)
{
	unsigned number = (at - HPET_TIMER) / HPET_TIMER_BYTES;

	switch (at) {
	case HPET_CONFIGURATION:
		if ((kept & 1) == 0)
			hpet_configure(hpet, value & (HPET_ENABLE | HPET_LEGACY));
		return;
	case HPET_STATUS:
		hpet->status &= (uint8_t)~value;
		return;
	case HPET_COUNTER:
		if ((hpet->config & HPET_ENABLE) == 0)
			hpet->counter = (hpet->counter & kept) | value;
		return;
	}
	if (at < HPET_TIMER || number >= HPET_TIMERS)
		return;
	if (at % HPET_TIMER_BYTES == HPET_TIMER_COMPARATOR)
		timer_write_comparator(&hpet->timers[number], value, kept);
	else if (at % HPET_TIMER_BYTES == HPET_TIMER_CONFIGURATION && (kept & 1) == 0)
		timer_configure(hpet, number, value);
}

static uint64_t hpet_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct hpet *hpet = hpet_of(device);

	(void)region;
	if (offset % 8 + size > 8)
		return UINT64_MAX;
	hpet_catch_up(hpet, now);
	hpet_commit(hpet);
	return register_read(hpet, (unsigned)offset & ~7u) >> offset % 8 * 8;
}

static void hpet_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct hpet *hpet = hpet_of(device);
	unsigned shift = offset % 8 * 8;
	uint64_t written = size == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX << shift;

	(void)region;
	if (size < 4 || offset % size != 0)
		return;
	hpet_catch_up(hpet, now);
	register_write(hpet, (unsigned)offset & ~7u, value << shift & written, ~written);
	hpet_commit(hpet);
}

static void hpet_line(struct device *device, struct guest_time now, unsigned input, bool level)
{
	struct hpet *hpet = hpet_of(device);
	uint8_t bit = (uint8_t)BIT(input);

	(void)now;
	hpet->inputs = (uint8_t)(level ? hpet->inputs | bit : hpet->inputs & ~bit);
	hpet_drive(hpet);
}

static void hpet_timer(struct device *device, struct guest_time now, unsigned timer)
{
	struct hpet *hpet = hpet_of(device);

	hpet->timers[timer].deadline_ns = GUEST_TIME_NEVER.ns;
	hpet_catch_up(hpet, now);
	hpet_commit(hpet);
}

static void hpet_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct hpet *hpet = hpet_of(device);

	(void)kind;
	for (unsigned i = 0; i < HPET_TIMERS; i++)
		hpet->timers[i] = (struct hpet_timer){
			.comparator = UINT64_MAX, .deadline_ns = GUEST_TIME_NEVER.ns};
	hpet->counter = 0;
	hpet->seen_ns = now.ns;
	hpet->lines = 0;
	hpet->config = hpet->status = hpet->inputs = hpet->reserved = 0;
}

// Lines and deadlines are those of the last stimulus, which `seen_ns` dates.
static void hpet_loaded(struct device *device, struct guest_time now)
{
	struct hpet *hpet = hpet_of(device);

	(void)now;
	hpet->lines = ~lines_of(hpet) & ((UINT32_C(1) << HPET_OUTPUTS) - 1); // all are driven
	for (unsigned i = 0; i < HPET_TIMERS; i++)
		hpet->timers[i].deadline_ns = GUEST_TIME_NEVER.ns;
	hpet_commit(hpet);
}

static const char *hpet_check(const void *instance)
{
	const struct hpet *hpet = instance;

	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		const struct hpet_timer *timer = &hpet->timers[i];

		if ((timer->config & ~HPET_TIMER_WRITABLE) != 0)
			return "bits of a timer that cannot be set";
		if (timer_route(timer) != 0 && !timer_has_route(timer))
			return "a timer's route that it does not have";
		if (((timer->comparator | timer->period) & ~timer_mask(timer)) != 0)
			return "more than 32 bits of a timer of 32 bits";
		if (timer->raised && (timer_is_level(timer) || !timer_interrupts(hpet, i)))
			return "an edge of a timer that has none";
		if ((hpet->status & BIT(i)) != 0 && !timer_is_level(timer))
			return "the status of an edge-triggered timer";
	}
	return NULL;
}

static const struct state_field hpet_fields[] = {
	STATE_DERIVED(struct hpet, device),
	STATE_EACH_ANY(struct hpet, timers, comparator),
	STATE_EACH_ANY(struct hpet, timers, period),
	STATE_EACH_DERIVED(struct hpet, timers, deadline_ns),
	STATE_EACH(struct hpet, timers, config, 0, HPET_TIMER_WRITABLE),
	STATE_EACH(struct hpet, timers, raised, 0, 1),
	STATE_EACH_DERIVED(struct hpet, timers, reserved),
	STATE_ANY(struct hpet, counter),
	STATE_VALUE(struct hpet, seen_ns, 0, HPET_NS_MAX),
	STATE_DERIVED(struct hpet, lines),
	STATE_VALUE(struct hpet, config, 0, HPET_ENABLE | HPET_LEGACY),
	STATE_VALUE(struct hpet, status, 0, (1 << HPET_TIMERS) - 1),
	STATE_VALUE(struct hpet, inputs, 0, (1 << HPET_INPUTS) - 1),
	STATE_PAD(struct hpet, reserved),
};

static const struct state_table hpet_state =
	STATE_TABLE("hpet", 1, struct hpet, hpet_fields, hpet_check);

const struct device_model hpet_model = {
	.name = "hpet",
	.description = "high precision event timers",
	.instance_bytes = sizeof(struct hpet),
	.timers = HPET_TIMERS,
	.inputs = HPET_INPUTS,
	.outputs = HPET_OUTPUTS,
	.state = &hpet_state,
	.reset = hpet_reset,
	.read = hpet_read,
	.write = hpet_write,
	.line = hpet_line,
	.timer = hpet_timer,
	.loaded = hpet_loaded,
};

DEVICE_MODEL_REGISTER(155, hpet_model);
