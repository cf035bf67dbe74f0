// SPDX-License-Identifier: BSD-2-Clause
// What all USB devices have in common: control transfers and the requests of a device framework.
//
// Specification: USB 2.0, 8.5.3 (control transfers), 9.4 (requests), 9.6 (descriptors).
//
//   any --SETUP--> READ, WRITE, or STATUS where no data are
//   READ --OUT without data--> NONE
//   WRITE --all data are there--> STATUS
//   STATUS, WRITE --IN--> NONE: the request is carried out, or answered with STALL
//
// A request that reads is answered again for each of its packets, so no answer is kept.
//
// Left out on purpose: data toggles, which nothing that loses no packet needs; errors on the wire;
// configurations and settings of interfaces beside the first.
#include "emul/usb.h"

#include <string.h>

static struct usb_setup setup_of(const struct usb_device *usb)
{
	return (struct usb_setup){.type = (uint8_t)usb->setup,
		.request = (uint8_t)(usb->setup >> 8), .value = (uint16_t)(usb->setup >> 16),
		.index = (uint16_t)(usb->setup >> 32), .length = (uint16_t)(usb->setup >> 48)};
}

static bool is_configured(const struct usb_device *usb)
{
	return usb->configuration != 0;
}

static bool has_endpoint(const struct usb_device *usb, unsigned endpoint)
{
	unsigned number = endpoint & USB_ENDPOINT_NUMBER;
	uint8_t of = endpoint & USB_ENDPOINT_IN ? usb->model->in : usb->model->out;

	return is_configured(usb) && number < 8 && (of & BIT(number)) != 0;
}

void usb_halt(struct usb_device *usb, unsigned endpoint)
{
	usb->halted |= (uint8_t)BIT(endpoint);
}

void usb_reset(struct usb_device *usb)
{
	usb->setup = usb->data = 0;
	usb->at = 0;
	usb->stage = USB_STAGE_NONE;
	usb->address = usb->configuration = usb->halted = 0;
	usb->wakeup = false;
	usb->model->reset(usb);
}

static int copied(uint8_t *answer, const void *from, unsigned bytes)
{
	memcpy(answer, from, bytes);
	return (int)bytes;
}

static int answer16(uint8_t *answer, unsigned value)
{
	answer[0] = (uint8_t)value;
	answer[1] = (uint8_t)(value >> 8);
	return 2;
}

// 9.6.7: of 16 bits a character.
int usb_string(const char *text, uint8_t answer[USB_ANSWER_MAX])
{
	unsigned bytes = 2;

	for (; *text != '\0' && bytes + 2 <= USB_ANSWER_MAX; text++, bytes += 2)
		(void)answer16(answer + bytes, (uint8_t)*text);
	answer[0] = (uint8_t)bytes;
	answer[1] = USB_DESCRIPTOR_STRING;
	return (int)bytes;
}

static int read_own(struct usb_device *usb, const struct usb_setup *setup, uint8_t *answer)
{
	return usb->model->read != NULL ? usb->model->read(usb, setup, answer) : -1;
}

// 9.4.3
static int descriptor_read(struct usb_device *usb, const struct usb_setup *setup, uint8_t *answer)
{
	const struct usb_model *model = usb->model;
	unsigned index = setup->value & 0xff;

	switch (setup->value >> 8) {
	case USB_DESCRIPTOR_DEVICE:
		return copied(answer, model->device, USB_DEVICE_BYTES);
	case USB_DESCRIPTOR_CONFIGURATION:
		return index == 0 ? copied(answer, model->configuration,
			model->configuration_bytes) : -1;
	case USB_DESCRIPTOR_STRING:
		if (index == 0) {
			answer[0] = 4;
			answer[1] = USB_DESCRIPTOR_STRING;
			return 2 + answer16(answer + 2, USB_LANGUAGE);
		}
		if (index < USB_STRINGS && model->strings[index] != NULL)
			return usb_string(model->strings[index], answer);
		break;
	default:
		break;
	}
	return read_own(usb, setup, answer);
}

// 9.4.5
static int status_read(const struct usb_device *usb, const struct usb_setup *setup, uint8_t *answer)
{
	uint8_t attributes = usb->model->configuration[USB_CONFIGURATION_ATTRIBUTES];
	unsigned number = setup->index & USB_ENDPOINT_NUMBER;

	switch (setup->type & ~USB_TYPE_READ) {
	case USB_TO_DEVICE:
		return answer16(answer,
			(attributes & USB_ATTRIBUTE_SELF_POWERED ? USB_STATUS_SELF_POWERED : 0u) |
			(usb->wakeup ? USB_STATUS_REMOTE_WAKEUP : 0u));
	case USB_TO_INTERFACE:
		return is_configured(usb) && setup->index == 0 ? answer16(answer, 0) : -1;
	default:
		if (number != 0 && !has_endpoint(usb, setup->index))
			return -1;
		return answer16(answer, usb->halted >> number & USB_STATUS_HALT);
	}
}

