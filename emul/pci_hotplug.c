// SPDX-License-Identifier: BSD-2-Clause
// Which slots of PCI bus 0 have their device in them, and how an OS hears of it by ACPI.
//
// Specification: QEMU's "ACPI PCI hotplug interface" (docs/specs/acpi_pci_hotplug), for a PIIX4
// with QEMU's registers; ACPI 6.5, 6.3.3 (_EJx).
//
//          --PLUG: UP, event-->            --UNPLUG: DOWN, event-->
//   ABSENT                       PRESENT                            ASKED FOR
//          <-EJECT, by the OS itself--
//          <------EJECT, or a reset, which the OS does not survive-----------
//
// What is plugged and unplugged are devices that the machine has from the beginning: a slot's
// output says whether its device is there. The board takes it off the bus, or puts it there.
//
// Left out on purpose: further buses, ACPI indexes, surprise removal.
//
// Entered by the VM's bus only.
#include "emul/pci_hotplug.h"

enum { REGISTER_BYTES = 4 };

struct pci_hotplug {
	struct device device;
	uint32_t removable; // slots, as configured
	uint32_t initial;   // the same: present at power-on
	uint32_t present;
	uint32_t up, down;
	uint32_t select;
};

static struct pci_hotplug *hotplug_of(struct device *device)
{
	return CONTAINER_OF(device, struct pci_hotplug, device);
}

static void slots_drive(struct pci_hotplug *hotplug)
{
	for (unsigned slot = 1; slot < PCI_HOTPLUG_SLOTS; slot++)
		device_set_line(&hotplug->device, PCI_HOTPLUG_OUTPUT_SLOT + slot - 1,
			(hotplug->present & BIT(slot)) != 0);
}

static void event_send(struct pci_hotplug *hotplug)
{
	device_set_line(&hotplug->device, PCI_HOTPLUG_OUTPUT_EVENT, true);
	device_set_line(&hotplug->device, PCI_HOTPLUG_OUTPUT_EVENT, false);
}

static void eject(struct pci_hotplug *hotplug, uint32_t slots)
{
	hotplug->present &= ~(slots & hotplug->removable);
	hotplug->up &= hotplug->present;
	hotplug->down &= hotplug->present;
	slots_drive(hotplug);
}

static uint64_t pci_hotplug_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct pci_hotplug *hotplug = hotplug_of(device);
	uint32_t value;

	(void)now;
	(void)region;
	if (size != REGISTER_BYTES || offset % REGISTER_BYTES != 0)
		return UINT64_MAX;
	if (offset == PCI_HOTPLUG_SELECT)
		return hotplug->select;
	if (hotplug->select != 0)
		return 0;
	switch (offset) {
	case PCI_HOTPLUG_UP:
		value = hotplug->up;
		hotplug->up = 0;
		return value;
	case PCI_HOTPLUG_DOWN:
		return hotplug->down;
	case PCI_HOTPLUG_RMV:
		return hotplug->removable;
	default:
		return 0;
	}
}

static void pci_hotplug_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_hotplug *hotplug = hotplug_of(device);

	(void)now;
	(void)region;
	if (size != REGISTER_BYTES || offset % REGISTER_BYTES != 0)
		return;
	if (offset == PCI_HOTPLUG_SELECT)
		hotplug->select = (uint32_t)value;
	else if (offset == PCI_HOTPLUG_EJECT && hotplug->select == 0)
		eject(hotplug, (uint32_t)value);
}

// An OS that did not hear, or could not give it up then, may be asked again.
static bool pci_hotplug_accepts(const struct device *device, enum device_setting setting,
	uint64_t value)
{
	const struct pci_hotplug *hotplug = CONTAINER_OF(device, struct pci_hotplug, device);

	if (value >= PCI_HOTPLUG_SLOTS || (hotplug->removable & BIT(value)) == 0)
		return false;
	return setting == ((hotplug->present & BIT(value)) == 0 ? DEVICE_SETTING_PLUG
								: DEVICE_SETTING_UNPLUG);
}

// Between the question and the event the OS may have ejected the device.
static void pci_hotplug_set(struct device *device, struct guest_time now,
	enum device_setting setting, uint64_t value)
{
	struct pci_hotplug *hotplug = hotplug_of(device);
	uint32_t slot = (uint32_t)BIT(value);

	(void)now;
	if (!pci_hotplug_accepts(device, setting, value))
		return;
	if (setting == DEVICE_SETTING_PLUG) {
		hotplug->present |= slot;
		hotplug->up |= slot;
		slots_drive(hotplug);
	} else {
		hotplug->down |= slot;
	}
	event_send(hotplug);
}

// A machine that is reset has nobody any more who could refuse.
static void pci_hotplug_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct pci_hotplug *hotplug = hotplug_of(device);

	(void)now;
	if (kind == DEVICE_RESET_POWER)
		hotplug->present = hotplug->initial;
	else
		hotplug->present &= ~hotplug->down;
	hotplug->up = hotplug->down = 0;
	hotplug->select = 0;
	slots_drive(hotplug);
}

void pci_hotplug_configure(struct device *device, uint32_t removable, uint32_t present)
{
	hotplug_of(device)->removable = removable;
	hotplug_of(device)->initial = present & removable;
}

static void pci_hotplug_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	slots_drive(hotplug_of(device));
}

static const char *pci_hotplug_check(const void *instance)
{
	const struct pci_hotplug *hotplug = instance;

	if ((hotplug->present & ~hotplug->removable) != 0)
		return "present: a slot whose device cannot be plugged";
	if (((hotplug->up | hotplug->down) & ~hotplug->present) != 0)
		return "up, down: a slot without its device";
	return NULL;
}

static const struct state_field pci_hotplug_fields[] = {
	STATE_DERIVED(struct pci_hotplug, device),
	STATE_DERIVED(struct pci_hotplug, removable),
	STATE_DERIVED(struct pci_hotplug, initial),
	STATE_ANY(struct pci_hotplug, present),
	STATE_ANY(struct pci_hotplug, up),
	STATE_ANY(struct pci_hotplug, down),
	STATE_ANY(struct pci_hotplug, select),
};

static const struct state_table pci_hotplug_state = STATE_TABLE("pci-hotplug", 2,
	struct pci_hotplug, pci_hotplug_fields, pci_hotplug_check);

const struct device_model pci_hotplug_model = {
	.name = "pci-hotplug",
	.description = "hot-plug of PCI slots",
	.instance_bytes = sizeof(struct pci_hotplug),
	.outputs = PCI_HOTPLUG_OUTPUTS,
	.state = &pci_hotplug_state,
	.reset = pci_hotplug_reset,
	.read = pci_hotplug_read,
	.write = pci_hotplug_write,
	.set = pci_hotplug_set,
	.accepts = pci_hotplug_accepts,
	.loaded = pci_hotplug_loaded,
};

DEVICE_MODEL_REGISTER(165, pci_hotplug_model);
