#include "scheduler/metrics/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

namespace llmctl {
namespace {

const Buckets kFast{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                    0.05,   0.1,     0.25,   0.5,   1,      2.5,   10};
const Buckets kWait{0.05, 0.25, 1, 5, 15, 60, 300, 900, 3'600, 14'400, 43'200, 86'400};
const Buckets kProbe{1, 2, 5, 10, 20, 30, 60, 120, 300, 900};
const Buckets kRatio{0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2};

constexpr auto kStates =
    std::to_array({JobState::queued, JobState::probing, JobState::starting, JobState::running,
                   JobState::preempting, JobState::recovering, JobState::paused,
                   JobState::succeeded, JobState::failed, JobState::canceled});
// Reasons that mean an attempt or a job went wrong.
constexpr auto kFailures =
    std::to_array({Reason::oom, Reason::rank_crashed, Reason::worker_lost, Reason::hang,
                   Reason::nonfinite, Reason::bad_input, Reason::checkpoint_lost,
                   Reason::storage_full, Reason::does_not_fit, Reason::retries_exhausted});
constexpr auto kCodeNames = std::to_array<const char*>(
    {"ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found",
     "already_exists", "permission_denied", "resource_exhausted", "failed_precondition", "aborted",
     "out_of_range", "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated"});

enum class WorkerCondition { ready, draining, drained, disconnected, lost };
constexpr auto kConditions =
    std::to_array<const char*>({"ready", "draining", "drained", "disconnected", "lost"});
enum class DeviceCondition { idle, busy, unhealthy, lost };
constexpr auto kDeviceConditions =
    std::to_array<const char*>({"idle", "busy", "unhealthy", "lost"});

using DeviceKey = std::tuple<WorkerId, std::string, int32_t>;

WorkerCondition condition(const Worker& worker, bool busy) {
  if (worker.lost) return WorkerCondition::lost;
  if (!worker.connected) return WorkerCondition::disconnected;
  if (worker.draining) return busy ? WorkerCondition::draining : WorkerCondition::drained;
  return WorkerCondition::ready;
}

DeviceCondition condition(const Worker& worker, const Device& device, bool busy) {
  if (worker.lost) return DeviceCondition::lost;
  if (!device.healthy) return DeviceCondition::unhealthy;
  return busy ? DeviceCondition::busy : DeviceCondition::idle;
}

}  // namespace

SchedulerMetrics::SchedulerMetrics(prometheus::Registry& r,
                                   const Clock& clock,
                                   std::string_view version)
    : clock_(clock),
      jobs_(gauge(r, "llmctl_jobs", "Live jobs by state.")),
      workers_(gauge(r, "llmctl_workers", "Known workers by condition.")),
      devices_(gauge(r, "llmctl_devices", "Devices of all workers by kind and condition.")),
      rpcs_(histogram(r, "llmctl_rpc_duration_seconds", "gRPC calls by method and code.")),
      ended_(counter(r, "llmctl_jobs_ended_total", "Jobs that reached a final state.")),
      failures_(
          counter(r, "llmctl_job_failures_total", "Attempts and jobs that went wrong, by reason.")),
      decisions_(counter(r,
                         "llmctl_scheduler_decisions_total",
                         "Changes of job states: the state reached, and why.")),
      preemptions_(
          counter(r, "llmctl_preemptions_total", "Running jobs asked to checkpoint and make room.")
              .Add({})),
      oldest_wait_(gauge(r,
                         "llmctl_queue_oldest_wait_seconds",
                         "How long the oldest queued job has waited; 0 when none waits.")
                       .Add({})),
      queue_wait_(
          histogram(r, "llmctl_job_queue_duration_seconds", "From being queued to being placed.")
              .Add({}, kWait)),
      cycles_(histogram(
                  r, "llmctl_scheduler_cycle_duration_seconds", "One turn of the scheduler's loop.")
                  .Add({}, kFast)),
      store_writes_(histogram(r,
                              "llmctl_store_write_duration_seconds",
                              "One durable transaction of the store.")
                        .Add({}, kFast)),
      probes_(histogram(r, "llmctl_probe_duration_seconds", "From a probe's grant to its result.")
                  .Add({}, kProbe)),
      probe_errors_(
          histogram(r,
                    "llmctl_probe_prediction_error_ratio",
                    "Distance of the predicted from the measured peak, per peak measured.")
              .Add({}, kRatio)),
      job_metrics_(r) {
  gauge(r, "llmctl_build_info", "Version of the scheduler; always 1.")
      .Add({{"version", label_value(version)}})
      .Set(1);
  for (const JobState state : kStates) {
    if (is_terminal(state)) {
      ended_.Add({{"state", state_label(state)}});
    } else {
      count(state, 0);
    }
  }
  for (const Reason reason : kFailures) failures_.Add({{"reason", to_string(reason)}});
}

void SchedulerMetrics::count(JobState state, double change) {
  if (!is_terminal(state)) jobs_.Add({{"state", state_label(state)}}).Increment(change);
}

void SchedulerMetrics::load(const State& state) {
  for (const auto& [id, job] : state.jobs) {
    count(job.state, 1);
    if (job.state == JobState::queued) {
      queued_since_unix_ms_[id] = job.moved_unix_ms;
      queue_by_age_.emplace(job.moved_unix_ms, id);
    }
    if (job.attempt) placed_.insert(id);
    job_metrics_.load(job);
  }
  refresh(state);
}

void SchedulerMetrics::observe(const Event& event, const State& after) {
  if (std::holds_alternative<JobSubmitted>(event.body)) {
    count(JobState::queued, 1);
    queued_since_unix_ms_[event.job] = event.unix_ms;
    queue_by_age_.emplace(event.unix_ms, event.job);
  } else if (const auto* move = std::get_if<JobMoved>(&event.body)) {
    job_moved(event, *move);
  } else if (const auto* granted = std::get_if<AttemptGranted>(&event.body)) {
    placed_.insert(event.job);
    if (granted->kind == AttemptKind::probe) probing_since_unix_ms_[event.job] = event.unix_ms;
  } else if (std::holds_alternative<ProbeMeasured>(event.body)) {
    const auto since = probing_since_unix_ms_.find(event.job);
    if (since != probing_since_unix_ms_.end()) {
      probes_.Observe(static_cast<double>(event.unix_ms - since->second) / 1000);
    }
  } else if (const auto* plan = std::get_if<JobPlanned>(&event.body)) {
    planned(event.job, plan->plan);
  }
  if (!event.job) return;
  const auto job = after.jobs.find(event.job);
  job_metrics_.observe(event, job == after.jobs.end() ? nullptr : &job->second, clock_.boot_ms());
}

void SchedulerMetrics::job_moved(const Event& event, const JobMoved& move) {
  count(move.from, -1);
  count(move.to, 1);
  decisions_.Add({{"result", state_label(move.to)}, {"reason", to_string(move.reason)}})
      .Increment();
  if (std::find(kFailures.begin(), kFailures.end(), move.reason) != kFailures.end()) {
    failures_.Add({{"reason", to_string(move.reason)}}).Increment();
  }
  if (move.to == JobState::preempting) preemptions_.Increment();
  if (is_terminal(move.to)) {
    ended_.Add({{"state", state_label(move.to)}}).Increment();
    probing_since_unix_ms_.erase(event.job);
  }
  if (move.from == JobState::queued) {
    const auto since = queued_since_unix_ms_.find(event.job);
    if (since != queued_since_unix_ms_.end()) {
      if (move.to == JobState::starting) {
        queue_wait_.Observe(static_cast<double>(event.unix_ms - since->second) / 1000);
      }
      queue_by_age_.erase({since->second, event.job});
      queued_since_unix_ms_.erase(since);
    }
  }
  if (move.to == JobState::queued) {
    queued_since_unix_ms_[event.job] = event.unix_ms;
    queue_by_age_.emplace(event.unix_ms, event.job);
  }
}

// The first plan after a probe carries both sides of the comparison.
void SchedulerMetrics::planned(JobId job, const Plan& plan) {
  if (plan.peak_bytes_measured <= 0 || probing_since_unix_ms_.erase(job) == 0) return;
  const auto measured = static_cast<double>(plan.peak_bytes_measured);
  probe_errors_.Observe(std::abs(static_cast<double>(plan.peak_bytes_predicted) - measured) /
                        measured);
}

void SchedulerMetrics::refresh(const State& state) {
  const Millis oldest = queue_by_age_.empty() ? clock_.unix_ms() : queue_by_age_.begin()->first;
  oldest_wait_.Set(std::max(0.0, static_cast<double>(clock_.unix_ms() - oldest) / 1000));
  refresh_workers(state);
  job_metrics_.drop_ended(clock_.boot_ms());
}

void SchedulerMetrics::refresh_workers(const State& state) {
  std::set<DeviceKey> busy_devices;
  std::set<WorkerId> busy_workers;
  std::erase_if(placed_, [&](JobId id) {  // most jobs are queued: visit only the placed ones
    const auto job = state.jobs.find(id);
    if (job == state.jobs.end() || !job->second.attempt) return true;
    for (const Grant& grant : job->second.attempt->grants) {
      busy_devices.emplace(grant.worker, grant.device_kind, grant.device_index);
      busy_workers.insert(grant.worker);
    }
    return false;
  });
  std::array<double, kConditions.size()> workers{};
  std::map<std::string, std::array<double, kDeviceConditions.size()>> devices{{"cpu", {}},
                                                                              {"cuda", {}}};
  for (const auto& [id, worker] : state.workers) {
    ++workers[static_cast<size_t>(condition(worker, busy_workers.contains(id)))];
    for (const Device& device : worker.inventory.devices) {
      const bool busy = busy_devices.contains({id, device.kind, device.index});
      if (device.kind != "cpu" && device.kind != "cuda") continue;
      ++devices[device.kind][static_cast<size_t>(condition(worker, device, busy))];
    }
  }
  for (size_t i = 0; i < workers.size(); ++i) {
    workers_.Add({{"state", kConditions[i]}}).Set(workers[i]);
  }
  for (const auto& [kind, counts] : devices) {
    for (size_t i = 0; i < counts.size(); ++i) {
      devices_.Add({{"kind", kind}, {"state", kDeviceConditions[i]}}).Set(counts[i]);
    }
  }
}

void SchedulerMetrics::cycle_done(double seconds) {
  cycles_.Observe(seconds);
}

void SchedulerMetrics::store_written(double seconds) {
  store_writes_.Observe(seconds);
}

void SchedulerMetrics::rpc_done(std::string_view method, Code code, double seconds) {
  const auto index = std::min(static_cast<size_t>(code), kCodeNames.size() - 1);
  rpcs_.Add({{"method", label_value(method)}, {"code", kCodeNames[index]}}, kFast).Observe(seconds);
}

}  // namespace llmctl
