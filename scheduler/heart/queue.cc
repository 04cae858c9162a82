// The scheduling pass. The order is strict and shown: bigger priority first, then the older job. A
// job that finds no place does not block smaller ones behind it, until it has waited for
// limits::kQueuePatience: then nothing behind it may take a device of the kind it wants, so a gang,
// or a probe that needs a whole device, is not starved by a stream of small jobs.
//
// Of jobs with equal need only the first is tried: if it finds no place, the others find none
// either. So the time of a pass grows with the number of different needs, not of jobs.
#include <algorithm>
#include <limits>

#include "core/base/limits.h"
#include "scheduler/heart/fit.h"
#include "scheduler/heart/placement.h"
#include "scheduler/heart/turn.h"

namespace llmctl {
namespace {

class Pass {
 public:
  explicit Pass(Turn& turn)
      : turn_(turn), supply_(turn.state, turn.lost, false), index_(turn.state.index) {
    for (const auto& [id, job] : turn.changed()) {
      if (job.state == JobState::queued && !job.attempt) followers_.insert(queue_key(job));
    }
  }

  void run() {
    if (supply_.nothing_left()) return;
    QueueKey key{std::numeric_limits<int64_t>::min(), {}};
    while (next(key) && grants_ < limits::kPassGrants && needs_ < limits::kPassNeeds) {
      const Job* job = turn_.job(key.job);
      if (job == nullptr || job->state != JobState::queued || job->attempt) continue;
      const Need need = need_of(*job);
      if (consider(*job)) follow(need, key);
    }
  }

 private:
  // The next job in the order: the smallest key above `key` among the heads (the first job of each
  // need) and the followers (those behind a job that was placed).
  bool next(QueueKey& key) {
    const auto head = index_.heads.upper_bound(key);
    const auto follower = followers_.upper_bound(key);
    if (head == index_.heads.end() && follower == followers_.end()) return false;
    if (head == index_.heads.end() || (follower != followers_.end() && *follower < *head)) {
      key = *follower;
    } else {
      key = *head;
    }
    return true;
  }

  void follow(const Need& need, const QueueKey& key) {
    const auto group = index_.queue.find(need);
    if (group == index_.queue.end()) return;
    const auto follower = group->second.upper_bound(key);
    if (follower != group->second.end()) followers_.insert(*follower);
  }

  bool held(const Job& job) const {
    const Job* waiting = held_for_ ? turn_.job(held_for_) : nullptr;
    return waiting != nullptr && supply_.rivals(*waiting, job);
  }

  // True: placed. JobPlanned with a plan that earlier jobs have measured is emitted only together
  // with the grant: a job that has a plan has a need of its own, and would leave its group.
  bool consider(const Job& job) {
    if (held(job)) return false;
    if (job.fitted) return place(job, nullptr);
    // Another job's probe measures for this one too.
    if (index_.probing.contains(job.fit_key) || probing_.contains(job.fit_key)) return false;
    const std::optional<Plan> plan = plan_from_profiles(turn_.state, job, turn_.config);
    if (!plan) return place(job, nullptr);
    Job fitted = job;
    fitted.plan = *plan;
    fitted.fitted = true;
    return place(fitted, &*plan);
  }

  bool place(const Job& job, const Plan* news) {
    std::optional<std::vector<Grant>> grants = supply_.take(job, turn_.config);
    if (!grants) {
      refused(job);
      return false;
    }
    if (news != nullptr) turn_.emit(job.id, JobPlanned{*news});
    grant(job, *std::move(grants));
    return true;
  }

  // A job that could never fit is not counted and holds nothing back for itself: it must not keep
  // jobs behind it waiting.
  void refused(const Job& job) {
    if (!may_ever_fit(turn_.state, job, turn_.config)) return;
    ++needs_;
    const Millis since = std::max(job.queued_boot_ms, turn_.state.started_boot_ms);
    if (held_for_ || turn_.boot_ms - since <= limits::kQueuePatience) return;
    if (Supply(turn_.state, turn_.lost, true).fits(job, turn_.config)) held_for_ = job.id;
  }

  void grant(const Job& job, std::vector<Grant> grants) {
    const bool probe = !job.fitted;
    for (const Grant& one : grants) turn_.decision.sync.insert(one.worker);
    turn_.emit(job.id, Epoch{job.epoch.value + 1},
               AttemptGranted{probe ? AttemptKind::probe : AttemptKind::train, std::move(grants)});
    if (probe) {
      probing_.insert(job.fit_key);
      turn_.move(job.id, JobState::probing, Reason::needs_probe);
    } else {
      turn_.move(job.id, JobState::starting, Reason::placed);
    }
    ++grants_;
  }

  Turn& turn_;
  Supply supply_;
  const Index& index_;
  std::set<QueueKey> followers_;
  std::set<std::string> probing_;  // probes that this pass has granted
  JobId held_for_;
  int grants_ = 0;
  int needs_ = 0;  // refused
};

}  // namespace

void schedule(Turn& turn) {
  Pass(turn).run();
}

}  // namespace llmctl
