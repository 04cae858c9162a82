#include "trainer/adamw_bf16.h"

#include <algorithm>
#include <bit>

#include "trainer/adamw.h"
#include "trainer/aten.h"
#include "trainer/own_kernels.h"
#include "trainer/simd.h"

namespace llmctl {
namespace {

constexpr int64_t kPart = 1 << 16;

[[gnu::always_inline]] inline float widen(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}
// To nearest, ties to even. Gradients that are not finite never come here.
[[gnu::always_inline]] inline uint16_t narrow(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

SIMD_CLONES void update_range(
    float* w, float* g, uint16_t* m, uint16_t* v, int64_t n, AdamWFactors f) {
  for (int64_t i = 0; i < n; ++i) {
    const float grad = g[i] * f.clip;
    const float first = f.beta1 * widen(m[i]) + (1.0f - f.beta1) * grad;
    const float second = f.beta2 * widen(v[i]) + (1.0f - f.beta2) * grad * grad;
    const float deviation = __builtin_sqrtf(second) * f.inverse_root_correction2 + f.epsilon;
    w[i] = w[i] * f.keep - f.step_size * (first / deviation);
    m[i] = narrow(first);
    v[i] = narrow(second);
    g[i] = 0;
  }
}

uint16_t* words(const at::Tensor& tensor) {
  return static_cast<uint16_t*>(tensor.mutable_data_ptr());
}

}  // namespace

AdamWBf16::AdamWBf16(int64_t elements, int64_t decay_end, StateStore store)
    : decay_end_(decay_end),
      store_(std::move(store)),
      first_(store_.zeros({elements}, at::kBFloat16)),
      second_(store_.zeros({elements}, at::kBFloat16)) {}

std::vector<NamedTensor> AdamWBf16::state(const ParameterLayout& layout) {
  store_.settle();
  std::vector<NamedTensor> all;
  append_slots(all, "first_moment.", layout, first_);
  append_slots(all, "second_moment.", layout, second_);
  return all;
}

static void update_piece(const at::Tensor& weights,
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
    return aten::adamw_bf16(weights, gradients, moments, decay_end, update, step);
  }
  auto *w = weights.mutable_data_ptr<float>(), *g = gradients.mutable_data_ptr<float>();
  auto *m = words(moments.first), *v = words(moments.second);
  at::parallel_for(0, weights.numel(), kPart, [&](int64_t begin, int64_t end) {
    const int64_t middle = std::clamp(decay_end, begin, end);
    update_range(w + begin, g + begin, m + begin, v + begin, middle - begin, decayed);
    update_range(w + middle, g + middle, m + middle, v + middle, end - middle, plain);
  });
}

void AdamWBf16::apply(WeightWindows& weights, at::Tensor& gradients, const OptimizerStep& step) {
  store_.visit_flat({first_, second_}, [&](int64_t begin, int64_t size,
                                           StateStore::Tensors& moments) {
    weights.change(begin, size, [&](const WeightWindow& w) {
      update_piece(w.weights, w.of(gradients), {w.of(moments[0], begin), w.of(moments[1], begin)},
                   w.decay_end(decay_end_), updates(), step);
    });
  });
}

}  // namespace llmctl
