#include "trainer/run/schedule.h"

#include <gtest/gtest.h>

namespace llmctl {
namespace {

JobSpec job() {
  JobSpec spec;
  spec.sequence_len = 10;
  spec.global_batch_size = 4;
  spec.learning_rate = 1.0;
  spec.min_lr_ratio = 0.1;
  return spec;
}

TEST(PlannedSteps, EndsAtTheFirstLimitReached) {
  JobSpec spec = job();
  spec.max_duration = 1000;
  EXPECT_EQ(planned_steps(spec, 100), 0);
  spec.max_steps = 50;
  EXPECT_EQ(planned_steps(spec, 100), 50);
  spec.max_tokens = 401;  // 40 tokens a step: the eleventh passes the limit
  EXPECT_EQ(planned_steps(spec, 100), 11);
  spec.num_epochs = 0.3;  // 30 sequences
  EXPECT_EQ(planned_steps(spec, 100), 8);
}

TEST(PlannedSteps, IsAtLeastOneForLessThanABatchOfText) {
  JobSpec spec = job();
  spec.num_epochs = 0.001;
  EXPECT_EQ(planned_steps(spec, 100), 1);
}

TEST(LearningRate, WarmsUpThenFallsToItsMinimum) {
  JobSpec spec = job();
  spec.warmup_steps = 10;
  EXPECT_DOUBLE_EQ(learning_rate(spec, {0, 110}), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate(spec, {9, 110}), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(spec, {10, 110}), 1.0);
  EXPECT_NEAR(learning_rate(spec, {60, 110}), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate(spec, {110, 110}), 0.1, 1e-12);
  for (int64_t step = 11; step < 110; ++step) {
    EXPECT_LT(learning_rate(spec, {step, 110}), learning_rate(spec, {step - 1, 110}));
  }
}

TEST(LearningRate, FollowsTheNamedSchedule) {
  JobSpec spec = job();
  spec.lr_scheduler = "linear";
  EXPECT_NEAR(learning_rate(spec, {25, 100}), 0.1 + 0.9 * 0.75, 1e-12);
  spec.lr_scheduler = "constant";
  EXPECT_DOUBLE_EQ(learning_rate(spec, {99, 100}), 1.0);
}

TEST(LearningRate, StaysAndFallsOverTheLastShareOfARun) {
  JobSpec spec = job();
  spec.lr_scheduler = "wsd";
  spec.warmup_steps = 10;
  spec.decay_ratio = 0.25;
  EXPECT_DOUBLE_EQ(learning_rate(spec, {4, 100}), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(spec, {10, 100}), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(spec, {75, 100}), 1.0);
  EXPECT_NEAR(learning_rate(spec, {80, 100}), 0.1 + 0.9 * 0.8, 1e-12);
  EXPECT_NEAR(learning_rate(spec, {100, 100}), 0.1, 1e-12);
  EXPECT_NEAR(learning_rate(spec, {5000, 0, 0.875}), 0.1 + 0.9 * 0.5, 1e-12);
}

TEST(LearningRate, FollowsTimeWhenNothingElseEndsTheRun) {
  JobSpec spec = job();
  EXPECT_NEAR(learning_rate(spec, {5000, 0, 0.5}), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate(spec, {5000, 0, 1.0}), 0.1, 1e-12);
}

}  // namespace
}  // namespace llmctl
