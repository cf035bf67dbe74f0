// SPDX-License-Identifier: BSD-2-Clause
// A PC's serial port: National's PC16550D with FIFOs (data sheet TL/C/8652, section 8,
// "Registers"), clocked at 1.8432 MHz, connected to a terminal that asserts DCD, DSR and CTS. The
// IRQ line passes the gate that PCs drive with the OUT2 pin, which loopback makes inactive (8.6).
//
// The transmitter is always empty: a byte goes out as it is written, and the THR-empty interrupt is
// pending again at once. Eight bits go over the wire whatever the word length is, so that early
// console code works before LCR is set; the length counts in loopback and for character times, the
// parity bits for character times. While break is set (LCR bit 6) nothing reaches the wire.
//
// Left out: transmitter timing, DMA signalling (FCR bit 3), RI from outside.
//
// Called by the bus alone.
#include "emul/uart16550.h"

enum {
	UART_FIFO_BYTES = 16,
	UART_DIVISOR_RESET = 12, // 9600 baud; not defined by the data sheet
	UART_BASE_BAUD = 115200,
};

struct uart16550 {
	struct device device;
	uint64_t timeout_ns; // when the character timeout expires, UINT64_MAX: not running
	uint8_t data[UART_FIFO_BYTES];
	uint8_t conditions[UART_FIFO_BYTES]; // LSR bits of each character, 0 once shown
	uint16_t divisor;
	uint8_t head, count; // of the receiver; one character at most without FIFOs
	uint8_t ier, fcr, lcr, mcr, scratch;
	uint8_t line_errors;  // LSR bits 1 to 4
	uint8_t modem_deltas; // MSR bits 0 to 3
	bool thr_pending;     // THR-empty interrupt
	bool timeout_pending;
	bool irq; // as driven
	uint8_t reserved[2];
};

static bool uart_has_fifos(const struct uart16550 *uart)
{
	return (uart->fcr & UART_FCR_ENABLE) != 0;
}

static bool uart_is_looped(const struct uart16550 *uart)
{
	return (uart->mcr & UART_MCR_LOOP) != 0;
}

static unsigned uart_capacity(const struct uart16550 *uart)
{
	return uart_has_fifos(uart) ? UART_FIFO_BYTES : 1;
}

static unsigned uart_trigger(const struct uart16550 *uart)
{
	static const uint8_t levels[] = {1, 4, 8, 14};

	return uart_has_fifos(uart) ? levels[uart->fcr >> 6] : 1;
}

// Highest pending interrupt that is enabled. Data sheet, table IV.
static uint8_t uart_interrupt(const struct uart16550 *uart)
{
	if ((uart->ier & UART_IER_LINE_STATUS) != 0 && uart->line_errors != 0)
		return UART_IIR_LINE_STATUS;
	if ((uart->ier & UART_IER_RECEIVED) != 0) {
		if (uart->count >= uart_trigger(uart))
			return UART_IIR_RECEIVED;
		if (uart->timeout_pending)
			return UART_IIR_TIMEOUT;
	}
	if ((uart->ier & UART_IER_THR_EMPTY) != 0 && uart->thr_pending)
		return UART_IIR_THR_EMPTY;
	if ((uart->ier & UART_IER_MODEM_STATUS) != 0 && uart->modem_deltas != 0)
		return UART_IIR_MODEM_STATUS;
	return UART_IIR_NONE;
}

static void uart_update_irq(struct uart16550 *uart)
{
	bool gate = (uart->mcr & (UART_MCR_OUT2 | UART_MCR_LOOP)) == UART_MCR_OUT2;
	bool irq = gate && uart_interrupt(uart) != UART_IIR_NONE;

	if (irq == uart->irq)
		return;
	uart->irq = irq;
	device_set_line(&uart->device, UART16550_OUTPUT_IRQ, irq);
}

// Start bit, data, parity and stop bits (8.1). A divisor of 0 stops the clock of a real part; the
// character time then is that of the longest one.
static uint64_t uart_character_ns(const struct uart16550 *uart)
{
	unsigned bits = 1 + 5 + (uart->lcr & 3u) + 1;
	uint64_t divisor = uart->divisor != 0 ? uart->divisor : 65536;

	if ((uart->lcr & UART_LCR_PARITY) != 0)
		bits++;
	if ((uart->lcr & UART_LCR_STOP) != 0)
		bits++;
	return bits * divisor * NS_PER_SECOND / UART_BASE_BAUD;
}

