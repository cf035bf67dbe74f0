// SPDX-License-Identifier: BSD-2-Clause
// Two Intel 8259A interrupt controllers as a PC has them, the slave at the master's IR2, with the
// edge/level control registers of EISA and the PIIX. Intel 8259A datasheet (231468); 82371SB
// (PIIX3) datasheet, section 2.5, for ELCR.
//
// Left out on purpose: MCS-80/85 mode and buffered mode (no PC has them), and what follows from
// hard wiring: ICW1's LTIM is overruled by ELCR, ICW3 by the cascade at IR2.
//
// Where the datasheets leave room:
// - An edge-triggered request is withdrawn when its line falls before the INTA cycle, so a source
//   must hold its line. INT falls with the last request; an INTA cycle all the same yields the
//   spurious vector.
// - The master sees the slave's INT as a level, and both INTA cycles are one operation: a request
//   that the slave withdraws before them is gone for the master as well. The spurious vector thus
//   is the master's, IRQ 7, never the slave's.
// - A chip raises no interrupt before the first initialisation, nor during one.
// - A poll that finds nothing reads zero.
//
// Called by the bus, and for INTA by the vcpu's run loop (vm/), under the device lock.
#include "emul/i8259.h"

#include "kernel/base/assert.h"

enum chip_number {
	MASTER,
	SLAVE,
	CHIPS
};

// Which byte of an initialisation comes next at the odd port.
enum init_step {
	STEP_READY,
	STEP_ICW2,
	STEP_ICW3,
	STEP_ICW4,
	STEP_POWER_ON, // none: waits for ICW1
	STEPS
};

enum {
	CASCADE = 2,
	CASCADE_BIT = 1 << CASCADE,
	ICW1 = 0x10,
	ICW1_SINGLE = 0x02,
	ICW1_ICW4 = 0x01,
	ICW4_AUTO_EOI = 0x02,
	ICW4_FULLY_NESTED = 0x10,
	OCW3 = 0x08,
	OCW3_POLL = 0x04,
	OCW3_READ = 0x02,
	OCW3_READ_ISR = 0x01,
	OCW3_MASK_ENABLE = 0x40,
	OCW3_MASK_SPECIAL = 0x20,
	POLL_REQUEST = 0x80,
	NONE = -1,
};

// Lines 0, 1, 2, 8 and 13 are edge-triggered for good.
static const uint8_t elcr_writable[CHIPS] = {0xf8, 0xde};

struct chip {
	uint8_t lines; // levels of the wires
	uint8_t irr;   // latched edges; level-triggered requests are in `lines`
	uint8_t isr;
	uint8_t imr;
	uint8_t elcr;
	uint8_t vector_base;
	uint8_t first;     // the input of the highest priority
	uint8_t init_step; // enum init_step
	bool icw4;         // the initialisation under way has an ICW4
	bool single;
	bool auto_eoi;
	bool rotate_auto; // rotate in automatic EOI mode
	bool special_mask;
	bool fully_nested; // special fully nested mode
	bool read_isr;     // the even port reads ISR, not IRR
	bool poll;         // the next read is a poll
};

struct i8259 {
	struct device device;
	struct chip chips[CHIPS];
	bool intr; // derived: the output's level
	uint8_t reserved[7];
};

static struct i8259 *i8259_of(struct device *device)
{
	return CONTAINER_OF(device, struct i8259, device);
}

static uint8_t bit_of(unsigned input)
{
	return (uint8_t)(1u << input);
}

// The input of the highest priority in a set, or NONE.
static int highest(const struct chip *chip, unsigned set)
{
	unsigned rotated = ((set | set << 8) >> chip->first) & 0xff;

	return rotated == 0 ? NONE : (__builtin_ctz(rotated) + chip->first) & 7;
}

static unsigned rank(const struct chip *chip, int input)
{
	return input == NONE ? 8 : ((unsigned)input - chip->first) & 7;
}

