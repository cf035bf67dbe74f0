// SPDX-License-Identifier: BSD-2-Clause
// Memory-mapped registers through every instruction form that the manuals allow on them.
#include "lib/payload.h"

PAYLOAD("mmio");

enum { UNMAPPED = 0xd0000000u, SELECT = IOAPIC_BASE };

static void mmio_moves(void)
{
	uint64_t value = ~0ull;
	uint32_t low;

	report("lapic.version.low = 0x%x", read32(LAPIC_BASE + LAPIC_VERSION) & 0xff);
	write32(LAPIC_BASE + LAPIC_TPR, 0x35);
	report("lapic.tpr = 0x%x", read32(LAPIC_BASE + LAPIC_TPR));
	__asm__ volatile("movabs 0xfee00080, %%eax" : "=a"(low));
	report("mov.moffs = 0x%x", low);
	__asm__ volatile("mov (%1), %%r9d; mov %%r9, %0"
			 : "=r"(value) : "r"((uintptr_t)LAPIC_BASE + LAPIC_TPR) : "r9");
	report("mov.r9d.zero_extends = 0x%lx", value);
	__asm__ volatile("movslq (%1), %0"
			 : "=r"(value) : "r"((uintptr_t)LAPIC_BASE + LAPIC_TPR));
	report("movsxd = 0x%lx", value);
	__asm__ volatile("movl $0x20, (%0)" : : "r"((uintptr_t)LAPIC_BASE + LAPIC_TPR) : "memory");
	report("mov.imm32 = 0x%x", read32(LAPIC_BASE + LAPIC_TPR));
	__asm__ volatile("movl $0x40, 0x80(%0,%1,8)"
			 : : "r"((uintptr_t)LAPIC_BASE), "r"(0ull) : "memory");
	report("mov.sib = 0x%x", read32(LAPIC_BASE + LAPIC_TPR));
	write32(LAPIC_BASE + LAPIC_TPR, 0);
}

// The register select is an 8-bit register in a 32-bit place. 82093AA, 3.1.1.
static void mmio_sizes(void)
{
	uint32_t value;

	write32(SELECT, 0x12);
	report("select = 0x%x", read32(SELECT));
	report("select.byte = 0x%x", read8(SELECT));
	report("select.word = 0x%x", read16(SELECT));
	__asm__ volatile("movzbl (%1), %0" : "=r"(value) : "r"((uintptr_t)SELECT));
	report("movzx.byte = 0x%x", value);
	__asm__ volatile("movzwl (%1), %0" : "=r"(value) : "r"((uintptr_t)SELECT));
	report("movzx.word = 0x%x", value);
	write32(SELECT, 0x92);
	__asm__ volatile("movsbl (%1), %0" : "=r"(value) : "r"((uintptr_t)SELECT));
	report("movsx.byte = 0x%x", value);
	__asm__ volatile("mov (%1), %%ah; movzbl %%ah, %0"
			 : "=Q"(value) : "Q"((uintptr_t)SELECT) : "rax");
	report("mov.ah = 0x%x", value);
	write8(SELECT, 0x15);
	report("write.byte = 0x%x", read32(SELECT));
	write16(SELECT, 0x16);
	report("write.word = 0x%x", read32(SELECT));
}

#define SELECT_OP(text, initial, ...)                                                              \
	do {                                                                                       \
		uint64_t a_ = (initial), f_;                                                       \
		write32(SELECT, 0x21);                                                             \
		__asm__ volatile("test %2, %2;" text ";pushfq; popq %1"                            \
				 : "+a"(a_), "=&r"(f_)                                             \
				 : "r"((uintptr_t)SELECT), "c"(0x33)                               \
				 : "memory", "cc");                                                \
		report("%s: select 0x%x eax 0x%x cf %lu zf %lu", text, read32(SELECT),             \
			(uint32_t)a_, f_ & 1, f_ >> 6 & 1);                                        \
	} while (0)

static void mmio_read_modify_write(void)
{
	SELECT_OP("orl $0x0c, (%2)", 0);
	SELECT_OP("andl $0x01, (%2)", 0);
	SELECT_OP("xorl %%eax, (%2)", 0x21);
	SELECT_OP("addl %%eax, (%2)", 2);
	SELECT_OP("subl $0x22, (%2)", 0);
	SELECT_OP("incl (%2)", 0);
	SELECT_OP("decb (%2)", 0);
	SELECT_OP("negb (%2)", 0);
	SELECT_OP("notb (%2)", 0);
	SELECT_OP("lock orb $2, (%2)", 0);
	SELECT_OP("xchgl %%eax, (%2)", 0x14);
	SELECT_OP("xaddl %%eax, (%2)", 3);
	SELECT_OP("cmpxchgl %%ecx, (%2)", 0x21);
	SELECT_OP("cmpxchgl %%ecx, (%2)", 0x22);
	SELECT_OP("testl $0x21, (%2)", 0);
	SELECT_OP("testb %%al, (%2)", 2);
	SELECT_OP("cmpl $0x21, (%2)", 0);
	SELECT_OP("cmpl (%2), %%eax", 0x20);
	SELECT_OP("addl (%2), %%eax", 0x10);
	SELECT_OP("btsl $1, (%2)", 0);
	SELECT_OP("btrl $0, (%2)", 0);
	SELECT_OP("btl $5, (%2)", 0);
	SELECT_OP("shll $1, (%2)", 0);
	SELECT_OP("stc; setc (%2)", 0);
}

