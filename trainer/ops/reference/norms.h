// RMS norm and layer norm in ATen operators alone. Contracts of trainer/ops/operators.h. LibTorch's
// fused layer norm is used where it has one.
#pragma once

#include "trainer/ops/operands/normed.h"
#include "trainer/ops/operands/weights.h"

namespace llmctl::reference {

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

}  // namespace llmctl::reference
