// SPDX-License-Identifier: BSD-2-Clause
// Where the headers of two logs, or of a log and the machine here, differ.
#include <stdio.h>
#include <string.h>

#include "replay/log_header.h"

struct comparison {
	const struct log_header *a, *b;
	const char *left, *right;
	char *text;
};

// As much of a value as fits.
enum { VALUE_MAX = 48 };

static bool differ(const struct comparison *c, const char *name, const char *a, const char *b)
{
	if (strcmp(a, b) == 0)
		return false;
	snprintf(c->text, LOG_DIFFERENCE_MAX, "%.*s: %.*s %.16s, %.*s %.16s", LOG_NAME_MAX, name,
		VALUE_MAX, a, c->left, VALUE_MAX, b, c->right);
	return true;
}

static bool numbers_differ(const struct comparison *c, const char *name, uint64_t a, uint64_t b)
{
	char left[24], right[24];

	snprintf(left, sizeof(left), "%llu", (unsigned long long)a);
	snprintf(right, sizeof(right), "%llu", (unsigned long long)b);
	return differ(c, name, left, right);
}

static void setting_value(const struct log_header *header, const struct log_setting *setting,
	char value[VALUE_MAX + 1])
{
	if (setting == NULL)
		snprintf(value, VALUE_MAX + 1, "none");
	else if (setting->is_text)
		snprintf(value, VALUE_MAX + 1, "\"%.*s\"", VALUE_MAX - 2,
			log_setting_text(header, setting));
	else
		snprintf(value, VALUE_MAX + 1, "%llu", (unsigned long long)setting->number);
}

static bool settings_differ(const struct comparison *c, const char *name)
{
	const struct log_setting *a = log_header_setting(c->a, name);
	const struct log_setting *b = log_header_setting(c->b, name);
	char left[VALUE_MAX + 1], right[VALUE_MAX + 1];

	setting_value(c->a, a, left);
	setting_value(c->b, b, right);
	if (a != NULL && b != NULL && a->is_text && b->is_text &&
		strcmp(log_setting_text(c->a, a), log_setting_text(c->b, b)) != 0 &&
		strcmp(left, right) == 0) { // as far as they are shown
		snprintf(c->text, LOG_DIFFERENCE_MAX, "%s: the ends of two long texts", name);
		return true;
	}
	return differ(c, name, left, right);
}

static bool hashes_differ(const struct comparison *c, const char *name)
{
	const struct log_hash *a = log_header_hash(c->a, name), *b = log_header_hash(c->b, name);
	char label[LOG_NAME_MAX + 8], left[24] = "none", right[24] = "none";

	snprintf(label, sizeof(label), "hash of %s", name);
	if (a != NULL)
		snprintf(left, sizeof(left), "%016llx", (unsigned long long)a->value);
	if (b != NULL)
		snprintf(right, sizeof(right), "%016llx", (unsigned long long)b->value);
	return differ(c, label, left, right);
}

static const struct log_leaf *leaf_find(const struct log_header *header,
	const struct log_leaf *wanted)
{
	for (uint32_t i = 0; i < header->leaves_count; i++)
		if (header->leaves[i].leaf == wanted->leaf &&
			header->leaves[i].subleaf == wanted->subleaf)
			return &header->leaves[i];
	return NULL;
}

// A leaf that is not there answers zeros.
static bool leaves_differ(const struct comparison *c, const struct log_leaf *wanted)
{
	static const char *const names[] = {"EAX", "EBX", "ECX", "EDX"};
	static const struct log_leaf zeros;
	const struct log_leaf *a = leaf_find(c->a, wanted), *b = leaf_find(c->b, wanted);
	char label[LOG_NAME_MAX + 1], left[16], right[16];

	a = a != NULL ? a : &zeros;
	b = b != NULL ? b : &zeros;
	for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
		snprintf(label, sizeof(label), "CPUID %x.%x %s", (unsigned)wanted->leaf,
			(unsigned)wanted->subleaf, names[i]);
		snprintf(left, sizeof(left), "%08x", (unsigned)a->registers[i]);
		snprintf(right, sizeof(right), "%08x", (unsigned)b->registers[i]);
		if (differ(c, label, left, right))
			return true;
	}
	return false;
}

static bool numbered_differ(const struct comparison *c, uint32_t place)
{
	switch (place) {
	case 0:
		return differ(c, "tick source", c->a->tick_source, c->b->tick_source);
	case 1:
		return numbers_differ(c, "scale", c->a->scale, c->b->scale);
	default:
		return numbers_differ(c, "tsc_hz", c->a->tsc_hz, c->b->tsc_hz);
	}
}

enum { NUMBERED = 3 };

// The place counts through the numbered values, then all settings, hashes and leaves of a, and of b
// where a has none.
static bool place_differs(const struct comparison *c, uint32_t place, bool *done)
{
	const struct log_header *const sides[] = {c->a, c->b};

	if (place < NUMBERED)
		return numbered_differ(c, place);
	place -= NUMBERED;
	for (unsigned side = 0; side < ARRAY_COUNT(sides); side++) {
		const struct log_header *header = sides[side];
		const struct log_leaf *leaf;
		const char *name;

		if (place < header->settings_count) {
			name = header->settings[place].name;
			return (side == 0 || log_header_setting(c->a, name) == NULL) &&
				settings_differ(c, name);
		}
		place -= header->settings_count;
		if (place < header->hashes_count) {
			name = header->hashes[place].name;
			return (side == 0 || log_header_hash(c->a, name) == NULL) &&
				hashes_differ(c, name);
		}
		place -= header->hashes_count;
		if (place < header->leaves_count) {
			leaf = &header->leaves[place];
			return (side == 0 || leaf_find(c->a, leaf) == NULL) &&
				leaves_differ(c, leaf);
		}
		place -= header->leaves_count;
	}
	*done = true;
	return false;
}

bool log_header_difference(const struct log_header *a, const struct log_header *b,
	uint32_t *place, const char *left, const char *right, char *text)
{
	const struct comparison comparison = {
		.a = a, .b = b, .left = left, .right = right, .text = text};
	bool done = false;

	while (!done)
		if (place_differs(&comparison, (*place)++, &done))
			return true;
	return false;
}
