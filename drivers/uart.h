// SPDX-License-Identifier: BSD-2-Clause
// The host's first serial port (COM1, 115200 baud, 8N1): console output, and received characters.
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include "kernel/base/types.h"

// Programs the port and registers it as a console sink. False where there is no UART.
bool uart_init(void);
// Lets the receiver interrupt; call when the local APIC is up.
void uart_interrupt_enable(void);
// Takes received characters: at most `capacity`. Returns how many.
size_t uart_read(uint8_t *bytes, size_t capacity);
void uart_write(const char *text, size_t bytes);

#endif
