// SPDX-License-Identifier: BSD-2-Clause
// Every way to read the time-stamp counter, and what instructions of each kind take by it.
#include "lib/det.h"

PAYLOAD("det_time");

enum { CR4_TSD = 4, VECTOR = 0x50, READS = 3000 };

static volatile uint64_t stamp;

static void read_user(void *argument)
{
	(void)argument;
	stamp = rdtsc();
}

static uint64_t rdtscp(uint32_t *aux)
{
	uint32_t low, high;

	__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(*aux) : : "memory");
	return (uint64_t)high << 32 | low;
}

static void time_ways(void)
{
	uint32_t aux;
	bool traps;

	report("rdtsc = %lu", rdtsc());
	report("rdtsc again = %lu", rdtsc());
	if ((cpuid(0x80000001, 0).edx >> 27 & 1) != 0) {
		uint64_t value;

		wrmsr(MSR_TSC_AUX, 0x12345678);
		value = rdtscp(&aux);
		report("rdtscp = %lu aux 0x%x", value, aux);
	}
	report("msr = %lu", rdmsr(MSR_TSC));
	traps = det_user(read_user, NULL);
	report("user = %lu, traps %u", stamp, traps);
	write_cr4(read_cr4() | CR4_TSD);
	traps = det_user(read_user, NULL);
	report("user with TSD = %u #%lu", traps, trap_last.vector);
	write_cr4(read_cr4() & ~(uint64_t)CR4_TSD);
}

// rdtsc, and the upper half in ECX.
static const uint8_t code[] = {0x0f, 0x31, 0x89, 0xd1, 0xc3};
static const uint8_t code16[] = {0x0f, 0x31, 0x66, 0x89, 0xd1, 0xcb};

static void time_modes(void)
{
	for (unsigned mode = MODE_REAL16; mode < MODE_COUNT; mode++) {
		struct low_regs regs = {0};

		if (mode == MODE_PROT16)
			continue;
		if (mode == MODE_REAL16)
			mode_run(mode, code16, sizeof(code16), &regs);
		else
			mode_run(mode, code, sizeof(code), &regs);
		report("%s = %lu", mode_names[mode], (uint64_t)regs.ecx << 32 | regs.eax);
	}
}

#define TAKES(name, statement)                                                                     \
	do {                                                                                       \
		uint64_t start = rdtsc();                                                          \
		statement;                                                                         \
		report("takes." name " = %lu", rdtsc() - start);                                   \
	} while (0)

static void time_instructions(void)
{
	static uint8_t bytes[2000];
	uint8_t *from = bytes, *to = bytes + 1000;
	uint64_t count = 1000, a = 7, d = 0;

	TAKES("nothing", (void)0);
	TAKES("cpuid", (void)cpuid(1, 0));
	TAKES("in", (void)inb(0x21));
	TAKES("out", outb(0x80, 0));
	TAKES("rdmsr", (void)rdmsr(MSR_APIC_BASE));
	TAKES("mmio", (void)lapic_read(LAPIC_ID));
	TAKES("pause", pause());
	TAKES("div", __asm__ volatile("divq %2" : "+a"(a), "+d"(d) : "r"(3ull)));
	TAKES("rep movsb",
		__asm__ volatile("rep movsb" : "+c"(count), "+S"(from), "+D"(to) : : "memory"));
	TAKES("new page", write8(0x2400000, 1));
	TAKES("invlpg", __asm__ volatile("invlpg 0x1000" : : : "memory"));
	TAKES("cr3", write_cr3(read_cr3()));
	TAKES("long while", det_long_while());
	TAKES("traps", (void)trap_catch(read_user, NULL));
}

static void time_writes(void)
{
	uint64_t hash = DET_HASH_START, last = 0, now;
	bool grows = true;

	wrmsr(MSR_TSC, 0x123456789abcd);
	report("after a write = %lu", rdtsc());
	for (unsigned i = 0; i < READS; i++, last = now) {
		now = rdtsc();
		grows = grows && now > last;
		hash = det_hash(hash, now);
	}
	report("hash of %u reads = 0x%lx, last %lu", READS, hash, last);
	report_check("it grows", grows);
}

static void wake_hook(struct trap_frame *frame)
{
	(void)frame;
	stamp = rdtsc();
	lapic_write(LAPIC_EOI, 0);
}

static void time_halt(void)
{
	trap_set_hook(VECTOR, wake_hook);
	for (unsigned i = 1; i <= 1000000; i *= 100) {
		lapic_write(LAPIC_TIMER, VECTOR);
		lapic_write(LAPIC_TMICT, i);
		sti_hlt_cli();
		report("halted for %u = %lu", i, stamp);
	}
}

void payload_main(void)
{
	time_ways();
	time_modes();
	time_instructions();
	time_writes();
	time_halt();
	time_ways();
}
