// SPDX-License-Identifier: BSD-2-Clause
// INS and OUTS with all their prefixes: sizes, REP, REP with a count of 0, direction, address size,
// segments, faults in the middle, and in the CPU's other modes. SDM vol. 2, INS, OUTS, REP.
//
// Ports that keep what is written: COM1's scratch register (bytes), PCI's configuration address
// (doublewords).
#include "lib/snippet.h"

PAYLOAD("cpu_strings");

enum { SCRATCH = 0x3ff, PCI_ADDRESS = 0xcf8, NOBODY = 0x5f0, BUFFER = 8192 };

static uint8_t buffer[BUFFER] __attribute__((aligned(4096)));

struct registers {
	uint64_t rcx, rsi, rdi, rdx;
};

// Registers from `in`, the instruction, registers to `out`; those of a fault are the trap record's.
#define STRING(X, name, instruction)                                                               \
	X(name, "pushq %rbx; movq %rdi, %rbx; movq (%rbx), %rcx; movq 8(%rbx), %rsi; "             \
		"movq 16(%rbx), %rdi; movq 24(%rbx), %rdx", instruction,                           \
		"cld; movq %rcx, 32(%rbx); movq %rsi, 40(%rbx); movq %rdi, 48(%rbx); "             \
		"movq %rdx, 56(%rbx); popq %rbx")

#define STRINGS(X)                                                                                 \
	STRING(X, outsb, "outsb")                                                                  \
	STRING(X, outsl, "outsl")                                                                  \
	STRING(X, insb, "insb")                                                                    \
	STRING(X, insw, "insw")                                                                    \
	STRING(X, insl, "insl")                                                                    \
	STRING(X, rep_outsb, "rep outsb")                                                          \
	STRING(X, rep_outsl, "rep outsl")                                                          \
	STRING(X, rep_insb, "rep insb")                                                            \
	STRING(X, rep_insw, "rep insw")                                                            \
	STRING(X, rep_insl, "rep insl")                                                            \
	STRING(X, repne_outsb, ".byte 0xf2; outsb")                                                \
	STRING(X, repne_insb, ".byte 0xf2; insb")                                                  \
	STRING(X, std_outsb, "std; rep outsb")                                                     \
	STRING(X, std_outsl, "std; rep outsl")                                                     \
	STRING(X, std_insb, "std; rep insb")                                                       \
	STRING(X, std_insl, "std; rep insl")                                                       \
	STRING(X, addr32_outsb, ".byte 0x67; rep outsb")                                           \
	STRING(X, addr32_insb, ".byte 0x67; rep insb")                                             \
	STRING(X, addr32_insl, ".byte 0x67; rep insl")                                             \
	STRING(X, fs_outsb, ".byte 0x64; rep outsb")                                               \
	STRING(X, gs_outsl, ".byte 0x65; rep outsl")                                               \
	STRING(X, es_outsb, ".byte 0x26; rep outsb")                                               \
	STRING(X, fs_insb, ".byte 0x64; rep insb")                                                 \
	STRING(X, rexw_insl, ".byte 0xf3, 0x48, 0x6d")                                             \
	STRING(X, rexw_outsl, ".byte 0xf3, 0x48, 0x6f")                                            \
	STRING(X, opsize_outsb, ".byte 0x66, 0xf3, 0x6e")

static struct {
	struct registers in, out;
} block;

SNIPPETS(strings, STRINGS)

static const struct snippet *find(const char *name)
{
	for (unsigned i = 0; i < SNIPPET_COUNT(strings); i++) {
		const char *a = strings[i].name, *b = name;

		while (*a == *b && *a != 0) {
			a++;
			b++;
		}
		if (*a == *b)
			return &strings[i];
	}
	payload_exit(0x7e);
}

static unsigned port_of(const char *name)
{
	for (; *name != 0; name++)
		if (name[0] == 's' && name[2] == 0) // insX, outsX
			return name[1] == 'l' ? PCI_ADDRESS : name[1] == 'w' ? NOBODY : SCRATCH;
	return 0;
}

