// SPDX-License-Identifier: BSD-2-Clause
#include "boot/efi_console.h"

#include "boot/text.h"

enum { CONSOLE_CHUNK = 64 };

static EFI_SYSTEM_TABLE *console_system;

void efi_console_init(EFI_SYSTEM_TABLE *system)
{
	console_system = system;
}

void efi_console_print(const char *string)
{
	CHAR16 chunk[CONSOLE_CHUNK];

	// A machine without a console has none in the system table.
	if (console_system == NULL || console_system->ConOut == NULL)
		return;
	while (*string != '\0') {
		size_t used = 0;

		// Room for the two characters of a line end, and for the zero.
		while (*string != '\0' && used + 3 <= CONSOLE_CHUNK) {
			if (*string == '\n')
				chunk[used++] = '\r';
			chunk[used++] = (CHAR16)(unsigned char)*string++;
		}
		chunk[used] = 0;
		console_system->ConOut->OutputString(console_system->ConOut, chunk);
	}
}

void efi_console_print_number(uint64_t value)
{
	char digits[24];
	struct text text;

	text_init(&text, digits, sizeof(digits));
	text_add_number(&text, value);
	efi_console_print(digits);
}
