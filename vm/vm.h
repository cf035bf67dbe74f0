// SPDX-License-Identifier: BSD-2-Clause
// A virtual machine: what the files of vm/ share, and what other folders may do with one.
//
//   vm.c         creation, memory, time, requests and resets
//   run.c        the run loop: deliver, inject, enter, handle
//   exit.c       exits by kind; exit_io.c, exit_memory.c, exit_msr.c
//   bus.c        regions, stimuli, the device lock; env.c the devices' effects
//   interrupt.c  the interrupt message bus
//   pc.c         the board: devices, their places and wires
//
// State:  CREATED --vm_start--> RUNNING <--vm_stop, vm_continue--> PAUSED
//         RUNNING --power off, debug exit, failed entry--> ENDED --vm_reset_request--> RUNNING
#ifndef VM_VM_H
#define VM_VM_H

#include "emul/device.h"
#include "kernel/clock.h"
#include "kernel/decode.h"
#include "kernel/event.h"
#include "kernel/loop.h"
#include "vm/bus.h"
#include "vm/guest_ram.h"
#include "vm/mtrr.h"
#include "vm/paging.h"
#include "vmx/cpuid.h"
#include "vmx/vcpu.h"

enum {
	VM_NAME_MAX = 32,
	VM_DEVICES_MAX = 32,
	VM_DEVICE_TIMERS_MAX = 4,
	VM_LAST_EXITS = 16,
};

enum vm_state { VM_CREATED, VM_RUNNING, VM_PAUSED, VM_ENDED };

// Why a machine ended.
enum vm_end { VM_END_NONE, VM_END_POWER_OFF, VM_END_DEBUG_EXIT, VM_END_FAILED };

// Pointers must stay valid as long as the machine: a reset loads the kernel again.
struct vm_config {
	const char *name;
	uint64_t memory_bytes; // multiple of 2 MiB
	const uint8_t *kernel;
	uint64_t kernel_bytes;
	const uint8_t *initrd; // NULL: none
	uint64_t initrd_bytes;
	const char *cmdline;
	bool x2apic;
	bool debugcon;   // a debug console at port 0xe9
	bool debug_exit; // isa-debug-exit at port 0x501
	uint64_t rtc_epoch; // seconds since 1970 at creation
	// Characters of the guest's serial port and debug console. Never blocks.
	void (*output)(void *owner, const uint8_t *bytes, size_t count);
	// The machine ended. May be NULL.
	void (*ended)(void *owner);
	void *owner;
};

struct vm_device {
	struct vm *vm;
	struct device *device;
	struct event_timer timers[VM_DEVICE_TIMERS_MAX];
	uint32_t bottom_halves; // queued and not yet run, a bit each
	struct wire *wires;     // one an output
};

// What `info exits` shows: how often, and what handling cost from exit to next entry.
struct vm_exit_count {
	uint64_t count;
	uint64_t ticks; // TSC
};

struct vm_last_exit {
	uint64_t rip;
	uint64_t kind; // enum vmexit_kind
};

struct vm_fault {
	bool pending;
	bool has_error_code, is_page_fault;
	uint8_t vector;
	uint32_t error_code;
	uint64_t cr2;
};

// A virtual CPU. Owner: its core (v).
struct vm_vcpu {
	struct vm *vm;
	struct vcpu *vcpu;
	struct device *lapic;
	bool halted;
	bool nmi_pending;
	uint8_t tpr; // CR8 as the engine has it
	bool tpr_intercepted;
	struct vm_fault fault; // what an emulated access raised
	uint64_t unsupported_rip; // of the last instruction that the log complained about
	struct vcpu_code code; // as of the last vm_paging_update
	// The page of the last instruction whose length was looked for. Nobody wrote CR0, CR4 or
	// EFER since, or it is NULL.
	const struct paging_memo *code_memo;
	uint64_t tsc_shift;     // guest TSC minus TSC ticks in guest time
	uint64_t cr4_allowed;   // bits that its CPUID offers
	uint8_t physical_bits;  // MAXPHYADDR as its CPUID says
	bool gigabyte_pages;
	struct vm_exit_count exit_counts[VMEXIT_KIND_COUNT];
	uint64_t exit_total;
	struct vm_last_exit last_exits[VM_LAST_EXITS]; // a ring, by exit_total
	struct paging paging;
	struct decode_cache decode;
	struct mtrr mtrr;
	struct cpuid_profile cpuid;
};