static void uart_arm_timeout(struct uart16550 *uart, uint64_t deadline)
{
	if (deadline == uart->timeout_ns)
		return;
	uart->timeout_ns = deadline;
	device_arm_timer(&uart->device, UART16550_TIMER_TIMEOUT, (struct guest_time){deadline});
}

// The timeout starts anew with each character that arrives or is read (8.8, "FIFO interrupt mode").
static void uart_restart_timeout(struct uart16550 *uart, struct guest_time now)
{
	bool runs = uart_has_fifos(uart) && uart->count > 0 && !uart->timeout_pending;

	uart_arm_timeout(uart, runs ? now.ns + 4 * uart_character_ns(uart) : UINT64_MAX);
}

// A character's conditions show in LSR once it is at the head of the FIFO.
static void uart_show_conditions(struct uart16550 *uart)
{
	if (uart->count == 0)
		return;
	uart->line_errors |= uart->conditions[uart->head];
	uart->conditions[uart->head] = 0;
}

static void uart_push(struct uart16550 *uart, uint8_t byte, uint8_t conditions)
{
	unsigned at = (uart->head + uart->count) % UART_FIFO_BYTES;

	if (uart->count >= uart_capacity(uart)) {
		uart->line_errors |= UART_LSR_OVERRUN;
		if (uart_has_fifos(uart))
			return; // the newest character is lost; without FIFOs, the oldest
		at = uart->head;
	} else {
		uart->count++;
	}
	uart->data[at] = byte;
	uart->conditions[at] = conditions;
	if (at == uart->head)
		uart_show_conditions(uart);
}

static uint8_t uart_pop(struct uart16550 *uart, struct guest_time now)
{
	uint8_t byte = uart->data[uart->head];

	if (uart->count == 0)
		return 0;
	uart->head = (uint8_t)((uart->head + 1) % UART_FIFO_BYTES);
	uart->count--;
	uart->timeout_pending = false;
	uart_show_conditions(uart);
	uart_restart_timeout(uart, now);
	uart_update_irq(uart);
	return byte;
}

static void uart_clear_receiver(struct uart16550 *uart)
{
	uart->head = 0;
	uart->count = 0;
	uart->timeout_pending = false;
	uart_arm_timeout(uart, UINT64_MAX);
}

static uint8_t uart_line_status(const struct uart16550 *uart)
{
	uint8_t status = UART_LSR_EMPTY | uart->line_errors, conditions = uart->line_errors;

	if (uart->count > 0)
		status |= UART_LSR_READY;
	for (unsigned i = 1; i < uart->count; i++)
		conditions |= uart->conditions[(uart->head + i) % UART_FIFO_BYTES];
	if (uart_has_fifos(uart) && (conditions & UART_LSR_CONDITIONS) != 0)
		status |= UART_LSR_FIFO_ERROR;
	return status;
}

// MSR bits 4 to 7: the terminal's, or in loopback those of MCR (8.6).
static uint8_t uart_modem_inputs(const struct uart16550 *uart)
{
	uint8_t inputs = 0;

	if (!uart_is_looped(uart))
		return UART_MSR_TERMINAL;
	if ((uart->mcr & UART_MCR_RTS) != 0)
		inputs |= UART_MSR_CTS;
	if ((uart->mcr & UART_MCR_DTR) != 0)
		inputs |= UART_MSR_DSR;
	if ((uart->mcr & UART_MCR_OUT1) != 0)
		inputs |= UART_MSR_RI;
	if ((uart->mcr & UART_MCR_OUT2) != 0)
		inputs |= UART_MSR_DCD;
	return inputs;
}

static void uart_write_mcr(struct uart16550 *uart, uint8_t value)
{
	uint8_t before = uart_modem_inputs(uart), changed;

	uart->mcr = value & UART_MCR_BITS;
	changed = before ^ uart_modem_inputs(uart);
	if ((changed & UART_MSR_RI) != 0 && (before & UART_MSR_RI) == 0)
		changed &= (uint8_t)~UART_MSR_RI; // RI's delta is its trailing edge alone
	uart->modem_deltas |= changed >> 4;
	uart_update_irq(uart);
}

// Out of line, to keep the path to the wire short.
static __attribute__((noinline)) void uart_transmit_looped(struct uart16550 *uart,
	struct guest_time now, uint8_t byte)
{
	uart_push(uart, byte & (uint8_t)(0xff >> (3 - (uart->lcr & 3))), 0);
	uart_restart_timeout(uart, now);
}

