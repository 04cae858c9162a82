// The activations of an MLP as fused loops over contiguous fp32 rows on the CPU. Contracts of
// trainer/ops/operators.h. Rows are shared out over threads.
#pragma once

#include "trainer/device/tensor.h"
#include "trainer/ops/operands/mlp_activation.h"

namespace llmctl::cpu {

at::Tensor activate(MlpActivation kind, const at::Tensor& up);
void activate_backward(MlpActivation kind, at::Tensor& up, const at::Tensor& da);

}  // namespace llmctl::cpu
