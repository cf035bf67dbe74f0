// SPDX-License-Identifier: BSD-2-Clause
// A virtual machine: what the files of vm/ share, and what other folders may do with one.
//
//   machine.c    the machines that the configuration describes
//   vm.c         creation, start, stop, requests and resets
//   begin.c      where the guest begins
//   memory.c     guest RAM and what it is mapped to
//   hold.c       whether the vcpus run, and time with them
//   vcpu.c       virtual CPUs: their cores, resting and running, INIT and STARTUP
//   run.c        the run loop of a vcpu: attend, inject, enter, handle
//   exit.c       exits by kind; exit_io.c, exit_memory.c, exit_msr.c
//   bus.c        regions, stimuli, the device lock; env.c the devices' effects
//   local_apic.c a vcpu's local APIC: its effects, and what comes from other cores
//   interrupt.c  the interrupt message bus
//   pc.c         the board: devices, their places and wires
//
// State:  CREATED --vm_start--> RUNNING <--vm_stop, vm_continue--> PAUSED
//         RUNNING --power off, debug exit, failed entry--> ENDED --vm_reset_request--> RUNNING
//
// Cores. Each vcpu belongs to a core for life and runs in that core's event loop. The core of vcpu
// 0 is the machine's home: the event queue is delivered there, and whatever starts, stops or resets
// the machine happens there, while all vcpus rest. A local APIC belongs to its vcpu's core. All
// other devices, the bus and the event queue belong to whoever holds the device lock.
//
// Resting: `run` false makes every vcpu leave its guest and be unloaded; the last one wakes the
// home. vcpu->resting and vm->run are a store and a load on each side, with a full barrier between:
// either the vcpu sees that it may not run, or the home sees that it does.
#ifndef VM_VM_H
#define VM_VM_H

#include "emul/device.h"
#include "kernel/clock.h"
#include "kernel/decode.h"
#include "kernel/event.h"
#include "kernel/loop.h"
#include "vm/backend.h"
#include "vm/bus.h"
#include "vm/device_memory.h"
#include "vm/flash.h"
#include "vm/guest_ram.h"
#include "vm/medium.h"
#include "vm/mtrr.h"
#include "vm/outside.h"
#include "vm/packet.h"
#include "vm/paging.h"
#include "vm/random_seed.h"
#include "vm/vm_config.h"
#include "vmx/cpuid_frozen.h"
#include "vmx/vcpu.h"

enum vm_state { VM_CREATED, VM_RUNNING, VM_PAUSED, VM_ENDED };

// Why a machine ended.
enum vm_end { VM_END_NONE, VM_END_POWER_OFF, VM_END_DEBUG_EXIT, VM_END_FAILED };

