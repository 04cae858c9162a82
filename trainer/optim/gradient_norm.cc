#include "trainer/optim/gradient_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "trainer/optim/updates/updates.h"

namespace llmctl {

ParameterGroup group_of(const ParameterSlot& slot) {
  const auto has = [&](const char* part) { return slot.name.find(part) != std::string::npos; };
  if (has("lm_head")) return ParameterGroup::head;
  if (has("norm") || has("ln_")) return ParameterGroup::norm;  // also those of queries and keys
  if (has("attn")) return ParameterGroup::attention;
  if (has("mlp")) return ParameterGroup::mlp;
  return ParameterGroup::embedding;
}

GradientNorms gradient_norms(const ParameterLayout& layout,
                             const at::Tensor& gradients,
                             double scale) {
  GradientNorms norms;
  std::vector<FlatSpan> slots;
  for (const ParameterSlot& slot : layout.slots()) slots.push_back({slot.offset, slot.elements});
  const std::vector<double> squares = updates_for(gradients).sums_of_squares(gradients, slots);
  for (size_t i = 0; i < squares.size(); ++i) {
    norms.all += squares[i];
    norms.of_group[static_cast<size_t>(group_of(layout.slots()[i]))] += squares[i];
  }
  norms.all = scale * std::sqrt(norms.all);
  for (double& norm : norms.of_group) norm = scale * std::sqrt(norm);
  return norms;
}

double gradient_norm(const at::Tensor& gradients) {
  return std::sqrt(updates_for(gradients).sums_of_squares(gradients, {{0, gradients.numel()}})[0]);
}

double clip_scale(double norm, double max_norm) {
  // The small term is PyTorch's clip_grad_norm_: it keeps 0/0 away.
  return max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
}

}  // namespace llmctl
