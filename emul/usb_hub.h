// SPDX-License-Identifier: BSD-2-Clause
// A hub at USB. See usb_hub.c.
#ifndef EMUL_USB_HUB_H
#define EMUL_USB_HUB_H

#include "emul/usb.h"

enum { USB_HUB_PORTS = 8 };

struct usb_hub_port {
	uint16_t status, change; // 11.24.2.7
};

struct usb_hub {
	struct usb_device usb;
	struct usb_device *children[USB_HUB_PORTS]; // (c) host-only; NULL: nobody can be there
	struct usb_hub_port ports[USB_HUB_PORTS];
};

extern const struct usb_model usb_hub_model;

// USB_HUB_PORTS_STATE comes for each of them beside it.
#define USB_HUB_STATE(type, array)                                                                 \
	USB_DEVICE_STATE(type, array), STATE_EACH_DERIVED(type, array, children)
#define USB_HUB_PORTS_STATE(type, hub)                                                             \
	STATE_EACH(type, hub.ports, status, 0, 0x1ff), STATE_EACH(type, hub.ports, change, 0, 0x1f)

// Who hears a packet to that address; NULL: nobody.
struct usb_device *usb_hub_find(const struct usb_hub *hub, uint8_t address);
// A child has been plugged in, or unplugged. Whether the host is to be woken by that.
bool usb_hub_changed(struct usb_hub *hub, const struct usb_device *child);
// A child asks to be resumed. Whether that reaches the host.
bool usb_hub_woken(struct usb_hub *hub, const struct usb_device *child);
// Whether packets get to a child: a host that was reset, or has gone, leaves it as it was.
bool usb_hub_reaches(const struct usb_hub *hub, const struct usb_device *child);
const char *usb_hub_check(const struct usb_hub *hub);

#endif
