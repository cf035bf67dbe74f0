// SPDX-License-Identifier: BSD-2-Clause
// The machine below drivers, for unit tests: PCI functions with configuration space, and of the
// kernel what drivers use. Time is in nanoseconds and passes by waiting, and a little by looking at
// it. To be compiled with -Itests/unit/fake_ports.
#ifndef TESTS_UNIT_FAKE_HOST_H
#define TESTS_UNIT_FAKE_HOST_H

#include "tests/unit/fake_env.h"

#include "kernel/pci.h"

enum { FAKE_FUNCTIONS = 8, FAKE_CONFIG_WORDS = 64, FAKE_LOG_BYTES = 4096 };

#define FAKE_START_NS (1000 * NS_PER_SECOND)

struct fake_function {
	struct pci_address at;
	uint32_t config[FAKE_CONFIG_WORDS];
	uint32_t writable[FAKE_CONFIG_WORDS]; // bits
	unsigned decoded_writes; // of BARs while the function answered to addresses
};

struct fake_host {
	struct fake_function functions[FAKE_FUNCTIONS];
	unsigned function_count;
	uint32_t selected; // what was last written to 0xcf8
	uint64_t now; // FAKE_START_NS at first
	unsigned address_bits; // of the CPU
	bool in_fiber, loop_runs;
	bool has_low_memory; // pages come from below 4 GiB
	bool wake_comes; // with the next wait
	unsigned wakes_given; // by fiber_wake
	unsigned waits;       // fiber_wait and clock_wait_us
	uint64_t longest_spin, spin_start; // time between waits
	char log[FAKE_LOG_BYTES];
	unsigned errors, warnings; // lines of the log
	// The test's: ports but those of PCI, registers in memory, and what happens while somebody
	// waits. May be NULL.
	uint32_t (*port_in)(uint16_t port, unsigned bytes);
	void (*port_out)(uint16_t port, unsigned bytes, uint32_t value);
	uint32_t (*mmio_in)(uint64_t address, unsigned bytes);
	void (*mmio_out)(uint64_t address, unsigned bytes, uint32_t value);
	void (*passes)(void);
	struct boot_info info;
};
extern struct fake_host fake_host;

// Forgets all. RAM is from 1 to 256 MiB, and from 4 to 5 GiB.
void fake_host_reset(void);
// Functions must come in the order of their addresses.
struct fake_function *fake_function_add(unsigned bus, unsigned slot, unsigned function,
	uint32_t id, uint16_t class);
// A BAR of `bytes` (a power of two) at `address`; `flags` are its lowest bits.
void fake_bar_set(struct fake_function *function, unsigned index, uint32_t flags, uint64_t bytes,
	uint64_t address);
// A byte of configuration space, for the test.
void fake_config_set(struct fake_function *function, unsigned offset, unsigned bytes,
	uint32_t value);
uint32_t fake_config_get(const struct fake_function *function, unsigned offset, unsigned bytes);
// What pci_init made of it.
const struct pci_function *fake_pci(unsigned index);

#endif
