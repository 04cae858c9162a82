// The row-wise and elementwise operators of the engine, and the one place that chooses their form.
// operands/operator_types.h says what each does; cpu/, cuda/ and reference/ are the forms. Products
// are in linear.h, attention has its own choice in attention.h.
#pragma once

#include "trainer/ops/operands/operator_types.h"

namespace llmctl {

struct Operators {
  const RmsNorm& rms_norm;
  const LayerNorm& layer_norm;
  const Activation& activation;
  const Rotary& rotary;
  const Embedding& embedding;
  const CrossEntropy& cross_entropy;
};

// Those for tensors of the device and type of `rows`. The table lives as long as the program.
const Operators& operators_for(const at::Tensor& rows);

}  // namespace llmctl
