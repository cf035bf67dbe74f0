// SPDX-License-Identifier: BSD-2-Clause
#include "vm/acpi_tables.h"

#include <stdlib.h>
#include <string.h>

#include "emul/acpi_pm.h"
#include "emul/hpet.h"
#include "emul/ich9_lpc.h"
#include "emul/mc146818.h"
#include "emul/pci_host.h"
#include "kernel/base/assert.h"
#include "vm/acpi_abi.h"
#include "vm/acpi_aml.h"

#define OEM       "REPRIS"
#define OEM_TABLE "REPRISE "
#define CREATOR   "RPRS"

#define LOCAL_APIC      0xfee00000u
#define IO_APIC         0xfec00000u
#define SCI             9u
#define PCI_FIRST       10u // to where vm/pc.c leads PCI's interrupts
#define PCI_SECOND      11u
#define PCI_ECAM        0xfef00000u
#define RESET_PORT      0xcf9u
#define RESET_VALUE     0x06u // hard reset: SYS_RST and RST_CPU

// 5.2.9.3 and table 5.10.
#define BOOT_LEGACY_DEVICES  BIT(0)
#define BOOT_8042            BIT(1)
#define BOOT_NO_VGA          BIT(2)
#define FADT_WBINVD          BIT(0)
#define FADT_C1              BIT(2)
#define FADT_NO_SLEEP_BUTTON BIT(5) // none in the fixed registers; the power button is there
#define FADT_NO_RTC_WAKE     BIT(6)
#define FADT_TIMER_32        BIT(8)
#define FADT_RESET           BIT(10)

// 5.2.12, MADT.
#define MADT_PCAT          BIT(0) // two 8259 as well
#define MADT_ENABLED       BIT(0)
#define MADT_CONFORMS      0x0u
#define MADT_HIGH_LEVEL    0xdu // active high, level-triggered
#define MADT_ALL           0xffu
#define MADT_ALL_X2APIC    0xffffffffu
#define MADT_FIRST_X2APIC  255u // id 255 is the broadcast of local APICs

// Writes tables one after the other.
struct writer {
	struct acpi_image *image;
	uint32_t start; // of the present table
};

static void table_begin(struct writer *writer)
{
	struct acpi_image *image = writer->image;

	writer->start = ALIGN_UP(image->tables_bytes, ACPI_TABLE_ALIGNMENT);
	image->tables_bytes = writer->start + (uint32_t)sizeof(struct acpi_header);
}

// Returns where it is.
static uint32_t table_append(struct writer *writer, const void *from, uint32_t bytes)
{
	struct acpi_image *image = writer->image;
	uint32_t at = image->tables_bytes;

	ASSERT(bytes <= ACPI_TABLES_MAX - at);
	memcpy(image->tables + at, from, bytes);
	image->tables_bytes += bytes;
	return at;
}

static void pointer_add(struct writer *writer, uint32_t offset, uint8_t bytes, enum acpi_blob to)
{
	acpi_image_add_pointer(writer->image, &(struct acpi_pointer){.offset = offset,
		.in = ACPI_BLOB_TABLES, .to = (uint8_t)to, .bytes = bytes});
}

// Returns where the table begins.
static uint32_t table_end(struct writer *writer, const char *signature, uint8_t revision)
{
	struct acpi_image *image = writer->image;
	struct acpi_header header = {
		.bytes = image->tables_bytes - writer->start,
		.revision = revision,
		.oem_revision = 1,
		.creator_revision = 1,
	};

	memcpy(header.signature, signature, sizeof(header.signature));
	memcpy(header.oem, OEM, sizeof(header.oem));
	memcpy(header.oem_table, OEM_TABLE, sizeof(header.oem_table));
	memcpy(header.creator, CREATOR, sizeof(header.creator));
	memcpy(image->tables + writer->start, &header, sizeof(header));
	acpi_image_add_checksum(image, &(struct acpi_checksum){.in = ACPI_BLOB_TABLES,
		.offset = writer->start + (uint32_t)offsetof(struct acpi_header, checksum),
		.first = writer->start, .bytes = header.bytes});
	return writer->start;
}

// Sets a status name of vm/dsdt_status.asl: NameOp, the name, BytePrefix, the value (20.2.5.1).
static void patch_status(struct writer *writer, const struct acpi_aml *aml, const char *name,
	bool present)
{
	uint8_t sought[6] = {0x08};
	uint32_t at = 0;

	memcpy(&sought[1], name, 4);
	sought[5] = 0x0a;
	while (at + sizeof(sought) < aml->bytes
		&& memcmp(&aml->code[at], sought, sizeof(sought)) != 0)
		at++;
	at += (uint32_t)sizeof(sought);
	ASSERT(at < aml->bytes);
	if (present)
		return;
	writer->image->tables[writer->start + at] = 0;
}

