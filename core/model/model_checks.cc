// What is wrong with the shape of a model (model_config.h).
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/base/limits.h"
#include "core/fields/field_table.h"
#include "core/model/model_config.h"

namespace llmctl {

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

static void check_number(
    std::vector<std::string>& out, const char* name, double value, double min, double max) {
  if (value >= min && value <= max) return;  // NaN is neither
  char text[128];
  std::snprintf(text, sizeof text, "%s: expected %g to %g, got %g", name, min, max, value);
  out.emplace_back(text);
}

static void check_choice(std::vector<std::string>& out,
                         const char* name,
                         const std::string& value,
                         const char* choices) {
  const std::vector<std::string_view> known = words(choices);
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  out.push_back(std::string(name) + ": expected one of " + choices + ", got \"" + value + "\"");
}

static void check_rope(std::vector<std::string>& out, const ModelConfig& config) {
  constexpr double kMost = 1e15;
  const RopeScaling& rope = config.rope;
  check_number(out, "rope_theta", config.rope_theta, 1, kMost);
  if (config.rope_local_theta != 0) {
    check_number(out, "rope_local_theta", config.rope_local_theta, 1, kMost);
  }
  check_choice(out, "rope_type", rope.type, kRopeTypes);
  check_number(out, "rope_factor", rope.factor, 1, 1e6);
  check_number(out, "rope_attention_factor", rope.attention_factor, 0, 1e3);
  if (rope.original_positions < 0 || rope.original_positions > limits::kSequenceLen) {
    out.emplace_back("rope_original_positions: expected 0 to " +
                     std::to_string(limits::kSequenceLen));
  }
  if (!(rope.low_freq_factor > 0 && rope.high_freq_factor > rope.low_freq_factor &&
        std::isfinite(rope.high_freq_factor))) {
    out.emplace_back(
        "rope_high_freq_factor: expected more than rope_low_freq_factor, which is "
        "more than 0");
  }
  if (!(rope.beta_slow > 0 && rope.beta_fast >= rope.beta_slow && std::isfinite(rope.beta_fast))) {
    out.emplace_back("rope_beta_fast: expected at least rope_beta_slow, which is more than 0");
  }
}

// Of one of longrope's lists.
static void check_factors(std::vector<std::string>& out,
                          const char* name,
                          const std::vector<double>& factors,
                          int64_t pairs) {
  if (std::cmp_not_equal(factors.size(), pairs)) {
    out.push_back(std::string(name) + ": expected " + std::to_string(pairs) + " numbers, got " +
                  std::to_string(factors.size()));
  } else if (!std::all_of(factors.begin(), factors.end(),
                          [](double f) { return f > 0 && std::isfinite(f); })) {
    out.push_back(std::string(name) + ": expected numbers above 0");
  }
}

static void check_rotated_part(std::vector<std::string>& out, const ModelConfig& config) {
  const int64_t rotated = config.rotary_dim();
  const double part = config.partial_rotary_factor;
  if (!(part > 0 && part <= 1) || rotated < 2 || rotated % 2 != 0) {
    out.push_back("partial_rotary_factor: expected a share of head_dim " +
                  std::to_string(config.head_dim) + " that is an even number");
    return;
  }
  const bool longrope = config.rope.type == "longrope";
  if (longrope && config.rope.original_positions < 2) {
    out.emplace_back("rope_original_positions: longrope needs it");
  }
  check_factors(out, "rope_short_factor", config.rope.short_factor, longrope ? rotated / 2 : 0);
  check_factors(out, "rope_long_factor", config.rope.long_factor, longrope ? rotated / 2 : 0);
}

static void check_options(std::vector<std::string>& out, const ModelConfig& config) {
  check_choice(out, "architecture", config.architecture, architectures());
  check_choice(out, "norm", config.norm, "rms layer");
  check_choice(out, "activation", config.activation, kActivations);
  if (config.norm == "layer" && config.norm_plus_one) {
    out.emplace_back("norm_plus_one: only rms norms have it");
  }
  if (!config.gated_mlp && config.activation == "silu") {
    out.emplace_back("activation: an MLP that is not gated has gelu_tanh or gelu");
  }
  const auto count = [&](const char* name, int64_t value, int64_t max) {
    if (value < 0 || value > max)
      out.push_back(std::string(name) + ": expected 0 to " + std::to_string(max));
  };
  count("sliding_window", config.sliding_window, limits::kSequenceLen);
  count("sliding_window_pattern", config.sliding_window_pattern, limits::kLayers);
  count("max_window_layers", config.max_window_layers, limits::kLayers);
  check_number(out, "query_pre_attn_scalar", config.query_pre_attn_scalar, 0, 1e6);
  check_number(out, "attn_logit_softcapping", config.attn_logit_softcapping, 0, 1e6);
  check_number(out, "final_logit_softcapping", config.final_logit_softcapping, 0, 1e6);
}

std::vector<std::string> problems(const ModelConfig& config) {
  // Bounds whose products stay far inside 63 bits.
  constexpr int64_t kHeads = 4'096, kHeadDim = 1'024;
  std::vector<std::string> out;
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
  if (!(config.initializer_range >= 0 && config.initializer_range <= 10)) {
    out.push_back("initializer_range: expected 0 to 10");
  }
  check_rope(out, config);
  if (config.head_dim >= 2 && config.head_dim % 2 == 0) check_rotated_part(out, config);
  check_options(out, config);
  return out;
}

}  // namespace llmctl
