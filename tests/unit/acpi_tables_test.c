// SPDX-License-Identifier: BSD-2-Clause
// The ACPI tables, read as an OS reads them: by offsets of ACPI 6.5, chapter 5. With ACPI_DUMP set
// to a directory the tables are written there as well, for `iasl -d`.
#include "vm/acpi_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_ram.h"
#include "vm/e820.h"

static const struct acpi_config full = {
	.vcpus = 4,
	.io_apic_id = 7,
	.pci = true,
	.keyboard = true,
	.hpet = true,
	.pvpanic = true,
	.vga = true,
};

struct table {
	uint8_t bytes[64 * KIB];
	uint32_t count;
};

static uint16_t get16(const struct table *table, uint32_t at)
{
	return (uint16_t)(table->bytes[at] | table->bytes[at + 1] << 8);
}

static uint32_t get32(const struct table *table, uint32_t at)
{
	return get16(table, at) | (uint32_t)get16(table, at + 2) << 16;
}

static uint64_t get64(const struct table *table, uint32_t at)
{
	return get32(table, at) | (uint64_t)get32(table, at + 4) << 32;
}

static uint8_t sum(const uint8_t *bytes, uint32_t count)
{
	uint8_t total = 0;

	for (uint32_t i = 0; i < count; i++)
		total = (uint8_t)(total + bytes[i]);
	return total;
}

// Reads a table at its address: signature, length and checksum (5.2.6).
static void read_table(const struct guest_ram *ram, uint64_t at, struct table *table)
{
	table->count = fake_ram_get32(ram, at + 4);
	assert_in_range(table->count, 36, sizeof(table->bytes));
	assert_in_range(at, 0xe0000, 0x100000 - table->count);
	fake_ram_get(ram, at, table->bytes, table->count);
	assert_int_equal(sum(table->bytes, table->count), 0);
	assert_memory_equal(&table->bytes[10], "REPRISREPRISE ", 14);
}

// 5.2.5.1: on 16 bytes in the last 128 KiB below 1 MiB.
static uint64_t find_rsdp(const struct guest_ram *ram)
{
	for (uint64_t at = 0xe0000; at < 0x100000; at += 16) {
		uint8_t rsdp[20];

		fake_ram_get(ram, at, rsdp, sizeof(rsdp));
		if (memcmp(rsdp, "RSD PTR ", 8) == 0 && sum(rsdp, sizeof(rsdp)) == 0)
			return at;
	}
	fail_msg("no RSDP");
	return 0;
}

static uint64_t find_table(const struct guest_ram *ram, const char *signature,
	struct table *table)
{
	struct table xsdt;

	read_table(ram, fake_ram_get64(ram, find_rsdp(ram) + 24), &xsdt);
	assert_memory_equal(xsdt.bytes, "XSDT", 4);
	for (uint32_t at = 36; at < xsdt.count; at += 8) {
		read_table(ram, get64(&xsdt, at), table);
		if (memcmp(table->bytes, signature, 4) == 0)
			return get64(&xsdt, at);
	}
	return 0;
}

static struct guest_ram *build(const struct acpi_config *config)
{
	struct guest_ram *ram = fake_ram_create(2 * MIB, 0);
	struct gpa rsdp = {0};

	assert_int_equal(acpi_tables_build(ram, config, &rsdp), STATUS_OK);
	assert_int_equal(rsdp.v, find_rsdp(ram));
	return ram;
}

static void test_rsdp(void **state)
{
	struct guest_ram *ram = build(&full);
	uint8_t rsdp[36];

	(void)state;
	fake_ram_get(ram, find_rsdp(ram), rsdp, sizeof(rsdp));
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(rsdp[20], 36);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	fake_ram_destroy(ram);
}

static void test_root_tables_agree(void **state)
{
	struct guest_ram *ram = build(&full);
	struct table rsdt, xsdt, table;

	(void)state;
	read_table(ram, fake_ram_get32(ram, find_rsdp(ram) + 16), &rsdt);
	read_table(ram, fake_ram_get64(ram, find_rsdp(ram) + 24), &xsdt);
	assert_memory_equal(rsdt.bytes, "RSDT", 4);
	assert_memory_equal(xsdt.bytes, "XSDT", 4);
	assert_int_equal(rsdt.count, 36 + 4 * 4);
	assert_int_equal(xsdt.count, 36 + 4 * 8);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(get32(&rsdt, 36 + 4 * i), get64(&xsdt, 36 + 8 * i));
		read_table(ram, get64(&xsdt, 36 + 8 * i), &table);
	}
	fake_ram_destroy(ram);
}