// A write makes THR full, which withdraws its interrupt, and empties it again: an edge-triggered
// interrupt controller sees a new edge.
static void uart_transmit(struct uart16550 *uart, struct guest_time now, uint8_t byte)
{
	if ((uart->ier & UART_IER_THR_EMPTY) != 0 && uart->thr_pending) {
		uart->thr_pending = false;
		uart_update_irq(uart);
	}
	if (uart_is_looped(uart))
		uart_transmit_looped(uart, now, byte);
	else if ((uart->lcr & UART_LCR_BREAK) == 0)
		device_output(&uart->device, UART16550_PORT_CHARACTERS, &byte, 1);
	uart->thr_pending = true;
	if (uart->ier != 0)
		uart_update_irq(uart);
}

static void uart_write_ier(struct uart16550 *uart, uint8_t value)
{
	// Enabling the interrupt of a register that is empty raises it.
	if ((value & ~uart->ier & UART_IER_THR_EMPTY) != 0)
		uart->thr_pending = true;
	uart->ier = value & UART_IER_BITS;
	uart_update_irq(uart);
}

// The other bits count only together with bit 0; a change of bit 0 empties the FIFOs.
static void uart_write_fcr(struct uart16550 *uart, uint8_t value)
{
	uint8_t fcr = (value & UART_FCR_ENABLE) != 0 ? value & UART_FCR_KEPT : 0;

	if (((fcr ^ uart->fcr) & UART_FCR_ENABLE) != 0 ||
		(fcr != 0 && (value & UART_FCR_CLEAR_RECEIVER) != 0))
		uart_clear_receiver(uart);
	uart->fcr = fcr;
	uart_update_irq(uart);
}

static uint8_t uart_read_iir(struct uart16550 *uart)
{
	uint8_t interrupt = uart_interrupt(uart);

	if (interrupt == UART_IIR_THR_EMPTY) {
		uart->thr_pending = false;
		uart_update_irq(uart);
	}
	return uart_has_fifos(uart) ? interrupt | UART_IIR_FIFOS : interrupt;
}

static uint8_t uart_read_lsr(struct uart16550 *uart)
{
	uint8_t status = uart_line_status(uart);

	if (uart->line_errors != 0) {
		uart->line_errors = 0;
		uart_update_irq(uart);
	}
	return status;
}

static uint8_t uart_read_msr(struct uart16550 *uart)
{
	uint8_t status = uart_modem_inputs(uart) | uart->modem_deltas;

	uart->modem_deltas = 0;
	uart_update_irq(uart);
	return status;
}

static void uart16550_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	(void)now;
	(void)kind;
	*CONTAINER_OF(device, struct uart16550, device) = (struct uart16550){
		.device = *device,
		.timeout_ns = UINT64_MAX,
		.divisor = UART_DIVISOR_RESET,
		.thr_pending = true,
	};
}

// The ports are one byte wide: the bus splits wider accesses.
static uint64_t uart16550_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, device);
	bool dlab = (uart->lcr & UART_LCR_DLAB) != 0;

	(void)region;
	(void)size;
	switch (offset) {
	case UART_DATA:
		return dlab ? uart->divisor & 0xff : uart_pop(uart, now);
	case UART_IER:
		return dlab ? uart->divisor >> 8 : uart->ier;
	case UART_IIR:
		return uart_read_iir(uart);
	case UART_LCR:
		return uart->lcr;
	case UART_MCR:
		return uart->mcr;
	case UART_LSR:
		return uart_read_lsr(uart);
	case UART_MSR:
		return uart_read_msr(uart);
	default:
		return uart->scratch;
	}
}

static void uart16550_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, device);
	bool dlab = (uart->lcr & UART_LCR_DLAB) != 0;
	uint8_t byte = (uint8_t)value;

	(void)region;
	(void)size;
	switch (offset) {
	case UART_DATA:
		if (dlab)
			uart->divisor = (uint16_t)((uart->divisor & 0xff00) | byte);
		else
			uart_transmit(uart, now, byte);
		break;
	case UART_IER:
		if (dlab)
			uart->divisor = (uint16_t)((uart->divisor & 0xff) | byte << 8);
		else
			uart_write_ier(uart, byte);
		break;
	case UART_IIR:
		uart_write_fcr(uart, byte);
		break;
	case UART_LCR:
		uart->lcr = byte;
		break;
	case UART_MCR:
		uart_write_mcr(uart, byte);
		break;
	case UART_SCR:
		uart->scratch = byte;
		break;
	default: // LSR and MSR are read-only but for factory tests
		break;
	}
}

static void uart16550_timer(struct device *device, struct guest_time now, unsigned timer)
{
	struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, device);

	(void)timer;
	if (now.ns < uart->timeout_ns) // a character came in between
		return;
	uart->timeout_ns = UINT64_MAX;
	uart->timeout_pending = true;
	uart_update_irq(uart);
}

