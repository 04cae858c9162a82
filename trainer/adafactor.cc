#include "trainer/adafactor.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "trainer/device_memory.h"

namespace llmctl {
namespace {

constexpr double kBeta2Decay = -0.8;  // the moments' memory grows with the step
constexpr double kLeastVariance = std::numeric_limits<float>::epsilon();
constexpr double kLeastScale = 1e-3;  // of a weight tensor's root mean square

double root_mean_square(const at::Tensor& x) {
  return x.norm().item<double>() / std::sqrt(static_cast<double>(x.numel()));
}

at::Tensor mean_of_squares(const at::Tensor& x, int64_t dimension) {
  return at::norm(x, 2, {dimension}, /*keepdim=*/true)
      .square_()
      .div_(static_cast<double>(x.size(dimension)));
}

}  // namespace

Adafactor::Adafactor(const ParameterLayout& layout, at::Device device) {
  const CauseScope cause(Cause::optimizer);
  const auto options = at::device(device).dtype(at::kFloat);
  for (const ParameterSlot& slot : layout.slots()) {
    Part part{slot, slot.offset < layout.matrices_end(), {}, {}, {}};
    if (slot.shape.size() > 1) {
      part.rows = at::zeros({slot.shape[0], 1}, options);
      part.columns = at::zeros({1, slot.shape[1]}, options);
    } else {
      part.whole = at::zeros(slot.shape, options);
    }
    parts_.push_back(std::move(part));
  }
}

std::vector<NamedTensor> Adafactor::state(const ParameterLayout&) {
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

// What the moments say after this gradient: a temporary.
at::Tensor Adafactor::variance(Part& part, const at::Tensor& gradient) const {
  const double share = std::pow(static_cast<double>(updates()), kBeta2Decay);
  if (part.whole.defined()) {
    part.whole.lerp_(gradient.square(), share);
    return part.whole.clone();
  }
  part.rows.lerp_(mean_of_squares(gradient, 1), share);
  part.columns.lerp_(mean_of_squares(gradient, 0), share);
  at::Tensor estimate = at::mm(part.rows, part.columns);
  return estimate.div_(part.rows.mean(0, /*keepdim=*/true).clamp_min_(kLeastVariance));
}

void Adafactor::apply(at::Tensor& weights, at::Tensor& gradients, const OptimizerStep& step) {
  const double relative =
      std::min(step.learning_rate, 1 / std::sqrt(static_cast<double>(updates())));
  for (Part& part : parts_) {
    at::Tensor w = weights.narrow(0, part.slot.offset, part.slot.elements).view(part.slot.shape);
    at::Tensor g = gradients.narrow(0, part.slot.offset, part.slot.elements).view(part.slot.shape);
    if (step.gradient_scale != 1) g.mul_(step.gradient_scale);
    const double length = std::max(kLeastScale, root_mean_square(w)) * relative;
    if (part.decays) w.mul_(1 - step.learning_rate * step.weight_decay);
    at::Tensor update = variance(part, g);
    update.clamp_min_(kLeastVariance * kLeastVariance).rsqrt_().mul_(g);
    w.sub_(update, length / std::max(1.0, root_mean_square(update)));
  }
  gradients.zero_();
}

}  // namespace llmctl
