// What the passing of time does: leases run out, ranks that take too long to leave are killed,
// backoffs end, and queued jobs are placed.
#include <algorithm>

#include "core/base/limits.h"
#include "scheduler/heart/turn.h"

namespace llmctl {
namespace {

// The worker stopped its ranks itself when its own, shorter lease passed.
void lose_silent_workers(Turn& turn, Millis awake_since) {
  const Millis patience = turn.config.lease_ms + turn.config.grace_ms;
  for (const auto& [id, worker] : turn.state.workers) {
    const Millis seen = std::max(worker.seen_boot_ms, awake_since);
    if (worker.lost || turn.boot_ms - seen <= patience) continue;
    const std::string detail = "not heard of for " + format_duration(turn.boot_ms - seen);
    turn.lost.insert(id);
    turn.emit(id, WorkerLost{detail});
    const auto load = turn.state.index.loads.find(id);
    if (load == turn.state.index.loads.end()) continue;
    for (const auto& [job, rank] : load->second.ranks) {
      on_rank_end(turn, job, {rank, Outcome::lost, detail, {}});
    }
  }
}

void kill_those_that_do_not_leave(Turn& turn, Millis awake_since) {
  for (const JobId id : turn.state.index.leaving) {
    const Job* job = turn.job(id);
    if (job == nullptr || !job->attempt || !job->attempt->stop_checkpoint) continue;
    const Attempt& attempt = *job->attempt;
    const Millis since = std::max(attempt.stop_since_boot_ms, awake_since);
    if (turn.boot_ms - since > turn.config.stop_grace_ms) {
      turn.stop(id, false, attempt.stop_reason);
    }
  }
}

void forget_those_long_lost(Turn& turn) {
  for (const auto& [id, worker] : turn.state.workers) {
    if (!worker.lost || turn.lost.contains(id)) continue;
    if (turn.unix_ms - worker.lost_unix_ms <= limits::kWorkerMemory) continue;
    turn.emit(id, WorkerForgotten{worker.name});
  }
}

void try_held_workers_again(Turn& turn) {
  for (const WorkerId id : turn.state.index.held) {
    const Worker& worker = turn.state.workers.at(id);
    if (turn.boot_ms - worker.held_boot_ms > limits::kWorkerHold) turn.emit(id, WorkerHeld{});
  }
}

void end_backoffs(Turn& turn) {
  std::set<JobId> recovering = turn.state.index.recovering;
  for (const auto& [id, job] : turn.changed()) recovering.insert(id);
  for (const JobId id : recovering) {
    const Job* job = turn.job(id);
    if (job == nullptr || job->state != JobState::recovering || job->attempt) continue;
    if (turn.boot_ms >= job->not_before_boot_ms) {
      turn.move(id, JobState::queued, Reason::backoff_over);
    }
  }
}

// They can only come from a store that another version wrote.
void fail_those_not_understood(Turn& turn) {
  for (const JobId id : turn.state.index.not_understood) {
    const std::string problem = turn.job(id)->spec.problem();
    turn.stop(id, false, Reason::not_understood);
    turn.move(id, JobState::failed, Reason::not_understood, problem);
  }
}

}  // namespace

void on_tick(Turn& turn, const TickInput& input) {
  fail_those_not_understood(turn);
  const Millis awake_since = std::max(turn.state.started_boot_ms, input.awake_since_boot_ms);
  lose_silent_workers(turn, awake_since);
  kill_those_that_do_not_leave(turn, awake_since);
  forget_those_long_lost(turn);
  try_held_workers_again(turn);
  end_backoffs(turn);
  schedule(turn);
}

}  // namespace llmctl
