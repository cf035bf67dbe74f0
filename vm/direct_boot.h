// SPDX-License-Identifier: BSD-2-Clause
// Booting a kernel without firmware: a bzImage, a multiboot kernel or an ELF file with a PVH entry
// is put into a guest's memory with its initrd, command line and memory map, and the state of the
// first CPU is told. The files are hostile input.
//
// Protocols: Linux' x86 boot protocol 2.06 and later, 32-bit entry; Multiboot 0.6.96; Xen's PVH
// (hvm_start_info version 1). Left out: zImage, 64-bit and EFI handover entries of Linux, several
// modules, video modes and symbol tables of multiboot, compressed ELF files.
//
// All three find the machine in the same state: protected mode with flat 4 GiB segments, paging
// off (CR0 = 0x11, CR4 = 0, EFER = 0), EFLAGS = 2, A20 enabled, no IDT.
#ifndef VM_DIRECT_BOOT_H
#define VM_DIRECT_BOOT_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"
#include "vm/guest_ram.h"

enum { DIRECT_BOOT_ERROR_BYTES = 256 };

// The GDT in guest memory: the selectors that Linux demands, which suit the others as well.
enum {
	DIRECT_BOOT_CODE_SELECTOR = 0x10, // CS: base 0, 4 GiB, 32 bits, execute and read, accessed
	DIRECT_BOOT_DATA_SELECTOR = 0x18, // DS, ES, FS, GS, SS: base 0, 4 GiB, read and write
	DIRECT_BOOT_TASK_SELECTOR = 0x20, // TR: busy 32-bit TSS, base 0, limit 0x67 (PVH wants it)
	DIRECT_BOOT_GDT_BYTES = 0x28,
};

struct direct_boot_source {
	const uint8_t *kernel;
	uint64_t kernel_bytes;
	const uint8_t *initrd; // may be NULL
	uint64_t initrd_bytes;
	const char *cmdline; // may be NULL. Multiboot kernels get it behind the word "kernel"
	struct gpa rsdp;     // 0: none
	// RANDOM_SEED_BYTES that nobody knows, for a Linux that takes them; or NULL.
	const uint8_t *random_seed;
};

enum direct_boot_mode {
	DIRECT_BOOT_PROTECTED32,
};

// The first CPU. Every general register that is not named is 0.
struct direct_boot_entry {
	enum direct_boot_mode mode;
	const char *protocol; // "linux", "multiboot" or "pvh"
	uint32_t eip;
	uint32_t eax, ebx, ecx, edx, esi, edi, esp, ebp;
	struct gpa gdt; // DIRECT_BOOT_GDT_BYTES
};

// Loads; guest memory need not be zero. On failure `error` holds one line, without a newline, that
// names the cause, and guest memory is in an unspecified state.
// STATUS_BAD_FORMAT, STATUS_TRUNCATED, STATUS_UNSUPPORTED: the kernel. STATUS_RANGE: it asks for
// memory that is not there. STATUS_NO_MEMORY: something does not fit. STATUS_INVALID: the command
// line.
must_check enum status direct_boot_load(struct guest_ram *ram,
	const struct direct_boot_source *source, struct direct_boot_entry *entry,
	char error[DIRECT_BOOT_ERROR_BYTES]);

#endif
