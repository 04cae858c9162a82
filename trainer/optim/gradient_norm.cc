#include "trainer/optim/gradient_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "trainer/ops/cpu/simd.h"
#include "trainer/optim/reference_updates.h"

namespace llmctl {
namespace {

constexpr int64_t kSummed = 1 << 16;  // elements summed in one go; fixed, so sums are too

SIMD_CLONES double sum_of_squares(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

struct Part {
  int64_t offset, elements;
  size_t slot;
};

void append_parts(std::vector<Part>& parts, int64_t offset, int64_t elements, size_t slot) {
  for (int64_t done = 0; done < elements; done += kSummed) {
    parts.push_back({offset + done, std::min(kSummed, elements - done), slot});
  }
}

// Sums of squares by slot.
std::vector<double> sums(const at::Tensor& gradients,
                         const std::vector<Part>& parts,
                         size_t slots) {
  const auto* g = gradients.const_data_ptr<float>();
  std::vector<double> of_part(parts.size()), of_slot(slots);
  at::parallel_for(0, static_cast<int64_t>(parts.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      of_part[i] = sum_of_squares(g + parts[i].offset, parts[i].elements);
    }
  });
  for (size_t i = 0; i < parts.size(); ++i) of_slot[parts[i].slot] += of_part[i];
  return of_slot;
}

std::vector<double> squares_by_slot(const ParameterLayout& layout, const at::Tensor& gradients) {
  const auto& slots = layout.slots();
  if (gradients.is_cpu()) {
    std::vector<Part> parts;
    for (size_t i = 0; i < slots.size(); ++i) {
      append_parts(parts, slots[i].offset, slots[i].elements, i);
    }
    return sums(gradients, parts, slots.size());
  }
  std::vector<at::Tensor> views;
  views.reserve(slots.size());
  for (const ParameterSlot& slot : slots) {
    views.push_back(gradients.narrow(0, slot.offset, slot.elements));
  }
  const at::Tensor norms = at::stack(at::_foreach_norm(views, 2, at::kDouble)).cpu();
  const at::Tensor squares = norms.square();
  const auto* data = squares.const_data_ptr<double>();
  return {data, data + squares.numel()};
}

}  // namespace

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
  const std::vector<double> squares = squares_by_slot(layout, gradients);
  for (size_t i = 0; i < squares.size(); ++i) {
    norms.all += squares[i];
    norms.of_group[static_cast<size_t>(group_of(layout.slots()[i]))] += squares[i];
  }
  norms.all = scale * std::sqrt(norms.all);
  for (double& norm : norms.of_group) norm = scale * std::sqrt(norm);
  return norms;
}

double gradient_norm(const at::Tensor& gradients) {
  if (!gradients.is_cpu()) return aten::gradient_norm(gradients);
  std::vector<Part> parts;
  append_parts(parts, 0, gradients.numel(), 0);
  return std::sqrt(sums(gradients, parts, 1)[0]);
}

double clip_scale(double norm, double max_norm) {
  // The small term is PyTorch's clip_grad_norm_: it keeps 0/0 away.
  return max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
}

}  // namespace llmctl
