// SPDX-License-Identifier: BSD-2-Clause
// What of VT-x is demanded, and that a message names what is not there. SDM vol. 3, appendix A.
#include "tests/unit/vmx_test.h"

#include <stdio.h>
#include <string.h>

#include "kernel/mem.h"

static enum status detect(const char **reason)
{
	*reason = "";
	return vmx_detect(reason);
}

static void refused(uint32_t msr, uint64_t value, const char *words)
{
	const char *reason;

	vmx_test_capabilities();
	fake_msr_set(msr, value);
	assert_int_equal(detect(&reason), STATUS_UNSUPPORTED);
	if (strstr(reason, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", reason, words);
}

static void clear_bit(uint32_t msr, unsigned bit, const char *words)
{
	vmx_test_capabilities();
	refused(msr, rdmsr(msr) & ~BIT(bit), words);
}

static void set_bit(uint32_t msr, unsigned bit, const char *words)
{
	vmx_test_capabilities();
	refused(msr, rdmsr(msr) | BIT(bit), words);
}

// Bits 63:32 are what may be set.
static void missing_controls_are_named(void **state)
{
	static const uint8_t pin[] = {0, 3, 5};
	static const uint8_t proc[] = {2, 3, 7, 10, 11, 21, 22, 24, 28, 29, 31};
	static const uint8_t proc2[] = {1, 5, 6, 7}, exits[] = {2, 9, 18, 19, 21};
	static const uint8_t entry[] = {2, 9, 14, 15};
	char words[64];

	(void)state;
#define EACH(bits, msr, name)                                                                      \
	for (unsigned i = 0; i < ARRAY_COUNT(bits); i++) {                                         \
		snprintf(words, sizeof(words), name " control bit %u cannot be set", bits[i]);     \
		clear_bit(msr, 32 + bits[i], words);                                               \
	}
	EACH(pin, MSR_VMX_TRUE_PIN, "pin-based")
	EACH(proc, MSR_VMX_TRUE_PIN + 1, "processor-based")
	EACH(exits, MSR_VMX_TRUE_PIN + 2, "exit")
	EACH(entry, MSR_VMX_TRUE_PIN + 3, "entry")
	EACH(proc2, MSR_VMX_PROC2, "secondary processor-based")
	set_bit(MSR_VMX_TRUE_PIN + 1, 15, "processor-based control bit 15 cannot be cleared");
	set_bit(MSR_VMX_TRUE_PIN + 1, 16, "processor-based control bit 16 cannot be cleared");
}

static void missing_memory_features_are_named(void **state)
{
	(void)state;
	clear_bit(MSR_VMX_EPT_VPID_CAP, 6, "bit 6");
	clear_bit(MSR_VMX_EPT_VPID_CAP, 14, "bit 14");
	clear_bit(MSR_VMX_EPT_VPID_CAP, 16, "bit 16");
	clear_bit(MSR_VMX_EPT_VPID_CAP, 20, "bit 20");
	clear_bit(MSR_VMX_EPT_VPID_CAP, 32, "bit 32");
	clear_bit(MSR_VMX_EPT_VPID_CAP, 42, "bit 42");
}

// Single context where it is there, else all.
static void invalidations_use_what_there_is(void **state)
{
	const char *reason;

	(void)state;
	assert_int_equal(detect(&reason), STATUS_OK);
	assert_int_equal(vmx_features.invept, VMX_INVALIDATE_CONTEXT);
	assert_int_equal(vmx_features.invvpid, VMX_INVALIDATE_CONTEXT);
	assert_true(vmx_features.accessed_dirty);
	fake_msr_set(MSR_VMX_EPT_VPID_CAP,
		rdmsr(MSR_VMX_EPT_VPID_CAP) & ~(BIT(25) | BIT(41) | BIT(21)));
	assert_int_equal(detect(&reason), STATUS_OK);
	assert_int_equal(vmx_features.invept, VMX_INVALIDATE_ALL);
	assert_int_equal(vmx_features.invvpid, VMX_INVALIDATE_ALL);
	assert_false(vmx_features.accessed_dirty);
}

// 24.7: unlocked, it is ours to set; locked without the bit, firmware has decided.
static void feature_control_is_set_or_told(void **state)
{
	const char *reason;

	(void)state;
	vmx_test_capabilities();
	assert_int_equal(detect(&reason), STATUS_OK);
	assert_int_equal(rdmsr(MSR_FEATURE_CONTROL), 5);
	refused(MSR_FEATURE_CONTROL, 1, "IA32_FEATURE_CONTROL (MSR 3a) bit 2");
	vmx_test_capabilities();
	fake_msr_set(MSR_FEATURE_CONTROL, 5);
	assert_int_equal(detect(&reason), STATUS_OK);
}

// Older CPUs have no "true" registers; then CR3 exits cannot be turned off.
static void old_capabilities_are_read(void **state)
{
	const char *reason;

	(void)state;
	vmx_test_capabilities();
	fake_msr_set(MSR_VMX_BASIC, 0x11);
	for (unsigned i = 0; i < 4; i++)
		fake_msr_set(MSR_VMX_PIN + i, rdmsr(MSR_VMX_TRUE_PIN + i));
	assert_int_equal(detect(&reason), STATUS_OK);
	fake_msr_set(MSR_VMX_PIN + 1, 0xfff9fffe0401e172);
	assert_int_equal(detect(&reason), STATUS_UNSUPPORTED);
	assert_non_null(strstr(reason, "bit 15 cannot be cleared (MSR 482)"));
}

// SDM vol. 3, table 25-7: RDRAND (11) and RDSEED (16) exit, RDTSCP (3) and INVPCID (12) are not
// enabled; those that are never offered are off whatever the guest has: VM functions (13), XSAVES
// (20), UMWAIT and TPAUSE (26), PCONFIG (27).
static void what_is_not_offered_is_undefined(void **state)
{
	const uint64_t never = BIT(13) | BIT(20) | BIT(26) | BIT(27);
	struct cpuid_offer offer = vmx_test_offer;
	struct vcpu *other;
	uint64_t controls;

	(void)state;
	fake_msr_set(MSR_VMX_PROC2, UINT64_C(0xffffffff) << 32);
	for (unsigned all = 0; all < 2; all++) {
		offer.rdtscp = offer.rdpid = offer.invpcid = offer.rdrand = offer.rdseed = all;
		assert_int_equal(vcpu_create(vmx_test_map, &offer, &other), STATUS_OK);
		vcpu_load(other);
		assert_int_equal(FIELD(PROC2_CONTROLS) & (BIT(3) | BIT(12)),
			all ? BIT(3) | BIT(12) : 0);
		assert_int_equal(FIELD(PROC2_CONTROLS) & (BIT(11) | BIT(16)),
			all ? 0 : BIT(11) | BIT(16));
		assert_int_equal(FIELD(PROC2_CONTROLS) & never, 0);
		controls = FIELD(PROC2_CONTROLS);
		vcpu_intercept_pause(other, VCPU_PAUSE_LOOPS);
		assert_int_equal(FIELD(PROC2_CONTROLS), controls | VMX_PROC2_PAUSE_LOOP);
		vcpu_destroy(other);
	}
	offer.rdpid = true; // the same control as RDTSCP's
	offer.rdtscp = false;
	assert_int_equal(vcpu_create(vmx_test_map, &offer, &other), STATUS_OK);
	vcpu_load(other);
	assert_int_equal(FIELD(PROC2_CONTROLS) & BIT(3), BIT(3));
	vcpu_destroy(other);
}

static void vmx_off(void)
{
	mem_pages_free(hpa_pointer((struct hpa){fake_vmx.region}), 1);
	fake_vmx.region = 0;
}

// SDM vol. 4, table 2-2: IA32_TSX_CTRL (122), bit 0, where IA32_ARCH_CAPABILITIES (10a) bit 7 says
// so; else IA32_TSX_FORCE_ABORT (10f), bit 0, with CPUID 7 EDX bit 13.
static void transactions_always_abort(void **state)
{
	const char *reason;

	(void)state;
	vmx_test_leaf7.edx = 1u << 29 | 1u << 13;
	fake_msr_set(0x10a, BIT(7));
	vmx_off();
	assert_int_equal(vcpu_engine_cpu_init(&reason), STATUS_OK);
	assert_int_equal(rdmsr(0x122), 1);
	assert_int_equal(rdmsr(0x10f), 0);
	vmx_test_capabilities();
	vmx_off();
	assert_int_equal(vcpu_engine_cpu_init(&reason), STATUS_OK);
	assert_int_equal(rdmsr(0x122), 0);
	assert_int_equal(rdmsr(0x10f), 1);
	vmx_test_capabilities();
	vmx_off();
	vmx_test_leaf7.edx = 1u << 10; // neither
	assert_int_equal(vcpu_engine_cpu_init(&reason), STATUS_OK);
	assert_int_equal(rdmsr(0x122) | rdmsr(0x10f), 0);
}

static void the_engine_is_described(void **state)
{
	char text[128];
	const char *reason;

	(void)state;
	vmx_test_capabilities();
	assert_int_equal(detect(&reason), STATUS_OK);
	vcpu_engine_describe(text, sizeof(text));
	assert_string_equal(text, "VT-x (VMX) revision 11, EPT with A/D flags, VPID, unrestricted "
				  "guest, monitor trap flag, preemption timer");
	assert_int_equal(vcpu_engine_cpu_init(&reason), STATUS_UNSUPPORTED); // VMXON twice
	assert_non_null(strstr(reason, "VMXON"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, vmx_test_setup, vmx_test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(missing_controls_are_named),
		TEST(missing_memory_features_are_named),
		TEST(invalidations_use_what_there_is),
		TEST(feature_control_is_set_or_told),
		TEST(old_capabilities_are_read),
		TEST(what_is_not_offered_is_undefined),
		TEST(transactions_always_abort),
		TEST(the_engine_is_described),
	};

	return cmocka_run_group_tests_name("vmx_detect", tests, NULL, NULL);
}
