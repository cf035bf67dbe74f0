// SPDX-License-Identifier: BSD-2-Clause
// AMD's engine on a control block in host memory: what its tests share.
#ifndef TESTS_UNIT_SVM_TEST_H
#define TESTS_UNIT_SVM_TEST_H

#include "kernel/x86.h"
#include "tests/unit/fake_env.h"
#include "vmx/svm.h"

extern struct svm_vcpu svm_test_vcpu;
extern struct svm_vmcb svm_test_vmcb;
extern struct fake_x86 fake_x86;

// cmocka's setup: a vcpu as after vcpu_create, at an exit from 64-bit code at CPL 0, interrupts on.
int svm_test_setup(void **state);
// As vcpu_enter leaves the control block after each entry: nothing has changed since.
void svm_test_clean(void);
// The clean bits that were cleared since; cleans again.
uint64_t svm_test_dirtied(void);

#endif
