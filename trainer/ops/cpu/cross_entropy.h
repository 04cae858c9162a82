// Cross-entropy of fp32 logits as one fused loop on the CPU. Contract of trainer/ops/operators.h.
// Rows are shared out over threads; their losses are summed in row order.
#pragma once

#include <optional>

#include "trainer/device/tensor.h"

namespace llmctl::cpu {

void cross_entropy(at::Tensor& logits,
                   const at::Tensor& labels,
                   std::optional<double> scale,
                   at::Tensor& total);

}  // namespace llmctl::cpu
