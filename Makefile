# SPDX-License-Identifier: BSD-2-Clause
# Reprise. For a newcomer: `make run` (a Linux guest on this terminal) and `make test`.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --no-builtin-rules

CACHE ?= $(or $(REPRISE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/reprise)
B := build
NEWLIB := $(CACHE)/src/newlib/newlib/libc
ZYDIS := $(CACHE)/src/zydis
XXHASH := $(CACHE)/src/xxhash

BASE_SRCS := kernel/base/state.c kernel/base/status.c

KERNEL_SRCS := kernel/acpi.c kernel/acpi_madt.c kernel/apic.c kernel/clock.c kernel/console.c \
	kernel/cpu.c kernel/cpu_state.c kernel/crash.c kernel/crc32c.c kernel/debug_exit.c \
	kernel/decode.c kernel/desc.c kernel/entry.S kernel/error.c kernel/event.c \
	kernel/fiber.c kernel/libc.c kernel/loop.c kernel/mem.c kernel/pagetable.c kernel/pci.c \
	kernel/pmu.c kernel/position.c kernel/smp.c kernel/smp_entry.S kernel/symbols.c \
	kernel/timer.c

BOOT_SRCS := boot/config.c boot/config_disk.c boot/config_keys.c boot/config_landing.c \
	boot/config_nic.c boot/config_region.c boot/config_rr.c boot/config_values.c boot/cpio.c \
	boot/disk_regions.c boot/efi.c boot/efi_console.c boot/efi_exit.c boot/efi_files.c \
	boot/efi_mp.c boot/efi_screen.c boot/efi_volume.c boot/enter.S boot/enter.c boot/ini.c \
	boot/machines.c boot/main.c boot/memory_map.c boot/path.c boot/pvh.S boot/pvh.c \
	boot/quiesce.c boot/relocate.c boot/text.c boot/config_usb.c

DRIVER_SRCS := drivers/ahci.c drivers/ahci_port.c drivers/ata.c drivers/disk.c drivers/fat.c \
	drivers/gpt.c drivers/ide.c drivers/nvme.c drivers/nvme_controller.c drivers/region.c \
	drivers/region_find.c drivers/uart.c drivers/virtio_blk.c

EMUL_SRCS := emul/ahci.c emul/ahci_command.c emul/ahci_frame.c emul/ahci_port.c \
	emul/ahci_queue.c emul/ahci_state.c emul/ahci_transfer.c emul/acpi_pm.c \
	emul/acpi_pm_block.c emul/ata.c emul/ata_page.c emul/atapi.c emul/debug_exit.c \
	emul/debugcon.c emul/fw_cfg.c emul/hpet.c emul/i8042.c emul/i8254.c emul/i8259.c \
	emul/ich9_lpc.c emul/ide.c emul/ide_channel.c emul/ide_master.c emul/ide_packet.c \
	emul/ide_work.c emul/ioapic.c emul/lapic.c emul/lapic_registers.c emul/lapic_timer.c \
	emul/mc146818.c emul/pci_host.c emul/pci_host_mch.c emul/pci_hotplug.c emul/pcidev.c \
	emul/pcidev_msi.c emul/pcidev_msix.c emul/pflash.c emul/piix3.c emul/port61.c \
	emul/ps2_codes.c emul/ps2_keyboard.c emul/ps2_mouse.c emul/pvpanic.c \
	emul/reset_control.c emul/scsi.c emul/scsi_cd.c emul/scsi_page.c emul/test_disk.c \
	emul/uart16550.c emul/vga.c emul/vga_dispi.c emul/vga_edid.c emul/vga_registers.c \
	emul/vga_render.c emul/vga_window.c emul/virtio.c emul/virtio_balloon.c \
	emul/virtio_blk.c emul/virtio_blk_request.c emul/virtio_check.c emul/virtio_console.c \
	emul/virtio_net.c emul/virtio_net_control.c emul/virtio_net_frame.c emul/virtio_packed.c \
	emul/virtio_pci.c emul/virtio_plane.c emul/virtio_queue.c emul/virtio_rng.c \
	emul/virtio_split.c emul/uhci.c emul/uhci_ports.c emul/uhci_schedule.c emul/usb.c \
	emul/usb_hid.c emul/usb_hub.c emul/usb_storage.c

VMX_SRCS := vmx/cpuid.c vmx/cpuid_frozen.c vmx/nested.c vmx/svm.c vmx/svm_check.c \
	vmx/svm_control.c vmx/svm_event.c vmx/svm_exit.c vmx/svm_run.S vmx/svm_state.c \
	vmx/svm_step.c vmx/svm_tsc.c vmx/vcpu.c \
	vmx/vcpu_check.c vmx/vcpu_control.c vmx/vmx.c vmx/vmx_check.c vmx/vmx_control.c \
	vmx/vmx_detect.c vmx/vmx_event.c vmx/vmx_exit.c vmx/vmx_field.c vmx/vmx_msr.c \
	vmx/vmx_run.S vmx/vmx_state.c vmx/vmx_tsc.c

VM_SRCS := vm/acpi_aml.c vm/acpi_image.c vm/acpi_loader.c vm/acpi_tables.c vm/backend.c \
	vm/backend_completion.c vm/begin.c vm/boot_context.c vm/boot_linux.c vm/boot_multiboot.c \
	vm/boot_pvh.c vm/bus.c vm/bus_regions.c vm/console.c vm/core.c vm/cpu_access.c \
	vm/dataplane.c vm/device_memory.c vm/direct_boot.c vm/disk_backend.c vm/e820.c vm/elf.c \
	vm/env.c vm/exit.c vm/exit_cr.c vm/exit_io.c vm/exit_memory.c vm/exit_msr.c \
	vm/exit_task.c vm/firmware.c vm/flash.c vm/guest_ram.c vm/hold.c vm/host_screen.c \
	vm/host_screen_fit.c vm/idle.c vm/input.c vm/insn.c vm/insn_alu.c vm/insn_operand.c \
	vm/insn_string.c vm/interrupt.c vm/landing.c vm/landing_test.c vm/line_editor.c \
	vm/local_apic.c vm/machine.c vm/medium.c vm/medium_request.c vm/memory.c vm/monitor.c \
	vm/monitor_cd.c vm/monitor_cpus.c vm/monitor_devices.c vm/monitor_disks.c \
	vm/monitor_format.c vm/monitor_host.c vm/monitor_hotplug.c vm/monitor_info.c \
	vm/monitor_input.c vm/monitor_machine.c vm/monitor_memory.c vm/monitor_network.c \
	vm/monitor_registers.c vm/monitor_screen.c vm/monitor_snapshot.c vm/monitor_vms.c \
	vm/mtrr.c vm/nic.c vm/outside.c vm/overlay.c vm/packet.c vm/paging.c vm/pc.c \
	vm/pc_board.c vm/pc_disks.c vm/pc_flash.c vm/pc_nics.c vm/pc_reset.c vm/pc_virtio.c \
	vm/position_test.c vm/random_seed.c vm/rate.c vm/run.c vm/save_load_test.c vm/screen.c \
	vm/screen_code.c vm/setting.c vm/slot.c vm/snapshot.c vm/snapshot_backend.c \
	vm/snapshot_event.c vm/snapshot_overlay.c vm/snapshot_packet.c vm/snapshot_position.c \
	vm/snapshot_ram.c vm/snapshot_stream.c vm/snapshot_vcpu.c vm/step.c vm/step_shadow.c \
	vm/switch.c vm/task_switch.c vm/throttle.c vm/turns.c vm/twin.c vm/vcpu.c vm/vm.c \
	vm/monitor_usb.c vm/pc_usb.c

LOG_SRCS := replay/log_bytes.c replay/log_check.c replay/log_difference.c replay/log_format.c \
	replay/log_header.c replay/log_header_code.c replay/log_index.c replay/log_load.c \
	replay/log_ram.c replay/log_reader.c replay/log_record.c replay/log_seek.c \
	replay/log_store.c replay/log_writer.c
REPLAY_SRCS := $(LOG_SRCS) replay/beacon.c replay/bisect.c replay/contents.c \
	replay/disks.c replay/hash.c replay/header.c replay/memory_hash.c \
	replay/monitor_replay.c replay/play.c replay/record.c \
	replay/session.c replay/sink.c

SRCS := $(BASE_SRCS) $(KERNEL_SRCS) $(DRIVER_SRCS) $(EMUL_SRCS) $(VMX_SRCS) $(VM_SRCS) \
	$(REPLAY_SRCS) $(BOOT_SRCS)

NEWLIB_SRCS := ctype/ctype_ ctype/isprint ctype/isspace errno/errno reent/impure reent/reent \
	reent/sbrkr stdio/snprintf stdio/vfprintf stdio/vsnprintf stdlib/nano-mallocr \
	stdlib/malloc stdlib/calloc stdlib/realloc search/qsort search/bsearch stdlib/strtoul \
	stdlib/strtoull string/memchr string/memcmp string/memcpy string/memmove string/memset \
	string/strcasecmp string/strchr string/strcmp string/strcpy string/strcspn \
	string/strlcpy string/strlen string/strncasecmp string/strncmp string/strncpy \
	string/strnlen string/strpbrk string/strrchr string/strspn string/strstr string/strtok_r
ZYDIS_SRCS := Decoder DecoderData Register SharedData

WARN := -Wall -Wextra -Werror -Wshadow -Wconversion -Wvla -Wundef -Wmissing-prototypes \
	-Wimplicit-fallthrough
ARCH := -ffreestanding -fpie -mno-red-zone -mgeneral-regs-only -fcf-protection=none \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
	-ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)=. \
	-ffile-prefix-map=$(CACHE)=cache
