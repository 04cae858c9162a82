// The loss head: mean cross-entropy of the next token, in chunks of tokens, so that logits never
// exist as a whole. Backward runs with forward: a chunk's logits become its gradient in place, and
// the gradient of the hidden rows replaces the hidden rows. Sums are doubles on the device of
// `hidden`: reading one waits for the device, so that is done once per step.
#pragma once

#include "trainer/device/tensor.h"

namespace llmctl {

// Sum of -log p(label) over the rows of hidden [T, H], labels [T] int32, weight [V, H]. Rows whose
// label is below 0 are masked: they add neither loss nor gradient. With a soft cap c > 0 logits are
// c tanh(logit / c).
at::Tensor loss_sum(const at::Tensor& hidden,
                    const at::Tensor& labels,
                    const at::Tensor& weight,
                    double soft_cap = 0);

struct LossOptions {
  at::Tensor scale;     // of the gradients: one fp32 on the device
  double soft_cap = 0;  // 0: none
};
// The same, and gradients of scale * sum: hidden becomes d/dhidden, weight_grad += d/dweight.
at::Tensor loss_sum_and_gradient(at::Tensor& hidden,
                                 const at::Tensor& labels,
                                 const at::Tensor& weight,
                                 at::Tensor& weight_grad,
                                 const LossOptions& options);

}  // namespace llmctl
