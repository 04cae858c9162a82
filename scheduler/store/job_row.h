// A job as a row of the store, and back. Pure.
#pragma once

#include "llmctl/v1/scheduler.pb.h"
#include "scheduler/heart/state.h"
#include "scheduler/store/store.h"

namespace llmctl {

// What is told of a job everywhere, core values joined with names of workers; without spec_json,
// which the store keeps once beside its rows.
v1::Job job_summary(const State& state, const Job& job);

// `finished`: it has left State.
JobRecord job_record(const State& state, const Job& job, bool finished);

// A job that has left State, from what the store kept of it.
Result<Job> finished_job(const v1::Job& record);

}  // namespace llmctl