DEFS := -U__linux__ -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD -DZYAN_NO_LIBC \
	-DZYDIS_DISABLE_FORMATTER -DZYDIS_DISABLE_ENCODER -DZYDIS_DISABLE_AVX512 \
	-DZYDIS_DISABLE_KNC -DXXH_NO_XXH3
INCS := -I. -Ikernel/newlib -isystem $(NEWLIB)/include -isystem $(ZYDIS)/include \
	-isystem $(XXHASH)
CFLAGS := -std=gnu17 -O2 -g $(ARCH) $(DEFS) $(INCS) -MMD -MP
EFI_INCS := -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 -DGNU_EFI_USE_MS_ABI \
	-DHAVE_USE_MS_ABI

OBJS := $(patsubst %,$(B)/%.o,$(SRCS)) $(NEWLIB_SRCS:%=$(B)/newlib/%.o) \
	$(ZYDIS_SRCS:%=$(B)/zydis/%.o) $(B)/xxhash/xxhash.o
LINK := ld -pie --no-dynamic-linker -Bsymbolic -z max-page-size=4096 -z noexecstack \
	-z pack-relative-relocs --gc-sections --build-id=none --no-warn-rwx-segments -T linker.ld

.PHONY: all
all: $(B)/reprise.elf $(B)/BOOTX64.EFI


