// Which plans of a job are worth trying, by what the memory model predicts. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/plan/plan.h"

namespace llmctl {

// The plans worth trying for `spec`, best first by predicted speed: fields the user wrote are kept,
// auto ones are searched (micro-batch: divisors of global_batch / ranks; the less checkpointing the
// better). A copy for checkpoints and packed weights are part of a plan where they fit and are
// worth their memory. `origin` is set; predicted bytes are filled. At most
// limits::kProbeCandidates; never empty for a valid spec. Plans predicted above 1.25 x the cap are
// left out unless nothing else is left.
struct SearchRoom {
  Bytes cap_bytes = 0;  // 0: none
  bool on_cpu = true;   // which kind of device
};
std::vector<Plan> candidate_plans(const JobSpec& spec, const SearchRoom& room);

// The next smaller plan after an OOM: half the micro-batch or less, then more checkpointing, and
// predicted to need less than `plan`; none: give up.
std::optional<Plan> smaller_plan(const JobSpec& spec, const Plan& plan);

// Which measured profiles may be reused: everything that decides memory and speed, and nothing
// else.
std::string profile_key(const JobSpec& spec, std::string_view device_type);

}  // namespace llmctl
