// SPDX-License-Identifier: BSD-2-Clause
// The root hub of a UHCI function, and the USB devices behind it. UHCI Design Guide 1.1, 2.1.7
// (ports), 2.1.1 (global suspend and resume).
#include "emul/uhci_internal.h"

#include <string.h>

static const struct usb_model *const models[UHCI_DEVICES] = {
	[UHCI_KEYBOARD] = &usb_keyboard_model, [UHCI_TABLET] = &usb_tablet_model,
	[UHCI_MOUSE] = &usb_mouse_model, [UHCI_HUB] = &usb_hub_model,
	[UHCI_DISK ... UHCI_DISK + UHCI_DISKS - 1] = &usb_storage_model,
};

const char *uhci_device_name(enum uhci_device which)
{
	return models[which]->name;
}

struct usb_device *uhci_device(struct uhci *uhci, enum uhci_device which)
{
	if (which >= UHCI_DISK)
		return &uhci->disks[which - UHCI_DISK].usb;
	return which == UHCI_HUB ? &uhci->hubs[0].usb : &uhci->hids[which - UHCI_KEYBOARD].usb;
}

static const struct usb_device *device_seen(const struct uhci *uhci, enum uhci_device which)
{
	if (which >= UHCI_DISK)
		return &uhci->disks[which - UHCI_DISK].usb;
	return which == UHCI_HUB ? &uhci->hubs[0].usb : &uhci->hids[which - UHCI_KEYBOARD].usb;
}

static void disk_configure(struct usb_storage *disk, const struct uhci_disk *config, uint8_t port)
{
	memset(disk, 0, sizeof(*disk));
	disk->port = port;
	disk->unit.blocks = config->blocks;
	disk->unit.disc = SCSI_NO_DISC;
	disk->unit.readonly = config->readonly;
	memcpy(disk->unit.serial, config->serial, sizeof(disk->unit.serial));
}

void uhci_configure(struct device *device, const struct uhci_config *config)
{
	struct uhci *uhci = CONTAINER_OF(device, struct uhci, pci.device);

	memset(uhci->attached, 0, sizeof(uhci->attached));
	memset(uhci->hids, 0, sizeof(uhci->hids));
	memset(uhci->hubs, 0, sizeof(uhci->hubs));
	for (unsigned i = 0; i < UHCI_DISKS; i++)
		disk_configure(&uhci->disks[i], &config->disks[i], (uint8_t)i);
	memcpy(uhci->places, config->places, sizeof(uhci->places));
	for (unsigned i = 0; i < UHCI_DEVICES; i++) {
		struct usb_device *usb = uhci_device(uhci, i);
		unsigned place = config->places[i];

		if (place == UHCI_NOWHERE)
			continue;
		usb->model = models[i];
		usb->controller = device;
		if (place < UHCI_BEHIND_HUB)
			uhci->attached[(place - 1) % UHCI_PORTS] = usb;
		else
			uhci->hubs[0].children[(place - UHCI_BEHIND_HUB - 1) % USB_HUB_PORTS] = usb;
	}
}

static bool is_there(const struct uhci *uhci, unsigned port)
{
	return uhci->attached[port] != NULL && uhci->attached[port]->plugged;
}

void uhci_devices_reset(struct uhci *uhci)
{
	for (unsigned i = 0; i < UHCI_DEVICES; i++)
		if (uhci_device(uhci, i)->model != NULL)
			usb_reset(uhci_device(uhci, i));
}

void uhci_devices_power_on(struct uhci *uhci)
{
	for (unsigned i = 0; i < UHCI_DEVICES; i++)
		uhci_device(uhci, i)->plugged = uhci_device(uhci, i)->model != NULL;
}

// 2.1.1: who is there is seen as if he had been plugged in.
void uhci_ports_reset(struct uhci *uhci)
{
	for (unsigned i = 0; i < UHCI_PORTS; i++)
		uhci->ports[i] = is_there(uhci, i) ? UHCI_PORT_CONNECT_CHANGE : 0;
}

// 2.1.7: J while nothing is said, K while a resume is.
uint16_t uhci_port_read(const struct uhci *uhci, unsigned port)
{
	uint16_t value = uhci->ports[port] | UHCI_PORT_ALWAYS;

	if (!is_there(uhci, port))
		return value;
	value |= UHCI_PORT_CONNECTED;
	if ((value & UHCI_PORT_RESUME) != 0)
		value |= UHCI_PORT_D_MINUS;
	else if ((value & UHCI_PORT_RESET) == 0)
		value |= UHCI_PORT_D_PLUS;
	return value;
}