// -1: not known.
static int request_read(struct usb_device *usb, const struct usb_setup *setup, uint8_t *answer)
{
	if ((setup->type & USB_TYPE_KIND) != 0 || (setup->type & 0x1f) > USB_TO_ENDPOINT)
		return read_own(usb, setup, answer);
	if (setup->request == USB_GET_STATUS)
		return status_read(usb, setup, answer);
	switch (setup->type << 8 | setup->request) {
	case USB_TYPE_READ << 8 | USB_GET_DESCRIPTOR:
		return descriptor_read(usb, setup, answer);
	case USB_TYPE_READ << 8 | USB_GET_CONFIGURATION:
		return copied(answer, &usb->configuration, 1);
	case (USB_TYPE_READ | USB_TO_INTERFACE) << 8 | USB_GET_INTERFACE:
		answer[0] = 0;
		return is_configured(usb) && setup->index == 0 ? 1 : -1;
	default:
		return read_own(usb, setup, answer);
	}
}

static void configure(struct usb_device *usb, uint8_t configuration)
{
	usb->configuration = configuration;
	usb->halted = 0;
	if (usb->model->configured != NULL)
		usb->model->configured(usb);
}

static bool feature_write(struct usb_device *usb, const struct usb_setup *setup)
{
	uint8_t attributes = usb->model->configuration[USB_CONFIGURATION_ATTRIBUTES];
	bool on = setup->request == USB_SET_FEATURE;
	unsigned number = setup->index & USB_ENDPOINT_NUMBER;

	if (setup->type == USB_TO_DEVICE) {
		if (setup->value != USB_FEATURE_REMOTE_WAKEUP ||
			(attributes & USB_ATTRIBUTE_REMOTE_WAKEUP) == 0)
			return false;
		usb->wakeup = on;
		return true;
	}
	if (setup->type != USB_TO_ENDPOINT || setup->value != USB_FEATURE_ENDPOINT_HALT)
		return false;
	if (number == 0)
		return true; // of which nothing lasts: 9.4.5
	if (!has_endpoint(usb, setup->index))
		return false;
	if (on) {
		usb_halt(usb, number);
		return true;
	}
	usb->halted &= (uint8_t)~BIT(number);
	if (usb->model->halt_cleared != NULL)
		usb->model->halt_cleared(usb, number);
	return true;
}

static bool request_write(struct usb_device *usb, struct guest_time now,
	const struct usb_setup *setup)
{
	uint8_t data[USB_WRITE_MAX];

	if ((setup->type & USB_TYPE_KIND) == 0)
		switch (setup->request) {
		case USB_SET_ADDRESS:
			if (setup->type != USB_TO_DEVICE || setup->value > USB_ADDRESS_MAX)
				return false;
			usb->address = (uint8_t)setup->value;
			return true;
		case USB_SET_CONFIGURATION:
			if (setup->type != USB_TO_DEVICE || setup->value > 1)
				return false;
			configure(usb, (uint8_t)setup->value);
			return true;
		case USB_SET_INTERFACE:
			if (setup->type != USB_TO_INTERFACE || !is_configured(usb) ||
				setup->index != 0 || setup->value != 0)
				return false;
			configure(usb, 1);
			return true;
		case USB_CLEAR_FEATURE:
		case USB_SET_FEATURE:
			return feature_write(usb, setup);
		default:
			break;
		}
	memcpy(data, &usb->data, sizeof(data));
	return usb->model->write != NULL &&
		usb->model->write(usb, now, setup, data, usb->at);
}

// 8.5.3.4: what follows is answered with STALL until the next SETUP.
static enum usb_result control_fail(struct usb_device *usb)
{
	usb->stage = USB_STAGE_NONE;
	return USB_STALL;
}

static enum usb_result control_begin(struct usb_device *usb, const uint8_t *data, unsigned bytes)
{
	struct usb_setup setup;

