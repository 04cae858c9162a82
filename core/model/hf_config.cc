// Reading Hugging Face's config.json (model_config.h). Absent fields mean what Transformers'
// configuration classes mean by them, which is not always our default. What would change the
// computation and is not in our template is refused.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/json_reader.h"
#include "core/base/limits.h"
#include "core/base/suggest.h"
#include "core/fields/field_table.h"
#include "core/model/model_config.h"

namespace llmctl {

using nlohmann::json;

static Error unsupported(const std::string& message) {
  return {Code::invalid_argument, "config.json: " + message,
          "llmctl trains models of type " + std::string(architectures())};
}

// The config classes' defaults where they are not those of set_family().
static ModelConfig absent_means(const std::string& type) {
  ModelConfig config;
  config.tie_word_embeddings = type == "gpt2" || type.starts_with("gemma");
  set_family(config, type);
  if (type == "llama" || type == "mistral") config.rms_norm_eps = 1e-6;
  if (type == "qwen3") config.head_dim = 128;
  if (type.starts_with("gemma")) config.head_dim = 256;
  const int64_t positions = type == "llama"         ? 2'048
                            : type == "phi3"        ? 4'096
                            : type == "gpt2"        ? 1'024
                            : type == "gemma2"      ? 8'192
                            : type.starts_with("q") ? 32'768
                                                    : 131'072;
  config.max_position_embeddings = positions;
  return config;
}

// An absent or null field leaves the value; `none` is what null sets, where it sets something.
static void read_optional(JsonReader& reader, const char* name, int64_t& value, int64_t min = 1) {
  const json* field = reader.child(name);
  if (field != nullptr && !field->is_null()) reader.read(name, value, min);
}
static void read_or_none(JsonReader& reader, const char* name, int64_t& value) {
  const json* field = reader.child(name);
  if (field != nullptr && field->is_null()) value = 0;
  read_optional(reader, name, value);
}
static void read_or_none(JsonReader& reader, const char* name, double& value) {
  const json* field = reader.child(name);
  if (field == nullptr) return;
  if (field->is_null()) {
    value = 0;
  } else {
    reader.read(name, value);
  }
}

static void read_shape(JsonReader& reader, ModelConfig& config) {
  for (const char* name : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                           "num_attention_heads"}) {
    reader.need(name);
  }
  reader.read("vocab_size", config.vocab_size, 1, limits::kVocabSize);
  reader.read("hidden_size", config.hidden_size, 1, limits::kHiddenSize);
  reader.read("intermediate_size", config.intermediate_size, 1);
  reader.read("num_hidden_layers", config.num_hidden_layers, 1);
  reader.read("num_attention_heads", config.num_attention_heads, 1);
  read_optional(reader, "num_key_value_heads", config.num_key_value_heads);
  read_optional(reader, "head_dim", config.head_dim);
  reader.read("max_position_embeddings", config.max_position_embeddings, 1);
  reader.read("rms_norm_eps", config.rms_norm_eps);
}

static void read_gpt2_shape(JsonReader& reader, ModelConfig& config) {
  for (const char* name : {"vocab_size", "n_embd", "n_layer", "n_head"}) reader.need(name);
  reader.read("vocab_size", config.vocab_size, 1, limits::kVocabSize);
  reader.read("n_embd", config.hidden_size, 1, limits::kHiddenSize);
  reader.read("n_layer", config.num_hidden_layers, 1);
  reader.read("n_head", config.num_attention_heads, 1);
  reader.read("n_positions", config.max_position_embeddings, 1);
  read_optional(reader, "n_inner", config.intermediate_size);
  reader.read("layer_norm_epsilon", config.rms_norm_eps);
}

// Fields that some family has; each is read only where it means something.
static void read_options(JsonReader& reader, ModelConfig& config) {
  const std::string& type = config.architecture;
  const bool gemma = type.starts_with("gemma");
  if (type == "llama" || type == "qwen3" || gemma) {
    bool bias = false;
    reader.read("attention_bias", bias);
    config.qkv_bias = config.out_bias = bias;
  }
  if (type == "llama") reader.read("mlp_bias", config.mlp_bias);
  if (type == "mistral" || type == "phi3" || gemma) {
    read_or_none(reader, "sliding_window", config.sliding_window);
  }
  if (type.starts_with("qwen")) {
    bool used = false;
    reader.read("use_sliding_window", used);
    if (used) {
      config.sliding_window = 4'096;
      config.max_window_layers = 28;
      read_or_none(reader, "sliding_window", config.sliding_window);
      reader.read("max_window_layers", config.max_window_layers, 0);
    }
  }
  if (type == "gemma3_text") {
    reader.read("sliding_window_pattern", config.sliding_window_pattern, 1);
  }
  if (gemma) {
    reader.read("query_pre_attn_scalar", config.query_pre_attn_scalar);
    read_or_none(reader, "attn_logit_softcapping", config.attn_logit_softcapping);
    read_or_none(reader, "final_logit_softcapping", config.final_logit_softcapping);
  }
}

