// SPDX-License-Identifier: BSD-2-Clause
// Where two logs differ: all of their headers, and the first record.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/log_tool.h"

static bool headers_differ(const struct log_header *a, const struct log_header *b)
{
	char text[LOG_DIFFERENCE_MAX];
	uint32_t place = 0;
	bool differ = false;

	if (a->start != b->start || a->start_time != b->start_time ||
		!position_equal(&a->start_position, &b->start_position)) {
		printf("they start at different places: %" PRIu64 " and %" PRIu64 "\n",
			a->start_position.ticks, b->start_position.ticks);
		differ = true;
	}
	while (log_header_difference(a, b, &place, "in the first", "in the second", text)) {
		log_print_text(text, strlen(text));
		printf("\n");
		differ = true;
	}
	return differ;
}

static bool records_equal(const struct log_record *a, const struct log_record *b)
{
	return a->kind == b->kind && a->halted == b->halted && a->time == b->time &&
		a->vcpu == b->vcpu &&
		position_equal(&a->position, &b->position) && a->device == b->device &&
		a->index == b->index && a->sequence == b->sequence && a->value == b->value &&
		a->payload_bytes == b->payload_bytes &&
		memcmp(a->payload, b->payload, a->payload_bytes) == 0;
}

// The one that ends first.
static void shorter_print(struct log_file *file, uint64_t number)
{
	printf("%s ends after %" PRIu64 " records: ", file->path, number - 1);
	log_print_end(&file->reader);
}

static int records_compare(struct log_file *a, struct log_file *b)
{
	struct log_record left, right;

	for (uint64_t number = 1;; number++) {
		enum status first = log_file_next(a, &left), second = log_file_next(b, &right);

		if ((first != STATUS_OK && first != STATUS_NOT_FOUND) ||
			(second != STATUS_OK && second != STATUS_NOT_FOUND))
			return LOG_TOOL_TROUBLE;
		if (first != STATUS_OK && second != STATUS_OK)
			return LOG_TOOL_SAME;
		if (first == STATUS_OK && second == STATUS_OK && records_equal(&left, &right))
			continue;
		if (first == STATUS_OK)
			log_print_record("< ", number, &left);
		else
			shorter_print(a, number);
		if (second == STATUS_OK)
			log_print_record("> ", number, &right);
		else
			shorter_print(b, number);
		return LOG_TOOL_DIFFERENT;
	}
}

int log_tool_diff(const char *a, const char *b)
{
	static struct log_file left, right;
	int result;
	bool differ;

	if (!log_file_open(&left, a) || !log_file_open(&right, b))
		return LOG_TOOL_TROUBLE;
	differ = headers_differ(&left.reader.header, &right.reader.header);
	result = records_compare(&left, &right);
	log_file_close(&left);
	log_file_close(&right);
	return result == LOG_TOOL_SAME && differ ? LOG_TOOL_DIFFERENT : result;
}
