// SPDX-License-Identifier: BSD-2-Clause
// Requests come to the core as messages, wait in a ring there, and are done by the fiber. The ring
// and the end are that core's alone; `kept` is the fiber's, or of who holds the machine.
#include "vm/flash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/region.h"
#include "emul/pflash.h"
#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/fiber.h"
#include "kernel/loop.h"
#include "kernel/mem.h"
#include "kernel/smp.h"
#include "vm/vm.h"

enum {
	FAILURES_TOLD = 8,
	VOLUME_HEADER_BYTES = 56,
	VOLUME_LENGTH = 32,
	VOLUME_SIGNATURE = 40,
};

struct flash {
	const char *machine;   // (c) its name
	const char *name;      // (c) the region's
	struct region *region; // (c) NULL: it is left alone
	uint64_t bytes;        // (c)
	uint8_t *kept;         // what the region has
	uint32_t failures;
	struct cpu *core; // (c)
	struct fiber *fiber;
	struct cpu_message leave; // the fiber shall end, and free this
	bool left;
	bool *gone; // where it says that it has; NULL: nobody waits
	struct backend_request *waiting[DEVICE_IO_MAX];
	uint32_t first, count;
};

bool flash_is_volume(const uint8_t *bytes, uint64_t count, uint64_t *volume_bytes)
{
	if (count < VOLUME_HEADER_BYTES || memcmp(bytes + VOLUME_SIGNATURE, "_FVH", 4) != 0)
		return false;
	memcpy(volume_bytes, bytes + VOLUME_LENGTH, sizeof(*volume_bytes));
	return true;
}

static enum status kept_write(struct flash *flash, uint64_t offset, const uint8_t *data,
	uint64_t bytes)
{
	enum status status = region_write(flash->region, offset, data, bytes);

	if (status == STATUS_OK)
		status = region_flush(flash->region);
	if (status == STATUS_OK)
		memcpy(flash->kept + offset, data, bytes);
	else if (flash->failures++ < FAILURES_TOLD)
		log_error("%s: %s does not take firmware's variables at offset %llu: %s",
			flash->machine, flash->name, (unsigned long long)offset,
			status_name(status));
	return status;
}

static void serve(void *argument)
{
	struct flash *flash = argument;
	bool *gone;

	while (!flash->left) {
		struct backend_request *request;

		if (flash->count == 0) {
			(void)fiber_wait(TIMER_NEVER);
			continue;
		}
		request = flash->waiting[flash->first];
		flash->first = (flash->first + 1) % DEVICE_IO_MAX;
		flash->count--;
		backend_done(request, kept_write(flash, request->offset, request->data,
			request->bytes));
		fiber_yield();
	}
	gone = flash->gone;
	free(flash);
	if (gone != NULL)
		__atomic_store_n(gone, true, __ATOMIC_RELEASE);
}

// On the flash's core.
static void request_arrived(struct cpu_message *message)
{
	struct backend_request *request = CONTAINER_OF(message, struct backend_request, message);
	struct flash *flash = request->backend->owner;

	ASSERT(flash->count < DEVICE_IO_MAX); // as many as a port may have
	flash->waiting[(flash->first + flash->count++) % DEVICE_IO_MAX] = request;
	fiber_wake(flash->fiber);
}

uint8_t *flash_contents(const struct vm *vm)
{
	const struct device_memory *memory = &vm->device_memory;

	ASSERT(vm->config.flash.image != NULL && memory->block_count > memory->shown_count);
	return memory->blocks[memory->block_count - 1];
}

// Under the device lock: as the flash is now.
void flash_submit(void *owner, struct backend_request *request)
{
	struct flash *flash = owner;

	if (request->kind != DEVICE_IO_FLUSH || request->bytes > DEVICE_IO_BYTES_MAX ||
		request->offset > flash->bytes ||
		request->bytes > flash->bytes - request->offset) {
		backend_done_at_once(request, STATUS_FAIL(STATUS_RANGE));
	} else if (flash->region == NULL) {
		backend_done_at_once(request, STATUS_OK);
	} else {
		memcpy(request->data, flash_contents(request->backend->device->vm) +
			request->offset, request->bytes);
		request->message.run = request_arrived;
		smp_post(flash->core, &request->message);
	}
}

void flash_fill(struct vm *vm)
{
	memcpy(flash_contents(vm), vm->flash->kept, vm->flash->bytes);
	vm->device_memory.written[vm->device_memory.block_count - 1] = 1;
}

void flash_sync(struct vm *vm)
{
	struct flash *flash = vm->flash;
	const uint8_t *now;

	if (flash == NULL || flash->region == NULL)
		return;
	now = flash_contents(vm);
	for (uint64_t at = 0; at < flash->bytes; at += PFLASH_BLOCK_BYTES)
		if (memcmp(flash->kept + at, now + at, PFLASH_BLOCK_BYTES) != 0 &&
			kept_write(flash, at, now + at, PFLASH_BLOCK_BYTES) != STATUS_OK)
			return;
}

static bool is_all(const uint8_t *bytes, uint64_t count, uint8_t value)
{
	while (count > 0 && *bytes == value) {
		bytes++;
		count--;
	}
	return count == 0;
}

