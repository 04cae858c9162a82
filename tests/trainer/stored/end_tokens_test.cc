#include "trainer/stored/end_tokens.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace llmctl {
namespace {

TEST(EndTokens, GenerationConfigThenConfigThenTheTokenizerAndTheLearnedTurn) {
  const Tokenizer tokenizer = Tokenizer::bytes();
  StoredModel model;
  EXPECT_EQ(end_tokens(model, tokenizer), std::vector<int32_t>{256});
  model.config_json = {{"eos_token_id", {0, 1}}};
  EXPECT_EQ(end_tokens(model, tokenizer), (std::vector<int32_t>{0, 1}));
  model.companions["generation_config.json"] = R"({"eos_token_id": 7})";
  EXPECT_EQ(end_tokens(model, tokenizer), std::vector<int32_t>{7});
  model.companions["generation_config.json"] = R"({"eos_token_id": [5, 5, 9999, -1, "x"]})";
  model.turn_end = 9;
  EXPECT_EQ(end_tokens(model, tokenizer), (std::vector<int32_t>{5, 9}));
}

}  // namespace
}  // namespace llmctl
