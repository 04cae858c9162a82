#include "trainer/optim/lion.h"

#include "trainer/optim/updates/updates.h"

namespace llmctl {

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

void Lion::apply(WeightWindows& weights, at::Tensor& gradients, const OptimizerStep& step) {
  store_.visit_flat({moment_}, [&](int64_t begin, int64_t size, StateStore::Tensors& moment) {
    weights.change(begin, size, [&](const WeightWindow& w) {
      updates_for(w.weights).lion(w.weights, w.of(gradients), w.of(moment[0], begin),
                                  {.decay_end = w.decay_end(decay_end_),
                                   .decayed = lion_factors(step, true),
                                   .plain = lion_factors(step, false)});
    });
  });
}

}  // namespace llmctl