static void fill(void)
{
	for (unsigned i = 0; i < BUFFER; i++)
		buffer[i] = (uint8_t)(i * 4 & 0x7c);
}

static uint32_t sum(void)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < BUFFER; i++)
		value = value * 31 + buffer[i];
	return value;
}

// Offsets of RSI and RDI are relative to where they started; `outs` uses RSI, `ins` RDI.
static void run(const char *prefix, const char *name, uint64_t count, uint64_t rsi, uint64_t rdi)
{
	const struct snippet *snippet = find(name);
	struct snippet_run call = {snippet, &block, 2, false};
	struct registers *o = &block.out;
	bool traps;

	fill();
	outb(SCRATCH, 0xa5);
	outl(PCI_ADDRESS, 0x80123454);
	block.in = (struct registers){count, rsi, rdi, port_of(name)};
	traps = trap_catch(snippet_call, &call);
	if (traps) // what the handler saw
		*o = (struct registers){trap_last.rcx, trap_last.rsi, trap_last.rdi, trap_last.rdx};
	print("%s: %s%s = rcx 0x%lx rsi %ld rdi %ld", payload_name, prefix, name, o->rcx,
		(int64_t)(o->rsi - rsi), (int64_t)(o->rdi - rdi));
	print(" sum 0x%x scratch 0x%x address 0x%x",
		sum(), inb(SCRATCH), inl(PCI_ADDRESS) & ~0x7f000003u);
	if (traps)
		print(" #%lu error 0x%lx cr2 +%ld %s", trap_last.vector, trap_last.error,
			trap_last.vector == 14 ? (int64_t)(trap_last.cr2 - PAGING_WINDOW) : 0,
			snippet_place(snippet, trap_last.rip));
	print("\n");
	__asm__ volatile("cld");
}

static void strings_plain(void)
{
	uint64_t at = (uintptr_t)buffer + 0x100;

	wrmsr(MSR_FS_BASE, 0x10);
	wrmsr(MSR_GS_BASE, 0x20);
	for (unsigned i = 0; i < SNIPPET_COUNT(strings); i++) {
		run("", strings[i].name, 3, at, at);
		run("zero.", strings[i].name, 0, at, at);
	}
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, 0);
}

// More than any hypervisor does in one go, with interrupts on.
static void strings_long(void)
{
	uint64_t at = (uintptr_t)buffer;

	sti();
	run("long.", "rep_outsb", BUFFER, at, at);
	run("long.", "rep_outsl", BUFFER / 4, at, at);
	run("long.", "rep_insb", BUFFER - 3, at, at);
	run("long.", "rep_insl", BUFFER / 4 - 1, at, at);
	run("long.", "std_insb", BUFFER - 5, at, at + BUFFER - 1);
	run("long.", "std_outsl", BUFFER / 4, at + BUFFER - 4, at);
	cli();
}

// The second page is missing, or must not be written: what was done before the fault stays done.
static void strings_faults(void)
{
	uint64_t page = (uintptr_t)paging_map(0, (uintptr_t)buffer, 7), edge = page + 4096;

	paging_map(1, 0, 0);
	run("fault.", "rep_insb", 10, edge - 4, edge - 4);
	run("fault.", "rep_insl", 10, edge - 10, edge - 10); // the third one crosses
	run("fault.", "rep_insw", 10, edge - 3, edge - 3);
	run("fault.", "rep_outsb", 10, edge - 4, edge - 4);
	run("fault.", "rep_outsl", 10, edge - 10, edge - 10);
	run("fault_first.", "rep_insb", 10, edge, edge);
	run("fault_first.", "insl", 10, edge, edge);
	run("fault_first.", "rep_outsl", 10, edge, edge);
	run("fault_zero.", "rep_insb", 0, edge, edge);
	run("fault_zero.", "rep_outsl", 0, edge, edge);
	paging_map(1, (uintptr_t)buffer + 4096, 5);
	run("read_only.", "rep_insb", 10, edge - 4, edge - 4);
	run("read_only.", "rep_outsb", 10, edge - 4, edge - 4);
	paging_map(1, (uintptr_t)buffer, 7);
	paging_map(0, 0, 0);
	run("fault_down.", "std_insb", 10, edge + 3, edge + 3);
	run("fault_down.", "std_insl", 10, edge + 5, edge + 5);
	run("fault_down.", "std_outsl", 10, edge + 5, edge + 5);
	run("noncanonical.", "rep_insb", 10, 0x800000000000 - 2, 0x800000000000);
	run("noncanonical.", "rep_outsb", 10, 0x800000000000, 0x800000000000);
	paging_map(1, 0, 0);
}

