#include "trainer/optim/lion.h"

#include "trainer/ops/cpu/simd.h"
#include "trainer/optim/cuda_updates.h"
#include "trainer/optim/reference_updates.h"

namespace llmctl {
namespace {

SIMD_CLONES void lion_range(float* w, float* g, float* m, int64_t n, LionFactors f) {
  for (int64_t i = 0; i < n; ++i) {
    const float grad = g[i] * f.clip;
    const float direction = f.beta1 * m[i] + (1.0f - f.beta1) * grad;
    const float sign = direction > 0 ? 1.0f : direction < 0 ? -1.0f : 0.0f;
    w[i] = w[i] * f.keep - f.step_size * sign;
    m[i] = f.beta2 * m[i] + (1.0f - f.beta2) * grad;
    g[i] = 0;
  }
}

}  // namespace

Lion::Lion(int64_t elements, int64_t decay_end, StateStore store)
    : decay_end_(decay_end), store_(std::move(store)), moment_(store_.zeros({elements})) {}

std::vector<NamedTensor> Lion::state(const ParameterLayout& layout) {
  store_.settle();
  std::vector<NamedTensor> all;
  append_slots(all, "moment.", layout, moment_);
  return all;
}

LionFactors lion_factors(const OptimizerStep& step, bool decays) {
  const double keep = decays ? 1 - step.learning_rate * step.weight_decay : 1;
  return {static_cast<float>(step.gradient_scale), static_cast<float>(step.beta1),
          static_cast<float>(step.beta2), static_cast<float>(keep),
          static_cast<float>(step.learning_rate)};
}

static void lion_update(const at::Tensor& weights,
                        const at::Tensor& gradients,
                        const at::Tensor& moment,
                        int64_t decay_end,
                        const OptimizerStep& step) {
  const LionFactors decayed = lion_factors(step, true), plain = lion_factors(step, false);
  if (own::take(weights)) {
    return own::lion(weights, gradients, moment, {decay_end, decayed, plain});
  }
  if (!weights.is_cpu()) return aten::lion(weights, gradients, moment, decay_end, step);
  auto *w = weights.mutable_data_ptr<float>(), *g = gradients.mutable_data_ptr<float>(),
       *m = moment.mutable_data_ptr<float>();
  for_ranges(weights.numel(), decay_end, [&](int64_t begin, int64_t size, bool decays) {
    lion_range(w + begin, g + begin, m + begin, size, decays ? decayed : plain);
  });
}

void Lion::apply(WeightWindows& weights, at::Tensor& gradients, const OptimizerStep& step) {
  store_.visit_flat({moment_}, [&](int64_t begin, int64_t size, StateStore::Tensors& moment) {
    weights.change(begin, size, [&](const WeightWindow& w) {
      lion_update(w.weights, w.of(gradients), w.of(moment[0], begin), w.decay_end(decay_end_),
                  step);
    });
  });
}

}  // namespace llmctl
