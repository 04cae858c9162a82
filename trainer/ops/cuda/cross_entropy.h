// Cross-entropy of fp32 logits by a kernel of our own. Contract of trainer/ops/operators.h. On CPU
// tensors it runs, slowly, the same body.
#pragma once

#include <optional>

#include "trainer/device/tensor.h"

namespace llmctl::cuda {

void cross_entropy(at::Tensor& logits,
                   const at::Tensor& labels,
                   std::optional<double> scale,
                   at::Tensor& total);

}  // namespace llmctl::cuda
