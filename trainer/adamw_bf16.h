// AdamW whose moments are kept in bf16, half of adamw's state: read, updated in fp32, used, and
// rounded to nearest even when put back. One pass like adamw's; the ATen form is for other devices.
#pragma once

#include "trainer/optimizer.h"

namespace llmctl {

class AdamWBf16 final : public Optimizer {
 public:
  AdamWBf16(int64_t elements, int64_t decay_end, StateStore store = {});
  std::vector<NamedTensor> state(const ParameterLayout& layout) override;

 private:
  void apply(WeightWindows& weights, at::Tensor& gradients, const OptimizerStep& step) override;
  int64_t decay_end_;
  StateStore store_;
  at::Tensor first_, second_;
};

}  // namespace llmctl
