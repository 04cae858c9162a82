// What a job may choose: optimizer, average, precision. Each resumes to the bit.
#include "core/training/optimizer_facts.h"
#include "tests/trainer/run/training_fixture.h"

namespace llmctl {
namespace {

TEST_F(Training, ResumesBitForBitWithEveryOptimizer) {
  for (const OptimizerFacts& optimizer : optimizers()) {
    SCOPED_TRACE(optimizer.name);
    RunConfig run = config(std::string("killed-") + optimizer.name, 20);
    run.spec.optimizer = optimizer.name;
    expect_same_bits_after_kills(run, {13});
  }
}

TEST_F(Training, EndsWithTheSameBitsOffloadedAndResumesThem) {
  RunConfig resident = config("resident", 20), offloaded = config("killed-offloaded", 20);
  offloaded.spec.offload = "all";
  offloaded.spec.ema_decay = resident.spec.ema_decay = 0.9;
  expect_same_bits_after_kills(offloaded, {13});
  EXPECT_TRUE(weights(offloaded) == weights_after(resident)) << "offload changed a bit";
}

TEST_F(Training, EvaluatesWithTheAverageOfTheWeightsAndResumesIt) {
  RunConfig run = config("killed-average", 20);
  run.spec.ema_decay = 0.9;
  expect_same_bits_after_kills(run, {13});

  std::map<std::string, nlohmann::json> last, eval;
  for (const std::string name : {"plain", "averaged"}) {
    RunConfig evaluated = config(name, 20);
    evaluated.spec.val_set_size = 0.2;
    evaluated.spec.ema_decay = name == "plain" ? 0 : 0.9;
    TrainerProcess process(evaluated, run_directory());
    ASSERT_EQ(process.wait_exit(), 0);
    last[name] = process.lines("step").back()["loss"];
    eval[name] = process.lines("eval").back()["loss"];
  }
  EXPECT_EQ(last["plain"], last["averaged"]) << "training itself does not change";
  EXPECT_NE(eval["plain"], eval["averaged"]);
}

TEST_F(Training, ResumesBitForBitInEveryPrecision) {
  for (const std::string precision : {"tf32", "bf16", "fp16"}) {
    SCOPED_TRACE(precision);
    RunConfig run = config("killed-" + precision, 20);
    run.spec.precision = precision;
    expect_same_bits_after_kills(run, {13});
  }
}

TEST_F(Training, LearnsAsMuchInSixteenBits) {
  std::map<std::string, double> loss;
  for (const std::string precision : {"fp32", "bf16", "fp16"}) {
    RunConfig run = config(precision, 40);
    run.spec.precision = precision;
    TrainerProcess process(run, run_directory());
    ASSERT_EQ(process.wait_exit(), 0);
    loss[precision] = process.lines("step").back()["loss"];
  }
  EXPECT_NEAR(loss["bf16"], loss["fp32"], 0.02 * loss["fp32"]);
  EXPECT_NEAR(loss["fp16"], loss["fp32"], 0.02 * loss["fp32"]);
  EXPECT_NE(loss["bf16"], loss["fp16"]);
}

TEST_F(Training, WithoutMastersResumesBitForBitAndLearnsAsMuch) {
  RunConfig run = config("killed", 20);
  run.spec.precision = "bf16";
  run.spec.master_weights = false;
  expect_same_bits_after_kills(run, {13});
  const auto all = checkpoints(run);
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.front().find("model.embed_tokens.weight")->dtype, DType::bf16);
  EXPECT_EQ(all.front().find("model.norm.weight")->dtype, DType::f32) << "vectors are fp32";

  std::map<bool, double> loss;
  for (const bool masters : {true, false}) {
    RunConfig longer = config(masters ? "masters" : "alone", 60);
    longer.spec.precision = "bf16";
    longer.spec.master_weights = masters;
    TrainerProcess process(longer, run_directory());
    ASSERT_EQ(process.wait_exit(), 0);
    loss[masters] = process.lines("step").back()["loss"];
  }
  EXPECT_NEAR(loss[false], loss[true], 0.02 * loss[true]);
  EXPECT_NE(loss[false], loss[true]);
}

// Weights are rounded on the one way and widened on the other; the rest of the state is the same.
TEST_F(Training, GoesOnWithAndWithoutMasters) {
  for (const bool masters : {true, false}) {
    RunConfig run = config(masters ? "begun-with" : "begun-without", 10);
    run.spec.precision = "bf16";
    run.spec.master_weights = masters;
    weights_after(run);
    run.spec.max_steps = 20;
    run.spec.master_weights = !masters;
    TrainerProcess process(run, run_directory());
    ASSERT_EQ(process.wait_exit(), 0);
    const auto steps = process.lines("step");
    EXPECT_EQ(steps.front()["step"], 11);
    EXPECT_EQ(steps.back()["step"], 20);
    const DType dtype = checkpoints(run).front().find("model.embed_tokens.weight")->dtype;
    EXPECT_EQ(dtype, masters ? DType::bf16 : DType::f32);
  }
}

// Gradients that overflow are no reason to give up, nor to count a step as lost.
TEST_F(Training, ShrinksTheLossScaleUntilGradientsFit) {
  RunConfig run = config("job", 30);
  run.spec.precision = "fp16";
  run.spec.model.config.initializer_range = 1;  // gradients far above 1
  run.spec.nonfinite_limit = 1;
  TrainerProcess process(run, run_directory());
  ASSERT_EQ(process.wait_exit(), 0);
  const auto shrunk = process.lines("loss_scale");
  ASSERT_FALSE(shrunk.empty());
  EXPECT_EQ(shrunk.front()["value"], 32'768);
  EXPECT_EQ(process.lines("step").back()["nonfinite_steps"], 0);
  EXPECT_EQ(process.lines("step").back()["step"], 30);
}

}  // namespace
}  // namespace llmctl
