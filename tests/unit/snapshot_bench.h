// SPDX-License-Identifier: BSD-2-Clause
// A machine that can be saved and loaded: real devices, board, bus, queue; a fake CPU and core.
#ifndef TESTS_UNIT_SNAPSHOT_BENCH_H
#define TESTS_UNIT_SNAPSHOT_BENCH_H

#include <asm/prctl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emul/uart16550.h"
#include "emul/vga.h"
#include "kernel/console.h"
#include "kernel/crc32c.h"
#include "kernel/fiber.h"
#include "kernel/mem.h"
#include "kernel/smp.h"
#include "kernel/x86.h"
#include "tests/unit/fake_env.h"
#include "tests/unit/fake_absent.h"
#include "vm/landing.h"
#include "vm/local_apic.h"
#include "vm/pc.h"
#include "tests/unit/snapshot_flash.h"
#include "tests/unit/snapshot_nics.h"
#include "vm/disk_backend.h"
#include "vm/save_load_test.h"
#include "vm/snapshot.h"
#include "vm/twin.h"
#include "vmx/vcpu_check.h"

enum { BENCH_VCPUS = 2, BENCH_FPU_BYTES = 832, BENCH_FREE_BLOCKS = 100 };

// In the order of the image's section.
__asm__(".section .data.models, \"aw\"\n"
	".balign 8\n"
	".globl device_models_start, device_models_end\n"
	"device_models_start: .quad i8259_model, ioapic_model, i8254_model, port61_model,"
	" mc146818_model, acpi_pm_model, pci_hotplug_model, pci_host_model, piix3_model,"
	" reset_control_model, vga_model, i8042_model, uart16550_model, pvpanic_model,"
	" debugcon_model, debug_exit_model, test_disk_model\n"
	"device_models_end:\n"
	".previous\n");

struct fake_vcpu {
	struct vcpu_state state;
	uint8_t fpu[BENCH_FPU_BYTES];
};

static struct vm *vm;
static struct cpu bench_cpu;
static unsigned vcpus_attached;
static unsigned large_blocks, large_blocks_max = UINT32_MAX; // lent, and how many there are
uint64_t clock_tsc_to_ns = BIT(CLOCK_TSC_SHIFT);
struct vcpu_engine vcpu_engine;
struct core;

const struct clock_calibration *clock_calibration(void)
{
	static const struct clock_calibration calibration = {"test", 1000000000, 1000000000};

	return &calibration;
}

void *mem_large_alloc(void)
{
	if (large_blocks >= large_blocks_max)
		return NULL;
	large_blocks++;
	return malloc(LARGE_PAGE_BYTES);
}

void mem_large_free(void *block)
{
	large_blocks--;
	free(block);
}

struct mem_counts mem_count(void)
{
	return (struct mem_counts){.free_blocks = BENCH_FREE_BLOCKS};
}

struct fiber *fiber_self(void)
{
	return NULL;
}

void fiber_yield(void)
{
}

void smp_call(struct cpu *cpu, void (*run)(void *argument), void *argument)
{
	assert_ptr_equal(cpu, &bench_cpu);
	run(argument);
}

void cpu_kick(struct cpu *cpu)
{
	(void)cpu;
}

void log_write(enum log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
}

// The engine.

static struct fake_vcpu *fake_of(const struct vcpu *vcpu)
{
	return (struct fake_vcpu *)(uintptr_t)vcpu;
}

void vcpu_load_slow(struct vcpu *vcpu)
{
	bench_cpu.guest = vcpu;
}

void vcpu_unload(struct vcpu *vcpu)
{
	assert_ptr_equal(bench_cpu.guest, vcpu);
	bench_cpu.guest = NULL;
}

static void fake_get_state(const struct vcpu *vcpu, struct vcpu_state *state)
{
	assert_ptr_equal(bench_cpu.guest, vcpu);
	*state = fake_of(vcpu)->state;
}

static enum status fake_set_state(struct vcpu *vcpu, const struct vcpu_state *state)
{
	assert_ptr_equal(bench_cpu.guest, vcpu);
	fake_of(vcpu)->state = *state;
	return STATUS_OK;
}

