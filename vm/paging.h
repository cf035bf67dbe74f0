// SPDX-License-Identifier: BSD-2-Clause
// The guest's own page tables: from guest-linear to guest-physical addresses (SDM 3A chapter 4).
//
// All modes: none, 32-bit with PSE and PSE-36, PAE, 4-level, 5-level; U/S, R/W, NX, WP, SMEP,
// SMAP, reserved bits, accessed and dirty flags. Left out: protection keys and shadow stacks
// (hide PKU, PKS and CET from guests), and PDPTE registers: PAE walks read PDPTEs from memory.
// Tables outside of RAM read as ones, as a bus does without a device. Linear addresses are taken
// as canonical: that check belongs to segmentation and raises #GP or #SS, not #PF.
#ifndef VM_PAGING_H
#define VM_PAGING_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"
#include "vm/guest_ram.h"

enum paging_mode { PAGING_NONE, PAGING_32, PAGING_PAE, PAGING_4_LEVEL, PAGING_5_LEVEL };

#define PAGING_ENTRY_PRESENT  BIT(0)
#define PAGING_ENTRY_WRITE    BIT(1)
#define PAGING_ENTRY_USER     BIT(2)
#define PAGING_ENTRY_ACCESSED BIT(5)
#define PAGING_ENTRY_DIRTY    BIT(6)
#define PAGING_ENTRY_LARGE    BIT(7)
#define PAGING_ENTRY_NX       BIT(63)
#define PAGING_ENTRY_ADDRESS  (BIT(52) - PAGE_BYTES) // before reserved bits are checked

// An access: the bits that a page fault reports in its error code (SDM 3A 4.7), and one more.
enum {
	PAGING_READ = 0,
	PAGING_WRITE = 1 << 1,
	PAGING_USER = 1 << 2, // CPL 3, and not implicit
	PAGING_FETCH = 1 << 4,
	PAGING_IMPLICIT = 1 << 8, // to a descriptor table or TSS: supervisor, and SMAP ignores AC
};

// Error code bits that are results only.
#define PAGING_FAULT_PRESENT  1u
#define PAGING_FAULT_RESERVED 8u

// A finished walk, kept with the entries that it read: it holds as long as each of them still has
// its value in guest memory, so it needs no flush (unlike a TLB, which the guest must tell).
struct paging_memo {
	uint64_t key; // page, access and RFLAGS.AC; PAGING_MEMO_EMPTY
	uint64_t cr3;
	const uint64_t *at[4];
	uint64_t entry[4]; // with accessed and dirty as the access needs them
	uint64_t page;     // guest-physical
	const uint8_t *host; // of that page; NULL: not memory (of data only)
};

enum { PAGING_MEMOS = 16, PAGING_MEMO_AC = 1 << 9 };
// No access has bit 0, and no canonical address is of this page. Both matter: a debugger may name
// any address.
#define PAGING_MEMO_EMPTY (BIT(63) | 1)

// The registers that steer a walk. Fill it with paging_set() when one of them changes; cr3 and
// rflags may be stored directly at any time (of rflags AC matters, to SMAP). Zero it before the
// first paging_set().
struct paging {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t rflags;
	uint64_t reserved; // physical-address bits that the guest's CPU does not have
	uint8_t mode;      // enum paging_mode
	uint8_t physical_bits;
	bool gigabyte_pages;
	struct paging_memo memos[PAGING_MEMOS]; // 4-level and PAE only
};

struct paging_fault {
	uint32_t error_code;
	uint64_t cr2;
};

// physical_bits and gigabyte_pages are what the guest's CPUID says (80000008 EAX, 80000001 EDX).
void paging_set(struct paging *paging, uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer,
	unsigned physical_bits, bool gigabyte_pages);

// Forgets finished walks. For whoever takes memory from the guest or gives it some.
void paging_forget(struct paging *paging);

must_check enum status paging_walk(struct paging *paging, struct guest_ram *ram, struct gva from,
	unsigned access, bool set_accessed_dirty, struct gpa *to, struct paging_fault *fault);

// The finished walk that answers for this page and access, or NULL.
// One half for instructions, one for data: code and the device it drives never push each other
// out, whatever their pages' numbers.
static always_inline unsigned paging_memo_index(uint64_t from, unsigned access)
{
	uint64_t page = from / PAGE_BYTES;

	return (unsigned)((page ^ page >> 4) % (PAGING_MEMOS / 2)) | (access & PAGING_FETCH) / 2;
}