static uint16_t pm_base(const struct acpi_config *config)
{
	return config->pm_base != 0 ? config->pm_base : ACPI_PM_BASE;
}

// Moves the ports of power management among the board's resources (6.4.2.5, I/O port descriptor).
static void patch_pm_base(struct writer *writer, const struct acpi_aml *aml, uint16_t base)
{
	const uint8_t low = (uint8_t)ACPI_PM_BASE, high = ACPI_PM_BASE >> 8;
	const uint8_t sought[] = {0x47, 0x01, low, high, low, high};
	uint8_t *table = writer->image->tables + writer->start;
	uint32_t at = 0;

	while (at + sizeof(sought) < aml->bytes
		&& memcmp(&aml->code[at], sought, sizeof(sought)) != 0)
		at++;
	ASSERT(at + sizeof(sought) < aml->bytes);
	table[at + 2] = table[at + 4] = (uint8_t)base;
	table[at + 3] = table[at + 5] = (uint8_t)(base >> 8);
}

static uint32_t write_dsdt(struct writer *writer, const struct acpi_config *config)
{
	const struct acpi_aml *aml = config->q35 ? &acpi_aml_q35 : &acpi_aml_pc;
	const uint32_t header = sizeof(struct acpi_header);

	table_begin(writer);
	table_append(writer, aml->code + header, aml->bytes - header);
	patch_status(writer, aml, "PCST", config->pci);
	patch_status(writer, aml, "KBST", config->keyboard);
	patch_status(writer, aml, "HPST", config->hpet);
	patch_status(writer, aml, "PVST", config->pvpanic);
	patch_pm_base(writer, aml, pm_base(config));
	return table_end(writer, "DSDT", 2);
}

static struct acpi_address port_address(uint32_t port, uint8_t bytes, uint8_t access)
{
	return (struct acpi_address){
		.space = 1,
		.bit_width = (uint8_t)(bytes * 8),
		.access = access,
		.address = port,
	};
}

static void fill_fadt_registers(struct acpi_fadt *fadt, uint32_t base, uint8_t gpe0_bytes)
{
	fadt->pm1a_event = base + ACPI_PM_EVENT;
	fadt->pm1a_control = base + ACPI_PM_CONTROL;
	fadt->pm_timer = base + ACPI_PM_TIMER;
	fadt->gpe0 = base + ACPI_PM_GPE0;
	fadt->pm1_event_bytes = ACPI_PM_EVENT_BYTES;
	fadt->pm1_control_bytes = ACPI_PM_CONTROL_BYTES;
	fadt->pm_timer_bytes = ACPI_PM_TIMER_BYTES;
	fadt->gpe0_bytes = gpe0_bytes;
	fadt->x_pm1a_event = port_address(fadt->pm1a_event, ACPI_PM_EVENT_BYTES, 2);
	fadt->x_pm1a_control = port_address(fadt->pm1a_control, ACPI_PM_CONTROL_BYTES, 2);
	fadt->x_pm_timer = port_address(fadt->pm_timer, ACPI_PM_TIMER_BYTES, 3);
	fadt->x_gpe0 = port_address(fadt->gpe0, gpe0_bytes, 1);
	fadt->reset = port_address(RESET_PORT, 1, 1);
	fadt->reset_value = RESET_VALUE;
}

static uint32_t write_fadt(struct writer *writer, const struct acpi_config *config, uint32_t dsdt)
{
	struct acpi_fadt fadt = {
		// Of pairs both pointers are given, and equal: an OS may read either.
		.dsdt = dsdt,
		.sci = SCI,
		.smi_command = ACPI_PM_SMI_PORT,
		.acpi_enable = ACPI_PM_ACPI_ENABLE,
		.acpi_disable = ACPI_PM_ACPI_DISABLE,
		.c2_latency = 0xfff, // above 100 and 1000 µs: not supported
		.c3_latency = 0xfff,
		.century = MC146818_CENTURY,
		.boot_flags = BOOT_LEGACY_DEVICES,
		.flags = FADT_WBINVD | FADT_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_RTC_WAKE
			| FADT_TIMER_32 | FADT_RESET,
		.x_dsdt = dsdt,
	};
	uint32_t at;

	if (config->keyboard)
		fadt.boot_flags |= BOOT_8042;
	if (!config->vga)
		fadt.boot_flags |= BOOT_NO_VGA;
	fill_fadt_registers(&fadt, pm_base(config),
		config->q35 ? ICH9_LPC_GPE0_BYTES : ACPI_PM_GPE0_BYTES);
	table_begin(writer);
	at = table_append(writer, &fadt, sizeof(fadt));
	pointer_add(writer, at + offsetof(struct acpi_fadt, facs), 4, ACPI_BLOB_FACS);
	pointer_add(writer, at + offsetof(struct acpi_fadt, dsdt), 4, ACPI_BLOB_TABLES);
	pointer_add(writer, at + offsetof(struct acpi_fadt, x_facs), 8, ACPI_BLOB_FACS);
	pointer_add(writer, at + offsetof(struct acpi_fadt, x_dsdt), 8, ACPI_BLOB_TABLES);
	return table_end(writer, "FACP", 6);
}

