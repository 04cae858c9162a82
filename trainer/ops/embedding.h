// Token embedding: rows of a table by id. Gradients are added in token order, so the sum does not
// depend on the number of threads (each thread owns columns, not tokens). Tensors on
// another device go to trainer/ops/reference/aten.h.
#pragma once

#include "trainer/device/tensor.h"

namespace llmctl {

// ids [T] int32, each in [0, V): the caller has checked. -> [T, H]
at::Tensor embed(const at::Tensor& ids, const at::Tensor& table);
void embed_backward(const at::Tensor& ids, const at::Tensor& dx, at::Tensor& dtable);  // +=

}  // namespace llmctl
