#include "core/model_config.h"

#include <cmath>

#include "core/limits.h"

namespace llmctl {

static ModelConfig shape(int64_t layers, int64_t hidden, int64_t heads, int64_t kv_heads) {
  ModelConfig config;
  config.num_hidden_layers = layers;
  config.hidden_size = hidden;
  config.num_attention_heads = heads;
  config.num_key_value_heads = kv_heads;
  return config;
}

static ModelConfig llama_1b() {
  ModelConfig config = shape(16, 2048, 32, 8);
  config.intermediate_size = 8192;
  config.rope_theta = 500'000.0;
  return config;
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"llama-1m", "4 layers of 128; about 1M parameters with a 2k vocabulary",
       shape(4, 128, 4, 2)},
      {"llama-5m", "6 layers of 256; about 5M parameters with a 4k vocabulary",
       shape(6, 256, 8, 4)},
      {"llama-20m", "6 layers of 512; about 22M parameters with an 8k vocabulary",
       shape(6, 512, 8, 4)},
      {"llama-110m", "12 layers of 768; about 110M parameters with a 32k vocabulary",
       shape(12, 768, 12, 12)},
      {"llama-350m", "24 layers of 1024; about 320M parameters with a 32k vocabulary",
       shape(24, 1024, 16, 8)},
      {"llama-1b", "16 layers of 2048; about 1.2B parameters with a 128k vocabulary", llama_1b()},
  };
  return all;
}

ModelConfig resolved(ModelConfig config, int64_t vocab_size, int64_t sequence_len) {
  if (config.vocab_size == 0) config.vocab_size = vocab_size;
  if (config.intermediate_size == 0) {
    config.intermediate_size = ((config.hidden_size * 8 + 2) / 3 + 63) / 64 * 64;
  }
  if (config.num_key_value_heads == 0) config.num_key_value_heads = config.num_attention_heads;
  if (config.head_dim == 0 && config.num_attention_heads > 0) {
    config.head_dim = config.hidden_size / config.num_attention_heads;
  }
  if (config.max_position_embeddings == 0) config.max_position_embeddings = sequence_len;
  return config;
}

static void check_range(std::vector<std::string>& out,
                        const char* name,
                        int64_t value,
                        int64_t max) {
  if (value >= 1 && value <= max) return;
  out.push_back(std::string(name) + ": expected 1 to " + std::to_string(max) + ", got " +
                std::to_string(value));
}

static void check_heads(std::vector<std::string>& out, const ModelConfig& config) {
  const int64_t heads = config.num_attention_heads, kv_heads = config.num_key_value_heads;
  if (heads >= 1 && kv_heads >= 1 && heads % kv_heads != 0) {
    out.push_back("num_key_value_heads: " + std::to_string(kv_heads) +
                  " does not divide num_attention_heads " + std::to_string(heads));
  }
  const bool derived = heads >= 1 && config.head_dim == config.hidden_size / heads;
  if (derived && config.hidden_size % heads != 0) {
    out.push_back("num_attention_heads: " + std::to_string(heads) +
                  " does not divide hidden_size " + std::to_string(config.hidden_size));
  } else if (config.head_dim >= 1 && config.head_dim % 2 != 0) {
    out.push_back("head_dim: rotary embedding needs an even number, got " +
                  std::to_string(config.head_dim));
  }
}

std::vector<std::string> problems(const ModelConfig& config) {
  // Bounds whose products stay far inside 63 bits.
  constexpr int64_t kHeads = 4'096, kHeadDim = 1'024;
  std::vector<std::string> out;
  if (config.architecture != "llama") {
    out.push_back("architecture: expected llama, got \"" + config.architecture + "\"");
  }
  check_range(out, "vocab_size", config.vocab_size, limits::kVocabSize);
  check_range(out, "hidden_size", config.hidden_size, limits::kHiddenSize);
  check_range(out, "intermediate_size", config.intermediate_size, 16LL * limits::kHiddenSize);
  check_range(out, "num_hidden_layers", config.num_hidden_layers, limits::kLayers);
  check_range(out, "num_attention_heads", config.num_attention_heads, kHeads);
  check_range(out, "num_key_value_heads", config.num_key_value_heads, kHeads);
  check_range(out, "head_dim", config.head_dim, kHeadDim);
  check_range(out, "max_position_embeddings", config.max_position_embeddings, limits::kSequenceLen);
  check_heads(out, config);
  if (!(config.rms_norm_eps > 0 && config.rms_norm_eps < 1)) {
    out.push_back("rms_norm_eps: expected more than 0 and less than 1");
  }
  if (!(config.rope_theta >= 1 && std::isfinite(config.rope_theta))) {
    out.push_back("rope_theta: expected at least 1");
  }
  if (!(config.initializer_range >= 0 && config.initializer_range <= 10)) {
    out.push_back("initializer_range: expected 0 to 10");
  }
  return out;
}

// Weights of the matrix products of one block.
static int64_t block_matrices(const ModelConfig& c) {
  const int64_t query = c.num_attention_heads * c.head_dim;
  const int64_t key_value = c.num_key_value_heads * c.head_dim;
  return c.hidden_size * (2 * query + 2 * key_value + 3 * c.intermediate_size);
}

int64_t parameter_count(const ModelConfig& c) {
  const int64_t tables = c.tie_word_embeddings ? 1 : 2;
  return tables * c.vocab_size * c.hidden_size +
         c.num_hidden_layers * (block_matrices(c) + 2 * c.hidden_size) + c.hidden_size;
}

// 2 operations per weight forward and 4 backward; attention is counted over the causal half.
double flops_per_token(const ModelConfig& c, int64_t sequence_len) {
  const auto weights =
      static_cast<double>(c.num_hidden_layers * block_matrices(c) + c.vocab_size * c.hidden_size);
  const auto attention =
      static_cast<double>(c.num_hidden_layers * c.num_attention_heads * c.head_dim) *
      static_cast<double>(sequence_len);
  return 6 * weights + 6 * attention;
}

}  // namespace llmctl
