#include "core/model/model_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "core/fields/field_table.h"

namespace llmctl {
namespace {

using nlohmann::json;

// Every number its own, so that none can be read for another.
ModelConfig sample(std::string_view architecture) {
  ModelConfig config;
  config.num_hidden_layers = 7;
  config.hidden_size = 48;
  config.num_attention_heads = 6;
  config.num_key_value_heads = architecture == "gpt2" ? 6 : 2;
  config.intermediate_size = 80;
  set_family(config, architecture);
  return resolved(config, 300, 256);
}

TEST(ModelConfig, HuggingFaceConfigReadsBackEqualForEveryPreset) {
  for (const Preset& preset : presets()) {
    const ModelConfig config = resolved(preset.config, 2'048, 256);
    EXPECT_TRUE(problems(config).empty()) << preset.name;
    EXPECT_EQ(parse_hf_config(to_hf_config(config).value()).value(), config) << preset.name;
  }
}

TEST(ModelConfig, HuggingFaceConfigReadsBackEqualForEveryFamily) {
  for (const std::string_view architecture : words(architectures())) {
    const ModelConfig config = sample(architecture);
    EXPECT_TRUE(problems(config).empty()) << architecture << ": " << problems(config).front();
    EXPECT_EQ(parse_hf_config(to_hf_config(config).value()).value(), config) << architecture;
  }
}

TEST(ModelConfig, RopeScalingReadsBackEqual) {
  for (const char* type : {"linear", "dynamic", "yarn", "llama3"}) {
    ModelConfig config = sample("llama");
    config.rope = {.type = type, .factor = 4, .original_positions = 64};
    if (config.rope.type == "yarn") config.rope.attention_factor = 1.25;
    if (config.rope.type == "llama3") config.rope.low_freq_factor = 1.5;
    EXPECT_EQ(parse_hf_config(to_hf_config(config).value()).value(), config) << type;
  }
}

TEST(ModelConfig, OptionsThatTheFamilyHasNotAreNotWritten) {
  ModelConfig config = sample("llama");
  config.qk_norm = true;
  EXPECT_EQ(to_hf_config(config).error().code, Code::failed_precondition);
}

TEST(ModelConfig, AbsentFieldsMeanWhatTransformersMeans) {
  json document = to_hf_config(sample("llama")).value();
  document.erase("tie_word_embeddings");
  document.erase("rms_norm_eps");
  ModelConfig config = parse_hf_config(document).value();
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_EQ(config.rms_norm_eps, 1e-6);

  document = to_hf_config(sample("mistral")).value();
  document.erase("sliding_window");
  EXPECT_EQ(parse_hf_config(document)->sliding_window, 4'096);
  document["sliding_window"] = nullptr;
  EXPECT_EQ(parse_hf_config(document)->sliding_window, 0);

  document = to_hf_config(sample("qwen3")).value();
  document.erase("head_dim");
  EXPECT_EQ(parse_hf_config(document)->head_dim, 128);
}

TEST(ModelConfig, ReadsTheNamesOfVersionFour) {
  json document = to_hf_config(sample("llama")).value();
  document.erase("rope_parameters");
  document["rope_theta"] = 5e5;
  document["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", 8.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 8'192}};
  const ModelConfig config = parse_hf_config(document).value();
  EXPECT_EQ(config.rope_theta, 5e5);
  EXPECT_EQ(config.rope.type, "llama3");
  EXPECT_EQ(config.rope.factor, 8);
  EXPECT_EQ(config.rope.original_positions, 8'192);
}

TEST(ModelConfig, Phi3sLongRopeIsReadUnderAllItsNames) {
  const json factors = json::array({1.0, 1.5, 2.0, 4.0});  // pairs of half a head of 16
  for (const char* type : {"su", "yarn", "longrope"}) {
    ModelConfig phi = sample("phi3");
    phi.head_dim = 16;
    json document = to_hf_config(phi).value();
    document.erase("rope_parameters");
    document["max_position_embeddings"] = 256;
    document["original_max_position_embeddings"] = 64;
    document["partial_rotary_factor"] = 0.5;
    document["rope_scaling"] = {
        {"type", type}, {"short_factor", factors}, {"long_factor", factors}};
    const Result<ModelConfig> config = parse_hf_config(document);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config->rope.type, "longrope");
    EXPECT_EQ(config->rope.factor, 4);
    EXPECT_EQ(config->rope.original_positions, 64);
    EXPECT_EQ(config->rotary_dim(), 8);
    EXPECT_EQ(parse_hf_config(*to_hf_config(*config)).value(), *config);
    EXPECT_EQ((*to_hf_config(*config))["rope_scaling"].size(), 3U) << "version 4 knows three";
  }
}

TEST(ModelConfig, YarnsOptionsAreKept) {
  json document = to_hf_config(sample("llama")).value();
  document.erase("rope_scaling");
  document["rope_parameters"] = {
      {"rope_type", "yarn"}, {"factor", 4.0},    {"rope_theta", 10'000.0},
      {"truncate", false},   {"mscale", 0.707},  {"mscale_all_dim", 1.0},
      {"beta_fast", 32.0},   {"beta_slow", 1.0}, {"original_max_position_embeddings", 16}};
  const ModelConfig config = parse_hf_config(document).value();
  EXPECT_FALSE(config.rope.truncate);
  EXPECT_NEAR(config.rope.attention_factor, (0.0707 * std::log(4) + 1) / (0.1 * std::log(4) + 1),
              1e-12);
  EXPECT_EQ(parse_hf_config(*to_hf_config(config)).value(), config);
}

TEST(ModelConfig, LayerTypesBecomeARule) {
  json document = to_hf_config(sample("qwen2")).value();
  const char *full = "full_attention", *slides = "sliding_attention";
  document["use_sliding_window"] = true;
  document["sliding_window"] = 16;
  document["layer_types"] = {full, full, slides, slides, slides, slides, slides};
  EXPECT_EQ(parse_hf_config(document)->max_window_layers, 2);
  document["layer_types"] = {slides, slides, full, slides, slides, full, slides};
  EXPECT_EQ(parse_hf_config(document)->sliding_window_pattern, 3);
  document["layer_types"] = {slides, full, full, slides, slides, full, slides};
  EXPECT_FALSE(parse_hf_config(document).ok());
}

TEST(ModelConfig, RefusesVariantsItCannotCompute) {
  const auto refused = [&](const char* family, const char* field, const json& value) {
    json document = to_hf_config(sample(family)).value();
    document[field] = value;
    return !parse_hf_config(document).ok();
  };
  EXPECT_TRUE(refused("llama", "model_type", "bert"));
  EXPECT_TRUE(refused("llama", "hidden_act", "relu2"));
  EXPECT_TRUE(refused("gpt2", "activation_function", "relu"));
  EXPECT_TRUE(refused("gpt2", "scale_attn_by_inverse_layer_idx", true));
  EXPECT_TRUE(refused("gpt2", "activation_function", "silu"));
  EXPECT_TRUE(refused("llama", "rope_parameters", {{"rope_type", "longrope"}, {"factor", 2.0}}));
  EXPECT_TRUE(
      refused("llama", "rope_parameters",
              {{"rope_type", "longrope"}, {"short_factor", {1.0}}, {"long_factor", "many"}}));
  EXPECT_TRUE(refused("llama", "partial_rotary_factor", 0.5));
  EXPECT_TRUE(refused("phi3", "rope_parameters", {{"partial_rotary_factor", 0.01}}));
  EXPECT_TRUE(refused("llama", "hidden_size", 1LL << 60));
  EXPECT_TRUE(refused("llama", "num_attention_heads", 5));
  EXPECT_TRUE(refused("gemma2", "sliding_window", -1));
  EXPECT_FALSE(refused("llama", "use_cache", true));
}

TEST(ModelConfig, Gpt2HasTheParametersOfItsPaper) {
  std::map<std::string, int64_t> count;
  for (const Preset& preset : presets()) {
    count[preset.name] = parameter_count(resolved(preset.config, 50'257, 1'024));
  }
  EXPECT_EQ(count["gpt2"], 124'439'808);
  EXPECT_EQ(count["gpt2-medium"], 354'823'168);
}

TEST(ModelConfig, LargestShapesCountTheirParametersWithoutOverflow) {
  ModelConfig config = resolved(presets().front().config, 4'000'000, 256);
  config.hidden_size = 131'072;
  config.intermediate_size = 16 * 131'072;
  config.num_hidden_layers = 1'024;
  EXPECT_TRUE(problems(config).empty());
  EXPECT_GT(parameter_count(config), 1LL << 40);
}

}  // namespace
}  // namespace llmctl
