// The rules of rotary scaling at their corners; families_test.cc holds whole models with them
// against Transformers.
#include "trainer/layout/rope_scaling.h"

#include <gtest/gtest.h>

#include <cmath>

namespace llmctl {
namespace {

ModelConfig config_of(const char* type, double factor) {
  ModelConfig config;
  config.head_dim = 64;
  config.max_position_embeddings = 1'024;
  config.rope_theta = 10'000;
  config.rope = {.type = type, .factor = factor, .original_positions = 256};
  return config;
}

TEST(RopeScaling, LinearSlowsEveryPairByTheFactor) {
  const ModelConfig config = config_of("linear", 4);
  const auto plain = plain_angles(64, 10'000),
             angles = rotary_angles(config, false, 1'024).per_position;
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_DOUBLE_EQ(angles[i], plain[i] / 4);
}

TEST(RopeScaling, KeepsFastPairsAndSlowsTheSlowestByTheFactor) {
  const auto plain = plain_angles(64, 10'000);
  for (const char* type : {"llama3", "yarn"}) {
    const auto angles = rotary_angles(config_of(type, 4), false, 1'024).per_position;
    EXPECT_DOUBLE_EQ(angles.front(), plain.front()) << type;
    EXPECT_DOUBLE_EQ(angles.back(), plain.back() / 4) << type;
    for (size_t i = 1; i < angles.size(); ++i) {
      EXPECT_LT(angles[i], angles[i - 1]) << type;
      EXPECT_LE(angles[i], plain[i] * (1 + 1e-12)) << type;
      EXPECT_GE(angles[i], plain[i] / 4 * (1 - 1e-12)) << type;
    }
  }
}

TEST(RopeScaling, YarnSharpensAttentionByTheLogarithmOfItsFactorUnlessToldHow) {
  ModelConfig config = config_of("yarn", 4);
  EXPECT_DOUBLE_EQ(rotary_angles(config, false, 1'024).amplitude, 0.1 * std::log(4.0) + 1);
  config.rope.attention_factor = 1.5;
  EXPECT_DOUBLE_EQ(rotary_angles(config, false, 1'024).amplitude, 1.5);
}

TEST(RopeScaling, YarnsRampEndsAtWholePairsUnlessToldNotTo) {
  ModelConfig config = config_of("yarn", 4);
  const auto whole = rotary_angles(config, false, 1'024).per_position;
  config.rope.truncate = false;
  const auto exact = rotary_angles(config, false, 1'024).per_position;
  EXPECT_NE(exact, whole);
  EXPECT_DOUBLE_EQ(exact.front(), whole.front());
  EXPECT_DOUBLE_EQ(exact.back(), whole.back());
}

TEST(RopeScaling, LongRopeHasItsOwnFactorsForLongSequences) {
  ModelConfig config = config_of("longrope", 4);
  config.partial_rotary_factor = 0.125;  // of 64: 4 pairs
  config.rope.short_factor = {1, 1, 2, 2};
  config.rope.long_factor = {1, 2, 3, 4};
  const auto plain = plain_angles(8, 10'000);
  const RotaryAngles fits = rotary_angles(config, false, 256),
                     longer = rotary_angles(config, false, 257);
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_DOUBLE_EQ(fits.per_position[i], plain[i] / config.rope.short_factor[i]);
    EXPECT_DOUBLE_EQ(longer.per_position[i], plain[i] / config.rope.long_factor[i]);
  }
  EXPECT_DOUBLE_EQ(fits.amplitude, std::sqrt(1 + std::log(4.0) / std::log(256.0)));
  EXPECT_DOUBLE_EQ(longer.amplitude, fits.amplitude);
}

TEST(RopeScaling, DynamicChangesNothingUntilTheSequenceIsLongerThanTheModel) {
  const ModelConfig config = config_of("dynamic", 2);
  EXPECT_EQ(rotary_angles(config, false, 1'024).per_position, plain_angles(64, 10'000));
  const auto longer = rotary_angles(config, false, 4'096).per_position;
  EXPECT_DOUBLE_EQ(longer.front(), 1);
  // The base grows by 2 * 4 - 1 to the power of 64 / 62; the slowest pair by 62 / 64 of that.
  EXPECT_NEAR(longer.back(), plain_angles(64, 10'000).back() / 7, 1e-9);
}

TEST(RopeScaling, LayersThatSlideHaveTheirOwnUnscaledTheta) {
  ModelConfig config = config_of("linear", 8);
  config.rope_local_theta = 500;
  EXPECT_EQ(rotary_angles(config, true, 1'024).per_position, plain_angles(64, 500));
  EXPECT_NE(rotary_angles(config, false, 1'024).per_position, plain_angles(64, 10'000));
}

TEST(RopeScaling, NothingTurnsWhenPositionsAreLearned) {
  ModelConfig config = config_of("default", 1);
  config.learned_positions = true;
  EXPECT_EQ(rotary_angles(config, false, 64).per_position, std::vector<double>(32, 0.0));
}

}  // namespace
}  // namespace llmctl
