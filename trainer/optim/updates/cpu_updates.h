// The optimizers' updates as fused loops over contiguous fp32 on the CPU: one pass over memory
// each. Contracts of updates.h.
#pragma once

#include <vector>

#include "trainer/optim/updates/update_operands.h"

namespace llmctl::cpu {

void adamw(const at::Tensor& weights,
           const at::Tensor& gradients,
           const Moments& moments,
           const AdamWFactorsByDecay& factors);
void adamw_8bit(const at::Tensor& weights,
                const at::Tensor& gradients,
                const QuantizedMoment& first,
                const QuantizedMoment& second,
                const AdamWFactors& factors);
void lion(const at::Tensor& weights,
          const at::Tensor& gradients,
          const at::Tensor& moment,
          const LionFactorsByDecay& factors);
void round_stochastically(const at::Tensor& values, at::Tensor& out, uint64_t key, int64_t first);
std::vector<double> sums_of_squares(const at::Tensor& flat, const std::vector<FlatSpan>& spans);

}  // namespace llmctl::cpu
