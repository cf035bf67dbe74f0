// SPDX-License-Identifier: BSD-2-Clause
// Network devices for the machine of snapshot_bench.h, as many as bench_nic_count says when it is
// made.
#ifndef TESTS_UNIT_SNAPSHOT_NICS_H
#define TESTS_UNIT_SNAPSHOT_NICS_H

#include "vm/nic.h"
#include "vm/vm.h"

static uint32_t bench_nic_count;
static struct nic bench_nics[VM_NICS_MAX];
static unsigned bench_nics_held;

static inline void bench_nics_make(struct vm *of)
{
	of->config.nic_count = bench_nic_count;
	memset(bench_nics, 0, sizeof(bench_nics));
	for (uint32_t i = 0; i < bench_nic_count; i++) {
		of->config.nics[i] = (struct vm_nic_config){.network = "lan",
			.mac = {2, 0, 0, 0, 0, (uint8_t)i}};
		of->nics[i] = &bench_nics[i];
		bench_nics[i].vm = of;
	}
}

// While vcpus are exchanged.
void nics_hold(struct vm *of)
{
	(void)of;
	bench_nics_held++;
}

void nics_release(struct vm *of)
{
	(void)of;
	assert_int_equal(bench_nics_held--, 1);
}

#endif
