// Where slots lie in files of families that store them otherwise; families_test.cc reads such
// files.
#include "trainer/formats/hf/names.h"

#include <gtest/gtest.h>

#include "core/fields/field_table.h"

namespace llmctl {
namespace {

using Shape = std::vector<int64_t>;

ModelConfig sample(std::string_view family) {
  ModelConfig config;
  config.num_hidden_layers = 2;
  config.hidden_size = 48;
  config.num_attention_heads = 6;
  config.num_key_value_heads = family == "gpt2" ? 6 : 2;
  config.intermediate_size = 80;
  set_family(config, family);
  return resolved(config, 300, 64);
}

HfPlace place_of(const ModelConfig& config, const std::string& slot) {
  const ParameterLayout all(config);
  const std::vector<HfPlace> places = hf_places(config);
  EXPECT_EQ(places.size(), all.slots().size());
  for (size_t i = 0; i < places.size(); ++i) {
    if (all.slots()[i].name == slot) return places[i];
  }
  ADD_FAILURE() << "no slot " << slot;
  return {};
}

TEST(HfNames, AreOursForFamiliesOfLlamasKind) {
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text"}) {
    const ModelConfig config = sample(family);
    const ParameterLayout all(config);
    const std::vector<HfPlace> places = hf_places(config);
    for (size_t i = 0; i < places.size(); ++i) {
      EXPECT_EQ(places[i].name, all.slots()[i].name);
      EXPECT_EQ(places[i].shape, all.slots()[i].shape);
      EXPECT_EQ(places[i].first_row, 0);
      EXPECT_FALSE(places[i].transposed);
    }
  }
}

TEST(HfNames, Phi3FusesProjectionsByRows) {
  const ModelConfig phi3 = sample("phi3");
  const HfPlace value = place_of(phi3, "model.layers.1.self_attn.v_proj.weight");
  EXPECT_EQ(value.name, "model.layers.1.self_attn.qkv_proj.weight");
  EXPECT_EQ(value.shape, (Shape{48 + 16 + 16, 48}));
  EXPECT_EQ(value.first_row, 48 + 16);
  const HfPlace gate = place_of(phi3, "model.layers.0.mlp.gate_proj.weight");
  EXPECT_EQ(gate.shape, (Shape{160, 48}));
  EXPECT_EQ(gate.first_row, 0);
  EXPECT_EQ(place_of(phi3, "model.layers.0.mlp.up_proj.weight").first_row, 80);
}

TEST(HfNames, Gpt2StoresProductsTransposedAndTablesNot) {
  const ModelConfig gpt2 = sample("gpt2");
  const HfPlace key = place_of(gpt2, "model.layers.1.self_attn.k_proj.weight");
  EXPECT_EQ(key.name, "transformer.h.1.attn.c_attn.weight");
  EXPECT_EQ(key.shape, (Shape{48, 3 * 48}));
  EXPECT_EQ(key.first_row, 48);
  EXPECT_TRUE(key.transposed);
  const HfPlace bias = place_of(gpt2, "model.layers.1.self_attn.v_proj.bias");
  EXPECT_EQ(bias.name, "transformer.h.1.attn.c_attn.bias");
  EXPECT_EQ(bias.shape, (Shape{3 * 48}));
  EXPECT_EQ(bias.first_row, 96);
  EXPECT_FALSE(bias.transposed);
  EXPECT_FALSE(place_of(gpt2, "model.embed_positions.weight").transposed);
  EXPECT_EQ(place_of(gpt2, "model.norm.bias").name, "transformer.ln_f.bias");
}

TEST(HfNames, SlotsOfOneTensorCoverItsRowsOnce) {
  for (const std::string_view family : words(architectures())) {
    const ModelConfig config = sample(family);
    const ParameterLayout all(config);
    const std::vector<HfPlace> places = hf_places(config);
    std::map<std::string, int64_t> covered;
    for (size_t i = 0; i < places.size(); ++i) {
      EXPECT_EQ(places[i].first_row, covered[places[i].name]) << places[i].name;
      covered[places[i].name] += all.slots()[i].shape[0];
    }
    for (const HfPlace& place : places) {
      EXPECT_EQ(covered[place.name], place.shape[place.transposed ? 1 : 0]) << place.name;
    }
  }
}

}  // namespace
}  // namespace llmctl
