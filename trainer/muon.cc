#include "trainer/muon.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "trainer/adamw.h"
#include "trainer/device_memory.h"
#include "trainer/gradient_norm.h"

namespace llmctl {
namespace {

constexpr int kIterations = 5;
constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;  // x -> a x + b x^3 + c x^5
constexpr double kLeastNorm = 1e-7;

bool is_muons(const ParameterSlot& slot) {
  const ParameterGroup group = group_of(slot);
  const bool inside = group == ParameterGroup::attention || group == ParameterGroup::mlp;
  return inside && slot.shape.size() == 2;
}

}  // namespace

at::Tensor orthogonal(at::Tensor x) {
  if (!x.is_cpu()) x = x.to(at::kBFloat16);
  x.div_(x.norm().clamp_min_(kLeastNorm));  // the spectral norm is at most that of Frobenius
  const bool tall = x.size(0) > x.size(1);
  at::Tensor other = at::empty_like(x);
  const int64_t side = std::min(x.size(0), x.size(1));
  at::Tensor gram = at::empty({side, side}, x.options()), polynomial = at::empty_like(gram);
  for (int i = 0; i < kIterations; ++i) {
    if (tall) {
      at::mm_out(gram, x.t(), x);
    } else {
      at::mm_out(gram, x, x.t());
    }
    at::addmm_out(polynomial, gram, gram, gram, kB, kC);
    if (tall) {
      at::addmm_out(other, x, x, polynomial, kA, 1);
    } else {
      at::addmm_out(other, x, polynomial, x, kA, 1);
    }
    std::swap(x, other);
  }
  return x;
}

Muon::Muon(const ParameterLayout& layout, at::Device device) {
  const CauseScope cause(Cause::optimizer);
  for (const ParameterSlot& slot : layout.slots()) {
    Part part{slot, slot.offset < layout.matrices_end(), {}, {}, {}};
    const at::Tensor zeros = at::zeros(slot.shape, at::device(device).dtype(at::kFloat));
    if (is_muons(slot)) {
      part.momentum = zeros;
    } else {
      part.first = zeros;
      part.second = at::zeros_like(zeros);
    }
    parts_.push_back(std::move(part));
  }
}

std::vector<NamedTensor> Muon::state(const ParameterLayout&) {
  std::vector<NamedTensor> all;
  for (Part& part : parts_) {
    if (part.momentum.defined()) {
      all.push_back({"momentum." + part.slot.name, part.momentum});
    } else {
      all.push_back({"first_moment." + part.slot.name, part.first});
      all.push_back({"second_moment." + part.slot.name, part.second});
    }
  }
  return all;
}

void Muon::apply(at::Tensor& weights, at::Tensor& gradients, const OptimizerStep& step) {
  constexpr double kLikeAdamW = 0.2;  // root mean square of AdamW's updates, about
  for (Part& part : parts_) {
    const ParameterSlot& slot = part.slot;
    at::Tensor w = weights.narrow(0, slot.offset, slot.elements);
    at::Tensor g = gradients.narrow(0, slot.offset, slot.elements);
    if (!part.momentum.defined()) {
      at::Tensor first = part.first.view({-1}), second = part.second.view({-1});
      adamw_update(w, g, {first, second}, part.decays ? slot.elements : 0, updates(), step);
      continue;
    }
    w = w.view(slot.shape);
    g = g.view(slot.shape);
    if (step.gradient_scale != 1) g.mul_(step.gradient_scale);
    part.momentum.lerp_(g, 1 - step.momentum);
    const at::Tensor update = orthogonal(g.lerp_(part.momentum, step.momentum));  // Nesterov's
    const auto longest = static_cast<double>(std::max(slot.shape[0], slot.shape[1]));
    if (part.decays) w.mul_(1 - step.learning_rate * step.weight_decay);
    w.sub_(update, step.learning_rate * kLikeAdamW * std::sqrt(longest));
    g.zero_();
  }
}

}  // namespace llmctl
