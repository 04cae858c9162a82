#include "trainer/layout/parameter_layout.h"

#include <algorithm>

#include "core/base/result.h"

namespace llmctl {

static constexpr int64_t kAlignment = 16;  // floats: one cache line

class ParameterLayout::Builder {
 public:
  using Start = ParameterSlot::Start;

  Builder(const ModelConfig& config, ParameterLayout& out)
      : c_(config),
        out_(out),
        hidden_(config.hidden_size),
        query_(config.num_attention_heads * config.head_dim),
        key_value_(config.num_key_value_heads * config.head_dim) {}

  void build() {
    add("model.embed_tokens.weight", {c_.vocab_size, hidden_});
    if (c_.learned_positions) {
      align();
      add("model.embed_positions.weight", {c_.max_position_embeddings, hidden_});
    }
    for (int64_t i = 0; i < c_.num_hidden_layers; ++i) block_matrices(i);
    align();
    if (!c_.tie_word_embeddings) add("lm_head.weight", {c_.vocab_size, hidden_});
    align();
    out_.matrices_end_ = out_.size_;
    for (int64_t i = 0; i < c_.num_hidden_layers; ++i) block_vectors(i);
    add_norm("model.norm", hidden_, c_.norm == "layer");
  }

 private:
  void add(std::string name, std::vector<int64_t> shape, Start start = Start::normal) {
    int64_t elements = 1;
    for (const int64_t extent : shape) elements *= extent;
    out_.slots_.push_back({std::move(name), std::move(shape), out_.size_, elements, start});
    out_.size_ += elements;
    out_.parameters_ += elements;
  }
  void align() { out_.size_ = (out_.size_ + kAlignment - 1) / kAlignment * kAlignment; }

  void block_matrices(int64_t i) {
    const auto name = [i](const char* part) { return block_parameter(i, part); };
    align();
    add(name("self_attn.q_proj.weight"), {query_, hidden_});
    add(name("self_attn.k_proj.weight"), {key_value_, hidden_});
    add(name("self_attn.v_proj.weight"), {key_value_, hidden_});
    align();
    add(name("self_attn.o_proj.weight"), {hidden_, query_});
    align();
    if (c_.gated_mlp) add(name("mlp.gate_proj.weight"), {c_.intermediate_size, hidden_});
    add(name("mlp.up_proj.weight"), {c_.intermediate_size, hidden_});
    align();
    add(name("mlp.down_proj.weight"), {hidden_, c_.intermediate_size});
  }

  void add_norm(const std::string& name, int64_t width, bool bias) {
    add(name + ".weight", {width}, c_.norm_plus_one ? Start::zeros : Start::ones);
    align();
    if (!bias) return;
    add(name + ".bias", {width}, Start::zeros);
    align();
  }
  void add_bias(const std::string& name, int64_t width) { add(name, {width}, Start::zeros); }

  void block_vectors(int64_t i) {
    const auto name = [i](const char* part) { return block_parameter(i, part); };
    const bool layer_norm = c_.norm == "layer";
    add_norm(name("input_layernorm"), hidden_, layer_norm);
    add_norm(name("post_attention_layernorm"), hidden_, layer_norm);
    if (c_.post_norms) {
      add_norm(name("pre_feedforward_layernorm"), hidden_, layer_norm);
      add_norm(name("post_feedforward_layernorm"), hidden_, layer_norm);
    }
    if (c_.qk_norm) {
      add_norm(name("self_attn.q_norm"), c_.head_dim, false);
      add_norm(name("self_attn.k_norm"), c_.head_dim, false);
    }
    if (c_.qkv_bias) {
      add_bias(name("self_attn.q_proj.bias"), query_);
      add_bias(name("self_attn.k_proj.bias"), key_value_);
      add_bias(name("self_attn.v_proj.bias"), key_value_);
      align();
    }
    if (c_.out_bias) add_bias(name("self_attn.o_proj.bias"), hidden_);
    align();
    if (c_.mlp_bias) mlp_biases(i);
  }

  void mlp_biases(int64_t i) {
    const auto name = [i](const char* part) { return block_parameter(i, part); };
    if (c_.gated_mlp) add_bias(name("mlp.gate_proj.bias"), c_.intermediate_size);
    add_bias(name("mlp.up_proj.bias"), c_.intermediate_size);
    align();
    add_bias(name("mlp.down_proj.bias"), hidden_);
    align();
  }

  const ModelConfig& c_;
  ParameterLayout& out_;
  const int64_t hidden_, query_, key_value_;
};

std::string block_parameter(int64_t block, const char* part) {
  return "model.layers." + std::to_string(block) + "." + part;
}

ParameterLayout::ParameterLayout(const ModelConfig& config) {
  Builder(config, *this).build();
}

const ParameterSlot* ParameterLayout::find(const std::string& name) const {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&](const ParameterSlot& s) { return s.name == name; });
  return found == slots_.end() ? nullptr : &*found;
}

const ParameterSlot& ParameterLayout::slot(const std::string& name) const {
  const ParameterSlot* found = find(name);
  CHECK(found != nullptr);
  return *found;
}

}  // namespace llmctl
