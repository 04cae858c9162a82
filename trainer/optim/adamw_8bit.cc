#include "trainer/optim/adamw_8bit.h"

#include <algorithm>
#include <cmath>

#include "core/training/optimizer_facts.h"
#include "trainer/device/device_memory.h"
#include "trainer/ops/cpu/simd.h"
#include "trainer/optim/adamw.h"
#include "trainer/optim/quantize_blockwise.h"
#include "trainer/optim/reference_updates.h"

namespace llmctl {
namespace {

struct CodeBlock {
  float *weights, *gradients;
  uint8_t *first, *second;
  float *first_largest, *second_largest;
  int64_t elements;  // up to kQuantizedBlock
};

float largest_magnitude(const float* x, int64_t n) {
  float most = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::fabs(x[i]));
  return most;
}

void quantize(const float* x, uint8_t* codes, float& largest, int64_t n) {
  largest = largest_magnitude(x, n);
  const float scale = largest > 0 ? 1 / largest : 0;
  for (int64_t i = 0; i < n; ++i) codes[i] = nearest_code(signed_dynamic_map(), x[i] * scale);
}

void quantize_positive(const float* x, uint8_t* codes, float& largest, int64_t n) {
  largest = largest_magnitude(x, n);
  const float scale = largest > 0 ? 1 / largest : 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint8_t code = nearest_code(unsigned_dynamic_map(), x[i] * scale);
    codes[i] = code == 0 && x[i] > 0 ? uint8_t{1} : code;
  }
}

SIMD_CLONES void update_block(const CodeBlock& b, AdamWFactors f) {
  const QuantizationMap &signed_map = signed_dynamic_map(), &unsigned_map = unsigned_dynamic_map();
  float first[kQuantizedBlock], second[kQuantizedBlock];
  const float first_largest = *b.first_largest, second_largest = *b.second_largest;
  for (int64_t i = 0; i < b.elements; ++i) {
    first[i] = signed_map.values[b.first[i]] * first_largest;
    second[i] = unsigned_map.values[b.second[i]] * second_largest;
  }
  for (int64_t i = 0; i < b.elements; ++i) {
    const float grad = b.gradients[i] * f.clip;
    first[i] = f.beta1 * first[i] + (1.0f - f.beta1) * grad;
    second[i] = f.beta2 * second[i] + (1.0f - f.beta2) * grad * grad;
    const float deviation = __builtin_sqrtf(second[i]) * f.inverse_root_correction2 + f.epsilon;
    b.weights[i] = b.weights[i] * f.keep - f.step_size * (first[i] / deviation);
    b.gradients[i] = 0;
  }
  quantize(first, b.first, *b.first_largest, b.elements);
  quantize_positive(second, b.second, *b.second_largest, b.elements);
}

int64_t blocks_of(int64_t elements) {
  return (elements + kQuantizedBlock - 1) / kQuantizedBlock;
}

// The code of zero is not 0, but any code times a largest of 0 is zero.
QuantizedMoment moment_of(int64_t elements, const StateStore& store) {
  return {store.zeros({elements}, at::kByte), store.zeros({blocks_of(elements)})};
}

at::Tensor on_device(const QuantizationMap& map, at::Device device) {
  at::Tensor all = at::empty({511}, at::kFloat);
  auto* out = std::copy(map.values.begin(), map.values.end(), all.mutable_data_ptr<float>());
  std::copy(map.middles.begin(), map.middles.end(), out);
  return all.to(device);
}

}  // namespace

QuantizedMoment QuantizedMoment::of(int64_t begin, int64_t elements) const {
  return {codes.narrow(0, begin, elements),
          largest.narrow(0, begin / kQuantizedBlock, blocks_of(elements))};
}

AdamW8bit::AdamW8bit(const ParameterLayout& layout, StateStore store) : store_(std::move(store)) {
  for (const ParameterSlot& slot : layout.slots()) {
    Part part;
    part.offset = slot.offset;
    part.elements = slot.elements;
    part.decays = slot.offset < layout.matrices_end();
    part.quantized = slot.elements >= kLeastQuantizedElements;
    if (part.quantized) {
      part.first = moment_of(slot.elements, store_);
      part.second = moment_of(slot.elements, store_);
    } else {
      part.first_fp32 = store_.zeros({slot.elements});
      part.second_fp32 = store_.zeros({slot.elements});
    }
    store_.append_pieces(parts_.size(), slot.elements, pieces_);
    parts_.push_back(std::move(part));
  }
  const at::Device device = store_.device();
  if (device.is_cpu()) return;
  const CauseScope cause(Cause::optimizer);
  signed_map_ = on_device(signed_dynamic_map(), device);
  unsigned_map_ = on_device(unsigned_dynamic_map(), device);
}

