// SPDX-License-Identifier: BSD-2-Clause
// Random numbers are no way out: a recordable machine's CPUID has neither RDRAND nor RDSEED, and
// where the CPU can be told so they are #UD. AMD-V cannot: there the payload does as CPUID says.
#include "lib/det.h"
#include "lib/snippet.h"

PAYLOAD("det_random");

#define RANDOMS(X)                                                                                 \
	X(rdrand16, "", "rdrand %ax", "")                                                          \
	X(rdrand32, "", "rdrand %eax", "")                                                         \
	X(rdrand64, "", "rdrand %r10", "")                                                         \
	X(rdseed16, "", "rdseed %ax", "")                                                          \
	X(rdseed32, "", "rdseed %eax", "")                                                         \
	X(rdseed64, "", "rdseed %r10", "")

SNIPPETS(randoms, RANDOMS)

void payload_main(void)
{
	unsigned rdrand = cpuid(1, 0).ecx >> 30 & 1, rdseed = cpuid(7, 0).ebx >> 18 & 1;

	report("cpuid.rdrand = %u", rdrand);
	report("cpuid.rdseed = %u", rdseed);
	if (det_is_intel() || rdrand != 0 || rdseed != 0) {
		SNIPPETS_REPORT("kernel", randoms, false, 0, NULL);
		SNIPPETS_REPORT("user", randoms, true, 0, NULL);
	} else {
		report("not enforced");
	}
}
