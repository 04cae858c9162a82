// FLOPs per token against a count by hand, product by product.
#include <gtest/gtest.h>

#include "core/model/model_config.h"

namespace llmctl {

TEST(Flops, AreSixPerWeightOfAProductPlusCausalAttention) {
  ModelConfig model;
  model.hidden_size = 8;
  model.intermediate_size = 24;
  model.num_hidden_layers = 2;
  model.num_attention_heads = 4;
  model.num_key_value_heads = 2;
  model = resolved(model, 100, 16);
  const double attention_weights = 8 * 8 + 2 * 8 * 4 + 8 * 8;  // q, k and v (2 heads of 2), output
  const double mlp_weights = 3 * 8 * 24;
  const double head = 100 * 8;
  const double weights = 2 * (attention_weights + mlp_weights) + head;
  // Scores and values: 2 products of 2 x 16 x 8 FLOP per token, halved by the mask, times 3 for
  // forward and backward, in 2 layers.
  const double attention = 2 * 3 * (2 * 2.0 * 16 * 8 / 2);
  EXPECT_DOUBLE_EQ(flops_per_token(model, 16), 6 * weights + attention);
}

TEST(Flops, OfAnMlpWithoutAGateAreThoseOfTwoProducts) {
  ModelConfig model;
  model.hidden_size = 8;
  model.num_hidden_layers = 3;
  model.num_attention_heads = 2;
  set_family(model, "gpt2");
  model = resolved(model, 100, 16);
  const double weights = 3 * (4 * 8 * 8 + 2 * 8 * 32) + 100 * 8;
  const double attention = 3 * 3 * (2 * 2.0 * 16 * 8 / 2);
  EXPECT_DOUBLE_EQ(flops_per_token(model, 16), 6 * weights + attention);
}

TEST(Flops, OfASlidingWindowAreThoseOfTheKeysItSees) {
  ModelConfig full = resolved(presets().front().config, 1'000, 64), slides = full;
  slides.sliding_window = 16;
  slides.sliding_window_pattern = 2;  // layers 1 and 3 of 4 slide
  // 64 tokens see 32 keys on average; with a window of 16 the first 16 see 8 and 48 see 16.
  const double width = static_cast<double>(full.num_attention_heads * full.head_dim);
  const double fewer = 2 * (32 - (16 * 8 + 48 * 16) / 64.0);
  EXPECT_DOUBLE_EQ(flops_per_token(full, 64) - flops_per_token(slides, 64), 12 * width * fewer);
  slides.sliding_window = 1'000;  // longer than the sequence
  EXPECT_DOUBLE_EQ(flops_per_token(full, 64), flops_per_token(slides, 64));
}

TEST(Flops, DoNotCountTheLookUpOfAnEmbedding) {
  ModelConfig tied = resolved(presets().front().config, 1'000, 64), untied = tied;
  tied.tie_word_embeddings = true;
  untied.tie_word_embeddings = false;
  EXPECT_EQ(flops_per_token(tied, 64), flops_per_token(untied, 64));
}

}  // namespace llmctl
