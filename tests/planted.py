#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Plants faults, one at a time, in a copy of the built tree, and demands that a suite fails.

    tests/planted.py [--filter REGEX] [--suite REGEX] [--texts]

Each fault names the suite, and the filter of its cases, that must notice. With --texts no fault is
planted: each one's text must be in its file, once.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# name, file, old text, new text, suite, filter
FAULTS = (
    ("pic-eoi-lost", "emul/i8259.c", "chip->isr &= (uint8_t)~bit_of((unsigned)input);",
     "(void)input;",
     "unit", "unit/i8259$"),
    ("timer-one-late", "emul/lapic_timer.c", "ASSERT(step >= EXPIRY_MIN_NS);",
     "ASSERT(step >= EXPIRY_MIN_NS); step++;", "unit", "unit/lapic_timer$"),
    ("state-range-off", "kernel/base/state.c", "value > field->max", "value > field->max + 1",
     "unit", "unit/state$"),
    ("fault-not-doubled", "vmx/svm_event.c", "vector = VECTOR_DF;", "",
     "unit", "unit/svm_event$"),
    ("clean-bit-missed", "vmx/svm_state.c", "svm_dirty(vcpu, SVM_CLEAN_CR2);", "",
     "unit", "unit/svm_state$"),
    ("rom-writable", "vm/memory.c", ": NESTED_READ_ONLY;", ": NESTED_READ_WRITE;",
     "payloads", "reprise/hostile$"),
    ("device-calls-out", "emul/port61.c", "static uint64_t port61_read(",
     "int printf(const char *, ...);\nint port61_leak(void);\nint port61_leak(void)\n{\n"
     "\treturn printf(\"x\");\n}\nstatic uint64_t port61_read(", "check", "check/contract$"),
    ("flash-not-flushed", "vm/flash.c", "status = region_flush(flash->region);", "{}",
     "unit", "unit/flash$"),
    ("flash-out-of-order", "emul/pflash.c", "\tif (!store(flash))\n\t\treturn false;\n", "",
     "unit", "unit/pflash$"),
    ("gpt-crc-unchecked", "drivers/gpt.c", "header_crc(at, count) != get32(at + HEADER_CRC)",
     "header_crc(at, count) == 1", "unit", "unit/gpt$"),
    ("gpt-array-unchecked", "drivers/region_find.c",
     "status = gpt_array_check(&header, made->array);", "{}", "disk", "disk/damaged-first-array$"),
    ("gpt-end-unchecked", "drivers/gpt.c", " || last > header->last_usable", "", "check",
     "check/fuzz-gpt$"),
    ("fat-cluster-unchecked", "drivers/fat.c",
     "if (!is_cluster(fat, cluster))\n\t\t\treturn \"its", "if (cluster == 0)\n\t\t\treturn \"its",
     "check", "check/fuzz-fat$"),
    ("region-one-extent", "drivers/region.c", "offset -= extent->bytes;", "offset = 0;",
     "unit", "unit/region$"),
    ("virtio-any-answer", "drivers/virtio_blk.c", "if (element.id != HEAD)", "if (false)",
     "unit", "unit/virtio_blk$"),
    ("nvme-any-answer", "drivers/nvme_controller.c",
     "(uint16_t)answer.status != queue->command_id || ", "", "unit", "unit/nvme_lies$"),
    ("nvme-metadata", "drivers/nvme.c", "(format & NVME_FORMAT_METADATA) != 0", "false", "disk",
     "disk/namespaces$"),
    ("ahci-not-cut", "drivers/ahci_port.c",
     "pci_disable(port->hba->function, PCI_COMMAND_MASTER);", "", "unit", "unit/ahci_lies$"),
    ("disk-never-yields", "drivers/disk.c",
     "if (!wait->is_slow && now < wait->lock->spin_end) {", "if (now != 1) {",
     "unit", "unit/(ide|virtio_blk)$"),
    ("disk-turns-ignored", "drivers/disk.c", "!= ticket)", "!= ticket && ticket == 0)", "unit",
     "unit/region$"),
    ("disk-wake-lost", "drivers/disk.c", "if (wait->woken)", "if (wait == NULL)",
     "unit", "unit/ide$"),
    ("disk-copy-taken", "drivers/region_find.c", "if (*found != NULL) {", "if (false) {",
     "disk-vmx", "disk/file-copy$"),
    ("arrow-up", "kernel/timer.h", "#include \"kernel/base/types.h\"",
     "#include \"kernel/base/types.h\"\n#include \"vm/mtrr.h\"", "check", "check/folders$"),
    ("events-dropped", "kernel/event.c",
     "GUEST_TIME_NEVER);\n\t\tqueue->deliver(queue->owner, ",
     "GUEST_TIME_NEVER);\n\t\tif (queue->sequence % 3 != 0)\n"
     "\t\t\tqueue->deliver(queue->owner, ",
     "payloads", "reprise/(timers|hlt)$"),
    ("state-field-left-out", "vm/snapshot_vcpu.c", "vcpu->halted = run->halted;", "",
     "state", "state/hlt$"),
    ("state-table-short", "vmx/vcpu_check.c", "STATE_ANY(struct vcpu_state, kernel_gs_base),",
     "STATE_PAD(struct vcpu_state, kernel_gs_base),", "state", "state/msr$"),
    ("nmi-unblocked", "vmx/svm_event.c", "svm->nmi_blocked = true;\n}", "}",
     "payloads", "reprise/nmi$"),
    ("cpuid-svm-shown", "vmx/cpuid_frozen.c", "#define EXT1_ECX        BITS(0, ",
     "#define EXT1_ECX        BITS(0, 2, ",
     "payloads", "reprise/cpuid$"),
    ("cpuid-random-shown", "vmx/cpuid_frozen.c", "{.ecx = BITS(30)}", "{0}",
     "det", "det/det_random$"),
    ("rdtsc-of-the-host", "vm/step.c", "value = landing_now(vcpu->vm) - vcpu->vm->tsc_base + ",
     "value = rdtsc() + ", "det", "det/det_time$"),
    ("deadline-rounded", "kernel/clock.h", "clock_tsc_ns(ticks) >= ns ? ticks : ticks + 1",
     "ticks", "unit", "unit/clock$"),
    ("fpu-not-its-own", "vmx/vcpu.c", "fpu_restore(vcpu->fpu);\n\tregisters_to_cpu",
     "registers_to_cpu", "det", "det/det_xsave$"),
    ("io-length-off", "vmx/svm_exit.c", "exit->io.size = (info >> SVM_IO_SIZE_SHIFT) & 7;",
     "exit->io.size = 1;", "payloads", "reprise/ports$"),
    ("exit-slower", "vm/exit.c", "value = cpuid_profile_simple(&vcpu->cpuid, leaf);",
     "for (volatile int i = 0; i < 5; i++)\n\t\t;\n\tvalue = cpuid_profile_simple(&vcpu->cpuid, "
     "leaf);", "bench", "bench"),
    ("kick-lost", "kernel/cpu.c", "cpu != cpu_self())", "cpu == NULL)", "smp", "smp/four$"),
    ("others-not-stopped", "kernel/crash.c", "APIC_COMMAND_NMI);", "APIC_VECTOR_SPURIOUS);",
     "smp", "smp/crash-(assert|locked)$"),
    ("console-unlocked", "kernel/console.c", "self) {\n\t\twhile (!__atomic",
     "self) {\n\t\twhile (false && !__atomic", "smp", "smp/(four|eight)$"),
    ("disabled-cpu-used", "kernel/acpi_madt.c", "(get32(entry + 4) & LAPIC_ENABLED) != 0)",
     "true)", "unit", "unit/acpi_madt$"),
    ("inbox-turned", "kernel/message.h", "\t\ttaken->next = oldest;\n\t\toldest = taken;",
     "\t\tif (oldest == NULL)\n\t\t\toldest = taken;", "unit", "unit/message$"),
    ("input-behind-vcpu", "vm/vcpu.c", "vcpu->task.runs_long = true;", "", "machines",
     "machines/destroy-running$"),
    ("fpu-shared", "vmx/vcpu.c", "\tfpu_restore(vcpu->fpu);\n\tregisters_to_cpu(vcpu);",
     "\tregisters_to_cpu(vcpu);", "machines", "machines/isolate$"),
    ("pat-shared", "vmx/svm_state.c", "MSR_SYSENTER_EIP,\n};", "MSR_SYSENTER_EIP, MSR_PAT,\n};",
     "machines", "machines/isolate$"),
    ("vcpu-leaked", "vm/vcpu.c", "mem_pages_free(vcpu, PAGES_OF(*vcpu));", "", "machines",
     "machines/destroy"),
    ("output-dropped", "vm/console.c", "(void)incoming_take(guest, true); // it was first", "",
     "unit", "unit/console$"),
    ("landing-off-by-one", "vm/landing.c", "landing->ticks < target->at.ticks",
     "landing->ticks <= target->at.ticks", "landing", "landing/linux$"),
    ("landing-off-by-one-vmx", "vm/landing.c", "landing->ticks < target->at.ticks",
     "landing->ticks <= target->at.ticks", "landing-vmx", "landing/linux$"),
    ("software-step-uncounted", "vm/landing.c",
     "landing->ticks += position_source->counts_instructions;\n\treturn false;",
     "{}\n\treturn false;", "landing", "landing/linux$"),
    ("step-tf-shown", "vmx/svm_step.c", "exit->kind = VMEXIT_STEP_REPAIR;", "",
     "landing", "landing/step/step$"),
    ("step-lost-in-syscall", "vmx/svm_step.c", "vmcb->sfmask &= ~RFLAGS_TF;", "",
     "unit", "unit/svm_step$"),
    ("source-not-checked", "vm/position_test.c", "stepped.ticks != plain.ticks", "false",
     "unit", "unit/position$"),
    ("clock-not-kept", "vm/pc_reset.c", "packet_reset(vm); // their events are gone",
     "packet_reset(vm);\n\textern void mc146818_configure(struct device *, uint64_t);\n"
     "\tmc146818_configure(vm->rtc, vm->config.rtc_epoch);",
     "linux-pvh", "linux-pvh"),
    ("log-crc-unchecked", "replay/log_load.c", "!log_chunk_is_intact(chunk->bytes)", "false",
     "unit", "unit/log_reader$"),
    ("log-id-ignored", "replay/log_format.c", "header->log_id != log_id",
     "header->log_id == ~log_id",
     "unit", "unit/log_reader$"),
    ("log-end-without-room", "replay/log_writer.c", "log_index_bytes_max(&writer->index, 2)", "0",
     "unit", "unit/log_writer$"),
    ("log-form-changed", "replay/log_abi.h", "LOG_FORM_INDEX = 0x02,\n\tLOG_FORM_SEQUENCE = 0x04,",
     "LOG_FORM_INDEX = 0x04,\n\tLOG_FORM_SEQUENCE = 0x02,", "log-tool",
     "log-tool/records-are-printed$"),
    ("log-vcpu-forgotten", "replay/log_record.c", "\tcodec->last_vcpu = record->vcpu;\n", "",
     "unit", "unit/log_record$"),
    ("log-length-unchecked", "replay/log_bytes.c", "count > (size_t)(in->end - in->at)",
     "in->at == NULL", "check", "check/fuzz-log$"),
    ("written-missed", "vmx/nested.c", "return dirty_take(entry);", "return false;", "unit",
     "unit/nested$"),
    ("writes-for-it-missed", "vm/guest_ram.c",
     "write_many(ram, to, host, from, bytes);\n\tguest_ram_mark_written(ram, to);",
     "write_many(ram, to, host, from, bytes);",
     "unit", "unit/memory_hash$"),
    ("accessed-not-apart", "replay/memory_hash.c", "UINT64_C(0x0000002000000020)", "UINT64_C(0)",
     "unit", "unit/memory_hash$"),
    ("rdtsc-not-as-recorded", "replay/play.c", "? VM_RDTSC_TAKES_TIME : VM_RDTSC_FREE;",
     "? VM_RDTSC_FREE : VM_RDTSC_FREE;", "replay", "replay/shaped$"),
    ("rate-not-as-recorded", "replay/play.c",
     "landing_set_rate(session->vm, session->record.value);", "", "replay", "replay/rate$"),
    ("rate-jumps", "vm/rate.c", "landing->rate_ticks = landing->ticks;", "", "unit",
     "unit/(rate|landing)$"),
    ("seed-not-as-recorded", "replay/play.c",
     "header_seed(&session->reader->header, &config->random_seed);", "", "replay",
     "replay/payload/hlt$"),
    ("completion-not-ordered", "vm/backend.c",
     "__atomic_store_n(&request->done, true, __ATOMIC_RELEASE);\n\t__atomic_fetch_add(",
     "__atomic_store_n(&request->done, true, __ATOMIC_RELAXED);\n\t__atomic_fetch_add(", "unit",
     "unit/backend_threads$"),
    ("disk-gone-early", "vm/hold.c", "while (!backend_all_done(&vm->requests_out))",
     "while (false)", "state",
     "state/test_disk$"),
    ("dma-when-it-comes", "vm/backend.c",
     "void backend_done_at_once(struct backend_request *request, enum status status)\n{\n",
     "static void data_give(const struct backend_slot *slot, struct guest_ram *ram);\n"
     "void backend_done_at_once(struct backend_request *request, enum status status)\n{\n"
     "\tif (request->kind == DEVICE_IO_READ && status == STATUS_OK)\n"
     "\t\tdata_give(CONTAINER_OF(request, struct backend_slot, request),\n"
     "\t\t\t&request->backend->device->vm->ram);\n", "replay", "replay/payload/test_disk$"),
    ("completion-not-logged", "vm/outside.c", "if (recorder != NULL)\n\t\tstatus =",
     "if (recorder != NULL && event.kind != EVENT_COMPLETION)\n\t\tstatus =", "replay",
     "replay/payload/test_disk$"),
    ("end-before-the-log", "replay/session.c", "session->machine_ended && !session->held &&",
     "session->machine_ended &&", "replay", "replay/slow-disk$"),
    ("hpet-drifts", "emul/hpet.c", "ticks_at(now.ns) - ticks_at(hpet->seen_ns)",
     "ticks_at(now.ns - hpet->seen_ns)", "unit", "unit/hpet$"),
    ("hpet-edge-not-saved", "emul/hpet.c", "STATE_EACH(struct hpet, timers, raised, 0, 1)",
     "STATE_EACH_DERIVED(struct hpet, timers, raised)", "unit", "unit/hpet$"),
    ("hpet-pit-not-cut-off", "emul/hpet.c", "bool irq0 = legacy ? timer_line(hpet, 0) :",
     "bool irq0 = legacy && timer_line(hpet, 0) ? true :", "payloads", "reprise/dev_hpet$"),
    ("hpet-period-shared", "emul/hpet.c", "((ticks - 1 - before) / timer->period + 1)",
     "(before / ticks + 1)", "unit", "unit/hpet$"),
    ("ide-part-kept", "emul/ide_work.c", "\tof->part = 0;\n\tif (is_in)", "\tif (is_in)",
     "unit", "unit/piix3_ide$"),
    ("ide-not-durable", "emul/ide_work.c", "of->work.durable && of->asked != DEVICE_IO_FLUSH",
     "false", "unit", "unit/piix3_ide$"),
    ("ide-reset-forgets", "emul/ide_work.c", "\tif (of->state == IDE_ASKED)\n\t\tdevice_drop("
     "&ide->pci.device, ide_port(ide, channel), of->name);\n", "", "unit",
     "unit/piix3_ide$"),
    ("ide-table-without-end", "emul/ide_master.c", "\tif (master->last)\n\t\treturn false;\n", "",
     "payloads", "reprise/ide_disk$"),
    ("ide-trims-too-much", "emul/ata.c", "*sectors > disk->sectors - *lba);", "false);", "unit",
     "unit/piix3_ide_master$"),
    ("ahci-not-durable", "emul/ahci_transfer.c", "slot->durable && slot->asked != DEVICE_IO_FLUSH",
     "false", "unit", "unit/ich9_ahci_queue$"),
    ("ahci-reset-forgets", "emul/ahci_port.c", "\t\tif (slot->state == AHCI_SLOT_SENT)\n\t\t\t"
     "device_drop(&ahci->pci.device, port, slot->name);\n", "", "unit", "unit/ich9_ahci_queue$"),
    ("ahci-table-goes-on", "emul/ahci_transfer.c", "\t\tslot->entry = entry;\n", "", "unit",
     "unit/ich9_ahci_command$"),
    ("ahci-message-lost", "emul/ahci.c", "\t\t(void)port_look(ahci, i);\n", "\t\t(void)i;\n",
     "unit", "unit/ich9_ahci$"),
    ("ahci-bits-of-others", "emul/ahci_frame.c", "of->active &= ~tags;", "of->active = 0;",
     "payloads", "reprise/ahci_disk$"),
    ("own-data-not-taken", "vm/backend.c", "\t\tmemcpy(to, own, slot->request.bytes);\n", "",
     "payloads", "reprise/ide_disk$"),
    ("ports-exchanged", "vm/backend_completion.c", ".index = backend->port, .value", ".value",
     "unit", "unit/backend$"),
    ("uhci-short-goes-on", "emul/uhci_schedule.c",
     "\tif (!is_short)\n\t\treturn VERDICT_DONE;\n", "\tif (true)\n\t\treturn VERDICT_DONE;\n",
     "unit", "unit/uhci_schedule$"),
    ("uhci-circle-without-end", "emul/uhci_schedule.c",
     "\t\tif (!walk->progress)\n\t\t\treturn true;\n", "", "unit", "unit/uhci_schedule$"),
    ("uhci-resume-untold", "emul/uhci_ports.c",
     "\tuhci->command |= UHCI_COMMAND_RESUME;\n\tuhci->status |= UHCI_STATUS_RESUME;\n", "",
     "unit", "unit/(uhci|usb_hub)$"),
    ("usb-address-too-early", "emul/usb.c", "\tusb->stage = setup.length == 0",
     "\tif (setup.request == USB_SET_ADDRESS)\n\t\tusb->address = (uint8_t)setup.value;\n"
     "\tusb->stage = setup.length == 0", "unit", "unit/usb$"),
    ("usb-hub-unplugged-is-heard", "emul/usb_hub.c",
     "\tport->status = PORT_POWER | (child->plugged ? PORT_CONNECTION : 0);\n", "",
     "unit", "unit/usb_hub$"),
    ("packet-not-logged", "vm/outside.c", "if (recorder != NULL)\n\t\tstatus =",
     "if (recorder != NULL && event.kind != EVENT_PACKET)\n\t\tstatus =", "replay",
     "replay/payload/virtio_net$"),
    ("packet-sent-twice", "vm/packet.c", "\tsent->frames++;",
     "\tsent->frames += device->vm->outside.recorder == NULL || !device->vm->outside.recorder"
     "->gives ? 1 : 2;", "replay", "replay/payload/virtio_net$"),
    ("frames-not-saved", "vm/snapshot_packet.c",
     "\tpacket_give(vm, &frame);", "\tframe.bytes = NULL;", "unit", "unit/snapshot_packet$"),
    ("flooded-back", "vm/switch.c", "\t\tif (port != from)\n\t\t\thand_out(port, frame);\n}",
     "\t\thand_out(port, frame);\n}", "unit", "unit/switch$"),
    ("buffers-not-told", "emul/virtio_net_frame.c", "(uint8_t)(out->used_count >> 8 * i)", "1",
     "payloads", "reprise/virtio_net$"),
    ("completion-not-awaited", "replay/play.c",
     "record->kind == EVENT_COMPLETION && backend", "record->kind == 0 && backend", "replay",
     "replay/payload/test_disk$"),
    ("region-not-moved", "emul/pcidev.c",
     "if (now.bytes != before[i].bytes || (now.bytes != 0 && now.base != before[i].base))",
     "if (now.bytes != before[i].bytes)", "unit", "unit/pcidev$"),
    ("pirq-not-shared", "emul/piix3.c", "level ? *high | bit : *high & ~bit;",
     "level ? *high | bit : 0;", "unit", "unit/piix3$"),
    ("line-not-shared", "vm/bus.c", "if (unlikely(sink->shared) && !level)", "if (false)",
     "unit", "unit/bus$"),
    ("dropped-and-delivered", "vm/backend_completion.c",
     "if (slot->dropped)\n\t\treturn;", "", "unit", "unit/backend$"),
    ("medium-not-saved", "vm/snapshot_backend.c",
     "status = snapshot_get(stream, medium->blocks[at / LARGE_PAGE_BYTES],\n"
     "\t\t\tblock_bytes(medium, at));",
     "stream->left = 0;", "unit", "unit/snapshot_backend$"),
    ("order-of-waiting-lost", "vm/disk_backend.c",
     "if (disk->waiting[i]->order < request->order &&", "if (false &&", "unit",
     "unit/disk_backend$"),
    ("order-of-served-lost", "vm/disk_backend.c",
     "overlap(disk, request, disk->servers[i].request))", "false)", "unit",
     "unit/disk_backend$"),
    ("sectors-shared", "vm/medium_request.c",
     "return medium->region != NULL ? medium->region->disk->sector_bytes : 1;",
     "return medium->region != NULL ? 512 : 1;", "unit", "unit/disk_backend$"),
    ("flush-forgotten", "vm/medium_request.c",
     "if (status == STATUS_OK && medium->region != NULL)\n"
     "\t\tstatus = region_flush(medium->region);", "", "unit", "unit/disk_overlay$"),
    ("overlay-forgets-early", "vm/medium_request.c",
     "if (status == STATUS_OK)\n\t\toverlay_drop(medium->overlay, offset);",
     "overlay_drop(medium->overlay, offset);", "unit", "unit/disk_overlay$"),
    ("places-taken-late", "vm/disk_backend.c", "\troom_take(disk, request);\n",
     "\tif (false)\n\t\troom_take(disk, request);\n", "unit", "unit/disk_overlay$"),
    ("overlay-not-saved", "vm/snapshot_overlay.c", "if ((saved->valid >> i & 1) == 0)",
     "if (i > 0)", "unit", "unit/snapshot_overlay$"),
    ("two-writers", "drivers/region.c", "(use == REGION_WRITE || at->use == REGION_WRITE)",
     "use == REGION_UNUSED", "disk", "disk/guest-refused$"),
    ("throttle-inexact", "vm/throttle.c", "bucket->rest = sum % bucket->rate;",
     "bucket->rest = 0;", "unit", "unit/throttle$"),
    ("order-not-kept", "emul/virtio_blk_request.c",
     "if (virtio_has(&blk->virtio, VIRTIO_F_IN_ORDER)) {", "if (false) {", "unit",
     "unit/virtio_order$"),
    ("chacha-turned-wrong", "emul/chacha20.h", "*b ^ *c, 7)", "*b ^ *c, 8)", "unit",
     "unit/virtio_rng$"),
    ("disk-size-not-kept", "vm/snapshot.c", "= vm->media[i].bytes;",
     "= vm->config.disks[i].bytes;", "unit", "unit/snapshot_backend$"),
    ("output-begins-again", "emul/virtio_console.c", "console->sent += count;",
     "(void)count; *room = 0;", "unit", "unit/virtio_console$"),
    ("balloon-page-kept", "emul/virtio_balloon.c", "zeros,\n\t\t\tsizeof(zeros))",
     "zeros, 1)", "unit", "unit/virtio_balloon$"),
    ("bottom-half-late", "vm/run.c", "done = vm->queue.fifo_count == 0;", "done = true;",
     "payloads", "reprise/virtio_console$"),
    ("mapped-write-missed", "vm/env.c",
     "guest_ram_mark_written(&slot_of(device)->vm->ram, (struct gpa){map->gpa.v + offset});",
     "(void)device, (void)map, (void)offset;", "unit", "unit/env$"),
    ("mapping-of-what-changes", "vm/env.c", "if (!guest_ram_is_plain(ram, at))",
     "if (guest_ram_kind(ram, at) != GUEST_RAM_RAM)", "unit", "unit/env$"),
    ("completions-without-end", "vm/backend.c", "if (vm->bus.completes || ", "if (", "unit",
     "unit/backend$"),
    ("chain-without-end", "emul/virtio_ring.h", "if (count == VIRTIO_CHAIN_MAX)",
     "if (count == 4 * VIRTIO_CHAIN_MAX)", "unit", "unit/virtio_hostile$"),
    ("index-jump-taken", "emul/virtio_split.c",
     "if ((uint16_t)(index - queue->next) > queue->size)", "if (false)", "unit",
     "unit/virtio_hostile$"),
    ("event-index-off", "emul/virtio_ring.h", "(uint16_t)(now - event - 1) <",
     "(uint16_t)(now - event) <", "unit", "unit/virtio_disk$"),
    ("wrap-not-turned", "emul/virtio_packed.c", "place.wrap = !place.wrap;", "", "payloads",
     "reprise/virtio_disk$"),
    ("message-while-masked", "emul/pcidev_msix.c",
     "if (unlikely(is_masked(pci, capability, msix, vector))) {", "if (false) {", "unit",
     "unit/virtio_disk$"),
    ("part-not-counted", "emul/virtio_blk_request.c", "request->done += request->part;",
     "request->done = request->bytes;", "unit", "unit/virtio_disk$"),
    ("video-memory-not-mapped", "vm/memory.c", "if (at != DEVICE_MEMORY_NOWHERE &&\n",
     "if (false &&\n", "payloads", "reprise/dev_vga$"),
    ("video-memory-not-saved", "vm/vm.h",
     "return vm->ram.block_count + vm->device_memory.block_count;",
     "return vm->ram.block_count;", "state", "state/dev_vga$"),
    ("video-memory-stays", "vm/memory.c",
     "\t\tif (memory->mapped[i] != DEVICE_MEMORY_NOWHERE)\n", "\t\tif (false)\n", "payloads",
     "reprise/dev_vga$"),
    ("latches-not-loaded", "emul/vga_window.c", "(uint64_t)at * 4, &vga->latch, ",
     "(uint64_t)at * 4, &(uint32_t){0}, ", "payloads", "reprise/dev_vga$"),
    ("palette-by-components", "emul/vga_registers.c", "if (vga->dac_component < 2) {",
     "if (vga->dac_component < 1) {", "unit", "unit/vga$"),
    ("msi-while-masked", "emul/pcidev_msi.c", "if (!masked && ", "if (", "payloads",
     "reprise/test_disk$"),
    ("msi-and-pin", "emul/test_disk.c", "!pcidev_msi_is_on(&disk->pci, TEST_DISK_MSI));",
     "true);", "payloads", "reprise/test_disk$"),
    ("ejected-and-written", "vm/slot.c", "\tbackend_drop_all(device);\n", "", "unit",
     "unit/slot$"),
    ("ejected-and-there", "vm/slot.c",
     "\tbus_unmap(&device->vm->bus, device->device, PCIDEV_REGION_CONFIG);\n", "", "payloads",
     "reprise/hot_unplug$"),
    ("slots-not-loaded", "vm/snapshot.c", "\tslots_loaded(vm);\n", "", "state",
     "state/hot_unplug$"),
    ("names-begin-again", "emul/virtio_blk.c", "if (kind != DEVICE_RESET_SLOT)",
     "if (kind <= DEVICE_RESET_SLOT)", "unit", "unit/virtio_plane$"),
    ("picture-beyond-memory", "emul/vga_dispi.c",
     "if (!fits(vga))\n\t\tdispi[DISPI_Y_OFFSET] = 0;", "(void)fits;", "check", "check/fuzz-vga$"),
    ("video-memory-shadows", "vm/device_memory.c", "region != shown && overlaps(at, region)",
     "region != shown && overlaps(at, region) && at == 1", "unit", "unit/device_memory$"),
    ("screen-colours-turned", "vm/host_screen_fit.c", "screen->red_first ?", "!screen->red_first ?",
     "unit", "unit/host_screen$"),
    ("checksum-left-open", "emul/virtio_net_frame.c", "} else if (frame->checksum_start != 0) {",
     "} else if (false) {", "unit", "unit/virtio_net$"),
    ("buffers-lost", "emul/virtio_net_frame.c",
     "virtio_rewind(virtio, VIRTIO_NET_RECEIVE, &mark);", "(void)mark;", "unit",
     "unit/virtio_net$"),
    ("vlan-unfiltered", "emul/virtio_net_control.c", "if (!vlan_is_accepted(net, frame))",
     "if (!vlan_is_accepted(net, frame) && frame == NULL)", "unit", "unit/virtio_net$"),
    ("frame-length-unchecked", "emul/virtio_net_frame.c", " || bytes > DEVICE_FRAME_MAX", "",
     "check", "check/fuzz-net$"),
    ("address-kept", "vm/switch.c", "if (entry->port == port)", "if (entry->port == NULL)", "unit",
     "unit/switch$"),
    ("address-ageless", "vm/switch.c", "now_ns - entry->seen_ns > SWITCH_AGE_NS",
     "now_ns < entry->seen_ns", "unit", "unit/switch$"),
    ("frames-left-behind", "vm/nic.c", "if (frame_ring_count(&nic->from_guest) != 0 &&",
     "if (false &&", "unit", "unit/nic_threads$"),
    ("input-room-forgotten", "emul/virtio_console.c", "(size_t)(FIFO_BYTES - console->count)",
     "(size_t)FIFO_BYTES", "unit", "unit/virtio_console$"),
    ("input-unbounded", "emul/virtio_console.c", " && console->count < FIFO_BYTES; i++)", "; i++)",
     "check", "check/fuzz-virtio-devices$"),
    ("plane-notes-lost", "emul/virtio_plane.c",
     "\tnotes_carry_out(virtio);\n\tvirtio->away = true;", "\tvirtio->away = true;", "unit",
     "unit/virtio_plane$"),
    ("plane-never-listens", "emul/virtio_plane.c", "virtio->last = last;", "(void)last;", "unit",
     "unit/virtio_plane$"),
    ("plane-comes-home-blind", "emul/virtio_plane.c",
     "virtio->hushed = (uint16_t)(BIT(virtio_class_of(virtio)->queue_count) - 1);", "", "unit",
     "unit/virtio_plane$"),
    ("plane-taken-while-busy", "vm/dataplane.c",
     "\twhile (__atomic_load_n(&plane->busy, __ATOMIC_SEQ_CST))\n\t\tcpu_relax();\n", "", "unit",
     "unit/dataplane_threads$"),
    ("item-end-unchecked", "emul/fw_cfg.c", " || cfg->offset >= item->bytes", "", "check",
     "check/fuzz-board$"),
    ("transfer-without-zeros", "emul/fw_cfg.c", "part; done < bytes", "part; done < there", "unit",
     "unit/fw_cfg$"),
    ("transfer-error-untold", "emul/fw_cfg.c", "good ? 0 :", "good || cfg != NULL ? 0 :", "unit",
     "unit/fw_cfg$"),
    ("loader-sums-from-elsewhere", "vm/acpi_loader.c", "= checksum->first;", "= checksum->offset;",
     "unit", "unit/acpi_loader$"),
    ("snapshot-behind-records", "replay/log_writer.c",
     "if (writer->records > 0)\n\t\treturn STATUS_FAIL(STATUS_REFUSED);", "", "check",
     "check/fuzz-log-write$"),
    ("shadow-halves-turned", "emul/pci_host.c", ">> half % 2 * 4", ">> (half + 1) % 2 * 4", "unit",
     "unit/pci_host$"),
    ("event-not-cleared", "emul/acpi_pm_block.c",
     "pm->status &= (uint16_t)~byte_replace(0, offset, byte);", "(void)byte;", "unit",
     "unit/acpi_pm$"),
)


