// The keys of model.h, both ways.
#include <nlohmann/json.hpp>
#include <optional>

#include "trainer/formats/gguf/model.h"
#include "trainer/formats/gguf/rope.h"
#include "trainer/layout/rope_scaling.h"

namespace llmctl {
namespace {

using nlohmann::json;

uint32_t file_type(GgufType type) {  // llama.cpp's llama_ftype
  switch (type) {
    case GgufType::f32:
      return 0;
    case GgufType::f16:
      return 1;
    case GgufType::q4_0:
      return 2;
    case GgufType::q8_0:
      return 7;
    case GgufType::q5_0:
      return 8;
    case GgufType::q4_k:
      return 14;
    case GgufType::q6_k:
      return 18;
    case GgufType::bf16:
      return 32;
    default:
      CHECK(false);
  }
}

uint32_t whole(int64_t value) {
  return static_cast<uint32_t>(value);  // problems() bounds them all far below 2^32
}

Status add_rope(const ModelConfig& c, const std::string& prefix, GgufMetadata& out) {
  out[prefix + "rope.dimension_count"] = whole(c.rotary_dim());
  out[prefix + "rope.freq_base"] = static_cast<float>(c.rope_theta);
  if (c.rope_local_theta > 0) {
    out[prefix + "rope.freq_base_swa"] = static_cast<float>(c.rope_local_theta);
  }
  const RopeScaling& rope = c.rope;
  if (rope.type == "longrope" && c.architecture == "phi3") {
    const double factor = rope.attention_factor;
    out[prefix + "rope.scaling.original_context_length"] = whole(rope.original_positions);
    out[prefix + "rope.scaling.attn_factor"] =
        static_cast<float>(factor > 0 ? factor : longrope_attention_factor(rope));
  }
  if (rope.type == "default" || has_rope_tensors(c)) return ok_status();
  const bool plain_yarn = rope.type == "yarn" && rope.truncate && rope.attention_factor == 0;
  if (rope.type != "linear" && !plain_yarn) {
    return Error{Code::failed_precondition,
                 "GGUF has no form for these options of rope type " + rope.type, ""};
  }
  out[prefix + "rope.scaling.type"] = rope.type;
  out[prefix + "rope.scaling.factor"] = static_cast<float>(rope.factor);
  if (rope.original_positions > 0) {
    out[prefix + "rope.scaling.original_context_length"] = whole(rope.original_positions);
  }
  if (rope.type == "yarn") {
    out[prefix + "rope.scaling.yarn_beta_fast"] = static_cast<float>(rope.beta_fast);
    out[prefix + "rope.scaling.yarn_beta_slow"] = static_cast<float>(rope.beta_slow);
  }
  return ok_status();
}

void add_attention(const ModelConfig& c, const std::string& prefix, GgufMetadata& out) {
  const std::string attention = prefix + "attention.";
  out[attention + "head_count"] = whole(c.num_attention_heads);
  out[attention + "head_count_kv"] = whole(c.num_key_value_heads);
  out[attention + "key_length"] = out[attention + "value_length"] = whole(c.head_dim);
  const char* epsilon = c.norm == "layer" ? "layer_norm_epsilon" : "layer_norm_rms_epsilon";
  out[attention + epsilon] = static_cast<float>(c.rms_norm_eps);
  if (c.sliding_window > 0) out[attention + "sliding_window"] = whole(c.sliding_window);
  if (c.attn_logit_softcapping > 0) {
    out[prefix + "attn_logit_softcapping"] = static_cast<float>(c.attn_logit_softcapping);
  }
  if (c.final_logit_softcapping > 0) {
    out[prefix + "final_logit_softcapping"] = static_cast<float>(c.final_logit_softcapping);
  }
}

// What readers of GGUF take from the architecture's name, not from a key.
Status refuse_variants(const ModelConfig& c) {
  TRY(to_hf_config(c));  // options set by hand have no form here either
  const auto no_form = [](const std::string& what) {
    return Error{Code::failed_precondition, "GGUF has no form for " + what, ""};
  };
  ModelConfig family = c;
  set_family(family, c.architecture);
  if (c.activation != family.activation) return no_form("activation " + c.activation);
  const auto dim = static_cast<double>(c.head_dim);
  if (c.query_pre_attn_scalar != 0 && c.query_pre_attn_scalar != dim) {
    return no_form("a query_pre_attn_scalar that is not head_dim");
  }
  if (c.architecture.starts_with("qwen") && c.sliding_window > 0) {
    return no_form("sliding windows of " + c.architecture);
  }
  if (c.architecture == "gemma3_text" && c.sliding_window_pattern != 6) {
    return no_form("a sliding_window_pattern other than 6");
  }
  return ok_status();
}

// The values of one file, by key; the first error is kept.
class KeyReader {
 public:
  explicit KeyReader(const GgufMetadata& metadata) : metadata_(metadata) {}

