#include "trainer/optim/adamw.h"

#include <bit>
#include <cmath>

#include "trainer/ops/cpu/simd.h"
#include "trainer/optim/cuda_updates.h"
#include "trainer/optim/reference_updates.h"

namespace llmctl {
namespace {

[[gnu::always_inline]] inline float widen(float value) {
  return value;
}
[[gnu::always_inline]] inline float widen(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

[[gnu::always_inline]] inline void put(float value, float& out) {
  out = value;
}
// To nearest, ties to even. Gradients that are not finite never come here.
[[gnu::always_inline]] inline void put(float value, uint16_t& out) {
  const auto bits = std::bit_cast<uint32_t>(value);
  out = static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

template <class Number>
[[gnu::always_inline]] inline void update_elements(
    float* w, float* g, Number* m, Number* v, int64_t n, AdamWFactors f) {
  for (int64_t i = 0; i < n; ++i) {
    const float grad = g[i] * f.clip;
    const float first = f.beta1 * widen(m[i]) + (1.0f - f.beta1) * grad;
    const float second = f.beta2 * widen(v[i]) + (1.0f - f.beta2) * grad * grad;
    const float deviation = __builtin_sqrtf(second) * f.inverse_root_correction2 + f.epsilon;
    w[i] = w[i] * f.keep - f.step_size * (first / deviation);
    put(first, m[i]);
    put(second, v[i]);
    g[i] = 0;
  }
}

SIMD_CLONES void adamw_range(float* w, float* g, float* m, float* v, int64_t n, AdamWFactors f) {
  update_elements(w, g, m, v, n, f);
}
SIMD_CLONES void adamw_range(
    float* w, float* g, uint16_t* m, uint16_t* v, int64_t n, AdamWFactors f) {
  update_elements(w, g, m, v, n, f);
}

template <class Number>
void update_on_cpu(const at::Tensor& weights,
                   const at::Tensor& gradients,
                   const Moments& moments,
                   int64_t decay_end,
                   const AdamWFactors& decayed,
                   const AdamWFactors& plain) {
  auto *w = weights.mutable_data_ptr<float>(), *g = gradients.mutable_data_ptr<float>();
  auto* m = static_cast<Number*>(moments.first.mutable_data_ptr());
  auto* v = static_cast<Number*>(moments.second.mutable_data_ptr());
  for_ranges(weights.numel(), decay_end, [&](int64_t begin, int64_t size, bool decays) {
    adamw_range(w + begin, g + begin, m + begin, v + begin, size, decays ? decayed : plain);
  });
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
  if (moments.first.scalar_type() == at::kBFloat16) {
    return update_on_cpu<uint16_t>(weights, gradients, moments, decay_end, decayed, plain);
  }
  update_on_cpu<float>(weights, gradients, moments, decay_end, decayed, plain);
}

AdamW::AdamW(int64_t elements, int64_t decay_end, StateStore store, at::ScalarType moments)
    : decay_end_(decay_end),
      store_(std::move(store)),
      first_(store_.zeros({elements}, moments)),
      second_(store_.zeros({elements}, moments)) {}

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
