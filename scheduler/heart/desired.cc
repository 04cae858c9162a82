#include "core/plan/plan_search.h"
#include "scheduler/heart/decide.h"
#include "scheduler/heart/fit.h"

namespace llmctl {
namespace {

// Below the ephemeral ports of Linux, and different for a job's next attempt.
int32_t rendezvous_port(const Job& job) {
  constexpr int64_t kFirst = 20'000, kCount = 10'000;
  return static_cast<int32_t>(kFirst + (job.id.value * 31 + job.epoch.value * 7) % kCount);
}

std::string rendezvous_host(const State& state, const Attempt& attempt) {
  const auto host = [&](const Grant& grant) {
    const auto worker = state.workers.find(grant.worker);
    return worker == state.workers.end() ? std::string() : worker->second.inventory.hostname;
  };
  std::string first = host(attempt.grants.front());
  for (const Grant& grant : attempt.grants) {
    if (host(grant) != first) return first;
  }
  return "127.0.0.1";
}

// Newest first, as docs/RUN_DIRECTORY.md lays the folders out.
std::vector<std::string> resume_list(const Job& job) {
  std::vector<std::string> list;
  for (auto own = job.checkpoints.rbegin(); own != job.checkpoints.rend(); ++own) {
    list.push_back("checkpoints/" + own->commit.path);
  }
  for (auto old = job.inherited.rbegin(); old != job.inherited.rend(); ++old) {
    list.push_back("../" + old->job.str() + "/checkpoints/" + old->checkpoint.path);
  }
  return list;
}

RunOrder order_for(const State& state,
                   const Job& job,
                   const Attempt& attempt,
                   int32_t rank,
                   const SchedulerConfig& scheduler) {
  const Grant& grant = attempt.grants[static_cast<size_t>(rank)];
  RunOrder order;
  RunConfig& config = order.config;
  config.cluster_id = state.cluster_id;
  config.job_id = job.id.value;
  config.epoch = attempt.epoch.value;
  config.rank = rank;
  config.world_size = static_cast<int32_t>(attempt.grants.size());
  config.device =
      grant.device_kind == "cpu" ? "cpu" : device_label(grant.device_kind, grant.device_index);
  config.memory_cap_bytes = grant.bytes;
  config.spec = *job.spec;
  if (attempt.kind == AttemptKind::probe) {
    config.mode = "probe";
    // What fits is asked for with headroom afterwards.
    config.memory_cap_bytes = without_headroom(grant.bytes, scheduler);
    config.candidates =
        candidate_plans(*job.spec, {config.memory_cap_bytes, room_of(grant).on_cpu});
  } else {
    config.plan = job.plan;
    config.resume = resume_list(job);
  }
  if (attempt.grants.size() > 1) {
    config.master_addr = rendezvous_host(state, attempt);
    config.master_port = rendezvous_port(job);
  }
  if (attempt.stopping) {
    order.stop = attempt.stop_checkpoint ? RunOrder::Stop::checkpoint : RunOrder::Stop::kill;
  }
  return order;
}

}  // namespace

std::vector<RunOrder> desired_runs(const State& state,
                                   WorkerId worker,
                                   const SchedulerConfig& config) {
  std::vector<RunOrder> orders;
  const auto load = state.index.loads.find(worker);
  if (load == state.index.loads.end()) return orders;
  for (const auto& [id, rank] : load->second.ranks) {
    const Job& job = state.jobs.at(id);
    orders.push_back(order_for(state, job, *job.attempt, rank, config));
  }
  return orders;
}

}  // namespace llmctl
