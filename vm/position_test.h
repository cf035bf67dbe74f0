// SPDX-License-Identifier: BSD-2-Clause
// The self-test of what counts positions.
#ifndef VM_POSITION_TEST_H
#define VM_POSITION_TEST_H

// Once at boot, with the engine ready and no vcpu loaded: runs known code in a guest of one page,
// sets position_source (kernel/position.h), and tells the log.
void position_self_test(void);

#endif
