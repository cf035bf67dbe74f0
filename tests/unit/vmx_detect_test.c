// SPDX-License-Identifier: BSD-2-Clause
// What of VT-x is demanded, and that a message names what is not there. SDM vol. 3, appendix A.
#include "tests/unit/vmx_test.h"

#include <stdio.h>
#include <string.h>

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
		TEST(the_engine_is_described),
	};

	return cmocka_run_group_tests_name("vmx_detect", tests, NULL, NULL);
}
