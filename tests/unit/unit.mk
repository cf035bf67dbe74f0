# SPDX-License-Identifier: BSD-2-Clause
# Host tests of single parts: what each is built from. Part of the Makefile.

# Unit tests: the real sources, on this machine, with sanitizers. NAME: SOURCES.
UNITS := acpi_loader acpi_madt acpi_pm acpi_tables ahci ahci_lies backend bus clock \
	config config_disk config_firmware config_nic config_rr console cpio cpuid cpuid_frozen \
	config_usb uhci uhci_schedule usb usb_hid usb_hub usb_storage debug_exit debugcon decode \
	device_memory direct_boot direct_boot_elf disk_backend disk_overlay disks e820 env event \
	fat flash fw_cfg gpt guest_ram hash host_screen hpet hpet_random i8042 i8254 i8259 \
	ich9_ahci ich9_ahci_command ich9_ahci_queue ich9_lpc ide ini insn insn_model insn_random \
	ioapic landing lapic lapic_timer lapic_x2apic line_editor local_apic log_check \
	log_header log_index log_reader log_record log_store log_writer mc146818 mem memory_hash \
	memory_map message monitor monitor_command monitor_devices monitor_host monitor_input \
	monitor_network monitor_screen monitor_snapshot monitor_vms mtrr nested nvme nvme_lies \
	outside_input outside_packet overlay paging pci pci_host pci_host_mch pci_hotplug pcidev \
	pcidev_msi pflash piix3 piix3_ide piix3_ide_cd piix3_ide_disk piix3_ide_master pmu \
	port61 position ps2_keyboard ps2_mouse pvpanic rate region relocate reset_control \
	screen_code scsi slot snapshot snapshot_backend snapshot_display snapshot_flash \
	snapshot_overlay snapshot_packet snapshot_position state svm_event svm_exit svm_inflight \
	svm_state svm_step switch task_switch test_disk throttle timer turns uart16550 vga \
	vga_render virtio_balloon virtio_blk virtio_console virtio_disk virtio_hostile \
	virtio_load virtio_net virtio_net_hostile virtio_order virtio_pci virtio_plane \
	virtio_resize virtio_rng vmx_detect vmx_event vmx_exit vmx_inflight vmx_state
UNIT_LAPIC := emul/lapic.c emul/lapic_registers.c emul/lapic_timer.c
UNIT_BOOT := tests/unit/fake_ram.c vm/boot_context.c vm/boot_linux.c vm/boot_multiboot.c \
	vm/boot_pvh.c vm/direct_boot.c vm/e820.c vm/elf.c vm/guest_ram.c vm/random_seed.c
UNIT_INSN := kernel/decode.c vm/insn.c vm/insn_alu.c vm/insn_operand.c vm/insn_string.c
$(foreach u,$(UNITS),$(eval unit_$(u) := $(wildcard emul/$(u).c)))
unit_lapic := $(UNIT_LAPIC)
unit_lapic_timer := $(UNIT_LAPIC)
unit_lapic_x2apic := $(UNIT_LAPIC)
$(foreach u,acpi_pm pci_host piix3,$(eval unit_$(u) += emul/pcidev.c))
unit_acpi_pm += emul/acpi_pm_block.c
unit_ich9_lpc += emul/acpi_pm_block.c emul/pcidev.c
unit_pci_host += emul/pci_host_mch.c
unit_pci_host_mch += emul/pci_host.c emul/pcidev.c
unit_pcidev_msi += emul/pcidev.c
$(foreach u,$(filter piix3_ide%,$(UNITS)),\
	$(eval unit_$(u) := emul/pcidev.c $(filter emul/ata% emul/ide% emul/scsi%,$(EMUL_SRCS))))
$(foreach u,$(filter ich9_ahci%,$(UNITS)),$(eval unit_$(u) := emul/pcidev.c emul/pcidev_msi.c \
	$(filter emul/ahci% emul/ata%,$(EMUL_SRCS))))
unit_scsi := $(filter emul/scsi%,$(EMUL_SRCS))
unit_test_disk += emul/pcidev.c emul/pcidev_msi.c
$(foreach u,$(filter uhci% usb%,$(UNITS)),\
	$(eval unit_$(u) := emul/pcidev.c \
	$(filter emul/scsi% emul/uhci% emul/usb%,$(EMUL_SRCS))))
$(foreach u,vga vga_render,$(eval unit_$(u) := emul/pcidev.c $(filter emul/vga%,$(EMUL_SRCS))))
UNIT_VIRTIO := $(filter emul/pcidev% emul/virtio%,$(EMUL_SRCS))
$(foreach u,$(filter-out virtio_blk,$(filter virtio_%,$(UNITS))),\
	$(eval unit_$(u) := $(UNIT_VIRTIO)))