# Sources and packages, once. The stamp depends on what names them.
$(B)/deps.stamp: tools/deps.sh tools/packages.txt
	tools/deps.sh install
	tools/deps.sh fetch
	@mkdir -p $(B)
	@touch $@

# Other flags, other objects. It is written when they change alone.
$(B)/flags.stamp: FORCE
	@mkdir -p $(B)
	@echo '$(CFLAGS) $(WARN) $(SMALL) $(UNIT_CFLAGS) $(GUEST_CFLAGS)' \
		'$(HOST_CFLAGS) $(FUZZ_CFLAGS) $(COVER_CFLAGS)' >$@.new
	@cmp -s $@.new $@ || cp $@.new $@
.PHONY: FORCE

$(B)/%.c.o: %.c $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@echo "  CC $<"
	@gcc $(CFLAGS) $(WARN) $(EXTRA) -c $< -o $@
$(B)/%.S.o: %.S $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@echo "  AS $<"
	@gcc $(CFLAGS) -c $< -o $@
$(B)/newlib/%.o: $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@gcc $(CFLAGS) -w $(EXTRA) -I$(dir $(NEWLIB)/$*) -c $(NEWLIB)/$*.c -o $@
$(B)/zydis/%.o: $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@gcc $(CFLAGS) -w -I$(ZYDIS)/src -c $(ZYDIS)/src/$*.c -o $@
$(B)/xxhash/%.o: $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@gcc $(CFLAGS) -w -c $(XXHASH)/$*.c -o $@