	if (bytes != USB_SETUP_BYTES)
		return USB_SILENT;
	memcpy(&usb->setup, data, USB_SETUP_BYTES);
	usb->data = 0;
	usb->at = 0;
	setup = setup_of(usb);
	usb->stage = setup.length == 0 ? USB_STAGE_STATUS
		: setup.type & USB_TYPE_READ ? USB_STAGE_READ : USB_STAGE_WRITE;
	return USB_ACK;
}

static enum usb_result control_read(struct usb_device *usb, uint8_t *data, unsigned *bytes)
{
	struct usb_setup setup = setup_of(usb);
	uint8_t answer[USB_ANSWER_MAX];
	int count = request_read(usb, &setup, answer);
	unsigned left;

	if (count < 0)
		return control_fail(usb);
	if (count > setup.length)
		count = setup.length;
	left = usb->at < (unsigned)count ? (unsigned)count - usb->at : 0;
	*bytes = left < USB_CONTROL_BYTES ? left : USB_CONTROL_BYTES;
	memcpy(data, answer + usb->at % USB_ANSWER_MAX, *bytes);
	usb->at = (uint16_t)(usb->at + *bytes);
	return USB_ACK;
}

static enum usb_result control_in(struct usb_device *usb, struct guest_time now, uint8_t *data,
	unsigned *bytes)
{
	struct usb_setup setup = setup_of(usb);

	*bytes = 0;
	if (usb->stage == USB_STAGE_READ)
		return control_read(usb, data, bytes);
	if (usb->stage == USB_STAGE_NONE)
		return control_fail(usb);
	// One that reads nothing wants nothing.
	if ((setup.type & USB_TYPE_READ) == 0 && !request_write(usb, now, &setup))
		return control_fail(usb);
	usb->stage = USB_STAGE_NONE;
	return USB_ACK;
}

static enum usb_result control_out(struct usb_device *usb, const uint8_t *data, unsigned bytes)
{
	struct usb_setup setup = setup_of(usb);

	if (usb->stage == USB_STAGE_READ && bytes == 0) {
		usb->stage = USB_STAGE_NONE;
		return USB_ACK;
	}
	if (usb->stage != USB_STAGE_WRITE || bytes > USB_CONTROL_BYTES ||
		usb->at + bytes > setup.length || usb->at + bytes > USB_WRITE_MAX)
		return control_fail(usb);
	memcpy((uint8_t *)&usb->data + usb->at, data, bytes);
	usb->at = (uint16_t)(usb->at + bytes);
	if (usb->at == setup.length)
		usb->stage = USB_STAGE_STATUS;
	return USB_ACK;
}

static enum usb_result control_packet(struct usb_device *usb, struct guest_time now,
	enum usb_pid pid, uint8_t *data, unsigned *bytes)
{
	switch (pid) {
	case USB_PID_SETUP:
		return control_begin(usb, data, *bytes);
	case USB_PID_IN:
		return control_in(usb, now, data, bytes);
	default:
		return control_out(usb, data, *bytes);
	}
}

enum usb_result usb_packet(struct usb_device *usb, struct guest_time now, enum usb_pid pid,
	unsigned endpoint, uint8_t *data, unsigned *bytes)
{
	const struct usb_model *model = usb->model;
	enum usb_result result;

	if (endpoint == 0)
		return control_packet(usb, now, pid, data, bytes);
	if (pid == USB_PID_SETUP ||
		!has_endpoint(usb, endpoint | (pid == USB_PID_IN ? USB_ENDPOINT_IN : 0)))
		return USB_SILENT;
	if ((usb->halted >> endpoint & 1) != 0)
		return USB_STALL;
	result = pid == USB_PID_IN ? model->get(usb, now, endpoint, data, bytes)
		: model->put(usb, now, endpoint, data, *bytes);
	if (result == USB_STALL)
		usb_halt(usb, endpoint);
	return result;
}

const char *usb_check(const struct usb_device *usb)
{
	struct usb_setup setup = setup_of(usb);

	if (usb->plugged && usb->model == NULL)
		return "a USB device that the machine has not";
	if (usb->model == NULL)
		return NULL;
	if ((usb->halted & ~(usb->model->in | usb->model->out)) != 0)
		return "an endpoint that a USB device has not";
	if (usb->at > setup.length || usb->at > USB_ANSWER_MAX)
		return "a control transfer beyond its data";
	if (usb->stage == USB_STAGE_WRITE && usb->at > USB_WRITE_MAX)
		return "a control transfer with more data than there can be";
	if (usb->stage == USB_STAGE_READ && (setup.length == 0 || !(setup.type & USB_TYPE_READ)))
		return "a control transfer in a stage that is not its own";
	return NULL;
}
