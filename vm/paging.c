// SPDX-License-Identifier: BSD-2-Clause
// Guest page-table walks. See paging.h.
#include "vm/paging.h"

#include <string.h>

#include "kernel/base/assert.h"

#define CR0_WP   BIT(16)
#define CR0_PG   BIT(31)
#define CR4_PSE  BIT(4)
#define CR4_PAE  BIT(5)
#define CR4_LA57 BIT(12)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define RFLAGS_AC BIT(18)

#define ALL_RIGHTS (PAGING_ENTRY_USER | PAGING_ENTRY_WRITE)

enum { LEVELS_MAX = 5, WALK_TRIES = 8 };

// One walk: what it read, from the top, so that the flags can be set once the access is allowed.
struct walk {
	uint64_t from;
	unsigned access;
	unsigned entry_bytes;
	unsigned depth; // entries read
	struct gpa at[LEVELS_MAX];
	uint64_t entry[LEVELS_MAX];
	bool has_flags[LEVELS_MAX]; // PDPTEs of PAE have no accessed flag
	uint64_t rights; // of all entries together
	bool no_execute;
	struct gpa to;
};

static enum paging_mode mode_of(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	if (!(cr0 & CR0_PG))
		return PAGING_NONE;
	if (efer & EFER_LMA)
		return cr4 & CR4_LA57 ? PAGING_5_LEVEL : PAGING_4_LEVEL;
	return cr4 & CR4_PAE ? PAGING_PAE : PAGING_32;
}

void paging_forget(struct paging *paging)
{
	for (unsigned i = 0; i < PAGING_MEMOS; i++)
		paging->memos[i].key = PAGING_MEMO_EMPTY;
}

void paging_set(struct paging *paging, uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer,
	unsigned physical_bits, bool gigabyte_pages)
{
	ASSERT(physical_bits >= 32 && physical_bits <= 52);
	if (paging->cr0 != cr0 || paging->cr4 != cr4 || paging->efer != efer ||
		paging->physical_bits != physical_bits || paging->gigabyte_pages != gigabyte_pages)
		paging_forget(paging);
	paging->cr0 = cr0;
	paging->cr3 = cr3;
	paging->cr4 = cr4;
	paging->efer = efer;
	paging->mode = (uint8_t)mode_of(cr0, cr4, efer);
	paging->physical_bits = (uint8_t)physical_bits;
	paging->gigabyte_pages = gigabyte_pages;
	paging->reserved = BIT(52) - BIT(physical_bits);
}

static enum status fail(const struct paging *paging, const struct walk *walk, unsigned extra,
	struct paging_fault *fault)
{
	unsigned reported = PAGING_WRITE | PAGING_USER;

	// The CPU reports fetches only where something can forbid them (SDM 3A 4.7).
	if ((paging->cr4 & CR4_SMEP) || (paging->mode >= PAGING_PAE && (paging->efer & EFER_NXE)))
		reported |= PAGING_FETCH;
	fault->error_code = (walk->access & reported) | extra;
	fault->cr2 = walk->from;
	return STATUS_FAULT;
}

static uint64_t read_entry(const struct guest_ram *ram, struct gpa at, unsigned bytes)
{
	const uint8_t *entry = guest_ram_page(ram, at);

	if (entry == NULL)
		return UINT64_MAX;
	if (bytes == 4)
		return __atomic_load_n((const uint32_t *)(const void *)entry, __ATOMIC_RELAXED);
	return __atomic_load_n((const uint64_t *)(const void *)entry, __ATOMIC_RELAXED);
}

// Bits of an entry that must be zero. level is 1 for the entry of a 4 KiB page.
static uint64_t reserved_bits(const struct paging *paging, unsigned level, bool leaf)
{
	uint64_t reserved = paging->reserved;

	if (paging->mode == PAGING_32) { // SDM 3A table 4-5: PSE-36
		unsigned bits = paging->physical_bits < 40 ? paging->physical_bits : 40;

		return leaf && level == 2 ? BIT(22) - BIT(bits - 32 + 13) : 0;
	}
	if (!(paging->efer & EFER_NXE))
		reserved |= PAGING_ENTRY_NX;
	if (paging->mode == PAGING_PAE) {
		// PDPTE, table 4-8; but below nested paging some CPUs mark it accessed (bit 5).
		if (level == 3)
			return paging->reserved | (UINT64_MAX - (BIT(52) - 1)) | 0x1c6;
		reserved |= BIT(63) - BIT(52);
	}
	if (leaf && level == 2)
		reserved |= BIT(21) - BIT(13);
	if (leaf && level == 3)
		reserved |= BIT(30) - BIT(13);
	if (level >= 4 || (level == 3 && !paging->gigabyte_pages))
		reserved |= PAGING_ENTRY_LARGE;
	return reserved;
}