// Requests, masked ones included. `cascade`: the slave's INT, on the master.
static uint8_t requests(const struct chip *chip, bool cascade)
{
	return (uint8_t)(chip->irr | (chip->lines & chip->elcr) | (cascade ? CASCADE_BIT : 0));
}

// The request that the chip presents, or NONE: one above all that are in service. In special mask
// mode those that are masked do not count; in special fully nested mode the slave may interrupt
// itself.
static int presented(const struct chip *chip, bool cascade)
{
	unsigned in_service = chip->isr;
	int request, serviced;

	if (chip->init_step != STEP_READY)
		return NONE;
	if (chip->special_mask)
		in_service &= ~(unsigned)chip->imr;
	request = highest(chip, requests(chip, cascade) & ~(unsigned)chip->imr);
	serviced = highest(chip, in_service);
	if (request != NONE && request == serviced && chip->fully_nested && cascade &&
		request == CASCADE)
		return request;
	return rank(chip, request) < rank(chip, serviced) ? request : NONE;
}

static bool slave_int(const struct i8259 *i8259)
{
	return presented(&i8259->chips[SLAVE], false) != NONE;
}

static bool cascade_of(const struct i8259 *i8259, unsigned chip)
{
	return chip == MASTER && slave_int(i8259);
}

static int presented_by(const struct i8259 *i8259, unsigned chip)
{
	return presented(&i8259->chips[chip], cascade_of(i8259, chip));
}

static void update_output(struct i8259 *i8259)
{
	bool intr = presented_by(i8259, MASTER) != NONE;

	if (intr == i8259->intr)
		return;
	i8259->intr = intr;
	device_set_line(&i8259->device, I8259_OUTPUT_INTR, intr);
}

static void rotate_behind(struct chip *chip, unsigned input)
{
	chip->first = (input + 1) & 7;
}

// First INTA cycle, or a poll.
static void take(struct chip *chip, unsigned input)
{
	chip->irr &= (uint8_t)~bit_of(input);
	if (!chip->auto_eoi)
		chip->isr |= bit_of(input);
	else if (chip->rotate_auto)
		rotate_behind(chip, input);
}

uint8_t i8259_acknowledge(struct device *device, struct guest_time now)
{
	struct i8259 *i8259 = i8259_of(device);
	unsigned number = MASTER;
	int input = presented_by(i8259, MASTER);

	(void)now;
	if (input == NONE)
		return i8259->chips[MASTER].vector_base + 7; // spurious
	take(&i8259->chips[MASTER], (unsigned)input);
	if (input == CASCADE && !i8259->chips[MASTER].single) {
		number = SLAVE;
		input = presented_by(i8259, SLAVE);
		ASSERT(input != NONE);
		take(&i8259->chips[SLAVE], (unsigned)input);
	}
	update_output(i8259);
	return (uint8_t)(i8259->chips[number].vector_base + input);
}

static void write_icw1(struct chip *chip, uint8_t value)
{
	chip->irr = 0;
	chip->isr = 0;
	chip->imr = 0;
	chip->first = 0;
	chip->special_mask = false;
	chip->read_isr = false;
	chip->poll = false;
	chip->rotate_auto = false;
	chip->auto_eoi = false;
	chip->fully_nested = false;
	chip->icw4 = (value & ICW1_ICW4) != 0;
	chip->single = (value & ICW1_SINGLE) != 0;
	chip->init_step = STEP_ICW2;
}

// R, SL and EOI in bits 7 to 5.
static void write_ocw2(struct chip *chip, uint8_t value)
{
	unsigned command = value >> 5, in_service = chip->isr;
	int input = value & 7;

	if (chip->special_mask)
		in_service &= ~(unsigned)chip->imr;
	switch (command) {
	case 0: // rotate in automatic EOI mode: clear, set
	case 4:
		chip->rotate_auto = command == 4;
		return;
	case 1: // non-specific EOI, without and with rotation
	case 5:
		input = highest(chip, in_service);
		if (input == NONE)
			return;
		break;
	case 2: // no operation
		return;
	default: // specific EOI, set priority, specific EOI with rotation
		break;
	}
	if (command & 1)
		chip->isr &= (uint8_t)~bit_of((unsigned)input);
	if (command & 4)
		rotate_behind(chip, (unsigned)input);
}

