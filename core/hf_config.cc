// Reading and writing Hugging Face's config.json (model_config.h). Absent fields mean what
// Transformers' LlamaConfig means by them, which is not always our default.
#include <nlohmann/json.hpp>

#include "core/json_reader.h"
#include "core/limits.h"
#include "core/model_config.h"

namespace llmctl {

using nlohmann::json;

static Error unsupported(const std::string& message) {
  return {Code::invalid_argument, "config.json: " + message,
          "llmctl trains Llama-style models: RMSNorm, RoPE, SwiGLU, no biases"};
}

// Settings of LlamaConfig that change the computation and that we do not have.
static Status refuse_variants(const json& document) {
  for (const char* name : {"attention_bias", "mlp_bias"}) {
    if (document.contains(name) && document[name] == true) {
      return unsupported(std::string(name) + ": true is not supported");
    }
  }
  if (document.contains("hidden_act") && document["hidden_act"] != "silu") {
    return unsupported("hidden_act: expected \"silu\", got " + dump_json(document["hidden_act"]));
  }
  return ok_status();
}

// v4: rope_theta at the top, rope_scaling null or an object. v5: rope_parameters holds both.
static Status read_rope(const json& document, ModelConfig& config) {
  JsonReader top(document, "config.json");
  top.read("rope_theta", config.rope_theta);
  TRY(top.status());
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    if (!document.contains(name) || document[name].is_null()) continue;
    JsonReader rope(document[name], std::string("config.json: ") + name);
    std::string type = "default";
    rope.read("type", type);  // the name before v4.43
    rope.read("rope_type", type);
    rope.read("rope_theta", config.rope_theta);
    TRY(rope.status());
    if (type != "default") {
      return unsupported(std::string(name) + ": rope type \"" + type + "\" is not supported");
    }
  }
  return ok_status();
}

static void read_optional(JsonReader& reader, const char* name, int64_t& value) {
  const json* field = reader.child(name);
  if (field != nullptr && !field->is_null()) reader.read(name, value, 1);
}

Result<ModelConfig> parse_hf_config(const json& document) {
  JsonReader reader(document, "config.json");
  std::string type;
  reader.need("model_type");
  reader.read("model_type", type);
  TRY(reader.status());
  if (type != "llama") {
    return unsupported("model_type: expected \"llama\", got " + dump_json(document["model_type"]));
  }
  ModelConfig config;
  config.architecture = type;
  config.rms_norm_eps = 1e-6;
  config.tie_word_embeddings = false;
  config.max_position_embeddings = 2'048;
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
  reader.read("initializer_range", config.initializer_range);
  reader.read("tie_word_embeddings", config.tie_word_embeddings);
  TRY(reader.status());
  TRY(refuse_variants(document));
  TRY(read_rope(document, config));
  config = resolved(config, 0, 0);
  const std::vector<std::string> wrong = problems(config);
  if (!wrong.empty()) return unsupported(wrong.front());
  return config;
}

json to_hf_config(const ModelConfig& c) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", c.architecture},
          {"vocab_size", c.vocab_size},
          {"hidden_size", c.hidden_size},
          {"intermediate_size", c.intermediate_size},
          {"num_hidden_layers", c.num_hidden_layers},
          {"num_attention_heads", c.num_attention_heads},
          {"num_key_value_heads", c.num_key_value_heads},
          {"head_dim", c.head_dim},
          {"max_position_embeddings", c.max_position_embeddings},
          {"rms_norm_eps", c.rms_norm_eps},
          {"rope_theta", c.rope_theta},
          {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", c.rope_theta}}},
          {"initializer_range", c.initializer_range},
          {"tie_word_embeddings", c.tie_word_embeddings},
          {"hidden_act", "silu"},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"attention_dropout", 0.0},
          {"torch_dtype", "float32"},
          {"dtype", "float32"}};
}

}  // namespace llmctl
