// The three matrix products of a linear layer y = x W^T + b. LibTorch runs each at the speed of a
// square one; nothing here copies.
#pragma once

#include "trainer/parameters.h"
#include "trainer/tensor.h"

namespace llmctl {

inline at::Tensor linear_forward(const at::Tensor& x, const at::Tensor& w) {
  return at::mm(x, w.t());
}

// dW += dy^T x.
inline void add_weight_gradient(at::Tensor& dw, const at::Tensor& dy, const at::Tensor& x) {
  at::addmm_out(dw, dw, dy.t(), x);
}

// Views of weights and gradients, with or without a bias.
class Linear {
 public:
  Linear(LinearTensors weights, LinearTensors gradients)
      : w_(std::move(weights)), g_(std::move(gradients)) {}

  at::Tensor forward(const at::Tensor& x) const {
    return w_.bias.defined() ? at::addmm(w_.bias, x, w_.weight.t()) : linear_forward(x, w_.weight);
  }
  void add_gradients(const at::Tensor& dy, const at::Tensor& x) {
    add_weight_gradient(g_.weight, dy, x);
    if (w_.bias.defined()) g_.bias.add_(dy.sum(0));
  }
  at::Tensor input_gradient(const at::Tensor& dy) const { return at::mm(dy, w_.weight); }
  // Into the memory of `x`, which is no longer needed.
  at::Tensor& input_gradient(const at::Tensor& dy, at::Tensor& x) const {
    return at::mm_out(x, dy, w_.weight);
  }

 private:
  LinearTensors w_, g_;
};

}  // namespace llmctl
