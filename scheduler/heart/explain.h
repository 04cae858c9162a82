// Explain: why a job waits, failed, or runs with these settings: one dominant reason, the evidence,
// the next step. Pure; reads the same Refusals that placement produced.
#pragma once

#include <string>
#include <vector>

#include "scheduler/heart/decide.h"

namespace llmctl {

struct Explanation {
  std::string headline;               // "waiting for memory: needs 5.1 GiB, 2.0 GiB is free on w1"
  std::vector<std::string> evidence;  // one line per fact
  std::string next_step;              // a command, or what will happen by itself
};
Explanation explain(const State& state, const Job& job, const SchedulerConfig& config);

}  // namespace llmctl
