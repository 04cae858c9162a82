// Token embedding of contiguous fp32 on the CPU. Contracts of trainer/ops/operators.h. Gradients
// are added in token order, so the sum does not depend on the number of threads: each owns columns,
// not tokens.
#pragma once

#include "trainer/device/tensor.h"

namespace llmctl::cpu {

at::Tensor embed(const at::Tensor& ids, const at::Tensor& table);
void embed_backward(const at::Tensor& ids, const at::Tensor& dx, at::Tensor& dtable);

}  // namespace llmctl::cpu