std::vector<NamedTensor> AdamW8bit::state(const ParameterLayout& layout) {
  store_.settle();
  std::vector<NamedTensor> all;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const ParameterSlot& slot = layout.slots()[i];
    Part& part = parts_[i];
    if (part.quantized) {
      all.push_back({"first_moment." + slot.name, part.first.codes.view(slot.shape)});
      all.push_back({"first_moment_largest." + slot.name, part.first.largest});
      all.push_back({"second_moment." + slot.name, part.second.codes.view(slot.shape)});
      all.push_back({"second_moment_largest." + slot.name, part.second.largest});
    } else {
      all.push_back({"first_moment." + slot.name, part.first_fp32.view(slot.shape)});
      all.push_back({"second_moment." + slot.name, part.second_fp32.view(slot.shape)});
    }
  }
  return all;
}

StateStore::Tensors AdamW8bit::state_of(const StatePiece& piece) const {
  const Part& part = parts_[piece.part];
  const auto of = [&](const at::Tensor& t) { return t.narrow(0, piece.begin, piece.size); };
  if (!part.quantized) return {of(part.first_fp32), of(part.second_fp32)};
  const QuantizedMoment first = part.first.of(piece.begin, piece.size);
  const QuantizedMoment second = part.second.of(piece.begin, piece.size);
  return {first.codes, first.largest, second.codes, second.largest};
}

void AdamW8bit::apply(WeightWindows& weights, at::Tensor& gradients, const OptimizerStep& step) {
  store_.visit(
      pieces_.size(), [&](size_t k) { return state_of(pieces_[k]); },
      [&](size_t k, StateStore::Tensors& state) {
        const Part& part = parts_[pieces_[k].part];
        const int64_t begin = part.offset + pieces_[k].begin, size = pieces_[k].size;
        weights.change(begin, size, [&](const WeightWindow& window) {
          update_piece(part, state, begin, window, window.of(gradients), step);
        });
      });
}

void AdamW8bit::update_piece(const Part& part,
                             const StateStore::Tensors& state,
                             int64_t begin,
                             const WeightWindow& window,
                             const at::Tensor& gradients,
                             const OptimizerStep& step) const {
  const at::Tensor& weights = window.weights;
  if (!part.quantized) {
    return adamw_update(weights, gradients,
                        {window.of(state[0], begin), window.of(state[1], begin)},
                        part.decays ? window.size() : 0, updates(), step);
  }
  const AdamWFactors factors = adamw_factors(step, updates(), part.decays);
  const int64_t offset = window.begin - begin, elements = window.size();
  const QuantizedMoment moments[] = {QuantizedMoment{state[0], state[1]}.of(offset, elements),
                                     QuantizedMoment{state[2], state[3]}.of(offset, elements)};
  if (!weights.is_cpu()) {
    return aten::adamw_8bit(weights, gradients, {moments[0], signed_map_},
                            {moments[1], unsigned_map_}, factors);
  }
  auto *w = weights.mutable_data_ptr<float>(), *g = gradients.mutable_data_ptr<float>(),
       *first_largest = moments[0].largest.mutable_data_ptr<float>(),
       *second_largest = moments[1].largest.mutable_data_ptr<float>();
  auto *first = moments[0].codes.mutable_data_ptr<uint8_t>(),
       *second = moments[1].codes.mutable_data_ptr<uint8_t>();
  at::parallel_for(0, blocks_of(elements), 64, [&](int64_t first_block, int64_t end) {
    for (int64_t block = first_block; block < end; ++block) {
      const int64_t at = block * kQuantizedBlock;
      update_block({w + at, g + at, first + at, second + at, first_largest + block,
                    second_largest + block, std::min(kQuantizedBlock, elements - at)},
                   factors);
    }
  });
}

}  // namespace llmctl
