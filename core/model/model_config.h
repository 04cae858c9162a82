// ModelConfig: the shape of a decoder, in the names of Hugging Face's config.json where it has one.
// One template of a block covers every family; what they differ in is an option here. A plain
// value: the trainer builds the model from it, the memory model counts bytes from it. The
// architecture names the family, which decides the form of Hugging Face files and what a job file's
// `architecture:` presets; it computes nothing.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace llmctl {

// How the rotary embedding is stretched beyond the length a model was trained at; the names and
// meanings of Transformers' rope_parameters. Layers that slide by their own theta do without.
struct RopeScaling {
  std::string type = "default";    // default | linear | dynamic | yarn | llama3 | longrope
  double factor = 1;               // dynamic: NTK-aware, for the length of the model's sequences
  int64_t original_positions = 0;  // original_max_position_embeddings; 0: max_position_embeddings
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  bool truncate = true;                              // yarn: its ramp ends at whole pairs
  double attention_factor = 0;  // yarn and longrope; 0: what their papers derive from the factor
  // longrope: each pair's own, for sequences up to the original length and for longer ones.
  std::vector<double> short_factor = {}, long_factor = {};
  bool operator==(const RopeScaling&) const = default;
};

struct ModelConfig {
  std::string architecture = "llama";  // one of architectures()
  int64_t vocab_size = 0;              // 0: taken from the tokenizer
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;  // 0: gated 8/3 of hidden_size, rounded up to 64s; plain 4
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;      // 0: num_attention_heads
  int64_t head_dim = 0;                 // 0: hidden_size / num_attention_heads
  int64_t max_position_embeddings = 0;  // 0: sequence_len
  double rms_norm_eps = 1e-5;           // of either norm
  double rope_theta = 10'000.0;
  double initializer_range = 0.02;
  bool tie_word_embeddings = true;

  std::string norm = "rms";         // rms | layer (with bias)
  bool norm_plus_one = false;       // rms: y = x * r * (1 + w), w starts at zero
  bool post_norms = false;          // also after attention and MLP, before they are added
  bool qk_norm = false;             // rms over each query and key head, before rotation
  bool qkv_bias = false;            // of the three projections into attention
  bool out_bias = false;            // of the projection out of it
  bool mlp_bias = false;            // of all matrices of the MLP
  bool gated_mlp = true;            // down(act(gate) * up), or down(act(up))
  std::string activation = "silu";  // silu | gelu_tanh | gelu (by the error function)
  bool learned_positions = false;   // a table added to the embedding, instead of rotation
  bool scale_embedding = false;     // embeddings * sqrt(hidden_size)

  int64_t sliding_window = 0;          // tokens seen, itself included; 0: no layer slides
  int64_t sliding_window_pattern = 0;  // every n-th layer sees all; 0: every layer slides
  int64_t max_window_layers = 0;       // the first of them see all
  double rope_local_theta = 0;         // of layers that slide; 0: rope_theta and its scaling
  RopeScaling rope;
  double partial_rotary_factor = 1;    // share of each head, from its beginning, that is turned
  double query_pre_attn_scalar = 0;    // scores are divided by its root; 0: head_dim
  double attn_logit_softcapping = 0;   // c: scores become c tanh(score / c); 0: not
  double final_logit_softcapping = 0;  // and logits

  bool slides(int64_t layer) const;  // attention of this layer sees only the window
  int64_t rotary_dim() const;        // of head_dim
  bool operator==(const ModelConfig&) const = default;
};

inline constexpr const char* kRopeTypes = "default linear dynamic yarn llama3 longrope";
inline constexpr const char* kActivations = "silu gelu_tanh gelu";

const char* architectures();  // model_types, separated by spaces
// Sets the architecture and every option to what the family has; the shape stays. Requires: one of
// architectures().
void set_family(ModelConfig& config, std::string_view architecture);

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
// embedding's look-up is none, the head's product is one, tied or not) and 12 * heads * head_dim
// per key that a token sees, on average over the sequence: half of it, less with a sliding window
// (PaLM, arXiv 2204.02311, appendix B, with the mask taken off). What gradient checkpointing
// computes again is not counted.
double flops_per_token(const ModelConfig& config, int64_t sequence_len);

// A Hugging Face config.json (v4 and v5 names). What we cannot compute: invalid_argument.
Result<ModelConfig> parse_hf_config(const nlohmann::json& document);
// What Transformers 4 and 5 read. A config that its architecture cannot express (options set by
// hand): failed_precondition.
Result<nlohmann::json> to_hf_config(const ModelConfig& config);

}  // namespace llmctl