static bool is_leaf(const struct paging *paging, unsigned level, uint64_t entry)
{
	if (level == 1)
		return true;
	if (!(entry & PAGING_ENTRY_LARGE))
		return false;
	if (paging->mode == PAGING_32)
		return (paging->cr4 & CR4_PSE) != 0;
	return level == 2 ||
		(level == 3 && paging->mode != PAGING_PAE && paging->gigabyte_pages);
}

static struct gpa leaf_address(const struct paging *paging, unsigned level, uint64_t entry,
	uint64_t from)
{
	unsigned index_bits = paging->mode == PAGING_32 ? 10 : 9;
	uint64_t offset = (PAGE_BYTES << (level - 1) * index_bits) - 1;
	uint64_t base = entry & PAGING_ENTRY_ADDRESS & ~offset;

	if (paging->mode == PAGING_32) {
		base = (uint32_t)base;
		if (level == 2) // PSE-36: bits 39:32 stand in 20:13
			base |= (entry >> 13 & 0xff) << 32;
	}
	return (struct gpa){base | (from & offset)};
}

// Reads entries from the top to the leaf.
static enum status walk_down(const struct paging *paging, const struct guest_ram *ram,
	struct walk *walk, struct paging_fault *fault)
{
	static const unsigned levels_of[] = {0, 2, 3, 4, 5};
	unsigned level = levels_of[paging->mode];
	unsigned index_bits = paging->mode == PAGING_32 ? 10 : 9;
	uint64_t table = paging->cr3 & PAGING_ENTRY_ADDRESS;

	walk->entry_bytes = paging->mode == PAGING_32 ? 4 : 8;
	walk->rights = ALL_RIGHTS;
	walk->no_execute = false;
	if (paging->mode == PAGING_PAE)
		table = paging->cr3 & 0xffffffe0;
	if (paging->mode == PAGING_32)
		table = (uint32_t)table;
	for (walk->depth = 0;; level--) {
		unsigned d = walk->depth++, shift = 12 + (level - 1) * index_bits;
		uint64_t index = walk->from >> shift & (BIT(index_bits) - 1), entry;
		bool pae_root = paging->mode == PAGING_PAE && level == 3, leaf;

		walk->at[d].v = table + (pae_root ? index % 4 : index) * walk->entry_bytes;
		entry = walk->entry[d] = read_entry(ram, walk->at[d], walk->entry_bytes);
		walk->has_flags[d] = !pae_root;
		if (!(entry & PAGING_ENTRY_PRESENT))
			return fail(paging, walk, 0, fault);
		leaf = is_leaf(paging, level, entry);
		if (entry & reserved_bits(paging, level, leaf))
			return fail(paging, walk, PAGING_FAULT_PRESENT | PAGING_FAULT_RESERVED,
				fault);
		if (!pae_root)
			walk->rights &= entry;
		walk->no_execute |= walk->entry_bytes == 8 && (entry & PAGING_ENTRY_NX) != 0;
		if (leaf) {
			walk->to = leaf_address(paging, level, entry, walk->from);
			return STATUS_OK;
		}
		table = entry & PAGING_ENTRY_ADDRESS;
		if (paging->mode == PAGING_32)
			table = (uint32_t)table;
	}
}

// SDM 3A 4.6.1.
static bool allowed(const struct paging *paging, const struct walk *walk)
{
	bool user_page = (walk->rights & PAGING_ENTRY_USER) != 0;
	bool writable = (walk->rights & PAGING_ENTRY_WRITE) != 0;
	bool fetch = (walk->access & PAGING_FETCH) != 0;

	if (fetch && walk->no_execute)
		return false;
	if (walk->access & PAGING_USER)
		return user_page && (writable || !(walk->access & PAGING_WRITE));
	if (user_page && fetch && (paging->cr4 & CR4_SMEP))
		return false;
	if (user_page && !fetch && (paging->cr4 & CR4_SMAP) &&
		(!(paging->rflags & RFLAGS_AC) || (walk->access & PAGING_IMPLICIT)))
		return false;
	return writable || !(walk->access & PAGING_WRITE) || !(paging->cr0 & CR0_WP);
}

// SDM 3A 4.8. False: an entry changed since the walk read it.
static bool set_flags(struct guest_ram *ram, struct walk *walk)
{
	for (unsigned d = 0; d < walk->depth; d++) {
		uint64_t entry = walk->entry[d], want = entry;

		if (walk->has_flags[d])
			want |= PAGING_ENTRY_ACCESSED;
		if (d + 1 == walk->depth && (walk->access & PAGING_WRITE))
			want |= PAGING_ENTRY_DIRTY;
		if (want == entry || guest_ram_kind(ram, walk->at[d]) != GUEST_RAM_RAM)
			continue; // tables in ROM keep their flags
		if (!guest_ram_compare_exchange(ram, walk->at[d], walk->entry_bytes, entry, want))
			return false;
		walk->entry[d] = want;
	}
	return true;
}

