// SPDX-License-Identifier: BSD-2-Clause
// What newlib asks of an operating system. Output goes to the console; there are no files and no
// processes. The heap is for construction (machines, tables at boot), never between a guest's
// exit and its next entry.
#include "kernel/libc.h"

#include <errno.h>
#include <locale.h>
#include <reent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/lock.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/mem.h"
#include "kernel/spinlock.h"

static struct spinlock heap_lock; // of the allocator's lists, and of heap_at
static uint8_t *heap_start, *heap_at, *heap_end;

void libc_init(void)
{
	heap_start = heap_at = mem_large_alloc();
	ASSERT(heap_start != NULL);
	heap_end = heap_start + LARGE_PAGE_BYTES;
}

struct _reent *__getreent(void)
{
	struct _reent *reent = cpu_self()->reent;

	return likely(reent != NULL) ? reent : _GLOBAL_REENT; // the boot CPU's is static
}

size_t libc_reent_bytes(void)
{
	return sizeof(struct _reent);
}

void libc_reent_init(struct cpu *cpu, void *memory)
{
	cpu->reent = memory;
	_REENT_INIT_PTR(cpu->reent);
}

size_t libc_heap_bytes(void)
{
	return (size_t)(heap_at - heap_start);
}

void *_sbrk(ptrdiff_t increment);
int _write(int file, const void *buffer, size_t bytes);
int _read(int file, void *buffer, size_t bytes);
int _close(int file);
int _lseek(int file, int offset, int whence);
int _fstat(int file, struct stat *stat);
int _isatty(int file);
int _getpid(void);
int _kill(int pid, int signal);
_Noreturn void _exit(int status);
_Noreturn void abort(void);
void __malloc_lock(struct _reent *reent);
void __malloc_unlock(struct _reent *reent);
struct lconv *_localeconv_r(struct _reent *reent);

void *_sbrk(ptrdiff_t increment)
{
	uint8_t *before = heap_at;

	if (increment > heap_end - heap_at || increment < heap_start - heap_at) {
		errno = ENOMEM;
		return (void *)-1;
	}
	heap_at += increment;
	return before;
}

int _write(int file, const void *buffer, size_t bytes)
{
	if (file != STDOUT_FILENO && file != STDERR_FILENO) {
		errno = EBADF;
		return -1;
	}
	console_write(buffer, bytes);
	return (int)bytes;
}

int _read(int file, void *buffer, size_t bytes)
{
	(void)file;
	(void)buffer;
	(void)bytes;
	errno = EBADF;
	return -1;
}

int _close(int file)
{
	(void)file;
	errno = EBADF;
	return -1;
}

int _lseek(int file, int offset, int whence)
{
	(void)file;
	(void)offset;
	(void)whence;
	errno = ESPIPE;
	return -1;
}

int _fstat(int file, struct stat *stat)
{
	(void)file;
	stat->st_mode = S_IFCHR;
	return 0;
}

int _isatty(int file)
{
	return file <= STDERR_FILENO;
}

int _getpid(void)
{
	return 1;
}

int _kill(int pid, int signal)
{
	(void)pid;
	(void)signal;
	errno = EINVAL;
	return -1;
}

void _exit(int status)
{
	(void)status;
	assert_fail("_exit was called", __FILE__, __LINE__);
}

void abort(void)
{
	assert_fail("abort was called", __FILE__, __LINE__);
}

// The allocator's lock is where the rule about the heap is enforced. It does not nest.
void __malloc_lock(struct _reent *reent)
{
	(void)reent;
	ASSERT(!cpu_self()->heap_frozen);
	spin_lock(&heap_lock);
}

void __malloc_unlock(struct _reent *reent)
{
	(void)reent;
	ASSERT(spin_is_locked(&heap_lock));
	spin_unlock(&heap_lock);
}

// The "C" locale, for the printf family's grouping flag.
struct lconv *_localeconv_r(struct _reent *reent)
{
	static char empty[] = "", point[] = ".";
	static struct lconv c_locale = {
		.decimal_point = point, .thousands_sep = empty, .grouping = empty};

	(void)reent;
	return &c_locale;
}
