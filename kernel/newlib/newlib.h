// SPDX-License-Identifier: BSD-2-Clause
// newlib's configuration, which its configure script would write: integers only, C99 formats, no
// multibyte characters, no dynamic stdio.
#ifndef __NEWLIB_H__
#define __NEWLIB_H__ 1

#include <_newlib_version.h>

#define _WANT_IO_C99_FORMATS      1
#define _WANT_IO_LONG_LONG        1
#define _REENT_CHECK_VERIFY       1
#define _MB_LEN_MAX               1
#define HAVE_INITFINI_ARRAY       1
#define _ATEXIT_DYNAMIC_ALLOC     1
#define _HAVE_CC_INHIBIT_LOOP_TO_LIBCALL 1
#define _UNBUF_STREAM_OPT         1
#define _RETARGETABLE_LOCKING     1
#define __DYNAMIC_REENT__         1 // __getreent(): a state of its own for each CPU

#endif