void *vcpu_fpu(struct vcpu *vcpu, size_t *bytes)
{
	*bytes = BENCH_FPU_BYTES;
	return fake_of(vcpu)->fpu;
}

uint32_t vcpu_mxcsr_mask(void)
{
	return 0xffff;
}

struct cpuid_offer cpuid_profile_offer(const struct cpuid_profile *profile)
{
	(void)profile;
	return (struct cpuid_offer){.efer = EFER_SCE | EFER_LME | EFER_NXE, .xcr0 = 7};
}

// What lies beside.

void vm_vcpu_signal(struct vm_vcpu *vcpu, uint32_t signals)
{
	vcpu->signals |= signals;
}

bool outside_is_bound(const struct vm *of) { return of->outside.recorder != NULL; }

void vm_vcpu_timer_update(struct vm_vcpu *vcpu)
{
	(void)vcpu;
}

void interrupt_route(struct vm *of, const struct vm_vcpu *sender,
	const struct interrupt_message *message, struct guest_time now)
{
	(void)of;
	(void)sender;
	(void)message;
	(void)now;
}

// What devices have asked back ends for, and nobody has answered.
static struct backend_request *asked[DEVICE_IO_MAX];
static unsigned asked_count;

void disk_backend_submit(void *disk, struct backend_request *request)
{
	(void)disk;
	asked[asked_count++] = request;
}

void vm_events_changed(struct vm *of)
{
	(void)of;
}

void vm_request(struct vm *of, unsigned request, uint32_t argument)
{
	of->requests |= (uint32_t)BIT(request);
	of->request_argument = argument;
}

struct guest_time vm_now(const struct vm *of)
{
	return (struct guest_time){of->paused_tsc};
}

bool vcpus_rest(const struct vm *of)
{
	(void)of;
	return true;
}

void vm_hold(struct vm *of)
{
	of->holds++;
}

void vm_release(struct vm *of)
{
	of->holds--;
}

// A position is kept, and that is all.
struct landing {
	struct landing_time time;
};

enum status landing_create(struct vm *of)
{
	of->landing = calloc(1, sizeof(*of->landing));
	return STATUS_OK;
}

void landing_destroy(struct vm *of)
{
	free(of->landing);
}

struct landing_time landing_time(const struct vm *of)
{
	return of->landing->time;
}

void landing_set_time(struct vm *of, const struct landing_time *time)
{
	of->landing->time = *time;
}

const char *landing_rate_problem(const struct vm *of, uint64_t rate)
{
	assert_non_null(of->landing);
	return rate < 256 || rate > 4096 ? "too fast or too slow" : NULL;
}

void landing_take_over(struct vm *of, const struct vm *twin)
{
	assert_true(of->landing != NULL && twin->landing != NULL);
}

void landing_attach(struct vm *of) { (void)of; }

void landing_detach(struct vm *of)
{
	(void)of;
}

void landing_wake(const struct vm_vcpu *vcpu)
{
	(void)vcpu;
}

static struct tick_source source = {.scale = 1};
const struct tick_source *position_source = &source;

void vcpus_attach(struct vm *of)
{
	vcpus_attached += of->vcpu_count;
}

void vcpus_detach(struct vm *of)
{
	vcpus_attached -= of->vcpu_count;
}

enum status memory_create(struct vm *of)
{
	of->ram.block_count = of->config.memory_bytes / LARGE_PAGE_BYTES;
	of->ram.low_bytes = of->config.memory_bytes;
	of->ram.blocks = calloc(of->ram.block_count, sizeof(*of->ram.blocks));
	of->ram.written = calloc(of->ram.block_count, sizeof(*of->ram.written));
	for (uint32_t i = 0; i < of->config.disk_count; i++)
		if (medium_create(&of->media[i], of->config.disks[i].bytes, NULL, 0) != STATUS_OK)
			return STATUS_NO_MEMORY;
	for (uint64_t i = 0; i < of->ram.block_count; i++)
		of->ram.blocks[i] = calloc(1, LARGE_PAGE_BYTES);
	return of->config.display != VM_DISPLAY_NONE && device_memory_create(&of->device_memory,
		VGA_MEMORY_BYTES) != STATUS_OK ? STATUS_NO_MEMORY : bench_memory_more(of);
}