void uhci_port_write(struct uhci *uhci, unsigned port, uint16_t value)
{
	enum { WRITABLE = UHCI_PORT_ENABLED | UHCI_PORT_RESUME | UHCI_PORT_RESET |
		UHCI_PORT_SUSPENDED };
	uint16_t before = uhci->ports[port];
	uint16_t after = (uint16_t)((before & UHCI_PORT_CHANGES & ~value) | (value & WRITABLE));

	if ((value & ~before & UHCI_PORT_RESET) != 0 && is_there(uhci, port))
		usb_reset(uhci->attached[port]);
	if (!is_there(uhci, port))
		after &= (uint16_t)~(UHCI_PORT_ENABLED | UHCI_PORT_RESUME | UHCI_PORT_SUSPENDED);
	if ((value & UHCI_PORT_RESET) != 0)
		after &= (uint16_t)~(UHCI_PORT_ENABLED | UHCI_PORT_RESUME | UHCI_PORT_SUSPENDED);
	if ((before & ~value & UHCI_PORT_RESUME) != 0) // the resume is over
		after &= (uint16_t)~UHCI_PORT_SUSPENDED;
	uhci->ports[port] = after;
}

struct usb_device *uhci_device_find(struct uhci *uhci, uint8_t address)
{
	enum { ACTIVE = UHCI_PORT_ENABLED | UHCI_PORT_SUSPENDED };

	for (unsigned i = 0; i < UHCI_PORTS; i++) {
		struct usb_device *usb = uhci->attached[i];

		if ((uhci->ports[i] & ACTIVE) != UHCI_PORT_ENABLED)
			continue;
		if (usb->address == address)
			return usb;
		if (usb != &uhci->hubs[0].usb)
			continue;
		usb = usb_hub_find(&uhci->hubs[0], address);
		if (usb != NULL)
			return usb;
	}
	return NULL;
}

// 2.1.1, FGR and EGSM: whatever happens at a port ends a global suspend.
static void resume_global(struct uhci *uhci)
{
	if ((uhci->command & UHCI_COMMAND_SUSPEND) == 0)
		return;
	uhci->command |= UHCI_COMMAND_RESUME;
	uhci->status |= UHCI_STATUS_RESUME;
}

static unsigned port_of(const struct uhci *uhci, const struct usb_device *usb)
{
	return uhci->attached[0] == usb ? 0 : 1;
}

// A device says that it wants to be resumed.
static void port_resume(struct uhci *uhci, unsigned port)
{
	if ((uhci->ports[port] & UHCI_PORT_ENABLED) == 0)
		return;
	if ((uhci->ports[port] & UHCI_PORT_SUSPENDED) != 0) {
		uhci->ports[port] |= UHCI_PORT_RESUME;
		uhci->status |= UHCI_STATUS_RESUME;
	}
	resume_global(uhci);
	uhci_irq_update(uhci);
}

static bool is_behind_hub(const struct uhci *uhci, enum uhci_device which)
{
	return uhci->places[which] >= UHCI_BEHIND_HUB;
}

static void wake(struct uhci *uhci, enum uhci_device which)
{
	struct usb_device *usb = uhci_device(uhci, which);

	if (!is_behind_hub(uhci, which))
		port_resume(uhci, port_of(uhci, usb));
	else if (usb_hub_woken(&uhci->hubs[0], usb))
		port_resume(uhci, port_of(uhci, &uhci->hubs[0].usb));
}

static void root_changed(struct uhci *uhci, unsigned port)
{
	uint16_t before = uhci->ports[port];

	uhci->ports[port] |= UHCI_PORT_CONNECT_CHANGE;
	if (!is_there(uhci, port)) {
		if ((before & UHCI_PORT_ENABLED) != 0)
			uhci->ports[port] |= UHCI_PORT_ENABLE_CHANGE;
		uhci->ports[port] &= (uint16_t)~(UHCI_PORT_ENABLED | UHCI_PORT_RESUME |
			UHCI_PORT_SUSPENDED);
	}
	resume_global(uhci);
	uhci_irq_update(uhci);
}

