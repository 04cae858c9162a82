#include "trainer/parameters.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/result.h"
#include "trainer/content_hash.h"

namespace llmctl {
namespace {

constexpr int64_t kAlignment = 16;  // floats: one cache line

std::string block_name(int64_t block, const char* part) {
  return "model.layers." + std::to_string(block) + "." + part + ".weight";
}

constexpr const char *kEmbedding = "model.embed_tokens.weight", *kHead = "lm_head.weight",
                     *kNorm = "model.norm.weight";

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

}  // namespace

ParameterLayout::ParameterLayout(const ModelConfig& c) {
  const int64_t query = c.num_attention_heads * c.head_dim;
  const int64_t key_value = c.num_key_value_heads * c.head_dim;
  add(kEmbedding, {c.vocab_size, c.hidden_size});
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    align();
    add(block_name(i, "self_attn.q_proj"), {query, c.hidden_size});
    add(block_name(i, "self_attn.k_proj"), {key_value, c.hidden_size});
    add(block_name(i, "self_attn.v_proj"), {key_value, c.hidden_size});
    align();
    add(block_name(i, "self_attn.o_proj"), {c.hidden_size, query});
    align();
    add(block_name(i, "mlp.gate_proj"), {c.intermediate_size, c.hidden_size});
    add(block_name(i, "mlp.up_proj"), {c.intermediate_size, c.hidden_size});
    align();
    add(block_name(i, "mlp.down_proj"), {c.hidden_size, c.intermediate_size});
  }
  align();
  if (!c.tie_word_embeddings) add(kHead, {c.vocab_size, c.hidden_size});
  align();
  matrices_end_ = size_;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    for (const char* part : {"input_layernorm", "post_attention_layernorm"}) {
      add(block_name(i, part), {c.hidden_size});
      align();
    }
  }
  add(kNorm, {c.hidden_size});
  align();
}

void ParameterLayout::add(std::string name, std::vector<int64_t> shape) {
  int64_t elements = 1;
  for (const int64_t extent : shape) elements *= extent;
  slots_.push_back({std::move(name), std::move(shape), size_, elements});
  size_ += elements;
  parameters_ += elements;
}

void ParameterLayout::align() {
  size_ = (size_ + kAlignment - 1) / kAlignment * kAlignment;
}

const ParameterSlot& ParameterLayout::slot(const std::string& name) const {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&](const ParameterSlot& s) { return s.name == name; });
  CHECK(found != slots_.end());
  return *found;
}

at::Tensor ParameterLayout::view(const at::Tensor& flat, const ParameterSlot& slot) const {
  return flat.narrow(0, slot.offset, slot.elements).view(slot.shape);
}

at::Tensor ParameterLayout::view(const at::Tensor& flat, const std::string& name) const {
  return view(flat, slot(name));
}

at::Tensor ParameterLayout::fused(const at::Tensor& flat,
                                  const std::string& first,
                                  const std::string& last) const {
  const ParameterSlot &from = slot(first), &to = slot(last);
  const int64_t elements = to.offset + to.elements - from.offset;
  return flat.narrow(0, from.offset, elements).view({-1, from.shape[1]});
}

BlockTensors block_tensors(const ParameterLayout& layout, const at::Tensor& flat, int64_t block) {
  const auto name = [&](const char* part) { return block_name(block, part); };
  return {layout.view(flat, name("input_layernorm")),
          layout.fused(flat, name("self_attn.q_proj"), name("self_attn.v_proj")),
          layout.view(flat, name("self_attn.o_proj")),
          layout.view(flat, name("post_attention_layernorm")),
          layout.fused(flat, name("mlp.gate_proj"), name("mlp.up_proj")),
          layout.view(flat, name("mlp.down_proj"))};
}

OuterTensors outer_tensors(const ParameterLayout& layout, const at::Tensor& flat) {
  const at::Tensor embedding = layout.view(flat, kEmbedding);
  const auto& slots = layout.slots();
  const bool untied = std::any_of(slots.begin(), slots.end(),
                                  [](const ParameterSlot& s) { return s.name == kHead; });
  return {embedding, layout.view(flat, kNorm), untied ? layout.view(flat, kHead) : embedding};
}

void fill_from_host(at::Tensor view, const std::function<void(float*)>& write) {
  if (view.is_cpu()) return write(view.mutable_data_ptr<float>());
  at::Tensor host = at::empty(view.sizes(), at::kFloat);
  write(host.mutable_data_ptr<float>());
  view.copy_(host);
}

void initialize(const ParameterLayout& layout, double range, int64_t seed, at::Tensor& weights) {
  weights.zero_();
  for (const ParameterSlot& slot : layout.slots()) {
    if (slot.offset < layout.matrices_end()) {
      const uint64_t stream = hash64(slot.name, static_cast<uint64_t>(seed));
      fill_from_host(layout.view(weights, slot),
                     [&](float* out) { fill_normal(out, slot.elements, range, stream); });
    } else {
      layout.view(weights, slot).fill_(1);
    }
  }
}

}  // namespace llmctl
