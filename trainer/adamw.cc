#include "trainer/adamw.h"

#include <algorithm>
#include <cmath>

#include "trainer/aten.h"
#include "trainer/own_kernels.h"
#include "trainer/simd.h"

namespace llmctl {
namespace {

constexpr int64_t kPart = 1 << 16;  // elements of one thread's turn

SIMD_CLONES void update_range(float* w, float* g, float* m, float* v, int64_t n, AdamWFactors f) {
  for (int64_t i = 0; i < n; ++i) {
    const float grad = g[i] * f.clip;
    m[i] = f.beta1 * m[i] + (1.0f - f.beta1) * grad;
    v[i] = f.beta2 * v[i] + (1.0f - f.beta2) * grad * grad;
    const float deviation = __builtin_sqrtf(v[i]) * f.inverse_root_correction2 + f.epsilon;
    w[i] = w[i] * f.keep - f.step_size * (m[i] / deviation);
    g[i] = 0;
  }
}

}  // namespace

AdamWFactors adamw_factors(const OptimizerStep& step, int64_t update, bool decays) {
  const auto t = static_cast<double>(update);
  const double correction1 = 1 - std::pow(step.beta1, t), correction2 = 1 - std::pow(step.beta2, t);
  const double keep = decays ? 1 - step.learning_rate * step.weight_decay : 1;
  return {static_cast<float>(step.gradient_scale),
          static_cast<float>(step.beta1),
          static_cast<float>(step.beta2),
          static_cast<float>(keep),
          static_cast<float>(step.learning_rate / correction1),
          static_cast<float>(1 / std::sqrt(correction2)),
          static_cast<float>(step.epsilon)};
}

void adamw_update(const at::Tensor& weights,
                  const at::Tensor& gradients,
                  const Moments& moments,
                  int64_t decay_end,
                  int64_t update,
                  const OptimizerStep& step) {
  const AdamWFactors decayed = adamw_factors(step, update, true);
  const AdamWFactors plain = adamw_factors(step, update, false);
  if (own::take(weights)) {
    return own::adamw(weights, gradients, moments, {decay_end, decayed, plain});
  }
  if (!weights.is_cpu()) {
    return aten::adamw(weights, gradients, moments, decay_end, update, step);
  }
  auto *w = weights.mutable_data_ptr<float>(), *g = gradients.mutable_data_ptr<float>(),
       *m = moments.first.mutable_data_ptr<float>(), *v = moments.second.mutable_data_ptr<float>();
  at::parallel_for(0, weights.numel(), kPart, [&](int64_t begin, int64_t end) {
    const int64_t middle = std::clamp(decay_end, begin, end);
    update_range(w + begin, g + begin, m + begin, v + begin, middle - begin, decayed);
    update_range(w + middle, g + middle, m + middle, v + middle, end - middle, plain);
  });
}

AdamW::AdamW(int64_t elements, int64_t decay_end, StateStore store)
    : decay_end_(decay_end),
      store_(std::move(store)),
      first_(store_.zeros({elements})),
      second_(store_.zeros({elements})) {}

std::vector<NamedTensor> AdamW::state(const ParameterLayout& layout) {
  store_.settle();
  std::vector<NamedTensor> all;
  append_slots(all, "first_moment.", layout, first_);
  append_slots(all, "second_moment.", layout, second_);
  return all;
}

void AdamW::apply(WeightWindows& weights, at::Tensor& gradients, const OptimizerStep& step) {
  store_.visit_flat({first_, second_}, [&](int64_t begin, int64_t size,
                                           StateStore::Tensors& moments) {
    weights.change(begin, size, [&](const WeightWindow& w) {
      adamw_update(w.weights, w.of(gradients), {w.of(moments[0], begin), w.of(moments[1], begin)},
                   w.decay_end(decay_end_), updates(), step);
    });
  });
}

}  // namespace llmctl
