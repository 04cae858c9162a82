// Layer normalization of rows (Ba et al., arXiv 1607.06450): y = (x - mean) * r * w + b with
// r = 1 / sqrt(variance + eps). As rms_norm.h in everything else: fused CPU kernels, sums over rows
// in an order that does not depend on threads, other devices by trainer/ops/reference/aten.h.
#pragma once

#include "trainer/ops/rms_norm.h"
#include "trainer/ops/weights.h"

namespace llmctl {

Normed layer_norm(const at::Tensor& x, const NormTensors& w, double eps);
// x += delta, then layer_norm(x).
Normed add_layer_norm(at::Tensor& x, const at::Tensor& delta, const NormTensors& w, double eps);
at::Tensor layer_norm_again(const at::Tensor& x,
                            const at::Tensor& statistics,
                            const NormTensors& w);
// dx += d/dx, dw += d/dw.
void layer_norm_backward(const at::Tensor& dy,
                         const at::Tensor& x,
                         const at::Tensor& statistics,
                         const at::Tensor& weight,
                         at::Tensor& dx,
                         NormTensors& dw);

}  // namespace llmctl
