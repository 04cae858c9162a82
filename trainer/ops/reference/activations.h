// The activations of an MLP in ATen operators alone. Contracts of trainer/ops/operators.h.
#pragma once

#include "trainer/device/tensor.h"
#include "trainer/ops/operands/mlp_activation.h"

namespace llmctl::reference {

at::Tensor activate(MlpActivation kind, const at::Tensor& up);
void activate_backward(MlpActivation kind, at::Tensor& up, const at::Tensor& da);

}  // namespace llmctl::reference
