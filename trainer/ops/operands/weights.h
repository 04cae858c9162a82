// The weights of an operator, or their gradients: views, not owned. What a model does not have is
// undefined.
#pragma once

#include "trainer/device/tensor.h"

namespace llmctl {

struct NormTensors {
  at::Tensor weight, bias;
};
struct LinearTensors {
  at::Tensor weight, bias;
};

}  // namespace llmctl
