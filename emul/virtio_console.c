// SPDX-License-Identifier: BSD-2-Clause
// A virtio console over PCI: transitional, one port.
//
// Specification: VIRTIO 1.2, 5.3.
//
// Characters that come before the driver has a buffer for them wait in a small FIFO; no more are
// taken than it holds. A large buffer of output is sent in several goes.
//
// Left out on purpose: MULTIPORT. The size of the terminal is not known: a plausible one is told.
//
// Entered by the VM's bus only.
#include "emul/virtio_console.h"

#include <string.h>

#include "emul/virtio.h"

enum {
	TYPE = 3, // 5
	TRANSITIONAL = 0x1003,
	CLASS_COMMUNICATION = 0x078000, // as QEMU's
	QUEUE_RECEIVE = 0,
	QUEUE_TRANSMIT = 1,
	QUEUES = 2,
	QUEUE_SIZE = VIRTIO_QUEUE_SIZE_MAX,

	FIFO_BYTES = 64,
	PART_BYTES = 256,       // are copied at a time
	BYTES_AT_A_TIME = 4096, // that are sent
	CHAINS_AT_A_TIME = 32,

	HALF_TRANSMIT = 0,
	HALVES,

	// 5.3.3, 5.3.4
	F_SIZE = 0,
	F_EMERG_WRITE = 2,
	COLUMNS = 80,
	ROWS = 25,
	CONFIG_BYTES = 12,
	CONFIG_EMERGENCY = 8,
};

struct virtio_console {
	struct virtio virtio;
	uint8_t fifo[FIFO_BYTES];
	uint8_t first, count; // of the characters in it
	uint8_t reserved[6];
	uint64_t sent; // bytes of the next buffer of output
};

static struct virtio_console *console_of(struct device *device)
{
	return CONTAINER_OF(device, struct virtio_console, virtio.pci.device);
}

static void fifo_put(struct virtio_console *console, uint8_t byte)
{
	console->fifo[(console->first + console->count++) % FIFO_BYTES] = byte;
}

static void fifo_take(struct virtio_console *console, uint8_t *to, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		to[i] = console->fifo[console->first];
		console->fifo[console->first] = 0;
		console->first = (uint8_t)((console->first + 1) % FIFO_BYTES);
		console->count--;
	}
}

// 5.3.6: what is there goes to buffers that are there.
static void receive_serve(struct virtio_console *console)
{
	struct virtio *virtio = &console->virtio;
	struct virtio_chain chain;
	bool any = false;

	chain.last = false;
	while (console->count > 0 && virtio_pop_or_listen(virtio, QUEUE_RECEIVE, &chain)) {
		uint64_t room = chain.writable_bytes;
		uint8_t bytes[FIFO_BYTES];
		unsigned count = room < console->count ? (unsigned)room : console->count;

		if (chain.readable != 0) {
			virtio_break(virtio, "a buffer for input is not to be written");
			return;
		}
		fifo_take(console, bytes, count);
		if (!virtio_chain_put(&virtio->pci.device, &chain, 0, bytes, count)) {
			virtio_break(virtio, "a buffer for input is not in memory");
			return;
		}
		virtio_push(virtio, QUEUE_RECEIVE, chain.id, chain.slots, count);
		any = true;
	}
	if (any)
		virtio_signal(virtio, QUEUE_RECEIVE);
}

// What is left of the buffer, as far as *room goes. NULL, or what is wrong with it.
static const char *send(struct virtio_console *console, const struct virtio_chain *chain,
	size_t *room)
{
	struct device *device = &console->virtio.pci.device;
	uint64_t bytes = chain->readable_bytes;
	uint8_t part[PART_BYTES];

	if (chain->writable != 0)
		return "a buffer of output is to be written";
	while (console->sent < bytes && *room > 0) {
		size_t count = *room < PART_BYTES ? *room : PART_BYTES;

		if (bytes - console->sent < count)
			count = (size_t)(bytes - console->sent);
		if (!virtio_chain_get(device, chain, console->sent, part, count))
			return "a buffer of output is not in memory";
		device_output(device, VIRTIO_CONSOLE_PORT_CHARACTERS, part, count);
		console->sent += count;
		*room -= count;
	}
	return NULL;
}

static void transmit_serve(struct virtio_console *console)
{
	struct virtio *virtio = &console->virtio;
	struct virtio_chain chain;
	unsigned chains = 0;
	size_t room = BYTES_AT_A_TIME;

	chain.last = false;
	while (chains < CHAINS_AT_A_TIME && room > 0 &&
		virtio_pop_or_listen(virtio, QUEUE_TRANSMIT, &chain)) {
		const char *reason = send(console, &chain, &room);

		if (reason != NULL) {
			virtio_break(virtio, reason);
			return;
		}
		if (console->sent < chain.readable_bytes) {
			virtio_unpop(virtio, QUEUE_TRANSMIT, &chain);
			break;
		}
		console->sent = 0;
		virtio_push(virtio, QUEUE_TRANSMIT, chain.id, chain.slots, 0);
		chains++;
	}
	if (chains == CHAINS_AT_A_TIME || room == 0)
		device_schedule_bottom_half(&virtio->pci.device, HALF_TRANSMIT);
	if (chains > 0)
		virtio_signal(virtio, QUEUE_TRANSMIT);
}

