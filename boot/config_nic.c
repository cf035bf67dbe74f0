// SPDX-License-Identifier: BSD-2-Clause
// Values of the keys of [nic NAME]: docs/configuration.md.
#include "boot/config_values.h"

#include <string.h>

#include "boot/config.h"

enum {
	MAC_TEXT = 3 * CONFIG_MAC_BYTES - 1,
	MULTICAST = 1, LOCAL = 2, // of an address' first byte: IEEE 802, 8.2
};

static int digit_of(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	return character >= 'A' && character <= 'F' ? character - 'A' + 10 : -1;
}

// No address of a group, and not that which stands for none here.
const char *config_parse_mac(struct ini_slice value, void *field, size_t capacity)
{
	static const char expected[] = "an address of one station, such as 02:00:00:00:00:01";
	uint8_t mac[CONFIG_MAC_BYTES], any = 0;

	(void)capacity;
	if (value.count != MAC_TEXT)
		return expected;
	for (unsigned i = 0; i < CONFIG_MAC_BYTES; i++) {
		int high = digit_of(value.bytes[3 * i]), low = digit_of(value.bytes[3 * i + 1]);

		if (high < 0 || low < 0 || (i > 0 && value.bytes[3 * i - 1] != ':'))
			return expected;
		mac[i] = (uint8_t)(high << 4 | low);
		any |= mac[i];
	}
	if (any == 0 || (mac[0] & MULTICAST))
		return expected;
	memcpy(field, mac, sizeof(mac));
	return NULL;
}

const char *config_parse_nic_model(struct ini_slice value, void *field, size_t capacity)
{
	static const char *const words[] = {[CONFIG_NIC_VIRTIO] = "virtio"};

	(void)capacity;
	return config_word(value, words, ARRAY_COUNT(words), field) ? NULL : "virtio";
}

// FNV-1a, with the names' ends.
static uint64_t hash_add(uint64_t hash, const char *name)
{
	do
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	while (*name++ != '\0');
	return hash;
}

void config_nic_address(struct config_nic *nic)
{
	static const uint8_t none[CONFIG_MAC_BYTES];
	uint64_t hash = hash_add(hash_add(UINT64_C(0xcbf29ce484222325), nic->vm), nic->name);

	if (memcmp(nic->mac, none, sizeof(none)) != 0)
		return;
	nic->mac[0] = LOCAL;
	for (unsigned i = 1; i < CONFIG_MAC_BYTES; i++)
		nic->mac[i] = (uint8_t)(hash >> 8 * i);
}
