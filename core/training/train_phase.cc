#include "core/training/train_phase.h"

namespace llmctl {

const char* to_string(TrainPhase phase) {
  static constexpr std::array<const char*, kTrainPhases> kNames = {
      "data", "compute", "communication", "optimizer", "checkpoint", "eval"};
  return kNames[static_cast<size_t>(phase)];
}

}  // namespace llmctl
