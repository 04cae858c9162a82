// ModelConfig: the shape of a decoder, in the names of Hugging Face's config.json. A plain value;
// the trainer builds the model from it, the memory model counts bytes from it.
// First form: Llama-style (RMSNorm, RoPE, GQA, SwiGLU, optional tying).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/result.h"

namespace llmctl {

struct ModelConfig {
  std::string architecture = "llama";
  int64_t vocab_size = 0;  // 0: taken from the tokenizer
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;  // 0: 8/3 * hidden_size, rounded up to a multiple of 64
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;      // 0: num_attention_heads
  int64_t head_dim = 0;                 // 0: hidden_size / num_attention_heads
  int64_t max_position_embeddings = 0;  // 0: sequence_len
  double rms_norm_eps = 1e-5;
  double rope_theta = 10'000.0;
  double initializer_range = 0.02;
  bool tie_word_embeddings = true;
  bool operator==(const ModelConfig&) const = default;
};

struct Preset {
  const char* name;
  const char* summary;
  ModelConfig config;
};
const std::vector<Preset>& presets();  // "llama-1m" … in order of size

// Fills the derived (zero) fields; `vocab_size` and `sequence_len` are what the job gives.
ModelConfig resolved(ModelConfig config, int64_t vocab_size, int64_t sequence_len);
// All that is wrong with a resolved config, one message each, prefixed with the field's name.
std::vector<std::string> problems(const ModelConfig& config);

int64_t parameter_count(const ModelConfig& config);  // tied weights counted once
// What the model itself needs, forward and backward: 6 per weight of a matrix product (the
// embedding's look-up is none, the head's product is one, tied or not) and 6 * layers * heads *
// head_dim * sequence_len for causal attention (PaLM, arXiv 2204.02311, appendix B, halved for the
// mask). What gradient checkpointing computes again is not counted.
double flops_per_token(const ModelConfig& config, int64_t sequence_len);

// A Hugging Face config.json (v4 and v5 names). Unknown model_type: invalid_argument.
Result<ModelConfig> parse_hf_config(const nlohmann::json& document);
nlohmann::json to_hf_config(const ModelConfig& config);

}  // namespace llmctl
