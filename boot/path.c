// SPDX-License-Identifier: BSD-2-Clause
// Runs before the kernel has set up anything, so it does not use STATUS_FAIL.
#include "boot/path.h"

#include <string.h>

static bool path_is_separator(char c)
{
	return c == '/' || c == '\\';
}

static bool path_has_control(const char *path, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
			return true;
	return false;
}

enum status path_normalize(const char *path, size_t bytes, char *out, size_t capacity)
{
	size_t used = 0;

	if (path_has_control(path, bytes))
		return STATUS_INVALID;
	for (size_t i = 0; i < bytes;) {
		size_t length = 0;

		while (i + length < bytes && !path_is_separator(path[i + length]))
			length++;
		if (length == 2 && path[i] == '.' && path[i + 1] == '.')
			return STATUS_INVALID;
		if (length > 0 && !(length == 1 && path[i] == '.')) {
			size_t separator = used > 0 ? 1 : 0;

			if (length >= capacity || separator + used >= capacity - length)
				return STATUS_RANGE;
			if (separator != 0)
				out[used++] = '/';
			memcpy(out + used, path + i, length);
			used += length;
		}
		i += length + 1;
	}
	if (capacity == 0)
		return STATUS_RANGE;
	out[used] = '\0';
	return STATUS_OK;
}
