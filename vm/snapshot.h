// SPDX-License-Identifier: BSD-2-Clause
// Saving and loading a whole machine: vm/snapshot_stream.h has the form, these the contents.
//
//   machine  0       its configuration: must be that of the machine it is loaded into
//   state    0       time, requests, how it stands
//   vcpu     i       struct vcpu_state
//   run      i       what the run loop keeps of it
//   position         of a machine that keeps it: vm/landing.h
//   fpu      i       FPU and vectors, as XSAVE's standard format has them
//   lapic    i       its local APIC
//   MODEL    i       device i, by the state table of its model
//   wires    i       the levels of its outputs; its bottom halves
//   requests i       how many of them its back end has answered that were not delivered;
//   request  slot    each of these, and request_data what it has read
//   event    n       what waits in the event queue, first in first
//   medium   disk    what a disk in RAM holds
//   overlay  disk    what has been written to one whose medium stays as it is
//   ram      block   2 MiB of guest memory: page number (8 bytes) and page, for each page that is
//                    not all zero; blocks without such a page are left out
//
// in this order. A snapshot is hostile input: it goes into a fresh machine (vm/twin.h), and
// whatever is refused names section, field and what is allowed.
//
//   snapshot_load
//   verify ---> twin_create ---> tables, checks ---> devices' loaded() ---> memory ---> twin_swap
//      |             |                 |                   |                  |     and verify()
//      +-------------+-----------------+-------------------+------------------+--> twin_destroy:
//                                                     the machine goes on as if nothing happened
#ifndef VM_SNAPSHOT_H
#define VM_SNAPSHOT_H

#include "vm/snapshot_stream.h"
#include "vm/vm.h"

// What one save or load cost, in TSC ticks.
struct snapshot_cost {
	uint64_t ticks;        // all but memory
	uint64_t memory_ticks; // guest memory
};

// These two hold the machine meanwhile; it then goes on as before. By the boot CPU, in a fiber.
// `stream` is empty, and stays so on failure: STATUS_NO_MEMORY, STATUS_REFUSED (never started),
// STATUS_UNSUPPORTED (vm_disk_not_kept).
// *time is the guest's when it was saved.
must_check enum status snapshot_save(struct vm *vm, struct snapshot_stream *stream,
	struct snapshot_cost *cost, struct guest_time *time);
// The machine runs afterwards if it ran before. On failure it is as before and stream->error says
// why.
must_check enum status snapshot_load(struct vm *vm, struct snapshot_stream *stream,
	struct snapshot_cost *cost);

// The parts: of a machine that is held, into and from a stream. `memory`: its contents too.
must_check enum status snapshot_write(struct vm *vm, bool memory, struct snapshot_stream *stream,
	struct snapshot_cost *cost);
// Into a fresh twin; the stream has been verified.
must_check enum status snapshot_read(struct vm *twin, bool memory, struct snapshot_stream *stream,
	struct snapshot_cost *cost);
// The table of a section of this machine's snapshots; NULL: it has none.
const struct state_table *snapshot_table(const struct vm *vm,
	const struct snapshot_section *section);

// snapshot_vcpu.c
void snapshot_vcpu_write(struct vm_vcpu *vcpu, struct snapshot_stream *stream);
must_check enum status snapshot_vcpu_read(struct vm_vcpu *vcpu, struct snapshot_stream *stream);
extern const struct state_table snapshot_run_table;

// snapshot_position.c
void snapshot_position_write(const struct vm *vm, struct snapshot_stream *stream);
must_check enum status snapshot_position_read(struct vm *vm, struct snapshot_stream *stream);
extern const struct state_table snapshot_position_table;

// The section with what a request has read.
#define SNAPSHOT_REQUEST_DATA "request_data"
// snapshot_backend.c, with backend_write and backend_read
void snapshot_media_write(const struct vm *vm, struct snapshot_stream *stream);
must_check enum status snapshot_media_resize(struct vm *vm, uint64_t mine[VM_DISKS_MAX],
	const uint64_t theirs[VM_DISKS_MAX], struct snapshot_stream *stream);
must_check enum status snapshot_media_read(struct vm *vm, struct snapshot_stream *stream);
const struct state_table *snapshot_request_table(const char *name); // NULL: not one of its own

// snapshot_overlay.c: of a disk that has one.
void snapshot_overlay_write(const struct vm *vm, uint32_t disk, struct snapshot_stream *stream);
must_check enum status snapshot_overlay_read(struct vm *vm, uint32_t disk,
	struct snapshot_stream *stream);

// snapshot_event.c
void snapshot_events_write(const struct vm *vm, struct snapshot_stream *stream);
must_check enum status snapshot_events_read(struct vm *vm, uint32_t count,
	struct snapshot_stream *stream);
extern const struct state_table snapshot_event_table;

// The section with a frame.
#define SNAPSHOT_FRAME "frame"
extern const struct state_table snapshot_sent_table; // snapshot_packet.c

// snapshot_ram.c
void snapshot_ram_write(const struct vm *vm, struct snapshot_stream *stream);
must_check enum status snapshot_ram_read(struct vm *vm, struct snapshot_stream *stream);

#endif
