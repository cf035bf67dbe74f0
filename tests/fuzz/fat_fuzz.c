// SPDX-License-Identifier: BSD-2-Clause
// Input: a path's length, the path, and the volume's first sectors, which come again and again: so
// few bytes make a volume with a FAT of any width.
#include <stdlib.h>
#include <string.h>

#include "drivers/fat.h"
#include "tests/fuzz/fuzz.h"

#define VOLUME_BYTES (UINT64_C(64) << 20)

struct input {
	const uint8_t *data;
	size_t size;
};

static enum status input_read(void *context, uint64_t offset, void *buffer, uint32_t bytes)
{
	const struct input *input = context;
	size_t period = ALIGN_UP(input->size, 512);

	if (bytes > 512 || offset > VOLUME_BYTES || bytes > VOLUME_BYTES - offset)
		abort();
	for (uint32_t i = 0; i < bytes; i++) {
		size_t at = (size_t)(offset + i) % period;

		((uint8_t *)buffer)[i] = at < input->size ? input->data[at] : 0;
	}
	return STATUS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fat_file file;
	struct input input;
	struct fat_reader reader = {input_read, &input, VOLUME_BYTES};
	char path[64];
	size_t length;

	if (size < 1 || size <= 1u + data[0] % sizeof(path))
		return 0;
	length = data[0] % sizeof(path);
	memcpy(path, data + 1, length);
	path[length] = '\0';
	input = (struct input){data + 1 + length, size - 1 - length};
	if (fat_file_find(&reader, path, &file) != NULL)
		return 0;
	for (uint32_t i = 0; i < file.extent_count; i++)
		if (file.extents[i].start > VOLUME_BYTES ||
			file.extents[i].bytes > VOLUME_BYTES - file.extents[i].start)
			abort();
	return 0;
}
