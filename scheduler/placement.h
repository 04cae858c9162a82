// Placement: workers x job -> a grant for every rank, or why not, per worker. Pure.
#pragma once

#include <variant>
#include <vector>

#include "scheduler/decide.h"

namespace llmctl {

// Why one worker (or device) cannot take the job now. `explain`, metrics and tests read the same.
struct Refusal {
  WorkerId worker;
  enum class Why { lost, draining, disconnected, no_such_device, unhealthy, memory, slots } why;
  Bytes need = 0, have = 0;  // memory: bytes; slots: ranks
  bool for_ever = false;     // would not fit even an empty device
  bool operator==(const Refusal&) const = default;
};
using Placement = std::variant<std::vector<Grant>, std::vector<Refusal>>;

// A place for all ranks of the job's next attempt (probe when not fitted), or every refusal.
// Prefers one worker, then the tightest fit, then the lowest id.
Placement place(const State& state, const Job& job, const SchedulerConfig& config);

}  // namespace llmctl