unit_hpet_random := emul/hpet.c
unit_local_apic := $(UNIT_LAPIC) vm/interrupt.c vm/local_apic.c
unit_i8042 := emul/i8042.c $(filter emul/ps2_%,$(EMUL_SRCS))
unit_ps2_keyboard := $(unit_i8042)
unit_ps2_mouse := $(unit_i8042)
unit_ini := boot/ini.c
unit_config := boot/config.c boot/config_disk.c boot/config_keys.c boot/config_landing.c \
	boot/config_nic.c boot/config_region.c boot/config_rr.c boot/config_values.c \
	boot/config_usb.c boot/ini.c boot/path.c boot/text.c
unit_relocate := boot/relocate.c
unit_config_disk := $(unit_config)
unit_config_firmware := $(unit_config)
unit_config_nic := $(unit_config)
unit_config_rr := $(unit_config)
unit_config_usb := $(unit_config)
unit_cpio := boot/cpio.c boot/path.c
unit_memory_map := boot/memory_map.c
unit_line_editor := vm/line_editor.c
unit_console := vm/console.c
unit_monitor := vm/monitor_format.c vm/monitor_registers.c
unit_monitor_command := vm/machine.c vm/monitor.c vm/monitor_cd.c vm/monitor_cpus.c \
	vm/monitor_devices.c vm/monitor_disks.c vm/monitor_format.c vm/monitor_hotplug.c \
	vm/monitor_info.c vm/monitor_input.c emul/ps2_codes.c vm/monitor_machine.c \
	vm/monitor_memory.c vm/monitor_network.c vm/monitor_registers.c vm/monitor_screen.c \
	vm/monitor_snapshot.c vm/monitor_vms.c vm/monitor_usb.c vm/line_editor.c vm/guest_ram.c \
	vm/paging.c vm/screen.c vm/screen_code.c tests/unit/fake_ram.c emul/pcidev.c $(filter \
	emul/scsi% emul/uhci% emul/usb% emul/vga%,$(EMUL_SRCS))
unit_monitor_devices := $(unit_monitor_command)
unit_monitor_input := $(unit_monitor_command)
unit_monitor_network := $(unit_monitor_command)
unit_monitor_screen := $(unit_monitor_command)
unit_monitor_snapshot := $(unit_monitor_command)
unit_monitor_vms := $(unit_monitor_command)
unit_monitor_host := vm/monitor_host.c drivers/gpt.c
unit_event := kernel/event.c
unit_acpi_madt := kernel/acpi_madt.c
unit_guest_ram := vm/guest_ram.c tests/unit/fake_ram.c
unit_memory_hash := kernel/crc32c.c replay/memory_hash.c $(unit_guest_ram)
unit_mtrr := vm/mtrr.c
unit_cpuid := vmx/cpuid.c vmx/cpuid_frozen.c
unit_cpuid_frozen := vmx/cpuid.c vmx/cpuid_frozen.c
UNIT_SVM := tests/unit/svm_fake.c vmx/cpuid.c vmx/svm_check.c vmx/svm_control.c vmx/svm_event.c \
	vmx/svm_exit.c vmx/svm_state.c vmx/svm_tsc.c vmx/svm_step.c vmx/vcpu.c vmx/vcpu_control.c
$(foreach u,$(filter svm_%,$(UNITS)),$(eval unit_$(u) := $(UNIT_SVM)))
UNIT_VMX := tests/unit/vmx_fake.c vmx/cpuid.c vmx/nested.c vmx/vcpu.c vmx/vcpu_control.c vmx/vmx.c \
	vmx/vmx_check.c vmx/vmx_control.c vmx/vmx_detect.c vmx/vmx_event.c vmx/vmx_exit.c \
	vmx/vmx_field.c vmx/vmx_msr.c vmx/vmx_state.c vmx/vmx_tsc.c
$(foreach u,$(filter vmx_%,$(UNITS)),$(eval unit_$(u) := $(UNIT_VMX)))
UNIT_HOST := tests/unit/fake_host.c kernel/pci.c
unit_pci := $(UNIT_HOST)
UNIT_DISK := $(UNIT_HOST) drivers/ahci.c drivers/ahci_port.c drivers/ata.c drivers/disk.c \
	drivers/ide.c drivers/nvme.c drivers/nvme_controller.c drivers/virtio_blk.c
unit_ahci := $(UNIT_DISK)
unit_ahci_lies := $(UNIT_DISK)
unit_ide := $(UNIT_DISK)
unit_fat := drivers/fat.c
unit_flash := vm/flash.c
unit_gpt := drivers/gpt.c
unit_region := $(UNIT_DISK) drivers/fat.c drivers/gpt.c drivers/region.c \
	drivers/region_find.c
