// SPDX-License-Identifier: BSD-2-Clause
// A test facility (test_save_load in docs/configuration.md): after a vcpu's first exit, and then
// after every so many on average, the machine is saved, loaded into a fresh instance, the two are
// compared, and it goes on as the new one. Guest time stands still meanwhile. What an exit leaves
// behind and no table has is lost here, and shows in what the guest does.
//
// An exit for the host's sake counts only where the guest has moved since the last time: the test
// itself causes such exits.
#ifndef VM_SAVE_LOAD_TEST_H
#define VM_SAVE_LOAD_TEST_H

#include "vm/vm.h"

// For a machine whose configuration asks for it, before its vcpus have cores. STATUS_NO_MEMORY.
must_check enum status save_load_create(struct vm *vm);
void save_load_destroy(struct vm *vm);

// The run loop, at the point before the next entry. True: the vcpu shall rest for it.
must_check bool save_load_is_due(struct vm_vcpu *vcpu, uint64_t tsc);
// At home: all vcpus rest.
void save_load_wake(struct vm *vm);

#endif
