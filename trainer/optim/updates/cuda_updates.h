// The optimizers' updates by kernels of our own: one pass over the weights on a GPU. Contracts of
// updates.h. On CPU tensors they run, slowly, the same bodies.
#pragma once

#include "trainer/optim/updates/update_operands.h"

namespace llmctl::cuda {

void adamw(const at::Tensor& weights,
           const at::Tensor& gradients,
           const Moments& moments,
           const AdamWFactorsByDecay& factors);
void lion(const at::Tensor& weights,
          const at::Tensor& gradients,
          const at::Tensor& moment,
          const LionFactorsByDecay& factors);

}  // namespace llmctl::cuda
