// The scheduling pass. The order is strict and shown: bigger priority first, then the older job. A
// job that finds no place does not block smaller ones behind it, until it has waited for
// limits::kQueuePatience: then nothing behind it may take a device that it would get in an empty
// fleet, so a gang, or a probe that needs a whole device, is not starved by a stream of small jobs.
//
// Of jobs with equal need only the first is tried: if it finds no place, the others find none
// either; nor do needs of the same devices that are no smaller than a refused one. So the time of a
// pass grows with the number of different needs, not of jobs, and a sweep of many shapes does not
// use up the pass of jobs behind it.
#include <algorithm>
#include <limits>
#include <tuple>

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
    for (int left = limits::kPassHeads; left > 0 && grants_ < limits::kPassGrants; --left) {
      if (!next(key)) return;
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

  // Devices of one kind, for jobs that go on in one folder: what is refused one of them may tell
  // about others.
  using Group = std::tuple<std::string, std::string, std::string>;
  struct Refused {
    int64_t ranks;
    Bytes size;  // that a rank asked for, at least
  };

  static Group group_of(const Need& need) { return {need.device, need.device_name, need.folder}; }

  static constexpr Bytes kWholeDevice = std::numeric_limits<Bytes>::max();

  Refused size_of(const Need& need) const {
    if (need.probe) return {1, kWholeDevice};
    return {need.ranks, std::max(with_headroom(need.peak, turn_.config), need.floor)};
  }

  // No smaller than what has been refused, or too many were asked.
  bool is_refused(const Need& need) const {
    const auto group = refused_.find(group_of(need));
    if (group == refused_.end()) return false;
    if (static_cast<int>(group->second.size()) >= limits::kPassNeeds) return true;
    const Refused asked = size_of(need);
    const auto no_larger = [&](const Refused& one) {
      return one.ranks <= asked.ranks && one.size <= asked.size;
    };
    return need.cap == 0 && std::any_of(group->second.begin(), group->second.end(), no_larger);
  }

  // A job with a limit of its own, or whose probe ran out before, tells of no other.
  void note_refusal(const Need& need) {
    const bool own = need.cap > 0 || (need.probe && need.floor > 0);
    refused_[group_of(need)].push_back(own ? Refused{limits::kRanks + 1, kWholeDevice}
                                           : size_of(need));
  }

  // True: placed. JobPlanned with a plan that earlier jobs have measured is emitted only together
  // with the grant: a job that has a plan has a need of its own, and would leave its group.
  bool consider(const Job& job) {
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
    const Need need = need_of(job);
    if (is_refused(need)) return false;
    std::optional<std::vector<Grant>> grants = supply_.take(job, turn_.config);
    if (!grants) {
      note_refusal(need);
      refused(job);
      return false;
    }
    if (news != nullptr) turn_.emit(job.id, JobPlanned{*news});
    grant(job, *std::move(grants));
    return true;
  }

  // A job that could never fit holds nothing back for itself: it must not keep jobs behind it
  // waiting.
  void refused(const Job& job) {
    if (!may_ever_fit(turn_.state, job, turn_.config)) return fail_if_measured(job);
    const Millis since = std::max(job.queued_boot_ms, turn_.state.started_boot_ms);
    if (withheld_ || turn_.boot_ms - since <= limits::kQueuePatience) return;
    const auto wanted = Supply(turn_.state, turn_.lost, true).take(job, turn_.config);
    if (!wanted) return;
    supply_.withhold(*wanted);
    withheld_ = true;
  }

  // Its probe ran out of all that there is while nobody waited for the answer.
  void fail_if_measured(const Job& job) {
    if (job.fitted || job.bytes_floor == 0 || matching_types(turn_.state, job).empty()) return;
    turn_.move(
        job.id, JobState::failed, Reason::does_not_fit,
        "every plan ran out of " + format_bytes(job.bytes_floor) + ", and no device has more");
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
  std::map<Group, std::vector<Refused>> refused_;
  bool withheld_ = false;  // devices, for a job that has waited long
  int grants_ = 0;
};

}  // namespace

void schedule(Turn& turn) {
  Pass(turn).run();
}

}  // namespace llmctl