unit_virtio_blk := $(UNIT_DISK)
unit_disk_backend := drivers/region.c vm/disk_backend.c vm/guest_ram.c vm/medium.c \
	vm/medium_request.c vm/overlay.c vm/throttle.c
unit_disk_overlay := $(unit_disk_backend)
unit_overlay := vm/overlay.c
unit_throttle := vm/throttle.c
unit_nested := vmx/nested.c
unit_nvme := $(UNIT_DISK)
unit_nvme_lies := $(UNIT_DISK)
unit_task_switch := vm/task_switch.c vm/paging.c vm/guest_ram.c tests/unit/fake_ram.c
unit_pmu := kernel/pmu.c
unit_position := kernel/position.c vm/position_test.c
unit_landing := kernel/pmu.c kernel/position.c vm/landing.c vm/landing_test.c vm/rate.c
unit_rate := vm/rate.c
unit_outside_packet := kernel/event.c vm/backend.c vm/backend_completion.c \
	vm/guest_ram.c vm/input.c vm/outside.c vm/packet.c vm/setting.c
unit_outside_input := $(unit_outside_packet)
unit_turns := kernel/crc32c.c kernel/event.c vm/backend.c vm/backend_completion.c \
	vm/guest_ram.c vm/idle.c vm/input.c vm/outside.c vm/packet.c vm/setting.c vm/turns.c
UNIT_BUS := emul/pci_host.c emul/pci_host_mch.c emul/pcidev.c kernel/crc32c.c \
	kernel/event.c vm/backend.c vm/backend_completion.c vm/bus.c vm/bus_regions.c \
	vm/device_memory.c vm/env.c vm/guest_ram.c vm/input.c vm/packet.c vm/setting.c vm/slot.c
unit_bus := $(UNIT_BUS)
unit_backend := $(UNIT_BUS)
unit_device_memory := $(UNIT_BUS)
unit_env := $(UNIT_BUS)
unit_slot := $(UNIT_BUS)
unit_snapshot := $(filter emul/%,$(EMUL_SRCS)) kernel/crc32c.c kernel/event.c \
	vm/backend.c vm/backend_completion.c vm/bus.c vm/bus_regions.c vm/device_memory.c \
	vm/env.c vm/guest_ram.c vm/input.c vm/local_apic.c vm/medium.c vm/mtrr.c vm/overlay.c \
	vm/packet.c vm/pc.c vm/pc_board.c vm/pc_disks.c vm/pc_flash.c vm/pc_nics.c vm/pc_reset.c \
	vm/pc_usb.c vm/pc_virtio.c vm/random_seed.c vm/setting.c vm/slot.c vm/snapshot.c \
	vm/snapshot_backend.c vm/snapshot_event.c vm/snapshot_overlay.c vm/snapshot_packet.c \
	vm/snapshot_position.c vm/snapshot_ram.c vm/snapshot_stream.c vm/snapshot_vcpu.c \
	vm/twin.c vmx/vcpu_check.c
unit_snapshot_backend := $(unit_snapshot)
unit_snapshot_overlay := kernel/crc32c.c vm/overlay.c vm/snapshot_overlay.c vm/snapshot_stream.c
unit_snapshot_packet := $(unit_snapshot)
unit_host_screen := vm/host_screen_fit.c
unit_screen_code := vm/screen_code.c
unit_snapshot_display := $(unit_snapshot)
unit_snapshot_flash := $(unit_snapshot)
unit_snapshot_position := $(unit_snapshot)
unit_decode := kernel/decode.c
unit_timer := kernel/timer.c
unit_switch := vm/switch.c
unit_paging := vm/paging.c vm/guest_ram.c
unit_insn := $(UNIT_INSN)
unit_insn_model := $(UNIT_INSN)
unit_insn_random := $(UNIT_INSN)
unit_hash := replay/hash.c
unit_disks := replay/disks.c replay/hash.c
UNIT_LOG := $(LOG_SRCS) kernel/crc32c.c tests/log/sample.c tests/unit/log_fake.c
$(foreach u,$(filter log_%,$(UNITS)),$(eval unit_$(u) := $(UNIT_LOG)))
unit_e820 := $(UNIT_BOOT)
unit_direct_boot := $(UNIT_BOOT)
unit_direct_boot_elf := $(UNIT_BOOT)
unit_acpi_loader = $(unit_acpi_tables)
unit_acpi_tables := $(UNIT_BOOT) vm/acpi_aml.c vm/acpi_image.c vm/acpi_loader.c vm/acpi_tables.c

