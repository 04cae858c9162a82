// AdamW (Loshchilov & Hutter, arXiv 1711.05101; PyTorch's formula) as one pass over flat buffers:
// clip, decay, moments, update and clearing the gradient together. Moments kept in bf16, half of
// the state, are read, updated in fp32, used, and rounded to nearest even when put back. Weights
// before `decay_end` decay, those behind (norms) do not. Deterministic for any number of threads.
// Tensors on another device than the CPU go to trainer/ops/cuda/cuda_operators.h or
// trainer/ops/reference/aten.h.
#pragma once

#include "trainer/ops/cuda/kernels/update_elements.h"
#include "trainer/optim/optimizer.h"

namespace llmctl {

struct Moments {
  at::Tensor first, second;  // fp32 or bf16
};
// The `update`-th one, counted from 1. All of the same number of elements; the others fp32.
void adamw_update(const at::Tensor& weights,
                  const at::Tensor& gradients,
                  const Moments& moments,
                  int64_t decay_end,
                  int64_t update,
                  const OptimizerStep& step);

AdamWFactors adamw_factors(const OptimizerStep& step, int64_t update, bool decays);

class AdamW final : public Optimizer {
 public:
  AdamW(int64_t elements,
        int64_t decay_end,
        StateStore store = {},
        at::ScalarType moments = at::kFloat);
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
