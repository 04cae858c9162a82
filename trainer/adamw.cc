#include "trainer/adamw.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "trainer/aten.h"
#include "trainer/device_memory.h"
#include "trainer/simd.h"

namespace llmctl {
namespace {

constexpr int64_t kPart = 1 << 16;  // elements summed in one go; fixed, so sums are too

struct Factors {  // of one update, in the kernel's precision
  float clip, beta1, beta2, keep, step_size, inverse_root_correction2, epsilon;
};

SIMD_CLONES void update_range(float* w, float* g, float* m, float* v, int64_t n, Factors f) {
  for (int64_t i = 0; i < n; ++i) {
    const float grad = g[i] * f.clip;
    m[i] = f.beta1 * m[i] + (1.0f - f.beta1) * grad;
    v[i] = f.beta2 * v[i] + (1.0f - f.beta2) * grad * grad;
    const float deviation = __builtin_sqrtf(v[i]) * f.inverse_root_correction2 + f.epsilon;
    w[i] = w[i] * f.keep - f.step_size * (m[i] / deviation);
    g[i] = 0;
  }
}

SIMD_CLONES double sum_of_squares(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

}  // namespace

AdamW::AdamW(int64_t elements, int64_t decay_end, at::Device device) : decay_end_(decay_end) {
  const CauseScope cause(Cause::optimizer);
  first_ = at::zeros({elements}, at::device(device).dtype(at::kFloat));
  second_ = at::zeros_like(first_);
}

void AdamW::update(at::Tensor& weights, at::Tensor& gradients, const AdamWStep& step) {
  ++updates_;
  if (!weights.is_cpu()) {
    return aten::adamw(weights, gradients, {first_, second_}, decay_end_, updates_, step);
  }
  const auto t = static_cast<double>(updates_);
  const double correction1 = 1 - std::pow(step.beta1, t), correction2 = 1 - std::pow(step.beta2, t);
  const Factors decayed = {static_cast<float>(step.gradient_scale),
                           static_cast<float>(step.beta1),
                           static_cast<float>(step.beta2),
                           static_cast<float>(1 - step.learning_rate * step.weight_decay),
                           static_cast<float>(step.learning_rate / correction1),
                           static_cast<float>(1 / std::sqrt(correction2)),
                           static_cast<float>(step.epsilon)};
  Factors plain = decayed;
  plain.keep = 1;
  auto *w = weights.mutable_data_ptr<float>(), *g = gradients.mutable_data_ptr<float>(),
       *m = first_.mutable_data_ptr<float>(), *v = second_.mutable_data_ptr<float>();
  at::parallel_for(0, weights.numel(), kPart, [&](int64_t begin, int64_t end) {
    const int64_t middle = std::clamp(decay_end_, begin, end);
    update_range(w + begin, g + begin, m + begin, v + begin, middle - begin, decayed);
    update_range(w + middle, g + middle, m + middle, v + middle, end - middle, plain);
  });
}

double gradient_norm(const at::Tensor& gradients) {
  if (!gradients.is_cpu()) return aten::gradient_norm(gradients);
  const int64_t elements = gradients.numel(), parts = (elements + kPart - 1) / kPart;
  const auto* g = gradients.const_data_ptr<float>();
  std::vector<double> sums(static_cast<size_t>(parts));
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part * kPart;
      sums[static_cast<size_t>(part)] =
          sum_of_squares(g + first, std::min(kPart, elements - first));
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

double clip_scale(double norm, double max_norm) {
  // The small term is PyTorch's clip_grad_norm_: it keeps 0/0 away.
  return max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
}

}  // namespace llmctl
