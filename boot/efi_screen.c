// SPDX-License-Identifier: BSD-2-Clause
// UEFI 2.10, 12.9: EFI_GRAPHICS_OUTPUT_PROTOCOL. The mode stays as firmware has set it.
#include "boot/efi_screen.h"

enum {
	PIXEL_BYTES = 4,
	SCREEN_MAX = 16384, // pixels of a line, and lines: more are not to be believed
};

static EFI_GUID graphics_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;

void efi_screen_read(EFI_BOOT_SERVICES *boot, struct boot_info *info)
{
	EFI_GRAPHICS_OUTPUT_PROTOCOL *graphics;
	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode;
	struct boot_screen screen;

	if (boot->LocateProtocol(&graphics_guid, NULL, (void **)&graphics) != EFI_SUCCESS ||
		graphics->Mode == NULL || graphics->Mode->Info == NULL)
		return;
	mode = graphics->Mode->Info;
	screen = (struct boot_screen){
		.base = {graphics->Mode->FrameBufferBase},
		.width = mode->HorizontalResolution,
		.height = mode->VerticalResolution,
		.line_pixels = mode->PixelsPerScanLine,
		.red_first = mode->PixelFormat == PixelRedGreenBlueReserved8BitPerColor,
	};
	if (!screen.red_first && mode->PixelFormat != PixelBlueGreenRedReserved8BitPerColor)
		return; // no linear memory, or one of another form
	if (screen.base.v == 0 || screen.base.v % PAGE_BYTES != 0 || screen.width == 0 ||
		screen.width > SCREEN_MAX || screen.height == 0 || screen.height > SCREEN_MAX ||
		screen.line_pixels < screen.width || screen.line_pixels > SCREEN_MAX ||
		(uint64_t)screen.line_pixels * screen.height * PIXEL_BYTES >
			graphics->Mode->FrameBufferSize)
		return;
	info->screen = screen;
}
