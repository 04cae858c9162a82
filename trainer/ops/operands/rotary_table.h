// The angles of rotary position embedding (Su et al., arXiv 2104.09864) in Hugging Face's
// half-split layout: at position p the pair (i, i + R/2) of a head is turned by p * theta^(-2i/R),
// where R is head_dim or the first part of it. A value of two tensors, made once and only read.
#pragma once

#include "core/model/model_config.h"
#include "trainer/device/tensor.h"

namespace llmctl {

struct RotaryTable {
  at::Tensor cosine, sine;  // [positions, R/2]
  int64_t pairs() const { return cosine.size(1); }
};
RotaryTable rotary_table(int64_t positions, int64_t head_dim, double theta, at::Device device);
// With the model's scaling (layout/rope_scaling.h); `local` is for layers with a sliding window.
// For a model with learned positions all angles are zero: it turns nothing.
RotaryTable rotary_table(int64_t positions,
                         const ModelConfig& config,
                         bool local,
                         at::Device device);

}  // namespace llmctl
