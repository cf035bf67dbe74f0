// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/fake_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/fiber.h"
#include "kernel/loop.h"
#include "kernel/mem.h"
#include "kernel/mmio.h"
#include "kernel/pagetable.h"
#include "kernel/x86.h"

enum { ADDRESS_PORT = 0xcf8, DATA_PORT = 0xcfc, LOOK_NS = 20 };

struct fake_host fake_host;

void fake_host_reset(void)
{
	memset(&fake_host, 0, sizeof(fake_host));
	fake_host.address_bits = 40;
	fake_host.now = fake_host.spin_start = FAKE_START_NS;
	fake_host.in_fiber = fake_host.loop_runs = true;
	fake_host.info.range_count = 4;
	fake_host.info.ranges[0] = (struct boot_range){{MIB}, 255 * MIB, BOOT_RANGE_FREE};
	fake_host.info.ranges[1] = (struct boot_range){{0xf0000000}, MIB, BOOT_RANGE_DEVICE};
	fake_host.info.ranges[2] = (struct boot_range){{0xf0100000}, MIB, BOOT_RANGE_FIRMWARE};
	fake_host.info.ranges[3] = (struct boot_range){{4 * GIB}, GIB, BOOT_RANGE_IMAGE};
}

struct fake_function *fake_function_add(unsigned bus, unsigned slot, unsigned function,
	uint32_t id, uint16_t class)
{
	struct fake_function *made = &fake_host.functions[fake_host.function_count++];

	assert_true(fake_host.function_count <= FAKE_FUNCTIONS);
	made->at = (struct pci_address){(uint8_t)bus, (uint8_t)slot, (uint8_t)function};
	made->config[PCI_ID / 4] = id;
	made->config[PCI_CLASS / 4] = (uint32_t)class << 16;
	made->writable[PCI_COMMAND / 4] = 0x0547;
	return made;
}

void fake_bar_set(struct fake_function *function, unsigned index, uint32_t flags, uint64_t bytes,
	uint64_t address)
{
	unsigned word = PCI_BAR_0 / 4 + index;

	function->config[word] = (uint32_t)address | flags;
	function->writable[word] = (uint32_t)~(bytes - 1);
	if ((flags & 7) == 4) {
		function->config[word + 1] = (uint32_t)(address >> 32);
		function->writable[word + 1] = (uint32_t)(~(bytes - 1) >> 32);
	}
}

void fake_config_set(struct fake_function *function, unsigned offset, unsigned bytes,
	uint32_t value)
{
	memcpy((uint8_t *)function->config + offset, &value, bytes);
}

uint32_t fake_config_get(const struct fake_function *function, unsigned offset, unsigned bytes)
{
	uint32_t value = 0;

	memcpy(&value, (const uint8_t *)function->config + offset, bytes);
	return value;
}

const struct pci_function *fake_pci(unsigned index)
{
	const struct pci_function *at = pci_first();

	while (index-- > 0)
		at = at->next;
	return at;
}

static struct fake_function *selected(void)
{
	for (unsigned i = 0; i < fake_host.function_count; i++) {
		struct fake_function *function = &fake_host.functions[i];
		uint32_t address = BIT(31) | (uint32_t)function->at.bus << 16 |
			(uint32_t)function->at.slot << 11 | (uint32_t)function->at.function << 8;

		if ((fake_host.selected & ~0xffu) == address)
			return function;
	}
	return NULL;
}

uint32_t fake_in(uint16_t port, unsigned bytes)
{
	const struct fake_function *function = selected();

	if (port < DATA_PORT || port >= DATA_PORT + 4)
		return fake_host.port_in != NULL ? fake_host.port_in(port, bytes) : UINT32_MAX;
	assert_int_equal(port % bytes, 0);
	return function == NULL ? UINT32_MAX :
		fake_config_get(function, (fake_host.selected & 0xfc) + (port & 3), bytes);
}

