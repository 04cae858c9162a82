// One pass of AdamW or Lion over flat buffers, by element: clip, decay, moments, update, and the
// gradient set to zero. Elements before `decay_end` decay. The formulas are those of
// optim/updates/cpu_updates.cc; moments are float or bfloat16.
#pragma once

#include "trainer/ops/cuda/kernels/lanes.h"

namespace llmctl {

struct AdamWFactors {  // of one update, in the kernels' precision
  float clip, beta1, beta2, keep, step_size, inverse_root_correction2, epsilon;
};
struct LionFactors {
  float clip, beta1, beta2, keep, step_size;
};

namespace kernels {

template <class Moment>
struct AdamWUpdate {
  float *weights, *gradients;
  Moment *first, *second;
  int64_t decay_end;
  AdamWFactors decayed, plain;

  LLMCTL_DEVICE void operator()(int64_t i) const {
    const AdamWFactors& f = i < decay_end ? decayed : plain;
    const float grad = gradients[i] * f.clip;
    const float m = f.beta1 * static_cast<float>(first[i]) + (1.0f - f.beta1) * grad;
    const float v = f.beta2 * static_cast<float>(second[i]) + (1.0f - f.beta2) * grad * grad;
    const float deviation = sqrtf(v) * f.inverse_root_correction2 + f.epsilon;
    weights[i] = weights[i] * f.keep - f.step_size * (m / deviation);
    first[i] = static_cast<Moment>(m);
    second[i] = static_cast<Moment>(v);
    gradients[i] = 0;
  }
};

struct LionUpdate {
  float *weights, *gradients, *moment;
  int64_t decay_end;
  LionFactors decayed, plain;

  LLMCTL_DEVICE void operator()(int64_t i) const {
    const LionFactors& f = i < decay_end ? decayed : plain;
    const float grad = gradients[i] * f.clip;
    const float direction = f.beta1 * moment[i] + (1.0f - f.beta1) * grad;
    const float sign = direction > 0 ? 1.0f : direction < 0 ? -1.0f : 0.0f;
    weights[i] = weights[i] * f.keep - f.step_size * sign;
    moment[i] = f.beta2 * moment[i] + (1.0f - f.beta2) * grad;
    gradients[i] = 0;
  }
};

}  // namespace kernels
}  // namespace llmctl
