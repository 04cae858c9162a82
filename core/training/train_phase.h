// TrainPhase: where the time of a training attempt goes. The trainer adds up seconds (phase_clock),
// reports carry the totals since the attempt began, Prometheus and `show` tell their shares.
#pragma once

#include <array>
#include <cstddef>

namespace llmctl {

enum class TrainPhase {
  data,           // reading and laying out batches
  compute,        // forward and backward
  communication,  // between ranks
  optimizer,
  checkpoint,  // while training waits for it
  eval,
};
inline constexpr size_t kTrainPhases = 6;
const char* to_string(TrainPhase phase);

using PhaseSeconds = std::array<double, kTrainPhases>;  // by TrainPhase

}  // namespace llmctl
