// RMS normalization of rows (Zhang & Sennrich, arXiv 1910.07467): y = x * r * w with
// r = 1 / sqrt(mean(x^2) + eps). Fused CPU kernels over contiguous fp32 [T, H]; the rows are shared
// out over threads, sums over rows run in an order that does not depend on how. Tensors on another
// device go to trainer/ops/reference/aten.h.
#pragma once

#include "trainer/device/tensor.h"

namespace llmctl {

struct Normed {
  at::Tensor y;           // [T, H]
  at::Tensor statistics;  // [T]: r, all that backward needs besides x and w; of a layer norm
                          // [T, 2]: mean and r
};
Normed rms_norm(const at::Tensor& x, const at::Tensor& w, double eps);
// x += delta, then rms_norm(x): one pass for the residual stream and its norm.
Normed add_rms_norm(at::Tensor& x, const at::Tensor& delta, const at::Tensor& w, double eps);
// y once more, from what forward saved.
at::Tensor rms_norm_again(const at::Tensor& x, const at::Tensor& statistics, const at::Tensor& w);

// dx += d/dx, dw += d/dw.
void rms_norm_backward(const at::Tensor& dy,
                       const at::Tensor& x,
                       const at::Tensor& statistics,
                       const at::Tensor& w,
                       at::Tensor& dx,
                       at::Tensor& dw);

}  // namespace llmctl
