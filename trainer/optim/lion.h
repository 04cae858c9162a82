// Lion (Chen et al., arXiv 2302.06675, algorithm 2): steps by the sign of an interpolation between
// moment and gradient, with decoupled decay; one moment. The pass over memory is in updates/.
#pragma once

#include "trainer/optim/optimizer.h"
#include "trainer/optim/updates/update_operands.h"

namespace llmctl {

LionFactors lion_factors(const OptimizerStep& step, bool decays);

class Lion final : public Optimizer {
 public:
  Lion(int64_t elements, int64_t decay_end, OptimizerStateHome home = {});
  std::vector<NamedTensor> state(const ParameterLayout& layout) override;

 private:
  void apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) override;
  int64_t decay_end_;
  OptimizerStateHome home_;
  at::Tensor moment_;
};

}  // namespace llmctl
