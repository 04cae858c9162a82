// RunKey: names one rank of one attempt, in messages, maps and the names of run directories. The
// epoch fences: two runs of the same rank differ in it.
#pragma once

#include <compare>
#include <cstdint>

#include "core/base/ids.h"

namespace llmctl::worker {

struct RunKey {
  JobId job;
  Epoch epoch;
  int32_t rank = 0;
  auto operator<=>(const RunKey&) const = default;  // NOLINT: the check misreads <=>
};

}  // namespace llmctl::worker