// By Transformers' names of functions; empty: none of ours.
static std::string activation_of(const json& name) {
  if (name == "silu" || name == "swish") return "silu";
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return "gelu_tanh";
  return name == "gelu" ? "gelu" : "";
}

// The activation; settings that change the computation and that we do not have.
static Status read_variants(const json& document, ModelConfig& config) {
  const std::string& type = config.architecture;
  const char* name = type == "gpt2"              ? "activation_function"
                     : type.starts_with("gemma") ? "hidden_activation"
                                                 : "hidden_act";
  if (document.contains(name) && !document[name].is_null()) {
    const std::string activation = activation_of(document[name]);
    if (activation.empty() || (activation == "silu" && !config.gated_mlp)) {
      return unsupported(std::string(name) + ": " + dump_json(document[name]) +
                         " is not supported for " + type);
    }
    config.activation = activation;
  }
  for (const char* flag :
       {"scale_attn_by_inverse_layer_idx", "add_cross_attention", "use_bidirectional_attention"}) {
    if (document.contains(flag) && document[flag] == true) {
      return unsupported(std::string(flag) + ": true is not supported");
    }
  }
  if (document.contains("scale_attn_weights") && document["scale_attn_weights"] == false) {
    return unsupported("scale_attn_weights: false is not supported");
  }
  return ok_status();
}

// An absent list leaves the factors.
static void read_factors(JsonReader& reader, const char* name, std::vector<double>& factors) {
  const json* list = reader.child(name);
  if (list == nullptr || list->is_null()) return;
  const auto is_number = [](const json& item) { return item.is_number(); };
  const bool usable = list->is_array() && list->size() <= limits::kHiddenSize &&
                      std::all_of(list->begin(), list->end(), is_number);
  if (!usable) return reader.fail(name, "a list of numbers");
  factors = list->get<std::vector<double>>();
}

// Phi-3 had other names for longrope, and the length that its top level says is the one that
// counts.
static void settle_rope(const ModelConfig& config, int64_t top_length, RopeScaling& rope) {
  const bool phi = config.architecture == "phi3";
  if (rope.type == "su" || (phi && rope.type == "yarn")) rope.type = "longrope";
  if (phi) rope.original_positions = top_length;
  if (rope.type == "longrope" && rope.original_positions == 0) {
    rope.original_positions = config.max_position_embeddings;
  }
  if (rope.factor != 0) return;
  const bool by_ratio = rope.original_positions > 0 && config.max_position_embeddings > 0 &&
                        (rope.type == "longrope" || rope.type == "yarn");
  rope.factor = by_ratio ? std::max(1.0, static_cast<double>(config.max_position_embeddings) /
                                             static_cast<double>(rope.original_positions))
                         : 1;
}

// One set of rope parameters, in either version's names.
static Status read_rope_object(const json& document, const std::string& what, ModelConfig& config) {
  JsonReader reader(document, "config.json: " + what);
  RopeScaling& rope = config.rope;
  const int64_t top_length = rope.original_positions;
  rope.factor = 0;                 // none is said
  reader.read("type", rope.type);  // the name before v4.43
  reader.read("rope_type", rope.type);
  reader.read("rope_theta", config.rope_theta);
  reader.read("partial_rotary_factor", config.partial_rotary_factor);
  read_or_none(reader, "factor", rope.factor);
  read_optional(reader, "original_max_position_embeddings", rope.original_positions);
  reader.read("low_freq_factor", rope.low_freq_factor);
  reader.read("high_freq_factor", rope.high_freq_factor);
  read_or_none(reader, "beta_fast", rope.beta_fast);
  read_or_none(reader, "beta_slow", rope.beta_slow);
  read_or_none(reader, "attention_factor", rope.attention_factor);
  reader.read("truncate", rope.truncate);
  read_factors(reader, "short_factor", rope.short_factor);
  read_factors(reader, "long_factor", rope.long_factor);
  double scale = 0, scale_of_all = 0;  // of the logarithm in yarn's attention factor
  read_or_none(reader, "mscale", scale);
  read_or_none(reader, "mscale_all_dim", scale_of_all);
  TRY(reader.status());
  settle_rope(config, top_length, rope);
  if (rope.type == "yarn" && rope.attention_factor == 0 && scale != 0 && scale_of_all != 0) {
    const double log = 0.1 * std::log(std::max(1.0, rope.factor));
    rope.attention_factor = (scale * log + 1) / (scale_of_all * log + 1);
  }
  if (rope.type == "default") rope = {};
  return ok_status();
}