static void check_register(const struct table *fadt, uint32_t old, uint32_t at, uint32_t port,
	uint8_t bits)
{
	assert_int_equal(get32(fadt, old), port);
	assert_int_equal(fadt->bytes[at], 1); // I/O port
	assert_int_equal(fadt->bytes[at + 1], bits);
	assert_int_equal(get64(fadt, at + 4), port);
}

// 5.2.9
static void test_fadt(void **state)
{
	struct guest_ram *ram = build(&full);
	struct table fadt;

	(void)state;
	assert_true(find_table(ram, "FACP", &fadt) != 0);
	assert_int_equal(fadt.count, 276);
	assert_int_equal(fadt.bytes[8], 6);
	assert_int_equal(get16(&fadt, 46), 9);    // SCI_INT
	assert_int_equal(get32(&fadt, 48), 0xb2); // SMI_CMD
	assert_int_equal(fadt.bytes[52], 0xf1);
	assert_int_equal(fadt.bytes[53], 0xf0);
	check_register(&fadt, 56, 148, 0x600, 32); // PM1a_EVT
	check_register(&fadt, 64, 172, 0x604, 16); // PM1a_CNT
	check_register(&fadt, 76, 208, 0x608, 32); // PM_TMR
	check_register(&fadt, 80, 220, 0x620, 32); // GPE0
	assert_memory_equal(&fadt.bytes[88], "\4\2\0\4\4\0\0", 7);
	assert_int_equal(fadt.bytes[108], 0x32);
	assert_int_equal(get16(&fadt, 109), 0x3); // legacy devices, 8042
	// WBINVD, C1, fixed power button, no sleep button, no RTC wake, 32-bit timer, reset
	// register, not hardware-reduced.
	assert_int_equal(get32(&fadt, 112), 0x565);
	assert_memory_equal(&fadt.bytes[116], "\1\10\0\1\xf9\xc\0\0\0\0\0\0\x06", 13);
	fake_ram_destroy(ram);
}

// Firmware moves the ports; both tables say where to.
static void test_pm_base(void **state)
{
	static const uint8_t moved[] = {0x47, 1, 0, 0xb0, 0, 0xb0, 1, 0x40};
	struct acpi_config config = full;
	struct table fadt, dsdt;
	struct guest_ram *ram;
	uint32_t at = 0;

	(void)state;
	config.pm_base = 0xb000;
	ram = build(&config);
	assert_true(find_table(ram, "FACP", &fadt) != 0);
	check_register(&fadt, 56, 148, 0xb000, 32);
	check_register(&fadt, 64, 172, 0xb004, 16);
	check_register(&fadt, 76, 208, 0xb008, 32);
	check_register(&fadt, 80, 220, 0xb020, 32);
	read_table(ram, get32(&fadt, 40), &dsdt);
	while (at + sizeof(moved) < dsdt.count
		&& memcmp(&dsdt.bytes[at], moved, sizeof(moved)) != 0)
		at++;
	assert_true(at + sizeof(moved) < dsdt.count);
	fake_ram_destroy(ram);
}

static void test_boot_flags_follow_configuration(void **state)
{
	struct acpi_config config = full;
	struct guest_ram *ram;
	struct table fadt;

	(void)state;
	config.keyboard = false;
	config.vga = false;
	ram = build(&config);
	assert_true(find_table(ram, "FACP", &fadt) != 0);
	assert_int_equal(get16(&fadt, 109), 0x5); // legacy devices, no VGA
	fake_ram_destroy(ram);
}

// 5.2.10: on 64 bytes, and the OS writes it.
static void test_facs_lies_in_reserved_ram(void **state)
{
	struct guest_ram *ram = build(&full);
	struct e820_map map;
	struct table fadt;
	uint64_t at;

	(void)state;
	find_table(ram, "FACP", &fadt);
	at = get32(&fadt, 36);
	assert_int_equal(get64(&fadt, 132), at);
	assert_int_equal(at % 64, 0);
	assert_int_equal(fake_ram_get32(ram, at), 0x53434146); // "FACS"
	assert_int_equal(fake_ram_get32(ram, at + 4), 64);
	assert_true(fake_ram_holds(ram, at + 8, 24, 0));
	assert_int_equal(guest_ram_kind(ram, (struct gpa){at}), GUEST_RAM_RAM);
	e820_build(ram, &map);
	assert_false(e820_is_ram(&map, at, 1));
	assert_false(e820_is_ram(&map, at + 63, 1));
	fake_ram_destroy(ram);
}

