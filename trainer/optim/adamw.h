// AdamW (Loshchilov & Hutter, arXiv 1711.05101; PyTorch's formula), with both moments in fp32, or
// in bf16 for half of the state. Weights before `decay_end` decay, those behind (norms) do not. The
// pass over memory is in updates/.
#pragma once

#include "trainer/optim/optimizer.h"
#include "trainer/optim/updates/update_operands.h"

namespace llmctl {

// One update of all that is given, by the form for where it lies. The `update`-th one, counted
// from 1. All of the same number of elements; the others fp32.
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
        OptimizerStateHome home = {},
        at::ScalarType moments = at::kFloat);
  std::vector<NamedTensor> state(const ParameterLayout& layout) override;
  at::Tensor& first_moment() { return first_; }
  at::Tensor& second_moment() { return second_; }

 private:
  void apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) override;
  int64_t decay_end_;
  OptimizerStateHome home_;
  at::Tensor first_, second_;
};

}  // namespace llmctl
