# SPDX-License-Identifier: BSD-2-Clause
"""The transcript of uart_flood.c: computed, as 64 KiB of it are no use to a reader."""

LINES = [f"{n:04d}" + "".join(chr(ord("!") + (n * 7 + i) % 94) for i in range(4, 63))
         for n in range(1023)] + ["uart_flood: bytes = 65472", "uart_flood: done"]
