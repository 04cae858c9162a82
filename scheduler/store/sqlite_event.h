// One row of the event log: what is stored, and the checksum that tells a damaged payload from a
// good one. SQLite's own check sees torn pages, not a flipped bit inside a value.
#pragma once

#include <cstdint>

#include "llmctl/v1/types.pb.h"
#include "scheduler/store/sqlite.h"

namespace llmctl {

// XXH3-64 of the payload, seeded with seq: a good payload under another number is seen, too.
int64_t event_checksum(int64_t seq, std::string_view payload);

// Of a statement whose first columns are seq, payload and checksum, standing on a row. data_loss:
// the message names the sequence number, the hint what to do.
Result<v1::Event> read_event(const Statement& row);
Error unreadable_event(int64_t seq, const std::string& why);

}  // namespace llmctl
