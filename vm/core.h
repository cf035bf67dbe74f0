// SPDX-License-Identifier: BSD-2-Clause
// Cores and the vcpus on them: placement, and time slices where several share a core.
#ifndef VM_CORE_H
#define VM_CORE_H

#include "kernel/timer.h"
#include "vm/vm.h"

// A core's own part. Owner: that core; `vcpus` is the boot CPU's.
struct core {
	struct timer slice; // while one of several vcpus runs
	uint32_t vcpus;     // that belong to it
	bool usable;        // (c) the engine runs there
	bool reserved;      // (c) for data planes: it has no vcpus
};
extern struct core cores[CPU_MAX];

// Finds the engine and enables it on all CPUs, once, on the boot CPU. STATUS_UNSUPPORTED,
// STATUS_NO_MEMORY: there is none here; `reason` says why. Other CPUs without it are reported in
// the log and get no vcpus.
must_check enum status cores_init(const char **reason);

// Gives a vcpu to a core for life: `pin` is usable, or VM_PIN_ANY. By the boot CPU.
void core_attach(struct vm_vcpu *vcpu, uint8_t pin);
void core_detach(struct vm_vcpu *vcpu);

// The longest that a vcpu runs while others wait for its core.
enum { CORE_SLICE_NS = 1000000 };

// Before a vcpu runs on a core that has several. What asked for attention before it is not lost:
// true, the event loop shall come round again. Without this the slice of the vcpu before would end
// this one's as well.
bool core_slice_begin(struct core *core, uint64_t tsc);
// An idle core has no use for its end.
void core_slice_end(struct core *core);

#endif
