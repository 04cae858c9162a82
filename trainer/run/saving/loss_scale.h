// The dynamic loss scale of fp16 (Micikevicius et al., ICLR 2018; the constants are those of
// PyTorch's GradScaler): gradients are made this much larger, so that small ones do not vanish. It
// halves when they overflow, that step being skipped, and doubles after many good steps. A plain
// value that travels in checkpoints, so that a resumed run is bitwise the same.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace llmctl {

struct LossScale {
  static constexpr double kFirst = 65'536, kLeast = 1, kMost = 16'777'216;
  static constexpr int64_t kGoodSteps = 2'000;  // after which it doubles

  bool moves = false;  // fp16 only
  double value = 1;
  int64_t good_steps = 0;  // since it changed

  explicit LossScale(std::string_view precision = "fp32")
      : moves(precision == "fp16"), value(moves ? kFirst : 1) {}

  void step_was_good() {
    if (!moves || ++good_steps < kGoodSteps) return;
    good_steps = 0;
    value = std::min(2 * value, kMost);
  }
  // Returns whether a smaller scale may mend it.
  bool step_was_not_finite() {
    good_steps = 0;
    if (!moves || value <= kLeast) return false;
    value = std::max(value / 2, kLeast);
    return true;
  }
};

}  // namespace llmctl
