// SPDX-License-Identifier: BSD-2-Clause
// What a machine's CPU is: of one host's CPUID what guests are shown, and what else of a CPU shows
// in a guest's results. Taken when a machine is created; written to the header of a log, and then
// demanded of each host that is to replay it. What the configuration decides (APIC ids, how many
// vcpus, x2APIC, frequencies) is not part of it: cpuid_profile_build adds that.
//
// The list is hostile when it comes from a log: cpuid_frozen_import.
#ifndef VMX_CPUID_FROZEN_H
#define VMX_CPUID_FROZEN_H

#include "kernel/base/status.h"
#include "vmx/cpuid.h"

enum { CPUID_FROZEN_MAX = 32, CPUID_REASON_MAX = 160 };

// The entry that is no leaf of CPUID, and which no guest can ask for. EAX: width of physical
// addresses in bits 0 to 7, of linear ones in bits 8 to 15. EBX: bits of MXCSR that exist. ECX:
// what the x87 and segment registers do where the manuals leave it to the model, a bit each, as
// the table in cpuid_frozen.c has them. EDX: 0.
#define CPUID_FACTS 0x4fff0000u

// Components of XSAVE that a guest may be offered: x87, SSE, AVX.
#define CPUID_XCR0 7u

// Entries in the order of their leaves and subleaves, CPUID_FACTS among them.
struct cpuid_frozen {
	uint32_t count;
	struct cpuid_entry entries[CPUID_FROZEN_MAX];
};

// This CPU. `recordable`: without what nobody else could repeat (docs/replay_determinism.md).
void cpuid_frozen_take(bool recordable, struct cpuid_frozen *frozen);

// The same from a list, of a recordable machine. STATUS_INVALID: `reason` says which entry is not
// as any version of cpuid_frozen_take makes it.
must_check enum status cpuid_frozen_import(const struct cpuid_entry *entries, size_t count,
	struct cpuid_frozen *frozen, char reason[CPUID_REASON_MAX]);

// Whether this CPU can be that one. False: `reason` names the first difference, a feature as
// "CPUID 7.0 EBX bit 5 (avx2)". True: `reason` is empty, or tells that this is another model: what
// the manuals leave undefined, and the approximations of x87 and SSE, may then differ.
must_check bool cpuid_frozen_compatible(const struct cpuid_frozen *wanted,
	char reason[CPUID_REASON_MAX]);

// What a guest that sees all of this CPU is offered.
struct cpuid_offer cpuid_host_offer(void);

#endif