// The first block, by which it is known, comes last: until then it is none.
static enum status region_initialise(struct flash *flash, const uint8_t *image)
{
	const uint64_t first = PFLASH_BLOCK_BYTES;
	enum status status = STATUS_OK;

	if (flash->bytes > first)
		status = kept_write(flash, first, image + first, flash->bytes - first);
	return status == STATUS_OK ? kept_write(flash, 0, image, first) : status;
}

// Nobody's disk is overwritten because of a wrong name.
static enum status region_take(struct flash *flash, const struct vm_flash_config *config,
	char error[])
{
	uint64_t volume = 0;
	enum status status = region_read(flash->region, 0, flash->kept, flash->bytes);

	if (status == STATUS_OK && flash_is_volume(flash->kept, flash->bytes, &volume)) {
		if (volume == flash->bytes)
			return STATUS_OK;
		snprintf(error, VM_ERROR_MAX, "pflash: %s has variables of another firmware: %llu "
			"bytes of them, expected %llu", config->region, (unsigned long long)volume,
			(unsigned long long)flash->bytes);
		return STATUS_FAIL(STATUS_REFUSED);
	}
	if (status == STATUS_OK && !is_all(flash->kept, PFLASH_BLOCK_BYTES, 0) &&
		!is_all(flash->kept, PFLASH_BLOCK_BYTES, 0xff)) {
		snprintf(error, VM_ERROR_MAX, "pflash: %s has something else than firmware's "
			"variables: write zeros to its start if that is to go", config->region);
		return STATUS_FAIL(STATUS_REFUSED);
	}
	if (status == STATUS_OK)
		status = region_initialise(flash, config->image);
	if (status == STATUS_OK)
		log_info("%s: %s is new: it has the variables that firmware comes with",
			flash->machine, config->region);
	else
		snprintf(error, VM_ERROR_MAX, "pflash: %s: %s", config->region,
			status_name(status));
	return status;
}

static enum status region_use(struct flash *flash, const struct vm_flash_config *config,
	char error[])
{
	char reason[REGION_ERROR_MAX], owner[REGION_OWNER_MAX];
	enum status status = region_open(config->region, &flash->region, reason);

	snprintf(owner, sizeof(owner), "the flash of %s", flash->machine);
	if (status == STATUS_OK)
		status = region_claim(flash->region, owner, flash->region->read_only
			? REGION_READ : REGION_WRITE, reason);
	if (status != STATUS_OK) {
		snprintf(error, VM_ERROR_MAX, "pflash: %s", reason);
		return status;
	}
	if (flash->region->read_only || flash->region->bytes < flash->bytes) {
		snprintf(error, VM_ERROR_MAX, flash->region->read_only
			? "pflash: %s cannot be written" : "pflash: %s has %llu bytes, expected at "
			"least %llu", config->region, (unsigned long long)flash->region->bytes,
			(unsigned long long)flash->bytes);
		return STATUS_FAIL(STATUS_REFUSED);
	}
	return region_take(flash, config, error);
}

static void fiber_begin(void *argument)
{
	struct flash *flash = argument;

	flash->fiber = fiber_create("flash", serve, flash);
}

static void parts_destroy(struct flash *flash)
{
	if (flash->region != NULL)
		region_close(flash->region);
	if (flash->kept != NULL)
		mem_large_free(flash->kept);
	flash->region = NULL;
	flash->kept = NULL;
}

enum status flash_create(const struct vm_config *config, struct flash **created, char error[])
{
	struct flash *flash = calloc(1, sizeof(*flash));
	enum status status = STATUS_OK;

	if (flash != NULL)
		flash->kept = mem_large_alloc();
	if (flash == NULL || flash->kept == NULL) {
		free(flash);
		snprintf(error, VM_ERROR_MAX, "pflash: no memory for it");
		return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	ASSERT(config->flash.bytes <= PFLASH_MEMORY_BYTES);
	flash->machine = config->name;
	flash->name = config->flash.region;
	flash->bytes = config->flash.bytes;
	flash->core = cpu_get(cpu_count() - 1);
	memcpy(flash->kept, config->flash.image, flash->bytes);
	if (!config->flash.detached)
		status = region_use(flash, &config->flash, error);
	if (status == STATUS_OK) {
		smp_call(flash->core, fiber_begin, flash);
		if (flash->fiber != NULL) {
			*created = flash;
			return STATUS_OK;
		}
		snprintf(error, VM_ERROR_MAX, "pflash: no memory for it");
		status = STATUS_FAIL(STATUS_NO_MEMORY);
	}
	parts_destroy(flash);
	free(flash);
	return status;
}

// On the flash's core: who wakes the fiber from elsewhere might find it gone.
static void leave(struct cpu_message *message)
{
	struct flash *flash = CONTAINER_OF(message, struct flash, leave);

	flash->left = true;
	fiber_wake(flash->fiber);
}

void flash_destroy(struct flash *flash)
{
	// Before the event loop begins its fiber cannot end, and does so when it can.
	bool gone = false, waits;

	if (flash == NULL)
		return;
	parts_destroy(flash);
	waits = loop_is_running() || flash->core != cpu_self();
	flash->gone = waits ? &gone : NULL;
	flash->leave.run = leave;
	smp_post(flash->core, &flash->leave);
	while (waits && !__atomic_load_n(&gone, __ATOMIC_ACQUIRE))
		vm_wait_a_moment();
}