# The guest's DSDT, of either board: AML as a list of bytes.
DSDT_AML := $(B)/vm/dsdt_aml.inc $(B)/vm/dsdt_q35_aml.inc
$(DSDT_AML): $(B)/vm/%_aml.inc: vm/%.asl $(wildcard vm/dsdt_*.asl) | $(B)/deps.stamp
	@mkdir -p $(@D)
	@iasl -vr -p $(B)/vm/$* $< >/dev/null
	@od -An -v -tx1 $(B)/vm/$*.aml | sed 's/ \(..\)/0x\1,/g' >$@
$(B)/vm/acpi_aml.c.o: $(DSDT_AML)

$(B)/emul/%.c.o: EXTRA := -Wpadded
$(patsubst %,$(B)/%.o,$(filter boot/efi%,$(BOOT_SRCS))): EXTRA := $(EFI_INCS)
# What runs once, when somebody types or saves, or beside what takes much longer (a host's disk), is
# small rather than fast.
SMALL := $(filter-out boot/main.c,$(BOOT_SRCS)) $(filter-out drivers/uart.c,$(DRIVER_SRCS)) \
	$(filter emul/acpi_pm% emul/debug% emul/hpet.c emul/i8042.c emul/ps2_%,$(EMUL_SRCS)) \
	$(filter emul/ata_page.c emul/atapi.c emul/ich9_% emul/mch.c emul/scsi%,$(EMUL_SRCS)) \
	$(filter emul/pci_% emul/pflash.c emul/piix3.c emul/usb%,$(EMUL_SRCS)) \
	$(filter-out emul/vga_window.c,$(filter emul/vga%,$(EMUL_SRCS))) \
	emul/ahci.c emul/ahci_port.c emul/ahci_state.c emul/fw_cfg.c emul/mc146818.c emul/pcidev.c \
	emul/pvpanic.c emul/reset_control.c emul/test_disk.c emul/uhci.c emul/uhci_ports.c \
	emul/virtio_balloon.c emul/virtio_check.c emul/virtio_console.c emul/virtio_net_control.c \
	kernel/acpi.c kernel/acpi_madt.c kernel/crash.c kernel/pci.c kernel/symbols.c \
	replay/bisect.c replay/disks.c replay/header.c replay/log_check.c replay/log_difference.c \
	replay/log_header.c replay/log_header_code.c replay/log_load.c replay/monitor_replay.c \
	replay/sink.c vm/begin.c vm/console.c vm/direct_boot.c vm/e820.c vm/elf.c vm/firmware.c \
	vm/flash.c vm/hold.c vm/host_screen.c vm/input.c vm/landing_test.c vm/line_editor.c \
	vm/position_test.c vm/save_load_test.c vm/screen.c vm/screen_code.c vm/setting.c vm/slot.c \
	vm/task_switch.c vm/twin.c vmx/cpuid_frozen.c vmx/svm_check.c vmx/svm_control.c \
	vmx/vcpu_check.c vmx/vcpu_control.c vmx/vmx_check.c vmx/vmx_control.c vmx/vmx_detect.c \
	$(filter vm/acpi_% vm/boot_% vm/monitor% vm/pc% vm/snapshot%,$(VM_SRCS))
