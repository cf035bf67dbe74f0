// SPDX-License-Identifier: BSD-2-Clause
#include "replay/log_store.h"

static bool store_has(const struct log_store *store, uint64_t offset, size_t count)
{
	return count <= store->bytes && offset <= store->bytes - count;
}

enum status log_store_read(struct log_store *store, uint64_t offset, void *bytes, size_t count)
{
	if (!store_has(store, offset, count))
		return STATUS_FAIL(STATUS_RANGE);
	return store->ops->read(store, offset, bytes, count);
}

enum status log_store_write(struct log_store *store, uint64_t offset, const void *bytes,
	size_t count)
{
	if (store->read_only)
		return STATUS_FAIL(STATUS_REFUSED);
	if (!store_has(store, offset, count) || ((offset | count) & (store->alignment - 1)) != 0)
		return STATUS_FAIL(STATUS_RANGE);
	return store->ops->write(store, offset, bytes, count);
}

enum status log_store_flush(struct log_store *store)
{
	return store->ops->flush == NULL ? STATUS_OK : store->ops->flush(store);
}

void log_wake(const struct log_wake *wake)
{
	if (wake->call != NULL)
		wake->call(wake->owner);
}
