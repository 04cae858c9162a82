// The matrix products of the engine, in fp32, bf16 or fp16: operands of one type, or one of them
// fp32; sums are fp32, and so are biases. LibTorch runs each layout at the speed of a square one;
// nothing here copies, but where a CPU has no instructions for a 16-bit type, its operands are
// widened to fp32 first, and 16-bit weights of fp32 rows are widened piece by piece.
#pragma once

#include "trainer/device/tensor.h"
#include "trainer/ops/operands/weights.h"

namespace llmctl {

at::Tensor product(const at::Tensor& a, const at::Tensor& b);  // of the type of `a`
void product_into(at::Tensor& out, const at::Tensor& a, const at::Tensor& b);
void add_product(at::Tensor& sum, const at::Tensor& a, const at::Tensor& b);  // sum is fp32

// y = x W^T + b. Views of weights and of fp32 gradients, with or without a bias.
class Linear {
 public:
  Linear(LinearTensors weights, LinearTensors gradients)
      : w_(std::move(weights)), g_(std::move(gradients)) {}

  at::Tensor forward(const at::Tensor& x) const;
  void add_gradients(const at::Tensor& dy, const at::Tensor& x) {
    add_product(g_.weight, dy.t(), x);
    if (w_.bias.defined()) g_.bias.add_(dy.sum(0, /*keepdim=*/false, at::kFloat));
  }
  at::Tensor input_gradient(const at::Tensor& dy) const { return product(dy, w_.weight); }
  // Into the memory of `x`, which is no longer needed.
  at::Tensor& input_gradient(const at::Tensor& dy, at::Tensor& x) const {
    product_into(x, dy, w_.weight);
    return x;
  }

 private:
  LinearTensors w_, g_;
};

}  // namespace llmctl