// In loopback the serial input is disconnected: what arrives is lost.
static void uart16550_receive(struct device *device, struct guest_time now, unsigned port,
	const uint8_t *bytes, size_t count)
{
	struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, device);

	if (uart_is_looped(uart) || count == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (port == UART16550_PORT_CONDITIONS)
			uart_push(uart, 0, bytes[i] & UART_LSR_CONDITIONS);
		else
			uart_push(uart, bytes[i], 0);
	}
	uart_restart_timeout(uart, now);
	uart_update_irq(uart);
}

static size_t uart16550_receive_room(const struct device *device, unsigned port)
{
	const struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, device);

	(void)port;
	return uart_is_looped(uart) ? 0 : uart_capacity(uart) - uart->count;
}

static bool uart16550_level(const struct device *device, struct guest_time now, unsigned output)
{
	(void)now;
	(void)output;
	return CONTAINER_OF(device, struct uart16550, device)->irq;
}

static void uart16550_loaded(struct device *device, struct guest_time now)
{
	struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, device);

	(void)now;
	uart->irq = false;
	uart_update_irq(uart);
	device_arm_timer(device, UART16550_TIMER_TIMEOUT, (struct guest_time){uart->timeout_ns});
}

static const char *uart16550_check(const void *instance)
{
	const struct uart16550 *uart = instance;

	for (unsigned i = 0; i < UART_FIFO_BYTES; i++)
		if ((uart->conditions[i] & ~UART_LSR_CONDITIONS) != 0)
			return "not the condition of a character";
	if ((uart->line_errors & ~UART_LSR_ERRORS) != 0)
		return "not a line error";
	if ((uart->fcr & ~UART_FCR_KEPT) != 0)
		return "FCR bit that is not kept";
	if (uart->count > uart_capacity(uart))
		return "more characters than the receiver holds";
	if (!uart_has_fifos(uart) && uart->fcr != 0)
		return "FIFO settings without FIFOs";
	if ((uart->timeout_pending || uart->timeout_ns != UINT64_MAX) &&
		(!uart_has_fifos(uart) || uart->count == 0))
		return "character timeout without characters";
	if (uart->timeout_pending && uart->timeout_ns != UINT64_MAX)
		return "character timeout both pending and running";
	return NULL;
}

static const struct state_field uart16550_fields[] = {
	STATE_DERIVED(struct uart16550, device),
	STATE_ANY(struct uart16550, timeout_ns),
	STATE_ARRAY_ANY(struct uart16550, data),
	STATE_ARRAY(struct uart16550, conditions, 0, UART_LSR_CONDITIONS),
	STATE_ANY(struct uart16550, divisor),
	STATE_VALUE(struct uart16550, head, 0, UART_FIFO_BYTES - 1),
	STATE_VALUE(struct uart16550, count, 0, UART_FIFO_BYTES),
	STATE_VALUE(struct uart16550, ier, 0, UART_IER_BITS),
	STATE_VALUE(struct uart16550, fcr, 0, UART_FCR_KEPT),
	STATE_ANY(struct uart16550, lcr),
	STATE_VALUE(struct uart16550, mcr, 0, UART_MCR_BITS),
	STATE_ANY(struct uart16550, scratch),
	STATE_VALUE(struct uart16550, line_errors, 0, UART_LSR_ERRORS),
	STATE_VALUE(struct uart16550, modem_deltas, 0, UART_MSR_DELTAS),
	STATE_BOOL(struct uart16550, thr_pending),
	STATE_BOOL(struct uart16550, timeout_pending),
	STATE_DERIVED(struct uart16550, irq),
	STATE_PAD(struct uart16550, reserved),
};

static const struct state_table uart16550_state =
	STATE_TABLE("isa-serial", 1, struct uart16550, uart16550_fields, uart16550_check);

const struct device_model uart16550_model = {
	.name = "isa-serial",
	.description = "16550A serial port",
	.instance_bytes = sizeof(struct uart16550),
	.timers = UART16550_TIMERS,
	.outputs = UART16550_OUTPUTS,
	.state = &uart16550_state,
	.reset = uart16550_reset,
	.read = uart16550_read,
	.write = uart16550_write,
	.timer = uart16550_timer,
	.receive = uart16550_receive,
	.receive_room = uart16550_receive_room,
	.level = uart16550_level,
	.loaded = uart16550_loaded,
};

DEVICE_MODEL_REGISTER(200, uart16550_model);