UNIT_CFLAGS := -std=gnu17 -I. -g -O1 -fsanitize=address,undefined \
	-fno-sanitize-recover=all $(filter-out -U%,$(DEFS)) -isystem $(ZYDIS)/include \
	-isystem $(XXHASH) -MMD -MP
UNIT_COMMON := tests/unit/fake_effects.c tests/unit/fake_env.c tests/unit/fake_state.c $(BASE_SRCS)
UNIT_LIBRARIES := $(ZYDIS_SRCS:%=$(B)/unit/zydis/%.o) $(B)/unit/xxhash/xxhash.o

$(B)/unit/zydis/%.o: $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@gcc $(UNIT_CFLAGS) -w -fno-sanitize=undefined -I$(ZYDIS)/src -c $(ZYDIS)/src/$*.c -o $@
$(B)/unit/xxhash/%.o: $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@gcc $(UNIT_CFLAGS) -w -c $(XXHASH)/$*.c -o $@
$(B)/unit/%.c.o: %.c $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@gcc $(UNIT_FIRST) $(UNIT_CFLAGS) $(WARN) -c $< -o $@
# Privileged instructions and CPUID act on a CPU of the tests' own.
$(B)/unit/vmx/%.c.o $(B)/unit/tests/unit/svm_%.c.o $(B)/unit/tests/unit/vmx_%.c.o \
	$(B)/unit/tests/unit/cpuid_test.c.o $(B)/unit/tests/unit/cpuid_frozen_test.c.o \
	$(B)/unit/kernel/pmu.c.o \
	$(B)/unit/tests/unit/pmu_test.c.o $(B)/unit/tests/unit/landing_test.c.o: \
	UNIT_FIRST := -Itests/unit/fake_x86
# Ports and registers in memory are the test's.
$(B)/unit/kernel/pci.c.o $(B)/unit/drivers/%.c.o $(B)/unit/tests/unit/fake_host.c.o \
	$(B)/unit/tests/unit/pci_test.c.o $(B)/unit/tests/unit/virtio_blk_test.c.o \
	$(B)/unit/tests/unit/ahci%test.c.o $(B)/unit/tests/unit/ide_test.c.o \
	$(B)/unit/tests/unit/nvme%test.c.o: UNIT_FIRST := -Itests/unit/fake_ports
# The CPU's area is the test's.
$(B)/unit/kernel/timer.c.o $(B)/unit/tests/unit/timer_test.c.o \
	$(B)/unit/vm/position_test.c.o $(B)/unit/tests/unit/position_test.c.o \
	$(B)/unit/vm/idle.c.o $(B)/unit/vm/outside.c.o $(B)/unit/vm/turns.c.o \
	$(B)/unit/tests/unit/turns_test.c.o $(B)/unit/tests/unit/outside_packet_test.c.o \
	$(B)/unit/tests/unit/outside_input_test.c.o \
	$(B)/unit/vm/disk_backend.c.o $(B)/unit/tests/unit/disk_backend_test.c.o \
	$(B)/unit/tests/unit/disk_overlay_test.c.o: \
	UNIT_FIRST := -Itests/unit/fake_cpu
$(B)/unit/vm/acpi_aml.c.o: $(DSDT_AML)
define unit_rule
$(B)/unit/$(1)_test: $(B)/unit/tests/unit/$(1)_test.c.o \
		$(patsubst %,$(B)/unit/%.o,$(UNIT_COMMON) $(unit_$(1))) $(UNIT_LIBRARIES)
	@gcc -fsanitize=address,undefined $$^ -lcmocka -o $$@
endef
$(foreach u,$(UNITS),$(eval $(call unit_rule,$(u))))
# Threads, under a sanitizer that does not go with the others.
THREAD_UNITS := backend_threads dataplane_threads mailbox_threads nic_threads ring_threads \
	smp_threads
threads_backend := vm/backend_completion.c vm/overlay.c vm/throttle.c
threads_dataplane := $(UNIT_VIRTIO) kernel/event.c vm/backend.c vm/backend_completion.c \
	vm/dataplane.c vm/guest_ram.c
# Sources may include others, and gcc tells the dependencies of the last one alone.
$(THREAD_UNITS:%=$(B)/unit/%_test): $(threads_dataplane) tests/unit/dataplane_bench.h \
	$(wildcard emul/*.h kernel/*.h kernel/base/*.h vm/*.[ch])
$(B)/unit/%_threads_test: tests/unit/%_threads_test.c $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@gcc -std=gnu17 -I. -g -O1 -fsanitize=thread -Wno-tsan $(WARN) $< \
		$(threads_$*) -lcmocka -o $@
UNIT_PROGRAMS := $(UNITS:%=$(B)/unit/%_test) $(THREAD_UNITS:%=$(B)/unit/%_test)
