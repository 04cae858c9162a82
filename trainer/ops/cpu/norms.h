// RMS norm and layer norm as fused loops over contiguous fp32 rows on the CPU. Contracts of
// trainer/ops/operators.h. Rows are shared out over threads; sums over rows run in an order that
// does not depend on how.
#pragma once

#include "trainer/ops/operands/normed.h"
#include "trainer/ops/operands/weights.h"

namespace llmctl::cpu {

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

Normed layer_norm(const at::Tensor& x, const at::Tensor& delta, const NormTensors& w, double eps);
at::Tensor recompute_layer_norm(const at::Tensor& x,
                                const at::Tensor& statistics,
                                const NormTensors& w);
void layer_norm_backward(const at::Tensor& dy,
                         const at::Tensor& x,
                         const at::Tensor& statistics,
                         const at::Tensor& weight,
                         at::Tensor& dx,
                         NormTensors& dw);

}  // namespace llmctl::cpu