static void write_ocw3(struct chip *chip, uint8_t value)
{
	if (value & OCW3_MASK_ENABLE)
		chip->special_mask = (value & OCW3_MASK_SPECIAL) != 0;
	if (value & OCW3_POLL)
		chip->poll = true;
	else if (value & OCW3_READ)
		chip->read_isr = (value & OCW3_READ_ISR) != 0;
}

// The odd port: ICW2 to ICW4 in turn, else OCW1.
static void write_odd(struct chip *chip, uint8_t value)
{
	switch (chip->init_step) {
	case STEP_ICW2:
		chip->vector_base = value & 0xf8;
		if (!chip->single)
			chip->init_step = STEP_ICW3;
		else
			chip->init_step = chip->icw4 ? STEP_ICW4 : STEP_READY;
		break;
	case STEP_ICW3:
		chip->init_step = chip->icw4 ? STEP_ICW4 : STEP_READY;
		break;
	case STEP_ICW4:
		chip->auto_eoi = (value & ICW4_AUTO_EOI) != 0;
		chip->fully_nested = (value & ICW4_FULLY_NESTED) != 0;
		chip->init_step = STEP_READY;
		break;
	default:
		chip->imr = value;
		break;
	}
}

static void write_byte(struct i8259 *i8259, unsigned region, unsigned port, uint8_t value)
{
	struct chip *chip;

	if (region == I8259_REGION_ELCR) {
		chip = &i8259->chips[port];
		chip->elcr = value & elcr_writable[port];
		chip->irr &= (uint8_t)~chip->elcr;
		return;
	}
	chip = &i8259->chips[region];
	if (port == 1)
		write_odd(chip, value);
	else if (value & ICW1)
		write_icw1(chip, value);
	else if (value & OCW3)
		write_ocw3(chip, value);
	else
		write_ocw2(chip, value);
}

static uint8_t read_poll(struct i8259 *i8259, unsigned number)
{
	int input = presented_by(i8259, number);

	i8259->chips[number].poll = false;
	if (input == NONE)
		return 0;
	take(&i8259->chips[number], (unsigned)input);
	update_output(i8259);
	return (uint8_t)(POLL_REQUEST | input);
}

static uint8_t read_byte(struct i8259 *i8259, unsigned region, unsigned port)
{
	const struct chip *chip;

	if (region == I8259_REGION_ELCR)
		return i8259->chips[port].elcr;
	chip = &i8259->chips[region];
	if (chip->poll)
		return read_poll(i8259, region);
	if (port == 1)
		return chip->imr;
	return chip->read_isr ? chip->isr : requests(chip, cascade_of(i8259, region));
}

static uint64_t i8259_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct i8259 *i8259 = i8259_of(device);
	uint64_t value = 0;

	(void)now;
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)read_byte(i8259, region, ((unsigned)offset + i) & 1) << (8 * i);
	return value;
}

static void i8259_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct i8259 *i8259 = i8259_of(device);

	(void)now;
	for (unsigned i = 0; i < size; i++)
		write_byte(i8259, region, ((unsigned)offset + i) & 1, (uint8_t)(value >> (8 * i)));
	update_output(i8259);
}

static void i8259_line(struct device *device, struct guest_time now, unsigned input, bool level)
{
	struct i8259 *i8259 = i8259_of(device);
	struct chip *chip = &i8259->chips[input / 8];
	uint8_t bit = bit_of(input & 7);

	(void)now;
	if (input == CASCADE)
		return;
	if (!level) {
		chip->lines &= (uint8_t)~bit;
		chip->irr &= (uint8_t)~bit;
	} else if (!(chip->lines & bit)) {
		chip->lines |= bit;
		chip->irr |= bit & (uint8_t)~chip->elcr;
	}
	update_output(i8259);
}