// Those behind a hub that is gone have no power.
void uhci_device_plug(struct uhci *uhci, enum uhci_device which, bool plugged)
{
	struct usb_device *usb = uhci_device(uhci, which);

	usb->plugged = plugged;
	usb_reset(usb);
	for (unsigned i = 0; which == UHCI_HUB && i < UHCI_DEVICES; i++)
		if (is_behind_hub(uhci, i))
			usb_reset(uhci_device(uhci, i));
	if (!is_behind_hub(uhci, which))
		root_changed(uhci, port_of(uhci, usb));
	else if (usb_hub_changed(&uhci->hubs[0], usb))
		port_resume(uhci, port_of(uhci, &uhci->hubs[0].usb));
}

// Of what is plugged in: whether packets get there, or could when it is resumed.
static bool is_reached(const struct uhci *uhci, enum uhci_device which)
{
	const struct usb_device *usb = &uhci->hids[which - UHCI_KEYBOARD].usb;
	const struct usb_device *root = is_behind_hub(uhci, which) ? &uhci->hubs[0].usb : usb;

	return (uhci->ports[port_of(uhci, root)] & UHCI_PORT_ENABLED) != 0 &&
		(root == usb || usb_hub_reaches(&uhci->hubs[0], usb));
}

bool uhci_takes(const struct uhci *uhci, unsigned hid, enum device_input_kind kind)
{
	return usb_hid_takes(&uhci->hids[hid], kind) && is_reached(uhci, UHCI_KEYBOARD + hid);
}

void uhci_input(struct uhci *uhci, const struct device_input *input)
{
	for (unsigned i = 0; i < UHCI_HIDS; i++)
		if (uhci_takes(uhci, i, input->kind)) {
			(void)usb_hid_input(&uhci->hids[i], input);
			if (uhci->hids[i].usb.wakeup)
				wake(uhci, UHCI_KEYBOARD + i);
			return;
		}
}

bool uhci_device_describe(const struct device *device, enum uhci_device which,
	struct uhci_device_info *info)
{
	const struct uhci *uhci = CONTAINER_OF(device, const struct uhci, pci.device);
	const struct usb_device *usb = device_seen(uhci, which);
	unsigned place = uhci->places[which];

	if (place == UHCI_NOWHERE || !usb->plugged)
		return false;
	*info = (struct uhci_device_info){.product = usb->model->strings[2],
		.address = usb->address, .port = (uint8_t)(place % UHCI_BEHIND_HUB),
		.hub_port = place < UHCI_BEHIND_HUB ? 0 : uhci->places[UHCI_HUB]};
	return true;
}

static const char *port_check(const struct uhci *uhci, unsigned port)
{
	uint16_t value = uhci->ports[port];

	if ((value & ~UHCI_PORT_KEPT) != 0)
		return "a port with bits that it has not";
	if ((value & (UHCI_PORT_ENABLED | UHCI_PORT_RESUME | UHCI_PORT_SUSPENDED)) != 0 &&
		(!is_there(uhci, port) || (value & UHCI_PORT_RESET) != 0))
		return "a port that is enabled for nobody, or in its reset";
	return NULL;
}

// A state is loaded into a machine that has the same devices, where they were.
static bool is_at_its_place(const struct uhci *uhci, enum uhci_device which)
{
	const struct usb_device *usb = device_seen(uhci, which);
	unsigned place = uhci->places[which];

	if (place == UHCI_NOWHERE)
		return usb->model == NULL;
	if (place <= UHCI_PORTS)
		return uhci->attached[place - 1] == usb;
	return place > UHCI_BEHIND_HUB &&
		uhci->hubs[0].children[place - UHCI_BEHIND_HUB - 1] == usb;
}

const char *uhci_ports_check(const struct uhci *uhci)
{
	const char *problem;

	for (unsigned i = 0; i < UHCI_DEVICES; i++)
		if (!is_at_its_place(uhci, i))
			return "a USB device at another place than in this machine";
	problem = usb_hub_check(&uhci->hubs[0]);
	for (unsigned i = 0; i < UHCI_HIDS && problem == NULL; i++)
		problem = usb_check(&uhci->hids[i].usb);
	for (unsigned i = 0; i < UHCI_DISKS && problem == NULL; i++)
		problem = usb_storage_check(&uhci->disks[i]);
	for (unsigned i = 0; i < UHCI_PORTS && problem == NULL; i++)
		problem = port_check(uhci, i);
	return problem;
}