def text_problem(tree, file, old):
    """None where there is one place, and no more, that the fault may mean."""
    try:
        with open(os.path.join(tree, file), encoding="utf-8") as source:
            count = source.read().count(old)
    except OSError as error:
        return str(error)
    return None if count == 1 else f"the text is {count} times in {file}: {old!r}"


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def planted(tree, file, old, new):
    path = os.path.join(tree, file)
    with open(path, encoding="utf-8") as source:
        text = source.read()
    write(path, text.replace(old, new, 1))
    try:
        yield
    finally:
        write(path, text)


def check_texts():
    """Faults that no longer fit the tree, a line each."""
    problems = [f"{name}: {problem}" for name, file, old, *_ in FAULTS
                if (problem := text_problem(TOP, file, old)) is not None]
    names = [fault[0] for fault in FAULTS]
    problems += [f"{name}: named twice" for name in sorted(set(names)) if names.count(name) > 1]
    return problems


def left_out(folder, names):
    """Not copied: what runs of the tests have left."""
    return [name for name in names if name == ".git" or
            (os.path.basename(folder) == "build" and name in ("tests", "nightly"))]


def run(command, tree):
    return subprocess.run(command, cwd=tree, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)


def targets(tree, suite, names):
    """What make builds for that suite."""
    if suite == "check":
        return ["all", "build/checks", "fuzzers"]
    if suite != "unit":
        return ["all", "build/reprise-log"]
    programs = sorted(os.listdir(os.path.join(tree, "build/unit")))
    return [f"build/unit/{program}" for program in programs if program.endswith("_test") and
            re.search(names, "unit/" + program.removesuffix("_test"))]


