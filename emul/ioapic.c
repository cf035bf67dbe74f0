// SPDX-License-Identifier: BSD-2-Clause
// I/O APIC: Intel 82093AA (datasheet 290566, sections 3.1 and 3.2) with the EOI register of its
// successors, hence version 0x20 (ICH9 datasheet, 13.5).
//
// Left out on purpose: the serial APIC bus (the arbitration ID is the ID) and with it the delivery
// status, which always reads idle: a message has left when the handler returns.
//
// Where the datasheets leave room:
// - IOREGSEL and EOI take writes of any size at their own offset, of which the low byte counts.
//   IOWIN takes 32-bit writes alone. A read of any size yields the bytes of the register there.
//   What lies elsewhere in the page reads zero.
// - Remote IRR is set when a level-triggered Fixed or lowest-priority message is sent. It falls at
//   an EOI of the entry's vector, and when software makes the entry edge-triggered.
// - An entry of another delivery mode is edge-triggered, whatever its trigger mode bit says
//   (3.2.4, delivery mode).
//
// Called by the bus, under the device lock.
#include "emul/ioapic.h"

enum {
	VERSION = 0x20 | (IOAPIC_PINS - 1) << 16,
	RTE_LOGICAL = 1 << 11,
	RTE_ACTIVE_LOW = 1 << 13,
	RTE_REMOTE_IRR = 1 << 14,
	RTE_LEVEL = 1 << 15,
	RTE_MASKED = 1 << 16,
	PINS_MASK = (1 << IOAPIC_PINS) - 1,
};

#define RTE_WRITABLE UINT64_C(0xff0000000001afff)

struct ioapic {
	struct device device;
	uint64_t rte[IOAPIC_PINS];
	uint32_t lines; // levels of the wires
	uint8_t id;
	uint8_t ioregsel;
	uint8_t reserved[2];
};

static struct ioapic *ioapic_of(struct device *device)
{
	return CONTAINER_OF(device, struct ioapic, device);
}

static unsigned delivery_of(uint64_t rte)
{
	return (unsigned)(rte >> 8) & 7;
}

static bool level_triggered(uint64_t rte)
{
	return (rte & RTE_LEVEL) && delivery_of(rte) <= INTERRUPT_LOWEST_PRIORITY;
}

static bool pin_active(const struct ioapic *ioapic, unsigned pin)
{
	return ((ioapic->lines & BIT(pin)) != 0) != ((ioapic->rte[pin] & RTE_ACTIVE_LOW) != 0);
}

static void send(struct ioapic *ioapic, unsigned pin)
{
	uint64_t rte = ioapic->rte[pin];
	const struct interrupt_message message = {
		.destination = (uint32_t)(rte >> 56),
		.vector = (uint8_t)rte,
		.delivery = (uint8_t)delivery_of(rte),
		.logical = (rte & RTE_LOGICAL) != 0,
		.level = level_triggered(rte),
		.assert = true,
	};

	device_send_message(&ioapic->device, &message);
}

// Sends a level-triggered interrupt that is asserted and not yet on its way.
static void service_level(struct ioapic *ioapic, unsigned pin)
{
	uint64_t rte = ioapic->rte[pin];

	if (!level_triggered(rte) || (rte & (RTE_MASKED | RTE_REMOTE_IRR)) ||
		!pin_active(ioapic, pin))
		return;
	ioapic->rte[pin] |= RTE_REMOTE_IRR;
	send(ioapic, pin);
}

static void ioapic_line(struct device *device, struct guest_time now, unsigned input, bool level)
{
	struct ioapic *ioapic = ioapic_of(device);
	bool was_active = pin_active(ioapic, input);
	uint32_t bit = (uint32_t)1 << input;

	(void)now;
	ioapic->lines = level ? ioapic->lines | bit : ioapic->lines & ~bit;
	if (level_triggered(ioapic->rte[input]))
		service_level(ioapic, input);
	else if (!(ioapic->rte[input] & RTE_MASKED) && !was_active && pin_active(ioapic, input))
		send(ioapic, input); // an edge at a masked pin is lost, 3.2.4
}

static void end_interrupt(struct ioapic *ioapic, uint8_t vector)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		if (!(ioapic->rte[pin] & RTE_REMOTE_IRR) || (uint8_t)ioapic->rte[pin] != vector)
			continue;
		ioapic->rte[pin] &= ~(uint64_t)RTE_REMOTE_IRR;
		service_level(ioapic, pin);
	}
}

