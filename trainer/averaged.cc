#include "trainer/averaged.h"

#include <algorithm>

#include "core/optimizer_facts.h"

namespace llmctl {

Averaged::Averaged(std::unique_ptr<Optimizer> inner, double decay, at::Tensor average)
    : inner_(std::move(inner)), decay_(decay), average_(std::move(average)) {}

std::vector<NamedTensor> Averaged::state(const ParameterLayout& layout) {
  std::vector<NamedTensor> all = inner_->state(layout);
  append_slots(all, kAveragePrefix, layout, average_);
  return all;
}

void Averaged::apply(at::Tensor& weights, at::Tensor& gradients, const OptimizerStep& step) {
  inner_->set_updates(updates() - 1);
  inner_->update(weights, gradients, step);
  const auto before = static_cast<double>(updates() - 1);
  const double decay = std::min(decay_, before / (before + 9));
  if (decay > 0) {
    average_.lerp_(weights, 1 - decay);
  } else {
    average_.copy_(weights);
  }
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
