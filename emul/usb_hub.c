// SPDX-License-Identifier: BSD-2-Clause
// A hub at USB, with 8 ports whose power nobody switches.
//
// Specification: USB 2.0, chapter 11, as far as it is of full speed: 11.5 (ports), 11.9 (suspend
// and resume), 11.12 (status change endpoint), 11.24 (requests). Numbers are QEMU's usb-hub's.
//
// Left out on purpose: the time that resets and resumes take, over-current, transaction
// translators.
#include "emul/usb_hub.h"

#include <string.h>

enum {
	// wPortStatus, and wPortChange as far as it has them: 11.24.2.7
	PORT_CONNECTION = 0x0001,
	PORT_ENABLE = 0x0002,
	PORT_SUSPEND = 0x0004,
	PORT_RESET = 0x0010,
	PORT_POWER = 0x0100,

	// Features: table 11-17
	FEATURE_PORT_ENABLE = 1,
	FEATURE_PORT_SUSPEND = 2,
	FEATURE_PORT_RESET = 4,
	FEATURE_PORT_POWER = 8,
	FEATURE_CHANGES = 16, // of the first bit of wPortChange
	FEATURE_CHANGES_END = 21,
	FEATURE_HUB_OVER_CURRENT = 1, // C_HUB_LOCAL_POWER is before it

	HUB_DESCRIPTOR = 0x29,
	HUB_DESCRIPTOR_BYTES = 11,
	HUB_READ = USB_TYPE_READ | USB_TYPE_CLASS,
	HUB_WRITE = USB_TYPE_CLASS,
	HUB_ENDPOINT = 1,
	HUB_CHANGE_BYTES = 2,
};

static const uint8_t hub_device[USB_DEVICE_BYTES] = {USB_DEVICE_BYTES, USB_DESCRIPTOR_DEVICE,
	0x10, 0x01, 9, 0, 0, USB_CONTROL_BYTES, 0x09, 0x04, 0xaa, 0x55, 0x01, 0x01, 1, 2,
	USB_STRING_SERIAL, 1};

// 11.23.1. It has power of its own, can wake the host, and says each 255 ms what has changed.
static const uint8_t hub_configuration[] = {9, USB_DESCRIPTOR_CONFIGURATION, 25, 0, 1, 1, 0,
	0x80 | USB_ATTRIBUTE_SELF_POWERED | USB_ATTRIBUTE_REMOTE_WAKEUP, 0,
	9, USB_DESCRIPTOR_INTERFACE, 0, 0, 1, 9, 0, 0, 0,
	7, USB_DESCRIPTOR_ENDPOINT, USB_ENDPOINT_IN | HUB_ENDPOINT, 3, HUB_CHANGE_BYTES, 0, 255};

// 11.23.2.1: no power switching, no over-current protection; 2 ms until a port has its power.
static const uint8_t hub_descriptor[HUB_DESCRIPTOR_BYTES] = {HUB_DESCRIPTOR_BYTES, HUB_DESCRIPTOR,
	USB_HUB_PORTS, 0x12, 0, 1, 0, 0, 0, 0xff, 0xff};

static struct usb_hub *hub_of(struct usb_device *usb)
{
	return CONTAINER_OF(usb, struct usb_hub, usb);
}

static bool is_there(const struct usb_device *child)
{
	return child != NULL && child->plugged;
}

static void hub_reset(struct usb_device *usb)
{
	struct usb_hub *hub = hub_of(usb);

	for (unsigned i = 0; i < USB_HUB_PORTS; i++) {
		bool there = is_there(hub->children[i]);

		hub->ports[i] = (struct usb_hub_port){
			.status = PORT_POWER | (there ? PORT_CONNECTION : 0),
			.change = there ? PORT_CONNECTION : 0};
	}
}

static bool is_active(const struct usb_hub_port *port)
{
	return (port->status & (PORT_ENABLE | PORT_SUSPEND)) == PORT_ENABLE;
}

struct usb_device *usb_hub_find(const struct usb_hub *hub, uint8_t address)
{
	if (!usb_is_configured(&hub->usb))
		return NULL;
	for (unsigned i = 0; i < USB_HUB_PORTS; i++)
		if (is_active(&hub->ports[i]) && hub->children[i]->address == address)
			return hub->children[i];
	return NULL;
}

static struct usb_hub_port *port_of(struct usb_hub *hub, const struct usb_device *child)
{
	unsigned i = 0;

	while (i < USB_HUB_PORTS - 1 && hub->children[i] != child)
		i++;
	return &hub->ports[i];
}

bool usb_hub_changed(struct usb_hub *hub, const struct usb_device *child)
{
	struct usb_hub_port *port = port_of(hub, child);

	port->status = PORT_POWER | (child->plugged ? PORT_CONNECTION : 0);
	port->change |= PORT_CONNECTION;
	return usb_is_configured(&hub->usb) && hub->usb.wakeup;
}

bool usb_hub_reaches(const struct usb_hub *hub, const struct usb_device *child)
{
	for (unsigned i = 0; i < USB_HUB_PORTS; i++)
		if (hub->children[i] == child)
			return usb_is_configured(&hub->usb) &&
				(hub->ports[i].status & PORT_ENABLE) != 0;
	return false;
}

bool usb_hub_woken(struct usb_hub *hub, const struct usb_device *child)
{
	struct usb_hub_port *port = port_of(hub, child);

	if (!usb_is_configured(&hub->usb) || (port->status & PORT_ENABLE) == 0)
		return false;
	if ((port->status & PORT_SUSPEND) != 0) {
		port->status &= (uint16_t)~PORT_SUSPEND;
		port->change |= PORT_SUSPEND;
	}
	return true;
}

