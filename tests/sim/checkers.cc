#include "checkers.h"

#include <cstdint>
#include <string>
#include <variant>

namespace llmctl::sim {

constexpr Millis kPatience = 4'000;  // lease and grace of SimScheduler

void Checkers::complain(std::string problem) {
  if (problems_.size() < 20) problems_.push_back(std::move(problem));
}

void Checkers::sound(const State& state) {
  for (const std::string& problem : sanity_problems(state)) complain("state: " + problem);
}

void Checkers::committed(const Event& event) {
  if (event.seq.value != ++last_seq_) {
    complain("watch has a gap: seq " + event.seq.str() + " after " + std::to_string(last_seq_ - 1));
    last_seq_ = event.seq.value;
  }
  if (const auto* submitted = std::get_if<JobSubmitted>(&event.body)) {
    const bool known = !keys_.emplace(submitted->idempotency_key, event.job).second;
    if (known) complain("two jobs for key " + submitted->idempotency_key);
    states_[event.job] = JobState::queued;
    specs_[event.job] = *submitted->spec;
  } else if (const auto* move = std::get_if<JobMoved>(&event.body)) {
    moved(event, *move);
  } else if (const auto* grant = std::get_if<AttemptGranted>(&event.body)) {
    granted(event, *grant);
  } else if (const auto* gone = std::get_if<RankGone>(&event.body)) {
    if (event.epoch != epochs_[event.job] || ranks_left_[event.job].erase(gone->rank) == 0) {
      complain("job " + event.job.str() + ": the end of a rank that is not there");
    }
    if (gone->outcome == Outcome::lost && event.boot_ms - woke_boot_ms_ <= kPatience) {
      complain("job " + event.job.str() + ": its worker is lost for the scheduler's own silence");
    }
  } else if (const auto* made = std::get_if<CheckpointCommitted>(&event.body)) {
    const std::string writer = "e" + event.epoch.str() + "-";
    if (event.epoch != epochs_[event.job] || !made->path.starts_with(writer)) {
      complain("job " + event.job.str() + ": epoch " + epochs_[event.job].str() +
               " has committed " + made->path);
    }
    if (canceled_.contains(event.job)) complain("a canceled job has committed " + made->path);
  }
}

void Checkers::moved(const Event& event, const JobMoved& move) {
  const JobState before = states_[event.job];
  if (before != move.from || !may_move(move.from, move.to)) {
    complain("job " + event.job.str() + " moved from " + to_string(before) + " to " +
             to_string(move.to));
  }
  if (canceled_.contains(event.job)) complain("job " + event.job.str() + " moved after its cancel");
  states_[event.job] = move.to;
}

void Checkers::granted(const Event& event, const AttemptGranted& grant) {
  const std::string name = "job " + event.job.str();
  if (event.epoch <= epochs_[event.job]) complain(name + ": the epoch did not grow");
  if (!ranks_left_[event.job].empty()) complain(name + ": granted beside its old ranks");
  epochs_[event.job] = event.epoch;
  const bool probe = grant.kind == AttemptKind::probe;
  const int64_t wanted = probe ? 1 : specs_[event.job].resources.ranks;
  if (static_cast<int64_t>(grant.grants.size()) != wanted) {
    complain(name + ": granted " + std::to_string(grant.grants.size()) + " of " +
             std::to_string(wanted) + " ranks");
  }
  ranks_left_[event.job].clear();
  for (const Grant& one : grant.grants) ranks_left_[event.job].insert(one.rank);
}

void Checkers::replayed(const State& live, const State& replay) {
  const auto durable = [](State state) {
    state.started_boot_ms = 0;
    state.index = {};
    for (auto& [id, job] : state.jobs) {
      job.progress = {};
      job.not_before_boot_ms = job.queued_boot_ms = 0;
      if (!job.attempt) continue;
      job.attempt->stop_since_boot_ms = job.attempt->granted_boot_ms = 0;
      for (RankState& rank : job.attempt->ranks) {
        rank.up = false;
        rank.pid = 0;
      }
    }
    for (auto& [id, worker] : state.workers) {
      worker.connected = false;
      worker.leftovers.clear();
      worker.greeting = {};
      worker.held.clear();
      worker.held_boot_ms = worker.greeted_boot_ms = 0;
      worker.seen_boot_ms = 0;
      for (Device& device : worker.inventory.devices) device.memory_foreign = 0;
    }
    return state;
  };
  if (!(durable(live) == durable(replay))) complain("a restart finds another state");
  sound(replay);
}

void Checkers::acknowledged(const std::string& key, JobId job) {
  const auto [known, fresh] = acknowledged_.emplace(key, job);
  if (!fresh && known->second != job) complain("key " + key + " was answered with two jobs");
  if (!states_.contains(job)) complain("job " + job.str() + " was acknowledged and is not stored");
}

void Checkers::cancel_acknowledged(JobId job) {
  if (states_[job] != JobState::canceled) {
    complain("job " + job.str() + " is " + to_string(states_[job]) + " after its cancel");
  }
  canceled_.insert(job);
}

void Checkers::works(const std::string& cluster, JobId job, Epoch epoch) {
  const auto [other, fresh] = working_.emplace(std::pair(cluster, job), epoch);
  if (!fresh && other->second != epoch) {
    complain("job " + job.str() + ": epochs " + other->second.str() + " and " + epoch.str() +
             " run at the same time");
  }
}

void Checkers::occupies(const std::string& place, const Device& device, Bytes bytes) {
  const std::string name = place + " " + device_label(device.kind, device.index);
  Promised& used = occupied_[name];
  used.bytes += bytes;
  ++used.ranks;
  if (used.bytes > device.memory_total || used.ranks > device.slots) {
    complain(name + ": " + std::to_string(used.ranks) + " processes with " +
             format_bytes(used.bytes) + " share a device of " + std::to_string(device.slots) +
             " slots and " + format_bytes(device.memory_total));
  }
}

void Checkers::forget() {
  last_seq_ = 0;
  states_.clear();
  specs_.clear();
  epochs_.clear();
  ranks_left_.clear();
  keys_.clear();
  acknowledged_.clear();
  canceled_.clear();
}

void Checkers::step_over() {
  working_.clear();
  occupied_.clear();
}

void Checkers::at_the_end() {
  for (const auto& [key, job] : acknowledged_) {
    if (!states_.contains(job)) complain("job " + job.str() + " is lost");
  }
  for (const auto& [id, state] : states_) {
    if (!is_terminal(state)) {
      complain("job " + id.str() + " has not ended: " + to_string(state));
    }
  }
}

}  // namespace llmctl::sim