static void append_processors(struct writer *writer, uint32_t vcpus)
{
	for (uint32_t id = 0; id < vcpus && id < MADT_FIRST_X2APIC; id++) {
		const struct acpi_madt_local_apic entry = {
			.type = ACPI_MADT_LOCAL_APIC,
			.bytes = sizeof(entry),
			.processor = (uint8_t)id,
			.id = (uint8_t)id,
			.flags = MADT_ENABLED,
		};

		table_append(writer, &entry, sizeof(entry));
	}
	for (uint32_t id = MADT_FIRST_X2APIC; id < vcpus; id++) {
		const struct acpi_madt_x2apic entry = {
			.type = ACPI_MADT_X2APIC,
			.bytes = sizeof(entry),
			.id = id,
			.flags = MADT_ENABLED,
			.processor = id,
		};

		table_append(writer, &entry, sizeof(entry));
	}
}

static void append_override(struct writer *writer, uint8_t irq, uint32_t interrupt, uint16_t flags)
{
	const struct acpi_madt_override entry = {
		.type = ACPI_MADT_OVERRIDE,
		.bytes = sizeof(entry),
		.irq = irq,
		.interrupt = interrupt,
		.flags = flags,
	};

	table_append(writer, &entry, sizeof(entry));
}

// LINT1 of every local APIC.
static void append_nmi(struct writer *writer, uint32_t vcpus)
{
	const struct acpi_madt_local_apic_nmi entry = {
		.type = ACPI_MADT_LOCAL_APIC_NMI,
		.bytes = sizeof(entry),
		.processor = MADT_ALL,
		.flags = MADT_CONFORMS,
		.pin = 1,
	};
	const struct acpi_madt_x2apic_nmi wide = {
		.type = ACPI_MADT_X2APIC_NMI,
		.bytes = sizeof(wide),
		.processor = MADT_ALL_X2APIC,
		.flags = MADT_CONFORMS,
		.pin = 1,
	};

	table_append(writer, &entry, sizeof(entry));
	if (vcpus > MADT_FIRST_X2APIC)
		table_append(writer, &wide, sizeof(wide));
}

static uint32_t write_madt(struct writer *writer, const struct acpi_config *config)
{
	const struct acpi_madt madt = {.local_apic = LOCAL_APIC, .flags = MADT_PCAT};
	const struct acpi_madt_io_apic io_apic = {
		.type = ACPI_MADT_IO_APIC,
		.bytes = sizeof(io_apic),
		.id = config->io_apic_id,
		.address = IO_APIC,
		.interrupt_base = 0,
	};

	table_begin(writer);
	table_append(writer, &madt, sizeof(madt));
	append_processors(writer, config->vcpus);
	table_append(writer, &io_apic, sizeof(io_apic));
	append_override(writer, 0, 2, MADT_CONFORMS);
	append_override(writer, SCI, SCI, MADT_HIGH_LEVEL);
	append_override(writer, PCI_FIRST, PCI_FIRST, MADT_HIGH_LEVEL);
	append_override(writer, PCI_SECOND, PCI_SECOND, MADT_HIGH_LEVEL);
	append_nmi(writer, config->vcpus);
	return table_end(writer, "APIC", 5);
}

// PCI Firmware 3.2, 4.1.2: of a PC, bus 0 alone.
static uint32_t write_mcfg(struct writer *writer, const struct acpi_config *config)
{
	const struct acpi_mcfg mcfg = {.base = config->q35 ? MCH_ECAM_BASE : PCI_ECAM,
		.bus_last = config->q35 ? 255 : 0};

	table_begin(writer);
	table_append(writer, &mcfg, sizeof(mcfg));
	return table_end(writer, "MCFG", 1);
}

static uint32_t write_hpet(struct writer *writer)
{
	const struct acpi_hpet hpet = {
		.block = HPET_BLOCK_ID,
		.base = {.bit_width = 64, .address = HPET_BASE},
		.minimum_tick = 0x80,
	};

	table_begin(writer);
	table_append(writer, &hpet, sizeof(hpet));
	return table_end(writer, "HPET", 1);
}

