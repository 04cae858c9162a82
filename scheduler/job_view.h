// What people are shown of State: core values joined with what a screen needs (names of workers,
// promised bytes, ETA). Pure.
#pragma once

#include "llmctl/v1/scheduler.pb.h"
#include "scheduler/state.h"
#include "scheduler/store.h"

namespace llmctl {

v1::Job job_view(const State& state, const Job& job);  // with spec_json
v1::Worker worker_view(const State& state, const Worker& worker, Millis boot_ms);

// The row of the store for a job; `finished`: it has left State.
JobRecord job_record(const State& state, const Job& job, bool finished);

// A job that has left State, from what the store kept of it.
Result<Job> finished_job(const v1::Job& record);

// The metric points that one progress report adds to the job's series.
std::vector<MetricPoint> metric_points(const Event& event, const CheckpointCommitted& made);
std::vector<MetricPoint> metric_points(const Event& event,
                                       const Progressed& progress,
                                       const Progressed& before);

}  // namespace llmctl
