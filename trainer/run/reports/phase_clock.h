// PhaseClock: adds up where the time of a training attempt goes (core/training/train_phase.h). One
// phase runs at a time, or none. Host time: on a GPU what was only queued counts for the phase that
// waits for it. One thread.
#pragma once

#include <chrono>
#include <optional>

#include "core/training/train_phase.h"

namespace llmctl {

class PhaseClock {
 public:
  void enter(TrainPhase phase) {  // leaves the one before
    leave();
    phase_ = phase;
  }
  void leave() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> seconds = now - since_;
    if (phase_) seconds_[static_cast<size_t>(*phase_)] += seconds.count();
    phase_.reset();
    since_ = now;
  }
  const PhaseSeconds& seconds() const { return seconds_; }  // of the phases that were left

 private:
  PhaseSeconds seconds_{};
  std::optional<TrainPhase> phase_;
  std::chrono::steady_clock::time_point since_;
};

}  // namespace llmctl
