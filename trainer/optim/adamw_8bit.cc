#include "trainer/optim/adamw_8bit.h"

#include <algorithm>

#include "core/training/optimizer_facts.h"
#include "trainer/device/device_memory.h"
#include "trainer/optim/adamw.h"
#include "trainer/optim/updates/quantize_blockwise.h"
#include "trainer/optim/updates/updates.h"

namespace llmctl {
namespace {

// The code of zero is not 0, but any code times a largest of 0 is zero.
QuantizedMoment moment_of(int64_t elements, const OptimizerStateHome& home) {
  return {home.zeros({elements}, at::kByte), home.zeros({quantized_blocks(elements)}), {}};
}

at::Tensor on_device(const QuantizationMap& map, at::Device device) {
  at::Tensor all = at::empty({511}, at::kFloat);
  auto* out = std::copy(map.values.begin(), map.values.end(), all.mutable_data_ptr<float>());
  std::copy(map.middles.begin(), map.middles.end(), out);
  return all.to(device);
}

}  // namespace

AdamW8bit::AdamW8bit(const ParameterLayout& layout, OptimizerStateHome home)
    : home_(std::move(home)) {
  for (const ParameterSlot& slot : layout.slots()) {
    Part part;
    part.offset = slot.offset;
    part.elements = slot.elements;
    part.decays = slot.offset < layout.matrices_end();
    part.quantized = slot.elements >= kLeastQuantizedElements;
    if (part.quantized) {
      part.first = moment_of(slot.elements, home_);
      part.second = moment_of(slot.elements, home_);
    } else {
      part.first_fp32 = home_.zeros({slot.elements});
      part.second_fp32 = home_.zeros({slot.elements});
    }
    home_.append_pieces(parts_.size(), slot.elements, pieces_);
    parts_.push_back(std::move(part));
  }
  const at::Device device = home_.device();
  if (device.is_cpu()) return;
  const CauseScope cause(Cause::optimizer);
  signed_map_ = on_device(signed_dynamic_map(), device);
  unsigned_map_ = on_device(unsigned_dynamic_map(), device);
}

std::vector<NamedTensor> AdamW8bit::state(const ParameterLayout& layout) {
  home_.settle();
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

OptimizerStateHome::Tensors AdamW8bit::state_of(const StatePiece& piece) const {
  const Part& part = parts_[piece.part];
  const auto of = [&](const at::Tensor& t) { return t.narrow(0, piece.begin, piece.size); };
  if (!part.quantized) return {of(part.first_fp32), of(part.second_fp32)};
  const QuantizedMoment first = part.first.of(piece.begin, piece.size);
  const QuantizedMoment second = part.second.of(piece.begin, piece.size);
  return {first.codes, first.largest, second.codes, second.largest};
}

void AdamW8bit::apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) {
  home_.visit(
      pieces_.size(), [&](size_t k) { return state_of(pieces_[k]); },
      [&](size_t k, OptimizerStateHome::Tensors& state) {
        const Part& part = parts_[pieces_[k].part];
        const int64_t begin = part.offset + pieces_[k].begin, size = pieces_[k].size;
        weights.change(begin, size, [&](const Fp32Window& window) {
          update_piece(part, state, begin, window, window.of(gradients), step);
        });
      });
}

void AdamW8bit::update_piece(const Part& part,
                             const OptimizerStateHome::Tensors& state,
                             int64_t begin,
                             const Fp32Window& window,
                             const at::Tensor& gradients,
                             const OptimizerStep& step) const {
  const at::Tensor& weights = window.weights;
  if (!part.quantized) {
    return adamw_update(weights, gradients,
                        {window.of(state[0], begin), window.of(state[1], begin)},
                        part.decays ? window.size() : 0, updates(), step);
  }
  const int64_t offset = window.begin - begin, elements = window.size();
  const QuantizedMoment first = {state[0], state[1], signed_map_};
  const QuantizedMoment second = {state[2], state[3], unsigned_map_};
  updates_for(weights).adamw_8bit(weights, gradients, first.of(offset, elements),
                                  second.of(offset, elements),
                                  adamw_factors(step, updates(), part.decays));
}

}  // namespace llmctl
