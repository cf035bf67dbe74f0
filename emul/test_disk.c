// SPDX-License-Identifier: BSD-2-Clause
// emul/test_disk.h. Called by the bus alone.
#include "emul/test_disk.h"

#include <string.h>

#include "emul/pcidev_msi.h"

enum {
	TAGS = 16,
	REGISTER_BYTES = 4,
	INTERRUPT_ENABLE = 1,
};
#define COMPLETED_VALID BIT(31)

_Static_assert((int)TAGS <= (int)DEVICE_IO_MAX, "its back end takes as many");

struct test_disk {
	struct pcidev pci;
	uint32_t address, address_hi, offset, bytes;
	uint8_t tag;
	uint8_t interrupt;
	uint8_t states[TAGS]; // enum test_disk_state
	// Tags in the order of their completion: a ring, each at most once.
	uint8_t completed[TAGS];
	uint8_t completed_first, completed_count;
	uint8_t reserved[4];
};

static const struct pcidev_register test_disk_registers[] = {
	PCIDEV_MSI_REGISTERS(TEST_DISK_MSI, 0, TEST_DISK_MESSAGES),
};

static const struct pcidev_info test_disk_info = {
	.vendor = TEST_DISK_VENDOR,
	.device = TEST_DISK_DEVICE,
	.subsystem_vendor = TEST_DISK_VENDOR,
	.subsystem = TEST_DISK_DEVICE,
	.class_code = 0x018000,
	.command = PCIDEV_COMMAND_MASTER,
	.pin = 1,
	.capabilities = TEST_DISK_MSI,
	.bars = {[TEST_DISK_REGION_REGISTERS] = {.kind = PCIDEV_BAR_PORTS,
		.bytes = TEST_DISK_BYTES_OF_PORTS}},
	.registers = test_disk_registers,
	.register_count = ARRAY_COUNT(test_disk_registers),
};

static struct test_disk *test_disk_of(struct device *device)
{
	return CONTAINER_OF(device, struct test_disk, pci.device);
}

static void drive(struct test_disk *disk)
{
	pcidev_intx(&disk->pci, disk->interrupt != 0 && disk->completed_count != 0 &&
		!pcidev_msi_is_on(&disk->pci, TEST_DISK_MSI));
}

static unsigned message_of(const struct test_disk *disk, uint8_t tag)
{
	return tag % pcidev_msi_vectors(&disk->pci, TEST_DISK_MSI);
}

static void test_disk_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct test_disk *disk = test_disk_of(device);

	(void)now;
	(void)kind;
	memset(&disk->address, 0, sizeof(*disk) - offsetof(struct test_disk, address));
	pcidev_reset(&disk->pci);
}

static void complete(struct test_disk *disk, uint8_t tag, enum test_disk_state state)
{
	disk->states[tag] = (uint8_t)state;
	disk->completed[(disk->completed_first + disk->completed_count++) % TAGS] = tag;
	drive(disk);
	if (disk->interrupt != 0 && pcidev_msi_is_on(&disk->pci, TEST_DISK_MSI))
		pcidev_msi_send(&disk->pci, TEST_DISK_MSI, message_of(disk, tag));
}

static void message_withdraw(struct test_disk *disk, unsigned message)
{
	for (unsigned i = 0; i < disk->completed_count; i++)
		if (message_of(disk, disk->completed[(disk->completed_first + i) % TAGS]) ==
			message)
			return;
	pcidev_msi_withdraw(&disk->pci, TEST_DISK_MSI, message);
}

static uint32_t completed_take(struct test_disk *disk)
{
	uint8_t tag = disk->completed[disk->completed_first];

	if (disk->completed_count == 0)
		return 0;
	disk->completed_first = (uint8_t)((disk->completed_first + 1u) % TAGS);
	disk->completed_count--;
	drive(disk);
	message_withdraw(disk, message_of(disk, tag));
	return (uint32_t)COMPLETED_VALID | tag;
}

static bool is_completed(const struct test_disk *disk, uint8_t tag)
{
	for (unsigned i = 0; i < disk->completed_count; i++)
		if (disk->completed[(disk->completed_first + i) % TAGS] == tag)
			return true;
	return false;
}

// Page by page, as an IOMMU or a scattered list would have it.
static bool pieces_make(const struct test_disk *disk, struct device_io *io,
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX])
{
	uint64_t at = disk->address | (uint64_t)disk->address_hi << 32, left = disk->bytes;

	if (left > DEVICE_IO_BYTES_MAX)
		return false;
	for (; left > 0; io->piece_count++) {
		uint64_t bytes = PAGE_BYTES - at % PAGE_BYTES;

		if (bytes > left)
			bytes = left;
		pieces[io->piece_count] = (struct device_io_piece){{at}, bytes};
		at += bytes;
		left -= bytes;
	}
	return true;
}

static void command(struct test_disk *disk, uint32_t kind)
{
	struct device_io_piece pieces[DEVICE_IO_PIECES_MAX];
	struct device_io io = {.request = disk->tag, .offset = disk->offset, .pieces = pieces};

	if (disk->states[disk->tag] == TEST_DISK_BUSY || is_completed(disk, disk->tag))
		return;
	io.kind = (uint8_t)kind;
	if (kind > DEVICE_IO_FLUSH || // the others are not for tests
		!pcidev_is_master(&disk->pci) ||
		(kind != DEVICE_IO_FLUSH && !pieces_make(disk, &io, pieces)) ||
		device_submit(&disk->pci.device, TEST_DISK_PORT_MEDIUM, &io) != STATUS_OK)
		complete(disk, disk->tag, TEST_DISK_REFUSED);
	else
		disk->states[disk->tag] = TEST_DISK_BUSY;
}

