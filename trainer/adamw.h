// AdamW (Loshchilov & Hutter, arXiv 1711.05101; PyTorch's formula) as one pass over flat buffers:
// clip, decay, moments, update and clearing the gradient together. Weights before `decay_end`
// decay, those behind (norms) do not. Deterministic for any number of threads. Tensors on another
// device than the CPU go to trainer/aten.h.
#pragma once

#include "trainer/kernels/update_elements.h"
#include "trainer/optimizer.h"

namespace llmctl {

struct Moments {
  at::Tensor first, second;
};
// The `update`-th one, counted from 1. All of the same number of elements, fp32.
void adamw_update(const at::Tensor& weights,
                  const at::Tensor& gradients,
                  const Moments& moments,
                  int64_t decay_end,
                  int64_t update,
                  const OptimizerStep& step);

AdamWFactors adamw_factors(const OptimizerStep& step, int64_t update, bool decays);

class AdamW final : public Optimizer {
 public:
  AdamW(int64_t elements, int64_t decay_end, StateStore store = {});
  std::vector<NamedTensor> state(const ParameterLayout& layout) override;
  at::Tensor& first_moment() { return first_; }
  at::Tensor& second_moment() { return second_; }

 private:
  void apply(WeightWindows& weights, at::Tensor& gradients, const OptimizerStep& step) override;
  int64_t decay_end_;
  StateStore store_;
  at::Tensor first_, second_;
};

}  // namespace llmctl
