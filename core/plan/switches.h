// The switches of a job that trade memory, time and exactness: for each of their values, what the
// peak would be if only that were changed. Pure.
#pragma once

#include <string>
#include <vector>

#include "core/plan/plan.h"

namespace llmctl {

struct Switch {
  std::string field, value;  // as in a job file
  bool chosen = false;
  Bytes peak_bytes = 0;  // predicted, with the rest of the plan as it is
  std::string about;     // what it costs
};
std::vector<Switch> switches(const JobSpec& spec, const Plan& plan);

}  // namespace llmctl
