// SPDX-License-Identifier: BSD-2-Clause
#include "vm/host_screen.h"

#include <stdlib.h>

#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/fiber.h"
#include "kernel/pagetable.h"
#include "kernel/x86.h"
#include "vm/console.h"
#include "vm/machine.h"
#include "vm/screen.h"

enum {
	FRAME_NS = 40000000,  // from one picture to the next, at least
	WORK_NS = 150000,     // at once, before others get on
	BUSY_NS = 50000,      // until the device lock is tried again
	REST_FACTOR = 9,      // times as long as a picture took
	PIXEL_BYTES = 4,
	HASH_NEVER = 0,
};

static struct {
	struct boot_screen screen;
	volatile uint32_t *memory;
	uint64_t *hashes;   // of the lines as they are; HASH_NEVER: not ours yet
	uint32_t *pixels;   // a line of the picture
	uint32_t *line;     // and of the screen
	uint64_t work_end;  // TSC
	struct vga_screen picture;
	struct host_screen_fit fit;
} host;

// Never HASH_NEVER.
static uint64_t hash_of(const uint32_t *line, uint32_t count)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (uint32_t i = 0; i < count; i++) {
		hash = (hash ^ line[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	return hash | 1;
}

static void line_write(uint32_t y)
{
	uint64_t hash = hash_of(host.line, host.screen.width);
	volatile uint32_t *to = host.memory + (uint64_t)y * host.screen.line_pixels;

	if (host.hashes[y] == hash)
		return;
	host.hashes[y] = hash;
	for (uint32_t x = 0; x < host.screen.width; x++)
		to[x] = host.line[x];
}

static void others_get_on(void)
{
	if (rdtsc() < host.work_end)
		return;
	fiber_yield();
	host.work_end = rdtsc() + clock_ns_to_tsc(WORK_NS);
}

// Whoever has the console may be another one, or be gone, whenever this fiber has waited.
static struct vm *vm_shown(void)
{
	struct machine *machine = machine_first();

	while (machine != NULL && !console_guest_is_shown(machine->console))
		machine = machine->next;
	return machine != NULL && machine->vm != NULL && machine->vm->display != NULL
		? machine->vm : NULL;
}

static void busy_wait(void)
{
	(void)fiber_wait(rdtsc() + clock_ns_to_tsc(BUSY_NS));
	host.work_end = rdtsc() + clock_ns_to_tsc(WORK_NS);
}

// False: there is no picture, or another one.
static bool picture_line(uint32_t y)
{
	bool same = true;
	struct vm *vm;

	while ((vm = vm_shown()) != NULL && !screen_pixels(vm, &host.picture, y, host.fit.width,
		host.pixels, &same))
		busy_wait();
	return vm != NULL && same;
}

static void picture_show(void)
{
	const struct host_screen_fit *fit = &host.fit;

	for (uint32_t y = 0; y < host.screen.height; y++) {
		uint32_t below = y - fit->top;

		if (y < fit->top || below >= fit->height * fit->scale) {
			host_screen_line(&host.screen, fit, NULL, host.line);
		} else if (below % fit->scale == 0) {
			if (!picture_line(below / fit->scale))
				return;
			host_screen_line(&host.screen, fit, host.pixels, host.line);
		}
		line_write(y);
		others_get_on();
	}
}

static void show(void)
{
	struct vm *vm;

	while ((vm = vm_shown()) != NULL && !screen_look(vm, &host.picture))
		busy_wait();
	if (vm == NULL)
		return;
	host.fit = host_screen_fit(&host.screen, host.picture.width, host.picture.height);
	picture_show();
}

static void run(void *argument)
{
	uint64_t frame = clock_ns_to_tsc(FRAME_NS);

	(void)argument;
	for (;;) {
		uint64_t start = rdtsc(), rest;

		host.work_end = start + clock_ns_to_tsc(WORK_NS);
		show();
		rest = (rdtsc() - start) * REST_FACTOR;
		(void)fiber_wait(rdtsc() + (rest > frame ? rest : frame));
	}
}

static bool is_wanted(const struct boot_screen *screen)
{
	const struct machine *machine = machine_first();

	while (machine != NULL && machine->config.display == VM_DISPLAY_NONE)
		machine = machine->next;
	return machine != NULL && screen->width != 0;
}

void host_screen_start(const struct boot_screen *screen)
{
	if (!is_wanted(screen))
		return;
	host.screen = *screen;
	host.hashes = calloc(screen->height, sizeof(*host.hashes));
	host.pixels = calloc(screen->width, sizeof(*host.pixels));
	host.line = calloc(screen->width, sizeof(*host.line));
	if (host.hashes == NULL || host.pixels == NULL || host.line == NULL ||
		fiber_create("screen", run, NULL) == NULL) {
		log_error("no memory for the host's screen");
		return;
	}
	host.memory = pagetable_map_device(screen->base,
		ALIGN_UP((uint64_t)screen->line_pixels * screen->height * PIXEL_BYTES, PAGE_BYTES));
	log_info("screen: %ux%u, shows the machine that has the console", screen->width,
		screen->height);
}
