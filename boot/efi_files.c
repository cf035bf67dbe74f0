// SPDX-License-Identifier: BSD-2-Clause
#include "boot/efi_files.h"

#include <string.h>

#include "boot/efi_console.h"
#include "boot/text.h"

enum {
	// Some firmware fails on very large reads; this is also how often progress is told.
	FILES_CHUNK_BYTES = 1 << 20,
	FILES_PROGRESS_BYTES = 4 << 20,
};

// What the boot page tables map, see boot/enter.h.
#define FILES_ADDRESS_MAX (512 * GIB - 1)

#define FILES_POSITION_END UINT64_MAX

static EFI_GUID files_file_system = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;

static EFI_FILE_PROTOCOL *files_open_root(EFI_BOOT_SERVICES *boot, EFI_HANDLE device)
{
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *volume;
	EFI_FILE_PROTOCOL *root;

	if (boot->HandleProtocol(device, &files_file_system, (void **)&volume) != EFI_SUCCESS ||
		volume->OpenVolume(volume, &root) != EFI_SUCCESS)
		return NULL;
	return root;
}

static EFI_STATUS files_open(EFI_FILE_PROTOCOL *root, const char *name, EFI_FILE_PROTOCOL **file)
{
	CHAR16 path[BOOT_FILE_NAME_MAX];
	size_t i;

	for (i = 0; name[i] != '\0' && i < BOOT_FILE_NAME_MAX - 1; i++)
		path[i] = name[i] == '/' ? L'\\' : (CHAR16)(unsigned char)name[i];
	path[i] = 0;
	return root->Open(root, file, path, EFI_FILE_MODE_READ, 0);
}

EFI_FILE_PROTOCOL *efi_files_open_volume(EFI_BOOT_SERVICES *boot, EFI_HANDLE *device,
	const char *name)
{
	EFI_FILE_PROTOCOL *found = NULL, *root, *file;
	EFI_HANDLE *handles;
	UINTN count;

	root = files_open_root(boot, *device);
	if (root != NULL)
		return root;
	if (boot->LocateHandleBuffer(ByProtocol, &files_file_system, NULL, &count, &handles) !=
		EFI_SUCCESS)
		return NULL;
	for (UINTN i = 0; i < count && found == NULL; i++) {
		root = files_open_root(boot, handles[i]);
		if (root == NULL)
			continue;
		if (files_open(root, name, &file) == EFI_SUCCESS) {
			file->Close(file);
			found = root;
			*device = handles[i];
		} else {
			root->Close(root);
		}
	}
	boot->FreePool(handles);
	return found;
}

static void files_problem(struct boot_info *info, const char *name, const char *what)
{
	struct text text;

	efi_console_print("Reprise: ");
	efi_console_print(name);
	efi_console_print(": ");
	efi_console_print(what);
	efi_console_print("\n");
	if (info->problem[0] != '\0')
		return; // the first one is most likely the cause of the others
	text_init(&text, info->problem, sizeof(info->problem));
	text_add(&text, name);
	text_add(&text, ": ");
	text_add(&text, what);
}

static void files_progress(const char *name, uint64_t done, uint64_t bytes)
{
	if (bytes <= FILES_PROGRESS_BYTES)
		return;
	efi_console_print("\rReprise: ");
	efi_console_print(name);
	efi_console_print(" ");
	efi_console_print_number(mul_div_u64(done, 100, bytes));
	efi_console_print(done < bytes ? "%" : "%\n");
}

static bool files_read(EFI_FILE_PROTOCOL *file, const char *name, uint8_t *data, uint64_t bytes)
{
	uint64_t done = 0, shown = UINT64_MAX;

	while (done < bytes) {
		uint64_t left = bytes - done, percent = mul_div_u64(done, 100, bytes);
		UINTN chunk = left < FILES_CHUNK_BYTES ? left : FILES_CHUNK_BYTES;

		if (percent != shown)
			files_progress(name, done, bytes);
		shown = percent;
		// A short read is allowed, one of nothing before the end is not.
		if (file->Read(file, &chunk, data + done) != EFI_SUCCESS || chunk == 0 ||
			chunk > left)
			return false;
		done += chunk;
	}
	files_progress(name, done, bytes);
	return true;
}

// Returns what went wrong, or NULL.
static const char *files_load_open(EFI_BOOT_SERVICES *boot, EFI_FILE_PROTOCOL *file,
	const char *name, struct boot_info *info)
{
	EFI_PHYSICAL_ADDRESS address = FILES_ADDRESS_MAX;
	struct boot_file *place;
	UINT64 bytes;
	UINTN pages;

	if (file->SetPosition(file, FILES_POSITION_END) != EFI_SUCCESS ||
		file->GetPosition(file, &bytes) != EFI_SUCCESS ||
		file->SetPosition(file, 0) != EFI_SUCCESS)
		return "is not a file";
	if (bytes > FILES_ADDRESS_MAX)
		return "is too large";
	pages = bytes / PAGE_BYTES + 1;
	if (info->file_count == BOOT_FILES_MAX)
		return "is one file too many";
	if (boot->AllocatePages(AllocateMaxAddress, EfiLoaderData, pages, &address) != EFI_SUCCESS)
		return "not enough memory to load it";
	if (!files_read(file, name, (uint8_t *)(uintptr_t)address, bytes)) {
		boot->FreePages(address, pages);
		return "cannot be read";
	}
	place = &info->files[info->file_count++];
	memcpy(place->name, name, strlen(name) + 1);
	place->data = (const void *)(uintptr_t)address;
	place->bytes = bytes;
	return NULL;
}

void efi_files_load(EFI_BOOT_SERVICES *boot, EFI_FILE_PROTOCOL *root, const char *name,
	struct boot_info *info)
{
	EFI_FILE_PROTOCOL *file;
	const char *failure;
	EFI_STATUS status;

	for (uint32_t i = 0; i < info->file_count; i++)
		if (strcmp(info->files[i].name, name) == 0)
			return;
	status = files_open(root, name, &file);
	if (status == EFI_NOT_FOUND) {
		efi_console_print("Reprise: ");
		efi_console_print(name);
		efi_console_print(": not found\n");
		return;
	}
	if (status != EFI_SUCCESS) {
		files_problem(info, name, "cannot be opened");
		return;
	}
	failure = files_load_open(boot, file, name, info);
	file->Close(file);
	if (failure != NULL)
		files_problem(info, name, failure);
}
