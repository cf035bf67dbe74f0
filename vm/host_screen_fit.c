// SPDX-License-Identifier: BSD-2-Clause
#include "vm/host_screen.h"

#include <string.h>

struct host_screen_fit host_screen_fit(const struct boot_screen *screen, uint32_t width,
	uint32_t height)
{
	uint32_t across = screen->width / width, down = screen->height / height;
	struct host_screen_fit fit = {.scale = across < down ? across : down, .width = width,
		.height = height};

	if (fit.scale == 0)
		fit.scale = 1;
	if (fit.width > screen->width)
		fit.width = screen->width;
	if (fit.height > screen->height)
		fit.height = screen->height;
	fit.left = (screen->width - fit.width * fit.scale) / 2;
	fit.top = (screen->height - fit.height * fit.scale) / 2;
	return fit;
}

static uint32_t pixel_of(const struct boot_screen *screen, uint32_t pixel)
{
	return screen->red_first ? __builtin_bswap32(pixel) >> 8 : pixel;
}

void host_screen_line(const struct boot_screen *screen, const struct host_screen_fit *fit,
	const uint32_t *pixels, uint32_t *line)
{
	uint32_t *at = line + fit->left;

	memset(line, 0, screen->width * sizeof(*line));
	for (uint32_t x = 0; pixels != NULL && x < fit->width; x++)
		for (uint32_t i = 0; i < fit->scale; i++)
			*at++ = pixel_of(screen, pixels[x]);
}
