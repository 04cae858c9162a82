#include "trainer/optim/adamw.h"

#include <cmath>

#include "trainer/optim/updates/updates.h"

namespace llmctl {

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
  updates_for(weights).adamw(weights, gradients, moments,
                             {.decay_end = decay_end,
                              .decayed = adamw_factors(step, update, true),
                              .plain = adamw_factors(step, update, false)});
}

AdamW::AdamW(int64_t elements, int64_t decay_end, OptimizerStateHome home, at::ScalarType moments)
    : decay_end_(decay_end),
      home_(std::move(home)),
      first_(home_.zeros({elements}, moments)),
      second_(home_.zeros({elements}, moments)) {}

std::vector<NamedTensor> AdamW::state(const ParameterLayout& layout) {
  home_.settle();
  std::vector<NamedTensor> all;
  append_slots(all, "first_moment.", layout, first_);
  append_slots(all, "second_moment.", layout, second_);
  return all;
}

void AdamW::apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) {
  home_.visit_flat({first_, second_}, [&](int64_t begin, int64_t size,
                                          OptimizerStateHome::Tensors& moments) {
    weights.change(begin, size, [&](const Fp32Window& w) {
      adamw_update(w.weights, w.of(gradients), {w.of(moments[0], begin), w.of(moments[1], begin)},
                   w.decay_end(decay_end_), updates(), step);
    });
  });
}

}  // namespace llmctl