static uint32_t write_root(struct writer *writer, const char *signature, const uint32_t *tables,
	uint32_t count, uint8_t entry_bytes)
{
	table_begin(writer);
	for (uint32_t i = 0; i < count; i++) {
		const uint64_t address = tables[i];

		// Little-endian: either width.
		pointer_add(writer, table_append(writer, &address, entry_bytes), entry_bytes,
			ACPI_BLOB_TABLES);
	}
	return table_end(writer, signature, 1);
}

static void write_rsdp(struct acpi_image *image, uint32_t rsdt, uint32_t xsdt)
{
	struct acpi_rsdp rsdp = {
		.signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '},
		.revision = 2,
		.rsdt = rsdt,
		.bytes = sizeof(rsdp),
		.xsdt = xsdt,
	};

	memcpy(rsdp.oem, OEM, sizeof(rsdp.oem));
	memcpy(image->rsdp, &rsdp, sizeof(rsdp));
	acpi_image_add_pointer(image, &(struct acpi_pointer){.in = ACPI_BLOB_RSDP, .bytes = 4,
		.offset = offsetof(struct acpi_rsdp, rsdt), .to = ACPI_BLOB_TABLES});
	acpi_image_add_pointer(image, &(struct acpi_pointer){.in = ACPI_BLOB_RSDP, .bytes = 8,
		.offset = offsetof(struct acpi_rsdp, xsdt), .to = ACPI_BLOB_TABLES});
	acpi_image_add_checksum(image, &(struct acpi_checksum){.in = ACPI_BLOB_RSDP,
		.offset = offsetof(struct acpi_rsdp, checksum),
		.bytes = offsetof(struct acpi_rsdp, bytes)});
	acpi_image_add_checksum(image, &(struct acpi_checksum){.in = ACPI_BLOB_RSDP,
		.offset = offsetof(struct acpi_rsdp, extended_checksum), .bytes = sizeof(rsdp)});
}
_Static_assert(sizeof(struct acpi_rsdp) == ACPI_RSDP_BYTES, "blob");

static void write_facs(struct acpi_image *image)
{
	const struct acpi_facs facs = {
		.signature = {'F', 'A', 'C', 'S'},
		.bytes = sizeof(facs),
		.version = 2,
	};

	memcpy(image->facs, &facs, sizeof(facs));
}
_Static_assert(sizeof(struct acpi_facs) == ACPI_FACS_BYTES, "blob");

enum status acpi_tables_make(const struct acpi_config *config, struct acpi_image *image)
{
	struct writer writer = {.image = image};
	uint32_t tables[4], count = 0, rsdt, xsdt;

	if (config->vcpus == 0 || config->vcpus > ACPI_VCPUS_MAX)
		return STATUS_FAIL(STATUS_INVALID);
	memset(image, 0, sizeof(*image));
	write_facs(image);
	tables[count++] = write_fadt(&writer, config, write_dsdt(&writer, config));
	tables[count++] = write_madt(&writer, config);
	if (config->hpet)
		tables[count++] = write_hpet(&writer);
	if (config->pci)
		tables[count++] = write_mcfg(&writer, config);
	rsdt = write_root(&writer, "RSDT", tables, count, sizeof(uint32_t));
	xsdt = write_root(&writer, "XSDT", tables, count, sizeof(uint64_t));
	write_rsdp(image, rsdt, xsdt);
	return STATUS_OK;
}

static enum status image_write(struct guest_ram *ram, struct acpi_image *image)
{
	static const uint32_t at[ACPI_BLOBS] = {[ACPI_BLOB_RSDP] = ACPI_RSDP_ADDRESS,
		[ACPI_BLOB_TABLES] = ACPI_TABLES_ADDRESS, [ACPI_BLOB_FACS] = ACPI_FACS_ADDRESS};
	enum status status = STATUS_OK;

	ASSERT(image->tables_bytes <= ACPI_TABLES_END - ACPI_TABLES_ADDRESS);
	acpi_image_place(image, at);
	for (unsigned i = 0; i < ACPI_BLOBS && status == STATUS_OK; i++) {
		struct acpi_span blob = acpi_image_blob(image, i);

		status = guest_ram_write_rom(ram, (struct gpa){at[i]}, blob.bytes, blob.count);
	}
	return status;
}

enum status acpi_tables_build(struct guest_ram *ram, const struct acpi_config *config,
	struct gpa *rsdp)
{
	struct acpi_image *image = calloc(1, sizeof(*image));
	enum status status;

	if (image == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	status = acpi_tables_make(config, image);
	if (status == STATUS_OK)
		status = image_write(ram, image);
	free(image);
	rsdp->v = ACPI_RSDP_ADDRESS;
	return status;
}