void memory_mark_written(struct vm *of) { memset(of->ram.written, 1, of->ram.block_count); }

void memory_map_update(struct vm *of) { (void)of; }

void memory_destroy(struct vm *of)
{
	for (uint64_t i = 0; i < of->ram.block_count; i++)
		free(of->ram.blocks[i]);
	free(of->ram.blocks);
	free(of->ram.written);
	device_memory_destroy(&of->device_memory);
	for (uint32_t i = 0; i < VM_DISKS_MAX; i++)
		medium_destroy(&of->media[i]);
}

static inline void vcpu_part_create(struct vm *of, uint32_t index)
{
	struct vm_vcpu *vcpu = calloc(1, sizeof(*vcpu));
	struct fake_vcpu *fake = calloc(1, sizeof(*fake));

	of->vcpus[index] = vcpu;
	vcpu->vm = of;
	vcpu->vcpu = (struct vcpu *)(void *)fake;
	vcpu->core = &bench_cpu;
	vcpu->index = index;
	vcpu->resting = true;
	vcpu->physical_bits = 40;
	vcpu->cr4_allowed = CR4_PAE | CR4_PSE | CR4_PGE | CR4_OSFXSR | CR4_PCIDE | CR4_OSXSAVE;
	vcpu->lapic = calloc(1, lapic_model.instance_bytes);
	*vcpu->lapic = (struct device){.model = &lapic_model, .env = &local_apic_env,
		.owner = vcpu, .id = (uint16_t)(VM_DEVICES_MAX + index)};
	vcpu->lapic_page = LAPIC_PAGE_NONE;
	vcpu->lapic_deadline = GUEST_TIME_NEVER;
	lapic_configure(vcpu->lapic, index, clock_calibration()->tsc_hz);
	mtrr_reset(&vcpu->mtrr, vcpu->physical_bits);
}

enum status vcpus_create(struct vm *of)
{
	of->vcpu_count = of->config.vcpus;
	of->tsc_hz = clock_calibration()->tsc_hz;
	of->tsc_ratio = VCPU_TSC_RATIO_ONE;
	for (uint32_t i = 0; i < of->vcpu_count; i++)
		vcpu_part_create(of, i);
	return STATUS_OK;
}

void vcpus_destroy(struct vm *of)
{
	for (uint32_t i = 0; i < of->vcpu_count; i++) {
		free(of->vcpus[i]->lapic);
		free(of->vcpus[i]->vcpu);
		free(of->vcpus[i]);
	}
}

static inline struct vcpu_state *state_of(struct vm *of, unsigned index)
{
	return &fake_of(of->vcpus[index]->vcpu)->state;
}

// In 64-bit code with interrupts on, as Linux runs.
static inline void registers_fill(struct vm *of, unsigned index)
{
	struct fake_vcpu *fake = fake_of(of->vcpus[index]->vcpu);
	struct vcpu_state *state = &fake->state;

	for (unsigned i = 0; i < GPR_COUNT; i++)
		state->gpr[i] = UINT64_C(0x1111111111111111) * i + index;
	state->rip = 0xffffffff81000000;
	state->rflags = RFLAGS_FIXED | RFLAGS_IF;
	state->cr0 = CR0_PE | CR0_PG | CR0_ET;
	state->cr2 = 0x1234;
	state->cr3 = 0x100000;
	state->cr4 = CR4_PAE;
	state->cr8 = 3;
	state->efer = EFER_LME | EFER_LMA | EFER_SCE;
	state->dr6 = 0xffff0ff0;
	state->dr7 = 0x400;
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		state->segment[i] = (struct vcpu_segment_state){(uint16_t)(8 * i), 0xc93,
			UINT32_MAX, 0};
	state->segment[SEGMENT_CS].attributes = 0xa9b;
	state->segment[SEGMENT_LDTR].attributes = 0x82;
	state->segment[SEGMENT_TR].attributes = 0x8b;
	state->segment[SEGMENT_GS].base = 0xffff888000000000;
	state->gdtr_limit = 0x7f;
	state->idtr_limit = 0xfff;
	state->lstar = 0xffffffff81000100;
	state->pat = 0x0007040600070406;
	state->xcr0 = 7;
	memset(fake->fpu, 0x5a, sizeof(fake->fpu));
	memset(fake->fpu + 24, 0, 8);
	memset(fake->fpu + 512, 0, 64);
	fake->fpu[24] = 0x80;
	fake->fpu[25] = 0x1f;
	fake->fpu[512] = 7;
}

