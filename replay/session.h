// SPDX-License-Identifier: BSD-2-Clause
// A recordable machine's session: which mode it is in, its log, and the fiber that does what may
// wait, as beacons and the log's store. It outlives its machine, which may be created again.
//
//   NONE --record_start--> RECORDING --record_stop, the machine's end, a full log--> NONE
//   NONE --play_start--> REPLAYING --the log's end, divergence--> ENDED --play_stop--> NONE
//
// Owner: the machine's home, in the session's fiber or in the run loop; while there is no machine,
// the boot CPU.
#ifndef REPLAY_SESSION_H
#define REPLAY_SESSION_H

#include "kernel/boot_info.h"
#include "kernel/fiber.h"
#include "replay/beacon.h"
#include "replay/log_reader.h"
#include "replay/log_writer.h"
#include "replay/sink.h"
#include "vm/landing.h"
#include "vm/machine.h"

enum replay_mode { REPLAY_NONE, REPLAY_RECORDING, REPLAY_REPLAYING, REPLAY_ENDED };

enum { SESSION_TEXT_MAX = 320, SESSION_RECENT = 8 };

// An event of the log with its place, as far as messages tell of it.
struct session_event {
	struct position position;
	uint8_t kind;
};

struct session {
	struct outside_recorder recorder;
	const struct machine *machine;
	struct vm *vm; // NULL: not created
	struct session *next;
	enum replay_mode mode;
	struct fiber *fiber;
	struct sink sink;
	bool replay_next;   // what is created next is to replay
	bool replay_otherwise; // and its runs are to end as on other hardware
	uint64_t break_next; // and to pause there
	bool destroyed;     // the machine goes: the fiber ends
	bool held;          // by the run loop, for the fiber to release
	bool machine_ended; // and waits for the fiber to say so: vm->config.ended
	bool contents_wanted; // recording: of the flash, in the log
	bool start_wanted;  // recording, by a person; `error` says what came of it
	char error[VM_ERROR_MAX];
	// Why the run loop holds it.
	bool beacon_wanted; // where `place` is
	bool break_wanted;  // replay_break's place
	bool stop_wanted;   // the log is full, at its end, or not what happens
	struct position place;
	enum log_stop_reason stop_reason;
	struct log_writer *writer;
	struct log_reader *reader;
	struct log_header *header; // of the machine here
	struct cpuid_frozen cpu;   // replaying: that of the log
	uint64_t beacon_ticks; // from one to the next
	struct beacon *beacon, *before, *recorded; // of now; the last of the log; the next of it
	struct memory_hash_cache *cache; // recording, where there was memory for it
	uint8_t *payload;
	bool before_valid;
	uint32_t before_chunk; // of the log, that `before` is in
	// Replaying: the next record, whose payload is the reader's.
	struct log_record record;
	bool record_there, record_awaited;
	bool load_wanted;    // the log begins with a snapshot
	bool data_wanted;    // of a completion's back end, which has yet to have it
	bool part_wanted;    // the log goes on in the ring's other half
	uint64_t break_ticks; // UINT64_MAX: none
	uint64_t events, beacons, full_beacons;
	bool diverged; // the replay; at `place`
	uint64_t accessed_beacons; // that were the same but for accessed bits
	uint64_t log_bytes; // recording: of the parts so far that are closed
	uint64_t beacon_tsc[2]; // ticks that the last one took to make, and the last full one
	struct position last_match; // of the last beacon that was the same
	struct session_event recent[SESSION_RECENT]; // a ring, by `events`
	char text[SESSION_TEXT_MAX]; // how it ended
};

// NULL: the machine is not recordable.
struct session *session_of(const struct vm *vm);
// Registers what a machine's creation needs. *info is kept.
void session_init(const struct boot_info *info);

// Between the files.

void session_set_mode(struct session *session, enum replay_mode mode);
// The machine shall rest, and the fiber go on. In the run loop, at a boundary, or at home.
void session_hold(struct session *session);
// session->beacon, of the machine as it is. It is held.
must_check enum status session_beacon(struct session *session, bool full);
void session_remember(struct session *session, const struct log_record *record);
// Where the machine is. It rests, or in the run loop.
struct position session_place(const struct session *session);
struct log_wake session_wake(struct session *session);

// record.c
// Of a machine that is held: from here on. Waits for the log's store, where it has to.
must_check enum status record_start(struct session *session, char error[VM_ERROR_MAX]);
// On a person's demand: at the next boundary that can be found again, or at once where the machine
// is paused.
void record_stop(struct session *session);
// The machine is held, or it has ended. In the fiber.
void record_finish(struct session *session, enum log_stop_reason reason, const char *text);
must_check enum status record_event(struct session *session, struct vm *vm,
	const struct outside_place *place, const struct event *event);
must_check enum status record_rate(struct session *session, const struct outside_place *place,
	uint64_t rate);
void record_attend(struct session *session); // in the fiber, what it was held for
void record_pump(struct session *session);

// play.c
// Opens the log, and makes the configuration the recording's where it leaves a choice.
must_check enum status play_prepare(struct session *session, struct vm_config *config,
	char error[VM_ERROR_MAX]);
must_check enum status play_start(struct session *session, char error[VM_ERROR_MAX]);
void play_attend(struct session *session);
void play_pump(struct session *session);
// Leaves the replay; the machine is live from there on.
void play_stop(struct session *session);
// The machine is paused at the first boundary at or after `ticks`; UINT64_MAX: nowhere. At home.
void play_break(struct session *session, uint64_t ticks);

void monitor_replay_register(void);

// bisect.c: for the monitor, of a replay that has diverged.
void bisect_run(struct session *session);

// contents.c: what a machine's flash holds at power-on, as far as it is not what a new one does.
bool contents_are_wanted(const struct session *session);
// False: the log does not take them. In the fiber; the machine is held.
must_check bool contents_record(struct session *session);
// Replaying: session->record becomes the next one that is none of these. *problem: why one of them
// cannot be, which it is then. The rest as log_reader_next.
must_check enum status contents_take(struct session *session, const char **problem);

// disks.c: what a log says of media on the host's disks, before header_describe: in a fiber, or
// before the event loop. STATUS_REFUSED: one is written. STATUS_IO, STATUS_NO_MEMORY.
must_check enum status disks_identify(const struct vm_config *config, char error[VM_ERROR_MAX]);
// What is looked at of so many bytes: how many pieces, and where each begins.
uint32_t disks_pieces(uint64_t bytes);
uint64_t disks_piece(uint64_t bytes, uint32_t index);

// header.c: what a log says of a machine.
void header_describe(const struct vm *vm, struct log_header *header);
// What its kernel was given; where the log does not say that, it is not there.
void header_seed(const struct log_header *header, struct random_seed *seed);
// What its flash held, by its hash.
uint64_t header_flash(const struct log_header *header);
// The CPU that it says the machine had. False: it is none.
must_check bool header_cpu(const struct log_header *header, struct cpuid_frozen *cpu,
	char reason[CPUID_REASON_MAX]);

#endif
