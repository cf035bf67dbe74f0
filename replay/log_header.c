// SPDX-License-Identifier: BSD-2-Clause
// The header's content: lists that are kept sorted, so that two of the same machine are the same
// bytes.
#include "replay/log_header.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "replay/log_abi.h"

void log_header_init(struct log_header *header, uint64_t log_id, const char *tick_source)
{
	size_t count = strlen(tick_source);

	ASSERT(count < sizeof(header->tick_source));
	memset(header, 0, sizeof(*header));
	header->log_id = log_id;
	header->version = header->needs = LOG_VERSION;
	memcpy(header->tick_source, tick_source, count);
}

static bool name_is_valid(const char *name)
{
	size_t count = 0;

	for (; name[count] != '\0'; count++)
		if (count == LOG_NAME_MAX - 1 || name[count] <= ' ' || name[count] > '~')
			return false;
	return count > 0;
}

// Makes room in a sorted list for an element behind the first `place` of `*count`.
static void *list_insert(void *list, uint32_t *count, uint32_t place, size_t size)
{
	uint8_t *at = (uint8_t *)list + place * size;

	ASSERT(place <= *count);
	memmove(at + size, at, (*count - place) * size);
	memset(at, 0, size);
	++*count;
	return at;
}

_Static_assert(offsetof(struct log_setting, name) == 0, "what named_* find");
_Static_assert(offsetof(struct log_hash, name) == 0, "what named_* find");

// The place of the first element whose name is not before `name`.
static uint32_t named_place(const void *list, uint32_t count, size_t size, const char *name)
{
	uint32_t place = 0;

	while (place < count && strcmp((const char *)list + place * size, name) < 0)
		place++;
	return place;
}

static const void *named_find(const void *list, uint32_t count, size_t size, const char *name)
{
	uint32_t place = named_place(list, count, size, name);
	const char *found = (const char *)list + place * size;

	return place < count && strcmp(found, name) == 0 ? found : NULL;
}

// A new element with this name; NULL: see header->problem.
static void *named_add(struct log_header *header, void *list, uint32_t *count, uint32_t max,
	size_t size, const char *name)
{
	void *element;

	if (!name_is_valid(name))
		header->problem = "an impossible name";
	else if (named_find(list, *count, size, name) != NULL)
		header->problem = "a name that comes twice";
	else if (*count == max)
		header->problem = "too many settings or hashes";
	if (header->problem != NULL)
		return NULL;
	element = list_insert(list, count, named_place(list, *count, size, name), size);
	memcpy(element, name, strlen(name)); // zeros are behind it
	return element;
}

static struct log_setting *setting_add(struct log_header *header, const char *name)
{
	return named_add(header, header->settings, &header->settings_count, LOG_SETTINGS_MAX,
		sizeof(header->settings[0]), name);
}

void log_header_add_number(struct log_header *header, const char *name, uint64_t number)
{
	struct log_setting *setting = setting_add(header, name);

	if (setting != NULL)
		setting->number = number;
}

void log_header_add_text(struct log_header *header, const char *name, const char *text)
{
	struct log_setting *setting;
	char *to = header->texts + header->texts_bytes;
	size_t count = strlen(text);

	if (count + 1 >= sizeof(header->texts) - header->texts_bytes) {
		header->problem = "texts that are too long";
		return;
	}
	setting = setting_add(header, name);
	if (setting == NULL)
		return;
	setting->is_text = true;
	setting->text = (uint16_t)header->texts_bytes;
	for (size_t i = 0; i < count; i++)
		*to++ = log_character_is_printable(text[i]) ? text[i] : '?';
	*to = '\0';
	header->texts_bytes += (uint32_t)count + 1;
}

void log_header_add_hash(struct log_header *header, const char *name, uint64_t value)
{
	struct log_hash *hash = named_add(header, header->hashes, &header->hashes_count,
		LOG_HASHES_MAX, sizeof(*hash), name);

	if (hash != NULL)
		hash->value = value;
}

static uint64_t leaf_order(const struct log_leaf *leaf)
{
	return (uint64_t)leaf->leaf << 32 | leaf->subleaf;
}

void log_header_add_leaf(struct log_header *header, const struct log_leaf *leaf)
{
	struct log_leaf *list = header->leaves, *added;
	uint64_t order = leaf_order(leaf);
	uint32_t place = 0;

	while (place < header->leaves_count && leaf_order(&list[place]) < order)
		place++;
	if (place < header->leaves_count && leaf_order(&list[place]) == order)
		header->problem = "a CPUID leaf twice";
	else if (header->leaves_count == LOG_LEAVES_MAX)
		header->problem = "too many CPUID leaves";
	else {
		added = list_insert(list, &header->leaves_count, place, sizeof(*list));
		*added = *leaf;
	}
}

const struct log_setting *log_header_setting(const struct log_header *header, const char *name)
{
	return named_find(header->settings, header->settings_count, sizeof(header->settings[0]),
		name);
}

const struct log_hash *log_header_hash(const struct log_header *header, const char *name)
{
	return named_find(header->hashes, header->hashes_count, sizeof(header->hashes[0]), name);
}
