// Fit: which plan a job runs, from what probes and runs have measured, and how many bytes it asks
// for. Pure. Bytes are of one rank; tokens per second are of all ranks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/plan/plan_search.h"
#include "scheduler/heart/decide.h"
#include "scheduler/heart/turn.h"

namespace llmctl {

// What is granted, and capped, for a peak: room for what a short probe does not see.
Bytes with_headroom(Bytes peak, const SchedulerConfig& config);

// The fastest of the plans that `results` measured to fit into `room` with headroom.
std::optional<Plan> best_plan(const JobSpec& spec,
                              const std::vector<ProbeResult>& results,
                              const SearchRoom& room,
                              const SchedulerConfig& config);

// The best plan that profiles of earlier jobs already know, over the device types that `job` may
// run on; nullopt: a probe has to measure first.
std::optional<Plan> plan_from_profiles(const State& state,
                                       const Job& job,
                                       const SchedulerConfig& config);

// After a rank ran out of `grant.bytes`: a smaller plan; else the same plan with a quarter more
// memory, while some device could give it; nullopt: nothing is left to try.
std::optional<Plan> plan_after_oom(const State& state,
                                   const Job& job,
                                   const Grant& grant,
                                   const SchedulerConfig& config);
// Tells the profile that the job's plan needs more than `grant.bytes`.
void learn_bound(Turn& turn, const Job& job, const Grant& grant);

// The evidence of does_not_fit: what the smallest candidate needed.
std::string tightest(const std::vector<ProbeResult>& results,
                     Bytes cap,
                     const SchedulerConfig& config);

SearchRoom room_of(const Grant& grant);
Bytes without_headroom(Bytes granted, const SchedulerConfig& config);  // the largest such peak
std::string granted_type(const State& state, const Grant& grant);  // device_type() of the device

}  // namespace llmctl