static void mmio_strings_and_stack(void)
{
	static uint32_t words[4];
	const void *from = (const void *)(uintptr_t)(LAPIC_BASE + LAPIC_TPR);
	void *to = words;
	uint64_t count = 2, value = 0;

	write32(LAPIC_BASE + LAPIC_TPR, 0x30);
	__asm__ volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
	report("movsd.from = 0x%x, advance %lu %lu", words[0],
		(uintptr_t)from - LAPIC_BASE - LAPIC_TPR, (uintptr_t)to - (uintptr_t)words);
	words[0] = 0x17;
	from = words;
	to = (void *)(uintptr_t)SELECT;
	__asm__ volatile("movsl" : "+S"(from), "+D"(to) : : "memory");
	report("movsd.to = 0x%x", read32(SELECT));
	to = (void *)(uintptr_t)SELECT;
	count = 1;
	__asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(0x19) : "memory");
	report("stosd = 0x%x", read32(SELECT));
	from = (const void *)(uintptr_t)SELECT;
	__asm__ volatile("lodsl" : "+S"(from), "=a"(value));
	report("lodsd = 0x%lx", value);
	to = (void *)(uintptr_t)SELECT;
	__asm__ volatile("scasl; pushfq; popq %1" : "+D"(to), "=r"(value) : "a"(0x19) : "cc");
	report("scasd.zf = %lu", value >> 6 & 1);
	__asm__ volatile("pushw (%1); popw %w0" : "=r"(value) : "r"((uintptr_t)SELECT) : "memory");
	report("push.word = 0x%lx", value & 0xffff);
	__asm__ volatile("pushw $0x1b; popw (%0)" : : "r"((uintptr_t)SELECT) : "memory");
	report("pop.word = 0x%x", read8(SELECT));
	write32(LAPIC_BASE + LAPIC_TPR, 0);
}

static void mmio_unmapped(void)
{
	uint64_t value;

	report("unmapped.byte = 0x%x", read8(UNMAPPED));
	report("unmapped.word = 0x%x", read16(UNMAPPED));
	report("unmapped.long = 0x%x", read32(UNMAPPED));
	report("unmapped.quad = 0x%lx", read64(UNMAPPED));
	write64(UNMAPPED, 0);
	report("unmapped.after_write = 0x%lx", read64(UNMAPPED));
	report("unmapped.page_crossing = 0x%lx", read64(UNMAPPED + 0xffc));
	write32(UNMAPPED + 0xffe, 0x12345678);
	report("unmapped.unaligned = 0x%x", read32(UNMAPPED + 0x1ffd));
	__asm__ volatile("orl $1, (%1); pushfq; popq %0"
			 : "=r"(value) : "r"((uintptr_t)UNMAPPED) : "memory", "cc");
	report("unmapped.or.sf = %lu", value >> 7 & 1);
}

// RAM on one side of a page boundary, nothing on the other.
static void mmio_border(void)
{
	static uint8_t page[4096] __attribute__((aligned(4096)));
	uint8_t *window = paging_map(0, (uintptr_t)page, 7);
	uintptr_t edge = (uintptr_t)window + 4096 - 4;

	paging_map(1, UNMAPPED, 0x1f);
	for (unsigned i = 0; i < 4; i++)
		page[4092 + i] = (uint8_t)(0x11 * (i + 1));
	report("border.read = 0x%lx", read64(edge));
	write64(edge, 0x8877665544332211);
	report("border.write = 0x%x", read32((uintptr_t)page + 4092));
	paging_map(1, 0, 0);
}

// 32-bit and 16-bit code: the same registers with other default sizes and prefixes.
extern const char mmio_code32[], mmio_code32_end[], mmio_code16[], mmio_code16_end[];
__asm__(".text\n"
	".code32\n"
	"mmio_code32: movl $0xfec00000, %esi\n"
	"movl $0x21, (%esi)\n"
	"movl (%esi), %eax\n"
	"orb $2, (%esi)\n"
	"movzbl (%esi), %ebx\n"
	"movw (%esi), %cx\n"
	"movl 0xfec00000, %edx\n"
	"pushl (%esi)\n"
	"popl %edi\n"
	"ret\n"
	"mmio_code32_end:\n"
	".code16\n"
	"mmio_code16: movl $0xfec00000, %esi\n"
	"fs movl $0x21, (%esi)\n"
	"fs movl (%esi), %eax\n"
	"fs orb $2, (%esi)\n"
	"fs movzbl (%esi), %ebx\n"
	"fs movw (%esi), %cx\n"
	".byte 0x64, 0x66, 0x67, 0x8b, 0x15\n" // fs addr32 movl 0xfec00000, %edx
	".long 0xfec00000\n"
	"fs pushl (%esi)\n"
	"popl %edi\n"
	"lret\n"
	"mmio_code16_end:\n"
	".code64\n");

static void mmio_modes(void)
{
	for (unsigned mode = 0; mode < MODE_COUNT; mode++) {
		bool small = mode == MODE_REAL16 || mode == MODE_PROT16;
		const char *code = small ? mmio_code16 : mmio_code32;
		const char *end = small ? mmio_code16_end : mmio_code32_end;
		struct low_regs r = {0};

		mode_run(mode, code, (size_t)(end - code), &r);
		report("%s = 0x%x 0x%x 0x%x 0x%x 0x%x", mode_names[mode], r.eax, r.ebx,
			r.ecx & 0xffff, r.edx, r.edi);
	}
}

void payload_main(void)
{
	mmio_moves();
	mmio_sizes();
	mmio_read_modify_write();
	mmio_strings_and_stack();
	mmio_unmapped();
	mmio_border();
	mmio_modes();
}
