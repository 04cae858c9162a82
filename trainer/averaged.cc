#include "trainer/averaged.h"

#include <algorithm>

#include "core/optimizer_facts.h"

namespace llmctl {

Averaged::Averaged(std::unique_ptr<Optimizer> inner,
                   double decay,
                   int64_t elements,
                   StateStore store)
    : inner_(std::move(inner)),
      decay_(decay),
      store_(std::move(store)),
      average_(store_.zeros({elements})) {}

at::Tensor Averaged::average() const {
  store_.settle();
  return average_;
}

std::vector<NamedTensor> Averaged::state(const ParameterLayout& layout) {
  std::vector<NamedTensor> all = inner_->state(layout);
  append_slots(all, kAveragePrefix, layout, average());
  return all;
}

void Averaged::apply(at::Tensor& weights, at::Tensor& gradients, const OptimizerStep& step) {
  inner_->set_updates(updates() - 1);
  inner_->update(weights, gradients, step);
  const auto before = static_cast<double>(updates() - 1);
  const double decay = std::min(decay_, before / (before + 9));
  store_.visit_flat({average_}, [&](int64_t begin, int64_t size, StateStore::Tensors& average) {
    const at::Tensor now = weights.narrow(0, begin, size);
    if (decay > 0) {
      average[0].lerp_(now, 1 - decay);
    } else {
      average[0].copy_(now);
    }
  });
}

static void swap_contents(at::Tensor& one, at::Tensor& other) {
  for_pieces(one.numel(), [&](int64_t begin, int64_t size) {
    at::Tensor a = one.narrow(0, begin, size), b = other.narrow(0, begin, size);
    const at::Tensor kept = a.clone();
    a.copy_(b);
    b.copy_(kept);
  });
}

UseAverage::UseAverage(Model& model, const Optimizer& optimizer)
    : model_(model), average_(optimizer.updates() > 0 ? optimizer.average() : at::Tensor()) {
  if (average_.defined()) swap_contents(model_.weights(), average_);
}

UseAverage::~UseAverage() {
  if (average_.defined()) swap_contents(model_.weights(), average_);
}

}  // namespace llmctl