// v5: rope_parameters holds theta and scaling; of models with two kinds of layers, one per kind.
static Status read_rope(const json& document, ModelConfig& config) {
  JsonReader top(document, "config.json");
  top.read("rope_theta", config.rope_theta);
  top.read("partial_rotary_factor", config.partial_rotary_factor);
  if (config.architecture == "gemma3_text") {
    top.read("rope_local_base_freq", config.rope_local_theta);
  }
  TRY(top.status());
  for (const std::string name : {"rope_scaling", "rope_parameters"}) {
    if (!document.contains(name) || document[name].is_null()) continue;
    if (config.architecture == "phi3") {
      config.rope.original_positions = 4'096;
      read_optional(top, "original_max_position_embeddings", config.rope.original_positions);
      TRY(top.status());
    }
    const json& object = document[name];
    if (!object.is_object() || !object.contains("full_attention")) {
      TRY(read_rope_object(object, name, config));
      continue;
    }
    TRY(read_rope_object(object["full_attention"], name + ".full_attention", config));
    if (!object.contains("sliding_attention")) continue;
    ModelConfig local = config;
    local.rope = {};
    local.rope_theta = config.rope_local_theta;
    TRY(read_rope_object(object["sliding_attention"], name + ".sliding_attention", local));
    if (local.rope != RopeScaling{}) {
      return unsupported(name + ".sliding_attention: scaling is not supported");
    }
    config.rope_local_theta = local.rope_theta;
  }
  if (config.partial_rotary_factor != 1 && config.architecture != "phi3") {
    return unsupported("partial_rotary_factor: only phi3 has it");
  }
  return ok_status();
}

static bool same_layers(const ModelConfig& config, const std::vector<bool>& slides) {
  for (size_t i = 0; i < slides.size(); ++i) {
    if (config.slides(static_cast<int64_t>(i)) != slides[i]) return false;
  }
  return true;
}

// layer_types lists what we have as a rule: the first layers, or every n-th, see everything.
static Status read_layer_types(const json& document, ModelConfig& config) {
  if (!document.contains("layer_types") || document["layer_types"].is_null()) return ok_status();
  const json& types = document["layer_types"];
  if (!types.is_array() || std::cmp_not_equal(types.size(), config.num_hidden_layers)) {
    return unsupported("layer_types: expected one for each of num_hidden_layers");
  }
  std::vector<bool> slides;
  for (const json& type : types) {
    if (type != "sliding_attention" && type != "full_attention") {
      return unsupported("layer_types: " + dump_json(type) + " is not supported");
    }
    slides.push_back(type == "sliding_attention");
  }
  if (same_layers(config, slides)) return ok_status();
  const auto first = [&](bool kind) {
    return std::find(slides.begin(), slides.end(), kind) - slides.begin();
  };
  config.max_window_layers = first(true);
  config.sliding_window_pattern = 0;
  if (same_layers(config, slides)) return ok_status();
  config.max_window_layers = 0;
  config.sliding_window_pattern = first(false) + 1;
  if (same_layers(config, slides)) return ok_status();
  return unsupported("layer_types: expected the first layers, or every n-th, to be full_attention");
}

Result<ModelConfig> parse_hf_config(const json& document) {
  JsonReader reader(document, "config.json");
  std::string type;
  reader.need("model_type");
  reader.read("model_type", type);
  TRY(reader.status());
  const std::vector<std::string_view> known = words(architectures());
  if (std::find(known.begin(), known.end(), type) == known.end()) {
    return unsupported("model_type: " + dump_json(document["model_type"]) + " is not supported" +
                       did_you_mean(type, known));
  }
  ModelConfig config = absent_means(type);
  if (type == "gpt2") {
    read_gpt2_shape(reader, config);
  } else {
    read_shape(reader, config);
  }
  reader.read("initializer_range", config.initializer_range);
  reader.read("tie_word_embeddings", config.tie_word_embeddings);
  read_options(reader, config);
  TRY(reader.status());
  TRY(read_variants(document, config));
  if (!config.learned_positions) TRY(read_rope(document, config));
  if (config.sliding_window > 0) TRY(read_layer_types(document, config));
  config = resolved(config, 0, 0);
  const std::vector<std::string> wrong = problems(config);
  if (!wrong.empty()) return unsupported(wrong.front());
  return config;
}

}  // namespace llmctl
