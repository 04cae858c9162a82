// Where one rank stands, as its worker tells it at every hello and heartbeat until the scheduler
// stops wanting the run. A plain value, shared by worker, wire and heart.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/run/event.h"

namespace llmctl {

struct RunStatus {
  JobId job;
  Epoch epoch;
  int32_t rank = 0;
  enum class Phase { spawning, up, ended } phase = Phase::spawning;
  std::string device;  // device_label(); empty: not known, found on disk after a restart
  int64_t pid = 0;
  Outcome outcome = Outcome::done;  // ended
  std::string detail;               // ended
  std::vector<ProbeResult> probes;  // ended probe
  bool operator==(const RunStatus&) const = default;
};

}  // namespace llmctl
