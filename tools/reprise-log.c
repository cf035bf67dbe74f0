// SPDX-License-Identifier: BSD-2-Clause
// reprise-log: looks into logs of record and replay, by the same code that reads them in a
// hypervisor. See docs/replay.md.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/log_tool.h"

static const char usage_text[] =
	"usage: reprise-log info LOG             what it is of: machine, start, end\n"
	"       reprise-log dump LOG [FROM [TO]] its records, those of these ticks\n"
	"       reprise-log verify LOG           whether all of it is intact\n"
	"       reprise-log stats LOG            what takes the space\n"
	"       reprise-log diff A B             where they differ: the first record\n"
	"LOG is a file, a device, or an image of one; what stands behind the log does not matter.\n"
	"Exit status: 0 all is well, or the same; 1 it is not; 2 trouble.\n";

static void settings_print(const struct log_header *header)
{
	for (uint32_t i = 0; i < header->settings_count; i++) {
		const struct log_setting *setting = &header->settings[i];
		const char *text = log_setting_text(header, setting);

		printf("setting:     %s = ", setting->name);
		if (setting->is_text)
			log_print_text(text, strlen(text));
		else
			printf("%" PRIu64, setting->number);
		printf("\n");
	}
	for (uint32_t i = 0; i < header->hashes_count; i++)
		printf("hash:        %s = %016" PRIx64 "\n", header->hashes[i].name,
			header->hashes[i].value);
}

static void header_print(const struct log_header *header)
{
	const struct position *start = &header->start_position;

	printf("version:     %u, readable by %u\n", header->version, header->needs);
	printf("id:          %016" PRIx64 "\n", header->log_id);
	printf("part:        %u\n", header->part);
	printf("alignment:   %u\n", header->alignment);
	printf("tick source: ");
	log_print_text(header->tick_source, strlen(header->tick_source));
	printf("\nscale:       %" PRIu64 "\n", header->scale);
	printf("TSC:         %" PRIu64 " Hz\n", header->tsc_hz);
	printf("start:       %s at %" PRIu64 " rip %#" PRIx64 " rcx %#" PRIx64 ", time %" PRIu64
		"\n", header->start == LOG_START_SNAPSHOT ? "snapshot" : "power-on", start->ticks,
		start->rip, start->rcx, header->start_time);
	settings_print(header);
	for (uint32_t i = 0; i < header->leaves_count; i++) {
		const struct log_leaf *leaf = &header->leaves[i];

		printf("cpuid:       %08x.%x = %08x %08x %08x %08x\n", leaf->leaf, leaf->subleaf,
			leaf->registers[0], leaf->registers[1], leaf->registers[2],
			leaf->registers[3]);
	}
}

int log_tool_info(const char *path)
{
	static struct log_file file;

	if (!log_file_open(&file, path))
		return LOG_TOOL_TROUBLE;
	header_print(&file.reader.header);
	printf("end:         ");
	log_print_end(&file.reader);
	log_file_close(&file);
	return LOG_TOOL_SAME;
}

int log_tool_dump(const char *path, uint64_t from, uint64_t to)
{
	static struct log_file file;
	struct log_record record;
	uint64_t number = 0;
	enum status status;

	if (!log_file_open(&file, path))
		return LOG_TOOL_TROUBLE;
	while ((status = log_file_next(&file, &record)) == STATUS_OK) {
		number++;
		if (record.position.ticks > to)
			break;
		if (record.position.ticks >= from)
			log_print_record("", number, &record);
	}
	if (status == STATUS_NOT_FOUND)
		log_print_end(&file.reader);
	log_file_close(&file);
	if (status == STATUS_OK)
		return LOG_TOOL_SAME;
	if (status != STATUS_NOT_FOUND)
		return LOG_TOOL_TROUBLE;
	return file.reader.end.kind == LOG_END_CLEAN ? LOG_TOOL_SAME : LOG_TOOL_DIFFERENT;
}

int log_tool_verify(const char *path)
{
	static struct log_file file;
	struct log_check check;
	enum status status;

	if (!log_file_open(&file, path))
		return LOG_TOOL_TROUBLE;
	status = log_check(&file.reader, &file.store, &check);
	if (status != STATUS_OK)
		return log_file_trouble(&file, status);
	log_file_close(&file);
	if (check.problem != NULL)
		printf("%s: ends at offset %" PRIu64 ": %s\n", path, check.offset, check.problem);
	printf("%s: %s%" PRIu64 " records in %" PRIu64 " bytes", path,
		check.problem == NULL ? "good: " : "readable: ", check.records, check.good_bytes);
	if (check.snapshot_bytes > 0)
		printf(", a snapshot of %" PRIu64 " bytes", check.snapshot_bytes);
	if (file.reader.skipped_chunks > 0 || file.reader.skipped_records > 0)
		printf(", of unknown types: %" PRIu64 " chunks and %" PRIu64 " records",
			file.reader.skipped_chunks, file.reader.skipped_records);
	printf("\n");
	return check.problem == NULL ? LOG_TOOL_SAME : LOG_TOOL_DIFFERENT;
}

static int usage(void)
{
	fputs(usage_text, stderr);
	return LOG_TOOL_TROUBLE;
}

static bool ticks_parse(const char *text, uint64_t *ticks)
{
	char *end;

	errno = 0;
	*ticks = strtoull(text, &end, 0);
	if (errno == 0 && *text >= '0' && *text <= '9' && *end == '\0')
		return true;
	fprintf(stderr, "reprise-log: %s: a number of ticks is expected\n", text);
	return false;
}

static int dump(int count, char **arguments)
{
	uint64_t from = 0, to = UINT64_MAX;

	if ((count > 1 && !ticks_parse(arguments[1], &from)) ||
		(count > 2 && !ticks_parse(arguments[2], &to)))
		return LOG_TOOL_TROUBLE;
	return log_tool_dump(arguments[0], from, to);
}

static int run(const char *command, int count, char **arguments)
{
	if (strcmp(command, "info") == 0 && count == 1)
		return log_tool_info(arguments[0]);
	if (strcmp(command, "dump") == 0 && count >= 1 && count <= 3)
		return dump(count, arguments);
	if (strcmp(command, "verify") == 0 && count == 1)
		return log_tool_verify(arguments[0]);
	if (strcmp(command, "stats") == 0 && count == 1)
		return log_tool_stats(arguments[0]);
	if (strcmp(command, "diff") == 0 && count == 2)
		return log_tool_diff(arguments[0], arguments[1]);
	return usage();
}

int main(int argc, char **argv)
{
	int result;

	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage_text, stdout);
		return LOG_TOOL_SAME;
	}
	if (argc < 3)
		return usage();
	result = run(argv[1], argc - 2, argv + 2);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "reprise-log: writing: %s\n", strerror(errno));
		return LOG_TOOL_TROUBLE;
	}
	return result;
}
