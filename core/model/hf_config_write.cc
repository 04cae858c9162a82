// Writing Hugging Face's config.json (model_config.h), for Transformers 4 and 5.
#include <nlohmann/json.hpp>

#include <algorithm>

#include "core/base/json_reader.h"
#include "core/model/model_config.h"

namespace llmctl {

using nlohmann::json;

static const char* class_of(const std::string& type) {
  if (type == "mistral") return "MistralForCausalLM";
  if (type == "qwen2") return "Qwen2ForCausalLM";
  if (type == "qwen3") return "Qwen3ForCausalLM";
  if (type == "phi3") return "Phi3ForCausalLM";
  if (type == "gpt2") return "GPT2LMHeadModel";
  if (type == "gemma2") return "Gemma2ForCausalLM";
  if (type == "gemma3_text") return "Gemma3ForCausalLM";
  return "LlamaForCausalLM";
}

static json gpt2_config(const ModelConfig& c) {
  return {{"n_embd", c.hidden_size},
          {"n_layer", c.num_hidden_layers},
          {"n_head", c.num_attention_heads},
          {"n_positions", c.max_position_embeddings},
          {"n_ctx", c.max_position_embeddings},
          {"n_inner", c.intermediate_size},
          {"layer_norm_epsilon", c.rms_norm_eps},
          {"activation_function", c.activation == "gelu" ? "gelu" : "gelu_new"},
          {"resid_pdrop", 0.0},
          {"embd_pdrop", 0.0},
          {"attn_pdrop", 0.0}};
}

static json scaling_json(const ModelConfig& c) {
  const RopeScaling& rope = c.rope;
  json object = {{"rope_type", rope.type}};
  if (rope.type != "default") object["factor"] = rope.factor;
  if (rope.original_positions > 0) {
    object["original_max_position_embeddings"] = rope.original_positions;
  }
  if (rope.type == "llama3") {
    object["low_freq_factor"] = rope.low_freq_factor;
    object["high_freq_factor"] = rope.high_freq_factor;
  }
  if (rope.type == "yarn") {
    object["beta_fast"] = rope.beta_fast;
    object["beta_slow"] = rope.beta_slow;
    if (!rope.truncate) object["truncate"] = false;
  }
  if (rope.type == "longrope") {
    object["short_factor"] = rope.short_factor;
    object["long_factor"] = rope.long_factor;
  }
  if (rope.attention_factor > 0) object["attention_factor"] = rope.attention_factor;
  return object;
}

// v4 knows three fields of it and derives the rest.
static json phi3_scaling(const RopeScaling& rope) {
  return {
      {"type", "longrope"}, {"short_factor", rope.short_factor}, {"long_factor", rope.long_factor}};
}

// v4 reads theta and scaling at the top, v5 both in rope_parameters.
static void add_rope(const ModelConfig& c, json& document) {
  const json scaling = scaling_json(c);
  json parameters = scaling;
  parameters["rope_theta"] = c.rope_theta;
  document["rope_theta"] = c.rope_theta;
  if (c.rope.type != "default") document["rope_scaling"] = scaling;
  if (c.architecture == "phi3") {
    document["partial_rotary_factor"] = c.partial_rotary_factor;
    parameters["partial_rotary_factor"] = c.partial_rotary_factor;
    if (c.rope.original_positions > 0) {
      document["original_max_position_embeddings"] = c.rope.original_positions;
    }
    if (c.rope.type == "longrope") document["rope_scaling"] = phi3_scaling(c.rope);
  }
  if (c.architecture == "gemma3_text") {
    document["rope_local_base_freq"] = c.rope_local_theta;
    parameters = {
        {"full_attention", parameters},
        {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", c.rope_local_theta}}}};
  }
  document["rope_parameters"] = parameters;
}

static void add_windows(const ModelConfig& c, json& document) {
  const bool any = c.sliding_window > 0;
  document["sliding_window"] = any ? json(c.sliding_window) : json(nullptr);
  if (c.architecture == "mistral" || c.architecture == "phi3") return;
  json types = json::array();
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    types.push_back(c.slides(i) ? "sliding_attention" : "full_attention");
  }
  document["layer_types"] = types;
  if (c.architecture.starts_with("qwen")) {
    document["use_sliding_window"] = any;
    document["max_window_layers"] = any ? c.max_window_layers : c.num_hidden_layers;
  }
  if (c.architecture == "gemma3_text") {
    document["sliding_window_pattern"] = std::max<int64_t>(1, c.sliding_window_pattern);
  }
}

static json rotary_config(const ModelConfig& c) {
  const bool gemma = c.architecture.starts_with("gemma");
  json document = {{"hidden_size", c.hidden_size},
                   {"intermediate_size", c.intermediate_size},
                   {"num_hidden_layers", c.num_hidden_layers},
                   {"num_attention_heads", c.num_attention_heads},
                   {"num_key_value_heads", c.num_key_value_heads},
                   {"head_dim", c.head_dim},
                   {"max_position_embeddings", c.max_position_embeddings},
                   {"rms_norm_eps", c.rms_norm_eps},
                   {"attention_dropout", 0.0}};
  const std::string activation = c.activation == "gelu_tanh" ? "gelu_pytorch_tanh" : c.activation;
  document["hidden_act"] = activation;
  add_rope(c, document);
  if (c.architecture == "llama") document["mlp_bias"] = c.mlp_bias;
  if (c.architecture == "llama" || c.architecture == "qwen3" || gemma) {
    document["attention_bias"] = c.out_bias;
  }
  if (c.architecture != "llama") add_windows(c, document);
  if (gemma) {
    document["hidden_activation"] = activation;
    document["query_pre_attn_scalar"] = number_json(c.query_pre_attn_scalar);
    const auto cap = [](double value) { return value > 0 ? json(value) : json(nullptr); };
    document["attn_logit_softcapping"] = cap(c.attn_logit_softcapping);
    document["final_logit_softcapping"] = cap(c.final_logit_softcapping);
  }
  return document;
}

Result<json> to_hf_config(const ModelConfig& c) {
  json document = c.architecture == "gpt2" ? gpt2_config(c) : rotary_config(c);
  document["architectures"] = {class_of(c.architecture)};
  document["model_type"] = c.architecture;
  document["vocab_size"] = c.vocab_size;
  document["initializer_range"] = c.initializer_range;
  document["tie_word_embeddings"] = c.tie_word_embeddings;
  document["pad_token_id"] = nullptr;  // Phi-3's is 32000 when nothing is said
  document["torch_dtype"] = document["dtype"] = "float32";
  // What was not written was not expressible.
  const Result<ModelConfig> again = parse_hf_config(document);
  if (!again.ok() || *again != c) {
    return Error{Code::failed_precondition,
                 "the model's options are not those of architecture " + c.architecture,
                 "Hugging Face has no form for this combination"};
  }
  return document;
}

}  // namespace llmctl
