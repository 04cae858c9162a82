// AdamW (Loshchilov & Hutter, arXiv 1711.05101; PyTorch's formula) as one pass over flat buffers:
// clip, decay, moments, update and clearing the gradient together. Weights before `decay_end`
// decay, those behind (norms) do not. Owns the moments. Deterministic for any number of threads.
// Tensors on another device than the CPU go to trainer/aten.h.
#pragma once

#include "trainer/tensor.h"

namespace llmctl {

struct AdamWStep {
  double learning_rate = 0;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0;
  double gradient_scale = 1;  // clipping
};

class AdamW {
 public:
  AdamW(int64_t elements, int64_t decay_end, at::Device device = at::kCPU);
  // weights and gradients: flat fp32 of `elements`; the gradients are zero afterwards.
  void update(at::Tensor& weights, at::Tensor& gradients, const AdamWStep& step);

  at::Tensor& first_moment() { return first_; }
  at::Tensor& second_moment() { return second_; }
  int64_t updates() const { return updates_; }
  void set_updates(int64_t updates) { updates_ = updates; }  // on resume

 private:
  at::Tensor first_, second_;
  int64_t decay_end_;
  int64_t updates_ = 0;
};

// Euclidean norm, summed in double in a fixed order; infinite or NaN when any element is.
double gradient_norm(const at::Tensor& gradients);
// What to multiply gradients with so that their norm is at most `max_norm`; 0: no limit.
double clip_scale(double norm, double max_norm);

}  // namespace llmctl