static uint8_t bench_display; // enum vm_display
static inline int bench_setup(void **state)
{
	(void)state;
	bench_cpu.self = &bench_cpu;
	syscall(SYS_arch_prctl, ARCH_SET_GS, &bench_cpu);
	vcpu_engine = (struct vcpu_engine){.get_state = fake_get_state,
		.set_state = fake_set_state};
	large_blocks_max = UINT32_MAX;
	vm = calloc(1, sizeof(*vm));
	strcpy(vm->name, "bench");
	vm->config = (struct vm_config){.name = vm->name, .memory_bytes = 2 * LARGE_PAGE_BYTES,
		.vcpus = BENCH_VCPUS, .x2apic = true, .debugcon = 0xe9, .debug_exit = true,
		.display = bench_display, .disk_count = 1,
		.disks = {{.bytes = 64, .kind = VM_DISK_TEST}}};
	bench_flash_configure(&vm->config);
	vm->state = VM_RUNNING;
	vm->time_stands = true;
	vm->paused_tsc = 5000000;
	event_queue_init(&vm->queue, vm, bus_deliver);
	assert_int_equal(memory_create(vm), STATUS_OK);
	bench_nics_make(vm);
	assert_int_equal(vcpus_create(vm), STATUS_OK);
	assert_int_equal(pc_create(vm), STATUS_OK);
	pc_reset(vm, DEVICE_RESET_POWER);
	vcpus_attach(vm);
	for (unsigned i = 0; i < BENCH_VCPUS; i++) {
		registers_fill(vm, i);
		vm->vcpus[i]->signals = 0;
	}
	return 0;
}

static inline int bench_teardown(void **state)
{
	(void)state;
	twin_destroy(vm, true);
	assert_int_equal(large_blocks, 0);
	assert_int_equal(vcpus_attached, 0);
	return 0;
}

// A stream's bytes: blocks begin with a pointer to the next.
static inline uint8_t *bytes_of(const struct snapshot_stream *stream)
{
	assert_true(stream->bytes < MIB);
	return (uint8_t *)stream->first + sizeof(void *);
}

static inline enum status save(struct snapshot_stream *stream)
{
	struct snapshot_cost cost;
	enum status status;

	snapshot_stream_init(stream);
	vm->holds++;
	status = snapshot_write(vm, true, stream, &cost);
	vm->holds--;
	return status;
}

// Makes a changed stream's checksums right again, as far as its sections make sense.
static inline void checksums_mend(struct snapshot_stream *stream)
{
	uint8_t *bytes = bytes_of(stream);
	uint32_t crc = crc32c_update(0, bytes, 12);
	uint64_t at = 16, length;

	memcpy(bytes + 12, &crc, sizeof(crc));
	while (stream->bytes - at >= 40) {
		memcpy(&length, bytes + at + 24, sizeof(length));
		length += -length % 8;
		if (length > stream->bytes - at - 40)
			return;
		crc = crc32c_update(0, bytes + at, 32 + length);
		at += 32 + length;
		memcpy(bytes + at, &crc, sizeof(crc));
		memset(bytes + at + 4, 0, 4);
		at += 8;
	}
}

// The stream of each of these tests.
static struct snapshot_stream stream;

static inline int teardown(void **state)
{
	snapshot_stream_free(&stream);
	return bench_teardown(state);
}

static inline enum status load(void)
{
	struct snapshot_cost cost;

	return snapshot_load(vm, &stream, &cost);
}

#endif
