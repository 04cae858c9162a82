// What must hold in every State, for the simulator and the tests. Walks everything.
#include "scheduler/heart/state.h"

namespace llmctl {
namespace {

class Inspection {
 public:
  explicit Inspection(const State& state) : state_(state) {}

  std::vector<std::string> problems() && {
    for (const auto& [id, job] : state_.jobs) check(id, job);
    for (const auto& [id, worker] : state_.workers) check(id, worker);
    for (const auto& [id, load] : index_.loads) {
      if (!state_.workers.contains(id)) wrong("worker " + id.str() + " has ranks and is unknown");
    }
    for (const auto& [key, id] : state_.keys) {
      if (!state_.jobs.contains(id)) wrong("key \"" + key + "\" belongs to no live job");
    }
    for (const auto& [id, worker] : state_.workers) index_.add(worker);
    if (index_ != state_.index) wrong("the index is not what jobs and workers give");
    return std::move(problems_);
  }

 private:
  void wrong(std::string problem) { problems_.push_back(std::move(problem)); }

  void check(JobId id, const Job& job) {
    const std::string name = "job " + id.str();
    if (job.id != id || id > state_.last_job) wrong(name + ": id");
    if (is_terminal(job.state) && !job.attempt) wrong(name + ": is final and gone, but still here");
    if (is_active(job.state) && !job.attempt) wrong(name + ": is active without an attempt");
    if (!job.idempotency_key.empty()) {
      const auto owner = state_.keys.find(job.idempotency_key);
      if (owner == state_.keys.end() || owner->second != id) wrong(name + ": lost its key");
    }
    index_.add(job);
    if (job.attempt) check(name, job, *job.attempt);
  }

  void check(const std::string& name, const Job& job, const Attempt& attempt) {
    if (attempt.epoch != job.epoch) wrong(name + ": its attempt is not the newest");
    const auto ranks = static_cast<int64_t>(attempt.grants.size());
    const int64_t wanted = attempt.kind == AttemptKind::probe ? 1 : job.spec->resources.ranks;
    if (ranks != wanted || attempt.ranks.size() != attempt.grants.size()) {
      wrong(name + ": " + std::to_string(ranks) + " of " + std::to_string(wanted) + " ranks");
      return;
    }
    for (size_t i = 0; i < attempt.grants.size(); ++i) {
      const Grant& grant = attempt.grants[i];
      if (grant.rank != static_cast<int32_t>(i)) wrong(name + ": ranks out of order");
      if (grant.bytes <= 0) wrong(name + ": a rank without memory");
      if (!attempt.ranks[i].gone) index_.promise(job.id, grant);
    }
  }

  void check(WorkerId id, const Worker& worker) {
    const std::string name = "worker " + id.str();
    if (worker.id != id || id > state_.last_worker) wrong(name + ": id");
    const auto owner = state_.worker_names.find(worker.name);
    if (owner == state_.worker_names.end() || owner->second != id) wrong(name + ": lost its name");
    const auto load = index_.loads.find(id);
    if (load == index_.loads.end()) return;
    if (worker.lost) wrong(name + ": is lost and still has ranks");
    for (const Device& device : worker.inventory.devices) {
      const auto found = load->second.devices.find({device.kind, device.index});
      if (found == load->second.devices.end()) continue;
      const std::string where = name + " " + device_label(device.kind, device.index);
      if (found->second.bytes > device.memory_total) wrong(where + ": memory is promised twice");
      if (found->second.ranks > device.slots) wrong(where + ": more ranks than slots");
    }
  }

  const State& state_;
  Index index_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> sanity_problems(const State& state) {
  return Inspection(state).problems();
}

}  // namespace llmctl