$(SMALL:%=$(B)/%.o): CFLAGS += -Os
# newlib builds several functions from one file, told apart by macros.
$(B)/newlib/stdio/%.o: EXTRA := -DSTRING_ONLY -DINTEGER_ONLY -D_svfprintf_r=_svfiprintf_r
$(B)/newlib/stdlib/nano-mallocr.o: EXTRA := -DINTERNAL_NEWLIB -DDEFINE_MALLOC -DDEFINE_FREE \
	-DDEFINE_CALLOC -DDEFINE_REALLOC -DDEFINE_MALLOC_USABLE_SIZE

# Two links: the first gives the addresses for the table of symbols, the second holds it.
$(B)/ksyms.0.S:
	@mkdir -p $(B)
	@awk -f tools/ksyms.awk </dev/null >$@
$(B)/ksyms.1.S: $(B)/reprise.0.elf tools/ksyms.awk
	@nm -n $< | awk -f tools/ksyms.awk >$@
$(B)/ksyms.%.o: $(B)/ksyms.%.S
	@gcc -c $< -o $@
$(B)/reprise.0.elf: $(OBJS) linker.ld $(B)/ksyms.0.o
	@$(LINK) /usr/lib/crt0-efi-x86_64.o $(OBJS) $(B)/ksyms.0.o -o $@
$(B)/reprise.elf: $(B)/ksyms.1.o
	@echo "  LD $@"
	@$(LINK) /usr/lib/crt0-efi-x86_64.o $(OBJS) $< -o $@
# objcopy writes out all of .bss.
define make_efi
@objcopy --target=efi-app-x86_64 -S -R .note $< $@
@tools/trimpe.py $@
endef
$(B)/BOOTX64.EFI: $(B)/reprise.elf tools/trimpe.py
	$(make_efi)

# The kernel with a test in the place of boot/main.c: see tests/smp.py, tests/disk.py.
TEST_OBJS := $(filter-out $(B)/boot/main.c.o,$(OBJS)) $(B)/tests/kernel/start.c.o $(B)/ksyms.0.o
TEST_LINK = $(LINK) /usr/lib/crt0-efi-x86_64.o $(filter %.o,$^) -o $@
$(B)/smp_test.elf $(B)/disk_test.elf: $(B)/%_test.elf: $(B)/tests/kernel/%.c.o $(TEST_OBJS) \
		linker.ld
	@$(TEST_LINK)
# Entered with five-level paging on.
$(B)/la57_test.elf: $(B)/tests/kernel/la57.S.o $(filter-out %/boot/pvh.S.o,$(TEST_OBJS)) \
		$(B)/tests/kernel/smp.c.o linker.ld
	@$(TEST_LINK)
$(B)/%_test.efi: $(B)/%_test.elf tools/trimpe.py
	$(make_efi)

# Payloads: tiny guests that also run bare.
GUESTS := ahci_bench ahci_disk bench cpu_cpuid cpu_debug cpu_delivery cpu_exceptions \
	cpu_exceptions32 cpu_io_rights cpu_la57 cpu_msrs cpu_paging cpu_paging32 cpu_pcid \
	cpu_policy cpu_shadows cpu_strings cpu_syscalls cpu_tasks cpu_xsave cpuid det_access \
	det_cpuid det_devices det_instructions det_memory det_msrs det_pointers det_random \
	det_time det_timers det_tlb det_turns det_xsave dev_hpet dev_ioapic dev_kbd dev_lapic \
	dev_lapic_modes dev_lapic_timer dev_pic dev_pit dev_pm dev_priority dev_ps2 dev_rtc \
	dev_timer_storm dev_uart dev_uhci uhci_bench usb_disk dev_vga exceptions hlt hostile \
	hostile_storm hot_unplug ide_bench ide_cd ide_disk interrupts isolate mmio modes msr \
	neighbour net_pair nmi ports q35_board reset_cf9 reset_kbd reset_triple smp_atomic \
	smp_bench smp_hostile smp_idle smp_ipi smp_many smp_reset smp_start smp_tlb smp_xsave \
	step tasks test_disk timers tsc typed uart_flood virtio_balloon virtio_bench \
	virtio_console virtio_disk virtio_net virtio_rng plane_io ps2_typed
