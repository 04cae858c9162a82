// The three matrix products of a linear layer y = x W^T. LibTorch runs each at the speed of a
// square one; nothing here copies.
#pragma once

#include "trainer/tensor.h"

namespace llmctl {

inline at::Tensor linear_forward(const at::Tensor& x, const at::Tensor& w) {
  return at::mm(x, w.t());
}

// dW += dy^T x.
inline void add_weight_gradient(at::Tensor& dw, const at::Tensor& dy, const at::Tensor& x) {
  at::addmm_out(dw, dw, dy.t(), x);
}

}  // namespace llmctl