  std::string text(const std::string& key) {
    const auto found = metadata_.find(key);
    if (found != metadata_.end() && std::holds_alternative<std::string>(found->second)) {
      return std::get<std::string>(found->second);
    }
    fail(key, "expected a text");
    return "";
  }
  bool has(const std::string& key) const { return metadata_.contains(key); }
  // Into `out` when the key is there, or an error when it must be.
  void number(const std::string& key, json& out, const char* name, bool needed = false) {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) {
      if (needed) fail(key, "is missing");
    } else if (const auto* value = std::get_if<uint32_t>(&found->second)) {
      out[name] = *value;
    } else if (const auto* wide = std::get_if<uint64_t>(&found->second)) {
      out[name] = *wide;
    } else if (const auto* real = std::get_if<float>(&found->second)) {
      out[name] = as_written(*real);
    } else {
      fail(key, "expected a number");
    }
  }
  Status status() const { return error_ ? Status(*error_) : ok_status(); }

 private:
  void fail(const std::string& key, const char* what) {
    if (!error_) error_ = Error{Code::invalid_argument, key + ": " + what, ""};
  }
  const GgufMetadata& metadata_;
  std::optional<Error> error_;
};

bool has_tensor(const GgufFile& file, std::string_view name) {
  for (const StoredTensor& tensor : file.tensors) {
    if (tensor.name == name) return true;
  }
  return false;
}

void read_shape(KeyReader& keys, const std::string& prefix, bool gpt2, json& out) {
  keys.number(prefix + "embedding_length", out, gpt2 ? "n_embd" : "hidden_size", true);
  keys.number(prefix + "block_count", out, gpt2 ? "n_layer" : "num_hidden_layers", true);
  keys.number(prefix + "feed_forward_length", out, gpt2 ? "n_inner" : "intermediate_size", true);
  keys.number(prefix + "context_length", out, gpt2 ? "n_positions" : "max_position_embeddings",
              true);
  keys.number(prefix + "attention.head_count", out, gpt2 ? "n_head" : "num_attention_heads", true);
  if (gpt2) {
    keys.number(prefix + "attention.layer_norm_epsilon", out, "layer_norm_epsilon", true);
    return;
  }
  keys.number(prefix + "attention.head_count_kv", out, "num_key_value_heads");
  keys.number(prefix + "attention.key_length", out, "head_dim");
  keys.number(prefix + "attention.layer_norm_rms_epsilon", out, "rms_norm_eps", true);
  keys.number(prefix + "attention.sliding_window", out, "sliding_window");
  keys.number(prefix + "rope.freq_base", out, "rope_theta");
  keys.number(prefix + "rope.freq_base_swa", out, "rope_local_base_freq");
  keys.number(prefix + "attn_logit_softcapping", out, "attn_logit_softcapping");
  keys.number(prefix + "final_logit_softcapping", out, "final_logit_softcapping");
}

void read_scaling(KeyReader& keys, const std::string& prefix, json& out) {
  if (!keys.has(prefix + "scaling.type")) return;
  json scaling = {{"rope_type", keys.text(prefix + "scaling.type")}};
  if (scaling["rope_type"] == "none" || scaling["rope_type"] == "longrope") return;  // of tensors
  keys.number(prefix + "scaling.factor", scaling, "factor");
  keys.number(prefix + "scaling.original_context_length", scaling,
              "original_max_position_embeddings");
  keys.number(prefix + "scaling.yarn_beta_fast", scaling, "beta_fast");
  keys.number(prefix + "scaling.yarn_beta_slow", scaling, "beta_slow");
  out["rope_scaling"] = scaling;
}

}  // namespace

