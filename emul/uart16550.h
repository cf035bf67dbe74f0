// SPDX-License-Identifier: BSD-2-Clause
#ifndef EMUL_UART16550_H
#define EMUL_UART16550_H

#include "emul/device.h"

enum uart16550_region {
	UART16550_REGION_PORTS, // 8 ports
};

enum uart16550_output {
	UART16550_OUTPUT_IRQ, // INTR behind the PC's gate, the OUT2 pin
	UART16550_OUTPUTS,
};

enum uart16550_timer {
	UART16550_TIMER_TIMEOUT, // characters left in the FIFO for four character times
	UART16550_TIMERS,
};

enum uart16550_port {
	UART16550_PORT_CHARACTERS,
	// Receive only: each byte is a character of value 0 with these LSR bits (parity 0x04,
	// framing 0x08, break 0x10): a break is the byte UART16550_BREAK.
	UART16550_PORT_CONDITIONS,
};

#define UART16550_BREAK 0x18

// Register offsets and bits. Data sheet, table II.
enum uart16550_register {
	UART_DATA = 0, // RBR and THR; DLL with DLAB
	UART_IER = 1,  // DLM with DLAB
	UART_IIR = 2,  // FCR when written
	UART_LCR = 3,
	UART_MCR = 4,
	UART_LSR = 5,
	UART_MSR = 6,
	UART_SCR = 7,

	UART_IER_RECEIVED = 0x01,
	UART_IER_THR_EMPTY = 0x02,
	UART_IER_LINE_STATUS = 0x04,
	UART_IER_MODEM_STATUS = 0x08,
	UART_IER_BITS = 0x0f,

	UART_IIR_MODEM_STATUS = 0x00,
	UART_IIR_NONE = 0x01,
	UART_IIR_THR_EMPTY = 0x02,
	UART_IIR_RECEIVED = 0x04,
	UART_IIR_LINE_STATUS = 0x06,
	UART_IIR_TIMEOUT = 0x0c,
	UART_IIR_FIFOS = 0xc0,

	UART_FCR_ENABLE = 0x01,
	UART_FCR_CLEAR_RECEIVER = 0x02,
	UART_FCR_KEPT = 0xc9,

	UART_LCR_STOP = 0x04,
	UART_LCR_PARITY = 0x08,
	UART_LCR_BREAK = 0x40,
	UART_LCR_DLAB = 0x80,

	UART_MCR_DTR = 0x01,
	UART_MCR_RTS = 0x02,
	UART_MCR_OUT1 = 0x04,
	UART_MCR_OUT2 = 0x08,
	UART_MCR_LOOP = 0x10,
	UART_MCR_BITS = 0x1f,

	UART_LSR_READY = 0x01,
	UART_LSR_OVERRUN = 0x02,
	UART_LSR_CONDITIONS = 0x1c, // parity, framing, break: travel with a character
	UART_LSR_ERRORS = 0x1e,
	UART_LSR_EMPTY = 0x60, // THR and transmitter
	UART_LSR_FIFO_ERROR = 0x80,

	UART_MSR_DELTAS = 0x0f,
	UART_MSR_CTS = 0x10,
	UART_MSR_DSR = 0x20,
	UART_MSR_RI = 0x40,
	UART_MSR_DCD = 0x80,
	UART_MSR_TERMINAL = UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD,
};

extern const struct device_model uart16550_model;

#endif