struct vm_device {
	struct vm *vm;
	struct device *device;
	struct event_timer timers[VM_DEVICE_TIMERS_MAX];
	uint32_t bottom_halves; // queued and not yet run, a bit each
	struct wire *wires;     // one an output
	struct backend *backend; // the first of its ports'; NULL: none
	uint8_t disk; // (c) the disk that it is, counted from 1; 0: none
	struct nic *nic;         // (c) NULL: none
	struct packet_sent sent; // of one with a nic
	uint64_t memory_offset;  // (c) of its own memory in vm->device_memory
	uint8_t function; // (c) of PCI bus 0: device << 3 | function; of a PCI function alone
	bool shares_lines; // (c) an output leads to an input that another one leads to as well
	const struct wire *power; // (c) of its slot (vm/slot.h); NULL: it is there always
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

// What a vcpu's core shall look at before the next entry.
enum vm_signal {
	VM_SIGNAL_EVENTS = 1 << 0,  // of the home: events, requests or an earlier deadline
	VM_SIGNAL_MAIL = 1 << 1,    // interrupts in the mailbox
	VM_SIGNAL_NMI = 1 << 2,
	VM_SIGNAL_INIT = 1 << 3,
	VM_SIGNAL_STARTUP = 1 << 4, // the local APIC has the vector
	VM_SIGNAL_REST = 1 << 5,    // see vm->run
	VM_SIGNAL_TEST = 1 << 6,    // always set where vm->save_load_test is not NULL
};

// Interrupts from other cores on their way to a local APIC: bits by vector, and messages of other
// kinds. (a) Set by anyone with an atomic OR (release) before VM_SIGNAL_MAIL, emptied by the
// vcpu's core with an exchange (acquire).
struct vm_mailbox {
	uint64_t edge[4], level[4];
	uint32_t others;   // BIT(enum interrupt_delivery)
	uint32_t startup;  // vector of the last STARTUP
	uint32_t lint0;    // VM_LINT0_CHANGED, and the wire's level now
};
enum { VM_LINT0_HIGH = 1, VM_LINT0_CHANGED = 2 };

enum { LOCAL_APIC_MESSAGES_MAX = 4 };

// A virtual CPU. Owner: its core (v), but for what is marked.
struct vm_vcpu {
	struct loop_task task; // first: loop_task.run finds the vcpu
	struct vm *vm;         // (c)
	struct vcpu *vcpu;     // (c)
	struct device *lapic;  // (c)
	struct cpu *core;      // (c) where it runs
	uint32_t index;        // (c) also its APIC id
	// (a) BIT(enum vm_signal). Set with release after what it speaks of, taken with acquire.
	uint32_t signals;
	// The local APIC's word as of which there is nothing to inject; never equal while there may
	// be, or while the vcpu is halted.
	uint64_t quiet;
	// The same of a vcpu that waits, while others of the machine run on its core: turns.c.
	uint64_t idle;
	struct timer timer; // the host timer for the nearest deadline
	struct guest_time lapic_deadline;
	bool halted;
	bool waits_for_startup;
	bool nmi_pending;
	bool resting; // (a) not loaded, and nobody runs it
	bool in_run;  // its core is in vm_vcpu_run
	uint8_t tpr; // CR8 as the engine has it
	bool tpr_intercepted;
	bool pause_intercepted; // several vcpus share the core
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
	uint64_t lapic_page;    // guest-physical, or LAPIC_PAGE_NONE
	uint32_t message_count; // that the local APIC has sent and nobody has carried out
	struct interrupt_message messages[LOCAL_APIC_MESSAGES_MAX];
	struct vm_mailbox mailbox; // (a)
	struct vm_exit_count exit_counts[VMEXIT_KIND_COUNT];
	uint64_t exit_total;
	uint64_t tested_total; // exit_total when the machine was last saved and loaded by a test
	uint64_t tested_rip;
	uint64_t test_distance; // exits from then to the next time
	struct vm_last_exit last_exits[VM_LAST_EXITS]; // a ring, by exit_total
	struct paging paging;
	struct decode_cache decode;
	struct mtrr mtrr;
	struct cpuid_profile cpuid;
};
#define LAPIC_PAGE_NONE UINT64_MAX
#define VM_QUIET_NEVER  UINT64_MAX

// What vm/twin.c exchanges when a machine is loaded: vcpus, devices, queue, bus and memory. Whoever
// keeps a pointer to one of these across vm_hold must look again.
struct vm {
	char name[VM_NAME_MAX];
	struct vm_config config; // (c)
	struct cpuid_frozen cpu; // (c) what its CPU is: for the header of a log
	uint64_t tsc_hz;     // (c) of the guest's TSC
	uint64_t tsc_ratio;  // (c) guest's ticks for one of the host's: vcpu_tsc_scale
	uint64_t tsc_base;   // host TSC - tsc_base: ticks of the machine's time while running
	uint64_t paused_tsc; // what it is while not
	bool run;            // (a) vcpus may run: the machine is running and nothing holds it
	bool time_stands;    // paused_tsc counts
	uint8_t state;       // enum vm_state; the home's to change
	uint8_t end;         // enum vm_end
	uint32_t end_status; // of isa-debug-exit
	uint32_t ends;       // how often it has come to one
	uint32_t holds;      // vm_hold without vm_release
	uint32_t requests;   // (a) BIT(enum device_request) or VM_REQUEST_FAILED
	uint32_t request_argument; // of DEVICE_REQUEST_EXIT, under the device lock
	uint32_t panic_argument;   // of DEVICE_REQUEST_PANICKED
	uint32_t vcpu_count;
	struct vm_vcpu *vcpus[VM_VCPUS_MAX];
	struct event_queue queue; // under the device lock
	struct bus bus;
	struct guest_ram ram;
	struct nested_map *nested;
	struct firmware_info *firmware; // (c) NULL: none
	struct device_memory device_memory;      // of `display` and VM_FLASH_VARS
	struct flash *flash;                     // (c) what keeps the latter; NULL: there is none
	struct medium media[VM_DISKS_MAX];       // by disk
	struct disk_backend *disks[VM_DISKS_MAX];  // (c)
	struct dataplane *planes[VM_DISKS_MAX];  // (c) by disk; NULL: none
	bool has_planes; // (c) any
	struct nic *nics[VM_NICS_MAX];           // (c)
	struct frame_ring *packets; // of the events in `queue`; NULL: it has no nics
	struct backend_counts requests_out; // (a)
	uint64_t with_backend; // (c) devices that have a back end, a bit each
	struct device *pic, *ioapic, *rtc, *acpi_pm, *isa, *pci_host;
	struct device *ide, *ahci; // NULL: none
	struct device *hotplug; // emul/pci_hotplug.h
	struct device *input; // which typed characters go to, at VM_INPUT_PORT
	struct device *display; // NULL: none
	struct device *flashes[VM_FLASHES]; // VM_FLASH_CODE, VM_FLASH_VARS; NULL: none
	uint32_t device_count;
	struct vm_device *devices; // VM_DEVICES_MAX of them
	// TSC ticks of the host in which its home was not asleep: so far, when it was started;
	// from there on, when it has ended.
	uint64_t home_worked;
	uint64_t delivered; // TSC ticks that events took: of its home
	uint32_t resets;
	uint32_t panics; // reports through pvpanic
	uint32_t reports; // lines that devices had to say about the guest, VM_REPORTS_MAX at most
	bool receive_pending; // characters wait in the queue, and their room is spoken for
	struct save_load_test *save_load_test; // (c) NULL: not wanted
	struct landing *landing; // NULL: its position is not kept
	struct outside outside;
};

// Requests of the machine's own.
enum {
	VM_REQUEST_MAP = 30,    // what addresses shall lead to has changed: memory_map_update
	VM_REQUEST_FAILED = 31, // an entry failed
};

// On failure `error` (never empty) says what and why. The machine does not run yet.
enum { VM_ERROR_MAX = 320 };
must_check enum status vm_create(const struct vm_config *config, struct vm **vm,
	char error[VM_ERROR_MAX]);
// Whatever its state, in a fiber if it may run. Everything it had is given back.
void vm_destroy(struct vm *vm);

// These are called by the boot CPU, in a fiber where they may have to wait: for the machine's home
// to carry them out, and for its vcpus to rest.
// Loads the kernel and runs. On failure the machine stays as it is.
must_check enum status vm_start(struct vm *vm, char error[VM_ERROR_MAX]);
void vm_stop(struct vm *vm);
void vm_continue(struct vm *vm);
// All vcpus rest, back ends have nothing to do, and time stands until as many releases came; the
// machine's state stays.
void vm_hold(struct vm *vm);
void vm_release(struct vm *vm);
// What the guest was told is kept, is, before everything ends.
void vm_settle(struct vm *vm);
// The state of a vcpu, running or not.
void vm_vcpu_state(struct vm_vcpu *vcpu, struct vcpu_state *state);
// Its next entry fails: vcpu_spoil.
void vm_vcpu_spoil(struct vm_vcpu *vcpu);
// As the reset and power buttons.
must_check enum status vm_reset_request(struct vm *vm);
must_check enum status vm_power_button(struct vm *vm);
must_check enum status vm_nmi(struct vm *vm, uint32_t vcpu);
// Beside DEVICE_REQUEST_RESET, each an EVENT_MACHINE.
enum {
	VM_EVENT_NMI = 32,     // value: the vcpu
	VM_EVENT_SETTING = 33, // vm/setting.h. payload: enum device_setting; value: of that
};
// Characters for the console device; returns how many were taken. What does not fit waits with the
// caller.
enum { VM_INPUT_PORT = 0 };
size_t vm_receive(struct vm *vm, const uint8_t *bytes, size_t count);

const char *vm_state_name(const struct vm *vm);
// Host memory that the machine takes beside the guest's own.
uint64_t vm_overhead_bytes(const struct vm *vm);
// The machine's memory in blocks of 2 MiB: RAM as in guest_ram.h, and behind it what a device has
// of its own.
static inline uint64_t vm_memory_blocks(const struct vm *vm)
{
	return vm->ram.block_count + vm->device_memory.block_count;
}

// NULL: there is none.
static inline uint8_t *vm_memory_block(const struct vm *vm, uint64_t block)
{
	return block < vm->ram.block_count ? vm->ram.blocks[block]
					   : vm->device_memory.blocks[block - vm->ram.block_count];
}

// Of such a block: whether it may have been written, by the guest or for
// it, since its creation, full of zeros, or the last call. The machine rests; a caller that has
// asked says so when it is done, before the guest runs on.
must_check bool vm_memory_take_written(struct vm *vm, uint64_t block);
void vm_memory_written_taken(struct vm *vm);

static always_inline struct guest_time vm_time(const struct vm *vm, uint64_t tsc)
{
	return (struct guest_time){clock_tsc_ns(tsc - vm->tsc_base)};
}

// What the host's TSC is to a vcpu whose TSC was never written.
static always_inline uint64_t vm_guest_tsc(const struct vm *vm, uint64_t tsc)
{
	if (likely(vm->tsc_ratio == VCPU_TSC_RATIO_ONE))
		return tsc - vm->tsc_base;
	return vcpu_tsc_scale(tsc, vm->tsc_ratio) - vcpu_tsc_scale(vm->tsc_base, vm->tsc_ratio);
}

// Of a machine that may be paused.
struct guest_time vm_now(const struct vm *vm);

// Between the files of vm/.

// The event queue has something new, or an earlier deadline. Under the device lock.
void vm_events_changed(struct vm *vm);
// Asks the machine for something (BIT(enum device_request)): carried out by its home.
void vm_request(struct vm *vm, unsigned request, uint32_t argument);
void vm_carry_out_requests(struct vm *vm); // at home, all vcpus rest
void vm_time_stop(struct vm *vm);          // the same, once nothing runs any more
void vm_time_stop_at(struct vm *vm, uint64_t tsc);
void vm_time_start(struct vm *vm);
void vm_run_update(struct vm *vm);         // at home: what `run` should be; starts time
void vm_wait_a_moment(void);               // in a fiber

static always_inline struct cpu *vm_home(const struct vm *vm)
{
	return vm->vcpus[0]->core;
}

// begin.c. After a reset of all devices, while all vcpus rest.
must_check enum status vm_begin(struct vm *vm, char error[VM_ERROR_MAX]);

must_check enum status memory_create(struct vm *vm); // memory.c
void memory_destroy(struct vm *vm);
// Makes of 0xc0000 to 0xfffff what the host bridge says, and has devices' memory where its region
// is. All vcpus rest.
void memory_map_update(struct vm *vm);
void memory_mark_written(struct vm *vm); // all of it

// vcpu.c
must_check enum status vcpus_create(struct vm *vm);
// The ratio that makes a TSC of `tsc_hz`, or of the host's frequency if 0; 0: not with this CPU.
must_check uint64_t vcpus_tsc_ratio(uint64_t tsc_hz);
void vcpus_destroy(struct vm *vm);
// To their cores, and away from them: while any core has one of them, it may look at all.
void vcpus_attach(struct vm *vm);
void vcpus_detach(struct vm *vm);  // all rest
bool vcpus_rest(const struct vm *vm);
bool vm_rests(const struct vm *vm); // and so do its data planes
void vm_vcpu_reset(struct vm_vcpu *vcpu); // power-on state; rests
void vm_vcpu_forget_memory(struct vm_vcpu *vcpu); // what is mapped has changed; rests
// Makes the vcpu's core look. From anywhere.
void vm_vcpu_signal(struct vm_vcpu *vcpu, uint32_t signals);
// After an earlier deadline was armed. The vcpu's core.
void vm_vcpu_timer_update(struct vm_vcpu *vcpu);
bool vm_vcpu_rest(struct vm_vcpu *vcpu);   // instead of running; true: look again
bool vm_vcpu_wake(struct vm_vcpu *vcpu);   // false: it must not run after all
void vm_vcpu_init(struct vm_vcpu *vcpu, struct guest_time now);
void vm_vcpu_startup(struct vm_vcpu *vcpu);

bool vm_vcpu_run(struct loop_task *task); // run.c
bool vm_vcpu_run_precisely(struct loop_task *task); // of a machine with a `landing`

static always_inline bool vm_vcpu_is_here(const struct vm_vcpu *vcpu)
{
	return vcpu->core == cpu_self();
}

// Handles an exit that came at `tsc`; the machine's state says whether it goes on.
typedef void vm_exit_handler(struct vm_vcpu *vcpu, const struct vmexit *exit, uint64_t tsc);
extern vm_exit_handler *const vm_exit_handlers[VMEXIT_KIND_COUNT]; // none is NULL
vm_exit_handler vm_exit_io, vm_exit_memory, vm_exit_cr_write, vm_exit_msr_read, vm_exit_msr_write,
	vm_exit_task_switch;
vm_exit_handler vm_exit_step_repair, vm_exit_software_interrupt, vm_exit_dr_write, vm_exit_rdtsc;
// Before an entry that is to run one instruction: asks the engine for it, or executes the
// instruction in software where the engine could not stop behind it. False: that was done, and
// nothing is left to enter for.
must_check bool vm_step_request(struct vm_vcpu *vcpu, uint64_t tsc);
unsigned vm_exit_length_slow(struct vm_vcpu *vcpu, enum decode_known which);
void vm_inject_gp(struct vm_vcpu *vcpu);
void vm_inject_ud(struct vm_vcpu *vcpu);
// Brings vcpu->code and vcpu->paging up to the vcpu's registers.
void vm_paging_update(struct vm_vcpu *vcpu);
// The code bytes at RIP. False: an exception was injected.
must_check bool vm_fetch(struct vm_vcpu *vcpu, struct paging_code *code);
void vm_inject_page_fault(struct vm_vcpu *vcpu, const struct paging_fault *fault);
// `sender`: the vcpu whose local APIC sent it; NULL: a device did.
void interrupt_route(struct vm *vm, const struct vm_vcpu *sender,
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