struct vm {
	struct loop_task task; // first: loop_task.run finds the machine
	struct vm *next;       // of all machines
	char name[VM_NAME_MAX];
	struct vm_config config; // (c)
	enum vm_state state;
	enum vm_end end;
	uint32_t end_status; // of isa-debug-exit
	uint32_t requests;   // BIT(enum device_request), carried out by the run loop
	uint32_t request_argument;
	// Guest TSC = host TSC - tsc_base while running; paused_tsc is it while not.
	uint64_t tsc_base, paused_tsc;
	struct timer timer;             // the host timer for the event queue's next deadline
	struct guest_time timer_for;    // the deadline that `timer` is set for
	struct event_queue queue;
	struct bus bus;
	struct guest_ram ram;
	struct nested_map *nested;
	struct vm_vcpu *vcpu; // one, as yet
	struct device *pic, *ioapic, *rtc, *acpi_pm, *uart;
	uint32_t device_count;
	struct vm_device devices[VM_DEVICES_MAX];
	uint32_t resets;
	uint32_t panics; // reports through pvpanic
	bool receive_pending; // characters wait in the queue, and their room is spoken for
};

// On failure `error` (never empty) says what and why. The machine does not run yet.
enum { VM_ERROR_MAX = 320 };
must_check enum status vm_create(const struct vm_config *config, struct vm **vm,
	char error[VM_ERROR_MAX]);
void vm_destroy(struct vm *vm);

// Loads the kernel and runs. On failure the machine stays as it is.
must_check enum status vm_start(struct vm *vm, char error[VM_ERROR_MAX]);
void vm_stop(struct vm *vm);
void vm_continue(struct vm *vm);
// As the reset and power buttons.
must_check enum status vm_reset_request(struct vm *vm);
must_check enum status vm_power_button(struct vm *vm);
// Characters for the serial port; returns how many were taken. What does not fit waits with the
// caller.
size_t vm_receive(struct vm *vm, const uint8_t *bytes, size_t count);

const char *vm_state_name(const struct vm *vm);
// Registers the section of the crash report that lists machines and their last exits.
void vm_crash_section_init(void);
// Host memory that the machine takes beside the guest's own.
uint64_t vm_overhead_bytes(const struct vm *vm);

static always_inline struct guest_time vm_time(const struct vm *vm, uint64_t tsc)
{
	return (struct guest_time){clock_tsc_ns(tsc - vm->tsc_base)};
}

// Of a machine that may be paused.
struct guest_time vm_now(const struct vm *vm);

// Between the files of vm/.
bool vm_run(struct loop_task *task);
void vm_end(struct vm *vm, enum vm_end end, uint32_t status);
void vm_carry_out_requests(struct vm *vm);
// Handles an exit that came at `tsc`; the machine's state says whether it goes on.
typedef void vm_exit_handler(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc);
extern vm_exit_handler *const vm_exit_handlers[VMEXIT_KIND_COUNT]; // none is NULL
vm_exit_handler vm_exit_io, vm_exit_memory, vm_exit_cr_write, vm_exit_msr_read, vm_exit_msr_write;
unsigned vm_exit_length_slow(struct vm_vcpu *vcpu, enum decode_known which);
void vm_inject_gp(struct vm_vcpu *vcpu);
void vm_inject_ud(struct vm_vcpu *vcpu);
// Brings vcpu->code and vcpu->paging up to the vcpu's registers.
void vm_paging_update(struct vm_vcpu *vcpu);
// The code bytes at RIP. False: an exception was injected.
must_check bool vm_fetch(struct vm_vcpu *vcpu, struct paging_code *code);
void vm_inject_page_fault(struct vm_vcpu *vcpu, const struct paging_fault *fault);
void interrupt_route(struct vm *vm, const struct device *sender,
	const struct interrupt_message *message, struct guest_time now);

// The length of the instruction that exited: as the CPU told, or by its bytes. 0: an exception was
// injected instead. The CPU fetched those bytes just now, so where they are is all that counts.
static always_inline unsigned vm_exit_length(struct vm_vcpu *vcpu, const struct vmexit *exit,
	enum decode_known which)
{
	const struct paging_memo *memo = vcpu->code_memo;
	uint64_t offset = exit->linear_rip % PAGE_BYTES;
	unsigned length = exit->length;

	if (length != 0)
		return length;
	if (likely(memo != NULL && paging_memo_is_of(memo, exit->linear_rip) &&
		    memo->cr3 == exit->cr3 && paging_memo_holds(memo) &&
		    offset <= PAGE_BYTES - PAGING_CODE_BYTES))
		length = decode_length_known(memo->host + offset, PAGING_CODE_BYTES, which);
	return likely(length != 0) ? length : vm_exit_length_slow(vcpu, which);
}

#endif