Result<GgufMetadata> gguf_metadata(const ModelConfig& config,
                                   const std::string& name,
                                   GgufType type) {
  TRY(refuse_variants(config));
  std::string architecture = config.architecture == "mistral" ? "llama" : config.architecture;
  if (architecture == "gemma3_text") architecture = "gemma3";
  const std::string prefix = architecture + ".";
  GgufMetadata out = {{"general.architecture", architecture},
                      {"general.type", std::string("model")},
                      {"general.name", name},
                      {"general.file_type", file_type(type)},
                      {"general.quantization_version", uint32_t{2}},
                      {prefix + "vocab_size", whole(config.vocab_size)},
                      {prefix + "context_length", whole(config.max_position_embeddings)},
                      {prefix + "embedding_length", whole(config.hidden_size)},
                      {prefix + "block_count", whole(config.num_hidden_layers)},
                      {prefix + "feed_forward_length", whole(config.intermediate_size)}};
  add_attention(config, prefix, out);
  if (!config.learned_positions) TRY(add_rope(config, prefix, out));
  return out;
}

Result<ModelConfig> config_of_gguf(const GgufFile& file) {
  KeyReader keys(file.metadata);
  const std::string architecture = keys.text("general.architecture");
  TRY(keys.status());
  const std::string prefix = architecture + ".";
  const bool gpt2 = architecture == "gpt2";
  const bool slides = keys.has(prefix + "attention.sliding_window");
  json config = {{"tie_word_embeddings", !has_tensor(file, "output.weight")}};
  config["model_type"] = architecture == "llama" && slides ? "mistral"
                         : architecture == "gemma3"        ? "gemma3_text"
                                                           : architecture;
  if (config["model_type"] == "mistral" || config["model_type"] == "phi3") {
    config["sliding_window"] = nullptr;
  }
  read_shape(keys, prefix, gpt2, config);
  if (!gpt2) read_scaling(keys, prefix + "rope.", config);
  if (config.value("sliding_window", json(nullptr)) == 0) config["sliding_window"] = nullptr;
  for (const StoredTensor& tensor : file.tensors) {
    if (tensor.name == "token_embd.weight") config["vocab_size"] = tensor.shape.front();
    if (tensor.name == "blk.0.attn_q.bias" && architecture == "llama") {
      config["attention_bias"] = true;
    }
    if (tensor.name == "blk.0.ffn_up.bias" && architecture == "llama") config["mlp_bias"] = true;
  }
  if (architecture.starts_with("gemma")) {
    config["query_pre_attn_scalar"] = config.value("head_dim", json(nullptr));
  }
  json rotated = json::object();
  if (architecture == "phi3") keys.number(prefix + "rope.dimension_count", rotated, "dim");
  TRY(keys.status());
  ModelConfig parsed = TRY(parse_hf_config(config));
  if (rotated.contains("dim")) {
    parsed.partial_rotary_factor =
        rotated["dim"].get<double>() / static_cast<double>(parsed.head_dim);
  }
  const std::vector<std::string> wrong = problems(parsed);
  if (!wrong.empty()) {
    return Error{Code::invalid_argument, prefix + "rope.dimension_count: " + wrong.front(), ""};
  }
  TRY(read_rope_tensors(file, prefix, parsed));
  return parsed;
}

}  // namespace llmctl
