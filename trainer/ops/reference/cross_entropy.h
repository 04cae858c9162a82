// Cross-entropy of logits in ATen operators alone. Contract of trainer/ops/operators.h.
#pragma once

#include <optional>

#include "trainer/device/tensor.h"

namespace llmctl::reference {

void cross_entropy(at::Tensor& logits,
                   const at::Tensor& labels,
                   std::optional<double> scale,
                   at::Tensor& total);

}  // namespace llmctl::reference
