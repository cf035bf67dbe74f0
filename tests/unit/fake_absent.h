// SPDX-License-Identifier: BSD-2-Clause
// What a test's machine does not have: cores that serve queues, and disks that answer at once. For
// one source of a test.
#ifndef TESTS_UNIT_FAKE_ABSENT_H
#define TESTS_UNIT_FAKE_ABSENT_H

#include "kernel/base/assert.h"
#include "vm/dataplane.h"
#include "vm/disk_backend.h"

enum status dataplane_give(struct dataplane *plane)
{
	(void)plane;
	ASSERT_UNREACHABLE("a data plane");
}

void dataplane_take(struct dataplane *plane)
{
	(void)plane;
	ASSERT_UNREACHABLE("a data plane");
}

void dataplane_kick(struct dataplane *plane)
{
	(void)plane;
	ASSERT_UNREACHABLE("a data plane");
}

enum status disk_backend_copy(void *owner, const struct backend_slot *slot,
	struct guest_ram *ram)
{
	(void)owner;
	(void)slot;
	(void)ram;
	return STATUS_AGAIN;
}

#endif