static void ioapic_message(struct device *device, struct guest_time now,
	const struct interrupt_message *message)
{
	(void)now;
	if (message->delivery == INTERRUPT_EOI)
		end_interrupt(ioapic_of(device), message->vector);
}

static uint32_t register_read(const struct ioapic *ioapic)
{
	unsigned index = ioapic->ioregsel, entry = (index - IOAPIC_REDIRECTION) / 2;

	switch (index) {
	case IOAPIC_ID:
	case IOAPIC_ARBITRATION:
		return (uint32_t)ioapic->id << 24;
	case IOAPIC_VERSION:
		return VERSION;
	default:
		if (index < IOAPIC_REDIRECTION || entry >= IOAPIC_PINS)
			return 0;
		return (uint32_t)(ioapic->rte[entry] >> (index & 1 ? 32 : 0));
	}
}

static void write_entry(struct ioapic *ioapic, unsigned pin, uint64_t rte)
{
	rte &= RTE_WRITABLE;
	if (level_triggered(rte))
		rte |= ioapic->rte[pin] & RTE_REMOTE_IRR;
	ioapic->rte[pin] = rte;
	service_level(ioapic, pin);
}

static void register_write(struct ioapic *ioapic, uint32_t value)
{
	unsigned index = ioapic->ioregsel, entry = (index - IOAPIC_REDIRECTION) / 2;

	if (index == IOAPIC_ID)
		ioapic->id = (value >> 24) & 0xf;
	else if (index < IOAPIC_REDIRECTION || entry >= IOAPIC_PINS)
		return;
	else if (index & 1)
		write_entry(ioapic, entry, (uint64_t)value << 32 | (uint32_t)ioapic->rte[entry]);
	else
		write_entry(ioapic, entry, (ioapic->rte[entry] & ~(uint64_t)UINT32_MAX) | value);
}

static uint64_t ioapic_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	const struct ioapic *ioapic = ioapic_of(device);
	unsigned byte = offset & 15;
	uint32_t value = 0;

	(void)now;
	(void)region;
	(void)size;
	if (offset - byte == IOAPIC_IOREGSEL)
		value = ioapic->ioregsel;
	else if (offset - byte == IOAPIC_IOWIN)
		value = register_read(ioapic);
	return byte < 4 ? value >> (8 * byte) : 0;
}

static void ioapic_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct ioapic *ioapic = ioapic_of(device);

	(void)now;
	(void)region;
	if (offset == IOAPIC_IOREGSEL)
		ioapic->ioregsel = (uint8_t)value;
	else if (offset == IOAPIC_IOWIN && size == 4)
		register_write(ioapic, (uint32_t)value);
	else if (offset == IOAPIC_EOI)
		end_interrupt(ioapic, (uint8_t)value);
}

static void ioapic_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct ioapic *ioapic = ioapic_of(device);

	(void)now;
	(void)kind;
	ioapic->lines = 0;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		ioapic->rte[pin] = RTE_MASKED;
		if (device_sample(device, pin))
			ioapic->lines |= (uint32_t)1 << pin;
	}
	ioapic->id = 0;
	ioapic->ioregsel = 0;
}

static const char *ioapic_check(const void *instance)
{
	const struct ioapic *ioapic = instance;

	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t rte = ioapic->rte[pin];

		if (rte & ~(RTE_WRITABLE | RTE_REMOTE_IRR))
			return "reserved bit set in a redirection entry";
		if ((rte & RTE_REMOTE_IRR) && !level_triggered(rte))
			return "remote IRR of an entry that is not level-triggered";
	}
	return NULL;
}

static const struct state_field ioapic_fields[] = {
	STATE_DERIVED(struct ioapic, device),
	STATE_ARRAY_ANY(struct ioapic, rte),
	STATE_VALUE(struct ioapic, lines, 0, PINS_MASK),
	STATE_VALUE(struct ioapic, id, 0, 15),
	STATE_ANY(struct ioapic, ioregsel),
	STATE_PAD(struct ioapic, reserved),
};

static const struct state_table ioapic_state =
	STATE_TABLE("ioapic", 1, struct ioapic, ioapic_fields, ioapic_check);

const struct device_model ioapic_model = {
	.name = "ioapic",
	.description = "I/O APIC, 24 pins",
	.instance_bytes = sizeof(struct ioapic),
	.inputs = IOAPIC_PINS,
	.state = &ioapic_state,
	.reset = ioapic_reset,
	.read = ioapic_read,
	.write = ioapic_write,
	.line = ioapic_line,
	.message = ioapic_message,
};

DEVICE_MODEL_REGISTER(120, ioapic_model);
