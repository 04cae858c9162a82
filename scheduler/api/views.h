// What people are shown of State: core values joined with what a screen needs (names of workers,
// promised bytes, ETA). Pure.
#pragma once

#include "llmctl/v1/scheduler.pb.h"
#include "scheduler/heart/state.h"

namespace llmctl {

v1::Job job_view(const State& state, const Job& job);  // with spec_json
v1::Worker worker_view(const State& state, const Worker& worker, Millis boot_ms);

}  // namespace llmctl
