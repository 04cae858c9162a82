// Compaction of the event log. Workers come and go for years, and every restart folds all that was
// said of them: an event that later ones of the same worker have made meaningless is deleted. State
// is the same before and after. Events of jobs stay: they are the jobs' history.
#pragma once

#include <cstdint>

#include "scheduler/store/sqlite.h"

namespace llmctl {

// In one transaction; nothing is deleted that is newer than `through_seq`. Remembers how far it
// went, so that who asks for older events learns it (compacted_through) instead of missing some.
Status compact_worker_events(Database& database, int64_t through_seq);

// The newest sequence number that was ever deleted; 0: none.
Result<int64_t> compacted_through(Database& database);

}  // namespace llmctl