GUEST_LIB := $(addprefix $(B)/guest/lib/,start.S.o traps.S.o modes.S.o main.c.o trap.c.o pc.c.o)
GUEST_SMP := $(addprefix $(B)/guest/lib/,smp.S.o smp.c.o)
GUEST_CFLAGS := -std=gnu17 -I. -O2 -ffreestanding -fno-pie -mno-red-zone -mgeneral-regs-only \
	-fcf-protection=none -fno-stack-protector -fno-asynchronous-unwind-tables -MMD -MP
GUEST_ELFS := $(GUESTS:%=$(B)/guest/%.elf)
.PHONY: guests
guests: $(GUEST_ELFS) $(B)/guest/pvh.rom

$(B)/guest/%.o: tests/guest/% $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@gcc $(GUEST_CFLAGS) $(WARN) -c $< -o $@
# The firmware of tests/bochs.py.
$(B)/guest/pvh.rom: $(B)/guest/lib/rom.S.o
	@ld -Ttext 0xffff0000 -e rom_start --oformat binary -o $@ $<
GUEST_LINK := ld -static -z noexecstack --no-warn-rwx-segments -T tests/guest/lib/payload.ld
$(B)/guest/%.elf: $(B)/guest/%.c.o $(GUEST_LIB) tests/guest/lib/payload.ld
	@$(GUEST_LINK) -o $@ $< $(GUEST_LIB)
$(B)/guest/smp_%.elf: $(B)/guest/smp_%.c.o $(GUEST_LIB) $(GUEST_SMP) tests/guest/lib/payload.ld
	@$(GUEST_LINK) -o $@ $< $(GUEST_LIB) $(GUEST_SMP)
$(B)/guest/det_turns.elf: $(B)/guest/det_turns.c.o $(GUEST_LIB) $(GUEST_SMP) \
		tests/guest/lib/payload.ld
	@$(GUEST_LINK) -o $@ $< $(GUEST_LIB) $(GUEST_SMP)

# What people run on their own machine: the image's sources, with this machine's C library.
TOOL_SRCS := tools/log_diff.c tools/log_file.c tools/log_stats.c tools/reprise-log.c
HOST_LOG_SRCS := $(LOG_SRCS) kernel/base/status.c kernel/crc32c.c
MAKE_LOG_SRCS := tests/log/make.c tests/log/sample.c
HOST_CFLAGS := -std=gnu17 -D_FILE_OFFSET_BITS=64 -I. -O2 -g -MMD -MP
.PHONY: tools
tools: $(B)/reprise-log

$(B)/host/%.c.o: %.c $(B)/flags.stamp | $(B)/deps.stamp
	@mkdir -p $(@D)
	@gcc $(HOST_CFLAGS) $(WARN) -c $< -o $@
$(B)/reprise-log: $(patsubst %,$(B)/host/%.o,$(TOOL_SRCS) $(HOST_LOG_SRCS))
	@gcc $^ -o $@
$(B)/log_make: $(patsubst %,$(B)/host/%.o,$(MAKE_LOG_SRCS) $(HOST_LOG_SRCS))
	@gcc $^ -o $@
$(B)/log_edit: $(patsubst %,$(B)/host/%.o,tests/log/edit.c $(HOST_LOG_SRCS))
	@gcc $^ -o $@

# Firmware for Bochs.
$(B)/u-boot.rom: tools/mkuboot.py | $(B)/deps.stamp
	@tools/mkuboot.py /usr/lib/u-boot/qemu-x86_64/u-boot.rom $@