void fake_out(uint16_t port, unsigned bytes, uint32_t value)
{
	struct fake_function *function = selected();

	if (port == ADDRESS_PORT) {
		assert_int_equal(bytes, 4);
		fake_host.selected = value;
	} else if (port >= DATA_PORT && port < DATA_PORT + 4) {
		unsigned offset = (fake_host.selected & 0xfc) + (port & 3), word = offset / 4;
		uint32_t before, mask;

		assert_non_null(function);
		assert_int_equal(port % bytes, 0);
		before = function->config[word];
		mask = function->writable[word];
		if (word >= PCI_BAR_0 / 4 && word < PCI_BAR_0 / 4 + PCI_BARS_MAX &&
			(function->config[PCI_COMMAND / 4] & 3) != 0)
			function->decoded_writes++;
		fake_config_set(function, offset, bytes, value);
		function->config[word] = (function->config[word] & mask) | (before & ~mask);
	} else if (fake_host.port_out != NULL) {
		fake_host.port_out(port, bytes, value);
	}
}

uint32_t fake_mmio_read(const volatile void *at, unsigned bytes)
{
	assert_non_null(fake_host.mmio_in);
	return fake_host.mmio_in((uintptr_t)at, bytes);
}

void fake_mmio_write(volatile void *at, unsigned bytes, uint32_t value)
{
	assert_non_null(fake_host.mmio_out);
	fake_host.mmio_out((uintptr_t)at, bytes, value);
}

struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	assert_int_equal(leaf, 0x80000008);
	return (struct cpuid){.eax = 0x3000 | fake_host.address_bits};
}

static void spin_note(void)
{
	uint64_t spin = fake_host.now - fake_host.spin_start;

	if (spin > fake_host.longest_spin)
		fake_host.longest_spin = spin;
}

uint64_t fake_tsc(void)
{
	fake_host.now += LOOK_NS;
	spin_note();
	return fake_host.now;
}

uint64_t clock_ns_to_tsc(uint64_t ns)
{
	return ns;
}

static void time_pass(uint64_t until)
{
	spin_note();
	if (until > fake_host.now)
		fake_host.now = until;
	fake_host.spin_start = fake_host.now;
	fake_host.waits++;
	if (fake_host.passes != NULL)
		fake_host.passes();
}

void clock_wait_us(uint32_t us)
{
	assert_false(fake_host.loop_runs);
	time_pass(fake_host.now + us * UINT64_C(1000));
}

bool loop_is_running(void)
{
	return fake_host.loop_runs;
}

struct fiber *fiber_self(void)
{
	return fake_host.in_fiber ? (struct fiber *)(void *)&fake_host : NULL;
}

bool fiber_wait(uint64_t deadline)
{
	bool woken = fake_host.wake_comes;

	assert_true(fake_host.in_fiber);
	fake_host.wake_comes = false;
	time_pass(woken ? fake_host.now + 1000 : deadline);
	return woken;
}

void fiber_wake(struct fiber *fiber)
{
	assert_ptr_equal(fiber, fiber_self());
	fake_host.wakes_given++;
}

void log_write(enum log_level level, const char *format, ...)
{
	size_t used = strlen(fake_host.log);
	va_list arguments;

	fake_host.errors += level == LOG_ERROR;
	fake_host.warnings += level == LOG_WARN;
	va_start(arguments, format);
	vsnprintf(fake_host.log + used, sizeof(fake_host.log) - used, format, arguments);
	va_end(arguments);
}

void *mem_pages_alloc(unsigned count)
{
	void *pages;

	if (fake_host.has_low_memory)
		pages = mmap(NULL, count * PAGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	else
		pages = aligned_alloc(PAGE_BYTES, count * PAGE_BYTES);
	assert_true(pages != NULL && pages != MAP_FAILED);
	return memset(pages, 0, count * PAGE_BYTES);
}

void mem_pages_free(void *pages, unsigned count)
{
	if ((uintptr_t)pages < 4 * GIB)
		munmap(pages, count * PAGE_BYTES);
	else
		free(pages);
}

volatile void *pagetable_map_device(struct hpa start, uint64_t bytes)
{
	assert_true(bytes > 0);
	return hpa_pointer(start);
}
