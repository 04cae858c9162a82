#include "trainer/model/parameters.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/result.h"
#include "trainer/files/content_hash.h"

namespace llmctl {
namespace {

// SplitMix64's finalizer (Steele et al., OOPSLA 2014): a counter becomes 64 random bits.
uint64_t random_bits(uint64_t counter) {
  uint64_t z = counter * 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// In (0, 1].
double uniform(uint64_t counter) {
  return (static_cast<double>(random_bits(counter) >> 11) + 1) * 0x1p-53;
}

void fill_normal(float* out, int64_t elements, double range, uint64_t stream) {
  at::parallel_for(0, (elements + 1) / 2, 4'096, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {  // Box-Muller gives two at a time
      const uint64_t counter = stream + 2 * static_cast<uint64_t>(pair);
      const double radius = range * std::sqrt(-2 * std::log(uniform(counter)));
      const double angle = 2 * std::numbers::pi * uniform(counter + 1);
      out[2 * pair] = static_cast<float>(radius * std::cos(angle));
      if (2 * pair + 1 < elements) {
        out[2 * pair + 1] = static_cast<float>(radius * std::sin(angle));
      }
    }
  });
}

// Undefined when the model has none of this name.
at::Tensor view_if_any(const ParameterLayout& layout,
                       const Weights& flat,
                       const std::string& name) {
  const ParameterSlot* found = layout.find(name);
  return found == nullptr ? at::Tensor() : view_of(flat, *found);
}

// `last` follows `first` in memory: one matrix over all their rows. Without `first` `last` alone,
// and undefined without either.
at::Tensor fused_if_any(const ParameterLayout& layout,
                        const Weights& flat,
                        const std::string& first,
                        const std::string& last) {
  const ParameterSlot *from = layout.find(first), *to = layout.find(last);
  if (to == nullptr) return {};
  if (from == nullptr) from = to;
  std::vector<int64_t> shape = from->shape;
  shape[0] = -1;
  return flat.part(from->offset, to->offset + to->elements - from->offset).view(shape);
}

}  // namespace

Weights Weights::zeros(const ParameterLayout& layout, at::ScalarType matrices, at::Device device) {
  const auto of_type = [&](at::ScalarType type) { return at::device(device).dtype(type); };
  if (matrices == at::kFloat) return at::zeros({layout.size()}, of_type(at::kFloat));
  const int64_t vectors = layout.size() - layout.matrices_end();
  return {at::zeros({layout.matrices_end()}, of_type(matrices)),
          at::zeros({vectors}, of_type(at::kFloat))};
}

int64_t Weights::size() const {
  return matrices_.numel() + (vectors_.defined() ? vectors_.numel() : 0);
}

at::Tensor Weights::part(int64_t begin, int64_t elements) const {
  const int64_t vectors = matrices_.numel();
  return begin < vectors || !vectors_.defined() ? matrices_.narrow(0, begin, elements)
                                                : vectors_.narrow(0, begin - vectors, elements);
}

void Weights::for_parts(
    int64_t begin,
    int64_t elements,
    const std::function<void(const at::Tensor& part, int64_t begin)>& use) const {
  const int64_t end = begin + elements, middle = std::clamp(matrices_.numel(), begin, end);
  if (begin < middle) use(part(begin, middle - begin), begin);
  if (middle < end) use(part(middle, end - middle), middle);
}

const at::Tensor& Weights::flat() const {
  CHECK(!vectors_.defined());
  return matrices_;
}

void Weights::zero() const {
  matrices_.zero_();
  if (vectors_.defined()) vectors_.zero_();
}

at::Tensor view_of(const Weights& flat, const ParameterSlot& slot) {
  return flat.part(slot.offset, slot.elements).view(slot.shape);
}

BlockTensors block_tensors(const ParameterLayout& layout, const Weights& flat, int64_t block) {
  const auto name = [&](const char* part, const char* kind) {
    return block_parameter(block, part) + kind;
  };
  const auto both = [&](const char* part) {
    return std::pair(view_if_any(layout, flat, name(part, ".weight")),
                     view_if_any(layout, flat, name(part, ".bias")));
  };
  const auto norm = [&](const char* part) {
    auto [weight, bias] = both(part);
    return NormTensors{weight, bias};
  };
  const auto linear = [&](const char* first, const char* last) {
    return LinearTensors{fused_if_any(layout, flat, name(first, ".weight"), name(last, ".weight")),
                         fused_if_any(layout, flat, name(first, ".bias"), name(last, ".bias"))};
  };
  BlockTensors t;
  t.attention_norm = norm("input_layernorm");
  t.mlp_norm = norm("pre_feedforward_layernorm");
  t.mlp_post_norm = norm("post_feedforward_layernorm");
  // Llama calls the norm before its MLP by what it comes after.
  (t.mlp_norm.weight.defined() ? t.attention_post_norm : t.mlp_norm) =
      norm("post_attention_layernorm");
  t.q_norm = norm("self_attn.q_norm");
  t.k_norm = norm("self_attn.k_norm");
  t.qkv = linear("self_attn.q_proj", "self_attn.v_proj");
  t.out = linear("self_attn.o_proj", "self_attn.o_proj");
  t.up = linear("mlp.gate_proj", "mlp.up_proj");
  t.down = linear("mlp.down_proj", "mlp.down_proj");
  return t;
}

OuterTensors outer_tensors(const ParameterLayout& layout, const Weights& flat) {
  OuterTensors t;
  t.embedding = view_of(flat, layout.slot("model.embed_tokens.weight"));
  t.positions = view_if_any(layout, flat, "model.embed_positions.weight");
  t.norm = {view_of(flat, layout.slot("model.norm.weight")),
            view_if_any(layout, flat, "model.norm.bias")};
  t.head = view_if_any(layout, flat, "lm_head.weight");
  if (!t.head.defined()) t.head = t.embedding;
  return t;
}

void fill_from_host(const at::Tensor& view, const std::function<void(float*)>& write) {
  const bool writable = view.is_cpu() && view.scalar_type() == at::kFloat;
  if (writable) return write(view.mutable_data_ptr<float>());
  at::Tensor host = at::empty(view.sizes(), at::kFloat);
  write(host.mutable_data_ptr<float>());
  view.copy_(host);
}

void initialize(const ParameterLayout& layout, double range, int64_t seed, const Weights& weights) {
  weights.zero();
  for (const ParameterSlot& slot : layout.slots()) {
    if (slot.start == ParameterSlot::Start::normal) {
      const uint64_t stream = hash64(slot.name, static_cast<uint64_t>(seed));
      fill_from_host(view_of(weights, slot),
                     [&](float* out) { fill_normal(out, slot.elements, range, stream); });
    } else if (slot.start == ParameterSlot::Start::ones) {
      view_of(weights, slot).fill_(1);
    }
  }
}

}  // namespace llmctl
