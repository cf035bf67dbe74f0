// SPDX-License-Identifier: BSD-2-Clause
// A vcpu's state, saved and loaded, for tests of either engine. The test says which vcpu is VCPU.
#ifndef TESTS_UNIT_INFLIGHT_H
#define TESTS_UNIT_INFLIGHT_H

// Into a vcpu that has just been reset, as a load does.
static inline struct vcpu_state carried(void)
{
	struct vcpu_state before, after;

	vcpu_get_state(VCPU, &before);
	vcpu_reset(VCPU, VCPU_RESET_POWER);
	assert_false(vcpu_event_pending(VCPU));
	assert_int_equal(vcpu_set_state(VCPU, &before), STATUS_OK);
	vcpu_get_state(VCPU, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	return after;
}

#endif
