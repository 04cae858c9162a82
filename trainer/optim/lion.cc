#include "trainer/optim/lion.h"

#include "trainer/optim/updates/updates.h"

namespace llmctl {

Lion::Lion(int64_t elements, int64_t decay_end, OptimizerStateHome home)
    : decay_end_(decay_end), home_(std::move(home)), moment_(home_.zeros({elements})) {}

std::vector<NamedTensor> Lion::state(const ParameterLayout& layout) {
  home_.settle();
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

void Lion::apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) {
  home_.visit_flat(
      {moment_}, [&](int64_t begin, int64_t size, OptimizerStateHome::Tensors& moment) {
        weights.change(begin, size, [&](const Fp32Window& w) {
          updates_for(w.weights).lion(w.weights, w.of(gradients), w.of(moment[0], begin),
                                      {.decay_end = w.decay_end(decay_end_),
                                       .decayed = lion_factors(step, true),
                                       .plain = lion_factors(step, false)});
        });
      });
}

}  // namespace llmctl