// Is this memo one of the page that holds `from`, whoever may access it?
static always_inline bool paging_memo_is_of(const struct paging_memo *memo, uint64_t from)
{
	return (memo->key ^ from) < PAGE_BYTES;
}

// The memo of the instructions at `from`, or NULL.
static inline const struct paging_memo *paging_code_memo(const struct paging *paging,
	uint64_t from)
{
	const struct paging_memo *memo = &paging->memos[paging_memo_index(from, PAGING_FETCH)];

	return paging_memo_is_of(memo, from) && memo->host != NULL ? memo : NULL;
}

// Are all entries of the walk still what they were?
static always_inline bool paging_memo_holds(const struct paging_memo *memo)
{
	uint64_t changed;

	changed = __atomic_load_n(memo->at[0], __ATOMIC_RELAXED) ^ memo->entry[0];
	changed |= __atomic_load_n(memo->at[1], __ATOMIC_RELAXED) ^ memo->entry[1];
	changed |= __atomic_load_n(memo->at[2], __ATOMIC_RELAXED) ^ memo->entry[2];
	changed |= __atomic_load_n(memo->at[3], __ATOMIC_RELAXED) ^ memo->entry[3];
	return changed == 0;
}

static always_inline const struct paging_memo *paging_find(const struct paging *paging,
	uint64_t from, unsigned access)
{
	uint64_t ac = paging->rflags >> 9 & PAGING_MEMO_AC;
	uint64_t key = (from & ~(PAGE_BYTES - 1)) | access | ac;
	const struct paging_memo *memo =
		&paging->memos[paging_memo_index(from, access)];

	if (unlikely(memo->key != key || memo->cr3 != paging->cr3))
		return NULL;
	return likely(paging_memo_holds(memo)) ? memo : NULL;
}

// Translates one address. `access` is a sum of PAGING_*. STATUS_FAULT: a page fault, described in
// *fault. With set_accessed_dirty the flags are set as the CPU sets them, on success only; without
// it nothing is written (a debugger; a fetch that the guest has just done itself).
static always_inline must_check enum status paging_translate(struct paging *paging,
	struct guest_ram *ram, struct gva from, unsigned access, bool set_accessed_dirty,
	struct gpa *to, struct paging_fault *fault)
{
	const struct paging_memo *memo = paging_find(paging, from.v, access);

	if (likely(memo != NULL)) {
		to->v = memo->page + from.v % PAGE_BYTES;
		return STATUS_OK;
	}
	return paging_walk(paging, ram, from, access, set_accessed_dirty, to, fault);
}

// An access to `bytes` bytes that may cross into a second page: both pages are translated before
// either is touched, so a fault leaves nothing half done.
struct paging_range {
	unsigned parts; // 1 or 2
	struct gpa at[2];
	size_t bytes[2];
};

must_check enum status paging_translate_range(struct paging *paging, struct guest_ram *ram,
	struct gva from, size_t bytes, unsigned access, struct paging_range *to,
	struct paging_fault *fault);

enum { PAGING_CODE_BYTES = 16 };

// The bytes of an instruction: where they lie in host memory, or copied where it crosses a page.
struct paging_code {
	const uint8_t *bytes;
	size_t available;
	// Where `available` is under 16: why there is no more. If the instruction needs more, that
	// is the fault to inject; next_fault false: the next page is not memory.
	bool next_fault;
	struct paging_fault fault;
	uint8_t copy[PAGING_CODE_BYTES];
};

enum status paging_fetch_slow(struct paging *paging, struct guest_ram *ram, struct gva rip,
	unsigned access, struct paging_code *code);

// The bytes at rip, at least one. `access` is 0 or PAGING_USER. STATUS_FAULT: code->fault is the
// page fault of the first byte. STATUS_RANGE: that byte is not in memory (fetching from MMIO).
static always_inline must_check enum status paging_fetch(struct paging *paging,
	struct guest_ram *ram, struct gva rip, unsigned access, struct paging_code *code)
{
	const struct paging_memo *memo = paging_find(paging, rip.v, access | PAGING_FETCH);
	uint64_t left = PAGE_BYTES - rip.v % PAGE_BYTES;

	if (likely(memo != NULL && memo->host != NULL && left >= PAGING_CODE_BYTES)) {
		code->bytes = memo->host + rip.v % PAGE_BYTES;
		code->available = left;
		return STATUS_OK;
	}
	return paging_fetch_slow(paging, ram, rip, access, code);
}

#endif