// PCI Firmware 3.2, 4.1.2: one entry, of bus 0.
static void test_mcfg(void **state)
{
	struct acpi_config config = full;
	struct guest_ram *ram = build(&full);
	struct table mcfg;

	(void)state;
	assert_true(find_table(ram, "MCFG", &mcfg) != 0);
	assert_int_equal(mcfg.count, 60);
	assert_true(get64(&mcfg, 44) == 0xfef00000);
	assert_int_equal(get32(&mcfg, 52), 0);
	assert_int_equal(get32(&mcfg, 56), 0);
	fake_ram_destroy(ram);
	config.pci = false;
	ram = build(&config);
	assert_true(find_table(ram, "MCFG", &mcfg) == 0);
	fake_ram_destroy(ram);
}

struct madt_count {
	uint32_t narrow, wide, io, overrides, nmis, wide_nmis;
};

static void count_madt_entry(const struct table *madt, uint32_t at, struct madt_count *count)
{
	static const char overrides[4][10] = {
		"\xa\0\0\2\0\0\0\0\0",
		"\xa\0\x9\x9\0\0\0\xd\0",
		"\xa\0\xa\xa\0\0\0\xd\0",
		"\xa\0\xb\xb\0\0\0\xd\0",
	};

	switch (madt->bytes[at]) {
	case 0: // 5.2.12.2
		assert_int_equal(madt->bytes[at + 1], 8);
		assert_int_equal(madt->bytes[at + 2], count->narrow);
		assert_int_equal(madt->bytes[at + 3], count->narrow);
		assert_int_equal(get32(madt, at + 4), 1);
		count->narrow++;
		break;
	case 1: // 5.2.12.3
		assert_memory_equal(&madt->bytes[at + 1], "\xc\7\0\0\0\xc0\xfe\0\0\0\0", 11);
		count->io++;
		break;
	case 2: // 5.2.12.5: IRQ0 to input 2 as the bus has it, the others level and active high
		assert_true(count->overrides < ARRAY_COUNT(overrides));
		assert_memory_equal(&madt->bytes[at + 1], overrides[count->overrides], 9);
		count->overrides++;
		break;
	case 4: // 5.2.12.7
		assert_memory_equal(&madt->bytes[at + 1], "\6\xff\0\0\1", 5);
		count->nmis++;
		break;
	case 9: // 5.2.12.12
		assert_int_equal(madt->bytes[at + 1], 16);
		assert_int_equal(get32(madt, at + 4), 255 + count->wide);
		assert_int_equal(get32(madt, at + 8), 1);
		assert_int_equal(get32(madt, at + 12), 255 + count->wide);
		count->wide++;
		break;
	case 10: // 5.2.12.13
		assert_memory_equal(&madt->bytes[at + 1], "\xc\0\0\xff\xff\xff\xff\1\0\0\0", 11);
		count->wide_nmis++;
		break;
	default:
		fail_msg("entry of type %u", madt->bytes[at]);
	}
}

static struct madt_count count_madt(uint32_t vcpus)
{
	struct acpi_config config = full;
	struct madt_count count = {0};
	struct guest_ram *ram;
	struct table madt;
	uint32_t at;

	config.vcpus = vcpus;
	ram = build(&config);
	assert_true(find_table(ram, "APIC", &madt) != 0);
	assert_int_equal(get32(&madt, 36), 0xfee00000);
	assert_int_equal(get32(&madt, 40), 1);
	for (at = 44; at < madt.count; at += madt.bytes[at + 1])
		count_madt_entry(&madt, at, &count);
	assert_int_equal(at, madt.count);
	fake_ram_destroy(ram);
	return count;
}

static void test_madt(void **state)
{
	struct madt_count count = count_madt(4);

	(void)state;
	assert_int_equal(count.narrow, 4);
	assert_int_equal(count.wide, 0);
	assert_int_equal(count.io, 1);
	assert_int_equal(count.overrides, 4);
	assert_int_equal(count.nmis, 1);
	assert_int_equal(count.wide_nmis, 0);
}

static void test_madt_of_many_processors(void **state)
{
	struct madt_count count = count_madt(255);

	(void)state;
	assert_int_equal(count.narrow, 255);
	assert_int_equal(count.wide, 0);
	count = count_madt(256);
	assert_int_equal(count.narrow, 255);
	assert_int_equal(count.wide, 1);
	assert_int_equal(count.wide_nmis, 1);
	count = count_madt(ACPI_VCPUS_MAX);
	assert_int_equal(count.narrow + count.wide, ACPI_VCPUS_MAX);
}

static void test_number_of_processors_is_checked(void **state)
{
	struct guest_ram *ram = fake_ram_create(2 * MIB, 0);
	struct acpi_config config = {.vcpus = 0};
	struct gpa rsdp;

	(void)state;
	assert_int_equal(acpi_tables_build(ram, &config, &rsdp), STATUS_INVALID);
	config.vcpus = ACPI_VCPUS_MAX + 1;
	assert_int_equal(acpi_tables_build(ram, &config, &rsdp), STATUS_INVALID);
	fake_ram_destroy(ram);
}

