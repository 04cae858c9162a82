// What the end of a rank means for its job. The first bad end stops the whole gang; the job waits
// in RECOVERING until every rank is gone. Ends that come after it are its consequences, except
// those that tell the cause (out of memory, bad input …), which may arrive from a slower worker.
#include <algorithm>

#include "core/base/limits.h"
#include "core/plan/plan_search.h"
#include "scheduler/heart/fit.h"
#include "scheduler/heart/placement.h"
#include "scheduler/heart/turn.h"

namespace llmctl {
namespace {

constexpr Bytes kBytesMost = Bytes{1} << 50;  // of a device: no arithmetic on it overflows

// A rank that has just ended, with what was known before its RankGone was emitted.
struct Ended {
  JobId job;
  RankEnd end;
  Attempt attempt;  // before
  bool last;        // no rank is left
  bool all_done;    // and every one was done
  bool first_oom;   // no rank of the attempt ran out before
};

Reason reason_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::oom:
      return Reason::oom;
    case Outcome::hang:
      return Reason::hang;
    case Outcome::lost:
      return Reason::worker_lost;
    case Outcome::nonfinite:
      return Reason::nonfinite;
    case Outcome::bad_input:
      return Reason::bad_input;
    case Outcome::checkpoint_lost:
      return Reason::checkpoint_lost;
    case Outcome::storage_full:
      return Reason::storage_full;
    default:
      return Reason::rank_crashed;
  }
}

// Trying again cannot help.
bool is_hopeless(Outcome outcome) {
  return outcome == Outcome::nonfinite || outcome == Outcome::bad_input ||
         outcome == Outcome::checkpoint_lost;
}

std::string evidence(const Turn& turn, const Ended& ended) {
  const Grant& grant = ended.attempt.grants[static_cast<size_t>(ended.end.rank)];
  const auto worker = turn.state.workers.find(grant.worker);
  std::string text = "rank " + std::to_string(ended.end.rank);
  if (worker != turn.state.workers.end()) text += " on " + worker->second.name;
  text += std::string(": ") + to_string(ended.end.outcome);
  if (!ended.end.detail.empty()) text += ": " + ended.end.detail;
  return text;
}

void fail(Turn& turn, JobId id, Reason reason, std::string detail) {
  turn.stop(id, false, reason);
  turn.move(id, JobState::failed, reason, std::move(detail));
}

// Whose disk is full takes nothing new for a while; the job may go on elsewhere.
void hold_worker(Turn& turn, const Ended& ended) {
  if (ended.end.outcome != Outcome::storage_full) return;
  const WorkerId worker = ended.attempt.grants[static_cast<size_t>(ended.end.rank)].worker;
  turn.emit(worker, WorkerHeld{ended.end.detail.empty() ? "its disk is full" : ended.end.detail});
}

void recover(Turn& turn, const Ended& ended) {
  const Job& job = *turn.job(ended.job);
  const std::string why = evidence(turn, ended);
  const bool charged = ended.end.outcome != Outcome::storage_full;
  if (charged && job.restarts >= job.spec->retry.max_restarts) {
    return fail(turn, ended.job, Reason::retries_exhausted,
                "restarted " + std::to_string(job.restarts) + " times, then " + why);
  }
  const int64_t doublings = std::min<int64_t>(job.restarts, 30);
  const Millis backoff = std::min(turn.config.backoff_first_ms << doublings, limits::kBackoffMax);
  const Reason reason = reason_of(ended.end.outcome);
  turn.stop(ended.job, false, reason);
  turn.move(ended.job, JobState::recovering, reason, why, backoff);
}

void refit(Turn& turn, const Ended& ended) {
  const Job& job = *turn.job(ended.job);
  const Grant& grant = ended.attempt.grants[static_cast<size_t>(ended.end.rank)];
  learn_bound(turn, job, grant);
  const std::string why = evidence(turn, ended);
  if (!job.spec->retry.on_oom) return fail(turn, ended.job, Reason::oom, why);
  const std::optional<Plan> plan = plan_after_oom(turn.state, job, grant, turn.config);
  if (!plan) {
    return fail(turn, ended.job, Reason::oom, "no smaller plan is left after " + why);
  }
  turn.emit(ended.job, JobPlanned{*plan});
  if (job.state == JobState::recovering) return;
  turn.stop(ended.job, false, Reason::oom);
  turn.move(ended.job, JobState::recovering, Reason::oom, why);
}

// Whether some device, if nobody else used it, has clearly more than a probe had.
bool another_has_more(const Turn& turn, const Job& job, Bytes had) {
  for (const DeviceType& type : matching_types(turn.state, job)) {
    if (type.most > had + had / 8) return true;
  }
  return false;
}

