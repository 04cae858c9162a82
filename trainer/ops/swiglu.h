// SwiGLU (Shazeer, arXiv 2002.05202): a = silu(g) * u, with g and u side by side in one row as the
// fused gate/up product writes them. Fused CPU kernels over contiguous fp32; tensors on another
// device go to trainer/ops/reference/aten.h.
#pragma once

#include "trainer/device/tensor.h"

namespace llmctl {

at::Tensor swiglu(const at::Tensor& gate_up);  // [T, 2I] -> [T, I]
// Replaces gate_up by its gradient, given da [T, I]: nothing new is allocated.
void swiglu_backward(at::Tensor& gate_up, const at::Tensor& da);

}  // namespace llmctl