static void test_memory_is_missing(void **state)
{
	struct guest_ram ram = {0};
	struct gpa rsdp;

	(void)state;
	assert_int_equal(acpi_tables_build(&ram, &full, &rsdp), STATUS_RANGE);
}

// Value of a status name of the DSDT.
static uint8_t get_status(const struct guest_ram *ram, const char *name)
{
	struct table fadt, dsdt;

	find_table(ram, "FACP", &fadt);
	assert_int_equal(get32(&fadt, 40), get64(&fadt, 140));
	read_table(ram, get64(&fadt, 140), &dsdt);
	assert_memory_equal(dsdt.bytes, "DSDT", 4);
	for (uint32_t at = 36; at + 6 < dsdt.count; at++) {
		if (dsdt.bytes[at] == 0x08 && memcmp(&dsdt.bytes[at + 1], name, 4) == 0) {
			assert_int_equal(dsdt.bytes[at + 5], 0x0a);
			return dsdt.bytes[at + 6];
		}
	}
	fail_msg("no %s", name);
	return 0;
}

static void test_dsdt_follows_configuration(void **state)
{
	static const char *const names[] = {"PCST", "KBST", "HPST", "PVST"};
	const struct acpi_config none = {.vcpus = 1};
	struct guest_ram *ram = build(&full);
	struct table table;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		assert_int_equal(get_status(ram, names[i]), 0x0f);
	assert_true(find_table(ram, "HPET", &table) != 0);
	assert_int_equal(table.count, 56);
	assert_int_equal(get64(&table, 44), 0xfed00000);
	fake_ram_destroy(ram);
	ram = build(&none);
	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		assert_int_equal(get_status(ram, names[i]), 0);
	assert_true(find_table(ram, "HPET", &table) == 0);
	fake_ram_destroy(ram);
}

// Of a Q35: all buses, and GPE0 of an ICH9.
static void test_q35(void **state)
{
	struct acpi_config config = full;
	struct guest_ram *ram;
	struct table table;

	(void)state;
	config.q35 = true;
	ram = build(&config);
	assert_true(find_table(ram, "MCFG", &table) != 0);
	assert_true(get64(&table, 44) == 0xb0000000);
	assert_int_equal(get32(&table, 52), 0xff000000); // segment 0, buses 0 to 255
	assert_true(find_table(ram, "FACP", &table) != 0);
	assert_int_equal(get32(&table, 80), 0x620);
	assert_int_equal(table.bytes[92], 16); // GPE0_BLK_LEN
	assert_int_equal(get_status(ram, "HPST"), 0x0f);
	fake_ram_destroy(ram);
}

static void dump(const char *directory, const char *name, const struct table *table)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s.aml", directory, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(table->bytes, 1, table->count, file), table->count);
	assert_int_equal(fclose(file), 0);
}

static void test_dump(void **state)
{
	static const char *const names[] = {"FACP", "APIC", "HPET"};
	const char *directory = getenv("ACPI_DUMP");
	struct acpi_config config = full;
	struct guest_ram *ram;
	struct table table;

	(void)state;
	if (directory == NULL)
		skip();
	config.vcpus = 258;
	ram = build(&config);
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		find_table(ram, names[i], &table);
		dump(directory, names[i], &table);
	}
	find_table(ram, "FACP", &table);
	read_table(ram, get64(&table, 140), &table);
	dump(directory, "DSDT", &table);
	read_table(ram, fake_ram_get64(ram, find_rsdp(ram) + 24), &table);
	dump(directory, "XSDT", &table);
	fake_ram_destroy(ram);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rsdp),
		cmocka_unit_test(test_root_tables_agree),
		cmocka_unit_test(test_fadt),
		cmocka_unit_test(test_pm_base),
		cmocka_unit_test(test_boot_flags_follow_configuration),
		cmocka_unit_test(test_facs_lies_in_reserved_ram),
		cmocka_unit_test(test_mcfg),
		cmocka_unit_test(test_madt),
		cmocka_unit_test(test_madt_of_many_processors),
		cmocka_unit_test(test_number_of_processors_is_checked),
		cmocka_unit_test(test_memory_is_missing),
		cmocka_unit_test(test_dsdt_follows_configuration),
		cmocka_unit_test(test_q35),
		cmocka_unit_test(test_dump),
	};

	return cmocka_run_group_tests_name("acpi_tables", tests, NULL, NULL);
}
