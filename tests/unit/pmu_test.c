// SPDX-License-Identifier: BSD-2-Clause
// The performance counter against a model of one: a CPU that retires branches, counts them when and
// where the select register says, and interrupts late.
#include <string.h>

#include "kernel/pmu.h"
#include "kernel/x86.h"
#include "tests/unit/fake_env.h"

#define SELECT_ENABLE BIT(22)
#define GUEST_ONLY    BIT(40)

struct fake_x86 fake_x86;

static struct {
	struct cpuid leaf0, leaf1, leaf_a, extended;
	uint64_t capabilities;
	uint64_t select, counter, global, reset;
	bool intel;
	unsigned bits;
	unsigned skid;      // instructions from the overflow to the interrupt
	unsigned overcount; // ticks too many for each interruption
	uint32_t last_counter_msr;
} model;

const struct cpuid *fake_leaf(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	switch (leaf) {
	case 0:
		return &model.leaf0;
	case 1:
		return &model.leaf1;
	case 0x0a:
		return &model.leaf_a;
	case 0x80000001:
		return &model.extended;
	default:
		return NULL;
	}
}

static uint64_t mask(void)
{
	return BIT(model.bits) - 1;
}

static void msr_write(uint32_t msr, uint64_t value)
{
	switch (msr) {
	case 0x186:
	case 0xc0010200:
		assert_int_equal(msr == 0x186, model.intel);
		model.select = value;
		break;
	case 0xc1: // sign-extended from bit 31: SDM vol. 3, 20.2.8
		assert_true(value <= UINT32_MAX);
		model.counter = (uint64_t)(int64_t)(int32_t)(uint32_t)value & mask();
		model.last_counter_msr = msr;
		break;
	case 0x4c1:
	case 0xc0010201:
		assert_true(value <= mask());
		model.counter = value;
		model.last_counter_msr = msr;
		break;
	case 0x38f:
		assert_true(model.intel);
		model.global = value;
		break;
	case 0x390:
		model.reset = value;
		break;
	default:
		fail_msg("MSR %x", msr);
	}
}

static uint64_t msr_read(uint32_t msr)
{
	if (msr == 0x345)
		return model.capabilities;
	assert_int_equal(msr, model.last_counter_msr);
	return model.counter;
}

// The guest's (or the host's) next `count` branches. Returns how many had run when the interrupt
// came, or 0.
static uint64_t retire(uint64_t count, bool guest)
{
	uint64_t overflowed = 0;

	for (uint64_t i = 1; i <= count; i++) {
		if ((model.select & SELECT_ENABLE) != 0 && (!model.intel || model.global != 0) &&
			(guest || (model.select & GUEST_ONLY) == 0)) {
			model.counter = (model.counter + 1) & mask();
			if (model.counter == 0 && (model.select & BIT(20)) != 0)
				overflowed = i;
		}
		if (overflowed != 0 && i >= overflowed + model.skid) {
			model.counter = (model.counter + model.overcount) & mask();
			return i;
		}
	}
	return 0;
}

static int setup_intel(void **state)
{
	(void)state;
	memset(&model, 0, sizeof(model));
	fake_x86 = (struct fake_x86){.msr_write = msr_write, .msr_read = msr_read};
	model.intel = true;
	model.bits = 48;
	model.leaf0 = (struct cpuid){0x16, 0x756e6547, 0x6c65746e, 0x49656e69};
	model.leaf1 = (struct cpuid){0x000506e3, 0, (uint32_t)BIT(15), 0}; // Skylake, PDCM
	model.leaf_a = (struct cpuid){0x07300404, 0, 0, 0x603};
	model.capabilities = BIT(13);
	return 0;
}

static int setup_amd(void **state)
{
	(void)setup_intel(state);
	model.intel = false;
	model.leaf0 = (struct cpuid){0x10, 0x68747541, 0x444d4163, 0x69746e65};
	model.leaf1 = (struct cpuid){0x00a20f10, 0, 0, 0}; // family 19h
	model.extended.ecx = (uint32_t)BIT(23);
	return 0;
}

static struct pmu find(enum pmu_event event)
{
	const char *reason = NULL;
	struct pmu pmu;

	assert_int_equal(pmu_find(event, &pmu, &reason), STATUS_OK);
	return pmu;
}

static void expect_none(enum pmu_event event, const char *part)
{
	const char *reason = "";
	struct pmu pmu;

	assert_int_equal(pmu_find(event, &pmu, &reason), STATUS_UNSUPPORTED);
	assert_non_null(strstr(reason, part));
}

