// SPDX-License-Identifier: BSD-2-Clause
// What the engines and the vendor-neutral half of a vcpu share. Only for vmx/.
#ifndef VMX_ENGINE_H
#define VMX_ENGINE_H

#include "kernel/x86.h"
#include "vmx/vcpu.h"

enum { VCPU_CORES_MAX = 64, VCPU_NOT_LOADED = UINT32_MAX };

// Each engine's own struct begins with it.
struct vcpu {
	uint64_t gpr[GPR_COUNT]; // first: vcpu_gpr()
	void *host; // of the engine's, for the core that has it loaded; known to *_run.S
	// DR7 may have a breakpoint enabled: its writes do not exit. Not 0: known to breakpoint.h.
	uint64_t breakpoints_possible;
	struct nested_map *map;
	uint32_t core; // that has it loaded, or VCPU_NOT_LOADED
	// What the CPU's registers hold while it is loaded, and these while it is not.
	uint64_t dr[4], xcr0, tsc_aux;
	void *fpu; // XSAVE area
	struct cpuid_offer offer; // (c) what this guest's CPU has
	unsigned breakpoint_hits; // of the instruction that is being executed: bits of DR6
	uint64_t tsc_at_entry; // vcpu_set_tsc_at_entry
};
_Static_assert(offsetof(struct vcpu, host) == 16 * 8, "*_run.S");
_Static_assert(offsetof(struct vcpu, breakpoints_possible) == 17 * 8, "breakpoint.h");

// Detection. STATUS_UNSUPPORTED: not this engine's CPU, or not usable; `reason` says which bit.
must_check enum status svm_detect(const char **reason);
must_check enum status vmx_detect(const char **reason);
extern const struct vcpu_engine svm_engine, vmx_engine;

// Nested page tables as the engine's CPU reads them: which bits an entry has.
struct nested_format {
	uint64_t present; // any of them: the entry leads somewhere
	uint64_t table;   // of an entry that leads to a table
	uint64_t page, write; // of one that leads to memory; and where writes are allowed
	uint64_t large;   // of one for 2 MiB
	uint64_t dirty;   // set by the CPU where it writes; 0: it does not tell
};
extern const struct nested_format nested_format_npt, nested_format_ept, nested_format_ept_silent;
// Chosen by detection, before the first map.
void nested_format_set(const struct nested_format *format);
uint64_t nested_map_root(const struct nested_map *map);
// Where a guest-physical address leads, up to the end of its page; NULL: nowhere.
void *nested_map_pointer(const struct nested_map *map, struct gpa gpa);

// For an engine's create and destroy: the parts that are here. STATUS_NO_MEMORY.
must_check enum status vcpu_common_create(struct vcpu *vcpu, struct nested_map *map,
	const struct cpuid_offer *offer);
void vcpu_common_destroy(struct vcpu *vcpu);
// For get_state and set_state: general and debug registers, XCR0, TSC_AUX.
void vcpu_common_get_state(const struct vcpu *vcpu, struct vcpu_state *state);
void vcpu_common_set_state(struct vcpu *vcpu, const struct vcpu_state *state);

// STATUS_FAULT: #GP, as the SDM and the APM have it for RDMSR and WRMSR of TSC_AUX.
must_check enum status vcpu_read_tsc_aux(const struct vcpu *vcpu, uint64_t *value);
must_check enum status vcpu_write_tsc_aux(struct vcpu *vcpu, uint64_t value);

// What becomes of an exception during the delivery of another. SDM vol. 3, table 6-5.
enum fault_pair { FAULTS_SERIAL, FAULTS_DOUBLE, FAULTS_TRIPLE };
enum fault_pair vcpu_fault_pair(uint8_t first, uint8_t second);

// Writes to control registers and EFER that a CPU would refuse: false. `code_64`: CS.L.
bool vcpu_cr0_is_allowed(const struct vcpu_paging *now, bool code_64, uint64_t value);
bool vcpu_cr4_is_allowed(const struct vcpu_paging *now, uint64_t value, uint64_t allowed);
// `offered`: the bits that the guest's CPUID has.
bool vcpu_efer_is_allowed(const struct vcpu_paging *now, uint64_t offered, uint64_t value);
// Bits of CR0 that exist; ET is always set.
#define VCPU_CR0_WRITABLE (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | \
	CR0_NW | CR0_CD | CR0_PG)
// Bits whose change ends the validity of cached translations.
#define VCPU_CR0_FLUSHING (CR0_PG | CR0_WP | CR0_PE)
#define VCPU_CR4_FLUSHING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57 | CR4_PCIDE | CR4_SMEP | CR4_SMAP)

static always_inline bool vcpu_is_loaded(const struct vcpu *vcpu)
{
	return vcpu->core != VCPU_NOT_LOADED;
}

#endif
