// Token embedding in ATen operators alone. Contracts of trainer/ops/operators.h.
#pragma once

#include "trainer/device/tensor.h"

namespace llmctl::reference {

at::Tensor embed(const at::Tensor& ids, const at::Tensor& table);
void embed_backward(const at::Tensor& ids, const at::Tensor& dx, at::Tensor& dtable);

}  // namespace llmctl::reference