def build(tree, suite, names):
    return run(["make", "-j2", *targets(tree, suite, names)], tree)


def verdict(tree, file, old, new, suite, names):
    """None where the suite failed, as it must."""
    problem = text_problem(tree, file, old)
    if problem is not None:
        return problem
    command = ["tests/run.py", suite, "--filter", names, "--timeout-scale", "0.5"]
    if suite in ("check", "unit"):  # they take seconds; others have runs of their own
        sound = build(tree, suite, names)
        if sound.returncode == 0:
            sound = run(command, tree)
        if sound.returncode != 0:
            return "fails without it:\n" + sound.stdout.decode()[-1500:]
    with planted(tree, file, old, new):
        built = build(tree, suite, names)
        if built.returncode != 0 and suite != "check":
            return "does not build:\n" + built.stdout.decode()[-1500:]
        result = run(command, tree)
    if result.returncode == 0:
        return f"{suite} {names} passed"
    if b"nothing matched" in result.stdout:
        return f"no case of {suite} matches {names}"
    return None


def main():
    parser = argparse.ArgumentParser(description="Plants faults; the suites must fail.")
    parser.add_argument("--filter", default="", metavar="REGEX", help="of their names")
    parser.add_argument("--suite", default="", metavar="REGEX", help="those that it notices")
    parser.add_argument("--texts", action="store_true")
    options = parser.parse_args()
    if options.texts:
        problems = check_texts()
        print("\n".join(problems) or f"{len(FAULTS)} faults fit the tree")
        return 1 if problems else 0
    faults = [fault for fault in FAULTS
              if re.search(options.filter, fault[0]) and re.search(options.suite, fault[4])]
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        tree = os.path.join(work, "tree")
        shutil.copytree(TOP, tree, symlinks=True, ignore=left_out)
        for name, *fault in faults:
            problem = verdict(tree, *fault)
            failed += problem is not None
            print(f"ok planted/{name}: noticed" if problem is None
                  else f"FAIL planted/{name}: {problem}", flush=True)
    print(f"{len(faults) - failed} passed, {failed} failed")
    return 0 if failed == 0 and faults else 1


if __name__ == "__main__":
    sys.exit(main())
