# SPDX-License-Identifier: BSD-2-Clause
# Fuzzers: what each is built from, and what it starts from. Part of the Makefile.

# The real sources, on this machine, with sanitizers. NAME: SOURCES.
FUZZERS := ahci board fat gpt ide input log log_write net uhci vga virtio \
	virtio_devices
FUZZ_DEVICE := tests/fuzz/device_env.c kernel/base/state.c
FUZZ_VIRTIO := $(FUZZ_DEVICE) tests/fuzz/virtio_env.c emul/pcidev.c emul/pcidev_msix.c \
	emul/virtio.c emul/virtio_check.c emul/virtio_packed.c \
	emul/virtio_pci.c emul/virtio_plane.c emul/virtio_queue.c emul/virtio_split.c
fuzz_ahci := $(FUZZ_DEVICE) emul/pcidev.c emul/pcidev_msi.c $(filter emul/ahci% \
	emul/ata.c emul/ata_page.c,$(EMUL_SRCS))
fuzz_board := $(FUZZ_DEVICE) emul/acpi_pm.c emul/acpi_pm_block.c emul/fw_cfg.c \
	emul/hpet.c emul/pci_host.c emul/pci_host_mch.c emul/ich9_lpc.c emul/pci_hotplug.c \
	emul/pcidev.c emul/pflash.c emul/piix3.c
fuzz_fat := drivers/fat.c
fuzz_gpt := drivers/gpt.c
fuzz_ide := $(FUZZ_DEVICE) $(filter emul/ata% emul/ide% emul/pcidev.c emul/scsi%,$(EMUL_SRCS))
fuzz_input := $(FUZZ_DEVICE) $(filter emul/i8042.c emul/ps2_%,$(EMUL_SRCS))
fuzz_log := tests/log/sample.c $(LOG_SRCS) kernel/base/status.c kernel/crc32c.c
fuzz_log_write := $(fuzz_log)
fuzz_net := $(FUZZ_VIRTIO) $(filter emul/virtio_net%,$(EMUL_SRCS))
fuzz_uhci := $(FUZZ_DEVICE) $(filter emul/pcidev.c emul/scsi% emul/uhci% emul/usb%,$(EMUL_SRCS))
fuzz_vga := $(FUZZ_DEVICE) $(filter emul/pcidev.c emul/vga%,$(EMUL_SRCS))
fuzz_virtio := $(FUZZ_VIRTIO) $(filter emul/virtio_blk%,$(EMUL_SRCS))
fuzz_virtio_devices := $(FUZZ_VIRTIO) emul/virtio_balloon.c emul/virtio_console.c emul/virtio_rng.c
# What clang is asked about.
FUZZ_HOST_SRCS := $(FUZZERS:%=tests/fuzz/%_fuzz.c) tests/fuzz/device_env.c tests/fuzz/fuzz.c \
	tests/fuzz/virtio_env.c tests/log/sample.c

FUZZ_CFLAGS := -std=gnu17 -I. -O1 -g -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all -MMD -MP
# The same, to count lines instead.
COVER_CFLAGS := -std=gnu17 -I. -O1 -g -fsanitize=fuzzer -fprofile-instr-generate \
	-fcoverage-mapping -MMD -MP

FUZZ_SEEDS := $(foreach s,ahci board disk ide input log log_write net uhci vga virtio, \
	$(B)/fuzz/$(s)_seeds.stamp)
.PHONY: fuzzers fuzzers-cover
fuzzers: $(FUZZERS:%=$(B)/fuzz/%_fuzz) $(FUZZ_SEEDS)
fuzzers-cover: $(FUZZERS:%=$(B)/cover/%_fuzz) $(FUZZ_SEEDS)

$(B)/fuzz/%.c.o: %.c $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@clang $(FUZZ_CFLAGS) $(WARN) -c $< -o $@
$(B)/cover/%.c.o: %.c $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@clang $(COVER_CFLAGS) $(WARN) -c $< -o $@
define fuzz_rule
fuzz_all_$(1) := tests/fuzz/$(1)_fuzz.c tests/fuzz/fuzz.c $(fuzz_$(1))
$(B)/fuzz/$(1)_fuzz: $$(patsubst %,$(B)/fuzz/%.o,$$(fuzz_all_$(1)))
	@clang $(FUZZ_CFLAGS) $$^ -o $$@
$(B)/cover/$(1)_fuzz: $$(patsubst %,$(B)/cover/%.o,$$(fuzz_all_$(1)))
	@clang $(COVER_CFLAGS) $$^ -o $$@
endef
$(foreach f,$(FUZZERS),$(eval $(call fuzz_rule,$(f))))

# Folders of seeds. The files that a script writes are the same each time.
$(foreach s,ahci board ide input log_write net uhci vga,$(B)/fuzz/$(s)_seeds.stamp): \
		$(B)/fuzz/%_seeds.stamp: tests/%_seeds.py
	@rm -rf $(@:.stamp=)
	@mkdir -p $(@:.stamp=)
	@tests/$*_seeds.py $(@:.stamp=)
	@touch $@
$(FUZZ_SEEDS): tests/seed_steps.py
$(B)/fuzz/virtio_seeds.stamp: tests/virtio_seeds.py
	@rm -rf $(@:.stamp=) $(@D)/virtio_devices_seeds
	@mkdir -p $(@:.stamp=) $(@D)/virtio_devices_seeds
	@tests/virtio_seeds.py $(@:.stamp=) $(@D)/virtio_devices_seeds
	@touch $@
$(B)/fuzz/disk_seeds.stamp: tests/disk_seeds.py tests/disk_image.py
	@mkdir -p $(@D)
	@tests/disk_seeds.py $(@D)
	@touch $@
$(B)/fuzz/log_seeds.stamp: $(B)/log_make
	@rm -rf $(@:.stamp=)
	@mkdir -p $(@:.stamp=)
	@$(B)/log_make --seeds $(@:.stamp=)
	@touch $@
