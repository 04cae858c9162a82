// SchedulerMetrics: the scheduler's Prometheus registry, fed from events and a few timings; names
// and meanings are in docs/METRICS.md. It only watches: nothing here can change a decision. The
// loop thread calls everything but rpc_done(), which any thread may call.
#pragma once

#include <map>
#include <set>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "metrics/families.h"
#include "scheduler/heart/state.h"
#include "scheduler/metrics/job_metrics.h"

namespace llmctl {

class SchedulerMetrics {
 public:
  SchedulerMetrics(prometheus::Registry& registry, const Clock& clock, std::string_view version);

  void load(const State& state);  // once, after the replay
  // After every apply(): `after` already contains the event.
  void observe(const Event& event, const State& after);
  // About once a second: what is true now rather than what happened.
  void refresh(const State& state);

  void cycle_done(double seconds);     // one turn of the loop that had inputs
  void store_written(double seconds);  // one durable transaction
  // `method` is a name of ours ("Submit"), never text of a client.
  void rpc_done(std::string_view method, Code code, double seconds);

 private:
  void job_moved(const Event& event, const JobMoved& move);
  void planned(JobId job, const Plan& plan);
  void count(JobState state, double change);
  void refresh_workers(const State& state);

  const Clock& clock_;
  GaugeFamily& jobs_;
  GaugeFamily& workers_;
  GaugeFamily& devices_;
  HistogramFamily& rpcs_;
  CounterFamily& ended_;
  CounterFamily& failures_;
  CounterFamily& decisions_;
  prometheus::Counter& preemptions_;
  prometheus::Gauge& oldest_wait_;
  prometheus::Histogram& queue_wait_;
  prometheus::Histogram& cycles_;
  prometheus::Histogram& store_writes_;
  prometheus::Histogram& probes_;
  prometheus::Histogram& probe_errors_;

  std::map<JobId, Millis> queued_since_unix_ms_;
  std::set<std::pair<Millis, JobId>> queue_by_age_;
  std::set<JobId> placed_;  // jobs that may have a live attempt
  std::map<JobId, Millis> probing_since_unix_ms_;
  JobMetrics job_metrics_;
};

}  // namespace llmctl