static void remember(struct paging *paging, const struct guest_ram *ram, const struct walk *walk)
{
	struct paging_memo *memo =
		&paging->memos[paging_memo_index(walk->from, walk->access)];
	uint64_t ac = paging->rflags & RFLAGS_AC ? PAGING_MEMO_AC : 0;

	if (paging->mode != PAGING_4_LEVEL && paging->mode != PAGING_PAE)
		return;
	memo->key = PAGING_MEMO_EMPTY;
	for (unsigned i = 0; i < 4; i++) {
		unsigned d = i < walk->depth ? i : walk->depth - 1;

		memo->at[i] = (const uint64_t *)(const void *)guest_ram_page(ram, walk->at[d]);
		memo->entry[i] = walk->entry[d];
		if (memo->at[i] == NULL)
			return;
	}
	memo->cr3 = paging->cr3;
	memo->page = walk->to.v & ~(PAGE_BYTES - 1);
	memo->host = guest_ram_page(ram, (struct gpa){memo->page});
	// Whoever keeps a memo of code reads through `host` without asking again.
	if (memo->host == NULL && (walk->access & PAGING_FETCH))
		return;
	memo->key = (walk->from & ~(PAGE_BYTES - 1)) | walk->access | ac;
}

enum status paging_walk(struct paging *paging, struct guest_ram *ram, struct gva from,
	unsigned access, bool set_accessed_dirty, struct gpa *to, struct paging_fault *fault)
{
	struct walk walk;
	bool done = false;

	// Outside of long mode linear addresses have 32 bits.
	walk.from = paging->mode < PAGING_4_LEVEL ? (uint32_t)from.v : from.v;
	walk.access = access;
	if (paging->mode == PAGING_NONE) {
		to->v = walk.from;
		return STATUS_OK;
	}
	// Another vcpu may change an entry between the walk and the flags: walk again. One that
	// does so for ever costs no more than its own flags.
	for (unsigned i = 0; i < WALK_TRIES && !done; i++) {
		enum status status = walk_down(paging, ram, &walk, fault);

		if (status != STATUS_OK)
			return status;
		if (!allowed(paging, &walk))
			return fail(paging, &walk, PAGING_FAULT_PRESENT, fault);
		done = !set_accessed_dirty || set_flags(ram, &walk);
	}
	// A data access without flags must not answer for a later one that sets them.
	if (done && (set_accessed_dirty || (access & PAGING_FETCH)))
		remember(paging, ram, &walk);
	*to = walk.to;
	return STATUS_OK;
}

enum status paging_translate_range(struct paging *paging, struct guest_ram *ram,
	struct gva from, size_t bytes, unsigned access, struct paging_range *to,
	struct paging_fault *fault)
{
	size_t first = (size_t)(PAGE_BYTES - from.v % PAGE_BYTES);
	struct gva next = {from.v + first};
	enum status status;

	ASSERT(bytes > 0 && bytes <= PAGE_BYTES);
	status = paging_translate(paging, ram, from, access, true, &to->at[0], fault);
	to->parts = bytes > first ? 2 : 1;
	to->bytes[0] = bytes > first ? first : bytes;
	to->bytes[1] = bytes - to->bytes[0];
	if (status == STATUS_OK && to->parts == 2)
		status = paging_translate(paging, ram, next, access, true, &to->at[1], fault);
	return status;
}

enum status paging_fetch_slow(struct paging *paging, struct guest_ram *ram, struct gva rip,
	unsigned access, struct paging_code *code)
{
	size_t left = (size_t)(PAGE_BYTES - rip.v % PAGE_BYTES), more;
	struct gva next = {rip.v + left};
	struct gpa at;
	const uint8_t *bytes;
	enum status status;

	code->next_fault = false;
	status = paging_translate(paging, ram, rip, access | PAGING_FETCH, false, &at,
		&code->fault);
	if (status != STATUS_OK)
		return status;
	bytes = guest_ram_page(ram, at);
	if (bytes == NULL)
		return STATUS_FAIL(STATUS_RANGE);
	code->bytes = bytes;
	code->available = left;
	if (left >= PAGING_CODE_BYTES)
		return STATUS_OK;
	status = paging_translate(paging, ram, next, access | PAGING_FETCH, false, &at,
		&code->fault);
	code->next_fault = status != STATUS_OK;
	bytes = status == STATUS_OK ? guest_ram_page(ram, at) : NULL;
	if (bytes == NULL)
		return STATUS_OK; // what there is may be enough
	more = PAGING_CODE_BYTES - left;
	memcpy(code->copy, code->bytes, left);
	memcpy(code->copy + left, bytes, more);
	code->bytes = code->copy;
	code->available = PAGING_CODE_BYTES;
	return STATUS_OK;
}
