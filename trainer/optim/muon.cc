#include "trainer/optim/muon.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "trainer/optim/adamw.h"
#include "trainer/optim/gradient_norm.h"

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

Muon::Muon(const ParameterLayout& layout, OptimizerStateHome home) : home_(std::move(home)) {
  for (const ParameterSlot& slot : layout.slots()) {
    Part part{slot, slot.offset < layout.matrices_end(), {}, {}, {}};
    if (is_muons(slot)) {
      part.momentum = home_.zeros(slot.shape);
      pieces_.push_back({parts_.size(), 0, slot.elements});
    } else {
      part.first = home_.zeros(slot.shape);
      part.second = home_.zeros(slot.shape);
      home_.append_pieces(parts_.size(), slot.elements, pieces_);
    }
    parts_.push_back(std::move(part));
  }
}

std::vector<NamedTensor> Muon::state(const ParameterLayout&) {
  home_.settle();
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

void Muon::move_matrix(const Part& part,
                       const at::Tensor& momentum,
                       WeightsAsFp32& weights,
                       const at::Tensor& gradients,
                       const OptimizerStep& step) const {
  constexpr double kLikeAdamW = 0.2;  // root mean square of AdamW's updates, about
  const std::vector<int64_t>& shape = part.slot.shape;
  at::Tensor g = gradients.view(shape);
  if (step.gradient_scale != 1) g.mul_(step.gradient_scale);
  momentum.lerp_(g, 1 - step.momentum);
  const at::Tensor update = orthogonal(g.lerp_(momentum, step.momentum));  // Nesterov's
  const auto longest = static_cast<double>(std::max(shape[0], shape[1]));
  const at::Tensor flat = update.view({-1});
  weights.change(part.slot.offset, part.slot.elements, [&](const Fp32Window& w) {
    if (part.decays) w.weights.mul_(1 - step.learning_rate * step.weight_decay);
    w.weights.sub_(w.of(flat, part.slot.offset),
                   step.learning_rate * kLikeAdamW * std::sqrt(longest));
  });
  g.zero_();
}

void Muon::apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) {
  const auto state_of = [&](size_t k) -> OptimizerStateHome::Tensors {
    const auto& [index, begin, size] = pieces_[k];
    const Part& part = parts_[index];
    if (part.momentum.defined()) return {part.momentum};
    return {part.first.view({-1}).narrow(0, begin, size),
            part.second.view({-1}).narrow(0, begin, size)};
  };
  home_.visit(pieces_.size(), state_of, [&](size_t k, OptimizerStateHome::Tensors& state) {
    const auto& [index, begin, size] = pieces_[k];
    const Part& part = parts_[index];
    const int64_t first = part.slot.offset + begin;
    if (part.momentum.defined()) {
      return move_matrix(part, state[0], weights, gradients.narrow(0, first, size), step);
    }
    weights.change(first, size, [&](const Fp32Window& w) {
      adamw_update(w.weights, w.of(gradients), {w.of(state[0], first), w.of(state[1], first)},
                   part.decays ? w.size() : 0, updates(), step);
    });
  });
}

}  // namespace llmctl