static bool i8259_level(const struct device *device, struct guest_time now, unsigned output)
{
	(void)now;
	(void)output;
	return CONTAINER_OF(device, const struct i8259, device)->intr;
}

static void i8259_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct i8259 *i8259 = i8259_of(device);

	(void)now;
	(void)kind;
	for (unsigned i = 0; i < CHIPS; i++)
		i8259->chips[i] = (struct chip){.init_step = STEP_POWER_ON};
	for (unsigned i = 0; i < I8259_INPUTS; i++)
		if (i != CASCADE && device_sample(device, i))
			i8259->chips[i / 8].lines |= bit_of(i & 7);
	i8259->intr = false;
}

static void i8259_loaded(struct device *device, struct guest_time now)
{
	struct i8259 *i8259 = i8259_of(device);

	(void)now;
	i8259->intr = presented_by(i8259, MASTER) != NONE;
	device_set_line(device, I8259_OUTPUT_INTR, i8259->intr);
}

static const char *i8259_check(const void *instance)
{
	const struct i8259 *i8259 = instance;

	for (unsigned i = 0; i < CHIPS; i++) {
		const struct chip *chip = &i8259->chips[i];

		if (chip->elcr & ~elcr_writable[i])
			return "ELCR makes a system line level-triggered";
		if (chip->irr & (chip->elcr | ~chip->lines))
			return "edge latched without a raised edge-triggered line";
		if (chip->vector_base & 7)
			return "vector base is not a multiple of eight";
	}
	if (i8259->chips[MASTER].lines & CASCADE_BIT)
		return "line raised at the cascade input";
	return NULL;
}

static const struct state_field i8259_fields[] = {
	STATE_DERIVED(struct i8259, device),
	STATE_EACH_ANY(struct i8259, chips, lines),
	STATE_EACH_ANY(struct i8259, chips, irr),
	STATE_EACH_ANY(struct i8259, chips, isr),
	STATE_EACH_ANY(struct i8259, chips, imr),
	STATE_EACH(struct i8259, chips, elcr, 0, 0xfe),
	STATE_EACH(struct i8259, chips, vector_base, 0, 0xf8),
	STATE_EACH(struct i8259, chips, first, 0, 7),
	STATE_EACH(struct i8259, chips, init_step, 0, STEPS - 1),
	STATE_EACH(struct i8259, chips, icw4, 0, 1),
	STATE_EACH(struct i8259, chips, single, 0, 1),
	STATE_EACH(struct i8259, chips, auto_eoi, 0, 1),
	STATE_EACH(struct i8259, chips, rotate_auto, 0, 1),
	STATE_EACH(struct i8259, chips, special_mask, 0, 1),
	STATE_EACH(struct i8259, chips, fully_nested, 0, 1),
	STATE_EACH(struct i8259, chips, read_isr, 0, 1),
	STATE_EACH(struct i8259, chips, poll, 0, 1),
	STATE_DERIVED(struct i8259, intr),
	STATE_PAD(struct i8259, reserved),
};

static const struct state_table i8259_state =
	STATE_TABLE("isa-i8259", 1, struct i8259, i8259_fields, i8259_check);

const struct device_model i8259_model = {
	.name = "isa-i8259",
	.description = "pair of 8259A interrupt controllers",
	.instance_bytes = sizeof(struct i8259),
	.inputs = I8259_INPUTS,
	.outputs = I8259_OUTPUTS,
	.state = &i8259_state,
	.reset = i8259_reset,
	.read = i8259_read,
	.write = i8259_write,
	.line = i8259_line,
	.level = i8259_level,
	.loaded = i8259_loaded,
};

DEVICE_MODEL_REGISTER(100, i8259_model);