static uint32_t console_config_read(const struct virtio *virtio, unsigned offset)
{
	static const uint8_t config[CONFIG_BYTES] = {COLUMNS, 0, ROWS, 0, 1, 0, 0, 0, 0, 0, 0, 0};

	(void)virtio;
	return config[offset];
}

// 5.3.4: at any time, without a driver too. The low byte is the character.
static void console_config_write(struct virtio *virtio, unsigned offset, uint8_t value)
{
	if (offset == CONFIG_EMERGENCY)
		device_output(&virtio->pci.device, VIRTIO_CONSOLE_PORT_CHARACTERS, &value, 1);
}

static void console_notified(struct virtio *virtio, struct guest_time now, unsigned queue)
{
	struct virtio_console *console = CONTAINER_OF(virtio, struct virtio_console, virtio);

	(void)now;
	if (queue == QUEUE_RECEIVE)
		receive_serve(console);
	else
		transmit_serve(console);
}

static void fifo_clear(struct virtio_console *console)
{
	memset(console->fifo, 0, sizeof(console->fifo));
	console->first = console->count = 0;
}

static void console_queue_stopped(struct virtio *virtio, unsigned queue)
{
	struct virtio_console *console = CONTAINER_OF(virtio, struct virtio_console, virtio);

	if (queue == QUEUE_RECEIVE)
		fifo_clear(console);
	else
		console->sent = 0;
}

static const struct pcidev_register console_registers[] = {VIRTIO_PCI_REGISTERS};

static const struct virtio_class console_class = {
	.pci = VIRTIO_PCI_INFO(TRANSITIONAL, TYPE, CLASS_COMMUNICATION, console_registers),
	.features = BIT(F_SIZE) | BIT(F_EMERG_WRITE) | BIT(VIRTIO_F_ANY_LAYOUT) |
		BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) |
		BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER) | BIT(VIRTIO_F_RING_RESET),
	.queue_count = QUEUES,
	.queue_size = QUEUE_SIZE,
	.config_bytes = CONFIG_BYTES,
	.config_read = console_config_read,
	.config_write = console_config_write,
	.notified = console_notified,
	.queue_stopped = console_queue_stopped,
};

static void virtio_console_reset(struct device *device, struct guest_time now,
	enum device_reset kind)
{
	struct virtio_console *console = console_of(device);

	(void)now;
	(void)kind;
	fifo_clear(console);
	console->sent = 0;
	virtio_reset(&console->virtio);
}

static void virtio_console_bottom_half(struct device *device, struct guest_time now,
	unsigned bottom_half)
{
	(void)now;
	(void)bottom_half;
	transmit_serve(console_of(device));
}

// The driver may have been reset since there was room.
static void virtio_console_receive(struct device *device, struct guest_time now, unsigned port,
	const uint8_t *bytes, size_t count)
{
	struct virtio_console *console = console_of(device);

	(void)now;
	(void)port;
	if (!virtio_queue_is_live(&console->virtio, QUEUE_RECEIVE))
		return;
	for (size_t i = 0; i < count && console->count < FIFO_BYTES; i++)
		fifo_put(console, bytes[i]);
	receive_serve(console);
}

static size_t virtio_console_receive_room(const struct device *device, unsigned port)
{
	const struct virtio_console *console =
		CONTAINER_OF(device, const struct virtio_console, virtio.pci.device);

	(void)port;
	return virtio_queue_is_live(&console->virtio, QUEUE_RECEIVE)
		? (size_t)(FIFO_BYTES - console->count) : 0;
}

static void virtio_console_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	virtio_loaded(virtio_of(device));
}

static const char *virtio_console_check(const void *instance)
{
	const struct virtio_console *console = instance;

	return virtio_check_idle(&console->virtio, &console_class, -1);
}

static const struct state_field virtio_console_fields[] = {
	VIRTIO_STATE(struct virtio_console),
	STATE_ARRAY_ANY(struct virtio_console, fifo),
	STATE_VALUE(struct virtio_console, first, 0, FIFO_BYTES - 1),
	STATE_VALUE(struct virtio_console, count, 0, FIFO_BYTES),
	STATE_PAD(struct virtio_console, reserved),
	STATE_ANY(struct virtio_console, sent),
};

static const struct state_table virtio_console_state = STATE_TABLE("virtio-console", 1,
	struct virtio_console, virtio_console_fields, virtio_console_check);

const struct device_model virtio_console_model = {
	.name = "virtio-console",
	.description = "virtio console",
	.instance_bytes = sizeof(struct virtio_console),
	.bottom_halves = HALVES,
	.outputs = 1,
	.verify = virtio_verify,
	.state = &virtio_console_state,
	.pci = &console_class.pci,
	.reset = virtio_console_reset,
	.read = virtio_read,
	.write = virtio_write,
	.bottom_half = virtio_console_bottom_half,
	.receive = virtio_console_receive,
	.receive_room = virtio_console_receive_room,
	.level = virtio_level,
	.loaded = virtio_console_loaded,
};

DEVICE_MODEL_REGISTER(280, virtio_console_model);
