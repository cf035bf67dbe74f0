// SPDX-License-Identifier: BSD-2-Clause
// The board's USB controller: where its devices are.
#include "vm/pc_internal.h"

#include "emul/uhci.h"
#include "kernel/base/assert.h"
#include "vm/pc.h"
#include "vm/vm.h"

_Static_assert((int)VM_USB_HUB == (int)UHCI_HUB && (int)VM_USB_DEVICES == (int)UHCI_DEVICES,
	"order");

// A hub is at the second port, with all but the first device behind it.
void pc_usb_create(struct vm *vm, struct device *usb)
{
	uint8_t places[UHCI_DEVICES] = {UHCI_NOWHERE};
	unsigned others = 0;
	bool has_hub = false;

	for (uint32_t i = 0; i < vm->config.usb_count; i++)
		has_hub |= vm->config.usb[i] == VM_USB_HUB;
	for (uint32_t i = 0; i < vm->config.usb_count; i++) {
		uint8_t device = vm->config.usb[i];

		if (device == VM_USB_HUB) {
			places[device] = UHCI_PORTS;
			continue;
		}
		ASSERT(has_hub || others < UHCI_PORTS); // the configuration has been looked at
		places[device] = (uint8_t)(has_hub && others > 0 ? UHCI_BEHIND_HUB + others
			: others + 1);
		others++;
	}
	uhci_configure(usb, places);
}

struct device *pc_usb_find(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->device_count; i++)
		if (vm->devices[i].device->model == &uhci_model)
			return vm->devices[i].device;
	return NULL;
}
