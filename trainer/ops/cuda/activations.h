// The activations of an MLP by kernels of our own. Contracts of trainer/ops/operators.h. On CPU
// tensors they run, slowly, the same bodies.
#pragma once

#include "trainer/device/tensor.h"
#include "trainer/ops/operands/mlp_activation.h"

namespace llmctl::cuda {

at::Tensor activate(MlpActivation kind, const at::Tensor& up);
void activate_backward(MlpActivation kind, at::Tensor& up, const at::Tensor& da);

}  // namespace llmctl::cuda
