#include "sim_store.h"

#include <string>
#include <utility>
#include <variant>

#include "world.h"

namespace llmctl::sim {

Status SimStore::append(const Event& event) {
  open_.push_back(event);
  return ok_status();
}

Status SimStore::commit() {
  if (plan_ == Plan::crash_before_commit) {
    open_.clear();
    throw Crash{};
  }
  for (Event& event : std::exchange(open_, {})) {
    world_.say("event " + event.seq.str(), event.job.str() + " " + describe(event));
    world_.checkers().committed(event);
    log_.push_back(std::move(event));
  }
  if (plan_ == Plan::crash_after_commit) throw Crash{};
  return ok_status();
}

Result<std::optional<KeyOwner>> SimStore::find_key(const std::string& idempotency_key) {
  for (const std::vector<Event>* part : {&log_, &open_}) {
    for (const Event& event : *part) {
      const auto* submitted = std::get_if<JobSubmitted>(&event.body);
      if (submitted == nullptr || submitted->idempotency_key != idempotency_key) continue;
      return std::optional(KeyOwner{event.job, submitted->spec.text()});
    }
  }
  return std::optional<KeyOwner>();
}

void SimStore::begin_anew() {
  log_.clear();
  cluster_ += "+";
}

// As the real store folds: jobs that have left State are skipped.
State SimStore::replay() const {
  State all;
  for (Event event : log_) {
    event.boot_ms = 0;
    apply(all, event);
  }
  State live;
  for (Event event : log_) {
    event.boot_ms = 0;
    if (!event.job || all.jobs.contains(event.job)) apply(live, event);
  }
  live.profiles = all.profiles;
  live.last_seq = all.last_seq;
  live.last_job = all.last_job;
  live.cluster_id = cluster_;
  return live;
}

}  // namespace llmctl::sim