void measured(Turn& turn, const Ended& ended) {
  const Grant& grant = ended.attempt.grants.front();
  const Job& job = *turn.job(ended.job);
  const std::string key = profile_key(*job.spec, granted_type(turn.state, grant));
  turn.emit(ended.job, ended.attempt.epoch, ProbeMeasured{key, ended.end.probes, grant.bytes});
  if (job.state != JobState::probing) return;  // stopped meanwhile; the numbers are kept
  const std::optional<Plan> plan =
      best_plan(*job.spec, ended.end.probes, room_of(grant), turn.config);
  if (!plan) {
    const std::string why = tightest(ended.end.probes, grant.bytes, turn.config);
    if (!another_has_more(turn, job, grant.bytes)) {
      return fail(turn, ended.job, Reason::does_not_fit, why);
    }
    return turn.move(ended.job, JobState::queued, Reason::too_small, why);
  }
  turn.emit(ended.job, JobPlanned{*plan});
  turn.move(ended.job, JobState::queued, Reason::fitted);
}

// What cannot be true of a probe under this cap; empty: nothing. One worker's nonsense would be in
// the profile that all jobs of this shape are placed by.
std::string nonsense(const std::vector<ProbeResult>& probes, Bytes cap) {
  for (const ProbeResult& result : probes) {
    // One that ran out with its first tensor has no peak.
    const bool peak =
        result.oom ? result.peak_bytes >= 0 : result.peak_bytes > 0 && result.peak_bytes <= cap;
    if (!peak || result.peak_bytes > kBytesMost) {
      return "a probe under a cap of " + format_bytes(cap) + " reports a peak of " +
             std::to_string(result.peak_bytes) + " bytes";
    }
    if (!(result.seconds_per_micro_batch >= 0) || !(result.device_flops >= 0)) {
      return "a probe reports a time or a speed below zero";
    }
  }
  return "";
}

void after_probe(Turn& turn, Ended ended) {
  const std::string wrong = nonsense(ended.end.probes, ended.attempt.grants.front().bytes);
  if (!wrong.empty()) {
    ended.end = {ended.end.rank, Outcome::crashed, wrong, {}};
  }
  const Outcome outcome = ended.end.outcome;
  if (!ended.end.probes.empty() && (outcome == Outcome::done || outcome == Outcome::oom)) {
    return measured(turn, ended);
  }
  if (turn.job(ended.job)->state != JobState::probing) return;
  if (is_hopeless(outcome)) {
    return fail(turn, ended.job, reason_of(outcome), evidence(turn, ended));
  }
  recover(turn, ended);
}

// The gang was told to leave for a pause, a drain or a failure.
void after_stop(Turn& turn, const Ended& ended) {
  const Job& job = *turn.job(ended.job);
  if (job.state == JobState::recovering && is_hopeless(ended.end.outcome)) {
    return fail(turn, ended.job, reason_of(ended.end.outcome), evidence(turn, ended));
  }
  if (job.state == JobState::recovering && ended.end.outcome == Outcome::oom && ended.first_oom) {
    return refit(turn, ended);
  }
  if (!ended.last) return;
  const bool may_finish = job.state == JobState::paused || job.state == JobState::preempting;
  if (ended.all_done && may_finish) {
    turn.move(ended.job, JobState::succeeded, Reason::finished);
  } else if (job.state == JobState::preempting) {
    turn.move(ended.job, JobState::queued, Reason::drained);
  }
}

void after_train(Turn& turn, const Ended& ended) {
  if (ended.attempt.stopping) return after_stop(turn, ended);
  const Outcome outcome = ended.end.outcome;
  if (outcome == Outcome::done) {
    if (ended.all_done) turn.move(ended.job, JobState::succeeded, Reason::finished);
  } else if (outcome == Outcome::oom) {
    refit(turn, ended);
  } else if (is_hopeless(outcome)) {
    fail(turn, ended.job, reason_of(outcome), evidence(turn, ended));
  } else {
    recover(turn, ended);
  }
}

Ended before_the_fact(const Job& job, const RankEnd& end) {
  Ended ended{job.id, end, *job.attempt, true, end.outcome == Outcome::done, true};
  for (size_t i = 0; i < ended.attempt.ranks.size(); ++i) {
    const RankState& rank = ended.attempt.ranks[i];
    if (static_cast<int32_t>(i) == end.rank) continue;
    ended.last = ended.last && rank.gone;
    ended.all_done = ended.all_done && rank.gone && rank.outcome == Outcome::done;
    if (rank.gone && rank.outcome == Outcome::oom) ended.first_oom = false;
  }
  return ended;
}

}  // namespace

// Requires: a live attempt has this rank, and it is not gone.
void on_rank_end(Turn& turn, JobId id, const RankEnd& end) {
  const Job& job = *turn.job(id);
  Ended ended = before_the_fact(job, end);
  if (ended.end.detail.size() > limits::kDetailBytes) {
    ended.end.detail.resize(limits::kDetailBytes);
  }
  turn.decision.sync.insert(ended.attempt.grants[static_cast<size_t>(end.rank)].worker);
  turn.emit(id, ended.attempt.epoch, RankGone{end.rank, end.outcome, ended.end.detail});
  hold_worker(turn, ended);
  const Job* after = turn.job(id);
  if (after == nullptr || is_terminal(after->state)) return;
  if (ended.attempt.kind == AttemptKind::probe) {
    after_probe(turn, ended);
  } else {
    after_train(turn, ended);
  }
}

}  // namespace llmctl
