#include "core/model/model_config.h"

#include <algorithm>

#include "core/base/result.h"

namespace llmctl {

const char* architectures() {
  return "llama mistral qwen2 qwen3 phi3 gpt2 gemma2 gemma3_text";
}

static void set_gemma(ModelConfig& config) {
  config.norm_plus_one = true;
  config.post_norms = true;
  config.activation = "gelu_tanh";
  config.scale_embedding = true;
  config.rms_norm_eps = 1e-6;
  config.query_pre_attn_scalar = 256;
}

static void keep_shape(ModelConfig& config, const ModelConfig& from) {
  config.vocab_size = from.vocab_size;
  config.hidden_size = from.hidden_size;
  config.intermediate_size = from.intermediate_size;
  config.num_hidden_layers = from.num_hidden_layers;
  config.num_attention_heads = from.num_attention_heads;
  config.num_key_value_heads = from.num_key_value_heads;
  config.head_dim = from.head_dim;
  config.max_position_embeddings = from.max_position_embeddings;
  config.initializer_range = from.initializer_range;
  config.tie_word_embeddings = from.tie_word_embeddings;
}

void set_family(ModelConfig& config, std::string_view name) {
  const std::string architecture(name);  // `name` may be the config's own
  ModelConfig family;
  keep_shape(family, config);
  config = family;
  config.architecture = architecture;
  if (architecture == "mistral") {
    config.sliding_window = 4'096;
  } else if (architecture == "qwen2") {
    config.qkv_bias = true;
    config.rms_norm_eps = 1e-6;
  } else if (architecture == "qwen3") {
    config.qk_norm = true;
    config.rms_norm_eps = 1e-6;
  } else if (architecture == "gpt2") {
    config.norm = "layer";
    config.qkv_bias = config.out_bias = config.mlp_bias = true;
    config.gated_mlp = false;
    config.activation = "gelu_tanh";
    config.learned_positions = true;
  } else if (architecture == "gemma2") {
    set_gemma(config);
    config.sliding_window = 4'096;
    config.sliding_window_pattern = 2;
    config.attn_logit_softcapping = 50;
    config.final_logit_softcapping = 30;
  } else if (architecture == "gemma3_text") {
    set_gemma(config);
    config.qk_norm = true;
    config.sliding_window = 4'096;
    config.sliding_window_pattern = 6;
    config.rope_theta = 1e6;
    config.rope_local_theta = 10'000;
  } else {
    CHECK(architecture == "llama" || architecture == "phi3");
  }
}

bool ModelConfig::slides(int64_t layer) const {
  const bool full = sliding_window_pattern > 0 && (layer + 1) % sliding_window_pattern == 0;
  return sliding_window > 0 && layer >= max_window_layers && !full;
}

int64_t ModelConfig::rotary_dim() const {
  return static_cast<int64_t>(static_cast<double>(head_dim) * partial_rotary_factor);
}

ModelConfig resolved(ModelConfig config, int64_t vocab_size, int64_t sequence_len) {
  if (config.vocab_size == 0) config.vocab_size = vocab_size;
  if (config.intermediate_size == 0) {
    config.intermediate_size = config.gated_mlp ? ((config.hidden_size * 8 + 2) / 3 + 63) / 64 * 64
                                                : 4 * config.hidden_size;
  }
  if (config.num_key_value_heads == 0) config.num_key_value_heads = config.num_attention_heads;
  if (config.head_dim == 0 && config.num_attention_heads > 0) {
    config.head_dim = config.hidden_size / config.num_attention_heads;
  }
  if (config.max_position_embeddings == 0) config.max_position_embeddings = sequence_len;
  return config;
}

// Weights of the matrix products of one block.
static int64_t block_matrices(const ModelConfig& c) {
  const int64_t query = c.num_attention_heads * c.head_dim;
  const int64_t key_value = c.num_key_value_heads * c.head_dim;
  const int64_t mlp = c.gated_mlp ? 3 : 2;
  return c.hidden_size * (2 * query + 2 * key_value + mlp * c.intermediate_size);
}

// Norms and biases of one block.
static int64_t block_vectors(const ModelConfig& c) {
  const int64_t row = (c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim;
  int64_t norms = c.post_norms ? 4 * c.hidden_size : 2 * c.hidden_size;
  if (c.norm == "layer") norms *= 2;
  return norms + (c.qk_norm ? 2 * c.head_dim : 0) + (c.qkv_bias ? row : 0) +
         (c.out_bias ? c.hidden_size : 0) +
         (c.mlp_bias ? (c.gated_mlp ? 2 : 1) * c.intermediate_size + c.hidden_size : 0);
}

int64_t parameter_count(const ModelConfig& c) {
  const int64_t tables = c.tie_word_embeddings ? 1 : 2;
  const int64_t positions = c.learned_positions ? c.max_position_embeddings : 0;
  const int64_t norm = c.norm == "layer" ? 2 * c.hidden_size : c.hidden_size;
  return (tables * c.vocab_size + positions) * c.hidden_size +
         c.num_hidden_layers * (block_matrices(c) + block_vectors(c)) + norm;
}

// 2 operations per weight forward and 4 backward; attention is counted over the keys that the mask
// leaves: half the sequence, or what a window that moves along it sees.
double flops_per_token(const ModelConfig& c, int64_t sequence_len) {
  const auto weights =
      static_cast<double>(c.num_hidden_layers * block_matrices(c) + c.vocab_size * c.hidden_size);
  const auto length = static_cast<double>(sequence_len);
  const double window = std::min(length, static_cast<double>(c.sliding_window));
  double keys = 0;  // seen by a token on average, summed over layers
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    keys += c.slides(i) ? window - window * window / (2 * length) : length / 2;
  }
  return 6 * weights + 12 * static_cast<double>(c.num_attention_heads * c.head_dim) * keys;
}

}  // namespace llmctl
