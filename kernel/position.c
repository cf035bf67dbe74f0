// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/position.h"

const struct tick_source *position_source;
