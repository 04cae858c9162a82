#include "trainer/optim/averaged.h"

#include <algorithm>

#include "core/training/optimizer_facts.h"
#include "trainer/optim/updates/update_operands.h"

namespace llmctl {

Averaged::Averaged(std::unique_ptr<Optimizer> inner,
                   double decay,
                   int64_t elements,
                   OptimizerStateHome home)
    : inner_(std::move(inner)),
      decay_(decay),
      home_(std::move(home)),
      average_(home_.zeros({elements})) {}

at::Tensor Averaged::average() const {
  home_.settle();
  return average_;
}

std::vector<NamedTensor> Averaged::state(const ParameterLayout& layout) {
  std::vector<NamedTensor> all = inner_->state(layout);
  append_slots(all, kAveragePrefix, layout, average());
  return all;
}

static void add_to_mean(const at::Tensor& values, const at::Tensor& mean, double decay) {
  for_pieces(values.numel(), [&](int64_t offset, int64_t elements) {
    const at::Tensor now = values.narrow(0, offset, elements).to(at::kFloat);
    const at::Tensor old = mean.narrow(0, offset, elements);
    if (decay > 0) {
      old.lerp_(now, 1 - decay);
    } else {
      old.copy_(now);
    }
  });
}

void Averaged::apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) {
  inner_->set_updates(updates() - 1);
  inner_->update(weights.all(), gradients, step);
  const auto before = static_cast<double>(updates() - 1);
  const double decay = std::min(decay_, before / (before + 9));
  home_.visit_flat(
      {average_}, [&](int64_t begin, int64_t size, OptimizerStateHome::Tensors& average) {
        weights.all().for_parts(begin, size, [&](const at::Tensor& part, int64_t first) {
          add_to_mean(part, average[0].narrow(0, first - begin, part.numel()), decay);
        });
      });
}

static void swap_piece(const at::Tensor& weights, const at::Tensor& average) {
  const at::Tensor kept = weights.clone();
  weights.copy_(average);
  average.copy_(kept);
}

// bf16 weights take the average rounded to nearest, and the average's 32 bits the weights plus what
// rounding took off, which is less than half a step: swapping again gives back every bit of both.
static void swap_rounded(const at::Tensor& weights, const at::Tensor& average) {
  constexpr int kHalf = 16;
  const at::Tensor bits = average.view(at::kInt).to(weights.device());
  const at::Tensor upper = weights.view(at::kShort);
  const at::Tensor rounded = bits.add(1 << (kHalf - 1)).bitwise_right_shift_(kHalf);
  const at::Tensor rest = bits.sub(rounded.bitwise_left_shift(kHalf));
  average.view(at::kInt).copy_(upper.to(at::kInt).bitwise_left_shift_(kHalf).add_(rest));
  upper.copy_(rounded);
}

static void swap_contents(const Weights& weights, const at::Tensor& average) {
  weights.for_parts(0, weights.size(), [&](const at::Tensor& part, int64_t first) {
    const bool same = part.scalar_type() == average.scalar_type();
    for_pieces(part.numel(), [&](int64_t begin, int64_t size) {
      (same ? swap_piece : swap_rounded)(part.narrow(0, begin, size),
                                         average.narrow(0, first + begin, size));
    });
  });
}

UseAverage::UseAverage(Model& model, const Optimizer& optimizer)
    : model_(model), average_(optimizer.updates() > 0 ? optimizer.average() : at::Tensor()) {
  if (average_.defined()) swap_contents(model_.writable_weights(), average_);
}

UseAverage::~UseAverage() {
  if (average_.defined()) swap_contents(model_.writable_weights(), average_);
}

}  // namespace llmctl
