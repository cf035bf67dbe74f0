// SPDX-License-Identifier: BSD-2-Clause
// What an input of the log's fuzzer is, by its first byte. The second one chooses what is done.
#ifndef TESTS_FUZZ_LOG_MODES_H
#define TESTS_FUZZ_LOG_MODES_H

enum log_mode {
	LOG_MODE_RAW,      // a log as it is
	LOG_MODE_REPAIRED, // a log whose CRCs are made right, and its chunks' ids and sequence
	LOG_MODE_HEADER,   // the payload of a first chunk
	LOG_MODE_RECORDS,  // how many (a byte), and the payload of a chunk of records
	LOG_MODE_INDEX,    // the payload of an index
	LOG_MODES
};

#endif
