// SPDX-License-Identifier: BSD-2-Clause
// The library's state is a type of its own headers, which nobody else needs.
#include "replay/hash.h"

#define XXH_STATIC_LINKING_ONLY // the state's members, so its size
#include <xxhash.h>

#include "kernel/base/assert.h"

_Static_assert(sizeof(struct hash) == sizeof(XXH64_state_t), "the library's state");
_Static_assert(_Alignof(struct hash) == _Alignof(XXH64_state_t), "the library's state");

static XXH64_state_t *state_of(struct hash *hash)
{
	return (XXH64_state_t *)(void *)hash;
}

void hash_begin(struct hash *hash)
{
	XXH_errorcode result = XXH64_reset(state_of(hash), 0);

	ASSERT(result == XXH_OK);
}

void hash_update(struct hash *hash, const void *bytes, size_t count)
{
	XXH_errorcode result;

	if (count == 0)
		return; // `bytes` may be NULL then
	result = XXH64_update(state_of(hash), bytes, count);
	ASSERT(result == XXH_OK);
}

uint64_t hash_value(const struct hash *hash)
{
	return XXH64_digest((const XXH64_state_t *)(const void *)hash);
}

uint64_t hash_of(const void *bytes, size_t count)
{
	return XXH64(bytes, count, 0);
}
