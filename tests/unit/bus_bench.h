// SPDX-License-Identifier: BSD-2-Clause
// Three probes on a machine's buses: devices that note every stimulus and do in it what the test
// says. What lies beside the bus (interrupt routing, time) is the bench's own.
#ifndef TESTS_UNIT_BUS_BENCH_H
#define TESTS_UNIT_BUS_BENCH_H

#include <asm/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/console.h"
#include "tests/unit/fake_absent.h"
#include "tests/unit/fake_blocks.h"
#include "tests/unit/fake_env.h"
#include "vm/bus.h"
#include "vm/env.h"
#include "vm/local_apic.h"

enum { A, B, C, PROBES };
enum { PINS = 4, LOG_MAX = 512, NOW = 5000 };

enum stimulus { READ, WRITE, LINE, MESSAGE, TIMER, BOTTOM_HALF, RECEIVE, COMPLETE, INPUT };

struct note {
	uint16_t device;
	enum stimulus kind;
	uint64_t number, detail, value;
	uint64_t now;
};

struct probe {
	struct device device;
	void (*act)(struct device *device, const struct note *note);
	uint64_t answer; // of reads
	unsigned inputs; // that it takes: BIT(enum device_input_kind)
};

static struct vm *vm;
static struct vm_vcpu vcpu;
static struct probe probes[PROBES];
static struct wire wires[PROBES][PINS];
static struct vm_device devices[PROBES];
static struct note notes[LOG_MAX];
static unsigned count;
static uint8_t *block;
static uint8_t *blocks[4], written[4];

static inline struct device *probe(unsigned which)
{
	return &probes[which].device;
}

static inline const struct note *write_down(const struct device *device, struct guest_time now,
	enum stimulus kind, uint64_t number, uint64_t detail, uint64_t value)
{
	struct note *note = &notes[count++];

	assert_true(count < LOG_MAX);
	assert_non_null(vm->bus.owner);
	*note = (struct note){device->id, kind, number, detail, value, now.ns};
	return note;
}

static inline void take(struct device *device, struct guest_time now, enum stimulus kind,
	uint64_t number, uint64_t detail, uint64_t value)
{
	const struct note *note = write_down(device, now, kind, number, detail, value);
	struct probe *of = (struct probe *)(void *)device;

	if (of->act != NULL)
		of->act(device, note);
}

static inline uint64_t probe_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	uint64_t answer = ((struct probe *)(void *)device)->answer;

	take(device, now, READ, region, offset, size);
	return size == 1 ? answer >> offset % 8 * 8 : answer;
}

static inline void probe_write(struct device *device, struct guest_time now,
	unsigned region, uint64_t offset, unsigned size, uint64_t value)
{
	take(device, now, WRITE, (uint64_t)region << 32 | size, offset, value);
}

static inline void probe_line(struct device *device, struct guest_time now, unsigned input,
	bool level)
{
	take(device, now, LINE, input, 0, level);
}

static inline void probe_timer(struct device *device, struct guest_time now, unsigned timer)
{
	take(device, now, TIMER, timer, 0, 0);
}

static inline void probe_bottom_half(struct device *device, struct guest_time now,
	unsigned bottom_half)
{
	take(device, now, BOTTOM_HALF, bottom_half, 0, 0);
}

static inline void probe_receive(struct device *device, struct guest_time now, unsigned port,
	const uint8_t *bytes, size_t bytes_count)
{
	take(device, now, RECEIVE, port, bytes_count, bytes[bytes_count - 1]);
}

static inline void probe_complete(struct device *device, struct guest_time now, unsigned port,
	uint64_t request, enum status status)
{
	take(device, now, COMPLETE, port, status, request);
}

static inline void probe_input(struct device *device, struct guest_time now,
	const struct device_input *input)
{
	take(device, now, INPUT, input->kind, input->code, (uint16_t)input->x);
}

static inline bool probe_takes_input(const struct device *device, enum device_input_kind kind)
{
	return (((const struct probe *)(const void *)device)->inputs & BIT(kind)) != 0;
}

static const struct device_model model = {
	.name = "probe", .instance_bytes = sizeof(struct probe), .timers = 2, .bottom_halves = 2,
	.inputs = PINS, .outputs = PINS, .read = probe_read, .write = probe_write,
	.line = probe_line, .timer = probe_timer, .bottom_half = probe_bottom_half,
	.receive = probe_receive, .complete = probe_complete, .input = probe_input,
	.takes_input = probe_takes_input,
};

// Messages have no device any more when they are routed: they are noted as A's.
void interrupt_route(struct vm *of, const struct vm_vcpu *sender,
	const struct interrupt_message *message, struct guest_time now)
{
	assert_ptr_equal(of, vm);
	assert_null(sender);
	(void)write_down(probe(A), now, MESSAGE, message->vector, message->destination, 0);
}

static unsigned kicks;

void cpu_kick(struct cpu *cpu)
{
	(void)cpu;
	kicks++;
}

static unsigned changes; // of the event queue, as told to the machine
static bool lint0;       // what the local APIC saw last

