// SPDX-License-Identifier: BSD-2-Clause
// From start.S to payload_main and out again; printing to COM1.
#include "payload.h"
#include "internal.h"

#include <stdarg.h>

enum { COM1 = 0x3f8, EXIT_PORT = 0x501, BOCHS_EXIT_PORT = 0x8900 };

static void print_char(char c)
{
	while ((inb(COM1 + 5) & 0x20) == 0)
		pause();
	outb(COM1, (uint8_t)c);
}

void print_raw(const char *text, size_t bytes)
{
	while (bytes-- != 0)
		print_char(*text++);
}

static void print_string(const char *s)
{
	for (; *s != 0; s++)
		print_char(*s);
}

static void print_number(uint64_t value, unsigned base)
{
	char digits[24];
	unsigned n = sizeof(digits) - 1;

	digits[n] = 0;
	do {
		digits[--n] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	print_string(&digits[n]);
}

static void print_signed(int64_t value)
{
	if (value < 0)
		print_char('-');
	print_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10);
}

static void print_list(const char *f, va_list args)
{
	for (; *f != 0; f++) {
		bool wide = false;

		if (*f != '%') {
			print_char(*f);
			continue;
		}
		for (f++; *f == 'l'; f++)
			wide = true;
		if (*f == 's')
			print_string(va_arg(args, const char *));
		else if (*f == 'c')
			print_char((char)va_arg(args, int));
		else if (*f == 'd')
			print_signed(wide ? va_arg(args, int64_t) : va_arg(args, int));
		else if (*f == 'u' || *f == 'x')
			print_number(wide ? va_arg(args, uint64_t) : va_arg(args, unsigned),
				*f == 'x' ? 16 : 10);
		else
			print_char(*f);
	}
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_list(format, args);
	va_end(args);
}

void report(const char *format, ...)
{
	va_list args;

	print_string(payload_name);
	print_string(": ");
	va_start(args, format);
	print_list(format, args);
	va_end(args);
	print_char('\n');
}

void report_check(const char *what, bool ok)
{
	report("%s = %s", what, ok ? "ok" : "WRONG");
}

void payload_exit(uint32_t status)
{
	outl(EXIT_PORT, status);
	// A bare Bochs ends by these letters, and loses what has not been sent yet.
	while ((inb(COM1 + 5) & 0x40) == 0)
		pause();
	for (const char *letter = "Shutdown"; *letter != 0; letter++)
		outb(BOCHS_EXIT_PORT, (uint8_t)*letter);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void serial_init(void)
{
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 0x80); // divisor 1: 115200
	outb(COM1 + 0, 1);
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 3); // 8N1
	outb(COM1 + 2, 7);
	outb(COM1 + 4, 3);
}

// hvm_start_info: the memory map's address is at byte 40, its entry count at byte 48.
uint64_t payload_memory_top(void)
{
	const uint8_t *info = (const uint8_t *)(uintptr_t)payload_start_info;
	const uint64_t *map = (const uint64_t *)(uintptr_t)read64((uintptr_t)info + 40);
	uint32_t entries = read32((uintptr_t)info + 48);
	uint64_t top = 0;

	for (; entries != 0; entries--, map += 3) { // address, size, type and padding
		uint64_t end = map[0] + map[1];

		if ((uint32_t)map[2] == 1 && end <= 0xc0000000 && end > top)
			top = end;
	}
	return top;
}

void payload_boot(void)
{
	serial_init();
	trap_init();
	pc_init();
	payload_main();
	report("done");
	payload_exit(0);
}

// The compiler may call these.
void *memcpy(void *to, const void *from, size_t bytes)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
	return start;
}

void *memset(void *to, int value, size_t bytes)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
	return start;
}