// SDM vol. 3, figure 20-6, and APM vol. 2, figure 13-27: event, unit mask, USR, OS, INT, EN.
static void the_select_register_is_encoded(void **state)
{
	setup_intel(state);
	assert_true(find(PMU_BRANCHES).select == 0x5301c4);
	assert_true(find(PMU_INSTRUCTIONS).select == 0x5300c0);
	model.leaf1.eax = 0x000606a6; // Ice Lake
	assert_true(find(PMU_BRANCHES).select == 0x5311c4);
	setup_amd(state);
	assert_true(find(PMU_BRANCHES).select == (0x5300d1 | GUEST_ONLY));
	assert_true(find(PMU_INSTRUCTIONS).select == (0x5300c0 | GUEST_ONLY));
}

static void what_is_not_known_is_refused(void **state)
{
	setup_intel(state);
	model.leaf1.eax = 0x000906c0; // an Atom: another unit mask
	expect_none(PMU_BRANCHES, "model");
	(void)find(PMU_INSTRUCTIONS);
	model.leaf_a.ebx = 2;
	expect_none(PMU_INSTRUCTIONS, "EBX bit 1");
	model.leaf_a.eax = 0x07300401;
	expect_none(PMU_INSTRUCTIONS, "CPUID 0A EAX");
	setup_amd(state);
	model.extended.ecx = 0;
	expect_none(PMU_BRANCHES, "80000001");
	model.leaf1.eax = 0x00600f12;
	expect_none(PMU_BRANCHES, "family");
	model.leaf0.ebx = 0x746e6543;
	expect_none(PMU_BRANCHES, "neither");
}

static void only_the_guest_is_counted(void **state)
{
	struct pmu pmu;

	for (unsigned i = 0; i < 2; i++) {
		(void)(i == 0 ? setup_intel(state) : setup_amd(state));
		pmu = find(PMU_BRANCHES);
		retire(100, false);
		pmu_start(&pmu);
		assert_int_equal(retire(1234, true), 0);
		if (i != 0)
			retire(55, false); // the host's, between #VMEXIT and pmu_stop
		assert_int_equal(pmu_stop(&pmu), 1234);
		retire(100, false);
		retire(100, true);
		pmu_start(&pmu);
		assert_int_equal(pmu_stop(&pmu), 0);
	}
}

// The interrupt comes `skid` after the overflow, and the count goes on meanwhile.
static void an_overflow_interrupts_late(void **state)
{
	static const unsigned skids[] = {0, 1, 57, 200};
	struct pmu pmu;

	for (unsigned i = 0; i < 2 * ARRAY_COUNT(skids); i++) {
		(void)(i % 2 == 0 ? setup_intel(state) : setup_amd(state));
		model.skid = skids[i / 2];
		pmu = find(PMU_BRANCHES);
		pmu_arm(&pmu, 5000);
		pmu_start(&pmu);
		assert_int_equal(retire(10000, true), 5000 + model.skid);
		assert_int_equal(pmu_stop(&pmu), 5000 + model.skid);
		pmu_acknowledge(&pmu);
		assert_true(model.reset == (model.intel ? 1 : 0));
		pmu_arm(&pmu, 0);
		pmu_start(&pmu);
		assert_int_equal(retire(100000, true), 0);
		assert_int_equal(pmu_stop(&pmu), 100000);
	}
}

// Overcounting is not hidden: the self-test must see it.
static void an_overcount_shows(void **state)
{
	struct pmu pmu;

	setup_amd(state);
	model.overcount = 1;
	pmu = find(PMU_INSTRUCTIONS);
	pmu_arm(&pmu, 50);
	pmu_start(&pmu);
	assert_int_equal(retire(100, true), 50);
	assert_int_equal(pmu_stop(&pmu), 51);
}

// Without full-width writes only 31 bits can be waited for.
static void narrow_writes_wait_less_far(void **state)
{
	struct pmu pmu;

	setup_intel(state);
	model.capabilities = 0;
	pmu = find(PMU_BRANCHES);
	assert_int_equal(pmu.counter_msr, 0xc1);
	assert_true(pmu.arm_max == BIT(31) - 1);
	pmu_arm(&pmu, 1);
	pmu_start(&pmu);
	assert_true(model.counter == mask());
	assert_int_equal(retire(10, true), 1);
	assert_int_equal(pmu_stop(&pmu), 1);
	pmu_arm(&pmu, BIT(40));
	assert_true(pmu.armed == pmu.arm_max);
	pmu_start(&pmu);
	assert_true(((0 - model.counter) & mask()) == pmu.arm_max);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_select_register_is_encoded),
		cmocka_unit_test(what_is_not_known_is_refused),
		cmocka_unit_test(only_the_guest_is_counted),
		cmocka_unit_test(an_overflow_interrupts_late),
		cmocka_unit_test(an_overcount_shows),
		cmocka_unit_test(narrow_writes_wait_less_far),
	};

	return cmocka_run_group_tests_name("pmu", tests, NULL, NULL);
}
