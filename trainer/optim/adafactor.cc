#include "trainer/optim/adafactor.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmctl {
namespace {

constexpr double kBeta2Decay = -0.8;  // the moments' memory grows with the step
constexpr double kLeastVariance = std::numeric_limits<float>::epsilon();
constexpr double kLeastScale = 1e-3;  // of a weight tensor's root mean square

double root_mean_square(double norm, int64_t elements) {
  return norm / std::sqrt(static_cast<double>(elements));
}

at::Tensor mean_of_squares(const at::Tensor& x, int64_t dimension) {
  return at::norm(x, 2, {dimension}, /*keepdim=*/true)
      .square_()
      .div_(static_cast<double>(x.size(dimension)));
}

}  // namespace

Adafactor::Adafactor(const ParameterLayout& layout, OptimizerStateHome home)
    : home_(std::move(home)) {
  for (const ParameterSlot& slot : layout.slots()) {
    Part part{slot, slot.offset < layout.matrices_end(), {}, {}, {}};
    if (slot.shape.size() > 1) {
      part.rows = home_.zeros({slot.shape[0], 1});
      part.columns = home_.zeros({1, slot.shape[1]});
    } else {
      part.whole = home_.zeros(slot.shape);
    }
    parts_.push_back(std::move(part));
  }
}

std::vector<NamedTensor> Adafactor::state(const ParameterLayout&) {
  home_.settle();
  std::vector<NamedTensor> all;
  for (Part& part : parts_) {
    if (part.whole.defined()) {
      all.push_back({"variance." + part.slot.name, part.whole});
    } else {
      all.push_back({"row_variance." + part.slot.name, part.rows});
      all.push_back({"column_variance." + part.slot.name, part.columns});
    }
  }
  return all;
}

// Updates the moments by this gradient and returns the variance they estimate, a new tensor.
at::Tensor Adafactor::variance(OptimizerStateHome::Tensors& moments,
                               const at::Tensor& gradient) const {
  const double share = std::pow(static_cast<double>(updates()), kBeta2Decay);
  if (moments.size() == 1) {
    moments[0].lerp_(gradient.square(), share);
    return moments[0].clone();
  }
  at::Tensor &rows = moments[0], &columns = moments[1];
  rows.lerp_(mean_of_squares(gradient, 1), share);
  columns.lerp_(mean_of_squares(gradient, 0), share);
  at::Tensor estimate = at::mm(rows, columns);
  return estimate.div_(rows.mean(0, /*keepdim=*/true).clamp_min_(kLeastVariance));
}

void Adafactor::apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) {
  const double relative =
      std::min(step.learning_rate, 1 / std::sqrt(static_cast<double>(updates())));
  const auto moments_of = [&](size_t k) -> OptimizerStateHome::Tensors {
    if (parts_[k].whole.defined()) return {parts_[k].whole};
    return {parts_[k].rows, parts_[k].columns};
  };
  home_.visit(parts_.size(), moments_of, [&](size_t k, OptimizerStateHome::Tensors& moments) {
    const Part& part = parts_[k];
    const int64_t offset = part.slot.offset, elements = part.slot.elements;
    at::Tensor g = gradients.narrow(0, offset, elements).view(part.slot.shape);
    if (step.gradient_scale != 1) g.mul_(step.gradient_scale);
    const double size = root_mean_square(weights.norm(offset, elements), elements);
    at::Tensor update = variance(moments, g);
    update.clamp_min_(kLeastVariance * kLeastVariance).rsqrt_().mul_(g);
    const double longest = root_mean_square(update.norm().item<double>(), elements);
    const double length = std::max(kLeastScale, size) * relative / std::max(1.0, longest);
    const at::Tensor flat = update.view({-1});
    weights.change(offset, elements, [&](const Fp32Window& w) {
      if (part.decays) w.weights.mul_(1 - step.learning_rate * step.weight_decay);
      w.weights.sub_(w.of(flat, offset), length);
    });
  });
  gradients.zero_();
}

}  // namespace llmctl
