// SPDX-License-Identifier: BSD-2-Clause
// One spelling for the names of boot files, wherever they come from.
#ifndef BOOT_PATH_H
#define BOOT_PATH_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

// Writes `bytes` characters of `path` to `out` as a path below the root: '/' between components
// ('\' counts as one), no empty or "." component, zero-terminated: "./EFI//x" and "\EFI\x" are
// "EFI/x". The root itself becomes "".
// STATUS_INVALID: a ".." component or a control character. STATUS_RANGE: `capacity` is too small.
must_check enum status path_normalize(const char *path, size_t bytes, char *out, size_t capacity);

#endif
