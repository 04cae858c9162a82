#include "scheduler/store/sqlite_compact.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "scheduler/store/sqlite_event.h"

namespace llmctl {
namespace {

using Kind = v1::Event::BodyCase;

// Newest first. Of each kind the newest event of a worker counts; a registration ends a loss. Of
// forgotten workers only the one with the largest number counts, so that none gets it again.
Result<std::vector<int64_t>> superseded(Database& database) {
  Statement events = TRY(database.prepare(
      "SELECT seq, payload, checksum FROM events WHERE job_id = 0 ORDER BY seq DESC"));
  std::set<std::pair<int64_t, Kind>> seen;
  std::vector<int64_t> seqs;
  std::map<int64_t, int64_t> forgotten;  // worker, seq
  int64_t newest_seq = 0;                // stays, so that numbering goes on behind it
  while (TRY(events.step())) {
    const v1::Event event = TRY(read_event(events));
    const int64_t worker = event.worker_id();
    newest_seq = std::max(newest_seq, event.seq());
    const bool found_again =
        event.body_case() == Kind::kWorkerLost && seen.contains({worker, Kind::kWorkerRegistered});
    const bool gone = seen.contains({worker, Kind::kWorkerForgotten});
    const bool newest = seen.emplace(worker, event.body_case()).second;
    if (!newest || found_again || gone) seqs.push_back(event.seq());
    if (event.body_case() == Kind::kWorkerForgotten) forgotten.emplace(worker, event.seq());
  }
  for (const auto& [worker, seq] : forgotten) {
    if (worker != forgotten.rbegin()->first && seq != newest_seq) seqs.push_back(seq);
  }
  std::sort(seqs.rbegin(), seqs.rend());
  return seqs;
}

Status forget(Database& database, const std::vector<int64_t>& seqs) {
  TRY(database.execute("BEGIN IMMEDIATE"));
  Statement forget_one = TRY(database.prepare("DELETE FROM events WHERE seq = ?"));
  for (const int64_t seq : seqs) TRY(forget_one.bind(1, seq).run());
  Statement remember =
      TRY(database.prepare("UPDATE compacted SET through_seq = max(through_seq, ?)"));
  TRY(remember.bind(1, seqs.front()).run());
  return database.execute("COMMIT");
}

}  // namespace

Status compact_worker_events(Database& database, int64_t through_seq) {
  std::vector<int64_t> seqs = TRY(superseded(database));
  std::erase_if(seqs, [through_seq](int64_t seq) { return seq > through_seq; });
  if (seqs.empty()) return ok_status();
  Status forgotten = forget(database, seqs);
  if (!forgotten.ok() && sqlite3_get_autocommit(database.handle()) == 0) {
    (void)database.execute("ROLLBACK");
  }
  return forgotten;
}

Result<int64_t> compacted_through(Database& database) {
  return database.integer("SELECT through_seq FROM compacted");
}

}  // namespace llmctl
