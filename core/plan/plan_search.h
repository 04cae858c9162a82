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
// better). `origin` is set; predicted bytes are filled. At most limits::kProbeCandidates; never
// empty for a valid spec. Plans predicted above 1.25 x `cap_bytes` are left out unless nothing else
// is left.
std::vector<Plan> candidate_plans(const JobSpec& spec, Bytes cap_bytes);

// The next smaller plan after an OOM: half the micro-batch or less, then more checkpointing, and
// predicted to need less than `plan`; none: give up.
std::optional<Plan> smaller_plan(const JobSpec& spec, const Plan& plan);

// Which measured profiles may be reused: everything that decides memory and speed, and nothing
// else.
std::string profile_key(const JobSpec& spec, std::string_view device_type);

}  // namespace llmctl