void vm_events_changed(struct vm *of)
{
	assert_ptr_equal(of, vm);
	changes++;
}

static unsigned warnings; // in the log

void log_write(enum log_level level, const char *format, ...)
{
	assert_true(level == LOG_WARN || level == LOG_INFO);
	assert_non_null(format);
	warnings += level == LOG_WARN;
}

void vm_request(struct vm *of, unsigned request, uint32_t argument)
{
	of->requests |= (uint32_t)BIT(request);
	of->request_argument = argument;
}

void vm_vcpu_signal(struct vm_vcpu *to, uint32_t signals)
{
	to->signals |= signals;
}

void local_apic_lint0(struct vm_vcpu *to, bool level, struct guest_time now)
{
	assert_ptr_equal(to, &vcpu);
	assert_int_equal(now.ns, NOW);
	lint0 = level;
}

struct guest_time vm_now(const struct vm *of)
{
	(void)of;
	return (struct guest_time){NOW + 1};
}

static inline int bench_setup(void **state)
{
	static struct cpu cpu;

	(void)state;
	cpu.self = &cpu;
	syscall(SYS_arch_prctl, ARCH_SET_GS, &cpu);
	vm = calloc(1, sizeof(*vm));
	block = calloc(1, LARGE_PAGE_BYTES);
	memset(&vcpu, 0, sizeof(vcpu));
	memset(probes, 0, sizeof(probes));
	memset(wires, 0, sizeof(wires));
	count = 0;
	blocks[0] = block;
	vm->ram = (struct guest_ram){.blocks = blocks, .written = written, .block_count = 1,
		.low_bytes = LARGE_PAGE_BYTES};
	vm->vcpus[0] = &vcpu;
	vm->vcpu_count = 1;
	changes = warnings = 0;
	lint0 = false;
	vm->device_count = PROBES;
	vm->devices = devices;
	event_queue_init(&vm->queue, vm, bus_deliver);
	for (uint16_t i = 0; i < PROBES; i++) {
		probes[i].device = (struct device){.model = &model, .env = &vm_env,
			.owner = &vm->devices[i], .id = i};
		vm->devices[i] = (struct vm_device){.vm = vm, .device = probe(i),
			.wires = wires[i]};
		for (uint16_t n = 0; n < VM_DEVICE_TIMERS_MAX; n++)
			event_timer_init(&vm->devices[i].timers[n], i, n);
	}
	return 0;
}

static inline int bench_teardown(void **state)
{
	(void)state;
	free(vm);
	free(block);
	return 0;
}

static inline void connect(unsigned from, unsigned output, unsigned sink, unsigned to,
	unsigned input)
{
	wires[from][output].sinks[sink] = (struct wire_sink){.device = probe(to),
		.kind = WIRE_DEVICE, .input = (uint8_t)input};
}

static inline void map(unsigned which, unsigned region, enum device_space space, uint64_t base,
	uint64_t bytes, unsigned max_bytes)
{
	bus_map(&vm->bus, probe(which), region, space, base, bytes, max_bytes);
}

static inline uint64_t port_read(uint16_t port, unsigned bytes)
{
	return bus_port_read(vm, port, bytes, (struct guest_time){NOW});
}

static inline void port_write(uint16_t port, unsigned bytes, uint64_t value)
{
	bus_port_write(vm, port, bytes, value, (struct guest_time){NOW});
}

static inline uint64_t mmio_read(uint64_t at, unsigned bytes)
{
	return bus_mmio_read(vm, (struct gpa){at}, bytes, (struct guest_time){NOW});
}

static inline void mmio_write(uint64_t at, unsigned bytes, uint64_t value)
{
	bus_mmio_write(vm, (struct gpa){at}, bytes, value, (struct guest_time){NOW});
}

static inline void deliver(void)
{
	bus_enter(&vm->bus);
	event_queue_deliver(&vm->queue, (struct guest_time){NOW});
	bus_leave(vm, (struct guest_time){NOW});
}

static inline void expect(unsigned at, unsigned device, enum stimulus kind, uint64_t number,
	uint64_t detail, uint64_t value)
{
	assert_true(at < count);
	assert_int_equal(notes[at].device, device);
	assert_int_equal(notes[at].kind, kind);
	assert_int_equal(notes[at].number, number);
	assert_int_equal(notes[at].detail, detail);
	assert_int_equal(notes[at].value, value);
	assert_int_equal(notes[at].now, NOW);
}

static inline void expect_write(unsigned at, unsigned device, unsigned region, uint64_t offset,
	unsigned size, uint64_t value)
{
	expect(at, device, WRITE, (uint64_t)region << 32 | size, offset, value);
}

// Lets probe A do something: its handler runs `act` at a write.
static inline void poke(void (*act)(struct device *device, const struct note *note))
{
	probes[A].act = act;
	map(A, 7, DEVICE_SPACE_PORT, 0xff00, 1, 1);
	port_write(0xff00, 1, 0);
	probes[A].act = NULL;
	assert_null(vm->bus.owner);
	assert_int_equal(vm->bus.effect_count, 0);
}

#endif