// A port by its number, which counts from 1; NULL: there is no such port.
static struct usb_hub_port *port_numbered(struct usb_hub *hub, const struct usb_setup *setup)
{
	return setup->index >= 1 && setup->index <= USB_HUB_PORTS
		? &hub->ports[setup->index - 1] : NULL;
}

static int hub_read(struct usb_device *usb, const struct usb_setup *setup,
	uint8_t answer[USB_ANSWER_MAX])
{
	struct usb_hub *hub = hub_of(usb);
	const struct usb_hub_port *port;

	switch (setup->type << 8 | setup->request) {
	case HUB_READ << 8 | USB_GET_DESCRIPTOR:
		if (setup->value != 0 && setup->value != HUB_DESCRIPTOR << 8) // 0: of old hosts
			return -1;
		memcpy(answer, hub_descriptor, HUB_DESCRIPTOR_BYTES);
		return HUB_DESCRIPTOR_BYTES;
	case HUB_READ << 8 | USB_GET_STATUS:
		memset(answer, 0, 4);
		return 4;
	case (HUB_READ | USB_TO_OTHER) << 8 | USB_GET_STATUS:
		port = port_numbered(hub, setup);
		if (port == NULL)
			return -1;
		memcpy(answer, port, 4);
		return 4;
	default:
		return -1;
	}
}

static bool port_set(struct usb_hub *hub, struct usb_hub_port *port, unsigned feature)
{
	struct usb_device *child = hub->children[port - hub->ports];

	switch (feature) {
	case FEATURE_PORT_SUSPEND: // 11.24.2.13: of a port that is enabled
		if ((port->status & PORT_ENABLE) != 0)
			port->status |= PORT_SUSPEND;
		return true;
	case FEATURE_PORT_RESET:
		if (!is_there(child))
			return true;
		usb_reset(child);
		port->status = PORT_POWER | PORT_CONNECTION | PORT_ENABLE;
		port->change |= PORT_RESET;
		return true;
	default:
		return feature == FEATURE_PORT_POWER;
	}
}

static bool port_clear(struct usb_hub_port *port, unsigned feature)
{
	if (feature >= FEATURE_CHANGES && feature < FEATURE_CHANGES_END) {
		port->change &= (uint16_t)~(1u << (feature - FEATURE_CHANGES));
		return true;
	}
	switch (feature) {
	case FEATURE_PORT_ENABLE:
		port->status &= (uint16_t)~(PORT_ENABLE | PORT_SUSPEND);
		return true;
	case FEATURE_PORT_SUSPEND: // 11.24.2.7.2.3: the change is that the resume is over
		if ((port->status & PORT_SUSPEND) != 0)
			port->change |= PORT_SUSPEND;
		port->status &= (uint16_t)~PORT_SUSPEND;
		return true;
	default:
		return feature == FEATURE_PORT_POWER;
	}
}

static bool hub_write(struct usb_device *usb, struct guest_time now, const struct usb_setup *setup,
	const uint8_t *data, unsigned bytes)
{
	struct usb_hub *hub = hub_of(usb);
	struct usb_hub_port *port = port_numbered(hub, setup);

	(void)now;
	(void)data;
	(void)bytes;
	if (setup->request != USB_SET_FEATURE && setup->request != USB_CLEAR_FEATURE)
		return false;
	if (setup->type == HUB_WRITE)
		return setup->value <= FEATURE_HUB_OVER_CURRENT;
	if (setup->type != (HUB_WRITE | USB_TO_OTHER) || port == NULL)
		return false;
	return setup->request == USB_SET_FEATURE ? port_set(hub, port, setup->value)
		: port_clear(port, setup->value);
}

// 11.12.4: a bit for each port that has something to tell; the first is the hub's own.
static enum usb_result hub_get(struct usb_device *usb, struct guest_time now, unsigned endpoint,
	uint8_t data[USB_PACKET_MAX], unsigned *bytes)
{
	const struct usb_hub *hub = hub_of(usb);
	unsigned changed = 0;

	(void)now;
	(void)endpoint;
	for (unsigned i = 0; i < USB_HUB_PORTS; i++)
		if (hub->ports[i].change != 0)
			changed |= 2u << i;
	if (changed == 0)
		return USB_NAK;
	data[0] = (uint8_t)changed;
	data[1] = (uint8_t)(changed >> 8);
	*bytes = HUB_CHANGE_BYTES;
	return USB_ACK;
}

const char *usb_hub_check(const struct usb_hub *hub)
{
	for (unsigned i = 0; hub->usb.model != NULL && i < USB_HUB_PORTS; i++) {
		uint16_t status = hub->ports[i].status;
		bool there = is_there(hub->children[i]);

		if ((status & ~(PORT_CONNECTION | PORT_ENABLE | PORT_SUSPEND | PORT_POWER)) != 0 ||
			(status & PORT_POWER) == 0)
			return "a port of a hub in a state that it has not";
		if (((status & PORT_CONNECTION) != 0) != there)
			return "a port of a hub that contradicts who is there";
		if (((status & PORT_ENABLE) != 0 && !there) ||
			(status & (PORT_ENABLE | PORT_SUSPEND)) == PORT_SUSPEND)
			return "a port of a hub that is enabled for nobody";
	}
	return usb_check(&hub->usb);
}

const struct usb_model usb_hub_model = {
	.name = "usb-hub",
	.strings = {NULL, "Reprise", "USB Hub", "4"},
	.device = hub_device,
	.configuration = hub_configuration,
	.configuration_bytes = sizeof(hub_configuration),
	.in = BIT(HUB_ENDPOINT),
	.reset = hub_reset,
	.read = hub_read,
	.write = hub_write,
	.get = hub_get,
};
