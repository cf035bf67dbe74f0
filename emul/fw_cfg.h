// SPDX-License-Identifier: BSD-2-Clause
// QEMU's firmware configuration device. See fw_cfg.c.
#ifndef EMUL_FW_CFG_H
#define EMUL_FW_CFG_H

#include "emul/device.h"

extern const struct device_model fw_cfg_model;

enum fw_cfg_region {
	FW_CFG_REGION_SELECTOR, // selector and data
	FW_CFG_REGION_DMA,      // address of a transfer's description, big-endian
};

enum {
	FW_CFG_PORT = 0x510,
	FW_CFG_PORT_BYTES = 2,
	FW_CFG_DMA_PORT = 0x514,
	FW_CFG_DMA_PORT_BYTES = 8,

	// Keys. What has one below FW_CFG_FILE_FIRST is QEMU's, and little-endian.
	FW_CFG_SIGNATURE = 0x0000,
	FW_CFG_ID = 0x0001,
	FW_CFG_RAM_SIZE = 0x0003,
	FW_CFG_NOGRAPHIC = 0x0004,
	FW_CFG_CPUS = 0x0005,
	FW_CFG_BOOT_MENU = 0x000e,
	FW_CFG_MAX_CPUS = 0x000f, // APIC ids that may be there
	FW_CFG_DIRECTORY = 0x0019,
	FW_CFG_FILE_FIRST = 0x0020,

	FW_CFG_ID_TRADITIONAL = 1 << 0,
	FW_CFG_ID_DMA = 1 << 1,

	FW_CFG_NAME_BYTES = 56, // of a file, ended by a zero
};

// What a key selects. Its bytes outlive the device and do not change.
struct fw_cfg_item {
	const void *data;
	uint32_t bytes;
	uint16_t key;
	uint16_t reserved;
};

// An entry of the directory, which begins with their number, big-endian, in 4 bytes.
struct fw_cfg_file {
	uint32_t bytes; // big-endian
	uint16_t key;   // big-endian
	uint16_t reserved;
	char name[FW_CFG_NAME_BYTES];
};

// Before the first reset. The same for an instance that a state is loaded into. `items` outlive the
// device.
void fw_cfg_configure(struct device *device, const struct fw_cfg_item *items, uint32_t count);

#endif
