// RMS norm by kernels of our own. Contracts of trainer/ops/operators.h. On CPU tensors they run,
// slowly, the same bodies. (Layer norm has no kernel here: LibTorch's is as good.)
#pragma once

#include "trainer/ops/operands/normed.h"

namespace llmctl::cuda {

Normed rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w, double eps);
at::Tensor recompute_rms_norm(const at::Tensor& x,
                              const at::Tensor& statistics,
                              const at::Tensor& w);
void rms_norm_backward(const at::Tensor& dy,
                       const at::Tensor& x,
                       const at::Tensor& statistics,
                       const at::Tensor& w,
                       at::Tensor& dx,
                       at::Tensor& dw);

}  // namespace llmctl::cuda