.SECONDARY:

include tests/unit/unit.mk
include tests/fuzz/fuzz.mk

# What needs no emulator. Each line of build/checks is NAME<tab>COMMAND.
CHECK_C := $(filter %.c,$(SRCS))
CHECK_FLAGS := -std=gnu17 -ffreestanding -mgeneral-regs-only $(DEFS) $(INCS) $(EFI_INCS)
CHECK_HEADERS := $(wildcard boot/*.h drivers/*.h emul/*.h kernel/*.h kernel/base/*.h replay/*.h \
	vm/*.h vmx/*.h)
HOST_SRCS := $(sort $(TOOL_SRCS) $(MAKE_LOG_SRCS) $(FUZZ_HOST_SRCS) tests/log/edit.c)
HEADER_WARN := -Wall -Wextra -Wno-unused-function
define CHECKS
style	tools/check-style.sh
shell	shellcheck tools/*.sh .ci/run
contract	tools/check-contract.sh $(EMUL_SRCS:%=$(B)/%.o)
registers	tools/check-sse.sh $(B)/reprise.elf
folders	tools/check-folders.sh
headers	FLAGS="$(CHECK_FLAGS) $(HEADER_WARN)" tools/check-headers.sh $(CHECK_HEADERS)
clang	FLAGS="$(CHECK_FLAGS) $(WARN)" tools/check-clang.sh $(CHECK_C)
clang-host	FLAGS="$(filter-out -M%,$(HOST_CFLAGS)) $(WARN)" tools/check-clang.sh $(HOST_SRCS)
planted	tests/planted.py --texts
fuzz-ahci	tools/check-fuzz.sh ahci 4000
fuzz-board	tools/check-fuzz.sh board 20000
fuzz-fat	tools/check-fuzz.sh fat 20000
fuzz-gpt	tools/check-fuzz.sh gpt 20000
fuzz-input	tools/check-fuzz.sh input 20000
fuzz-log	tools/check-fuzz.sh log 10000
fuzz-log-write	tools/check-fuzz.sh log_write 2000
fuzz-net	tools/check-fuzz.sh net 4000
fuzz-uhci	tools/check-fuzz.sh uhci 4000
fuzz-vga	tools/check-fuzz.sh vga 4000
fuzz-virtio	tools/check-fuzz.sh virtio 4000
fuzz-virtio-devices	tools/check-fuzz.sh virtio_devices 8000
endef
export CHECKS
$(B)/checks: Makefile
	@mkdir -p $(B)
	@printf '%s\n' "$$CHECKS" >$@

# A Debian that firmware boots.
DEBIAN := $(CACHE)/debian/disk.img
$(DEBIAN): tools/mkdebian.sh $(shell find tools/debian -type f) | $(B)/deps.stamp
	@tools/mkdebian.sh $@

# Those with long cases first.
SUITES := check unit log-tool bench bench-vmx linux-pvh-vmx machines payloads \
	payloads-vmx state state-vmx bad-config boot-vmx smp disk disk-vmx faults det det-vmx \
	replay replay-vmx cd cd-vmx display display-vmx hotplug input input-vmx landing \
	landing-vmx monitor net net-vmx linux-pvh linux-smp linux-uefi debian flash plane
.PHONY: check test nightly bench tests-built
CHECK_BUILT := $(UNIT_PROGRAMS) $(B)/checks $(B)/reprise-log $(B)/log_make $(B)/log_edit
# The image, the payloads, the unit tests, the guest: all that the suites use.
tests-built: all guests $(B)/smp_test.efi $(B)/la57_test.elf $(B)/disk_test.efi \
	$(CHECK_BUILT) fuzzers $(B)/esp.img $(B)/u-boot.rom $(DEBIAN)
check: all $(CHECK_BUILT) fuzzers
	@tests/run.py check unit log-tool
test: tests-built
	@tests/run.py $(SUITES)
bench: all guests
	@tests/run.py bench
# Long runs in shards of at most an hour; a shard that passed on this image is not run again.
nightly: tests-built fuzzers-cover
	@tools/nightly.sh

# A Linux guest, and disk images with it.
LINUX := $(CACHE)/linux/vmlinuz
LINUX_NET := $(CACHE)/linux/net/virtio-9-net.ko
LINUX_RNG := $(CACHE)/linux/modules/virtio-6-rng.ko
$(LINUX) $(LINUX_NET) $(LINUX_RNG) &: | $(B)/deps.stamp
	@tools/deps.sh guest
$(B)/initramfs.cpio: tools/mkinitramfs.sh $(wildcard tools/initramfs/*) $(LINUX) \
	$(LINUX_NET) $(LINUX_RNG)
	@tools/mkinitramfs.sh $@ $(CACHE)/linux/modules/*.ko $(CACHE)/linux/net/*.ko
ESP_FILES := vmlinuz=$(LINUX) initramfs.cpio=$(B)/initramfs.cpio
$(B)/esp.img: $(B)/BOOTX64.EFI tools/reprise.ini tools/mkesp.sh $(B)/initramfs.cpio $(LINUX)
	@tools/mkesp.sh $@ $(B)/BOOTX64.EFI tools/reprise.ini $(ESP_FILES)
# For Bochs, which has no ACPI to power off by: the same with a debug exit.
$(B)/reprise-bochs.ini: tools/reprise.ini
	@sed 's/^\[reprise\]$$/&\ndebug_exit = bochs/' $< >$@
$(B)/esp-bochs.img: $(B)/esp.img $(B)/reprise-bochs.ini
	@tools/mkesp.sh $@ $(B)/BOOTX64.EFI $(B)/reprise-bochs.ini $(ESP_FILES)
$(B)/reprise-usb.img: $(B)/esp.img
	@tools/mkesp.sh --gpt $@ $(B)/BOOTX64.EFI tools/reprise.ini $(ESP_FILES)
.PHONY: run image clean
# The CPU's vendor: svm (in QEMU) or vmx (in Bochs).
ENGINE ?= svm
RUN_svm := $(B)/esp.img
RUN_vmx := $(B)/esp-bochs.img $(B)/u-boot.rom
run: $(RUN_$(ENGINE))
	@ENGINE=$(ENGINE) tools/run.sh $<
# The same guest, recorded to a disk, and replayed from there. See docs/replay.md.
.PHONY: record replay
$(B)/esp-%.img: $(B)/esp.img
	@sed -e 's/^rtc_base = .*/rtc_base = 1704067200\nrr = $*\nrrfile = disk:1/' \
		-e 's/^quit_on_exit = .*/quit_on_exit = off/' tools/reprise.ini >$(B)/reprise-$*.ini
	@tools/mkesp.sh $@ $(B)/BOOTX64.EFI $(B)/reprise-$*.ini $(ESP_FILES)
$(B)/record.img:
	@truncate -s 16M $@
record: $(B)/esp-record.img $(B)/record.img
	@LOG=$(B)/record.img tools/run.sh $<
replay: $(B)/esp-replay.img
	@LOG=$(B)/record.img tools/run.sh $<
image: $(B)/reprise-usb.img
	@echo "$<: copy it to a USB stick, as with: dd if=$< of=/dev/sdX bs=4M conv=fsync"
clean:
	rm -rf $(B)

-include $(wildcard $(B)/host/*/*.d $(B)/host/*/*/*.d $(B)/fuzz/*/*.d $(B)/fuzz/*/*/*.d)
-include $(wildcard $(B)/cover/*/*.d $(B)/cover/*/*/*.d)
-include $(wildcard $(B)/unit/*/*.d $(B)/unit/*/*/*.d $(B)/guest/*.d $(B)/guest/lib/*.d)
-include $(wildcard $(OBJS:.o=.d) $(B)/tests/kernel/*.d)