static uint64_t test_disk_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct test_disk *disk = test_disk_of(device);

	(void)now;
	if (region == PCIDEV_REGION_CONFIG)
		return pcidev_read(&disk->pci, offset, size);
	if (size != REGISTER_BYTES || offset % REGISTER_BYTES != 0)
		return UINT64_MAX;
	switch (offset / REGISTER_BYTES) {
	case TEST_DISK_TAG:
		return disk->tag;
	case TEST_DISK_ADDRESS:
		return disk->address;
	case TEST_DISK_ADDRESS_HI:
		return disk->address_hi;
	case TEST_DISK_OFFSET:
		return disk->offset;
	case TEST_DISK_BYTES:
		return disk->bytes;
	case TEST_DISK_COMMAND:
		return disk->states[disk->tag];
	case TEST_DISK_COMPLETED:
		return completed_take(disk);
	default:
		return disk->interrupt;
	}
}

static void test_disk_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct test_disk *disk = test_disk_of(device);

	(void)now;
	if (region == PCIDEV_REGION_CONFIG) {
		pcidev_write(&disk->pci, offset, size, value);
		drive(disk);
		pcidev_msi_update(&disk->pci, TEST_DISK_MSI);
		return;
	}
	if (size != REGISTER_BYTES || offset % REGISTER_BYTES != 0)
		return;
	switch (offset / REGISTER_BYTES) {
	case TEST_DISK_TAG:
		disk->tag = value % TAGS;
		break;
	case TEST_DISK_ADDRESS:
		disk->address = (uint32_t)value;
		break;
	case TEST_DISK_ADDRESS_HI:
		disk->address_hi = (uint32_t)value;
		break;
	case TEST_DISK_OFFSET:
		disk->offset = (uint32_t)value;
		break;
	case TEST_DISK_BYTES:
		disk->bytes = (uint32_t)value;
		break;
	case TEST_DISK_COMMAND:
		command(disk, (uint32_t)value);
		break;
	case TEST_DISK_INTERRUPT:
		disk->interrupt = value & INTERRUPT_ENABLE;
		drive(disk);
		break;
	default:
		break;
	}
}

static void test_disk_complete(struct device *device, struct guest_time now, unsigned port,
	uint64_t request, enum status status)
{
	struct test_disk *disk = test_disk_of(device);

	(void)now;
	(void)port;
	if (request >= TAGS || disk->states[request] != TEST_DISK_BUSY)
		return; // of a state that was loaded, and contradicts itself
	complete(disk, (uint8_t)request, status == STATUS_OK ? TEST_DISK_DONE : TEST_DISK_FAILED);
}

static bool test_disk_level(const struct device *device, struct guest_time now, unsigned output)
{
	(void)now;
	(void)output;
	return pcidev_level(CONTAINER_OF(device, struct pcidev, device));
}

static unsigned test_disk_awaited(const struct device *device, unsigned port,
	uint64_t names[DEVICE_IO_MAX])
{
	const struct test_disk *disk = CONTAINER_OF(device, struct test_disk, pci.device);
	unsigned count = 0;

	for (unsigned tag = 0; port == TEST_DISK_PORT_MEDIUM && tag < TAGS; tag++)
		if (disk->states[tag] == TEST_DISK_BUSY)
			names[count++] = tag;
	return count;
}

static void test_disk_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	pcidev_loaded(pcidev_of(device));
}

// A tag is completed once, and not while it is busy or was never used.
static const char *test_disk_check(const void *instance)
{
	const struct test_disk *disk = instance;
	uint32_t seen = 0;

	for (unsigned i = 0; i < disk->completed_count; i++) {
		uint8_t tag = disk->completed[(disk->completed_first + i) % TAGS];

		if ((seen & BIT(tag)) != 0 || disk->states[tag] < TEST_DISK_DONE)
			return "completed: a tag twice, or one that is not done";
		seen |= (uint32_t)BIT(tag);
	}
	return pcidev_check(&disk->pci, &test_disk_info);
}

static const struct state_field test_disk_fields[] = {
	PCIDEV_STATE(struct test_disk),
	STATE_ANY(struct test_disk, address),
	STATE_ANY(struct test_disk, address_hi),
	STATE_ANY(struct test_disk, offset),
	STATE_ANY(struct test_disk, bytes),
	STATE_VALUE(struct test_disk, tag, 0, TAGS - 1),
	STATE_VALUE(struct test_disk, interrupt, 0, INTERRUPT_ENABLE),
	STATE_ARRAY(struct test_disk, states, 0, TEST_DISK_REFUSED),
	STATE_ARRAY(struct test_disk, completed, 0, TAGS - 1),
	STATE_VALUE(struct test_disk, completed_first, 0, TAGS - 1),
	STATE_VALUE(struct test_disk, completed_count, 0, TAGS),
	STATE_PAD(struct test_disk, reserved),
};

static const struct state_table test_disk_state =
	STATE_TABLE("test-disk", 2, struct test_disk, test_disk_fields, test_disk_check);

const struct device_model test_disk_model = {
	.name = "test-disk",
	.description = "disk for tests of back ends and MSI",
	.instance_bytes = sizeof(struct test_disk),
	.outputs = 1,
	.state = &test_disk_state,
	.pci = &test_disk_info,
	.reset = test_disk_reset,
	.read = test_disk_read,
	.write = test_disk_write,
	.complete = test_disk_complete,
	.level = test_disk_level,
	.awaited = test_disk_awaited,
	.loaded = test_disk_loaded,
};

DEVICE_MODEL_REGISTER(240, test_disk_model);