// A register of a device at the other end.
static void strings_mmio(void)
{
	write32(IOAPIC_BASE, 0);
	run("mmio.", "insl", 1, IOAPIC_BASE, IOAPIC_BASE);
	report("mmio.select = 0x%x", read32(IOAPIC_BASE) & 0xff);
	write32(IOAPIC_BASE, 0x21);
	run("mmio.", "outsl", 1, IOAPIC_BASE, IOAPIC_BASE);
	outl(PCI_ADDRESS, 0);
}

// Upper halves with an address size of 32 bits, and RCX beyond 32 bits without it.
static void strings_halves(void)
{
	uint64_t at = (uintptr_t)buffer, high = 0x1234567800000000;

	run("halves.", "addr32_insb", high | 3, high | at, high | at);
	run("halves.", "addr32_outsb", high | 2, high | at, high | at);
	run("halves.", "addr32_insl", high | 1, high | at, high | at);
}

extern const char strings_code16[], strings_code16_end[], strings_code32[], strings_code32_end[];
__asm__(".text\n"
	".code16\n"
	"strings_code16:\n"
	"pushw %es; pushw $0; popw %es; cld\n" // real mode: base 0; 16-bit protected: LOW_DATA
	"movw $0x3ff, %dx\n"
	"movl $0x00019000, %esi; movl $0x00029100, %edi; movl $0x00050003, %ecx\n"
	"rep outsb\n" // SI, CX alone
	"movb $4, %cl; rep insb\n"
	"movw $0xcf8, %dx; movw $1, %cx; rep insl\n"
	"popw %es\n"
	"movl 0x9100, %eax; movl 0x9104, %ebx\n"
	"lret\n"
	"strings_code16_end:\n"
	".code32\n"
	"strings_code32:\n"
	"cld; movl $0x3ff, %edx; movl $0x9000, %esi; movl $0x9100, %edi; movl $3, %ecx\n"
	"rep outsb\n"
	"movl $4, %ecx; rep insb\n"
	"movl $0xcf8, %edx; movl $1, %ecx; rep insl\n"
	"movl 0x9100, %eax; movl 0x9104, %ebx\n"
	"ret\n"
	"strings_code32_end:\n"
	".code64\n");

static void strings_modes(void)
{
	for (unsigned mode = 0; mode < MODE_COUNT; mode++) {
		bool small = mode == MODE_REAL16;
		const char *code = small ? strings_code16 : strings_code32;
		const char *end = small ? strings_code16_end : strings_code32_end;
		struct low_regs r = {0};

		if (mode == MODE_PROT16)
			continue;
		write32(LOW_DATA, 0x00332211);
		write64(LOW_DATA + 0x100, 0);
		outl(PCI_ADDRESS, 0x80345674);
		mode_run(mode, code, (size_t)(end - code), &r);
		report("%s = 0x%x 0x%x ecx 0x%x esi 0x%x edi 0x%x", mode_names[mode], r.eax, r.ebx,
			r.ecx, r.esi, r.edi);
	}
}

void payload_main(void)
{
	strings_plain();
	strings_long();
	strings_faults();
	strings_mmio();
	strings_halves();
	strings_modes();
}
