// The optimizers' updates by kernels of our own: one pass over the weights on a GPU. On CPU tensors
// they run, slowly, the same bodies. Work is only enqueued, on the current stream.
#pragma once

#include "trainer/ops/cuda/run_kernel.h"
#include "trainer/optim/adamw.h"

namespace llmctl::own {

struct Decayed {  // the factors of elements before `end`, and of the rest
  int64_t end;
  AdamWFactors before, behind;
};
void adamw(const at::Tensor& weights,
           const at::Tensor& gradients,
           const Moments& moments,
           const Decayed& factors);

struct LionDecayed {
  int64_t end;
  LionFactors before, behind;
};
void lion(const at::Tensor& weights,
          const at::Tensor& gradients,
          const at::Tensor& moment,
          const LionDecayed& factors);

}  // namespace llmctl::own
